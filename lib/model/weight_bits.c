/* libqfuse: a model's layers, and copies with one layer's weights made coarse.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/model-private.h"

#include <math.h>
#include <string.h>

/* Where a layer's weights come from. */
typedef struct
{
  int at;                /* of the node */
  const QfValue *from;   /* constant: floats or codes */
  const QfNode *dq;      /* what makes them real; NULL: they are floats */
  gint64 channels, taps; /* [channels][taps] */
} Layer;

static const QfNode *
maker_of (const QfGraph *g, int value)
{
  for (guint i = 0; i < g->nodes->len; i++)
    if (qf_graph_node (g, (int) i)->out == value)
      return qf_graph_node (g, (int) i);
  return NULL;
}

/* Fills @l of node @at; FALSE where it has no constant weights with one scale
 * or one for each output channel. */
static gboolean
read_layer (const QfGraph *g, int at, Layer *l)
{
  const QfNode *n = qf_graph_node (g, at), *q;

  if (n->op != QF_OP_CONV && n->op != QF_OP_GEMM)
    return FALSE;
  *l = (Layer){ .at = at, .from = qf_graph_value (g, n->in[1]) };
  if (!l->from->data) {
    l->dq = maker_of (g, n->in[1]);
    if (!l->dq || l->dq->op != QF_OP_DEQUANTIZE)
      return FALSE;
    l->from = qf_graph_value (g, l->dq->in[0]);
    if (!l->from->data && (q = maker_of (g, l->dq->in[0])) &&
        q->op == QF_OP_QUANTIZE)
      l->from = qf_graph_value (g, q->in[0]);
  }
  if (!l->from->data || l->from->rank < 1 || l->from->dims[0] < 1)
    return FALSE;
  l->channels = l->from->dims[0];
  l->taps = qf_value_elements (l->from) / l->channels;
  if (l->from->dtype == QF_F32)
    return TRUE;
  return (l->from->dtype == QF_I8 || l->from->dtype == QF_U8) &&
      (qf_value_elements (qf_graph_value (g, l->dq->in[1])) == 1 ||
          l->dq->axis == 0);
}

static gboolean
find_layer (const QfGraph *g, int number, Layer *l)
{
  for (guint i = 0; g && i < g->nodes->len; i++)
    if (read_layer (g, (int) i, l) && number-- == 0)
      return TRUE;
  return FALSE;
}

int
qf_model_n_layers (const QfModel *model)
{
  Layer l;
  int n = 0;

  while (find_layer (model->graph, n, &l))
    n++;
  return n;
}

void
qf_model_layer (const QfModel *model, int i, QfModelLayer *layer)
{
  Layer l = { 0 };
  const QfNode *n;

  g_return_if_fail (find_layer (model->graph, i, &l));
  n = qf_graph_node (model->graph, l.at);
  *layer = (QfModelLayer){ n->name, qf_op_name (n->op),
    !l.dq              ? 32
        : l.from->bits ? l.from->bits
                       : 8,
    l.channels, l.channels * l.taps };
}

/* ---- fewer bits --------------------------------------------------------- */

static int
element (const QfValue *v, gint64 i)
{
  return v->dtype == QF_I8 ? ((const gint8 *) v->data)[i]
                           : ((const guint8 *) v->data)[i];
}

/* Element @i as a number to be multiplied by its channel's *@unit. */
static double
weight_at (const QfGraph *g, const Layer *l, gint64 i, float *unit)
{
  const QfValue *scale, *zero;
  gint64 c = i / l->taps;

  *unit = 1;
  if (l->from->dtype == QF_F32)
    return ((const float *) l->from->data)[i];
  scale = qf_graph_value (g, l->dq->in[1]);
  *unit = ((const float *) scale->data)[qf_value_elements (scale) > 1 ? c : 0];
  if (l->dq->n_in < 3 || l->dq->in[2] < 0)
    return element (l->from, i);
  zero = qf_graph_value (g, l->dq->in[2]);
  return element (l->from, i) -
      element (zero, qf_value_elements (zero) > 1 ? c : 0);
}

/* Whether codes up to @top hold the channel @w[@n], whose largest size is
 * @max, as it is: floats are multiples of max/top to 2^-20 of it, codes have a
 * common divisor of max/top or more. */
static gboolean
fits (const double *w, gint64 n, double max, int top, gboolean codes)
{
  int divisor = 0;

  for (gint64 i = 0; i < n; i++) {
    if (codes) {
      for (int a = (int) fabs (w[i]); a;) {
        int rest = divisor % a;

        divisor = a;
        a = rest;
      }
    } else {
      double v = w[i] * top / max;

      if (!(fabs (v - rint (v)) < 0x1p-20))
        return FALSE;
    }
  }
  return !codes || divisor == 0 || max / divisor <= top;
}

/* Rounds a channel to codes, real value *@scale times @codes. Returns whether
 * that changes it. */
static gboolean
round_channel (const QfGraph *g, const Layer *l, gint64 c, int top, double *w,
    gint8 *codes, float *scale)
{
  gboolean is_codes = l->from->dtype != QF_F32;
  double max = 0;

  for (gint64 i = 0; i < l->taps; i++) {
    w[i] = weight_at (g, l, c * l->taps + i, scale);
    max = MAX (max, fabs (w[i]));
  }
  /* int8 codes stay as they are, so that they are run as they were */
  if (is_codes && max <= 127 && fits (w, l->taps, max, top, TRUE)) {
    for (gint64 i = 0; i < l->taps; i++)
      codes[i] = (gint8) w[i];
    return FALSE;
  }
  for (gint64 i = 0; i < l->taps; i++)
    codes[i] = max > 0 ? (gint8) rint (w[i] * top / max) : 0;
  *scale = max > 0 ? (float) (*scale * max / top) : 1;
  return max > 0 && (is_codes || !fits (w, l->taps, max, top, FALSE));
}

/* Node @l->at of @g gets weights of its own: @codes under DequantizeLinear. */
static void
set_codes (QfGraph *g, const Layer *l, const gint8 *codes, const float *scales)
{
  QfNode *n = qf_graph_node (g, l->at), *dq;
  g_autofree char *stem = g_strconcat (n->name, "_coarse", NULL);
  g_autofree char *codes_name = g_strconcat (stem, "_codes", NULL);
  g_autofree char *scales_name = g_strconcat (stem, "_scales", NULL);
  int in[2];

  in[0] = qf_graph_add_constant (
      g, codes_name, QF_I8, l->from->rank, l->from->dims, codes);
  in[1] =
      qf_graph_add_constant (g, scales_name, QF_F32, 1, &l->channels, scales);
  dq = qf_graph_add_node (g, QF_OP_DEQUANTIZE, stem, 2, in);
  n->in[1] = dq->out;
  g_ptr_array_insert (
      g->nodes, l->at, g_ptr_array_steal_index (g->nodes, g->nodes->len - 1));
}

static void
set_floats (QfGraph *g, const Layer *l, const gint8 *codes, const float *scales)
{
  QfNode *n = qf_graph_node (g, l->at);
  g_autofree char *name = g_strconcat (n->name, "_coarse", NULL);
  g_autofree float *w = g_new (float, l->channels * l->taps);

  for (gint64 i = 0; i < l->channels * l->taps; i++)
    w[i] = scales[i / l->taps] * (float) codes[i];
  n->in[1] =
      qf_graph_add_constant (g, name, QF_F32, l->from->rank, l->from->dims, w);
}

QfModel *
qf_model_round_layer (
    const QfModel *model, int i, int bits, gboolean *changed, GError **error)
{
  QfGraph *old =
      qf_model_graph (model, "have a layer's weights rounded", error);
  g_autoptr (QfGraph) g = NULL;
  g_autofree gint8 *codes = NULL;
  g_autofree float *scales = NULL;
  g_autofree double *w = NULL;
  GHashTableIter iter;
  gpointer key, value;
  QfModel *copy;
  Layer l = { 0 };

  g_return_val_if_fail (bits >= 2 && bits <= 8, NULL);
  if (!old)
    return NULL;
  g_return_val_if_fail (find_layer (old, i, &l), NULL);
  codes = g_new (gint8, l.channels * l.taps);
  scales = g_new (float, l.channels);
  w = g_new (double, l.taps);
  *changed = FALSE;
  for (gint64 c = 0; c < l.channels; c++)
    *changed |= round_channel (
        old, &l, c, (1 << (bits - 1)) - 1, w, codes + c * l.taps, scales + c);
  g = qf_graph_copy (old);
  if (*changed && l.dq)
    set_codes (g, &l, codes, scales);
  else if (*changed)
    set_floats (g, &l, codes, scales);
  if (!qf_graph_validate (g, error))
    return NULL;
  copy = qf_model_new (g_steal_pointer (&g));
  g_hash_table_iter_init (&iter, model->metadata);
  while (g_hash_table_iter_next (&iter, &key, &value))
    qf_model_set (copy, key, value);
  return copy;
}
