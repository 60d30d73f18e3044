/* libqfuse: heads of the YOLO family with one output for all strides.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * yolox (Ge et al., 2021): [1, cells, 5 + labels]: box b, objectness o, classes
 * p. Centre (x + b0, y + b1)·s, size exp(b2)·s by exp(b3)·s; with
 * `qfuse.head.boxes` = `decoded` b is the centre and the size in pixels. Score
 * o·max(p).
 *
 * yolov5 (Ultralytics, 2020; also v7): the same rows, decoded, of any number.
 *
 * yolov8 (Ultralytics, 2023; also 11): [1, 4 + labels + 3·points, cells]
 * without objectness: centre and size in pixels, classes, points (x, y, score).
 * Files with [1, cells, …] are taken too. */
#include <string.h>

#include "vision/heads/rows.h"

typedef struct
{
  const char *name;
  QfLevels levels; /* yolox that is to be decoded */
  gboolean encoded, objectness, gridded;
  QfScore score;
  int rows, labels, n_points;
} Yolo;

static gpointer
yolo_open (const char *name, const QfModel *model, const QfTensor *shapes,
    int n_outputs, const char *what, GError **error)
{
  g_autofree Yolo *y = g_new0 (Yolo, 1);
  gboolean v8 = strcmp (name, "yolov8") == 0;
  int cols, fixed = v8 ? 4 : 5, rest;

  y->objectness = !v8;
  if (!qf_score_init (&y->score, model, QF_SCORE_NONE,
          1u << QF_SCORE_NONE | 1u << QF_SCORE_SIGMOID, error))
    return NULL;
  if (n_outputs != 1 || shapes[0].n != 1 || shapes[0].w != 1) {
    qf_head_misfit (name, shapes, n_outputs, error, what);
    return NULL;
  }
  /* There are more cells than values a cell. */
  y->gridded = shapes[0].c < shapes[0].h;
  cols = y->gridded ? shapes[0].c : shapes[0].h;
  y->rows = y->gridded ? shapes[0].h : shapes[0].c;
  y->labels = qf_head_labels (model, cols - fixed);
  rest = cols - fixed - y->labels;
  y->n_points = v8 && rest > 0 && rest % 3 == 0 ? rest / 3 : 0;
  if (y->labels < 1 || rest != 3 * y->n_points) {
    qf_head_misfit (name, shapes, n_outputs, error, what);
    return NULL;
  }
  return g_steal_pointer (&y);
}

static gpointer
yolox_open (
    const QfModel *model, const QfTensor *shapes, int n_outputs, GError **error)
{
  const char *boxes = qf_model_get (model, "qfuse.head.boxes");
  g_autofree Yolo *y = yolo_open ("yolox", model, shapes, n_outputs,
      "one output [1, cells, 5 + labels] is needed", error);

  if (!y)
    return NULL;
  y->encoded = g_strcmp0 (boxes, "decoded") != 0;
  if (!y->encoded)
    return g_steal_pointer (&y);
  if (!qf_levels_init (&y->levels, model, "8,16,32", error))
    return NULL;
  if (y->levels.cells != y->rows) {
    qf_head_misfit ("yolox", shapes, n_outputs, error,
        "its rows are not the cells of qfuse.head.strides");
    return NULL;
  }
  return g_steal_pointer (&y);
}

static gpointer
yolov5_open (
    const QfModel *model, const QfTensor *shapes, int n_outputs, GError **error)
{
  return yolo_open ("yolov5", model, shapes, n_outputs,
      "one output [1, boxes, 5 + labels] is needed", error);
}

static gpointer
yolov8_open (
    const QfModel *model, const QfTensor *shapes, int n_outputs, GError **error)
{
  return yolo_open ("yolov8", model, shapes, n_outputs,
      "one output [1, 4 + labels + 3·points, cells] is needed", error);
}

/* Adds row @i, a cell at (@x, @y) of stride @s (0: decoded already). */
static void
add_row (const Yolo *y, const QfRows *r, int i, float x, float cy, float s,
    float threshold, QfResult *result)
{
  float b[4], score = 1;
  int label, fixed = y->objectness ? 5 : 4;
  QfKeyPoint *points;

  if (y->objectness)
    score = qf_score_of (y->score, qf_rows_at (r, i, 4));
  if (!(score >= threshold)) /* probabilities are at most 1 */
    return;
  score *=
      qf_score_of (y->score, qf_rows_best (r, i, fixed, y->labels, &label));
  if (!(score >= threshold))
    return;
  for (int j = 0; j < 4; j++)
    b[j] = qf_rows_at (r, i, j);
  if (s > 0) {
    b[0] = (b[0] + x) * s;
    b[1] = (b[1] + cy) * s;
    b[2] = expf (b[2]) * s;
    b[3] = expf (b[3]) * s;
  }
  if (!qf_result_add (result, b[0], b[1], b[2], b[3], score, label))
    return;
  points = qf_result_add_points (result, y->n_points);
  for (int k = 0; points && k < y->n_points; k++) {
    int at = fixed + y->labels + 3 * k;

    points[k] = (QfKeyPoint){ qf_rows_at (r, i, at), qf_rows_at (r, i, at + 1),
      qf_rows_at (r, i, at + 2) };
  }
}

static void
yolo_decode (gpointer state, const QfHeadInfo *info, const QfTensor *outputs,
    float threshold, QfResult *result)
{
  const Yolo *y = state;
  QfRows r = y->gridded ? qf_rows_gridded (outputs) : qf_rows_listed (outputs);

  if (!y->encoded)
    for (int i = 0; i < y->rows; i++)
      add_row (y, &r, i, 0, 0, 0, threshold, result);
  for (int n = 0; n < y->levels.n; n++) {
    const QfLevel *l = &y->levels.level[n];

    for (int i = 0; i < l->w * l->h; i++)
      add_row (y, &r, l->first + i, (float) (i % l->w), (float) (i / l->w),
          (float) l->stride, threshold, result);
  }
}

/* A row for each cell of strides 8, 16 and 32: an anchor-free head. */
static gboolean
yolox_fits (QfModel *model, const QfTensor *shapes, int n_outputs)
{
  QfLevels levels;

  return n_outputs == 1 && shapes[0].w == 1 && shapes[0].c > shapes[0].h &&
      shapes[0].h > 5 &&
      shapes[0].h == 5 + qf_head_labels (model, shapes[0].h - 5) &&
      qf_levels_init (&levels, model, "8,16,32", NULL) &&
      shapes[0].c == levels.cells;
}

/* Three anchors a cell. */
static gboolean
yolov5_fits (QfModel *model, const QfTensor *shapes, int n_outputs)
{
  QfLevels levels;

  return n_outputs == 1 && shapes[0].w == 1 && shapes[0].c > shapes[0].h &&
      shapes[0].h == 5 + qf_head_labels (model, shapes[0].h - 5) &&
      qf_levels_init (&levels, model, "8,16,32", NULL) &&
      shapes[0].c == 3 * levels.cells;
}

static gboolean
yolov8_fits (QfModel *model, const QfTensor *shapes, int n_outputs)
{
  QfLevels levels;

  return n_outputs == 1 && shapes[0].n == 1 && shapes[0].w == 1 &&
      shapes[0].c < shapes[0].h && shapes[0].c > 4 &&
      qf_levels_init (&levels, model, "8,16,32", NULL) &&
      shapes[0].h == levels.cells;
}

const QfHead qf_head_yolox = { .name = "yolox",
  .open = yolox_open,
  .close = g_free,
  .decode = yolo_decode,
  .fits = yolox_fits };
const QfHead qf_head_yolov5 = { .name = "yolov5",
  .open = yolov5_open,
  .close = g_free,
  .decode = yolo_decode,
  .fits = yolov5_fits };
const QfHead qf_head_yolov8 = { .name = "yolov8",
  .open = yolov8_open,
  .close = g_free,
  .decode = yolo_decode,
  .fits = yolov8_fits };
