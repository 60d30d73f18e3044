/* GStreamer qfuse: framediff makes difference images.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-framediff
 * @title: framediff
 * @see_also: qfusedetect
 *
 * Makes the difference of each frame to earlier ones.
 *
 * With output=image (the default) the frame is replaced by its difference, in
 * its own format: mid grey where nothing changed (mode=signed), or black where
 * nothing changed and brighter the more did (mode=absolute).
 *
 * With output=planes the picture stays untouched. The element asks the network
 * elements downstream (also behind tees and queues) which input planes their
 * models want, computes each set once and attaches it to the frame. It spares
 * work where several networks watch one stream, and is never needed: network
 * elements compute what they do not find. Elements that convert, scale or turn
 * the picture drop the planes; those that paint into it in place do not, so let
 * them stand before this element or behind the networks.
 *
 * With post-messages=true an element message `qfuse-motion` is posted for each
 * frame in which something changed: `share` (double, 0 to 1, of the pixels),
 * `stream-time`, `running-time`, `timestamp` and `duration` in nanoseconds.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! \
 *     framediff mode=absolute threshold=8 gain=2 ! videoconvert ! autovideosink
 * ]| Shows what moves.
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! videoconvert ! \
 *     framediff output=planes ! tee name=t \
 *     t. ! queue ! qfusedetect model-file=a.onnx ! fakesink \
 *     t. ! queue ! qfusedetect model-file=b.onnx ! fakesink
 * ]| Computes difference planes once for two networks.
 */

#include "gstframediff.h"

#include "gstframediff-image.h"
#include "gstframediff-planes.h"
#include "gstqfinplace.h"

GST_DEBUG_CATEGORY_STATIC (frame_diff_debug);
#define GST_CAT_DEFAULT frame_diff_debug

typedef enum
{
  OUTPUT_IMAGE,
  OUTPUT_PLANES
} Output;

typedef enum
{
  MODE_SIGNED,
  MODE_ABSOLUTE
} Mode;

typedef enum
{
  REFERENCE_PREVIOUS,
  REFERENCE_MEAN
} Reference;

#define DEFAULT_OUTPUT OUTPUT_IMAGE
#define DEFAULT_MODE MODE_SIGNED
#define DEFAULT_REFERENCE REFERENCE_PREVIOUS
#define DEFAULT_DISTANCE 1
#define DEFAULT_THRESHOLD 0
#define DEFAULT_GAIN 1
#define DEFAULT_POST_MESSAGES FALSE

enum
{
  PROP_0,
  PROP_OUTPUT,
  PROP_MODE,
  PROP_REFERENCE,
  PROP_DISTANCE,
  PROP_THRESHOLD,
  PROP_GAIN,
  PROP_POST_MESSAGES
};

typedef struct
{
  Output output;
  Mode mode;
  Reference reference;
  guint distance, threshold, gain;
  gboolean post_messages;
} Settings;

struct _GstFrameDiff
{
  GstBaseTransform parent;

  Settings settings; /* under the object lock */
  gint ask; /* atomic: downstream must be asked before the next frame */

  /* streaming thread */
  GstVideoInfo info;
  GstQfContinuity continuity;
  Output last_output;
  GstFrameDiffImage *image;
  GstFrameDiffPlanes *planes;
};

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
        GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_QF_FORMATS)));
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS,
        GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_QF_FORMATS)));

#define gst_frame_diff_parent_class parent_class
G_DEFINE_TYPE (GstFrameDiff, gst_frame_diff, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE (framediff, "framediff", GST_RANK_NONE,
    GST_TYPE_FRAME_DIFF,
    GST_DEBUG_CATEGORY_INIT (
        frame_diff_debug, "framediff", 0, "difference images"))

#define TYPE_OUTPUT (gst_frame_diff_output_get_type ())
static GType
gst_frame_diff_output_get_type (void)
{
  static const GEnumValue values[] = {
    { OUTPUT_IMAGE, "The frame is replaced by its difference", "image" },
    { OUTPUT_PLANES, "The frame stays, planes are attached for networks",
        "planes" },
    { 0, NULL, NULL }
  };
  static GType type;

  if (g_once_init_enter (&type))
    g_once_init_leave (
        &type, g_enum_register_static ("GstFrameDiffOutput", values));
  return type;
}

#define TYPE_MODE (gst_frame_diff_mode_get_type ())
static GType
gst_frame_diff_mode_get_type (void)
{
  static const GEnumValue values[] = {
    { MODE_SIGNED, "Mid grey: no change; darker and brighter show which way",
        "signed" },
    { MODE_ABSOLUTE, "Black: no change; the brighter the more", "absolute" },
    { 0, NULL, NULL }
  };
  static GType type;

  if (g_once_init_enter (&type))
    g_once_init_leave (
        &type, g_enum_register_static ("GstFrameDiffMode", values));
  return type;
}

#define TYPE_REFERENCE (gst_frame_diff_reference_get_type ())
static GType
gst_frame_diff_reference_get_type (void)
{
  static const GEnumValue values[] = {
    { REFERENCE_PREVIOUS, "The frame that lies distance frames back",
        "previous" },
    { REFERENCE_MEAN, "The mean of the last distance frames", "mean" },
    { 0, NULL, NULL }
  };
  static GType type;

  if (g_once_init_enter (&type))
    g_once_init_leave (
        &type, g_enum_register_static ("GstFrameDiffReference", values));
  return type;
}

static gboolean
gst_frame_diff_start (GstBaseTransform *trans)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);

  self->image = gst_frame_diff_image_new ();
  self->planes = gst_frame_diff_planes_new ();
  self->continuity = (GstQfContinuity){ 0 };
  gst_video_info_init (&self->info);
  g_atomic_int_set (&self->ask, TRUE);
  GST_OBJECT_LOCK (self);
  self->last_output = self->settings.output;
  GST_OBJECT_UNLOCK (self);
  return TRUE;
}

static gboolean
gst_frame_diff_stop (GstBaseTransform *trans)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);

  g_clear_pointer (&self->image, gst_frame_diff_image_free);
  g_clear_pointer (&self->planes, gst_frame_diff_planes_free);
  return TRUE;
}

static void
ask_downstream (GstFrameDiff *self)
{
  guint n;

  g_atomic_int_set (&self->ask, FALSE);
  n = gst_frame_diff_planes_ask (self->planes,
      GST_BASE_TRANSFORM_SRC_PAD (self), &self->info,
      &GST_BASE_TRANSFORM (self)->segment);
  GST_DEBUG_OBJECT (self, "downstream wants %u sets of planes", n);
}

static Output
get_output (GstFrameDiff *self)
{
  Output output;

  GST_OBJECT_LOCK (self);
  output = self->settings.output;
  GST_OBJECT_UNLOCK (self);
  return output;
}

static gboolean
gst_frame_diff_set_caps (GstBaseTransform *trans, GstCaps *in, GstCaps *out)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);
  GstVideoInfo info;

  if (!gst_video_info_from_caps (&info, in)) {
    GST_ERROR_OBJECT (self, "unusable caps %" GST_PTR_FORMAT, in);
    return FALSE;
  }
  if (info.width > 32767 || info.height > 32767) {
    GST_ERROR_OBJECT (self, "pictures over 32767 pixels are not supported");
    return FALSE;
  }
  if (!gst_qf_info_same_pixels (&info, &self->info))
    gst_frame_diff_image_forget (self->image);
  self->info = info;
  gst_frame_diff_planes_set_info (self->planes, &info);
  if (get_output (self) == OUTPUT_PLANES)
    ask_downstream (self);
  return TRUE;
}

static gboolean
gst_frame_diff_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);

  if (self->planes && gst_qf_continuity_event (&self->continuity, event))
    gst_frame_diff_image_forget (self->image);
  if (self->planes)
    gst_frame_diff_planes_event (self->planes, event);
  return GST_BASE_TRANSFORM_CLASS (parent_class)->sink_event (trans, event);
}

static gboolean
gst_frame_diff_src_event (GstBaseTransform *trans, GstEvent *event)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);

  if (GST_EVENT_TYPE (event) == GST_EVENT_RECONFIGURE ||
      gst_event_is_qf_planes (event))
    g_atomic_int_set (&self->ask, TRUE);
  return GST_BASE_TRANSFORM_CLASS (parent_class)->src_event (trans, event);
}

static gboolean
gst_frame_diff_query (
    GstBaseTransform *trans, GstPadDirection direction, GstQuery *query)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);

  /* networks behind a difference image want planes of that image */
  if (direction == GST_PAD_SINK && gst_query_is_qf_planes (query) &&
      get_output (self) == OUTPUT_IMAGE)
    return FALSE;
  return GST_BASE_TRANSFORM_CLASS (parent_class)
      ->query (trans, direction, query);
}

static void
post_motion (GstFrameDiff *self, GstBuffer *buffer, gdouble share)
{
  GstSegment *segment = &GST_BASE_TRANSFORM (self)->segment;
  GstClockTime time = GST_BUFFER_PTS (buffer);
  GstClockTime running = GST_CLOCK_TIME_NONE;

  if (segment->format == GST_FORMAT_TIME && GST_CLOCK_TIME_IS_VALID (time))
    running = gst_segment_to_running_time (segment, GST_FORMAT_TIME, time);
  gst_element_post_message (GST_ELEMENT (self),
      gst_message_new_element (GST_OBJECT (self),
          gst_structure_new ("qfuse-motion", "share", G_TYPE_DOUBLE, share,
              "stream-time", GST_TYPE_CLOCK_TIME,
              gst_qf_stream_time (GST_BASE_TRANSFORM (self), buffer),
              "running-time", GST_TYPE_CLOCK_TIME, running, "timestamp",
              GST_TYPE_CLOCK_TIME, time, "duration", GST_TYPE_CLOCK_TIME,
              GST_BUFFER_DURATION (buffer), NULL)));
}

static gdouble
make_image (GstFrameDiff *self, GstVideoFrame *frame, GstClockTime time,
    const Settings *set)
{
  QfImageDiffOptions options = { .absolute = set->mode == MODE_ABSOLUTE,
    .mean = set->reference == REFERENCE_MEAN,
    .distance = (gint) set->distance,
    .threshold = (gint) set->threshold,
    .gain = (gint) set->gain };

  return gst_frame_diff_image_apply (self->image, frame, time, &options);
}

static GstFlowReturn
gst_frame_diff_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);
  GstClockTime time = gst_qf_stream_time (trans, buffer);
  GstVideoFrame frame;
  gdouble share;
  Settings set;

  GST_OBJECT_LOCK (self);
  set = self->settings;
  GST_OBJECT_UNLOCK (self);

  if (set.output != self->last_output) { /* the other's past is old */
    gst_frame_diff_image_forget (self->image);
    gst_frame_diff_planes_forget (self->planes);
    g_atomic_int_set (&self->ask, TRUE);
    self->last_output = set.output;
  }
  if (set.output == OUTPUT_PLANES && g_atomic_int_get (&self->ask))
    ask_downstream (self);

  if (gst_qf_continuity_frame (&self->continuity, buffer, time))
    gst_frame_diff_image_forget (self->image);
  gst_buffer_remove_qf_planes_metas (buffer);
  /* no reference: metas are attached while the frame is mapped */
  if (!gst_video_frame_map (&frame, &self->info, buffer,
          GST_VIDEO_FRAME_MAP_FLAG_NO_REF |
              (set.output == OUTPUT_IMAGE ? GST_MAP_READWRITE
                                          : GST_MAP_READ))) {
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("A frame cannot be read: its memory does not fit its caps."), (NULL));
    return GST_FLOW_ERROR;
  }
  share = set.output == OUTPUT_IMAGE
      ? make_image (self, &frame, time, &set)
      : gst_frame_diff_planes_attach (self->planes, &frame, time);
  gst_video_frame_unmap (&frame);

  if (set.post_messages && share > 0)
    post_motion (self, buffer, share);
  return GST_FLOW_OK;
}

static void
gst_frame_diff_set_property (
    GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstFrameDiff *self = GST_FRAME_DIFF (object);
  Settings *set = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_OUTPUT:
      set->output = g_value_get_enum (value);
      break;
    case PROP_MODE:
      set->mode = g_value_get_enum (value);
      break;
    case PROP_REFERENCE:
      set->reference = g_value_get_enum (value);
      break;
    case PROP_DISTANCE:
      set->distance = g_value_get_uint (value);
      break;
    case PROP_THRESHOLD:
      set->threshold = g_value_get_uint (value);
      break;
    case PROP_GAIN:
      set->gain = g_value_get_uint (value);
      break;
    case PROP_POST_MESSAGES:
      set->post_messages = g_value_get_boolean (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_frame_diff_get_property (
    GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstFrameDiff *self = GST_FRAME_DIFF (object);
  const Settings *set = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_OUTPUT:
      g_value_set_enum (value, set->output);
      break;
    case PROP_MODE:
      g_value_set_enum (value, set->mode);
      break;
    case PROP_REFERENCE:
      g_value_set_enum (value, set->reference);
      break;
    case PROP_DISTANCE:
      g_value_set_uint (value, set->distance);
      break;
    case PROP_THRESHOLD:
      g_value_set_uint (value, set->threshold);
      break;
    case PROP_GAIN:
      g_value_set_uint (value, set->gain);
      break;
    case PROP_POST_MESSAGES:
      g_value_set_boolean (value, set->post_messages);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_frame_diff_finalize (GObject *object)
{
  GstFrameDiff *self = GST_FRAME_DIFF (object);

  g_clear_pointer (&self->image, gst_frame_diff_image_free);
  g_clear_pointer (&self->planes, gst_frame_diff_planes_free);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
install_properties (GObjectClass *object)
{
  const GParamFlags playing =
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING;
  const GParamFlags controlled = playing | GST_PARAM_CONTROLLABLE;

  g_object_class_install_property (object, PROP_OUTPUT,
      g_param_spec_enum ("output", "Output",
          "What becomes of the difference: the picture itself, or planes "
          "attached for networks downstream",
          TYPE_OUTPUT, DEFAULT_OUTPUT, playing));
  g_object_class_install_property (object, PROP_MODE,
      g_param_spec_enum ("mode", "Mode", "How an image shows the difference",
          TYPE_MODE, DEFAULT_MODE, controlled));
  g_object_class_install_property (object, PROP_REFERENCE,
      g_param_spec_enum ("reference", "Reference",
          "What an image is the difference to", TYPE_REFERENCE,
          DEFAULT_REFERENCE, controlled));
  g_object_class_install_property (object, PROP_DISTANCE,
      g_param_spec_uint ("distance", "Distance",
          "Frames between a frame and its reference, or in the mean; 1 to 250",
          1, QF_MAX_DISTANCE, DEFAULT_DISTANCE, controlled));
  g_object_class_install_property (object, PROP_THRESHOLD,
      g_param_spec_uint ("threshold", "Threshold",
          "Dead band: differences of luma up to this, 0 to 255, count as none; "
          "above 0 single moving pixels are noise too",
          0, 255, DEFAULT_THRESHOLD, controlled));
  g_object_class_install_property (object, PROP_GAIN,
      g_param_spec_uint ("gain", "Gain",
          "Factor of the difference in an image, 1 to 255; signed images show "
          "half the difference times this",
          1, 255, DEFAULT_GAIN, controlled));
  g_object_class_install_property (object, PROP_POST_MESSAGES,
      g_param_spec_boolean ("post-messages", "Post messages",
          "Post an element message qfuse-motion, with the share of changed "
          "pixels, for each frame in which something changed",
          DEFAULT_POST_MESSAGES, controlled));
}

static void
gst_frame_diff_class_init (GstFrameDiffClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  GstElementClass *element = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans = GST_BASE_TRANSFORM_CLASS (klass);

  object->set_property = gst_frame_diff_set_property;
  object->get_property = gst_frame_diff_get_property;
  object->finalize = gst_frame_diff_finalize;
  install_properties (object);
  gst_type_mark_as_plugin_api (TYPE_OUTPUT, 0);
  gst_type_mark_as_plugin_api (TYPE_MODE, 0);
  gst_type_mark_as_plugin_api (TYPE_REFERENCE, 0);

  gst_element_class_set_static_metadata (element, "Frame difference",
      "Filter/Effect/Analyzer/Video",
      "Makes difference images, or difference planes for networks",
      "The qfuse project");
  gst_element_class_add_static_pad_template (element, &sink_template);
  gst_element_class_add_static_pad_template (element, &src_template);

  gst_qf_in_place_class_init (trans);
  trans->start = gst_frame_diff_start;
  trans->stop = gst_frame_diff_stop;
  trans->set_caps = gst_frame_diff_set_caps;
  trans->sink_event = gst_frame_diff_sink_event;
  trans->src_event = gst_frame_diff_src_event;
  trans->query = gst_frame_diff_query;
  trans->transform_ip = gst_frame_diff_transform_ip;
}

static void
gst_frame_diff_init (GstFrameDiff *self)
{
  self->settings = (Settings){ .output = DEFAULT_OUTPUT,
    .mode = DEFAULT_MODE,
    .reference = DEFAULT_REFERENCE,
    .distance = DEFAULT_DISTANCE,
    .threshold = DEFAULT_THRESHOLD,
    .gain = DEFAULT_GAIN,
    .post_messages = DEFAULT_POST_MESSAGES };
  gst_video_info_init (&self->info);
  gst_qf_in_place_init (GST_BASE_TRANSFORM (self));
}
