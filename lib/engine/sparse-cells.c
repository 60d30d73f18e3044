/* libqfuse: cells that differ from rest.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/sparse-private.h"

#include <string.h>

void
qf_sparse_count (QfSparseSlot *slot)
{
  slot->n_active = 0;
  for (int y = 0; y < slot->down; y++) {
    const guint8 *row = slot->active + (gsize) y * (gsize) slot->across;
    int n = 0;

    for (int x = 0; x < slot->across; x++)
      n += row[x];
    slot->in_row[y] = n;
    slot->n_active += n;
  }
}

/* A row of pixels of one row of cells. */
static void
compare_row (guint8 *active, const guint8 *a, const guint8 *b, gsize row,
    gsize cell, int across)
{
  if (memcmp (a, b, row) == 0 || !memchr (active, 0, (gsize) across))
    return;
  for (int x = 0; x < across; x++) {
    gsize at = (gsize) x * cell;

    if (!active[x])
      active[x] = memcmp (a + at, b + at, MIN (cell, row - at)) != 0;
  }
}

void
qf_sparse_compare (QfSparseSlot *slot, const QfTensor *t, int row0, int row1)
{
  gboolean planar = t->layout == QF_NCHW;
  gsize pixel = qf_dtype_size (t->dtype) * (planar ? 1 : (gsize) t->c);
  gsize row = pixel * (gsize) t->w;
  int planes = planar ? t->c : 1;

  memset (slot->active + (gsize) row0 * (gsize) slot->across, 0,
      (gsize) (row1 - row0) * (gsize) slot->across);
  for (int p = 0; p < planes; p++)
    for (int y = row0 * slot->cell; y < MIN (row1 * slot->cell, t->h); y++) {
      gsize at = ((gsize) p * (gsize) t->h + (gsize) y) * row;

      compare_row (
          slot->active + (gsize) (y / slot->cell) * (gsize) slot->across,
          (const guint8 *) t->data + at, slot->rest + at, row,
          (gsize) slot->cell * pixel, slot->across);
    }
}

void
qf_sparse_restore (QfSparseSlot *slot, const QfTensor *t, int y, int x)
{
  gsize pixel = qf_dtype_size (t->dtype) * (gsize) t->c;
  int x0 = x * slot->cell, y0 = y * slot->cell;
  gsize n = (gsize) MIN (slot->cell, t->w - x0) * pixel;

  for (int i = y0; i < MIN (y0 + slot->cell, t->h); i++) {
    gsize at = ((gsize) i * (gsize) t->w + (gsize) x0) * pixel;

    memcpy ((guint8 *) t->data + at, slot->rest + at, n);
  }
}

void
qf_sparse_reach (
    const QfSparseStep *s, const QfSparseSlot *in, guint8 *need, guint8 *line)
{
  for (int y = 0; y < s->down; y++, need += s->across) {
    gboolean any = FALSE;

    for (int r = s->y.first[y]; r <= s->y.last[y]; r++) {
      const guint8 *from = in->active + (gsize) r * (gsize) in->across;

      if (in->in_row[r] == 0)
        continue;
      if (any)
        for (int x = 0; x < in->across; x++)
          line[x] |= from[x];
      else
        memcpy (line, from, (gsize) in->across);
      any = TRUE;
    }
    for (int x = 0; any && x < s->across; x++)
      for (int c = s->x.first[x]; c <= s->x.last[x]; c++)
        need[x] |= line[c];
  }
}

static gboolean
all_set (const guint8 *p, int n)
{
  for (int i = 0; i < n; i++)
    if (!p[i])
      return FALSE;
  return TRUE;
}

void
qf_sparse_cover (const QfSparseStep *s, guint8 *need, GArray *rects)
{
  int most_down = QF_RECT_DOWN / s->block;
  int most_across = QF_RECT_ACROSS / s->block;

  g_array_set_size (rects, 0);
  for (int y = 0; y < s->down; y++)
    for (int x = 0; x < s->across; x++) {
      guint8 *at = need + (gsize) y * (gsize) s->across + x;
      int down = 1, across = 1;
      QfRect r;

      if (!*at)
        continue;
      while (across < most_across && x + across < s->across && at[across])
        across++;
      while (down < most_down && y + down < s->down &&
          all_set (at + (gsize) down * (gsize) s->across, across))
        down++;
      for (int i = 0; i < down; i++)
        memset (at + (gsize) i * (gsize) s->across, 0, (gsize) across);
      r = (QfRect){ y * s->block, x * s->block, down * s->block,
        across * s->block };
      g_array_append_val (rects, r);
      x += across - 1;
    }
}
