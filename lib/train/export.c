/* libqfuse: from the trainer's network to the graph that is written.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/conv-private.h"

#include <math.h>

typedef struct
{
  QfNet *net;
  QfGraph *g;
  int *value; /* blob → its float value (behind DequantizeLinear) */
} Exporter;

static int
constant (Exporter *e, const char *stem, const char *what, QfDType type,
    int n, const void *data)
{
  g_autofree char *name = g_strdup_printf ("%s.%s", stem, what);
  gint64 dims[1] = { n };

  return qf_graph_add_constant (e->g, name, type, n > 0 ? 1 : 0, dims, data);
}

static int
node (Exporter *e, QfOp op, const char *stem, const char *what, int n_in,
    const int *in)
{
  g_autofree char *name = g_strdup_printf ("%s.%s", stem, what);

  return qf_graph_add_node (e->g, op, name, n_in, in)->out;
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
  QfNode *dq;

  for (int o = 0; o < oc; o++)
    for (int i = 0; i < cv->k; i++) {
      gsize at = (gsize) o * cv->k + i;

      codes[at] = (gint8) (cv->sign[o] * cv->codes_onnx[at]);
    }
  w = qf_graph_add_constant (e->g, name, QF_I8, 4, dims, codes);
  scale = constant (e, l->name, "weight_scale", QF_F32, oc, cv->fused_scale);
  zero = constant (e, l->name, "weight_zero", QF_I8, oc, zeros);
  g_free (name);
  name = g_strdup_printf ("%s.weight_dq", l->name);
  dq = qf_graph_add_node (e->g, QF_OP_DEQUANTIZE, name, 3,
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
  dq = qf_graph_add_node (e->g, QF_OP_DEQUANTIZE, name, 3,
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
  n = qf_graph_add_node (e->g, QF_OP_CONV, name, 3, in);
  n->win = (QfWindow){ { s->kernel_h, s->kernel_w },
    { s->stride_h, s->stride_w }, { s->dilation_h, s->dilation_w },
    { s->pad_top, s->pad_left, MAX (need_h, 0), MAX (need_w, 0) },
    s->groups };
  return n->out;
}

static int
export_simple (Exporter *e, const QfLayer *l)
{
  static const QfOp ops[] = {
    [QF_LAYER_ADD] = QF_OP_ADD,
    [QF_LAYER_CONCAT] = QF_OP_CONCAT,
    [QF_LAYER_MAX_POOL] = QF_OP_MAX_POOL,
    [QF_LAYER_GLOBAL_AVG] = QF_OP_GLOBAL_AVG_POOL,
    [QF_LAYER_RESIZE] = QF_OP_RESIZE_NEAREST,
    [QF_LAYER_SIGMOID] = QF_OP_SIGMOID,
  };
  int in[QF_MAX_INPUTS];
  QfNode *n;

  for (int i = 0; i < l->n_in; i++)
    in[i] = e->value[l->in[i]];
  n = qf_graph_add_node (e->g, ops[l->kind], l->name, l->n_in, in);
  n->win = l->win;
  n->axis = 1;
  n->scale_h = l->factor_h;
  n->scale_w = l->factor_w;
  return n->out;
}

static int
export_clip (Exporter *e, const QfLayer *l, int value)
{
  gboolean relu = l->clip_lo == 0.0f && isinf (l->clip_hi);
  g_autofree char *name
      = g_strdup_printf ("%s.%s", l->name, relu ? "relu" : "clip");
  QfNode *n = qf_graph_add_node (e->g, relu ? QF_OP_RELU : QF_OP_CLIP, name, 1,
      &value);

  n->lo = l->clip_lo;
  n->hi = l->clip_hi;
  return n->out;
}

static void
export_input (Exporter *e)
{
  QfBlob *b = qf_net_blob (e->net, e->net->input);
  gint64 dims[4] = { 1, b->c, b->h, b->w };
  guint8 zero = (guint8) b->zero;
  int x = qf_graph_add_value (e->g, "planes", QF_U8, 4, dims);
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
  Exporter e = { net, g, value };

  if (!net->quantize) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "A network trained without quantization cannot be written");
    return NULL;
  }
  export_input (&e);
  for (guint i = 0; i < net->layers->len; i++) {
    QfLayer *l = qf_net_layer (net, (int) i);
    int v = l->kind == QF_LAYER_CONV ? export_conv (&e, l)
                                     : export_simple (&e, l);

    if (l->clip)
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
