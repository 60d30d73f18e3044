/* libqfuse: operators that read and write elements by indices.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ops-private.h"

static gboolean
whole_numbers (QfCall *c, int i, GError **error)
{
  QfDType t = c->in[i]->dtype;

  return t == QF_I32 || t == QF_I64 ||
      QF_BAD ("its input %d is not of whole numbers", i + 1);
}

/* ---- a single element, taken or changed --------------------------------- */

typedef enum
{
  NONE,
  ADD,
  MUL,
  MAX_OF,
  MIN_OF,
  UNKNOWN
} Reduction;

static Reduction
reduction_of (QfCall *c)
{
  static const char *const names[] = { "none", "add", "mul", "max", "min" };
  const char *name = qf_call_text (c, "reduction", "none");
  int i = 0;

  while (i < UNKNOWN && strcmp (name, names[i]) != 0)
    i++;
  return (Reduction) i;
}

#define REDUCE(T, U)                                                           \
  do {                                                                         \
    T *y = (T *) to + i;                                                       \
    T v = ((const T *) from)[k];                                               \
    *y = reduction == ADD     ? (T) ((U) *y + (U) v)                           \
        : reduction == MUL    ? (T) ((U) *y * (U) v)                           \
        : reduction == MAX_OF ? MAX (*y, v)                                    \
                              : MIN (*y, v);                                   \
  } while (0)

/* Element @k of @from onto element @i of @to. */
static void
reduce (QfDType dtype, Reduction reduction, void *to, gint64 i,
    const void *from, gint64 k)
{
  switch (dtype) {
    case QF_F32:
      REDUCE (float, float);
      break;
    case QF_I32:
      REDUCE (gint32, guint32);
      break;
    case QF_I64:
      REDUCE (gint64, guint64);
      break;
    case QF_I8:
      REDUCE (gint8, guint32);
      break;
    default:
      REDUCE (guint8, guint32);
  }
}

static void
put (const QfArray *y, gint64 i, const QfArray *from, gint64 k, gint64 n,
    Reduction reduction)
{
  gsize size = qf_dtype_size (y->dtype);

  if (reduction == NONE)
    memcpy ((guint8 *) y->data + (gsize) i * size,
        (const guint8 *) from->data + (gsize) k * size, (gsize) n * size);
  else
    for (gint64 e = 0; e < n; e++)
      reduce (y->dtype, reduction, y->data, i + e, from->data, k + e);
}

/* ---- GatherElements, ScatterElements ------------------------------------ */

/* Whether the indices' shape lies within the data's, but along the axis. */
static gboolean
element_axis (QfCall *c, gint64 *axis, GError **error)
{
  const QfArray *x = c->in[0], *index = c->in[1];

  *axis = qf_call_int (c, "axis", 0);
  if (!whole_numbers (c, 1, error) || !qf_axis (axis, x->rank, error))
    return FALSE;
  if (index->rank != x->rank)
    return QF_BAD (
        "its indices have %d dimensions instead of %d", index->rank, x->rank);
  for (int i = 0; i < x->rank; i++)
    if (i != *axis && index->dims[i] > x->dims[i])
      return QF_BAD ("its indices do not fit its input");
  return x->dims[*axis] > 0 || qf_array_elements (index) == 0 ||
      QF_BAD ("it takes elements from an empty input");
}

gboolean
qf_infer_gather_elements (QfCall *c, GError **error)
{
  gint64 axis;

  return element_axis (c, &axis, error) &&
      qf_call_set (
          c, 0, c->in[0]->dtype, c->in[1]->rank, c->in[1]->dims, error);
}

gboolean
qf_infer_scatter_elements (QfCall *c, GError **error)
{
  const QfArray *index = c->in[1], *updates = c->in[2];
  gint64 axis;

  if (reduction_of (c) == UNKNOWN)
    return QF_UNSUPPORTED ("its reduction is not supported");
  if (!element_axis (c, &axis, error))
    return FALSE;
  if (updates->dtype != c->in[0]->dtype || updates->rank != index->rank ||
      memcmp (updates->dims, index->dims,
          (gsize) index->rank * sizeof *index->dims) != 0)
    return QF_BAD ("its updates do not fit its indices");
  return qf_infer_same (c, error);
}

/* Element of the data that element @i of the indices means; @at: its place. */
static gint64
element_of (const QfArray *x, const QfArray *index, const gint64 *strides,
    const gint64 *at, gint64 axis, gint64 i)
{
  gint64 e = 0;

  for (int d = 0; d < x->rank; d++)
    e += strides[d] *
        (d == axis ? qf_inside (qf_array_int (index, i), x->dims[d]) : at[d]);
  return e;
}

static void
step (const QfArray *a, gint64 *at)
{
  for (int d = a->rank - 1; d >= 0 && ++at[d] == a->dims[d]; d--)
    at[d] = 0;
}

void
qf_run_gather_elements (QfCall *c)
{
  const QfArray *x = c->in[0], *index = c->in[1], *y = c->out[0];
  gint64 axis = 0, at[QF_MAX_RANK] = { 0 }, strides[QF_MAX_RANK];
  gint64 n = qf_array_elements (index);

  element_axis (c, &axis, NULL);
  qf_strides (x->rank, x->dims, strides);
  for (gint64 i = 0; i < n; i++, step (index, at))
    put (y, i, x, element_of (x, index, strides, at, axis, i), 1, NONE);
}

void
qf_run_scatter_elements (QfCall *c)
{
  const QfArray *x = c->in[0], *index = c->in[1], *y = c->out[0];
  gint64 axis = 0, at[QF_MAX_RANK] = { 0 }, strides[QF_MAX_RANK];
  gint64 n = qf_array_elements (index);
  Reduction reduction = reduction_of (c);

  memcpy (y->data, x->data, qf_array_bytes (x));
  element_axis (c, &axis, NULL);
  qf_strides (x->rank, x->dims, strides);
  for (gint64 i = 0; i < n; i++, step (index, at))
    put (y, element_of (x, index, strides, at, axis, i), c->in[2], i, 1,
        reduction);
}

/* ---- GatherND, ScatterND ------------------------------------------------ */

/* The last dimension of the indices names a place in the data's dimensions
 * from @batch on: as many as it is long. */
static gboolean
tuple_length (QfCall *c, gint64 batch, gint64 *length, GError **error)
{
  const QfArray *x = c->in[0], *index = c->in[1];

  if (!whole_numbers (c, 1, error))
    return FALSE;
  if (index->rank < 1 || batch < 0 || batch >= index->rank || batch > x->rank)
    return QF_BAD ("its indices have %d dimensions", index->rank);
  *length = index->dims[index->rank - 1];
  if (*length > x->rank - batch)
    return QF_BAD ("its indices do not fit an input of %d dimensions", x->rank);
  for (int i = 0; i < batch; i++)
    if (index->dims[i] != x->dims[i])
      return QF_BAD ("its indices do not fit its input");
  for (gint64 i = 0; i < *length; i++)
    if (x->dims[batch + i] == 0 && qf_array_elements (index))
      return QF_BAD ("it takes elements from an empty input");
  return TRUE;
}

/* Shape of what the indices name, after the data's batch. */
static gboolean
named_shape (QfCall *c, gint64 batch, gint64 length, int *rank, gint64 *dims,
    GError **error)
{
  const QfArray *x = c->in[0], *index = c->in[1];

  *rank = index->rank - 1 + x->rank - (int) (batch + length);
  if (*rank > QF_MAX_RANK)
    return QF_UNSUPPORTED ("its result would have %d dimensions", *rank);
  for (int i = 0; i < *rank; i++)
    dims[i] = i < index->rank - 1
        ? index->dims[i]
        : x->dims[i - (index->rank - 1) + (int) (batch + length)];
  return TRUE;
}

gboolean
qf_infer_gather_nd (QfCall *c, GError **error)
{
  gint64 batch = qf_call_int (c, "batch_dims", 0), length, dims[QF_MAX_RANK];
  int rank;

  return tuple_length (c, batch, &length, error) &&
      named_shape (c, batch, length, &rank, dims, error) &&
      qf_call_set (c, 0, c->in[0]->dtype, rank, dims, error);
}

gboolean
qf_infer_scatter_nd (QfCall *c, GError **error)
{
  const QfArray *updates = c->in[2];
  gint64 length, dims[QF_MAX_RANK];
  int rank;

  if (reduction_of (c) == UNKNOWN)
    return QF_UNSUPPORTED ("its reduction is not supported");
  if (!tuple_length (c, 0, &length, error) ||
      !named_shape (c, 0, length, &rank, dims, error))
    return FALSE;
  if (updates->dtype != c->in[0]->dtype || updates->rank != rank ||
      memcmp (updates->dims, dims, (gsize) rank * sizeof *dims) != 0)
    return QF_BAD ("its updates do not fit its indices");
  return qf_infer_same (c, error);
}

/* First element of what tuple @i of the indices names. */
static gint64
named (const QfArray *x, const QfArray *index, const gint64 *strides,
    gint64 batch, gint64 length, gint64 i)
{
  gint64 e = 0;

  for (gint64 d = 0; d < length; d++)
    e += strides[batch + d] *
        qf_inside (qf_array_int (index, i * length + d), x->dims[batch + d]);
  return e;
}

static gint64
product (const gint64 *dims, gint64 from, gint64 to)
{
  gint64 n = 1;

  for (gint64 i = from; i < to; i++)
    n *= dims[i];
  return n;
}

void
qf_run_gather_nd (QfCall *c)
{
  const QfArray *x = c->in[0], *index = c->in[1];
  gint64 batch = qf_call_int (c, "batch_dims", 0), length = 0;
  gint64 strides[QF_MAX_RANK], tuples, each, slice, images;

  tuple_length (c, batch, &length, NULL);
  qf_strides (x->rank, x->dims, strides);
  images = product (x->dims, 0, batch);
  tuples = product (index->dims, batch, index->rank - 1);
  each = product (x->dims, batch, x->rank);
  slice = product (x->dims, batch + length, x->rank);
  for (gint64 b = 0, i = 0; b < images; b++)
    for (gint64 k = 0; k < tuples; k++, i++)
      put (c->out[0], i * slice, x,
          b * each + named (x, index, strides, batch, length, i), slice, NONE);
}

void
qf_run_scatter_nd (QfCall *c)
{
  const QfArray *x = c->in[0], *index = c->in[1];
  gint64 length = 0, strides[QF_MAX_RANK], tuples, slice;
  Reduction reduction = reduction_of (c);

  memcpy (c->out[0]->data, x->data, qf_array_bytes (x));
  tuple_length (c, 0, &length, NULL);
  qf_strides (x->rank, x->dims, strides);
  tuples = product (index->dims, 0, index->rank - 1);
  slice = product (x->dims, length, x->rank);
  for (gint64 i = 0; slice && i < tuples; i++)
    put (c->out[0], named (x, index, strides, 0, length, i), c->in[2],
        i * slice, slice, reduction);
}

/* ---- OneHot ------------------------------------------------------------- */

static gboolean
one_hot_axis (QfCall *c, gint64 *axis, gint64 *depth, GError **error)
{
  float real = 0;

  *axis = qf_call_int (c, "axis", -1);
  if (!qf_axis (axis, c->in[0]->rank + 1, error))
    return FALSE;
  if (c->in[1]->dtype == QF_F32) {
    if (qf_call_constant_floats (c, 1, &real, 1, error) != 1)
      return FALSE;
    *depth = real >= 1 && real <= (float) QF_MAX_ELEMENTS ? (gint64) real : 0;
  } else if (qf_call_constant_ints (c, 1, depth, 1, error) != 1)
    return FALSE;
  return *depth >= 1 || QF_BAD ("its depth is less than 1");
}

gboolean
qf_infer_one_hot (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 dims[QF_MAX_RANK + 1], axis, depth = 0;

  if ((x->dtype != QF_F32 && !whole_numbers (c, 0, error)) ||
      !one_hot_axis (c, &axis, &depth, error))
    return FALSE;
  if (qf_array_elements (c->in[2]) != 2)
    return QF_BAD ("its values are not two");
  for (int i = 0; i <= x->rank; i++)
    dims[i] = i == axis ? depth : x->dims[i - (i > axis)];
  return qf_call_set (c, 0, c->in[2]->dtype, x->rank + 1, dims, error);
}

void
qf_run_one_hot (QfCall *c)
{
  const QfArray *x = c->in[0];
  gint64 axis = 0, depth = 1, outer, inner;

  one_hot_axis (c, &axis, &depth, NULL);
  outer = product (x->dims, 0, axis);
  inner = product (x->dims, axis, x->rank);
  for (gint64 o = 0, to = 0; o < outer; o++)
    for (gint64 d = 0; d < depth; d++)
      for (gint64 i = 0; i < inner; i++, to++) {
        gint64 from = o * inner + i;
        double v = x->dtype == QF_F32 ? (double) ((const float *) x->data)[from]
                                      : (double) qf_array_int (x, from);

        put (c->out[0], to, c->in[2],
            v == (double) d || v + (double) depth == (double) d, 1, NONE);
      }
}
