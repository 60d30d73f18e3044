/* The worker pool.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/pool.h"

#include <time.h>

enum
{
  MAX_TASKS = 70
};

typedef struct
{
  int threads;
  int count[MAX_TASKS]; /* one writer each */
  int bad_worker;       /* atomic */
} Job;

static void
task (void *data, int i, int worker)
{
  Job *job = data;

  if (worker < 0 || worker >= job->threads)
    g_atomic_int_inc (&job->bad_worker);
  /* long enough for others to wake up and join */
  for (volatile int k = 0; k < 2000; k++)
    ;
  job->count[i]++;
}

static void
test_every_task_once (gconstpointer threads)
{
  int n = GPOINTER_TO_INT (threads);
  g_autoptr (QfPool) pool = n > 0 ? qf_pool_new (n) : NULL;

  for (int round = 0; round < 3000; round++) {
    Job job = { qf_pool_threads (pool), { 0 }, 0 };
    int n_tasks = round % MAX_TASKS;

    qf_pool_run (pool, task, &job, n_tasks);
    g_assert_cmpint (job.bad_worker, ==, 0);
    for (int i = 0; i < MAX_TASKS; i++)
      g_assert_cmpint (job.count[i], ==, i < n_tasks);
  }
}

static void
test_threads (void)
{
  g_autoptr (QfPool) one = qf_pool_new (1), all = qf_pool_new (0);

  g_assert_cmpint (qf_pool_threads (NULL), ==, 1);
  g_assert_cmpint (qf_pool_threads (one), ==, 1);
  g_assert_cmpint (qf_pool_threads (all), >=, 1);
  qf_pool_free (NULL);
}

/* Callers with pools of their own, at the same time. */
static gpointer
call_often (gpointer threads)
{
  test_every_task_once (threads);
  return NULL;
}

static void
test_callers (void)
{
  GThread *callers[4];

  for (int i = 0; i < 4; i++)
    callers[i] =
        g_thread_new ("caller", call_often, GINT_TO_POINTER (i % 3 + 2));
  for (int i = 0; i < 4; i++)
    g_thread_join (callers[i]);
}

typedef struct
{
  GMutex lock;
  GCond change;
  gboolean begun, end;
} Blocker;

static void
block (void *data, int i, int worker)
{
  Blocker *b = data;

  g_mutex_lock (&b->lock);
  b->begun = TRUE;
  g_cond_broadcast (&b->change);
  while (!b->end)
    g_cond_wait (&b->change, &b->lock);
  g_mutex_unlock (&b->lock);
}

static gpointer
run_blocker (gpointer data)
{
  g_autoptr (QfPool) pool = qf_pool_new (2);

  qf_pool_run (pool, block, data, 2);
  return NULL;
}

/* While every other thread is stuck in another round, a caller does all of its
 * tasks itself. */
static void
test_no_wait (void)
{
  Blocker b = { .begun = FALSE };
  GThread *other;

  g_mutex_init (&b.lock);
  g_cond_init (&b.change);
  other = g_thread_new ("blocker", run_blocker, &b);
  g_mutex_lock (&b.lock);
  while (!b.begun)
    g_cond_wait (&b.change, &b.lock);
  g_mutex_unlock (&b.lock);
  test_every_task_once (GINT_TO_POINTER (2)); /* hangs if it waits */
  g_mutex_lock (&b.lock);
  b.end = TRUE;
  g_cond_broadcast (&b.change);
  g_mutex_unlock (&b.lock);
  g_thread_join (other);
  g_mutex_clear (&b.lock);
  g_cond_clear (&b.change);
}

/* Processor time of a pool that has nothing to do. */
static void
test_idle (void)
{
  g_autoptr (QfPool) pool = qf_pool_new (4);
  Job job = { 4, { 0 }, 0 };
  clock_t before;

  qf_pool_run (pool, task, &job, MAX_TASKS);
  g_usleep (20 * 1000);
  before = clock ();
  g_usleep (300 * 1000);
  g_assert_cmpfloat ((double) (clock () - before) / CLOCKS_PER_SEC, <, 0.1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func (
      "/pool/none", GINT_TO_POINTER (0), test_every_task_once);
  g_test_add_data_func ("/pool/1", GINT_TO_POINTER (1), test_every_task_once);
  g_test_add_data_func ("/pool/2", GINT_TO_POINTER (2), test_every_task_once);
  g_test_add_data_func ("/pool/7", GINT_TO_POINTER (7), test_every_task_once);
  g_test_add_func ("/pool/threads", test_threads);
  g_test_add_func ("/pool/callers", test_callers);
  g_test_add_func ("/pool/no-wait", test_no_wait);
  g_test_add_func ("/pool/idle", test_idle);
  return g_test_run ();
}
