/* qfuse eval.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

int
cmd_eval (int argc, char **argv)
{
  return tool_fail ("eval is not written yet");
}
