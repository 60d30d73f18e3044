/* libqfuse: which values of a network become codes.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every layer that is quantized reads codes and makes codes. Operators between
 * two such layers run on codes where the engine has them; others read what was
 * dequantized, and what they make is quantized for the next layer. */
#include "model/quantize-private.h"

#include <string.h>

static const QfArray *
array_of (const QfDag *dag, int value)
{
  return &qf_dag_value (dag, value)->a;
}

static gboolean
is_activation (const QfDag *dag, int value)
{
  const QfArray *a = value < 0 ? NULL : array_of (dag, value);

  return a && a->dtype == QF_F32 && !a->data && !a->open &&
      (a->rank == 4 || a->rank == 2) && a->dims[0] == 1;
}

static gboolean
is_constant (const QfDag *dag, const QfDagNode *n, int i, int rank)
{
  const QfArray *a =
      i < n->n_in && n->in[i] >= 0 ? array_of (dag, n->in[i]) : NULL;

  return a && a->data && a->dtype == QF_F32 && a->rank == rank;
}

static gboolean
is_one (const QfDagNode *n, const char *name)
{
  const QfAttr *a = qf_dag_attr (n, name);

  return !a || a->f == 1;
}

/* ---- layers ------------------------------------------------------------- */

static gboolean
is_layer (const QfDag *dag, const QfDagNode *n)
{
  gboolean conv = qf_dag_is (n, "Conv");
  int rank = conv ? 4 : 2;

  if (!conv &&
      (!qf_dag_is (n, "Gemm") || qf_dag_int (n, "transA", 0) ||
          !qf_dag_int (n, "transB", 0) || !is_one (n, "alpha") ||
          !is_one (n, "beta")))
    return FALSE;
  return is_activation (dag, n->in[0]) &&
      array_of (dag, n->in[0])->rank == rank && is_constant (dag, n, 1, rank) &&
      (n->n_in < 3 || n->in[2] < 0 ||
          (is_constant (dag, n, 2, 1) &&
              array_of (dag, n->in[2])->dims[0] ==
                  array_of (dag, n->in[1])->dims[0]));
}

/* Relu, or Clip with constant bounds. */
static gboolean
is_clamp (const QfDag *dag, const QfDagNode *n)
{
  if (qf_dag_is (n, "Relu"))
    return TRUE;
  if (!qf_dag_is (n, "Clip"))
    return FALSE;
  for (int i = 1; i < n->n_in; i++)
    if (n->in[i] >= 0 && !array_of (dag, n->in[i])->data)
      return FALSE;
  return TRUE;
}

void
qf_quantize_find_layers (const QfDag *dag, GArray *layers)
{
  g_autofree int *uses = qf_dag_uses (dag);

  for (guint i = 0; i < dag->nodes->len; i++) {
    const QfDagNode *n = qf_dag_node (dag, (int) i);
    QfQuantLayer layer = { (int) i, -1, -1, -1, FALSE };

    if (!is_layer (dag, n))
      continue;
    layer.in = n->in[0];
    layer.out = n->out[0];
    for (guint k = i + 1; uses[layer.out] == 1 && k < dag->nodes->len; k++) {
      const QfDagNode *act = qf_dag_node (dag, (int) k);

      if (act->n_in == 0 || act->in[0] != layer.out)
        continue;
      if (is_clamp (dag, act)) {
        layer.act = (int) k;
        layer.out = act->out[0];
      }
      break;
    }
    g_array_append_val (layers, layer);
  }
}

/* ---- operators between layers ------------------------------------------- */

static gboolean
is_one_of (const QfDagNode *n, const char *const *ops, gsize n_ops)
{
  for (gsize i = 0; i < n_ops; i++)
    if (qf_dag_is (n, ops[i]))
      return TRUE;
  return FALSE;
}

/* Add and Mul: two of one shape, or one a value a channel. */
static gboolean
is_pair (const QfDag *dag, const QfDagNode *n)
{
  const QfArray *a, *b;

  if ((!qf_dag_is (n, "Add") && !qf_dag_is (n, "Mul")) ||
      !is_activation (dag, n->in[0]) || !is_activation (dag, n->in[1]))
    return FALSE;
  a = array_of (dag, n->in[0]);
  b = array_of (dag, n->in[1]);
  if (a->rank != b->rank || a->dims[1] != b->dims[1])
    return FALSE;
  return a->rank == 2 ||
      (a->dims[2] == b->dims[2] && a->dims[3] == b->dims[3]) ||
      (a->dims[2] == 1 && a->dims[3] == 1) ||
      (b->dims[2] == 1 && b->dims[3] == 1);
}

/* Moves codes: what it makes has the scale of what it reads. */
static gboolean
moves (const QfDag *dag, const QfDagNode *n)
{
  static const char *const ops[] = { "MaxPool", "Slice", "Split", "Flatten",
    "Concat" };
  const QfAttr *mode = qf_dag_attr (n, "mode");

  return is_one_of (n, ops, G_N_ELEMENTS (ops)) ||
      (qf_dag_is (n, "Resize") &&
          (!mode || strcmp (mode->text, "nearest") == 0)) ||
      (qf_dag_is (n, "Gather") && qf_dag_int (n, "axis", 0) == 1 &&
          array_of (dag, n->in[0])->rank == 4 &&
          array_of (dag, n->in[1])->data);
}

static gboolean
runs_on_codes (const QfDag *dag, const QfDagNode *n)
{
  static const char *const ops[] = { "Sigmoid", "LeakyRelu", "HardSwish",
    "AveragePool", "GlobalAveragePool" };

  return is_one_of (n, ops, G_N_ELEMENTS (ops)) || is_clamp (dag, n) ||
      is_pair (dag, n) || moves (dag, n);
}

/* The activations that @n reads: its first input, or all of them. */
static int
n_activations (const QfDagNode *n)
{
  return qf_dag_is (n, "Concat")                     ? n->n_in
      : qf_dag_is (n, "Add") || qf_dag_is (n, "Mul") ? 2
                                                     : 1;
}

/* ---- where -------------------------------------------------------------- */

typedef struct
{
  const QfDag *dag;
  gboolean *own;   /* of each node: a quantized layer or its activation */
  gboolean *can;   /* of each value: there are codes, or could be */
  gboolean *wants; /* of each value: somebody reads codes */
  gboolean *inner; /* of each value: a Sigmoid that only x·Sigmoid(x) reads */
} Search;

/* x·Sigmoid(x) is one function; what is between has no codes. */
static void
find_inner (Search *s)
{
  g_autofree int *uses = qf_dag_uses (s->dag);
  g_autofree int *maker = qf_dag_makers (s->dag);

  for (guint i = 0; i < s->dag->nodes->len; i++) {
    const QfDagNode *n = qf_dag_node (s->dag, (int) i);

    for (int k = 0; qf_dag_is (n, "Mul") && k < 2; k++) {
      int m = maker[n->in[k]];

      if (m >= 0 && uses[n->in[k]] == 1 &&
          qf_dag_is (qf_dag_node (s->dag, m), "Sigmoid") &&
          qf_dag_node (s->dag, m)->in[0] == n->in[1 - k])
        s->inner[n->in[k]] = TRUE;
    }
  }
}

/* The image that comes as codes and is dequantized first. */
static gboolean
is_given (const QfDag *dag, const QfDagNode *n)
{
  return qf_dag_is (n, "DequantizeLinear") && !array_of (dag, n->in[0])->data &&
      qf_array_elements (array_of (dag, n->in[1])) == 1 &&
      is_activation (dag, n->out[0]);
}

static gboolean
all_can (const Search *s, const QfDagNode *n)
{
  for (int k = 0; k < n_activations (n); k++)
    if (!is_activation (s->dag, n->in[k]) || !s->can[n->in[k]])
      return FALSE;
  for (int k = 0; k < n->n_out; k++)
    if (n->out[k] >= 0 && !is_activation (s->dag, n->out[k]))
      return FALSE;
  return TRUE;
}

static void
find_codes (Search *s, QfPlaces *p)
{
  const QfDag *dag = s->dag;

  for (guint i = 0; i < dag->nodes->len; i++) {
    const QfDagNode *n = qf_dag_node (dag, (int) i);

    if (is_given (dag, n))
      s->can[n->out[0]] = p->given[n->out[0]] = TRUE;
    if (!s->own[i] && runs_on_codes (dag, n) && all_can (s, n))
      for (int k = 0; k < n->n_out; k++)
        if (n->out[k] >= 0)
          s->can[n->out[k]] = TRUE;
  }
}

/* Backwards from the layers: operators that only stand between codes. */
static void
place_operators (Search *s, QfPlaces *p)
{
  const QfDag *dag = s->dag;

  for (guint i = dag->nodes->len; i-- > 0;) {
    const QfDagNode *n = qf_dag_node (dag, (int) i);
    gboolean wanted = FALSE;

    for (int k = 0; k < n->n_out; k++)
      wanted |= n->out[k] >= 0 && s->wants[n->out[k]];
    if (!wanted || s->own[i] || !runs_on_codes (dag, n) || !all_can (s, n))
      continue;
    for (int k = 0; k < n->n_out; k++)
      if (n->out[k] >= 0)
        p->codes[n->out[k]] = !s->inner[n->out[k]];
    for (int k = 0; k < n_activations (n); k++) {
      s->wants[n->in[k]] = TRUE;
      p->codes[n->in[k]] = !s->inner[n->in[k]] && !p->given[n->in[k]];
    }
  }
}

int
qf_places_group (const QfPlaces *p, int value)
{
  while (p->group[value] != value)
    value = p->group[value] = p->group[p->group[value]];
  return value;
}

/* One scale for @a and @b, @a's where it is given. */
static void
join (QfPlaces *p, int a, int b)
{
  a = qf_places_group (p, a);
  b = qf_places_group (p, b);
  if (!p->given[b])
    p->group[b] = a;
}

/* What only moves codes has one scale on all sides; but what is joined to a
 * given scale would not fit into that, and gets there by a table. */
static void
join_groups (const QfDag *dag, QfPlaces *p)
{
  for (guint i = 0; i < dag->nodes->len; i++) {
    const QfDagNode *n = qf_dag_node (dag, (int) i);
    int first = n->n_in > 0 ? n->in[0] : -1;
    gboolean joins = qf_dag_is (n, "Concat");

    if (first < 0 || !moves (dag, n) || !(p->codes[first] || p->given[first]) ||
        (joins && p->given[qf_places_group (p, first)]))
      continue;
    for (int k = 0; k < n->n_out; k++)
      if (n->out[k] >= 0 && p->codes[n->out[k]])
        join (p, first, n->out[k]);
    for (int k = 1; joins && k < n->n_in; k++)
      if (p->codes[n->out[0]] && p->codes[n->in[k]])
        join (p, first, n->in[k]);
  }
}

void
qf_quantize_place (const QfQuantizer *q, QfPlaces *p)
{
  const QfDag *dag = q->dag;
  guint n = dag->values->len + 1;
  Search s = { dag, g_new0 (gboolean, dag->nodes->len + 1),
    g_new0 (gboolean, n), g_new0 (gboolean, n), g_new0 (gboolean, n) };

  p->codes = g_new0 (gboolean, n);
  p->given = g_new0 (gboolean, n);
  p->group = g_new (int, n);
  for (guint i = 0; i < n; i++)
    p->group[i] = (int) i;
  for (guint i = 0; i < q->layers->len; i++) {
    const QfQuantLayer *l = &g_array_index (q->layers, QfQuantLayer, i);

    if (l->kept)
      continue;
    s.own[l->node] = TRUE;
    if (l->act >= 0)
      s.own[l->act] = TRUE;
    s.can[l->in] = s.wants[l->in] = s.can[l->out] = TRUE;
    p->codes[l->in] = p->codes[l->out] = TRUE;
  }
  find_inner (&s);
  find_codes (&s, p);
  place_operators (&s, p);
  for (guint i = 0; i < n - 1; i++)
    p->codes[i] = p->codes[i] && !p->given[i];
  join_groups (dag, p);
  g_free (s.own);
  g_free (s.can);
  g_free (s.wants);
  g_free (s.inner);
}

void
qf_places_clear (QfPlaces *p)
{
  g_free (p->codes);
  g_free (p->given);
  g_free (p->group);
}
