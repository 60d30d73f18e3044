/* libqfuse: max pooling, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * 32 channels of a window stay in a register; the last 32 overlap the ones
 * before. */
#include "kernels/c/pool.h"
#include "kernels/x86/avx2.h"
#include "kernels/x86/eltwise.h"

enum
{
  STEP = 32
};

/* Taps [*k0, *k1) of a window that starts at @at lie inside. */
static inline void
clip_taps (int at, int in, int kernel, int dilation, int *k0, int *k1)
{
  *k0 = at < 0 ? (-at + dilation - 1) / dilation : 0;
  *k1 = in > at ? (in - at + dilation - 1) / dilation : 0;
  *k1 = *k1 < kernel ? *k1 : kernel;
}

/* The greatest of @h x @w pixels, channels @y's count of them. */
static inline void
window (const uint8_t *x, size_t row, size_t pixel, int h, int w, int channels,
    uint8_t *y)
{
  for (int at = 0; at < channels; at += STEP) {
    int c = at + STEP <= channels ? at : channels - STEP;
    __m256i most = _mm256_setzero_si256 ();

    for (int i = 0; i < h; i++) {
      const uint8_t *p = x + (size_t) i * row + c;

      for (int j = 0; j < w; j++, p += pixel)
        most = _mm256_max_epu8 (most, _mm256_loadu_si256 ((const __m256i *) p));
    }
    _mm256_storeu_si256 ((__m256i *) (y + c), most);
  }
}

void
qf_max_pool_u8_avx2 (
    const QfConvShape *s, const uint8_t *x, uint8_t *y, int row0, int row1)
{
  size_t pixel = (size_t) s->in_c, row = (size_t) s->in_w * pixel;

  if (s->in_c < STEP) {
    QF_T (max_pool_u8) (s, x, y, row0, row1);
    return;
  }
  for (int oy = row0; oy < row1; oy++) {
    int y0 = oy * s->stride_h - s->pad_top, ky0, ky1;

    clip_taps (y0, s->in_h, s->kernel_h, s->dilation_h, &ky0, &ky1);
    for (int ox = 0; ox < s->out_w; ox++, y += pixel) {
      int x0 = ox * s->stride_w - s->pad_left, kx0, kx1;

      clip_taps (x0, s->in_w, s->kernel_w, s->dilation_w, &kx0, &kx1);
      window (x + (size_t) (y0 + ky0 * s->dilation_h) * row +
              (size_t) (x0 + kx0 * s->dilation_w) * pixel,
          row * (size_t) s->dilation_h, pixel * (size_t) s->dilation_w,
          ky1 - ky0, kx1 - kx0, s->in_c, y);
    }
  }
}
