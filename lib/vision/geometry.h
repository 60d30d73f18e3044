/* libqfuse: how a picture lies in the network's input, and back.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/box.h"

G_BEGIN_DECLS

typedef enum
{
  QF_FIT_LETTERBOX, /**< keeps the aspect, borders around */
  QF_FIT_STRETCH
} QfFit;

/** Where the picture lies. The content rectangle has whole pixels. */
typedef struct
{
  int src_w, src_h; /**< the picture, pixels */
  int dst_w, dst_h; /**< the network's input, pixels */
  int x, y, w, h;   /**< content in the input */
} QfGeometry;

/** @par_n/@par_d: pixel aspect ratio of the source (1/1 where not known). */
void qf_geometry_init (QfGeometry *g, QfFit fit, int src_w, int src_h,
    int par_n, int par_d, int dst_w, int dst_h);

/** From the input's pixels to the picture's, clipped to the picture. FALSE
 * where nothing is left. */
gboolean qf_geometry_to_source (const QfGeometry *g, QfBox *box);

/** A point from the input's pixels to the picture's; not clipped. */
void qf_geometry_point_to_source (const QfGeometry *g, float *x, float *y);

/** From the picture's pixels to the input's; not clipped. */
void qf_geometry_to_input (const QfGeometry *g, QfBox *box);

/** "letterbox", "stretch". */
gboolean qf_fit_parse (const char *text, QfFit *fit);
const char *qf_fit_to_string (QfFit fit);

G_END_DECLS
