/* qfuse: times a network on a clip's planes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qfuse.h"

G_BEGIN_DECLS

/** A clip through the network, everything computed and only where something
 * moves, picture by picture in turn. Times are sums in ms. */
typedef struct
{
  int pictures, still;                  /**< still: all planes at rest */
  double all_ms;                        /**< everything computed */
  double sparse_ms;                     /**< only where something moves */
  double still_all_ms, still_sparse_ms; /**< of these on still pictures */
  double macs;    /**< share of multiply-accumulates, mean */
  guint64 differ; /**< bytes of outputs that differ; 0 */
} BenchClip;

/** FALSE: @error is set. QF_ERROR_UNSUPPORTED where the network sees something
 * else than dead-banded differences. */
gboolean bench_clip (QfModel *model, int threads, const char *path,
    BenchClip *result, GError **error);

G_END_DECLS
