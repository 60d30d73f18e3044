/* libqfuse: reads graphs of any operators from ONNX files.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/dag-private.h"

#include <string.h>

#define FOLD_ELEMENTS                                                          \
  (G_GINT64_CONSTANT (1) << 22) /* beside the file's own                       \
                                 */
#define FOLD_WORK (G_GINT64_CONSTANT (1) << 26)

/* ---- values ------------------------------------------------------------- */

static int
add_value (QfDagReader *r, const char *name)
{
  QfDagValue *v = g_new0 (QfDagValue, 1);

  v->name = g_strdup (name);
  v->island = -1;
  g_ptr_array_add (r->dag->values, v);
  g_hash_table_insert (
      r->numbers, v->name, GUINT_TO_POINTER (r->dag->values->len));
  return (int) r->dag->values->len - 1;
}

/* Number of the value @name; constants are read when they are asked for. */
int
qf_dag_find_value (QfDagReader *r, const char *name, GError **error)
{
  int i = GPOINTER_TO_INT (g_hash_table_lookup (r->numbers, name)) - 1;
  QfOnnxConstant k;
  QfDagValue *v;

  if (i >= 0)
    return i;
  if (!qf_onnx_is_constant (r->file, name)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "it reads '%s', which nothing makes", name);
    return -1;
  }
  if (!qf_onnx_constant (r->file, name, &k, error))
    return -1;
  i = add_value (r, name);
  v = qf_dag_value (r->dag, i);
  v->a.dtype = k.dtype;
  v->a.rank = k.rank;
  memcpy (v->a.dims, k.dims, sizeof v->a.dims);
  v->a.data = k.data;
  v->made = TRUE;
  return i;
}

/* ---- inputs ------------------------------------------------------------- */

static const QfBinding *
find_binding (const QfDagReader *r, const char *name, int position)
{
  for (int i = 0; i < r->n_bindings; i++)
    if (r->bindings[i].name ? strcmp (r->bindings[i].name, name) == 0
                            : i == position)
      return &r->bindings[i];
  return NULL;
}

/* Dims of the file: a batch that is open is 1, others have to be bound. */
static gboolean
file_shape (const Onnx__ValueInfoProto *info, const QfBinding *b, QfArray *a,
    GError **error)
{
  const Onnx__TypeProto__Tensor *type =
      info->type ? info->type->tensor_type : NULL;

  if (!type || !qf_onnx_dtype (type->elem_type, &a->dtype))
    return FAIL (QF_ERROR_UNSUPPORTED,
        "input '%s' has an element type that is not supported", info->name);
  if (!b && (!type->shape || type->shape->n_dim > QF_MAX_RANK))
    return FAIL (QF_ERROR_UNSUPPORTED,
        "input '%s' has no shape of at most %d dimensions", info->name,
        QF_MAX_RANK);
  if (b && b->dtype != a->dtype)
    return FAIL (QF_ERROR_ARGUMENT,
        "what is given for input '%s' is of another type", info->name);
  if (b && type->shape && (int) type->shape->n_dim != b->rank)
    return FAIL (QF_ERROR_ARGUMENT,
        "what is given for input '%s' has %d dimensions instead of %d",
        info->name, b->rank, (int) type->shape->n_dim);
  a->rank = b ? b->rank : (int) type->shape->n_dim;
  for (int i = 0; i < a->rank; i++) {
    const Onnx__TensorShapeProto__Dimension *d =
        type->shape ? type->shape->dim[i] : NULL;
    gint64 fixed = d && d->has_dim_value ? d->dim_value : -1;

    a->dims[i] = b ? b->dims[i] : fixed < 1 && i == 0 ? 1 : fixed;
    if (b && fixed >= 0 && fixed != b->dims[i])
      return FAIL (QF_ERROR_ARGUMENT,
          "what is given for input '%s' has %" G_GINT64_FORMAT
          " instead of %" G_GINT64_FORMAT " in dimension %d",
          info->name, b->dims[i], fixed, i + 1);
    if (!b && a->dims[i] < 1)
      return FAIL (QF_ERROR_UNSUPPORTED,
          "input '%s' has no fixed size in dimension %d; export the model with "
          "fixed sizes",
          info->name, i + 1);
  }
  return TRUE;
}

static gboolean
read_input (QfDagReader *r, const Onnx__ValueInfoProto *info, GError **error)
{
  int position = (int) r->dag->inputs->len, i;
  const QfBinding *b;
  QfArray a = { 0 };
  gint64 n = 1;

  if (!info->name || !info->name[0])
    return FAIL (QF_ERROR_FORMAT, "has an input without a name");
  if (position == QF_MAX_ENDS)
    return FAIL (QF_ERROR_FORMAT, "has more than %d inputs", QF_MAX_ENDS);
  if (g_hash_table_contains (r->numbers, info->name))
    return FAIL (QF_ERROR_FORMAT, "input '%s' is there twice", info->name);
  b = find_binding (r, info->name, position);
  if (!file_shape (info, b, &a, error))
    return FALSE;
  for (int k = 0; k < a.rank; k++) {
    if (a.dims[k] < 0 || a.dims[k] > QF_MAX_ELEMENTS ||
        (n *= MAX (a.dims[k], 1)) > QF_MAX_ELEMENTS)
      return FAIL (QF_ERROR_FORMAT,
          "input '%s' has a shape that is not allowed", info->name);
  }
  if (b && b->data)
    a.bound = g_memdup2 (b->data, MAX (qf_array_bytes (&a), 1));
  if (r->bind_lists && a.rank < 2)
    a.data = g_steal_pointer (&a.bound);
  i = add_value (r, info->name);
  qf_dag_value (r->dag, i)->a = a;
  qf_dag_value (r->dag, i)->made = TRUE;
  g_array_append_val (r->dag->inputs, i);
  return TRUE;
}

/* ---- nodes -------------------------------------------------------------- */

static gboolean
is_output (const Onnx__GraphProto *g, const char *name)
{
  for (gsize i = 0; i < g->n_output; i++)
    if (g_strcmp0 (g->output[i]->name, name) == 0)
      return TRUE;
  return FALSE;
}

/* Identity, and Dropout when a network is only run: another name. */
static gboolean
is_alias (const Onnx__GraphProto *g, const Onnx__NodeProto *p)
{
  if (strcmp (p->op_type, "Identity") != 0 &&
      (strcmp (p->op_type, "Dropout") != 0 || p->n_input > 2 ||
          (p->n_output > 1 && p->output[1][0])))
    return FALSE;
  return (!p->domain || !p->domain[0]) && p->n_input > 0 && p->input[0][0] &&
      !is_output (g, p->output[0]);
}

static QfDagNode *
new_node (const Onnx__NodeProto *p, const QfOperator *op)
{
  QfDagNode *n = g_new0 (QfDagNode, 1);

  n->op = op;
  n->name = g_strdup (qf_onnx_node_name (p));
  n->attrs = g_ptr_array_new_with_free_func (qf_attr_free);
  n->n_in = (int) p->n_input;
  while (n->n_in > 0 && !qf_onnx_input_name (p, (gsize) n->n_in - 1))
    n->n_in--;
  n->n_out = (int) p->n_output;
  n->in = g_new (int, n->n_in + 1);
  n->out = g_new (int, n->n_out + 1);
  n->island = -1;
  n->guard = -1;
  return n;
}

static gboolean
read_ends (QfDagReader *r, const Onnx__NodeProto *p, QfDagNode *n, int chosen,
    GError **error)
{
  for (int i = 0; i < n->n_in; i++) {
    /* the branch that is not taken gives nothing */
    const char *name =
        qf_onnx_input_name (p, (gsize) (i > 0 && chosen ? chosen : i));

    n->in[i] = name ? qf_dag_find_value (r, name, error) : -1;
    if (name && n->in[i] < 0)
      return FALSE;
  }
  for (gsize i = 0; i < p->n_attribute; i++) {
    QfAttr *a = g_new0 (QfAttr, 1);

    g_ptr_array_add (n->attrs, a);
    if (!qf_dag_read_attr (p->attribute[i], a, error))
      return FALSE;
  }
  for (int i = 0; i < n->n_out; i++) {
    if (g_hash_table_contains (r->numbers, p->output[i]))
      return FAIL (QF_ERROR_FORMAT, "'%s' is made twice", p->output[i]);
    n->out[i] = p->output[i][0] ? add_value (r, p->output[i]) : -1;
  }
  return TRUE;
}

static gboolean
read_node (QfDagReader *r, const Onnx__GraphProto *g, const Onnx__NodeProto *p,
    GError **error)
{
  const QfOperator *op =
      qf_operator_find (p->domain, p->op_type, r->dag->opset);
  int guard = qf_dag_guard (r, p), chosen = qf_dag_chosen (r, p);
  g_autoptr (GError) err = NULL;
  QfDagNode *n;

  if (guard == QF_GUARD_NEVER)
    return TRUE;
  if (is_alias (g, p) || (chosen && !is_output (g, p->output[0]))) {
    int v = qf_dag_find_value (r, p->input[chosen], &err);

    if (v < 0)
      return qf_node_error (error, err->code, qf_onnx_node_name (p), p->op_type,
          "%s", err->message);
    g_hash_table_insert (
        r->numbers, p->output[0], GUINT_TO_POINTER ((guint) v + 1));
    return TRUE;
  }
  if (!op)
    return FAIL (QF_ERROR_UNSUPPORTED,
        "node '%s' is of operator %s%s%s, which is not supported in opset %d",
        qf_onnx_node_name (p), p->domain ? p->domain : "",
        p->domain && p->domain[0] ? "." : "", p->op_type, r->dag->opset);
  if (p->n_input > QF_OP_MAX_IN || p->n_output > QF_OP_MAX_OUT)
    return qf_node_error (error, QF_ERROR_UNSUPPORTED, qf_onnx_node_name (p),
        p->op_type, "it has too many inputs or outputs");
  n = new_node (p, op);
  n->guard = guard;
  g_ptr_array_add (r->dag->nodes, n);
  g_ptr_array_add (r->protos, (gpointer) p);
  if (!read_ends (r, p, n, chosen, &err))
    return qf_node_error (error, err->code, qf_onnx_node_name (p), p->op_type,
        "%s", err->message);
  return qf_dag_infer (r, n, error);
}

/* ---- the graph ---------------------------------------------------------- */

static gboolean
read_output (QfDagReader *r, const char *name, GError **error)
{
  int v = name ? qf_dag_find_value (r, name, error) : -1;

  if (v < 0) {
    g_clear_error (error);
    return FAIL (
        QF_ERROR_FORMAT, "output '%s' is made by no node", name ? name : "");
  }
  g_array_append_val (r->dag->outputs, v);
  return TRUE;
}

/* Drops nodes whose results nobody needs or that are folded. */
static void
drop_dead (QfDagReader *r)
{
  g_autofree gboolean *live = g_new0 (gboolean, r->dag->values->len + 1);
  QfDag *dag = r->dag;

  for (guint i = 0; i < dag->outputs->len; i++)
    live[g_array_index (dag->outputs, int, i)] = TRUE;
  for (int i = (int) dag->nodes->len - 1; i >= 0; i--) {
    const QfDagNode *n = qf_dag_node (dag, i);
    gboolean needed = FALSE;

    for (int k = 0; k < n->n_out; k++)
      needed |= n->out[k] >= 0 && live[n->out[k]] &&
          !qf_dag_value (dag, n->out[k])->a.data;
    if (!needed) {
      g_ptr_array_remove_index (dag->nodes, (guint) i);
      g_ptr_array_remove_index (r->protos, (guint) i);
      continue;
    }
    for (int k = 0; k < n->n_in; k++)
      if (n->in[k] >= 0)
        live[n->in[k]] = TRUE;
    for (int k = n->guard; k >= 0; k = qf_dag_guard_at (dag, k)->parent)
      live[qf_dag_guard_at (dag, k)->condition] = TRUE;
  }
}

static gint64
file_elements (const Onnx__GraphProto *g)
{
  gint64 sum = 0;

  for (gsize i = 0; i < g->n_initializer; i++) {
    const Onnx__TensorProto *t = g->initializer[i];

    gboolean bytes =
        t->data_type == QF_ONNX_INT8 || t->data_type == QF_ONNX_UINT8;

    sum += (gint64) (t->raw_data.len / (bytes ? 1 : 4) + t->n_float_data);
  }
  return sum;
}

static gboolean
read_graph (QfDagReader *r, const Onnx__GraphProto *g, GError **error)
{
  g_autoptr (GArray) order = NULL;

  r->fold_elements = FOLD_ELEMENTS + file_elements (g);
  r->fold_work = FOLD_WORK + 4 * file_elements (g);
  if (!qf_onnx_collect (r->file, g, error))
    return FALSE;
  for (gsize i = 0; i < g->n_input; i++)
    if ((!g->input[i]->name ||
            !qf_onnx_is_constant (r->file, g->input[i]->name)) &&
        !read_input (r, g->input[i], error))
      return FALSE;
  order = qf_onnx_order (r->file, g, error);
  if (!order)
    return FALSE;
  for (guint i = 0; i < order->len; i++)
    if (!read_node (r, g, g->node[g_array_index (order, guint, i)], error))
      return FALSE;
  if (g->n_output == 0)
    return FAIL (QF_ERROR_FORMAT, "the graph has no output");
  for (gsize i = 0; i < g->n_output; i++)
    if (!read_output (r, g->output[i]->name, error))
      return FALSE;
  drop_dead (r);
  return TRUE;
}

static QfDag *
read_once (int opset, QfDagReader *r, QfGraph **graph, GError **error)
{
  g_autoptr (QfDag) dag = qf_dag_new ();
  QfOnnxReader file = { .opset = opset };
  gboolean ok;

  dag->opset = opset;
  qf_onnx_reader_init (&file);
  r->file = &file;
  r->dag = dag;
  r->numbers = g_hash_table_new (g_str_hash, g_str_equal);
  r->protos = g_ptr_array_new ();
  r->guards = g_array_new (FALSE, FALSE, sizeof (int));
  r->dequantized = g_hash_table_new (g_str_hash, g_str_equal);
  ok = read_graph (r, &r->flat->graph, error);
  if (ok && graph)
    *graph = qf_dag_find_islands (r);
  qf_onnx_reader_clear (&file);
  g_hash_table_unref (r->numbers);
  g_ptr_array_unref (r->protos);
  g_array_unref (r->guards);
  g_hash_table_unref (r->dequantized);
  return ok ? g_steal_pointer (&dag) : NULL;
}

/* An input becomes constant where an operator asks for its value. Where one
 * asks for what is computed of inputs, all short ones do. */
QfDag *
qf_dag_read (const Onnx__ModelProto *m, int opset, const QfBinding *bindings,
    int n_bindings, QfGraph **graph, GError **error)
{
  QfDagReader r = { .bindings = bindings, .n_bindings = n_bindings };
  g_autoptr (GError) first = NULL;
  QfOnnxFlat *flat = qf_onnx_flatten (m->graph, error);
  QfDag *dag;

  if (graph)
    *graph = NULL;
  if (!flat)
    return NULL;
  r.flat = flat;
  dag = read_once (opset, &r, graph, &first);
  if (!dag && r.wants_constant && n_bindings > 0) {
    r.bind_lists = TRUE;
    g_clear_error (&first);
    dag = read_once (opset, &r, graph, &first);
  }
  qf_onnx_flat_free (flat);
  if (!dag)
    g_propagate_error (error, g_steal_pointer (&first));
  return dag;
}
