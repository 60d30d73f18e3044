/* libqfuse: how samples come to the trainer.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/trainer-private.h"

#include <math.h>

void
qf_trainer_set_store (QfTrainer *t, QfStore *store)
{
  g_return_if_fail (!t->store && !t->frames);

  t->store = qf_store_ref (store);
}

void
qf_trainer_set_frames (QfTrainer *t, QfFrames *frames)
{
  g_return_if_fail (!t->store && !t->frames);

  t->frames = frames;
  t->augment.frames = frames;
}

/* Whether a box can be learned: finite, in the picture, of a known label. */
static gboolean
usable (const QfTrainer *t, const QfBox *b)
{
  return b->label >= 0 && b->label < t->n_labels && isfinite (b->x) &&
      isfinite (b->y) && isfinite (b->w) && isfinite (b->h) && b->w > 0 &&
      b->h > 0 && b->x < (float) t->o.width && b->y < (float) t->o.height &&
      b->x + b->w > 0 && b->y + b->h > 0;
}

/* Boxes that can be learned; the others are counted. */
static void
sift (QfTrainer *t, QfSample *s)
{
  int kept = 0;

  for (int i = 0; i < s->n_boxes; i++) {
    if (usable (t, &s->boxes[i]))
      s->boxes[kept++] = s->boxes[i];
    else
      t->left_out++;
  }
  s->n_boxes = kept;
}

void
qf_trainer_add_stored (QfTrainer *t, const guint8 *planes, int frame,
    const QfBox *boxes, int n_boxes, int action, gboolean validation)
{
  QfSample *s = qf_sample_new (planes, frame, boxes, n_boxes, action);
  const guint8 *data = planes ? planes : qf_frames_get (t->frames, frame);
  gsize size = (gsize) t->o.width * (gsize) t->o.height;

  sift (t, s);
  /* Frames around it are not hashed: their samples' own pictures will do. */
  t->samples_hash = qf_hash_bytes (data,
      size * (gsize) (planes ? t->o.planes.n : t->augment.base.n),
      t->samples_hash + (validation ? 1 : 0));
  t->samples_hash = qf_sample_hash_truth (s, t->samples_hash);
  g_ptr_array_add (validation ? t->validation : t->train, s);
}

void
qf_trainer_add (QfTrainer *t, const guint8 *planes, const QfBox *boxes,
    int n_boxes, int action, gboolean validation)
{
  const guint8 *copy;

  g_return_if_fail (!t->frames);

  if (!t->store)
    t->store = qf_store_new (qf_trainer_sample_bytes (t), t->o.memory_limit);
  if (t->store_error ||
      !(copy = qf_store_add (t->store, planes, &t->store_error)))
    return;
  qf_trainer_add_stored (t, copy, -1, boxes, n_boxes, action, validation);
}

int
qf_trainer_n_left_out (const QfTrainer *t)
{
  return t->left_out;
}

int
qf_trainer_n_samples (const QfTrainer *t, gboolean validation)
{
  return (int) (validation ? t->validation : t->train)->len;
}

gsize
qf_trainer_bytes (const QfTrainer *t)
{
  return qf_trainer_sample_bytes (t) * (t->train->len + t->validation->len);
}
