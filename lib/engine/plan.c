/* libqfuse: plans a run: steps, slots and where they lie in memory.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine-private.h"
#include "model/model-private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum
{
  ALIGN = 64
};

/* Slots ------------------------------------------------------------------- */

int
qf_plan_slot (QfEngine *e, const QfTensor *like)
{
  QfSlot slot = { *like, (int) e->buffers->len };
  QfBuffer buffer = { qf_tensor_elements (like) * qf_dtype_size (like->dtype),
    G_MAXINT, -1, 0, NULL };

  slot.t.data = NULL;
  g_array_append_val (e->buffers, buffer);
  g_array_append_val (e->slots, slot);
  return (int) e->slots->len - 1;
}

/* One image of rank 4 (NCHW) or 2 (NC). */
static gboolean
tensor_of (const QfValue *v, const char *where, QfTensor *t, GError **error)
{
  gboolean image = v->rank == 4;

  if ((v->rank != 2 && v->rank != 4) || v->dims[0] != 1) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "node '%s': value '%s' is not one image (rank 4) or one row (rank 2)",
        where, v->name);
    return FALSE;
  }
  if (v->dtype != QF_F32 && (v->dtype != QF_U8 || !(v->scale > 0))) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "node '%s': value '%s' is neither float32 nor quantized to uint8",
        where, v->name);
    return FALSE;
  }
  *t = (QfTensor){ v->name, v->dtype, QF_NHWC, 1, (int) v->dims[1],
    image ? (int) v->dims[2] : 1, image ? (int) v->dims[3] : 1, v->scale,
    v->zero, NULL };
  return TRUE;
}

static void
set_constant (QfEngine *e, int slot, void *data)
{
  int b = qf_engine_slot (e, slot)->buffer;

  g_array_index (e->buffers, QfBuffer, b).constant = data;
}

int
qf_plan_operand (QfEngine *e, const QfNode *n, int i, GError **error)
{
  int number = i < n->n_in ? n->in[i] : -1;
  const QfValue *v;
  QfTensor t;
  void *data;

  if (number < 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "node '%s': input %d is missing", n->name, i);
    return -1;
  }
  v = qf_graph_value (e->graph, number);
  if (e->value_slot[number] >= 0)
    return e->value_slot[number];
  if (!tensor_of (v, n->name, &t, error))
    return -1;
  if (!v->data) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "node '%s': nothing makes its input '%s'", n->name, v->name);
    return -1;
  }
  data = qf_plan_alloc (
      e, n, qf_tensor_elements (&t) * qf_dtype_size (t.dtype), error);
  if (!data)
    return -1;
  e->k->transpose (
      v->data, t.c, t.h * t.w, qf_dtype_size (t.dtype), data, 0, t.h * t.w);
  e->value_slot[number] = qf_plan_slot (e, &t);
  set_constant (e, e->value_slot[number], data);
  return e->value_slot[number];
}

int
qf_plan_result (QfEngine *e, const QfNode *n, GError **error)
{
  QfTensor t;

  if (!tensor_of (qf_graph_value (e->graph, n->out), n->name, &t, error))
    return -1;
  e->value_slot[n->out] = qf_plan_slot (e, &t);
  return e->value_slot[n->out];
}

/* Steps ------------------------------------------------------------------- */

void
qf_step_free (gpointer step)
{
  QfStep *s = step;

  for (int i = 0; s->tables && i < s->n_in; i++)
    g_free (s->tables[i]);
  g_free (s->tables);
  g_free ((guint8 *) s->requant.table);
  g_free (s->in);
  g_free (s->mult);
  g_free (s->bias);
  g_free (s->bias_f);
  g_free (s->select);
  g_free (s);
}

static void
use_buffer (QfEngine *e, int slot, int step)
{
  QfBuffer *b =
      &g_array_index (e->buffers, QfBuffer, qf_engine_slot (e, slot)->buffer);

  b->first = MIN (b->first, step);
  b->last = MAX (b->last, step);
}

QfStep *
qf_plan_step (QfEngine *e, const QfNode *n, QfStepRows run, const char *kernel,
    int n_in, const int *in, int out, int rows)
{
  QfStep *s = g_new0 (QfStep, 1);
  const QfTensor *t = &qf_engine_slot (e, out)->t;

  s->info.name = n ? n->name : t->name;
  s->info.op = n ? qf_op_name (n->op) : "Layout";
  s->info.kernel = kernel;
  s->info.c = t->c;
  s->info.h = t->h;
  s->info.w = t->w;
  s->info.quantized = t->dtype == QF_U8;
  s->run = run;
  s->rows = s->rows_per_task = rows;
  s->n_in = n_in;
  s->in = g_memdup2 (in, (gsize) n_in * sizeof *in);
  s->out = out;
  s->tables = g_new0 (guint8 *, n_in);
  s->lo = -INFINITY;
  s->hi = INFINITY;
  for (int i = 0; i < n_in; i++)
    use_buffer (e, in[i], (int) e->steps->len);
  use_buffer (e, out, (int) e->steps->len);
  g_ptr_array_add (e->steps, s);
  return s;
}

void
qf_plan_tasks (
    const QfEngine *e, QfStep *s, gint64 work, gint64 min_work, int max_rows)
{
  int threads = qf_pool_threads (e->pool);
  int by_cache = (s->rows + MAX (max_rows, 1) - 1) / MAX (max_rows, 1);
  int by_work = (int) CLAMP (work / min_work, 1, 4 * threads);
  int tasks = MAX (by_cache, by_work);

  /* whole rounds of the workers, so that none waits for the last task */
  if (threads > 1 && by_work > 1)
    tasks = (tasks + threads - 1) / threads * threads;
  tasks = MIN (tasks, s->rows);
  s->rows_per_task = (s->rows + tasks - 1) / tasks;
}

void
qf_plan_scratch (QfEngine *e, gsize bytes)
{
  e->scratch_size = MAX (e->scratch_size, (bytes + ALIGN - 1) / ALIGN * ALIGN);
}

static void *
alloc_or_fail (gsize bytes, const char *what, GError **error)
{
  void *p = aligned_alloc (ALIGN, MAX ((bytes + ALIGN - 1) / ALIGN, 1) * ALIGN);

  if (!p)
    g_set_error (error, QF_ERROR, QF_ERROR_FAILED,
        "no memory for %s (%" G_GSIZE_FORMAT " bytes)", what, bytes);
  return p;
}

void *
qf_plan_alloc (QfEngine *e, const QfNode *n, gsize bytes, GError **error)
{
  g_autofree char *what = g_strdup_printf ("the weights of node '%s'", n->name);

  e->packed_size += bytes;
  return alloc_or_fail (bytes, what, error);
}

/* Codes ------------------------------------------------------------------- */

int
qf_plan_code (float v, float scale, int zero)
{
  float q = v / scale; /* float32 division, as QuantizeLinear has it */

  return isnan (q) ? 0 : (int) CLAMP (nearbyint ((double) q) + zero, 0, 255);
}

guint8 *
qf_plan_table (const QfNode *n, const QfTensor *in, const QfTensor *out)
{
  guint8 *table = g_malloc (256);
  gboolean same = TRUE;

  for (int q = 0; q < 256; q++) {
    float v = in->scale * (float) (q - in->zero);

    if (n->act == QF_ACT_FUNCTION && n->act_scale > 0)
      v = n->act_scale *
          (float) (qf_plan_code (v, n->act_scale, n->act_zero) - n->act_zero);
    v = qf_node_apply_act (n, qf_node_apply (n, v));
    table[q] = (guint8) qf_plan_code (v, out->scale, out->zero);
    same &= table[q] == q;
  }
  if (same)
    g_clear_pointer (&table, g_free);
  return table;
}

gboolean
qf_plan_codes (
    const QfNode *n, const QfTensor *out, QfPlanCodes *codes, GError **error)
{
  *codes = (QfPlanCodes){ out->scale, out->zero, 0, 255, NULL };
  if (n->act == QF_ACT_CLIP) {
    codes->lo = qf_plan_code (n->act_lo, out->scale, out->zero);
    codes->hi = qf_plan_code (n->act_hi, out->scale, out->zero);
    codes->hi = MAX (codes->hi, codes->lo);
  } else if (n->act == QF_ACT_FUNCTION) {
    QfTensor before = *out;

    if (!(n->act_scale > 0)) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
          "node '%s': its sum is not quantized before the function", n->name);
      return FALSE;
    }
    before.scale = codes->scale = n->act_scale;
    before.zero = codes->zero = n->act_zero;
    codes->table = qf_plan_table (n, &before, out);
  }
  return TRUE;
}

void
qf_plan_activation_f32 (QfStep *s, const QfNode *n)
{
  s->sigmoid = n->act == QF_ACT_FUNCTION || n->op == QF_OP_SIGMOID;
  if (n->act == QF_ACT_CLIP) {
    s->lo = n->act_lo;
    s->hi = n->act_hi;
  } else if (n->op == QF_OP_CLIP) {
    s->lo = n->lo;
    s->hi = n->hi;
  } else if (n->op == QF_OP_RELU) {
    s->lo = 0;
  }
  s->clips = !isinf (s->lo) || !isinf (s->hi);
}

gboolean
qf_plan_unsupported (const QfNode *n, const char *why, GError **error)
{
  g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED, "node '%s' (%s): %s",
      n->name, qf_op_name (n->op), why);
  return FALSE;
}

/* The whole plan ---------------------------------------------------------- */

static gboolean
plan_inputs (QfEngine *e, GError **error)
{
  e->n_inputs = (int) e->graph->inputs->len;
  e->inputs = g_new0 (QfTensor, e->n_inputs);
  e->input_slot = g_new0 (int, e->n_inputs);
  for (int i = 0; i < e->n_inputs; i++) {
    int number = g_array_index (e->graph->inputs, int, i);
    QfTensor t;
    int planar;

    if (!tensor_of (qf_graph_value (e->graph, number), "input", &t, error))
      return FALSE;
    t.layout = QF_NCHW;
    planar = qf_plan_slot (e, &t);
    /* the caller's for good: it may fill it once and run often */
    use_buffer (e, planar, -1);
    use_buffer (e, planar, G_MAXINT);
    e->value_slot[number] = planar;
    t.layout = QF_NHWC;
    if (t.c > 1 && t.h * t.w > 1) {
      e->value_slot[number] = qf_plan_slot (e, &t);
      qf_plan_to_nhwc (e, planar, e->value_slot[number]);
    }
    e->input_slot[i] = planar;
  }
  return TRUE;
}

static gboolean
plan_node (QfEngine *e, const QfNode *n, GError **error)
{
  switch (n->op) {
    case QF_OP_CONV:
    case QF_OP_GEMM:
      return qf_plan_conv (e, n, error);
    case QF_OP_ADD:
    case QF_OP_MUL:
      return qf_plan_two (e, n, error);
    case QF_OP_RELU:
    case QF_OP_CLIP:
    case QF_OP_SIGMOID:
    case QF_OP_LEAKY_RELU:
    case QF_OP_HARD_SWISH:
    case QF_OP_SILU:
      return qf_plan_unary (e, n, error);
    case QF_OP_BATCH_NORM:
      return qf_plan_batch_norm (e, n, error);
    case QF_OP_QUANTIZE:
      return qf_plan_quantize (e, n, error);
    case QF_OP_DEQUANTIZE:
      return qf_plan_dequantize (e, n, error);
    case QF_OP_CONCAT:
      return qf_plan_concat (e, n, error);
    case QF_OP_MAX_POOL:
      return qf_plan_max_pool (e, n, error);
    case QF_OP_SLICE:
      return qf_plan_slice (e, n, error);
    case QF_OP_GATHER:
      return qf_plan_gather (e, n, error);
    case QF_OP_AVERAGE_POOL:
      return qf_plan_average_pool (e, n, error);
    case QF_OP_GLOBAL_AVG_POOL:
      return qf_plan_global_avg (e, n, error);
    case QF_OP_RESIZE_NEAREST:
      return qf_plan_resize (e, n, error);
    case QF_OP_FLATTEN:
      return qf_plan_flatten (e, n, error);
    default:
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
          "node '%s': operator %s cannot be run", n->name, qf_op_name (n->op));
      return FALSE;
  }
}

static gboolean
plan_outputs (QfEngine *e, GError **error)
{
  e->n_outputs = (int) e->graph->outputs->len;
  e->outputs = g_new0 (QfTensor, e->n_outputs);
  for (int i = 0; i < e->n_outputs; i++) {
    int number = g_array_index (e->graph->outputs, int, i);
    int slot = e->value_slot[number];

    if (slot < 0) {
      g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
          "nothing makes the output '%s'",
          qf_graph_value (e->graph, number)->name);
      return FALSE;
    }
    use_buffer (e, slot, G_MAXINT);
  }
  return TRUE;
}

gboolean
qf_plan_memory (QfEngine *e, GError **error)
{
  guint8 *arena = alloc_or_fail (e->arena_size, "activations", error);

  if (!arena)
    return FALSE;
  free (e->arena);
  e->arena = arena;
  memset (e->arena, 0, e->arena_size);
  for (guint i = 0; i < e->slots->len; i++) {
    QfSlot *s = qf_engine_slot (e, (int) i);
    const QfBuffer *b = &g_array_index (e->buffers, QfBuffer, s->buffer);

    s->t.data = b->constant ? b->constant : e->arena + b->offset;
  }
  for (int i = 0; i < e->n_inputs; i++)
    e->inputs[i] = qf_engine_slot (e, e->input_slot[i])->t;
  for (int i = 0; i < e->n_outputs; i++) {
    int number = g_array_index (e->graph->outputs, int, i);

    e->outputs[i] = qf_engine_slot (e, e->value_slot[number])->t;
    e->outputs[i].layout = QF_NHWC;
    e->outputs[i].name = qf_graph_value (e->graph, number)->name;
  }
  return TRUE;
}

static gboolean
place (QfEngine *e, GError **error)
{
  e->arena_size = qf_arena_place (e->buffers);
  qf_plan_scratch (e, ALIGN);
  e->scratch = alloc_or_fail (
      e->scratch_size * (gsize) qf_pool_threads (e->pool), "scratch", error);
  return e->scratch && qf_plan_memory (e, error);
}

/* Packed weights, which count for every engine that shares them. */
static gboolean
pack (QfEngine *e, GError **error)
{
  if (!qf_shared_pack (e->shared, e->pool, error))
    return FALSE;
  for (guint i = 0; i < e->steps->len; i++) {
    QfStep *s = g_ptr_array_index (e->steps, i);

    if (!s->weights)
      continue;
    s->packed = s->weights->packed;
    s->info.weight_bytes = s->weights->size;
    e->packed_size += s->weights->size;
  }
  return TRUE;
}

static gboolean
plan (QfEngine *e, GError **error)
{
  int n_values = (int) e->graph->values->len;

  e->value_slot = g_new (int, n_values);
  for (int i = 0; i < n_values; i++)
    e->value_slot[i] = -1;
  if (!plan_inputs (e, error))
    return FALSE;
  for (guint i = 0; i < e->graph->nodes->len; i++)
    if (!plan_node (e, qf_graph_node (e->graph, (int) i), error))
      return FALSE;
  return plan_outputs (e, error) && pack (e, error) && place (e, error);
}

/* The engine of a graph of any operators has no plan of its own. */
static gboolean
plan_dag (QfEngine *e, int threads, GError **error)
{
  e->dag = qf_dag_run_new (e->model, threads, error);
  if (!e->dag)
    return FALSE;
  e->inputs = (QfTensor *) qf_dag_run_inputs (e->dag, &e->n_inputs);
  e->outputs = (QfTensor *) qf_dag_run_outputs (e->dag, &e->n_outputs);
  return TRUE;
}

QfEngine *
qf_engine_new (QfModel *model, int threads, GError **error)
{
  g_autoptr (QfEngine) e = g_new0 (QfEngine, 1);

  e->model = qf_model_ref (model);
  if (model->dag)
    return plan_dag (e, threads, error) ? g_steal_pointer (&e) : NULL;
  e->pool = qf_pool_new (threads);
  e->k = qf_kernels ();
  e->slots = g_array_new (FALSE, TRUE, sizeof (QfSlot));
  e->buffers = g_array_new (FALSE, TRUE, sizeof (QfBuffer));
  e->steps = g_ptr_array_new_with_free_func (qf_step_free);
  e->shared = qf_shared_get (model, error);
  if (!e->shared)
    return NULL;
  e->graph = qf_shared_graph (e->shared);
  if (!plan (e, error))
    return NULL;
  g_debug ("%d steps on %s kernels, %d threads, %" G_GSIZE_FORMAT " bytes",
      (int) e->steps->len, e->k->name, qf_pool_threads (e->pool),
      qf_engine_memory (e));
  return g_steal_pointer (&e);
}

void
qf_engine_free (QfEngine *e)
{
  if (!e)
    return;
  if (e->dag || !e->steps) {
    qf_dag_run_free (e->dag);
    qf_model_unref (e->model);
    g_free (e);
    return;
  }
  qf_sparse_free (e);
  for (guint i = 0; i < e->buffers->len; i++)
    free (g_array_index (e->buffers, QfBuffer, i).constant);
  g_array_unref (e->buffers);
  g_array_unref (e->slots);
  g_ptr_array_unref (e->steps);
  qf_pool_free (e->pool);
  g_free (e->value_slot);
  g_free (e->input_slot);
  g_free (e->inputs);
  g_free (e->outputs);
  free (e->arena);
  free (e->scratch);
  if (e->shared)
    qf_shared_drop (e->shared);
  qf_model_unref (e->model);
  g_free (e);
}
