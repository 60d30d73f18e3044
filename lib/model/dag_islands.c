/* libqfuse: finds the parts of a graph that the int8 and float32 planner runs.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A node belongs to the planner where the planner's own reader takes it. Its
 * stage is how often the way to it enters such a part: nodes of one stage that
 * the planner takes form one island, which runs before the stage's others. */
#include "model/dag-private.h"

#include <string.h>

#define MAX_ISLANDS 64

/* One stage under construction. */
typedef struct
{
  QfOnnxReader reader;
  QfDagIsland *island;
  gboolean works; /* has a Conv or Gemm: worth going there */
} Stage;

typedef struct
{
  QfDagReader *r;
  GPtrArray *stages;  /* Stage * */
  GHashTable *folded; /* name → Onnx__TensorProto *, of folded constants */
  int *stage;         /* of each value's maker; 0: an input or constant */
  gboolean *planned;  /* of each value: an island makes it */
} Search;

static void
stage_free (gpointer p)
{
  Stage *s = p;

  qf_check_clear (&s->reader.check);
  qf_onnx_reader_clear (&s->reader);
  qf_graph_free (s->reader.graph);
  g_array_unref (s->island->in);
  g_array_unref (s->island->out);
  if (s->island->model)
    qf_model_unref (s->island->model);
  g_free (s->island);
  g_free (s);
}

static void
tensor_free (gpointer p)
{
  Onnx__TensorProto *t = p;

  g_free (t->dims);
  g_free (t);
}

/* Constants that were folded, as a file would hold them. */
static void
collect_folded (Search *s)
{
  QfDag *dag = s->r->dag;

  for (guint i = 0; i < dag->values->len; i++) {
    QfDagValue *v = qf_dag_value (dag, (int) i);
    Onnx__TensorProto *t;

    if (!v->a.data || qf_onnx_is_constant (s->r->file, v->name))
      continue;
    t = g_new (Onnx__TensorProto, 1);
    onnx__tensor_proto__init (t);
    t->n_dims = (gsize) v->a.rank;
    t->dims = g_memdup2 (v->a.dims, sizeof v->a.dims);
    t->data_type = qf_onnx_data_type (v->a.dtype);
    t->has_data_type = t->has_raw_data = TRUE;
    t->name = v->name;
    t->raw_data.data = v->a.data;
    t->raw_data.len = qf_array_bytes (&v->a);
    g_hash_table_insert (s->folded, v->name, t);
  }
}

static void
copy_entries (GHashTable *from, GHashTable *to)
{
  GHashTableIter it;
  gpointer key, value;

  g_hash_table_iter_init (&it, from);
  while (g_hash_table_iter_next (&it, &key, &value))
    g_hash_table_insert (to, key, value);
}

static Stage *
get_stage (Search *s, int number)
{
  Stage *st;

  if (number < (int) s->stages->len)
    return g_ptr_array_index (s->stages, (guint) number);
  if (number != (int) s->stages->len || number >= MAX_ISLANDS)
    return NULL;
  st = g_new0 (Stage, 1);
  st->reader.opset = s->r->dag->opset;
  st->reader.keeps = TRUE;
  st->reader.graph = qf_graph_new ();
  qf_onnx_reader_init (&st->reader);
  qf_check_init (&st->reader.check, st->reader.graph);
  copy_entries (s->r->file->tensors, st->reader.tensors);
  copy_entries (s->r->file->attributes, st->reader.attributes);
  copy_entries (s->folded, st->reader.tensors);
  st->island = g_new0 (QfDagIsland, 1);
  st->island->stage = number;
  st->island->in = g_array_new (FALSE, FALSE, sizeof (int));
  st->island->out = g_array_new (FALSE, FALSE, sizeof (int));
  g_ptr_array_add (s->stages, st);
  return st;
}

/* Makes our value @v an input of the island, unless it is there. */
static gboolean
enter (Search *s, Stage *st, int v)
{
  const QfDagValue *value = qf_dag_value (s->r->dag, v);
  QfOnnxReader *r = &st->reader;
  int i;

  if (g_hash_table_contains (r->values, value->name) || value->a.data)
    return TRUE;
  if (value->a.open)
    return FALSE;
  if ((value->a.dtype != QF_F32 && value->a.dtype != QF_U8) ||
      (value->a.rank != 4 && value->a.rank != 2) || value->a.dims[0] != 1)
    return FALSE;
  for (int k = 0; k < value->a.rank; k++)
    if (value->a.dims[k] < 1 || value->a.dims[k] > QF_MAX_DIM)
      return FALSE;
  i = qf_graph_add_value (
      r->graph, value->name, value->a.dtype, value->a.rank, value->a.dims);
  g_array_append_val (r->graph->inputs, i);
  g_hash_table_insert (
      r->values, qf_graph_value (r->graph, i)->name, GINT_TO_POINTER (i + 1));
  g_array_append_val (st->island->in, v);
  return qf_check_input (&r->check, i, NULL);
}

/* Weights that were dequantized: the planner wants to see their codes. */
static void
enter_weights (Search *s, Stage *st, const char *name)
{
  const Onnx__NodeProto *p = g_hash_table_lookup (s->r->dequantized, name);

  if (p && !g_hash_table_contains (st->reader.values, name))
    qf_onnx_read_node (&st->reader, p, NULL); /* else they are numbers */
}

/* Lets the planner's reader read node @i of the dag. */
static gboolean
try_node (Search *s, Stage *st, int i)
{
  const QfDagNode *n = qf_dag_node (s->r->dag, i);
  Onnx__NodeProto p =
      *(const Onnx__NodeProto *) g_ptr_array_index (s->r->protos, (guint) i);
  g_autofree char **names = g_new0 (char *, n->n_in + 1);
  QfGraph *g = st->reader.graph;

  if (n->n_out != 1 || n->out[0] < 0 || strcmp (n->op->name, "Identity") == 0 ||
      strcmp (n->op->name, "Dropout") == 0)
    return FALSE;
  for (int k = 0; k < n->n_in; k++) {
    if (n->in[k] >= 0 && !enter (s, st, n->in[k]))
      return FALSE;
    names[k] =
        n->in[k] < 0 ? (char *) "" : qf_dag_value (s->r->dag, n->in[k])->name;
    enter_weights (s, st, names[k]);
  }
  p.n_input = (gsize) n->n_in;
  p.input = names;
  if (qf_onnx_read_node (&st->reader, &p, NULL)) {
    const QfNode *made = qf_graph_node (g, (int) g->nodes->len - 1);

    st->works |= made->op == QF_OP_CONV || made->op == QF_OP_GEMM;
    return TRUE;
  }
  /* weights that were dequantized for it may stay, itself must not */
  while (g->nodes->len &&
      qf_check_origin (&st->reader.check,
          qf_graph_node (g, (int) g->nodes->len - 1)->out) == QF_FROM_NOTHING)
    g_ptr_array_remove_index (g->nodes, g->nodes->len - 1);
  return FALSE;
}

static void
place_node (Search *s, int i)
{
  QfDagNode *n = qf_dag_node (s->r->dag, i);
  int own = 0, planned = 0; /* stage as node of its own, of an island */
  Stage *st;

  for (int k = 0; k < n->n_in; k++) {
    int v = n->in[k];

    if (v < 0)
      continue;
    own = MAX (own, s->stage[v]);
    planned =
        MAX (planned, s->stage[v] + (s->planned[v] || s->stage[v] < 0 ? 0 : 1));
  }
  for (int k = n->guard; k >= 0; k = qf_dag_guard_at (s->r->dag, k)->parent)
    own = MAX (own, s->stage[qf_dag_guard_at (s->r->dag, k)->condition]);
  n->island = -1;
  n->stage = MAX (own, 0);
  st = get_stage (s, MAX (planned, 0));
  if (st && try_node (s, st, i))
    n->island = n->stage = MAX (planned, 0);
  for (int k = 0; k < n->n_out; k++)
    if (n->out[k] >= 0) {
      s->stage[n->out[k]] = n->stage;
      s->planned[n->out[k]] = n->island >= 0;
    }
}

/* Outputs of each island: what others read. */
static gboolean
add_output (Search *s, int reader, int v)
{
  QfDagValue *value = qf_dag_value (s->r->dag, v);
  Stage *st;
  int i;

  if (!s->planned[v] || value->a.data || s->stage[v] == reader)
    return TRUE;
  st = g_ptr_array_index (s->stages, (guint) s->stage[v]);
  for (guint k = 0; k < st->island->out->len; k++)
    if (g_array_index (st->island->out, int, k) == v)
      return TRUE;
  i = GPOINTER_TO_INT (g_hash_table_lookup (st->reader.values, value->name)) -
      1;
  if (i < 0 || !qf_check_output (&st->reader.check, i, NULL))
    return FALSE;
  g_array_append_val (st->reader.graph->outputs, i);
  g_array_append_val (st->island->out, v);
  return TRUE;
}

static gboolean
add_outputs (Search *s)
{
  QfDag *dag = s->r->dag;

  for (guint i = 0; i < dag->outputs->len; i++)
    if (!add_output (s, -1, g_array_index (dag->outputs, int, i)))
      return FALSE;
  for (guint i = 0; i < dag->nodes->len; i++) {
    const QfDagNode *n = qf_dag_node (dag, (int) i);

    for (int k = 0; k < n->n_in; k++)
      if (n->in[k] >= 0 && !add_output (s, n->island, n->in[k]))
        return FALSE;
    for (int k = n->guard; k >= 0; k = qf_dag_guard_at (dag, k)->parent)
      if (!add_output (s, -1, qf_dag_guard_at (dag, k)->condition))
        return FALSE;
  }
  return TRUE;
}

/* Islands without work run as nodes instead. */
static void
release (Search *s, int number)
{
  for (guint i = 0; i < s->r->dag->nodes->len; i++) {
    QfDagNode *n = qf_dag_node (s->r->dag, (int) i);

    if (n->island == number) {
      n->island = -1;
      for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0)
          s->planned[n->out[k]] = FALSE;
    }
  }
}

static gboolean
whole (const Search *s)
{
  const QfDag *dag = s->r->dag;
  const Stage *st;

  for (guint i = 0; i < dag->nodes->len; i++)
    if (qf_dag_node (dag, (int) i)->island != 0)
      return FALSE;
  if (s->stages->len != 1)
    return FALSE;
  st = g_ptr_array_index (s->stages, 0);
  /* the same inputs and outputs in the same order */
  if (st->island->in->len != dag->inputs->len ||
      st->island->out->len != dag->outputs->len)
    return FALSE;
  return memcmp (st->island->in->data, dag->inputs->data,
             dag->inputs->len * sizeof (int)) == 0 &&
      memcmp (st->island->out->data, dag->outputs->data,
          dag->outputs->len * sizeof (int)) == 0;
}

static QfGraph *
take_graph (Search *s)
{
  Stage *st = g_ptr_array_index (s->stages, 0);

  return qf_graph_validate (st->reader.graph, NULL)
      ? g_steal_pointer (&st->reader.graph)
      : NULL;
}

static void
forget (QfDag *dag)
{
  for (guint i = 0; i < dag->nodes->len; i++)
    qf_dag_node (dag, (int) i)->island = -1;
}

/* The stages' graphs become models. FALSE: one of them cannot. */
static gboolean
make_models (Search *s)
{
  for (guint i = 0; i < s->stages->len; i++) {
    Stage *st = g_ptr_array_index (s->stages, i);
    GError *error = NULL;

    if (!st->works)
      continue;
    if (!qf_graph_validate (st->reader.graph, &error)) {
      g_debug ("no islands: %s", error->message);
      g_error_free (error);
      return FALSE;
    }
    st->island->model = qf_model_new (g_steal_pointer (&st->reader.graph));
  }
  return TRUE;
}

static void
take_islands (Search *s)
{
  QfDag *dag = s->r->dag;
  g_autofree int *number = g_new (int, s->stages->len + 1);

  for (guint i = 0; i < s->stages->len; i++) {
    Stage *st = g_ptr_array_index (s->stages, i);
    QfDagIsland *island;

    number[i] = -1;
    if (!st->island->model)
      continue;
    number[i] = (int) dag->islands->len;
    island = g_memdup2 (st->island, sizeof *island);
    g_array_ref (island->in);
    g_array_ref (island->out);
    st->island->model = NULL;
    g_ptr_array_add (dag->islands, island);
    for (guint k = 0; k < island->out->len; k++)
      qf_dag_value (dag, g_array_index (island->out, int, k))->island =
          number[i];
  }
  for (guint i = 0; i < dag->nodes->len; i++) {
    QfDagNode *n = qf_dag_node (dag, (int) i);

    if (n->island >= 0)
      n->island = number[n->island];
  }
}

/* Constants that only islands read are theirs now; what was given for inputs
 * has done its duty. */
static void
free_constants (QfDag *dag)
{
  g_autofree gboolean *used = g_new0 (gboolean, dag->values->len + 1);

  for (guint i = 0; i < dag->outputs->len; i++)
    used[g_array_index (dag->outputs, int, i)] = TRUE;
  for (guint i = 0; i < dag->nodes->len; i++) {
    const QfDagNode *n = qf_dag_node (dag, (int) i);

    for (int k = 0; n->island < 0 && k < n->n_in; k++)
      if (n->in[k] >= 0)
        used[n->in[k]] = TRUE;
    for (int k = n->guard; k >= 0; k = qf_dag_guard_at (dag, k)->parent)
      used[qf_dag_guard_at (dag, k)->condition] = TRUE;
  }
  for (guint i = 0; i < dag->values->len; i++) {
    QfDagValue *v = qf_dag_value (dag, (int) i);

    g_clear_pointer (&v->a.bound, g_free);
    if (!used[i])
      g_clear_pointer (&v->a.data, g_free);
  }
}

QfGraph *
qf_dag_find_islands (QfDagReader *r)
{
  QfDag *dag = r->dag;
  g_autofree int *stage = g_new (int, dag->values->len + 1);
  g_autofree gboolean *planned = g_new0 (gboolean, dag->values->len + 1);
  Search s = { r, g_ptr_array_new_with_free_func (stage_free),
    g_hash_table_new_full (g_str_hash, g_str_equal, NULL, tensor_free), stage,
    planned };
  QfGraph *graph = NULL;

  for (guint i = 0; i < dag->values->len; i++)
    stage[i] = -1;
  collect_folded (&s);
  for (guint i = 0; i < dag->nodes->len; i++)
    place_node (&s, (int) i);
  for (guint i = 0; i < dag->nodes->len; i++)
    dag->n_stages = MAX (dag->n_stages, qf_dag_node (dag, (int) i)->stage + 1);
  for (guint i = 0; i < s.stages->len; i++)
    if (!((Stage *) g_ptr_array_index (s.stages, i))->works)
      release (&s, (int) i);
  if (!add_outputs (&s))
    forget (dag);
  else if (whole (&s) && (graph = take_graph (&s)))
    forget (dag);
  else if (make_models (&s))
    take_islands (&s);
  else
    forget (dag);
  g_ptr_array_unref (s.stages);
  g_hash_table_unref (s.folded);
  free_constants (dag);
  return graph;
}
