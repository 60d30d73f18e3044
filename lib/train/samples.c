/* libqfuse: training samples.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/samples.h"

#include <string.h>

QfSample *
qf_sample_new (const guint8 *planes, int frame, const QfBox *boxes, int n_boxes,
    int action)
{
  QfSample *s = g_new0 (QfSample, 1);

  s->planes = planes;
  s->frame = frame;
  s->boxes = g_memdup2 (boxes, sizeof (QfBox) * n_boxes);
  s->n_boxes = n_boxes;
  s->action = action;
  return s;
}

void
qf_sample_free (QfSample *s)
{
  g_free (s->boxes);
  g_free (s);
}

/* Multiply and rotate, 8 bytes at a time: fast, and any changed bit shows. */
guint64
qf_hash_bytes (gconstpointer data, gsize n, guint64 hash)
{
  const guint8 *p = data;

  while (n > 0) {
    guint64 word = 0;
    gsize step = MIN (n, 8);

    memcpy (&word, p, step);
    p += step;
    n -= step;
    hash = (hash ^ word) * UINT64_C (0x9fb21c651e98df25);
    hash ^= hash >> 32;
  }
  return hash;
}

guint64
qf_sample_hash_truth (const QfSample *s, guint64 hash)
{
  for (int i = 0; i < s->n_boxes; i++) {
    const QfBox *b = &s->boxes[i];
    float edges[4] = { b->x, b->y, b->w, b->h };
    gint32 more[2] = { b->label, b->ignore };

    hash = qf_hash_bytes (edges, sizeof edges, hash);
    hash = qf_hash_bytes (more, sizeof more, hash);
  }
  return qf_hash_bytes (&s->action, sizeof s->action, hash + 1);
}
