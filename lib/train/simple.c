/* libqfuse: the layers without weights: one row of a table an operator.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/layers.h"

#include <math.h>

static const QfLayerOps layers[] = {
  [QF_LAYER_ADD] = { QF_OP_ADD, qf_layer_two_measure, NULL,
      qf_layer_two_forward, qf_layer_two_backward, FALSE },
  [QF_LAYER_MUL] = { QF_OP_MUL, qf_layer_two_measure, NULL,
      qf_layer_two_forward, qf_layer_two_backward, FALSE },
  [QF_LAYER_CONCAT] = { QF_OP_CONCAT, NULL, qf_layer_concat_prepare,
      qf_layer_concat_forward, qf_layer_concat_backward, FALSE },
  [QF_LAYER_SLICE] = { QF_OP_SLICE, NULL, NULL, qf_layer_slice_forward,
      qf_layer_slice_backward, TRUE },
  [QF_LAYER_MAX_POOL] = { QF_OP_MAX_POOL, NULL, NULL, qf_layer_max_forward,
      qf_layer_max_backward, TRUE },
  [QF_LAYER_AVERAGE_POOL] = { QF_OP_AVERAGE_POOL, qf_layer_average_measure,
      NULL, qf_layer_average_forward, qf_layer_average_backward, FALSE },
  [QF_LAYER_GLOBAL_AVG] = { QF_OP_GLOBAL_AVG_POOL, qf_layer_average_measure,
      NULL, qf_layer_average_forward, qf_layer_average_backward, FALSE },
  [QF_LAYER_RESIZE] = { QF_OP_RESIZE_NEAREST, NULL, NULL,
      qf_layer_resize_forward, qf_layer_resize_backward, TRUE },
  /* its node says which function */
  [QF_LAYER_FUNCTION] = { QF_N_OPS, NULL, qf_layer_function_prepare,
      qf_layer_function_forward, qf_layer_function_backward, FALSE },
};

gboolean
qf_simple_kind (QfOp op, QfLayerKind *kind)
{
  if (qf_op_is_function (op)) {
    *kind = QF_LAYER_FUNCTION;
    return TRUE;
  }
  for (int k = QF_LAYER_CONV + 1; k < (int) G_N_ELEMENTS (layers); k++)
    if (layers[k].op == op) {
      *kind = (QfLayerKind) k;
      return TRUE;
    }
  return FALSE;
}

gboolean
qf_simple_keeps_scale (QfLayerKind kind)
{
  return layers[kind].keeps_scale;
}

guint8
qf_job_quantize (const QfJob *j, const QfBlob *b, float v)
{
  const QfQuantize q = { b->scale, b->zero, 0, b->top };
  guint8 code;

  j->net->kernels->quantize_f32_u8 (&q, &v, &code, 1);
  return code;
}

float
qf_job_clip (const QfJob *j, float v)
{
  return j->l->clip ? MIN (MAX (v, j->l->clip_lo), j->l->clip_hi) : v;
}

void
qf_job_start_range (QfJob *j, int image)
{
  j->range[2 * image] = INFINITY;
  j->range[2 * image + 1] = -INFINITY;
}

static void
init_job (QfJob *j, QfNet *net, QfLayer *l, int n)
{
  *j = (QfJob){ net, l, qf_net_blob (net, l->out) };
  j->n = n;
  for (int i = 0; i < l->n_in; i++)
    j->x[i] = qf_net_blob (net, l->in[i]);
}

static void
move_range (QfJob *j)
{
  double lo = INFINITY, hi = -INFINITY;

  for (int i = 0; i < j->n; i++) {
    lo = MIN (lo, j->range[2 * i]);
    hi = MAX (hi, j->range[2 * i + 1]);
  }
  if (j->l->clip) {
    lo = CLAMP (lo, (double) j->l->clip_lo, (double) j->l->clip_hi);
    hi = CLAMP (hi, (double) j->l->clip_lo, (double) j->l->clip_hi);
  }
  qf_blob_update_range (j->y, lo, hi);
}

void
qf_simple_forward (QfNet *net, QfLayer *l, int n, gboolean train)
{
  const QfLayerOps *ops = &layers[l->kind];
  QfJob j;
  g_autofree double *range = NULL;

  init_job (&j, net, l, n);
  if (ops->measure && train && !net->frozen) {
    j.range = range = g_new (double, 2 * n);
    qf_pool_run (net->pool, ops->measure, &j, n);
    move_range (&j);
  }
  if (ops->prepare)
    ops->prepare (&j);
  if (ops->keeps_scale) {
    j.y->scale = j.x[0]->scale;
    j.y->zero = j.x[0]->zero;
    j.y->top = j.x[0]->top;
  }
  j.lo_code = l->clip ? qf_job_quantize (&j, j.y, l->clip_lo) : 0;
  j.hi_code = l->clip ? qf_job_quantize (&j, j.y, l->clip_hi) : j.y->top;
  qf_pool_run (net->pool, ops->forward, &j, n);
}

void
qf_simple_backward (QfNet *net, QfLayer *l, int n)
{
  QfJob j;

  init_job (&j, net, l, n);
  qf_pool_run (net->pool, layers[l->kind].backward, &j, n);
}
