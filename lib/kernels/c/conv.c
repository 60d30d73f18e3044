/* libqfuse: int8 convolution, dense and grouped.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Dot products of 16-bit operands, docs/numerics.md (3): gcc makes the loops of
 * dot_2x4() into pmaddwd, whose 32-bit results are exact here. An output row's
 * input is laid out as columns [x][ky][channel] of x − x_zero, so that a window
 * is one contiguous run and neighbouring windows share their columns. */
#include "kernels/c/conv.h"

#include <string.h>

enum
{
  K_STEP = 16,           /* 16-bit elements that a window is rounded up to */
  OC_STEP = 4,           /* output channels of one block */
  TILE_BYTES = 48 * 1024 /* of columns, to be found in the nearer caches */
};

typedef struct
{
  int ic, oc;         /* channels of one group */
  int n_columns;      /* of one output row */
  size_t column;      /* elements of a column: kernel_h · ic */
  size_t pixel;       /* elements from one window to the next */
  size_t row;         /* elements of one output row's columns */
  size_t k, k_padded; /* elements of a window */
  int shared;         /* windows share columns */
  int rows;           /* output rows of one tile */
} Layout;

static Layout
layout (const QfConvShape *s)
{
  Layout l;
  size_t rows;

  l.ic = s->in_c / s->groups;
  l.oc = s->out_c / s->groups;
  l.column = (size_t)s->kernel_h * (size_t)l.ic;
  l.shared = s->dilation_w == 1 && s->stride_w <= s->kernel_w;
  l.n_columns = l.shared ? (s->out_w - 1) * s->stride_w + s->kernel_w
                         : s->out_w * s->kernel_w;
  l.pixel = (size_t)(l.shared ? s->stride_w : s->kernel_w) * l.column;
  l.row = (size_t)l.n_columns * l.column;
  l.k = (size_t)s->kernel_w * l.column;
  l.k_padded = (l.k + K_STEP - 1) / K_STEP * K_STEP;
  rows = TILE_BYTES / (l.row * sizeof (int16_t));
  if (rows > (size_t)s->out_h)
    rows = (size_t)s->out_h;
  l.rows = rows > 0 ? (int)rows : 1;
  return l;
}

static int
is_depthwise (const QfConvShape *s)
{
  return s->groups > 1 && s->groups == s->in_c && s->groups == s->out_c;
}

size_t
QF_T (conv_s8_packed_size) (const QfConvShape *s)
{
  Layout l = layout (s);
  size_t blocks = ((size_t)l.oc + OC_STEP - 1) / OC_STEP;

  if (is_depthwise (s))
    return QF_T (conv_dw_packed_size) (s);
  return (size_t)s->groups * blocks * OC_STEP * l.k_padded * sizeof (int16_t);
}

/* To [group][out_c rounded up][kx][ky][ic], zeros where rounded up. */
void
QF_T (conv_s8_pack) (const QfConvShape *s, const int8_t *w, void *packed)
{
  Layout l = layout (s);
  int16_t *p = packed;
  int oc_padded = (l.oc + OC_STEP - 1) / OC_STEP * OC_STEP;
  int kh = s->kernel_h, kw = s->kernel_w;

  if (is_depthwise (s)) {
    QF_T (conv_dw_pack) (s, w, packed);
    return;
  }
  memset (packed, 0, QF_T (conv_s8_packed_size) (s));
  for (int o = 0; o < s->out_c; o++) {
    size_t slot = (size_t)(o / l.oc) * (size_t)oc_padded + (size_t)(o % l.oc);
    int16_t *to = p + slot * l.k_padded;
    const int8_t *from = w + (size_t)o * l.k;

    for (int c = 0; c < l.ic; c++)
      for (int ky = 0; ky < kh; ky++)
        for (int kx = 0; kx < kw; kx++)
          to[((size_t)kx * kh + ky) * l.ic + c]
              = from[((size_t)c * kh + ky) * kw + kx];
  }
}

size_t
QF_T (conv_u8s8_scratch_size) (const QfConvShape *s)
{
  Layout l = layout (s);

  if (is_depthwise (s))
    return QF_T (conv_dw_scratch_size) (s);
  return ((size_t)l.rows * l.row + K_STEP) * sizeof (int16_t);
}

/* Column elements of input column @ix, rows @iy0, @iy0 + dilation, … */
static void
fill_column (const QfConvShape *s, const uint8_t *x, int zero, int ic, int ix,
             int iy0, int16_t *to)
{
  for (int ky = 0; ky < s->kernel_h; ky++, to += ic) {
    int iy = iy0 + ky * s->dilation_h;

    if (ix < 0 || ix >= s->in_w || iy < 0 || iy >= s->in_h) {
      memset (to, 0, (size_t)ic * sizeof *to);
    } else {
      const uint8_t *from = x + ((size_t)iy * s->in_w + ix) * s->in_c;

      for (int c = 0; c < ic; c++)
        to[c] = (int16_t)(from[c] - zero);
    }
  }
}

static void
fill_row (const QfConvShape *s, const Layout *l, const uint8_t *x, int zero,
          int oy, int16_t *to)
{
  int iy0 = oy * s->stride_h - s->pad_top;

  for (int i = 0; i < l->n_columns; i++) {
    int ix = l->shared ? i
                       : i / s->kernel_w * s->stride_w
                             + i % s->kernel_w * s->dilation_w;

    fill_column (s, x, zero, l->ic, ix - s->pad_left, iy0,
                 to + (size_t)i * l->column);
  }
}

/* Products are within ±255·127, two of them within 2^16: exact in 32 bits. */
static inline void
dot_2x4 (const int16_t *restrict x0, const int16_t *restrict x1,
         const int16_t *restrict w, size_t n, int32_t *restrict sums)
{
  const int16_t *w0 = w, *w1 = w + n, *w2 = w + 2 * n, *w3 = w + 3 * n;
  int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;

  for (size_t k = 0; k < n / K_STEP * K_STEP; k++) {
    int32_t a = x0[k], b = x1[k];

    a0 += a * w0[k];
    a1 += a * w1[k];
    a2 += a * w2[k];
    a3 += a * w3[k];
    b0 += b * w0[k];
    b1 += b * w1[k];
    b2 += b * w2[k];
    b3 += b * w3[k];
  }
  sums[0] = a0;
  sums[1] = a1;
  sums[2] = a2;
  sums[3] = a3;
  sums[4] = b0;
  sums[5] = b1;
  sums[6] = b2;
  sums[7] = b3;
}

/* Windows @n of one row times one block of channels (@oc ≤ 4 are real). */
static void
row_block (const Layout *l, const int16_t *x, int n, const int16_t *w, int oc,
           int32_t *acc, size_t acc_stride)
{
  int32_t sums[2 * OC_STEP];

  for (int p = 0; p < n; p += 2) {
    int last = p + 1 == n; /* then its window is counted twice */
    const int16_t *x0 = x + (size_t)p * l->pixel;
    int32_t *to = acc + (size_t)p * acc_stride;

    dot_2x4 (x0, last ? x0 : x0 + l->pixel, w, l->k_padded, sums);
    if (oc == OC_STEP) {
      memcpy (to, sums, OC_STEP * sizeof *sums);
      if (!last)
        memcpy (to + acc_stride, sums + OC_STEP, OC_STEP * sizeof *sums);
    } else {
      memcpy (to, sums, (size_t)oc * sizeof *sums);
      if (!last)
        memcpy (to + acc_stride, sums + OC_STEP, (size_t)oc * sizeof *sums);
    }
  }
}

/* @rows rows of columns times one group's weights. */
static void
tile (const QfConvShape *s, const Layout *l, const int16_t *columns, int rows,
      const int16_t *w, int32_t *acc)
{
  size_t pixels = TILE_BYTES / (l->pixel * sizeof (int16_t));
  int step = pixels < 2                  ? 2
             : pixels > (size_t)s->out_w ? s->out_w
                                         : (int)(pixels & ~(size_t)1);

  for (int p = 0; p < s->out_w; p += step) {
    int n = s->out_w - p < step ? s->out_w - p : step;

    for (int o = 0; o < l->oc; o += OC_STEP)
      for (int r = 0; r < rows; r++)
        row_block (l, columns + (size_t)r * l->row + (size_t)p * l->pixel, n,
                   w + (size_t)o * l->k_padded,
                   l->oc - o < OC_STEP ? l->oc - o : OC_STEP,
                   acc + ((size_t)r * s->out_w + p) * s->out_c + o,
                   (size_t)s->out_c);
  }
}

void
QF_T (conv_u8s8_s32) (const QfConvShape *s, const uint8_t *x, int x_zero,
                      const void *packed, int32_t *acc, int row0, int row1,
                      void *scratch)
{
  Layout l = layout (s);
  size_t oc_padded = ((size_t)l.oc + OC_STEP - 1) / OC_STEP * OC_STEP;
  int16_t *columns = scratch;

  if (is_depthwise (s)) {
    QF_T (conv_dw_u8s8_s32) (s, x, x_zero, packed, acc, row0, row1, scratch);
    return;
  }
  for (int r = row0; r < row1; r += l.rows) {
    int rows = row1 - r < l.rows ? row1 - r : l.rows;

    /* read behind the last window, times zero weights */
    memset (columns + (size_t)rows * l.row, 0, K_STEP * sizeof *columns);
    for (int g = 0; g < s->groups; g++) {
      const int16_t *w = packed;

      for (int i = 0; i < rows; i++)
        fill_row (s, &l, x + (size_t)g * l.ic, x_zero, r + i,
                  columns + (size_t)i * l.row);
      tile (s, &l, columns, rows, w + (size_t)g * oc_padded * l.k_padded,
            acc + (size_t)(r - row0) * s->out_w * s->out_c + (size_t)g * l.oc);
    }
  }
}
