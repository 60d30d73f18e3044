/* libqfuse: int8 convolution of few input channels, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What first layers are. The input rows of an output row are widened as they
 * are; a window is one run of elements in each of them. Exact: docs/numerics.md
 * (4). */
#include "kernels/x86/tile_avx2.h"

enum
{
  CHANNELS = 7, /* of the input, at most: with more, whole windows are faster */
  BEYOND = 1    /* elements that a run of an odd number reads too much */
};

int
qf_conv_few_avx2_can (const QfConvShape *s)
{
  return s->groups == 1 && s->in_c <= CHANNELS && s->kernel_w > 1 &&
      s->dilation_w == 1 && s->out_c > 2;
}

static size_t
pairs_of (const QfConvShape *s)
{
  return ((size_t) s->kernel_w * s->in_c + 1) / 2;
}

/* Elements of a widened row. */
static size_t
row_of (const QfConvShape *s)
{
  return ((size_t) (s->out_w - 1) * s->stride_w + s->kernel_w) * s->in_c +
      BEYOND;
}

/* [block][ky][pairs][8 or 16 channels][2] int16. */
size_t
qf_conv_few_avx2_packed_size (const QfConvShape *s)
{
  size_t channels = ((size_t) s->out_c + QF_TILE_NARROW - 1) / QF_TILE_NARROW *
      QF_TILE_NARROW;

  return channels * s->kernel_h * pairs_of (s) * 2 * sizeof (int16_t);
}

void
qf_conv_few_avx2_pack (const QfConvShape *s, const int8_t *w, void *packed)
{
  int16_t *p = packed;
  size_t pairs = pairs_of (s);

  memset (packed, 0, qf_conv_few_avx2_packed_size (s));
  for (int o = 0; o < s->out_c; o++) {
    int first = o / QF_TILE_Y * QF_TILE_Y;
    size_t width = (size_t) qf_tile_width (s->out_c, first);
    int16_t *to = p + (size_t) first * s->kernel_h * pairs * 2;

    for (int c = 0; c < s->in_c; c++)
      for (int ky = 0; ky < s->kernel_h; ky++)
        for (int kx = 0; kx < s->kernel_w; kx++) {
          size_t k = (size_t) kx * s->in_c + c;

          to[((ky * pairs + k / 2) * width + (size_t) (o - first)) * 2 +
              k % 2] = *w++;
        }
  }
}

size_t
qf_conv_few_avx2_scratch_size (const QfConvShape *s)
{
  return s->kernel_h * row_of (s) * sizeof (int16_t);
}

void
qf_conv_few_avx2_grain (const QfConvShape *s, int *rows, int *channels)
{
  (void) s;
  *rows = 1;
  *channels = QF_TILE_Y;
}

static void
widen (const uint8_t *x, size_t n, int zero, int16_t *to)
{
  __m256i z = _mm256_set1_epi16 ((short) zero);
  size_t i = 0;

  for (; i + 16 <= n; i += 16) {
    __m128i v = _mm_loadu_si128 ((const __m128i *) (x + i));

    _mm256_storeu_si256 (
        (__m256i *) (to + i), _mm256_sub_epi16 (_mm256_cvtepu8_epi16 (v), z));
  }
  for (; i < n; i++)
    to[i] = (int16_t) (x[i] - zero);
}

/* Input row @iy with its borders. */
static void
fill (const QfConvShape *s, const uint8_t *x, int zero, int iy, int16_t *to)
{
  size_t all = row_of (s), left = (size_t) s->pad_left * s->in_c;
  size_t row = (size_t) s->in_w * s->in_c, n;

  if (iy < 0 || iy >= s->in_h || left >= all) {
    memset (to, 0, all * sizeof *to);
    return;
  }
  n = row < all - left ? row : all - left;
  memset (to, 0, left * sizeof *to);
  widen (x + (size_t) iy * row, n, zero, to + left);
  memset (to + left + n, 0, (all - left - n) * sizeof *to);
}

/* One output row of one block of channels. */
static void
block (const QfConvShape *s, const int16_t *rows, const int16_t *w, int o,
    const QfConvOut *out, const QfCodesAvx2 *codes, size_t at)
{
  int left = s->out_c - o, wide = qf_tile_width (s->out_c, o) == QF_TILE_Y;
  int tiles = 0;
  size_t pixel = (size_t) s->stride_w * s->in_c;
  float mult[QF_TILE_Y] = { 0 };
  int32_t start[QF_TILE_Y] = { 0 };
  QfTileOut t = { out, codes, mult, start, at + (size_t) o, (size_t) s->out_c,
    0, left < QF_TILE_Y ? left : QF_TILE_Y };

  for (int i = 0; out->r && i < t.channels; i++) {
    mult[i] = out->r->mult[o + i];
    start[i] = out->r->bias ? out->r->bias[o + i] : 0;
  }
  if (t.channels == QF_TILE_Y) {
    tiles = s->out_w / QF_TILE_X;
    qf_tile_line_avx2 (
        rows, pixel, s->kernel_h, row_of (s), w, pairs_of (s), tiles, &t);
    t.at += (size_t) tiles * QF_TILE_X * t.step;
  }
  for (int p = tiles * QF_TILE_X; p < s->out_w; p += QF_TILE_X) {
    const int16_t *x[QF_TILE_X];

    t.n = s->out_w - p < QF_TILE_X ? s->out_w - p : QF_TILE_X;
    for (int i = 0; i < QF_TILE_X; i++)
      x[i] = rows + (size_t) (p + (i < t.n ? i : 0)) * pixel;
    qf_tile_run_avx2 (x, s->kernel_h, row_of (s), w, pairs_of (s), wide, &t);
    t.at += QF_TILE_X * t.step;
  }
}

void
qf_conv_few_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch)
{
  int16_t *rows = scratch;
  QfCodesAvx2 k = { 0 };

  if (out.r)
    k = qf_codes_avx2_new (out.r);
  for (int oy = row0; oy < row1; oy++) {
    size_t at = (size_t) (oy - row0) * s->out_w * s->out_c;

    for (int ky = 0; ky < s->kernel_h; ky++)
      fill (s, x, x_zero, oy * s->stride_h - s->pad_top + ky * s->dilation_h,
          rows + (size_t) ky * row_of (s));
    for (int o = out.c0; o < out.c1; o += QF_TILE_Y)
      block (s, rows,
          (const int16_t *) packed +
              (size_t) o * s->kernel_h * pairs_of (s) * 2,
          o, &out, &k, at);
  }
}
