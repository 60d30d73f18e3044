/* libqfuse: operators on single elements in a plan.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine-private.h"

#include <math.h>
#include <string.h>

enum
{
  MIN_ELEMENTS = 20 * 1000 /* of a task: some 10 µs */
};

/* A step with one input of the output's shape. */
static QfStep *
one_to_one (QfEngine *e, const QfNode *n, QfStepRows run, const char *kernel,
    GError **error)
{
  int in = qf_plan_operand (e, n, 0, error), out;
  const QfTensor *x, *y;
  QfStep *s;

  if (in < 0 || (out = qf_plan_result (e, n, error)) < 0)
    return NULL;
  x = &qf_engine_slot (e, in)->t;
  y = &qf_engine_slot (e, out)->t;
  if (x->c != y->c || x->h != y->h || x->w != y->w) {
    qf_plan_unsupported (n, "its output has not its input's shape", error);
    return NULL;
  }
  s = qf_plan_step (e, n, run, kernel, 1, &in, out, y->h);
  qf_plan_tasks (e, s, (gint64) qf_tensor_elements (y), MIN_ELEMENTS, s->rows);
  return s;
}

/* Add, Mul --------------------------------------------------------------------- */

/* @b may have one value a channel for all pixels. */
static void
run_two_u8 (const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *a = qf_step_in (e, s, 0), *b = qf_step_in (e, s, 1);
  const QfTensor *t = qf_step_out (e, s);
  gsize at = (gsize) row0 * qf_tensor_row (t),
        n = (gsize) (row1 - row0) * qf_tensor_row (t);
  const guint8 *pa = (guint8 *) a->data + at, *pb = b->data;
  guint8 *y = (guint8 *) t->data + at;
  gboolean whole = b->h == t->h && b->w == t->w;
  gsize step = whole ? n : (gsize) t->c;

  for (gsize i = 0; i < n; i += step)
    (s->multiplies ? e->k->mul_u8 : e->k->add_u8) (
        &s->add, pa + i, whole ? pb + at : pb, y + i, step);
  if (s->requant.table)
    e->k->lookup_u8 (y, s->requant.table, y, n);
}

/* @b NULL: a value a channel in @by_channel. */
static void
multiply_f32 (const float *a, const float *b, const float *by_channel, float lo,
    float hi, float *y, gsize n, gsize channels)
{
  for (gsize i = 0; i < n; i++) {
    float v = a[i] * (b ? b[i] : by_channel[i % channels]);

    y[i] = MIN (MAX (v, lo), hi);
  }
}

static void
run_two_f32 (const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *a = qf_step_in (e, s, 0), *b = qf_step_in (e, s, 1);
  const QfTensor *t = qf_step_out (e, s);
  gsize at = (gsize) row0 * qf_tensor_row (t),
        n = (gsize) (row1 - row0) * qf_tensor_row (t);
  const float *pa = (float *) a->data + at, *pb = b->data;
  float *y = (float *) t->data + at;

  if (s->multiplies)
    multiply_f32 (pa, b->h == t->h && b->w == t->w ? pb + at : NULL, pb,
        s->lo, s->hi, y, n, (gsize) t->c);
  else if (b->h == t->h && b->w == t->w)
    e->k->add_f32 (pa, pb + at, s->lo, s->hi, y, n);
  else
    e->k->affine_f32 (
        pa, NULL, pb, s->lo, s->hi, y, (int) (n / (gsize) t->c), t->c);
  if (s->sigmoid)
    e->k->sigmoid_f32 (y, y, n);
}

static gboolean
same_shape (const QfTensor *a, const QfTensor *b)
{
  return a->c == b->c && a->h == b->h && a->w == b->w;
}

gboolean
qf_plan_two (QfEngine *e, const QfNode *n, GError **error)
{
  int in[2], out;
  const QfTensor *a, *b, *y;
  QfPlanCodes codes;
  QfStep *s;

  for (int i = 0; i < 2; i++)
    if ((in[i] = qf_plan_operand (e, n, i, error)) < 0)
      return FALSE;
  if ((out = qf_plan_result (e, n, error)) < 0)
    return FALSE;
  y = &qf_engine_slot (e, out)->t;
  if (!same_shape (&qf_engine_slot (e, in[0])->t, y)) {
    int swap = in[0];

    in[0] = in[1];
    in[1] = swap;
  }
  a = &qf_engine_slot (e, in[0])->t;
  b = &qf_engine_slot (e, in[1])->t;
  if (!same_shape (a, y) ||
      (!same_shape (b, y) && (b->c != y->c || b->h * b->w != 1)))
    return qf_plan_unsupported (n,
        "operands must have one shape, or one of them a value a channel",
        error);
  if (a->dtype != y->dtype || b->dtype != y->dtype)
    return qf_plan_unsupported (
        n, "its operands are not both quantized", error);
  s = qf_plan_step (e, n, y->dtype == QF_U8 ? run_two_u8 : run_two_f32,
      n->op == QF_OP_MUL ? y->dtype == QF_U8 ? "mul_u8" : "mul_f32"
          : y->dtype == QF_U8 ? "add_u8" : "add_f32",
      2, in, out, y->h);
  s->multiplies = n->op == QF_OP_MUL;
  qf_plan_tasks (e, s, (gint64) qf_tensor_elements (y), MIN_ELEMENTS, s->rows);
  if (y->dtype == QF_F32) {
    qf_plan_activation_f32 (s, n);
    return TRUE;
  }
  if (!qf_plan_codes (n, y, &codes, error))
    return FALSE;
  s->add = (QfAddU8){ a->scale, b->scale, codes.scale, a->zero, b->zero,
    codes.zero, codes.lo, codes.hi };
  s->requant.table = codes.table;
  return TRUE;
}

/* Functions that stand alone ------------------------------------ */

static void
run_unary (const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *t = qf_step_out (e, s);
  gsize at = (gsize) row0 * qf_tensor_row (t),
        n = (gsize) (row1 - row0) * qf_tensor_row (t);

  if (t->dtype == QF_U8) {
    const guint8 *from = (guint8 *) x->data + at;
    guint8 *to = (guint8 *) t->data + at;

    if (s->tables[0])
      e->k->lookup_u8 (from, s->tables[0], to, n);
    else
      memcpy (to, from, n);
  } else {
    const float *from = (float *) x->data + at;
    float *to = (float *) t->data + at;

    if (s->function)
      for (gsize i = 0; i < n; i++)
        to[i] = qf_node_apply_act (
            s->function, qf_node_apply (s->function, from[i]));
    else if (s->sigmoid)
      e->k->sigmoid_f32 (from, to, n);
    else
      e->k->affine_f32 (
          from, NULL, NULL, s->lo, s->hi, to, (row1 - row0) * t->w, t->c);
  }
}

gboolean
qf_plan_unary (QfEngine *e, const QfNode *n, GError **error)
{
  QfStep *s = one_to_one (e, n, run_unary, "lookup_u8", error);
  const QfTensor *x, *y;

  if (!s)
    return FALSE;
  x = qf_step_in (e, s, 0);
  y = qf_step_out (e, s);
  if (x->dtype != y->dtype || n->act == QF_ACT_FUNCTION)
    return qf_plan_unsupported (
        n, "its input and output are not both quantized", error);
  if (y->dtype == QF_U8) {
    s->tables[0] = qf_plan_table (n, x, y);
  } else if (n->act == QF_ACT_NONE &&
      (n->op == QF_OP_SIGMOID || n->op == QF_OP_RELU || n->op == QF_OP_CLIP)) {
    s->info.kernel = n->op == QF_OP_SIGMOID ? "sigmoid_f32" : "affine_f32";
  } else {
    s->info.kernel = "function";
    s->function = n;
  }
  qf_plan_activation_f32 (s, n);
  return TRUE;
}

/* BatchNormalization that could not be folded ----------------------------- */

static void
run_batch_norm (
    const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *t = qf_step_out (e, s);
  gsize at = (gsize) row0 * qf_tensor_row (t),
        n = (gsize) (row1 - row0) * qf_tensor_row (t);
  float *y = (float *) t->data + at;

  e->k->affine_f32 ((float *) x->data + at, s->mult, s->bias_f, s->lo, s->hi, y,
      (row1 - row0) * t->w, t->c);
  if (s->sigmoid)
    e->k->sigmoid_f32 (y, y, n);
}

gboolean
qf_plan_batch_norm (QfEngine *e, const QfNode *n, GError **error)
{
  QfStep *s = one_to_one (e, n, run_batch_norm, "affine_f32", error);
  const float *p[4];
  int c;

  if (!s)
    return FALSE;
  c = s->info.c;
  if (qf_step_in (e, s, 0)->dtype != QF_F32 || s->info.quantized)
    return qf_plan_unsupported (n, "batch normalization of codes", error);
  for (int i = 0; i < 4; i++) {
    const QfValue *v = n->n_in > i + 1 && n->in[i + 1] >= 0
        ? qf_graph_value (e->graph, n->in[i + 1])
        : NULL;

    if (!v || !v->data || v->dtype != QF_F32 || qf_value_elements (v) != c)
      return qf_plan_unsupported (n, "its parameters are not constant", error);
    p[i] = v->data;
  }
  s->mult = g_new (float, c);
  s->bias_f = g_new (float, c);
  for (int i = 0; i < c; i++) {
    double g = p[0][i] / sqrt ((double) p[3][i] + n->epsilon);

    s->mult[i] = (float) g;
    s->bias_f[i] = (float) (p[1][i] - p[2][i] * g);
  }
  qf_plan_activation_f32 (s, n);
  return TRUE;
}

/* QuantizeLinear, DequantizeLinear ---------------------------------------- */

static void
run_quantize (
    const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *t = qf_step_out (e, s);
  gsize at = (gsize) row0 * qf_tensor_row (t),
        n = (gsize) (row1 - row0) * qf_tensor_row (t);

  e->k->quantize_f32_u8 (
      &s->quantize, (float *) x->data + at, (guint8 *) t->data + at, n);
}

static void
run_dequantize (
    const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *t = qf_step_out (e, s);
  gsize at = (gsize) row0 * qf_tensor_row (t),
        n = (gsize) (row1 - row0) * qf_tensor_row (t);
  float *y = (float *) t->data + at;

  e->k->dequantize_u8_f32 ((guint8 *) x->data + at, x->scale, x->zero, y, n);
  qf_step_activate_f32 (e, s, y, n);
}

gboolean
qf_plan_quantize (QfEngine *e, const QfNode *n, GError **error)
{
  QfStep *s = one_to_one (e, n, run_quantize, "quantize_f32_u8", error);
  const QfTensor *y;

  if (!s)
    return FALSE;
  y = qf_step_out (e, s);
  if (qf_step_in (e, s, 0)->dtype != QF_F32 || y->dtype != QF_U8 ||
      n->act != QF_ACT_NONE)
    return qf_plan_unsupported (
        n, "quantizes something else than float32", error);
  s->quantize = (QfQuantize){ y->scale, y->zero, 0, 255 };
  return TRUE;
}

gboolean
qf_plan_dequantize (QfEngine *e, const QfNode *n, GError **error)
{
  QfStep *s = one_to_one (e, n, run_dequantize, "dequantize_u8_f32", error);

  if (!s)
    return FALSE;
  if (qf_step_in (e, s, 0)->dtype != QF_U8 ||
      qf_step_out (e, s)->dtype != QF_F32)
    return qf_plan_unsupported (
        n, "dequantizes something else than uint8", error);
  qf_plan_activation_f32 (s, n);
  return TRUE;
}
