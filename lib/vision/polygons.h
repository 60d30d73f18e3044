/* libqfuse: polygons in relative coordinates, to leave out parts of a picture.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

G_BEGIN_DECLS

#define QF_MAX_POLYGON_POINTS 1024

typedef struct
{
  double x,
      y; /**< 0 … 1; (0, 0) is the left top corner, (1, 1) the right bottom */
} QfPoint;

typedef struct
{
  int n_polygons; /**< ≥ 1 */
  int *ends;      /**< [n_polygons]: point after each one's last */
  QfPoint *points;
} QfPolygons;

/** Reads "0,0 0.5,0 0.5,0.2; 0.8,0.8 1,0.8 1,1": points of at least three for a
 * polygon, coordinates with a dot, blanks between points, semicolons between
 * polygons (one at the end does no harm), QF_MAX_POLYGON_POINTS in all. NULL
 * text or one of blanks gives NULL without an error. */
QfPolygons *qf_polygons_parse (const char *text, GError **error);
QfPolygons *qf_polygons_copy (const QfPolygons *p);
void qf_polygons_free (QfPolygons *p);

/** Sets the pixels of @mask ([height][width]) whose centres lie inside a
 * polygon to @value. A polygon that crosses itself is filled by the even-odd
 * rule. */
void qf_polygons_fill (
    const QfPolygons *p, guint8 *mask, int width, int height, guint8 value);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfPolygons, qf_polygons_free)

G_END_DECLS
