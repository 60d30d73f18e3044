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

/** Replaces the picture in @frame (mapped READWRITE, crop meta honoured) by its
 * difference: signed is mid grey where nothing changed, absolute black; chroma
 * is neutral, alpha stays. Returns the share of changed pixels, 0 … 1. */
gdouble gst_frame_diff_image_apply (GstFrameDiffImage *d, GstVideoFrame *frame,
    GstClockTime time, const QfImageDiffOptions *options);

G_END_DECLS
