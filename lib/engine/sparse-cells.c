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

/* A row of pixels of one cell row; planes of NCHW lie below each other. */
static void
compare_row (guint8 *active, const guint8 *a, const guint8 *b, gsize row,
    gsize cell, int across)
{
  if (memcmp (a, b, row) == 0)
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
    for (int y = row0 * QF_CELL; y < MIN (row1 * QF_CELL, t->h); y++) {
      gsize at = ((gsize) p * (gsize) t->h + (gsize) y) * row;

      compare_row (slot->active + (gsize) (y / QF_CELL) * (gsize) slot->across,
          (const guint8 *) t->data + at, slot->rest + at, row, QF_CELL * pixel,
          slot->across);
    }
}

void
qf_sparse_restore (QfSparseSlot *slot, const QfTensor *t, int y, int x)
{
  gsize pixel = qf_dtype_size (t->dtype) * (gsize) t->c;
  int w = MIN (QF_CELL, t->w - x * QF_CELL);

  for (int i = y * QF_CELL; i < MIN ((y + 1) * QF_CELL, t->h); i++) {
    gsize at = ((gsize) i * (gsize) t->w + (gsize) x * QF_CELL) * pixel;

    memcpy ((guint8 *) t->data + at, slot->rest + at, (gsize) w * pixel);
  }
  slot->active[(gsize) y * (gsize) slot->across + (gsize) x] = 0;
}

void
qf_sparse_reach (const QfSparseStep *s, const QfSparseSlot *in, guint8 *need,
    int down, int across, guint8 *line)
{
  for (int y = 0; y < down; y++, need += across) {
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
    for (int x = 0; any && x < across; x++)
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
qf_sparse_cover (guint8 *need, int down, int across, GArray *rects)
{
  g_array_set_size (rects, 0);
  for (int y = 0; y < down; y++)
    for (int x = 0; x < across; x++) {
      guint8 *at = need + (gsize) y * (gsize) across + x;
      QfRect r = { y, x, 1, 1 };

      if (!*at)
        continue;
      while (r.across < QF_RECT_ACROSS && x + r.across < across && at[r.across])
        r.across++;
      while (r.down < QF_RECT_DOWN && y + r.down < down &&
          all_set (at + (gsize) r.down * (gsize) across, r.across))
        r.down++;
      for (int i = 0; i < r.down; i++)
        memset (at + (gsize) i * (gsize) across, 0, (gsize) r.across);
      g_array_append_val (rects, r);
      x += r.across - 1;
    }
}
