/* libqfuse: the inside of sparse runs.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every activation keeps its memory between runs. A pixel is active where it
 * differs from the rest state: a bit of its slot. What a step needs to compute
 * are the pixels whose windows hold an active one, rounded up to what its
 * kernel likes; they are covered by rectangles (parts), and one call of the
 * kernel makes many of them. Results that equal rest are not active: what hangs
 * on them alone is not computed. */
#pragma once

#include "engine/engine-private.h"

G_BEGIN_DECLS

enum
{
  QF_SPARSE_PIXELS = 1024, /* of one call, at most; at least a part's */
  QF_SPARSE_SMALL = 16     /* pixels of an output that is run whole */
};

/** A slot's pixels. */
typedef struct
{
  int h, w, words; /* h 0: a constant */
  guint64 *active; /* [h][words], the bits beyond w 0 */
  gboolean any;    /* an active pixel */
  gboolean read;   /* by a step */
  gsize size;
  guint8 *rest; /* the rest state */
  /* At rest all pixels @margin and more away from the border are alike:
   * QF_PART_W of them, so that few lines of memory are looked at. NULL: they
   * are not. */
  guint8 *even;
  int margin;
} QfSparseSlot;

/** Along one axis: output o reads @taps inputs, @step apart, from
 * o·mul/div − before on. */
typedef struct
{
  int mul, div, before, taps, step;
} QfReach;

typedef enum
{
  QF_SPARSE_WHOLE, /* runs as a whole if any input is active */
  QF_SPARSE_ROWS,  /* an input's rows to NHWC */
  QF_SPARSE_CONV,  /* the kernel makes parts of it */
  QF_SPARSE_PLACE, /* row by row of a part, in place */
  QF_SPARSE_PATCH  /* a part's input is copied, borders filled in */
} QfSparseKind;

typedef struct
{
  QfSparseKind kind;
  int unit; /* pixels a side of what is computed: 1, 2 or 4; 0: see kernel */
  QfReach y, x;
  int as_is; /* an input that is a value a channel, or −1 */
  union
  {
    guint8 u8;
    float f32;
  } border;
  gint64 pixel_macs;
} QfSparseStep;

/** Parts of one task. */
typedef struct
{
  int first, n;
} QfSparseTask;

/** A worker's own engine: slots are what one call sees of one step's. */
typedef struct
{
  QfEngine engine;
  guint8 *memory;
} QfSparseWorker;

struct _QfSparse
{
  QfSparseMode mode;
  QfSparseSlot *slots;
  QfSparseStep *steps;
  QfSparseWorker *workers;
  int n_workers, n_slots, n_steps;
  gsize patch_size, scratch_size; /* of a worker */
  guint64 *need, *line;  /* bits of the largest slot, of a row of the widest */
  GArray *parts, *tasks; /* QfPart, QfSparseTask */
  QfEngine *whole;       /* to verify against */
  const char *differs;
  QfSparseStats stats;
};

/** One step on one picture. */
typedef struct
{
  QfEngine *e;
  QfSparse *sp;
  const QfStep *s;
  const QfSparseStep *ss;
  gboolean shared; /* tasks run at the same time */
} QfSparseJob;

static inline int
qf_reach_first (const QfReach *r, int o)
{
  return o * r->mul / r->div - r->before;
}

static inline int
qf_reach_count (const QfReach *r, int n)
{
  return r->div > 1 ? n / r->div
                    : (n - 1) * r->mul + (r->taps - 1) * r->step + 1;
}

/* sparse-bits.c ------------------------------------------------------------ */

/** The bits of word @i that are pixels of a row of @w. */
static inline guint64
qf_bits_mask (int w, int i)
{
  return w - 64 * i >= 64 ? ~(guint64) 0 : ((guint64) 1 << (w - 64 * i)) - 1;
}

/** Marks all pixels of @slot in @bits. */
void qf_bits_fill (const QfSparseSlot *slot, guint64 *bits);

/** Marks in @need, whose rows are @out's, what active pixels of @in reach.
 * @line: room for a row of @in. */
void qf_bits_reach (const QfSparseStep *s, const QfSparseSlot *in,
    const QfSparseSlot *out, guint64 *need, guint64 *line);

/** Rounds @need up to squares of @unit pixels; returns the number of pixels. */
gint64 qf_bits_round (int unit, const QfSparseSlot *out, guint64 *need);

/** Covers the marked pixels with parts; unmarks them. */
void qf_bits_cover (const QfSparseSlot *out, guint64 *need, GArray *parts);

/* sparse-compare.c --------------------------------------------------------- */

/** Which pixels of rows @row0 … @row1 − 1 of @t differ from rest. Returns their
 * number. */
gint64 qf_sparse_compare (
    QfSparseSlot *slot, const QfTensor *t, int row0, int row1);

/** Which of @n ≤ 64 pixels of @size bytes differ. */
guint64 qf_sparse_differ (const guint8 *a, const guint8 *b, gsize size, int n);

/** What is active and not in @need comes back to rest. Unmarks all. */
void qf_sparse_restore (
    QfSparseSlot *slot, const QfTensor *t, const guint64 *need);

/** @n ≤ QF_PART_W pixels at rest, from @y, @x on. */
static inline const guint8 *
qf_sparse_rest (const QfSparseSlot *s, gsize pixel, int y, int x, int n)
{
  if (s->even && y >= s->margin && y < s->h - s->margin && x >= s->margin &&
      x + n <= s->w - s->margin)
    return s->even;
  return s->rest + ((gsize) y * (gsize) s->w + (gsize) x) * pixel;
}

/** Finds margin and even of a slot whose rest is known. */
void qf_sparse_find_even (QfSparseSlot *slot, const QfTensor *t);

/* sparse-parts.c ----------------------------------------------------------- */

/** Runs a task of the step's parts; @data: QfSparseJob. */
void qf_sparse_run_task (void *data, int task, int worker);

/* sparse-plan.c ------------------------------------------------------------ */

/** What each step reads, and room for its parts. FALSE: error is set. */
gboolean qf_sparse_plan (QfEngine *e, QfSparse *sp, GError **error);

G_END_DECLS
