/* qfuse: plays a pipeline to its end.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pipeline.h"

#include <glib-unix.h>
#include <signal.h>
#include <string.h>

#include "base/error.h"
#include "progress.h"
#include "tool.h"

typedef struct
{
  GMainLoop *loop;
  const PipelineWatch *watch;
  GError *error;
} Run;

void
pipeline_set_file (gpointer object, const char *path)
{
  g_object_set_data_full (object, "qfuse-file", g_strdup (path), g_free);
}

/* The file that @object or the nearest bin around it works on, or "". */
static char *
file_prefix (GstObject *object)
{
  char *prefix = NULL;

  gst_object_ref (object);
  while (object && !prefix) {
    const char *path = g_object_get_data (G_OBJECT (object), "qfuse-file");
    GstObject *parent = gst_object_get_parent (object);

    if (path)
      prefix = g_strdup_printf ("%s: ", path);
    gst_object_unref (object);
    object = parent;
  }
  if (object)
    gst_object_unref (object);
  return prefix ? prefix : g_strdup ("");
}

/* "Internal data stream error." says nothing; what stands last in the debug
 * text does: "streaming stopped, reason not-linked (-1)". */
static GError *
error_of_message (GstMessage *message)
{
  g_autoptr (GError) gst = NULL;
  g_autofree char *debug = NULL;
  g_autofree char *prefix = file_prefix (GST_MESSAGE_SRC (message));
  const char *detail;

  gst_message_parse_error (message, &gst, &debug);
  detail = debug ? strstr (debug, ":\n") : NULL;
  if (gst->domain == QF_ERROR || !detail || !detail[2])
    return g_error_new (
        QF_ERROR, QF_ERROR_FAILED, "%s%s", prefix, gst->message);
  return g_error_new (
      QF_ERROR, QF_ERROR_FAILED, "%s%s (%s)", prefix, gst->message, detail + 2);
}

static gboolean
on_message (GstBus *bus, GstMessage *message, gpointer data)
{
  Run *run = data;

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_EOS:
      g_main_loop_quit (run->loop);
      break;
    case GST_MESSAGE_ERROR:
      if (!run->error)
        run->error = error_of_message (message);
      g_main_loop_quit (run->loop);
      break;
    case GST_MESSAGE_ELEMENT:
      if (run->watch->message)
        run->watch->message (message, run->watch->data);
      break;
    default:
      break;
  }
  return G_SOURCE_CONTINUE;
}

static gboolean
on_signal (gpointer data)
{
  Run *run = data;

  if (!run->error)
    run->error = g_error_new (QF_ERROR, QF_ERROR_CANCELLED, "interrupted");
  g_main_loop_quit (run->loop);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_tick (gpointer data)
{
  Run *run = data;
  char note[80] = "";
  double done = run->watch->progress (run->watch->data, note, sizeof note);

  progress_show (run->watch->label ? run->watch->label : "", done, note);
  return G_SOURCE_CONTINUE;
}

gboolean
pipeline_run (GstElement *pipeline, const PipelineWatch *watch, GError **error)
{
  Run run = { g_main_loop_new (NULL, FALSE), watch, NULL };
  GstBus *bus = gst_element_get_bus (pipeline);
  const int signals[] = { SIGINT, SIGTERM, SIGHUP };
  guint sources[G_N_ELEMENTS (signals) + 1];
  guint n = 0;

  for (; n < G_N_ELEMENTS (signals); n++)
    sources[n] = g_unix_signal_add (signals[n], on_signal, &run);
  if (watch->progress)
    sources[n++] = g_timeout_add (200, on_tick, &run);
  gst_bus_add_watch (bus, on_message, &run);

  // a failed change has posted its error, which the loop then meets
  if (gst_element_set_state (pipeline, GST_STATE_PLAYING) ==
          GST_STATE_CHANGE_FAILURE &&
      !gst_bus_have_pending (bus))
    run.error = g_error_new (
        QF_ERROR, QF_ERROR_FAILED, "the pipeline cannot be started");
  else
    g_main_loop_run (run.loop);

  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_bus_remove_watch (bus);
  gst_object_unref (bus);
  for (guint i = 0; i < n; i++)
    g_source_remove (sources[i]);
  g_main_loop_unref (run.loop);
  progress_clear ();
  if (run.error) {
    g_propagate_error (error, run.error);
    return FALSE;
  }
  return TRUE;
}

void
pipeline_fail (GstElement *pipeline, const char *text)
{
  GST_ELEMENT_ERROR (pipeline, STREAM, FAILED, ("%s", text), (NULL));
}

gboolean
pipeline_link (
    GstElement *pipeline, GstPad *from, GstElement *to, const char *name)
{
  GstPad *sink = gst_element_get_static_pad (to, name);
  GstPadLinkReturn result = gst_pad_link (from, sink);

  gst_object_unref (sink);
  if (result != GST_PAD_LINK_OK) {
    g_autofree char *text = g_strdup_printf ("%s cannot be linked to %s (%s)",
        GST_OBJECT_NAME (from), GST_OBJECT_NAME (to),
        gst_pad_link_get_name (result));

    pipeline_fail (pipeline, text);
    return FALSE;
  }
  return TRUE;
}
