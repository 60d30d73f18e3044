/* GStreamer qfuse: what framediff is asked for.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstframediff-settings.h"

#define MAX_DISTANCE 60000
#define MAX_SECONDS 3600.0

enum
{
  PROP_0,
  PROP_OUTPUT,
  PROP_MODE,
  PROP_REFERENCE,
  PROP_DISTANCE,
  PROP_DISTANCE_UNIT,
  PROP_LEARNING_RATE,
  PROP_THRESHOLD,
  PROP_NOISE_ADAPTIVE,
  PROP_GAIN,
  PROP_FIND_MOTION,
  PROP_POST_MESSAGES,
  PROP_ATTACH_REGIONS,
  PROP_DROP_STILL,
  PROP_POST_ROLL,
  PROP_PRE_ROLL,
  PROP_MAX_BYTES,
  PROP_START_TIME,
  PROP_STOP_TIME,
  PROP_IGNORE,
  PROP_MIN_AREA,
  PROP_SHADOW
};

static const GstFrameDiffValues defaults = {
  .output = GST_FRAME_DIFF_OUTPUT_IMAGE,
  .mode = GST_FRAME_DIFF_MODE_SIGNED,
  .reference = GST_FRAME_DIFF_REFERENCE_AUTO,
  .unit = GST_FRAME_DIFF_UNIT_FRAMES,
  .distance = 1,
  .learning_rate = 0.005,
  .threshold = -1,
  .gain = 1,
  .stop_time = 1,
  .post_roll = 1,
  .max_bytes = 64 << 20,
  .shadow = -1,
};

static GType
register_enum (GType *type, const gchar *name, const GEnumValue *values)
{
  if (g_once_init_enter (type)) {
    GType t = g_enum_register_static (name, values);

    gst_type_mark_as_plugin_api (t, 0);
    g_once_init_leave (type, t);
  }
  return *type;
}

static GType
output_type (void)
{
  static const GEnumValue values[] = {
    { GST_FRAME_DIFF_OUTPUT_IMAGE, "The frame is replaced by its difference",
        "image" },
    { GST_FRAME_DIFF_OUTPUT_PLANES,
        "The frame stays, planes are attached for networks", "planes" },
    { 0, NULL, NULL }
  };
  static GType type;

  return register_enum (&type, "GstFrameDiffOutput", values);
}

static GType
mode_type (void)
{
  static const GEnumValue values[] = {
    { GST_FRAME_DIFF_MODE_SIGNED,
        "Mid grey: no change; darker and brighter show which way", "signed" },
    { GST_FRAME_DIFF_MODE_ABSOLUTE, "Black: no change; the brighter the more",
        "absolute" },
    { GST_FRAME_DIFF_MODE_HIGHLIGHT,
        "For people: the picture dimmed, what moves painted over it",
        "highlight" },
    { 0, NULL, NULL }
  };
  static GType type;

  return register_enum (&type, "GstFrameDiffMode", values);
}

static GType
reference_type (void)
{
  static const GEnumValue values[] = {
    { GST_FRAME_DIFF_REFERENCE_AUTO,
        "previous for difference pictures, background for motion", "auto" },
    { GST_FRAME_DIFF_REFERENCE_PREVIOUS, "The frame that lies distance back",
        "previous" },
    { GST_FRAME_DIFF_REFERENCE_MEAN,
        "The mean of the frames up to distance "
        "back",
        "mean" },
    { GST_FRAME_DIFF_REFERENCE_BACKGROUND,
        "A running average of all frames: what stands still becomes part of it",
        "background" },
    { 0, NULL, NULL }
  };
  static GType type;

  return register_enum (&type, "GstFrameDiffReference", values);
}

static GType
unit_type (void)
{
  static const GEnumValue values[] = { { GST_FRAME_DIFF_UNIT_FRAMES,
                                           "Distance counts frames", "frames" },
    { GST_FRAME_DIFF_UNIT_TIME, "Distance is milliseconds", "time" },
    { 0, NULL, NULL } };
  static GType type;

  return register_enum (&type, "GstFrameDiffUnit", values);
}

void
gst_frame_diff_settings_init (GstFrameDiffSettings *s)
{
  *s = (GstFrameDiffSettings){ .values = defaults };
}

void
gst_frame_diff_settings_clear (GstFrameDiffSettings *s)
{
  g_clear_pointer (&s->ignore, g_free);
  g_clear_pointer (&s->polygons, qf_polygons_free);
  g_clear_error (&s->ignore_error);
}

#define PLAYING                                                                \
  (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING)
#define CONTROLLED (PLAYING | GST_PARAM_CONTROLLABLE)

static void
add_enum (GObjectClass *o, guint id, const gchar *name, const gchar *nick,
    const gchar *blurb, GType type, gint value, GParamFlags flags)
{
  g_object_class_install_property (
      o, id, g_param_spec_enum (name, nick, blurb, type, value, flags));
}

static void
add_double (GObjectClass *o, guint id, const gchar *name, const gchar *nick,
    const gchar *blurb, gdouble least, gdouble most, gdouble value)
{
  g_object_class_install_property (o, id,
      g_param_spec_double (name, nick, blurb, least, most, value, CONTROLLED));
}

static void
add_boolean (GObjectClass *o, guint id, const gchar *name, const gchar *nick,
    const gchar *blurb, gboolean value)
{
  g_object_class_install_property (
      o, id, g_param_spec_boolean (name, nick, blurb, value, CONTROLLED));
}

static void
install_picture (GObjectClass *o)
{
  add_enum (o, PROP_OUTPUT, "output", "Output",
      "What becomes of the frame: replaced by its difference, or left as it is "
      "with planes attached for networks downstream. Motion is found with "
      "either",
      output_type (), defaults.output, PLAYING);
  add_enum (o, PROP_MODE, "mode", "Mode",
      "How the picture shows the difference with output=image", mode_type (),
      defaults.mode, CONTROLLED);
  add_enum (o, PROP_REFERENCE, "reference", "Reference",
      "What a frame is compared with, in images and to find motion; planes "
      "follow the networks alone",
      reference_type (), defaults.reference, CONTROLLED);
  g_object_class_install_property (o, PROP_DISTANCE,
      g_param_spec_uint ("distance", "Distance",
          "How far back the reference lies, or the mean reaches: frames (at "
          "most 250), or milliseconds with distance-unit=time",
          1, MAX_DISTANCE, defaults.distance, CONTROLLED));
  add_enum (o, PROP_DISTANCE_UNIT, "distance-unit", "Distance unit",
      "What distance counts; without timestamps, time goes by the frame rate",
      unit_type (), defaults.unit, CONTROLLED);
  add_double (o, PROP_LEARNING_RATE, "learning-rate", "Learning rate",
      "Share by which the background follows each frame, 0 (the first frame "
      "stays) to 0.5; what stands still becomes background after about half "
      "its inverse in frames",
      0, 0.5, defaults.learning_rate);
  g_object_class_install_property (o, PROP_THRESHOLD,
      g_param_spec_int ("threshold", "Threshold",
          "Dead band: differences of luma up to this, 0 to 255, count as none, "
          "and above 0 single changed pixels do not count; -1: auto, 0 in "
          "images, and where motion is found it follows the noise from 10 up",
          -1, 255, defaults.threshold, CONTROLLED));
  add_boolean (o, PROP_NOISE_ADAPTIVE, "noise-adaptive", "Noise-adaptive",
      "The dead band follows the sensor's noise, in images too; threshold is "
      "then the least dead band",
      defaults.noise_adaptive);
  g_object_class_install_property (o, PROP_GAIN,
      g_param_spec_uint ("gain", "Gain",
          "Factor of the difference in an image, 1 to 255; signed images show "
          "half the difference times this",
          1, 255, defaults.gain, CONTROLLED));
}

static void
install_motion (GObjectClass *o)
{
  add_boolean (o, PROP_FIND_MOTION, "find-motion", "Find motion",
      "Find what moves and tell it in a QfuseMotionMeta on each frame; "
      "post-messages, attach-regions, drop-still and mode=highlight do it "
      "anyway",
      defaults.find_motion);
  add_boolean (o, PROP_POST_MESSAGES, "post-messages", "Post messages",
      "Post an element message qfuse-motion where motion starts and stops, "
      "with the boxes of what moves",
      defaults.post_messages);
  add_boolean (o, PROP_ATTACH_REGIONS, "attach-regions", "Attach regions",
      "Attach what moves as regions of interest of type motion, which "
      "qfuseoverlay draws and qfusewrite writes",
      defaults.attach_regions);
  add_double (o, PROP_START_TIME, "start-time", "Start time",
      "How long motion must last to count, in seconds, 0 to 3600", 0,
      MAX_SECONDS, defaults.start_time);
  add_double (o, PROP_STOP_TIME, "stop-time", "Stop time",
      "How long nothing must move for motion to have stopped, in seconds, 0 to "
      "3600",
      0, MAX_SECONDS, defaults.stop_time);
  g_object_class_install_property (o, PROP_IGNORE,
      g_param_spec_string ("ignore", "Ignore",
          "Where nothing counts as motion: polygons in relative coordinates, 0 "
          "to 1 from the left top corner, as \"0,0 0.5,0 0.5,0.2; 0.8,0.8 "
          "1,0.8 1,1\"",
          NULL, PLAYING));
  add_double (o, PROP_MIN_AREA, "min-area", "Least area",
      "Least moving area, as a share of the picture, 0 to 1, that counts; 0: "
      "chosen by the size of the picture",
      0, 1, defaults.min_area);
  add_double (o, PROP_SHADOW, "shadow", "Shadow",
      "What is darker than the reference by up to this share, 0 to 0.9, is a "
      "shadow and no motion; 0: there are none, as in infrared; -1: auto, 0.25",
      -1, 0.9, defaults.shadow);
}

static void
install_gate (GObjectClass *o)
{
  add_boolean (o, PROP_DROP_STILL, "drop-still", "Drop still frames",
      "Pass only frames in which something moves, and those around them: "
      "pre-roll, post-roll",
      defaults.drop_still);
  add_double (o, PROP_POST_ROLL, "post-roll", "Post-roll",
      "Seconds that pass after the last motion with drop-still, 0 to 3600", 0,
      MAX_SECONDS, defaults.post_roll);
  add_double (o, PROP_PRE_ROLL, "pre-roll", "Pre-roll",
      "Seconds before motion that pass with drop-still, 0 to 3600; they are "
      "copied, and are latency",
      0, MAX_SECONDS, defaults.pre_roll);
  g_object_class_install_property (o, PROP_MAX_BYTES,
      g_param_spec_uint64 ("max-bytes", "Most bytes",
          "Most bytes that pre-roll may hold; the oldest frames are dropped", 0,
          G_MAXUINT64, defaults.max_bytes, CONTROLLED));
}

void
gst_frame_diff_settings_install (GObjectClass *object)
{
  install_picture (object);
  install_motion (object);
  install_gate (object);
}

static void
set_ignore (GstFrameDiffSettings *s, const gchar *text)
{
  gst_frame_diff_settings_clear (s);
  s->ignore = g_strdup (text);
  s->polygons = qf_polygons_parse (text, &s->ignore_error);
  s->values.ignore_serial++;
}

gboolean
gst_frame_diff_settings_set (
    GstFrameDiffSettings *s, guint id, const GValue *value)
{
  GstFrameDiffValues *v = &s->values;

  switch (id) {
#define SET(prop, member, type)                                                \
  case prop:                                                                   \
    v->member = g_value_get_##type (value);                                    \
    return TRUE
    SET (PROP_OUTPUT, output, enum);
    SET (PROP_MODE, mode, enum);
    SET (PROP_REFERENCE, reference, enum);
    SET (PROP_DISTANCE, distance, uint);
    SET (PROP_DISTANCE_UNIT, unit, enum);
    SET (PROP_LEARNING_RATE, learning_rate, double);
    SET (PROP_THRESHOLD, threshold, int);
    SET (PROP_NOISE_ADAPTIVE, noise_adaptive, boolean);
    SET (PROP_GAIN, gain, uint);
    SET (PROP_FIND_MOTION, find_motion, boolean);
    SET (PROP_POST_MESSAGES, post_messages, boolean);
    SET (PROP_ATTACH_REGIONS, attach_regions, boolean);
    SET (PROP_DROP_STILL, drop_still, boolean);
    SET (PROP_POST_ROLL, post_roll, double);
    SET (PROP_PRE_ROLL, pre_roll, double);
    SET (PROP_MAX_BYTES, max_bytes, uint64);
    SET (PROP_START_TIME, start_time, double);
    SET (PROP_STOP_TIME, stop_time, double);
    SET (PROP_MIN_AREA, min_area, double);
    SET (PROP_SHADOW, shadow, double);
#undef SET
    case PROP_IGNORE:
      set_ignore (s, g_value_get_string (value));
      return TRUE;
    default:
      return FALSE;
  }
}

gboolean
gst_frame_diff_settings_get (
    const GstFrameDiffSettings *s, guint id, GValue *value)
{
  const GstFrameDiffValues *v = &s->values;

  switch (id) {
#define GET(prop, member, type)                                                \
  case prop:                                                                   \
    g_value_set_##type (value, v->member);                                     \
    return TRUE
    GET (PROP_OUTPUT, output, enum);
    GET (PROP_MODE, mode, enum);
    GET (PROP_REFERENCE, reference, enum);
    GET (PROP_DISTANCE, distance, uint);
    GET (PROP_DISTANCE_UNIT, unit, enum);
    GET (PROP_LEARNING_RATE, learning_rate, double);
    GET (PROP_THRESHOLD, threshold, int);
    GET (PROP_NOISE_ADAPTIVE, noise_adaptive, boolean);
    GET (PROP_GAIN, gain, uint);
    GET (PROP_FIND_MOTION, find_motion, boolean);
    GET (PROP_POST_MESSAGES, post_messages, boolean);
    GET (PROP_ATTACH_REGIONS, attach_regions, boolean);
    GET (PROP_DROP_STILL, drop_still, boolean);
    GET (PROP_POST_ROLL, post_roll, double);
    GET (PROP_PRE_ROLL, pre_roll, double);
    GET (PROP_MAX_BYTES, max_bytes, uint64);
    GET (PROP_START_TIME, start_time, double);
    GET (PROP_STOP_TIME, stop_time, double);
    GET (PROP_MIN_AREA, min_area, double);
    GET (PROP_SHADOW, shadow, double);
#undef GET
    case PROP_IGNORE:
      g_value_set_string (value, s->ignore);
      return TRUE;
    default:
      return FALSE;
  }
}

gboolean
gst_frame_diff_values_want_motion (const GstFrameDiffValues *v)
{
  return v->find_motion || v->post_messages || v->attach_regions ||
      v->drop_still ||
      (v->output == GST_FRAME_DIFF_OUTPUT_IMAGE &&
          v->mode == GST_FRAME_DIFF_MODE_HIGHLIGHT);
}

GstClockTime
gst_frame_diff_values_latency (const GstFrameDiffValues *v)
{
  return v->drop_still ? (GstClockTime) (v->pre_roll * (gdouble) GST_SECOND)
                       : 0;
}
