/* GStreamer qfuse: difference pictures that need the motion analysis.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstframediff-image.h"
#include "gstframediff-settings.h"

G_BEGIN_DECLS

/** A background, or a dead band that follows the noise: the past of pictures
 * that show the plain difference (shadows and changes of light too), apart from
 * the analysis that finds motion. Streaming thread only. */
typedef struct _GstFrameDiffPicture GstFrameDiffPicture;

GstFrameDiffPicture *gst_frame_diff_picture_new (void);
void gst_frame_diff_picture_free (GstFrameDiffPicture *p);

void gst_frame_diff_picture_forget (GstFrameDiffPicture *p);

/** Whether a difference picture needs it. */
gboolean gst_frame_diff_picture_wanted (const GstFrameDiffValues *v);

/** Replaces the picture in @frame (mapped READWRITE) by its difference, drawn
 * by
 * @image. Returns the share of changed pixels, −1 where there is no past. */
gdouble gst_frame_diff_picture_apply (GstFrameDiffPicture *p,
    GstFrameDiffImage *image, GstVideoFrame *frame, GstClockTime time,
    const GstFrameDiffValues *v, const QfImageDiffOptions *options);

G_END_DECLS
