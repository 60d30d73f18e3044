/* GStreamer qfuse: planes computed once for all network elements downstream.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>

#include "gstqfplanesmeta.h"

G_BEGIN_DECLS

/** The wants of the network elements downstream, a planer each. */
typedef struct _GstFrameDiffPlanes GstFrameDiffPlanes;

GstFrameDiffPlanes *gst_frame_diff_planes_new (void);
void gst_frame_diff_planes_free (GstFrameDiffPlanes *d);

/** Asks downstream of @trans. Planers of wants that stay keep their past; new
 * ones start under @info and the segment of @trans. Returns how many wants
 * there are. */
guint gst_frame_diff_planes_ask (
    GstFrameDiffPlanes *d, GstBaseTransform *trans, const GstVideoInfo *info);

void gst_frame_diff_planes_set_info (
    GstFrameDiffPlanes *d, const GstVideoInfo *info);
void gst_frame_diff_planes_event (GstFrameDiffPlanes *d, GstEvent *event);
void gst_frame_diff_planes_forget (GstFrameDiffPlanes *d);

/** Computes the planes of @frame for each want and attaches them to its buffer.
 */
void gst_frame_diff_planes_attach (
    GstFrameDiffPlanes *d, GstVideoFrame *frame, GstClockTime time);

G_END_DECLS
