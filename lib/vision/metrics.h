/* libqfuse: how well detections match ground truth, as COCO measures it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/box.h"

G_BEGIN_DECLS

typedef struct _QfMetrics QfMetrics;

/** For labels 0 … @n_labels − 1. */
QfMetrics *qf_metrics_new (int n_labels);
void qf_metrics_free (QfMetrics *m);

/** Adds a picture: what was detected (of each label the 100 best count) and what
 * is there. Detections that match an ignored box count neither way: any number
 * may match one, by intersection over union as with other boxes. Boxes of other
 * labels are passed over; with one label, label −1 is that one. */
void qf_metrics_add (QfMetrics *m, const QfBox *detections, int n_detections,
    const QfBox *truth, int n_truth);

/** Adds a picture's action: what was said and what was true, label numbers. */
void qf_metrics_add_action (QfMetrics *m, int said, int truth);

typedef struct
{
  double ap50, ap; /**< averaged over labels that have truth; NAN without any. ap:
                        mean over IoU 0.50, 0.55 … 0.95 */
  double best_f1;  /**< over score thresholds, at IoU 0.5, all labels together;
                        NAN without truth */
  double best_f1_score; /**< the score at which it is reached */
  int n_pictures;   /**< with boxes or with an action, the larger number */
  int n_truth, n_detections; /**< that count: not ignored, not past the 100th */
  double accuracy; /**< of actions; NAN without any */
} QfScores;

void qf_metrics_get (const QfMetrics *m, QfScores *scores);

/** The same for one label (accuracy: the share of that label's pictures that were said right). */
void qf_metrics_get_label (const QfMetrics *m, int label, QfScores *scores);

/** Pictures of label @truth that were said to be @said. */
int qf_metrics_confusion (const QfMetrics *m, int truth, int said);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfMetrics, qf_metrics_free)

G_END_DECLS
