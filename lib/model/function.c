/* libqfuse: functions of one number.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/passes-private.h"

#include <math.h>

gboolean
qf_op_is_function (QfOp op)
{
  switch (op) {
    case QF_OP_RELU:
    case QF_OP_CLIP:
    case QF_OP_SIGMOID:
    case QF_OP_LEAKY_RELU:
    case QF_OP_HARD_SWISH:
    case QF_OP_SILU:
      return TRUE;
    default:
      return FALSE;
  }
}

static float
apply (QfOp op, float alpha, float lo, float hi, float x)
{
  double v = (double) x;

  switch (op) {
    case QF_OP_RELU:
      return MAX (x, 0);
    case QF_OP_CLIP:
      return MIN (MAX (x, lo), hi);
    case QF_OP_SIGMOID:
      return (float) (1 / (1 + exp (-v)));
    case QF_OP_LEAKY_RELU:
      return x < 0 ? alpha * x : x;
    case QF_OP_HARD_SWISH:
      return (float) (v * CLAMP (v / 6 + 0.5, 0, 1));
    case QF_OP_SILU:
      return (float) (v / (1 + exp (-v)));
    default:
      return x;
  }
}

float
qf_node_apply (const QfNode *n, float x)
{
  return apply (n->op, n->alpha, n->lo, n->hi, x);
}

float
qf_node_apply_act (const QfNode *n, float x)
{
  if (n->act == QF_ACT_FUNCTION)
    x = apply (n->act_op, n->act_alpha, 0, 0, x);
  return n->act == QF_ACT_NONE
      ? x
      : apply (QF_OP_CLIP, 0, n->act_lo, n->act_hi, x);
}

/* ---- Mul(x, Sigmoid(x)) ------------------------------------------------- */

void
qf_pass_silu (QfRewrite *rw)
{
  for (guint i = 0; i < rw->g->nodes->len; i++) {
    QfNode *mul = qf_graph_node (rw->g, (int) i);

    for (int k = 0; mul->op == QF_OP_MUL && k < 2; k++) {
      QfNode *s = qf_rewrite_maker (rw, mul->in[k]);

      if (!s || s->op != QF_OP_SIGMOID || s->in[0] != mul->in[1 - k] ||
          qf_rewrite_uses (rw, s->out) != 1)
        continue;
      mul->op = QF_OP_SILU;
      qf_rewrite_set_inputs (mul, 1, (int[]){ s->in[0] });
      qf_rewrite_drop (s);
    }
  }
  qf_rewrite_update (rw);
}
