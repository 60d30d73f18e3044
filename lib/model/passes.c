/* libqfuse: rewrites graphs for running.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/passes-private.h"

#include <string.h>

/* ---- tools of all passes ------------------------------------------------ */

QfNode *
qf_rewrite_maker (const QfRewrite *rw, int value)
{
  return value >= 0 && value < (int) rw->maker->len
      ? g_ptr_array_index (rw->maker, value)
      : NULL;
}

int
qf_rewrite_uses (const QfRewrite *rw, int value)
{
  return value < (int) rw->uses->len ? g_array_index (rw->uses, int, value) : 0;
}

static void
make_room (QfRewrite *rw, int value)
{
  if (value >= (int) rw->maker->len)
    g_ptr_array_set_size (rw->maker, value + 1);
  if (value >= (int) rw->uses->len)
    g_array_set_size (rw->uses, (guint) value + 1);
}

int
qf_rewrite_resolve (const QfRewrite *rw, int value)
{
  while (value >= 0 && value < (int) rw->alias->len &&
      g_array_index (rw->alias, int, value))
    value = g_array_index (rw->alias, int, value) - 1;
  return value;
}

void
qf_rewrite_replace (QfRewrite *rw, int value, int to)
{
  if (value >= (int) rw->alias->len)
    g_array_set_size (rw->alias, (guint) value + 1);
  g_array_index (rw->alias, int, value) = to + 1;
  qf_rewrite_count (rw, to, qf_rewrite_uses (rw, value));
}

void
qf_rewrite_count (QfRewrite *rw, int value, int by)
{
  if (value < 0)
    return;
  make_room (rw, value);
  g_array_index (rw->uses, int, value) += by;
}

void
qf_rewrite_set_out (QfRewrite *rw, QfNode *n, int value)
{
  make_room (rw, value);
  n->out = value;
  g_ptr_array_index (rw->maker, value) = n;
}

void
qf_rewrite_set_inputs (QfNode *n, int n_in, const int *in)
{
  int *copy = g_memdup2 (in, (gsize) n_in * sizeof (int));

  g_free (n->in);
  n->in = copy;
  n->n_in = n_in;
}

void
qf_rewrite_drop (QfNode *n)
{
  n->out = -1;
}

QfNode **
qf_rewrite_take_nodes (QfRewrite *rw, guint *n)
{
  gsize len;
  QfNode **nodes = (QfNode **) g_ptr_array_steal (rw->g->nodes, &len);

  *n = (guint) len;
  return nodes;
}

QfNode *
qf_rewrite_add_node (QfRewrite *rw, QfOp op, const char *stem,
    const char *suffix, int n_in, const int *in, QfDType dtype, int model)
{
  g_autofree char *name = g_strconcat (stem, suffix, NULL);
  QfNode *n = qf_graph_add_node (rw->g, op, name, n_in, in);
  const QfValue *like = qf_graph_value (rw->g, model);
  QfValue *out = qf_graph_value (rw->g, n->out);

  out->dtype = dtype;
  out->rank = like->rank;
  memcpy (out->dims, like->dims, sizeof out->dims);
  qf_rewrite_set_out (rw, n, n->out);
  for (int i = 0; i < n_in; i++)
    qf_rewrite_count (rw, in[i], 1);
  return n;
}

int
qf_rewrite_add_constant (QfRewrite *rw, const char *stem, const char *suffix,
    QfDType dtype, int rank, const gint64 *dims, const void *data)
{
  g_autofree char *name = g_strconcat (stem, suffix, NULL);

  return qf_graph_add_constant (rw->g, name, dtype, rank, dims, data);
}

void
qf_rewrite_update (QfRewrite *rw)
{
  QfGraph *g = rw->g;
  guint n_nodes;
  g_autofree QfNode **nodes = qf_rewrite_take_nodes (rw, &n_nodes);

  g_ptr_array_set_size (rw->maker, 0);
  g_ptr_array_set_size (rw->maker, (int) g->values->len);
  g_array_set_size (rw->uses, 0);
  g_array_set_size (rw->uses, g->values->len);
  for (guint i = 0; i < n_nodes; i++) {
    QfNode *n = nodes[i];

    if (n->out < 0) {
      qf_node_free (n);
      continue;
    }
    g_ptr_array_add (g->nodes, n);
    g_ptr_array_index (rw->maker, n->out) = n;
    for (int k = 0; k < n->n_in; k++) {
      n->in[k] = qf_rewrite_resolve (rw, n->in[k]);
      qf_rewrite_count (rw, n->in[k], 1);
    }
  }
  for (guint i = 0; i < g->outputs->len; i++) {
    int *out = &g_array_index (g->outputs, int, i);

    *out = qf_rewrite_resolve (rw, *out);
    qf_rewrite_count (rw, *out, 1);
  }
  g_array_set_size (rw->alias, 0);
}

/* ---- what nobody needs -------------------------------------------------- */

static void
drop_dead_nodes (QfRewrite *rw)
{
  QfGraph *g = rw->g;
  g_autofree guint8 *needed = g_malloc0 (g->values->len + 1);

  for (guint i = 0; i < g->outputs->len; i++)
    needed[g_array_index (g->outputs, int, i)] = TRUE;
  for (guint i = g->nodes->len; i-- > 0;) {
    QfNode *n = qf_graph_node (g, (int) i);

    if (!needed[n->out]) {
      qf_rewrite_drop (n);
      continue;
    }
    for (int k = 0; k < n->n_in; k++)
      if (n->in[k] >= 0)
        needed[n->in[k]] = TRUE;
  }
  qf_rewrite_update (rw);
}

/* Keeps the values that nodes name, inputs and outputs, in their order. */
static void
drop_dead_values (QfGraph *g)
{
  gsize n_values;
  g_autofree int *number = g_new0 (int, g->values->len + 1);
  g_autofree QfValue **values = NULL;

  for (guint i = 0; i < g->inputs->len; i++)
    number[g_array_index (g->inputs, int, i)] = 1;
  for (guint i = 0; i < g->nodes->len; i++) {
    const QfNode *n = qf_graph_node (g, (int) i);

    number[n->out] = 1;
    for (int k = 0; k < n->n_in; k++)
      if (n->in[k] >= 0)
        number[n->in[k]] = 1;
  }
  values = (QfValue **) g_ptr_array_steal (g->values, &n_values);
  for (gsize i = 0; i < n_values; i++) {
    if (!number[i]) {
      qf_value_free (values[i]);
      continue;
    }
    number[i] = (int) g->values->len;
    g_ptr_array_add (g->values, values[i]);
  }
  for (guint i = 0; i < g->inputs->len; i++)
    g_array_index (g->inputs, int, i) =
        number[g_array_index (g->inputs, int, i)];
  for (guint i = 0; i < g->outputs->len; i++)
    g_array_index (g->outputs, int, i) =
        number[g_array_index (g->outputs, int, i)];
  for (guint i = 0; i < g->nodes->len; i++) {
    QfNode *n = qf_graph_node (g, (int) i);

    n->out = number[n->out];
    for (int k = 0; k < n->n_in; k++)
      if (n->in[k] >= 0)
        n->in[k] = number[n->in[k]];
  }
}

static void
rewrite_init (QfRewrite *rw, QfGraph *g)
{
  rw->g = g;
  rw->maker = g_ptr_array_new ();
  rw->uses = g_array_new (FALSE, TRUE, sizeof (int));
  rw->alias = g_array_new (FALSE, TRUE, sizeof (int));
  qf_rewrite_update (rw);
}

static void
rewrite_clear (QfRewrite *rw)
{
  g_ptr_array_unref (rw->maker);
  g_array_unref (rw->uses);
  g_array_unref (rw->alias);
}

void
qf_graph_join (QfGraph *g)
{
  QfRewrite rw;

  rewrite_init (&rw, g);
  qf_pass_silu (&rw);
  rewrite_clear (&rw);
}

gboolean
qf_graph_fuse (QfGraph *g, GError **error)
{
  QfRewrite rw;
  gboolean ok;

  rewrite_init (&rw, g);
  drop_dead_nodes (&rw);
  qf_pass_quantized_constants (&rw);
  qf_pass_silu (&rw);
  qf_pass_batch_norm (&rw);
  qf_pass_activations (&rw);
  ok = qf_pass_quantize (&rw, error);
  if (ok) {
    drop_dead_nodes (&rw); /* above all what dequantized weights */
    qf_pass_dequantized_constants (&rw);
    drop_dead_values (g);
  }
  rewrite_clear (&rw);
  return ok;
}
