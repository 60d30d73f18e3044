/* libqfuse: operators that change or make shapes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ops-private.h"

/* The elements of these stay as they are: they run as Identity. */

gboolean
qf_infer_reshape (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 dims[QF_MAX_RANK], known = 1, total = qf_array_elements (x);
  gboolean zero = qf_call_int (c, "allowzero", 0) != 0;
  int n = qf_call_constant_ints (c, 1, dims, QF_MAX_RANK, error), open = -1;

  if (n < 0)
    return FALSE;
  for (int i = 0; i < n; i++) {
    if (dims[i] == 0 && !zero) {
      if (i >= x->rank)
        return QF_BAD (
            "its shape takes dimension %d from an input of %d", i + 1, x->rank);
      dims[i] = x->dims[i];
    }
    if (dims[i] < -1 || dims[i] > QF_MAX_ELEMENTS)
      return QF_BAD ("its shape holds %" G_GINT64_FORMAT, dims[i]);
    if (dims[i] == -1 && open >= 0)
      return QF_BAD ("its shape leaves two dimensions open");
    if (dims[i] == -1)
      open = i;
    else
      known *= dims[i];
    if (known > QF_MAX_ELEMENTS)
      return QF_BAD ("its shape is too large");
  }
  if (open >= 0)
    dims[open] = known ? total / known : 0;
  if (known * (open >= 0 ? dims[open] : 1) != total)
    return QF_BAD ("its shape does not fit an input of %" G_GINT64_FORMAT
                   " elements",
        total);
  return qf_call_set (c, 0, x->dtype, n, dims, error);
}

gboolean
qf_infer_flatten (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 axis = qf_call_int (c, "axis", 1), dims[2] = { 1, 1 };

  if (axis != x->rank && !qf_axis (&axis, x->rank, error))
    return FALSE;
  for (int i = 0; i < x->rank; i++)
    dims[i < axis ? 0 : 1] *= x->dims[i];
  return qf_call_set (c, 0, x->dtype, 2, dims, error);
}

/* Axes are an input from opset 13 on. Absent: −1; error: −2. */
static int
read_axes (QfCall *c, gint64 *axes, GError **error)
{
  int n;

  if (c->opset < 13)
    n = qf_call_ints (c, "axes", axes, QF_MAX_RANK);
  else if (qf_call_in (c, 1))
    n = qf_call_constant_ints (c, 1, axes, QF_MAX_RANK, error);
  else
    return -1;
  if (n > QF_MAX_RANK)
    (void) QF_BAD ("it has too many axes");
  return n > QF_MAX_RANK || (n < 0 && c->opset >= 13) ? -2 : n;
}

gboolean
qf_infer_squeeze (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 axes[QF_MAX_RANK], dims[QF_MAX_RANK];
  int n = read_axes (c, axes, error), rank = 0;
  unsigned drop = 0;

  if (n == -2)
    return FALSE;
  for (int i = 0; i < n; i++) {
    if (!qf_axis (&axes[i], x->rank, error))
      return FALSE;
    if (x->dims[axes[i]] != 1)
      return QF_BAD ("dimension %" G_GINT64_FORMAT " is not 1", axes[i]);
    drop |= 1u << axes[i];
  }
  for (int i = 0; i < x->rank; i++)
    if (n < 0 ? x->dims[i] != 1 : !(drop >> i & 1))
      dims[rank++] = x->dims[i];
  return qf_call_set (c, 0, x->dtype, rank, dims, error);
}

gboolean
qf_infer_unsqueeze (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 axes[QF_MAX_RANK], dims[QF_MAX_RANK];
  int n = read_axes (c, axes, error), from = 0;
  unsigned add = 0;

  if (n == -2)
    return FALSE;
  if (n < 0 || x->rank + n > QF_MAX_RANK)
    return QF_BAD ("it has no axes or too many");
  for (int i = 0; i < n; i++) {
    if (!qf_axis (&axes[i], x->rank + n, error))
      return FALSE;
    if (add >> axes[i] & 1)
      return QF_BAD ("its axes are the same");
    add |= 1u << axes[i];
  }
  for (int i = 0; i < x->rank + n; i++)
    dims[i] = add >> i & 1 ? 1 : x->dims[from++];
  return qf_call_set (c, 0, x->dtype, x->rank + n, dims, error);
}

/* Dropout when a network is only run; its mask holds true. */
gboolean
qf_infer_dropout (QfCall *c, GError **error)
{
  if (c->opset >= 12 && qf_call_in (c, 2)) {
    const guint8 *training = qf_call_constant (c, 2, error);

    if (!training)
      return FALSE;
    if (c->in[2]->dtype != QF_BOOL || qf_array_elements (c->in[2]) != 1 ||
        *training)
      return QF_UNSUPPORTED ("its training_mode is not supported");
  }
  return qf_infer_same (c, error) &&
      qf_call_set (c, 1, c->opset < 10 ? c->in[0]->dtype : QF_BOOL,
          c->in[0]->rank, c->in[0]->dims, error);
}

void
qf_run_dropout (QfCall *c)
{
  qf_run_identity (c);
  if (c->n_out > 1 && c->out[1]) {
    gint64 n = qf_array_elements (c->out[1]);

    for (gint64 i = 0; i < n; i++)
      if (c->out[1]->dtype == QF_F32)
        ((float *) c->out[1]->data)[i] = 1;
      else
        ((guint8 *) c->out[1]->data)[i] = 1;
  }
}

/* ---- shapes as values --------------------------------------------------- */

static void
shape_range (QfCall *c, gint64 *start, gint64 *end)
{
  int rank = c->in[0]->rank;

  *start = qf_call_int (c, "start", 0);
  *end = qf_call_int (c, "end", rank);
  *start = CLAMP (*start < 0 ? *start + rank : *start, 0, rank);
  *end = CLAMP (*end < 0 ? *end + rank : *end, *start, rank);
}

gboolean
qf_infer_shape (QfCall *c, GError **error)
{
  gint64 start, end, n;

  shape_range (c, &start, &end);
  n = end - start;
  return qf_call_set (c, 0, QF_I64, 1, &n, error);
}

void
qf_run_shape (QfCall *c)
{
  gint64 start, end;

  shape_range (c, &start, &end);
  for (gint64 i = start; i < end; i++)
    ((gint64 *) c->out[0]->data)[i - start] = c->in[0]->dims[i];
}

gboolean
qf_infer_size (QfCall *c, GError **error)
{
  return qf_call_set (c, 0, QF_I64, 0, NULL, error);
}

void
qf_run_size (QfCall *c)
{
  *(gint64 *) c->out[0]->data = qf_array_elements (c->in[0]);
}

/* ---- constants ---------------------------------------------------------- */

gboolean
qf_infer_constant (QfCall *c, GError **error)
{
  for (guint i = 0; i < c->attrs->len; i++) {
    const QfAttr *a = g_ptr_array_index (c->attrs, i);
    gint64 n = a->n;

    if (strcmp (a->name, "value") == 0 && a->type == QF_ATTR_TENSOR)
      return qf_call_set (
          c, 0, a->tensor.dtype, a->tensor.rank, a->tensor.dims, error);
    if (strcmp (a->name, "value_float") == 0 && a->type == QF_ATTR_FLOAT)
      return qf_call_set (c, 0, QF_F32, 0, NULL, error);
    if (strcmp (a->name, "value_int") == 0 && a->type == QF_ATTR_INT)
      return qf_call_set (c, 0, QF_I64, 0, NULL, error);
    if (strcmp (a->name, "value_floats") == 0 && a->type == QF_ATTR_FLOATS)
      return qf_call_set (c, 0, QF_F32, 1, &n, error);
    if (strcmp (a->name, "value_ints") == 0 && a->type == QF_ATTR_INTS)
      return qf_call_set (c, 0, QF_I64, 1, &n, error);
  }
  return QF_UNSUPPORTED ("it holds no value of a type that is supported");
}

void
qf_run_constant (QfCall *c)
{
  for (guint i = 0; i < c->attrs->len; i++) {
    const QfAttr *a = g_ptr_array_index (c->attrs, i);
    const void *from = strcmp (a->name, "value") == 0 ? a->tensor.data
        : strcmp (a->name, "value_float") == 0        ? (const void *) &a->f
        : strcmp (a->name, "value_int") == 0          ? (const void *) &a->i
        : strcmp (a->name, "value_floats") == 0       ? (const void *) a->floats
        : strcmp (a->name, "value_ints") == 0         ? (const void *) a->ints
                                                      : NULL;

    if (!from)
      continue;
    if (qf_array_bytes (c->out[0]))
      memcpy (c->out[0]->data, from, qf_array_bytes (c->out[0]));
    return;
  }
}

gboolean
qf_infer_constant_of_shape (QfCall *c, GError **error)
{
  const QfAttr *a = qf_call_attr (c, "value", QF_ATTR_TENSOR);
  gint64 dims[QF_MAX_RANK];
  int n = qf_call_constant_ints (c, 0, dims, QF_MAX_RANK, error);

  if (n < 0)
    return FALSE;
  if (a && qf_array_elements (&a->tensor) != 1)
    return QF_BAD ("its value is no single number");
  return qf_call_set (c, 0, a ? a->tensor.dtype : QF_F32, n, dims, error);
}

void
qf_run_constant_of_shape (QfCall *c)
{
  const QfAttr *a = qf_call_attr (c, "value", QF_ATTR_TENSOR);
  gsize n = (gsize) qf_array_elements (c->out[0]);
  gsize size = qf_dtype_size (c->out[0]->dtype);
  guint8 *y = c->out[0]->data;

  for (gsize i = 0; i < n; i++)
    if (a)
      memcpy (y + i * size, a->tensor.data, size);
    else
      memset (y + i * size, 0, size);
}

/* ---- Range -------------------------------------------------------------- */

gboolean
qf_infer_range (QfCall *c, GError **error)
{
  QfDType t = c->in[0]->dtype;
  double v[3], n;
  gint64 count;

  for (int i = 0; i < 3; i++) {
    const void *p = qf_call_constant (c, i, error);

    if (!p)
      return FALSE;
    if (c->in[i]->dtype != t || qf_array_elements (c->in[i]) != 1 ||
        (t != QF_F32 && t != QF_I32 && t != QF_I64))
      return QF_BAD (
          "its input %d is no number of a type that is supported", i + 1);
    v[i] = t == QF_F32 ? (double) *(const float *) p
                       : (double) qf_array_int (c->in[i], 0);
  }
  n = ceil ((v[1] - v[0]) / v[2]);
  if (isnan (n) || n > (double) QF_MAX_ELEMENTS)
    return QF_BAD ("its range is too long or has no step");
  count = (gint64) MAX (n, 0);
  return qf_call_set (c, 0, t, 1, &count, error);
}

void
qf_run_range (QfCall *c)
{
  QfArray *y = c->out[0];

  for (gint64 i = 0; i < y->dims[0]; i++)
    if (y->dtype == QF_F32)
      ((float *) y->data)[i] = *(const float *) c->in[0]->data +
          (float) i * *(const float *) c->in[2]->data;
    else if (y->dtype == QF_I64)
      ((gint64 *) y->data)[i] =
          qf_array_int (c->in[0], 0) + i * qf_array_int (c->in[2], 0);
    else
      ((gint32 *) y->data)[i] = (gint32) (qf_array_int (c->in[0], 0) +
          i * qf_array_int (c->in[2], 0));
}
