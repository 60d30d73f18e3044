/* libqfuse: makes, copies and frees graphs.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/model-private.h"

#include <math.h>
#include <string.h>

void
qf_value_free (gpointer p)
{
  QfValue *v = p;

  g_free (v->name);
  g_clear_pointer (&v->owner, g_bytes_unref);
  g_free (v->scales);
  g_free (v);
}

void
qf_node_free (gpointer p)
{
  QfNode *n = p;

  g_free (n->name);
  g_free (n->in);
  g_free (n->select);
  g_free (n);
}

QfGraph *
qf_graph_new (void)
{
  QfGraph *g = g_new0 (QfGraph, 1);

  g->values = g_ptr_array_new_with_free_func (qf_value_free);
  g->nodes = g_ptr_array_new_with_free_func (qf_node_free);
  g->inputs = g_array_new (FALSE, FALSE, sizeof (int));
  g->outputs = g_array_new (FALSE, FALSE, sizeof (int));
  return g;
}

void
qf_graph_free (QfGraph *g)
{
  if (!g)
    return;
  g_ptr_array_unref (g->values);
  g_ptr_array_unref (g->nodes);
  g_array_unref (g->inputs);
  g_array_unref (g->outputs);
  g_free (g);
}

static QfValue *
value_copy (const QfValue *v)
{
  QfValue *c = g_memdup2 (v, sizeof *v);

  c->name = g_strdup (v->name);
  if (v->owner)
    g_bytes_ref (v->owner);
  if (v->scales)
    c->scales = g_memdup2 (v->scales, (gsize) v->dims[0] * sizeof (float));
  return c;
}

static QfNode *
node_copy (const QfNode *n)
{
  QfNode *c = g_memdup2 (n, sizeof *n);

  c->name = g_strdup (n->name);
  c->in = g_memdup2 (n->in, (gsize) n->n_in * sizeof (int));
  c->select = g_memdup2 (n->select, (gsize) n->n_select * sizeof (int));
  return c;
}

QfGraph *
qf_graph_copy (const QfGraph *g)
{
  QfGraph *c = qf_graph_new ();

  for (guint i = 0; i < g->values->len; i++)
    g_ptr_array_add (c->values, value_copy (qf_graph_value (g, (int) i)));
  for (guint i = 0; i < g->nodes->len; i++)
    g_ptr_array_add (c->nodes, node_copy (qf_graph_node (g, (int) i)));
  g_array_append_vals (c->inputs, g->inputs->data, g->inputs->len);
  g_array_append_vals (c->outputs, g->outputs->data, g->outputs->len);
  return c;
}

int
qf_graph_add_value (
    QfGraph *g, const char *name, QfDType dtype, int rank, const gint64 *dims)
{
  QfValue *v = g_new0 (QfValue, 1);

  g_assert (rank <= QF_MAX_RANK);
  v->name = g_strdup (name);
  v->dtype = dtype;
  v->rank = rank;
  for (int i = 0; i < QF_MAX_RANK; i++)
    v->dims[i] = i < rank ? dims[i] : -1;
  g_ptr_array_add (g->values, v);
  return (int) g->values->len - 1;
}

void
qf_value_take (QfValue *v, void *data)
{
  gsize bytes = (gsize) qf_value_elements (v) * qf_dtype_size (v->dtype);

  g_clear_pointer (&v->owner, g_bytes_unref);
  v->owner = g_bytes_new_take (data, MAX (bytes, 1));
  v->data = data;
}

void
qf_value_share (QfValue *v, const QfValue *from)
{
  GBytes *owner = g_bytes_ref (from->owner);

  g_clear_pointer (&v->owner, g_bytes_unref);
  v->owner = owner;
  v->data = from->data;
}

int
qf_graph_add_constant (QfGraph *g, const char *name, QfDType dtype, int rank,
    const gint64 *dims, const void *data)
{
  int i = qf_graph_add_value (g, name, dtype, rank, dims);
  QfValue *v = qf_graph_value (g, i);
  gsize bytes = (gsize) qf_value_elements (v) * qf_dtype_size (dtype);
  void *copy;

  /* one without elements is a constant nevertheless */
  copy = g_malloc0 (MAX (bytes, 1));
  if (bytes)
    memcpy (copy, data, bytes);
  qf_value_take (v, copy);
  return i;
}

QfNode *
qf_graph_add_node (
    QfGraph *g, QfOp op, const char *out_name, int n_in, const int *in)
{
  QfNode *n = g_new0 (QfNode, 1);

  n->op = op;
  n->name = g_strdup (out_name);
  n->n_in = n_in;
  n->in = g_memdup2 (in, (gsize) n_in * sizeof (int));
  n->out = qf_graph_add_value (g, out_name, QF_F32, -1, NULL);
  for (int i = 0; i < 2; i++)
    n->win.kernel[i] = n->win.stride[i] = n->win.dilation[i] = 1;
  n->win.groups = 1;
  n->axis = op == QF_OP_FLATTEN || op == QF_OP_CONCAT || op == QF_OP_SLICE;
  n->epsilon = 1e-5f;
  n->lo = n->act_lo = -INFINITY;
  n->hi = n->act_hi = INFINITY;
  n->scale_h = n->scale_w = 1;
  g_ptr_array_add (g->nodes, n);
  return n;
}

const char *
qf_op_name (QfOp op)
{
  static const char *const names[QF_N_OPS] = {
    [QF_OP_CONV] = "Conv",
    [QF_OP_BATCH_NORM] = "BatchNormalization",
    [QF_OP_RELU] = "Relu",
    [QF_OP_CLIP] = "Clip",
    [QF_OP_SIGMOID] = "Sigmoid",
    [QF_OP_LEAKY_RELU] = "LeakyRelu",
    [QF_OP_HARD_SWISH] = "HardSwish",
    [QF_OP_SILU] = "SiLU",
    [QF_OP_ADD] = "Add",
    [QF_OP_MUL] = "Mul",
    [QF_OP_CONCAT] = "Concat",
    [QF_OP_SLICE] = "Slice",
    [QF_OP_GATHER] = "Gather",
    [QF_OP_MAX_POOL] = "MaxPool",
    [QF_OP_AVERAGE_POOL] = "AveragePool",
    [QF_OP_GLOBAL_AVG_POOL] = "GlobalAveragePool",
    [QF_OP_RESIZE_NEAREST] = "Resize",
    [QF_OP_GEMM] = "Gemm",
    [QF_OP_FLATTEN] = "Flatten",
    [QF_OP_QUANTIZE] = "QuantizeLinear",
    [QF_OP_DEQUANTIZE] = "DequantizeLinear",
  };

  return (unsigned) op < QF_N_OPS ? names[op] : "?";
}

gint64
qf_sum_of_sizes (const gint8 *w, gint64 n)
{
  gint64 sum = 0;

  while (n > 0) { /* so many that 16 bits hold, which vectors do faster */
    int part = (int) MIN (n, 256);
    guint16 part_sum = 0;

    for (int i = 0; i < part; i++)
      part_sum = (guint16) (part_sum + ABS (w[i]));
    sum += part_sum;
    w += part;
    n -= part;
  }
  return sum;
}

gint64
qf_graph_macs (const QfGraph *g)
{
  gint64 sum = 0;

  for (guint i = 0; i < g->nodes->len; i++) {
    const QfNode *n = qf_graph_node (g, (int) i);
    const QfValue *out = qf_graph_value (g, n->out), *w;
    gint64 macs;

    if (n->op != QF_OP_CONV && n->op != QF_OP_GEMM)
      continue;
    w = qf_graph_value (g, n->in[1]);
    if (out->rank < 0 || w->rank < 1 || w->dims[0] <= 0)
      continue;
    /* at most 2^28 outputs of 2^28 products */
    macs = qf_value_elements (out) * (qf_value_elements (w) / w->dims[0]);
    sum = sum > G_MAXINT64 - macs ? G_MAXINT64 : sum + macs;
  }
  return sum;
}
