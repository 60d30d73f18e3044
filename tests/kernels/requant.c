/* Kernel tests: requantization.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

#include <math.h>

static uint8_t
naive (const QfRequant *r, int32_t acc, int c)
{
  float v = (float) (acc + (r->bias ? r->bias[c] : 0)) * r->mult[c];
  double q = nearbyint ((double) v) + r->zero;

  q = q < r->lo ? r->lo : q > r->hi ? r->hi : q;
  return r->table ? r->table[(int) q] : (uint8_t) q;
}

/* Sums: anything, near a tie after scaling, or at the ends. */
static int32_t
random_sum (QfRng *rng, float mult, int kind)
{
  if (kind == 0)
    return (int32_t) ((uint32_t) (qf_rng_next (rng) >> 32)) / 2;
  if (kind == 1)
    return (int32_t) lrint (
               (check_int (rng, -300, 300) + 0.5) / (double) mult) +
        check_int (rng, -1, 1);
  return check_int (rng, 0, 1) ? INT32_MAX / 2 : INT32_MIN / 2;
}

static int
check_one (const QfKernels *k, QfRng *rng, int pixels, int channels)
{
  size_t n = (size_t) pixels * channels;
  int32_t *acc = check_alloc (rng, n * 4);
  int32_t *bias = check_alloc (rng, (size_t) channels * 4);
  float *mult = check_alloc (rng, (size_t) channels * 4);
  uint8_t table[256], *y = check_alloc (rng, n);
  int kind = check_int (rng, 0, 2), ok = 1;
  QfRequant r = { bias, mult, check_int (rng, 0, 255), 0, 255, NULL };

  check_codes (rng, table, sizeof table, 0);
  for (int c = 0; c < channels; c++) {
    int power = check_int (rng, 1, 12);

    bias[c] = check_int (rng, -100000, 100000);
    /* powers of two make exact ties */
    mult[c] = check_int (rng, 0, 1)
        ? ldexpf (1, -power)
        : ldexpf ((float) qf_rng_uniform (rng) + 0.5f, -power);
  }
  if (check_int (rng, 0, 1)) {
    r.lo = check_int (rng, 0, 255);
    r.hi = check_int (rng, r.lo, 255);
  }
  if (check_int (rng, 0, 3) == 0)
    r.bias = NULL;
  if (check_int (rng, 0, 3) == 0)
    r.table = table;
  for (size_t i = 0; i < n; i++)
    acc[i] = random_sum (rng, mult[i % channels], kind);
  k->requant_s32_u8 (&r, acc, y, pixels, channels);
  for (size_t i = 0; i < n && ok; i++) {
    int c = (int) (i % channels);
    uint8_t want = naive (&r, acc[i], c);

    if (y[i] != want)
      ok = CHECK_FAIL ("(%d + %d)·%a, zero %d: %d, not %d", acc[i],
          r.bias ? bias[c] : 0, mult[c], r.zero, y[i], want);
  }
  ok &= check_free (acc, "acc") & check_free (bias, "bias");
  return ok & check_free (mult, "mult") & check_free (y, "y");
}

int
check_requant (const QfKernels *k, QfRng *rng)
{
  for (int i = 0, n_rounds = check_rounds (500); i < n_rounds; i++)
    if (!check_one (k, rng, check_int (rng, 1, 40), check_int (rng, 1, 70)))
      return 0;
  return 1;
}
