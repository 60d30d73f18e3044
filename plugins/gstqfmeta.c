/* GStreamer qfuse: detections and ground truth as metas: types and transforms.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfmapping.h"
#include "gstqfmeta-private.h"

static void
detection_clear (gpointer data)
{
  QfuseDetection *d = data;

  g_clear_pointer (&d->points, g_free);
  d->n_points = 0;
}

GArray *
gst_qf_detections_array_new (void)
{
  GArray *a = g_array_new (FALSE, TRUE, sizeof (QfuseDetection));

  g_array_set_clear_func (a, detection_clear);
  return a;
}

void
gst_qf_detections_array_append (GArray *array, const QfuseDetection *d, guint n)
{
  for (guint i = 0; i < n; i++) {
    QfuseDetection copy = d[i];

    copy.points = copy.n_points > 0
        ? g_memdup2 (d[i].points, copy.n_points * sizeof (QfuseKeyPoint))
        : NULL;
    g_array_append_val (array, copy);
  }
}

/* FALSE: the box lies outside the new frame. */
static gboolean
map_detection (const GstQfMapping *m, QfuseDetection *d)
{
  for (guint k = 0; k < d->n_points; k++)
    gst_qf_mapping_point (
        m, d->points[k].x, d->points[k].y, &d->points[k].x, &d->points[k].y);
  return gst_qf_mapping_box (m, &d->x, &d->y, &d->w, &d->h);
}

static void
append_mapped (GArray *to, const GArray *from, const GstQfMapping *m)
{
  gst_qf_detections_array_append (
      to, (const QfuseDetection *) from->data, from->len);
  for (guint i = to->len; i-- > 0;)
    if (!map_detection (m, &g_array_index (to, QfuseDetection, i)))
      g_array_remove_index (to, i);
}

static gboolean
detections_init (GstMeta *meta, gpointer params, GstBuffer *buffer)
{
  QfuseDetectionsMeta *d = (QfuseDetectionsMeta *) meta;

  d->width = d->height = 0;
  d->detections = gst_qf_detections_array_new ();
  d->action = 0;
  d->action_id = -1;
  d->action_score = 0;
  d->serial = 0;
  d->carried = FALSE;
  d->borders = GST_QF_BORDERS_UNKNOWN;
  return TRUE;
}

static void
detections_free (GstMeta *meta, GstBuffer *buffer)
{
  g_array_unref (((QfuseDetectionsMeta *) meta)->detections);
}

/* GStreamer scales a region's box without borders and drops its params: both
 * are set right. The regions come before this meta, so they are there. */
static void
repair_regions (GstBuffer *buffer, const QfuseDetectionsMeta *d)
{
  for (guint i = 0; i < d->detections->len; i++) {
    const QfuseDetection *o = &g_array_index (d->detections, QfuseDetection, i);
    GstVideoRegionOfInterestMeta *roi =
        gst_buffer_get_video_region_of_interest_meta_id (buffer, o->roi_id);

    if (roi && !gst_video_region_of_interest_meta_get_param (roi, "detection"))
      gst_qf_roi_fill (roi, o, d->width, d->height);
  }
}

static gboolean
detections_transform (
    GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type, gpointer data)
{
  const QfuseDetectionsMeta *s = (QfuseDetectionsMeta *) meta;
  QfuseDetectionsMeta *d;
  GstQfMapping m;

  if (!gst_qf_mapping_init (&m, s->width, s->height, (GstQfBorders) s->borders,
          to, from, type, data)) {
    if (GST_META_TRANSFORM_IS_COPY (type))
      return FALSE;
    /* the regions are scaled all the same: wrongly, so they are disowned */
    gst_qf_mapping_init_same (&m, 0, 0);
  }
  d = gst_buffer_add_qfuse_detections (to, m.width, m.height);
  if (!d)
    return FALSE;
  d->serial = s->serial;
  d->carried = s->carried;
  d->borders = s->borders;
  if (m.width == 0) {
    gst_qf_detections_array_append (d->detections,
        (const QfuseDetection *) s->detections->data, s->detections->len);
    return TRUE;
  }
  append_mapped (d->detections, s->detections, &m);
  d->action = s->action;
  d->action_id = s->action_id;
  d->action_score = s->action_score;
  repair_regions (to, d);
  return TRUE;
}

static gboolean
truth_init (GstMeta *meta, gpointer params, GstBuffer *buffer)
{
  QfuseTruthMeta *t = (QfuseTruthMeta *) meta;

  t->width = t->height = 0;
  t->boxes = gst_qf_detections_array_new ();
  t->action = 0;
  t->action_id = -1;
  t->frame = 0;
  t->borders = GST_QF_BORDERS_UNKNOWN;
  t->validation = FALSE;
  return TRUE;
}

static void
truth_free (GstMeta *meta, GstBuffer *buffer)
{
  g_array_unref (((QfuseTruthMeta *) meta)->boxes);
}

static gboolean
truth_transform (
    GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type, gpointer data)
{
  const QfuseTruthMeta *s = (QfuseTruthMeta *) meta;
  QfuseTruthMeta *t;
  GstQfMapping m;

  if (!gst_qf_mapping_init (&m, s->width, s->height, (GstQfBorders) s->borders,
          to, from, type, data))
    return FALSE;
  t = gst_buffer_add_qfuse_truth (to, m.width, m.height);
  if (!t)
    return FALSE;
  append_mapped (t->boxes, s->boxes, &m);
  t->action = s->action;
  t->action_id = s->action_id;
  t->frame = s->frame;
  t->validation = s->validation;
  t->borders = s->borders;
  return TRUE;
}

static const GstMetaInfo *
detections_info (void)
{
  static const GstMetaInfo *info;

  if (g_once_init_enter (&info))
    g_once_init_leave (&info,
        gst_qf_meta_register ("QfuseDetectionsMetaAPI", "QfuseDetectionsMeta",
            sizeof (QfuseDetectionsMeta), detections_init, detections_free,
            detections_transform));
  return info;
}

static const GstMetaInfo *
truth_info (void)
{
  static const GstMetaInfo *info;

  if (g_once_init_enter (&info))
    g_once_init_leave (&info,
        gst_qf_meta_register ("QfuseTruthMetaAPI", "QfuseTruthMeta",
            sizeof (QfuseTruthMeta), truth_init, truth_free, truth_transform));
  return info;
}

void
gst_qf_metas_register (void)
{
  detections_info ();
  truth_info ();
  gst_qf_motion_meta_register ();
}

QfuseDetectionsMeta *
gst_buffer_add_qfuse_detections (GstBuffer *buffer, guint width, guint height)
{
  QfuseDetectionsMeta *d;

  d = (QfuseDetectionsMeta *) gst_buffer_add_meta (
      buffer, detections_info (), NULL);
  if (d) {
    d->width = width;
    d->height = height;
  }
  return d;
}

QfuseTruthMeta *
gst_buffer_add_qfuse_truth (GstBuffer *buffer, guint width, guint height)
{
  QfuseTruthMeta *t;

  t = (QfuseTruthMeta *) gst_buffer_add_meta (buffer, truth_info (), NULL);
  if (t) {
    t->width = width;
    t->height = height;
  }
  return t;
}
