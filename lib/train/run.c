/* libqfuse: the training loop.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/checkpoint.h"
#include "train/prefetch.h"
#include "train/trainer-private.h"

#include <math.h>

/* One step
 * -------------------------------------------------------------------------- */

typedef struct
{
  const QfTrainer *t;
  const QfPrefetched *batch;
} Put;

static void
put_image (gpointer data, int image, int worker)
{
  Put *p = data;

  qf_batch_put (p->t, image,
      p->batch->codes + qf_trainer_sample_bytes (p->t) * (gsize) image);
}

static void
ask_batch (QfTrainer *t, int batch)
{
  qf_prefetch_ask (t->prefetch, t->epoch, t->order + batch * t->net->batch);
}

/* Trains on batch @batch of @batches while the next one is made. */
static void
train_step (QfTrainer *t, int batch, int batches, double rate, QfLoss *loss)
{
  const QfPrefetched *b = qf_prefetch_take (t->prefetch);
  int n = t->net->batch;
  Put put = { t, b };
  g_autofree QfTarget *targets = g_new0 (QfTarget, n);

  if (batch + 1 < batches)
    ask_batch (t, batch + 1);
  qf_pool_run (t->pool, put_image, &put, n);
  for (int i = 0; i < n; i++)
    targets[i] = (QfTarget){ (QfBox *) b->boxes[i]->data,
      (int) b->boxes[i]->len, b->action[i] };
  qf_net_forward (t->net, n, TRUE);
  t->loss->run (t->net, t->assign, targets, n, loss);
  qf_net_backward (t->net, n);
  qf_optimizer_step (t->optimizer, rate);
}

/* Share of the training that is over, by steps or by time. The first step is at
 * 0: where time suffices, the clock must not change what is learned. */
static double
progress (const QfTrainer *t)
{
  double p = (double) t->step / (double) t->total;

  if (t->o.minutes > 0 && t->step > 0)
    p = MAX (p,
        (double) (g_get_monotonic_time () - t->start_time) /
            (t->o.minutes * 60e6));
  return MIN (p, 1.0);
}

/* Linear warm-up over the first 4 %, then a half cosine down to 1 % of the
 * peak (Loshchilov, Hutter, SGDR, 2017). */
static double
rate_at (const QfTrainer *t, double p)
{
  const double warm = 0.04;

  if (p < warm)
    return t->o.learning_rate * (p + 1.0 / (double) t->total) / warm;
  return t->o.learning_rate *
      (0.01 + 0.99 * 0.5 * (1 + cos (G_PI * (p - warm) / (1 - warm))));
}

/* The run
 * --------------------------------------------------------------------- */

void
qf_trainer_shuffle (QfTrainer *t)
{
  QfRng rng = { t->o.seed * UINT64_C (0x9e3779b97f4a7c15) ^
    (guint64) t->epoch * UINT64_C (0x5bd1e995) };
  int n = (int) t->train->len;

  for (int i = 0; i < n; i++)
    t->order[i] = i;
  for (int i = n - 1; i > 0; i--) {
    int j = (int) qf_rng_below (&rng, (guint32) i + 1), swap = t->order[i];

    t->order[i] = t->order[j];
    t->order[j] = swap;
  }
}

static gboolean
cancelled (GError **error)
{
  g_set_error (error, QF_ERROR, QF_ERROR_CANCELLED, "Training was stopped");
  return FALSE;
}

/* Divergence that stays finite: batches that lose ten times as much as those of
 * the warm-up did, which are 1 to FIRST; as a loss under 1 is no worse than
 * what any network starts from, ten times 1 at least. One such batch may come
 * by chance; DOUBTFUL of them, less those that did not, and what is there is no
 * longer kept. An epoch of them (AT_LEAST to AT_MOST batches) is the end. */
#define FIRST 16
#define TIMES 10
#define DOUBTFUL 2
#define AT_LEAST 8
#define AT_MOST 32

static void
watch_loss (QfTrainer *t, double loss)
{
  gint64 first = CLAMP (t->total / 25, 1, FIRST);

  if (t->step <= first)
    t->first_loss += loss;
  else if (loss > TIMES * MAX (t->first_loss / (double) first, 1))
    t->high++;
  else if (t->high > 0)
    t->high--;
}

static gboolean
diverged (const QfTrainer *t, const char *what, GError **error)
{
  g_set_error (error, QF_ERROR, QF_ERROR_FAILED,
      "Training diverged in epoch %d (%s); lower the learning rate of %g",
      t->epoch, what, t->o.learning_rate);
  return FALSE;
}

static gboolean
run_batch (QfTrainer *t, QfTrainReport *r, QfTrainFunc func, gpointer user_data,
    GError **error)
{
  double p = progress (t);
  QfLoss loss;

  /* Statistics and ranges stand still for the last fifth. */
  if (p >= 0.8)
    t->net->frozen = TRUE;
  r->learning_rate = rate_at (t, p);
  train_step (t, t->batch, r->batches, r->learning_rate, &loss);
  t->step++;
  t->sum.total += loss.total;
  t->sum.klass += loss.klass;
  t->sum.box += loss.box;
  r->batch = t->batch++;
  r->loss = loss.total;
  r->loss_class = loss.klass;
  r->loss_box = loss.box;
  r->frozen = t->net->frozen;
  r->seconds = (double) (g_get_monotonic_time () - t->start_time) * 1e-6;
  r->waited = qf_prefetch_waited (t->prefetch);
  if (!isfinite (loss.total) || !qf_net_finite (t->net))
    return diverged (t, "the loss is no finite number", error);
  watch_loss (t, loss.total);
  if (t->high >= CLAMP (r->batches, AT_LEAST, AT_MOST))
    return diverged (t, "the loss stays far above that of the start", error);
  if (func && !func (t, r, user_data))
    return cancelled (error);
  return TRUE;
}

/* Whether this epoch's model is the best so far. Without validation samples the
 * newest is, unless it is in doubt. */
static gboolean
judge (QfTrainer *t, QfTrainReport *r, GError **error)
{
  QfScores s = { NAN, NAN, NAN };
  double score;

  r->ap50 = r->best_f1 = r->accuracy = NAN;
  r->best = t->high < DOUBTFUL;
  if (t->validation->len == 0)
    return TRUE;
  if (!qf_trainer_measure (t, t->validation, 1, &s, error))
    return FALSE;
  r->ap50 = s.ap50;
  r->best_f1 = s.best_f1;
  r->accuracy = s.accuracy;
  score = isfinite (s.ap50) ? s.ap50 : s.accuracy;
  r->best = !(score < t->best);
  if (r->best && isfinite (score))
    t->best = score;
  return TRUE;
}

/* Keeps the model as a file holds it, for checkpoints. */
static gboolean
keep_best (QfTrainer *t, GError **error)
{
  g_autoptr (QfModel) model = NULL;

  g_clear_pointer (&t->best_model, g_bytes_unref);
  model = qf_trainer_export (t, error);
  t->best_model = model ? qf_model_to_bytes (model, error) : NULL;
  return t->best_model != NULL;
}

/* The last one stays while it is in doubt whether this would be a good one. */
static gboolean
save_checkpoint (QfTrainer *t, GError **error)
{
  if (t->high >= DOUBTFUL)
    return TRUE;
  t->checkpoint_time = g_get_monotonic_time ();
  return !t->checkpoint || qf_checkpoint_save (t, t->checkpoint, error);
}

/* The batches of an epoch that are left, or as many as time allows. */
static gboolean
run_batches (QfTrainer *t, QfTrainReport *r, QfTrainFunc func,
    gpointer user_data, GError **error)
{
  gboolean asked = FALSE;

  qf_trainer_shuffle (t);
  while (t->batch < r->batches && progress (t) < 1) {
    if (!asked)
      ask_batch (t, t->batch);
    asked = TRUE;
    if (!run_batch (t, r, func, user_data, error))
      return FALSE;
    if (t->checkpoint && t->batch < r->batches &&
        (double) (g_get_monotonic_time () - t->checkpoint_time) * 1e-6 >=
            t->o.checkpoint_seconds &&
        !save_checkpoint (t, error))
      return FALSE;
  }
  return TRUE;
}

/* Measures the model as it is written and tells of it. */
static gboolean
report_epoch (QfTrainer *t, QfTrainReport *r, gboolean last, QfTrainFunc func,
    gpointer user_data, GError **error)
{
  if ((last || t->validation->len > 0) &&
      !qf_trainer_choose_threshold (t, error))
    return FALSE;
  if (!judge (t, r, error))
    return FALSE;
  if (r->best && t->checkpoint && !keep_best (t, error))
    return FALSE;
  r->batch = -1;
  r->loss = t->sum.total / r->batches;
  r->loss_class = t->sum.klass / r->batches;
  r->loss_box = t->sum.box / r->batches;
  r->seconds = (double) (g_get_monotonic_time () - t->start_time) * 1e-6;
  r->waited = qf_prefetch_waited (t->prefetch);
  return !func || func (t, r, user_data) || cancelled (error);
}

static gboolean
end_epoch (QfTrainer *t, QfTrainReport *r, gboolean last, QfTrainFunc func,
    gpointer user_data, GError **error)
{
  gboolean go;

  if (last && t->high >= DOUBTFUL)
    return diverged (
        t, "at its end the loss is far above that of the start", error);
  qf_trainer_begin_average (t);
  go = report_epoch (t, r, last, func, user_data, error);
  qf_trainer_end_average (t);
  if (!go)
    return FALSE;
  t->epoch = last ? t->o.epochs + 1 : t->epoch + 1;
  t->batch = 0;
  t->sum = (QfLoss){ 0 };
  return save_checkpoint (t, error);
}

gboolean
qf_trainer_run (
    QfTrainer *t, QfTrainFunc func, gpointer user_data, GError **error)
{
  gboolean resumed;

  if (!qf_trainer_prepare (t, error))
    return FALSE;
  resumed = t->o.resume && t->checkpoint &&
      g_file_test (t->checkpoint, G_FILE_TEST_EXISTS);
  if (resumed && !qf_checkpoint_load (t, t->checkpoint, error))
    return FALSE;
  while (t->epoch <= t->o.epochs) {
    QfTrainReport r = { .epoch = t->epoch,
      .epochs = t->o.epochs,
      .batches = (int) t->train->len / t->net->batch,
      .ap50 = NAN,
      .best_f1 = NAN,
      .accuracy = NAN,
      .resumed = resumed };

    if (!run_batches (t, &r, func, user_data, error) ||
        !end_epoch (t, &r, t->epoch == t->o.epochs || progress (t) >= 1, func,
            user_data, error))
      return FALSE;
  }
  /* What qf_trainer_export() gives from now on is what was measured last. */
  qf_trainer_begin_average (t);
  return TRUE;
}
