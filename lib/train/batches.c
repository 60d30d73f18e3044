/* libqfuse: the batches of a training, for training elsewhere.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/prefetch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static gboolean
write_image (FILE *f, const QfPrefetched *b, int image)
{
  const GArray *boxes = b->boxes[image];
  const gint32 head[2] = { (gint32) boxes->len, b->action[image] };
  gboolean ok = fwrite (head, sizeof head, 1, f) == 1;

  for (guint i = 0; ok && i < boxes->len; i++) {
    const QfBox *x = &g_array_index (boxes, QfBox, i);
    const float v[6] = { x->x, x->y, x->w, x->h, (float) x->label,
      x->ignore ? 1.0f : 0.0f };

    ok = fwrite (v, sizeof v, 1, f) == 1;
  }
  return ok;
}

static gboolean
write_batch (QfTrainer *t, FILE *f, const QfPrefetched *b)
{
  gsize bytes = qf_trainer_sample_bytes (t) * (gsize) t->net->batch;
  gboolean ok = fwrite (b->codes, 1, bytes, f) == bytes;

  for (int i = 0; ok && i < t->net->batch; i++)
    ok = write_image (f, b, i);
  return ok;
}

static gboolean
write_all (QfTrainer *t, FILE *f)
{
  int batch = t->net->batch, batches = (int) t->train->len / batch;
  const gint32 head[8] = { batch, t->o.planes.n, t->o.height, t->o.width,
    t->o.epochs, batches, t->n_labels, 0 };
  gboolean ok = fwrite ("QFBATCH1", 8, 1, f) == 1 &&
      fwrite (head, sizeof head, 1, f) == 1;

  for (t->epoch = 1; ok && t->epoch <= t->o.epochs; t->epoch++) {
    qf_trainer_shuffle (t);
    qf_prefetch_ask (t->prefetch, t->epoch, t->order);
    for (int i = 0; ok && i < batches; i++) {
      const QfPrefetched *b = qf_prefetch_take (t->prefetch);

      if (i + 1 < batches)
        qf_prefetch_ask (t->prefetch, t->epoch, t->order + (i + 1) * batch);
      ok = write_batch (t, f, b);
    }
  }
  return ok;
}

gboolean
qf_trainer_write_batches (QfTrainer *t, const char *path, GError **error)
{
  FILE *f;
  gboolean ok;

  if (!qf_trainer_prepare (t, error))
    return FALSE;
  f = fopen (path, "wb");
  ok = f && write_all (t, f);
  if (f)
    ok = fclose (f) == 0 && ok;
  if (!ok)
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s cannot be written: %s",
        path, g_strerror (errno));
  return ok;
}
