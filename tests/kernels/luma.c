/* Kernel tests: luma of pixels.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

int
check_luma_rgb_u8 (const QfKernels *k, QfRng *rng)
{
  static const uint8_t places[][4] = { { 3, 0, 1, 2 }, { 3, 2, 1, 0 },
    { 4, 0, 1, 2 }, { 4, 2, 1, 0 }, { 4, 1, 2, 3 }, { 4, 3, 2, 1 } };

  for (int i = 0, n_rounds = check_rounds (1200); i < n_rounds; i++) {
    const uint8_t *at = places[i % 6];
    int n = i < 600 ? i / 6 : check_int (rng, 0, 300), ok = 1;
    size_t bytes = (size_t) n * at[0];
    uint8_t *p = check_alloc (rng, bytes), *y = check_alloc (rng, (size_t) n);

    check_codes (rng, p, bytes, i & 1);
    k->luma_rgb_u8 (p, at[0], at[1], at[2], at[3], y, (size_t) n);
    for (int x = 0; x < n; x++) {
      const uint8_t *q = p + (size_t) x * at[0];

      ok &= y[x] ==
          16 +
              (8414 * q[at[1]] + 16520 * q[at[2]] + 3208 * q[at[3]] + 16384) /
                  32768;
    }
    ok &= check_free (p, "pixels") & check_free (y, "luma");
    if (!ok)
      return CHECK_FAIL ("%d pixels of %d bytes", n, at[0]);
  }
  return 1;
}

/* In place too. */
static int
check_full (const QfKernels *k, QfRng *rng, int n)
{
  uint8_t *p = check_alloc (rng, (size_t) n),
          *y = check_alloc (rng, (size_t) n);
  int ok = 1;

  check_codes (rng, p, (size_t) n, 0);
  k->luma_full_u8 (p, y, (size_t) n);
  for (int x = 0; x < n; x++)
    ok &= y[x] == 16 + (2 * 219 * p[x] + 255) / 510;
  k->luma_full_u8 (p, p, (size_t) n);
  ok &= memcmp (p, y, (size_t) n) == 0;
  return ok & check_free (p, "y") & check_free (y, "luma");
}

static int
check_words (const QfKernels *k, QfRng *rng, int n)
{
  size_t even = n > 0 ? 2 * (size_t) n - 1 : 0;
  uint8_t *p = check_alloc (rng, even), *q = check_alloc (rng, 2 * (size_t) n);
  uint8_t *y = check_alloc (rng, (size_t) n);
  int ok = 1;

  check_codes (rng, p, even, 0);
  k->even_u8 (p, y, (size_t) n);
  for (int x = 0; x < n; x++)
    ok &= y[x] == p[2 * x];
  check_codes (rng, q, 2 * (size_t) n, 0);
  k->ten_bits_u8 (q, y, (size_t) n);
  for (int x = 0; x < n; x++)
    ok &= y[x] == (uint8_t) ((q[2 * x] | q[2 * x + 1] << 8) / 4);
  return ok & check_free (p, "bytes") & check_free (q, "words") &
      check_free (y, "y");
}

int
check_luma_bytes (const QfKernels *k, QfRng *rng)
{
  for (int i = 0, n_rounds = check_rounds (400); i < n_rounds; i++) {
    int n = i < 200 ? i : check_int (rng, 0, 3000);

    if (!check_full (k, rng, n) || !check_words (k, rng, n))
      return CHECK_FAIL ("%d pixels", n);
  }
  return 1;
}
