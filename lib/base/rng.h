/* libqfuse: a small random generator with the same numbers on every machine.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
 * generators, OOPSLA 2014). State is one 64-bit number: easy to checkpoint. */
#pragma once

#include <stdint.h>

typedef struct
{
  uint64_t state;
} QfRng;

static inline uint64_t
qf_rng_next (QfRng *rng)
{
  uint64_t z = (rng->state += UINT64_C (0x9e3779b97f4a7c15));

  z = (z ^ (z >> 30)) * UINT64_C (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/** In [0, 1), 53 bits. */
static inline double
qf_rng_uniform (QfRng *rng)
{
  return (double) (qf_rng_next (rng) >> 11) * 0x1p-53;
}

/** In [0, @n), @n ≥ 1. The bias is under 2^-32 for any n a caller has. */
static inline uint32_t
qf_rng_below (QfRng *rng, uint32_t n)
{
  return (uint32_t) (((qf_rng_next (rng) >> 32) * (uint64_t) n) >> 32);
}
