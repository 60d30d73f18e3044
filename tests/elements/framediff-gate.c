/* GStreamer qfuse: tests: framediff drop-still=true.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>

#include "gstqfmotionmeta.h"
#include "testframes.h"

#define WIDTH 160
#define HEIGHT 120
#define BYTES (WIDTH * HEIGHT * 3 / 2)
#define FRAME (40 * GST_MSECOND)

static GstBuffer *
frame (const GstVideoInfo *info, guint n, gboolean moves)
{
  return test_stamp (
      test_square (info, (gint) (4 * n) % 130, 40, moves ? 24 : 0), n);
}

static void
push (GstHarness *h, const GstVideoInfo *info, guint from, guint to,
    gboolean moves)
{
  for (guint n = from; n < to; n++)
    fail_unless_equals_int (
        gst_harness_push (h, frame (info, n, moves)), GST_FLOW_OK);
}

/* Frames @from … @to − 1 come out next, the first of them after dropped ones,
 * as they went in but for that. */
static void
check_passed (GstHarness *h, guint from, guint to, gboolean first)
{
  for (guint n = from; n < to; n++) {
    GstBuffer *out = gst_harness_try_pull (h);

    fail_unless (out != NULL, "no frame %u", n);
    fail_unless_equals_uint64 (GST_BUFFER_PTS (out), n * FRAME);
    fail_unless_equals_uint64 (GST_BUFFER_DURATION (out), FRAME);
    fail_unless (GST_BUFFER_FLAG_IS_SET (out, GST_BUFFER_FLAG_DISCONT) ==
            (first && n == from),
        "frame %u", n);
    /* the first may be the stream's first, of which nothing is known */
    fail_unless (n == from || qfuse_buffer_get_motion (out), "frame %u", n);
    gst_buffer_unref (out);
  }
}

static void
check_nothing (GstHarness *h)
{
  GstBuffer *out = gst_harness_try_pull (h);

  fail_unless (out == NULL, "frame %u", (guint) (GST_BUFFER_PTS (out) / FRAME));
}

/* The end of the last GAP event; checks that they are in order and few. */
static GstClockTime
end_of_gaps (GstHarness *h, guint *n_gaps)
{
  GstClockTime end = 0, start, duration;
  GstEvent *event;

  *n_gaps = 0;
  while ((event = gst_harness_try_pull_event (h))) {
    if (GST_EVENT_TYPE (event) == GST_EVENT_GAP) {
      gst_event_parse_gap (event, &start, &duration);
      fail_unless (start >= end);
      end = start + duration;
      ++*n_gaps;
    }
    gst_event_unref (event);
  }
  return end;
}

GST_START_TEST (test_drop_still)
{
  GstVideoInfo info;
  GstHarness *h = test_harness (
      "framediff output=planes drop-still=true", WIDTH, HEIGHT, &info);
  guint n_gaps;

  push (h, &info, 0, 1, FALSE);
  fail_unless_equals_uint64 (end_of_gaps (h, &n_gaps), FRAME);
  fail_unless_equals_int (n_gaps, 1); /* a sink prerolls on it */
  push (h, &info, 1, 100, FALSE);
  check_nothing (h);
  fail_unless (end_of_gaps (h, &n_gaps) >= 75 * FRAME);
  fail_unless (n_gaps >= 3 && n_gaps <= 5, "%u", n_gaps);
  push (h, &info, 100, 120, TRUE);
  check_passed (h, 100, 120, TRUE);
  push (h, &info, 120, 190, FALSE);
  check_passed (h, 120, 145, FALSE); /* the second after frame 119 */
  check_nothing (h);
  push (h, &info, 190, 192, TRUE);
  check_passed (h, 190, 192, TRUE);
  fail_unless (end_of_gaps (h, &n_gaps) <= 190 * FRAME);
  fail_unless (n_gaps >= 1);
  fail_unless_equals_uint64 (gst_harness_query_latency (h), 0);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* In image mode too: what passes is the picture of the difference. */
GST_START_TEST (test_image)
{
  GstVideoInfo info;
  GstHarness *h =
      test_harness ("framediff mode=absolute drop-still=true post-roll=0",
          WIDTH, HEIGHT, &info);

  push (h, &info, 0, 60, FALSE);
  push (h, &info, 60, 70, TRUE);
  push (h, &info, 70, 80, FALSE);
  check_passed (h, 60, 70, TRUE);
  check_nothing (h);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_pre_roll)
{
  GstVideoInfo info;
  GstHarness *h = test_harness (
      "framediff output=planes drop-still=true pre-roll=0.4 post-roll=0.2",
      WIDTH, HEIGHT, &info);
  guint n_gaps;

  push (h, &info, 0, 100, FALSE);
  check_nothing (h);
  /* what is held may still come */
  fail_unless (end_of_gaps (h, &n_gaps) <= 90 * FRAME);
  fail_unless (n_gaps >= 2);
  push (h, &info, 100, 110, TRUE);
  check_passed (h, 90, 110, TRUE);
  push (h, &info, 110, 130, FALSE);
  check_passed (h, 110, 115, FALSE);
  check_nothing (h);
  push (h, &info, 130, 131, TRUE);
  check_passed (h, 120, 131, TRUE);
  fail_unless_equals_uint64 (gst_harness_query_latency (h), 400 * GST_MSECOND);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Pauses shorter than the pre-roll leave nothing out and set no DISCONT. */
GST_START_TEST (test_short_pause)
{
  GstVideoInfo info;
  GstHarness *h = test_harness (
      "framediff output=planes drop-still=true pre-roll=1 post-roll=0.2", WIDTH,
      HEIGHT, &info);

  push (h, &info, 0, 60, FALSE);
  push (h, &info, 60, 62, TRUE);
  check_passed (h, 35, 62, TRUE);
  push (h, &info, 62, 80, FALSE);
  push (h, &info, 80, 82, TRUE);
  check_passed (h, 62, 82, FALSE);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Room for three frames: the last three before motion, and one warning. */
GST_START_TEST (test_max_bytes)
{
  GstVideoInfo info;
  gchar *line = g_strdup_printf ("framediff output=planes drop-still=true "
                                 "pre-roll=2 max-bytes=%d",
      3 * BYTES + 5);
  GstHarness *h = test_harness (line, WIDTH, HEIGHT, &info);
  GstElement *e = gst_harness_find_element (h, "framediff");
  GstBus *bus = gst_bus_new ();
  GstMessage *m;

  gst_element_set_bus (e, bus);
  push (h, &info, 0, 60, FALSE);
  push (h, &info, 60, 61, TRUE);
  check_passed (h, 57, 61, TRUE);
  m = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING);
  fail_unless (m != NULL);
  gst_message_unref (m);
  g_object_set (e, "max-bytes", (guint64) 10, NULL);
  push (h, &info, 61, 120, FALSE);
  check_passed (h, 61, 86, FALSE);
  push (h, &info, 120, 121, TRUE);
  check_passed (h, 120, 121, TRUE);
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING) == NULL);
  gst_element_set_bus (e, NULL);
  gst_object_unref (bus);
  gst_object_unref (e);
  gst_harness_teardown (h);
  g_free (line);
}
GST_END_TEST;

/* What is held belongs to the stream before: a flush, a segment, other caps and
 * the end leave it out. */
GST_START_TEST (test_held_is_dropped)
{
  for (guint end = 0; end < 4; end++) {
    GstVideoInfo info;
    GstHarness *h =
        test_harness ("framediff output=planes drop-still=true pre-roll=1",
            WIDTH, HEIGHT, &info);
    GstSegment segment;

    push (h, &info, 0, 60, FALSE);
    gst_segment_init (&segment, GST_FORMAT_TIME);
    if (end == 0) {
      gst_harness_push_event (h, gst_event_new_flush_start ());
      gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
      gst_harness_push_event (h, gst_event_new_segment (&segment));
    } else if (end == 1) {
      segment.base = 10 * GST_SECOND;
      gst_harness_push_event (h, gst_event_new_segment (&segment));
    } else if (end == 2) {
      gst_harness_set_src_caps (h, test_caps ("I420", WIDTH + 16, HEIGHT));
      gst_video_info_set_format (
          &info, GST_VIDEO_FORMAT_I420, WIDTH + 16, HEIGHT);
    } else {
      gst_harness_push_event (h, gst_event_new_eos ());
      check_nothing (h);
      gst_harness_teardown (h);
      continue;
    }
    push (h, &info, 60, 80, FALSE);
    push (h, &info, 80, 81, TRUE);
    check_passed (h, 60, 81, TRUE);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

/* Switched off, it passes everything; on again, it starts closed. Latency is
 * told anew. */
GST_START_TEST (test_while_playing)
{
  GstVideoInfo info;
  GstHarness *h = test_harness (
      "framediff output=planes find-motion=true", WIDTH, HEIGHT, &info);
  GstElement *e = gst_harness_find_element (h, "framediff");
  GstBus *bus = gst_bus_new ();
  GstMessage *m;

  gst_element_set_bus (e, bus);
  push (h, &info, 0, 60, FALSE);
  check_passed (h, 0, 60, FALSE);
  g_object_set (e, "drop-still", TRUE, NULL);
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_LATENCY) == NULL);
  push (h, &info, 60, 70, FALSE);
  check_nothing (h);
  g_object_set (e, "pre-roll", 0.08, NULL);
  m = gst_bus_pop_filtered (bus, GST_MESSAGE_LATENCY);
  fail_unless (m != NULL);
  gst_message_unref (m);
  fail_unless_equals_uint64 (gst_harness_query_latency (h), 80 * GST_MSECOND);
  push (h, &info, 70, 80, FALSE);
  push (h, &info, 80, 81, TRUE);
  check_passed (h, 78, 81, TRUE);
  g_object_set (e, "drop-still", FALSE, NULL);
  m = gst_bus_pop_filtered (bus, GST_MESSAGE_LATENCY);
  fail_unless (m != NULL);
  gst_message_unref (m);
  push (h, &info, 81, 140, FALSE);
  check_passed (h, 81, 140, FALSE);
  g_object_set (e, "drop-still", TRUE, NULL);
  push (h, &info, 140, 150, FALSE);
  check_nothing (h);
  g_object_set (e, "drop-still", FALSE, NULL);
  push (h, &info, 150, 155, FALSE);
  check_passed (h, 150, 155, TRUE);
  gst_element_set_bus (e, NULL);
  gst_object_unref (bus);
  gst_object_unref (e);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Frames without timestamps: each counts 40 ms, and nobody is told of gaps. */
GST_START_TEST (test_untimed)
{
  GstVideoInfo info;
  GstHarness *h = test_harness (
      "framediff output=planes drop-still=true pre-roll=0.2 post-roll=0.2",
      WIDTH, HEIGHT, &info);
  guint n_gaps, passed = 0;
  GstBuffer *out;

  for (guint n = 0; n < 100; n++) {
    GstBuffer *in = frame (&info, n, n == 60);

    GST_BUFFER_PTS (in) = GST_BUFFER_DURATION (in) = GST_CLOCK_TIME_NONE;
    fail_unless_equals_int (gst_harness_push (h, in), GST_FLOW_OK);
    while ((out = gst_harness_try_pull (h))) {
      gst_buffer_unref (out);
      passed++;
    }
  }
  fail_unless_equals_int (passed, 5 + 1 + 5);
  end_of_gaps (h, &n_gaps);
  fail_unless_equals_int (n_gaps, 0);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* No input is held: a pool of two buffers is enough, in all modes. */
GST_START_TEST (test_pool_of_two)
{
  static const gchar *const lines[] = {
    "framediff",
    "framediff reference=mean distance=8",
    "framediff reference=background noise-adaptive=true",
    "framediff mode=highlight",
    "framediff output=planes find-motion=true attach-regions=true",
    "framediff output=planes drop-still=true",
    "framediff output=planes drop-still=true pre-roll=2",
  };

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++) {
    GstVideoInfo info;
    GstHarness *h = test_harness (lines[i], WIDTH, HEIGHT, &info);
    GstBufferPool *pool = gst_buffer_pool_new ();
    GstStructure *config = gst_buffer_pool_get_config (pool);
    GstBufferPoolAcquireParams params = {
      .flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT
    };

    gst_buffer_pool_config_set_params (config, NULL, BYTES, 2, 2);
    fail_unless (gst_buffer_pool_set_config (pool, config));
    fail_unless (gst_buffer_pool_set_active (pool, TRUE));
    gst_harness_set_drop_buffers (h, TRUE);
    for (guint n = 0; n < 40; n++) {
      GstBuffer *in, *other;

      fail_unless_equals_int (
          gst_buffer_pool_acquire_buffer (pool, &in, &params), GST_FLOW_OK);
      fail_unless_equals_int (
          gst_buffer_pool_acquire_buffer (pool, &other, &params), GST_FLOW_OK);
      gst_buffer_unref (other);
      gst_buffer_memset (in, 0, (guint8) (16 + n), BYTES);
      fail_unless_equals_int (
          gst_harness_push (h, test_stamp (in, n)), GST_FLOW_OK);
    }
    gst_buffer_pool_set_active (pool, FALSE);
    gst_object_unref (pool);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

/* ---- pipelines ----------------------------------------------------------- */

static void
run (const gchar *line)
{
  GstElement *pipeline = gst_parse_launch (line, NULL);
  GstMessage *m;

  fail_unless (pipeline != NULL, "%s", line);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  m = gst_bus_timed_pop_filtered (GST_ELEMENT_BUS (pipeline), 20 * GST_SECOND,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless (m && GST_MESSAGE_TYPE (m) == GST_MESSAGE_EOS,
      "%s: %" GST_PTR_FORMAT, line, m);
  gst_message_unref (m);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
}

static void
count (GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer frames)
{
  g_array_append_val ((GArray *) frames, GST_BUFFER_PTS (buffer));
}

/* Plays @file to its end and returns the timestamps of its frames. */
static GArray *
play (const gchar *file, const gchar *demux)
{
  g_autofree gchar *line =
      g_strdup_printf ("filesrc location=%s ! %s ! jpegdec ! fakesink name=s "
                       "signal-handoffs=true",
          file, demux);
  GArray *frames = g_array_new (FALSE, FALSE, sizeof (GstClockTime));
  GstElement *pipeline = gst_parse_launch (line, NULL), *sink;
  GstMessage *m;

  sink = gst_bin_get_by_name (GST_BIN (pipeline), "s");
  g_signal_connect (sink, "handoff", G_CALLBACK (count), frames);
  gst_object_unref (sink);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  m = gst_bus_timed_pop_filtered (GST_ELEMENT_BUS (pipeline), 20 * GST_SECOND,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless (m && GST_MESSAGE_TYPE (m) == GST_MESSAGE_EOS);
  gst_message_unref (m);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (pipeline);
  return frames;
}

/* Twice something moves: the file holds both, and the time between them. */
GST_START_TEST (test_recording)
{
  g_autofree gchar *folder = g_dir_make_tmp ("record-XXXXXX", NULL);
  g_autofree gchar *file = g_build_filename (folder, "motion.mkv", NULL);
  g_autofree gchar *line = g_strdup_printf (
      "framediff output=planes drop-still=true pre-roll=0.2 post-roll=0.4 ! "
      "jpegenc ! matroskamux ! filesink location=%s",
      file);
  GstVideoInfo info;
  GstHarness *h = test_harness (line, WIDTH, HEIGHT, &info);
  GArray *frames;

  gst_harness_play (h);
  push (h, &info, 0, 60, FALSE);
  push (h, &info, 60, 70, TRUE);
  push (h, &info, 70, 200, FALSE);
  push (h, &info, 200, 210, TRUE);
  push (h, &info, 210, 240, FALSE);
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  gst_harness_teardown (h);

  frames = play (file, "matroskademux");
  fail_unless_equals_int (frames->len, 2 * (5 + 10 + 10));
  fail_unless_equals_uint64 (g_array_index (frames, GstClockTime, 25) -
          g_array_index (frames, GstClockTime, 0),
      140 * FRAME);
  g_array_unref (frames);
  g_remove (file);
  g_rmdir (folder);
}
GST_END_TEST;

/* What is held keeps no sink from its preroll: the other branch of a tee would
 * fill up and stop the source. A live stream (as a harness is) is not told. */
GST_START_TEST (test_sink_prerolls)
{
  GstVideoInfo info;
  GstHarness *h =
      test_harness ("framediff output=planes drop-still=true pre-roll=3600",
          WIDTH, HEIGHT, &info);
  guint n_gaps;

  push (h, &info, 0, 20, FALSE);
  check_nothing (h);
  end_of_gaps (h, &n_gaps);
  fail_unless_equals_int (n_gaps, 0);
  gst_harness_teardown (h);
  run ("videotestsrc num-buffers=60 pattern=black ! "
       "video/x-raw,format=I420,width=64,height=48,framerate=25/1 ! tee name=t "
       "t. ! queue max-size-buffers=5 ! fakesink "
       "t. ! queue ! framediff output=planes drop-still=true pre-roll=2 ! "
       "fakesink");
}
GST_END_TEST;

/* A stream in which nothing moves ends as any other, to the sink and to a file;
 * and a live one prerolls, plays and ends in time. */
GST_START_TEST (test_nothing_moves)
{
  static const gchar *const tails[] = { "fakesink", "fakesink sync=true",
    "queue ! fakesink", "jpegenc ! matroskamux ! fakesink",
    "theoraenc ! oggmux ! fakesink", "jpegenc ! avimux ! fakesink" };
  gint64 before;

  for (guint i = 0; i < G_N_ELEMENTS (tails); i++) {
    g_autofree gchar *line = g_strdup_printf (
        "videotestsrc num-buffers=15 pattern=black ! "
        "video/x-raw,format=I420,width=64,height=48,framerate=30/1 ! "
        "framediff output=planes drop-still=true pre-roll=%s ! %s",
        i & 1 ? "0" : "0.1", tails[i]);

    run (line);
  }
  before = g_get_monotonic_time ();
  run ("videotestsrc num-buffers=15 pattern=black is-live=true ! "
       "video/x-raw,format=I420,width=64,height=48,framerate=30/1 ! "
       "framediff output=planes drop-still=true pre-roll=0.1 ! "
       "fakesink sync=true");
  before = g_get_monotonic_time () - before;
  fail_unless (before > 400 * 1000 && before < 5 * G_USEC_PER_SEC);
}
GST_END_TEST;

static Suite *
framediff_gate_suite (void)
{
  Suite *s = suite_create ("framediff-gate");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_drop_still);
  tcase_add_test (tc, test_image);
  tcase_add_test (tc, test_pre_roll);
  tcase_add_test (tc, test_short_pause);
  tcase_add_test (tc, test_max_bytes);
  tcase_add_test (tc, test_held_is_dropped);
  tcase_add_test (tc, test_while_playing);
  tcase_add_test (tc, test_untimed);
  tcase_add_test (tc, test_pool_of_two);
  tcase_add_test (tc, test_recording);
  tcase_add_test (tc, test_sink_prerolls);
  tcase_add_test (tc, test_nothing_moves);
  return s;
}

GST_CHECK_MAIN (framediff_gate);
