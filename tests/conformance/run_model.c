/* Runs a model on raw input bytes, for ort_compare.py.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Usage: run-model MODEL INPUT OUTPUT [THREADS [ROUNDS]]. INPUT holds all
 * inputs one after the other, NCHW; OUTPUT gets all outputs, NCHW, likewise.
 * Prints one JSON object with the shapes and, after ROUNDS runs, times in µs.
 */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static gsize
bytes_of (const QfTensor *t)
{
  return (gsize) t->c * t->h * t->w * qf_dtype_size (t->dtype);
}

static gboolean
read_inputs (QfEngine *e, const char *path, GError **error)
{
  g_autofree char *data = NULL;
  gsize size, at = 0;

  if (!g_file_get_contents (path, &data, &size, error))
    return FALSE;
  for (int i = 0; i < qf_engine_n_inputs (e); i++) {
    const QfTensor *t = qf_engine_input (e, i);

    if (size - at < bytes_of (t)) {
      g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "%s is too short", path);
      return FALSE;
    }
    memcpy (t->data, data + at, bytes_of (t));
    at += bytes_of (t);
  }
  return TRUE;
}

static void
append_planar (GByteArray *out, const QfTensor *t)
{
  gsize size = qf_dtype_size (t->dtype);

  for (int c = 0; c < t->c; c++)
    for (int y = 0; y < t->h; y++)
      for (int x = 0; x < t->w; x++)
        g_byte_array_append (out,
            (const guint8 *) t->data + qf_tensor_index (t, c, y, x) * size,
            (guint) size);
}

static int
by_value (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

/* µs: with one thread its own time, so that other programs do not count. */
static double
now (clockid_t clock)
{
  struct timespec t;

  clock_gettime (clock, &t);
  return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

/* Median in µs of @rounds calls; @step −1: all steps. */
static double
time_steps (QfEngine *e, int step, int rounds, clockid_t clock)
{
  g_autofree double *t = g_new (double, rounds);
  int inner = step < 0 ? 1 : 4;

  for (int i = 0; i < rounds; i++) {
    double start = now (clock);

    for (int j = 0; j < inner; j++)
      if (step < 0)
        qf_engine_run (e);
      else
        qf_engine_run_step (e, step);
    t[i] = now (clock) - start;
  }
  qsort (t, (gsize) rounds, sizeof *t, by_value);
  return t[rounds / 2] / inner;
}

static void
print_times (QfEngine *e, int rounds, int threads)
{
  clockid_t clock = threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;

  printf (", \"us\": %.1f, \"steps\": [", time_steps (e, -1, rounds, clock));
  for (int i = 0; i < qf_engine_n_steps (e); i++) {
    QfEngineStep s;

    qf_engine_step (e, i, &s);
    printf ("%s{\"name\": \"%s\", \"op\": \"%s\", \"macs\": %" G_GINT64_FORMAT
            ", \"c\": %d, \"h\": %d, \"w\": %d, \"us\": %.1f}",
        i ? ", " : "", s.name, s.op, s.macs, s.c, s.h, s.w,
        time_steps (e, i, rounds, clock));
  }
  printf ("]");
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) model = NULL;
  g_autoptr (QfEngine) e = NULL;
  g_autoptr (GByteArray) out = g_byte_array_new ();

  if (argc < 4) {
    fprintf (
        stderr, "usage: %s MODEL INPUT OUTPUT [THREADS [ROUNDS]]\n", argv[0]);
    return 2;
  }
  model = qf_model_load (argv[1], &error);
  e = model ? qf_engine_new (model, argc > 4 ? atoi (argv[4]) : 1, &error)
            : NULL;
  if (!e || !read_inputs (e, argv[2], &error))
    goto failed;
  qf_engine_run (e);
  for (int i = 0; i < qf_engine_n_outputs (e); i++)
    append_planar (out, qf_engine_output (e, i));
  if (!g_file_set_contents (
          argv[3], (const char *) out->data, out->len, &error))
    goto failed;
  printf ("{\"isa\": \"%s\", \"memory\": %" G_GSIZE_FORMAT, qf_engine_isa (),
      qf_engine_memory (e));
  if (argc > 5)
    print_times (e, MAX (atoi (argv[5]), 1), atoi (argv[4]));
  printf ("}\n");
  return 0;

failed:
  fprintf (stderr, "%s: %s\n", argv[0], error->message);
  return 1;
}
