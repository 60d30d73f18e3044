/* libqfuse: a new network as a model, before it has learned anything.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/trainer-private.h"

/* [out][kh·kw][in] → [out][in][kh·kw], ONNX's order. */
static float *
onnx_weights (const QfConvLayer *cv)
{
  const QfConvShape *s = &cv->shape;
  int taps = s->kernel_h * s->kernel_w, ic = s->in_c / s->groups;
  float *all = g_new (float, (gsize) s->out_c * cv->k), *to = all;

  for (int o = 0; o < s->out_c; o++, to += cv->k)
    for (int t = 0; t < taps; t++)
      for (int c = 0; c < ic; c++)
        to[c * taps + t] = cv->weight[(gsize) o * cv->k + t * ic + c];
  return all;
}

/* Gives @g the weights that a training with @seed starts from. */
static gboolean
draw_weights (QfGraph *g, guint64 seed, GError **error)
{
  QfNet *net = qf_net_new (g, 1, FALSE, NULL, error);
  QfRng rng = { seed };
  int layer = 0;

  if (!net)
    return FALSE;
  qf_net_init (net, &rng);
  for (guint i = 0; i < g->nodes->len; i++) {
    const QfNode *n = qf_graph_node (g, (int) i);

    if (n->op != QF_OP_CONV)
      continue;
    while (!qf_net_layer (net, layer)->conv)
      layer++;
    qf_value_take (qf_graph_value (g, n->in[1]),
        onnx_weights (qf_net_layer (net, layer++)->conv));
  }
  qf_net_free (net);
  return TRUE;
}

/* Weights, biases, γ and β; not what batch norm measures. */
static gint64
count_parameters (const QfGraph *g)
{
  gint64 sum = 0;

  for (guint i = 0; i < g->nodes->len; i++) {
    const QfNode *n = qf_graph_node (g, (int) i);
    int last = n->op == QF_OP_CONV ? n->n_in - 1
        : n->op == QF_OP_BATCH_NORM ? 2
                                    : 0;

    for (int j = 1; j <= last; j++)
      sum += qf_value_elements (qf_graph_value (g, n->in[j]));
  }
  return sum;
}

QfModel *
qf_train_new_model (const QfTrainOptions *options, gint64 *parameters,
    GError **error)
{
  g_autoptr (QfTrainer) t = qf_trainer_new (options, NULL, error);
  g_autoptr (QfGraph) g = NULL;

  if (!t)
    return NULL;
  g = qf_graph_copy (t->graph);
  if (!draw_weights (g, t->o.seed, error))
    return NULL;
  if (parameters)
    *parameters = count_parameters (g);
  return qf_trainer_model_of (t, g_steal_pointer (&g));
}
