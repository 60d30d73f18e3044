/* libqfuse: luma of pixels, AVX2. What does not fill a vector the reference
 * does.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/luma.h"
#include "kernels/x86/avx2.h"
#include "kernels/x86/luma.h"

enum
{
  PIXELS = 32
};

static inline __m256i
load (const uint8_t *p)
{
  return _mm256_loadu_si256 ((const __m256i *) p);
}

/* Eight pixels of three bytes, four to a half; reads 28 bytes. */
static inline __m256i
load_triples (const uint8_t *p)
{
  __m128i low = _mm_loadu_si128 ((const __m128i *) p);
  __m128i high = _mm_loadu_si128 ((const __m128i *) (p + 12));

  return _mm256_inserti128_si256 (_mm256_castsi128_si256 (low), high, 1);
}

/* Bytes @a and @b (−1: none) of four pixels of @step bytes, as words. */
static inline __m256i
pick_words (int step, int a, int b)
{
  uint8_t pick[16];

  for (int i = 0; i < 4; i++) {
    pick[4 * i] = (uint8_t) (i * step + a);
    pick[4 * i + 2] = (uint8_t) (b < 0 ? 0x80 : i * step + b);
    pick[4 * i + 1] = pick[4 * i + 3] = 0x80;
  }
  return _mm256_broadcastsi128_si256 (_mm_loadu_si128 ((const __m128i *) pick));
}

/* Inlined with a constant @step. Sums are below 2^23, luma at most 235. */
static inline __attribute__ ((always_inline)) size_t
rgb (const uint8_t *p, int step, int r, int g, int b, uint8_t *luma, size_t n)
{
  const __m256i order = _mm256_setr_epi32 (0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i pick_rb = pick_words (step, r, b);
  const __m256i pick_g = pick_words (step, g, -1);
  const __m256i rb = _mm256_set1_epi32 (QF_LUMA_R | QF_LUMA_B << 16);
  const __m256i green = _mm256_set1_epi32 (QF_LUMA_G);
  const __m256i offset = _mm256_set1_epi32 (QF_LUMA_OFFSET);
  size_t i, behind = step == 3 ? 2 : 0; /* pixels that loads may touch */

  for (i = 0; i + PIXELS + behind <= n; i += PIXELS) {
    const uint8_t *q = p + i * (size_t) step;
    __m256i y[4];

#pragma GCC unroll 4
    for (int v = 0; v < 4; v++) {
      __m256i x = step == 3 ? load_triples (q + 24 * v) : load (q + 32 * v);
      __m256i sum = _mm256_madd_epi16 (_mm256_shuffle_epi8 (x, pick_rb), rb);

      sum = _mm256_add_epi32 (
          sum, _mm256_madd_epi16 (_mm256_shuffle_epi8 (x, pick_g), green));
      y[v] = _mm256_srli_epi32 (_mm256_add_epi32 (sum, offset), 15);
    }
    y[0] = _mm256_packus_epi16 (
        _mm256_packs_epi32 (y[0], y[1]), _mm256_packs_epi32 (y[2], y[3]));
    _mm256_storeu_si256 (
        (__m256i *) (luma + i), _mm256_permutevar8x32_epi32 (y[0], order));
  }
  return i;
}

void
qf_luma_rgb_u8_avx2 (
    const uint8_t *p, int step, int r, int g, int b, uint8_t *luma, size_t n)
{
  size_t i =
      step == 3 ? rgb (p, 3, r, g, b, luma, n) : rgb (p, 4, r, g, b, luma, n);

  QF_T (luma_rgb_u8) (p + i * (size_t) step, step, r, g, b, luma + i, n - i);
}

/* vpmulhrsw: (28142·y + 2^14) >> 15, with 16 added behind the shift. */
void
qf_luma_full_u8_avx2 (const uint8_t *y, uint8_t *luma, size_t n)
{
  const __m256i zero = _mm256_setzero_si256 ();
  const __m256i factor = _mm256_set1_epi16 (QF_LUMA_R + QF_LUMA_G + QF_LUMA_B);
  const __m256i black = _mm256_set1_epi8 (16);
  size_t i;

  for (i = 0; i + PIXELS <= n; i += PIXELS) {
    __m256i x = load (y + i);
    __m256i lo = _mm256_mulhrs_epi16 (_mm256_unpacklo_epi8 (x, zero), factor);
    __m256i hi = _mm256_mulhrs_epi16 (_mm256_unpackhi_epi8 (x, zero), factor);

    _mm256_storeu_si256 ((__m256i *) (luma + i),
        _mm256_add_epi8 (_mm256_packus_epi16 (lo, hi), black));
  }
  QF_T (luma_full_u8) (y + i, luma + i, n - i);
}

/* 64 bytes hold 32 words; what is kept of them has at most 8 bits. */
static inline void
store_words (uint8_t *y, __m256i a, __m256i b)
{
  _mm256_storeu_si256 ((__m256i *) y,
      _mm256_permute4x64_epi64 (_mm256_packus_epi16 (a, b), 0xd8));
}

void
qf_even_u8_avx2 (const uint8_t *p, uint8_t *y, size_t n)
{
  const __m256i low = _mm256_set1_epi16 (0xff);
  size_t i;

  for (i = 0; i + PIXELS < n; i += PIXELS)
    store_words (y + i, _mm256_and_si256 (load (p + 2 * i), low),
        _mm256_and_si256 (load (p + 2 * i + 32), low));
  QF_T (even_u8) (p + 2 * i, y + i, n - i);
}

void
qf_ten_bits_u8_avx2 (const uint8_t *p, uint8_t *y, size_t n)
{
  const __m256i low = _mm256_set1_epi16 (0xff);
  size_t i;

  for (i = 0; i + PIXELS <= n; i += PIXELS)
    store_words (y + i,
        _mm256_and_si256 (_mm256_srli_epi16 (load (p + 2 * i), 2), low),
        _mm256_and_si256 (_mm256_srli_epi16 (load (p + 2 * i + 32), 2), low));
  QF_T (ten_bits_u8) (p + 2 * i, y + i, n - i);
}
