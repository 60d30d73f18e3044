/* qfuse: which layers have to stay in float.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qfuse.h"

G_BEGIN_DECLS

typedef struct
{
  const QfQuantizeOptions *how;
  double max_drop; /**< share of detections that may go, and may be new */
  int threads;
} SearchOptions;

/** Quantizes @q, of the float @model, after all its passes. Layers stay in
 * float, the most sensitive first (by the error of the outputs with this layer
 * alone quantized), until on @frames as much is found as @options ask. NULL:
 * @error is set. */
QfModel *search_layers (QfQuantizer *q, QfModel *model, const GPtrArray *frames,
    const SearchOptions *options, GError **error);

G_END_DECLS
