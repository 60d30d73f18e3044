/* qfuse info: what a model file holds.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

#include <string.h>

#include "qfuse.h"

static gboolean json;

static const GOptionEntry entries[] = {
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print one JSON object", NULL },
  { NULL }
};

static const ToolOptions options = {
  .command = "info",
  .arguments = "MODEL",
  .summary = "Shows a model's metadata and its graph as it runs: shapes, "
             "multiply-accumulates (MAC) and bytes of weights.",
  .examples = "  qfuse info models/pedestrian.onnx\n"
              "  qfuse info --json models/pedestrian.onnx",
  .entries = entries,
};

static const char *
dtype_name (QfDType t)
{
  return t == QF_U8 ? "uint8"
      : t == QF_I8  ? "int8"
      : t == QF_F32 ? "float32"
      : t == QF_I32 ? "int32"
      : t == QF_I64 ? "int64"
                    : "bool";
}

static gint64
total_bytes (const QfEngine *engine)
{
  gint64 sum = 0;

  for (int i = 0; i < qf_engine_n_steps (engine); i++) {
    QfEngineStep step;

    qf_engine_step (engine, i, &step);
    sum += (gint64) step.weight_bytes;
  }
  return sum;
}

/* One line of metadata: labels stand in one line, blanks between. */
static char *
one_line (const char *text)
{
  char *line = g_strchomp (g_strdup (text));

  return g_strdelimit (line, "\r\n", ',');
}

static void
print_tensor (const char *what, const QfTensor *t)
{
  g_print ("  %-8s %s  %d x %d x %d  %s", what, t->name, t->c, t->h, t->w,
      dtype_name (t->dtype));
  if (t->dtype == QF_U8 && t->scale > 0)
    g_print ("  scale %g, zero %d", (double) t->scale, t->zero);
  g_print ("\n");
}

/* Why a step is not int8; "" where it is, or only moves data. */
static const char *
why_float (const QfEngineStep *s)
{
  if (s->quantized || strcmp (s->op, "Layout") == 0)
    return "";
  if (strcmp (s->op, "QuantizeLinear") == 0 ||
      strcmp (s->op, "DequantizeLinear") == 0)
    return "border between int8 and float";
  if (g_strcmp0 (s->kernel, "plain") == 0)
    return "operator has no int8 kernel";
  return "input, weights or result are not quantized";
}

static void
print_text (const QfModel *model, const QfEngine *engine)
{
  GList *keys = qf_model_keys (model);

  g_print ("Metadata:\n");
  for (GList *k = keys; k; k = k->next) {
    g_autofree char *value = one_line (qf_model_get (model, k->data));

    g_print ("  %-18s %s\n", (const char *) k->data, value);
  }
  g_list_free (keys);
  g_print ("Tensors (channels x rows x columns):\n");
  for (int i = 0; i < qf_engine_n_inputs (engine); i++)
    print_tensor ("input", qf_engine_input (engine, i));
  for (int i = 0; i < qf_engine_n_outputs (engine); i++)
    print_tensor ("output", qf_engine_output (engine, i));
  g_print ("Graph as it runs:\n  %3s  %-20s %-14s %-7s %-15s %9s %4s %8s %8s  %s\n",
      "#", "node", "operator", "type", "output", "MMAC", "bits", "in file",
      "packed", "why not int8");
  for (int i = 0; i < qf_engine_n_steps (engine); i++) {
    QfEngineStep s;
    g_autofree char *shape = NULL;

    qf_engine_step (engine, i, &s);
    shape = g_strdup_printf ("%d x %d x %d", s.c, s.h, s.w);
    g_print ("  %3d  %-20s %-14s %-7s %-15s %9.3f %4d %8" G_GSIZE_FORMAT
             " %8" G_GSIZE_FORMAT "  %s\n",
        i, s.name, s.op, s.quantized ? "int8" : "float", shape,
        (double) s.macs * 1e-6, s.weight_bits, s.file_bytes, s.weight_bytes,
        why_float (&s));
  }
  g_print ("Sum: %.3f MMAC a picture, %" G_GINT64_FORMAT
           " bytes of weights, %" G_GSIZE_FORMAT
           " bytes in memory when it runs\n",
      (double) qf_model_macs (model) * 1e-6, total_bytes (engine),
      qf_engine_memory (engine));
}

static void
json_shape (JsonBuilder *b, const char *name, int c, int h, int w)
{
  json_builder_set_member_name (b, name);
  json_builder_begin_array (b);
  json_builder_add_int_value (b, c);
  json_builder_add_int_value (b, h);
  json_builder_add_int_value (b, w);
  json_builder_end_array (b);
}

static void
json_tensor (JsonBuilder *b, const QfTensor *t)
{
  json_builder_begin_object (b);
  tool_json_string (b, "name", t->name);
  tool_json_string (b, "type", dtype_name (t->dtype));
  json_shape (b, "shape", t->c, t->h, t->w);
  if (t->dtype == QF_U8 && t->scale > 0) {
    tool_json_number (b, "scale", t->scale);
    tool_json_int (b, "zero", t->zero);
  }
  json_builder_end_object (b);
}

static void
print_object (const QfModel *model, const QfEngine *engine)
{
  g_autoptr (JsonBuilder) b = json_builder_new ();
  GList *keys = qf_model_keys (model);

  json_builder_begin_object (b);
  json_builder_set_member_name (b, "metadata");
  json_builder_begin_object (b);
  for (GList *k = keys; k; k = k->next)
    tool_json_string (b, k->data, qf_model_get (model, k->data));
  json_builder_end_object (b);
  g_list_free (keys);

  json_builder_set_member_name (b, "inputs");
  json_builder_begin_array (b);
  for (int i = 0; i < qf_engine_n_inputs (engine); i++)
    json_tensor (b, qf_engine_input (engine, i));
  json_builder_end_array (b);
  json_builder_set_member_name (b, "outputs");
  json_builder_begin_array (b);
  for (int i = 0; i < qf_engine_n_outputs (engine); i++)
    json_tensor (b, qf_engine_output (engine, i));
  json_builder_end_array (b);

  json_builder_set_member_name (b, "nodes");
  json_builder_begin_array (b);
  for (int i = 0; i < qf_engine_n_steps (engine); i++) {
    QfEngineStep s;

    qf_engine_step (engine, i, &s);
    json_builder_begin_object (b);
    tool_json_string (b, "name", s.name);
    tool_json_string (b, "op", s.op);
    tool_json_string (b, "kernel", s.kernel ? s.kernel : "");
    json_builder_set_member_name (b, "quantized");
    json_builder_add_boolean_value (b, s.quantized);
    tool_json_string (b, "why_float", why_float (&s));
    json_shape (b, "shape", s.c, s.h, s.w);
    tool_json_int (b, "macs", s.macs);
    tool_json_int (b, "weight_bits", s.weight_bits);
    tool_json_int (b, "file_bytes", (gint64) s.file_bytes);
    tool_json_int (b, "weight_bytes", (gint64) s.weight_bytes);
    json_builder_end_object (b);
  }
  json_builder_end_array (b);
  tool_json_int (b, "macs", qf_model_macs (model));
  tool_json_int (b, "weight_bytes", total_bytes (engine));
  tool_json_int (b, "memory_bytes", (gint64) qf_engine_memory (engine));
  json_builder_end_object (b);
  tool_print_json (b);
}

int
cmd_info (int argc, char **argv)
{
  g_autoptr (QfModel) model = NULL;
  g_autoptr (QfEngine) engine = NULL;
  GError *error = NULL;
  int status;

  if (!tool_parse (&options, &argc, &argv, &status))
    return status;
  if (argc != 2)
    return tool_usage ("info", "it takes one model file");
  model = qf_model_load (argv[1], &error);
  if (model)
    engine = qf_engine_new (model, 1, &error);
  if (!engine)
    return tool_fail_error (error);
  if (json)
    print_object (model, engine);
  else
    print_text (model, engine);
  return TOOL_DONE;
}
