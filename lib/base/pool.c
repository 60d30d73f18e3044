/* libqfuse: a pool of worker threads.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * All pools of a process share one crew of threads, as many as the largest of
 * them needs. A round is one qf_pool_run(): its caller takes tasks until none
 * is left, and threads of the crew that are awake join in. Nobody waits for a
 * thread that has not taken a task. */
#include "base/pool.h"

#include <stdatomic.h>

#include "base/cpus.h"

enum
{
  MAX_THREADS = 256,
  SPINS = 500 /* some 10 µs: what lies between two steps of one run */
};

struct _QfPool
{
  int n_threads;   /* workers, the caller counted */
  GMutex run_lock; /* one caller at a time: worker numbers are one's own */
};

typedef struct _Round Round;

struct _Round
{
  QfTask fn;
  void *data;
  int n_tasks;
  int n_threads;     /* that may take part, the caller counted */
  int joined;        /* worker numbers given; guarded by the crew's lock */
  atomic_int next;   /* the next task nobody has taken */
  atomic_int active; /* threads of the crew in it; written under the lock */
  Round *link;
};

static struct
{
  GMutex start_lock;  /* guards pools and threads */
  int pools;          /* that have more than one thread */
  GPtrArray *threads; /* GThread * */
  GMutex lock;        /* guards what follows */
  GCond wake, done;
  Round *rounds; /* that may be joined */
  int sleeping;  /* threads that wait for `wake` and were not called */
  gboolean quit;
  atomic_uint calls; /* counts rounds; read without lock */
} crew;

static void
take_tasks (Round *r, int worker)
{
  for (;;) {
    int task = atomic_fetch_add (&r->next, 1);

    if (task >= r->n_tasks)
      return;
    r->fn (r->data, task, worker);
  }
}

static inline void
relax (void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause ();
#endif
}

/* The round with tasks left that has the fewest threads; NULL: none. */
static Round *
find_round (void)
{
  Round *best = NULL;

  for (Round *r = crew.rounds; r; r = r->link)
    if (r->joined < r->n_threads && atomic_load (&r->next) < r->n_tasks &&
        (!best || r->joined < best->joined))
      best = r;
  return best;
}

/* Waking a sleeping thread takes longer than a small step. */
static void
wait_for_round (void)
{
  unsigned seen = atomic_load (&crew.calls);

  g_mutex_unlock (&crew.lock);
  for (int i = 0; i < SPINS && atomic_load (&crew.calls) == seen; i++)
    relax ();
  g_mutex_lock (&crew.lock);
}

static gpointer
worker_main (gpointer unused)
{
  gboolean worked = FALSE;

  g_mutex_lock (&crew.lock);
  while (!crew.quit) {
    Round *r = find_round ();

    if (r) {
      int worker = r->joined++;

      atomic_fetch_add (&r->active, 1);
      g_mutex_unlock (&crew.lock);
      take_tasks (r, worker);
      g_mutex_lock (&crew.lock);
      if (atomic_fetch_sub (&r->active, 1) == 1)
        g_cond_broadcast (&crew.done);
      worked = TRUE;
    } else if (worked) {
      wait_for_round ();
      worked = FALSE;
    } else {
      crew.sleeping++;
      g_cond_wait (&crew.wake, &crew.lock);
      worked = FALSE;
    }
  }
  g_mutex_unlock (&crew.lock);
  return NULL;
}

/* Called with the lock: @n threads need not sleep any more. */
static int
call_threads (int n)
{
  n = MIN (n, crew.sleeping);
  crew.sleeping -= n;
  return n;
}

static void
join_crew (int n_threads)
{
  g_mutex_lock (&crew.start_lock);
  if (crew.pools++ == 0)
    crew.threads = g_ptr_array_new ();
  while ((int) crew.threads->len < n_threads - 1)
    g_ptr_array_add (
        crew.threads, g_thread_new ("qfuse-worker", worker_main, NULL));
  g_mutex_unlock (&crew.start_lock);
}

static void
leave_crew (void)
{
  g_mutex_lock (&crew.start_lock);
  if (--crew.pools == 0) {
    g_mutex_lock (&crew.lock);
    crew.quit = TRUE;
    g_cond_broadcast (&crew.wake);
    g_mutex_unlock (&crew.lock);
    for (guint i = 0; i < crew.threads->len; i++)
      g_thread_join (g_ptr_array_index (crew.threads, i));
    g_clear_pointer (&crew.threads, g_ptr_array_unref);
    crew.quit = FALSE;
    crew.sleeping = 0;
  }
  g_mutex_unlock (&crew.start_lock);
}

QfPool *
qf_pool_new (int threads)
{
  QfPool *pool = g_new0 (QfPool, 1);

  pool->n_threads = MIN (threads > 0 ? threads : qf_cpus (), MAX_THREADS);
  g_mutex_init (&pool->run_lock);
  if (pool->n_threads > 1)
    join_crew (pool->n_threads);
  return pool;
}

void
qf_pool_free (QfPool *pool)
{
  if (!pool)
    return;
  if (pool->n_threads > 1)
    leave_crew ();
  g_mutex_clear (&pool->run_lock);
  g_free (pool);
}

int
qf_pool_threads (const QfPool *pool)
{
  return pool ? pool->n_threads : 1;
}

static void
open_round (Round *r)
{
  int wake;

  g_mutex_lock (&crew.lock);
  r->link = crew.rounds;
  crew.rounds = r;
  atomic_fetch_add (&crew.calls, 1);
  wake = call_threads (MIN (r->n_threads, r->n_tasks) - 1);
  g_mutex_unlock (&crew.lock);
  /* without the lock, which the woken want */
  for (int i = 0; i < wake; i++)
    g_cond_signal (&crew.wake);
}

/* All tasks are taken: waits for those who have one, not for those who have
 * not even woken up. */
static void
close_round (Round *r)
{
  Round **at = &crew.rounds;

  for (int i = 0; i < SPINS && atomic_load (&r->active) > 0; i++)
    relax ();
  g_mutex_lock (&crew.lock);
  while (*at != r)
    at = &(*at)->link;
  *at = r->link;
  while (atomic_load (&r->active) > 0)
    g_cond_wait (&crew.done, &crew.lock);
  g_mutex_unlock (&crew.lock);
}

void
qf_pool_run (QfPool *pool, QfTask fn, void *data, int n_tasks)
{
  Round r = { .fn = fn, .data = data, .n_tasks = n_tasks, .joined = 1 };

  if (!pool || pool->n_threads == 1 || n_tasks <= 1) {
    for (int i = 0; i < n_tasks; i++)
      fn (data, i, 0);
    return;
  }
  g_mutex_lock (&pool->run_lock);
  r.n_threads = pool->n_threads;
  open_round (&r);
  take_tasks (&r, 0);
  close_round (&r);
  g_mutex_unlock (&pool->run_lock);
}
