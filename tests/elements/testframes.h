/* GStreamer qfuse: tests: frames that the tests draw themselves.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>

G_BEGIN_DECLS

/** Every format of GST_QF_FORMATS, NULL-terminated. */
extern const gchar *const test_formats[];

/** Caps of raw video, 25 frames a second. */
GstCaps *test_caps (const gchar *format, gint width, gint height);

/** A harness round the elements of @line that takes I420; @info: of its frames. */
GstHarness *test_harness (
    const gchar *line, gint width, gint height, GstVideoInfo *info);

/** A textured picture whose content moves with @step: coloured, no two steps
 * alike. In the format of @info, converted from RGB by GStreamer. */
GstBuffer *test_frame (const GstVideoInfo *info, gint step);

/** A grey picture (video-range luma of 60) with a square of luma 200, @size
 * pixels wide, with its left top corner at (@x, @y). @size 0: none. */
GstBuffer *test_square (const GstVideoInfo *info, gint x, gint y, gint size);

/** The same picture in memory with @pad bytes more a row and @offset bytes in
 * front, as a GstVideoMeta tells. */
GstBuffer *test_frame_padded (
    const GstVideoInfo *info, GstBuffer *frame, gint pad, gsize offset);

/** The same picture inside a frame larger by (@left, @top) and a few pixels to
 * the right and below, with a crop meta that says so; numbers must be even. */
GstBuffer *test_frame_cropped (
    const GstVideoInfo *info, GstBuffer *frame, gint left, gint top);

/** Time stamps: frame @n of 25 a second. */
GstBuffer *test_stamp (GstBuffer *buffer, guint n);

/** Component @c at (@x, @y), in that component's own pixels. */
guint test_sample (GstVideoFrame *frame, guint c, gint x, gint y);

G_END_DECLS
