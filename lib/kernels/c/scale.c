/* libqfuse: scaling of one plane of bytes in whole numbers.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Both directions together give floor(sum / (Dx·Dy) + 1/2), rounded once
 * (docs/numerics.md, V4 to V6). Rows are summed first, over whole source rows,
 * then columns. */
#include "kernels/c/scale.h"

#include <string.h>

size_t
QF_T (scale_packed_size) (const QfScale *s)
{
  (void) s;
  return 0;
}

void
QF_T (scale_pack) (const QfScale *s, void *packed)
{
  (void) s;
  (void) packed;
}

/* Column sums of 32 bits, of 16 where those suffice. */
size_t
QF_T (scale_scratch_size) (const QfScale *s)
{
  return (size_t) s->x.src * sizeof (uint32_t);
}

/* Weighted sums of source rows: row[x] = Σ w[t]·src[t][x] ≤ 255·Dy. Two rows at
 * a time halve the traffic of the sums. */
#define SUM_ROWS(name, type)                                                   \
  static void name (const uint8_t *restrict src, ptrdiff_t stride,             \
      const uint16_t *w, int taps, int width, type *restrict row)              \
  {                                                                            \
    int t = 0;                                                                 \
                                                                               \
    if (taps & 1) {                                                            \
      type w0 = w[0];                                                          \
                                                                               \
      for (int x = 0; x < width; x++)                                          \
        row[x] = (type) (w0 * src[x]);                                         \
      t = 1;                                                                   \
    } else {                                                                   \
      memset (row, 0, (size_t) width * sizeof *row);                           \
    }                                                                          \
    for (; t < taps; t += 2) {                                                 \
      const uint8_t *a = src + t * stride, *b = a + stride;                    \
      type wa = w[t], wb = w[t + 1];                                           \
                                                                               \
      for (int x = 0; x < width; x++)                                          \
        row[x] = (type) (row[x] + (type) (wa * a[x]) + (type) (wb * b[x]));    \
    }                                                                          \
  }

SUM_ROWS (sum_rows_16, uint16_t)
SUM_ROWS (sum_rows_32, uint32_t)

/* floor(sum/D + 1/2) for sum ≤ 255·D as a product: sum + half + 1/2 is exact in
 * double, its quotient by D < 2^32 at least 2^-33 away from any whole number,
 * and the product is off by less than 2^-43. */
static inline uint8_t
divide (uint64_t sum, uint64_t half, double inverse)
{
  return (
      uint8_t) (int32_t) (((double) (int64_t) (sum + half) + 0.5) * inverse);
}

/* Weighted sums of columns, divided. Inlined with a constant number of taps. */
#define SUM_COLUMNS(name, row_type, sum_type)                                  \
  static inline __attribute__ ((always_inline)) void name##_taps (             \
      const row_type *restrict row, const QfScaleAxis *a, int taps,            \
      uint64_t half, double inverse, uint8_t *restrict dst)                    \
  {                                                                            \
    const uint16_t *w = a->weight;                                             \
                                                                               \
    for (int i = 0; i < a->dst; i++, w += taps) {                              \
      const row_type *p = row + a->first[i];                                   \
      sum_type sum = 0;                                                        \
                                                                               \
      for (int t = 0; t < taps; t++)                                           \
        sum += (sum_type) w[t] * p[t];                                         \
      dst[i] = divide (sum, half, inverse);                                    \
    }                                                                          \
  }                                                                            \
                                                                               \
  static void name (const row_type *restrict row, const QfScaleAxis *a,        \
      uint64_t half, double inverse, uint8_t *restrict dst)                    \
  {                                                                            \
    switch (a->taps) {                                                         \
      case 1:                                                                  \
        name##_taps (row, a, 1, half, inverse, dst);                           \
        break;                                                                 \
      case 2:                                                                  \
        name##_taps (row, a, 2, half, inverse, dst);                           \
        break;                                                                 \
      case 3:                                                                  \
        name##_taps (row, a, 3, half, inverse, dst);                           \
        break;                                                                 \
      case 4:                                                                  \
        name##_taps (row, a, 4, half, inverse, dst);                           \
        break;                                                                 \
      default:                                                                 \
        name##_taps (row, a, a->taps, half, inverse, dst);                     \
    }                                                                          \
  }

SUM_COLUMNS (sum_columns_16, uint16_t, uint32_t)
SUM_COLUMNS (sum_columns_32, uint32_t, uint32_t)
SUM_COLUMNS (sum_columns_wide, uint32_t, uint64_t)

void
QF_T (scale_u8) (const QfScale *s, const void *packed, const uint8_t *src,
    ptrdiff_t src_stride, uint8_t *dst, ptrdiff_t dst_stride, int row0,
    int row1, void *scratch)
{
  const QfScaleAxis *x = &s->x, *y = &s->y;
  uint64_t divisor = (uint64_t) x->sum * y->sum;
  double inverse = 1.0 / (double) divisor;
  int narrow = 255 * y->sum <= UINT16_MAX;
  int wide = 255 * divisor + divisor / 2 > UINT32_MAX;

  (void) packed;
  for (int i = row0; i < row1; i++, dst += dst_stride) {
    const uint8_t *from = src + (y->first[i] - y->first[row0]) * src_stride;
    const uint16_t *w = y->weight + (size_t) i * y->taps;

    if (divisor == 1) {
      memcpy (dst, from, (size_t) x->dst);
    } else if (narrow && !wide) {
      sum_rows_16 (from, src_stride, w, y->taps, x->src, scratch);
      sum_columns_16 (scratch, x, divisor / 2, inverse, dst);
    } else {
      sum_rows_32 (from, src_stride, w, y->taps, x->src, scratch);
      if (wide)
        sum_columns_wide (scratch, x, divisor / 2, inverse, dst);
      else
        sum_columns_32 (scratch, x, divisor / 2, inverse, dst);
    }
  }
}
