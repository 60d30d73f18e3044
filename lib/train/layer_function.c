/* libqfuse: functions of one number in the trainer: a table, equation (9).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/layers.h"

#include <math.h>

/* The function's derivative; at a kink that of one side. */
static float
slope (const QfNode *n, float x)
{
  double v = (double) x, p = 1 / (1 + exp (-v));

  switch (n->op) {
    case QF_OP_RELU:
      return x > 0;
    case QF_OP_CLIP:
      return x > n->lo && x < n->hi;
    case QF_OP_SIGMOID:
      return (float) (p * (1 - p));
    case QF_OP_LEAKY_RELU:
      return x < 0 ? n->alpha : 1;
    case QF_OP_HARD_SWISH:
      return x <= -3 ? 0 : x >= 3 ? 1 : (float) (v / 3 + 0.5);
    case QF_OP_SILU:
      return (float) (p * (1 + v * (1 - p)));
    default:
      return 1;
  }
}

/* The output's range is that of the function over all codes of the input;
 * Sigmoid's is 0 … 1. */
void
qf_layer_function_prepare (QfJob *j)
{
  const QfNode *n = &j->l->node;
  const QfBlob *x = j->x[0];
  float value[256];
  double lo = 0, hi = n->op == QF_OP_SIGMOID ? 1 : 0;

  if (!j->net->quantize)
    return;
  for (int q = 0; q < 256; q++) {
    value[q] = qf_node_apply (n, x->scale * (float) (q - x->zero));
    value[q] = qf_job_clip (j, value[q]);
    if (q <= x->top) {
      lo = MIN (lo, (double) value[q]);
      hi = MAX (hi, (double) value[q]);
    }
  }
  j->y->range = (QfRange){ lo, hi, 1 };
  qf_blob_set_scale (j->y);
  for (int q = 0; q < 256; q++)
    j->table[0][q] = qf_job_quantize (j, j->y, value[q]);
}

void
qf_layer_function_forward (gpointer job, int image, int worker)
{
  QfJob *j = job;
  const QfBlob *x = j->x[0], *y = j->y;
  gsize n = qf_job_image_size (y), at = n * image;

  if (j->net->quantize)
    j->net->kernels->lookup_u8 (x->codes + at, j->table[0], y->codes + at, n);
  else
    for (gsize i = at; i < at + n; i++)
      y->real[i] = qf_job_clip (j, qf_node_apply (&j->l->node, x->real[i]));
}

void
qf_layer_function_backward (gpointer job, int image, int worker)
{
  QfJob *j = job;
  gsize n = qf_job_image_size (j->y), at = n * image;
  float table[256];

  if (!j->x[0]->grad)
    return;
  for (int q = 0; j->net->quantize && q < 256; q++)
    table[q] = slope (&j->l->node,
        j->x[0]->scale * (float) (q - j->x[0]->zero));
  for (gsize i = at; i < at + n; i++)
    if (qf_job_passes (j, i))
      j->x[0]->grad[i] += j->y->grad[i]
          * (j->net->quantize ? table[j->x[0]->codes[i]]
                              : slope (&j->l->node, j->x[0]->real[i]));
}
