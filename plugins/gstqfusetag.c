/* GStreamer qfuse: qfusetag attaches ground truth to frames.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-qfusetag
 * @title: qfusetag
 * @short_description: attaches ground truth to video frames
 *
 * Reads a file with boxes and attaches to each frame, as QfuseTruthMeta, those
 * that are there; also an empty one where there are none. JSON Lines name
 * actions of frames, too; #GstQfuseTag:label names one for the whole stream and
 * outdoes them. Pictures are not touched and not copied.
 *
 * Frames count from 1: n = 1 + rne((t − t0)·fps), with t the stream time and t0
 * that of the first frame, so numbers stay right after seeks. Without
 * timestamps or frame rate frames are counted.
 *
 * Several clips come through concat, one qfusetag before each. Two qfusetags in
 * a row add up: one brings the boxes, the other the action.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! qfusetag
 * location=gt.txt labels=person ! qfuseoverlay show-truth=true ! videoconvert !
 * autovideosink
 * ]| Shows the boxes of a MOTChallenge file on its video.
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! qfusetag
 * location=annotations.xml ! qfusetrain model-file=mine.onnx planes=Y,D1,D5
 * ]| Teaches a network what a person has marked in CVAT; COCO, VOC, YOLO and
 * JSON Lines are read as well.
 * |[
 * gst-launch-1.0 filesrc location=clip.mp4 ! decodebin ! qfusetag
 * location=actions.jsonl ! qfusetrain model-file=fall.onnx head=classify
 * planes=D1x2t8,D5x2t8
 * ]| Teaches a network the actions of single frames, as
 * {"frame":31,"action":{"label":"fall"}} names them; frames without one are not
 * learned.
 */
#include "gstqfusetag.h"

#include "gstqfinplace.h"
#include "gstqflists.h"
#include "gstqfmeta-private.h"
#include "gstqfnumber.h"
#include "qfuse.h"

GST_DEBUG_CATEGORY_STATIC (gst_qfuse_tag_debug);
#define GST_CAT_DEFAULT gst_qfuse_tag_debug

typedef enum
{
  GST_QFUSE_TAG_FORMAT_AUTO,
  GST_QFUSE_TAG_FORMAT_MOT,
  GST_QFUSE_TAG_FORMAT_MOT0,
  GST_QFUSE_TAG_FORMAT_COCO,
  GST_QFUSE_TAG_FORMAT_JSONL,
  GST_QFUSE_TAG_FORMAT_CVAT,
  GST_QFUSE_TAG_FORMAT_VOC,
  GST_QFUSE_TAG_FORMAT_YOLO
} GstQfuseTagFormat;

#define GST_TYPE_QFUSE_TAG_FORMAT (gst_qfuse_tag_format_get_type ())
static GType
gst_qfuse_tag_format_get_type (void)
{
  static GType type;
  static const GEnumValue values[] = {
    { GST_QFUSE_TAG_FORMAT_AUTO, "By the file's content", "auto" },
    { GST_QFUSE_TAG_FORMAT_MOT, "MOTChallenge text, pixels from 1", "mot" },
    { GST_QFUSE_TAG_FORMAT_MOT0, "MOTChallenge text, pixels from 0", "mot0" },
    { GST_QFUSE_TAG_FORMAT_COCO, "COCO JSON", "coco" },
    { GST_QFUSE_TAG_FORMAT_JSONL, "JSON Lines of qfusewrite", "jsonl" },
    { GST_QFUSE_TAG_FORMAT_CVAT, "CVAT XML, for video or images", "cvat" },
    { GST_QFUSE_TAG_FORMAT_VOC, "Folder of Pascal VOC XML", "voc" },
    { GST_QFUSE_TAG_FORMAT_YOLO, "Folder of YOLO text", "yolo" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (
        &type, g_enum_register_static ("GstQfuseTagFormat", values));
  return type;
}

enum
{
  PROP_0,
  PROP_LOCATION,
  PROP_FORMAT,
  PROP_LABELS,
  PROP_LABEL,
  PROP_VALIDATION
};

struct _GstQfuseTag
{
  GstBaseTransform parent;

  /* properties, under the object lock */
  gchar *location, *labels, *label;
  GstQfuseTagFormat format;
  gboolean validation;

  /* from start() to stop() */
  QfAnnotations *annotations; /* NULL: the action alone */
  GQuark *names;              /* [n_names] */
  gint n_names;

  /* the streaming thread's */
  gint width, height; /* of the frame, pixels */
  GstQfNumber number;
};

#define TAG_CAPS GST_STATIC_CAPS ("video/x-raw(ANY)")

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, TAG_CAPS);
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS, TAG_CAPS);

G_DEFINE_TYPE (GstQfuseTag, gst_qfuse_tag, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE (qfusetag, "qfusetag", GST_RANK_NONE,
    GST_TYPE_QFUSE_TAG,
    GST_DEBUG_CATEGORY_INIT (
        gst_qfuse_tag_debug, "qfusetag", 0, "ground truth on frames"))

static void
replace_string (gchar **to, const GValue *value)
{
  g_free (*to);
  *to = g_value_dup_string (value);
}

static void
gst_qfuse_tag_set_property (
    GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstQfuseTag *self = GST_QFUSE_TAG (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_LOCATION:
      replace_string (&self->location, value);
      break;
    case PROP_FORMAT:
      self->format = g_value_get_enum (value);
      break;
    case PROP_LABELS:
      replace_string (&self->labels, value);
      break;
    case PROP_LABEL:
      replace_string (&self->label, value);
      break;
    case PROP_VALIDATION:
      self->validation = g_value_get_boolean (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_qfuse_tag_get_property (
    GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstQfuseTag *self = GST_QFUSE_TAG (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_LOCATION:
      g_value_set_string (value, self->location);
      break;
    case PROP_FORMAT:
      g_value_set_enum (value, self->format);
      break;
    case PROP_LABELS:
      g_value_set_string (value, self->labels);
      break;
    case PROP_LABEL:
      g_value_set_string (value, self->label);
      break;
    case PROP_VALIDATION:
      g_value_set_boolean (value, self->validation);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
set_names (GstQfuseTag *self, const gchar *const *names)
{
  self->n_names = (gint) g_strv_length ((gchar **) names);
  self->names = g_new0 (GQuark, self->n_names);
  for (gint i = 0; i < self->n_names; i++)
    if (*names[i] != '\0')
      self->names[i] = g_quark_from_string (names[i]);
}

/* The names of the labels property number the file's classes; without it the
 * file's own names hold. */
static gboolean
load_names (GstQfuseTag *self, const gchar *labels, GError **error)
{
  g_auto (GStrv) names = NULL;
  const gchar *const *own =
      self->annotations ? qf_annotations_labels (self->annotations) : NULL;

  if (!labels || *labels == '\0') {
    if (own)
      set_names (self, own);
    return TRUE;
  }
  names = gst_qf_names_parse (labels, error);
  if (!names)
    return FALSE;
  set_names (self, (const gchar *const *) names);
  return !own ||
      qf_annotations_relabel (
          self->annotations, (const gchar *const *) names, error);
}

static gint
find_name (const GstQfuseTag *self, GQuark name)
{
  for (gint i = 0; i < self->n_names; i++)
    if (self->names[i] == name)
      return i;
  return -1;
}

/* Every label of the file must have a name once names are given. */
static gboolean
check_names (GstQfuseTag *self, const gchar *location, const gchar *label,
    GError **error)
{
  gint used =
      self->annotations ? qf_annotations_n_labels (self->annotations) : 0;

  if (self->n_names > 0 && used > self->n_names) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "%s uses class number %d but the labels property names only %d.",
        location, used, self->n_names);
    return FALSE;
  }
  if (self->n_names > 0 && label &&
      find_name (self, g_quark_try_string (label)) < 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "The label '%s' is not among those that the labels property names.",
        label);
    return FALSE;
  }
  return TRUE;
}

static void
forget (GstQfuseTag *self)
{
  g_clear_pointer (&self->annotations, qf_annotations_free);
  g_clear_pointer (&self->names, g_free);
  self->n_names = 0;
}

static gboolean
gst_qfuse_tag_start (GstBaseTransform *trans)
{
  GstQfuseTag *self = GST_QFUSE_TAG (trans);
  static const gchar *const formats[] = { "auto", "mot", "mot0", "coco",
    "jsonl", "cvat", "voc", "yolo" };
  g_autofree gchar *location = NULL, *labels = NULL, *label = NULL;
  g_autoptr (GError) error = NULL;
  GstQfuseTagFormat format;

  GST_OBJECT_LOCK (self);
  location = g_strdup (self->location);
  labels = g_strdup (self->labels);
  label = g_strdup (self->label);
  format = self->format;
  GST_OBJECT_UNLOCK (self);

  gst_qf_number_init (&self->number);
  self->width = self->height = 0;
  if (!location && !label) {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
        ("No ground truth is given: set location to a label file, or label to "
         "the name of the action that the stream shows."),
        (NULL));
    return FALSE;
  }
  if (location) {
    self->annotations = qf_annotations_load (location, formats[format], &error);
    if (!self->annotations)
      goto failed;
  }
  if (!load_names (self, labels, &error) ||
      !check_names (self, location, label, &error))
    goto failed;
  return TRUE;

failed:
  forget (self);
  GST_ELEMENT_ERROR (self, RESOURCE, READ, ("%s", error->message), (NULL));
  return FALSE;
}

static gboolean
gst_qfuse_tag_stop (GstBaseTransform *trans)
{
  forget (GST_QFUSE_TAG (trans));
  return TRUE;
}

static gboolean
gst_qfuse_tag_set_caps (
    GstBaseTransform *trans, GstCaps *incaps, GstCaps *outcaps)
{
  GstQfuseTag *self = GST_QFUSE_TAG (trans);
  const GstStructure *s = gst_caps_get_structure (incaps, 0);

  if (!gst_structure_get_int (s, "width", &self->width) ||
      !gst_structure_get_int (s, "height", &self->height))
    return FALSE;
  if (self->annotations)
    qf_annotations_set_size (self->annotations, self->width, self->height);
  return TRUE;
}

static gboolean
gst_qfuse_tag_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  gst_qf_number_event (&GST_QFUSE_TAG (trans)->number, event);
  return GST_BASE_TRANSFORM_CLASS (gst_qfuse_tag_parent_class)
      ->sink_event (trans, event);
}

static void
append_box (GstQfuseTag *self, QfuseTruthMeta *truth, const QfBox *box)
{
  QfuseDetection d = { .x = box->x,
    .y = box->y,
    .w = box->w,
    .h = box->h,
    .score = box->ignore ? 0 : 1,
    .label_id = box->label,
    .id = box->id,
    .roi_id = -1 };

  if (box->label >= 0 && box->label < self->n_names)
    d.label = self->names[box->label];
  g_array_append_val (truth->boxes, d);
}

static GstFlowReturn
gst_qfuse_tag_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstQfuseTag *self = GST_QFUSE_TAG (trans);
  gint n, n_boxes = 0;
  const QfBox *boxes = NULL;
  QfuseTruthMeta *truth;
  gboolean validation;
  GQuark action;

  GST_OBJECT_LOCK (self);
  action = self->label ? g_quark_from_string (self->label) : 0;
  validation = self->validation;
  GST_OBJECT_UNLOCK (self);

  n = gst_qf_number_next (&self->number, buffer, GST_ELEMENT (self), NULL);
  /* a frame whose number is not known is not tagged: nothing beats wrong */
  if (n == 0 && !action)
    return GST_FLOW_OK;
  if (n > 0 && self->annotations)
    boxes = qf_annotations_frame (self->annotations, n, &n_boxes);
  if (n > 0 && self->annotations && !action)
    action = g_quark_from_string (qf_annotations_action (self->annotations, n));

  truth = gst_qf_truth_read (buffer, self->width, self->height);
  if (!truth)
    truth = gst_buffer_add_qfuse_truth (buffer, self->width, self->height);
  for (gint i = 0; i < n_boxes; i++)
    append_box (self, truth, &boxes[i]);
  if (action) {
    truth->action = action;
    truth->action_id = find_name (self, action);
  }
  truth->frame = n;
  truth->validation |= validation;
  truth->borders = (gint) gst_qf_in_place_borders (trans);
  GST_LOG_OBJECT (self, "frame %d: %d boxes", n, n_boxes);
  return GST_FLOW_OK;
}

static void
gst_qfuse_tag_finalize (GObject *object)
{
  GstQfuseTag *self = GST_QFUSE_TAG (object);

  g_free (self->location);
  g_free (self->labels);
  g_free (self->label);
  G_OBJECT_CLASS (gst_qfuse_tag_parent_class)->finalize (object);
}

static void
gst_qfuse_tag_class_init (GstQfuseTagClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  GstElementClass *element = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans = GST_BASE_TRANSFORM_CLASS (klass);
  const GParamFlags ready =
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;

  object->set_property = gst_qfuse_tag_set_property;
  object->get_property = gst_qfuse_tag_get_property;
  object->finalize = gst_qfuse_tag_finalize;

  g_object_class_install_property (object, PROP_LOCATION,
      g_param_spec_string ("location", "Location",
          "Label file with the boxes (JSON Lines: or the action) of each "
          "frame, or a folder with one a picture (voc, yolo)",
          NULL, ready));
  g_object_class_install_property (object, PROP_FORMAT,
      g_param_spec_enum ("format", "Format", "Format of the label file",
          GST_TYPE_QFUSE_TAG_FORMAT, GST_QFUSE_TAG_FORMAT_AUTO, ready));
  g_object_class_install_property (object, PROP_LABELS,
      g_param_spec_string ("labels", "Labels",
          "Names of the classes in the order of their numbers (default: as the "
          "label file has them): a file (a value "
          "with a slash, or the name of a file that exists) with one name a "
          "line, or the names with commas between them",
          NULL, ready));
  g_object_class_install_property (object, PROP_LABEL,
      g_param_spec_string ("label", "Label",
          "Name of the action that the whole stream shows, whatever the label "
          "file says",
          NULL,
          G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
              GST_PARAM_MUTABLE_PLAYING));
  g_object_class_install_property (object, PROP_VALIDATION,
      g_param_spec_boolean ("validation", "Validation",
          "The stream is for measuring: qfusetrain does not learn from it and "
          "holds nothing else back for that",
          FALSE, ready));

  gst_element_class_set_static_metadata (element, "Ground truth tagger",
      "Filter/Analyzer/Video",
      "Attaches boxes and actions of a label file to video frames",
      "The qfuse authors");
  gst_element_class_add_static_pad_template (element, &sink_template);
  gst_element_class_add_static_pad_template (element, &src_template);
  gst_type_mark_as_plugin_api (GST_TYPE_QFUSE_TAG_FORMAT, 0);

  trans->start = gst_qfuse_tag_start;
  trans->stop = gst_qfuse_tag_stop;
  trans->set_caps = gst_qfuse_tag_set_caps;
  trans->sink_event = gst_qfuse_tag_sink_event;
  trans->transform_ip = gst_qfuse_tag_transform_ip;
  gst_qf_in_place_class_init (trans);
}

static void
gst_qfuse_tag_init (GstQfuseTag *self)
{
  gst_qf_in_place_init (GST_BASE_TRANSFORM (self));
}
