/* libqfuse: what the files of the anchor-free head's loss share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "train/loss.h"

#define QF_FCOS_LEVELS 8

/* Owners of cells that no box owns. */
enum
{
  QF_CELL_NOBODY = -1, /* background */
  QF_CELL_IGNORED = -2
};

/** One stride's outputs. A cell is [image][row][column]. */
typedef struct
{
  QfBlob *cls, *box;
  int stride;
  int *owner;     /* [images][h][w]: a box's number, or as above */
  float *quality; /* [images][h][w]: of owned cells, what the score is to be; −1:
                     the IoU of the prediction */
} QfFcosLevel;

typedef struct
{
  QfNet *net;
  const QfTarget *targets;
  QfAssign assign;
  int n_levels;
  QfFcosLevel level[QF_FCOS_LEVELS];
  double *owned;  /* [images]: cells that boxes own, weighed by quality */
  double norm;    /* 1 / all of them */
  QfLoss *losses; /* [images] */
} QfFcos;

/** Edges (x1, y1, x2, y2) in pixels that @cell predicts, and in @dist (NULL: not
 * wanted) the distances from the cell's centre to left, top, right, bottom. */
void qf_fcos_predict (const QfFcosLevel *l, gsize cell, double pred[4],
    double dist[4]);

/** Gives cells of @image to boxes by how well the network does on them now: task
 * alignment (QF_ASSIGN_TAL) or least cost (QF_ASSIGN_SIMOTA). Cells that are
 * ignored stay so. */
void qf_fcos_assign_dynamic (QfFcos *f, int image);
