/* libqfuse: gain and offset between a picture and what it is compared with.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Pixels on a coarse lattice are put into bins by their level. The median of
 * the difference in a bin is that of its still pixels wherever these are most;
 * a line through the medians, weighted by their pixels and robust against bins
 * that are off, is the change of light. The level is that point between then
 * and now whose noise does not correlate with the difference's (Deming
 * regression): else noise alone would tilt the line. */
#include "vision/motion-private.h"

#include <math.h>
#include <string.h>

#define BINS 16
#define BIN_WIDTH (256 / BINS)
#define LEAST_PIXELS 12
#define ROUNDS 8

typedef struct
{
  int n;
  double x[BINS], d[BINS], w[BINS]; /* level, difference, pixels */
} Medians;

typedef struct
{
  guint32 count, sum; /* of levels */
  guint16 d[511];     /* now − then + 255 */
} Bin;

/* Median with the part of its own bar below the middle, so that it is not
 * bound to whole levels. */
static double
median_of (const Bin *b)
{
  double half = b->count / 2.0, seen = 0;
  int i = 0;

  while (seen + b->d[i] < half)
    seen += b->d[i++];
  return i - 255 - 0.5 + (half - seen) / b->d[i];
}

static void
take_medians (Medians *m, const QfMotionPast *past, const guint8 *luma,
    gssize stride, const guint8 *counts)
{
  /* 72 to 143 rows, at most 255·32767/2 pixels of one bar if 1 pixel high */
  int step = MAX (MIN (past->width, past->height) / 72, 1);
  int lambda = qf_motion_past_lambda (past);
  Bin bins[BINS];

  memset (bins, 0, sizeof bins);
  for (int y = step / 2; y < past->height; y += step)
    for (int x = step / 2; x < past->width; x += step) {
      int now = luma[(gssize) y * stride + x];
      int then = qf_motion_past_at (past, x, y);
      int level = then + (((now - then) * lambda) >> 8);
      Bin *b = &bins[level / BIN_WIDTH];

      /* clipped pixels tell nothing */
      if (now == 0 || now == 255 ||
          (counts && !counts[(gsize) y * past->width + x]) ||
          b->d[255 + now - then] == G_MAXUINT16)
        continue;
      b->d[255 + now - then]++;
      b->sum += (guint32) level;
      b->count++;
    }
  m->n = 0;
  for (int i = 0; i < BINS; i++)
    if (bins[i].count >= LEAST_PIXELS) {
      m->x[m->n] = (double) bins[i].sum / bins[i].count;
      m->d[m->n] = median_of (&bins[i]);
      m->w[m->n++] = bins[i].count;
    }
}

/* d = a·x + c by weighted least squares; medians off the line by more than a
 * level count less and less. With one bin or hardly any spread: c alone. */
static void
fit (const Medians *m, double *a, double *c)
{
  *a = *c = 0;
  for (int round = 0; round < ROUNDS; round++) {
    double s = 0, sx = 0, sd = 0, sxx = 0, sxd = 0, spread;

    for (int i = 0; i < m->n; i++) {
      double e = round > 0 ? fabs (m->d[i] - (*a * m->x[i] + *c)) : 0;
      double w = m->w[i] / MAX (e * e, 1);

      s += w;
      sx += w * m->x[i];
      sd += w * m->d[i];
      sxx += w * m->x[i] * m->x[i];
      sxd += w * m->x[i] * m->d[i];
    }
    spread = sxx - sx * sx / s;
    *a = spread > s * 16 ? (sxd - sx * sd / s) / spread : 0;
    *a = CLAMP (*a, -1, 1);
    *c = (sd - *a * sx) / s;
  }
}

gboolean
qf_motion_light (const QfMotionPast *past, const guint8 *luma, gssize stride,
    const guint8 *counts, double noise, double *gain, double *offset)
{
  double a, c, lambda = qf_motion_past_lambda (past) / 256.0;
  gboolean change = FALSE;
  Medians m;

  take_medians (&m, past, luma, stride, counts);
  if (m.n == 0)
    return FALSE;
  fit (&m, &a, &c);
  for (int i = 0; i < m.n; i++) {
    /* a median's standard error is 1.25 σ/√n; σ of a difference ≤ √2·noise */
    double least = 4 * 1.25 * 1.4142 * noise / sqrt (m.w[i]);

    change |= fabs (a * m.x[i] + c) >= MAX (least, 1);
  }
  /* d = a·(then + λ·d) + c */
  *gain = 1 + a / (1 - a * lambda);
  *offset = c / (1 - a * lambda);
  return change;
}
