/* Kernel tests: the float32 convolution.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The order of the sum is part of the kernel's definition, so the reference is
 * equal too. */
#include "check.h"

#include <math.h>

static float
naive_at (const QfConvShape *s, const float *x, const float *w, float sum,
    int oy, int ox, int o)
{
  int ic = s->in_c / s->groups, oc = s->out_c / s->groups;

  for (int kx = 0; kx < s->kernel_w; kx++)
    for (int ky = 0; ky < s->kernel_h; ky++)
      for (int c = 0; c < ic; c++) {
        int iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
        int ix = ox * s->stride_w - s->pad_left + kx * s->dilation_w;
        int in = iy >= 0 && iy < s->in_h && ix >= 0 && ix < s->in_w;
        float v = in
            ? x[((size_t) iy * s->in_w + ix) * s->in_c + o / oc * ic + c]
            : 0.0f;

        sum += v *
            w[(((size_t) o * ic + c) * s->kernel_h + ky) * s->kernel_w + kx];
      }
  return sum;
}

static void
random_floats (QfRng *rng, float *p, size_t n)
{
  for (size_t i = 0; i < n; i++)
    p[i] = (float) (qf_rng_uniform (rng) * 4 - 2);
}

static int
compare (const QfConvShape *s, const float *x, const float *w,
    const float *bias, float lo, float hi, const float *y)
{
  const float *got = y;

  for (int oy = 0; oy < s->out_h; oy++)
    for (int ox = 0; ox < s->out_w; ox++)
      for (int o = 0; o < s->out_c; o++, got++) {
        float v = naive_at (s, x, w, bias ? bias[o] : 0, oy, ox, o);

        v = v > lo ? v : lo;
        v = v < hi ? v : hi;
        if (*got != v)
          return CHECK_FAIL ("(%d, %d, %d): %a, not %a", oy, ox, o, *got, v);
      }
  return 1;
}

static int
check_shape (const QfKernels *k, QfRng *rng, const QfConvShape *s)
{
  size_t n_x = (size_t) s->in_h * s->in_w * s->in_c;
  size_t n_w =
      (size_t) s->out_c * (s->in_c / s->groups) * s->kernel_h * s->kernel_w;
  size_t row = (size_t) s->out_w * s->out_c;
  float *x = check_alloc (rng, n_x * 4), *w = check_alloc (rng, n_w * 4);
  float *bias = check_alloc (rng, (size_t) s->out_c * 4);
  float *y = check_alloc (rng, row * s->out_h * 4);
  void *packed = check_alloc (rng, k->conv_f32_packed_size (s));
  void *scratch = check_alloc (rng, k->conv_f32_scratch_size (s));
  int cut = check_int (rng, 0, s->out_h), clip = check_int (rng, 0, 1), ok;
  const float *b = check_int (rng, 0, 3) ? bias : NULL;
  float lo = clip ? 0 : -INFINITY, hi = clip ? 6 : INFINITY;

  random_floats (rng, x, n_x);
  random_floats (rng, w, n_w);
  random_floats (rng, bias, (size_t) s->out_c);
  k->conv_f32_pack (s, w, packed);
  k->conv_f32 (s, x, packed, b, lo, hi, y, 0, cut, scratch);
  k->conv_f32 (s, x, packed, b, lo, hi, y + row * cut, cut, s->out_h, scratch);
  ok = compare (s, x, w, b, lo, hi, y);
  ok &= check_free (x, "x") & check_free (w, "w") & check_free (y, "y");
  ok &= check_free (packed, "packed") & check_free (scratch, "scratch");
  ok &= check_free (bias, "bias");
  if (!ok)
    check_print_shape (s);
  return ok;
}

int
check_conv_f32 (const QfKernels *k, QfRng *rng)
{
  for (int i = 0, n_rounds = check_rounds (200); i < n_rounds; i++) {
    QfConvShape s = check_shape_random (rng, i % 4);

    if (!check_shape (k, rng, &s))
      return 0;
  }
  return 1;
}
