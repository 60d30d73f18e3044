/* Test of the grammar of planes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/planes.h"

#include <string.h>

static void
test_canonical (void)
{
  static const struct
  {
    const char *text, *canonical;
    int history;
    gboolean colour;
  } rows[] = {
    { "Y", "Y", 0, FALSE },
    { "R,G,B", "R,G,B", 0, TRUE },
    { " Y , D1x2t8,D5x2t8 ", "Y,D1x2t8,D5x2t8", 5, FALSE },
    { "D1x1t0", "D1", 1, FALSE },
    { "M250x255t255", "M250x255t255", 250, FALSE },
    { "A8t3,M2,D12x10", "A8t3,M2,D12x10", 12, FALSE },
    { "Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,B", "Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,B", 0,
        TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    QfPlanes planes, again;
    g_autofree char *text = NULL;
    g_autoptr (GError) error = NULL;

    g_assert_true (qf_planes_parse (&planes, rows[i].text, &error));
    g_assert_no_error (error);
    text = qf_planes_to_string (&planes);
    g_assert_cmpstr (text, ==, rows[i].canonical);
    g_assert_cmpint (qf_planes_history (&planes), ==, rows[i].history);
    g_assert_cmpint (qf_planes_need_colour (&planes), ==, rows[i].colour);
    g_assert_true (qf_planes_parse (&again, text, NULL));
    g_assert_true (qf_planes_equal (&planes, &again));
  }
}

static void
test_fields (void)
{
  QfPlanes planes, other;

  g_assert_true (qf_planes_parse (&planes, "Y,D5x2t8,M3,A7t1", NULL));
  g_assert_cmpint (planes.n, ==, 4);
  g_assert_cmpint (planes.plane[0].kind, ==, 'Y');
  g_assert_cmpint (planes.plane[0].k, ==, 0);
  g_assert_cmpint (planes.plane[1].kind, ==, 'D');
  g_assert_cmpint (planes.plane[1].k, ==, 5);
  g_assert_cmpint (planes.plane[1].gain, ==, 2);
  g_assert_cmpint (planes.plane[1].threshold, ==, 8);
  g_assert_cmpint (planes.plane[2].gain, ==, 1);
  g_assert_cmpint (planes.plane[2].threshold, ==, 0);
  g_assert_cmpint (planes.plane[3].kind, ==, 'A');
  g_assert_cmpint (qf_plane_rest (&planes.plane[0]), ==, 128);
  g_assert_cmpint (qf_plane_rest (&planes.plane[1]), ==, 128);
  g_assert_cmpint (qf_plane_rest (&planes.plane[2]), ==, 0);
  g_assert_cmpint (qf_plane_rest (&planes.plane[3]), ==, 128);

  g_assert_true (qf_planes_parse (&other, "Y,D5x2t8,M3,A7t2", NULL));
  g_assert_false (qf_planes_equal (&planes, &other));
  g_assert_true (qf_planes_parse (&other, "Y,D5x2t8,M3", NULL));
  g_assert_false (qf_planes_equal (&planes, &other));
}

static void
test_errors (void)
{
  static const char *const wrong[] = { "", " ", ",", "Y,", ",Y", "Y,,Y", "y",
    "X", "Y1", "Yt2", "R2", "D", "D0", "D251", "D-1", "D+1", "D1x", "D1x0",
    "D1x256", "D1t", "D1t256", "D1t8x2", "D1x2x2", "D1x2t8 t3", "D 1", "D1.5",
    "D99999999999999999999", "A0", "M", "Y;D1", "\xff\xfe",
    "Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y,Y" };

  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    QfPlanes planes;
    g_autoptr (GError) error = NULL;

    g_assert_false (qf_planes_parse (&planes, wrong[i], &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
    g_assert_cmpint (planes.n, <=, QF_MAX_PLANES);
  }
  {
    QfPlanes planes;
    g_autoptr (GError) error = NULL;

    g_assert_false (qf_planes_parse (&planes, "Y,D1y2", &error));
    g_assert_nonnull (strstr (error->message, "\"D1y2\""));
    g_assert_nonnull (strstr (error->message, "D<k>"));
    g_assert_false (qf_planes_parse (&planes, NULL, NULL));
  }
}

/* Rest is known where every plane is a difference with a dead band. */
static void
test_at_rest (void)
{
  static const char *const no[] = { "Y", "D1", "D1t8,D5", "Y,D1t8", "M1x2",
    "D1t8,R", "A4" };
  guint8 codes[QF_MAX_PLANES];
  QfPlanes planes;

  for (guint i = 0; i < G_N_ELEMENTS (no); i++) {
    g_assert_true (qf_planes_parse (&planes, no[i], NULL));
    g_assert_false (qf_planes_at_rest (&planes, codes));
  }
  g_assert_true (qf_planes_parse (&planes, "D1t8,M2x3t1,A9t255", NULL));
  g_assert_true (qf_planes_at_rest (&planes, codes));
  g_assert_cmpint (codes[0], ==, 128);
  g_assert_cmpint (codes[1], ==, 0);
  g_assert_cmpint (codes[2], ==, 128);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/planes/canonical", test_canonical);
  g_test_add_func ("/planes/fields", test_fields);
  g_test_add_func ("/planes/errors", test_errors);
  g_test_add_func ("/planes/at-rest", test_at_rest);
  return g_test_run ();
}
