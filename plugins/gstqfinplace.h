/* GStreamer qfuse: what the transforms that attach to frames have in common.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>
#include <gst/video/video.h>
#include <gst/gst.h>

#include "gstqfmeta-private.h"

G_BEGIN_DECLS

/** Buffers pass as they are: where one is shared (behind a tee), its metadata
 * is copied and its memory is not; allocation is settled between upstream and
 * downstream; controlled properties are synchronized before each frame. For
 * class_init of a GstBaseTransform with transform_ip. */
void gst_qf_in_place_class_init (GstBaseTransformClass *klass);

/** In place, never passthrough, GAP buffers too, QoS off (on, GstBaseTransform
 * would drop frames, and differences need each). For instance_init. */
void gst_qf_in_place_init (GstBaseTransform *trans);

/** What scalers downstream do, for metas that are written now: found out anew
 * where the pipeline changed (a RECONFIGURE event came). Streaming thread. */
GstQfBorders gst_qf_in_place_borders (GstBaseTransform *trans);

/** Stream time of @buffer, GST_CLOCK_TIME_NONE where it has no timestamp or
 * lies outside the segment. */
GstClockTime gst_qf_stream_time (GstBaseTransform *trans, GstBuffer *buffer);

/** What @caps say of the pictures; FALSE and an element error where they are of
 * no use or larger than 32767 pixels to a side. For set_caps. */
gboolean gst_qf_in_place_read_caps (
    GstBaseTransform *trans, GstCaps *caps, GstVideoInfo *info);

G_END_DECLS
