/* libqfuse: bounds of activations that are learned.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Choi et al., PACT: Parameterized clipping activation for quantized neural
 * networks, 2018: the gradient of the bound is the sum of the gradients of what
 * is clipped by it. Divided by the root of the number of outputs, it has the size
 * of a weight's (Esser et al., Learned step size quantization, 2020). */
#include "train/conv-private.h"

#include <math.h>

gboolean
qf_range_learns (const QfNet *net, const QfLayer *l)
{
  return net->learn_ranges && net->quantize && l->conv && l->conv->has_bn
      && l->clip && l->clip_lo == 0.0f;
}

void
qf_range_move (QfBlob *y, double hi)
{
  if (y->bound <= 0) {
    qf_blob_update_range (y, 0, hi);
    if (y->range.n >= QF_RANGE_WARM)
      y->bound = (float) y->range.hi;
    return;
  }
  y->bound = MAX (y->bound, 0x1p-10f); /* a step may overshoot */
  y->range.lo = 0;
  y->range.hi = (double) y->bound;
  y->range.n++;
  qf_blob_set_scale (y);
}

typedef struct
{
  const QfBlob *y;
  int code;
  double *sums; /* [images] */
} Clipped;

static void
sum_image (gpointer data, int image, int worker)
{
  Clipped *c = data;
  gsize n = (gsize) c->y->h * c->y->w * c->y->c, at = n * (gsize) image;
  double sum = 0;

  for (gsize i = at; i < at + n; i++)
    if (c->y->codes[i] >= c->code)
      sum += (double) c->y->grad[i];
  c->sums[image] = sum;
}

void
qf_range_backward (QfNet *net, QfLayer *l, int n)
{
  QfBlob *y = qf_net_blob (net, l->out);
  g_autofree double *sums = g_new0 (double, n);
  Clipped c = { y, l->conv->hi_code, sums };
  double sum = 0;

  y->bound_grad = 0;
  if (net->frozen || y->bound <= 0)
    return;
  qf_pool_run (net->pool, sum_image, &c, n);
  for (int i = 0; i < n; i++)
    sum += sums[i];
  y->bound_grad
      = (float) (sum / sqrt ((double) n * y->h * y->w * (double) y->c));
}
