/* What loading, planning and further engines on one model cost.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * usage: bench-load-speed MODEL: milliseconds of reading the file and of
 * planning (the least of nine), peak memory of a process that has run one
 * picture, and what each of 15 more engines on the model adds to the process.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "qfuse.h"

enum
{
  ROUNDS = 9,
  ENGINES = 16
};

static void
fail (const GError *error)
{
  fprintf (stderr, "bench-load-speed: %s\n", error->message);
  _exit (1);
}

/* Resident memory of this process, bytes. */
static double
resident (void)
{
  g_autofree char *text = NULL;
  long pages = 0;

  if (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL))
    sscanf (text, "%*d %ld", &pages);
  return (double) pages * (double) sysconf (_SC_PAGESIZE);
}

static QfEngine *
engine_on (QfModel *model)
{
  g_autoptr (GError) error = NULL;
  QfEngine *e = qf_engine_new (model, 1, &error);

  if (!e)
    fail (error);
  for (int i = 0; i < qf_engine_n_inputs (e); i++) {
    const QfTensor *x = qf_engine_input (e, i);

    memset (x->data, 0,
        (gsize) x->n * x->c * x->h * x->w * qf_dtype_size (x->dtype));
  }
  qf_engine_run (e);
  return e;
}

int
main (int argc, char **argv)
{
  QfEngine *engines[ENGINES];
  QfModel *model = NULL;
  double load = G_MAXDOUBLE, plan = G_MAXDOUBLE, before;
  struct rusage usage;

  if (argc != 2) {
    fprintf (stderr, "usage: bench-load-speed MODEL\n");
    return 2;
  }
  before = resident ();
  for (int i = 0; i < ROUNDS; i++) {
    g_autoptr (GError) error = NULL;
    gint64 t0 = g_get_monotonic_time (), t1;
    QfEngine *e;

    g_clear_pointer (&model, qf_model_unref);
    model = qf_model_load (argv[1], &error);
    if (!model)
      fail (error);
    t1 = g_get_monotonic_time ();
    e = qf_engine_new (model, 1, &error);
    if (!e)
      fail (error);
    plan = MIN (plan, (double) (g_get_monotonic_time () - t1) / 1e3);
    load = MIN (load, (double) (t1 - t0) / 1e3);
    qf_engine_free (e);
    if (i == 0) {
      engines[0] = engine_on (model);
      getrusage (RUSAGE_SELF, &usage);
      printf ("%.1f MB resident before, %.1f MB at the peak, %.1f MB with the "
              "model and an engine, which says it has %.1f MB\n",
          before / 1e6, (double) usage.ru_maxrss * 1024 / 1e6,
          resident () / 1e6, (double) qf_engine_memory (engines[0]) / 1e6);
      qf_engine_free (engines[0]);
    }
  }
  printf ("reading %.1f ms, planning %.1f ms, the least of %d\n", load, plan,
      ROUNDS);
  engines[0] = engine_on (model);
  before = resident ();
  for (int i = 1; i < ENGINES; i++)
    engines[i] = engine_on (model);
  printf ("%d more engines add %.2f MB each\n", ENGINES - 1,
      (resident () - before) / (ENGINES - 1) / 1e6);
  for (int i = 0; i < ENGINES; i++)
    qf_engine_free (engines[i]);
  qf_model_unref (model);
  return 0;
}
