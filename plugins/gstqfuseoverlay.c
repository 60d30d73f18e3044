/* GStreamer qfuse: qfuseoverlay draws what was found on frames.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-qfuseoverlay
 * @title: qfuseoverlay
 * @short_description: draws detections, actions and ground truth
 *
 * Draws the boxes of a frame's detections (and other regions of interest, such
 * as framediff's) with their names, object numbers, scores and key points, and
 * the frame's action in its left top corner. Lines lie inside the
 * box: their outer edge is the box's. Ground truth is drawn dashed, with its
 * name below. A frame with nothing to draw passes without a copy.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! qfusedetect
 * model-file=pedestrian.onnx ! qfuseoverlay ! videoconvert ! autovideosink
 * ]| Shows the people that a network finds.
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! videoconvert !
 * framediff output=planes attach-regions=true ! qfuseoverlay
 * ! videoconvert ! autovideosink
 * ]| Shows what moves, without a network.
 */
#include "gstqfuseoverlay.h"

#include "gstqfcopies.h"
#include "gstqfdraw.h"
#include "gstqfinplace.h"
#include "gstqfplanesmeta.h"

GST_DEBUG_CATEGORY_STATIC (gst_qfuse_overlay_debug);
#define GST_CAT_DEFAULT gst_qfuse_overlay_debug

#define GST_TYPE_QFUSE_OVERLAY_COLOUR (gst_qfuse_overlay_colour_get_type ())
static GType
gst_qfuse_overlay_colour_get_type (void)
{
  static GType type;
  static const GEnumValue values[] = {
    { GST_QF_COLOUR_BY_LABEL, "A colour a class", "label" },
    { GST_QF_COLOUR_BY_ID,
        "A colour an object; of the class where it has no number", "id" },
    { GST_QF_COLOUR_BY_NONE, "One colour", "none" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (
        &type, g_enum_register_static ("GstQfuseOverlayColour", values));
  return type;
}

enum
{
  PROP_0,
  PROP_SHOW_BOXES,
  PROP_SHOW_LABELS,
  PROP_SHOW_SCORES,
  PROP_SHOW_ACTIONS,
  PROP_SHOW_TRUTH,
  PROP_SHOW_POINTS,
  PROP_FONT,
  PROP_COLOUR_BY,
  PROP_LINE_WIDTH
};

#define DEFAULT_FONT "Sans Bold"
struct _GstQfuseOverlay
{
  GstBaseTransform parent;

  /* properties, under the object lock */
  GstQfDrawSettings settings;
  gchar *font;
  gboolean new_font;

  /* the streaming thread's */
  GstVideoInfo info;
  GstQfFound found;
  GstQfCopies *copies; /* NULL while stopped */
  GstQfTexts *texts;   /* NULL: none rendered yet */
};

#define OVERLAY_CAPS GST_STATIC_CAPS (GST_VIDEO_CAPS_MAKE (GST_QF_FORMATS))

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, OVERLAY_CAPS);
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS, OVERLAY_CAPS);

G_DEFINE_TYPE (GstQfuseOverlay, gst_qfuse_overlay, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE (qfuseoverlay, "qfuseoverlay",
    GST_RANK_NONE, GST_TYPE_QFUSE_OVERLAY,
    GST_DEBUG_CATEGORY_INIT (gst_qfuse_overlay_debug, "qfuseoverlay", 0,
        "boxes and texts on frames"))

static void
gst_qfuse_overlay_set_property (
    GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstQfuseOverlay *self = GST_QFUSE_OVERLAY (object);
  GstQfDrawSettings *s = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_SHOW_BOXES:
      s->boxes = g_value_get_boolean (value);
      break;
    case PROP_SHOW_LABELS:
      s->labels = g_value_get_boolean (value);
      break;
    case PROP_SHOW_SCORES:
      s->scores = g_value_get_boolean (value);
      break;
    case PROP_SHOW_ACTIONS:
      s->actions = g_value_get_boolean (value);
      break;
    case PROP_SHOW_TRUTH:
      s->truth = g_value_get_boolean (value);
      break;
    case PROP_SHOW_POINTS:
      s->points = g_value_get_boolean (value);
      break;
    case PROP_FONT:
      g_free (self->font);
      self->font = g_value_dup_string (value);
      self->new_font = TRUE;
      break;
    case PROP_COLOUR_BY:
      s->colour_by = g_value_get_enum (value);
      break;
    case PROP_LINE_WIDTH:
      s->line_width = g_value_get_int (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_qfuse_overlay_get_property (
    GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstQfuseOverlay *self = GST_QFUSE_OVERLAY (object);
  const GstQfDrawSettings *s = &self->settings;

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_SHOW_BOXES:
      g_value_set_boolean (value, s->boxes);
      break;
    case PROP_SHOW_LABELS:
      g_value_set_boolean (value, s->labels);
      break;
    case PROP_SHOW_SCORES:
      g_value_set_boolean (value, s->scores);
      break;
    case PROP_SHOW_ACTIONS:
      g_value_set_boolean (value, s->actions);
      break;
    case PROP_SHOW_TRUTH:
      g_value_set_boolean (value, s->truth);
      break;
    case PROP_SHOW_POINTS:
      g_value_set_boolean (value, s->points);
      break;
    case PROP_FONT:
      g_value_set_string (value, self->font);
      break;
    case PROP_COLOUR_BY:
      g_value_set_enum (value, s->colour_by);
      break;
    case PROP_LINE_WIDTH:
      g_value_set_int (value, s->line_width);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
forget_texts (GstQfuseOverlay *self)
{
  g_clear_pointer (&self->texts, gst_qf_texts_free);
}

static gboolean
gst_qfuse_overlay_start (GstBaseTransform *trans)
{
  GST_QFUSE_OVERLAY (trans)->copies = gst_qf_copies_new ();
  return TRUE;
}

static gboolean
gst_qfuse_overlay_stop (GstBaseTransform *trans)
{
  GstQfuseOverlay *self = GST_QFUSE_OVERLAY (trans);

  forget_texts (self);
  g_clear_pointer (&self->copies, gst_qf_copies_unref);
  return TRUE;
}

static gboolean
gst_qfuse_overlay_set_caps (
    GstBaseTransform *trans, GstCaps *incaps, GstCaps *outcaps)
{
  GstQfuseOverlay *self = GST_QFUSE_OVERLAY (trans);

  forget_texts (self); /* their size goes by the picture's height */
  return gst_video_info_from_caps (&self->info, incaps);
}

/* In the font of the moment. */
static GstQfTexts *
prepare_texts (GstQfuseOverlay *self, gint height)
{
  g_autofree gchar *font = NULL;
  gboolean new_font;

  GST_OBJECT_LOCK (self);
  new_font = self->new_font;
  self->new_font = FALSE;
  if (new_font || !self->texts)
    font = g_strdup (self->font);
  GST_OBJECT_UNLOCK (self);

  if (new_font)
    forget_texts (self);
  if (self->texts)
    gst_qf_texts_trim (self->texts);
  else
    self->texts = gst_qf_texts_new (font, CLAMP (height / 40.0, 10, 72));
  return self->texts;
}

static gboolean
is_something_to_draw (const GstQfuseOverlay *self, const GstQfDrawSettings *s,
    const QfuseTruthMeta *truth)
{
  return (self->found.detections->len > 0 &&
             (s->boxes || s->labels || s->scores || s->points)) ||
      (self->found.action && s->actions) ||
      (truth && (truth->boxes->len > 0 || truth->action));
}

static GstFlowReturn
gst_qfuse_overlay_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstQfuseOverlay *self = GST_QFUSE_OVERLAY (trans);
  gint width = GST_VIDEO_INFO_WIDTH (&self->info);
  gint height = GST_VIDEO_INFO_HEIGHT (&self->info);
  QfuseTruthMeta *truth = NULL;
  GstQfDrawSettings settings;
  GstVideoFrame frame;
  GstQfCanvas canvas;

  GST_OBJECT_LOCK (self);
  settings = self->settings;
  GST_OBJECT_UNLOCK (self);

  gst_qf_found_read (&self->found, buffer, width, height);
  if (settings.truth)
    truth = gst_qf_truth_read (buffer, width, height);
  if (!is_something_to_draw (self, &settings, truth))
    return GST_FLOW_OK;

  if (!gst_qf_copies_own (self->copies, buffer) ||
      !gst_video_frame_map (&frame, &self->info, buffer,
          GST_MAP_READWRITE | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)) {
    GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
        ("A frame cannot be drawn on: its memory cannot be mapped."), (NULL));
    return GST_FLOW_ERROR;
  }
  gst_qf_canvas_init (&canvas, &frame, gst_buffer_get_video_crop_meta (buffer));
  gst_qf_draw (&canvas, &settings, prepare_texts (self, canvas.height),
      &self->found, truth);
  gst_video_frame_unmap (&frame);
  gst_buffer_remove_qf_planes_metas (buffer); /* of the picture as it was */
  return GST_FLOW_OK;
}

static void
gst_qfuse_overlay_finalize (GObject *object)
{
  GstQfuseOverlay *self = GST_QFUSE_OVERLAY (object);

  g_free (self->font);
  gst_qf_found_clear (&self->found);
  G_OBJECT_CLASS (gst_qfuse_overlay_parent_class)->finalize (object);
}

static void
install_flag (GObjectClass *object, guint id, const gchar *name,
    const gchar *nick, const gchar *blurb, gboolean on)
{
  g_object_class_install_property (object, id,
      g_param_spec_boolean (name, nick, blurb, on,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_CONTROLLABLE |
              GST_PARAM_MUTABLE_PLAYING));
}

static void
gst_qfuse_overlay_class_init (GstQfuseOverlayClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  GstElementClass *element = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans = GST_BASE_TRANSFORM_CLASS (klass);
  const GParamFlags playing = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
      GST_PARAM_CONTROLLABLE | GST_PARAM_MUTABLE_PLAYING;

  object->set_property = gst_qfuse_overlay_set_property;
  object->get_property = gst_qfuse_overlay_get_property;
  object->finalize = gst_qfuse_overlay_finalize;

  install_flag (object, PROP_SHOW_BOXES, "show-boxes", "Show boxes",
      "Draw the boxes of detections", TRUE);
  install_flag (object, PROP_SHOW_LABELS, "show-labels", "Show labels",
      "Write names and object numbers on boxes", TRUE);
  install_flag (object, PROP_SHOW_SCORES, "show-scores", "Show scores",
      "Write scores below 1 on boxes and actions", TRUE);
  install_flag (object, PROP_SHOW_ACTIONS, "show-actions", "Show actions",
      "Write the frame's action in the left top corner", TRUE);
  install_flag (object, PROP_SHOW_TRUTH, "show-truth", "Show truth",
      "Draw ground truth, dashed; boxes to be ignored in grey", FALSE);
  install_flag (object, PROP_SHOW_POINTS, "show-points", "Show points",
      "Draw key points of detections (of faces, poses) with a score of 0.3 or "
      "more",
      TRUE);
  g_object_class_install_property (object, PROP_FONT,
      g_param_spec_string ("font", "Font",
          "Pango font description such as \"Sans Bold 12\"; without a size "
          "letters are 1/40 of the picture's height",
          DEFAULT_FONT, playing & ~GST_PARAM_CONTROLLABLE));
  g_object_class_install_property (object, PROP_COLOUR_BY,
      g_param_spec_enum ("colour-by", "Colour by",
          "What decides the colour of a box", GST_TYPE_QFUSE_OVERLAY_COLOUR,
          GST_QF_COLOUR_BY_LABEL, playing));
  g_object_class_install_property (object, PROP_LINE_WIDTH,
      g_param_spec_int ("line-width", "Line width",
          "Width of lines in pixels; 0: 1/288 of the picture's height", 0,
          GST_QF_MAX_LINE_WIDTH, 0, playing));

  gst_element_class_set_static_metadata (element, "Detections overlay",
      "Filter/Editor/Video",
      "Draws boxes, names, scores and actions on video frames",
      "The qfuse authors");
  gst_element_class_add_static_pad_template (element, &sink_template);
  gst_element_class_add_static_pad_template (element, &src_template);
  gst_type_mark_as_plugin_api (GST_TYPE_QFUSE_OVERLAY_COLOUR, 0);

  trans->start = gst_qfuse_overlay_start;
  trans->stop = gst_qfuse_overlay_stop;
  trans->set_caps = gst_qfuse_overlay_set_caps;
  trans->transform_ip = gst_qfuse_overlay_transform_ip;
  gst_qf_in_place_class_init (trans);
}

static void
gst_qfuse_overlay_init (GstQfuseOverlay *self)
{
  gst_qf_in_place_init (GST_BASE_TRANSFORM (self));
  gst_qf_found_init (&self->found);
  self->settings = (GstQfDrawSettings){ .boxes = TRUE,
    .labels = TRUE,
    .scores = TRUE,
    .actions = TRUE,
    .points = TRUE };
  self->font = g_strdup (DEFAULT_FONT);
}
