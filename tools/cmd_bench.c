/* qfuse bench: how fast a network runs.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

#include <string.h>

#include "base/rng.h"
#include "bench_clip.h"
#include "progress.h"
#include "qfuse.h"

static gboolean json, layers;
static int threads;
static int runs;
static double seconds = 2;
static char *clip;

static const GOptionEntry entries[] = {
  { "threads", 't', 0, G_OPTION_ARG_INT, &threads,
      "Worker threads (default 0: as many as the processor allows)", "N" },
  { "runs", 'n', 0, G_OPTION_ARG_INT, &runs,
      "Pictures to measure (default: as many as fit the time, at least 9)",
      "N" },
  { "seconds", 's', 0, G_OPTION_ARG_DOUBLE, &seconds,
      "Time to measure for (default 2)", "S" },
  { "layers", 'l', 0, G_OPTION_ARG_NONE, &layers, "Time every layer too",
      NULL },
  { "clip", 'c', 0, G_OPTION_ARG_FILENAME, &clip,
      "On the planes of this video, all of its pictures: everything computed "
      "against only what moves",
      "CLIP" },
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print one JSON object", NULL },
  { NULL }
};

static const ToolOptions options = {
  .command = "bench",
  .arguments = "MODEL",
  .summary = "Measures the time of one picture through a network, planes and "
             "decoding not counted: median and least of many runs, on random "
             "input. GMAC/s are from the median.",
  .examples = "  qfuse bench models/pedestrian.onnx\n"
              "  qfuse bench --threads 1 --layers models/pedestrian.onnx\n"
              "  qfuse bench --json models/pedestrian.onnx\n"
              "  qfuse bench --clip vtest.avi model.onnx",
  .entries = entries,
};

typedef struct
{
  double median, least; /* ms */
  int n;
} Times;

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

/* Runs step @step (−1: the whole network) until @limit seconds and at least 9
 * runs are over, or @fixed runs where that is not 0. */
static void
measure (QfEngine *engine, int step, double limit, int fixed, Times *t)
{
  g_autoptr (GArray) ms = g_array_new (FALSE, FALSE, sizeof (double));
  gint64 begin = g_get_monotonic_time ();

  for (;;) {
    gint64 from = g_get_monotonic_time (), to;
    double x;

    if (step < 0)
      qf_engine_run (engine);
    else
      qf_engine_run_step (engine, step);
    to = g_get_monotonic_time ();
    x = (double) (to - from) * 1e-3;
    g_array_append_val (ms, x);
    if (fixed > 0 ? ms->len >= (guint) fixed
                  : ms->len >= 9 && (double) (to - begin) * 1e-6 >= limit)
      break;
    if (step < 0)
      progress_show ("measuring",
          fixed > 0 ? (double) ms->len / fixed
                    : (double) (to - begin) * 1e-6 / MAX (limit, 1e-3),
          NULL);
  }
  progress_clear ();
  g_array_sort (ms, compare_doubles);
  t->n = (int) ms->len;
  t->least = g_array_index (ms, double, 0);
  t->median = 0.5 *
      (g_array_index (ms, double, (ms->len - 1) / 2) +
          g_array_index (ms, double, ms->len / 2));
}

/* Seeded noise: no layer meets a special case such as all codes equal. */
static void
fill_inputs (QfEngine *engine)
{
  QfRng rng = { 1 };

  for (int i = 0; i < qf_engine_n_inputs (engine); i++) {
    const QfTensor *t = qf_engine_input (engine, i);
    gsize n = (gsize) t->n * t->c * t->h * t->w;

    for (gsize j = 0; j < n; j++)
      if (t->dtype == QF_F32)
        ((float *) t->data)[j] = (float) (qf_rng_uniform (&rng) * 2 - 1);
      else
        ((guint8 *) t->data)[j] = (guint8) qf_rng_next (&rng);
  }
}

static double
gmacs (gint64 macs, double ms)
{
  return ms > 0 ? (double) macs * 1e-6 / ms : 0;
}

static void
print_text (const QfEngine *engine, const Times *t, gint64 macs, int n_threads,
    const Times *steps)
{
  if (steps)
    g_print ("%3s  %-20s %-14s %-24s %9s %9s %8s\n", "#", "node", "operator",
        "kernel", "MMAC", "ms", "GMAC/s");
  for (int i = 0; steps && i < qf_engine_n_steps (engine); i++) {
    QfEngineStep s;

    qf_engine_step (engine, i, &s);
    g_print ("%3d  %-20s %-14s %-24s %9.3f %9.4f %8.2f\n", i, s.name, s.op,
        s.kernel ? s.kernel : "", (double) s.macs * 1e-6, steps[i].median,
        gmacs (s.macs, steps[i].median));
  }
  g_print ("median %.3f ms, least %.3f ms of %d runs; %.2f GMAC/s; %s, "
           "%d thread%s; %" G_GSIZE_FORMAT " bytes in memory\n",
      t->median, t->least, t->n, gmacs (macs, t->median), qf_engine_isa (),
      n_threads, n_threads == 1 ? "" : "s", qf_engine_memory (engine));
}

static void
print_object (const QfEngine *engine, const Times *t, gint64 macs,
    int n_threads, const Times *steps)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();

  json_builder_begin_object (b);
  tool_json_number (b, "median_ms", t->median);
  tool_json_number (b, "min_ms", t->least);
  tool_json_int (b, "runs", t->n);
  tool_json_int (b, "macs", macs);
  tool_json_number (b, "gmacs_per_s", gmacs (macs, t->median));
  tool_json_string (b, "isa", qf_engine_isa ());
  tool_json_int (b, "threads", n_threads);
  tool_json_int (b, "memory_bytes", (gint64) qf_engine_memory (engine));
  if (steps) {
    json_builder_set_member_name (b, "layers");
    json_builder_begin_array (b);
    for (int i = 0; i < qf_engine_n_steps (engine); i++) {
      QfEngineStep s;

      qf_engine_step (engine, i, &s);
      json_builder_begin_object (b);
      tool_json_string (b, "name", s.name);
      tool_json_string (b, "op", s.op);
      tool_json_string (b, "kernel", s.kernel ? s.kernel : "");
      tool_json_int (b, "macs", s.macs);
      tool_json_number (b, "median_ms", steps[i].median);
      tool_json_number (b, "min_ms", steps[i].least);
      json_builder_end_object (b);
    }
    json_builder_end_array (b);
  }
  json_builder_end_object (b);
  tool_print_json (b);
}

static double
share (double part, double whole)
{
  return whole > 0 ? part / whole : 1;
}

static void
print_clip_text (const BenchClip *c)
{
  g_print (
      "%d pictures: everything %.3f ms, only where something moves %.3f "
      "ms a picture\n"
      "share of time %.4f, of multiply-accumulates %.4f; %" G_GUINT64_FORMAT
      " bytes differ\n",
      c->pictures, c->all_ms / c->pictures, c->sparse_ms / c->pictures,
      share (c->sparse_ms, c->all_ms), c->macs, c->differ);
  if (c->still > 0)
    g_print ("on %d still pictures share of time %.4f\n", c->still,
        share (c->still_sparse_ms, c->still_all_ms));
}

static void
print_clip_object (const BenchClip *c)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();

  json_builder_begin_object (b);
  tool_json_int (b, "pictures", c->pictures);
  tool_json_int (b, "still", c->still);
  tool_json_number (b, "whole_ms", c->all_ms / c->pictures);
  tool_json_number (b, "sparse_ms", c->sparse_ms / c->pictures);
  tool_json_number (b, "time_share", share (c->sparse_ms, c->all_ms));
  tool_json_number (b, "mac_share", c->macs);
  tool_json_number (
      b, "still_time_share", share (c->still_sparse_ms, c->still_all_ms));
  tool_json_int (b, "bytes_differ", (gint64) c->differ);
  tool_json_string (b, "isa", qf_engine_isa ());
  json_builder_end_object (b);
  tool_print_json (b);
}

static int
bench_on_clip (QfModel *model)
{
  GError *error = NULL;
  BenchClip result;

  if (!tool_check_input (clip, &error) || !tool_init_gst (&error) ||
      !bench_clip (model, threads, clip, &result, &error))
    return tool_fail_error (error);
  if (json)
    print_clip_object (&result);
  else
    print_clip_text (&result);
  return result.differ == 0
      ? TOOL_DONE
      : tool_fail ("computing only where something moves gave other bytes");
}

int
cmd_bench (int argc, char **argv)
{
  g_autoptr (QfModel) model = NULL;
  g_autoptr (QfEngine) engine = NULL;
  g_autofree Times *steps = NULL;
  QfPool *pool;
  GError *error = NULL;
  Times times;
  int status, n_threads;

  if (!tool_parse (&options, &argc, &argv, &status))
    return status;
  if (argc != 2)
    return tool_usage ("bench", "it takes one model file");
  if (threads < 0 || runs < 0 || !(seconds >= 0))
    return tool_usage ("bench", "--threads, --runs and --seconds are ≥ 0");
  model = qf_model_load (argv[1], &error);
  if (model && clip)
    return bench_on_clip (model);
  if (model)
    engine = qf_engine_new (model, threads, &error);
  if (!engine)
    return tool_fail_error (error);
  pool = qf_pool_new (threads);
  n_threads = qf_pool_threads (pool);
  qf_pool_free (pool);

  fill_inputs (engine);
  qf_engine_run (engine); // memory is touched once before time counts
  measure (engine, -1, seconds, runs, &times);
  if (layers) {
    int n = qf_engine_n_steps (engine);

    steps = g_new0 (Times, MAX (n, 1));
    for (int i = 0; i < n; i++)
      measure (engine, i, seconds / n, runs, &steps[i]);
  }
  if (json)
    print_object (engine, &times, qf_model_macs (model), n_threads, steps);
  else
    print_text (engine, &times, qf_model_macs (model), n_threads, steps);
  return TOOL_DONE;
}
