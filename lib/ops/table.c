/* libqfuse: the table of operators.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ops-private.h"

#define QF_OP(domain_, name_, since_, until_, min_, max_, out_, infer_, run_,  \
    scratch_, macs_)                                                           \
  { domain_, name_, since_, until_, min_, max_, out_, qf_infer_##infer_,       \
    qf_run_##run_, scratch_, macs_ },

static const QfOperator operators[] = {
#include "ops/list.h"
};

const QfOperator *
qf_operator_find (const char *domain, const char *name, int opset)
{
  if (!domain || strcmp (domain, "ai.onnx") == 0)
    domain = "";
  for (gsize i = 0; i < G_N_ELEMENTS (operators); i++) {
    const QfOperator *op = &operators[i];

    if (strcmp (op->name, name) == 0 && strcmp (op->domain, domain) == 0 &&
        ((op->since <= opset && opset <= op->until) || domain[0]))
      return op;
  }
  return NULL;
}

gboolean
qf_call_infer (QfCall *c, GError **error)
{
  const QfOperator *op = c->op;

  if (c->n_in < op->n_min || c->n_in > op->n_max)
    return QF_BAD ("it has %d inputs", c->n_in);
  for (int i = 0; i < op->n_min; i++)
    if (!c->in[i])
      return QF_BAD ("its input %d is missing", i + 1);
  if (c->n_out < 1 || c->n_out > op->n_out)
    return QF_BAD ("it has %d outputs", c->n_out);
  if (!c->out[0] && strcmp (op->name, "Split") != 0 &&
      strcmp (op->name, "LayerNormalization") != 0)
    return QF_BAD ("its first output is not wanted");
  c->wrong_attr = NULL;
  c->used_bound = 0;
  if (!op->infer (c, error))
    return FALSE;
  if (c->wrong_attr)
    return QF_BAD ("its attribute '%s' has the wrong type", c->wrong_attr);
  return TRUE;
}
