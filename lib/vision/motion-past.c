/* libqfuse: what a picture is compared with: one before, a mean, a background.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/motion-private.h"

#include <math.h>
#include <string.h>

#include "vision/difference-private.h"

#define AUTO_SHADOW 0.25

static inline QfMotionHeld *
held (const QfMotionPast *p, int i)
{
  return &p->ring[(p->first + i) % p->slots];
}

static inline gsize
picture_size (const QfMotionPast *p)
{
  return (gsize) p->width * p->height;
}

void
qf_motion_past_init (
    QfMotionPast *p, const QfMotionOptions *o, int width, int height)
{
  *p = (QfMotionPast){ .width = width,
    .height = height,
    .kind = o->reference,
    .distance = o->distance,
    .distance_time = o->reference == QF_MOTION_PREVIOUS ? o->distance_time : 0,
    .row = g_malloc ((gsize) width) };
  if (p->kind == QF_MOTION_BACKGROUND) {
    qf_motion_background_init (&p->background, width, height);
  } else {
    /* by time: those within the distance, one before it, one to write */
    p->slots = MAX (
        p->distance, p->distance_time > 0 ? QF_MOTION_HELD_A_DISTANCE + 3 : 0);
    p->ring = g_new0 (QfMotionHeld, (gsize) p->slots);
  }
  if (p->kind == QF_MOTION_MEAN)
    p->sum = g_new0 (guint16, picture_size (p));
  qf_motion_past_set (p, o);
}

void
qf_motion_past_clear (QfMotionPast *p)
{
  for (int i = 0; i < p->slots; i++)
    g_free (p->ring[i].luma);
  g_clear_pointer (&p->ring, g_free);
  g_clear_pointer (&p->sum, g_free);
  qf_motion_background_clear (&p->background);
  g_clear_pointer (&p->row, g_free);
}

void
qf_motion_past_reset (QfMotionPast *p)
{
  p->first = p->n = 0;
  qf_motion_background_reset (&p->background);
  if (p->sum)
    memset (p->sum, 0, picture_size (p) * sizeof (guint16));
}

void
qf_motion_past_set (QfMotionPast *p, const QfMotionOptions *o)
{
  p->shadow = (int) ((o->shadow < 0 ? AUTO_SHADOW : o->shadow) * 256 + 0.5);
  p->shadow_parts = o->shadow < 0;
  if (p->kind == QF_MOTION_BACKGROUND)
    qf_motion_background_set_rate (&p->background, o->learning_rate);
}

/* The held picture nearest to @target; the newer of two as near. */
static int
nearest (const QfMotionPast *p, gint64 target)
{
  int best = 0;

  for (int i = 1; i < p->n; i++)
    if (ABS (held (p, i)->time - target) <= ABS (held (p, best)->time - target))
      best = i;
  return best;
}

static gboolean
begin_timed (QfMotionPast *p, gint64 time)
{
  gint64 target = time - p->distance_time;
  gint64 step = p->distance_time / QF_MOTION_HELD_A_DISTANCE;

  if (p->n > 0 &&
      held (p, 0)->time - target <= (time - held (p, p->n - 1)->time) / 2)
    p->from = held (p, nearest (p, target))->luma;
  /* too near to the one before: the newest is written over */
  if (p->n >= 2 && held (p, p->n - 1)->time - held (p, p->n - 2)->time < step)
    p->n--;
  return p->from != NULL;
}

/* The slot that takes the picture: the next one, or the oldest where all are
 * in use. */
static void
take_slot (QfMotionPast *p)
{
  QfMotionHeld *h = held (p, p->n < p->slots ? p->n : 0);

  if (!h->luma)
    h->luma = g_malloc (picture_size (p));
  p->to = h->luma;
}

gboolean
qf_motion_past_begin (QfMotionPast *p, gint64 time)
{
  gboolean known;

  p->relight = FALSE;
  p->from = NULL;
  if (p->kind == QF_MOTION_BACKGROUND)
    return qf_motion_background_begin (&p->background);
  if (p->distance_time > 0 && time >= 0) {
    known = begin_timed (p, time);
  } else {
    known = p->n >= p->distance;
    if (known && p->kind == QF_MOTION_PREVIOUS)
      p->from = held (p, p->n - p->distance)->luma;
  }
  take_slot (p);
  return known;
}

guint8
qf_motion_past_at (const QfMotionPast *p, int x, int y)
{
  gsize i = (gsize) y * p->width + x;

  switch (p->kind) {
    case QF_MOTION_BACKGROUND:
      return p->background
          .level[p->background.weight[1][i] > p->background.weight[0][i]][i];
    case QF_MOTION_MEAN:
      return (guint8) ((p->sum[i] + p->distance / 2) / p->distance);
    default:
      return p->from[i];
  }
}

int
qf_motion_past_lambda (const QfMotionPast *p)
{
  int n = 1; /* pictures whose mean the reference is */

  if (p->kind == QF_MOTION_MEAN)
    n = p->distance;
  else if (p->kind == QF_MOTION_BACKGROUND)
    n = qf_motion_background_pictures (&p->background);
  return 256 / (n + 1);
}

void
qf_motion_past_relight (QfMotionPast *p, double gain, double offset)
{
  for (int v = 0; v < 256; v++)
    p->light[v] = (guint8) CLAMP (floor (gain * v + offset + 0.5), 0, 255);
  if (p->kind == QF_MOTION_BACKGROUND)
    qf_motion_background_relight (&p->background, p->light);
  else
    p->relight = TRUE;
}

const guint8 *
qf_motion_past_row (QfMotionPast *p, int y)
{
  gsize at = (gsize) y * p->width;
  const guint8 *row = p->row;

  if (p->kind == QF_MOTION_BACKGROUND)
    qf_motion_background_row (&p->background, y, p->row);
  else if (p->kind == QF_MOTION_MEAN)
    qf_mean (p->sum + at, p->distance, (gsize) p->width, p->row);
  else
    row = p->from + at;
  if (p->relight) {
    for (int x = 0; x < p->width; x++)
      p->row[x] = p->light[row[x]];
    row = p->row;
  }
  return row;
}

static void
moving_row (const guint8 *restrict now, const guint8 *restrict then,
    const guint8 *restrict band, int width, guint8 *restrict moving)
{
  for (int x = 0; x < width; x++) {
    guint8 hi = MAX (now[x], then[x]), lo = MIN (now[x], then[x]);

    moving[x] = (guint8) (hi - lo) > band[x] ? 0xff : 0;
  }
}

/* What is darker by a shadow at most does not move. */
static void
shadow_row (const guint8 *restrict now, const guint8 *restrict then, int width,
    guint16 shadow, guint8 *restrict moving)
{
  for (int x = 0; x < width; x++) {
    guint8 least = (guint8) (then[x] - (guint8) ((then[x] * shadow) >> 8));

    moving[x] &= (now[x] > then[x] ? 0xff : 0) | (now[x] < least ? 0xff : 0);
  }
}

void
qf_motion_past_moving (QfMotionPast *p, int y, const guint8 *now,
    const guint8 *band, guint8 *off, guint8 *moving)
{
  const guint8 *then;

  if (p->kind == QF_MOTION_BACKGROUND) {
    qf_motion_background_moving (
        &p->background, y, now, band, p->shadow, p->shadow_parts, off, moving);
    return;
  }
  then = qf_motion_past_row (p, y);
  moving_row (now, then, band, p->width, off);
  memcpy (moving, off, (gsize) p->width);
  if (p->shadow > 0)
    shadow_row (now, then, p->width, (guint16) p->shadow, moving);
  if (!p->shadow_parts)
    memcpy (off, moving, (gsize) p->width);
}

void
qf_motion_past_keep (
    QfMotionPast *p, int y, const guint8 *now, const guint8 *band)
{
  gsize at = (gsize) y * p->width, width = (gsize) p->width;

  if (p->kind == QF_MOTION_BACKGROUND) {
    qf_motion_background_learn (&p->background, y, now, band);
    return;
  }
  if (p->kind == QF_MOTION_MEAN) {
    if (p->n == p->slots)
      qf_sum_add (p->sum + at, p->to + at, -1, width);
    qf_sum_add (p->sum + at, now, 1, width);
  }
  memcpy (p->to + at, now, width);
}

void
qf_motion_past_end (QfMotionPast *p, gint64 time)
{
  if (p->kind == QF_MOTION_BACKGROUND) {
    qf_motion_background_end (&p->background);
    return;
  }
  if (p->n < p->slots)
    p->n++;
  else
    p->first = (p->first + 1) % p->slots;
  held (p, p->n - 1)->time = time;
  if (p->distance_time > 0 && time >= 0)
    while (p->n >= 2 && held (p, 1)->time <= time - p->distance_time) {
      p->first = (p->first + 1) % p->slots; /* nobody asks for it any more */
      p->n--;
    }
}
