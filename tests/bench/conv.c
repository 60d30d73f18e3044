/* Benchmark: the int8 convolution on one core, GMAC/s by tier.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/rng.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &t);
  return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static double
seconds (const QfKernels *k, const QfConvShape *s)
{
  size_t n_x = (size_t) s->in_h * s->in_w * s->in_c;
  size_t n_w =
      (size_t) s->out_c * s->in_c / s->groups * s->kernel_h * s->kernel_w;
  size_t n_y = (size_t) s->out_h * s->out_w * s->out_c;
  uint8_t *x = malloc (n_x), *y = malloc (n_y);
  int8_t *w = malloc (n_w);
  void *packed =
      aligned_alloc (64, (k->conv_s8_packed_size (s) + 63) / 64 * 64);
  void *scratch = malloc (k->conv_u8s8_scratch_size (s));
  float *mult = malloc ((size_t) s->out_c * 4);
  QfRequant r = { NULL, mult, 10, 0, 255, NULL };
  QfRng rng = { 1 };
  double best = 1e9, start = now ();

  for (size_t i = 0; i < n_x; i++)
    x[i] = (uint8_t) qf_rng_next (&rng);
  for (size_t i = 0; i < n_w; i++)
    w[i] = (int8_t) ((int) qf_rng_below (&rng, 255) - 127);
  for (int i = 0; i < s->out_c; i++)
    mult[i] = 1e-4f;
  k->conv_s8_pack (s, w, packed);
  do {
    double t = now ();

    k->conv_u8s8_u8 (
        s, x, 128, packed, &r, y, 0, s->out_h, 0, s->out_c, scratch);
    t = now () - t;
    best = t < best ? t : best;
  } while (now () - start < 0.3);
  free (x), free (y), free (w), free (packed), free (scratch);
  free (mult);
  return best;
}

int
main (void)
{
  static const char *const tiers[] = { "c", "avx2" };
  static const struct
  {
    const char *name;
    QfConvShape s;
  } layers[] = {
    { "3x3 64->64 80x80",
        { 80, 80, 64, 80, 80, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1 } },
    { "3x3/2 3->16 240x320",
        { 240, 320, 3, 120, 160, 16, 3, 3, 2, 2, 1, 1, 1, 1, 1 } },
    { "3x3/2 1->16 240x320",
        { 240, 320, 1, 120, 160, 16, 3, 3, 2, 2, 1, 1, 1, 1, 1 } },
    { "3x3 16->16 120x160",
        { 120, 160, 16, 120, 160, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1 } },
    { "3x3/2 32->64 60x80",
        { 60, 80, 32, 30, 40, 64, 3, 3, 2, 2, 1, 1, 1, 1, 1 } },
    { "3x3 256->256 10x10",
        { 10, 10, 256, 10, 10, 256, 3, 3, 1, 1, 1, 1, 1, 1, 1 } },
    { "1x1 64->64 80x80",
        { 80, 80, 64, 80, 80, 64, 1, 1, 1, 1, 0, 0, 1, 1, 1 } },
    { "1x1 256->256 20x20",
        { 20, 20, 256, 20, 20, 256, 1, 1, 1, 1, 0, 0, 1, 1, 1 } },
    { "1x1 32->8 40x40", { 40, 40, 32, 40, 40, 8, 1, 1, 1, 1, 0, 0, 1, 1, 1 } },
    { "dw3x3 64 80x80",
        { 80, 80, 64, 80, 80, 64, 3, 3, 1, 1, 1, 1, 1, 1, 64 } },
    { "dw3x3/2 16 120x160",
        { 120, 160, 16, 60, 80, 16, 3, 3, 2, 2, 1, 1, 1, 1, 16 } },
  };

  printf ("%-22s", "layer");
  for (int t = 0; t < 2; t++)
    printf ("%10s", tiers[t]);
  printf ("  GMAC/s with requantization, one core\n");
  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
    const QfConvShape *s = &layers[i].s;
    double macs = (double) s->out_h * s->out_w * s->out_c * s->in_c /
        s->groups * s->kernel_h * s->kernel_w;

    printf ("%-22s", layers[i].name);
    for (int t = 0; t < 2; t++) {
      const QfKernels *k = qf_kernels_tier (tiers[t]);

      if (k)
        printf ("%10.2f", macs / seconds (k, s) / 1e9);
    }
    printf ("\n");
  }
  return 0;
}
