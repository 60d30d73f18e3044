/* libqfuse: a pool of worker threads.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * All pools of a process share one crew of threads, as many as the largest of
 * them needs. A round is one qf_pool_run(): its caller takes tasks until none
 * is left, and threads of the crew that are awake join in. Nobody waits for a
 * thread that has not taken a task.
 *
 * Every worker has a span of the tasks, the same share in every round, and
 * takes from those of others, from their end, what is left of them: so what a
 * thread wrote it mostly reads and overwrites itself. Lines of the cache that
 * change owner cost more than an even share gains: on two cores of a Zen 3
 * that share no cache, 130 to 180 ns there and back. */
#include "base/pool.h"

#include <stdatomic.h>

#include "base/cpus.h"

enum
{
  MAX_THREADS = 256,
  SPIN_US =
      40,    /* at most: what lies between two steps of one run, and less
                than sleeping and waking up would cost in a virtual machine */
  SPINS = 32 /* between two looks at the clock */
};

/* A worker's tasks that nobody has taken; @tasks: the first, and << 32 the one
 * after the last. A line of the cache each. */
typedef struct
{
  _Atomic guint64 tasks;
  gboolean joined; /* guarded by the crew's lock */
  char pad[64 - sizeof (guint64) - sizeof (gboolean)];
} Span;

struct _QfPool
{
  int n_threads;   /* workers, the caller counted */
  GMutex run_lock; /* one caller at a time: worker numbers are one's own */
  Span *spans;     /* [n_threads] */
};

typedef struct _Round Round;

struct _Round
{
  QfTask fn;
  void *data;
  int n_threads; /* that may take part, the caller counted */
  Span *spans;
  int joined;        /* threads; guarded by the crew's lock */
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

static inline void
relax (void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause ();
#endif
}

/* Sleeping for want of the lock would take longer than it is ever held. */
static void
lock_crew (void)
{
  for (int i = 0; i < SPINS; i++) {
    if (g_mutex_trylock (&crew.lock))
      return;
    relax ();
  }
  g_mutex_lock (&crew.lock);
}

/* A task of @s, the first or the last; −1: none is left. */
static int
take (Span *s, gboolean last)
{
  guint64 old = atomic_load (&s->tasks);

  for (;;) {
    guint32 first = (guint32) old, end = (guint32) (old >> 32);

    if (first == end)
      return -1;
    if (atomic_compare_exchange_weak (&s->tasks, &old,
            last ? old - (G_GUINT64_CONSTANT (1) << 32) : old + 1))
      return (int) (last ? end - 1 : first);
  }
}

static void
take_tasks (Round *r, int worker)
{
  int task;

  while ((task = take (&r->spans[worker], FALSE)) >= 0)
    r->fn (r->data, task, worker);
  for (int i = 1; i < r->n_threads; i++)
    while ((task = take (&r->spans[(worker + i) % r->n_threads], TRUE)) >= 0)
      r->fn (r->data, task, worker);
}

static gboolean
has_tasks (const Round *r)
{
  for (int i = 0; i < r->n_threads; i++) {
    guint64 tasks = atomic_load (&r->spans[i].tasks);

    if ((guint32) tasks != (guint32) (tasks >> 32))
      return TRUE;
  }
  return FALSE;
}

/* The worker number of the crew's thread @index in @r, if possible the one it
 * always has. Called with the lock. */
static int
join_round (Round *r, int index)
{
  int worker = 1 + index % (r->n_threads - 1);

  while (r->spans[worker].joined)
    worker = worker % (r->n_threads - 1) + 1;
  r->spans[worker].joined = TRUE;
  r->joined++;
  atomic_fetch_add (&r->active, 1);
  return worker;
}

/* The round with tasks left that has the fewest threads; NULL: none. */
static Round *
find_round (void)
{
  Round *best = NULL;

  for (Round *r = crew.rounds; r; r = r->link)
    if (r->joined < r->n_threads && has_tasks (r) &&
        (!best || r->joined < best->joined))
      best = r;
  return best;
}

/* Awake, until a round opens (@seen: those before) or threads of the crew have
 * left @r. Gives up after SPIN_US. */
static void
spin (unsigned seen, const Round *r)
{
  gint64 start = g_get_monotonic_time ();

  do
    for (int i = 0; i < SPINS; i++) {
      if (r ? atomic_load (&r->active) == 0 : atomic_load (&crew.calls) != seen)
        return;
      relax ();
    }
  while (g_get_monotonic_time () - start < SPIN_US);
}

/* Waking a sleeping thread takes longer than a small step. */
static void
wait_for_round (void)
{
  unsigned seen = atomic_load (&crew.calls);

  g_mutex_unlock (&crew.lock);
  spin (seen, NULL);
  lock_crew ();
}

static gpointer
worker_main (gpointer index)
{
  gboolean worked = FALSE;

  g_mutex_lock (&crew.lock);
  while (!crew.quit) {
    Round *r = find_round ();

    if (r) {
      int worker = join_round (r, GPOINTER_TO_INT (index));

      g_mutex_unlock (&crew.lock);
      take_tasks (r, worker);
      lock_crew ();
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
    g_ptr_array_add (crew.threads,
        g_thread_new ("qfuse-worker", worker_main,
            GINT_TO_POINTER ((int) crew.threads->len)));
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
  pool->spans = g_new0 (Span, pool->n_threads);
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
  g_free (pool->spans);
  g_free (pool);
}

int
qf_pool_threads (const QfPool *pool)
{
  return pool ? pool->n_threads : 1;
}

static void
open_round (Round *r, int n_tasks)
{
  int wake;

  for (int i = 0; i < r->n_threads; i++) {
    guint64 first = (guint64) n_tasks * (guint64) i / (guint64) r->n_threads;
    guint64 end =
        (guint64) n_tasks * (guint64) (i + 1) / (guint64) r->n_threads;

    r->spans[i].joined = FALSE;
    atomic_store (&r->spans[i].tasks, first | end << 32);
  }

  lock_crew ();
  r->link = crew.rounds;
  crew.rounds = r;
  atomic_fetch_add (&crew.calls, 1);
  wake = call_threads (MIN (r->n_threads, n_tasks) - 1);
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

  spin (0, r);
  lock_crew ();
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
  Round r = { .fn = fn, .data = data, .joined = 1 };

  if (!pool || pool->n_threads == 1 || n_tasks <= 1) {
    for (int i = 0; i < n_tasks; i++)
      fn (data, i, 0);
    return;
  }
  g_mutex_lock (&pool->run_lock);
  r.n_threads = pool->n_threads;
  r.spans = pool->spans;
  open_round (&r, n_tasks);
  take_tasks (&r, 0);
  close_round (&r);
  g_mutex_unlock (&pool->run_lock);
}
