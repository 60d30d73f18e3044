/* GStreamer qfuse: what qfusedetect is asked for, and what it counts.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#include "gstqfdetectsettings.h"

#define DEFAULT_THRESHOLD -1
#define DEFAULT_IOU_THRESHOLD -1
#define DEFAULT_MAX_DETECTIONS 100
#define DEFAULT_INTERVAL 1
#define DEFAULT_THREADS 0
#define DEFAULT_SPARSE QF_SPARSE_AUTO

enum
{
  PROP_0,
  PROP_MODEL_FILE,
  PROP_THRESHOLD,
  PROP_IOU_THRESHOLD,
  PROP_MAX_DETECTIONS,
  PROP_INTERVAL,
  PROP_THREADS,
  PROP_SPARSE,
  PROP_STATS
};

#define GST_TYPE_QFUSE_SPARSE (gst_qfuse_sparse_get_type ())

static GType
gst_qfuse_sparse_get_type (void)
{
  static gsize type;
  static const GEnumValue values[] = {
    { QF_SPARSE_OFF, "Everything is computed", "off" },
    { QF_SPARSE_AUTO, "Only where something moves, if the model allows",
        "auto" },
    { QF_SPARSE_VERIFY, "As auto, and everything: an error if a byte differs",
        "verify" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (
        &type, g_enum_register_static ("GstQfuseSparse", values));
  return (GType) type;
}

void
gst_qf_detect_settings_init (GstQfDetectSettings *s)
{
  *s = (GstQfDetectSettings){
    .threads = DEFAULT_THREADS,
    .sparse = DEFAULT_SPARSE,
    .values = { .threshold = DEFAULT_THRESHOLD,
        .iou_threshold = DEFAULT_IOU_THRESHOLD,
        .max_detections = DEFAULT_MAX_DETECTIONS,
        .interval = DEFAULT_INTERVAL },
  };
}

static GstStructure *
make_stats (const GstQfDetectStats *s)
{
  GstStructure *stats = gst_structure_new ("qfusedetect-stats", "frames",
      G_TYPE_UINT64, s->frames, "inferences", G_TYPE_UINT64, s->inferences,
      "reused", G_TYPE_UINT64, s->reused, "detections", G_TYPE_UINT64,
      s->detections, "upstream-planes", G_TYPE_UINT64, s->upstream_planes,
      "reloads", G_TYPE_UINT64, s->reloads, "average-network-time",
      G_TYPE_UINT64,
      (guint64) (s->inferences ? s->network_time * 1000 / (gint64) s->inferences
                               : 0),
      "last-network-time", G_TYPE_UINT64, (guint64) s->last_network_time * 1000,
      "average-frame-time", G_TYPE_UINT64,
      (guint64) (s->frames ? s->frame_time * 1000 / (gint64) s->frames : 0),
      "computed", G_TYPE_DOUBLE,
      s->all_macs ? (gdouble) s->macs / (gdouble) s->all_macs : 1, "isa",
      G_TYPE_STRING, qf_engine_isa (), NULL);

  if (s->inferences > 0 && s->time_share >= 0)
    gst_structure_set (stats, "time-share", G_TYPE_DOUBLE, s->time_share, NULL);
  return stats;
}

gboolean
gst_qf_detect_settings_set (
    GstQfDetectSettings *s, guint id, const GValue *value)
{
  switch (id) {
    case PROP_MODEL_FILE:
      g_free (s->model_file);
      s->model_file = g_value_dup_string (value);
      break;
    case PROP_THRESHOLD:
      s->values.threshold = g_value_get_float (value);
      break;
    case PROP_IOU_THRESHOLD:
      s->values.iou_threshold = g_value_get_float (value);
      break;
    case PROP_MAX_DETECTIONS:
      s->values.max_detections = g_value_get_uint (value);
      break;
    case PROP_INTERVAL:
      s->values.interval = g_value_get_uint (value);
      break;
    case PROP_THREADS:
      s->threads = g_value_get_uint (value);
      break;
    case PROP_SPARSE:
      s->sparse = (QfSparseMode) g_value_get_enum (value);
      break;
    default:
      return FALSE;
  }
  return TRUE;
}

gboolean
gst_qf_detect_settings_get (const GstQfDetectSettings *s,
    const GstQfDetectStats *stats, guint id, GValue *value)
{
  switch (id) {
    case PROP_MODEL_FILE:
      g_value_set_string (value, s->model_file);
      break;
    case PROP_THRESHOLD:
      g_value_set_float (value, s->values.threshold);
      break;
    case PROP_IOU_THRESHOLD:
      g_value_set_float (value, s->values.iou_threshold);
      break;
    case PROP_MAX_DETECTIONS:
      g_value_set_uint (value, s->values.max_detections);
      break;
    case PROP_INTERVAL:
      g_value_set_uint (value, s->values.interval);
      break;
    case PROP_THREADS:
      g_value_set_uint (value, s->threads);
      break;
    case PROP_SPARSE:
      g_value_set_enum (value, (gint) s->sparse);
      break;
    case PROP_STATS:
      g_value_take_boxed (value, make_stats (stats));
      break;
    default:
      return FALSE;
  }
  return TRUE;
}

void
gst_qf_detect_settings_install (GObjectClass *object)
{
  const GParamFlags ready =
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
  const GParamFlags playing =
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;
  const GParamFlags controlled = playing | GST_PARAM_CONTROLLABLE;

  g_object_class_install_property (object, PROP_MODEL_FILE,
      g_param_spec_string ("model-file", "Model file",
          "ONNX file of the network; while playing a new one is loaded by the "
          "action signal reload",
          NULL, playing));
  g_object_class_install_property (object, PROP_THRESHOLD,
      g_param_spec_float ("threshold", "Threshold",
          "Lowest score of a detection, 0 to 1; -1: what the model says", -1, 1,
          DEFAULT_THRESHOLD, controlled));
  g_object_class_install_property (object, PROP_IOU_THRESHOLD,
      g_param_spec_float ("iou-threshold", "IoU threshold",
          "Of two boxes of a class that overlap by more than this "
          "(intersection "
          "over union, 0 to 1) the weaker goes; -1: what the model says",
          -1, 1, DEFAULT_IOU_THRESHOLD, controlled));
  g_object_class_install_property (object, PROP_MAX_DETECTIONS,
      g_param_spec_uint ("max-detections", "Maximum detections",
          "Most detections of a frame, the best are kept; 0: no limit", 0,
          G_MAXINT, DEFAULT_MAX_DETECTIONS, controlled));
  g_object_class_install_property (object, PROP_INTERVAL,
      g_param_spec_uint ("interval", "Interval",
          "Run the network on every n-th frame; the frames between carry the "
          "last detections over",
          1, G_MAXINT, DEFAULT_INTERVAL, controlled));
  g_object_class_install_property (object, PROP_THREADS,
      g_param_spec_uint ("threads", "Threads",
          "Threads that run the network; 0: as many as the process may use. "
          "Takes effect when a model is loaded",
          0, 1024, DEFAULT_THREADS, ready));
  g_object_class_install_property (object, PROP_SPARSE,
      g_param_spec_enum ("sparse", "Sparse",
          "Compute only where something moves; for networks whose planes are "
          "all differences with a dead band, with the same result. Takes "
          "effect "
          "when a model is loaded",
          GST_TYPE_QFUSE_SPARSE, DEFAULT_SPARSE, ready));
  g_object_class_install_property (object, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "Since the start: frames, inferences, reused (frames on which the "
          "network would have seen exactly what it saw in its last run, and "
          "did not run), detections, upstream-planes (frames whose planes came "
          "from framediff), reloads; times in nanoseconds; computed (the share "
          "of the network's multiply-accumulates that its runs needed, see "
          "sparse); with sparse=verify time-share (of their time against whole "
          "runs); the instruction set of the kernels",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  gst_type_mark_as_plugin_api (GST_TYPE_QFUSE_SPARSE, 0);
}
