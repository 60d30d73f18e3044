/* libqfuse: Slice and Split of an ONNX file.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/onnx-private.h"

#include <string.h>

#define MAX_CHANNELS 65536 /* of a Gather */

/* At most @max whole numbers from attribute @name (a list) or from constant
 * input @i, whichever is there; returns how many, 0: absent, −1: error. */
static int
get_numbers (const QfOnnxReader *r, const Onnx__NodeProto *node,
    const char *name, gsize i, gint64 *x, int max, GError **error)
{
  const Onnx__AttributeProto *a = qf_onnx_find_attribute (node, name);
  const char *input = qf_onnx_input_name (node, i);
  QfOnnxConstant k;
  int n = -1;

  if (a && a->n_ints <= (gsize) max) {
    memcpy (x, a->ints, a->n_ints * sizeof *x);
    return (int) a->n_ints;
  }
  if (!a && !input)
    return 0;
  if (a || !qf_onnx_is_constant (r, input)) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "'%s' is no constant of at most %d numbers", a ? name : input, max);
    return -1;
  }
  if (!qf_onnx_constant (r, input, &k, error))
    return -1;
  if (k.n <= max && (k.dtype == QF_I64 || k.dtype == QF_I32)) {
    n = (int) k.n;
    for (int j = 0; j < n; j++)
      x[j] = k.dtype == QF_I64 ? ((const gint64 *) k.data)[j]
                               : ((const gint32 *) k.data)[j];
  } else {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "'%s' is not at most %d whole numbers", input, max);
  }
  g_free (k.data);
  return n;
}

/* A position as Slice counts it, from 0 to @dim. */
static int
position (gint64 at, gint64 dim)
{
  return (int) CLAMP (at < 0 ? at + dim : at, 0, dim);
}

gboolean
qf_onnx_read_slice (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  gint64 begin[QF_MAX_RANK], end[QF_MAX_RANK], axes[QF_MAX_RANK];
  gint64 steps[QF_MAX_RANK];
  QfNode *n = *out = qf_onnx_add_node (r, node, QF_OP_SLICE, 1, error);
  const QfValue *x = n ? qf_graph_value (r->graph, n->in[0]) : NULL;
  int count[4], real = 0;

  if (!n)
    return FALSE;
  if ((count[0] = get_numbers (
           r, node, "starts", 1, begin, QF_MAX_RANK, error)) < 0 ||
      (count[1] = get_numbers (r, node, "ends", 2, end, QF_MAX_RANK, error)) <
          0 ||
      (count[2] = get_numbers (r, node, "axes", 3, axes, QF_MAX_RANK, error)) <
          0 ||
      (count[3] =
              get_numbers (r, node, "steps", 4, steps, QF_MAX_RANK, error)) < 0)
    return FALSE;
  if (count[0] < 1 || count[1] != count[0] || count[0] > x->rank ||
      (count[2] && count[2] != count[0]) || (count[3] && count[3] != count[0]))
    return FAIL (QF_ERROR_FORMAT, "its starts, ends, axes and steps differ");
  for (int i = 0; i < count[0]; i++) {
    gint64 axis = count[2] ? axes[i] : i;
    int a, b;

    axis += axis < 0 ? x->rank : 0;
    if (axis < 0 || axis >= x->rank)
      return FAIL (QF_ERROR_FORMAT, "its axes are out of range");
    a = position (begin[i], x->dims[axis]);
    b = position (end[i], x->dims[axis]);
    if (count[3] && steps[i] != 1)
      return FAIL (
          QF_ERROR_UNSUPPORTED, "steps other than 1 are not supported");
    if ((a == 0 && b == x->dims[axis] && (real || i < count[0] - 1)))
      continue;
    if (real++)
      return FAIL (
          QF_ERROR_UNSUPPORTED, "more than one axis at once is not supported");
    n->axis = (int) axis;
    n->begin = a;
    n->end = b;
  }
  return TRUE;
}

gboolean
qf_onnx_read_gather (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  QfNode *n = *out = qf_onnx_add_node (r, node, QF_OP_GATHER, 1, error);
  const QfValue *x = n ? qf_graph_value (r->graph, n->in[0]) : NULL;
  const char *list = qf_onnx_input_name (node, 1);
  g_autofree gint64 *select = NULL;
  int axis = 0, count;

  if (!n || !qf_onnx_get_int (node, "axis", &axis, error))
    return FALSE;
  if (x->rank != 4 || axis != 1 || !list || !qf_onnx_is_constant (r, list))
    return FAIL (QF_ERROR_UNSUPPORTED,
        "only a constant list of the channels of a picture is supported");
  select = g_new (gint64, MAX_CHANNELS);
  count = get_numbers (r, node, "", 1, select, MAX_CHANNELS, error);
  if (count < 0)
    return FALSE;
  if (count == 0)
    return FAIL (QF_ERROR_UNSUPPORTED, "it takes no channels");
  n->n_select = count;
  n->select = g_new (int, count);
  for (int i = 0; i < count; i++) /* judged later */
    n->select[i] = (int) CLAMP (
        select[i] < 0 ? select[i] + x->dims[1] : select[i], -1, QF_MAX_DIM);
  return TRUE;
}

/* Elements that each output takes, of @dim. */
static gboolean
part_sizes (const QfOnnxReader *r, const Onnx__NodeProto *node, gint64 dim,
    gint64 *sizes, GError **error)
{
  int parts = (int) node->n_output;
  int n = get_numbers (r, node, "split", 1, sizes, parts, error);
  gint64 each = (dim + parts - 1) / parts, sum = 0;

  if (n < 0)
    return FALSE;
  for (int i = 0; i < parts; i++) {
    if (n == 0)
      sizes[i] = MIN (each, dim - sum);
    if (sizes[i] < 1 || sizes[i] > dim - sum)
      return FAIL (QF_ERROR_FORMAT, "its parts do not fit its input");
    sum += sizes[i];
  }
  if ((n != 0 && n != parts) || sum != dim)
    return FAIL (QF_ERROR_FORMAT, "its parts do not make up its input");
  return TRUE;
}

gboolean
qf_onnx_read_split (
    QfOnnxReader *r, const Onnx__NodeProto *node, GError **error)
{
  const char *name = qf_onnx_input_name (node, 0);
  g_autofree gint64 *sizes = NULL;
  int value, axis = 0, at = 0;
  const QfValue *x;

  if (!name)
    return FAIL (QF_ERROR_FORMAT, "input 1 is missing");
  value = qf_onnx_value (r, name, error);
  if (value < 0 || !qf_onnx_get_int (node, "axis", &axis, error))
    return FALSE;
  x = qf_graph_value (r->graph, value);
  axis += axis < 0 ? x->rank : 0;
  if (axis < 0 || axis >= x->rank || node->n_output > QF_MAX_ENDS)
    return FAIL (QF_ERROR_FORMAT, "its axis is out of range");
  sizes = g_new0 (gint64, node->n_output);
  if (!part_sizes (r, node, x->dims[axis], sizes, error))
    return FALSE;
  for (gsize i = 0; i < node->n_output; at += (int) sizes[i++]) {
    QfNode *n;

    if (!node->output[i][0])
      continue;
    n = qf_graph_add_node (r->graph, QF_OP_SLICE, node->output[i], 1, &value);
    n->axis = axis;
    n->begin = at;
    n->end = at + (int) sizes[i];
    if (!qf_check_node (&r->check, n, error))
      return FALSE;
    g_hash_table_insert (r->values, qf_graph_value (r->graph, n->out)->name,
        GINT_TO_POINTER (n->out + 1));
  }
  return TRUE;
}
