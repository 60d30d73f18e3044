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
#include "train-options.h"
#include "train-picture.h"

static TrainOptions given;
static ClipOptions clip_options;

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
  gboolean empty = !g_file_test (given.metrics, G_FILE_TEST_EXISTS) ||
      (epoch == 1 && !given.resume);
  FILE *f = fopen (given.metrics, empty ? "w" : "a");
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
    g_printerr ("qfuse: warning: %s cannot be written\n", given.metrics);
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
          t->rows, epoch - (int) t->rows->len + 1, given.curves, &error))
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
  if (given.metrics)
    write_metrics (s, epoch, best);
  if (given.curves)
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
build (Train *t, const GPtrArray *clips, GError **error)
{
  GstElement *concat = gst_element_factory_make ("concat", NULL);

  t->pipeline = gst_pipeline_new ("train");
  t->train = gst_element_factory_make ("qfusetrain", "train");
  gst_bin_add_many (GST_BIN (t->pipeline), concat, t->train, NULL);
  if (!train_options_set (&given, t->train, error))
    return FALSE;
  gst_element_link (concat, t->train);
  for (guint i = 0; i < clips->len; i++) {
    const Clip *clip = g_ptr_array_index (clips, i);
    GstElement *source = clip_source (clip, &clip_options, given.labels, error);

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
      tool_json_string (t->builder, "model", given.output);
    tool_json_int (t->builder, "best_epoch", t->best_epoch);
    json_builder_end_object (t->builder);
    if (done)
      tool_print_json (t->builder);
  }
  if (!done && t->best_epoch > 0)
    g_prefix_error (&error, "%s holds the model of epoch %d; ", given.output,
        t->best_epoch);
  if (!done)
    return tool_fail_error (error);
  if (!t->builder && t->best_epoch > 0)
    g_print ("%s: the model of epoch %d\n", given.output, t->best_epoch);
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
  t.builder = given.json ? json_builder_new () : NULL;
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

  return (!given.planes || qf_planes_parse (&p, given.planes, error)) &&
      tool_parse_frames (given.frames, &first, &last, error);
}

static gboolean
check_files (GError **error)
{
  g_autoptr (QfModel) model = NULL;

  if (!tool_check_output (given.output, error) ||
      (given.checkpoint && !tool_check_output (given.checkpoint, error)))
    return FALSE;
  if (given.start && !(model = qf_model_load (given.start, error)))
    return FALSE;
  return TRUE;
}

/* The clips to learn from, then those that measure. */
static GPtrArray *
find_clips (char **arguments, GError **error)
{
  g_autoptr (GPtrArray) clips = clips_find (arguments, &clip_options, error);
  g_autoptr (GPtrArray) more = NULL;

  if (!clips || !given.validation_clips)
    return g_steal_pointer (&clips);
  more = clips_find (given.validation_clips, &clip_options, error);
  if (!more)
    return NULL;
  for (guint i = 0; i < more->len; i++)
    ((Clip *) g_ptr_array_index (more, i))->validation = TRUE;
  g_ptr_array_extend_and_steal (clips, g_steal_pointer (&more));
  return g_steal_pointer (&clips);
}

/* Pictures without a past are seen as they are. */
static gboolean
fit_planes (const GPtrArray *clips, GError **error)
{
  g_autoptr (QfModel) model = NULL;

  if (!given.planes && !given.start && clips_have_pictures (clips))
    given.planes = g_strdup ("Y");
  if (given.start && !given.planes &&
      !(model = qf_model_load (given.start, error)))
    return FALSE;
  return clips_check_planes (clips,
      model ? qf_model_get (model, "qfuse.planes") : given.planes, error);
}

int
cmd_train (int argc, char **argv)
{
  g_autofree GOptionEntry *clip_group = clip_entries (&clip_options);
  g_autofree GOptionEntry *entries = train_entries (&given);
  ToolOptions o = options;
  g_autoptr (GPtrArray) clips = NULL;
  GError *error = NULL;
  int status;

  train_options_init (&given);
  o.entries = entries;
  o.more = clip_group;
  if (!tool_parse (&o, &argc, &argv, &status))
    return status;
  if (argc < 2 || !given.output)
    return tool_usage ("train", "it takes -o MODEL and clips");
  if (given.every < 1 || given.seed < 0)
    return tool_usage ("train", "numbers must not be negative");
  if (given.resume && !given.checkpoint)
    return tool_usage ("train", "--resume takes --checkpoint FILE, too");
  if (given.validation_clips && (given.validation || clip_options.truth))
    return tool_usage (
        "train", "--validation-clips goes without --validation and --truth");
  if (!check_arguments (&error))
    return tool_usage_or_fail ("train", error);
  if (!check_files (&error))
    return tool_fail_error (error);
  if (!(clips = find_clips (argv + 1, &error)) || !fit_planes (clips, &error))
    return tool_usage_or_fail ("train", error);
  return train (clips);
}
