/* libqfuse: the training loop.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/model-private.h"
#include "train/build.h"
#include "train/checkpoint.h"
#include "train/prefetch.h"
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
  o->assign = "fixed";
  o->ranges = "bound";
  o->weight_decay = -1;
  o->zoom_min = 0.5;
  o->zoom_max = 2.0;
  o->shift = 0.1;
  o->brightness = 0.2;
  o->speed = 1;
  o->flip = TRUE;
  o->seed = 1;
  o->quantize = TRUE;
  o->checkpoint_seconds = 60;
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
  QfAssign assign;

  if (!qf_optimizer_kind (o->optimizer, &kind, error) ||
      !qf_assign_parse (o->assign, &assign, error))
    return FALSE;
  if (!g_str_equal (o->ranges, "bound") && !g_str_equal (o->ranges, "minmax") &&
      !g_str_equal (o->ranges, "learned"))
    wrong = "ranges are bound, minmax or learned";
  else if (o->planes.n < 1)
    wrong = "no input planes are named";
  else if (o->epochs < 1 || o->epochs > 100000)
    wrong = "epochs must be from 1 to 100000";
  else if (o->batch_size < 1 || o->batch_size > 256)
    wrong = "the batch must have 1 to 256 samples";
  else if (!(o->learning_rate >= 0) || !isfinite (o->learning_rate))
    wrong = "the learning rate must not be negative";
  else if (!(o->momentum >= 0 && o->momentum < 1))
    wrong = "momentum must be from 0 up to, not including, 1";
  else if (!(o->average >= 0 && o->average <= 0.99999))
    wrong = "the average's decay must be from 0 to 0.99999";
  else if (!(o->clip_norm >= 0))
    wrong = "the gradient's longest norm must not be negative";
  else if (!(o->zoom_min > 0) || !(o->zoom_max >= o->zoom_min)
      || o->zoom_max > 16 || o->zoom_min < 1.0 / 16)
    wrong = "zoom must be from 1/16 to 16, the lesser first";
  else if (!(o->noise >= 0 && o->noise <= 64))
    wrong = "noise must be from 0 to 64 codes";
  else if (!(o->mosaic >= 0 && o->mosaic <= 1 && o->paste >= 0 && o->paste <= 1))
    wrong = "mosaic and paste are shares from 0 to 1";
  else if (!(o->speed >= 1 && o->speed <= 16))
    wrong = "speed must be from 1 to 16";
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

/* A file that was quantized is fused; a float one keeps its batch norms. */
static gboolean
prepare_graph (QfGraph *g, GError **error)
{
  for (guint i = 0; i < g->nodes->len; i++)
    if (qf_graph_node (g, (int) i)->op == QF_OP_QUANTIZE)
      return qf_graph_fuse (g, error);
  qf_graph_join (g);
  return TRUE;
}

/* The start model's graph, in the form that qf_net_new() reads. */
static QfGraph *
start_graph (const QfTrainOptions *o, QfModel *start, GError **error)
{
  const QfGraph *given = qf_model_graph (start, "be trained", error);
  g_autoptr (QfGraph) g = given ? qf_graph_copy (given) : NULL;
  g_autofree char *planes = qf_planes_to_string (&o->planes);
  const char *has = qf_model_get (start, "qfuse.planes");
  int c, h, w;

  if (!g)
    return NULL;
  qf_model_input_shape (start, &c, &h, &w);
  if (c != o->planes.n || h != o->height || w != o->width
      || (has && !g_str_equal (has, planes))) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "The start model sees %s at %dx%d, not %s at %dx%d; train with its "
        "planes and size", has ? has : "other planes", w, h, planes, o->width,
        o->height);
    return NULL;
  }
  if (!prepare_graph (g, error))
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

/* Other pictures beside it would change what a picture's action is, and so would
 * playing it backwards. */
static void
set_augment (QfTrainer *t)
{
  const QfTrainOptions *o = &t->o;
  gboolean boxes = !g_str_equal (o->head, "classify");

  t->augment = (QfAugment){ .planes = o->planes,
    .width = o->width,
    .height = o->height,
    .zoom_min = o->zoom_min,
    .zoom_max = o->zoom_max,
    .shift = o->shift,
    .brightness = o->brightness,
    .noise = o->noise,
    .mosaic = boxes ? o->mosaic : 0,
    .paste = boxes ? o->paste : 0,
    .speed = o->speed,
    .backwards = boxes && o->backwards,
    .flip = o->flip };
  qf_planes_base (&o->planes, &t->augment.base);
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
  t->o.ranges = t->ranges = g_strdup (options->ranges);
  t->o.optimizer = t->optimizer_name = g_strdup (options->optimizer);
  t->o.weight_bits = t->weight_bits = g_strdup (options->weight_bits);
  t->o.activation_bits = t->activation_bits
      = g_strdup (options->activation_bits);
  qf_assign_parse (options->assign, &t->assign, NULL);
  t->o.assign = qf_assign_name (t->assign);
  set_defaults (&t->o);
  t->o.checkpoint = t->checkpoint = g_strdup (options->checkpoint);
  t->n_labels = count_labels (t->labels);
  set_augment (t);
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
  g_clear_pointer (&t->prefetch, qf_prefetch_free);
  g_clear_pointer (&t->order, g_free);
  g_clear_pointer (&t->optimizer, qf_optimizer_free);
  g_clear_pointer (&t->digest, g_free);
  g_clear_pointer (&t->best_model, g_bytes_unref);
  g_clear_pointer (&t->kept, g_byte_array_unref);
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
  qf_frames_free (t->frames);
  qf_store_unref (t->store);
  g_clear_error (&t->store_error);
  qf_pool_free (t->pool);
  g_free (t->head);
  g_free (t->network);
  g_free (t->labels);
  g_free (t->optimizer_name);
  g_free (t->ranges);
  g_free (t->weight_bits);
  g_free (t->activation_bits);
  g_free (t->checkpoint);
  g_free (t);
}

/* One step -------------------------------------------------------------------------- */

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

static void
make_optimizer (QfTrainer *t)
{
  QfOptimizerOptions o = { QF_OPTIMIZER_SGD, t->o.momentum, 0.999,
    t->o.weight_decay, t->o.clip_norm, t->o.average };

  qf_optimizer_kind (t->o.optimizer, &o.kind, NULL);
  t->optimizer = qf_optimizer_new (t->net, &o);
}

gboolean
qf_trainer_prepare (QfTrainer *t, GError **error)
{
  int n = (int) t->train->len, boxes = 0, actions = 0;
  QfRng rng = { t->o.seed };

  if (t->store_error) {
    g_propagate_error (error, g_error_copy (t->store_error));
    return FALSE;
  }

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
  if (!t->net
      || !qf_net_set_bits (t->net, t->o.weight_bits, t->o.activation_bits,
          error))
    return FALSE;
  if (t->fresh)
    qf_net_init (t->net, &rng);
  t->net->bound_relu = !g_str_equal (t->ranges, "minmax");
  t->net->learn_ranges = g_str_equal (t->ranges, "learned");
  make_optimizer (t);
  t->order = g_new (int, n);
  t->prefetch = qf_prefetch_new (t, t->net->batch, error);
  if (!t->prefetch)
    return FALSE;
  t->step = 0;
  t->total = (gint64) t->o.epochs * (n / t->net->batch);
  t->epoch = 1;
  t->batch = 0;
  t->best = -1;
  t->first_loss = 0;
  t->high = 0;
  t->sum = (QfLoss){ 0 };
  t->start_time = t->checkpoint_time = g_get_monotonic_time ();
  if (t->checkpoint)
    t->digest = qf_checkpoint_digest (t);
  return TRUE;
}

static gboolean
cancelled (GError **error)
{
  g_set_error (error, QF_ERROR, QF_ERROR_CANCELLED, "Training was stopped");
  return FALSE;
}

/* Divergence that stays finite: batches that lose ten times as much as those of
 * the warm-up did, which are 1 to FIRST; as a loss under 1 is no worse than what
 * any network starts from, ten times 1 at least. One such batch may come by
 * chance; DOUBTFUL of them, less those that did not, and what is there is no
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
run_batch (QfTrainer *t, QfTrainReport *r, QfTrainFunc func,
    gpointer user_data, GError **error)
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
    return diverged (t, "at its end the loss is far above that of the start",
        error);
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

GBytes *
qf_trainer_best (const QfTrainer *t)
{
  return t->best_model;
}
