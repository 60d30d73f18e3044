/* libqfuse: pooling and operators that move elements in a plan.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine-private.h"

#include <string.h>

enum
{
  MIN_BYTES = 40 * 1000 /* of a task: some 10 µs */
};

static guint8 *
row_at (const QfTensor *t, int row)
{
  return (guint8 *) t->data +
      (gsize) row * qf_tensor_row (t) * qf_dtype_size (t->dtype);
}

QfStep *
qf_plan_move (QfEngine *e, const QfNode *n, QfStepRows run, const char *kernel,
    GError **error)
{
  int in = qf_plan_operand (e, n, 0, error), out;
  const QfTensor *x, *y;
  QfStep *s;

  if (in < 0 || (out = qf_plan_result (e, n, error)) < 0)
    return NULL;
  x = &qf_engine_slot (e, in)->t;
  y = &qf_engine_slot (e, out)->t;
  if (x->dtype != y->dtype) {
    qf_plan_unsupported (
        n, "its input and output are not both quantized", error);
    return NULL;
  }
  s = qf_plan_step (e, n, run, kernel, 1, &in, out, y->h);
  qf_plan_tasks (e, s,
      (gint64) (qf_tensor_elements (y) * qf_dtype_size (y->dtype)), MIN_BYTES,
      s->rows);
  if (y->dtype == QF_U8)
    s->tables[0] = qf_plan_table (n, x, y);
  else
    qf_plan_activation_f32 (s, n);
  return s;
}

/* Codes through the table, floats through the activation. */
void
qf_step_finish (const QfEngine *e, const QfStep *s, void *y, gsize n)
{
  if (!s->info.quantized)
    qf_step_activate_f32 (e, s, y, n);
  else if (s->tables[0])
    e->k->lookup_u8 (y, s->tables[0], y, n);
}

/* MaxPool ----------------------------------------------------------------- */

static void
run_max_pool (
    const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *t = qf_step_out (e, s);
  void *y = row_at (t, row0);

  if (t->dtype == QF_U8)
    e->k->max_pool_u8 (&s->shape, x->data, y, row0, row1);
  else
    e->k->max_pool_f32 (&s->shape, x->data, y, row0, row1);
  qf_step_finish (e, s, y, (gsize) (row1 - row0) * qf_tensor_row (t));
}

/* Has each of @out windows an element of the input in it? */
static gboolean
windows_hold (int in, int out, int kernel, int stride, int pad, int dilation)
{
  for (int o = 0; o < out; o++) {
    gint64 at = (gint64) o * stride - pad;
    gint64 k = at < 0 ? (-at + dilation - 1) / dilation : 0;

    if (k >= kernel || at + k * dilation >= in)
      return FALSE;
  }
  return TRUE;
}

gboolean
qf_plan_max_pool (QfEngine *e, const QfNode *n, GError **error)
{
  QfStep *s = qf_plan_move (e, n, run_max_pool, "max_pool_u8", error);
  const QfWindow *w = &n->win;
  const QfTensor *x, *y;

  if (!s)
    return FALSE;
  x = qf_step_in (e, s, 0);
  y = qf_step_out (e, s);
  if (!s->info.quantized)
    s->info.kernel = "max_pool_f32";
  s->shape = (QfConvShape){ x->h, x->w, x->c, y->h, y->w, y->c, w->kernel[0],
    w->kernel[1], w->stride[0], w->stride[1], w->pad[0], w->pad[1],
    w->dilation[0], w->dilation[1], 1 };
  if (x->c != y->c || (gint64) w->kernel[0] * w->dilation[0] > G_MAXINT / 2 ||
      (gint64) w->kernel[1] * w->dilation[1] > G_MAXINT / 2 ||
      !windows_hold (
          x->h, y->h, w->kernel[0], w->stride[0], w->pad[0], w->dilation[0]) ||
      !windows_hold (
          x->w, y->w, w->kernel[1], w->stride[1], w->pad[1], w->dilation[1]))
    return qf_plan_unsupported (
        n, "a window lies wholly outside its input", error);
  return TRUE;
}

/* AveragePool ------------------------------------------------------------- */

/* First and last + 1 tap of a window at @at that lie in the input. */
static void
taps_inside (int at, int in, int kernel, int dilation, int *k0, int *k1)
{
  *k0 = at < 0 ? (-at + dilation - 1) / dilation : 0;
  *k1 = in > at ? MIN (kernel, (in - at + dilation - 1) / dilation) : 0;
}

/* Codes: Σ (x − z_x), exact; numbers: the sum in the order of the window. Of @n
 * taps at @from, @step elements apart. */
static void
add_taps (const QfTensor *x, gsize from, int n, gsize step, gint32 *sums)
{
  float *real = (float *) sums;

  for (int k = 0; k < n; k++, from += step)
    if (x->dtype == QF_U8)
      for (int c = 0; c < x->c; c++)
        sums[c] += ((const guint8 *) x->data)[from + (gsize) c] - x->zero;
    else
      for (int c = 0; c < x->c; c++)
        real[c] += ((const float *) x->data)[from + (gsize) c];
}

static void
run_average_pool (
    const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *t = qf_step_out (e, s);
  const QfConvShape *p = &s->shape;
  gint32 *sums = qf_step_scratch (e, worker);
  float *mult = (float *) (sums + t->c);
  QfRequant requant = s->requant;
  int last = 0;
  gsize to = (gsize) row0 * qf_tensor_row (t);

  requant.mult = mult;
  for (int oy = row0; oy < row1; oy++)
    for (int ox = 0; ox < t->w; ox++, to += (gsize) t->c) {
      int y0 = oy * p->stride_h - p->pad_top, ky0, ky1;
      int x0 = ox * p->stride_w - p->pad_left, kx0, kx1, count;

      taps_inside (y0, x->h, p->kernel_h, p->dilation_h, &ky0, &ky1);
      taps_inside (x0, x->w, p->kernel_w, p->dilation_w, &kx0, &kx1);
      memset (sums, 0, (gsize) t->c * sizeof *sums);
      for (int ky = ky0; ky < ky1; ky++)
        add_taps (x,
            ((gsize) (y0 + ky * p->dilation_h) * (gsize) x->w +
                (gsize) (x0 + kx0 * p->dilation_w)) *
                (gsize) x->c,
            kx1 - kx0, (gsize) p->dilation_w * (gsize) x->c, sums);
      count = s->include_pad ? p->kernel_h * p->kernel_w
                             : (ky1 - ky0) * (kx1 - kx0);
      if (t->dtype == QF_F32) {
        float *y = (float *) t->data + to;

        for (int c = 0; c < t->c; c++)
          y[c] = ((const float *) sums)[c] / (float) count;
        qf_step_activate_f32 (e, s, y, (gsize) t->c);
        continue;
      }
      for (int c = 0; count != last && c < t->c; c++)
        mult[c] = x->scale / (s->quantize.scale * (float) count);
      last = count;
      e->k->requant_s32_u8 (&requant, sums, (guint8 *) t->data + to, 1, t->c);
    }
}

/* MaxPool's plan with other work; @n->act is none or a clip on codes. */
gboolean
qf_plan_average_pool (QfEngine *e, const QfNode *n, GError **error)
{
  QfPlanCodes codes;
  QfStep *s;

  if (!qf_plan_max_pool (e, n, error))
    return FALSE;
  s = g_ptr_array_index (e->steps, e->steps->len - 1);
  s->run = run_average_pool;
  s->info.kernel = s->info.quantized ? "average_u8" : "average_f32";
  s->include_pad = n->include_pad;
  qf_plan_scratch (e, 2 * (gsize) s->info.c * sizeof (gint32));
  if ((gint64) n->win.kernel[0] * n->win.kernel[1] > 1 << 23)
    return qf_plan_unsupported (n, "its sums do not fit into 32 bits", error);
  g_clear_pointer (&s->tables[0], g_free);
  if (!s->info.quantized)
    return TRUE;
  if (!qf_plan_codes (n, qf_step_out (e, s), &codes, error))
    return FALSE;
  s->quantize.scale = codes.scale;
  s->requant =
      (QfRequant){ NULL, NULL, codes.zero, codes.lo, codes.hi, codes.table };
  return TRUE;
}

/* GlobalAveragePool ------------------------------------------------------- */

static void
run_global_avg (
    const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *t = qf_step_out (e, s);
  gint32 *sums = qf_step_scratch (e, worker);

  if (t->dtype == QF_F32) {
    e->k->mean_f32 (x->data, t->data, x->h * x->w, x->c);
    qf_step_activate_f32 (e, s, t->data, (gsize) t->c);
    return;
  }
  e->k->sum_u8_s32 (x->data, x->zero, sums, x->h * x->w, x->c);
  e->k->requant_s32_u8 (&s->requant, sums, t->data, 1, x->c);
}

gboolean
qf_plan_global_avg (QfEngine *e, const QfNode *n, GError **error)
{
  QfStep *s = qf_plan_move (e, n, run_global_avg, "sum_u8_s32", error);
  const QfTensor *x, *y;
  QfPlanCodes codes;

  if (!s)
    return FALSE;
  x = qf_step_in (e, s, 0);
  y = qf_step_out (e, s);
  if (x->c != y->c || y->h * y->w != 1)
    return qf_plan_unsupported (n, "its output is not one pixel", error);
  if (!s->info.quantized) {
    s->info.kernel = "mean_f32";
    return TRUE;
  }
  if ((gint64) x->h * x->w > 1 << 23)
    return qf_plan_unsupported (n, "its sums do not fit into 32 bits", error);
  if (!qf_plan_codes (n, y, &codes, error))
    return FALSE;
  s->mult = g_new (float, y->c);
  for (int c = 0; c < y->c; c++)
    s->mult[c] = x->scale / (codes.scale * (float) (x->h * x->w));
  s->requant =
      (QfRequant){ NULL, s->mult, codes.zero, codes.lo, codes.hi, codes.table };
  qf_plan_scratch (e, (gsize) x->c * sizeof (gint32));
  return TRUE;
}

/* Resize ------------------------------------------------------------------ */

static void
run_resize (const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *t = qf_step_out (e, s);
  void *y = row_at (t, row0);

  e->k->resize_nearest (x->data, x->w, x->c, qf_dtype_size (x->dtype),
      s->scale_h, s->scale_w, y, row0, row1);
  qf_step_finish (e, s, y, (gsize) (row1 - row0) * qf_tensor_row (t));
}

gboolean
qf_plan_resize (QfEngine *e, const QfNode *n, GError **error)
{
  QfStep *s = qf_plan_move (e, n, run_resize, "resize_nearest", error);
  const QfTensor *x, *y;

  if (!s)
    return FALSE;
  x = qf_step_in (e, s, 0);
  y = qf_step_out (e, s);
  s->scale_h = n->scale_h;
  s->scale_w = n->scale_w;
  if (n->scale_h < 1 || n->scale_w < 1 || x->c != y->c ||
      (gint64) x->h * n->scale_h != y->h || (gint64) x->w * n->scale_w != y->w)
    return qf_plan_unsupported (
        n, "its output is not its input times whole factors", error);
  return TRUE;
}

/* Concat ------------------------------------------------------------------ */

static void
run_concat (const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *t = qf_step_out (e, s);
  gsize size = qf_dtype_size (t->dtype), at = 0, run, whole;

  /* contiguous elements of the output that the inputs divide, per input in
   * proportion to its share of the axis */
  whole = s->axis == 1 ? (gsize) t->c : qf_tensor_row (t);
  for (int i = 0; i < s->n_in; i++, at += run) {
    const QfTensor *x = qf_step_in (e, s, i);
    gsize runs = s->axis == 1 ? (gsize) (row1 - row0) * (gsize) t->w
                              : (gsize) (row1 - row0);
    const guint8 *from = row_at (x, row0);
    guint8 *to = row_at (t, row0) + at * size;

    run = s->axis == 1 ? (gsize) x->c : qf_tensor_row (x);
    for (gsize r = 0; r < runs; r++, from += run * size, to += whole * size)
      if (s->tables[i])
        e->k->lookup_u8 (from, s->tables[i], to, run);
      else
        memcpy (to, from, run * size);
  }
  if (t->dtype == QF_F32)
    qf_step_activate_f32 (e, s, (float *) row_at (t, row0),
        (gsize) (row1 - row0) * qf_tensor_row (t));
}

/* Along rows: each input is one run. */
static void
run_concat_rows (
    const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *t = qf_step_out (e, s);
  gsize size = qf_dtype_size (t->dtype);
  guint8 *to = t->data;

  for (int i = 0; i < s->n_in; i++) {
    const QfTensor *x = qf_step_in (e, s, i);
    gsize n = qf_tensor_elements (x);

    if (s->tables[i])
      e->k->lookup_u8 (x->data, s->tables[i], to, n);
    else
      memcpy (to, x->data, n * size);
    to += n * size;
  }
  if (t->dtype == QF_F32)
    qf_step_activate_f32 (e, s, t->data, qf_tensor_elements (t));
}

static int
extent (const QfTensor *t, int axis)
{
  return axis == 1 ? t->c : axis == 2 ? t->h : t->w;
}

static gboolean
check_concat (QfEngine *e, const QfNode *n, const int *in, const QfTensor *y,
    int axis, GError **error)
{
  gint64 sum = 0;

  for (int i = 0; i < n->n_in; i++) {
    const QfTensor *x = &qf_engine_slot (e, in[i])->t;

    sum += extent (x, axis);
    for (int a = 1; a <= 3; a++)
      if (a != axis && extent (x, a) != extent (y, a))
        return qf_plan_unsupported (
            n, "its inputs differ in another axis", error);
    if (x->dtype != y->dtype)
      return qf_plan_unsupported (n, "its inputs are not all quantized", error);
  }
  return sum == extent (y, axis) ||
      qf_plan_unsupported (n, "its output has not its inputs' extent", error);
}

gboolean
qf_plan_concat (QfEngine *e, const QfNode *n, GError **error)
{
  g_autofree int *in = g_new (int, MAX (n->n_in, 1));
  int rank = qf_graph_value (e->graph, n->out)->rank;
  int axis = n->axis < 0 ? n->axis + rank : n->axis, out;
  const QfTensor *y;
  QfStep *s;

  for (int i = 0; i < n->n_in; i++)
    if ((in[i] = qf_plan_operand (e, n, i, error)) < 0)
      return FALSE;
  if ((out = qf_plan_result (e, n, error)) < 0)
    return FALSE;
  y = &qf_engine_slot (e, out)->t;
  if (n->n_in < 1 || axis < 1 || axis > 3)
    return qf_plan_unsupported (n, "joins images along the batch", error);
  if (!check_concat (e, n, in, y, axis, error))
    return FALSE;
  s = qf_plan_step (e, n, axis == 2 ? run_concat_rows : run_concat, "copy",
      n->n_in, in, out, axis == 2 ? 1 : y->h);
  s->axis = axis;
  qf_plan_tasks (e, s,
      (gint64) (qf_tensor_elements (y) * qf_dtype_size (y->dtype)), MIN_BYTES,
      s->rows);
  for (int i = 0; i < n->n_in && y->dtype == QF_U8; i++)
    s->tables[i] = qf_plan_table (n, qf_step_in (e, s, i), y);
  if (y->dtype == QF_F32)
    qf_plan_activation_f32 (s, n);
  return TRUE;
}

/* Slice ------------------------------------------------------------------- */

static void
run_slice (const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *t = qf_step_out (e, s);
  gsize size = qf_dtype_size (t->dtype), pixel = (gsize) t->c * size;
  int down = s->axis == 2 ? s->begin : 0, across = s->axis == 3 ? s->begin : 0;
  gsize skip = s->axis == 1 ? (gsize) s->begin * size : 0;

  for (int oy = row0; oy < row1; oy++) {
    const guint8 *from = row_at (x, oy + down) +
        (gsize) across * (gsize) x->c * size + skip;
    guint8 *to = row_at (t, oy);

    if (s->axis != 1)
      memcpy (to, from, pixel * (gsize) t->w);
    for (int ox = 0; s->axis == 1 && ox < t->w; ox++)
      memcpy (to + (gsize) ox * pixel, from + (gsize) ox * (gsize) x->c * size,
          pixel);
    qf_step_finish (e, s, to, qf_tensor_row (t));
  }
}

gboolean
qf_plan_slice (QfEngine *e, const QfNode *n, GError **error)
{
  QfStep *s = qf_plan_move (e, n, run_slice, "copy", error);
  const QfTensor *x, *y;

  if (!s)
    return FALSE;
  x = qf_step_in (e, s, 0);
  y = qf_step_out (e, s);
  if (n->axis < 1 || n->axis > 3 || n->begin < 0 ||
      n->end > extent (x, n->axis) || extent (y, n->axis) != n->end - n->begin)
    return qf_plan_unsupported (n, "it takes what is not there", error);
  s->axis = n->axis;
  s->begin = n->begin;
  return TRUE;
}

/* Flatten, and the layout of inputs --------------------------------------- */

static void
run_to_nchw (const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *t = qf_step_out (e, s);

  e->k->transpose (
      x->data, x->h * x->w, x->c, qf_dtype_size (x->dtype), t->data, 0, x->c);
  qf_step_finish (e, s, t->data, qf_tensor_elements (t));
}

gboolean
qf_plan_flatten (QfEngine *e, const QfNode *n, GError **error)
{
  QfStep *s = qf_plan_move (e, n, run_to_nchw, "transpose", error);

  if (!s)
    return FALSE;
  if (s->info.h * s->info.w != 1 ||
      qf_tensor_elements (qf_step_in (e, s, 0)) != (gsize) s->info.c)
    return qf_plan_unsupported (n, "flattens more than one image", error);
  return TRUE;
}

static void
run_to_nhwc (const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *t = qf_step_out (e, s);

  e->k->transpose (x->data, x->c, x->h * x->w, qf_dtype_size (x->dtype),
      row_at (t, row0), row0 * t->w, row1 * t->w);
}

void
qf_plan_to_nhwc (QfEngine *e, int from, int to)
{
  const QfTensor *t = &qf_engine_slot (e, to)->t;
  QfStep *s =
      qf_plan_step (e, NULL, run_to_nhwc, "transpose", 1, &from, to, t->h);

  qf_plan_tasks (e, s,
      (gint64) (qf_tensor_elements (t) * qf_dtype_size (t->dtype)), MIN_BYTES,
      s->rows);
}
