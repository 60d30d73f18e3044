/* Test of the letterbox.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/geometry.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"

static void
test_known (void)
{
  static const struct
  {
    QfFit fit;
    int src_w, src_h, par_n, par_d, dst_w, dst_h, x, y, w, h;
  } rows[] = {
    { QF_FIT_LETTERBOX, 768, 576, 1, 1, 320, 240, 0, 0, 320, 240 },
    { QF_FIT_LETTERBOX, 1920, 1080, 1, 1, 320, 240, 0, 30, 320, 180 },
    { QF_FIT_LETTERBOX, 1080, 1920, 1, 1, 320, 240, 92, 0, 135, 240 },
    { QF_FIT_LETTERBOX, 720, 576, 16, 15, 320, 240, 0, 0, 320, 240 },
    { QF_FIT_LETTERBOX, 720, 576, 64, 45, 320, 240, 0, 30, 320, 180 },
    { QF_FIT_LETTERBOX, 100, 100, 0, 0, 320, 240, 40, 0, 240, 240 },
    { QF_FIT_LETTERBOX, 100, 100, 1, 0, 320, 240, 40, 0, 240, 240 },
    { QF_FIT_STRETCH, 1920, 1080, 7, 5, 320, 240, 0, 0, 320, 240 },
    { QF_FIT_LETTERBOX, 32767, 1, 1, 1, 320, 240, 0, 119, 320, 1 },
    { QF_FIT_LETTERBOX, 1, 32767, 1, 1, 320, 240, 159, 0, 1, 240 },
    { QF_FIT_LETTERBOX, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1 },
    { QF_FIT_LETTERBOX, 32767, 32767, G_MAXINT, 1, 32767, 32767, 0, 16383,
        32767, 1 },
    { QF_FIT_LETTERBOX, 32767, 32767, 1, G_MAXINT, 32767, 32767, 16383, 0, 1,
        32767 },
    { QF_FIT_LETTERBOX, 32767, 32767, G_MAXINT, G_MAXINT, 32767, 32767, 0, 0,
        32767, 32767 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    QfGeometry g;

    qf_geometry_init (&g, rows[i].fit, rows[i].src_w, rows[i].src_h,
        rows[i].par_n, rows[i].par_d, rows[i].dst_w, rows[i].dst_h);
    g_assert_cmpint (g.x, ==, rows[i].x);
    g_assert_cmpint (g.y, ==, rows[i].y);
    g_assert_cmpint (g.w, ==, rows[i].w);
    g_assert_cmpint (g.h, ==, rows[i].h);
    g_assert_cmpint (g.src_w, ==, rows[i].src_w);
    g_assert_cmpint (g.dst_h, ==, rows[i].dst_h);
  }
}

static float
between (QfRng *rng, double lo, double hi)
{
  return (float) (lo + (hi - lo) * qf_rng_uniform (rng));
}

static void
test_round_trip (void)
{
  guint32 seed = g_test_rand_int_range (0, G_MAXINT32);
  QfRng rng = { seed };

  g_test_message ("seed %u", seed);
  for (int i = 0; i < 20000; i++) {
    int src_w = 1 + (int) qf_rng_below (&rng, 4096);
    int src_h = 1 + (int) qf_rng_below (&rng, 4096);
    int dst_w = 1 + (int) qf_rng_below (&rng, 1024);
    int dst_h = 1 + (int) qf_rng_below (&rng, 1024);
    int par_n = 1 + (int) qf_rng_below (&rng, 4);
    int par_d = 1 + (int) qf_rng_below (&rng, 4);
    QfGeometry g;
    QfBox box = { .score = 0.5f, .label = 3, .id = 9 }, back;

    qf_geometry_init (&g, i & 7 ? QF_FIT_LETTERBOX : QF_FIT_STRETCH, src_w,
        src_h, par_n, par_d, dst_w, dst_h);
    /* Whole pixels, inside, centred, one side full, aspect kept to a pixel. */
    g_assert_cmpint (g.w, >=, 1);
    g_assert_cmpint (g.h, >=, 1);
    g_assert_cmpint (g.x, >=, 0);
    g_assert_cmpint (g.y, >=, 0);
    g_assert_cmpint (abs (dst_w - g.w - 2 * g.x), <=, 1);
    g_assert_cmpint (abs (dst_h - g.h - 2 * g.y), <=, 1);
    g_assert_true (g.w == dst_w || g.h == dst_h);
    if (i & 7) {
      double aspect = (double) src_w * par_n / ((double) src_h * par_d);

      if (g.w == dst_w)
        g_assert_cmpfloat (
            fabs (g.h - MIN (dst_h, MAX (1, dst_w / aspect))), <=, 0.5 + 1e-6);
      else
        g_assert_cmpfloat (
            fabs (g.w - MAX (1, dst_h * aspect)), <=, 0.5 + 1e-6);
    }

    box.x = between (&rng, 0, src_w * 0.9);
    box.y = between (&rng, 0, src_h * 0.9);
    box.w = between (&rng, src_w * 0.01, src_w - box.x);
    box.h = between (&rng, src_h * 0.01, src_h - box.y);
    back = box;
    qf_geometry_to_input (&g, &back);
    g_assert_true (qf_geometry_to_source (&g, &back));
    /* Two float32 roundings in the input, seen through its scale. */
    {
      double tx = 1e-3 + 2e-7 * dst_w * src_w / g.w;
      double ty = 1e-3 + 2e-7 * dst_h * src_h / g.h;

      g_assert_cmpfloat (fabs (back.x - box.x), <=, tx);
      g_assert_cmpfloat (fabs (back.w - box.w), <=, tx);
      g_assert_cmpfloat (fabs (back.y - box.y), <=, ty);
      g_assert_cmpfloat (fabs (back.h - box.h), <=, ty);
    }
    g_assert_cmpint (back.label, ==, 3);
    g_assert_cmpint (back.id, ==, 9);
  }
}

static void
test_clip (void)
{
  QfGeometry g;
  QfBox box;
  QfRng rng = { 11 };

  qf_geometry_init (&g, QF_FIT_LETTERBOX, 1920, 1080, 1, 1, 320, 240);

  box = (QfBox){ .x = -10, .y = 20, .w = 40, .h = 30 };
  g_assert_true (qf_geometry_to_source (&g, &box));
  g_assert_cmpfloat (box.x, ==, 0);
  g_assert_cmpfloat (box.y, ==, 0);
  g_assert_cmpfloat (box.w, ==, 180);
  g_assert_cmpfloat (box.h, ==, 120);

  box = (QfBox){ .x = 0, .y = 0, .w = 320, .h = 240 };
  g_assert_true (qf_geometry_to_source (&g, &box));
  g_assert_cmpfloat (box.w, ==, 1920);
  g_assert_cmpfloat (box.h, ==, 1080);

  /* Wholly in the border, empty, or no number. */
  {
    const QfBox none[] = { { .x = 5, .y = 0, .w = 10, .h = 30 },
      { .x = 5, .y = 210, .w = 10, .h = 30 },
      { .x = 5, .y = 50, .w = 0, .h = 30 },
      { .x = 5, .y = 50, .w = -4, .h = 3 },
      { .x = 320, .y = 50, .w = 4, .h = 3 },
      { .x = -4, .y = 50, .w = 4, .h = 3 },
      { .x = NAN, .y = 50, .w = 4, .h = 3 },
      { .x = 5, .y = 50, .w = NAN, .h = 3 },
      { .x = 5, .y = NAN, .w = 4, .h = 3 },
      { .x = 5, .y = 50, .w = 4, .h = NAN },
      { .x = INFINITY, .y = 50, .w = 4, .h = 3 } };

    for (guint i = 0; i < G_N_ELEMENTS (none); i++) {
      box = none[i];
      g_assert_false (qf_geometry_to_source (&g, &box));
    }
  }

  /* Nothing passes the picture's edge, in float either. */
  for (int i = 0; i < 100000; i++) {
    int w = 1 + (int) qf_rng_below (&rng, 5000);
    int h = 1 + (int) qf_rng_below (&rng, 5000);

    qf_geometry_init (&g, QF_FIT_LETTERBOX, w, h, 1, 1, 320, 240);
    box = (QfBox){ .x = between (&rng, -100, 330),
      .y = between (&rng, -100, 250),
      .w = between (&rng, 0, 300),
      .h = between (&rng, 0, 300) };
    if (!qf_geometry_to_source (&g, &box))
      continue;
    g_assert_cmpfloat (box.x, >=, 0);
    g_assert_cmpfloat (box.y, >=, 0);
    g_assert_cmpfloat (box.w, >, 0);
    g_assert_cmpfloat (box.h, >, 0);
    g_assert_true ((float) (box.x + box.w) <= (float) w);
    g_assert_true ((float) (box.y + box.h) <= (float) h);
  }
}

static void
test_fit (void)
{
  QfFit fit = QF_FIT_STRETCH;

  g_assert_true (qf_fit_parse ("letterbox", &fit));
  g_assert_cmpint (fit, ==, QF_FIT_LETTERBOX);
  g_assert_true (qf_fit_parse ("stretch", &fit));
  g_assert_cmpint (fit, ==, QF_FIT_STRETCH);
  g_assert_false (qf_fit_parse ("fill", &fit));
  g_assert_false (qf_fit_parse (NULL, &fit));
  g_assert_cmpstr (qf_fit_to_string (QF_FIT_LETTERBOX), ==, "letterbox");
  g_assert_cmpstr (qf_fit_to_string (QF_FIT_STRETCH), ==, "stretch");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/geometry/known", test_known);
  g_test_add_func ("/geometry/round-trip", test_round_trip);
  g_test_add_func ("/geometry/clip", test_clip);
  g_test_add_func ("/geometry/fit", test_fit);
  return g_test_run ();
}
