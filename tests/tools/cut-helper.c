/* Tests of qfuse annotate --only-moving: a clip in which now and then something
 * moves and whose sound tells the time, and what became of it.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *   cut-helper clip OUT.mkv AUDIO MOVING
 *       260 frames, 25 a second; a square goes along in frames 60 … 74 and 180
 * … 199 (MOVING 1), or nowhere (0). Samples of the sound are the number of
 * their packet of 20 ms. AUDIO: the launch line of an encoder, or identity
 * cut-helper check FOUND.jsonl OUT the frames of OUT are those of the lines, in
 * two stretches without a gap; where the sound is PCM, it is that of the frames
 */
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <json-glib/json-glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 96
#define HEIGHT 64
#define SIDE 24
#define N_FRAMES 260
#define FRAME (40 * GST_MSECOND)
#define PACKET (20 * GST_MSECOND)
#define SAMPLES 160 /* a packet, at 8000 a second */
#define TICK (2 * (gint64) GST_MSECOND)

static void
die (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  vfprintf (stderr, format, args);
  va_end (args);
  fputc ('\n', stderr);
  exit (1);
}

static gboolean
moves (int frame)
{
  return (frame >= 60 && frame < 75) || (frame >= 180 && frame < 200);
}

static void
push (GstElement *pipeline, const char *name, GBytes *bytes, GstClockTime time,
    GstClockTime duration)
{
  GstElement *source = gst_bin_get_by_name (GST_BIN (pipeline), name);
  GstBuffer *buffer = gst_buffer_new_wrapped_bytes (bytes);

  GST_BUFFER_PTS (buffer) = time;
  GST_BUFFER_DURATION (buffer) = duration;
  gst_app_src_push_buffer (GST_APP_SRC (source), buffer);
  g_bytes_unref (bytes);
  gst_object_unref (source);
}

/* A square at @x, or none where @x < 0. */
static GBytes *
draw (int x)
{
  guint8 *p = g_malloc (WIDTH * HEIGHT);

  for (int i = 0; i < WIDTH * HEIGHT; i++)
    p[i] = (guint8) (60 + (i / WIDTH + i % WIDTH) % 4);
  for (int y = 20; x >= 0 && y < 20 + SIDE; y++)
    memset (p + y * WIDTH + x, 220, SIDE);
  return g_bytes_new_take (p, WIDTH * HEIGHT);
}

static GBytes *
sound (int packet)
{
  gint16 *s = g_new (gint16, SAMPLES);

  for (int i = 0; i < SAMPLES; i++)
    s[i] = (gint16) packet;
  return g_bytes_new_take (s, SAMPLES * sizeof *s);
}

static void
play (GstElement *pipeline)
{
  g_autofree char *debug = NULL;
  GError *error = NULL;
  GstMessage *m;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  m = gst_bus_timed_pop_filtered (GST_ELEMENT_BUS (pipeline), 60 * GST_SECOND,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  if (!m)
    die ("a pipeline hangs");
  if (GST_MESSAGE_TYPE (m) == GST_MESSAGE_ERROR) {
    gst_message_parse_error (m, &error, &debug);
    die ("a pipeline failed: %s (%s)", error->message, debug);
  }
  gst_message_unref (m);
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

static int
make_clip (const char *path, const char *audio, gboolean moving)
{
  g_autofree char *line = g_strdup_printf (
      "matroskamux name=mux ! filesink location=%s "
      "appsrc name=video format=time caps=video/x-raw,format=GRAY8,width=%d,"
      "height=%d,framerate=25/1 ! videoconvert ! vp8enc deadline=1 "
      "target-bitrate=2000000 ! queue max-size-time=0 max-size-buffers=0 ! "
      "mux. "
      "appsrc name=audio format=time caps=audio/x-raw,format=S16LE,channels=1,"
      "rate=8000,layout=interleaved ! %s ! queue max-size-time=0 "
      "max-size-buffers=0 ! mux.audio_0",
      path, WIDTH, HEIGHT, audio);
  GError *error = NULL;
  GstElement *pipeline = gst_parse_launch (line, &error);
  GstElement *source;
  int x = -6;

  if (error)
    die ("%s", error->message);
  gst_element_set_state (pipeline, GST_STATE_PAUSED);
  for (int i = 0; i < N_FRAMES; i++) {
    x = moving && moves (i) ? (x + 6) % (WIDTH - SIDE) : -6;
    push (pipeline, "video", draw (x), (GstClockTime) i * FRAME, FRAME);
  }
  for (int i = 0; i < N_FRAMES * (int) (FRAME / PACKET); i++)
    push (pipeline, "audio", sound (i), (GstClockTime) i * PACKET, PACKET);
  source = gst_bin_get_by_name (GST_BIN (pipeline), "video");
  gst_app_src_end_of_stream (GST_APP_SRC (source));
  gst_object_unref (source);
  source = gst_bin_get_by_name (GST_BIN (pipeline), "audio");
  gst_app_src_end_of_stream (GST_APP_SRC (source));
  gst_object_unref (source);
  play (pipeline);
  gst_object_unref (pipeline);
  return 0;
}

/* Times of the frames in the input, ns; their numbers fit. */
static GArray *
read_lines (const char *path)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  GArray *times = g_array_new (FALSE, FALSE, sizeof (gint64));

  if (!g_file_get_contents (path, &text, NULL, NULL))
    die ("%s cannot be read", path);
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i] && *lines[i]; i++) {
    g_autoptr (JsonParser) parser = json_parser_new ();
    gint64 time, frame;
    JsonObject *o;

    if (!json_parser_load_from_data (parser, lines[i], -1, NULL))
      die ("no JSON: %s", lines[i]);
    o = json_node_get_object (json_parser_get_root (parser));
    time = json_object_get_int_member (o, "pts");
    frame = json_object_get_int_member (o, "frame");
    if (ABS (time - (frame - 1) * (gint64) FRAME) > TICK)
      die ("frame %d is at %d ms", (int) frame, (int) (time / 1000000));
    g_array_append_val (times, time);
  }
  return times;
}

/* What comes out of the demuxer. */
typedef struct
{
  GMutex lock;
  GArray *video;         /* gint64, times */
  GArray *audio, *heard; /* times; what the samples tell of the input's */
} Streams;

static GstPadProbeReturn
on_packet (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  gint64 time = (gint64) GST_BUFFER_DTS_OR_PTS (buffer);
  GstCaps *caps = gst_pad_get_current_caps (pad);
  const char *name = gst_structure_get_name (gst_caps_get_structure (caps, 0));
  Streams *s = data;
  gint16 sample;

  g_mutex_lock (&s->lock);
  if (g_str_has_prefix (name, "video/")) {
    g_array_append_val (s->video, time);
  } else if (!GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_HEADER)) {
    g_array_append_val (s->audio, time);
    if (!strcmp (name, "audio/x-raw") &&
        gst_buffer_extract (buffer, 0, &sample, 2) == 2) {
      gint64 heard = sample * (gint64) PACKET;

      g_array_append_val (s->heard, heard);
    }
  }
  g_mutex_unlock (&s->lock);
  gst_caps_unref (caps);
  return GST_PAD_PROBE_OK;
}

static void
on_stream (GstElement *parsebin, GstPad *pad, gpointer data)
{
  GstElement *pipeline = GST_ELEMENT (gst_element_get_parent (parsebin));
  GstElement *sink = gst_element_factory_make ("fakesink", NULL);
  GstPad *to = gst_element_get_static_pad (sink, "sink");

  g_object_set (sink, "sync", FALSE, "async", FALSE, NULL);
  gst_bin_add (GST_BIN (pipeline), sink);
  gst_pad_add_probe (to, GST_PAD_PROBE_TYPE_BUFFER, on_packet, data, NULL);
  gst_pad_link (pad, to);
  gst_element_sync_state_with_parent (sink);
  gst_object_unref (to);
  gst_object_unref (pipeline);
}

static void
read_streams (Streams *s, const char *path)
{
  g_autofree char *line =
      g_strdup_printf ("filesrc location=%s ! parsebin name=parse", path);
  GstElement *pipeline = gst_parse_launch (line, NULL);
  GstElement *parsebin = gst_bin_get_by_name (GST_BIN (pipeline), "parse");

  g_mutex_init (&s->lock);
  s->video = g_array_new (FALSE, FALSE, sizeof (gint64));
  s->audio = g_array_new (FALSE, FALSE, sizeof (gint64));
  s->heard = g_array_new (FALSE, FALSE, sizeof (gint64));
  g_signal_connect (parsebin, "pad-added", G_CALLBACK (on_stream), s);
  play (pipeline);
  gst_object_unref (parsebin);
  gst_object_unref (pipeline);
}

static gint64
at (const GArray *a, guint i)
{
  return g_array_index (a, gint64, i);
}

/* The sound is heard with the frame with which it was recorded. */
static void
check_sound (const Streams *s, const GArray *input)
{
  gint64 length = s->video->len * (gint64) FRAME;

  if (ABS (s->audio->len * (gint64) PACKET - length) > 5 * (gint64) PACKET)
    die ("%u packets of sound for %u frames", s->audio->len, s->video->len);
  for (guint i = 0; i < s->heard->len; i++) {
    guint frame = (guint) ((at (s->audio, i) + TICK) / (gint64) FRAME);
    gint64 off;

    if (frame >= input->len)
      die ("sound after the last frame");
    off = (at (s->heard, i) - at (s->audio, i)) -
        (at (input, frame) - at (s->video, frame));
    if (ABS (off) > TICK)
      die ("the sound at %d ms is off by %d ms",
          (int) (at (s->audio, i) / 1000000), (int) (off / 1000000));
  }
}

static int
check (const char *found, const char *path)
{
  g_autoptr (GArray) input = read_lines (found);
  int stretches = 1, kept = 0;
  Streams s;

  read_streams (&s, path);
  if (s.video->len != input->len)
    die ("%u frames, %u lines", s.video->len, input->len);
  if (input->len < 80 || input->len > 160)
    die ("%u frames stay", input->len);
  for (guint i = 0; i < input->len; i++) {
    if (ABS (at (s.video, i) - i * (gint64) FRAME) > TICK)
      die ("frame %u comes at %d ms", i, (int) (at (s.video, i) / 1000000));
    kept += moves ((int) ((at (input, i) + TICK) / (gint64) FRAME));
    if (i > 0)
      stretches += at (input, i) - at (input, i - 1) > (gint64) FRAME + TICK;
  }
  if (stretches != 2 || kept != 35)
    die ("%d stretches, %d moving frames", stretches, kept);
  check_sound (&s, input);
  printf ("%u frames in 2 stretches, %u packets of sound, %u compared\n",
      s.video->len, s.audio->len, s.heard->len);
  g_array_unref (s.video);
  g_array_unref (s.audio);
  g_array_unref (s.heard);
  return 0;
}

int
main (int argc, char **argv)
{
  gst_init (&argc, &argv);
  if (argc == 5 && !strcmp (argv[1], "clip"))
    return make_clip (argv[2], argv[3], atoi (argv[4]));
  if (argc == 4 && !strcmp (argv[1], "check"))
    return check (argv[2], argv[3]);
  die ("cut-helper: wrong arguments");
}
