/* What qf_graph_fuse() makes of a graph, and that it means the same.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model-nets.h"
#include "model-run.h"

#include <string.h>

/* ---- quantized nets ----------------------------------------------------- */

/* Weights or bias of @n elements as codes under DequantizeLinear; powers of two
 * as scales. */
static int
quantized_constant (QfGraph *g, QfRng *rng, const char *name, int rank,
    const gint64 *dims, QfDType type, const float *scales, int n_scales)
{
  g_autofree char *codes_name = g_strconcat (name, "_q", NULL);
  g_autofree char *scale_name = g_strconcat (name, "_scale", NULL);
  g_autofree char *zero_name = g_strconcat (name, "_zero", NULL);
  gint64 n = 1, one = n_scales;
  g_autofree guint8 *zeros = g_malloc0 ((gsize) n_scales * 4);
  g_autofree gint32 *wide = NULL;
  g_autofree gint8 *codes = NULL;
  int in[3];
  QfNode *dq;

  for (int i = 0; i < rank; i++)
    n *= dims[i];
  wide = g_new (gint32, n);
  codes = g_new (gint8, n);
  for (gint64 i = 0; i < n; i++) {
    wide[i] = (gint32) qf_rng_below (rng, 255) - 127;
    codes[i] = (gint8) (type == QF_U8 ? wide[i] + 128 : wide[i]);
  }
  if (type == QF_U8)
    memset (zeros, 128, (gsize) n_scales);
  in[0] = qf_graph_add_constant (
      g, codes_name, type, rank, dims, type == QF_I32 ? (void *) wide : codes);
  in[1] =
      qf_graph_add_constant (g, scale_name, QF_F32, n_scales > 1, &one, scales);
  in[2] = qf_graph_add_constant (g, zero_name, type, n_scales > 1, &one, zeros);
  dq = qf_graph_add_node (g, QF_OP_DEQUANTIZE, name, 3, in);
  dq->axis = 0;
  return dq->out;
}

static float
power (QfRng *rng, int lo, int hi)
{
  return ldexpf (1, lo + (int) qf_rng_below (rng, (guint32) (hi - lo + 1)));
}

typedef enum
{
  BIAS_NONE,
  BIAS_CODES,
  BIAS_FLOAT
} Bias;

/* Conv (k > 0) or Gemm that reads @x, dequantized from @scale_x. */
static QfNode *
quantized_layer (QfGraph *g, QfRng *rng, const char *name, int x, float scale_x,
    int ic, int oc, int k, QfDType type, gboolean per_channel, Bias bias)
{
  g_autofree char *wn = g_strconcat (name, "_w", NULL);
  g_autofree char *bn = g_strconcat (name, "_b", NULL);
  g_autofree float *scales = g_new (float, oc), *kb = g_new (float, oc);
  gint64 dims[4] = { oc, ic, k, k };
  int in[3] = { x, -1, -1 };
  QfNode *n;

  for (int c = 0; c < oc; c++) {
    scales[c] = per_channel || c == 0 ? power (rng, -7, -4) : scales[0];
    kb[c] = scale_x * scales[c];
  }
  in[1] = quantized_constant (
      g, rng, wn, k ? 4 : 2, dims, type, scales, per_channel ? oc : 1);
  if (bias == BIAS_CODES) {
    in[2] = quantized_constant (
        g, rng, bn, 1, dims, QF_I32, kb, per_channel ? oc : 1);
  } else if (bias == BIAS_FLOAT) {
    for (int c = 0; c < oc; c++)
      kb[c] *= (float) ((int) qf_rng_below (rng, 4001) - 2000);
    in[2] = qf_graph_add_constant (g, bn, QF_F32, 1, dims, kb);
  }
  n = qf_graph_add_node (
      g, k ? QF_OP_CONV : QF_OP_GEMM, name, bias == BIAS_NONE ? 2 : 3, in);
  for (int i = 0; i < 4 && k; i++)
    n->win.pad[i] = k / 2;
  return n;
}

static QfNode *
find_node (const QfGraph *g, const char *name)
{
  for (guint i = 0; i < g->nodes->len; i++)
    if (strcmp (qf_graph_node (g, (int) i)->name, name) == 0)
      return qf_graph_node (g, (int) i);
  return NULL;
}

static int
count_op (const QfGraph *g, QfOp op)
{
  int n = 0;

  for (guint i = 0; i < g->nodes->len; i++)
    n += qf_graph_node (g, (int) i)->op == op;
  return n;
}

/* ---- what graph.h promises of a fused graph ----------------------------- */

static void
assert_promises (const QfGraph *g)
{
  g_autofree guint8 *made = g_malloc0 (g->values->len);

  for (guint i = 0; i < g->inputs->len; i++)
    made[g_array_index (g->inputs, int, i)] = TRUE;
  for (guint i = 0; i < g->values->len; i++) {
    const QfValue *v = qf_graph_value (g, (int) i);

    g_assert_cmpint (v->rank, >=, 0);
    made[i] |= v->data != NULL;
    if (!v->data) {
      g_assert_true (v->dtype == QF_F32 || v->dtype == QF_U8);
      g_assert_true ((v->dtype == QF_U8) == (v->scale > 0));
    }
  }
  for (guint i = 0; i < g->nodes->len; i++) {
    const QfNode *n = qf_graph_node (g, (int) i);
    const QfValue *y = qf_graph_value (g, n->out);
    const QfValue *x = qf_graph_value (g, n->in[0]);
    gboolean layer = n->op == QF_OP_CONV || n->op == QF_OP_GEMM;
    float scale;
    int zero;

    g_assert_false (made[n->out]);
    made[n->out] = TRUE;
    for (int k = 0; k < n->n_in; k++)
      g_assert_true (n->in[k] < 0 || made[n->in[k]]);
    if (n->act == QF_ACT_CLIP)
      g_assert_true (layer || n->op == QF_OP_ADD || n->op == QF_OP_MUL ||
          n->op == QF_OP_AVERAGE_POOL || n->op == QF_OP_GLOBAL_AVG_POOL ||
          qf_op_is_function (n->op));
    if (n->act == QF_ACT_FUNCTION)
      g_assert_true (layer && (y->dtype == QF_F32 || n->act_scale > 0));
    if (n->op == QF_OP_QUANTIZE || n->op == QF_OP_DEQUANTIZE) {
      const QfValue *codes = n->op == QF_OP_QUANTIZE ? y : x;

      g_assert_true (qf_node_quantization (g, n, &scale, &zero));
      g_assert_cmpint (codes->dtype, ==, QF_U8);
      g_assert_cmpfloat (scale, ==, codes->scale);
      g_assert_cmpint (zero, ==, codes->zero);
      g_assert_null (x->data);
      continue;
    }
    g_assert_cmpint (x->dtype, ==, y->dtype);
    if (layer) {
      const QfValue *w = qf_graph_value (g, n->in[1]);
      const QfValue *b =
          n->n_in > 2 && n->in[2] >= 0 ? qf_graph_value (g, n->in[2]) : NULL;

      g_assert_cmpint (w->dtype, ==, y->dtype == QF_U8 ? QF_I8 : QF_F32);
      g_assert_true ((w->scales != NULL) == (y->dtype == QF_U8));
      if (b)
        g_assert_cmpint (b->dtype, ==, y->dtype == QF_U8 ? QF_I32 : QF_F32);
      continue;
    }
    for (int k = 1; k < n->n_in; k++)
      g_assert_true (n->op == QF_OP_BATCH_NORM ||
          qf_graph_value (g, n->in[k])->dtype == y->dtype);
    if (y->dtype == QF_U8 &&
        (n->op == QF_OP_CONCAT || n->op == QF_OP_MAX_POOL ||
            n->op == QF_OP_RESIZE_NEAREST || n->op == QF_OP_FLATTEN))
      for (int k = 0; k < n->n_in; k++) {
        g_assert_cmpfloat (qf_graph_value (g, n->in[k])->scale, ==, y->scale);
        g_assert_cmpint (qf_graph_value (g, n->in[k])->zero, ==, y->zero);
      }
  }
}

/* Fuses a copy of @g and compares the outputs on random input; @tolerance is
 * relative to 1 + |x|. Returns the fused graph. */
static QfGraph *
fuse_and_compare (QfGraph *g, double tolerance, guint64 seed)
{
  g_autoptr (GError) error = NULL;
  QfRng rng = { seed };
  QfGraph *f;
  const QfValue *x;
  g_autofree double *input = NULL;
  double **a, **b;

  qf_graph_validate (g, &error);
  g_assert_no_error (error);
  f = qf_graph_copy (g);
  qf_graph_fuse (f, &error);
  g_assert_no_error (error);
  assert_promises (f);
  x = qf_graph_value (g, g_array_index (g->inputs, int, 0));
  input = g_new (double, qf_value_elements (x));
  for (gint64 i = 0; i < qf_value_elements (x); i++)
    input[i] = x->dtype == QF_U8
        ? qf_rng_below (&rng, 256)
        : ((double) qf_rng_below (&rng, 256) - 128) / 64;
  a = run_graph (g, input);
  b = run_graph (f, input);
  g_assert_cmpuint (g->outputs->len, ==, f->outputs->len);
  for (guint o = 0; o < g->outputs->len; o++) {
    const QfValue *u = qf_graph_value (g, g_array_index (g->outputs, int, o));
    const QfValue *v = qf_graph_value (f, g_array_index (f->outputs, int, o));
    gboolean raw = u->dtype == QF_U8;

    g_assert_cmpstr (u->name, ==, v->name);
    g_assert_cmpint (qf_value_elements (u), ==, qf_value_elements (v));
    for (gint64 i = 0; i < qf_value_elements (u); i++) {
      double p = run_output (g, a, o, i);
      double q = raw ? b[g_array_index (f->outputs, int, o)][i]
                     : run_output (f, b, o, i);

      if (fabs (p - q) > tolerance * (1 + fabs (p)))
        g_error ("seed %" G_GUINT64_FORMAT ": output '%s' element %d: %.9g "
                 "before, %.9g after fusing",
            seed, u->name, (int) i, p, q);
    }
  }
  run_free (g, a);
  run_free (f, b);
  return f;
}

/* ---- float -------------------------------------------------------------- */

static void
test_float (void)
{
  g_autoptr (QfGraph) g = net_float ();
  g_autoptr (QfGraph) f = fuse_and_compare (g, 1e-5, 1);
  const QfNode *n;

  g_assert_cmpuint (f->nodes->len, ==, 10);
  g_assert_cmpint (count_op (f, QF_OP_BATCH_NORM), ==, 0);
  n = find_node (f, "conv1");
  g_assert_cmpint (n->act, ==, QF_ACT_CLIP);
  g_assert_cmpfloat (n->act_lo, ==, 0);
  g_assert_true (isinf (n->act_hi));
  n = find_node (f, "conv2");
  g_assert_cmpint (n->act, ==, QF_ACT_CLIP);
  g_assert_cmpfloat (n->act_hi, ==, 6);
  g_assert_cmpint (find_node (f, "conv3")->act, ==, QF_ACT_FUNCTION);
  g_assert_null (find_node (f, "map"));
  g_assert_cmpstr (
      qf_graph_value (f, g_array_index (f->outputs, int, 0))->name, ==, "map");
}

/* Where a convolution is read twice nothing may be folded into it. */
static void
test_shared (void)
{
  g_autoptr (QfGraph) g = qf_graph_new (), f = NULL;
  QfNode *conv, *bn, *relu;

  conv = net_conv (g, "conv", net_input (g, QF_F32, 2, 5, 5), 2, 4, 3, 1, 1);
  bn = net_batch_norm (g, "bn", conv->out, 4);
  relu = net_unary (g, QF_OP_RELU, "relu", bn->out);
  net_output (g, relu->out);
  net_output (g, conv->out);
  f = fuse_and_compare (g, 1e-5, 2);
  g_assert_cmpuint (f->nodes->len, ==, 2);
  bn = find_node (f, "bn"); /* a depthwise convolution of its own */
  g_assert_cmpint (bn->op, ==, QF_OP_CONV);
  g_assert_cmpint (bn->win.groups, ==, 4);
  g_assert_cmpint (bn->act, ==, QF_ACT_CLIP);
  g_assert_cmpint (find_node (f, "conv")->act, ==, QF_ACT_NONE);
}

static void
test_dead (void)
{
  g_autoptr (QfGraph) g = qf_graph_new (), f = NULL;
  int x = net_input (g, QF_F32, 2, 5, 5);
  QfNode *a = net_conv (g, "a", x, 2, 4, 3, 1, 1);

  net_conv (g, "b", x, 2, 4, 3, 1, 1);
  net_output (g, a->out);
  f = fuse_and_compare (g, 0, 3);
  g_assert_cmpuint (f->nodes->len, ==, 1);
  g_assert_cmpuint (f->values->len, ==, 4);
}

/* ---- quantized ---------------------------------------------------------- */

/* Conv [+ Relu] between codes, in all ways to store weights and bias. */
static void
test_conv (void)
{
  static const QfDType types[] = { QF_I8, QF_U8 };
  QfRng rng = { 4 };

  for (int i = 0; i < 24; i++) {
    g_autoptr (QfGraph) g = qf_graph_new (), f = NULL;
    int x = net_input (g, QF_U8, 3, 7, 6), y;
    gboolean per_channel = i & 1, relu = i / 12;
    QfNode *n;
    const QfValue *w, *v;

    x = net_q (g, QF_OP_DEQUANTIZE, "dq", x, 1.f / 64, 128, QF_U8);
    n = quantized_layer (g, &rng, "conv", x, 1.f / 64, 3, 5, 3,
        types[i / 2 % 2], per_channel, i / 4 % 3);
    if (relu)
      n = net_unary (g, QF_OP_RELU, "relu", n->out);
    y = net_q (g, QF_OP_QUANTIZE, "q", n->out, 1.f / 16, 100, QF_U8);
    net_output (g, y);
    f = fuse_and_compare (g, 0, (guint64) i);
    g_assert_cmpuint (f->nodes->len, ==, 1);
    n = qf_graph_node (f, 0);
    w = qf_graph_value (f, n->in[1]);
    v = qf_graph_value (f, n->out);
    g_assert_cmpint (n->act, ==, relu ? QF_ACT_CLIP : QF_ACT_NONE);
    g_assert_cmpint (w->dtype, ==, QF_I8);
    g_assert_cmpfloat (v->scale, ==, 1.f / 16);
    g_assert_cmpint (v->zero, ==, 100);
    g_assert_cmpint (n->n_in, ==, i / 4 % 3 == BIAS_NONE ? 2 : 3);
    for (int c = 1; c < 5 && !per_channel; c++)
      g_assert_cmpfloat (w->scales[c], ==, w->scales[0]);
  }
}

/* Float output of the last DequantizeLinear: the codes, under its name. */
static void
test_output (void)
{
  g_autoptr (QfGraph) g = qf_graph_new (), f = NULL;
  QfRng rng = { 5 };
  int x = net_input (g, QF_F32, 2, 4, 4), y;
  const QfValue *v;

  x = net_q (g, QF_OP_QUANTIZE, "q", x, 1.f / 64, 3, QF_I8);
  x = net_q (g, QF_OP_DEQUANTIZE, "dq", x, 1.f / 64, 3, QF_I8);
  y = quantized_layer (
      g, &rng, "conv", x, 1.f / 64, 2, 3, 1, QF_I8, TRUE, BIAS_FLOAT)
          ->out;
  y = net_q (g, QF_OP_QUANTIZE, "q2", y, 1.f / 8, -5, QF_I8);
  y = net_q (g, QF_OP_DEQUANTIZE, "scores", y, 1.f / 8, -5, QF_I8);
  net_output (g, y);
  f = fuse_and_compare (g, 0, 5);
  g_assert_cmpuint (f->nodes->len, ==, 2);
  g_assert_cmpint (qf_graph_node (f, 0)->op, ==, QF_OP_QUANTIZE);
  v = qf_graph_value (f, g_array_index (f->outputs, int, 0));
  g_assert_cmpstr (v->name, ==, "scores");
  g_assert_cmpint (v->dtype, ==, QF_U8);
  g_assert_cmpint (v->zero, ==, 123);
}

/* Conv → Q → DQ → Sigmoid → Q is one node; Conv → Sigmoid → Q stays float. */
static void
test_sigmoid (void)
{
  for (int between = 0; between < 2; between++) {
    g_autoptr (QfGraph) g = qf_graph_new (), f = NULL;
    QfRng rng = { 6 };
    int x = net_input (g, QF_U8, 2, 4, 4), y;
    QfNode *n;

    x = net_q (g, QF_OP_DEQUANTIZE, "dq", x, 1.f / 64, 128, QF_U8);
    y = quantized_layer (
        g, &rng, "conv", x, 1.f / 64, 2, 3, 3, QF_I8, TRUE, BIAS_CODES)
            ->out;
    if (between) {
      y = net_q (g, QF_OP_QUANTIZE, "q1", y, 1.f / 16, 120, QF_U8);
      y = net_q (g, QF_OP_DEQUANTIZE, "dq1", y, 1.f / 16, 120, QF_U8);
    }
    y = net_unary (g, QF_OP_SIGMOID, "sigmoid", y)->out;
    y = net_q (g, QF_OP_QUANTIZE, "q2", y, 1.f / 256, 0, QF_U8);
    net_output (g, y);
    f = fuse_and_compare (g, 0, 6);
    n = find_node (f, "conv");
    g_assert_cmpint (n->act, ==, QF_ACT_FUNCTION);
    if (between) {
      g_assert_cmpuint (f->nodes->len, ==, 1);
      g_assert_cmpfloat (n->act_scale, ==, 1.f / 16);
      g_assert_cmpint (n->act_zero, ==, 120);
    } else {
      g_assert_cmpuint (f->nodes->len, ==, 3);
      g_assert_cmpint (qf_graph_value (f, n->out)->dtype, ==, QF_F32);
    }
  }
}

/* What has no exact form on codes must keep its float meaning. */
static void
test_stays_float (void)
{
  for (int kind = 0; kind < 4; kind++) {
    g_autoptr (QfGraph) g = qf_graph_new (), f = NULL;
    QfRng rng = { 7 };
    int x = net_input (g, QF_U8, 2, 4, 4), y;
    QfNode *n;

    x = net_q (g, QF_OP_DEQUANTIZE, "dq", x, 1.f / 64, 128, QF_U8);
    n = quantized_layer (g, &rng, "conv", x, 1.f / 64, 2, 3, 3,
        kind == 1 ? QF_U8 : QF_I8, FALSE, BIAS_CODES);
    y = n->out;
    for (guint i = 0; i < g->values->len; i++) {
      QfValue *v = qf_graph_value (g, (int) i);

      if (kind == 0 && strcmp (v->name, "conv_w_q") == 0)
        *(gint8 *) v->data = -128;
      if (kind == 1 && strcmp (v->name, "conv_w_zero") == 0)
        *(guint8 *) v->data = 127;
      if (kind == 2 && strcmp (v->name, "conv_b_q") == 0)
        *(gint32 *) v->data = G_MAXINT32;
    }
    y = net_q (g, QF_OP_QUANTIZE, "q", y, 1.f / 16, 120, QF_U8);
    net_output (g, y);
    if (kind == 3) /* the convolution's float result is asked for as well */
      net_output (g, n->out);
    f = fuse_and_compare (g, kind == 2 ? 1e-6 : 0, 7);
    g_assert_cmpuint (f->nodes->len, ==, 3);
    g_assert_cmpint (count_op (f, QF_OP_QUANTIZE), ==, 1);
    g_assert_cmpint (count_op (f, QF_OP_DEQUANTIZE), ==, 1);
  }
}

static void
test_scale_conflict (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QfGraph) g = qf_graph_new ();
  int x = net_input (g, QF_F32, 2, 4, 4);

  x = net_q (g, QF_OP_QUANTIZE, "q", x, 0.5f, 0, QF_U8);
  net_output (g, net_q (g, QF_OP_DEQUANTIZE, "dq", x, 0.25f, 0, QF_U8));
  qf_graph_validate (g, &error);
  g_assert_no_error (error);
  g_assert_false (qf_graph_fuse (g, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "'q'"));
}

/* ---- random graphs ------------------------------------------------------ */

/* A value and, where it is dequantized, its scale; shapes as in the graph. */
typedef struct
{
  int value;
  float scale; /* 0: real numbers that no DequantizeLinear made */
  int c, h, w;
} Item;

typedef struct
{
  QfGraph *g;
  QfRng *rng;
  GArray *items;
  int count;
} Maker;

static int
pick (Maker *m, int n)
{
  return (int) qf_rng_below (m->rng, (guint32) n);
}

static char *
fresh (Maker *m, const char *stem)
{
  return g_strdup_printf ("%s%d", stem, m->count++);
}

/* Perhaps QuantizeLinear and DequantizeLinear, perhaps with other parameters.
 */
static Item
maybe_quantize (Maker *m, Item it)
{
  g_autofree char *q = fresh (m, "q"), *dq = fresh (m, "dq");
  gboolean is_signed = pick (m, 3) == 0;
  QfDType type = is_signed ? QF_I8 : QF_U8;
  int zero = pick (m, 3) * 40 + (is_signed ? -60 : 20);

  if (pick (m, 5) == 0)
    return it;
  it.scale = it.scale > 0 && pick (m, 2) ? it.scale : power (m->rng, -4, -1);
  if (pick (m, 2))
    zero = is_signed ? 0 : 128;
  it.value = net_q (m->g, QF_OP_QUANTIZE, q, it.value, it.scale, zero, type);
  it.value = net_q (m->g, QF_OP_DEQUANTIZE, dq, it.value, it.scale, zero, type);
  return it;
}

/* Multiples of 1/8 in −2 … 2. */
static int
exact_floats (Maker *m, const char *stem, int rank, const gint64 *dims)
{
  g_autofree char *name = fresh (m, stem);
  int v = net_floats (m->g, name, rank, dims, 1);
  float *x = (float *) qf_graph_value (m->g, v)->data;

  for (gint64 i = 0; i < qf_value_elements (qf_graph_value (m->g, v)); i++)
    x[i] = (float) (pick (m, 33) - 16) / 8;
  return v;
}

/* Batch normalization without rounding: a variance of 1, ε = 0. */
static QfNode *
exact_batch_norm (Maker *m, const char *name, int x, int c)
{
  gint64 dims[1] = { c };
  int in[5] = { x };
  QfNode *n;

  for (int i = 1; i < 5; i++)
    in[i] = exact_floats (m, "p", 1, dims);
  for (int i = 0; i < c; i++) {
    ((float *) qf_graph_value (m->g, in[1])->data)[i] = power (m->rng, -1, 1);
    ((float *) qf_graph_value (m->g, in[4])->data)[i] = 1;
  }
  n = qf_graph_add_node (m->g, QF_OP_BATCH_NORM, name, 5, in);
  n->epsilon = 0;
  return n;
}

/* A convolution that was not quantized. */
static QfNode *
float_conv (Maker *m, const char *name, int x, int c)
{
  int k = 1 + pick (m, 2);
  gint64 dims[4] = { 2, c, k, k };
  int in[3] = { x, exact_floats (m, "w", 4, dims),
    exact_floats (m, "b", 1, dims) };
  QfNode *n = qf_graph_add_node (m->g, QF_OP_CONV, name, 2 + pick (m, 2), in);

  if (k == 2)
    n->win.pad[0] = n->win.pad[1] = 1;
  return n;
}

/* Flatten and a quantized Gemm at the end. */
static void
make_scores (Maker *m, Item it)
{
  Item flat = it;

  if (it.scale == 0)
    return;
  flat.value = net_unary (m->g, QF_OP_FLATTEN, "flat", it.value)->out;
  if (pick (m, 2))
    flat = maybe_quantize (m, flat);
  if (flat.scale == 0)
    return;
  flat.value = quantized_layer (m->g, m->rng, "gemm", flat.value, flat.scale,
      it.c * it.h * it.w, 4, 0, QF_I8, pick (m, 2), (Bias) pick (m, 3))
                   ->out;
  flat = maybe_quantize (m, flat);
  net_output (m->g, flat.value);
}

/* One node on @it, whose shape and scale follow; FALSE where it does not fit.
 */
static gboolean
make_node (Maker *m, Item *it)
{
  g_autofree char *name = fresh (m, "n");
  QfNode *n;
  int kind = pick (m, 13), in[2];
  Item other = g_array_index (m->items, Item, pick (m, (int) m->items->len));

  switch (kind) {
    case 0:
    case 1:
    case 2:
      if (it->scale == 0) /* float convolutions would round */
        return FALSE;
      n = quantized_layer (m->g, m->rng, name, it->value, it->scale, it->c, 3,
          1 + 2 * pick (m, 2), pick (m, 2) ? QF_I8 : QF_U8, pick (m, 2),
          (Bias) pick (m, 3));
      it->c = 3;
      break;
    case 3:
      n = net_unary (m->g, QF_OP_RELU, name, it->value);
      break;
    case 4:
      n = net_unary (m->g, QF_OP_CLIP, name, it->value);
      n->lo = -0.5f;
      n->hi = 2;
      break;
    case 5:
      if (it->h < 2 || it->w < 2)
        return FALSE;
      n = net_unary (m->g, QF_OP_MAX_POOL, name, it->value);
      n->win.kernel[0] = n->win.kernel[1] = 2;
      n->win.pad[0] = n->win.pad[1] = 1;
      it->h++;
      it->w++;
      n->win.pad[2] = n->win.pad[3] = 1;
      break;
    case 6:
      if (it->h > 8 || it->w > 8)
        return FALSE;
      n = net_unary (m->g, QF_OP_RESIZE_NEAREST, name, it->value);
      n->scale_h = 2;
      n->scale_w = 1;
      it->h *= 2;
      break;
    case 7:
      if (other.c != it->c || other.h != it->h || other.w != it->w)
        return FALSE;
      in[0] = it->value;
      in[1] = other.value;
      n = qf_graph_add_node (m->g, QF_OP_ADD, name, 2, in);
      break;
    case 8:
      if (other.h != it->h || other.w != it->w || other.c + it->c > 8)
        return FALSE;
      in[0] = it->value;
      in[1] = other.value;
      n = qf_graph_add_node (m->g, QF_OP_CONCAT, name, 2, in);
      n->axis = 1;
      it->c += other.c;
      break;
    case 9:
      n = net_unary (m->g, QF_OP_SIGMOID, name, it->value);
      break;
    case 10:
      n = net_unary (m->g, QF_OP_GLOBAL_AVG_POOL, name, it->value);
      it->h = it->w = 1;
      break;
    case 11:
      n = exact_batch_norm (m, name, it->value, it->c);
      break;
    default:
      if (it->scale == 0)
        return FALSE;
      n = float_conv (m, name, it->value, it->c);
      it->c = 2;
      break;
  }
  it->value = n->out;
  if (kind != 5 && kind != 6)
    it->scale = 0;
  if (kind == 9) { /* so that its rounding ends here */
    g_autofree char *q = fresh (m, "q"), *dq = fresh (m, "dq");

    it->scale = 1.f / 128;
    it->value = net_q (m->g, QF_OP_QUANTIZE, q, it->value, 1.f / 128, 7, QF_U8);
    it->value =
        net_q (m->g, QF_OP_DEQUANTIZE, dq, it->value, 1.f / 128, 7, QF_U8);
  }
  return TRUE;
}

static QfGraph *
random_graph (guint64 seed)
{
  QfRng rng = { seed };
  Maker m = { .g = qf_graph_new (), .rng = &rng };
  Item it = { .c = 2, .h = 4, .w = 4 };
  int n_nodes = 3 + (int) qf_rng_below (&rng, 12);

  m.items = g_array_new (FALSE, FALSE, sizeof (Item));
  if (pick (&m, 2)) {
    it.value = net_input (m.g, QF_U8, 2, 4, 4);
    it.scale = 1.f / 64;
    it.value =
        net_q (m.g, QF_OP_DEQUANTIZE, "first", it.value, it.scale, 128, QF_U8);
  } else {
    it.value = net_input (m.g, QF_F32, 2, 4, 4);
    it = maybe_quantize (&m, it);
  }
  g_array_append_val (m.items, it);
  while (n_nodes-- > 0) {
    it = g_array_index (m.items, Item,
        pick (&m, 2) ? (int) m.items->len - 1 : pick (&m, (int) m.items->len));
    if (!make_node (&m, &it))
      continue;
    it = maybe_quantize (&m, it);
    g_array_append_val (m.items, it);
  }
  for (int i = 0; i < 3; i++) {
    it = g_array_index (m.items, Item,
        i ? pick (&m, (int) m.items->len) : (int) m.items->len - 1);
    for (guint k = 0; k < m.g->outputs->len; k++)
      if (g_array_index (m.g->outputs, int, k) == it.value)
        it.value = 0;
    if (it.value != 0)
      net_output (m.g, it.value);
  }
  make_scores (
      &m, g_array_index (m.items, Item, pick (&m, (int) m.items->len)));
  g_array_unref (m.items);
  return m.g;
}

static void
test_random (void)
{
  guint64 first = (guint64) g_test_rand_int () << 20;
  int n = g_test_thorough () ? 100000 : 2000, ops[QF_N_OPS] = { 0 }, codes = 0;

  g_test_message ("seeds from %" G_GUINT64_FORMAT, first);
  for (int i = 0; i < n; i++) {
    g_autoptr (QfGraph) g = random_graph (first + (guint64) i), f = NULL;

    if (g->outputs->len == 0)
      continue;
    f = fuse_and_compare (g, 1e-6, first + (guint64) i);
    for (guint k = 0; k < f->nodes->len; k++) {
      const QfNode *node = qf_graph_node (f, (int) k);

      ops[node->op]++;
      codes += qf_graph_value (f, node->out)->dtype == QF_U8;
    }
  }
  for (int op = 0; op < QF_N_OPS; op++)
    g_test_message ("%s: %d", qf_op_name ((QfOp) op), ops[op]);
  g_test_message ("on codes: %d", codes);
  g_assert_cmpint (codes, >, n);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/passes/float", test_float);
  g_test_add_func ("/model/passes/shared", test_shared);
  g_test_add_func ("/model/passes/dead", test_dead);
  g_test_add_func ("/model/passes/conv", test_conv);
  g_test_add_func ("/model/passes/output", test_output);
  g_test_add_func ("/model/passes/sigmoid", test_sigmoid);
  g_test_add_func ("/model/passes/stays-float", test_stays_float);
  g_test_add_func ("/model/passes/scale-conflict", test_scale_conflict);
  g_test_add_func ("/model/passes/random", test_random);
  return g_test_run ();
}
