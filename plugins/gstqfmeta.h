/* GStreamer qfuse: detections and ground truth as metas.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The public part needs no library of ours to link: an application asks for
 * g_type_from_name ("QfuseDetectionsMetaAPI") through the inline functions. */
#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

G_BEGIN_DECLS

/** A key point in pixels of the frame. */
typedef struct
{
  gfloat x, y, score;
} QfuseKeyPoint;

typedef struct
{
  gfloat x, y, w, h; /**< pixels of the frame */
  gfloat score;      /**< 0 … 1 */
  gint label_id;     /**< −1: not known */
  GQuark label;      /**< name of the class, 0: none */
  gint id;           /**< of the object (a track), 0: none */
  gint roi_id; /**< id of the region-of-interest meta (and, on GStreamer ≥
                    1.24, of the analytics ODMtd) written for it; −1: none */
  guint n_points;
  QfuseKeyPoint *points; /**< owned by the meta */
} QfuseDetection;

/** What a detector found on the frame. Registered as "QfuseDetectionsMeta", API
 * "QfuseDetectionsMetaAPI", tagged video, size, orientation. */
typedef struct
{
  GstMeta meta;
  guint width, height; /**< of the frame that the boxes are for; 0: they were
                            lost, what is left are ids of regions to ignore */
  GArray *detections;  /**< QfuseDetection, sorted by falling score */
  GQuark action;       /**< 0: none */
  gint action_id;      /**< label number, −1: none */
  gfloat action_score; /**< 0 … 1 */
  guint64 serial;      /**< of the model that found them */
  gboolean carried;    /**< found on an earlier frame and carried over */
  gint borders;        /**< private: what scaling to another shape does */
} QfuseDetectionsMeta;

/** Ground truth of the frame. "QfuseTruthMeta", API "QfuseTruthMetaAPI"; the
 * same tags and rules. An empty meta says that nothing is there. */
typedef struct
{
  GstMeta meta;
  guint width, height;
  GArray *boxes;  /**< QfuseDetection: box, label, id; score 0: to be ignored */
  GQuark action;  /**< 0: none */
  gint action_id; /**< −1: none */
  gint frame;     /**< number of the frame, from 1, as the label file counts */
  gint borders;   /**< private: what scaling to another shape does */
  gboolean validation; /**< it measures a training and is not learnt from */
} QfuseTruthMeta;

/** The detections of @buffer, or NULL. Owned by the buffer. */
static inline QfuseDetectionsMeta *
qfuse_buffer_get_detections (GstBuffer *buffer)
{
  GType api = g_type_from_name ("QfuseDetectionsMetaAPI");
  QfuseDetectionsMeta *d =
      api ? (QfuseDetectionsMeta *) gst_buffer_get_meta (buffer, api) : NULL;

  return d && d->width > 0 ? d : NULL;
}

/** The ground truth of @buffer, or NULL. Owned by the buffer. */
static inline QfuseTruthMeta *
qfuse_buffer_get_truth (GstBuffer *buffer)
{
  GType api = g_type_from_name ("QfuseTruthMetaAPI");

  return api ? (QfuseTruthMeta *) gst_buffer_get_meta (buffer, api) : NULL;
}

G_END_DECLS
