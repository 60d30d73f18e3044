/* libqfuse: int8 depthwise convolution, 3x3, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Input rows are taken two by two, their bytes interleaved in a strip with its
 * borders made of x_zero, so that one vpmaddwd has two taps of eight channels:
 * rows 0 and 1 of a window, then row 2 beside a weight of 0. With stride 1 the
 * same vectors also make the output row below, with taps 0 | 1, 2. Codes are
 * taken as they are: sums start from bias − x_zero · Σw. Exact:
 * docs/numerics.md (15). */
#include "kernels/x86/avx2.h"
#include "kernels/x86/conv.h"

enum
{
  LANES = 8,
  PER_COLUMN = 4, /* vectors of weights: two rows of outputs, two of inputs */
  VECTORS = 3 * PER_COLUMN,
  BLOCK = VECTORS * 2 * LANES, /* int16 elements of one block's weights */
  CHUNK = 8,  /* blocks taken together, for the nearest cache */
  STRIP = 128 /* output columns, the same */
};

int
qf_conv_dw_avx2_can (const QfConvShape *s)
{
  return s->groups == s->in_c && s->groups == s->out_c && s->in_c >= LANES &&
      s->kernel_h == 3 && s->kernel_w == 3 && s->dilation_h == 1 &&
      s->dilation_w == 1 && s->stride_w <= 2 && s->stride_h == s->stride_w;
}

static int
n_blocks (const QfConvShape *s)
{
  return (s->in_c + LANES - 1) / LANES;
}

/* First channel of block @b: the last one overlaps where channels do not fill
 * it. */
static int
first_channel (const QfConvShape *s, int b)
{
  int c = b * LANES;

  return c + LANES <= s->in_c ? c : s->in_c - LANES;
}

/* [block][3 columns][4][LANES][2] int16, then [block][LANES] sums of weights.
 */
size_t
qf_conv_dw_avx2_packed_size (const QfConvShape *s)
{
  return (size_t) n_blocks (s) * (BLOCK * 2 + LANES * 4);
}

void
qf_conv_dw_avx2_pack (const QfConvShape *s, const int8_t *w, void *packed)
{
  static const int8_t row[PER_COLUMN][2] = { { 0, 1 }, { 2, -1 }, { -1, 0 },
    { 1, 2 } };
  int16_t *p = packed;
  int32_t *sums = (int32_t *) (p + (size_t) n_blocks (s) * BLOCK);

  for (int b = 0; b < n_blocks (s); b++)
    for (int j = 0; j < LANES; j++) {
      const int8_t *from = w + (size_t) (first_channel (s, b) + j) * 9;
      int32_t sum = 0;

      for (int i = 0; i < VECTORS; i++)
        for (int h = 0; h < 2; h++) {
          int ky = row[i % PER_COLUMN][h];

          p[(size_t) b * BLOCK + (size_t) (i * LANES + j) * 2 + h] =
              ky < 0 ? 0 : from[3 * ky + i / PER_COLUMN];
        }
      for (int i = 0; i < 9; i++)
        sum += from[i];
      sums[(size_t) b * LANES + j] = sum;
    }
}

/* Bytes of two interleaved rows of a strip. Groups of four windows may read up
 * to three windows beyond the last. */
static size_t
pair_size (const QfConvShape *s)
{
  size_t width = s->out_w < STRIP ? (size_t) s->out_w : STRIP;

  return ((width + 3) * s->stride_w + 3) * CHUNK * LANES * 2;
}

/* Two pairs of rows, and a row of x_zero. */
size_t
qf_conv_dw_avx2_scratch_size (const QfConvShape *s)
{
  return 2 * pair_size (s) + (size_t) s->in_w * (size_t) s->in_c;
}

/* Not into channels where the last block overlaps the one before. */
void
qf_conv_dw_avx2_grain (const QfConvShape *s, int *rows, int *channels)
{
  *rows = s->stride_h == 1 ? 2 : 1;
  *channels = s->in_c % LANES == 0 ? CHUNK * LANES : 0;
}

/* What one call works on, and within it one strip of a chunk. */
typedef struct
{
  const QfConvShape *s;
  const uint8_t *x;
  int x_zero;
  const uint8_t *border; /* a row of x_zero */
  QfConvOut out;
  QfCodesAvx2 codes;
  const int16_t *w; /* of the chunk's first block */
  const int32_t *w_sums;
  int row0;
  int first, channels; /* of the chunk */
  int ox, n;           /* of the strip */
} Job;

static void
interleave (const uint8_t *a, const uint8_t *b, size_t n, uint8_t *to)
{
  size_t i = 0;

  for (; i + 32 <= n; i += 32) {
    __m256i va = _mm256_loadu_si256 ((const __m256i *) (a + i));
    __m256i vb = _mm256_loadu_si256 ((const __m256i *) (b + i));
    __m256i low = _mm256_unpacklo_epi8 (va, vb);
    __m256i high = _mm256_unpackhi_epi8 (va, vb);

    _mm256_storeu_si256 (
        (__m256i *) (to + 2 * i), _mm256_permute2x128_si256 (low, high, 0x20));
    _mm256_storeu_si256 ((__m256i *) (to + 2 * i + 32),
        _mm256_permute2x128_si256 (low, high, 0x31));
  }
  for (; i + 8 <= n; i += 8)
    _mm_storeu_si128 ((__m128i *) (to + 2 * i),
        _mm_unpacklo_epi8 (_mm_loadl_epi64 ((const __m128i *) (a + i)),
            _mm_loadl_epi64 ((const __m128i *) (b + i))));
  for (; i < n; i++) {
    to[2 * i] = a[i];
    to[2 * i + 1] = b[i];
  }
}

/* Input rows @iy and @iy + 1 of the strip. */
static void
fill_pair (const Job *j, int iy, uint8_t *to)
{
  const QfConvShape *s = j->s;
  int n = (j->n - 1) * s->stride_w + 3, ix = j->ox * s->stride_w - s->pad_left;
  int left = ix < 0 ? -ix : 0, right = ix + n > s->in_w ? ix + n - s->in_w : 0;
  size_t c = (size_t) j->channels, in_row = (size_t) s->in_w * s->in_c;
  const uint8_t *row[2];

  left = left < n ? left : n;
  right = right < n - left ? right : n - left;
  for (int i = 0; i < 2; i++)
    row[i] =
        (iy + i < 0 || iy + i >= s->in_h ? j->border
                                         : j->x + (size_t) (iy + i) * in_row) +
        j->first;
  memset (to, j->x_zero, (size_t) left * c * 2);
  memset (to + (size_t) (n - right) * c * 2, j->x_zero, (size_t) right * c * 2);
  if (left + right == n)
    return;
  to += (size_t) left * c * 2;
  for (int i = 0; i < 2; i++)
    row[i] += (size_t) (ix + left) * s->in_c;
  n -= left + right;
  if (j->channels == s->in_c) {
    interleave (row[0], row[1], (size_t) n * c, to);
    return;
  }
  for (int i = 0; i < n; i++, to += 2 * c)
    interleave (
        row[0] + (size_t) i * s->in_c, row[1] + (size_t) i * s->in_c, c, to);
}

typedef struct
{
  __m256i v[2][4]; /* [row][window] */
} Sums;

#define ADD(sum, x, i)                                                         \
  QF_ADD32 (sum,                                                               \
      _mm256_madd_epi16 (                                                      \
          x, _mm256_loadu_si256 ((const __m256i *) (w + (i) *2 * LANES))))

/* What column @x gives to window @i. */
#define WINDOW(i)                                                              \
  kx = x - (i) *stride;                                                        \
  if (i < n && kx >= 0 && kx < 3) {                                            \
    ADD (a##i, vp, PER_COLUMN *kx);                                            \
    ADD (a##i, vq, PER_COLUMN *kx + 1);                                        \
    if (rows > 1) {                                                            \
      ADD (b##i, vp, PER_COLUMN *kx + 2);                                      \
      ADD (b##i, vq, PER_COLUMN *kx + 3);                                      \
    }                                                                          \
  }

/* @n windows of one output row, or of two (@rows), of eight channels. @p, @q:
 * the upper and the lower pair of rows, @step bytes from column to column. */
static inline __attribute__ ((always_inline)) Sums
windows (const uint8_t *p, const uint8_t *q, size_t step, const int16_t *w,
    __m256i start, int stride, int rows, int n)
{
  __m256i a0 = start, a1 = start, a2 = start, a3 = start;
  __m256i b0 = start, b1 = start, b2 = start, b3 = start;

#pragma GCC unroll 9
  for (int x = 0; x < (n - 1) * stride + 3; x++) {
    __m256i vp = _mm256_cvtepu8_epi16 (
        _mm_loadu_si128 ((const __m128i *) (p + (size_t) x * step)));
    __m256i vq = _mm256_cvtepu8_epi16 (
        _mm_loadu_si128 ((const __m128i *) (q + (size_t) x * step)));
    int kx;

    WINDOW (0)
    WINDOW (1)
    WINDOW (2)
    WINDOW (3)
  }
  return (Sums){ { { a0, a1, a2, a3 }, { b0, b1, b2, b3 } } };
}
#undef WINDOW
#undef ADD

/* @n ≤ 4 windows' sums of eight channels from element @at of the output on. */
static inline __attribute__ ((always_inline)) void
put (const QfConvOut *out, const QfCodesAvx2 *k, __m256 mult,
    const __m256i *sums, int n, size_t at, size_t step)
{
  __m256i v[4], codes;
  uint8_t *y = out->y + at;
  int64_t eight[4];

  if (out->acc) {
    for (int i = 0; i < n; i++)
      _mm256_storeu_si256 (
          (__m256i *) (out->acc + at + (size_t) i * step), sums[i]);
    return;
  }
  for (int i = 0; i < 4; i++)
    v[i] = qf_scale_avx2 (sums[i], mult);
  codes = qf_codes_avx2 (k, v[0], v[1], v[2], v[3]);
  if (n == 4) {
    qf_store_quarters (y, step, codes);
    return;
  }
  _mm256_storeu_si256 ((__m256i *) eight, codes);
  for (int i = 0; i < n; i++)
    memcpy (y + (size_t) i * step, &eight[i], 8);
}

/* The strip in output row @oy and, where @rows is 2, the one below: block @b of
 * the chunk, whose first channel is @c. */
static inline __attribute__ ((always_inline)) void
line (const Job *j, const uint8_t *p, const uint8_t *q, int oy, int b, int c,
    int stride, int rows)
{
  const QfConvShape *s = j->s;
  const int16_t *w = j->w + (size_t) b * BLOCK;
  QfConvOut out = j->out;
  QfCodesAvx2 k = j->codes;
  size_t step = (size_t) j->channels * 2, to_step = (size_t) s->out_c;
  size_t below = (size_t) s->out_w * to_step;
  size_t at = (size_t) (oy - j->row0) * below + (size_t) j->ox * to_step + c;
  __m256 mult = _mm256_setzero_ps ();
  __m256i start = _mm256_mullo_epi32 (
      _mm256_loadu_si256 ((const __m256i *) (j->w_sums + (size_t) b * LANES)),
      _mm256_set1_epi32 (-j->x_zero));

  p += 2 * (c - j->first);
  q += 2 * (c - j->first);
  if (out.r) {
    mult = _mm256_loadu_ps (out.r->mult + c);
    if (out.r->bias)
      start = _mm256_add_epi32 (
          start, _mm256_loadu_si256 ((const __m256i *) (out.r->bias + c)));
  }
  for (int left = j->n; left > 0; left -= 4) {
    int n = left < 4 ? left : 4;
    Sums sums = windows (p, q, step, w, start, stride, rows, 4);

    put (&out, &k, mult, sums.v[0], n, at, to_step);
    if (rows > 1)
      put (&out, &k, mult, sums.v[1], n, at + below, to_step);
    p += 4 * (size_t) stride * step;
    q += 4 * (size_t) stride * step;
    at += 4 * to_step;
  }
}

/* All rows of one strip of a chunk of @blocks blocks from block @b0 on. */
static void
strip (const Job *j, int b0, int blocks, int row1, uint8_t *pairs)
{
  const QfConvShape *s = j->s;
  uint8_t *p = pairs, *q = pairs + pair_size (s);
  int iy = j->row0 * s->stride_h - s->pad_top;

  fill_pair (j, iy, p);
  for (int oy = j->row0; oy < row1; oy += s->stride_h == 1 ? 2 : 1) {
    uint8_t *t = p;

    fill_pair (j, iy + 2, q);
    for (int b = 0; b < blocks; b++) {
      int c = first_channel (s, b0 + b);

      if (s->stride_h == 2)
        line (j, p, q, oy, b, c, 2, 1);
      else if (oy + 1 < row1)
        line (j, p, q, oy, b, c, 1, 2);
      else
        line (j, p, q, oy, b, c, 1, 1);
    }
    p = q;
    q = t;
    iy += 2;
  }
}

void
qf_conv_dw_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch)
{
  int all = n_blocks (s), last = (out.c1 + LANES - 1) / LANES;
  const int16_t *w = packed;
  const int32_t *sums = (const int32_t *) (w + (size_t) all * BLOCK);
  uint8_t *border = (uint8_t *) scratch + 2 * pair_size (s);
  Job j = {
    .s = s, .x = x, .x_zero = x_zero, .border = border, .out = out, .row0 = row0
  };

  if (out.r)
    j.codes = qf_codes_avx2_new (out.r);
  memset (border, x_zero, (size_t) s->in_w * s->in_c);
  for (int b = out.c0 / LANES; b < last; b += CHUNK) {
    int blocks = last - b < CHUNK ? last - b : CHUNK;

    j.first = first_channel (s, b);
    j.channels = first_channel (s, b + blocks - 1) + LANES - j.first;
    j.w = w + (size_t) b * BLOCK;
    j.w_sums = sums + (size_t) b * LANES;
    for (j.ox = 0; j.ox < s->out_w; j.ox += STRIP) {
      j.n = s->out_w - j.ox < STRIP ? s->out_w - j.ox : STRIP;
      strip (&j, b, blocks, row1, scratch);
    }
  }
}
