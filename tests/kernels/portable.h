/* Kernel tests: the vector intrinsics as C functions, so that kernels of
 * instruction sets which the processor lacks can be checked.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * SIMDe has most of them; here is what its version 0.7.4 lacks. Takes the place
 * of immintrin.h where QF_PORTABLE is defined. */
#pragma once

#include <math.h>
#include <stdint.h>
#include <string.h>

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

/* NAME (to, mask, v): elements of @SIZE bytes of vectors of TYPE. */
#define MASK_STORE(NAME, TYPE, SIZE)                                           \
  static inline void NAME (void *to, uint64_t mask, TYPE v)                    \
  {                                                                            \
    char from[sizeof v];                                                       \
                                                                               \
    memcpy (from, &v, sizeof v);                                               \
    for (size_t i = 0; i < sizeof v / SIZE; i++)                               \
      if (mask >> i & 1)                                                       \
        memcpy ((char *) to + i * SIZE, from + i * SIZE, SIZE);                \
  }
MASK_STORE (portable_store_512_32, simde__m512i, 4)
MASK_STORE (portable_store_256_8, simde__m256i, 1)
MASK_STORE (portable_store_128_8, simde__m128i, 1)
#undef MASK_STORE

#undef _mm512_mask_storeu_epi32
#define _mm512_mask_storeu_epi32 portable_store_512_32
#undef _mm256_mask_storeu_epi8
#define _mm256_mask_storeu_epi8 portable_store_256_8
#undef _mm_mask_storeu_epi8
#define _mm_mask_storeu_epi8 portable_store_128_8

static inline simde__m512
portable_to_float (simde__m512i v)
{
  int32_t from[16];
  float to[16];

  memcpy (from, &v, sizeof from);
  for (int i = 0; i < 16; i++)
    to[i] = (float) from[i];
  return simde_mm512_loadu_ps (to);
}

/* To nearest, ties to even; INT32_MIN where it does not fit, as vcvtps2dq. */
static inline simde__m512i
portable_to_int (simde__m512 v)
{
  float from[16];
  int32_t to[16];

  memcpy (from, &v, sizeof from);
  for (int i = 0; i < 16; i++)
    to[i] = from[i] >= -0x1p31f && from[i] < 0x1p31f
        ? (int32_t) nearbyintf (from[i])
        : INT32_MIN;
  return simde_mm512_loadu_si512 (to);
}

#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps portable_to_float
#undef _mm512_cvtps_epi32
#define _mm512_cvtps_epi32 portable_to_int

static inline simde__m512i
portable_widen (simde__m256i v)
{
  uint8_t from[32];
  uint16_t to[32];

  memcpy (from, &v, sizeof from);
  for (int i = 0; i < 32; i++)
    to[i] = from[i];
  return simde_mm512_loadu_si512 (to);
}

static inline simde__m512i
portable_shift_right (simde__m512i v, unsigned bits)
{
  int32_t lanes[16];

  memcpy (lanes, &v, sizeof lanes);
  for (int i = 0; i < 16; i++)
    lanes[i] >>= bits;
  return simde_mm512_loadu_si512 (lanes);
}

#undef _mm512_cvtepu8_epi16
#define _mm512_cvtepu8_epi16 portable_widen
#undef _mm512_srai_epi32
#define _mm512_srai_epi32 portable_shift_right

#undef _mm256_dpbusd_avx_epi32
#define _mm256_dpbusd_avx_epi32 simde_mm256_dpbusd_epi32
