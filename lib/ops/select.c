/* libqfuse: operators that choose elements by their values, and running sums.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * How many NonZero and Compress choose shows in a run: their outputs are open,
 * see QfArray. */
#include <stdlib.h>

#include "ops/ops-private.h"

/* Elements before, along and after an axis. */
typedef struct
{
  gint64 outer, n, inner;
} Along;

static Along
along (const QfArray *x, gint64 axis)
{
  Along a = { 1, x->dims[axis], 1 };

  for (int i = 0; i < axis; i++)
    a.outer *= x->dims[i];
  for (int i = (int) axis + 1; i < x->rank; i++)
    a.inner *= x->dims[i];
  return a;
}

/* ---- If ------------------------------------------------------------------
 * As files are read, its inputs are the condition and what each branch gives;
 * that of the branch which did not run holds nothing of use. */

static const QfArray *
taken (QfCall *c)
{
  return c->in[*(const guint8 *) c->in[0]->data ? 1 : 2];
}

gboolean
qf_infer_if (QfCall *c, GError **error)
{
  const QfArray *x = c->in[1], *y = c->in[2];
  gint64 dims[QF_MAX_RANK];

  if (c->in[0]->dtype != QF_BOOL || qf_array_elements (c->in[0]) != 1)
    return QF_BAD ("its condition is not one bool");
  if (c->in[0]->data) {
    x = taken (c);
    return qf_call_set_open (c, 0, x->dtype, x->rank, x->dims, error);
  }
  if (x->dtype != y->dtype || x->rank != y->rank)
    return QF_UNSUPPORTED (
        "its branches give another type or number of dimensions");
  for (int i = 0; i < x->rank; i++)
    dims[i] = MAX (x->dims[i], y->dims[i]);
  return qf_call_set_open (c, 0, x->dtype, x->rank, dims, error);
}

void
qf_run_if (QfCall *c)
{
  const QfArray *x = taken (c);

  if (qf_array_bytes (x))
    memcpy (c->out[0]->data, x->data, qf_array_bytes (x));
}

/* ---- TopK --------------------------------------------------------------- */

typedef struct
{
  gint64 key; /* rising in the order that is wanted */
  gint64 index;
} Ranked;

static gboolean
read_top (QfCall *c, gint64 *axis, gint64 *k, GError **error)
{
  const QfArray *x = c->in[0];

  *axis = qf_call_int (c, "axis", -1);
  qf_call_int (c, "largest", 1);
  qf_call_int (c, "sorted", 1);
  if (!qf_axis (axis, x->rank, error))
    return FALSE;
  if (c->op->n_max == 1)
    *k = qf_call_int (c, "k", -1);
  else {
    int n = qf_call_constant_ints (c, 1, k, 1, error);

    if (n < 1)
      return n < 0 ? FALSE : QF_BAD ("its k is empty");
  }
  if (*k < 0 || *k > x->dims[*axis])
    return QF_BAD ("it takes %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
                   " elements",
        *k, x->dims[*axis]);
  return TRUE;
}

gboolean
qf_infer_top_k (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 axis, k = 0, dims[QF_MAX_RANK];

  if (!read_top (c, &axis, &k, error))
    return FALSE;
  memcpy (dims, x->dims, sizeof dims);
  dims[axis] = k;
  return qf_call_set (c, 0, x->dtype, x->rank, dims, error) &&
      qf_call_set (c, 1, QF_I64, x->rank, dims, error);
}

gsize
qf_scratch_top_k (QfCall *c)
{
  gint64 axis = qf_call_int (c, "axis", -1);

  return qf_axis (&axis, c->in[0]->rank, NULL)
      ? (gsize) c->in[0]->dims[axis] * sizeof (Ranked)
      : 0;
}

/* A whole number in the order of the elements; what is not a number is the
 * largest. */
static gint64
key_of (const QfArray *x, gint64 i)
{
  gint32 bits;
  float v;

  switch (x->dtype) {
    case QF_F32:
      v = ((const float *) x->data)[i] + 0.0f; /* −0 is 0 */
      if (isnan (v))
        return G_MAXINT32;
      memcpy (&bits, &v, sizeof bits);
      return bits < 0 ? -(gint64) (bits & G_MAXINT32) : bits;
    case QF_I8:
      return ((const gint8 *) x->data)[i];
    case QF_U8:
    case QF_BOOL:
      return ((const guint8 *) x->data)[i];
    default:
      return qf_array_int (x, i);
  }
}

/* The first of equal ones is the first. */
static int
by_key (const void *a, const void *b)
{
  const Ranked *p = a, *q = b;

  return p->key != q->key ? (p->key < q->key ? -1 : 1)
                          : (p->index > q->index) - (p->index < q->index);
}

void
qf_run_top_k (QfCall *c)
{
  const QfArray *x = c->in[0], *y = c->out[0], *where = c->out[1];
  gsize size = qf_dtype_size (x->dtype);
  gboolean largest = qf_call_int (c, "largest", 1) != 0;
  Ranked *ranked = c->scratch;
  gint64 axis = 0, k = 0;
  Along a;

  read_top (c, &axis, &k, NULL);
  a = along (x, axis);
  for (gint64 o = 0; k && o < a.outer * a.inner; o++) {
    gint64 from = o / a.inner * a.n * a.inner + o % a.inner;
    gint64 to = o / a.inner * k * a.inner + o % a.inner;

    for (gint64 i = 0; i < a.n; i++) {
      gint64 key = key_of (x, from + i * a.inner);

      ranked[i] = (Ranked){ largest ? ~key : key, i };
    }
    qsort (ranked, (gsize) a.n, sizeof *ranked, by_key);
    for (gint64 i = 0; i < k; i++) {
      memcpy ((guint8 *) y->data + (gsize) (to + i * a.inner) * size,
          (const guint8 *) x->data +
              (gsize) (from + ranked[i].index * a.inner) * size,
          size);
      if (where)
        ((gint64 *) where->data)[to + i * a.inner] = ranked[i].index;
    }
  }
}

/* ---- NonZero ------------------------------------------------------------ */

gboolean
qf_infer_non_zero (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 dims[2] = { x->rank, qf_array_elements (x) };

  return qf_call_set_open (c, 0, QF_I64, 2, dims, error);
}

static gboolean
is_zero (const QfArray *x, gint64 i)
{
  switch (x->dtype) {
    case QF_F32:
      return ((const float *) x->data)[i] == 0;
    case QF_I32:
    case QF_I64:
      return qf_array_int (x, i) == 0;
    default:
      return ((const guint8 *) x->data)[i] == 0;
  }
}

void
qf_run_non_zero (QfCall *c)
{
  const QfArray *x = c->in[0];
  gint64 *y = c->out[0]->data, n = qf_array_elements (x), count = 0, at = 0;
  gint64 strides[QF_MAX_RANK];

  qf_strides (x->rank, x->dims, strides);
  for (gint64 i = 0; i < n; i++)
    count += !is_zero (x, i);
  c->out[0]->dims[1] = count;
  for (gint64 i = 0; i < n; i++)
    if (!is_zero (x, i)) {
      for (int d = 0; d < x->rank; d++)
        y[d * count + at] = i / strides[d] % x->dims[d];
      at++;
    }
}

/* ---- Compress ----------------------------------------------------------- */

/* The input as what is chosen along: flat where there is no axis. */
static gboolean
read_compress (QfCall *c, QfArray *x, gint64 *axis, GError **error)
{
  *x = *c->in[0];
  if (!qf_call_attr (c, "axis", QF_ATTR_INT)) {
    x->dims[0] = qf_array_elements (x);
    x->rank = 1;
  }
  *axis = qf_call_int (c, "axis", 0);
  if (c->in[1]->dtype != QF_BOOL || c->in[1]->rank != 1)
    return QF_BAD ("its condition is no list of bool");
  return qf_axis (axis, x->rank, error);
}

gboolean
qf_infer_compress (QfCall *c, GError **error)
{
  gint64 axis;
  QfArray x;

  if (!read_compress (c, &x, &axis, error))
    return FALSE;
  x.dims[axis] = MIN (x.dims[axis], c->in[1]->dims[0]);
  return qf_call_set_open (c, 0, x.dtype, x.rank, x.dims, error);
}

void
qf_run_compress (QfCall *c)
{
  const guint8 *chosen = c->in[1]->data;
  guint8 *y = c->out[0]->data;
  gint64 axis = 0, n, count = 0;
  gsize row;
  QfArray x;
  Along a;

  read_compress (c, &x, &axis, NULL);
  a = along (&x, axis);
  row = (gsize) a.inner * qf_dtype_size (x.dtype);
  n = MIN (a.n, c->in[1]->dims[0]);
  for (gint64 i = 0; i < n; i++)
    count += chosen[i] != 0;
  c->out[0]->dims[axis] = count;
  for (gint64 o = 0; row && o < a.outer; o++)
    for (gint64 i = 0; i < n; i++)
      if (chosen[i]) {
        memcpy (y, (const guint8 *) x.data + (gsize) (o * a.n + i) * row, row);
        y += row;
      }
}

/* ---- CumSum ------------------------------------------------------------- */

static gboolean
read_cum_sum (QfCall *c, gint64 *axis, GError **error)
{
  qf_call_int (c, "exclusive", 0);
  qf_call_int (c, "reverse", 0);
  *axis = 0;
  return qf_call_constant_ints (c, 1, axis, 1, error) >= 0 &&
      qf_axis (axis, c->in[0]->rank, error);
}

gboolean
qf_infer_cum_sum (QfCall *c, GError **error)
{
  QfDType t = c->in[0]->dtype;
  gint64 axis;

  if (t != QF_F32 && t != QF_I32 && t != QF_I64)
    return QF_UNSUPPORTED ("the type of its input is not supported");
  return read_cum_sum (c, &axis, error) && qf_infer_same (c, error);
}

#define SUMS(T, U)                                                             \
  do {                                                                         \
    const T *p = (const T *) c->in[0]->data + first;                           \
    T *q = (T *) c->out[0]->data + first;                                      \
    U sum = 0;                                                                 \
    for (gint64 i = 0; i < a.n; i++) {                                         \
      gint64 k = (reverse ? a.n - 1 - i : i) * a.inner;                        \
      U before = sum;                                                          \
      sum += (U) p[k];                                                         \
      q[k] = (T) (exclusive ? before : sum);                                   \
    }                                                                          \
  } while (0)

void
qf_run_cum_sum (QfCall *c)
{
  gboolean exclusive = qf_call_int (c, "exclusive", 0) != 0;
  gboolean reverse = qf_call_int (c, "reverse", 0) != 0;
  gint64 axis = 0;
  Along a;

  read_cum_sum (c, &axis, NULL);
  a = along (c->in[0], axis);
  for (gint64 o = 0; a.n && o < a.outer * a.inner; o++) {
    gint64 first = o / a.inner * a.n * a.inner + o % a.inner;

    if (c->in[0]->dtype == QF_F32)
      SUMS (float, float);
    else if (c->in[0]->dtype == QF_I32)
      SUMS (gint32, guint32);
    else
      SUMS (gint64, guint64);
  }
}

/* ---- Trilu -------------------------------------------------------------- */

static gboolean
read_trilu (QfCall *c, gint64 *k, GError **error)
{
  qf_call_int (c, "upper", 1);
  *k = 0;
  if (c->in[0]->rank < 2)
    return QF_BAD ("its input is no matrix");
  return !qf_call_in (c, 1) || qf_call_constant_ints (c, 1, k, 1, error) >= 0;
}

gboolean
qf_infer_trilu (QfCall *c, GError **error)
{
  gint64 k;

  return read_trilu (c, &k, error) && qf_infer_same (c, error);
}

void
qf_run_trilu (QfCall *c)
{
  const QfArray *x = c->in[0];
  gsize size = qf_dtype_size (x->dtype);
  guint8 *y = c->out[0]->data;
  gint64 h = x->dims[x->rank - 2], w = x->dims[x->rank - 1], k = 0;
  gint64 n = qf_array_elements (x);
  gboolean upper = qf_call_int (c, "upper", 1) != 0;

  read_trilu (c, &k, NULL);
  k = CLAMP (k, -QF_MAX_ELEMENTS, QF_MAX_ELEMENTS);
  memcpy (y, x->data, qf_array_bytes (x));
  for (gint64 i = 0; i < n; i++)
    if (upper ? i % w - i / w % h < k : i % w - i / w % h > k)
      memset (y + (gsize) i * size, 0, size);
}
