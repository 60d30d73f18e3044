/* Kernel benchmark: least time of many runs, and the share of what this
 * processor's multipliers could do (peak.h).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"
#include "kernels/peak.h"

#include <time.h>

typedef struct
{
  const char *name;
  QfConvShape s;
} Layer;

static const Layer layers[] = {
  { "3x3 64>64 @80", { 80, 80, 64, 80, 80, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1 } },
  { "3x3 64>64 @40", { 40, 40, 64, 40, 40, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1 } },
  { "3x3 128>128 @20",
      { 20, 20, 128, 20, 20, 128, 3, 3, 1, 1, 1, 1, 1, 1, 1 } },
  { "3x3 32>32 @80", { 80, 80, 32, 80, 80, 32, 3, 3, 1, 1, 1, 1, 1, 1, 1 } },
  { "3x3 16>16 @160",
      { 160, 160, 16, 160, 160, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1 } },
  { "3x3 128>128 @7", { 7, 7, 128, 7, 7, 128, 3, 3, 1, 1, 1, 1, 1, 1, 1 } },
  { "3x3 256>256 @10",
      { 10, 10, 256, 10, 10, 256, 3, 3, 1, 1, 1, 1, 1, 1, 1 } },
  { "3x3/2 32>64 @80", { 80, 80, 32, 40, 40, 64, 3, 3, 2, 2, 1, 1, 1, 1, 1 } },
  { "3x3/2 3>16 @320",
      { 320, 320, 3, 160, 160, 16, 3, 3, 2, 2, 1, 1, 1, 1, 1 } },
  { "3x3/2 3>32 @224",
      { 224, 224, 3, 112, 112, 32, 3, 3, 2, 2, 1, 1, 1, 1, 1 } },
  { "3x3/2 1>16 @320",
      { 320, 320, 1, 160, 160, 16, 3, 3, 2, 2, 1, 1, 1, 1, 1 } },
  { "1x1 32>64 @112",
      { 112, 112, 32, 112, 112, 64, 1, 1, 1, 1, 0, 0, 1, 1, 1 } },
  { "1x1 128>128 @40",
      { 40, 40, 128, 40, 40, 128, 1, 1, 1, 1, 0, 0, 1, 1, 1 } },
  { "1x1 512>512 @14",
      { 14, 14, 512, 14, 14, 512, 1, 1, 1, 1, 0, 0, 1, 1, 1 } },
  { "1x1 1024>1024 @7", { 7, 7, 1024, 7, 7, 1024, 1, 1, 1, 1, 0, 0, 1, 1, 1 } },
  { "dw 64 @112", { 112, 112, 64, 112, 112, 64, 3, 3, 1, 1, 1, 1, 1, 1, 64 } },
  { "dw/2 64 @112", { 112, 112, 64, 56, 56, 64, 3, 3, 2, 2, 1, 1, 1, 1, 64 } },
  { "dw 16 @28", { 28, 28, 16, 28, 28, 16, 3, 3, 1, 1, 1, 1, 1, 1, 16 } },
  { "dw 512 @14", { 14, 14, 512, 14, 14, 512, 3, 3, 1, 1, 1, 1, 1, 1, 512 } },
  { "dw/2 512 @14", { 14, 14, 512, 7, 7, 512, 3, 3, 2, 2, 1, 1, 1, 1, 512 } },
  { "dw 1024 @7", { 7, 7, 1024, 7, 7, 1024, 3, 3, 1, 1, 1, 1, 1, 1, 1024 } },
};

static double
seconds (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static double
time_layer (const QfKernels *k, const QfConvShape *s, QfRng *rng)
{
  size_t n_x = (size_t) s->in_h * s->in_w * s->in_c;
  size_t n_w =
      (size_t) s->out_c * (s->in_c / s->groups) * s->kernel_h * s->kernel_w;
  uint8_t *x = check_alloc (rng, n_x);
  uint8_t *y = check_alloc (rng, (size_t) s->out_h * s->out_w * s->out_c);
  int8_t *w = check_alloc (rng, n_w);
  void *packed = check_alloc (rng, k->conv_s8_packed_size (s));
  void *scratch = check_alloc (rng, k->conv_u8s8_scratch_size (s));
  float *mult = check_alloc (rng, (size_t) s->out_c * sizeof *mult);
  QfRequant r = { NULL, mult, 128, 0, 255, NULL };
  double best = 1e9, end = seconds () + 0.3;

  check_codes (rng, x, n_x, 0);
  for (size_t i = 0; i < n_w; i++)
    w[i] = (int8_t) check_int (rng, -60, 60);
  for (int c = 0; c < s->out_c; c++)
    mult[c] = 0.001f;
  k->conv_s8_pack (s, w, packed);
  for (int i = 0; i < 5 || seconds () < end; i++) {
    double t = seconds ();

    k->conv_u8s8_u8 (
        s, x, 100, packed, &r, y, 0, s->out_h, 0, s->out_c, scratch);
    t = seconds () - t;
    best = t < best ? t : best;
  }
  check_free (x, "x");
  check_free (y, "y");
  check_free (w, "w");
  check_free (packed, "packed");
  check_free (scratch, "scratch");
  check_free (mult, "mult");
  return best;
}

void
bench (const QfKernels *k, QfRng *rng, const char *part)
{
  const char *instruction;
  double most = qf_kernels_peak (k->name, &instruction);

  printf ("tier %s; products at most %.1f GMAC/s (%s)\n", k->name, most,
      instruction ? instruction : "unknown");
  printf ("%-18s %9s %9s %7s\n", "layer", "us", "GMAC/s", "share");
  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
    const QfConvShape *s = &layers[i].s;
    double macs = (double) s->out_h * s->out_w * s->out_c * s->kernel_h *
        s->kernel_w * (s->in_c / s->groups);
    double t;

    if (!strstr (layers[i].name, part))
      continue;
    t = time_layer (k, s, rng);
    printf ("%-18s %9.1f %9.1f %6.0f%%\n", layers[i].name, t * 1e6,
        macs / t / 1e9, most > 0 ? macs / t / 1e7 / most : 0);
  }
}
