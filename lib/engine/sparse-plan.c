/* libqfuse: plans sparse runs.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/sparse-private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum
{
  BLOCK_LEAST = 2 /* pixels: less computes less, but in more calls */
};

static gboolean
is_op (const QfStep *s, QfOp op)
{
  return g_str_equal (s->info.op, qf_op_name (op));
}

static gboolean
same_size (const QfTensor *a, const QfTensor *b)
{
  return a->h == b->h && a->w == b->w;
}

/* Shape of the call for a patch of @down × @across pixels. */
static QfConvShape
patch_shape (const QfConvShape *s, const QfSparseStep *ss, int down, int across)
{
  QfConvShape p = *s;

  p.out_h = down;
  p.out_w = across;
  p.in_h = qf_reach_count (&ss->y, p.out_h);
  p.in_w = qf_reach_count (&ss->x, p.out_w);
  p.pad_top = p.pad_left = 0;
  return p;
}

static void
pack (const QfEngine *e, const QfStep *s, const QfConvShape *p, void *to)
{
  if (s->info.quantized)
    e->k->conv_s8_pack (p, s->w, to);
  else
    e->k->conv_f32_pack (p, s->w, to);
}

static gsize
packed_size (const QfEngine *e, const QfStep *s, const QfConvShape *p)
{
  return s->info.quantized ? e->k->conv_s8_packed_size (p)
                           : e->k->conv_f32_packed_size (p);
}

/* Kernels may pack weights in one way for small outputs and in another for
 * large ones. Patches are run on the step's own weights, so all must agree.
 * @scratch is raised to what the largest call needs. */
static gboolean
packs_alike (
    const QfEngine *e, const QfStep *s, const QfSparseStep *ss, gsize *scratch)
{
  gsize size = packed_size (e, s, &s->shape);
  gboolean alike = TRUE;
  int step = ss->block;

  for (int down = step; down <= QF_RECT_DOWN; down += step)
    for (int across = step; across <= QF_RECT_ACROSS; across += step) {
      QfConvShape p = patch_shape (&s->shape, ss, down, across);

      alike &= packed_size (e, s, &p) == size;
      *scratch = MAX (*scratch,
          s->info.quantized ? e->k->conv_u8s8_scratch_size (&p)
                            : e->k->conv_f32_scratch_size (&p));
    }
  for (int i = 0; i < 2 && alike; i++) {
    QfConvShape p = patch_shape (
        &s->shape, ss, i ? QF_RECT_DOWN : step, i ? QF_RECT_ACROSS : step);
    g_autofree void *twin = g_malloc0 (size);

    /* what packing leaves untouched is equal in both */
    memcpy (twin, s->packed, size);
    pack (e, s, &p, twin);
    alike = memcmp (twin, s->packed, size) == 0;
  }
  return alike;
}

static void
set_window (QfSparseStep *ss, const QfConvShape *c)
{
  ss->kind = QF_SPARSE_PATCH;
  ss->y = (QfReach){ c->stride_h, 1, c->pad_top,
    (c->kernel_h - 1) * c->dilation_h + 1, NULL, NULL };
  ss->x = (QfReach){ c->stride_w, 1, c->pad_left,
    (c->kernel_w - 1) * c->dilation_w + 1, NULL, NULL };
}

static void
plan_conv (const QfEngine *e, const QfStep *s, QfSparseStep *ss, gsize *scratch)
{
  const QfTensor *x = qf_step_in (e, s, 0);

  set_window (ss, &s->shape);
  if (s->info.quantized)
    ss->border.u8 = (guint8) x->zero;
  while (!packs_alike (e, s, ss, scratch))
    if ((ss->block *= 2) > QF_CELL_LARGEST) {
      ss->kind = QF_SPARSE_WHOLE;
      return;
    }
}

/* Same place in all inputs, but for one that is a value a channel. */
static void
plan_pointwise (const QfEngine *e, const QfStep *s, QfSparseStep *ss)
{
  const QfTensor *y = qf_step_out (e, s);

  ss->kind = QF_SPARSE_PATCH;
  for (int i = 0; i < s->n_in; i++)
    if (!same_size (qf_step_in (e, s, i), y)) {
      if (ss->as_is >= 0 || !is_op (s, QF_OP_ADD))
        ss->kind = QF_SPARSE_WHOLE;
      ss->as_is = i;
    }
}

/* @cell: of the output. */
static void
plan_step (const QfEngine *e, const QfStep *s, QfSparseStep *ss, int cell,
    gsize *scratch)
{
  const QfTensor *y = qf_step_out (e, s);
  int pixels = y->h * y->w;

  *ss = (QfSparseStep){ .kind = QF_SPARSE_WHOLE, .as_is = -1 };
  ss->block = MAX (cell, BLOCK_LEAST);
  ss->y = ss->x = (QfReach){ 1, 1, 0, 1, NULL, NULL };
  ss->pixel_macs = s->info.macs / pixels;
  if (qf_step_in (e, s, 0)->layout == QF_NCHW &&
      g_str_equal (s->info.op, "Layout"))
    ss->kind = QF_SPARSE_ROWS;
  else if (pixels <= QF_CELL_LARGEST * QF_CELL_LARGEST)
    return;
  else if (is_op (s, QF_OP_CONV))
    plan_conv (e, s, ss, scratch);
  else if (is_op (s, QF_OP_MAX_POOL)) {
    set_window (ss, &s->shape);
    if (!s->info.quantized)
      ss->border.f32 = -INFINITY;
  } else if (is_op (s, QF_OP_RESIZE_NEAREST)) {
    while (ss->block < QF_CELL_LARGEST &&
        (ss->block % s->scale_h != 0 || ss->block % s->scale_w != 0))
      ss->block *= 2;
    if (ss->block % s->scale_h == 0 && ss->block % s->scale_w == 0) {
      ss->kind = QF_SPARSE_PATCH;
      ss->y.div = s->scale_h;
      ss->x.div = s->scale_w;
    }
  } else if (is_op (s, QF_OP_CONCAT) ? s->axis == 1
                                     : is_op (s, QF_OP_ADD) ||
              is_op (s, QF_OP_RELU) || is_op (s, QF_OP_CLIP) ||
              is_op (s, QF_OP_SIGMOID) || is_op (s, QF_OP_BATCH_NORM) ||
              is_op (s, QF_OP_QUANTIZE) || is_op (s, QF_OP_DEQUANTIZE))
    plan_pointwise (e, s, ss);
}

/* Cells of @n input pixels that each of @blocks of @block output pixels reads;
 * first > last where it reads the border only. */
static void
plan_reach (QfReach *r, int blocks, int block, int n, int cell)
{
  r->first = g_new (int, blocks);
  r->last = g_new (int, blocks);
  for (int b = 0; b < blocks; b++) {
    int from = qf_reach_first (r, b * block);
    int to = from + qf_reach_count (r, block) - 1;

    r->first[b] = from >= n ? 1 : MAX (from, 0) / cell;
    r->last[b] = from >= n || to < 0 ? -1 : MIN (to, n - 1) / cell;
  }
}

/* Bytes of all patches of the step. */
static gsize
patches (const QfEngine *e, const QfStep *s, const QfSparseStep *ss)
{
  const QfTensor *y = qf_step_out (e, s);
  gsize in = (gsize) qf_reach_count (&ss->y, QF_RECT_DOWN) *
      (gsize) qf_reach_count (&ss->x, QF_RECT_ACROSS);
  gsize sum = 64 +
      (gsize) QF_RECT_DOWN * QF_RECT_ACROSS * (gsize) y->c *
          qf_dtype_size (y->dtype);

  for (int i = 0; i < s->n_in; i++) {
    const QfTensor *x = qf_step_in (e, s, i);

    sum += 64 + in * (gsize) x->c * qf_dtype_size (x->dtype);
  }
  return sum;
}

static void
plan_slots (QfEngine *e, QfSparse *sp)
{
  gsize most = 1, widest = 1;

  sp->n_slots = (int) e->slots->len;
  sp->slots = g_new0 (QfSparseSlot, sp->n_slots);
  for (int i = 0; i < sp->n_slots; i++) {
    const QfSlot *slot = qf_engine_slot (e, i);
    QfSparseSlot *s = &sp->slots[i];

    s->cell = 1;
    while (s->cell < QF_CELL_LARGEST &&
        (gint64) qf_cells (slot->t.h, s->cell) * qf_cells (slot->t.w, s->cell) >
            QF_CELLS_MOST)
      s->cell *= 2;
    if (g_array_index (e->buffers, QfBuffer, slot->buffer).constant)
      continue;
    s->down = qf_cells (slot->t.h, s->cell);
    s->across = qf_cells (slot->t.w, s->cell);
    s->active = g_malloc0 ((gsize) s->down * (gsize) s->across);
    s->in_row = g_new0 (int, s->down);
    s->size = qf_tensor_elements (&slot->t) * qf_dtype_size (slot->t.dtype);
    most = MAX (most, (gsize) s->down * (gsize) s->across);
    widest = MAX (widest, (gsize) s->across);
  }
  sp->need = g_malloc (most);
  sp->line = g_malloc (widest);
}

static gboolean
plan_workers (QfEngine *e, QfSparse *sp, int most_in, GError **error)
{
  sp->n_workers = qf_pool_threads (e->pool);
  sp->workers = g_new0 (QfSparseWorker, sp->n_workers);
  for (int i = 0; i < sp->n_workers; i++) {
    QfSparseWorker *w = &sp->workers[i];

    w->memory = aligned_alloc (64, sp->scratch_size + sp->patch_size);
    if (!w->memory) {
      g_set_error_literal (
          error, QF_ERROR, QF_ERROR_FAILED, "no memory for sparse runs");
      return FALSE;
    }
    w->engine = (QfEngine){ .k = e->k,
      .slots =
          g_array_sized_new (FALSE, TRUE, sizeof (QfSlot), (guint) most_in + 1),
      .scratch = w->memory,
      .scratch_size = sp->scratch_size };
    g_array_set_size (w->engine.slots, (guint) most_in + 1);
  }
  return TRUE;
}

gboolean
qf_sparse_plan (QfEngine *e, QfSparse *sp, GError **error)
{
  int most_in = 0;

  plan_slots (e, sp);
  sp->n_steps = (int) e->steps->len;
  sp->steps = g_new0 (QfSparseStep, sp->n_steps);
  for (int i = 0; i < sp->n_steps; i++) {
    const QfStep *s = g_ptr_array_index (e->steps, (guint) i);
    const QfTensor *x = qf_step_in (e, s, 0);
    QfSparseStep *ss = &sp->steps[i];

    plan_step (e, s, ss, sp->slots[s->out].cell, &sp->scratch_size);
    most_in = MAX (most_in, s->n_in);
    ss->down = qf_cells (s->info.h, ss->block);
    ss->across = qf_cells (s->info.w, ss->block);
    if (ss->kind != QF_SPARSE_PATCH)
      continue;
    plan_reach (&ss->y, ss->down, ss->block, x->h, sp->slots[s->in[0]].cell);
    plan_reach (&ss->x, ss->across, ss->block, x->w, sp->slots[s->in[0]].cell);
    sp->patch_size = MAX (sp->patch_size, patches (e, s, ss));
  }
  sp->scratch_size = (sp->scratch_size + 127) / 64 * 64;
  sp->patch_size = (sp->patch_size + 127) / 64 * 64;
  return plan_workers (e, sp, most_in, error);
}
