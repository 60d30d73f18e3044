/* libqfuse: the training loop.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/model-private.h"
#include "train/build.h"
#include "train/trainer-private.h"

#include <math.h>
#include <string.h>

void
qf_train_options_init (QfTrainOptions *o)
{
  *o = (QfTrainOptions){ 0 };
  o->width = 320;
  o->height = 240;
  o->fit = QF_FIT_LETTERBOX;
  o->head = "fcos";
  o->network = "nano";
  o->labels = "object";
  o->epochs = 24;
  o->batch_size = 16;
  o->learning_rate = 0;
  o->optimizer = "sgd";
  o->momentum = 0.9;
  o->weight_decay = -1;
  o->zoom_min = 0.5;
  o->zoom_max = 2.0;
  o->shift = 0.1;
  o->brightness = 0.2;
  o->flip = TRUE;
  o->seed = 1;
  o->quantize = TRUE;
}

static int
count_labels (const char *labels)
{
  g_auto (GStrv) names = g_strsplit (labels, "\n", -1);
  int n = 0;

  for (int i = 0; names[i]; i++)
    n += names[i][0] != 0;
  return n;
}

static gboolean
check_options (const QfTrainOptions *o, GError **error)
{
  const char *wrong = NULL;
  QfOptimizerKind kind;

  if (!qf_optimizer_kind (o->optimizer, &kind, error))
    return FALSE;
  if (o->planes.n < 1)
    wrong = "no input planes are named";
  else if (o->epochs < 1 || o->epochs > 100000)
    wrong = "epochs must be from 1 to 100000";
  else if (o->batch_size < 1 || o->batch_size > 256)
    wrong = "the batch must have 1 to 256 samples";
  else if (!(o->learning_rate >= 0) || !isfinite (o->learning_rate))
    wrong = "the learning rate must not be negative";
  else if (!(o->momentum >= 0 && o->momentum < 1))
    wrong = "momentum must be from 0 up to, not including, 1";
  else if (!(o->clip_norm >= 0))
    wrong = "the gradient's longest norm must not be negative";
  else if (!(o->zoom_min > 0) || !(o->zoom_max >= o->zoom_min)
      || o->zoom_max > 16 || o->zoom_min < 1.0 / 16)
    wrong = "zoom must be from 1/16 to 16, the lesser first";
  else if (!qf_loss_find (o->head))
    wrong = "this head cannot be trained; fcos and classify can";
  else if (count_labels (o->labels) < 1)
    wrong = "no label is named";
  if (wrong)
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT, "Cannot train: %s",
        wrong);
  return !wrong;
}

/* What is left to the optimizer. */
static void
set_defaults (QfTrainOptions *o)
{
  gboolean adam = g_str_equal (o->optimizer, "adamw");

  if (o->learning_rate <= 0)
    o->learning_rate = adam ? 0.002 : 0.04;
  if (o->weight_decay < 0)
    o->weight_decay = adam ? 0.05 : 5e-4;
}

/* The start model's graph, in the form that qf_net_new() reads. */
static QfGraph *
start_graph (const QfTrainOptions *o, QfModel *start, GError **error)
{
  g_autoptr (QfGraph) g = qf_graph_copy (start->graph);
  g_autofree char *planes = qf_planes_to_string (&o->planes);
  const char *has = qf_model_get (start, "qfuse.planes");
  int c, h, w;

  qf_model_input_shape (start, &c, &h, &w);
  if (c != o->planes.n || h != o->height || w != o->width
      || (has && !g_str_equal (has, planes))) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "The start model sees %s at %dx%d, not %s at %dx%d; train with its "
        "planes and size", has ? has : "other planes", w, h, planes, o->width,
        o->height);
    return NULL;
  }
  if (!qf_graph_fuse (g, error))
    return NULL;
  for (guint i = 0; i < g->outputs->len; i++) {
    QfValue *v = qf_graph_value (g, g_array_index (g->outputs, int, i));
    const QfValue *was = qf_graph_value (start->graph,
        g_array_index (start->graph->outputs, int, i));

    g_free (v->name);
    v->name = g_strdup (was->name);
  }
  return g_steal_pointer (&g);
}

QfTrainer *
qf_trainer_new (const QfTrainOptions *options, QfModel *start, GError **error)
{
  g_autoptr (QfTrainer) t = NULL;

  if (!check_options (options, error))
    return NULL;
  t = g_new0 (QfTrainer, 1);
  t->o = *options;
  t->o.head = t->head = g_strdup (options->head);
  t->o.network = t->network = g_strdup (options->network);
  t->o.labels = t->labels = g_strdup (options->labels);
  t->o.optimizer = t->optimizer_name = g_strdup (options->optimizer);
  set_defaults (&t->o);
  t->n_labels = count_labels (t->labels);
  t->augment = (QfAugment){ options->planes, options->width, options->height,
    options->zoom_min, options->zoom_max, options->shift, options->brightness,
    options->flip };
  t->train = g_ptr_array_new_with_free_func ((GDestroyNotify) qf_sample_free);
  t->validation
      = g_ptr_array_new_with_free_func ((GDestroyNotify) qf_sample_free);
  t->loss = qf_loss_find (t->head);
  t->pool = qf_pool_new (options->threads);
  t->threshold = 0.3;
  if (start) {
    t->graph = start_graph (&t->o, start, error);
  } else {
    QfBuild b = { options->planes.n, options->width, options->height,
      t->n_labels, t->head };

    t->graph = qf_build_network (t->network, &b, error);
    t->fresh = TRUE;
  }
  if (!t->graph)
    return NULL;
  return g_steal_pointer (&t);
}

static void
free_run (QfTrainer *t)
{
  for (int i = 0; t->batch_boxes && i < t->net->batch; i++)
    g_array_unref (t->batch_boxes[i]);
  g_clear_pointer (&t->batch_boxes, g_free);
  g_clear_pointer (&t->order, g_free);
  g_clear_pointer (&t->optimizer, qf_optimizer_free);
  g_clear_pointer (&t->net, qf_net_free);
}

void
qf_trainer_free (QfTrainer *t)
{
  if (!t)
    return;
  free_run (t);
  g_clear_pointer (&t->graph, qf_graph_free);
  g_ptr_array_unref (t->train);
  g_ptr_array_unref (t->validation);
  qf_pool_free (t->pool);
  g_free (t->head);
  g_free (t->network);
  g_free (t->labels);
  g_free (t->optimizer_name);
  g_free (t);
}

void
qf_trainer_add (QfTrainer *t, const guint8 *planes, const QfBox *boxes,
    int n_boxes, int action, gboolean validation)
{
  QfSample *s
      = qf_sample_new (planes, qf_trainer_sample_bytes (t), boxes, n_boxes, action);
  int kept = 0;

  for (int i = 0; i < n_boxes; i++) {
    const QfBox *b = &s->boxes[i];

    if (b->label >= 0 && b->label < t->n_labels && isfinite (b->x) && isfinite (b->y)
        && isfinite (b->w) && isfinite (b->h) && b->w > 0 && b->h > 0)
      s->boxes[kept++] = *b;
  }
  s->n_boxes = kept;
  g_ptr_array_add (validation ? t->validation : t->train, s);
}

int
qf_trainer_n_samples (const QfTrainer *t, gboolean validation)
{
  return (int) (validation ? t->validation : t->train)->len;
}

gsize
qf_trainer_bytes (const QfTrainer *t)
{
  return qf_trainer_sample_bytes (t) * (t->train->len + t->validation->len);
}

/* One step -------------------------------------------------------------------------- */

static void
train_step (QfTrainer *t, int first, int n, double rate, QfLoss *loss)
{
  QfBatch b = { t, t->train, t->order, first, 1 };
  g_autofree QfTarget *targets = g_new0 (QfTarget, n);

  qf_pool_run (t->pool, qf_batch_load, &b, n);
  for (int i = 0; i < n; i++) {
    const QfSample *s
        = g_ptr_array_index (t->train, (guint) t->order[first + i]);
    GArray *boxes = t->batch_boxes[i];

    targets[i]
        = (QfTarget){ (QfBox *) boxes->data, (int) boxes->len, s->action };
  }
  qf_net_forward (t->net, n, TRUE);
  t->loss->run (t->net, targets, n, loss);
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
    p = MAX (p, (double) (g_get_monotonic_time () - t->start_time)
        / (t->o.minutes * 60e6));
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
  return t->o.learning_rate
      * (0.01 + 0.99 * 0.5 * (1 + cos (G_PI * (p - warm) / (1 - warm))));
}

/* The run -------------------------------------------------------------------------------- */

static void
shuffle (int *order, int n, QfRng *rng)
{
  for (int i = n - 1; i > 0; i--) {
    int j = (int) qf_rng_below (rng, (guint32) i + 1), swap = order[i];

    order[i] = order[j];
    order[j] = swap;
  }
}

static void
make_optimizer (QfTrainer *t)
{
  QfOptimizerOptions o = { QF_OPTIMIZER_SGD, t->o.momentum, 0.999,
    t->o.weight_decay, t->o.clip_norm, 0 };

  qf_optimizer_kind (t->o.optimizer, &o.kind, NULL);
  t->optimizer = qf_optimizer_new (t->net, &o);
}

static gboolean
prepare_run (QfTrainer *t, GError **error)
{
  int n = (int) t->train->len, boxes = 0, actions = 0;
  QfRng rng = { t->o.seed };

  for (int i = 0; i < n; i++) {
    const QfSample *s = g_ptr_array_index (t->train, (guint) i);

    boxes += s->n_boxes;
    actions += s->action >= 0 && s->action < t->n_labels;
  }
  if (n == 0 || (g_str_equal (t->head, "classify") ? actions < n : !boxes)) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT, n == 0
            ? "There is nothing to learn from: no tagged frame arrived"
            : "There is nothing to learn from: the %d frames have no %s", n,
        g_str_equal (t->head, "classify") ? "action each" : "box");
    return FALSE;
  }
  free_run (t);
  t->net = qf_net_new (t->graph, MIN (t->o.batch_size, n), t->o.quantize,
      t->pool, error);
  if (!t->net)
    return FALSE;
  if (t->fresh)
    qf_net_init (t->net, &rng);
  make_optimizer (t);
  t->order = g_new (int, n);
  for (int i = 0; i < n; i++)
    t->order[i] = i;
  t->batch_boxes = g_new0 (GArray *, t->net->batch);
  for (int i = 0; i < t->net->batch; i++)
    t->batch_boxes[i] = g_array_new (FALSE, FALSE, sizeof (QfBox));
  t->step = 0;
  t->total = (gint64) t->o.epochs * (n / t->net->batch);
  t->start_time = g_get_monotonic_time ();
  return TRUE;
}

static gboolean
cancelled (GError **error)
{
  g_set_error (error, QF_ERROR, QF_ERROR_CANCELLED, "Training was stopped");
  return FALSE;
}

static gboolean
run_batch (QfTrainer *t, int batch, QfTrainReport *r, QfLoss *sum,
    QfTrainFunc func, gpointer user_data, GError **error)
{
  double p = progress (t);
  QfLoss loss;

  /* Statistics and ranges stand still for the last fifth. */
  if (p >= 0.8)
    t->net->frozen = TRUE;
  r->learning_rate = rate_at (t, p);
  train_step (t, batch * t->net->batch, t->net->batch, r->learning_rate,
      &loss);
  t->step++;
  sum->total += loss.total;
  sum->klass += loss.klass;
  sum->box += loss.box;
  r->batch = batch;
  r->loss = loss.total;
  r->loss_class = loss.klass;
  r->loss_box = loss.box;
  r->frozen = t->net->frozen;
  r->seconds = (double) (g_get_monotonic_time () - t->start_time) * 1e-6;
  if (!isfinite (loss.total) || !qf_net_finite (t->net)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FAILED,
        "Training diverged in epoch %d (the loss is no finite number); lower "
        "the learning rate of %g", r->epoch, t->o.learning_rate);
    return FALSE;
  }
  if (func && !func (t, r, user_data))
    return cancelled (error);
  return TRUE;
}

/* Whether this epoch's model is the best so far. Without validation samples the
 * newest is. */
static gboolean
judge (QfTrainer *t, QfTrainReport *r, double *best, GError **error)
{
  QfScores s = { NAN, NAN, NAN };
  double score;

  r->ap50 = r->best_f1 = r->accuracy = NAN;
  r->best = TRUE;
  if (t->validation->len == 0)
    return TRUE;
  if (!qf_trainer_measure (t, t->validation, 1, &s, error))
    return FALSE;
  r->ap50 = s.ap50;
  r->best_f1 = s.best_f1;
  r->accuracy = s.accuracy;
  score = isfinite (s.ap50) ? s.ap50 : s.accuracy;
  r->best = !(score < *best);
  if (r->best && isfinite (score))
    *best = score;
  return TRUE;
}

gboolean
qf_trainer_run (QfTrainer *t, QfTrainFunc func, gpointer user_data,
    GError **error)
{
  QfRng rng = { t->o.seed ^ UINT64_C (0x5bd1e995) };
  double best = -1;
  int batches;

  if (!prepare_run (t, error))
    return FALSE;
  batches = (int) t->train->len / t->net->batch;
  for (t->epoch = 1; t->epoch <= t->o.epochs; t->epoch++) {
    QfTrainReport r = { t->epoch, t->o.epochs, 0, batches };
    QfLoss sum = { 0 };
    gboolean last;

    r.ap50 = r.best_f1 = r.accuracy = NAN;
    shuffle (t->order, (int) t->train->len, &rng);
    for (int i = 0; i < batches && progress (t) < 1; i++)
      if (!run_batch (t, i, &r, &sum, func, user_data, error))
        return FALSE;
    last = t->epoch == t->o.epochs || progress (t) >= 1;
    if ((last || t->validation->len > 0) && !qf_trainer_choose_threshold (t, error))
      return FALSE;
    if (!judge (t, &r, &best, error))
      return FALSE;
    r.batch = -1;
    r.loss = sum.total / batches;
    r.loss_class = sum.klass / batches;
    r.loss_box = sum.box / batches;
    r.seconds = (double) (g_get_monotonic_time () - t->start_time) * 1e-6;
    if (func && !func (t, &r, user_data))
      return cancelled (error);
    if (last)
      break;
  }
  return TRUE;
}
