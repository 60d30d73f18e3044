/* libqfuse: the head of YuNet, faces with five key points.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector, Machine
 * Intelligence Research, 2023. For each stride s four outputs, known by name:
 * `cls_<s>`, `obj_<s>` [1, cells, 1], `bbox_<s>` [1, cells, 4] and, where there
 * are points, `kps_<s>` [1, cells, 2·points]. The score is √(cls·obj), both
 * bounded to 0 … 1. A cell's values count from its left top corner: centre
 * (x + b0, y + b1)·s, size exp(b2)·s by exp(b3)·s, points (x + k0, y + k1)·s.
 */
#include "vision/heads/rows.h"

typedef struct
{
  int cls, obj, box, points; /* numbers of the outputs; points −1: none */
} Outputs;

typedef struct
{
  QfLevels levels;
  QfScore score;
  int n_points;
  Outputs outputs[QF_MAX_LEVELS];
} Yunet;

/* Number of output @what of stride @stride with @columns values (0: any even
 * number) for each of @cells cells; −1: there is none. */
static int
find (const QfTensor *shapes, int n, const char *what, const QfLevel *l,
    int columns)
{
  g_autofree char *name = g_strdup_printf ("%s_%d", what, l->stride);
  const QfTensor *t = qf_find_output (shapes, n, name);

  if (!t || t->n != 1 || t->c != l->w * l->h || t->w != 1 ||
      (columns ? t->h != columns : t->h % 2 != 0))
    return -1;
  return (int) (t - shapes);
}

static gpointer
yunet_open (
    const QfModel *model, const QfTensor *shapes, int n_outputs, GError **error)
{
  g_autofree Yunet *y = g_new0 (Yunet, 1);

  if (!qf_levels_init (&y->levels, model, "8,16,32", error) ||
      !qf_score_init (&y->score, model, QF_SCORE_NONE,
          1u << QF_SCORE_NONE | 1u << QF_SCORE_SIGMOID, error))
    return NULL;
  for (int i = 0; i < y->levels.n; i++) {
    const QfLevel *l = &y->levels.level[i];
    Outputs *o = &y->outputs[i];

    o->cls = find (shapes, n_outputs, "cls", l, 1);
    o->obj = find (shapes, n_outputs, "obj", l, 1);
    o->box = find (shapes, n_outputs, "bbox", l, 4);
    o->points = find (shapes, n_outputs, "kps", l, 0);
    if (o->cls < 0 || o->obj < 0 || o->box < 0) {
      qf_head_misfit ("yunet", shapes, n_outputs, error,
          "each stride s needs cls_s and obj_s [1, cells, 1] and bbox_s "
          "[1, cells, 4]");
      return NULL;
    }
    if (o->points >= 0 && i == 0)
      y->n_points = shapes[o->points].h / 2;
    if (o->points < 0 || shapes[o->points].h != 2 * y->n_points)
      y->n_points = 0;
  }
  return g_steal_pointer (&y);
}

static float
bounded (QfScore score, float v)
{
  v = qf_score_of (score, v);
  return v < 0 ? 0 : v > 1 ? 1 : v;
}

static void
decode_level (const Yunet *y, int number, const QfTensor *outputs,
    float threshold, QfResult *result)
{
  const QfLevel *l = &y->levels.level[number];
  const Outputs *o = &y->outputs[number];
  QfRows cls = qf_rows_listed (&outputs[o->cls]);
  QfRows obj = qf_rows_listed (&outputs[o->obj]);
  QfRows box = qf_rows_listed (&outputs[o->box]);
  float s = (float) l->stride;

  for (int i = 0; i < l->w * l->h; i++) {
    float v = bounded (y->score, qf_rows_at (&cls, i, 0)) *
        bounded (y->score, qf_rows_at (&obj, i, 0));
    float score = sqrtf (v), cx = (float) (i % l->w), cy = (float) (i / l->w);
    QfKeyPoint *points;

    if (!(score >= threshold) ||
        !qf_result_add (result, (cx + qf_rows_at (&box, i, 0)) * s,
            (cy + qf_rows_at (&box, i, 1)) * s,
            expf (qf_rows_at (&box, i, 2)) * s,
            expf (qf_rows_at (&box, i, 3)) * s, score, 0))
      continue;
    points = qf_result_add_points (result, y->n_points);
    if (points) {
      QfRows kps = qf_rows_listed (&outputs[o->points]);

      for (int k = 0; k < y->n_points; k++)
        points[k] = (QfKeyPoint){ (cx + qf_rows_at (&kps, i, 2 * k)) * s,
          (cy + qf_rows_at (&kps, i, 2 * k + 1)) * s, score };
    }
  }
}

static void
yunet_decode (gpointer state, const QfHeadInfo *info, const QfTensor *outputs,
    float threshold, QfResult *result)
{
  const Yunet *y = state;

  for (int i = 0; i < y->levels.n; i++)
    decode_level (y, i, outputs, threshold, result);
}

/* The names say it. */
static gboolean
yunet_fits (QfModel *model, const QfTensor *shapes, int n_outputs)
{
  g_autofree Yunet *y = qf_find_output (shapes, n_outputs, "obj_8") ||
          qf_find_output (shapes, n_outputs, "obj_16")
      ? yunet_open (model, shapes, n_outputs, NULL)
      : NULL;

  if (y && !qf_model_get (model, "qfuse.labels"))
    qf_model_set (model, "qfuse.labels", "face");
  return y != NULL;
}

const QfHead qf_head_yunet = { .name = "yunet",
  .open = yunet_open,
  .close = g_free,
  .decode = yunet_decode,
  .fits = yunet_fits };
