/* libqfuse: Conv and Gemm in a plan.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine-private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum
{
  MIN_MACS = 400 * 1000, /* of a task: 4 to 10 µs, what waking a thread costs */
  LINE = 64,             /* bytes of a line of the cache */
  GROUPED =
      4 /* a multiply-add of a depthwise layer takes so many times longer */
};

static void
run_u8 (const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *y = qf_step_out (e, s);

  e->k->conv_u8s8_u8 (&s->shape, x->data, x->zero, s->packed, &s->requant,
      (guint8 *) y->data + (gsize) row0 * qf_tensor_row (y), row0, row1, 0,
      y->c, qf_step_scratch (e, worker));
}

/* The step's "rows" are parts of channels. */
static void
run_channels (
    const QfEngine *e, const QfStep *s, int part0, int part1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *y = qf_step_out (e, s);

  e->k->conv_u8s8_u8 (&s->shape, x->data, x->zero, s->packed, &s->requant,
      y->data, 0, y->h, part0 * s->grain, MIN (y->c, part1 * s->grain),
      qf_step_scratch (e, worker));
}

static void
run_f32 (const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *y = qf_step_out (e, s);
  gsize row = (gsize) y->w * (gsize) y->c;
  float *to = (float *) y->data + (gsize) row0 * row;

  e->k->conv_f32 (&s->shape, x->data, s->packed, s->bias_f, s->lo, s->hi, to,
      row0, row1, qf_step_scratch (e, worker));
  if (s->sigmoid)
    e->k->sigmoid_f32 (to, to, (gsize) (row1 - row0) * row);
}

static gboolean
get_shape (const QfNode *n, const QfValue *w, const QfTensor *x,
    const QfTensor *y, QfConvShape *s, GError **error)
{
  const QfWindow *win = &n->win;
  gint64 columns, window;

  *s = (QfConvShape){ x->h, x->w, x->c, y->h, y->w, y->c, 1, 1, 1, 1, 0, 0, 1,
    1, 1 };
  if (n->op == QF_OP_CONV) {
    s->kernel_h = win->kernel[0];
    s->kernel_w = win->kernel[1];
    s->stride_h = win->stride[0];
    s->stride_w = win->stride[1];
    s->pad_top = win->pad[0];
    s->pad_left = win->pad[1];
    s->dilation_h = win->dilation[0];
    s->dilation_w = win->dilation[1];
    s->groups = win->groups;
  }
  if (s->groups < 1 || s->in_c % s->groups != 0 || s->out_c % s->groups != 0 ||
      (n->op == QF_OP_GEMM && x->h * x->w != 1) ||
      qf_value_elements (w) !=
          (gint64) s->out_c * (s->in_c / s->groups) * s->kernel_h * s->kernel_w)
    return qf_plan_unsupported (n, "its weights do not fit its input", error);
  /* the kernels count a row's columns and elements in int and size_t */
  window = (gint64) s->kernel_w * s->kernel_h * (s->in_c / s->groups);
  columns = MAX ((gint64) s->out_w * s->kernel_w,
      (gint64) (s->out_w - 1) * s->stride_w +
          (gint64) (s->kernel_w - 1) * s->dilation_w + 1);
  if ((gint64) s->out_h * s->stride_h > G_MAXINT / 2 ||
      (gint64) s->kernel_h * s->dilation_h > G_MAXINT / 2 ||
      columns > G_MAXINT / 2 ||
      window * s->out_w > (G_GINT64_CONSTANT (1) << 31) ||
      columns * s->kernel_h * s->in_c > (G_GINT64_CONSTANT (1) << 31))
    return qf_plan_unsupported (n, "its windows are too large", error);
  return TRUE;
}

/* docs/numerics.md (3): no sum, and no part of one, leaves 32 bits. */
static gboolean
check_range (const QfNode *n, const QfConvShape *s, const gint8 *w,
    const gint32 *bias, int x_zero, GError **error)
{
  gint64 k = (gint64) (s->in_c / s->groups) * s->kernel_h * s->kernel_w;
  int x_max = MAX (x_zero, 255 - x_zero);

  for (int o = 0; o < s->out_c; o++) {
    gint64 sum = qf_sum_of_sizes (w + o * k, k);

    if (sum * x_max + (bias ? ABS ((gint64) bias[o]) : 0) > G_MAXINT32)
      return qf_plan_unsupported (n, "its sums do not fit into 32 bits", error);
  }
  return TRUE;
}

/* @size rows or channels in units of @unit, the last of which may be smaller,
 * for @tasks: the share of the busiest thread, 1 where all have the same. */
static double
busiest (int size, int unit, int tasks, int threads)
{
  int units = (size + unit - 1) / unit, each = (units + tasks - 1) / tasks;
  int rounds = ((units + each - 1) / each + threads - 1) / threads;

  return (double) rounds * each * unit * threads / size;
}

/* Dividing @size channels into tasks of @each units repeats work on the input;
 * and where tasks share lines of the output, these go from cache to cache. */
static double
channels_cost (int size, int unit, int each)
{
  return size % LINE || each * unit % LINE ? 1.5 : 1.15;
}

/* Rows or channels, and into how many tasks: so that no thread has much more
 * than its share, and else into many, for threads come late or are taken away
 * where other work runs on their processors. Not more than four a thread: each
 * converts input and reads weights anew. */
static void
divide (const QfEngine *e, QfStep *s)
{
  int rows, channels, threads = qf_pool_threads (e->pool), by_channels = 0;
  gint64 work = s->info.macs * (s->shape.groups > 1 ? GROUPED : 1);
  int most = (int) CLAMP (work / MIN_MACS, 1, 4 * threads);
  int tasks = 1;
  double best = threads;

  e->k->conv_u8s8_grain (&s->shape, &s->requant, &rows, &channels);
  s->run = run_u8;
  for (int c = 0; c < (channels > 0 ? 2 : 1); c++) {
    int size = c ? s->shape.out_c : s->shape.out_h, unit = c ? channels : rows;
    int units = (size + unit - 1) / unit;

    for (int t = threads; t <= MIN (most, units); t += threads) {
      double share = busiest (size, unit, t, threads) *
          (c ? channels_cost (size, unit, (units + t - 1) / t) : 1);

      if (share <= best * 1.01) {
        best = MIN (best, share);
        tasks = t;
        by_channels = c;
      }
    }
  }
  if (by_channels) {
    s->run = run_channels;
    s->grain = channels;
    s->rows = (s->shape.out_c + channels - 1) / channels;
    s->rows_per_task = (s->rows + tasks - 1) / tasks;
  } else {
    int units = (s->rows + rows - 1) / rows;

    s->rows_per_task = MIN (s->rows, (units + tasks - 1) / tasks * rows);
  }
}

static gboolean
plan_u8 (QfEngine *e, const QfNode *n, QfStep *s, const QfValue *w,
    const QfValue *b, GError **error)
{
  const QfTensor *x = qf_step_in (e, s, 0), *y = qf_step_out (e, s);
  const gint32 *bias = b ? b->data : NULL;
  QfPlanCodes codes;

  if (w->dtype != QF_I8 || !w->scales || (b && b->dtype != QF_I32))
    return qf_plan_unsupported (
        n, "a uint8 input needs int8 weights and int32 bias", error);
  if (!check_range (n, &s->shape, w->data, bias, x->zero, error) ||
      !qf_plan_codes (n, y, &codes, error))
    return FALSE;
  s->requant =
      (QfRequant){ NULL, NULL, codes.zero, codes.lo, codes.hi, codes.table };
  s->mult = g_new (float, y->c);
  for (int o = 0; o < y->c; o++) {
    float k = x->scale * w->scales[o];

    s->mult[o] = k / codes.scale;
    if (!isfinite (s->mult[o]))
      return qf_plan_unsupported (n, "its scales are too far apart", error);
  }
  if (bias)
    s->bias = g_memdup2 (bias, (gsize) y->c * sizeof *bias);
  s->requant.mult = s->mult;
  s->requant.bias = s->bias;
  s->weights = qf_shared_weights (e->shared, e->k, w, &s->shape);
  s->w = w->data;
  s->by_rows = run_u8;
  s->info.kernel = "conv_u8s8_u8";
  divide (e, s);
  qf_plan_scratch (e, e->k->conv_u8s8_scratch_size (&s->shape));
  return TRUE;
}

static gboolean
plan_f32 (QfEngine *e, const QfNode *n, QfStep *s, const QfValue *w,
    const QfValue *b, GError **error)
{
  int oc = s->shape.out_c;

  if (w->dtype != QF_F32 || (b && b->dtype != QF_F32))
    return qf_plan_unsupported (
        n, "a float32 input needs float32 weights", error);
  if (b)
    s->bias_f = g_memdup2 (b->data, (gsize) oc * sizeof (float));
  qf_plan_activation_f32 (s, n);
  s->weights = qf_shared_weights (e->shared, e->k, w, &s->shape);
  s->w = w->data;
  s->run = run_f32;
  s->info.kernel = "conv_f32";
  qf_plan_tasks (e, s, s->info.macs, MIN_MACS, s->rows);
  qf_plan_scratch (e, e->k->conv_f32_scratch_size (&s->shape));
  return TRUE;
}

gboolean
qf_plan_conv (QfEngine *e, const QfNode *n, GError **error)
{
  const QfValue *w =
      n->n_in > 1 && n->in[1] >= 0 ? qf_graph_value (e->graph, n->in[1]) : NULL;
  const QfValue *b =
      n->n_in > 2 && n->in[2] >= 0 ? qf_graph_value (e->graph, n->in[2]) : NULL;
  int in = qf_plan_operand (e, n, 0, error), out;
  const QfTensor *x, *y;
  QfStep *s;

  if (in < 0 || (out = qf_plan_result (e, n, error)) < 0)
    return FALSE;
  x = &qf_engine_slot (e, in)->t;
  y = &qf_engine_slot (e, out)->t;
  if (!w || !w->data || (b && !b->data))
    return qf_plan_unsupported (n, "its weights are not constant", error);
  if (b && qf_value_elements (b) != y->c)
    return qf_plan_unsupported (n, "its bias does not fit its weights", error);
  if (x->dtype != y->dtype)
    return qf_plan_unsupported (
        n, "its input and output are not both quantized", error);
  s = qf_plan_step (e, n, NULL, NULL, 1, &in, out, y->h);
  if (!get_shape (n, w, x, y, &s->shape, error))
    return FALSE;
  s->info.macs = (gint64) y->h * y->w * qf_value_elements (w);
  s->info.weight_bits = w->dtype == QF_F32 ? 32 : w->bits ? w->bits : 8;
  s->info.file_bytes =
      ((gsize) qf_value_elements (w) * (gsize) s->info.weight_bits + 7) / 8 +
      (b ? (gsize) qf_value_elements (b) * 4 : 0);
  return y->dtype == QF_U8 ? plan_u8 (e, n, s, w, b, error)
                           : plan_f32 (e, n, s, w, b, error);
}
