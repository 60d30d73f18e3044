/* GStreamer qfuse: the thread that trains for qfusetrain.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqftrainjob.h"

#include "gstqftrainpicture.h"

#include <math.h>

#define CODE "train"

struct _GstQfTrainJob
{
  GstElement *element;
  const GstQfTrainPlan *plan;
  GstQfTrainSet *set;
  gint rate_n, rate_d;
  GstQfTrainDone done;
  gpointer user_data;
  GThread *thread;

  GMutex lock;
  GCond cond;
  gboolean stop, paused; /* under the lock */
  gboolean reported;
  QfTrainReport report;

  /* the thread's own */
  gboolean written;
  GError *write_error;
};

static void
post_progress (GstQfTrainJob *job, GstProgressType type, const gchar *text)
{
  gst_element_post_message (job->element,
      gst_message_new_progress (GST_OBJECT (job->element), type, CODE, text));
}

/* Members that were not measured are left out. */
static void
post_epoch (GstQfTrainJob *job, const QfTrainReport *r)
{
  const struct
  {
    const gchar *name;
    gdouble value;
  } numbers[] = { { "loss", r->loss }, { "loss-class", r->loss_class },
    { "loss-box", r->loss_box }, { "ap50", r->ap50 }, { "best-f1", r->best_f1 },
    { "accuracy", r->accuracy }, { "learning-rate", r->learning_rate },
    { "seconds", r->seconds } };
  GstStructure *s =
      gst_structure_new ("qfuse-epoch", "epoch", G_TYPE_INT, r->epoch, "epochs",
          G_TYPE_INT, r->epochs, "best", G_TYPE_BOOLEAN, r->best, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    if (isfinite (numbers[i].value))
      gst_structure_set (
          s, numbers[i].name, G_TYPE_DOUBLE, numbers[i].value, NULL);
  gst_element_post_message (
      job->element, gst_message_new_element (GST_OBJECT (job->element), s));
}

static void
post_epoch_progress (GstQfTrainJob *job, const QfTrainReport *r)
{
  GString *text = g_string_new (NULL);

  g_string_printf (
      text, "epoch %d of %d: loss %.4f", r->epoch, r->epochs, r->loss);
  if (isfinite (r->ap50))
    g_string_append_printf (text, ", AP50 %.3f", r->ap50);
  if (isfinite (r->accuracy))
    g_string_append_printf (text, ", accuracy %.3f", r->accuracy);
  g_string_append_printf (text, ", %.0f s", r->seconds);
  if (r->best)
    g_string_append (text, ", written");
  post_progress (job, GST_PROGRESS_TYPE_CONTINUE, text->str);
  g_string_free (text, TRUE);
}

static gboolean
write_model (GstQfTrainJob *job, QfTrainer *trainer)
{
  g_autoptr (QfModel) model = qf_trainer_export (trainer, &job->write_error);

  job->written = model &&
      qf_model_save (model, job->plan->settings.model_file, &job->write_error);
  return job->written;
}

/* Of a training that went on and found none better than before its stop, or
 * that measured nothing. */
static gboolean
write_best (GstQfTrainJob *job, QfTrainer *trainer)
{
  GBytes *best = qf_trainer_best (trainer);
  g_autoptr (QfModel) model = NULL;

  if (!best)
    return write_model (job, trainer);
  model = qf_model_load_bytes (best, "checkpoint", &job->write_error);
  return model &&
      qf_model_save (model, job->plan->settings.model_file, &job->write_error);
}

/* Blocks while paused. */
static gboolean
may_go_on (GstQfTrainJob *job, const QfTrainReport *report)
{
  gboolean go;

  g_mutex_lock (&job->lock);
  job->report = *report;
  job->reported = TRUE;
  while (job->paused && !job->stop)
    g_cond_wait (&job->cond, &job->lock);
  go = !job->stop;
  g_mutex_unlock (&job->lock);
  return go;
}

/* A training that runs is worth more than a picture of it. */
static void
draw_picture (GstQfTrainJob *job, QfTrainer *trainer)
{
  const gchar *path = job->plan->settings.picture_file;
  g_autoptr (GError) error = NULL;

  if (path && *path && !gst_qf_train_picture_write (trainer, path, &error))
    GST_ELEMENT_WARNING (
        job->element, RESOURCE, WRITE, ("%s", error->message), (NULL));
}

static gboolean
on_report (QfTrainer *trainer, const QfTrainReport *report, gpointer data)
{
  GstQfTrainJob *job = data;

  if (report->resumed && !job->reported) {
    g_autofree gchar *text = g_strdup_printf (
        "going on from a checkpoint in epoch %d", report->epoch);

    post_progress (job, GST_PROGRESS_TYPE_CONTINUE, text);
  }
  if (report->batch < 0) {
    if (report->best && !write_model (job, trainer))
      return FALSE;
    if (report->best)
      draw_picture (job, trainer);
    post_epoch (job, report);
    post_epoch_progress (job, report);
  }
  return may_go_on (job, report);
}

static gboolean
choose_head (GstQfTrainJob *job, const gchar **head, GError **error)
{
  const GstQfTrainPlan *plan = job->plan;
  guint n_boxes = gst_qf_train_set_n_boxes (job->set);
  guint n_actions = gst_qf_train_set_n_actions (job->set);
  const gchar *of_start =
      plan->start ? qf_model_get (plan->start, "qfuse.head") : NULL;

  if (plan->settings.head == GST_QF_TRAIN_HEAD_FCOS)
    *head = "fcos";
  else if (plan->settings.head == GST_QF_TRAIN_HEAD_CLASSIFY)
    *head = "classify";
  else if (of_start)
    *head = of_start;
  else
    *head = n_boxes > 0 || n_actions == 0 ? "fcos" : "classify";

  if (g_str_equal (*head, "classify") ? n_actions > 0 : n_boxes > 0)
    return TRUE;
  g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
      "Nothing to learn: the %u tagged frames hold no %s; check the file and "
      "the frames that qfusetag and qfusetrain were given.",
      gst_qf_train_set_size (job->set, NULL),
      g_str_equal (*head, "classify") ? "action" : "box");
  return FALSE;
}

static QfTrainer *
make_trainer (GstQfTrainJob *job, GError **error)
{
  const GstQfTrainPlan *plan = job->plan;
  g_autoptr (QfTrainer) trainer = NULL;
  g_autofree gchar *labels = NULL;
  QfTrainOptions options;
  const gchar *head;
  gboolean actions;

  if (!choose_head (job, &head, error))
    return NULL;
  actions = g_str_equal (head, "classify");
  labels = plan->labels ? g_strdup (plan->labels)
                        : gst_qf_train_set_labels (job->set, actions);
  gst_qf_train_plan_options (plan, head, labels, &options);
  if (options.rate_n == 0 && qf_planes_history (&options.planes) > 0) {
    options.rate_n = job->rate_n;
    options.rate_d = job->rate_d;
  }
  trainer = qf_trainer_new (&options, plan->start, error);
  if (!trainer ||
      !gst_qf_train_set_move (
          job->set, trainer, labels, actions, plan->validation_share, error))
    return NULL;
  return g_steal_pointer (&trainer);
}

static gboolean
train (GstQfTrainJob *job, GError **error)
{
  g_autoptr (QfTrainer) trainer = make_trainer (job, error);
  g_autofree gchar *text = NULL;
  gboolean ok;

  if (!trainer)
    return FALSE;
  text = g_strdup_printf ("learning from %d samples, measuring on %d",
      qf_trainer_n_samples (trainer, FALSE),
      qf_trainer_n_samples (trainer, TRUE));
  post_progress (job, GST_PROGRESS_TYPE_CONTINUE, text);

  if (job->plan->settings.batches_file)
    return qf_trainer_write_batches (
        trainer, job->plan->settings.batches_file, error);
  ok = qf_trainer_run (trainer, on_report, job, error);
  if (ok && !job->written)
    ok = write_best (job, trainer);
  if (job->write_error) {
    g_clear_error (error);
    g_propagate_error (error, g_steal_pointer (&job->write_error));
    ok = FALSE;
  }
  return ok;
}

static void
post_error (GstQfTrainJob *job, const GError *error)
{
  if (g_error_matches (error, QF_ERROR, QF_ERROR_FILE))
    GST_ELEMENT_ERROR (job->element, RESOURCE, WRITE, ("%s", error->message),
        ("Training ended. What was written before stays."));
  else if (g_error_matches (error, QF_ERROR, QF_ERROR_ARGUMENT))
    GST_ELEMENT_ERROR (
        job->element, RESOURCE, SETTINGS, ("%s", error->message), (NULL));
  else
    GST_ELEMENT_ERROR (
        job->element, STREAM, FAILED, ("%s", error->message), (NULL));
}

static gpointer
run (gpointer data)
{
  GstQfTrainJob *job = data;
  g_autoptr (GError) error = NULL;
  g_autofree gchar *text = NULL;
  gboolean ok;

  post_progress (job, GST_PROGRESS_TYPE_START, "training");
  ok = train (job, &error);
  if (ok) {
    text = g_strdup_printf ("wrote %s", job->plan->settings.model_file);
    post_progress (job, GST_PROGRESS_TYPE_COMPLETE, text);
  } else if (g_error_matches (error, QF_ERROR, QF_ERROR_CANCELLED)) {
    post_progress (job, GST_PROGRESS_TYPE_CANCELED, "training was stopped");
  } else {
    post_progress (job, GST_PROGRESS_TYPE_ERROR, error->message);
    post_error (job, error);
  }
  job->done (job->user_data, ok);
  return NULL;
}

GstQfTrainJob *
gst_qf_train_job_new (GstElement *element, const GstQfTrainPlan *plan,
    GstQfTrainSet *set, gint rate_n, gint rate_d, GstQfTrainDone done,
    gpointer user_data)
{
  GstQfTrainJob *job = g_new0 (GstQfTrainJob, 1);

  job->element = element;
  job->plan = plan;
  job->set = set;
  job->rate_n = rate_n;
  job->rate_d = rate_d;
  job->done = done;
  job->user_data = user_data;
  g_mutex_init (&job->lock);
  g_cond_init (&job->cond);
  job->thread = g_thread_try_new ("qfusetrain", run, job, NULL);
  if (!job->thread)
    g_clear_pointer (&job, gst_qf_train_job_free);
  return job;
}

void
gst_qf_train_job_stop (GstQfTrainJob *job)
{
  g_mutex_lock (&job->lock);
  job->stop = TRUE;
  g_cond_broadcast (&job->cond);
  g_mutex_unlock (&job->lock);
}

void
gst_qf_train_job_pause (GstQfTrainJob *job, gboolean pause)
{
  g_mutex_lock (&job->lock);
  job->paused = pause;
  g_cond_broadcast (&job->cond);
  g_mutex_unlock (&job->lock);
}

gboolean
gst_qf_train_job_report (GstQfTrainJob *job, QfTrainReport *report)
{
  gboolean reported;

  g_mutex_lock (&job->lock);
  reported = job->reported;
  *report = job->report;
  g_mutex_unlock (&job->lock);
  return reported;
}

void
gst_qf_train_job_free (GstQfTrainJob *job)
{
  if (!job)
    return;
  if (job->thread) {
    gst_qf_train_job_stop (job);
    g_thread_join (job->thread);
  }
  gst_qf_train_set_free (job->set);
  g_clear_error (&job->write_error);
  g_mutex_clear (&job->lock);
  g_cond_clear (&job->cond);
  g_free (job);
}
