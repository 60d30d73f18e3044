/* libqfuse: the head of networks whose file already ends in boxes, after
 * non-maximum suppression inside.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Outputs, of any number of dimensions, told by name, type and shape:
 * boxes [..., 4 to 7], scores and labels of as many rows (or columns of the
 * boxes), how many rows count, and selected indices [..., 3] (picture, class,
 * box: what ONNX's NonMaxSuppression gives) beside all boxes and scores [1,
 * classes, boxes]. Others are not read.
 *
 * `qfuse.head.columns`: what the columns of the boxes are, in order: a box as
 * x0,y0,x1,y1 or x0,y0,w,h or cx,cy,w,h in any order; score; label; image (rows
 * of others than 0 are left out); "-" for what is not read.
 * `qfuse.head.units`: `pixels` of the input (default) or `shares` of it.
 * `qfuse.head.first`: number of the first label (0; 1 where 0 is the
 * background). */
#include <string.h>

#include "vision/heads/rows.h"

#define MAX_COLUMNS 16

typedef enum
{
  X0,
  Y0,
  X1,
  Y1,
  CX,
  CY,
  W,
  H,
  SCORE,
  LABEL,
  IMAGE,
  N_ROLES
} Role;

static const char *const roles[N_ROLES] = { "x0", "y0", "x1", "y1", "cx", "cy",
  "w", "h", "score", "label", "image" };

typedef struct
{
  /* numbers of the outputs, −1: none */
  int boxes, scores, labels, count, picked;
  int columns;         /* of the boxes */
  int column[N_ROLES]; /* −1: none */
  int first;
  gboolean shares;
} Boxes;

/* ---- outputs ------------------------------------------------------------ */

static gint64
elements (const QfTensor *t)
{
  return (gint64) t->n * t->c * t->h * t->w;
}

/* The last dimension, as far as a tensor has more than one. */
static int
width_of (const QfTensor *t)
{
  return t->w > 1 ? t->w : t->h > 1 ? t->h : t->c;
}

static gboolean
named (const QfTensor *t, const char *words)
{
  g_auto (GStrv) list = g_strsplit (words, " ", -1);
  g_autofree char *name = g_ascii_strdown (t->name ? t->name : "", -1);

  for (int i = 0; list[i]; i++)
    if (strstr (name, list[i]))
      return TRUE;
  return FALSE;
}

static void
take (int *place, int output)
{
  if (*place < 0)
    *place = output;
}

static void
place_output (Boxes *b, const QfTensor *t, int i)
{
  gboolean whole = t->dtype == QF_I32 || t->dtype == QF_I64;
  gboolean wide = width_of (t) >= 4 && width_of (t) <= 7 && !whole;

  if (named (t, "raw_ multiclass anchor mask keypoint"))
    return;
  if (elements (t) == 1 && named (t, "num count"))
    take (&b->count, i);
  else if (named (t, "selected indices") && width_of (t) == 3)
    take (&b->picked, i);
  else if (named (t, "label class cls"))
    take (&b->labels, i);
  else if (named (t, "score conf prob"))
    take (&b->scores, i);
  else if (wide && named (t, "box det loc out"))
    take (&b->boxes, i);
  else if (whole)
    take (width_of (t) == 3 && elements (t) > 3 ? &b->picked : &b->labels, i);
  else if (wide)
    take (&b->boxes, i);
  else
    take (&b->scores, i);
}

/* Whether they are enough and go together. */
static gboolean
place_outputs (Boxes *b, const QfTensor *t, int n_outputs)
{
  gint64 rows;

  b->boxes = b->scores = b->labels = b->count = b->picked = -1;
  for (int i = 0; i < n_outputs; i++)
    place_output (b, &t[i], i);
  if (b->boxes < 0)
    return FALSE;
  b->columns = width_of (&t[b->boxes]);
  if (b->columns < 4 || b->columns > 7)
    return FALSE;
  rows = elements (&t[b->boxes]) / b->columns;
  if (b->picked >= 0)
    return b->scores >= 0 && elements (&t[b->scores]) % rows == 0;
  return (b->scores < 0 || elements (&t[b->scores]) == rows) &&
      (b->labels < 0 || elements (&t[b->labels]) == rows);
}

/* ---- metadata ----------------------------------------------------------- */

static gboolean
read_columns (Boxes *b, const char *text)
{
  g_auto (GStrv) words = g_strsplit (text, ",", -1);
  int n = (int) g_strv_length (words);

  for (int k = 0; k < N_ROLES; k++)
    b->column[k] = -1;
  if (n != b->columns || n > MAX_COLUMNS)
    return FALSE;
  for (int i = 0; i < n; i++) {
    const char *word = g_strstrip (words[i]);
    int k = 0;

    while (k < N_ROLES && strcmp (word, roles[k]) != 0)
      k++;
    if (k == N_ROLES ? strcmp (word, "-") != 0 : b->column[k] >= 0)
      return FALSE;
    if (k < N_ROLES)
      b->column[k] = i;
  }
  return (b->column[X0] >= 0) != (b->column[CX] >= 0) &&
      (b->column[Y0] >= 0) != (b->column[CY] >= 0) &&
      (b->column[X1] >= 0) != (b->column[W] >= 0) &&
      (b->column[Y1] >= 0) != (b->column[H] >= 0) &&
      !(b->column[CX] >= 0 && b->column[W] < 0) &&
      !(b->column[CY] >= 0 && b->column[H] < 0);
}

static const char *
usual_columns (int n)
{
  return n == 4 ? "x0,y0,x1,y1"
      : n == 5  ? "x0,y0,x1,y1,score"
      : n == 6  ? "x0,y0,x1,y1,score,label"
                : "image,x0,y0,x1,y1,label,score";
}

static gpointer
boxes_open (
    const QfModel *model, const QfTensor *shapes, int n_outputs, GError **error)
{
  const char *columns = qf_model_get (model, "qfuse.head.columns");
  const char *units = qf_model_get (model, "qfuse.head.units");
  g_autofree Boxes *b = g_new0 (Boxes, 1);

  if (!place_outputs (b, shapes, n_outputs)) {
    qf_head_misfit ("boxes", shapes, n_outputs, error,
        "boxes of 4 to 7 columns, and scores and labels of as many rows, are "
        "needed");
    return NULL;
  }
  if (!read_columns (b, columns ? columns : usual_columns (b->columns))) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "head boxes: qfuse.head.columns \"%.100s\" does not say what %d "
        "columns are, such as %s",
        columns ? columns : "", b->columns, usual_columns (b->columns));
    return NULL;
  }
  if (b->scores < 0 && b->column[SCORE] < 0) {
    qf_head_misfit (
        "boxes", shapes, n_outputs, error, "no output holds the scores");
    return NULL;
  }
  if (units && strcmp (units, "pixels") != 0 && strcmp (units, "shares") != 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "head boxes: qfuse.head.units \"%.100s\" is not pixels or shares",
        units);
    return NULL;
  }
  b->shares = g_strcmp0 (units, "shares") == 0;
  b->first =
      (int) CLAMP (qf_model_get_double (model, "qfuse.head.first", 0), 0, 1e6);
  return g_steal_pointer (&b);
}

/* ---- decoding ----------------------------------------------------------- */

/* Element @i of a tensor of any type, in the file's order. */
static double
value_at (const QfTensor *t, gint64 i)
{
  int plane = MAX (t->h * t->w, 1);

  if (t->layout == QF_NHWC)
    i = (gint64) qf_tensor_index (t, (int) (i / plane),
        (int) (i % plane) / MAX (t->w, 1), (int) (i % plane) % MAX (t->w, 1));
  switch (t->dtype) {
    case QF_F32:
      return (double) ((const float *) t->data)[i];
    case QF_I64:
      return (double) ((const gint64 *) t->data)[i];
    case QF_I32:
      return ((const gint32 *) t->data)[i];
    case QF_U8:
      return (double) t->scale * (((const guint8 *) t->data)[i] - t->zero);
    default:
      return 0;
  }
}

/* A number of at most @most; −1 where it is none. */
static gint64
number_at (const QfTensor *t, gint64 i, gint64 most)
{
  double v = value_at (t, i);

  return v >= 0 && v <= (double) most ? (gint64) (v + 0.5) : -1;
}

static void
add_row (const Boxes *b, const QfHeadInfo *info, const QfTensor *t, gint64 row,
    double score, gint64 label, QfResult *result)
{
  double v[N_ROLES] = { 0 }, sx = b->shares ? info->input_w : 1;
  double sy = b->shares ? info->input_h : 1;

  for (int k = 0; k < SCORE; k++)
    if (b->column[k] >= 0)
      v[k] = value_at (t, row * b->columns + b->column[k]);
  if (b->column[X1] >= 0)
    v[W] = v[X1] - v[X0];
  if (b->column[Y1] >= 0)
    v[H] = v[Y1] - v[Y0];
  if (b->column[X0] >= 0)
    v[CX] = v[X0] + v[W] / 2;
  if (b->column[Y0] >= 0)
    v[CY] = v[Y0] + v[H] / 2;
  if (label < 0 || label > G_MAXINT32 ||
      (info->n_labels > 0 && label >= info->n_labels))
    return;
  qf_result_add (result, (float) (v[CX] * sx), (float) (v[CY] * sy),
      (float) (v[W] * sx), (float) (v[H] * sy), (float) score, (int) label);
}

static void
decode_picked (const Boxes *b, const QfHeadInfo *info, const QfTensor *t,
    float threshold, QfResult *result)
{
  const QfTensor *picked = &t[b->picked], *scores = &t[b->scores];
  gint64 rows = elements (&t[b->boxes]) / b->columns;
  gint64 classes = rows ? elements (scores) / rows : 0;

  for (gint64 i = 0; i < elements (picked) / 3; i++) {
    gint64 image = number_at (picked, 3 * i, 0);
    gint64 label = number_at (picked, 3 * i + 1, classes - 1);
    gint64 row = number_at (picked, 3 * i + 2, rows - 1);
    double score;

    if (image < 0 || label < 0 || row < 0)
      continue;
    score = value_at (scores, label * rows + row);
    if (score >= (double) threshold)
      add_row (b, info, &t[b->boxes], row, score, label - b->first, result);
  }
}

static void
boxes_decode (gpointer state, const QfHeadInfo *info, const QfTensor *t,
    float threshold, QfResult *result)
{
  const Boxes *b = state;
  const QfTensor *boxes = &t[b->boxes];
  gint64 rows = elements (boxes) / b->columns;

  if (b->picked >= 0) {
    decode_picked (b, info, t, threshold, result);
    return;
  }
  if (b->count >= 0)
    rows = elements (&t[b->count]) ? number_at (&t[b->count], 0, rows) : 0;
  if (b->scores >= 0)
    rows = MIN (rows, elements (&t[b->scores]));
  if (b->labels >= 0)
    rows = MIN (rows, elements (&t[b->labels]));
  for (gint64 i = 0; i < rows; i++) {
    double score = b->scores >= 0
        ? value_at (&t[b->scores], i)
        : value_at (boxes, i * b->columns + b->column[SCORE]);
    gint64 label = b->labels >= 0 ? number_at (&t[b->labels], i, G_MAXINT32)
        : b->column[LABEL] >= 0
        ? number_at (boxes, i * b->columns + b->column[LABEL], G_MAXINT32)
        : b->first;

    if (score >= (double) threshold && label >= 0 &&
        (b->column[IMAGE] < 0 ||
            number_at (boxes, i * b->columns + b->column[IMAGE], 0) == 0))
      add_row (b, info, boxes, i, score, label - b->first, result);
  }
}

/* ---- recognition -------------------------------------------------------- */

/* One output that may be a list of boxes with scores and labels. */
static gboolean
is_list (const QfTensor *t, int n_outputs, int columns)
{
  gint64 rows = elements (t) / columns;

  return n_outputs == 1 && columns >= 6 && rows <= 1000 &&
      (rows == t->n || rows == t->c || (rows == t->h && t->w > 1));
}

/* TensorFlow's names say the order of columns, shares, and labels from 1; boxes
 * and labels are torchvision's names, where label 0 is the background. */
static gboolean
boxes_fits (QfModel *model, const QfTensor *shapes, int n_outputs)
{
  Boxes b;

  if (!place_outputs (&b, shapes, n_outputs))
    return FALSE;
  if (b.picked < 0 && b.labels < 0 && !is_list (shapes, n_outputs, b.columns))
    return FALSE;
  if (b.picked < 0 && b.scores < 0 && b.columns < 5)
    return FALSE;
  if (qf_find_output (shapes, n_outputs, "detection_boxes") &&
      qf_find_output (shapes, n_outputs, "detection_classes")) {
    qf_model_set (model, "qfuse.head.columns", "y0,x0,y1,x1");
    qf_model_set (model, "qfuse.head.units", "shares");
    qf_model_set (model, "qfuse.head.first", "1");
  } else if (qf_find_output (shapes, n_outputs, "boxes") &&
      qf_find_output (shapes, n_outputs, "labels"))
    qf_model_set (model, "qfuse.head.first", "1");
  return TRUE;
}

const QfHead qf_head_boxes = { .name = "boxes",
  .open = boxes_open,
  .close = g_free,
  .decode = boxes_decode,
  .fits = boxes_fits };
