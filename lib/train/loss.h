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

/** Which cells learn a box. */
typedef enum
{
  QF_ASSIGN_FIXED,  /* those round its centre */
  QF_ASSIGN_TAL,    /* those that score and fit best (TOOD, 2021) */
  QF_ASSIGN_SIMOTA, /* as many of those as fit (YOLOX, 2021) */
} QfAssign;

/** "fixed", "tal" or "simota"; FALSE with QF_ERROR_ARGUMENT. */
gboolean qf_assign_parse (const char *name, QfAssign *assign, GError **error);

const char *qf_assign_name (QfAssign assign);

/** Each fills the grad of every output blob for @n images. */
typedef struct
{
  const char *head; /* as in qfuse.head */
  void (*run) (QfNet *net, QfAssign assign, const QfTarget *targets, int n,
      QfLoss *loss);
} QfLossKind;

/** The loss of @head, or NULL. */
const QfLossKind *qf_loss_find (const char *head);

void qf_loss_fcos (QfNet *net, QfAssign assign, const QfTarget *targets, int n,
    QfLoss *loss);
void qf_loss_classify (QfNet *net, QfAssign assign, const QfTarget *targets,
    int n, QfLoss *loss);

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
