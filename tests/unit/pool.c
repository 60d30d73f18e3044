/* The worker pool.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/pool.h"

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
  return g_test_run ();
}
