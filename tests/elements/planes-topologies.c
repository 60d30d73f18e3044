/* GStreamer qfuse: tests: planes find every detector, however a pipeline is
 * built, and never change what it says.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfmeta-private.h"
#include "testframes.h"
#include "testmodel.h"

#define WIDTH 128
#define HEIGHT 96
#define N_FRAMES 24
#define MAX_DETECTORS 4

/* In a chain $F is framediff, or nothing where the run is the one to compare
 * with; $Y, $D, $M are detectors whose models want the picture, a difference,
 * or both in another shape. Detectors are named a, b, … */
static const gchar *const models[][3] = { { "Y", "letterbox", NULL },
  { "D1", "letterbox", NULL }, { "Y,M2x2t8", "stretch", "25/1" } };
static gchar *paths[G_N_ELEMENTS (models)];

static void
setup (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (models); i++) {
    g_autofree gchar *name = g_strdup_printf ("model%u.onnx", i);

    paths[i] = test_model_path (name);
    test_model_write_detector (
        paths[i], models[i][0], models[i][1], models[i][2], "1");
  }
}

static void
teardown (void)
{
  test_model_cleanup ();
  for (guint i = 0; i < G_N_ELEMENTS (models); i++)
    g_clear_pointer (&paths[i], g_free);
}

/* What one detector said. */
typedef struct
{
  gchar name[2];
  GMutex lock;
  GCond more;
  GHashTable *said; /* PTS → GBytes */
  guint found;
} Seen;

typedef struct
{
  GstElement *pipeline, *source;
  GstVideoInfo info;
  Seen seen[MAX_DETECTORS];
} Run;

/* All detections of the buffer, as bytes. */
static GstPadProbeReturn
on_detections (GstPad *pad, GstPadProbeInfo *probe, gpointer data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (probe);
  GType api = g_type_from_name ("QfuseDetectionsMetaAPI");
  GByteArray *bytes = g_byte_array_new ();
  gint64 *time = g_new (gint64, 1);
  gpointer state = NULL;
  Seen *seen = data;
  GstMeta *meta;

  *time = (gint64) GST_BUFFER_PTS (buffer);
  g_mutex_lock (&seen->lock);
  while ((meta = gst_buffer_iterate_meta_filtered (buffer, &state, api))) {
    QfuseDetectionsMeta *m = (QfuseDetectionsMeta *) meta;
    guint head[4] = { m->width, m->height, m->detections->len, m->carried };

    g_byte_array_append (bytes, (guint8 *) head, sizeof head);
    g_byte_array_append (bytes, (guint8 *) m->detections->data,
        m->detections->len * (guint) sizeof (QfuseDetection));
    seen->found += m->detections->len;
  }
  g_hash_table_insert (seen->said, time, g_byte_array_free_to_bytes (bytes));
  g_cond_signal (&seen->more);
  g_mutex_unlock (&seen->lock);
  return GST_PAD_PROBE_OK;
}

static GstElement *
get_element (const Run *run, const gchar *name)
{
  GstElement *e = gst_bin_get_by_name (GST_BIN (run->pipeline), name);

  fail_unless (e != NULL, "%s", name);
  return e;
}

/* Listens to the detector that is called @name. */
static void
listen (Run *run, const gchar *name)
{
  Seen *seen = &run->seen[name[0] - 'a'];
  GstElement *e = get_element (run, name);
  GstPad *pad = gst_element_get_static_pad (e, "src");

  seen->name[0] = name[0];
  g_mutex_init (&seen->lock);
  g_cond_init (&seen->more);
  seen->said = g_hash_table_new_full (
      g_int64_hash, g_int64_equal, g_free, (GDestroyNotify) g_bytes_unref);
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_detections, seen, NULL);
  gst_object_unref (pad);
  gst_object_unref (e);
}

static gchar *
expand (const gchar *chain, gboolean planes)
{
  static const gchar letters[] = "YDM";
  GString *line = g_string_new (chain);

  g_string_replace (
      line, "$F", planes ? "framediff output=planes" : "identity", 0);
  for (guint i = 0; letters[i]; i++) {
    const gchar from[] = { '$', letters[i], 0 };
    g_autofree gchar *to =
        g_strdup_printf ("qfusedetect threshold=0.2 model-file=%s", paths[i]);

    g_string_replace (line, from, to, 0);
  }
  g_string_replace (line, "$E", "fakesink sync=false async=false", 0);
  return g_string_free (line, FALSE);
}

static void
run_open (Run *run, const gchar *chain, gboolean planes)
{
  g_autofree gchar *expanded = expand (chain, planes);
  g_autofree gchar *line =
      g_strdup_printf ("appsrc name=src format=time ! %s", expanded);
  GstCaps *caps = test_caps ("I420", WIDTH, HEIGHT);
  GError *error = NULL;

  memset (run, 0, sizeof (*run));
  gst_video_info_from_caps (&run->info, caps);
  run->pipeline = gst_parse_launch (line, &error);
  fail_unless (run->pipeline && !error, "%s", line);
  run->source = get_element (run, "src");
  g_object_set (run->source, "caps", caps, NULL);
  gst_caps_unref (caps);
  for (guint i = 0; i < MAX_DETECTORS; i++) {
    const gchar name[] = { (gchar) ('a' + i), 0 };
    GstElement *e = gst_bin_get_by_name (GST_BIN (run->pipeline), name);

    if (e)
      listen (run, name);
    g_clear_pointer (&e, gst_object_unref);
  }
  gst_element_set_state (run->pipeline, GST_STATE_PLAYING);
}

/* A square on its way, frames @from … @to − 1. */
static void
run_feed (Run *run, guint from, guint to)
{
  for (guint n = from; n < to; n++) {
    GstFlowReturn flow;
    GstBuffer *frame = test_stamp (test_square (&run->info, 32 * (gint) (n % 3),
                                       (gint) (16 * (n / 3)) % 64, 40),
        n);

    g_signal_emit_by_name (run->source, "push-buffer", frame, &flow);
    gst_buffer_unref (frame);
    fail_unless_equals_int (flow, GST_FLOW_OK);
  }
}

/* Until the detector has seen @n frames. */
static void
run_wait (Run *run, const gchar *name, guint n)
{
  gint64 end = g_get_monotonic_time () + 20 * G_TIME_SPAN_SECOND;
  Seen *seen = &run->seen[name[0] - 'a'];

  g_mutex_lock (&seen->lock);
  while (g_hash_table_size (seen->said) < n)
    fail_unless (g_cond_wait_until (&seen->more, &seen->lock, end),
        "%s has seen %u frames of %u", name, g_hash_table_size (seen->said), n);
  g_mutex_unlock (&seen->lock);
}

static void
run_finish (Run *run)
{
  GstFlowReturn flow;
  GstMessage *message;

  g_signal_emit_by_name (run->source, "end-of-stream", &flow);
  message = gst_bus_timed_pop_filtered (GST_ELEMENT_BUS (run->pipeline),
      20 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  fail_unless (message && GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS);
  gst_message_unref (message);
}

static void
run_close (Run *run)
{
  gst_element_set_state (run->pipeline, GST_STATE_NULL);
  gst_object_unref (run->source);
  gst_object_unref (run->pipeline);
  for (guint i = 0; i < MAX_DETECTORS; i++)
    if (run->seen[i].said) {
      g_hash_table_unref (run->seen[i].said);
      g_mutex_clear (&run->seen[i].lock);
      g_cond_clear (&run->seen[i].more);
    }
}

static void
check_planes (const GstElement *detector, gboolean taken)
{
  guint64 frames = 0, upstream = 0;
  GstStructure *stats;

  g_object_get ((gpointer) detector, "stats", &stats, NULL);
  fail_unless (gst_structure_get (stats, "frames", G_TYPE_UINT64, &frames,
      "upstream-planes", G_TYPE_UINT64, &upstream, NULL));
  fail_unless (frames > 0);
  fail_unless (upstream == (taken ? frames : 0),
      "%s took planes of %u frames of %u", GST_OBJECT_NAME (detector),
      (guint) upstream, (guint) frames);
  gst_structure_free (stats);
}

/* The same of each frame; @all: of the same frames. */
static void
check_same (const Seen *got, const Seen *expected, gboolean all)
{
  GHashTableIter iter;
  gpointer time, bytes;

  g_hash_table_iter_init (&iter, got->said);
  while (g_hash_table_iter_next (&iter, &time, &bytes)) {
    GBytes *other = g_hash_table_lookup (expected->said, time);

    fail_unless (other && g_bytes_equal (bytes, other),
        "%s: frame at %d ms differs", got->name,
        (gint) (*(gint64 *) time / GST_MSECOND));
  }
  if (all)
    fail_unless_equals_int (
        g_hash_table_size (got->said), g_hash_table_size (expected->said));
  fail_unless (got->found > 0, "%s finds nothing", got->name);
}

/* Pipelines that stay as they are. @taken: a letter a detector, whose planes
 * come from framediff; in capitals where they must not. */
static void
check_chain (const gchar *chain, const gchar *without, const gchar *taken)
{
  gboolean leaky = strstr (chain, "leaky") != NULL;
  Run got, expected;

  run_open (&got, chain, TRUE);
  run_feed (&got, 0, N_FRAMES);
  run_finish (&got);
  run_open (&expected, without ? without : chain, FALSE);
  run_feed (&expected, 0, N_FRAMES);
  run_finish (&expected);
  for (; *taken; taken++) {
    gchar name[] = { g_ascii_tolower (*taken), 0 };
    GstElement *e = get_element (&got, name);
    guint i = (guint) (name[0] - 'a');

    check_planes (e, g_ascii_islower (*taken));
    check_same (&got.seen[i], &expected.seen[i], !leaky);
    gst_object_unref (e);
  }
  run_close (&got);
  run_close (&expected);
}

GST_START_TEST (test_tee)
{
  check_chain ("$F ! tee name=t t. ! queue ! $D name=a ! $E "
               "t. ! queue ! $Y name=b ! $E t. ! queue ! $D name=c ! $E",
      NULL, "abc");
}
GST_END_TEST;

GST_START_TEST (test_tee_in_tee)
{
  check_chain (
      "$F ! tee name=t t. ! queue ! $M name=a ! $E "
      "t. ! queue ! tee name=u u. ! queue ! $D name=b ! $E "
      "u. ! queue ! tee name=v v. ! queue ! $Y name=c ! $E v. ! queue ! $E",
      NULL, "abc");
}
GST_END_TEST;

/* A difference to the frame before is one to a frame that may have leaked: only
 * the detector that saw every frame can be compared with. */
GST_START_TEST (test_leaky_queues)
{
  check_chain (
      "$F ! tee name=t t. ! queue leaky=downstream max-size-buffers=1 ! "
      "identity sleep-time=4000 ! $D name=a ! $E "
      "t. ! queue leaky=upstream max-size-buffers=6 ! "
      "identity sleep-time=1000 ! $M name=b ! $E",
      "tee name=t t. ! queue ! $D name=a ! $E t. ! queue ! $M name=b ! $E",
      "ab");
}
GST_END_TEST;

GST_START_TEST (test_two_in_a_row)
{
  check_chain (
      "$F ! queue ! $D name=a ! queue ! $M name=b ! queue ! $E", NULL, "ab");
}
GST_END_TEST;

GST_START_TEST (test_capsfilter)
{
  check_chain ("$F ! capsfilter caps=video/x-raw,format=I420,width=128 ! "
               "tee name=t t. ! queue ! $D name=a ! $E t. ! queue ! "
               "capsfilter caps=video/x-raw ! $Y name=b ! $E",
      NULL, "ab");
}
GST_END_TEST;

/* A converter that converts makes another picture, one that need not is not
 * there. */
GST_START_TEST (test_converters)
{
  check_chain (
      "$F ! tee name=t "
      "t. ! queue ! videoconvert ! video/x-raw,format=BGRx ! $D name=a ! $E "
      "t. ! queue ! videoscale ! video/x-raw,width=80,height=60 ! $M name=b ! "
      "$E t. ! queue ! videoconvert ! videoscale ! $D name=c ! $E "
      "t. ! queue ! videoflip video-direction=180 ! $Y name=d ! $E",
      NULL, "ABcD");
}
GST_END_TEST;

GST_START_TEST (test_behind_queue)
{
  check_chain ("queue ! $F ! queue ! tee name=t "
               "t. ! queue ! $D name=a ! $E t. ! queue ! $M name=b ! $E",
      NULL, "ab");
}
GST_END_TEST;

/* Each asks for its own, in one tee or one after another. */
GST_START_TEST (test_different_wants)
{
  check_chain ("$F ! tee name=t t. ! queue ! $Y name=a ! queue ! $D name=b ! "
               "$E t. ! queue ! $M name=c ! queue ! $Y name=d ! $E",
      NULL, "abcd");
}
GST_END_TEST;

GST_START_TEST (test_crop)
{
  check_chain ("$F ! tee name=t t. ! queue ! videocrop left=16 bottom=8 ! "
               "$D name=a ! $E t. ! queue ! $D name=b ! $E "
               "t. ! queue ! videocrop ! $M name=c ! $E",
      NULL, "Abc");
  check_chain ("videocrop top=16 ! $F ! queue ! $D name=a ! $E", NULL, "a");
}
GST_END_TEST;

static GstPadProbeReturn
on_uncropped (GstPad *pad, GstPadProbeInfo *probe, gpointer data)
{
  GstBuffer *buffer =
      gst_buffer_make_writable (GST_PAD_PROBE_INFO_BUFFER (probe));
  GstVideoCropMeta *crop = gst_buffer_add_video_crop_meta (buffer);

  crop->x = 16;
  crop->y = 0;
  crop->width = WIDTH - 32;
  crop->height = HEIGHT - 8;
  GST_PAD_PROBE_INFO_DATA (probe) = buffer;
  return GST_PAD_PROBE_OK;
}

/* Where a frame is only said to be smaller, what was computed of the whole is
 * not taken; what was computed after is. @where: the element behind which the
 * crop meta comes. */
static void
check_crop_meta (const gchar *where, gboolean taken)
{
  Run run[2];
  GstElement *e;

  for (guint i = 0; i < 2; i++) {
    GstPad *pad;

    run_open (&run[i],
        "identity name=x ! $F name=f ! identity name=z ! $D name=a ! $E",
        i == 0);
    e = get_element (&run[i], where);
    pad = gst_element_get_static_pad (e, "src");
    gst_pad_add_probe (
        pad, GST_PAD_PROBE_TYPE_BUFFER, on_uncropped, NULL, NULL);
    gst_object_unref (pad);
    gst_object_unref (e);
    run_feed (&run[i], 0, N_FRAMES);
    run_finish (&run[i]);
  }
  e = get_element (&run[0], "a");
  check_planes (e, taken);
  check_same (&run[0].seen[0], &run[1].seen[0], TRUE);
  gst_object_unref (e);
  run_close (&run[0]);
  run_close (&run[1]);
}

GST_START_TEST (test_crop_meta)
{
  check_crop_meta ("x", TRUE);
  check_crop_meta ("z", FALSE);
}
GST_END_TEST;

/* The second takes away what the first attached; also where a detector stands
 * between them. */
GST_START_TEST (test_two_framediffs)
{
  check_chain ("$F ! queue ! $F ! queue ! $D name=a ! $E", NULL, "a");
  check_chain ("$F ! tee name=t t. ! queue ! $D name=a ! queue ! $F ! queue ! "
               "$M name=b ! $E t. ! queue ! $F ! queue ! $D name=c ! $E",
      NULL, "abc");
}
GST_END_TEST;

/* ---- a difference of the difference ---------------------------------------
 */

static guint
count_warnings (const gchar *chain)
{
  guint n = 0;
  GstMessage *message;
  GstBus *bus;
  Run run;

  run_open (&run, chain, TRUE);
  bus = gst_element_get_bus (run.pipeline);
  run_feed (&run, 0, N_FRAMES);
  run_wait (&run, "a", N_FRAMES);
  while ((message = gst_bus_pop_filtered (bus, GST_MESSAGE_WARNING))) {
    g_autofree gchar *debug = NULL;
    GError *error = NULL;

    gst_message_parse_warning (message, &error, &debug);
    fail_unless_equals_string (GST_OBJECT_NAME (message->src), "f");
    fail_unless (
        g_error_matches (error, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT));
    fail_unless (strstr (error->message, "difference the difference") != NULL);
    fail_unless (strstr (debug, "output=planes") != NULL);
    g_error_free (error);
    gst_message_unref (message);
    n++;
  }
  gst_object_unref (bus);
  run_close (&run);
  return n;
}

/* One warning, however many networks and frames; none where the network looks
 * at the picture that it gets, or takes its planes. */
GST_START_TEST (test_difference_of_difference)
{
  static const struct
  {
    const gchar *chain;
    guint warnings;
  } cases[] = { { "framediff name=f ! $D name=a ! $E", 1 },
    { "framediff name=f mode=absolute ! queue ! videoconvert ! "
      "video/x-raw,format=RGB ! queue ! $M name=a ! $E",
        1 },
    { "framediff name=f ! tee name=t t. ! queue ! $D name=a ! $D name=b ! $E "
      "t. ! queue ! $M name=c ! $E",
        1 },
    { "framediff name=f ! queue ! $F ! queue ! $D name=a ! $E", 1 },
    { "framediff name=f ! $Y name=a ! $E", 0 },
    { "framediff name=f ! $F ! $Y name=a ! $E", 0 },
    { "framediff name=f output=planes ! queue ! $D name=a ! $E", 0 },
    /* behind other planes, computed by the network itself */
    { "framediff name=f output=planes ! videoflip video-direction=180 ! "
      "$D name=a ! $E",
        0 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    guint n = count_warnings (cases[i].chain);

    fail_unless (n == cases[i].warnings, "%s: %u warnings", cases[i].chain, n);
  }
}
GST_END_TEST;

/* ---- pipelines that change ------------------------------------------------
 */

static void
add_branch (Run *run, const gchar *chain, const gchar *name)
{
  g_autofree gchar *line = expand (chain, FALSE);
  GstElement *tee = get_element (run, "t");
  GstElement *bin = gst_parse_bin_from_description (line, TRUE, NULL);

  fail_unless (bin != NULL);
  gst_bin_add (GST_BIN (run->pipeline), bin);
  gst_element_sync_state_with_parent (bin);
  listen (run, name);
  fail_unless (gst_element_link (tee, bin));
  gst_object_unref (tee);
}

/* Its first frame has its planes: linking asks upstream to look again. */
GST_START_TEST (test_branch_added)
{
  static const gchar chain[] = "$F ! tee name=t t. ! queue ! $D name=a ! $E";
  Run run[2];

  for (guint i = 0; i < 2; i++) {
    run_open (&run[i], chain, i == 0);
    run_feed (&run[i], 0, 8);
    run_wait (&run[i], "a", 8);
    add_branch (&run[i], "queue ! $M name=b ! $E", "b");
    run_feed (&run[i], 8, N_FRAMES);
    run_wait (&run[i], "a", N_FRAMES);
    run_wait (&run[i], "b", N_FRAMES - 8);
  }
  for (guint i = 0; i < 2; i++) {
    GstElement *e = get_element (&run[0], i ? "b" : "a");

    check_planes (e, TRUE);
    check_same (&run[0].seen[i], &run[1].seen[i], TRUE);
    gst_object_unref (e);
  }
  run_close (&run[0]);
  run_close (&run[1]);
}
GST_END_TEST;

static GstPadProbeReturn
on_idle (GstPad *pad, GstPadProbeInfo *probe, gpointer data)
{
  GstPad *peer = gst_pad_get_peer (pad);

  gst_pad_unlink (pad, peer);
  gst_object_unref (peer);
  g_atomic_int_set ((gint *) data, TRUE);
  return GST_PAD_PROBE_REMOVE;
}

/* Takes the branch of tee's @pad out while frames go. */
static void
remove_branch (Run *run, const gchar *pad_name, const gchar *const *names)
{
  GstElement *tee = get_element (run, "t");
  GstPad *pad = gst_element_get_static_pad (tee, pad_name);
  gint unlinked = FALSE;

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_IDLE, on_idle, &unlinked, NULL);
  while (!g_atomic_int_get (&unlinked))
    g_usleep (1000);
  gst_element_release_request_pad (tee, pad);
  for (guint i = 0; names[i]; i++) {
    GstElement *e = get_element (run, names[i]);

    gst_bin_remove (GST_BIN (run->pipeline), e);
    gst_element_set_state (e, GST_STATE_NULL);
    gst_object_unref (e);
  }
  gst_object_unref (pad);
  gst_object_unref (tee);
}

/* The other branches go on as if nothing had been, without a frame's gap. */
GST_START_TEST (test_branch_removed)
{
  static const gchar *const names[] = { "q", "b", "e", NULL };
  static const gchar chain[] =
      "$F ! tee name=t t. ! queue ! $D name=a ! $E "
      "t. ! queue name=q ! $M name=b ! fakesink name=e sync=false async=false "
      "t. ! queue ! $Y name=c ! $E";
  Run run[2];

  for (guint i = 0; i < 2; i++) {
    run_open (&run[i], chain, i == 0);
    run_feed (&run[i], 0, 12);
    remove_branch (&run[i], "src_1", names);
    run_feed (&run[i], 12, N_FRAMES);
    run_wait (&run[i], "a", N_FRAMES);
    run_wait (&run[i], "c", N_FRAMES);
  }
  for (guint i = 0; i < 3; i += 2) {
    const gchar name[] = { (gchar) ('a' + i), 0 };
    GstElement *e = get_element (&run[0], name);

    check_planes (e, TRUE);
    check_same (&run[0].seen[i], &run[1].seen[i], TRUE);
    gst_object_unref (e);
  }
  run_close (&run[0]);
  run_close (&run[1]);
}
GST_END_TEST;

/* A model that wants other planes: there with its first frame, while the other
 * branch goes on. */
GST_START_TEST (test_model_changed)
{
  static const gchar chain[] = "$F ! tee name=t t. ! queue ! $D name=a ! $E "
                               "t. ! queue ! $Y name=b ! $E";
  Run run[2];

  for (guint i = 0; i < 2; i++) {
    gboolean done = FALSE;
    GstElement *e;

    run_open (&run[i], chain, i == 0);
    run_feed (&run[i], 0, 10);
    run_wait (&run[i], "a", 10);
    run_wait (&run[i], "b", 10);
    e = get_element (&run[i], "b");
    g_object_set (e, "model-file", paths[2], NULL);
    g_signal_emit_by_name (e, "reload", &done);
    fail_unless (done);
    gst_object_unref (e);
    run_feed (&run[i], 10, N_FRAMES);
    run_wait (&run[i], "a", N_FRAMES);
    run_wait (&run[i], "b", N_FRAMES);
  }
  for (guint i = 0; i < 2; i++) {
    GstElement *e = get_element (&run[0], i ? "b" : "a");

    check_planes (e, TRUE);
    check_same (&run[0].seen[i], &run[1].seen[i], TRUE);
    gst_object_unref (e);
  }
  run_close (&run[0]);
  run_close (&run[1]);
}
GST_END_TEST;

static Suite *
planes_topologies_suite (void)
{
  Suite *s = suite_create ("planes-topologies");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_checked_fixture (tc, setup, teardown);
  tcase_add_test (tc, test_tee);
  tcase_add_test (tc, test_tee_in_tee);
  tcase_add_test (tc, test_leaky_queues);
  tcase_add_test (tc, test_two_in_a_row);
  tcase_add_test (tc, test_capsfilter);
  tcase_add_test (tc, test_converters);
  tcase_add_test (tc, test_behind_queue);
  tcase_add_test (tc, test_different_wants);
  tcase_add_test (tc, test_crop);
  tcase_add_test (tc, test_crop_meta);
  tcase_add_test (tc, test_two_framediffs);
  tcase_add_test (tc, test_difference_of_difference);
  tcase_add_test (tc, test_branch_added);
  tcase_add_test (tc, test_branch_removed);
  tcase_add_test (tc, test_model_changed);
  return s;
}

GST_CHECK_MAIN (planes_topologies);
