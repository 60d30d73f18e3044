/* libqfuse: operators of one element.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ops-private.h"

/* ---- one float ---------------------------------------------------------- */

gboolean
qf_infer_float (QfCall *c, GError **error)
{
  qf_call_float (c, "alpha", 0);
  qf_call_float (c, "beta", 0);
  return qf_call_float_in (c, 0, -1, error) && qf_infer_same (c, error);
}

#define UNARY_BODY(T, expr)                                                    \
  do {                                                                         \
    const T *in = c->in[0]->data;                                              \
    T *out = c->out[0]->data;                                                  \
    gint64 n = qf_array_elements (c->out[0]);                                  \
    for (gint64 i = 0; i < n; i++) {                                           \
      T x = in[i];                                                             \
      out[i] = expr;                                                           \
    }                                                                          \
  } while (0)

#define UNARY(name, alpha_, beta_, expr)                                       \
  void qf_run_##name (QfCall *c)                                               \
  {                                                                            \
    const float alpha = qf_call_float (c, "alpha", alpha_);                    \
    const float beta = qf_call_float (c, "beta", beta_);                       \
    (void) alpha, (void) beta;                                                 \
    UNARY_BODY (float, expr);                                                  \
  }

static inline float
softplus (float x)
{
  return x > 20 ? x : log1pf (expf (x));
}

static inline float
bound (float x, float lo, float hi)
{
  return x < lo ? lo : x > hi ? hi : x;
}

UNARY (leaky_relu, 0.01f, 0, x < 0 ? alpha * x : x)
UNARY (elu, 1, 0, x < 0 ? alpha * expm1f (x) : x)
UNARY (celu, 1, 0, x < 0 ? alpha * expm1f (x / alpha) : x)
UNARY (selu, 1.67326319217681884765625f, 0,
    x < 0 ? qf_call_float (c, "gamma", 1.05070102214813232421875f) * alpha *
            expm1f (x)
          : qf_call_float (c, "gamma", 1.05070102214813232421875f) * x)
UNARY (sigmoid, 0, 0, x >= 0 ? 1 / (1 + expf (-x)) : expf (x) / (1 + expf (x)))
UNARY (hard_sigmoid, 0.2f, 0.5f, bound (alpha *x + beta, 0, 1))
UNARY (hard_swish, 0, 0, x *bound (x / 6 + 0.5f, 0, 1))
UNARY (mish, 0, 0, x *tanhf (softplus (x)))
UNARY (softplus, 0, 0, softplus (x))
UNARY (softsign, 0, 0, x / (1 + fabsf (x)))
UNARY (tanh, 0, 0, tanhf (x))
UNARY (exp, 0, 0, expf (x))
UNARY (log, 0, 0, logf (x))
UNARY (sqrt, 0, 0, sqrtf (x))
UNARY (reciprocal, 0, 0, 1 / x)
UNARY (floor, 0, 0, floorf (x))
UNARY (ceil, 0, 0, ceilf (x))
UNARY (round, 0, 0, rintf (x)) /* ties to even */
UNARY (erf, 0, 0, erff (x))
UNARY (sin, 0, 0, sinf (x))
UNARY (cos, 0, 0, cosf (x))

static inline float
gelu (float x, gboolean tanh)
{
  return tanh
      ? 0.5f * x * (1 + tanhf (0.7978845608f * (x + 0.044715f * x * x * x)))
      : 0.5f * x * (1 + erff (x * 0.70710678f));
}

void
qf_run_gelu (QfCall *c)
{
  gboolean tanh = strcmp (qf_call_text (c, "approximate", "none"), "tanh") == 0;

  UNARY_BODY (float, gelu (x, tanh));
}

/* ---- one number of any type --------------------------------------------- */

gboolean
qf_infer_number (QfCall *c, GError **error)
{
  if (c->in[0]->dtype == QF_BOOL)
    return QF_BAD ("its input is no number");
  return qf_infer_same (c, error);
}

/* Unsigned arithmetic wraps where signed would be undefined. */
#define NUMBER(name, f, i32, i64, i8, u8)                                      \
  void qf_run_##name (QfCall *c)                                               \
  {                                                                            \
    switch (c->in[0]->dtype) {                                                 \
      case QF_F32:                                                             \
        UNARY_BODY (float, f);                                                 \
        break;                                                                 \
      case QF_I32:                                                             \
        UNARY_BODY (gint32, i32);                                              \
        break;                                                                 \
      case QF_I64:                                                             \
        UNARY_BODY (gint64, i64);                                              \
        break;                                                                 \
      case QF_I8:                                                              \
        UNARY_BODY (gint8, i8);                                                \
        break;                                                                 \
      default:                                                                 \
        UNARY_BODY (guint8, u8);                                               \
    }                                                                          \
  }

NUMBER (relu, x > 0 ? x : 0, MAX (x, 0), MAX (x, 0), (gint8) MAX (x, 0), x)
NUMBER (neg, -x, (gint32) (0u - (guint32) x),
    (gint64) (G_GUINT64_CONSTANT (0) - (guint64) x), (gint8) -x, (guint8) -x)
NUMBER (abs, fabsf (x), x < 0 ? (gint32) (0u - (guint32) x) : x,
    x < 0 ? (gint64) (G_GUINT64_CONSTANT (0) - (guint64) x) : x,
    (gint8) (x < 0 ? -x : x), x)
NUMBER (sign, (float) ((x > 0) - (x < 0)), (x > 0) - (x < 0), (x > 0) - (x < 0),
    (gint8) ((x > 0) - (x < 0)), (guint8) (x > 0))

gboolean
qf_infer_is_test (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];

  qf_call_int (c, "detect_negative", 1);
  qf_call_int (c, "detect_positive", 1);
  return qf_call_float_in (c, 0, -1, error) &&
      qf_call_set (c, 0, QF_BOOL, x->rank, x->dims, error);
}

void
qf_run_is_nan (QfCall *c)
{
  const float *x = c->in[0]->data;
  gint64 n = qf_array_elements (c->in[0]);

  for (gint64 i = 0; i < n; i++)
    ((guint8 *) c->out[0]->data)[i] = isnan (x[i]) != 0;
}

void
qf_run_is_inf (QfCall *c)
{
  const float *x = c->in[0]->data;
  gint64 n = qf_array_elements (c->in[0]);
  gboolean low = qf_call_int (c, "detect_negative", 1) != 0;
  gboolean high = qf_call_int (c, "detect_positive", 1) != 0;

  for (gint64 i = 0; i < n; i++)
    ((guint8 *) c->out[0]->data)[i] = isinf (x[i]) && (x[i] < 0 ? low : high);
}

gboolean
qf_infer_not (QfCall *c, GError **error)
{
  if (c->in[0]->dtype != QF_BOOL)
    return QF_BAD ("its input is not bool");
  return qf_infer_same (c, error);
}

void
qf_run_not (QfCall *c)
{
  UNARY_BODY (guint8, !x);
}

void
qf_run_identity (QfCall *c)
{
  if (qf_array_bytes (c->in[0]))
    memcpy (c->out[0]->data, c->in[0]->data, qf_array_bytes (c->in[0]));
}

/* ---- Clip --------------------------------------------------------------- */

/* Bounds are inputs from opset 11 on. */
gboolean
qf_infer_clip (QfCall *c, GError **error)
{
  for (int i = 1; i < 3; i++) {
    const QfArray *b = qf_call_in (c, i);

    if (b && (b->dtype != c->in[0]->dtype || qf_array_elements (b) != 1))
      return QF_BAD ("its input %d is no number of its input's type", i + 1);
  }
  qf_call_float (c, "min", 0);
  qf_call_float (c, "max", 0);
  return qf_infer_number (c, error);
}

#define CLIP(T, lo_attr, hi_attr)                                              \
  do {                                                                         \
    T lo = min ? *(const T *) min->data : lo_attr;                             \
    T hi = max ? *(const T *) max->data : hi_attr;                             \
    UNARY_BODY (T, MIN (MAX (x, lo), hi));                                     \
  } while (0)

void
qf_run_clip (QfCall *c)
{
  const QfArray *min = qf_call_in (c, 1), *max = qf_call_in (c, 2);
  gboolean old = c->opset < 11;

  switch (c->in[0]->dtype) {
    case QF_F32:
      CLIP (float, old ? qf_call_float (c, "min", -INFINITY) : -INFINITY,
          old ? qf_call_float (c, "max", INFINITY) : INFINITY);
      break;
    case QF_I32:
      CLIP (gint32, G_MININT32, G_MAXINT32);
      break;
    case QF_I64:
      CLIP (gint64, G_MININT64, G_MAXINT64);
      break;
    case QF_I8:
      CLIP (gint8, G_MININT8, G_MAXINT8);
      break;
    default:
      CLIP (guint8, 0, G_MAXUINT8);
  }
}

/* ---- Cast --------------------------------------------------------------- */

gboolean
qf_infer_cast (QfCall *c, GError **error)
{
  static const int known[] = { [1] = QF_F32 + 1,
    [2] = QF_U8 + 1,
    [3] = QF_I8 + 1,
    [6] = QF_I32 + 1,
    [7] = QF_I64 + 1,
    [9] = QF_BOOL + 1,
    [11] = QF_F32 + 1 }; /* double: see onnx_tensor.c */
  gint64 to = qf_call_int (c, "to", 0);

  if (to < 0 || to >= (gint64) G_N_ELEMENTS (known) || !known[to])
    return QF_UNSUPPORTED (
        "the type %" G_GINT64_FORMAT " is not supported", to);
  return qf_call_set (
      c, 0, (QfDType) (known[to] - 1), c->in[0]->rank, c->in[0]->dims, error);
}

/* Towards zero; what does not fit is cut to what does. */
static inline gint64
to_int (float x)
{
  return isnan (x)                   ? 0
      : x >= 9223371487098961920.0f  ? G_MAXINT64
      : x <= -9223371487098961920.0f ? G_MININT64
                                     : (gint64) x;
}

static inline gint64
as_int (const QfArray *a, gint64 i)
{
  switch (a->dtype) {
    case QF_F32:
      return to_int (((const float *) a->data)[i]);
    case QF_I8:
      return ((const gint8 *) a->data)[i];
    case QF_U8:
    case QF_BOOL:
      return ((const guint8 *) a->data)[i];
    default:
      return qf_array_int (a, i);
  }
}

void
qf_run_cast (QfCall *c)
{
  const QfArray *x = c->in[0];
  QfArray *y = c->out[0];
  gint64 n = qf_array_elements (x);

  if (x->dtype == y->dtype) {
    qf_run_identity (c);
    return;
  }
  for (gint64 i = 0; i < n; i++)
    if (y->dtype == QF_BOOL)
      ((guint8 *) y->data)[i] = x->dtype == QF_F32
          ? ((const float *) x->data)[i] != 0
          : as_int (x, i) != 0;
    else if (y->dtype == QF_F32)
      ((float *) y->data)[i] = (float) as_int (x, i);
    else if (y->dtype == QF_I64)
      ((gint64 *) y->data)[i] = as_int (x, i);
    else if (y->dtype == QF_I32)
      ((gint32 *) y->data)[i] = (gint32) as_int (x, i);
    else
      ((guint8 *) y->data)[i] = (guint8) as_int (x, i);
}
