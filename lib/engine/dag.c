/* libqfuse: runs graphs of any operators.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Values lie in one arena where their lifetimes do not meet, as the planner's
 * activations do. A step is a node, or an island: an engine of its own, to
 * which inputs are copied and whose outputs are copied back to NCHW. */
#include "engine/dag.h"
#include "engine/engine-private.h"
#include "model/model-private.h"

#include <stdlib.h>
#include <string.h>

#define ALIGN 64
#define MAX_ARENA ((gsize) 1 << 31)

typedef struct
{
  const QfDagNode *node;     /* or */
  const QfDagIsland *island; /* and its engine */
  QfEngine *engine;
  int scratch; /* buffer, −1: none */
  gsize scratch_size;
  gboolean open; /* its shapes are inferred anew in each run */
  QfCall call;
  const QfArray **in;
  QfArray **out;
} Step;

struct _QfDagRun
{
  QfModel *model;
  const QfDag *dag;
  QfArray *arrays;  /* of each value, with data where it lies */
  int *buffer;      /* of each value, −1: none or constant */
  GArray *buffers;  /* QfBuffer */
  GPtrArray *steps; /* Step *, owned */
  QfTensor *inputs, *outputs;
  guint8 *arena;
  gsize arena_size;
  char *trouble; /* of the last run */
};

static void
step_free (gpointer p)
{
  Step *s = p;

  if (s->engine)
    qf_engine_free (s->engine);
  g_free (s->in);
  g_free (s->out);
  g_free (s);
}

void
qf_dag_run_free (QfDagRun *r)
{
  if (!r)
    return;
  g_ptr_array_unref (r->steps);
  g_array_unref (r->buffers);
  g_free (r->arrays);
  g_free (r->buffer);
  g_free (r->inputs);
  g_free (r->outputs);
  free (r->arena);
  g_free (r->trouble);
  qf_model_unref (r->model);
  g_free (r);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfDagRun, qf_dag_run_free)

/* ---- planning ----------------------------------------------------------- */

static int
new_buffer (QfDagRun *r, gsize size)
{
  QfBuffer b = { MAX (size, 8), G_MAXINT, -1, 0, NULL };

  g_array_append_val (r->buffers, b);
  return (int) r->buffers->len - 1;
}

static void
use_buffer (QfDagRun *r, int buffer, int step)
{
  QfBuffer *b = &g_array_index (r->buffers, QfBuffer, buffer);

  b->first = MIN (b->first, step);
  b->last = MAX (b->last, step);
}

static void
use_value (QfDagRun *r, int value, int step)
{
  if (value < 0 || r->arrays[value].data)
    return; /* absent, or a constant */
  if (r->buffer[value] < 0)
    r->buffer[value] = new_buffer (r, qf_array_bytes (&r->arrays[value]));
  use_buffer (r, r->buffer[value], step);
}

static void
add_node (QfDagRun *r, const QfDagNode *n)
{
  Step *s = g_new0 (Step, 1);
  int number = (int) r->steps->len;
  gsize scratch;

  s->node = n;
  s->scratch = -1;
  s->in = g_new (const QfArray *, n->n_in + 1);
  s->out = g_new (QfArray *, n->n_out + 1);
  g_ptr_array_add (r->steps, s);
  s->call = (QfCall){ .op = n->op, .opset = r->dag->opset, .attrs = n->attrs };
  s->call.n_in = n->n_in;
  s->call.n_out = n->n_out;
  s->call.in = s->in;
  s->call.out = s->out;
  for (int i = 0; i < n->n_in; i++) {
    s->in[i] = n->in[i] < 0 ? NULL : &r->arrays[n->in[i]];
    use_value (r, n->in[i], number);
    s->open |= s->in[i] && s->in[i]->open;
  }
  for (int i = 0; i < n->n_out; i++) {
    s->out[i] = n->out[i] < 0 ? NULL : &r->arrays[n->out[i]];
    use_value (r, n->out[i], number);
    s->open |= s->out[i] && s->out[i]->open;
  }
  for (int k = n->guard; k >= 0; k = qf_dag_guard_at (r->dag, k)->parent)
    use_value (r, qf_dag_guard_at (r->dag, k)->condition, number);
  scratch = n->op->scratch ? n->op->scratch (&s->call) : 0;
  s->scratch_size = scratch;
  if (scratch) {
    s->scratch = new_buffer (r, scratch);
    use_buffer (r, s->scratch, number);
  }
}

static gboolean
add_island (QfDagRun *r, const QfDagIsland *island, int threads, GError **error)
{
  Step *s = g_new0 (Step, 1);
  int number = (int) r->steps->len;

  s->island = island;
  s->scratch = -1;
  g_ptr_array_add (r->steps, s);
  s->engine = qf_engine_new (island->model, threads, error);
  if (!s->engine)
    return FALSE;
  for (guint i = 0; i < island->in->len; i++)
    use_value (r, g_array_index (island->in, int, i), number);
  for (guint i = 0; i < island->out->len; i++)
    use_value (r, g_array_index (island->out, int, i), number);
  return TRUE;
}

static gboolean
add_steps (QfDagRun *r, int threads, GError **error)
{
  for (int stage = 0; stage < r->dag->n_stages; stage++) {
    for (guint i = 0; i < r->dag->islands->len; i++) {
      const QfDagIsland *island = qf_dag_island (r->dag, (int) i);

      if (island->stage == stage && !add_island (r, island, threads, error))
        return FALSE;
    }
    for (guint i = 0; i < r->dag->nodes->len; i++) {
      const QfDagNode *n = qf_dag_node (r->dag, (int) i);

      if (n->stage == stage && n->island < 0)
        add_node (r, n);
    }
  }
  return TRUE;
}

/* The first dimensions are n, c, h; w takes what is left. */
static QfTensor
tensor_of (const QfDagValue *v, const QfArray *a)
{
  QfTensor t = { v->name, a->dtype, QF_NCHW, 1, 1, 1, 1, 0, 0, a->data };

  if (a->rank == 1)
    t.c = (int) a->dims[0];
  if (a->rank > 1) {
    t.n = (int) a->dims[0];
    t.c = (int) a->dims[1];
  }
  if (a->rank > 2)
    t.h = (int) a->dims[2];
  for (int i = 3; i < a->rank; i++)
    t.w *= (int) a->dims[i];
  return t;
}

static QfTensor *
ends_of (QfDagRun *r, const GArray *ends)
{
  QfTensor *t = g_new0 (QfTensor, ends->len + 1);

  for (guint i = 0; i < ends->len; i++) {
    int v = g_array_index (ends, int, i);

    t[i] = tensor_of (qf_dag_value (r->dag, v), &r->arrays[v]);
  }
  return t;
}

/* Where the caller writes input @v, which may be a constant for its readers. */
static void *
input_data (const QfDagRun *r, int v)
{
  return r->arena + g_array_index (r->buffers, QfBuffer, r->buffer[v]).offset;
}

static gboolean
place (QfDagRun *r, GError **error)
{
  gsize total = 0;

  for (guint i = 0; i < r->buffers->len; i++)
    total = MAX (total, g_array_index (r->buffers, QfBuffer, i).size);
  r->arena_size = total > MAX_ARENA ? total : qf_arena_place (r->buffers);
  if (r->arena_size <= MAX_ARENA)
    r->arena = aligned_alloc (
        ALIGN, MAX ((r->arena_size + ALIGN - 1) / ALIGN, 1) * ALIGN);
  if (!r->arena) {
    g_set_error (error, QF_ERROR, QF_ERROR_FAILED,
        "its activations need %" G_GSIZE_FORMAT " bytes of memory, which is "
        "too much",
        r->arena_size);
    return FALSE;
  }
  for (guint i = 0; i < r->dag->values->len; i++)
    if (r->buffer[i] >= 0 && !r->arrays[i].data)
      r->arrays[i].data =
          r->arena + g_array_index (r->buffers, QfBuffer, r->buffer[i]).offset;
  for (guint i = 0; i < r->steps->len; i++) {
    Step *s = g_ptr_array_index (r->steps, i);

    if (s->scratch >= 0)
      s->call.scratch =
          r->arena + g_array_index (r->buffers, QfBuffer, s->scratch).offset;
  }
  for (guint i = 0; i < r->dag->inputs->len; i++) {
    int v = g_array_index (r->dag->inputs, int, i);

    /* defined before anybody fills it */
    memset (input_data (r, v), 0, qf_array_bytes (&r->arrays[v]));
  }
  return TRUE;
}

QfDagRun *
qf_dag_run_new (QfModel *model, int threads, GError **error)
{
  g_autoptr (QfDagRun) r = g_new0 (QfDagRun, 1);
  const QfDag *dag = model->dag;

  r->model = qf_model_ref (model);
  r->dag = dag;
  r->arrays = g_new0 (QfArray, dag->values->len + 1);
  r->buffer = g_new (int, dag->values->len + 1);
  r->buffers = g_array_new (FALSE, TRUE, sizeof (QfBuffer));
  r->steps = g_ptr_array_new_with_free_func (step_free);
  for (guint i = 0; i < dag->values->len; i++) {
    r->arrays[i] = qf_dag_value (dag, (int) i)->a;
    r->buffer[i] = -1;
  }
  for (guint i = 0; i < dag->inputs->len; i++) { /* the caller's for good */
    int v = g_array_index (dag->inputs, int, i);

    r->buffer[v] = new_buffer (r, qf_array_bytes (&r->arrays[v]));
    use_buffer (r, r->buffer[v], -1);
    use_buffer (r, r->buffer[v], G_MAXINT);
  }
  if (!add_steps (r, threads, error))
    return NULL;
  for (guint i = 0; i < dag->outputs->len; i++)
    use_value (r, g_array_index (dag->outputs, int, i), G_MAXINT);
  if (!place (r, error))
    return NULL;
  r->inputs = ends_of (r, dag->inputs);
  for (guint i = 0; i < dag->inputs->len; i++)
    r->inputs[i].data = input_data (r, g_array_index (dag->inputs, int, i));
  r->outputs = ends_of (r, dag->outputs);
  return g_steal_pointer (&r);
}

/* ---- running ------------------------------------------------------------ */

/* What an engine made, as the graph has it: NCHW, float32 where codes were
 * dequantized last. */
static void
copy_out (const QfTensor *t, QfArray *a)
{
  gsize at = 0, size = qf_dtype_size (t->dtype);
  gboolean real = a->dtype == QF_F32 && t->dtype != QF_F32;

  for (int c = 0; c < t->c; c++)
    for (int y = 0; y < t->h; y++)
      for (int x = 0; x < t->w; x++, at++)
        if (real)
          ((float *) a->data)[at] = qf_tensor_at (t, c, y, x);
        else
          memcpy ((guint8 *) a->data + at * size,
              (const guint8 *) t->data + qf_tensor_index (t, c, y, x) * size,
              size);
}

static void
run_island (QfDagRun *r, Step *s)
{
  for (guint i = 0; i < s->island->in->len; i++) {
    const QfArray *a = &r->arrays[g_array_index (s->island->in, int, i)];

    memcpy (qf_engine_input (s->engine, (int) i)->data, a->data,
        qf_array_bytes (a));
  }
  qf_engine_run (s->engine);
  for (guint i = 0; i < s->island->out->len; i++)
    copy_out (qf_engine_output (s->engine, (int) i),
        &r->arrays[g_array_index (s->island->out, int, i)]);
}

/* Shapes of this run, which have to have room in what was planned. */
static gboolean
infer_open (const QfDagRun *r, Step *s, GError **error)
{
  gsize scratch;

  if (!qf_call_infer (&s->call, error))
    return FALSE;
  scratch = s->node->op->scratch ? s->node->op->scratch (&s->call) : 0;
  for (int i = 0; i < s->node->n_out; i++)
    if (s->out[i] &&
        qf_array_bytes (s->out[i]) >
            g_array_index (r->buffers, QfBuffer, r->buffer[s->node->out[i]])
                .size) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
          "its result has more elements than could be foreseen");
      return FALSE;
    }
  if (scratch > s->scratch_size) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "it needs more memory than could be foreseen");
    return FALSE;
  }
  return TRUE;
}

/* Whether the branches of If nodes that @n lies in are taken. */
static gboolean
is_taken (const QfDagRun *r, const QfDagNode *n)
{
  for (int k = n->guard; k >= 0; k = qf_dag_guard_at (r->dag, k)->parent) {
    const QfDagGuard *g = qf_dag_guard_at (r->dag, k);

    if ((*(const guint8 *) r->arrays[g->condition].data != 0) != g->wants)
      return FALSE;
  }
  return TRUE;
}

static gboolean
run_step (QfDagRun *r, Step *s)
{
  g_autoptr (GError) error = NULL;

  if (s->island) {
    run_island (r, s);
    return TRUE;
  }
  if (!is_taken (r, s->node))
    return TRUE;
  if (s->open && !infer_open (r, s, &error)) {
    g_autoptr (GError) named = NULL;

    qf_node_error (&named, error->code, s->node->name, s->node->op->name, "%s",
        error->message);
    g_free (r->trouble);
    r->trouble = g_strdup (named->message);
    return FALSE;
  }
  s->node->op->run (&s->call);
  return TRUE;
}

/* Open outputs as this run left them; all of them without anything in them
 * where it could not be finished. */
static void
close_outputs (QfDagRun *r)
{
  for (guint i = 0; i < r->dag->outputs->len; i++) {
    int v = g_array_index (r->dag->outputs, int, i);
    QfArray *a = &r->arrays[v];

    if (r->trouble && r->buffer[v] >= 0)
      memset (
          a->data, 0, g_array_index (r->buffers, QfBuffer, r->buffer[v]).size);
    if (!a->open)
      continue;
    if (r->trouble)
      memset (a->dims, 0, sizeof a->dims);
    r->outputs[i] = tensor_of (qf_dag_value (r->dag, v), a);
  }
}

void
qf_dag_run (QfDagRun *r)
{
  g_clear_pointer (&r->trouble, g_free);
  for (guint i = 0; i < r->steps->len; i++)
    if (!run_step (r, g_ptr_array_index (r->steps, i)))
      break;
  close_outputs (r);
}

const char *
qf_dag_run_trouble (const QfDagRun *r)
{
  return r->trouble;
}

int
qf_dag_run_output_dims (const QfDagRun *r, int i, gint64 *dims)
{
  const QfArray *a =
      &r->arrays[g_array_index (r->dag->outputs, int, (guint) i)];

  memcpy (dims, a->dims, sizeof a->dims);
  return a->rank;
}

const QfTensor *
qf_dag_run_inputs (const QfDagRun *r, int *n)
{
  *n = (int) r->dag->inputs->len;
  return r->inputs;
}

const QfTensor *
qf_dag_run_outputs (const QfDagRun *r, int *n)
{
  *n = (int) r->dag->outputs->len;
  return r->outputs;
}

/* ---- steps -------------------------------------------------------------- */

int
qf_dag_run_n_steps (const QfDagRun *r)
{
  int n = 0;

  for (guint i = 0; i < r->steps->len; i++) {
    const Step *s = g_ptr_array_index (r->steps, i);

    n += s->engine ? qf_engine_n_steps (s->engine) : 1;
  }
  return n;
}

/* Step @i of all; *@inner is its number within an island. */
static Step *
find_step (const QfDagRun *r, int i, int *inner)
{
  for (guint k = 0; k < r->steps->len; k++) {
    Step *s = g_ptr_array_index (r->steps, k);
    int n = s->engine ? qf_engine_n_steps (s->engine) : 1;

    if (i < n) {
      *inner = i;
      return s;
    }
    i -= n;
  }
  g_assert_not_reached ();
}

void
qf_dag_run_step_info (const QfDagRun *r, int i, QfEngineStep *step)
{
  int inner;
  Step *s = find_step (r, i, &inner);
  const QfArray *a;
  QfTensor t;

  if (s->engine) {
    qf_engine_step (s->engine, inner, step);
    return;
  }
  for (int k = 0; !(a = s->out[k]); k++)
    ;
  t = tensor_of (qf_dag_value (r->dag, 0), a);
  *step = (QfEngineStep){ .name = s->node->name,
    .op = s->node->op->name,
    .kernel = "plain",
    .c = t.c,
    .h = t.h,
    .w = t.w,
    .quantized = a->dtype == QF_U8 || a->dtype == QF_I8 };
  step->macs = s->node->op->macs ? s->node->op->macs (&s->call) : 0;
  for (int k = 0; k < s->node->n_in; k++)
    if (s->node->in[k] >= 0 && r->buffer[s->node->in[k]] < 0)
      step->weight_bytes += qf_array_bytes (s->in[k]);
}

void
qf_dag_run_step (QfDagRun *r, int i)
{
  int inner;
  Step *s = find_step (r, i, &inner);

  if (s->engine)
    qf_engine_run_step (s->engine, inner);
  else
    (void) run_step (r, s);
}

gsize
qf_dag_run_memory (const QfDagRun *r)
{
  gsize sum = r->arena_size;

  for (guint i = 0; i < r->steps->len; i++) {
    const Step *s = g_ptr_array_index (r->steps, i);

    sum += s->engine ? qf_engine_memory (s->engine) : 0;
  }
  for (guint i = 0; i < r->dag->values->len; i++)
    if (qf_dag_value (r->dag, (int) i)->a.data)
      sum += qf_array_bytes (&r->arrays[i]);
  return sum;
}
