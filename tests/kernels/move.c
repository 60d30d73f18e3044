/* Kernel tests: operators that only move elements.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

int
check_transpose (const QfKernels *k, QfRng *rng)
{
  for (int i = 0, n_rounds = check_rounds (200); i < n_rounds; i++) {
    size_t size = i % 2 ? 1 : 4;
    int rows = check_int (rng, 1, 80), cols = check_int (rng, 1, 300);
    size_t n = (size_t) rows * cols * size;
    uint8_t *x = check_alloc (rng, n), *y = check_alloc (rng, n);
    int cut = check_int (rng, 0, cols), ok = 1;

    check_codes (rng, x, n, 0);
    k->transpose (x, rows, cols, size, y, 0, cut);
    k->transpose (
        x, rows, cols, size, y + (size_t) cut * rows * size, cut, cols);
    for (int r = 0; r < rows; r++)
      for (int c = 0; c < cols; c++)
        ok &= memcmp (y + ((size_t) c * rows + r) * size,
                  x + ((size_t) r * cols + c) * size, size) == 0;
    ok &= check_free (x, "x") & check_free (y, "y");
    if (!ok)
      return CHECK_FAIL ("%d x %d of %zu bytes", rows, cols, size);
  }
  return 1;
}

int
check_resize_nearest (const QfKernels *k, QfRng *rng)
{
  for (int i = 0, n_rounds = check_rounds (200); i < n_rounds; i++) {
    size_t size = i % 2 ? 1 : 4;
    int h = check_int (rng, 1, 9), w = check_int (rng, 1, 9);
    int c = check_int (rng, 1, 20);
    int sh = check_int (rng, 1, 4), sw = check_int (rng, 1, 4);
    size_t pixel = c * size, row = (size_t) w * sw * pixel;
    uint8_t *x = check_alloc (rng, (size_t) h * w * pixel);
    uint8_t *y = check_alloc (rng, (size_t) h * sh * row);
    int cut = check_int (rng, 0, h * sh), ok = 1;

    check_codes (rng, x, (size_t) h * w * pixel, 0);
    k->resize_nearest (x, w, c, size, sh, sw, y, 0, cut);
    k->resize_nearest (x, w, c, size, sh, sw, y + cut * row, cut, h * sh);
    for (int oy = 0; oy < h * sh; oy++)
      for (int ox = 0; ox < w * sw; ox++)
        ok &= memcmp (y + oy * row + ox * pixel,
                  x + ((size_t) (oy / sh) * w + ox / sw) * pixel, pixel) == 0;
    ok &= check_free (x, "x") & check_free (y, "y");
    if (!ok)
      return CHECK_FAIL ("%dx%dx%d by %d, %d", h, w, c, sh, sw);
  }
  return 1;
}
