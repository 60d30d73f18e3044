/* libqfuse: the inside of sparse runs.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every activation keeps its memory between runs and is divided into cells of
 * one to four pixels a side. A cell is active where it differs from the rest
 * state. What a step needs to compute are the blocks, of one or more cells,
 * that an active cell of its inputs reaches; they are covered by rectangles,
 * and each rectangle is one call of the step's own function on small tensors: a
 * patch of the input with the border filled in, and a patch of the output. */
#pragma once

#include "engine/engine-private.h"

G_BEGIN_DECLS

enum
{
  /* Cells are as small as this many of them allow: small ones save arithmetic,
   * many take time to look through. */
  QF_CELLS_MOST = 4096,
  QF_CELL_LARGEST = 4,
  /* Pixels of a rectangle: what fits the nearer caches at 64 channels. */
  QF_RECT_DOWN = 16,
  QF_RECT_ACROSS = 32
};

/** A slot's cells. */
typedef struct
{
  int cell;         /* pixels a side: 1, 2, 4 */
  int down, across; /* cells; 0: a constant */
  guint8 *active;   /* [down][across] */
  int *in_row;      /* active cells of each row of cells */
  int n_active;
  gsize size;
  guint8 *rest; /* the rest state */
} QfSparseSlot;

/** Along one axis: @n outputs from @o on read the inputs from
 * o·mul/div − before on, (n − 1)·mul + extent or n/div of them. */
typedef struct
{
  int mul, div, before, extent;
  int *first, *last; /* cells of the input that a block of the output reads */
} QfReach;

typedef enum
{
  QF_SPARSE_WHOLE, /* runs as a whole if any input is active */
  QF_SPARSE_ROWS,  /* an input's rows to NHWC */
  QF_SPARSE_PATCH
} QfSparseKind;

typedef struct
{
  QfSparseKind kind;
  int block;        /* pixels a side: a multiple of the output's cell */
  int down, across; /* blocks */
  QfReach y, x;
  int as_is; /* an input that no patch is taken of, or −1 */
  union
  {
    guint8 u8;
    float f32;
  } border;
  gint64 pixel_macs;
} QfSparseStep;

/** Rectangle in pixels of the output; may reach beyond it. */
typedef struct
{
  int y, x, down, across;
} QfRect;

/** A worker's own engine: slots are the patches of one step. */
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
  guint8 *need, *line;            /* of the largest slot */
  GArray *rects;                  /* QfRect */
  QfEngine *whole;                /* to verify against */
  const char *differs;
  QfSparseStats stats;
};

static inline int
qf_cells (int pixels, int cell)
{
  return (pixels + cell - 1) / cell;
}

static inline int
qf_reach_first (const QfReach *r, int o)
{
  return o * r->mul / r->div - r->before;
}

static inline int
qf_reach_count (const QfReach *r, int n)
{
  return r->div > 1 ? n / r->div : (n - 1) * r->mul + r->extent;
}

/* sparse-cells.c ---------------------------------------------------------- */

/** Counts @slot's active cells. */
void qf_sparse_count (QfSparseSlot *slot);

/** Marks which cells of rows @row0 … @row1 − 1 (of cells) of @t differ from
 * rest. */
void qf_sparse_compare (
    QfSparseSlot *slot, const QfTensor *t, int row0, int row1);

/** Brings a cell back to rest. */
void qf_sparse_restore (QfSparseSlot *slot, const QfTensor *t, int y, int x);

/** Marks in @need the blocks that active cells of @in reach. @line: room for a
 * row of @in. */
void qf_sparse_reach (
    const QfSparseStep *s, const QfSparseSlot *in, guint8 *need, guint8 *line);

/** Covers the marked blocks with rectangles; unmarks them. */
void qf_sparse_cover (const QfSparseStep *s, guint8 *need, GArray *rects);

/* sparse-plan.c ----------------------------------------------------------- */

/** What each step reads, and room for patches. FALSE: error is set. */
gboolean qf_sparse_plan (QfEngine *e, QfSparse *sp, GError **error);

G_END_DECLS
