/* Kernel tests: the int8 convolution.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

static void
naive (const QfConvShape *s, const uint8_t *x, int zero, const int8_t *w,
    int32_t *acc)
{
  int ic = s->in_c / s->groups, oc = s->out_c / s->groups;

  for (int oy = 0; oy < s->out_h; oy++)
    for (int ox = 0; ox < s->out_w; ox++)
      for (int o = 0; o < s->out_c; o++) {
        int64_t sum = 0;

        for (int c = 0; c < ic; c++)
          for (int ky = 0; ky < s->kernel_h; ky++)
            for (int kx = 0; kx < s->kernel_w; kx++) {
              int iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
              int ix = ox * s->stride_w - s->pad_left + kx * s->dilation_w;
              int channel = o / oc * ic + c;

              if (iy < 0 || iy >= s->in_h || ix < 0 || ix >= s->in_w)
                continue;
              sum += (int64_t) (x[((size_t) iy * s->in_w + ix) * s->in_c +
                                    channel] -
                         zero) *
                  w[(((size_t) o * ic + c) * s->kernel_h + ky) * s->kernel_w +
                      kx];
            }
        acc[((size_t) oy * s->out_w + ox) * s->out_c + o] = (int32_t) sum;
      }
}

void
check_print_shape (const QfConvShape *s)
{
  printf ("# in %dx%dx%d out %dx%dx%d kernel %dx%d stride %d,%d pad %d,%d "
          "dilation %d,%d groups %d\n",
      s->in_h, s->in_w, s->in_c, s->out_h, s->out_w, s->out_c, s->kernel_h,
      s->kernel_w, s->stride_h, s->stride_w, s->pad_top, s->pad_left,
      s->dilation_h, s->dilation_w, s->groups);
}

enum
{
  PARTS_MOST = 40
};

/* Random parts of an output, which may overlap: with @unit their sides are
 * multiples of it. Returns their pixels. */
static size_t
random_parts (QfRng *rng, const QfConvShape *s, int unit, QfPart *parts, int *n)
{
  size_t pixels = 0;
  int small = check_int (rng, 0, 1);

  *n = check_int (rng, 1, PARTS_MOST);
  for (int i = 0; i < *n; i++) {
    int y = check_int (rng, 0, s->out_h - 1) / unit * unit;
    int x = check_int (rng, 0, s->out_w - 1) / unit * unit;
    int h = unit * check_int (rng, 1, small ? 2 : QF_PART_H / unit);
    int w = unit * check_int (rng, 1, small ? 2 : QF_PART_W / unit);

    h = h < s->out_h - y ? h : s->out_h - y;
    w = w < s->out_w - x ? w : s->out_w - x;
    parts[i] = (QfPart){ y, x, h, w };
    pixels += (size_t) h * w;
  }
  return pixels;
}

/* conv_u8s8_u8_parts against the whole output's @codes. */
static int
check_parts (const QfKernels *k, QfRng *rng, const QfConvShape *s,
    const uint8_t *x, int zero, const void *packed, const QfRequant *r,
    const uint8_t *codes)
{
  int unit = k->conv_u8s8_parts_unit (s, r, s->out_h * s->out_w), n, ok = 1;
  QfPart parts[PARTS_MOST];
  size_t c = (size_t) s->out_c;
  size_t pixels =
      random_parts (rng, s, check_int (rng, 0, 1) ? unit : 1, parts, &n);
  uint8_t *y = check_alloc (rng, pixels * c), *at = y;
  void *scratch = check_alloc (rng, k->conv_u8s8_parts_scratch_size (s));

  if (unit != 1 && unit != 2 && unit != 4)
    ok = CHECK_FAIL ("unit %d", unit);
  memset (y, 0xa5, pixels * c);
  k->conv_u8s8_u8_parts (s, x, zero, packed, r, parts, n, y, scratch);
  for (int i = 0; i < n; i++)
    for (int row = 0; row < parts[i].h; row++, at += (size_t) parts[i].w * c)
      if (memcmp (at,
              codes + ((size_t) (parts[i].y + row) * s->out_w + parts[i].x) * c,
              (size_t) parts[i].w * c) != 0 &&
          ok)
        ok = CHECK_FAIL ("part %d of %d at %d,%d of %dx%d, row %d, differs", i,
            n, parts[i].y, parts[i].x, parts[i].h, parts[i].w, row);
  ok &= check_free (y, "y of parts") & check_free (scratch, "scratch of parts");
  return ok;
}

/* conv_u8s8_u8 against the plain requantization of the sums @want. */
static int
check_codes_out (const QfKernels *k, QfRng *rng, const QfConvShape *s,
    const uint8_t *x, int zero, const void *packed, const int32_t *want)
{
  int rows, channels, pixels = s->out_h * s->out_w,
                      cut = check_int (rng, 0, s->out_h), ok;
  size_t row = (size_t) s->out_w * s->out_c, n = row * s->out_h;
  float *mult = check_alloc (rng, (size_t) s->out_c * 4);
  int32_t *bias = check_alloc (rng, (size_t) s->out_c * 4);
  uint8_t table[256], *y = check_alloc (rng, n), *codes = malloc (n);
  void *scratch = check_alloc (rng, k->conv_u8s8_scratch_size (s));
  QfRequant r = { bias, mult, check_int (rng, 0, 255), 0, 255, NULL };
  int large = check_int (rng, 0, 5) == 0;

  for (int c = 0; c < s->out_c; c++) {
    mult[c] = ((float) qf_rng_uniform (rng) + 0.1f) / 1000;
    if (large) /* sums far outside of what 16 and 32 bits hold */
      mult[c] *= check_int (rng, 0, 1) ? 900.0f : 1e9f;
    bias[c] = check_int (rng, -100000, 100000);
  }
  if (check_int (rng, 0, 1)) {
    r.lo = check_int (rng, 0, 255);
    r.hi = check_int (rng, r.lo, 255);
  }
  if (check_int (rng, 0, 2) == 0)
    r.zero = r.lo = 0; /* 0 … 255, as after Relu, has ways of its own */
  if (check_int (rng, 0, 7) == 0)
    bias[check_int (rng, 0, s->out_c - 1)] =
        check_int (rng, 0, 1) ? 0x5fffffff : -0x5fffffff;
  if (check_int (rng, 0, 3) == 0)
    r.bias = NULL;
  if (check_int (rng, 0, 3) == 0)
    r.table = table;
  check_codes (rng, table, sizeof table, 0);
  memset (y, 0xa5, n);
  qf_kernels_tier ("c")->requant_s32_u8 (&r, want, codes, pixels, s->out_c);
  k->conv_u8s8_u8 (s, x, zero, packed, &r, y, 0, cut, 0, s->out_c, scratch);
  k->conv_u8s8_u8 (s, x, zero, packed, &r, y + row * cut, cut, s->out_h, 0,
      s->out_c, scratch);
  ok = memcmp (y, codes, n) == 0 || CHECK_FAIL ("codes differ");
  k->conv_u8s8_grain (s, &r, &rows, &channels);
  if (channels > 0) {
    cut = check_int (rng, 0, s->out_c / channels) * channels;
    memset (y, 0xa5, n);
    k->conv_u8s8_u8 (s, x, zero, packed, &r, y, 0, s->out_h, 0, cut, scratch);
    k->conv_u8s8_u8 (
        s, x, zero, packed, &r, y, 0, s->out_h, cut, s->out_c, scratch);
    ok &= memcmp (y, codes, n) == 0 || CHECK_FAIL ("codes by channels differ");
  }
  ok &= check_parts (k, rng, s, x, zero, packed, &r, codes);
  ok &= check_free (mult, "mult") & check_free (bias, "bias");
  ok &= check_free (y, "y") & check_free (scratch, "scratch");
  free (codes);
  return ok;
}

/* The upper left part of the output by itself, on the same weights. */
static int
check_part (const QfKernels *k, QfRng *rng, const QfConvShape *s,
    const uint8_t *x, int zero, const void *packed, const int32_t *want)
{
  QfConvShape p = *s;
  size_t row, bytes;
  int32_t *acc;
  void *scratch;
  int ok = 1;

  p.out_h = check_int (rng, 1, s->out_h);
  p.out_w = check_int (rng, 1, s->out_w);
  row = (size_t) p.out_w * s->out_c;
  bytes = row * sizeof *acc;
  acc = check_alloc (rng, bytes * p.out_h);
  scratch = check_alloc (rng, k->conv_u8s8_scratch_size (&p));
  k->conv_u8s8_s32 (&p, x, zero, packed, acc, 0, p.out_h, scratch);
  for (int y = 0; y < p.out_h; y++)
    ok &= memcmp (acc + row * y, want + (size_t) y * s->out_w * s->out_c,
              bytes) == 0;
  ok = ok || CHECK_FAIL ("%d x %d of the output differ", p.out_h, p.out_w);
  ok &= check_free (acc, "acc") & check_free (scratch, "scratch");
  return ok;
}

/* Weights as 1x1 kernels on 8-bit operands take them (x86/point_avx2.h) or only
 * just do not: of one spread over a few channels; a few pairs of 127; all of
 * one sign in some channels. Codes that drive one output to its largest or
 * smallest sum. */
static void
fill_lanes (QfRng *rng, const QfConvShape *s, uint8_t *x, size_t n_x, int8_t *w)
{
  static const int spreads[] = { 15, 40, 60, 64, 80, 127 };
  int k = s->in_c / s->groups * s->kernel_h * s->kernel_w, spread = 0;
  int most = check_int (rng, 0, 5), o = check_int (rng, 0, s->out_c - 1);
  int sign = check_int (rng, 0, 1) ? 1 : -1;
  int rough = check_int (rng, 0, 2) ? 0 : check_int (rng, 1, 8);

  for (int i = 0; i < s->out_c * k; i++) {
    if (i % 48 == 0)
      spread = spreads[check_int (rng, 0, most)];
    w[i] = (int8_t) check_int (rng, i / k % 7 ? -spread : 0, spread);
    if (check_int (rng, 0, 400) == 0 && i > 0)
      w[i] = w[i - 1] = check_int (rng, 0, 1) ? 127 : -127;
    if (i % k >= 16 && i % k < 16 + rough) /* none of them fit together */
      w[i] = check_int (rng, 0, 1) ? 127 : -127;
  }
  for (size_t i = 0; i < n_x; i++)
    if (check_int (rng, 0, 15))
      x[i] = w[(size_t) o * k + i % (size_t) s->in_c % k] * sign > 0 ? 255 : 0;
}

static int
check_shape (const QfKernels *k, QfRng *rng, const QfConvShape *s, int worst)
{
  size_t n_x = (size_t) s->in_h * s->in_w * s->in_c;
  size_t n_w =
      (size_t) s->out_c * (s->in_c / s->groups) * s->kernel_h * s->kernel_w;
  size_t row = (size_t) s->out_w * s->out_c;
  size_t n_acc = row * s->out_h * sizeof (int32_t);
  int zero = worst ? check_int (rng, 0, 1) * 255 : check_int (rng, 0, 255);
  uint8_t *x = check_alloc (rng, n_x);
  int8_t *w = check_alloc (rng, n_w);
  void *most = check_alloc (rng, k->conv_s8_packed_size (s)), *packed;
  void *scratch = check_alloc (rng, k->conv_u8s8_scratch_size (s));
  size_t used;
  int32_t *acc = check_alloc (rng, n_acc), *want = malloc (n_acc);
  int cut = check_int (rng, 0, s->out_h), ok;

  check_codes (rng, x, n_x, worst);
  check_weights (rng, w, n_w, worst);
  if (worst == 3)
    fill_lanes (rng, s, x, n_x, w);
  if (worst == 2) { /* every product at its bound, of one sign */
    memset (x, 255, n_x);
    memset (w, 127, n_w);
    zero = 0;
  }
  memset (acc, 0xa5, n_acc);
  naive (s, x, zero, w, want);
  k->conv_s8_pack (s, w, most);
  used = k->conv_s8_packed_used (s, most);
  packed = check_alloc (rng, used);
  memcpy (packed, most, used);
  k->conv_u8s8_s32 (s, x, zero, packed, acc, 0, cut, scratch);
  k->conv_u8s8_s32 (
      s, x, zero, packed, acc + row * cut, cut, s->out_h, scratch);
  ok = memcmp (acc, want, n_acc) == 0 || CHECK_FAIL ("sums differ");
  ok &= check_codes_out (k, rng, s, x, zero, packed, want);
  ok &= check_part (k, rng, s, x, zero, packed, want);
  ok &= check_free (x, "x") & check_free (w, "w") & check_free (acc, "acc");
  ok &= check_free (most, "most") & check_free (packed, "packed");
  ok &= check_free (scratch, "scratch");
  free (want);
  if (!ok)
    check_print_shape (s);
  return ok;
}

static int
outputs (int in, int pad, int kernel, int stride, int dilation)
{
  return (in + pad - ((kernel - 1) * dilation + 1)) / stride + 1;
}

QfConvShape
check_shape_random (QfRng *rng, int kind)
{
  QfConvShape s;
  int pad_b, pad_r, many = check_int (rng, 0, 9) == 0, plain = kind == 4;

  s.kernel_h = kind == 1      ? 1
      : check_int (rng, 0, 2) ? check_int (rng, 1, 5)
                              : 3;
  s.kernel_w = kind == 1      ? 1
      : check_int (rng, 0, 1) ? s.kernel_h
                              : check_int (rng, 1, 5);
  s.stride_h = check_int (rng, 1, 3);
  s.stride_w = check_int (rng, 1, 3);
  s.dilation_h = check_int (rng, 0, 2) ? 1 : check_int (rng, 2, 3);
  s.dilation_w = check_int (rng, 0, 2) ? 1 : check_int (rng, 2, 3);
  if (plain) {
    s.kernel_h = s.kernel_w = 3;
    s.stride_h = s.stride_w = s.dilation_h = s.dilation_w = 1;
  }
  s.pad_top = check_int (rng, 0, s.kernel_h);
  s.pad_left = check_int (rng, 0, s.kernel_w);
  pad_b = check_int (rng, 0, s.kernel_h);
  pad_r = check_int (rng, 0, s.kernel_w);
  s.groups = kind == 2 ? check_int (rng, 1, 70)
      : kind == 3      ? check_int (rng, 2, 4)
                       : 1;
  s.in_c = kind == 2 ? s.groups : s.groups * check_int (rng, 1, many ? 90 : 20);
  s.out_c =
      kind == 2 ? s.groups : s.groups * check_int (rng, 1, many ? 40 : 18);
  if (plain) {
    s.in_c = 16 * check_int (rng, 1, 10);
    s.out_c = check_int (rng, 1, 70);
  }
  s.in_h = check_int (rng, (s.kernel_h - 1) * s.dilation_h + 1, 20);
  s.in_w = check_int (rng, (s.kernel_w - 1) * s.dilation_w + 1, 24);
  s.out_h =
      outputs (s.in_h, s.pad_top + pad_b, s.kernel_h, s.stride_h, s.dilation_h);
  s.out_w = outputs (
      s.in_w, s.pad_left + pad_r, s.kernel_w, s.stride_w, s.dilation_w);
  return s;
}

/* Rows longer than a tile, the longest sums, borders wider than the input. */
static const QfConvShape special[] = {
  { 3, 700, 24, 3, 700, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1 },
  { 6, 6, 512, 6, 6, 5, 3, 3, 1, 1, 1, 1, 1, 1, 1 },
  { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1 },
  { 1, 1, 2, 7, 7, 3, 3, 3, 1, 1, 4, 4, 1, 1, 1 },
  { 1, 1, 4, 9, 9, 4, 3, 3, 1, 1, 5, 5, 1, 1, 4 },
  { 2, 3000, 16, 2, 3000, 16, 3, 3, 1, 1, 1, 1, 1, 1, 16 },
  { 40, 40, 3, 20, 20, 16, 3, 3, 2, 2, 0, 0, 1, 1, 1 },
  { 1, 1, 7000, 1, 1, 10, 1, 1, 1, 1, 0, 0, 1, 1, 1 },
  { 30, 5, 33, 30, 5, 33, 7, 7, 1, 1, 3, 3, 1, 1, 33 },
  { 9, 17, 37, 9, 17, 37, 3, 3, 1, 1, 1, 1, 1, 1, 37 },
  { 9, 18, 64, 5, 9, 64, 3, 3, 2, 2, 1, 1, 1, 1, 64 },
  { 9, 18, 11, 4, 8, 11, 3, 3, 2, 2, 0, 0, 1, 1, 11 },
  { 1, 1, 8, 3, 4, 8, 3, 3, 1, 1, 2, 3, 1, 1, 8 },
  { 1, 1, 32, 3, 4, 32, 3, 3, 1, 1, 2, 3, 1, 1, 32 },
  { 5, 70, 71, 5, 70, 71, 3, 3, 1, 1, 1, 1, 1, 1, 71 },
  { 6, 67, 96, 3, 34, 96, 3, 3, 2, 2, 1, 1, 1, 1, 96 },
  { 3, 2, 9, 3, 3, 9, 3, 3, 1, 2, 1, 3, 1, 1, 9 },
  { 20, 12, 64, 20, 12, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1 },
  { 15, 27, 32, 15, 27, 24, 3, 3, 1, 1, 1, 1, 1, 1, 1 },
  { 9, 31, 48, 7, 29, 37, 3, 3, 1, 1, 0, 0, 1, 1, 1 },
  { 7, 7, 128, 8, 8, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1 },
  { 6, 6, 512, 8, 8, 32, 3, 3, 1, 1, 2, 2, 1, 1, 1 },
  { 41, 37, 64, 41, 37, 20, 3, 3, 1, 1, 1, 1, 1, 1, 1 },
  { 12, 13, 16, 12, 13, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1 },
  { 4, 300, 64, 4, 300, 33, 3, 3, 1, 1, 1, 1, 1, 1, 1 },
  { 9, 37, 64, 9, 37, 48, 1, 1, 1, 1, 0, 0, 1, 1, 1 },
  { 7, 7, 600, 7, 7, 65, 1, 1, 1, 1, 0, 0, 1, 1, 1 },
  { 11, 23, 20, 6, 12, 17, 5, 3, 2, 2, 2, 1, 1, 1, 1 },
  { 13, 14, 12, 13, 14, 19, 3, 3, 1, 1, 2, 2, 2, 2, 1 },
  { 7, 15, 100, 7, 15, 100, 3, 3, 1, 1, 1, 1, 1, 1, 100 },
  { 7, 15, 144, 4, 8, 144, 3, 3, 2, 2, 1, 1, 1, 1, 144 },
  { 9, 11, 64, 9, 11, 40, 1, 1, 1, 1, 0, 0, 1, 1, 1 },
  { 40, 40, 260, 40, 40, 33, 1, 1, 1, 1, 0, 0, 1, 1, 1 },
};

/* 1x1, of enough channels; also with a rest of less than 16, strides and a
 * border. */
static QfConvShape
shape_1x1 (QfRng *rng)
{
  QfConvShape s = { check_int (rng, 1, 9), check_int (rng, 1, 9),
    check_int (rng, 48, 280), 0, 0, check_int (rng, 16, 70), 1, 1, 1, 1, 0, 0,
    1, 1, 1 };
  int pad = 0;

  if (check_int (rng, 0, 1))
    s.in_c = s.in_c / 16 * 16;
  if (check_int (rng, 0, 2) == 0) {
    s.stride_h = check_int (rng, 1, 3);
    s.stride_w = check_int (rng, 1, 3);
    s.pad_top = check_int (rng, 0, 2);
    s.pad_left = check_int (rng, 0, 2);
    pad = check_int (rng, 0, 2);
  }
  s.out_h = outputs (s.in_h, s.pad_top + pad, 1, s.stride_h, 1);
  s.out_w = outputs (s.in_w, s.pad_left + pad, 1, s.stride_w, 1);
  return s;
}

int
check_conv (const QfKernels *k, QfRng *rng)
{
  for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
    for (int j = 0, n_rounds = check_rounds (4); j < n_rounds; j++)
      if (!check_shape (k, rng, &special[i], ((int) i + j) % 4))
        return 0;
  for (int i = 0, n_rounds = check_rounds (400); i < n_rounds; i++) {
    QfConvShape s = check_shape_random (rng, i % 5);

    if (!check_shape (k, rng, &s, i % 6 == 0))
      return 0;
  }
  for (int i = 0, n_rounds = check_rounds (80); i < n_rounds; i++) {
    QfConvShape s = shape_1x1 (rng);

    if (!check_shape (k, rng, &s, i % 9 ? 3 : i % 2))
      return 0;
  }
  return 1;
}
