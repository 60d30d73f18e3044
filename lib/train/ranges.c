/* libqfuse: bounds of activations that are learned, or follow a percentile.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Choi et al., PACT: Parameterized clipping activation for quantized neural
 * networks, 2018: the gradient of the bound is the sum of the gradients of what
 * is clipped by it. Divided by the root of the number of outputs, it has the
 * size of a weight's (Esser et al., Learned step size quantization, 2020).
 *
 * Percentiles: Wu et al., Integer quantization for deep learning inference:
 * principles and empirical evaluation, 2020. */
#include "train/conv-private.h"

#include <math.h>

gboolean
qf_range_learns (const QfNet *net, const QfLayer *l)
{
  return (net->learn_ranges || net->percentile_ranges) && net->quantize &&
      l->conv && l->conv->has_bn && l->clip && l->clip_lo == 0.0f;
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

/* Of 10,000 outputs so many may be clipped. */
#define CLIPPED 1
/* One image in so many is looked at. */
#define EVERY 4
/* Share of the way that a batch moves the bound. */
#define MOVE 0.01

typedef struct
{
  const QfBlob *y;
  gint64 (*counts)[256]; /* [images looked at] */
} Histogram;

static void
count_codes (gpointer data, int k, int worker)
{
  Histogram *h = data;
  gsize n = (gsize) h->y->h * h->y->w * h->y->c;
  gsize at = n * (gsize) k * EVERY;

  for (gsize i = at; i < at + n; i++)
    h->counts[k][h->y->codes[i]]++;
}

/* What the percentile of this batch is; beyond what its codes can tell, twice
 * the bound. */
static double
percentile (QfNet *net, const QfLayer *l, const QfBlob *y, int n)
{
  int looks = (n + EVERY - 1) / EVERY, top = l->conv->hi_code;
  g_autofree gint64 (*counts)[256] = g_malloc0 (sizeof *counts * (gsize) looks);
  Histogram h = { y, counts };
  gint64 above = 0, may = (gint64) looks * y->h * y->w * y->c * CLIPPED / 10000;
  int code = top;

  qf_pool_run (net->pool, count_codes, &h, looks);
  for (;; code--) {
    for (int k = 0; k < looks; k++)
      above += counts[k][code];
    if (above > may || code == 1)
      break;
  }
  return code == top ? 2 * (double) y->bound
                     : ((double) code + 0.5) * (double) y->scale;
}

static void
follow_percentile (QfNet *net, const QfLayer *l, QfBlob *y, int n)
{
  double to = MIN (percentile (net, l, y, n), (double) l->clip_hi);

  y->bound = (float) ((double) y->bound + MOVE * (to - (double) y->bound));
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
  if (net->percentile_ranges) {
    follow_percentile (net, l, y, n);
    return;
  }
  qf_pool_run (net->pool, sum_image, &c, n);
  for (int i = 0; i < n; i++)
    sum += sums[i];
  y->bound_grad =
      (float) (sum / sqrt ((double) n * y->h * y->w * (double) y->c));
}
