/* GStreamer qfuse: qfusewrite writes detections to a file.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-qfusewrite
 * @title: qfusewrite
 * @short_description: writes detections to a file
 *
 * Writes what was found on each frame and passes the stream on untouched. JSON
 * Lines have one line a frame, also where nothing was found:
 *
 * |[
 * {"frame":1,"pts":33366666,"width":768,"height":576,"detections":[{"label":"person","label_id":0,"score":0.93,"box":[10,20.5,30,81],"id":3}],"action":{"label":"fall","score":0.8}}
 * ]|
 *
 * `frame` counts from 1 by the rule of qfusetag, `pts` is stream time in
 * nanoseconds, boxes are x, y, width, height in pixels of the frame; members
 * that are not known are left out. Key points (of faces, poses) are the member
 * `points` of a detection, an array of [x, y, score].
 *
 * The file takes its name at the end of the stream, or when the element stops
 * after a frame has passed: nobody ever sees a half-written line, and stopping
 * early keeps all lines so far. After a failed write nothing is left. Frames
 * that pass after the end of the stream (a seek back) are appended.
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! qfusedetect
 * model-file=pedestrian.onnx ! qfusewrite location=found.jsonl ! fakesink
 * ]| Writes the people of a recording to found.jsonl.
 * |[
 * gst-launch-1.0 filesrc location=vtest.avi ! decodebin ! videoconvert !
 * framediff output=planes attach-regions=true ! qfusewrite
 * location=moving.jsonl ! fakesink
 * ]| Writes what moves, without a network.
 */
#include "gstqfusewrite.h"

#include "gstqfmeta-private.h"
#include "gstqfnumber.h"
#include "gstqfoutput.h"
#include "qfuse.h"

#include <math.h>

GST_DEBUG_CATEGORY_STATIC (gst_qfuse_write_debug);
#define GST_CAT_DEFAULT gst_qfuse_write_debug

typedef enum
{
  GST_QFUSE_WRITE_FORMAT_JSONL,
  GST_QFUSE_WRITE_FORMAT_MOT
} GstQfuseWriteFormat;

#define GST_TYPE_QFUSE_WRITE_FORMAT (gst_qfuse_write_format_get_type ())
static GType
gst_qfuse_write_format_get_type (void)
{
  static GType type;
  static const GEnumValue values[] = {
    { GST_QFUSE_WRITE_FORMAT_JSONL, "JSON Lines, one line a frame", "jsonl" },
    { GST_QFUSE_WRITE_FORMAT_MOT, "MOTChallenge text, one line a box", "mot" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (
        &type, g_enum_register_static ("GstQfuseWriteFormat", values));
  return type;
}

enum
{
  PROP_0,
  PROP_LOCATION,
  PROP_FORMAT
};

struct _GstQfuseWrite
{
  GstBaseTransform parent;

  /* properties, under the object lock */
  gchar *location;
  GstQfuseWriteFormat format;

  /* from start() to stop() */
  GstQfOutput *output; /* NULL after a failed write */
  GstQfuseWriteFormat writing;
  gboolean frames; /* one has passed */

  /* the streaming thread's */
  gint width, height; /* of the frame, pixels */
  GstQfNumber number;
  GstQfFound found;
  GString *text;
};

#define WRITE_CAPS GST_STATIC_CAPS ("video/x-raw(ANY)")

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, WRITE_CAPS);
static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS, WRITE_CAPS);

G_DEFINE_TYPE (GstQfuseWrite, gst_qfuse_write, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE_WITH_CODE (qfusewrite, "qfusewrite", GST_RANK_NONE,
    GST_TYPE_QFUSE_WRITE,
    GST_DEBUG_CATEGORY_INIT (
        gst_qfuse_write_debug, "qfusewrite", 0, "detections to files"))

static void
gst_qfuse_write_set_property (
    GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  GstQfuseWrite *self = GST_QFUSE_WRITE (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_LOCATION:
      g_free (self->location);
      self->location = g_value_dup_string (value);
      break;
    case PROP_FORMAT:
      self->format = g_value_get_enum (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static void
gst_qfuse_write_get_property (
    GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  GstQfuseWrite *self = GST_QFUSE_WRITE (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
    case PROP_LOCATION:
      g_value_set_string (value, self->location);
      break;
    case PROP_FORMAT:
      g_value_set_enum (value, self->format);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static gboolean
gst_qfuse_write_start (GstBaseTransform *trans)
{
  GstQfuseWrite *self = GST_QFUSE_WRITE (trans);
  g_autofree gchar *location = NULL;
  g_autoptr (GError) error = NULL;

  GST_OBJECT_LOCK (self);
  location = g_strdup (self->location);
  self->writing = self->format;
  GST_OBJECT_UNLOCK (self);

  gst_qf_number_init (&self->number);
  self->width = self->height = 0;
  self->frames = FALSE;
  if (!location || *location == '\0') {
    GST_ELEMENT_ERROR (self, RESOURCE, SETTINGS,
        ("No file to write detections to: set location."), (NULL));
    return FALSE;
  }
  self->output = gst_qf_output_open (location, &error);
  if (!self->output) {
    GST_ELEMENT_ERROR (
        self, RESOURCE, OPEN_WRITE, ("%s", error->message), (NULL));
    return FALSE;
  }
  return TRUE;
}

static void
write_failed (GstQfuseWrite *self, const GError *error)
{
  g_clear_pointer (&self->output, gst_qf_output_free);
  GST_ELEMENT_ERROR (self, RESOURCE, WRITE, ("%s", error->message), (NULL));
}

static gboolean
publish (GstQfuseWrite *self)
{
  g_autoptr (GError) error = NULL;

  if (!self->output || gst_qf_output_publish (self->output, &error))
    return self->output != NULL;
  write_failed (self, error);
  return FALSE;
}

static gboolean
gst_qfuse_write_stop (GstBaseTransform *trans)
{
  GstQfuseWrite *self = GST_QFUSE_WRITE (trans);

  if (self->frames)
    publish (self);
  g_clear_pointer (&self->output, gst_qf_output_free);
  return TRUE;
}

static gboolean
gst_qfuse_write_set_caps (
    GstBaseTransform *trans, GstCaps *incaps, GstCaps *outcaps)
{
  GstQfuseWrite *self = GST_QFUSE_WRITE (trans);
  const GstStructure *s = gst_caps_get_structure (incaps, 0);

  return gst_structure_get_int (s, "width", &self->width) &&
      gst_structure_get_int (s, "height", &self->height);
}

static gboolean
gst_qfuse_write_sink_event (GstBaseTransform *trans, GstEvent *event)
{
  GstQfuseWrite *self = GST_QFUSE_WRITE (trans);

  gst_qf_number_event (&self->number, event);
  if (GST_EVENT_TYPE (event) == GST_EVENT_EOS && !publish (self)) {
    gst_event_unref (event);
    return FALSE;
  }
  return GST_BASE_TRANSFORM_CLASS (gst_qfuse_write_parent_class)
      ->sink_event (trans, event);
}

/* At most @decimals, none that are 0; the same in every locale. */
static void
append_number (GString *text, gdouble v, gint decimals)
{
  gchar format[8], number[G_ASCII_DTOSTR_BUF_SIZE];
  gsize n;

  if (!isfinite (v) || fabs (v) > 1e9)
    v = 0;
  g_snprintf (format, sizeof (format), "%%.%df", decimals);
  g_ascii_formatd (number, sizeof (number), format, v);
  for (n = strlen (number); number[n - 1] == '0'; n--)
    ;
  if (number[n - 1] == '.')
    n--;
  number[n] = '\0';
  g_string_append (text, g_str_equal (number, "-0") ? "0" : number);
}

static void
append_string (GString *text, const gchar *s)
{
  g_autofree gchar *valid = g_utf8_make_valid (s, -1);

  g_string_append_c (text, '"');
  for (const guchar *c = (const guchar *) valid; *c; c++) {
    if (*c == '"' || *c == '\\')
      g_string_append_printf (text, "\\%c", *c);
    else if (*c < 0x20 || *c == 0x7f)
      g_string_append_printf (text, "\\u%04x", *c);
    else
      g_string_append_c (text, (gchar) *c);
  }
  g_string_append_c (text, '"');
}

static void
append_detection (GString *text, const QfuseDetection *d)
{
  const gfloat box[] = { d->x, d->y, d->w, d->h };

  g_string_append_c (text, '{');
  if (d->label) {
    g_string_append (text, "\"label\":");
    append_string (text, g_quark_to_string (d->label));
    g_string_append_c (text, ',');
  }
  if (d->label_id >= 0)
    g_string_append_printf (text, "\"label_id\":%d,", d->label_id);
  g_string_append (text, "\"score\":");
  append_number (text, d->score, 5);
  for (gint i = 0; i < 4; i++) {
    g_string_append (text, i == 0 ? ",\"box\":[" : ",");
    append_number (text, box[i], 3);
  }
  g_string_append_c (text, ']');
  for (guint i = 0; i < d->n_points; i++) {
    const QfuseKeyPoint *p = &d->points[i];

    g_string_append (text, i == 0 ? ",\"points\":[[" : ",[");
    append_number (text, p->x, 3);
    g_string_append_c (text, ',');
    append_number (text, p->y, 3);
    g_string_append_c (text, ',');
    append_number (text, p->score, 5);
    g_string_append (text, i + 1 < d->n_points ? "]" : "]]");
  }
  if (d->id > 0)
    g_string_append_printf (text, ",\"id\":%d", d->id);
  g_string_append_c (text, '}');
}

static void
append_line (GstQfuseWrite *self, gint frame, GstClockTime time)
{
  GString *text = self->text;
  const GArray *d = self->found.detections;

  g_string_append_c (text, '{');
  if (frame > 0)
    g_string_append_printf (text, "\"frame\":%d,", frame);
  if (GST_CLOCK_TIME_IS_VALID (time))
    g_string_append_printf (text, "\"pts\":%" G_GUINT64_FORMAT ",", time);
  g_string_append_printf (text, "\"width\":%d,\"height\":%d,\"detections\":[",
      self->width, self->height);
  for (guint i = 0; i < d->len; i++) {
    if (i > 0)
      g_string_append_c (text, ',');
    append_detection (text, &g_array_index (d, QfuseDetection, i));
  }
  g_string_append_c (text, ']');
  if (self->found.action) {
    g_string_append (text, ",\"action\":{\"label\":");
    append_string (text, g_quark_to_string (self->found.action));
    g_string_append (text, ",\"score\":");
    append_number (text, self->found.action_score, 5);
    g_string_append_c (text, '}');
  }
  g_string_append (text, "}\n");
}

static void
append_mot (GstQfuseWrite *self, gint frame)
{
  const GArray *d = self->found.detections;
  g_autofree QfBox *boxes = g_new0 (QfBox, d->len);

  for (guint i = 0; i < d->len; i++) {
    const QfuseDetection *f = &g_array_index (d, QfuseDetection, i);

    boxes[i] = (QfBox){ .x = f->x,
      .y = f->y,
      .w = f->w,
      .h = f->h,
      .score = f->score,
      .label = f->label_id,
      .id = f->id };
  }
  /* a file without frame numbers would say nothing */
  if (frame > 0)
    qf_mot_append (self->text, frame, boxes, (int) d->len);
}

static GstFlowReturn
gst_qfuse_write_transform_ip (GstBaseTransform *trans, GstBuffer *buffer)
{
  GstQfuseWrite *self = GST_QFUSE_WRITE (trans);
  g_autoptr (GError) error = NULL;
  GstClockTime time;
  gint frame;

  if (!self->output)
    return GST_FLOW_ERROR;
  frame = gst_qf_number_next (&self->number, buffer, GST_ELEMENT (self), &time);
  gst_qf_found_read (&self->found, buffer, self->width, self->height);
  g_string_truncate (self->text, 0);
  if (self->writing == GST_QFUSE_WRITE_FORMAT_MOT)
    append_mot (self, frame);
  else
    append_line (self, frame, time);

  self->frames = TRUE;
  if (gst_qf_output_write (
          self->output, self->text->str, self->text->len, &error))
    return GST_FLOW_OK;
  write_failed (self, error);
  return GST_FLOW_ERROR;
}

static void
gst_qfuse_write_finalize (GObject *object)
{
  GstQfuseWrite *self = GST_QFUSE_WRITE (object);

  g_free (self->location);
  gst_qf_found_clear (&self->found);
  g_string_free (self->text, TRUE);
  G_OBJECT_CLASS (gst_qfuse_write_parent_class)->finalize (object);
}

static void
gst_qfuse_write_class_init (GstQfuseWriteClass *klass)
{
  GObjectClass *object = G_OBJECT_CLASS (klass);
  GstElementClass *element = GST_ELEMENT_CLASS (klass);
  GstBaseTransformClass *trans = GST_BASE_TRANSFORM_CLASS (klass);
  const GParamFlags ready =
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;

  object->set_property = gst_qfuse_write_set_property;
  object->get_property = gst_qfuse_write_get_property;
  object->finalize = gst_qfuse_write_finalize;

  g_object_class_install_property (object, PROP_LOCATION,
      g_param_spec_string ("location", "Location",
          "File to write to; - is standard output", NULL, ready));
  g_object_class_install_property (object, PROP_FORMAT,
      g_param_spec_enum ("format", "Format", "Format of the file",
          GST_TYPE_QFUSE_WRITE_FORMAT, GST_QFUSE_WRITE_FORMAT_JSONL, ready));

  gst_element_class_set_static_metadata (element, "Detections writer",
      "Filter/Analyzer/Video",
      "Writes what was found on video frames to a file", "The qfuse authors");
  gst_element_class_add_static_pad_template (element, &sink_template);
  gst_element_class_add_static_pad_template (element, &src_template);
  gst_type_mark_as_plugin_api (GST_TYPE_QFUSE_WRITE_FORMAT, 0);

  trans->start = gst_qfuse_write_start;
  trans->stop = gst_qfuse_write_stop;
  trans->set_caps = gst_qfuse_write_set_caps;
  trans->sink_event = gst_qfuse_write_sink_event;
  trans->transform_ip = gst_qfuse_write_transform_ip;
  trans->transform_ip_on_passthrough = TRUE;
}

static void
gst_qfuse_write_init (GstQfuseWrite *self)
{
  GstBaseTransform *trans = GST_BASE_TRANSFORM (self);

  /* passthrough: buffers are only read and go on as they are */
  gst_base_transform_set_passthrough (trans, TRUE);
  gst_base_transform_set_gap_aware (trans, TRUE);
  gst_base_transform_set_qos_enabled (trans, FALSE);
  gst_qf_found_init (&self->found);
  self->text = g_string_new (NULL);
}
