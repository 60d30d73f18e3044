/* GStreamer qfuse: detections as GstAnalyticsRelationMeta, GStreamer ≥ 1.24.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfanalytics.h"

#ifdef HAVE_GST_ANALYTICS
#include <gst/analytics/analytics.h>
#include <math.h>

/* Edges are rounded, not sizes, so that a box covers the same pixels as its
 * region of interest. */
static gboolean
add_object (GstAnalyticsRelationMeta *meta, const GstQfFound *f,
    const QfuseDetection *d, GstAnalyticsODMtd *od)
{
  GQuark type = d->label ? d->label : g_quark_from_static_string ("object");
  gint x0 = CLAMP ((gint) lrintf (d->x), 0, (gint) f->width);
  gint y0 = CLAMP ((gint) lrintf (d->y), 0, (gint) f->height);
  gint x1 = CLAMP ((gint) lrintf (d->x + d->w), x0, (gint) f->width);
  gint y1 = CLAMP ((gint) lrintf (d->y + d->h), y0, (gint) f->height);

  return gst_analytics_relation_meta_add_od_mtd (
      meta, type, x0, y0, x1 - x0, y1 - y0, CLAMP (d->score, 0.0f, 1.0f), od);
}

static void
add_track (
    GstAnalyticsRelationMeta *meta, GstBuffer *buffer, guint od_id, gint id)
{
  GstClockTime now = GST_BUFFER_PTS (buffer);
  GstAnalyticsTrackingMtd track;

  if (!gst_analytics_relation_meta_add_tracking_mtd (
          meta, (guint64) id, now, &track))
    return;
  gst_analytics_relation_meta_set_relation (
      meta, GST_ANALYTICS_REL_TYPE_RELATE_TO, od_id, track.id);
  gst_analytics_relation_meta_set_relation (
      meta, GST_ANALYTICS_REL_TYPE_RELATE_TO, track.id, od_id);
}

gboolean
gst_qf_analytics_write (GstBuffer *buffer, GstQfFound *found)
{
  GstAnalyticsRelationMeta *meta =
      gst_buffer_get_analytics_relation_meta (buffer);

  if (!meta)
    meta = gst_buffer_add_analytics_relation_meta (buffer);
  if (!meta)
    return FALSE;

  if (found->action) {
    GstAnalyticsClsMtd cls;

    gst_analytics_relation_meta_add_one_cls_mtd (
        meta, found->action_score, found->action, &cls);
  }
  for (guint i = 0; i < found->detections->len; i++) {
    QfuseDetection *d = &g_array_index (found->detections, QfuseDetection, i);
    GstAnalyticsODMtd od;

    d->roi_id = -1;
    if (!add_object (meta, found, d, &od))
      continue;
    d->roi_id = (gint) od.id;
    if (d->id > 0)
      add_track (meta, buffer, od.id, d->id);
  }
  return TRUE;
}

void
gst_qf_analytics_read (GstBuffer *buffer, GstQfFound *found, GHashTable *ids)
{
  GstAnalyticsRelationMeta *meta =
      gst_buffer_get_analytics_relation_meta (buffer);
  gpointer state = NULL;
  GstAnalyticsMtd od;

  while (meta &&
      gst_analytics_relation_meta_iterate (
          meta, &state, gst_analytics_od_mtd_get_mtd_type (), &od)) {
    QfuseDetection d = { .label_id = -1, .roi_id = (gint) od.id };
    GstAnalyticsMtd track;
    gint x, y, w, h;
    guint64 id;

    if (g_hash_table_contains (ids, GINT_TO_POINTER (d.roi_id)) ||
        !gst_analytics_od_mtd_get_location (&od, &x, &y, &w, &h, &d.score))
      continue;
    d.x = (gfloat) x;
    d.y = (gfloat) y;
    d.w = (gfloat) w;
    d.h = (gfloat) h;
    d.label = gst_analytics_od_mtd_get_obj_type (&od);
    if (gst_analytics_relation_meta_get_direct_related (meta, od.id,
            GST_ANALYTICS_REL_TYPE_RELATE_TO,
            gst_analytics_tracking_mtd_get_mtd_type (), NULL, &track) &&
        gst_analytics_tracking_mtd_get_info (&track, &id, NULL, NULL, NULL))
      d.id = (gint) MIN (id, (guint64) G_MAXINT);
    g_array_append_val (found->detections, d);
  }
}

#else

gboolean
gst_qf_analytics_write (GstBuffer *buffer, GstQfFound *found)
{
  return FALSE;
}

void
gst_qf_analytics_read (GstBuffer *buffer, GstQfFound *found, GHashTable *ids)
{
}

#endif
