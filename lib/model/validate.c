/* libqfuse: judges graphs: constants, inputs, outputs, names.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/validate-private.h"

#include <math.h>

void
qf_check_init (QfCheck *c, QfGraph *graph)
{
  c->graph = graph;
  c->origin = g_byte_array_new ();
  c->weights = 0;
}

void
qf_check_clear (QfCheck *c)
{
  g_clear_pointer (&c->origin, g_byte_array_unref);
}

QfOrigin
qf_check_origin (const QfCheck *c, int value)
{
  return (guint) value < c->origin->len ? c->origin->data[value]
                                        : QF_FROM_NOTHING;
}

void
qf_check_set_origin (QfCheck *c, int value, QfOrigin origin)
{
  static const guint8 nothing[64];

  while (c->origin->len <= (guint) value)
    g_byte_array_append (c->origin, nothing, sizeof nothing);
  c->origin->data[value] = (guint8) origin;
}

gboolean
qf_dims_allowed (int rank, const gint64 *dims)
{
  gint64 n = 1; /* ≤ 2^28 · 2^20 */

  if (rank < 0 || rank > QF_MAX_RANK)
    return FALSE;
  for (int i = 0; i < rank; i++) {
    if (dims[i] < 1 || dims[i] > QF_MAX_DIM)
      return FALSE;
    n *= dims[i];
    if (n > QF_MAX_ELEMENTS)
      return FALSE;
  }
  return TRUE;
}

char *
qf_dims_text (int rank, const gint64 *dims)
{
  GString *s = g_string_new ("[");

  for (int i = 0; i < rank; i++)
    g_string_append_printf (s, "%s%" G_GINT64_FORMAT, i ? ", " : "", dims[i]);
  return g_string_free (g_string_append_c (s, ']'), FALSE);
}

gboolean
qf_check_constant (QfCheck *c, int value, GError **error)
{
  const QfValue *v = qf_graph_value (c->graph, value);

  if (!qf_dims_allowed (v->rank, v->dims)) {
    g_autofree char *dims =
        qf_dims_text (CLAMP (v->rank, 0, QF_MAX_RANK), v->dims);

    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "constant '%s' has a shape that is not allowed: %s", v->name, dims);
    return FALSE;
  }
  if (v->dtype == QF_F32) {
    const float *x = v->data;
    gint64 n = qf_value_elements (v);

    for (gint64 i = 0; i < n; i++)
      if (!isfinite (x[i])) {
        g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "constant '%s' holds %s",
            v->name, isnan (x[i]) ? "NaN" : "an infinite number");
        return FALSE;
      }
  }
  for (gint64 i = 0; v->bits && i < qf_value_elements (v); i++) {
    int code = v->dtype == QF_I8 ? ((const gint8 *) v->data)[i] + 8
                                 : ((const guint8 *) v->data)[i];

    if (v->bits != 4 || (v->dtype != QF_I8 && v->dtype != QF_U8) ||
        (code & ~15)) {
      g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
          "constant '%s' does not fit 4 bits", v->name);
      return FALSE;
    }
  }
  qf_check_set_origin (c, value, QF_FROM_CONSTANT);
  return TRUE;
}

gboolean
qf_check_input (QfCheck *c, int value, GError **error)
{
  const QfValue *v = qf_graph_value (c->graph, value);

  if (v->data || qf_check_origin (c, value) != QF_FROM_NOTHING) {
    g_set_error (
        error, QF_ERROR, QF_ERROR_FORMAT, "input '%s' is made twice", v->name);
    return FALSE;
  }
  if (v->dtype != QF_F32 && v->dtype != QF_U8) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "input '%s' is neither uint8 nor float32", v->name);
    return FALSE;
  }
  if (v->rank != 4 && v->rank != 2) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "input '%s' has %d dimensions; 4 (batch, channels, rows, columns) or "
        "2 are supported",
        v->name, v->rank);
    return FALSE;
  }
  if (!qf_dims_allowed (v->rank, v->dims)) {
    g_autofree char *dims = qf_dims_text (v->rank, v->dims);

    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "input '%s' has a shape that is not allowed: %s", v->name, dims);
    return FALSE;
  }
  if (v->dims[0] != 1) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "input '%s' holds %" G_GINT64_FORMAT " images; export the model for "
        "one image a run",
        v->name, v->dims[0]);
    return FALSE;
  }
  qf_check_set_origin (c, value, QF_FROM_COMPUTATION);
  return TRUE;
}

gboolean
qf_check_output (QfCheck *c, int value, GError **error)
{
  const QfValue *v = qf_graph_value (c->graph, value);
  const GArray *inputs = c->graph->inputs;

  if (qf_check_origin (c, value) == QF_FROM_NOTHING) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "output '%s' is made by no node", v->name);
    return FALSE;
  }
  for (guint i = 0; i < inputs->len; i++)
    if (g_array_index (inputs, int, i) == value) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
          "output '%s' is an input at once", v->name);
      return FALSE;
    }
  if (qf_check_origin (c, value) != QF_FROM_COMPUTATION ||
      (v->dtype != QF_F32 && v->dtype != QF_U8)) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "output '%s' is no computed uint8 or float32 value", v->name);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_names (const QfGraph *g, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < g->values->len; i++) {
    const char *name = qf_graph_value (g, (int) i)->name;

    if (!name || !name[0] || !g_hash_table_add (seen, (gpointer) name)) {
      g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
          name && name[0] ? "two values are named '%s'"
                          : "a value has no name%s",
          name ? name : "");
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check_ends (QfCheck *c, const GArray *ends, const char *what,
    gboolean (*check) (QfCheck *, int, GError **), GError **error)
{
  if (ends->len == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "the graph has no %s", what);
    return FALSE;
  }
  if (ends->len > QF_MAX_ENDS) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "the graph has more than %d %ss", QF_MAX_ENDS, what);
    return FALSE;
  }
  for (guint i = 0; i < ends->len; i++) {
    int v = g_array_index (ends, int, i);

    g_return_val_if_fail (v >= 0 && v < (int) c->graph->values->len, FALSE);
    if (!check (c, v, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
check_graph (QfCheck *c, GError **error)
{
  QfGraph *g = c->graph;

  if (!check_names (g, error))
    return FALSE;
  if (g->nodes->len > QF_MAX_NODES) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "the graph has %u nodes, at most %d are allowed", g->nodes->len,
        QF_MAX_NODES);
    return FALSE;
  }
  for (guint i = 0; i < g->values->len; i++)
    if (qf_graph_value (g, (int) i)->data &&
        !qf_check_constant (c, (int) i, error))
      return FALSE;
  if (!check_ends (c, g->inputs, "input", qf_check_input, error))
    return FALSE;
  for (guint i = 0; i < g->nodes->len; i++)
    if (!qf_check_node (c, qf_graph_node (g, (int) i), error))
      return FALSE;
  return check_ends (c, g->outputs, "output", qf_check_output, error);
}

gboolean
qf_graph_validate (QfGraph *g, GError **error)
{
  QfCheck c;
  gboolean ok;

  qf_check_init (&c, g);
  ok = check_graph (&c, error);
  qf_check_clear (&c);
  return ok;
}
