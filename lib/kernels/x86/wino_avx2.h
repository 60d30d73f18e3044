/* libqfuse: the steps of Winograd's F(4x4, 3x3), AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/x86/tile_avx2.h"

#define QF_V __m256i
#define QF_OP(name) _mm256_##name
#include "kernels/x86/wino_1d.h"

/* 6x6 pixels of @channels (a multiple of 16) codes to 36 runs of @channels,
 * from @v on every @v_step elements. A constant comes through in row and column
 * 1 only, 36 times: so is x_zero taken off. */
static inline void
qf_wino_input_avx2 (const uint8_t *const *pixel, int channels, int x_zero,
    int16_t *v, size_t v_step)
{
  __m256i zero = _mm256_set1_epi16 ((short) (36 * x_zero));

  for (int c = 0; c < channels; c += 16, v += 16) {
    __m256i d[6], half[36], t[6];

    for (int x = 0; x < 6; x++) {
      for (int y = 0; y < 6; y++)
        d[y] = _mm256_cvtepu8_epi16 (
            _mm_loadu_si128 ((const __m128i *) (pixel[6 * y + x] + c)));
      qf_wino_input_1d (d, 1, half + x, 6);
    }
    for (int y = 0; y < 6; y++) {
      qf_wino_input_1d (half + 6 * y, 1, t, 1);
      if (y == 1)
        t[1] = _mm256_sub_epi16 (t[1], zero);
      for (int x = 0; x < 6; x++)
        _mm256_storeu_si256 (
            (__m256i *) (v + (size_t) (6 * y + x) * v_step), t[x]);
    }
  }
}

/* @n ≤ 6 tiles' inputs, @ic elements each, times 16 channels' weights. */
static inline __attribute__ ((always_inline)) void
qf_wino_multiply_avx2 (
    const int16_t *v, size_t ic, const int16_t *w, int n, int32_t *m)
{
  const int16_t *x[QF_TILE_X];
  QfSumsAvx2 sums;

  for (int i = 0; i < QF_TILE_X; i++)
    x[i] = v + (size_t) (i < n ? i : 0) * ic;
  if (n > 3)
    qf_tile_avx2 (x, 1, 0, w, ic / 2, 6, 2, &sums);
  else if (n > 1)
    qf_tile_avx2 (x, 1, 0, w, ic / 2, 3, 2, &sums);
  else
    qf_tile_avx2 (x, 1, 0, w, ic / 2, 1, 2, &sums);
  for (int i = 0; i < n; i++, m += QF_TILE_Y) {
    _mm256_storeu_si256 ((__m256i *) m, sums.v[i][0]);
    _mm256_storeu_si256 ((__m256i *) (m + 8), sums.v[i][1]);
  }
}

/* Eight channels' 4x4 sums of 36 products, from @m on every @m_step. */
static inline void
qf_wino_output_avx2 (const int32_t *m, size_t m_step, __m256i *sums)
{
  static const int twos[4] = { 3, 2, 1, 1 };            /* of 24, 12, 6, 6 */
  const __m256i ninth = _mm256_set1_epi32 (0x38e38e39); /* · 9 = 1 mod 2^32 */
  __m256i half[4 * 6];

  for (int x = 0; x < 6; x++) {
    __m256i column[6];

    for (int y = 0; y < 6; y++)
      column[y] = _mm256_loadu_si256 (
          (const __m256i *) (m + (size_t) (6 * y + x) * m_step));
    qf_wino_output_1d (column, half + x, 6);
  }
#pragma GCC unroll 4
  for (int y = 0; y < 4; y++) {
    qf_wino_output_1d (half + 6 * y, sums + 4 * y, 1);
#pragma GCC unroll 4
    for (int x = 0; x < 4; x++)
      sums[4 * y + x] = _mm256_srai_epi32 (
          _mm256_mullo_epi32 (sums[4 * y + x], ninth), twos[y] + twos[x]);
  }
}

/* Four pixels' sums, @n of them real, to codes every @step bytes. */
static inline void
qf_wino_store_avx2 (const QfCodesAvx2 *k, const __m256i *sums,
    const float *mult, const int32_t *start, uint8_t *y, size_t step, int n,
    int channels)
{
  __m256i b = _mm256_loadu_si256 ((const __m256i *) start), v[4], codes;
  __m256 f = _mm256_loadu_ps (mult);
  uint8_t some[32];

  for (int i = 0; i < 4; i++)
    v[i] = qf_scale_avx2 (_mm256_add_epi32 (sums[i], b), f);
  codes = qf_codes_avx2 (k, v[0], v[1], v[2], v[3]);
  if (n == 4 && channels == 8) {
    qf_store_quarters (y, step, codes);
    return;
  }
  _mm256_storeu_si256 ((__m256i *) some, codes);
  for (int i = 0; i < n; i++)
    memcpy (y + (size_t) i * step, some + 8 * i, (size_t) channels);
}
