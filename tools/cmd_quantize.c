/* qfuse quantize: a trained float network becomes one on codes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

#include <stdio.h>
#include <string.h>

#include "agreement.h"
#include "frames.h"
#include "progress.h"
#include "quantize-search.h"
#include "qfuse.h"

static char *output, *ranges, *keep_float;
static char **checks;
static int n_frames = 64, threads;
static double max_drop = -1;
static gboolean equalize, plain_bias, json;

static const GOptionEntry entries[] = { { "output", 'o', 0,
                                            G_OPTION_ARG_FILENAME, &output,
                                            "Where it is written", "OUT" },
  { "frames", 'n', 0, G_OPTION_ARG_INT, &n_frames,
      "Pictures of each clip that are looked at (default: 64)", "N" },
  { "ranges", 0, 0, G_OPTION_ARG_STRING, &ranges,
      "How ranges follow from what was seen: minmax (default), percentile, "
      "mse, "
      "entropy",
      "HOW" },
  { "keep-float", 0, 0, G_OPTION_ARG_STRING, &keep_float,
      "Layers that stay in float; * stands for any letters", "NODE,…" },
  { "max-drop", 0, 0, G_OPTION_ARG_DOUBLE, &max_drop,
      "Percent of the clips' detections that may go or be new; the most "
      "sensitive layers stay in float until it holds",
      "PERCENT" },
  { "check", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &checks,
      "Another clip, to compare float and int8 on; more than once", "CLIP" },
  { "equalize", 0, 0, G_OPTION_ARG_NONE, &equalize,
      "Scale channels between layers to fill their ranges", NULL },
  { "no-bias-correction", 0, 0, G_OPTION_ARG_NONE, &plain_bias,
      "Leave the mean error of rounded weights", NULL },
  { "threads", 't', 0, G_OPTION_ARG_INT, &threads,
      "Threads, 0: as many as there are processors (default)", "N" },
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print one JSON object", NULL },
  { NULL } };

static const ToolOptions options = {
  .command = "quantize",
  .arguments = "MODEL CLIP… -o OUT",
  .summary =
      "Makes the int8 form of a trained float model, as `qfuse import` gives "
      "it, from\npictures of clips like those that it will see; boxes are not "
      "needed. OUT is ONNX\nwith QuantizeLinear and DequantizeLinear, which "
      "other runtimes run, too.\nThen both run on the clips, and on those to "
      "check, and what they find is compared:\nboxes of the float model's "
      "threshold, same class, overlap of 0.5.",
  .examples = "  qfuse quantize faces.onnx street.mp4 -o faces-int8.onnx\n"
              "  qfuse quantize net.onnx a.mp4 b.mp4 -o int8.onnx --check "
              "c.mp4 --max-drop 2\n"
              "  qfuse quantize net.onnx a.mp4 -o int8.onnx --ranges mse "
              "--keep-float 'Conv_0,head.*'",
  .entries = entries,
};

typedef struct
{
  const char *clip;
  gboolean check; /* not calibrated on */
  double ms[2];   /* of a run: float, int8 */
  Agreement agreement;
} Row;

/* ---- options ------------------------------------------------------------ */

static gboolean
read_ranges (QfRanges *how)
{
  static const char *const names[] = { "minmax", "percentile", "mse",
    "entropy" };

  *how = QF_RANGES_MIN_MAX;
  for (int i = 0; ranges && i < (int) G_N_ELEMENTS (names); i++)
    if (strcmp (ranges, names[i]) == 0) {
      *how = (QfRanges) i;
      return TRUE;
    }
  return !ranges;
}

/* Every pattern has to fit a layer. */
static gboolean
keep_layers (QfQuantizer *q, GError **error)
{
  g_auto (GStrv) patterns = g_strsplit (keep_float ? keep_float : "", ",", -1);

  for (int i = 0; patterns[i]; i++) {
    gboolean fits = FALSE;

    for (int k = 0; k < qf_quantizer_n_layers (q); k++) {
      QfQuantizerLayer layer;

      qf_quantizer_layer (q, k, &layer);
      if (!g_pattern_match_simple (g_strstrip (patterns[i]), layer.name))
        continue;
      qf_quantizer_keep_float (q, k, TRUE);
      fits = TRUE;
    }
    if (fits)
      continue;
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "--keep-float %s: no layer has this name; `qfuse info --layers` tells "
        "them",
        patterns[i]);
    return FALSE;
  }
  return TRUE;
}

/* ---- calibration -------------------------------------------------------- */

/* The float model on all pictures, as many times as the quantizer asks. */
static gboolean
observe (QfQuantizer *q, const GPtrArray *frames, GError **error)
{
  int pass = 0;

  do {
    g_autoptr (QfModel) model = qf_quantizer_float_model (q, error);
    QfEngine *engine = model ? qf_engine_new (model, threads, error) : NULL;

    if (!engine)
      return FALSE;
    for (guint i = 0; i < frames->len; i++) {
      const QfTensor *outputs;
      int n;

      progress_show ("observing",
          ((double) pass + (double) i / frames->len) / (equalize ? 3 : 2),
          "");
      frames_give (engine, g_ptr_array_index (frames, i));
      qf_engine_run (engine);
      outputs = qf_engine_outputs (engine, &n);
      qf_quantizer_observe (q, outputs, n);
    }
    qf_engine_free (engine);
    pass++;
  } while (qf_quantizer_next_pass (q));
  progress_clear ();
  return TRUE;
}

/* ---- comparison --------------------------------------------------------- */

/* Float and int8 on the clip of @row. */
static gboolean
compare (QfModel *model, QfModel *quantized, Row *row, GError **error)
{
  g_autoptr (GPtrArray) frames = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (Findings) a = NULL, b = NULL;

  if (!frames_read (model, row->clip, n_frames, frames, error) ||
      !(a = findings_of (model, frames, threads, error)) ||
      !(b = findings_of (quantized, frames, threads, error)))
    return FALSE;
  findings_compare (a, b, &row->agreement);
  row->ms[0] = a->ms;
  row->ms[1] = b->ms;
  return TRUE;
}

/* ---- the report --------------------------------------------------------- */

typedef struct
{
  int layers, int8;  /* convolutions and matrix products; on codes */
  int others, plain; /* operators of other kinds; in float */
  gint64 macs, int8_macs;
  gsize bytes; /* of the file */
} Summary;

static gboolean
summarize (QfModel *quantized, Summary *s, GError **error)
{
  g_autoptr (GBytes) bytes = qf_model_to_bytes (quantized, error);
  QfEngine *engine = bytes ? qf_engine_new (quantized, 1, error) : NULL;

  if (!engine)
    return FALSE;
  s->bytes = g_bytes_get_size (bytes);
  for (int i = 0; i < qf_engine_n_steps (engine); i++) {
    QfEngineStep step;

    qf_engine_step (engine, i, &step);
    if (strcmp (step.op, "Conv") == 0 || strcmp (step.op, "Gemm") == 0) {
      s->layers++;
      s->int8 += step.quantized;
      s->macs += step.macs;
      s->int8_macs += step.quantized ? step.macs : 0;
    } else {
      s->others++;
      s->plain += !step.quantized;
    }
  }
  qf_engine_free (engine);
  return TRUE;
}

static void
print_object (const QfQuantizer *q, const Summary *s, const GArray *rows)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();

  json_builder_begin_object (b);
  tool_json_string (b, "model", output);
  tool_json_int (b, "bytes", (gint64) s->bytes);
  tool_json_int (b, "layers", s->layers);
  tool_json_int (b, "int8_layers", s->int8);
  tool_json_int (b, "macs", s->macs);
  tool_json_int (b, "int8_macs", s->int8_macs);
  json_builder_set_member_name (b, "kept_float");
  json_builder_begin_array (b);
  for (int i = 0; i < qf_quantizer_n_layers (q); i++) {
    QfQuantizerLayer layer;

    qf_quantizer_layer (q, i, &layer);
    if (layer.kept)
      json_builder_add_string_value (b, layer.name);
  }
  json_builder_end_array (b);
  json_builder_set_member_name (b, "clips");
  json_builder_begin_array (b);
  for (guint i = 0; i < rows->len; i++) {
    const Row *r = &g_array_index (rows, Row, i);

    json_builder_begin_object (b);
    tool_json_string (b, "clip", r->clip);
    tool_json_int (b, "calibrated", !r->check);
    tool_json_int (b, "pictures", r->agreement.pictures);
    tool_json_int (b, "float_detections", r->agreement.reference);
    tool_json_int (b, "found", r->agreement.found);
    tool_json_int (b, "new", r->agreement.extra);
    tool_json_int (b, "nearly_found", r->agreement.nearly_found);
    tool_json_int (b, "nearly_new", r->agreement.nearly_extra);
    tool_json_number (b, "float_ms", r->ms[0]);
    tool_json_number (b, "int8_ms", r->ms[1]);
    json_builder_end_object (b);
  }
  json_builder_end_array (b);
  json_builder_end_object (b);
  tool_print_json (b);
}

static void
print_text (const QfQuantizer *q, const Summary *s, const GArray *rows)
{
  g_print ("%s: %d of %d layers in int8, %.1f %% of the products, %.0f kB\n",
      output, s->int8, s->layers,
      s->macs ? 100 * (double) s->int8_macs / (double) s->macs : 0,
      (double) s->bytes * 1e-3);
  g_print ("  %d of %d other operators in float\n", s->plain, s->others);
  for (int i = 0; i < qf_quantizer_n_layers (q); i++) {
    QfQuantizerLayer layer;

    qf_quantizer_layer (q, i, &layer);
    if (layer.kept)
      g_print ("  kept in float: %s\n", layer.name);
  }
  if (rows->len)
    g_print ("  %-32s %5s %16s %14s %16s %10s\n", "", "float", "int8 finds",
        "new", "+ nearly", "ms");
  for (guint i = 0; i < rows->len; i++) {
    const Row *r = &g_array_index (rows, Row, i);
    const Agreement *a = &r->agreement;
    g_autofree char *name = g_path_get_basename (r->clip);

    g_print ("  %-32s %5d %6d = %5.1f %% %4d = %4.1f %% %6.1f, %4.1f %% %5.2f, "
             "%4.2f%s\n",
        name, a->reference, a->found, 100 * agreement_share (a, a->found, 1),
        a->extra, 100 * agreement_share (a, a->extra, 0),
        100 * agreement_share (a, a->nearly_found, 1),
        100 * agreement_share (a, a->nearly_extra, 0), r->ms[0], r->ms[1],
        r->check ? "" : "  (calibrated on)");
  }
}

/* ---- all ---------------------------------------------------------------- */

static gboolean
is_float (const QfModel *model, const char *path, GError **error)
{
  if (qf_model_get (model, "qfuse.planes"))
    return TRUE;
  g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
      "%s: does not say which planes it sees; `qfuse import` makes a model "
      "that does",
      path);
  return FALSE;
}

/* Makes the quantized model of @model from @frames. */
static QfModel *
quantize (QfQuantizer *q, QfModel *model, const GPtrArray *frames,
    const QfQuantizeOptions *how, GError **error)
{
  SearchOptions search = { how, max_drop / 100, threads };

  if (!keep_layers (q, error) || !observe (q, frames, error))
    return NULL;
  return max_drop < 0 ? qf_quantizer_model (q, how, error)
                      : search_layers (q, model, frames, &search, error);
}

static gboolean
compare_all (QfModel *model, QfModel *quantized, char **clips, GArray *rows,
    GError **error)
{
  g_autoptr (QfDecoder) decoder = qf_decoder_new (model, NULL);

  if (!decoder) /* nothing to compare */
    return TRUE;
  for (int kind = 0; kind < 2; kind++)
    for (char **c = kind ? checks : clips; c && *c; c++) {
      Row row = { *c, kind == 1, { 0 }, { 0 } };

      if (!compare (model, quantized, &row, error))
        return FALSE;
      g_array_append_val (rows, row);
    }
  return TRUE;
}

static gboolean
run (const char *path, char **clips, GError **error)
{
  g_autoptr (QfModel) model = qf_model_load (path, error), quantized = NULL;
  g_autoptr (QfQuantizer) q = NULL;
  g_autoptr (GPtrArray) frames = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GArray) rows = g_array_new (FALSE, TRUE, sizeof (Row));
  QfQuantizeOptions how = { .correct_bias = !plain_bias };
  Summary summary = { 0 };

  read_ranges (&how.ranges);
  if (!model || !is_float (model, path, error))
    return FALSE;
  q = qf_quantizer_new (model, equalize, error);
  if (!q) {
    g_prefix_error (error, "%s: ", path);
    return FALSE;
  }
  for (char **c = clips; *c; c++)
    if (!frames_read (model, *c, n_frames, frames, error))
      return FALSE;
  if (!(quantized = quantize (q, model, frames, &how, error)) ||
      !qf_model_save (quantized, output, error) ||
      !compare_all (model, quantized, clips, rows, error) ||
      !summarize (quantized, &summary, error))
    return FALSE;
  if (json)
    print_object (q, &summary, rows);
  else
    print_text (q, &summary, rows);
  return TRUE;
}

int
cmd_quantize (int argc, char **argv)
{
  GError *error = NULL;
  QfRanges how;
  int status;

  if (!tool_parse (&options, &argc, &argv, &status))
    return status;
  if (argc < 3 || !output)
    return tool_usage ("quantize", "it takes a model, clips and -o OUT");
  if (!read_ranges (&how))
    return tool_usage (
        "quantize", "--ranges %s: minmax, percentile, mse or entropy", ranges);
  if (n_frames < 1 || n_frames > 10000)
    return tool_usage ("quantize", "--frames takes 1 to 10000");
  if (threads < 0 || threads > 256)
    return tool_usage ("quantize", "--threads takes 0 to 256");
  if (!(max_drop <= 100))
    return tool_usage ("quantize", "--max-drop takes 0 to 100");
  for (int i = 2; i < argc; i++)
    if (!tool_check_input (argv[i], &error))
      return tool_fail_error (error);
  for (char **c = checks; c && *c; c++)
    if (!tool_check_input (*c, &error))
      return tool_fail_error (error);
  if (!tool_check_output (output, &error) || !tool_init_gst (&error) ||
      !run (argv[1], argv + 2, &error))
    return tool_usage_or_fail ("quantize", error);
  return TOOL_DONE;
}
