/* libqfuse: pixels that differ from rest.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/sparse-private.h"

#include <string.h>

static inline guint64
load (const guint8 *p)
{
  guint64 v;

  memcpy (&v, p, sizeof v);
  return v;
}

static inline gboolean
pixel_differs (const guint8 *a, const guint8 *b, gsize size)
{
  gsize i = 0;

  for (; i + 8 <= size; i += 8)
    if (load (a + i) != load (b + i))
      return TRUE;
  for (; i < size; i++)
    if (a[i] != b[i])
      return TRUE;
  return FALSE;
}

guint64
qf_sparse_differ (const guint8 *a, const guint8 *b, gsize size, int n)
{
  guint64 bits = 0;

  for (int i = 0; i < n; i++, a += size, b += size)
    bits |= (guint64) pixel_differs (a, b, size) << i;
  return bits;
}

/* Eight bytes that are not 0 to eight bits: the highest bit of each byte tells,
 * and the product brings them side by side. */
static inline guint64
bytes_to_bits (guint64 v)
{
  guint64 low = 0x7f7f7f7f7f7f7f7f;

  v = (((v & low) + low) | v) & ~low;
  return (v >> 7) * 0x0102040810204080 >> 56;
}

/* As qf_sparse_differ() for one byte a pixel. */
static guint64
bytes_differ (const guint8 *a, const guint8 *b, int n)
{
  guint64 bits = 0;
  int i = 0;

  for (; i + 8 <= n; i += 8)
    bits |= bytes_to_bits (load (a + i) ^ load (b + i)) << i;
  for (; i < n; i++)
    bits |= (guint64) (a[i] != b[i]) << i;
  return bits;
}

/* Marks which of a row's pixels of @size bytes differ, besides what is marked.
 */
static void
compare_row (const QfSparseSlot *slot, const guint8 *a, const guint8 *b,
    gsize size, guint64 *bits)
{
  if (memcmp (a, b, (gsize) slot->w * size) == 0)
    return;
  for (int x = 0; x < slot->w; x += 64, a += 64 * size, b += 64 * size) {
    int n = MIN (64, slot->w - x);

    if (memcmp (a, b, (gsize) n * size) != 0)
      bits[x / 64] |=
          size == 1 ? bytes_differ (a, b, n) : qf_sparse_differ (a, b, size, n);
  }
}

gint64
qf_sparse_compare (QfSparseSlot *slot, const QfTensor *t, int row0, int row1)
{
  gboolean planar = t->layout == QF_NCHW;
  gsize pixel = qf_dtype_size (t->dtype) * (planar ? 1 : (gsize) t->c);
  gsize row = pixel * (gsize) t->w, plane = row * (gsize) t->h;
  gint64 n = 0;

  for (int y = row0; y < row1; y++) {
    guint64 *bits = slot->active + (gsize) y * (gsize) slot->words;

    memset (bits, 0, (gsize) slot->words * sizeof *bits);
    for (int p = 0; p < (planar ? t->c : 1); p++) {
      const guint8 *now = t->data, *rest = slot->rest;
      gsize at = (gsize) p * plane;

      /* a plane of the input has one code at rest, all rows are the same */
      compare_row (slot, now + at + (gsize) y * row,
          rest + at + (planar ? 0 : (gsize) y * row), pixel, bits);
    }
    for (int i = 0; i < slot->words; i++)
      if (bits[i]) {
        slot->any = TRUE;
        n += __builtin_popcountll (bits[i]);
      }
  }
  return n;
}

/* Pixels @x … @x + @n − 1 of row @y. */
static void
restore_run (const QfSparseSlot *slot, const QfTensor *t, gsize pixel, int y,
    int x, int n)
{
  guint8 *to =
      (guint8 *) t->data + ((gsize) y * (gsize) slot->w + (gsize) x) * pixel;

  for (; n > 0; n -= QF_PART_W, x += QF_PART_W, to += QF_PART_W * pixel) {
    int now = MIN (n, QF_PART_W);

    memcpy (to, qf_sparse_rest (slot, pixel, y, x, now), (gsize) now * pixel);
  }
}

void
qf_sparse_restore (QfSparseSlot *slot, const QfTensor *t, const guint64 *need)
{
  gsize pixel = qf_dtype_size (t->dtype) * (gsize) t->c;
  guint64 *active = slot->active;

  if (!slot->any)
    return;
  for (int y = 0; y < slot->h; y++)
    for (int i = 0; i < slot->words; i++, active++, need++) {
      guint64 bits = *active & ~*need;

      *active = 0;
      while (bits) {
        int from = __builtin_ctzll (bits);
        guint64 ends = ~(bits >> from);
        int n = ends ? __builtin_ctzll (ends) : 64;

        restore_run (slot, t, pixel, y, 64 * i + from, n);
        bits &= n + from < 64 ? ~(guint64) 0 << (n + from) : 0;
      }
    }
  slot->any = FALSE;
}

/* Whether row @y at rest is @even from column @x0 to @x1. */
static gboolean
is_even (const QfSparseSlot *s, gsize pixel, int y, int x0, int x1)
{
  const guint8 *row = s->rest + (gsize) y * (gsize) s->w * pixel;

  for (int x = x0; x < x1; x++)
    if (memcmp (row + (gsize) x * pixel, s->even, pixel) != 0)
      return FALSE;
  return TRUE;
}

void
qf_sparse_find_even (QfSparseSlot *slot, const QfTensor *t)
{
  gsize pixel = qf_dtype_size (t->dtype) * (gsize) t->c;
  int h = slot->h, w = slot->w, least = MIN (h, w) / 4;

  slot->even = g_malloc (QF_PART_W * pixel);
  for (int i = 0; i < QF_PART_W; i++)
    memcpy (slot->even + (gsize) i * pixel,
        slot->rest + ((gsize) (h / 2) * (gsize) w + (gsize) (w / 2)) * pixel,
        pixel);
  for (slot->margin = 0; slot->margin < least; slot->margin++) {
    gboolean even = TRUE;

    for (int y = slot->margin; even && y < h - slot->margin; y++)
      even = is_even (slot, pixel, y, slot->margin, w - slot->margin);
    if (even)
      return;
  }
  g_clear_pointer (&slot->even, g_free);
}
