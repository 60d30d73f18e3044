/* libqfuse: reading and writing ONNX, for lib/model/onnx*.c only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/model-private.h"
#include "model/onnx.pb-c.h"

G_BEGIN_DECLS

#define QF_ONNX_MIN_OPSET 9
#define QF_ONNX_MAX_OPSET 21
#define QF_ONNX_OPSET 13 /* written */
#define QF_ONNX_IR 7     /* written: the first that has opset 13 */

/* ONNX's numbers of element and attribute types. */
enum
{
  QF_ONNX_FLOAT = 1,
  QF_ONNX_UINT8 = 2,
  QF_ONNX_INT8 = 3,
  QF_ONNX_INT32 = 6,
  QF_ONNX_INT64 = 7,
  QF_ONNX_BOOL = 9,
  QF_ONNX_ATTR_FLOAT = 1,
  QF_ONNX_ATTR_INT = 2,
  QF_ONNX_ATTR_STRING = 3,
  QF_ONNX_ATTR_TENSOR = 4,
  QF_ONNX_ATTR_FLOATS = 6,
  QF_ONNX_ATTR_INTS = 7
};

/* ---- onnx_tensor.c ------------------------------------------------------ */

/** A constant of a file, as it will stand in the graph. */
typedef struct
{
  QfDType dtype;
  int rank;
  gint64 dims[QF_MAX_RANK];
  gint64 n;   /* elements, 0 allowed */
  void *data; /* owned */
} QfOnnxConstant;

gboolean qf_onnx_dtype (int data_type, QfDType *dtype);
int qf_onnx_data_type (QfDType dtype);

/** Checks a tensor without allocating anything. Types that we do not know pass
 * (they fail where a node uses them). */
gboolean qf_onnx_tensor_check (const Onnx__TensorProto *t, GError **error);

/** Copies the elements of a tensor. */
gboolean qf_onnx_tensor_read (const Onnx__TensorProto *t, QfOnnxConstant *out,
                              GError **error);

/** The same for the attribute of a Constant node. */
gboolean qf_onnx_attribute_read (const Onnx__AttributeProto *a,
                                 QfOnnxConstant *out, GError **error);

/** Swaps between the file's little endian and the machine's order. */
void qf_onnx_swap (QfDType dtype, void *data, gsize n);

/* ---- onnx_read.c -------------------------------------------------------- */

typedef struct
{
  int opset;
  QfGraph *graph;
  QfCheck check;
  GHashTable *tensors;    /* name → Onnx__TensorProto * of an initializer */
  GHashTable *attributes; /* name → Onnx__AttributeProto * of a Constant node */
  GHashTable *values;     /* name → number + 1 in the graph */
  GHashTable *turned;     /* number → number + 1 of the transposed weights */
  GHashTable *makers;     /* name → position of a node in the file + 1 */
} QfOnnxReader;

/** TRUE where @name is a constant of the file. */
gboolean qf_onnx_is_constant (const QfOnnxReader *r, const char *name);

/** Copies the constant @name. */
gboolean qf_onnx_constant (const QfOnnxReader *r, const char *name,
                           QfOnnxConstant *out, GError **error);

/** Number of the value @name, which becomes part of the graph where it is a
 * constant; −1 with @error where nothing makes it. */
int qf_onnx_value (QfOnnxReader *r, const char *name, GError **error);

/** @stem + @suffix, or with a number where that name is taken. */
char *qf_onnx_unique_name (const QfOnnxReader *r, const char *stem,
                           const char *suffix);

/** Adds a constant that the reader computed, under such a name. */
int qf_onnx_add_constant (QfOnnxReader *r, const char *stem, const char *suffix,
                          const QfOnnxConstant *k, GError **error);

/* ---- onnx_nodes.c ------------------------------------------------------- */

/** Adds what @node stands for to the graph. */
gboolean qf_onnx_read_node (QfOnnxReader *r, const Onnx__NodeProto *node,
                            GError **error);

/** Name of a node, made up from its output where it has none. */
const char *qf_onnx_node_name (const Onnx__NodeProto *node);

G_END_DECLS
