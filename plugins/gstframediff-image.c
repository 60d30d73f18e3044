/* GStreamer qfuse: the difference as a picture in its frame's own format.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstframediff-image.h"

#include <string.h>

struct _GstFrameDiffImage
{
  gint width, height;
  QfImageDiff *diff;
  guint8 *luma, *out; /* [height][width] */
};

GstFrameDiffImage *
gst_frame_diff_image_new (void)
{
  return g_new0 (GstFrameDiffImage, 1);
}

void
gst_frame_diff_image_free (GstFrameDiffImage *d)
{
  if (!d)
    return;
  g_clear_pointer (&d->diff, qf_image_diff_free);
  g_free (d->luma);
  g_free (d->out);
  g_free (d);
}

void
gst_frame_diff_image_forget (GstFrameDiffImage *d)
{
  if (d->diff)
    qf_image_diff_reset (d->diff);
}

static void
fit_size (GstFrameDiffImage *d, gint width, gint height)
{
  gsize size = (gsize) width * height;

  if (d->diff && d->width == width && d->height == height)
    return;
  g_clear_pointer (&d->diff, qf_image_diff_free);
  d->diff = qf_image_diff_new (width, height);
  d->width = width;
  d->height = height;
  d->luma = g_realloc (d->luma, size);
  d->out = g_realloc (d->out, size);
}

/* From a difference code to the frame's luma (or grey of RGB). In video range
 * black is 16 and white 235; 128 is the middle in both. */
static void
make_levels (guint8 levels[256], gboolean video_range, gboolean absolute)
{
  for (gint v = 0; v < 256; v++) {
    gint y = v;

    if (video_range)
      y = absolute ? 16 + (v * 219 + 127) / 255 : CLAMP (v, 16, 235);
    levels[v] = (guint8) y;
  }
}

/* One row of packed RGB: @r, @g, @b are byte offsets in a pixel. */
static void
write_rgb_row (guint8 *to, const guint8 *codes, gint width, gint step,
    const gint offset[3], const guint8 levels[256])
{
  for (gint x = 0; x < width; x++, to += step)
    to[offset[0]] = to[offset[1]] = to[offset[2]] = levels[codes[x]];
}

static void
write_luma_row (guint8 *to, const guint8 *codes, gint width, gint step,
    const guint8 levels[256])
{
  for (gint x = 0; x < width; x++)
    to[(gssize) x * step] = levels[codes[x]];
}

static void
write_luma16_row (guint8 *to, const guint8 *codes, gint width, gint shift,
    const guint8 levels[256])
{
  for (gint x = 0; x < width; x++)
    GST_WRITE_UINT16_LE (to + 2 * x, (guint) levels[codes[x]] << shift);
}

static void
write_luma (GstVideoFrame *frame, const GstVideoRectangle *r,
    const guint8 *codes, const guint8 levels[256])
{
  const GstVideoFormatInfo *f = frame->info.finfo;
  gint step = GST_VIDEO_FRAME_COMP_PSTRIDE (frame, 0);
  gint stride = GST_VIDEO_FRAME_PLANE_STRIDE (frame, 0);
  const gint rgb[3] = { GST_VIDEO_FORMAT_INFO_POFFSET (f, 0),
    GST_VIDEO_FORMAT_INFO_N_COMPONENTS (f) > 1
        ? GST_VIDEO_FORMAT_INFO_POFFSET (f, 1)
        : 0,
    GST_VIDEO_FORMAT_INFO_N_COMPONENTS (f) > 2
        ? GST_VIDEO_FORMAT_INFO_POFFSET (f, 2)
        : 0 };

  for (gint y = 0; y < r->h; y++, codes += r->w) {
    guint8 *to = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (frame, 0) +
        (gssize) (r->y + y) * stride + (gssize) r->x * step;

    if (GST_VIDEO_FORMAT_INFO_IS_RGB (f))
      write_rgb_row (to, codes, r->w, step, rgb, levels);
    else if (GST_VIDEO_FORMAT_INFO_DEPTH (f, 0) > 8)
      write_luma16_row (to, codes, r->w,
          2 + (gint) GST_VIDEO_FORMAT_INFO_SHIFT (f, 0), levels);
    else
      write_luma_row (to + rgb[0], codes, r->w, step, levels);
  }
}

/* Chroma between the luma of YUY2 and UYVY. */
static void
write_packed_chroma (GstVideoFrame *frame, guint c)
{
  gint step = GST_VIDEO_FRAME_COMP_PSTRIDE (frame, c);

  for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (frame, c); y++) {
    guint8 *to = (guint8 *) GST_VIDEO_FRAME_COMP_DATA (frame, c) +
        (gssize) y * GST_VIDEO_FRAME_COMP_STRIDE (frame, c);

    for (gint x = 0; x < GST_VIDEO_FRAME_COMP_WIDTH (frame, c); x++)
      to[(gssize) x * step] = 128;
  }
}

/* A plane that holds nothing but chroma, of component @c and, interleaved,
 * maybe another. (GStreamer 1.22 tells a wrong offset of P010's V.) */
static void
write_chroma_plane (GstVideoFrame *frame, guint c)
{
  guint plane = (guint) GST_VIDEO_FRAME_COMP_PLANE (frame, c);
  gint row = GST_VIDEO_FRAME_COMP_WIDTH (frame, c) *
      GST_VIDEO_FRAME_COMP_PSTRIDE (frame, c);
  guint depth = (guint) GST_VIDEO_FRAME_COMP_DEPTH (frame, c);
  guint neutral =
      1u << (depth - 1 + GST_VIDEO_FORMAT_INFO_SHIFT (frame->info.finfo, c));

  for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (frame, c); y++) {
    guint8 *to = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (frame, plane) +
        (gssize) y * GST_VIDEO_FRAME_PLANE_STRIDE (frame, plane);

    if (depth == 8)
      memset (to, (gint) neutral, (gsize) row);
    else
      for (gint x = 0; x < row; x += 2)
        GST_WRITE_UINT16_LE (to + x, neutral);
  }
}

/* Neutral chroma of the whole frame. */
static void
write_chroma (GstVideoFrame *frame)
{
  if (!GST_VIDEO_INFO_IS_YUV (&frame->info))
    return;
  for (guint c = 1; c < GST_VIDEO_FRAME_N_COMPONENTS (frame); c++) {
    if (GST_VIDEO_FRAME_COMP_PLANE (frame, c) == 0)
      write_packed_chroma (frame, c);
    else
      write_chroma_plane (frame, c);
  }
}

gdouble
gst_frame_diff_image_apply (GstFrameDiffImage *d, GstVideoFrame *frame,
    GstClockTime time, const QfImageDiffOptions *options)
{
  gboolean video_range;
  GstVideoRectangle r;
  guint8 levels[256];
  QfImage image;
  gsize changed;

  gst_qf_frame_image (frame, &image, &r);
  fit_size (d, r.w, r.h);
  qf_image_luma (&image, 0, r.h, d->luma, r.w);
  changed = qf_image_diff_push (d->diff, d->luma,
      GST_CLOCK_TIME_IS_VALID (time) ? (gint64) time : -1, options, d->out);

  video_range = !GST_VIDEO_INFO_IS_RGB (&frame->info) && !image.full_range;
  make_levels (levels, video_range, options->absolute);
  write_luma (frame, &r, d->out, levels);
  write_chroma (frame);
  return (gdouble) changed / ((gdouble) r.w * r.h);
}

void
gst_frame_diff_image_motion (GstFrameDiffImage *d, GstVideoFrame *frame,
    const guint8 *luma, gssize stride, const guint8 *then, const guint8 *mask,
    const QfImageDiffOptions *options)
{
  gint none = options->absolute ? 0 : 128;
  GstVideoRectangle r;
  guint8 levels[256];
  QfImage image;

  gst_qf_frame_image (frame, &image, &r);
  fit_size (d, r.w, r.h);
  for (gint y = 0; y < r.h; y++)
    for (gint x = 0; x < r.w; x++) {
      gsize i = (gsize) y * r.w + x;
      gint diff = then && (!mask || mask[i])
          ? options->gain * (luma[y * stride + x] - then[i])
          : 0;
      gint v = options->absolute ? ABS (diff) : none + diff / 2;

      d->out[i] = (guint8) CLAMP (v, 0, 255);
    }
  make_levels (levels,
      !GST_VIDEO_INFO_IS_RGB (&frame->info) && !image.full_range,
      options->absolute);
  write_luma (frame, &r, d->out, levels);
  write_chroma (frame);
}
