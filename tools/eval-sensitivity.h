/* qfuse eval: what each layer's weights at fewer bits do to the figures.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "clips.h"
#include "qfuse.h"

G_BEGIN_DECLS

/** What to measure; as qfuse eval's options. */
typedef struct
{
  const char *model_path;
  const GPtrArray *clips; /**< Clip * */
  const ClipOptions *clip_options;
  int first, last, every; /**< frames of a clip that count */
  double threshold;
  int max_detections, threads;
  int bits;             /**< of a layer's weights, 2 … 8 */
  guint64 memory_limit; /**< bytes of planes */
  gboolean json;
} EvalSensitivity;

/** Reads the clips once, keeps the planes of the frames that count, and runs
 * the network on them: as it is, and with each layer alone at fewer bits.
 * Prints a table, layers that lose least first. FALSE: @error is set, also
 * where the planes do not fit into the limit. */
gboolean eval_sensitivity (const EvalSensitivity *what, GError **error);

/** Label number that a name or number means in @model; −1: none. */
int eval_label_of (const QfModel *model, GQuark name, int number);

G_END_DECLS
