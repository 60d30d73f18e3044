/* libqfuse: rounding that vectorizes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* To nearest, ties to even, for |v| ≤ 2^22: docs/numerics.md (6). */
static inline int32_t
qf_round_even (float v)
{
  union
  {
    float f;
    int32_t i;
  } u = { v + 0x1.8p23f };

  return u.i - 0x4b400000;
}

/* clamp(rne(v) + zero), lo … hi, for any v: docs/numerics.md (7). Clamping
 * before rounding gives the same codes, because the bounds are whole numbers.
 */
static inline uint8_t
qf_to_code (float v, float lo, float hi, int zero)
{
  v = v > lo ? v : lo;
  v = v < hi ? v : hi;
  return (uint8_t) (qf_round_even (v) + zero);
}

static inline float
qf_clip (float v, float lo, float hi)
{
  v = v > lo ? v : lo;
  return v < hi ? v : hi;
}
