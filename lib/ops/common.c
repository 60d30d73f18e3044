/* libqfuse: what the operators share: attributes, shapes, walks.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ops-private.h"

void
qf_attr_free (gpointer p)
{
  QfAttr *a = p;

  g_free (a->name);
  g_free (a->text);
  g_free (a->ints);
  g_free (a->floats);
  g_free (a->tensor.data);
  g_free (a);
}

/* ---- attributes --------------------------------------------------------- */

const QfAttr *
qf_call_attr (QfCall *c, const char *name, QfAttrType type)
{
  for (guint i = 0; i < c->attrs->len; i++) {
    const QfAttr *a = g_ptr_array_index (c->attrs, i);

    if (strcmp (a->name, name) != 0)
      continue;
    if (a->type == type)
      return a;
    c->wrong_attr = name;
  }
  return NULL;
}

gint64
qf_call_int (QfCall *c, const char *name, gint64 fallback)
{
  const QfAttr *a = qf_call_attr (c, name, QF_ATTR_INT);

  return a ? a->i : fallback;
}

float
qf_call_float (QfCall *c, const char *name, float fallback)
{
  const QfAttr *a = qf_call_attr (c, name, QF_ATTR_FLOAT);

  return a ? a->f : fallback;
}

const char *
qf_call_text (QfCall *c, const char *name, const char *fallback)
{
  const QfAttr *a = qf_call_attr (c, name, QF_ATTR_TEXT);

  return a && a->text[0] ? a->text : fallback;
}

int
qf_call_ints (QfCall *c, const char *name, gint64 *v, int max)
{
  const QfAttr *a = qf_call_attr (c, name, QF_ATTR_INTS);

  if (!a)
    return -1;
  for (int i = 0; i < MIN (a->n, max); i++)
    v[i] = a->ints[i];
  return a->n;
}

/* ---- constant inputs ---------------------------------------------------- */

const void *
qf_call_constant (QfCall *c, int i, GError **error)
{
  const QfArray *a = qf_call_in (c, i);

  if (a && a->data)
    return a->data;
  if (a && a->bound && a->open)
    return a->bound;
  if (a && a->bound) {
    c->used_bound |= G_GUINT64_CONSTANT (1) << i;
    return a->bound;
  }
  c->wants_constant = TRUE;
  (void) QF_UNSUPPORTED (
      "its input %d decides the shape and has to be constant", i + 1);
  return NULL;
}

gint64
qf_array_int (const QfArray *a, gint64 i)
{
  const void *data = a->data ? a->data : a->bound;

  return a->dtype == QF_I64 ? ((const gint64 *) data)[i]
                            : ((const gint32 *) data)[i];
}

int
qf_call_constant_ints (QfCall *c, int i, gint64 *v, int max, GError **error)
{
  const QfArray *a = qf_call_in (c, i);
  gint64 n;

  if (!qf_call_constant (c, i, error))
    return -1;
  n = qf_array_elements (a);
  if ((a->dtype != QF_I64 && a->dtype != QF_I32) || a->rank > 1 || n > max) {
    (void) QF_BAD (
        "its input %d is no list of at most %d whole numbers", i + 1, max);
    return -1;
  }
  for (gint64 k = 0; k < n; k++)
    v[k] = qf_array_int (a, k);
  return (int) n;
}

int
qf_call_constant_floats (QfCall *c, int i, float *v, int max, GError **error)
{
  const QfArray *a = qf_call_in (c, i);
  const float *data = qf_call_constant (c, i, error);
  gint64 n;

  if (!data)
    return -1;
  n = qf_array_elements (a);
  if (a->dtype != QF_F32 || a->rank > 1 || n > max) {
    (void) QF_BAD (
        "its input %d is no list of at most %d float32 numbers", i + 1, max);
    return -1;
  }
  for (gint64 k = 0; k < n; k++)
    v[k] = data[k];
  return (int) n;
}

/* ---- shapes ------------------------------------------------------------- */

gboolean
qf_call_set (QfCall *c, int k, QfDType dtype, int rank, const gint64 *dims,
    GError **error)
{
  gint64 n = 1;

  if (rank > QF_MAX_RANK)
    return QF_UNSUPPORTED ("its result would have %d dimensions, at most %d "
                           "are supported",
        rank, QF_MAX_RANK);
  for (int i = 0; i < rank; i++) {
    if (dims[i] < 0 || dims[i] > QF_MAX_ELEMENTS)
      return QF_BAD (
          "its result would have a dimension of %" G_GINT64_FORMAT, dims[i]);
    n *= MAX (dims[i], 1); /* also of empty ones: strides stay small */
    if (n > QF_MAX_ELEMENTS)
      return QF_BAD ("its result would have more than %" G_GINT64_FORMAT
                     " elements",
          QF_MAX_ELEMENTS);
  }
  if (k >= c->n_out || !c->out[k])
    return TRUE;
  c->out[k]->dtype = dtype;
  c->out[k]->rank = rank;
  for (int i = 0; i < rank; i++)
    c->out[k]->dims[i] = dims[i];
  return TRUE;
}

gboolean
qf_call_set_open (QfCall *c, int k, QfDType dtype, int rank, const gint64 *dims,
    GError **error)
{
  if (k < c->n_out && c->out[k])
    c->out[k]->open = TRUE;
  return qf_call_set (c, k, dtype, rank, dims, error);
}

gboolean
qf_infer_same (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];

  return qf_call_set (c, 0, x->dtype, x->rank, x->dims, error);
}

gboolean
qf_axis (gint64 *axis, int rank, GError **error)
{
  if (*axis < -rank || *axis >= rank)
    return QF_BAD (
        "its axis %" G_GINT64_FORMAT " is not one of %d", *axis, rank);
  *axis += *axis < 0 ? rank : 0;
  return TRUE;
}

gboolean
qf_call_float_in (QfCall *c, int i, int rank, GError **error)
{
  const QfArray *a = qf_call_in (c, i);

  if (!a)
    return QF_BAD ("its input %d is missing", i + 1);
  if (a->dtype != QF_F32)
    return QF_UNSUPPORTED ("the type of its input %d is not supported", i + 1);
  if (rank >= 0 && a->rank != rank)
    return QF_BAD (
        "its input %d has %d dimensions instead of %d", i + 1, a->rank, rank);
  return TRUE;
}

gboolean
qf_broadcast (
    const QfArray *const *in, int n, int *rank, gint64 *dims, GError **error)
{
  *rank = 0;
  for (int k = 0; k < n; k++)
    *rank = MAX (*rank, in[k]->rank);
  for (int i = 0; i < *rank; i++)
    dims[i] = 1;
  for (int k = 0; k < n; k++)
    for (int i = 0; i < in[k]->rank; i++) {
      gint64 *d = &dims[*rank - in[k]->rank + i];

      if (in[k]->dims[i] != 1 && *d != 1 && in[k]->dims[i] != *d)
        return QF_BAD ("the shapes of its inputs do not go together");
      *d = *d == 1 ? in[k]->dims[i] : *d;
    }
  return TRUE;
}

void
qf_strides (int rank, const gint64 *dims, gint64 *strides)
{
  gint64 n = 1;

  for (int i = rank - 1; i >= 0; i--) {
    strides[i] = n;
    n *= dims[i];
  }
}

/* ---- walks -------------------------------------------------------------- */

typedef struct
{
  gint64 stride[QF_MAX_RANK]; /* in elements; 0 where broadcast */
} Steps;

static void
steps_of (const QfArray *a, const QfArray *out, Steps *s)
{
  gint64 own[QF_MAX_RANK];
  int skip = out->rank - a->rank;

  memset (s, 0, sizeof *s);
  qf_strides (a->rank, a->dims, own);
  for (int i = 0; i < a->rank; i++)
    s->stride[skip + i] = a->dims[i] == 1 ? 0 : own[i];
}

void
qf_walk (QfCall *c, QfRow row)
{
  const QfArray *out = c->out[0];
  gint64 total = qf_array_elements (out), index[QF_MAX_RANK] = { 0 };
  gint64 at[QF_OP_MAX_IN] = { 0 }, step[QF_OP_MAX_IN];
  int inner = out->rank - 1;
  g_autofree Steps *s = g_new0 (Steps, MAX (c->n_in, 1));
  gint64 n = 1;

  if (total == 0)
    return;
  for (int k = 0; k < c->n_in; k++)
    if (c->in[k])
      steps_of (c->in[k], out, &s[k]);
  for (int k = 0; k < c->n_in; k++)
    step[k] = inner >= 0 ? s[k].stride[inner] : 0;
  /* rows grow as long as every input goes on by its step */
  if (inner >= 0)
    n = out->dims[inner--];
  for (; inner >= 0; inner--) {
    gboolean joins = TRUE;

    for (int k = 0; k < c->n_in; k++)
      joins &= s[k].stride[inner] == step[k] * n;
    if (!joins)
      break;
    n *= out->dims[inner];
  }
  for (gint64 done = 0; done < total; done += n) {
    row (c, (gsize) done, (gsize) n, at, step);
    for (int i = inner; i >= 0; i--) {
      gboolean carries = ++index[i] == out->dims[i];

      for (int k = 0; k < c->n_in; k++)
        at[k] +=
            carries ? -s[k].stride[i] * (out->dims[i] - 1) : s[k].stride[i];
      if (!carries)
        break;
      index[i] = 0;
    }
  }
}

static void
copy_row (guint8 *to, gint64 to_step, const guint8 *from, gint64 from_step,
    gint64 n, gsize size)
{
  if (to_step == 1 && from_step == 1) {
    memcpy (to, from, (gsize) n * size);
    return;
  }
  for (gint64 i = 0; i < n; i++) {
    if (size == 4)
      memcpy (to, from, 4);
    else
      memcpy (to, from, size);
    to += to_step * (gint64) size;
    from += from_step * (gint64) size;
  }
}

void
qf_copy (void *to, const gint64 *to_strides, const void *from,
    const gint64 *from_strides, const gint64 *dims, int rank, gsize size)
{
  gint64 index[2 * QF_MAX_RANK] = { 0 };
  guint8 *t = to;
  const guint8 *f = from;
  gint64 e = (gint64) size;

  for (int i = 0; i < rank; i++)
    if (dims[i] == 0)
      return;
  if (rank == 0) {
    memcpy (to, from, size);
    return;
  }
  for (;;) {
    int i = rank - 2;

    copy_row (t, to_strides[rank - 1], f, from_strides[rank - 1],
        dims[rank - 1], size);
    for (; i >= 0; i--) {
      if (++index[i] < dims[i]) {
        t += to_strides[i] * e;
        f += from_strides[i] * e;
        break;
      }
      t -= to_strides[i] * e * (dims[i] - 1);
      f -= from_strides[i] * e * (dims[i] - 1);
      index[i] = 0;
    }
    if (i < 0)
      return;
  }
}
