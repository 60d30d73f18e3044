/* libqfuse: the anchor-free head of FCOS.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Tian, Shen, Chen, He: FCOS: Fully Convolutional One-Stage Object Detection,
 * ICCV 2019, without the centre-ness branch. Each level of stride s has two
 * outputs, known by name: `cls_<s>` [1, labels, H, W], logits of the scores,
 * and `box_<s>` [1, 4, H, W], from which the distances from the cell's centre
 * ((x + 1/2)·s, (y + 1/2)·s) to left, top, right, bottom are
 * exp(clamp(v, −4, 5))·s. `qfuse.head.score`: `sigmoid` (default) or `none`
 * where `cls` holds the scores themselves. */
#include <math.h>
#include <string.h>

#include "vision/heads-private.h"

#define MAX_LEVELS 8
#define MAX_STRIDE 1024

/* Elements that are looked at together: most hold no candidate. */
#define BLOCK 64

/* What the codes of a quantized output mean: taken once. */
typedef struct
{
  gboolean made;
  float scale; /* of the tensor that it is for */
  int zero;
  float value[256];
} Table;

typedef struct
{
  int stride;
  int cls, box; /* numbers of the outputs, −1: not seen */
  Table scores, distances;
} Level;

typedef struct
{
  gboolean sigmoid;
  int n_levels;
  Level level[MAX_LEVELS];
} Fcos;

static Level *
find_level (Fcos *f, int stride)
{
  for (int i = 0; i < f->n_levels; i++)
    if (f->level[i].stride == stride)
      return &f->level[i];
  if (f->n_levels == MAX_LEVELS)
    return NULL;
  f->level[f->n_levels] = (Level){ .stride = stride, .cls = -1, .box = -1 };
  return &f->level[f->n_levels++];
}

/* Puts output @i in its place by its name. */
static gboolean
place_output (Fcos *f, const char *name, int i, GError **error)
{
  gboolean cls = name && g_str_has_prefix (name, "cls_");
  guint64 stride = 0;
  Level *level = NULL;
  int *slot = NULL;

  if ((cls || (name && g_str_has_prefix (name, "box_"))) &&
      g_ascii_string_to_unsigned (name + 4, 10, 1, MAX_STRIDE, &stride, NULL))
    level = find_level (f, (int) stride);
  if (level)
    slot = cls ? &level->cls : &level->box;
  if (!slot || *slot >= 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "head fcos: output \"%s\" is not one of at most %d pairs cls_<stride>, "
        "box_<stride>",
        name ? name : "", MAX_LEVELS);
    return FALSE;
  }
  *slot = i;
  return TRUE;
}

/* Rows or columns of a level: as many as the stride goes into the input, where
 * it does not go evenly one more or less, as padding has it. */
static gboolean
cells_fit (int cells, int size, int stride)
{
  return cells == size / stride || cells == (size + stride - 1) / stride;
}

static gboolean
check_level (const QfModel *model, const Level *l, const QfTensor *shapes,
    GError **error)
{
  const QfTensor *cls, *box;
  int c, h, w, labels = qf_model_n_labels (model);

  if (l->cls < 0 || l->box < 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "head fcos: output %s_%d is missing", l->cls < 0 ? "cls" : "box",
        l->stride);
    return FALSE;
  }
  cls = &shapes[l->cls];
  box = &shapes[l->box];
  qf_model_input_shape (model, &c, &h, &w);
  if (cls->n != 1 || box->n != 1 || cls->c < 1 || box->c != 4 ||
      cls->h != box->h || cls->w != box->w ||
      !cells_fit (cls->h, h, l->stride) || !cells_fit (cls->w, w, l->stride)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "head fcos: outputs %s [%d, %d, %d, %d] and %s [%d, %d, %d, %d] do not "
        "fit stride %d and an input of %dx%d",
        cls->name, cls->n, cls->c, cls->h, cls->w, box->name, box->n, box->c,
        box->h, box->w, l->stride, w, h);
    return FALSE;
  }
  if (labels > 0 && cls->c != labels) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "head fcos: output %s has %d channels, but qfuse.labels names %d "
        "labels",
        cls->name, cls->c, labels);
    return FALSE;
  }
  return TRUE;
}

static gpointer
fcos_open (
    const QfModel *model, const QfTensor *shapes, int n_outputs, GError **error)
{
  const char *score = qf_model_get (model, "qfuse.head.score");
  g_autofree Fcos *f = g_new0 (Fcos, 1);

  f->sigmoid = !score || strcmp (score, "sigmoid") == 0;
  if (!f->sigmoid && strcmp (score, "none") != 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "head fcos: qfuse.head.score is \"%s\", known are sigmoid and none",
        score);
    return NULL;
  }
  for (int i = 0; i < n_outputs; i++)
    if (!place_output (f, shapes[i].name, i, error))
      return NULL;
  for (int i = 0; i < f->n_levels; i++) {
    if (!check_level (model, &f->level[i], shapes, error))
      return NULL;
    if (shapes[f->level[i].cls].c != shapes[f->level[0].cls].c) {
      g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
          "head fcos: the levels have different numbers of labels");
      return NULL;
    }
  }
  if (f->n_levels == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "head fcos: the model has no outputs");
    return NULL;
  }
  return g_steal_pointer (&f);
}

/* In double, then rounded: libraries of mathematics differ in the last bit of
 * double, which hardly ever shows in float. */
static float
to_score (const Fcos *f, float v)
{
  return f->sigmoid ? (float) (1 / (1 + exp (-(double) v))) : v;
}

static float
to_distance (float v, int stride)
{
  return (float) (exp (CLAMP ((double) v, -4.0, 5.0)) * stride);
}

/* TRUE where @table is not for @t's codes yet; it is for them from now on. */
static gboolean
table_renew (Table *table, const QfTensor *t)
{
  if (table->made && table->scale == t->scale && table->zero == t->zero)
    return FALSE;
  table->made = TRUE;
  table->scale = t->scale;
  table->zero = t->zero;
  return TRUE;
}

static float
code_value (const QfTensor *t, int code)
{
  return t->scale * (float) (code - t->zero);
}

static void
prepare_tables (const Fcos *f, Level *l, const QfTensor *outputs)
{
  const QfTensor *cls = &outputs[l->cls], *box = &outputs[l->box];

  if (cls->dtype == QF_U8 && table_renew (&l->scores, cls))
    for (int q = 0; q < 256; q++)
      l->scores.value[q] = to_score (f, code_value (cls, q));
  if (box->dtype == QF_U8 && table_renew (&l->distances, box))
    for (int q = 0; q < 256; q++)
      l->distances.value[q] = to_distance (code_value (box, q), l->stride);
}

static void
add_box (const Level *l, const QfTensor *outputs, int label, int y, int x,
    float score, QfResult *result)
{
  const QfTensor *t = &outputs[l->box];
  float d[4];
  QfBox box = { .score = score, .label = label };

  for (int i = 0; i < 4; i++) {
    gsize at = qf_tensor_index (t, i, y, x);

    if (t->dtype == QF_U8) {
      d[i] = l->distances.value[((const guint8 *) t->data)[at]];
    } else {
      float v = ((const float *) t->data)[at];

      if (isnan (v))
        return;
      d[i] = to_distance (v, l->stride);
    }
  }
  box.x = ((float) x + 0.5f) * (float) l->stride - d[0];
  box.y = ((float) y + 0.5f) * (float) l->stride - d[1];
  box.w = d[0] + d[2];
  box.h = d[1] + d[3];
  g_array_append_val (result->boxes, box);
}

/* Element @i of @t in memory order, as a cell and a label. */
static void
locate (const QfTensor *t, gsize i, int *label, int *y, int *x)
{
  gsize c = (gsize) t->c, w = (gsize) t->w, cells = w * (gsize) t->h;
  gsize cell = t->layout == QF_NHWC ? i / c : i % cells;

  *label = (int) (t->layout == QF_NHWC ? i % c : i / cells);
  *y = (int) (cell / w);
  *x = (int) (cell % w);
}

static gboolean
any_code (const guint8 *p, gsize n, int least)
{
  guint8 most = 0;

  if (n < BLOCK)
    return TRUE;
  for (int i = 0; i < BLOCK; i++) /* a constant number: vector code */
    most = MAX (most, p[i]);
  return most >= least;
}

static void
decode_codes (
    const Level *l, const QfTensor *outputs, float threshold, QfResult *result)
{
  const QfTensor *t = &outputs[l->cls];
  const guint8 *codes = t->data;
  const float *scores = l->scores.value;
  gsize n = (gsize) t->c * t->h * t->w;
  int least = 0; /* the smallest code that passes: scores rise with codes */

  while (least < 256 && !(scores[least] >= threshold))
    least++;
  if (least == 256)
    return;
  for (gsize at = 0; at < n; at += BLOCK) {
    gsize end = MIN (n, at + BLOCK);

    if (!any_code (codes + at, end - at, least))
      continue;
    for (gsize i = at; i < end; i++) {
      int label, y, x;

      if (codes[i] < least)
        continue;
      locate (t, i, &label, &y, &x);
      add_box (l, outputs, label, y, x, scores[codes[i]], result);
    }
  }
}

/* A logit below which no score reaches @threshold; the score itself decides. */
static float
least_logit (const Fcos *f, float threshold)
{
  if (!f->sigmoid)
    return threshold;
  if (threshold <= 0)
    return -INFINITY;
  if (threshold >= 1)
    return 10;
  return (float) log ((double) threshold / (1 - (double) threshold)) - 0.01f;
}

static gboolean
any_logit (const float *p, gsize n, float least)
{
  int any = 0;

  if (n < BLOCK)
    return TRUE;
  for (int i = 0; i < BLOCK; i++)
    any |= p[i] >= least;
  return any;
}

static void
decode_floats (const Fcos *f, const Level *l, const QfTensor *outputs,
    float threshold, QfResult *result)
{
  const QfTensor *t = &outputs[l->cls];
  const float *logits = t->data;
  gsize n = (gsize) t->c * t->h * t->w;
  float least = least_logit (f, threshold);

  for (gsize at = 0; at < n; at += BLOCK) {
    gsize end = MIN (n, at + BLOCK);

    if (!any_logit (logits + at, end - at, least))
      continue;
    for (gsize i = at; i < end; i++) {
      int label, y, x;
      float score;

      if (!(logits[i] >= least))
        continue;
      score = to_score (f, logits[i]);
      if (!(score >= threshold))
        continue;
      locate (t, i, &label, &y, &x);
      add_box (l, outputs, label, y, x, score, result);
    }
  }
}

static void
fcos_decode (gpointer state, const QfHeadInfo *info, const QfTensor *outputs,
    float threshold, QfResult *result)
{
  Fcos *f = state;

  for (int i = 0; i < f->n_levels; i++) {
    Level *l = &f->level[i];

    prepare_tables (f, l, outputs);
    if (outputs[l->cls].dtype == QF_U8)
      decode_codes (l, outputs, threshold, result);
    else
      decode_floats (f, l, outputs, threshold, result);
  }
}

const QfHead qf_head_fcos = {
  .name = "fcos", .open = fcos_open, .close = g_free, .decode = fcos_decode
};
