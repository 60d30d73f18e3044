/* libqfuse: runs a model.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/pool.h"
#include "model/model.h"

G_BEGIN_DECLS

typedef struct _QfEngine QfEngine;

/** Plans @model for one image a run: fuses, packs weights, places every
 * activation in one arena. @threads 0: as many as affinity mask and control
 * groups allow. The engine keeps a reference to the model and shares packed
 * weights with all other engines on it. Not thread-safe: one caller at a time
 * on one engine; engines on one model may be made, run and freed by many
 * threads.
 */
QfEngine *qf_engine_new (QfModel *model, int threads, GError **error);
void qf_engine_free (QfEngine *engine);

/** Input @i to be filled before a run: NCHW, one image, QF_U8 or QF_F32. */
int qf_engine_n_inputs (const QfEngine *engine);
const QfTensor *qf_engine_input (const QfEngine *engine, int i);

/** Runs the network; allocates nothing. Cannot fail, but where shapes hang on
 * the data: see qf_engine_trouble(). */
void qf_engine_run (QfEngine *engine);

/** Why the last run could not be finished: shapes that its data decided
 * (NonZero, NonMaxSuppression and what follows them) did not fit each other or
 * were larger than could be foreseen at load. All outputs are then 0, and those
 * of an open size empty. NULL: it was finished. Owned by the engine, valid
 * until the next run. */
const char *qf_engine_trouble (const QfEngine *engine);

/** Output @i of the last run, valid until the next one. NHWC. */
int qf_engine_n_outputs (const QfEngine *engine);
const QfTensor *qf_engine_output (const QfEngine *engine, int i);

/** Rank and shape (room for QF_MAX_RANK) of output @i of the last run, in the
 * file's order. It is qf_model_output()'s, but where a run's data decides how
 * much there is: there the model has the most. */
int qf_engine_output_dims (const QfEngine *engine, int i, gint64 *dims);

/** All outputs, for decoders; valid as long as the engine. */
const QfTensor *qf_engine_outputs (const QfEngine *engine, int *n);

/** Bytes of the arena, packed weights and scratch together. The weights are in
 * memory once for all engines on one model. */
gsize qf_engine_memory (const QfEngine *engine);

/** What qf_engine_run() computes, see qf_engine_set_sparse(). */
typedef enum
{
  QF_SPARSE_OFF,    /**< everything */
  QF_SPARSE_AUTO,   /**< where something moves */
  QF_SPARSE_VERIFY, /**< both, and compares every byte */
} QfSparseMode;

/** Runs compute only what differs from the rest state, which is what the
 * network makes of an input that is @rest all over: the same bytes as without.
 * Pays where most of the input is @rest, as dead-banded differences are; where
 * that is dearer, layers run whole.
 * @rest: one code a channel of the one input (as floats where that is float32).
 * Activations move: inputs and outputs are to be asked for anew. With
 * QF_SPARSE_OFF @rest is not read. FALSE: runs go on computing everything. */
gboolean qf_engine_set_sparse (QfEngine *engine, QfSparseMode mode,
    const guint8 *rest, int n_rest, GError **error);

/** Since the mode was set. */
typedef struct
{
  guint64 runs;
  guint64 still;     /**< runs on nothing but rest */
  guint64 macs;      /**< multiply-accumulates that were run … */
  guint64 all_macs;  /**< … of so many */
  double last_share; /**< of the last run, 0 … 1; 1 without sparse runs */
  gint64 us,
      all_us; /**< with QF_SPARSE_VERIFY: what they took, and whole ones */
} QfSparseStats;

void qf_engine_sparse_stats (const QfEngine *engine, QfSparseStats *stats);

/** With QF_SPARSE_VERIFY the first node whose output was not that of a whole
 * run in the last run; NULL: all bytes were equal. */
const char *qf_engine_sparse_differs (const QfEngine *engine);

/** One step of the plan, for `qfuse bench --layers` and `qfuse info`. */
typedef struct
{
  const char *name;   /**< of the node */
  const char *op;     /**< "Conv" */
  const char *kernel; /**< the kernel's name */
  gint64 macs;
  gsize weight_bytes; /**< as packed for the kernel */
  int weight_bits;    /**< 4, 8 or 32; 0: no weights */
  gsize file_bytes;   /**< of weights and bias in the file */
  int c, h, w;        /**< of the output */
  gboolean quantized;
} QfEngineStep;

int qf_engine_n_steps (const QfEngine *engine);
void qf_engine_step (const QfEngine *engine, int i, QfEngineStep *step);

/** Runs step @i alone on what is in memory, for timing. */
void qf_engine_run_step (QfEngine *engine, int i);

/** Name of the instruction set that the kernels use: "c", "avx2" … */
const char *qf_engine_isa (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfEngine, qf_engine_free)

G_END_DECLS
