/* libqfuse: the weights' average, with statistics and ranges of its own.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Batch norm's statistics and the activations' ranges belong to the weights that
 * made them, so averaged weights get theirs from samples anew (Izmailov et al.,
 * Averaging weights leads to wider optima, 2018) before they are measured and
 * written. What is measured is what is written. */
#include "train/trainer-private.h"

#include <string.h>

#define BATCHES 40 /* of training samples, as they stand */

static void
keep (const char *name, gpointer data, gsize bytes, gpointer user_data)
{
  g_byte_array_append (user_data, data, (guint) bytes);
}

typedef struct
{
  const guint8 *at;
} Reader;

static void
give_back (const char *name, gpointer data, gsize bytes, gpointer user_data)
{
  Reader *r = user_data;

  memcpy (data, r->at, bytes);
  r->at += bytes;
}

/* Forgets what was measured. */
static void
forget (QfNet *net)
{
  for (guint i = 0; i < net->layers->len; i++) {
    QfConvLayer *cv = qf_net_layer (net, (int) i)->conv;

    if (cv)
      cv->run_n = 0;
  }
  for (guint i = 0; i < net->blobs->len; i++)
    if ((int) i != net->input && qf_net_blob (net, (int) i)->bound <= 0)
      qf_net_blob (net, (int) i)->range.n = 0;
  net->frozen = FALSE;
}

void
qf_trainer_begin_average (QfTrainer *t)
{
  int n = t->net->batch, batches = MIN (BATCHES, (int) t->train->len / n);
  int every = (int) t->train->len / (batches * n);

  if (t->optimizer->o.average <= 0)
    return;
  t->kept = g_byte_array_new ();
  qf_net_each_state (t->net, NULL, keep, t->kept);
  qf_optimizer_swap_average (t->optimizer);
  forget (t->net);
  for (int i = 0; i < batches; i++) {
    QfBatch b = { t, t->train, i * n, every };

    qf_pool_run (t->pool, qf_batch_load, &b, n);
    qf_net_forward (t->net, n, TRUE);
  }
  t->net->frozen = TRUE;
}

void
qf_trainer_end_average (QfTrainer *t)
{
  Reader r;

  if (!t->kept)
    return;
  r.at = t->kept->data;
  qf_optimizer_swap_average (t->optimizer);
  qf_net_each_state (t->net, NULL, give_back, &r);
  g_clear_pointer (&t->kept, g_byte_array_unref);
}
