/* libqfuse: the head of FastestDet.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Published as code by its author (dog-qiuqiu, 2022). One output [1, 5 +
 * labels, H, W]: objectness o and class probabilities p as scores, box b. A
 * cell's score is o^0.6·max(p)^0.4; centre ((x + tanh b0)/W, (y + tanh b1)/H),
 * size σ(b2) by σ(b3), all as shares of the input. */
#include "vision/heads/rows.h"

typedef struct
{
  int labels;
} Fastestdet;

static gpointer
fastestdet_open (
    const QfModel *model, const QfTensor *shapes, int n_outputs, GError **error)
{
  Fastestdet *f;
  int labels = qf_head_labels (model, n_outputs == 1 ? shapes[0].c - 5 : 0);

  if (n_outputs != 1 || shapes[0].n != 1 || labels < 1 ||
      shapes[0].c != 5 + labels) {
    qf_head_misfit ("fastestdet", shapes, n_outputs, error,
        "one output [1, 5 + labels, H, W] is needed");
    return NULL;
  }
  f = g_new0 (Fastestdet, 1);
  f->labels = labels;
  return f;
}

static void
fastestdet_decode (gpointer state, const QfHeadInfo *info,
    const QfTensor *outputs, float threshold, QfResult *result)
{
  const Fastestdet *f = state;
  const QfTensor *t = outputs;
  QfRows r = qf_rows_gridded (t);
  float cell_w = (float) info->input_w / (float) t->w;
  float cell_h = (float) info->input_h / (float) t->h;

  for (int i = 0; i < t->w * t->h; i++) {
    float o = qf_rows_at (&r, i, 0), p, score;
    int label;

    /* p ≤ 1, so o alone bounds the score. */
    if (!(o > 0) || !(powf (o, 0.6f) >= threshold))
      continue;
    p = qf_rows_best (&r, i, 5, f->labels, &label);
    score = powf (o, 0.6f) * powf (p < 0 ? 0 : p, 0.4f);
    if (!(score >= threshold))
      continue;
    qf_result_add (result,
        ((float) (i % t->w) + tanhf (qf_rows_at (&r, i, 1))) * cell_w,
        ((float) (i / t->w) + tanhf (qf_rows_at (&r, i, 2))) * cell_h,
        qf_sigmoid (qf_rows_at (&r, i, 3)) * (float) info->input_w,
        qf_sigmoid (qf_rows_at (&r, i, 4)) * (float) info->input_h, score,
        label);
  }
}

/* One grid of stride 16 with 85 channels, or as many as there are labels. */
static gboolean
fastestdet_fits (QfModel *model, const QfTensor *shapes, int n_outputs)
{
  int c, h, w;

  qf_model_input_shape (model, &c, &h, &w);
  return n_outputs == 1 && shapes[0].n == 1 && shapes[0].w > 1 &&
      shapes[0].h == h / 16 && shapes[0].w == w / 16 &&
      shapes[0].c == 5 + qf_head_labels (model, 80);
}

const QfHead qf_head_fastestdet = { .name = "fastestdet",
  .open = fastestdet_open,
  .close = g_free,
  .decode = fastestdet_decode,
  .fits = fastestdet_fits };
