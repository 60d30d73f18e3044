/* libqfuse: runs only where something moves.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/sparse-private.h"

#include <stdlib.h>
#include <string.h>

enum
{
  /* Percent of a step's cells from which it runs as a whole. */
  WHOLE_FROM = 70,
  /* Of a step, in multiply-accumulates and in bytes: less is done before
   * another thread wakes. */
  ALONE_MACS = 400 * 1000,
  ALONE_BYTES = 100 * 1000
};

/* One step on one picture. */
typedef struct
{
  QfEngine *e;
  QfSparse *sp;
  const QfStep *s;
  const QfSparseStep *ss;
} Job;

/* Patches ----------------------------------------------------------------- */

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
  gsize pixel = (gsize) t->c * qf_dtype_size (t->dtype);
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
    memcpy (to + (gsize) left * pixel,
        (const guint8 *) t->data +
            ((gsize) y * (gsize) t->w + (gsize) (x0 + left)) * pixel,
        (gsize) n * pixel);
    if (right)
      fill_border (j, t, to + (gsize) (left + n) * pixel, (gsize) right);
  }
}

/* Copies the patch to the output and marks the cells that differ from rest. */
static void
scatter (const Job *j, const QfRect *r, const QfTensor *patch)
{
  const QfTensor *t = qf_step_out (j->e, j->s);
  QfSparseSlot *slot = &j->sp->slots[j->s->out];
  gsize pixel = (gsize) t->c * qf_dtype_size (t->dtype);
  gsize cell = (gsize) slot->cell * pixel;
  int h = MIN (patch->h, t->h - r->y), w = MIN (patch->w, t->w - r->x);
  int across = qf_cells (w, slot->cell);
  gsize n = (gsize) w * pixel;
  const guint8 *from = patch->data;

  for (int y = 0; y < h; y++, from += (gsize) patch->w * pixel) {
    gsize at = ((gsize) (r->y + y) * (gsize) t->w + (gsize) r->x) * pixel;
    guint8 *active = slot->active +
        (gsize) ((r->y + y) / slot->cell) * (gsize) slot->across +
        r->x / slot->cell;

    memcpy ((guint8 *) t->data + at, from, n);
    for (int x = 0; x < across; x++)
      if (!active[x])
        active[x] =
            memcmp (from + (gsize) x * cell, slot->rest + at + (gsize) x * cell,
                MIN (cell, n - (gsize) x * cell)) != 0;
  }
}

static guint8 *
place_patch (QfTensor *t, guint8 *at)
{
  gsize size = qf_tensor_elements (t) * qf_dtype_size (t->dtype);

  t->data = at;
  return at + (size + 63) / 64 * 64;
}

static void
run_rect (void *data, int task, int worker)
{
  const Job *j = data;
  const QfRect *r = &g_array_index (j->sp->rects, QfRect, task);
  QfSparseWorker *w = &j->sp->workers[worker];
  guint8 *at = w->memory + j->sp->scratch_size;
  int n = j->s->n_in;
  int *numbers = g_newa (int, n);
  QfStep s = *j->s;
  QfTensor *y;

  for (int i = 0; i < n; i++) {
    const QfTensor *from = qf_step_in (j->e, j->s, i);
    QfTensor *x = &qf_engine_slot (&w->engine, i)->t;

    numbers[i] = i;
    *x = *from;
    if (i == j->ss->as_is)
      continue;
    x->h = qf_reach_count (&j->ss->y, r->down);
    x->w = qf_reach_count (&j->ss->x, r->across);
    at = place_patch (x, at);
    gather (j, from, qf_reach_first (&j->ss->y, r->y),
        qf_reach_first (&j->ss->x, r->x), x);
  }
  y = &qf_engine_slot (&w->engine, n)->t;
  *y = *qf_step_out (j->e, j->s);
  y->h = r->down;
  y->w = r->across;
  place_patch (y, at);
  s.in = numbers;
  s.out = n;
  s.shape.out_h = r->down;
  s.shape.out_w = r->across;
  s.shape.in_h = qf_engine_slot (&w->engine, 0)->t.h;
  s.shape.in_w = qf_engine_slot (&w->engine, 0)->t.w;
  s.shape.pad_top = s.shape.pad_left = 0;
  (s.by_rows ? s.by_rows : s.run) (&w->engine, &s, 0, r->down, 0);
  scatter (j, r, y);
}

/* Steps ------------------------------------------------------------------- */

static void
compare_task (void *data, int task, int worker)
{
  const Job *j = data;

  qf_sparse_compare (
      &j->sp->slots[j->s->out], qf_step_out (j->e, j->s), task, task + 1);
}

/* What need not be computed is at rest all the same. */
static void
mark_needed (const Job *j)
{
  QfSparseSlot *out = &j->sp->slots[j->s->out];
  int cells = j->ss->block / out->cell;
  guint8 *active = out->active;

  for (int y = 0; y < out->down; y++, active += out->across) {
    const guint8 *need =
        j->sp->need + (gsize) (y / cells) * (gsize) j->ss->across;

    for (int x = 0; x < out->across; x++)
      active[x] = need[x / cells];
  }
}

static void
run_whole (const Job *j, int i)
{
  const QfSparseSlot *out = &j->sp->slots[j->s->out];

  qf_engine_run_whole (j->e, i);
  if (j->ss->kind == QF_SPARSE_PATCH)
    mark_needed (j);
  else
    qf_pool_run (out->size < ALONE_BYTES ? NULL : j->e->pool, compare_task,
        (void *) j, out->down);
  j->sp->stats.macs += (guint64) j->s->info.macs;
}

/* Rows of cells that are active or were. */
static void
run_rows (const Job *j)
{
  const QfSparseSlot *in = &j->sp->slots[j->s->in[0]];
  QfSparseSlot *out = &j->sp->slots[j->s->out];
  const QfTensor *t = qf_step_out (j->e, j->s);

  for (int y = 0; y < out->down; y++)
    if (in->in_row[y] || out->in_row[y])
      j->s->run (j->e, j->s, y * out->cell, MIN ((y + 1) * out->cell, t->h), 0);
  memcpy (out->active, in->active, (gsize) out->down * (gsize) out->across);
}

/* Returns the number of blocks to compute. */
static int
find_need (const Job *j)
{
  gsize blocks = (gsize) j->ss->down * (gsize) j->ss->across;
  int n = 0;

  memset (j->sp->need, 0, blocks);
  for (int i = 0; i < j->s->n_in; i++) {
    const QfSparseSlot *in = &j->sp->slots[j->s->in[i]];

    if (in->n_active == 0)
      continue;
    if (j->ss->kind != QF_SPARSE_PATCH || i == j->ss->as_is) {
      memset (j->sp->need, 1, blocks);
      return (int) blocks;
    }
    qf_sparse_reach (j->ss, in, j->sp->need, j->sp->line);
  }
  for (gsize b = 0; b < blocks; b++)
    n += j->sp->need[b];
  return n;
}

static void
restore (const Job *j)
{
  QfSparseSlot *out = &j->sp->slots[j->s->out];
  const QfTensor *t = qf_step_out (j->e, j->s);
  int cells = j->ss->block / out->cell; /* of a block, a side */

  for (int y = 0; y < out->down; y++) {
    const guint8 *active = out->active + (gsize) y * (gsize) out->across;
    const guint8 *need =
        j->sp->need + (gsize) (y / cells) * (gsize) j->ss->across;

    for (int x = 0; out->in_row[y] > 0 && x < out->across; x++)
      if (active[x] && !need[x / cells])
        qf_sparse_restore (out, t, y, x);
  }
  memset (out->active, 0, (gsize) out->down * (gsize) out->across);
}

static void
run_patches (const Job *j)
{
  const QfTensor *t = qf_step_out (j->e, j->s);
  gint64 pixels = 0;
  gboolean alone;

  restore (j);
  qf_sparse_cover (j->ss, j->sp->need, j->sp->rects);
  for (guint i = 0; i < j->sp->rects->len; i++) {
    const QfRect *r = &g_array_index (j->sp->rects, QfRect, i);

    pixels +=
        (gint64) MIN (r->down, t->h - r->y) * MIN (r->across, t->w - r->x);
  }
  alone = pixels * j->ss->pixel_macs < ALONE_MACS &&
      pixels * t->c * (gint64) qf_dtype_size (t->dtype) < ALONE_BYTES;
  qf_pool_run (
      alone ? NULL : j->e->pool, run_rect, (void *) j, (int) j->sp->rects->len);
  j->sp->stats.macs += (guint64) (pixels * j->ss->pixel_macs);
}

static void
run_step (const Job *j, int i)
{
  QfSparseSlot *out = &j->sp->slots[j->s->out];
  int n = 0;

  for (int k = 0; k < j->s->n_in; k++)
    n += j->sp->slots[j->s->in[k]].n_active;
  if (n == 0 && out->n_active == 0)
    return;
  if (j->ss->kind == QF_SPARSE_ROWS) {
    run_rows (j);
  } else {
    n = find_need (j);
    if (n > 0 &&
        (j->ss->kind == QF_SPARSE_WHOLE ||
            (gint64) n * 100 >=
                (gint64) WHOLE_FROM * j->ss->down * j->ss->across))
      run_whole (j, i);
    else
      run_patches (j);
  }
  qf_sparse_count (out);
}

/* Runs -------------------------------------------------------------------- */

static void
run_sparse (QfEngine *e)
{
  QfSparse *sp = e->sparse;
  QfSparseSlot *in = &sp->slots[e->input_slot[0]];

  qf_sparse_compare (in, &e->inputs[0], 0, in->down);
  qf_sparse_count (in);
  if (in->n_active == 0)
    sp->stats.still++;
  for (int i = 0; i < sp->n_steps; i++) {
    Job j = { e, sp, g_ptr_array_index (e->steps, (guint) i), &sp->steps[i] };

    run_step (&j, i);
  }
}

static gsize
slot_size (const QfTensor *t)
{
  return qf_tensor_elements (t) * qf_dtype_size (t->dtype);
}

static void
verify (QfEngine *e)
{
  QfSparse *sp = e->sparse;
  gint64 from;

  memcpy (
      sp->whole->inputs[0].data, e->inputs[0].data, slot_size (&e->inputs[0]));
  from = g_get_monotonic_time ();
  qf_engine_run (sp->whole);
  sp->stats.all_us += MAX (g_get_monotonic_time () - from, 1);
  sp->differs = NULL;
  for (int i = 0; i < sp->n_steps && !sp->differs; i++) {
    const QfStep *s = g_ptr_array_index (e->steps, (guint) i);
    const QfTensor *t = qf_step_out (e, s);

    if (memcmp (t->data, qf_engine_slot (sp->whole, s->out)->t.data,
            slot_size (t)) != 0)
      sp->differs = s->info.name;
  }
}

void
qf_sparse_run (QfEngine *e)
{
  QfSparse *sp = e->sparse;
  guint64 before = sp->stats.macs, all = 0;
  gint64 from = g_get_monotonic_time ();

  for (int i = 0; i < sp->n_steps; i++)
    all += (guint64) ((QfStep *) g_ptr_array_index (e->steps, (guint) i))
               ->info.macs;
  run_sparse (e);
  sp->stats.runs++;
  sp->stats.all_macs += all;
  sp->stats.last_share =
      all ? (double) (sp->stats.macs - before) / (double) all : 0;
  if (sp->whole) {
    sp->stats.us += g_get_monotonic_time () - from;
    verify (e);
  }
}

void
qf_sparse_forget (QfEngine *e)
{
  for (int i = 0; i < e->sparse->n_slots; i++) {
    QfSparseSlot *s = &e->sparse->slots[i];

    if (s->down > 0) {
      memset (s->active, 1, (gsize) s->down * (gsize) s->across);
      qf_sparse_count (s);
    }
  }
}

/* Setting up -------------------------------------------------------------- */

static void
sparse_free (QfSparse *sp)
{
  if (!sp)
    return;
  for (int i = 0; i < sp->n_slots; i++) {
    g_free (sp->slots[i].active);
    g_free (sp->slots[i].in_row);
    g_free (sp->slots[i].rest);
  }
  for (int i = 0; i < sp->n_steps; i++) {
    g_free (sp->steps[i].y.first);
    g_free (sp->steps[i].y.last);
    g_free (sp->steps[i].x.first);
    g_free (sp->steps[i].x.last);
  }
  for (int i = 0; sp->workers && i < sp->n_workers; i++) {
    if (sp->workers[i].engine.slots)
      g_array_unref (sp->workers[i].engine.slots);
    free (sp->workers[i].memory);
  }
  g_free (sp->slots);
  g_free (sp->steps);
  g_free (sp->workers);
  g_free (sp->need);
  g_free (sp->line);
  g_array_unref (sp->rects);
  qf_engine_free (sp->whole);
  g_free (sp);
}

void
qf_sparse_free (QfEngine *e)
{
  g_clear_pointer (&e->sparse, sparse_free);
}

gsize
qf_sparse_memory (const QfEngine *e)
{
  const QfSparse *sp = e->sparse;
  gsize sum = 0;

  if (!sp)
    return 0;
  for (int i = 0; i < sp->n_slots; i++)
    sum += sp->slots[i].size;
  sum += (gsize) sp->n_workers * (sp->scratch_size + sp->patch_size);
  return sum + (sp->whole ? qf_engine_memory (sp->whole) : 0);
}

/* All activations in memory of their own. */
static gboolean
spread (QfEngine *e, gboolean apart, GError **error)
{
  e->arena_size =
      apart ? qf_arena_spread (e->buffers) : qf_arena_place (e->buffers);
  return qf_plan_memory (e, error);
}

/* Runs the network on rest and keeps what every step made of it. */
static gboolean
take_rest (QfEngine *e, QfSparse *sp, const guint8 *rest, GError **error)
{
  const QfTensor *x = &e->inputs[0];
  gsize plane = (gsize) x->h * (gsize) x->w;

  for (gsize i = 0; i < (gsize) x->c * plane; i++)
    if (x->dtype == QF_U8)
      ((guint8 *) x->data)[i] = rest[i / plane];
    else
      ((float *) x->data)[i] = rest[i / plane];
  for (int i = 0; i < sp->n_steps; i++)
    qf_engine_run_whole (e, i);
  for (int i = 0; i < sp->n_slots; i++) {
    QfSparseSlot *s = &sp->slots[i];

    if (s->size == 0)
      continue;
    s->rest = g_try_malloc (s->size);
    if (!s->rest) {
      g_set_error_literal (
          error, QF_ERROR, QF_ERROR_FAILED, "no memory for the rest state");
      return FALSE;
    }
    memcpy (s->rest, qf_engine_slot (e, i)->t.data, s->size);
  }
  return TRUE;
}

gboolean
qf_engine_set_sparse (QfEngine *e, QfSparseMode mode, const guint8 *rest,
    int n_rest, GError **error)
{
  QfSparse *sp;

  if (e->sparse) {
    qf_sparse_free (e);
    if (!spread (e, FALSE, error))
      return FALSE;
  }
  if (mode == QF_SPARSE_OFF)
    return TRUE;
  if (e->n_inputs != 1 || e->inputs[0].c != n_rest) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "sparse runs need one input with as many channels as rest codes (%d)",
        n_rest);
    return FALSE;
  }
  sp = g_new0 (QfSparse, 1);
  sp->mode = mode;
  sp->rects = g_array_new (FALSE, FALSE, sizeof (QfRect));
  if (!spread (e, TRUE, error) || !qf_sparse_plan (e, sp, error) ||
      !take_rest (e, sp, rest, error) ||
      (mode == QF_SPARSE_VERIFY &&
          (!(sp->whole = qf_engine_new (
                 e->model, qf_pool_threads (e->pool), error)) ||
              !spread (sp->whole, TRUE, error)))) {
    sparse_free (sp);
    return FALSE;
  }
  e->sparse = sp;
  return TRUE;
}

void
qf_engine_sparse_stats (const QfEngine *e, QfSparseStats *stats)
{
  *stats = e->sparse ? e->sparse->stats : (QfSparseStats){ .last_share = 1 };
}

const char *
qf_engine_sparse_differs (const QfEngine *e)
{
  return e->sparse ? e->sparse->differs : NULL;
}
