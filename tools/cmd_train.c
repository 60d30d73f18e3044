/* qfuse train: teaches a network on tagged clips.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *   filesrc ! decodebin ! videoconvert ! qfusetag ─ concat ! qfusetrain
 *   … one such branch a clip …                    ┘ */
#include "tool.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clips.h"
#include "pipeline.h"
#include "progress.h"
#include "qfuse.h"
#include "train-picture.h"

static char *start, *output, *planes, *frames, *validation, *size, *labels;
static char *fit, *head, *network, *optimizer, *assignment, *checkpoint;
static char *batches, *ranges;
static int every = 1, epochs, batch_size, threads, max_samples = -1;
static double minutes, learning_rate, checkpoint_interval = -1;
static double noise = -1, mosaic = -1, paste = -1;
static int memory_limit;
static char *metrics, *curves;
static double weight_decay = -1, clip_norm, average;
static char *weight_bits, *activation_bits;
static gint64 seed = 1;
static gboolean json, no_flip, resume;
static ClipOptions clip_options;

static const GOptionEntry entries[] = {
  { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
      "Where the model is written, after each epoch that is the best so far",
      "MODEL" },
  { "start", 'm', 0, G_OPTION_ARG_FILENAME, &start,
      "Go on from this model (default: a new network)", "START" },
  { "planes", 'p', 0, G_OPTION_ARG_STRING, &planes,
      "What the network sees: Y the picture, D5 its difference to 5 pictures "
      "before; with gain and dead band D5x2t8 (default: START's, or "
      "Y,D1x2t8,D5x2t8)",
      "P" },
  { "size", 0, 0, G_OPTION_ARG_STRING, &size,
      "Input of a new network in pixels (default 320x240)", "WxH" },
  { "network", 0, 0, G_OPTION_ARG_STRING, &network,
      "Kind of a new network: nano (default), small, base; see qfuse new",
      "NAME" },
  { "fit", 0, 0, G_OPTION_ARG_STRING, &fit,
      "How pictures fit in: letterbox (default) or stretch", "FIT" },
  { "head", 0, 0, G_OPTION_ARG_STRING, &head,
      "fcos (boxes), classify (actions); default: what the clips are tagged "
      "with",
      "HEAD" },
  { "labels", 'l', 0, G_OPTION_ARG_STRING, &labels,
      "Names of the classes, commas between, or a file with one a line",
      "NAMES" },
  { "frames", 'f', 0, G_OPTION_ARG_STRING, &frames,
      "Frames to learn from, from 1, as 1-500 (default: all)", "A-B" },
  { "every", 0, 0, G_OPTION_ARG_INT, &every, "Of these every N-th (default 1)",
      "N" },
  { "validation", 0, 0, G_OPTION_ARG_STRING, &validation,
      "What measures the epochs: a share of the samples, or frames as 401-500 "
      "(default 0.1)",
      "V" },
  { "epochs", 'e', 0, G_OPTION_ARG_INT, &epochs,
      "Times that all samples are seen (default 12)", "N" },
  { "minutes", 0, 0, G_OPTION_ARG_DOUBLE, &minutes,
      "Be ready in this time, whatever --epochs says", "M" },
  { "batch-size", 0, 0, G_OPTION_ARG_INT, &batch_size,
      "Samples a step (default 16)", "N" },
  { "learning-rate", 0, 0, G_OPTION_ARG_DOUBLE, &learning_rate,
      "The highest learning rate (default: as suits the optimizer)", "R" },
  { "optimizer", 0, 0, G_OPTION_ARG_STRING, &optimizer,
      "sgd (default, Nesterov's momentum) or adamw", "NAME" },
  { "weight-bits", 0, 0, G_OPTION_ARG_STRING, &weight_bits,
      "Bits of weights, 4 or 8: 4 for all layers but the first and the last, "
      "NAME=8 for one, commas between (default 8)",
      "B" },
  { "activation-bits", 0, 0, G_OPTION_ARG_STRING, &activation_bits,
      "Bits of what layers compute, written likewise (default 8)", "B" },
  { "weight-decay", 0, 0, G_OPTION_ARG_DOUBLE, &weight_decay,
      "Of convolution weights (default: as suits the optimizer)", "D" },
  { "assignment", 0, 0, G_OPTION_ARG_STRING, &assignment,
      "Which cells learn a box: fixed (default, those round its centre), tal "
      "or "
      "simota (those that do best on it)",
      "NAME" },
  { "ranges", 0, 0, G_OPTION_ARG_STRING, &ranges,
      "Of quantized outputs of Relu: bound (default, what batch norm makes "
      "likely), minmax (what was seen) or learned (from that bound on)",
      "NAME" },
  { "average", 0, 0, G_OPTION_ARG_DOUBLE, &average,
      "Write the average of the weights over the steps, with this decay, as "
      "0.998 (default 0: the weights themselves)",
      "D" },
  { "clip-norm", 0, 0, G_OPTION_ARG_DOUBLE, &clip_norm,
      "Longest gradient (default 0: no limit)", "L" },
  { "max-samples", 0, 0, G_OPTION_ARG_INT, &max_samples,
      "Most samples held in memory (default 4000; 0: no limit)", "N" },
  { "no-flip", 0, 0, G_OPTION_ARG_NONE, &no_flip,
      "Do not mirror samples (where left and right are different classes)",
      NULL },
  { "seed", 0, 0, G_OPTION_ARG_INT64, &seed,
      "The same seed and clips give the same file (default 1)", "N" },
  { "threads", 0, 0, G_OPTION_ARG_INT, &threads,
      "Worker threads (default 0: as many as the processor allows)", "N" },
  { "batches", 0, 0, G_OPTION_ARG_FILENAME, &batches,
      "Train nothing; write the augmented batches in their order to this file "
      "or pipe, for training elsewhere (tests/bench/pytorch_train.py reads "
      "them)",
      "FILE" },
  { "memory-limit", 0, 0, G_OPTION_ARG_INT, &memory_limit,
      "Megabytes of samples in memory, the others in a temporary file (default "
      "0: no limit)",
      "MB" },
  { "noise", 0, 0, G_OPTION_ARG_DOUBLE, &noise,
      "Add noise of up to this standard deviation, codes (default 0)", "S" },
  { "mosaic", 0, 0, G_OPTION_ARG_DOUBLE, &mosaic,
      "Share of samples that become four in one (default 0)", "P" },
  { "paste", 0, 0, G_OPTION_ARG_DOUBLE, &paste,
      "Share of samples into which objects of others are pasted (default 0)",
      "P" },
  { "metrics", 0, 0, G_OPTION_ARG_FILENAME, &metrics,
      "Write a row of figures an epoch to this file, as metrics.csv", "CSV" },
  { "curves", 0, 0, G_OPTION_ARG_FILENAME, &curves,
      "Draw loss and measures over the epochs, a picture that is made anew "
      "after "
      "each",
      "PNG" },
  { "checkpoint", 0, 0, G_OPTION_ARG_FILENAME, &checkpoint,
      "Keep the whole state of the training in FILE, to go on after a crash",
      "FILE" },
  { "checkpoint-interval", 0, 0, G_OPTION_ARG_DOUBLE, &checkpoint_interval,
      "Seconds between checkpoints within an epoch (default 60)", "S" },
  { "resume", 0, 0, G_OPTION_ARG_NONE, &resume,
      "Go on from the checkpoint if there is one; ends in the same file as "
      "without a stop",
      NULL },
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print one JSON object at the end",
      NULL },
  { NULL }
};

static const ToolOptions options = {
  .command = "train",
  .arguments = "-o MODEL CLIP…",
  .summary =
      "Teaches an int8 network on tagged clips. What is learned is, bit for "
      "bit, what runs.\nCtrl-C ends the training; the best model so far "
      "stays.\n\n" CLIPS_HELP,
  .examples =
      "  qfuse train -o people.onnx --planes Y,D1x2t8,D5x2t8 --truth gt.txt "
      "--labels person --frames 1-500 vtest.avi\n"
      "  qfuse train -m people.onnx -o better.onnx --minutes 20 clips/\n"
      "  qfuse train -o fall.onnx --planes D1x2t8,D5x2t8 --folder-actions "
      "fall/ "
      "walk/",
  .entries = entries,
};

typedef struct
{
  GstElement *pipeline, *train;
  JsonBuilder *builder;
  int epochs, best_epoch;
  GArray *rows; /* TrainRow; of this run */
} Train;

static void
add_number (
    JsonBuilder *b, const GstStructure *s, const char *field, const char *name)
{
  double value;

  if (gst_structure_get_double (s, field, &value))
    tool_json_number (b, name, value);
}

static void
append_number (
    GString *line, const GstStructure *s, const char *field, const char *format)
{
  double value;

  if (gst_structure_get_double (s, field, &value) && isfinite (value))
    g_string_append_printf (line, format, value);
}

static const char *const fields[] = { "loss", "loss-class", "loss-box", "ap50",
  "best-f1", "accuracy", "learning-rate", "seconds" };

/* A row of an epoch; what was not measured stays empty. A training that goes on
 * from a checkpoint goes on in the file. */
static void
write_metrics (const GstStructure *s, int epoch, gboolean best)
{
  gboolean empty =
      !g_file_test (metrics, G_FILE_TEST_EXISTS) || (epoch == 1 && !resume);
  FILE *f = fopen (metrics, empty ? "w" : "a");
  gboolean ok = f != NULL;

  for (gsize i = 0; f && empty && i < G_N_ELEMENTS (fields); i++)
    ok &= fprintf (f, "%s%s", i == 0 ? "epoch," : ",", fields[i]) > 0;
  if (f && empty)
    ok &= fputs (",written\n", f) >= 0;
  if (f)
    ok &= fprintf (f, "%d", epoch) > 0;
  for (gsize i = 0; f && i < G_N_ELEMENTS (fields); i++) {
    char text[G_ASCII_DTOSTR_BUF_SIZE] = "";
    double value;

    if (gst_structure_get_double (s, fields[i], &value))
      g_ascii_formatd (text, sizeof text, "%.6g", value);
    ok &= fprintf (f, ",%s", text) > 0;
  }
  if (f)
    ok = fprintf (f, ",%d\n", best) > 0 && ok;
  if (f)
    ok = fclose (f) == 0 && ok;
  if (!ok)
    g_printerr ("qfuse: warning: %s cannot be written\n", metrics);
}

static void
draw_curves (Train *t, const GstStructure *s, int epoch)
{
  TrainRow row = { NAN, NAN, NAN, NAN };
  g_autoptr (GError) error = NULL;

  gst_structure_get_double (s, "loss", &row.loss);
  gst_structure_get_double (s, "ap50", &row.ap50);
  gst_structure_get_double (s, "best-f1", &row.best_f1);
  gst_structure_get_double (s, "accuracy", &row.accuracy);
  g_array_append_val (t->rows, row);
  if (!train_picture_write (
          t->rows, epoch - (int) t->rows->len + 1, curves, &error))
    g_printerr ("qfuse: warning: %s\n", error->message);
}

static void
on_message (GstMessage *message, gpointer data)
{
  Train *t = data;
  const GstStructure *s = gst_message_get_structure (message);
  g_autoptr (GString) line = g_string_new (NULL);
  gboolean best = FALSE;
  int epoch = 0;

  if (!gst_structure_has_name (s, "qfuse-epoch"))
    return;
  gst_structure_get_int (s, "epoch", &epoch);
  gst_structure_get_int (s, "epochs", &t->epochs);
  gst_structure_get_boolean (s, "best", &best);
  if (best)
    t->best_epoch = epoch;
  if (metrics)
    write_metrics (s, epoch, best);
  if (curves)
    draw_curves (t, s, epoch);
  if (t->builder) {
    json_builder_begin_object (t->builder);
    tool_json_int (t->builder, "epoch", epoch);
    for (gsize i = 0; i < G_N_ELEMENTS (fields); i++) {
      g_autofree char *name = g_strdup (fields[i]);

      add_number (t->builder, s, fields[i], g_strdelimit (name, "-", '_'));
    }
    json_builder_set_member_name (t->builder, "written");
    json_builder_add_boolean_value (t->builder, best);
    json_builder_end_object (t->builder);
    return;
  }
  g_string_printf (line, "epoch %d of %d:", epoch, t->epochs);
  append_number (line, s, "loss", " loss %.4f");
  append_number (line, s, "ap50", "  AP50 %.4f");
  append_number (line, s, "best-f1", "  best F1 %.4f");
  append_number (line, s, "accuracy", "  accuracy %.4f");
  append_number (line, s, "seconds", "  %.0f s");
  progress_clear ();
  g_print ("%s%s\n", line->str, best ? "  written" : "");
  fflush (stdout);
}

static double
on_progress (gpointer data, char *note, gsize size)
{
  Train *t = data;
  GstStructure *s = NULL;
  guint64 tagged = 0;
  int epoch = 0, n_epochs = 0, batch = 0, batches = 0;
  double loss = 0, done = 0;

  g_object_get (t->train, "stats", &s, NULL);
  if (!s)
    return 0;
  if (gst_structure_get_int (s, "epoch", &epoch) &&
      gst_structure_get_int (s, "epochs", &n_epochs) && n_epochs > 0) {
    gst_structure_get_int (s, "batch", &batch);
    gst_structure_get_int (s, "batches", &batches);
    gst_structure_get_double (s, "loss", &loss);
    done = batch < 0 || batches <= 0 ? epoch
                                     : epoch - 1 + (double) batch / batches;
    done /= n_epochs;
    g_snprintf (note, size, "epoch %d of %d, loss %.4f", epoch, n_epochs, loss);
  } else {
    gst_structure_get_uint64 (s, "tagged", &tagged);
    g_snprintf (note, size, "collecting, %" G_GUINT64_FORMAT " frames", tagged);
  }
  gst_structure_free (s);
  return done;
}

static gboolean
set_up_trainer (GstElement *train, GError **error)
{
  int w = 0, h = 0, used = 0;

  g_object_set (train, "model-file", output, "start-file", start, "frames",
      frames, "every", (guint) every, "seed", (guint64) seed, "threads",
      threads, "minutes", minutes, "labels", labels, "flip", !no_flip, NULL);
  g_object_set (train, "batches-file", batches, NULL);
  g_object_set (train, "checkpoint-file", checkpoint, "resume", resume, NULL);
  g_object_set (train, "memory-limit", (guint) memory_limit, NULL);
  if (noise >= 0)
    g_object_set (train, "noise", noise, NULL);
  if (mosaic >= 0)
    g_object_set (train, "mosaic", mosaic, NULL);
  if (paste >= 0)
    g_object_set (train, "paste", paste, NULL);
  if (checkpoint_interval >= 0)
    g_object_set (train, "checkpoint-interval", checkpoint_interval, NULL);
  if (planes)
    g_object_set (train, "planes", planes, NULL);
  if (validation)
    g_object_set (train, "validation", validation, NULL);
  if (epochs > 0)
    g_object_set (train, "epochs", epochs, NULL);
  if (batch_size > 0)
    g_object_set (train, "batch-size", batch_size, NULL);
  if (network)
    g_object_set (train, "network", network, NULL);
  if (assignment)
    g_object_set (train, "assignment", assignment, NULL);
  if (ranges)
    g_object_set (train, "ranges", ranges, NULL);
  g_object_set (train, "weight-bits", weight_bits, "activation-bits",
      activation_bits, NULL);
  if (optimizer)
    g_object_set (train, "optimizer", optimizer, NULL);
  g_object_set (train, "weight-decay", weight_decay, "clip-norm", clip_norm,
      "average", average, NULL);
  if (learning_rate > 0)
    g_object_set (train, "learning-rate", learning_rate, NULL);
  if (max_samples >= 0)
    g_object_set (train, "max-samples", (guint) max_samples, NULL);
  if (fit)
    gst_util_set_object_arg (G_OBJECT (train), "fit", fit);
  if (head)
    gst_util_set_object_arg (G_OBJECT (train), "head", head);
  if (size &&
      (sscanf (size, "%dx%d%n", &w, &h, &used) != 2 || size[used] || w < 8 ||
          h < 8 || w > 4096 || h > 4096)) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "--size %s: write it like 320x240, sides from 8 to 4096", size);
    return FALSE;
  }
  if (size)
    g_object_set (train, "width", w, "height", h, NULL);
  return TRUE;
}

static gboolean
build (Train *t, const GPtrArray *clips, GError **error)
{
  GstElement *concat = gst_element_factory_make ("concat", NULL);

  t->pipeline = gst_pipeline_new ("train");
  t->train = gst_element_factory_make ("qfusetrain", "train");
  gst_bin_add_many (GST_BIN (t->pipeline), concat, t->train, NULL);
  if (!set_up_trainer (t->train, error))
    return FALSE;
  gst_element_link (concat, t->train);
  for (guint i = 0; i < clips->len; i++) {
    const Clip *clip = g_ptr_array_index (clips, i);
    GstElement *source = clip_source (clip, &clip_options, labels, error);

    if (!source)
      return FALSE;
    gst_bin_add (GST_BIN (t->pipeline), source);
    if (!gst_element_link (source, concat)) {
      g_set_error (
          error, QF_ERROR, QF_ERROR_FAILED, "%s cannot be linked", clip->video);
      return FALSE;
    }
  }
  return TRUE;
}

static int
report (Train *t, gboolean done, GError *error)
{
  if (t->builder) {
    json_builder_end_array (t->builder);
    if (t->best_epoch > 0)
      tool_json_string (t->builder, "model", output);
    tool_json_int (t->builder, "best_epoch", t->best_epoch);
    json_builder_end_object (t->builder);
    if (done)
      tool_print_json (t->builder);
  }
  if (!done && t->best_epoch > 0)
    g_prefix_error (
        &error, "%s holds the model of epoch %d; ", output, t->best_epoch);
  if (!done)
    return tool_fail_error (error);
  if (!t->builder && t->best_epoch > 0)
    g_print ("%s: the model of epoch %d\n", output, t->best_epoch);
  return TOOL_DONE;
}

static int
train (const GPtrArray *clips)
{
  Train t = { 0 };
  PipelineWatch watch = { "training", on_progress, on_message, &t };
  GError *error = NULL;
  gboolean done;
  int status;

  if (!tool_init_gst (&error))
    return tool_fail_error (error);
  t.builder = json ? json_builder_new () : NULL;
  t.rows = g_array_new (FALSE, FALSE, sizeof (TrainRow));
  if (t.builder) {
    json_builder_begin_object (t.builder);
    json_builder_set_member_name (t.builder, "epochs");
    json_builder_begin_array (t.builder);
  }
  if (!build (&t, clips, &error)) {
    status = tool_usage_or_fail ("train", error);
  } else {
    done = pipeline_run (t.pipeline, &watch, &error);
    status = report (&t, done, error);
  }
  gst_object_unref (t.pipeline);
  g_clear_object (&t.builder);
  g_array_unref (t.rows);
  return status;
}

static gboolean
check_arguments (GError **error)
{
  QfPlanes p;
  int first, last;

  return (!planes || qf_planes_parse (&p, planes, error)) &&
      tool_parse_frames (frames, &first, &last, error);
}

static gboolean
check_files (GError **error)
{
  g_autoptr (QfModel) model = NULL;

  if (!tool_check_output (output, error) ||
      (checkpoint && !tool_check_output (checkpoint, error)))
    return FALSE;
  if (start && !(model = qf_model_load (start, error)))
    return FALSE;
  return TRUE;
}

int
cmd_train (int argc, char **argv)
{
  g_autofree GOptionEntry *clip_group = clip_entries (&clip_options);
  ToolOptions o = options;
  g_autoptr (GPtrArray) clips = NULL;
  GError *error = NULL;
  int status;

  o.more = clip_group;
  if (!tool_parse (&o, &argc, &argv, &status))
    return status;
  if (argc < 2 || !output)
    return tool_usage ("train", "it takes -o MODEL and clips");
  if (every < 1 || epochs < 0 || batch_size < 0 || threads < 0 ||
      learning_rate < 0 || clip_norm < 0 || average < 0 || average > 0.99999 ||
      minutes < 0 || seed < 0)
    return tool_usage ("train", "numbers must not be negative");
  if (!(learning_rate <= 1000))
    return tool_usage ("train", "--learning-rate is at most 1000");
  if (resume && !checkpoint)
    return tool_usage ("train", "--resume takes --checkpoint FILE, too");
  if (!check_arguments (&error))
    return tool_usage_or_fail ("train", error);
  if (!check_files (&error))
    return tool_fail_error (error);
  if (!(clips = clips_find (argv + 1, &clip_options, &error)))
    return tool_usage_or_fail ("train", error);
  return train (clips);
}
