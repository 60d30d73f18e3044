/* libqfuse: int32 sums to codes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/requant.h"

/* Rounds to nearest, ties to even, for |v| ≤ 2^22: docs/numerics.md (7). */
static inline int32_t
round_even (float v)
{
  union
  {
    float f;
    int32_t i;
  } u = { v + 0x1.8p23f };

  return u.i - 0x4b400000;
}

/* docs/numerics.md (6): clamping before rounding gives the same codes, because
 * the bounds are whole numbers, and keeps |v| ≤ 255. */
void
QF_T (requant_s32_u8) (const QfRequant *r, const int32_t *acc, uint8_t *y,
                       int pixels, int channels)
{
  float lo = (float)(r->lo - r->zero), hi = (float)(r->hi - r->zero);
  const float *mult = r->mult;
  int zero = r->zero;
  const int32_t *bias = r->bias;
  size_t n = (size_t)pixels * (size_t)channels;

  for (int p = 0; p < pixels; p++) {
    const int32_t *a = acc + (size_t)p * channels;
    uint8_t *to = y + (size_t)p * channels;

    for (int c = 0; c < channels; c++) {
      float v = (float)(bias ? a[c] + bias[c] : a[c]) * mult[c];

      v = v > lo ? v : lo;
      v = v < hi ? v : hi;
      to[c] = (uint8_t)(round_even (v) + zero);
    }
  }
  if (r->table)
    for (size_t i = 0; i < n; i++)
      y[i] = r->table[y[i]];
}
