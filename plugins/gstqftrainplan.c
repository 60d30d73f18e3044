/* GStreamer qfuse: what qfusetrain is to do, checked before the first frame.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqftrainplan.h"

#include <string.h>

#include "gstqflists.h"
#include "gstqfoutput.h"
#include "train/frames.h"

#define DEFAULT_PLANES "Y,D1x2t8,D5x2t8"
#define MAX_SHARE 0.9

void
gst_qf_train_plan_free (GstQfTrainPlan *plan)
{
  if (!plan)
    return;
  gst_qf_train_settings_clear (&plan->settings);
  g_clear_pointer (&plan->start, qf_model_unref);
  g_clear_pointer (&plan->frames, g_array_unref);
  g_clear_pointer (&plan->validation_frames, g_array_unref);
  g_free (plan->labels);
  g_free (plan);
}

static gboolean
is_set (const gchar *text)
{
  return text && *text != '\0';
}

/* A file is written beside and renamed: that must not hit a device or a folder.
 */
static gboolean
check_output (const gchar *path, GError **error)
{
  if (g_file_test (path, G_FILE_TEST_EXISTS) &&
      !g_file_test (path, G_FILE_TEST_IS_REGULAR)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE,
        "Cannot write %s: it is not a regular file.", path);
    return FALSE;
  }
  return gst_qf_output_check (path, error);
}

static gboolean
check_files (const GstQfTrainSettings *s, GError **error)
{
  if (!is_set (s->model_file)) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "No file to write the model to: set model-file.");
    return FALSE;
  }
  if (s->resume && !is_set (s->checkpoint_file)) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "resume needs the checkpoint to go on from: set checkpoint-file.");
    return FALSE;
  }
  return check_output (s->model_file, error) &&
      (!is_set (s->checkpoint_file) ||
          check_output (s->checkpoint_file, error)) &&
      (!is_set (s->picture_file) || check_output (s->picture_file, error));
}

static gboolean
make_want (GstQfTrainPlan *plan, GError **error)
{
  const GstQfTrainSettings *s = &plan->settings;
  GstQfWant *w = &plan->want;

  if (plan->start) {
    if (!gst_qf_want_from_model (w, plan->start, error))
      return FALSE;
  } else {
    w->width = s->width;
    w->height = s->height;
    w->fit = s->fit;
    w->rate_d = 1;
  }
  if ((is_set (s->planes) || !plan->start) &&
      !qf_planes_parse (
          &w->planes, is_set (s->planes) ? s->planes : DEFAULT_PLANES, error))
    return FALSE;
  if (s->rate_n > 0) {
    w->rate_n = s->rate_n;
    w->rate_d = s->rate_d;
  }
  plan->seen = *w;
  plan->keep_frames =
      (s->speed > 1 || s->backwards) && qf_planes_history (&w->planes) > 0;
  if (plan->keep_frames)
    qf_planes_base (&w->planes, &plan->seen.planes);
  return TRUE;
}

static gboolean
make_labels (GstQfTrainPlan *plan, GError **error)
{
  const gchar *of_start =
      plan->start ? qf_model_get (plan->start, "qfuse.labels") : NULL;
  g_auto (GStrv) names = NULL;

  if (!is_set (plan->settings.labels)) {
    plan->labels = g_strdup (is_set (of_start) ? of_start : NULL);
    return TRUE;
  }
  names = gst_qf_names_parse (plan->settings.labels, error);
  if (!names)
    return FALSE;
  if (is_set (of_start) &&
      (gint) g_strv_length (names) != qf_model_n_labels (plan->start)) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "%s knows %d labels, but the labels property names %u; name as many, "
        "or "
        "do not set labels.",
        plan->settings.start_file, qf_model_n_labels (plan->start),
        g_strv_length (names));
    return FALSE;
  }
  plan->labels = g_strjoinv ("\n", names);
  return TRUE;
}

/* A share such as 0.1, or ranges of frames such as 401-500. A whole number is a
 * frame, but 0 is no share. */
static gboolean
make_validation (GstQfTrainPlan *plan, GError **error)
{
  const gchar *text = plan->settings.validation;
  gchar *end;
  gdouble share;

  if (!is_set (text) || g_str_equal (text, "0"))
    text = "0.0";
  if (!strpbrk (text, ".eE")) {
    plan->validation_frames = gst_qf_ranges_parse (text, error);
    return plan->validation_frames != NULL;
  }
  share = g_ascii_strtod (text, &end);
  if (*end != '\0' || !(share >= 0 && share <= MAX_SHARE)) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "validation=%s is neither a share from 0 to %g nor numbers of frames "
        "such as 401-500.",
        text, MAX_SHARE);
    return FALSE;
  }
  plan->validation_share = share;
  plan->validation_frames = gst_qf_ranges_parse (NULL, NULL);
  return TRUE;
}

/* Whether a trainer takes this: now, not when the stream is over. */
static gboolean
try_trainer (const GstQfTrainPlan *plan, GError **error)
{
  const gchar *head =
      plan->settings.head == GST_QF_TRAIN_HEAD_CLASSIFY ? "classify" : "fcos";
  QfTrainOptions options;
  QfTrainer *trainer;

  if (plan->settings.head == GST_QF_TRAIN_HEAD_AUTO && plan->start &&
      qf_model_get (plan->start, "qfuse.head"))
    head = qf_model_get (plan->start, "qfuse.head");
  gst_qf_train_plan_options (
      plan, head, plan->labels ? plan->labels : "object", &options);
  trainer = qf_trainer_new (&options, plan->start, error);
  qf_trainer_free (trainer);
  return trainer != NULL;
}

GstQfTrainPlan *
gst_qf_train_plan_new (const GstQfTrainSettings *settings, GError **error)
{
  g_autoptr (GstQfTrainPlan) plan = g_new0 (GstQfTrainPlan, 1);
  const GstQfTrainSettings *s = &plan->settings;

  gst_qf_train_settings_copy (&plan->settings, settings);
  if (!check_files (s, error))
    return NULL;
  plan->frames = gst_qf_ranges_parse (s->frames, error);
  if (!plan->frames || !make_validation (plan, error))
    return NULL;
  if (is_set (s->start_file)) {
    plan->start = qf_model_load (s->start_file, error);
    if (!plan->start)
      return NULL;
  }
  if (!make_want (plan, error) || !make_labels (plan, error) ||
      !try_trainer (plan, error))
    return NULL;
  return g_steal_pointer (&plan);
}

GstQfTrainUse
gst_qf_train_plan_use (const GstQfTrainPlan *plan, gint n, gboolean validation)
{
  if (plan->validation_frames->len > 0 &&
      gst_qf_ranges_hold (plan->validation_frames, n))
    return GST_QF_TRAIN_VALIDATE;
  if (plan->frames->len > 0 && !gst_qf_ranges_hold (plan->frames, n))
    return GST_QF_TRAIN_SKIP;
  if ((guint) MAX (n - 1, 0) % plan->settings.every != 0)
    return GST_QF_TRAIN_SKIP;
  return validation ? GST_QF_TRAIN_VALIDATE : GST_QF_TRAIN_LEARN;
}

gboolean
gst_qf_train_plan_actions (const GstQfTrainPlan *plan)
{
  return plan->settings.head == GST_QF_TRAIN_HEAD_CLASSIFY ||
      (plan->settings.head == GST_QF_TRAIN_HEAD_AUTO && plan->start &&
          g_strcmp0 (qf_model_get (plan->start, "qfuse.head"), "classify") ==
              0);
}

void
gst_qf_train_plan_options (const GstQfTrainPlan *plan, const gchar *head,
    const gchar *labels, QfTrainOptions *o)
{
  const GstQfTrainSettings *s = &plan->settings;

  qf_train_options_init (o);
  o->planes = plan->want.planes;
  o->width = plan->want.width;
  o->height = plan->want.height;
  o->fit = plan->want.fit;
  o->rate_n = plan->want.rate_n;
  o->rate_d = plan->want.rate_d;
  o->head = head;
  o->network = s->network ? s->network : o->network;
  o->labels = labels;
  o->epochs = s->epochs;
  o->batch_size = s->batch_size;
  o->learning_rate = s->learning_rate;
  o->optimizer = s->optimizer ? s->optimizer : o->optimizer;
  o->weight_bits = s->weight_bits;
  o->activation_bits = s->activation_bits;
  o->weight_decay = s->weight_decay;
  o->clip_norm = s->clip_norm;
  o->average = s->average;
  o->ranges = s->ranges ? s->ranges : o->ranges;
  o->assign = s->assignment ? s->assignment : o->assign;
  o->zoom_min = 1 / s->zoom;
  o->zoom_max = s->zoom;
  o->shift = s->shift;
  o->brightness = s->brightness;
  o->noise = s->noise;
  o->mosaic = s->mosaic;
  o->paste = s->paste;
  o->speed = s->speed;
  o->backwards = s->backwards;
  o->memory_limit = (guint64) s->memory_limit << 20;
  o->flip = s->flip;
  o->minutes = s->minutes;
  o->seed = s->seed;
  o->threads = s->threads;
  o->quantize = s->quantize;
  o->checkpoint = is_set (s->checkpoint_file) ? s->checkpoint_file : NULL;
  o->checkpoint_seconds = s->checkpoint_interval;
  o->resume = s->resume;
}
