/* Kernel tests: difference planes and means.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

/* d with dead band and opening, by the words of the definition. */
static int
naive_d (const QfDifference *p, const uint8_t *now, const uint8_t *then, int x,
    int y)
{
  int w = p->width, d = now[y * w + x] - then[y * w + x];

  if (p->threshold == 0)
    return d;
  for (int by = y - 1; by <= y; by++)
    for (int bx = x - 1; bx <= x; bx++) {
      int all = bx >= 0 && by >= 0 && bx + 1 < w && by + 1 < p->height;

      for (int i = 0; all && i < 4; i++) {
        int at = (by + i / 2) * w + bx + i % 2;

        all = abs (now[at] - then[at]) > p->threshold;
      }
      if (all)
        return d;
    }
  return 0;
}

static int
clamp_byte (int v)
{
  return v < 0 ? 0 : v > 255 ? 255 : v;
}

static int
same (const QfDifference *d, const uint8_t *now, const uint8_t *then)
{
  int ok = 1;

  for (int y = 0; y < d->height; y++)
    for (int x = 0; x < d->width; x++) {
      int v = naive_d (d, now, then, x, y);

      for (int i = 0; i < d->n; i++) {
        const QfDifferencePlane *p = &d->planes[i];

        ok &= p->out[y * d->width + x] ==
            clamp_byte (
                p->magnitude ? p->gain * abs (v) : 128 + p->gain * v / 2);
      }
    }
  return ok;
}

/* Moving pixels lie in patches, so that blocks of 2x2 are often whole. */
static void
fill (QfRng *rng, uint8_t *now, uint8_t *then, size_t n, int kind)
{
  check_codes (rng, now, n, kind == 1);
  check_codes (rng, then, n, kind == 1);
  if (kind == 2)
    for (size_t i = 0; i < n; i++)
      if (check_int (rng, 0, 2))
        then[i] = (uint8_t) (255 - now[i]);
}

int
check_difference (const QfKernels *k, QfRng *rng)
{
  static const int thresholds[] = { 0, 1, 8, 60, 127, 128, 254, 255 };
  static const int gains[] = { 1, 2, 3, 7, 128, 129, 255 };

  for (int i = 0, n_rounds = check_rounds (1000); i < n_rounds; i++) {
    QfDifferencePlane planes[4];
    QfDifference d = { i < 300 ? i / 3 + 1 : check_int (rng, 1, 300),
      check_int (rng, 1, 7), thresholds[i % 8], check_int (rng, 1, 4), planes };
    size_t n = (size_t) d.width * d.height;
    uint8_t *now = check_alloc (rng, n), *then = check_alloc (rng, n);
    void *scratch = check_alloc (rng, k->difference_scratch_size (d.width));
    int ok;

    for (int p = 0; p < d.n; p++)
      planes[p] = (QfDifferencePlane){ check_int (rng, 0, 1),
        gains[check_int (rng, 0, 6)], check_alloc (rng, n) };
    fill (rng, now, then, n, i % 3);
    k->difference_u8 (&d, now, then, scratch);
    ok = same (&d, now, then) & check_free (now, "now") &
        check_free (then, "then") & check_free (scratch, "scratch");
    for (int p = 0; p < d.n; p++)
      ok &= check_free (planes[p].out, "plane");
    if (!ok)
      return CHECK_FAIL ("%dx%d, dead band %d, %d planes", d.width, d.height,
          d.threshold, d.n);
  }
  return 1;
}

int
check_mean (const QfKernels *k, QfRng *rng)
{
  for (int divisor = 1; divisor <= 250; divisor++) {
    int most = 255 * divisor, n = check_int (rng, 1, 400), ok = 1;
    uint16_t *sum = check_alloc (rng, (size_t) n * sizeof *sum);
    uint16_t *more = check_alloc (rng, (size_t) n * sizeof *more);
    uint8_t *then = check_alloc (rng, (size_t) n);
    int times = check_int (rng, -250, 250);

    for (int i = 0; i < n; i++)
      sum[i] = (uint16_t) (i < 3 ? most - i : check_int (rng, 0, most));
    k->mean_u16_u8 (sum, divisor, then, (size_t) n);
    for (int i = 0; i < n; i++)
      ok &= then[i] == (sum[i] + divisor / 2) / divisor;
    memcpy (more, sum, (size_t) n * sizeof *sum);
    k->add_times_u16 (more, then, times, (size_t) n);
    for (int i = 0; i < n; i++)
      ok &= more[i] == (uint16_t) (sum[i] + times * then[i]);
    ok &= check_free (sum, "sum") & check_free (more, "sum") &
        check_free (then, "then");
    if (!ok)
      return CHECK_FAIL ("%d numbers by %d, times %d", n, divisor, times);
  }
  return 1;
}
