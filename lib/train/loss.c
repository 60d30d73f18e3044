/* libqfuse: the table of losses; cross-entropy.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/loss.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

static const QfLossKind kinds[] = {
  { "fcos", qf_loss_fcos },
  { "classify", qf_loss_classify },
};

const QfLossKind *
qf_loss_find (const char *head)
{
  for (gsize i = 0; i < G_N_ELEMENTS (kinds); i++)
    if (g_str_equal (kinds[i].head, head))
      return &kinds[i];
  return NULL;
}

static const char *const assigns[] = { "fixed", "tal", "simota" };

const char *
qf_assign_name (QfAssign assign)
{
  return assigns[assign];
}

gboolean
qf_assign_parse (const char *name, QfAssign *assign, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (assigns); i++)
    if (g_str_equal (assigns[i], name)) {
      *assign = (QfAssign) i;
      return TRUE;
    }
  g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
      "There is no assignment \"%s\"; fixed, tal and simota exist", name);
  return FALSE;
}

void
qf_loss_classify (QfNet *net, QfAssign assign, const QfTarget *targets, int n,
    QfLoss *loss)
{
  QfBlob *b = qf_net_blob (net, g_array_index (net->outputs, int, 0));
  int labels = b->c;
  g_autofree double *p = g_new (double, labels);

  *loss = (QfLoss){ 0 };
  for (int i = 0; i < n; i++) {
    double top = -INFINITY, sum = 0;
    gsize at = (gsize) i * labels;

    for (int c = 0; c < labels; c++)
      top = MAX (top, (double) qf_blob_real (b, at + c));
    for (int c = 0; c < labels; c++)
      sum += p[c] = exp ((double) qf_blob_real (b, at + c) - top);
    for (int c = 0; c < labels; c++) {
      double y = c == targets[i].action;

      p[c] /= sum;
      b->grad[at + c] = (float) ((p[c] - y) / n);
      if (y > 0)
        loss->klass -= log (MAX (p[c], 1e-12)) / n;
    }
  }
  loss->total = loss->klass;
}
