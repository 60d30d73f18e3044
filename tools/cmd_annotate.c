/* qfuse annotate.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

int
cmd_annotate (int argc, char **argv)
{
  return tool_fail ("annotate is not written yet");
}
