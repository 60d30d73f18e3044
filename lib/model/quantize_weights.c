/* libqfuse: a layer's weights and bias as codes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/quantize-private.h"

#include <math.h>

#define MAX_BIAS 1073741824.0 /* 2^30 */
#define MAX_SUM G_MAXINT32    /* 255·Σ|w| + |bias| */

typedef struct
{
  gint64 channels, taps; /* taps: products of an output */
  const float *w, *b;    /* b NULL: none */
  gint8 *codes;
  gint32 *bias;
  float *scale, *bias_scale; /* of each channel */
} Layer;

/* Codes of channel @c with scale max|w|/127, or more where the bias would not
 * fit; docs/numerics.md. */
static void
quantize_channel (Layer *l, gint64 c, float in_scale)
{
  const float *w = l->w + c * l->taps;
  double top = 0, step, b = l->b ? l->b[c] : 0;

  for (gint64 i = 0; i < l->taps; i++)
    top = MAX (top, fabs ((double) w[i]));
  step = top > 0 ? top / 127 : 1;
  if (fabs (b) > MAX_BIAS * step * in_scale)
    step = fabs (b) / (MAX_BIAS * in_scale);
  l->scale[c] = (float) MAX (step, 1e-30);
  step = l->scale[c];
  for (gint64 i = 0; i < l->taps; i++)
    l->codes[c * l->taps + i] =
        (gint8) CLAMP (rint (top > 0 && step <= top / 127 * 1.0001
                               ? 127 * ((double) w[i] / top)
                               : w[i] / step),
            -127, 127);
}

/* Mean of what the codes of channel @c make too much, by the means of the input
 * channels: [channels][ic][window], in groups. */
static double
mean_error (
    const Layer *l, gint64 c, const double *mean, gint64 ic, gint64 first)
{
  gint64 window = l->taps / ic;
  double sum = 0;

  for (gint64 i = 0; i < ic; i++)
    for (gint64 k = 0; k < window; k++) {
      gint64 at = c * l->taps + i * window + k;

      sum += ((double) l->codes[at] * l->scale[c] - l->w[at]) * mean[first + i];
    }
  return sum;
}

/* FALSE: its accumulator could overflow. */
static gboolean
set_bias (Layer *l, gint64 c, float in_scale, double correction)
{
  float k = in_scale * l->scale[c];
  double code = rint (((l->b ? l->b[c] : 0) - correction) / k);
  gint64 sum = 0;

  l->bias_scale[c] = k;
  if (!isnormal (k) || !(fabs (code) <= 2 * MAX_BIAS - 1))
    return FALSE;
  l->bias[c] = (gint32) code;
  for (gint64 i = 0; i < l->taps; i++)
    sum += ABS (l->codes[c * l->taps + i]);
  return 255 * sum + ABS ((gint64) l->bias[c]) <= MAX_SUM;
}

/* A dequantized constant with one scale a channel. */
static int
add_codes (QfDagEdit *e, const char *stem, const char *suffix, QfDType dtype,
    int rank, const gint64 *dims, const void *codes, int scale)
{
  g_autofree char *name = g_strconcat (stem, suffix, NULL);
  g_autofree gint8 *zeros = g_new0 (gint8, dims[0]);
  int in[3] = { -1, scale, -1 }, out, n_in = 2;

  in[0] = qf_dag_add_constant (e, name, "_codes", dtype, rank, dims, codes);
  if (dtype == QF_I8) /* int32 has none */
    in[n_in++] = qf_dag_add_constant (e, name, "_zero", dtype, 1, dims, zeros);
  out = qf_dag_add_value (e, name, "_dequantized", QF_F32, rank, dims);
  qf_dag_set_int (
      qf_dag_add_node (e, "DequantizeLinear", n_in, in, out), "axis", 0);
  return out;
}

static void
rewrite (QfDagEdit *e, QfDagNode *node, const Layer *l)
{
  const QfArray *w = &qf_dag_value (e->dag, node->in[1])->a;
  g_autofree char *stem = g_strdup (qf_dag_value (e->dag, node->out[0])->name);
  int in[3] = { node->in[0], -1, -1 };
  gint64 channels = l->channels;

  in[1] = add_codes (e, stem, "_weights", QF_I8, w->rank, w->dims, l->codes,
      qf_dag_add_constant (
          e, stem, "_weights_scale", QF_F32, 1, &channels, l->scale));
  in[2] = add_codes (e, stem, "_bias", QF_I32, 1, &channels, l->bias,
      qf_dag_add_constant (
          e, stem, "_bias_scale", QF_F32, 1, &channels, l->bias_scale));
  qf_dag_set_inputs (node, 3, in);
}

gboolean
qf_quantize_layer (
    QfDagEdit *e, QfDagNode *node, const QfCodes *in, const double *mean)
{
  const QfArray *w = &qf_dag_value (e->dag, node->in[1])->a;
  gint64 channels = w->dims[0], elements = qf_array_elements (w);
  gint64 groups = qf_dag_int (node, "group", 1);
  Layer l = { channels, elements / channels, w->data, NULL,
    g_new (gint8, elements), g_new (gint32, channels), g_new (float, channels),
    g_new (float, channels) };
  gboolean fits = TRUE;

  if (node->n_in > 2 && node->in[2] >= 0)
    l.b = qf_dag_value (e->dag, node->in[2])->a.data;
  for (gint64 c = 0; c < channels && fits; c++) {
    quantize_channel (&l, c, in->scale);
    fits = set_bias (&l, c, in->scale,
        mean ? mean_error (&l, c, mean, w->dims[1],
                   c / (channels / groups) * w->dims[1])
             : 0);
  }
  if (fits)
    rewrite (e, node, &l);
  g_free (l.codes);
  g_free (l.bias);
  g_free (l.scale);
  g_free (l.bias_scale);
  return fits;
}
