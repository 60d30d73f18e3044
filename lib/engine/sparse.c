/* libqfuse: runs only where something moves.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/sparse-private.h"

#include <stdlib.h>
#include <string.h>

enum
{
  /* Percent of a step's pixels from which it runs as a whole. */
  WHOLE_FROM = 80,
  /* Percent of the input's pixels from which everything does; judged by every
   * SAMPLE-th row. */
  ALL_FROM = 60,
  SAMPLE = 16,
  /* Of a step, in multiply-accumulates and in bytes: less is done before
   * another thread wakes. */
  ALONE_MACS = 400 * 1000,
  ALONE_BYTES = 100 * 1000
};

typedef QfSparseJob Job;

/* Steps ------------------------------------------------------------------- */

/* @need: what may not be at rest; NULL: what differs. */
static void
run_whole (const Job *j, int i, const guint64 *need)
{
  QfSparseSlot *out = &j->sp->slots[j->s->out];

  qf_engine_run_whole (j->e, i);
  if (need) {
    memcpy (
        out->active, need, (gsize) out->h * (gsize) out->words * sizeof *need);
    out->any = TRUE;
  } else {
    out->any = FALSE;
    qf_sparse_compare (out, qf_step_out (j->e, j->s), 0, out->h);
  }
  j->sp->stats.macs += (guint64) j->s->info.macs;
}

static guint64
any_of (const QfSparseSlot *slot, int y)
{
  guint64 any = 0;

  for (int i = 0; i < slot->words; i++)
    any |= slot->active[(gsize) y * (gsize) slot->words + (gsize) i];
  return any;
}

/* Rows with pixels that are active or were. */
static void
run_rows (const Job *j)
{
  const QfSparseSlot *in = &j->sp->slots[j->s->in[0]];
  QfSparseSlot *out = &j->sp->slots[j->s->out];

  for (int y = 0; y < out->h; y++)
    if (any_of (in, y) || any_of (out, y))
      j->s->run (j->e, j->s, y, y + 1, 0);
  memcpy (out->active, in->active,
      (gsize) out->h * (gsize) out->words * sizeof *out->active);
  out->any = in->any;
}

/* Returns the number of pixels to compute. */
static gint64
find_need (const Job *j)
{
  const QfSparseSlot *out = &j->sp->slots[j->s->out];
  gint64 n;
  int unit;

  memset (j->sp->need, 0,
      (gsize) out->h * (gsize) out->words * sizeof *j->sp->need);
  for (int i = 0; i < j->s->n_in; i++) {
    const QfSparseSlot *in = &j->sp->slots[j->s->in[i]];

    if (!in->any)
      continue;
    if (j->ss->kind == QF_SPARSE_WHOLE || i == j->ss->as_is) {
      qf_bits_fill (out, j->sp->need);
      return (gint64) out->h * out->w;
    }
    qf_bits_reach (j->ss, in, out, j->sp->need, j->sp->line);
  }
  if (j->ss->unit > 0)
    return qf_bits_round (j->ss->unit, out, j->sp->need);
  n = qf_bits_round (1, out, j->sp->need);
  unit = n == 0
      ? 1
      : j->e->k->conv_u8s8_parts_unit (&j->s->shape, &j->s->requant, (int) n);
  return unit > 1 ? qf_bits_round (unit, out, j->sp->need) : n;
}

/* Divides the parts into tasks of about @each pixels. */
static void
divide (const Job *j, gint64 each)
{
  const GArray *parts = j->sp->parts;
  QfSparseTask t = { 0, 0 };
  gint64 pixels = 0;

  g_array_set_size (j->sp->tasks, 0);
  for (guint i = 0; i < parts->len; i++) {
    const QfPart *p = &g_array_index (parts, QfPart, i);
    int n = p->h * p->w;

    if (t.n > 0 && (pixels + n > QF_SPARSE_PIXELS || pixels + n / 2 > each)) {
      g_array_append_val (j->sp->tasks, t);
      t = (QfSparseTask){ (int) i, 0 };
      pixels = 0;
    }
    pixels += n;
    t.n++;
  }
  if (t.n > 0)
    g_array_append_val (j->sp->tasks, t);
}

/* @n pixels are needed. */
static void
run_parts (Job *j, gint64 n)
{
  QfSparse *sp = j->sp;
  QfSparseSlot *out = &sp->slots[j->s->out];
  const QfTensor *t = qf_step_out (j->e, j->s);
  gsize bits = (gsize) out->h * (gsize) out->words * sizeof *out->active;
  int threads = qf_pool_threads (j->e->pool);

  qf_sparse_restore (out, t, sp->need);
  if (n == 0)
    return;
  if (!out->read) {
    memcpy (out->active, sp->need, bits);
    out->any = TRUE;
  }
  qf_bits_cover (out, sp->need, sp->parts);
  if (n * j->ss->pixel_macs < ALONE_MACS &&
      n * t->c * (gint64) qf_dtype_size (t->dtype) < ALONE_BYTES)
    threads = 1;
  divide (j, (n + threads - 1) / threads);
  j->shared = threads > 1;
  qf_pool_run (j->shared ? j->e->pool : NULL, qf_sparse_run_task, j,
      (int) sp->tasks->len);
  for (int y = 0; y < out->h && !out->any; y++)
    out->any = any_of (out, y) != 0;
  sp->stats.macs += (guint64) (n * j->ss->pixel_macs);
}

static void
run_step (Job *j, int i)
{
  QfSparseSlot *out = &j->sp->slots[j->s->out];
  gboolean any = FALSE;
  gint64 n;

  for (int k = 0; k < j->s->n_in; k++)
    any |= j->sp->slots[j->s->in[k]].any;
  if (!any && !out->any)
    return;
  if (j->ss->kind == QF_SPARSE_ROWS) {
    run_rows (j);
    return;
  }
  n = find_need (j);
  if (j->ss->kind == QF_SPARSE_WHOLE && n > 0)
    run_whole (j, i, NULL);
  else if (n > 0 && n * 100 >= (gint64) WHOLE_FROM * out->h * out->w)
    run_whole (j, i, j->sp->need);
  else
    run_parts (j, n);
}

/* Runs ------------------------------------------------------------------- */

/* Whether most of the input moves. */
static gboolean
most_moves (QfSparseSlot *in, const QfTensor *t)
{
  gint64 n = 0, of = 0;

  for (int y = SAMPLE / 2; y < in->h; y += SAMPLE, of += in->w)
    n += qf_sparse_compare (in, t, y, y + 1);
  return of > 0 && n * 100 >= of * ALL_FROM;
}

static void
run_all (QfEngine *e)
{
  QfSparse *sp = e->sparse;

  for (int i = 0; i < sp->n_steps; i++) {
    const QfStep *s = g_ptr_array_index (e->steps, (guint) i);

    qf_engine_run_whole (e, i);
    sp->stats.macs += (guint64) s->info.macs;
  }
  qf_sparse_forget (e);
}

static void
run_sparse (QfEngine *e)
{
  QfSparse *sp = e->sparse;
  QfSparseSlot *in = &sp->slots[e->input_slot[0]];

  in->any = FALSE;
  if (most_moves (in, &e->inputs[0])) {
    run_all (e);
    return;
  }
  qf_sparse_compare (in, &e->inputs[0], 0, in->h);
  if (!in->any)
    sp->stats.still++;
  for (int i = 0; i < sp->n_steps; i++) {
    Job j = { e, sp, g_ptr_array_index (e->steps, (guint) i), &sp->steps[i],
      FALSE };

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
    QfSparseSlot *slot = &e->sparse->slots[i];

    qf_bits_fill (slot, slot->active);
    slot->any = slot->h > 0;
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
    g_free (sp->slots[i].rest);
    g_free (sp->slots[i].even);
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
  g_array_unref (sp->parts);
  g_array_unref (sp->tasks);
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
    if (qf_engine_slot (e, i)->t.layout == QF_NHWC)
      qf_sparse_find_even (s, &qf_engine_slot (e, i)->t);
  }
  return TRUE;
}

gboolean
qf_engine_set_sparse (QfEngine *e, QfSparseMode mode, const guint8 *rest,
    int n_rest, GError **error)
{
  QfSparse *sp;

  if (e->dag && mode != QF_SPARSE_OFF) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "a model with operators that are not planned runs whole");
    return FALSE;
  }
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
  sp->parts = g_array_new (FALSE, FALSE, sizeof (QfPart));
  sp->tasks = g_array_new (FALSE, FALSE, sizeof (QfSparseTask));
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
