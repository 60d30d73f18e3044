/* GStreamer qfuse: the settings of qfusetrain.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqftrainsettings.h"

#include "gstqftrainprops.h"

typedef enum
{
  NONE, /* not in the table */
  STRING,
  REAL,
  INT,
  UINT,
  UINT64,
  BOOLEAN,
  ENUM
} Kind;

#define FIELD(id, kind, member)                                                \
  [PROP_##id] = { kind, G_STRUCT_OFFSET (GstQfTrainSettings, member) }

/* Where each property is kept; the rate has two numbers. */
static const struct
{
  Kind kind;
  gsize at;
} fields[N_PROPS] = {
  FIELD (MODEL_FILE, STRING, model_file),
  FIELD (START_FILE, STRING, start_file),
  FIELD (CHECKPOINT_FILE, STRING, checkpoint_file),
  FIELD (PLANES, STRING, planes),
  FIELD (FRAMES, STRING, frames),
  FIELD (VALIDATION, STRING, validation),
  FIELD (LABELS, STRING, labels),
  FIELD (NETWORK, STRING, network),
  FIELD (OPTIMIZER, STRING, optimizer),
  FIELD (WEIGHT_BITS, STRING, weight_bits),
  FIELD (ACTIVATION_BITS, STRING, activation_bits),
  FIELD (ASSIGNMENT, STRING, assignment),
  FIELD (RANGES, STRING, ranges),
  FIELD (BATCHES_FILE, STRING, batches_file),
  FIELD (PICTURE_FILE, STRING, picture_file),
  FIELD (CHECKPOINT_INTERVAL, REAL, checkpoint_interval),
  FIELD (NOISE, REAL, noise),
  FIELD (MOSAIC, REAL, mosaic),
  FIELD (PASTE, REAL, paste),
  FIELD (LEARNING_RATE, REAL, learning_rate),
  FIELD (WEIGHT_DECAY, REAL, weight_decay),
  FIELD (CLIP_NORM, REAL, clip_norm),
  FIELD (AVERAGE, REAL, average),
  FIELD (MINUTES, REAL, minutes),
  FIELD (ZOOM, REAL, zoom),
  FIELD (SHIFT, REAL, shift),
  FIELD (BRIGHTNESS, REAL, brightness),
  FIELD (SPEED, REAL, speed),
  FIELD (EPOCHS, INT, epochs),
  FIELD (BATCH_SIZE, INT, batch_size),
  FIELD (THREADS, INT, threads),
  FIELD (WIDTH, INT, width),
  FIELD (HEIGHT, INT, height),
  FIELD (EVERY, UINT, every),
  FIELD (MAX_SAMPLES, UINT, max_samples),
  FIELD (MEMORY_LIMIT, UINT, memory_limit),
  FIELD (SEED, UINT64, seed),
  FIELD (RESUME, BOOLEAN, resume),
  FIELD (BACKWARDS, BOOLEAN, backwards),
  FIELD (FLIP, BOOLEAN, flip),
  FIELD (QUANTIZE, BOOLEAN, quantize),
  FIELD (FIT, ENUM, fit),
  FIELD (HEAD, ENUM, head),
};

#define AT(type, s, id) G_STRUCT_MEMBER (type, s, fields[id].at)

void
gst_qf_train_settings_init (GstQfTrainSettings *s)
{
  QfTrainOptions o;

  qf_train_options_init (&o);
  *s = (GstQfTrainSettings){
    .validation = g_strdup ("0.1"),
    .network = g_strdup (o.network),
    .optimizer = g_strdup (o.optimizer),
    .assignment = g_strdup (o.assign),
    .ranges = g_strdup (o.ranges),
    .every = 1,
    .max_samples = 4000,
    .seed = o.seed,
    .epochs = o.epochs,
    .batch_size = o.batch_size,
    .threads = o.threads,
    .width = o.width,
    .height = o.height,
    .rate_n = 0,
    .rate_d = 1,
    .learning_rate = o.learning_rate,
    .weight_decay = o.weight_decay,
    .clip_norm = o.clip_norm,
    .average = o.average,
    .minutes = o.minutes,
    .zoom = o.zoom_max,
    .shift = o.shift,
    .brightness = o.brightness,
    .speed = o.speed,
    .backwards = o.backwards,
    .flip = o.flip,
    .quantize = o.quantize,
    .checkpoint_interval = o.checkpoint_seconds,
    .fit = o.fit,
    .head = GST_QF_TRAIN_HEAD_AUTO,
  };
}

void
gst_qf_train_settings_clear (GstQfTrainSettings *s)
{
  for (guint id = 0; id < N_PROPS; id++)
    if (fields[id].kind == STRING)
      g_clear_pointer (&AT (gchar *, s, id), g_free);
}

void
gst_qf_train_settings_copy (
    GstQfTrainSettings *to, const GstQfTrainSettings *from)
{
  *to = *from;
  for (guint id = 0; id < N_PROPS; id++)
    if (fields[id].kind == STRING)
      AT (gchar *, to, id) = g_strdup (AT (gchar *, from, id));
}

gboolean
gst_qf_train_settings_set (GstQfTrainSettings *s, guint id, const GValue *value)
{
  if (id == PROP_RATE) {
    s->rate_n = gst_value_get_fraction_numerator (value);
    s->rate_d = gst_value_get_fraction_denominator (value);
    return TRUE;
  }
  switch (id < N_PROPS ? fields[id].kind : NONE) {
    case STRING:
      g_free (AT (gchar *, s, id));
      AT (gchar *, s, id) = g_value_dup_string (value);
      return TRUE;
    case REAL:
      AT (gdouble, s, id) = g_value_get_double (value);
      return TRUE;
    case INT:
      AT (gint, s, id) = g_value_get_int (value);
      return TRUE;
    case UINT:
      AT (guint, s, id) = g_value_get_uint (value);
      return TRUE;
    case UINT64:
      AT (guint64, s, id) = g_value_get_uint64 (value);
      return TRUE;
    case BOOLEAN:
      AT (gboolean, s, id) = g_value_get_boolean (value);
      return TRUE;
    case ENUM:
      AT (gint, s, id) = g_value_get_enum (value);
      return TRUE;
    case NONE:
      break;
  }
  return FALSE;
}

gboolean
gst_qf_train_settings_get (const GstQfTrainSettings *s, guint id, GValue *value)
{
  if (id == PROP_RATE) {
    gst_value_set_fraction (value, s->rate_n, s->rate_d);
    return TRUE;
  }
  switch (id < N_PROPS ? fields[id].kind : NONE) {
    case STRING:
      g_value_set_string (value, AT (gchar *, s, id));
      return TRUE;
    case REAL:
      g_value_set_double (value, AT (gdouble, s, id));
      return TRUE;
    case INT:
      g_value_set_int (value, AT (gint, s, id));
      return TRUE;
    case UINT:
      g_value_set_uint (value, AT (guint, s, id));
      return TRUE;
    case UINT64:
      g_value_set_uint64 (value, AT (guint64, s, id));
      return TRUE;
    case BOOLEAN:
      g_value_set_boolean (value, AT (gboolean, s, id));
      return TRUE;
    case ENUM:
      g_value_set_enum (value, AT (gint, s, id));
      return TRUE;
    case NONE:
      break;
  }
  return FALSE;
}
