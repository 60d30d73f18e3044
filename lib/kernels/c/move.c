/* libqfuse: operators that only move elements.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/move.h"

#include <string.h>

enum
{
  BLOCK = 64 /* columns whose lines stay in the nearest cache */
};

#define TRANSPOSE(TYPE)                                                        \
  static void transpose_##TYPE (const TYPE *restrict x, int rows, int cols,    \
                                TYPE *restrict y, int col0, int col1)          \
  {                                                                            \
    for (int b = col0; b < col1; b += BLOCK) {                                 \
      int end = b + BLOCK < col1 ? b + BLOCK : col1;                           \
                                                                               \
      for (int r = 0; r < rows; r++)                                           \
        for (int c = b; c < end; c++)                                          \
          y[(size_t)(c - col0) * rows + r] = x[(size_t)r * cols + c];          \
    }                                                                          \
  }

TRANSPOSE (uint8_t)
TRANSPOSE (uint32_t)

void
QF_T (transpose) (const void *x, int rows, int cols, size_t size, void *y,
                  int col0, int col1)
{
  if (size == 1)
    transpose_uint8_t (x, rows, cols, y, col0, col1);
  else
    transpose_uint32_t (x, rows, cols, y, col0, col1);
}

void
QF_T (resize_nearest) (const void *x, int in_w, int c, size_t size, int scale_h,
                       int scale_w, void *y, int row0, int row1)
{
  size_t pixel = (size_t)c * size;
  size_t out_row = (size_t)in_w * scale_w * pixel;

  for (int oy = row0; oy < row1; oy++) {
    uint8_t *to = (uint8_t *)y + (size_t)(oy - row0) * out_row;
    const uint8_t *from
        = (const uint8_t *)x + (size_t)(oy / scale_h) * in_w * pixel;

    if (oy > row0 && oy % scale_h != 0) {
      memcpy (to, to - out_row, out_row);
      continue;
    }
    for (int ix = 0; ix < in_w; ix++, from += pixel)
      for (int i = 0; i < scale_w; i++, to += pixel)
        memcpy (to, from, pixel);
  }
}
