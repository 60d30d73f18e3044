/* libqfuse: reading and writing ONNX, for lib/model/onnx*.c only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/model-private.h"
#include "model/onnx.pb-c.h"

G_BEGIN_DECLS

#define QF_ONNX_MIN_OPSET 9
#define QF_ONNX_MAX_OPSET 28
#define QF_ONNX_OPSET 13 /* written, where nothing needs a later one */
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
  QF_ONNX_DOUBLE = 11,
  QF_ONNX_UINT4 = 21,
  QF_ONNX_INT4 = 22,
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
  int bits;   /* as QfValue's */
  void *data; /* owned */
} QfOnnxConstant;

gboolean qf_onnx_dtype (int data_type, QfDType *dtype);

/** The same of a constant, which may be packed: two elements a byte, the first
 * in the low half; *@bits is then 4, else 0. */
gboolean qf_onnx_constant_dtype (int data_type, QfDType *dtype, int *bits);
int qf_onnx_data_type (QfDType dtype);

/** Checks a tensor without allocating anything. Types that we do not know pass
 * (they fail where a node uses them). */
gboolean qf_onnx_tensor_check (const Onnx__TensorProto *t, GError **error);

/** Copies the elements of a tensor. */
gboolean qf_onnx_tensor_read (
    const Onnx__TensorProto *t, QfOnnxConstant *out, GError **error);

/** Takes the elements out of the tensor where that is possible. */
gboolean qf_onnx_tensor_take (
    Onnx__TensorProto *t, QfOnnxConstant *out, GError **error);

/** The same for the attribute of a Constant node. */
gboolean qf_onnx_attribute_read (
    const Onnx__AttributeProto *a, QfOnnxConstant *out, GError **error);

/** Swaps between the file's little endian and the machine's order. */
void qf_onnx_swap (QfDType dtype, void *data, gsize n);

/* ---- onnx_read.c -------------------------------------------------------- */

/** A message of two bytes can ask for a hundred. Room for ordinary files is
 * eight times their size (typed integers) and some for small ones. */
typedef struct
{
  gsize left;
} QfOnnxBudget;

/** The messages of a file, to be freed with @allocator, which @budget must
 * outlive; both are set here. NULL: @error is set. */
Onnx__ModelProto *qf_onnx_unpack (GBytes *bytes, QfOnnxBudget *budget,
    ProtobufCAllocator *allocator, GError **error);

/** Room for messages of @size bytes. */
void qf_onnx_budget_init (
    QfOnnxBudget *budget, ProtobufCAllocator *allocator, gsize size);

/* ---- onnx_branches.c ---------------------------------------------------- */

/** A branch of an If node: runs where the condition is @wants and that branch
 * which it lies in runs. */
typedef struct
{
  int parent;            /* number of a guard, −1: none */
  const char *condition; /* name of a bool */
  gboolean wants;
} QfOnnxGuard;

/** A graph without branches. Lives no longer than the file's messages. */
typedef struct
{
  Onnx__GraphProto graph;
  GArray *guards;       /* QfOnnxGuard, parents first */
  GHashTable *guard_of; /* Onnx__NodeProto * → number + 1 */
  GPtrArray *nodes, *initializers;
  GPtrArray *owned;    /* copies of messages and lists of names */
  GPtrArray *branches; /* Onnx__GraphProto *, by the allocator */
  GStringChunk *texts;
  QfOnnxBudget budget;
  ProtobufCAllocator allocator;
} QfOnnxFlat;

QfOnnxFlat *qf_onnx_flatten (const Onnx__GraphProto *g, GError **error);
void qf_onnx_flat_free (QfOnnxFlat *f);

/** Number of the node's guard, −1: always runs. */
int qf_onnx_guard_of (const QfOnnxFlat *f, const Onnx__NodeProto *node);

/* ---- onnx_read.c -------------------------------------------------------- */

typedef struct
{
  int opset;
  gboolean keeps; /* constants are copied, not taken out of the file */
  QfGraph *graph;
  QfCheck check;
  GHashTable *tensors;    /* name → Onnx__TensorProto * of an initializer */
  GHashTable *attributes; /* name → Onnx__AttributeProto * of a Constant node */
  GHashTable *values;     /* name → number + 1 in the graph */
  GHashTable *turned;     /* number → number + 1 of the transposed weights */
  GHashTable *makers;     /* name → position of a node in the file + 1 */
} QfOnnxReader;

/** Tables of a reader whose opset is set; they hold what the file holds. */
void qf_onnx_reader_init (QfOnnxReader *r);
void qf_onnx_reader_clear (QfOnnxReader *r);

/** Judges names and collects constants. */
gboolean qf_onnx_collect (
    QfOnnxReader *r, const Onnx__GraphProto *g, GError **error);

/** Positions (guint) of the nodes but Constant ones, each after what it reads;
 * NULL with @error. */
GArray *qf_onnx_order (
    QfOnnxReader *r, const Onnx__GraphProto *g, GError **error);

/** TRUE where @name is a constant of the file. */
gboolean qf_onnx_is_constant (const QfOnnxReader *r, const char *name);

/** Copies the constant @name. */
gboolean qf_onnx_constant (const QfOnnxReader *r, const char *name,
    QfOnnxConstant *out, GError **error);

/** Number of the value @name, which becomes part of the graph where it is a
 * constant; −1 with @error where nothing makes it. */
int qf_onnx_value (QfOnnxReader *r, const char *name, GError **error);

/** @stem + @suffix, or with a number where that name is taken. Take the
 * output's name as the stem: those are different, so that trying takes no time.
 */
char *qf_onnx_unique_name (
    const QfOnnxReader *r, const char *stem, const char *suffix);

/** Adds a constant that the reader computed, under such a name, and takes its
 * data; where it fails, it may have left that. */
int qf_onnx_add_constant (QfOnnxReader *r, const char *stem, const char *suffix,
    QfOnnxConstant *k, GError **error);

/* ---- onnx_write.c ------------------------------------------------------- */

/* What messages point to and nobody else owns is freed with the `memory` of @w,
 * a GPtrArray with g_free(), once the file is packed. */
static inline gpointer
qf_onnx_keep (GPtrArray *memory, gpointer p)
{
  g_ptr_array_add (memory, p);
  return p;
}

#define QF_KEEP(w, p) qf_onnx_keep ((w)->memory, p)
#define QF_KEEP_NEW(w, type, n) ((type *) QF_KEEP (w, g_new0 (type, (n) + 1)))

/** The file of at most 1 GiB; NULL: @error is set. */
GBytes *qf_onnx_pack (const Onnx__ModelProto *m, GError **error);

/** The first version of the file format that came with @opset. */
int qf_onnx_ir_version (int opset);

/* ---- onnx_attributes.c -------------------------------------------------- */

/** Sets @error, without the node's name, and is FALSE. */
#define FAIL(code, ...)                                                        \
  (g_set_error (error, QF_ERROR, code, __VA_ARGS__), FALSE)

/** Name of a node, made up from its output where it has none. */
const char *qf_onnx_node_name (const Onnx__NodeProto *node);

/** Name of input @i, NULL where it is absent. */
const char *qf_onnx_input_name (const Onnx__NodeProto *node, gsize i);

const Onnx__AttributeProto *qf_onnx_find_attribute (
    const Onnx__NodeProto *node, const char *name);

/** These leave the value as it is where the node has no such attribute, and
 * fail where it has another type or a number out of range. */
gboolean qf_onnx_get_int (
    const Onnx__NodeProto *node, const char *name, int *value, GError **error);
gboolean qf_onnx_get_float (const Onnx__NodeProto *node, const char *name,
    float *value, GError **error);
gboolean qf_onnx_get_ints (const Onnx__NodeProto *node, const char *name, int n,
    int *values, GError **error);

/** Copies a text, @fallback where it is absent, into @text[32]. */
gboolean qf_onnx_get_text (const Onnx__NodeProto *node, const char *name,
    const char *fallback, char *text, GError **error);

/** Fails unless the attribute is absent or @wanted. */
gboolean qf_onnx_must_be (
    const Onnx__NodeProto *node, const char *name, int wanted, GError **error);

/* ---- onnx_gemm.c -------------------------------------------------------- */

gboolean qf_onnx_read_gemm (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error);

/* ---- onnx_slice.c ------------------------------------------------------- */

gboolean qf_onnx_read_slice (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error);

/** Of channels only, by a constant list. */
gboolean qf_onnx_read_gather (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error);

/** Adds one QF_OP_SLICE for each output, and checks them. */
gboolean qf_onnx_read_split (
    QfOnnxReader *r, const Onnx__NodeProto *node, GError **error);

/* ---- onnx_nodes.c ------------------------------------------------------- */

/** Adds a node that reads the first @n inputs of the file's; those that are
 * absent become −1, and missing ones at the end are left out. */
QfNode *qf_onnx_add_node (QfOnnxReader *r, const Onnx__NodeProto *node, QfOp op,
    gsize n, GError **error);

/** Adds what @node stands for to the graph. */
gboolean qf_onnx_read_node (
    QfOnnxReader *r, const Onnx__NodeProto *node, GError **error);

G_END_DECLS
