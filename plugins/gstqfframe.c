/* GStreamer qfuse: frames as libqfuse sees them, and when a stream forgets.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfplanes.h"

static QfFormat
format_to_qf (GstVideoFormat format)
{
  switch (format) {
    case GST_VIDEO_FORMAT_GRAY8:
      return QF_FORMAT_GRAY8;
    case GST_VIDEO_FORMAT_YUY2:
      return QF_FORMAT_YUY2;
    case GST_VIDEO_FORMAT_UYVY:
      return QF_FORMAT_UYVY;
    case GST_VIDEO_FORMAT_RGB:
      return QF_FORMAT_RGB;
    case GST_VIDEO_FORMAT_BGR:
      return QF_FORMAT_BGR;
    case GST_VIDEO_FORMAT_RGBx:
    case GST_VIDEO_FORMAT_RGBA:
      return QF_FORMAT_RGBX;
    case GST_VIDEO_FORMAT_BGRx:
    case GST_VIDEO_FORMAT_BGRA:
      return QF_FORMAT_BGRX;
    case GST_VIDEO_FORMAT_xRGB:
    case GST_VIDEO_FORMAT_ARGB:
      return QF_FORMAT_XRGB;
    case GST_VIDEO_FORMAT_xBGR:
    case GST_VIDEO_FORMAT_ABGR:
      return QF_FORMAT_XBGR;
    case GST_VIDEO_FORMAT_I420_10LE:
      return QF_FORMAT_I420_10LE;
    case GST_VIDEO_FORMAT_P010_10LE:
      return QF_FORMAT_P010_10LE;
    default: /* I420, YV12, NV12, NV21, Y42B, Y444 */
      return QF_FORMAT_I420;
  }
}

/* Bytes from one pixel to the next in the plane that holds luma. */
static gint
pixel_bytes (QfFormat format)
{
  switch (format) {
    case QF_FORMAT_GRAY8:
    case QF_FORMAT_I420:
      return 1;
    case QF_FORMAT_RGB:
    case QF_FORMAT_BGR:
      return 3;
    case QF_FORMAT_RGBX:
    case QF_FORMAT_BGRX:
    case QF_FORMAT_XRGB:
    case QF_FORMAT_XBGR:
      return 4;
    default:
      return 2;
  }
}

void
gst_qf_frame_image (
    GstVideoFrame *frame, QfImage *image, GstVideoRectangle *rect)
{
  const GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta (frame->buffer);
  gint w = GST_VIDEO_FRAME_WIDTH (frame), h = GST_VIDEO_FRAME_HEIGHT (frame);
  QfFormat format = format_to_qf (GST_VIDEO_FRAME_FORMAT (frame));
  gint stride = GST_VIDEO_FRAME_PLANE_STRIDE (frame, 0);
  GstVideoRectangle r = { 0, 0, w, h };

  if (crop && crop->x < (guint) w && crop->y < (guint) h && crop->width > 0 &&
      crop->height > 0) {
    r.x = (gint) crop->x;
    r.y = (gint) crop->y;
    r.w = (gint) MIN (crop->width, (guint) (w - r.x));
    r.h = (gint) MIN (crop->height, (guint) (h - r.y));
  }
  *image = (QfImage){ .format = format,
    .width = r.w,
    .height = r.h,
    .data = (const guint8 *) GST_VIDEO_FRAME_PLANE_DATA (frame, 0) +
        (gssize) r.y * stride + (gssize) r.x * pixel_bytes (format),
    .stride = stride,
    .full_range =
        frame->info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255 };
  if (rect)
    *rect = r;
}

gboolean
gst_qf_buffer_repeats (GstBuffer *buffer)
{
  return GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP) &&
      !GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT);
}

gboolean
gst_qf_info_same_pixels (const GstVideoInfo *a, const GstVideoInfo *b)
{
  return GST_VIDEO_INFO_FORMAT (a) == GST_VIDEO_INFO_FORMAT (b) &&
      a->width == b->width && a->height == b->height && a->par_n == b->par_n &&
      a->par_d == b->par_d && a->interlace_mode == b->interlace_mode &&
      a->colorimetry.range == b->colorimetry.range &&
      a->colorimetry.matrix == b->colorimetry.matrix;
}

static gboolean
about (guint64 a, guint64 b)
{
  return a != GST_CLOCK_TIME_NONE && b != GST_CLOCK_TIME_NONE &&
      (a > b ? a - b : b - a) <= 20 * GST_MSECOND;
}

/* Whether pictures under @b follow those under @a: times mean the same, or go
 * on where the last frame ended. */
static gboolean
segment_continues (
    const GstSegment *a, const GstSegment *b, GstClockTime last_end)
{
  guint64 ra, rb, sa, sb;

  if (gst_segment_is_equal (a, b))
    return TRUE;
  if (a->format != b->format || a->format != GST_FORMAT_TIME ||
      a->rate != b->rate || a->applied_rate != b->applied_rate)
    return FALSE;
  /* forwards, where running and stream time are times plus a constant */
  if (a->rate > 0 &&
      a->base - a->start - a->offset == b->base - b->start - b->offset &&
      a->time - a->start == b->time - b->start)
    return TRUE;
  if (!GST_CLOCK_TIME_IS_VALID (last_end) || a->rate < 0)
    return FALSE;
  ra = gst_segment_to_running_time (a, GST_FORMAT_TIME, last_end);
  sa = gst_segment_to_stream_time (a, GST_FORMAT_TIME, last_end);
  rb = gst_segment_to_running_time (b, GST_FORMAT_TIME, b->start);
  sb = gst_segment_to_stream_time (b, GST_FORMAT_TIME, b->start);
  return about (ra, rb) && about (sa, sb);
}

gboolean
gst_qf_continuity_event (GstQfContinuity *c, GstEvent *event)
{
  const GstSegment *segment;
  gboolean forget = FALSE;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_STOP:
    case GST_EVENT_STREAM_START:
      c->has_segment = c->has_last = FALSE;
      return TRUE;
    case GST_EVENT_SEGMENT:
      gst_event_parse_segment (event, &segment);
      forget = c->has_segment &&
          !segment_continues (&c->segment, segment,
              c->has_last ? c->last_end : GST_CLOCK_TIME_NONE);
      if (forget)
        c->has_last = FALSE;
      c->segment = *segment;
      c->has_segment = TRUE;
      return forget;
    default:
      return FALSE;
  }
}

gboolean
gst_qf_continuity_frame (
    GstQfContinuity *c, GstBuffer *buffer, GstClockTime time)
{
  c->has_last = GST_BUFFER_PTS_IS_VALID (buffer);
  c->last_end = GST_BUFFER_PTS (buffer);
  if (c->has_last && GST_BUFFER_DURATION_IS_VALID (buffer))
    c->last_end += GST_BUFFER_DURATION (buffer);

  /* with times, the differencer sees gaps itself: a camera that drops a frame
   * sets DISCONT too, and that must not blank a difference */
  return !GST_CLOCK_TIME_IS_VALID (time) &&
      GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT);
}
