/* libqfuse: difference pictures of a stream at its own size and depth.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** Unlike a differencer's planes, what is asked for may change from picture to
 * picture without losing the past. Not thread-safe. */
typedef struct _QfImageDiff QfImageDiff;

/** How a sample is stored. 10 bits are in the machine's byte order. */
typedef enum
{
  QF_SAMPLES_8,
  QF_SAMPLES_10_LOW, /**< in the low bits of 16 */
  QF_SAMPLES_10_HIGH /**< in the high bits of 16 */
} QfSamples;

typedef struct
{
  gboolean absolute;    /**< gain·|d|; else mid grey + gain·d/2 */
  gboolean mean;        /**< d to the mean of the `distance` pictures before */
  int distance;         /**< 1 … QF_MAX_DISTANCE */
  gint64 distance_time; /**< > 0: nanoseconds instead, where pictures have
                           times: d to the picture nearest to so long ago, at
                           least one back; the mean of those since then */
  int threshold;        /**< dead band with opening, 0 … 255 (of 8 bits) */
  int gain;             /**< 1 … 255 */
  gboolean uncounted;   /**< nobody asks how many pixels changed */
  gboolean video_range; /**< difference codes keep to 16 … 235 (of 8 bits) */
} QfImageDiffOptions;

/** With a distance in time at most this many pictures are held, and no two
 * nearer to each other than the distance / 64. */
#define QF_IMAGE_DIFF_MAX_HELD 68

QfImageDiff *qf_image_diff_new (int width, int height, QfSamples samples);
void qf_image_diff_free (QfImageDiff *d);

/** Forgets the past. */
void qf_image_diff_reset (QfImageDiff *d);

/** Where rows come from and go to. Each is asked for once, from top to bottom;
 * at most one more is asked for before the last one is done. */
typedef struct
{
  /** Row @y, to be changed in place; @scratch is memory for one row, kept until
   * the row is done, for samples that must be gathered. */
  guint8 *(*row) (gpointer user, int y, guint8 *scratch);
  /** @row holds the difference now. May be NULL. */
  void (*done) (gpointer user, int y, guint8 *row);
  gpointer user;
} QfImageRows;

/** Replaces the next picture of the stream by its difference. @time as for
 * qf_differencer_push(). Where the past is too short, d = 0. Returns how many
 * pixels have a d other than 0 after the dead band (0 where `uncounted`). */
gsize qf_image_diff_run (QfImageDiff *d, const QfImageRows *rows, gint64 time,
    const QfImageDiffOptions *options);

/** The same for a picture in memory, rows @stride bytes apart. */
gsize qf_image_diff_push (QfImageDiff *d, guint8 *picture, gssize stride,
    gint64 time, const QfImageDiffOptions *options);

/** One row of 8-bit codes @now becomes its difference to @then (NULL: none)
 * where @mask is 255 (NULL: everywhere); elsewhere, at 0, d = 0. Of @options
 * `absolute`, `gain` and `video_range` count. @scratch: @width bytes. */
void qf_image_diff_row (const QfImageDiffOptions *options, int width,
    guint8 *now, const guint8 *then, const guint8 *mask, guint8 *scratch);

/** Luma of a row of YUY2 (@first 0) or UYVY (@first 1), and a row of it with
 * neutral chroma. */
void qf_rows_take_422 (const guint8 *pairs, int width, int first, guint8 *luma);
void qf_rows_put_422 (guint8 *pairs, int width, int first, const guint8 *luma);

/** @grey into those bytes of @width pixels of four bytes where @mask, as it
 * lies in memory, is set; @pixels aligned to 4. */
void qf_rows_put_grey (
    guint8 *pixels, int width, guint32 mask, const guint8 *grey);

/** @deep = @codes << @shift */
void qf_rows_deepen (const guint8 *codes, int width, int shift, guint16 *deep);

/** One row of samples becomes (v + code) / 2, halves up, code @moving where
 * @mask is 255, @still where it is 0. @cover: @moving alone where it moves. */
void qf_rows_mix (guint8 *pixels, int width, const guint8 *mask, int still,
    int moving, gboolean cover);

/** @any |= @mask[@width], or of pairs of neighbours where @halve (@mask aligned
 * to 2, @width / 2 results, rounded up). */
void qf_rows_or (guint8 *any, const guint8 *mask, int width, gboolean halve,
    guint8 *scratch);

/** Bytes of all pictures and sums that are kept. */
gsize qf_image_diff_memory (const QfImageDiff *d);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfImageDiff, qf_image_diff_free)

G_END_DECLS
