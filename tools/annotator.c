/* qfuse: one video through the network into another video.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *   filesrc ! parsebin ─ video ─ multiqueue ! decodebin ! qfusedetect !
 *                                qfusewrite ! qfuseoverlay ! encoder ! muxer
 *                      ─ others ─ multiqueue ! muxer, as they are if it takes
 * them
 *
 * parsebin shows all its pads before it lets the first byte through (and does
 * not emit no-more-pads, measured on 1.22). So everything behind it is built
 * when something first arrives on any pad: the muxer then gets a pad for each
 * stream that is there, and for no other. */
#include "annotator-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "container.h"
#include "pipeline.h"
#include "qfuse.h"

/* A new empty file beside @path, on the same file system. */
static char *
make_temporary (const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *base = g_path_get_basename (path);
  g_autofree char *name = g_strdup_printf (".%s.XXXXXX", base);
  char *temporary = g_build_filename (folder, name, NULL);
  int fd = g_mkstemp_full (temporary, O_RDWR | O_CLOEXEC, 0666);

  if (fd < 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "cannot write %s: %s", path,
        g_strerror (errno));
    g_free (temporary);
    return NULL;
  }
  close (fd);
  return temporary;
}

static gboolean
move_into_place (const char *temporary, const char *path, GError **error)
{
  if (!temporary || g_rename (temporary, path) == 0)
    return TRUE;
  g_set_error (error, QF_ERROR, QF_ERROR_FILE, "cannot write %s: %s", path,
      g_strerror (errno));
  return FALSE;
}

/* How far any stream of the input came. */
static GstPadProbeReturn
on_packet (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Annotator *a = data;
  GstClockTime time = GST_BUFFER_DTS_OR_PTS (GST_PAD_PROBE_INFO_BUFFER (info));

  if (GST_CLOCK_TIME_IS_VALID (time)) {
    g_mutex_lock (&a->lock);
    a->last = MAX (a->last, time);
    g_mutex_unlock (&a->lock);
  }
  return GST_PAD_PROBE_OK;
}

static double
on_progress (gpointer data, char *note, gsize size)
{
  Annotator *a = data;
  double done = 0;

  g_mutex_lock (&a->lock);
  g_snprintf (note, size, "%" G_GUINT64_FORMAT " frames", a->result.frames);
  if (GST_CLOCK_TIME_IS_VALID (a->duration) && a->duration > 0)
    done = (double) a->position / (double) a->duration;
  g_mutex_unlock (&a->lock);
  return done;
}

static GstPadProbeReturn
on_first_data (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Annotator *a = data;
  GError *error = NULL;

  g_mutex_lock (&a->build_lock);
  if (!a->built && !annotator_build_streams (a, &error))
    pipeline_fail (a->pipeline, error ? error->message : "it cannot be played");
  a->built = TRUE;
  g_mutex_unlock (&a->build_lock);
  g_clear_error (&error);
  return GST_PAD_PROBE_REMOVE;
}

static void
on_pad_added (GstElement *parsebin, GstPad *pad, gpointer data)
{
  gst_pad_add_probe (pad,
      GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
      on_first_data, data, NULL);
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_packet, data, NULL);
}

static gboolean
build (Annotator *a, GError **error)
{
  GstElement *source = gst_element_factory_make ("filesrc", NULL);

  a->pipeline = gst_pipeline_new ("annotate");
  pipeline_set_file (a->pipeline, a->job->input);
  a->parsebin = gst_element_factory_make ("parsebin", NULL);
  a->queue = gst_element_factory_make ("multiqueue", NULL);
  if (!source || !a->parsebin || !a->queue) {
    g_set_error_literal (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "GStreamer lacks filesrc, parsebin or multiqueue; install "
        "gstreamer1.0-plugins-base");
    return FALSE;
  }
  // grows while another stream has nothing; bytes are the bound that counts
  g_object_set (a->queue, "max-size-buffers", 30, "max-size-time", (guint64) 0,
      "max-size-bytes", 256u << 20, NULL);
  g_object_set (source, "location", a->job->input, NULL);
  gst_bin_add_many (GST_BIN (a->pipeline), source, a->parsebin, a->queue, NULL);
  gst_element_link (source, a->parsebin);
  g_signal_connect (a->parsebin, "pad-added", G_CALLBACK (on_pad_added), a);
  return TRUE;
}

static gboolean
prepare_files (Annotator *a, GError **error)
{
  const AnnotateJob *job = a->job;

  if (job->output) {
    a->mux = container_muxer_new (job->output, error);
    if (!a->mux || !(a->temporary = make_temporary (job->output, error)))
      return FALSE;
    gst_object_ref_sink (a->mux);
  }
  if (job->detections) {
    a->temporary_detections = make_temporary (job->detections, error);
    if (!a->temporary_detections)
      return FALSE;
  }
  return TRUE;
}

/* A file that was cut off plays to where it ends, without an error. */
static gboolean
is_whole (const Annotator *a, GError **error)
{
  guint64 frames = a->result.read;
  GstClockTime slack; // a container's idea of its length may be off by this
  GstClockTime last = MAX (a->last, a->position);

  if (frames == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "%s: no frame could be decoded", a->job->input);
    return FALSE;
  }
  slack = 200 * GST_MSECOND + last / 50 + 2 * a->position / frames;
  if (!GST_CLOCK_TIME_IS_VALID (a->duration) || last + slack >= a->duration)
    return TRUE;
  g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
      "%s is damaged: it ends after %.1f of %.1f seconds", a->job->input,
      (double) last / GST_SECOND, (double) a->duration / GST_SECOND);
  return FALSE;
}

gboolean
annotate (const AnnotateJob *job, AnnotateResult *result, GError **error)
{
  Annotator a = { .job = job, .duration = GST_CLOCK_TIME_NONE };
  PipelineWatch watch = { "annotating", on_progress, NULL, &a };
  gint64 begin = g_get_monotonic_time ();
  gboolean done, still;

  if (job->only_moving)
    a.cut = cut_new ();
  g_mutex_init (&a.lock);
  g_mutex_init (&a.build_lock);
  done = prepare_files (&a, error) && build (&a, error);
  done = done && pipeline_run (a.pipeline, &watch, error);
  a.result.read = a.cut ? cut_frames (a.cut) : a.result.frames;
  done = done && is_whole (&a, error);
  still = done && a.result.frames == 0;
  if (done)
    done = (still || move_into_place (a.temporary, job->output, error)) &&
        move_into_place (a.temporary_detections, job->detections, error);
  if ((!done || still) && a.temporary)
    g_unlink (a.temporary);
  if (!done && a.temporary_detections)
    g_unlink (a.temporary_detections);
  a.result.seconds = (double) (g_get_monotonic_time () - begin) * 1e-6;
  *result = a.result;
  g_clear_object (&a.pipeline);
  g_clear_object (&a.mux);
  g_clear_pointer (&a.cut, cut_free);
  g_free (a.temporary);
  g_free (a.temporary_detections);
  g_mutex_clear (&a.lock);
  g_mutex_clear (&a.build_lock);
  return done;
}
