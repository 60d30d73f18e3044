/* Test of polygons: their text, and which pixels they hold.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/rng.h"
#include "vision/polygons.h"

static void
test_parse (void)
{
  static const char *const good[] = { "0,0 1,0 1,1", "  0,0\t1,0\n1,1  ",
    "0,0 1,0 1,1;", ".5,0 1.0,0 1,1e0 ; ", "0 , 0 1 ,0 1, 1" };
  g_autoptr (QfPolygons) two = NULL, copy = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (good); i++) {
    g_autoptr (QfPolygons) p = qf_polygons_parse (good[i], &error);

    g_assert_no_error (error);
    g_assert_cmpint (p->n_polygons, ==, 1);
    g_assert_cmpint (p->ends[0], ==, 3);
    g_assert_cmpfloat (p->points[2].x, ==, 1);
    g_assert_cmpfloat (p->points[2].y, ==, 1);
  }
  two = qf_polygons_parse (
      "0,0 0.5,0 0.5,0.25; 0.75,0.75 1,0.75 1,1 0.75,1", &error);
  g_assert_no_error (error);
  copy = qf_polygons_copy (two);
  g_assert_cmpint (copy->n_polygons, ==, 2);
  g_assert_cmpint (copy->ends[1], ==, 7);
  g_assert_cmpfloat (copy->points[2].y, ==, 0.25);
  g_assert_cmpfloat (copy->points[6].x, ==, 0.75);
  g_assert_null (qf_polygons_copy (NULL));

  g_assert_null (qf_polygons_parse (NULL, &error));
  g_assert_no_error (error);
  g_assert_null (qf_polygons_parse (" \n", &error));
  g_assert_no_error (error);
}

static void
test_errors (void)
{
  static const struct
  {
    const char *text, *part;
  } bad[] = { { "0,0 1,0", "polygon 1 has 2 points" },
    { "0,0 1,0 1,1; 0,0", "polygon 2 has 1 points" },
    { ";", "polygon 1 has 0 points" }, { "0,0 1,0 1,1;;", "polygon 2" },
    { "0,0 1,0 1,1.5", "\"1,1.5\" in polygon 1" },
    { "0,0 1,0 -0.1,1", "\"-0.1,1\"" }, { "0,0 1,0 nan,1", "\"nan,1\"" },
    { "0,0 1,0 0x1,1", "\"0x1,1\"" }, { "0,0 1,0 inf,1", "\"inf,1\"" },
    { "0,0 1 0 1,1", "\"1 0 1,1\"" }, { "0,0 1,0 1,1x", "\"1,1x\"" },
    { "0,0,1,0,1,1", "\"0,0,1" }, { "a", "\"a\"" }, { "\xff", "readable" },
    { "0123456789012345678901234567890123456789é",
        "\"0123456789012345678901234567890123456789\" in" },
    { "012345678901234567890123456789012345678é",
        "\"012345678901234567890123456789012345678é\" in" } };
  g_autoptr (GString) many = g_string_new (NULL);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_assert_null (qf_polygons_parse (bad[i].text, &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
    if (!strstr (error->message, bad[i].part))
      g_error ("\"%s\": %s", bad[i].text, error->message);
    g_assert_nonnull (strstr (error->message, "polygons are "));
    g_clear_error (&error);
  }
  for (int i = 0; i <= QF_MAX_POLYGON_POINTS; i++)
    g_string_append (many, "0.5,0.5 ");
  g_assert_null (qf_polygons_parse (many->str, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
}

/* Even-odd rule by a ray to the right. */
static gboolean
naive_inside (
    const QfPolygons *p, int first, int end, double x, double y, int w, int h)
{
  gboolean in = FALSE;

  for (int i = first; i < end; i++) {
    const QfPoint *a = &p->points[i];
    const QfPoint *b = &p->points[i + 1 < end ? i + 1 : first];
    double ax = a->x * w, ay = a->y * h, bx = b->x * w, by = b->y * h;

    if ((ay <= y) != (by <= y) && x < ax + (y - ay) / (by - ay) * (bx - ax))
      in = !in;
  }
  return in;
}

static void
test_fill (void)
{
  guint8 mask[64 * 48];
  g_autoptr (QfPolygons) box = NULL;
  QfRng rng = { 4 };

  memset (mask, 255, sizeof mask);
  box = qf_polygons_parse ("0.25,0.25 0.5,0.25 0.5,0.5 0.25,0.5", NULL);
  qf_polygons_fill (box, mask, 64, 48, 0);
  for (int i = 0; i < 64 * 48; i++) {
    int x = i % 64, y = i / 64;

    g_assert_cmpint (
        mask[i], ==, x >= 16 && x < 32 && y >= 12 && y < 24 ? 0 : 255);
  }
  for (int round = 0; round < 300; round++) {
    g_autoptr (GString) text = g_string_new (NULL);
    g_autoptr (QfPolygons) p = NULL;
    int w = 1 + (int) qf_rng_below (&rng, 64);
    int h = 1 + (int) qf_rng_below (&rng, 48);
    int n = 1 + (int) qf_rng_below (&rng, 3);

    for (int i = 0; i < n; i++) {
      for (guint k = 0; k < 3 + qf_rng_below (&rng, 6); k++)
        g_string_append_printf (text, "0.%04u,0.%04u ",
            qf_rng_below (&rng, 10000), qf_rng_below (&rng, 10000));
      g_string_append (text, "0,0 1,1 0.5,0.1;");
    }
    p = qf_polygons_parse (text->str, NULL);
    g_assert_nonnull (p);
    memset (mask, 0, sizeof mask);
    qf_polygons_fill (p, mask, w, h, 7);
    for (int i = 0; i < w * h; i++) {
      double x = i % w + 0.5, y = i / w + 0.5;
      gboolean in = FALSE, near = FALSE;

      for (int k = 0, first = 0; k < p->n_polygons; first = p->ends[k++]) {
        in |= naive_inside (p, first, p->ends[k], x, y, w, h);
        /* right on an edge the two may round apart */
        near |= naive_inside (p, first, p->ends[k], x - 1e-9, y, w, h) !=
            naive_inside (p, first, p->ends[k], x + 1e-9, y, w, h);
      }
      if (!near)
        g_assert_cmpint (mask[i], ==, in ? 7 : 0);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/polygons/parse", test_parse);
  g_test_add_func ("/polygons/errors", test_errors);
  g_test_add_func ("/polygons/fill", test_fill);
  return g_test_run ();
}
