/* Kernel tests: operators on single elements.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

#include <math.h>

static uint8_t
to_code (float v, int zero, int lo, int hi)
{
  double q = isnan (v) ? -INFINITY : nearbyint ((double) v) + zero;

  return (uint8_t) (q < lo ? lo : q > hi ? hi : q);
}

static float
random_scale (QfRng *rng)
{
  /* powers of two make exact ties */
  return check_int (rng, 0, 1) ? ldexpf (1, check_int (rng, -9, 2))
                               : (float) qf_rng_uniform (rng) + 1e-3f;
}

/* Add or Mul of codes. */
static int
check_two_u8 (const QfKernels *k, QfRng *rng, int multiplies)
{
  for (int i = 0, n_rounds = check_rounds (300); i < n_rounds; i++) {
    size_t n = (size_t) check_int (rng, 1, 300);
    uint8_t *a = check_alloc (rng, n), *b = check_alloc (rng, n);
    uint8_t *y = check_alloc (rng, n);
    QfAddU8 p = { random_scale (rng), random_scale (rng), random_scale (rng),
      check_int (rng, 0, 255), check_int (rng, 0, 255), check_int (rng, 0, 255),
      check_int (rng, 0, 20), check_int (rng, 200, 255) };
    int ok = 1;

    check_codes (rng, a, n, i % 4 == 0);
    check_codes (rng, b, n, i % 4 == 0);
    (multiplies ? k->mul_u8 : k->add_u8) (&p, a, b, y, n);
    for (size_t j = 0; j < n && ok; j++) {
      float va = p.scale_a * (float) (a[j] - p.zero_a);
      float vb = p.scale_b * (float) (b[j] - p.zero_b);
      float sum = multiplies ? va * vb : va + vb;
      uint8_t want = to_code (sum / p.scale_y, p.zero_y, p.lo, p.hi);

      if (y[j] != want)
        ok = CHECK_FAIL ("%d %c %d: %d, not %d", a[j], multiplies ? '*' : '+',
            b[j], y[j], want);
    }
    ok &= check_free (a, "a") & check_free (b, "b") & check_free (y, "y");
    if (!ok)
      return 0;
  }
  return 1;
}

int
check_add_u8 (const QfKernels *k, QfRng *rng)
{
  return check_two_u8 (k, rng, 0);
}

int
check_mul_u8 (const QfKernels *k, QfRng *rng)
{
  return check_two_u8 (k, rng, 1);
}

int
check_lookup_u8 (const QfKernels *k, QfRng *rng)
{
  for (int i = 0, n_rounds = check_rounds (100); i < n_rounds; i++) {
    size_t n = (size_t) check_int (rng, 1, 400);
    uint8_t *x = check_alloc (rng, n), *y = check_alloc (rng, n), table[256];
    int ok = 1;

    check_codes (rng, x, n, 0);
    check_codes (rng, table, sizeof table, 0);
    k->lookup_u8 (x, table, y, n);
    for (size_t j = 0; j < n; j++)
      ok &= y[j] == table[x[j]];
    k->lookup_u8 (x, table, x, n);
    ok &= memcmp (x, y, n) == 0;
    ok &= check_free (x, "x") & check_free (y, "y");
    if (!ok)
      return CHECK_FAIL ("table of %zu codes", n);
  }
  return 1;
}

int
check_quantize_f32_u8 (const QfKernels *k, QfRng *rng)
{
  static const float odd[] = { INFINITY, -INFINITY, NAN, 1e30f, -1e30f, 0.0f,
    -0.0f, 8388609.0f, 0.5f, -0.5f, 1.5f, 2.5f, 4194303.5f };

  for (int i = 0, n_rounds = check_rounds (200); i < n_rounds; i++) {
    size_t n = (size_t) check_int (rng, 1, 300);
    float *x = check_alloc (rng, n * 4);
    uint8_t *y = check_alloc (rng, n);
    QfQuantize q = { random_scale (rng), check_int (rng, 0, 255),
      check_int (rng, 0, 20), check_int (rng, 200, 255) };
    int ok = 1;

    for (size_t j = 0; j < n; j++) {
      x[j] = check_int (rng, 0, 5) == 0
          ? odd[qf_rng_below (rng, sizeof odd / sizeof odd[0])]
          : (float) (check_int (rng, -600, 600)) * 0.5f * q.scale;
      /* next to a tie, where a product with 1 / scale rounds otherwise */
      for (int ulps = check_int (rng, 0, i % 4); ulps > 0; ulps--)
        x[j] = nextafterf (x[j], i % 8 < 4 ? INFINITY : -INFINITY);
    }
    k->quantize_f32_u8 (&q, x, y, n);
    for (size_t j = 0; j < n && ok; j++) {
      uint8_t want = to_code (x[j] / q.scale, q.zero, q.lo, q.hi);

      if (y[j] != want)
        ok = CHECK_FAIL (
            "%a / %a + %d: %d, not %d", x[j], q.scale, q.zero, y[j], want);
    }
    ok &= check_free (x, "x") & check_free (y, "y");
    if (!ok)
      return 0;
  }
  return 1;
}

int
check_dequantize_u8_f32 (const QfKernels *k, QfRng *rng)
{
  for (int i = 0, n_rounds = check_rounds (100); i < n_rounds; i++) {
    size_t n = (size_t) check_int (rng, 1, 300);
    uint8_t *x = check_alloc (rng, n);
    float *y = check_alloc (rng, n * 4), scale = random_scale (rng);
    int zero = check_int (rng, 0, 255), ok = 1;

    check_codes (rng, x, n, 0);
    k->dequantize_u8_f32 (x, scale, zero, y, n);
    for (size_t j = 0; j < n; j++)
      ok &= y[j] == scale * (float) (x[j] - zero);
    ok &= check_free (x, "x") & check_free (y, "y");
    if (!ok)
      return CHECK_FAIL ("%zu codes, scale %a, zero %d", n, scale, zero);
  }
  return 1;
}

static float
clip (float v, float lo, float hi)
{
  v = v > lo ? v : lo;
  return v < hi ? v : hi;
}

static void
random_floats (QfRng *rng, float *p, size_t n)
{
  for (size_t i = 0; i < n; i++)
    p[i] = (float) (qf_rng_uniform (rng) * 20 - 10);
}

int
check_add_f32 (const QfKernels *k, QfRng *rng)
{
  for (int i = 0, n_rounds = check_rounds (100); i < n_rounds; i++) {
    size_t n = (size_t) check_int (rng, 1, 200);
    float *a = check_alloc (rng, n * 4), *b = check_alloc (rng, n * 4);
    float *y = check_alloc (rng, n * 4);
    int ok = 1, open = i % 2;
    float lo = open ? -INFINITY : -3, hi = open ? INFINITY : 6;

    random_floats (rng, a, n);
    random_floats (rng, b, n);
    k->add_f32 (a, b, lo, hi, y, n);
    for (size_t j = 0; j < n; j++)
      ok &= y[j] == clip (a[j] + b[j], lo, hi);
    ok &= check_free (a, "a") & check_free (b, "b") & check_free (y, "y");
    if (!ok)
      return CHECK_FAIL ("sums of %zu", n);
  }
  return 1;
}

int
check_affine_f32 (const QfKernels *k, QfRng *rng)
{
  for (int i = 0, n_rounds = check_rounds (200); i < n_rounds; i++) {
    int pixels = check_int (rng, 1, 20), channels = check_int (rng, 1, 40);
    size_t n = (size_t) pixels * channels, row = (size_t) channels * 4;
    float *x = check_alloc (rng, n * 4), *y = check_alloc (rng, n * 4);
    float *mult = check_alloc (rng, row), *add = check_alloc (rng, row);
    const float *m = i & 1 ? mult : NULL, *b = i & 2 ? add : NULL;
    float lo = i & 4 ? 0 : -INFINITY, hi = i & 8 ? 6 : INFINITY;
    int ok = 1;

    random_floats (rng, x, n);
    random_floats (rng, mult, (size_t) channels);
    random_floats (rng, add, (size_t) channels);
    k->affine_f32 (x, m, b, lo, hi, y, pixels, channels);
    for (size_t j = 0; j < n; j++) {
      float v = m ? x[j] * m[j % (size_t) channels] : x[j];

      ok &= y[j] == clip (b ? v + b[j % (size_t) channels] : v, lo, hi);
    }
    ok &= check_free (x, "x") & check_free (y, "y");
    ok &= check_free (mult, "mult") & check_free (add, "add");
    if (!ok)
      return CHECK_FAIL ("%d pixels of %d channels", pixels, channels);
  }
  return 1;
}

int
check_sigmoid_f32 (const QfKernels *k, QfRng *rng)
{
  float x[100], y[100];

  random_floats (rng, x, 100);
  x[0] = 0;
  x[1] = 1000;
  x[2] = -1000;
  k->sigmoid_f32 (x, y, 100);
  for (int i = 0, n_rounds = check_rounds (100); i < n_rounds; i++) {
    double want = 1 / (1 + exp (-(double) x[i]));

    if (fabs (y[i] - want) > 1e-6)
      return CHECK_FAIL ("sigmoid (%g) = %.9g, not %.9g", x[i], y[i], want);
  }
  return y[0] == 0.5f && y[1] == 1 && y[2] == 0;
}
