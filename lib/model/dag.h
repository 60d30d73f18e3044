/* libqfuse: a graph of any operators on tensors of any rank.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What a QfGraph cannot hold. Shapes are known and constants folded. Parts that
 * the int8 and float32 planner can run are islands: models of their own that
 * count as one node. */
#pragma once

#include "model/model.h"
#include "ops/ops.h"

G_BEGIN_DECLS

typedef struct
{
  char *name;
  QfArray a;     /**< data: a constant's, owned */
  gboolean made; /**< a constant, or its maker was read */
  int island;    /**< whose output it is, −1: none */
} QfDagValue;

typedef struct
{
  const QfOperator *op;
  char *name;
  GPtrArray *attrs; /**< QfAttr *, owned */
  int n_in, n_out;
  int *in, *out; /**< value numbers; −1: absent */
  int stage;     /**< runs after the islands of its stage */
  int island;    /**< −1: runs itself */
  int guard;     /**< when it runs, −1: always */
} QfDagNode;

/** A branch of an If node: runs where the condition is @wants and the branch
 * around it runs. */
typedef struct
{
  int parent;    /**< number of another guard, −1: none */
  int condition; /**< value number, one bool */
  gboolean wants;
} QfDagGuard;

/** Nodes that run as a model of their own, before the nodes of their stage. */
typedef struct
{
  QfModel *model;
  int stage;
  GArray *in, *out; /**< int: our values, in the model's order */
} QfDagIsland;

typedef struct
{
  int opset;
  GPtrArray *values;        /**< QfDagValue *, owned */
  GPtrArray *nodes;         /**< QfDagNode *, owned, in topological order */
  GPtrArray *islands;       /**< QfDagIsland *, owned, by stage */
  GArray *inputs, *outputs; /**< int */
  GArray *guards;           /**< QfDagGuard */
  int n_stages;
} QfDag;

static inline QfDagValue *
qf_dag_value (const QfDag *dag, int i)
{
  return (QfDagValue *) g_ptr_array_index (dag->values, (guint) i);
}

static inline QfDagNode *
qf_dag_node (const QfDag *dag, int i)
{
  return (QfDagNode *) g_ptr_array_index (dag->nodes, (guint) i);
}

static inline QfDagIsland *
qf_dag_island (const QfDag *dag, int i)
{
  return (QfDagIsland *) g_ptr_array_index (dag->islands, (guint) i);
}

static inline const QfDagGuard *
qf_dag_guard_at (const QfDag *dag, int i)
{
  return &g_array_index (dag->guards, QfDagGuard, (guint) i);
}

QfDag *qf_dag_new (void);
void qf_dag_free (QfDag *dag);

/** Frees a QfDagNode. */
void qf_dag_node_free (gpointer node);

/** Fills in a call of @node; @in and @out have room for its values. */
void qf_dag_call (const QfDag *dag, const QfDagNode *node, QfCall *c,
    const QfArray **in, QfArray **out);

/** Multiply-accumulates of one run, islands included. */
gint64 qf_dag_macs (const QfDag *dag);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfDag, qf_dag_free)

G_END_DECLS
