/* GStreamer qfuse: tests: qfuseoverlay paints what it should and nothing else.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#include <math.h>

#include "gstqfmeta-private.h"
#include "gstqfpaint.h"

#define PADDING 24 /* bytes at the end of each row */

static const gchar *const formats[] = { "GRAY8", "I420", "YV12", "NV12", "NV21",
  "Y42B", "Y444", "YUY2", "UYVY", "RGB", "BGR", "RGBx", "BGRx", "xRGB", "xBGR",
  "RGBA", "BGRA", "ARGB", "ABGR", "I420_10LE", "P010_10LE" };

/* The first colour of the palette, which label 0 has. */
static const guint8 colour[3] = { 0x35, 0xf0, 0x5a };

static gchar *
caps_string (const gchar *format, gint w, gint h)
{
  return g_strdup_printf ("video/x-raw,format=%s,width=%d,height=%d,"
                          "framerate=25/1",
      format, w, h);
}

static void
info_from_string (GstVideoInfo *info, const gchar *text)
{
  GstCaps *caps = gst_caps_from_string (text);

  fail_unless (gst_video_info_from_caps (info, caps));
  gst_caps_unref (caps);
}

/* Bytes that repeat nowhere near, in rows longer than they need be. */
static GstBuffer *
padded_buffer (const GstVideoInfo *info)
{
  gsize offset[GST_VIDEO_MAX_PLANES], size = 0;
  gint stride[GST_VIDEO_MAX_PLANES];
  GstBuffer *buffer;
  GstMapInfo map;

  for (guint p = 0; p < GST_VIDEO_INFO_N_PLANES (info); p++) {
    guint k = p; /* the planes of all formats here start with component p */

    offset[p] = size;
    stride[p] = GST_VIDEO_INFO_PLANE_STRIDE (info, p) + PADDING;
    size += (gsize) stride[p] * GST_VIDEO_INFO_COMP_HEIGHT (info, k);
  }
  buffer = gst_buffer_new_allocate (NULL, size, NULL);
  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (gsize i = 0; i < size; i++)
    map.data[i] = (guint8) (60 + i * 7 % 90);
  if (GST_VIDEO_INFO_COMP_DEPTH (info, 0) > 8)
    for (gsize i = 0; i + 1 < size; i += 2)
      GST_WRITE_UINT16_LE (
          map.data + i, (200 + i * 7 % 600) << info->finfo->shift[0]);
  gst_buffer_unmap (buffer, &map);
  gst_buffer_add_video_meta_full (buffer, GST_VIDEO_FRAME_FLAG_NONE,
      GST_VIDEO_INFO_FORMAT (info), info->width, info->height,
      GST_VIDEO_INFO_N_PLANES (info), offset, stride);
  return buffer;
}

static void
attach (GstBuffer *buffer, guint w, guint h, gfloat x, gfloat y, gfloat bw,
    gfloat bh, const gchar *label, const gchar *action)
{
  QfuseDetection d = { x, y, bw, bh, 0.93f, 0, 0, 0, -1, 0, NULL };
  GstQfFound found;

  gst_qf_found_init (&found);
  found.width = w;
  found.height = h;
  if (label) {
    d.label = g_quark_from_string (label);
    gst_qf_detections_array_append (found.detections, &d, 1);
  }
  if (action) {
    found.action = g_quark_from_string (action);
    found.action_id = 0;
    found.action_score = 0.5f;
  }
  gst_qf_found_attach (buffer, &found);
  gst_qf_found_clear (&found);
}

static gint
sample (const GstVideoFrame *f, guint k, gint x, gint y)
{
  const GstVideoFormatInfo *fi = f->info.finfo;
  const guint8 *p = (const guint8 *) GST_VIDEO_FRAME_COMP_DATA (f, k) +
      y * GST_VIDEO_FRAME_COMP_STRIDE (f, k) +
      x * GST_VIDEO_FRAME_COMP_PSTRIDE (f, k);

  if (GST_VIDEO_FORMAT_INFO_DEPTH (fi, k) <= 8)
    return *p;
  p += GST_VIDEO_FORMAT_INFO_POFFSET (fi, k) & 1; /* P010's V in 1.22 */
  return GST_READ_UINT16_LE (p) >> GST_VIDEO_FORMAT_INFO_SHIFT (fi, k);
}

/* What GStreamer's own converter makes of the colour. */
static void
converted_colour (const GstVideoInfo *info, gint value[4])
{
  GstVideoInfo from, to;
  GstBuffer *in, *out;
  GstVideoFrame a, b;
  GstVideoConverter *convert;

  gst_video_info_set_format (&from, GST_VIDEO_FORMAT_RGB, 8, 8);
  gst_video_info_set_format (&to, GST_VIDEO_INFO_FORMAT (info), 8, 8);
  to.colorimetry = info->colorimetry;
  in = gst_buffer_new_allocate (NULL, from.size, NULL);
  out = gst_buffer_new_allocate (NULL, to.size, NULL);
  fail_unless (gst_video_frame_map (&a, &from, in, GST_MAP_WRITE));
  for (gint y = 0; y < 8; y++)
    for (gint x = 0; x < 8; x++)
      memcpy ((guint8 *) GST_VIDEO_FRAME_PLANE_DATA (&a, 0) +
              y * GST_VIDEO_FRAME_PLANE_STRIDE (&a, 0) + 3 * x,
          colour, 3);
  fail_unless (gst_video_frame_map (&b, &to, out, GST_MAP_WRITE));
  convert = gst_video_converter_new (&from, &to,
      gst_structure_new ("options", GST_VIDEO_CONVERTER_OPT_DITHER_METHOD,
          GST_TYPE_VIDEO_DITHER_METHOD, GST_VIDEO_DITHER_NONE, NULL));
  gst_video_converter_frame (convert, &a, &b);
  for (guint k = 0; k < GST_VIDEO_INFO_N_COMPONENTS (&to); k++)
    value[k] = sample (&b, k, 1, 1);
  gst_video_converter_free (convert);
  gst_video_frame_unmap (&a);
  gst_video_frame_unmap (&b);
  gst_buffer_unref (in);
  gst_buffer_unref (out);
}

/* Share of a sample's pixels, 0 … 1, that lie on the outline of the box. */
static gdouble
outline_share (const GstVideoInfo *info, guint k, gint x, gint y,
    const gint box[4], gint line)
{
  gint sx = GST_VIDEO_FORMAT_INFO_W_SUB (info->finfo, k);
  gint sy = GST_VIDEO_FORMAT_INFO_H_SUB (info->finfo, k);
  gint n = 0, on = 0;

  for (gint v = y << sy; v < MIN ((y + 1) << sy, info->height); v++)
    for (gint u = x << sx; u < MIN ((x + 1) << sx, info->width); u++, n++)
      on += u >= box[0] && u < box[2] && v >= box[1] && v < box[3] &&
          (u < box[0] + line || u >= box[2] - line || v < box[1] + line ||
              v >= box[3] - line);
  return (gdouble) on / n;
}

static void
check_outline (const GstVideoInfo *info, GstBuffer *before, GstBuffer *after,
    const gint box[4], gint line)
{
  GstVideoFrame a, b;
  gint value[4];

  converted_colour (info, value);
  fail_unless (gst_video_frame_map (&a, info, before, GST_MAP_READ));
  fail_unless (gst_video_frame_map (&b, info, after, GST_MAP_READ));
  for (guint k = 0; k < GST_VIDEO_INFO_N_COMPONENTS (info); k++)
    for (gint y = 0; y < GST_VIDEO_INFO_COMP_HEIGHT (info, k); y++)
      for (gint x = 0; x < GST_VIDEO_INFO_COMP_WIDTH (info, k); x++) {
        gint was = sample (&a, k, x, y), is = sample (&b, k, x, y);
        gint deep = GST_VIDEO_INFO_COMP_DEPTH (info, k) > 8 ? 4 : 1;
        gdouble share = outline_share (info, k, x, y, box, line);

        /* a check for each sample would be slow: Check notes every one */
        if (share == 0 ? is != was
                       : fabs (was + share * (value[k] - was) - is) > 2 * deep)
          fail ("%s: component %u at %d,%d is %d, should be near %g",
              info->finfo->name, k, x, y, is, was + share * (value[k] - was));
      }
  gst_video_frame_unmap (&a);
  gst_video_frame_unmap (&b);
}

/* Boxes alone: the outline on the box's own pixels, every other byte as it was,
 * in every format, with odd sizes and padded rows. */
GST_START_TEST (test_outline)
{
  static const gint sizes[][2] = { { 101, 75 }, { 64, 48 } };
  gint n = __i__ / 2;
  gint w = sizes[__i__ % 2][0], h = sizes[__i__ % 2][1];
  g_autofree gchar *caps = caps_string (formats[n], w, h);
  /* 10.4 → 10, 7.6 → 8, right 10.4+40.2 → 51, bottom 7.6+31.4 → 39 */
  static const gint box[4] = { 10, 8, 51, 39 };
  GstHarness *hs = gst_harness_new_parse (
      "qfuseoverlay show-labels=false show-scores=false line-width=3");
  GstBuffer *before, *in, *out;
  GstVideoInfo info;
  GstMapInfo m, m2;

  info_from_string (&info, caps);
  gst_harness_set_src_caps_str (hs, caps);
  before = padded_buffer (&info);
  in = gst_buffer_copy_deep (before);
  attach (in, w, h, 10.4f, 7.6f, 40.2f, 31.4f, "person", NULL);
  out = gst_harness_push_and_pull (hs, in);
  check_outline (&info, before, out, box, 3);

  /* the padding of each row, and one byte more than a row */
  gst_buffer_map (before, &m, GST_MAP_READ);
  gst_buffer_map (out, &m2, GST_MAP_READ);
  for (gint y = 0; y < h; y++) {
    gsize at = (gsize) y * (GST_VIDEO_INFO_PLANE_STRIDE (&info, 0) + PADDING) +
        GST_VIDEO_INFO_PLANE_STRIDE (&info, 0);
    fail_unless (memcmp (m.data + at, m2.data + at, PADDING) == 0);
  }
  gst_buffer_unmap (before, &m);
  gst_buffer_unmap (out, &m2);
  gst_buffer_unref (before);
  gst_buffer_unref (out);
  gst_harness_teardown (hs);
}
GST_END_TEST;

/* A box on the last, odd row and column, and boxes that stand out. */
GST_START_TEST (test_edges)
{
  g_autofree gchar *caps = caps_string (formats[__i__], 33, 31);
  static const struct
  {
    gfloat x, y, w, h;
    gint box[4], line;
  } c[] = {
    { 0, 0, 33, 31, { 0, 0, 33, 31 }, 2 },
    { 32, 30, 1, 1, { 32, 30, 33, 31 }, 2 },
    { 20, 10, 3, 15, { 20, 10, 23, 25 }, 2 },
    { -10, -10, 20, 20, { -10, -10, 10, 10 }, 2 },
    { 25, 20, 1e9f, 1e9f, { 25, 20, 1000, 1000 }, 2 },
    { NAN, 4, 5, 5, { 0, 0, 0, 0 }, 2 },
    { 4, 4, -3, 8, { 0, 0, 0, 0 }, 2 },
    { 500, 4, 3, 8, { 0, 0, 0, 0 }, 2 },
  };
  GstHarness *hs = gst_harness_new_parse (
      "qfuseoverlay show-labels=false show-scores=false line-width=2");
  GstVideoInfo info;

  info_from_string (&info, caps);
  gst_harness_set_src_caps_str (hs, caps);
  for (guint i = 0; i < G_N_ELEMENTS (c); i++) {
    GstBuffer *before = padded_buffer (&info), *out;
    GstBuffer *in = gst_buffer_copy_deep (before);

    attach (in, 33, 31, c[i].x, c[i].y, c[i].w, c[i].h, "person", NULL);
    out = gst_harness_push_and_pull (hs, in);
    check_outline (&info, before, out, c[i].box, c[i].line);
    gst_buffer_unref (before);
    gst_buffer_unref (out);
  }
  gst_harness_teardown (hs);
}
GST_END_TEST;

static guint8
grey_at (const GstMapInfo *m, gint stride, gint x, gint y)
{
  return m->data[y * stride + x];
}

/* The mean of the mask over a sample's pixels, 0 … 1. */
static gdouble
mask_share (const GstVideoInfo *info, guint k, gint x, gint y,
    const guint8 *mask, gint mw, gint mh, gint mx, gint my)
{
  gint sx = GST_VIDEO_FORMAT_INFO_W_SUB (info->finfo, k);
  gint sy = GST_VIDEO_FORMAT_INFO_H_SUB (info->finfo, k);
  gint n = 0, sum = 0;

  for (gint v = y << sy; v < MIN ((y + 1) << sy, info->height); v++)
    for (gint u = x << sx; u < MIN ((x + 1) << sx, info->width); u++, n++)
      if (u >= mx && u < mx + mw && v >= my && v < my + mh)
        sum += mask[(v - my) * mw + u - mx];
  return sum / (255.0 * n);
}

/* A mask of any kind at any place, also standing out, against the plain mean.
 */
GST_START_TEST (test_mask)
{
  enum
  {
    W = 33,
    H = 21,
    MW = 19,
    MH = 15
  };
  static const gint places[][2] = { { 4, 4 }, { 5, 4 }, { 4, 5 }, { 7, 3 },
    { -3, -5 }, { 20, 12 }, { 40, 40 } };
  const GstQfColour c = { colour[0], colour[1], colour[2] };
  g_autofree gchar *caps = caps_string (formats[__i__], W, H);
  guint8 mask[MH * MW];
  GstVideoInfo info;
  gint value[4];

  info_from_string (&info, caps);
  converted_colour (&info, value);
  for (guint i = 0; i < sizeof (mask); i++)
    mask[i] = i % 5 == 0 ? 0 : i % 7 == 0 ? 255 : (guint8) (i * 37);
  for (guint i = 0; i < G_N_ELEMENTS (places); i++) {
    GstBuffer *before = padded_buffer (&info);
    GstBuffer *after = gst_buffer_copy_deep (before);
    GstVideoFrame a, b;
    GstQfCanvas canvas;

    fail_unless (gst_video_frame_map (&a, &info, before, GST_MAP_READ));
    fail_unless (gst_video_frame_map (&b, &info, after, GST_MAP_READWRITE));
    gst_qf_canvas_init (&canvas, &b, NULL);
    gst_qf_paint_mask (
        &canvas, c, NULL, mask, MW, places[i][0], places[i][1], MW, MH);
    for (guint k = 0; k < GST_VIDEO_INFO_N_COMPONENTS (&info); k++)
      for (gint y = 0; y < GST_VIDEO_INFO_COMP_HEIGHT (&info, k); y++)
        for (gint x = 0; x < GST_VIDEO_INFO_COMP_WIDTH (&info, k); x++) {
          gint was = sample (&a, k, x, y), is = sample (&b, k, x, y);
          gint deep = GST_VIDEO_INFO_COMP_DEPTH (&info, k) > 8 ? 4 : 1;
          gdouble share = mask_share (
              &info, k, x, y, mask, MW, MH, places[i][0], places[i][1]);

          if (share == 0
                  ? is != was
                  : fabs (was + share * (value[k] - was) - is) > 2 * deep)
            fail ("%s: component %u at %d,%d is %d, was %d, share %g",
                info.finfo->name, k, x, y, is, was, share);
        }
    gst_video_frame_unmap (&a);
    gst_video_frame_unmap (&b);
    gst_buffer_unref (before);
    gst_buffer_unref (after);
  }
}
GST_END_TEST;

static gboolean
same_bytes (GstBuffer *a, GstBuffer *b)
{
  GstMapInfo m;
  gboolean same;

  fail_unless (gst_buffer_map (a, &m, GST_MAP_READ));
  same = gst_buffer_get_size (b) == m.size &&
      gst_buffer_memcmp (b, 0, m.data, m.size) == 0;
  gst_buffer_unmap (a, &m);
  return same;
}

/* On a ground that is known: the same bytes. */
GST_START_TEST (test_mask_on_ground)
{
  enum
  {
    W = 33,
    H = 21,
    MW = 19,
    MH = 15
  };
  static const gint places[][2] = { { 4, 4 }, { 5, 4 }, { 4, 5 }, { 7, 3 },
    { -3, -5 }, { 20, 12 }, { 40, 40 } };
  const GstQfColour c = { colour[0], colour[1], colour[2] };
  const GstQfColour ground = { 250, 20, 90 };
  g_autofree gchar *caps = caps_string (formats[__i__], W, H);
  guint8 mask[MH * MW];
  GstVideoInfo info;

  info_from_string (&info, caps);
  for (guint i = 0; i < sizeof (mask); i++)
    mask[i] = i % 5 == 0 ? 0 : i % 7 == 0 ? 255 : (guint8) (i * 37);
  for (guint i = 0; i < G_N_ELEMENTS (places); i++) {
    GstBuffer *plain = padded_buffer (&info);
    GstBuffer *fast = gst_buffer_copy_deep (plain);

    for (gint j = 0; j < 2; j++) {
      gint x = places[i][0], y = places[i][1];
      GstVideoFrame f;
      GstQfCanvas canvas;

      fail_unless (
          gst_video_frame_map (&f, &info, j ? fast : plain, GST_MAP_READWRITE));
      gst_qf_canvas_init (&canvas, &f, NULL);
      gst_qf_paint_rect (&canvas, ground, x, y, MW, MH);
      gst_qf_paint_mask (
          &canvas, c, j ? &ground : NULL, mask, MW, x, y, MW, MH);
      gst_video_frame_unmap (&f);
    }
    fail_unless (same_bytes (plain, fast), "%s, place %u", formats[__i__], i);
    gst_buffer_unref (plain);
    gst_buffer_unref (fast);
  }
}
GST_END_TEST;

/* Text stands on a ground of the class's colour above the box, is to be told
 * from it, and is painted again from the cache. */
GST_START_TEST (test_label)
{
  GstHarness *hs = gst_harness_new_parse ("qfuseoverlay line-width=1");
  g_autofree gchar *caps = caps_string ("GRAY8", 320, 240);
  GstVideoInfo info;
  GstBuffer *out[2];
  GstMapInfo m, m2;
  gint ground = 0, ink = 0, other = 0;
  guint8 value;

  info_from_string (&info, caps);
  gst_harness_set_src_caps_str (hs, caps);
  for (gint i = 0; i < 2; i++) {
    GstBuffer *in = gst_buffer_new_allocate (NULL, info.size, NULL);

    gst_buffer_memset (in, 0, 40, info.size);
    attach (in, 320, 240, 100, 120, 60, 80, "person", NULL);
    out[i] = gst_harness_push_and_pull (hs, in);
  }
  gst_buffer_map (out[0], &m, GST_MAP_READ);
  gst_buffer_map (out[1], &m2, GST_MAP_READ);
  fail_unless (memcmp (m.data, m2.data, m.size) == 0);
  value = grey_at (&m, 320, 100, 150); /* the line */
  fail_unless (value > 120);
  for (gint y = 0; y < 240; y++)
    for (gint x = 0; x < 320; x++) {
      gint v = grey_at (&m, 320, x, y);
      gboolean label = y >= 90 && y < 120 && x >= 100 && x < 220;
      gboolean box = y >= 120 && y < 200 && x >= 100 && x < 160;

      ground += label && v == value;
      ink += label && abs (v - value) > 80 && v != 40;
      other += !label && !box && v != 40;
    }
  fail_unless (ground > 400, "%d pixels of ground", ground);
  fail_unless (ink > 60, "%d pixels of ink", ink);
  fail_unless_equals_int (other, 0);
  gst_buffer_unmap (out[0], &m);
  gst_buffer_unmap (out[1], &m2);
  gst_buffer_unref (out[0]);
  gst_buffer_unref (out[1]);
  gst_harness_teardown (hs);
}
GST_END_TEST;

static gint
changed (GstBuffer *b, guint8 value, gint x0, gint y0, gint x1, gint y1)
{
  GstMapInfo m;
  gint n = 0;

  gst_buffer_map (b, &m, GST_MAP_READ);
  for (gint y = y0; y < y1; y++)
    for (gint x = x0; x < x1; x++)
      n += m.data[y * 320 + x] != value;
  gst_buffer_unmap (b, &m);
  return n;
}

/* Each switch does what it says, while playing. */
GST_START_TEST (test_switches)
{
  GstHarness *hs = gst_harness_new ("qfuseoverlay");
  g_autofree gchar *caps = caps_string ("GRAY8", 320, 240);
  static const gchar *const names[] = { "show-boxes", "show-labels",
    "show-scores", "show-actions", "show-truth" };

  gst_harness_set_src_caps_str (hs, caps);
  for (gint bits = 0; bits < 32; bits++) {
    GstBuffer *b = gst_buffer_new_allocate (NULL, 320 * 240, NULL);
    QfuseTruthMeta *truth;
    QfuseDetection d = { 20, 150, 30, 40, 1, 0, 0, 0, -1, 0, NULL };

    for (gint i = 0; i < 5; i++)
      g_object_set (hs->element, names[i], bits >> i & 1, NULL);
    gst_buffer_memset (b, 0, 40, 320 * 240);
    attach (b, 320, 240, 100, 120, 60, 80, "person", "fall");
    truth = gst_buffer_add_qfuse_truth (b, 320, 240);
    g_array_append_val (truth->boxes, d);
    b = gst_harness_push_and_pull (hs, b);

    fail_unless_equals_int (changed (b, 40, 100, 130, 160, 200) > 0, bits & 1);
    fail_unless_equals_int (
        changed (b, 40, 100, 100, 240, 119) > 0, (bits & 6) != 0);
    fail_unless_equals_int (changed (b, 40, 0, 0, 90, 60) > 0, (bits & 8) != 0);
    fail_unless_equals_int (
        changed (b, 40, 20, 150, 50, 190) > 0, (bits & 16) != 0);
    gst_buffer_unref (b);
  }
  gst_harness_teardown (hs);
}
GST_END_TEST;

/* Key points: squares of the box's colour, also outside of the box; the unsure
 * and those beside the picture are left out, and all of them on request. */
GST_START_TEST (test_points)
{
  for (gint shown = 0; shown < 2; shown++) {
    g_autofree gchar *launch =
        g_strdup_printf ("qfuseoverlay show-boxes=false show-labels=false "
                         "show-scores=false line-width=2 show-points=%d",
            shown);
    GstHarness *hs = gst_harness_new_parse (launch);
    g_autofree gchar *caps = caps_string ("GRAY8", 320, 240);
    GstBuffer *b = gst_buffer_new_allocate (NULL, 320 * 240, NULL);
    QfuseKeyPoint points[] = { { 110.5f, 130, 0.9f }, { 40, 50, 0.3f },
      { 200, 200, 0.29f }, { -1, 10, 1 }, { 10, 240, 1 } };
    QfuseDetection d = { 100, 120, 60, 80, 0.5f, 0, 0, 0, -1, 5, points };
    GstQfFound found;

    gst_harness_set_src_caps_str (hs, caps);
    gst_buffer_memset (b, 0, 40, 320 * 240);
    gst_qf_found_init (&found);
    found.width = 320;
    found.height = 240;
    gst_qf_detections_array_append (found.detections, &d, 1);
    gst_qf_found_attach (b, &found);
    gst_qf_found_clear (&found);
    b = gst_harness_push_and_pull (hs, b);
    fail_unless_equals_int (
        changed (b, 40, 108, 128, 113, 133), shown ? 25 : 0);
    fail_unless_equals_int (changed (b, 40, 38, 48, 43, 53), shown ? 25 : 0);
    fail_unless_equals_int (changed (b, 40, 0, 0, 320, 240), shown ? 50 : 0);
    gst_buffer_unref (b);
    gst_harness_teardown (hs);
  }
}
GST_END_TEST;

/* Those of small boxes are small: 3 pixels of 31, 1 of 15. */
GST_START_TEST (test_small_points)
{
  for (gint size = 15; size < 32; size += 16) {
    GstHarness *hs = gst_harness_new_parse (
        "qfuseoverlay show-boxes=false show-labels=false show-scores=false "
        "line-width=2");
    g_autofree gchar *caps = caps_string ("GRAY8", 320, 240);
    GstBuffer *b = gst_buffer_new_allocate (NULL, 320 * 240, NULL);
    QfuseKeyPoint point = { 110, 130, 0.9f };
    QfuseDetection d = { 100, 120, (gfloat) size, 80, 0.5f, 0, 0, 0, -1, 1,
      &point };
    GstQfFound found;
    gint side = size == 15 ? 1 : 3;

    gst_harness_set_src_caps_str (hs, caps);
    gst_buffer_memset (b, 0, 40, 320 * 240);
    gst_qf_found_init (&found);
    found.width = 320;
    found.height = 240;
    gst_qf_detections_array_append (found.detections, &d, 1);
    gst_qf_found_attach (b, &found);
    gst_qf_found_clear (&found);
    b = gst_harness_push_and_pull (hs, b);
    fail_unless_equals_int (changed (b, 40, 109, 129, 112, 132), side * side);
    fail_unless_equals_int (changed (b, 40, 0, 0, 320, 240), side * side);
    gst_buffer_unref (b);
    gst_harness_teardown (hs);
  }
}
GST_END_TEST;

/* A region that someone marked has no score to be shown. */
GST_START_TEST (test_score_of_one)
{
  for (gint marked = 0; marked < 2; marked++) {
    GstHarness *hs = gst_harness_new_parse (
        "qfuseoverlay show-boxes=false show-labels=false");
    g_autofree gchar *caps = caps_string ("GRAY8", 320, 240);
    GstBuffer *b = gst_buffer_new_allocate (NULL, 320 * 240, NULL);
    QfuseDetection d = { 100, 120, 60, 80, marked ? 1 : 0.93f, 0, 0, 0, -1, 0,
      NULL };
    GstQfFound found;

    gst_harness_set_src_caps_str (hs, caps);
    gst_buffer_memset (b, 0, 40, 320 * 240);
    gst_qf_found_init (&found);
    found.width = 320;
    found.height = 240;
    d.label = g_quark_from_static_string ("motion");
    gst_qf_detections_array_append (found.detections, &d, 1);
    gst_qf_found_attach (b, &found);
    gst_qf_found_clear (&found);
    b = gst_harness_push_and_pull (hs, b);
    fail_unless_equals_int (changed (b, 40, 0, 0, 320, 240) == 0, marked);
    gst_buffer_unref (b);
    gst_harness_teardown (hs);
  }
}
GST_END_TEST;

/* Another frame size's boxes are not drawn; a frame without boxes keeps its
 * memory even where others hold it; drawing never writes to theirs. */
GST_START_TEST (test_sharing)
{
  GstHarness *hs = gst_harness_new ("qfuseoverlay");
  g_autofree gchar *caps = caps_string ("GRAY8", 320, 240);
  GstBuffer *held, *out;

  gst_harness_set_src_caps_str (hs, caps);
  held = gst_buffer_new_allocate (NULL, 320 * 240, NULL);
  gst_buffer_memset (held, 0, 40, 320 * 240);

  out = gst_harness_push_and_pull (hs, gst_buffer_ref (held));
  fail_unless (
      gst_buffer_peek_memory (out, 0) == gst_buffer_peek_memory (held, 0));
  gst_buffer_unref (out);

  out = gst_buffer_copy (held);
  attach (out, 640, 480, 10, 10, 60, 60, "person", NULL);
  gst_buffer_remove_all_memory (out);
  gst_buffer_append_memory (
      out, gst_memory_ref (gst_buffer_peek_memory (held, 0)));
  out = gst_harness_push_and_pull (hs, out);
  fail_unless_equals_int (changed (held, 40, 0, 0, 320, 240), 0);
  gst_buffer_unref (out);

  attach (held, 320, 240, 10, 30, 60, 60, "person", NULL);
  out = gst_harness_push_and_pull (hs, gst_buffer_ref (held));
  fail_unless (changed (out, 40, 0, 0, 320, 240) > 0);
  fail_unless_equals_int (changed (held, 40, 0, 0, 320, 240), 0);
  gst_buffer_unref (out);
  gst_buffer_unref (held);
  gst_harness_teardown (hs);
}
GST_END_TEST;

/* A frame that someone else holds, with a box at @x; drawn. */
static GstBuffer *
draw_on_held (GstHarness *hs, GstBuffer *held, gint width, gint x)
{
  GstBuffer *in = gst_buffer_copy (held);

  attach (in, (guint) width, 240, (gfloat) x, 30, 60, 60, "person", NULL);
  return gst_harness_push_and_pull (hs, in);
}

static gconstpointer
memory_of (GstBuffer *buffer)
{
  gconstpointer data;
  GstMapInfo map;

  fail_unless (gst_buffer_map (buffer, &map, GST_MAP_READ));
  data = map.data;
  gst_buffer_unmap (buffer, &map);
  return data;
}

/* Copies of frames that others hold lie in memory that is used again, when
 * nobody has it any more; it outlives the element where somebody has. */
GST_START_TEST (test_copies)
{
  GstHarness *hs = gst_harness_new_parse (
      "qfuseoverlay show-labels=false show-scores=false line-width=2");
  g_autofree gchar *caps = caps_string ("GRAY8", 320, 240);
  g_autofree gchar *wide = caps_string ("GRAY8", 640, 240);
  GstBuffer *held = gst_buffer_new_allocate (NULL, 320 * 240, NULL), *a, *b;
  gconstpointer first;

  gst_harness_set_src_caps_str (hs, caps);
  gst_buffer_memset (held, 0, 40, 320 * 240);
  a = draw_on_held (hs, held, 320, 10);
  b = draw_on_held (hs, held, 320, 200);
  fail_unless_equals_int (changed (held, 40, 0, 0, 320, 240), 0);
  fail_unless (changed (a, 40, 10, 30, 70, 90) > 0);
  fail_unless_equals_int (changed (a, 40, 200, 30, 260, 90), 0);
  fail_unless_equals_int (changed (b, 40, 10, 30, 70, 90), 0);
  fail_unless (changed (b, 40, 200, 30, 260, 90) > 0);

  first = memory_of (a);
  fail_unless (first != memory_of (b));
  gst_buffer_unref (a);
  a = draw_on_held (hs, held, 320, 100);
  fail_unless (memory_of (a) == first);
  fail_unless_equals_int (changed (a, 40, 10, 30, 70, 90), 0);
  gst_buffer_unref (a);
  gst_buffer_unref (held);

  held = gst_buffer_new_allocate (NULL, 640 * 240, NULL);
  gst_buffer_memset (held, 0, 40, 640 * 240);
  gst_harness_set_src_caps_str (hs, wide);
  a = draw_on_held (hs, held, 640, 10);
  fail_unless_equals_int ((gint) gst_buffer_get_size (a), 640 * 240);
  gst_harness_teardown (hs);
  fail_unless (changed (b, 40, 200, 30, 260, 90) > 0);
  gst_buffer_unref (a);
  gst_buffer_unref (b);
  gst_buffer_unref (held);
}
GST_END_TEST;

/* Boxes are in pixels of the visible picture. */
GST_START_TEST (test_crop)
{
  GstHarness *hs = gst_harness_new_parse (
      "qfuseoverlay show-labels=false show-scores=false line-width=1");
  g_autofree gchar *caps = caps_string ("I420", 100, 80);
  static const gint box[4] = { 17 + 5, 11 + 6, 17 + 25, 11 + 36 };
  GstBuffer *before, *in, *out;
  GstVideoCropMeta *crop;
  GstVideoInfo full;

  gst_video_info_set_format (&full, GST_VIDEO_FORMAT_I420, 160, 120);
  gst_harness_set_src_caps_str (hs, caps);
  before = padded_buffer (&full);
  in = gst_buffer_copy_deep (before);
  crop = gst_buffer_add_video_crop_meta (in);
  crop->x = 17;
  crop->y = 11;
  crop->width = 100;
  crop->height = 80;
  attach (in, 100, 80, 5, 6, 20, 30, "person", NULL);
  out = gst_harness_push_and_pull (hs, in);
  check_outline (&full, before, out, box, 1);
  gst_buffer_unref (before);
  gst_buffer_unref (out);
  gst_harness_teardown (hs);
}
GST_END_TEST;

static Suite *
qfuseoverlay_suite (void)
{
  Suite *s = suite_create ("qfuseoverlay");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_loop_test (tc, test_outline, 0, 2 * G_N_ELEMENTS (formats));
  tcase_add_loop_test (tc, test_edges, 0, G_N_ELEMENTS (formats));
  tcase_add_loop_test (tc, test_mask, 0, G_N_ELEMENTS (formats));
  tcase_add_loop_test (tc, test_mask_on_ground, 0, G_N_ELEMENTS (formats));
  tcase_add_test (tc, test_label);
  tcase_add_test (tc, test_switches);
  tcase_add_test (tc, test_points);
  tcase_add_test (tc, test_small_points);
  tcase_add_test (tc, test_score_of_one);
  tcase_add_test (tc, test_sharing);
  tcase_add_test (tc, test_copies);
  tcase_add_test (tc, test_crop);
  return s;
}

GST_CHECK_MAIN (qfuseoverlay);
