/* libqfuse: difference planes, AVX2 (docs/numerics.md, V8 and V9).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/difference.h"
#include "kernels/x86/avx2.h"
#include "kernels/x86/difference.h"

enum
{
  PIXELS = 32
};

static inline __m256i
load (const uint8_t *p)
{
  return _mm256_loadu_si256 ((const __m256i *) p);
}

static inline void
store (uint8_t *p, __m256i v)
{
  _mm256_storeu_si256 ((__m256i *) p, v);
}

/* Rows of scratch: two of moving pixels, two of blocks. Behind a row's pixels
 * stands 0, as far as vectors read. */
static size_t
row_size (int width)
{
  return ((size_t) width + 2 * PIXELS) / PIXELS * PIXELS + PIXELS;
}

size_t
qf_difference_u8_avx2_scratch_size (int width)
{
  size_t own = 4 * row_size (width);
  size_t reference = QF_T (difference_scratch_size) (width);

  return own > reference ? own : reference;
}

/* Where the vector at @x starts: the last one overlaps the one before. */
static inline int
vector_at (int x, int width)
{
  return x + PIXELS <= width ? x : width - PIXELS;
}

static void
moving_row (const uint8_t *now, const uint8_t *then, int width, int threshold,
    uint8_t *moving)
{
  const __m256i zero = _mm256_setzero_si256 ();
  const __m256i most = _mm256_set1_epi8 ((char) threshold);
  const __m256i ones = _mm256_set1_epi8 (-1);

  for (int x = 0; x < width; x += PIXELS) {
    int at = vector_at (x, width);
    __m256i a = load (now + at), b = load (then + at);
    __m256i m =
        _mm256_or_si256 (_mm256_subs_epu8 (a, b), _mm256_subs_epu8 (b, a));
    __m256i rests = _mm256_cmpeq_epi8 (_mm256_subs_epu8 (m, most), zero);

    store (moving + at, _mm256_xor_si256 (rests, ones));
  }
}

/* block[x + 1]: the 2x2 block with left top corner x. What stands behind the
 * rows gives block[width] = 0. */
static void
block_row (
    const uint8_t *above, const uint8_t *below, int width, uint8_t *block)
{
  for (int x = 0; x < width; x += PIXELS) {
    __m256i a = _mm256_and_si256 (load (above + x), load (above + x + 1));
    __m256i b = _mm256_and_si256 (load (below + x), load (below + x + 1));

    store (block + x + 1, _mm256_and_si256 (a, b));
  }
}

/* 0xff where one of the four blocks round a pixel moves. */
static inline __m256i
kept (const uint8_t *last, const uint8_t *block, int x)
{
  __m256i a = _mm256_or_si256 (load (last + x), load (last + x + 1));
  __m256i b = _mm256_or_si256 (load (block + x), load (block + x + 1));

  return _mm256_or_si256 (a, b);
}

/* min(gain·m >> shift, 255): gain·m ≤ 65025. */
static inline __m256i
amplify (__m256i m, int gain, int shift)
{
  const __m256i zero = _mm256_setzero_si256 ();
  const __m256i most = _mm256_set1_epi16 (255);
  const __m256i g = _mm256_set1_epi16 ((short) gain);
  const __m128i by = _mm_cvtsi32_si128 (shift);
  __m256i lo = _mm256_mullo_epi16 (_mm256_unpacklo_epi8 (m, zero), g);
  __m256i hi = _mm256_mullo_epi16 (_mm256_unpackhi_epi8 (m, zero), g);

  lo = _mm256_min_epu16 (_mm256_srl_epi16 (lo, by), most);
  hi = _mm256_min_epu16 (_mm256_srl_epi16 (hi, by), most);
  return _mm256_packus_epi16 (lo, hi);
}

/* @up: max(d, 0), @down: max(−d, 0). Saturation is the clamp. */
static inline __m256i
plane_codes (const QfDifferencePlane *p, __m256i up, __m256i down)
{
  const __m256i zero = _mm256_setzero_si256 ();
  __m256i m = _mm256_or_si256 (up, down), rises, half;

  if (p->magnitude)
    return p->gain == 1 ? m : amplify (m, p->gain, 0);
  half = p->gain == 2 ? m : amplify (m, p->gain, 1);
  rises = _mm256_cmpeq_epi8 (down, zero);
  return _mm256_subs_epu8 (_mm256_adds_epu8 (_mm256_set1_epi8 (-128),
                               _mm256_and_si256 (rises, half)),
      _mm256_andnot_si256 (rises, half));
}

/* @last: NULL without a dead band. */
static void
write_row (const QfDifference *d, const uint8_t *now, const uint8_t *then,
    const uint8_t *last, const uint8_t *block, size_t to)
{
  for (int x = 0; x < d->width; x += PIXELS) {
    int at = vector_at (x, d->width);
    __m256i a = load (now + at), b = load (then + at);
    __m256i up = _mm256_subs_epu8 (a, b), down = _mm256_subs_epu8 (b, a);

    if (last) {
      __m256i keep = kept (last, block, at);

      up = _mm256_and_si256 (up, keep);
      down = _mm256_and_si256 (down, keep);
    }
    for (int i = 0; i < d->n; i++)
      store (d->planes[i].out + to + at, plane_codes (&d->planes[i], up, down));
  }
}

void
qf_difference_u8_avx2 (const QfDifference *d, const uint8_t *now,
    const uint8_t *then, void *scratch)
{
  size_t row = row_size (d->width), width = (size_t) d->width;
  uint8_t *rows = scratch, *moving[2] = { rows, rows + row };
  uint8_t *blocks[2] = { rows + 2 * row, rows + 3 * row };

  if (d->width < PIXELS) {
    QF_T (difference_u8) (d, now, then, scratch);
    return;
  }
  if (d->threshold > 0) {
    memset (rows, 0, 4 * row);
    moving_row (now, then, d->width, d->threshold, moving[0]);
  }
  for (int y = 0; y < d->height; y++, now += width, then += width) {
    uint8_t *here = moving[y & 1], *next = moving[(y + 1) & 1];
    uint8_t *block = blocks[y & 1], *last = blocks[(y + 1) & 1];

    if (d->threshold > 0) {
      if (y + 1 < d->height)
        moving_row (now + width, then + width, d->width, d->threshold, next);
      else
        memset (next, 0, row);
      block_row (here, next, d->width, block);
    }
    write_row (d, now, then, d->threshold > 0 ? last : NULL, block,
        (size_t) y * width);
  }
}
