/* libqfuse: the convolution layer without any rounding to codes.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The float twin serves comparisons and the gradient tests: the same graph,
 * statistics, ranges and losses, with float32 activations and weights. */
#include "train/conv-private.h"

#include <math.h>
#include <string.h>

/* One image with zeros around: [padded_h][padded_w][in_c]. */
static void
pad_input (const QfConvShape *s, const float *x, float *padded)
{
  gsize row = (gsize) qf_conv_padded_w (s) * s->in_c;
  gsize line = (gsize) s->in_w * s->in_c;

  memset (padded, 0, sizeof (float) * row * qf_conv_padded_h (s));
  for (int y = 0; y < s->in_h; y++)
    memcpy (padded + (y + s->pad_top) * row + (gsize) s->pad_left * s->in_c,
        x + y * line, sizeof (float) * line);
}

void
qf_conv_float_forward (QfNet *net, QfLayer *l, const float *x, float *y,
    int worker)
{
  const QfConvLayer *cv = l->conv;
  const QfConvShape *s = &cv->shape;
  int icg = s->in_c / s->groups, ocg = s->out_c / s->groups;
  gsize row = (gsize) qf_conv_padded_w (s) * s->in_c;
  float *padded = net->scratch[worker];

  pad_input (s, x, padded);
  memset (y, 0, sizeof (float) * s->out_h * s->out_w * s->out_c);
  for (int oy = 0; oy < s->out_h; oy++)
    for (int g = 0; g < s->groups; g++)
      for (int t = 0; t < s->kernel_h * s->kernel_w; t++) {
        int kh = t / s->kernel_w, kw = t % s->kernel_w;
        gsize at = row * ((gsize) oy * s->stride_h + (gsize) kh * s->dilation_h)
            + (gsize) kw * s->dilation_w * s->in_c + (gsize) g * icg;

        net->grad_kernels->gemm_f32 (s->out_w, ocg, icg, padded + at,
            (ptrdiff_t) s->stride_w * s->in_c, 1,
            cv->weight_t + ((gsize) g * cv->k + (gsize) t * icg) * ocg, ocg,
            y + (gsize) oy * s->out_w * s->out_c + g * ocg, s->out_c);
      }
}

static void
float_statistics (QfConvLayer *cv, int n)
{
  int oc = cv->shape.out_c;
  gint64 count = (gint64) n * cv->shape.out_h * cv->shape.out_w;

  for (int c = 0; c < oc; c++) {
    double sum = 0, spread = 0;

    for (gint64 i = 0; i < count; i++)
      sum += (double) cv->y[i * oc + c];
    sum /= (double) count;
    for (gint64 i = 0; i < count; i++) {
      double d = (double) cv->y[i * oc + c] - sum;

      spread += d * d;
    }
    qf_conv_take_statistics (cv, c, sum, spread / (double) count, count);
  }
}

void
qf_conv_float_finish (QfNet *net, QfLayer *l, int n, gboolean moves)
{
  QfConvLayer *cv = l->conv;
  QfBlob *y = qf_net_blob (net, l->out);
  int oc = cv->shape.out_c;
  gsize total = (gsize) n * cv->shape.out_h * cv->shape.out_w * oc;
  double lo = INFINITY, hi = -INFINITY;

  if (moves) {
    if (cv->has_bn)
      float_statistics (cv, n);
    cv->run_n++;
    cv->adopt = FALSE;
  }
  qf_conv_fuse_float (net, l, moves);
  for (gsize i = 0; i < total; i++) {
    float v = cv->g[i % oc] * cv->y[i] + cv->bias[i % oc];

    lo = MIN (lo, (double) v);
    hi = MAX (hi, (double) v);
    y->real[i] = l->clip ? CLAMP (v, l->clip_lo, l->clip_hi) : v;
  }
  if (moves)
    qf_conv_move_range (net, l, y, lo, hi);
  if (net->bound_relu && cv->has_bn && l->clip && l->clip_lo == 0.0f)
    for (gsize i = 0; i < total; i++)
      y->real[i] = MIN (y->real[i], (float) y->range.hi);
}
