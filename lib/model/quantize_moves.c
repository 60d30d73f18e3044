/* libqfuse: shuffles of channels as one operator.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Exporters write them as Reshape, Transpose, Reshape, Gather or Split. What
 * such a chain does is found by letting it move the numbers of the elements. */
#include "model/onnx-private.h"
#include "model/quantize-private.h"

#include <string.h>

#define MAX_CHAIN 16
#define MAX_WORK (1 << 24) /* elements that a chain is tried on */

/* Moves elements of its first input, whatever they are. */
static gboolean
only_moves (const QfDag *dag, const QfDagNode *n)
{
  static const char *const ops[] = { "Reshape", "Transpose", "Gather", "Slice",
    "Split", "Squeeze", "Unsqueeze", "Flatten" };

  for (int i = 1; i < n->n_in; i++)
    if (n->in[i] >= 0 && !qf_dag_value (dag, n->in[i])->a.data)
      return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (ops); i++)
    if (qf_dag_is (n, ops[i]))
      return n->n_in > 0;
  return FALSE;
}

/* Runs @n on the elements @from of its first input; returns those of output
 * @value. */
static gint32 *
run_move (const QfDag *dag, const QfDagNode *n, gint32 *from, int value)
{
  const QfArray *in[QF_OP_MAX_IN];
  QfArray *out[QF_OP_MAX_OUT], outs[QF_OP_MAX_OUT], first;
  gint32 *result = NULL;
  QfCall c;

  qf_dag_call (dag, n, &c, in, out);
  first = *in[0];
  first.data = from; /* of four bytes as well */
  in[0] = &first;
  for (int i = 0; i < n->n_out; i++)
    if (out[i]) {
      outs[i] = *out[i];
      outs[i].data = g_malloc (MAX (qf_array_bytes (&outs[i]), 8));
      out[i] = &outs[i];
    }
  c.op->run (&c);
  for (int i = 0; i < n->n_out; i++)
    if (out[i] && n->out[i] == value)
      result = outs[i].data;
    else if (out[i])
      g_free (outs[i].data);
  return result;
}

static gboolean
is_picture (const QfArray *a)
{
  return a->dtype == QF_F32 && a->rank == 4 && a->dims[0] == 1 && !a->data &&
      !a->open;
}

/* The channels of @source that @moved, of @a's shape, consists of; NULL where
 * it does not consist of whole channels. */
static gint64 *
channels_of (const gint32 *moved, const QfArray *a, const QfArray *source)
{
  gint64 plane = a->dims[2] * a->dims[3];
  gint64 *select;

  if (a->dims[2] != source->dims[2] || a->dims[3] != source->dims[3] ||
      a->dims[1] < 1)
    return NULL;
  select = g_new (gint64, a->dims[1]);
  for (gint64 c = 0; c < a->dims[1]; c++) {
    select[c] = moved[c * plane] / plane;
    for (gint64 i = 0; i < plane; i++)
      if (moved[c * plane + i] != select[c] * plane + i) {
        g_free (select);
        return NULL;
      }
  }
  return select;
}

/* Nodes from what makes @value back to the first that reads a picture; returns
 * their number, *@source that picture. */
static int
find_chain (
    const QfDag *dag, const int *maker, int value, int *chain, int *source)
{
  int n = 0;

  while (n < MAX_CHAIN && maker[value] >= 0 &&
      only_moves (dag, qf_dag_node (dag, maker[value]))) {
    chain[n++] = maker[value];
    value = qf_dag_node (dag, maker[value])->in[0];
    if (value < 0)
      return 0;
  }
  *source = value;
  return n;
}

static void
try_value (QfDagEdit *e, const int *maker, int value)
{
  QfDag *dag = e->dag;
  int chain[MAX_CHAIN], source,
      n = find_chain (dag, maker, value, chain, &source);
  g_autofree gint32 *moved = NULL;
  g_autofree gint64 *select = NULL;
  gint64 elements, dims[1];
  int in[2];

  if (n == 0 || !is_picture (&qf_dag_value (dag, source)->a))
    return;
  elements = qf_array_elements (&qf_dag_value (dag, source)->a);
  if (elements > MAX_WORK)
    return;
  moved = g_new (gint32, elements + 1);
  for (gint64 i = 0; i < elements; i++)
    moved[i] = (gint32) i;
  for (int i = n - 1; i >= 0; i--) {
    int out = i > 0 ? qf_dag_node (dag, chain[i - 1])->in[0] : value;
    gint32 *next = run_move (dag, qf_dag_node (dag, chain[i]), moved, out);

    g_free (moved);
    moved = next;
  }
  select = channels_of (
      moved, &qf_dag_value (dag, value)->a, &qf_dag_value (dag, source)->a);
  if (!select)
    return;
  dims[0] = qf_dag_value (dag, value)->a.dims[1];
  in[0] = source;
  in[1] = qf_dag_add_constant (
      e, qf_dag_value (dag, value)->name, "_channels", QF_I64, 1, dims, select);
  qf_dag_set_int (qf_dag_add_node (e, "Gather", 2, in, value), "axis", 1);
  for (int i = 0; i < qf_dag_node (dag, chain[0])->n_out; i++)
    if (qf_dag_node (dag, chain[0])->out[i] == value)
      qf_dag_node (dag, chain[0])->out[i] = -1;
}

void
qf_quantize_moves (QfDagEdit *e)
{
  QfDag *dag = e->dag;
  g_autofree int *maker = qf_dag_makers (dag);
  guint n_nodes = dag->nodes->len;

  for (guint i = 0; i < n_nodes; i++) {
    const QfDagNode *n = qf_dag_node (dag, (int) i);

    if (!only_moves (dag, n) || qf_dag_value (dag, n->in[0])->a.rank == 4)
      continue; /* one that picks channels itself is as good */
    for (int k = 0; k < n->n_out; k++)
      if (n->out[k] >= 0 && is_picture (&qf_dag_value (dag, n->out[k])->a))
        try_value (e, maker, n->out[k]);
  }
  qf_dag_edit_order (dag);
}
