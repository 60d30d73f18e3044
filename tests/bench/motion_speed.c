/* Speed of motion analysis on drawn pictures: noise, and squares that move.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/rng.h"
#include "vision/motion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PICTURES 16 /* drawn, then shown over and over, there and back */
#define SQUARES 8

static void
draw (guint8 *p, int w, int h, int f, QfRng *rng)
{
  int size = h / 10;

  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++)
      p[(gsize) y * w + x] = (guint8) (60 + (x / 17 * 37 + y / 13 * 59) % 120);
  for (int k = 0; k < SQUARES; k++) {
    int x0 = (w - size) * k / SQUARES + f * size / 16, y0 = (h - size) * k / 9;

    for (int y = y0; y < y0 + size; y++)
      memset (p + (gsize) y * w + x0, 220, (gsize) MIN (size, w - x0));
  }
  for (gsize i = 0; i < (gsize) w * h; i += 8) {
    guint32 r = qf_rng_below (rng, 1u << 24);

    for (gsize k = i; k < MIN (i + 8, (gsize) w * h); k++, r >>= 3)
      p[k] = (guint8) (p[k] + (r & 7)); /* ± 3.5 levels */
  }
}

/* Of this process, in microseconds: others may run beside it. */
static gint64
cpu_time (void)
{
  struct timespec t;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &t);
  return (gint64) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int
main (int argc, char **argv)
{
  int w = argc > 2 ? atoi (argv[1]) : 1920,
      h = argc > 2 ? atoi (argv[2]) : 1080;
  int n = argc > 3 ? atoi (argv[3]) : 100;
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = qf_motion_new (&o, NULL);
  g_autofree guint8 *all = NULL;
  gint64 best = G_MAXINT64, sum = 0;
  QfRng rng = { 1 };
  gsize size;
  int blobs = 0;

  if (w < 64 || h < 64 || w > 32767 || h > 32767 || n < 1) {
    fputs ("usage: bench-motion-speed [WIDTH HEIGHT [PICTURES]]\n", stderr);
    return 2;
  }
  size = (gsize) w * h;
  all = g_malloc (PICTURES * size);
  for (int i = 0; i < PICTURES; i++)
    draw (all + i * size, w, h, i, &rng);
  qf_motion_set_size (m, w, h);
  for (int f = -2 * PICTURES; f < n; f++) {
    int i = (f + 2 * PICTURES) % (2 * PICTURES - 2);
    QfMotionResult r;
    gint64 t = cpu_time ();

    i = i < PICTURES ? i : 2 * PICTURES - 2 - i;
    qf_motion_push (m, all + i * size, w, -1, &r);
    t = cpu_time () - t;
    if (f >= 0) {
      sum += t;
      best = MIN (best, t);
      blobs += r.n_blobs;
    }
  }
  printf ("%d x %d: mean %.2f ms, least %.2f ms a picture, %.2f ns a pixel, "
          "%.1f blobs\n",
      w, h, (double) sum / n / 1000, (double) best / 1000,
      (double) sum * 1000 / n / (double) size, (double) blobs / n);
  return 0;
}
