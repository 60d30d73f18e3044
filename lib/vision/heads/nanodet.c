/* libqfuse: the head of NanoDet-Plus.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * RangiLyu, 2021; distances as distributions: Li et al., Generalized Focal
 * Loss, 2020. One output [1, cells, labels + 4·bins]: scores, and for left,
 * top, right and bottom logits of the distances 0 … bins − 1 in strides, whose
 * mean is the distance. A cell's point is ((x + q)·s, (y + q)·s), q in
 * `qfuse.head.offset` (default 0). `qfuse.head.bins` (default 8). */
#include "vision/heads/rows.h"

#define MAX_BINS 64

typedef struct
{
  QfLevels levels;
  QfScore score;
  int labels, bins;
  float offset;
} Nanodet;

static int
bins_of (const QfModel *model)
{
  double bins = qf_model_get_double (model, "qfuse.head.bins", 8);

  return bins >= 2 && bins <= MAX_BINS ? (int) bins : 8;
}

static gpointer
nanodet_open (
    const QfModel *model, const QfTensor *shapes, int n_outputs, GError **error)
{
  g_autofree Nanodet *d = g_new0 (Nanodet, 1);

  d->bins = bins_of (model);
  d->offset = (float) qf_model_get_double (model, "qfuse.head.offset", 0);
  if (!qf_levels_init (&d->levels, model, "8,16,32,64", error) ||
      !qf_score_init (&d->score, model, QF_SCORE_NONE,
          1u << QF_SCORE_NONE | 1u << QF_SCORE_SIGMOID, error))
    return NULL;
  d->labels =
      qf_head_labels (model, n_outputs == 1 ? shapes[0].h - 4 * d->bins : 0);
  if (n_outputs != 1 || shapes[0].n != 1 || shapes[0].w != 1 || d->labels < 1 ||
      shapes[0].h != d->labels + 4 * d->bins ||
      shapes[0].c != d->levels.cells) {
    qf_head_misfit ("nanodet", shapes, n_outputs, error,
        "one output [1, cells, labels + 4·bins] of the cells of "
        "qfuse.head.strides is needed");
    return NULL;
  }
  return g_steal_pointer (&d);
}

/* The mean of the distribution whose logits are @bins columns from @col on. */
static float
distance (const QfRows *r, int row, int col, int bins)
{
  int number;
  float most = qf_rows_best (r, row, col, bins, &number);
  double sum = 0, mean = 0;

  for (int i = 0; i < bins; i++) {
    double p = exp ((double) (qf_rows_at (r, row, col + i) - most));

    sum += p;
    mean += p * i;
  }
  return (float) (mean / sum);
}

static void
nanodet_decode (gpointer state, const QfHeadInfo *info, const QfTensor *outputs,
    float threshold, QfResult *result)
{
  const Nanodet *n = state;
  QfRows r = qf_rows_listed (outputs);

  for (int k = 0; k < n->levels.n; k++) {
    const QfLevel *l = &n->levels.level[k];
    float s = (float) l->stride;

    for (int i = 0; i < l->w * l->h; i++) {
      int row = l->first + i, label;
      float score =
          qf_score_of (n->score, qf_rows_best (&r, row, 0, n->labels, &label));
      float d[4], x, y;

      if (!(score >= threshold))
        continue;
      for (int j = 0; j < 4; j++)
        d[j] = distance (&r, row, n->labels + j * n->bins, n->bins) * s;
      x = ((float) (i % l->w) + n->offset) * s;
      y = ((float) (i / l->w) + n->offset) * s;
      qf_result_add (result, x + (d[2] - d[0]) / 2, y + (d[3] - d[1]) / 2,
          d[0] + d[2], d[1] + d[3], score, label);
    }
  }
}

static gboolean
nanodet_fits (QfModel *model, const QfTensor *shapes, int n_outputs)
{
  gpointer state = NULL;

  /* 112 = 80 + 4·8, or as many labels as are named */
  if (n_outputs == 1 && shapes[0].c > shapes[0].h &&
      shapes[0].h == qf_head_labels (model, 80) + 4 * bins_of (model))
    state = nanodet_open (model, shapes, n_outputs, NULL);
  g_free (state);
  return state != NULL;
}

const QfHead qf_head_nanodet = { .name = "nanodet",
  .open = nanodet_open,
  .close = g_free,
  .decode = nanodet_decode,
  .fits = nanodet_fits };
