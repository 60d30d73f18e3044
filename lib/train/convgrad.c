/* libqfuse: backward pass of the convolution layer.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * No patch is gathered: over one row of outputs and one row of the window the
 * weight gradient is a matrix product whose right side is the padded input
 * itself with a row stride of stride_w·in_c, and the input gradient of one tap
 * is a product that adds to the padded input gradient the same way. Images
 * are tasks; their sums are added in the order of the images. */
#include "train/conv-private.h"

#include <string.h>

#define CHUNK 64 /* pixels whose dz and x̂ are made at a time */

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

void
qf_conv_pad_input (const QfNet *net, const QfConvShape *s,
    const guint8 *codes, const QfBlob *x, const float *real, float *padded)
{
  int ph = qf_conv_padded_h (s), pw = qf_conv_padded_w (s), ic = s->in_c;
  gsize row = (gsize) pw * ic;

  memset (padded, 0, sizeof (float) * row * ph);
  for (int y = 0; y < s->in_h; y++) {
    float *to = padded + (y + s->pad_top) * row + (gsize) s->pad_left * ic;
    gsize from = (gsize) y * s->in_w * ic;

    if (codes)
      net->kernels->dequantize_u8_f32 (codes + from, x->scale, x->zero, to,
          (gsize) s->in_w * ic);
    else
      memcpy (to, real + from, sizeof (float) * s->in_w * ic);
  }
}

typedef struct
{
  QfNet *net;
  QfLayer *l;
  const QfBlob *y;
  QfBlob *x;
  int lo, hi;             /* codes between which a gradient passes */
  float *k, *b;           /* x̂ = a·k + b */
  double *sums;           /* [images][2][out_c] */
  float *m1, *m2;         /* batch norm's means */
  float *weight_grads;    /* [images][out_c·k] */
  gboolean want_input;
} Backward;

/* dz and x̂ of @n pixels from pixel @p of @image. */
static void
make_dz (const Backward *bw, int image, int p, int n, float *dz, float *xhat)
{
  const QfConvLayer *cv = bw->l->conv;
  int oc = cv->shape.out_c;
  gsize at = ((gsize) image * cv->shape.out_h * cv->shape.out_w + p) * oc;

  if (bw->net->quantize) {
    bw->net->grad_kernels->dz_xhat_u8 (bw->y->codes + at, bw->lo, bw->hi,
        bw->y->grad + at, cv->acc + at, bw->k, bw->b, dz, xhat, n, oc);
    return;
  }
  for (int i = 0; i < n * oc; i++) {
    int c = i % oc;
    float v = bw->y->real[at + i];
    gboolean in = !bw->l->clip
        || (v > bw->l->clip_lo && v < bw->l->clip_hi
            && !(bw->net->bound_relu && v >= (float) bw->y->range.hi));

    dz[i] = in ? bw->y->grad[at + i] : 0.0f;
    xhat[i] = cv->y[at + i] * bw->k[c] + bw->b[c];
  }
}

/* First pass: Σ dz and Σ dz·x̂ of one image. */
static void
sum_image (gpointer data, int image, int worker)
{
  Backward *bw = data;
  const QfConvShape *s = &bw->l->conv->shape;
  int oc = s->out_c, pixels = s->out_h * s->out_w;
  double *sums = bw->sums + (gsize) image * 2 * oc;
  float *dz = bw->net->scratch[worker], *xhat = dz + CHUNK * oc;
  float *part = xhat + CHUNK * oc;

  memset (sums, 0, sizeof (double) * 2 * oc);
  for (int p = 0; p < pixels; p += CHUNK) {
    int n = MIN (CHUNK, pixels - p);

    make_dz (bw, image, p, n, dz, xhat);
    memset (part, 0, sizeof (float) * 2 * oc);
    bw->net->grad_kernels->bn_sums_f32 (dz, xhat, n, oc, part, part + oc);
    for (int c = 0; c < 2 * oc; c++)
      sums[c] += (double) part[c];
  }
}

/* dW and dX of one output row and one window row, any groups. */
static void
row_products (const Backward *bw, const float *dy, const float *x_row,
    float *dx_row, float *dw, int kh)
{
  const QfConvLayer *cv = bw->l->conv;
  const QfConvShape *s = &cv->shape;
  const QfGradKernels *kern = bw->net->grad_kernels;
  int icg = s->in_c / s->groups, ocg = s->out_c / s->groups;
  ptrdiff_t step = (ptrdiff_t) s->stride_w * s->in_c;
  gboolean joined = s->groups == 1 && s->dilation_w == 1;

  if (joined)
    kern->gemm_f32 (s->out_c, s->kernel_w * icg, s->out_w, dy, 1, s->out_c,
        x_row, step, dw + kh * s->kernel_w * icg, cv->k);
  for (int g = 0; g < s->groups; g++)
    for (int kw = 0; kw < s->kernel_w; kw++) {
      ptrdiff_t at = (ptrdiff_t) kw * s->dilation_w * s->in_c + g * icg;
      ptrdiff_t w = (ptrdiff_t) g * ocg * cv->k
          + (kh * s->kernel_w + kw) * icg;

      if (!joined)
        kern->gemm_f32 (ocg, icg, s->out_w, dy + g * ocg, 1, s->out_c,
            x_row + at, step, dw + w, cv->k);
      if (dx_row)
        kern->gemm_f32 (s->out_w, icg, ocg, dy + g * ocg, s->out_c, 1,
            cv->real_weight + w, cv->k, dx_row + at, step);
    }
}

/* The same for one channel a group; @dw and @wt are [taps][channels]. */
static void
row_products_depthwise (const QfConvShape *s, const float *dy,
    const float *x_row, float *dx_row, float *dw, const float *wt, int kh)
{
  int ch = s->in_c;

  for (int kw = 0; kw < s->kernel_w; kw++) {
    float *restrict d = dw + (kh * s->kernel_w + kw) * ch;
    const float *restrict w = wt + (kh * s->kernel_w + kw) * ch;

    for (int p = 0; p < s->out_w; p++) {
      gsize at = ((gsize) p * s->stride_w + (gsize) kw * s->dilation_w) * ch;
      const float *restrict x = x_row + at;
      const float *restrict g = dy + (gsize) p * ch;

      for (int c = 0; c < ch; c++)
        d[c] += g[c] * x[c];
      if (dx_row) {
        float *restrict dx = dx_row + at;

        for (int c = 0; c < ch; c++)
          dx[c] += g[c] * w[c];
      }
    }
  }
}

/* dy of one output row. */
static void
make_dy_row (const Backward *bw, int image, int row, float *dy, float *xhat)
{
  const QfConvLayer *cv = bw->l->conv;
  int oc = cv->shape.out_c, ow = cv->shape.out_w;

  make_dz (bw, image, row * ow, ow, dy, xhat);
  if (cv->has_bn)
    bw->net->grad_kernels->bn_dy_f32 (dy, xhat, cv->g, bw->m1, bw->m2, ow, oc);
}

static void
add_input_grad (const Backward *bw, int image, const float *dx)
{
  const QfConvShape *s = &bw->l->conv->shape;
  gsize line = (gsize) s->in_w * s->in_c;
  gsize padded = (gsize) qf_conv_padded_w (s) * s->in_c;

  for (int y = 0; y < s->in_h; y++) {
    const float *restrict from
        = dx + (y + s->pad_top) * padded + (gsize) s->pad_left * s->in_c;
    float *restrict to = bw->x->grad + ((gsize) image * s->in_h + y) * line;

    for (gsize i = 0; i < line; i++)
      to[i] += from[i];
  }
}

/* Second pass: dW of one image, and dX. */
static void
grad_image (gpointer data, int image, int worker)
{
  Backward *bw = data;
  QfConvLayer *cv = bw->l->conv;
  const QfConvShape *s = &cv->shape;
  int ph = qf_conv_padded_h (s), taps = s->kernel_h * s->kernel_w;
  gboolean dw_type = qf_conv_is_depthwise (s);
  gsize row = (gsize) qf_conv_padded_w (s) * s->in_c;
  gsize in = (gsize) s->in_h * s->in_w * s->in_c;
  gsize weights = (gsize) s->out_c * cv->k;
  float *x = bw->net->scratch[worker];
  float *dx = x + row * ph, *dy = dx + row * ph;
  float *xhat = dy + (gsize) s->out_w * s->out_c;
  float *wt = xhat + (gsize) s->out_w * s->out_c, *dwt = wt + weights;
  float *dw = bw->weight_grads + weights * image;

  qf_conv_pad_input (bw->net, s,
      bw->net->quantize ? bw->x->codes + in * image : NULL, bw->x,
      bw->net->quantize ? NULL : bw->x->real + in * image, x);
  memset (dw, 0, sizeof (float) * weights);
  if (bw->want_input)
    memset (dx, 0, sizeof (float) * row * ph);
  if (dw_type) {
    memset (dwt, 0, sizeof (float) * weights);
    for (int c = 0; c < s->in_c; c++)
      for (int t = 0; t < taps; t++)
        wt[t * s->in_c + c] = cv->real_weight[c * taps + t];
  }
  for (int oy = 0; oy < s->out_h; oy++) {
    make_dy_row (bw, image, oy, dy, xhat);
    for (int kh = 0; kh < s->kernel_h; kh++) {
      gsize at = row * ((gsize) oy * s->stride_h + (gsize) kh * s->dilation_h);
      float *dx_row = bw->want_input ? dx + at : NULL;

      if (dw_type)
        row_products_depthwise (s, dy, x + at, dx_row, dwt, wt, kh);
      else
        row_products (bw, dy, x + at, dx_row, dw, kh);
    }
  }
  for (int c = 0; dw_type && c < s->in_c; c++)
    for (int t = 0; t < taps; t++)
      dw[c * taps + t] = dwt[t * s->in_c + c];
  if (bw->want_input)
    add_input_grad (bw, image, dx);
}

/* Adds the images' sums in their order and makes batch norm's means. */
static void
finish_sums (Backward *bw, int n)
{
  QfConvLayer *cv = bw->l->conv;
  int oc = cv->shape.out_c;
  double count = (double) n * cv->shape.out_h * cv->shape.out_w;

  for (int c = 0; c < oc; c++) {
    double s1 = 0, s2 = 0;

    for (int i = 0; i < n; i++) {
      s1 += bw->sums[(gsize) i * 2 * oc + c];
      s2 += bw->sums[(gsize) i * 2 * oc + oc + c];
    }
    cv->beta_grad[c] = (float) s1;
    if (!cv->has_bn)
      continue;
    cv->gamma_grad[c] = (float) s2;
    bw->m1[c] = bw->net->frozen ? 0.0f : (float) (s1 / count);
    bw->m2[c] = bw->net->frozen ? 0.0f : (float) (s2 / count);
  }
}

/* x̂ = (y − μ)·rstd as a·k + b. */
static void
set_xhat (Backward *bw)
{
  QfConvLayer *cv = bw->l->conv;

  for (int c = 0; c < cv->shape.out_c; c++) {
    float unit = bw->net->quantize ? bw->x->scale * cv->s_w[c] : 1.0f;

    bw->k[c] = cv->has_bn ? unit * cv->rstd[c] : 0.0f;
    bw->b[c] = cv->has_bn ? -cv->mean[c] * cv->rstd[c] : 0.0f;
  }
}

void
qf_conv_backward (QfNet *net, QfLayer *l, int n)
{
  QfConvLayer *cv = l->conv;
  int oc = cv->shape.out_c;
  gsize weights = (gsize) oc * cv->k;
  g_autofree float *channel = g_new0 (float, 4 * oc);
  g_autofree double *sums = g_new (double, (gsize) n * 2 * oc);
  g_autofree float *grads = g_new (float, (gsize) n * weights);
  Backward bw = { net, l, qf_net_blob (net, l->out),
    qf_net_blob (net, l->in[0]), cv->lo_code, cv->hi_code, channel,
    channel + oc, sums, channel + 2 * oc, channel + 3 * oc, grads,
    l->in[0] != net->input };

  set_xhat (&bw);
  qf_pool_run (net->pool, sum_image, &bw, n);
  finish_sums (&bw, n);
  qf_pool_run (net->pool, grad_image, &bw, n);
  memcpy (cv->weight_grad, grads, sizeof (float) * weights);
  for (int i = 1; i < n; i++)
    for (gsize j = 0; j < weights; j++)
      cv->weight_grad[j] += grads[i * weights + j];
}
