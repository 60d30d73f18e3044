/* Test of motion analysis: what is found in drawn scenes, and what is not.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "motiontest.h"

/* --- what is found ----------------------------------------------------------
 */

static void
test_still (void)
{
  guint8 p[W * H];

  draw_scene (p, W, H);
  for (int kind = QF_MOTION_PREVIOUS; kind <= QF_MOTION_BACKGROUND; kind++) {
    QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
    g_autoptr (QfMotion) m = NULL;

    o.reference = (QfMotionReference) kind;
    m = make (&o, W, H);
    for (int f = 0; f < 60; f++) {
      QfMotionResult r;

      qf_motion_push (m, p, W, f * 40 * MS, &r);
      g_assert_cmpint (r.known, ==, f > 0);
      g_assert_cmpfloat (r.share, ==, 0);
      g_assert_cmpint (r.n_blobs, ==, 0);
      g_assert_false (r.moving || r.started || r.stopped || r.lighting);
      for (int i = 0; i < W * H; i++)
        g_assert_cmpint (r.mask[i], ==, 0);
    }
  }
}

/* A square that goes over the background: its own box in each picture, nothing
 * where it was. */
static void
test_square (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = make (&o, W, H);

  for (int f = 0; f < 100; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    memset (p, 100, sizeof p);
    if (f >= 50)
      draw_square (p, W, H, f, 30 + f / 4, 20, 200);
    qf_motion_push (m, p, W, f * 40 * MS, &r);
    if (f < 50) {
      g_assert_cmpint (r.n_blobs, ==, 0);
      continue;
    }
    g_assert_cmpint (r.n_blobs, ==, 1);
    assert_box (r.blobs, f, 30 + f / 4, 20, 20);
    g_assert_cmpint (r.blobs[0].area, ==, 400);
    g_assert_cmpuint (r.changed, ==, 400);
    g_assert_cmpfloat (r.share, ==, 400.0 / (W * H));
  }
}

static void
test_margin_and_size (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = NULL;
  guint8 p[W * H];
  QfMotionResult r;

  o.min_area = 50;
  o.margin = 6;
  m = make (&o, W, H);
  memset (p, 100, sizeof p);
  qf_motion_push (m, p, W, 0, &r);
  draw_square (p, W, H, 3, 50, 10, 200);
  draw_square (p, W, H, 100, 50, 7, 200); /* 49 pixels */
  draw_square (p, W, H, 100, 112, 8, 200);
  qf_motion_push (m, p, W, 40 * MS, &r);
  g_assert_cmpuint (r.changed, ==, 100 + 49 + 64);
  g_assert_cmpint (r.n_blobs, ==, 2);
  assert_box (&r.blobs[0], 0, 44, 19, 22);
  assert_box (&r.blobs[1], 94, 106, 20, 14);
  g_assert_cmpint (r.blobs[1].area, ==, 64);

  qf_motion_get_options (m, &o);
  o.min_area = 0;
  g_assert_true (qf_motion_set_options (m, &o, NULL));
  g_assert_cmpint (qf_motion_min_area (m), ==, 4); /* specks */
}

/* Wide pictures are analysed smaller; what is told is in whole pixels. */
static void
test_reduced (void)
{
  static const int sizes[][2] = { { 1441, 501 }, { 2563, 725 },
    { 3841, 963 } }; /* a half, a third, a fourth */

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    int w = sizes[i][0], h = sizes[i][1], k = (int) i + 2;
    gsize size = (gsize) w * h, changed = 0;
    QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
    g_autofree guint8 *p = g_malloc (size);
    g_autoptr (QfMotion) m = make (&o, w, h);
    QfMotionResult r;

    memset (p, 100, size);
    qf_motion_push (m, p, w, 0, &r);
    draw_square (p, w, h, 24 * k, 12 * k, 60 * k, 200);
    draw_square (p, w, h, w - 96, h - 96, 96, 200);
    qf_motion_push (m, p, w, 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, 2);
    assert_box (&r.blobs[0], 24 * k, 12 * k, 60 * k, 60 * k);
    g_assert_cmpint (r.blobs[0].area, ==, 3600 * k * k);
    g_assert_cmpint (r.blobs[1].x + r.blobs[1].w, ==, w);
    g_assert_cmpint (r.blobs[1].y + r.blobs[1].h, ==, h);
    g_assert_cmpint (ABS (r.blobs[1].w - 96), <, 2 * k);
    for (gsize j = 0; j < size; j++)
      changed += r.mask[j] == (p[j] == 200 ? 255 : 0);
    g_assert_cmpuint (changed, >=, size - 4 * 96 * (gsize) k);
    g_assert_cmpint (qf_motion_min_area (m), ==, 4 * k * k);

    o.min_area = 3601 * k * k;
    g_assert_true (qf_motion_set_options (m, &o, NULL));
    qf_motion_push (m, p, w, 80 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, 0);

    /* the reference asked for: as it is */
    o.want_then = TRUE;
    o.min_area = 1;
    g_assert_true (qf_motion_set_options (m, &o, NULL));
    qf_motion_push (m, p, w, 120 * MS, &r);
    g_assert_false (r.known);
    draw_square (p, w, h, 500, 200, 33, 20);
    qf_motion_push (m, p, w, 160 * MS, &r);
    g_assert_cmpint (r.then[200 * w + 500], ==, 100);
    g_assert_cmpint (r.n_blobs, ==, 1);
    assert_box (r.blobs, 500, 200, 33, 33);
  }
}

/* Two squares that touch by a corner are two; a square with a thin limb is one.
 */
static void
test_split (void)
{
  for (int split = 0; split < 2; split++)
    for (int limb = 0; limb < 2; limb++) {
      QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
      g_autoptr (QfMotion) m = NULL;
      guint8 p[W * H];
      QfMotionResult r;

      o.split = split;
      m = make (&o, W, H);
      memset (p, 100, sizeof p);
      qf_motion_push (m, p, W, 0, &r);
      draw_square (p, W, H, 40, 40, 20, 200);
      draw_square (p, W, H, 60, 50, limb ? 6 : 20, 200);
      qf_motion_push (m, p, W, 40 * MS, &r);
      draw_square (p, W, H, 40, 40, 20, 200);
      if (limb) {
        g_assert_cmpint (r.n_blobs, ==, 1);
        assert_box (r.blobs, 40, 40, 26, 20);
      } else {
        /* they share an edge of ten pixels: no neck */
        g_assert_cmpint (r.n_blobs, ==, 1);
        assert_box (r.blobs, 40, 40, 40, 30);
      }
      qf_motion_reset (m);
      memset (p, 100, sizeof p);
      qf_motion_push (m, p, W, 80 * MS, &r);
      draw_square (p, W, H, 40, 40, 20, 200);
      draw_square (p, W, H, 60, 58, 20, 200); /* two pixels of an edge */
      qf_motion_push (m, p, W, 120 * MS, &r);
      g_assert_cmpint (r.n_blobs, ==, split ? 2 : 1);
      if (split)
        for (int i = 0; i < 2; i++) {
          g_assert_cmpint (r.blobs[i].w, >=, 18);
          g_assert_cmpint (r.blobs[i].w, <=, 22);
        }
    }
}

/* What stands becomes background, and leaves no ghost when it goes. */
static void
test_background (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = NULL;
  guint8 empty[W * H], taken[W * H];
  int f = 0, seen = 0;
  QfMotionResult r;

  o.learning_rate = 0.01; /* 50 pictures */
  m = make (&o, W, H);
  memset (empty, 100, sizeof empty);
  memcpy (taken, empty, sizeof empty);
  draw_square (taken, W, H, 50, 50, 20, 180);
  for (; f < 100; f++) {
    qf_motion_push (m, empty, W, f * 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, 0);
  }
  do {
    qf_motion_push (m, taken, W, f++ * 40 * MS, &r);
    seen += r.n_blobs;
  } while (r.n_blobs > 0);
  g_assert_cmpint (seen, >=, 30);
  g_assert_cmpint (seen, <=, 60);
  for (int i = 0; i < 60; i++) {
    qf_motion_push (m, taken, W, f++ * 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, 0);
  }
  for (int i = 0; i < 60; i++) {
    qf_motion_push (m, empty, W, f++ * 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, 0);
  }

  /* rate 0: the first picture stays */
  o.learning_rate = 0;
  g_assert_true (qf_motion_set_options (m, &o, NULL));
  qf_motion_reset (m);
  for (int i = 0; i < 300; i++) {
    qf_motion_push (m, i == 0 ? empty : taken, W, f++ * 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, i > 0);
  }
}

/* Somebody who is in the first picture and goes: soon forgotten. */
static void
test_first_picture (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = make (&o, W, H);
  int ghost = 0;

  for (int f = 0; f < 60; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    memset (p, 100, sizeof p);
    if (f < 10)
      draw_square (p, W, H, 50, 50, 20, 180);
    qf_motion_push (m, p, W, f * 40 * MS, &r);
    ghost += r.n_blobs;
  }
  g_assert_cmpint (ghost, <=, 10);
}

static void
test_shadow (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;

  for (int kind = QF_MOTION_PREVIOUS; kind <= QF_MOTION_BACKGROUND; kind++)
    for (int i = 0; i < 4; i++) {
      static const guint8 levels[4] = { 116, 114, 200, 150 };
      static const gboolean moves[4] = { FALSE, TRUE, TRUE, FALSE };
      g_autoptr (QfMotion) m = NULL;
      guint8 p[W * H];
      QfMotionResult r;

      o.reference = (QfMotionReference) kind;
      m = make (&o, W, H);
      memset (p, 153, sizeof p); /* a quarter is 38 */
      qf_motion_push (m, p, W, 0, &r);
      draw_square (p, W, H, 50, 50, 20, levels[i]);
      qf_motion_push (m, p, W, 40 * MS, &r);
      g_assert_cmpint (r.n_blobs, ==, moves[i]);
    }
}

static gboolean
holds (const QfMotionBlob *b, int x, int y)
{
  return x >= b->x && x < b->x + b->w && y >= b->y && y < b->y + b->h;
}

/* Fifteen pixels before a noisy sky, brighter or (less than a shadow) darker:
 * found nearly all the way, and nothing else. */
static void
test_speck (void)
{
  static const int levels[] = { 140, 97, 97 };

  for (guint k = 0; k < G_N_ELEMENTS (levels); k++) {
    QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
    g_autoptr (QfMotion) m = NULL;
    QfRng rng = { 8 };
    int found = 0;

    if (k == 2) /* told that this is a shadow */
      o.shadow = 0.25;
    m = make (&o, W, H);

    for (int f = 0; f < 100; f++) {
      guint8 p[W * H];
      int x = 10 + (f - 40) * 2, y = 60 - (f - 40) / 2;
      QfMotionResult r;

      memset (p, 120, sizeof p);
      if (f >= 40) {
        draw_square (p, W, H, x, y, 4, (guint8) levels[k]);
        p[y * W + x] = 120;
      }
      add_noise (p, W * H, 1.5, &rng);
      qf_motion_push (m, p, W, f * 40 * MS, &r);
      for (int i = 0; i < r.n_blobs; i++) {
        g_assert_true (holds (&r.blobs[i], x + 2, y + 2));
        g_assert_cmpint (r.blobs[i].area, <=, 24);
        g_assert_cmpint (r.mask[(y + 2) * W + x + 2], ==, 255);
      }
      found += r.n_blobs;
    }
    g_assert_cmpint (found, >=, k < 2 ? 55 : 0);
    g_assert_cmpint (found, <=, k < 2 ? 60 : 0);
  }
}

/* Dots that blink at places of their own do not move. */
static void
test_flicker_in_place (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = make (&o, W, H);
  QfRng rng = { 4 };

  for (int f = 0; f < 150; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    memset (p, 120, sizeof p);
    for (int k = 0; k < 12 && f > 30; k++)
      if (qf_rng_below (&rng, 3) == 0)
        draw_square (p, W, H, 10 + k % 4 * 40, 20 + k / 4 * 40, 4, 160);
    qf_motion_push (m, p, W, f * 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, 0);
  }
}

/* Somebody walks; the shadow on the ground beside is no part and nothing of its
 * own, not even where a gap parts it. */
static void
test_shadow_of_somebody (void)
{
  for (int gap = 0; gap < 6; gap += 3) {
    QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
    g_autoptr (QfMotion) m = make (&o, W, H);
    QfRng rng = { 6 };

    for (int f = 0; f < 180; f++) {
      guint8 p[W * H];
      int x0 = (f - 120) * 2;
      QfMotionResult r;

      memset (p, 150, sizeof p);
      if (f >= 120) {
        draw_square (p, W, H, x0, 30, 16, 60);
        draw_square (p, W, H, x0, 46, 16, 60);
        draw_square (p, W, H, x0 + 16 + gap, 56, 6, 125); /* a small shadow */
        draw_square (p, W, H, x0 + 22 + gap, 54, 8, 125);
      }
      add_noise (p, W * H, 1.5, &rng);
      qf_motion_push (m, p, W, f * 40 * MS, &r);
      g_assert_cmpint (r.n_blobs, ==, f >= 120);
      if (f >= 120)
        assert_box (r.blobs, x0, 30, 16, 32);
    }
  }
}

/* A window of a larger scene of patches, @x and @y in quarters of a pixel. */
static void
draw_window (guint8 *p, const guint8 *big, int pitch, int x, int y)
{
  const int fx = x & 3, fy = y & 3;
  const guint8 *b = big + (y >> 2) * pitch + (x >> 2);

  for (int i = 0; i < H; i++)
    for (int k = 0; k < W; k++) {
      const guint8 *q = b + i * pitch + k;
      int v = (4 - fy) * ((4 - fx) * q[0] + fx * q[1]) +
          fy * ((4 - fx) * q[pitch] + fx * q[pitch + 1]);

      p[i * W + k] = (guint8) (v / 16);
    }
}

/* The camera turns, or trembles: the scene does not move, something bright
 * does. */
static void
test_camera (void)
{
  enum
  {
    PITCH = W + 260
  };
  g_autofree guint8 *big = g_malloc (PITCH * (H + 40));
  QfRng rng = { 21 };

  for (int y = 0; y < H + 40; y += 5)
    for (int x = 0; x < PITCH; x += 5) {
      guint8 v = (guint8) (40 + qf_rng_below (&rng, 120));

      for (int k = 0; k < 25; k++)
        if (x + k % 5 < PITCH)
          big[(y + k / 5) * PITCH + x + k % 5] = v;
    }
  for (int tremble = 0; tremble < 2; tremble++) {
    QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
    g_autoptr (QfMotion) m = make (&o, W, H);
    int wrong = 0, found = 0;

    for (int f = 0; f < 100; f++) {
      guint8 p[W * H];
      int x = tremble ? 40 + (int) qf_rng_below (&rng, 4) : f * 5, y0 = 30;
      QfMotionResult r;

      draw_window (p, big, PITCH, x, tremble ? 30 + f % 3 : 60 - f / 4);
      if (f >= 50)
        draw_square (p, W, H, 20 + (f - 50) * 2, y0, 12, 230);
      qf_motion_push (m, p, W, f * 40 * MS, &r);
      for (int i = 0; i < r.n_blobs; i++)
        if (f >= 50 && holds (&r.blobs[i], 26 + (f - 50) * 2, y0 + 6))
          found++;
        else
          wrong++;
    }
    g_test_message ("tremble %d: %d wrong, %d found", tremble, wrong, found);
    g_assert_cmpint (wrong, <=, tremble ? 25 : 5);
    g_assert_cmpint (found, >=, tremble ? 38 : 48);
  }
}

/* Something that fills a fifth of a plain picture is no cut and no camera. */
static void
test_something_huge (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = make (&o, W, H);
  QfRng rng = { 2 };

  for (int f = 0; f < 160; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    memset (p, 100, sizeof p);
    if (f >= 120)
      draw_square (p, W, H, f - 120, 20, 64, 180);
    add_noise (p, W * H, 1.5, &rng);
    qf_motion_push (m, p, W, f * 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, f >= 120);
    if (f >= 120)
      assert_box (r.blobs, f - 120, 20, 64, 64);
  }
}

/* One setting from day to night: nothing found in noise, the estimate right, a
 * square seen above it. */
static void
test_noise (void)
{
  static const double sigmas[] = { 0.5, 1, 2, 4, 8, 14 };

  for (int kind = QF_MOTION_PREVIOUS; kind <= QF_MOTION_BACKGROUND; kind++)
    for (guint s = 0; s < G_N_ELEMENTS (sigmas); s++) {
      QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
      g_autoptr (QfMotion) m = NULL;
      QfRng rng = { 77 + s };
      int contrast = (int) (20 + 8 * sigmas[s]), found = 0;

      o.reference = (QfMotionReference) kind;
      m = make (&o, W, H);
      for (int f = 0; f < 160; f++) {
        guint8 p[W * H];
        QfMotionResult r;

        memset (p, 90, sizeof p);
        if (f >= 150)
          draw_square (
              p, W, H, 10 + (f - 150) * 12, 40, 24, (guint8) (90 + contrast));
        add_noise (p, W * H, sigmas[s], &rng);
        qf_motion_push (m, p, W, f * 40 * MS, &r);
        if (f >= 150) {
          found += r.n_blobs > 0;
          continue;
        }
        if (f < 20)
          continue;
        g_assert_cmpint (r.n_blobs, ==, 0);
        g_assert_cmpfloat (r.noise, >, 0.75 * sigmas[s]);
        g_assert_cmpfloat (r.noise, <, 1.25 * sigmas[s] + 0.2);
        g_assert_false (r.moving);
      }
      g_assert_cmpint (found, ==, 10);
    }
}

static void
draw_lit (guint8 *p, double gain, double offset, int square)
{
  draw_scene (p, W, H);
  if (square >= 0)
    draw_square (p, W, H, square, 40, 16, 20);
  for (int i = 0; i < W * H; i++)
    p[i] = (guint8) CLAMP (p[i] * gain + offset + 0.5, 0, 255);
}

/* Exposure jumps while a square moves: only the square is found. */
static void
test_exposure (void)
{
  static const double steps[][2] = { { 1.25, 0 }, { 0.7, 0 }, { 1, 25 },
    { 1, -25 }, { 1.15, 12 }, { 0.8, 30 } };

  for (int kind = QF_MOTION_PREVIOUS; kind <= QF_MOTION_BACKGROUND; kind++)
    for (guint s = 0; s < G_N_ELEMENTS (steps); s++)
      for (int square = 0; square < 2; square++) {
        QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
        g_autoptr (QfMotion) m = NULL;

        o.reference = (QfMotionReference) kind;
        m = make (&o, W, H);
        for (int f = 0; f < 55; f++) {
          guint8 p[W * H];
          QfMotionResult r;

          draw_lit (p, f < 30 ? 1 : steps[s][0], f < 30 ? 0 : steps[s][1],
              square && f >= 20 ? (f - 20) * 4 : -1);
          qf_motion_push (m, p, W, f * 40 * MS, &r);
          if (f == 30) {
            g_assert_true (r.lighting);
            g_assert_cmpfloat (r.gain, >, steps[s][0] - 0.03);
            g_assert_cmpfloat (r.gain, <, steps[s][0] + 0.03);
          }
          if (!square)
            g_assert_cmpint (r.n_blobs, ==, 0);
          else if (kind == QF_MOTION_BACKGROUND && f >= 20) {
            g_assert_cmpint (r.n_blobs, ==, 1);
            assert_box (r.blobs, (f - 20) * 4, 40, 16, 16);
          }
        }
      }
}

/* Dusk: 60 levels in 600 pictures; mains flicker of ±5 levels. */
static void
test_drift_and_flicker (void)
{
  for (int kind = QF_MOTION_PREVIOUS; kind <= QF_MOTION_BACKGROUND; kind++)
    for (int flicker = 0; flicker < 2; flicker++) {
      QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
      g_autoptr (QfMotion) m = NULL;
      QfRng rng = { 5 };

      o.reference = (QfMotionReference) kind;
      m = make (&o, W, H);
      for (int f = 0; f < 600; f++) {
        guint8 p[W * H];
        QfMotionResult r;

        draw_lit (
            p, flicker ? 1 : 1 - f * 0.0008, flicker ? (f % 3 - 1) * 5 : 0, -1);
        add_noise (p, W * H, 1.5, &rng);
        qf_motion_push (m, p, W, f * 40 * MS, &r);
        g_assert_cmpint (r.n_blobs, ==, 0);
        g_assert_false (r.moving);
      }
    }
}

/* A cut is no motion, and what follows is compared with the new scene. */
static void
test_cut (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = make (&o, W, H);
  QfRng rng = { 3 };
  int motion = 0;

  for (int f = 0; f < 40; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    draw_scene (p, W, H);
    for (int i = 0; i < W * H && f >= 20; i++)
      p[i] = (guint8) (255 - p[i] + (i % W > 80 ? 0 : 20) * (i % 3));
    if (f >= 30)
      draw_square (p, W, H, 40 + f, 40, 16, 3);
    qf_motion_push (m, p, W, f * 40 * MS, &r);
    g_assert_cmpint (r.lighting, ==, f == 20);
    g_assert_cmpint (r.n_blobs, ==, f >= 30);
  }
  /* a picture that never comes to rest is motion after two seconds */
  for (int f = 40; f < 140; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    for (int i = 0; i < W * H; i++)
      p[i] = (guint8) (i % W % 4 ? p[i - 1]
              : i / W % 4        ? p[i - W]
                                 : qf_rng_below (&rng, 256));
    qf_motion_push (m, p, W, f * 40 * MS, &r);
    motion += r.moving;
    if (f < 85)
      g_assert_true (r.lighting || f == 40);
  }
  g_assert_cmpint (motion, >=, 20);
}

static void
test_ignore (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = make (&o, W, H);
  g_autoptr (QfPolygons) left = qf_polygons_parse ("0,0 0.5,0 0.5,1 0,1", NULL);

  g_assert_nonnull (left);
  for (int round = 0; round < 2; round++) {
    qf_motion_set_ignore (m, round ? NULL : left);
    qf_motion_reset (m);
    for (int f = 0; f < 30; f++) {
      guint8 p[W * H];
      QfMotionResult r;

      memset (p, 100, sizeof p);
      draw_square (p, W, H, 5 + f * 5 % 50, 20, 20, 220);
      if (f >= 10)
        draw_square (p, W, H, 70, 60 + f, 20, 220); /* half of it inside */
      qf_motion_push (m, p, W, f * 40 * MS, &r);
      if (round == 0 && f < 10) {
        g_assert_cmpuint (r.changed, ==, 0);
      } else if (round == 0 && f < 12) {
        g_assert_cmpint (r.n_blobs, ==, 1);
        assert_box (r.blobs, 80, 60 + f, 10, 20);
        g_assert_cmpfloat (r.share, ==, 200.0 / (80 * H));
      } else if (f > 0 && round == 1) {
        g_assert_cmpint (r.n_blobs, >=, 1);
      }
    }
  }
}

static void
test_everything_ignored (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = qf_motion_new (&o, NULL);
  g_autoptr (QfPolygons) all = qf_polygons_parse ("0,0 1,0 1,1 0,1", NULL);

  qf_motion_set_ignore (m, all);
  qf_motion_set_size (m, W, H);
  for (int f = 0; f < 10; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    memset (p, f * 20, sizeof p);
    draw_square (p, W, H, f * 9, 20, 20, 220);
    qf_motion_push (m, p, W, -1, &r);
    g_assert_cmpfloat (r.share, ==, 0);
    g_assert_cmpint (r.n_blobs, ==, 0);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/motion/still", test_still);
  g_test_add_func ("/motion/square", test_square);
  g_test_add_func ("/motion/margin-and-size", test_margin_and_size);
  g_test_add_func ("/motion/reduced", test_reduced);
  g_test_add_func ("/motion/split", test_split);
  g_test_add_func ("/motion/background", test_background);
  g_test_add_func ("/motion/first-picture", test_first_picture);
  g_test_add_func ("/motion/shadow", test_shadow);
  g_test_add_func ("/motion/speck", test_speck);
  g_test_add_func ("/motion/flicker-in-place", test_flicker_in_place);
  g_test_add_func ("/motion/shadow-of-somebody", test_shadow_of_somebody);
  g_test_add_func ("/motion/camera", test_camera);
  g_test_add_func ("/motion/something-huge", test_something_huge);
  g_test_add_func ("/motion/noise", test_noise);
  g_test_add_func ("/motion/exposure", test_exposure);
  g_test_add_func ("/motion/drift-and-flicker", test_drift_and_flicker);
  g_test_add_func ("/motion/cut", test_cut);
  g_test_add_func ("/motion/ignore", test_ignore);
  g_test_add_func ("/motion/everything-ignored", test_everything_ignored);
  return g_test_run ();
}
