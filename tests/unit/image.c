/* Test of luma.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/image.h"

#include <string.h>

#include "base/rng.h"

/* The nearest whole number of 16 + 219·(0.299 R + 0.587 G + 0.114 B)/255. */
static int
exact_luma (int r, int g, int b)
{
  return 16 + (2 * 219 * (299 * r + 587 * g + 114 * b) + 255000) / 510000;
}

static int
matrix_luma (int r, int g, int b)
{
  return (8414 * r + 16520 * g + 3208 * b + 16384) / 32768 + 16;
}

/* All 2^24 colours: the documented matrix, at most 1 from the exact result and
 * seldom; grey as full-range grey. */
static void
test_matrix (void)
{
  guint8 pixels[256 * 3], luma[256];
  QfImage image = { QF_FORMAT_RGB, 256, 1, pixels, sizeof pixels, FALSE };
  int differ = 0;

  for (int r = 0; r < 256; r++)
    for (int g = 0; g < 256; g++) {
      for (int b = 0; b < 256; b++) {
        pixels[3 * b] = (guint8) r;
        pixels[3 * b + 1] = (guint8) g;
        pixels[3 * b + 2] = (guint8) b;
      }
      qf_image_luma (&image, 0, 1, luma, 256);
      for (int b = 0; b < 256; b++) {
        int exact = exact_luma (r, g, b);

        if (luma[b] != matrix_luma (r, g, b) || ABS (luma[b] - exact) > 1)
          g_error ("(%d, %d, %d): %d", r, g, b, luma[b]);
        differ += luma[b] != exact;
      }
    }
  g_test_message ("%d of 2^24 colours differ from the exact luma by 1", differ);
  g_assert_cmpint (differ, <, (1 << 24) / 200);
}

static void
test_full_range (void)
{
  guint8 in[256], out[256];
  QfImage image = { QF_FORMAT_GRAY8, 256, 1, in, 256, TRUE };

  for (int v = 0; v < 256; v++)
    in[v] = (guint8) v;
  qf_image_luma (&image, 0, 1, out, 256);
  for (int v = 0; v < 256; v++) {
    g_assert_cmpint (out[v], ==, 16 + (2 * 219 * v + 255) / 510);
    g_assert_cmpint (out[v], ==, exact_luma (v, v, v));
  }
  image.full_range = FALSE;
  qf_image_luma (&image, 0, 1, out, 256);
  g_assert_cmpmem (in, 256, out, 256);
}

static void
test_ten_bits (void)
{
  guint8 low[1024 * 2], high[1024 * 2], a[1024], b[1024];
  QfImage image = { QF_FORMAT_I420_10LE, 1024, 1, low, sizeof low, FALSE };

  for (int v = 0; v < 1024; v++) {
    low[2 * v] = (guint8) v;
    low[2 * v + 1] = (guint8) (v >> 8);
    high[2 * v] = (guint8) (v << 6);
    high[2 * v + 1] = (guint8) (v >> 2);
  }
  qf_image_luma (&image, 0, 1, a, 1024);
  image.format = QF_FORMAT_P010_10LE;
  image.data = high;
  qf_image_luma (&image, 0, 1, b, 1024);
  for (int v = 0; v < 1024; v++) {
    g_assert_cmpint (a[v], ==, v / 4);
    g_assert_cmpint (b[v], ==, v / 4);
  }
  image.full_range = TRUE;
  qf_image_luma (&image, 0, 1, b, 1024);
  for (int v = 0; v < 1024; v++)
    g_assert_cmpint (b[v], ==, exact_luma (v / 4, v / 4, v / 4));
}

/* Bytes a pixel and the places of Y (or R, G, B) in it. */
static const struct
{
  QfFormat format;
  int bytes, at[3];
} layouts[] = {
  { QF_FORMAT_GRAY8, 1, { 0, -1, -1 } },
  { QF_FORMAT_I420, 1, { 0, -1, -1 } },
  { QF_FORMAT_YUY2, 2, { 0, -1, -1 } },
  { QF_FORMAT_UYVY, 2, { 1, -1, -1 } },
  { QF_FORMAT_RGB, 3, { 0, 1, 2 } },
  { QF_FORMAT_BGR, 3, { 2, 1, 0 } },
  { QF_FORMAT_RGBX, 4, { 0, 1, 2 } },
  { QF_FORMAT_BGRX, 4, { 2, 1, 0 } },
  { QF_FORMAT_XRGB, 4, { 1, 2, 3 } },
  { QF_FORMAT_XBGR, 4, { 3, 2, 1 } },
};

/* Odd sizes, strides wider than the row and negative, parts of the rows;
 * nothing but the asked pixels is written. */
static void
test_layouts (void)
{
  static const int widths[] = { 1, 2, 3, 7, 16, 17, 33, 101 };
  QfRng rng = { 7 };

  for (guint f = 0; f < G_N_ELEMENTS (layouts); f++)
    for (guint w = 0; w < G_N_ELEMENTS (widths); w++) {
      int width = widths[w], height = 5, bytes = layouts[f].bytes;
      int stride = width * bytes + 13, out_stride = width + 5;
      g_autofree guint8 *in = g_malloc ((gsize) stride * height);
      g_autofree guint8 *out = g_malloc ((gsize) out_stride * height);
      gboolean flip = w & 1;
      QfImage image = { layouts[f].format, width, height, in, stride, FALSE };

      for (int i = 0; i < stride * height; i++)
        in[i] = (guint8) qf_rng_next (&rng);
      if (flip) {
        image.data = in + (gsize) stride * (height - 1);
        image.stride = -stride;
      }
      memset (out, 0xa5, (gsize) out_stride * height);
      qf_image_luma (&image, 1, 3, out, out_stride);
      for (int y = 0; y < height; y++)
        for (int x = 0; x < out_stride; x++) {
          int row = flip ? height - 2 - y : y + 1;
          int expected = 0xa5;

          if (y < 3 && x < width) {
            const guint8 *p = in + (gsize) row * stride + (gsize) x * bytes;
            const int *at = layouts[f].at;

            expected = at[1] < 0 ? p[at[0]]
                                 : matrix_luma (p[at[0]], p[at[1]], p[at[2]]);
          }
          g_assert_cmpint (out[y * out_stride + x], ==, expected);
        }
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/image/matrix", test_matrix);
  g_test_add_func ("/image/full-range", test_full_range);
  g_test_add_func ("/image/ten-bits", test_ten_bits);
  g_test_add_func ("/image/layouts", test_layouts);
  return g_test_run ();
}
