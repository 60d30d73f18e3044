/* libqfuse: reductions over dimensions.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ops-private.h"

/* Which dimensions are reduced, as bits. Axes are an input from opset 13 on in
 * ReduceSum, from 18 on in the others. */
static gboolean
read_axes (QfCall *c, unsigned *axes, GError **error)
{
  int rank = c->in[0]->rank, n;
  gint64 v[QF_MAX_RANK];

  if (c->op->n_max > 1 && qf_call_in (c, 1))
    n = qf_call_constant_ints (c, 1, v, QF_MAX_RANK, error);
  else
    n = MAX (qf_call_ints (c, "axes", v, QF_MAX_RANK), 0);
  if (n < 0 || n > QF_MAX_RANK)
    return n < 0 ? FALSE : QF_BAD ("it has too many axes");
  *axes = 0;
  if (n == 0 && !qf_call_int (c, "noop_with_empty_axes", 0))
    *axes = (1u << rank) - 1;
  for (int i = 0; i < n; i++) {
    if (!qf_axis (&v[i], rank, error))
      return FALSE;
    *axes |= 1u << v[i];
  }
  return TRUE;
}

static gboolean
set_reduced (QfCall *c, unsigned axes, QfDType dtype, GError **error)
{
  const QfArray *x = c->in[0];
  gboolean keep = qf_call_int (c, "keepdims", 1) != 0;
  gint64 dims[QF_MAX_RANK];
  int rank = 0;

  for (int i = 0; i < x->rank; i++)
    if (!(axes >> i & 1))
      dims[rank++] = x->dims[i];
    else if (keep)
      dims[rank++] = 1;
  return qf_call_set (c, 0, dtype, rank, dims, error);
}

gboolean
qf_infer_reduce_any (QfCall *c, GError **error)
{
  unsigned axes;

  return read_axes (c, &axes, error) &&
      set_reduced (c, axes, c->in[0]->dtype, error);
}

gboolean
qf_infer_reduce (QfCall *c, GError **error)
{
  if (c->in[0]->dtype == QF_BOOL)
    return QF_UNSUPPORTED ("the type of its input is not supported");
  return qf_infer_reduce_any (c, error);
}

gboolean
qf_infer_reduce_float (QfCall *c, GError **error)
{
  return qf_call_float_in (c, 0, -1, error) && qf_infer_reduce (c, error);
}

/* ---- loops -------------------------------------------------------------- */

typedef enum
{
  SUM,
  MEAN,
  MAX_OF,
  MIN_OF,
  PRODUCT,
  L1,
  L2,
  SQUARES,
  LOG_SUM,
  LOG_SUM_EXP
} Kind;

/* Dimensions that stay and those that go, with their strides in the input. */
typedef struct
{
  int n[2];
  gint64 dims[2][QF_MAX_RANK], stride[2][QF_MAX_RANK], count[2];
} Split;

static void
split_dims (const QfArray *x, unsigned axes, Split *s)
{
  gint64 strides[QF_MAX_RANK];

  memset (s, 0, sizeof *s);
  s->count[0] = s->count[1] = 1;
  qf_strides (x->rank, x->dims, strides);
  for (int i = 0; i < x->rank; i++) {
    int k = axes >> i & 1, at = s->n[k]++;

    s->dims[k][at] = x->dims[i];
    s->stride[k][at] = strides[i];
    s->count[k] *= x->dims[i];
  }
}

/* The next position of one half; @at is its element. */
static gint64
next (const Split *s, int k, gint64 *index, gint64 at)
{
  for (int i = s->n[k] - 1; i >= 0; i--) {
    at += s->stride[k][i];
    if (++index[i] < s->dims[k][i])
      return at;
    at -= s->stride[k][i] * s->dims[k][i];
    index[i] = 0;
  }
  return at;
}

static double
start_of (Kind kind)
{
  return kind == MAX_OF ? -(double) INFINITY
      : kind == MIN_OF  ? (double) INFINITY
      : kind == PRODUCT ? 1
                        : 0;
}

static double
add_to (Kind kind, double sum, double v)
{
  switch (kind) {
    case MAX_OF:
      return isnan (v) || v > sum ? v : sum;
    case MIN_OF:
      return isnan (v) || v < sum ? v : sum;
    case PRODUCT:
      return sum * v;
    case L1:
      return sum + fabs (v);
    case L2:
    case SQUARES:
      return sum + v * v;
    case LOG_SUM_EXP:
      return sum + exp (v);
    default:
      return sum + v;
  }
}

static double
end_of (Kind kind, double sum, gint64 n)
{
  return kind == MEAN                          ? sum / (double) n
      : kind == L2                             ? sqrt (sum)
      : kind == LOG_SUM || kind == LOG_SUM_EXP ? log (sum)
                                               : sum;
}

static double
value_at (const QfArray *x, gint64 i)
{
  switch (x->dtype) {
    case QF_F32:
      return (double) ((const float *) x->data)[i];
    case QF_I8:
      return ((const gint8 *) x->data)[i];
    case QF_U8:
    case QF_BOOL:
      return ((const guint8 *) x->data)[i];
    default:
      return (double) qf_array_int (x, i);
  }
}

static gint64
whole (double v, double lo, double hi)
{
  return isnan (v) ? 0 : (gint64) CLAMP (v, lo, hi);
}

static void
store (QfArray *y, gint64 i, double v)
{
  switch (y->dtype) {
    case QF_F32:
      ((float *) y->data)[i] = (float) v;
      break;
    case QF_I32:
      ((gint32 *) y->data)[i] = (gint32) whole (v, -0x1p31, 0x1p31 - 1);
      break;
    case QF_I64:
      ((gint64 *) y->data)[i] = whole (v, -0x1p62, 0x1p62);
      break;
    case QF_I8:
      ((gint8 *) y->data)[i] = (gint8) whole (v, -128, 127);
      break;
    case QF_BOOL:
      ((guint8 *) y->data)[i] = v > 0;
      break;
    default:
      ((guint8 *) y->data)[i] = (guint8) whole (v, 0, 255);
  }
}

static void
reduce (QfCall *c, Kind kind)
{
  const QfArray *x = c->in[0];
  gint64 outer[QF_MAX_RANK] = { 0 }, at = 0;
  unsigned axes;
  Split s;

  read_axes (c, &axes, NULL);
  split_dims (x, axes, &s);
  for (gint64 o = 0; o < s.count[0]; o++, at = next (&s, 0, outer, at)) {
    gint64 inner[QF_MAX_RANK] = { 0 }, p = at;
    double sum = start_of (kind);

    for (gint64 i = 0; i < s.count[1]; i++, p = next (&s, 1, inner, p))
      sum = add_to (kind, sum, value_at (x, p));
    store (c->out[0], o, end_of (kind, sum, s.count[1]));
  }
}

#define REDUCE(name, kind)                                                     \
  void qf_run_##name (QfCall *c)                                               \
  {                                                                            \
    reduce (c, kind);                                                          \
  }

REDUCE (reduce_sum, SUM)
REDUCE (reduce_mean, MEAN)
REDUCE (reduce_max, MAX_OF)
REDUCE (reduce_min, MIN_OF)
REDUCE (reduce_prod, PRODUCT)
REDUCE (reduce_l1, L1)
REDUCE (reduce_l2, L2)
REDUCE (reduce_sum_square, SQUARES)
REDUCE (reduce_log_sum, LOG_SUM)
REDUCE (reduce_log_sum_exp, LOG_SUM_EXP)

/* ---- ArgMax, ArgMin ----------------------------------------------------- */

gboolean
qf_infer_arg (QfCall *c, GError **error)
{
  gint64 axis = qf_call_int (c, "axis", 0);

  qf_call_int (c, "select_last_index", 0);
  if (!qf_axis (&axis, c->in[0]->rank, error))
    return FALSE;
  if (c->in[0]->dims[axis] == 0)
    return QF_BAD ("its axis has no elements");
  return set_reduced (c, 1u << axis, QF_I64, error);
}

static void
arg (QfCall *c, double sign)
{
  const QfArray *x = c->in[0];
  gint64 axis = qf_call_int (c, "axis", 0), outer[QF_MAX_RANK] = { 0 }, at = 0;
  gboolean last = qf_call_int (c, "select_last_index", 0) != 0;
  Split s;

  qf_axis (&axis, x->rank, NULL);
  split_dims (x, 1u << axis, &s);
  for (gint64 o = 0; o < s.count[0]; o++, at = next (&s, 0, outer, at)) {
    double best = sign * value_at (x, at);
    gint64 where = 0;

    for (gint64 i = 1; i < s.count[1]; i++) {
      double v = sign * value_at (x, at + i * s.stride[1][0]);

      if (v > best || (last && v >= best)) {
        best = v;
        where = i;
      }
    }
    ((gint64 *) c->out[0]->data)[o] = where;
  }
}

void
qf_run_arg_max (QfCall *c)
{
  arg (c, 1);
}

void
qf_run_arg_min (QfCall *c)
{
  arg (c, -1);
}
