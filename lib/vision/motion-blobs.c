/* libqfuse: blobs of moving pixels, found on a grid of cells.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Regions are cells with enough moving pixels that touch (eight neighbours) or
 * lie near. Where their insides (cells with all neighbours in the region) fall
 * into parts, the parts grow over the region again and stay apart if both are
 * large. Boxes and areas are those of moving pixels in the region and the cells
 * around. */
#include "vision/motion-private.h"

#include <stdlib.h>
#include <string.h>

/* A part of less than this share of the one it hangs at is a limb of it. */
#define LEAST_PART 0.35

void
qf_motion_blobs_init (QfMotionBlobs *b, const QfMotionGrid *grid)
{
  gsize cells = (gsize) grid->cols * grid->rows;

  b->grid = *grid;
  b->count = g_new0 (guint16, cells);
  b->reach = g_malloc0 (cells);
  b->spread = g_malloc0 (cells);
  b->queue = g_new (gint32, cells);
  b->label = g_new0 (gint32, (gsize) (grid->cols + 2) * (grid->rows + 2));
  b->max = (int) cells;
  b->labels = g_new0 (QfMotionLabel, cells + 1);
  b->all = g_new0 (QfMotionBlob, cells);
}

void
qf_motion_blobs_clear (QfMotionBlobs *b)
{
  g_clear_pointer (&b->count, g_free);
  g_clear_pointer (&b->reach, g_free);
  g_clear_pointer (&b->spread, g_free);
  g_clear_pointer (&b->queue, g_free);
  g_clear_pointer (&b->label, g_free);
  g_clear_pointer (&b->labels, g_free);
  g_clear_pointer (&b->all, g_free);
}

/* Cores and what is up to @gap cells right or below of them (half of it to each
 * side), first along rows, then along columns: cores with at most @gap cells
 * between them touch. */
static void
spread_cores (QfMotionBlobs *b, int core, int gap)
{
  const int cols = b->grid.cols, rows = b->grid.rows;
  const int before = gap / 2, after = gap - before;

  for (int y = 0; y < rows; y++) {
    const guint16 *count = b->count + (gsize) y * cols;
    guint8 *to = b->spread + (gsize) y * cols;
    int end = 0; /* of what is set */

    memset (to, 0, (size_t) cols);
    for (int x = 0; x < cols; x++)
      if (count[x] >= core) {
        int from = MAX (x - before, end);

        end = MIN (x + after + 1, cols);
        memset (to + from, 1, (size_t) (end - from));
      }
  }
  for (int y = 0; y < rows; y++) {
    guint8 *restrict to = b->reach + (gsize) y * cols;
    int from = MAX (y - after, 0), end = MIN (y + before, rows - 1);

    memset (to, 0, (size_t) cols);
    for (int k = from; k <= end; k++) {
      const guint8 *restrict row = b->spread + (gsize) k * cols;

      for (int x = 0; x < cols; x++)
        to[x] |= row[x];
    }
  }
}

static gint32
root_of (QfMotionLabel *l, gint32 i)
{
  while (l[i].parent != i)
    i = l[i].parent = l[l[i].parent].parent;
  return i;
}

static gint32
unite (QfMotionLabel *l, gint32 a, gint32 b)
{
  a = root_of (l, a);
  b = root_of (l, b);
  if (a < b)
    return l[b].parent = a;
  return l[a].parent = b;
}

/* Labels those cells of @which ([rows][cols]) that have no label yet; returns
 * the last label. The label array has a border of 0. */
static gint32
label_cells (QfMotionBlobs *b, const guint8 *which, gint32 n)
{
  const int cols = b->grid.cols, pitch = cols + 2;

  for (int y = 0; y < b->grid.rows; y++) {
    const guint8 *in = which + (gsize) y * cols;
    gint32 *here = b->label + (gsize) (y + 1) * pitch + 1;
    const gint32 *above = here - pitch;

    for (int x = 0; x < cols; x++) {
      const gint32 near[4] = { here[x - 1], above[x - 1], above[x],
        above[x + 1] };
      gint32 l = 0;

      if (!in[x] || here[x])
        continue;
      for (int k = 0; k < 4; k++)
        if (near[k] > 0)
          l = l == 0 ? near[k] : unite (b->labels, l, near[k]);
      if (l == 0) {
        l = ++n;
        b->labels[l] = (QfMotionLabel){
          .parent = l, .x0 = G_MAXINT32, .y0 = G_MAXINT32, .x1 = -1, .y1 = -1
        };
      }
      here[x] = l;
    }
  }
  return n;
}

/* The inside of regions: cells with all eight neighbours in reach. */
static void
find_seeds (QfMotionBlobs *b)
{
  const int cols = b->grid.cols, rows = b->grid.rows;

  memset (b->spread, 0, (gsize) cols * rows);
  for (int y = 1; y < rows - 1; y++) {
    const guint8 *restrict r = b->reach + (gsize) y * cols;
    guint8 *restrict seed = b->spread + (gsize) y * cols;

    for (int x = 1; x < cols - 1; x++)
      seed[x] = r[x - cols - 1] & r[x - cols] & r[x - cols + 1] & r[x - 1] &
          r[x] & r[x + 1] & r[x + cols - 1] & r[x + cols] & r[x + cols + 1];
  }
}

/* Seeds grow over their region, all at the same pace. */
static void
grow_seeds (QfMotionBlobs *b)
{
  const int cols = b->grid.cols, rows = b->grid.rows, pitch = cols + 2;
  const int dx[8] = { 0, -1, 1, 0, -1, 1, -1, 1 };
  const int dy[8] = { -1, 0, 0, 1, -1, -1, 1, 1 };
  gsize n = 0;

  for (gint32 i = 0; i < cols * rows; i++)
    if (b->spread[i])
      b->queue[n++] = i;
  for (gsize i = 0; i < n; i++) {
    int x0 = b->queue[i] % cols, y0 = b->queue[i] / cols;
    gint32 l = b->label[(y0 + 1) * pitch + x0 + 1];

    for (int k = 0; k < 8; k++) {
      int x = x0 + dx[k], y = y0 + dy[k];
      gint32 *to = &b->label[(y + 1) * pitch + x + 1];

      if (x < 0 || x >= cols || y < 0 || y >= rows || *to > 0 ||
          !b->reach[y * cols + x])
        continue;
      *to = l;
      b->queue[n++] = y * cols + x;
    }
  }
}

/* Moving pixels of each part. */
static void
measure_parts (QfMotionBlobs *b)
{
  const int cols = b->grid.cols;

  for (int y = 0; y < b->grid.rows; y++)
    for (int x = 0; x < cols; x++) {
      gint32 l = b->label[(gsize) (y + 1) * (cols + 2) + x + 1];

      if (l > 0)
        b->labels[root_of (b->labels, l)].area +=
            b->count[(gsize) y * cols + x];
    }
}

static void
unite_small (QfMotionLabel *l, gint32 p, gint32 q, int min_area)
{
  gint32 small, large;

  p = root_of (l, p);
  q = root_of (l, q);
  small = MIN (l[p].area, l[q].area);
  large = MAX (l[p].area, l[q].area);
  if (p != q && (small < min_area || small < LEAST_PART * large))
    l[unite (l, p, q)].area = small + large;
}

/* Parts that are too small to be something of their own unite with a part that
 * they touch. */
static void
unite_parts (QfMotionBlobs *b, int min_area)
{
  const int cols = b->grid.cols, pitch = cols + 2;

  measure_parts (b);
  for (int y = 0; y < b->grid.rows; y++) {
    const gint32 *here = b->label + (gsize) (y + 1) * pitch + 1;

    for (int x = 0; x < cols; x++) {
      const gint32 near[4] = { here[x + 1], here[x + pitch - 1],
        here[x + pitch], here[x + pitch + 1] };

      for (int k = 0; here[x] > 0 && k < 4; k++)
        if (near[k] > 0 && near[k] != here[x])
          unite_small (b->labels, here[x], near[k], min_area);
    }
  }
}

/* The region of a cell with moving pixels: its own or, at the edge of a region,
 * a neighbour's; 0: none. */
static gint32
label_at (const QfMotionBlobs *b, int col, int row)
{
  const int pitch = b->grid.cols + 2;
  const gint32 *l = b->label + (gsize) (row + 1) * pitch + col + 1;
  const int near[9] = { 0, -pitch, pitch, -1, 1, -pitch - 1, -pitch + 1,
    pitch - 1, pitch + 1 };

  for (int i = 0; i < 9; i++)
    if (l[near[i]] > 0)
      return l[near[i]];
  return 0;
}

/* Adds a cell's moving pixels to its region. */
static void
add_cell (const QfMotionBlobs *b, const guint8 *mask, int col, int row,
    QfMotionLabel *l)
{
  const QfMotionGrid *g = &b->grid;
  int x0 = col << g->shift, y0 = row << g->shift;
  int x1 = MIN (x0 + g->size, g->width), y1 = MIN (y0 + g->size, g->height);

  l->area += b->count[(gsize) row * g->cols + col];
  if (x0 >= l->x0 && x1 - 1 <= l->x1 && y0 >= l->y0 && y1 - 1 <= l->y1)
    return;
  for (int y = y0; y < y1; y++)
    for (int x = x0; x < x1; x++)
      if (mask[(gsize) y * g->width + x]) {
        l->x0 = MIN (l->x0, x);
        l->x1 = MAX (l->x1, x);
        l->y0 = MIN (l->y0, y);
        l->y1 = MAX (l->y1, y);
      }
}

static int
compare_blobs (const void *p, const void *q)
{
  const QfMotionBlob *a = p, *b = q;

  if (a->area != b->area)
    return a->area > b->area ? -1 : 1;
  return a->y != b->y ? (a->y > b->y) - (a->y < b->y)
                      : (a->x > b->x) - (a->x < b->x);
}

/* Labels regions, or their parts where they split. Returns the last label. */
static gint32
find_regions (QfMotionBlobs *b, gboolean split, int min_area)
{
  const QfMotionGrid *g = &b->grid;
  gint32 n = 0;

  memset (b->label, 0,
      (gsize) (g->cols + 2) * (gsize) (g->rows + 2) * sizeof (gint32));
  if (split) {
    find_seeds (b);
    n = label_cells (b, b->spread, n);
    grow_seeds (b);
  }
  n = label_cells (b, b->reach, n);
  if (split)
    unite_parts (b, min_area);
  return n;
}

/* The box of a region, larger by @margin, inside the picture. */
static QfMotionBlob
make_blob (const QfMotionLabel *l, const QfMotionGrid *g, int margin)
{
  int x0 = MAX (l->x0 - margin, 0), x1 = MIN (l->x1 + margin, g->width - 1);
  int y0 = MAX (l->y0 - margin, 0), y1 = MIN (l->y1 + margin, g->height - 1);

  return (QfMotionBlob){
    .x = x0, .y = y0, .w = x1 - x0 + 1, .h = y1 - y0 + 1, .area = l->area
  };
}

int
qf_motion_blobs_find (QfMotionBlobs *b, const guint8 *mask,
    const QfMotionOptions *o, int min_area)
{
  const QfMotionGrid *g = &b->grid;
  /* a blob of min_area that lies over four cells has as many in one of them */
  int core = CLAMP (min_area / 4, 1, g->size * g->size / 2);
  gint32 n_labels;
  int n = 0;

  spread_cores (b, core, o->join / g->size);
  n_labels = find_regions (b, o->split, min_area);
  for (gint32 i = 1; i <= n_labels; i++)
    b->labels[i].area = 0;
  for (int row = 0; row < g->rows && n_labels > 0; row++)
    for (int col = 0; col < g->cols; col++)
      if (b->count[(gsize) row * g->cols + col] > 0) {
        gint32 l = label_at (b, col, row);

        if (l > 0)
          add_cell (b, mask, col, row, &b->labels[root_of (b->labels, l)]);
      }
  for (gint32 i = 1; i <= n_labels; i++) {
    const QfMotionLabel *l = &b->labels[i];

    if (l->parent == i && l->area > 0 && l->area >= min_area)
      b->all[n++] = make_blob (l, g, o->margin);
  }
  qsort (b->all, (size_t) n, sizeof (QfMotionBlob), compare_blobs);
  n = MIN (n, QF_MOTION_MAX_BLOBS);
  memcpy (b->blobs, b->all, (gsize) n * sizeof (QfMotionBlob));
  return n;
}
