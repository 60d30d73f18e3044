/* libqfuse: operators that only move elements.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/move.h"

#include <string.h>

enum
{
  BLOCK = 64 /* columns whose lines stay in the nearest cache; 8 divides it */
};

#define TRANSPOSE(TYPE)                                                        \
  static void transpose_##TYPE (const TYPE *restrict x, int rows, int cols,    \
      TYPE *restrict y, int row0, int row1, int col0, int col1)                \
  {                                                                            \
    for (int b = col0; b < col1; b += BLOCK) {                                 \
      int end = b + BLOCK < col1 ? b + BLOCK : col1;                           \
                                                                               \
      for (int r = row0; r < row1; r++)                                        \
        for (int c = b; c < end; c++)                                          \
          y[(size_t) c * rows + r] = x[(size_t) r * cols + c];                 \
    }                                                                          \
  }

TRANSPOSE (uint8_t)
TRANSPOSE (uint32_t)

/* Swaps the bits of @mask << @shift in @a with those of @mask in @b. */
static inline void
swap_bits (uint64_t *a, uint64_t *b, int shift, uint64_t mask)
{
  uint64_t t = ((*a >> shift) ^ *b) & mask;

  *a ^= t << shift;
  *b ^= t;
}

/* Eight rows of eight bytes, the first in the lowest bits: halves, quarters and
 * single bytes across the diagonal. */
static inline void
transpose_8x8 (const uint8_t *x, size_t x_step, uint8_t *y, size_t y_step)
{
  uint64_t v[8];

  for (int i = 0; i < 8; i++)
    memcpy (&v[i], x + (size_t) i * x_step, 8);
  for (int i = 0; i < 4; i++)
    swap_bits (&v[i], &v[i + 4], 32, 0x00000000ffffffff);
  for (int i = 0; i < 8; i += i & 1 ? 3 : 1)
    swap_bits (&v[i], &v[i + 2], 16, 0x0000ffff0000ffff);
  for (int i = 0; i < 8; i += 2)
    swap_bits (&v[i], &v[i + 1], 8, 0x00ff00ff00ff00ff);
  for (int i = 0; i < 8; i++)
    memcpy (y + (size_t) i * y_step, &v[i], 8);
}

/* Three planes to triples, which gcc vectorizes: what colour inputs are. */
static void
interleave_3 (const uint8_t *restrict x, int cols, uint8_t *restrict y,
    int col0, int col1)
{
  const uint8_t *a = x, *b = x + cols, *c = x + 2 * (size_t) cols;

  for (int i = col0; i < col1; i++) {
    y[3 * (size_t) i] = a[i];
    y[3 * (size_t) i + 1] = b[i];
    y[3 * (size_t) i + 2] = c[i];
  }
}

static void
transpose_bytes (
    const uint8_t *x, int rows, int cols, uint8_t *y, int col0, int col1)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  int r8 = rows / 8 * 8, c8 = col0 + (col1 - col0) / 8 * 8;
#else
  int r8 = 0, c8 = col0;
#endif

  if (rows == 3) {
    interleave_3 (x, cols, y, col0, col1);
    return;
  }
  for (int b = col0; b < c8; b += BLOCK)
    for (int r = 0; r < r8; r += 8)
      for (int c = b; c < c8 && c < b + BLOCK; c += 8)
        transpose_8x8 (x + (size_t) r * cols + c, (size_t) cols,
            y + (size_t) c * rows + r, (size_t) rows);
  transpose_uint8_t (x, rows, cols, y, 0, r8, c8, col1);
  transpose_uint8_t (x, rows, cols, y, r8, rows, col0, col1);
}

/* Inside, @y is the whole result. */
void
QF_T (transpose) (
    const void *x, int rows, int cols, size_t size, void *y, int col0, int col1)
{
  uint8_t *whole = (uint8_t *) y - (size_t) col0 * rows * size;

  if (size == 1)
    transpose_bytes (x, rows, cols, whole, col0, col1);
  else
    transpose_uint32_t (
        x, rows, cols, (uint32_t *) (void *) whole, 0, rows, col0, col1);
}

void
QF_T (resize_nearest) (const void *x, int in_w, int c, size_t size, int scale_h,
    int scale_w, void *y, int row0, int row1)
{
  size_t pixel = (size_t) c * size;
  size_t out_row = (size_t) in_w * scale_w * pixel;

  for (int oy = row0; oy < row1; oy++) {
    uint8_t *to = (uint8_t *) y + (size_t) (oy - row0) * out_row;
    const uint8_t *from =
        (const uint8_t *) x + (size_t) (oy / scale_h) * in_w * pixel;

    if (oy > row0 && oy % scale_h != 0) {
      memcpy (to, to - out_row, out_row);
      continue;
    }
    for (int ix = 0; ix < in_w; ix++, from += pixel)
      for (int i = 0; i < scale_w; i++, to += pixel)
        memcpy (to, from, pixel);
  }
}
