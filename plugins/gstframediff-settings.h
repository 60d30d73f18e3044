/* GStreamer qfuse: what framediff is asked for.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

#include "qfuse.h"

G_BEGIN_DECLS

typedef enum
{
  GST_FRAME_DIFF_OUTPUT_IMAGE,
  GST_FRAME_DIFF_OUTPUT_PLANES
} GstFrameDiffOutput;

typedef enum
{
  GST_FRAME_DIFF_MODE_SIGNED,
  GST_FRAME_DIFF_MODE_ABSOLUTE,
  GST_FRAME_DIFF_MODE_HIGHLIGHT
} GstFrameDiffMode;

typedef enum
{
  GST_FRAME_DIFF_REFERENCE_AUTO,
  GST_FRAME_DIFF_REFERENCE_PREVIOUS,
  GST_FRAME_DIFF_REFERENCE_MEAN,
  GST_FRAME_DIFF_REFERENCE_BACKGROUND
} GstFrameDiffReference;

typedef enum
{
  GST_FRAME_DIFF_UNIT_FRAMES,
  GST_FRAME_DIFF_UNIT_TIME
} GstFrameDiffUnit;

/** The values of the properties, plain ones only: a copy may be read without a
 * lock. */
typedef struct
{
  GstFrameDiffOutput output;
  GstFrameDiffMode mode;
  GstFrameDiffReference reference;
  GstFrameDiffUnit unit;
  guint distance; /* frames or milliseconds */
  gdouble learning_rate;
  gint threshold; /* −1: auto */
  gboolean noise_adaptive;
  guint gain;
  gboolean find_motion, post_messages, attach_regions, drop_still;
  gdouble start_time, stop_time, pre_roll, post_roll; /* seconds */
  guint64 max_bytes;
  gdouble min_area, shadow;
  guint ignore_serial; /* counts the values that `ignore` has had */
} GstFrameDiffValues;

/** Guarded by the object lock. */
typedef struct
{
  GstFrameDiffValues values;
  gchar *ignore;
  QfPolygons *polygons; /* of ignore; NULL: none */
  GError *ignore_error; /* ignore cannot be read */
} GstFrameDiffSettings;

void gst_frame_diff_settings_init (GstFrameDiffSettings *s);
void gst_frame_diff_settings_clear (GstFrameDiffSettings *s);

/** Installs all properties and marks their types as API. */
void gst_frame_diff_settings_install (GObjectClass *object);

/** With the object lock held. FALSE: there is no such property. */
gboolean gst_frame_diff_settings_set (
    GstFrameDiffSettings *s, guint id, const GValue *value);
gboolean gst_frame_diff_settings_get (
    const GstFrameDiffSettings *s, guint id, GValue *value);

/** Whether motion is to be analysed: for messages, regions, the gate, pictures
 * that show it, or for its own sake. */
gboolean gst_frame_diff_values_want_motion (const GstFrameDiffValues *v);

/** What pre-roll adds to the latency. */
GstClockTime gst_frame_diff_values_latency (const GstFrameDiffValues *v);

G_END_DECLS
