/* qfuse eval: what each layer's weights at fewer bits do to the figures.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "eval-sensitivity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gstqfmeta.h"
#include "frames.h"
#include "pipeline.h"
#include "progress.h"
#include "tool.h"

/* A picture that counts. */
typedef struct
{
  guint8 *planes;
  QfGeometry geometry;
  GArray *truth; /* QfBox in the frame's pixels */
  int action;    /* label, −1: none that the model knows */
} Picture;

/* A layer alone at fewer bits. */
typedef struct
{
  QfModelLayer layer;
  gboolean changed; /* its weights */
  QfScores scores;
  gint64 saved; /* bytes of the file; below 0 where the bits are fewer already
                 */
} Row;

typedef struct
{
  const EvalSensitivity *o;
  QfModel *model;
  gboolean actions;
  int n_labels;
  GPtrArray *pictures; /* Picture * */
  guint64 bytes;       /* of their planes */
  QfScores scores;     /* of the model as it is */
  GArray *rows;        /* Row */

  /* while clips are read */
  GstElement *pipeline;
  GstQfWant want;
  GstQfPlaner *planer;
  GstVideoInfo info;
  GstSegment segment;
  gboolean full;
  guint clip;
} Job;

static void
picture_free (gpointer data)
{
  Picture *p = data;

  g_free (p->planes);
  g_array_unref (p->truth);
  g_free (p);
}

/* ---- clips -------------------------------------------------------------- */

static Picture *
picture_new (const Job *j, const QfuseTruthMeta *truth)
{
  Picture *p = g_new0 (Picture, 1);

  p->truth = g_array_new (FALSE, FALSE, sizeof (QfBox));
  p->planes = g_malloc (gst_qf_want_size (&j->want));
  p->action = eval_label_of (j->model, truth->action, truth->action_id);
  if (p->action >= j->n_labels)
    p->action = -1;
  for (guint i = 0; i < truth->boxes->len; i++) {
    const QfuseDetection *d = &g_array_index (truth->boxes, QfuseDetection, i);
    QfBox box = { d->x, d->y, d->w, d->h, d->score,
      eval_label_of (j->model, d->label, d->label_id), d->id, 0,
      d->score == 0 };

    if (box.label >= 0 && box.label < j->n_labels)
      g_array_append_val (p->truth, box);
  }
  return p;
}

static gboolean
counts (const EvalSensitivity *o, const QfuseTruthMeta *truth)
{
  return truth && truth->frame >= o->first && truth->frame <= o->last &&
      (truth->frame - o->first) % o->every == 0;
}

static void
tell_full (Job *j)
{
  g_autofree char *text = g_strdup_printf (
      "the planes of %u pictures fill the memory limit of %" G_GUINT64_FORMAT
      " MB: take fewer with --every or --frames, or raise --memory-limit",
      j->pictures->len, j->o->memory_limit >> 20);

  if (!j->full)
    pipeline_fail (j->pipeline, text);
  j->full = TRUE;
}

static GstPadProbeReturn
take_frame (Job *j, GstBuffer *buffer)
{
  QfuseTruthMeta *truth = qfuse_buffer_get_truth (buffer);
  guint64 size = gst_qf_want_size (&j->want);
  Picture *p = NULL;
  GstVideoFrame frame;

  if (j->full)
    return GST_PAD_PROBE_DROP;
  if (counts (j->o, truth)) {
    if (j->bytes + size > j->o->memory_limit) {
      tell_full (j);
      return GST_PAD_PROBE_DROP;
    }
    p = picture_new (j, truth);
    j->bytes += size;
    g_ptr_array_add (j->pictures, p);
  }
  if (!gst_video_frame_map (&frame, &j->info, buffer, GST_MAP_READ)) {
    pipeline_fail (j->pipeline, "a frame cannot be read");
    return GST_PAD_PROBE_DROP;
  }
  gst_qf_planer_push (j->planer, &frame,
      gst_segment_to_stream_time (
          &j->segment, GST_FORMAT_TIME, GST_BUFFER_PTS (buffer)),
      p ? p->planes : NULL);
  gst_video_frame_unmap (&frame);
  if (p)
    p->geometry = *gst_qf_planer_geometry (j->planer);
  return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
on_data (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  Job *j = data;
  GstEvent *event;

  if (info->type & GST_PAD_PROBE_TYPE_BUFFER)
    return take_frame (j, GST_PAD_PROBE_INFO_BUFFER (info));
  event = GST_PAD_PROBE_INFO_EVENT (info);
  frames_event (j->planer, &j->info, event);
  if (GST_EVENT_TYPE (event) == GST_EVENT_SEGMENT)
    gst_event_copy_segment (event, &j->segment);
  return GST_PAD_PROBE_OK;
}

static double
on_progress (gpointer data, char *note, gsize size)
{
  const Job *j = data;
  gint64 position = 0, duration = 0;
  double done = 0;

  if (gst_element_query_position (j->pipeline, GST_FORMAT_TIME, &position) &&
      gst_element_query_duration (j->pipeline, GST_FORMAT_TIME, &duration) &&
      duration > 0)
    done = (double) position / (double) duration;
  g_snprintf (note, size, "clip %u of %u", j->clip + 1, j->o->clips->len);
  return (j->clip + done) / j->o->clips->len;
}

static gboolean
read_clip (Job *j, const Clip *clip, const char *labels, GError **error)
{
  PipelineWatch watch = { "reading", on_progress, NULL, j };
  GstElement *source = clip_source (clip, j->o->clip_options, labels, error);
  gboolean done;

  if (!source)
    return FALSE;
  j->planer = gst_qf_planer_new (&j->want);
  gst_segment_init (&j->segment, GST_FORMAT_TIME);
  j->pipeline = frames_pipeline (source, on_data, j);
  done = pipeline_run (j->pipeline, &watch, error);
  gst_object_unref (j->pipeline);
  gst_qf_planer_free (j->planer);
  return done;
}

static gboolean
read_clips (Job *j, GError **error)
{
  g_autoptr (GString) labels = g_string_new (NULL);

  for (int i = 0; i < qf_model_n_labels (j->model); i++)
    g_string_append_printf (
        labels, "%s%s", i ? "," : "", qf_model_label (j->model, i));
  for (j->clip = 0; j->clip < j->o->clips->len; j->clip++)
    if (!read_clip (j, g_ptr_array_index (j->o->clips, j->clip),
            labels->len ? labels->str : NULL, error))
      return FALSE;
  if (j->pictures->len == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "no frame of the clips is one of those that count");
    return FALSE;
  }
  return TRUE;
}

/* ---- measuring ---------------------------------------------------------- */

static void
add_picture (
    const Job *j, const Picture *p, const QfResult *found, QfMetrics *metrics)
{
  g_autoptr (GArray) boxes = NULL;

  if (j->actions) {
    if (p->action >= 0)
      qf_metrics_add_action (metrics, found->action, p->action);
    return;
  }
  boxes = g_array_new (FALSE, FALSE, sizeof (QfBox));
  for (guint i = 0; i < found->boxes->len; i++) {
    QfBox box = g_array_index (found->boxes, QfBox, i);

    if (box.label >= 0 && box.label < j->n_labels &&
        qf_geometry_to_source (&p->geometry, &box))
      g_array_append_val (boxes, box);
  }
  qf_metrics_add (metrics, (const QfBox *) boxes->data, (int) boxes->len,
      (const QfBox *) p->truth->data, (int) p->truth->len);
}

/* Runs @model on all pictures; the bar goes from @from / @of on. */
static gboolean
measure (const Job *j, QfModel *model, int from, int of, const char *name,
    QfScores *scores, GError **error)
{
  g_autoptr (QfEngine) engine = qf_engine_new (model, j->o->threads, error);
  g_autoptr (QfDecoder) decoder = engine ? qf_decoder_new (model, error) : NULL;
  g_autoptr (QfMetrics) metrics = NULL;
  g_autoptr (GArray) boxes = NULL;
  float iou = (float) qf_model_get_double (model, "qfuse.iou", 0.5);
  QfResult found = { 0 };

  if (!decoder)
    return FALSE;
  metrics = qf_metrics_new (j->n_labels);
  found.boxes = boxes = g_array_new (FALSE, FALSE, sizeof (QfBox));
  for (guint i = 0; i < j->pictures->len; i++) {
    const Picture *p = g_ptr_array_index (j->pictures, i);
    const QfTensor *outputs;
    int n;

    frames_give (engine, p->planes);
    qf_engine_run (engine);
    if (qf_engine_trouble (engine)) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED, "%s",
          qf_engine_trouble (engine));
      return FALSE;
    }
    outputs = qf_engine_outputs (engine, &n);
    qf_decoder_run (decoder, outputs, n, (float) j->o->threshold, iou,
        j->o->max_detections, &found);
    add_picture (j, p, &found, metrics);
    if (i % 16 == 0)
      progress_show (
          "measuring", (from + (double) i / j->pictures->len) / of, name);
  }
  qf_metrics_get (metrics, scores);
  return TRUE;
}

static double
figure (const Job *j, const QfScores *s)
{
  return j->actions ? s->accuracy : s->ap50;
}

/* By what is lost, then what is saved: the first are to go low first. */
static int
compare_rows (gconstpointer a, gconstpointer b, gpointer data)
{
  const Row *r = a, *s = b;
  double x = figure (data, &r->scores), y = figure (data, &s->scores);

  if (x > y || x < y)
    return x > y ? -1 : 1;
  return (r->saved < s->saved) - (r->saved > s->saved);
}

static gint64
saved_bytes (const QfModelLayer *l, int bits)
{
  gint64 scales = l->bits == 32 ? l->channels * (gint64) sizeof (float) : 0;
  /* there are files of 4 and of 8 bits */
  int stored = bits <= 4 ? 4 : 8;

  return (l->n_weights * l->bits + 7) / 8 - (l->n_weights * stored + 7) / 8 -
      scales;
}

static gboolean
measure_layers (Job *j, GError **error)
{
  int n = qf_model_n_layers (j->model);

  if (!measure (j, j->model, 0, n + 1, "as it is", &j->scores, error))
    return FALSE;
  for (int i = 0; i < n; i++) {
    Row row = { 0 };
    g_autoptr (QfModel) rounded =
        qf_model_round_layer (j->model, i, j->o->bits, &row.changed, error);

    qf_model_layer (j->model, i, &row.layer);
    row.saved = saved_bytes (&row.layer, j->o->bits);
    if (!rounded ||
        !measure (j, rounded, i + 1, n + 1, row.layer.name, &row.scores, error))
      return FALSE;
    g_array_append_val (j->rows, row);
  }
  progress_clear ();
  g_array_sort_with_data (j->rows, compare_rows, j);
  return TRUE;
}

/* ---- reports ------------------------------------------------------------ */

static void
print_text (const Job *j)
{
  const char *name = j->actions ? "accuracy" : "AP50";
  double whole = figure (j, &j->scores);

  g_print ("%s %.4f as it is  (%u pictures); with one layer's weights at %d "
           "bits:\n\n",
      name, whole, j->pictures->len, j->o->bits);
  g_print ("  %-24s %-5s %4s %9s %9s %8s %8s\n", "layer", "", "bits", "weights",
      "bytes", name, "change");
  g_print ("  %-24s %-5s %4s %9s %9s\n", "", "", "now", "", "saved");
  for (guint i = 0; i < j->rows->len; i++) {
    const Row *r = &g_array_index (j->rows, Row, i);
    double value = figure (j, &r->scores);

    g_print ("  %-24s %-5s %4d %9" G_GINT64_FORMAT " %9" G_GINT64_FORMAT
             " %8.4f %+8.4f%s\n",
        r->layer.name, r->layer.op, r->layer.bits, r->layer.n_weights, r->saved,
        value, value - whole, r->changed ? "" : "  the same weights");
  }
}

static void
print_json (const Job *j)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();
  const char *name = j->actions ? "accuracy" : "ap50";
  double whole = figure (j, &j->scores);

  json_builder_begin_object (b);
  tool_json_string (b, "model", j->o->model_path);
  tool_json_int (b, "clips", j->o->clips->len);
  tool_json_int (b, "pictures", j->pictures->len);
  tool_json_int (b, "bits", j->o->bits);
  tool_json_number (b, name, whole);
  json_builder_set_member_name (b, "layers");
  json_builder_begin_array (b);
  for (guint i = 0; i < j->rows->len; i++) {
    const Row *r = &g_array_index (j->rows, Row, i);

    json_builder_begin_object (b);
    tool_json_string (b, "name", r->layer.name);
    tool_json_string (b, "op", r->layer.op);
    tool_json_int (b, "bits", r->layer.bits);
    tool_json_int (b, "weights", r->layer.n_weights);
    tool_json_int (b, "bytes_saved", r->saved);
    json_builder_set_member_name (b, "changed");
    json_builder_add_boolean_value (b, r->changed);
    tool_json_number (b, name, figure (j, &r->scores));
    tool_json_number (b, "change", figure (j, &r->scores) - whole);
    json_builder_end_object (b);
  }
  json_builder_end_array (b);
  json_builder_end_object (b);
  tool_print_json (b);
}

static gboolean
prepare (Job *j, GError **error)
{
  g_autoptr (QfDecoder) decoder = NULL;

  j->model = qf_model_load (j->o->model_path, error);
  if (!j->model || !(decoder = qf_decoder_new (j->model, error)) ||
      !tool_init_gst (error) ||
      !gst_qf_want_from_model (&j->want, j->model, error) ||
      !clips_check_planes (
          j->o->clips, qf_model_get (j->model, "qfuse.planes"), error))
    return FALSE;
  if (qf_model_n_layers (j->model) == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "%s: it has operators beyond those which run in int8, or no weights",
        j->o->model_path);
    return FALSE;
  }
  j->actions = qf_decoder_is_classifier (decoder);
  j->n_labels = MAX (1, qf_model_n_labels (j->model));
  j->pictures = g_ptr_array_new_with_free_func (picture_free);
  j->rows = g_array_new (FALSE, FALSE, sizeof (Row));
  return TRUE;
}

gboolean
eval_sensitivity (const EvalSensitivity *what, GError **error)
{
  Job j = { .o = what };
  gboolean done = prepare (&j, error) && read_clips (&j, error) &&
      measure_layers (&j, error);

  progress_clear ();
  if (done && what->json)
    print_json (&j);
  else if (done)
    print_text (&j);
  g_clear_pointer (&j.rows, g_array_unref);
  g_clear_pointer (&j.pictures, g_ptr_array_unref);
  g_clear_pointer (&j.model, qf_model_unref);
  return done;
}
