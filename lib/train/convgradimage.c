/* libqfuse: weight and input gradients of a convolution, image by image.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Implicit matrix products (kernels/grad.h) on a band of rows, chosen to stay in
 * the second-level cache: the band's output gradient and input are made from
 * codes, convolution results and the next layer's gradient, then both products
 * read them in place, shifted by the taps of the window. Input rows are done
 * with the band that makes them complete. */
#include "train/convgrad-private.h"

#include <string.h>

enum
{
  BAND_FLOATS = 64 * 1024, /* of a band: 256 KiB */
  SUB_PIXELS = 192,        /* 12 KiB of a block's gradient, 12 of its input's */
  PANEL_TAPS = 16          /* of weights, 1 KiB each */
};

static int
blocks_of (int channels, int block)
{
  return (channels + block - 1) / block;
}

/* The window's columns that meet input columns ≡ @phase − pad_left (mod the
 * stride): the first input column; how many. */
static int
phase_columns (const QfConvShape *s, int phase, int *first)
{
  int stride = s->stride_w;
  int x = ((phase - s->pad_left) % stride + stride) % stride;

  *first = x;
  return x < s->in_w ? (s->in_w - x + stride - 1) / stride : 0;
}

/* Zero columns beside the output gradient, so that every tap of every input
 * column finds one. */
static void
plan_columns (QfConvPlan *p)
{
  const QfConvShape *s = p->s;
  int left = 0, right = 0;

  for (int kw = 0; kw < s->kernel_w; kw++) {
    int at = kw * s->dilation_w, x;
    int n = phase_columns (s, at % s->stride_w, &x);
    int ox = (x + s->pad_left - at) / s->stride_w;

    if (n == 0)
      continue;
    left = MAX (left, -ox);
    right = MAX (right, ox + n - s->out_w);
  }
  p->left = left;
  p->dy_w = left + s->out_w + right;
}

static gsize
dy_floats (const QfConvPlan *p)
{
  return (gsize) p->out_blocks * p->dy_plane;
}

static gsize
x_floats (const QfConvPlan *p)
{
  return (gsize) p->x_blocks * p->x_plane;
}

void
qf_conv_plan (QfConvPlan *p, const QfConvShape *s)
{
  gsize row;

  *p = (QfConvPlan){ .s = s, .depthwise = qf_conv_is_depthwise (s) };
  p->taps = s->kernel_h * s->kernel_w;
  if (p->depthwise) {
    p->in_c = p->out_c = QF_GRAD_LANES;
    p->slices = blocks_of (s->in_c, QF_GRAD_LANES);
    p->k = p->taps;
    p->x_block = QF_GRAD_LANES;
  } else {
    p->in_c = s->in_c / s->groups;
    p->out_c = s->out_c / s->groups;
    p->slices = s->groups;
    p->k = p->taps * p->in_c;
    p->x_block = MIN (QF_GRAD_LANES, p->in_c);
  }
  p->out_blocks = blocks_of (p->out_c, QF_GRAD_LANES);
  p->in_blocks = blocks_of (p->in_c, QF_GRAD_LANES);
  p->x_blocks = blocks_of (p->in_c, p->x_block);
  plan_columns (p);
  p->halo = (s->kernel_h - 1) * s->dilation_h / s->stride_h;
  p->x_w = qf_conv_padded_w (s);
  p->dy_row = (ptrdiff_t) p->dy_w * QF_GRAD_LANES;
  p->x_row = (ptrdiff_t) p->x_w * p->x_block;
  row = (gsize) p->out_blocks * p->dy_row
      + (gsize) p->x_blocks * p->x_row * s->stride_h;
  p->band = (int) CLAMP (BAND_FLOATS / row, 1, (gsize) s->out_h);
  p->band = blocks_of (s->out_h, blocks_of (s->out_h, p->band));
  p->sub = CLAMP (SUB_PIXELS / s->out_w, 1, p->band);
  p->x_rows = (p->band - 1) * s->stride_h + (s->kernel_h - 1) * s->dilation_h
      + 1;
  p->dy_plane = p->dy_row * (p->band + p->halo);
  p->x_plane = p->x_row * p->x_rows;
  p->packed = (gsize) p->slices * p->in_blocks * p->out_blocks * p->taps
      * QF_GRAD_LANES * (p->depthwise ? 1 : QF_GRAD_LANES);
  p->weights = (gsize) p->slices * p->out_blocks * p->k * QF_GRAD_LANES;
  p->scratch = dy_floats (p) + x_floats (p);
  qf_conv_wino_plan (p);
}

/* Output blocks whose weights are worked with at a time, by the taps that most
 * input pixels meet. */
static int
plan_group (const QfConvPlan *p)
{
  const QfConvShape *s = p->s;
  int taps = blocks_of (s->kernel_h, s->stride_h)
      * blocks_of (s->kernel_w, s->stride_w);

  return MAX (1, PANEL_TAPS / taps);
}

/* Output channel @o, input channel @i of the slice. */
static float *
packed_at (const QfConvBackward *bw, int slice, int tap, int o, int i)
{
  const QfConvPlan *p = &bw->plan;
  gsize block = ((gsize) slice * p->in_blocks + i / QF_GRAD_LANES)
      * p->out_blocks + o / QF_GRAD_LANES;
  gsize at = block * p->taps + tap;

  if (!p->depthwise)
    at = at * QF_GRAD_LANES + o % QF_GRAD_LANES;
  return bw->w + at * QF_GRAD_LANES + i % QF_GRAD_LANES;
}

static void
pack_slice (QfConvBackward *bw, int slice)
{
  const QfConvPlan *p = &bw->plan;
  int n = qf_conv_plan_channels (p, slice, p->out_c);
  int inner = p->depthwise ? 1 : p->in_c;
  const float *w = bw->l->conv->real_weight
      + (gsize) slice * p->out_c * p->k;

  for (int o = 0; o < n; o++)
    for (int t = 0; t < p->taps; t++)
      for (int i = 0; i < inner; i++)
        *packed_at (bw, slice, t, p->depthwise ? 0 : o, p->depthwise ? o : i)
            = *w++;
}

void
qf_conv_pack_backward (QfConvBackward *bw)
{
  const QfConvPlan *p = &bw->plan;
  const QfConvShape *s = p->s;
  int inner = p->k / p->taps;

  if (p->wino) {
    qf_conv_wino_pack (bw);
    return;
  }
  for (int r = 0; r < p->k; r++) {
    int tap = r / inner, i = r % inner;

    bw->off[r] = i / p->x_block * p->x_plane
        + tap / s->kernel_w * s->dilation_h * p->x_row
        + (ptrdiff_t) (tap % s->kernel_w * s->dilation_w) * p->x_block
        + i % p->x_block;
  }
  for (int slice = 0; bw->want_input && slice < p->slices; slice++)
    pack_slice (bw, slice);
}

/* A slice of one image, and its band of output rows @o0 … @o1 − 1. */
typedef struct
{
  const QfConvBackward *bw;
  int image, slice, in_n, out_n;
  int o0, o1;
  float *dy; /* [out block][halo + band][dy_w][16] */
  float *x;  /* [x block][x_rows][x_w][x_block] */
} Part;

/* bn_dy_s32 in a float net. */
static void
dy_real (const QfConvBackward *bw, gsize at, const float *k, float *dy,
    ptrdiff_t plane, int pixels, int n)
{
  const QfConvLayer *cv = bw->l->conv;

  for (int p = 0; p < pixels; p++, at += cv->shape.out_c, dy += QF_GRAD_LANES)
    for (int c = 0; c < n; c++) {
      int lane = c % QF_GRAD_LANES, block = c / QF_GRAD_LANES;
      const float *kc = k + (gsize) block * 3 * QF_GRAD_LANES + lane;
      float dz = qf_conv_passes (bw->net, bw->l, bw->y, bw->y->real[at + c])
          ? bw->y->grad[at + c] : 0.0f;

      dy[block * plane + lane] = dz * kc[0] + kc[QF_GRAD_LANES]
          + cv->y[at + c] * kc[2 * QF_GRAD_LANES];
    }
}

void
qf_conv_dy_row (const QfConvBackward *bw, int image, int slice, int oy,
    float *to, ptrdiff_t plane)
{
  const QfConvPlan *p = &bw->plan;
  const QfConvShape *s = p->s;
  int n = qf_conv_plan_channels (p, slice, p->out_c);
  gsize at = ((gsize) image * s->out_h + oy) * s->out_w * s->out_c
      + (gsize) slice * p->out_c;
  const float *k = bw->dy_k
      + (gsize) slice * p->out_blocks * 3 * QF_GRAD_LANES;

  if (oy >= s->out_h)
    for (int b = 0; b < p->out_blocks; b++)
      memset (to + b * plane, 0, sizeof (float) * s->out_w * QF_GRAD_LANES);
  else if (bw->net->quantize)
    bw->net->grad_kernels->bn_dy_s32 (bw->y->codes + at, bw->lo, bw->hi,
        bw->y->grad + at, bw->l->conv->acc + at, s->out_c, k, to, plane,
        s->out_w, n);
  else
    dy_real (bw, at, k, to, plane, s->out_w, n);
}

void
qf_conv_x_row (const QfConvBackward *bw, int image, int slice, int block,
    int iy, float *row)
{
  const QfConvPlan *p = &bw->plan;
  const QfConvShape *s = p->s;
  int first = block * p->x_block;
  int n = MIN (p->x_block, qf_conv_plan_channels (p, slice, p->in_c) - first);
  gsize at = ((gsize) image * s->in_h + iy) * s->in_w * s->in_c
      + (gsize) slice * p->in_c + first;
  float *to = row + s->pad_left * p->x_block;

  if (iy < 0 || iy >= s->in_h) {
    memset (to, 0, sizeof (float) * s->in_w * p->x_block);
    return;
  }
  if (bw->net->quantize) {
    bw->net->grad_kernels->offset_u8_f32 (bw->x->codes + at, s->in_c,
        bw->x->zero, to, p->x_block, s->in_w, n);
    return;
  }
  for (int i = 0; i < s->in_w; i++)
    memcpy (to + i * p->x_block, bw->x->real + at + (gsize) i * s->in_c,
        sizeof (float) * n);
}

static void
make_dy (const Part *t)
{
  const QfConvPlan *p = &t->bw->plan;

  for (int oy = t->o0; oy < t->o1; oy++)
    qf_conv_dy_row (t->bw, t->image, t->slice, oy,
        t->dy + (p->halo + oy - t->o0) * p->dy_row + p->left * QF_GRAD_LANES,
        p->dy_plane);
}

static void
make_x (const Part *t)
{
  const QfConvPlan *p = &t->bw->plan;
  const QfConvShape *s = p->s;
  int rows = (t->o1 - t->o0 - 1) * s->stride_h
      + (s->kernel_h - 1) * s->dilation_h + 1;

  for (int b = 0; b < p->x_blocks; b++)
    for (int r = 0; r < rows; r++)
      qf_conv_x_row (t->bw, t->image, t->slice, b,
          t->o0 * s->stride_h - s->pad_top + r,
          t->x + b * p->x_plane + r * p->x_row);
}

static void
weight_products (const Part *t)
{
  const QfConvBackward *bw = t->bw;
  const QfConvPlan *p = &bw->plan;
  const QfConvShape *s = p->s;
  const QfGradKernels *kern = bw->net->grad_kernels;
  float *dw = bw->weight_grads + (gsize) t->image * p->weights
      + (gsize) t->slice * p->out_blocks * p->k * QF_GRAD_LANES;

  for (int o = t->o0; o < t->o1; o += p->sub) {
    const QfGradArea area = { MIN (p->sub, t->o1 - o), s->out_w,
      p->x_row * s->stride_h, (ptrdiff_t) p->x_block * s->stride_w,
      p->dy_row };
    const float *x = t->x + (ptrdiff_t) (o - t->o0) * area.a_row;
    const float *dy = t->dy + (p->halo + o - t->o0) * p->dy_row
        + p->left * QF_GRAD_LANES;

    for (int b = 0; b < p->out_blocks; b++)
      (p->depthwise ? kern->dwconv_dw_f32 : kern->conv_dw_f32) (p->k, bw->off,
          x, &area, dy + b * p->dy_plane,
          dw + (gsize) b * p->k * QF_GRAD_LANES);
  }
}

/* The taps that meet input row @iy and columns of @phase, for output blocks
 * @b0 … @b1 − 1. */
static int
find_taps (const Part *t, int iy, int phase, int b0, int b1, QfGradTap *taps)
{
  const QfConvPlan *p = &t->bw->plan;
  const QfConvShape *s = p->s;
  ptrdiff_t w_tap = p->depthwise ? QF_GRAD_LANES
                                 : QF_GRAD_LANES * QF_GRAD_LANES;
  int n = 0, x;

  phase_columns (s, phase, &x);
  for (int b = b0; b < b1; b++)
    for (int kh = 0; kh < s->kernel_h; kh++) {
      int y = iy + s->pad_top - kh * s->dilation_h, oy = y / s->stride_h;

      if (y < 0 || y % s->stride_h || oy >= s->out_h)
        continue;
      for (int kw = 0; kw < s->kernel_w; kw++) {
        int at = kw * s->dilation_w;

        if (at % s->stride_w != phase)
          continue;
        taps[n].a = b * p->dy_plane + (p->halo + oy - t->o0) * p->dy_row
            + (p->left + (x + s->pad_left - at) / s->stride_w)
                * QF_GRAD_LANES;
        taps[n++].w = (((ptrdiff_t) b * p->taps) + kh * s->kernel_w + kw)
            * w_tap;
      }
    }
  return n;
}

/* What all input rows of a call share: those that are complete with this band and
 * ≡ @phase_h − pad_top (mod the stride), columns likewise. */
typedef struct
{
  const Part *t;
  int i0, i1, phase_h, phase_w;
  int ib; /* input block */
  QfGradTap *taps;
} Rows;

/* From output blocks @b0 … @b1 − 1, of @depth channels. */
static void
input_rows (const Rows *r, int b0, int b1, int depth)
{
  const Part *t = r->t;
  const QfConvBackward *bw = t->bw;
  const QfConvPlan *p = &bw->plan;
  const QfConvShape *s = p->s;
  const QfGradKernels *kern = bw->net->grad_kernels;
  ptrdiff_t step = (ptrdiff_t) s->stride_w * s->in_c;
  int n = MIN (QF_GRAD_LANES, t->in_n - r->ib * QF_GRAD_LANES);
  int x, m = phase_columns (s, r->phase_w, &x), add = b0 > 0 || bw->add;
  const float *w = packed_at (bw, t->slice, 0, 0, r->ib * QF_GRAD_LANES);
  int first = ((r->phase_h - s->pad_top - r->i0) % s->stride_h + s->stride_h)
      % s->stride_h;

  for (int iy = r->i0 + first; iy < r->i1; iy += s->stride_h) {
    int n_taps = find_taps (t, iy, r->phase_w, b0, b1, r->taps);
    float *to = bw->x->grad
        + (((gsize) t->image * s->in_h + iy) * s->in_w + x) * s->in_c
        + (gsize) t->slice * p->in_c + r->ib * QF_GRAD_LANES;

    if (p->depthwise)
      kern->dwconv_dx_f32 (m, r->taps, n_taps, t->dy, w, to, step, n, add);
    else
      kern->conv_dx_f32 (m, r->taps, n_taps, depth, t->dy, w, to, step, n,
          add);
  }
}

/* As many output blocks at a time as keep the weights in the first-level
 * cache; a last block of less channels goes by itself. */
static void
input_phase (const Rows *r)
{
  const QfConvPlan *p = &r->t->bw->plan;
  int full = r->t->out_n / QF_GRAD_LANES;
  int group = plan_group (p);

  for (int b = 0; b < full; b += group)
    input_rows (r, b, MIN (b + group, full), QF_GRAD_LANES);
  if (full < p->out_blocks)
    input_rows (r, full, full + 1, r->t->out_n - full * QF_GRAD_LANES);
}

static void
input_products (const Part *t, QfGradTap *taps)
{
  const QfConvPlan *p = &t->bw->plan;
  const QfConvShape *s = p->s;
  int i0 = t->o0 * s->stride_h - s->pad_top;
  int i1 = t->o1 == s->out_h ? s->in_h : t->o1 * s->stride_h - s->pad_top;
  Rows r = { .t = t, .taps = taps };

  r.i0 = t->o0 == 0 ? 0 : CLAMP (i0, 0, s->in_h);
  r.i1 = CLAMP (i1, 0, s->in_h);
  for (r.ib = 0; r.ib < p->in_blocks; r.ib++)
    for (r.phase_h = 0; r.phase_h < s->stride_h; r.phase_h++)
      for (r.phase_w = 0; r.phase_w < s->stride_w; r.phase_w++)
        input_phase (&r);
}

void
qf_conv_grad_image (gpointer data, int image, int worker)
{
  const QfConvBackward *bw = data;
  const QfConvPlan *p = &bw->plan;
  const QfConvShape *s = p->s;
  Part t = { bw, image };
  g_autofree QfGradTap *taps
      = g_new (QfGradTap, (gsize) p->taps * plan_group (p));

  t.dy = bw->net->scratch[worker];
  t.x = t.dy + dy_floats (p);
  memset (t.dy, 0, sizeof (float) * p->scratch);
  memset (bw->weight_grads + (gsize) image * p->weights, 0,
      sizeof (float) * p->weights);
  for (t.slice = 0; t.slice < p->slices; t.slice++) {
    t.in_n = qf_conv_plan_channels (p, t.slice, p->in_c);
    t.out_n = qf_conv_plan_channels (p, t.slice, p->out_c);
    for (t.o0 = 0; t.o0 < s->out_h; t.o0 += p->band) {
      for (int b = 0; t.o0 > 0 && b < p->out_blocks; b++)
        memmove (t.dy + b * p->dy_plane,
            t.dy + b * p->dy_plane + p->band * p->dy_row,
            sizeof (float) * p->halo * p->dy_row);
      t.o1 = MIN (t.o0 + p->band, s->out_h);
      make_dy (&t);
      make_x (&t);
      weight_products (&t);
      if (bw->want_input)
        input_products (&t, taps);
    }
  }
}
