/* libqfuse: rewrites of a float network before it is quantized.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What it computes stays the same. */
#include "model/onnx-private.h"
#include "model/quantize-private.h"

#include <math.h>
#include <string.h>

static const float *
constant_floats (const QfDag *dag, const QfDagNode *n, int i)
{
  const QfArray *a =
      i < n->n_in && n->in[i] >= 0 ? &qf_dag_value (dag, n->in[i])->a : NULL;

  return a && a->dtype == QF_F32 ? a->data : NULL;
}

/* Conv's or Gemm's weights and bias are constants. */
static gboolean
has_constants (const QfDag *dag, const QfDagNode *n)
{
  return constant_floats (dag, n, 1) &&
      (n->n_in < 3 || n->in[2] < 0 || constant_floats (dag, n, 2));
}

/* ---- batch normalization ------------------------------------------------ */

/* y = scale·x + offset of channel @c. */
static void
norm_line (const QfDag *dag, const QfDagNode *bn, gint64 c, double *scale,
    double *offset)
{
  const QfAttr *a = qf_dag_attr (bn, "epsilon");
  double epsilon = a && a->type == QF_ATTR_FLOAT ? a->f : 1e-5f;

  *scale = constant_floats (dag, bn, 1)[c] /
      sqrt ((double) constant_floats (dag, bn, 4)[c] + epsilon);
  *offset = constant_floats (dag, bn, 2)[c] -
      *scale * constant_floats (dag, bn, 3)[c];
}

/* Gives @conv new weights and bias, and the output of @bn. */
static void
fold_norm (QfDagEdit *e, QfDagNode *conv, QfDagNode *bn)
{
  QfDag *dag = e->dag;
  const QfArray *w = &qf_dag_value (dag, conv->in[1])->a;
  const float *old = w->data, *bias = constant_floats (dag, conv, 2);
  gint64 channels = w->dims[0], taps = qf_array_elements (w) / channels;
  g_autofree float *fw = g_new (float, channels *taps);
  g_autofree float *fb = g_new (float, channels);
  int in[3] = { conv->in[0], -1, -1 };

  for (gint64 c = 0; c < channels; c++) {
    double scale, offset;

    norm_line (dag, bn, c, &scale, &offset);
    for (gint64 i = c * taps; i < (c + 1) * taps; i++)
      fw[i] = (float) (scale * old[i]);
    fb[c] = (float) (offset + (bias ? scale * bias[c] : 0));
  }
  in[1] = qf_dag_add_constant (
      e, conv->name, "_weights", QF_F32, w->rank, w->dims, fw);
  in[2] =
      qf_dag_add_constant (e, conv->name, "_bias", QF_F32, 1, &channels, fb);
  qf_dag_set_inputs (conv, 3, in);
  conv->out[0] = bn->out[0];
  bn->out[0] = -1;
}

/* One that follows no convolution is a depthwise 1x1 convolution. */
static void
make_convolution (QfDagEdit *e, QfDagNode *bn)
{
  const QfArray *x = &qf_dag_value (e->dag, bn->in[0])->a;
  gint64 c = x->dims[1], dims[4] = { c, 1, 1, 1 };
  g_autofree float *w = g_new (float, c), *b = g_new (float, c);
  int in[3] = { bn->in[0], -1, -1 };
  QfDagNode *conv;

  for (gint64 i = 0; i < c; i++) {
    double scale, offset;

    norm_line (e->dag, bn, i, &scale, &offset);
    w[i] = (float) scale;
    b[i] = (float) offset;
  }
  in[1] = qf_dag_add_constant (e, bn->name, "_weights", QF_F32, 4, dims, w);
  in[2] = qf_dag_add_constant (e, bn->name, "_bias", QF_F32, 1, dims, b);
  conv = qf_dag_add_node (e, "Conv", 3, in, bn->out[0]);
  qf_dag_set_int (conv, "group", c);
  bn->out[0] = -1;
}

static void
fold_norms (QfDagEdit *e)
{
  QfDag *dag = e->dag;
  g_autofree int *maker = qf_dag_makers (dag), *uses = qf_dag_uses (dag);
  guint n_nodes = dag->nodes->len;

  for (guint i = 0; i < n_nodes; i++) {
    QfDagNode *bn = qf_dag_node (dag, (int) i), *conv;
    gboolean known = qf_dag_is (bn, "BatchNormalization") && bn->n_in == 5 &&
        (bn->n_out < 2 || bn->out[1] < 0) &&
        qf_dag_int (bn, "training_mode", 0) == 0;
    int m;

    for (int k = 1; known && k < 5; k++)
      known = constant_floats (dag, bn, k) != NULL;
    if (!known)
      continue;
    m = maker[bn->in[0]];
    conv = m < 0 ? NULL : qf_dag_node (dag, m);
    if (conv && qf_dag_is (conv, "Conv") && uses[bn->in[0]] == 1 &&
        has_constants (dag, conv))
      fold_norm (e, conv, bn);
    else if (qf_dag_value (dag, bn->in[0])->a.rank == 4)
      make_convolution (e, bn);
  }
  qf_dag_edit_order (dag);
}

/* ---- padding ------------------------------------------------------------ */

/* Zeros around rows and columns of a picture: top, left, bottom, right. */
static gboolean
pads_of (const QfDag *dag, const QfDagNode *n, gint64 pads[4])
{
  const QfAttr *mode = qf_dag_attr (n, "mode");
  const QfArray *list;
  const float *value = constant_floats (dag, n, 2);

  if (!qf_dag_is (n, "Pad") || n->n_in < 2 || (n->n_in > 3 && n->in[3] >= 0) ||
      (mode && strcmp (mode->text, "constant") != 0) ||
      (n->n_in > 2 && n->in[2] >= 0 && (!value || *value != 0)))
    return FALSE;
  list = &qf_dag_value (dag, n->in[1])->a;
  if (!list->data || list->dtype != QF_I64 || qf_array_elements (list) != 8)
    return FALSE;
  for (int i = 0; i < 8; i++) {
    gint64 p = ((const gint64 *) list->data)[i];

    if (p < 0 || (p > 0 && i % 4 < 2) || p > QF_MAX_STEP)
      return FALSE;
    if (i % 4 >= 2)
      pads[i / 4 * 2 + i % 4 - 2] = p;
  }
  return TRUE;
}

static gboolean
adds_pads (QfDagNode *conv, const gint64 more[4])
{
  const QfAttr *pads = qf_dag_attr (conv, "pads");
  const QfAttr *automatic = qf_dag_attr (conv, "auto_pad");
  gint64 sum[4];

  if (!qf_dag_is (conv, "Conv") ||
      (automatic && strcmp (automatic->text, "NOTSET") != 0 &&
          strcmp (automatic->text, "VALID") != 0) ||
      (pads && pads->n != 4))
    return FALSE;
  for (int i = 0; i < 4; i++)
    sum[i] = more[i] + (pads ? pads->ints[i] : 0);
  qf_dag_drop_attr (conv, "auto_pad");
  qf_dag_set_ints (conv, "pads", 4, sum);
  return TRUE;
}

static void
fold_pads (QfDagEdit *e)
{
  QfDag *dag = e->dag;

  for (guint i = 0; i < dag->nodes->len; i++) {
    const QfDagNode *n = qf_dag_node (dag, (int) i);
    gint64 pads[4];
    gboolean nothing;

    if (!pads_of (dag, n, pads) || qf_dag_is_output (dag, n->out[0]))
      continue;
    nothing = !(pads[0] | pads[1] | pads[2] | pads[3]);
    for (guint k = i + 1; k < dag->nodes->len; k++) {
      QfDagNode *reader = qf_dag_node (dag, (int) k);

      if (reader->n_in > 0 && reader->in[0] == n->out[0] &&
          (nothing || adds_pads (reader, pads)))
        reader->in[0] = n->in[0];
    }
    if (nothing)
      qf_dag_replace (dag, n->out[0], n->in[0]);
  }
  qf_dag_edit_order (dag);
}

/* ---- matrix products ---------------------------------------------------- */

/* Gemm(x, w, b) with weights [in, out] gets them as [out, in]. */
static void
turn_products (QfDagEdit *e)
{
  for (guint i = 0; i < e->dag->nodes->len; i++) {
    QfDagNode *n = qf_dag_node (e->dag, (int) i);
    const QfArray *w;
    g_autofree float *turned = NULL;
    gint64 dims[2];

    if (!qf_dag_is (n, "Gemm") || qf_dag_int (n, "transB", 0) ||
        !constant_floats (e->dag, n, 1))
      continue;
    w = &qf_dag_value (e->dag, n->in[1])->a;
    if (w->rank != 2)
      continue;
    dims[0] = w->dims[1];
    dims[1] = w->dims[0];
    turned = g_new (float, dims[0] * dims[1]);
    for (gint64 o = 0; o < dims[0]; o++)
      for (gint64 k = 0; k < dims[1]; k++)
        turned[o * dims[1] + k] = ((const float *) w->data)[k * dims[0] + o];
    n->in[1] =
        qf_dag_add_constant (e, n->name, "_turned", QF_F32, 2, dims, turned);
    qf_dag_set_int (n, "transB", 1);
  }
}

gboolean
qf_quantize_prepare (QfDagEdit *e, GError **error)
{
  for (guint i = 0; i < e->dag->nodes->len; i++) {
    const QfDagNode *n = qf_dag_node (e->dag, (int) i);

    if (n->guard >= 0)
      return FAIL (QF_ERROR_UNSUPPORTED,
          "node '%s' stands in a branch of an If that a run decides; such a "
          "network cannot be quantized",
          n->name);
    if (qf_dag_is (n, "QuantizeLinear") || qf_dag_is (n, "QLinearConv") ||
        qf_dag_is (n, "ConvInteger"))
      return FAIL (QF_ERROR_UNSUPPORTED,
          "is quantized already (node '%s' is %s)", n->name, n->op->name);
  }
  if (!qf_dag_upgrade (e, error))
    return FALSE;
  fold_norms (e);
  fold_pads (e);
  turn_products (e);
  qf_quantize_moves (e);
  return TRUE;
}
