/* libqfuse: what the AVX2 kernels share.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Only files of the AVX2 library may include this. */
#pragma once

#include "kernels/kernels.h"
#include "kernels/tier.h"

#ifdef QF_PORTABLE /* intrinsics as C functions, for tests */
#include "portable.h"
#else
#include <immintrin.h>
#endif
#include <string.h>

/* sum += v, eight times 32 bits, at this place and in the sum's own register:
 * gcc 12 otherwise hoists products above sums until the registers do not
 * suffice. */
#define QF_ADD32(sum, v) __asm__("vpaddd %1, %0, %0" : "+x"(sum) : "x"(v))

/** QfRequant, spread over vectors. */
typedef struct
{
  __m256i zero;   /* 16-bit */
  __m256i lo, hi; /* 8-bit */
  int bare; /* z_y = 0, lo = 0, hi = 255: narrowing alone does all of it */
} QfCodesAvx2;

static inline QfCodesAvx2
qf_codes_avx2_new (const QfRequant *r)
{
  return (QfCodesAvx2){ _mm256_set1_epi16 ((short) r->zero),
    _mm256_set1_epi8 ((char) r->lo), _mm256_set1_epi8 ((char) r->hi),
    r->zero == 0 && r->lo == 0 && r->hi == 255 };
}

/* rne((float) a · m), in int32. */
static inline __m256i
qf_scale_avx2 (__m256i a, __m256 mult)
{
  return _mm256_cvtps_epi32 (_mm256_mul_ps (_mm256_cvtepi32_ps (a), mult));
}

/* Four times eight scaled sums to codes, in order. Each narrowing saturates,
 * which is a clamp wider than lo … hi: docs/numerics.md (14). */
static inline __m256i
qf_codes_avx2 (const QfCodesAvx2 *k, __m256i a, __m256i b, __m256i c, __m256i d)
{
  const __m256i order = _mm256_setr_epi32 (0, 4, 1, 5, 2, 6, 3, 7);
  __m256i ab = _mm256_adds_epi16 (_mm256_packs_epi32 (a, b), k->zero);
  __m256i cd = _mm256_adds_epi16 (_mm256_packs_epi32 (c, d), k->zero);
  __m256i y = _mm256_packus_epi16 (ab, cd);

  y = _mm256_min_epu8 (_mm256_max_epu8 (y, k->lo), k->hi);
  return _mm256_permutevar8x32_epi32 (y, order);
}

/* The same where k->bare. */
static inline __m256i
qf_codes_bare_avx2 (__m256i a, __m256i b, __m256i c, __m256i d)
{
  const __m256i order = _mm256_setr_epi32 (0, 4, 1, 5, 2, 6, 3, 7);
  __m256i ab = _mm256_packs_epi32 (a, b), cd = _mm256_packs_epi32 (c, d);

  return _mm256_permutevar8x32_epi32 (_mm256_packus_epi16 (ab, cd), order);
}

/* The four quarters of @v, 8 bytes each, to @y and on every @step bytes. */
static inline void
qf_store_quarters (uint8_t *y, size_t step, __m256i v)
{
  __m128i low = _mm256_castsi256_si128 (v);
  __m128i high = _mm256_extracti128_si256 (v, 1);

  _mm_storel_epi64 ((__m128i *) y, low);
  _mm_storel_epi64 ((__m128i *) (y + step), _mm_unpackhi_epi64 (low, low));
  _mm_storel_epi64 ((__m128i *) (y + 2 * step), high);
  _mm_storel_epi64 (
      (__m128i *) (y + 3 * step), _mm_unpackhi_epi64 (high, high));
}
