/* libqfuse: what the AVX-VNNI kernels share.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Only files of that library may include this. The names are those of
 * avx512vnni.h, for the sources that both instantiate. */
#pragma once

#include "kernels/x86/avx2.h"

#define QF_VECTOR_BITS 256
#define QF_LOAD_FLOATS _mm256_loadu_ps

typedef __m256i QfVec;

enum
{
  QF_LANES = 8,  /* of 32 bits */
  QF_TILE_X = 6, /* windows of a tile: with 2 vectors 12 of 16 registers */
};

static inline QfVec
qf_four (const uint8_t *x)
{
  int32_t four;

  memcpy (&four, x, sizeof four);
  return _mm256_set1_epi32 (four);
}

static inline QfVec
qf_load (const void *p)
{
  return _mm256_loadu_si256 (p);
}

static inline QfVec
qf_dot (QfVec sum, QfVec x, QfVec w)
{
  return _mm256_dpbusd_avx_epi32 (sum, x, w);
}

typedef QfCodesAvx2 QfCodes;

static inline QfCodes
qf_codes_new (const QfRequant *r)
{
  return qf_codes_avx2_new (r);
}

static inline __m256i
qf_scale (__m256i a, __m256 mult)
{
  return qf_scale_avx2 (a, mult);
}

static inline __m256i
qf_codes (const QfCodes *k, __m256i a, __m256i b, __m256i c, __m256i d)
{
  return qf_codes_avx2 (k, a, b, c, d);
}

static inline void
qf_store_lanes (int32_t *to, __m256i v, int n)
{
  if (n >= QF_LANES)
    _mm256_storeu_si256 ((__m256i *) to, v);
  else if (n > 0)
    memcpy (to, &v, (size_t) n * sizeof *to);
}

static inline __attribute__ ((always_inline)) void
qf_store_codes_2 (uint8_t *y, size_t step, __m256i v, int n, int channels)
{
  const __m128i half[2] = { _mm256_castsi256_si128 (v),
    _mm256_extracti128_si256 (v, 1) };

#pragma GCC unroll 2
  for (int i = 0; i < 2; i++) {
    if (i >= n)
      break;
    if (channels == 2 * QF_LANES)
      _mm_storeu_si128 ((__m128i *) (y + (size_t) i * step), half[i]);
    else
      memcpy (y + (size_t) i * step, &half[i], (size_t) channels);
  }
}

static inline __attribute__ ((always_inline)) void
qf_store_codes_4 (uint8_t *y, size_t step, __m256i v, int n, int channels)
{
  int64_t quarter[4];

  if (channels == QF_LANES && n == 4) {
    qf_store_quarters (y, step, v);
    return;
  }
  _mm256_storeu_si256 ((__m256i *) quarter, v);
  for (int i = 0; i < n; i++)
    memcpy (y + (size_t) i * step, &quarter[i], (size_t) channels);
}
