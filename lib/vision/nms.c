/* libqfuse: overlap of boxes and non-maximum suppression.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>

#include "vision/box-private.h"

/* Fewer boxes than this are compared with all that are kept. */
#define FEW 48

/* Cells of the grid a side at most, and of one box: what covers more stands in
 * a list of its own. */
#define MAX_CELLS 128
#define MAX_COVERED 16

float
qf_box_iou (const QfBox *a, const QfBox *b)
{
  return (float) qf_box_overlap (a, b);
}

typedef struct
{
  float score;
  guint index;
} Rank;

/* Falling score, ties in their order: a total order, so that the result does
 * not depend on the sort. */
static int
compare_ranks (const void *a, const void *b)
{
  const Rank *p = a, *q = b;

  if (p->score != q->score)
    return p->score > q->score ? -1 : 1;
  return p->index < q->index ? -1 : p->index > q->index;
}

static inline gboolean
suppresses (const QfBox *kept, const QfBox *box, float iou)
{
  return kept->label == box->label && qf_box_iou (kept, box) > iou;
}

/* Where the kept boxes lie: cells of equal size over all boxes. Two boxes that
 * overlap have a point in common, and with it a cell, for the cell of a
 * coordinate never falls when the coordinate rises. */
typedef struct
{
  double x, y, side; /* of a cell */
  int columns, rows;
  int *cells; /* [rows][columns] the last link of each cell, −1: none */
  int large;  /* the last link of those that cover too many cells */
  GArray *links;
} Grid;

typedef struct
{
  int box, next;
} Link;

typedef struct
{
  int x0, y0, x1, y1; /* inclusive */
} Cells;

/* Others overlap nothing. */
static gboolean
has_area (const QfBox *b)
{
  return isfinite (b->x) && isfinite (b->y) && isfinite (b->w) &&
      isfinite (b->h) && b->w > 0 && b->h > 0;
}

static int
cell_of (double at, double start, double side, int n)
{
  return (int) CLAMP (floor ((at - start) / side), 0, n - 1);
}

static Cells
cells_of (const Grid *g, const QfBox *b)
{
  return (Cells){ cell_of (b->x, g->x, g->side, g->columns),
    cell_of (b->y, g->y, g->side, g->rows),
    cell_of ((double) b->x + (double) b->w, g->x, g->side, g->columns),
    cell_of ((double) b->y + (double) b->h, g->y, g->side, g->rows) };
}

/* Cells are as large as the boxes are on average. */
static void
grid_init (Grid *g, const QfBox *boxes, guint n)
{
  double left = INFINITY, top = INFINITY, right = -INFINITY, bottom = -INFINITY;
  double sides = 0;
  guint counted = 0;

  for (guint i = 0; i < n; i++) {
    const QfBox *b = &boxes[i];

    if (!has_area (b))
      continue;
    left = MIN (left, b->x);
    top = MIN (top, b->y);
    right = MAX (right, (double) b->x + (double) b->w);
    bottom = MAX (bottom, (double) b->y + (double) b->h);
    sides += ((double) b->w + (double) b->h) / 2;
    counted++;
  }
  *g = (Grid){ .x = left, .y = top, .side = 1, .columns = 1, .rows = 1 };
  if (counted > 0) {
    g->side =
        MAX (sides / counted, MAX (right - left, bottom - top) / MAX_CELLS);
    g->columns = 1 + cell_of (right, left, g->side, MAX_CELLS);
    g->rows = 1 + cell_of (bottom, top, g->side, MAX_CELLS);
  }
  g->cells = g_new (int, (gsize) g->columns *(gsize) g->rows);
  for (int i = 0; i < g->columns * g->rows; i++)
    g->cells[i] = -1;
  g->large = -1;
  g->links = g_array_new (FALSE, FALSE, sizeof (Link));
}

static void
grid_clear (Grid *g)
{
  g_free (g->cells);
  g_array_unref (g->links);
}

static void
push_link (Grid *g, int *last, guint box)
{
  Link link = { (int) box, *last };

  *last = (int) g->links->len;
  g_array_append_val (g->links, link);
}

static void
grid_add (Grid *g, const QfBox *box, guint number)
{
  Cells c;

  if (!has_area (box))
    return;
  c = cells_of (g, box);
  if ((c.x1 - c.x0 + 1) * (c.y1 - c.y0 + 1) > MAX_COVERED) {
    push_link (g, &g->large, number);
    return;
  }
  for (int y = c.y0; y <= c.y1; y++)
    for (int x = c.x0; x <= c.x1; x++)
      push_link (g, &g->cells[y * g->columns + x], number);
}

static gboolean
list_suppresses (
    const Grid *g, int last, const QfBox *kept, const QfBox *box, float iou)
{
  while (last >= 0) {
    const Link *l = &g_array_index (g->links, Link, last);

    if (suppresses (&kept[l->box], box, iou))
      return TRUE;
    last = l->next;
  }
  return FALSE;
}

static gboolean
grid_suppresses (const Grid *g, const QfBox *kept, const QfBox *box, float iou)
{
  Cells c;

  if (!has_area (box))
    return FALSE;
  if (list_suppresses (g, g->large, kept, box, iou))
    return TRUE;
  c = cells_of (g, box);
  for (int y = c.y0; y <= c.y1; y++)
    for (int x = c.x0; x <= c.x1; x++)
      if (list_suppresses (g, g->cells[y * g->columns + x], kept, box, iou))
        return TRUE;
  return FALSE;
}

static gboolean
any_suppresses (const QfBox *kept, guint n, const QfBox *box, float iou)
{
  for (guint i = 0; i < n; i++)
    if (suppresses (&kept[i], box, iou))
      return TRUE;
  return FALSE;
}

static guint
keep_best (const QfBox *in, const Rank *ranks, guint n, float iou, guint max,
    QfBox *out)
{
  /* Below 0 boxes go that do not even touch. No overlap is over 1. */
  gboolean all = !(iou < 1), use_grid = !all && iou >= 0 && n > FEW;
  guint kept = 0;
  Grid grid;

  if (use_grid)
    grid_init (&grid, in, n);
  for (guint i = 0; i < n && kept < max; i++) {
    const QfBox *box = &in[ranks[i].index];

    if (use_grid ? grid_suppresses (&grid, out, box, iou)
                 : !all && any_suppresses (out, kept, box, iou))
      continue;
    if (use_grid)
      grid_add (&grid, box, kept);
    out[kept++] = *box;
  }
  if (use_grid)
    grid_clear (&grid);
  return kept;
}

void
qf_nms (GArray *boxes, float iou, int max)
{
  guint n = boxes->len, kept;
  const QfBox *in = (const QfBox *) (gpointer) boxes->data;
  g_autofree Rank *ranks = g_new (Rank, n);
  g_autofree QfBox *out = g_new (QfBox, n);

  if (n == 0)
    return;
  for (guint i = 0; i < n; i++)
    ranks[i] = (Rank){ isnan (in[i].score) ? -INFINITY : in[i].score, i };
  qsort (ranks, n, sizeof *ranks, compare_ranks);
  kept = keep_best (in, ranks, n, iou, max > 0 ? (guint) max : n, out);
  g_array_set_size (boxes, 0);
  g_array_append_vals (boxes, out, kept);
}
