/* libqfuse: brings graphs of older opsets to 13.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * DequantizeLinear has one scale a channel since opset 13. Only operators whose
 * meaning changed on the way are touched; sources: the ONNX operator changelog.
 */
#include "model/dag-edit.h"
#include "model/model-private.h"
#include "model/onnx-private.h"

#include <math.h>
#include <string.h>

/* The list attribute @name becomes constant input @at. */
static void
list_to_input (QfDagEdit *e, QfDagNode *n, const char *name, int at)
{
  const QfAttr *a = qf_dag_attr (n, name);
  int in[QF_OP_MAX_IN];
  gint64 dims[1];

  if (!a || a->type != QF_ATTR_INTS || n->n_in > at)
    return;
  memcpy (in, n->in, (gsize) n->n_in * sizeof *in);
  for (int i = n->n_in; i < at; i++)
    in[i] = -1;
  dims[0] = a->n;
  in[at] = qf_dag_add_constant (e, n->name, name, QF_I64, 1, dims, a->ints);
  qf_dag_set_inputs (n, at + 1, in);
  qf_dag_drop_attr (n, name);
}

static void
float_to_input (QfDagEdit *e, QfDagNode *n, const char *name, int at,
    float fallback, gboolean always)
{
  const QfAttr *a = qf_dag_attr (n, name);
  float x = a && a->type == QF_ATTR_FLOAT ? a->f : fallback;
  int in[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };

  if (n->n_in > at || (!a && !always))
    return;
  memcpy (in, n->in, (gsize) n->n_in * sizeof *in);
  in[at] = qf_dag_add_constant (e, n->name, name, QF_F32, 0, NULL, &x);
  qf_dag_set_inputs (n, at + 1, in);
  qf_dag_drop_attr (n, name);
}

/* Of opset 9: starts, ends and axes are attributes. */
static void
upgrade_slice (QfDagEdit *e, QfDagNode *n)
{
  list_to_input (e, n, "starts", 1);
  list_to_input (e, n, "ends", 2);
  list_to_input (e, n, "axes", 3);
}

/* (x, scales) becomes (x, nothing, scales), with the coordinates that it had.
 */
static void
upgrade_resize (QfDagEdit *e, QfDagNode *n)
{
  int in[3] = { n->in[0], -1, n->in[1] };
  static const char *const names[] = { "coordinate_transformation_mode",
    "nearest_mode" };
  static const char *const texts[] = { "asymmetric", "floor" };

  qf_dag_set_inputs (n, 3, in);
  for (int i = 0; i < 2; i++) {
    QfAttr *a = g_new0 (QfAttr, 1);

    qf_dag_drop_attr (n, names[i]);
    a->name = g_strdup (names[i]);
    a->type = QF_ATTR_TEXT;
    a->text = g_strdup (texts[i]);
    g_ptr_array_add (n->attrs, a);
  }
}

/* Before 13 all axes from @axis on count as one. */
static gboolean
upgrade_softmax (const QfDag *dag, QfDagNode *n, GError **error)
{
  const QfArray *x = &qf_dag_value (dag, n->in[0])->a;
  gint64 axis = qf_dag_int (n, "axis", 1);
  int real = 0;

  axis += axis < 0 ? x->rank : 0;
  for (int i = (int) axis; i < x->rank; i++)
    if (x->dims[i] != 1) {
      real++;
      axis = i;
    }
  if (real > 1)
    return qf_node_error (error, QF_ERROR_UNSUPPORTED, n->name, n->op->name,
        "over several axes it cannot be said in opset 13; export the model at "
        "opset 13 or later");
  qf_dag_set_int (n, "axis", MIN (axis, x->rank - 1));
  return TRUE;
}

static gboolean
upgrade_node (QfDagEdit *e, QfDagNode *n, int from, GError **error)
{
  if (qf_dag_is (n, "Softmax") || qf_dag_is (n, "LogSoftmax"))
    return upgrade_softmax (e->dag, n, error);
  if (qf_dag_is (n, "Squeeze") || qf_dag_is (n, "Unsqueeze") ||
      qf_dag_is (n, "ReduceSum"))
    list_to_input (e, n, "axes", 1);
  else if (qf_dag_is (n, "Split"))
    list_to_input (e, n, "split", 1);
  else if (qf_dag_is (n, "Slice") && from < 10)
    upgrade_slice (e, n);
  else if (qf_dag_is (n, "Upsample") || (qf_dag_is (n, "Resize") && from < 11))
    upgrade_resize (e, n);
  else if (qf_dag_is (n, "Clip") && from < 11) {
    float_to_input (e, n, "min", 1, -INFINITY, FALSE);
    float_to_input (e, n, "max", 2, INFINITY, FALSE);
  } else if (qf_dag_is (n, "Pad") && from < 11) {
    list_to_input (e, n, "pads", 1);
    float_to_input (e, n, "value", 2, 0, TRUE);
  } else if (qf_dag_is (n, "Dropout"))
    qf_dag_drop_attr (n, "ratio");
  return TRUE;
}

gboolean
qf_dag_upgrade (QfDagEdit *e, GError **error)
{
  QfDag *dag = e->dag;
  int from = dag->opset;

  if (from >= QF_ONNX_OPSET)
    return TRUE;
  dag->opset = QF_ONNX_OPSET;
  for (guint i = 0; i < dag->nodes->len; i++) {
    QfDagNode *n = qf_dag_node (dag, (int) i);
    const char *name = qf_dag_is (n, "Upsample") ? "Resize" : n->op->name;
    const QfOperator *op =
        qf_operator_find (n->op->domain, name, QF_ONNX_OPSET);

    if (!upgrade_node (e, n, from, error))
      return FALSE;
    if (!op)
      return qf_node_error (error, QF_ERROR_UNSUPPORTED, n->name, n->op->name,
          "it has no form in opset 13");
    n->op = op;
  }
  return TRUE;
}
