/* libqfuse: the next batch is made while this one trains.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/prefetch.h"

typedef struct
{
  QfPrefetched batch;
  int epoch;
  /* under the lock */
  int begun, done; /* images */
} Slot;

struct _QfPrefetch
{
  QfTrainer *t;
  int n;
  Slot slot[2];
  int asked, taken; /* counts; the training's own */
  GThread *thread;
  double waited;

  GMutex lock;
  GCond work, ready;
  int filling; /* under the lock: number of the slot to be filled, −1: none */
  gboolean end;
};

static void
make_image (QfPrefetch *p, Slot *slot, int image)
{
  QfPrefetched *b = &slot->batch;
  int number = b->number[image];
  const QfSample *s = g_ptr_array_index (p->t->train, (guint) number);
  /* A stream of its own for each picture of each epoch. */
  QfRng rng = { p->t->o.seed * UINT64_C (0x9e3779b97f4a7c15) +
    (guint64) slot->epoch * UINT64_C (0xd1342543de82ef95) + (guint64) number };

  qf_rng_next (&rng);
  g_array_set_size (b->boxes[image], 0);
  b->action[image] = s->action;
  qf_sample_augment (&p->t->augment, p->t->train, number, rng,
      b->codes + qf_trainer_sample_bytes (p->t) * (gsize) image,
      b->boxes[image]);
}

/* Makes one image; FALSE where all are begun. */
static gboolean
make_next (QfPrefetch *p, Slot *slot)
{
  int image;

  g_mutex_lock (&p->lock);
  image = slot->begun < p->n ? slot->begun++ : -1;
  g_mutex_unlock (&p->lock);
  if (image < 0)
    return FALSE;
  make_image (p, slot, image);
  g_mutex_lock (&p->lock);
  if (++slot->done == p->n)
    g_cond_broadcast (&p->ready);
  g_mutex_unlock (&p->lock);
  return TRUE;
}

static gpointer
run (gpointer data)
{
  QfPrefetch *p = data;

  for (;;) {
    Slot *slot;
    gboolean end;

    g_mutex_lock (&p->lock);
    while (!p->end && p->filling < 0)
      g_cond_wait (&p->work, &p->lock);
    end = p->end;
    slot = end ? NULL : &p->slot[p->filling];
    if (slot && slot->begun >= p->n)
      p->filling = -1;
    g_mutex_unlock (&p->lock);
    if (end)
      return NULL;
    make_next (p, slot);
  }
}

QfPrefetch *
qf_prefetch_new (QfTrainer *t, int batch, GError **error)
{
  QfPrefetch *p = g_new0 (QfPrefetch, 1);

  p->t = t;
  p->n = batch;
  p->filling = -1;
  g_mutex_init (&p->lock);
  g_cond_init (&p->work);
  g_cond_init (&p->ready);
  for (int k = 0; k < 2; k++) {
    QfPrefetched *b = &p->slot[k].batch;

    b->codes = g_malloc (qf_trainer_sample_bytes (t) * (gsize) batch);
    b->number = g_new0 (int, batch);
    b->action = g_new0 (int, batch);
    b->boxes = g_new0 (GArray *, batch);
    for (int i = 0; i < batch; i++)
      b->boxes[i] = g_array_new (FALSE, FALSE, sizeof (QfBox));
  }
  p->thread = g_thread_try_new ("qf-samples", run, p, error);
  if (!p->thread)
    g_clear_pointer (&p, qf_prefetch_free);
  return p;
}

void
qf_prefetch_free (QfPrefetch *p)
{
  if (!p)
    return;
  if (p->thread) {
    g_mutex_lock (&p->lock);
    p->end = TRUE;
    g_cond_broadcast (&p->work);
    g_mutex_unlock (&p->lock);
    g_thread_join (p->thread);
  }
  for (int k = 0; k < 2; k++) {
    QfPrefetched *b = &p->slot[k].batch;

    for (int i = 0; i < p->n; i++)
      g_array_unref (b->boxes[i]);
    g_free (b->boxes);
    g_free (b->number);
    g_free (b->action);
    g_free (b->codes);
  }
  g_mutex_clear (&p->lock);
  g_cond_clear (&p->work);
  g_cond_clear (&p->ready);
  g_free (p);
}

void
qf_prefetch_ask (QfPrefetch *p, int epoch, const int *numbers)
{
  int k = p->asked++ % 2;
  Slot *slot = &p->slot[k];

  g_mutex_lock (&p->lock);
  slot->epoch = epoch;
  for (int i = 0; i < p->n; i++)
    slot->batch.number[i] = numbers[i];
  slot->begun = slot->done = 0;
  p->filling = k;
  g_cond_signal (&p->work);
  g_mutex_unlock (&p->lock);
}

typedef struct
{
  QfPrefetch *p;
  Slot *slot;
} Help;

static void
help (gpointer data, int task, int worker)
{
  Help *h = data;

  make_next (h->p, h->slot);
}

const QfPrefetched *
qf_prefetch_take (QfPrefetch *p)
{
  gint64 from = g_get_monotonic_time ();
  Help h = { p, &p->slot[p->taken++ % 2] };
  int left;

  g_mutex_lock (&p->lock);
  left = p->n - h.slot->begun;
  g_mutex_unlock (&p->lock);
  if (left > 0)
    qf_pool_run (p->t->pool, help, &h, left);
  g_mutex_lock (&p->lock);
  while (h.slot->done < p->n)
    g_cond_wait (&p->ready, &p->lock);
  g_mutex_unlock (&p->lock);
  p->waited += (double) (g_get_monotonic_time () - from) * 1e-6;
  return &h.slot->batch;
}

double
qf_prefetch_waited (const QfPrefetch *p)
{
  return p->waited;
}
