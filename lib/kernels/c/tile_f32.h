/* libqfuse: the register tile of convolutions in float32.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Four windows times eight or sixteen output channels. Every sum runs over k in
 * rising order, one rounding a product and one a sum, so each tier's tile gives
 * the same bits. Weights are packed as [out_c / 8][k][8]. */
#pragma once

#include <stddef.h>
#include <string.h>

#ifdef __AVX__
#define QF_LANES 8
#else
#define QF_LANES 4
#endif

enum
{
  QF_TILE_PIXELS = 4,
  QF_TILE_OC = 8, /* channels of one block of packed weights */
  QF_TILE_OC_MAX = 2 * QF_LANES
};

typedef float QfVec
    __attribute__ ((vector_size (4 * QF_LANES), aligned (4), may_alias));

/* Adds to sums[4][2·QF_LANES] at @sums; the second vector of weights starts at
 * @w + @second. @x: four windows. */
static inline void
qf_tile_f32 (
    const float *const *x, const float *w, size_t second, size_t k, float *sums)
{
  const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
  QfVec *s = (QfVec *) sums;
  QfVec a0 = s[0], a1 = s[1], b0 = s[2], b1 = s[3];
  QfVec c0 = s[4], c1 = s[5], d0 = s[6], d1 = s[7];

  for (size_t i = 0; i < k; i++) {
    QfVec w0 = *(const QfVec *) (w + i * QF_TILE_OC);
    QfVec w1 = *(const QfVec *) (w + second + i * QF_TILE_OC);

    a0 += x0[i] * w0;
    a1 += x0[i] * w1;
    b0 += x1[i] * w0;
    b1 += x1[i] * w1;
    c0 += x2[i] * w0;
    c1 += x2[i] * w1;
    d0 += x3[i] * w0;
    d1 += x3[i] * w1;
  }
  s[0] = a0;
  s[1] = a1;
  s[2] = b0;
  s[3] = b1;
  s[4] = c0;
  s[5] = c1;
  s[6] = d0;
  s[7] = d1;
}
