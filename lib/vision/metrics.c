/* libqfuse: how well detections match ground truth, as COCO measures it.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The rules of COCO's evaluation (cocodataset.org, detection; as its tools
 * compute it): per picture and label the 100 best detections, in order of
 * falling score, each take the truth box not yet taken with the largest overlap
 * of at least the threshold (of equal ones the last), a box to be ignored only
 * where no other fits. This is done for boxes of all sizes and for each range
 * of sizes apart: truth outside the range is ignored, and so is a detection
 * outside it that takes none. A box that is marked to be ignored is a crowd, a
 * region: overlap with it is the share of the detection that lies inside, and
 * any number may take it. metrics-scores.c makes figures of the matches. */
#include "vision/metrics-private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vision/box-private.h"

#define MAX_DETECTIONS 100

/* 0.50, 0.55 … 0.95 in the doubles that numpy.linspace gives. */
static double
overlap_threshold (int t)
{
  return t == QF_N_OVERLAPS - 1 ? 0.95 : 0.5 + t * ((0.95 - 0.5) / 9);
}

QfMetrics *
qf_metrics_new (int n_labels)
{
  QfMetrics *m = g_new0 (QfMetrics, 1);

  m->n_labels = MAX (n_labels, 1);
  m->matches = g_new (GArray *, m->n_labels);
  for (int i = 0; i < m->n_labels; i++)
    m->matches[i] = g_array_new (FALSE, FALSE, sizeof (QfMatch));
  m->n_truth = g_new0 (QfRangeCount, m->n_labels);
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
 * as it comes. */
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
choose_truth (
    const QfMetrics *m, int label, const QfBox *boxes, int n, const QfBox **out)
{
  int found = 0;

  for (int i = 0; i < n; i++)
    if (label_of (m, &boxes[i]) == label)
      out[found++] = &boxes[i];
  return found;
}

/* Limits belong to both of their ranges. A NaN is in none that has limits. */
static gboolean
in_range (const QfBox *box, int range)
{
  double area = (double) box->w * box->h;

  switch (range) {
    case QF_SIZE_SMALL:
      return area >= 0 && area <= 32 * 32;
    case QF_SIZE_MEDIUM:
      return area >= 32 * 32 && area <= 96 * 96;
    case QF_SIZE_LARGE:
      return area >= 96 * 96;
    default:
      return TRUE;
  }
}

/* What is there of one label: overlaps[detection * n + box], and for one range
 * of sizes the boxes' numbers, those to be ignored behind the n_counted
 * others. */
typedef struct
{
  const QfBox *const *boxes;
  int n, n_counted;
  double *overlaps;
  int *order;
  guint8 *taken; /* by place in the order */
} Truth;

static void
order_truth (Truth *t, int range)
{
  int at = 0;

  for (int pass = 0; pass < 2; pass++) {
    for (int g = 0; g < t->n; g++)
      if ((t->boxes[g]->ignore || !in_range (t->boxes[g], range)) == pass)
        t->order[at++] = g;
    if (pass == 0)
      t->n_counted = at;
  }
}

/* The place in the order of the box that is taken at @threshold, −1: none.
 * @overlaps: of the detection with each. */
static int
find_match (const Truth *t, const double *overlaps, double threshold)
{
  double best = MIN (threshold, 1 - 1e-10);
  int match = -1;

  for (int i = 0; i < t->n; i++) {
    int g = t->order[i];

    if (t->taken[i] && !t->boxes[g]->ignore)
      continue;
    if (i >= t->n_counted && match >= 0 && match < t->n_counted)
      break;
    if (overlaps[g] < best)
      continue;
    best = overlaps[g];
    match = i;
  }
  return match;
}

static void
match_range (
    Truth *truth, int range, const Ranked *detections, int n, QfMatch *matches)
{
  order_truth (truth, range);
  for (int t = 0; t < QF_N_OVERLAPS; t++) {
    guint16 bit = (guint16) (1 << t);

    memset (truth->taken, 0, (gsize) truth->n);
    for (int d = 0; d < n; d++) {
      int i = find_match (
          truth, truth->overlaps + (gsize) d * truth->n, overlap_threshold (t));

      if (i >= 0)
        truth->taken[i] = 1;
      if (i >= 0 && i < truth->n_counted)
        matches[d].hit[range] |= bit;
      else if (i >= 0 || !in_range (detections[d].box, range))
        matches[d].ignored[range] |= bit;
    }
  }
}

static void
match_label (QfMetrics *m, int label, const Ranked *detections,
    int n_detections, const QfBox *const *boxes, int n_boxes)
{
  g_autofree double *overlaps =
      g_new (double, (gsize) n_detections *n_boxes + 1);
  g_autofree int *order = g_new (int, (gsize) n_boxes + 1);
  g_autofree guint8 *taken = g_new (guint8, (gsize) n_boxes + 1);
  Truth truth = { boxes, n_boxes, 0, overlaps, order, taken };
  GArray *matches = m->matches[label];
  guint first = matches->len;

  for (int d = 0; d < n_detections; d++) {
    QfMatch match = {
      .score = detections[d].box->score, .order = m->order++, .rank = (guint8) d
    };

    g_array_append_val (matches, match);
    for (int g = 0; g < n_boxes; g++)
      overlaps[(gsize) d * n_boxes + g] =
          qf_box_coverage (detections[d].box, boxes[g], boxes[g]->ignore);
  }
  for (int range = 0; range < QF_N_RANGES; range++) {
    match_range (&truth, range, detections, n_detections,
        &g_array_index (matches, QfMatch, first));
    m->n_truth[label].n[range] += truth.n_counted;
  }
}

void
qf_metrics_add (QfMetrics *m, const QfBox *detections, int n_detections,
    const QfBox *truth, int n_truth)
{
  g_autofree Ranked *ranked = g_new (Ranked, (gsize) n_detections + 1);
  g_autofree const QfBox **there = g_new (const QfBox *, (gsize) n_truth + 1);

  for (int label = 0; label < m->n_labels; label++) {
    int d = choose_detections (m, label, detections, n_detections, ranked);
    int t = choose_truth (m, label, truth, n_truth, there);

    if (d || t)
      match_label (m, label, ranked, d, there, t);
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
