/* libqfuse: QuantizeLinear and DequantizeLinear.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The equations are those of docs/numerics.md. */
#include "ops/codes.h"

/* ---- QuantizeLinear, DequantizeLinear ----------------------------------- */

/* Scale k belongs to elements (o·n + k)·inner … of @n slices along the axis,
 * or, with blocks, to @block slices. */
typedef struct
{
  gint64 outer, n, inner, block, scales;
} Slices;

static gboolean
read_slices (QfCall *c, Slices *s, GError **error)
{
  const QfArray *x = c->in[0], *scale = c->in[1], *zero = qf_call_in (c, 2);
  gint64 axis = qf_call_int (c, "axis", 1), count = qf_array_elements (scale);

  s->outer = s->n = s->inner = s->block = s->scales = 1;
  if (!qf_call_float_in (c, 1, -1, error))
    return FALSE;
  if (zero && qf_array_elements (zero) != count)
    return QF_BAD ("its zero point does not fit its scale");
  if (count == 1 && scale->rank < 2) {
    s->inner = qf_array_elements (x);
    return TRUE;
  }
  if (!qf_axis (&axis, x->rank, error))
    return FALSE;
  for (int i = 0; i < x->rank; i++)
    *(i < axis ? &s->outer : i > axis ? &s->inner : &s->n) *= x->dims[i];
  s->scales = s->n;
  if (scale->rank == 1)
    return scale->dims[0] == s->n ||
        QF_BAD ("its scale does not fit its input");
  s->block = qf_call_int (c, "block_size", 0);
  if (scale->rank != x->rank || s->block < 1)
    return QF_BAD ("its scale does not fit its input");
  s->scales = (s->n + s->block - 1) / s->block;
  for (int i = 0; i < x->rank; i++)
    if (scale->dims[i] != (i == axis ? s->scales : x->dims[i]))
      return QF_BAD ("its scale does not fit its input");
  return TRUE;
}

/* Number of the scale of an element. */
static inline gint64
scale_of (const Slices *s, gboolean blocks, gint64 i)
{
  gint64 k = i / s->inner % s->n;

  return blocks ? (i / s->inner / s->n * s->scales + k / s->block) * s->inner +
          i % s->inner
                : k;
}

gboolean
qf_infer_quantize (QfCall *c, GError **error)
{
  const QfArray *zero = qf_call_in (c, 2);
  gint64 wanted = qf_call_int (c, "output_dtype", 0);
  QfDType t = zero ? zero->dtype : wanted == 3 ? QF_I8 : QF_U8;
  Slices s;

  if (!qf_call_float_in (c, 0, -1, error))
    return FALSE;
  if ((t != QF_U8 && t != QF_I8) || (wanted && wanted != (t == QF_U8 ? 2 : 3)))
    return QF_UNSUPPORTED ("it makes neither uint8 nor int8");
  return read_slices (c, &s, error) &&
      qf_call_set (c, 0, t, c->in[0]->rank, c->in[0]->dims, error);
}

void
qf_run_quantize (QfCall *c)
{
  const QfArray *zero = qf_call_in (c, 2), *scale = c->in[1];
  const float *x = c->in[0]->data;
  gint64 n = qf_array_elements (c->in[0]);
  gboolean blocks = scale->rank > 1;
  Slices s;

  read_slices (c, &s, NULL);
  for (gint64 i = 0; i < n; i++) {
    gint64 k = scale_of (&s, blocks, i);

    put_code (c->out[0], i, x[i] / scale_at (scale, k), zero_at (zero, k));
  }
}

gboolean
qf_infer_dequantize (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0], *zero = qf_call_in (c, 2);
  Slices s;

  if (!is_code (x) && x->dtype != QF_I32)
    return QF_UNSUPPORTED ("the type of its input is not supported");
  if (zero && zero->dtype != x->dtype)
    return QF_BAD ("its zero point is of another type than its input");
  return read_slices (c, &s, error) &&
      qf_call_set (c, 0, QF_F32, x->rank, x->dims, error);
}

void
qf_run_dequantize (QfCall *c)
{
  const QfArray *zero = qf_call_in (c, 2), *scale = c->in[1];
  float *y = c->out[0]->data;
  gint64 n = qf_array_elements (c->in[0]);
  gboolean blocks = scale->rank > 1;
  Slices s;

  read_slices (c, &s, NULL);
  for (gint64 i = 0; i < n; i++) {
    gint64 k = scale_of (&s, blocks, i);

    y[i] = (float) ((gint64) code_at (c->in[0], i) - zero_at (zero, k)) *
        scale_at (scale, k);
  }
}
