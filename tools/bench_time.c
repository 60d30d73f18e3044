/* qfuse: times a network, its layers and the processor's multipliers in turn.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench_time.h"

#include <time.h>

#include "base/pool.h"
#include "kernels/peak.h"
#include "progress.h"

enum
{
  RUNS_LEAST = 9,
  PEAK_EVERY_MS = 100
};

typedef struct
{
  const char *instruction;
  double *gmacs; /* by task */
} Peak;

static double
now_ms (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec * 1e3 + (double) t.tv_nsec * 1e-6;
}

static void
peak_task (void *data, int task, int worker)
{
  Peak *p = data;
  const char *instruction;

  (void) worker;
  p->gmacs[task] = qf_kernels_peak (qf_engine_isa (), &instruction);
  if (task == 0)
    p->instruction = instruction;
}

/* The multipliers of all threads at the same time. The greatest counts. */
static void
measure_peak (QfPool *pool, BenchTime *r)
{
  g_autofree double *gmacs = g_new0 (double, r->threads);
  Peak p = { NULL, gmacs };
  double sum = 0;

  qf_pool_run (pool, peak_task, &p, r->threads);
  for (int i = 0; i < r->threads; i++)
    sum += gmacs[i];
  r->peak = MAX (r->peak, sum);
  r->instruction = p.instruction;
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

/* Of @n times, @stride apart. */
static BenchTimes
times_of (const GArray *ms, guint from, guint stride)
{
  g_autoptr (GArray) own = g_array_new (FALSE, FALSE, sizeof (double));
  guint n;

  for (guint i = from; i < ms->len; i += stride)
    g_array_append_val (own, g_array_index (ms, double, i));
  g_array_sort (own, compare_doubles);
  n = own->len;
  return (BenchTimes){ 0.5 *
        (g_array_index (own, double, (n - 1) / 2) +
            g_array_index (own, double, n / 2)),
    g_array_index (own, double, 0) };
}

/* Appends the time of a whole run and, if @n_steps > 0, of every step. */
static void
run_once (QfEngine *engine, int n_steps, GArray *ms)
{
  double from = now_ms (), to;

  qf_engine_run (engine);
  to = now_ms ();
  from = to - from;
  g_array_append_val (ms, from);
  if (n_steps == 0)
    return;
  to = now_ms ();
  for (int i = 0; i < n_steps; i++) {
    double t;

    from = to;
    qf_engine_run_step (engine, i);
    to = now_ms ();
    t = to - from;
    g_array_append_val (ms, t);
  }
}

void
bench_time (QfEngine *engine, int threads, gboolean layers, double seconds,
    int runs, BenchTime *r)
{
  g_autoptr (GArray) ms = g_array_new (FALSE, FALSE, sizeof (double));
  g_autoptr (QfPool) pool = qf_pool_new (threads);
  int n_steps = layers ? qf_engine_n_steps (engine) : 0;
  double begin, peak_at, at;

  *r = (BenchTime){ .threads = qf_pool_threads (pool) };
  qf_engine_run (engine); // memory is touched once before time counts
  measure_peak (pool, r);
  begin = peak_at = at = now_ms ();
  while (runs > 0 ? r->runs < runs
                  : r->runs < RUNS_LEAST || at - begin < seconds * 1e3) {
    run_once (engine, n_steps, ms);
    r->runs++;
    at = now_ms ();
    if (at - peak_at >= PEAK_EVERY_MS) {
      measure_peak (pool, r);
      peak_at = at = now_ms ();
    }
    progress_show ("measuring",
        runs > 0 ? (double) r->runs / runs
                 : (at - begin) * 1e-3 / MAX (seconds, 1e-3),
        NULL);
  }
  progress_clear ();
  measure_peak (pool, r);
  r->whole = times_of (ms, 0, (guint) n_steps + 1);
  if (layers)
    r->steps = g_new0 (BenchTimes, MAX (n_steps, 1));
  for (int i = 0; i < n_steps; i++)
    r->steps[i] = times_of (ms, (guint) i + 1, (guint) n_steps + 1);
}
