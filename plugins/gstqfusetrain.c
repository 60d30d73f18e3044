/* GStreamer qfuse: qfusetrain learns from a tagged stream.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-qfusetrain
 * @title: qfusetrain
 * @short_description: learns a network from a tagged stream
 * @see_also: qfusetag, qfusedetect, framediff
 *
 * Collects samples from a stream that qfusetag has tagged and, when the stream
 * ends, trains an int8 network on them. EOS is held back until training has
 * ended, so that a pipeline which runs to its end leaves a model behind.
 *
 * All frames pass the differences; samples become those that are tagged, whose
 * number #GstQfuseTrain:frames names, and of these every
 * #GstQfuseTrain:every -th. Several clips come through concat, one qfusetag
 * before each. A flushing seek forgets the samples. With head=classify frames
 * that are tagged without an action are none.
 *
 * The model file is replaced, whole, after each epoch that is the best so far.
 * Stopping (READY, a flush) ends training within a batch and leaves the best
 * model so far; PAUSED holds it until PLAYING.
 *
 * With #GstQfuseTrain:checkpoint-file the whole state of the training is kept
 * in a file; with #GstQfuseTrain:resume and the same stream a training that was
 * stopped or killed goes on from it, to the same bytes as without the stop.
 *
 * Messages while training: PROGRESS with code `train`; after each epoch an
 * element message `qfuse-epoch` with `epoch`, `epochs` (int), `best` (boolean:
 * written) and, as doubles where they were measured, `loss`, `loss-class`,
 * `loss-box`, `ap50`, `best-f1`, `accuracy`, `learning-rate`, `seconds`.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! qfusetag
 * location=gt.txt labels=person ! qfusetrain frames=1-500
 * planes=Y,D1x2t8,D5x2t8 model-file=pedestrian.onnx
 * ]| Learns to find people in difference images.
 */
#include "gstqfusetrain.h"

#include <string.h>

#include "gstqfmeta-private.h"
#include "gstqfnumber.h"
#include "gstqfplanesmeta.h"
#include "gstqftrainjob.h"

GST_DEBUG_CATEGORY_STATIC (gst_qfuse_train_debug);
#define GST_CAT_DEFAULT gst_qfuse_train_debug

#define MAX_SIZE 32767

/* Of the stream, since the start or the last flush. */
typedef struct
{
  guint64 frames, tagged, samples, upstream_planes;
  guint64 idle;     /* frames for learning actions that show none */
  gint first, last; /* numbers of tagged frames; 0: none */
} Seen;

struct _GstQfuseTrain
{
  GstBaseSink parent;

  /* under the object lock */
  GstQfTrainSettings settings;
  Seen seen;
  GstQfTrainPlan *plan; /* from READY up to READY again */
  GstQfTrainJob *job;   /* while EOS waits */
  QfTrainReport report; /* of a job that is over */
  gboolean reported;
  gboolean paused;

  /* under the preroll lock */
  GCond over_cond;
  gboolean over, ok;

  /* the streaming thread's */
  GstVideoInfo info;
  gint rate_n, rate_d; /* the stream's; rate_n 0: none, −1: several */
  GstQfNumber number;
  GstQfPlaner *planer;
  gboolean planer_idle; /* planes came from upstream, its past is old */
  gboolean asked;       /* upstream was told that planes are wanted */
  GstQfTrainSet *set;
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
        GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_QF_FORMATS)));

#define gst_qfuse_train_parent_class parent_class
G_DEFINE_TYPE (GstQfuseTrain, gst_qfuse_train, GST_TYPE_BASE_SINK)
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE (qfusetrain, "qfusetrain", GST_RANK_NONE,
    GST_TYPE_QFUSE_TRAIN,
    GST_DEBUG_CATEGORY_INIT (
        gst_qfuse_train_debug, "qfusetrain", 0, "learns from a stream"))

static guint prop_stats;

/* Forgets what the stream brought. */
static void
new_set (GstQfuseTrain *self)
{
  const GstQfTrainPlan *plan = self->plan;
  const GstQfTrainSettings *s = &plan->settings;

  g_clear_pointer (&self->set, gst_qf_train_set_free);
  self->set = gst_qf_train_set_new (gst_qf_want_size (&plan->seen),
      s->max_samples, (guint64) s->memory_limit << 20, s->seed);
  if (plan->keep_frames)
    gst_qf_train_set_keep_frames (
        self->set, &plan->want, s->speed, s->backwards);
  GST_OBJECT_LOCK (self);
  self->seen = (Seen){ 0 };
  GST_OBJECT_UNLOCK (self);
}

static void
post_start_error (GstQfuseTrain *self, const GError *error)
{
  if (g_error_matches (error, QF_ERROR, QF_ERROR_FILE))
    GST_ELEMENT_ERROR (
        self, RESOURCE, OPEN_READ_WRITE, ("%s", error->message), (NULL));
  else
    GST_ELEMENT_ERROR (
        self, RESOURCE, SETTINGS, ("%s", error->message), (NULL));
}

/* From READY on, so that properties can be set up to then. */
static gboolean
begin (GstQfuseTrain *self)
{
  g_autoptr (GError) error = NULL;
  GstQfTrainSettings settings;
  GstQfTrainPlan *plan;

  GST_OBJECT_LOCK (self);
  gst_qf_train_settings_copy (&settings, &self->settings);
  GST_OBJECT_UNLOCK (self);
  plan = gst_qf_train_plan_new (&settings, &error);
  gst_qf_train_settings_clear (&settings);
  if (!plan) {
    post_start_error (self, error);
    return FALSE;
  }

  GST_OBJECT_LOCK (self);
  self->plan = plan;
  self->reported = FALSE;
  GST_OBJECT_UNLOCK (self);
  self->planer = gst_qf_planer_new (&plan->seen);
  self->planer_idle = self->asked = FALSE;
  self->rate_n = 0;
  gst_qf_number_init (&self->number);
  new_set (self);
  return TRUE;
}

static void
end (GstQfuseTrain *self)
{
  GstQfTrainPlan *plan;

  GST_OBJECT_LOCK (self);
  plan = g_steal_pointer (&self->plan);
  GST_OBJECT_UNLOCK (self);
  gst_qf_train_plan_free (plan);
  g_clear_pointer (&self->planer, gst_qf_planer_free);
  g_clear_pointer (&self->set, gst_qf_train_set_free);
}

static gboolean
gst_qfuse_train_set_caps (GstBaseSink *sink, GstCaps *caps)
{
  GstQfuseTrain *self = GST_QFUSE_TRAIN (sink);
  GstVideoInfo *i = &self->info;

  if (!gst_video_info_from_caps (i, caps) || i->width > MAX_SIZE ||
      i->height > MAX_SIZE) {
    GST_ERROR_OBJECT (self, "unusable caps %" GST_PTR_FORMAT, caps);
    return FALSE;
  }
  gst_qf_planer_set_info (self->planer, i);
  if (self->rate_n == 0) {
    self->rate_n = i->fps_n;
    self->rate_d = i->fps_d;
  } else if (gst_util_fraction_compare (self->rate_n, self->rate_d, i->fps_n,
                 MAX (i->fps_d, 1)) != 0) {
    GST_WARNING_OBJECT (self, "several frame rates: the model gets none");
    self->rate_n = -1;
  }
  return TRUE;
}

static gboolean
gst_qfuse_train_event (GstBaseSink *sink, GstEvent *event)
{
  GstQfuseTrain *self = GST_QFUSE_TRAIN (sink);

  if (GST_EVENT_IS_SERIALIZED (event)) {
    gst_qf_number_event (&self->number, event);
    gst_qf_planer_event (self->planer, event);
    if (GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_STOP)
      new_set (self);
  }
  return GST_BASE_SINK_CLASS (parent_class)->event (sink, event);
}

static gboolean
gst_qfuse_train_query (GstBaseSink *sink, GstQuery *query)
{
  GstQfuseTrain *self = GST_QFUSE_TRAIN (sink);
  gboolean wanted;
  GstQfWant want;

  if (!gst_query_is_qf_planes (query))
    return GST_BASE_SINK_CLASS (parent_class)->query (sink, query);
  GST_OBJECT_LOCK (self);
  wanted = self->plan != NULL && !self->plan->keep_frames;
  if (wanted)
    want = self->plan->want;
  GST_OBJECT_UNLOCK (self);
  return gst_qf_planes_query_answer (query, wanted ? &want : NULL, NULL);
}

static gboolean
gst_qfuse_train_propose_allocation (GstBaseSink *sink, GstQuery *query)
{
  gst_query_add_allocation_meta (query, GST_VIDEO_META_API_TYPE, NULL);
  gst_query_add_allocation_meta (query, GST_VIDEO_CROP_META_API_TYPE, NULL);
  return TRUE;
}

/* The planes of @buffer to @out, or with @out NULL only remembered. NULL: the
 * buffer cannot be mapped. */
static const QfGeometry *
push_planes (
    GstQfuseTrain *self, GstBuffer *buffer, GstClockTime time, guint8 *out)
{
  const GstQfPlanesMeta *meta = self->plan->keep_frames
      ? NULL
      : gst_buffer_get_qf_planes_meta (buffer, &self->plan->want);
  GstVideoFrame frame;

  if (meta) {
    self->planer_idle = TRUE;
    if (out)
      memcpy (out, g_bytes_get_data (meta->planes, NULL),
          gst_qf_want_size (&meta->want));
    return &meta->geometry;
  }

  if (!self->asked && !self->plan->keep_frames) {
    self->asked = TRUE;
    gst_pad_push_event (
        GST_BASE_SINK_PAD (self), gst_qf_planes_event_new (&self->plan->want));
  }
  if (!gst_video_frame_map (&frame, &self->info, buffer, GST_MAP_READ))
    return NULL;
  if (self->planer_idle)
    gst_qf_planer_forget (self->planer);
  self->planer_idle = FALSE;
  gst_qf_planer_push (self->planer, &frame, time, out);
  gst_video_frame_unmap (&frame);
  return gst_qf_planer_geometry (self->planer);
}

static void
count_frame (
    GstQfuseTrain *self, gint tagged, gboolean sample, gboolean upstream)
{
  Seen *s = &self->seen;

  GST_OBJECT_LOCK (self);
  s->frames++;
  s->upstream_planes += upstream;
  s->samples += sample;
  if (tagged >= 0) {
    s->first = s->tagged == 0 ? tagged : MIN (s->first, tagged);
    s->last = MAX (s->last, tagged);
    s->tagged++;
  }
  GST_OBJECT_UNLOCK (self);
}

/* Makes the frame a sample, or with @truth NULL a picture among samples. */
static GstFlowReturn
take_sample (GstQfuseTrain *self, const QfuseTruthMeta *truth,
    const QfGeometry *geometry, GstClockTime time, gboolean validation)
{
  g_autoptr (GError) error = NULL;

  if (self->plan->keep_frames &&
      !gst_qf_train_set_push (
          self->set, time, gst_qf_planer_take_cut (self->planer), &error))
    goto no_room;
  if (truth &&
      !gst_qf_train_set_add (self->set, truth, geometry, validation, &error))
    goto no_room;
  return GST_FLOW_OK;

no_room:
  GST_ELEMENT_ERROR (
      self, RESOURCE, NO_SPACE_LEFT, ("%s", error->message), (NULL));
  return GST_FLOW_ERROR;
}

/* Where actions are learned, frames without one would only take room. */
static GstQfTrainUse
choose_use (GstQfuseTrain *self, const QfuseTruthMeta *truth, gint n)
{
  GstQfTrainUse use = gst_qf_train_plan_use (self->plan, n, truth->validation);

  if (use == GST_QF_TRAIN_SKIP || !gst_qf_train_plan_actions (self->plan) ||
      truth->action || truth->action_id >= 0)
    return use;
  GST_OBJECT_LOCK (self);
  self->seen.idle++;
  GST_OBJECT_UNLOCK (self);
  return GST_QF_TRAIN_SKIP;
}

static GstFlowReturn
gst_qfuse_train_render (GstBaseSink *sink, GstBuffer *buffer)
{
  GstQfuseTrain *self = GST_QFUSE_TRAIN (sink);
  GstClockTime time;
  gint n =
      gst_qf_number_next (&self->number, buffer, GST_ELEMENT (self), &time);
  const QfuseTruthMeta *truth = gst_qf_truth_read (
      buffer, (guint) self->info.width, (guint) self->info.height);
  GstQfTrainUse use = GST_QF_TRAIN_SKIP;
  const QfGeometry *geometry;
  guint8 *planes = NULL;

  if (truth) {
    /* the tag's number counts in its own clip */
    n = truth->frame > 0 ? truth->frame : n;
    use = choose_use (self, truth, n);
  }
  if (use != GST_QF_TRAIN_SKIP)
    planes = gst_qf_train_set_next (self->set);
  if (self->plan->keep_frames)
    planes = gst_qf_train_set_picture (self->set);
  geometry = push_planes (self, buffer, time, planes);
  if (!geometry) {
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("A frame cannot be read: its memory does not fit its caps."), (NULL));
    return GST_FLOW_ERROR;
  }
  count_frame (
      self, truth ? n : -1, use != GST_QF_TRAIN_SKIP, self->planer_idle);
  return take_sample (self, use != GST_QF_TRAIN_SKIP ? truth : NULL, geometry,
      time, use == GST_QF_TRAIN_VALIDATE);
}

/* FALSE with an error posted where there is nothing to train on. */
static gboolean
check_samples (GstQfuseTrain *self)
{
  const gchar *frames = self->plan->settings.frames;
  Seen seen;

  GST_OBJECT_LOCK (self);
  seen = self->seen;
  GST_OBJECT_UNLOCK (self);
  if (seen.samples > 0)
    return TRUE;
  if (seen.tagged == 0)
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("None of the %" G_GUINT64_FORMAT " frames says what is on it: put "
         "qfusetag location=… (or label=…) before qfusetrain, and nothing that "
         "moves pixels between them.",
            seen.frames),
        (NULL));
  else if (seen.idle > 0)
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("Nothing to learn: the %" G_GUINT64_FORMAT " tagged frames hold no "
         "action; check the file and the frames that qfusetag and qfusetrain "
         "were given.",
            seen.idle),
        (NULL));
  else
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("None of the %" G_GUINT64_FORMAT " tagged frames, which are numbered "
         "%d to %d, is among frames=%s: nothing to learn from.",
            seen.tagged, seen.first, seen.last, frames ? frames : ""),
        (NULL));
  return FALSE;
}

static void
training_over (gpointer user_data, gboolean ok)
{
  GstQfuseTrain *self = user_data;
  GstBaseSink *sink = GST_BASE_SINK (self);

  GST_BASE_SINK_PREROLL_LOCK (sink);
  self->over = TRUE;
  self->ok = ok;
  g_cond_broadcast (&self->over_cond);
  GST_BASE_SINK_PREROLL_UNLOCK (sink);
}

static gboolean
begin_training (GstQfuseTrain *self)
{
  GstQfTrainJob *job = gst_qf_train_job_new (GST_ELEMENT (self), self->plan,
      g_steal_pointer (&self->set), MAX (self->rate_n, 0), self->rate_d,
      training_over, self);

  if (!job) {
    GST_ELEMENT_ERROR (
        self, RESOURCE, FAILED, ("No thread to train in can be made."), (NULL));
    return FALSE;
  }
  GST_OBJECT_LOCK (self);
  self->job = job;
  gst_qf_train_job_pause (job, self->paused);
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

/* Waits for its end, which is near: done, or asked to stop. */
static void
end_training (GstQfuseTrain *self)
{
  GstQfTrainJob *job;

  GST_OBJECT_LOCK (self);
  job = g_steal_pointer (&self->job);
  GST_OBJECT_UNLOCK (self);
  gst_qf_train_job_stop (job);
  GST_OBJECT_LOCK (self);
  self->reported = gst_qf_train_job_report (job, &self->report);
  GST_OBJECT_UNLOCK (self);
  gst_qf_train_job_free (job);
}

/* With the preroll lock, which is not held while others wait for it. */
static GstFlowReturn
wait_training (GstQfuseTrain *self)
{
  GstBaseSink *sink = GST_BASE_SINK (self);
  GstFlowReturn ret = GST_FLOW_OK;

  while (ret == GST_FLOW_OK && (!self->over || sink->need_preroll)) {
    if (sink->flushing)
      ret = GST_FLOW_FLUSHING;
    else if (sink->need_preroll)
      ret = gst_base_sink_wait_preroll (sink);
    else
      g_cond_wait (&self->over_cond, GST_BASE_SINK_GET_PREROLL_LOCK (sink));
  }
  return ret;
}

static GstFlowReturn
gst_qfuse_train_wait_event (GstBaseSink *sink, GstEvent *event)
{
  GstQfuseTrain *self = GST_QFUSE_TRAIN (sink);
  GstFlowReturn ret =
      GST_BASE_SINK_CLASS (parent_class)->wait_event (sink, event);

  if (ret != GST_FLOW_OK || GST_EVENT_TYPE (event) != GST_EVENT_EOS)
    return ret;

  self->over = self->ok = FALSE;
  GST_BASE_SINK_PREROLL_UNLOCK (sink);
  if (!check_samples (self) || !begin_training (self)) {
    GST_BASE_SINK_PREROLL_LOCK (sink);
    return GST_FLOW_ERROR;
  }
  GST_BASE_SINK_PREROLL_LOCK (sink);
  ret = wait_training (self);
  GST_BASE_SINK_PREROLL_UNLOCK (sink);
  end_training (self);
  GST_BASE_SINK_PREROLL_LOCK (sink);
  if (ret == GST_FLOW_OK)
    ret = wait_training (self); /* for PLAYING, where it was left meanwhile */
  return ret == GST_FLOW_OK && !self->ok ? GST_FLOW_ERROR : ret;
}

/* Called with the preroll lock when flushing or need_preroll were set: a flag
 * of unlock() could be seen too early by wait_training(). */
static gboolean
gst_qfuse_train_unlock_stop (GstBaseSink *sink)
{
  g_cond_broadcast (&GST_QFUSE_TRAIN (sink)->over_cond);
  return TRUE;
}

/* Training holds while the pipeline does. */
static void
set_paused (GstQfuseTrain *self, gboolean paused)
{
  GST_OBJECT_LOCK (self);
  self->paused = paused;
  if (self->job)
    gst_qf_train_job_pause (self->job, paused);
  GST_OBJECT_UNLOCK (self);
}

static GstStateChangeReturn
gst_qfuse_train_change_state (GstElement *element, GstStateChange transition)
{
  GstQfuseTrain *self = GST_QFUSE_TRAIN (element);
  GstStateChangeReturn ret;

  switch (transition) {
    case GST_STATE_CHANGE_READY_TO_PAUSED:
      if (!begin (self))
        return GST_STATE_CHANGE_FAILURE;
      break;
    case GST_STATE_CHANGE_PAUSED_TO_PLAYING:
      set_paused (self, FALSE);
      break;
    case GST_STATE_CHANGE_PLAYING_TO_PAUSED:
      set_paused (self, TRUE);
      break;
    case GST_STATE_CHANGE_PAUSED_TO_READY:
      GST_OBJECT_LOCK (self);
      if (self->job)
        gst_qf_train_job_stop (self->job);
      GST_OBJECT_UNLOCK (self);
      break;
    default:
      break;
  }
  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY ||
      (transition == GST_STATE_CHANGE_READY_TO_PAUSED &&
          ret == GST_STATE_CHANGE_FAILURE))
    end (self);
  return ret;
}

/* With the object lock. */
static GstStructure *
make_stats (GstQfuseTrain *self)
{
  const Seen *s = &self->seen;
  QfTrainReport r = self->report;
  gboolean reported = self->reported;
  GstStructure *stats = gst_structure_new ("qfusetrain-stats", "frames",
      G_TYPE_UINT64, s->frames, "tagged", G_TYPE_UINT64, s->tagged, "samples",
      G_TYPE_UINT64, s->samples, "upstream-planes", G_TYPE_UINT64,
      s->upstream_planes, "training", G_TYPE_BOOLEAN, self->job != NULL, NULL);

  if (self->job)
    reported = gst_qf_train_job_report (self->job, &r);
  if (reported)
    gst_structure_set (stats, "epoch", G_TYPE_INT, r.epoch, "epochs",
        G_TYPE_INT, r.epochs, "batch", G_TYPE_INT, r.batch, "batches",
        G_TYPE_INT, r.batches, "loss", G_TYPE_DOUBLE, r.loss, "learning-rate",
        G_TYPE_DOUBLE, r.learning_rate, "ap50", G_TYPE_DOUBLE, r.ap50,
        "best-f1", G_TYPE_DOUBLE, r.best_f1, "accuracy", G_TYPE_DOUBLE,
        r.accuracy, "seconds", G_TYPE_DOUBLE, r.seconds, NULL);
  return stats;
}

static void
gst_qfuse_train_set_property (
    GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstQfuseTrain *self = GST_QFUSE_TRAIN (object);

  GST_OBJECT_LOCK (self);
  if (!gst_qf_train_settings_set (&self->settings, id, value))
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_qfuse_train_get_property (
    GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstQfuseTrain *self = GST_QFUSE_TRAIN (object);

  GST_OBJECT_LOCK (self);
  if (id == prop_stats)
    g_value_take_boxed (value, make_stats (self));
  else if (!gst_qf_train_settings_get (&self->settings, id, value))
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  GST_OBJECT_UNLOCK (self);
}

static void
gst_qfuse_train_finalize (GObject *object)
{
  GstQfuseTrain *self = GST_QFUSE_TRAIN (object);

  gst_qf_train_settings_clear (&self->settings);
  g_cond_clear (&self->over_cond);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_qfuse_train_class_init (GstQfuseTrainClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  GstElementClass *element = GST_ELEMENT_CLASS (klass);
  GstBaseSinkClass *sink = GST_BASE_SINK_CLASS (klass);

  object->set_property = gst_qfuse_train_set_property;
  object->get_property = gst_qfuse_train_get_property;
  object->finalize = gst_qfuse_train_finalize;
  prop_stats = gst_qf_train_settings_install (object);
  g_object_class_install_property (object, prop_stats,
      g_param_spec_boxed ("stats", "Statistics",
          "Frames, tagged frames, samples (of which at most max-samples are "
          "held), frames whose planes came from framediff; while training the "
          "epoch, the batch (-1: between epochs), loss, measures (NaN: not "
          "measured) and seconds",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));

  gst_element_class_set_static_metadata (element, "Network trainer",
      "Sink/Analyzer/Video", "Learns an int8 network from a tagged stream",
      "The qfuse authors");
  gst_element_class_add_static_pad_template (element, &sink_template);
  element->change_state = gst_qfuse_train_change_state;

  sink->set_caps = gst_qfuse_train_set_caps;
  sink->event = gst_qfuse_train_event;
  sink->query = gst_qfuse_train_query;
  sink->propose_allocation = gst_qfuse_train_propose_allocation;
  sink->render = gst_qfuse_train_render;
  sink->wait_event = gst_qfuse_train_wait_event;
  sink->unlock_stop = gst_qfuse_train_unlock_stop;
}

static void
gst_qfuse_train_init (GstQfuseTrain *self)
{
  GstBaseSink *sink = GST_BASE_SINK (self);

  gst_qf_train_settings_init (&self->settings);
  g_cond_init (&self->over_cond);
  gst_base_sink_set_sync (sink, FALSE);
  gst_base_sink_set_qos_enabled (sink, FALSE);
  gst_base_sink_set_last_sample_enabled (sink, FALSE);
}
