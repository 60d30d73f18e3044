/* GStreamer qfuse: qfusedetect runs a network on a stream.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-qfusedetect
 * @title: qfusedetect
 * @see_also: framediff, qfuseoverlay, qfusewrite
 *
 * Runs a network on each frame and attaches what it finds: boxes with a class
 * and a score, or an action of the whole picture. The picture itself passes
 * untouched.
 *
 * What the network sees stands in the model file: the picture (`Y`, or
 * `R,G,B`), differences to earlier pictures (`D1`), or both. The element
 * computes these planes itself; behind a `framediff output=planes` it takes
 * them from there. Where they are exactly those of the last run (a still scene
 * behind a dead band, a repeated frame), its result holds and the network does
 * not run; `stats` counts such frames as `reused`.
 *
 * Where all planes of a network are differences with a dead band (`D1t8`), most
 * of what it sees is exactly nothing. Then only what lies in reach of something
 * that moves is computed (`sparse`); the result is that of the whole network,
 * byte for byte, and `stats` says in `computed` which share of the arithmetic
 * was needed.
 *
 * Detections are written as QfuseDetectionsMeta (see gstqfmeta.h), as
 * GstVideoRegionOfInterestMeta with a `detection` parameter, and on GStreamer
 * 1.24 or newer as GstAnalyticsRelationMeta.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! videoconvert ! \
 *     qfusedetect model-file=models/pedestrian.onnx ! qfuseoverlay ! \
 *     videoconvert ! autovideosink
 * ]| Draws boxes round the people of a recording.
 */

#include "gstqfusedetect.h"

#include "gstqfdetectsettings.h"
#include "gstqfinplace.h"
#include "gstqfmeta-private.h"
#include "gstqfnetwork.h"
#include "gstqfplanes.h"
#include "gstqfplanesmeta.h"

GST_DEBUG_CATEGORY_STATIC (qfuse_detect_debug);
#define GST_CAT_DEFAULT qfuse_detect_debug

enum
{
  SIGNAL_RELOAD,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

/* What a frame cost. */
typedef enum
{
  WORK_CARRIED, /* between two runs of interval */
  WORK_REUSED,  /* the network would see what it saw */
  WORK_RUN
} Work;

static const gchar *const work_names[] = { "carried over", "as before",
  "found" };

struct _GstQfuseDetect
{
  GstBaseTransform parent;

  /* under the object lock */
  GstQfDetectSettings settings;
  GstQfDetectStats stats;
  GstQfNetwork *network; /* NULL while stopped */

  GMutex load_lock; /* one load at a time */

  /* streaming thread */
  GstVideoInfo info;
  GstQfNetwork *current; /* what planer and found are for */
  GstQfPlaner *planer;
  gboolean planer_idle; /* planes came from upstream, its past is old */
  gboolean asked;       /* upstream has been told that planes are wanted */
  guint64 count;        /* frames since the network last had to start anew */
  GstClockTime last;    /* stream time of the last frame, or NONE */
  GstQfFound found;
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
        GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_QF_FORMATS)));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS,
        GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_QF_FORMATS)));

#define gst_qfuse_detect_parent_class parent_class
G_DEFINE_TYPE (GstQfuseDetect, gst_qfuse_detect, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE (qfusedetect, "qfusedetect",
    GST_RANK_NONE, GST_TYPE_QFUSE_DETECT,
    GST_DEBUG_CATEGORY_INIT (
        qfuse_detect_debug, "qfusedetect", 0, "runs a network on a stream"))

static GstQfNetwork *
ref_network (GstQfuseDetect *self)
{
  GstQfNetwork *network;

  GST_OBJECT_LOCK (self);
  network = self->network ? gst_qf_network_ref (self->network) : NULL;
  GST_OBJECT_UNLOCK (self);
  return network;
}

/* Loads the file that the properties name; NULL with @error. */
static GstQfNetwork *
load_network (GstQfuseDetect *self, GError **error)
{
  g_autofree gchar *path = NULL;
  QfSparseMode sparse;
  guint threads;

  GST_OBJECT_LOCK (self);
  path = g_strdup (self->settings.model_file);
  threads = self->settings.threads;
  sparse = self->settings.sparse;
  GST_OBJECT_UNLOCK (self);

  if (!path || !*path) {
    g_set_error_literal (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "No model is set: set the property model-file to an ONNX file.");
    return NULL;
  }
  return gst_qf_network_new (path, (gint) threads, sparse, error);
}

static void
post_load_error (GstQfuseDetect *self, const GError *error)
{
  if (g_error_matches (error, QF_ERROR, QF_ERROR_ARGUMENT))
    GST_ELEMENT_ERROR (
        self, RESOURCE, SETTINGS, ("%s", error->message), (NULL));
  else if (g_error_matches (error, QF_ERROR, QF_ERROR_FILE))
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_READ, ("%s", error->message),
        ("The property model-file must name a readable ONNX file."));
  else
    GST_ELEMENT_ERROR (self, RESOURCE, READ, ("%s", error->message),
        ("The property model-file must name an ONNX file that qfuse can "
         "run; `qfuse info FILE` tells more."));
}

static gboolean
gst_qfuse_detect_start (GstBaseTransform *trans)
{
  GstQfuseDetect *self = GST_QFUSE_DETECT (trans);
  g_autoptr (GError) error = NULL;
  GstQfNetwork *network;

  g_mutex_lock (&self->load_lock);
  network = load_network (self, &error);
  if (network) {
    GST_OBJECT_LOCK (self);
    self->network = network;
    self->stats = (GstQfDetectStats){ 0 };
    GST_OBJECT_UNLOCK (self);
  }
  g_mutex_unlock (&self->load_lock);

  if (!network) {
    post_load_error (self, error);
    return FALSE;
  }
  self->count = 0;
  self->asked = FALSE;
  self->last = GST_CLOCK_TIME_NONE;
  gst_video_info_init (&self->info);
  return TRUE;
}

static gboolean
gst_qfuse_detect_stop (GstBaseTransform *trans)
{
  GstQfuseDetect *self = GST_QFUSE_DETECT (trans);
  GstQfNetwork *network;

  GST_OBJECT_LOCK (self);
  network = g_steal_pointer (&self->network);
  GST_OBJECT_UNLOCK (self);
  g_clear_pointer (&network, gst_qf_network_unref);
  g_clear_pointer (&self->current, gst_qf_network_unref);
  g_clear_pointer (&self->planer, gst_qf_planer_free);
  gst_qf_found_reset (&self->found);
  return TRUE;
}

/* The action signal: a model that cannot be loaded leaves the old one at work.
 */
static gboolean
gst_qfuse_detect_reload (GstQfuseDetect *self)
{
  g_autoptr (GError) error = NULL;
  GstQfNetwork *network, *old = NULL;
  gboolean started;

  g_mutex_lock (&self->load_lock);
  GST_OBJECT_LOCK (self);
  started = self->network != NULL;
  GST_OBJECT_UNLOCK (self);
  if (!started) {
    g_mutex_unlock (&self->load_lock);
    GST_DEBUG_OBJECT (self, "not started, the model is loaded then");
    return TRUE;
  }
  network = load_network (self, &error);
  if (network) {
    GST_OBJECT_LOCK (self);
    if (self->network) {
      old = self->network;
      self->network = network;
      self->stats.reloads++;
    } else { /* stopped meanwhile */
      old = network;
    }
    GST_OBJECT_UNLOCK (self);
  }
  g_mutex_unlock (&self->load_lock);

  if (!network) {
    GST_ELEMENT_WARNING (self, RESOURCE, READ,
        ("The model is not reloaded, the old one goes on: %s", error->message),
        (NULL));
    return FALSE;
  }
  gst_qf_network_unref (old);
  GST_INFO_OBJECT (self, "model reloaded");
  gst_base_transform_reconfigure_sink (GST_BASE_TRANSFORM (self));
  return TRUE;
}

static gboolean
gst_qfuse_detect_set_caps (GstBaseTransform *trans, GstCaps *in, GstCaps *out)
{
  GstQfuseDetect *self = GST_QFUSE_DETECT (trans);
  GstVideoInfo info;

  if (!gst_qf_in_place_read_caps (trans, in, &info))
    return FALSE;
  if (info.width != self->info.width || info.height != self->info.height)
    self->count = 0; /* nothing can be carried over */
  self->info = info;
  if (self->planer)
    gst_qf_planer_set_info (self->planer, &info);
  return TRUE;
}

static gboolean
gst_qfuse_detect_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstQfuseDetect *self = GST_QFUSE_DETECT (trans);

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_STOP:
    case GST_EVENT_STREAM_START:
    case GST_EVENT_SEGMENT:
      self->count = 0;
      if (self->planer)
        gst_qf_planer_event (self->planer, event);
      break;
    default:
      break;
  }
  return GST_BASE_TRANSFORM_CLASS (parent_class)->sink_event (trans, event);
}

static gboolean
gst_qfuse_detect_query (
    GstBaseTransform *trans, GstPadDirection direction, GstQuery *query)
{
  GstQfuseDetect *self = GST_QFUSE_DETECT (trans);
  g_autoptr (GstQfNetwork) network = NULL;

  if (direction != GST_PAD_SINK || !gst_query_is_qf_planes (query))
    return GST_BASE_TRANSFORM_CLASS (parent_class)
        ->query (trans, direction, query);
  network = ref_network (self);
  return gst_qf_planes_query_answer (query,
      network ? gst_qf_network_want (network) : NULL,
      GST_BASE_TRANSFORM_SRC_PAD (trans));
}

/* Makes the planer for the network that is set now. */
static void
use_network (GstQfuseDetect *self, GstQfNetwork *network)
{
  GstEvent *segment;
  gboolean same;

  if (self->current == network)
    return;
  same = self->current && self->planer &&
      gst_qf_want_equal (
          gst_qf_network_want (self->current), gst_qf_network_want (network));
  g_clear_pointer (&self->current, gst_qf_network_unref);
  self->current = gst_qf_network_ref (network);
  self->count = 0;
  self->asked = FALSE;
  if (same)
    return; /* its past holds for the new weights too */

  g_clear_pointer (&self->planer, gst_qf_planer_free);
  self->planer = gst_qf_planer_new (gst_qf_network_want (network));
  gst_qf_planer_set_info (self->planer, &self->info);
  segment = gst_event_new_segment (&GST_BASE_TRANSFORM (self)->segment);
  gst_qf_planer_event (self->planer, segment);
  gst_event_unref (segment);
  self->planer_idle = FALSE;
}

/* Planes from upstream into the network's input. */
static const QfGeometry *
take_planes (GstQfuseDetect *self, const GstQfPlanesMeta *meta, gboolean run)
{
  self->planer_idle = TRUE;
  if (run)
    memcpy (gst_qf_network_input (self->current),
        g_bytes_get_data (meta->planes, NULL), gst_qf_want_size (&meta->want));
  return &meta->geometry;
}

/* Computes them here, or with @run FALSE only remembers the picture. NULL: the
 * buffer cannot be mapped. */
static const QfGeometry *
compute_planes (GstQfuseDetect *self, GstBuffer *buffer, gboolean run)
{
  GstBaseTransform *trans = GST_BASE_TRANSFORM (self);
  GstVideoFrame frame;

  if (!self->asked) {
    self->asked = TRUE;
    gst_pad_push_event (GST_BASE_TRANSFORM_SINK_PAD (self),
        gst_qf_planes_event_new (gst_qf_network_want (self->current)));
  }
  if (!gst_video_frame_map (&frame, &self->info, buffer, GST_MAP_READ))
    return NULL;
  if (self->planer_idle)
    gst_qf_planer_forget (self->planer);
  self->planer_idle = FALSE;
  gst_qf_planer_push (self->planer, &frame, gst_qf_stream_time (trans, buffer),
      run ? gst_qf_network_input (self->current) : NULL);
  gst_video_frame_unmap (&frame);
  return gst_qf_planer_geometry (self->planer);
}

static void
add_stats (GstQfuseDetect *self, Work work, gboolean upstream,
    gint64 network_time, gint64 frame_time)
{
  guint64 macs = 0, all = 0;
  gdouble time_share = gst_qf_network_time_share (self->current);

  if (work == WORK_RUN)
    gst_qf_network_macs (self->current, &macs, &all);
  GST_OBJECT_LOCK (self);
  self->stats.frames++;
  self->stats.detections += self->found.detections->len;
  self->stats.frame_time += frame_time;
  if (upstream)
    self->stats.upstream_planes++;
  if (work == WORK_REUSED)
    self->stats.reused++;
  if (work == WORK_RUN) {
    self->stats.inferences++;
    self->stats.macs += macs;
    self->stats.all_macs += all;
    self->stats.time_share = time_share;
    self->stats.network_time += network_time;
    self->stats.last_network_time = network_time;
  }
  GST_OBJECT_UNLOCK (self);
}

/* What was found before a hole in the stream (a gate upstream) is not carried
 * over it. Some cameras flag every frame DISCONT: a hole takes time too. */
static void
look_for_hole (GstQfuseDetect *self, GstBuffer *buffer)
{
  GstClockTime now = gst_qf_stream_time (GST_BASE_TRANSFORM (self), buffer);

  if (GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_DISCONT) &&
      GST_CLOCK_TIME_IS_VALID (now) && GST_CLOCK_TIME_IS_VALID (self->last) &&
      (now < self->last || now - self->last > GST_SECOND))
    self->count = 0;
  self->last = now;
}

static GstFlowReturn
gst_qfuse_detect_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstQfuseDetect *self = GST_QFUSE_DETECT (trans);
  g_autoptr (GstQfNetwork) network = NULL;
  const GstQfPlanesMeta *meta;
  const QfGeometry *geometry;
  gint64 start = g_get_monotonic_time (), network_time = 0;
  Work work = WORK_CARRIED;
  GstQfDetectValues set;
  gboolean run;

  GST_OBJECT_LOCK (self);
  set = self->settings.values;
  network = gst_qf_network_ref (self->network);
  GST_OBJECT_UNLOCK (self);
  use_network (self, network);
  look_for_hole (self, buffer);

  run = self->count % set.interval == 0;
  meta = gst_buffer_get_qf_planes_meta (buffer, gst_qf_network_want (network));
  geometry =
      meta ? take_planes (self, meta, run) : compute_planes (self, buffer, run);
  if (!geometry) {
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("A frame cannot be read: its memory does not fit its caps."), (NULL));
    return GST_FLOW_ERROR;
  }
  if (run) {
    gint64 before = g_get_monotonic_time ();

    work = gst_qf_network_run (network, geometry, set.threshold,
               set.iou_threshold, (gint) set.max_detections, &self->found)
        ? WORK_RUN
        : WORK_REUSED;
    network_time = g_get_monotonic_time () - before;
    if (gst_qf_network_trouble (network)) {
      GST_ELEMENT_ERROR (self, STREAM, FAILED,
          ("The network cannot run on this frame: %s.",
              gst_qf_network_trouble (network)),
          (NULL));
      return GST_FLOW_ERROR;
    }
    if (work == WORK_RUN && gst_qf_network_differs (network)) {
      GST_ELEMENT_ERROR (self, STREAM, FAILED,
          ("Node '%s' of the network computed something else where only what "
           "moves was computed than in a whole run.",
              gst_qf_network_differs (network)),
          ("Set sparse=off, and report this with the model."));
      return GST_FLOW_ERROR;
    }
  }
  self->count++;
  self->found.carried = !run;
  self->found.borders = gst_qf_in_place_borders (trans);
  gst_qf_found_attach (buffer, &self->found);
  GST_LOG_OBJECT (
      self, "%u detections, %s", self->found.detections->len, work_names[work]);
  add_stats (
      self, work, meta != NULL, network_time, g_get_monotonic_time () - start);
  return GST_FLOW_OK;
}

static void
gst_qfuse_detect_set_property (
    GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstQfuseDetect *self = GST_QFUSE_DETECT (object);
  gboolean known;

  GST_OBJECT_LOCK (self);
  known = gst_qf_detect_settings_set (&self->settings, id, value);
  GST_OBJECT_UNLOCK (self);
  if (!known)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
gst_qfuse_detect_get_property (
    GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstQfuseDetect *self = GST_QFUSE_DETECT (object);
  gboolean known;

  GST_OBJECT_LOCK (self);
  known = gst_qf_detect_settings_get (&self->settings, &self->stats, id, value);
  GST_OBJECT_UNLOCK (self);
  if (!known)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
gst_qfuse_detect_finalize (GObject *object)
{
  GstQfuseDetect *self = GST_QFUSE_DETECT (object);

  g_clear_pointer (&self->network, gst_qf_network_unref);
  g_clear_pointer (&self->current, gst_qf_network_unref);
  g_clear_pointer (&self->planer, gst_qf_planer_free);
  gst_qf_found_clear (&self->found);
  g_mutex_clear (&self->load_lock);
  g_free (self->settings.model_file);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_qfuse_detect_class_init (GstQfuseDetectClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  GstElementClass *element = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans = GST_BASE_TRANSFORM_CLASS (klass);

  object->set_property = gst_qfuse_detect_set_property;
  object->get_property = gst_qfuse_detect_get_property;
  object->finalize = gst_qfuse_detect_finalize;
  gst_qf_detect_settings_install (object);

  /**
   * GstQfuseDetect::reload:
   *
   * Loads model-file anew, while frames go on. A file that cannot be used is
   * told by a WARNING message, and the old model goes on.
   *
   * Returns: whether a new model is in place
   */
  signals[SIGNAL_RELOAD] = g_signal_new_class_handler ("reload",
      G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION,
      G_CALLBACK (gst_qfuse_detect_reload), NULL, NULL, NULL, G_TYPE_BOOLEAN,
      0);

  gst_element_class_set_static_metadata (element, "Network on video",
      "Filter/Analyzer/Video",
      "Runs an int8 network on pictures and their differences and attaches "
      "detections",
      "The qfuse project");
  gst_element_class_add_static_pad_template (element, &sink_template);
  gst_element_class_add_static_pad_template (element, &src_template);

  gst_qf_in_place_class_init (trans);
  trans->start = gst_qfuse_detect_start;
  trans->stop = gst_qfuse_detect_stop;
  trans->set_caps = gst_qfuse_detect_set_caps;
  trans->sink_event = gst_qfuse_detect_sink_event;
  trans->query = gst_qfuse_detect_query;
  trans->transform_ip = gst_qfuse_detect_transform_ip;
}

static void
gst_qfuse_detect_init (GstQfuseDetect *self)
{
  gst_qf_detect_settings_init (&self->settings);
  g_mutex_init (&self->load_lock);
  gst_qf_found_init (&self->found);
  gst_video_info_init (&self->info);
  gst_qf_in_place_init (GST_BASE_TRANSFORM (self));
}
