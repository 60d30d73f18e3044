/* libqfuse: channels in another order in a plan.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine-private.h"

enum
{
  MIN_BYTES = 20 * 1000 /* of a task: some 10 µs */
};

static void
gather_u8 (const guint8 *x, gsize x_c, const int *select, int n, guint8 *y,
    gsize pixels)
{
  for (gsize p = 0; p < pixels; p++, x += x_c, y += n)
    for (int c = 0; c < n; c++)
      y[c] = x[select[c]];
}

/* Every second channel, as splitting after a shuffle takes them. */
static void
gather_even_u8 (const guint8 *x, gsize x_c, int n, guint8 *y, gsize pixels)
{
  for (gsize p = 0; p < pixels; p++, x += x_c, y += n)
    for (int c = 0; c < n; c++)
      y[c] = x[2 * c];
}

static void
gather_f32 (
    const float *x, gsize x_c, const int *select, int n, float *y, gsize pixels)
{
  for (gsize p = 0; p < pixels; p++, x += x_c, y += n)
    for (int c = 0; c < n; c++)
      y[c] = x[select[c]];
}

static gboolean
takes_every_second (const int *select, int n)
{
  for (int c = 1; c < n; c++)
    if (select[c] != select[0] + 2 * c)
      return FALSE;
  return n > 1;
}

static void
run_gather (const QfEngine *e, const QfStep *s, int row0, int row1, int worker)
{
  const QfTensor *x = qf_step_in (e, s, 0), *t = qf_step_out (e, s);
  gsize from = (gsize) row0 * qf_tensor_row (x);
  gsize to = (gsize) row0 * qf_tensor_row (t);
  gsize pixels = (gsize) (row1 - row0) * (gsize) t->w;
  gsize x_c = (gsize) x->c;

  if (t->dtype == QF_F32) {
    float *y = (float *) t->data + to;

    gather_f32 (
        (const float *) x->data + from, x_c, s->select, t->c, y, pixels);
    qf_step_finish (e, s, y, pixels * (gsize) t->c);
    return;
  }
  if (s->begin >= 0)
    gather_even_u8 ((const guint8 *) x->data + from + s->begin, x_c, t->c,
        (guint8 *) t->data + to, pixels);
  else
    gather_u8 ((const guint8 *) x->data + from, x_c, s->select, t->c,
        (guint8 *) t->data + to, pixels);
  qf_step_finish (e, s, (guint8 *) t->data + to, pixels * (gsize) t->c);
}

gboolean
qf_plan_gather (QfEngine *e, const QfNode *n, GError **error)
{
  QfStep *s = qf_plan_move (e, n, run_gather, "gather", error);
  const QfTensor *x, *y;

  if (!s)
    return FALSE;
  x = qf_step_in (e, s, 0);
  y = qf_step_out (e, s);
  if (y->c != n->n_select || x->h != y->h || x->w != y->w)
    return qf_plan_unsupported (n, "its output is not its channels", error);
  s->select = g_memdup2 (n->select, (gsize) n->n_select * sizeof (int));
  s->begin = takes_every_second (s->select, y->c) ? s->select[0] : -1;
  qf_plan_tasks (e, s,
      (gint64) (qf_tensor_elements (y) * qf_dtype_size (y->dtype)), MIN_BYTES,
      s->rows);
  return TRUE;
}
