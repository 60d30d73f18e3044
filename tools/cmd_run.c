/* qfuse run: a model on arrays.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

#include <string.h>

#include "arrays.h"
#include "run.h"

static char *output;
static int threads;

static const GOptionEntry entries[] = {
  { "output", 'o', 0, G_OPTION_ARG_FILENAME, &output,
      "Where the outputs go: .npz, or .npy or .pb for one", "OUT" },
  { "threads", 't', 0, G_OPTION_ARG_INT, &threads,
      "Threads, 0: as many as there are processors (default)", "N" },
  { NULL }
};

static const ToolOptions options = {
  .command = "run",
  .arguments = "MODEL [NAME=]IN… -o OUT",
  .summary = "Runs a model once on arrays: NumPy's .npy and .npz, ONNX's .pb. "
             "Arrays with a name go to the input of that name, others in "
             "order. Sizes that the model leaves open are those of the arrays.",
  .examples = "  qfuse run yunet.onnx frame.npy -o scores.npz\n"
              "  qfuse run net.onnx input=x.npy state=s.npy -o y.npy",
  .entries = entries,
};

/* "NAME=FILE" or "FILE". */
static gboolean
read_argument (const char *text, GPtrArray *in, GError **error)
{
  const char *sign = strchr (text, '=');
  guint before = in->len;
  QfNamedArray *a;

  if (!sign || g_file_test (text, G_FILE_TEST_EXISTS))
    return arrays_read (text, in, error);
  if (!arrays_read (sign + 1, in, error))
    return FALSE;
  if (in->len != before + 1) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "%s: holds more than one array", text);
    return FALSE;
  }
  a = g_ptr_array_index (in, before);
  g_free (a->name);
  a->name = g_strndup (text, (gsize) (sign - text));
  return TRUE;
}

int
cmd_run (int argc, char **argv)
{
  g_autoptr (GPtrArray) in =
      g_ptr_array_new_with_free_func ((GDestroyNotify) qf_named_array_free),
                        out = NULL;
  GError *error = NULL;
  int status;

  if (!tool_parse (&options, &argc, &argv, &status))
    return status;
  if (argc < 2)
    return tool_usage ("run", "it takes a model and its inputs");
  if (!output || !arrays_knows (output))
    return tool_usage ("run", "-o takes a .npz, .npy or .pb file");
  if (threads < 0 || threads > 256)
    return tool_usage ("run", "--threads takes 0 to 256");
  for (int i = 2; i < argc; i++)
    if (!read_argument (argv[i], in, &error))
      return tool_usage_or_fail ("run", error);
  out = run_on_arrays (argv[1], in, threads, &error);
  if (!out || !arrays_write (output, out, &error))
    return tool_usage_or_fail ("run", error);
  return TOOL_DONE;
}
