/* libqfuse: int8 convolution of parts of an output, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Windows of many parts fill one tile of registers after another: the input of
 * some parts is laid out as the family of the whole layer does it, and then
 * multiplied by all weights. */
#include "kernels/c/columns.h"
#include "kernels/x86/tile_avx2.h"

enum
{
  WINDOWS = QF_PART_H * QF_PART_W /* at a time */
};

/* Windows and their weights: [runs][pairs][2]. */
typedef struct
{
  const QfConvShape *s;
  const QfRequant *r;
  QfCodesAvx2 codes;
  const int16_t *w;
  int runs, n;
  size_t step, pairs;
  const int16_t *x[WINDOWS];
} Windows;

/* All of one block of channels, to @y on. */
static void
block (const Windows *v, int o, uint8_t *y)
{
  const QfConvShape *s = v->s;
  int left = s->out_c - o, wide = qf_tile_width (s->out_c, o) == QF_TILE_Y;
  const int16_t *w = v->w + (size_t) o * (size_t) v->runs * v->pairs * 2;
  float mult[QF_TILE_Y] = { 0 };
  int32_t start[QF_TILE_Y] = { 0 };
  QfConvOut out = { .r = v->r, .y = y };
  QfTileOut t = { &out, &v->codes, mult, start, (size_t) o, (size_t) s->out_c,
    0, left < QF_TILE_Y ? left : QF_TILE_Y };

  for (int i = 0; i < t.channels; i++) {
    mult[i] = v->r->mult[o + i];
    start[i] = v->r->bias ? v->r->bias[o + i] : 0;
  }
  for (int p = 0; p < v->n; p += QF_TILE_X) {
    t.n = v->n - p < QF_TILE_X ? v->n - p : QF_TILE_X;
    qf_tile_run_avx2 (v->x + p, v->runs, v->step, w, v->pairs, wide, &t);
    t.at += QF_TILE_X * t.step;
  }
}

/* Returns where the next codes go. */
static uint8_t *
flush (Windows *v, uint8_t *y)
{
  size_t n = (size_t) v->n;

  for (int o = 0; o < v->s->out_c; o += QF_TILE_Y)
    block (v, o, y);
  v->n = 0;
  return y + n * (size_t) v->s->out_c;
}

/* Many input channels: a window is one run of columns (conv_dense_avx2.c). ---
 */

static QfConvShape
span_shape (const QfConvShape *s, int w)
{
  QfConvShape p = *s;

  p.out_h = 1;
  p.out_w = w;
  return p;
}

/* Columns, those of a whole span more, and an element that a window of an odd
 * number reads beyond. */
size_t
qf_conv_dense_parts_avx2_scratch_size (const QfConvShape *s)
{
  QfConvShape p = span_shape (s, QF_PART_W);

  return QF_TILE_BYTES +
      (qf_columns (&p, sizeof (int16_t)).row + 1) * sizeof (int16_t);
}

/* @n codes less @zero, to 16 bits. */
static inline __attribute__ ((always_inline)) void
widen (const uint8_t *x, int n, __m256i zero, int16_t *to)
{
  __m128i low = _mm256_castsi256_si128 (zero), v;
  int i = 0;

  for (; i + 16 <= n; i += 16) {
    v = _mm_loadu_si128 ((const __m128i *) (x + i));
    _mm256_storeu_si256 ((__m256i *) (to + i),
        _mm256_sub_epi16 (_mm256_cvtepu8_epi16 (v), zero));
  }
  if (i + 8 <= n) {
    v = _mm_loadl_epi64 ((const __m128i *) (x + i));
    _mm_storeu_si128 (
        (__m128i *) (to + i), _mm_sub_epi16 (_mm_cvtepu8_epi16 (v), low));
    i += 8;
  }
  if (i + 4 <= n) {
    v = _mm_loadu_si32 (x + i);
    _mm_storel_epi64 (
        (__m128i *) (to + i), _mm_sub_epi16 (_mm_cvtepu8_epi16 (v), low));
    i += 4;
  }
  for (; i < n; i++)
    to[i] = (int16_t) (x[i] - _mm_extract_epi16 (low, 0));
}

/* One column after another: [ky][channel] from input column @ix on. */
static void
fill_column (const QfConvShape *s, const uint8_t *x, int x_zero, int iy, int ix,
    int16_t *to)
{
  __m256i zero = _mm256_set1_epi16 ((short) x_zero);
  size_t c = (size_t) s->in_c;

  for (int ky = 0; ky < s->kernel_h; ky++, iy += s->dilation_h, to += c)
    if (iy < 0 || iy >= s->in_h || ix < 0 || ix >= s->in_w)
      memset (to, 0, c * sizeof *to);
    else
      widen (x + ((size_t) iy * s->in_w + (size_t) ix) * c, s->in_c, zero, to);
}

/* The columns of @w windows of output row @oy from window @ox on, as
 * columns.h has them. */
static void
fill_span (const QfConvShape *s, const QfColumns *l, const uint8_t *x,
    int x_zero, int oy, int ox, int w, int16_t *to)
{
  int iy = oy * s->stride_h - s->pad_top, ix = ox * s->stride_w - s->pad_left;

  if (l->shared) {
    for (int i = 0; i < (w - 1) * s->stride_w + s->kernel_w; i++)
      fill_column (s, x, x_zero, iy, ix + i, to + (size_t) i * l->column);
    return;
  }
  for (int i = 0; i < w; i++, ix += s->stride_w)
    for (int kx = 0; kx < s->kernel_w; kx++, to += l->column)
      fill_column (s, x, x_zero, iy, ix + kx * s->dilation_w, to);
}

void
qf_conv_dense_parts_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, const QfPart *parts, int n,
    uint8_t *y, void *scratch)
{
  QfColumns l = qf_columns (s, sizeof (int16_t));
  int16_t *columns = scratch;
  size_t have = 0;
  Windows v = { .s = s,
    .r = r,
    .codes = qf_codes_avx2_new (r),
    .w = packed,
    .runs = 1,
    .pairs = (l.k + 1) / 2 };

  for (int i = 0; i < n; i++)
    for (int oy = parts[i].y; oy < parts[i].y + parts[i].h; oy++) {
      int w = parts[i].w;

      if (have * sizeof (int16_t) > QF_TILE_BYTES || v.n + w > WINDOWS) {
        y = flush (&v, y);
        have = 0;
      }
      fill_span (s, &l, x, x_zero, oy, parts[i].x, w, columns + have);
      for (int k = 0; k < w; k++)
        v.x[v.n++] = columns + have + (size_t) k * l.pixel;
      have += (size_t) (w - 1) * l.pixel + l.k;
      columns[have] = 0;
    }
  flush (&v, y);
}

/* Few input channels: a run in each of the window's rows (conv_few_avx2.c). --
 */

/* Elements of a widened row of the widest part, and one that is read beyond. */
static size_t
few_row (const QfConvShape *s)
{
  return ((size_t) (QF_PART_W - 1) * s->stride_w + s->kernel_w) * s->in_c + 1;
}

static int
few_rows (const QfConvShape *s, int h)
{
  return (h - 1) * s->stride_h + (s->kernel_h - 1) * s->dilation_h + 1;
}

static size_t
few_scratch_size (const QfConvShape *s)
{
  return QF_TILE_BYTES +
      few_rows (s, QF_PART_H) * few_row (s) * sizeof (int16_t);
}

/* @n pixels of input row @iy from column @ix on, widened; and one element more.
 */
static void
few_fill (const QfConvShape *s, const uint8_t *x, int x_zero, int iy, int ix,
    int n, int16_t *to)
{
  int c = s->in_c, from = ix < 0 ? -ix : 0;
  int end = s->in_w - ix < n ? s->in_w - ix : n;
  const uint8_t *row;

  if (iy < 0 || iy >= s->in_h || end <= from) {
    memset (to, 0, ((size_t) n * c + 1) * sizeof *to);
    return;
  }
  row = x + ((size_t) iy * s->in_w + (size_t) (ix + from)) * c;
  memset (to, 0, (size_t) from * c * sizeof *to);
  to += (size_t) from * c;
  for (int i = 0; i < (end - from) * c; i++)
    to[i] = (int16_t) (row[i] - x_zero);
  to += (size_t) (end - from) * c;
  memset (to, 0, ((size_t) (n - end) * c + 1) * sizeof *to);
}

static void
few_parts (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, const QfPart *parts, int n,
    uint8_t *y, void *scratch)
{
  int16_t *rows = scratch;
  size_t row = few_row (s), have = 0;
  Windows v = { .s = s,
    .r = r,
    .codes = qf_codes_avx2_new (r),
    .w = packed,
    .runs = s->kernel_h,
    .step = (size_t) s->dilation_h * row,
    .pairs = ((size_t) s->kernel_w * s->in_c + 1) / 2 };

  for (int i = 0; i < n; i++) {
    const QfPart *p = &parts[i];
    int pixels = (p->w - 1) * s->stride_w + s->kernel_w;

    if (have * sizeof (int16_t) > QF_TILE_BYTES ||
        v.n + p->h * p->w > WINDOWS) {
      y = flush (&v, y);
      have = 0;
    }
    for (int h = 0; h < few_rows (s, p->h); h++)
      few_fill (s, x, x_zero, p->y * s->stride_h - s->pad_top + h,
          p->x * s->stride_w - s->pad_left, pixels,
          rows + have + (size_t) h * row);
    for (int h = 0; h < p->h; h++)
      for (int k = 0; k < p->w; k++)
        v.x[v.n++] = rows + have + (size_t) (h * s->stride_h) * row +
            (size_t) (k * s->stride_w) * s->in_c;
    have += (size_t) few_rows (s, p->h) * row;
  }
  flush (&v, y);
}

/* ------------------------------------------------------------------------- */

const QfConvParts *
qf_conv_parts_avx2 (
    void (*run) (const QfConvShape *s, const uint8_t *x, int x_zero,
        const void *packed, QfConvOut out, int row0, int row1, void *scratch))
{
  static const QfConvParts table[] = {
    { qf_conv_few_avx2, 1, 0, few_scratch_size, few_parts },
    { qf_conv_wino_avx2, 4, QF_WINO_PIXELS,
        qf_conv_wino_parts_avx2_scratch_size, qf_conv_wino_parts_avx2 },
    { qf_conv_point_avx2, 1, 0, qf_conv_point_parts_avx2_scratch_size,
        qf_conv_point_parts_avx2 },
    { qf_conv_dense_avx2, 1, 0, qf_conv_dense_parts_avx2_scratch_size,
        qf_conv_dense_parts_avx2 },
  };

  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (table[i].run == run)
      return &table[i];
  return NULL;
}
