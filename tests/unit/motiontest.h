/* Tests of motion analysis: drawn pictures, and what each of them makes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <string.h>

#include "base/rng.h"
#include "vision/motion.h"

#define MS G_GINT64_CONSTANT (1000000)
#define W 160
#define H 120

/* A scene with structure: levels 40 … 199. */
static inline guint8
scene (int x, int y)
{
  return (guint8) (40 + (x * 7 + y * 3 + (x / 9) * (y / 7) * 5) % 160);
}

static inline void
draw_scene (guint8 *p, int w, int h)
{
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++)
      p[y * w + x] = scene (x, y);
}

static inline void
draw_square (guint8 *p, int w, int h, int x0, int y0, int size, guint8 level)
{
  for (int y = MAX (y0, 0); y < MIN (y0 + size, h); y++)
    for (int x = MAX (x0, 0); x < MIN (x0 + size, w); x++)
      p[y * w + x] = level;
}

/* Normal noise, from twelve even ones. */
static inline void
add_noise (guint8 *p, int n, double sigma, QfRng *rng)
{
  for (int i = 0; i < n; i++) {
    double v = -6;

    for (int k = 0; k < 12; k++)
      v += qf_rng_below (rng, 65536) / 65536.0;
    p[i] = (guint8) CLAMP (p[i] + sigma * v + 0.5, 0, 255);
  }
}

static inline QfMotionOptions
plain (QfMotionReference reference, int distance)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;

  o.reference = reference;
  o.distance = distance;
  o.noise_adaptive = o.lighting = o.split = FALSE;
  o.shadow = 0;
  o.min_area = 1;
  return o;
}

static inline QfMotion *
make (const QfMotionOptions *o, int w, int h)
{
  g_autoptr (GError) error = NULL;
  QfMotion *m = qf_motion_new (o, &error);

  g_assert_no_error (error);
  qf_motion_set_size (m, w, h);
  return m;
}

static inline void
assert_box (const QfMotionBlob *b, int x, int y, int w, int h)
{
  g_assert_cmpint (b->x, ==, x);
  g_assert_cmpint (b->y, ==, y);
  g_assert_cmpint (b->w, ==, w);
  g_assert_cmpint (b->h, ==, h);
}
