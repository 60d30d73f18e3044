/* libqfuse: cross-layer equalization.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Between two convolutions with nothing but Relu between them a channel may be
 * divided by any s > 0 in the first and multiplied by it in the second. */
#include "model/quantize-private.h"

#include <math.h>

/* A channel is stretched at most so much: what hardly moves in the clips that
 * are observed may move in others. */
#define LEAST 0.25

/* The one layer that reads what @l makes, and only that; or NULL. */
static const QfQuantLayer *
next_layer (const QfQuantizer *q, const QfQuantLayer *l, const int *uses)
{
  if (uses[l->out] != 1 ||
      (l->act >= 0 && !qf_dag_is (qf_dag_node (q->dag, l->act), "Relu")))
    return NULL;
  for (guint i = 0; i < q->layers->len; i++) {
    const QfQuantLayer *m = &g_array_index (q->layers, QfQuantLayer, i);

    if (m->in == l->out)
      return m;
  }
  return NULL;
}

static QfArray *
weights_of (const QfQuantizer *q, const QfQuantLayer *l)
{
  return &qf_dag_value (q->dag, qf_dag_node (q->dag, l->node)->in[1])->a;
}

/* Largest size of the weights that read channel @c. */
static double
weight_size (const QfArray *w, gint64 c, gboolean depthwise)
{
  gint64 taps = w->rank == 4 ? w->dims[2] * w->dims[3] : 1;
  const float *x = w->data;
  double top = 0;

  for (gint64 o = 0; o < (depthwise ? 1 : w->dims[0]); o++)
    for (gint64 k = 0; k < taps; k++) {
      gint64 at = depthwise ? c * taps + k : (o * w->dims[1] + c) * taps + k;

      top = MAX (top, fabs ((double) x[at]));
    }
  return top;
}

/* What each channel is divided by: in front of a depthwise convolution all of
 * its range, for there each channel has a scale of its own weights; else as
 * much as makes range and weights vary alike. */
static double *
divisors (const QfSeen *seen, const QfArray *w, gboolean depthwise)
{
  double *s = g_new (double, seen->channels), top = 0;

  for (int c = 0; c < seen->channels; c++) {
    double range = MAX (-(double) seen->low[c], (double) seen->high[c]);
    double size = depthwise ? 1 : weight_size (w, c, FALSE);

    s[c] = depthwise ? range : size > 0 ? sqrt (range / size) : 0;
    top = MAX (top, s[c]);
  }
  for (int c = 0; c < seen->channels; c++)
    s[c] = top > 0 && s[c] > 0 ? MAX (s[c] / top, LEAST) : 1;
  return s;
}

static void
scale_weights (QfArray *w, const double *s, gboolean of_inputs)
{
  gint64 taps = w->rank == 4 ? w->dims[2] * w->dims[3] : 1;
  float *x = w->data;

  for (gint64 o = 0; o < w->dims[0]; o++)
    for (gint64 i = 0; i < w->dims[1]; i++)
      for (gint64 k = 0; k < taps; k++) {
        float *at = &x[(o * w->dims[1] + i) * taps + k];

        *at = (float) (of_inputs ? *at * s[i] : *at / s[o]);
      }
}

static void
equalize (QfQuantizer *q, const QfQuantLayer *a, const QfQuantLayer *b)
{
  const QfDagNode *na = qf_dag_node (q->dag, a->node);
  const QfDagNode *nb = qf_dag_node (q->dag, b->node);
  QfArray *wa = weights_of (q, a), *wb = weights_of (q, b);
  const QfSeen *seen = &q->seen[q->watch[a->out]];
  gint64 groups = qf_dag_int (nb, "group", 1);
  gboolean depthwise = groups > 1;
  g_autofree double *s = NULL;
  float *bias = na->n_in > 2 && na->in[2] >= 0
      ? qf_dag_value (q->dag, na->in[2])->a.data
      : NULL;

  if (!seen->low || seen->channels != wa->dims[0] ||
      (depthwise ? groups != wb->dims[0] || groups != seen->channels
                 : wb->dims[1] != seen->channels))
    return;
  s = divisors (seen, wb, depthwise);
  scale_weights (wa, s, FALSE);
  for (gint64 c = 0; bias && c < wa->dims[0]; c++)
    bias[c] = (float) (bias[c] / s[c]);
  if (depthwise) { /* one input a channel: that of its outputs */
    for (int c = 0; c < seen->channels; c++)
      s[c] = 1 / s[c];
    scale_weights (wb, s, FALSE);
  } else {
    scale_weights (wb, s, TRUE);
  }
}

void
qf_quantize_equalize (QfQuantizer *q)
{
  g_autofree int *uses = qf_dag_uses (q->dag);

  for (guint i = 0; i < q->layers->len; i++) {
    const QfQuantLayer *a = &g_array_index (q->layers, QfQuantLayer, i);
    const QfQuantLayer *b = next_layer (q, a, uses);

    /* weights that others read, too, stay */
    if (b && q->watch[a->out] >= 0 &&
        uses[qf_dag_node (q->dag, a->node)->in[1]] == 1 &&
        uses[qf_dag_node (q->dag, b->node)->in[1]] == 1 &&
        (qf_dag_node (q->dag, a->node)->n_in < 3 ||
            qf_dag_node (q->dag, a->node)->in[2] < 0 ||
            uses[qf_dag_node (q->dag, a->node)->in[2]] == 1))
      equalize (q, a, b);
  }
}
