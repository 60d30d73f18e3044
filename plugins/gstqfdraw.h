/* GStreamer qfuse: boxes, captions and actions on a frame.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstqfmeta-private.h"
#include "gstqfpaint.h"
#include "gstqftext.h"

G_BEGIN_DECLS

#define GST_QF_MAX_LINE_WIDTH 64

typedef enum
{
  GST_QF_COLOUR_BY_LABEL,
  GST_QF_COLOUR_BY_ID,
  GST_QF_COLOUR_BY_NONE
} GstQfColourBy;

typedef struct
{
  gboolean boxes, labels, scores, actions, truth, points;
  GstQfColourBy colour_by;
  gint line_width; /* pixels; 0: by the picture's height */
} GstQfDrawSettings;

/** Draws @found and @truth (NULL: none), both in pixels of the canvas. */
void gst_qf_draw (GstQfCanvas *canvas, const GstQfDrawSettings *settings,
    GstQfTexts *texts, const GstQfFound *found, const QfuseTruthMeta *truth);

G_END_DECLS
