/* libqfuse: changing and writing graphs of any operators, for lib/model only.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * For graphs without islands and guards, as qf_onnx_read_dag() gives them. */
#pragma once

#include "model/dag.h"

G_BEGIN_DECLS

/** A graph under change. Nodes that are appended stay behind the others until
 * qf_dag_edit_order(). */
typedef struct
{
  QfDag *dag;
  GHashTable *names; /**< of values, owned by them */
} QfDagEdit;

void qf_dag_edit_init (QfDagEdit *e, QfDag *dag);
void qf_dag_edit_clear (QfDagEdit *e);

/** A new value named @stem + @suffix, or with a number where that is taken.
 * Returns its number. */
int qf_dag_add_value (QfDagEdit *e, const char *stem, const char *suffix,
    QfDType dtype, int rank, const gint64 *dims);

/** The same as a constant of a copy of @data. */
int qf_dag_add_constant (QfDagEdit *e, const char *stem, const char *suffix,
    QfDType dtype, int rank, const gint64 *dims, const void *data);

/** Appends a node that makes @out; an input of −1 is absent. @op must be in the
 * table of operators. */
QfDagNode *qf_dag_add_node (
    QfDagEdit *e, const char *op, int n_in, const int *in, int out);

/** Sets or replaces attributes. */
void qf_dag_set_int (QfDagNode *n, const char *name, gint64 value);
void qf_dag_set_ints (
    QfDagNode *n, const char *name, int count, const gint64 *values);

/** The attribute, or NULL; a number, or @fallback. */
const QfAttr *qf_dag_attr (const QfDagNode *n, const char *name);
gint64 qf_dag_int (const QfDagNode *n, const char *name, gint64 fallback);
void qf_dag_drop_attr (QfDagNode *n, const char *name);

/** Replaces the inputs of @n. */
void qf_dag_set_inputs (QfDagNode *n, int n_in, const int *in);

/** Readers of @from, graph outputs not, read @to instead. */
void qf_dag_replace (QfDag *dag, int from, int to);

gboolean qf_dag_is (const QfDagNode *n, const char *op);
gboolean qf_dag_is_output (const QfDag *dag, int value);

/** Who makes each value (its number, −1: nobody) and how many inputs of nodes
 * and graph outputs it is. Free both arrays. */
int *qf_dag_makers (const QfDag *dag);
int *qf_dag_uses (const QfDag *dag);

/** Drops nodes that nothing needs and sorts the rest, each after what it reads.
 */
void qf_dag_edit_order (QfDag *dag);

QfDag *qf_dag_copy (const QfDag *dag);

/** The file, without metadata. */
GBytes *qf_dag_write (const QfDag *dag, GError **error);

/** Rewrites what means something else in opset 13, if @e's is lower. FALSE:
 * @error names the node that cannot be said in it. */
gboolean qf_dag_upgrade (QfDagEdit *e, GError **error);

G_END_DECLS
