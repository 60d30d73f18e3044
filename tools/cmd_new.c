/* qfuse new: a network that has learned nothing yet.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

#include <stdio.h>
#include <string.h>

#include "qfuse.h"

static char *output, *network, *planes, *size, *labels, *head, *fit;
static gint64 seed = 1;
static gboolean json;

static const GOptionEntry entries[] = { { "output", 'o', 0,
                                            G_OPTION_ARG_FILENAME, &output,
                                            "Where it is written", "MODEL" },
  { "network", 'n', 0, G_OPTION_ARG_STRING, &network,
      "nano (default), small or base: about 60, 180 and 500 million "
      "multiplications a picture of 320x256 for boxes",
      "NAME" },
  { "planes", 'p', 0, G_OPTION_ARG_STRING, &planes,
      "What it sees: Y the picture, D5 its difference to 5 pictures before; "
      "with gain and dead band D5x2t8 (default Y,D1x2t8,D5x2t8)",
      "P" },
  { "size", 0, 0, G_OPTION_ARG_STRING, &size,
      "Of its input in pixels, multiples of 16 (default 320x240)", "WxH" },
  { "fit", 0, 0, G_OPTION_ARG_STRING, &fit,
      "How pictures fit in: letterbox (default) or stretch", "FIT" },
  { "head", 0, 0, G_OPTION_ARG_STRING, &head,
      "fcos (boxes, default) or classify (actions)", "HEAD" },
  { "labels", 'l', 0, G_OPTION_ARG_STRING, &labels,
      "Names of the classes, commas between, or how many (default object)",
      "NAMES" },
  { "seed", 0, 0, G_OPTION_ARG_INT64, &seed,
      "The same seed draws the same weights (default 1)", "N" },
  { "json", 0, 0, G_OPTION_ARG_NONE, &json, "Print one JSON object", NULL },
  { NULL } };

static const ToolOptions options = {
  .command = "new",
  .arguments = "-o MODEL",
  .summary =
      "Makes a network whose weights are drawn by chance, in float32, and says "
      "what it costs.\nqfuse train makes its own; this one is for looking at "
      "(qfuse info), for measuring\n(qfuse bench), and for training "
      "elsewhere.",
  .examples =
      "  qfuse new -o small.onnx --network small --planes Y,D5,D15 --size "
      "320x256 --labels bird,drone\n"
      "  qfuse new -o action.onnx --head classify --planes D1x2t8,D5x2t8 "
      "--labels walk,fall\n"
      "  qfuse train -m small.onnx -o trained.onnx clips/",
  .entries = entries,
};

/* "a,b" to lines; a number to that many made-up names. NULL: wrong. */
static char *
label_lines (const char *text, GError **error)
{
  GString *lines = g_string_new (NULL);
  g_auto (GStrv) names = g_strsplit (text, ",", -1);
  guint64 count;

  if (g_ascii_string_to_unsigned (text, 10, 1, 1000, &count, NULL)) {
    for (guint64 i = 1; i <= count; i++)
      g_string_append_printf (lines, "class %" G_GUINT64_FORMAT "\n", i);
    return g_string_free (lines, FALSE);
  }
  for (int i = 0; names[i]; i++) {
    gboolean wrong = !*g_strstrip (names[i]);

    for (int j = 0; j < i; j++)
      wrong |= g_str_equal (names[i], names[j]);
    if (wrong) {
      g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
          "--labels %s: a name is empty or there twice", text);
      g_string_free (lines, TRUE);
      return NULL;
    }
    g_string_append_printf (lines, "%s\n", names[i]);
  }
  return g_string_free (lines, FALSE);
}

static gboolean
read_options (QfTrainOptions *o, char **lines, GError **error)
{
  int used = 0;

  qf_train_options_init (o);
  if (!qf_planes_parse (&o->planes, planes ? planes : "Y,D1x2t8,D5x2t8", error))
    return FALSE;
  if (size &&
      (sscanf (size, "%dx%d%n", &o->width, &o->height, &used) != 2 ||
          size[used])) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "--size %s: write it like 320x240", size);
    return FALSE;
  }
  if (fit && !qf_fit_parse (fit, &o->fit)) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "--fit %s: letterbox or stretch", fit);
    return FALSE;
  }
  if (!(*lines = label_lines (labels ? labels : o->labels, error)))
    return FALSE;
  o->labels = *lines;
  o->network = network ? network : o->network;
  o->head = head ? head : o->head;
  o->seed = (guint64) seed;
  o->threads = 1;
  if (g_str_equal (o->head, "classify") && !strchr (*lines, '\n')[1]) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "One label leaves nothing to tell apart; give --labels two or more");
    return FALSE;
  }
  return TRUE;
}

static void
report (const QfTrainOptions *o, const QfModel *model, gint64 parameters)
{
  g_autofree char *what = qf_planes_to_string (&o->planes);

  if (json) {
    g_autoptr (JsonBuilder) b = json_builder_new ();

    json_builder_begin_object (b);
    tool_json_string (b, "model", output);
    tool_json_string (b, "network", o->network);
    tool_json_string (b, "planes", what);
    tool_json_int (b, "width", o->width);
    tool_json_int (b, "height", o->height);
    tool_json_int (b, "macs", qf_model_macs (model));
    tool_json_int (b, "parameters", parameters);
    json_builder_end_object (b);
    tool_print_json (b);
    return;
  }
  g_print ("%s: %s sees %s at %dx%d, %d label%s; %.1f MMAC a picture, "
           "%" G_GINT64_FORMAT " parameters\n",
      output, o->network, what, o->width, o->height, qf_model_n_labels (model),
      qf_model_n_labels (model) == 1 ? "" : "s",
      (double) qf_model_macs (model) * 1e-6, parameters);
}

int
cmd_new (int argc, char **argv)
{
  g_autofree char *lines = NULL;
  g_autoptr (QfModel) model = NULL;
  QfTrainOptions o;
  GError *error = NULL;
  gint64 parameters;
  int status;

  if (!tool_parse (&options, &argc, &argv, &status))
    return status;
  if (argc > 1 || !output)
    return tool_usage ("new", "it takes -o MODEL and no other file");
  if (seed < 0)
    return tool_usage ("new", "numbers must not be negative");
  if (!read_options (&o, &lines, &error))
    return tool_usage_or_fail ("new", error);
  if (!(model = qf_train_new_model (&o, &parameters, &error)))
    return tool_usage_or_fail ("new", error);
  if (!tool_check_output (output, &error) ||
      !qf_model_save (model, output, &error))
    return tool_fail_error (error);
  report (&o, model, parameters);
  return TOOL_DONE;
}
