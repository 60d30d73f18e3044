/* libqfuse: int8 dense convolution, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An output row's input becomes 16-bit columns (c/columns.h), in which every
 * window is one run of elements; tile_avx2.h multiplies runs by weights. Exact:
 * docs/numerics.md (4). */
#include "kernels/c/columns.h"
#include "kernels/x86/tile_avx2.h"

QF_DEFINE_FILL (fill_row, uint8_t, int16_t, (int16_t) (v - zero))

int
qf_conv_dense_avx2_can (const QfConvShape *s)
{
  return s->groups == 1 && s->out_c > 2;
}

static size_t
pairs_of (const QfColumns *l)
{
  return (l->k + 1) / 2;
}

/* [block][pairs][8 or 16 channels][2] int16. */
size_t
qf_conv_dense_avx2_packed_size (const QfConvShape *s)
{
  QfColumns l = qf_columns (s, sizeof (int16_t));
  size_t channels = ((size_t) s->out_c + QF_TILE_NARROW - 1) / QF_TILE_NARROW *
      QF_TILE_NARROW;

  return channels * pairs_of (&l) * 2 * sizeof (int16_t);
}

void
qf_conv_dense_avx2_pack (const QfConvShape *s, const int8_t *w, void *packed)
{
  QfColumns l = qf_columns (s, sizeof (int16_t));
  int16_t *p = packed;

  memset (packed, 0, qf_conv_dense_avx2_packed_size (s));
  for (int o = 0; o < s->out_c; o++) {
    int first = o / QF_TILE_Y * QF_TILE_Y;
    int width = qf_tile_width (s->out_c, first);
    int16_t *to = p + (size_t) first * pairs_of (&l) * 2;

    for (int c = 0; c < l.ic; c++)
      for (int ky = 0; ky < s->kernel_h; ky++)
        for (int kx = 0; kx < s->kernel_w; kx++) {
          size_t k = qf_columns_k (s, &l, c, ky, kx);

          to[(k / 2 * (size_t) width + (size_t) (o - first)) * 2 + k % 2] =
              *w++;
        }
  }
}

/* Columns, and one element that a window of an odd number reads beyond. */
size_t
qf_conv_dense_avx2_scratch_size (const QfConvShape *s)
{
  QfColumns l = qf_columns (s, sizeof (int16_t));

  return ((size_t) l.rows * l.row + 1) * sizeof (int16_t);
}

void
qf_conv_dense_avx2_grain (const QfConvShape *s, int *rows, int *channels)
{
  QfColumns l = qf_columns (s, sizeof (int16_t));

  *rows = l.rows < s->out_h ? l.rows : 1;
  *channels = QF_TILE_Y;
}

/* A piece of the output: @n windows from window @p on of rows of columns. */
typedef struct
{
  const QfConvShape *s;
  const QfColumns *l;
  const int16_t *columns;
  QfConvOut out; /* at the first of the rows */
  const QfCodesAvx2 *codes;
  int p, n;
} Piece;

static void
block (const Piece *e, const int16_t *w, int o)
{
  const QfConvShape *s = e->s;
  size_t pairs = pairs_of (e->l);
  int left = s->out_c - o, wide = qf_tile_width (s->out_c, o) == QF_TILE_Y;
  float mult[QF_TILE_Y] = { 0 };
  int32_t start[QF_TILE_Y] = { 0 };
  int row = e->p / s->out_w, column = e->p % s->out_w, first = 0;
  QfTileOut t = { &e->out, e->codes, mult, start, 0, (size_t) s->out_c, 0,
    left < QF_TILE_Y ? left : QF_TILE_Y };

  for (int i = 0; e->out.r && i < t.channels; i++) {
    mult[i] = e->out.r->mult[o + i];
    start[i] = e->out.r->bias ? e->out.r->bias[o + i] : 0;
  }
  if (t.channels == QF_TILE_Y && e->l->row == (size_t) s->out_w * e->l->pixel) {
    /* windows are as far apart where a row ends: 1x1, or none overlap */
    first = e->n / QF_TILE_X * QF_TILE_X;
    t.at = (size_t) e->p * s->out_c + (size_t) o;
    qf_tile_line_avx2 (e->columns + (size_t) e->p * e->l->pixel, e->l->pixel, 1,
        0, w, pairs, first / QF_TILE_X, &t);
    row = (e->p + first) / s->out_w;
    column = (e->p + first) % s->out_w;
  }
  for (int p = first; p < e->n; p += QF_TILE_X) {
    const int16_t *x[QF_TILE_X];

    t.n = e->n - p < QF_TILE_X ? e->n - p : QF_TILE_X;
    t.at = (size_t) (e->p + p) * s->out_c + (size_t) o;
    for (int i = 0; i < t.n; i++) {
      x[i] =
          e->columns + (size_t) row * e->l->row + (size_t) column * e->l->pixel;
      if (++column == s->out_w) {
        column = 0;
        row++;
      }
    }
    qf_tile_run_avx2 (x, 1, 0, w, pairs, wide, &t);
  }
}

void
qf_conv_dense_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch)
{
  QfColumns l = qf_columns (s, sizeof (int16_t));
  int16_t *columns = scratch;
  QfCodesAvx2 k = { 0 };

  if (out.r)
    k = qf_codes_avx2_new (out.r);
  for (int r = row0; r < row1; r += l.rows) {
    int rows = row1 - r < l.rows ? row1 - r : l.rows, n = rows * s->out_w;
    size_t at = (size_t) (r - row0) * s->out_w * s->out_c;
    int step =
        rows > 1 ? n : (l.pixels + QF_TILE_X - 1) / QF_TILE_X * QF_TILE_X;

    for (int i = 0; i < rows; i++)
      fill_row (s, &l, x, x_zero, r + i, columns + (size_t) i * l.row);
    columns[(size_t) rows * l.row] = 0;
    for (int p = 0; p < n; p += step) {
      Piece e = { s, &l, columns, out, &k, p, n - p < step ? n - p : step };

      e.out.acc = out.acc ? out.acc + at : NULL;
      e.out.y = out.y ? out.y + at : NULL;
      for (int o = out.c0; o < out.c1; o += QF_TILE_Y)
        block (
            &e, (const int16_t *) packed + (size_t) o * pairs_of (&l) * 2, o);
    }
  }
}
