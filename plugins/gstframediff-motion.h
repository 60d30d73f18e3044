/* GStreamer qfuse: what moves, told in metas and messages.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>

#include "gstframediff-settings.h"
#include "gstqfmotionmeta.h"
#include "gstqfplanes.h"

G_BEGIN_DECLS

/** The motion analysis of a stream. Streaming thread only. */
typedef struct _GstFrameDiffMotion GstFrameDiffMotion;

/** @trans: whose segment times are of, and who posts messages; not owned. */
GstFrameDiffMotion *gst_frame_diff_motion_new (GstBaseTransform *trans);
void gst_frame_diff_motion_free (GstFrameDiffMotion *m);

/** Where nothing counts; copied, NULL: nowhere. */
void gst_frame_diff_motion_set_ignore (
    GstFrameDiffMotion *m, const QfPolygons *ignore);

/** Forgets the past. Motion that goes on has stopped with the last frame, and a
 * message says so. */
void gst_frame_diff_motion_forget (GstFrameDiffMotion *m);

/** Ends motion that goes on (the stream ends), with a message. */
void gst_frame_diff_motion_end (GstFrameDiffMotion *m);

/** Takes the next frame (mapped, crop meta honoured). A frame that repeats the
 * last one in which something moved (flagged GAP, or the same bytes) shows what
 * that showed, for up to a second: pictures that a source or videorate repeats
 * neither end motion nor hide it, and a source that hangs does. */
const QfMotionResult *gst_frame_diff_motion_push (
    GstFrameDiffMotion *m, GstVideoFrame *frame, const GstFrameDiffValues *v);

/** Tells of the last frame: metas on @buffer, messages where something started
 * or stopped. */
void gst_frame_diff_motion_tell (
    GstFrameDiffMotion *m, GstBuffer *buffer, const GstFrameDiffValues *v);

/** Whether something moves in the last frame while motion goes on. */
gboolean gst_frame_diff_motion_moves (const GstFrameDiffMotion *m);

/** The options of the analysis for pictures of @width × @height. */
void gst_frame_diff_motion_options (QfMotionOptions *o,
    const GstFrameDiffValues *v, const GstVideoInfo *info, gint width,
    gint height);

/** @distance in frames as the library takes it, 1 to 250: milliseconds by the
 * frame rate of @info, where it has one, else by 25 a second. @clamped (may be
 * NULL): it was more. */
gint gst_frame_diff_distance (
    const GstFrameDiffValues *v, const GstVideoInfo *info, gboolean *clamped);

G_END_DECLS
