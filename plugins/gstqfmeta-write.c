/* GStreamer qfuse: detections written as three metas, and read back.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "gstqfanalytics.h"
#include "gstqfmeta-private.h"

void
gst_qf_found_init (GstQfFound *found)
{
  memset (found, 0, sizeof (*found));
  found->detections = gst_qf_detections_array_new ();
  found->action_id = -1;
}

void
gst_qf_found_clear (GstQfFound *found)
{
  g_clear_pointer (&found->detections, g_array_unref);
}

void
gst_qf_found_reset (GstQfFound *found)
{
  g_array_set_size (found->detections, 0);
  found->action = 0;
  found->action_id = -1;
  found->action_score = 0;
  found->serial = 0;
  found->carried = FALSE;
}

/* One more than any region of interest of the buffer has. */
static gint
next_roi_id (GstBuffer *buffer)
{
  gpointer state = NULL;
  GstMeta *meta;
  gint id = 1;

  while ((meta = gst_buffer_iterate_meta_filtered (
              buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)))
    id = MAX (id, ((GstVideoRegionOfInterestMeta *) meta)->id + 1);
  return id;
}

static guint
round_pixel (gfloat v, guint limit)
{
  return (guint) CLAMP (v + 0.5f, 0.0f, (gfloat) limit);
}

/* In the layout that DL Streamer's users read. */
static void
add_roi (GstBuffer *buffer, const GstQfFound *f, const QfuseDetection *d)
{
  gdouble w = MAX (f->width, 1), h = MAX (f->height, 1);
  guint x0 = round_pixel (d->x, f->width), y0 = round_pixel (d->y, f->height);
  guint x1 = round_pixel (d->x + d->w, f->width);
  guint y1 = round_pixel (d->y + d->h, f->height);
  GQuark type = d->label ? d->label : g_quark_from_static_string ("object");
  GstVideoRegionOfInterestMeta *roi;

  roi = gst_buffer_add_video_region_of_interest_meta_id (
      buffer, type, x0, y0, x1 - x0, y1 - y0);
  roi->id = d->roi_id;
  gst_video_region_of_interest_meta_add_param (roi,
      gst_structure_new ("detection",                                  //
          "x_min", G_TYPE_DOUBLE, CLAMP (d->x / w, 0.0, 1.0),          //
          "x_max", G_TYPE_DOUBLE, CLAMP ((d->x + d->w) / w, 0.0, 1.0), //
          "y_min", G_TYPE_DOUBLE, CLAMP (d->y / h, 0.0, 1.0),          //
          "y_max", G_TYPE_DOUBLE, CLAMP ((d->y + d->h) / h, 0.0, 1.0), //
          "confidence", G_TYPE_DOUBLE, (gdouble) d->score,             //
          "label_id", G_TYPE_INT, d->label_id, NULL));
  if (d->id > 0)
    gst_video_region_of_interest_meta_add_param (
        roi, gst_structure_new ("object_id", "id", G_TYPE_INT, d->id, NULL));
}

void
gst_qf_found_attach (GstBuffer *buffer, GstQfFound *found)
{
  QfuseDetectionsMeta *meta;

  if (!gst_qf_analytics_write (buffer, found)) {
    gint id = next_roi_id (buffer);

    for (guint i = 0; i < found->detections->len; i++)
      g_array_index (found->detections, QfuseDetection, i).roi_id = id++;
  }

  meta = gst_buffer_add_qfuse_detections (buffer, found->width, found->height);
  gst_qf_detections_array_append (meta->detections,
      (const QfuseDetection *) found->detections->data, found->detections->len);
  meta->action = found->action;
  meta->action_id = found->action_id;
  meta->action_score = found->action_score;
  meta->serial = found->serial;
  meta->carried = found->carried;

  for (guint i = 0; i < found->detections->len; i++)
    add_roi (
        buffer, found, &g_array_index (found->detections, QfuseDetection, i));
}

static void
read_own (GstQfFound *found, const QfuseDetectionsMeta *meta)
{
  gst_qf_detections_array_append (found->detections,
      (const QfuseDetection *) meta->detections->data, meta->detections->len);
  if (meta->action && meta->action_score >= found->action_score) {
    found->action = meta->action;
    found->action_id = meta->action_id;
    found->action_score = meta->action_score;
  }
  found->serial = meta->serial;
  found->carried = meta->carried;
}

/* Whether one of the first @n detections was written with this id. */
static gboolean
holds_roi (const GstQfFound *found, guint n, gint id)
{
  for (guint i = 0; i < n; i++)
    if (g_array_index (found->detections, QfuseDetection, i).roi_id == id)
      return TRUE;
  return FALSE;
}

static void
read_roi (GstQfFound *found, const GstVideoRegionOfInterestMeta *roi)
{
  QfuseDetection d = { .x = (gfloat) roi->x,
    .y = (gfloat) roi->y,
    .w = (gfloat) roi->w,
    .h = (gfloat) roi->h,
    .score = 1,
    .label_id = -1,
    .label = roi->roi_type,
    .roi_id = roi->id };
  GstVideoRegionOfInterestMeta *m = (GstVideoRegionOfInterestMeta *) roi;
  GstStructure *s;

  s = gst_video_region_of_interest_meta_get_param (m, "detection");
  if (s) {
    gdouble confidence;

    if (gst_structure_get_double (s, "confidence", &confidence))
      d.score = (gfloat) confidence;
    gst_structure_get_int (s, "label_id", &d.label_id);
  }
  s = gst_video_region_of_interest_meta_get_param (m, "object_id");
  if (s)
    gst_structure_get_int (s, "id", &d.id);
  g_array_append_val (found->detections, d);
}

static gint
by_falling_score (gconstpointer a, gconstpointer b)
{
  gfloat sa = ((const QfuseDetection *) a)->score;
  gfloat sb = ((const QfuseDetection *) b)->score;

  return (sa < sb) - (sa > sb);
}

gboolean
gst_qf_found_read (
    GstQfFound *found, GstBuffer *buffer, guint width, guint height)
{
  GType api = g_type_from_name ("QfuseDetectionsMetaAPI");
  gpointer state = NULL;
  GstMeta *meta;
  guint own, n_metas = 0;

  gst_qf_found_reset (found);
  found->width = width;
  found->height = height;
  while (
      api && (meta = gst_buffer_iterate_meta_filtered (buffer, &state, api))) {
    const QfuseDetectionsMeta *d = (QfuseDetectionsMeta *) meta;

    if (d->width != width || d->height != height)
      continue;
    read_own (found, d);
    n_metas++;
  }

  own = found->detections->len;
  state = NULL;
  while ((meta = gst_buffer_iterate_meta_filtered (
              buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
    const GstVideoRegionOfInterestMeta *r =
        (GstVideoRegionOfInterestMeta *) meta;

    if (!holds_roi (found, own, r->id))
      read_roi (found, r);
  }
  gst_qf_analytics_read (buffer, found);

  if (n_metas > 1 || found->detections->len > own)
    g_array_sort (found->detections, by_falling_score);
  return n_metas > 0 || found->detections->len > 0;
}

QfuseTruthMeta *
gst_qf_truth_read (GstBuffer *buffer, guint width, guint height)
{
  QfuseTruthMeta *t = qfuse_buffer_get_truth (buffer);

  return t && t->width == width && t->height == height ? t : NULL;
}
