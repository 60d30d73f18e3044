/* libqfuse: ONNX TensorProto files.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/dtype.h"
#include "base/error.h"

G_BEGIN_DECLS

/** A named tensor that owns its elements: dense, in ONNX's order. */
typedef struct
{
  char *name; /**< "" where it has none */
  QfDType dtype;
  int rank;
  gint64 dims[QF_MAX_RANK];
  void *data;
} QfNamedArray;

void qf_named_array_free (QfNamedArray *array);

/** Elements of @array. */
gint64 qf_named_array_elements (const QfNamedArray *array);

/** Reads a serialized TensorProto (.pb); damaged or of a type that is not
 * supported: NULL with @error. */
QfNamedArray *qf_named_array_from_pb (GBytes *bytes, GError **error);

/** The same written. */
GBytes *qf_named_array_to_pb (const QfNamedArray *array);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfNamedArray, qf_named_array_free)

G_END_DECLS
