/* GStreamer qfuse: what moves in a frame, as a meta.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfmapping.h"

static gboolean
motion_init (GstMeta *meta, gpointer params, GstBuffer *buffer)
{
  QfuseMotionMeta *m = (QfuseMotionMeta *) meta;

  m->width = m->height = 0;
  m->share = 0;
  m->analysed = m->moving = FALSE;
  m->regions = g_array_new (FALSE, TRUE, sizeof (QfuseMotionRegion));
  m->borders = GST_QF_BORDERS_UNKNOWN;
  return TRUE;
}

static void
motion_free (GstMeta *meta, GstBuffer *buffer)
{
  g_array_unref (((QfuseMotionMeta *) meta)->regions);
}

/* GStreamer scales a region's box without borders: it is set right. The regions
 * come before this meta, so they are there. */
static void
repair_region (
    GstBuffer *buffer, const QfuseMotionRegion *r, guint width, guint height)
{
  GstVideoRegionOfInterestMeta *roi = r->roi_id < 0
      ? NULL
      : gst_buffer_get_video_region_of_interest_meta_id (buffer, r->roi_id);
  QfuseDetection d = {
    .x = r->x, .y = r->y, .w = r->w, .h = r->h, .score = 1, .label_id = -1
  };

  if (roi && !gst_video_region_of_interest_meta_get_param (roi, "detection"))
    gst_qf_roi_fill (roi, &d, width, height);
}

static void
append_mapped (
    QfuseMotionMeta *to, const QfuseMotionMeta *from, const GstQfMapping *m)
{
  gfloat scale = ABS (m->m[0][0] * m->m[1][1] - m->m[0][1] * m->m[1][0]);

  for (guint i = 0; i < from->regions->len; i++) {
    QfuseMotionRegion r = g_array_index (from->regions, QfuseMotionRegion, i);

    r.area *= scale;
    if (gst_qf_mapping_box (m, &r.x, &r.y, &r.w, &r.h))
      g_array_append_val (to->regions, r);
  }
}

static gboolean
motion_transform (
    GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type, gpointer data)
{
  const QfuseMotionMeta *s = (QfuseMotionMeta *) meta;
  QfuseMotionMeta *d;
  GstQfMapping m;

  if (!gst_qf_mapping_init (&m, s->width, s->height, (GstQfBorders) s->borders,
          to, from, type, data)) {
    if (GST_META_TRANSFORM_IS_COPY (type))
      return FALSE;
    /* the regions are scaled all the same: wrongly, so they are disowned */
    gst_qf_mapping_init_same (&m, 0, 0);
  }
  d = gst_buffer_add_qfuse_motion (to, m.width, m.height);
  if (!d)
    return FALSE;
  d->borders = s->borders;
  if (m.width == 0) {
    g_array_append_vals (d->regions, s->regions->data, s->regions->len);
    return TRUE;
  }
  d->share = s->share;
  d->analysed = s->analysed;
  d->moving = s->moving;
  append_mapped (d, s, &m);
  for (guint i = 0; i < d->regions->len; i++)
    repair_region (to, &g_array_index (d->regions, QfuseMotionRegion, i),
        m.width, m.height);
  return TRUE;
}

static const GstMetaInfo *
motion_info (void)
{
  static const GstMetaInfo *info;

  if (g_once_init_enter (&info))
    g_once_init_leave (&info,
        gst_qf_meta_register ("QfuseMotionMetaAPI", "QfuseMotionMeta",
            sizeof (QfuseMotionMeta), motion_init, motion_free,
            motion_transform));
  return info;
}

void
gst_qf_motion_meta_register (void)
{
  motion_info ();
}

QfuseMotionMeta *
gst_buffer_add_qfuse_motion (GstBuffer *buffer, guint width, guint height)
{
  QfuseMotionMeta *m;

  m = (QfuseMotionMeta *) gst_buffer_add_meta (buffer, motion_info (), NULL);
  if (m) {
    m->width = width;
    m->height = height;
  }
  return m;
}

void
gst_buffer_remove_qfuse_motion (GstBuffer *buffer)
{
  GstMeta *meta;

  while ((meta = gst_buffer_get_meta (buffer, motion_info ()->api)))
    gst_buffer_remove_meta (buffer, meta);
}
