/* libqfuse: the arithmetic of difference pictures, row by row, for lib/vision
 * and its tests only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/imagediff.h"

G_BEGIN_DECLS

/** What the loops over a row need, made from the options once a picture.
 * Samples are bytes, or 16 bits with 10 of them in use. */
typedef struct
{
  int width;
  gboolean deep; /* 10 bits */
  int shift;     /* of the 10 bits in 16 */
  gboolean absolute;
  int gain, limit;     /* |d| above @limit gives what @limit gives */
  int low, high, none; /* of signed differences; none: nothing changed */
  int black, scale;    /* of absolute ones; scale / 2^16, 65535: 1 */
  int threshold;
} QfRowMap;

void qf_row_map_init (
    QfRowMap *m, const QfImageDiffOptions *o, QfSamples samples, int width);

/** Bytes of a row. */
static inline gsize
qf_row_bytes (const QfRowMap *m)
{
  return (gsize) m->width << m->deep;
}

/** @now becomes its difference to @then and @past takes the row as it was;
 * @past may be @then. @tally[width], or NULL, counts for each column the rows
 * in which nothing changed: at most 255 rows go in. */
void qf_row_difference (const QfRowMap *m, guint8 *now, guint8 *past,
    const guint8 *then, guint8 *tally);

/** The difference where there is no past. */
void qf_row_none (const QfRowMap *m, guint8 *now, guint8 *past);

/** @moving[width]: 255 where |d| is over the threshold. */
void qf_row_moving (
    const QfRowMap *m, const guint8 *now, const guint8 *then, guint8 *moving);

/** Blocks of 2x2 pixels that move, as rows of width + 1: block x covers the
 * pixels x − 1 and x of two rows; 0 and the last stay 0. */
void qf_row_blocks (
    const QfRowMap *m, const guint8 *above, const guint8 *below, guint8 *block);

/** @kept: @then where a block of the rows @above or @below covers the pixel,
 * else @now. */
void qf_row_keep (const QfRowMap *m, const guint8 *now, const guint8 *then,
    const guint8 *above, const guint8 *below, guint8 *kept);

/** @sum += @now − @old: guint16, or guint32 where deep. */
void qf_row_slide (
    const QfRowMap *m, void *sum, const guint8 *now, const guint8 *old);

/** @mean of @n in @sum. */
void qf_row_mean (const QfRowMap *m, const void *sum, int n, guint8 *mean);

G_END_DECLS
