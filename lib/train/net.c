/* libqfuse: the trainer's network: made from a graph, run, improved.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/net.h"
#include "train/conv-private.h"

#include <math.h>
#include <string.h>

/* Making layers from nodes --------------------------------------------------- */

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
take_fused_activation (QfLayer *l, const QfNode *n)
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
  l->win = n->win;
  l->factor_h = n->scale_h;
  l->factor_w = n->scale_w;
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
copy_bias (QfConvLayer *cv, const QfValue *b, const QfValue *w, float s_x)
{
  for (int c = 0; c < cv->shape.out_c; c++)
    cv->beta[c] = b->dtype == QF_F32
        ? ((const float *) b->data)[c]
        : (float) ((const gint32 *) b->data)[c] * (s_x * w->scales[c]);
}

static void
alloc_conv (QfConvLayer *cv)
{
  int oc = cv->shape.out_c;
  gsize w = (gsize) oc * cv->k;

  cv->weight = g_new0 (float, w);
  cv->weight_grad = g_new0 (float, w);
  cv->weight_mom = g_new0 (float, w);
  cv->real_weight = g_new0 (float, w);
  cv->weight_t = g_new0 (float, w);
  cv->codes = g_new0 (gint8, w);
  cv->codes_onnx = g_new0 (gint8, w);
  float **per_channel[] = { &cv->gamma, &cv->gamma_grad, &cv->gamma_mom,
    &cv->beta, &cv->beta_grad, &cv->beta_mom, &cv->run_mean, &cv->run_var,
    &cv->s_w, &cv->mean, &cv->rstd, &cv->fused_scale, &cv->mult, &cv->g,
    &cv->bias };
  for (gsize i = 0; i < G_N_ELEMENTS (per_channel); i++)
    *per_channel[i] = g_new0 (float, oc);
  cv->sign = g_new0 (gint8, oc);
  cv->bias_code = g_new0 (gint32, oc);
  for (int c = 0; c < oc; c++) {
    cv->gamma[c] = 1.0f;
    cv->run_var[c] = 1.0f;
  }
}

static void
free_conv (QfConvLayer *cv)
{
  if (!cv)
    return;
  gpointer all[] = { cv->weight, cv->weight_grad, cv->weight_mom,
    cv->real_weight, cv->weight_t, cv->codes, cv->codes_onnx, cv->gamma,
    cv->gamma_grad, cv->gamma_mom, cv->beta, cv->beta_grad, cv->beta_mom,
    cv->run_mean, cv->run_var, cv->s_w, cv->mean, cv->rstd, cv->fused_scale,
    cv->mult, cv->g, cv->bias, cv->sign, cv->bias_code, cv->acc, cv->y };
  for (gsize i = 0; i < G_N_ELEMENTS (all); i++)
    g_free (all[i]);
  g_aligned_free (cv->packed);
  g_free (cv);
}

/* Takes a BatchNormalization that reads @value; returns the last value. */
static int
absorb_batch_norm (Maker *m, QfConvLayer *cv, int value)
{
  QfNode *n = only_reader (m, value, QF_OP_BATCH_NORM);
  float *to[] = { cv->gamma, cv->beta, cv->run_mean, cv->run_var };

  if (!n)
    return value;
  cv->has_bn = TRUE;
  cv->epsilon = n->epsilon;
  for (int i = 0; i < 4; i++)
    memcpy (to[i], qf_graph_value (m->graph, n->in[1 + i])->data,
        sizeof (float) * cv->shape.out_c);
  m->done[m->reader[value]] = TRUE;
  return n->out;
}

static gboolean
make_conv (Maker *m, const QfNode *n, GError **error)
{
  const QfValue *w = qf_graph_value (m->graph, n->in[1]);
  int bias = n->n_in > 2 ? n->in[2] : -1, value = n->out;
  QfLayer *l;
  QfConvLayer *cv;
  QfBlob *x;

  if (!w->data) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "Node %s cannot be trained: its weights are computed, not stored",
        n->name);
    return FALSE;
  }
  l = new_layer (m, QF_LAYER_CONV, n, 1);
  x = qf_net_blob (m->net, l->in[0]);
  cv = l->conv = g_new0 (QfConvLayer, 1);
  {
    QfBlob y = { 0 };
    const QfValue *v = qf_graph_value (m->graph, n->out);

    y.c = (int) v->dims[1];
    y.h = v->rank > 2 ? (int) v->dims[2] : 1;
    y.w = v->rank > 3 ? (int) v->dims[3] : 1;
    cv->shape = shape_of (x, &y, n);
  }
  cv->k = cv->shape.kernel_h * cv->shape.kernel_w * cv->shape.in_c
      / cv->shape.groups;
  cv->epsilon = 1e-3f;
  alloc_conv (cv);
  copy_weights (cv, w);
  take_fused_activation (l, n);
  value = absorb_batch_norm (m, cv, value);
  if (bias >= 0 && cv->has_bn) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "Node %s cannot be trained: it has a bias before a batch norm",
        n->name);
    return FALSE;
  }
  if (bias >= 0)
    copy_bias (cv, qf_graph_value (m->graph, bias), w, x->scale);
  if (w->dtype != QF_F32 && !m->is_output[value]) {
    cv->has_bn = TRUE; /* was fused into the file; made anew */
    cv->adopt = TRUE;
  }
  value = absorb_clip (m, l, value);
  l->out = (int) m->net->blobs->len;
  new_blob (m, value);
  return TRUE;
}

static gboolean
make_simple (Maker *m, const QfNode *n, GError **error)
{
  static const struct
  {
    QfOp op;
    QfLayerKind kind;
  } kinds[] = {
    { QF_OP_ADD, QF_LAYER_ADD },
    { QF_OP_CONCAT, QF_LAYER_CONCAT },
    { QF_OP_MAX_POOL, QF_LAYER_MAX_POOL },
    { QF_OP_GLOBAL_AVG_POOL, QF_LAYER_GLOBAL_AVG },
    { QF_OP_RESIZE_NEAREST, QF_LAYER_RESIZE },
    { QF_OP_SIGMOID, QF_LAYER_SIGMOID },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++) {
    QfLayer *l;
    int value = n->out;

    if (kinds[i].op != n->op)
      continue;
    if (n->n_in > QF_MAX_INPUTS
        || (n->op == QF_OP_CONCAT && n->axis != 1))
      break;
    l = new_layer (m, kinds[i].kind, n, n->n_in);
    take_fused_activation (l, n);
    if (n->op == QF_OP_ADD)
      value = absorb_clip (m, l, value);
    l->out = (int) m->net->blobs->len;
    new_blob (m, value);
    return TRUE;
  }
  g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
      "Node %s (%s) cannot be trained", n->name, qf_op_name (n->op));
  return FALSE;
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
          "Node %s cannot be trained: its input is not an activation",
          n->name);
      return FALSE;
    }
  switch (n->op) {
    case QF_OP_CONV:
    case QF_OP_GEMM:
      return make_conv (m, n, error);
    case QF_OP_FLATTEN:
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
  if (!dq)
    return;
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

static gboolean
make_layers (QfNet *net, const QfGraph *g, GError **error)
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

/* Memory ---------------------------------------------------------------------- */

static gsize
conv_scratch (const QfNet *net, const QfConvLayer *cv)
{
  const QfConvShape *s = &cv->shape;
  gsize padded = (gsize) qf_conv_padded_h (s) * qf_conv_padded_w (s) * s->in_c;
  gsize back = 2 * padded + 2 * (gsize) s->out_w * s->out_c
      + 2 * (gsize) s->out_c * cv->k;
  gsize sums = (gsize) (2 * 64 + 2) * s->out_c;
  gsize fwd = net->kernels->conv_u8s8_scratch_size (s) / sizeof (float) + 1;

  return MAX (MAX (back, sums), fwd);
}

static void
alloc_buffers (QfNet *net)
{
  int workers = qf_pool_threads (net->pool);

  for (guint i = 0; i < net->blobs->len; i++) {
    QfBlob *b = qf_net_blob (net, (int) i);
    gsize n = (gsize) net->batch * b->h * b->w * b->c;

    if (net->quantize)
      b->codes = g_malloc0 (n);
    else
      b->real = g_new0 (float, n);
    if ((int) i != net->input)
      b->grad = g_new0 (float, n);
  }
  net->scratch_floats = 1;
  for (guint i = 0; i < net->layers->len; i++) {
    QfConvLayer *cv = qf_net_layer (net, (int) i)->conv;
    gsize n;

    if (!cv)
      continue;
    n = (gsize) net->batch * cv->shape.out_h * cv->shape.out_w
        * cv->shape.out_c;
    if (net->quantize) {
      cv->acc = g_new0 (gint32, n);
      cv->packed = g_aligned_alloc0 (1,
          net->kernels->conv_s8_packed_size (&cv->shape), 64);
    } else {
      cv->y = g_new0 (float, n);
    }
    net->scratch_floats = MAX (net->scratch_floats, conv_scratch (net, cv));
  }
  net->scratch = g_new0 (float *, workers);
  for (int i = 0; i < workers; i++)
    net->scratch[i] = g_aligned_alloc0 (net->scratch_floats, sizeof (float),
        64);
}

static void
free_blob (gpointer data)
{
  QfBlob *b = data;

  g_free (b->name);
  g_free (b->codes);
  g_free (b->real);
  g_free (b->grad);
  g_free (b);
}

static void
free_layer (gpointer data)
{
  QfLayer *l = data;

  g_free (l->name);
  free_conv (l->conv);
  g_free (l);
}

QfNet *
qf_net_new (const QfGraph *graph, int batch, gboolean quantize, QfPool *pool,
    GError **error)
{
  QfNet *net = g_new0 (QfNet, 1);

  net->blobs = g_ptr_array_new_with_free_func (free_blob);
  net->layers = g_ptr_array_new_with_free_func (free_layer);
  net->outputs = g_array_new (FALSE, FALSE, sizeof (int));
  net->batch = batch;
  net->quantize = quantize;
  net->bound_relu = TRUE;
  net->pool = pool;
  net->kernels = qf_kernels ();
  net->grad_kernels = qf_grad_kernels ();
  if (!make_layers (net, graph, error)) {
    qf_net_free (net);
    return NULL;
  }
  alloc_buffers (net);
  return net;
}

void
qf_net_free (QfNet *net)
{
  if (!net)
    return;
  for (int i = 0; net->scratch && i < qf_pool_threads (net->pool); i++)
    g_aligned_free (net->scratch[i]);
  g_free (net->scratch);
  g_ptr_array_unref (net->blobs);
  g_ptr_array_unref (net->layers);
  g_array_unref (net->outputs);
  g_free (net);
}

/* Running ------------------------------------------------------------------------ */

/* Standard normal, by the polar method. */
static double
normal (QfRng *rng)
{
  for (;;) {
    double u = 2 * qf_rng_uniform (rng) - 1, v = 2 * qf_rng_uniform (rng) - 1;
    double s = u * u + v * v;

    if (s > 0 && s < 1)
      return u * sqrt (-2 * log (s) / s);
  }
}

void
qf_net_init (QfNet *net, QfRng *rng)
{
  for (guint i = 0; i < net->layers->len; i++) {
    QfConvLayer *cv = qf_net_layer (net, (int) i)->conv;
    double sigma;

    if (!cv)
      continue;
    /* He et al., Delving deep into rectifiers, 2015; small for the outputs. */
    sigma = cv->has_bn ? sqrt (2.0 / cv->k) : 0.01;
    for (gsize j = 0; j < (gsize) cv->shape.out_c * cv->k; j++)
      cv->weight[j] = (float) (sigma * normal (rng));
  }
}

void
qf_blob_set_scale (QfBlob *b)
{
  double lo = MIN (b->range.lo, 0.0), hi = MAX (b->range.hi, 0.0);

  /* An all-zero blob still needs a scale; 2^-20 is far under any real one. */
  b->scale = (float) MAX ((hi - lo) / 255.0, 0x1p-20);
  b->zero = (int) CLAMP (rint (-lo / (double) b->scale), 0.0, 255.0);
}

void
qf_blob_update_range (QfBlob *b, double lo, double hi)
{
  double decay = MIN (0.99, (double) b->range.n / (double) (b->range.n + 1));

  b->range.lo = decay * b->range.lo + (1 - decay) * lo;
  b->range.hi = decay * b->range.hi + (1 - decay) * hi;
  b->range.n++;
  qf_blob_set_scale (b);
}

void
qf_net_forward (QfNet *net, int n, gboolean train)
{
  for (guint i = 0; i < net->layers->len; i++) {
    QfLayer *l = qf_net_layer (net, (int) i);

    if (l->kind == QF_LAYER_CONV) {
      qf_conv_prepare (net, l);
      qf_conv_forward (net, l, n, train);
    } else {
      qf_simple_forward (net, l, n, train);
    }
  }
}

static gboolean
is_output (const QfNet *net, int blob)
{
  for (guint i = 0; i < net->outputs->len; i++)
    if (g_array_index (net->outputs, int, i) == blob)
      return TRUE;
  return FALSE;
}

void
qf_net_backward (QfNet *net, int n)
{
  for (guint i = 0; i < net->blobs->len; i++) {
    QfBlob *b = qf_net_blob (net, (int) i);

    if (b->grad && !is_output (net, (int) i))
      memset (b->grad, 0, sizeof (float) * n * b->h * b->w * b->c);
  }
  for (int i = (int) net->layers->len - 1; i >= 0; i--) {
    QfLayer *l = qf_net_layer (net, i);

    if (l->kind == QF_LAYER_CONV)
      qf_conv_backward (net, l, n);
    else
      qf_simple_backward (net, l, n);
  }
}

/* SGD with Nesterov's momentum, as in Sutskever et al., On the importance of
 * initialization and momentum in deep learning, 2013. */
static void
sgd (float *w, const float *grad, float *mom, gsize n, float rate,
    float momentum, float decay)
{
  for (gsize i = 0; i < n; i++) {
    float g = grad[i] + decay * w[i];

    mom[i] = momentum * mom[i] + g;
    w[i] -= rate * (g + momentum * mom[i]);
  }
}

void
qf_net_sgd (QfNet *net, double rate, double momentum, double decay)
{
  for (guint i = 0; i < net->layers->len; i++) {
    QfConvLayer *cv = qf_net_layer (net, (int) i)->conv;
    gsize oc;

    if (!cv)
      continue;
    oc = (gsize) cv->shape.out_c;
    sgd (cv->weight, cv->weight_grad, cv->weight_mom, oc * cv->k,
        (float) rate, (float) momentum, (float) decay);
    sgd (cv->beta, cv->beta_grad, cv->beta_mom, oc, (float) rate,
        (float) momentum, 0.0f);
    if (cv->has_bn)
      sgd (cv->gamma, cv->gamma_grad, cv->gamma_mom, oc, (float) rate,
          (float) momentum, 0.0f);
  }
}

static gboolean
all_finite (const float *v, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (!isfinite (v[i]))
      return FALSE;
  return TRUE;
}

gboolean
qf_net_finite (const QfNet *net)
{
  for (guint i = 0; i < net->layers->len; i++) {
    const QfConvLayer *cv = qf_net_layer (net, (int) i)->conv;

    if (cv
        && (!all_finite (cv->weight, (gsize) cv->shape.out_c * cv->k)
            || !all_finite (cv->gamma, (gsize) cv->shape.out_c)
            || !all_finite (cv->beta, (gsize) cv->shape.out_c)
            || !all_finite (cv->run_mean, (gsize) cv->shape.out_c)
            || !all_finite (cv->run_var, (gsize) cv->shape.out_c)))
      return FALSE;
  }
  return TRUE;
}
