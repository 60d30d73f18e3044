/* Tests of the command: makes models and clips, compares what is in containers.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *   helper model OUT [PLANES]    finds white squares on a grid of 16 pixels
 *   helper halves OUT            says which half is lit more, upper or lower
 *   helper foreign OUT KIND      a float net on that grid with fastestdet's
 * head: square, or one with two inputs: two helper square OUT FRAMES     64x64,
 * lossless: a white square on that grid helper truth OUT FRAMES DX   its boxes
 * as MOT text, moved by DX pixels helper clip OUT VIDEO AUDIO  a clip with
 * sound, pictures at odd times helper compare A B TICK      B keeps A's frames,
 * times and sound helper json FILE PATH VALUE  FILE is JSON, holds VALUE at
 * PATH (JSONPath) helper numbers FILE PATH     prints the numbers that FILE
 * holds at PATH
 *
 * clip: VIDEO and AUDIO are launch lines of encoders, MUX follows from OUT;
 * times are irregular and the sound starts 500 ms after the picture. compare:
 * times in nanoseconds, the streams' offsets too; audio must be byte for byte
 * the same where its caps are the same. */
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model-private.h"

#define SIDE 64
#define CELL 16

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

/* A convolution over one cell: every weight @w, bias @b. */
static void
add_cells (QfGraph *g, int x, const char *name, int channels, float w, float b)
{
  g_autofree float *weights = g_new (float, channels *CELL *CELL);
  g_autofree float *bias = g_new (float, channels);
  g_autofree char *w_name = g_strconcat (name, "_w", NULL);
  g_autofree char *b_name = g_strconcat (name, "_b", NULL);
  const gint64 w_dims[] = { channels, 1, CELL, CELL }, b_dims[] = { channels };
  QfNode *conv;
  int in[3] = { x };

  for (int i = 0; i < channels * CELL * CELL; i++)
    weights[i] = w;
  for (int i = 0; i < channels; i++)
    bias[i] = b;
  in[1] = qf_graph_add_constant (g, w_name, QF_F32, 4, w_dims, weights);
  in[2] = qf_graph_add_constant (g, b_name, QF_F32, 1, b_dims, bias);
  conv = qf_graph_add_node (g, QF_OP_CONV, name, 3, in);
  conv->win.kernel[0] = conv->win.kernel[1] = CELL;
  conv->win.stride[0] = conv->win.stride[1] = CELL;
  g_array_append_val (g->outputs, conv->out);
}

/* The mean of the upper and of the lower half of the picture. */
static void
add_halves (QfGraph *g, int x)
{
  g_autofree float *weights = g_new0 (float, 2 * SIDE * SIDE);
  const gint64 w_dims[] = { 2, 1, SIDE, SIDE }, b_dims[] = { 2 };
  const float bias[2] = { 0 };
  QfNode *conv;
  int in[3] = { x };

  for (int i = 0; i < SIDE * SIDE / 2; i++)
    weights[i] = weights[2 * SIDE * SIDE - 1 - i] = 2.0f / (SIDE * SIDE);
  in[1] = qf_graph_add_constant (g, "w", QF_F32, 4, w_dims, weights);
  in[2] = qf_graph_add_constant (g, "b", QF_F32, 1, b_dims, bias);
  conv = qf_graph_add_node (g, QF_OP_CONV, "logits", 3, in);
  conv->win.kernel[0] = conv->win.kernel[1] = SIDE;
  conv->win.stride[0] = conv->win.stride[1] = SIDE;
  g_array_append_val (g->outputs, conv->out);
}

static int
make_model (const char *path, const char *planes, gboolean halves)
{
  QfGraph *g = qf_graph_new ();
  const gint64 dims[] = { 1, 1, SIDE, SIDE };
  const float scale = 1;
  const guint8 zero = 0;
  int x = qf_graph_add_value (g, "picture", QF_U8, 4, dims);
  int in[3] = { x };
  GError *error = NULL;
  QfNode *real;
  QfModel *model;

  g_array_append_val (g->inputs, x);
  in[1] = qf_graph_add_constant (g, "scale", QF_F32, 0, NULL, &scale);
  in[2] = qf_graph_add_constant (g, "zero", QF_U8, 0, NULL, &zero);
  real = qf_graph_add_node (g, QF_OP_DEQUANTIZE, "real", 3, in);
  if (halves) {
    add_halves (g, real->out);
  } else {
    // logit 0.2 · (mean − 180): white 235 → 11, border 128 → −10, black 16 →
    // −33
    add_cells (g, real->out, "cls_16", 1, 0.2f / (CELL * CELL), -36);
    // half a cell to each side
    add_cells (g, real->out, "box_16", 4, 0, logf (0.5f));
  }
  if (!qf_graph_validate (g, &error))
    die ("%s", error->message);
  model = qf_model_new (g);
  qf_model_set (model, "qfuse.version", "1");
  qf_model_set (model, "qfuse.planes", planes);
  qf_model_set (model, "qfuse.fit", "letterbox");
  qf_model_set (model, "qfuse.head", halves ? "classify" : "fcos");
  qf_model_set (model, "qfuse.labels", halves ? "upper\nlower" : "square");
  qf_model_set (model, "qfuse.threshold", "0.5");
  qf_model_set (model, "qfuse.iou", "0.5");
  if (!qf_model_save (model, path, &error))
    die ("%s", error->message);
  qf_model_unref (model);
  return 0;
}

/* A network as others export them: float32 in 0 … 1, no metadata. Of a cell
 * with the mean m it says: objectness m, classes m and m / 2, the middle, 16x16
 * pixels. */
static int
make_foreign (const char *path, gboolean two)
{
  static const float slopes[7] = { 1, 0, 0, 0, 0, 1, 0.5f };
  const float half = atanhf (0.5f), quarter = logf (1 / 3.0f);
  const float biases[7] = { 0, half, half, quarter, quarter, 0, 0 };
  const gint64 dims[] = { 1, 1, SIDE, SIDE }, w_dims[] = { 7, 1, CELL, CELL };
  const gint64 b_dims[] = { 7 };
  g_autofree float *weights = g_new (float, 7 * CELL * CELL);
  QfGraph *g = qf_graph_new ();
  int x = qf_graph_add_value (g, "images", QF_F32, 4, dims), in[3] = { x };
  GError *error = NULL;
  QfNode *conv;
  QfModel *model;

  g_array_append_val (g->inputs, x);
  for (int i = 0; i < 7 * CELL * CELL; i++)
    weights[i] = slopes[i / (CELL * CELL)] / (CELL * CELL);
  if (two) {
    int z = qf_graph_add_value (g, "more", QF_F32, 4, dims);
    int pair[2] = { x, z };

    g_array_append_val (g->inputs, z);
    in[0] = qf_graph_add_node (g, QF_OP_ADD, "sum", 2, pair)->out;
  }
  in[1] = qf_graph_add_constant (g, "w", QF_F32, 4, w_dims, weights);
  in[2] = qf_graph_add_constant (g, "b", QF_F32, 1, b_dims, biases);
  conv = qf_graph_add_node (g, QF_OP_CONV, "out", 3, in);
  conv->win.kernel[0] = conv->win.kernel[1] = CELL;
  conv->win.stride[0] = conv->win.stride[1] = CELL;
  g_array_append_val (g->outputs, conv->out);
  if (!qf_graph_validate (g, &error))
    die ("%s", error->message);
  model = qf_model_new (g);
  if (!qf_model_save (model, path, &error))
    die ("%s", error->message);
  qf_model_unref (model);
  return 0;
}

/* Cell of the square in frame @i, from 0: along the rows. */
static void
square_at (int i, int *x, int *y)
{
  int n = SIDE / CELL;

  *x = i % n * CELL;
  *y = i / n % n * CELL;
}

static const char *
muxer_for (const char *path)
{
  return g_str_has_suffix (path, ".mp4") ? "mp4mux"
      : g_str_has_suffix (path, ".webm") ? "webmmux"
                                         : "matroskamux";
}

static void
wait_for_end (GstElement *pipeline)
{
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *m = gst_bus_timed_pop_filtered (
      bus, 60 * GST_SECOND, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  GError *error = NULL;

  if (!m)
    die ("a pipeline hangs");
  if (GST_MESSAGE_TYPE (m) == GST_MESSAGE_ERROR) {
    gst_message_parse_error (m, &error, NULL);
    die ("a pipeline failed: %s", error->message);
  }
  gst_message_unref (m);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}

static GstElement *
launch (const char *line)
{
  GError *error = NULL;
  GstElement *pipeline = gst_parse_launch (line, &error);

  if (error)
    die ("%s: %s", line, error->message);
  return pipeline;
}

/* Parsers lose durations, and the last frame of an MP4 needs one. */
static GstPadProbeReturn
on_encoded (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  GstBuffer *buffer =
      gst_buffer_make_writable (GST_PAD_PROBE_INFO_BUFFER (info));

  GST_BUFFER_DURATION (buffer) = 20 * GST_MSECOND;
  GST_PAD_PROBE_INFO_DATA (info) = buffer;
  return GST_PAD_PROBE_OK;
}

/* @frames pictures; @regular: 25 a second, else at odd times. */
static void
push_frames (GstElement *pipeline, int frames, gboolean regular)
{
  GstElement *source = gst_bin_get_by_name (GST_BIN (pipeline), "video");

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  for (int i = 0; i < frames; i++) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, SIDE * SIDE, NULL);
    GstMapInfo map;
    int x, y;

    square_at (i, &x, &y);
    gst_buffer_map (buffer, &map, GST_MAP_WRITE);
    memset (map.data, 16, map.size);
    for (int row = y; row < y + CELL; row++)
      memset (map.data + row * SIDE + x, 235, CELL);
    gst_buffer_unmap (buffer, &map);
    GST_BUFFER_PTS (buffer) = (GstClockTime) i * 40 * GST_MSECOND;
    if (!regular && i % 3 == 1)
      GST_BUFFER_PTS (buffer) += 13 * GST_MSECOND;
    if (!regular && i >= 10)
      GST_BUFFER_PTS (buffer) += 700 * GST_MSECOND; // a camera that paused
    GST_BUFFER_DURATION (buffer) = 20 * GST_MSECOND;
    gst_app_src_push_buffer (GST_APP_SRC (source), buffer);
  }
  gst_app_src_end_of_stream (GST_APP_SRC (source));
  gst_object_unref (source);
}

static int
make_clip (const char *path, int frames, gboolean regular, const char *video,
    const char *audio)
{
  g_autofree char *sound = audio
      ? g_strdup_printf ("audiotestsrc wave=pink-noise num-buffers=%d "
                         "samplesperbuffer=1764 timestamp-offset=500000000 ! "
                         "audio/x-raw,rate=44100,channels=2 ! audioconvert ! "
                         "audioresample ! %s !",
            frames, audio)
      : NULL;
  GString *line = g_string_new (NULL);
  GstElement *pipeline, *file, *encoded;
  GstPad *pad;

  g_string_append_printf (line,
      "appsrc name=video format=time "
      "caps=video/x-raw,format=GRAY8,width=%d,height=%d,framerate=%s ! "
      "videoconvert ! %s ! queue name=encoded ! mux. ",
      SIDE, SIDE, regular ? "25/1" : "0/1", video);
  if (sound)
    g_string_append_printf (line, "%s queue ! mux. ", sound);
  g_string_append_printf (
      line, "%s name=mux ! filesink name=file", muxer_for (path));
  pipeline = launch (line->str);
  file = gst_bin_get_by_name (GST_BIN (pipeline), "file");
  g_object_set (file, "location", path, NULL);
  gst_object_unref (file);
  encoded = gst_bin_get_by_name (GST_BIN (pipeline), "encoded");
  pad = gst_element_get_static_pad (encoded, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_encoded, NULL, NULL);
  gst_object_unref (pad);
  gst_object_unref (encoded);
  push_frames (pipeline, frames, regular);
  wait_for_end (pipeline);
  g_string_free (line, TRUE);
  return 0;
}

static int
make_truth (const char *path, int frames, double dx)
{
  g_autoptr (GString) text = g_string_new (NULL);
  GError *error = NULL;

  for (int i = 0; i < frames; i++) {
    int x, y;

    square_at (i, &x, &y);
    g_string_append_printf (
        text, "%d,1,%g,%d,%d,%d,1,1,1\n", i + 1, x + 1 + dx, y + 1, CELL, CELL);
  }
  if (!g_file_set_contents (path, text->str, -1, &error))
    die ("%s", error->message);
  return 0;
}

/* One stream of a container, as its packets come out of the demuxer. */
typedef struct
{
  char *kind;    /* "video", "audio", "text" */
  char *media;   /* "video/x-vp9" */
  GArray *times; /* gint64, running time in ns */
  GChecksum *bytes;
  GstSegment segment;
} Stream;

static void
stream_free (gpointer data)
{
  Stream *s = data;

  g_free (s->kind);
  g_free (s->media);
  g_array_unref (s->times);
  g_checksum_free (s->bytes);
  g_free (s);
}

static GMutex lock;

static void
name_stream (Stream *s, GstEvent *event)
{
  GstCaps *caps;

  gst_event_parse_caps (event, &caps);
  g_free (s->media);
  g_free (s->kind);
  s->media =
      g_strdup (gst_structure_get_name (gst_caps_get_structure (caps, 0)));
  s->kind = g_strndup (s->media, strcspn (s->media, "/"));
}

static GstPadProbeReturn
on_packet (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Stream *s = data;
  GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);
  GstMapInfo map;
  GstBuffer *buffer;
  gint64 time;

  if (info->type & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM) {
    if (GST_EVENT_TYPE (event) == GST_EVENT_SEGMENT)
      gst_event_copy_segment (event, &s->segment);
    if (GST_EVENT_TYPE (event) == GST_EVENT_CAPS)
      name_stream (s, event);
    return GST_PAD_PROBE_OK;
  }
  buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  // video's parsers flag key frames so; in Vorbis it is no packet of sound
  if (!g_strcmp0 (s->kind, "audio") &&
      GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_HEADER))
    return GST_PAD_PROBE_OK;
  time = (gint64) gst_segment_to_running_time (&s->segment, GST_FORMAT_TIME,
      GST_BUFFER_DTS_OR_PTS (buffer)); // AVI has no PTS
  g_array_append_val (s->times, time);
  gst_buffer_map (buffer, &map, GST_MAP_READ);
  g_checksum_update (s->bytes, map.data, (gssize) map.size);
  gst_buffer_unmap (buffer, &map);
  return GST_PAD_PROBE_OK;
}

static void
on_stream (GstElement *parsebin, GstPad *pad, gpointer data)
{
  GstElement *pipeline = GST_ELEMENT (gst_element_get_parent (parsebin));
  GstElement *sink = gst_element_factory_make ("fakesink", NULL);
  GstPad *to;
  Stream *s = g_new0 (Stream, 1);

  s->times = g_array_new (FALSE, FALSE, sizeof (gint64));
  s->bytes = g_checksum_new (G_CHECKSUM_SHA256);
  gst_segment_init (&s->segment, GST_FORMAT_TIME);
  g_mutex_lock (&lock);
  g_ptr_array_add (data, s);
  g_mutex_unlock (&lock);
  g_object_set (sink, "sync", FALSE, "async", FALSE, NULL);
  gst_bin_add (GST_BIN (pipeline), sink);
  to = gst_element_get_static_pad (sink, "sink");
  gst_pad_add_probe (pad,
      GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
      on_packet, s, NULL);
  gst_pad_link (pad, to);
  gst_object_unref (to);
  gst_element_sync_state_with_parent (sink);
  gst_object_unref (pipeline);
}

static GPtrArray *
read_streams (const char *path)
{
  GPtrArray *streams = g_ptr_array_new_with_free_func (stream_free);
  GstElement *pipeline = launch ("filesrc name=file ! parsebin name=parse");
  GstElement *e = gst_bin_get_by_name (GST_BIN (pipeline), "file");

  g_object_set (e, "location", path, NULL);
  gst_object_unref (e);
  e = gst_bin_get_by_name (GST_BIN (pipeline), "parse");
  g_signal_connect (e, "pad-added", G_CALLBACK (on_stream), streams);
  gst_object_unref (e);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  wait_for_end (pipeline);
  return streams;
}

static Stream *
find_kind (GPtrArray *streams, const char *kind)
{
  for (guint i = 0; i < streams->len; i++) {
    Stream *s = g_ptr_array_index (streams, i);

    if (!g_strcmp0 (s->kind, kind))
      return s;
  }
  return NULL;
}

/* Largest |difference| of the times, each counted from @a0 and @b0. */
static gint64
largest_shift (const Stream *a, const Stream *b, gint64 a0, gint64 b0)
{
  gint64 most = 0;

  for (guint i = 0; i < a->times->len; i++) {
    gint64 d = (g_array_index (a->times, gint64, i) - a0) -
        (g_array_index (b->times, gint64, i) - b0);

    most = MAX (most, ABS (d));
  }
  return most;
}

static int
compare (const char *a_path, const char *b_path, gint64 tick)
{
  g_autoptr (GPtrArray) a = read_streams (a_path);
  g_autoptr (GPtrArray) b = read_streams (b_path);
  Stream *av = find_kind (a, "video"), *bv = find_kind (b, "video");
  Stream *aa = find_kind (a, "audio"), *ba = find_kind (b, "audio");
  gint64 a0, b0, shift;

  if (a->len != b->len || !av || !bv || !aa != !ba)
    die ("%u streams became %u", a->len, b->len);
  if (av->times->len != bv->times->len || av->times->len == 0)
    die ("%u frames became %u", av->times->len, bv->times->len);
  a0 = g_array_index (av->times, gint64, 0);
  b0 = g_array_index (bv->times, gint64, 0);
  shift = largest_shift (av, bv, a0, b0);
  if (shift > tick)
    die ("a frame moved by %" G_GINT64_FORMAT " ns", shift);
  printf ("%u frames of %s, moved by up to %" G_GINT64_FORMAT " ns\n",
      bv->times->len, bv->media, shift);
  if (!aa)
    return 0;
  if (!strcmp (aa->media, ba->media)) {
    if (aa->times->len != ba->times->len ||
        strcmp (g_checksum_get_string (aa->bytes),
            g_checksum_get_string (ba->bytes)))
      die ("the sound's bytes changed: %u packets, %u packets", aa->times->len,
          ba->times->len);
    shift = largest_shift (aa, ba, a0, b0);
  } else {
    shift = ABS ((g_array_index (aa->times, gint64, 0) - a0) -
        (g_array_index (ba->times, gint64, 0) - b0));
  }
  if (shift > tick)
    die ("the sound moved by %" G_GINT64_FORMAT " ns", shift);
  printf ("%u packets of %s, moved by up to %" G_GINT64_FORMAT " ns\n",
      ba->times->len, ba->media, shift);
  return 0;
}

/* What the file @path holds at @where: an array. */
static JsonNode *
find_json (const char *path, const char *where)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  GError *error = NULL;
  JsonNode *matches = NULL;

  if (json_parser_load_from_file (parser, path, &error))
    matches = json_path_query (where, json_parser_get_root (parser), &error);
  if (!matches)
    die ("%s", error->message);
  return matches;
}

static int
check_json (const char *path, const char *where, const char *value)
{
  JsonNode *matches = find_json (path, where);
  JsonArray *array = json_node_get_array (matches);
  g_autofree char *found = NULL;
  JsonNode *first;

  if (json_array_get_length (array) != 1)
    die (
        "%s holds %u values at %s", path, json_array_get_length (array), where);
  first = json_array_get_element (array, 0);
  found = json_node_get_value_type (first) == G_TYPE_STRING
      ? g_strdup (json_node_get_string (first))
      : json_to_string (first, FALSE);
  if (strcmp (found, value))
    die ("%s is %s, not %s", where, found, value);
  json_node_unref (matches);
  return 0;
}

static int
print_numbers (const char *path, const char *where)
{
  JsonNode *matches = find_json (path, where);
  JsonArray *array = json_node_get_array (matches);

  for (guint i = 0; i < json_array_get_length (array); i++) {
    JsonNode *node = json_array_get_element (array, i);
    GType type = JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node)
                                              : G_TYPE_INVALID;

    if (type != G_TYPE_INT64 && type != G_TYPE_DOUBLE)
      die ("%s holds something else than numbers at %s", path, where);
    printf ("%.9g\n", json_node_get_double (node));
  }
  json_node_unref (matches);
  return 0;
}

int
main (int argc, char **argv)
{
  const char *what = argc > 2 ? argv[1] : "";

  gst_init (NULL, NULL);
  if (!strcmp (what, "model") && (argc == 3 || argc == 4))
    return make_model (argv[2], argc == 4 ? argv[3] : "Y", FALSE);
  if (!strcmp (what, "halves") && argc == 3)
    return make_model (argv[2], "Y", TRUE);
  if (!strcmp (what, "foreign") && argc == 4)
    return make_foreign (argv[2], !strcmp (argv[3], "two"));
  if (!strcmp (what, "square") && argc == 4)
    return make_clip (argv[2], atoi (argv[3]), TRUE, "avenc_ffv1", NULL);
  if (!strcmp (what, "truth") && argc == 5)
    return make_truth (argv[2], atoi (argv[3]), atof (argv[4]));
  if (!strcmp (what, "clip") && argc == 5)
    return make_clip (argv[2], 40, FALSE, argv[3], argv[4]);
  if (!strcmp (what, "compare") && argc == 5)
    return compare (argv[2], argv[3], atoll (argv[4]));
  if (!strcmp (what, "json") && argc == 5)
    return check_json (argv[2], argv[3], argv[4]);
  if (!strcmp (what, "numbers") && argc == 4)
    return print_numbers (argv[2], argv[3]);
  die ("helper: see the head of helper.c");
}
