/* qfuse bench.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

int
cmd_bench (int argc, char **argv)
{
  return tool_fail ("bench is not written yet");
}
