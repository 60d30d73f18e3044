/* GStreamer qfuse: tests: qfusedetect.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>

#include "gstqfmeta-private.h"
#include "gstqfplanesmeta.h"
#include "testframes.h"
#include "testmodel.h"

/* The frames of most tests: twice the network's input. A square of 32 at
 * multiples of 32 fills one cell. */
#define WIDTH (2 * TEST_MODEL_WIDTH)
#define HEIGHT (2 * TEST_MODEL_HEIGHT)
#define SIZE (2 * TEST_MODEL_CELL)

static gchar *y_model, *d_model;

static void
setup (void)
{
  y_model = test_model_path ("y.onnx");
  d_model = test_model_path ("d.onnx");
  test_model_write_detector (y_model, "Y", "letterbox", NULL, "7");
  test_model_write_detector (d_model, "D1", "letterbox", NULL, "8");
}

static void
teardown (void)
{
  test_model_cleanup ();
  g_clear_pointer (&y_model, g_free);
  g_clear_pointer (&d_model, g_free);
}

static GstHarness *
new_harness (const gchar *model, const gchar *more)
{
  gchar *line =
      g_strdup_printf ("qfusedetect model-file=%s %s", model, more ? more : "");
  GstHarness *h = gst_harness_new_parse (line);

  g_free (line);
  fail_unless (h != NULL);
  return h;
}

/* With caps of WIDTHxHEIGHT I420. */
static GstHarness *
new_i420_harness (const gchar *model, const gchar *more, GstVideoInfo *info)
{
  GstHarness *h = new_harness (model, more);
  GstCaps *caps = test_caps ("I420", WIDTH, HEIGHT);

  gst_video_info_from_caps (info, caps);
  gst_harness_set_src_caps (h, caps);
  return h;
}

static QfuseDetectionsMeta *
detections (GstBuffer *buffer)
{
  QfuseDetectionsMeta *meta = qfuse_buffer_get_detections (buffer);

  fail_unless (meta != NULL);
  return meta;
}

/* There is one detection, @label at this place. */
static void
check_box (
    GstBuffer *buffer, gfloat x, gfloat y, gfloat w, gfloat h, gfloat tolerance)
{
  QfuseDetectionsMeta *meta = detections (buffer);
  const QfuseDetection *d;

  fail_unless_equals_int (meta->detections->len, 1);
  d = &g_array_index (meta->detections, QfuseDetection, 0);
  fail_unless (ABS (d->x - x) <= tolerance && ABS (d->y - y) <= tolerance &&
          ABS (d->x + d->w - x - w) <= tolerance &&
          ABS (d->y + d->h - y - h) <= tolerance,
      "box %g,%g %gx%g, expected %g,%g %gx%g", d->x, d->y, d->w, d->h, x, y, w,
      h);
  fail_unless (d->score > (tolerance > 1 ? 0.6f : 0.9f) && d->score < 1,
      "score %g", d->score);
  fail_unless_equals_int (d->label_id, 0);
  fail_unless_equals_string (g_quark_to_string (d->label), "square");
}

static guint64
stat_value (GstHarness *h, const gchar *name)
{
  GstElement *e = gst_harness_find_element (h, "qfusedetect");
  GstStructure *stats;
  guint64 value = 0;

  g_object_get (e, "stats", &stats, NULL);
  fail_unless (gst_structure_get_uint64 (stats, name, &value), "%s", name);
  gst_structure_free (stats);
  gst_object_unref (e);
  return value;
}

GST_START_TEST (test_every_format)
{
  for (guint f = 0; test_formats[f]; f++) {
    GstHarness *h = new_harness (y_model, NULL);
    GstCaps *caps = test_caps (test_formats[f], WIDTH, HEIGHT);
    GstBuffer *buffer, *out;
    GstVideoInfo info;

    gst_video_info_from_caps (&info, caps);
    gst_harness_set_src_caps (h, caps);
    buffer = test_stamp (test_square (&info, 32, 64, SIZE), 0);
    out = gst_harness_push_and_pull (h, buffer);
    fail_unless (out != NULL, "%s", test_formats[f]);
    check_box (out, 32, 64, SIZE, SIZE, 0.5f);
    fail_unless_equals_int (detections (out)->width, WIDTH);
    fail_unless_equals_int (detections (out)->height, HEIGHT);
    fail_unless_equals_int (detections (out)->serial, 7);
    fail_if (detections (out)->carried);
    gst_buffer_unref (out);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

/* Odd sizes: the letterbox is undone. The square lies where a cell is. */
GST_START_TEST (test_geometry)
{
  static const struct
  {
    gint width, height, par_n, par_d, x, y, size;
    gfloat w;
  } cases[] = {
    /* 131x97 → 64x47 about, cell of 16 ≈ 33 */
    { 131, 97, 1, 1, 33, 33, 33, 33 },
    { 67, 45, 1, 1, 17, 15, 17, 17 },
    /* wide: bands above and below, 256x96 → 64x24 at y = 12: source row 16 is
       input row 16 */
    { 256, 96, 1, 1, 128, 16, 64, 64 },
    /* high: 96x192 → 24x48 at x = 20; source 48 … 112 is input 32 … 48 */
    { 96, 192, 1, 1, 48, 64, 64, 48 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    GstHarness *h = new_harness (y_model, NULL);
    GstCaps *caps = test_caps ("I420", cases[i].width, cases[i].height);
    GstVideoInfo info;
    GstBuffer *out;

    gst_video_info_from_caps (&info, caps);
    gst_harness_set_src_caps (h, caps);
    out = gst_harness_push_and_pull (
        h, test_square (&info, cases[i].x, cases[i].y, cases[i].size));
    fail_unless (out != NULL);
    check_box (out, (gfloat) cases[i].x, (gfloat) cases[i].y, cases[i].w,
        (gfloat) cases[i].size, 2.5f);
    gst_buffer_unref (out);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

GST_START_TEST (test_strides_and_crop)
{
  static const gchar *formats[] = { "I420", "NV12", "YUY2", "BGR",
    "P010_10LE" };

  for (guint f = 0; f < G_N_ELEMENTS (formats); f++) {
    GstHarness *h = new_harness (y_model, NULL);
    GstCaps *caps = test_caps (formats[f], WIDTH, HEIGHT);
    GstVideoInfo info;
    GstBuffer *out;

    gst_video_info_from_caps (&info, caps);
    gst_harness_set_src_caps (h, caps);
    out = gst_harness_push_and_pull (h,
        test_frame_padded (&info, test_square (&info, 64, 32, SIZE), 52, 16));
    check_box (out, 64, 32, SIZE, SIZE, 0.5f);
    gst_buffer_unref (out);
    out = gst_harness_push_and_pull (h,
        test_frame_cropped (&info, test_square (&info, 64, 32, SIZE), 10, 8));
    check_box (out, 64, 32, SIZE, SIZE, 0.5f);
    fail_unless_equals_int (detections (out)->width, WIDTH);
    gst_buffer_unref (out);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

/* A network on differences sees the square where it comes, not where it stands.
 */
GST_START_TEST (test_differences)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (d_model, NULL, &info);
  static const struct
  {
    gint x;
    guint found;
  } frames[] = { { 0, 0 }, { 32, 1 }, { 32, 0 }, { 96, 1 }, { 96, 0 } };

  for (guint i = 0; i < G_N_ELEMENTS (frames); i++) {
    GstBuffer *out = gst_harness_push_and_pull (
        h, test_stamp (test_square (&info, frames[i].x, 32, SIZE), i));

    fail_unless_equals_int (detections (out)->detections->len, frames[i].found);
    if (frames[i].found)
      check_box (out, (gfloat) frames[i].x, 32, SIZE, SIZE, 0.5f);
    gst_buffer_unref (out);
  }
  gst_harness_teardown (h);
}
GST_END_TEST;

static gdouble
computed (GstHarness *h)
{
  GstElement *e = gst_harness_find_element (h, "qfusedetect");
  GstStructure *stats;
  gdouble value = -1;

  g_object_get (e, "stats", &stats, NULL);
  fail_unless (gst_structure_get_double (stats, "computed", &value));
  gst_structure_free (stats);
  gst_object_unref (e);
  return value;
}

static gboolean
has_time_share (GstHarness *h)
{
  GstElement *e = gst_harness_find_element (h, "qfusedetect");
  GstStructure *stats;
  gboolean has;

  g_object_get (e, "stats", &stats, NULL);
  has = gst_structure_has_field_typed (stats, "time-share", G_TYPE_DOUBLE);
  gst_structure_free (stats);
  gst_object_unref (e);
  return has;
}

/* The same detections whether everything is computed or only what moves; a
 * picture without movement costs nothing. */
GST_START_TEST (test_sparse)
{
  static const gchar *const modes[] = { "sparse=off", "sparse=auto",
    "sparse=verify", NULL };
  gchar *model = test_model_path ("dead-band.onnx");

  test_model_write_detector (model, "D1t8", "letterbox", NULL, "8");
  for (guint m = 0; m < G_N_ELEMENTS (modes); m++) {
    static const gint x[] = { 0, 0, 32, 32, 96, 96, 96, 0 };
    static const guint found[] = { 0, 0, 1, 0, 1, 0, 0, 1 };
    gboolean sparse = m > 0; /* by default, too */
    GstVideoInfo info;
    GstHarness *h = new_i420_harness (model, modes[m], &info);

    for (guint i = 0; i < G_N_ELEMENTS (x); i++) {
      GstBuffer *out = gst_harness_push_and_pull (
          h, test_stamp (test_square (&info, x[i], 32, SIZE), i));

      fail_unless_equals_int (detections (out)->detections->len, found[i]);
      if (found[i])
        check_box (out, (gfloat) x[i], 32, SIZE, SIZE, 0.5f);
      gst_buffer_unref (out);
      if (i == 0)
        fail_unless_equals_float (computed (h), sparse ? 0 : 1);
    }
    /* stills in a row are reused: 6 runs, 3 of them on nothing */
    fail_unless_equals_int (stat_value (h, "inferences"), 6);
    if (sparse)
      fail_unless (computed (h) > 0 && computed (h) <= 0.5);
    else
      fail_unless_equals_float (computed (h), 1);
    fail_unless_equals_int (has_time_share (h), m == 2);
    gst_harness_teardown (h);
  }
  g_free (model);
}
GST_END_TEST;

/* What sees more than dead-banded differences is computed as a whole. */
GST_START_TEST (test_not_sparse)
{
  const gchar *const models[] = { y_model, d_model };

  for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
    GstVideoInfo info;
    GstHarness *h = new_i420_harness (models[i], "sparse=verify", &info);

    gst_buffer_unref (gst_harness_push_and_pull (
        h, test_stamp (test_square (&info, 32, 32, SIZE), 0)));
    fail_unless_equals_float (computed (h), 1);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

/* Between runs the past goes on and detections are carried over. */
GST_START_TEST (test_interval)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (d_model, "interval=2", &info);
  static const struct
  {
    gint x;
    guint found;
    gboolean carried;
  } frames[] = { { 0, 0, FALSE }, { 32, 0, TRUE }, { 64, 1, FALSE },
    { 96, 1, TRUE }, { 96, 0, FALSE } };

  for (guint i = 0; i < G_N_ELEMENTS (frames); i++) {
    GstBuffer *out = gst_harness_push_and_pull (
        h, test_stamp (test_square (&info, frames[i].x, 32, SIZE), i));

    fail_unless_equals_int (detections (out)->detections->len, frames[i].found);
    fail_unless_equals_int (detections (out)->carried, frames[i].carried);
    if (frames[i].found)
      check_box (out, 64, 32, SIZE, SIZE, 0.5f);
    gst_buffer_unref (out);
  }
  fail_unless_equals_int (stat_value (h, "frames"), 5);
  fail_unless_equals_int (stat_value (h, "inferences"), 3);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* After a flush the network runs at once, and nothing old is carried over. */
GST_START_TEST (test_interval_flush)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (y_model, "interval=10", &info);
  GstSegment segment;
  GstBuffer *out;

  out = gst_harness_push_and_pull (h, test_square (&info, 32, 32, SIZE));
  gst_buffer_unref (out);
  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_harness_push_event (h, gst_event_new_segment (&segment));
  out = gst_harness_push_and_pull (h, test_square (&info, 64, 32, SIZE));
  check_box (out, 64, 32, SIZE, SIZE, 0.5f);
  fail_if (detections (out)->carried);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Nor over a hole that a gate upstream left. */
GST_START_TEST (test_interval_hole)
{
  static const struct
  {
    guint frame;
    GstBufferFlags flags;
    gboolean carried;
  } frames[] = { { 0, 0, FALSE }, { 1, 0, TRUE },
    { 2, GST_BUFFER_FLAG_DISCONT, TRUE }, { 100, 0, TRUE },
    { 200, GST_BUFFER_FLAG_DISCONT, FALSE }, { 201, 0, TRUE } };
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (y_model, "interval=50", &info);

  for (guint i = 0; i < G_N_ELEMENTS (frames); i++) {
    GstBuffer *in = test_square (&info, frames[i].carried ? 0 : 64, 32, SIZE);
    GstBuffer *out;

    GST_BUFFER_FLAG_SET (in, frames[i].flags);
    out = gst_harness_push_and_pull (h, test_stamp (in, frames[i].frame));
    fail_unless_equals_int (detections (out)->carried, frames[i].carried);
    check_box (out, 64, 32, SIZE, SIZE, 0.5f);
    gst_buffer_unref (out);
  }
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_regions)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (y_model, NULL, &info);
  GstVideoRegionOfInterestMeta *roi;
  const QfuseDetection *d;
  GstStructure *s;
  GstBuffer *out;
  gdouble v;
  gint id;

  out = gst_harness_push_and_pull (h, test_square (&info, 32, 64, SIZE));
  d = &g_array_index (detections (out)->detections, QfuseDetection, 0);
  fail_unless_equals_int (
      gst_buffer_get_n_meta (out, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE),
      1);
  roi = gst_buffer_get_video_region_of_interest_meta_id (out, d->roi_id);
  fail_unless (roi != NULL);
  fail_unless_equals_string (g_quark_to_string (roi->roi_type), "square");
  fail_unless_equals_int (roi->x, 32);
  fail_unless_equals_int (roi->y, 64);
  fail_unless_equals_int (roi->w, SIZE);
  fail_unless_equals_int (roi->h, SIZE);
  s = gst_video_region_of_interest_meta_get_param (roi, "detection");
  fail_unless (s != NULL);
  fail_unless (
      gst_structure_get_double (s, "x_min", &v) && ABS (v - 0.25) < 1e-4);
  fail_unless (
      gst_structure_get_double (s, "x_max", &v) && ABS (v - 0.5) < 1e-4);
  fail_unless (
      gst_structure_get_double (s, "y_min", &v) && ABS (v - 64. / 96) < 1e-4);
  fail_unless (gst_structure_get_double (s, "y_max", &v) && ABS (v - 1) < 1e-4);
  fail_unless (
      gst_structure_get_double (s, "confidence", &v) && v > 0.9 && v < 1);
  fail_unless (gst_structure_get_int (s, "label_id", &id) && id == 0);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Two detectors in a row: both speak, with ids of their own. */
GST_START_TEST (test_two_in_a_row)
{
  gchar *line =
      g_strdup_printf ("qfusedetect model-file=%s ! qfusedetect model-file=%s",
          y_model, d_model);
  GstHarness *h = gst_harness_new_parse (line);
  GstCaps *caps = test_caps ("I420", WIDTH, HEIGHT);
  GstVideoInfo info;
  GstQfFound found;
  GstBuffer *out;

  gst_video_info_from_caps (&info, caps);
  gst_harness_set_src_caps (h, caps);
  gst_buffer_unref (
      gst_harness_push_and_pull (h, test_square (&info, 0, 0, SIZE)));
  out = gst_harness_push_and_pull (h, test_square (&info, 32, 32, SIZE));
  gst_qf_found_init (&found);
  fail_unless (gst_qf_found_read (&found, out, WIDTH, HEIGHT));
  fail_unless_equals_int (found.detections->len, 2);
  fail_unless (g_array_index (found.detections, QfuseDetection, 0).roi_id !=
      g_array_index (found.detections, QfuseDetection, 1).roi_id);
  gst_qf_found_clear (&found);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
  g_free (line);
}
GST_END_TEST;

GST_START_TEST (test_action)
{
  g_autofree gchar *model = test_model_path ("action.onnx");
  QfuseDetectionsMeta *meta;
  GstVideoInfo info;
  GstHarness *h;
  GstBuffer *out;

  test_model_write_classifier (model, "Y");
  h = new_i420_harness (model, NULL, &info);
  out = gst_harness_push_and_pull (h, test_square (&info, 0, 0, 0));
  meta = detections (out);
  fail_unless_equals_int (meta->detections->len, 0);
  fail_unless_equals_string (g_quark_to_string (meta->action), "dark");
  fail_unless_equals_int (meta->action_id, 0);
  fail_unless (meta->action_score > 0.9f);
  gst_buffer_unref (out);
  out = gst_harness_push_and_pull (h, test_square (&info, 0, 0, 2 * WIDTH));
  meta = detections (out);
  fail_unless_equals_string (g_quark_to_string (meta->action), "bright");
  fail_unless_equals_int (meta->action_id, 1);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_thresholds)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (y_model, "threshold=0.999", &info);
  GstBuffer *out;

  out = gst_harness_push_and_pull (h, test_square (&info, 32, 32, SIZE));
  fail_unless_equals_int (detections (out)->detections->len, 0);
  gst_buffer_unref (out);
  gst_harness_set (
      h, "qfusedetect", "threshold", 0.0f, "max-detections", 5, NULL);
  out = gst_harness_push_and_pull (h, test_square (&info, 32, 32, SIZE));
  fail_unless_equals_int (detections (out)->detections->len, 5);
  fail_unless (
      g_array_index (detections (out)->detections, QfuseDetection, 0).score >
      0.9f);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Timestamps, flags and metas of others stay; the same buffer comes out. */
GST_START_TEST (test_passes_on)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (y_model, NULL, &info);
  GstCaps *reference = gst_caps_new_empty_simple ("timestamp/x-test");
  GstBuffer *in = test_stamp (test_square (&info, 32, 32, SIZE), 3), *out;

  GST_BUFFER_DTS (in) = 5;
  GST_BUFFER_OFFSET (in) = 77;
  GST_BUFFER_FLAG_SET (in, GST_BUFFER_FLAG_GAP | GST_BUFFER_FLAG_MARKER);
  gst_buffer_add_reference_timestamp_meta (in, reference, 9, 10);
  out = gst_harness_push_and_pull (h, in);
  fail_unless (out == in);
  fail_unless_equals_uint64 (GST_BUFFER_PTS (out), 120 * GST_MSECOND);
  fail_unless_equals_uint64 (GST_BUFFER_DTS (out), 5);
  fail_unless_equals_uint64 (GST_BUFFER_DURATION (out), 40 * GST_MSECOND);
  fail_unless_equals_uint64 (GST_BUFFER_OFFSET (out), 77);
  fail_unless (GST_BUFFER_FLAG_IS_SET (out, GST_BUFFER_FLAG_GAP));
  fail_unless (GST_BUFFER_FLAG_IS_SET (out, GST_BUFFER_FLAG_MARKER));
  fail_unless (
      gst_buffer_get_reference_timestamp_meta (out, reference) != NULL);
  check_box (out, 32, 32, SIZE, SIZE, 0.5f);
  gst_buffer_unref (out);
  gst_caps_unref (reference);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A buffer that somebody else holds too: its picture is not copied, and the
 * other holder sees no metas. */
GST_START_TEST (test_no_copy)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (y_model, NULL, &info);
  GstBuffer *in = test_square (&info, 32, 32, SIZE), *out;

  gst_buffer_ref (in);
  out = gst_harness_push_and_pull (h, in);
  fail_unless (out != in);
  fail_unless (
      gst_buffer_peek_memory (out, 0) == gst_buffer_peek_memory (in, 0));
  fail_unless (qfuse_buffer_get_detections (in) == NULL);
  check_box (out, 32, 32, SIZE, SIZE, 0.5f);
  gst_buffer_unref (out);
  gst_buffer_unref (in);
  gst_harness_teardown (h);
}
GST_END_TEST;

static GstFlowReturn
keep_buffer (GstElement *sink, gpointer user_data)
{
  GstSample *sample = NULL;

  g_signal_emit_by_name (sink, "pull-sample", &sample);
  g_async_queue_push (
      user_data, gst_buffer_ref (gst_sample_get_buffer (sample)));
  gst_sample_unref (sample);
  return GST_FLOW_OK;
}

/* Behind a tee, with a pool offered downstream: both branches hold one memory.
 */
GST_START_TEST (test_no_copy_behind_tee)
{
  GAsyncQueue *a = g_async_queue_new (), *b = g_async_queue_new ();
  gchar *line = g_strdup_printf (
      "videotestsrc num-buffers=5 ! video/x-raw,format=I420,width=%d,height=%d "
      "! tee name=t t. ! queue ! qfusedetect model-file=%s ! "
      "appsink name=a emit-signals=true sync=false t. ! queue ! "
      "appsink name=b emit-signals=true sync=false",
      WIDTH, HEIGHT, y_model);
  GstElement *pipeline = gst_parse_launch (line, NULL), *sink;
  GstMessage *message;

  sink = gst_bin_get_by_name (GST_BIN (pipeline), "a");
  g_signal_connect (sink, "new-sample", G_CALLBACK (keep_buffer), a);
  gst_object_unref (sink);
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "b");
  g_signal_connect (sink, "new-sample", G_CALLBACK (keep_buffer), b);
  gst_object_unref (sink);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (GST_ELEMENT_BUS (pipeline),
      20 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless (message && GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS);
  gst_message_unref (message);
  fail_unless_equals_int (g_async_queue_length (a), 5);
  fail_unless_equals_int (g_async_queue_length (b), 5);
  for (guint i = 0; i < 5; i++) {
    GstBuffer *one = g_async_queue_pop (a), *two = g_async_queue_pop (b);

    fail_unless (
        gst_buffer_peek_memory (one, 0) == gst_buffer_peek_memory (two, 0));
    fail_unless (qfuse_buffer_get_detections (one) != NULL);
    fail_unless (qfuse_buffer_get_detections (two) == NULL);
    gst_buffer_unref (one);
    gst_buffer_unref (two);
  }
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
  g_async_queue_unref (a);
  g_async_queue_unref (b);
  g_free (line);
}
GST_END_TEST;

GST_START_TEST (test_reload)
{
  g_autofree gchar *path = test_model_path ("reload.onnx");
  gboolean done = FALSE;
  GstVideoInfo info;
  GstElement *e;
  GstMessage *message;
  GstHarness *h;
  GstBuffer *out;
  GstBus *bus;
  guint before;

  test_model_write_detector (path, "Y", "letterbox", NULL, "1");
  h = new_i420_harness (path, NULL, &info);
  e = gst_harness_find_element (h, "qfusedetect");
  bus = gst_bus_new ();
  gst_element_set_bus (e, bus);
  out = gst_harness_push_and_pull (h, test_square (&info, 32, 32, SIZE));
  fail_unless_equals_int (detections (out)->serial, 1);
  gst_buffer_unref (out);

  /* another model, with other planes: upstream is told */
  before = gst_harness_upstream_events_received (h);
  test_model_write_detector (path, "D1", "stretch", NULL, "2");
  g_signal_emit_by_name (e, "reload", &done);
  fail_unless (done);
  fail_unless (gst_harness_upstream_events_received (h) > before);
  out = gst_harness_push_and_pull (h, test_square (&info, 32, 32, SIZE));
  fail_unless_equals_int (detections (out)->serial, 2);
  fail_unless_equals_int (detections (out)->detections->len, 0);
  gst_buffer_unref (out);
  out = gst_harness_push_and_pull (h, test_square (&info, 64, 32, SIZE));
  check_box (out, 64, 32, SIZE, SIZE, 0.5f);
  gst_buffer_unref (out);

  /* a damaged file: one warning, the old model goes on */
  fail_unless (g_file_set_contents (path, "rubbish", -1, NULL));
  g_signal_emit_by_name (e, "reload", &done);
  fail_if (done);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  fail_unless (message != NULL);
  fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_WARNING);
  gst_message_unref (message);
  fail_unless (gst_bus_pop_filtered (
                   bus, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR) == NULL);
  out = gst_harness_push_and_pull (h, test_square (&info, 96, 32, SIZE));
  fail_unless_equals_int (detections (out)->serial, 2);
  check_box (out, 96, 32, SIZE, SIZE, 0.5f);
  gst_buffer_unref (out);

  gst_element_set_bus (e, NULL);
  gst_object_unref (bus);
  gst_object_unref (e);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Reloading and changing properties while frames go through. */
static gpointer
push_frames (gpointer data)
{
  GstHarness *h = data;
  GstVideoInfo info;
  GstCaps *caps = test_caps ("I420", WIDTH, HEIGHT);

  gst_video_info_from_caps (&info, caps);
  gst_caps_unref (caps);
  for (guint i = 0; i < 300; i++)
    gst_buffer_unref (gst_harness_push_and_pull (
        h, test_stamp (test_square (&info, 32 * (i % 4), 32, SIZE), i)));
  return NULL;
}

GST_START_TEST (test_reload_while_running)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (y_model, NULL, &info);
  GstElement *e = gst_harness_find_element (h, "qfusedetect");
  GThread *thread = g_thread_new ("frames", push_frames, h);

  for (guint i = 0; i < 40; i++) {
    gboolean done;

    g_object_set (e, "model-file", i & 1 ? y_model : d_model, "threshold",
        0.1f * (gfloat) (i % 9), "interval", 1 + i % 3, "max-detections", i,
        NULL);
    g_signal_emit_by_name (e, "reload", &done);
    fail_unless (done);
    g_usleep (1000);
  }
  g_thread_join (thread);
  fail_unless_equals_int (stat_value (h, "frames"), 300);
  fail_unless_equals_int (stat_value (h, "reloads"), 40);
  gst_object_unref (e);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A model that cannot be used: the start fails with one error message. */
static void
check_bad_model (const gchar *path, const gchar *part)
{
  GstElement *e = gst_element_factory_make ("qfusedetect", NULL);
  GstBus *bus = gst_bus_new ();
  GstMessage *message;
  GError *error = NULL;

  gst_element_set_bus (e, bus);
  g_object_set (e, "model-file", path, NULL);
  fail_unless_equals_int (
      gst_element_set_state (e, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  fail_unless (message != NULL);
  gst_message_parse_error (message, &error, NULL);
  fail_unless_equals_int (error->domain, GST_RESOURCE_ERROR);
  fail_unless (strstr (error->message, part) != NULL, "“%s” does not say “%s”",
      error->message, part);
  g_clear_error (&error);
  gst_message_unref (message);
  fail_unless (gst_bus_pop_filtered (
                   bus, GST_MESSAGE_ERROR | GST_MESSAGE_WARNING) == NULL);
  gst_element_set_state (e, GST_STATE_NULL);
  gst_element_set_bus (e, NULL);
  gst_object_unref (bus);
  gst_object_unref (e);
}

GST_START_TEST (test_bad_models)
{
  g_autofree gchar *missing = test_model_path ("missing.onnx");
  g_autofree gchar *empty = test_model_path ("empty.onnx");
  g_autofree gchar *rubbish = test_model_path ("rubbish.onnx");
  g_autofree gchar *cut = test_model_path ("cut.onnx");
  g_autofree gchar *bytes = NULL;
  gsize size;

  check_bad_model (NULL, "model-file");
  check_bad_model ("", "model-file");
  check_bad_model (missing, "missing.onnx");
  check_bad_model (g_get_tmp_dir (), g_get_tmp_dir ());
  fail_unless (g_file_set_contents (empty, "", 0, NULL));
  check_bad_model (empty, "empty.onnx");
  fail_unless (g_file_set_contents (rubbish, "this is no model", -1, NULL));
  check_bad_model (rubbish, "rubbish.onnx");
  fail_unless (g_file_get_contents (y_model, &bytes, &size, NULL));
  fail_unless (g_file_set_contents (cut, bytes, (gssize) size / 2, NULL));
  check_bad_model (cut, "cut.onnx");
}
GST_END_TEST;

/* Metadata that does not fit the graph. */
GST_START_TEST (test_bad_metadata)
{
  static const struct
  {
    const gchar *key, *value, *part;
  } cases[] = { { "qfuse.planes", "Y,D1", "qfuse.planes" },
    { "qfuse.planes", "Q7", "qfuse.planes" },
    { "qfuse.fit", "squeeze", "qfuse.fit" },
    { "qfuse.rate", "fast", "qfuse.rate" },
    { "qfuse.rate", "0/1", "qfuse.rate" }, { "qfuse.head", "nose", "nose" } };
  g_autofree gchar *path = test_model_path ("metadata.onnx");

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    QfModel *model = qf_model_load (y_model, NULL);

    fail_unless (model != NULL);
    qf_model_set (model, cases[i].key, cases[i].value);
    fail_unless (qf_model_save (model, path, NULL));
    qf_model_unref (model);
    check_bad_model (path, cases[i].part);
  }
}
GST_END_TEST;

GST_START_TEST (test_states)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (d_model, NULL, &info);
  GstElement *e = gst_harness_find_element (h, "qfusedetect");
  GstBuffer *out;

  for (guint i = 0; i < 3; i++) {
    GstCaps *caps = test_caps ("I420", WIDTH, HEIGHT);

    fail_unless_equals_int (
        gst_element_set_state (e, GST_STATE_PLAYING), GST_STATE_CHANGE_SUCCESS);
    gst_harness_set_src_caps (h, caps);
    out = gst_harness_push_and_pull (h, test_square (&info, 64, 32, SIZE));
    fail_unless_equals_int (detections (out)->detections->len, 0);
    gst_buffer_unref (out);
    out = gst_harness_push_and_pull (h, test_square (&info, 32, 32, SIZE));
    check_box (out, 32, 32, SIZE, SIZE, 0.5f);
    gst_buffer_unref (out);
    fail_unless_equals_int (stat_value (h, "frames"), 2);
    fail_unless_equals_int (
        gst_element_set_state (e, GST_STATE_NULL), GST_STATE_CHANGE_SUCCESS);
  }
  gst_object_unref (e);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_caps_refused)
{
  static const gchar *refused[] = { "video/x-raw,format=RGB16",
    "video/x-raw,format=v210", "video/x-h264", "audio/x-raw",
    "video/x-raw(memory:DMABuf),format=I420" };
  GstHarness *h = new_harness (y_model, NULL);
  GstPad *pad = gst_element_get_static_pad (h->element, "sink");

  for (guint i = 0; i < G_N_ELEMENTS (refused); i++) {
    GstCaps *caps = gst_caps_from_string (refused[i]);

    gst_caps_set_simple (caps, "width", G_TYPE_INT, 64, "height", G_TYPE_INT,
        48, "framerate", GST_TYPE_FRACTION, 25, 1, NULL);
    fail_if (gst_pad_query_accept_caps (pad, caps), "%s", refused[i]);
    gst_caps_unref (caps);
  }
  gst_object_unref (pad);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A size change in mid-stream. */
GST_START_TEST (test_new_caps)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (d_model, NULL, &info);
  GstCaps *caps = test_caps ("RGB", TEST_MODEL_WIDTH, TEST_MODEL_HEIGHT);
  GstBuffer *out;

  gst_buffer_unref (
      gst_harness_push_and_pull (h, test_square (&info, 0, 0, SIZE)));
  gst_video_info_from_caps (&info, caps);
  gst_harness_set_src_caps (h, caps);
  out = gst_harness_push_and_pull (h, test_square (&info, 16, 16, 16));
  fail_unless_equals_int (detections (out)->detections->len, 0);
  gst_buffer_unref (out);
  out = gst_harness_push_and_pull (h, test_square (&info, 32, 16, 16));
  check_box (out, 32, 16, 16, 16, 0.5f);
  fail_unless_equals_int (detections (out)->width, TEST_MODEL_WIDTH);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* The query is answered with the want, and FALSE. */
GST_START_TEST (test_query)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (d_model, NULL, &info);
  GstQuery *query = gst_qf_planes_query_new ();
  const GstQfWant *want;
  gchar *planes;
  GArray *wants;

  fail_if (gst_pad_peer_query (h->srcpad, query));
  wants = gst_qf_planes_query_wants (query);
  fail_unless_equals_int (wants->len, 1);
  want = &g_array_index (wants, GstQfWant, 0);
  planes = qf_planes_to_string (&want->planes);
  fail_unless_equals_string (planes, "D1");
  fail_unless_equals_int (want->width, TEST_MODEL_WIDTH);
  fail_unless_equals_int (want->height, TEST_MODEL_HEIGHT);
  fail_unless_equals_int (want->fit, QF_FIT_LETTERBOX);
  fail_unless_equals_int (want->rate_n, 0);
  g_free (planes);
  g_array_unref (wants);
  gst_query_unref (query);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Planes that travel on the buffer are taken: here they say that a square is
 * where the picture has none. Planes of another want are not. */
GST_START_TEST (test_planes_from_upstream)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (y_model, NULL, &info);
  GstQfWant want = { .width = TEST_MODEL_WIDTH,
    .height = TEST_MODEL_HEIGHT,
    .fit = QF_FIT_LETTERBOX,
    .rate_d = 1 };
  QfGeometry geometry;
  guint8 *planes = g_malloc0 (TEST_MODEL_WIDTH * TEST_MODEL_HEIGHT);
  GBytes *bytes;
  GstBuffer *in, *out;

  qf_geometry_init (&geometry, QF_FIT_LETTERBOX, WIDTH, HEIGHT, 1, 1,
      TEST_MODEL_WIDTH, TEST_MODEL_HEIGHT);
  for (gint y = 0; y < 16; y++)
    memset (planes + y * TEST_MODEL_WIDTH + 48, 200, 16);
  bytes = g_bytes_new_take (planes, TEST_MODEL_WIDTH * TEST_MODEL_HEIGHT);

  fail_unless (qf_planes_parse (&want.planes, "Y", NULL));
  in = test_square (&info, 32, 32, SIZE);
  gst_buffer_add_qf_planes_meta (in, &want, &geometry, bytes);
  out = gst_harness_push_and_pull (h, in);
  check_box (out, 96, 0, SIZE, SIZE, 0.5f);
  gst_buffer_unref (out);
  fail_unless_equals_int (stat_value (h, "upstream-planes"), 1);

  fail_unless (qf_planes_parse (&want.planes, "D1", NULL));
  in = test_square (&info, 32, 32, SIZE);
  gst_buffer_add_qf_planes_meta (in, &want, &geometry, bytes);
  out = gst_harness_push_and_pull (h, in);
  check_box (out, 32, 32, SIZE, SIZE, 0.5f);
  gst_buffer_unref (out);
  fail_unless_equals_int (stat_value (h, "upstream-planes"), 1);
  g_bytes_unref (bytes);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A buffer that is too small for its caps is an error, no crash. */
GST_START_TEST (test_short_buffer)
{
  GstVideoInfo info;
  GstHarness *h = new_i420_harness (y_model, NULL, &info);

  fail_unless_equals_int (
      gst_harness_push (h, gst_harness_create_buffer (h, 100)), GST_FLOW_ERROR);
  gst_harness_teardown (h);
}
GST_END_TEST;

static Suite *
qfusedetect_suite (void)
{
  Suite *s = suite_create ("qfusedetect");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_checked_fixture (tc, setup, teardown);
  tcase_add_test (tc, test_every_format);
  tcase_add_test (tc, test_geometry);
  tcase_add_test (tc, test_strides_and_crop);
  tcase_add_test (tc, test_differences);
  tcase_add_test (tc, test_sparse);
  tcase_add_test (tc, test_not_sparse);
  tcase_add_test (tc, test_interval);
  tcase_add_test (tc, test_interval_flush);
  tcase_add_test (tc, test_interval_hole);
  tcase_add_test (tc, test_regions);
  tcase_add_test (tc, test_two_in_a_row);
  tcase_add_test (tc, test_action);
  tcase_add_test (tc, test_thresholds);
  tcase_add_test (tc, test_passes_on);
  tcase_add_test (tc, test_no_copy);
  tcase_add_test (tc, test_no_copy_behind_tee);
  tcase_add_test (tc, test_reload);
  tcase_add_test (tc, test_reload_while_running);
  tcase_add_test (tc, test_bad_models);
  tcase_add_test (tc, test_bad_metadata);
  tcase_add_test (tc, test_states);
  tcase_add_test (tc, test_caps_refused);
  tcase_add_test (tc, test_new_caps);
  tcase_add_test (tc, test_query);
  tcase_add_test (tc, test_planes_from_upstream);
  tcase_add_test (tc, test_short_buffer);
  return s;
}

GST_CHECK_MAIN (qfusedetect);
