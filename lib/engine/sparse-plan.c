/* libqfuse: plans sparse runs.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/sparse-private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum
{
  PATCH_UNIT = 2 /* pixels: less computes less, but in more calls */
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

/* Kernels may pack weights in one way for small outputs and in another for
 * large ones. Patches are run on the step's own weights, so all must agree.
 * @scratch is raised to what the largest call needs. */
static gboolean
packs_alike (
    const QfEngine *e, const QfStep *s, const QfSparseStep *ss, gsize *scratch)
{
  gsize size = e->k->conv_f32_packed_size (&s->shape);
  gboolean alike = TRUE;

  for (int down = 1; down <= QF_PART_H; down++)
    for (int across = 1; across <= QF_PART_W; across++) {
      QfConvShape p = patch_shape (&s->shape, ss, down, across);

      alike &= e->k->conv_f32_packed_size (&p) == size;
      *scratch = MAX (*scratch, e->k->conv_f32_scratch_size (&p));
    }
  for (int i = 0; i < 2 && alike; i++) {
    QfConvShape p =
        patch_shape (&s->shape, ss, i ? QF_PART_H : 1, i ? QF_PART_W : 1);
    g_autofree void *twin = g_malloc0 (size);

    /* what packing leaves untouched is equal in both */
    memcpy (twin, s->packed, size);
    e->k->conv_f32_pack (&p, s->w, twin);
    alike = memcmp (twin, s->packed, size) == 0;
  }
  return alike;
}

static void
set_window (QfSparseStep *ss, const QfConvShape *c)
{
  ss->kind = QF_SPARSE_PATCH;
  ss->unit = PATCH_UNIT;
  ss->y = (QfReach){ c->stride_h, 1, c->pad_top, c->kernel_h, c->dilation_h };
  ss->x = (QfReach){ c->stride_w, 1, c->pad_left, c->kernel_w, c->dilation_w };
}

static void
plan_conv (const QfEngine *e, const QfStep *s, QfSparseStep *ss, gsize *scratch)
{
  set_window (ss, &s->shape);
  if (s->info.quantized) {
    ss->kind = QF_SPARSE_CONV;
    ss->unit = 0;
    *scratch = MAX (*scratch, e->k->conv_u8s8_parts_scratch_size (&s->shape));
  } else if (!packs_alike (e, s, ss, scratch)) {
    ss->kind = QF_SPARSE_WHOLE;
  }
}

/* Same place in all inputs, but for one that is a value a channel. */
static void
plan_pointwise (const QfEngine *e, const QfStep *s, QfSparseStep *ss)
{
  const QfTensor *y = qf_step_out (e, s);

  ss->kind = QF_SPARSE_PLACE;
  for (int i = 0; i < s->n_in; i++)
    if (!same_size (qf_step_in (e, s, i), y)) {
      if (ss->as_is >= 0 || !(is_op (s, QF_OP_ADD) || is_op (s, QF_OP_GATHER) || is_op (s, QF_OP_MUL)))
        ss->kind = QF_SPARSE_WHOLE;
      ss->as_is = i;
    }
}

/* Blocks of as many outputs as one input has. */
static void
plan_resize (const QfStep *s, QfSparseStep *ss)
{
  ss->y.div = s->scale_h;
  ss->x.div = s->scale_w;
  while (ss->unit < 4 &&
      (ss->unit % s->scale_h != 0 || ss->unit % s->scale_w != 0))
    ss->unit *= 2;
  if (ss->unit % s->scale_h == 0 && ss->unit % s->scale_w == 0)
    ss->kind = QF_SPARSE_PLACE;
}

static void
plan_step (const QfEngine *e, const QfStep *s, QfSparseStep *ss, gsize *scratch)
{
  const QfTensor *y = qf_step_out (e, s);
  int pixels = y->h * y->w;

  *ss = (QfSparseStep){ .kind = QF_SPARSE_WHOLE, .unit = 1, .as_is = -1 };
  ss->y = ss->x = (QfReach){ 1, 1, 0, 1, 1 };
  ss->pixel_macs = s->info.macs / pixels;
  if (qf_step_in (e, s, 0)->layout == QF_NCHW &&
      g_str_equal (s->info.op, "Layout"))
    ss->kind = QF_SPARSE_ROWS;
  else if (pixels <= QF_SPARSE_SMALL)
    return;
  else if (is_op (s, QF_OP_CONV))
    plan_conv (e, s, ss, scratch);
  else if (is_op (s, QF_OP_MAX_POOL)) {
    set_window (ss, &s->shape);
    if (!s->info.quantized)
      ss->border.f32 = -INFINITY;
  } else if (is_op (s, QF_OP_RESIZE_NEAREST)) {
    plan_resize (s, ss);
  } else if (is_op (s, QF_OP_CONCAT) || is_op (s, QF_OP_SLICE)
          ? s->axis == 1
          : is_op (s, QF_OP_ADD) ||
              is_op (s, QF_OP_RELU) || is_op (s, QF_OP_CLIP) ||
              is_op (s, QF_OP_SIGMOID) || is_op (s, QF_OP_LEAKY_RELU) ||
              is_op (s, QF_OP_HARD_SWISH) || is_op (s, QF_OP_SILU) ||
              is_op (s, QF_OP_MUL) || is_op (s, QF_OP_BATCH_NORM) ||
              is_op (s, QF_OP_QUANTIZE) || is_op (s, QF_OP_DEQUANTIZE))
    plan_pointwise (e, s, ss);
}

/* Bytes of what one call makes, and of the patches that it reads. */
static gsize
patches (const QfEngine *e, const QfStep *s, const QfSparseStep *ss)
{
  const QfTensor *y = qf_step_out (e, s);
  gsize in = (gsize) qf_reach_count (&ss->y, QF_PART_H) *
      (gsize) qf_reach_count (&ss->x, QF_PART_W);
  gsize out =
      ss->kind == QF_SPARSE_CONV ? QF_SPARSE_PIXELS : QF_PART_H * QF_PART_W;
  gsize sum = 64 +
      MIN (out, (gsize) y->h * (gsize) y->w) * (gsize) y->c *
          qf_dtype_size (y->dtype);

  for (int i = 0; ss->kind == QF_SPARSE_PATCH && i < s->n_in; i++) {
    const QfTensor *x = qf_step_in (e, s, i);

    sum += 64 + in * (gsize) x->c * qf_dtype_size (x->dtype);
  }
  return sum;
}

static void
plan_slots (QfEngine *e, QfSparse *sp)
{
  gsize most = 1;
  int widest = 1;

  sp->n_slots = (int) e->slots->len;
  sp->slots = g_new0 (QfSparseSlot, sp->n_slots);
  for (int i = 0; i < sp->n_slots; i++) {
    const QfSlot *slot = qf_engine_slot (e, i);
    QfSparseSlot *s = &sp->slots[i];

    if (g_array_index (e->buffers, QfBuffer, slot->buffer).constant)
      continue;
    s->h = slot->t.h;
    s->w = slot->t.w;
    s->words = (s->w + 63) / 64;
    s->active = g_new0 (guint64, (gsize) s->h * (gsize) s->words);
    s->size = qf_tensor_elements (&slot->t) * qf_dtype_size (slot->t.dtype);
    most = MAX (most, (gsize) s->h * (gsize) s->words);
    widest = MAX (widest, s->words);
  }
  sp->need = g_new (guint64, most);
  sp->line = g_new (guint64, widest);
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
    QfSparseStep *ss = &sp->steps[i];

    plan_step (e, s, ss, &sp->scratch_size);
    most_in = MAX (most_in, s->n_in);
    for (int k = 0; k < s->n_in; k++)
      sp->slots[s->in[k]].read = TRUE;
    if (ss->kind == QF_SPARSE_CONV || ss->kind == QF_SPARSE_PATCH)
      sp->patch_size = MAX (sp->patch_size, patches (e, s, ss));
  }
  sp->scratch_size = (sp->scratch_size + 127) / 64 * 64;
  sp->patch_size = (sp->patch_size + 127) / 64 * 64;
  return plan_workers (e, sp, most_in, error);
}
