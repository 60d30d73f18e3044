/* libqfuse: a pool of worker threads.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _QfPool QfPool;

/** One task: @task counts from 0, @worker is in [0, qf_pool_threads()) and names
 * the thread, so that a caller can keep one scratch buffer a worker. */
typedef void (*QfTask) (void *data, int task, int worker);

/** Makes a pool of @threads workers, the calling thread being one of them.
 * 0: as many as the affinity mask allows. 1 makes no thread at all. */
QfPool *qf_pool_new (int threads);

/** Joins the threads. NULL is allowed. */
void qf_pool_free (QfPool *pool);

/** Number of workers, ≥ 1; 1 for NULL. */
int qf_pool_threads (const QfPool *pool);

/** Runs tasks 0 … @n_tasks − 1, each once, in any order, and returns when all are
 * done. @pool NULL runs them here in order. Not reentrant; one caller at a time
 * (a second caller waits). Results must not depend on the order or the worker. */
void qf_pool_run (QfPool *pool, QfTask fn, void *data, int n_tasks);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfPool, qf_pool_free)

G_END_DECLS
