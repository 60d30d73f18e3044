/* libqfuse: runs the parts of a step.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/sparse-private.h"

#include <string.h>

typedef QfSparseJob Job;

static gsize
pixel_size (const QfTensor *t)
{
  return (gsize) t->c * qf_dtype_size (t->dtype);
}

static guint8 *
pixel_at (const QfTensor *t, int y, int x)
{
  return (guint8 *) t->data +
      ((gsize) y * (gsize) t->w + (gsize) x) * pixel_size (t);
}

/* Output ------------------------------------------------------------------- */

static inline void
mark (guint64 *word, guint64 bits, gboolean shared)
{
  if (bits == 0)
    return;
  if (shared)
    __atomic_fetch_or (word, bits, __ATOMIC_RELAXED);
  else
    *word |= bits;
}

/* Marks which of @n pixels from @y, @x on, which are in memory, are active. */
static void
mark_row (const Job *j, int y, int x, int n)
{
  QfSparseSlot *slot = &j->sp->slots[j->s->out];
  const QfTensor *t = qf_step_out (j->e, j->s);
  const guint8 *now = pixel_at (t, y, x);
  guint64 *word = slot->active + (gsize) y * (gsize) slot->words + x / 64;
  guint64 bits;

  if (!slot->read) /* all that was written is marked */
    return;
  bits = qf_sparse_differ (
      now, qf_sparse_rest (slot, pixel_size (t), y, x, n), pixel_size (t), n);
  mark (word, bits << x % 64, j->shared);
  if (x % 64 + n > 64)
    mark (word + 1, bits >> (64 - x % 64), j->shared);
}

/* @from: the part's pixels one after another. */
static void
scatter (const Job *j, const QfPart *p, const guint8 *from)
{
  const QfTensor *t = qf_step_out (j->e, j->s);
  gsize row = (gsize) p->w * pixel_size (t);

  for (int y = p->y; y < p->y + p->h; y++, from += row) {
    memcpy (pixel_at (t, y, p->x), from, row);
    mark_row (j, y, p->x, p->w);
  }
}

/* Input -------------------------------------------------------------------- */

static void
fill_border (const Job *j, const QfTensor *t, guint8 *to, gsize pixels)
{
  gsize n = pixels * (gsize) t->c;

  if (t->dtype == QF_U8)
    memset (to, j->ss->border.u8, n);
  else
    for (gsize i = 0; i < n; i++)
      ((float *) to)[i] = j->ss->border.f32;
}

/* The patch of @t that begins at @y0, @x0, with borders. */
static void
gather (const Job *j, const QfTensor *t, int y0, int x0, const QfTensor *patch)
{
  gsize pixel = pixel_size (t);
  int left = CLAMP (-x0, 0, patch->w);
  int right = CLAMP (x0 + patch->w - t->w, 0, patch->w - left);
  int n = patch->w - left - right;
  guint8 *to = patch->data;

  for (int y = y0; y < y0 + patch->h; y++, to += (gsize) patch->w * pixel) {
    if (y < 0 || y >= t->h || n == 0) {
      fill_border (j, t, to, (gsize) patch->w);
      continue;
    }
    if (left)
      fill_border (j, t, to, (gsize) left);
    memcpy (to + (gsize) left * pixel, pixel_at (t, y, x0 + left),
        (gsize) n * pixel);
    if (right)
      fill_border (j, t, to + (gsize) (left + n) * pixel, (gsize) right);
  }
}

/* Parts -------------------------------------------------------------------- */

static guint8 *
place_patch (QfTensor *t, guint8 *at)
{
  gsize size = qf_tensor_elements (t) * qf_dtype_size (t->dtype);

  t->data = at;
  return at + (size + 63) / 64 * 64;
}

/* @s: the step with the worker's slots. */
static void
run_patch (const Job *j, QfSparseWorker *w, QfStep *s, const QfPart *p)
{
  guint8 *at = w->memory + j->sp->scratch_size;
  QfTensor *y = &qf_engine_slot (&w->engine, s->out)->t;

  for (int i = 0; i < s->n_in; i++) {
    QfTensor *x = &qf_engine_slot (&w->engine, i)->t;

    if (i == j->ss->as_is)
      continue;
    x->h = qf_reach_count (&j->ss->y, p->h);
    x->w = qf_reach_count (&j->ss->x, p->w);
    at = place_patch (x, at);
    gather (j, qf_step_in (j->e, j->s, i), qf_reach_first (&j->ss->y, p->y),
        qf_reach_first (&j->ss->x, p->x), x);
  }
  y->h = s->shape.out_h = p->h;
  y->w = s->shape.out_w = p->w;
  place_patch (y, at);
  s->shape.in_h = qf_engine_slot (&w->engine, 0)->t.h;
  s->shape.in_w = qf_engine_slot (&w->engine, 0)->t.w;
  s->shape.pad_top = s->shape.pad_left = 0;
  (s->by_rows ? s->by_rows : s->run) (&w->engine, s, 0, p->h, 0);
  scatter (j, p, y->data);
}

/* Row by row, where they are. */
static void
run_in_place (const Job *j, QfSparseWorker *w, QfStep *s, const QfPart *p)
{
  const QfTensor *out = qf_step_out (j->e, j->s);
  QfTensor *y = &qf_engine_slot (&w->engine, s->out)->t;

  y->h = 1;
  y->w = p->w;
  for (int row = p->y; row < p->y + p->h; row++) {
    for (int i = 0; i < s->n_in; i++) {
      QfTensor *x = &qf_engine_slot (&w->engine, i)->t;

      if (i == j->ss->as_is)
        continue;
      x->h = 1;
      x->w = qf_reach_count (&j->ss->x, p->w);
      x->data = pixel_at (qf_step_in (j->e, j->s, i),
          qf_reach_first (&j->ss->y, row), qf_reach_first (&j->ss->x, p->x));
    }
    y->data = pixel_at (out, row, p->x);
    (s->by_rows ? s->by_rows : s->run) (&w->engine, s, 0, 1, 0);
    mark_row (j, row, p->x, p->w);
  }
}

static void
run_conv (const Job *j, QfSparseWorker *w, const QfPart *parts, int n)
{
  const QfStep *s = j->s;
  const QfTensor *x = qf_step_in (j->e, s, 0), *y = qf_step_out (j->e, s);
  guint8 *codes = w->memory + j->sp->scratch_size;

  j->e->k->conv_u8s8_u8_parts (&s->shape, x->data, x->zero, s->packed,
      &s->requant, parts, n, codes, w->memory);
  for (int i = 0; i < n; i++) {
    scatter (j, &parts[i], codes);
    codes += (gsize) parts[i].h * (gsize) parts[i].w * (gsize) y->c;
  }
}

void
qf_sparse_run_task (void *data, int task, int worker)
{
  const Job *j = data;
  const QfSparseTask *t = &g_array_index (j->sp->tasks, QfSparseTask, task);
  const QfPart *parts = &g_array_index (j->sp->parts, QfPart, t->first);
  QfSparseWorker *w = &j->sp->workers[worker];
  int *numbers = g_newa (int, j->s->n_in);
  QfStep s = *j->s;

  if (j->ss->kind == QF_SPARSE_CONV) {
    run_conv (j, w, parts, t->n);
    return;
  }
  for (int i = 0; i < s.n_in; i++) {
    numbers[i] = i;
    qf_engine_slot (&w->engine, i)->t = *qf_step_in (j->e, j->s, i);
  }
  qf_engine_slot (&w->engine, s.n_in)->t = *qf_step_out (j->e, j->s);
  s.in = numbers;
  s.out = s.n_in;
  for (int i = 0; i < t->n; i++)
    if (j->ss->kind == QF_SPARSE_PLACE)
      run_in_place (j, w, &s, &parts[i]);
    else
      run_patch (j, w, &s, &parts[i]);
}
