/* libqfuse: changes graphs of any operators.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/dag-edit.h"

#include <string.h>

/* ---- values and nodes --------------------------------------------------- */

void
qf_dag_edit_init (QfDagEdit *e, QfDag *dag)
{
  e->dag = dag;
  e->names = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < dag->values->len; i++)
    g_hash_table_add (e->names, qf_dag_value (dag, (int) i)->name);
}

void
qf_dag_edit_clear (QfDagEdit *e)
{
  g_hash_table_unref (e->names);
}

int
qf_dag_add_value (QfDagEdit *e, const char *stem, const char *suffix,
    QfDType dtype, int rank, const gint64 *dims)
{
  QfDagValue *v = g_new0 (QfDagValue, 1);

  v->name = g_strconcat (stem, suffix, NULL);
  for (int i = 2; g_hash_table_contains (e->names, v->name); i++) {
    g_free (v->name);
    v->name = g_strdup_printf ("%s%s_%d", stem, suffix, i);
  }
  v->island = -1;
  v->made = TRUE;
  v->a.dtype = dtype;
  v->a.rank = rank;
  for (int i = 0; i < rank; i++)
    v->a.dims[i] = dims[i];
  g_ptr_array_add (e->dag->values, v);
  g_hash_table_add (e->names, v->name);
  return (int) e->dag->values->len - 1;
}

int
qf_dag_add_constant (QfDagEdit *e, const char *stem, const char *suffix,
    QfDType dtype, int rank, const gint64 *dims, const void *data)
{
  int i = qf_dag_add_value (e, stem, suffix, dtype, rank, dims);
  QfArray *a = &qf_dag_value (e->dag, i)->a;
  gsize bytes = qf_array_bytes (a);

  a->data = g_malloc (MAX (bytes, 8));
  memcpy (a->data, data, bytes);
  return i;
}

QfDagNode *
qf_dag_add_node (QfDagEdit *e, const char *op, int n_in, const int *in, int out)
{
  QfDagNode *n = g_new0 (QfDagNode, 1);

  n->op = qf_operator_find ("", op, e->dag->opset);
  g_assert (n->op);
  /* what makes a value now may have made it under its name before */
  n->name = g_strconcat (qf_dag_value (e->dag, out)->name, "_", op, NULL);
  n->attrs = g_ptr_array_new_with_free_func (qf_attr_free);
  n->n_in = n_in;
  n->in = g_new (int, n_in + 1);
  memcpy (n->in, in, (gsize) n_in * sizeof *in);
  n->n_out = 1;
  n->out = g_new (int, 2);
  n->out[0] = out;
  n->island = n->guard = -1;
  g_ptr_array_add (e->dag->nodes, n);
  return n;
}

void
qf_dag_set_inputs (QfDagNode *n, int n_in, const int *in)
{
  int *copy = g_new (int, n_in + 1);

  memcpy (copy, in, (gsize) n_in * sizeof *in);
  g_free (n->in);
  n->in = copy;
  n->n_in = n_in;
}

/* ---- attributes --------------------------------------------------------- */

const QfAttr *
qf_dag_attr (const QfDagNode *n, const char *name)
{
  for (guint i = 0; i < n->attrs->len; i++) {
    const QfAttr *a = g_ptr_array_index (n->attrs, i);

    if (strcmp (a->name, name) == 0)
      return a;
  }
  return NULL;
}

gint64
qf_dag_int (const QfDagNode *n, const char *name, gint64 fallback)
{
  const QfAttr *a = qf_dag_attr (n, name);

  return a && a->type == QF_ATTR_INT ? a->i : fallback;
}

void
qf_dag_drop_attr (QfDagNode *n, const char *name)
{
  const QfAttr *a = qf_dag_attr (n, name);

  if (a)
    g_ptr_array_remove (n->attrs, (gpointer) a);
}

static QfAttr *
new_attr (QfDagNode *n, const char *name, QfAttrType type)
{
  QfAttr *a = g_new0 (QfAttr, 1);

  qf_dag_drop_attr (n, name);
  a->name = g_strdup (name);
  a->type = type;
  g_ptr_array_add (n->attrs, a);
  return a;
}

void
qf_dag_set_int (QfDagNode *n, const char *name, gint64 value)
{
  new_attr (n, name, QF_ATTR_INT)->i = value;
}

void
qf_dag_set_ints (
    QfDagNode *n, const char *name, int count, const gint64 *values)
{
  gint64 *copy = g_memdup2 (values, (gsize) count * sizeof *values);
  QfAttr *a = new_attr (n, name, QF_ATTR_INTS);

  a->ints = copy;
  a->n = count;
}

/* ---- who reads and makes what ------------------------------------------- */

gboolean
qf_dag_is (const QfDagNode *n, const char *op)
{
  return n->op->domain[0] == '\0' && strcmp (n->op->name, op) == 0;
}

gboolean
qf_dag_is_output (const QfDag *dag, int value)
{
  for (guint i = 0; i < dag->outputs->len; i++)
    if (g_array_index (dag->outputs, int, i) == value)
      return TRUE;
  return FALSE;
}

void
qf_dag_replace (QfDag *dag, int from, int to)
{
  for (guint i = 0; i < dag->nodes->len; i++) {
    QfDagNode *n = qf_dag_node (dag, (int) i);

    for (int k = 0; k < n->n_in; k++)
      if (n->in[k] == from)
        n->in[k] = to;
  }
}

int *
qf_dag_makers (const QfDag *dag)
{
  int *maker = g_new (int, dag->values->len + 1);

  for (guint i = 0; i < dag->values->len; i++)
    maker[i] = -1;
  for (guint i = 0; i < dag->nodes->len; i++) {
    const QfDagNode *n = qf_dag_node (dag, (int) i);

    for (int k = 0; k < n->n_out; k++)
      if (n->out[k] >= 0)
        maker[n->out[k]] = (int) i;
  }
  return maker;
}

int *
qf_dag_uses (const QfDag *dag)
{
  int *uses = g_new0 (int, dag->values->len + 1);

  for (guint i = 0; i < dag->nodes->len; i++) {
    const QfDagNode *n = qf_dag_node (dag, (int) i);

    for (int k = 0; k < n->n_in; k++)
      if (n->in[k] >= 0)
        uses[n->in[k]]++;
  }
  for (guint i = 0; i < dag->outputs->len; i++)
    uses[g_array_index (dag->outputs, int, i)]++;
  return uses;
}

/* ---- order -------------------------------------------------------------- */

/* Depth first from the outputs, without recursion: a node comes when all that
 * it reads has come. @state: 0 not seen, 1 on the stack, 2 placed. */
static void
place_with_inputs (
    const QfDag *dag, const int *maker, int node, guint8 *state, GArray *order)
{
  g_autoptr (GArray) stack = g_array_new (FALSE, FALSE, sizeof (int));

  g_array_append_val (stack, node);
  while (stack->len) {
    int i = g_array_index (stack, int, stack->len - 1);
    const QfDagNode *n = qf_dag_node (dag, i);

    if (state[i] == 0) {
      state[i] = 1;
      for (int k = n->n_in - 1; k >= 0; k--) {
        int m = n->in[k] < 0 || qf_dag_value (dag, n->in[k])->a.data
            ? -1
            : maker[n->in[k]];

        if (m >= 0 && state[m] == 0)
          g_array_append_val (stack, m);
      }
      continue;
    }
    g_array_set_size (stack, stack->len - 1);
    if (state[i] == 1) {
      state[i] = 2;
      g_array_append_val (order, i);
    }
  }
}

void
qf_dag_edit_order (QfDag *dag)
{
  g_autofree int *maker = qf_dag_makers (dag);
  g_autofree guint8 *state = g_malloc0 (dag->nodes->len + 1);
  g_autoptr (GArray) order = g_array_new (FALSE, FALSE, sizeof (int));
  g_autofree QfDagNode **nodes = NULL;
  gsize n_nodes;

  for (guint i = 0; i < dag->outputs->len; i++) {
    int m = maker[g_array_index (dag->outputs, int, i)];

    if (m >= 0)
      place_with_inputs (dag, maker, m, state, order);
  }
  nodes = (QfDagNode **) g_ptr_array_steal (dag->nodes, &n_nodes);
  for (guint i = 0; i < order->len; i++)
    g_ptr_array_add (dag->nodes, nodes[g_array_index (order, int, i)]);
  for (gsize i = 0; i < n_nodes; i++)
    if (state[i] != 2)
      qf_dag_node_free (nodes[i]);
}

/* ---- copies ------------------------------------------------------------- */

static QfAttr *
attr_copy (const QfAttr *a)
{
  QfAttr *c = g_memdup2 (a, sizeof *a);

  c->name = g_strdup (a->name);
  c->text = g_strdup (a->text);
  c->ints = g_memdup2 (a->ints, (gsize) a->n * sizeof *a->ints);
  c->floats = g_memdup2 (a->floats, (gsize) a->n * sizeof *a->floats);
  if (a->tensor.data)
    c->tensor.data =
        g_memdup2 (a->tensor.data, MAX (qf_array_bytes (&a->tensor), 1));
  return c;
}

QfDag *
qf_dag_copy (const QfDag *dag)
{
  QfDag *c = qf_dag_new ();

  c->opset = dag->opset;
  for (guint i = 0; i < dag->values->len; i++) {
    const QfDagValue *v = qf_dag_value (dag, (int) i);
    QfDagValue *w = g_memdup2 (v, sizeof *v);

    w->name = g_strdup (v->name);
    w->a.bound = NULL;
    if (v->a.data)
      w->a.data = g_memdup2 (v->a.data, MAX (qf_array_bytes (&v->a), 1));
    g_ptr_array_add (c->values, w);
  }
  for (guint i = 0; i < dag->nodes->len; i++) {
    const QfDagNode *n = qf_dag_node (dag, (int) i);
    QfDagNode *m = g_memdup2 (n, sizeof *n);

    m->name = g_strdup (n->name);
    m->attrs = g_ptr_array_new_with_free_func (qf_attr_free);
    for (guint k = 0; k < n->attrs->len; k++)
      g_ptr_array_add (m->attrs, attr_copy (g_ptr_array_index (n->attrs, k)));
    m->in = g_memdup2 (n->in, ((gsize) n->n_in + 1) * sizeof (int));
    m->out = g_memdup2 (n->out, ((gsize) n->n_out + 1) * sizeof (int));
    g_ptr_array_add (c->nodes, m);
  }
  g_array_append_vals (c->inputs, dag->inputs->data, dag->inputs->len);
  g_array_append_vals (c->outputs, dag->outputs->data, dag->outputs->len);
  return c;
}
