/* libqfuse: elementwise operators of several inputs, broadcast.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ops-private.h"

/* ---- types -------------------------------------------------------------- */

static gboolean
infer (QfCall *c, int n, gboolean numbers, QfDType result, GError **error)
{
  gint64 dims[QF_MAX_RANK];
  int rank;

  for (int k = 0; k < n; k++) {
    if (!c->in[k])
      return QF_BAD ("its input %d is missing", k + 1);
    if (c->in[k]->dtype != c->in[0]->dtype)
      return QF_BAD ("its inputs are of different types");
  }
  if (numbers && c->in[0]->dtype == QF_BOOL)
    return QF_BAD ("its inputs are no numbers");
  return qf_broadcast (c->in, n, &rank, dims, error) &&
      qf_call_set (c, 0, result, rank, dims, error);
}

gboolean
qf_infer_arithmetic (QfCall *c, GError **error)
{
  return infer (c, c->n_in, TRUE, c->in[0]->dtype, error);
}

gboolean
qf_infer_compare (QfCall *c, GError **error)
{
  return infer (c, 2, FALSE, QF_BOOL, error);
}

gboolean
qf_infer_logic (QfCall *c, GError **error)
{
  if (c->in[0]->dtype != QF_BOOL)
    return QF_BAD ("its inputs are not bool");
  return infer (c, 2, FALSE, QF_BOOL, error);
}

/* ---- loops -------------------------------------------------------------- */

#define LOOP2(T, R, expr)                                                      \
  do {                                                                         \
    const T *p = (const T *) c->in[0]->data + at[0];                           \
    const T *q = (const T *) c->in[1]->data + at[1];                           \
    R *out = (R *) c->out[0]->data + to;                                       \
    for (gsize i = 0; i < n; i++) {                                            \
      T a = p[(gint64) i * step[0]], b = q[(gint64) i * step[1]];              \
      out[i] = (R) (expr);                                                     \
    }                                                                          \
  } while (0)

/* Unsigned arithmetic wraps where signed would be undefined. */
#define ARITHMETIC(name, f, i32, i64, i8, u8)                                  \
  static void name##_row (                                                     \
      QfCall *c, gsize to, gsize n, const gint64 *at, const gint64 *step)      \
  {                                                                            \
    switch (c->in[0]->dtype) {                                                 \
      case QF_F32:                                                             \
        LOOP2 (float, float, f);                                               \
        break;                                                                 \
      case QF_I32:                                                             \
        LOOP2 (gint32, gint32, i32);                                           \
        break;                                                                 \
      case QF_I64:                                                             \
        LOOP2 (gint64, gint64, i64);                                           \
        break;                                                                 \
      case QF_I8:                                                              \
        LOOP2 (gint8, gint8, i8);                                              \
        break;                                                                 \
      default:                                                                 \
        LOOP2 (guint8, guint8, u8);                                            \
    }                                                                          \
  }                                                                            \
  void qf_run_##name (QfCall *c)                                               \
  {                                                                            \
    qf_walk (c, name##_row);                                                   \
  }

#define WRAP32(op) (gint32) ((guint32) a op (guint32) b)
#define WRAP64(op) (gint64) ((guint64) a op (guint64) b)

/* Division by zero gives 0, the least number divided by −1 itself. */
#define DIV(T, U) (b == 0 ? 0 : b == -1 ? (T) (0 - (U) a) : a / b)

/* As C's % and as Python's, which has the divisor's sign. */
static inline gint64
modulo (gint64 a, gint64 b, gboolean c)
{
  gint64 r = b == 0 || b == -1 ? 0 : a % b;

  return !c && r && (r < 0) != (b < 0) ? r + b : r;
}

static inline float
modulo_f (float a, float b, gboolean c)
{
  float r = fmodf (a, b);

  return !c && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static gint64
power (gint64 a, gint64 b)
{
  guint64 r = 1, base = (guint64) a;

  if (b < 0)
    return a == 1 ? 1 : a == -1 ? (b & 1 ? -1 : 1) : 0;
  for (; b; b >>= 1, base *= base)
    if (b & 1)
      r *= base;
  return (gint64) r;
}

ARITHMETIC (add, a + b, WRAP32 (+), WRAP64 (+), a + b, a + b)
ARITHMETIC (sub, a - b, WRAP32 (-), WRAP64 (-), a - b, a - b)
ARITHMETIC (mul, a *b, WRAP32 (*), WRAP64 (*), a *b, a *b)
ARITHMETIC (div, a / b, DIV (gint32, guint32), DIV (gint64, guint64),
    DIV (gint8, guint32), b ? a / b : 0)

#define FMOD (qf_call_int (c, "fmod", 0) != 0)
ARITHMETIC (mod, modulo_f (a, b, FMOD), modulo (a, b, FMOD),
    modulo (a, b, FMOD), modulo (a, b, FMOD), b ? a % b : 0)

gboolean
qf_infer_mod (QfCall *c, GError **error)
{
  qf_call_int (c, "fmod", 0);
  return qf_infer_arithmetic (c, error);
}

#define COMPARE(name, op)                                                      \
  static void name##_row (                                                     \
      QfCall *c, gsize to, gsize n, const gint64 *at, const gint64 *step)      \
  {                                                                            \
    switch (c->in[0]->dtype) {                                                 \
      case QF_F32:                                                             \
        LOOP2 (float, guint8, a op b);                                         \
        break;                                                                 \
      case QF_I32:                                                             \
        LOOP2 (gint32, guint8, a op b);                                        \
        break;                                                                 \
      case QF_I64:                                                             \
        LOOP2 (gint64, guint8, a op b);                                        \
        break;                                                                 \
      case QF_I8:                                                              \
        LOOP2 (gint8, guint8, a op b);                                         \
        break;                                                                 \
      default:                                                                 \
        LOOP2 (guint8, guint8, a op b);                                        \
    }                                                                          \
  }                                                                            \
  void qf_run_##name (QfCall *c)                                               \
  {                                                                            \
    qf_walk (c, name##_row);                                                   \
  }

COMPARE (equal, ==)
COMPARE (less, <)
COMPARE (less_or_equal, <=)
COMPARE (greater, >)
COMPARE (greater_or_equal, >=)

#define LOGIC(name, op)                                                        \
  static void name##_row (                                                     \
      QfCall *c, gsize to, gsize n, const gint64 *at, const gint64 *step)      \
  {                                                                            \
    LOOP2 (guint8, guint8, (a != 0) op (b != 0));                              \
  }                                                                            \
  void qf_run_##name (QfCall *c)                                               \
  {                                                                            \
    qf_walk (c, name##_row);                                                   \
  }

LOGIC (and, &&)
LOGIC (or, ||)
LOGIC (xor, !=)

/* ---- Pow: the exponent may be of another type ---------------------------- */

gboolean
qf_infer_pow (QfCall *c, GError **error)
{
  gint64 dims[QF_MAX_RANK];
  int rank;

  for (int k = 0; k < 2; k++)
    if (c->in[k]->dtype != QF_F32 && c->in[k]->dtype != QF_I32 &&
        c->in[k]->dtype != QF_I64)
      return QF_UNSUPPORTED (
          "the type of its input %d is not supported", k + 1);
  return qf_broadcast (c->in, 2, &rank, dims, error) &&
      qf_call_set (c, 0, c->in[0]->dtype, rank, dims, error);
}

static double
number (const QfArray *a, gint64 i)
{
  return a->dtype == QF_F32 ? (double) ((const float *) a->data)[i]
                            : (double) qf_array_int (a, i);
}

static gint64
saturate (double x, double limit)
{
  return isnan (x)  ? 0
      : x >= limit  ? (gint64) (limit - 1)
      : x <= -limit ? (gint64) -limit
                    : (gint64) x;
}

static void
pow_row (QfCall *c, gsize to, gsize n, const gint64 *at, const gint64 *step)
{
  const QfArray *a = c->in[0], *b = c->in[1];
  QfArray *y = c->out[0];

  for (gsize i = 0; i < n; i++) {
    gint64 p = at[0] + (gint64) i * step[0], q = at[1] + (gint64) i * step[1];

    if (y->dtype == QF_F32)
      ((float *) y->data)[to + i] = b->dtype == QF_F32
          ? powf (((const float *) a->data)[p], ((const float *) b->data)[q])
          : (float) pow (number (a, p), number (b, q));
    else if (b->dtype != QF_F32 && y->dtype == QF_I64)
      ((gint64 *) y->data)[to + i] =
          power (qf_array_int (a, p), qf_array_int (b, q));
    else if (b->dtype != QF_F32)
      ((gint32 *) y->data)[to + i] =
          (gint32) power (qf_array_int (a, p), qf_array_int (b, q));
    else if (y->dtype == QF_I64)
      ((gint64 *) y->data)[to + i] =
          saturate (pow (number (a, p), number (b, q)), 0x1p62);
    else
      ((gint32 *) y->data)[to + i] =
          (gint32) saturate (pow (number (a, p), number (b, q)), 0x1p31);
  }
}

void
qf_run_pow (QfCall *c)
{
  qf_walk (c, pow_row);
}

/* ---- PRelu: the slope is broadcast to the input only -------------------- */

gboolean
qf_infer_prelu (QfCall *c, GError **error)
{
  gint64 dims[QF_MAX_RANK];
  int rank;

  if (!qf_call_float_in (c, 0, -1, error) ||
      !qf_call_float_in (c, 1, -1, error) ||
      !qf_broadcast (c->in, 2, &rank, dims, error))
    return FALSE;
  if (rank != c->in[0]->rank ||
      memcmp (dims, c->in[0]->dims, (gsize) rank * sizeof *dims) != 0)
    return QF_BAD ("its slope does not fit its input");
  return qf_infer_same (c, error);
}

static void
prelu_row (QfCall *c, gsize to, gsize n, const gint64 *at, const gint64 *step)
{
  LOOP2 (float, float, a < 0 ? a * b : a);
}

void
qf_run_prelu (QfCall *c)
{
  qf_walk (c, prelu_row);
}

/* ---- any number of inputs ----------------------------------------------- */

#define LOOP_N(T, expr)                                                        \
  do {                                                                         \
    T *out = (T *) c->out[0]->data + to;                                       \
    for (gsize i = 0; i < n; i++) {                                            \
      T a = ((const T *) c->in[0]->data)[at[0] + (gint64) i * step[0]];        \
      for (int k = 1; k < c->n_in; k++) {                                      \
        T b = ((const T *) c->in[k]->data)[at[k] + (gint64) i * step[k]];      \
        a = (T) (expr);                                                        \
      }                                                                        \
      out[i] = a;                                                              \
    }                                                                          \
  } while (0)

#define VARIADIC(name, f, expr)                                                \
  static void name##_row (                                                     \
      QfCall *c, gsize to, gsize n, const gint64 *at, const gint64 *step)      \
  {                                                                            \
    switch (c->in[0]->dtype) {                                                 \
      case QF_F32:                                                             \
        LOOP_N (float, f);                                                     \
        break;                                                                 \
      case QF_I32:                                                             \
        LOOP_N (gint32, expr);                                                 \
        break;                                                                 \
      case QF_I64:                                                             \
        LOOP_N (gint64, expr);                                                 \
        break;                                                                 \
      case QF_I8:                                                              \
        LOOP_N (gint8, expr);                                                  \
        break;                                                                 \
      default:                                                                 \
        LOOP_N (guint8, expr);                                                 \
    }                                                                          \
  }                                                                            \
  void qf_run_##name (QfCall *c)                                               \
  {                                                                            \
    qf_walk (c, name##_row);                                                   \
  }

/* NaN goes through, as NumPy has it. */
VARIADIC (min, isnan (a) || a < b ? a : b, MIN (a, b))
VARIADIC (max, isnan (a) || a > b ? a : b, MAX (a, b))

gboolean
qf_infer_floats (QfCall *c, GError **error)
{
  return qf_call_float_in (c, 0, -1, error) && qf_infer_arithmetic (c, error);
}

static void
sum_row (QfCall *c, gsize to, gsize n, const gint64 *at, const gint64 *step)
{
  LOOP_N (float, a + b);
}

void
qf_run_sum (QfCall *c)
{
  qf_walk (c, sum_row);
}

void
qf_run_mean (QfCall *c)
{
  float *y = c->out[0]->data;
  gint64 n = qf_array_elements (c->out[0]);

  qf_walk (c, sum_row);
  for (gint64 i = 0; i < n; i++)
    y[i] /= (float) c->n_in;
}

/* ---- Where -------------------------------------------------------------- */

gboolean
qf_infer_where (QfCall *c, GError **error)
{
  gint64 dims[QF_MAX_RANK];
  int rank;

  if (c->in[0]->dtype != QF_BOOL)
    return QF_BAD ("its condition is not bool");
  if (c->in[1]->dtype != c->in[2]->dtype)
    return QF_BAD ("its inputs are of different types");
  return qf_broadcast (c->in, 3, &rank, dims, error) &&
      qf_call_set (c, 0, c->in[1]->dtype, rank, dims, error);
}

static void
where_row (QfCall *c, gsize to, gsize n, const gint64 *at, const gint64 *step)
{
  gsize size = qf_dtype_size (c->out[0]->dtype);
  guint8 *y = (guint8 *) c->out[0]->data + to * size;

  for (gsize i = 0; i < n; i++) {
    int k =
        ((const guint8 *) c->in[0]->data)[at[0] + (gint64) i * step[0]] ? 1 : 2;

    memcpy (y + i * size,
        (const guint8 *) c->in[k]->data +
            (gsize) (at[k] + (gint64) i * step[k]) * size,
        size);
  }
}

void
qf_run_where (QfCall *c)
{
  qf_walk (c, where_row);
}
