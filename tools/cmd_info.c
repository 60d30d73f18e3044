/* qfuse info.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

int
cmd_info (int argc, char **argv)
{
  return tool_fail ("info is not written yet");
}
