/* qfuse: times a network on a clip's planes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench_clip.h"

#include <string.h>

#include "clips.h"
#include "gstqfplanes.h"
#include "pipeline.h"

typedef struct
{
  GstElement *pipeline;
  QfEngine *all, *sparse;
  GstQfWant want;
  GstQfPlaner *planer;
  GstVideoInfo info;
  guint8 *planes, *rest;
  BenchClip *result;
} Bench;

static double
timed_run (QfEngine *engine, const guint8 *planes, gsize n)
{
  const QfTensor *in = qf_engine_input (engine, 0);
  gint64 from;

  if (in->dtype == QF_F32)
    for (gsize i = 0; i < n; i++)
      ((float *) in->data)[i] = planes[i];
  else
    memcpy (in->data, planes, n);
  from = g_get_monotonic_time ();
  qf_engine_run (engine);
  return (double) (g_get_monotonic_time () - from) * 1e-3;
}

static guint64
count_differing (const QfEngine *a, const QfEngine *b)
{
  guint64 sum = 0;

  for (int i = 0; i < qf_engine_n_outputs (a); i++) {
    const QfTensor *t = qf_engine_output (a, i), *u = qf_engine_output (b, i);
    gsize n = (gsize) t->c * (gsize) t->h * (gsize) t->w *
        (t->dtype == QF_F32 ? sizeof (float) : 1);

    for (gsize k = 0; k < n; k++)
      sum += ((guint8 *) t->data)[k] != ((guint8 *) u->data)[k];
  }
  return sum;
}

static void
run_picture (Bench *b)
{
  gsize n = gst_qf_want_size (&b->want);
  BenchClip *r = b->result;
  double ms[2];

  /* the first in turn: caches favour the second */
  for (int i = 0; i < 2; i++) {
    int sparse = (r->pictures + i) & 1;

    ms[sparse] = timed_run (sparse ? b->sparse : b->all, b->planes, n);
  }
  r->differ += count_differing (b->all, b->sparse);
  r->all_ms += ms[0];
  r->sparse_ms += ms[1];
  r->pictures++;
  if (memcmp (b->planes, b->rest, n) == 0) {
    r->still++;
    r->still_all_ms += ms[0];
    r->still_sparse_ms += ms[1];
  }
}

static GstPadProbeReturn
on_data (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Bench *b = data;
  GstVideoFrame frame;
  GstBuffer *buffer;

  if (info->type & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM) {
    GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);
    GstCaps *caps;

    gst_qf_planer_event (b->planer, event);
    if (GST_EVENT_TYPE (event) == GST_EVENT_CAPS) {
      gst_event_parse_caps (event, &caps);
      if (gst_video_info_from_caps (&b->info, caps))
        gst_qf_planer_set_info (b->planer, &b->info);
    }
    return GST_PAD_PROBE_OK;
  }
  buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  if (!gst_video_frame_map (&frame, &b->info, buffer, GST_MAP_READ)) {
    pipeline_fail (b->pipeline, "a frame cannot be read");
    return GST_PAD_PROBE_DROP;
  }
  gst_qf_planer_push (b->planer, &frame, GST_BUFFER_PTS (buffer), b->planes);
  gst_video_frame_unmap (&frame);
  run_picture (b);
  return GST_PAD_PROBE_OK;
}

static gboolean
play (Bench *b, const char *path, GError **error)
{
  Clip clip = { .video = (char *) path, .action = (char *) "clip" };
  ClipOptions none = { 0 };
  PipelineWatch watch = { "measuring", NULL, NULL, NULL };
  GstElement *source = clip_source (&clip, &none, NULL, error);
  GstElement *filter, *sink;
  g_autoptr (GstCaps) caps =
      gst_caps_from_string (GST_VIDEO_CAPS_MAKE (GST_QF_FORMATS));
  GstPad *pad;
  gboolean done;

  if (!source)
    return FALSE;
  b->pipeline = gst_pipeline_new ("bench");
  filter = gst_element_factory_make ("capsfilter", NULL);
  sink = gst_element_factory_make ("fakesink", NULL);
  g_object_set (filter, "caps", caps, NULL);
  g_object_set (sink, "sync", FALSE, NULL);
  gst_bin_add_many (GST_BIN (b->pipeline), source, filter, sink, NULL);
  gst_element_link_many (source, filter, sink, NULL);
  pad = gst_element_get_static_pad (sink, "sink");
  gst_pad_add_probe (pad,
      GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_data,
      b, NULL);
  gst_object_unref (pad);
  done = pipeline_run (b->pipeline, &watch, error);
  gst_object_unref (b->pipeline);
  return done;
}

/* Both engines and the planes that both see. */
static gboolean
prepare (Bench *b, QfModel *model, int threads, GError **error)
{
  guint8 rest[QF_MAX_PLANES];
  gsize plane;

  if (!gst_qf_want_from_model (&b->want, model, error))
    return FALSE;
  if (!qf_planes_at_rest (&b->want.planes, rest)) {
    g_set_error_literal (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "the network's planes are not all differences with a dead band, so "
        "that everything is computed on every picture");
    return FALSE;
  }
  if (!(b->all = qf_engine_new (model, threads, error)) ||
      !(b->sparse = qf_engine_new (model, threads, error)) ||
      !qf_engine_set_sparse (
          b->sparse, QF_SPARSE_AUTO, rest, b->want.planes.n, error))
    return FALSE;
  b->planes = g_malloc (gst_qf_want_size (&b->want));
  b->rest = g_malloc (gst_qf_want_size (&b->want));
  plane = (gsize) b->want.width * (gsize) b->want.height;
  for (int i = 0; i < b->want.planes.n; i++)
    memset (b->rest + (gsize) i * plane, rest[i], plane);
  b->planer = gst_qf_planer_new (&b->want);
  return TRUE;
}

gboolean
bench_clip (QfModel *model, int threads, const char *path, BenchClip *result,
    GError **error)
{
  Bench b = { .result = result };
  QfSparseStats stats;
  gboolean done;

  *result = (BenchClip){ 0 };
  done = prepare (&b, model, threads, error) && play (&b, path, error);
  if (done && result->pictures == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s: holds no picture", path);
    done = FALSE;
  }
  if (done) {
    qf_engine_sparse_stats (b.sparse, &stats);
    result->macs =
        stats.all_macs ? (double) stats.macs / (double) stats.all_macs : 0;
  }
  g_clear_pointer (&b.planer, gst_qf_planer_free);
  qf_engine_free (b.all);
  qf_engine_free (b.sparse);
  g_free (b.planes);
  g_free (b.rest);
  return done;
}
