/* GStreamer qfuse: detections as GstAnalyticsRelationMeta, GStreamer ≥ 1.24.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstqfmeta-private.h"

G_BEGIN_DECLS

/** Appends @found to the buffer's analytics meta (made where there is none): a
 * ClsMtd for the frame's action, then an ODMtd a detection, whose id becomes
 * its roi_id, and a TrackingMtd where the object is known. FALSE where
 * GStreamer has no analytics: then nothing is done. */
gboolean gst_qf_analytics_write (GstBuffer *buffer, GstQfFound *found);

/** Appends the ODMtds whose ids are not among @ids (a set of integers). */
void gst_qf_analytics_read (
    GstBuffer *buffer, GstQfFound *found, GHashTable *ids);

G_END_DECLS
