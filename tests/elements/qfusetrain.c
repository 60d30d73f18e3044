/* GStreamer qfuse: tests: qfusetrain's collecting, waiting, messages and
 * errors. SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>

#include <glib/gstdio.h>

#include "gstqfmeta-private.h"
#include "gstqfplanesmeta.h"
#include "qfuse.h"

#define W 64
#define H 48
/* video range: luma as it stands */
#define CAPS                                                                   \
  "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/"                  \
  "1,colorimetry=bt601"
#define SMALL                                                                  \
  "width=64 height=48 threads=1 batch-size=4 planes=Y,D1x2t8 validation=0 "

static gchar *folder, *file;

static void
setup (void)
{
  folder = g_dir_make_tmp ("qfusetrain-XXXXXX", NULL);
  file = g_build_filename (folder, "model.onnx", NULL);
}

static void
teardown (void)
{
  g_unlink (file);
  fail_unless (g_rmdir (folder) == 0, "something is left in %s", folder);
  g_free (folder);
  g_free (file);
}

/* An element of its own with a bus. */
typedef struct
{
  GstHarness *h;
  GstElement *e;
  GstBus *bus;
  gint n; /* frames pushed */
} Fixture;

static Fixture
fixture (const gchar *settings)
{
  g_autofree gchar *line =
      g_strdup_printf ("qfusetrain name=t model-file=%s %s", file, settings);
  Fixture f = { 0 };

  f.e = gst_parse_launch (line, NULL);
  fail_unless (f.e != NULL, "%s", line);
  gst_object_ref_sink (f.e);
  f.bus = gst_bus_new ();
  gst_element_set_bus (f.e, f.bus);
  f.h = gst_harness_new_with_element (f.e, "sink", NULL);
  gst_harness_set_src_caps_str (f.h, CAPS);
  return f;
}

static void
done (Fixture *f)
{
  gst_harness_teardown (f->h);
  gst_element_set_bus (f->e, NULL);
  gst_object_unref (f->e);
  gst_object_unref (f->bus);
}

/* A bright square of 16x16 at x, y on a dark ground. */
static GstBuffer *
picture (gint n, gint x, gint y)
{
  GstBuffer *b = gst_buffer_new_allocate (NULL, W * H, NULL);
  GstMapInfo m;

  gst_buffer_map (b, &m, GST_MAP_WRITE);
  memset (m.data, 40, m.size);
  for (gint r = y; r < y + 16; r++)
    memset (m.data + r * W + x, 210, 16);
  gst_buffer_unmap (b, &m);
  GST_BUFFER_PTS (b) = (GstClockTime) n * 40 * GST_MSECOND;
  return b;
}

static GstBuffer *
tagged (gint n, const gchar *label, gint label_id, const gchar *action)
{
  gint x = 4 + n * 7 % 40, y = 2 + n * 5 % 28;
  GstBuffer *b = picture (n, x, y);
  QfuseTruthMeta *t = gst_buffer_add_qfuse_truth (b, W, H);
  QfuseDetection d = { (gfloat) x, (gfloat) y, 16, 16, 1, label_id, 0, 0, -1, 0,
    NULL };

  if (label) {
    d.label = g_quark_from_string (label);
    g_array_append_val (t->boxes, d);
  }
  if (action)
    t->action = g_quark_from_string (action);
  return b;
}

static void
push (Fixture *f, GstBuffer *b)
{
  f->n++;
  fail_unless_equals_int (gst_harness_push (f->h, b), GST_FLOW_OK);
}

static void
push_boxes (Fixture *f, gint n)
{
  for (gint i = 0; i < n; i++)
    push (f, tagged (f->n, "square", 0, NULL));
}

static gchar *
pop_error (Fixture *f)
{
  GstMessage *m = gst_bus_pop_filtered (f->bus, GST_MESSAGE_ERROR);
  GError *error = NULL;
  gchar *text;

  if (!m)
    return NULL;
  gst_message_parse_error (m, &error, NULL);
  text = g_strdup (error->message);
  g_error_free (error);
  gst_message_unref (m);
  return text;
}

/* EOS must fail with an error that holds @part. */
static void
eos_fails (Fixture *f, const gchar *part)
{
  g_autofree gchar *text = NULL;

  gst_harness_push_event (f->h, gst_event_new_eos ());
  text = pop_error (f);
  fail_unless (text && strstr (text, part), "\"%s\" lacks \"%s\"", text, part);
  fail_unless (gst_bus_pop_filtered (
                   f->bus, GST_MESSAGE_ERROR | GST_MESSAGE_EOS) == NULL);
}

/* Leaves the messages where they are. */
static void
eos_trains (Fixture *f)
{
  if (!gst_harness_push_event (f->h, gst_event_new_eos ()))
    fail ("%s", pop_error (f));
}

static void
check_key (const gchar *key, const gchar *value)
{
  QfModel *m = qf_model_load (file, NULL);

  fail_unless (m != NULL);
  fail_unless_equals_string (qf_model_get (m, key), value);
  qf_model_unref (m);
}

/* Nothing is told before EOS; EOS comes last; one message an epoch. */
GST_START_TEST (test_learns)
{
  Fixture f = fixture (SMALL "epochs=2");
  gint epochs = 0, starts = 0, completes = 0;
  GstMessage *m;

  push_boxes (&f, 12);
  fail_unless (gst_bus_pop_filtered (
                   f.bus, GST_MESSAGE_PROGRESS | GST_MESSAGE_EOS) == NULL);
  fail_if (g_file_test (file, G_FILE_TEST_EXISTS));
  eos_trains (&f);
  while ((m = gst_bus_pop_filtered (f.bus,
              GST_MESSAGE_PROGRESS | GST_MESSAGE_EOS | GST_MESSAGE_ELEMENT))) {
    GstProgressType type = GST_PROGRESS_TYPE_ERROR;

    if (GST_MESSAGE_TYPE (m) == GST_MESSAGE_PROGRESS) {
      gst_message_parse_progress (m, &type, NULL, NULL);
      starts += type == GST_PROGRESS_TYPE_START;
      completes += type == GST_PROGRESS_TYPE_COMPLETE;
    } else if (GST_MESSAGE_TYPE (m) == GST_MESSAGE_ELEMENT) {
      const GstStructure *s = gst_message_get_structure (m);
      gdouble loss, rate, seconds;
      gint epoch;

      fail_unless (gst_structure_has_name (s, "qfuse-epoch"));
      fail_unless (gst_structure_get (s, "epoch", G_TYPE_INT, &epoch, "loss",
          G_TYPE_DOUBLE, &loss, "learning-rate", G_TYPE_DOUBLE, &rate,
          "seconds", G_TYPE_DOUBLE, &seconds, NULL));
      fail_unless_equals_int (epoch, ++epochs);
      fail_unless (loss > 0 && rate > 0 && seconds > 0);
      fail_if (gst_structure_has_field (s, "ap50")); /* was not measured */
    } else {
      fail_unless (starts == 1 && completes == 1 && epochs == 2);
      epochs = -1;
    }
    gst_message_unref (m);
  }
  fail_unless_equals_int (epochs, -1);
  check_key ("qfuse.planes", "Y,D1x2t8");
  check_key ("qfuse.labels", "square");
  check_key ("qfuse.head", "fcos");
  check_key ("qfuse.rate", "25/1");
  check_key ("qfuse.fit", "letterbox");
  done (&f);
}
GST_END_TEST;

static GBytes *
contents (void)
{
  gchar *text;
  gsize size;

  fail_unless (g_file_get_contents (file, &text, &size, NULL));
  g_unlink (file);
  return g_bytes_new_take (text, size);
}

static gint
stat_of (Fixture *f, const gchar *name)
{
  GstStructure *s;
  guint64 v = 0;

  g_object_get (f->e, "stats", &s, NULL);
  fail_unless (gst_structure_get_uint64 (s, name, &v));
  gst_structure_free (s);
  return (gint) v;
}

/* The same file, whether planes come from upstream or not. */
GST_START_TEST (test_same_file)
{
  GBytes *bytes[2];
  GstQfWant want = { .width = W, .height = H, .rate_d = 1 };
  QfGeometry geometry;

  fail_unless (qf_planes_parse (&want.planes, "Y,D1x2t8", NULL));
  qf_geometry_init (&geometry, QF_FIT_LETTERBOX, W, H, 1, 1, W, H);
  for (gint i = 0; i < 2; i++) {
    Fixture f = fixture (SMALL "epochs=1 seed=5");
    QfDifferencer *d = qf_differencer_new (&want.planes, W, H, 0, 1);

    for (gint n = 0; n < 8; n++) {
      GstBuffer *b = tagged (n, "square", 0, NULL);
      guint8 *planes = g_malloc (2 * W * H), *luma;
      GBytes *owned = g_bytes_new_take (planes, 2 * W * H);

      if (i == 1) {
        luma = g_malloc (W * H);
        gst_buffer_extract (b, 0, luma, W * H);
        qf_differencer_push (
            d, luma, NULL, (gint64) GST_BUFFER_PTS (b), planes);
        gst_buffer_add_qf_planes_meta (b, &want, &geometry, owned);
        g_free (luma);
      }
      g_bytes_unref (owned);
      push (&f, b);
    }
    fail_unless_equals_int (stat_of (&f, "upstream-planes"), i == 1 ? 8 : 0);
    eos_trains (&f);
    bytes[i] = contents ();
    qf_differencer_free (d);
    done (&f);
  }
  fail_unless (g_bytes_equal (bytes[0], bytes[1]));
  g_bytes_unref (bytes[0]);
  g_bytes_unref (bytes[1]);
}
GST_END_TEST;

/* "learning from N samples, measuring on M" */
static void
check_counts (Fixture *f, gint learn, gint measure)
{
  g_autofree gchar *want = g_strdup_printf (
      "learning from %d samples, measuring on %d", learn, measure);
  gboolean found = FALSE;
  GstMessage *m;

  while ((m = gst_bus_pop_filtered (f->bus, GST_MESSAGE_PROGRESS))) {
    gchar *text;

    gst_message_parse_progress (m, NULL, NULL, &text);
    found |= g_str_equal (text, want);
    g_free (text);
    gst_message_unref (m);
  }
  fail_unless (found, "not %s", want);
}

GST_START_TEST (test_selection)
{
  static const struct
  {
    const gchar *settings;
    gint learn, measure;
  } c[] = {
    { "frames=3-10", 8, 0 },
    { "frames=1-4,15-", 10, 0 },
    { "frames=1-10 every=3", 4, 0 },           /* 1, 4, 7, 10 */
    { "frames=1-10 validation=11-14", 10, 4 }, /* each of these */
    { "validation=0.25", 15, 5 },
    { "validation=18-", 17, 3 },
    { "max-samples=7", 7, 0 },
  };
  g_autofree gchar *settings =
      g_strconcat (SMALL "epochs=1 ", c[__i__].settings, NULL);
  Fixture f = fixture (settings);

  push_boxes (&f, 20);
  push (&f, picture (20, 0, 0)); /* not tagged */
  fail_unless_equals_int (stat_of (&f, "frames"), 21);
  fail_unless_equals_int (stat_of (&f, "tagged"), 20);
  eos_trains (&f);
  check_counts (&f, c[__i__].learn, c[__i__].measure);
  done (&f);
}
GST_END_TEST;

/* Frames that are tagged as measuring do so, if they are selected; no share of
 * the others does then. */
GST_START_TEST (test_validation_tag)
{
  static const struct
  {
    const gchar *settings;
    gint learn, measure;
  } c[] = { { "validation=0.25", 14, 6 }, { "frames=1-17", 14, 3 },
    { "every=2", 7, 3 } };

  for (guint i = 0; i < G_N_ELEMENTS (c); i++) {
    g_autofree gchar *settings =
        g_strconcat (SMALL "epochs=1 ", c[i].settings, NULL);
    Fixture f = fixture (settings);

    for (gint n = 0; n < 20; n++) {
      GstBuffer *b = tagged (n, "square", 0, NULL);

      qfuse_buffer_get_truth (b)->validation = n >= 14;
      push (&f, b);
    }
    eos_trains (&f);
    check_counts (&f, c[i].learn, c[i].measure);
    done (&f);
  }
}
GST_END_TEST;

/* Labels in the order of their numbers, then as they come; what is only ever to
 * be ignored is no class. */
GST_START_TEST (test_labels)
{
  Fixture f = fixture (SMALL "epochs=1");
  GstBuffer *b;

  for (gint i = 0; i < 4; i++) {
    push (&f, tagged (f.n, "zebra", -1, NULL));
    push (&f, tagged (f.n, "b", 1, NULL));
    push (&f, tagged (f.n, "a", 0, NULL));
    b = tagged (f.n, "crowd", 2, NULL);
    g_array_index (qfuse_buffer_get_truth (b)->boxes, QfuseDetection, 0).score =
        0;
    push (&f, b);
  }
  eos_trains (&f);
  check_key ("qfuse.labels", "a\nb\nzebra");
  done (&f);

  f = fixture (SMALL "epochs=1 labels=b,a,zebra,unused");
  push (&f, tagged (f.n, "zebra", 0, NULL));
  push (&f, tagged (f.n, "a", 0, NULL));
  eos_trains (&f);
  check_key ("qfuse.labels", "b\na\nzebra\nunused");
  done (&f);

  f = fixture (SMALL "epochs=1 labels=b,a");
  push (&f, tagged (f.n, "zebra", 0, NULL));
  eos_fails (&f, "\"zebra\"");
  done (&f);
}
GST_END_TEST;

/* Tagged with actions alone: a classifier, whose training then goes on. */
GST_START_TEST (test_classify)
{
  Fixture f = fixture (SMALL "epochs=1 validation=0.25 flip=false");
  g_autofree gchar *start = NULL;
  GstMessage *m;

  for (gint i = 0; i < 16; i++)
    push (&f, tagged (f.n, NULL, 0, i % 2 ? "left" : "right"));
  eos_trains (&f);
  m = gst_bus_pop_filtered (f.bus, GST_MESSAGE_ELEMENT);
  fail_unless (m != NULL);
  fail_unless (
      gst_structure_has_field (gst_message_get_structure (m), "accuracy"));
  gst_message_unref (m);
  check_key ("qfuse.head", "classify");
  check_key ("qfuse.labels", "right\nleft");
  done (&f);

  start = g_strdup_printf (
      "epochs=1 threads=1 batch-size=4 validation=0 start-file=%s", file);
  f = fixture (start);
  for (gint i = 0; i < 8; i++)
    push (&f, tagged (f.n, NULL, 0, i % 2 ? "right" : "left"));
  eos_trains (&f);
  check_key ("qfuse.labels", "right\nleft");
  check_key ("qfuse.planes", "Y,D1x2t8");
  done (&f);
}
GST_END_TEST;

static gpointer
push_eos (gpointer data)
{
  Fixture *f = data;

  return GINT_TO_POINTER (gst_harness_push_event (f->h, gst_event_new_eos ()));
}

/* Starts a training that would last for hours; returns after its first epoch.
 */
static GThread *
long_training (Fixture *f)
{
  GThread *thread;
  GstMessage *m;

  push_boxes (f, 8);
  thread = g_thread_new ("eos", push_eos, f);
  m = gst_bus_timed_pop_filtered (f->bus, 20 * GST_SECOND, GST_MESSAGE_ELEMENT);
  fail_unless (m != NULL);
  gst_message_unref (m);
  fail_unless (gst_bus_pop_filtered (f->bus, GST_MESSAGE_EOS) == NULL);
  return thread;
}

/* Stopped: at once, with the best model so far in place and no EOS. */
GST_START_TEST (test_stop)
{
  Fixture f = fixture (SMALL "epochs=100000");
  GThread *thread = long_training (&f);
  gint64 start = g_get_monotonic_time ();

  fail_unless_equals_int (
      gst_element_set_state (f.e, GST_STATE_READY), GST_STATE_CHANGE_SUCCESS);
  fail_if (GPOINTER_TO_INT (g_thread_join (thread)));
  fail_unless (g_get_monotonic_time () - start < 5 * G_USEC_PER_SEC);
  fail_unless (gst_bus_pop_filtered (
                   f.bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR) == NULL);
  check_key ("qfuse.labels", "square");
  done (&f);
}
GST_END_TEST;

/* Flushed while it waits: ends; the samples are forgotten, the next ones
 * learnt. */
GST_START_TEST (test_flush)
{
  Fixture f = fixture (SMALL "epochs=100000");
  GThread *thread = long_training (&f);
  gint64 start = g_get_monotonic_time ();
  GstSegment s;

  gst_harness_push_event (f.h, gst_event_new_flush_start ());
  fail_if (GPOINTER_TO_INT (g_thread_join (thread)));
  fail_unless (g_get_monotonic_time () - start < 5 * G_USEC_PER_SEC);
  gst_harness_push_event (f.h, gst_event_new_flush_stop (TRUE));
  fail_unless_equals_int (stat_of (&f, "samples"), 0);
  fail_unless (gst_bus_pop_filtered (
                   f.bus, GST_MESSAGE_EOS | GST_MESSAGE_ERROR) == NULL);

  gst_segment_init (&s, GST_FORMAT_TIME);
  gst_harness_push_event (f.h, gst_event_new_segment (&s));
  gst_bus_set_flushing (f.bus, TRUE);
  gst_bus_set_flushing (f.bus, FALSE);
  f.n = 0;
  thread = long_training (&f);
  fail_unless_equals_int (stat_of (&f, "samples"), 8);
  gst_element_set_state (f.e, GST_STATE_NULL);
  g_thread_join (thread);
  done (&f);
}
GST_END_TEST;

static gint
pop_epochs (Fixture *f)
{
  GstMessage *m;
  gint n = 0;

  while ((m = gst_bus_pop_filtered (f->bus, GST_MESSAGE_ELEMENT))) {
    gst_message_unref (m);
    n++;
  }
  return n;
}

/* PAUSED holds training; PLAYING goes on; READY out of PAUSED ends it. */
GST_START_TEST (test_pause)
{
  Fixture f = fixture (SMALL "epochs=100000");
  GThread *thread = long_training (&f);
  GstMessage *m;

  fail_unless_equals_int (
      gst_element_set_state (f.e, GST_STATE_PAUSED), GST_STATE_CHANGE_SUCCESS);
  g_usleep (300000); /* the batch that runs may end */
  pop_epochs (&f);
  g_usleep (500000);
  fail_unless_equals_int (pop_epochs (&f), 0);

  gst_element_set_state (f.e, GST_STATE_PLAYING);
  m = gst_bus_timed_pop_filtered (f.bus, 20 * GST_SECOND, GST_MESSAGE_ELEMENT);
  fail_unless (m != NULL);
  gst_message_unref (m);

  gst_element_set_state (f.e, GST_STATE_PAUSED);
  gst_element_set_state (f.e, GST_STATE_READY);
  fail_if (GPOINTER_TO_INT (g_thread_join (thread)));
  done (&f);
}
GST_END_TEST;

/* Training that ends while PAUSED: EOS waits for PLAYING. */
GST_START_TEST (test_end_in_pause)
{
  Fixture f = fixture (SMALL "epochs=2");
  GThread *thread;
  GstMessage *m;

  push_boxes (&f, 8);
  gst_element_set_state (f.e, GST_STATE_PAUSED);
  thread = g_thread_new ("eos", push_eos, &f);
  g_usleep (300000);
  fail_unless (gst_bus_pop_filtered (
                   f.bus, GST_MESSAGE_PROGRESS | GST_MESSAGE_EOS) == NULL);
  gst_element_set_state (f.e, GST_STATE_PLAYING);
  m = gst_bus_timed_pop_filtered (f.bus, 20 * GST_SECOND, GST_MESSAGE_EOS);
  fail_unless (m != NULL);
  gst_message_unref (m);
  fail_unless (GPOINTER_TO_INT (g_thread_join (thread)));
  done (&f);
}
GST_END_TEST;

/* What the stream lacks is said when it is over. */
GST_START_TEST (test_stream_errors)
{
  Fixture f = fixture (SMALL);

  push (&f, picture (0, 0, 0));
  eos_fails (&f, "qfusetag");
  done (&f);

  f = fixture (SMALL "frames=100-200");
  push_boxes (&f, 3);
  eos_fails (&f, "numbered 1 to 3, is among frames=100-200");
  done (&f);

  f = fixture (SMALL);
  push (&f, tagged (0, NULL, 0, NULL));
  eos_fails (&f, "no box");
  done (&f);

  f = fixture (SMALL "head=classify");
  push_boxes (&f, 3);
  eos_fails (&f, "no action");
  done (&f);

  f = fixture (SMALL);
  eos_fails (&f, "qfusetag");
  done (&f);
  fail_if (g_file_test (file, G_FILE_TEST_EXISTS));
}
GST_END_TEST;

/* Truth for another frame size (something moved pixels) is no truth. */
GST_START_TEST (test_foreign_truth)
{
  Fixture f = fixture (SMALL);
  GstBuffer *b = picture (0, 0, 0);

  gst_buffer_add_qfuse_truth (b, W * 2, H * 2);
  push (&f, b);
  fail_unless_equals_int (stat_of (&f, "tagged"), 0);
  done (&f);
}
GST_END_TEST;

GST_START_TEST (test_diverges)
{
  Fixture f = fixture (SMALL "learning-rate=1000 epochs=200");

  push_boxes (&f, 8);
  eos_fails (&f, "learning rate");
  done (&f);
}
GST_END_TEST;

/* The folder goes while it trains. */
GST_START_TEST (test_write_error)
{
  g_autofree gchar *sub = g_build_filename (folder, "sub", NULL);
  Fixture f;

  g_free (file);
  file = g_build_filename (sub, "model.onnx", NULL);
  g_mkdir (sub, 0755);
  f = fixture (SMALL "epochs=3");
  push_boxes (&f, 8);
  fail_unless (g_rmdir (sub) == 0);
  eos_fails (&f, "model.onnx");
  done (&f);
}
GST_END_TEST;

/* What can be known at the start is said then, within a second. */
GST_START_TEST (test_start_errors)
{
  g_autofree gchar *nowhere = g_build_filename (folder, "no", "x", NULL);
  g_autofree gchar *damaged = g_build_filename (folder, "damaged.onnx", NULL);
  const struct
  {
    const gchar *model, *name, *value, *part;
  } c[] = {
    { NULL, "seed", "1", "model-file" },
    { nowhere, "seed", "1", nowhere },
    { folder, "seed", "1", folder },
    { "/dev/null", "seed", "1", "/dev/null" },
    { file, "planes", "Y,Q7", "Q7" },
    { file, "frames", "1-x", "1-x" },
    { file, "frames", "10-5", "10-5" },
    { file, "frames", "0-5", "0-5" },
    { file, "validation", "0.95", "0.95" },
    { file, "validation", "1e", "1e" },
    { file, "labels", ", ,", "no label" },
    { file, "labels", nowhere, nowhere },
    { file, "start-file", nowhere, nowhere },
    { file, "start-file", damaged, damaged },
    { file, "network", "huge", "huge" },
  };

  fail_unless (g_file_set_contents (damaged, "no model", -1, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (c); i++) {
    GstElement *e = gst_element_factory_make ("qfusetrain", NULL);
    gint64 start = g_get_monotonic_time ();
    Fixture f = { NULL, e, gst_bus_new () };
    g_autofree gchar *text = NULL;

    g_object_set (e, "model-file", c[i].model, NULL);
    gst_util_set_object_arg (G_OBJECT (e), c[i].name, c[i].value);
    gst_element_set_bus (e, f.bus);
    fail_unless_equals_int (
        gst_element_set_state (e, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
    text = pop_error (&f);
    fail_unless (text && strstr (text, c[i].part), "%s=%s: \"%s\" lacks \"%s\"",
        c[i].name, c[i].value, text, c[i].part);
    fail_unless (g_get_monotonic_time () - start < G_USEC_PER_SEC);
    gst_element_set_bus (e, NULL);
    gst_element_set_state (e, GST_STATE_NULL);
    gst_object_unref (f.bus);
    gst_object_unref (e);
  }
  g_unlink (damaged);
}
GST_END_TEST;

/* framediff asks for planes: the want of the settings, nothing when stopped. */
GST_START_TEST (test_query)
{
  Fixture f = fixture (SMALL);
  GstQuery *q = gst_qf_planes_query_new ();
  GArray *wants;
  const GstQfWant *w;

  fail_if (gst_pad_peer_query (f.h->srcpad, q));
  wants = gst_qf_planes_query_wants (q);
  fail_unless_equals_int (wants->len, 1);
  w = &g_array_index (wants, GstQfWant, 0);
  fail_unless_equals_int (w->width, W);
  fail_unless_equals_int (w->height, H);
  fail_unless_equals_int (w->planes.n, 2);
  g_array_unref (wants);
  gst_query_unref (q);
  done (&f);
}
GST_END_TEST;

/* PAUSED and READY in turn, settings changed in between. */
GST_START_TEST (test_states)
{
  Fixture f = fixture (SMALL "epochs=1");

  for (gint i = 0; i < 3; i++) {
    push_boxes (&f, 4);
    gst_element_set_state (f.e, GST_STATE_READY);
    g_object_set (f.e, "planes", i == 1 ? "Y" : "D2", NULL);
    gst_element_set_state (f.e, GST_STATE_PLAYING);
    gst_harness_push_event (f.h, gst_event_new_stream_start ("again"));
    gst_harness_set_src_caps_str (f.h, CAPS);
    fail_unless_equals_int (stat_of (&f, "frames"), 0);
    f.n = 0;
  }
  push_boxes (&f, 4);
  eos_trains (&f);
  check_key ("qfuse.planes", "D2");
  done (&f);
}
GST_END_TEST;

/* A whole pipeline: two clips through concat, one qfusetag before each. */
GST_START_TEST (test_concat)
{
  g_autofree gchar *line = g_strdup_printf (
      "concat name=c ! qfusetrain " SMALL "epochs=1 frames=1-6 model-file=%s "
      "videotestsrc num-buffers=8 pattern=snow ! " CAPS
      " ! qfusetag label=snow ! c. "
      "videotestsrc num-buffers=8 pattern=ball ! " CAPS
      " ! qfusetag label=ball ! c.",
      file);
  GstElement *pipeline = gst_parse_launch (line, NULL);
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *m;

  fail_unless (pipeline != NULL);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  m = gst_bus_timed_pop_filtered (
      bus, 60 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless (m != NULL);
  fail_unless_equals_int (GST_MESSAGE_TYPE (m), GST_MESSAGE_EOS);
  gst_message_unref (m);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  check_key ("qfuse.labels", "snow\nball");
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}
GST_END_TEST;

static Suite *
qfusetrain_suite (void)
{
  Suite *s = suite_create ("qfusetrain");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_set_timeout (tc, 60);
  tcase_add_checked_fixture (tc, setup, teardown);
  tcase_add_test (tc, test_learns);
  tcase_add_test (tc, test_same_file);
  tcase_add_loop_test (tc, test_selection, 0, 7);
  tcase_add_test (tc, test_validation_tag);
  tcase_add_test (tc, test_labels);
  tcase_add_test (tc, test_classify);
  tcase_add_test (tc, test_stop);
  tcase_add_test (tc, test_flush);
  tcase_add_test (tc, test_pause);
  tcase_add_test (tc, test_end_in_pause);
  tcase_add_test (tc, test_stream_errors);
  tcase_add_test (tc, test_foreign_truth);
  tcase_add_test (tc, test_diverges);
  tcase_add_test (tc, test_write_error);
  tcase_add_test (tc, test_start_errors);
  tcase_add_test (tc, test_query);
  tcase_add_test (tc, test_states);
  tcase_add_test (tc, test_concat);
  return s;
}

GST_CHECK_MAIN (qfusetrain);
