/* libqfuse: the inside of a model, for lib/ only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/graph.h"
#include "model/model.h"

G_BEGIN_DECLS

struct _QfModel
{
  int refs;
  QfGraph *graph;       /* valid, shapes known, not fused */
  GHashTable *metadata; /* char * → char *, both owned */
  char **labels;        /* split from qfuse.labels; NULL-terminated, never NULL */
};

/** Makes a model of @graph (owned from then on), which must be valid. */
QfModel *qf_model_new (QfGraph *graph);

/** Reads and writes the protobuf form (onnx.c). */
QfModel *qf_onnx_read (const guint8 *bytes, gsize size, GError **error);
GBytes *qf_onnx_write (const QfModel *model, GError **error);

G_END_DECLS
