/* GStreamer qfuse: writing and reading metas inside the plugin.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstqfmeta.h"
#include "gstqfmotionmeta.h"

G_BEGIN_DECLS

/** What a scaler downstream does where the display aspect changes. A meta that
 * is scaled is told of both sizes, not of this. */
typedef enum
{
  GST_QF_BORDERS_UNKNOWN, /**< not known, or not the same everywhere */
  GST_QF_BORDERS_ADDED,   /**< borders keep the aspect: videoscale's default */
  GST_QF_BORDERS_NONE     /**< the picture is stretched: add-borders=false */
} GstQfBorders;

/** Looks at the add-borders properties of all elements behind @srcpad. */
GstQfBorders gst_qf_borders_downstream (GstPad *srcpad);

/** All that is known of one frame, as elements handle it. */
typedef struct
{
  guint width, height;  /**< of the frame that the boxes are for, pixels */
  GArray *detections;   /**< QfuseDetection, sorted by falling score */
  GQuark action;        /**< 0: none */
  gint action_id;       /**< label number, −1: none */
  gfloat action_score;  /**< 0 … 1 */
  guint64 serial;       /**< of the model */
  gboolean carried;     /**< found on an earlier frame */
  GstQfBorders borders; /**< of the stream that is written to */
} GstQfFound;

void gst_qf_found_init (GstQfFound *found);
void gst_qf_found_clear (GstQfFound *found);

/** Removes what was found, keeps the memory. */
void gst_qf_found_reset (GstQfFound *found);

/** An array of QfuseDetection that owns the key points of its elements. */
GArray *gst_qf_detections_array_new (void);

/** Appends a deep copy of @n detections. */
void gst_qf_detections_array_append (
    GArray *array, const QfuseDetection *d, guint n);

/** Registers both metas, so that applications find them by name; called when
 * the plugin is loaded and harmless afterwards. */
void gst_qf_metas_register (void);

/** Adds an empty meta for boxes in a frame of @width × @height pixels. The
 * buffer must be writable. */
QfuseDetectionsMeta *gst_buffer_add_qfuse_detections (
    GstBuffer *buffer, guint width, guint height);
QfuseTruthMeta *gst_buffer_add_qfuse_truth (
    GstBuffer *buffer, guint width, guint height);

/** Registers the meta; called when the plugin is loaded and harmless after. */
void gst_qf_motion_meta_register (void);

/** Adds a meta without regions for frames of @width × @height pixels. The
 * buffer must be writable. */
QfuseMotionMeta *gst_buffer_add_qfuse_motion (
    GstBuffer *buffer, guint width, guint height);

/** Removes what others knew. Their regions of interest stay. */
void gst_buffer_remove_qfuse_motion (GstBuffer *buffer);

/** Writes what is known of @d in a frame of @width × @height pixels into its
 * region of interest: the box, and the params that DL Streamer's users read. */
void gst_qf_roi_fill (GstVideoRegionOfInterestMeta *roi,
    const QfuseDetection *d, guint width, guint height);

/** Writes @found as QfuseDetectionsMeta, as one GstVideoRegionOfInterestMeta a
 * detection and, on GStreamer ≥ 1.24, as GstAnalyticsRelationMeta; the ids of
 * one detection are the same in all three (and come back in @found's roi_id).
 */
void gst_qf_found_attach (GstBuffer *buffer, GstQfFound *found);

/** Writes regions of interest and analytics only, for a meta of another kind
 * that holds their ids; it must be added after. */
void gst_qf_found_attach_regions (GstBuffer *buffer, GstQfFound *found);

/** Reads everything that is detected on @buffer into @found (initialized by the
 * caller, overwritten): all detections metas and the motion with regions, ours,
 * for frames of @width × @height, and region-of-interest and analytics metas
 * whose ids those do not hold. FALSE where the buffer says nothing at all. */
gboolean gst_qf_found_read (
    GstQfFound *found, GstBuffer *buffer, guint width, guint height);

/** The ground truth of @buffer if it is for frames of @width × @height, or
 * NULL. */
QfuseTruthMeta *gst_qf_truth_read (
    GstBuffer *buffer, guint width, guint height);

G_END_DECLS
