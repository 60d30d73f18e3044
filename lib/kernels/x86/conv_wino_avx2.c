/* libqfuse: int8 3x3 convolution by Winograd's F(4x4, 3x3), exact, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/tile_avx2.h"
#include "kernels/x86/wino_avx2.h"

/* Functions of their own, whose every register is the tile's. */
static __attribute__ ((noinline)) void
multiply_sixes (
    const int16_t *v, size_t ic, const int16_t *w, int n, int32_t *m)
{
  for (int i = 0; i + QF_TILE_X <= n; i += QF_TILE_X)
    qf_wino_multiply_avx2 (
        v + (size_t) i * ic, ic, w, QF_TILE_X, m + (size_t) i * QF_TILE_Y);
}

static __attribute__ ((noinline)) void
multiply_rest (const int16_t *v, size_t ic, const int16_t *w, int n, int32_t *m)
{
  qf_wino_multiply_avx2 (v, ic, w, n, m);
}

/* @n tiles' inputs, @ic elements each, times 16 channels' weights. */
static inline void
qf_wino_multiply (
    const int16_t *v, size_t ic, const int16_t *w, int n, int32_t *m)
{
  int rest = n % QF_TILE_X, sixes = n - rest;

  multiply_sixes (v, ic, w, sixes, m);
  if (rest > 0)
    multiply_rest (
        v + (size_t) sixes * ic, ic, w, rest, m + (size_t) sixes * QF_TILE_Y);
}

typedef __m256i QfWinoVec;
typedef QfCodesAvx2 QfWinoCodes;
#define qf_codes_new qf_codes_avx2_new
#define qf_wino_input qf_wino_input_avx2
#define qf_wino_output qf_wino_output_avx2
#define qf_wino_store qf_wino_store_avx2

#define QF_WINO_X QF_TILE_X
#define QF_WINO_Y QF_TILE_Y
#define QF_WINO_LANES 8
#define QF_WINO_IN 16
#define QF_WINO_BYTES (300 * 1024) /* L2 has 512 KiB */
#define QF_WINO_WORTH (2.0 / 3)
#define QF_WINO(name) qf_conv_wino_avx2_##name
#define QF_WINO_RUN qf_conv_wino_avx2
#define QF_WINO_DENSE(name) qf_conv_dense_avx2_##name
#define QF_WINO_DENSE_RUN qf_conv_dense_avx2
#include "kernels/x86/conv_wino.h"

size_t
qf_conv_wino_parts_avx2_scratch_size (const QfConvShape *s)
{
  size_t own = qf_conv_wino_avx2_scratch_size (s);
  size_t dense = qf_conv_dense_parts_avx2_scratch_size (s);

  return own > dense ? own : dense;
}

/* Tiles of all parts, chunk by chunk. */
void
qf_conv_wino_parts_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, const QfPart *parts, int n,
    uint8_t *y, void *scratch)
{
  QfConvOut out = { .r = r, .y = y, .c1 = s->out_c };
  Tile tiles[CHUNK_MOST];
  size_t at = 0;
  int pixels = 0;
  Job j;

  for (int i = 0; i < n && pixels < QF_WINO_PIXELS; i++)
    pixels += parts[i].h * parts[i].w;
  if (is_direct (packed) || pixels < QF_WINO_PIXELS) {
    qf_conv_dense_parts_avx2 (s, x, x_zero, (const uint8_t *) packed + HEADER,
        r, parts, n, y, scratch);
    return;
  }
  j = job (s, x, x_zero, packed, out, tiles, scratch);
  for (int i = 0; i < n; i++) {
    const QfPart *p = &parts[i];
    size_t row = (size_t) p->w * s->out_c;

    for (int ty = 0; ty < p->h; ty += OUT)
      for (int tx = 0; tx < p->w; tx += OUT) {
        if (j.n == j.z.chunk) {
          chunk (&j);
          j.n = 0;
        }
        tiles[j.n++] = tile (p->y + ty, p->x + tx, p->y + p->h, p->x + p->w,
            at + (size_t) ty * row + (size_t) tx * s->out_c, row);
      }
    at += (size_t) p->h * row;
  }
  if (j.n > 0)
    chunk (&j);
}
