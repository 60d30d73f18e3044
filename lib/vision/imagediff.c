/* libqfuse: difference pictures of a stream at its own size.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The same equations as difference planes (docs/numerics.md). */
#include "vision/imagediff.h"

#include <string.h>

#include "vision/difference-private.h"

#define SECOND G_GINT64_CONSTANT (1000000000)

struct _QfImageDiff
{
  int width, height;
  gsize size;
  GPtrArray *held; /* guint8 *, oldest first */
  gint64 last_time, interval;

  int summed;   /* the newest pictures that are in the sum, 0: none */
  guint16 *sum; /* ≤ 250·255 < 2^16 */
  guint8 *then, *moved;
  QfDifferenceScratch scratch;
};

QfImageDiff *
qf_image_diff_new (int width, int height)
{
  QfImageDiff *d;

  g_return_val_if_fail (width > 0 && height > 0, NULL);

  d = g_new0 (QfImageDiff, 1);
  d->width = width;
  d->height = height;
  d->size = (gsize) width * height;
  d->held = g_ptr_array_new_with_free_func (g_free);
  d->moved = g_malloc (d->size);
  qf_difference_scratch_init (&d->scratch, width);
  qf_image_diff_reset (d);
  return d;
}

void
qf_image_diff_free (QfImageDiff *d)
{
  if (!d)
    return;
  g_ptr_array_unref (d->held);
  qf_difference_scratch_clear (&d->scratch);
  g_free (d->sum);
  g_free (d->then);
  g_free (d->moved);
  g_free (d);
}

void
qf_image_diff_reset (QfImageDiff *d)
{
  g_ptr_array_set_size (d->held, 0);
  d->summed = 0;
  d->last_time = d->interval = -1;
}

static inline const guint8 *
back (const QfImageDiff *d, int k)
{
  return g_ptr_array_index (d->held, d->held->len - (guint) k);
}

/* The mean of the last @n pictures, from a running sum. */
static const guint8 *
mean_of (QfImageDiff *d, int n)
{
  if (!d->sum) {
    d->sum = g_new0 (guint16, d->size);
    d->then = g_malloc (d->size);
  }
  if (d->summed != n) {
    memset (d->sum, 0, d->size * sizeof (guint16));
    for (int k = 1; k <= n; k++)
      qf_sum_add (d->sum, back (d, k), 1, d->size);
    d->summed = n;
  }
  qf_mean (d->sum, n, d->size, d->then);
  return d->then;
}

static void
check_time (QfImageDiff *d, gint64 time, int distance)
{
  if (time >= 0 && d->last_time >= 0) {
    gint64 gap = time - d->last_time;
    gint64 longest = d->interval > 0 ? distance * d->interval : 0;

    if (gap < 0 || gap > MAX (SECOND, 4 * longest))
      qf_image_diff_reset (d);
    d->interval = CLAMP (gap, 0, 3600 * SECOND);
  }
  d->last_time = MAX (time, -1);
}

/* Holds @luma as the newest of at most @limit pictures. */
static void
remember (QfImageDiff *d, const guint8 *luma, guint limit)
{
  guint8 *picture = NULL;

  if (d->summed > 0) {
    if (d->held->len >= (guint) d->summed) {
      qf_sum_add (d->sum, luma, 1, d->size);
      qf_sum_add (d->sum, back (d, d->summed), -1, d->size);
    } else {
      d->summed = 0;
    }
  }
  while (d->held->len >= limit) {
    g_free (picture);
    picture = g_ptr_array_steal_index (d->held, 0);
  }
  if (!picture)
    picture = g_malloc (d->size);
  memcpy (picture, luma, d->size);
  g_ptr_array_add (d->held, picture);
}

gsize
qf_image_diff_push (QfImageDiff *d, const guint8 *luma, gint64 time,
    const QfImageDiffOptions *o, guint8 *out)
{
  QfDifferenceOut outs[2] = {
    { .kind = o->absolute ? 'M' : 'D', .gain = o->gain, .out = out },
    { .kind = 'M', .gain = 1, .out = d->moved }
  };
  gsize changed = 0;

  check_time (d, time, o->distance);
  if (d->held->len < (guint) o->distance) {
    memset (out, o->absolute ? 0 : 128, d->size);
  } else {
    qf_difference (luma,
        o->mean ? mean_of (d, o->distance) : back (d, o->distance), d->width,
        d->height, o->threshold, &d->scratch, outs, 2);
    for (gsize i = 0; i < d->size; i++)
      changed += d->moved[i] != 0;
  }
  remember (d, luma, (guint) o->distance);
  return changed;
}
