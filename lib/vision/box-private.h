/* libqfuse: overlap of boxes, for lib/vision only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <math.h>

#include "vision/box.h"

G_BEGIN_DECLS

/* Intersection over union in double, in the order in which COCO's tools
 * compute it; over the area of @a alone where @of_first. */
static inline double
qf_box_coverage (const QfBox *a, const QfBox *b, gboolean of_first)
{
  double aw = a->w, ah = a->h, bw = b->w, bh = b->h;
  double w = MIN ((double) a->x + aw, (double) b->x + bw) - MAX (a->x, b->x);
  double h = MIN ((double) a->y + ah, (double) b->y + bh) - MAX (a->y, b->y);
  double both = w * h;

  /* MIN and MAX may hide a NaN of x or y. */
  if (isnan (a->x + a->y + b->x + b->y))
    return 0;
  if (!(w > 0) || !(h > 0) || !(aw > 0) || !(ah > 0) || !(bw > 0) || !(bh > 0))
    return 0;
  return both / (of_first ? aw * ah : aw * ah + bw * bh - both);
}

static inline double
qf_box_overlap (const QfBox *a, const QfBox *b)
{
  return qf_box_coverage (a, b, FALSE);
}

G_END_DECLS
