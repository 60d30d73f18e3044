/* libqfuse: precision, recall and F1 from the matches of detections.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Average precision is the mean of the precision, made falling from the right,
 * at recalls 0, 0.01 … 1; average recall the mean over the overlap thresholds
 * of the largest recall. Sums in the order in which COCO's tools add. */
#include "vision/metrics-private.h"

#include <math.h>
#include <stdlib.h>

static int
compare_matches (const void *a, const void *b)
{
  const QfMatch *p = a, *q = b;

  if (p->score != q->score)
    return p->score > q->score ? -1 : 1;
  return p->order < q->order ? -1 : p->order > q->order;
}

/* A sorted copy of the matches of labels @first … @last. */
static GArray *
sorted_matches (const QfMetrics *m, int first, int last)
{
  GArray *all = g_array_new (FALSE, FALSE, sizeof (QfMatch));

  for (int i = first; i <= last; i++)
    if (m->matches[i]->len)
      g_array_append_vals (all, m->matches[i]->data, m->matches[i]->len);
  if (all->len)
    qsort (all->data, all->len, sizeof (QfMatch), compare_matches);
  return all;
}

/* The curve of one label in @range at threshold @t; @score may be NULL.
 * @n_truth > 0. */
static void
make_curve (const GArray *sorted, int range, int n_truth, int t,
    double *precision, double *score)
{
  g_autofree double *at = g_new (double, sorted->len + 1);
  g_autofree double *recall = g_new (double, sorted->len + 1);
  guint n = sorted->len, i = 0;
  double hits = 0, misses = 0;

  for (guint k = 0; k < n; k++) {
    const QfMatch *match = &g_array_index (sorted, QfMatch, k);

    hits += match->hit[range] >> t & 1;
    misses += !((match->hit[range] | match->ignored[range]) >> t & 1);
    recall[k] = hits / n_truth;
    at[k] = hits / (misses + hits + 0x1p-52);
  }
  for (guint k = n; k > 1; k--)
    at[k - 2] = MAX (at[k - 2], at[k - 1]);
  for (int r = 0; r < QF_N_RECALLS; r++) {
    double wanted = r == QF_N_RECALLS - 1 ? 1 : r * 0.01;

    while (i < n && recall[i] < wanted)
      i++;
    precision[r] = i < n ? at[i] : 0;
    if (score)
      score[r] = i < n ? g_array_index (sorted, QfMatch, i).score : 0;
  }
}

static double
average_precision (const GArray *sorted, int range, int n_truth, int t)
{
  double precision[QF_N_RECALLS], sum = 0;

  make_curve (sorted, range, n_truth, t, precision, NULL);
  for (int r = 0; r < QF_N_RECALLS; r++)
    sum += precision[r];
  return sum / QF_N_RECALLS;
}

/* With the best @limit detections of each picture. */
static double
average_recall (const GArray *sorted, int range, int n_truth, int limit)
{
  double hits = 0;

  for (guint i = 0; i < sorted->len; i++) {
    const QfMatch *match = &g_array_index (sorted, QfMatch, i);

    for (guint bits = match->rank < limit ? match->hit[range] : 0; bits;
         bits &= bits - 1)
      hits++;
  }
  return hits / n_truth / QF_N_OVERLAPS;
}

/* Sums over labels, of those that have truth in the range. */
typedef struct
{
  double ap50, ap75, ap, ar1, ar10, ar;
  int n_labels, n_truth;
} RangeSum;

static void
add_label (const GArray *sorted, int range, int n_truth, RangeSum *sum)
{
  if (n_truth == 0)
    return;
  for (int t = 0; t < QF_N_OVERLAPS; t++) {
    double v = average_precision (sorted, range, n_truth, t);

    sum->ap50 += t == 0 ? v : 0;
    sum->ap75 += t == 5 ? v : 0;
    sum->ap += v / QF_N_OVERLAPS;
  }
  sum->ar += average_recall (sorted, range, n_truth, 100);
  if (range == QF_RANGE_ALL) {
    sum->ar1 += average_recall (sorted, range, n_truth, 1);
    sum->ar10 += average_recall (sorted, range, n_truth, 10);
  }
  sum->n_truth += n_truth;
  sum->n_labels++;
}

static double
mean (double sum, int n)
{
  return n ? sum / n : NAN;
}

static void
find_best_f1 (const GArray *sorted, QfScores *s)
{
  double hits = 0, counted = 0;
  gboolean any = s->n_truth > 0;

  s->best_f1 = s->best_f1_precision = s->best_f1_recall = any ? 0 : NAN;
  s->best_f1_score = 0;
  for (guint i = 0; i < sorted->len && any; i++) {
    const QfMatch *match = &g_array_index (sorted, QfMatch, i);
    double f1;

    hits += match->hit[QF_RANGE_ALL] & 1;
    counted += !(match->ignored[QF_RANGE_ALL] & 1);
    if (i + 1 < sorted->len && match[1].score == match->score)
      continue; /* no threshold parts equal scores */
    f1 = 2 * hits / (counted + s->n_truth);
    if (f1 > s->best_f1) {
      s->best_f1 = f1;
      s->best_f1_score = match->score;
      s->best_f1_precision = hits / counted;
      s->best_f1_recall = hits / s->n_truth;
    }
  }
}

static void
get_actions (const QfMetrics *m, int first, int last, QfScores *s)
{
  int right = 0, actions = 0;

  for (int label = first; label <= last; label++) {
    right += qf_metrics_confusion (m, label, label);
    for (int said = 0; said <= m->n_labels; said++)
      actions += qf_metrics_confusion (m, label, said);
  }
  s->accuracy = mean (right, actions);
  s->n_pictures = MAX (m->n_pictures, actions);
}

static void
get_labels (const QfMetrics *m, int first, int last, QfScores *s)
{
  g_autoptr (GArray) together = sorted_matches (m, first, last);
  RangeSum sums[QF_N_RANGES] = { 0 };
  const RangeSum *all = &sums[QF_RANGE_ALL];

  for (int label = first; label <= last; label++) {
    g_autoptr (GArray) sorted = sorted_matches (m, label, label);

    for (int range = 0; range < QF_N_RANGES; range++)
      add_label (sorted, range, m->n_truth[label].n[range], &sums[range]);
  }
  *s = (QfScores){ .ap50 = mean (all->ap50, all->n_labels),
    .ap75 = mean (all->ap75, all->n_labels),
    .ap = mean (all->ap, all->n_labels),
    .ar1 = mean (all->ar1, all->n_labels),
    .ar10 = mean (all->ar10, all->n_labels),
    .ar = mean (all->ar, all->n_labels),
    .n_truth = all->n_truth,
    .n_detections = (int) together->len };
  for (int size = 0; size < QF_N_SIZES; size++) {
    const RangeSum *sum = &sums[size];

    s->size[size] = (QfSizeScores){ mean (sum->ap50, sum->n_labels),
      mean (sum->ap75, sum->n_labels), mean (sum->ap, sum->n_labels),
      mean (sum->ar, sum->n_labels), sum->n_truth };
  }
  find_best_f1 (together, s);
  get_actions (m, first, last, s);
}

void
qf_metrics_get (const QfMetrics *m, QfScores *scores)
{
  get_labels (m, 0, m->n_labels - 1, scores);
}

void
qf_metrics_get_label (const QfMetrics *m, int label, QfScores *scores)
{
  g_return_if_fail (label >= 0 && label < m->n_labels);

  get_labels (m, label, label, scores);
}

gboolean
qf_metrics_get_curve (const QfMetrics *m, int label, int overlap,
    double *precision, double *score)
{
  double sums[QF_N_RECALLS] = { 0 }, one[QF_N_RECALLS];
  int first = label < 0 ? 0 : label, last = label < 0 ? m->n_labels - 1 : label;
  int n = 0;

  g_return_val_if_fail (label < m->n_labels, FALSE);
  g_return_val_if_fail (overlap >= 0 && overlap < QF_N_OVERLAPS, FALSE);

  for (int i = first; i <= last; i++) {
    g_autoptr (GArray) sorted = NULL;
    int n_truth = m->n_truth[i].n[QF_RANGE_ALL];

    if (n_truth == 0)
      continue;
    sorted = sorted_matches (m, i, i);
    make_curve (
        sorted, QF_RANGE_ALL, n_truth, overlap, one, label < 0 ? NULL : score);
    for (int r = 0; r < QF_N_RECALLS; r++)
      sums[r] += one[r];
    n++;
  }
  for (int r = 0; r < QF_N_RECALLS && n; r++) {
    precision[r] = sums[r] / n;
    if (score && label < 0)
      score[r] = NAN;
  }
  return n > 0;
}
