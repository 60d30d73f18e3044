/* libqfuse: ranges of activations from what was seen of them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/quantize-private.h"

#include <math.h>
#include <string.h>

#define TAIL 5e-5   /* of elements, that a percentile leaves out at an end */
#define N_SHARES 50 /* ranges that are tried: 2 % to 100 % of the whole */

/* ---- seeing ------------------------------------------------------------- */

static void
make_room (QfSeen *s, int channels)
{
  if (s->low)
    return;
  s->channels = channels;
  s->low = g_new0 (float, channels);
  s->high = g_new0 (float, channels);
  s->sum = g_new0 (double, channels);
}

static void
see_element (QfSeen *s, int c, float x)
{
  s->low[c] = MIN (s->low[c], x);
  s->high[c] = MAX (s->high[c], x);
  s->sum[c] += x;
}

static int
bin_of (const QfSeen *s, float x)
{
  float at = (x - s->min) / (s->max - s->min) * QF_RANGE_BINS;

  return (int) CLAMP (at, 0, QF_RANGE_BINS - 1); /* NaN: no matter where */
}

void
qf_seen_add (QfSeen *s, const QfTensor *t, QfPass pass)
{
  gsize plane = (gsize) t->h * (gsize) t->w;
  gsize of_channel = t->layout == QF_NHWC ? 1 : plane;
  gsize of_pixel = t->layout == QF_NHWC ? (gsize) t->c : 1;
  const float *x = t->data;

  if (t->dtype != QF_F32)
    return;
  make_room (s, t->c);
  if (pass == QF_PASS_BINS && !s->bins)
    s->bins = g_new0 (guint32, QF_RANGE_BINS);
  for (int c = 0; c < t->c; c++)
    for (gsize p = 0; p < plane; p++) {
      float v = x[(gsize) c * of_channel + p * of_pixel];

      if (pass != QF_PASS_BINS)
        see_element (s, c, v);
      else if (s->max > s->min)
        s->bins[bin_of (s, v)]++;
    }
  if (pass == QF_PASS_BINS)
    return;
  s->n += (gint64) plane;
  for (int c = 0; c < t->c; c++) {
    s->min = MIN (s->min, s->low[c]);
    s->max = MAX (s->max, s->high[c]);
  }
}

void
qf_seen_clear (QfSeen *s)
{
  g_free (s->low);
  g_free (s->high);
  g_free (s->sum);
  g_free (s->bins);
  memset (s, 0, sizeof *s);
}

/* ---- ranges ------------------------------------------------------------- */

static float
bin_middle (const QfSeen *s, int i)
{
  return s->min +
      (s->max - s->min) * ((float) i + 0.5f) / (float) QF_RANGE_BINS;
}

static void
percentile (const QfSeen *s, float *min, float *max)
{
  double all = 0, below = 0, above = 0, leave;
  int lo = 0, hi = QF_RANGE_BINS - 1;

  for (int i = 0; i < QF_RANGE_BINS; i++)
    all += s->bins[i];
  leave = all * TAIL;
  while (lo < hi && below + s->bins[lo] <= leave)
    below += s->bins[lo++];
  while (hi > lo && above + s->bins[hi] <= leave)
    above += s->bins[hi--];
  *min = MIN (0, s->min + (s->max - s->min) * (float) lo / QF_RANGE_BINS);
  *max = MAX (0, s->min + (s->max - s->min) * (float) (hi + 1) / QF_RANGE_BINS);
}

/* Mean square error of codes over @lo … @hi. */
static double
square_error (const QfSeen *s, float lo, float hi)
{
  float scale = (hi - lo) / 255, zero = rintf (-lo / scale);
  double sum = 0;

  for (int i = 0; i < QF_RANGE_BINS; i++) {
    float x = bin_middle (s, i);
    float q = CLAMP (rintf (x / scale) + zero, 0, 255);
    double d = (double) x - (double) ((q - zero) * scale);

    /* within a bin, and by rounding within a step */
    sum += s->bins[i] * d * d;
  }
  return sum;
}

/* Divergence of what codes over @lo … @hi can tell apart from the distribution
 * clipped to that range. */
static double
divergence (const QfSeen *s, float lo, float hi)
{
  float scale = (hi - lo) / 255, zero = rintf (-lo / scale);
  double all = 0, sum = 0, of_code[256] = { 0 }, p[QF_RANGE_BINS] = { 0 };
  int used[256] = { 0 }, first = bin_of (s, lo), last = bin_of (s, hi);
  guint8 code[QF_RANGE_BINS];

  for (int i = 0; i < QF_RANGE_BINS; i++) {
    p[CLAMP (i, first, last)] += s->bins[i];
    all += s->bins[i];
  }
  for (int i = first; i <= last; i++) {
    float q = rintf (bin_middle (s, i) / scale) + zero;

    code[i] = (guint8) CLAMP (q, 0, 255);
    of_code[code[i]] += s->bins[i]; /* what is clipped is missing here */
    used[code[i]] += p[i] > 0;
  }
  for (int i = first; i <= last; i++)
    if (p[i] > 0) {
      double q = of_code[code[i]] / used[code[i]];

      sum += p[i] / all * log (p[i] / MAX (q, 1e-3));
    }
  return sum;
}

static void
search (const QfSeen *s, double (*loss) (const QfSeen *, float, float),
    float *min, float *max)
{
  double best = INFINITY;

  for (int i = N_SHARES; i > 0; i--) {
    float lo = s->min * (float) i / N_SHARES,
          hi = s->max * (float) i / N_SHARES;
    double l = loss (s, lo, hi);

    if (l < best) {
      best = l;
      *min = lo;
      *max = hi;
    }
  }
}

void
qf_seen_range (const QfSeen *s, QfRanges how, float *min, float *max)
{
  *min = s->min;
  *max = s->max;
  if (!s->bins || !(s->max > s->min) || how == QF_RANGES_MIN_MAX)
    return;
  if (how == QF_RANGES_PERCENTILE)
    percentile (s, min, max);
  else
    search (s, how == QF_RANGES_MSE ? square_error : divergence, min, max);
}
