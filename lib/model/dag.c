/* libqfuse: makes and frees graphs of any operators.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/dag.h"

static void
value_free (gpointer p)
{
  QfDagValue *v = p;

  g_free (v->name);
  g_free (v->a.data);
  g_free (v->a.bound);
  g_free (v);
}

void
qf_dag_node_free (gpointer p)
{
  QfDagNode *n = p;

  g_free (n->name);
  g_free (n->in);
  g_free (n->out);
  g_ptr_array_unref (n->attrs);
  g_free (n);
}

static void
island_free (gpointer p)
{
  QfDagIsland *i = p;

  qf_model_unref (i->model);
  g_array_unref (i->in);
  g_array_unref (i->out);
  g_free (i);
}

QfDag *
qf_dag_new (void)
{
  QfDag *dag = g_new0 (QfDag, 1);

  dag->values = g_ptr_array_new_with_free_func (value_free);
  dag->nodes = g_ptr_array_new_with_free_func (qf_dag_node_free);
  dag->islands = g_ptr_array_new_with_free_func (island_free);
  dag->guards = g_array_new (FALSE, FALSE, sizeof (QfDagGuard));
  dag->inputs = g_array_new (FALSE, FALSE, sizeof (int));
  dag->outputs = g_array_new (FALSE, FALSE, sizeof (int));
  return dag;
}

void
qf_dag_free (QfDag *dag)
{
  if (!dag)
    return;
  g_ptr_array_unref (dag->values);
  g_ptr_array_unref (dag->nodes);
  g_ptr_array_unref (dag->islands);
  g_array_unref (dag->guards);
  g_array_unref (dag->inputs);
  g_array_unref (dag->outputs);
  g_free (dag);
}

void
qf_dag_call (const QfDag *dag, const QfDagNode *node, QfCall *c,
    const QfArray **in, QfArray **out)
{
  for (int i = 0; i < node->n_in; i++)
    in[i] = node->in[i] < 0 ? NULL : &qf_dag_value (dag, node->in[i])->a;
  for (int i = 0; i < node->n_out; i++)
    out[i] = node->out[i] < 0 ? NULL : &qf_dag_value (dag, node->out[i])->a;
  *c = (QfCall){ .op = node->op, .opset = dag->opset, .attrs = node->attrs };
  c->n_in = node->n_in;
  c->n_out = node->n_out;
  c->in = in;
  c->out = out;
}

gint64
qf_dag_macs (const QfDag *dag)
{
  gint64 sum = 0;

  for (guint i = 0; i < dag->islands->len; i++)
    sum += qf_model_macs (qf_dag_island (dag, (int) i)->model);
  for (guint i = 0; i < dag->nodes->len; i++) {
    const QfDagNode *n = qf_dag_node (dag, (int) i);
    const QfArray *in[QF_OP_MAX_IN];
    QfArray *out[QF_OP_MAX_OUT];
    QfCall c;

    if (!n->op->macs || n->island >= 0)
      continue;
    qf_dag_call (dag, n, &c, in, out);
    sum += n->op->macs (&c);
    if (sum < 0 || sum > G_MAXINT64 / 4)
      return G_MAXINT64 / 4;
  }
  return sum;
}
