/* libqfuse: losses: from a network's outputs to their gradients.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "train/net.h"
#include "vision/box.h"

/** What is true of one image of a batch, in pixels of the network's input. */
typedef struct
{
  const QfBox *boxes;
  int n_boxes;
  int action; /* label number, −1: none */
} QfTarget;

typedef struct
{
  double total, klass, box; /* means as the gradients weigh them */
} QfLoss;

/** Each fills the grad of every output blob for @n images. */
typedef struct
{
  const char *head; /* as in qfuse.head */
  void (*run) (QfNet *net, const QfTarget *targets, int n, QfLoss *loss);
} QfLossKind;

/** The loss of @head, or NULL. */
const QfLossKind *qf_loss_find (const char *head);

void qf_loss_fcos (QfNet *net, const QfTarget *targets, int n, QfLoss *loss);
void qf_loss_classify (QfNet *net, const QfTarget *targets, int n,
    QfLoss *loss);

/** 1 − GIoU of predicted edges @p and true edges @t (x1, y1, x2, y2) and its
 * gradient to @p; *@iou gets their IoU. */
double qf_giou_loss (const double p[4], const double t[4], double grad[4],
    double *iou);

/** Real value of element @i of an output blob. */
static inline float
qf_blob_real (const QfBlob *b, gsize i)
{
  return b->codes ? b->scale * (float) ((int) b->codes[i] - b->zero)
                  : b->real[i];
}
