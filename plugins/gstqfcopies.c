/* GStreamer qfuse: frames that others hold, copied into memory used again.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfcopies.h"

#include <string.h>

#define ALIGN 64
#define MAX_SPARE 4 /* blocks that wait; an encoder holds one or two frames */

typedef struct
{
  GstQfCopies *owner;
  gsize size;
  guint8 *data;
} Block;

struct _GstQfCopies
{
  gatomicrefcount refs; /* one is every block's that is in use */
  GMutex lock;
  gboolean closed; /* what comes back is freed */
  Block *spare[MAX_SPARE];
  guint n_spare;
};

static void
block_free (Block *b)
{
  g_aligned_free (b->data);
  g_free (b);
}

static void
drop_spare (GstQfCopies *c)
{
  while (c->n_spare > 0)
    block_free (c->spare[--c->n_spare]);
}

GstQfCopies *
gst_qf_copies_new (void)
{
  GstQfCopies *c = g_new0 (GstQfCopies, 1);

  g_atomic_ref_count_init (&c->refs);
  g_mutex_init (&c->lock);
  return c;
}

static void
release (GstQfCopies *c)
{
  if (!g_atomic_ref_count_dec (&c->refs))
    return;
  drop_spare (c);
  g_mutex_clear (&c->lock);
  g_free (c);
}

void
gst_qf_copies_unref (GstQfCopies *c)
{
  if (!c)
    return;
  g_mutex_lock (&c->lock);
  c->closed = TRUE;
  drop_spare (c);
  g_mutex_unlock (&c->lock);
  release (c);
}

/* The memory made of @data is gone. */
static void
block_back (gpointer data)
{
  Block *b = data;
  GstQfCopies *c = b->owner;

  g_mutex_lock (&c->lock);
  if (!c->closed && c->n_spare < MAX_SPARE)
    c->spare[c->n_spare++] = g_steal_pointer (&b);
  g_mutex_unlock (&c->lock);
  if (b)
    block_free (b);
  release (c);
}

static Block *
take_block (GstQfCopies *c, gsize size)
{
  Block *b = NULL;

  g_mutex_lock (&c->lock);
  if (c->n_spare > 0 && c->spare[c->n_spare - 1]->size != size)
    drop_spare (c); /* frames have another size now */
  if (c->n_spare > 0)
    b = c->spare[--c->n_spare];
  g_mutex_unlock (&c->lock);
  if (!b) {
    b = g_new0 (Block, 1);
    b->size = size;
    b->data = g_aligned_alloc (1, size, ALIGN);
    b->owner = c;
  }
  g_atomic_ref_count_inc (&c->refs);
  return b;
}

static GstMemory *
copy_memory (GstQfCopies *c, GstMemory *memory)
{
  GstMapInfo map;
  Block *b;

  if (!gst_memory_map (memory, &map, GST_MAP_READ))
    return NULL;
  b = take_block (c, MAX (map.size, 1));
  memcpy (b->data, map.data, map.size);
  memory =
      gst_memory_new_wrapped (0, b->data, b->size, 0, map.size, b, block_back);
  gst_memory_unmap (map.memory, &map);
  return memory;
}

gboolean
gst_qf_copies_own (GstQfCopies *c, GstBuffer *buffer)
{
  for (guint i = 0; i < gst_buffer_n_memory (buffer); i++) {
    GstMemory *copy;

    if (gst_buffer_is_memory_range_writable (buffer, i, 1))
      continue;
    copy = copy_memory (c, gst_buffer_peek_memory (buffer, i));
    if (!copy)
      return FALSE;
    gst_buffer_replace_memory (buffer, i, copy);
  }
  return TRUE;
}
