/* GStreamer qfuse: tests: frames that the tests draw themselves.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "testframes.h"

const gchar *const test_formats[] = { "GRAY8", "I420", "YV12", "NV12", "NV21",
  "Y42B", "Y444", "YUY2", "UYVY", "RGB", "BGR", "RGBx", "BGRx", "xRGB", "xBGR",
  "RGBA", "BGRA", "ARGB", "ABGR", "I420_10LE", "P010_10LE", NULL };

GstCaps *
test_caps (const gchar *format, gint width, gint height)
{
  return gst_caps_new_simple ("video/x-raw", "format", G_TYPE_STRING, format,
      "width", G_TYPE_INT, width, "height", G_TYPE_INT, height, "framerate",
      GST_TYPE_FRACTION, 25, 1, "pixel-aspect-ratio", GST_TYPE_FRACTION, 1, 1,
      NULL);
}

/* From RGB, drawn in @rgb, to the format that is asked for. */
static GstBuffer *
convert (const GstVideoInfo *info, const GstVideoInfo *rgb_info, GstBuffer *rgb)
{
  GstVideoConverter *c;
  GstVideoFrame from, to;
  GstBuffer *out;

  out = gst_buffer_new_allocate (NULL, GST_VIDEO_INFO_SIZE (info), NULL);
  gst_buffer_memset (out, 0, 0, GST_VIDEO_INFO_SIZE (info));
  c = gst_video_converter_new (rgb_info, info,
      gst_structure_new ("o", GST_VIDEO_CONVERTER_OPT_DITHER_METHOD,
          GST_TYPE_VIDEO_DITHER_METHOD, GST_VIDEO_DITHER_NONE, NULL));
  fail_unless (c != NULL);
  fail_unless (gst_video_frame_map (&from, rgb_info, rgb, GST_MAP_READ));
  fail_unless (gst_video_frame_map (&to, info, out, GST_MAP_WRITE));
  gst_video_converter_frame (c, &from, &to);
  gst_video_frame_unmap (&from);
  gst_video_frame_unmap (&to);
  gst_video_converter_free (c);
  gst_buffer_unref (rgb);
  return out;
}

static void
new_rgb (const GstVideoInfo *info, GstVideoInfo *rgb_info, GstBuffer **rgb,
    GstVideoFrame *frame)
{
  gst_video_info_set_format (
      rgb_info, GST_VIDEO_FORMAT_RGB, info->width, info->height);
  rgb_info->fps_n = info->fps_n;
  rgb_info->fps_d = info->fps_d;
  *rgb = gst_buffer_new_allocate (NULL, GST_VIDEO_INFO_SIZE (rgb_info), NULL);
  fail_unless (gst_video_frame_map (frame, rgb_info, *rgb, GST_MAP_WRITE));
}

GstBuffer *
test_frame (const GstVideoInfo *info, gint step)
{
  GstVideoInfo rgb_info;
  GstVideoFrame frame;
  GstBuffer *rgb;

  new_rgb (info, &rgb_info, &rgb, &frame);
  for (gint y = 0; y < info->height; y++) {
    guint8 *row = (guint8 *) frame.data[0] + y * frame.info.stride[0];

    for (gint x = 0; x < info->width; x++) {
      gint phase = (x + 3 * step) / 5 + (y + 2 * step) / 7;

      row[3 * x] = (guint8) (40 + 50 * (phase % 4));
      row[3 * x + 1] = (guint8) (30 + (x * 7 + y * 3 + step * 11) % 180);
      row[3 * x + 2] = (guint8) (60 + 90 * ((phase + step) & 1));
    }
  }
  gst_video_frame_unmap (&frame);
  return convert (info, &rgb_info, rgb);
}

GstBuffer *
test_square (const GstVideoInfo *info, gint x0, gint y0, gint size)
{
  GstVideoInfo rgb_info;
  GstVideoFrame frame;
  GstBuffer *rgb;

  /* 16 + 219·51/255 = 60, 16 + 219·214/255 = 200 */
  new_rgb (info, &rgb_info, &rgb, &frame);
  for (gint y = 0; y < info->height; y++) {
    guint8 *row = (guint8 *) frame.data[0] + y * frame.info.stride[0];

    for (gint x = 0; x < info->width; x++) {
      gboolean in = x >= x0 && x < x0 + size && y >= y0 && y < y0 + size;

      row[3 * x] = row[3 * x + 1] = row[3 * x + 2] = in ? 214 : 51;
    }
  }
  gst_video_frame_unmap (&frame);
  return convert (info, &rgb_info, rgb);
}

/* Puts @frame at (@left, @top) of a frame with @stride and @offset. */
static GstBuffer *
place (const GstVideoInfo *info, GstBuffer *frame, const GstVideoInfo *big,
    const gsize offset[4], const gint stride[4], gsize size, gint left,
    gint top)
{
  GstVideoFrame from, to;
  GstBuffer *out = gst_buffer_new_allocate (NULL, size, NULL);

  gst_buffer_memset (out, 0, 0xa7, size);
  gst_buffer_add_video_meta_full (out, GST_VIDEO_FRAME_FLAG_NONE,
      GST_VIDEO_INFO_FORMAT (big), big->width, big->height,
      GST_VIDEO_INFO_N_PLANES (big), (gsize *) offset, (gint *) stride);
  fail_unless (gst_video_frame_map (&from, info, frame, GST_MAP_READ));
  fail_unless (gst_video_frame_map (&to, big, out, GST_MAP_READWRITE));
  for (guint p = 0; p < GST_VIDEO_INFO_N_PLANES (info); p++) {
    gint comp[GST_VIDEO_MAX_COMPONENTS], step, w, h;
    const GstVideoFormatInfo *f = info->finfo;

    gst_video_format_info_component (f, p, comp);
    step = GST_VIDEO_FORMAT_INFO_PSTRIDE (f, comp[0]);
    w = GST_VIDEO_FORMAT_INFO_SCALE_WIDTH (f, comp[0], info->width) * step;
    h = GST_VIDEO_FORMAT_INFO_SCALE_HEIGHT (f, comp[0], info->height);
    if (GST_VIDEO_FORMAT_INFO_FORMAT (f) == GST_VIDEO_FORMAT_YUY2 ||
        GST_VIDEO_FORMAT_INFO_FORMAT (f) == GST_VIDEO_FORMAT_UYVY)
      w = GST_ROUND_UP_2 (info->width) * 2;
    for (gint y = 0; y < h; y++)
      memcpy ((guint8 *) to.data[p] +
              (y + (top >> GST_VIDEO_FORMAT_INFO_H_SUB (f, comp[0]))) *
                  to.info.stride[p] +
              (left >> GST_VIDEO_FORMAT_INFO_W_SUB (f, comp[0])) * step,
          (const guint8 *) from.data[p] + y * from.info.stride[p], (gsize) w);
  }
  gst_video_frame_unmap (&from);
  gst_video_frame_unmap (&to);
  gst_buffer_copy_into (out, frame, GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
  gst_buffer_unref (frame);
  return out;
}

GstBuffer *
test_frame_padded (
    const GstVideoInfo *info, GstBuffer *frame, gint pad, gsize offset)
{
  gsize at = offset, offsets[4];
  gint strides[4];

  for (guint p = 0; p < GST_VIDEO_INFO_N_PLANES (info); p++) {
    gint comp[GST_VIDEO_MAX_COMPONENTS];

    gst_video_format_info_component (info->finfo, p, comp);
    strides[p] = info->stride[p] + pad;
    offsets[p] = at;
    at += (gsize) strides[p] *
            GST_VIDEO_FORMAT_INFO_SCALE_HEIGHT (
                info->finfo, comp[0], info->height) +
        offset;
  }
  return place (info, frame, info, offsets, strides, at, 0, 0);
}

GstBuffer *
test_frame_cropped (
    const GstVideoInfo *info, GstBuffer *frame, gint left, gint top)
{
  GstVideoCropMeta *crop;
  GstVideoInfo big;
  GstBuffer *out;

  gst_video_info_set_format (&big, GST_VIDEO_INFO_FORMAT (info),
      GST_ROUND_UP_2 (info->width) + left + 6,
      GST_ROUND_UP_2 (info->height) + top + 4);
  big.colorimetry = info->colorimetry;
  out = place (info, frame, &big, big.offset, big.stride,
      GST_VIDEO_INFO_SIZE (&big), left, top);
  crop = gst_buffer_add_video_crop_meta (out);
  crop->x = (guint) left;
  crop->y = (guint) top;
  crop->width = (guint) info->width;
  crop->height = (guint) info->height;
  return out;
}

GstBuffer *
test_stamp (GstBuffer *buffer, guint n)
{
  GST_BUFFER_PTS (buffer) = n * 40 * GST_MSECOND;
  GST_BUFFER_DURATION (buffer) = 40 * GST_MSECOND;
  return buffer;
}

guint
test_sample (GstVideoFrame *frame, guint c, gint x, gint y)
{
  const GstVideoFormatInfo *f = frame->info.finfo;
  gboolean deep = GST_VIDEO_FRAME_COMP_DEPTH (frame, c) > 8;
  gint offset = GST_VIDEO_FORMAT_INFO_POFFSET (f, c);
  const guint8 *p;

  if (deep && offset == 1) /* GStreamer 1.22 of P010's V: 1 for 2 bytes */
    offset = 2;
  p = (const guint8 *) GST_VIDEO_FRAME_PLANE_DATA (
          frame, GST_VIDEO_FORMAT_INFO_PLANE (f, c)) +
      y * GST_VIDEO_FRAME_COMP_STRIDE (frame, c) +
      x * GST_VIDEO_FRAME_COMP_PSTRIDE (frame, c) + offset;
  return deep
      ? (guint) GST_READ_UINT16_LE (p) >> GST_VIDEO_FORMAT_INFO_SHIFT (f, c)
      : *p;
}

GstHarness *
test_harness (const gchar *line, gint width, gint height, GstVideoInfo *info)
{
  GstHarness *h = gst_harness_new_parse (line);
  GstCaps *caps = test_caps ("I420", width, height);

  fail_unless (gst_video_info_from_caps (info, caps));
  gst_harness_set_src_caps (h, caps);
  return h;
}
