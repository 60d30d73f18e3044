/* GStreamer qfuse: passes the frames around motion, drops the others.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstframediff-settings.h"

G_BEGIN_DECLS

/** Streaming thread only. */
typedef struct _GstFrameDiffGate GstFrameDiffGate;

/** @element: who warns, a GstBaseTransform; @srcpad: where earlier frames and
 * GAP events go. Neither is owned. */
GstFrameDiffGate *gst_frame_diff_gate_new (GstElement *element, GstPad *srcpad);
void gst_frame_diff_gate_free (GstFrameDiffGate *g);

/** Drops what is held and closes. */
void gst_frame_diff_gate_forget (GstFrameDiffGate *g);

/** Drops what is held, whose times are those of a segment, or whose pixels
 * those of caps, that is over. */
void gst_frame_diff_gate_drop_held (GstFrameDiffGate *g);

/** Takes the next frame (its ownership too) at @time (stream time or
 * GST_CLOCK_TIME_NONE), in which something @moves or not: it waits to come out,
 * after those before it, or is held or dropped. What is held is a copy. Where
 * frames are dropped, GAP events tell downstream that time goes on, about once
 * a second: encoders keep them all until the next frame. */
void gst_frame_diff_gate_take (GstFrameDiffGate *g, GstBuffer *buffer,
    GstClockTime time, gboolean moves, const GstFrameDiffValues *v);

/** Takes the next frame while nothing is dropped: it comes out. */
void gst_frame_diff_gate_open (GstFrameDiffGate *g, GstBuffer *buffer);

/** The next frame that comes out, NULL: none. */
GstBuffer *gst_frame_diff_gate_next (GstFrameDiffGate *g);

G_END_DECLS
