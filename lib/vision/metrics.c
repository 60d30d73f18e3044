/* libqfuse: how well detections match ground truth, as COCO measures it.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The rules of COCO's evaluation (cocodataset.org, detection; as its tools
 * compute it): per picture and label the 100 best detections, in order of
 * falling score, each take the truth box not yet taken with the largest overlap
 * of at least the threshold (of equal ones the last), a box to be ignored only
 * where no other fits. An ignored box may be matched by any number of
 * detections, as a crowd may, but overlap is intersection over union with it as
 * with any box. Average precision: the precision, made falling from the right,
 * at recalls 0, 0.01 … 1. */
#include "vision/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vision/box-private.h"

#define N_THRESHOLDS 10
#define N_RECALLS 101
#define MAX_DETECTIONS 100

/* Bit t: at overlap threshold t. */
typedef struct
{
  float score;
  guint order; /* in which it was added: sorting is stable */
  guint16 hit, ignored;
} Match;

struct _QfMetrics
{
  int n_labels;
  GArray **matches; /* [n_labels] Match */
  int *n_truth;     /* [n_labels] without ignored boxes */
  guint order;
  int n_pictures, n_actions;
  int *confusion; /* [n_labels truth][n_labels + 1 said; the last: none] */
};

/* 0.50, 0.55 … 0.95 in the doubles that numpy.linspace gives. */
static double
overlap_threshold (int t)
{
  return t == N_THRESHOLDS - 1 ? 0.95 : 0.5 + t * ((0.95 - 0.5) / 9);
}

QfMetrics *
qf_metrics_new (int n_labels)
{
  QfMetrics *m = g_new0 (QfMetrics, 1);

  m->n_labels = MAX (n_labels, 1);
  m->matches = g_new (GArray *, m->n_labels);
  for (int i = 0; i < m->n_labels; i++)
    m->matches[i] = g_array_new (FALSE, FALSE, sizeof (Match));
  m->n_truth = g_new0 (int, m->n_labels);
  m->confusion = g_new0 (int, (gsize) m->n_labels *(m->n_labels + 1));
  return m;
}

void
qf_metrics_free (QfMetrics *m)
{
  if (!m)
    return;
  for (int i = 0; i < m->n_labels; i++)
    g_array_unref (m->matches[i]);
  g_free (m->matches);
  g_free (m->n_truth);
  g_free (m->confusion);
  g_free (m);
}

/* The label to count @box under, −1: none. Where there is one label only, a box
 * whose label is not known has it. */
static int
label_of (const QfMetrics *m, const QfBox *box)
{
  if (m->n_labels == 1 && box->label < 0)
    return 0;
  return box->label < m->n_labels ? box->label : -1;
}

typedef struct
{
  const QfBox *box;
  int order;
} Ranked;

static int
compare_ranked (const void *a, const void *b)
{
  const Ranked *p = a, *q = b;

  if (p->box->score != q->box->score)
    return p->box->score > q->box->score ? -1 : 1;
  return p->order - q->order;
}

/* The boxes of @label: detections sorted by falling score, the best 100; truth
 * with the ignored ones last. */
static int
choose_detections (
    const QfMetrics *m, int label, const QfBox *boxes, int n, Ranked *out)
{
  int found = 0;

  for (int i = 0; i < n; i++)
    if (label_of (m, &boxes[i]) == label && !isnan (boxes[i].score))
      out[found++] = (Ranked){ &boxes[i], i };
  qsort (out, (gsize) found, sizeof *out, compare_ranked);
  return MIN (found, MAX_DETECTIONS);
}

static int
choose_truth (const QfMetrics *m, int label, const QfBox *boxes, int n,
    const QfBox **out, int *n_counted)
{
  int found = 0;

  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < n; i++)
      if (label_of (m, &boxes[i]) == label &&
          (boxes[i].ignore != FALSE) == pass)
        out[found++] = &boxes[i];
    if (pass == 0)
      *n_counted = found;
  }
  return found;
}

/* The truth box that detection @d takes at @threshold, −1: none. @overlaps: of
 * @d with each. */
static int
find_match (const double *overlaps, int n_truth, int n_counted,
    const guint8 *taken, double threshold)
{
  double best = MIN (threshold, 1 - 1e-10);
  int match = -1;

  for (int g = 0; g < n_truth; g++) {
    if (g < n_counted && taken[g])
      continue;
    if (g >= n_counted && match >= 0 && match < n_counted)
      break;
    if (overlaps[g] < best)
      continue;
    best = overlaps[g];
    match = g;
  }
  return match;
}

static void
match_label (QfMetrics *m, int label, const Ranked *detections,
    int n_detections, const QfBox *const *truth, int n_truth, int n_counted)
{
  g_autofree double *overlaps =
      g_new (double, (gsize) n_detections *n_truth + 1);
  g_autofree guint8 *taken = g_new (guint8, (gsize) n_truth + 1);
  GArray *matches = m->matches[label];
  guint first = matches->len;

  for (int d = 0; d < n_detections; d++) {
    Match match = { detections[d].box->score, m->order++, 0, 0 };

    g_array_append_val (matches, match);
    for (int g = 0; g < n_truth; g++)
      overlaps[(gsize) d * n_truth + g] =
          qf_box_overlap (detections[d].box, truth[g]);
  }
  for (int t = 0; t < N_THRESHOLDS; t++) {
    memset (taken, 0, (gsize) n_truth);
    for (int d = 0; d < n_detections; d++) {
      Match *match = &g_array_index (matches, Match, first + (guint) d);
      int g = find_match (overlaps + (gsize) d * n_truth, n_truth, n_counted,
          taken, overlap_threshold (t));

      if (g < 0)
        continue;
      taken[g] = 1;
      if (g < n_counted)
        match->hit |= (guint16) (1 << t);
      else
        match->ignored |= (guint16) (1 << t);
    }
  }
  m->n_truth[label] += n_counted;
}

void
qf_metrics_add (QfMetrics *m, const QfBox *detections, int n_detections,
    const QfBox *truth, int n_truth)
{
  g_autofree Ranked *ranked = g_new (Ranked, (gsize) n_detections + 1);
  g_autofree const QfBox **there = g_new (const QfBox *, (gsize) n_truth + 1);

  for (int label = 0; label < m->n_labels; label++) {
    int counted = 0;
    int d = choose_detections (m, label, detections, n_detections, ranked);
    int t = choose_truth (m, label, truth, n_truth, there, &counted);

    if (d || t)
      match_label (m, label, ranked, d, there, t, counted);
  }
  m->n_pictures++;
}

void
qf_metrics_add_action (QfMetrics *m, int said, int truth)
{
  if (truth < 0 || truth >= m->n_labels)
    return;
  if (said < 0 || said >= m->n_labels)
    said = m->n_labels;
  m->confusion[truth * (m->n_labels + 1) + said]++;
  m->n_actions++;
}

int
qf_metrics_confusion (const QfMetrics *m, int truth, int said)
{
  if (truth < 0 || truth >= m->n_labels)
    return 0;
  if (said < 0 || said >= m->n_labels)
    said = m->n_labels;
  return m->confusion[truth * (m->n_labels + 1) + said];
}

static int
compare_matches (const void *a, const void *b)
{
  const Match *p = a, *q = b;

  if (p->score != q->score)
    return p->score > q->score ? -1 : 1;
  return p->order < q->order ? -1 : p->order > q->order;
}

/* A sorted copy of the matches of labels @first … @last. */
static GArray *
sorted_matches (const QfMetrics *m, int first, int last)
{
  GArray *all = g_array_new (FALSE, FALSE, sizeof (Match));

  for (int i = first; i <= last; i++)
    if (m->matches[i]->len)
      g_array_append_vals (all, m->matches[i]->data, m->matches[i]->len);
  if (all->len)
    qsort (all->data, all->len, sizeof (Match), compare_matches);
  return all;
}

/* Mean precision at 101 recalls at threshold @t. @n_truth > 0. */
static double
average_precision (const GArray *sorted, int n_truth, int t)
{
  g_autofree double *precision = g_new (double, sorted->len + 1);
  g_autofree double *recall = g_new (double, sorted->len + 1);
  guint n = 0, at = 0;
  double hits = 0, misses = 0, sum = 0;

  for (guint i = 0; i < sorted->len; i++) {
    const Match *match = &g_array_index (sorted, Match, i);

    if (!(match->ignored >> t & 1)) {
      if (match->hit >> t & 1)
        hits++;
      else
        misses++;
    }
    recall[n] = hits / n_truth;
    precision[n++] = hits / (misses + hits + 0x1p-52);
  }
  for (guint i = n; i > 1; i--)
    precision[i - 2] = MAX (precision[i - 2], precision[i - 1]);
  for (int r = 0; r < N_RECALLS; r++) {
    double wanted = r == N_RECALLS - 1 ? 1 : r * 0.01;

    while (at < n && recall[at] < wanted)
      at++;
    if (at < n)
      sum += precision[at];
  }
  return sum / N_RECALLS;
}

static void
label_precision (const QfMetrics *m, int label, double *ap50, double *ap)
{
  g_autoptr (GArray) sorted = sorted_matches (m, label, label);

  *ap = 0;
  for (int t = 0; t < N_THRESHOLDS; t++) {
    double v = average_precision (sorted, m->n_truth[label], t);

    if (t == 0)
      *ap50 = v;
    *ap += v / N_THRESHOLDS;
  }
}

static void
find_best_f1 (const GArray *sorted, QfScores *s)
{
  double hits = 0, counted = 0;

  s->best_f1 = s->n_truth > 0 ? 0 : NAN;
  s->best_f1_score = 0;
  for (guint i = 0; i < sorted->len && s->n_truth > 0; i++) {
    const Match *match = &g_array_index (sorted, Match, i);
    double f1;

    hits += match->hit & 1;
    counted += !(match->ignored & 1);
    if (i + 1 < sorted->len && match[1].score == match->score)
      continue; /* no threshold parts equal scores */
    f1 = 2 * hits / (counted + s->n_truth);
    if (f1 > s->best_f1) {
      s->best_f1 = f1;
      s->best_f1_score = match->score;
    }
  }
}

static void
get_range (const QfMetrics *m, int first, int last, QfScores *s)
{
  g_autoptr (GArray) sorted = sorted_matches (m, first, last);
  double ap50 = 0, ap = 0;
  int with_truth = 0, right = 0, actions = 0;

  *s = (QfScores){ .ap50 = NAN,
    .ap = NAN,
    .accuracy = NAN,
    .n_pictures = m->n_pictures,
    .n_detections = (int) sorted->len };
  for (int label = first; label <= last; label++) {
    double label_ap50 = 0, label_ap = 0;

    right += qf_metrics_confusion (m, label, label);
    for (int said = 0; said <= m->n_labels; said++)
      actions += qf_metrics_confusion (m, label, said);
    s->n_truth += m->n_truth[label];
    if (m->n_truth[label] == 0)
      continue;
    label_precision (m, label, &label_ap50, &label_ap);
    ap50 += label_ap50;
    ap += label_ap;
    with_truth++;
  }
  if (with_truth) {
    s->ap50 = ap50 / with_truth;
    s->ap = ap / with_truth;
  }
  if (actions) {
    s->accuracy = (double) right / actions;
    s->n_pictures = MAX (m->n_pictures, actions);
  }
  find_best_f1 (sorted, s);
}

void
qf_metrics_get (const QfMetrics *m, QfScores *scores)
{
  get_range (m, 0, m->n_labels - 1, scores);
}

void
qf_metrics_get_label (const QfMetrics *m, int label, QfScores *scores)
{
  g_return_if_fail (label >= 0 && label < m->n_labels);

  get_range (m, label, label, scores);
}
