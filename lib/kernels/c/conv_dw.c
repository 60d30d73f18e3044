/* libqfuse: int8 depthwise convolution.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Vectorized over channels: LANES of them at a time, whose input rows are
 * copied as float32 with their borders. The taps of a kernel's row go in
 * triples (a missing one has weight 0), three triples at a time with their
 * weights in registers. Nine products are exact in float32; groups of nine are
 * added in int32: docs/numerics.md (5). */
#include "kernels/c/conv.h"
#include "kernels/c/tile_f32.h"

#include <string.h>

enum
{
  LANES = QF_LANES,
  TILE_BYTES = 24 * 1024
};

typedef int32_t IntVec
    __attribute__ ((vector_size (4 * LANES), aligned (4), may_alias));

typedef struct
{
  int blocks;      /* of LANES channels */
  int width;       /* columns of a copied row, borders counted */
  int height;      /* input rows under one output row */
  size_t row;      /* elements of a copied row */
  int row_triples; /* of one row of the kernel */
  int n_triples;   /* of the kernel, rounded up to 3 */
  int rows;        /* output rows of one tile */
} Layout;

static Layout
layout (const QfConvShape *s)
{
  Layout l;
  size_t fit;

  l.blocks = (s->in_c + LANES - 1) / LANES;
  l.row_triples = (s->kernel_w + 2) / 3;
  l.n_triples = (s->kernel_h * l.row_triples + 2) / 3 * 3;
  l.width = (s->out_w - 1) * s->stride_w +
      (l.row_triples * 3 - 1) * s->dilation_w + 1;
  l.height = (s->kernel_h - 1) * s->dilation_h + 1;
  l.row = (size_t) l.width * LANES;
  fit = TILE_BYTES / (l.row * sizeof (float));
  l.rows = fit <= (size_t) l.height
      ? 1
      : (int) (fit - (size_t) l.height) / s->stride_h + 1;
  l.rows = l.rows < s->out_h ? l.rows : s->out_h;
  return l;
}

/* Elements of one block's packed weights. */
static size_t
block_weights (const Layout *l)
{
  return (size_t) l->n_triples * 3 * LANES;
}

size_t
QF_T (conv_dw_packed_size) (const QfConvShape *s)
{
  Layout l = layout (s);

  return (size_t) l.blocks * block_weights (&l) * sizeof (float);
}

/* To [block][ky][kx rounded up][LANES], zeros where rounded up. */
void
QF_T (conv_dw_pack) (const QfConvShape *s, const int8_t *w, void *packed)
{
  Layout l = layout (s);

  memset (packed, 0, QF_T (conv_dw_packed_size) (s));
  for (int c = 0; c < s->in_c; c++) {
    float *to = (float *) packed + (size_t) (c / LANES) * block_weights (&l) +
        c % LANES;

    for (int ky = 0; ky < s->kernel_h; ky++)
      for (int kx = 0; kx < s->kernel_w; kx++)
        to[(ky * l.row_triples * 3 + kx) * LANES] = *w++;
  }
}

size_t
QF_T (conv_dw_scratch_size) (const QfConvShape *s)
{
  Layout l = layout (s);

  return ((size_t) (l.rows - 1) * s->stride_h + (size_t) l.height) * l.row *
      sizeof (float);
}

/* @n pixels of @lanes channels; the other lanes are 0. */
static void
copy_pixels (const uint8_t *restrict from, size_t step, int zero, int n,
    int lanes, float *restrict to)
{
  if (lanes == LANES)
    for (int i = 0; i < n; i++, from += step, to += LANES)
      for (int j = 0; j < LANES; j++)
        to[j] = (float) (from[j] - zero);
  else
    for (int i = 0; i < n; i++, from += step, to += LANES)
      for (int j = 0; j < LANES; j++)
        to[j] = j < lanes ? (float) (from[j] - zero) : 0.0f;
}

static void
copy_row (const QfConvShape *s, const Layout *l, const uint8_t *x, int zero,
    int iy, int lanes, float *to)
{
  size_t c = (size_t) s->in_c;
  int left = s->pad_left < l->width ? s->pad_left : l->width;
  int n = l->width - left < s->in_w ? l->width - left : s->in_w;

  if (iy < 0 || iy >= s->in_h) {
    memset (to, 0, l->row * sizeof *to);
    return;
  }
  memset (to, 0, (size_t) left * LANES * sizeof *to);
  copy_pixels (x + (size_t) iy * s->in_w * c, c, zero, n, lanes,
      to + (size_t) left * LANES);
  memset (to + (size_t) (left + n) * LANES, 0,
      (size_t) (l->width - left - n) * LANES * sizeof *to);
}

/* Three triples over one output row; @d: from one tap of a triple to the next.
 * @add: to what @acc holds. */
static inline void
nine_taps (const float *const *x, size_t step, size_t d, const float *w,
    int add, int n, int lanes, int32_t *acc, size_t acc_step)
{
  const float *x0 = x[0], *x1 = x[1], *x2 = x[2];
  const QfVec *wv = (const QfVec *) w;
  QfVec w0 = wv[0], w1 = wv[1], w2 = wv[2], w3 = wv[3], w4 = wv[4];
  QfVec w5 = wv[5], w6 = wv[6], w7 = wv[7], w8 = wv[8];

#define AT(row, tap) *(const QfVec *) (row + tap * d)
  for (int i = 0; i < n; i++, acc += acc_step) {
    QfVec a = w0 * AT (x0, 0) + w1 * AT (x0, 1) + w2 * AT (x0, 2);
    QfVec b = w3 * AT (x1, 0) + w4 * AT (x1, 1) + w5 * AT (x1, 2);
    QfVec c = w6 * AT (x2, 0) + w7 * AT (x2, 1) + w8 * AT (x2, 2);
    IntVec sum = __builtin_convertvector(a + b + c, IntVec);

    if (lanes == LANES) {
      if (add)
        sum += *(IntVec *) acc;
      *(IntVec *) acc = sum;
    } else {
      int32_t some[LANES];

      memcpy (some, &sum, sizeof some);
      for (int j = 0; j < lanes; j++)
        acc[j] = add ? acc[j] + some[j] : some[j];
    }
    x0 += step;
    x1 += step;
    x2 += step;
  }
#undef AT
}

static void
output_row (const QfConvShape *s, const Layout *l, const float *rows,
    const float *w, int lanes, int32_t *acc)
{
  int n = s->kernel_h * l->row_triples;
  size_t step = (size_t) s->stride_w * LANES, acc_step = (size_t) s->out_c;
  size_t d = (size_t) s->dilation_w * LANES;

  for (int t0 = 0; t0 < l->n_triples; t0 += 3, w += 9 * LANES) {
    const float *x[3];

    for (int t = 0; t < 3; t++) {
      int k = t0 + t < n ? t0 + t : 0; /* times zero weights */

      x[t] = rows + (size_t) (k / l->row_triples * s->dilation_h) * l->row +
          (size_t) (k % l->row_triples) * 3 * d;
    }
    if (lanes == LANES && t0 == 0)
      nine_taps (x, step, d, w, 0, s->out_w, LANES, acc, acc_step);
    else if (lanes == LANES)
      nine_taps (x, step, d, w, 1, s->out_w, LANES, acc, acc_step);
    else
      nine_taps (x, step, d, w, t0 > 0, s->out_w, lanes, acc, acc_step);
  }
}

void
QF_T (conv_dw_u8s8_s32) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, int32_t *acc, int row0, int row1, void *scratch)
{
  Layout l = layout (s);
  float *copy = scratch;

  for (int b = 0; b < l.blocks; b++) {
    int c = b * LANES, lanes = s->in_c - c < LANES ? s->in_c - c : LANES;
    const float *w = (const float *) packed + (size_t) b * block_weights (&l);

    for (int r = row0; r < row1; r += l.rows) {
      int rows = row1 - r < l.rows ? row1 - r : l.rows;
      int n = (rows - 1) * s->stride_h + l.height;

      for (int i = 0; i < n; i++)
        copy_row (s, &l, x + c, x_zero, r * s->stride_h - s->pad_top + i, lanes,
            copy + (size_t) i * l.row);
      for (int i = 0; i < rows; i++)
        output_row (s, &l, copy + (size_t) i * s->stride_h * l.row, w, lanes,
            acc + (size_t) (r - row0 + i) * s->out_w * s->out_c + c);
    }
  }
}
