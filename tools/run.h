/* qfuse: runs a model on arrays.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qfuse.h"

G_BEGIN_DECLS

/** Runs @model_path once on @in (QfNamedArray *: by name, without a name by
 * position). Sizes that the model leaves open, and inputs that decide shapes,
 * are taken from them. Returns its outputs as the graph has them. */
GPtrArray *run_on_arrays (
    const char *model_path, const GPtrArray *in, int threads, GError **error);

G_END_DECLS
