/* qfuse eval: measures a network against tagged clips.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

#include "clips.h"
#include "eval-report.h"
#include "eval-sensitivity.h"
#include "gstqfmeta.h"
#include "pipeline.h"
#include "qfuse.h"

static char *frames, *picture;
static int every = 1, threads, max_detections = 100;
static double threshold = 0.01;
static int bits = 4, memory_limit = 1024;
static gboolean json, sensitivity;
static ClipOptions clip_options;

static const GOptionEntry entries[] = {
  { "frames", 'f', 0, G_OPTION_ARG_STRING, &frames,
      "Frames that count, from 1, as 501-795 (default: all); the others are "
      "only seen by the differences",
      "A-B" },
  { "every", 'e', 0, G_OPTION_ARG_INT, &every,
      "Of these every N-th (default 1)", "N" },
  { "threshold", 't', 0, G_OPTION_ARG_DOUBLE, &threshold,
      "Least score of a detection (default 0.01)", "SCORE" },
  { "max-detections", 0, 0, G_OPTION_ARG_INT, &max_detections,
      "Most detections of a picture, all classes together (default 100); 0: no "
      "limit. Of each class 100 count",
      "N" },
  { "picture", 'p', 0, G_OPTION_ARG_FILENAME, &picture,
      "Draw precision over recall, or for actions the confusion matrix, into "
      "this file",
      "FILE.png" },
  { "sensitivity", 's', 0, G_OPTION_ARG_NONE, &sensitivity,
      "Instead, tell what rounding the weights of each layer alone to few bits "
      "changes, the least loss first",
      NULL },
  { "bits", 0, 0, G_OPTION_ARG_INT, &bits, "Of these, 2 to 8 (default 4)",
      "N" },
  { "memory-limit", 0, 0, G_OPTION_ARG_INT, &memory_limit,
      "For --sensitivity, of the planes of all pictures (default 1024)", "MB" },
  { "threads", 0, 0, G_OPTION_ARG_INT, &threads,
      "Worker threads (default 0: as many as the processor allows)", "N" },
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print one JSON object", NULL },
  { NULL }
};

static const ToolOptions options = {
  .command = "eval",
  .arguments = "MODEL CLIP…",
  .summary =
      "Measures a network against clips with ground truth, with the figures "
      "of COCO's tools.\n\n"
      "For boxes: average precision at IoU 0.5 and 0.75 (AP50, AP75) and as "
      "the mean over IoU 0.50, 0.55 … 0.95\n(AP), the largest recall as the "
      "same mean (AR), all for each class and for small (area to 32² pixels "
      "of\nthe frame), medium (to 96²) and large boxes; and the best F1 at "
      "IoU 0.5 with the score that reaches it.\nA class without truth counts "
      "in no mean. Boxes to be ignored are COCO's crowds: a detection that "
      "lies\ninside by the IoU's share counts neither way.\n"
      "For actions: accuracy, recall and precision of each class, and the "
      "confusion matrix;\nof several clips the share of which what was said "
      "most is right. A row for each of several clips follows.\n\n" CLIPS_HELP,
  .examples =
      "  qfuse eval models/pedestrian.onnx vtest.avi --truth gt.txt --frames "
      "501-795\n"
      "  qfuse eval --picture curve.png --json model.onnx clips/\n"
      "  qfuse eval --sensitivity --every 5 model.onnx clips/\n"
      "  qfuse eval fall.onnx @test-clips.txt",
  .entries = entries,
};

typedef struct
{
  QfModel *model;
  QfMetrics *metrics;
  GPtrArray *clip_metrics; /* QfMetrics * of each clip, the last: this one */
  GPtrArray *clip_names;   /* const char *, their paths */
  int first, last;         /* frames that count */
  int n_labels;
  int n_clips, clip; /* for the progress bar */
  gboolean running;  /* the network runs on this frame */
  GstElement *pipeline, *detect;
  guint64 n_pictures, n_unknown; /* boxes of classes the model does not know */
  gboolean actions;
  GArray *truth, *found; /* QfBox, of the frame */
} Eval;

int
eval_label_of (const QfModel *model, GQuark name, int number)
{
  int known = name ? qf_model_find_label (model, g_quark_to_string (name)) : -1;

  return known >= 0                           ? known
      : qf_model_n_labels (model) > 0 && name ? -1
                                              : number;
}

static void
add_boxes (Eval *e, GArray *to, const GArray *from, gboolean truth)
{
  g_array_set_size (to, 0);
  for (guint i = 0; i < from->len; i++) {
    const QfuseDetection *d = &g_array_index (from, QfuseDetection, i);
    QfBox box = { d->x, d->y, d->w, d->h, d->score,
      eval_label_of (e->model, d->label, d->label_id), d->id, FALSE };

    if (truth)
      box.ignore = d->score == 0;
    if (box.label >= 0 && box.label < e->n_labels)
      g_array_append_val (to, box);
    else if (truth && !box.ignore)
      e->n_unknown++;
  }
}

static gboolean
counts (const Eval *e, int frame)
{
  return frame >= e->first && frame <= e->last &&
      (frame - e->first) % every == 0;
}

/* Before the detector: its network runs only where it counts. */
static GstPadProbeReturn
on_tagged (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Eval *e = data;
  QfuseTruthMeta *truth =
      qfuse_buffer_get_truth (GST_PAD_PROBE_INFO_BUFFER (info));
  gboolean run = truth && counts (e, truth->frame);

  if (run != e->running)
    g_object_set (e->detect, "interval", run ? 1u : (guint) G_MAXINT, NULL);
  e->running = run;
  return GST_PAD_PROBE_OK;
}

static QfMetrics *
clip_metrics (const Eval *e)
{
  return g_ptr_array_index (e->clip_metrics, e->clip_metrics->len - 1);
}

static GstPadProbeReturn
on_detected (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Eval *e = data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  QfuseTruthMeta *truth = qfuse_buffer_get_truth (buffer);
  QfuseDetectionsMeta *found = qfuse_buffer_get_detections (buffer);

  if (!truth || !found || !counts (e, truth->frame))
    return GST_PAD_PROBE_OK;
  e->n_pictures++;
  if (e->actions) {
    int said = eval_label_of (e->model, found->action, found->action_id);
    int real = eval_label_of (e->model, truth->action, truth->action_id);

    if (real >= 0 && real < e->n_labels) {
      qf_metrics_add_action (e->metrics, said, real);
      qf_metrics_add_action (clip_metrics (e), said, real);
    } else if (truth->action) {
      e->n_unknown++;
    }
    return GST_PAD_PROBE_OK;
  }
  add_boxes (e, e->truth, truth->boxes, TRUE);
  add_boxes (e, e->found, found->detections, FALSE);
  for (int i = 0; i < 2; i++)
    qf_metrics_add (i ? clip_metrics (e) : e->metrics,
        (const QfBox *) e->found->data, (int) e->found->len,
        (const QfBox *) e->truth->data, (int) e->truth->len);
  return GST_PAD_PROBE_OK;
}

static double
on_progress (gpointer data, char *note, gsize size)
{
  Eval *e = data;
  gint64 position = 0, duration = 0;
  double done = 0;

  if (gst_element_query_position (e->pipeline, GST_FORMAT_TIME, &position) &&
      gst_element_query_duration (e->pipeline, GST_FORMAT_TIME, &duration) &&
      duration > 0)
    done = (double) position / (double) duration;
  g_snprintf (note, size, "clip %d of %d, %" G_GUINT64_FORMAT " pictures",
      e->clip + 1, e->n_clips, e->n_pictures);
  return (e->clip + done) / e->n_clips;
}

/* Names with commas between, as qfusetag takes them; NULL: the model has none.
 */
static char *
label_names (const QfModel *model)
{
  GString *names = g_string_new (NULL);

  for (int i = 0; i < qf_model_n_labels (model); i++)
    g_string_append_printf (
        names, "%s%s", i ? "," : "", qf_model_label (model, i));
  return g_string_free (names, names->len == 0);
}

static gboolean
eval_clip (Eval *e, const Clip *clip, const char *model_path, GError **error)
{
  g_autofree char *labels = label_names (e->model);
  PipelineWatch watch = { "measuring", on_progress, NULL, e };
  GstElement *source = clip_source (clip, &clip_options, labels, error);
  GstElement *sink;
  GstPad *pad;
  gboolean done;

  if (!source)
    return FALSE;
  e->pipeline = gst_pipeline_new ("eval");
  e->detect = gst_element_factory_make ("qfusedetect", "detect");
  sink = gst_element_factory_make ("fakesink", NULL);
  g_object_set (e->detect, "model-file", model_path, "threshold",
      (gfloat) threshold, "max-detections", (guint) max_detections, "threads",
      (guint) threads, NULL);
  g_object_set (sink, "sync", FALSE, NULL);
  e->running = TRUE;
  gst_bin_add_many (GST_BIN (e->pipeline), source, e->detect, sink, NULL);
  gst_element_link_many (source, e->detect, sink, NULL);
  pad = gst_element_get_static_pad (e->detect, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_tagged, e, NULL);
  gst_object_unref (pad);
  pad = gst_element_get_static_pad (e->detect, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_detected, e, NULL);
  gst_object_unref (pad);
  done = pipeline_run (e->pipeline, &watch, error);
  gst_object_unref (e->pipeline);
  return done;
}

static gboolean
eval_clips (
    Eval *e, const GPtrArray *clips, const char *model_path, GError **error)
{
  g_autoptr (QfDecoder) decoder = qf_decoder_new (e->model, error);

  if (!decoder || !tool_init_gst (error))
    return FALSE;
  e->actions = qf_decoder_is_classifier (decoder);
  e->n_labels = MAX (1, qf_model_n_labels (e->model));
  e->metrics = qf_metrics_new (e->n_labels);
  e->truth = g_array_new (FALSE, FALSE, sizeof (QfBox));
  e->found = g_array_new (FALSE, FALSE, sizeof (QfBox));
  e->n_clips = (int) clips->len;
  e->clip_metrics =
      g_ptr_array_new_with_free_func ((GDestroyNotify) qf_metrics_free);
  e->clip_names = g_ptr_array_new ();
  for (e->clip = 0; e->clip < e->n_clips; e->clip++) {
    const Clip *clip = g_ptr_array_index (clips, e->clip);

    g_ptr_array_add (e->clip_metrics, qf_metrics_new (e->n_labels));
    g_ptr_array_add (e->clip_names, clip->video);
    if (!eval_clip (e, clip, model_path, error))
      return FALSE;
  }
  if (e->n_pictures == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "no frame of the clips lies in --frames %s", frames ? frames : "1-");
    return FALSE;
  }
  return TRUE;
}

static int
report (const Eval *e, const char *model_path)
{
  const EvalReport r = { model_path, e->model, e->metrics, e->n_labels,
    e->n_clips, e->actions, e->clip_metrics,
    (const char *const *) e->clip_names->pdata };
  GError *error = NULL;

  if (e->n_unknown > 0)
    g_printerr ("qfuse: %" G_GUINT64_FORMAT " tags name classes that the "
                "model does not know and do not count\n",
        e->n_unknown);
  if (json)
    eval_print_json (&r);
  else
    eval_print_text (&r);
  if (picture && !eval_draw (&r, picture, &error))
    return tool_fail_error (error);
  return TOOL_DONE;
}

static int
report_sensitivity (const char *path, const GPtrArray *clips, const Eval *e)
{
  const EvalSensitivity what = { path, clips, &clip_options, e->first, e->last,
    every, threshold, max_detections, threads, bits,
    (guint64) memory_limit << 20, json };
  GError *error = NULL;

  return eval_sensitivity (&what, &error) ? TOOL_DONE : tool_fail_error (error);
}

int
cmd_eval (int argc, char **argv)
{
  g_autofree GOptionEntry *clip_group = clip_entries (&clip_options);
  ToolOptions o = options;
  Eval e = { 0 };
  g_autoptr (GPtrArray) clips = NULL;
  GError *error = NULL;
  int status;

  o.more = clip_group;
  if (!tool_parse (&o, &argc, &argv, &status))
    return status;
  if (argc < 3)
    return tool_usage ("eval", "it takes a model and clips");
  if (every < 1 || threads < 0 || max_detections < 0 ||
      !(threshold >= 0 && threshold <= 1))
    return tool_usage ("eval",
        "--every is ≥ 1, --threads and --max-detections ≥ 0, --threshold a "
        "score from 0 to 1");
  if (bits < 2 || bits > 8 || memory_limit < 1 || (sensitivity && picture))
    return tool_usage ("eval",
        "--bits is from 2 to 8, --memory-limit ≥ 1, and --sensitivity draws no "
        "--picture");
  if (!tool_parse_frames (frames, &e.first, &e.last, &error) ||
      !(clips = clips_find (argv + 2, &clip_options, &error)))
    return tool_usage_or_fail ("eval", error);
  if (sensitivity)
    return report_sensitivity (argv[1], clips, &e);
  if (picture && !tool_check_output (picture, &error))
    return tool_fail_error (error);
  e.model = qf_model_load (argv[1], &error);
  if (!e.model ||
      !clips_check_planes (
          clips, qf_model_get (e.model, "qfuse.planes"), &error) ||
      !eval_clips (&e, clips, argv[1], &error))
    status = tool_fail_error (error);
  else
    status = report (&e, argv[1]);
  g_clear_pointer (&e.metrics, qf_metrics_free);
  g_clear_pointer (&e.clip_metrics, g_ptr_array_unref);
  g_clear_pointer (&e.clip_names, g_ptr_array_unref);
  g_clear_pointer (&e.truth, g_array_unref);
  g_clear_pointer (&e.found, g_array_unref);
  g_clear_pointer (&e.model, qf_model_unref);
  return status;
}
