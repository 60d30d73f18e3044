/* GStreamer qfuse: from video frames to a network's input planes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "gstqfplanes.h"

GST_DEBUG_CATEGORY_STATIC (planes_debug);
#define GST_CAT_DEFAULT planes_debug

/* Of the letterbox where no picture is: what qf_plane_rest() says of Y. */
#define BORDER 128

/* The part of a frame that is the picture. */
typedef struct
{
  gint x, y, w, h;
} Rect;

struct _GstQfPlaner
{
  GstQfWant want;
  QfGeometry geometry;
  QfDifferencer *differencer;

  gboolean has_info;
  GstVideoInfo info; /* of the caps */
  gboolean has_segment;
  GstSegment segment;
  GstClockTime last_end; /* where the last frame ends, in the segment */

  QfScaler *scaler; /* of a picture of geometry.src_w × src_h */
  guint8 *luma;     /* [height][width], the differencer's input */
  guint8 *full;     /* luma of the picture where it must be computed */
  gsize full_size;

  GstVideoConverter *converter; /* to RGB, where a plane asks for colour */
  GstVideoInfo converter_info;
  Rect converter_rect;
  GstVideoInfo rgb_info;
  GstBuffer *rgb_buffer;
  guint8 *rgb[3];
};

static void
init_debug (void)
{
  static gsize once;

  if (g_once_init_enter (&once)) {
    GST_DEBUG_CATEGORY_INIT (
        planes_debug, "qfplanes", 0, "input planes of networks");
    g_once_init_leave (&once, 1);
  }
}

gboolean
gst_qf_want_equal (const GstQfWant *a, const GstQfWant *b)
{
  if (a->width != b->width || a->height != b->height || a->fit != b->fit ||
      !qf_planes_equal (&a->planes, &b->planes))
    return FALSE;
  if (qf_planes_history (&a->planes) == 0)
    return TRUE; /* without distances no rate matters */
  if (a->rate_n == 0 || b->rate_n == 0)
    return a->rate_n == b->rate_n;
  return (gint64) a->rate_n * b->rate_d == (gint64) b->rate_n * a->rate_d;
}

gsize
gst_qf_want_size (const GstQfWant *want)
{
  return (gsize) want->planes.n * want->width * want->height;
}

GstQfPlaner *
gst_qf_planer_new (const GstQfWant *want)
{
  GstQfPlaner *p = g_new0 (GstQfPlaner, 1);
  gsize size = (gsize) want->width * want->height;

  init_debug ();
  p->want = *want;
  p->differencer = qf_differencer_new (
      &want->planes, want->width, want->height, want->rate_n, want->rate_d);
  p->luma = g_malloc (size);
  if (qf_planes_need_colour (&want->planes)) {
    gst_video_info_set_format (
        &p->rgb_info, GST_VIDEO_FORMAT_RGB, want->width, want->height);
    p->rgb_buffer = gst_buffer_new_allocate (
        NULL, GST_VIDEO_INFO_SIZE (&p->rgb_info), NULL);
    for (guint i = 0; i < 3; i++)
      p->rgb[i] = g_malloc (size);
  }
  gst_segment_init (&p->segment, GST_FORMAT_UNDEFINED);
  p->last_end = GST_CLOCK_TIME_NONE;
  return p;
}

void
gst_qf_planer_free (GstQfPlaner *p)
{
  if (!p)
    return;
  g_clear_pointer (&p->differencer, qf_differencer_free);
  g_clear_pointer (&p->scaler, qf_scaler_free);
  g_clear_pointer (&p->converter, gst_video_converter_free);
  gst_clear_buffer (&p->rgb_buffer);
  for (guint i = 0; i < 3; i++)
    g_free (p->rgb[i]);
  g_free (p->luma);
  g_free (p->full);
  g_free (p);
}

void
gst_qf_planer_forget (GstQfPlaner *p)
{
  qf_differencer_reset (p->differencer);
  p->last_end = GST_CLOCK_TIME_NONE;
}

const QfGeometry *
gst_qf_planer_geometry (const GstQfPlaner *p)
{
  return &p->geometry;
}

/* The frame rate may change, it moves no pixel. */
static gboolean
same_pixels (const GstVideoInfo *a, const GstVideoInfo *b)
{
  return GST_VIDEO_INFO_FORMAT (a) == GST_VIDEO_INFO_FORMAT (b) &&
      a->width == b->width && a->height == b->height && a->par_n == b->par_n &&
      a->par_d == b->par_d && a->interlace_mode == b->interlace_mode &&
      a->colorimetry.range == b->colorimetry.range &&
      a->colorimetry.matrix == b->colorimetry.matrix;
}

void
gst_qf_planer_set_info (GstQfPlaner *p, const GstVideoInfo *info)
{
  if (p->has_info && !same_pixels (&p->info, info)) {
    GST_DEBUG ("the picture changes: the past is forgotten");
    gst_qf_planer_forget (p);
    g_clear_pointer (&p->scaler, qf_scaler_free);
    g_clear_pointer (&p->converter, gst_video_converter_free);
  }
  p->info = *info;
  p->has_info = TRUE;
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

void
gst_qf_planer_event (GstQfPlaner *p, GstEvent *event)
{
  const GstSegment *segment;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_STOP:
    case GST_EVENT_STREAM_START:
      GST_DEBUG ("%s: the past is forgotten", GST_EVENT_TYPE_NAME (event));
      gst_qf_planer_forget (p);
      p->has_segment = FALSE;
      break;
    case GST_EVENT_SEGMENT:
      gst_event_parse_segment (event, &segment);
      if (p->has_segment &&
          !segment_continues (&p->segment, segment, p->last_end)) {
        GST_DEBUG ("new segment does not continue: the past is forgotten");
        gst_qf_planer_forget (p);
      }
      p->segment = *segment;
      p->has_segment = TRUE;
      break;
    default:
      break;
  }
}

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

static Rect
picture_rect (GstVideoFrame *frame)
{
  gint w = GST_VIDEO_FRAME_WIDTH (frame), h = GST_VIDEO_FRAME_HEIGHT (frame);
  const GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta (frame->buffer);
  Rect r = { 0, 0, w, h };

  if (crop && crop->x < (guint) w && crop->y < (guint) h && crop->width > 0 &&
      crop->height > 0) {
    r.x = (gint) crop->x;
    r.y = (gint) crop->y;
    r.w = (gint) MIN (crop->width, (guint) (w - r.x));
    r.h = (gint) MIN (crop->height, (guint) (h - r.y));
  }
  return r;
}

/* Geometry and scaler for pictures of this size. */
static void
fit_picture (GstQfPlaner *p, const GstVideoFrame *frame, const Rect *r)
{
  QfGeometry g;

  qf_geometry_init (&g, p->want.fit, r->w, r->h,
      MAX (GST_VIDEO_INFO_PAR_N (&frame->info), 1),
      MAX (GST_VIDEO_INFO_PAR_D (&frame->info), 1), p->want.width,
      p->want.height);
  if (p->scaler && memcmp (&g, &p->geometry, sizeof (g)) == 0)
    return;
  if (p->scaler) { /* a crop meta changed */
    gst_qf_planer_forget (p);
    g_clear_pointer (&p->scaler, qf_scaler_free);
  }
  p->geometry = g;
  p->scaler = qf_scaler_new (r->w, r->h, g.w, g.h);
  memset (p->luma, BORDER, (gsize) p->want.width * p->want.height);
}

static void
compute_luma (GstQfPlaner *p, const GstVideoFrame *frame, const Rect *r)
{
  QfFormat format = format_to_qf (GST_VIDEO_FRAME_FORMAT (frame));
  gint stride = GST_VIDEO_FRAME_PLANE_STRIDE (frame, 0);
  QfImage image = { .format = format,
    .width = r->w,
    .height = r->h,
    .data = (const guint8 *) GST_VIDEO_FRAME_PLANE_DATA (frame, 0) +
        (gssize) r->y * stride + (gssize) r->x * pixel_bytes (format),
    .stride = stride,
    .full_range =
        frame->info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255 };
  guint8 *to = p->luma + (gsize) p->geometry.y * p->want.width + p->geometry.x;

  if (pixel_bytes (format) == 1 && !image.full_range) {
    qf_scaler_run (p->scaler, image.data, stride, to, p->want.width);
    return;
  }
  if (p->full_size < (gsize) r->w * r->h) {
    g_free (p->full);
    p->full_size = (gsize) r->w * r->h;
    p->full = g_malloc (p->full_size);
  }
  qf_image_luma (&image, 0, r->h, p->full, r->w);
  qf_scaler_run (p->scaler, p->full, r->w, to, p->want.width);
}

/* GstVideoConverter for colour planes, its result may differ by a step from one
 * GStreamer to the next. */
static gboolean
fit_converter (GstQfPlaner *p, const GstVideoFrame *frame, const Rect *r)
{
  const QfGeometry *g = &p->geometry;

  if (p->converter && memcmp (r, &p->converter_rect, sizeof (*r)) == 0 &&
      gst_video_info_is_equal (&p->converter_info, &frame->info))
    return TRUE;
  g_clear_pointer (&p->converter, gst_video_converter_free);
  p->converter_rect = *r;
  p->converter_info = frame->info;
  p->converter = gst_video_converter_new (&frame->info, &p->rgb_info,
      gst_structure_new ("options", GST_VIDEO_CONVERTER_OPT_SRC_X, G_TYPE_INT,
          r->x, GST_VIDEO_CONVERTER_OPT_SRC_Y, G_TYPE_INT, r->y,
          GST_VIDEO_CONVERTER_OPT_SRC_WIDTH, G_TYPE_INT, r->w,
          GST_VIDEO_CONVERTER_OPT_SRC_HEIGHT, G_TYPE_INT, r->h,
          GST_VIDEO_CONVERTER_OPT_DEST_X, G_TYPE_INT, g->x,
          GST_VIDEO_CONVERTER_OPT_DEST_Y, G_TYPE_INT, g->y,
          GST_VIDEO_CONVERTER_OPT_DEST_WIDTH, G_TYPE_INT, g->w,
          GST_VIDEO_CONVERTER_OPT_DEST_HEIGHT, G_TYPE_INT, g->h,
          GST_VIDEO_CONVERTER_OPT_FILL_BORDER, G_TYPE_BOOLEAN, TRUE,
          GST_VIDEO_CONVERTER_OPT_BORDER_ARGB, G_TYPE_UINT, 0xff808080u,
          GST_VIDEO_CONVERTER_OPT_DITHER_METHOD, GST_TYPE_VIDEO_DITHER_METHOD,
          GST_VIDEO_DITHER_NONE, GST_VIDEO_CONVERTER_OPT_RESAMPLER_METHOD,
          GST_TYPE_VIDEO_RESAMPLER_METHOD, GST_VIDEO_RESAMPLER_METHOD_LINEAR,
          NULL));
  return p->converter != NULL;
}

static void
compute_rgb (GstQfPlaner *p, GstVideoFrame *frame, const Rect *r)
{
  gsize n = (gsize) p->want.width * p->want.height;
  GstVideoFrame rgb;

  if (!fit_converter (p, frame, r) ||
      !gst_video_frame_map (
          &rgb, &p->rgb_info, p->rgb_buffer, GST_MAP_READWRITE)) {
    for (guint i = 0; i < 3; i++)
      memset (p->rgb[i], BORDER, n);
    return;
  }
  gst_video_converter_frame (p->converter, frame, &rgb);
  for (gint y = 0; y < p->want.height; y++) {
    const guint8 *s = (const guint8 *) GST_VIDEO_FRAME_PLANE_DATA (&rgb, 0) +
        (gssize) y * GST_VIDEO_FRAME_PLANE_STRIDE (&rgb, 0);
    gsize at = (gsize) y * p->want.width;

    for (gint x = 0; x < p->want.width; x++)
      for (guint i = 0; i < 3; i++)
        p->rgb[i][at + x] = s[3 * x + i];
  }
  gst_video_frame_unmap (&rgb);
}

void
gst_qf_planer_push (
    GstQfPlaner *p, GstVideoFrame *frame, GstClockTime time, guint8 *out)
{
  Rect r = picture_rect (frame);
  gboolean colour = out && p->rgb_buffer;

  /* with times, the differencer sees gaps itself: a camera that dropped a frame
   * sets DISCONT too, and that must not blank a difference */
  if (!GST_CLOCK_TIME_IS_VALID (time) &&
      GST_BUFFER_FLAG_IS_SET (frame->buffer, GST_BUFFER_FLAG_DISCONT)) {
    GST_DEBUG ("discontinuity without times: the past is forgotten");
    gst_qf_planer_forget (p);
  }

  fit_picture (p, frame, &r);
  compute_luma (p, frame, &r);
  if (colour)
    compute_rgb (p, frame, &r);
  qf_differencer_push (p->differencer, p->luma,
      colour ? (const guint8 *const *) p->rgb : NULL,
      GST_CLOCK_TIME_IS_VALID (time) ? (gint64) time : -1, out);

  p->last_end = GST_BUFFER_PTS (frame->buffer);
  if (GST_CLOCK_TIME_IS_VALID (p->last_end) &&
      GST_BUFFER_DURATION_IS_VALID (frame->buffer))
    p->last_end += GST_BUFFER_DURATION (frame->buffer);
}
