/* libqfuse: boxes with what is known of them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** A box in pixels: x, y is the left top corner, pixel (0, 0) covers [0, 1)².
 */
typedef struct
{
  float x, y, w, h;
  float score;     /**< 0 … 1; 1 for ground truth */
  int label;       /**< number of the class, from 0; −1: not known */
  int id;          /**< of the object, from 1; 0: none */
  gboolean ignore; /**< ground truth only: neither hit nor miss; a region, as
                        COCO's crowds, in which anything may be found */
  int points;      /**< number, from 1, of its first key point in
                        QfResult.points; 0: it has none */
} QfBox;

/** Intersection over union, 0 … 1; 0 where either is empty. */
float qf_box_iou (const QfBox *a, const QfBox *b);

/** Class-wise greedy non-maximum suppression of @boxes (QfBox): sorted by score
 * (falling; ties keep their order), a box goes where one of its class before it
 * overlaps it by more than @iou. At most @max are kept (0: all). */
void qf_nms (GArray *boxes, float iou, int max);

G_END_DECLS
