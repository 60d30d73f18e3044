/* GStreamer qfuse: from video frames to a network's input planes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

#include "qfuse.h"

G_BEGIN_DECLS

/* Raw formats that every element of ours takes. */
#define GST_QF_FORMATS                                                         \
  "{ GRAY8, I420, YV12, NV12, NV21, Y42B, Y444, YUY2, UYVY, RGB, BGR, RGBx, "  \
  "BGRx, xRGB, xBGR, RGBA, BGRA, ARGB, ABGR, I420_10LE, P010_10LE }"

/** The picture in @frame (crop meta honoured) as libqfuse sees it; @rect (may
 * be NULL): where in the frame it lies. */
void gst_qf_frame_image (
    GstVideoFrame *frame, QfImage *image, GstVideoRectangle *rect);

/** What a model wants to see. */
typedef struct
{
  QfPlanes planes;
  gint width, height; /* of the network's input */
  QfFit fit;
  gint rate_n, rate_d; /* rate_n 0: one step is one frame */
} GstQfWant;

/** Reads the want from a model's metadata and input shape. */
gboolean gst_qf_want_from_model (
    GstQfWant *want, const QfModel *model, GError **error);

gboolean gst_qf_want_equal (const GstQfWant *a, const GstQfWant *b);

/** Computes the planes of a stream for one want: luma, scaling into the
 * letterbox, history. Not thread-safe. */
typedef struct _GstQfPlaner GstQfPlaner;

GstQfPlaner *gst_qf_planer_new (const GstQfWant *want);
void gst_qf_planer_free (GstQfPlaner *p);

/** New caps: forgets the past where pixels change meaning. */
void gst_qf_planer_set_info (GstQfPlaner *p, const GstVideoInfo *info);

/** Forgets the past where DESIGN says so: call for every event of the sink pad.
 */
void gst_qf_planer_event (GstQfPlaner *p, GstEvent *event);

/** Takes the next frame (crop meta honoured) and writes its planes to @out
 * [planes][height][width], or only remembers it where @out is NULL. A frame
 * that repeats the last, as gst_qf_buffer_repeats() says, is that picture
 * again. @time: its stream time or GST_CLOCK_TIME_NONE. */
void gst_qf_planer_push (
    GstQfPlaner *p, GstVideoFrame *frame, GstClockTime time, guint8 *out);

/** Whether pictures of these caps compare pixel by pixel: FALSE where the past
 * must be forgotten. The frame rate may differ. */
gboolean gst_qf_info_same_pixels (const GstVideoInfo *a, const GstVideoInfo *b);

/** Whether @buffer repeats the picture of the buffer before, whatever it holds:
 * flagged GAP, and none was left out in between (which DISCONT tells). */
gboolean gst_qf_buffer_repeats (GstBuffer *buffer);

/** Where a stream is in its segments: says when an event ends the past. Zeroed
 * memory is a start. */
typedef struct
{
  gboolean has_segment;
  GstSegment segment;
  gboolean has_last;
  GstClockTime last_end; /* of the last frame, in the segment */
} GstQfContinuity;

/** TRUE where @event of the sink pad makes the stream forget the past. */
gboolean gst_qf_continuity_event (GstQfContinuity *c, GstEvent *event);

/** Call for each frame; @time: its stream time or GST_CLOCK_TIME_NONE. TRUE
 * where the past must be forgotten before the frame. */
gboolean gst_qf_continuity_frame (
    GstQfContinuity *c, GstBuffer *buffer, GstClockTime time);

/** Forgets the past: for a caller that left frames out. */
void gst_qf_planer_forget (GstQfPlaner *p);

/** Whether the past was forgotten since this was last asked, so that the last
 * frame has none. */
gboolean gst_qf_planer_take_cut (GstQfPlaner *p);

/** Bytes that gst_qf_planer_push() writes. */
gsize gst_qf_want_size (const GstQfWant *want);

/** How the last frame lies in the input. */
const QfGeometry *gst_qf_planer_geometry (const GstQfPlaner *p);

G_END_DECLS
