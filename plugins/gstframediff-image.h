/* GStreamer qfuse: the difference as a picture in its frame's own format.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstqfplanes.h"

G_BEGIN_DECLS

/** History and buffers of a stream whose differences are shown. */
typedef struct _GstFrameDiffImage GstFrameDiffImage;

GstFrameDiffImage *gst_frame_diff_image_new (void);
void gst_frame_diff_image_free (GstFrameDiffImage *d);

/** Forgets the past. */
void gst_frame_diff_image_forget (GstFrameDiffImage *d);

/* All functions below change @frame (mapped READWRITE, crop meta honoured) in
 * place, in its own format and depth. */

/** Replaces the picture by its difference to an earlier one or to a mean:
 * signed is mid grey where nothing changed, absolute black; chroma is neutral,
 * alpha stays. Returns the share of changed pixels, 0 … 1. */
gdouble gst_frame_diff_image_apply (GstFrameDiffImage *d, GstVideoFrame *frame,
    GstClockTime time, const QfImageDiffOptions *options);

/** The same with what a motion analysis found: d = @luma − @then where @mask is
 * set, else 0. @luma: [height] rows of the picture's luma (qf_image_luma()),
 * @stride bytes apart; @then: [height][width], NULL: nothing changed (@luma may
 * be NULL then); @mask: [height][width], 255 moving, NULL: everywhere. Of
 * @options only `absolute` and `gain` count. */
void gst_frame_diff_image_motion (GstFrameDiffImage *d, GstVideoFrame *frame,
    const guint8 *luma, gssize stride, const guint8 *then, const guint8 *mask,
    const QfImageDiffOptions *options);

/** For people: dims the picture, half its colour gone, and paints what moves
 * orange (white where there is no colour). @mask as above; NULL: nothing moves.
 */
void gst_frame_diff_image_highlight (
    GstFrameDiffImage *d, GstVideoFrame *frame, const guint8 *mask);

G_END_DECLS
