/* libqfuse: int32 sums to codes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/requant.h"
#include "kernels/c/round.h"

#include <stddef.h>

void
QF_T (requant_s32_u8) (const QfRequant *r, const int32_t *restrict acc,
    uint8_t *restrict y, int pixels, int channels)
{
  float lo = (float) (r->lo - r->zero), hi = (float) (r->hi - r->zero);
  const float *mult = r->mult;
  const int32_t *bias = r->bias;
  int zero = r->zero;

  for (int p = 0; p < pixels; p++) {
    const int32_t *a = acc + (size_t) p * channels;
    uint8_t *to = y + (size_t) p * channels;

    for (int c = 0; c < channels; c++) {
      int32_t sum = bias ? a[c] + bias[c] : a[c];

      to[c] = qf_to_code ((float) sum * mult[c], lo, hi, zero);
    }
  }
  if (r->table)
    for (size_t i = 0; i < (size_t) pixels * (size_t) channels; i++)
      y[i] = r->table[y[i]];
}
