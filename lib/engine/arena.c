/* libqfuse: places buffers in one arena.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Greedy by size (Pisarchyk, Lee: Efficient memory management for deep neural
 * net inference, 2020): the largest first, each into the smallest gap between
 * the buffers that live at the same time. Where that makes the arena no larger,
 * each goes around the middle of one before it: layers are divided by rows, so
 * what a thread writes it has mostly written before, and a line of the cache
 * stays where it is. */
#include "engine/engine-private.h"

enum
{
  ALIGN = 64
};

static int
larger_first (gconstpointer a, gconstpointer b)
{
  const QfBuffer *x = *(QfBuffer *const *) a, *y = *(QfBuffer *const *) b;

  if (x->size != y->size)
    return x->size < y->size ? 1 : -1;
  return x->first != y->first ? (x->first < y->first ? -1 : 1) : 0;
}

static int
lower_first (gconstpointer a, gconstpointer b)
{
  const QfBuffer *x = *(QfBuffer *const *) a, *y = *(QfBuffer *const *) b;

  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* @placed is sorted by offset. */
static gsize
find_gap (const GPtrArray *placed, const QfBuffer *b)
{
  gsize end = 0, best = G_MAXSIZE, best_gap = G_MAXSIZE;

  for (guint i = 0; i < placed->len; i++) {
    const QfBuffer *p = g_ptr_array_index (placed, i);

    if (p->last < b->first || p->first > b->last)
      continue;
    if (p->offset > end && p->offset - end >= b->size &&
        p->offset - end < best_gap) {
      best = end;
      best_gap = p->offset - end;
    }
    end = MAX (end, p->offset + p->size);
  }
  return best == G_MAXSIZE ? end : best;
}

/* Of the first @n of @order, which are placed, those that live when @b does
 * leave this place to it. */
static gboolean
is_free (const GPtrArray *order, guint n, const QfBuffer *b, gsize offset)
{
  for (guint i = 0; i < n; i++) {
    const QfBuffer *p = g_ptr_array_index (order, i);

    if (p->last >= b->first && p->first <= b->last &&
        offset < p->offset + p->size && p->offset < offset + b->size)
      return FALSE;
  }
  return TRUE;
}

/* For the @n-th of @order a place around the middle of a larger buffer: FALSE
 * if there is none. */
static gboolean
find_middle (const GPtrArray *order, guint n, gsize *offset)
{
  const QfBuffer *b = g_ptr_array_index (order, n);

  for (guint i = 0; i < n; i++) {
    const QfBuffer *p = g_ptr_array_index (order, i);

    *offset = p->offset + (p->size - b->size) / 2 / ALIGN * ALIGN;
    if (is_free (order, n, b, *offset))
      return TRUE;
  }
  return FALSE;
}

/* @order: larger ones first. Returns the arena's size. */
static gsize
place (const GPtrArray *order, gboolean middles)
{
  g_autoptr (GPtrArray) placed = g_ptr_array_new ();
  gsize size = 0;

  for (guint i = 0; i < order->len; i++) {
    QfBuffer *b = g_ptr_array_index (order, i);
    gsize offset;

    b->offset = middles && find_middle (order, i, &offset)
        ? offset
        : find_gap (placed, b);
    size = MAX (size, b->offset + b->size);
    g_ptr_array_add (placed, b);
    g_ptr_array_sort (placed, lower_first);
  }
  return size;
}

gsize
qf_arena_place (GArray *buffers)
{
  g_autoptr (GPtrArray) order = g_ptr_array_new ();
  gsize least;

  for (guint i = 0; i < buffers->len; i++) {
    QfBuffer *b = &g_array_index (buffers, QfBuffer, i);

    if (b->constant)
      continue;
    b->size = (b->size + ALIGN - 1) / ALIGN * ALIGN;
    g_ptr_array_add (order, b);
  }
  g_ptr_array_sort (order, larger_first);
  least = place (order, FALSE);
  return place (order, TRUE) <= least ? least : place (order, FALSE);
}

gsize
qf_arena_spread (GArray *buffers)
{
  gsize size = 0;

  for (guint i = 0; i < buffers->len; i++) {
    QfBuffer *b = &g_array_index (buffers, QfBuffer, i);

    if (b->constant)
      continue;
    b->size = (b->size + ALIGN - 1) / ALIGN * ALIGN;
    b->offset = size;
    size += b->size;
  }
  return size;
}
