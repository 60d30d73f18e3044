/* libqfuse: int8 1x1 convolution, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Four pixels times 16 output channels, on 8-bit operands where packing found
 * that to be exact and faster (point_avx2.h), else as conv_dense_avx2.c. Per
 * 64 products three multiplying instructions and two others, against four and
 * four of 16-bit operands: 117 instead of 78 GMAC/s on Zen 3 at 3.1 GHz. */
#include "kernels/x86/point_avx2.h"
#include "kernels/x86/tile_avx2.h"

enum
{
  HEAD = 64,              /* bytes: 1 where qf_point_pack() succeeded */
  LINE = 64,              /* bytes of the cache */
  INPUT_BYTES = 64 * 1024 /* of input that all blocks read, one by one */
};

int
qf_conv_point_avx2_can (const QfConvShape *s)
{
  return s->groups == 1 && s->kernel_h == 1 && s->kernel_w == 1 &&
      s->in_c >= 2 * QF_POINT_K && s->out_c >= QF_POINT_Y;
}

size_t
qf_conv_point_avx2_packed_size (const QfConvShape *s)
{
  size_t wide = qf_conv_dense_avx2_packed_size (s);
  size_t point = qf_point_packed_size (s);

  return HEAD + (wide > point ? wide : point);
}

void
qf_conv_point_avx2_pack (const QfConvShape *s, const int8_t *w, void *packed)
{
  uint8_t *p = packed;
  int ok;

  memset (p, 0, HEAD);
  ok = qf_point_pack (s, w, p + HEAD);
  p[0] = (uint8_t) ok;
  if (!ok)
    qf_conv_dense_avx2_pack (s, w, p + HEAD);
}

size_t
qf_conv_point_avx2_packed_used (const QfConvShape *s, const void *packed)
{
  const uint8_t *p = packed;

  return HEAD +
      (p[0] ? qf_point_used (s, p + HEAD) : qf_conv_dense_avx2_packed_size (s));
}

/* Rows of two tiles, and a pixel of the border. */
size_t
qf_conv_point_avx2_scratch_size (const QfConvShape *s)
{
  size_t wide = qf_conv_dense_avx2_scratch_size (s);
  size_t point = 2 * QF_POINT_X * qf_point_pitch (s) + (size_t) s->in_c;

  return wide > point ? wide : point;
}

void
qf_conv_point_avx2_grain (const QfConvShape *s, int *rows, int *channels)
{
  *rows = s->out_w % 4 == 0 ? 1 : s->out_w % 2 == 0 ? 2 : 4;
  if (*rows > s->out_h)
    *rows = s->out_h;
  *channels = QF_POINT_Y;
}

typedef struct
{
  __m256i v[QF_POINT_X][2];
} Sums;

/* What the tiles of one block of channels share. */
typedef struct
{
  QfPointBlock b;
  const QfConvShape *s;
  const uint8_t *x, *border; /* the input; a pixel of the border */
  const QfConvOut *out;      /* at row row0 */
  const QfCodesAvx2 *codes;
  uint8_t *rows;              /* scratch: twice the rows of a tile */
  size_t pitch;               /* bytes of a pixel's rows, at most */
  int row0, in_order;         /* output pixel p reads input pixel p */
  const uint8_t *const *list; /* where output pixel p's input is, or NULL */
  int o, channels;            /* those that are real */
  const uint8_t *ahead; /* the next block's weights; NULL: there are none */
  size_t bytes;         /* of weights */
  int32_t start[QF_POINT_Y];
  float mult[QF_POINT_Y];
} Block;

static inline __m256i
permute_32 (const uint8_t *x, __m256i order, __m256i flip)
{
  __m256i v = _mm256_loadu_si256 ((const __m256i *) x);

  return _mm256_xor_si256 (_mm256_shuffle_epi8 (v, order), flip);
}

static inline __m128i
permute_16 (const uint8_t *x, __m128i order, __m128i flip)
{
  __m128i v = _mm_loadu_si128 ((const __m128i *) x);

  return _mm_xor_si128 (_mm_shuffle_epi8 (v, order), flip);
}

/* The rows of @n pixels to @to, from byte @i of the rows that are in pairs on:
 * [pair of rows][QF_POINT_X pixels][2 rows][QF_POINT_K]. */
static inline __attribute__ ((always_inline)) void
permute (const Block *e, const uint8_t *const *x, int n, size_t i, uint8_t *to)
{
  const uint8_t *order = e->b.order, *flip = e->b.flip;
  size_t in_pairs = (size_t) e->b.pairs * 2 * QF_POINT_K;

  for (; i < in_pairs; i += 2 * QF_POINT_K) {
    __m256i a = _mm256_loadu_si256 ((const __m256i *) (order + i));
    __m256i f = _mm256_loadu_si256 ((const __m256i *) (flip + i));

    for (int j = 0; j < n; j++)
      _mm256_storeu_si256 (
          (__m256i *) (to + QF_POINT_X * i + j * 2 * QF_POINT_K),
          permute_32 (x[j] + i, a, f));
  }
  for (int r = 2 * e->b.pairs; r < e->b.rows; r++) {
    __m128i a = _mm_loadu_si128 ((const __m128i *) (order + r * QF_POINT_K));
    __m128i f = _mm_loadu_si128 ((const __m128i *) (flip + r * QF_POINT_K));

    for (int j = 0; j < n; j++)
      _mm_storeu_si128 (
          (__m128i *) (to + qf_point_row (r) + j * 2 * QF_POINT_K),
          permute_16 (x[j] + e->b.from[r], a, f));
  }
}

static inline __m256i
four (const uint8_t *x)
{
  int32_t v;

  memcpy (&v, x, sizeof v);
  return _mm256_set1_epi32 (v);
}

/* Sums of @n pixels whose rows are @rows. Beside them, where @n is QF_POINT_X,
 * those of the next ones, @x, go to @next: the multipliers are what this waits
 * for. */
static inline __attribute__ ((always_inline)) void
sum (const Block *e, int n, const uint8_t *rows, const uint8_t *const *x,
    uint8_t *next, Sums *sums)
{
  const __m256i ones = _mm256_set1_epi16 (1);
  const int8_t *w = e->b.w;
  const int32_t *step = e->b.steps;
  const uint8_t *order = e->b.order, *flip = e->b.flip;
  size_t i = 0, in_pairs = (size_t) e->b.pairs * 2 * QF_POINT_K;
  int plain = e->b.plain, wrapped = e->b.wrapped;
  __m256i a0 = _mm256_loadu_si256 ((const __m256i *) e->start);
  __m256i b0 = _mm256_loadu_si256 ((const __m256i *) (e->start + 8));
  __m256i a1 = a0, a2 = a0, a3 = a0, b1 = b0, b2 = b0, b3 = b0;

#define LOAD(i) _mm256_loadu_si256 ((const __m256i *) (w + 32 * (i)))
#define PRODUCTS(x, w) _mm256_maddubs_epi16 (x, w)
#define PIXEL(i, MORE)                                                         \
  if (n > i) {                                                                 \
    __m256i lo = four (at + i * 2 * QF_POINT_K);                               \
    __m256i hi = four (at + i * 2 * QF_POINT_K + 4);                           \
    __m256i p = _mm256_add_epi16 (PRODUCTS (lo, w0), PRODUCTS (hi, w2));       \
    __m256i q = _mm256_add_epi16 (PRODUCTS (lo, w1), PRODUCTS (hi, w3));       \
                                                                               \
    MORE;                                                                      \
    QF_ADD32 (a##i, _mm256_madd_epi16 (p, ones));                              \
    QF_ADD32 (b##i, _mm256_madd_epi16 (q, ones));                              \
  }
#define ADD_C (p = _mm256_add_epi16 (p, c0), q = _mm256_add_epi16 (q, c1))
#define STEP(MORE)                                                             \
  {                                                                            \
    const uint8_t *at = rows + *step++;                                        \
    __m256i w0 = LOAD (0), w1 = LOAD (1), w2 = LOAD (2), w3 = LOAD (3);        \
                                                                               \
    PIXEL (0, MORE)                                                            \
    PIXEL (1, MORE)                                                            \
    PIXEL (2, MORE)                                                            \
    PIXEL (3, MORE)                                                            \
  }
#define PLAIN                                                                  \
  {                                                                            \
    STEP ((void) 0)                                                            \
    w += QF_POINT_STEP;                                                        \
  }
#define WRAPPED                                                                \
  {                                                                            \
    __m256i c0 = LOAD (4), c1 = LOAD (5);                                      \
    STEP (ADD_C)                                                               \
    w += QF_POINT_STEP_C;                                                      \
  }
#define NEXT(j)                                                                \
  _mm256_storeu_si256 (                                                        \
      (__m256i *) (next + QF_POINT_X * i + j * 2 * QF_POINT_K),                \
      permute_32 (x[j] + i,                                                    \
          _mm256_loadu_si256 ((const __m256i *) (order + i)),                  \
          _mm256_loadu_si256 ((const __m256i *) (flip + i))));
#define STEPS(left, ONE)                                                       \
  if (n == QF_POINT_X)                                                         \
    for (; left >= 4 && i < in_pairs; left -= 4, i += 2 * QF_POINT_K) {        \
      ONE NEXT (0) ONE NEXT (1) ONE NEXT (2) ONE NEXT (3)                      \
    }                                                                          \
  for (; left > 0; left--)                                                     \
  ONE
  STEPS (plain, PLAIN)
  STEPS (wrapped, WRAPPED)
#undef STEPS
#undef NEXT
#undef WRAPPED
#undef PLAIN
#undef STEP
#undef ADD_C
#undef PIXEL
#undef PRODUCTS
#undef LOAD
  if (n == QF_POINT_X)
    permute (e, x, n, i, next);
  *sums = (Sums){ { { a0, b0 }, { a1, b1 }, { a2, b2 }, { a3, b3 } } };
}

/* The sums of @n pixels to element @at of the output and on. */
static inline __attribute__ ((always_inline)) void
store (const Block *e, int n, size_t at, const Sums *sums)
{
  __m256 m0 = _mm256_loadu_ps (e->mult), m1 = _mm256_loadu_ps (e->mult + 8);
  size_t step = (size_t) e->s->out_c;

  if (e->out->acc) {
    for (int i = 0; i < n; i++)
      memcpy (e->out->acc + at + i * step, sums->v[i],
          (size_t) e->channels * sizeof (int32_t));
    return;
  }
#pragma GCC unroll 2
  for (int i = 0; i < n; i += 2) {
    uint8_t *y = e->out->y + at + i * step;
    int second = i + 1 < n ? i + 1 : i;
    __m256i v = qf_codes_avx2 (e->codes, qf_scale_avx2 (sums->v[i][0], m0),
        qf_scale_avx2 (sums->v[i][1], m1),
        qf_scale_avx2 (sums->v[second][0], m0),
        qf_scale_avx2 (sums->v[second][1], m1));

    qf_tile_store_bytes (y, _mm256_castsi256_si128 (v), e->channels);
    if (i + 1 < n)
      qf_tile_store_bytes (
          y + step, _mm256_extracti128_si256 (v, 1), e->channels);
  }
}

/* The input of output pixel (@oy, @ox). */
static inline const uint8_t *
input_of (const Block *e, int oy, int ox)
{
  const QfConvShape *s = e->s;
  int iy = oy * s->stride_h - s->pad_top;
  int ix = ox * s->stride_w - s->pad_left;

  return iy < 0 || iy >= s->in_h || ix < 0 || ix >= s->in_w
      ? e->border
      : e->x + ((size_t) iy * s->in_w + ix) * s->in_c;
}

/* Where the input of @n output pixels from @p on is, which are counted from
 * row row0 on. */
static inline __attribute__ ((always_inline)) void
find (const Block *e, int p, int n, const uint8_t **x)
{
  const QfConvShape *s = e->s;
  int oy, ox;

  if (e->list) {
    memcpy (x, e->list + p, (size_t) n * sizeof *x);
    return;
  }
  if (e->in_order) {
    x[0] = e->x + ((size_t) e->row0 * s->in_w + p) * s->in_c;
    for (int i = 1; i < n; i++)
      x[i] = x[i - 1] + s->in_c;
    return;
  }
  oy = e->row0 + p / s->out_w;
  ox = p % s->out_w;
  for (int i = 0; i < n; i++) {
    x[i] = input_of (e, oy, ox);
    if (++ox == s->out_w) {
      ox = 0;
      oy++;
    }
  }
}

/* Less than a tile. */
static inline __attribute__ ((always_inline)) void
tile (const Block *e, int p, int n)
{
  const uint8_t *x[QF_POINT_X];
  Sums sums;

  find (e, p, n, x);
  permute (e, x, n, 0, e->rows);
  sum (e, n, e->rows, NULL, NULL, &sums);
  store (e, n, (size_t) p * e->s->out_c + (size_t) e->o, &sums);
}

static __attribute__ ((noinline)) int
tiles (const Block *e, int p, int p1)
{
  const uint8_t *x[QF_POINT_X];
  uint8_t *rows = e->rows, *next = rows + QF_POINT_X * e->pitch;
  uintptr_t ahead = (uintptr_t) e->ahead;
  size_t share = 0; /* of the next weights, about as many, fetched beside */
  Sums sums;

  if (p + QF_POINT_X > p1)
    return p;
  if (ahead)
    share = e->bytes / (size_t) ((p1 - p) / QF_POINT_X) + 1;
  find (e, p, QF_POINT_X, x);
  permute (e, x, QF_POINT_X, 0, rows);
  for (; p + QF_POINT_X <= p1; p += QF_POINT_X) {
    uint8_t *t = rows;

    if (p + 2 * QF_POINT_X <= p1) /* else the same again, for nothing */
      find (e, p + QF_POINT_X, QF_POINT_X, x);
    sum (e, QF_POINT_X, rows, x, next, &sums);
    store (e, QF_POINT_X, (size_t) p * e->s->out_c + (size_t) e->o, &sums);
    rows = next;
    next = t;
    for (size_t i = 0; i < share; i += LINE)
      _mm_prefetch ((const char *) (ahead + i), _MM_HINT_T1);
    ahead += share;
  }
  return p;
}

static __attribute__ ((noinline)) void
tail (const Block *e, int p0, int p1)
{
  switch (p1 - p0) {
    case 1:
      tile (e, p0, 1);
      break;
    case 2:
      tile (e, p0, 2);
      break;
    case 3:
      tile (e, p0, 3);
      break;
    default:
      break;
  }
}

/* Goes to the @i-th block of channels. */
static void
begin (Block *e, const void *weights, int x_zero, int i)
{
  const QfRequant *r = e->out->r;
  int o = i * QF_POINT_Y, left = e->s->out_c - o;

  e->b = qf_point_block (weights, i);
  e->ahead = left > QF_POINT_Y ? qf_point_block_bytes (weights, i + 1) : NULL;
  if (e->ahead)
    e->bytes = (size_t) (e->ahead - qf_point_block_bytes (weights, i));
  e->o = o;
  e->channels = left < QF_POINT_Y ? left : QF_POINT_Y;
  for (int c = 0; c < QF_POINT_Y; c++) {
    int real = r && c < e->channels;
    uint32_t bias = real && r->bias ? (uint32_t) r->bias[o + c] : 0;

    e->mult[c] = real ? r->mult[o + c] : 0;
    e->start[c] = (int32_t) (bias + (uint32_t) e->b.fixed[c] -
        (uint32_t) x_zero * (uint32_t) e->b.sums[c]);
  }
}

void
qf_conv_point_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch)
{
  const uint8_t *weights = (const uint8_t *) packed + HEAD;
  size_t pitch = qf_point_pitch (s);
  uint8_t *border = (uint8_t *) scratch + 2 * QF_POINT_X * pitch;
  int n = (row1 - row0) * s->out_w;
  int most = INPUT_BYTES / s->in_c / QF_POINT_X * QF_POINT_X;
  QfCodesAvx2 k = { 0 };
  Block e = { .s = s,
    .x = x,
    .border = border,
    .out = &out,
    .codes = &k,
    .rows = scratch,
    .pitch = pitch,
    .row0 = row0 };

  if (!*(const uint8_t *) packed) {
    qf_conv_dense_avx2 (s, x, x_zero, weights, out, row0, row1, scratch);
    return;
  }
  if (out.r)
    k = qf_codes_avx2_new (out.r);
  memset (border, x_zero, (size_t) s->in_c);
  e.in_order = s->stride_h == 1 && s->stride_w == 1 && s->pad_top == 0 &&
      s->pad_left == 0 && s->in_w == s->out_w && s->out_h <= s->in_h;
  most = most < QF_POINT_X ? QF_POINT_X : most;
  for (int p = 0; p < n; p += most)
    for (int o = out.c0; o < out.c1; o += QF_POINT_Y) {
      int end = n - p < most ? n : p + most;

      begin (&e, weights, x_zero, o / QF_POINT_Y);
      tail (&e, tiles (&e, p, end), end);
    }
}

size_t
qf_conv_point_parts_avx2_scratch_size (const QfConvShape *s)
{
  size_t wide = qf_conv_dense_parts_avx2_scratch_size (s);
  size_t point = 2 * QF_POINT_X * qf_point_pitch (s) + (size_t) s->in_c;

  return wide > point ? wide : point;
}

/* The first @n of the list; their codes to @y on. */
static void
flush (Block *e, const uint8_t *weights, int x_zero, int n, uint8_t *y)
{
  QfConvOut out = { .r = e->out->r, .y = y };
  Block all = *e;

  all.out = &out;
  for (int i = 0; i * QF_POINT_Y < e->s->out_c; i++) {
    begin (&all, weights, x_zero, i);
    tail (&all, tiles (&all, 0, n), n);
  }
}

void
qf_conv_point_parts_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, const QfPart *parts, int n,
    uint8_t *y, void *scratch)
{
  const uint8_t *weights = (const uint8_t *) packed + HEAD;
  const uint8_t *list[QF_PART_H * QF_PART_W];
  size_t pitch = qf_point_pitch (s);
  uint8_t *border = (uint8_t *) scratch + 2 * QF_POINT_X * pitch;
  QfConvOut out = { .r = r };
  QfCodesAvx2 k = qf_codes_avx2_new (r);
  Block e = { .s = s,
    .x = x,
    .border = border,
    .out = &out,
    .codes = &k,
    .rows = scratch,
    .pitch = pitch,
    .list = list };
  int have = 0;

  if (!*(const uint8_t *) packed) {
    qf_conv_dense_parts_avx2 (s, x, x_zero, weights, r, parts, n, y, scratch);
    return;
  }
  memset (border, x_zero, (size_t) s->in_c);
  for (int i = 0; i < n; i++)
    for (int oy = parts[i].y; oy < parts[i].y + parts[i].h; oy++) {
      if (have + parts[i].w > QF_PART_H * QF_PART_W) {
        flush (&e, weights, x_zero, have, y);
        y += (size_t) have * s->out_c;
        have = 0;
      }
      for (int ox = parts[i].x; ox < parts[i].x + parts[i].w; ox++)
        list[have++] = input_of (&e, oy, ox);
    }
  flush (&e, weights, x_zero, have, y);
}
