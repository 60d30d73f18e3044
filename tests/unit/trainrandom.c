/* qfuse tests: random networks of all operators that train.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trainnet.h"

#include <math.h>

typedef struct
{
  int value, c, h, w;
  gboolean read;
} Item;

typedef struct
{
  QfGraph *g;
  QfRng *rng;
  GArray *items; /* Item */
  int serial;
} Builder;

static int
below (Builder *b, int n)
{
  return (int) qf_rng_below (b->rng, (guint32) n);
}

static QfNode *
add (Builder *b, QfOp op, int n_in, const int *in)
{
  g_autofree char *name = g_strdup_printf ("%s%d", qf_op_name (op),
      b->serial++);

  return qf_graph_add_node (b->g, op, name, n_in, in);
}

static int
floats (Builder *b, int rank, const gint64 *dims, double lo, double hi)
{
  g_autofree char *name = g_strdup_printf ("k%d", b->serial++);
  g_autofree float *data = NULL;
  gsize n = 1;

  for (int i = 0; i < rank; i++)
    n *= (gsize) dims[i];
  data = g_new (float, n);
  for (gsize i = 0; i < n; i++)
    data[i] = (float) (lo + (hi - lo) * qf_rng_uniform (b->rng));
  return qf_graph_add_constant (b->g, name, QF_F32, rank, dims, data);
}

static Item *
push (Builder *b, int value, int c, int h, int w)
{
  Item item = { value, c, h, w, FALSE };

  g_array_append_val (b->items, item);
  return &g_array_index (b->items, Item, b->items->len - 1);
}

/* Any value so far with at least @side rows and columns, marked as read. */
static Item
pick (Builder *b, int side)
{
  for (;;) {
    Item *i = &g_array_index (b->items, Item, below (b, (int) b->items->len));

    if (i->h >= side && i->w >= side) {
      i->read = TRUE;
      return *i;
    }
  }
}

static int
batch_norm (Builder *b, int x, int c)
{
  gint64 dims[1] = { c };
  int in[5] = { x, floats (b, 1, dims, -1, 2), floats (b, 1, dims, -0.5, 1.5),
    floats (b, 1, dims, -0.5, 0.5), floats (b, 1, dims, 0.5, 2) };
  QfNode *n = add (b, QF_OP_BATCH_NORM, 5, in);

  n->epsilon = 1e-3f;
  return n->out;
}

/* Any groups, dilation, stride; with a bias, a batch norm, both or neither. */
static Item
conv (Builder *b, Item x, int oc, int kernel, gboolean plain)
{
  int groups = !plain && below (b, 3) == 0 && oc % 2 == 0 && x.c % 2 == 0
      ? 2 : 1;
  int stride, dilation, pad, in[3], norm = plain ? 0 : below (b, 4);
  gint64 dims[4], bdims[1] = { oc };
  Item y;
  QfNode *n;

  if (!plain && x.c == oc && below (b, 3) == 0)
    groups = oc;
  stride = plain || x.h < 6 ? 1 : 1 + below (b, 2);
  dilation = kernel > 1 ? 1 + below (b, 2) : 1;
  pad = kernel / 2 * dilation;
  dims[0] = oc;
  dims[1] = x.c / groups;
  dims[2] = dims[3] = kernel;
  in[0] = x.value;
  in[1] = floats (b, 4, dims, -0.5, 0.5);
  if (plain || norm & 1)
    in[2] = floats (b, 1, bdims, -0.3, 0.3);
  n = add (b, QF_OP_CONV, plain || norm & 1 ? 3 : 2, in);
  n->win = (QfWindow){ { kernel, kernel }, { stride, stride },
    { dilation, dilation }, { pad, pad, pad, pad }, groups };
  y = (Item){ n->out, oc, (x.h - 1) / stride + 1, (x.w - 1) / stride + 1,
    FALSE };
  if (norm & 2)
    y.value = batch_norm (b, y.value, oc);
  return y;
}

static Item
squeeze (Builder *b, Item x, int c)
{
  Item y = { add (b, QF_OP_GLOBAL_AVG_POOL, 1, &x.value)->out, x.c, 1, 1,
    FALSE };

  return conv (b, y, c, 1, TRUE);
}

/* Two of one shape, or the second one value a channel. */
static void
two (Builder *b, QfOp op)
{
  Item x = pick (b, 1), y;
  int in[2];
  QfNode *n;

  if (below (b, 2)) {
    y = squeeze (b, pick (b, 1), x.c);
    y.value = add (b, QF_OP_SIGMOID, 1, &y.value)->out;
  } else {
    y = conv (b, x, x.c, 1, TRUE);
  }
  in[0] = x.value;
  in[1] = y.value;
  if (below (b, 2)) {
    in[0] = y.value;
    in[1] = x.value;
  }
  n = add (b, op, 2, in);
  if (below (b, 2))
    n = add (b, QF_OP_RELU, 1, &n->out);
  push (b, n->out, x.c, x.h, x.w);
}

static void
pool (Builder *b, QfOp op)
{
  Item x = pick (b, 3);
  QfNode *n = add (b, op, 1, &x.value);
  int stride = 1 + below (b, 2);

  if (below (b, 2))
    n->win = (QfWindow){ { 2, 2 }, { 2, 2 }, { 1, 1 }, { 0, 0, 0, 0 }, 1 };
  else
    n->win = (QfWindow){ { 3, 3 }, { stride, stride }, { 1, 1 },
      { 1, 1, 1, 1 }, 1 };
  n->include_pad = op == QF_OP_AVERAGE_POOL && below (b, 2);
  if (n->win.kernel[0] == 2)
    push (b, n->out, x.c, x.h / 2, x.w / 2);
  else
    push (b, n->out, x.c, (x.h - 1) / stride + 1, (x.w - 1) / stride + 1);
}

static void
function (Builder *b, QfOp op)
{
  Item x = pick (b, 1);
  QfNode *n;

  if (below (b, 2)) /* on a convolution's own result, or on one that others see */
    x = conv (b, x, 4 + 2 * below (b, 3), 1 + 2 * below (b, 2), FALSE);
  if (op == QF_OP_SILU) {
    int in[2] = { x.value, add (b, QF_OP_SIGMOID, 1, &x.value)->out };

    n = add (b, QF_OP_MUL, 2, in);
  } else {
    n = add (b, op, 1, &x.value);
    n->alpha = 0.1f;
    n->lo = op == QF_OP_CLIP ? -0.5f : n->lo;
    n->hi = op == QF_OP_CLIP ? 6 : n->hi;
  }
  push (b, n->out, x.c, x.h, x.w);
}

static void
slice (Builder *b)
{
  Item x = pick (b, 2);
  int axis = 1 + below (b, 3), dim = axis == 1 ? x.c : axis == 2 ? x.h : x.w;
  int cut = 1 + below (b, dim - 1);

  for (int i = 0; i < 2; i++) { /* Split: both parts */
    QfNode *n = add (b, QF_OP_SLICE, 1, &x.value);
    int size = i ? dim - cut : cut;

    n->axis = axis;
    n->begin = i ? cut : 0;
    n->end = i ? dim : cut;
    push (b, n->out, axis == 1 ? size : x.c, axis == 2 ? size : x.h,
        axis == 3 ? size : x.w);
  }
}

static void
concat (Builder *b)
{
  Item x = pick (b, 1), y = conv (b, x, 2 + below (b, 4), 3, FALSE);
  int in[3] = { x.value, y.value, x.value };
  int n = 2 + below (b, 2);

  if (y.h != x.h || y.w != x.w) {
    push (b, y.value, y.c, y.h, y.w);
    y = conv (b, x, 3, 1, TRUE);
    in[1] = y.value;
  }
  push (b, add (b, QF_OP_CONCAT, n, in)->out, y.c + (n - 1) * x.c, x.h, x.w);
}

static void
resize (Builder *b)
{
  Item x = pick (b, 1);
  QfNode *n = add (b, QF_OP_RESIZE_NEAREST, 1, &x.value);

  n->scale_h = 1 + below (b, 2);
  n->scale_w = 2;
  push (b, n->out, x.c, x.h * n->scale_h, x.w * 2);
}

static void
gemm (Builder *b)
{
  Item x = pick (b, 1);
  QfNode *n = add (b, QF_OP_FLATTEN, 1, &x.value);
  gint64 dims[2] = { 5, x.c * x.h * x.w }, bdims[1] = { 5 };
  int in[3] = { n->out, floats (b, 2, dims, -0.2, 0.2),
    floats (b, 1, bdims, -0.2, 0.2) };

  n = add (b, QF_OP_GEMM, 3, in);
  n->name[0] = 'g';
  g_array_append_val (b->g->outputs, n->out);
}

static void
add_operator (Builder *b, int which)
{
  static const QfOp functions[] = { QF_OP_RELU, QF_OP_CLIP, QF_OP_SIGMOID,
    QF_OP_LEAKY_RELU, QF_OP_HARD_SWISH, QF_OP_SILU };

  if (which < 6) {
    function (b, functions[which]);
  } else if (which == 6 || which == 7) {
    two (b, which == 6 ? QF_OP_ADD : QF_OP_MUL);
  } else if (which == 8 || which == 9) {
    pool (b, which == 8 ? QF_OP_MAX_POOL : QF_OP_AVERAGE_POOL);
  } else if (which == 10) {
    slice (b);
  } else if (which == 11) {
    concat (b);
  } else if (which == 12) {
    resize (b);
  } else if (which == 13) {
    gemm (b);
  } else if (which == 14) {
    Item x = pick (b, 1);

    push (b, batch_norm (b, x.value, x.c), x.c, x.h, x.w);
  } else {
    Item x = conv (b, pick (b, 1), 2 + 2 * below (b, 4), 3, FALSE);

    push (b, x.value, x.c, x.h, x.w);
  }
}

QfGraph *
test_graph_random (QfRng *rng, gboolean from_codes)
{
  Builder b = { qf_graph_new (), rng,
    g_array_new (FALSE, FALSE, sizeof (Item)), 0 };
  gint64 dims[4] = { 1, 3, 8, 10 };
  const float scale = 1.0f / 64;
  const guint8 zero = 128;
  int x = qf_graph_add_value (b.g, "planes", from_codes ? QF_U8 : QF_F32, 4,
      dims);
  int order[16], n_items;
  GError *error = NULL;
  Item first;

  g_array_append_val (b.g->inputs, x);
  if (from_codes) {
    int dq[3] = { x,
      qf_graph_add_constant (b.g, "in.scale", QF_F32, 0, NULL, &scale),
      qf_graph_add_constant (b.g, "in.zero", QF_U8, 0, NULL, &zero) };

    x = qf_graph_add_node (b.g, QF_OP_DEQUANTIZE, "in.dq", 3, dq)->out;
  }
  first = conv (&b, (Item){ x, 3, 8, 10, FALSE }, 6, 3, FALSE);
  push (&b, first.value, first.c, first.h, first.w);
  for (int i = 0; i < 16; i++)
    order[i] = i;
  for (int i = 15; i > 0; i--) {
    int k = below (&b, i + 1), t = order[i];

    order[i] = order[k];
    order[k] = t;
  }
  for (int i = 0; i < 16; i++)
    add_operator (&b, order[i]);
  n_items = (int) b.items->len;
  for (int i = 0; i < n_items; i++) {
    Item item = g_array_index (b.items, Item, i), y;

    if (item.read)
      continue;
    y = conv (&b, item, 2, 1, TRUE);
    if (below (&b, 4) == 0)
      y.value = add (&b, QF_OP_SIGMOID, 1, &y.value)->out;
    g_array_append_val (b.g->outputs, y.value);
  }
  g_array_unref (b.items);
  if (!qf_graph_validate (b.g, &error))
    g_error ("%s", error->message);
  return b.g;
}
