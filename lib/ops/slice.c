/* libqfuse: Slice and Pad.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ops-private.h"

typedef struct
{
  gint64 start[QF_MAX_RANK], step[QF_MAX_RANK], count[QF_MAX_RANK];
} Slice;

/* List @name: an attribute before opset 10, then input @i. −1 where absent, −2
 * with @error. */
static int
read_list (QfCall *c, const char *name, int i, gint64 *v, GError **error)
{
  int n;

  if (c->opset < 10)
    n = qf_call_ints (c, name, v, QF_MAX_RANK);
  else if (!qf_call_in (c, i))
    return -1;
  else if ((n = qf_call_constant_ints (c, i, v, QF_MAX_RANK, error)) < 0)
    return -2;
  if (n > QF_MAX_RANK)
    (void) QF_BAD ("its %s has too many numbers", name);
  return n > QF_MAX_RANK ? -2 : n;
}

static gboolean
slice_read (QfCall *c, Slice *s, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 starts[QF_MAX_RANK], ends[QF_MAX_RANK], axes[QF_MAX_RANK];
  gint64 steps[QF_MAX_RANK];
  int n = read_list (c, "starts", 1, starts, error);
  int n_ends = n < -1 ? -2 : read_list (c, "ends", 2, ends, error);
  int n_axes = n_ends < -1 ? -2 : read_list (c, "axes", 3, axes, error);
  int n_steps = n_axes < -1 ? -2
      : c->opset < 10       ? -1
                            : read_list (c, "steps", 4, steps, error);

  if (n < -1 || n_ends < -1 || n_axes < -1 || n_steps < -1)
    return FALSE;
  if (n < 0 || n_ends != n || (n_axes >= 0 && n_axes != n) ||
      (n_steps >= 0 && n_steps != n) || n > x->rank)
    return QF_BAD ("its starts, ends, axes and steps do not go together");
  for (int i = 0; i < x->rank; i++) {
    s->start[i] = 0;
    s->step[i] = 1;
    s->count[i] = x->dims[i];
  }
  for (int i = 0; i < n; i++) {
    gint64 a = n_axes >= 0 ? axes[i] : i, step = n_steps >= 0 ? steps[i] : 1;
    gint64 d, lo, hi, start, end;

    if (!qf_axis (&a, x->rank, error))
      return FALSE;
    if (step == 0)
      return QF_BAD ("its step is 0");
    step = CLAMP (step, -QF_MAX_ELEMENTS, QF_MAX_ELEMENTS);
    d = x->dims[a];
    lo = step > 0 ? 0 : -1;
    hi = step > 0 ? d : d - 1;
    start = CLAMP (starts[i], -QF_MAX_ELEMENTS, QF_MAX_ELEMENTS);
    end = CLAMP (ends[i], -2 * QF_MAX_ELEMENTS, QF_MAX_ELEMENTS);
    start = CLAMP (start < 0 ? start + d : start, MAX (lo, 0), MAX (hi, 0));
    end = CLAMP (end < 0 ? end + d : end, lo, MAX (hi, lo));
    s->start[a] = start;
    s->step[a] = step;
    s->count[a] = step > 0 ? (end - start + step - 1) / step
                           : (start - end - step - 1) / -step;
    s->count[a] = d ? MAX (s->count[a], 0) : 0;
  }
  return TRUE;
}

gboolean
qf_infer_slice (QfCall *c, GError **error)
{
  Slice s;

  return slice_read (c, &s, error) &&
      qf_call_set (c, 0, c->in[0]->dtype, c->in[0]->rank, s.count, error);
}

void
qf_run_slice (QfCall *c)
{
  const QfArray *x = c->in[0], *y = c->out[0];
  gsize size = qf_dtype_size (x->dtype);
  gint64 from[QF_MAX_RANK], to[QF_MAX_RANK], at = 0;
  Slice s;

  if (qf_array_elements (y) == 0)
    return;
  slice_read (c, &s, NULL);
  qf_strides (x->rank, x->dims, from);
  qf_strides (y->rank, y->dims, to);
  for (int i = 0; i < x->rank; i++) {
    at += s.start[i] * from[i];
    from[i] *= s.step[i];
  }
  qf_copy (y->data, to, (const guint8 *) x->data + at * (gint64) size, from,
      y->dims, y->rank, size);
}

/* ---- Pad ---------------------------------------------------------------- */

/* Pads before and after each dimension. */
static gboolean
pad_read (QfCall *c, gint64 *before, gint64 *after, GError **error)
{
  gint64 v[2 * QF_MAX_RANK], axes[QF_MAX_RANK];
  int rank = c->in[0]->rank, n, n_axes = rank;

  n = c->opset < 11 ? qf_call_ints (c, "pads", v, 2 * QF_MAX_RANK)
                    : qf_call_constant_ints (c, 1, v, 2 * QF_MAX_RANK, error);
  if (c->opset >= 11 && n < 0)
    return FALSE;
  for (int i = 0; i < rank; i++) {
    axes[i] = i;
    before[i] = after[i] = 0;
  }
  if (c->opset >= 18 && qf_call_in (c, 3)) {
    n_axes = qf_call_constant_ints (c, 3, axes, QF_MAX_RANK, error);
    if (n_axes < 0)
      return FALSE;
  }
  if (n != 2 * n_axes)
    return QF_BAD ("its pads are not two for each dimension");
  for (int i = 0; i < n_axes; i++) {
    if (!qf_axis (&axes[i], rank, error))
      return FALSE;
    before[axes[i]] = v[i];
    after[axes[i]] = v[n_axes + i];
    if (v[i] < -QF_MAX_ELEMENTS || v[i] > QF_MAX_ELEMENTS ||
        v[n_axes + i] < -QF_MAX_ELEMENTS || v[n_axes + i] > QF_MAX_ELEMENTS)
      return QF_BAD ("its pads are out of range");
  }
  return TRUE;
}

gboolean
qf_infer_pad (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0],
                *value = c->opset < 11 ? NULL : qf_call_in (c, 2);
  const char *mode = qf_call_text (c, "mode", "constant");
  gint64 before[QF_MAX_RANK], after[QF_MAX_RANK], dims[QF_MAX_RANK];

  qf_call_float (c, "value", 0);
  if (strcmp (mode, "constant") != 0 && strcmp (mode, "edge") != 0 &&
      strcmp (mode, "reflect") != 0 && strcmp (mode, "wrap") != 0)
    return QF_BAD ("its mode is not known");
  if (value && (value->dtype != x->dtype || qf_array_elements (value) != 1))
    return QF_BAD ("its value is no number of its input's type");
  if (!pad_read (c, before, after, error))
    return FALSE;
  for (int i = 0; i < x->rank; i++) {
    dims[i] = x->dims[i] + before[i] + after[i];
    if (x->dims[i] == 0 && dims[i] > 0 && strcmp (mode, "constant") != 0)
      return QF_BAD ("its input is empty");
  }
  return qf_call_set (c, 0, x->dtype, x->rank, dims, error);
}

/* Which input element stands at @i (from 0 in the input), −1: the value. */
static gint64
source (gint64 i, gint64 n, char mode)
{
  gint64 period = 2 * (n - 1);

  if (i >= 0 && i < n)
    return i;
  switch (mode) {
    case 'c':
      return -1;
    case 'e':
      return i < 0 ? 0 : n - 1;
    case 'w':
      return (i % n + n) % n;
    default:
      if (n == 1)
        return 0;
      i = (i % period + period) % period;
      return i < n ? i : period - i;
  }
}

void
qf_run_pad (QfCall *c)
{
  const QfArray *x = c->in[0], *y = c->out[0];
  const QfArray *value = c->opset < 11 ? NULL : qf_call_in (c, 2);
  char mode = qf_call_text (c, "mode", "constant")[0];
  gint64 before[QF_MAX_RANK], after[QF_MAX_RANK], stride[QF_MAX_RANK];
  gint64 index[QF_MAX_RANK] = { 0 }, total = qf_array_elements (y);
  gsize size = qf_dtype_size (x->dtype);
  guint8 fill[8] = { 0 }, *to = y->data;

  pad_read (c, before, after, NULL);
  qf_strides (x->rank, x->dims, stride);
  if (value)
    memcpy (fill, value->data, size);
  else if (x->dtype == QF_F32) {
    float v = c->opset < 11 ? qf_call_float (c, "value", 0) : 0;

    memcpy (fill, &v, sizeof v);
  }
  for (gint64 k = 0; k < total; k++, to += size) {
    gint64 at = 0;

    for (int i = 0; i < x->rank && at >= 0; i++) {
      gint64 p = source (index[i] - before[i], x->dims[i], mode);

      at = p < 0 ? -1 : at + p * stride[i];
    }
    memcpy (to, at < 0 ? fill : (const guint8 *) x->data + at * (gint64) size,
        size);
    for (int i = x->rank - 1; i >= 0 && ++index[i] == y->dims[i]; i--)
      index[i] = 0;
  }
}
