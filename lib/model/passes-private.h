/* libqfuse: rewriting graphs, for lib/model/passes*.c only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/model-private.h"

G_BEGIN_DECLS

/** A graph under change and who makes and reads its values. */
typedef struct
{
  QfGraph *g;
  GPtrArray *maker; /* of each value: QfNode * or NULL */
  GArray *uses;     /* of each value: int, readers and outputs */
  GArray *alias; /* of each value: int, 1 + the value that replaces it or 0 */
} QfRewrite;

/** Drops the nodes that were marked and counts anew. */
void qf_rewrite_update (QfRewrite *rw);

/** Takes all nodes out of the graph, so that they and new ones can be appended
 * again; free the array. */
QfNode **qf_rewrite_take_nodes (QfRewrite *rw, guint *n);

/** Marks a node: the next update drops it. */
void qf_rewrite_drop (QfNode *n);

QfNode *qf_rewrite_maker (const QfRewrite *rw, int value);
int qf_rewrite_uses (const QfRewrite *rw, int value);

/** From now on @to stands for @value; readers follow at the next update, or
 * where they ask qf_rewrite_resolve(). */
void qf_rewrite_replace (QfRewrite *rw, int value, int to);
int qf_rewrite_resolve (const QfRewrite *rw, int value);

/** Counts @by more readers. */
void qf_rewrite_count (QfRewrite *rw, int value, int by);

/** Lets @n make @value instead of what it makes. */
void qf_rewrite_set_out (QfRewrite *rw, QfNode *n, int value);

/** Replaces the inputs of @n. */
void qf_rewrite_set_inputs (QfNode *n, int n_in, const int *in);

/** Appends a node that makes a new value of dtype and shape as @model. */
QfNode *qf_rewrite_add_node (QfRewrite *rw, QfOp op, const char *stem,
    const char *suffix, int n_in, const int *in, QfDType dtype, int model);

/** A constant named @stem + @suffix. */
int qf_rewrite_add_constant (QfRewrite *rw, const char *stem,
    const char *suffix, QfDType dtype, int rank, const gint64 *dims,
    const void *data);

/* ---- passes_float.c ----------------------------------------------------- */

void qf_pass_batch_norm (QfRewrite *rw);
void qf_pass_activations (QfRewrite *rw);

/** Mul(x, Sigmoid(x)) becomes QF_OP_SILU. */
void qf_pass_silu (QfRewrite *rw);

/** Merges clamps: @n gets min(max(its act, lo), hi) as well. FALSE where @n
 * already has another activation. */
gboolean qf_node_fuse_clip (QfNode *n, float lo, float hi);

/** The bounds of a Relu or Clip node. */
void qf_node_bounds (const QfNode *n, float *lo, float *hi);

/* ---- passes_constants.c ------------------------------------------------- */

/** QuantizeLinear of constants becomes a constant. */
void qf_pass_quantized_constants (QfRewrite *rw);

/** What is left of DequantizeLinear of constants becomes float constants. */
void qf_pass_dequantized_constants (QfRewrite *rw);

/** Turns @n, a Conv or Gemm in float that reads dequantized values, into the
 * uint8 operator from value @x to value @y; FALSE where it has to stay. */
gboolean qf_quantize_weights (QfRewrite *rw, QfNode *n, int x, int y);

/* ---- passes_quant.c ----------------------------------------------------- */

gboolean qf_pass_quantize (QfRewrite *rw, GError **error);

G_END_DECLS
