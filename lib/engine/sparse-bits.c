/* libqfuse: bits of pixels: what reaches what, and rectangles of them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/sparse-private.h"

#include <string.h>

void
qf_bits_fill (const QfSparseSlot *slot, guint64 *bits)
{
  for (int y = 0; y < slot->h; y++)
    for (int i = 0; i < slot->words; i++)
      *bits++ = qf_bits_mask (slot->w, i);
}

/* 64 bits of a row from bit @at on, which may lie outside. */
static inline guint64
bits_at (const guint64 *row, int words, int at)
{
  int i = at >> 6, shift = at & 63;
  guint64 lo = i >= 0 && i < words ? row[i] : 0, hi;

  if (shift == 0)
    return lo;
  hi = i + 1 >= 0 && i + 1 < words ? row[i + 1] : 0;
  return lo >> shift | hi << (64 - shift);
}

/* Bits 0, 2, 4 … */
static inline guint64
every_other (guint64 v)
{
  v &= 0x5555555555555555;
  v = (v | v >> 1) & 0x3333333333333333;
  v = (v | v >> 2) & 0x0f0f0f0f0f0f0f0f;
  v = (v | v >> 4) & 0x00ff00ff00ff00ff;
  v = (v | v >> 8) & 0x0000ffff0000ffff;
  return (v | v >> 16) & 0x00000000ffffffff;
}

/* What the taps of 64 outputs with one input each from bit @at on see. */
static inline guint64
taps_at (const QfReach *r, const guint64 *line, int words, int at)
{
  guint64 v = 0, lo, hi;

  if ((r->taps - 1) * r->step > 63) {
    for (int k = 0; k < r->taps; k++)
      v |= bits_at (line, words, at + k * r->step);
    return v;
  }
  lo = v = bits_at (line, words, at);
  hi = bits_at (line, words, at + 64);
  for (int k = r->step; k <= (r->taps - 1) * r->step; k += r->step)
    v |= lo >> k | hi << (64 - k);
  return v;
}

/* Every bit twice: those of the lower half. */
static inline guint64
twice (guint64 v)
{
  v &= 0x00000000ffffffff;
  v = (v | v << 16) & 0x0000ffff0000ffff;
  v = (v | v << 8) & 0x00ff00ff00ff00ff;
  v = (v | v << 4) & 0x0f0f0f0f0f0f0f0f;
  v = (v | v << 2) & 0x3333333333333333;
  v = (v | v << 1) & 0x5555555555555555;
  return v | v << 1;
}

/* Whether words of @line that hold bits @from … @to are all 0. */
static gboolean
nothing (const guint64 *line, int words, int from, int to)
{
  guint64 any = 0;

  for (int i = MAX (from >> 6, 0); i <= MIN (to >> 6, words - 1); i++)
    any |= line[i];
  return any == 0;
}

/* @n ≤ 64 outputs from @o on. */
static guint64
reach_word (const QfReach *r, const guint64 *line, int words, int o, int n)
{
  int first = qf_reach_first (r, o);
  guint64 v = 0;

  if (nothing (line, words, first,
          qf_reach_first (r, o + n - 1) + (r->taps - 1) * r->step))
    return 0;
  if (r->div == 1 && r->mul == 1)
    return taps_at (r, line, words, first);
  if (r->div == 1 && r->mul == 2)
    return every_other (taps_at (r, line, words, first)) |
        every_other (taps_at (r, line, words, first + 64)) << 32;
  if (r->div == 2 && r->mul == 1 && r->taps == 1 && r->before == 0)
    return twice (bits_at (line, words, first));
  for (int i = 0; i < n; i++)
    v |= (taps_at (r, line, words, qf_reach_first (r, o + i)) & 1) << i;
  return v;
}

void
qf_bits_reach (const QfSparseStep *s, const QfSparseSlot *in,
    const QfSparseSlot *out, guint64 *need, guint64 *line)
{
  for (int y = 0; y < out->h; y++, need += out->words) {
    int first = qf_reach_first (&s->y, y);
    guint64 any = 0;

    memset (line, 0, (gsize) in->words * sizeof *line);
    for (int k = 0; k < s->y.taps; k++) {
      int row = first + k * s->y.step;
      const guint64 *from = in->active + (gssize) row * in->words;

      for (int i = 0; row >= 0 && row < in->h && i < in->words; i++)
        any |= line[i] |= from[i];
    }
    for (int i = 0; any && i < out->words; i++)
      need[i] |= reach_word (&s->x, line, in->words, 64 * i,
                     MIN (64, out->w - 64 * i)) &
          qf_bits_mask (out->w, i);
  }
}

static inline int
count (guint64 v)
{
  v -= v >> 1 & 0x5555555555555555;
  v = (v & 0x3333333333333333) + (v >> 2 & 0x3333333333333333);
  v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return (int) (v * 0x0101010101010101 >> 56);
}

gint64
qf_bits_round (int unit, const QfSparseSlot *out, guint64 *need)
{
  gint64 n = 0;

  for (int y = 0; y < out->h; y += unit) {
    int rows = MIN (unit, out->h - y);

    for (int i = 0; i < out->words; i++) {
      guint64 v = 0, *at = need + (gsize) y * (gsize) out->words + i;

      for (int k = 0; k < rows; k++)
        v |= at[k * out->words];
      if (v == 0)
        continue;
      if (unit > 1)
        v = (v | v >> 1) & 0x5555555555555555;
      if (unit > 2)
        v = (v | v >> 2) & 0x1111111111111111;
      v *= ((guint64) 1 << unit) - 1;
      v &= qf_bits_mask (out->w, i);
      for (int k = 0; k < rows; k++)
        at[k * out->words] = v;
      n += (gint64) count (v) * rows;
    }
  }
  return n;
}

/* Unmarks @n bits from @x on if all of them are marked. */
static gboolean
take (guint64 *row, int words, int x, int n)
{
  guint64 mask = ((guint64) 1 << n) - 1;
  int i = x >> 6, shift = x & 63;

  if ((bits_at (row, words, x) & mask) != mask)
    return FALSE;
  row[i] &= ~(mask << shift);
  if (shift + n > 64)
    row[i + 1] &= ~(mask >> (64 - shift));
  return TRUE;
}

void
qf_bits_cover (const QfSparseSlot *out, guint64 *need, GArray *parts)
{
  int words = out->words;

  G_STATIC_ASSERT (QF_PART_W < 64);
  g_array_set_size (parts, 0);
  for (int y = 0; y < out->h; y++)
    for (int i = 0; i < words; i++) {
      guint64 *row = need + (gsize) y * (gsize) words;

      while (row[i]) {
        int x = 64 * i + __builtin_ctzll (row[i]);
        guint64 ends = ~bits_at (row, words, x);
        int w = ends ? __builtin_ctzll (ends) : 64, h = 1;
        QfPart part;

        w = MIN (w, QF_PART_W);
        take (row, words, x, w);
        while (h < QF_PART_H && y + h < out->h &&
            take (row + (gsize) h * (gsize) words, words, x, w))
          h++;
        part = (QfPart){ y, x, h, w };
        g_array_append_val (parts, part);
      }
    }
}
