/* libqfuse: gain and offset between a picture and what it is compared with.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Pixels on a coarse lattice are put into bins by the level of the reference.
 * The median of the difference in a bin is that of its still pixels wherever
 * these are most; a line through the medians, weighted by their pixels and
 * robust against bins that are off, is the change of light. */
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
  double x[BINS], y[BINS], w[BINS];
} Medians;

typedef struct
{
  guint32 count, sum; /* of the reference's levels */
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
  int step = MAX (MIN (past->width, past->height) / 72, 1);
  Bin bins[BINS];

  memset (bins, 0, sizeof bins);
  /* at most 65535 of one bar: 72 rows, at most 255 · 32767 / 455 columns */
  for (int y = step / 2; y < past->height; y += step)
    for (int x = step / 2; x < past->width; x += step) {
      guint8 now = luma[(gssize) y * stride + x];
      guint8 then = qf_motion_past_at (past, x, y);
      Bin *b = &bins[then / BIN_WIDTH];

      /* clipped pixels tell nothing */
      if (now == 0 || now == 255 ||
          (counts && !counts[(gsize) y * past->width + x]) ||
          b->d[255 + now - then] == G_MAXUINT16)
        continue;
      b->d[255 + now - then]++;
      b->sum += then;
      b->count++;
    }
  m->n = 0;
  for (int i = 0; i < BINS; i++)
    if (bins[i].count >= LEAST_PIXELS) {
      m->x[m->n] = (double) bins[i].sum / bins[i].count;
      m->y[m->n] = m->x[m->n] + median_of (&bins[i]);
      m->w[m->n++] = bins[i].count;
    }
}

/* Weighted least squares; medians off the line by more than a level count less
 * and less. With one bin or hardly any spread: offset alone. */
static void
fit (const Medians *m, double *gain, double *offset)
{
  double g = 1, o = 0;

  for (int round = 0; round < ROUNDS; round++) {
    double s = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, spread;

    for (int i = 0; i < m->n; i++) {
      double e = round > 0 ? fabs (m->y[i] - (g * m->x[i] + o)) : 0;
      double w = m->w[i] / MAX (e * e, 1);

      s += w;
      sx += w * m->x[i];
      sy += w * m->y[i];
      sxx += w * m->x[i] * m->x[i];
      sxy += w * m->x[i] * m->y[i];
    }
    spread = sxx - sx * sx / s;
    g = spread > s * 16 ? (sxy - sx * sy / s) / spread : 1;
    g = CLAMP (g, 0.125, 3.9);
    o = (sy - g * sx) / s;
  }
  *gain = g;
  *offset = o;
}

gboolean
qf_motion_light (const QfMotionPast *past, const guint8 *luma, gssize stride,
    const guint8 *counts, double *gain, double *offset)
{
  double most = 0;
  Medians m;

  take_medians (&m, past, luma, stride, counts);
  if (m.n == 0)
    return FALSE;
  fit (&m, gain, offset);
  for (int i = 0; i < m.n; i++)
    most = MAX (most, fabs (*gain * m.x[i] + *offset - m.x[i]));
  return most >= 1;
}
