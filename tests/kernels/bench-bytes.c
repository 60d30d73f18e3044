/* Kernel benchmark: what is no convolution, beside the plain C of the lowest
 * tier and a copy of as many bytes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

#include <time.h>

enum
{
  CHANNELS = 64,
  SIDE = 40,
  PIXELS = SIDE * SIDE,
  N = PIXELS * CHANNELS
};

typedef struct
{
  uint8_t *a, *b, *y;
  float *f, *g;
  int32_t *s;
  float mult[CHANNELS];
  int32_t bias[CHANNELS];
  uint8_t table[256];
} Data;

static void
run_requant (const QfKernels *k, Data *d)
{
  QfRequant r = { d->bias, d->mult, 3, 0, 255, NULL };

  k->requant_s32_u8 (&r, d->s, d->y, PIXELS, CHANNELS);
}

static void
run_add (const QfKernels *k, Data *d)
{
  QfAddU8 p = { 0.0213f, 0.0307f, 0.0437f, 10, 20, 30, 0, 255 };

  k->add_u8 (&p, d->a, d->b, d->y, N);
}

static void
run_lookup (const QfKernels *k, Data *d)
{
  k->lookup_u8 (d->a, d->table, d->y, N);
}

static void
run_quantize (const QfKernels *k, Data *d)
{
  QfQuantize q = { 0.0173f, 128, 0, 255 };

  k->quantize_f32_u8 (&q, d->f, d->y, N);
}

static void
run_dequantize (const QfKernels *k, Data *d)
{
  k->dequantize_u8_f32 (d->a, 0.02f, 128, d->g, N);
}

static void
run_sum (const QfKernels *k, Data *d)
{
  k->sum_u8_s32 (d->a, 3, d->s, PIXELS, CHANNELS);
}

/* Of @kernel and @stride, without borders. */
static void
pool (const QfKernels *k, Data *d, int kernel, int stride)
{
  int out = (SIDE - kernel) / stride + 1;
  QfConvShape s = { SIDE, SIDE, CHANNELS, out, out, CHANNELS, kernel, kernel,
    stride, stride, 0, 0, 1, 1, CHANNELS };

  k->max_pool_u8 (&s, d->a, d->y, 0, out);
}

static void
run_pool_2 (const QfKernels *k, Data *d)
{
  pool (k, d, 2, 2);
}

static void
run_pool_3 (const QfKernels *k, Data *d)
{
  pool (k, d, 3, 2);
}

static void
run_pool_5 (const QfKernels *k, Data *d)
{
  pool (k, d, 5, 1);
}

static void
run_resize (const QfKernels *k, Data *d)
{
  k->resize_nearest (d->a, SIDE / 2, CHANNELS, 1, 2, 2, d->y, 0, SIDE);
}

static void
run_transpose (const QfKernels *k, Data *d)
{
  k->transpose (d->a, CHANNELS, PIXELS, 1, d->y, 0, PIXELS);
}

static void
run_transpose_f32 (const QfKernels *k, Data *d)
{
  k->transpose (d->f, PIXELS, CHANNELS, 4, d->g, 0, CHANNELS);
}

static void
run_add_f32 (const QfKernels *k, Data *d)
{
  k->add_f32 (d->f, d->f, 0, 6, d->g, N);
}

static void
run_affine_f32 (const QfKernels *k, Data *d)
{
  k->affine_f32 (d->f, d->mult, d->mult, 0, 6, d->g, PIXELS, CHANNELS);
}

static void
run_mean_f32 (const QfKernels *k, Data *d)
{
  k->mean_f32 (d->f, d->g, PIXELS, CHANNELS);
}

static const struct
{
  const char *name;
  void (*run) (const QfKernels *k, Data *d);
} cases[] = {
  { "requant_s32_u8", run_requant },
  { "add_u8", run_add },
  { "lookup_u8", run_lookup },
  { "quantize_f32_u8", run_quantize },
  { "dequantize_u8_f32", run_dequantize },
  { "sum_u8_s32", run_sum },
  { "max_pool_u8 2x2/2", run_pool_2 },
  { "max_pool_u8 3x3/2", run_pool_3 },
  { "max_pool_u8 5x5", run_pool_5 },
  { "resize_nearest x2", run_resize },
  { "transpose u8", run_transpose },
  { "transpose f32", run_transpose_f32 },
  { "add_f32", run_add_f32 },
  { "affine_f32", run_affine_f32 },
  { "mean_f32", run_mean_f32 },
};

static double
seconds (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static Data *
make (QfRng *rng)
{
  Data *d = check_alloc (rng, sizeof *d);

  d->a = check_alloc (rng, N);
  d->b = check_alloc (rng, N);
  d->y = check_alloc (rng, N);
  d->f = check_alloc (rng, N * sizeof *d->f);
  d->g = check_alloc (rng, N * sizeof *d->g);
  d->s = check_alloc (rng, N * sizeof *d->s);
  check_codes (rng, d->a, N, 0);
  check_codes (rng, d->b, N, 0);
  check_codes (rng, d->table, sizeof d->table, 0);
  for (int i = 0; i < N; i++) {
    d->f[i] = (float) check_int (rng, -300, 300) * 0.01f;
    d->s[i] = check_int (rng, -100000, 100000);
  }
  for (int c = 0; c < CHANNELS; c++) {
    d->mult[c] = 0.001f;
    d->bias[c] = c;
  }
  return d;
}

void
bench_bytes (const QfKernels *k, QfRng *rng, const char *part)
{
  const QfKernels *c = qf_kernels_tier ("c");
  Data *d = make (rng);

  printf ("%-18s %9s %9s %9s  (%d elements, us)\n", "kernel", k->name, c->name,
      "copy", N);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    double best[3] = { 1e9, 1e9, 1e9 }, end = seconds () + 0.1;

    if (!strstr (cases[i].name, part))
      continue;
    while (seconds () < end) {
      double t[4];

      t[0] = seconds ();
      cases[i].run (k, d);
      t[1] = seconds ();
      cases[i].run (c, d);
      t[2] = seconds ();
      memcpy (d->y, d->b, N);
      t[3] = seconds ();
      for (int j = 0; j < 3; j++)
        best[j] = t[j + 1] - t[j] < best[j] ? t[j + 1] - t[j] : best[j];
    }
    printf ("%-18s %9.2f %9.2f %9.2f\n", cases[i].name, best[0] * 1e6,
        best[1] * 1e6, best[2] * 1e6);
  }
  check_free (d->a, "a");
  check_free (d->b, "b");
  check_free (d->y, "y");
  check_free (d->f, "f");
  check_free (d->g, "g");
  check_free (d->s, "s");
  check_free (d, "d");
}
