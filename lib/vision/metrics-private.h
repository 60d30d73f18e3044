/* libqfuse: what the metrics keep of each detection, for lib/vision only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/metrics.h"

G_BEGIN_DECLS

/* Ranges of sizes: those of QfSize, then all. */
#define QF_RANGE_ALL QF_N_SIZES
#define QF_N_RANGES (QF_N_SIZES + 1)

typedef struct
{
  float score;
  guint order; /* in which it was added: sorting is stable */
  guint8 rank; /* among those of its picture and label, from 0 */
  /* [range] bit t: at overlap threshold t */
  guint16 hit[QF_N_RANGES], ignored[QF_N_RANGES];
} QfMatch;

typedef struct
{
  int n[QF_N_RANGES];
} QfRangeCount;

struct _QfMetrics
{
  int n_labels;
  GArray **matches;      /* [n_labels] QfMatch */
  QfRangeCount *n_truth; /* [n_labels] without ignored boxes */
  guint order;
  int n_pictures, n_actions;
  int *confusion; /* [n_labels truth][n_labels + 1 said; the last: none] */
};

G_END_DECLS
