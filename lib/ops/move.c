/* libqfuse: operators that move elements.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ops-private.h"

/* ---- Transpose ---------------------------------------------------------- */

static gboolean
read_perm (QfCall *c, gint64 *perm, GError **error)
{
  int rank = c->in[0]->rank, n = qf_call_ints (c, "perm", perm, QF_MAX_RANK);
  unsigned seen = 0;

  if (n < 0)
    for (int i = 0; i < rank; i++)
      perm[i] = rank - 1 - i;
  else if (n != rank)
    return QF_BAD ("its perm has %d numbers instead of %d", n, rank);
  for (int i = 0; i < rank; i++) {
    if (!qf_axis (&perm[i], rank, error))
      return FALSE;
    seen |= 1u << perm[i];
  }
  return seen == (1u << rank) - 1 || QF_BAD ("its perm is no permutation");
}

gboolean
qf_infer_transpose (QfCall *c, GError **error)
{
  gint64 perm[QF_MAX_RANK], dims[QF_MAX_RANK];

  if (!read_perm (c, perm, error))
    return FALSE;
  for (int i = 0; i < c->in[0]->rank; i++)
    dims[i] = c->in[0]->dims[perm[i]];
  return qf_call_set (c, 0, c->in[0]->dtype, c->in[0]->rank, dims, error);
}

void
qf_run_transpose (QfCall *c)
{
  const QfArray *x = c->in[0], *y = c->out[0];
  gint64 perm[QF_MAX_RANK], from[QF_MAX_RANK], own[QF_MAX_RANK];
  gint64 to[QF_MAX_RANK];

  read_perm (c, perm, NULL);
  qf_strides (x->rank, x->dims, own);
  qf_strides (y->rank, y->dims, to);
  for (int i = 0; i < x->rank; i++)
    from[i] = own[perm[i]];
  qf_copy (
      y->data, to, x->data, from, y->dims, y->rank, qf_dtype_size (x->dtype));
}

/* ---- Expand and Tile ---------------------------------------------------- */

gboolean
qf_infer_expand (QfCall *c, GError **error)
{
  QfArray shape = { 0 };
  const QfArray *both[2] = { c->in[0], &shape };
  gint64 dims[QF_MAX_RANK];
  int rank;

  shape.rank = qf_call_constant_ints (c, 1, shape.dims, QF_MAX_RANK, error);
  return shape.rank >= 0 && qf_broadcast (both, 2, &rank, dims, error) &&
      qf_call_set (c, 0, c->in[0]->dtype, rank, dims, error);
}

void
qf_run_expand (QfCall *c)
{
  const QfArray *x = c->in[0], *y = c->out[0];
  gint64 own[QF_MAX_RANK], from[QF_MAX_RANK] = { 0 }, to[QF_MAX_RANK];

  qf_strides (x->rank, x->dims, own);
  qf_strides (y->rank, y->dims, to);
  for (int i = 0; i < x->rank; i++)
    from[y->rank - x->rank + i] = x->dims[i] == 1 ? 0 : own[i];
  qf_copy (
      y->data, to, x->data, from, y->dims, y->rank, qf_dtype_size (x->dtype));
}

gboolean
qf_infer_tile (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 times[QF_MAX_RANK], dims[QF_MAX_RANK];
  int n = qf_call_constant_ints (c, 1, times, QF_MAX_RANK, error);

  if (n < 0)
    return FALSE;
  if (n != x->rank)
    return QF_BAD ("its repeats do not fit its input");
  for (int i = 0; i < n; i++) {
    if (times[i] < 0 || times[i] > QF_MAX_ELEMENTS)
      return QF_BAD ("its repeats are out of range");
    dims[i] = x->dims[i] * times[i];
  }
  return qf_call_set (c, 0, x->dtype, n, dims, error);
}

void
qf_run_tile (QfCall *c)
{
  const QfArray *x = c->in[0], *y = c->out[0];
  gint64 own[QF_MAX_RANK], to[2 * QF_MAX_RANK], from[2 * QF_MAX_RANK];
  gint64 dims[2 * QF_MAX_RANK], outer[QF_MAX_RANK];

  if (qf_array_elements (y) == 0)
    return;
  qf_strides (x->rank, x->dims, own);
  qf_strides (y->rank, y->dims, outer);
  for (int i = 0; i < x->rank; i++) { /* copies, then what is copied */
    dims[2 * i] = y->dims[i] / x->dims[i];
    dims[2 * i + 1] = x->dims[i];
    from[2 * i] = 0;
    from[2 * i + 1] = own[i];
    to[2 * i] = outer[i] * x->dims[i];
    to[2 * i + 1] = outer[i];
  }
  qf_copy (
      y->data, to, x->data, from, dims, 2 * x->rank, qf_dtype_size (x->dtype));
}

/* ---- Concat and Split --------------------------------------------------- */

gboolean
qf_infer_concat (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 axis = qf_call_int (c, "axis", 1), dims[QF_MAX_RANK];

  if (!qf_axis (&axis, x->rank, error))
    return FALSE;
  memcpy (dims, x->dims, sizeof dims);
  dims[axis] = 0;
  for (int k = 0; k < c->n_in; k++) {
    if (!c->in[k])
      return QF_BAD ("its input %d is missing", k + 1);
    for (int i = 0; i < x->rank; i++)
      if (c->in[k]->rank != x->rank || c->in[k]->dtype != x->dtype ||
          (i != axis && c->in[k]->dims[i] != x->dims[i]))
        return QF_BAD ("its input %d does not fit the first", k + 1);
    dims[axis] += c->in[k]->dims[axis];
  }
  return qf_call_set (c, 0, x->dtype, x->rank, dims, error);
}

/* Copies between @part and the place of its @at-th slice along @axis in
 * @whole. */
static void
copy_part (const QfArray *part, const QfArray *whole, gint64 axis, gint64 at,
    gboolean into)
{
  gsize size = qf_dtype_size (part->dtype), outer = 1, inner = size;
  guint8 *p = part->data, *w = whole->data;
  gsize row, step;

  for (int i = 0; i < axis; i++)
    outer *= (gsize) part->dims[i];
  for (int i = (int) axis + 1; i < part->rank; i++)
    inner *= (gsize) part->dims[i];
  row = (gsize) part->dims[axis] * inner;
  step = (gsize) whole->dims[axis] * inner;
  w += (gsize) at * inner;
  for (gsize i = 0; row && i < outer; i++)
    if (into)
      memcpy (w + i * step, p + i * row, row);
    else
      memcpy (p + i * row, w + i * step, row);
}

void
qf_run_concat (QfCall *c)
{
  gint64 axis = qf_call_int (c, "axis", 1), at = 0;

  qf_axis (&axis, c->in[0]->rank, NULL);
  for (int k = 0; k < c->n_in; k++) {
    copy_part (c->in[k], c->out[0], axis, at, TRUE);
    at += c->in[k]->dims[axis];
  }
}

gboolean
qf_infer_split (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 axis = qf_call_int (c, "axis", 0), sizes[QF_OP_MAX_OUT], sum = 0;
  int n;

  if (!qf_axis (&axis, x->rank, error))
    return FALSE;
  if (c->opset < 13)
    n = qf_call_ints (c, "split", sizes, QF_OP_MAX_OUT);
  else if (qf_call_in (c, 1)) {
    n = qf_call_constant_ints (c, 1, sizes, QF_OP_MAX_OUT, error);
    if (n < 0)
      return FALSE;
  } else
    n = -1;
  if (qf_call_int (c, "num_outputs", c->n_out) != c->n_out)
    return QF_BAD ("its num_outputs is not the number of its outputs");
  if (n < 0) { /* equal parts, the last one smaller */
    gint64 part = (x->dims[axis] + c->n_out - 1) / c->n_out;

    n = c->n_out;
    for (int k = 0; k < n; k++)
      sizes[k] = CLAMP (x->dims[axis] - k * part, 0, part);
  }
  if (n != c->n_out)
    return QF_BAD ("it has %d outputs for %d parts", c->n_out, n);
  for (int k = 0; k < n; k++) {
    gint64 dims[QF_MAX_RANK];

    memcpy (dims, x->dims, sizeof dims);
    dims[axis] = sizes[k];
    if (sizes[k] < 0 || sizes[k] > x->dims[axis])
      return QF_BAD ("its parts do not fit its input");
    sum += sizes[k];
    if (!qf_call_set (c, k, x->dtype, x->rank, dims, error))
      return FALSE;
  }
  return sum == x->dims[axis] || QF_BAD ("its parts do not fit its input");
}

void
qf_run_split (QfCall *c)
{
  gint64 axis = qf_call_int (c, "axis", 0), at = 0, sizes[QF_OP_MAX_OUT];
  gint64 part;
  int n = c->opset < 13 ? qf_call_ints (c, "split", sizes, QF_OP_MAX_OUT) : -1;

  qf_axis (&axis, c->in[0]->rank, NULL);
  if (c->opset >= 13 && qf_call_in (c, 1))
    n = qf_call_constant_ints (c, 1, sizes, QF_OP_MAX_OUT, NULL);
  part = (c->in[0]->dims[axis] + c->n_out - 1) / c->n_out;
  for (int k = 0; k < c->n_out; k++) {
    if (c->out[k])
      copy_part (c->out[k], c->in[0], axis, at, FALSE);
    at += n >= 0 ? sizes[k] : part;
  }
}

/* ---- Gather ------------------------------------------------------------- */

gboolean
qf_infer_gather (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0], *index = c->in[1];
  gint64 axis = qf_call_int (c, "axis", 0), dims[2 * QF_MAX_RANK];
  int rank = 0;

  if (index->dtype != QF_I32 && index->dtype != QF_I64)
    return QF_BAD ("its indices are no whole numbers");
  if (!qf_axis (&axis, x->rank, error))
    return FALSE;
  if (x->dims[axis] == 0 && qf_array_elements (index))
    return QF_BAD ("it takes elements from an empty input");
  for (int i = 0; i < axis; i++)
    dims[rank++] = x->dims[i];
  for (int i = 0; i < index->rank; i++)
    dims[rank++] = index->dims[i];
  for (int i = (int) axis + 1; i < x->rank; i++)
    dims[rank++] = x->dims[i];
  return qf_call_set (c, 0, x->dtype, rank, dims, error);
}

void
qf_run_gather (QfCall *c)
{
  const QfArray *x = c->in[0], *index = c->in[1];
  gint64 axis = qf_call_int (c, "axis", 0), n = qf_array_elements (index);
  gsize outer = 1, inner = qf_dtype_size (x->dtype);
  guint8 *y = c->out[0]->data;

  qf_axis (&axis, x->rank, NULL);
  for (int i = 0; i < axis; i++)
    outer *= (gsize) x->dims[i];
  for (int i = (int) axis + 1; i < x->rank; i++)
    inner *= (gsize) x->dims[i];
  for (gsize o = 0; inner && o < outer; o++)
    for (gint64 i = 0; i < n; i++, y += inner)
      memcpy (y,
          (const guint8 *) x->data +
              (o * (gsize) x->dims[axis] +
                  (gsize) qf_inside (qf_array_int (index, i), x->dims[axis])) *
                  inner,
          inner);
}

/* ---- DepthToSpace and SpaceToDepth -------------------------------------- */

gboolean
qf_infer_depth_space (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 b = qf_call_int (c, "blocksize", 0), dims[4];
  gboolean to_space = strcmp (c->op->name, "DepthToSpace") == 0;

  qf_call_text (c, "mode", "");
  if (x->rank != 4)
    return QF_BAD ("its input has %d dimensions instead of 4", x->rank);
  if (b < 1 || b > 1 << 14 ||
      (to_space ? x->dims[1] % (b * b) : x->dims[2] % b || x->dims[3] % b))
    return QF_BAD ("its blocksize does not fit its input");
  dims[0] = x->dims[0];
  dims[1] = to_space ? x->dims[1] / (b * b) : x->dims[1] * b * b;
  dims[2] = to_space ? x->dims[2] * b : x->dims[2] / b;
  dims[3] = to_space ? x->dims[3] * b : x->dims[3] / b;
  return qf_call_set (c, 0, x->dtype, 4, dims, error);
}

void
qf_run_depth_to_space (QfCall *c)
{
  const QfArray *x = c->in[0], *y = c->out[0];
  gint64 b = qf_call_int (c, "blocksize", 1), w = x->dims[3];
  gint64 plane = x->dims[2] * w, channels = y->dims[1];
  gboolean crd = strcmp (qf_call_text (c, "mode", "DCR"), "CRD") == 0;
  /* image, channel, row, block row, column, block column */
  gint64 dims[6] = { x->dims[0], channels, x->dims[2], b, w, b }, to[6];
  gint64 from[6] = { x->dims[1] * plane, crd ? b * b * plane : plane, w,
    (crd ? b : b * channels) * plane, 1, (crd ? 1 : channels) * plane };

  qf_strides (6, dims, to);
  qf_copy (y->data, to, x->data, from, dims, 6, qf_dtype_size (x->dtype));
}

void
qf_run_space_to_depth (QfCall *c)
{
  const QfArray *x = c->in[0], *y = c->out[0];
  gint64 b = qf_call_int (c, "blocksize", 1), w = x->dims[3];
  gboolean crd = strcmp (qf_call_text (c, "mode", "DCR"), "CRD") == 0;
  gint64 plane = x->dims[2] * w, to[6];
  /* image, block row, block column, channel, row, column */
  gint64 dims[6] = { x->dims[0], b, b, x->dims[1], y->dims[2], y->dims[3] };
  gint64 from[6] = { x->dims[1] * plane, w, 1, plane, b * w, b };

  if (crd) { /* the channel before the blocks */
    memcpy (dims + 1, (gint64[]){ x->dims[1], b, b }, 3 * sizeof *dims);
    memcpy (from + 1, (gint64[]){ plane, w, 1 }, 3 * sizeof *from);
  }
  qf_strides (6, dims, to);
  qf_copy (y->data, to, x->data, from, dims, 6, qf_dtype_size (x->dtype));
}
