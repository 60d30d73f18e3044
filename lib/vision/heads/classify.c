/* libqfuse: the head that names the whole picture.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One output [1, labels] or [1, labels, 1, 1] of logits. The action is the
 * label with the largest softmax where that reaches the threshold; ties: the
 * first. */
#include <math.h>

#include "vision/heads-private.h"

static gpointer
classify_open (
    const QfModel *model, const QfTensor *shapes, int n_outputs, GError **error)
{
  int labels = qf_model_n_labels (model);

  if (n_outputs != 1 || shapes[0].n != 1 || shapes[0].c < 1 ||
      shapes[0].h != 1 || shapes[0].w != 1) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "head classify: the model must have one output [1, labels] or "
        "[1, labels, 1, 1]");
    return NULL;
  }
  if (labels > 0 && shapes[0].c != labels) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "head classify: output %s has %d channels, but qfuse.labels names %d "
        "labels",
        shapes[0].name, shapes[0].c, labels);
    return NULL;
  }
  return g_new0 (char, 1);
}

static void
classify_decode (gpointer state, const QfHeadInfo *info,
    const QfTensor *outputs, float threshold, QfResult *result)
{
  const QfTensor *t = outputs;
  float most = qf_tensor_at (t, 0, 0, 0), score;
  double sum = 0;
  int best = 0;

  for (int c = 0; c < t->c; c++) {
    float v = qf_tensor_at (t, c, 0, 0);

    if (!isfinite (v))
      return;
    if (v > most) {
      most = v;
      best = c;
    }
  }
  for (int c = 0; c < t->c; c++)
    sum += exp ((double) qf_tensor_at (t, c, 0, 0) - most);
  score = (float) (1 / sum);
  if (score >= threshold) {
    result->action = best;
    result->action_score = score;
  }
}

const QfHead qf_head_classify = { .name = "classify",
  .classifier = TRUE,
  .open = classify_open,
  .close = g_free,
  .decode = classify_decode };
