/* libqfuse: what moves in a stream: mask, share, blobs, start and stop.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/motion-private.h"

#include <string.h>

#define SECOND G_GINT64_CONSTANT (1000000000)
#define UNTIMED_PICTURE (SECOND / 25)

/* --- options -------------------------------------------------------------- */

static gboolean
check_options (const QfMotionOptions *o, GError **error)
{
  const char *wrong = NULL;

  if (o->reference < QF_MOTION_PREVIOUS || o->reference > QF_MOTION_BACKGROUND)
    wrong = "reference is none of previous, mean and background";
  else if (o->distance < 1 || o->distance > QF_MAX_DISTANCE)
    wrong = "distance is not from 1 to 250 pictures";
  else if (o->distance_time < 0 ||
      o->distance_time > QF_MOTION_MAX_DISTANCE_TIME)
    wrong = "distance is not from 0 to 3600 seconds";
  else if (!(o->learning_rate >= 0 && o->learning_rate <= 0.5))
    wrong = "learning rate is not from 0 to 0.5";
  else if (o->threshold < 0 || o->threshold > 255)
    wrong = "threshold is not from 0 to 255";
  else if (!(o->noise_factor >= 1 && o->noise_factor <= 16))
    wrong = "noise factor is not from 1 to 16";
  else if (!(o->max_share >= 0 && o->max_share <= 1))
    wrong = "max-share is not from 0 to 1";
  else if (!(o->min_share >= 0 && o->min_share <= 1))
    wrong = "min-share is not from 0 to 1";
  else if (o->min_area < 0)
    wrong = "min-area is negative";
  else if (!(o->shadow <= 0.9))
    wrong = "shadow is over 0.9";
  else if (o->join < 0 || o->margin < 0 || o->join > 32767 || o->margin > 32767)
    wrong = "join or margin is not from 0 to 32767 pixels";
  else if (o->start_time < 0 || o->stop_time < 0 ||
      o->start_time > QF_MOTION_MAX_DISTANCE_TIME ||
      o->stop_time > QF_MOTION_MAX_DISTANCE_TIME)
    wrong = "start or stop time is not from 0 to 3600 seconds";
  if (wrong)
    g_set_error (
        error, QF_ERROR, QF_ERROR_ARGUMENT, "motion analysis: %s", wrong);
  return !wrong;
}

QfMotion *
qf_motion_new (const QfMotionOptions *options, GError **error)
{
  QfMotion *m;

  if (!check_options (options, error))
    return NULL;
  m = g_new0 (QfMotion, 1);
  m->o = *options;
  m->reduce.k = 1;
  qf_motion_reset (m);
  return m;
}

static void
clear_size (QfMotion *m)
{
  if (m->width == 0)
    return;
  qf_motion_reduce_clear (&m->reduce);
  qf_motion_past_clear (&m->past);
  qf_motion_noise_clear (&m->noise);
  qf_motion_blobs_clear (&m->blobs);
  qf_motion_blobs_clear (&m->small);
  g_clear_pointer (&m->off, g_free);
  g_clear_pointer (&m->counts, g_free);
  g_clear_pointer (&m->mask, g_free);
  g_clear_pointer (&m->then, g_free);
  g_clear_pointer (&m->memory, g_free);
  m->width = m->height = 0;
}

void
qf_motion_free (QfMotion *m)
{
  if (!m)
    return;
  clear_size (m);
  qf_polygons_free (m->ignore);
  g_free (m);
}

/* Lengths of the reduced picture. */
static void
scale_options (QfMotion *m)
{
  const int k = m->reduce.k;

  m->small_o = m->o;
  m->small_o.join = m->o.join / k;
  m->small_o.margin = (m->o.margin + k - 1) / k;
}

gboolean
qf_motion_set_options (
    QfMotion *m, const QfMotionOptions *options, GError **error)
{
  const QfMotionOptions *o = options;
  gboolean same = o->reference == m->o.reference &&
      (o->reference == QF_MOTION_BACKGROUND ||
          (o->distance == m->o.distance &&
              o->distance_time == m->o.distance_time));
  int width, height;

  if (!check_options (options, error))
    return FALSE;
  m->o = *options;
  if (m->width == 0)
    return TRUE;
  width = m->reduce.width;
  height = m->reduce.height;
  if (qf_motion_reduction (width, height, !o->want_then) != m->reduce.k) {
    clear_size (m);
    qf_motion_set_size (m, width, height);
    return TRUE;
  }
  scale_options (m);
  if (same) {
    qf_motion_past_set (&m->past, o);
  } else {
    qf_motion_past_clear (&m->past);
    qf_motion_past_init (&m->past, o, m->width, m->height);
  }
  return TRUE;
}

void
qf_motion_get_options (const QfMotion *m, QfMotionOptions *options)
{
  *options = m->o;
}

/* --- size and mask -------------------------------------------------------- */

static void
make_counts (QfMotion *m)
{
  gsize size = (gsize) m->width * m->height;

  g_clear_pointer (&m->counts, g_free);
  m->counted = size;
  if (!m->ignore || m->width == 0)
    return;
  m->counts = g_malloc (size);
  memset (m->counts, 255, size);
  qf_polygons_fill (m->ignore, m->counts, m->width, m->height, 0);
  m->counted = 0;
  for (gsize i = 0; i < size; i++)
    m->counted += m->counts[i] & 1;
}

void
qf_motion_set_ignore (QfMotion *m, const QfPolygons *ignore)
{
  qf_polygons_free (m->ignore);
  m->ignore = qf_polygons_copy (ignore);
  make_counts (m);
}

void
qf_motion_set_size (QfMotion *m, int width, int height)
{
  gsize row; /* whole cells */

  g_return_if_fail (width > 0 && width <= 32767);
  g_return_if_fail (height > 0 && height <= 32767);

  if (m->width > 0 && m->reduce.width == width && m->reduce.height == height)
    return;
  clear_size (m);
  qf_motion_reduce_init (&m->reduce, width, height, !m->o.want_then);
  scale_options (m);
  m->width = width = m->reduce.to_width;
  m->height = height = m->reduce.to_height;
  row = (gsize) width + 32;
  qf_motion_grid_init (&m->grid, width, height, 0);
  qf_motion_past_init (&m->past, &m->o, width, height);
  qf_motion_noise_init (&m->noise, width, height);
  qf_motion_blobs_init (&m->blobs, &m->grid);
  qf_motion_blobs_init (&m->small, &m->grid);
  m->off = g_malloc0 ((gsize) width * height);
  m->mask = g_malloc0 ((gsize) width * height);
  m->memory = g_malloc0 (11 * row);
  for (int i = 0; i < 2; i++) {
    m->moving[i] = m->memory + i * row;
    m->block[i] = m->memory + (2 + i) * row;
    m->off_moving[i] = m->memory + (6 + i) * row;
    m->off_block[i] = m->memory + (8 + i) * row;
  }
  m->off_column = m->memory + 10 * row;
  m->band = m->memory + 4 * row;
  m->column = m->memory + 5 * row;
  make_counts (m);
  qf_motion_reset (m);
}

static void
forget (QfMotion *m)
{
  m->turned = -1;
  m->lost = 0;
  qf_motion_specks_reset (&m->specks);
  if (m->width > 0) {
    qf_motion_past_reset (&m->past);
    qf_motion_noise_reset (&m->noise);
  }
}

void
qf_motion_reset (QfMotion *m)
{
  forget (m);
  m->last_time = m->interval = -1;
  m->any = FALSE;
  m->clock = 0;
  m->light_since = m->first = m->last = -1;
  m->judged = 0;
  m->busy = m->usual = 0;
  m->event = FALSE;
}

int
qf_motion_min_area (const QfMotion *m)
{
  return m->o.min_area > 0 ? m->o.min_area
                           : QF_MOTION_LEAST_SPECK * m->reduce.k * m->reduce.k;
}

gboolean
qf_motion_is_moving (const QfMotion *m)
{
  return m->event;
}

/* --- time and events ------------------------------------------------------ */

static gint64
longest_distance (const QfMotion *m)
{
  double n = m->o.distance;

  if (m->o.reference == QF_MOTION_PREVIOUS && m->o.distance_time > 0)
    return m->o.distance_time;
  if (m->interval <= 0)
    return 0;
  if (m->o.reference == QF_MOTION_BACKGROUND)
    n = 1 / MAX (m->o.learning_rate, 1e-6);
  return (gint64) MIN (n * (double) MIN (m->interval, 3600 * SECOND), 1e17);
}

/* Sets the clock. TRUE where the past is over. */
static gboolean
check_time (QfMotion *m, gint64 time)
{
  gboolean timed = time >= 0, over = m->any && timed != m->timed;

  if (timed && m->timed && m->any) {
    gint64 gap = time - m->last_time;

    over |= gap < 0 || gap > MAX (SECOND, 4 * longest_distance (m));
    m->interval = MAX (gap, 0);
  }
  m->clock = timed ? time : m->clock + (m->any ? UNTIMED_PICTURE : 0);
  if (!timed && over)
    m->clock = 0;
  m->any = TRUE;
  m->timed = timed;
  m->last_time = time;
  return over;
}

static void
follow_events (QfMotion *m, gboolean moves, QfMotionResult *r)
{
  if (moves) {
    if (m->first < 0)
      m->first = m->clock;
    m->last = m->clock;
  }
  if (!m->event && moves && m->clock - m->first >= m->o.start_time)
    m->event = r->started = TRUE;
  if (m->first >= 0 && !moves && m->clock - m->last >= m->o.stop_time) {
    r->stopped = m->event;
    r->since = m->event ? m->first : -1;
    m->event = FALSE;
    m->first = -1;
  }
  r->moving = m->event;
  if (m->event)
    r->since = m->first;
}

void
qf_motion_push (QfMotion *m, const guint8 *luma, gssize stride, gint64 time,
    QfMotionResult *r)
{
  g_return_if_fail (m->width > 0);

  *r = (QfMotionResult){ .threshold = m->o.threshold,
    .gain = 1,
    .mask = m->mask,
    .blobs = m->blobs.blobs,
    .since = -1 };
  if (m->reduce.k > 1) {
    luma = qf_motion_reduce (&m->reduce, luma, stride);
    stride = m->width;
  }
  if (check_time (m, time)) {
    forget (m);
    m->light_since = -1;
    if (m->event) {
      r->stopped = TRUE;
      r->since = m->first;
    }
    m->event = FALSE;
    m->first = -1;
  }
  if (!m->o.noise_adaptive)
    memset (m->band, m->o.threshold, (gsize) m->width);
  if (m->o.want_then && !m->then)
    m->then = g_malloc ((gsize) m->width * m->height);
  else if (!m->o.want_then)
    g_clear_pointer (&m->then, g_free);
  r->known = qf_motion_past_begin (&m->past, m->timed ? m->clock : -1);
  if (r->known) {
    r->then = m->then;
    qf_motion_find (m, luma, stride, r);
  } else {
    memset (m->mask, 0, (gsize) m->width * m->height);
    qf_motion_noise_push (&m->noise, luma, stride, TRUE);
    qf_motion_keep_only (m, luma, stride);
  }
  qf_motion_past_end (&m->past, m->timed ? m->clock : -1);
  if (m->counted > 0)
    r->share = (double) r->changed / (double) m->counted;
  if (m->reduce.k > 1) {
    r->mask = qf_motion_reduce_mask (&m->reduce, m->mask, r->changed > 0);
    r->changed *= (gsize) m->reduce.k * m->reduce.k;
    for (int i = 0; i < r->n_blobs; i++)
      qf_motion_reduce_blob (&m->reduce, &m->blobs.blobs[i]);
  }
  follow_events (m, r->n_blobs > 0 && r->share >= m->o.min_share, r);
}
