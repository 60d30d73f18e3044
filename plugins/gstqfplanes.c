/* GStreamer qfuse: from video frames to a network's input planes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "gstqfplanes.h"

GST_DEBUG_CATEGORY_STATIC (planes_debug);
#define GST_CAT_DEFAULT planes_debug

/* Of the letterbox where no picture is: what qf_plane_rest() says of Y. */
#define BORDER 128

struct _GstQfPlaner
{
  GstQfWant want;
  QfGeometry geometry;
  QfDifferencer *differencer;

  gboolean has_info;
  GstVideoInfo info; /* of the caps */
  GstQfContinuity continuity;
  gboolean cut; /* the past was forgotten */

  QfScaler *scaler;               /* of a picture of geometry.src_w × src_h */
  guint8 *luma;                   /* [height][width], the differencer's input */
  gboolean holds_luma, holds_rgb; /* of the last picture */

  GstVideoConverter *converter; /* to RGB, where a plane asks for colour */
  GstVideoInfo converter_info;
  GstVideoRectangle converter_rect;
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
  g_free (p);
}

void
gst_qf_planer_forget (GstQfPlaner *p)
{
  qf_differencer_reset (p->differencer);
  p->holds_luma = p->holds_rgb = FALSE;
  p->cut = TRUE;
}

gboolean
gst_qf_planer_take_cut (GstQfPlaner *p)
{
  gboolean cut = p->cut;

  p->cut = FALSE;
  return cut;
}

const QfGeometry *
gst_qf_planer_geometry (const GstQfPlaner *p)
{
  return &p->geometry;
}

void
gst_qf_planer_set_info (GstQfPlaner *p, const GstVideoInfo *info)
{
  if (p->has_info && !gst_qf_info_same_pixels (&p->info, info)) {
    GST_DEBUG ("the picture changes: the past is forgotten");
    gst_qf_planer_forget (p);
    g_clear_pointer (&p->scaler, qf_scaler_free);
    g_clear_pointer (&p->converter, gst_video_converter_free);
  }
  p->info = *info;
  p->has_info = TRUE;
}

void
gst_qf_planer_event (GstQfPlaner *p, GstEvent *event)
{
  if (gst_qf_continuity_event (&p->continuity, event)) {
    GST_DEBUG ("%s: the past is forgotten", GST_EVENT_TYPE_NAME (event));
    gst_qf_planer_forget (p);
  }
}

/* Geometry and scaler for pictures of this size. */
static void
fit_picture (
    GstQfPlaner *p, const GstVideoFrame *frame, const GstVideoRectangle *r)
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
compute_luma (GstQfPlaner *p, const QfImage *image)
{
  guint8 *to = p->luma + (gsize) p->geometry.y * p->want.width + p->geometry.x;

  qf_scaler_run_luma (p->scaler, image, to, p->want.width);
}

/* GstVideoConverter for colour planes, its result may differ by a step from one
 * GStreamer to the next. */
static gboolean
fit_converter (
    GstQfPlaner *p, const GstVideoFrame *frame, const GstVideoRectangle *r)
{
  const QfGeometry *g = &p->geometry;
  GstVideoInfo in;

  if (p->converter && memcmp (r, &p->converter_rect, sizeof (*r)) == 0 &&
      gst_video_info_is_equal (&p->converter_info, &frame->info))
    return TRUE;
  g_clear_pointer (&p->converter, gst_video_converter_free);
  p->converter_rect = *r;
  p->converter_info = frame->info;
  in = frame->info; /* times and fields are not converted */
  in.fps_n = p->rgb_info.fps_n;
  in.fps_d = p->rgb_info.fps_d;
  in.interlace_mode = p->rgb_info.interlace_mode;
  p->converter = gst_video_converter_new (&in, &p->rgb_info,
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
compute_rgb (GstQfPlaner *p, GstVideoFrame *frame, const GstVideoRectangle *r)
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
  QfImage image;
  GstVideoRectangle r;
  gboolean colour = out && p->rgb_buffer, repeats;

  if (gst_qf_continuity_frame (&p->continuity, frame->buffer, time)) {
    GST_DEBUG ("discontinuity without times: the past is forgotten");
    gst_qf_planer_forget (p);
  }

  gst_qf_frame_image (frame, &image, &r);
  fit_picture (p, frame, &r);
  repeats = p->holds_luma && gst_qf_buffer_repeats (frame->buffer);
  if (!repeats)
    compute_luma (p, &image);
  if (colour && !(repeats && p->holds_rgb))
    compute_rgb (p, frame, &r);
  p->holds_luma = TRUE;
  p->holds_rgb = colour || (repeats && p->holds_rgb);
  qf_differencer_push (p->differencer, p->luma,
      colour ? (const guint8 *const *) p->rgb : NULL,
      GST_CLOCK_TIME_IS_VALID (time) ? (gint64) time : -1, out);
}
