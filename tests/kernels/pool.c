/* Kernel tests: pooling.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

#include <math.h>

/* Index of the largest element of a window, by code or float; −1: none. */
static ptrdiff_t
naive_max (const QfConvShape *s, const uint8_t *u, const float *f, int oy,
    int ox, int c)
{
  ptrdiff_t best = -1;

  for (int ky = 0; ky < s->kernel_h; ky++)
    for (int kx = 0; kx < s->kernel_w; kx++) {
      int iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
      int ix = ox * s->stride_w - s->pad_left + kx * s->dilation_w;
      ptrdiff_t i = ((ptrdiff_t) iy * s->in_w + ix) * s->in_c + c;

      if (iy < 0 || iy >= s->in_h || ix < 0 || ix >= s->in_w)
        continue;
      if (best < 0 || (u ? u[i] > u[best] : f[i] > f[best]))
        best = i;
    }
  return best;
}

static int
check_max (const QfKernels *k, QfRng *rng, int is_float)
{
  for (int i = 0, n_rounds = check_rounds (200); i < n_rounds; i++) {
    QfConvShape s = check_shape_random (rng, 2);
    size_t n_x = (size_t) s.in_h * s.in_w * s.in_c;
    size_t row = (size_t) s.out_w * s.in_c, n_y = row * s.out_h, at = 0;
    int cut = check_int (rng, 0, s.out_h), ok = 1;
    uint8_t *u = check_alloc (rng, n_x), *yu = check_alloc (rng, n_y);
    float *f = check_alloc (rng, n_x * 4), *yf = check_alloc (rng, n_y * 4);

    for (size_t j = 0; j < n_x; j++) {
      u[j] = (uint8_t) check_int (rng, 0, i % 2 ? 255 : 3);
      f[j] = (float) check_int (rng, -1000, 100);
    }
    if (is_float) {
      k->max_pool_f32 (&s, f, yf, 0, cut);
      k->max_pool_f32 (&s, f, yf + row * cut, cut, s.out_h);
    } else {
      k->max_pool_u8 (&s, u, yu, 0, cut);
      k->max_pool_u8 (&s, u, yu + row * cut, cut, s.out_h);
    }
    for (int oy = 0; oy < s.out_h; oy++)
      for (int ox = 0; ox < s.out_w; ox++)
        for (int c = 0; c < s.in_c; c++, at++) {
          ptrdiff_t m = naive_max (&s, is_float ? NULL : u, f, oy, ox, c);

          if (m >= 0) /* a window all outside is the caller's mistake */
            ok &= is_float ? yf[at] == f[m] : yu[at] == u[m];
        }
    ok &= check_free (u, "x") & check_free (yu, "y");
    ok &= check_free (f, "x") & check_free (yf, "y");
    if (!ok) {
      check_print_shape (&s);
      return 0;
    }
  }
  return 1;
}

int
check_max_pool_u8 (const QfKernels *k, QfRng *rng)
{
  return check_max (k, rng, 0);
}

int
check_max_pool_f32 (const QfKernels *k, QfRng *rng)
{
  return check_max (k, rng, 1);
}

int
check_sum_u8_s32 (const QfKernels *k, QfRng *rng)
{
  for (int i = 0, n_rounds = check_rounds (100); i < n_rounds; i++) {
    int pixels = check_int (rng, 1, 300), channels = check_int (rng, 1, 70);
    size_t n = (size_t) pixels * channels;
    uint8_t *x = check_alloc (rng, n);
    int32_t *sums = check_alloc (rng, (size_t) channels * 4);
    int zero = check_int (rng, 0, 255), ok = 1;

    check_codes (rng, x, n, i % 2);
    k->sum_u8_s32 (x, zero, sums, pixels, channels);
    for (int c = 0; c < channels; c++) {
      int32_t want = 0;

      for (int p = 0; p < pixels; p++)
        want += x[(size_t) p * channels + c] - zero;
      ok &= sums[c] == want;
    }
    ok &= check_free (x, "x") & check_free (sums, "sums");
    if (!ok)
      return CHECK_FAIL ("%d pixels of %d channels", pixels, channels);
  }
  return 1;
}

int
check_mean_f32 (const QfKernels *k, QfRng *rng)
{
  for (int i = 0, n_rounds = check_rounds (100); i < n_rounds; i++) {
    int pixels = check_int (rng, 1, 300), channels = check_int (rng, 1, 40);
    size_t n = (size_t) pixels * channels;
    float *x = check_alloc (rng, n * 4);
    float *y = check_alloc (rng, (size_t) channels * 4);
    int ok = 1;

    for (size_t j = 0; j < n; j++)
      x[j] = (float) qf_rng_uniform (rng) - 0.4f;
    k->mean_f32 (x, y, pixels, channels);
    for (int c = 0; c < channels; c++) {
      float sum = 0;

      for (int p = 0; p < pixels; p++)
        sum += x[(size_t) p * channels + c];
      ok &= y[c] == sum / (float) pixels;
    }
    ok &= check_free (x, "x") & check_free (y, "y");
    if (!ok)
      return CHECK_FAIL ("%d pixels of %d channels", pixels, channels);
  }
  return 1;
}
