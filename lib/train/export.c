/* libqfuse: from the trainer's network to the graph that is written.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/conv-private.h"

#include <math.h>

typedef struct
{
  QfNet *net;
  QfGraph *g;
  int *value; /* blob → its float value (behind DequantizeLinear) */
  GHashTable *names; /* of values, so that each is there once */
} Exporter;

/* @name, or with a number where it is taken; free it. */
static char *
unique (Exporter *e, const char *name)
{
  char *made = g_strdup (name);

  for (int i = 2; g_hash_table_contains (e->names, made); i++) {
    g_free (made);
    made = g_strdup_printf ("%s.%d", name, i);
  }
  g_hash_table_add (e->names, g_strdup (made));
  return made;
}

static QfNode *
add_node (Exporter *e, QfOp op, const char *name, int n_in, const int *in)
{
  g_autofree char *made = unique (e, name);

  return qf_graph_add_node (e->g, op, made, n_in, in);
}

static int
constant (Exporter *e, const char *stem, const char *what, QfDType type,
    int n, const void *data)
{
  g_autofree char *full = g_strdup_printf ("%s.%s", stem, what);
  g_autofree char *name = unique (e, full);
  gint64 dims[1] = { n };

  return qf_graph_add_constant (e->g, name, type, n > 0 ? 1 : 0, dims, data);
}

static int
node (Exporter *e, QfOp op, const char *stem, const char *what, int n_in,
    const int *in)
{
  g_autofree char *name = g_strdup_printf ("%s.%s", stem, what);

  return add_node (e, op, name, n_in, in)->out;
}

/* QuantizeLinear and DequantizeLinear of a blob after @value. An output of the
 * graph keeps its plain name. */
static void
quantize_blob (Exporter *e, int blob, int value, gboolean is_output)
{
  QfBlob *b = qf_net_blob (e->net, blob);
  guint8 zero = (guint8) b->zero;
  int s = constant (e, b->name, "scale", QF_F32, 0, &b->scale);
  int z = constant (e, b->name, "zero", QF_U8, 0, &zero);
  int q = node (e, QF_OP_QUANTIZE, b->name, "q", 3, (int[]){ value, s, z });

  e->value[blob] = is_output
      ? qf_graph_add_node (e->g, QF_OP_DEQUANTIZE, b->name, 3,
            (int[]){ q, s, z })
            ->out
      : node (e, QF_OP_DEQUANTIZE, b->name, "dq", 3, (int[]){ q, s, z });
}

/* Fused int8 weights with their DequantizeLinear. */
static int
export_weights (Exporter *e, const QfLayer *l)
{
  const QfConvLayer *cv = l->conv;
  const QfConvShape *s = &cv->shape;
  int oc = s->out_c, w, scale, zero;
  gint64 dims[4] = { oc, s->in_c / s->groups, s->kernel_h, s->kernel_w };
  g_autofree gint8 *codes = g_new (gint8, (gsize) oc * cv->k);
  g_autofree gint8 *zeros = g_new0 (gint8, oc);
  g_autofree char *name = g_strdup_printf ("%s.weight", l->name);
  g_autofree char *made = NULL;
  QfNode *dq;

  for (int o = 0; o < oc; o++)
    for (int i = 0; i < cv->k; i++) {
      gsize at = (gsize) o * cv->k + i;

      codes[at] = (gint8) (cv->sign[o] * cv->codes_onnx[at]);
    }
  made = unique (e, name);
  w = qf_graph_add_constant (e->g, made, QF_I8, 4, dims, codes);
  qf_graph_value (e->g, w)->bits = cv->top == 7 ? 4 : 0;
  scale = constant (e, l->name, "weight_scale", QF_F32, oc, cv->fused_scale);
  zero = constant (e, l->name, "weight_zero", QF_I8, oc, zeros);
  qf_graph_value (e->g, zero)->bits = cv->top == 7 ? 4 : 0;
  g_free (name);
  name = g_strdup_printf ("%s.weight_dq", l->name);
  dq = add_node (e, QF_OP_DEQUANTIZE, name, 3,
      (int[]){ w, scale, zero });
  dq->axis = 0;
  return dq->out;
}

static int
export_bias (Exporter *e, const QfLayer *l, float s_x)
{
  const QfConvLayer *cv = l->conv;
  int oc = cv->shape.out_c, b, scale, zero;
  g_autofree float *k = g_new (float, oc);
  g_autofree gint32 *zeros = g_new0 (gint32, oc);
  g_autofree char *name = g_strdup_printf ("%s.bias_dq", l->name);
  QfNode *dq;

  for (int c = 0; c < oc; c++)
    k[c] = s_x * cv->fused_scale[c];
  b = constant (e, l->name, "bias", QF_I32, oc, cv->bias_code);
  scale = constant (e, l->name, "bias_scale", QF_F32, oc, k);
  zero = constant (e, l->name, "bias_zero", QF_I32, oc, zeros);
  dq = add_node (e, QF_OP_DEQUANTIZE, name, 3,
      (int[]){ b, scale, zero });
  dq->axis = 0;
  return dq->out;
}

static int
export_conv (Exporter *e, QfLayer *l)
{
  const QfConvShape *s = &l->conv->shape;
  int in[3];
  QfNode *n;
  /* An output's plain name is its DequantizeLinear's. */
  const char *y = qf_net_blob (e->net, l->out)->name;
  g_autofree char *name
      = g_strconcat (l->name, g_str_equal (l->name, y) ? ".conv" : "", NULL);
  /* The right and bottom padding is what the output's size needs, or what is
   * left of the input. */
  int need_h = (s->out_h - 1) * s->stride_h + (s->kernel_h - 1) * s->dilation_h
      + 1 - s->in_h - s->pad_top;
  int need_w = (s->out_w - 1) * s->stride_w + (s->kernel_w - 1) * s->dilation_w
      + 1 - s->in_w - s->pad_left;

  qf_conv_use_running (e->net, l);
  in[0] = e->value[l->in[0]];
  in[1] = export_weights (e, l);
  in[2] = export_bias (e, l, qf_net_blob (e->net, l->in[0])->scale);
  n = add_node (e, QF_OP_CONV, name, 3, in);
  n->win = (QfWindow){ { s->kernel_h, s->kernel_w },
    { s->stride_h, s->stride_w }, { s->dilation_h, s->dilation_w },
    { s->pad_top, s->pad_left, MAX (need_h, 0), MAX (need_w, 0) },
    s->groups };
  return n->out;
}

static int
export_simple (Exporter *e, const QfLayer *l)
{
  int in[QF_MAX_INPUTS];
  QfNode *n;

  for (int i = 0; i < l->n_in; i++)
    in[i] = e->value[l->in[i]];
  n = add_node (e, l->node.op, l->name, l->n_in, in);
  if (l->kind != QF_LAYER_GLOBAL_AVG)
    n->win = l->node.win;
  n->axis = l->node.axis;
  n->begin = l->node.begin;
  n->end = l->node.end;
  n->include_pad = l->node.include_pad;
  n->alpha = l->node.alpha;
  n->lo = l->node.lo;
  n->hi = l->node.hi;
  n->scale_h = l->node.scale_h;
  n->scale_w = l->node.scale_w;
  return n->out;
}

/* The layer's bounds and, with fewer than 8 bits, those of the codes: numbers
 * that (1) makes code 0 and the largest one. */
static int
export_clip (Exporter *e, const QfLayer *l, int value)
{
  const QfBlob *y = qf_net_blob (e->net, l->out);
  float lo = l->clip ? l->clip_lo : -INFINITY;
  float hi = l->clip ? l->clip_hi : INFINITY;
  gboolean relu;
  g_autofree char *name = NULL;
  QfNode *n;

  if (y->top < 255 && !qf_simple_keeps_scale (l->kind)) {
    lo = MAX (lo, y->scale * (float) (0 - y->zero));
    hi = MIN (hi, y->scale * (float) (y->top - y->zero));
  }
  if (isinf (lo) && isinf (hi))
    return value;
  relu = lo == 0.0f && isinf (hi);
  name = g_strdup_printf ("%s.%s", l->name, relu ? "relu" : "clip");
  n = add_node (e, relu ? QF_OP_RELU : QF_OP_CLIP, name, 1, &value);
  n->lo = lo;
  n->hi = hi;
  return n->out;
}

static void
export_input (Exporter *e)
{
  QfBlob *b = qf_net_blob (e->net, e->net->input);
  gint64 dims[4] = { 1, b->c, b->h, b->w };
  guint8 zero = (guint8) b->zero;
  g_autofree char *name = unique (e, "planes");
  int x = qf_graph_add_value (e->g, name, QF_U8, 4, dims);
  int s = constant (e, "planes", "scale", QF_F32, 0, &b->scale);
  int z = constant (e, "planes", "zero", QF_U8, 0, &zero);

  g_array_append_val (e->g->inputs, x);
  e->value[e->net->input]
      = node (e, QF_OP_DEQUANTIZE, "planes", "dq", 3, (int[]){ x, s, z });
}

QfGraph *
qf_net_export (QfNet *net, GError **error)
{
  g_autoptr (QfGraph) g = qf_graph_new ();
  g_autofree int *value = g_new0 (int, net->blobs->len);
  g_autoptr (GHashTable) names
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  Exporter e = { net, g, value, names };

  if (!net->quantize) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "A network trained without quantization cannot be written");
    return NULL;
  }
  for (guint i = 0; i < net->outputs->len; i++)
    g_hash_table_add (names, g_strdup (qf_net_blob (net,
        g_array_index (net->outputs, int, i))->name));
  export_input (&e);
  for (guint i = 0; i < net->layers->len; i++) {
    QfLayer *l = qf_net_layer (net, (int) i);
    int v = l->kind == QF_LAYER_CONV ? export_conv (&e, l)
                                     : export_simple (&e, l);

    v = export_clip (&e, l, v);
    quantize_blob (&e, l->out, v, qf_net_is_output (net, l->out));
  }
  for (guint i = 0; i < net->outputs->len; i++) {
    int v = value[g_array_index (net->outputs, int, i)];

    g_array_append_val (g->outputs, v);
  }
  if (!qf_graph_validate (g, error))
    return NULL;
  return g_steal_pointer (&g);
}
