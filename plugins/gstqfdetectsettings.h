/* GStreamer qfuse: what qfusedetect is asked for, and what it counts.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

#include "qfuse.h"

G_BEGIN_DECLS

/** Since the start. */
typedef struct
{
  guint64 frames, inferences, reused, detections, upstream_planes, reloads;
  guint64 macs, all_macs;          /* run, and of how many */
  gint64 network_time, frame_time; /* sums, µs */
  gint64 last_network_time;
  gdouble time_share; /* of whole runs, with sparse=verify */
} GstQfDetectStats;

/** What each frame looks at: a copy may be read without a lock. */
typedef struct
{
  gfloat threshold, iou_threshold; /* −1: what the model says */
  guint max_detections, interval;
} GstQfDetectValues;

/** Guarded by the object lock. */
typedef struct
{
  gchar *model_file;
  guint threads;
  QfSparseMode sparse;
  GstQfDetectValues values;
} GstQfDetectSettings;

void gst_qf_detect_settings_init (GstQfDetectSettings *s);

/** Installs all properties and marks their types as API. */
void gst_qf_detect_settings_install (GObjectClass *object);

/** With the object lock held. FALSE: there is no such property. */
gboolean gst_qf_detect_settings_set (
    GstQfDetectSettings *s, guint id, const GValue *value);
gboolean gst_qf_detect_settings_get (const GstQfDetectSettings *s,
    const GstQfDetectStats *stats, guint id, GValue *value);

G_END_DECLS
