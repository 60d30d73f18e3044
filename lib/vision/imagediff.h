/* libqfuse: difference pictures of a stream at its own size.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** Unlike a differencer's planes, what is asked for may change from picture to
 * picture without losing the past; no rate: distances count pictures. */
typedef struct _QfImageDiff QfImageDiff;

typedef struct
{
  gboolean absolute; /**< gain·|d|; else 128 + gain·d/2; clamped to 0 … 255 */
  gboolean mean;     /**< d to the mean of the `distance` pictures before */
  int distance;      /**< 1 … QF_MAX_DISTANCE */
  gint64 distance_time; /**< > 0: nanoseconds instead, where pictures have
                           times: d to the picture nearest to so long ago, at
                           least one back; the mean of those since then */
  int threshold;        /**< dead band with opening, 0 … 255 */
  int gain;             /**< 1 … 255 */
} QfImageDiffOptions;

QfImageDiff *qf_image_diff_new (int width, int height);
void qf_image_diff_free (QfImageDiff *d);

/** Forgets the past. */
void qf_image_diff_reset (QfImageDiff *d);

/** Takes the next picture, [height][width] tight, and writes its difference to
 * @out (same size, may not be @luma). @time as for qf_differencer_push(). Where
 * the past is too short, d = 0. Returns how many pixels have a d other than 0
 * after the dead band. */
gsize qf_image_diff_push (QfImageDiff *d, const guint8 *luma, gint64 time,
    const QfImageDiffOptions *options, guint8 *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfImageDiff, qf_image_diff_free)

G_END_DECLS
