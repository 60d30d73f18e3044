/* libqfuse: a pool of worker threads.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _QfPool QfPool;

/** One task: @task counts from 0, @worker is in [0, qf_pool_threads()) and
 * names the thread, so that a caller can keep one scratch buffer a worker. */
typedef void (*QfTask) (void *data, int task, int worker);

/** Makes a pool of @threads workers (at most 256), the calling thread being one
 * of them. 0: as many as affinity mask and control groups allow. All pools of a
 * process share their threads, of which there are as many as the largest pool
 * needs; they end with the last pool. 1 needs no thread. */
QfPool *qf_pool_new (int threads);

/** Joins the threads if this is the last pool. NULL is allowed. */
void qf_pool_free (QfPool *pool);

/** Number of workers, ≥ 1; 1 for NULL. */
int qf_pool_threads (const QfPool *pool);

/** Runs tasks 0 … @n_tasks − 1, each once, in any order, and returns when all
 * are done. The caller takes tasks, too, and all of them where no other thread
 * is free or awake: callers with pools of their own run at the same time and
 * divide the threads among them. One caller at a time on one pool (a second
 * caller waits); not to be called on it by its own tasks. @pool NULL runs tasks
 * here in order. Results must not depend on the order or the worker. */
void qf_pool_run (QfPool *pool, QfTask fn, void *data, int n_tasks);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfPool, qf_pool_free)

G_END_DECLS
