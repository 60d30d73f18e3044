/* libqfuse: how well detections match ground truth, as COCO measures it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/box.h"

G_BEGIN_DECLS

typedef struct _QfMetrics QfMetrics;

/** For labels 0 … @n_labels − 1. */
QfMetrics *qf_metrics_new (int n_labels);
void qf_metrics_free (QfMetrics *m);

/** Adds a picture: what was detected (of each label the 100 best count) and
 * what is there. Detections that match an ignored box count neither way: any
 * number may match one, each by the share of it that lies inside. Boxes of
 * other labels are passed over; with one label, label −1 is that one. */
void qf_metrics_add (QfMetrics *m, const QfBox *detections, int n_detections,
    const QfBox *truth, int n_truth);

/** Adds a picture's action: what was said and what was true, label numbers. */
void qf_metrics_add_action (QfMetrics *m, int said, int truth);

/** Ranges of a box's area w·h in square pixels; a box on a limit is in both. */
typedef enum
{
  QF_SIZE_SMALL,  /**< up to 32² */
  QF_SIZE_MEDIUM, /**< 32² … 96² */
  QF_SIZE_LARGE,  /**< from 96² */
  QF_N_SIZES
} QfSize;

/** Of boxes of one range of sizes. */
typedef struct
{
  double ap50, ap75, ap, ar; /**< as in QfScores */
  int n_truth;
} QfSizeScores;

/** COCO's figures, 0 … 1, equal to those of its tools. Those named ap… and ar…
 * are averaged over labels that have truth; NAN without any. */
typedef struct
{
  double ap50, ap; /**< average precision at IoU 0.5; mean over IoU 0.50, 0.55
                        … 0.95 */
  double best_f1;  /**< over score thresholds, at IoU 0.5, all labels together;
                        NAN without truth */
  double best_f1_score; /**< the score at which it is reached */
  int n_pictures;       /**< with boxes or with an action, the larger number */
  int n_truth;          /**< without ignored boxes */
  int n_detections; /**< without those past the 100th of picture and label */
  double accuracy;  /**< of actions; NAN without any */
  double ap75;      /**< at IoU 0.75 */
  double ar1, ar10, ar; /**< largest recall, mean over IoU 0.50 … 0.95, with the
                             best 1, 10 and 100 detections of each picture and
                             label */
  double best_f1_precision, best_f1_recall; /**< there; NAN without truth */
  QfSizeScores size[QF_N_SIZES];
} QfScores;

/** Scores of all labels. */
void qf_metrics_get (const QfMetrics *m, QfScores *scores);

/** The same for one label (accuracy: the share of that label's pictures that
 * were said right). */
void qf_metrics_get_label (const QfMetrics *m, int label, QfScores *scores);

#define QF_N_OVERLAPS 10 /**< thresholds of IoU: 0.5 + 0.05·i */
#define QF_N_RECALLS 101 /**< points of a curve: recalls 0, 0.01 … 1 */

/** The precision-recall curve of @label (−1: mean of those that have truth) at
 * IoU threshold number @overlap: at each recall the best
 * @precision[QF_N_RECALLS] that this or a higher recall has, 0 past the
 * largest, and in @score (may be NULL) the score of the detection that reaches
 * it, 0 past the largest, NAN for label −1. FALSE, and nothing written, without
 * truth. */
gboolean qf_metrics_get_curve (const QfMetrics *m, int label, int overlap,
    double *precision, double *score);

/** Pictures of label @truth that were said to be @said. */
int qf_metrics_confusion (const QfMetrics *m, int truth, int said);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfMetrics, qf_metrics_free)

G_END_DECLS
