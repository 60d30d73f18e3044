/* GStreamer qfuse: where the pixels of a frame went when it was transformed.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstqfmeta-private.h"

G_BEGIN_DECLS

/** How points of the old frame lie in the new one: x' = m[0]·(x, y, 1), y' =
 * m[1]·(x, y, 1). Axes stay axes, though they may be swapped or turned round.
 */
typedef struct
{
  gfloat m[2][3];
  guint width, height;             /* of the new frame */
  gfloat left, top, right, bottom; /* what of it the old frame fills */
} GstQfMapping;

/** Nothing moved. */
void gst_qf_mapping_init_same (GstQfMapping *m, guint width, guint height);

/** For a meta about a frame of @width × @height, of a transform function's
 * arguments. FALSE: nobody knows where the pixels went, the meta is lost. Boxes
 * for another frame than the one that is transformed cannot be placed. */
gboolean gst_qf_mapping_init (GstQfMapping *m, guint width, guint height,
    GstQfBorders borders, GstBuffer *to, GstBuffer *from, GQuark type,
    gpointer data);

void gst_qf_mapping_point (
    const GstQfMapping *m, gfloat x, gfloat y, gfloat *to_x, gfloat *to_y);

/** Maps a box, clipped to the picture. FALSE: it lies outside. */
gboolean gst_qf_mapping_box (
    const GstQfMapping *m, gfloat *x, gfloat *y, gfloat *w, gfloat *h);

/** Registers a meta tagged video, size, orientation. It can be in the process
 * already where a test links the plugin's inside. */
const GstMetaInfo *gst_qf_meta_register (const gchar *api, const gchar *name,
    gsize size, GstMetaInitFunction init, GstMetaFreeFunction clear,
    GstMetaTransformFunction transform);

G_END_DECLS
