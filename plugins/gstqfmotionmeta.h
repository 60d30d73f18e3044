/* GStreamer qfuse: what moves in a frame, as a meta.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The public part needs no library of ours to link: an application asks for
 * g_type_from_name ("QfuseMotionMetaAPI") through the inline function. */
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

G_BEGIN_DECLS

/** Something that moves. */
typedef struct
{
  gfloat x, y, w, h; /**< bounding box, pixels of the frame */
  gfloat area;       /**< moving pixels in it */
  gint roi_id;       /**< id of its region-of-interest meta; −1: none */
} QfuseMotionRegion;

/** What framediff knows of the motion in a frame. Registered as
 * "QfuseMotionMeta", API "QfuseMotionMetaAPI", tagged video, size, orientation:
 * it is copied, scaled with the frame, and lost where pixels move unreported.
 */
typedef struct
{
  GstMeta meta;
  guint width, height; /**< of the frame that the boxes are for; 0: they were
                            lost, what is left are ids of regions to ignore */
  gdouble share;       /**< of the pixels, 0 … 1, that changed or move */
  gboolean analysed;   /**< moving and regions are known; else share only, as
                            the difference image shows it */
  gboolean moving; /**< motion goes on: between a start and a stop message */
  GArray *regions; /**< QfuseMotionRegion, largest area first */
  gint borders;    /**< private: what scaling to another shape does */
} QfuseMotionMeta;

/** What is known of the motion in @buffer, or NULL. Owned by the buffer. */
static inline QfuseMotionMeta *
qfuse_buffer_get_motion (GstBuffer *buffer)
{
  GType api = g_type_from_name ("QfuseMotionMetaAPI");
  QfuseMotionMeta *m =
      api ? (QfuseMotionMeta *) gst_buffer_get_meta (buffer, api) : NULL;

  return m && m->width > 0 ? m : NULL;
}

G_END_DECLS
