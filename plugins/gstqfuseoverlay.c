/* GStreamer qfuse: qfuseoverlay draws what was found on frames.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-qfuseoverlay
 * @title: qfuseoverlay
 * @short_description: draws detections, actions and ground truth
 *
 * Draws the boxes of a frame's detections with their names, object numbers and
 * scores, and the frame's action in its left top corner. Lines lie inside the
 * box: their outer edge is the box's. Ground truth is drawn dashed, with its
 * name below. A frame with nothing to draw passes without a copy.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! qfusedetect
 * model-file=pedestrian.onnx ! qfuseoverlay ! videoconvert ! autovideosink
 * ]| Shows the people that a network finds.
 */
#include "gstqfuseoverlay.h"

#include "gstqfinplace.h"
#include "gstqfmeta-private.h"
#include "gstqfpaint.h"
#include "gstqfplanesmeta.h"
#include "gstqftext.h"

#include <math.h>

GST_DEBUG_CATEGORY_STATIC (gst_qfuse_overlay_debug);
#define GST_CAT_DEFAULT gst_qfuse_overlay_debug

typedef enum
{
  GST_QFUSE_OVERLAY_COLOUR_LABEL,
  GST_QFUSE_OVERLAY_COLOUR_ID,
  GST_QFUSE_OVERLAY_COLOUR_NONE
} GstQfuseOverlayColour;

#define GST_TYPE_QFUSE_OVERLAY_COLOUR (gst_qfuse_overlay_colour_get_type ())
static GType
gst_qfuse_overlay_colour_get_type (void)
{
  static GType type;
  static const GEnumValue values[] = {
    { GST_QFUSE_OVERLAY_COLOUR_LABEL, "A colour a class", "label" },
    { GST_QFUSE_OVERLAY_COLOUR_ID,
        "A colour an object; of the class where it has no number", "id" },
    { GST_QFUSE_OVERLAY_COLOUR_NONE, "One colour", "none" },
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
  PROP_FONT,
  PROP_COLOUR_BY,
  PROP_LINE_WIDTH
};

#define DEFAULT_FONT "Sans Bold"
#define MAX_LINE_WIDTH 64

typedef struct
{
  gboolean boxes, labels, scores, actions, truth;
  GstQfuseOverlayColour colour_by;
  gint line_width; /* pixels; 0: by the picture's height */
} Settings;

struct _GstQfuseOverlay
{
  GstBaseTransform parent;

  /* properties, under the object lock */
  Settings settings;
  gchar *font;
  gboolean new_font;

  /* the streaming thread's */
  GstVideoInfo info;
  GstQfFound found;
  GstQfTexts *texts; /* NULL: none rendered yet */
};

/* One frame's drawing. */
typedef struct
{
  GstQfuseOverlay *self;
  GstQfCanvas canvas;
  Settings settings;
  gint line;
} Drawing;

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

/* Neighbours differ in hue and lightness; none is close to skin, road or sky.
 */
static const GstQfColour palette[] = {
  { 0x35, 0xf0, 0x5a },
  { 0xff, 0x3b, 0x30 },
  { 0x1e, 0xc8, 0xff },
  { 0xff, 0xd6, 0x0a },
  { 0xe0, 0x40, 0xfb },
  { 0xff, 0x8c, 0x1a },
  { 0x2a, 0x5c, 0xff },
  { 0xb6, 0xff, 0x2e },
  { 0xff, 0x4f, 0xa3 },
  { 0x14, 0xb8, 0xa6 },
  { 0x8b, 0x3d, 0xff },
  { 0xff, 0xee, 0x9c },
  { 0xb9, 0x1c, 0x3c },
  { 0x9b, 0xe8, 0xff },
  { 0x3f, 0x8f, 0x1f },
  { 0xff, 0xb3, 0xd9 },
};
static const GstQfColour grey = { 0x9a, 0x9a, 0x9a };
static const GstQfColour black = { 0, 0, 0 }, white = { 255, 255, 255 };

static void
gst_qfuse_overlay_set_property (
    GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstQfuseOverlay *self = GST_QFUSE_OVERLAY (object);
  Settings *s = &self->settings;

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
  const Settings *s = &self->settings;

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
gst_qfuse_overlay_stop (GstBaseTransform *trans)
{
  forget_texts (GST_QFUSE_OVERLAY (trans));
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

static const GstQfText *
get_text (Drawing *d, const gchar *string)
{
  GstQfuseOverlay *self = d->self;
  gboolean new_font;
  g_autofree gchar *font = NULL;

  GST_OBJECT_LOCK (self);
  new_font = self->new_font;
  self->new_font = FALSE;
  if (new_font || !self->texts)
    font = g_strdup (self->font);
  GST_OBJECT_UNLOCK (self);

  if (new_font)
    forget_texts (self);
  if (!self->texts)
    self->texts =
        gst_qf_texts_new (font, CLAMP (d->canvas.height / 40.0, 10, 72));
  return gst_qf_texts_get (self->texts, string);
}

static GstQfColour
pick (guint n)
{
  return palette[n % G_N_ELEMENTS (palette)];
}

static GstQfColour
colour_of (const Drawing *d, const QfuseDetection *o)
{
  switch (d->settings.colour_by) {
    case GST_QFUSE_OVERLAY_COLOUR_ID:
      if (o->id > 0)
        return pick ((guint) o->id - 1);
      /* fall through */
    case GST_QFUSE_OVERLAY_COLOUR_LABEL:
      if (o->label_id >= 0)
        return pick ((guint) o->label_id);
      return pick (o->label ? g_str_hash (g_quark_to_string (o->label)) : 0);
    default:
      return palette[0];
  }
}

/* Black or white, whichever differs more in luma. */
static GstQfColour
contrast (GstQfColour c)
{
  return 299 * c.r + 587 * c.g + 114 * c.b > 128000 ? black : white;
}

/* On a ground of @ground with its left top corner at x, y, moved into the
 * picture where it would stand out. */
static void
draw_text (Drawing *d, const gchar *string, GstQfColour ground, gint x, gint y)
{
  const GstQfText *text = get_text (d, string);

  x = MAX (0, MIN (x, d->canvas.width - text->width));
  y = MAX (0, MIN (y, d->canvas.height - text->height));
  gst_qf_paint_rect (&d->canvas, ground, x, y, text->width, text->height);
  gst_qf_paint_mask (&d->canvas, contrast (ground), text->data, text->stride, x,
      y, text->width, text->height);
}

static void
draw_dashes (Drawing *d, GstQfColour colour, gint x, gint y, gint w, gint h)
{
  gint dash = 3 * d->line;

  for (gint at = 0; at < MAX (w, h); at += 2 * dash)
    if (w > h)
      gst_qf_paint_rect (&d->canvas, colour, x + at, y, MIN (dash, w - at), h);
    else
      gst_qf_paint_rect (&d->canvas, colour, x, y + at, w, MIN (dash, h - at));
}

static void
draw_dashed_box (Drawing *d, GstQfColour colour, gint x, gint y, gint w, gint h)
{
  gint line = MIN (d->line, MIN ((w + 1) / 2, (h + 1) / 2));

  draw_dashes (d, colour, x, y, w, line);
  draw_dashes (d, colour, x, y + h - line, w, line);
  draw_dashes (d, colour, x, y + line, line, h - 2 * line);
  draw_dashes (d, colour, x + w - line, y + line, line, h - 2 * line);
}

/* To the nearest pixel edge, cut to just outside of the picture so that sums
 * stay small; not-a-number becomes @size. */
static gint
to_pixel (gfloat v, gint size)
{
  return (gint) rintf (
      fmaxf (-MAX_LINE_WIDTH, fminf (v, (gfloat) size + MAX_LINE_WIDTH)));
}

static void
to_pixels (const Drawing *d, const QfuseDetection *o, gint *x, gint *y, gint *w,
    gint *h)
{
  *x = to_pixel (o->x, d->canvas.width);
  *y = to_pixel (o->y, d->canvas.height);
  *w = to_pixel (o->x + o->w, d->canvas.width) - *x;
  *h = to_pixel (o->y + o->h, d->canvas.height) - *y;
}

static void
append_name (GString *text, GQuark label, gint label_id)
{
  g_autofree gchar *valid = NULL;

  if (label) {
    valid = g_utf8_make_valid (g_quark_to_string (label), -1);
    g_string_append (text, valid);
  } else if (label_id >= 0)
    g_string_append_printf (text, "class %d", label_id);
}

static void
append_score (GString *text, gfloat score)
{
  gchar number[G_ASCII_DTOSTR_BUF_SIZE];

  if (text->len > 0)
    g_string_append_c (text, ' ');
  g_string_append (
      text, g_ascii_formatd (number, sizeof (number), "%.2f", score));
}

static void
draw_detection (Drawing *d, const QfuseDetection *o)
{
  GstQfColour colour = colour_of (d, o);
  g_autoptr (GString) text = g_string_new (NULL);
  gint x, y, w, h;

  to_pixels (d, o, &x, &y, &w, &h);
  if (w <= 0 || h <= 0)
    return;
  if (d->settings.boxes)
    gst_qf_paint_outline (&d->canvas, colour, x, y, w, h, d->line);
  if (d->settings.labels) {
    append_name (text, o->label, o->label_id);
    if (o->id > 0)
      g_string_append_printf (text, text->len > 0 ? " #%d" : "#%d", o->id);
  }
  if (d->settings.scores)
    append_score (text, o->score);
  if (text->len > 0) {
    const GstQfText *t = get_text (d, text->str);

    /* above the box, else inside of it */
    draw_text (d, text->str, colour, x, y >= t->height ? y - t->height : y);
  }
}

static void
draw_truth (Drawing *d, const QfuseDetection *o)
{
  GstQfColour colour = o->score > 0 ? colour_of (d, o) : grey;
  g_autoptr (GString) text = g_string_new (NULL);
  gint x, y, w, h;

  to_pixels (d, o, &x, &y, &w, &h);
  if (w <= 0 || h <= 0)
    return;
  draw_dashed_box (d, colour, x, y, w, h);
  if (d->settings.labels)
    append_name (text, o->label, o->label_id);
  if (text->len > 0)
    draw_text (d, text->str, colour, x, y + h);
}

static void
draw_action (Drawing *d, const gchar *prefix, GQuark action, gint id,
    const gfloat *score, gint row)
{
  g_autoptr (GString) text = g_string_new (prefix);

  append_name (text, action, id);
  if (score && d->settings.scores)
    append_score (text, *score);
  draw_text (d, text->str, pick ((guint) MAX (id, 0)), d->line,
      d->line + row * (get_text (d, text->str)->height + d->line));
}

static void
draw_frame (Drawing *d, QfuseTruthMeta *truth)
{
  const GstQfFound *found = &d->self->found;
  gint row = 0;

  d->line = d->settings.line_width > 0
      ? d->settings.line_width
      : MAX (1, (d->canvas.height + 144) / 288);
  for (guint i = 0; truth && i < truth->boxes->len; i++)
    draw_truth (d, &g_array_index (truth->boxes, QfuseDetection, i));
  /* the surest last, on top */
  for (guint i = found->detections->len; i-- > 0;)
    draw_detection (d, &g_array_index (found->detections, QfuseDetection, i));
  if (found->action && d->settings.actions)
    draw_action (
        d, NULL, found->action, found->action_id, &found->action_score, row++);
  if (truth && truth->action)
    draw_action (d, "truth: ", truth->action, truth->action_id, NULL, row);
}

static gboolean
is_something_to_draw (
    const GstQfuseOverlay *self, const Settings *s, const QfuseTruthMeta *truth)
{
  return (self->found.detections->len > 0 &&
             (s->boxes || s->labels || s->scores)) ||
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
  Drawing d = { .self = self };
  GstVideoFrame frame;

  GST_OBJECT_LOCK (self);
  d.settings = self->settings;
  GST_OBJECT_UNLOCK (self);

  gst_qf_found_read (&self->found, buffer, width, height);
  if (d.settings.truth)
    truth = gst_qf_truth_read (buffer, width, height);
  if (!is_something_to_draw (self, &d.settings, truth))
    return GST_FLOW_OK;

  if (!gst_video_frame_map (&frame, &self->info, buffer,
          GST_MAP_READWRITE | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)) {
    GST_ELEMENT_ERROR (self, RESOURCE, WRITE,
        ("A frame cannot be drawn on: its memory cannot be mapped."), (NULL));
    return GST_FLOW_ERROR;
  }
  gst_qf_canvas_init (
      &d.canvas, &frame, gst_buffer_get_video_crop_meta (buffer));
  draw_frame (&d, truth);
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
      "Write scores, 0 to 1, on boxes and actions", TRUE);
  install_flag (object, PROP_SHOW_ACTIONS, "show-actions", "Show actions",
      "Write the frame's action in the left top corner", TRUE);
  install_flag (object, PROP_SHOW_TRUTH, "show-truth", "Show truth",
      "Draw ground truth, dashed; boxes to be ignored in grey", FALSE);
  g_object_class_install_property (object, PROP_FONT,
      g_param_spec_string ("font", "Font",
          "Pango font description such as \"Sans Bold 12\"; without a size "
          "letters are 1/40 of the picture's height",
          DEFAULT_FONT, playing & ~GST_PARAM_CONTROLLABLE));
  g_object_class_install_property (object, PROP_COLOUR_BY,
      g_param_spec_enum ("colour-by", "Colour by",
          "What decides the colour of a box", GST_TYPE_QFUSE_OVERLAY_COLOUR,
          GST_QFUSE_OVERLAY_COLOUR_LABEL, playing));
  g_object_class_install_property (object, PROP_LINE_WIDTH,
      g_param_spec_int ("line-width", "Line width",
          "Width of lines in pixels; 0: 1/288 of the picture's height", 0,
          MAX_LINE_WIDTH, 0, playing));

  gst_element_class_set_static_metadata (element, "Detections overlay",
      "Filter/Editor/Video",
      "Draws boxes, names, scores and actions on video frames",
      "The qfuse authors");
  gst_element_class_add_static_pad_template (element, &sink_template);
  gst_element_class_add_static_pad_template (element, &src_template);
  gst_type_mark_as_plugin_api (GST_TYPE_QFUSE_OVERLAY_COLOUR, 0);

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
  self->settings = (Settings){ TRUE, TRUE, TRUE, TRUE, FALSE };
  self->font = g_strdup (DEFAULT_FONT);
}
