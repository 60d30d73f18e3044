/* libqfuse: operators on single elements, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Ends that do not fill a vector: the last 32 elements are computed first, from
 * what stands there before anything is stored (y may be x), and stored last. */
#include "kernels/c/eltwise.h"
#include "kernels/x86/avx2.h"
#include "kernels/x86/eltwise.h"

enum
{
  STEP = 32
};

typedef struct
{
  __m256 scale, inverse, lo, hi;
  QfCodesAvx2 codes;
} Divide;

/* Whether a product with 1 / scale is that near to the quotient: neither is
 * subnormal or infinite. */
static int
scale_can (float scale)
{
  return scale >= 0x1p-100f && scale <= 0x1p100f;
}

static inline Divide
divide_new (float scale, int zero, int lo, int hi)
{
  const QfRequant r = { .zero = zero, .lo = lo, .hi = hi };

  return (Divide){ _mm256_set1_ps (scale), _mm256_set1_ps (1.0f / scale),
    _mm256_set1_ps ((float) (lo - zero)), _mm256_set1_ps ((float) (hi - zero)),
    qf_codes_avx2_new (&r) };
}

/* rne(v / scale) as the reference has it. */
static inline __m256i
quotient (const Divide *d, __m256 v)
{
  v = _mm256_max_ps (_mm256_div_ps (v, d->scale), d->lo);
  return _mm256_cvtps_epi32 (_mm256_min_ps (v, d->hi));
}

/* |p - rne(p)|, rne(p) in @n; the sign of a NaN does not matter. */
static inline __m256
product (const Divide *d, __m256 v, __m256i *n)
{
  const __m256 magnitude = _mm256_castsi256_ps (_mm256_set1_epi32 (0x7fffffff));
  __m256 p = _mm256_mul_ps (v, d->inverse);

  *n = _mm256_cvtps_epi32 (p);
  return _mm256_and_ps (magnitude, _mm256_sub_ps (p, _mm256_cvtepi32_ps (*n)));
}

/* clamp(rne(v / scale) + zero): by a product, and by division where one of the
 * products is too near to a half to tell. docs/numerics.md (20) */
static inline __m256i
codes_of (const Divide *d, const __m256 *v)
{
  const __m256 near = _mm256_set1_ps (0.5f - 0x1p-13f);
  __m256 most = _mm256_setzero_ps ();
  __m256i n[4];

  /* in this order: a NaN, which becomes lo, leaves the other lanes' figure */
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++)
    most = _mm256_max_ps (product (d, v[i], &n[i]), most);
  if (__builtin_expect (
          _mm256_movemask_ps (_mm256_cmp_ps (most, near, _CMP_GE_OQ)), 0))
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
      n[i] = quotient (d, v[i]);
  return qf_codes_avx2 (&d->codes, n[0], n[1], n[2], n[3]);
}

/* scale · (x − zero), eight codes. */
static inline __m256
real (const uint8_t *x, __m256 scale, __m256i zero)
{
  __m256i q = _mm256_cvtepu8_epi32 (_mm_loadl_epi64 ((const __m128i *) x));

  return _mm256_mul_ps (scale, _mm256_cvtepi32_ps (_mm256_sub_epi32 (q, zero)));
}

void
qf_add_u8_avx2 (
    const QfAddU8 *p, const uint8_t *a, const uint8_t *b, uint8_t *y, size_t n)
{
  const __m256 sa = _mm256_set1_ps (p->scale_a);
  const __m256 sb = _mm256_set1_ps (p->scale_b);
  const __m256i za = _mm256_set1_epi32 (p->zero_a);
  const __m256i zb = _mm256_set1_epi32 (p->zero_b);
  const Divide d = divide_new (p->scale_y, p->zero_y, p->lo, p->hi);
  __m256i last = _mm256_setzero_si256 ();

  if (n < STEP || !scale_can (p->scale_y)) {
    QF_T (add_u8) (p, a, b, y, n);
    return;
  }
  for (size_t k = 0; k <= n / STEP; k++) {
    size_t i = k == 0 ? n - STEP : (k - 1) * STEP;
    __m256 v[4];
    __m256i codes;

#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      v[j] = _mm256_add_ps (
          real (a + i + 8 * j, sa, za), real (b + i + 8 * j, sb, zb));
    codes = codes_of (&d, v);
    if (k == 0)
      last = codes;
    else
      _mm256_storeu_si256 ((__m256i *) (y + i), codes);
  }
  _mm256_storeu_si256 ((__m256i *) (y + n - STEP), last);
}

void
qf_quantize_f32_u8_avx2 (
    const QfQuantize *q, const float *x, uint8_t *y, size_t n)
{
  const Divide d = divide_new (q->scale, q->zero, q->lo, q->hi);

  if (n < STEP || !scale_can (q->scale)) {
    QF_T (quantize_f32_u8) (q, x, y, n);
    return;
  }
  for (size_t at = 0; at < n; at += STEP) {
    size_t i = at + STEP <= n ? at : n - STEP;
    __m256 v[4];

#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      v[j] = _mm256_loadu_ps (x + i + 8 * j);
    _mm256_storeu_si256 ((__m256i *) (y + i), codes_of (&d, v));
  }
}

/* Sixteen entries a row: those of the half's first row, then what every further
 * row changes. A vpshufb gives 0 where the index is negative, so the rows up to
 * the one of the code, and none behind, add up by exclusive or. */
typedef struct
{
  __m128i row[16];
} Rows;

/* At these places: gcc 12 otherwise keeps all rows in registers and all results
 * of vpshufb for a tree of sums, and has no registers left. */
#define ROW(v, from)                                                           \
  __asm__ volatile("vbroadcasti128 %1, %0" : "=x"(v) : "m"(from))
#define XOR(sum, v) __asm__("vpxor %1, %0, %0" : "+x"(sum) : "x"(v))

static inline void
rows_new (Rows *r, const uint8_t *table)
{
  for (int i = 0; i < 16; i++) {
    r->row[i] = _mm_loadu_si128 ((const __m128i *) (table + 16 * i));
    if (i % 8)
      r->row[i] = _mm_xor_si128 (r->row[i],
          _mm_loadu_si128 ((const __m128i *) (table + 16 * (i - 1))));
  }
}

/* @n vectors of codes. Codes of the other half are negative from the start and
 * stay so, as the subtraction saturates. */
static inline __attribute__ ((always_inline)) void
look_up (const Rows *r, __m256i *v, int n)
{
  const __m256i sixteen = _mm256_set1_epi8 (16);
  __m256i x[4], y[4];

#pragma GCC unroll 4
  for (int j = 0; j < n; j++)
    y[j] = _mm256_setzero_si256 ();
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++) {
#pragma GCC unroll 4
    for (int j = 0; j < n; j++)
      x[j] = half ? _mm256_xor_si256 (v[j], _mm256_set1_epi8 (-128)) : v[j];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
      __m256i row;

      ROW (row, r->row[8 * half + i]);
#pragma GCC unroll 4
      for (int j = 0; j < n; j++) {
        XOR (y[j], _mm256_shuffle_epi8 (row, x[j]));
        x[j] = _mm256_subs_epi8 (x[j], sixteen);
      }
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < n; j++)
    v[j] = y[j];
}

void
qf_lookup_u8_avx2 (const uint8_t *x, const uint8_t *table, uint8_t *y, size_t n)
{
  size_t i = 0;
  __m256i last;
  Rows r;

  if (n < STEP) {
    QF_T (lookup_u8) (x, table, y, n);
    return;
  }
  rows_new (&r, table);
  last = _mm256_loadu_si256 ((const __m256i *) (x + n - STEP));
  for (; i + 4 * STEP <= n; i += 4 * STEP) {
    __m256i v[4];

#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      v[j] = _mm256_loadu_si256 ((const __m256i *) (x + i + STEP * j));
    look_up (&r, v, 4);
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      _mm256_storeu_si256 ((__m256i *) (y + i + STEP * j), v[j]);
  }
  for (; i + STEP <= n; i += STEP) {
    __m256i v = _mm256_loadu_si256 ((const __m256i *) (x + i));

    look_up (&r, &v, 1);
    _mm256_storeu_si256 ((__m256i *) (y + i), v);
  }
  look_up (&r, &last, 1);
  _mm256_storeu_si256 ((__m256i *) (y + n - STEP), last);
}
