/* Small graphs for the tests of lib/model.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/rng.h"
#include "model/model-private.h"

/* Everything here asserts instead of reporting; values are numbered as in the
 * graph. */

static inline int
net_input (QfGraph *g, QfDType dtype, int c, int h, int w)
{
  int v = qf_graph_add_value (g, "x", dtype, 4, (gint64[]){ 1, c, h, w });

  g_array_append_val (g->inputs, v);
  return v;
}

static inline void
net_output (QfGraph *g, int v)
{
  g_array_append_val (g->outputs, v);
}

static inline int
net_floats (
    QfGraph *g, const char *name, int rank, const gint64 *dims, guint32 seed)
{
  gint64 n = 1;
  g_autofree float *x = NULL;
  int v;

  for (int i = 0; i < rank; i++)
    n *= dims[i];
  x = g_new (float, n);
  for (gint64 i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = (float) (seed >> 8) / (1 << 23) - 1;
  }
  v = qf_graph_add_constant (g, name, QF_F32, rank, dims, x);
  return v;
}

static inline int
net_scalar (QfGraph *g, const char *name, float x)
{
  return qf_graph_add_constant (g, name, QF_F32, 0, NULL, &x);
}

static inline QfNode *
net_conv (QfGraph *g, const char *name, int x, int ic, int oc, int k,
    int stride, int groups)
{
  g_autofree char *w = g_strconcat (name, "_w", NULL);
  g_autofree char *b = g_strconcat (name, "_b", NULL);
  int in[3] = { x, net_floats (g, w, 4, (gint64[]){ oc, ic / groups, k, k }, 1),
    net_floats (g, b, 1, (gint64[]){ oc }, 2) };
  QfNode *n = qf_graph_add_node (g, QF_OP_CONV, name, 3, in);

  n->win.kernel[0] = n->win.kernel[1] = k;
  n->win.stride[0] = n->win.stride[1] = stride;
  n->win.groups = groups;
  for (int i = 0; i < 4; i++)
    n->win.pad[i] = k / 2;
  return n;
}

static inline QfNode *
net_unary (QfGraph *g, QfOp op, const char *name, int x)
{
  return qf_graph_add_node (g, op, name, 1, &x);
}

static inline QfNode *
net_batch_norm (QfGraph *g, const char *name, int x, int c)
{
  int in[5] = { x };
  float *variance;

  for (int i = 1; i < 5; i++) {
    g_autofree char *p = g_strdup_printf ("%s_%d", name, i);

    in[i] = net_floats (g, p, 1, (gint64[]){ c }, (guint32) i * 7);
  }
  variance = (float *) qf_graph_value (g, in[4])->data;
  for (int i = 0; i < c; i++)
    variance[i] = variance[i] * variance[i] + 0.1f;
  return qf_graph_add_node (g, QF_OP_BATCH_NORM, name, 5, in);
}

/* QuantizeLinear or DequantizeLinear with one scale; @type of the codes. */
static inline int
net_q (QfGraph *g, QfOp op, const char *name, int x, float scale, int zero,
    QfDType type)
{
  g_autofree char *s = g_strconcat (name, "_s", NULL);
  g_autofree char *z = g_strconcat (name, "_z", NULL);
  guint8 code = (guint8) zero;
  int in[3] = { x, net_scalar (g, s, scale),
    qf_graph_add_constant (g, z, type, 0, NULL, &code) };

  return qf_graph_add_node (g, op, name, 3, in)->out;
}

/* Every operator once, in float. 3x16x16 → [1, 5] and 4x16x16. */
static inline QfGraph *
net_float (void)
{
  QfGraph *g = qf_graph_new ();
  int x = net_input (g, QF_F32, 3, 16, 16), a, b, small, in[2];
  QfNode *n;

  n = net_conv (g, "conv1", x, 3, 8, 3, 2, 1);
  n = net_batch_norm (g, "bn1", n->out, 8);
  n = net_unary (g, QF_OP_RELU, "relu1", n->out);
  a = n->out;
  n = net_conv (g, "conv2", a, 8, 8, 3, 1, 8);
  n = net_unary (g, QF_OP_CLIP, "clip2", n->out);
  n->lo = 0;
  n->hi = 6;
  b = n->out;
  in[0] = a;
  in[1] = b;
  n = qf_graph_add_node (g, QF_OP_ADD, "add", 2, in);
  n = net_unary (g, QF_OP_MAX_POOL, "pool", n->out);
  n->win.kernel[0] = n->win.kernel[1] = 2;
  n->win.stride[0] = n->win.stride[1] = 2;
  small = n->out;
  n = net_unary (g, QF_OP_RESIZE_NEAREST, "up", small);
  n->scale_h = n->scale_w = 2;
  in[0] = n->out;
  n = qf_graph_add_node (g, QF_OP_CONCAT, "cat", 2, in);
  n->axis = 1;
  n = net_conv (g, "conv3", n->out, 16, 4, 1, 1, 1);
  n = net_unary (g, QF_OP_SIGMOID, "map", n->out);
  net_output (g, n->out);
  n = net_unary (g, QF_OP_GLOBAL_AVG_POOL, "mean", small);
  n = net_unary (g, QF_OP_FLATTEN, "flat", n->out);
  {
    int gemm[3] = { n->out, net_floats (g, "gemm_w", 2, (gint64[]){ 5, 8 }, 3),
      net_floats (g, "gemm_b", 1, (gint64[]){ 5 }, 4) };

    n = qf_graph_add_node (g, QF_OP_GEMM, "score", 3, gemm);
  }
  net_output (g, n->out);
  return g;
}
