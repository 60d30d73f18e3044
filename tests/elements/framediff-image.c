/* GStreamer qfuse: tests: difference pictures in every format, sample by
 * sample. SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The expected samples are computed here, plainly, from what went in. */
#include "gstframediff-image.h"
#include "testframes.h"

/* Luma of a pixel as it counts: the sample, or (V1) of RGB. */
static gint
luma_at (GstVideoFrame *f, gint x, gint y)
{
  if (!GST_VIDEO_INFO_IS_RGB (&f->info))
    return (gint) test_sample (f, 0, x, y);
  return (gint) ((8414 * test_sample (f, 0, x, y) +
                     16520 * test_sample (f, 1, x, y) +
                     3208 * test_sample (f, 2, x, y) + 16384) /
             32768) +
      16;
}

static gint
expected (
    const GstVideoInfo *info, gint now, gint then, gboolean absolute, gint gain)
{
  gint bits = GST_VIDEO_INFO_COMP_DEPTH (info, 0), extra = bits - 8;
  gint most = (1 << bits) - 1, half = 1 << (bits - 1);
  gboolean full = GST_VIDEO_INFO_IS_RGB (info) ||
      info->colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
  gint v;

  if (!absolute) {
    v = CLAMP (half + gain * (now - then) / 2, 0, most);
    return full ? v : CLAMP (v, 16 << extra, 235 << extra);
  }
  v = MIN (gain * ABS (now - then), most);
  if (full)
    return v;
  return (16 << extra) +
      (gint) ((2 * (gint64) v * (bits == 8 ? 56284 : 56119) + 65536) / 131072);
}

/* As test_frame(), with detail in the low bits where there are more than 8, and
 * alpha that tells its place. */
static GstBuffer *
draw (const GstVideoInfo *info, gint n)
{
  GstBuffer *buffer = test_frame (info, n);
  GstVideoFrame f;

  fail_unless (gst_video_frame_map (&f, info, buffer, GST_MAP_READWRITE));
  for (gint y = 0; y < info->height; y++)
    for (gint x = 0; x < info->width; x++) {
      guint8 *p = (guint8 *) f.data[0] + y * f.info.stride[0];

      if (GST_VIDEO_INFO_COMP_DEPTH (info, 0) > 8)
        GST_WRITE_UINT16_LE (p + 2 * x,
            ((test_sample (&f, 0, x, y) & ~3u) | ((guint) (x * n + y) & 3))
                << GST_VIDEO_FORMAT_INFO_SHIFT (info->finfo, 0));
      if (GST_VIDEO_INFO_HAS_ALPHA (info))
        p[4 * x + GST_VIDEO_FORMAT_INFO_POFFSET (info->finfo, 3)] =
            (guint8) (3 * x + 5 * y);
    }
  gst_video_frame_unmap (&f);
  return test_stamp (buffer, (guint) n);
}

/* What lies outside of the picture must stay. */
static void
check_outside (
    GstVideoFrame *before, GstVideoFrame *after, const GstVideoCropMeta *crop)
{
  gint wrong = 0;

  for (gint y = 0; y < GST_VIDEO_FRAME_HEIGHT (after); y++)
    for (gint x = 0; x < GST_VIDEO_FRAME_WIDTH (after); x++) {
      if (crop && x >= (gint) crop->x && y >= (gint) crop->y &&
          x < (gint) (crop->x + crop->width) &&
          y < (gint) (crop->y + crop->height))
        continue;
      wrong +=
          crop && test_sample (before, 0, x, y) != test_sample (after, 0, x, y);
    }
  fail_unless_equals_int (wrong, 0);
}

static void
check_picture (const GstVideoInfo *info, GstBuffer *then, GstBuffer *now,
    GstBuffer *out, gboolean absolute, gint gain)
{
  GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta (out);
  gint x0 = crop ? (gint) crop->x : 0, y0 = crop ? (gint) crop->y : 0;
  gboolean rgb = GST_VIDEO_INFO_IS_RGB (info);
  GstVideoFrame a, b, o;

  fail_unless (gst_video_frame_map (&a, info, then, GST_MAP_READ));
  fail_unless (gst_video_frame_map (&b, info, now, GST_MAP_READ));
  fail_unless (gst_video_frame_map (&o, info, out, GST_MAP_READ));
  for (gint y = 0; y < info->height; y++)
    for (gint x = 0; x < info->width; x++) {
      gint fx = x + x0, fy = y + y0;
      gint e = expected (
          info, luma_at (&b, fx, fy), luma_at (&a, fx, fy), absolute, gain);

      for (guint c = 0; c < (rgb ? 3u : 1u); c++)
        fail_unless ((gint) test_sample (&o, c, fx, fy) == e,
            "%s %dx%d (%d, %d): %u, expected %d", GST_VIDEO_INFO_NAME (info),
            info->width, info->height, x, y, test_sample (&o, c, fx, fy), e);
      if (GST_VIDEO_INFO_HAS_ALPHA (info))
        fail_unless_equals_int (
            test_sample (&o, 3, fx, fy), test_sample (&b, 3, fx, fy));
    }
  for (guint c = 1; !rgb && c < GST_VIDEO_FRAME_N_COMPONENTS (&o); c++)
    for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (&o, c); y++)
      for (gint x = 0; x < GST_VIDEO_FRAME_COMP_WIDTH (&o, c); x++)
        fail_unless_equals_int (test_sample (&o, c, x, y),
            1 << (GST_VIDEO_FRAME_COMP_DEPTH (&o, c) - 1));
  check_outside (&b, &o, crop);
  gst_video_frame_unmap (&a);
  gst_video_frame_unmap (&b);
  gst_video_frame_unmap (&o);
}

typedef enum
{
  TIGHT,
  PADDED,
  ODD_PADDED,
  CROPPED
} Layout;

static GstBuffer *
lay_out (const GstVideoInfo *info, GstBuffer *frame, Layout layout)
{
  switch (layout) {
    case PADDED:
      return test_frame_padded (info, frame, 24, 16);
    case ODD_PADDED: /* nothing is aligned, but 16 bits to 2 */
      return GST_VIDEO_INFO_COMP_DEPTH (info, 0) > 8
          ? test_frame_padded (info, frame, 14, 6)
          : test_frame_padded (info, frame, 13, 7);
    case CROPPED:
      return test_frame_cropped (info, frame, 6, 4);
    default:
      return frame;
  }
}

/* Every mode on one stream; new caps begin anew. */
static void
check_stream (GstHarness *h, const GstCaps *caps, Layout layout)
{
  static const gint modes[][2] = { { 0, 1 }, { 0, 1 }, { 1, 1 }, { 0, 3 },
    { 1, 8 } };
  GstElement *e = gst_harness_find_element (h, "framediff");
  GstBuffer *then = NULL;
  GstVideoInfo info;

  fail_unless (gst_video_info_from_caps (&info, caps));
  gst_harness_set_src_caps (h, gst_caps_copy (caps));
  for (gint n = 0; n < (gint) G_N_ELEMENTS (modes); n++) {
    GstBuffer *now = lay_out (&info, draw (&info, n), layout), *out;

    g_object_set (e, "mode", modes[n][0], "gain", modes[n][1], NULL);
    out = gst_harness_push_and_pull (h, gst_buffer_copy_deep (now));
    fail_unless (out != NULL);
    check_picture (
        &info, then ? then : now, now, out, modes[n][0], modes[n][1]);
    gst_buffer_unref (out);
    gst_clear_buffer (&then);
    then = now;
  }
  gst_clear_buffer (&then);
  gst_object_unref (e);
}

static void
check_sizes (const gint sizes[][2], guint n, Layout layout)
{
  for (guint f = 0; test_formats[f]; f++) {
    GstHarness *h = gst_harness_new_parse ("framediff");

    for (guint s = 0; s < n; s++) {
      GstCaps *caps = test_caps (test_formats[f], sizes[s][0], sizes[s][1]);

      check_stream (h, caps, layout);
      gst_caps_unref (caps);
    }
    gst_harness_teardown (h);
  }
}

GST_START_TEST (test_formats_and_sizes)
{
  static const gint sizes[][2] = { { 67, 45 }, { 1, 1 }, { 34, 8 }, { 1, 9 },
    { 19, 1 } };

  check_sizes (sizes, G_N_ELEMENTS (sizes), TIGHT);
}
GST_END_TEST;

/* In the odd layout nothing is aligned. */
GST_START_TEST (test_strides)
{
  static const gint sizes[][2] = { { 66, 22 }, { 37, 11 } };

  check_sizes (sizes, 2, PADDED);
  check_sizes (sizes, 2, ODD_PADDED);
}
GST_END_TEST;

GST_START_TEST (test_crop)
{
  static const gint sizes[][2] = { { 66, 22 }, { 35, 21 } };

  check_sizes (sizes, 2, CROPPED);
}
GST_END_TEST;

/* Full range uses all codes; video range keeps to its own. */
GST_START_TEST (test_ranges)
{
  static const gchar *const formats[] = { "I420", "NV12", "GRAY8", "YUY2",
    "I420_10LE", "P010_10LE" };
  static const gchar *const colorimetry[] = { "bt709", "1:4:0:0", "2:4:0:0" };

  for (guint f = 0; f < G_N_ELEMENTS (formats); f++)
    for (guint c = 0; c < G_N_ELEMENTS (colorimetry); c++) {
      GstHarness *h = gst_harness_new_parse ("framediff");
      GstCaps *caps = test_caps (formats[f], 34, 22);

      gst_caps_set_simple (
          caps, "colorimetry", G_TYPE_STRING, colorimetry[c], NULL);
      check_stream (h, caps, TIGHT);
      gst_caps_unref (caps);
      gst_harness_teardown (h);
    }
}
GST_END_TEST;

/* A step of one in 10 bits, a quarter of one in 8, is seen. */
GST_START_TEST (test_full_depth)
{
  for (guint k = 0; k < 2; k++) {
    GstCaps *caps = test_caps (k ? "P010_10LE" : "I420_10LE", 16, 8);
    GstHarness *h = gst_harness_new_parse ("framediff mode=absolute");
    GstVideoInfo info;
    GstVideoFrame f;

    fail_unless (gst_video_info_from_caps (&info, caps));
    gst_harness_set_src_caps (h, caps);
    for (guint n = 0; n < 2; n++) {
      GstBuffer *in = test_stamp (test_square (&info, 0, 0, 0), n), *out;

      fail_unless (gst_video_frame_map (&f, &info, in, GST_MAP_WRITE));
      GST_WRITE_UINT16_LE (f.data[0], (500 + n) << (k ? 6 : 0));
      gst_video_frame_unmap (&f);
      out = gst_harness_push_and_pull (h, in);
      fail_unless (gst_video_frame_map (&f, &info, out, GST_MAP_READ));
      fail_unless_equals_int (test_sample (&f, 0, 0, 0), 64 + n);
      fail_unless_equals_int (test_sample (&f, 0, 1, 0), 64);
      gst_video_frame_unmap (&f);
      gst_buffer_unref (out);
    }
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

/* Interlaced pictures are differenced line by line: fields, flags and caps go
 * on as they came. */
GST_START_TEST (test_interlaced)
{
  const guint flags =
      GST_VIDEO_BUFFER_FLAG_INTERLACED | GST_VIDEO_BUFFER_FLAG_TFF;
  GstCaps *caps = test_caps ("I420", 32, 16), *got;
  GstHarness *h = gst_harness_new_parse ("framediff");
  GstBuffer *in[2], *out;
  GstVideoInfo info;

  gst_caps_set_simple (caps, "interlace-mode", G_TYPE_STRING, "interleaved",
      "field-order", G_TYPE_STRING, "top-field-first", NULL);
  fail_unless (gst_video_info_from_caps (&info, caps));
  info.interlace_mode = GST_VIDEO_INTERLACE_MODE_PROGRESSIVE; /* to draw */
  gst_harness_set_src_caps (h, gst_caps_ref (caps));
  for (guint n = 0; n < 2; n++) {
    in[n] = draw (&info, (gint) n);
    GST_BUFFER_FLAG_SET (in[n], flags);
    out = gst_harness_push_and_pull (h, gst_buffer_copy_deep (in[n]));
    fail_unless (GST_BUFFER_FLAG_IS_SET (out, flags));
    check_picture (&info, in[0], in[n], out, FALSE, 1);
    gst_buffer_unref (out);
  }
  got = gst_pad_get_current_caps (h->sinkpad);
  fail_unless (gst_caps_is_equal (got, caps));
  gst_caps_unref (got);
  gst_caps_unref (caps);
  gst_buffer_unref (in[0]);
  gst_buffer_unref (in[1]);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* ---- pictures of a motion analysis ---- */

#define W 38
#define H 22

static gboolean
moves (gint x, gint y)
{
  return x >= 10 && x < 21 && y >= 4 && y < 15;
}

static void
fill_mask (guint8 *mask)
{
  for (gint y = 0; y < H; y++)
    for (gint x = 0; x < W; x++)
      mask[y * W + x] = moves (x, y) ? 255 : 0;
}

/* What moves is orange, or brighter where there is no colour; what does not is
 * darker than it was. */
static void
check_highlight (const GstVideoInfo *info, Layout layout)
{
  GstBuffer *before = lay_out (info, draw (info, 1), layout);
  GstBuffer *after = gst_buffer_copy_deep (before);
  GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta (after);
  gint x0 = crop ? (gint) crop->x : 0, y0 = crop ? (gint) crop->y : 0;
  gboolean rgb = GST_VIDEO_INFO_IS_RGB (info);
  gint extra = GST_VIDEO_INFO_COMP_DEPTH (info, 0) - 8;
  GstFrameDiffImage *d = gst_frame_diff_image_new ();
  GstVideoFrame a, b;
  guint8 mask[W * H];

  fill_mask (mask);
  fail_unless (gst_video_frame_map (&a, info, before, GST_MAP_READ));
  fail_unless (gst_video_frame_map (&b, info, after, GST_MAP_READWRITE));
  gst_frame_diff_image_highlight (d, &b, mask);
  for (gint y = 0; y < H; y++)
    for (gint x = 0; x < W; x++) {
      gint fx = x + x0, fy = y + y0;
      gint was = luma_at (&a, fx, fy) >> extra;
      gint is = luma_at (&b, fx, fy) >> extra;
      gint dim = info->colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255 && !rgb
          ? was / 2
          : (was + 16) / 2;

      if (!moves (x, y)) {
        fail_unless (ABS (is - dim) <= 2, "%s (%d, %d): %d to %d",
            GST_VIDEO_INFO_NAME (info), x, y, was, is);
      } else if (rgb) {
        fail_unless (test_sample (&b, 0, fx, fy) >= 127);
        fail_unless (test_sample (&b, 2, fx, fy) <= 128);
      } else if (GST_VIDEO_INFO_N_COMPONENTS (info) > 1) {
        const GstVideoFormatInfo *f = info->finfo;
        gint cx = fx >> GST_VIDEO_FORMAT_INFO_W_SUB (f, 1);
        gint cy = fy >> GST_VIDEO_FORMAT_INFO_H_SUB (f, 1);

        fail_unless_equals_int (test_sample (&b, 1, cx, cy) >> extra, 62);
        fail_unless_equals_int (test_sample (&b, 2, cx, cy) >> extra, 205);
        fail_unless (ABS (is - (was + 130) / 2) <= 1);
      } else {
        fail_unless (is >= was);
      }
      if (GST_VIDEO_INFO_HAS_ALPHA (info))
        fail_unless_equals_int (
            test_sample (&b, 3, fx, fy), test_sample (&a, 3, fx, fy));
    }
  check_outside (&a, &b, crop);
  gst_video_frame_unmap (&a);
  gst_video_frame_unmap (&b);
  gst_frame_diff_image_free (d);
  gst_buffer_unref (before);
  gst_buffer_unref (after);
}

GST_START_TEST (test_highlight)
{
  for (guint f = 0; test_formats[f]; f++)
    for (Layout layout = TIGHT; layout <= CROPPED; layout++) {
      GstCaps *caps = test_caps (test_formats[f], W, H);
      GstVideoInfo info;

      fail_unless (gst_video_info_from_caps (&info, caps));
      check_highlight (&info, layout);
      gst_caps_unref (caps);
    }
}
GST_END_TEST;

/* d where the mask is, in codes of 8 bits. */
static void
check_motion (const GstVideoInfo *info, Layout layout, gboolean absolute)
{
  GstBuffer *buffer = lay_out (info, draw (info, 1), layout);
  GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta (buffer);
  gint x0 = crop ? (gint) crop->x : 0, y0 = crop ? (gint) crop->y : 0;
  gint extra = GST_VIDEO_INFO_COMP_DEPTH (info, 0) - 8;
  GstFrameDiffImage *d = gst_frame_diff_image_new ();
  QfImageDiffOptions o = { .absolute = absolute, .gain = 2, .distance = 1 };
  guint8 mask[W * H], luma[W * H], then[W * H];
  GstVideoInfo eight;
  GstVideoFrame f;
  QfImage image;

  gst_video_info_set_format (&eight, GST_VIDEO_FORMAT_GRAY8, W, H);
  eight.colorimetry.range = GST_VIDEO_INFO_IS_RGB (info)
      ? GST_VIDEO_COLOR_RANGE_0_255
      : info->colorimetry.range;
  fill_mask (mask);
  fail_unless (gst_video_frame_map (&f, info, buffer, GST_MAP_READWRITE));
  gst_qf_frame_image (&f, &image, NULL);
  qf_image_luma (&image, 0, H, luma, W);
  for (guint i = 0; i < W * H; i++)
    then[i] = (guint8) (i * 7);
  gst_frame_diff_image_motion (d, &f, luma, W, then, mask, &o);
  for (gint y = 0; y < H; y++)
    for (gint x = 0; x < W; x++) {
      gint i = y * W + x;
      gint e =
          expected (&eight, luma[i], mask[i] ? then[i] : luma[i], absolute, 2);

      fail_unless_equals_int (test_sample (&f, 0, x + x0, y + y0), e << extra);
    }
  gst_video_frame_unmap (&f);
  gst_frame_diff_image_free (d);
  gst_buffer_unref (buffer);
}

GST_START_TEST (test_motion_picture)
{
  for (guint f = 0; test_formats[f]; f++)
    for (Layout layout = TIGHT; layout <= CROPPED; layout++) {
      GstCaps *caps = test_caps (test_formats[f], W, H);
      GstVideoInfo info;

      fail_unless (gst_video_info_from_caps (&info, caps));
      check_motion (&info, layout, FALSE);
      check_motion (&info, layout, TRUE);
      gst_caps_unref (caps);
    }
}
GST_END_TEST;

static Suite *
framediff_image_suite (void)
{
  Suite *s = suite_create ("framediff-image");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_formats_and_sizes);
  tcase_add_test (tc, test_strides);
  tcase_add_test (tc, test_crop);
  tcase_add_test (tc, test_ranges);
  tcase_add_test (tc, test_full_depth);
  tcase_add_test (tc, test_interlaced);
  tcase_add_test (tc, test_highlight);
  tcase_add_test (tc, test_motion_picture);
  return s;
}

GST_CHECK_MAIN (framediff_image);
