/* libqfuse: a trainer's life: from options and a start to what a run needs.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/model-private.h"
#include "train/build.h"
#include "train/checkpoint.h"
#include "train/prefetch.h"
#include "train/trainer-private.h"

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
  if (c != o->planes.n || h != o->height || w != o->width ||
      (has && !g_str_equal (has, planes))) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "The start model sees %s at %dx%d, not %s at %dx%d; train with its "
        "planes and size",
        has ? has : "other planes", w, h, planes, o->width, o->height);
    return NULL;
  }
  if (!prepare_graph (g, error))
    return NULL;
  for (guint i = 0; i < g->outputs->len; i++) {
    QfValue *v = qf_graph_value (g, g_array_index (g->outputs, int, i));
    const QfValue *was = qf_graph_value (
        start->graph, g_array_index (start->graph->outputs, int, i));

    g_free (v->name);
    v->name = g_strdup (was->name);
  }
  return g_steal_pointer (&g);
}

/* Other pictures beside it would change what a picture's action is, and so
 * would playing it backwards. */
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

  if (!qf_train_options_check (options, error))
    return NULL;
  t = g_new0 (QfTrainer, 1);
  t->o = *options;
  t->o.head = t->head = g_strdup (options->head);
  t->o.network = t->network = g_strdup (options->network);
  t->o.labels = t->labels = g_strdup (options->labels);
  t->o.ranges = t->ranges = g_strdup (options->ranges);
  t->o.optimizer = t->optimizer_name = g_strdup (options->optimizer);
  t->o.weight_bits = t->weight_bits = g_strdup (options->weight_bits);
  t->o.activation_bits = t->activation_bits =
      g_strdup (options->activation_bits);
  qf_assign_parse (options->assign, &t->assign, NULL);
  t->o.assign = qf_assign_name (t->assign);
  qf_train_options_fill (&t->o);
  t->o.checkpoint = t->checkpoint = g_strdup (options->checkpoint);
  t->n_labels = qf_train_count_labels (t->labels);
  set_augment (t);
  t->train = g_ptr_array_new_with_free_func ((GDestroyNotify) qf_sample_free);
  t->validation =
      g_ptr_array_new_with_free_func ((GDestroyNotify) qf_sample_free);
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
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        n == 0 ? "There is nothing to learn from: no tagged frame arrived"
               : "There is nothing to learn from: the %d frames have no %s",
        n, g_str_equal (t->head, "classify") ? "action each" : "box");
    return FALSE;
  }
  free_run (t);
  t->net = qf_net_new (
      t->graph, MIN (t->o.batch_size, n), t->o.quantize, t->pool, error);
  if (!t->net ||
      !qf_net_set_bits (t->net, t->o.weight_bits, t->o.activation_bits, error))
    return FALSE;
  if (t->fresh)
    qf_net_init (t->net, &rng);
  t->net->bound_relu = !g_str_equal (t->ranges, "minmax");
  t->net->learn_ranges = g_str_equal (t->ranges, "learned");
  t->net->percentile_ranges = g_str_equal (t->ranges, "percentile");
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

GBytes *
qf_trainer_best (const QfTrainer *t)
{
  return t->best_model;
}
