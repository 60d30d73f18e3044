/* qfuse train.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tool.h"

int
cmd_train (int argc, char **argv)
{
  return tool_fail ("train is not written yet");
}
