/* record-motion: encodes a stream once and writes what moves, a file an event.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *   record-motion PREFIX SOURCE…
 *
 * SOURCE is the beginning of a gst-launch line, up to raw video. Each event
 * begins with a key frame, KEY_FRAMES to twice as many frames before the motion
 * (so the recent past is held encoded, which costs little), and ends where
 * framediff's stop-time is over: PREFIX1.webm, PREFIX2.webm and so on. Ctrl-C
 * ends a live stream, and the event that is being written. */
#include <gst/app/app.h>
#include <gst/gst.h>
#include <signal.h>

#define KEY_FRAMES "30" /* frames between key frames */

typedef struct
{
  const char *prefix;
  GQueue recent;      /* GstSample, from the last key frame but one on */
  guint past;         /* of these before the last key frame */
  GstElement *writer; /* while an event is recorded */
  int events;
  gboolean moving;
  gboolean failed;    /* an event could not be written */
  GstClockTime first; /* of the event */
} Recorder;

/* Messages are posted by the thread that streams, so before the encoder gets
 * the frame in which motion starts. */
static GstBusSyncReply
on_message (GstBus *bus, GstMessage *message, gpointer data)
{
  Recorder *r = data;
  const GstStructure *s = gst_message_get_structure (message);

  if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ELEMENT &&
      gst_structure_has_name (s, "qfuse-motion"))
    r->moving = g_str_equal (gst_structure_get_string (s, "state"), "start");
  return GST_BUS_PASS;
}

static void
report (GstMessage *message, const char *about)
{
  g_autoptr (GError) error = NULL;

  gst_message_parse_error (message, &error, NULL);
  g_printerr ("%s: %s\n", about, error->message);
}

static void
write_sample (Recorder *r, GstSample *sample)
{
  g_autoptr (GstElement) in = gst_bin_get_by_name (GST_BIN (r->writer), "in");
  GstBuffer *buffer = gst_buffer_copy (gst_sample_get_buffer (sample));

  GST_BUFFER_PTS (buffer) -= r->first;
  GST_BUFFER_DTS (buffer) = GST_CLOCK_TIME_NONE;
  gst_app_src_push_buffer (GST_APP_SRC (in), buffer);
}

static void
begin (Recorder *r)
{
  GstSample *key = g_queue_peek_head (&r->recent);
  g_autofree char *location =
      g_strdup_printf ("%s%d.webm", r->prefix, ++r->events);
  g_autoptr (GstElement) in = NULL, out = NULL;

  r->writer = gst_parse_launch (
      "appsrc name=in format=time ! webmmux ! filesink name=out", NULL);
  in = gst_bin_get_by_name (GST_BIN (r->writer), "in");
  out = gst_bin_get_by_name (GST_BIN (r->writer), "out");
  g_object_set (in, "caps", gst_sample_get_caps (key), NULL);
  g_object_set (out, "location", location, NULL);
  gst_element_set_state (r->writer, GST_STATE_PLAYING);
  r->first = GST_BUFFER_PTS (gst_sample_get_buffer (key));
  for (GList *l = r->recent.head; l; l = l->next)
    write_sample (r, l->data);
}

static void
end (Recorder *r)
{
  g_autoptr (GstElement) in = gst_bin_get_by_name (GST_BIN (r->writer), "in");
  g_autoptr (GstBus) bus = gst_element_get_bus (r->writer);
  g_autoptr (GstMessage) done = NULL;

  gst_app_src_end_of_stream (GST_APP_SRC (in));
  done = gst_bus_timed_pop_filtered (
      bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (GST_MESSAGE_TYPE (done) == GST_MESSAGE_ERROR) {
    report (done, r->prefix);
    r->failed = TRUE;
  } else {
    g_print ("%s%d.webm\n", r->prefix, r->events);
  }
  gst_element_set_state (r->writer, GST_STATE_NULL);
  g_clear_pointer (&r->writer, gst_object_unref);
}

static GstFlowReturn
on_sample (GstAppSink *sink, gpointer data)
{
  Recorder *r = data;
  GstSample *sample = gst_app_sink_pull_sample (sink);
  GstBuffer *buffer = gst_sample_get_buffer (sample);

  if (!GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DELTA_UNIT)) {
    for (; r->past > 0; r->past--)
      gst_sample_unref (g_queue_pop_head (&r->recent));
    r->past = g_queue_get_length (&r->recent);
  }
  g_queue_push_tail (&r->recent, sample);

  if (r->writer)
    write_sample (r, sample);
  else if (r->moving)
    begin (r);
  if (r->writer && !r->moving)
    end (r);
  return GST_FLOW_OK;
}

static volatile sig_atomic_t interrupted;

static void
on_interrupt (int number)
{
  interrupted = 1;
}

/* Waits for the end, or an error. The caller frees the message. */
static GstMessage *
play (GstElement *pipeline, GstBus *bus)
{
  GstMessage *last = NULL;

  signal (SIGINT, on_interrupt);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while (!last) {
    if (interrupted) {
      signal (SIGINT, SIG_DFL); /* the second ends at once */
      interrupted = 0;
      gst_element_send_event (pipeline, gst_event_new_eos ());
    }
    last = gst_bus_timed_pop_filtered (
        bus, GST_SECOND / 5, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  }
  return last;
}

int
main (int argc, char **argv)
{
  GstAppSinkCallbacks callbacks = { .new_sample = on_sample };
  Recorder r = { .prefix = argc > 1 ? argv[1] : NULL };
  g_autofree char *source = NULL, *line = NULL;
  g_autoptr (GstElement) pipeline = NULL, out = NULL;
  g_autoptr (GstBus) bus = NULL;
  g_autoptr (GstMessage) last = NULL;
  g_autoptr (GError) error = NULL;

  gst_init (&argc, &argv);
  if (argc < 3) {
    g_printerr ("Usage: record-motion PREFIX SOURCE...\n");
    return 2;
  }
  if (!gst_registry_check_feature_version (
          gst_registry_get (), "webmmux", 1, 0, 0)) {
    g_printerr ("There is no webmmux: install gstreamer1.0-plugins-good.\n");
    return 1;
  }
  source = g_strjoinv (" ", argv + 2);
  line = g_strconcat (source,
      " ! videoconvert ! framediff output=planes post-messages=true"
      " ! videoconvert ! vp8enc deadline=1 target-bitrate=2000000"
      " keyframe-max-dist=" KEY_FRAMES " ! appsink name=out sync=false",
      NULL);
  pipeline = gst_parse_launch (line, &error);
  if (error) {
    g_printerr ("%s\n", error->message);
    return 2;
  }
  bus = gst_element_get_bus (pipeline);
  gst_bus_set_sync_handler (bus, on_message, &r, NULL);
  out = gst_bin_get_by_name (GST_BIN (pipeline), "out");
  gst_app_sink_set_callbacks (GST_APP_SINK (out), &callbacks, &r, NULL);

  last = play (pipeline, bus);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  if (r.writer)
    end (&r);
  g_queue_clear_full (&r.recent, (GDestroyNotify) gst_sample_unref);
  if (GST_MESSAGE_TYPE (last) == GST_MESSAGE_ERROR) {
    report (last, "record-motion");
    return 1;
  }
  return r.failed ? 1 : 0;
}
