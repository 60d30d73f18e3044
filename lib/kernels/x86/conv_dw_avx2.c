/* libqfuse: int8 depthwise convolution, 3x3, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Eight channels at a time along a row. Two taps share one vpmaddwd: those of
 * rows 0 and 1 in each column, then those of row 2 in columns 0 and 1; the last
 * has weight 0 beside it. What a column gives stays in registers for the next
 * windows. Codes are taken as they are: sums start from bias − x_zero · Σw, and
 * borders are made of x_zero. Exact: docs/numerics.md (15). */
#include "kernels/x86/avx2.h"
#include "kernels/x86/conv.h"

enum
{
  LANES = 8,
  PAIRS = 5,
  BLOCK = PAIRS * 2 * LANES /* int16 elements of one block's weights */
};

/* One block of channels in one output row. */
typedef struct
{
  const uint8_t *row[3];
  const uint8_t *border; /* LANES bytes of x_zero */
  int in_w, stride, pad;
  size_t pixel; /* bytes from one pixel to the next, in and out */
  __m256i w[PAIRS];
  __m256i start;
  __m256 mult;
} Line;

int
qf_conv_dw_avx2_can (const QfConvShape *s)
{
  return s->groups == s->in_c && s->groups == s->out_c && s->in_c >= LANES &&
      s->kernel_h == 3 && s->kernel_w == 3 && s->dilation_h == 1 &&
      s->dilation_w == 1 && s->stride_w <= 2;
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

/* [block][PAIRS][LANES][2] int16, then [block][LANES] sums of weights. */
size_t
qf_conv_dw_avx2_packed_size (const QfConvShape *s)
{
  return (size_t) n_blocks (s) * (BLOCK * 2 + LANES * 4);
}

void
qf_conv_dw_avx2_pack (const QfConvShape *s, const int8_t *w, void *packed)
{
  static const int8_t tap[PAIRS][2] = { { 0, 3 }, { 1, 4 }, { 2, 5 }, { 6, 7 },
    { 8, -1 } };
  int16_t *p = packed;
  int32_t *sums = (int32_t *) (p + (size_t) n_blocks (s) * BLOCK);

  for (int b = 0; b < n_blocks (s); b++)
    for (int j = 0; j < LANES; j++) {
      const int8_t *from = w + (size_t) (first_channel (s, b) + j) * 9;
      int32_t sum = 0;

      for (int i = 0; i < PAIRS; i++)
        for (int h = 0; h < 2; h++)
          p[(size_t) b * BLOCK + (size_t) (i * LANES + j) * 2 + h] =
              tap[i][h] < 0 ? 0 : from[tap[i][h]];
      for (int i = 0; i < 9; i++)
        sum += from[i];
      sums[(size_t) b * LANES + j] = sum;
    }
}

/* A row of x_zero. */
size_t
qf_conv_dw_avx2_scratch_size (const QfConvShape *s)
{
  return (size_t) s->in_w * (size_t) s->in_c;
}

/* LANES codes in both halves. */
static inline __m256i
load (const uint8_t *p)
{
  int64_t v;

  memcpy (&v, p, sizeof v);
  return _mm256_set1_epi64x (v);
}

/* [channel][a, b] in 16 bits. */
static inline __m256i
pair (__m256i a, __m256i b)
{
  const __m256i widen =
      _mm256_setr_epi8 (0, -1, 1, -1, 2, -1, 3, -1, 4, -1, 5, -1, 6, -1, 7, -1,
          8, -1, 9, -1, 10, -1, 11, -1, 12, -1, 13, -1, 14, -1, 15, -1);

  return _mm256_shuffle_epi8 (_mm256_unpacklo_epi8 (a, b), widen);
}

#define ADD(i, taps)                                                           \
  a = _mm256_add_epi32 (a, _mm256_madd_epi16 (taps, l->w[i]));                 \
  QF_PIN (a)

static inline __m256i
sum (const Line *l, __m256i c0, __m256i c1, __m256i c2, __m256i r01, __m256i r2)
{
  __m256i a = l->start;

  ADD (0, c0);
  ADD (1, c1);
  ADD (3, r01);
  ADD (2, c2);
  ADD (4, r2);
  return a;
}
#undef ADD

/* One window anywhere, borders included. */
static inline __m256i
window (const Line *l, int ox)
{
  __m256i x[3][3];

  for (int kx = 0; kx < 3; kx++) {
    int ix = ox * l->stride - l->pad + kx;

    for (int ky = 0; ky < 3; ky++)
      x[ky][kx] =
          load (ix < 0 || ix >= l->in_w ? l->border
                                        : l->row[ky] + (size_t) ix * l->pixel);
  }
  return sum (l, pair (x[0][0], x[1][0]), pair (x[0][1], x[1][1]),
      pair (x[0][2], x[1][2]), pair (x[2][0], x[2][1]),
      pair (x[2][2], x[2][2]));
}

/* Four windows inside, the first at column @ix of the input; reads columns
 * @ix … @ix + 6 (stride 1), @ix + 8 (stride 2). */
static inline void
four_windows (const Line *l, int ix, int stride, __m256i *to)
{
  const uint8_t *r0 = l->row[0] + (size_t) ix * l->pixel;
  const uint8_t *r1 = l->row[1] + (size_t) ix * l->pixel;
  const uint8_t *r2 = l->row[2] + (size_t) ix * l->pixel;
  size_t d = l->pixel;

#define COLUMN(i) pair (load (r0 + (i) *d), load (r1 + (i) *d))
#define ROW2(i) load (r2 + (i) *d)
  if (stride == 1) {
    __m256i c0 = COLUMN (0), c1 = COLUMN (1), c2, c3, c4, c5;
    __m256i x1 = ROW2 (1), x2 = ROW2 (2), x3, x4, x5, h0, h1, h2, h3, h4;

    h0 = pair (ROW2 (0), x1);
    h1 = pair (x1, x2);
    c2 = COLUMN (2);
    x3 = ROW2 (3);
    h2 = pair (x2, x3);
    to[0] = sum (l, c0, c1, c2, h0, h2);
    c3 = COLUMN (3);
    x4 = ROW2 (4);
    h3 = pair (x3, x4);
    to[1] = sum (l, c1, c2, c3, h1, h3);
    c4 = COLUMN (4);
    x5 = ROW2 (5);
    h4 = pair (x4, x5);
    to[2] = sum (l, c2, c3, c4, h2, h4);
    c5 = COLUMN (5);
    to[3] = sum (l, c3, c4, c5, h3, pair (x5, x5));
  } else {
    __m256i c0 = COLUMN (0), c1, c2, h0 = pair (ROW2 (0), ROW2 (1)), h1;

    for (int i = 0; i < 4; i++) {
      __m256i x2 = ROW2 (2 * i + 2);

      c1 = COLUMN (2 * i + 1);
      c2 = COLUMN (2 * i + 2);
      h1 = i < 3 ? pair (x2, ROW2 (2 * i + 3)) : pair (x2, x2);
      to[i] = sum (l, c0, c1, c2, h0, h1);
      c0 = c2;
      h0 = h1;
    }
  }
#undef COLUMN
#undef ROW2
}

static inline void
put (const Line *l, const QfCodesAvx2 *k, const __m256i *sums, int n,
    int32_t *acc, uint8_t *y)
{
  __m256i v[4], codes;
  int64_t eight[4];

  if (acc) {
    for (int i = 0; i < n; i++)
      _mm256_storeu_si256 ((__m256i *) (acc + (size_t) i * l->pixel), sums[i]);
    return;
  }
  for (int i = 0; i < 4; i++)
    v[i] = qf_scale_avx2 (sums[i], l->mult);
  codes = qf_codes_avx2 (k, v[0], v[1], v[2], v[3]);
  if (n == 4) {
    __m128i a = _mm256_castsi256_si128 (codes);
    __m128i b = _mm256_extracti128_si256 (codes, 1);

    _mm_storel_epi64 ((__m128i *) y, a);
    _mm_storel_epi64 (
        (__m128i *) (y + l->pixel), _mm_unpackhi_epi64 (a, a));
    _mm_storel_epi64 ((__m128i *) (y + 2 * l->pixel), b);
    _mm_storel_epi64 (
        (__m128i *) (y + 3 * l->pixel), _mm_unpackhi_epi64 (b, b));
    return;
  }
  _mm256_storeu_si256 ((__m256i *) eight, codes);
  for (int i = 0; i < n; i++)
    memcpy (y + (size_t) i * l->pixel, &eight[i], 8);
}

/* @n output pixels; @inside0 … @inside1 − 1 are those whose columns, and those
 * that four_windows() reads beside, are all in the picture. */
static inline __attribute__ ((always_inline)) void
whole_line (const Line *line, const QfCodesAvx2 *codes, int stride, int n,
    int inside0, int inside1, int32_t *acc, uint8_t *y)
{
  Line l = *line; /* so that it can stay in registers */
  QfCodesAvx2 k = *codes;

  for (int ox = 0; ox < n;) {
    __m256i sums[4];
    int m = 4;

    if (ox >= inside0 && ox + 4 <= inside1) {
      four_windows (&l, ox * stride - l.pad, stride, sums);
    } else {
      m = n - ox < 4 ? n - ox : 4;
      if (ox < inside0 && inside0 - ox < m)
        m = inside0 - ox;
      for (int i = 0; i < 4; i++)
        sums[i] = i < m ? window (&l, ox + i) : l.start;
    }
    put (&l, &k, sums, m, acc ? acc + (size_t) ox * l.pixel : NULL,
        y ? y + (size_t) ox * l.pixel : NULL);
    ox += m;
  }
}

void
qf_conv_dw_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch)
{
  int blocks = n_blocks (s), bottom = s->in_h;
  const int16_t *w = packed;
  const int32_t *sums = (const int32_t *) (w + (size_t) blocks * BLOCK);
  size_t in_row = (size_t) s->in_w * s->in_c;
  size_t out_row = (size_t) s->out_w * s->out_c;
  uint8_t border[LANES];
  int inside0 = (s->pad_left + s->stride_w - 1) / s->stride_w;
  int inside1 = (s->in_w + s->pad_left - 3) / s->stride_w + 1;
  QfCodesAvx2 k = { 0 };

  inside1 = s->in_w + s->pad_left < 3 ? 0 : inside1;
  inside1 = inside1 < s->out_w ? inside1 : s->out_w;
  if (out.r)
    k = qf_codes_avx2_new (out.r);
  memset (border, x_zero, sizeof border);
  if (row0 * s->stride_h < s->pad_top ||
      (row1 - 1) * s->stride_h - s->pad_top + 3 > bottom)
    memset (scratch, x_zero, in_row);
  for (int oy = row0; oy < row1; oy++)
    for (int b = 0; b < blocks; b++) {
      int c = first_channel (s, b);
      size_t at = (size_t) (oy - row0) * out_row + (size_t) c;
      Line l = { .border = border,
        .in_w = s->in_w,
        .stride = s->stride_w,
        .pad = s->pad_left,
        .pixel = (size_t) s->in_c };
      __m256i zero = _mm256_set1_epi32 (x_zero);

      for (int ky = 0; ky < 3; ky++) {
        int iy = oy * s->stride_h - s->pad_top + ky;

        l.row[ky] = (iy < 0 || iy >= bottom ? (const uint8_t *) scratch
                                            : x + (size_t) iy * in_row) +
            c;
      }
      for (int i = 0; i < PAIRS; i++)
        l.w[i] = _mm256_loadu_si256 (
            (const __m256i *) (w + (size_t) b * BLOCK + i * 2 * LANES));
      l.start = _mm256_loadu_si256 ((const __m256i *) (sums + b * LANES));
      l.start = _mm256_sub_epi32 (
          _mm256_setzero_si256 (), _mm256_mullo_epi32 (l.start, zero));
      if (out.acc) {
        whole_line (&l, &k, s->stride_w, s->out_w, inside0, inside1,
            out.acc + at, NULL);
        continue;
      }
      l.mult = _mm256_loadu_ps (out.r->mult + c);
      if (out.r->bias)
        l.start = _mm256_add_epi32 (
            l.start, _mm256_loadu_si256 ((const __m256i *) (out.r->bias + c)));
      if (s->stride_w == 1)
        whole_line (&l, &k, 1, s->out_w, inside0, inside1, NULL, out.y + at);
      else
        whole_line (&l, &k, 2, s->out_w, inside0, inside1, NULL, out.y + at);
    }
}
