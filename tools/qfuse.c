/* qfuse: the command: teaches networks on video and runs them on it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>
#include <string.h>

#include "tool.h"
#include "tool-config.h"

static const struct
{
  const char *name, *purpose;
  int (*run) (int argc, char **argv);
} commands[] = {
  { "annotate", "draw what a network finds into a video", cmd_annotate },
  { "new", "make a network that has learned nothing yet", cmd_new },
  { "train", "teach a network on tagged videos", cmd_train },
  { "eval", "measure a network against tagged videos", cmd_eval },
  { "import", "make a detector that others trained one of ours", cmd_import },
  { "quantize", "make the int8 form of a float network", cmd_quantize },
  { "run", "run a network on NumPy or ONNX arrays", cmd_run },
  { "info", "show what a model file holds", cmd_info },
  { "bench", "measure how fast a network runs", cmd_bench },
};

static void
print_help (void)
{
  g_print (
      "Usage: qfuse COMMAND …\n\n"
      "Teaches int8 networks on video and its difference images, and draws "
      "what they find.\n\nCommands:\n");
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    g_print ("  %-10s %s\n", commands[i].name, commands[i].purpose);
  g_print ("\n`qfuse COMMAND --help` tells more, with examples.\n"
           "Exit codes: 0 done, 1 failed, 2 wrong usage.\n\n"
           "Examples:\n"
           "  qfuse annotate street.mp4 -o street-boxes.mp4\n"
           "  qfuse eval models/pedestrian.onnx vtest.avi --truth gt.txt\n"
           "  qfuse info --json models/pedestrian.onnx\n");
}

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "");
  setlocale (LC_NUMERIC, "C"); // numbers in files and JSON have points
  if (argc < 2)
    return tool_usage ("", "a command is missing");
  if (!strcmp (argv[1], "--help") || !strcmp (argv[1], "-h") ||
      !strcmp (argv[1], "help")) {
    print_help ();
    return TOOL_DONE;
  }
  if (!strcmp (argv[1], "--version")) {
    g_print ("qfuse %s\n", QFUSE_VERSION);
    return TOOL_DONE;
  }
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    if (!strcmp (argv[1], commands[i].name))
      return commands[i].run (argc - 1, argv + 1);
  return tool_usage ("", "there is no command \"%s\"", argv[1]);
}
