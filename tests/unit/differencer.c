/* Test of the differencer against a naive one, and of what it remembers.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/differencer.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

#define MS G_GINT64_CONSTANT (1000000)

static int
clamp_byte (int v)
{
  return v < 0 ? 0 : v > 255 ? 255 : v;
}

/* d with dead band and opening, by the words of the definition. */
static int
naive_d (
    const guint8 *now, const guint8 *then, int w, int h, int t, int x, int y)
{
  int d = now[y * w + x] - then[y * w + x];

  if (t == 0)
    return d;
  if (abs (d) <= t)
    return 0;
  for (int by = y - 1; by <= y; by++)
    for (int bx = x - 1; bx <= x; bx++) {
      gboolean all = bx >= 0 && by >= 0 && bx + 1 < w && by + 1 < h;

      for (int i = 0; all && i < 4; i++) {
        int at = (by + i / 2) * w + bx + i % 2;

        all = abs (now[at] - then[at]) > t;
      }
      if (all)
        return d;
    }
  return 0;
}

/* Plane @p of a stream of pictures all held in @past (oldest first), one step a
 * picture. */
static void
naive_plane (const QfPlane *p, guint8 *const *past, int n_past,
    const guint8 *now, int w, int h, guint8 *out)
{
  g_autofree guint8 *then = g_malloc ((gsize) w * h);

  if (p->kind == 'Y') {
    memcpy (out, now, (gsize) w * h);
    return;
  }
  for (int i = 0; i < w * h; i++) {
    int sum = 0;

    if (n_past < p->k) {
      then[i] = now[i];
      continue;
    }
    for (int k = 1; k <= p->k; k++)
      sum += past[n_past - k][i];
    then[i] = p->kind == 'A' ? (guint8) ((sum + p->k / 2) / p->k)
                             : past[n_past - p->k][i];
  }
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++) {
      int d = naive_d (now, then, w, h, p->threshold, x, y);

      out[y * w + x] = (guint8) clamp_byte (
          p->kind == 'M' ? p->gain * abs (d) : 128 + p->gain * d / 2);
    }
}

/* All 65,536 pairs of now and then. Even rows and columns doubled, so that with
 * a dead band every pixel lies in a 2x2 block of its own value. */
static void
test_all_pairs (void)
{
  static const char *const texts[] = { "D1", "M1", "A1", "D1x2", "D1x3", "D1x7",
    "D1x128", "D1x255", "M1x2", "M1x5", "M1x255", "D1t1", "D1t8", "D1x2t8",
    "D1x5t127", "D1t254", "D1t255", "M1t8", "M1x3t20", "A1x2t8" };
  const int side = 512;
  g_autofree guint8 *now = g_malloc ((gsize) side * side);
  g_autofree guint8 *then = g_malloc ((gsize) side * side);
  g_autofree guint8 *out = g_malloc ((gsize) side * side);

  for (int y = 0; y < side; y++)
    for (int x = 0; x < side; x++) {
      now[y * side + x] = (guint8) (x / 2);
      then[y * side + x] = (guint8) (y / 2);
    }
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    QfPlanes planes;
    const QfPlane *p = &planes.plane[0];
    g_autoptr (QfDifferencer) d = NULL;

    g_assert_true (qf_planes_parse (&planes, texts[i], NULL));
    d = qf_differencer_new (&planes, side, side, 0, 1);
    qf_differencer_push (d, then, NULL, -1, NULL);
    qf_differencer_push (d, now, NULL, -1, out);
    for (int y = 0; y < side; y++)
      for (int x = 0; x < side; x++) {
        int v = x / 2 - y / 2, expected;

        if (abs (v) <= p->threshold)
          v = 0;
        expected = clamp_byte (
            p->kind == 'M' ? p->gain * abs (v) : 128 + p->gain * v / 2);
        if (out[y * side + x] != expected)
          g_error ("%s: %d after %d gave %d, expected %d", texts[i], x / 2,
              y / 2, out[y * side + x], expected);
      }
  }
}

/* Random streams of blobs and noise against the naive one. */
static void
check_stream (QfRng *rng, const char *text, int w, int h, int n_pictures)
{
  QfPlanes planes;
  gsize size = (gsize) w * h;
  g_autoptr (GPtrArray) past = g_ptr_array_new_with_free_func (g_free);
  g_autofree guint8 *out = NULL, *expected = g_malloc (size);
  g_autoptr (QfDifferencer) d = NULL;

  g_assert_true (qf_planes_parse (&planes, text, NULL));
  out = g_malloc (size * planes.n);
  d = qf_differencer_new (&planes, w, h, 0, 0);
  for (int n = 0; n < n_pictures; n++) {
    guint8 *now = g_malloc (size);
    gboolean skip = qf_rng_below (rng, 4) == 0;

    for (gsize i = 0; i < size; i++)
      now[i] = (guint8) (qf_rng_below (rng, 3) || n == 0
              ? (int) qf_rng_below (rng, 20) + 100
              : (int) qf_rng_below (rng, 256));
    /* A time line with small gaps must change nothing without a rate. */
    qf_differencer_push (
        d, now, NULL, n % 2 ? n * 40 * MS : -1, skip ? NULL : out);
    for (int i = 0; i < planes.n && !skip; i++) {
      naive_plane (&planes.plane[i], (guint8 *const *) past->pdata,
          (int) past->len, now, w, h, expected);
      if (memcmp (expected, out + (gsize) i * size, size) != 0)
        g_error ("plane %d of %s, %dx%d, picture %d", i, text, w, h, n);
    }
    g_ptr_array_add (past, now);
  }
}

static void
test_streams (void)
{
  static const char *const texts[] = { "Y", "D1", "Y,D1x2t8,D5x2t8",
    "A8,A8t3,M8,D8t3,A3x4", "D1t8,M1t8,D1x3t8,M1x2,D1", "A7t2,A1,A2,A250",
    "D250,A250x2", "M2x9t12,A5x255t1,Y,D3" };
  static const int sizes[][2] = { { 1, 1 }, { 1, 9 }, { 9, 1 }, { 2, 2 },
    { 3, 2 }, { 17, 5 }, { 33, 31 } };
  guint32 seed = g_test_rand_int_range (0, G_MAXINT32);
  QfRng rng = { seed };

  g_test_message ("seed %u", seed);
  for (guint t = 0; t < G_N_ELEMENTS (texts); t++)
    for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
      check_stream (&rng, texts[t], sizes[s][0], sizes[s][1],
          t == 5 || t == 6 ? 258 : 24);
}

/* The mean's division for every sum that can be. */
static void
test_means (void)
{
  for (int n = 1; n <= 250; n += n < 20 ? 1 : 23) {
    g_autofree char *text = g_strdup_printf ("A%dx2", n);
    QfPlanes planes;
    g_autoptr (QfDifferencer) d = NULL;
    int width = 255 * n + 1;
    g_autofree guint8 *picture = g_malloc ((gsize) width);
    g_autofree guint8 *out = g_malloc ((gsize) width);

    g_assert_true (qf_planes_parse (&planes, text, NULL));
    d = qf_differencer_new (&planes, width, 1, 0, 1);
    for (int k = 0; k < n; k++) { /* column s has sum s */
      for (int s = 0; s < width; s++)
        picture[s] = (guint8) (s / n + (k < s % n ? 1 : 0));
      qf_differencer_push (d, picture, NULL, -1, NULL);
    }
    memset (picture, 128, (gsize) width);
    qf_differencer_push (d, picture, NULL, -1, out);
    for (int s = 0; s < width; s++)
      g_assert_cmpint (out[s], ==, clamp_byte (128 + 128 - (s + n / 2) / n));
  }
}

/* A stream whose picture n is grey 10 + n: D tells which picture it took. A
 * distance of −1: none. */
typedef struct
{
  QfDifferencer *d;
  int n;
} Counter;

static int
distance_at (Counter *c, gint64 time, int plane, int n_planes)
{
  guint8 now[4], out[4 * QF_MAX_PLANES];

  memset (now, 10 + c->n++ % 200, 4);
  qf_differencer_push (c->d, now, NULL, time, out);
  for (int i = 1; i < 4; i++)
    g_assert_cmpint (out[4 * plane + i], ==, out[4 * plane]);
  g_assert_cmpint (n_planes, >, plane);
  return out[4 * plane] / 2 - 64; /* gain 4: 128 + 2·distance */
}

static Counter
counter (const char *text, int rate_n, int rate_d)
{
  QfPlanes planes;

  g_assert_true (qf_planes_parse (&planes, text, NULL));
  return (Counter){ qf_differencer_new (&planes, 2, 2, rate_n, rate_d), 0 };
}

static void
test_forget (void)
{
  Counter c = counter ("D2x4", 0, 1);
  gint64 t = 0;

  for (int i = 0; i < 5; i++, t += 40 * MS)
    g_assert_cmpint (distance_at (&c, t, 0, 1), ==, i < 2 ? 0 : 2);
  /* A second is no gap, more is. */
  t += 960 * MS;
  g_assert_cmpint (distance_at (&c, t, 0, 1), ==, 2);
  t += 40 * MS;
  g_assert_cmpint (distance_at (&c, t, 0, 1), ==, 2);
  t += 1001 * MS;
  g_assert_cmpint (distance_at (&c, t, 0, 1), ==, 0);
  g_assert_cmpint (distance_at (&c, t += 40 * MS, 0, 1), ==, 0);
  g_assert_cmpint (distance_at (&c, t += 40 * MS, 0, 1), ==, 2);
  /* Time standing still is no way back, going back is. */
  g_assert_cmpint (distance_at (&c, t, 0, 1), ==, 2);
  t -= 10 * MS;
  g_assert_cmpint (distance_at (&c, t, 0, 1), ==, 0);
  g_assert_cmpint (distance_at (&c, t += 40 * MS, 0, 1), ==, 0);
  g_assert_cmpint (distance_at (&c, t += 40 * MS, 0, 1), ==, 2);
  /* Without times nothing is forgotten but by reset. */
  g_assert_cmpint (distance_at (&c, -1, 0, 1), ==, 2);
  g_assert_cmpint (distance_at (&c, -1, 0, 1), ==, 2);
  qf_differencer_reset (c.d);
  g_assert_cmpint (distance_at (&c, -1, 0, 1), ==, 0);
  g_assert_cmpint (distance_at (&c, -1, 0, 1), ==, 0);
  g_assert_cmpint (distance_at (&c, -1, 0, 1), ==, 2);
  qf_differencer_free (c.d);

  /* Slow streams: four times the longest distance. One picture each 5 s: only
   * the first gap, before the pace is known, counts as a leap. */
  c = counter ("D2x4", 0, 1);
  g_assert_cmpint (distance_at (&c, 0, 0, 1), ==, 0);
  g_assert_cmpint (distance_at (&c, 5000 * MS, 0, 1), ==, 0);
  g_assert_cmpint (distance_at (&c, 10000 * MS, 0, 1), ==, 0);
  g_assert_cmpint (distance_at (&c, 15000 * MS, 0, 1), ==, 2);
  g_assert_cmpint (distance_at (&c, 55000 * MS, 0, 1), ==, 2);
  qf_differencer_free (c.d);

  /* With a rate: D50 at 25/1 is 2 s, so the limit is 8 s. */
  c = counter ("D50x4,D1x4", 25, 1);
  for (t = 0; t < 4000 * MS; t += 40 * MS)
    distance_at (&c, t, 0, 2);
  t += 8000 * MS - 40 * MS;
  g_assert_cmpint (distance_at (&c, t, 1, 2), ==, 1);
  t += 8000 * MS + 1;
  g_assert_cmpint (distance_at (&c, t, 1, 2), ==, 0);
  qf_differencer_free (c.d);
}

/* The same model at other paces: which picture D5 takes at a rate of 25/1. */
static void
test_rate (void)
{
  static const struct
  {
    int fps, d1, d5, first; /* first: picture from which D5 has a past */
  } rows[] = { { 25, 1, 5, 5 }, { 50, 2, 10, 9 }, { 100, 4, 20, 18 },
    { 60, 2, 12, 11 }, { 30, 1, 6, 6 }, { 10, 1, 2, 2 }, { 5, 1, 1, 1 },
    { 2, 1, 1, 1 }, { 200, 8, 40, 36 } };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    Counter one = counter ("D1x4,D5x4", 25, 1);
    Counter five = counter ("D1x4,D5x4", 25, 1);

    for (int n = 0; n < 90; n++) {
      gint64 t = 1000 * MS + n * 1000 * MS / rows[i].fps;
      int d1 = distance_at (&one, t, 0, 2), d5 = distance_at (&five, t, 1, 2);

      if (n >= rows[i].d1)
        g_assert_cmpint (d1, ==, rows[i].d1);
      g_assert_cmpint (d5, ==, n < rows[i].first ? 0 : MIN (n, rows[i].d5));
    }
    qf_differencer_free (one.d);
    qf_differencer_free (five.d);
  }
}

/* With a rate, a stream at that rate is as one without: all kinds, a jitter of
 * a few milliseconds too. Without times pictures are counted. */
static void
test_rate_native (void)
{
  QfPlanes planes;
  QfRng rng = { 5 };

  g_assert_true (qf_planes_parse (&planes, "Y,D1,D7t3,M3x2,A8,A3t2", NULL));
  for (int mode = 0; mode < 3; mode++) {
    g_autoptr (QfDifferencer) a = qf_differencer_new (&planes, 9, 7, 0, 1);
    g_autoptr (QfDifferencer) b =
        qf_differencer_new (&planes, 9, 7, 30000, 1001);

    for (int n = 0; n < 60; n++) {
      guint8 now[63], out_a[6 * 63], out_b[6 * 63];
      gint64 t = (n + 1) * 1001 * 1000 * MS / 30000;

      if (mode == 1)
        t += (int) qf_rng_below (&rng, 10 * MS) - 5 * MS;
      for (int i = 0; i < 63; i++)
        now[i] = (guint8) qf_rng_next (&rng);
      qf_differencer_push (a, now, NULL, -1, out_a);
      qf_differencer_push (b, now, NULL, mode == 2 ? -1 : t, out_b);
      g_assert_cmpmem (out_a, sizeof out_a, out_b, sizeof out_b);
    }
  }
}

/* Random times against the definition with everything held: slow, at about the
 * rate, and so fast that pictures are thinned out. */
static void
test_rate_random (void)
{
  static const gint64 spread[3] = { 150 * MS, 20 * MS, 7 * MS };
  guint32 seed = g_test_rand_int_range (0, G_MAXINT32);
  QfRng rng = { seed };

  g_test_message ("seed %u", seed);
  for (int round = 0; round < 300; round++) {
    int n_mean = 1 + (int) qf_rng_below (&rng, 9);
    int k = 1 + (int) qf_rng_below (&rng, 9);
    g_autofree char *text = g_strdup_printf ("D%d,A%d", k, n_mean);
    QfPlanes planes;
    g_autoptr (QfDifferencer) d = NULL;
    gint64 times[200], t = 0, first = -1;
    guint8 grey[200];

    g_assert_true (qf_planes_parse (&planes, text, NULL));
    d = qf_differencer_new (&planes, 1, 1, 25, 1);
    for (int n = 0, held = 0; n < 200; n++) {
      guint8 now = (guint8) qf_rng_next (&rng), out[2];
      int expected[2] = { 128, 128 };

      t += qf_rng_below (&rng, (guint32) spread[round % 3]);
      if (qf_rng_below (&rng, 8) == 0) /* on a step, so that ties happen */
        t = (t / (20 * MS) + 1) * 20 * MS;
      qf_differencer_push (d, &now, NULL, t, n % 5 == 3 ? NULL : out);
      for (int plane = 0; plane < 2; plane++) {
        int steps = plane ? n_mean : k, sum = 0;

        if (held == 0 || t - steps * 40 * MS < first - 20 * MS)
          continue;
        for (int j = plane ? 1 : steps; j <= steps; j++) {
          gint64 target = t - j * 40 * MS;
          int best = 0;

          for (int i = 1; i < held; i++)
            if (ABS (times[i] - target) <= ABS (times[best] - target))
              best = i;
          sum += grey[best];
        }
        if (plane)
          sum = (sum + n_mean / 2) / n_mean;
        expected[plane] = clamp_byte (128 + (now - sum) / 2);
      }
      if (n % 5 != 3) {
        g_assert_cmpint (out[0], ==, expected[0]);
        g_assert_cmpint (out[1], ==, expected[1]);
      }
      if (held >= 2 && times[held - 1] - times[held - 2] < 5 * MS)
        held--;
      first = first < 0 ? t : first;
      times[held] = t;
      grey[held++] = now;
    }
  }
}

/* A stream of 10,000 pictures a second still finds its distance within 1/8
 * step, and one whose time stands still keeps going. */
static void
test_rate_dense (void)
{
  Counter c = counter ("D1x4", 1000, 1);
  Counter still = counter ("D3x4", 25, 1);

  for (int n = 0; n < 3000; n++) {
    int d = distance_at (&c, n * MS / 10, 0, 1);

    if (n >= 20 && n % 200 > 20) {
      g_assert_cmpint (d, >=, 8);
      g_assert_cmpint (d, <=, 12);
    }
  }
  for (int n = 0; n < 3000; n++)
    g_assert_cmpint (distance_at (&still, 7 * MS, 0, 1), ==, 0);
  /* 8 pictures a step and 3 at most, of 2x2 pixels. */
  g_assert_cmpint (qf_differencer_memory (c.d), <=, 4 * (8 + 3));
  g_assert_cmpint (qf_differencer_memory (still.d), <=, 4 * (3 * 8 + 3));
  qf_differencer_free (c.d);
  qf_differencer_free (still.d);
}

static void
test_colour (void)
{
  QfPlanes planes;
  const guint8 luma[2] = { 1, 2 }, r[2] = { 3, 4 }, g[2] = { 5, 6 },
               b[2] = { 7, 8 };
  const guint8 *const rgb[3] = { r, g, b };
  const guint8 expected[10] = { 7, 8, 1, 2, 3, 4, 5, 6, 128, 128 };
  guint8 out[10];
  g_autoptr (QfDifferencer) d = NULL;

  g_assert_true (qf_planes_parse (&planes, "B,Y,R,G,D1", NULL));
  d = qf_differencer_new (&planes, 2, 1, 0, 1);
  qf_differencer_push (d, luma, rgb, -1, out);
  g_assert_cmpmem (out, 10, expected, 10);
}

static void
test_speed (void)
{
  static const char *const texts[] = { "D1", "D1x2t8", "Y,D1x2t8,D5x2t8",
    "A8t3" };
  const int w = 320, h = 240;
  g_autofree guint8 *luma = g_malloc0 ((gsize) w * h);
  g_autofree guint8 *out = g_malloc ((gsize) 3 * w * h);

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    QfPlanes planes;
    g_autoptr (QfDifferencer) d = NULL;
    gint64 best = G_MAXINT64;

    g_assert_true (qf_planes_parse (&planes, texts[i], NULL));
    d = qf_differencer_new (&planes, w, h, 0, 1);
    for (int n = 0; n < 40; n++) {
      gint64 start = g_get_monotonic_time ();

      qf_differencer_push (d, luma, NULL, -1, out);
      if (n > 10)
        best = MIN (best, g_get_monotonic_time () - start);
    }
    g_test_message (
        "%s at %dx%d: %" G_GINT64_FORMAT " us", texts[i], w, h, best);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/differencer/all-pairs", test_all_pairs);
  g_test_add_func ("/differencer/streams", test_streams);
  g_test_add_func ("/differencer/means", test_means);
  g_test_add_func ("/differencer/forget", test_forget);
  g_test_add_func ("/differencer/rate", test_rate);
  g_test_add_func ("/differencer/rate-native", test_rate_native);
  g_test_add_func ("/differencer/rate-random", test_rate_random);
  g_test_add_func ("/differencer/rate-dense", test_rate_dense);
  g_test_add_func ("/differencer/colour", test_colour);
  g_test_add_func ("/differencer/speed", test_speed);
  return g_test_run ();
}
