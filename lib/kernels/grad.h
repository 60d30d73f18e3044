/* libqfuse: the table of training's float32 kernels.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each sum runs over its index in rising order with one rounding a step and no
 * fused multiply-add, so every tier and every tile size gives the same bits. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct
{
  const char *name; /* "c", "avx2" … */

  /** c[i][j] += Σ_p a[i·a_row + p·a_col] · b[p·ldb + j], i < @m, j < @n, p from
   * 0 to @k − 1. A plain or transposed A is a matter of its two strides. */
  void (*gemm_f32) (int m, int n, int k, const float *a, ptrdiff_t a_row,
                    ptrdiff_t a_col, const float *b, ptrdiff_t ldb, float *c,
                    ptrdiff_t ldc);

  /** y[i] = scale · (x[i] − zero). */
  void (*dequant_u8_f32) (const uint8_t *x, int zero, float scale, float *y,
                          int n);

  /** Sums of convolution results by channel, exact in int64 (the caller bounds
   * @pixels): sum += a, sum2 += a², and the least and largest a. */
  void (*stats_s32) (const int32_t *a, int pixels, int channels, int64_t *sum,
                     int64_t *sum2, int32_t *min, int32_t *max);

  /** What batch norm's backward pass reads, for @pixels × @channels:
   * dz = grad where lo < code < hi, else 0; xhat = a·k[c] + b[c]. */
  void (*dz_xhat_u8) (const uint8_t *codes, int lo, int hi, const float *grad,
                      const int32_t *a, const float *k, const float *b,
                      float *dz, float *xhat, int pixels, int channels);

  /** s1[c] += Σ dz, s2[c] += Σ dz·xhat over @pixels. */
  void (*bn_sums_f32) (const float *dz, const float *xhat, int pixels,
                       int channels, float *s1, float *s2);

  /** dz = g[c]·(dz − m1[c] − xhat·m2[c]). */
  void (*bn_dy_f32) (float *dz, const float *xhat, const float *g,
                     const float *m1, const float *m2, int pixels,
                     int channels);
} QfGradKernels;

/** The table for this processor, chosen as qf_kernels() chooses. */
const QfGradKernels *qf_grad_kernels (void);

/** One tier by name, NULL where there is none. */
const QfGradKernels *qf_grad_kernels_tier (const char *name);
