/* libqfuse: the inside of a model, for lib/ only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/graph.h"
#include "model/model.h"
#include "model/dag.h"

G_BEGIN_DECLS

struct _QfModel
{
  int refs;
  QfGraph *graph;       /* valid, shapes known, not fused; or NULL: dag */
  QfDag *dag;           /* what the planner cannot take whole; or NULL */
  GBytes *file;         /* with dag: as it was read */
  GMutex lock;          /* of shared */
  gpointer shared;      /* QfShared of the engines on it, or NULL; theirs */
  GHashTable *metadata; /* char * → char *, both owned */
  char **labels; /* split from qfuse.labels; NULL-terminated, never NULL */
};

/** Makes a model of @graph (owned from then on), which must be valid; NULL: the
 * caller sets dag. */
QfModel *qf_model_new (QfGraph *graph);

/** The graph, or NULL with an error that says what cannot be done (@what:
 * "be trained") with a model that has operators beyond it. */
QfGraph *qf_model_graph (
    const QfModel *model, const char *what, GError **error);

/** The bytes of the file at @path, of which no field reaches past its end; NULL
 * with an error that names the file. */
GBytes *qf_model_read_file (const char *path, GError **error);

/** Frees a QfValue or QfNode (graph.c). */
void qf_value_free (gpointer value);
void qf_node_free (gpointer node);

/** Reads and writes the protobuf form (onnx_read.c, onnx_write.c). Reading
 * takes @bytes and drops them as soon as it can. This takes what the planner
 * takes as it stands, */
QfModel *qf_onnx_read (GBytes *bytes, GError **error);

/** this any operators. */
QfModel *qf_onnx_read_any (GBytes *bytes, const QfBinding *bindings,
    int n_bindings, GError **error);

/** and this the same without islands, with all constants in the dag. */
QfDag *qf_onnx_read_dag (GBytes *bytes, GError **error);
GBytes *qf_onnx_write (const QfModel *model, GError **error);

/* validate.c: judges a graph step by step, so that a reader knows the shapes of
 * what a node reads before it makes the node. */

/** Where a value comes from. */
typedef enum
{
  QF_FROM_NOTHING,    /* nothing has made it yet */
  QF_FROM_CONSTANT,   /* its elements are known */
  QF_FROM_WEIGHTS,    /* quantized or dequantized from a constant */
  QF_FROM_COMPUTATION /* a graph input, or made of one */
} QfOrigin;

typedef struct
{
  QfGraph *graph;
  GByteArray *origin; /* QfOrigin of each value */
  gint64 weights;     /* elements of all weights, each use counted */
} QfCheck;

void qf_check_init (QfCheck *c, QfGraph *graph);
void qf_check_clear (QfCheck *c);
QfOrigin qf_check_origin (const QfCheck *c, int value);

/** A new constant or graph input. */
gboolean qf_check_constant (QfCheck *c, int value, GError **error);
gboolean qf_check_input (QfCheck *c, int value, GError **error);

/** The next node in topological order; sets dtype and shape of its output. */
gboolean qf_check_node (QfCheck *c, QfNode *node, GError **error);
gboolean qf_check_output (QfCheck *c, int value, GError **error);

/** Sets "node 'name' (Op): message" and returns FALSE. */
gboolean qf_node_error (GError **error, QfErrorCode code, const char *name,
    const char *op, const char *format, ...) G_GNUC_PRINTF (5, 6);

/** Reads scale and zero point of a per-tensor QuantizeLinear or
 * DequantizeLinear; FALSE where it has more than one scale. */
gboolean qf_node_quantization (
    const QfGraph *g, const QfNode *n, float *scale, int *zero);

G_END_DECLS
