/* libqfuse: the table of training's float32 kernels.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each sum runs over its index in rising order with one rounding a step, so every
 * tier and every tile size gives the same bits. Where a step is written fma (a,
 * b, c) it is a fused multiply-add in every tier; elsewhere nothing is fused. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum
{
  QF_GRAD_LANES = 16 /* channels of a block */
};

/** Where one tap of a window stands, in elements. */
typedef struct
{
  ptrdiff_t a, w;
} QfGradTap;

/** @rows × @cols pixels of an output gradient and what they were made from. */
typedef struct
{
  int rows, cols;
  ptrdiff_t a_row, a_col; /* from one pixel's input to the next one's */
  ptrdiff_t b_row;        /* of the gradient; its columns are
                             QF_GRAD_LANES apart */
} QfGradArea;

typedef struct
{
  const char *name; /* "c", "avx2" … */

  /** Input gradient of @m pixels and @n ≤ QF_GRAD_LANES channels:
   * c[i·c_step + j] = s + Σ_t Σ_o a[taps[t].a + i·16 + o] ·
   * w[taps[t].w + o·16 + j], t from 0 to @n_taps − 1, within it o from 0 to
   * @depth − 1 ≤ 15, each step one fma; s is c's value where @add, else 0. */
  void (*conv_dx_f32) (int m, const QfGradTap *taps, int n_taps, int depth,
                       const float *a, const float *w, float *c,
                       ptrdiff_t c_step, int n, int add);

  /** Weight gradient of @m rows and QF_GRAD_LANES output channels:
   * c[r·16 + j] += Σ_y Σ_x a[off[r] + y·a_row + x·a_col] ·
   * b[y·b_row + x·16 + j], y and x rising, each step one fma. */
  void (*conv_dw_f32) (int m, const ptrdiff_t *off, const float *a,
                       const QfGradArea *area, const float *b, float *c);

  /** conv_dx_f32 of a depthwise convolution: c[i·c_step + j] = s +
   * Σ_t a[taps[t].a + i·16 + j]·w[taps[t].w + j]. */
  void (*dwconv_dx_f32) (int m, const QfGradTap *taps, int n_taps,
                         const float *a, const float *w, float *c,
                         ptrdiff_t c_step, int n, int add);

  /** conv_dw_f32 of a depthwise convolution: c[r·16 + j] +=
   * Σ_y Σ_x a[off[r] + y·a_row + x·a_col + j]·b[y·b_row + x·16 + j]. */
  void (*dwconv_dw_f32) (int m, const ptrdiff_t *off, const float *a,
                         const QfGradArea *area, const float *b, float *c);

  /* Winograd's F(2x2, 3x3) backwards, (T10): tiles stand 2 pixels apart in a row;
   * t[i·plane + tile·16 + j], i = 4·row + column of the 4x4 transform. */

  /** t = A dy Aᵀ of @tiles tiles of 2x2 pixels. */
  void (*wino_dy_f32) (const float *dy, ptrdiff_t row, int tiles, float *t,
                       ptrdiff_t plane);

  /** t = Bᵀ x B of @tiles tiles of 4x4 pixels. */
  void (*wino_x_f32) (const float *x, ptrdiff_t row, int tiles, float *t,
                      ptrdiff_t plane);

  /** dx += B t Bᵀ, 4x4 pixels a tile, tile by tile. */
  void (*wino_dx_f32) (const float *t, ptrdiff_t plane, int tiles, float *dx,
                       ptrdiff_t row);

  /** y[p·block + i] = x[p·step + i] − zero for @pixels and i < @n ≤ @block. */
  void (*offset_u8_f32) (const uint8_t *x, ptrdiff_t step, int zero, float *y,
                         int block, int pixels, int n);

  /** Batch norm's input gradient of @pixels and @n channels of @step, to blocks
   * of channels @plane apart: dy[b·plane + p·16 + c] = fma ((float) a,
   * k[b·48 + 32 + c], fma (dz, k[b·48 + c], k[b·48 + 16 + c])), dz = grad where
   * lo < code < hi, else 0; zeros from channel @n to the end of its block. */
  void (*bn_dy_s32) (const uint8_t *codes, int lo, int hi, const float *grad,
                     const int32_t *a, ptrdiff_t step, const float *k,
                     float *dy, ptrdiff_t plane, int pixels, int n);

  /** s1[c] += dz, s2[c] = fma (dz, xhat, s2[c]) over @pixels, xhat =
   * fma ((float) a, k[c], b[c]), dz as for bn_dy_s32. */
  void (*bn_sums_s32) (const uint8_t *codes, int lo, int hi, const float *grad,
                       const int32_t *a, const float *k, const float *b,
                       int pixels, int channels, float *s1, float *s2);

  /** c[i][j] += Σ_p a[i·a_row + p·a_col] · b[p·ldb + j], i < @m, j < @n, p from
   * 0 to @k − 1. A plain or transposed A is a matter of its two strides. */
  void (*gemm_f32) (int m, int n, int k, const float *a, ptrdiff_t a_row,
                    ptrdiff_t a_col, const float *b, ptrdiff_t ldb, float *c,
                    ptrdiff_t ldc);

  /** Sums of convolution results by channel, exact in int64 (the caller bounds
   * @pixels): sum += a, sum2 += a², and the least and largest a. */
  void (*stats_s32) (const int32_t *a, int pixels, int channels, int64_t *sum,
                     int64_t *sum2, int32_t *min, int32_t *max);
} QfGradKernels;

/** The table for this processor, chosen as qf_kernels() chooses. */
const QfGradKernels *qf_grad_kernels (void);

/** One tier by name, NULL where there is none. */
const QfGradKernels *qf_grad_kernels_tier (const char *name);
