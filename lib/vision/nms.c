/* libqfuse: overlap of boxes and non-maximum suppression.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>

#include "vision/box-private.h"

float
qf_box_iou (const QfBox *a, const QfBox *b)
{
  return (float) qf_box_overlap (a, b);
}

typedef struct
{
  float score;
  guint index;
} Rank;

/* Falling score, ties in their order: a total order, so that the result does
 * not depend on the sort. */
static int
compare_ranks (const void *a, const void *b)
{
  const Rank *p = a, *q = b;

  if (p->score != q->score)
    return p->score > q->score ? -1 : 1;
  return p->index < q->index ? -1 : p->index > q->index;
}

void
qf_nms (GArray *boxes, float iou, int max)
{
  guint n = boxes->len, kept = 0;
  const QfBox *in = (const QfBox *) (gpointer) boxes->data;
  g_autofree Rank *ranks = g_new (Rank, n);
  g_autofree QfBox *out = g_new (QfBox, n);

  if (n == 0)
    return;
  for (guint i = 0; i < n; i++)
    ranks[i] = (Rank){ isnan (in[i].score) ? -INFINITY : in[i].score, i };
  qsort (ranks, n, sizeof *ranks, compare_ranks);

  for (guint i = 0; i < n && (max <= 0 || kept < (guint) max); i++) {
    const QfBox *box = &in[ranks[i].index];
    gboolean keep = TRUE;

    for (guint j = 0; j < kept && keep && iou < 1; j++)
      keep = out[j].label != box->label || !(qf_box_iou (&out[j], box) > iou);
    if (keep)
      out[kept++] = *box;
  }
  g_array_set_size (boxes, 0);
  g_array_append_vals (boxes, out, kept);
}
