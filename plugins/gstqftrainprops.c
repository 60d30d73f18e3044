/* GStreamer qfuse: the properties of qfusetrain, as they are installed.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqftrainprops.h"

#include "gstqftrainsettings.h"

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
  g_object_class_install_property (klass, PROP_PICTURE_FILE,
      g_param_spec_string ("picture-file", "Picture file",
          "PNG of some validation samples with what is true and what the model "
          "finds, drawn whenever the model is written",
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
          "samples, 0 to 0.9, or numbers of frames, as 401-500. Frames of a "
          "qfusetag with validation=true measure in any case, and no share is "
          "held back then",
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
          "How far quantized outputs of Relu reach: bound, what batch norm "
          "makes "
          "likely; minmax, what was seen; learned, from that bound on; percentile, from it on so that 1 output "
          "in 10,000 is clipped",
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
  g_object_class_install_property (klass, PROP_SPEED,
      g_param_spec_double ("speed", "Speed",
          "Play samples at 1/speed to speed, at random: differences are made "
          "of the pictures at those distances, after zoom, light and noise, as "
          "in a camera, and all pictures that may be asked for are held; 1: as "
          "they are",
          1, 16, d->speed, FLAGS));
  g_object_class_install_property (klass, PROP_BACKWARDS,
      g_param_spec_boolean ("backwards", "Backwards",
          "Play one half of the samples backwards; boxes only. Pictures are "
          "held as with speed",
          d->backwards, FLAGS));
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
