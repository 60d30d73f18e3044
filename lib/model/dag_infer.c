/* libqfuse: shapes and constants of graphs of any operators.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/dag-private.h"

#include <string.h>

#define MAX_ASSUMED 4096 /* elements of a tensor that shapes may hang on */

/* What a call costs, about, in operations. */
static gint64
work_of (QfCall *c)
{
  gint64 work = c->op->macs ? c->op->macs (c) : 0;
  gboolean window = g_str_has_suffix (c->op->name, "Pool") ||
      strcmp (c->op->name, "Resize") == 0;

  for (int i = 0; i < c->n_in; i++)
    work += c->in[i] ? qf_array_elements (c->in[i]) : 0;
  for (int i = 0; i < c->n_out; i++)
    work += c->out[i] ? qf_array_elements (c->out[i]) : 0;
  return window ? work * 1024 : work;
}

static gboolean
can_fold (QfDagReader *r, QfCall *c)
{
  gint64 elements = 0, work;

  for (int i = 0; i < c->n_in; i++)
    if (c->in[i] && !c->in[i]->data && strcmp (c->op->name, "Shape") != 0 &&
        strcmp (c->op->name, "Size") != 0)
      return FALSE;
  for (int i = 0; i < c->n_out; i++)
    elements += c->out[i] ? qf_array_elements (c->out[i]) : 0;
  work = work_of (c);
  if (strcmp (c->op->name, "Shape") == 0 || strcmp (c->op->name, "Size") == 0)
    work = elements;
  if (elements > r->fold_elements || work > r->fold_work)
    return FALSE;
  r->fold_elements -= elements;
  r->fold_work -= work;
  return TRUE;
}

static gboolean
fold (QfCall *c, GError **error)
{
  g_autofree void *scratch = NULL;
  gsize size = c->op->scratch ? c->op->scratch (c) : 0;

  if (size && !(scratch = g_try_malloc (size)))
    return FAIL (QF_ERROR_FAILED, "no memory to compute it");
  for (int i = 0; i < c->n_out; i++)
    if (c->out[i]) {
      c->out[i]->data = g_try_malloc0 (MAX (qf_array_bytes (c->out[i]), 8));
      if (!c->out[i]->data)
        return FAIL (QF_ERROR_FAILED, "no memory for its result");
    }
  c->scratch = scratch;
  c->op->run (c);
  for (int i = 0; i < c->n_out; i++)
    if (c->out[i])
      c->out[i]->open = FALSE;
  return TRUE;
}

/* ---- open tensors ------------------------------------------------------- */

static gboolean
reads_shape (const QfCall *c)
{
  return strcmp (c->op->name, "Shape") == 0 ||
      strcmp (c->op->name, "Size") == 0;
}

static gboolean
is_open (const QfCall *c)
{
  for (int i = 0; i < c->n_in; i++)
    if (c->in[i] && c->in[i]->open)
      return TRUE;
  return FALSE;
}

/* What hangs on an open tensor is open. Short ones get the value that they have
 * with the most elements, for what takes its own shape from them. */
static gboolean
assume (QfDagReader *r, QfCall *c, GError **error)
{
  QfArray in[QF_OP_MAX_IN], out[QF_OP_MAX_OUT];
  const QfArray *ins[QF_OP_MAX_IN];
  QfArray *outs[QF_OP_MAX_OUT];
  gboolean known = TRUE, ok = TRUE;
  QfCall d = *c;

  for (int i = 0; i < c->n_out; i++)
    if (c->out[i]) {
      c->out[i]->open = TRUE;
      known &= qf_array_elements (c->out[i]) <= MAX_ASSUMED;
    }
  d.in = ins;
  d.out = outs;
  for (int i = 0; i < c->n_in; i++) {
    ins[i] = c->in[i] ? &in[i] : NULL;
    if (!c->in[i])
      continue;
    in[i] = *c->in[i];
    in[i].data = in[i].data ? in[i].data : in[i].bound;
    known &= in[i].data || reads_shape (c);
    known &= reads_shape (c) || qf_array_elements (&in[i]) <= MAX_ASSUMED;
  }
  if (!known || r->fold_work < MAX_ASSUMED)
    return TRUE;
  r->fold_work -= MAX_ASSUMED;
  for (int i = 0; i < c->n_out; i++) {
    outs[i] = c->out[i] ? &out[i] : NULL;
    if (c->out[i]) {
      out[i] = *c->out[i];
      out[i].data = NULL;
    }
  }
  ok = fold (&d, error);
  for (int i = 0; i < c->n_out; i++)
    if (outs[i] && ok &&
        qf_array_elements (&out[i]) == qf_array_elements (c->out[i]))
      c->out[i]->bound = out[i].data;
    else if (outs[i])
      g_free (out[i].data);
  return ok;
}

gboolean
qf_dag_infer (QfDagReader *r, QfDagNode *node, GError **error)
{
  const QfArray *in[QF_OP_MAX_IN];
  QfArray *out[QF_OP_MAX_OUT];
  g_autoptr (GError) err = NULL;
  QfCall c;

  qf_dag_call (r->dag, node, &c, in, out);
  if (!qf_call_infer (&c, &err)) {
    r->wants_constant |= c.wants_constant;
    return qf_node_error (
        error, err->code, node->name, node->op->name, "%s", err->message);
  }
  for (int i = 0; i < MIN (node->n_in, 64); i++)
    if (c.used_bound >> i & 1) { /* from now on a constant */
      QfArray *a = &qf_dag_value (r->dag, node->in[i])->a;

      a->data = g_steal_pointer (&a->bound);
    }
  if (is_open (&c)) {
    if (!assume (r, &c, &err))
      return qf_node_error (
          error, err->code, node->name, node->op->name, "%s", err->message);
  } else if (can_fold (r, &c)) {
    if (!fold (&c, &err))
      return qf_node_error (
          error, err->code, node->name, node->op->name, "%s", err->message);
    if (strcmp (node->op->name, "DequantizeLinear") == 0)
      g_hash_table_insert (r->dequantized,
          qf_dag_value (r->dag, node->out[0])->name,
          g_ptr_array_index (r->protos, r->protos->len - 1));
  }
  for (int i = 0; i < node->n_out; i++)
    if (node->out[i] >= 0)
      qf_dag_value (r->dag, node->out[i])->made = TRUE;
  return TRUE;
}
