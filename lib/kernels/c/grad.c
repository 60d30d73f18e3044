/* libqfuse: training's float32 kernels in plain C, compiled once a tier.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/grad_wino.h"
#include "kernels/tier.h"

#include <math.h>
#include <string.h>

#define STR_(x) #x
#define STR(x) STR_ (x)

/* One register tile: MR rows by two vectors. The vector type is GNU C's, which
 * gcc and clang lower to whatever the tier has. */
#if defined(__AVX512F__)
#define VL 16
#elif defined(__AVX__)
#define VL 8
#else
#define VL 4
#endif
#define MR 4
#define NR (2 * VL)

typedef float Vec __attribute__ ((vector_size (VL * 4)));

static inline Vec
load (const float *p)
{
  Vec v;

  memcpy (&v, p, sizeof v);
  return v;
}

static inline void
store (float *p, Vec v)
{
  memcpy (p, &v, sizeof v);
}

/* MR rows, NR columns. */
static void
tile_full (int k, const float *a, ptrdiff_t a_row, ptrdiff_t a_col,
           const float *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc)
{
  const float *a0 = a, *a1 = a + a_row, *a2 = a + 2 * a_row,
              *a3 = a + 3 * a_row;
  float *c0 = c, *c1 = c + ldc, *c2 = c + 2 * ldc, *c3 = c + 3 * ldc;
  Vec s00 = load (c0), s01 = load (c0 + VL);
  Vec s10 = load (c1), s11 = load (c1 + VL);
  Vec s20 = load (c2), s21 = load (c2 + VL);
  Vec s30 = load (c3), s31 = load (c3 + VL);

  for (int p = 0; p < k; p++) {
    Vec b0 = load (b), b1 = load (b + VL);

    s00 += *a0 * b0;
    s01 += *a0 * b1;
    s10 += *a1 * b0;
    s11 += *a1 * b1;
    s20 += *a2 * b0;
    s21 += *a2 * b1;
    s30 += *a3 * b0;
    s31 += *a3 * b1;
    a0 += a_col;
    a1 += a_col;
    a2 += a_col;
    a3 += a_col;
    b += ldb;
  }
  store (c0, s00);
  store (c0 + VL, s01);
  store (c1, s10);
  store (c1 + VL, s11);
  store (c2, s20);
  store (c2 + VL, s21);
  store (c3, s30);
  store (c3 + VL, s31);
}

/* One row, one vector. */
static void
tile_vector (int k, const float *a, ptrdiff_t a_col, const float *b,
             ptrdiff_t ldb, float *c)
{
  Vec s = load (c);

  for (int p = 0; p < k; p++)
    s += a[p * a_col] * load (b + p * ldb);
  store (c, s);
}

/* One row, @n < VL columns. */
static void
tile_scalar (int n, int k, const float *a, ptrdiff_t a_col, const float *b,
             ptrdiff_t ldb, float *c)
{
  for (int j = 0; j < n; j++) {
    float s = c[j];

    for (int p = 0; p < k; p++)
      s += a[p * a_col] * b[p * ldb + j];
    c[j] = s;
  }
}

static void
rows (int m, int n, int k, const float *a, ptrdiff_t a_row, ptrdiff_t a_col,
      const float *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc)
{
  for (int i = 0; i < m; i++) {
    const float *ai = a + i * a_row;
    float *ci = c + i * ldc;
    int j = 0;

    for (; j + VL <= n; j += VL)
      tile_vector (k, ai, a_col, b + j, ldb, ci + j);
    if (j < n)
      tile_scalar (n - j, k, ai, a_col, b + j, ldb, ci + j);
  }
}

static void
gemm_f32 (int m, int n, int k, const float *a, ptrdiff_t a_row, ptrdiff_t a_col,
          const float *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc)
{
  int full_n = n - n % NR, i;

  for (i = 0; i + MR <= m; i += MR) {
    for (int j = 0; j < full_n; j += NR)
      tile_full (k, a + i * a_row, a_row, a_col, b + j, ldb, c + i * ldc + j,
                 ldc);
    if (full_n < n)
      rows (MR, n - full_n, k, a + i * a_row, a_row, a_col, b + full_n, ldb,
            c + i * ldc + full_n, ldc);
  }
  if (i < m)
    rows (m - i, n, k, a + i * a_row, a_row, a_col, b, ldb, c + i * ldc, ldc);
}

static void
stats_s32 (const int32_t *restrict a, int pixels, int channels,
           int64_t *restrict sum, int64_t *restrict sum2, int32_t *restrict min,
           int32_t *restrict max)
{
  for (int p = 0; p < pixels; p++, a += channels)
    for (int c = 0; c < channels; c++) {
      int32_t v = a[c];

      sum[c] += v;
      sum2[c] += (int64_t)v * v;
      min[c] = v < min[c] ? v : min[c];
      max[c] = v > max[c] ? v : max[c];
    }
}

static void
offset_u8_f32 (const uint8_t *restrict x, ptrdiff_t step, int zero,
               float *restrict y, int block, int pixels, int n)
{
  if (step == n && block == n) { /* one run */
    for (int i = 0; i < pixels * n; i++)
      y[i] = (float)(x[i] - zero);
    return;
  }
  if (n == QF_GRAD_LANES) {
    for (int p = 0; p < pixels; p++, x += step, y += block)
      for (int i = 0; i < QF_GRAD_LANES; i++)
        y[i] = (float)(x[i] - zero);
    return;
  }
  for (int p = 0; p < pixels; p++, x += step, y += block)
    for (int i = 0; i < n; i++)
      y[i] = (float)(x[i] - zero);
}

static inline float
passed (uint8_t code, int lo, int hi, float grad)
{
  return code > lo && code < hi ? grad : 0.0f;
}

static inline float
dy_of (uint8_t code, int lo, int hi, float grad, int32_t a, const float *k)
{
  return fmaf ((float)a, k[2 * QF_GRAD_LANES],
               fmaf (passed (code, lo, hi, grad), k[0], k[QF_GRAD_LANES]));
}

static void
bn_dy_s32 (const uint8_t *restrict codes, int lo, int hi,
           const float *restrict grad, const int32_t *restrict a,
           ptrdiff_t step, const float *restrict k, float *restrict dy,
           ptrdiff_t plane, int pixels, int n)
{
  int full = n / QF_GRAD_LANES, rest = n % QF_GRAD_LANES;

  for (int p = 0; p < pixels; p++, dy += QF_GRAD_LANES) {
    ptrdiff_t at = p * step;

    for (int b = 0; b < full; b++, at += QF_GRAD_LANES) {
      const float *kb = k + 3 * QF_GRAD_LANES * b;
      float *to = dy + b * plane;

      for (int c = 0; c < QF_GRAD_LANES; c++)
        to[c] = dy_of (codes[at + c], lo, hi, grad[at + c], a[at + c], kb + c);
    }
    for (int c = 0; rest && c < QF_GRAD_LANES; c++)
      dy[full * plane + c]
          = c < rest ? dy_of (codes[at + c], lo, hi, grad[at + c], a[at + c],
                              k + 3 * QF_GRAD_LANES * full + c)
                     : 0.0f;
  }
}

static void
bn_sums_s32 (const uint8_t *restrict codes, int lo, int hi,
             const float *restrict grad, const int32_t *restrict a,
             const float *restrict k, const float *restrict b, int pixels,
             int channels, float *restrict s1, float *restrict s2)
{
  for (int p = 0; p < pixels; p++) {
    for (int c = 0; c < channels; c++) {
      float dz = passed (codes[c], lo, hi, grad[c]);

      s1[c] += dz;
      s2[c] = fmaf (dz, fmaf ((float)a[c], k[c], b[c]), s2[c]);
    }
    codes += channels;
    grad += channels;
    a += channels;
  }
}

static void
conv_dx_f32 (int m, const QfGradTap *taps, int n_taps, int depth,
             const float *restrict a, const float *restrict w,
             float *restrict c, ptrdiff_t c_step, int n, int add)
{
  for (int i = 0; i < m; i++, a += QF_GRAD_LANES, c += c_step) {
    float s[QF_GRAD_LANES] = { 0 };

    if (add)
      memcpy (s, c, (size_t)n * sizeof *s);
    for (int t = 0; t < n_taps; t++)
      for (int o = 0; o < depth; o++) {
        float v = a[taps[t].a + o];
        const float *wo = w + taps[t].w + o * QF_GRAD_LANES;

        for (int j = 0; j < QF_GRAD_LANES; j++)
          s[j] = fmaf (v, wo[j], s[j]);
      }
    memcpy (c, s, (size_t)n * sizeof *s);
  }
}

static void
conv_dw_f32 (int m, const ptrdiff_t *off, const float *restrict a,
             const QfGradArea *area, const float *restrict b,
             float *restrict c)
{
  for (int r = 0; r < m; r++, c += QF_GRAD_LANES)
    for (int y = 0; y < area->rows; y++) {
      const float *ay = a + off[r] + y * area->a_row;
      const float *by = b + y * area->b_row;

      for (int x = 0; x < area->cols; x++, ay += area->a_col)
        for (int j = 0; j < QF_GRAD_LANES; j++)
          c[j] = fmaf (*ay, by[x * QF_GRAD_LANES + j], c[j]);
    }
}

static void
dwconv_dx_f32 (int m, const QfGradTap *taps, int n_taps,
               const float *restrict a, const float *restrict w,
               float *restrict c, ptrdiff_t c_step, int n, int add)
{
  for (int i = 0; i < m; i++, a += QF_GRAD_LANES, c += c_step) {
    float s[QF_GRAD_LANES] = { 0 };

    if (add)
      memcpy (s, c, (size_t)n * sizeof *s);
    for (int t = 0; t < n_taps; t++)
      for (int j = 0; j < QF_GRAD_LANES; j++)
        s[j] = fmaf (a[taps[t].a + j], w[taps[t].w + j], s[j]);
    memcpy (c, s, (size_t)n * sizeof *s);
  }
}

static void
dwconv_dw_f32 (int m, const ptrdiff_t *off, const float *restrict a,
               const QfGradArea *area, const float *restrict b,
               float *restrict c)
{
  for (int r = 0; r < m; r++, c += QF_GRAD_LANES)
    for (int y = 0; y < area->rows; y++) {
      const float *ay = a + off[r] + y * area->a_row;
      const float *by = b + y * area->b_row;

      for (int x = 0; x < area->cols; x++, ay += area->a_col)
        for (int j = 0; j < QF_GRAD_LANES; j++)
          c[j] = fmaf (ay[j], by[x * QF_GRAD_LANES + j], c[j]);
    }
}

extern const QfGradKernels QF_T (grad_kernels);
const QfGradKernels QF_T (grad_kernels) = {
  .name = STR (QF_TIER),
  .gemm_f32 = gemm_f32,
  .stats_s32 = stats_s32,
  .conv_dx_f32 = conv_dx_f32,
  .conv_dw_f32 = conv_dw_f32,
  .dwconv_dx_f32 = dwconv_dx_f32,
  .dwconv_dw_f32 = dwconv_dw_f32,
  .wino_dy_f32 = QF_T (wino_dy_f32),
  .wino_x_f32 = QF_T (wino_x_f32),
  .wino_dx_f32 = QF_T (wino_dx_f32),
  .offset_u8_f32 = offset_u8_f32,
  .bn_dy_s32 = bn_dy_s32,
  .bn_sums_s32 = bn_sums_s32,
};
