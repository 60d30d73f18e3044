/* libqfuse: reads ONNX files.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/dag-private.h"

#include <string.h>

/* ---- protobuf with a limit on memory ------------------------------------ */

static void *
budget_alloc (void *data, size_t size)
{
  QfOnnxBudget *budget = data;

  if (size > budget->left)
    return NULL;
  budget->left -= size;
  return g_try_malloc (MAX (size, 1));
}

static void
budget_free (void *data, void *p)
{
  g_free (p);
}

void
qf_onnx_budget_init (
    QfOnnxBudget *budget, ProtobufCAllocator *allocator, gsize size)
{
  budget->left = size * 8 + (8 << 20);
  *allocator = (ProtobufCAllocator){ budget_alloc, budget_free, budget };
}

/* ---- constants and values by name --------------------------------------- */

gboolean
qf_onnx_is_constant (const QfOnnxReader *r, const char *name)
{
  return g_hash_table_contains (r->tensors, name) ||
      g_hash_table_contains (r->attributes, name);
}

gboolean
qf_onnx_constant (const QfOnnxReader *r, const char *name, QfOnnxConstant *out,
    GError **error)
{
  const Onnx__TensorProto *t = g_hash_table_lookup (r->tensors, name);
  int number = GPOINTER_TO_INT (g_hash_table_lookup (r->values, name)) - 1;

  if (number >= 0) { /* what the graph has taken */
    const QfValue *v = qf_graph_value (r->graph, number);

    *out = (QfOnnxConstant){
      .dtype = v->dtype, .rank = v->rank, .n = qf_value_elements (v)
    };
    memcpy (out->dims, v->dims, sizeof out->dims);
    out->data = g_memdup2 (v->data, (gsize) out->n * qf_dtype_size (v->dtype));
    return TRUE;
  }
  return t ? qf_onnx_tensor_read (t, out, error)
           : qf_onnx_attribute_read (
                 g_hash_table_lookup (r->attributes, name), out, error);
}

static gboolean
name_taken (const QfOnnxReader *r, const char *name)
{
  return g_hash_table_contains (r->values, name) ||
      g_hash_table_contains (r->makers, name) || qf_onnx_is_constant (r, name);
}

/* The elements become the graph's. */
static int
add_constant (
    QfOnnxReader *r, const char *name, QfOnnxConstant *k, GError **error)
{
  int v;

  if (k->n == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "constant '%s' has no elements", name);
    return -1;
  }
  v = qf_graph_add_value (r->graph, name, k->dtype, k->rank, k->dims);
  qf_value_take (qf_graph_value (r->graph, v), g_steal_pointer (&k->data));
  qf_graph_value (r->graph, v)->bits = k->bits;
  if (!qf_check_constant (&r->check, v, error))
    return -1;
  g_hash_table_insert (
      r->values, qf_graph_value (r->graph, v)->name, GINT_TO_POINTER (v + 1));
  return v;
}

char *
qf_onnx_unique_name (
    const QfOnnxReader *r, const char *stem, const char *suffix)
{
  char *name = g_strconcat (stem, suffix, NULL);

  for (int i = 2; name_taken (r, name); i++) {
    g_free (name);
    name = g_strdup_printf ("%s%s_%d", stem, suffix, i);
  }
  return name;
}

int
qf_onnx_add_constant (QfOnnxReader *r, const char *stem, const char *suffix,
    QfOnnxConstant *k, GError **error)
{
  g_autofree char *name = qf_onnx_unique_name (r, stem, suffix);

  return add_constant (r, name, k, error);
}

int
qf_onnx_value (QfOnnxReader *r, const char *name, GError **error)
{
  int v = GPOINTER_TO_INT (g_hash_table_lookup (r->values, name)) - 1;
  Onnx__TensorProto *t = g_hash_table_lookup (r->tensors, name);
  QfOnnxConstant k;

  if (v >= 0)
    return v;
  if (!qf_onnx_is_constant (r, name)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "it reads '%s', which nothing makes", name);
    return -1;
  }
  if (t && !r->keeps ? !qf_onnx_tensor_take (t, &k, error)
                     : !qf_onnx_constant (r, name, &k, error))
    return -1;
  v = add_constant (r, name, &k, error);
  g_free (k.data);
  return v;
}

/* ---- names and order ---------------------------------------------------- */

static gboolean
text_ok (const char *s)
{
  return !s || g_utf8_validate (s, -1, NULL);
}

static gboolean
bad_file (GError **error, const char *what)
{
  g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "%s", what);
  return FALSE;
}

static gboolean
check_texts (const Onnx__GraphProto *g, GError **error)
{
  gboolean ok = TRUE;

  for (gsize i = 0; ok && i < g->n_node; i++) {
    const Onnx__NodeProto *n = g->node[i];

    ok = text_ok (n->name) && text_ok (n->op_type) && text_ok (n->domain);
    for (gsize k = 0; ok && k < n->n_input; k++)
      ok = text_ok (n->input[k]);
    for (gsize k = 0; ok && k < n->n_output; k++)
      ok = text_ok (n->output[k]);
    for (gsize k = 0; ok && k < n->n_attribute; k++)
      ok = text_ok (n->attribute[k]->name) &&
          (!n->attribute[k]->t || text_ok (n->attribute[k]->t->name));
  }
  for (gsize i = 0; ok && i < g->n_initializer; i++)
    ok = text_ok (g->initializer[i]->name);
  for (gsize i = 0; ok && i < g->n_input; i++)
    ok = text_ok (g->input[i]->name);
  for (gsize i = 0; ok && i < g->n_output; i++)
    ok = text_ok (g->output[i]->name);
  return ok || bad_file (error, "holds a name that is not UTF-8");
}

/* Initializers and Constant nodes. */
static gboolean
collect_constants (QfOnnxReader *r, const Onnx__GraphProto *g, GError **error)
{
  for (gsize i = 0; i < g->n_initializer; i++) {
    Onnx__TensorProto *t = g->initializer[i];

    if (!t->name || !t->name[0])
      return bad_file (error, "holds a constant without a name");
    if (!qf_onnx_tensor_check (t, error))
      return FALSE;
    if (!g_hash_table_insert (r->tensors, t->name, t)) {
      g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
          "constant '%s' is there twice", t->name);
      return FALSE;
    }
  }
  for (gsize i = 0; i < g->n_node; i++) {
    const Onnx__NodeProto *n = g->node[i];

    if (g_strcmp0 (n->op_type, "Constant") != 0)
      continue;
    if (n->n_output != 1 || n->n_attribute != 1 || !n->output[0][0])
      return bad_file (error, "holds a Constant node without a value");
    if (n->attribute[0]->t && !qf_onnx_tensor_check (n->attribute[0]->t, error))
      return FALSE;
    if (g_hash_table_contains (r->tensors, n->output[0]) ||
        !g_hash_table_insert (r->attributes, n->output[0], n->attribute[0])) {
      g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
          "constant '%s' is there twice", n->output[0]);
      return FALSE;
    }
  }
  return TRUE;
}

/* Who makes what; nothing may be made twice. */
static gboolean
collect_makers (QfOnnxReader *r, const Onnx__GraphProto *g, GError **error)
{
  for (gsize i = 0; i < g->n_node; i++) {
    const Onnx__NodeProto *n = g->node[i];

    if (!n->op_type)
      return bad_file (error, "holds a node without an operator");
    if (strcmp (n->op_type, "Constant") == 0)
      continue;
    if (n->n_output == 0 || !n->output[0][0]) {
      g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
          "node '%s' (%s) makes nothing", n->name ? n->name : "", n->op_type);
      return FALSE;
    }
    for (gsize k = 0; k < n->n_output; k++) {
      if (!n->output[k][0])
        continue;
      if (name_taken (r, n->output[k])) {
        g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
            "'%s' is made twice, the second time by node '%s' (%s)",
            n->output[k], qf_onnx_node_name (n), n->op_type);
        return FALSE;
      }
      g_hash_table_insert (r->makers, n->output[k], GSIZE_TO_POINTER (i + 1));
    }
  }
  return TRUE;
}

enum
{
  NEW,
  OPEN,
  DONE
};

/* Depth first without recursion: appends node @first to @order after everything
 * it needs. A node that is met while it is open closes a cycle. */
static gboolean
visit (const QfOnnxReader *r, const Onnx__GraphProto *g, guint first,
    guint8 *state, gsize *next_input, GArray *order, GError **error)
{
  g_autoptr (GArray) stack = g_array_new (FALSE, FALSE, sizeof (guint));

  g_array_append_val (stack, first);
  while (stack->len) {
    guint i = g_array_index (stack, guint, stack->len - 1);
    const Onnx__NodeProto *n = g->node[i];

    state[i] = OPEN;
    if (next_input[i] < n->n_input) {
      const char *name = n->input[next_input[i]++];
      guint maker = GPOINTER_TO_UINT (g_hash_table_lookup (r->makers, name));

      if (maker == 0 || state[maker - 1] == DONE)
        continue;
      maker--;
      if (state[maker] == OPEN) {
        g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
            "the graph has a cycle through node '%s' (%s)",
            qf_onnx_node_name (n), n->op_type);
        return FALSE;
      }
      g_array_append_val (stack, maker);
      continue;
    }
    state[i] = DONE;
    g_array_append_val (order, i);
    g_array_set_size (stack, stack->len - 1);
  }
  return TRUE;
}

/* Positions of the nodes so that each comes after what it reads; those of a
 * sorted file stay as they are. */
static GArray *
sort_nodes (const QfOnnxReader *r, const Onnx__GraphProto *g, GError **error)
{
  g_autoptr (GArray) order = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autofree guint8 *state = g_malloc0 (g->n_node + 1);
  g_autofree gsize *next_input = g_new0 (gsize, g->n_node + 1);

  for (guint i = 0; i < g->n_node; i++)
    if (state[i] == NEW && strcmp (g->node[i]->op_type, "Constant") != 0 &&
        !visit (r, g, i, state, next_input, order, error))
      return NULL;
  return g_steal_pointer (&order);
}

/* ---- the graph ---------------------------------------------------------- */

static gboolean
read_input (QfOnnxReader *r, const Onnx__ValueInfoProto *info, GError **error)
{
  const Onnx__TypeProto__Tensor *type =
      info->type ? info->type->tensor_type : NULL;
  gint64 dims[QF_MAX_RANK];
  QfDType dtype;
  int v;

  if (!info->name || !info->name[0])
    return bad_file (error, "has an input without a name");
  if (!type || !type->shape || type->shape->n_dim > QF_MAX_RANK) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "input '%s' has no shape of at most %d dimensions", info->name,
        QF_MAX_RANK);
    return FALSE;
  }
  if (!qf_onnx_dtype (type->elem_type, &dtype)) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "input '%s' is neither uint8 nor float32", info->name);
    return FALSE;
  }
  for (gsize i = 0; i < type->shape->n_dim; i++) {
    const Onnx__TensorShapeProto__Dimension *d = type->shape->dim[i];

    dims[i] = d->has_dim_value ? d->dim_value : 0;
    if (dims[i] > 0)
      continue;
    if (i > 0) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
          "input '%s' has no fixed size in dimension %d%s%s%s; export the "
          "model with fixed sizes",
          info->name, (int) i + 1,
          text_ok (d->dim_param) && d->dim_param ? " ('" : "",
          text_ok (d->dim_param) && d->dim_param ? d->dim_param : "",
          text_ok (d->dim_param) && d->dim_param ? "')" : "");
      return FALSE;
    }
    dims[0] = 1; /* any batch */
  }
  if (r->graph->inputs->len == QF_MAX_ENDS) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "has more than %d inputs",
        QF_MAX_ENDS);
    return FALSE;
  }
  if (g_hash_table_contains (r->values, info->name)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "input '%s' is there twice",
        info->name);
    return FALSE;
  }
  v = qf_graph_add_value (
      r->graph, info->name, dtype, (int) type->shape->n_dim, dims);
  g_array_append_val (r->graph->inputs, v);
  g_hash_table_insert (
      r->values, qf_graph_value (r->graph, v)->name, GINT_TO_POINTER (v + 1));
  return qf_check_input (&r->check, v, error);
}

/* An output may be named by a dropped Identity: the value takes its name. */
static gboolean
read_output (QfOnnxReader *r, const Onnx__ValueInfoProto *info, GError **error)
{
  int v = GPOINTER_TO_INT (
              g_hash_table_lookup (r->values, info->name ? info->name : "")) -
      1;
  QfValue *value;

  if (v < 0) {
    gboolean constant = info->name && qf_onnx_is_constant (r, info->name);

    g_set_error (error, QF_ERROR,
        constant ? QF_ERROR_UNSUPPORTED : QF_ERROR_FORMAT,
        constant ? "output '%s' is a constant"
                 : "output '%s' is made by no node",
        info->name ? info->name : "");
    return FALSE;
  }
  for (guint i = 0; i < r->graph->outputs->len; i++)
    if (g_array_index (r->graph->outputs, int, i) == v) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
          "output '%s' is another output's copy", info->name);
      return FALSE;
    }
  if (!qf_check_output (&r->check, v, error))
    return FALSE;
  value = qf_graph_value (r->graph, v);
  if (strcmp (value->name, info->name) != 0) {
    /* the key in the table is the old name, which a later output may ask for */
    g_hash_table_steal (r->values, value->name);
    g_free (value->name);
    value->name = g_strdup (info->name);
  }
  g_array_append_val (r->graph->outputs, v);
  return TRUE;
}

gboolean
qf_onnx_collect (QfOnnxReader *r, const Onnx__GraphProto *g, GError **error)
{
  if (g->n_node > QF_MAX_NODES) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "has %" G_GSIZE_FORMAT " nodes, at most %d are allowed", g->n_node,
        QF_MAX_NODES);
    return FALSE;
  }
  if (g->n_output > QF_MAX_ENDS) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "has more than %d outputs",
        QF_MAX_ENDS);
    return FALSE;
  }
  return check_texts (g, error) && collect_constants (r, g, error);
}

GArray *
qf_onnx_order (QfOnnxReader *r, const Onnx__GraphProto *g, GError **error)
{
  return collect_makers (r, g, error) ? sort_nodes (r, g, error) : NULL;
}

static gboolean
read_graph (QfOnnxReader *r, const Onnx__GraphProto *g, GError **error)
{
  g_autoptr (GArray) order = NULL;

  if (!qf_onnx_collect (r, g, error))
    return FALSE;
  for (gsize i = 0; i < g->n_input; i++)
    if ((!g->input[i]->name || !qf_onnx_is_constant (r, g->input[i]->name)) &&
        !read_input (r, g->input[i], error))
      return FALSE;
  order = qf_onnx_order (r, g, error);
  if (!order)
    return FALSE;
  for (guint i = 0; i < order->len; i++)
    if (!qf_onnx_read_node (r, g->node[g_array_index (order, guint, i)], error))
      return FALSE;
  for (gsize i = 0; i < g->n_output; i++)
    if (!read_output (r, g->output[i], error))
      return FALSE;
  return qf_graph_validate (r->graph, error);
}

static gboolean
read_opset (const Onnx__ModelProto *m, int *opset, GError **error)
{
  for (gsize i = 0; i < m->n_opset_import; i++) {
    const Onnx__OperatorSetIdProto *o = m->opset_import[i];

    if (o->domain && o->domain[0] && strcmp (o->domain, "ai.onnx") != 0)
      continue;
    if (o->version < QF_ONNX_MIN_OPSET || o->version > QF_ONNX_MAX_OPSET) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
          "is of opset %" G_GINT64_FORMAT "; %d to %d are supported",
          o->version, QF_ONNX_MIN_OPSET, QF_ONNX_MAX_OPSET);
      return FALSE;
    }
    *opset = (int) o->version;
    return TRUE;
  }
  return bad_file (error, "is no ONNX model: it names no operator set");
}

static gboolean
read_metadata (QfModel *model, const Onnx__ModelProto *m, GError **error)
{
  for (gsize i = 0; i < m->n_metadata_props; i++) {
    const Onnx__StringStringEntryProto *p = m->metadata_props[i];

    if (!text_ok (p->key) || !text_ok (p->value))
      return bad_file (error, "holds metadata that is not UTF-8");
    if (p->key && p->key[0])
      qf_model_set (model, p->key, p->value ? p->value : "");
  }
  return TRUE;
}

void
qf_onnx_reader_init (QfOnnxReader *r)
{
  r->tensors = g_hash_table_new (g_str_hash, g_str_equal);
  r->attributes = g_hash_table_new (g_str_hash, g_str_equal);
  r->values = g_hash_table_new (g_str_hash, g_str_equal);
  r->makers = g_hash_table_new (g_str_hash, g_str_equal);
  r->turned = g_hash_table_new (NULL, NULL);
}

void
qf_onnx_reader_clear (QfOnnxReader *r)
{
  g_hash_table_unref (r->tensors);
  g_hash_table_unref (r->attributes);
  g_hash_table_unref (r->values);
  g_hash_table_unref (r->makers);
  g_hash_table_unref (r->turned);
}

/* A graph that the planner can take as it stands. */
static QfGraph *
read_planned (const Onnx__ModelProto *m, int opset, GError **error)
{
  g_autoptr (QfGraph) graph = qf_graph_new ();
  QfOnnxReader r = { .graph = graph, .opset = opset };
  gboolean ok;

  qf_check_init (&r.check, graph);
  qf_onnx_reader_init (&r);
  ok = read_graph (&r, m->graph, error);
  qf_check_clear (&r.check);
  qf_onnx_reader_clear (&r);
  return ok ? g_steal_pointer (&graph) : NULL;
}

/* With @any bindings count, else the planner has to take the graph. */
static QfModel *
read_model (const Onnx__ModelProto *m, gboolean any, const QfBinding *bindings,
    int n_bindings, GError **error)
{
  g_autoptr (QfModel) model = NULL;
  QfGraph *graph = NULL;
  QfDag *dag = NULL;
  int opset = 0;

  if (!m->graph) {
    bad_file (error, "is no ONNX model: it has no graph");
    return NULL;
  }
  if (!read_opset (m, &opset, error))
    return NULL;
  if (any)
    dag = qf_dag_read (m, opset, bindings, n_bindings, &graph, error);
  else
    graph = read_planned (m, opset, error);
  if (!dag && !graph)
    return NULL;
  if (graph)
    g_clear_pointer (&dag, qf_dag_free);
  model = qf_model_new (graph);
  model->dag = dag;
  return read_metadata (model, m, error) ? g_steal_pointer (&model) : NULL;
}

QfDag *
qf_onnx_read_dag (GBytes *bytes, GError **error)
{
  ProtobufCAllocator allocator;
  QfOnnxBudget budget;
  Onnx__ModelProto *m = qf_onnx_unpack (bytes, &budget, &allocator, error);
  QfDag *dag = NULL;
  int opset = 0;

  if (!m)
    return NULL;
  if (!m->graph)
    bad_file (error, "is no ONNX model: it has no graph");
  else if (read_opset (m, &opset, error))
    dag = qf_dag_read (m, opset, NULL, 0, NULL, error);
  onnx__model_proto__free_unpacked (m, &allocator);
  return dag;
}

Onnx__ModelProto *
qf_onnx_unpack (GBytes *bytes, QfOnnxBudget *budget,
    ProtobufCAllocator *allocator, GError **error)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  Onnx__ModelProto *m;

  qf_onnx_budget_init (budget, allocator, size);
  m = onnx__model_proto__unpack (allocator, size, data);
  if (!m)
    bad_file (error, "is not an ONNX file, or it is damaged");
  return m;
}

QfModel *
qf_onnx_read (GBytes *bytes, GError **error)
{
  ProtobufCAllocator allocator;
  QfOnnxBudget budget;
  Onnx__ModelProto *m = qf_onnx_unpack (bytes, &budget, &allocator, error);
  QfModel *model;

  g_bytes_unref (bytes); /* weights are in memory once from now on */
  if (!m)
    return NULL;
  model = read_model (m, FALSE, NULL, 0, error);
  onnx__model_proto__free_unpacked (m, &allocator);
  return model;
}

QfModel *
qf_onnx_read_any (
    GBytes *bytes, const QfBinding *bindings, int n_bindings, GError **error)
{
  ProtobufCAllocator allocator;
  QfOnnxBudget budget;
  Onnx__ModelProto *m = qf_onnx_unpack (bytes, &budget, &allocator, error);
  QfModel *model = NULL;

  if (m) {
    model = read_model (m, TRUE, bindings, n_bindings, error);
    onnx__model_proto__free_unpacked (m, &allocator);
  }
  if (model && model->dag)
    model->file = g_bytes_ref (bytes);
  g_bytes_unref (bytes);
  return model;
}
