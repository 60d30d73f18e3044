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

void
gst_qf_roi_fill (GstVideoRegionOfInterestMeta *roi, const QfuseDetection *d,
    guint width, guint height)
{
  gdouble w = MAX (width, 1), h = MAX (height, 1);

  roi->x = round_pixel (d->x, width);
  roi->y = round_pixel (d->y, height);
  roi->w = round_pixel (d->x + d->w, width) - roi->x;
  roi->h = round_pixel (d->y + d->h, height) - roi->y;
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

static void
add_roi (GstBuffer *buffer, const GstQfFound *f, const QfuseDetection *d)
{
  GQuark type = d->label ? d->label : g_quark_from_static_string ("object");
  GstVideoRegionOfInterestMeta *roi =
      gst_buffer_add_video_region_of_interest_meta_id (
          buffer, type, 0, 0, 0, 0);

  roi->id = d->roi_id;
  gst_qf_roi_fill (roi, d, f->width, f->height);
}

void
gst_qf_found_attach_regions (GstBuffer *buffer, GstQfFound *found)
{
  if (!gst_qf_analytics_write (buffer, found)) {
    gint id = next_roi_id (buffer);

    for (guint i = 0; i < found->detections->len; i++)
      g_array_index (found->detections, QfuseDetection, i).roi_id = id++;
  }
  for (guint i = 0; i < found->detections->len; i++)
    add_roi (
        buffer, found, &g_array_index (found->detections, QfuseDetection, i));
}

void
gst_qf_found_attach (GstBuffer *buffer, GstQfFound *found)
{
  QfuseDetectionsMeta *meta;

  gst_qf_found_attach_regions (buffer, found);
  /* last, so that its transform finds the regions transformed already */
  meta = gst_buffer_add_qfuse_detections (buffer, found->width, found->height);
  gst_qf_detections_array_append (meta->detections,
      (const QfuseDetection *) found->detections->data, found->detections->len);
  meta->action = found->action;
  meta->action_id = found->action_id;
  meta->action_score = found->action_score;
  meta->serial = found->serial;
  meta->carried = found->carried;
  meta->borders = (gint) found->borders;
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

/* All metas of ours; the ids of their regions go to @ids, also where the boxes
 * were lost or are for another frame: then the regions are no better. */
static guint
read_all_own (GstQfFound *found, GstBuffer *buffer, GHashTable *ids)
{
  GType api = g_type_from_name ("QfuseDetectionsMetaAPI");
  gpointer state = NULL;
  GstMeta *meta;
  guint n = 0;

  while (
      api && (meta = gst_buffer_iterate_meta_filtered (buffer, &state, api))) {
    const QfuseDetectionsMeta *d = (QfuseDetectionsMeta *) meta;

    for (guint i = 0; i < d->detections->len; i++)
      g_hash_table_add (ids,
          GINT_TO_POINTER (
              g_array_index (d->detections, QfuseDetection, i).roi_id));
    if (d->width == found->width && d->height == found->height) {
      read_own (found, d);
      n++;
    }
  }
  return n;
}

/* What moves, where it has regions of interest: those without are for who asks
 * for motion. */
static void
read_motion (GstQfFound *found, GstBuffer *buffer, GHashTable *ids)
{
  GType api = g_type_from_name ("QfuseMotionMetaAPI");
  gpointer state = NULL;
  GstMeta *meta;

  while (
      api && (meta = gst_buffer_iterate_meta_filtered (buffer, &state, api))) {
    const QfuseMotionMeta *m = (QfuseMotionMeta *) meta;

    for (guint i = 0; i < m->regions->len; i++) {
      const QfuseMotionRegion *r =
          &g_array_index (m->regions, QfuseMotionRegion, i);
      QfuseDetection d = { .x = r->x,
        .y = r->y,
        .w = r->w,
        .h = r->h,
        .score = 1,
        .label_id = -1,
        .label = g_quark_from_static_string ("motion"),
        .roi_id = r->roi_id };

      if (r->roi_id < 0 || !g_hash_table_add (ids, GINT_TO_POINTER (r->roi_id)))
        continue;
      if (m->width == found->width && m->height == found->height)
        g_array_append_val (found->detections, d);
    }
  }
}

gboolean
gst_qf_found_read (
    GstQfFound *found, GstBuffer *buffer, guint width, guint height)
{
  GHashTable *ids = g_hash_table_new (NULL, NULL);
  gpointer state = NULL;
  GstMeta *meta;
  guint own, n_metas;

  gst_qf_found_reset (found);
  found->width = width;
  found->height = height;
  n_metas = read_all_own (found, buffer, ids);
  own = found->detections->len;
  read_motion (found, buffer, ids);

  while ((meta = gst_buffer_iterate_meta_filtered (
              buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))) {
    const GstVideoRegionOfInterestMeta *r =
        (GstVideoRegionOfInterestMeta *) meta;

    if (!g_hash_table_contains (ids, GINT_TO_POINTER (r->id)))
      read_roi (found, r);
  }
  for (guint i = own; i < found->detections->len; i++)
    g_hash_table_add (ids,
        GINT_TO_POINTER (
            g_array_index (found->detections, QfuseDetection, i).roi_id));
  gst_qf_analytics_read (buffer, found, ids);
  g_hash_table_unref (ids);

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
