/* libqfuse: builds start networks.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/build.h"

#include <math.h>

static int
constant (QfGraph *g, const char *stem, const char *what, int rank,
    const gint64 *dims, const float *data)
{
  g_autofree char *name = g_strdup_printf ("%s.%s", stem, what);

  return qf_graph_add_constant (g, name, QF_F32, rank, dims, data);
}

static int
filled (QfGraph *g, const char *stem, const char *what, int rank,
    const gint64 *dims, float fill)
{
  gsize n = 1;
  g_autofree float *data = NULL;

  for (int i = 0; i < rank; i++)
    n *= (gsize) dims[i];
  data = g_new (float, n);
  for (gsize i = 0; i < n; i++)
    data[i] = fill;
  return constant (g, stem, what, rank, dims, data);
}

/* Convolution with "same" padding; @bias NULL: none. */
static int
conv (QfGraph *g, int x, const char *name, int ic, int oc, int kernel,
    int stride, int dilation, const float *bias)
{
  int pad = kernel / 2 * dilation;
  gint64 dims[4] = { oc, ic, kernel, kernel };
  int in[3] = { x, filled (g, name, "weight", 4, dims, 0.0f), -1 };
  QfNode *n;

  if (bias)
    in[2] = constant (g, name, "bias", 1, dims, bias);
  n = qf_graph_add_node (g, QF_OP_CONV, name, bias ? 3 : 2, in);
  n->win = (QfWindow){ { kernel, kernel }, { stride, stride },
    { dilation, dilation }, { pad, pad, pad, pad }, 1 };
  return n->out;
}

static int
relu (QfGraph *g, int x, const char *stem)
{
  g_autofree char *name = g_strdup_printf ("%s.relu", stem);

  return qf_graph_add_node (g, QF_OP_RELU, name, 1, &x)->out;
}

/* Convolution, batch norm, Relu where @act. */
static int
block (QfGraph *g, int x, const char *name, int ic, int oc, int kernel,
    int stride, int dilation, gboolean act)
{
  gint64 dims[1] = { oc };
  g_autofree char *bn = g_strdup_printf ("%s.bn", name);
  int in[5] = { conv (g, x, name, ic, oc, kernel, stride, dilation, NULL),
    filled (g, name, "gamma", 1, dims, 1.0f),
    filled (g, name, "beta", 1, dims, 0.0f),
    filled (g, name, "mean", 1, dims, 0.0f),
    filled (g, name, "variance", 1, dims, 1.0f) };
  QfNode *n = qf_graph_add_node (g, QF_OP_BATCH_NORM, bn, 5, in);

  n->epsilon = 1e-3f;
  return act ? relu (g, n->out, name) : n->out;
}

/* Twice as large by nearest neighbour, added to @y; Relu. */
static int
add_up (QfGraph *g, int x, int y, const char *stem)
{
  g_autofree char *up = g_strdup_printf ("%s.up", stem);
  QfNode *n = qf_graph_add_node (g, QF_OP_RESIZE_NEAREST, up, 1, &x);
  int in[2];

  n->scale_h = n->scale_w = 2;
  in[0] = n->out;
  in[1] = y;
  return relu (g, qf_graph_add_node (g, QF_OP_ADD, stem, 2, in)->out, stem);
}

static int
input (QfGraph *g, const QfBuild *b)
{
  gint64 dims[4] = { 1, b->planes, b->height, b->width };
  const float scale = 1.0f / 64;
  const guint8 zero = 128;
  int x = qf_graph_add_value (g, "planes", QF_U8, 4, dims);
  int in[3] = { x,
    qf_graph_add_constant (g, "planes.scale", QF_F32, 0, NULL, &scale),
    qf_graph_add_constant (g, "planes.zero", QF_U8, 0, NULL, &zero) };

  g_array_append_val (g->inputs, x);
  return qf_graph_add_node (g, QF_OP_DEQUANTIZE, "planes.dq", 3, in)->out;
}

static void
output (QfGraph *g, int value)
{
  g_array_append_val (g->outputs, value);
}

/* cls_8 (logits, one channel a label) and box_8 (four log distances). */
static void
fcos_outputs (QfGraph *g, int x, int channels, int labels)
{
  g_autofree float *prior = g_new (float, labels);
  const float box[4] = { 0, 0, 0, 0 };

  /* Every cell starts at 1 % (Lin et al., Focal loss, 2017). */
  for (int i = 0; i < labels; i++)
    prior[i] = -logf (99.0f);
  output (g, conv (g, x, "cls_8", channels, labels, 1, 1, 1, prior));
  output (g, conv (g, x, "box_8", channels, 4, 1, 1, 1, box));
}

static void
classify_output (QfGraph *g, int x, int channels, int labels)
{
  g_autofree float *zero = g_new0 (float, labels);
  QfNode *n = qf_graph_add_node (g, QF_OP_GLOBAL_AVG_POOL, "average", 1, &x);

  output (g, conv (g, n->out, "logits", channels, labels, 1, 1, 1, zero));
}

/* 55 MMAC at 3x320x240: a plain 3x3 trunk to stride 16, whose last convolution
 * is dilated so that each cell sees the whole person and what is round it, added
 * back up to stride 8. */
static QfGraph *
build_nano (const QfBuild *b)
{
  QfGraph *g = qf_graph_new ();
  int x = input (g, b), s8;

  x = block (g, x, "stem", b->planes, 12, 3, 2, 1, TRUE);
  x = block (g, x, "s4", 12, 24, 3, 2, 1, TRUE);
  s8 = block (g, x, "s8", 24, 32, 3, 2, 1, TRUE);
  x = block (g, s8, "s16a", 32, 48, 3, 2, 1, TRUE);
  x = block (g, x, "s16b", 48, 48, 3, 1, 1, TRUE);
  if (g_str_equal (b->head, "classify")) {
    x = block (g, x, "s32", 48, 64, 3, 2, 1, TRUE);
    classify_output (g, x, 64, b->labels);
    return g;
  }
  x = block (g, x, "s16c", 48, 48, 3, 1, 2, TRUE);
  x = add_up (g, block (g, x, "up8", 48, 32, 1, 1, 1, FALSE), s8, "join8");
  x = block (g, x, "head", 32, 32, 3, 1, 1, TRUE);
  fcos_outputs (g, x, 32, b->labels);
  return g;
}

QfGraph *
qf_build_network (const char *name, const QfBuild *b, GError **error)
{
  g_autoptr (QfGraph) g = NULL;

  if (!g_str_equal (name, "nano")) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "There is no network named \"%s\"; \"nano\" exists", name);
    return NULL;
  }
  if (!g_str_equal (b->head, "fcos") && !g_str_equal (b->head, "classify")) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "Head \"%s\" cannot be trained; \"fcos\" and \"classify\" can",
        b->head);
    return NULL;
  }
  if (b->width < 16 || b->height < 16 || b->width % 16 || b->height % 16
      || b->width > 4096 || b->height > 4096) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "A network's input of %dx%d does not work; width and height must be "
        "multiples of 16 from 16 to 4096", b->width, b->height);
    return NULL;
  }
  g = build_nano (b);
  return qf_graph_validate (g, error) ? g_steal_pointer (&g) : NULL;
}
