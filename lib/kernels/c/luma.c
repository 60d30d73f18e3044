/* libqfuse: luma of pixels (docs/numerics.md, V1 to V3).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/luma.h"

/* Inlined with constants. */
static inline __attribute__ ((always_inline)) void
rgb (const uint8_t *restrict p, int step, int r, int g, int b,
    uint8_t *restrict luma, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    const uint8_t *q = p + i * (size_t) step;

    luma[i] = (uint8_t) ((QF_LUMA_R * q[r] + QF_LUMA_G * q[g] +
                             QF_LUMA_B * q[b] + QF_LUMA_OFFSET) >>
        15);
  }
}

void
QF_T (luma_rgb_u8) (
    const uint8_t *p, int step, int r, int g, int b, uint8_t *luma, size_t n)
{
  if (step == 3 && r == 0)
    rgb (p, 3, 0, 1, 2, luma, n);
  else if (step == 3)
    rgb (p, 3, 2, 1, 0, luma, n);
  else if (r == 0)
    rgb (p, 4, 0, 1, 2, luma, n);
  else if (r == 2)
    rgb (p, 4, 2, 1, 0, luma, n);
  else if (r == 1)
    rgb (p, 4, 1, 2, 3, luma, n);
  else
    rgb (p, 4, 3, 2, 1, luma, n);
}

void
QF_T (luma_full_u8) (const uint8_t *y, uint8_t *luma, size_t n)
{
  for (size_t i = 0; i < n; i++)
    luma[i] = (uint8_t) (((QF_LUMA_R + QF_LUMA_G + QF_LUMA_B) * y[i] +
                             QF_LUMA_OFFSET) >>
        15);
}

void
QF_T (even_u8) (const uint8_t *restrict p, uint8_t *restrict y, size_t n)
{
  for (size_t i = 0; i < n; i++)
    y[i] = p[2 * i];
}

void
QF_T (ten_bits_u8) (const uint8_t *restrict p, uint8_t *restrict y, size_t n)
{
  for (size_t i = 0; i < n; i++)
    y[i] = (uint8_t) (p[2 * i] >> 2 | p[2 * i + 1] << 6);
}
