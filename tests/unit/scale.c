/* Test of the scaler against the definition, pixel by pixel.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/scale.h"

#include <string.h>

#include "base/rng.h"

/* The weight of source pixel @j in pixel @i, over *sum; not reduced. */
static guint64
weight (int src, int dst, int i, int j, guint64 *sum)
{
  gint64 at, near, w = 0;

  if (dst <= src) {
    gint64 lo = MAX ((gint64) i * src, (gint64) j * dst);
    gint64 hi = MIN ((gint64) (i + 1) * src, (gint64) (j + 1) * dst);

    *sum = (guint64) src;
    return (guint64) MAX (hi - lo, 0);
  }
  /* In units of 1/2dst of a source pixel: centre of i, centre of j. The weight
   * falls from 1 to 0 over one pixel; the outer pixels go on outside. */
  *sum = 2 * (guint64) dst;
  at = (2 * (gint64) i + 1) * src;
  near = (2 * (gint64) j + 1) * dst;
  w = 2 * dst - ABS (at - near);
  if ((j == 0 && at < near) || (j == src - 1 && at > near))
    w = 2 * dst;
  return (guint64) MAX (w, 0);
}

static guint8
naive (
    const guint8 *src, int stride, int sw, int sh, int dw, int dh, int x, int y)
{
  guint64 total = 0, sum_x = 1, sum_y = 1;

  for (int j = 0; j < sh; j++) {
    guint64 wy = weight (sh, dh, y, j, &sum_y), row = 0;

    if (wy == 0)
      continue;
    for (int i = 0; i < sw; i++)
      row += weight (sw, dw, x, i, &sum_x) * src[(gsize) j * stride + i];
    total += wy * row;
  }
  return (guint8) ((2 * total + sum_x * sum_y) / (2 * sum_x * sum_y));
}

static void
check (QfRng *rng, int sw, int sh, int dw, int dh, int kind)
{
  int stride = sw + 3, dst_stride = dw + 7;
  g_autofree guint8 *src = g_malloc ((gsize) stride * sh);
  g_autofree guint8 *dst = g_malloc ((gsize) dst_stride * dh);
  g_autoptr (QfScaler) s = qf_scaler_new (sw, sh, dw, dh);
  int tries = 0;

  for (gsize i = 0; i < (gsize) stride * sh; i++) {
    guint8 r = (guint8) qf_rng_next (rng);

    src[i] = kind == 0 ? r : kind == 1 ? (r & 1 ? 255 : 0) : 255;
  }
  memset (dst, 0x5a, (gsize) dst_stride * dh);
  qf_scaler_run (s, src, stride, dst, dst_stride);
  for (int y = 0; y < dh; y++) {
    for (int x = dw; x < dst_stride; x++)
      g_assert_cmpint (dst[(gsize) y * dst_stride + x], ==, 0x5a);
    for (int x = 0; x < dw; x++) {
      int got = dst[(gsize) y * dst_stride + x];

      if (kind == 2)
        g_assert_cmpint (got, ==, 255);
      /* All of small pictures, a sample of large ones. */
      if ((gint64) dw * dh > 2000 &&
          qf_rng_below (rng, (guint32) (dw * dh / 300)))
        continue;
      tries++;
      if (got != naive (src, stride, sw, sh, dw, dh, x, y))
        g_error ("%dx%d to %dx%d at (%d, %d): %d, expected %d", sw, sh, dw, dh,
            x, y, got, naive (src, stride, sw, sh, dw, dh, x, y));
    }
  }
  g_assert_cmpint (tries, >, 0);
}

static void
test_sizes (void)
{
  static const int sizes[][4] = { { 1, 1, 1, 1 }, { 1, 1, 5, 9 },
    { 5, 9, 1, 1 }, { 1, 7, 3, 2 }, { 7, 1, 2, 3 }, { 8, 8, 8, 8 },
    { 8, 8, 4, 4 }, { 9, 8, 9, 3 }, { 12, 12, 5, 5 }, { 5, 5, 12, 12 },
    { 768, 576, 320, 240 }, { 320, 240, 768, 576 }, { 767, 575, 320, 240 },
    { 1920, 1080, 320, 180 }, { 321, 239, 320, 240 }, { 2, 2, 3, 3 },
    { 3, 2, 2, 3 }, { 258, 257, 257, 256 }, { 32767, 1, 3, 1 },
    { 1, 32767, 1, 3 }, { 1, 3, 1, 32767 }, { 32767, 2, 32766, 3 },
    { 5003, 4999, 17, 13 } };
  QfRng rng = { 1 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    for (int kind = 0; kind < 3; kind++)
      check (&rng, sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], kind);
}

static void
test_random (void)
{
  guint32 seed = g_test_rand_int_range (0, G_MAXINT32);
  QfRng rng = { seed };

  g_test_message ("seed %u", seed);
  for (int i = 0; i < 400; i++)
    check (&rng, 1 + (int) qf_rng_below (&rng, 60),
        1 + (int) qf_rng_below (&rng, 60), 1 + (int) qf_rng_below (&rng, 60),
        1 + (int) qf_rng_below (&rng, 60), (int) qf_rng_below (&rng, 2));
}

/* Every constant picture stays as it is, at the widest sums too. */
static void
test_constant (void)
{
  static const int sizes[][4] = { { 13, 11, 7, 5 }, { 7, 5, 13, 11 },
    { 13, 5, 7, 11 }, { 4099, 4111, 3, 2 }, { 3, 2, 4111, 4127 } };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    int sw = sizes[i][0], sh = sizes[i][1], dw = sizes[i][2], dh = sizes[i][3];
    g_autofree guint8 *src = g_malloc ((gsize) sw * sh);
    g_autofree guint8 *dst = g_malloc ((gsize) dw * dh);
    g_autoptr (QfScaler) s = qf_scaler_new (sw, sh, dw, dh);

    for (int v = 0; v < 256; v += i < 3 ? 1 : 51) {
      memset (src, v, (gsize) sw * sh);
      qf_scaler_run (s, src, sw, dst, dw);
      for (gsize p = 0; p < (gsize) dw * dh; p++)
        g_assert_cmpint (dst[p], ==, v);
    }
  }
}

/* Bands of luma give what the whole picture gives, for pictures of one band and
 * of many. */
static void
test_luma (void)
{
  static const int sizes[][4] = { { 97, 61, 40, 33 }, { 1923, 331, 300, 55 },
    { 700, 499, 701, 613 }, { 32767, 9, 50, 4 }, { 1, 300, 1, 7 } };
  static const QfFormat formats[] = { QF_FORMAT_GRAY8, QF_FORMAT_UYVY,
    QF_FORMAT_RGB, QF_FORMAT_I420_10LE };
  QfRng rng = { 7 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes) * G_N_ELEMENTS (formats); i++) {
    const int *size = sizes[i / G_N_ELEMENTS (formats)];
    int sw = size[0], sh = size[1], dw = size[2], dh = size[3];
    gsize n = (gsize) 3 * sw * sh, out = (gsize) dw * dh;
    g_autofree guint8 *data = g_malloc (n);
    g_autofree guint8 *luma = g_malloc ((gsize) sw * sh);
    g_autofree guint8 *a = g_malloc (out), *b = g_malloc (out);
    g_autoptr (QfScaler) s = qf_scaler_new (sw, sh, dw, dh);
    QfImage image = { formats[i % G_N_ELEMENTS (formats)], sw, sh, data, 3 * sw,
      i % 2 == 0 };

    for (gsize j = 0; j < n; j++)
      data[j] = (guint8) qf_rng_next (&rng);
    qf_image_luma (&image, 0, sh, luma, sw);
    qf_scaler_run (s, luma, sw, a, dw);
    qf_scaler_run_luma (s, &image, b, dw);
    g_assert_cmpmem (a, out, b, out);
  }
}

static void
test_speed (void)
{
  g_autofree guint8 *src = g_malloc0 (768 * 576);
  g_autofree guint8 *dst = g_malloc (320 * 240);
  g_autoptr (QfScaler) s = qf_scaler_new (768, 576, 320, 240);
  gint64 best = G_MAXINT64;

  for (int i = 0; i < 20; i++) {
    gint64 start = g_get_monotonic_time ();

    qf_scaler_run (s, src, 768, dst, 320);
    best = MIN (best, g_get_monotonic_time () - start);
  }
  g_test_message ("768x576 to 320x240: %" G_GINT64_FORMAT " us", best);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/scale/sizes", test_sizes);
  g_test_add_func ("/scale/random", test_random);
  g_test_add_func ("/scale/constant", test_constant);
  g_test_add_func ("/scale/luma", test_luma);
  g_test_add_func ("/scale/speed", test_speed);
  return g_test_run ();
}
