/* libqfuse: tiles of dot products and their results, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/tile_avx2.h"

static __attribute__ ((noinline)) void
six (
    const int16_t *const *x, const int16_t *w, size_t pairs, const QfTileOut *t)
{
  QfTileOut all = *t;
  QfSumsAvx2 sums;

  all.n = QF_TILE_X;
  all.channels = QF_TILE_Y;
  qf_tile_avx2 (x, 1, 0, w, pairs, QF_TILE_X, 2, &sums);
  qf_tile_store (&all, &sums);
}

static __attribute__ ((noinline)) void
six_runs (const int16_t *const *x, int runs, size_t step, const int16_t *w,
    size_t pairs, const QfTileOut *t)
{
  QfTileOut all = *t;
  QfSumsAvx2 sums;

  all.n = QF_TILE_X;
  all.channels = QF_TILE_Y;
  qf_tile_avx2 (x, runs, step, w, pairs, QF_TILE_X, 2, &sums);
  qf_tile_store (&all, &sums);
}

static inline __attribute__ ((always_inline)) void
some (const int16_t *const *x, int runs, size_t step, const int16_t *w,
    size_t pairs, int nv, const QfTileOut *t)
{
  QfSumsAvx2 sums;

  switch (t->n) {
    case 1:
      qf_tile_avx2 (x, runs, step, w, pairs, 1, nv, &sums);
      break;
    case 2:
      qf_tile_avx2 (x, runs, step, w, pairs, 2, nv, &sums);
      break;
    case 3:
      qf_tile_avx2 (x, runs, step, w, pairs, 3, nv, &sums);
      break;
    case 4:
      qf_tile_avx2 (x, runs, step, w, pairs, 4, nv, &sums);
      break;
    case 5:
      qf_tile_avx2 (x, runs, step, w, pairs, 5, nv, &sums);
      break;
    default:
      qf_tile_avx2 (x, runs, step, w, pairs, 6, nv, &sums);
  }
  qf_tile_store (t, &sums);
}

void
qf_tile_run_avx2 (const int16_t *const *x, int runs, size_t step,
    const int16_t *w, size_t pairs, int wide, const QfTileOut *t)
{
  if (t->n == QF_TILE_X && t->channels == QF_TILE_Y && runs == 1)
    six (x, w, pairs, t);
  else if (t->n == QF_TILE_X && t->channels == QF_TILE_Y)
    six_runs (x, runs, step, w, pairs, t);
  else if (wide)
    some (x, runs, step, w, pairs, 2, t);
  else
    some (x, runs, step, w, pairs, 1, t);
}

/* Codes of two windows. */
static inline __attribute__ ((always_inline)) void
store_two (const QfCodesAvx2 *k, int bare, const __m256 *mult, uint8_t *y,
    size_t step, __m256i a0, __m256i b0, __m256i a1, __m256i b1)
{
  __m256i v;

  a0 = qf_scale_avx2 (a0, mult[0]);
  b0 = qf_scale_avx2 (b0, mult[1]);
  a1 = qf_scale_avx2 (a1, mult[0]);
  b1 = qf_scale_avx2 (b1, mult[1]);
  v = bare ? qf_codes_bare_avx2 (a0, b0, a1, b1)
           : qf_codes_avx2 (k, a0, b0, a1, b1);

  _mm_storeu_si128 ((__m128i *) y, _mm256_castsi256_si128 (v));
  _mm_storeu_si128 ((__m128i *) (y + step), _mm256_extracti128_si256 (v, 1));
}

static inline void
store_sums (int32_t *to, __m256i a, __m256i b)
{
  _mm256_storeu_si256 ((__m256i *) to, a);
  _mm256_storeu_si256 ((__m256i *) (to + 8), b);
}

static inline __attribute__ ((always_inline)) void
tiles_of_six (const int16_t *x, size_t pixel, int runs, size_t step,
    const int16_t *weights, size_t pairs, int tiles, const QfTileOut *t,
    int bare)
{
  __m256i start[2] = { _mm256_loadu_si256 ((const __m256i *) t->start),
    _mm256_loadu_si256 ((const __m256i *) (t->start + 8)) };
  __m256 mult[2] = { _mm256_loadu_ps (t->mult), _mm256_loadu_ps (t->mult + 8) };
  QfCodesAvx2 k = *t->codes;
  int32_t *acc = t->out->acc ? t->out->acc + t->at : NULL;
  uint8_t *y = acc ? NULL : t->out->y + t->at;

  for (; tiles > 0; tiles--, x += QF_TILE_X * pixel) {
    const int16_t *from = x, *w = weights;
    __m256i a0 = start[0], a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0;
    __m256i b0 = start[1], b1 = b0, b2 = b0, b3 = b0, b4 = b0, b5 = b0;

#define WINDOW(i, at)                                                          \
  {                                                                            \
    int32_t two;                                                               \
    __m256i p;                                                                 \
                                                                               \
    memcpy (&two, at, sizeof two);                                             \
    p = _mm256_set1_epi32 (two);                                               \
    QF_ADD32 (a##i, _mm256_madd_epi16 (p, wa));                                \
    QF_ADD32 (b##i, _mm256_madd_epi16 (p, wb));                                \
  }
    for (int r = 0; r < runs; r++, from += step) {
      const int16_t *lo = from, *hi = from + 3 * pixel;

#pragma GCC unroll 2
      for (size_t i = 0; i < pairs; i++, lo += 2, hi += 2, w += 2 * QF_TILE_Y) {
        __m256i wa = _mm256_loadu_si256 ((const __m256i *) w);
        __m256i wb = _mm256_loadu_si256 ((const __m256i *) (w + QF_TILE_Y));

        WINDOW (0, lo)
        WINDOW (1, lo + pixel)
        WINDOW (2, lo + 2 * pixel)
        WINDOW (3, hi)
        WINDOW (4, hi + pixel)
        WINDOW (5, hi + 2 * pixel)
      }
    }
#undef WINDOW
    if (acc) {
      store_sums (acc, a0, b0);
      store_sums (acc + t->step, a1, b1);
      store_sums (acc + 2 * t->step, a2, b2);
      store_sums (acc + 3 * t->step, a3, b3);
      store_sums (acc + 4 * t->step, a4, b4);
      store_sums (acc + 5 * t->step, a5, b5);
      acc += QF_TILE_X * t->step;
    } else {
      store_two (&k, bare, mult, y, t->step, a0, b0, a1, b1);
      store_two (&k, bare, mult, y + 2 * t->step, t->step, a2, b2, a3, b3);
      store_two (&k, bare, mult, y + 4 * t->step, t->step, a4, b4, a5, b5);
      y += QF_TILE_X * t->step;
    }
  }
}

void
qf_tile_line_avx2 (const int16_t *x, size_t pixel, int runs, size_t step,
    const int16_t *w, size_t pairs, int tiles, const QfTileOut *t)
{
  int bare = !t->out->acc && t->codes->bare;

  if (runs == 1 && bare)
    tiles_of_six (x, pixel, 1, 0, w, pairs, tiles, t, 1);
  else if (runs == 1)
    tiles_of_six (x, pixel, 1, 0, w, pairs, tiles, t, 0);
  else if (bare)
    tiles_of_six (x, pixel, runs, step, w, pairs, tiles, t, 1);
  else
    tiles_of_six (x, pixel, runs, step, w, pairs, tiles, t, 0);
}
