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
#include "gstframediff-settings.h"
#include "gstqfinplace.h"

GST_DEBUG_CATEGORY_STATIC (frame_diff_debug);
#define GST_CAT_DEFAULT frame_diff_debug

struct _GstFrameDiff
{
  GstBaseTransform parent;

  GstFrameDiffSettings settings; /* under the object lock */
  gint ask; /* atomic: downstream must be asked before the next frame */

  /* streaming thread */
  GstVideoInfo info;
  GstQfContinuity continuity;
  GstFrameDiffOutput last_output;
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
  self->last_output = self->settings.values.output;
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

static GstFrameDiffOutput
get_output (GstFrameDiff *self)
{
  GstFrameDiffOutput output;

  GST_OBJECT_LOCK (self);
  output = self->settings.values.output;
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
  if (get_output (self) == GST_FRAME_DIFF_OUTPUT_PLANES)
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
      get_output (self) == GST_FRAME_DIFF_OUTPUT_IMAGE)
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
    const GstFrameDiffValues *set)
{
  QfImageDiffOptions options = { .absolute =
                                     set->mode == GST_FRAME_DIFF_MODE_ABSOLUTE,
    .mean = set->reference == GST_FRAME_DIFF_REFERENCE_MEAN,
    .distance = (gint) MIN (set->distance, QF_MAX_DISTANCE),
    .threshold = MAX (set->threshold, 0),
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
  GstFrameDiffValues set;

  GST_OBJECT_LOCK (self);
  set = self->settings.values;
  GST_OBJECT_UNLOCK (self);

  if (set.output != self->last_output) { /* the other's past is old */
    gst_frame_diff_image_forget (self->image);
    gst_frame_diff_planes_forget (self->planes);
    g_atomic_int_set (&self->ask, TRUE);
    self->last_output = set.output;
  }
  if (set.output == GST_FRAME_DIFF_OUTPUT_PLANES &&
      g_atomic_int_get (&self->ask))
    ask_downstream (self);

  if (gst_qf_continuity_frame (&self->continuity, buffer, time))
    gst_frame_diff_image_forget (self->image);
  gst_buffer_remove_qf_planes_metas (buffer);
  /* no reference: metas are attached while the frame is mapped */
  if (!gst_video_frame_map (&frame, &self->info, buffer,
          GST_VIDEO_FRAME_MAP_FLAG_NO_REF |
              (set.output == GST_FRAME_DIFF_OUTPUT_IMAGE ? GST_MAP_READWRITE
                                                         : GST_MAP_READ))) {
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("A frame cannot be read: its memory does not fit its caps."), (NULL));
    return GST_FLOW_ERROR;
  }
  share = set.output == GST_FRAME_DIFF_OUTPUT_IMAGE
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
  gboolean known;

  GST_OBJECT_LOCK (self);
  known = gst_frame_diff_settings_set (&self->settings, id, value);
  GST_OBJECT_UNLOCK (self);
  if (!known)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
gst_frame_diff_get_property (
    GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstFrameDiff *self = GST_FRAME_DIFF (object);
  gboolean known;

  GST_OBJECT_LOCK (self);
  known = gst_frame_diff_settings_get (&self->settings, id, value);
  GST_OBJECT_UNLOCK (self);
  if (!known)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
gst_frame_diff_finalize (GObject *object)
{
  GstFrameDiff *self = GST_FRAME_DIFF (object);

  g_clear_pointer (&self->image, gst_frame_diff_image_free);
  g_clear_pointer (&self->planes, gst_frame_diff_planes_free);
  gst_frame_diff_settings_clear (&self->settings);
  G_OBJECT_CLASS (parent_class)->finalize (object);
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
  gst_frame_diff_settings_install (object);

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
  gst_frame_diff_settings_init (&self->settings);
  gst_video_info_init (&self->info);
  gst_qf_in_place_init (GST_BASE_TRANSFORM (self));
}
