/* libqfuse: difference pictures of a stream at its own size and depth.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The equations of difference planes on the picture's own samples
 * (docs/numerics.md, V7 to V11). One pass over the rows reads the picture and
 * its reference and writes the difference and the history. Where as many
 * pictures are held as the distance says, the reference is the slot that the
 * new one takes, so no more than two rows are touched a time. */
#include "vision/imagediff.h"

#include <string.h>

#include "vision/imagediff-rows.h"
#include "vision/planes.h"

#define SECOND G_GINT64_CONSTANT (1000000000)
#define STEPS_A_DISTANCE 64

typedef struct
{
  gint64 time;
  guint8 *samples;
} Held;

struct _QfImageDiff
{
  int width, height;
  QfSamples samples;
  gsize row_bytes;

  GPtrArray *held; /* Held *, oldest first */
  Held *spare;
  gboolean timed;
  gint64 last_time, interval;

  int summed; /* the newest pictures that are in the sum; −1: no sum */
  void *sum;  /* guint16, of 10 bits guint32; ≤ 250 · 255, 250 · 1023 */

  guint8 *memory;
  guint8 *scratch[2], *kept, *mean, *zero; /* rows of samples */
  guint8 *moving[2], *block[2], *tally;    /* rows of bytes */
};

/* One picture's way through the rows. */
typedef struct
{
  QfImageDiff *d;
  const QfImageRows *rows;
  QfRowMap map;
  const guint8 *then; /* NULL: none, or a mean */
  int n;              /* pictures in the mean, 0: none */
  guint8 *past;       /* takes the picture */
  gboolean sliding;   /* the sum takes it too … */
  const guint8 *old;  /* … in the place of this one */
  guint8 *ahead;      /* the next row, where it was asked for */
} Pass;

static void
held_free (gpointer data)
{
  Held *h = data;

  if (h)
    g_free (h->samples);
  g_free (h);
}

QfImageDiff *
qf_image_diff_new (int width, int height, QfSamples samples)
{
  QfImageDiff *d;
  gsize row, bytes;
  guint8 *at;

  g_return_val_if_fail (
      width > 0 && width < 32768 && height > 0 && height < 32768, NULL);

  d = g_new0 (QfImageDiff, 1);
  d->width = width;
  d->height = height;
  d->samples = samples;
  d->row_bytes = (gsize) width << (samples != QF_SAMPLES_8);
  d->held = g_ptr_array_new_with_free_func (held_free);
  row = (d->row_bytes + 63) / 64 * 64;
  bytes = ((gsize) width + 1 + 63) / 64 * 64;
  at = d->memory = g_malloc0 (5 * row + 5 * bytes);
  d->scratch[0] = at;
  d->scratch[1] = at + row;
  d->kept = at + 2 * row;
  d->mean = at + 3 * row;
  d->zero = at + 4 * row;
  at += 5 * row;
  for (int i = 0; i < 2; i++) {
    d->moving[i] = at + (gsize) i * bytes;
    d->block[i] = at + (gsize) (2 + i) * bytes;
  }
  d->tally = at + 4 * bytes;
  qf_image_diff_reset (d);
  return d;
}

void
qf_image_diff_free (QfImageDiff *d)
{
  if (!d)
    return;
  g_ptr_array_unref (d->held);
  held_free (d->spare);
  g_free (d->sum);
  g_free (d->memory);
  g_free (d);
}

void
qf_image_diff_reset (QfImageDiff *d)
{
  g_ptr_array_set_size (d->held, 0);
  d->summed = -1;
  d->last_time = d->interval = -1;
}

static inline Held *
held_at (const QfImageDiff *d, guint i)
{
  return g_ptr_array_index (d->held, i);
}

static inline gsize
sum_bytes (const QfImageDiff *d)
{
  return (gsize) d->width << (d->samples == QF_SAMPLES_8 ? 1 : 2);
}

static inline guint8 *
sum_row (const QfImageDiff *d, int y)
{
  return (guint8 *) d->sum + (gsize) y * sum_bytes (d);
}

/* @now and @old: samples of a picture, NULL: of zeros. */
static void
slide_picture (
    QfImageDiff *d, const QfRowMap *map, const guint8 *now, const guint8 *old)
{
  for (int y = 0; y < d->height; y++) {
    gsize at = (gsize) y * d->row_bytes;

    qf_row_slide (map, sum_row (d, y), now ? now + at : d->zero,
        old ? old + at : d->zero);
  }
}

/* Makes the sum that of the newest @n pictures. */
static void
add_up (QfImageDiff *d, const QfRowMap *map, int n)
{
  if (d->summed == n)
    return;
  if (!d->sum)
    d->sum = g_malloc (sum_bytes (d) * (gsize) d->height);
  memset (d->sum, 0, sum_bytes (d) * (gsize) d->height);
  for (int k = 1; k <= n; k++)
    slide_picture (
        d, map, held_at (d, d->held->len - (guint) k)->samples, NULL);
  d->summed = n;
}

/* Forgets the oldest picture. */
static void
drop (QfImageDiff *d, const QfRowMap *map)
{
  Held *h = g_ptr_array_steal_index (d->held, 0);

  if (d->summed > (int) d->held->len) {
    slide_picture (d, map, NULL, h->samples);
    d->summed--;
  }
  held_free (d->spare);
  d->spare = h;
}

static void
check_time (QfImageDiff *d, gint64 time, const QfImageDiffOptions *o)
{
  gboolean timed = time >= 0;

  if (o->distance_time > 0 && timed != d->timed)
    qf_image_diff_reset (d);
  if (timed && d->last_time >= 0) {
    gint64 gap = time - d->last_time;
    gint64 longest = o->distance_time > 0 ? o->distance_time
        : d->interval > 0                 ? o->distance * d->interval
                                          : 0;

    if (gap < 0 || gap > MAX (SECOND, 4 * longest))
      qf_image_diff_reset (d);
    d->interval = CLAMP (gap, 0, 3600 * SECOND);
  }
  d->timed = timed;
  d->last_time = MAX (time, -1);
}

/* Number of the held picture nearest to @target, the newer of two as near; −1
 * where that time lies before the past by more than half a picture. */
static int
nearest (const QfImageDiff *d, gint64 time, gint64 target)
{
  guint len = d->held->len, best = 0;

  if (len == 0 ||
      held_at (d, 0)->time - target > (time - held_at (d, len - 1)->time) / 2)
    return -1;
  for (guint i = 1; i < len; i++)
    if (ABS (held_at (d, i)->time - target) <=
        ABS (held_at (d, best)->time - target))
      best = i;
  return (int) best;
}

/* Takes a held picture out, to be written over; in a sum it gives way. */
static Held *
recycle (QfImageDiff *d, Pass *p, guint i)
{
  Held *h = g_ptr_array_index (d->held, i);

  if (p->sliding && i + (guint) d->summed >= d->held->len) {
    p->old = h->samples;
    d->summed--;
  }
  return g_ptr_array_steal_index (d->held, i);
}

/* The reference by time, and the slot for the new picture. Pictures from before
 * the one at or before now − distance are of no use to any to come. */
static Held *
plan_by_time (QfImageDiff *d, Pass *p, gint64 time, const QfImageDiffOptions *o)
{
  gint64 distance = MIN (o->distance_time, 86400 * SECOND);
  gint64 target = time - distance;
  int at = nearest (d, time, target);
  guint len;

  if (at >= 0 && !o->mean)
    p->then = held_at (d, (guint) at)->samples;
  while (d->held->len >= 2 && held_at (d, 1)->time <= target)
    drop (d, &p->map);
  len = d->held->len;
  if (o->mean) {
    add_up (d, &p->map, (int) len);
    p->sliding = TRUE;
    p->n = at >= 0 ? (int) len : 0;
  }
  if (len >= 2 &&
      held_at (d, len - 1)->time - held_at (d, len - 2)->time <
          distance / STEPS_A_DISTANCE)
    return recycle (d, p, len - 1);
  return NULL;
}

static Held *
plan_by_number (QfImageDiff *d, Pass *p, const QfImageDiffOptions *o)
{
  guint distance = (guint) CLAMP (o->distance, 1, QF_MAX_DISTANCE);
  gboolean known;

  while (d->held->len > distance)
    drop (d, &p->map);
  known = d->held->len == distance;
  if (o->mean) {
    add_up (d, &p->map, (int) d->held->len);
    p->sliding = TRUE;
    p->n = known ? (int) distance : 0;
  } else if (known) {
    p->then = held_at (d, 0)->samples;
  }
  return known ? recycle (d, p, 0) : NULL;
}

static Held *
plan (QfImageDiff *d, Pass *p, gint64 time, const QfImageDiffOptions *o)
{
  Held *slot;

  if (!o->mean)
    d->summed = -1;
  slot = o->distance_time > 0 && time >= 0 ? plan_by_time (d, p, time, o)
                                           : plan_by_number (d, p, o);
  if (!slot)
    slot = g_steal_pointer (&d->spare);
  if (!slot) {
    slot = g_new0 (Held, 1);
    slot->samples = g_malloc (d->row_bytes * (gsize) d->height);
  }
  slot->time = time;
  p->past = slot->samples;
  return slot;
}

static guint8 *
fetch (Pass *p, int y)
{
  guint8 *row = p->ahead;

  p->ahead = NULL;
  return row ? row : p->rows->row (p->rows->user, y, p->d->scratch[y & 1]);
}

/* The reference of row @y; NULL: none. */
static const guint8 *
reference (Pass *p, int y)
{
  if (p->n > 0) {
    qf_row_mean (&p->map, sum_row (p->d, y), p->n, p->d->mean);
    return p->d->mean;
  }
  return p->then ? p->then + (gsize) y * p->d->row_bytes : NULL;
}

/* (V8) @then where a pixel keeps its difference, else @now. */
static const guint8 *
opened (Pass *p, int y, const guint8 *now, const guint8 *then)
{
  QfImageDiff *d = p->d;
  guint8 *here = d->moving[y & 1], *next = d->moving[(y + 1) & 1];
  guint8 *block = d->block[y & 1], *last = d->block[(y + 1) & 1];

  if (y == 0) {
    memset (last, 0, (gsize) d->width + 1); /* row −1 */
    block[0] = block[d->width] = 0;
    qf_row_moving (&p->map, now, then, here);
  }
  if (y + 1 < d->height) {
    p->ahead = p->rows->row (p->rows->user, y + 1, d->scratch[(y + 1) & 1]);
    if (p->n > 0) { /* the mean of this row is in use */
      qf_row_mean (&p->map, sum_row (d, y + 1), p->n, d->kept);
      qf_row_moving (&p->map, p->ahead, d->kept, next);
    } else {
      qf_row_moving (&p->map, p->ahead, reference (p, y + 1), next);
    }
    qf_row_blocks (&p->map, here, next, block);
  } else {
    memset (block, 0, (gsize) d->width + 1);
  }
  qf_row_keep (&p->map, now, then, last, block, d->kept);
  return d->kept;
}

/* Takes what qf_row_difference() counted, and clears it. */
static gsize
unchanged (QfImageDiff *d)
{
  gsize n = 0;

  for (int x = 0; x < d->width; x++)
    n += d->tally[x];
  memset (d->tally, 0, (gsize) d->width);
  return n;
}

gsize
qf_image_diff_run (QfImageDiff *d, const QfImageRows *rows, gint64 time,
    const QfImageDiffOptions *o)
{
  Pass p = { .d = d, .rows = rows };
  gsize same = 0;
  int counted = 0; /* rows */
  Held *slot;

  time = MAX (time, -1);
  qf_row_map_init (&p.map, o, d->samples, d->width);
  check_time (d, time, o);
  slot = plan (d, &p, time, o);

  for (int y = 0; y < d->height; y++) {
    gsize at = (gsize) y * d->row_bytes;
    guint8 *now = fetch (&p, y);
    const guint8 *then = reference (&p, y);

    if (then && p.map.threshold > 0)
      then = opened (&p, y, now, then);
    if (p.sliding)
      qf_row_slide (&p.map, sum_row (d, y), now, p.old ? p.old + at : d->zero);
    if (then)
      qf_row_difference (
          &p.map, now, p.past + at, then, o->uncounted ? NULL : d->tally);
    else
      qf_row_none (&p.map, now, p.past + at);
    if (then && !o->uncounted && ++counted % 255 == 0)
      same += unchanged (d);
    if (rows->done)
      rows->done (rows->user, y, now);
  }

  g_ptr_array_add (d->held, slot);
  if (p.sliding)
    d->summed++;
  return (gsize) counted * (gsize) d->width - same - unchanged (d);
}

typedef struct
{
  guint8 *picture;
  gssize stride;
} InMemory;

static guint8 *
row_in_memory (gpointer user, int y, guint8 *scratch)
{
  const InMemory *m = user;

  return m->picture + y * m->stride;
}

gsize
qf_image_diff_push (QfImageDiff *d, guint8 *picture, gssize stride, gint64 time,
    const QfImageDiffOptions *options)
{
  InMemory m = { picture, stride };
  const QfImageRows rows = { .row = row_in_memory, .user = &m };

  return qf_image_diff_run (d, &rows, time, options);
}

gsize
qf_image_diff_memory (const QfImageDiff *d)
{
  gsize picture = d->row_bytes * (gsize) d->height;

  return picture * (d->held->len + (d->spare ? 1 : 0)) +
      (d->sum ? sum_bytes (d) * (gsize) d->height : 0);
}
