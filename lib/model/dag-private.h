/* libqfuse: reading graphs of any operators, for lib/model/net_*.c only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/dag.h"
#include "model/onnx-private.h"

G_BEGIN_DECLS

typedef struct
{
  QfOnnxReader *file; /**< names, constants and order */
  const QfOnnxFlat *flat;
  GArray *guards; /**< int: of the file's guards ours, or one of these */
  QfDag *dag;
  GHashTable *numbers; /**< name → number + 1 */
  GPtrArray *protos;   /**< of each node: const Onnx__NodeProto * */
  GHashTable *dequantized; /**< name of a folded constant → the proto of the
                              DequantizeLinear that made it */
  const QfBinding *bindings;
  int n_bindings;
  gboolean
      bind_lists; /**< given values of at most one dimension are constant */
  gboolean wants_constant; /**< what would have helped */
  gint64 fold_elements;    /**< that may still be folded */
  gint64 fold_work;        /**< operations that may still go into it */
} QfDagReader;

/** Reads the graph of any operators. @graph NULL: it finds no islands, and all
 * constants stay. NULL: @error is set. */
QfDag *qf_dag_read (const Onnx__ModelProto *m, int opset,
    const QfBinding *bindings, int n_bindings, QfGraph **graph, GError **error);

/** Finds what can run as islands (dag_islands.c). Where everything can, returns
 * it as one graph. */
QfGraph *qf_dag_find_islands (QfDagReader *r);

/** Number of the value @name; constants are read when they are asked for. −1
 * with @error where nothing makes it. */
int qf_dag_find_value (QfDagReader *r, const char *name, GError **error);

/** Reads one attribute into @a, which is all zeros; where it fails, that may
 * hold something (dag_attributes.c). */
gboolean qf_dag_read_attr (
    const Onnx__AttributeProto *p, QfAttr *a, GError **error);

#define QF_GUARD_ALWAYS (-1)
#define QF_GUARD_NEVER (-2)

/** The guard of a node of the file, as far as it is known at load
 * (dag_guards.c): a number, or one of the above. */
int qf_dag_guard (QfDagReader *r, const Onnx__NodeProto *p);

/** Which input an If node (see onnx_branches.c) takes where that is known at
 * load: 1 or 2; 0 where it is not. */
int qf_dag_chosen (QfDagReader *r, const Onnx__NodeProto *p);

/** Infers the outputs of the node and folds them where all inputs are known
 * (dag_infer.c). */
gboolean qf_dag_infer (QfDagReader *r, QfDagNode *node, GError **error);

G_END_DECLS
