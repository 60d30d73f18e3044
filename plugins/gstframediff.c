/* GStreamer qfuse: framediff makes difference images.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-framediff
 * @title: framediff
 * @see_also: qfusedetect, qfuseoverlay, qfusewrite
 *
 * Makes the difference of each frame to earlier ones, and finds what moves.
 *
 * With output=image (the default) the frame is replaced by its difference, in
 * its own format: mid grey where nothing changed (mode=signed), or black where
 * nothing changed and brighter the more did (mode=absolute). mode=highlight is
 * for people: the frame dimmed, what moves painted over it. The reference is
 * the frame `distance` back (frames, or milliseconds with distance-unit=time),
 * the mean of those up to there, or a background: a running average which what
 * stands still becomes part of. `threshold` is a dead band, noise-adaptive=true
 * makes it follow the sensor's noise.
 *
 * With output=planes the picture stays untouched. The element asks the network
 * elements downstream (also behind tees and queues) which input planes their
 * models want, computes each set once and attaches it to the frame. It spares
 * work where several networks watch one stream, and is never needed: network
 * elements compute what they do not find. Elements that convert, scale or turn
 * the picture drop the planes; those that paint into it in place do not, so let
 * them stand before this element or behind the networks.
 *
 * ## Motion
 *
 * Motion is found where one of `post-messages`, `attach-regions`, `drop-still`,
 * `find-motion` or mode=highlight asks for it, with either output; use
 * output=planes where the picture is to stay as it is. Changes of light and
 * shadows are no motion, nor is anything inside the polygons of `ignore`. By
 * default frames are compared with a background, and the dead band follows the
 * noise. A QfuseMotionMeta (qfuse/gstqfmotionmeta.h) on each frame tells the
 * share of moving pixels, whether motion goes on, and the boxes of what moves.
 * It is copied and scaled with the frame, and lost where pixels move
 * unreported. A difference image without motion analysis carries it too, with
 * the share of changed pixels only.
 *
 * post-messages=true posts an element message `qfuse-motion` where motion
 * starts, once it has lasted for `start-time`, and where it stops, once nothing
 * has moved for `stop-time`:
 *
 * * `state`: string, "start" or "stop"
 * * `share`: double, 0 to 1, of moving pixels in the frame at hand
 * * `regions`: GST_TYPE_LIST of structures `region` with the ints `x`, `y`,
 *   `w`, `h` (pixels) and `area` (moving pixels), largest first
 * * `stream-time`, `running-time`, `timestamp`, `duration`: of the frame at
 *   hand, in nanoseconds
 *
 * Each start is followed by a stop (unless nobody asks for messages any more):
 * where motion goes on at the end of the
 * stream, where the past is forgotten (a flush, a new stream, other caps, a
 * jump in time), or where the analysis or the element ends, the stop comes with
 * the times of the last frame.
 *
 * attach-regions=true attaches what moves as GstVideoRegionOfInterestMeta of
 * type `motion`; qfuseoverlay draws and qfusewrite writes them.
 *
 * drop-still=true passes only frames in which something moves while motion goes
 * on, and those up to `post-roll` seconds later. With `pre-roll` the frames of
 * so many seconds before pass too: they are copied, at most `max-bytes` of
 * them, and pre-roll is latency; where a tee feeds other branches, their queues
 * must hold as much. Frames keep their timestamps; the first after
 * dropped ones has the DISCONT flag. GAP events, about one a second, tell
 * downstream that time goes on. A container with timestamps (Matroska, Ogg,
 * MP4) shows the gaps, AVI plays without them.
 *
 * Frames flagged GAP repeat the last picture, whatever they hold: difference
 * images show no change (that to a background stays). A frame that repeats one
 * with motion (flagged GAP, or the same bytes) shows the same motion for up to
 * a second: a source that repeats pictures neither ends nor hides motion, one
 * that hangs does.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! \
 *     framediff mode=absolute threshold=8 gain=2 ! videoconvert ! autovideosink
 * ]| Shows what changes.
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! \
 *     framediff mode=highlight ! videoconvert ! autovideosink
 * ]| Shows what moves.
 * |[
 * gst-launch-1.0 -m v4l2src ! videoconvert ! \
 *     framediff output=planes post-messages=true ! fakesink
 * ]| Tells when something moves before a camera.
 * |[
 * gst-launch-1.0 -e v4l2src ! videoconvert ! \
 *     framediff output=planes drop-still=true pre-roll=2 post-roll=3 ! \
 *     jpegenc ! matroskamux ! filesink location=motion.mkv
 * ]| Records only what happens, from two seconds before to three after.
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! videoconvert ! \
 *     framediff output=planes attach-regions=true \
 *     ignore="0,0 1,0 1,0.1 0,0.1" ! qfuseoverlay ! \
 *     qfusewrite location=moving.jsonl ! videoconvert ! autovideosink
 * ]| Draws and writes what moves below the uppermost tenth, without a network.
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! videoconvert ! \
 *     framediff output=planes ! tee name=t \
 *     t. ! queue ! qfusedetect model-file=a.onnx ! fakesink \
 *     t. ! queue ! qfusedetect model-file=b.onnx ! fakesink
 * ]| Computes difference planes once for two networks.
 */

#include "gstframediff.h"

#include "gstframediff-gate.h"
#include "gstframediff-image.h"
#include "gstframediff-motion.h"
#include "gstframediff-picture.h"
#include "gstframediff-planes.h"
#include "gstframediff-settings.h"
#include "gstqfinplace.h"

GST_DEBUG_CATEGORY_STATIC (frame_diff_debug);
#define GST_CAT_DEFAULT frame_diff_debug

/* Each has a past of its own. */
typedef enum
{
  WAY_PLANES,
  WAY_HIGHLIGHT, /* has none: the motion analysis has */
  WAY_PICTURE,
  WAY_IMAGE
} Way;

struct _GstFrameDiff
{
  GstBaseTransform parent;

  GstFrameDiffSettings settings; /* under the object lock */
  gint ask;    /* atomic: downstream must be asked before the next frame */
  gint warned; /* atomic: of a difference of the difference */

  /* streaming thread */
  GstVideoInfo info;
  GstQfContinuity continuity;
  Way last_way;
  GstFrameDiffImage *image;
  GstFrameDiffPicture *picture;
  GstFrameDiffPlanes *planes;
  GstFrameDiffMotion *motion;
  GstFrameDiffGate *gate;
  GstFrameDiffValues values; /* of the frame at hand */
  gboolean find, gating;     /* motion was analysed, still frames dropped */
  gboolean has_past;         /* of plain difference images */
  guint ignore_serial;       /* of the polygons in use */
  gboolean warned_distance;
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

static Way
way_of (const GstFrameDiffValues *v)
{
  if (v->output == GST_FRAME_DIFF_OUTPUT_PLANES)
    return WAY_PLANES;
  if (v->mode == GST_FRAME_DIFF_MODE_HIGHLIGHT)
    return WAY_HIGHLIGHT;
  return gst_frame_diff_picture_wanted (v) ? WAY_PICTURE : WAY_IMAGE;
}

static void
free_parts (GstFrameDiff *self)
{
  g_clear_pointer (&self->image, gst_frame_diff_image_free);
  g_clear_pointer (&self->picture, gst_frame_diff_picture_free);
  g_clear_pointer (&self->planes, gst_frame_diff_planes_free);
  g_clear_pointer (&self->motion, gst_frame_diff_motion_free);
  g_clear_pointer (&self->gate, gst_frame_diff_gate_free);
}

/* Takes new polygons over. FALSE: they cannot be read, @error says why. */
static gboolean
take_ignore (GstFrameDiff *self, guint serial, GError **error)
{
  QfPolygons *polygons = NULL;

  self->ignore_serial = serial;
  GST_OBJECT_LOCK (self);
  if (self->settings.ignore_error)
    *error = g_error_copy (self->settings.ignore_error);
  else if (self->settings.polygons)
    polygons = qf_polygons_copy (self->settings.polygons);
  GST_OBJECT_UNLOCK (self);
  if (!*error)
    gst_frame_diff_motion_set_ignore (self->motion, polygons);
  qf_polygons_free (polygons);
  return !*error;
}

static gboolean
gst_frame_diff_start (GstBaseTransform *trans)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);
  GstFrameDiffValues values;
  GError *error = NULL;

  free_parts (self);
  self->image = gst_frame_diff_image_new ();
  self->picture = gst_frame_diff_picture_new ();
  self->planes = gst_frame_diff_planes_new ();
  self->motion = gst_frame_diff_motion_new (trans);
  self->gate = gst_frame_diff_gate_new (
      GST_ELEMENT (self), GST_BASE_TRANSFORM_SRC_PAD (self));
  self->find = self->gating = self->has_past = FALSE;
  self->warned_distance = FALSE;
  self->continuity = (GstQfContinuity){ 0 };
  gst_video_info_init (&self->info);
  g_atomic_int_set (&self->ask, TRUE);
  g_atomic_int_set (&self->warned, FALSE);
  GST_OBJECT_LOCK (self);
  values = self->settings.values;
  GST_OBJECT_UNLOCK (self);
  self->last_way = way_of (&values);
  if (!take_ignore (self, values.ignore_serial, &error)) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
        ("The property ignore cannot be read: %s", error->message), (NULL));
    g_error_free (error);
    return FALSE;
  }
  return TRUE;
}

static gboolean
gst_frame_diff_stop (GstBaseTransform *trans)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);

  if (self->motion)
    gst_frame_diff_motion_end (self->motion);
  free_parts (self);
  return TRUE;
}

static void
forget_pictures (GstFrameDiff *self)
{
  self->has_past = FALSE;
  gst_frame_diff_image_forget (self->image);
  gst_frame_diff_picture_forget (self->picture);
}

/* All but the planes, which see to themselves. */
static void
forget (GstFrameDiff *self)
{
  forget_pictures (self);
  gst_frame_diff_motion_forget (self->motion);
  gst_frame_diff_gate_forget (self->gate);
}

static void
ask_downstream (GstFrameDiff *self)
{
  guint n;

  g_atomic_int_set (&self->ask, FALSE);
  n = gst_frame_diff_planes_ask (
      self->planes, GST_BASE_TRANSFORM (self), &self->info);
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

  if (!gst_qf_in_place_read_caps (trans, in, &info))
    return FALSE;
  if (!gst_qf_info_same_pixels (&info, &self->info))
    forget (self);
  gst_frame_diff_gate_drop_held (self->gate);
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

  /* others come from any thread, while frames are on their way */
  if (GST_EVENT_IS_SERIALIZED (event) && self->planes) {
    if (gst_qf_continuity_event (&self->continuity, event))
      forget (self);
    if (GST_EVENT_TYPE (event) == GST_EVENT_SEGMENT ||
        GST_EVENT_TYPE (event) == GST_EVENT_EOS)
      gst_frame_diff_gate_drop_held (self->gate);
    if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
      gst_frame_diff_motion_end (self->motion);
    gst_frame_diff_planes_event (self->planes, event);
  }
  return GST_BASE_TRANSFORM_CLASS (parent_class)->sink_event (trans, event);
}

static void
warn_of_differences (GstFrameDiff *self)
{
  if (g_atomic_int_compare_and_exchange (&self->warned, FALSE, TRUE))
    GST_ELEMENT_WARNING (self, STREAM, FORMAT,
        ("A network behind this element computes differences itself, and would "
         "difference the difference."),
        ("Its model has difference planes (`qfuse info` tells them): set "
         "output=planes, or take framediff away; with output=image use a model "
         "whose only plane is Y."));
}

static gboolean
gst_frame_diff_src_event (GstBaseTransform *trans, GstEvent *event)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);

  if (GST_EVENT_TYPE (event) == GST_EVENT_RECONFIGURE ||
      gst_event_is_qf_planes (event))
    g_atomic_int_set (&self->ask, TRUE);
  if (gst_event_is_qf_planes (event) &&
      gst_qf_planes_event_differences (event) &&
      get_output (self) == GST_FRAME_DIFF_OUTPUT_IMAGE)
    warn_of_differences (self);
  return GST_BASE_TRANSFORM_CLASS (parent_class)->src_event (trans, event);
}

/* What is held for pre-roll comes so much later. */
static void
add_latency (GstFrameDiff *self, GstQuery *query)
{
  GstClockTime least, most, roll;
  gboolean live;

  GST_OBJECT_LOCK (self);
  roll = gst_frame_diff_values_latency (&self->settings.values);
  GST_OBJECT_UNLOCK (self);
  gst_query_parse_latency (query, &live, &least, &most);
  least += roll;
  if (GST_CLOCK_TIME_IS_VALID (most))
    most += roll;
  gst_query_set_latency (query, live, least, most);
}

static gboolean
gst_frame_diff_query (
    GstBaseTransform *trans, GstPadDirection direction, GstQuery *query)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);
  gboolean done;

  /* networks behind a difference image want planes of that image */
  if (direction == GST_PAD_SINK && gst_query_is_qf_planes (query) &&
      get_output (self) == GST_FRAME_DIFF_OUTPUT_IMAGE)
    return FALSE;
  done =
      GST_BASE_TRANSFORM_CLASS (parent_class)->query (trans, direction, query);
  if (done && direction == GST_PAD_SRC &&
      GST_QUERY_TYPE (query) == GST_QUERY_LATENCY)
    add_latency (self, query);
  return done;
}

/* --- frames --------------------------------------------------------------- */

static void
fill_image_options (GstFrameDiff *self, QfImageDiffOptions *options,
    const GstFrameDiffValues *v)
{
  gboolean clamped;

  *options =
      (QfImageDiffOptions){ .absolute = v->mode == GST_FRAME_DIFF_MODE_ABSOLUTE,
        .mean = v->reference == GST_FRAME_DIFF_REFERENCE_MEAN,
        .distance = gst_frame_diff_distance (v, &self->info, &clamped),
        .distance_time = v->unit == GST_FRAME_DIFF_UNIT_TIME
            ? (gint64) v->distance * GST_MSECOND
            : 0,
        .threshold = MAX (v->threshold, 0),
        .gain = (gint) v->gain,
        .uncounted = self->find }; /* the analysis counts */
}

static void
warn_distance (GstFrameDiff *self, const GstFrameDiffValues *v)
{
  if (self->warned_distance || v->unit != GST_FRAME_DIFF_UNIT_FRAMES ||
      v->distance <= QF_MAX_DISTANCE)
    return;
  self->warned_distance = TRUE;
  GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
      ("A distance of %u frames is too far, it is %d: set "
       "distance-unit=time for a distance in milliseconds.",
          v->distance, QF_MAX_DISTANCE),
      (NULL));
}

/* Returns the share of changed pixels, −1 where it is not known. */
static gdouble
make_image (GstFrameDiff *self, GstVideoFrame *frame, GstClockTime time,
    const GstFrameDiffValues *v, const QfMotionResult *motion)
{
  QfImageDiffOptions options;
  gdouble share;

  if (self->last_way == WAY_HIGHLIGHT) {
    gst_frame_diff_image_highlight (self->image, frame, motion->mask);
    return motion->known ? motion->share : -1;
  }
  fill_image_options (self, &options, v);
  if (self->last_way == WAY_PICTURE)
    return gst_frame_diff_picture_apply (
        self->picture, self->image, frame, time, v, &options);
  if (gst_qf_buffer_repeats (frame->buffer)) {
    /* repeats the last picture, whatever it holds */
    gst_frame_diff_image_motion (
        self->image, frame, NULL, 0, NULL, NULL, &options);
    return 0;
  }
  share = gst_frame_diff_image_apply (self->image, frame, time, &options);
  if (!self->has_past)
    share = -1;
  self->has_past = TRUE;
  return share;
}

/* What was not computed until now, or is not any more, has an old past. */
static void
follow_changes (GstFrameDiff *self, const GstFrameDiffValues *v)
{
  GError *error = NULL;

  if (way_of (v) != self->last_way) {
    forget_pictures (self);
    gst_frame_diff_planes_forget (self->planes);
    g_atomic_int_set (&self->ask, TRUE);
    self->last_way = way_of (v);
  }
  if (v->ignore_serial != self->ignore_serial &&
      !take_ignore (self, v->ignore_serial, &error)) {
    GST_ELEMENT_WARNING (self, RESOURCE, SETTINGS,
        ("The property ignore cannot be read and changes nothing: %s",
            error->message),
        (NULL));
    g_error_free (error);
  }
  if (self->find && !gst_frame_diff_values_want_motion (v))
    gst_frame_diff_motion_forget (self->motion);
  self->find = gst_frame_diff_values_want_motion (v);
  if (self->gating && !v->drop_still)
    gst_frame_diff_gate_forget (self->gate);
  self->gating = v->drop_still;
  warn_distance (self, v);
}

/* The share that a difference image shows, where nothing better is known. */
static void
attach_share (GstFrameDiff *self, GstBuffer *buffer, gdouble share, gint width,
    gint height)
{
  QfuseMotionMeta *meta = qfuse_buffer_get_motion (buffer);

  if (share < 0 || meta)
    return;
  meta = gst_buffer_add_qfuse_motion (buffer, (guint) width, (guint) height);
  meta->share = share;
  meta->borders = (gint) gst_qf_in_place_borders (GST_BASE_TRANSFORM (self));
}

static gboolean
process (GstFrameDiff *self, GstBuffer *buffer, GstClockTime time,
    const GstFrameDiffValues *v)
{
  const gboolean image = v->output == GST_FRAME_DIFF_OUTPUT_IMAGE;
  const QfMotionResult *motion = NULL;
  GstVideoRectangle rect;
  GstVideoFrame frame;
  QfImage picture;
  gdouble share = -1;

  /* no reference: metas are attached while the frame is mapped */
  if (!gst_video_frame_map (&frame, &self->info, buffer,
          GST_VIDEO_FRAME_MAP_FLAG_NO_REF |
              (image ? GST_MAP_READWRITE : GST_MAP_READ)))
    return FALSE;
  gst_qf_frame_image (&frame, &picture, &rect);
  if (self->find)
    motion = gst_frame_diff_motion_push (self->motion, &frame, v);
  if (image)
    share = make_image (self, &frame, time, v, motion);
  else
    gst_frame_diff_planes_attach (self->planes, &frame, time);
  gst_video_frame_unmap (&frame);

  if (motion)
    gst_frame_diff_motion_tell (self->motion, buffer, v);
  else if (image)
    attach_share (self, buffer, share, rect.w, rect.h);
  return TRUE;
}

static GstFlowReturn
gst_frame_diff_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);
  GstClockTime time = gst_qf_stream_time (trans, buffer);
  GstFrameDiffValues v;

  GST_OBJECT_LOCK (self);
  v = self->settings.values;
  GST_OBJECT_UNLOCK (self);

  follow_changes (self, &v);
  if (v.output == GST_FRAME_DIFF_OUTPUT_PLANES && g_atomic_int_get (&self->ask))
    ask_downstream (self);
  if (gst_qf_continuity_frame (&self->continuity, buffer, time))
    forget (self);
  gst_buffer_remove_qf_planes_metas (buffer);
  if (!process (self, buffer, time, &v)) {
    GST_ELEMENT_ERROR (self, STREAM, FAILED,
        ("A frame cannot be read: its memory does not fit its caps."), (NULL));
    return GST_FLOW_ERROR;
  }
  self->values = v;
  return GST_FLOW_OK;
}

/* Called until nothing comes out. */
static GstFlowReturn
gst_frame_diff_generate_output (GstBaseTransform *trans, GstBuffer **out)
{
  GstFrameDiff *self = GST_FRAME_DIFF (trans);
  GstFlowReturn flow;

  *out = gst_frame_diff_gate_next (self->gate);
  if (*out)
    return GST_FLOW_OK;
  flow = GST_BASE_TRANSFORM_CLASS (parent_class)->generate_output (trans, out);
  if (flow != GST_FLOW_OK || !*out)
    return flow;
  if (self->values.drop_still)
    gst_frame_diff_gate_take (self->gate, *out,
        gst_qf_stream_time (trans, *out),
        gst_frame_diff_motion_moves (self->motion), &self->values);
  else
    gst_frame_diff_gate_open (self->gate, *out);
  *out = gst_frame_diff_gate_next (self->gate);
  return GST_FLOW_OK;
}

/* --- object --------------------------------------------------------------- */

static void
gst_frame_diff_set_property (
    GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstFrameDiff *self = GST_FRAME_DIFF (object);
  GstClockTime before, after;
  gboolean known;

  GST_OBJECT_LOCK (self);
  before = gst_frame_diff_values_latency (&self->settings.values);
  known = gst_frame_diff_settings_set (&self->settings, id, value);
  after = gst_frame_diff_values_latency (&self->settings.values);
  GST_OBJECT_UNLOCK (self);
  if (before != after)
    gst_element_post_message (
        GST_ELEMENT (self), gst_message_new_latency (GST_OBJECT (self)));
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

  free_parts (self);
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
      "Makes difference images, finds what moves, computes planes for networks",
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
  trans->generate_output = gst_frame_diff_generate_output;
}

static void
gst_frame_diff_init (GstFrameDiff *self)
{
  gst_frame_diff_settings_init (&self->settings);
  gst_video_info_init (&self->info);
  gst_qf_in_place_init (GST_BASE_TRANSFORM (self));
}
