/* qfuse annotate: draws what a network finds into a video.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "annotator.h"
#include "container.h"
#include "qfuse.h"

static char *output, *model, *detections;
static gboolean no_overlay, only_moving, json;
static double threshold = -1;
static int interval = 1, threads;

static const GOptionEntry entries[] = {
  { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
      "The annotated video: .mkv, .webm, .mp4 or .mov; a folder "
      "for several inputs",
      "OUT" },
  { "model", 'm', 0, G_OPTION_ARG_FILENAME, &model,
      "The network (default: pedestrian.onnx, which comes with qfuse)",
      "MODEL" },
  { "detections", 'd', 0, G_OPTION_ARG_FILENAME, &detections,
      "Write the detections as JSON Lines, one line a frame; a folder for "
      "several inputs",
      "FILE" },
  { "only-moving", 0, 0, G_OPTION_ARG_NONE, &only_moving,
      "Keep only the stretches where something moves, each with a second "
      "before and after it",
      NULL },
  { "no-overlay", 0, 0, G_OPTION_ARG_NONE, &no_overlay, "Draw nothing", NULL },
  { "threshold", 't', 0, G_OPTION_ARG_DOUBLE, &threshold,
      "Least score, 0 to 1 (default: the model's)", "SCORE" },
  { "interval", 0, 0, G_OPTION_ARG_INT, &interval,
      "Run the network on every N-th frame only (default 1)", "N" },
  { "threads", 0, 0, G_OPTION_ARG_INT, &threads,
      "Worker threads of the network (default 0: half as many as there are "
      "processors, for decoding and encoding take the others)",
      "N" },
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print one JSON object", NULL },
  { NULL }
};

static const ToolOptions options = {
  .command = "annotate",
  .arguments = "IN… -o OUT",
  .summary =
      "Runs a network on a video and writes the video with what was found "
      "drawn into it. Frames, their\ntimestamps, sound and subtitles are kept. "
      "Without -o only the detections are written. Ctrl-C stops\nand removes "
      "what was begun; a file is there when it is whole.\n\n"
      "With --only-moving the video plays the stretches with motion one after "
      "another, with their sound.\nFrame numbers and times of the detections "
      "are those of the input. Where nothing moves, no video is\nwritten.",
  .examples =
      "  qfuse annotate street.mp4 -o street-boxes.mkv\n"
      "  qfuse annotate street.mp4 -m model.onnx -o boxes.mp4 --detections "
      "boxes.jsonl\n"
      "  qfuse annotate street.mp4 --detections boxes.jsonl\n"
      "  qfuse annotate night.mkv -o moving.mkv --only-moving\n"
      "  qfuse annotate monday.mkv tuesday.mkv -o annotated/",
  .entries = entries,
};

/* The file that @input is written to: @target, or in it where it is a folder.
 * NULL for NULL. */
static char *
target_of (const char *input, const char *target, gboolean folder,
    const char *extension)
{
  g_autofree char *base = g_path_get_basename (input);
  char *dot = strrchr (base, '.');
  g_autofree char *name = NULL;

  if (!target || !folder)
    return g_strdup (target);
  if (!extension)
    extension = container_known (base) ? dot : ".mkv";
  if (dot && dot != base)
    name = g_strdup_printf ("%.*s%s", (int) (dot - base), base, extension);
  else
    name = g_strconcat (base, extension, NULL);
  return g_build_filename (target, name, NULL);
}

static gboolean
same_file (const char *a, const char *b)
{
  struct stat x, y;

  return stat (a, &x) == 0 && stat (b, &y) == 0 && x.st_dev == y.st_dev &&
      x.st_ino == y.st_ino;
}

static void
print_result (const AnnotateJob *job, const AnnotateResult *r, JsonBuilder *b)
{
  double rate = r->seconds > 0 ? (double) r->read / r->seconds : 0;

  if (job->output && r->frames == 0)
    g_printerr (
        "qfuse: %s: nothing moves in it, no video is written\n", job->input);
  if (!b) {
    g_autofree char *of = job->only_moving
        ? g_strdup_printf (" of %" G_GUINT64_FORMAT, r->read)
        : g_strdup ("");

    g_print ("%s: %" G_GUINT64_FORMAT "%s frames, %" G_GUINT64_FORMAT
             " detections, %.1f s, %.1f frames/s\n",
        job->output ? job->output : job->detections, r->frames, of,
        r->detections, r->seconds, rate);
    return;
  }
  json_builder_begin_object (b);
  tool_json_string (b, "input", job->input);
  if (job->output && r->frames > 0)
    tool_json_string (b, "output", job->output);
  if (job->detections)
    tool_json_string (b, "detections_file", job->detections);
  tool_json_int (b, "frames", (gint64) r->frames);
  if (job->only_moving)
    tool_json_int (b, "frames_read", (gint64) r->read);
  tool_json_int (b, "detections", (gint64) r->detections);
  tool_json_number (b, "seconds", r->seconds);
  tool_json_number (b, "frames_per_s", rate);
  json_builder_end_object (b);
}

static gboolean
check_job (const AnnotateJob *job, GError **error)
{
  const char *outputs[] = { job->output, job->detections };

  if (!tool_check_input (job->input, error))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (outputs); i++) {
    if (!outputs[i])
      continue;
    if (same_file (job->input, outputs[i])) {
      g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
          "%s would overwrite its input", outputs[i]);
      return FALSE;
    }
    if (!tool_check_output (outputs[i], error))
      return FALSE;
  }
  if (job->output && !container_known (job->output)) {
    GstElement *none;

    if (tool_init_gst (error) &&
        (none = container_muxer_new (job->output, error)))
      gst_object_unref (none);
    return FALSE;
  }
  return TRUE;
}

/* The model is read before GStreamer starts: a wrong file shows at once. */
static gboolean
check_model (const char *path, GError **error)
{
  g_autoptr (QfModel) m = qf_model_load (path, error);
  g_autoptr (QfDecoder) decoder = m ? qf_decoder_new (m, error) : NULL;

  if (m && !decoder)
    g_prefix_error (error, "%s: ", path);
  return decoder != NULL;
}

static int
annotate_all (char **inputs, int n)
{
  gboolean folder =
      n > 1 || (output && g_file_test (output, G_FILE_TEST_IS_DIR));
  gboolean detections_folder =
      n > 1 || (detections && g_file_test (detections, G_FILE_TEST_IS_DIR));
  g_autoptr (JsonBuilder) builder = json ? json_builder_new () : NULL;
  GError *error = NULL;

  if (n > 1 && output && g_mkdir_with_parents (output, 0777) != 0)
    return tool_fail (
        "with several inputs -o must name a folder, not %s", output);
  if (n > 1 && detections && g_mkdir_with_parents (detections, 0777) != 0)
    return tool_fail ("with several inputs --detections must name a folder, "
                      "not %s",
        detections);
  if (!check_model (model, &error))
    return tool_fail_error (error);
  if (builder) {
    json_builder_begin_object (builder);
    json_builder_set_member_name (builder, "videos");
    json_builder_begin_array (builder);
  }
  for (int i = 0; i < n; i++) {
    g_autofree char *out = target_of (inputs[i], output, folder, NULL);
    g_autofree char *found =
        target_of (inputs[i], detections, detections_folder, ".jsonl");
    AnnotateJob job = { inputs[i], out, found, model, threshold, interval,
      threads, !no_overlay, only_moving };
    AnnotateResult result;

    if (!check_job (&job, &error) || !tool_init_gst (&error) ||
        !annotate (&job, &result, &error))
      return tool_fail_error (error);
    print_result (&job, &result, builder);
  }
  if (builder) {
    json_builder_end_array (builder);
    json_builder_end_object (builder);
    tool_print_json (builder);
  }
  return TOOL_DONE;
}

int
cmd_annotate (int argc, char **argv)
{
  int status;

  if (!tool_parse (&options, &argc, &argv, &status))
    return status;
  if (argc < 2)
    return tool_usage ("annotate", "it takes one video at least");
  if (!output && !detections)
    return tool_usage ("annotate",
        "-o or --detections must say where the "
        "result goes");
  if (threshold > 1)
    return tool_usage ("annotate", "--threshold is a score from 0 to 1");
  if (interval < 1 || threads < 0)
    return tool_usage ("annotate", "--interval is ≥ 1, --threads ≥ 0");
  if (!model)
    model = tool_model_path ("pedestrian.onnx");
  return annotate_all (argv + 1, argc - 1);
}
