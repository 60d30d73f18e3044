/* libqfuse: the steps of Winograd's F(4x4, 3x3), AVX-512 VNNI.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * As wino_avx2.h has them, of twice as many channels. */
#pragma once

#define QF_TILE_DOT qf_dot_16
#include "kernels/x86/avx512vnni.h"
#include "kernels/x86/tile_vnni.h"

#define QF_V __m512i
#define QF_OP(name) _mm512_##name
#include "kernels/x86/wino_1d.h"

/* 6x6 pixels of @channels (a multiple of 32) codes to 36 runs of @channels,
 * from @v on every @v_step elements. */
static inline void
qf_wino_input (const uint8_t *const *pixel, int channels, int x_zero,
    int16_t *v, size_t v_step)
{
  __m512i zero = _mm512_set1_epi16 ((short) (36 * x_zero));

  for (int c = 0; c < channels; c += 2 * QF_LANES, v += 2 * QF_LANES) {
    __m512i d[6], half[36], t[6];

#pragma GCC unroll 6
    for (int x = 0; x < 6; x++) {
#pragma GCC unroll 6
      for (int y = 0; y < 6; y++)
        d[y] = _mm512_cvtepu8_epi16 (
            _mm256_loadu_si256 ((const __m256i *) (pixel[6 * y + x] + c)));
      qf_wino_input_1d (d, 1, half + x, 6);
    }
#pragma GCC unroll 6
    for (int y = 0; y < 6; y++) {
      qf_wino_input_1d (half + 6 * y, 1, t, 1);
      if (y == 1)
        t[1] = _mm512_sub_epi16 (t[1], zero);
#pragma GCC unroll 6
      for (int x = 0; x < 6; x++)
        _mm512_storeu_si512 (v + (size_t) (6 * y + x) * v_step, t[x]);
    }
  }
}

/* @n tiles' inputs, @ic elements each, times 32 channels' weights. */
static inline void
qf_wino_multiply (
    const int16_t *v, size_t ic, const int16_t *w, int n, int32_t *m)
{
  static const int32_t none[2 * QF_LANES];
  const uint8_t *run = (const uint8_t *) v;
  QfTile t = { NULL, 1, ic / 2, ic * sizeof *v, (const int8_t *) w, none, NULL,
    NULL, m, NULL, 2 * QF_LANES, 2 * QF_LANES };

  qf_tiles_run (&t, &run, n, 2);
}

/* 16 channels' 4x4 sums of 36 products, from @m on every @m_step. */
static inline void
qf_wino_output (const int32_t *m, size_t m_step, __m512i *sums)
{
  static const unsigned twos[4] = { 3, 2, 1, 1 };       /* of 24, 12, 6, 6 */
  const __m512i ninth = _mm512_set1_epi32 (0x38e38e39); /* · 9 = 1 mod 2^32 */
  __m512i half[4 * 6];

#pragma GCC unroll 6
  for (int x = 0; x < 6; x++) {
    __m512i column[6];

#pragma GCC unroll 6
    for (int y = 0; y < 6; y++)
      column[y] = _mm512_loadu_si512 (m + (size_t) (6 * y + x) * m_step);
    qf_wino_output_1d (column, half + x, 6);
  }
#pragma GCC unroll 4
  for (int y = 0; y < 4; y++) {
    qf_wino_output_1d (half + 6 * y, sums + 4 * y, 1);
#pragma GCC unroll 4
    for (int x = 0; x < 4; x++)
      sums[4 * y + x] = _mm512_srai_epi32 (
          _mm512_mullo_epi32 (sums[4 * y + x], ninth), twos[y] + twos[x]);
  }
}

/* Four pixels' sums, @n of them real, to codes every @step bytes. */
static inline void
qf_wino_store (const QfCodes *k, const __m512i *sums, const float *mult,
    const int32_t *start, uint8_t *y, size_t step, int n, int channels)
{
  __m512i b = qf_load (start), v[4];
  __m512 f = QF_LOAD_FLOATS (mult);

#pragma GCC unroll 4
  for (int i = 0; i < 4; i++)
    v[i] = qf_scale (_mm512_add_epi32 (sums[i], b), f);
  qf_store_codes_4 (y, step, qf_codes (k, v[0], v[1], v[2], v[3]), n, channels);
}

typedef __m512i QfWinoVec;
typedef QfCodes QfWinoCodes;
