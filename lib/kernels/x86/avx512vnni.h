/* libqfuse: what the AVX-512 VNNI kernels share.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Only files of that library may include this. QF_PORTABLE: the intrinsics are
 * C functions, for tests on processors without them. */
#pragma once

#include "kernels/kernels.h"
#include "kernels/tier.h"

#ifdef QF_PORTABLE
#include "portable.h"
#else
#include <immintrin.h>
#endif
#include <string.h>

#define QF_VECTOR_BITS 512
#define QF_LOAD_FLOATS _mm512_loadu_ps

typedef __m512i QfVec;

enum
{
  QF_LANES = 16,  /* of 32 bits */
  QF_TILE_X = 12, /* windows of a tile: with 2 vectors 24 of 32 registers */
};

/* Four bytes, to every lane. */
static inline QfVec
qf_four (const uint8_t *x)
{
  int32_t four;

  memcpy (&four, x, sizeof four);
  return _mm512_set1_epi32 (four);
}

static inline QfVec
qf_load (const void *p)
{
  return _mm512_loadu_si512 (p);
}

/* sum += Σ x·w over the four bytes of a lane, x unsigned, modulo 2^32: the four
 * products are added in full, docs/numerics.md (17). */
static inline QfVec
qf_dot (QfVec sum, QfVec x, QfVec w)
{
  return _mm512_dpbusd_epi32 (sum, x, w);
}

/* The same over the two 16-bit elements of a lane, both signed. */
static inline QfVec
qf_dot_16 (QfVec sum, QfVec x, QfVec w)
{
  return _mm512_dpwssd_epi32 (sum, x, w);
}

/** QfRequant, spread over vectors. */
typedef struct
{
  __m512i zero;   /* 16-bit */
  __m512i lo, hi; /* 8-bit */
  __m512i order;
  int bare; /* z_y = 0, lo = 0, hi = 255: narrowing alone does all of it */
} QfCodes;

static inline QfCodes
qf_codes_new (const QfRequant *r)
{
  return (QfCodes){ _mm512_set1_epi16 ((short) r->zero),
    _mm512_set1_epi8 ((char) r->lo), _mm512_set1_epi8 ((char) r->hi),
    _mm512_setr_epi32 (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
    r->zero == 0 && r->lo == 0 && r->hi == 255 };
}

/* rne((float) a · m), in int32. */
static inline __m512i
qf_scale (__m512i a, __m512 mult)
{
  return _mm512_cvtps_epi32 (_mm512_mul_ps (_mm512_cvtepi32_ps (a), mult));
}

/* Four times sixteen scaled sums to codes, in order. Each narrowing saturates,
 * which is a clamp wider than lo … hi: docs/numerics.md (14). */
static inline __m512i
qf_codes (const QfCodes *k, __m512i a, __m512i b, __m512i c, __m512i d)
{
  __m512i ab = _mm512_packs_epi32 (a, b), cd = _mm512_packs_epi32 (c, d), y;

  if (k->bare)
    return _mm512_permutexvar_epi32 (k->order, _mm512_packus_epi16 (ab, cd));
  y = _mm512_packus_epi16 (
      _mm512_adds_epi16 (ab, k->zero), _mm512_adds_epi16 (cd, k->zero));
  y = _mm512_min_epu8 (_mm512_max_epu8 (y, k->lo), k->hi);
  return _mm512_permutexvar_epi32 (k->order, y);
}

/* @n of the lanes of @v. */
static inline void
qf_store_lanes (int32_t *to, __m512i v, int n)
{
  if (n >= QF_LANES)
    _mm512_storeu_si512 (to, v);
  else if (n > 0)
    _mm512_mask_storeu_epi32 (to, (uint16_t) ((1u << n) - 1), v);
}

/* Of codes in halves of 32 bytes, the first @channels of the first @n halves,
 * on every @step bytes. */
static inline __attribute__ ((always_inline)) void
qf_store_codes_2 (uint8_t *y, size_t step, __m512i v, int n, int channels)
{
  __m256i low = _mm512_castsi512_si256 (v);
  __m256i high = _mm512_extracti64x4_epi64 (v, 1);
  uint32_t mask = (uint32_t) ((1ull << channels) - 1);

  if (channels == 2 * QF_LANES) {
    _mm256_storeu_si256 ((__m256i *) y, low);
    if (n > 1)
      _mm256_storeu_si256 ((__m256i *) (y + step), high);
    return;
  }
  _mm256_mask_storeu_epi8 (y, mask, low);
  if (n > 1)
    _mm256_mask_storeu_epi8 (y + step, mask, high);
}

/* The same in quarters of 16 bytes. */
static inline __attribute__ ((always_inline)) void
qf_store_codes_4 (uint8_t *y, size_t step, __m512i v, int n, int channels)
{
  const __m128i part[4] = { _mm512_castsi512_si128 (v),
    _mm512_extracti32x4_epi32 (v, 1), _mm512_extracti32x4_epi32 (v, 2),
    _mm512_extracti32x4_epi32 (v, 3) };
  uint16_t mask = (uint16_t) ((1u << channels) - 1);

#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    if (i >= n)
      break;
    if (channels == QF_LANES)
      _mm_storeu_si128 ((__m128i *) (y + (size_t) i * step), part[i]);
    else
      _mm_mask_storeu_epi8 (y + (size_t) i * step, mask, part[i]);
  }
}
