/* libqfuse: max and average pooling.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/pool.h"

#include <math.h>
#include <string.h>

/* One output pixel's window, clipped to the input: taps [*k0, *k1) count. */
static void
clip_taps (int at, int in, int kernel, int dilation, int *k0, int *k1)
{
  *k0 = at < 0 ? (-at + dilation - 1) / dilation : 0;
  *k1 = in > at ? (in - at + dilation - 1) / dilation : 0;
  if (*k1 > kernel)
    *k1 = kernel;
}

/* The loops of max pooling for one type; @LEAST is below every element. */
#define MAX_POOL(TYPE, LEAST)                                                  \
  for (int oy = row0; oy < row1; oy++)                                         \
    for (int ox = 0; ox < s->out_w; ox++) {                                    \
      int y0 = oy * s->stride_h - s->pad_top, ky0, ky1;                        \
      int x0 = ox * s->stride_w - s->pad_left, kx0, kx1;                       \
      int n = s->in_c;                                                         \
      TYPE *restrict to = y + ((size_t) (oy - row0) * s->out_w + ox) * n;      \
                                                                               \
      clip_taps (y0, s->in_h, s->kernel_h, s->dilation_h, &ky0, &ky1);         \
      clip_taps (x0, s->in_w, s->kernel_w, s->dilation_w, &kx0, &kx1);         \
      for (int c = 0; c < n; c++)                                              \
        to[c] = LEAST;                                                         \
      for (int ky = ky0; ky < ky1; ky++)                                       \
        for (int kx = kx0; kx < kx1; kx++) {                                   \
          const TYPE *from = x +                                               \
              ((size_t) (y0 + ky * s->dilation_h) * s->in_w + x0 +             \
                  kx * s->dilation_w) *                                        \
                  n;                                                           \
                                                                               \
          for (int c = 0; c < n; c++)                                          \
            to[c] = from[c] > to[c] ? from[c] : to[c];                         \
        }                                                                      \
    }

void
QF_T (max_pool_u8) (
    const QfConvShape *s, const uint8_t *x, uint8_t *y, int row0, int row1)
{
  MAX_POOL (uint8_t, 0)
}

void
QF_T (max_pool_f32) (
    const QfConvShape *s, const float *x, float *y, int row0, int row1)
{
  MAX_POOL (float, -INFINITY)
}

void
QF_T (sum_u8_s32) (const uint8_t *x, int x_zero, int32_t *restrict sums,
    int pixels, int channels)
{
  memset (sums, 0, (size_t) channels * sizeof *sums);
  for (int p = 0; p < pixels; p++, x += channels)
    for (int c = 0; c < channels; c++)
      sums[c] += x[c] - x_zero;
}

void
QF_T (mean_f32) (const float *x, float *restrict y, int pixels, int channels)
{
  memset (y, 0, (size_t) channels * sizeof *y);
  for (int p = 0; p < pixels; p++, x += channels)
    for (int c = 0; c < channels; c++)
      y[c] += x[c];
  for (int c = 0; c < channels; c++)
    y[c] /= (float) pixels;
}
