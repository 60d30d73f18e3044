/* libqfuse: If nodes of ONNX files: the nodes of both branches become nodes of
 * the graph around them.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A node of a branch has a guard, which says when it runs. The If node itself
 * becomes one node an output, with three inputs: the condition and what each
 * branch gives. What a branch makes gets a name of its own. The file's messages
 * stay as they are. */
#include "model/onnx-private.h"

#include <string.h>

#define MAX_DEPTH 8
#define MAX_BRANCHES 4096

/* Names within a branch: the file's → ours. */
typedef struct _Scope Scope;
struct _Scope
{
  const Scope *outer;
  GHashTable *names;
  int depth, guard;
};

static gboolean flatten (QfOnnxFlat *f, const Onnx__GraphProto *g,
    const Scope *scope, GError **error);

/* Our name of what the file calls @name where @scope is. */
static char *
our_name (const Scope *scope, char *name)
{
  for (; scope; scope = scope->outer) {
    char *ours = scope->names ? g_hash_table_lookup (scope->names, name) : NULL;

    if (ours)
      return ours;
  }
  return name;
}

static char **
our_names (QfOnnxFlat *f, const Scope *scope, char **names, gsize n)
{
  char **ours = g_new (char *, n + 1);

  g_ptr_array_add (f->owned, ours);
  for (gsize i = 0; i < n; i++)
    ours[i] = names[i] && names[i][0] ? our_name (scope, names[i]) : names[i];
  return ours;
}

static void
add_node (QfOnnxFlat *f, Onnx__NodeProto *node, int guard)
{
  g_ptr_array_add (f->nodes, node);
  if (guard >= 0)
    g_hash_table_insert (f->guard_of, node, GINT_TO_POINTER (guard + 1));
}

static Onnx__NodeProto *
copy_node (QfOnnxFlat *f, const Onnx__NodeProto *node)
{
  Onnx__NodeProto *copy = g_memdup2 (node, sizeof *node);

  g_ptr_array_add (f->owned, copy);
  return copy;
}

/* ---- branches ----------------------------------------------------------- */

static void
name_it (QfOnnxFlat *f, Scope *scope, const char *stem, char *name)
{
  g_autofree char *ours = NULL;

  if (!name || !name[0])
    return;
  ours = g_strdup_printf ("%s/%u/%s", stem, f->branches->len, name);
  g_hash_table_insert (
      scope->names, name, g_string_chunk_insert (f->texts, ours));
}

/* The messages of a branch; NULL with @error. */
static Onnx__GraphProto *
unpack (QfOnnxFlat *f, const Onnx__NodeProto *node, const char *which,
    GError **error)
{
  const Onnx__AttributeProto *a = qf_onnx_find_attribute (node, which);
  Onnx__GraphProto *g;

  if (!a || !a->has_g) {
    (void) FAIL (QF_ERROR_FORMAT, "it has no %s", which);
    return NULL;
  }
  if (f->branches->len == MAX_BRANCHES) {
    (void) FAIL (QF_ERROR_UNSUPPORTED, "the graph has more than %d branches",
        MAX_BRANCHES);
    return NULL;
  }
  g = onnx__graph_proto__unpack (&f->allocator, a->g.len, a->g.data);
  if (!g) {
    (void) FAIL (QF_ERROR_FORMAT, "its %s is damaged", which);
    return NULL;
  }
  g_ptr_array_add (f->branches, g);
  if (g->n_input > 0) {
    (void) FAIL (QF_ERROR_FORMAT, "its %s has inputs", which);
    return NULL;
  }
  return g;
}

/* Adds a branch and gives the names of its outputs, owned by @f. */
static char **
add_branch (QfOnnxFlat *f, const Onnx__NodeProto *node, gboolean wants,
    const Scope *outer, char *condition, GError **error)
{
  Onnx__GraphProto *g =
      unpack (f, node, wants ? "then_branch" : "else_branch", error);
  QfOnnxGuard guard = { outer->guard, condition, wants };
  const char *stem = qf_onnx_node_name (node);
  Scope scope = { outer, NULL, outer->depth + 1, (int) f->guards->len };
  g_autofree char **names = NULL;
  char **ours = NULL;

  if (!g)
    return NULL;
  if (g->n_output != node->n_output) {
    (void) FAIL (
        QF_ERROR_FORMAT, "its branches give another number of outputs");
    return NULL;
  }
  g_array_append_val (f->guards, guard);
  scope.names = g_hash_table_new (g_str_hash, g_str_equal);
  for (gsize i = 0; i < g->n_initializer; i++)
    name_it (f, &scope, stem, g->initializer[i]->name);
  for (gsize i = 0; i < g->n_node; i++)
    for (gsize k = 0; k < g->node[i]->n_output; k++)
      name_it (f, &scope, stem, g->node[i]->output[k]);
  if (flatten (f, g, &scope, error)) {
    names = g_new (char *, g->n_output + 1);
    for (gsize i = 0; i < g->n_output; i++)
      names[i] = g->output[i]->name;
    ours = our_names (f, &scope, names, g->n_output);
  }
  g_hash_table_unref (scope.names);
  return ours;
}

/* ---- graphs ------------------------------------------------------------- */

static gboolean
add_if (QfOnnxFlat *f, const Onnx__NodeProto *node, const Scope *scope,
    GError **error)
{
  g_autoptr (GError) err = NULL;
  char **given[2] = { NULL, NULL }, **outputs;
  char *condition;

  if (node->n_input != 1 || !node->input[0][0])
    return qf_node_error (error, QF_ERROR_FORMAT, qf_onnx_node_name (node),
        node->op_type, "it has no condition");
  condition = our_name (scope, node->input[0]);
  for (int i = 0; i < 2; i++) {
    given[i] = add_branch (f, node, i == 0, scope, condition, &err);
    if (!given[i])
      return err->domain == QF_ERROR && strstr (err->message, "node '")
          ? (g_propagate_error (error, g_steal_pointer (&err)), FALSE)
          : qf_node_error (error, err->code, qf_onnx_node_name (node),
                node->op_type, "%s", err->message);
  }
  outputs = our_names (f, scope, node->output, node->n_output);
  for (gsize i = 0; i < node->n_output; i++) {
    Onnx__NodeProto *n = copy_node (f, node);
    char **ends = g_new (char *, 4);

    g_ptr_array_add (f->owned, ends);
    ends[0] = condition;
    ends[1] = given[0][i] ? given[0][i] : (char *) "";
    ends[2] = given[1][i] ? given[1][i] : (char *) "";
    ends[3] = outputs[i];
    n->n_input = 3;
    n->input = ends;
    n->n_output = 1;
    n->output = ends + 3;
    n->n_attribute = 0;
    if (outputs[i][0])
      add_node (f, n, scope->guard);
  }
  return TRUE;
}

static gboolean
flatten (QfOnnxFlat *f, const Onnx__GraphProto *g, const Scope *scope,
    GError **error)
{
  if (scope->depth > MAX_DEPTH)
    return FAIL (QF_ERROR_UNSUPPORTED,
        "branches lie more than %d deep in each "
        "other",
        MAX_DEPTH);
  if (f->nodes->len + g->n_node > QF_MAX_NODES)
    return FAIL (
        QF_ERROR_FORMAT, "has more than %d nodes, with branches", QF_MAX_NODES);
  for (gsize i = 0; i < g->n_initializer; i++) {
    Onnx__TensorProto *t = g->initializer[i];

    if (scope->names && t->name) {
      t = g_memdup2 (t, sizeof *t);
      g_ptr_array_add (f->owned, t);
      t->name = our_name (scope, t->name);
    }
    g_ptr_array_add (f->initializers, t);
  }
  for (gsize i = 0; i < g->n_node; i++) {
    Onnx__NodeProto *node = g->node[i];

    if (strcmp (node->op_type ? node->op_type : "", "If") == 0 &&
        (!node->domain || !node->domain[0])) {
      if (!add_if (f, node, scope, error))
        return FALSE;
      continue;
    }
    if (scope->names) {
      node = copy_node (f, node);
      node->input = our_names (f, scope, node->input, node->n_input);
      node->output = our_names (f, scope, node->output, node->n_output);
    }
    add_node (f, node, scope->guard);
  }
  return TRUE;
}

QfOnnxFlat *
qf_onnx_flatten (const Onnx__GraphProto *g, GError **error)
{
  QfOnnxFlat *f = g_new0 (QfOnnxFlat, 1);
  Scope scope = { NULL, NULL, 0, -1 };
  gsize size = 0;

  for (gsize i = 0; i < g->n_node; i++)
    for (gsize k = 0; k < g->node[i]->n_attribute; k++)
      size += g->node[i]->attribute[k]->g.len;
  qf_onnx_budget_init (&f->budget, &f->allocator, size);
  f->nodes = g_ptr_array_new ();
  f->initializers = g_ptr_array_new ();
  f->owned = g_ptr_array_new_with_free_func (g_free);
  f->branches = g_ptr_array_new ();
  f->texts = g_string_chunk_new (1024);
  f->guards = g_array_new (FALSE, FALSE, sizeof (QfOnnxGuard));
  f->guard_of = g_hash_table_new (NULL, NULL);
  if (!flatten (f, g, &scope, error)) {
    qf_onnx_flat_free (f);
    return NULL;
  }
  f->graph = *g;
  f->graph.n_node = f->nodes->len;
  f->graph.node = (Onnx__NodeProto **) f->nodes->pdata;
  f->graph.n_initializer = f->initializers->len;
  f->graph.initializer = (Onnx__TensorProto **) f->initializers->pdata;
  return f;
}

int
qf_onnx_guard_of (const QfOnnxFlat *f, const Onnx__NodeProto *node)
{
  return GPOINTER_TO_INT (g_hash_table_lookup (f->guard_of, node)) - 1;
}

void
qf_onnx_flat_free (QfOnnxFlat *f)
{
  g_ptr_array_unref (f->nodes);
  g_ptr_array_unref (f->initializers);
  g_ptr_array_unref (f->owned);
  for (guint i = 0; i < f->branches->len; i++)
    onnx__graph_proto__free_unpacked (
        g_ptr_array_index (f->branches, i), &f->allocator);
  g_ptr_array_unref (f->branches);
  g_string_chunk_free (f->texts);
  g_array_unref (f->guards);
  g_hash_table_unref (f->guard_of);
  g_free (f);
}
