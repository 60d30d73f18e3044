/* libqfuse: what a network sees: the grammar of input planes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

G_BEGIN_DECLS

#define QF_MAX_PLANES 16
#define QF_MAX_DISTANCE 250

/** One plane. kind: 'Y' luma, 'R' 'G' 'B', 'D' signed difference of luma to the
 * picture `k` steps back, 'M' its magnitude, 'A' signed difference to the mean of
 * the `k` pictures before. */
typedef struct
{
  char kind;
  int k;         /**< 1 … QF_MAX_DISTANCE for D, M, A; 0 otherwise */
  int gain;      /**< 1 … 255, default 1; D, M, A */
  int threshold; /**< dead band, 0 … 255, default 0; D, M, A */
} QfPlane;

typedef struct
{
  int n;
  QfPlane plane[QF_MAX_PLANES];
} QfPlanes;

/** Reads "Y,D1x2t8,A8t3" (gain and dead band in this order; blanks around commas
 * are allowed). The error shows the part that is wrong and the grammar. */
gboolean qf_planes_parse (QfPlanes *planes, const char *text, GError **error);

/** The canonical text; owned by the caller. */
char *qf_planes_to_string (const QfPlanes *planes);

gboolean qf_planes_equal (const QfPlanes *a, const QfPlanes *b);

/** Whether R, G or B is among them. */
gboolean qf_planes_need_colour (const QfPlanes *planes);

/** The longest distance in steps, 0 without differences. */
int qf_planes_history (const QfPlanes *planes);

/** What a plane holds where the letterbox's borders are and where nothing is
 * known: 128 for Y, R, G, B, D and A; 0 for M. */
guint8 qf_plane_rest (const QfPlane *plane);

/** Whether every plane is a difference with a dead band, so that it holds its
 * rest code wherever nothing moves; then @codes are these. */
gboolean qf_planes_at_rest (
    const QfPlanes *planes, guint8 codes[QF_MAX_PLANES]);

G_END_DECLS
