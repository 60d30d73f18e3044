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
  guint64 v = 0;
  gsize i = 0;

  for (; i + 8 <= size; i += 8)
    v |= load (a + i) ^ load (b + i);
  for (; i < size; i++)
    v |= (guint64) (a[i] ^ b[i]);
  return v != 0;
}

guint64
qf_sparse_differ (const guint8 *a, const guint8 *b, gsize size, int n)
{
  guint64 bits = 0;

  if (n > 2 && memcmp (a, b, (gsize) n * size) == 0)
    return 0;
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
  guint64 bits = 0, v[8], any = 0;

  if (n < 64) {
    for (int i = 0; i < n; i++)
      bits |= (guint64) (a[i] != b[i]) << i;
    return bits;
  }
  for (int i = 0; i < 8; i++)
    any |= v[i] = load (a + 8 * i) ^ load (b + 8 * i);
  if (any)
    for (int i = 0; i < 8; i++)
      bits |= bytes_to_bits (v[i]) << 8 * i;
  return bits;
}

gint64
qf_sparse_compare (QfSparseSlot *slot, const QfTensor *t, int row0, int row1)
{
  gboolean planar = t->layout == QF_NCHW;
  gsize pixel = qf_dtype_size (t->dtype) * (planar ? 1 : (gsize) t->c);
  gsize row = pixel * (gsize) t->w;
  gint64 n = 0;

  for (int y = row0; y < row1; y++)
    for (int i = 0; i < slot->words; i++) {
      gsize at = (gsize) y * row + 64 * (gsize) i * pixel;
      int pixels = MIN (64, t->w - 64 * i);
      guint64 bits = 0;

      for (int p = 0; p < (planar ? t->c : 1); p++) {
        const guint8 *a = (const guint8 *) t->data + at, *b = slot->rest + at;

        bits |= pixel == 1 ? bytes_differ (a, b, pixels)
                           : qf_sparse_differ (a, b, pixel, pixels);
        at += (gsize) t->h * row;
      }
      slot->active[(gsize) y * (gsize) slot->words + (gsize) i] = bits;
      slot->any |= bits != 0;
      n += bits ? __builtin_popcountll (bits) : 0;
    }
  return n;
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
        gsize at =
            ((gsize) y * (gsize) slot->w + (gsize) (64 * i + from)) * pixel;

        memcpy ((guint8 *) t->data + at, slot->rest + at, (gsize) n * pixel);
        bits &= n + from < 64 ? ~(guint64) 0 << (n + from) : 0;
      }
    }
  slot->any = FALSE;
}
