/* GStreamer qfuse: tests: qfusewrite's files, read back.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>

#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <locale.h>

#include "gstqfmeta-private.h"

#define CAPS "video/x-raw,format=GRAY8,width=64,height=48,framerate=30/1"

static gchar *folder, *location;

static void
setup (void)
{
  folder = g_dir_make_tmp ("qfusewrite-XXXXXX", NULL);
  location = g_build_filename (folder, "found.jsonl", NULL);
}

static guint
n_files (void)
{
  GDir *dir = g_dir_open (folder, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir))
    n++;
  g_dir_close (dir);
  return n;
}

static void
teardown (void)
{
  g_unlink (location);
  fail_unless_equals_int (n_files (), 0); /* nothing is left beside it */
  g_rmdir (folder);
  g_free (folder);
  g_free (location);
}

static GstHarness *
harness (const gchar *format)
{
  GstElement *e = gst_element_factory_make ("qfusewrite", NULL);
  GstHarness *h;

  g_object_set (e, "location", location, NULL);
  gst_util_set_object_arg (G_OBJECT (e), "format", format);
  h = gst_harness_new_with_element (e, "sink", "src");
  gst_object_unref (e);
  gst_harness_set_src_caps_str (h, CAPS);
  return h;
}

static GstBuffer *
frame (gint i)
{
  GstBuffer *b = gst_buffer_new_allocate (NULL, 64 * 48, NULL);

  GST_BUFFER_PTS (b) = gst_util_uint64_scale (i, GST_SECOND, 30);
  return b;
}

static void
attach (GstBuffer *b, const QfuseDetection *d, guint n, const gchar *action)
{
  GstQfFound found;

  gst_qf_found_init (&found);
  found.width = 64;
  found.height = 48;
  gst_qf_detections_array_append (found.detections, d, n);
  if (action) {
    found.action = g_quark_from_string (action);
    found.action_score = 0.8f;
  }
  gst_qf_found_attach (b, &found);
  gst_qf_found_clear (&found);
}

static void
push (GstHarness *h, GstBuffer *b)
{
  fail_unless_equals_int (gst_harness_push (h, b), GST_FLOW_OK);
  gst_buffer_unref (gst_harness_pull (h));
}

static GPtrArray *
read_lines (void)
{
  GPtrArray *lines =
      g_ptr_array_new_with_free_func ((GDestroyNotify) json_node_unref);
  g_autofree gchar *text = NULL;
  g_auto (GStrv) rows = NULL;
  gsize size;

  fail_unless (g_file_get_contents (location, &text, &size, NULL));
  fail_unless (size > 0 && text[size - 1] == '\n');
  text[size - 1] = '\0';
  rows = g_strsplit (text, "\n", -1);
  for (guint i = 0; rows[i]; i++) {
    GError *error = NULL;
    JsonNode *node = json_from_string (rows[i], &error);

    fail_unless (node != NULL && error == NULL, "line %u: %s", i + 1, rows[i]);
    g_ptr_array_add (lines, node);
  }
  return lines;
}

static JsonObject *
line (GPtrArray *lines, guint i)
{
  return json_node_get_object (g_ptr_array_index (lines, i));
}

static const gchar odd[] = "a \"quoted\\ name\"\n\t\x01 \xc3\xa4\xe6\xbc\xa2";

/* Everything comes back, in a locale with a decimal comma too. */
GST_START_TEST (test_jsonl)
{
  GstHarness *h;
  QfuseKeyPoint points[] = { { 11, 21.5f, 0.25f }, { -3, 4, 1 } };
  const QfuseDetection d[] = {
    { 10, 20.5f, 30.25f, 8.125f, 0.93f, 0, g_quark_from_string ("person"), 3,
        -1, 0, NULL },
    { -0.0001f, 1234567, 0, 1e-9f, 0.5f, -1, 0, 0, -1, 0, NULL },
    { 1, 2, 3, 4, 1, 7, g_quark_from_static_string (odd), 0, -1, 2, points },
  };
  g_autoptr (GPtrArray) lines = NULL;
  GstBuffer *b = frame (1);
  JsonObject *o;
  JsonArray *a, *box;

  if (!setlocale (LC_NUMERIC, "de_DE.UTF-8"))
    GST_INFO ("no de_DE.UTF-8 here");
  h = harness ("jsonl");
  push (h, frame (0));
  attach (b, d, 3, "fall");
  push (h, b);
  push (h, frame (3)); /* frame 3 was lost */
  fail_if (g_file_test (location, G_FILE_TEST_EXISTS));
  gst_harness_push_event (h, gst_event_new_eos ());
  lines = read_lines ();
  fail_unless_equals_int (lines->len, 3);

  o = line (lines, 0);
  fail_unless_equals_int (json_object_get_int_member (o, "frame"), 1);
  fail_unless_equals_int (json_object_get_int_member (o, "pts"), 0);
  fail_unless_equals_int (json_object_get_int_member (o, "width"), 64);
  fail_unless_equals_int (json_object_get_int_member (o, "height"), 48);
  fail_unless_equals_int (
      json_array_get_length (json_object_get_array_member (o, "detections")),
      0);
  fail_if (json_object_has_member (o, "action"));

  o = line (lines, 1);
  fail_unless_equals_int (json_object_get_int_member (o, "frame"), 2);
  fail_unless_equals_int (json_object_get_int_member (o, "pts"), 33333333);
  a = json_object_get_array_member (o, "detections");
  fail_unless_equals_int (json_array_get_length (a), 3);
  o = json_array_get_object_element (a, 0);
  fail_unless_equals_string (
      json_object_get_string_member (o, "label"), "person");
  fail_unless_equals_int (json_object_get_int_member (o, "label_id"), 0);
  fail_unless (json_object_get_double_member (o, "score") == 0.93);
  fail_unless_equals_int (json_object_get_int_member (o, "id"), 3);
  box = json_object_get_array_member (o, "box");
  fail_unless_equals_int (json_array_get_length (box), 4);
  fail_unless (json_array_get_double_element (box, 0) == 10);
  fail_unless (json_array_get_double_element (box, 1) == 20.5);
  fail_unless (json_array_get_double_element (box, 2) == 30.25);
  fail_unless (json_array_get_double_element (box, 3) == 8.125);
  o = json_array_get_object_element (a, 1);
  box = json_object_get_array_member (o, "box");
  fail_unless (json_array_get_double_element (box, 0) == 0);
  fail_unless (json_array_get_double_element (box, 1) == 1234567);
  fail_if (json_object_has_member (o, "label"));
  fail_if (json_object_has_member (o, "label_id"));
  fail_if (json_object_has_member (o, "id"));
  fail_if (json_object_has_member (o, "points"));
  o = json_array_get_object_element (a, 2);
  fail_unless_equals_string (json_object_get_string_member (o, "label"), odd);
  a = json_object_get_array_member (o, "points");
  fail_unless_equals_int (json_array_get_length (a), 2);
  for (guint i = 0; i < 2; i++) {
    box = json_array_get_array_element (a, i);
    fail_unless_equals_int (json_array_get_length (box), 3);
    fail_unless (json_array_get_double_element (box, 0) == points[i].x);
    fail_unless (json_array_get_double_element (box, 1) == points[i].y);
    fail_unless (json_array_get_double_element (box, 2) == points[i].score);
  }

  o = json_object_get_object_member (line (lines, 1), "action");
  fail_unless_equals_string (
      json_object_get_string_member (o, "label"), "fall");
  fail_unless (json_object_get_double_member (o, "score") == 0.8);
  fail_unless_equals_int (
      json_object_get_int_member (line (lines, 2), "frame"), 4);
  gst_harness_teardown (h);
  setlocale (LC_NUMERIC, "C");
}
GST_END_TEST;

/* Absent members are left out. */
GST_START_TEST (test_no_time)
{
  GstHarness *h = harness ("jsonl");
  g_autoptr (GPtrArray) lines = NULL;
  GstBuffer *b = frame (0);

  GST_BUFFER_PTS (b) = GST_CLOCK_TIME_NONE;
  push (h, b);
  gst_harness_push_event (h, gst_event_new_eos ());
  lines = read_lines ();
  fail_if (json_object_has_member (line (lines, 0), "pts"));
  fail_unless_equals_int (
      json_object_get_int_member (line (lines, 0), "frame"), 1);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_mot)
{
  GstHarness *h = harness ("mot");
  const QfuseDetection d = { 9, 19.5f, 30, 40, 0.5f, 0, 0, 3, -1, 0, NULL };
  g_autofree gchar *text = NULL;
  GstBuffer *b = frame (4);

  push (h, frame (0));
  attach (b, &d, 1, NULL);
  push (h, b);
  gst_harness_push_event (h, gst_event_new_eos ());
  fail_unless (g_file_get_contents (location, &text, NULL, NULL));
  fail_unless (g_str_has_prefix (text, "5,3,10,20.5,30,40,0.5,1,"), "%s", text);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Stopped in the middle (Ctrl-C): all lines so far; stopped before the first
 * frame: what was there stays. */
GST_START_TEST (test_stop)
{
  GstHarness *h;
  g_autofree gchar *text = NULL;
  g_autoptr (GPtrArray) lines = NULL;

  fail_unless (g_file_set_contents (location, "old\n", -1, NULL));
  h = harness ("jsonl");
  gst_harness_teardown (h);
  fail_unless (g_file_get_contents (location, &text, NULL, NULL));
  fail_unless_equals_string (text, "old\n");
  fail_unless_equals_int (n_files (), 1);

  h = harness ("jsonl");
  push (h, frame (0));
  push (h, frame (1));
  gst_element_set_state (h->element, GST_STATE_READY);
  lines = read_lines ();
  fail_unless_equals_int (lines->len, 2);
  fail_unless_equals_int (n_files (), 1);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Frames after the end are appended. */
GST_START_TEST (test_after_eos)
{
  GstHarness *h = harness ("jsonl");
  g_autoptr (GPtrArray) lines = NULL;
  GstSegment s;

  push (h, frame (0));
  gst_harness_push_event (h, gst_event_new_eos ());
  gst_harness_push_event (h, gst_event_new_flush_start ());
  gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
  gst_segment_init (&s, GST_FORMAT_TIME);
  gst_harness_push_event (h, gst_event_new_segment (&s));
  push (h, frame (1));
  lines = read_lines ();
  fail_unless_equals_int (lines->len, 2);
  fail_unless_equals_int (
      json_object_get_int_member (line (lines, 1), "frame"), 2);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A stream without a frame makes an empty file. */
GST_START_TEST (test_empty)
{
  GstHarness *h = harness ("jsonl");
  g_autofree gchar *text = NULL;

  gst_harness_push_event (h, gst_event_new_eos ());
  fail_unless (g_file_get_contents (location, &text, NULL, NULL));
  fail_unless_equals_string (text, "");
  gst_harness_teardown (h);
}
GST_END_TEST;

/* The file's own name stays a link's. */
GST_START_TEST (test_link)
{
  g_autofree gchar *real = g_build_filename (folder, "real", NULL);
  g_autofree gchar *text = NULL;
  GstHarness *h;

  fail_unless (g_file_set_contents (real, "old", -1, NULL));
  fail_unless (symlink (real, location) == 0);
  h = harness ("jsonl");
  push (h, frame (0));
  gst_harness_teardown (h);
  fail_unless (g_file_test (location, G_FILE_TEST_IS_SYMLINK));
  fail_unless (g_file_get_contents (real, &text, NULL, NULL));
  fail_unless (g_str_has_prefix (text, "{\"frame\":1"));
  g_unlink (real);
}
GST_END_TEST;

/* Buffers pass as they are. */
GST_START_TEST (test_passes)
{
  GstHarness *h = harness ("jsonl");
  GstBuffer *b = frame (0), *out;

  out = gst_harness_push_and_pull (h, gst_buffer_ref (b));
  fail_unless (out == b);
  gst_buffer_unref (out);
  gst_buffer_unref (b);
  gst_harness_teardown (h);
}
GST_END_TEST;

static gboolean
start_fails (const gchar *path)
{
  GstElement *e = gst_element_factory_make ("qfusewrite", NULL);
  GstBus *bus = gst_bus_new ();
  GstMessage *m;
  gboolean failed;

  g_object_set (e, "location", path, NULL);
  gst_element_set_bus (e, bus);
  failed =
      gst_element_set_state (e, GST_STATE_PAUSED) == GST_STATE_CHANGE_FAILURE;
  m = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  failed &= m != NULL;
  g_clear_pointer (&m, gst_message_unref);
  gst_element_set_bus (e, NULL);
  gst_element_set_state (e, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (e);
  return failed;
}

GST_START_TEST (test_unwritable)
{
  g_autofree gchar *nowhere = g_build_filename (folder, "no", "x", NULL);

  fail_unless (start_fails (NULL));
  fail_unless (start_fails (""));
  fail_unless (start_fails (nowhere));
  fail_unless (start_fails (folder));
}
GST_END_TEST;

/* A full disk: one error, the flow ends. */
GST_START_TEST (test_full)
{
  GstElement *e = gst_element_factory_make ("qfusewrite", NULL);
  GstHarness *h;
  GstBus *bus = gst_bus_new ();
  GstMessage *m;

  g_object_set (e, "location", "/dev/full", NULL);
  h = gst_harness_new_with_element (e, "sink", "src");
  gst_element_set_bus (e, bus);
  gst_harness_set_src_caps_str (h, CAPS);
  fail_unless_equals_int (gst_harness_push (h, frame (0)), GST_FLOW_ERROR);
  fail_unless_equals_int (gst_harness_push (h, frame (1)), GST_FLOW_ERROR);
  m = gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR);
  fail_unless (m != NULL);
  gst_message_unref (m);
  fail_unless (gst_bus_pop_filtered (bus, GST_MESSAGE_ERROR) == NULL);
  gst_element_set_bus (e, NULL);
  gst_object_unref (bus);
  gst_object_unref (e);
  gst_harness_teardown (h);
}
GST_END_TEST;

static Suite *
qfusewrite_suite (void)
{
  Suite *s = suite_create ("qfusewrite");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_checked_fixture (tc, setup, teardown);
  tcase_add_test (tc, test_jsonl);
  tcase_add_test (tc, test_no_time);
  tcase_add_test (tc, test_mot);
  tcase_add_test (tc, test_stop);
  tcase_add_test (tc, test_after_eos);
  tcase_add_test (tc, test_empty);
  tcase_add_test (tc, test_link);
  tcase_add_test (tc, test_passes);
  tcase_add_test (tc, test_unwritable);
  tcase_add_test (tc, test_full);
  return s;
}

GST_CHECK_MAIN (qfusewrite);
