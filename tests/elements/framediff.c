/* GStreamer qfuse: tests: framediff.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfmeta-private.h"
#include "gstqfplanesmeta.h"
#include "testframes.h"
#include "testmodel.h"

#define WIDTH 64
#define HEIGHT 48

static GstHarness *
new_harness (const gchar *line, const gchar *format, gint width, gint height,
    GstVideoInfo *info)
{
  GstHarness *h = gst_harness_new_parse (line);
  GstCaps *caps = test_caps (format, width, height);

  fail_unless (gst_video_info_from_caps (info, caps));
  gst_harness_set_src_caps (h, caps);
  return h;
}

static GstBuffer *
push_square (
    GstHarness *h, const GstVideoInfo *info, gint x, gint y, gint size, guint n)
{
  GstBuffer *out = gst_harness_push_and_pull (
      h, test_stamp (test_square (info, x, y, size), n));

  fail_unless (out != NULL);
  return out;
}

/* Component 0 at (x, y), as 8 bits, of the cropped picture. */
static gint
grey_at (GstBuffer *buffer, const GstVideoInfo *info, gint x, gint y)
{
  GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta (buffer);
  GstVideoFrame frame;
  guint v;

  fail_unless (gst_video_frame_map (&frame, info, buffer, GST_MAP_READ));
  if (crop) {
    x += (gint) crop->x;
    y += (gint) crop->y;
  }
  v = test_sample (&frame, 0, x, y) >>
      (GST_VIDEO_FRAME_COMP_DEPTH (&frame, 0) - 8);
  gst_video_frame_unmap (&frame);
  return (gint) v;
}

/* Every chroma sample is the middle (or R = G = B). */
static void
check_neutral (GstBuffer *buffer, const GstVideoInfo *info)
{
  GstVideoFrame frame;
  guint wrong = 0;

  fail_unless (gst_video_frame_map (&frame, info, buffer, GST_MAP_READ));
  for (guint c = 1; c < MIN (GST_VIDEO_FRAME_N_COMPONENTS (&frame), 3u); c++)
    for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (&frame, c); y++)
      for (gint x = 0; x < GST_VIDEO_FRAME_COMP_WIDTH (&frame, c); x++) {
        guint neutral = GST_VIDEO_INFO_IS_RGB (info)
            ? test_sample (&frame, 0, x, y)
            : 1u << (GST_VIDEO_FRAME_COMP_DEPTH (&frame, c) - 1);

        wrong += test_sample (&frame, c, x, y) != neutral;
      }
  gst_video_frame_unmap (&frame);
  fail_unless (wrong == 0, "%s: %u samples of chroma are not neutral",
      GST_VIDEO_INFO_NAME (info), wrong);
}

/* d = 200 − 60 = 140 inside the square; of grey in full range 214 − 51 = 163. */
static void
check_image (const gchar *format, gint width, gint height, gint pad, gint crop)
{
  const gboolean full = g_str_has_prefix (format, "GRAY") ||
      strstr (format, "RGB") || strstr (format, "BGR") ||
      strstr (format, "xB") || strstr (format, "AB");

  for (gint absolute = 0; absolute < 2; absolute++) {
    gint none = absolute ? (full ? 0 : 16) : 128, most;
    gint d = g_str_has_prefix (format, "GRAY") ? 163 : 140;
    GstVideoInfo info;
    GstHarness *h = new_harness (
        absolute ? "framediff mode=absolute" : "framediff mode=signed", format,
        width, height, &info);
    GstBuffer *in, *out = NULL;

    for (gint n = 0; n < 2; n++) {
      in = test_stamp (test_square (&info, 16, 8, n * 20), (guint) n);
      if (pad)
        in = test_frame_padded (&info, in, pad, 12);
      if (crop)
        in = test_frame_cropped (&info, in, crop, crop);
      out = gst_harness_push_and_pull (h, in);
      fail_unless (out != NULL);
      if (n == 0) { /* the first frame has no past */
        fail_unless_equals_int (grey_at (out, &info, 20, 10), none);
        check_neutral (out, &info);
        gst_buffer_unref (out);
      }
    }
    most = !absolute ? 128 + d / 2 : full ? d : 16 + (d * 219 + 127) / 255;
    fail_unless_equals_int (grey_at (out, &info, 2, 2), none);
    fail_unless (ABS (grey_at (out, &info, 25, 17) - most) <= 2,
        "%s: %d, expected %d", format, grey_at (out, &info, 25, 17), most);
    fail_unless_equals_int (grey_at (out, &info, 37, 17), none);
    fail_unless_equals_int (grey_at (out, &info, 25, 29), none);
    fail_unless_equals_int (grey_at (out, &info, width - 1, height - 1), none);
    check_neutral (out, &info);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (out), 40 * GST_MSECOND);
    gst_buffer_unref (out);
    gst_harness_teardown (h);
  }
}

GST_START_TEST (test_image)
{
  for (guint f = 0; test_formats[f]; f++) {
    check_image (test_formats[f], WIDTH, HEIGHT, 0, 0);
    check_image (test_formats[f], 67, 45, 0, 0);
    check_image (test_formats[f], 67, 45, 28, 0);
    check_image (test_formats[f], 66, 46, 0, 6);
  }
}
GST_END_TEST;

/* Alpha stays. */
GST_START_TEST (test_alpha)
{
  GstVideoInfo info;
  GstHarness *h = new_harness ("framediff", "RGBA", WIDTH, HEIGHT, &info);
  GstBuffer *in = test_square (&info, 0, 0, 10), *out;
  GstMapInfo map;

  fail_unless (gst_buffer_map (in, &map, GST_MAP_WRITE));
  for (guint i = 0; i < WIDTH * HEIGHT; i++)
    map.data[4 * i + 3] = (guint8) (i * 7);
  gst_buffer_unmap (in, &map);
  out = gst_harness_push_and_pull (h, in);
  fail_unless (gst_buffer_map (out, &map, GST_MAP_READ));
  for (guint i = 0; i < WIDTH * HEIGHT; i++) {
    fail_unless_equals_int (map.data[4 * i], 128);
    fail_unless_equals_int (map.data[4 * i + 3], (guint8) (i * 7));
  }
  gst_buffer_unmap (out, &map);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_distance)
{
  GstVideoInfo info;
  GstHarness *h =
      new_harness ("framediff distance=3", "I420", WIDTH, HEIGHT, &info);
  static const gint sizes[] = { 0, 20, 20, 20, 20, 0 };
  static const gint expected[] = { 128, 128, 128, 198, 128, 58 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    GstBuffer *out = push_square (h, &info, 16, 8, sizes[i], i);

    fail_unless (ABS (grey_at (out, &info, 20, 20) - expected[i]) <= 1,
        "frame %u: %d", i, grey_at (out, &info, 20, 20));
    gst_buffer_unref (out);
  }
  gst_harness_teardown (h);
}
GST_END_TEST;

/* The mean of four: 60 60 60 200 = 95, 60 60 200 200 = 130. */
GST_START_TEST (test_mean)
{
  GstVideoInfo info;
  GstHarness *h = new_harness (
      "framediff reference=mean distance=4", "I420", WIDTH, HEIGHT, &info);
  static const gint sizes[] = { 0, 0, 0, 20, 20, 20, 0 };
  static const gint expected[] = { 128, 128, 128, 128, 128 + 105 / 2,
    128 + 70 / 2, 128 - 105 / 2 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    GstBuffer *out = push_square (h, &info, 16, 8, sizes[i], i);

    fail_unless (ABS (grey_at (out, &info, 20, 20) - expected[i]) <= 1,
        "frame %u: %d", i, grey_at (out, &info, 20, 20));
    gst_buffer_unref (out);
  }
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Threshold, gain and mode change from frame to frame, the past stays. */
GST_START_TEST (test_settings_while_playing)
{
  GstVideoInfo info;
  GstHarness *h =
      new_harness ("framediff name=d", "I420", WIDTH, HEIGHT, &info);
  GstElement *e = gst_harness_find_element (h, "framediff");
  GstBuffer *out;

  gst_buffer_unref (push_square (h, &info, 16, 8, 0, 0));
  g_object_set (e, "threshold", 150, NULL);
  out = push_square (h, &info, 16, 8, 20, 1);
  fail_unless_equals_int (grey_at (out, &info, 20, 20), 128);
  gst_buffer_unref (out);
  g_object_set (e, "threshold", 100, "gain", 2, NULL);
  out = push_square (h, &info, 16, 8, 0, 2);
  fail_unless (grey_at (out, &info, 20, 20) <= 17); /* 128 − 140, clamped */
  gst_buffer_unref (out);
  gst_util_set_object_arg (G_OBJECT (e), "mode", "absolute");
  g_object_set (e, "gain", 1, NULL);
  out = push_square (h, &info, 16, 8, 20, 3);
  fail_unless (ABS (grey_at (out, &info, 20, 20) - 136) <= 1);
  gst_buffer_unref (out);
  gst_object_unref (e);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A single moving pixel is noise where there is a dead band. */
GST_START_TEST (test_opening)
{
  GstVideoInfo info;
  GstHarness *h =
      new_harness ("framediff threshold=8", "I420", WIDTH, HEIGHT, &info);
  GstBuffer *out;

  gst_buffer_unref (push_square (h, &info, 16, 8, 0, 0));
  out = push_square (h, &info, 16, 8, 1, 1);
  fail_unless_equals_int (grey_at (out, &info, 16, 8), 128);
  gst_buffer_unref (out);
  out = push_square (h, &info, 16, 8, 2, 2);
  fail_unless_equals_int (grey_at (out, &info, 17, 9), 128);
  gst_buffer_unref (out);
  out = push_square (h, &info, 16, 8, 4, 3);
  fail_unless (grey_at (out, &info, 19, 11) > 190);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* What forgets the past, at the element: flush, new size, a clip that starts
 * anew. (All rules: planes.c.) */
GST_START_TEST (test_forgets)
{
  GstVideoInfo info;
  GstHarness *h = new_harness ("framediff", "I420", WIDTH, HEIGHT, &info);
  GstSegment segment;
  GstBuffer *out;

  gst_buffer_unref (push_square (h, &info, 16, 8, 0, 0));
  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  out = push_square (h, &info, 16, 8, 20, 1);
  fail_unless_equals_int (grey_at (out, &info, 20, 20), 128);
  gst_buffer_unref (out);

  gst_harness_push_event (h, gst_event_new_stream_start ("next"));
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  out = push_square (h, &info, 16, 8, 0, 2);
  fail_unless_equals_int (grey_at (out, &info, 20, 20), 128);
  gst_buffer_unref (out);

  gst_harness_set_src_caps (h, test_caps ("I420", 80, 60));
  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_I420, 80, 60);
  out = push_square (h, &info, 16, 8, 20, 3);
  fail_unless_equals_int (grey_at (out, &info, 20, 20), 128);
  gst_buffer_unref (out);
  out = push_square (h, &info, 16, 8, 0, 4);
  fail_unless (grey_at (out, &info, 20, 20) < 60);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A difference image is a new picture: whoever else holds the frame keeps it,
 * and metas of the sender go on with it. */
GST_START_TEST (test_shared_input)
{
  GstVideoInfo info;
  GstHarness *h = new_harness ("framediff", "I420", WIDTH, HEIGHT, &info);
  GstBuffer *in = test_square (&info, 16, 8, 20), *out;

  gst_buffer_add_video_region_of_interest_meta (in, "thing", 1, 2, 3, 4);
  gst_buffer_ref (in);
  out = gst_harness_push_and_pull (h, in);
  fail_unless (grey_at (in, &info, 20, 20) >= 199);
  fail_unless_equals_int (grey_at (out, &info, 20, 20), 128);
  fail_unless (
      gst_buffer_get_video_region_of_interest_meta_id (out, 0) != NULL);
  gst_buffer_unref (in);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* ---- planes ---------------------------------------------------------------
 */

static const gchar *asked_planes[4]; /* what the peer below wants */
static guint n_asked;

static void
want_init (GstQfWant *want, const gchar *planes)
{
  *want = (GstQfWant){
    .width = 32, .height = 24, .fit = QF_FIT_LETTERBOX, .rate_d = 1
  };
  fail_unless (qf_planes_parse (&want->planes, planes, NULL));
}

static gboolean
answer (GstPad *pad, GstObject *parent, GstQuery *query)
{
  GstQfWant want;

  if (!gst_query_is_qf_planes (query))
    return gst_pad_query_default (pad, parent, query);
  n_asked++;
  for (guint i = 0; i < G_N_ELEMENTS (asked_planes) && asked_planes[i]; i++) {
    want_init (&want, asked_planes[i]);
    gst_qf_planes_query_answer (query, &want, NULL);
  }
  return FALSE;
}

static GstHarness *
new_planes_harness (GstVideoInfo *info)
{
  GstHarness *h = gst_harness_new_parse ("framediff output=planes");
  GstCaps *caps = test_caps ("I420", WIDTH, HEIGHT);

  n_asked = 0;
  memset (asked_planes, 0, sizeof asked_planes);
  gst_pad_set_query_function (h->sinkpad, answer);
  gst_video_info_from_caps (info, caps);
  asked_planes[0] = "Y,D1";
  gst_harness_set_src_caps (h, caps);
  return h;
}

static GstQfPlanesMeta *
planes_of (GstBuffer *buffer, const gchar *planes)
{
  GstQfWant want;

  want_init (&want, planes);
  return gst_buffer_get_qf_planes_meta (buffer, &want);
}

/* The picture stays as it is, in the same memory. */
GST_START_TEST (test_planes)
{
  GstVideoInfo info;
  GstHarness *h = new_planes_harness (&info);
  GstQfPlanesMeta *meta;
  const guint8 *data;
  GstBuffer *in, *out;
  GstMapInfo before, after;
  gsize size;

  fail_unless_equals_int (n_asked, 1);
  in = test_square (&info, 16, 16, 0);
  out = gst_harness_push_and_pull (h, in);
  meta = planes_of (out, "Y,D1");
  fail_unless (meta != NULL);
  data = g_bytes_get_data (meta->planes, &size);
  fail_unless_equals_int (size, 2 * 32 * 24);
  fail_unless (ABS (data[0] - 60) <= 1);
  fail_unless_equals_int (data[32 * 24], 128);
  fail_unless_equals_int (meta->geometry.src_w, WIDTH);
  fail_unless_equals_int (meta->geometry.w, 32);
  gst_buffer_unref (out);

  in = test_square (&info, 16, 16, 16);
  gst_buffer_ref (in);
  out = gst_harness_push_and_pull (h, in);
  fail_unless (out != in);
  fail_unless (
      gst_buffer_peek_memory (out, 0) == gst_buffer_peek_memory (in, 0));
  fail_unless (planes_of (in, "Y,D1") == NULL);
  data = g_bytes_get_data (planes_of (out, "Y,D1")->planes, NULL);
  fail_unless (ABS (data[10 * 32 + 10] - 200) <= 1);
  fail_unless_equals_int (data[(24 + 10) * 32 + 10], 128 + 70);
  fail_unless_equals_int (data[(24 + 2) * 32 + 2], 128);
  fail_unless (gst_buffer_map (in, &before, GST_MAP_READ));
  fail_unless (gst_buffer_map (out, &after, GST_MAP_READ));
  fail_unless (memcmp (before.data, after.data, after.size) == 0);
  gst_buffer_unmap (in, &before);
  gst_buffer_unmap (out, &after);
  gst_buffer_unref (in);
  gst_buffer_unref (out);
  fail_unless_equals_int (n_asked, 1);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* After a RECONFIGURE downstream is asked again; what was wanted before keeps
 * its past. */
GST_START_TEST (test_planes_reconfigure)
{
  GstVideoInfo info;
  GstHarness *h = new_planes_harness (&info);
  const guint8 *data;
  GstBuffer *out;
  GstQfWant want;

  gst_buffer_unref (push_square (h, &info, 16, 16, 0, 0));
  asked_planes[1] = "D1t8";
  asked_planes[2] = "Y,D1"; /* twice: computed once */
  gst_harness_push_upstream_event (h, gst_event_new_reconfigure ());
  out = push_square (h, &info, 16, 16, 16, 1);
  fail_unless (n_asked >= 2);
  fail_unless (planes_of (out, "D1t8") != NULL);
  fail_unless_equals_int (
      gst_buffer_get_n_meta (out, gst_meta_get_info ("GstQfPlanesMeta")->api),
      2);
  data = g_bytes_get_data (planes_of (out, "Y,D1")->planes, NULL);
  fail_unless_equals_int (data[(24 + 10) * 32 + 10], 128 + 70);
  data = g_bytes_get_data (planes_of (out, "D1t8")->planes, NULL);
  fail_unless_equals_int (data[10 * 32 + 10], 128);
  gst_buffer_unref (out);

  /* the event of an element that came late does the same */
  memset (asked_planes, 0, sizeof asked_planes);
  asked_planes[0] = "D1t8";
  want_init (&want, "D1t8");
  gst_harness_push_upstream_event (h, gst_qf_planes_event_new (&want));
  out = push_square (h, &info, 16, 16, 0, 2);
  fail_unless (planes_of (out, "Y,D1") == NULL);
  data = g_bytes_get_data (planes_of (out, "D1t8")->planes, NULL);
  fail_unless_equals_int (data[10 * 32 + 10], 128 - 70);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* In image mode nobody behind it is asked through it, and planes that came from
 * elsewhere are not those of the new picture. */
GST_START_TEST (test_image_hides)
{
  GstVideoInfo info;
  GstHarness *h = gst_harness_new_parse ("framediff output=planes ! framediff");
  GstCaps *caps = test_caps ("I420", WIDTH, HEIGHT);
  GstBuffer *out;

  n_asked = 0;
  asked_planes[0] = "Y,D1";
  asked_planes[1] = NULL;
  gst_pad_set_query_function (h->sinkpad, answer);
  gst_video_info_from_caps (&info, caps);
  gst_harness_set_src_caps (h, caps);
  out = push_square (h, &info, 16, 16, 0, 0);
  fail_unless (planes_of (out, "Y,D1") == NULL);
  fail_unless_equals_int (n_asked, 0);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* What changes pixels drops the planes; what copies whole buffers keeps them.
 */
GST_START_TEST (test_planes_on_their_way)
{
  static const struct
  {
    const gchar *chain;
    gboolean kept;
  } cases[] = { { "identity", TRUE }, { "queue", TRUE },
    { "tee ! queue", TRUE },
    { "videoconvert ! capsfilter caps=video/x-raw,format=RGB", FALSE },
    { "videoscale ! capsfilter caps=video/x-raw,width=32,height=24", FALSE },
    { "videoflip video-direction=180", FALSE },
    { "videocrop left=8 top=4", FALSE }, { "jpegenc ! jpegdec", FALSE } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    gchar *line =
        g_strdup_printf ("framediff output=planes ! %s", cases[i].chain);
    GstHarness *h = gst_harness_new_parse (line);
    GstCaps *caps = test_caps ("I420", WIDTH, HEIGHT);
    GstVideoInfo info;
    GstBuffer *out;

    asked_planes[0] = "Y,D1";
    asked_planes[1] = NULL;
    gst_pad_set_query_function (h->sinkpad, answer);
    gst_video_info_from_caps (&info, caps);
    gst_harness_set_src_caps (h, caps);
    out = push_square (h, &info, 16, 16, 16, 0);
    fail_unless ((planes_of (out, "Y,D1") != NULL) == cases[i].kept, "%s",
        cases[i].chain);
    gst_buffer_unref (out);
    gst_harness_teardown (h);
    g_free (line);
  }
}
GST_END_TEST;

static guint64
frames_with_planes (GstElement *pipeline, const gchar *name, guint64 *frames)
{
  GstElement *e = gst_bin_get_by_name (GST_BIN (pipeline), name);
  GstStructure *stats;
  guint64 n = 0;

  g_object_get (e, "stats", &stats, NULL);
  fail_unless (gst_structure_get_uint64 (stats, "frames", frames));
  fail_unless (gst_structure_get_uint64 (stats, "upstream-planes", &n));
  gst_structure_free (stats);
  gst_object_unref (e);
  return n;
}

/* Two detectors behind a tee and queues, and a third behind one of them: each
 * gets its planes from the first frame on; one behind a scaler computes. */
GST_START_TEST (test_tee)
{
  g_autofree gchar *a = test_model_path ("a.onnx");
  g_autofree gchar *b = test_model_path ("b.onnx");
  g_autofree gchar *line = NULL;
  GstElement *pipeline;
  GstMessage *message;
  guint64 frames;

  test_model_write_detector (a, "D1", "letterbox", NULL, "1");
  test_model_write_detector (b, "Y,D2t8", "stretch", "25/1", "2");
  line = g_strdup_printf (
      "videotestsrc num-buffers=30 pattern=ball ! "
      "video/x-raw,format=I420,width=128,height=96,framerate=25/1 ! "
      "framediff output=planes ! tee name=t "
      "t. ! queue ! qfusedetect name=one model-file=%s ! "
      "qfusedetect name=two model-file=%s ! fakesink sync=false "
      "t. ! queue ! qfusedetect name=three model-file=%s ! tee name=u "
      "u. ! queue ! fakesink sync=false "
      "u. ! queue ! videoscale ! video/x-raw,width=64,height=48 ! "
      "qfusedetect name=four model-file=%s ! fakesink sync=false",
      a, b, b, a);
  pipeline = gst_parse_launch (line, NULL);
  fail_unless (pipeline != NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (GST_ELEMENT_BUS (pipeline),
      30 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless (message && GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS);
  gst_message_unref (message);
  fail_unless_equals_uint64 (frames_with_planes (pipeline, "one", &frames), 30);
  fail_unless_equals_uint64 (frames, 30);
  fail_unless_equals_uint64 (frames_with_planes (pipeline, "two", &frames), 30);
  fail_unless_equals_uint64 (
      frames_with_planes (pipeline, "three", &frames), 30);
  fail_unless_equals_uint64 (frames_with_planes (pipeline, "four", &frames), 0);
  fail_unless_equals_uint64 (frames, 30);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
  test_model_cleanup ();
}
GST_END_TEST;

/* A model with other planes is loaded while frames go: the detector is asked
 * anew, across a queue, and finds its planes again. */
GST_START_TEST (test_model_changes)
{
  g_autofree gchar *model = test_model_path ("change.onnx");
  g_autofree gchar *line = NULL;
  gboolean done = FALSE;
  guint64 frames, before;
  GstVideoInfo info;
  GstElement *e;
  GstHarness *h;

  test_model_write_detector (model, "Y", "letterbox", NULL, "1");
  line = g_strdup_printf (
      "framediff output=planes ! queue ! qfusedetect name=d model-file=%s",
      model);
  h = new_harness (line, "I420", 128, 96, &info);
  for (guint n = 0; n < 3; n++)
    gst_buffer_unref (push_square (h, &info, 32, 32, 32, n));
  before = frames_with_planes (h->element, "d", &frames);
  fail_unless_equals_uint64 (before, 3);

  test_model_write_detector (model, "D1,Y", "stretch", "25/1", "2");
  e = gst_bin_get_by_name (GST_BIN (h->element), "d");
  g_signal_emit_by_name (e, "reload", &done);
  fail_unless (done);
  for (guint n = 3; n < 8; n++) {
    GstBuffer *out = push_square (h, &info, 32, 32, 32, n);

    fail_unless_equals_uint64 (qfuse_buffer_get_detections (out)->serial, 2);
    gst_buffer_unref (out);
  }
  fail_unless_equals_uint64 (frames_with_planes (h->element, "d", &frames), 8);
  gst_object_unref (e);
  gst_harness_teardown (h);
  test_model_cleanup ();
}
GST_END_TEST;

/* A branch that is linked while frames go gets its planes after its first frame
 * at the latest. */
GST_START_TEST (test_branch_added)
{
  g_autofree gchar *model = test_model_path ("branch.onnx");
  GstHarness *h =
      gst_harness_new_parse ("framediff output=planes ! tee name=t t. ! queue");
  GstCaps *caps = test_caps ("I420", 128, 96);
  GstElement *tee, *queue, *detect, *sink;
  GstVideoInfo info;
  guint64 frames, with;

  test_model_write_detector (model, "D1", "letterbox", NULL, "1");
  gst_video_info_from_caps (&info, caps);
  gst_harness_set_src_caps (h, caps);
  for (guint n = 0; n < 3; n++)
    gst_buffer_unref (push_square (h, &info, 32, 32, 32, n));

  queue = gst_element_factory_make ("queue", NULL);
  detect = gst_element_factory_make ("qfusedetect", "late");
  sink = gst_element_factory_make ("fakesink", NULL);
  g_object_set (detect, "model-file", model, NULL);
  g_object_set (sink, "async", FALSE, "sync", FALSE, NULL);
  gst_bin_add_many (GST_BIN (h->element), queue, detect, sink, NULL);
  fail_unless (gst_element_link_many (queue, detect, sink, NULL));
  gst_element_sync_state_with_parent (sink);
  gst_element_sync_state_with_parent (detect);
  gst_element_sync_state_with_parent (queue);
  tee = gst_bin_get_by_name (GST_BIN (h->element), "t");
  fail_unless (gst_element_link (tee, queue));
  gst_object_unref (tee);

  for (guint n = 3; n < 20; n++) {
    gst_buffer_unref (push_square (h, &info, 32, 32, 32, n));
    g_usleep (2000);
  }
  for (guint i = 0; i < 1000; i++) {
    with = frames_with_planes (h->element, "late", &frames);
    if (frames == 17)
      break;
    g_usleep (5000);
  }
  fail_unless_equals_uint64 (frames, 17);
  fail_unless (with >= 15, "%u", (guint) with);
  gst_harness_teardown (h);
  test_model_cleanup ();
}
GST_END_TEST;

/* Detections are the same with framediff before the detector and without. */
GST_START_TEST (test_same_detections)
{
  g_autofree gchar *model = test_model_path ("same.onnx");
  g_autofree gchar *alone = NULL, *behind = NULL;
  GstVideoInfo info;
  GstHarness *h[2];
  guint found = 0;

  test_model_write_detector (model, "Y,D1", "letterbox", NULL, "1");
  alone = g_strdup_printf ("qfusedetect model-file=%s threshold=0.3", model);
  behind = g_strdup_printf ("framediff output=planes ! queue ! %s", alone);
  h[0] = new_harness (alone, "NV12", 128, 96, &info);
  h[1] = new_harness (behind, "NV12", 128, 96, &info);
  for (guint n = 0; n < 8; n++) {
    GArray *a[2];
    GstBuffer *out[2];

    for (guint i = 0; i < 2; i++) {
      out[i] = push_square (h[i], &info, 16 * (gint) n, 32, 32, n);
      a[i] = qfuse_buffer_get_detections (out[i])->detections;
    }
    fail_unless_equals_int (a[0]->len, a[1]->len);
    found += a[0]->len;
    for (guint k = 0; k < a[0]->len; k++)
      fail_unless (memcmp (&g_array_index (a[0], QfuseDetection, k),
                       &g_array_index (a[1], QfuseDetection, k),
                       sizeof (QfuseDetection)) == 0);
    gst_buffer_unref (out[0]);
    gst_buffer_unref (out[1]);
  }
  fail_unless (found > 2);
  gst_harness_teardown (h[0]);
  gst_harness_teardown (h[1]);
  test_model_cleanup ();
}
GST_END_TEST;

static gpointer
set_properties (gpointer element)
{
  for (guint i = 0; i < 500; i++) {
    g_object_set (element, "threshold", i % 20, "gain", 1 + i % 5, "distance",
        1 + i % 7, "mode", i & 1, "reference", (i / 2) & 1, "output",
        (i / 50) & 1, NULL);
    if (i % 10 == 0)
      g_thread_yield ();
  }
  return NULL;
}

GST_START_TEST (test_properties_from_two_threads)
{
  GstVideoInfo info;
  GstHarness *h = new_harness ("framediff", "I420", WIDTH, HEIGHT, &info);
  GstElement *e = gst_harness_find_element (h, "framediff");
  GThread *threads[2];

  for (guint i = 0; i < 2; i++)
    threads[i] = g_thread_new ("properties", set_properties, e);
  for (guint n = 0; n < 300; n++)
    gst_buffer_unref (push_square (h, &info, 16, 8, (gint) n % 16, n));
  for (guint i = 0; i < 2; i++)
    g_thread_join (threads[i]);
  gst_object_unref (e);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_states)
{
  GstVideoInfo info;
  GstHarness *h = new_harness ("framediff", "I420", WIDTH, HEIGHT, &info);
  GstElement *e = gst_harness_find_element (h, "framediff");
  GstBuffer *out;

  for (guint i = 0; i < 3; i++) {
    fail_unless_equals_int (
        gst_element_set_state (e, GST_STATE_PLAYING), GST_STATE_CHANGE_SUCCESS);
    gst_harness_set_src_caps (h, test_caps ("I420", WIDTH, HEIGHT));
    out = push_square (h, &info, 16, 8, 16 * (gint) (i % 2), 0);
    fail_unless_equals_int (grey_at (out, &info, 20, 20), 128);
    gst_buffer_unref (out);
    fail_unless_equals_int (
        gst_element_set_state (e, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  }
  gst_object_unref (e);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_short_buffer)
{
  GstVideoInfo info;
  GstHarness *h = new_harness ("framediff", "I420", WIDTH, HEIGHT, &info);

  fail_unless_equals_int (
      gst_harness_push (h, gst_harness_create_buffer (h, 100)), GST_FLOW_ERROR);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* What is too large is refused with a sentence that says what to do. */
GST_START_TEST (test_too_large)
{
  static const gchar *const names[] = { "framediff", "qfusedetect" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    GstElement *e = gst_element_factory_make (names[i], NULL);
    GstBus *bus = gst_bus_new ();
    GstCaps *caps = gst_caps_from_string (
        "video/x-raw,format=GRAY8,width=40000,height=2,framerate=1/1");
    GstBaseTransformClass *klass = GST_BASE_TRANSFORM_GET_CLASS (e);
    GstMessage *m;
    GError *error;

    gst_element_set_bus (e, bus);
    fail_if (klass->set_caps (GST_BASE_TRANSFORM (e), caps, caps));
    m = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
    fail_unless (m != NULL);
    gst_message_parse_error (m, &error, NULL);
    fail_unless (strstr (error->message, "40000 x 2: scale them") != NULL);
    g_error_free (error);
    gst_message_unref (m);
    gst_caps_unref (caps);
    gst_element_set_bus (e, NULL);
    gst_object_unref (bus);
    gst_object_unref (e);
  }
}
GST_END_TEST;

static Suite *
framediff_suite (void)
{
  Suite *s = suite_create ("framediff");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_image);
  tcase_add_test (tc, test_alpha);
  tcase_add_test (tc, test_distance);
  tcase_add_test (tc, test_mean);
  tcase_add_test (tc, test_settings_while_playing);
  tcase_add_test (tc, test_opening);
  tcase_add_test (tc, test_forgets);
  tcase_add_test (tc, test_shared_input);
  tcase_add_test (tc, test_planes);
  tcase_add_test (tc, test_planes_reconfigure);
  tcase_add_test (tc, test_image_hides);
  tcase_add_test (tc, test_planes_on_their_way);
  tcase_add_test (tc, test_tee);
  tcase_add_test (tc, test_model_changes);
  tcase_add_test (tc, test_branch_added);
  tcase_add_test (tc, test_same_detections);
  tcase_add_test (tc, test_properties_from_two_threads);
  tcase_add_test (tc, test_states);
  tcase_add_test (tc, test_short_buffer);
  tcase_add_test (tc, test_too_large);
  return s;
}

GST_CHECK_MAIN (framediff);
