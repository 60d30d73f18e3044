/* libqfuse: the head of SSD and its kin: scores and boxes of prior boxes.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Liu et al.: SSD: Single Shot MultiBox Detector, ECCV 2016. Outputs
 * [1, priors, classes] and [1, priors, 4], in any order; where both have four
 * columns, the one whose name has "box" or "loc" in it holds the boxes.
 *
 * `qfuse.head.background`: number of the class that says nothing is there
 * (default 0; −1: none); labels count the others. `qfuse.head.score`:
 * `softmax`, `sigmoid` or `none` (default). `qfuse.head.boxes`: `corners`
 * (default; left, top, right, bottom as shares of the input) or `encoded`,
 * relative to the priors: centre = prior's + b·v0·prior's size, size =
 * prior's·exp(b·v1), with `qfuse.head.variances` "v0,v1" (default 0.1,0.2) and
 * `qfuse.head.priors`: a level is its stride, then width x height of its priors
 * in pixels, levels are parted by semicolons: "8 10x10 16x16 24x24; 16 32x32
 * 48x48". Priors lie on the middles of the cells, row by row, those of a cell
 * together. */
#include <string.h>

#include "vision/heads/rows.h"

#define MAX_PRIORS 1000000

typedef struct
{
  float cx, cy, w, h; /* pixels */
} Prior;

typedef struct
{
  int scores, boxes; /* numbers of the outputs */
  int classes, background;
  QfScore score;
  GArray *priors; /* NULL: boxes are decoded */
  float centre_variance, size_variance;
} Ssd;

static void
ssd_close (gpointer state)
{
  Ssd *s = state;

  g_clear_pointer (&s->priors, g_array_unref);
  g_free (s);
}

/* Appends a level such as "8 10x10 16x16". */
static gboolean
add_level (Ssd *s, const char *text, int width, int height)
{
  g_auto (GStrv) words = g_strsplit_set (text, " \t", -1);
  g_autoptr (GArray) sizes = g_array_new (FALSE, FALSE, sizeof (Prior));
  guint64 stride = 0;
  int w, h;

  for (int i = 0; words[i]; i++) {
    char *end;
    Prior p = { 0 };

    if (!*words[i])
      continue;
    if (!stride) {
      if (!g_ascii_string_to_unsigned (
              words[i], 10, 1, QF_MAX_STRIDE, &stride, NULL))
        return FALSE;
      continue;
    }
    p.w = (float) g_ascii_strtod (words[i], &end);
    if (*end != 'x')
      return FALSE;
    p.h = (float) g_ascii_strtod (end + 1, &end);
    if (*end || !isfinite (p.w) || !isfinite (p.h) || p.w <= 0 || p.h <= 0)
      return FALSE;
    g_array_append_val (sizes, p);
  }
  if (!stride || sizes->len == 0)
    return FALSE;
  w = (width + (int) stride - 1) / (int) stride;
  h = (height + (int) stride - 1) / (int) stride;
  if ((gint64) w * h * sizes->len + s->priors->len > MAX_PRIORS)
    return FALSE;
  for (int i = 0; i < w * h; i++)
    for (guint k = 0; k < sizes->len; k++) {
      Prior p = g_array_index (sizes, Prior, k);

      p.cx = ((float) (i % w) + 0.5f) * (float) stride;
      p.cy = ((float) (i / w) + 0.5f) * (float) stride;
      g_array_append_val (s->priors, p);
    }
  return TRUE;
}

static gboolean
make_priors (Ssd *s, const QfModel *model, GError **error)
{
  const char *text = qf_model_get (model, "qfuse.head.priors");
  const char *variances = qf_model_get (model, "qfuse.head.variances");
  g_auto (GStrv) levels = g_strsplit (text ? text : "", ";", -1);
  g_auto (GStrv) v = g_strsplit (variances ? variances : "0.1,0.2", ",", -1);
  int c, h, w;

  s->priors = g_array_new (FALSE, FALSE, sizeof (Prior));
  qf_model_input_shape (model, &c, &h, &w);
  for (int i = 0; levels[i]; i++)
    if (!add_level (s, levels[i], w, h)) {
      g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
          "head ssd: qfuse.head.priors \"%.100s\" is not of the form \"8 10x10 "
          "16x16; 16 32x32\" or makes more than %d",
          text ? text : "", MAX_PRIORS);
      return FALSE;
    }
  if (g_strv_length (v) == 2) {
    s->centre_variance = (float) g_ascii_strtod (v[0], NULL);
    s->size_variance = (float) g_ascii_strtod (v[1], NULL);
  }
  if (!(s->centre_variance > 0) || !(s->size_variance > 0)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "head ssd: qfuse.head.variances \"%.100s\" is not two numbers over 0, "
        "such as 0.1,0.2",
        variances);
    return FALSE;
  }
  return TRUE;
}

static gboolean
names_boxes (const QfTensor *t)
{
  return t->name && (strstr (t->name, "box") || strstr (t->name, "loc"));
}

/* Which output is which. FALSE: they are not a pair. */
static gboolean
place_outputs (Ssd *s, const QfTensor *t, int n_outputs)
{
  if (n_outputs != 2 || t[0].n != 1 || t[1].n != 1 || t[0].w != 1 ||
      t[1].w != 1 || t[0].c != t[1].c)
    return FALSE;
  s->boxes = t[0].h == 4 && (t[1].h != 4 || names_boxes (&t[0])) ? 0 : 1;
  s->scores = 1 - s->boxes;
  s->classes = t[s->scores].h;
  return t[s->boxes].h == 4;
}

static gpointer
ssd_open (
    const QfModel *model, const QfTensor *shapes, int n_outputs, GError **error)
{
  const char *boxes = qf_model_get (model, "qfuse.head.boxes");
  Ssd *s = g_new0 (Ssd, 1);
  int labels;

  if (!place_outputs (s, shapes, n_outputs)) {
    qf_head_misfit ("ssd", shapes, n_outputs, error,
        "two outputs [1, priors, classes] and [1, priors, 4] are needed");
    goto fail;
  }
  s->background = (int) qf_model_get_double (model, "qfuse.head.background", 0);
  labels = s->classes - (s->background >= 0);
  if (s->background < -1 || s->background >= s->classes || labels < 1 ||
      qf_head_labels (model, labels) != labels) {
    qf_head_misfit ("ssd", shapes, n_outputs, error,
        "qfuse.labels and qfuse.head.background do not fit its classes");
    goto fail;
  }
  if (!qf_score_init (&s->score, model, QF_SCORE_NONE,
          1u << QF_SCORE_NONE | 1u << QF_SCORE_SIGMOID | 1u << QF_SCORE_SOFTMAX,
          error))
    goto fail;
  if (g_strcmp0 (boxes, "encoded") == 0) {
    if (!make_priors (s, model, error))
      goto fail;
    if ((int) s->priors->len != shapes[s->boxes].c) {
      qf_head_misfit ("ssd", shapes, n_outputs, error,
          "qfuse.head.priors makes another number of boxes");
      goto fail;
    }
  }
  return s;

fail:
  ssd_close (s);
  return NULL;
}

static float
softmax_score (const QfRows *r, int row, int classes, float v)
{
  int number;
  float most = qf_rows_best (r, row, 0, classes, &number);
  double sum = 0;

  for (int c = 0; c < classes; c++)
    sum += exp ((double) (qf_rows_at (r, row, c) - most));
  return (float) (exp ((double) (v - most)) / sum);
}

/* The best class of row @i that is not the background. */
static float
best_label (const Ssd *s, const QfRows *r, int i, int *label)
{
  float best = -INFINITY;

  *label = -1;
  for (int c = 0; c < s->classes; c++) {
    float v = qf_rows_at (r, i, c);

    if (isnan (v))
      return v;
    if (c != s->background && v > best) {
      best = v;
      *label = c - (s->background >= 0 && c > s->background);
    }
  }
  return s->score == QF_SCORE_SOFTMAX ? softmax_score (r, i, s->classes, best)
                                      : qf_score_of (s->score, best);
}

static void
ssd_decode (gpointer state, const QfHeadInfo *info, const QfTensor *outputs,
    float threshold, QfResult *result)
{
  const Ssd *s = state;
  QfRows scores = qf_rows_listed (&outputs[s->scores]);
  QfRows boxes = qf_rows_listed (&outputs[s->boxes]);
  float w = (float) info->input_w, h = (float) info->input_h;

  for (int i = 0; i < outputs[s->boxes].c; i++) {
    int label;
    float score = best_label (s, &scores, i, &label), b[4];

    if (!(score >= threshold) || label < 0)
      continue;
    for (int j = 0; j < 4; j++)
      b[j] = qf_rows_at (&boxes, i, j);
    if (s->priors) {
      const Prior *p = &g_array_index (s->priors, Prior, i);

      qf_result_add (result, p->cx + b[0] * s->centre_variance * p->w,
          p->cy + b[1] * s->centre_variance * p->h,
          p->w * expf (b[2] * s->size_variance),
          p->h * expf (b[3] * s->size_variance), score, label);
    } else {
      qf_result_add (result, (b[0] + b[2]) / 2 * w, (b[1] + b[3]) / 2 * h,
          (b[2] - b[0]) * w, (b[3] - b[1]) * h, score, label);
    }
  }
}

static gboolean
ssd_fits (QfModel *model, const QfTensor *shapes, int n_outputs)
{
  Ssd s = { 0 };

  return place_outputs (&s, shapes, n_outputs) && s.classes > 1;
}

const QfHead qf_head_ssd = { .name = "ssd",
  .open = ssd_open,
  .close = ssd_close,
  .decode = ssd_decode,
  .fits = ssd_fits };
