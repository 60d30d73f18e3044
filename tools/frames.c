/* qfuse: pictures of a clip as a network sees them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frames.h"

#include <string.h>

#include "clips.h"
#include "pipeline.h"

typedef struct
{
  GstElement *pipeline;
  GstQfPlaner *planer;
  GstVideoInfo info;
  guint8 *planes;
  FramesFunc func;
  gpointer data;
  int count;
} Reader;

void
frames_event (GstQfPlaner *planer, GstVideoInfo *info, GstEvent *event)
{
  GstCaps *caps;

  gst_qf_planer_event (planer, event);
  if (GST_EVENT_TYPE (event) != GST_EVENT_CAPS)
    return;
  gst_event_parse_caps (event, &caps);
  if (gst_video_info_from_caps (info, caps))
    gst_qf_planer_set_info (planer, info);
}

GstElement *
frames_pipeline (GstElement *source, GstPadProbeCallback on_data, gpointer data)
{
  GstElement *pipeline = gst_pipeline_new ("frames");
  GstElement *filter = gst_element_factory_make ("capsfilter", NULL);
  GstElement *sink = gst_element_factory_make ("fakesink", NULL);
  GstCaps *caps = gst_caps_from_string (GST_VIDEO_CAPS_MAKE (GST_QF_FORMATS));
  GstPad *pad = gst_element_get_static_pad (sink, "sink");

  g_object_set (filter, "caps", caps, NULL);
  gst_caps_unref (caps);
  g_object_set (sink, "sync", FALSE, NULL);
  gst_bin_add_many (GST_BIN (pipeline), source, filter, sink, NULL);
  gst_element_link_many (source, filter, sink, NULL);
  gst_pad_add_probe (pad,
      GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_data,
      data, NULL);
  gst_object_unref (pad);
  return pipeline;
}

static GstPadProbeReturn
on_data (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Reader *r = data;
  GstVideoFrame frame;
  GstBuffer *buffer;

  if (info->type & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM) {
    frames_event (r->planer, &r->info, GST_PAD_PROBE_INFO_EVENT (info));
    return GST_PAD_PROBE_OK;
  }
  buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  if (!gst_video_frame_map (&frame, &r->info, buffer, GST_MAP_READ)) {
    pipeline_fail (r->pipeline, "a frame cannot be read");
    return GST_PAD_PROBE_DROP;
  }
  gst_qf_planer_push (r->planer, &frame, GST_BUFFER_PTS (buffer), r->planes);
  gst_video_frame_unmap (&frame);
  r->count++;
  r->func (r->planes, r->data);
  return GST_PAD_PROBE_OK;
}

static gboolean
play (Reader *r, const char *path, const char *doing, GError **error)
{
  Clip clip = { .video = (char *) path, .action = (char *) "clip" };
  ClipOptions none = { 0 };
  PipelineWatch watch = { doing, NULL, NULL, NULL };
  GstElement *source = clip_source (&clip, &none, NULL, error);
  gboolean done;

  if (!source)
    return FALSE;
  r->pipeline = frames_pipeline (source, on_data, r);
  done = pipeline_run (r->pipeline, &watch, error);
  gst_object_unref (r->pipeline);
  return done;
}

gboolean
frames_each (const GstQfWant *want, const char *path, const char *doing,
    FramesFunc func, gpointer data, GError **error)
{
  Reader r = { .func = func, .data = data };
  gboolean done;

  r.planes = g_malloc (gst_qf_want_size (want));
  r.planer = gst_qf_planer_new (want);
  done = play (&r, path, doing, error);
  if (done && r.count == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s: holds no picture", path);
    done = FALSE;
  }
  gst_qf_planer_free (r.planer);
  g_free (r.planes);
  return done;
}

/* Of a clip whose length is not known every stride-th picture is held; where
 * they become twice as many as wanted, every second goes and the stride
 * doubles. */
typedef struct
{
  gsize size;
  GPtrArray *held;
  int max, stride, count;
} Spread;

static void
hold (const guint8 *planes, gpointer data)
{
  Spread *r = data;

  if (r->count++ % r->stride != 0)
    return;
  g_ptr_array_add (r->held, g_memdup2 (planes, r->size));
  if ((int) r->held->len < 2 * r->max)
    return;
  for (guint i = 1; i < r->held->len / 2; i++) {
    g_free (g_ptr_array_index (r->held, i));
    g_ptr_array_index (r->held, i) = g_ptr_array_index (r->held, 2 * i);
    g_ptr_array_index (r->held, 2 * i) = NULL;
  }
  for (guint i = r->held->len / 2; i < r->held->len; i++)
    g_clear_pointer (&g_ptr_array_index (r->held, i), g_free);
  g_ptr_array_set_size (r->held, (int) r->held->len / 2);
  r->stride *= 2;
}

gboolean
frames_read (const QfModel *model, const char *path, int max, GPtrArray *frames,
    GError **error)
{
  Spread r = { .max = max, .stride = 1 };
  GstQfWant want;
  gboolean done;
  int n;

  if (!gst_qf_want_from_model (&want, model, error))
    return FALSE;
  r.size = gst_qf_want_size (&want);
  r.held = g_ptr_array_new_with_free_func (g_free);
  done = frames_each (&want, path, "reading", hold, &r, error);
  n = (int) r.held->len;
  for (int i = 0; done && i < MIN (n, max); i++) {
    int at = n <= max ? i : (int) ((gint64) i * n / max);

    g_ptr_array_add (frames, g_steal_pointer (&g_ptr_array_index (r.held, at)));
  }
  g_ptr_array_unref (r.held);
  return done;
}

void
frames_give (const QfEngine *engine, const guint8 *planes)
{
  const QfTensor *in = qf_engine_input (engine, 0);
  gsize n = (gsize) in->c * (gsize) in->h * (gsize) in->w;

  if (in->dtype == QF_F32)
    for (gsize i = 0; i < n; i++)
      ((float *) in->data)[i] = planes[i];
  else
    memcpy (in->data, planes, n);
}
