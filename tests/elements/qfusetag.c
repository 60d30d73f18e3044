/* GStreamer qfuse: tests: qfusetag attaches the truth of each frame.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>

#include <glib/gstdio.h>

#include "gstqfmeta-private.h"

#define CAPS "video/x-raw,format=GRAY8,width=64,height=48,framerate=10/1"

static gchar *folder;

static gchar *
write_file (const gchar *name, const gchar *text)
{
  gchar *path = g_build_filename (folder, name, NULL);

  fail_unless (g_file_set_contents (path, text, -1, NULL));
  return path;
}

static void
setup (void)
{
  folder = g_dir_make_tmp ("qfusetag-XXXXXX", NULL);
}

static void
teardown (void)
{
  GDir *dir = g_dir_open (folder, 0, NULL);
  const gchar *name;

  while ((name = g_dir_read_name (dir))) {
    g_autofree gchar *path = g_build_filename (folder, name, NULL);

    g_unlink (path);
  }
  g_dir_close (dir);
  g_rmdir (folder);
  g_free (folder);
}

static const gchar gt[] = "1,7,11,21,30,40,1,1,1\n"
                          "3,7,12.5,22.5,30,40,1,2,1\n"
                          "3,8,1,1,5,5,0,1,1\n";

static GstBuffer *
frame (GstClockTime pts)
{
  GstBuffer *b = gst_buffer_new_allocate (NULL, 64 * 48, NULL);

  GST_BUFFER_PTS (b) = pts;
  return b;
}

static GstHarness *
harness (const gchar *first, ...)
{
  GstElement *e = gst_element_factory_make ("qfusetag", NULL);
  GstHarness *h;
  va_list args;

  va_start (args, first);
  g_object_set_valist (G_OBJECT (e), first, args);
  va_end (args);
  h = gst_harness_new_with_element (e, "sink", "src");
  gst_object_unref (e);
  gst_harness_set_src_caps_str (h, CAPS);
  return h;
}

static QfuseTruthMeta *
pull (GstHarness *h, GstClockTime pts, GstBuffer **out)
{
  *out = gst_harness_push_and_pull (h, frame (pts));
  return qfuse_buffer_get_truth (*out);
}

static const QfuseDetection *
box (const QfuseTruthMeta *t, guint i)
{
  fail_unless (i < t->boxes->len);
  return &g_array_index (t->boxes, QfuseDetection, i);
}

/* A stream that is for measuring says so on each frame, and copies of them do.
 */
GST_START_TEST (test_validation)
{
  for (gint held = 0; held < 2; held++) {
    GstHarness *h = harness ("label", "walk", "validation", held, NULL);
    GstBuffer *out, *copy;

    fail_unless_equals_int (pull (h, 0, &out)->validation, held);
    copy = gst_buffer_copy (out);
    fail_unless_equals_int (qfuse_buffer_get_truth (copy)->validation, held);
    gst_buffer_unref (copy);
    gst_buffer_unref (out);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

/* Boxes of frames 1 to 4, of which 2 and 4 have none, in three ways of naming
 * the classes. */
GST_START_TEST (test_boxes)
{
  g_autofree gchar *location = write_file ("gt.txt", gt);
  g_autofree gchar *names = write_file ("names.txt", "person\nbicycle\n");
  const gchar *const labels[] = { NULL, "person, bicycle", names };
  GstHarness *h = harness ("location", location, "labels", labels[__i__], NULL);
  gboolean named = labels[__i__] != NULL;
  const QfuseTruthMeta *t;
  GstBuffer *out;

  t = pull (h, 0, &out);
  fail_unless (t != NULL);
  fail_unless_equals_int (t->frame, 1);
  fail_unless_equals_int (t->width, 64);
  fail_unless_equals_int (t->height, 48);
  fail_unless_equals_int (t->boxes->len, 1);
  fail_unless (box (t, 0)->x == 10 && box (t, 0)->y == 20);
  fail_unless (box (t, 0)->w == 30 && box (t, 0)->h == 40);
  fail_unless (box (t, 0)->score == 1);
  fail_unless_equals_int (box (t, 0)->label_id, 0);
  fail_unless_equals_int (box (t, 0)->id, 7);
  fail_unless_equals_string (
      g_quark_to_string (box (t, 0)->label), named ? "person" : NULL);
  gst_buffer_unref (out);

  t = pull (h, 100 * GST_MSECOND, &out);
  fail_unless (t != NULL && t->boxes->len == 0 && t->frame == 2);
  gst_buffer_unref (out);

  t = pull (h, 200 * GST_MSECOND, &out);
  fail_unless (t != NULL);
  fail_unless_equals_int (t->boxes->len, 2);
  fail_unless (box (t, 0)->x == 11.5f && box (t, 0)->y == 21.5f);
  fail_unless_equals_string (
      g_quark_to_string (box (t, 0)->label), named ? "bicycle" : NULL);
  fail_unless (box (t, 1)->score == 0); /* to be ignored */
  gst_buffer_unref (out);

  /* a seek back by upstream is not seen here: the time decides */
  t = pull (h, 0, &out);
  fail_unless (t != NULL && t->frame == 1);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_mot0)
{
  g_autofree gchar *location = write_file ("gt.txt", gt);
  GstHarness *h = harness ("location", location, NULL);
  const QfuseTruthMeta *t;
  GstBuffer *out;

  gst_harness_teardown (h);
  {
    GstElement *e = gst_element_factory_make ("qfusetag", NULL);

    gst_util_set_object_arg (G_OBJECT (e), "format", "mot0");
    g_object_set (e, "location", location, NULL);
    h = gst_harness_new_with_element (e, "sink", "src");
    gst_object_unref (e);
  }
  gst_harness_set_src_caps_str (h, CAPS);
  t = pull (h, 0, &out);
  fail_unless (box (t, 0)->x == 11 && box (t, 0)->y == 21);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Shares of the picture become pixels; the file's names number the classes, or
 * those of the property do. */
GST_START_TEST (test_yolo)
{
  g_autofree gchar *first = write_file ("clip_1.txt", "1 .5 .5 .25 .5\n");
  GstElement *e = gst_element_factory_make ("qfusetag", NULL);
  const QfuseTruthMeta *t;
  GstHarness *h;
  GstBuffer *out;

  g_free (write_file ("classes.txt", "bicycle\nperson\n"));
  gst_util_set_object_arg (G_OBJECT (e), "format", "yolo");
  g_object_set (e, "location", first, "labels",
      __i__ == 0 ? NULL : "person,car,bicycle", NULL);
  h = gst_harness_new_with_element (e, "sink", "src");
  gst_object_unref (e);
  gst_harness_set_src_caps_str (h, CAPS);
  t = pull (h, 0, &out);
  fail_unless (t != NULL);
  fail_unless (box (t, 0)->x == 24 && box (t, 0)->y == 12);
  fail_unless (box (t, 0)->w == 16 && box (t, 0)->h == 24);
  fail_unless_equals_string (g_quark_to_string (box (t, 0)->label), "person");
  fail_unless_equals_int (box (t, 0)->label_id, __i__ == 0 ? 1 : 0);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* An action for the whole stream, changed while playing; two elements add up.
 */
GST_START_TEST (test_action)
{
  g_autofree gchar *location = write_file ("gt.txt", gt);
  g_autofree gchar *line = g_strdup_printf (
      "qfusetag location=%s ! qfusetag name=a labels=walk,fall label=fall",
      location);
  GstHarness *h = gst_harness_new_parse (line);
  GstElement *a = gst_bin_get_by_name (GST_BIN (h->element), "a");
  const QfuseTruthMeta *t;
  GstBuffer *out;

  gst_harness_set_src_caps_str (h, CAPS);
  t = pull (h, 0, &out);
  fail_unless (t != NULL);
  fail_unless_equals_string (g_quark_to_string (t->action), "fall");
  fail_unless_equals_int (t->action_id, 1);
  fail_unless_equals_int (t->boxes->len, 1);
  gst_buffer_unref (out);

  g_object_set (a, "label", "walk", NULL);
  t = pull (h, 100 * GST_MSECOND, &out);
  fail_unless_equals_string (g_quark_to_string (t->action), "walk");
  fail_unless_equals_int (t->action_id, 0);
  gst_buffer_unref (out);
  gst_object_unref (a);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Actions of single frames; where there is none nothing is said. What the label
 * property says goes before. */
GST_START_TEST (test_frame_actions)
{
  g_autofree gchar *location = write_file ("actions.jsonl",
      "{\"frame\":3,\"action\":{\"label\":\"fall\",\"score\":0.8}}\n"
      "{\"frame\":1,\"detections\":[{\"label\":\"walk\",\"box\":[1,2,3,4]}],"
      "\"action\":{\"label\":\"walk\"}}\n");
  g_autofree gchar *line =
      g_strdup_printf ("qfusetag name=a location=%s", location);
  static const gchar *const want[] = { "walk", NULL, "fall", NULL };
  GstHarness *h = gst_harness_new_parse (line);
  GstElement *a = gst_bin_get_by_name (GST_BIN (h->element), "a");
  const QfuseTruthMeta *t;
  GstBuffer *out;

  gst_harness_set_src_caps_str (h, CAPS);
  for (guint i = 0; i < G_N_ELEMENTS (want); i++) {
    t = pull (h, i * 100 * GST_MSECOND, &out);
    fail_unless (t != NULL);
    fail_unless_equals_string (
        t->action ? g_quark_to_string (t->action) : NULL, want[i]);
    fail_unless_equals_int (t->action_id, i == 0 ? 0 : -1);
    fail_unless_equals_int (t->boxes->len, i == 0 ? 1 : 0);
    gst_buffer_unref (out);
  }
  g_object_set (a, "label", "sit", NULL);
  t = pull (h, 200 * GST_MSECOND, &out);
  fail_unless_equals_int (t->frame, 3);
  fail_unless_equals_string (g_quark_to_string (t->action), "sit");
  gst_buffer_unref (out);
  gst_object_unref (a);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Memory is never copied, also where others hold the buffer, and theirs gets no
 * meta. */
GST_START_TEST (test_no_copy)
{
  g_autofree gchar *location = write_file ("gt.txt", gt);
  GstHarness *h = harness ("location", location, NULL);
  GstBuffer *held = frame (0), *out;
  GstMemory *memory = gst_buffer_peek_memory (held, 0);

  out = gst_harness_push_and_pull (h, gst_buffer_ref (held));
  fail_unless (gst_buffer_peek_memory (out, 0) == memory);
  fail_unless (qfuse_buffer_get_truth (out) != NULL);
  fail_unless (qfuse_buffer_get_truth (held) == NULL);
  gst_buffer_unref (out);
  gst_buffer_unref (held);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* After a seek the numbers go by time; where they cannot be known there is no
 * truth. */
GST_START_TEST (test_seek)
{
  g_autofree gchar *location = write_file ("gt.txt", gt);
  GstHarness *h = harness ("location", location, NULL);
  const QfuseTruthMeta *t;
  GstSegment s;
  GstBuffer *out;

  t = pull (h, 0, &out);
  fail_unless_equals_int (t->frame, 1);
  gst_buffer_unref (out);

  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&s, GST_FORMAT_TIME);
  s.start = s.time = s.position = 200 * GST_MSECOND;
  gst_harness_push_event (h, gst_event_new_segment (&s));
  t = pull (h, 200 * GST_MSECOND, &out);
  fail_unless_equals_int (t->frame, 3);
  fail_unless_equals_int (t->boxes->len, 2);
  gst_buffer_unref (out);

  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_harness_push_event (h, gst_event_new_segment (&s));
  t = pull (h, GST_CLOCK_TIME_NONE, &out);
  fail_unless (t == NULL);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

static gchar *
start_error (const gchar *first, ...)
{
  GstElement *e = gst_element_factory_make ("qfusetag", NULL);
  GstBus *bus = gst_bus_new ();
  GstMessage *message;
  GError *error = NULL;
  gchar *text;
  va_list args;

  va_start (args, first);
  if (first)
    g_object_set_valist (G_OBJECT (e), first, args);
  va_end (args);
  gst_element_set_bus (e, bus);
  fail_unless_equals_int (
      gst_element_set_state (e, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  message = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  fail_unless (message != NULL);
  gst_message_parse_error (message, &error, NULL);
  text = g_strdup (error->message);
  g_clear_error (&error);
  gst_message_unref (message);
  gst_element_set_bus (e, NULL);
  gst_element_set_state (e, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (e);
  return text;
}

static void
check_error (gchar *text, const gchar *part)
{
  fail_unless (strstr (text, part) != NULL, "\"%s\" lacks \"%s\"", text, part);
  g_free (text);
}

GST_START_TEST (test_errors)
{
  g_autofree gchar *good = write_file ("gt.txt", gt);
  g_autofree gchar *bad = write_file ("bad.txt",
      "1,7,11,21,30,40,1,1,1\n"
      "2,7,11,21,thirty,40,1,1,1\n");
  g_autofree gchar *missing = g_build_filename (folder, "none.txt", NULL);

  check_error (start_error (NULL, NULL), "location");
  check_error (start_error ("location", bad, NULL), "bad.txt:2");
  check_error (start_error ("location", missing, NULL), "none.txt");
  check_error (
      start_error ("location", good, "labels", missing, NULL), "none.txt");
  check_error (
      start_error ("location", good, "labels", "person", NULL), "names only 1");
  check_error (
      start_error ("label", "fall", "labels", "walk,run", NULL), "'fall'");
}
GST_END_TEST;

/* READY and back, with other labels. */
GST_START_TEST (test_states)
{
  g_autofree gchar *location = write_file ("gt.txt", gt);
  GstElement *e = gst_element_factory_make ("qfusetag", NULL);

  g_object_set (e, "location", location, "labels", "a,b", NULL);
  for (gint i = 0; i < 3; i++) {
    fail_unless_equals_int (
        gst_element_set_state (e, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
    fail_unless_equals_int (
        gst_element_set_state (e, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
    g_object_set (e, "labels", i == 0 ? "c,d,e" : NULL, NULL);
  }
  gst_element_set_state (e, GST_STATE_NULL);
  gst_object_unref (e);
}
GST_END_TEST;

static Suite *
qfusetag_suite (void)
{
  Suite *s = suite_create ("qfusetag");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_checked_fixture (tc, setup, teardown);
  tcase_add_loop_test (tc, test_boxes, 0, 3);
  tcase_add_test (tc, test_mot0);
  tcase_add_test (tc, test_validation);
  tcase_add_loop_test (tc, test_yolo, 0, 2);
  tcase_add_test (tc, test_action);
  tcase_add_test (tc, test_frame_actions);
  tcase_add_test (tc, test_no_copy);
  tcase_add_test (tc, test_seek);
  tcase_add_test (tc, test_errors);
  tcase_add_test (tc, test_states);
  return s;
}

GST_CHECK_MAIN (qfusetag);
