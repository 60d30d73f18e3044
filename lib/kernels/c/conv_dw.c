/* libqfuse: int8 depthwise convolution.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Vectorized over channels. The input rows of a block of output rows are
 * widened once to x − x_zero in 16 bits, with their borders; then nine taps at
 * a time are summed. */
#include "kernels/c/conv.h"

#include <string.h>

enum
{
  TAPS = 9,
  TILE_BYTES = 48 * 1024
};

typedef struct
{
  int width;  /* columns of a widened row, borders counted */
  int height; /* input rows under one output row */
  size_t row; /* elements of a widened row */
  int n_taps; /* rounded up to TAPS */
  int rows;   /* output rows of one block */
} Layout;

static Layout
layout (const QfConvShape *s)
{
  Layout l;
  size_t fit;

  l.width
      = (s->out_w - 1) * s->stride_w + (s->kernel_w - 1) * s->dilation_w + 1;
  l.height = (s->kernel_h - 1) * s->dilation_h + 1;
  l.row = (size_t)l.width * (size_t)s->in_c;
  l.n_taps = (s->kernel_h * s->kernel_w + TAPS - 1) / TAPS * TAPS;
  fit = TILE_BYTES / (l.row * sizeof (int16_t));
  l.rows = fit <= (size_t)l.height
               ? 1
               : (int)(fit - (size_t)l.height) / s->stride_h + 1;
  if (l.rows > s->out_h)
    l.rows = s->out_h;
  return l;
}

/* Bytes for @rows output rows. */
static size_t
block_elements (const QfConvShape *s, const Layout *l, int rows)
{
  return ((size_t)(rows - 1) * s->stride_h + (size_t)l->height) * l->row;
}

size_t
QF_T (conv_dw_packed_size) (const QfConvShape *s)
{
  return (size_t)layout (s).n_taps * (size_t)s->in_c * sizeof (int16_t);
}

/* To [ky][kx][channel]; the taps rounded up are zeros. */
void
QF_T (conv_dw_pack) (const QfConvShape *s, const int8_t *w, void *packed)
{
  int16_t *p = packed;
  int n = s->kernel_h * s->kernel_w;

  memset (packed, 0, QF_T (conv_dw_packed_size) (s));
  for (int c = 0; c < s->in_c; c++)
    for (int k = 0; k < n; k++)
      p[(size_t)k * s->in_c + c] = w[(size_t)c * n + k];
}

size_t
QF_T (conv_dw_scratch_size) (const QfConvShape *s)
{
  Layout l = layout (s);

  return block_elements (s, &l, l.rows) * sizeof (int16_t);
}

static void
widen_row (const QfConvShape *s, const Layout *l, const uint8_t *x, int zero,
           int iy, int16_t *to)
{
  size_t c = (size_t)s->in_c;
  int left = s->pad_left < l->width ? s->pad_left : l->width;
  int n = l->width - left < s->in_w ? l->width - left : s->in_w;
  const uint8_t *from;
  int16_t *inner = to + (size_t)left * c;

  if (iy < 0 || iy >= s->in_h) {
    memset (to, 0, l->row * sizeof *to);
    return;
  }
  from = x + (size_t)iy * s->in_w * c;
  memset (to, 0, (size_t)left * c * sizeof *to);
  for (size_t i = 0; i < (size_t)n * c; i++)
    inner[i] = (int16_t)(from[i] - zero);
  memset (inner + (size_t)n * c, 0,
          (size_t)(l->width - left - n) * c * sizeof *to);
}

/* One pixel's sums over nine taps, @w [9][channels]. */
static inline void
taps_set (const int16_t *const *x, size_t at, const int16_t *restrict w, int n,
          int32_t *restrict acc)
{
  const int16_t *x0 = x[0] + at, *x1 = x[1] + at, *x2 = x[2] + at;
  const int16_t *x3 = x[3] + at, *x4 = x[4] + at, *x5 = x[5] + at;
  const int16_t *x6 = x[6] + at, *x7 = x[7] + at, *x8 = x[8] + at;
  const int16_t *w1 = w + n, *w2 = w1 + n, *w3 = w2 + n, *w4 = w3 + n;
  const int16_t *w5 = w4 + n, *w6 = w5 + n, *w7 = w6 + n, *w8 = w7 + n;

  for (int c = 0; c < n; c++)
    acc[c] = x0[c] * w[c] + x1[c] * w1[c] + x2[c] * w2[c] + x3[c] * w3[c]
             + x4[c] * w4[c] + x5[c] * w5[c] + x6[c] * w6[c] + x7[c] * w7[c]
             + x8[c] * w8[c];
}

static inline void
taps_add (const int16_t *const *x, size_t at, const int16_t *restrict w, int n,
          int32_t *restrict acc)
{
  for (int t = 0; t < TAPS; t++, w += n) {
    const int16_t *xt = x[t] + at;

    for (int c = 0; c < n; c++)
      acc[c] += xt[c] * w[c];
  }
}

static void
output_row (const QfConvShape *s, const Layout *l, const int16_t *rows,
            const int16_t *w, int32_t *acc)
{
  int n = s->kernel_h * s->kernel_w;
  size_t c = (size_t)s->in_c;

  for (int t0 = 0; t0 < l->n_taps; t0 += TAPS) {
    const int16_t *x[TAPS];

    for (int t = 0; t < TAPS; t++) {
      int k = t0 + t < n ? t0 + t : 0; /* times a zero weight */

      x[t] = rows + (size_t)(k / s->kernel_w * s->dilation_h) * l->row
             + (size_t)(k % s->kernel_w * s->dilation_w) * c;
    }
    for (int ox = 0; ox < s->out_w; ox++) {
      size_t at = (size_t)ox * s->stride_w * c;

      if (t0 == 0)
        taps_set (x, at, w, s->in_c, acc + ox * c);
      else
        taps_add (x, at, w + t0 * c, s->in_c, acc + ox * c);
    }
  }
}

void
QF_T (conv_dw_u8s8_s32) (const QfConvShape *s, const uint8_t *x, int x_zero,
                         const void *packed, int32_t *acc, int row0, int row1,
                         void *scratch)
{
  Layout l = layout (s);
  int16_t *wide = scratch;

  for (int r = row0; r < row1; r += l.rows) {
    int rows = row1 - r < l.rows ? row1 - r : l.rows;
    int n = (rows - 1) * s->stride_h + l.height;

    for (int i = 0; i < n; i++)
      widen_row (s, &l, x, x_zero, r * s->stride_h - s->pad_top + i,
                 wide + (size_t)i * l.row);
    for (int i = 0; i < rows; i++)
      output_row (s, &l, wide + (size_t)i * s->stride_h * l.row, packed,
                  acc + (size_t)(r - row0 + i) * s->out_w * s->out_c);
  }
}
