/* libqfuse: a pool of worker threads.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/pool.h"

#include <sched.h>
#include <stdatomic.h>

enum
{
  SPINS = 500 /* some 10 µs: what lies between two steps of one run */
};

struct _QfPool
{
  int n_threads; /* workers, the caller counted */
  GThread **threads;
  GMutex run_lock; /* one qf_pool_run at a time */
  GMutex lock;     /* guards what follows */
  GCond wake, done;
  atomic_uint round; /* counts the calls of qf_pool_run; read without lock */
  gboolean open;     /* the round may still be joined */
  atomic_int active; /* threads in the round, the caller not counted */
  int sleeping;      /* threads that wait for `wake` */
  gboolean quit;
  QfTask fn;
  void *data;
  int n_tasks;
  atomic_int next; /* the next task nobody has taken */
};

typedef struct
{
  QfPool *pool;
  int worker;
} Start;

static int
allowed_cpus (void)
{
  cpu_set_t set;

  if (sched_getaffinity (0, sizeof set, &set) == 0)
    return MAX (1, CPU_COUNT (&set));
  return (int) g_get_num_processors ();
}

static void
take_tasks (QfPool *pool, int worker)
{
  for (;;) {
    int task = atomic_fetch_add (&pool->next, 1);

    if (task >= pool->n_tasks)
      return;
    pool->fn (pool->data, task, worker);
  }
}

static inline void
relax (void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause ();
#endif
}

/* Waking a sleeping thread takes longer than a small step. */
static void
wait_for_round (QfPool *pool, unsigned seen)
{
  for (int i = 0; i < SPINS && atomic_load (&pool->round) == seen; i++)
    relax ();
}

static gpointer
worker_main (gpointer arg)
{
  Start *start = arg;
  QfPool *pool = start->pool;
  int worker = start->worker;
  unsigned seen = 0;

  g_free (start);
  g_mutex_lock (&pool->lock);
  for (;;) {
    while (!pool->quit && !(pool->open && pool->round != seen)) {
      pool->sleeping++;
      g_cond_wait (&pool->wake, &pool->lock);
      pool->sleeping--;
    }
    if (pool->quit)
      break;
    seen = pool->round;
    pool->active++;
    g_mutex_unlock (&pool->lock);
    take_tasks (pool, worker);
    g_mutex_lock (&pool->lock);
    if (--pool->active == 0)
      g_cond_signal (&pool->done);
    g_mutex_unlock (&pool->lock);
    wait_for_round (pool, seen);
    g_mutex_lock (&pool->lock);
  }
  g_mutex_unlock (&pool->lock);
  return NULL;
}

QfPool *
qf_pool_new (int threads)
{
  QfPool *pool = g_new0 (QfPool, 1);

  pool->n_threads = threads > 0 ? MIN (threads, 256) : allowed_cpus ();
  g_mutex_init (&pool->run_lock);
  g_mutex_init (&pool->lock);
  g_cond_init (&pool->wake);
  g_cond_init (&pool->done);
  pool->threads = g_new0 (GThread *, pool->n_threads);
  for (int i = 1; i < pool->n_threads; i++) {
    Start *start = g_new (Start, 1);

    *start = (Start){ pool, i };
    pool->threads[i] = g_thread_new ("qfuse-worker", worker_main, start);
  }
  return pool;
}

void
qf_pool_free (QfPool *pool)
{
  if (!pool)
    return;
  g_mutex_lock (&pool->lock);
  pool->quit = TRUE;
  g_cond_broadcast (&pool->wake);
  g_mutex_unlock (&pool->lock);
  for (int i = 1; i < pool->n_threads; i++)
    g_thread_join (pool->threads[i]);
  g_free (pool->threads);
  g_mutex_clear (&pool->run_lock);
  g_mutex_clear (&pool->lock);
  g_cond_clear (&pool->wake);
  g_cond_clear (&pool->done);
  g_free (pool);
}

int
qf_pool_threads (const QfPool *pool)
{
  return pool ? pool->n_threads : 1;
}

void
qf_pool_run (QfPool *pool, QfTask fn, void *data, int n_tasks)
{
  if (!pool || pool->n_threads == 1 || n_tasks <= 1) {
    for (int i = 0; i < n_tasks; i++)
      fn (data, i, 0);
    return;
  }
  g_mutex_lock (&pool->run_lock);
  g_mutex_lock (&pool->lock);
  pool->fn = fn;
  pool->data = data;
  pool->n_tasks = n_tasks;
  atomic_store (&pool->next, 0);
  pool->open = TRUE;
  pool->round++;
  if (pool->sleeping > 0)
    g_cond_broadcast (&pool->wake);
  g_mutex_unlock (&pool->lock);

  take_tasks (pool, 0);
  for (int i = 0; i < SPINS && atomic_load (&pool->active) > 0; i++)
    relax ();

  /* All tasks are taken: wait for those who have one, not for those who have
   * not even woken up. */
  g_mutex_lock (&pool->lock);
  pool->open = FALSE;
  while (pool->active > 0)
    g_cond_wait (&pool->done, &pool->lock);
  g_mutex_unlock (&pool->lock);
  g_mutex_unlock (&pool->run_lock);
}
