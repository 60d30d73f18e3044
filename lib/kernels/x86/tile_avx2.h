/* libqfuse: dot products of 16-bit elements in tiles of registers, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Up to 6 windows times 16 output channels: 12 sums, two vectors of weights and
 * one pair of elements that is broadcast from memory fill the 16 registers.
 * About 82 GMAC/s on Zen 3 at 3.5 GHz, of 112 that its multipliers could. */
#pragma once

#include "kernels/x86/avx2.h"
#include "kernels/x86/conv.h"

enum
{
  QF_TILE_X = 6,     /* windows */
  QF_TILE_Y = 16,    /* output channels */
  QF_TILE_NARROW = 8 /* the last of them where they suffice */
};

typedef struct
{
  __m256i v[QF_TILE_X][2];
} QfSumsAvx2;

/* Channels of the block that starts at @o, rounded up. */
static inline int
qf_tile_width (int out_c, int o)
{
  return out_c - o > QF_TILE_NARROW ? QF_TILE_Y : QF_TILE_NARROW;
}

/* Sums of @n windows times @nv · 8 channels. A window is @runs runs of @pairs
 * pairs of elements, @step elements from run to run. @w: [runs][pairs][nv ·
 * 8][2].
 * @n, @nv (and @runs, where it is 1) are constants where it is inlined. */
static inline __attribute__ ((always_inline)) void
qf_tile_avx2 (const int16_t *const *x, int runs, size_t step, const int16_t *w,
    size_t pairs, int n, int nv, QfSumsAvx2 *sums)
{
  const int16_t *x0 = x[0], *x1 = x[n > 1 ? 1 : 0], *x2 = x[n > 2 ? 2 : 0];
  const int16_t *x3 = x[n > 3 ? 3 : 0], *x4 = x[n > 4 ? 4 : 0];
  const int16_t *x5 = x[n > 5 ? 5 : 0];
  __m256i zero = _mm256_setzero_si256 ();
  __m256i a0 = zero, a1 = zero, a2 = zero, a3 = zero, a4 = zero, a5 = zero;
  __m256i b0 = zero, b1 = zero, b2 = zero, b3 = zero, b4 = zero, b5 = zero;

#define WINDOW(i)                                                              \
  if (n > i) {                                                                 \
    int32_t two;                                                               \
    __m256i p;                                                                 \
                                                                               \
    memcpy (&two, x##i + 2 * k, sizeof two);                                   \
    p = _mm256_set1_epi32 (two);                                               \
    QF_ADD32 (a##i, _mm256_madd_epi16 (p, wa));                                \
    if (nv > 1) {                                                              \
      QF_ADD32 (b##i, _mm256_madd_epi16 (p, wb));                              \
    }                                                                          \
  }
  for (int r = 0; r < runs; r++) {
#pragma GCC unroll 2
    for (size_t k = 0; k < pairs; k++, w += nv * QF_TILE_Y) {
      __m256i wa = _mm256_loadu_si256 ((const __m256i *) w);
      __m256i wb =
          nv > 1 ? _mm256_loadu_si256 ((const __m256i *) (w + QF_TILE_Y)) : wa;

      WINDOW (0)
      WINDOW (1)
      WINDOW (2)
      WINDOW (3)
      WINDOW (4)
      WINDOW (5)
    }
    x0 += step, x1 += step, x2 += step, x3 += step, x4 += step, x5 += step;
  }
#undef WINDOW
  *sums = (QfSumsAvx2){ { { a0, b0 }, { a1, b1 }, { a2, b2 }, { a3, b3 },
      { a4, b4 }, { a5, b5 } } };
}

/** Where a tile's results go: channel @c of the first of its windows is at
 * element @at of @out, the next ones follow by @step. @mult and @start (to be
 * added) are 16 of the tile. */
typedef struct
{
  const QfConvOut *out;
  const QfCodesAvx2 *codes;
  const float *mult;
  const int32_t *start;
  size_t at, step;
  int n, channels; /* channels ≤ 16 that are real */
} QfTileOut;

static inline void
qf_tile_store_bytes (uint8_t *y, __m128i v, int channels)
{
  uint8_t some[16];

  if (channels == 16) {
    _mm_storeu_si128 ((__m128i *) y, v);
  } else if (channels == 8) {
    _mm_storel_epi64 ((__m128i *) y, v);
  } else {
    _mm_storeu_si128 ((__m128i *) some, v);
    memcpy (y, some, (size_t) channels);
  }
}

/* @n ≤ 6 windows, two vectors each. */
static inline __attribute__ ((always_inline)) void
qf_tile_store (const QfTileOut *t, const QfSumsAvx2 *sums)
{
  __m256i start[2], v[4], y;
  __m256 mult[2];

  if (t->out->acc) {
    for (int i = 0; i < t->n; i++) {
      int32_t *to = t->out->acc + t->at + (size_t) i * t->step;

      if (t->channels == QF_TILE_Y) {
        _mm256_storeu_si256 ((__m256i *) to, sums->v[i][0]);
        _mm256_storeu_si256 ((__m256i *) (to + 8), sums->v[i][1]);
      } else {
        memcpy (to, sums->v[i], (size_t) t->channels * sizeof *to);
      }
    }
    return;
  }
  for (int j = 0; j < 2; j++) {
    start[j] = _mm256_loadu_si256 ((const __m256i *) (t->start + 8 * j));
    mult[j] = _mm256_loadu_ps (t->mult + 8 * j);
  }
#pragma GCC unroll 3
  for (int i = 0; i < t->n; i += 2) {
    uint8_t *to = t->out->y + t->at + (size_t) i * t->step;

    for (int j = 0; j < 4; j++)
      v[j] = qf_scale_avx2 (
          _mm256_add_epi32 (sums->v[i + j / 2][j % 2], start[j % 2]),
          mult[j % 2]);
    y = qf_codes_avx2 (t->codes, v[0], v[1], v[2], v[3]);
    qf_tile_store_bytes (to, _mm256_castsi256_si128 (y), t->channels);
    if (i + 1 < t->n)
      qf_tile_store_bytes (
          to + t->step, _mm256_extracti128_si256 (y, 1), t->channels);
  }
}

/* Up to 6 windows times one block of channels, @wide or narrow. Where most of
 * the time goes has a function of its own, with constants and all registers. */
void qf_tile_run_avx2 (const int16_t *const *x, int runs, size_t step,
    const int16_t *w, size_t pairs, int wide, const QfTileOut *t);

/* @tiles tiles of 6 windows, @pixel elements from each to the next, times 16
 * channels; t->n does not count. As above otherwise. */
void qf_tile_line_avx2 (const int16_t *x, size_t pixel, int runs, size_t step,
    const int16_t *w, size_t pairs, int tiles, const QfTileOut *t);
