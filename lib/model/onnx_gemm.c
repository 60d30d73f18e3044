/* libqfuse: Gemm of an ONNX file, as y = x·wᵀ + b with constant w and b.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/onnx-private.h"

#include <math.h>
#include <string.h>

/* The constant @value [k, n] as [n, k] where it is to @turn; @factor is
 * multiplied in (float32). The new one is named after @stem. */
static int
turn_constant (QfOnnxReader *r, int value, const char *stem, gboolean turn,
    float factor, GError **error)
{
  const QfValue *v = qf_graph_value (r->graph, value);
  gsize size = qf_dtype_size (v->dtype), rows, cols;
  QfOnnxConstant k = { .dtype = v->dtype, .rank = 2, .bits = v->bits };
  int made;

  k.n = qf_value_elements (v);
  k.dims[0] = v->dims[turn ? 1 : 0];
  k.dims[1] = v->dims[turn ? 0 : 1];
  k.data = g_memdup2 (v->data, (gsize) k.n * size);
  rows = (gsize) v->dims[0];
  cols = (gsize) v->dims[1];
  for (gsize i = 0; turn && i < rows; i++)
    for (gsize j = 0; j < cols; j++)
      memcpy ((char *) k.data + (j * rows + i) * size,
          (const char *) v->data + (i * cols + j) * size, size);
  for (gint64 i = 0; factor != 1 && i < k.n; i++)
    ((float *) k.data)[i] *= factor;
  made = qf_onnx_add_constant (r, stem, "_weights", &k, error);
  g_free (k.data);
  return made;
}

static QfNode *
find_maker (const QfGraph *g, int value)
{
  for (int i = (int) g->nodes->len - 1; i >= 0; i--)
    if (qf_graph_node (g, i)->out == value)
      return qf_graph_node (g, i);
  return NULL;
}

/* Weights as [outputs, inputs]: the constant is turned round, or that under a
 * DequantizeLinear. −1 with @error where neither can be done. */
static int
turn_weights (QfOnnxReader *r, int value, const char *stem, gboolean turn,
    float alpha, GError **error)
{
  gpointer known = g_hash_table_lookup (r->turned, GINT_TO_POINTER (value));
  const QfValue *v = qf_graph_value (r->graph, value);
  g_autofree char *name = NULL;
  QfNode *dq = NULL, *made;
  int result, in[3];

  if ((!turn && alpha == 1) || v->rank != 2)
    return value; /* another rank is judged later */
  if (known && alpha == 1)
    return GPOINTER_TO_INT (known) - 1;
  if (v->data && v->dtype == QF_F32) {
    result = turn_constant (r, value, stem, turn, alpha, error);
  } else {
    dq = find_maker (r->graph, value);
    if (!dq || dq->op != QF_OP_DEQUANTIZE || alpha != 1 ||
        !qf_graph_value (r->graph, dq->in[0])->data) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
          "its weights '%s' are no constant", v->name);
      return -1;
    }
    in[0] = turn_constant (r, dq->in[0], stem, TRUE, 1, error);
    if (in[0] < 0)
      return -1;
    in[1] = dq->in[1];
    in[2] = dq->n_in > 2 ? dq->in[2] : -1;
    name = qf_onnx_unique_name (r, stem, "_dequantized");
    made = qf_graph_add_node (r->graph, QF_OP_DEQUANTIZE, name, 3, in);
    made->axis = dq->axis == 1 ? 0 : 1;
    g_hash_table_insert (r->values, qf_graph_value (r->graph, made->out)->name,
        GINT_TO_POINTER (made->out + 1));
    if (!qf_check_node (&r->check, made, error))
      return -1;
    result = made->out;
  }
  if (alpha == 1 && result >= 0)
    g_hash_table_insert (
        r->turned, GINT_TO_POINTER (value), GINT_TO_POINTER (result + 1));
  return result;
}

/* The bias as [outputs], from a scalar, [n] or [1, n]. */
static int
shape_bias (QfOnnxReader *r, int value, const char *stem, gint64 outputs,
    float beta, GError **error)
{
  const QfValue *v = qf_graph_value (r->graph, value);
  gint64 n = v->rank >= 0 ? qf_value_elements (v) : 0;
  QfOnnxConstant k = { .dtype = QF_F32, .rank = 1 };
  g_autofree float *data = NULL;

  if (v->rank == 1 && n == outputs && beta == 1)
    return value;
  if (!v->data || v->dtype != QF_F32 || (n != outputs && n != 1) ||
      (n > 1 && v->dims[v->rank - 1] != outputs)) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "the shape of its bias '%s' is not supported", v->name);
    return -1;
  }
  data = g_new (float, outputs);
  for (gint64 i = 0; i < outputs; i++)
    data[i] = beta * ((const float *) v->data)[n == 1 ? 0 : i];
  k.n = k.dims[0] = outputs;
  k.data = g_steal_pointer (&data);
  return qf_onnx_add_constant (r, stem, "_bias", &k, error);
}

gboolean
qf_onnx_read_gemm (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  float alpha = 1, beta = 1;
  int transposed = 0, in[3] = { -1, -1, -1 };
  gsize n_in = MIN (node->n_input, 3);
  const QfValue *w;

  if (!qf_onnx_must_be (node, "transA", 0, error) ||
      !qf_onnx_get_int (node, "transB", &transposed, error) ||
      !qf_onnx_get_float (node, "alpha", &alpha, error) ||
      !qf_onnx_get_float (node, "beta", &beta, error))
    return FALSE;
  if (!isfinite (alpha) || !isfinite (beta) || n_in < 2)
    return FAIL (QF_ERROR_FORMAT, "alpha, beta or its inputs are wrong");
  for (gsize i = 0; i < n_in; i++) {
    const char *name = qf_onnx_input_name (node, i);

    if (!name && i < 2)
      return FAIL (QF_ERROR_FORMAT, "input %d is missing", (int) i + 1);
    if (name && (in[i] = qf_onnx_value (r, name, error)) < 0)
      return FALSE;
  }
  in[1] = turn_weights (r, in[1], node->output[0], !transposed, alpha, error);
  if (in[1] < 0)
    return FALSE;
  w = qf_graph_value (r->graph, in[1]);
  if (beta == 0)
    in[2] = -1;
  if (in[2] >= 0 && w->rank == 2 &&
      (in[2] = shape_bias (
           r, in[2], node->output[0], w->dims[0], beta, error)) < 0)
    return FALSE;
  *out = qf_graph_add_node (
      r->graph, QF_OP_GEMM, node->output[0], in[2] >= 0 ? 3 : 2, in);
  g_free ((*out)->name);
  (*out)->name = g_strdup (qf_onnx_node_name (node));
  return TRUE;
}
