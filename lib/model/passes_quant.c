/* libqfuse: from QuantizeLinear and DequantizeLinear to operators on codes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/passes-private.h"

#include <math.h>
#include <string.h>

/* MaxPool, Resize, Flatten, Slice, Gather and Concat move codes as they move numbers:
 * dequantizing is a growing function, and quantizing never decreases. */
static gboolean
moves_codes (const QfNode *n)
{
  return n->op == QF_OP_MAX_POOL || n->op == QF_OP_RESIZE_NEAREST ||
      n->op == QF_OP_FLATTEN || n->op == QF_OP_CONCAT || n->op == QF_OP_SLICE ||
      n->op == QF_OP_GATHER;
}

static gboolean
same_quantization (const QfValue *a, const QfValue *b)
{
  return a->scale == b->scale && a->zero == b->zero;
}

static QfValue *
input_of (const QfRewrite *rw, const QfNode *n, int i)
{
  return qf_graph_value (rw->g, n->in[i]);
}

/* The uint8 activation that @value is dequantized from, or −1. */
static int
codes_of (const QfRewrite *rw, int value)
{
  const QfNode *dq = qf_rewrite_maker (rw, value);

  return dq && dq->op == QF_OP_DEQUANTIZE && !input_of (rw, dq, 0)->data
      ? dq->in[0]
      : -1;
}

static gboolean
is_output (const QfGraph *g, int value)
{
  for (guint i = 0; i < g->outputs->len; i++)
    if (g_array_index (g->outputs, int, i) == value)
      return TRUE;
  return FALSE;
}

/* ---- scales on values --------------------------------------------------- */

/* int8 activations become uint8 by 128 more, zero points with them. */
static void
shift_to_unsigned (QfRewrite *rw)
{
  QfGraph *g = rw->g;

  for (guint i = 0; i < g->nodes->len; i++) {
    QfNode *n = qf_graph_node (g, (int) i);
    QfValue *codes = NULL;
    int zero, in[3];
    guint8 z;
    float scale;

    if (n->op == QF_OP_QUANTIZE)
      codes = qf_graph_value (g, n->out);
    else if (n->op == QF_OP_DEQUANTIZE && !input_of (rw, n, 0)->data)
      codes = input_of (rw, n, 0);
    if (!codes || !qf_node_quantization (g, n, &scale, &zero))
      continue;
    z = (guint8) (codes->dtype == QF_I8 ? zero + 128 : zero);
    if (codes->dtype == QF_U8 && n->n_in == 3 && n->in[2] >= 0)
      continue;
    in[0] = n->in[0];
    in[1] = n->in[1];
    in[2] = qf_rewrite_add_constant (rw, n->name, "_zero", QF_U8, 0, NULL, &z);
    qf_rewrite_set_inputs (n, 3, in);
  }
  for (guint i = 0; i < g->values->len; i++) {
    QfValue *v = qf_graph_value (g, (int) i);

    if (v->dtype == QF_I8 && !v->data)
      v->dtype = QF_U8;
  }
}

static gboolean
set_quantization (QfValue *v, float scale, int zero, GError **error)
{
  if (v->scale > 0 && (v->scale != scale || v->zero != zero)) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "the codes of '%s' are read with different scales or zero points",
        v->name);
    return FALSE;
  }
  v->scale = scale;
  v->zero = zero;
  return TRUE;
}

/* Between QuantizeLinear and DequantizeLinear codes may pass operators that
 * move them; these take over the scale from either side. */
static gboolean
spread_quantization (QfRewrite *rw, GError **error)
{
  QfGraph *g = rw->g;
  int n_nodes = (int) g->nodes->len;

  for (int step = 0; step < 2 * n_nodes; step++) {
    gboolean forward = step < n_nodes;
    QfNode *n = qf_graph_node (g, forward ? step : 2 * n_nodes - 1 - step);
    QfValue *out = qf_graph_value (g, n->out);

    if (!moves_codes (n) || out->dtype != QF_U8)
      continue;
    for (int k = 0; k < n->n_in; k++) {
      QfValue *x = input_of (rw, n, k);

      if (x->scale > 0 && !set_quantization (out, x->scale, x->zero, error))
        return FALSE;
    }
    for (int k = 0; k < n->n_in && out->scale > 0; k++)
      if (!set_quantization (input_of (rw, n, k), out->scale, out->zero, error))
        return FALSE;
  }
  for (guint i = 0; i < g->values->len; i++) { /* nobody says what they mean */
    QfValue *v = qf_graph_value (g, (int) i);

    if (v->dtype == QF_U8 && !v->data && v->scale == 0)
      v->scale = 1;
  }
  return TRUE;
}

static gboolean
put_scales_on_values (QfRewrite *rw, GError **error)
{
  QfGraph *g = rw->g;

  shift_to_unsigned (rw);
  for (guint i = 0; i < g->nodes->len; i++) {
    QfNode *n = qf_graph_node (g, (int) i);
    int zero;
    float scale;
    QfValue *codes;

    if (n->op == QF_OP_QUANTIZE)
      codes = qf_graph_value (g, n->out);
    else if (n->op == QF_OP_DEQUANTIZE && !input_of (rw, n, 0)->data)
      codes = input_of (rw, n, 0);
    else
      continue;
    if (qf_node_quantization (g, n, &scale, &zero) &&
        !set_quantization (codes, scale, zero, error))
      return FALSE;
  }
  return spread_quantization (rw, error);
}

/* ---- moving QuantizeLinear up and DequantizeLinear down ----------------- */

/* A QuantizeLinear or DequantizeLinear of @x with the scale of @codes. */
static QfNode *
add_quantization (
    QfRewrite *rw, QfOp op, const char *stem, int x, const QfValue *codes)
{
  gboolean quantize = op == QF_OP_QUANTIZE;
  const char *suffix = quantize ? "_quantized" : "_dequantized";
  guint8 zero = (guint8) codes->zero;
  float scale = codes->scale;
  int in[3] = { x, -1, -1 };
  QfNode *n;

  in[1] = qf_rewrite_add_constant (rw, stem, "_scale", QF_F32, 0, NULL, &scale);
  in[2] = qf_rewrite_add_constant (rw, stem, "_zero", QF_U8, 0, NULL, &zero);
  n = qf_rewrite_add_node (
      rw, op, stem, suffix, 3, in, quantize ? QF_U8 : QF_F32, x);
  if (quantize) {
    qf_graph_value (rw->g, n->out)->scale = scale;
    qf_graph_value (rw->g, n->out)->zero = zero;
  }
  return n;
}

/* Two equal QuantizeLinear of one value become one. */
static void
merge_quantize (QfRewrite *rw)
{
  g_autoptr (GHashTable) first = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < rw->g->nodes->len; i++) {
    QfNode *q = qf_graph_node (rw->g, (int) i), *same;

    if (q->op != QF_OP_QUANTIZE)
      continue;
    same = g_hash_table_lookup (first, GINT_TO_POINTER (q->in[0]));
    if (!same) {
      g_hash_table_insert (first, GINT_TO_POINTER (q->in[0]), q);
    } else if (same_quantization (qf_graph_value (rw->g, q->out),
                   qf_graph_value (rw->g, same->out)) &&
        !is_output (rw->g, q->out)) {
      qf_rewrite_replace (rw, q->out, same->out);
      qf_rewrite_drop (q);
    }
  }
  qf_rewrite_update (rw);
}

/* Moves each QuantizeLinear that alone reads a moving operator in front of it.
 * Backwards, so that it climbs on; new ones wait on the stack of nodes. */
static void
raise_quantize (QfRewrite *rw)
{
  QfGraph *g = rw->g;
  guint n_nodes;
  g_autofree QfNode **nodes = qf_rewrite_take_nodes (rw, &n_nodes);
  g_autoptr (GPtrArray) stack = g_ptr_array_new ();

  for (guint i = 0; i < n_nodes; i++)
    g_ptr_array_add (stack, nodes[i]);
  while (stack->len) {
    QfNode *n = g_ptr_array_steal_index (stack, stack->len - 1);

    if (n->op == QF_OP_QUANTIZE) {
      QfNode *p = qf_rewrite_maker (rw, n->in[0]);

      if (p && moves_codes (p) && qf_rewrite_uses (rw, n->in[0]) == 1) {
        qf_rewrite_set_out (rw, p, n->out);
        qf_node_free (n);
        continue;
      }
    }
    g_ptr_array_add (g->nodes, n);
    if (!moves_codes (n) || qf_graph_value (g, n->out)->dtype != QF_U8 ||
        input_of (rw, n, 0)->dtype != QF_F32)
      continue;
    for (int k = 0; k < n->n_in; k++) {
      QfNode *q = add_quantization (
          rw, QF_OP_QUANTIZE, n->name, n->in[k], qf_graph_value (g, n->out));

      qf_rewrite_count (rw, n->in[k], -1); /* @q reads it instead */
      n->in[k] = q->out;
      g_ptr_array_add (
          stack, g_ptr_array_steal_index (g->nodes, g->nodes->len - 1));
    }
  }
  for (guint i = 0; i < g->nodes->len / 2; i++) { /* first node first again */
    gpointer *a = &g->nodes->pdata[i];
    gpointer *b = &g->nodes->pdata[g->nodes->len - 1 - i];
    gpointer t = *a;

    *a = *b;
    *b = t;
  }
  qf_rewrite_update (rw);
}

/* TRUE where all inputs are dequantized with one scale and zero point. */
static gboolean
reads_one_quantization (const QfRewrite *rw, const QfNode *n)
{
  int first = codes_of (rw, n->in[0]);

  for (int k = 0; k < n->n_in; k++) {
    int x = codes_of (rw, n->in[k]);

    if (x < 0 ||
        !same_quantization (
            qf_graph_value (rw->g, x), qf_graph_value (rw->g, first)))
      return FALSE;
  }
  return TRUE;
}

/* Moves DequantizeLinear behind the operators that move codes. */
static void
sink_dequantize (QfRewrite *rw)
{
  QfGraph *g = rw->g;
  guint n_nodes;
  g_autofree QfNode **nodes = qf_rewrite_take_nodes (rw, &n_nodes);

  for (guint i = 0; i < n_nodes; i++) {
    QfNode *n = nodes[i], *dq;
    const QfValue *x;
    int old = n->out, codes;

    g_ptr_array_add (g->nodes, n);
    if (!moves_codes (n) || qf_graph_value (g, old)->dtype != QF_F32 ||
        !reads_one_quantization (rw, n))
      continue;
    for (int k = 0; k < n->n_in; k++)
      n->in[k] = codes_of (rw, n->in[k]);
    x = input_of (rw, n, 0);
    codes = qf_graph_add_value (g, n->name, QF_U8,
        qf_graph_value (g, old)->rank, qf_graph_value (g, old)->dims);
    qf_graph_value (g, codes)->scale = x->scale;
    qf_graph_value (g, codes)->zero = x->zero;
    qf_rewrite_set_out (rw, n, codes);
    dq = add_quantization (rw, QF_OP_DEQUANTIZE, n->name, codes, x);
    qf_rewrite_set_out (rw, dq, old);
  }
  qf_rewrite_update (rw);
}

/* ---- groups ------------------------------------------------------------- */

static void
swap_names (QfGraph *g, int a, int b)
{
  QfValue *u = qf_graph_value (g, a), *v = qf_graph_value (g, b);
  char *name = u->name;

  u->name = v->name;
  v->name = name;
}

/* DequantizeLinear and QuantizeLinear: nothing, or from one scale to another.
 */
static void
group_alone (QfRewrite *rw, QfNode *q, int x)
{
  QfGraph *g = rw->g;
  int y = q->out;
  gboolean names_output = is_output (g, y);

  if (same_quantization (qf_graph_value (g, x), qf_graph_value (g, y)) &&
      !(names_output && (is_output (g, x) || !qf_rewrite_maker (rw, x)))) {
    if (names_output)
      swap_names (g, x, y);
    qf_rewrite_replace (rw, y, x);
    qf_rewrite_drop (q);
    return;
  }
  q->op = QF_OP_CLIP;
  q->lo = -INFINITY;
  q->hi = INFINITY;
  qf_rewrite_set_inputs (q, 1, &x);
}

/* Conv or Gemm on codes that alone makes the codes @x, which only @reader
 * dequantizes for one node; NULL where it is not so. */
static QfNode *
layer_before (const QfRewrite *rw, int x, int reader)
{
  QfNode *layer = qf_rewrite_maker (rw, x);

  return layer && (layer->op == QF_OP_CONV || layer->op == QF_OP_GEMM) &&
          qf_rewrite_uses (rw, x) == 1 && qf_rewrite_uses (rw, reader) == 1
      ? layer
      : NULL;
}

/* A function between codes @x and @y: into the layer that makes @x
 * where that changes nothing, else an operator by table. */
static void
group_activation (QfRewrite *rw, QfNode *n, int x, int y)
{
  const QfValue *codes = qf_graph_value (rw->g, x);
  QfNode *layer = layer_before (rw, x, n->in[0]);
  gboolean clips = n->op == QF_OP_RELU || n->op == QF_OP_CLIP;
  float lo, hi;

  qf_node_bounds (n, &lo, &hi);
  if (clips && n->act == QF_ACT_CLIP) {
    lo = MIN (MAX (lo, n->act_lo), n->act_hi);
    hi = MIN (MAX (hi, n->act_lo), n->act_hi);
  }
  if (layer && !clips && layer->act == QF_ACT_NONE) {
    layer->act = QF_ACT_FUNCTION;
    layer->act_op = n->op;
    layer->act_alpha = n->alpha;
    layer->act_lo = n->act_lo; /* of a Clip behind it */
    layer->act_hi = n->act_hi;
    layer->act_scale = codes->scale;
    layer->act_zero = codes->zero;
  } else if (layer && clips && layer->act != QF_ACT_FUNCTION &&
      same_quantization (codes, qf_graph_value (rw->g, y))) {
    qf_node_fuse_clip (layer, lo, hi);
  } else {
    qf_rewrite_set_inputs (n, 1, &x);
    qf_rewrite_set_out (rw, n, y);
    return;
  }
  qf_rewrite_set_out (rw, layer, y);
  qf_rewrite_drop (n);
}

/* What @q quantizes becomes an operator on codes where it can. */
static void
group (QfRewrite *rw, QfNode *q)
{
  int f = q->in[0], y = q->out;
  QfNode *p = qf_rewrite_maker (rw, f);
  int x[2] = { codes_of (rw, f), -1 };

  if (x[0] >= 0) {
    group_alone (rw, q, x[0]);
    return;
  }
  if (!p || qf_rewrite_uses (rw, f) != 1)
    return;
  x[0] = codes_of (rw, p->in[0]);
  if (x[0] < 0)
    return;
  switch (p->op) {
    case QF_OP_CONV:
    case QF_OP_GEMM:
      if (p->act == QF_ACT_FUNCTION || !qf_quantize_weights (rw, p, x[0], y))
        return;
      break;
    case QF_OP_ADD:
    case QF_OP_MUL:
      x[1] = codes_of (rw, p->in[1]);
      if (x[1] < 0)
        return;
      qf_rewrite_set_inputs (p, 2, x);
      qf_rewrite_set_out (rw, p, y);
      break;
    case QF_OP_GLOBAL_AVG_POOL:
    case QF_OP_AVERAGE_POOL:
      qf_rewrite_set_inputs (p, 1, x);
      qf_rewrite_set_out (rw, p, y);
      break;
    default:
      if (!qf_op_is_function (p->op))
        return;
      group_activation (rw, p, x[0], y);
      break;
  }
  qf_rewrite_drop (q);
}

/* A float output that is dequantized last becomes the codes. */
static void
give_codes_as_outputs (QfRewrite *rw)
{
  QfGraph *g = rw->g;

  for (guint i = 0; i < g->outputs->len; i++) {
    int out = g_array_index (g->outputs, int, i);
    int codes = codes_of (rw, out);

    if (codes < 0 || is_output (g, codes) || !qf_rewrite_maker (rw, codes))
      continue; /* another output already, or an input */
    swap_names (g, out, codes);
    g_array_index (g->outputs, int, i) = codes;
  }
  qf_rewrite_update (rw);
}

gboolean
qf_pass_quantize (QfRewrite *rw, GError **error)
{
  if (!put_scales_on_values (rw, error))
    return FALSE;
  merge_quantize (rw);
  raise_quantize (rw);
  sink_dequantize (rw);
  for (guint i = 0; i < rw->g->nodes->len; i++) {
    QfNode *n = qf_graph_node (rw->g, (int) i);

    if (n->out < 0)
      continue;
    for (int k = 0; k < n->n_in; k++)
      n->in[k] = qf_rewrite_resolve (rw, n->in[k]);
    if (n->op == QF_OP_QUANTIZE)
      group (rw, n);
  }
  qf_rewrite_update (rw);
  give_codes_as_outputs (rw);
  return TRUE;
}
