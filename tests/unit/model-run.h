/* Runs a graph, fused or not, literally: the reference of the tests.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every value is an array of double, which holds codes and numbers exactly.
 * With scales and weights that are powers of two the float form has no
 * rounding, so both forms of a graph must give the same bytes. */
#pragma once

#include "model/model-private.h"

#include <math.h>

static inline double
run_element (const QfValue *v, gint64 i)
{
  switch (v->dtype) {
    case QF_F32:
      return ((const float *) v->data)[i];
    case QF_U8:
      return ((const guint8 *) v->data)[i];
    case QF_I8:
      return ((const gint8 *) v->data)[i];
    default:
      return ((const gint32 *) v->data)[i];
  }
}

static inline double
run_quantize (double x, float scale, int zero, QfDType type)
{
  double lo = type == QF_I8 ? -128 : 0, hi = type == QF_I8 ? 127 : 255;

  return CLAMP (rint ((double) ((float) x / scale)) + zero, lo, hi);
}

static inline double
run_sigmoid (double x)
{
  return (double) (float) (1 / (1 + exp (-x)));
}

static inline double
run_act (const QfNode *n, double x)
{
  if (n->act == QF_ACT_CLIP)
    return fmin (fmax (x, (double) n->act_lo), (double) n->act_hi);
  return n->act == QF_ACT_FUNCTION ? run_sigmoid (x) : x;
}

/* A number that a layer on codes computed, as a code of @out. */
static inline double
run_code (const QfNode *n, const QfValue *out, double x)
{
  if (n->act == QF_ACT_FUNCTION) {
    double t = run_quantize (x, n->act_scale, n->act_zero, QF_U8);

    x = (t - n->act_zero) * (double) n->act_scale;
  }
  return run_quantize (run_act (n, x), out->scale, out->zero, QF_U8);
}

static inline void
run_layer (const QfGraph *g, const QfNode *n, double **val)
{
  const QfValue *x = qf_graph_value (g, n->in[0]);
  const QfValue *w = qf_graph_value (g, n->in[1]);
  const QfValue *y = qf_graph_value (g, n->out);
  gboolean codes = y->dtype == QF_U8, conv = n->op == QF_OP_CONV;
  const double *b = n->n_in > 2 && n->in[2] >= 0 ? val[n->in[2]] : NULL;
  int ih = conv ? (int) x->dims[2] : 1, iw = conv ? (int) x->dims[3] : 1;
  int oh = conv ? (int) y->dims[2] : 1, ow = conv ? (int) y->dims[3] : 1;
  int kh = conv ? (int) w->dims[2] : 1, kw = conv ? (int) w->dims[3] : 1;
  int ic = (int) w->dims[1], oc = (int) y->dims[1];
  const QfWindow *win = &n->win;

  for (int o = 0; o < oc; o++)
    for (int r = 0; r < oh; r++)
      for (int c = 0; c < ow; c++) {
        double sum = b ? b[o] : 0;
        int first = conv ? o / (oc / win->groups) * ic : 0;

        for (int i = 0; i < ic; i++)
          for (int dy = 0; dy < kh; dy++)
            for (int dx = 0; dx < kw; dx++) {
              int yy = r * win->stride[0] + dy * win->dilation[0] - win->pad[0];
              int xx = c * win->stride[1] + dx * win->dilation[1] - win->pad[1];

              if (yy < 0 || yy >= ih || xx < 0 || xx >= iw)
                continue;
              sum += val[n->in[1]][((o * ic + i) * kh + dy) * kw + dx] *
                  (val[n->in[0]][((first + i) * ih + yy) * iw + xx] -
                      (codes ? x->zero : 0));
            }
        val[n->out][(o * oh + r) * ow + c] = codes
            ? run_code (n, y, sum * (double) (x->scale * w->scales[o]))
            : run_act (n, sum);
      }
}

static inline void
run_pool (const QfGraph *g, const QfNode *n, double **val)
{
  const QfValue *x = qf_graph_value (g, n->in[0]);
  const QfValue *y = qf_graph_value (g, n->out);
  int ih = (int) x->dims[2], iw = (int) x->dims[3], oh = (int) y->dims[2];
  int ow = (int) y->dims[3];
  const QfWindow *win = &n->win;

  for (int i = 0; i < (int) y->dims[1] * oh * ow; i++) {
    int c = i / (oh * ow), r = i / ow % oh, s = i % ow;
    double max = -INFINITY;

    for (int dy = 0; dy < win->kernel[0]; dy++)
      for (int dx = 0; dx < win->kernel[1]; dx++) {
        int yy = r * win->stride[0] + dy * win->dilation[0] - win->pad[0];
        int xx = s * win->stride[1] + dx * win->dilation[1] - win->pad[1];

        if (yy >= 0 && yy < ih && xx >= 0 && xx < iw)
          max = fmax (max, val[n->in[0]][(c * ih + yy) * iw + xx]);
      }
    val[n->out][i] = max;
  }
}

static inline void
run_concat (const QfGraph *g, const QfNode *n, double **val)
{
  const QfValue *y = qf_graph_value (g, n->out);
  gint64 outer = 1, inner = 1, at = 0;

  for (int i = 0; i < n->axis; i++)
    outer *= y->dims[i];
  for (int i = n->axis + 1; i < y->rank; i++)
    inner *= y->dims[i];
  for (int k = 0; k < n->n_in; k++) {
    gint64 d = qf_graph_value (g, n->in[k])->dims[n->axis];

    for (gint64 o = 0; o < outer; o++)
      for (gint64 i = 0; i < d * inner; i++)
        val[n->out][(o * y->dims[n->axis] + at) * inner + i] =
            val[n->in[k]][o * d * inner + i];
    at += d;
  }
}

static inline void
run_average (const QfGraph *g, const QfNode *n, double **val)
{
  const QfValue *x = qf_graph_value (g, n->in[0]);
  const QfValue *y = qf_graph_value (g, n->out);
  gint64 plane = x->dims[2] * x->dims[3];

  for (gint64 c = 0; c < y->dims[1]; c++) {
    double sum = 0;

    for (gint64 i = 0; i < plane; i++)
      sum += val[n->in[0]][c * plane + i];
    sum /= (double) plane;
    val[n->out][c] = y->dtype == QF_F32
        ? run_act (n, sum)
        : run_quantize (run_act (n, (sum - x->zero) * (double) x->scale),
              y->scale, y->zero, QF_U8);
  }
}

static inline void
run_batch_norm (const QfGraph *g, const QfNode *n, double **val)
{
  const QfValue *x = qf_graph_value (g, n->in[0]);
  gint64 plane = qf_value_elements (x) / x->dims[1];

  for (gint64 i = 0; i < qf_value_elements (x); i++) {
    gint64 c = i / plane;

    val[n->out][i] = (val[n->in[0]][i] - val[n->in[3]][c]) /
            sqrt (val[n->in[4]][c] + (double) n->epsilon) * val[n->in[1]][c] +
        val[n->in[2]][c];
  }
}

/* QuantizeLinear and DequantizeLinear from their constants, per axis or not. */
static inline double
run_requantize (
    const QfGraph *g, const QfNode *n, gint64 i, double x, double **val)
{
  const QfValue *v = qf_graph_value (g, n->in[0]);
  gint64 n_scales = qf_value_elements (qf_graph_value (g, n->in[1])), inner = 1;
  gint64 s = 0;
  int zero;

  for (int k = n->axis + 1; k < v->rank; k++)
    inner *= v->dims[k];
  if (n_scales > 1)
    s = i / inner % n_scales;
  zero = n->n_in > 2 && n->in[2] >= 0 ? (int) val[n->in[2]][s] : 0;
  return n->op == QF_OP_DEQUANTIZE
      ? (x - zero) * val[n->in[1]][s]
      : run_quantize (x, (float) val[n->in[1]][s], zero,
            qf_graph_value (g, n->out)->dtype);
}

/* Operators that make element i of element i. */
static inline double
run_pointwise (const QfGraph *g, const QfNode *n, gint64 i, double **val)
{
  const QfValue *v = qf_graph_value (g, n->in[0]);
  const QfValue *y = qf_graph_value (g, n->out);
  gboolean codes = n->op != QF_OP_QUANTIZE && y->dtype == QF_U8;
  double x = val[n->in[0]][i];

  if (n->op == QF_OP_QUANTIZE || n->op == QF_OP_DEQUANTIZE)
    return run_requantize (g, n, i, x, val);
  if (n->op == QF_OP_FLATTEN)
    return x;
  if (codes)
    x = (x - v->zero) * (double) v->scale;
  if (n->op == QF_OP_ADD) {
    const QfValue *u = qf_graph_value (g, n->in[1]);
    double other = val[n->in[1]][i];

    x += codes ? (other - u->zero) * (double) u->scale : other;
    x = run_act (n, x);
  } else if (n->op == QF_OP_SIGMOID) {
    x = run_sigmoid (x);
  } else {
    double lo = n->op == QF_OP_RELU ? 0 : (double) n->lo;

    x = fmin (fmax (x, lo), n->op == QF_OP_RELU ? INFINITY : (double) n->hi);
  }
  if (n->op != QF_OP_ADD)
    x = run_act (n, x);
  return codes ? run_quantize (x, y->scale, y->zero, QF_U8) : x;
}

static inline void
run_resize (const QfGraph *g, const QfNode *n, double **val)
{
  const QfValue *y = qf_graph_value (g, n->out);
  int oh = (int) y->dims[2], ow = (int) y->dims[3];

  for (int i = 0; i < (int) y->dims[1] * oh * ow; i++) {
    int c = i / (oh * ow), r = i / ow % oh / n->scale_h;

    val[n->out][i] =
        val[n->in[0]][(c * (oh / n->scale_h) + r) * (ow / n->scale_w) +
            i % ow / n->scale_w];
  }
}

/* Runs @g on @input; returns one array a value, to be freed with run_free(). */
static inline double **
run_graph (const QfGraph *g, const double *input)
{
  double **val = g_new0 (double *, g->values->len);
  int in = g_array_index (g->inputs, int, 0);

  for (guint i = 0; i < g->values->len; i++) {
    const QfValue *v = qf_graph_value (g, (int) i);
    gint64 n = qf_value_elements (v);

    val[i] = g_new0 (double, n);
    for (gint64 k = 0; v->data && k < n; k++)
      val[i][k] = run_element (v, k);
    for (gint64 k = 0; (int) i == in && k < n; k++)
      val[i][k] = input[k];
  }
  for (guint i = 0; i < g->nodes->len; i++) {
    const QfNode *n = qf_graph_node (g, (int) i);
    gint64 elements = qf_value_elements (qf_graph_value (g, n->out));

    switch (n->op) {
      case QF_OP_CONV:
      case QF_OP_GEMM:
        run_layer (g, n, val);
        break;
      case QF_OP_BATCH_NORM:
        run_batch_norm (g, n, val);
        break;
      case QF_OP_MAX_POOL:
        run_pool (g, n, val);
        break;
      case QF_OP_CONCAT:
        run_concat (g, n, val);
        break;
      case QF_OP_GLOBAL_AVG_POOL:
        run_average (g, n, val);
        break;
      case QF_OP_RESIZE_NEAREST:
        run_resize (g, n, val);
        break;
      default:
        for (gint64 k = 0; k < elements; k++)
          val[n->out][k] = run_pointwise (g, n, k, val);
    }
  }
  return val;
}

static inline void
run_free (const QfGraph *g, double **val)
{
  for (guint i = 0; i < g->values->len; i++)
    g_free (val[i]);
  g_free (val);
}

/* Output @i as real numbers, whatever its form. */
static inline double
run_output (const QfGraph *g, double **val, guint i, gint64 element)
{
  int o = g_array_index (g->outputs, int, i);
  const QfValue *v = qf_graph_value (g, o);
  double x = val[o][element];

  return v->dtype == QF_U8 && v->scale > 0 ? (x - v->zero) * (double) v->scale
                                           : x;
}
