/* libqfuse: normalizations and softmax.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ops-private.h"

static gboolean
check_channels (QfCall *c, int first, int last, GError **error)
{
  const QfArray *x = c->in[0];

  if (x->rank < 2 && !(x->rank == 1 && first))
    return QF_BAD ("its input has no channels");
  for (int i = first; i <= last; i++) {
    if (!qf_call_float_in (c, i, 1, error))
      return FALSE;
    if (c->in[i]->dims[0] != x->dims[x->rank > 1 ? 1 : 0])
      return QF_BAD ("its input %d does not have one number a channel", i + 1);
  }
  return TRUE;
}

static gint64
plane_of (const QfArray *x)
{
  gint64 n = 1;

  for (int i = 2; i < x->rank; i++)
    n *= x->dims[i];
  return n;
}

gboolean
qf_infer_batch_norm (QfCall *c, GError **error)
{
  qf_call_float (c, "epsilon", 0);
  if (c->opset >= 14 && qf_call_int (c, "training_mode", 0) != 0)
    return QF_UNSUPPORTED ("its training_mode is not supported");
  for (int k = 1; k < c->n_out; k++)
    if (c->out[k])
      return QF_UNSUPPORTED ("only its first output is supported");
  return qf_call_float_in (c, 0, -1, error) &&
      check_channels (c, 1, 4, error) && qf_infer_same (c, error);
}

void
qf_run_batch_norm (QfCall *c)
{
  const QfArray *a = c->in[0];
  const float *p[4];
  double epsilon = (double) qf_call_float (c, "epsilon", 1e-5f);
  gint64 n = plane_of (a), channels = a->dims[a->rank > 1 ? 1 : 0];
  gint64 images = a->rank > 1 ? a->dims[0] : 1;
  const float *x = a->data;
  float *y = c->out[0]->data;

  for (int i = 0; i < 4; i++)
    p[i] = c->in[1 + i]->data;
  for (gint64 i = 0; i < images * channels; i++, x += n, y += n) {
    gint64 k = i % channels;
    double g = (double) p[0][k] / sqrt ((double) p[3][k] + epsilon);
    float scale = (float) g;
    float shift = (float) ((double) p[1][k] - g * (double) p[2][k]);

    for (gint64 j = 0; j < n; j++)
      y[j] = x[j] * scale + shift;
  }
}

/* Mean and 1 / √(variance + ε) of @n numbers. */
static void
moments (const float *x, gint64 n, double epsilon, double *mean, double *inv)
{
  double sum = 0, squares = 0;

  for (gint64 i = 0; i < n; i++)
    sum += (double) x[i];
  *mean = n ? sum / (double) n : 0;
  for (gint64 i = 0; i < n; i++)
    squares += ((double) x[i] - *mean) * ((double) x[i] - *mean);
  *inv = 1 / sqrt ((n ? squares / (double) n : 0) + epsilon);
}

gboolean
qf_infer_instance_norm (QfCall *c, GError **error)
{
  qf_call_float (c, "epsilon", 0);
  if (c->in[0]->rank < 3)
    return QF_BAD ("its input has no plane");
  return qf_call_float_in (c, 0, -1, error) &&
      check_channels (c, 1, 2, error) && qf_infer_same (c, error);
}

void
qf_run_instance_norm (QfCall *c)
{
  const QfArray *a = c->in[0];
  const float *gamma = c->in[1]->data, *beta = c->in[2]->data;
  double epsilon = (double) qf_call_float (c, "epsilon", 1e-5f), mean, inv;
  gint64 n = plane_of (a);
  const float *x = a->data;
  float *y = c->out[0]->data;

  for (gint64 i = 0; i < a->dims[0] * a->dims[1]; i++, x += n, y += n) {
    gint64 k = i % a->dims[1];

    moments (x, n, epsilon, &mean, &inv);
    for (gint64 j = 0; j < n; j++)
      y[j] = (float) (((double) x[j] - mean) * inv * (double) gamma[k] +
          (double) beta[k]);
  }
}

/* ---- LayerNormalization ------------------------------------------------- */

static gint64
tail_of (QfCall *c, gint64 axis)
{
  gint64 n = 1;

  for (int i = (int) axis; i < c->in[0]->rank; i++)
    n *= c->in[0]->dims[i];
  return n;
}

gboolean
qf_infer_layer_norm (QfCall *c, GError **error)
{
  gint64 axis = qf_call_int (c, "axis", -1), n, dims[QF_MAX_RANK];
  const QfArray *x = c->in[0];

  qf_call_float (c, "epsilon", 0);
  if (!qf_call_float_in (c, 0, -1, error) || !qf_axis (&axis, x->rank, error))
    return FALSE;
  n = tail_of (c, axis);
  for (int i = 1; i < 3; i++)
    if (qf_call_in (c, i) &&
        (c->in[i]->dtype != QF_F32 || qf_array_elements (c->in[i]) != n))
      return QF_UNSUPPORTED (
          "the shape of its input %d is not supported", i + 1);
  for (int i = 0; i < x->rank; i++)
    dims[i] = i < axis ? x->dims[i] : 1;
  return qf_infer_same (c, error) &&
      qf_call_set (c, 1, QF_F32, x->rank, dims, error) &&
      qf_call_set (c, 2, QF_F32, x->rank, dims, error);
}

void
qf_run_layer_norm (QfCall *c)
{
  const QfArray *a = c->in[0], *beta = qf_call_in (c, 2);
  double epsilon = (double) qf_call_float (c, "epsilon", 1e-5f), m[2];
  gint64 axis = qf_call_int (c, "axis", -1), n, total = qf_array_elements (a);
  const float *gamma = c->in[1]->data, *x = a->data;
  float *y = c->out[0] ? c->out[0]->data : NULL;

  qf_axis (&axis, a->rank, NULL);
  n = tail_of (c, axis);
  for (gint64 at = 0; at < total; at += n) {
    moments (x + at, n, epsilon, &m[0], &m[1]);
    for (int k = 1; k < c->n_out; k++)
      if (c->out[k])
        ((float *) c->out[k]->data)[at / n] = (float) m[k - 1];
    for (gint64 j = 0; y && j < n; j++)
      y[at + j] =
          (float) (((double) x[at + j] - m[0]) * m[1] * (double) gamma[j] +
              (beta ? (double) ((const float *) beta->data)[j] : 0));
  }
}

/* ---- softmax ------------------------------------------------------------ */

/* Before opset 13 over all dimensions from the axis on, then over the axis. */
static gboolean
softmax_shape (QfCall *c, gint64 *n, gint64 *inner, GError **error)
{
  const QfArray *x = c->in[0];
  gboolean tail = c->opset < 13;
  gint64 axis = qf_call_int (c, "axis", tail ? 1 : -1);

  *n = *inner = 1;
  if (tail && axis == x->rank)
    return TRUE;
  if (x->rank == 0)
    return QF_BAD ("its input is a single number");
  if (!qf_axis (&axis, x->rank, error))
    return FALSE;
  *n = x->dims[axis];
  for (int i = (int) axis + 1; i < x->rank; i++)
    if (tail)
      *n *= x->dims[i];
    else
      *inner *= x->dims[i];
  return TRUE;
}

gboolean
qf_infer_softmax (QfCall *c, GError **error)
{
  gint64 n, inner;

  return qf_call_float_in (c, 0, -1, error) &&
      softmax_shape (c, &n, &inner, error) && qf_infer_same (c, error);
}

static void
softmax (QfCall *c, gboolean logarithm)
{
  gint64 n, inner, total = qf_array_elements (c->in[0]);
  const float *x = c->in[0]->data;
  float *y = c->out[0]->data;

  softmax_shape (c, &n, &inner, NULL);
  for (gint64 at = 0; at < total; at += n * inner)
    for (gint64 k = at; k < at + inner; k++) {
      float max = -INFINITY;
      double sum = 0;

      for (gint64 i = 0; i < n; i++)
        max = MAX (max, x[k + i * inner]);
      for (gint64 i = 0; i < n; i++) {
        y[k + i * inner] = expf (x[k + i * inner] - max);
        sum += (double) y[k + i * inner];
      }
      for (gint64 i = 0; i < n; i++)
        y[k + i * inner] = logarithm
            ? (float) ((double) (x[k + i * inner] - max) - log (sum))
            : (float) ((double) y[k + i * inner] / sum);
    }
}

void
qf_run_softmax (QfCall *c)
{
  softmax (c, FALSE);
}

void
qf_run_log_softmax (QfCall *c)
{
  softmax (c, TRUE);
}
