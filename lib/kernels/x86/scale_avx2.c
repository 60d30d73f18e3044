/* libqfuse: scaling of one plane of bytes, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * As the reference does it: source rows are summed with their weights into one
 * row of 16 bits (or two, of the low 15 bits and the rest), then vpmaddwd sums
 * its columns, several outputs at a time, each from where its own taps start.
 * Everything is exact modulo 2^32 and the results are less: docs/numerics.md
 * (V6). */
#include "kernels/c/scale.h"
#include "kernels/x86/avx2.h"
#include "kernels/x86/scale.h"

enum
{
  OUTS = 8, /* outputs of a group */
  COLS = 32 /* pixels of a vector */
};

typedef enum
{
  ROWS_REFERENCE, /* what the kernels here cannot do */
  ROWS_BYTES,     /* vpmaddubsw: no pair of weights passes 128 */
  ROWS_WORDS,     /* sums fit 16 bits */
  ROWS_WIDE       /* two rows: the low 15 bits, and the rest, less than 2^9 */
} RowKind;

typedef struct
{
  int32_t kind;          /* RowKind */
  int32_t chunks;        /* of eight taps; 0: four taps at once do */
  uint32_t multiplier;   /* sum / D = sum · multiplier >> shift */
  int32_t shift;         /* 31 … 54 */
  uint32_t half;         /* floor(D / 2), and what the flip takes away */
  uint32_t flip;         /* 0, or 2^15 twice: rows are stored less 2^15 */
  int32_t pairs;         /* of row weights, per output row */
  int32_t columns, rows; /* places below, in bytes */
  int32_t size;
} Plan;
/* Then: weights of columns, int16 [groups][chunks][4][2][8], of the outputs j
 * and j + 4 of a group side by side, or [groups][2][4][4] of the outputs 0, 1,
 * 4, 5 and 2, 3, 6, 7; weights of rows, uint32 [dst][pairs]; number of rows
 * that count, uint16 [dst]. */

static inline int
min_int (int a, int b)
{
  return a < b ? a : b;
}

/* Outputs of group @g start here: the last group overlaps the one before. */
static inline int
group_start (const QfScaleAxis *x, int g)
{
  return min_int (g * OUTS, x->dst - OUTS);
}

static uint32_t
largest_weight (const QfScaleAxis *a, int step, int count)
{
  uint32_t most = 0;

  for (int i = 0; i < a->dst; i++)
    for (int t = 0; t < a->taps; t += step) {
      const uint16_t *w = a->weight + (size_t) i * a->taps + t;
      uint32_t sum = w[0];

      if (count == 2 && t + 1 < a->taps)
        sum += w[1];
      most = sum > most ? sum : most;
    }
  return most;
}

static RowKind
row_kind (const QfScale *s)
{
  uint64_t divisor = (uint64_t) s->x.sum * s->y.sum;

  if (s->x.src < COLS || s->x.dst < OUTS || divisor == 1 ||
      divisor > 1u << 23 || largest_weight (&s->x, 1, 1) > INT16_MAX ||
      largest_weight (&s->y, 1, 1) > INT16_MAX)
    return ROWS_REFERENCE;
  if (255 * s->y.sum > UINT16_MAX)
    return ROWS_WIDE;
  /* 255·128 < 2^15, and a weight is a signed byte */
  return largest_weight (&s->y, 2, 2) <= 128 &&
          largest_weight (&s->y, 1, 1) <= INT8_MAX
      ? ROWS_BYTES
      : ROWS_WORDS;
}

static Plan
make_plan (const QfScale *s)
{
  Plan p = { .kind = row_kind (s), .columns = sizeof p };
  uint32_t divisor;
  int groups, level = 0;

  p.size = p.columns;
  if (p.kind == ROWS_REFERENCE)
    return p;
  divisor = s->x.sum * s->y.sum;
  groups = (s->x.dst + OUTS - 1) / OUTS;
  p.chunks = s->x.taps <= 4 ? 0 : (s->x.taps + 7) / 8;
  p.pairs = p.kind == ROWS_WORDS ? s->y.taps : (s->y.taps + 1) / 2;
  p.rows = p.columns +
      groups * OUTS * (p.chunks ? 8 * p.chunks : 4) * (int) sizeof (int16_t);
  p.size = p.rows + s->y.dst * (p.pairs * (int) sizeof (uint32_t) + 2);

  /* floor(n / D) for n < 256·D: with 2^(level − 1) < D ≤ 2^level ≤ 2^23,
   * multiplier·D = 2^shift + e, 0 < e ≤ D, and n·e < 2^(2·level + 8) ≤ 2^shift
   */
  while (1u << level < divisor)
    level++;
  p.shift = 31 + level;
  p.multiplier = (uint32_t) (((uint64_t) 1 << p.shift) / divisor + 1);
  p.half = divisor / 2;
  if (p.kind != ROWS_WIDE && 255 * s->y.sum > INT16_MAX) {
    p.flip = 0x80008000;
    p.half += s->x.sum << 15;
  }
  return p;
}

size_t
qf_scale_u8_avx2_packed_size (const QfScale *s)
{
  return (size_t) make_plan (s).size;
}

static void
pack_columns (const QfScaleAxis *x, int chunks, int16_t *w)
{
  int groups = (x->dst + OUTS - 1) / OUTS, taps = chunks ? 8 : 4;

  for (int g = 0; g < groups; g++)
    for (int c = 0; c < (chunks ? chunks : 1); c++)
      for (int at = 0; at < OUTS; at++) {
        /* chunks: 0 4 1 5 2 6 3 7; else 0 1 4 5 2 3 6 7 */
        int out = chunks ? at / 2 + at % 2 * 4
                         : (at & 1) | (at & 4) >> 1 | (at & 2) << 1;
        const uint16_t *from =
            x->weight + (size_t) (group_start (x, g) + out) * x->taps;

        for (int t = 0; t < taps; t++)
          *w++ = (int16_t) (c * 8 + t < x->taps ? from[c * 8 + t] : 0);
      }
}

static void
pack_rows (const QfScaleAxis *y, RowKind kind, int pairs, uint32_t *w)
{
  uint16_t *count = (uint16_t *) (w + (size_t) y->dst * pairs);

  for (int i = 0; i < y->dst; i++) {
    const uint16_t *from = y->weight + (size_t) i * y->taps;
    int n = y->taps;

    while (n > 1 && from[n - 1] == 0)
      n--;
    count[i] = (uint16_t) n;
    for (int p = 0; p < pairs; p++) {
      uint32_t a, b;

      if (kind == ROWS_WORDS) {
        *w++ = from[p] * 0x10001u;
        continue;
      }
      a = from[2 * p];
      b = 2 * p + 1 < y->taps ? from[2 * p + 1] : 0;
      *w++ = kind == ROWS_BYTES ? (a | b << 8) * 0x10001u : a | b << 16;
    }
  }
}

void
qf_scale_u8_avx2_pack (const QfScale *s, void *packed)
{
  Plan p = make_plan (s);
  uint8_t *to = packed;

  memcpy (to, &p, sizeof p);
  if (p.kind == ROWS_REFERENCE)
    return;
  pack_columns (&s->x, p.chunks, (int16_t *) (void *) (to + p.columns));
  pack_rows (&s->y, p.kind, p.pairs, (uint32_t *) (void *) (to + p.rows));
}

/* A row of 16-bit sums and what chunks of eight taps read behind it, in whole
 * cache lines. */
static size_t
row_size (const QfScale *s)
{
  return ((size_t) s->x.src + OUTS + 31) / 32 * 32;
}

size_t
qf_scale_u8_avx2_scratch_size (const QfScale *s)
{
  return 2 * row_size (s) * sizeof (uint16_t);
}

static inline __m256i
load (const void *p)
{
  return _mm256_loadu_si256 (p);
}

static inline __m256i
weight (const uint32_t *w)
{
  return _mm256_set1_epi32 ((int) *w);
}

/* Stores sums of 32 pixels, in the order of vpunpck, times 16 bits. */
static inline void
store_words (uint16_t *row, __m256i lo, __m256i hi)
{
  _mm256_storeu_si256 (
      (__m256i *) row, _mm256_permute2x128_si256 (lo, hi, 0x20));
  _mm256_storeu_si256 (
      (__m256i *) (row + 16), _mm256_permute2x128_si256 (lo, hi, 0x31));
}

static inline __attribute__ ((always_inline)) void
rows_bytes (const uint8_t *p, ptrdiff_t stride, const uint32_t *w, int count,
    int vectors, __m256i flip, uint16_t *row)
{
  const __m256i zero = _mm256_setzero_si256 ();
  __m256i lo[2] = { flip, flip }, hi[2] = { flip, flip };

  for (; count >= 2; count -= 2, p += 2 * stride, w++)
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
      __m256i a = load (p + v * COLS), b = load (p + stride + v * COLS);

      lo[v] = _mm256_add_epi16 (lo[v],
          _mm256_maddubs_epi16 (_mm256_unpacklo_epi8 (a, b), weight (w)));
      hi[v] = _mm256_add_epi16 (hi[v],
          _mm256_maddubs_epi16 (_mm256_unpackhi_epi8 (a, b), weight (w)));
    }
#pragma GCC unroll 2
  for (int v = 0; v < vectors; v++) {
    if (count) {
      __m256i a = load (p + v * COLS);

      lo[v] = _mm256_add_epi16 (lo[v],
          _mm256_maddubs_epi16 (_mm256_unpacklo_epi8 (a, zero), weight (w)));
      hi[v] = _mm256_add_epi16 (hi[v],
          _mm256_maddubs_epi16 (_mm256_unpackhi_epi8 (a, zero), weight (w)));
    }
    store_words (row + v * COLS, lo[v], hi[v]);
  }
}

static inline void
rows_words (const uint8_t *p, ptrdiff_t stride, const uint32_t *w, int count,
    __m256i flip, uint16_t *row)
{
  const __m256i zero = _mm256_setzero_si256 ();
  __m256i lo = flip, hi = flip;

  for (; count; count--, p += stride, w++) {
    __m256i a = load (p);

    lo = _mm256_add_epi16 (
        lo, _mm256_mullo_epi16 (_mm256_unpacklo_epi8 (a, zero), weight (w)));
    hi = _mm256_add_epi16 (
        hi, _mm256_mullo_epi16 (_mm256_unpackhi_epi8 (a, zero), weight (w)));
  }
  store_words (row, lo, hi);
}

/* To @row the low 15 bits, @high entries on the rest. */
static inline void
rows_wide (const uint8_t *p, ptrdiff_t stride, const uint32_t *w, int count,
    uint16_t *row, size_t high)
{
  const __m256i zero = _mm256_setzero_si256 ();
  const __m256i mask = _mm256_set1_epi32 (0x7fff);
  __m256i sum[4] = { zero, zero, zero, zero }, low[4];

  for (; count > 0; count -= 2, p += 2 * stride, w++) {
    __m256i a = load (p), b = count > 1 ? load (p + stride) : zero;
    __m256i lo = _mm256_unpacklo_epi8 (a, b), hi = _mm256_unpackhi_epi8 (a, b);

    QF_ADD32 (sum[0],
        _mm256_madd_epi16 (_mm256_unpacklo_epi8 (lo, zero), weight (w)));
    QF_ADD32 (sum[1],
        _mm256_madd_epi16 (_mm256_unpackhi_epi8 (lo, zero), weight (w)));
    QF_ADD32 (sum[2],
        _mm256_madd_epi16 (_mm256_unpacklo_epi8 (hi, zero), weight (w)));
    QF_ADD32 (sum[3],
        _mm256_madd_epi16 (_mm256_unpackhi_epi8 (hi, zero), weight (w)));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    low[i] = _mm256_and_si256 (sum[i], mask);
    sum[i] = _mm256_srli_epi32 (sum[i], 15);
  }
  store_words (row, _mm256_packus_epi32 (low[0], low[1]),
      _mm256_packus_epi32 (low[2], low[3]));
  store_words (row + high, _mm256_packus_epi32 (sum[0], sum[1]),
      _mm256_packus_epi32 (sum[2], sum[3]));
}

/* The last vector overlaps the one before. */
static void
sum_rows (const Plan *p, const uint8_t *src, ptrdiff_t stride,
    const uint32_t *w, int count, int width, uint16_t *row, size_t high)
{
  const __m256i flip = _mm256_set1_epi32 ((int) p->flip);
  int x = 0;

  if (p->kind == ROWS_BYTES)
    for (; x + 2 * COLS <= width; x += 2 * COLS)
      rows_bytes (src + x, stride, w, count, 2, flip, row + x);
  for (; x < width; x += COLS) {
    int at = min_int (x, width - COLS);

    if (p->kind == ROWS_BYTES)
      rows_bytes (src + at, stride, w, count, 1, flip, row + at);
    else if (p->kind == ROWS_WORDS)
      rows_words (src + at, stride, w, count, flip, row + at);
    else
      rows_wide (src + at, stride, w, count, row + at, high);
  }
}

static inline __m128i
load_quads (const uint16_t *a, const uint16_t *b)
{
  __m128 low = _mm_castsi128_ps (_mm_loadl_epi64 ((const __m128i *) a));

  return _mm_castps_si128 (_mm_loadh_pi (low, (const __m64 *) b));
}

static inline __m256i
load_halves (const uint16_t *a, const uint16_t *b)
{
  __m128i low = _mm_loadu_si128 ((const __m128i *) a);
  __m128i high = _mm_loadu_si128 ((const __m128i *) b);

  return _mm256_inserti128_si256 (_mm256_castsi128_si256 (low), high, 1);
}

/* Sums of eight outputs of up to four taps. */
static inline __m256i
columns_quads (const uint16_t *row, const uint16_t *first, const int16_t *w)
{
  __m256i a = _mm256_inserti128_si256 (
      _mm256_castsi128_si256 (load_quads (row + first[0], row + first[1])),
      load_quads (row + first[4], row + first[5]), 1);
  __m256i b = _mm256_inserti128_si256 (
      _mm256_castsi128_si256 (load_quads (row + first[2], row + first[3])),
      load_quads (row + first[6], row + first[7]), 1);

  return _mm256_hadd_epi32 (
      _mm256_madd_epi16 (a, load (w)), _mm256_madd_epi16 (b, load (w + 16)));
}

/* Sums of eight outputs of @chunks times eight taps. */
static inline __m256i
columns_chunks (
    const uint16_t *row, const uint16_t *first, const int16_t *w, int chunks)
{
  __m256i sum[4];

#pragma GCC unroll 4
  for (int j = 0; j < 4; j++)
    sum[j] = _mm256_madd_epi16 (
        load_halves (row + first[j], row + first[j + 4]), load (w + 16 * j));
  for (int c = 1; c < chunks; c++)
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++)
      sum[j] = _mm256_add_epi32 (sum[j],
          _mm256_madd_epi16 (
              load_halves (row + first[j] + 8 * c, row + first[j + 4] + 8 * c),
              load (w + 64 * c + 16 * j)));
  return _mm256_hadd_epi32 (
      _mm256_hadd_epi32 (sum[0], sum[1]), _mm256_hadd_epi32 (sum[2], sum[3]));
}

/* Eight sums divided, to bytes. */
static inline void
store_divided (const Plan *p, __m256i sum, uint8_t *dst)
{
  const __m256i multiplier = _mm256_set1_epi32 ((int) p->multiplier);
  const __m128i shift = _mm_cvtsi32_si128 (p->shift);
  __m256i n = _mm256_add_epi32 (sum, _mm256_set1_epi32 ((int) p->half));
  __m256i even = _mm256_srl_epi64 (_mm256_mul_epu32 (n, multiplier), shift);
  __m256i odd = _mm256_srl_epi64 (
      _mm256_mul_epu32 (_mm256_srli_epi64 (n, 32), multiplier), shift);
  __m256i q = _mm256_or_si256 (even, _mm256_slli_epi64 (odd, 32));
  __m128i words = _mm_packs_epi32 (
      _mm256_castsi256_si128 (q), _mm256_extracti128_si256 (q, 1));

  _mm_storel_epi64 ((__m128i *) dst, _mm_packus_epi16 (words, words));
}

/* Inlined with a constant kind of sum. */
static inline __attribute__ ((always_inline)) void
sum_columns (const Plan *p, const QfScaleAxis *x, const uint16_t *row,
    size_t high, int chunks, uint8_t *dst)
{
  const int16_t *w =
      (const int16_t *) (const void *) ((const uint8_t *) p + p->columns);
  int groups = (x->dst + OUTS - 1) / OUTS;

  for (int g = 0; g < groups; g++, w += OUTS * (chunks ? 8 * chunks : 4)) {
    int out = group_start (x, g);
    const uint16_t *first = x->first + out;
    __m256i sum = chunks ? columns_chunks (row, first, w, chunks)
                         : columns_quads (row, first, w);

    if (high) {
      __m256i rest = chunks ? columns_chunks (row + high, first, w, chunks)
                            : columns_quads (row + high, first, w);

      sum = _mm256_add_epi32 (sum, _mm256_slli_epi32 (rest, 15));
    }
    store_divided (p, sum, dst + out);
  }
}

static void
columns (const Plan *p, const QfScaleAxis *x, const uint16_t *row, size_t high,
    uint8_t *dst)
{
  if (p->kind == ROWS_WIDE)
    sum_columns (p, x, row, high, p->chunks, dst);
  else if (p->chunks == 0)
    sum_columns (p, x, row, 0, 0, dst);
  else if (p->chunks == 1)
    sum_columns (p, x, row, 0, 1, dst);
  else
    sum_columns (p, x, row, 0, p->chunks, dst);
}

void
qf_scale_u8_avx2 (const QfScale *s, const void *packed, const uint8_t *src,
    ptrdiff_t src_stride, uint8_t *dst, ptrdiff_t dst_stride, int row0,
    int row1, void *scratch)
{
  const Plan *p = packed;
  const uint32_t *w =
      (const uint32_t *) (const void *) ((const uint8_t *) packed + p->rows);
  const uint16_t *count = (const uint16_t *) (w + (size_t) s->y.dst * p->pairs);
  uint16_t *row = scratch;
  size_t high = row_size (s);

  if (p->kind == ROWS_REFERENCE) {
    QF_T (scale_u8)
    (s, packed, src, src_stride, dst, dst_stride, row0, row1, scratch);
    return;
  }
  memset (row + s->x.src, 0, OUTS * sizeof *row);
  memset (row + high + s->x.src, 0, OUTS * sizeof *row);
  for (int i = row0; i < row1; i++, dst += dst_stride) {
    sum_rows (p, src + (s->y.first[i] - s->y.first[row0]) * src_stride,
        src_stride, w + (size_t) i * p->pairs, count[i], s->x.src, row, high);
    columns (p, &s->x, row, high, dst);
  }
}
