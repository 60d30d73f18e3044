/* libqfuse: constants under QuantizeLinear and DequantizeLinear.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/passes-private.h"

#include <math.h>
#include <string.h>

/* Which scale holds for element @i of a constant that a node quantizes along
 * `axis`. */
typedef struct
{
  const float *scale;
  const QfValue *zero;
  gint64 n;     /* scales */
  gint64 inner; /* elements of one step along the axis */
} Scales;

static Scales
scales_of (const QfGraph *g, const QfNode *n)
{
  const QfValue *s = qf_graph_value (g, n->in[1]);
  const QfValue *x = qf_graph_value (g, n->in[0]);
  Scales r = { .scale = s->data, .n = qf_value_elements (s), .inner = 1 };

  if (n->n_in > 2 && n->in[2] >= 0)
    r.zero = qf_graph_value (g, n->in[2]);
  for (int i = n->axis + 1; r.n > 1 && i < x->rank; i++)
    r.inner *= x->dims[i];
  return r;
}

static int
code_at (const QfValue *v, gint64 i)
{
  switch (v->dtype) {
    case QF_U8:
      return ((const guint8 *) v->data)[i];
    case QF_I8:
      return ((const gint8 *) v->data)[i];
    default:
      return ((const gint32 *) v->data)[i];
  }
}

static float
scale_at (const Scales *s, gint64 element, int *zero)
{
  gint64 i = s->n > 1 ? element / s->inner % s->n : 0;

  *zero = s->zero ? code_at (s->zero, i) : 0;
  return s->scale[i];
}

/* Elements of a float constant or of a dequantized one, or NULL. */
static float *
constant_floats (const QfRewrite *rw, int value)
{
  const QfValue *v = qf_graph_value (rw->g, value), *codes;
  const QfNode *dq = qf_rewrite_maker (rw, value);
  gint64 n = qf_value_elements (v);
  float *x;
  Scales s;

  if (v->data)
    return v->dtype == QF_F32 ? g_memdup2 (v->data, (gsize) n * sizeof (float))
                              : NULL;
  if (!dq || dq->op != QF_OP_DEQUANTIZE)
    return NULL;
  codes = qf_graph_value (rw->g, dq->in[0]);
  if (!codes->data)
    return NULL;
  x = g_new (float, n);
  s = scales_of (rw->g, dq);
  for (gint64 i = 0; i < n; i++) {
    int zero;
    float scale = scale_at (&s, i, &zero);

    /* as ONNX defines it: the difference is exact, then one product */
    x[i] = (float) ((gint64) code_at (codes, i) - zero) * scale;
  }
  return x;
}

void
qf_pass_quantized_constants (QfRewrite *rw)
{
  for (guint i = 0; i < rw->g->nodes->len; i++) {
    QfNode *q = qf_graph_node (rw->g, (int) i);
    g_autofree float *x = NULL;
    guint8 *codes;
    QfValue *out;
    gint64 n;
    Scales s;

    if (q->op != QF_OP_QUANTIZE || !(x = constant_floats (rw, q->in[0])))
      continue;
    out = qf_graph_value (rw->g, q->out);
    n = qf_value_elements (out);
    s = scales_of (rw->g, q);
    codes = g_malloc ((gsize) n);
    for (gint64 k = 0; k < n; k++) {
      int zero;
      float y = rintf (x[k] / scale_at (&s, k, &zero)) + (float) zero;

      if (out->dtype == QF_I8)
        ((gint8 *) codes)[k] = (gint8) CLAMP (y, -128, 127);
      else
        codes[k] = (guint8) CLAMP (y, 0, 255);
    }
    qf_value_take (out, codes);
    qf_rewrite_drop (q);
  }
  qf_rewrite_update (rw);
}

void
qf_pass_dequantized_constants (QfRewrite *rw)
{
  for (guint i = 0; i < rw->g->nodes->len; i++) {
    QfNode *dq = qf_graph_node (rw->g, (int) i);

    if (dq->op != QF_OP_DEQUANTIZE || !qf_graph_value (rw->g, dq->in[0])->data)
      continue;
    qf_value_take (
        qf_graph_value (rw->g, dq->out), constant_floats (rw, dq->out));
    qf_rewrite_drop (dq);
  }
  qf_rewrite_update (rw);
}

/* ---- weights of a uint8 operator ---------------------------------------- */

/* Weights and bias in the making; codes and scales end up in constants. */
typedef struct
{
  gint64 channels, taps;
  const gint8 *codes; /* [channels][taps] */
  gint8 *own;         /* NULL: they are the file's */
  float *scales;      /* [channels] */
  gint32 *bias;       /* [channels] or NULL */
  int bits;           /* as QfValue's */
} Weights;

/* Codes of −127 … 127 from int8 with zero point 0 or uint8 with 128; of 4 bits
 * −8 … 7, uint4 with zero point 8. */
static gboolean
read_codes (const QfRewrite *rw, const QfNode *dq, Weights *w)
{
  const QfValue *codes = qf_graph_value (rw->g, dq->in[0]);
  int middle = codes->dtype != QF_U8 ? 0 : codes->bits ? 8 : 128;
  gint64 n = w->channels * w->taps;
  Scales s = scales_of (rw->g, dq);

  if (codes->dtype != QF_I8 && codes->dtype != QF_U8)
    return FALSE;
  if (s.n > 1 && (s.n != w->channels || s.inner != w->taps))
    return FALSE; /* not along the output channels */
  for (gint64 c = 0; c < w->channels; c++) {
    int zero;

    w->scales[c] = scale_at (&s, c * w->taps, &zero);
    if (zero != middle)
      return FALSE;
  }
  /* −128 is the one code too many, in bytes 128 of int8 and 0 of uint8 */
  if (!codes->bits && memchr (codes->data, middle ? 0 : 128, (gsize) n))
    return FALSE;
  w->codes = codes->data;
  w->bits = codes->bits;
  if (middle) {
    const guint8 *from = codes->data;

    w->codes = w->own = g_new (gint8, n);
    for (gint64 i = 0; i < n; i++)
      w->own[i] = (gint8) (from[i] - middle);
  }
  return TRUE;
}

/* The bias at scale s_x·s_w. Codes stay where that is their scale already. */
static gboolean
read_bias (const QfRewrite *rw, int value, float scale_x, Weights *w)
{
  const QfValue *b = qf_graph_value (rw->g, value), *codes = NULL;
  Scales s = { 0 };

  if (!b->data) {
    const QfNode *dq = qf_rewrite_maker (rw, value);

    codes = qf_graph_value (rw->g, dq->in[0]);
    s = scales_of (rw->g, dq);
    if (!codes->data)
      return FALSE;
  }
  w->bias = g_new (gint32, w->channels);
  for (gint64 c = 0; c < w->channels; c++) {
    float k = scale_x * w->scales[c];
    double code;

    if (codes) {
      int zero;
      float scale = scale_at (&s, c, &zero);

      code = (double) code_at (codes, c) - zero;
      if (fabsf (scale - k) > 1e-5f * k)
        code = rint (code * scale / k);
    } else {
      code = rint ((double) ((const float *) b->data)[c] / k);
    }
    if (!(fabs (code) <= G_MAXINT32)) /* NaN as well */
      return FALSE;
    w->bias[c] = (gint32) code;
  }
  return TRUE;
}

/* 255·Σ|w| + |bias| < 2^31 for each channel, and multipliers are numbers. */
static gboolean
stays_in_range (const Weights *w, float scale_x, float scale_y)
{
  for (gint64 c = 0; c < w->channels; c++) {
    gint64 sum;
    float k = scale_x * w->scales[c];

    sum = 255 * qf_sum_of_sizes (w->codes + c * w->taps, w->taps);
    if (w->bias)
      sum += ABS ((gint64) w->bias[c]);
    if (sum > G_MAXINT32 || !isnormal (k) || !isfinite (k / scale_y))
      return FALSE;
  }
  return TRUE;
}

static void
set_weights (QfRewrite *rw, QfNode *n, int x, int y, Weights *w)
{
  g_autofree char *name = g_strconcat (n->name, "_codes", NULL);
  const QfValue *old = qf_graph_value (rw->g, n->in[1]);
  QfValue *codes;
  int in[3] = { x, -1, -1 };

  in[1] = qf_graph_add_value (rw->g, name, QF_I8, old->rank, old->dims);
  codes = qf_graph_value (rw->g, in[1]);
  if (w->own)
    qf_value_take (codes, g_steal_pointer (&w->own));
  else
    qf_value_share (
        codes, qf_graph_value (rw->g, qf_rewrite_maker (rw, n->in[1])->in[0]));
  codes->bits = w->bits;
  codes->scales = g_steal_pointer (&w->scales);
  if (w->bias)
    in[2] = qf_rewrite_add_constant (
        rw, n->name, "_bias_codes", QF_I32, 1, &w->channels, w->bias);
  qf_rewrite_set_inputs (n, w->bias ? 3 : 2, in);
  qf_rewrite_set_out (rw, n, y);
}

gboolean
qf_quantize_weights (QfRewrite *rw, QfNode *n, int x, int y)
{
  const QfValue *old = qf_graph_value (rw->g, n->in[1]);
  const QfNode *dq = qf_rewrite_maker (rw, n->in[1]);
  float scale_x = qf_graph_value (rw->g, x)->scale;
  float scale_y = qf_graph_value (rw->g, y)->scale;
  Weights w = { .channels = old->dims[0] };
  gboolean ok;

  if (old->data || !dq || !qf_graph_value (rw->g, dq->in[0])->data)
    return FALSE; /* float weights */
  w.taps = qf_value_elements (old) / w.channels;
  w.scales = g_new (float, w.channels);
  ok = read_codes (rw, dq, &w) &&
      (n->n_in < 3 || n->in[2] < 0 || read_bias (rw, n->in[2], scale_x, &w)) &&
      stays_in_range (&w, scale_x, scale_y);
  if (ok)
    set_weights (rw, n, x, y, &w);
  g_free (w.own);
  g_free (w.scales);
  g_free (w.bias);
  return ok;
}
