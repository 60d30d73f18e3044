/* GStreamer qfuse: passes the frames around motion, drops the others.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstframediff-settings.h"

G_BEGIN_DECLS

/** Streaming thread only. */
typedef struct _GstFrameDiffGate GstFrameDiffGate;

/** @element: who warns; @srcpad: where earlier frames and GAP events go.
 * Neither is owned. */
GstFrameDiffGate *gst_frame_diff_gate_new (GstElement *element, GstPad *srcpad);
void gst_frame_diff_gate_free (GstFrameDiffGate *g);

/** Drops what is held and closes. */
void gst_frame_diff_gate_forget (GstFrameDiffGate *g);

/** Drops what is held, whose times are those of a segment, or whose pixels
 * those of caps, that is over. */
void gst_frame_diff_gate_drop_held (GstFrameDiffGate *g);

/** Takes the next frame at @time (stream time or GST_CLOCK_TIME_NONE), in which
 * something @moves or not. TRUE in @pass: it is to be passed, after those
 * before it, which were pushed here; the result is that of pushing. Else GAP
 * events tell downstream that time goes on, about once a second: encoders keep
 * them all until the next frame. @buffer is writable; it is copied, not kept.
 */
GstFlowReturn gst_frame_diff_gate_take (GstFrameDiffGate *g, GstBuffer *buffer,
    GstClockTime time, gboolean moves, const GstFrameDiffValues *v,
    gboolean *pass);

G_END_DECLS
