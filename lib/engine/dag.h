/* libqfuse: runs graphs of any operators.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "engine/engine.h"

G_BEGIN_DECLS

typedef struct _QfDagRun QfDagRun;

/** Plans the dag of @model, whose islands get engines of @threads threads. */
QfDagRun *qf_dag_run_new (QfModel *model, int threads, GError **error);
void qf_dag_run_free (QfDagRun *run);

/** Inputs and outputs, NCHW; their number. Owned by the run. */
const QfTensor *qf_dag_run_inputs (const QfDagRun *run, int *n);
const QfTensor *qf_dag_run_outputs (const QfDagRun *run, int *n);

/** See qf_engine_run(), qf_engine_trouble(), qf_engine_output_dims(). */
void qf_dag_run (QfDagRun *run);
const char *qf_dag_run_trouble (const QfDagRun *run);
int qf_dag_run_output_dims (const QfDagRun *run, int i, gint64 *dims);

/** Steps of islands count one by one. */
int qf_dag_run_n_steps (const QfDagRun *run);
void qf_dag_run_step_info (const QfDagRun *run, int i, QfEngineStep *step);
void qf_dag_run_step (QfDagRun *run, int i);

gsize qf_dag_run_memory (const QfDagRun *run);

G_END_DECLS
