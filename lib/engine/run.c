/* libqfuse: runs a plan.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine-private.h"

typedef struct
{
  const QfEngine *engine;
  const QfStep *step;
} Run;

void
qf_step_activate_f32 (const QfEngine *e, const QfStep *s, float *y, gsize n)
{
  if (s->sigmoid)
    e->k->sigmoid_f32 (y, y, n);
  else if (s->clips)
    e->k->affine_f32 (y, NULL, NULL, s->lo, s->hi, y, 1, (int) n);
}

static void
run_task (void *data, int task, int worker)
{
  const Run *run = data;
  const QfStep *s = run->step;
  int row0 = task * s->rows_per_task;

  s->run (run->engine, s, row0, MIN (s->rows, row0 + s->rows_per_task), worker);
}

void
qf_engine_run_whole (const QfEngine *e, int i)
{
  const QfStep *s = g_ptr_array_index (e->steps, (guint) i);
  Run run = { e, s };

  qf_pool_run (e->pool, run_task, &run,
      (s->rows + s->rows_per_task - 1) / s->rows_per_task);
}

void
qf_engine_run_step (QfEngine *e, int i)
{
  if (e->dag) {
    qf_dag_run_step (e->dag, i);
    return;
  }
  if (e->sparse)
    qf_sparse_forget (e);
  qf_engine_run_whole (e, i);
}

void
qf_engine_run (QfEngine *e)
{
  if (e->dag)
    qf_dag_run (e->dag);
  else if (e->sparse)
    qf_sparse_run (e);
  else
    for (int i = 0; i < (int) e->steps->len; i++)
      qf_engine_run_whole (e, i);
}

const char *
qf_engine_trouble (const QfEngine *e)
{
  return e->dag ? qf_dag_run_trouble (e->dag) : NULL;
}

int
qf_engine_output_dims (const QfEngine *e, int i, gint64 *dims)
{
  QfDType dtype;
  int rank;

  if (e->dag)
    return qf_dag_run_output_dims (e->dag, i, dims);
  qf_model_output (e->model, i, &dtype, &rank, dims);
  return rank;
}

int
qf_engine_n_inputs (const QfEngine *e)
{
  return e->n_inputs;
}

const QfTensor *
qf_engine_input (const QfEngine *e, int i)
{
  return &e->inputs[i];
}

int
qf_engine_n_outputs (const QfEngine *e)
{
  return e->n_outputs;
}

const QfTensor *
qf_engine_output (const QfEngine *e, int i)
{
  return &e->outputs[i];
}

const QfTensor *
qf_engine_outputs (const QfEngine *e, int *n)
{
  *n = e->n_outputs;
  return e->outputs;
}

gsize
qf_engine_memory (const QfEngine *e)
{
  if (e->dag)
    return qf_dag_run_memory (e->dag);
  return e->arena_size + e->packed_size +
      e->scratch_size * (gsize) qf_pool_threads (e->pool) +
      qf_sparse_memory (e);
}

int
qf_engine_n_steps (const QfEngine *e)
{
  return e->dag ? qf_dag_run_n_steps (e->dag) : (int) e->steps->len;
}

void
qf_engine_step (const QfEngine *e, int i, QfEngineStep *step)
{
  if (e->dag) {
    qf_dag_run_step_info (e->dag, i, step);
    return;
  }
  *step = ((const QfStep *) g_ptr_array_index (e->steps, (guint) i))->info;
}

const char *
qf_engine_isa (void)
{
  return qf_kernels ()->name;
}
