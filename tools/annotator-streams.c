/* qfuse: the pipeline behind parsebin, a branch for each stream of a video.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "annotator-private.h"

#include <string.h>

#include "container.h"
#include "gstqfmeta.h"
#include "pipeline.h"
#include "qfuse.h"
#include "tool.h"

/* Counts what passes, behind the detector. */
static GstPadProbeReturn
on_frame (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Annotator *a = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  QfuseDetectionsMeta *found = qfuse_buffer_get_detections (buffer);

  g_mutex_lock (&a->lock);
  a->result.frames++;
  a->result.detections += found ? found->detections->len : 0;
  if (GST_BUFFER_PTS_IS_VALID (buffer))
    a->position = GST_BUFFER_PTS (buffer);
  g_mutex_unlock (&a->lock);
  return GST_PAD_PROBE_OK;
}

/* An encoded frame without a duration gets the distance to the one before: else
 * the last frame of an MP4 ends when it begins, and players leave it out. */
static GstPadProbeReturn
on_encoded (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Annotator *a = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  GstClockTime now = GST_BUFFER_PTS (buffer);

  if (!GST_BUFFER_DURATION_IS_VALID (buffer) && GST_CLOCK_TIME_IS_VALID (now) &&
      now > a->encoded) {
    buffer = gst_buffer_make_writable (buffer);
    GST_BUFFER_DURATION (buffer) = now - a->encoded;
    GST_PAD_PROBE_INFO_DATA (info) = buffer;
  }
  if (GST_CLOCK_TIME_IS_VALID (now))
    a->encoded = now;
  return GST_PAD_PROBE_OK;
}

/* What decodebin found goes into the branch that waits for it. */
static void
on_decoded (GstElement *decodebin, GstPad *pad, gpointer data)
{
  GstElement *branch = data;
  GstElement *pipeline = GST_ELEMENT (gst_element_get_parent (branch));

  if (pipeline) {
    pipeline_link (pipeline, pad, branch, "sink");
    gst_object_unref (pipeline);
  }
}

/* Adds a decoder for elementary streams in front of @branch; both start. The
 * decoder's sink pad is to be linked. */
static GstElement *
add_decoder (Annotator *a, GstElement *branch)
{
  GstElement *decodebin = gst_element_factory_make ("decodebin", NULL);

  gst_bin_add_many (GST_BIN (a->pipeline), decodebin, branch, NULL);
  g_signal_connect (decodebin, "pad-added", G_CALLBACK (on_decoded), branch);
  return decodebin;
}

/* Links the output of @branch to a new pad of the muxer. */
static gboolean
link_to_muxer (Annotator *a, GstPad *from, const GstCaps *caps)
{
  GstPad *to = container_request_pad (a->mux, caps);
  gboolean linked = to && gst_pad_link (from, to) == GST_PAD_LINK_OK;

  if (to && !linked)
    gst_element_release_request_pad (a->mux, to);
  g_clear_object (&to);
  return linked;
}

/* Planes, because a network on differences must see the frames that go. The
 * store is a second of 2160p. */
#define GATE                                                                   \
  "framediff name=gate output=planes drop-still=true pre-roll=1 post-roll=1 "  \
  "max-bytes=1000000000"

/* A network that shares each layer among threads waits for the slowest; with as
 * many as there are processors that is one which had to let the decoder or the
 * encoder go first. */
static guint
network_threads (const AnnotateJob *job)
{
  return job->threads > 0 ? (guint) job->threads
                          : MAX (1, g_get_num_processors () / 2);
}

static GstElement *
make_analysis (Annotator *a, GError **error)
{
  const AnnotateJob *job = a->job;
  g_autofree char *launch =
      g_strdup_printf ("videoconvert ! %s qfusedetect name=detect %s %s",
          a->cut ? GATE " !" : "",
          a->temporary_detections ? "! qfusewrite name=write" : "",
          a->mux && job->overlay ? "! qfuseoverlay" : "");
  GstElement *bin = gst_parse_bin_from_description_full (launch, TRUE, NULL,
      GST_PARSE_FLAG_FATAL_ERRORS | GST_PARSE_FLAG_PLACE_IN_BIN, error);
  GstElement *e;
  GstPad *pad;

  if (!bin)
    return NULL;
  e = gst_bin_get_by_name (GST_BIN (bin), "detect");
  g_object_set (e, "model-file", job->model, "interval", (guint) job->interval,
      "threads", network_threads (job), NULL);
  if (job->threshold >= 0)
    g_object_set (e, "threshold", (gfloat) job->threshold, NULL);
  gst_object_unref (e);
  if (a->cut) {
    e = gst_bin_get_by_name (GST_BIN (bin), "gate");
    cut_watch (a->cut, e);
    gst_object_unref (e);
  }
  e = gst_bin_get_by_name (GST_BIN (bin), "write");
  if (e) {
    g_object_set (e, "location", a->temporary_detections, NULL);
    gst_object_unref (e);
  }
  pad = gst_element_get_static_pad (bin, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_frame, a, NULL);
  if (a->cut)
    cut_move_video (a->cut, pad);
  gst_object_unref (pad);
  return bin;
}

/* Encoder behind the analysis, muxer behind the encoder. */
static gboolean
add_video_output (
    Annotator *a, GstElement *analysis, const GstCaps *in, GError **error)
{
  const GstStructure *s = gst_caps_get_structure (in, 0);
  g_autoptr (GstCaps) caps = NULL;
  GstElement *convert, *encoder, *last;
  GstPad *pad;
  int width = 0, height = 0;
  gboolean linked;

  gst_structure_get_int (s, "width", &width);
  gst_structure_get_int (s, "height", &height);
  encoder = container_video_encoder (a->mux, width, height, &caps, error);
  if (!encoder)
    return FALSE;
  convert = gst_element_factory_make ("videoconvert", NULL);
  gst_bin_add_many (GST_BIN (a->pipeline), convert, encoder, NULL);
  last = encoder;
  if (a->cut) { // the sound waits for frames that are not yet in the muxer
    last = gst_element_factory_make ("queue", NULL);
    g_object_set (last, "max-size-buffers", 0, "max-size-bytes", 0,
        "max-size-time", (guint64) 0, NULL);
    gst_bin_add (GST_BIN (a->pipeline), last);
    gst_element_link (encoder, last);
  }
  pad = gst_element_get_static_pad (encoder, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_encoded, a, NULL);
  gst_object_unref (pad);
  pad = gst_element_get_static_pad (last, "src");
  linked = gst_element_link_many (analysis, convert, encoder, NULL) &&
      link_to_muxer (a, pad, caps);
  gst_object_unref (pad);
  if (last != encoder)
    gst_element_sync_state_with_parent (last);
  gst_element_sync_state_with_parent (encoder);
  gst_element_sync_state_with_parent (convert);
  if (!linked)
    g_set_error (error, QF_ERROR, QF_ERROR_FAILED,
        "the encoder %s does not fit the container", GST_OBJECT_NAME (encoder));
  return linked;
}

static gboolean
add_video (Annotator *a, GstPad *from, const GstCaps *caps, GError **error)
{
  GstElement *analysis = make_analysis (a, error);
  GstElement *decoder, *sink;
  gboolean done = FALSE;

  if (!analysis)
    return FALSE;
  decoder = add_decoder (a, analysis);
  if (a->mux) {
    done = add_video_output (a, analysis, caps, error);
  } else {
    sink = gst_element_factory_make ("fakesink", NULL);
    g_object_set (sink, "sync", FALSE, NULL);
    gst_bin_add (GST_BIN (a->pipeline), sink);
    done = gst_element_link (analysis, sink);
    gst_element_sync_state_with_parent (sink);
  }
  // a model that cannot be loaded has posted its error
  gst_element_sync_state_with_parent (analysis);
  gst_element_sync_state_with_parent (decoder);
  return done && pipeline_link (a->pipeline, from, decoder, "sink");
}

/* The parser that turns @caps into a form more muxers take, or NULL. */
static const char *
parser_for (const GstCaps *caps)
{
  const GstStructure *s = gst_caps_get_structure (caps, 0);
  int version = 0;

  gst_structure_get_int (s, "mpegversion", &version);
  if (gst_structure_has_name (s, "audio/mpeg") && version != 1)
    return "aacparse"; // ADTS of transport streams to raw
  return NULL;
}

static gboolean
add_as_it_is (Annotator *a, GstPad *from, const GstCaps *caps)
{
  const char *name = parser_for (caps);
  GstElement *parser;
  GstPad *pad;
  g_autoptr (GstCaps) parsed = NULL;
  gboolean linked;

  if (link_to_muxer (a, from, caps))
    return TRUE;
  parser = name ? gst_element_factory_make (name, NULL) : NULL;
  if (!parser)
    return FALSE;
  gst_bin_add (GST_BIN (a->pipeline), parser);
  pad = gst_element_get_static_pad (parser, "src");
  parsed = gst_pad_query_caps (pad, NULL);
  linked = link_to_muxer (a, pad, parsed) &&
      pipeline_link (a->pipeline, from, parser, "sink");
  gst_object_unref (pad);
  if (linked)
    gst_element_sync_state_with_parent (parser);
  else
    gst_bin_remove (GST_BIN (a->pipeline), parser);
  return linked;
}

static gboolean
add_encoded_audio (Annotator *a, GstPad *from, GError **error)
{
  g_autoptr (GstCaps) caps = NULL;
  GstElement *encoder = container_audio_encoder (a->mux, &caps, error);
  GstElement *convert, *resample, *decoder;
  GstPad *pad;
  gboolean linked;

  if (!encoder)
    return FALSE;
  convert = gst_element_factory_make ("audioconvert", NULL);
  resample = gst_element_factory_make ("audioresample", NULL);
  gst_bin_add_many (GST_BIN (a->pipeline), resample, encoder, NULL);
  decoder = add_decoder (a, convert);
  pad = gst_element_get_static_pad (encoder, "src");
  linked = gst_element_link_many (convert, resample, encoder, NULL) &&
      link_to_muxer (a, pad, caps);
  gst_object_unref (pad);
  gst_element_sync_state_with_parent (encoder);
  gst_element_sync_state_with_parent (resample);
  gst_element_sync_state_with_parent (convert);
  gst_element_sync_state_with_parent (decoder);
  if (!linked) {
    g_set_error_literal (error, QF_ERROR, QF_ERROR_FAILED,
        "the audio does not fit the container");
    return FALSE;
  }
  return pipeline_link (a->pipeline, from, decoder, "sink");
}

static void
drop (Annotator *a, GstPad *from, const GstCaps *caps)
{
  GstElement *sink = gst_element_factory_make ("fakesink", NULL);

  if (a->mux)
    g_printerr ("qfuse: %s: a stream of %s does not fit the output and is left "
                "out\n",
        a->job->input,
        gst_structure_get_name (gst_caps_get_structure (caps, 0)));
  g_object_set (sink, "sync", FALSE, "async", FALSE, NULL);
  gst_bin_add (GST_BIN (a->pipeline), sink);
  gst_element_sync_state_with_parent (sink);
  pipeline_link (a->pipeline, from, sink, "sink");
}

static gboolean
is_kind (const GstCaps *caps, const char *prefix)
{
  return g_str_has_prefix (
      gst_structure_get_name (gst_caps_get_structure (caps, 0)), prefix);
}

static gboolean
is_video (const GstCaps *caps)
{
  return is_kind (caps, "video/") || is_kind (caps, "image/");
}

/* Sends parsebin's @pad through the multiqueue; returns the other end. */
static GstPad *
queue_pad (Annotator *a, GstPad *pad)
{
  GstPad *sink = gst_element_request_pad_simple (a->queue, "sink_%u");
  g_autofree char *name =
      g_strdup_printf ("src_%s", GST_PAD_NAME (sink) + strlen ("sink_"));

  gst_pad_link (pad, sink);
  gst_object_unref (sink);
  return gst_element_get_static_pad (a->queue, name);
}

static gboolean
add_stream (Annotator *a, GstPad *pad, const GstCaps *caps, gboolean annotated,
    GError **error)
{
  GstPad *from = queue_pad (a, pad);
  gboolean done = TRUE;

  if (a->cut && a->mux && !annotated)
    cut_other (a->cut, from);

  if (annotated)
    done = add_video (a, from, caps, error);
  else if (!a->mux)
    drop (a, from, caps);
  else if (!add_as_it_is (a, from, caps)) {
    if (is_kind (caps, "audio/"))
      done = add_encoded_audio (a, from, error);
    else
      drop (a, from, caps);
  }
  gst_object_unref (from);
  return done;
}

static gboolean
start_output (Annotator *a)
{
  GstElement *sink = gst_element_factory_make ("filesink", NULL);

  g_object_set (sink, "location", a->temporary, NULL);
  gst_bin_add_many (GST_BIN (a->pipeline), a->mux, sink, NULL);
  return gst_element_link (a->mux, sink) &&
      gst_element_sync_state_with_parent (sink) &&
      gst_element_sync_state_with_parent (a->mux);
}

static GstCaps *
pad_caps (GstPad *pad)
{
  GstCaps *caps = gst_pad_get_current_caps (pad);

  if (!caps)
    caps = gst_pad_query_caps (pad, NULL);
  if (gst_caps_is_any (caps) || gst_caps_is_empty (caps)) {
    gst_caps_unref (caps);
    caps = gst_caps_new_empty_simple ("application/octet-stream");
  }
  return caps;
}

static GstPad *
choose_video (GstElement *parsebin)
{
  for (GList *l = parsebin->srcpads; l; l = l->next) {
    g_autoptr (GstCaps) caps = pad_caps (l->data);

    // one stream of a kind that parsebin cannot name (y4m) may still be decoded
    if (is_video (caps) ||
        (parsebin->numsrcpads == 1 && !is_kind (caps, "audio/")))
      return l->data;
  }
  return NULL;
}

gboolean
annotator_build_streams (Annotator *a, GError **error)
{
  GstPad *video = choose_video (a->parsebin);
  gint64 duration;

  if (!video) {
    g_set_error_literal (
        error, QF_ERROR, QF_ERROR_FORMAT, "there is no video in it");
    return FALSE;
  }
  if (gst_pad_query_duration (video, GST_FORMAT_TIME, &duration)) {
    g_mutex_lock (&a->lock);
    a->duration = (GstClockTime) duration;
    g_mutex_unlock (&a->lock);
  }
  if (a->mux && !start_output (a)) {
    g_set_error_literal (
        error, QF_ERROR, QF_ERROR_FAILED, "the output cannot be started");
    return FALSE;
  }
  for (GList *l = a->parsebin->srcpads; l; l = l->next) {
    g_autoptr (GstCaps) caps = pad_caps (l->data);

    if (!add_stream (a, l->data, caps, l->data == video, error))
      return FALSE;
  }
  return gst_element_sync_state_with_parent (a->queue);
}
