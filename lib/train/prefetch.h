/* libqfuse: the next batch is made while this one trains.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Two slots: one that the training uses, one that a thread of its own fills. A
 * training that comes before the thread is ready takes images off it and works
 * on them with its pool, so that it never waits for one thread. Which thread
 * makes an image changes nothing: each has a random stream of its own. */
#pragma once

#include "train/trainer-private.h"

typedef struct _QfPrefetch QfPrefetch;

/** A batch of augmented samples. */
typedef struct
{
  guint8 *codes;  /* [batch][height][width][planes] */
  GArray **boxes; /* [batch] QfBox */
  int *number;    /* [batch] of the samples */
  int *action;    /* [batch] label number, −1: none */
} QfPrefetched;

/** Batches of @batch of @t's training samples; NULL where no thread can be
 * made. */
QfPrefetch *qf_prefetch_new (QfTrainer *t, int batch, GError **error);
void qf_prefetch_free (QfPrefetch *p);

/** Asks for the batch of @numbers[batch] as they look in @epoch; then, each
 * once and in the order asked, qf_prefetch_take() gives the batches. At most
 * two may be asked for and not taken, or one while a taken one is in use. */
void qf_prefetch_ask (QfPrefetch *p, int epoch, const int *numbers);

/** Waits for (and helps with) the oldest batch asked for and not taken. Valid
 * until the next call. */
const QfPrefetched *qf_prefetch_take (QfPrefetch *p);

/** Seconds that takes have waited or helped. */
double qf_prefetch_waited (const QfPrefetch *p);
