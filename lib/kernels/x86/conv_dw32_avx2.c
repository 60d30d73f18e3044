/* libqfuse: int8 depthwise convolution, 3x3, 32 channels at a time, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Input rows are taken two by two, so that one vpmaddwd has two taps of eight
 * channels: rows 0 and 1 of a window, then row 2 beside a weight of 0. With
 * stride 1 the same pairs also make the output row below, with taps 0 | 1, 2,
 * and along the row Winograd's F(2, 3) makes two outputs of four products
 * instead of six. What is multiplied is laid out once for all of them, and the
 * weights of eight channels stay in registers along a strip. Exact:
 * docs/numerics.md (15), (19). */
#include "kernels/x86/avx2.h"
#include "kernels/x86/conv.h"

enum
{
  LANES = 8,
  SUBS = 4, /* vectors of 32 channels */
  BLOCK_C = SUBS * LANES,
  CHUNK = 2,  /* blocks taken together: a line of the cache */
  STRIP = 16, /* output columns, so that two pairs of rows stay near */
  /* of one sub-block: [row][product][pair] or [column][pair] */
  WEIGHTS_1 = 2 * 4 * 2,
  WEIGHTS_2 = 3 * 2,
  COLUMNS_2 = STRIP * 2 + 1, /* of the input */
  ALIGN = 64
};

int
qf_conv_dw32_avx2_can (const QfConvShape *s)
{
  return qf_conv_dw_avx2_can (s) && s->in_c >= BLOCK_C;
}

static int
n_blocks (const QfConvShape *s)
{
  return (s->in_c + BLOCK_C - 1) / BLOCK_C;
}

/* First channel of block @b: the last one overlaps where channels do not fill
 * it. */
static int
first_channel (const QfConvShape *s, int b)
{
  int c = b * BLOCK_C;

  return c + BLOCK_C <= s->in_c ? c : s->in_c - BLOCK_C;
}

/* Where unpacking within halves of a vector puts channels. */
static int
lane_channel (int sub, int lane)
{
  return lane / 4 * 16 + sub * 4 + lane % 4;
}

static int
n_weights (const QfConvShape *s)
{
  return SUBS * (s->stride_h == 1 ? WEIGHTS_1 : WEIGHTS_2);
}

/* [block][sub-block][weights][LANES][2] int16, then [block][SUBS][LANES] sums
 * of weights. */
size_t
qf_conv_dw32_avx2_packed_size (const QfConvShape *s)
{
  return (size_t) n_blocks (s) * ((size_t) n_weights (s) * 32 + BLOCK_C * 4);
}

/* Twice the transformed weights of a row: the factors of y0 = m0 + m1 + m2 and
 * y1 = m1 − m2 + m3. */
static int
product_weight (const int8_t *w, int k)
{
  switch (k) {
    case 0:
      return 2 * w[0];
    case 1:
      return w[0] + w[1] + w[2];
    case 2:
      return w[0] - w[1] + w[2];
    default:
      return -2 * w[2];
  }
}

/* The two halves of weight vector @i for a channel whose taps are @w. */
static void
pack_vector (const QfConvShape *s, const int8_t *w, int i, int16_t *to)
{
  /* rows of the kernel, by output row and pair of input rows */
  static const int8_t row[2][2][2] = { { { 0, 1 }, { 2, -1 } },
    { { -1, 0 }, { 1, 2 } } };

  for (int h = 0; h < 2; h++) {
    if (s->stride_h == 1) {
      int ky = row[i / 8][i % 2][h];

      to[h] = (int16_t) (ky < 0 ? 0 : product_weight (w + 3 * ky, i / 2 % 4));
    } else {
      int ky = row[0][i % 2][h];

      to[h] = ky < 0 ? 0 : w[3 * ky + i / 2];
    }
  }
}

void
qf_conv_dw32_avx2_pack (const QfConvShape *s, const int8_t *w, void *packed)
{
  int vectors = n_weights (s) / SUBS;
  int16_t *p = packed;
  int32_t *sums =
      (int32_t *) (p + (size_t) n_blocks (s) * (size_t) n_weights (s) * 16);

  for (int b = 0; b < n_blocks (s); b++)
    for (int sub = 0; sub < SUBS; sub++, p += (size_t) vectors * 16)
      for (int j = 0; j < LANES; j++) {
        int c = first_channel (s, b) + lane_channel (sub, j);
        const int8_t *from = w + (size_t) c * 9;
        int32_t sum = 0;

        for (int i = 0; i < vectors; i++)
          pack_vector (s, from, i, p + (size_t) (i * LANES + j) * 2);
        for (int i = 0; i < 9; i++)
          sum += from[i];
        *sums++ = sum;
      }
}

/* Vectors from one pair of rows in a strip to the next. Loads a multiple of
 * 4096 bytes apart hinder each other: the upper and the lower pair of a block,
 * CHUNK of these apart, are 2048 bytes more than that. */
static size_t
pair_vectors (const QfConvShape *s)
{
  size_t n = SUBS * (s->stride_h == 1 ? STRIP * 2 : COLUMNS_2);

  return (n + 127) / 128 * 128 + 32;
}

/* Pairs of rows, rows of sub-blocks, a pixel of x_zero, and by lane what sums
 * start from and their factors. */
size_t
qf_conv_dw32_avx2_scratch_size (const QfConvShape *s)
{
  return ALIGN + (2 * CHUNK * pair_vectors (s) + 2 * STRIP) * 32 + BLOCK_C +
      (size_t) n_blocks (s) * BLOCK_C * 8;
}

/* Not into channels where the last block overlaps the one before. */
void
qf_conv_dw32_avx2_grain (const QfConvShape *s, int *rows, int *channels)
{
  *rows = s->stride_h == 1 ? 2 : 1;
  *channels = s->in_c % BLOCK_C == 0 ? CHUNK * BLOCK_C : 0;
}

/* What becomes of sums; codes of nothing but narrowing: QfCodesAvx2.bare. */
enum
{
  TO_SUMS,
  TO_CODES,
  TO_BARE_CODES
};

/* What one call works on, and within it one strip. */
typedef struct
{
  const QfConvShape *s;
  const uint8_t *x;
  QfConvOut out;
  QfCodesAvx2 codes;
  const __m256i *w; /* of block 0 */
  __m256i *pairs;
  __m256i *scaled, *half; /* [STRIP]: rows of one, of two sub-blocks */
  uint8_t *border;        /* BLOCK_C times x_zero */
  int32_t *start;         /* [block][SUBS][LANES] */
  float *mult;
  int row0, row1;
  int ox, n; /* of the strip */
} Job;

/* The channels of one block of two input rows. */
typedef struct
{
  const uint8_t *row[2], *border;
  size_t step[2];
  int in_w;
} Rows;

static Rows
rows_at (const Job *j, int iy, int c)
{
  const QfConvShape *s = j->s;
  Rows r = { .border = j->border, .in_w = s->in_w };

  for (int i = 0; i < 2; i++)
    if (iy + i >= 0 && iy + i < s->in_h) {
      r.step[i] = (size_t) s->in_c;
      r.row[i] = j->x + (size_t) (iy + i) * s->in_w * s->in_c + c;
    } else
      r.row[i] = j->border;
  return r;
}

/* Column @ix: 16 bits of the upper row beside 16 of the lower. */
static inline __attribute__ ((always_inline)) void
column (const Rows *r, int ix, __m256i d[SUBS])
{
  const __m256i zero = _mm256_setzero_si256 ();
  int in = (unsigned) ix < (unsigned) r->in_w;
  const uint8_t *a = in ? r->row[0] + (size_t) ix * r->step[0] : r->border;
  const uint8_t *b = in ? r->row[1] + (size_t) ix * r->step[1] : r->border;
  __m256i va = _mm256_loadu_si256 ((const __m256i *) a);
  __m256i vb = _mm256_loadu_si256 ((const __m256i *) b);
  __m256i low = _mm256_unpacklo_epi8 (va, vb);
  __m256i high = _mm256_unpackhi_epi8 (va, vb);

  d[0] = _mm256_unpacklo_epi8 (low, zero);
  d[1] = _mm256_unpackhi_epi8 (low, zero);
  d[2] = _mm256_unpacklo_epi8 (high, zero);
  d[3] = _mm256_unpackhi_epi8 (high, zero);
}

/* [SUBS][tile][4]: what the weights of two windows are multiplied with. */
static void
fill_1 (const Job *j, int iy, int c, __m256i *to)
{
  Rows r = rows_at (j, iy, c);
  int ix = j->ox - j->s->pad_left;
  __m256i d0[SUBS], d1[SUBS], d2[SUBS], d3[SUBS];

  column (&r, ix, d0);
  column (&r, ix + 1, d1);
  for (int i = 0; i < j->n; i += 2, to += 4) {
    column (&r, ix + i + 2, d2);
    column (&r, ix + i + 3, d3);
    for (int sub = 0; sub < SUBS; sub++) {
      __m256i *v = to + sub * STRIP * 2;

      v[0] = _mm256_sub_epi16 (d0[sub], d2[sub]);
      v[1] = _mm256_add_epi16 (d1[sub], d2[sub]);
      v[2] = _mm256_sub_epi16 (d2[sub], d1[sub]);
      v[3] = _mm256_sub_epi16 (d1[sub], d3[sub]);
      d0[sub] = d2[sub];
      d1[sub] = d3[sub];
    }
  }
}

/* [SUBS][column] */
static void
fill_2 (const Job *j, int iy, int c, __m256i *to)
{
  Rows r = rows_at (j, iy, c);
  int ix = 2 * j->ox - j->s->pad_left;
  __m256i d[SUBS];

  for (int i = 0; i < 2 * j->n + 1; i++) {
    column (&r, ix + i, d);
    for (int sub = 0; sub < SUBS; sub++)
      to[sub * COLUMNS_2 + i] = d[sub];
  }
}

/* gcc 12 otherwise loads again what it uses twice. */
#define IN_REGISTER(v) __asm__("" : "+x"(v))

/* Two windows of eight channels. @p, @q: the upper and the lower pair of rows.
 */
static inline __attribute__ ((always_inline)) void
sums_1 (const __m256i *p, const __m256i *q, const __m256i w[8], __m256i start,
    __m256i y[2])
{
  __m256i a = _mm256_add_epi32 (start, _mm256_madd_epi16 (w[2], p[1]));
  __m256i b = _mm256_madd_epi16 (w[4], p[2]);

  QF_ADD32 (a, _mm256_madd_epi16 (w[3], q[1]));
  QF_ADD32 (b, _mm256_madd_epi16 (w[5], q[2]));
  y[0] = _mm256_add_epi32 (a, b);
  y[1] = _mm256_sub_epi32 (a, b);
  QF_ADD32 (y[0], _mm256_madd_epi16 (w[0], p[0]));
  QF_ADD32 (y[1], _mm256_madd_epi16 (w[6], p[3]));
  QF_ADD32 (y[0], _mm256_madd_epi16 (w[1], q[0]));
  QF_ADD32 (y[1], _mm256_madd_epi16 (w[7], q[3]));
}

/* One window, of stride 2. */
static inline __attribute__ ((always_inline)) void
sums_2 (const __m256i *p, const __m256i *q, const __m256i w[8], __m256i start,
    __m256i y[1])
{
  y[0] = start;
#pragma GCC unroll 3
  for (int kx = 0; kx < 3; kx++) {
    QF_ADD32 (y[0], _mm256_madd_epi16 (w[2 * kx], p[kx]));
    QF_ADD32 (y[0], _mm256_madd_epi16 (w[2 * kx + 1], q[kx]));
  }
}

/* Four times eight scaled sums to 32 codes, in the order of channels. */
static inline __m256i
codes (const QfCodesAvx2 *k, int make, __m256i ab, __m256i cd)
{
  __m256i y = _mm256_packus_epi16 (ab, cd);

  if (make == TO_BARE_CODES)
    return y;
  return _mm256_min_epu8 (_mm256_max_epu8 (y, k->lo), k->hi);
}

/* Sums of a sub-block, without the factor 2 of stride 1. */
static inline void
store_sums (int32_t *acc, __m256i v, int stride)
{
  v = _mm256_srai_epi32 (v, stride == 1);
  _mm_storeu_si128 ((__m128i *) acc, _mm256_castsi256_si128 (v));
  _mm_storeu_si128 ((__m128i *) (acc + 16), _mm256_extracti128_si256 (v, 1));
}

/* Window @i of sub-block @sub, whose output starts at element @at. The codes
 * are stored with the last sub-block. */
static inline __attribute__ ((always_inline)) void
put (const Job *j, int sub, int i, __m256i v, __m256 mult, size_t at,
    int stride, int make)
{
  size_t to = at + (size_t) i * (size_t) j->s->out_c;

  if (make == TO_SUMS) {
    if (i < j->n)
      store_sums (j->out.acc + to + sub * 4, v, stride);
    return;
  }
  v = qf_scale_avx2 (v, mult);
  if (sub % 2 == 0) {
    j->scaled[i] = v;
    return;
  }
  v = _mm256_packs_epi32 (j->scaled[i], v);
  if (make == TO_CODES)
    v = _mm256_adds_epi16 (v, j->codes.zero);
  if (sub == 1)
    j->half[i] = v;
  else if (i < j->n)
    _mm256_storeu_si256 (
        (__m256i *) (j->out.y + to), codes (&j->codes, make, j->half[i], v));
}

/* Sub-block @sub of the strip in one output row, whose weights are @from. */
static inline __attribute__ ((always_inline)) void
line (const Job *j, const __m256i *p, const __m256i *q, const __m256i *from,
    int b, int sub, size_t at, int stride, int make)
{
  size_t lanes = (size_t) b * BLOCK_C + (size_t) sub * LANES;
  __m256i start = _mm256_load_si256 ((const __m256i *) (j->start + lanes));
  __m256 mult = _mm256_load_ps (j->mult + lanes);
  __m256i w[8], y[2];

  p += sub * (stride == 1 ? STRIP * 2 : COLUMNS_2);
  q += sub * (stride == 1 ? STRIP * 2 : COLUMNS_2);
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++)
    if (i < (stride == 1 ? 8 : WEIGHTS_2)) {
      w[i] = from[i];
      IN_REGISTER (w[i]);
    }
  if (stride == 1)
    for (int i = 0; i < j->n; i += 2, p += 4, q += 4) {
      sums_1 (p, q, w, start, y);
      put (j, sub, i, y[0], mult, at, 1, make);
      put (j, sub, i + 1, y[1], mult, at, 1, make);
    }
  else
    for (int i = 0; i < j->n; i++, p += 2, q += 2) {
      sums_2 (p, q, w, start, y);
      put (j, sub, i, y[0], mult, at, 2, make);
    }
}

/* The strip in output row @oy, with stride 1 also in the one below. */
static inline __attribute__ ((always_inline)) void
lines (const Job *j, const __m256i *p, const __m256i *q, int b, int oy,
    int stride, int make)
{
  const QfConvShape *s = j->s;
  const __m256i *w = j->w + (size_t) b * (size_t) n_weights (s);
  size_t below = (size_t) s->out_w * (size_t) s->out_c;
  size_t at = (size_t) (oy - j->row0) * below +
      (size_t) j->ox * (size_t) s->out_c + (size_t) first_channel (s, b);

  for (int row = 0; row < (stride == 1 ? 2 : 1) && oy + row < j->row1;
       row++, at += below)
#pragma GCC unroll 4
    for (int sub = 0; sub < SUBS; sub++)
      line (j, p, q, w + sub * (stride == 1 ? WEIGHTS_1 : WEIGHTS_2) + 8 * row,
          b, sub, at, stride, make);
}

/* All rows of one strip of @blocks blocks from @b0 on. */
static inline __attribute__ ((always_inline)) void
strip (const Job *j, int b0, int blocks, int stride)
{
  const QfConvShape *s = j->s;
  size_t pair = pair_vectors (s);
  __m256i *p = j->pairs, *q = p + CHUNK * pair;
  int iy = j->row0 * stride - s->pad_top;

  for (int oy = j->row0 - (stride == 1 ? 2 : 1); oy < j->row1;
       oy += stride == 1 ? 2 : 1) {
    __m256i *t = p;

    for (int i = 0; i < blocks; i++) {
      int b = b0 + i;

      (stride == 1 ? fill_1 : fill_2) (
          j, iy, first_channel (s, b), q + (size_t) i * pair);
      if (oy < j->row0)
        continue; /* the first row's upper pair */
      if (j->out.acc)
        lines (j, p + i * pair, q + i * pair, b, oy, stride, TO_SUMS);
      else if (j->codes.bare)
        lines (j, p + i * pair, q + i * pair, b, oy, stride, TO_BARE_CODES);
      else
        lines (j, p + i * pair, q + i * pair, b, oy, stride, TO_CODES);
    }
    p = q;
    q = t;
    iy += 2;
  }
}

/* Start and factors of blocks @b0 … @b1 − 1, in the order of lanes. */
static void
fill_lanes (const Job *j, int x_zero, const int32_t *sums, int b0, int b1)
{
  const QfRequant *r = j->out.acc ? NULL : j->out.r;
  int twice = j->s->stride_h == 1 ? 2 : 1;

  for (int b = b0; b < b1; b++)
    for (int i = 0; i < BLOCK_C; i++) {
      int at = b * BLOCK_C + i;
      int c = first_channel (j->s, b) + lane_channel (i / LANES, i % LANES);

      j->start[at] =
          twice * ((r && r->bias ? r->bias[c] : 0) - x_zero * sums[at]);
      if (r)
        j->mult[at] = r->mult[c] / (float) twice;
    }
}

void
qf_conv_dw32_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch)
{
  int all = n_blocks (s), b0 = out.c0 / BLOCK_C;
  int b1 = (out.c1 + BLOCK_C - 1) / BLOCK_C;
  uint8_t *memory = scratch;
  Job j = {
    .s = s, .x = x, .out = out, .w = packed, .row0 = row0, .row1 = row1
  };

  memory += -(uintptr_t) memory % ALIGN;
  j.pairs = (__m256i *) (void *) memory;
  j.scaled = j.pairs + 2 * CHUNK * pair_vectors (s);
  j.half = j.scaled + STRIP;
  j.start = (int32_t *) (j.half + STRIP);
  j.mult = (float *) (j.start + all * BLOCK_C);
  j.border = (uint8_t *) (j.mult + all * BLOCK_C);
  memset (j.border, x_zero, BLOCK_C);
  if (!out.acc)
    j.codes = qf_codes_avx2_new (out.r);
  fill_lanes (&j, x_zero,
      (const int32_t *) (j.w + (size_t) all * n_weights (s)), b0, b1);
  for (int b = b0; b < b1; b += CHUNK) {
    int blocks = b1 - b < CHUNK ? b1 - b : CHUNK;

    for (j.ox = 0; j.ox < s->out_w; j.ox += STRIP) {
      j.n = s->out_w - j.ox < STRIP ? s->out_w - j.ox : STRIP;
      if (s->stride_h == 1)
        strip (&j, b, blocks, 1);
      else
        strip (&j, b, blocks, 2);
    }
  }
}
