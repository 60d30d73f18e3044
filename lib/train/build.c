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

/* cls_<stride> (logits, one channel a label) and box_<stride> (four log
 * distances). */
static void
fcos_outputs (QfGraph *g, int x, int stride, int channels, int labels)
{
  g_autofree float *prior = g_new (float, labels);
  g_autofree char *cls = g_strdup_printf ("cls_%d", stride);
  g_autofree char *edges = g_strdup_printf ("box_%d", stride);
  const float box[4] = { 0, 0, 0, 0 };

  /* Every cell starts at 1 % (Lin et al., Focal loss, 2017). */
  for (int i = 0; i < labels; i++)
    prior[i] = -logf (99.0f);
  output (g, conv (g, x, cls, channels, labels, 1, 1, 1, prior));
  output (g, conv (g, x, edges, channels, 4, 1, 1, 1, box));
}

static void
classify_output (QfGraph *g, int x, int channels, int labels)
{
  g_autofree float *zero = g_new0 (float, labels);
  QfNode *n = qf_graph_add_node (g, QF_OP_GLOBAL_AVG_POOL, "average", 1, &x);

  output (g, conv (g, n->out, "logits", channels, labels, 1, 1, 1, zero));
}

/* A trunk of plain 3x3 convolutions, which our kernels run three to four times
 * as fast a multiplication as 1x1 (docs/numerics.md, (16)), down to stride 16.
 * For boxes the last convolutions there are dilated, so that each cell sees the
 * whole object and what is round it, and what they saw is added back up to where
 * the boxes are told. */
typedef struct
{
  const char *name;
  int stem;     /* channels at stride 2 */
  int c[3];     /* channels at strides 4, 8, 16 */
  int n[3];     /* convolutions there, the first one of stride 2 */
  int dilated;  /* further ones at stride 16, for boxes */
  int c32;      /* channels at stride 32, for actions */
  int stride;   /* of the cells that tell boxes: 4 or 8 */
  int head, n_head; /* channels, convolutions there */
} Body;

static const Body bodies[] = {
  /* 55 MMAC of 3x320x240 */
  { "nano", 12, { 24, 32, 48 }, { 1, 1, 2 }, 1, 64, 8, 32, 1 },
  /* 180 MMAC of 3x320x256; 47 MMAC of them where boxes are told */
  { "small", 16, { 24, 48, 80 }, { 2, 2, 2 }, 1, 128, 4, 32, 1 },
  { "base", 24, { 32, 64, 128 }, { 2, 3, 3 }, 2, 192, 4, 48, 1 },
};

static const Body *
find_body (const char *name)
{
  for (gsize i = 0; i < G_N_ELEMENTS (bodies); i++)
    if (g_str_equal (bodies[i].name, name))
      return &bodies[i];
  return NULL;
}

/* The stage at @stride: "s8" where it is one convolution, else "s8a", "s8b" … */
static int
stage (QfGraph *g, int x, int stride, int ic, int oc, int n, int n_dilated)
{
  int total = n + n_dilated;

  for (int i = 0; i < total; i++) {
    g_autofree char *name = total == 1
        ? g_strdup_printf ("s%d", stride)
        : g_strdup_printf ("s%d%c", stride, 'a' + i);

    x = block (g, x, name, i ? oc : ic, oc, 3, i ? 1 : 2, i < n ? 1 : 2, TRUE);
  }
  return x;
}

/* What @x, at half the size of @y, knows, added to it. */
static int
join (QfGraph *g, int x, int ic, int y, int oc, int stride)
{
  g_autofree char *up = g_strdup_printf ("up%d", stride);
  g_autofree char *stem = g_strdup_printf ("join%d", stride);

  return add_up (g, block (g, x, up, ic, oc, 1, 1, 1, FALSE), y, stem);
}

static QfGraph *
build_body (const Body *n, const QfBuild *b)
{
  QfGraph *g = qf_graph_new ();
  gboolean boxes = g_str_equal (b->head, "fcos");
  int x = block (g, input (g, b), "stem", b->planes, n->stem, 3, 2, 1, TRUE);
  int at[3], channels;

  for (int i = 0; i < 3; i++)
    x = at[i] = stage (g, x, 4 << i, i ? n->c[i - 1] : n->stem, n->c[i],
        n->n[i], boxes && i == 2 ? n->dilated : 0);
  if (!boxes) {
    x = block (g, x, "s32", n->c[2], n->c32, 3, 2, 1, TRUE);
    classify_output (g, x, n->c32, b->labels);
    return g;
  }
  x = join (g, x, n->c[2], at[1], n->c[1], 8);
  channels = n->c[1];
  if (n->stride == 4) {
    x = join (g, x, n->c[1], at[0], n->c[0], 4);
    channels = n->c[0];
  }
  for (int i = 0; i < n->n_head; i++) {
    g_autofree char *name
        = i ? g_strdup_printf ("head%d", i + 1) : g_strdup ("head");

    x = block (g, x, name, i ? n->head : channels, n->head, 3, 1, 1, TRUE);
  }
  fcos_outputs (g, x, n->stride, n->head, b->labels);
  return g;
}

static gboolean
check_build (const char *name, const QfBuild *b, GError **error)
{
  g_autofree char *wrong = NULL;

  if (!find_body (name))
    wrong = g_strdup_printf (
        "There is no network named \"%s\"; nano, small and base exist", name);
  else if (!g_str_equal (b->head, "fcos") && !g_str_equal (b->head, "classify"))
    wrong = g_strdup_printf (
        "Head \"%s\" cannot be trained; \"fcos\" and \"classify\" can",
        b->head);
  else if (b->width < 16 || b->height < 16 || b->width % 16 || b->height % 16
      || b->width > 4096 || b->height > 4096)
    wrong = g_strdup_printf ("A network's input of %dx%d does not work; width "
        "and height must be multiples of 16 from 16 to 4096", b->width,
        b->height);
  else if (b->labels < 1 || b->labels > 1000)
    wrong = g_strdup_printf ("A network tells 1 to 1000 labels apart, not %d",
        b->labels);
  if (wrong)
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT, "%s", wrong);
  return !wrong;
}

QfGraph *
qf_build_network (const char *name, const QfBuild *b, GError **error)
{
  g_autoptr (QfGraph) g = NULL;

  if (!check_build (name, b, error))
    return NULL;
  g = build_body (find_body (name), b);
  return qf_graph_validate (g, error) ? g_steal_pointer (&g) : NULL;
}
