/* GStreamer qfuse: tests: a network that would see what it saw does not run.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfmeta-private.h"
#include "testframes.h"
#include "testmodel.h"

#define WIDTH (2 * TEST_MODEL_WIDTH)
#define HEIGHT (2 * TEST_MODEL_HEIGHT)
#define SIZE (2 * TEST_MODEL_CELL)

static gchar *model;

static void
setup (void)
{
  model = test_model_path ("reuse.onnx");
}

static void
teardown (void)
{
  test_model_cleanup ();
  g_clear_pointer (&model, g_free);
}

static GstHarness *
new_harness (const gchar *more, gint width, gint height, GstVideoInfo *info)
{
  gchar *line =
      g_strdup_printf ("qfusedetect model-file=%s %s", model, more ? more : "");
  GstHarness *h = gst_harness_new_parse (line);
  GstCaps *caps = test_caps ("I420", width, height);

  g_free (line);
  gst_video_info_from_caps (info, caps);
  gst_harness_set_src_caps (h, caps);
  return h;
}

static GstBuffer *
push (GstHarness *h, GstBuffer *buffer)
{
  GstBuffer *out = gst_harness_push_and_pull (h, buffer);

  fail_unless (out && qfuse_buffer_get_detections (out));
  return out;
}

/* Counters of the detector: network runs and frames that needed none. */
static void
check_stats (GstHarness *h, guint64 inferences, guint64 reused)
{
  GstElement *e = gst_harness_find_element (h, "qfusedetect");
  guint64 ran = 0, spared = 0;
  GstStructure *stats;

  g_object_get (e, "stats", &stats, NULL);
  fail_unless (gst_structure_get (stats, "inferences", G_TYPE_UINT64, &ran,
      "reused", G_TYPE_UINT64, &spared, NULL));
  fail_unless_equals_uint64 (ran, inferences);
  fail_unless_equals_uint64 (spared, reused);
  gst_structure_free (stats);
  gst_object_unref (e);
}

/* Both metas say the same, byte for byte. */
static void
check_same (GstBuffer *a, GstBuffer *b)
{
  QfuseDetectionsMeta *x = qfuse_buffer_get_detections (a);
  QfuseDetectionsMeta *y = qfuse_buffer_get_detections (b);

  fail_unless_equals_int (x->detections->len, y->detections->len);
  fail_unless (x->detections->len == 0 ||
      memcmp (x->detections->data, y->detections->data,
          x->detections->len * sizeof (QfuseDetection)) == 0);
  fail_unless_equals_int (x->width, y->width);
  fail_unless_equals_int (x->height, y->height);
  fail_unless_equals_int (x->action_id, y->action_id);
  fail_unless (x->action == y->action && x->action_score == y->action_score);
  fail_unless_equals_uint64 (x->serial, y->serial);
  fail_unless_equals_int (x->carried, y->carried);
}

/* What a detector says that has seen nothing before. */
static void
check_as_fresh (GstBuffer *out, const gchar *more, gint x, gint y, gint size,
    gint width, gint height)
{
  GstVideoInfo info;
  GstHarness *h = new_harness (more, width, height, &info);
  GstBuffer *fresh = push (h, test_square (&info, x, y, size));

  check_same (out, fresh);
  gst_buffer_unref (fresh);
  gst_harness_teardown (h);
}

GST_START_TEST (test_repeated)
{
  static const struct
  {
    gint x;
    guint64 ran, reused;
  } frames[] = { { 32, 1, 0 }, { 32, 1, 1 }, { 64, 2, 1 }, { 64, 2, 2 },
    { 64, 2, 3 }, { 32, 3, 3 } };
  GstVideoInfo info;
  GstHarness *h;

  test_model_write_detector (model, "Y", "letterbox", NULL, "1");
  h = new_harness ("threshold=0.2", WIDTH, HEIGHT, &info);
  for (guint i = 0; i < G_N_ELEMENTS (frames); i++) {
    GstBuffer *out =
        push (h, test_stamp (test_square (&info, frames[i].x, 32, SIZE), i));

    fail_unless_equals_int (
        qfuse_buffer_get_detections (out)->detections->len, 1);
    check_as_fresh (out, "threshold=0.2", frames[i].x, 32, SIZE, WIDTH, HEIGHT);
    check_stats (h, frames[i].ran, frames[i].reused);
    gst_buffer_unref (out);
  }
  gst_harness_teardown (h);
}
GST_END_TEST;

/* One code in one corner is another input. */
GST_START_TEST (test_almost_repeated)
{
  GstVideoInfo info;
  GstHarness *h;
  GstBuffer *in;
  GstMapInfo map;

  test_model_write_detector (model, "Y", "letterbox", NULL, "1");
  h = new_harness (NULL, TEST_MODEL_WIDTH, TEST_MODEL_HEIGHT, &info);
  gst_buffer_unref (push (h, test_square (&info, 32, 16, 16)));
  in = test_square (&info, 32, 16, 16);
  fail_unless (gst_buffer_map (in, &map, GST_MAP_WRITE));
  map.data[TEST_MODEL_WIDTH * TEST_MODEL_HEIGHT - 1]++;
  gst_buffer_unmap (in, &map);
  gst_buffer_unref (push (h, in));
  check_stats (h, 2, 0);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* What is read out of the network's result changes, the network need not run.
 */
GST_START_TEST (test_settings_change)
{
  static const struct
  {
    gfloat threshold;
    guint max, found;
  } cases[] = { { 0.6f, 100, 1 }, { 0, 100, 12 }, { 0, 5, 5 }, { 0.999f, 5, 0 },
    { -1, 0, 1 } };
  GstVideoInfo info;
  GstHarness *h;

  test_model_write_detector (model, "Y", "letterbox", NULL, "1");
  h = new_harness (NULL, WIDTH, HEIGHT, &info);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *set = g_strdup_printf (
        "threshold=%g max-detections=%u", cases[i].threshold, cases[i].max);
    GstBuffer *out;

    gst_harness_set (h, "qfusedetect", "threshold", cases[i].threshold,
        "max-detections", cases[i].max, NULL);
    out = push (h, test_square (&info, 32, 32, SIZE));
    fail_unless_equals_int (
        qfuse_buffer_get_detections (out)->detections->len, cases[i].found);
    check_as_fresh (out, set, 32, 32, SIZE, WIDTH, HEIGHT);
    check_stats (h, 1, i);
    gst_buffer_unref (out);
  }
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Half the size gives the same input, but boxes in other pixels. */
GST_START_TEST (test_size_changes)
{
  GstVideoInfo info;
  GstHarness *h;
  GstBuffer *out;

  test_model_write_detector (model, "Y", "letterbox", NULL, "1");
  h = new_harness (NULL, WIDTH, HEIGHT, &info);
  gst_buffer_unref (push (h, test_square (&info, 32, 32, SIZE)));
  gst_harness_set_src_caps (
      h, test_caps ("I420", TEST_MODEL_WIDTH, TEST_MODEL_HEIGHT));
  gst_video_info_set_format (
      &info, GST_VIDEO_FORMAT_I420, TEST_MODEL_WIDTH, TEST_MODEL_HEIGHT);
  out = push (h, test_square (&info, 16, 16, 16));
  check_stats (h, 1, 1);
  check_as_fresh (out, NULL, 16, 16, 16, TEST_MODEL_WIDTH, TEST_MODEL_HEIGHT);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A model that is loaded anew runs, also where it is the same file. */
GST_START_TEST (test_reload)
{
  gboolean done = FALSE;
  GstVideoInfo info;
  GstElement *e;
  GstHarness *h;
  GstBuffer *out;

  test_model_write_detector (model, "Y", "letterbox", NULL, "1");
  h = new_harness (NULL, WIDTH, HEIGHT, &info);
  e = gst_harness_find_element (h, "qfusedetect");
  gst_buffer_unref (push (h, test_square (&info, 32, 32, SIZE)));
  for (guint i = 0; i < 2; i++) {
    g_signal_emit_by_name (e, "reload", &done);
    fail_unless (done);
    gst_buffer_unref (push (h, test_square (&info, 32, 32, SIZE)));
    check_stats (h, 2 + i, 0);
  }
  test_model_write_detector (model, "Y", "stretch", NULL, "5");
  g_signal_emit_by_name (e, "reload", &done);
  fail_unless (done);
  for (guint i = 0; i < 2; i++) {
    out = push (h, test_square (&info, 32, 32, SIZE));
    check_as_fresh (out, NULL, 32, 32, SIZE, WIDTH, HEIGHT);
    check_stats (h, 4, i);
    gst_buffer_unref (out);
  }
  gst_object_unref (e);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* As videorate fills a gap: the flag stays, the network rests. */
GST_START_TEST (test_gap)
{
  GstVideoInfo info;
  GstHarness *h;
  GstBuffer *in, *out;

  test_model_write_detector (model, "Y", "letterbox", NULL, "1");
  h = new_harness (NULL, WIDTH, HEIGHT, &info);
  in = test_stamp (test_square (&info, 32, 32, SIZE), 0);
  gst_buffer_unref (push (h, gst_buffer_copy (in)));
  GST_BUFFER_FLAG_SET (in, GST_BUFFER_FLAG_GAP);
  out = push (h, test_stamp (in, 1));
  fail_unless (GST_BUFFER_FLAG_IS_SET (out, GST_BUFFER_FLAG_GAP));
  check_as_fresh (out, NULL, 32, 32, SIZE, WIDTH, HEIGHT);
  check_stats (h, 1, 1);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Behind differences a still scene repeats, however long it moved before; with
 * an interval only the frames that would run count. */
GST_START_TEST (test_still_scene)
{
  static const gint xs[] = { 0, 32, 32, 32, 32, 32 };
  static const guint found[] = { 0, 1, 0, 0, 0, 0 };
  GstVideoInfo info;
  GstHarness *h;

  test_model_write_detector (model, "D1t8", "letterbox", NULL, "1");
  h = new_harness (NULL, WIDTH, HEIGHT, &info);
  for (guint i = 0; i < G_N_ELEMENTS (xs); i++) {
    GstBuffer *out =
        push (h, test_stamp (test_square (&info, xs[i], 32, SIZE), i));

    fail_unless_equals_int (
        qfuse_buffer_get_detections (out)->detections->len, found[i]);
    fail_if (qfuse_buffer_get_detections (out)->carried);
    gst_buffer_unref (out);
  }
  check_stats (h, 3, 3);
  gst_harness_teardown (h);

  h = new_harness ("interval=2", WIDTH, HEIGHT, &info);
  for (guint i = 0; i < 6; i++) {
    GstBuffer *out = push (h, test_stamp (test_square (&info, 0, 0, SIZE), i));

    fail_unless_equals_int (qfuse_buffer_get_detections (out)->carried, i & 1);
    gst_buffer_unref (out);
  }
  check_stats (h, 1, 2);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* In a classifier the result lies where the input lay. */
GST_START_TEST (test_action)
{
  GstVideoInfo info;
  GstHarness *h;
  GstBuffer *out;

  test_model_write_classifier (model, "Y");
  h = new_harness (NULL, WIDTH, HEIGHT, &info);
  for (guint i = 0; i < 3; i++) {
    out = push (h, test_square (&info, 32, 32, SIZE));
    check_as_fresh (out, NULL, 32, 32, SIZE, WIDTH, HEIGHT);
    check_stats (h, 1, i);
    gst_buffer_unref (out);
  }
  out = push (h, test_square (&info, 0, 0, 2 * WIDTH));
  check_as_fresh (out, NULL, 0, 0, 2 * WIDTH, WIDTH, HEIGHT);
  check_stats (h, 2, 2);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

static Suite *
planes_reuse_suite (void)
{
  Suite *s = suite_create ("planes-reuse");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_checked_fixture (tc, setup, teardown);
  tcase_add_test (tc, test_repeated);
  tcase_add_test (tc, test_almost_repeated);
  tcase_add_test (tc, test_settings_change);
  tcase_add_test (tc, test_size_changes);
  tcase_add_test (tc, test_reload);
  tcase_add_test (tc, test_gap);
  tcase_add_test (tc, test_still_scene);
  tcase_add_test (tc, test_action);
  return s;
}

GST_CHECK_MAIN (planes_reuse);
