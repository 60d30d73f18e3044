/* GStreamer qfuse: filled rectangles and text masks in raw video of any format.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/video/video.h>

G_BEGIN_DECLS

/** A colour, sRGB, 0 … 255. */
typedef struct
{
  guint8 r, g, b;
} GstQfColour;

/** A mapped frame to paint on: formats whose components have 8 to 16 bits at a
 * fixed distance, which all of GST_QF_FORMATS are. Coordinates are pixels of
 * the visible picture; what lies outside is cut off. */
typedef struct
{
  GstVideoFrame *frame;
  gint x, y, width, height; /* the visible picture in the frame, pixels */
  gdouble kr, kb;           /* of the colour matrix */
  gint offset[4], scale[4]; /* of the range */
} GstQfCanvas;

/** @frame must be mapped for writing; @crop may be NULL. */
void gst_qf_canvas_init (
    GstQfCanvas *c, GstVideoFrame *frame, const GstVideoCropMeta *crop);

/** Fills a rectangle. A chroma sample that it covers in part is mixed. */
void gst_qf_paint_rect (
    GstQfCanvas *c, GstQfColour colour, gint x, gint y, gint w, gint h);

/** Draws a rectangle's outline, @line pixels wide, inside of it. */
void gst_qf_paint_outline (GstQfCanvas *c, GstQfColour colour, gint x, gint y,
    gint w, gint h, gint line);

/** Paints @colour where @mask [h][@stride], 0 … 255, covers. @ground: the
 * colour that was painted there before (faster, the same result); NULL:
 * anything may be there. */
void gst_qf_paint_mask (GstQfCanvas *c, GstQfColour colour,
    const GstQfColour *ground, const guint8 *mask, gint stride, gint x, gint y,
    gint w, gint h);

G_END_DECLS
