/* GStreamer qfuse: the properties of qfusetrain.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqftrainsettings.h"

enum
{
  PROP_0,
  PROP_MODEL_FILE,
  PROP_START_FILE,
  PROP_CHECKPOINT_FILE,
  PROP_CHECKPOINT_INTERVAL,
  PROP_RESUME,
  PROP_MEMORY_LIMIT,
  PROP_NOISE,
  PROP_MOSAIC,
  PROP_PASTE,
  PROP_PLANES,
  PROP_FRAMES,
  PROP_VALIDATION,
  PROP_LABELS,
  PROP_NETWORK,
  PROP_OPTIMIZER,
  PROP_WEIGHT_BITS,
  PROP_ACTIVATION_BITS,
  PROP_ASSIGNMENT,
  PROP_RANGES,
  PROP_BATCHES_FILE,
  PROP_EVERY,
  PROP_MAX_SAMPLES,
  PROP_SEED,
  PROP_EPOCHS,
  PROP_BATCH_SIZE,
  PROP_THREADS,
  PROP_WIDTH,
  PROP_HEIGHT,
  PROP_RATE,
  PROP_LEARNING_RATE,
  PROP_WEIGHT_DECAY,
  PROP_CLIP_NORM,
  PROP_AVERAGE,
  PROP_MINUTES,
  PROP_ZOOM,
  PROP_SHIFT,
  PROP_BRIGHTNESS,
  PROP_FLIP,
  PROP_QUANTIZE,
  PROP_FIT,
  PROP_HEAD,
  N_PROPS
};

#define GST_TYPE_QFUSE_TRAIN_HEAD (gst_qfuse_train_head_get_type ())
static GType
gst_qfuse_train_head_get_type (void)
{
  static GType type;
  static const GEnumValue values[] = {
    { GST_QF_TRAIN_HEAD_AUTO,
        "Boxes if frames are tagged with boxes, else "
        "actions",
        "auto" },
    { GST_QF_TRAIN_HEAD_FCOS, "Boxes", "fcos" },
    { GST_QF_TRAIN_HEAD_CLASSIFY, "An action of the whole picture",
        "classify" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (
        &type, g_enum_register_static ("GstQfuseTrainHead", values));
  return type;
}

#define GST_TYPE_QFUSE_TRAIN_FIT (gst_qfuse_train_fit_get_type ())
static GType
gst_qfuse_train_fit_get_type (void)
{
  static GType type;
  static const GEnumValue values[] = {
    { QF_FIT_LETTERBOX, "Keeps the aspect, grey borders", "letterbox" },
    { QF_FIT_STRETCH, "Fills the network's input", "stretch" },
    { 0, NULL, NULL },
  };

  if (g_once_init_enter (&type))
    g_once_init_leave (
        &type, g_enum_register_static ("GstQfuseTrainFit", values));
  return type;
}

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
  g_clear_pointer (&s->model_file, g_free);
  g_clear_pointer (&s->start_file, g_free);
  g_clear_pointer (&s->checkpoint_file, g_free);
  g_clear_pointer (&s->planes, g_free);
  g_clear_pointer (&s->frames, g_free);
  g_clear_pointer (&s->validation, g_free);
  g_clear_pointer (&s->labels, g_free);
  g_clear_pointer (&s->network, g_free);
  g_clear_pointer (&s->optimizer, g_free);
  g_clear_pointer (&s->weight_bits, g_free);
  g_clear_pointer (&s->activation_bits, g_free);
  g_clear_pointer (&s->assignment, g_free);
  g_clear_pointer (&s->ranges, g_free);
  g_clear_pointer (&s->batches_file, g_free);
}

void
gst_qf_train_settings_copy (
    GstQfTrainSettings *to, const GstQfTrainSettings *from)
{
  *to = *from;
  to->model_file = g_strdup (from->model_file);
  to->start_file = g_strdup (from->start_file);
  to->checkpoint_file = g_strdup (from->checkpoint_file);
  to->planes = g_strdup (from->planes);
  to->frames = g_strdup (from->frames);
  to->validation = g_strdup (from->validation);
  to->labels = g_strdup (from->labels);
  to->network = g_strdup (from->network);
  to->optimizer = g_strdup (from->optimizer);
  to->weight_bits = g_strdup (from->weight_bits);
  to->activation_bits = g_strdup (from->activation_bits);
  to->assignment = g_strdup (from->assignment);
  to->ranges = g_strdup (from->ranges);
  to->batches_file = g_strdup (from->batches_file);
}

static gchar **
string_of (const GstQfTrainSettings *s, guint id)
{
  GstQfTrainSettings *m = (GstQfTrainSettings *) s;

  switch (id) {
    case PROP_MODEL_FILE:
      return &m->model_file;
    case PROP_START_FILE:
      return &m->start_file;
    case PROP_CHECKPOINT_FILE:
      return &m->checkpoint_file;
    case PROP_PLANES:
      return &m->planes;
    case PROP_FRAMES:
      return &m->frames;
    case PROP_VALIDATION:
      return &m->validation;
    case PROP_LABELS:
      return &m->labels;
    case PROP_NETWORK:
      return &m->network;
    case PROP_OPTIMIZER:
      return &m->optimizer;
    case PROP_WEIGHT_BITS:
      return &m->weight_bits;
    case PROP_ACTIVATION_BITS:
      return &m->activation_bits;
    case PROP_ASSIGNMENT:
      return &m->assignment;
    case PROP_RANGES:
      return &m->ranges;
    case PROP_BATCHES_FILE:
      return &m->batches_file;
    default:
      return NULL;
  }
}

static gdouble *
double_of (const GstQfTrainSettings *s, guint id)
{
  GstQfTrainSettings *m = (GstQfTrainSettings *) s;

  switch (id) {
    case PROP_NOISE:
      return &m->noise;
    case PROP_MOSAIC:
      return &m->mosaic;
    case PROP_PASTE:
      return &m->paste;
    case PROP_CHECKPOINT_INTERVAL:
      return &m->checkpoint_interval;
    case PROP_LEARNING_RATE:
      return &m->learning_rate;
    case PROP_WEIGHT_DECAY:
      return &m->weight_decay;
    case PROP_CLIP_NORM:
      return &m->clip_norm;
    case PROP_AVERAGE:
      return &m->average;
    case PROP_MINUTES:
      return &m->minutes;
    case PROP_ZOOM:
      return &m->zoom;
    case PROP_SHIFT:
      return &m->shift;
    case PROP_BRIGHTNESS:
      return &m->brightness;
    default:
      return NULL;
  }
}

static gint *
int_of (const GstQfTrainSettings *s, guint id)
{
  GstQfTrainSettings *m = (GstQfTrainSettings *) s;

  switch (id) {
    case PROP_EPOCHS:
      return &m->epochs;
    case PROP_BATCH_SIZE:
      return &m->batch_size;
    case PROP_THREADS:
      return &m->threads;
    case PROP_WIDTH:
      return &m->width;
    case PROP_HEIGHT:
      return &m->height;
    default:
      return NULL;
  }
}

gboolean
gst_qf_train_settings_set (GstQfTrainSettings *s, guint id, const GValue *value)
{
  gchar **string = string_of (s, id);
  gdouble *real = double_of (s, id);
  gint *number = int_of (s, id);

  if (string) {
    g_free (*string);
    *string = g_value_dup_string (value);
  } else if (real)
    *real = g_value_get_double (value);
  else if (number)
    *number = g_value_get_int (value);
  else
    switch (id) {
      case PROP_EVERY:
        s->every = g_value_get_uint (value);
        break;
      case PROP_MAX_SAMPLES:
        s->max_samples = g_value_get_uint (value);
        break;
      case PROP_MEMORY_LIMIT:
        s->memory_limit = g_value_get_uint (value);
        break;
      case PROP_SEED:
        s->seed = g_value_get_uint64 (value);
        break;
      case PROP_RATE:
        s->rate_n = gst_value_get_fraction_numerator (value);
        s->rate_d = gst_value_get_fraction_denominator (value);
        break;
      case PROP_FLIP:
        s->flip = g_value_get_boolean (value);
        break;
      case PROP_QUANTIZE:
        s->quantize = g_value_get_boolean (value);
        break;
      case PROP_RESUME:
        s->resume = g_value_get_boolean (value);
        break;
      case PROP_FIT:
        s->fit = g_value_get_enum (value);
        break;
      case PROP_HEAD:
        s->head = g_value_get_enum (value);
        break;
      default:
        return FALSE;
    }
  return TRUE;
}

gboolean
gst_qf_train_settings_get (const GstQfTrainSettings *s, guint id, GValue *value)
{
  gchar **string = string_of (s, id);
  gdouble *real = double_of (s, id);
  gint *number = int_of (s, id);

  if (string)
    g_value_set_string (value, *string);
  else if (real)
    g_value_set_double (value, *real);
  else if (number)
    g_value_set_int (value, *number);
  else
    switch (id) {
      case PROP_EVERY:
        g_value_set_uint (value, s->every);
        break;
      case PROP_MAX_SAMPLES:
        g_value_set_uint (value, s->max_samples);
        break;
      case PROP_MEMORY_LIMIT:
        g_value_set_uint (value, s->memory_limit);
        break;
      case PROP_SEED:
        g_value_set_uint64 (value, s->seed);
        break;
      case PROP_RATE:
        gst_value_set_fraction (value, s->rate_n, s->rate_d);
        break;
      case PROP_FLIP:
        g_value_set_boolean (value, s->flip);
        break;
      case PROP_QUANTIZE:
        g_value_set_boolean (value, s->quantize);
        break;
      case PROP_RESUME:
        g_value_set_boolean (value, s->resume);
        break;
      case PROP_FIT:
        g_value_set_enum (value, s->fit);
        break;
      case PROP_HEAD:
        g_value_set_enum (value, s->head);
        break;
      default:
        return FALSE;
    }
  return TRUE;
}

#define FLAGS                                                                  \
  (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY)

static void
install_files (GObjectClass *klass, const GstQfTrainSettings *d)
{
  g_object_class_install_property (klass, PROP_MODEL_FILE,
      g_param_spec_string ("model-file", "Model file",
          "File that the model is written to, whole, after each epoch that is "
          "the best so far",
          NULL, FLAGS));
  g_object_class_install_property (klass, PROP_START_FILE,
      g_param_spec_string ("start-file", "Start file",
          "Model whose training goes on; its planes, size, rate and labels "
          "hold "
          "where others are not set. None: a new network",
          NULL, FLAGS));
  g_object_class_install_property (klass, PROP_CHECKPOINT_FILE,
      g_param_spec_string ("checkpoint-file", "Checkpoint file",
          "File that holds the whole state of the training, replaced as a "
          "whole "
          "after each epoch and every checkpoint-interval; none: no "
          "checkpoints",
          NULL, FLAGS));
  g_object_class_install_property (klass, PROP_CHECKPOINT_INTERVAL,
      g_param_spec_double ("checkpoint-interval", "Checkpoint interval",
          "Seconds between checkpoints within an epoch; 0: after each batch", 0,
          1e6, d->checkpoint_interval, FLAGS));
  g_object_class_install_property (klass, PROP_RESUME,
      g_param_spec_boolean ("resume", "Resume",
          "Go on from checkpoint-file, where it exists, to the same model as "
          "without a stop; the stream and the settings must be the same",
          d->resume, FLAGS));
  g_object_class_install_property (klass, PROP_PLANES,
      g_param_spec_string ("planes", "Planes",
          "Input planes: Y luma, R, G, B, D<k> difference to the picture k "
          "steps "
          "back, M<k> its magnitude, A<n> difference to the mean of the n "
          "before, each with x<gain> and t<dead band>; as D5x2t8. Not set: "
          "those "
          "of start-file, or Y,D1x2t8,D5x2t8",
          NULL, FLAGS));
  g_object_class_install_property (klass, PROP_LABELS,
      g_param_spec_string ("labels", "Labels",
          "Names of the classes: with commas between them, or a file with one "
          "a "
          "line; not set: those of start-file, or all that frames are tagged "
          "with",
          NULL, FLAGS));
  g_object_class_install_property (klass, PROP_NETWORK,
      g_param_spec_string (
          "network", "Network", "Kind of a new network", d->network, FLAGS));
  g_object_class_install_property (klass, PROP_WIDTH,
      g_param_spec_int ("width", "Width",
          "Width of a new network's input, pixels", 8, 4096, d->width, FLAGS));
  g_object_class_install_property (klass, PROP_HEIGHT,
      g_param_spec_int ("height", "Height",
          "Height of a new network's input, pixels", 8, 4096, d->height,
          FLAGS));
  g_object_class_install_property (klass, PROP_FIT,
      g_param_spec_enum ("fit", "Fit",
          "How pictures of another shape are fitted into a new network's input",
          GST_TYPE_QFUSE_TRAIN_FIT, d->fit, FLAGS));
  g_object_class_install_property (klass, PROP_HEAD,
      g_param_spec_enum ("head", "Head", "What is learnt",
          GST_TYPE_QFUSE_TRAIN_HEAD, d->head, FLAGS));
  g_object_class_install_property (klass, PROP_RATE,
      gst_param_spec_fraction ("rate", "Rate",
          "Steps a second for which distances of differences hold; 0/1: a step "
          "is a frame, and the stream's frame rate is stored",
          0, 1, 1000, 1, 0, 1, FLAGS));
}

static void
install_samples (GObjectClass *klass, const GstQfTrainSettings *d)
{
  g_object_class_install_property (klass, PROP_FRAMES,
      g_param_spec_string ("frames", "Frames",
          "Numbers of the frames to learn from, as 1-500,600-; not set: all",
          NULL, FLAGS));
  g_object_class_install_property (klass, PROP_EVERY,
      g_param_spec_uint ("every", "Every",
          "Learn from every n-th of these frames", 1, G_MAXINT, d->every,
          FLAGS));
  g_object_class_install_property (klass, PROP_VALIDATION,
      g_param_spec_string ("validation", "Validation",
          "What measures the epochs and is not learnt from: a share of the "
          "samples, 0 to 0.9, or numbers of frames, as 401-500",
          d->validation, FLAGS));
  g_object_class_install_property (klass, PROP_MAX_SAMPLES,
      g_param_spec_uint ("max-samples", "Maximum samples",
          "Most samples that are held; of a longer stream these are chosen by "
          "chance (one takes width x height x planes bytes); 0: no limit",
          0, G_MAXINT, d->max_samples, FLAGS));
}

static void
install_memory (GObjectClass *klass, const GstQfTrainSettings *d)
{
  g_object_class_install_property (klass, PROP_MEMORY_LIMIT,
      g_param_spec_uint ("memory-limit", "Memory limit",
          "Megabytes (2^20 bytes) of samples in memory; what is beyond lies in "
          "a "
          "temporary file in $TMPDIR or /var/tmp; 0: no limit",
          0, G_MAXINT, d->memory_limit, FLAGS));
}

static void
install_training (GObjectClass *klass, const GstQfTrainSettings *d)
{
  g_object_class_install_property (klass, PROP_EPOCHS,
      g_param_spec_int ("epochs", "Epochs", "Times that all samples are seen",
          1, 100000, d->epochs, FLAGS));
  g_object_class_install_property (klass, PROP_MINUTES,
      g_param_spec_double ("minutes", "Minutes",
          "Time to finish in, minutes, whatever epochs says; 0: no limit", 0,
          100000, d->minutes, FLAGS));
  g_object_class_install_property (klass, PROP_BATCH_SIZE,
      g_param_spec_int ("batch-size", "Batch size", "Samples a step", 1, 256,
          d->batch_size, FLAGS));
  g_object_class_install_property (klass, PROP_LEARNING_RATE,
      g_param_spec_double ("learning-rate", "Learning rate",
          "Highest learning rate, after the warm-up; 0: as suits the optimizer",
          0, 1000, d->learning_rate, FLAGS));
  g_object_class_install_property (klass, PROP_OPTIMIZER,
      g_param_spec_string ("optimizer", "Optimizer",
          "sgd (Nesterov's momentum) or adamw", d->optimizer, FLAGS));
  g_object_class_install_property (klass, PROP_WEIGHT_BITS,
      g_param_spec_string ("weight-bits", "Weight bits",
          "Bits of weights, 4 or 8: \"4\" for all layers but the first and the "
          "last, \"NAME=8\" for one, commas between; unset: 8",
          NULL, FLAGS));
  g_object_class_install_property (klass, PROP_ACTIVATION_BITS,
      g_param_spec_string ("activation-bits", "Activation bits",
          "Bits of what layers compute, written like weight-bits; unset: 8",
          NULL, FLAGS));
  g_object_class_install_property (klass, PROP_WEIGHT_DECAY,
      g_param_spec_double ("weight-decay", "Weight decay",
          "Share of a convolution weight that a step at rate 1 takes away; -1: "
          "as suits the optimizer",
          -1, 1, d->weight_decay, FLAGS));
  g_object_class_install_property (klass, PROP_CLIP_NORM,
      g_param_spec_double ("clip-norm", "Clip norm",
          "Gradients longer than this are shortened to it; 0: no limit", 0, 1e9,
          d->clip_norm, FLAGS));
  g_object_class_install_property (klass, PROP_ASSIGNMENT,
      g_param_spec_string ("assignment", "Assignment",
          "Which cells learn a box: fixed, those round its centre; tal or "
          "simota, those that do best on it",
          d->assignment, FLAGS));
  g_object_class_install_property (klass, PROP_BATCHES_FILE,
      g_param_spec_string ("batches-file", "Batches file",
          "Train nothing; write the augmented batches in the order in which "
          "they "
          "would be learnt from to this file or pipe, for training elsewhere",
          NULL, FLAGS));
  g_object_class_install_property (klass, PROP_RANGES,
      g_param_spec_string ("ranges", "Ranges",
          "How far quantized outputs of Relu reach: bound, what batch norm makes "
          "likely; minmax, what was seen; learned, from that bound on",
          d->ranges, FLAGS));
  g_object_class_install_property (klass, PROP_AVERAGE,
      g_param_spec_double ("average", "Average",
          "Decay of the weights' average over the steps, which is measured and "
          "written in their place, as 0.998; 0: none",
          0, 0.99999, d->average, FLAGS));
  g_object_class_install_property (klass, PROP_SEED,
      g_param_spec_uint64 ("seed", "Seed",
          "The same seed and stream give the same file, if minutes cuts "
          "nothing "
          "short",
          0, G_MAXUINT64, d->seed, FLAGS));
  g_object_class_install_property (klass, PROP_THREADS,
      g_param_spec_int ("threads", "Threads",
          "Threads that train; 0: as many as the processor runs at once", 0,
          1024, d->threads, FLAGS));
  g_object_class_install_property (klass, PROP_QUANTIZE,
      g_param_spec_boolean ("quantize", "Quantize",
          "Train in int8; off: in float, for comparison", d->quantize, FLAGS));
}

static void
install_augmentation (GObjectClass *klass, const GstQfTrainSettings *d)
{
  g_object_class_install_property (klass, PROP_NOISE,
      g_param_spec_double ("noise", "Noise",
          "Add noise of a standard deviation of up to this, codes, 0 to 64; "
          "differences with a dead band get none",
          0, 64, d->noise, FLAGS));
  g_object_class_install_property (klass, PROP_MOSAIC,
      g_param_spec_double ("mosaic", "Mosaic",
          "Share of samples with boxes that become four in one, 0 to 1", 0, 1,
          d->mosaic, FLAGS));
  g_object_class_install_property (klass, PROP_PASTE,
      g_param_spec_double ("paste", "Paste",
          "Share of samples into which 1 to 3 objects of other samples are "
          "pasted, in all planes, 0 to 1",
          0, 1, d->paste, FLAGS));
  g_object_class_install_property (klass, PROP_FLIP,
      g_param_spec_boolean ("flip", "Flip",
          "Mirror one half of the samples left to right; off where left and "
          "right are different classes",
          d->flip, FLAGS));
  g_object_class_install_property (klass, PROP_ZOOM,
      g_param_spec_double ("zoom", "Zoom",
          "Zoom samples at random by 1/zoom to zoom; 1: not", 1, 16, d->zoom,
          FLAGS));
  g_object_class_install_property (klass, PROP_SHIFT,
      g_param_spec_double ("shift", "Shift",
          "Shift samples at random by up to this share of the picture, 0 to 1",
          0, 1, d->shift, FLAGS));
  g_object_class_install_property (klass, PROP_BRIGHTNESS,
      g_param_spec_double ("brightness", "Brightness",
          "Change brightness and contrast at random by up to this share, 0 to "
          "1",
          0, 1, d->brightness, FLAGS));
}

guint
gst_qf_train_settings_install (GObjectClass *klass)
{
  GstQfTrainSettings d;

  gst_qf_train_settings_init (&d);
  install_files (klass, &d);
  install_samples (klass, &d);
  install_memory (klass, &d);
  install_training (klass, &d);
  install_augmentation (klass, &d);
  gst_qf_train_settings_clear (&d);
  gst_type_mark_as_plugin_api (GST_TYPE_QFUSE_TRAIN_HEAD, 0);
  gst_type_mark_as_plugin_api (GST_TYPE_QFUSE_TRAIN_FIT, 0);
  return N_PROPS;
}
