/* qfuse bench: how fast a network runs.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

#include <string.h>

#include "base/rng.h"
#include "bench_clip.h"
#include "bench_time.h"
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
  { "layers", 'l', 0, G_OPTION_ARG_NONE, &layers,
      "Time every layer too, in its place in the network", NULL },
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
             "input. GMAC/s are from the median; beside them stands what the "
             "processor's multiply instruction, measured in between, could do "
             "(3x3 layers pass it: they need fewer products).",
  .examples = "  qfuse bench models/pedestrian.onnx\n"
              "  qfuse bench --threads 1 --layers models/pedestrian.onnx\n"
              "  qfuse bench --json models/pedestrian.onnx\n"
              "  qfuse bench --clip vtest.avi model.onnx",
  .entries = entries,
};

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

/* The layers' medians together. */
static double
layers_ms (const QfEngine *engine, const BenchTime *t)
{
  double sum = 0;

  for (int i = 0; i < qf_engine_n_steps (engine); i++)
    sum += t->steps[i].median;
  return sum;
}

static double
share (double part, double whole)
{
  return whole > 0 ? part / whole : 1;
}

static void
print_layers (const QfEngine *engine, const BenchTime *t)
{
  double sum = layers_ms (engine, t);

  g_print ("%3s  %-20s %-14s %-24s %9s %9s %6s %8s %6s\n", "#", "node",
      "operator", "kernel", "MMAC", "ms", "time", "GMAC/s", "peak");
  for (int i = 0; i < qf_engine_n_steps (engine); i++) {
    QfEngineStep s;
    double rate;

    qf_engine_step (engine, i, &s);
    rate = gmacs (s.macs, t->steps[i].median);
    g_print ("%3d  %-20s %-14s %-24s %9.3f %9.4f %5.1f%%", i, s.name, s.op,
        s.kernel ? s.kernel : "", (double) s.macs * 1e-6, t->steps[i].median,
        100 * share (t->steps[i].median, sum));
    if (s.macs && t->peak > 0)
      g_print (" %8.2f %5.0f%%", rate, 100 * rate / t->peak);
    g_print ("\n");
  }
  g_print ("layers together %.3f ms\n", sum);
}

static void
print_text (const QfEngine *engine, const BenchTime *t, gint64 macs)
{
  double rate = gmacs (macs, t->whole.median);

  if (t->steps)
    print_layers (engine, t);
  g_print ("median %.3f ms, least %.3f ms of %d runs; %.2f GMAC/s; %s, "
           "%d thread%s; %" G_GSIZE_FORMAT " bytes in memory\n",
      t->whole.median, t->whole.least, t->runs, rate, qf_engine_isa (),
      t->threads, t->threads == 1 ? "" : "s", qf_engine_memory (engine));
  if (t->peak > 0)
    g_print ("%.0f %% of the %.1f GMAC/s that %s does here\n",
        100 * rate / t->peak, t->peak, t->instruction);
}

static void
json_rates (JsonBuilder *b, const BenchTime *t, gint64 macs, BenchTimes times)
{
  double rate = gmacs (macs, times.median);

  tool_json_number (b, "median_ms", times.median);
  tool_json_number (b, "min_ms", times.least);
  tool_json_int (b, "macs", macs);
  tool_json_number (b, "gmacs_per_s", rate);
  if (t->peak > 0)
    tool_json_number (b, "peak_share", rate / t->peak);
}

static void
json_layers (JsonBuilder *b, const QfEngine *engine, const BenchTime *t)
{
  double sum = layers_ms (engine, t);

  tool_json_number (b, "layers_ms", sum);
  json_builder_set_member_name (b, "layers");
  json_builder_begin_array (b);
  for (int i = 0; i < qf_engine_n_steps (engine); i++) {
    QfEngineStep s;

    qf_engine_step (engine, i, &s);
    json_builder_begin_object (b);
    tool_json_string (b, "name", s.name);
    tool_json_string (b, "op", s.op);
    tool_json_string (b, "kernel", s.kernel ? s.kernel : "");
    json_rates (b, t, s.macs, t->steps[i]);
    tool_json_number (b, "time_share", share (t->steps[i].median, sum));
    json_builder_end_object (b);
  }
  json_builder_end_array (b);
}

static void
print_object (const QfEngine *engine, const BenchTime *t, gint64 macs)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();

  json_builder_begin_object (b);
  json_rates (b, t, macs, t->whole);
  if (t->peak > 0) {
    tool_json_number (b, "peak_gmacs_per_s", t->peak);
    tool_json_string (b, "peak_instruction", t->instruction);
  }
  tool_json_int (b, "runs", t->runs);
  tool_json_string (b, "isa", qf_engine_isa ());
  tool_json_int (b, "threads", t->threads);
  tool_json_int (b, "memory_bytes", (gint64) qf_engine_memory (engine));
  if (t->steps)
    json_layers (b, engine, t);
  json_builder_end_object (b);
  tool_print_json (b);
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
  GError *error = NULL;
  BenchTime t;
  int status;

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
  fill_inputs (engine);
  bench_time (engine, threads, layers, seconds, runs, &t);
  if (json)
    print_object (engine, &t, qf_model_macs (model));
  else
    print_text (engine, &t, qf_model_macs (model));
  g_free (t.steps);
  return TOOL_DONE;
}
