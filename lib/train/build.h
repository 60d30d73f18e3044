/* libqfuse: builds start networks.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/graph.h"

/** What a builder needs to know. */
typedef struct
{
  int planes, width, height; /* of the input; multiples of 16 */
  int labels;
  const char *head;          /* "fcos" or "classify" */
} QfBuild;

/** Builds network @name ("nano", "small", "base") as a float graph whose uint8 input is followed by
 * DequantizeLinear (scale 1/64, zero point 128); weights are zero, to be given by
 * qf_net_init(). */
QfGraph *qf_build_network (const char *name, const QfBuild *b, GError **error);
