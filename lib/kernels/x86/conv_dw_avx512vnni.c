/* libqfuse: int8 depthwise convolution, 3x3, AVX-512 VNNI.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Input rows are taken four by four, their bytes interleaved in a strip with
 * its borders made of x_zero, so that one vpdpbusd has a column of a window for
 * sixteen channels. With stride 1 the same vectors make two output rows, with
 * the taps 0, 1, 2, – and –, 0, 1, 2. Codes are taken as they are: sums start
 * from bias − x_zero · Σw. Exact: docs/numerics.md (17).
 *
 * Vector instructions for sixteen outputs, stride 1: 3 vpdpbusd, 3 to real and
 * back, 2 to codes and 1.5 to interleave; 0.75 loads of the strip. With two
 * ports for them that is 4.75 cycles. */
#include "kernels/x86/avx512vnni.h"
#include "kernels/x86/conv.h"

enum
{
  VECTORS = 6,                    /* of weights: two output rows, 3 columns */
  BLOCK = VECTORS * QF_LANES * 4, /* bytes of one block's weights */
  CHUNK = 4,                      /* blocks taken together */
  CHUNK_CHANNELS = CHUNK * QF_LANES,
  STRIP = 64 /* output columns taken together, for the nearest cache */
};

int
qf_conv_dw_avx512vnni_can (const QfConvShape *s)
{
  return s->groups == s->in_c && s->groups == s->out_c && s->in_c >= QF_LANES &&
      s->kernel_h == 3 && s->kernel_w == 3 && s->dilation_h == 1 &&
      s->dilation_w == 1 && s->stride_w <= 2 && s->stride_h == s->stride_w;
}

static int
n_blocks (const QfConvShape *s)
{
  return (s->in_c + QF_LANES - 1) / QF_LANES;
}

/* First channel of block @b: the last one overlaps where channels do not fill
 * it. */
static int
first_channel (const QfConvShape *s, int b)
{
  int c = b * QF_LANES;

  return c + QF_LANES <= s->in_c ? c : s->in_c - QF_LANES;
}

/* [block][2 rows of outputs][3 columns][lane][4] int8, then [block][lane] sums
 * of weights. */
size_t
qf_conv_dw_avx512vnni_packed_size (const QfConvShape *s)
{
  return (size_t) n_blocks (s) * (BLOCK + QF_LANES * 4);
}

void
qf_conv_dw_avx512vnni_pack (const QfConvShape *s, const int8_t *w, void *packed)
{
  int8_t *p = packed;
  int32_t *sums = (int32_t *) (p + (size_t) n_blocks (s) * BLOCK);

  memset (packed, 0, qf_conv_dw_avx512vnni_packed_size (s));
  for (int b = 0; b < n_blocks (s); b++)
    for (int j = 0; j < QF_LANES; j++) {
      const int8_t *from = w + (size_t) (first_channel (s, b) + j) * 9;

      for (int i = 0; i < 9; i++) {
        int8_t *to = p + (size_t) b * BLOCK +
            (size_t) ((i % 3) * QF_LANES + j) * 4 + i / 3;

        to[0] = to[3 * QF_LANES * 4 + 1] = from[i];
        sums[(size_t) b * QF_LANES + j] += from[i];
      }
    }
}

/* Bytes of four interleaved rows of a strip. Groups of four windows may read up
 * to three windows beyond the last. */
static size_t
quad_size (const QfConvShape *s)
{
  size_t width = s->out_w < STRIP ? (size_t) s->out_w : STRIP;
  size_t channels =
      s->in_c < CHUNK_CHANNELS ? (size_t) s->in_c : CHUNK_CHANNELS;

  return ((width + 3) * s->stride_w + 3) * channels * 4;
}

/* Four rows, and a row of x_zero. */
size_t
qf_conv_dw_avx512vnni_scratch_size (const QfConvShape *s)
{
  return quad_size (s) + (size_t) s->in_w * (size_t) s->in_c;
}

/* Not into channels where the last block overlaps the one before. */
void
qf_conv_dw_avx512vnni_grain (const QfConvShape *s, int *rows, int *channels)
{
  *rows = s->stride_h == 1 ? 2 : 1;
  *channels = s->in_c % QF_LANES == 0 ? CHUNK_CHANNELS : 0;
}

/* What one call works on, and within it one strip of a chunk. */
typedef struct
{
  const QfConvShape *s;
  const uint8_t *x;
  int x_zero;
  const uint8_t *border; /* a row of x_zero */
  QfConvOut out;
  QfCodes codes;
  const int8_t *w; /* of the chunk's first block */
  const int32_t *w_sums;
  int row0;
  int first, channels; /* of the chunk */
  int ox, n;           /* of the strip */
} Job;

/* Sixty-four bytes of each row. The dwords of rows are first dealt to the
 * vectors' quarters, so that what is unpacked is in order. */
static inline void
interleave_64 (const uint8_t *const *row, size_t i, uint8_t *to)
{
  const __m512i deal =
      _mm512_setr_epi32 (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m512i a = _mm512_permutexvar_epi32 (deal, qf_load (row[0] + i));
  __m512i b = _mm512_permutexvar_epi32 (deal, qf_load (row[1] + i));
  __m512i c = _mm512_permutexvar_epi32 (deal, qf_load (row[2] + i));
  __m512i d = _mm512_permutexvar_epi32 (deal, qf_load (row[3] + i));
  __m512i ab = _mm512_unpacklo_epi8 (a, b), cd = _mm512_unpacklo_epi8 (c, d);
  __m512i AB = _mm512_unpackhi_epi8 (a, b), CD = _mm512_unpackhi_epi8 (c, d);

  _mm512_storeu_si512 (to, _mm512_unpacklo_epi16 (ab, cd));
  _mm512_storeu_si512 (to + 64, _mm512_unpackhi_epi16 (ab, cd));
  _mm512_storeu_si512 (to + 128, _mm512_unpacklo_epi16 (AB, CD));
  _mm512_storeu_si512 (to + 192, _mm512_unpackhi_epi16 (AB, CD));
}

static inline void
interleave_16 (const uint8_t *const *row, size_t i, uint8_t *to)
{
  __m128i a = _mm_loadu_si128 ((const __m128i *) (row[0] + i));
  __m128i b = _mm_loadu_si128 ((const __m128i *) (row[1] + i));
  __m128i c = _mm_loadu_si128 ((const __m128i *) (row[2] + i));
  __m128i d = _mm_loadu_si128 ((const __m128i *) (row[3] + i));
  __m128i ab = _mm_unpacklo_epi8 (a, b), cd = _mm_unpacklo_epi8 (c, d);
  __m128i AB = _mm_unpackhi_epi8 (a, b), CD = _mm_unpackhi_epi8 (c, d);
  __m128i *v = (__m128i *) to;

  _mm_storeu_si128 (v, _mm_unpacklo_epi16 (ab, cd));
  _mm_storeu_si128 (v + 1, _mm_unpackhi_epi16 (ab, cd));
  _mm_storeu_si128 (v + 2, _mm_unpacklo_epi16 (AB, CD));
  _mm_storeu_si128 (v + 3, _mm_unpackhi_epi16 (AB, CD));
}

/* @n bytes of each of four rows. */
static void
interleave (const uint8_t *const *row, size_t n, uint8_t *to)
{
  size_t i = 0;

  for (; i + 64 <= n; i += 64)
    interleave_64 (row, i, to + 4 * i);
  for (; i + 16 <= n; i += 16)
    interleave_16 (row, i, to + 4 * i);
  for (; i < n; i++)
    for (int r = 0; r < 4; r++)
      to[4 * i + r] = row[r][i];
}

/* Input rows @iy … @iy + 3 of the strip; of stride 2 the last counts nothing.
 */
static void
fill_quad (const Job *j, int iy, uint8_t *to)
{
  const QfConvShape *s = j->s;
  int n = (j->n - 1) * s->stride_w + 3, ix = j->ox * s->stride_w - s->pad_left;
  int left = ix < 0 ? -ix : 0, right = ix + n > s->in_w ? ix + n - s->in_w : 0;
  size_t c = (size_t) j->channels, in_row = (size_t) s->in_w * s->in_c;
  const uint8_t *row[4];

  left = left < n ? left : n;
  right = right < n - left ? right : n - left;
  memset (to, j->x_zero, (size_t) left * c * 4);
  memset (to + (size_t) (n - right) * c * 4, j->x_zero, (size_t) right * c * 4);
  if (left + right == n)
    return;
  for (int i = 0; i < 4; i++)
    row[i] =
        (iy + i < 0 || iy + i >= s->in_h ? j->border
                                         : j->x + (size_t) (iy + i) * in_row) +
        (size_t) (ix + left) * s->in_c + j->first;
  to += (size_t) left * c * 4;
  n -= left + right;
  if (j->channels == s->in_c) {
    interleave (row, (size_t) n * c, to);
    return;
  }
  if (j->channels == CHUNK_CHANNELS) {
    for (int i = 0; i < n; i++, to += 4 * CHUNK_CHANNELS)
      interleave_64 (row, (size_t) i * s->in_c, to);
    return;
  }
  for (int i = 0; i < n; i++, to += 4 * c) {
    interleave (row, c, to);
    for (int r = 0; r < 4; r++)
      row[r] += s->in_c;
  }
}

typedef struct
{
  QfVec v[2][4]; /* [row][window] */
} Sums;

/* What column @x gives to window @i. */
#define WINDOW(i)                                                              \
  kx = x - (i) *stride;                                                        \
  if (kx >= 0 && kx < 3) {                                                     \
    a##i = qf_dot (a##i, v, w[kx]);                                            \
    if (rows > 1)                                                              \
      b##i = qf_dot (b##i, v, w[3 + kx]);                                      \
  }

/* Four windows of one output row, or of two (@rows), of sixteen channels. @q:
 * the rows, @step bytes from column to column. */
static inline __attribute__ ((always_inline)) Sums
windows (const uint8_t *q, size_t step, const QfVec *w, QfVec start, int stride,
    int rows)
{
  QfVec a0 = start, a1 = start, a2 = start, a3 = start;
  QfVec b0 = start, b1 = start, b2 = start, b3 = start;

#pragma GCC unroll 9
  for (int x = 0; x < 3 * stride + 3; x++) {
    QfVec v = qf_load (q + (size_t) x * step);
    int kx;

    WINDOW (0)
    WINDOW (1)
    WINDOW (2)
    WINDOW (3)
  }
  return (Sums){ { { a0, a1, a2, a3 }, { b0, b1, b2, b3 } } };
}
#undef WINDOW

/* @n ≤ 4 windows' sums of sixteen channels from element @at of the output on.
 */
static inline __attribute__ ((always_inline)) void
put (const QfConvOut *out, const QfCodes *k, __m512 mult, const QfVec *sums,
    int n, size_t at, size_t step)
{
  if (out->acc) {
    for (int i = 0; i < n; i++)
      _mm512_storeu_si512 (out->acc + at + (size_t) i * step, sums[i]);
    return;
  }
  qf_store_codes_4 (out->y + at, step,
      qf_codes (k, qf_scale (sums[0], mult), qf_scale (sums[1], mult),
          qf_scale (sums[2], mult), qf_scale (sums[3], mult)),
      n, QF_LANES);
}

/* The strip in output row @oy and, where @rows is 2, the one below: block @b of
 * the chunk, whose first channel is @c. */
static inline __attribute__ ((always_inline)) void
line (
    const Job *j, const uint8_t *q, int oy, int b, int c, int stride, int rows)
{
  const QfConvShape *s = j->s;
  const int8_t *packed = j->w + (size_t) b * BLOCK;
  QfConvOut out = j->out;
  QfCodes k = j->codes;
  size_t step = (size_t) j->channels * 4, to_step = (size_t) s->out_c;
  size_t below = (size_t) s->out_w * to_step;
  size_t at = (size_t) (oy - j->row0) * below + (size_t) j->ox * to_step + c;
  int left = j->n;
  __m512 mult = _mm512_setzero_ps ();
  QfVec w[VECTORS];
  QfVec start = _mm512_mullo_epi32 (qf_load (j->w_sums + (size_t) b * QF_LANES),
      _mm512_set1_epi32 (-j->x_zero));

#pragma GCC unroll 6
  for (int i = 0; i < VECTORS; i++)
    w[i] = qf_load (packed + (size_t) i * QF_LANES * 4);
  if (out.r) {
    mult = _mm512_loadu_ps (out.r->mult + c);
    if (out.r->bias)
      start = _mm512_add_epi32 (start, qf_load (out.r->bias + c));
  }
  q += 4 * (c - j->first);
  for (; left >= 4; left -= 4) {
    Sums sums = windows (q, step, w, start, stride, rows);

    put (&out, &k, mult, sums.v[0], 4, at, to_step);
    if (rows > 1)
      put (&out, &k, mult, sums.v[1], 4, at + below, to_step);
    q += 4 * (size_t) stride * step;
    at += 4 * to_step;
  }
  if (left > 0) {
    Sums sums = windows (q, step, w, start, stride, rows);

    put (&out, &k, mult, sums.v[0], left, at, to_step);
    if (rows > 1)
      put (&out, &k, mult, sums.v[1], left, at + below, to_step);
  }
}

/* All rows of one strip of a chunk of @blocks blocks from block @b0 on. */
static void
strip (const Job *j, int b0, int blocks, int row1, uint8_t *quad)
{
  const QfConvShape *s = j->s;

  for (int oy = j->row0; oy < row1; oy += s->stride_h == 1 ? 2 : 1) {
    fill_quad (j, oy * s->stride_h - s->pad_top, quad);
    for (int b = 0; b < blocks; b++) {
      int c = first_channel (s, b0 + b);

      if (s->stride_h == 2)
        line (j, quad, oy, b, c, 2, 1);
      else if (oy + 1 < row1)
        line (j, quad, oy, b, c, 1, 2);
      else
        line (j, quad, oy, b, c, 1, 1);
    }
  }
}

void
qf_conv_dw_avx512vnni (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch)
{
  int all = n_blocks (s), last = (out.c1 + QF_LANES - 1) / QF_LANES;
  const int8_t *w = packed;
  const int32_t *sums = (const int32_t *) (w + (size_t) all * BLOCK);
  uint8_t *border = (uint8_t *) scratch + quad_size (s);
  Job j = {
    .s = s, .x = x, .x_zero = x_zero, .border = border, .out = out, .row0 = row0
  };

  if (out.r)
    j.codes = qf_codes_new (out.r);
  memset (border, x_zero, (size_t) s->in_w * s->in_c);
  for (int b = out.c0 / QF_LANES; b < last; b += CHUNK) {
    int blocks = last - b < CHUNK ? last - b : CHUNK;

    j.first = first_channel (s, b);
    j.channels = first_channel (s, b + blocks - 1) + QF_LANES - j.first;
    j.w = w + (size_t) b * BLOCK;
    j.w_sums = sums + (size_t) b * QF_LANES;
    for (j.ox = 0; j.ox < s->out_w; j.ox += STRIP) {
      j.n = s->out_w - j.ox < STRIP ? s->out_w - j.ox : STRIP;
      strip (&j, b, blocks, row1, scratch);
    }
  }
}
