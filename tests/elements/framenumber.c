/* GStreamer qfuse: tests: numbers of frames.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>

#include <glib/gstdio.h>

#include "gstqfmeta.h"
#include "gstqfnumber.h"

#define MS(t) ((GstClockTime) ((t) *1e6 + 0.5))

static void
send (GstQfNumber *n, GstEvent *event)
{
  gst_qf_number_event (n, event);
  gst_event_unref (event);
}

static void
send_caps (GstQfNumber *n, gint fps_n, gint fps_d)
{
  GstCaps *caps = gst_caps_new_simple (
      "video/x-raw", "framerate", GST_TYPE_FRACTION, fps_n, fps_d, NULL);

  send (n, gst_event_new_caps (caps));
  gst_caps_unref (caps);
}

/* start, time: where the segment begins, ns */
static void
send_segment (
    GstQfNumber *n, GstClockTime start, GstClockTime time, GstClockTime base)
{
  GstSegment s;

  gst_segment_init (&s, GST_FORMAT_TIME);
  s.start = s.position = start;
  s.time = time;
  s.base = base;
  send (n, gst_event_new_segment (&s));
}

static void
begin (GstQfNumber *n, gint fps_n, gint fps_d)
{
  gst_qf_number_init (n);
  send (n, gst_event_new_stream_start ("a"));
  send_caps (n, fps_n, fps_d);
  send_segment (n, 0, 0, 0);
}

static void
flush (GstQfNumber *n)
{
  send (n, gst_event_new_flush_start ());
  send (n, gst_event_new_flush_stop (TRUE));
}

static gint
next (GstQfNumber *n, GstClockTime pts, GstElement *element)
{
  GstBuffer *buffer = gst_buffer_new ();
  gint number;

  GST_BUFFER_PTS (buffer) = pts;
  number = gst_qf_number_next (n, buffer, element, NULL);
  gst_buffer_unref (buffer);
  return number;
}

/* Timestamps rounded to milliseconds, as Matroska has them, over hours. */
GST_START_TEST (test_milliseconds)
{
  static const gint rates[][2] = { { 10, 1 }, { 24000, 1001 }, { 25, 1 },
    { 30000, 1001 }, { 60, 1 }, { 120, 1 }, { 240, 1 } };

  for (guint r = 0; r < G_N_ELEMENTS (rates); r++) {
    GstQfNumber n;

    begin (&n, rates[r][0], rates[r][1]);
    for (gint i = 0; i < 500000; i += i < 1000 ? 1 : 97) {
      gdouble ms = 1000.0 * i * rates[r][1] / rates[r][0];

      fail_unless_equals_int (next (&n, MS ((gint64) (ms + 0.5)), NULL), i + 1);
    }
    fail_if (n.counting);
  }
}
GST_END_TEST;

/* The first frame of a stream is frame 1 whenever it comes. */
GST_START_TEST (test_first_frame)
{
  GstQfNumber n;

  begin (&n, 25, 1);
  fail_unless_equals_int (next (&n, MS (1480), NULL), 1);
  fail_unless_equals_int (next (&n, MS (1520), NULL), 2);
  /* one frame was dropped */
  fail_unless_equals_int (next (&n, MS (1600), NULL), 4);
  /* before the first: has no number */
  fail_unless_equals_int (next (&n, MS (1400), NULL), 0);
  fail_unless_equals_int (next (&n, MS (1640), NULL), 5);

  /* the same stream's event, sent again */
  {
    GstEvent *e = gst_event_new_stream_start ("b");

    gst_qf_number_event (&n, e);
    fail_unless_equals_int (next (&n, MS (2000), NULL), 1);
    gst_qf_number_event (&n, e);
    fail_unless_equals_int (next (&n, MS (2040), NULL), 2);
    gst_event_unref (e);
  }
  /* the next clip, of the same name */
  send (&n, gst_event_new_stream_start ("b"));
  fail_unless_equals_int (next (&n, MS (2080), NULL), 1);
}
GST_END_TEST;

GST_START_TEST (test_seek)
{
  GstQfNumber n;
  GstBuffer *buffer = gst_buffer_new ();
  GstClockTime time;

  begin (&n, 25, 1);
  fail_unless_equals_int (next (&n, MS (80), NULL), 1); /* t0 = 80 ms */
  fail_unless_equals_int (next (&n, MS (120), NULL), 2);
  flush (&n);
  send_segment (&n, MS (4000), MS (4000), 0);
  fail_unless_equals_int (next (&n, MS (4080), NULL), 101);
  flush (&n);
  send_segment (&n, 0, 0, 0);
  fail_unless_equals_int (next (&n, MS (80), NULL), 1);

  /* the segment maps timestamps to stream time */
  flush (&n);
  send_segment (&n, MS (100000), MS (80), 0);
  GST_BUFFER_PTS (buffer) = MS (100400);
  fail_unless_equals_int (gst_qf_number_next (&n, buffer, NULL, &time), 11);
  fail_unless_equals_uint64 (time, MS (480));
  /* a frame that a decoder did not drop, before the segment */
  GST_BUFFER_PTS (buffer) = MS (99980);
  fail_unless_equals_int (gst_qf_number_next (&n, buffer, NULL, &time), 1);

  /* the frame at 4.04 s, of which a decoder left its last 10 ms */
  flush (&n);
  send_segment (&n, MS (4070), MS (4070), 0);
  GST_BUFFER_PTS (buffer) = MS (4070);
  GST_BUFFER_DURATION (buffer) = MS (10);
  fail_unless_equals_int (gst_qf_number_next (&n, buffer, NULL, &time), 100);
  fail_unless_equals_uint64 (time, MS (4070));
  gst_buffer_unref (buffer);
  fail_unless_equals_int (next (&n, MS (4080), NULL), 101);

  /* a stream that starts after a seek: t0 is 0 */
  gst_qf_number_init (&n);
  send (&n, gst_event_new_stream_start ("c"));
  send_caps (&n, 10, 1);
  send_segment (&n, MS (5000), MS (5000), 0);
  fail_unless_equals_int (next (&n, MS (5000), NULL), 51);
}
GST_END_TEST;

/* Backwards. */
GST_START_TEST (test_reverse)
{
  GstQfNumber n;
  GstSegment s;

  begin (&n, 10, 1);
  fail_unless_equals_int (next (&n, 0, NULL), 1);
  flush (&n);
  gst_segment_init (&s, GST_FORMAT_TIME);
  s.rate = -1;
  s.start = 0;
  s.stop = s.position = MS (2000);
  s.time = 0;
  send (&n, gst_event_new_segment (&s));
  fail_unless_equals_int (next (&n, MS (1900), NULL), 20);
  fail_unless_equals_int (next (&n, MS (1800), NULL), 19);
}
GST_END_TEST;

/* Without timestamps, or without a rate. */
GST_START_TEST (test_counting)
{
  GstQfNumber n;

  begin (&n, 10, 1);
  for (gint i = 1; i < 10; i++)
    fail_unless_equals_int (next (&n, GST_CLOCK_TIME_NONE, NULL), i);
  flush (&n);
  send_segment (&n, 0, 0, 0);
  fail_unless_equals_int (next (&n, GST_CLOCK_TIME_NONE, NULL), 1);
  flush (&n);
  send_segment (&n, MS (5000), MS (5000), 0);
  fail_unless_equals_int (next (&n, GST_CLOCK_TIME_NONE, NULL), 0);
  fail_unless_equals_int (next (&n, GST_CLOCK_TIME_NONE, NULL), 0);

  begin (&n, 0, 1);
  for (gint i = 1; i < 10; i++)
    fail_unless_equals_int (next (&n, MS (i * i * 13), NULL), i);
  /* a segment that goes on, and one that starts over */
  send_segment (&n, 0, 0, 0);
  fail_unless_equals_int (next (&n, MS (2000), NULL), 10);
  send_segment (&n, 0, 0, MS (2000));
  fail_unless_equals_int (next (&n, MS (0), NULL), 1);

  /* one frame without a timestamp among others */
  begin (&n, 10, 1);
  fail_unless_equals_int (next (&n, MS (0), NULL), 1);
  fail_unless_equals_int (next (&n, GST_CLOCK_TIME_NONE, NULL), 2);
  fail_unless_equals_int (next (&n, MS (200), NULL), 3);
}
GST_END_TEST;

/* Three residues over 0.25 running: counted from there, one warning; two are
 * no reason. */
GST_START_TEST (test_varying)
{
  GstElement *bin = gst_bin_new ("bin");
  GstBus *bus = gst_bus_new ();
  GstMessage *message;
  GstQfNumber n;

  gst_element_set_bus (bin, bus);
  begin (&n, 10, 1);
  fail_unless_equals_int (next (&n, MS (0), bin), 1);
  fail_unless_equals_int (next (&n, MS (140), bin), 2);
  fail_unless_equals_int (next (&n, MS (240), bin), 3);
  fail_unless_equals_int (next (&n, MS (300), bin), 4);
  fail_unless (gst_bus_pop (bus) == NULL);
  fail_unless_equals_int (next (&n, MS (430), bin), 5);
  fail_unless_equals_int (next (&n, MS (540), bin), 6);
  fail_unless_equals_int (next (&n, MS (560), bin), 7);
  fail_unless_equals_int (next (&n, MS (561), bin), 8);
  fail_unless_equals_int (next (&n, MS (900), bin), 9);
  message = gst_bus_pop (bus);
  fail_unless (message != NULL);
  fail_unless_equals_int (GST_MESSAGE_TYPE (message), GST_MESSAGE_WARNING);
  gst_message_unref (message);
  flush (&n);
  send_segment (&n, MS (5000), MS (5000), 0);
  fail_unless_equals_int (next (&n, MS (5000), bin), 0);
  fail_unless (gst_bus_pop (bus) == NULL);

  gst_element_set_bus (bin, NULL);
  gst_object_unref (bus);
  gst_object_unref (bin);
}
GST_END_TEST;

#define FILE_FRAMES 60
#define FILE_W 64
#define FILE_H 48

/* Grey frames of 30000/1001 a second, of which frame n is n·3 + 30 bright, with
 * Matroska's timestamps in milliseconds. */
static void
write_matroska (const gchar *path)
{
  g_autofree gchar *line = g_strdup_printf (
      "jpegenc quality=95 ! matroskamux ! filesink location=%s", path);
  GstHarness *h = gst_harness_new_parse (line);

  gst_harness_set_src_caps_str (
      h, "video/x-raw,format=GRAY8,width=64,height=48,framerate=30000/1001");
  for (gint n = 1; n <= FILE_FRAMES; n++) {
    GstBuffer *b = gst_buffer_new_allocate (NULL, FILE_W * FILE_H, NULL);

    gst_buffer_memset (b, 0, (guint8) (n * 3 + 30), FILE_W * FILE_H);
    GST_BUFFER_PTS (b) =
        gst_util_uint64_scale (n - 1, 1001 * GST_SECOND, 30000);
    GST_BUFFER_DURATION (b) =
        gst_util_uint64_scale (1, 1001 * GST_SECOND, 30000);
    fail_unless_equals_int (gst_harness_push (h, b), GST_FLOW_OK);
  }
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  gst_harness_teardown (h);
}

/* Counts frames, each of which must be the one that its number says. */
static void
check_frame (GstElement *sink, GstBuffer *b, GstPad *pad, gpointer data)
{
  const QfuseTruthMeta *t = qfuse_buffer_get_truth (b);
  guint8 luma;

  fail_unless (t != NULL);
  gst_buffer_extract (b, FILE_W * (FILE_H / 2) + FILE_W / 2, &luma, 1);
  fail_unless (ABS (luma - (t->frame * 3 + 30)) <= 1,
      "frame %d is %d bright, of %" GST_TIME_FORMAT, t->frame, luma,
      GST_TIME_ARGS (GST_BUFFER_PTS (b)));
  (*(gint *) data)++;
}

static void
wait_for (GstElement *pipeline, GstMessageType type)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *m = gst_bus_timed_pop_filtered (
      bus, 20 * GST_SECOND, type | GST_MESSAGE_ERROR);

  fail_unless (m != NULL && GST_MESSAGE_TYPE (m) == type);
  gst_message_unref (m);
  gst_object_unref (bus);
}

/* A recording, played whole, from 1.2 s on, and back from its start. */
GST_START_TEST (test_matroska)
{
  g_autofree gchar *folder = g_dir_make_tmp ("framenumber-XXXXXX", NULL);
  g_autofree gchar *path = g_build_filename (folder, "clip.mkv", NULL);
  g_autofree gchar *line = g_strdup_printf (
      "filesrc location=%s ! matroskademux ! jpegdec ! qfusetag label=x ! "
      "fakesink name=s sync=false signal-handoffs=true",
      path);
  GstElement *pipeline, *sink;
  gint frames = 0;

  write_matroska (path);
  pipeline = gst_parse_launch (line, NULL);
  fail_unless (pipeline != NULL);
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "s");
  g_signal_connect (sink, "handoff", G_CALLBACK (check_frame), &frames);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  wait_for (pipeline, GST_MESSAGE_EOS);
  fail_unless_equals_int (frames, FILE_FRAMES);

  frames = 0;
  fail_unless (gst_element_seek_simple (pipeline, GST_FORMAT_TIME,
      GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE, 1200 * GST_MSECOND));
  wait_for (pipeline, GST_MESSAGE_EOS);
  fail_unless (frames >= 22 && frames <= 26, "%d frames", frames);

  frames = 0;
  fail_unless (gst_element_seek_simple (
      pipeline, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, 0));
  wait_for (pipeline, GST_MESSAGE_EOS);
  fail_unless_equals_int (frames, FILE_FRAMES);

  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (sink);
  gst_object_unref (pipeline);
  g_unlink (path);
  g_rmdir (folder);
}
GST_END_TEST;

static Suite *
framenumber_suite (void)
{
  Suite *s = suite_create ("framenumber");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_milliseconds);
  tcase_add_test (tc, test_first_frame);
  tcase_add_test (tc, test_seek);
  tcase_add_test (tc, test_reverse);
  tcase_add_test (tc, test_counting);
  tcase_add_test (tc, test_varying);
  tcase_add_test (tc, test_matroska);
  return s;
}

GST_CHECK_MAIN (framenumber);
