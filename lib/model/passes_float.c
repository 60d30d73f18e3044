/* libqfuse: folds batch normalization, fuses activations.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/passes-private.h"

#include <math.h>

/* y = g·x + b of each channel, from γ, β, mean and variance. */
static void
batch_norm_line (
    const QfGraph *g, const QfNode *n, gint64 c, double *scale, double *offset)
{
  const float *p[4];

  for (int i = 0; i < 4; i++)
    p[i] = qf_graph_value (g, n->in[i + 1])->data;
  *scale = p[0][c] / sqrt ((double) p[3][c] + n->epsilon);
  *offset = p[1][c] - *scale * p[2][c];
}

/* Makes @bn a depthwise 1x1 convolution of its own. */
static void
make_convolution (QfRewrite *rw, QfNode *bn)
{
  const QfValue *x = qf_graph_value (rw->g, bn->in[0]);
  gint64 c = x->dims[1], dims[4] = { c, 1, 1, 1 };
  g_autofree float *w = g_new (float, c), *b = g_new (float, c);
  int in[3] = { bn->in[0], -1, -1 };

  for (gint64 i = 0; i < c; i++) {
    double scale, offset;

    batch_norm_line (rw->g, bn, i, &scale, &offset);
    w[i] = (float) scale;
    b[i] = (float) offset;
  }
  in[1] =
      qf_rewrite_add_constant (rw, bn->name, "_weights", QF_F32, 4, dims, w);
  in[2] = qf_rewrite_add_constant (rw, bn->name, "_bias", QF_F32, 1, dims, b);
  qf_rewrite_set_inputs (bn, 3, in);
  bn->op = QF_OP_CONV;
  bn->win.groups = (int) c;
}

static void
fold_batch_norm (QfRewrite *rw, QfNode *layer, QfNode *bn)
{
  QfGraph *g = rw->g;
  const QfValue *w = qf_graph_value (g, layer->in[1]);
  const float *bias = layer->n_in > 2 && layer->in[2] >= 0
      ? qf_graph_value (g, layer->in[2])->data
      : NULL;
  gint64 channels = w->dims[0], taps = qf_value_elements (w) / channels;
  g_autofree float *fw = g_new (float, channels *taps);
  g_autofree float *fb = g_new (float, channels);
  int in[3] = { layer->in[0], -1, -1 };

  for (gint64 c = 0; c < channels; c++) {
    double scale, offset;

    batch_norm_line (g, bn, c, &scale, &offset);
    for (gint64 i = c * taps; i < (c + 1) * taps; i++)
      fw[i] = (float) (scale * ((const float *) w->data)[i]);
    fb[c] = (float) (offset + (bias ? scale * bias[c] : 0));
  }
  in[1] = qf_rewrite_add_constant (
      rw, bn->name, "_weights", QF_F32, w->rank, w->dims, fw);
  in[2] =
      qf_rewrite_add_constant (rw, bn->name, "_bias", QF_F32, 1, &channels, fb);
  qf_rewrite_set_inputs (layer, 3, in);
  qf_rewrite_set_out (rw, layer, bn->out);
  qf_rewrite_drop (bn);
}

static gboolean
is_float_constant (const QfRewrite *rw, const QfNode *n, int i)
{
  const QfValue *v;

  if (i >= n->n_in || n->in[i] < 0)
    return FALSE;
  v = qf_graph_value (rw->g, n->in[i]);
  return v->data && v->dtype == QF_F32;
}

void
qf_pass_batch_norm (QfRewrite *rw)
{
  guint n_nodes = rw->g->nodes->len;

  for (guint i = 0; i < n_nodes; i++) {
    QfNode *bn = qf_graph_node (rw->g, (int) i), *layer;

    if (bn->op != QF_OP_BATCH_NORM)
      continue;
    layer = qf_rewrite_maker (rw, bn->in[0]);
    if (layer && (layer->op == QF_OP_CONV || layer->op == QF_OP_GEMM) &&
        layer->act == QF_ACT_NONE && qf_rewrite_uses (rw, layer->out) == 1 &&
        is_float_constant (rw, layer, 1) &&
        (layer->n_in < 3 || layer->in[2] < 0 ||
            is_float_constant (rw, layer, 2)))
      fold_batch_norm (rw, layer, bn);
    else if (qf_graph_value (rw->g, bn->in[0])->rank == 4)
      make_convolution (rw, bn);
  }
  qf_rewrite_update (rw);
}

void
qf_node_bounds (const QfNode *n, float *lo, float *hi)
{
  *lo = n->op == QF_OP_RELU ? 0 : n->lo;
  *hi = n->op == QF_OP_RELU ? INFINITY : n->hi;
}

gboolean
qf_node_fuse_clip (QfNode *n, float lo, float hi)
{
  if (n->act == QF_ACT_FUNCTION)
    return FALSE;
  if (n->act == QF_ACT_NONE) {
    n->act_lo = -INFINITY;
    n->act_hi = INFINITY;
  }
  n->act = QF_ACT_CLIP;
  n->act_lo = MIN (MAX (n->act_lo, lo), hi);
  n->act_hi = MIN (MAX (n->act_hi, lo), hi);
  return TRUE;
}

/* Fuses @n into @layer, which alone makes its input. */
static gboolean
fuse_activation (QfNode *layer, const QfNode *n)
{
  gboolean weighted = layer->op == QF_OP_CONV || layer->op == QF_OP_GEMM;
  float lo, hi;

  if (n->op == QF_OP_SIGMOID) {
    if (!weighted || layer->act != QF_ACT_NONE)
      return FALSE;
    layer->act = QF_ACT_FUNCTION;
    layer->act_op = QF_OP_SIGMOID;
    return TRUE;
  }
  qf_node_bounds (n, &lo, &hi);
  return (weighted || layer->op == QF_OP_ADD || layer->op == QF_OP_MUL ||
             layer->op == QF_OP_AVERAGE_POOL ||
             layer->op == QF_OP_GLOBAL_AVG_POOL ||
             qf_op_is_function (layer->op)) &&
      qf_node_fuse_clip (layer, lo, hi);
}

void
qf_pass_activations (QfRewrite *rw)
{
  for (guint i = 0; i < rw->g->nodes->len; i++) {
    QfNode *n = qf_graph_node (rw->g, (int) i), *layer;

    if (n->op != QF_OP_RELU && n->op != QF_OP_CLIP && n->op != QF_OP_SIGMOID)
      continue;
    layer = qf_rewrite_maker (rw, n->in[0]);
    if (!layer || qf_rewrite_uses (rw, layer->out) != 1 ||
        !fuse_activation (layer, n))
      continue;
    qf_rewrite_set_out (rw, layer, n->out);
    qf_rewrite_drop (n);
  }
  qf_rewrite_update (rw);
}
