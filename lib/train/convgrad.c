/* libqfuse: backward pass of the convolution layer.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Batch norm's sums over the batch first, then weight and input gradients
 * (convgradimage.c). Images are tasks; their sums are added in the order of the
 * images. */
#include "train/convgrad-private.h"

#include <string.h>

#define CHUNK 64 /* pixels whose sums are in float32 */

int
qf_conv_padded_h (const QfConvShape *s)
{
  return MAX (s->pad_top + s->in_h,
      (s->out_h - 1) * s->stride_h + (s->kernel_h - 1) * s->dilation_h + 1);
}

int
qf_conv_padded_w (const QfConvShape *s)
{
  return MAX (s->pad_left + s->in_w,
      (s->out_w - 1) * s->stride_w + (s->kernel_w - 1) * s->dilation_w + 1);
}

/* Σ dz and Σ dz·x̂ of @n pixels of a float net, from element @at on. */
static void
sum_real (const QfConvBackward *bw, gsize at, int n, float *s1, float *s2)
{
  const QfConvLayer *cv = bw->l->conv;
  int oc = cv->shape.out_c;

  for (int p = 0; p < n; p++, at += oc)
    for (int c = 0; c < oc; c++) {
      float dz = qf_conv_passes (bw->net, bw->l, bw->y, bw->y->real[at + c])
          ? bw->y->grad[at + c] : 0.0f;

      s1[c] += dz;
      s2[c] += dz * (cv->y[at + c] * bw->k[c] + bw->b[c]);
    }
}

/* Σ dz and Σ dz·x̂ of one image. */
static void
sum_image (gpointer data, int image, int worker)
{
  QfConvBackward *bw = data;
  const QfConvLayer *cv = bw->l->conv;
  const QfConvShape *s = &cv->shape;
  int oc = s->out_c, pixels = s->out_h * s->out_w;
  double *sums = bw->sums + (gsize) image * 2 * oc;
  float *part = bw->net->scratch[worker];

  memset (sums, 0, sizeof (double) * 2 * oc);
  for (int p = 0; p < pixels; p += CHUNK) {
    int n = MIN (CHUNK, pixels - p);
    gsize at = ((gsize) image * pixels + p) * oc;

    memset (part, 0, sizeof (float) * 2 * oc);
    if (bw->net->quantize)
      bw->net->grad_kernels->bn_sums_s32 (bw->y->codes + at, bw->lo, bw->hi,
          bw->y->grad + at, cv->acc + at, bw->k, bw->b, n, oc, part, part + oc);
    else
      sum_real (bw, at, n, part, part + oc);
    for (int c = 0; c < 2 * oc; c++)
      sums[c] += (double) part[c];
  }
}

/* dy = g·(dz − m1 − x̂·m2), by channel: as dz·k0 + k1 + a·k2. */
static void
set_dy (QfConvBackward *bw, int c, float m1, float m2)
{
  const QfConvLayer *cv = bw->l->conv;
  const QfConvPlan *p = &bw->plan;
  int slice = c / p->out_c, in_slice = c % p->out_c;
  int block = slice * p->out_blocks + in_slice / QF_GRAD_LANES;
  float *k = bw->dy_k + (gsize) block * 3 * QF_GRAD_LANES
      + in_slice % QF_GRAD_LANES;
  float g = cv->has_bn ? cv->g[c] : 1.0f;

  k[0] = g;
  k[QF_GRAD_LANES] = -g * (m1 + bw->b[c] * m2);
  k[2 * QF_GRAD_LANES] = -g * m2 * bw->k[c];
}

/* Adds the images' sums in their order and makes batch norm's means. */
static void
finish_sums (QfConvBackward *bw, int n)
{
  QfConvLayer *cv = bw->l->conv;
  int oc = cv->shape.out_c;
  double count = (double) n * cv->shape.out_h * cv->shape.out_w;

  for (int c = 0; c < oc; c++) {
    double s1 = 0, s2 = 0;
    gboolean moves = cv->has_bn && !bw->net->frozen;

    for (int i = 0; i < n; i++) {
      s1 += bw->sums[(gsize) i * 2 * oc + c];
      s2 += bw->sums[(gsize) i * 2 * oc + oc + c];
    }
    cv->beta_grad[c] = (float) s1;
    if (cv->has_bn)
      cv->gamma_grad[c] = (float) s2;
    set_dy (bw, c, moves ? (float) (s1 / count) : 0.0f,
        moves ? (float) (s2 / count) : 0.0f);
  }
}

/* x̂ = (y − μ)·rstd as a·k + b. */
static void
set_xhat (QfConvBackward *bw)
{
  QfConvLayer *cv = bw->l->conv;

  for (int c = 0; c < cv->shape.out_c; c++) {
    float unit = bw->net->quantize ? bw->x->scale * cv->s_w[c] : 1.0f;

    bw->k[c] = cv->has_bn ? unit * cv->rstd[c] : 0.0f;
    bw->b[c] = cv->has_bn ? -cv->mean[c] * cv->rstd[c] : 0.0f;
  }
}

typedef struct
{
  const QfConvBackward *bw;
  int images;
} Merge;

/* One row of all images' weight gradients, in their order. */
static void
sum_row (const Merge *m, gsize row, float sum[QF_GRAD_LANES])
{
  const float *from = m->bw->weight_grads + row * QF_GRAD_LANES;

  memcpy (sum, from, sizeof (float) * QF_GRAD_LANES);
  for (int i = 1; i < m->images; i++) {
    from += m->bw->plan.weights;
    for (int j = 0; j < QF_GRAD_LANES; j++)
      sum[j] += from[j];
  }
}

/* One block's rows, to the weights' order. */
static void
merge_direct (const Merge *m, int block, int n, float scale, float *to)
{
  int k = m->bw->plan.k;

  for (int r = 0; r < k; r++) {
    float sum[QF_GRAD_LANES];

    sum_row (m, (gsize) block * k + r, sum);
    for (int j = 0; j < n; j++)
      to[(gsize) j * k + r] = scale * sum[j];
  }
}

static void
merge_wino (const Merge *m, int block, int n, float scale, float *to)
{
  const QfConvPlan *p = &m->bw->plan;

  for (int c = 0; c < p->in_c; c++) {
    float t[16][QF_GRAD_LANES], dw[9][QF_GRAD_LANES];

    for (int i = 0; i < 16; i++)
      sum_row (m, ((gsize) i * p->out_blocks + block) * p->in_c + c, t[i]);
    qf_conv_wino_weights (t, dw);
    for (int tap = 0; tap < 9; tap++)
      for (int j = 0; j < n; j++)
        to[(gsize) j * p->k + tap * p->in_c + c] = scale * dw[tap][j];
  }
}

/* A task: one block of output channels. */
static void
merge_block (gpointer data, int block, int worker)
{
  const Merge *m = data;
  const QfConvBackward *bw = m->bw;
  const QfConvPlan *p = &bw->plan;
  int slice = block / p->out_blocks;
  int first = block % p->out_blocks * QF_GRAD_LANES;
  int n = MIN (QF_GRAD_LANES,
      qf_conv_plan_channels (p, slice, p->out_c) - first);

  (p->wino ? merge_wino : merge_direct) (m, block, n,
      bw->net->quantize ? bw->x->scale : 1.0f,
      bw->l->conv->weight_grad + ((gsize) slice * p->out_c + first) * p->k);
}

/* With 4 bits the largest code stands for a fifteenth of the range, most of it
 * not clamped: its gradient passes, unless the layer's own clip ends there. */
static gboolean
hi_passes (const QfNet *net, const QfLayer *l)
{
  const QfBlob *y = qf_net_blob (net, l->out);

  return y->top < 255 && l->conv->hi_code == y->top
      && !(l->clip && l->clip_hi < y->scale * (float) (y->top - y->zero));
}

void
qf_conv_backward (QfNet *net, QfLayer *l, int n)
{
  QfConvLayer *cv = l->conv;
  int oc = cv->shape.out_c;
  QfConvBackward bw = { .net = net,
    .l = l,
    .y = qf_net_blob (net, l->out),
    .x = qf_net_blob (net, l->in[0]),
    .lo = cv->lo_code,
    .hi = cv->hi_code + hi_passes (net, l),
    .want_input = l->in[0] != net->input };
  Merge merge = { &bw, n };
  int blocks;
  gsize coefficients;
  g_autofree float *channel = NULL, *grads = NULL, *packed = NULL;
  g_autofree double *sums = g_new (double, (gsize) n * 2 * oc);
  g_autofree ptrdiff_t *off = NULL;

  qf_conv_plan (&bw.plan, &cv->shape);
  blocks = bw.plan.slices * bw.plan.out_blocks;
  coefficients = (gsize) blocks * 3 * QF_GRAD_LANES;
  bw.k = channel = g_new0 (float, coefficients + 2 * oc);
  bw.b = bw.k + oc;
  bw.dy_k = bw.b + oc;
  bw.sums = sums;
  bw.off = off = g_new (ptrdiff_t, bw.plan.k);
  bw.w = packed = g_new0 (float, bw.plan.packed);
  bw.weight_grads = grads = g_new (float, n * bw.plan.weights);
  bw.add = bw.x->grad_live;
  qf_conv_pack_backward (&bw);
  set_xhat (&bw);
  qf_pool_run (net->pool, sum_image, &bw, n);
  finish_sums (&bw, n);
  qf_pool_run (net->pool,
      bw.plan.wino ? qf_conv_wino_image : qf_conv_grad_image, &bw, n);
  qf_pool_run (net->pool, merge_block, &merge, blocks);
  bw.x->grad_live = TRUE;
}
