/* libqfuse: the trainer's layers from a graph's nodes.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A float graph's Conv, BatchNormalization and Relu become one layer; a fused
 * graph's convolution gets its batch norm anew. */
#include "train/conv-private.h"

#include <math.h>
#include <string.h>

typedef struct
{
  QfNet *net;
  const QfGraph *graph;
  int *blob_of;  /* value → blob, −1: none */
  int *readers;  /* value → number of nodes that read it */
  int *reader;   /* value → the last of them */
  gboolean *is_output;
  gboolean *done; /* node → absorbed */
} Maker;

static QfBlob *
new_blob (Maker *m, int value)
{
  const QfValue *v = qf_graph_value (m->graph, value);
  QfBlob *b = g_new0 (QfBlob, 1);

  b->top = 255;
  b->name = g_strdup (v->name);
  b->c = v->rank > 1 ? (int) v->dims[1] : 1;
  b->h = v->rank > 2 ? (int) v->dims[2] : 1;
  b->w = v->rank > 3 ? (int) v->dims[3] : 1;
  b->scale = v->scale > 0 ? v->scale : 1.0f / 64;
  b->zero = v->scale > 0 ? v->zero : 0;
  /* A quantized file's range is where fine-tuning starts from. */
  if (v->scale > 0) {
    b->range.lo = -(double) v->scale * v->zero;
    b->range.hi = (double) v->scale * (255 - v->zero);
    b->range.n = 1;
  }
  m->blob_of[value] = (int) m->net->blobs->len;
  g_ptr_array_add (m->net->blobs, b);
  return b;
}

/* The one node that reads @value, where there is one and it is @op. */
static QfNode *
only_reader (Maker *m, int value, QfOp op)
{
  QfNode *n;

  if (m->readers[value] != 1 || m->is_output[value])
    return NULL;
  n = qf_graph_node (m->graph, m->reader[value]);
  return n->op == op ? n : NULL;
}

/* Takes a Relu or Clip that reads @value into @l; returns the last value. */
static int
absorb_clip (Maker *m, QfLayer *l, int value)
{
  QfNode *n = only_reader (m, value, QF_OP_RELU);

  if (!n)
    n = only_reader (m, value, QF_OP_CLIP);
  if (!n)
    return value;
  l->clip = TRUE;
  l->clip_lo = n->op == QF_OP_RELU ? 0.0f : n->lo;
  l->clip_hi = n->op == QF_OP_RELU ? INFINITY : n->hi;
  m->done[m->reader[value]] = TRUE;
  return n->out;
}

static void
take_fused_clip (QfLayer *l, const QfNode *n)
{
  if (n->act != QF_ACT_CLIP)
    return;
  l->clip = TRUE;
  l->clip_lo = n->act_lo;
  l->clip_hi = n->act_hi;
}

static QfLayer *
new_layer (Maker *m, QfLayerKind kind, const QfNode *n, int n_in)
{
  QfLayer *l = g_new0 (QfLayer, 1);

  l->kind = kind;
  l->name = g_strdup (n->name);
  l->n_in = n_in;
  l->node = *n;
  l->node.name = NULL;
  l->node.in = NULL;
  l->node.act = QF_ACT_NONE;
  for (int i = 0; i < n_in; i++)
    l->in[i] = m->blob_of[n->in[i]];
  g_ptr_array_add (m->net->layers, l);
  return l;
}

static QfConvShape
shape_of (const QfBlob *x, const QfBlob *y, const QfNode *n)
{
  if (n->op == QF_OP_GEMM)
    return (QfConvShape){ x->h, x->w, x->c, 1, 1, y->c, x->h, x->w, 1, 1, 0,
      0, 1, 1, 1 };
  return (QfConvShape){ x->h, x->w, x->c, y->h, y->w, y->c,
    n->win.kernel[0], n->win.kernel[1], n->win.stride[0], n->win.stride[1],
    n->win.pad[0], n->win.pad[1], n->win.dilation[0], n->win.dilation[1],
    n->win.groups };
}

/* The value of weight (@o, @c, @t), from float32 or int8 in ONNX order. */
static float
weight_at (const QfValue *w, const QfConvShape *s, int o, int c, int t)
{
  int icg = s->in_c / s->groups, taps = s->kernel_h * s->kernel_w;
  gsize i = ((gsize) o * icg + c) * taps + t;

  if (w->dtype == QF_F32)
    return ((const float *) w->data)[i];
  return w->scales[o] * ((const gint8 *) w->data)[i];
}

static void
copy_weights (QfConvLayer *cv, const QfValue *w)
{
  const QfConvShape *s = &cv->shape;
  int icg = s->in_c / s->groups, taps = s->kernel_h * s->kernel_w;

  for (int o = 0; o < s->out_c; o++)
    for (int t = 0; t < taps; t++)
      for (int c = 0; c < icg; c++)
        cv->weight[(gsize) o * cv->k + t * icg + c] = weight_at (w, s, o, c, t);
}

static void
copy_bias (const QfConvLayer *cv, const QfValue *b, const QfValue *w, float s_x,
    float *to)
{
  for (int c = 0; c < cv->shape.out_c; c++)
    to[c] = b->dtype == QF_F32
        ? ((const float *) b->data)[c]
        : (float) ((const gint32 *) b->data)[c] * (s_x * w->scales[c]);
}

static void
take_batch_norm (Maker *m, QfConvLayer *cv, const QfNode *n)
{
  float *to[] = { cv->gamma, cv->beta, cv->run_mean, cv->run_var };

  cv->has_bn = TRUE;
  cv->epsilon = n->epsilon;
  for (int i = 0; i < 4; i++)
    memcpy (to[i], qf_graph_value (m->graph, n->in[1 + i])->data,
        sizeof (float) * cv->shape.out_c);
}

/* Takes a BatchNormalization that reads @value; returns the last value. */
static int
absorb_batch_norm (Maker *m, QfConvLayer *cv, int value)
{
  QfNode *n = only_reader (m, value, QF_OP_BATCH_NORM);

  if (!n)
    return value;
  take_batch_norm (m, cv, n);
  m->done[m->reader[value]] = TRUE;
  return n->out;
}

/* The layer's shape, from the nodes' values. */
static QfConvLayer *
new_conv (Maker *m, QfLayer *l, const QfNode *n)
{
  const QfValue *v = qf_graph_value (m->graph, n->out);
  QfConvLayer *cv = l->conv = g_new0 (QfConvLayer, 1);
  QfBlob y = { 0 };

  y.c = (int) v->dims[1];
  y.h = v->rank > 2 ? (int) v->dims[2] : 1;
  y.w = v->rank > 3 ? (int) v->dims[3] : 1;
  cv->shape = shape_of (qf_net_blob (m->net, l->in[0]), &y, n);
  cv->k = cv->shape.kernel_h * cv->shape.kernel_w * cv->shape.in_c
      / cv->shape.groups;
  cv->epsilon = 1e-3f;
  cv->top = 127;
  qf_conv_alloc (cv);
  return cv;
}

/* A function that was fused into @n, as a layer of its own: the convolution's
 * blob has the quantization before the table, @value that of the result. */
static void
make_fused_function (Maker *m, QfLayer *conv, const QfNode *n, int value)
{
  QfBlob *between = qf_net_blob (m->net, conv->out);
  QfNode f = *n;
  QfLayer *l;

  f.op = n->act_op;
  f.alpha = n->act_alpha;
  f.in = &value;
  g_free (between->name);
  between->name = g_strconcat (n->name, ".sum", NULL);
  between->scale = n->act_scale;
  between->zero = n->act_zero;
  between->range = (QfRange){ -(double) n->act_scale * n->act_zero,
    (double) n->act_scale * (255 - n->act_zero), 1 };
  l = new_layer (m, QF_LAYER_FUNCTION, &f, 1);
  g_free (l->name);
  l->name = g_strconcat (n->name, ".function", NULL);
  l->out = (int) m->net->blobs->len;
  if (isfinite (n->act_lo) || isfinite (n->act_hi)) {
    l->clip = TRUE;
    l->clip_lo = n->act_lo;
    l->clip_hi = n->act_hi;
  }
  new_blob (m, value);
}

static gboolean
make_conv (Maker *m, const QfNode *n, GError **error)
{
  const QfValue *w = qf_graph_value (m->graph, n->in[1]);
  int bias = n->n_in > 2 ? n->in[2] : -1, value = n->out;
  float s_x;
  QfLayer *l;
  QfConvLayer *cv;

  if (!w->data) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "Node %s (%s) cannot be trained: its weights are computed, not stored",
        n->name, qf_op_name (n->op));
    return FALSE;
  }
  l = new_layer (m, QF_LAYER_CONV, n, 1);
  cv = new_conv (m, l, n);
  s_x = qf_net_blob (m->net, l->in[0])->scale;
  copy_weights (cv, w);
  cv->top = w->bits == 4 ? 7 : 127;
  take_fused_clip (l, n);
  value = absorb_batch_norm (m, cv, value);
  if (bias >= 0) {
    g_autofree float *b = g_new (float, cv->shape.out_c);

    copy_bias (cv, qf_graph_value (m->graph, bias), w, s_x, b);
    for (int c = 0; c < cv->shape.out_c; c++)
      if (cv->has_bn) /* batch norm takes it off again, with the mean */
        cv->run_mean[c] -= b[c];
      else
        cv->beta[c] = b[c];
  }
  if (w->dtype != QF_F32 && !m->is_output[value]) {
    cv->has_bn = TRUE; /* was fused into the file; made anew */
    cv->adopt = TRUE;
  }
  value = absorb_clip (m, l, value);
  l->out = (int) m->net->blobs->len;
  new_blob (m, value);
  if (n->act == QF_ACT_FUNCTION)
    make_fused_function (m, l, n, value);
  return TRUE;
}

/* A batch norm that no convolution makes: a depthwise 1x1 of weights 1. */
static gboolean
make_batch_norm (Maker *m, int index, GError **error)
{
  const QfNode *n = qf_graph_node (m->graph, index);
  int value, x = n->in[0];
  QfNode conv = *n;
  QfLayer *l;
  QfConvLayer *cv;

  conv.op = QF_OP_CONV;
  conv.win.groups = qf_net_blob (m->net, m->blob_of[x])->c;
  l = new_layer (m, QF_LAYER_CONV, &conv, 1);
  cv = new_conv (m, l, &conv);
  for (int c = 0; c < cv->shape.out_c; c++)
    cv->weight[c] = 1;
  take_batch_norm (m, cv, n);
  value = absorb_clip (m, l, n->out);
  l->out = (int) m->net->blobs->len;
  new_blob (m, value);
  return TRUE;
}

static gboolean
cannot_train (const QfNode *n, const char *why, GError **error)
{
  g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
      "Node %s (%s) cannot be trained: %s", n->name, qf_op_name (n->op), why);
  return FALSE;
}

/* Add and Mul: the operand of one value a channel comes second. */
static void
order_operands (Maker *m, QfLayer *l, const QfNode *n)
{
  const QfValue *a = qf_graph_value (m->graph, n->in[0]);
  const QfValue *b = qf_graph_value (m->graph, n->in[1]);

  if (qf_value_elements (a) < qf_value_elements (b)) {
    int first = l->in[0];

    l->in[0] = l->in[1];
    l->in[1] = first;
  }
}

static gboolean
make_simple (Maker *m, const QfNode *n, GError **error)
{
  const QfBlob *x = qf_net_blob (m->net, m->blob_of[n->in[0]]);
  int value = n->out;
  QfLayerKind kind;
  QfLayer *l;

  if (!qf_simple_kind (n->op, &kind))
    return cannot_train (n, "there is no gradient for this operator", error);
  if (n->n_in > QF_MAX_INPUTS)
    return cannot_train (n, "it has too many inputs", error);
  if (kind == QF_LAYER_CONCAT && n->axis != 1)
    return cannot_train (n, "it does not join channels", error);
  for (int i = 0; i < n->n_in && kind != QF_LAYER_FUNCTION; i++) {
    const QfBlob *b = qf_net_blob (m->net, m->blob_of[n->in[i]]);

    if (qf_graph_value (m->graph, n->in[i])->rank < 4 && b->h * b->w > 1)
      return cannot_train (n, "it reads a flattened picture", error);
  }
  l = new_layer (m, kind, n, n->n_in);
  if (kind == QF_LAYER_GLOBAL_AVG)
    l->node.win = (QfWindow){ { x->h, x->w }, { 1, 1 }, { 1, 1 },
      { 0, 0, 0, 0 }, 1 };
  take_fused_clip (l, n);
  if (kind == QF_LAYER_ADD || kind == QF_LAYER_MUL) {
    order_operands (m, l, n);
    value = absorb_clip (m, l, value);
  }
  l->out = (int) m->net->blobs->len;
  new_blob (m, value);
  return TRUE;
}

static gboolean
make_layer (Maker *m, int index, GError **error)
{
  QfNode *n = qf_graph_node (m->graph, index);

  if (m->done[index])
    return TRUE;
  for (int i = 0; i < n->n_in; i++)
    if (n->in[i] >= 0 && m->blob_of[n->in[i]] < 0
        && !qf_graph_value (m->graph, n->in[i])->data) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
          "Node %s (%s) cannot be trained: its input is not an activation",
          n->name, qf_op_name (n->op));
      return FALSE;
    }
  switch (n->op) {
    case QF_OP_CONV:
    case QF_OP_GEMM:
      return make_conv (m, n, error);
    case QF_OP_BATCH_NORM:
      return make_batch_norm (m, index, error);
    case QF_OP_CLIP: /* with open bounds: from one scale to another */
      if (isfinite (n->lo) || isfinite (n->hi))
        return make_simple (m, n, error);
      /* fallthrough */
    case QF_OP_FLATTEN:
    case QF_OP_QUANTIZE:   /* a blob's scale is its own */
    case QF_OP_DEQUANTIZE: /* of the input: its blob has scale and zero */
      m->blob_of[n->out] = m->blob_of[n->in[0]];
      return TRUE;
    default:
      return make_simple (m, n, error);
  }
}

/* The input's scale stands in the DequantizeLinear that reads it. */
static void
make_input (Maker *m)
{
  int value = g_array_index (m->graph->inputs, int, 0);
  QfBlob *b = new_blob (m, value);
  QfNode *dq = only_reader (m, value, QF_OP_DEQUANTIZE);

  m->net->input = 0;
  if (!dq) {
    if (qf_graph_value (m->graph, value)->dtype == QF_F32)
      b->scale = 1.0f / 255;
    return;
  }
  b->scale = *(const float *) qf_graph_value (m->graph, dq->in[1])->data;
  b->zero = dq->n_in > 2 && dq->in[2] >= 0
      ? *(const guint8 *) qf_graph_value (m->graph, dq->in[2])->data
      : 0;
}

static void
count_readers (Maker *m)
{
  const QfGraph *g = m->graph;

  for (guint i = 0; i < g->values->len; i++)
    m->blob_of[i] = -1;
  for (guint i = 0; i < g->nodes->len; i++) {
    QfNode *n = qf_graph_node (g, (int) i);

    for (int j = 0; j < n->n_in; j++)
      if (n->in[j] >= 0) {
        m->readers[n->in[j]]++;
        m->reader[n->in[j]] = (int) i;
      }
  }
  for (guint i = 0; i < g->outputs->len; i++)
    m->is_output[g_array_index (g->outputs, int, i)] = TRUE;
}

gboolean
qf_net_make_layers (QfNet *net, const QfGraph *g, GError **error)
{
  g_autofree int *ints = g_new0 (int, 3 * g->values->len);
  g_autofree gboolean *flags = g_new0 (gboolean, g->values->len
      + g->nodes->len);
  Maker m = { net, g, ints, ints + g->values->len, ints + 2 * g->values->len,
    flags, flags + g->values->len };

  count_readers (&m);
  make_input (&m);
  for (guint i = 0; i < g->nodes->len; i++)
    if (!make_layer (&m, (int) i, error))
      return FALSE;
  for (guint i = 0; i < g->outputs->len; i++) {
    int blob = m.blob_of[g_array_index (g->outputs, int, i)];

    if (blob <= 0) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
          "The network has an output that nothing computes");
      return FALSE;
    }
    /* The output keeps the name that heads look for. */
    g_free (qf_net_blob (net, blob)->name);
    qf_net_blob (net, blob)->name = g_strdup (
        qf_graph_value (g, g_array_index (g->outputs, int, i))->name);
    g_array_append_val (net->outputs, blob);
  }
  return TRUE;
}
