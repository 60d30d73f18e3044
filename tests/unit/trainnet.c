/* qfuse tests: small networks for the trainer's tests.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trainnet.h"

#include <math.h>
#include <stdlib.h>

guint64
test_seed (void)
{
  const char *text = g_getenv ("QFUSE_TEST_SEED");
  guint64 seed = text ? g_ascii_strtoull (text, NULL, 10) : 20261124;

  g_test_message ("QFUSE_TEST_SEED=%" G_GUINT64_FORMAT, seed);
  return seed;
}

static int
filled (QfGraph *g, const char *stem, const char *what, int rank,
    const gint64 *dims, float fill)
{
  g_autofree char *name = g_strdup_printf ("%s.%s", stem, what);
  gsize n = 1;
  g_autofree float *data = NULL;

  for (int i = 0; i < rank; i++)
    n *= (gsize) dims[i];
  data = g_new (float, n);
  for (gsize i = 0; i < n; i++)
    data[i] = fill;
  return qf_graph_add_constant (g, name, QF_F32, rank, dims, data);
}

typedef struct
{
  int ic, oc, kernel, stride, pad, dilation, groups;
} Window;

static int
conv (QfGraph *g, int x, const char *name, Window w, gboolean bias)
{
  gint64 dims[4] = { w.oc, w.ic / w.groups, w.kernel, w.kernel };
  gint64 bdims[1] = { w.oc };
  int in[3] = { x, filled (g, name, "w", 4, dims, 0), -1 };
  QfNode *n;

  if (bias)
    in[2] = filled (g, name, "b", 1, bdims, 0.1f);
  n = qf_graph_add_node (g, QF_OP_CONV, name, bias ? 3 : 2, in);
  n->win = (QfWindow){ { w.kernel, w.kernel }, { w.stride, w.stride },
    { w.dilation, w.dilation }, { w.pad, w.pad, w.pad, w.pad }, w.groups };
  return n->out;
}

static int
bn (QfGraph *g, int x, const char *stem, int oc)
{
  g_autofree char *name = g_strdup_printf ("%s.bn", stem);
  gint64 dims[1] = { oc };
  int in[5] = { x, filled (g, stem, "gamma", 1, dims, 1),
    filled (g, stem, "beta", 1, dims, 0), filled (g, stem, "mean", 1, dims, 0),
    filled (g, stem, "var", 1, dims, 1) };
  QfNode *n = qf_graph_add_node (g, QF_OP_BATCH_NORM, name, 5, in);

  n->epsilon = 1e-3f;
  return n->out;
}

static int
unary (QfGraph *g, QfOp op, int x, const char *name)
{
  return qf_graph_add_node (g, op, name, 1, &x)->out;
}

static int
clip6 (QfGraph *g, int x, const char *name)
{
  QfNode *n = qf_graph_add_node (g, QF_OP_CLIP, name, 1, &x);

  n->lo = 0;
  n->hi = 6;
  return n->out;
}

QfGraph *
test_graph_all (void)
{
  QfGraph *g = qf_graph_new ();
  GError *error = NULL;
  gint64 dims[4] = { 1, 3, 12, 16 };
  const float scale = 1.0f / 64;
  const guint8 zero = 128;
  int x = qf_graph_add_value (g, "planes", QF_U8, 4, dims);
  int dq[3] = { x,
    qf_graph_add_constant (g, "in.scale", QF_F32, 0, NULL, &scale),
    qf_graph_add_constant (g, "in.zero", QF_U8, 0, NULL, &zero) };
  int a, b, c, in[2], out;
  QfNode *n;

  g_array_append_val (g->inputs, x);
  x = qf_graph_add_node (g, QF_OP_DEQUANTIZE, "in.dq", 3, dq)->out;
  /* 12x16 → 6x8 */
  x = conv (g, x, "c1", (Window){ 3, 8, 3, 2, 1, 1, 1 }, FALSE);
  x = unary (g, QF_OP_RELU, bn (g, x, "c1", 8), "c1.relu");
  /* depthwise, then pointwise */
  a = conv (g, x, "c2", (Window){ 8, 8, 3, 1, 1, 1, 8 }, FALSE);
  a = clip6 (g, bn (g, a, "c2", 8), "c2.clip");
  a = conv (g, a, "c3", (Window){ 8, 8, 1, 1, 0, 1, 1 }, FALSE);
  a = bn (g, a, "c3", 8);
  in[0] = a;
  in[1] = x;
  a = unary (g, QF_OP_RELU, qf_graph_add_node (g, QF_OP_ADD, "sum", 2, in)->out,
      "sum.relu");
  /* grouped and dilated */
  b = conv (g, a, "c4", (Window){ 8, 6, 3, 1, 2, 2, 2 }, FALSE);
  b = unary (g, QF_OP_RELU, bn (g, b, "c4", 6), "c4.relu");
  /* down by pooling and up again */
  n = qf_graph_add_node (g, QF_OP_MAX_POOL, "pool", 1, &a);
  n->win = (QfWindow){ { 2, 2 }, { 2, 2 }, { 1, 1 }, { 0, 0, 0, 0 }, 1 };
  n = qf_graph_add_node (g, QF_OP_RESIZE_NEAREST, "up", 1, (int[]){ n->out });
  n->scale_h = n->scale_w = 2;
  in[0] = b;
  in[1] = unary (g, QF_OP_SIGMOID, n->out, "gate");
  n = qf_graph_add_node (g, QF_OP_CONCAT, "cat", 2, in);
  n->axis = 1;
  c = conv (g, n->out, "map", (Window){ 14, 5, 1, 1, 0, 1, 1 }, TRUE);
  g_array_append_val (g->outputs, c);
  out = conv (g, unary (g, QF_OP_GLOBAL_AVG_POOL, n->out, "mean"), "logits",
      (Window){ 14, 3, 1, 1, 0, 1, 1 }, TRUE);
  g_array_append_val (g->outputs, out);
  if (!qf_graph_validate (g, &error))
    g_error ("%s", error->message);
  return g;
}

void
test_fill_input (QfNet *net, int n, QfRng *rng)
{
  QfBlob *x = qf_net_blob (net, net->input);
  gsize size = (gsize) n * x->h * x->w * x->c;

  for (gsize i = 0; i < size; i++) {
    guint8 code = (guint8) qf_rng_below (rng, 256);

    if (net->quantize)
      x->codes[i] = code;
    else
      x->real[i] = x->scale * (float) (code - x->zero);
  }
}

QfNet *
test_net (int n, gboolean quantize, QfPool *pool, QfRng *rng)
{
  g_autoptr (QfGraph) g = test_graph_all ();
  GError *error = NULL;
  QfNet *net = qf_net_new (g, n, quantize, pool, &error);

  g_assert_no_error (error);
  qf_net_init (net, rng);
  for (guint i = 0; i < net->layers->len; i++) {
    QfConvLayer *cv = qf_net_layer (net, (int) i)->conv;

    for (int c = 0; cv && c < cv->shape.out_c; c++) {
      /* γ of both signs: fusing must turn codes over. */
      cv->gamma[c] = (float) (qf_rng_uniform (rng) * 3 - 1);
      cv->beta[c] = (float) (qf_rng_uniform (rng) * 2 - 0.5);
    }
    for (int k = 0; cv && !cv->has_bn && k < cv->k * cv->shape.out_c; k++)
      cv->weight[k] *= 30;
  }
  test_fill_input (net, n, rng);
  return net;
}
