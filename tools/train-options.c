/* qfuse train: its options.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train-options.h"

#include <stdio.h>

#include "base/error.h"

#define UNSET (-G_MAXDOUBLE) /* NAN may be given */

void
train_options_init (TrainOptions *o)
{
  *o = (TrainOptions){ .every = 1,
    .epochs = G_MININT,
    .batch_size = G_MININT,
    .threads = G_MININT,
    .max_samples = G_MININT,
    .memory_limit = G_MININT,
    .minutes = UNSET,
    .learning_rate = UNSET,
    .checkpoint_interval = UNSET,
    .weight_decay = UNSET,
    .clip_norm = UNSET,
    .average = UNSET,
    .zoom = UNSET,
    .shift = UNSET,
    .brightness = UNSET,
    .speed = UNSET,
    .noise = UNSET,
    .mosaic = UNSET,
    .paste = UNSET,
    .seed = 1 };
}

/* Where in TrainOptions a value goes; train_entries() adds the address. */
#define PLACE(member) GSIZE_TO_POINTER (G_STRUCT_OFFSET (TrainOptions, member))

static const GOptionEntry entries[] = {
  { "output", 'o', 0, G_OPTION_ARG_FILENAME, PLACE (output),
      "Where the model is written, after each epoch that is the best so far",
      "MODEL" },
  { "start", 'm', 0, G_OPTION_ARG_FILENAME, PLACE (start),
      "Go on from this model (default: a new network)", "START" },
  { "planes", 'p', 0, G_OPTION_ARG_STRING, PLACE (planes),
      "What the network sees: Y the picture, D5 its difference to 5 pictures "
      "before; with gain and dead band D5x2t8 (default: START's, or "
      "Y,D1x2t8,D5x2t8)",
      "P" },
  { "size", 0, 0, G_OPTION_ARG_STRING, PLACE (size),
      "Input of a new network in pixels (default 320x240)", "WxH" },
  { "network", 0, 0, G_OPTION_ARG_STRING, PLACE (network),
      "Kind of a new network: nano (default), small, base; see qfuse new",
      "NAME" },
  { "fit", 0, 0, G_OPTION_ARG_STRING, PLACE (fit),
      "How pictures fit in: letterbox (default) or stretch", "FIT" },
  { "head", 0, 0, G_OPTION_ARG_STRING, PLACE (head),
      "fcos (boxes), classify (actions); default: what the clips are tagged "
      "with",
      "HEAD" },
  { "labels", 'l', 0, G_OPTION_ARG_STRING, PLACE (labels),
      "Names of the classes, commas between, or a file with one a line",
      "NAMES" },
  { "frames", 'f', 0, G_OPTION_ARG_STRING, PLACE (frames),
      "Frames to learn from, from 1, as 1-500 (default: all)", "A-B" },
  { "every", 0, 0, G_OPTION_ARG_INT, PLACE (every),
      "Of these every N-th (default 1)", "N" },
  { "validation", 0, 0, G_OPTION_ARG_STRING, PLACE (validation),
      "What measures the epochs: a share of the samples, or frames as "
      "401-500 "
      "(default 0.1)",
      "V" },
  { "validation-clips", 0, 0, G_OPTION_ARG_FILENAME_ARRAY,
      PLACE (validation_clips),
      "What measures the epochs instead: this clip, or folder or @LIST of "
      "clips; may be given several times",
      "CLIP" },
  { "epochs", 'e', 0, G_OPTION_ARG_INT, PLACE (epochs),
      "Times that all samples are seen (default 12)", "N" },
  { "minutes", 0, 0, G_OPTION_ARG_DOUBLE, PLACE (minutes),
      "Be ready in this time, whatever --epochs says", "M" },
  { "batch-size", 0, 0, G_OPTION_ARG_INT, PLACE (batch_size),
      "Samples a step (default 16)", "N" },
  { "learning-rate", 0, 0, G_OPTION_ARG_DOUBLE, PLACE (learning_rate),
      "The highest learning rate (default: as suits the optimizer)", "R" },
  { "optimizer", 0, 0, G_OPTION_ARG_STRING, PLACE (optimizer),
      "sgd (default, Nesterov's momentum) or adamw", "NAME" },
  { "weight-bits", 0, 0, G_OPTION_ARG_STRING, PLACE (weight_bits),
      "Bits of weights, 4 or 8: 4 for all layers but the first and the last, "
      "NAME=8 for one, commas between (default 8)",
      "B" },
  { "activation-bits", 0, 0, G_OPTION_ARG_STRING, PLACE (activation_bits),
      "Bits of what layers compute, written likewise (default 8)", "B" },
  { "weight-decay", 0, 0, G_OPTION_ARG_DOUBLE, PLACE (weight_decay),
      "Of convolution weights (default: as suits the optimizer)", "D" },
  { "assignment", 0, 0, G_OPTION_ARG_STRING, PLACE (assignment),
      "Which cells learn a box: fixed (default, those round its centre), tal "
      "or "
      "simota (those that do best on it)",
      "NAME" },
  { "ranges", 0, 0, G_OPTION_ARG_STRING, PLACE (ranges),
      "Of quantized outputs of Relu: bound (default, what batch norm makes "
      "likely), minmax (what was seen), learned (from that bound on) or "
      "percentile (so that 1 output in 10,000 is clipped)",
      "NAME" },
  { "average", 0, 0, G_OPTION_ARG_DOUBLE, PLACE (average),
      "Write the average of the weights over the steps, with this decay, as "
      "0.998 (default 0: the weights themselves)",
      "D" },
  { "clip-norm", 0, 0, G_OPTION_ARG_DOUBLE, PLACE (clip_norm),
      "Longest gradient (default 0: no limit)", "L" },
  { "max-samples", 0, 0, G_OPTION_ARG_INT, PLACE (max_samples),
      "Most samples held in memory (default 4000; 0: no limit)", "N" },
  { "no-flip", 0, 0, G_OPTION_ARG_NONE, PLACE (no_flip),
      "Do not mirror samples (where left and right are different classes)",
      NULL },
  { "seed", 0, 0, G_OPTION_ARG_INT64, PLACE (seed),
      "The same seed and clips give the same file (default 1)", "N" },
  { "threads", 0, 0, G_OPTION_ARG_INT, PLACE (threads),
      "Worker threads (default 0: as many as the processor allows)", "N" },
  { "batches", 0, 0, G_OPTION_ARG_FILENAME, PLACE (batches),
      "Train nothing; write the augmented batches in their order to this "
      "file "
      "or pipe, for training elsewhere (tests/bench/pytorch_train.py reads "
      "them)",
      "FILE" },
  { "memory-limit", 0, 0, G_OPTION_ARG_INT, PLACE (memory_limit),
      "Megabytes of samples in memory, the others in a temporary file "
      "(default "
      "0: no limit)",
      "MB" },
  { "zoom", 0, 0, G_OPTION_ARG_DOUBLE, PLACE (zoom),
      "Zoom samples by 1/Z to Z, at random; 1: not, so that the smallest "
      "objects stay as large as they are (default 2)",
      "Z" },
  { "shift", 0, 0, G_OPTION_ARG_DOUBLE, PLACE (shift),
      "Shift samples by up to this share of the picture (default 0.1)", "S" },
  { "brightness", 0, 0, G_OPTION_ARG_DOUBLE, PLACE (brightness),
      "Change brightness and contrast by up to this share (default 0.2)", "S" },
  { "speed", 0, 0, G_OPTION_ARG_DOUBLE, PLACE (speed),
      "Play samples at 1/S to S times their speed, at random: differences "
      "change as they do there (default 1)",
      "S" },
  { "backwards", 0, 0, G_OPTION_ARG_NONE, PLACE (backwards),
      "Play one half of the samples backwards (boxes only)", NULL },
  { "noise", 0, 0, G_OPTION_ARG_DOUBLE, PLACE (noise),
      "Add noise of up to this standard deviation, codes (default 0)", "S" },
  { "mosaic", 0, 0, G_OPTION_ARG_DOUBLE, PLACE (mosaic),
      "Share of samples that become four in one (default 0)", "P" },
  { "paste", 0, 0, G_OPTION_ARG_DOUBLE, PLACE (paste),
      "Share of samples into which objects of others are pasted (default 0)",
      "P" },
  { "metrics", 0, 0, G_OPTION_ARG_FILENAME, PLACE (metrics),
      "Write a row of figures an epoch to this file, as metrics.csv", "CSV" },
  { "curves", 0, 0, G_OPTION_ARG_FILENAME, PLACE (curves),
      "Draw loss and measures over the epochs, a picture that is made anew "
      "after "
      "each",
      "PNG" },
  { "picture", 0, 0, G_OPTION_ARG_FILENAME, PLACE (picture),
      "Draw some of the validation samples with what is true (green) and what "
      "is found (orange), a picture that is made anew whenever the model is "
      "written",
      "PNG" },
  { "checkpoint", 0, 0, G_OPTION_ARG_FILENAME, PLACE (checkpoint),
      "Keep the whole state of the training in FILE, to go on after a crash",
      "FILE" },
  { "checkpoint-interval", 0, 0, G_OPTION_ARG_DOUBLE,
      PLACE (checkpoint_interval),
      "Seconds between checkpoints within an epoch (default 60)", "S" },
  { "resume", 0, 0, G_OPTION_ARG_NONE, PLACE (resume),
      "Go on from the checkpoint if there is one; ends in the same file as "
      "without a stop",
      NULL },
  { "json", 0, 0, G_OPTION_ARG_NONE, PLACE (json),
      "Print one JSON object at the end", NULL },
  { NULL }
};

GOptionEntry *
train_entries (TrainOptions *o)
{
  GOptionEntry *all = g_memdup2 (entries, sizeof entries);

  for (GOptionEntry *e = all; e->long_name; e++)
    e->arg_data = (char *) o + GPOINTER_TO_SIZE (e->arg_data);
  return all;
}

/* Those that are a property of the same name, with its range. */
static const struct
{
  const char *name;
  gsize at;
} reals[] = {
#define NUMBER(name, member)                                                   \
  {                                                                            \
    name, G_STRUCT_OFFSET (TrainOptions, member)                               \
  }
  NUMBER ("minutes", minutes),
  NUMBER ("learning-rate", learning_rate),
  NUMBER ("checkpoint-interval", checkpoint_interval),
  NUMBER ("weight-decay", weight_decay),
  NUMBER ("clip-norm", clip_norm),
  NUMBER ("average", average),
  NUMBER ("zoom", zoom),
  NUMBER ("shift", shift),
  NUMBER ("brightness", brightness),
  NUMBER ("speed", speed),
  NUMBER ("noise", noise),
  NUMBER ("mosaic", mosaic),
  NUMBER ("paste", paste),
}, integers[] = {
  NUMBER ("epochs", epochs),
  NUMBER ("batch-size", batch_size),
  NUMBER ("threads", threads),
  NUMBER ("max-samples", max_samples),
  NUMBER ("memory-limit", memory_limit),
}, strings[] = {
  NUMBER ("model-file", output),
  NUMBER ("start-file", start),
  NUMBER ("frames", frames),
  NUMBER ("labels", labels),
  NUMBER ("batches-file", batches),
  NUMBER ("checkpoint-file", checkpoint),
  NUMBER ("picture-file", picture),
  NUMBER ("planes", planes),
  NUMBER ("validation", validation),
  NUMBER ("network", network),
  NUMBER ("assignment", assignment),
  NUMBER ("ranges", ranges),
  NUMBER ("weight-bits", weight_bits),
  NUMBER ("activation-bits", activation_bits),
  NUMBER ("optimizer", optimizer),
};

#define AT(type, o, table, i) G_STRUCT_MEMBER (type, o, table[i].at)

static gboolean
set_real (GstElement *train, const char *name, double value, GError **error)
{
  GParamSpec *spec =
      g_object_class_find_property (G_OBJECT_GET_CLASS (train), name);
  const GParamSpecDouble *range = G_PARAM_SPEC_DOUBLE (spec);

  if (!(value >= range->minimum && value <= range->maximum)) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "--%s %g: it is at least %g and at most %g", name, value,
        range->minimum, range->maximum);
    return FALSE;
  }
  g_object_set (train, name, value, NULL);
  return TRUE;
}

static gboolean
set_integer (GstElement *train, const char *name, int value, GError **error)
{
  GParamSpec *spec =
      g_object_class_find_property (G_OBJECT_GET_CLASS (train), name);
  gint64 least, most;

  if (G_IS_PARAM_SPEC_INT (spec)) {
    least = G_PARAM_SPEC_INT (spec)->minimum;
    most = G_PARAM_SPEC_INT (spec)->maximum;
  } else {
    least = G_PARAM_SPEC_UINT (spec)->minimum;
    most = G_PARAM_SPEC_UINT (spec)->maximum;
  }
  if (value < least || value > most) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "--%s %d: it is at least %" G_GINT64_FORMAT
        " and at most %" G_GINT64_FORMAT,
        name, value, least, most);
    return FALSE;
  }
  g_object_set (train, name, value, NULL);
  return TRUE;
}

static gboolean
set_size (const TrainOptions *o, GstElement *train, GError **error)
{
  int w = 0, h = 0, used = 0;

  if (!o->size)
    return TRUE;
  if (sscanf (o->size, "%dx%d%n", &w, &h, &used) != 2 || o->size[used] ||
      w < 8 || h < 8 || w > 4096 || h > 4096) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "--size %s: write it like 320x240, sides from 8 to 4096", o->size);
    return FALSE;
  }
  g_object_set (train, "width", w, "height", h, NULL);
  return TRUE;
}

gboolean
train_options_set (const TrainOptions *o, GstElement *train, GError **error)
{
  g_object_set (train, "every", (guint) o->every, "seed", (guint64) o->seed,
      "flip", !o->no_flip, "resume", o->resume, "backwards", o->backwards,
      NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (strings); i++)
    if (AT (char *, o, strings, i))
      g_object_set (train, strings[i].name, AT (char *, o, strings, i), NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (reals); i++)
    if (AT (double, o, reals, i) != UNSET &&
        !set_real (train, reals[i].name, AT (double, o, reals, i), error))
      return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (integers); i++)
    if (AT (int, o, integers, i) != G_MININT &&
        !set_integer (train, integers[i].name, AT (int, o, integers, i), error))
      return FALSE;
  if (o->fit)
    gst_util_set_object_arg (G_OBJECT (train), "fit", o->fit);
  if (o->head)
    gst_util_set_object_arg (G_OBJECT (train), "head", o->head);
  return set_size (o, train, error);
}
