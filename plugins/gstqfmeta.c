/* GStreamer qfuse: detections and ground truth as metas: types and transforms.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfmeta-private.h"

/* How points of the old frame lie in the new one. */
typedef struct
{
  gfloat sx, sy, ox, oy;
  guint width, height;
} Mapping;

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

static void
append_mapped (GArray *to, const GArray *from, const Mapping *m)
{
  guint first = to->len;

  gst_qf_detections_array_append (
      to, (const QfuseDetection *) from->data, from->len);
  for (guint i = first; i < to->len; i++) {
    QfuseDetection *d = &g_array_index (to, QfuseDetection, i);

    d->x = d->x * m->sx + m->ox;
    d->y = d->y * m->sy + m->oy;
    d->w *= m->sx;
    d->h *= m->sy;
    for (guint k = 0; k < d->n_points; k++) {
      d->points[k].x = d->points[k].x * m->sx + m->ox;
      d->points[k].y = d->points[k].y * m->sy + m->oy;
    }
  }
}

/* Where videoscale puts the picture: display aspect kept, black borders around.
 * (its default, add-borders=true; gst_video_convert_scale_set_info()). */
static void
scaled_size (const GstVideoInfo *in, const GstVideoInfo *out, gint *w, gint *h)
{
  gint from_n, from_d, to_n, to_d, n, d;

  *w = out->width;
  *h = out->height;
  if (!gst_util_fraction_multiply (
          in->width, in->height, in->par_n, in->par_d, &from_n, &from_d) ||
      !gst_util_fraction_multiply (
          out->width, out->height, out->par_n, out->par_d, &to_n, &to_d) ||
      (from_n == to_n && from_d == to_d) ||
      !gst_util_fraction_multiply (
          from_n, from_d, out->par_d, out->par_n, &n, &d))
    return;

  *h = (gint) gst_util_uint64_scale_int (out->width, d, n);
  if (*h > out->height) {
    *h = out->height;
    *w = (gint) gst_util_uint64_scale_int (out->height, n, d);
  }
}

/* Size of the picture on @buffer where its metas say so. */
static gboolean
picture_size (GstBuffer *buffer, guint *w, guint *h)
{
  GstVideoCropMeta *crop = gst_buffer_get_video_crop_meta (buffer);
  GstVideoMeta *video = gst_buffer_get_video_meta (buffer);

  if (crop) {
    *w = crop->width;
    *h = crop->height;
  } else if (video) {
    *w = video->width;
    *h = video->height;
  }
  return crop || video;
}

/* FALSE: nobody knows where the pixels went, the meta is lost. */
static gboolean
mapping_init (Mapping *m, guint width, guint height, GstBuffer *to,
    GstBuffer *from, GQuark type, gpointer data)
{
  m->sx = m->sy = 1;
  m->ox = m->oy = 0;
  m->width = width;
  m->height = height;

  if (GST_META_TRANSFORM_IS_COPY (type)) {
    const GstMetaTransformCopy *copy = data;
    guint fw, fh, tw, th;

    if (copy && copy->region)
      return FALSE;
    /* a copy into a frame of another size is no copy */
    return !picture_size (from, &fw, &fh) || !picture_size (to, &tw, &th) ||
        (fw == tw && fh == th);
  }
  if (GST_VIDEO_META_TRANSFORM_IS_SCALE (type)) {
    const GstVideoMetaTransform *t = data;
    gint w, h;

    /* boxes for another frame than the one that is scaled cannot be placed */
    if ((guint) t->in_info->width != width ||
        (guint) t->in_info->height != height)
      return FALSE;
    scaled_size (t->in_info, t->out_info, &w, &h);
    if (w <= 0 || h <= 0)
      return FALSE;
    m->sx = (gfloat) w / (gfloat) width;
    m->sy = (gfloat) h / (gfloat) height;
    m->ox = (gfloat) ((t->out_info->width - w) / 2);
    m->oy = (gfloat) ((t->out_info->height - h) / 2);
    m->width = (guint) t->out_info->width;
    m->height = (guint) t->out_info->height;
    return TRUE;
  }
  return FALSE;
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
  return TRUE;
}

static void
detections_free (GstMeta *meta, GstBuffer *buffer)
{
  g_array_unref (((QfuseDetectionsMeta *) meta)->detections);
}

static gboolean
detections_transform (
    GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type, gpointer data)
{
  const QfuseDetectionsMeta *s = (QfuseDetectionsMeta *) meta;
  QfuseDetectionsMeta *d;
  Mapping m;

  if (!mapping_init (&m, s->width, s->height, to, from, type, data))
    return FALSE;
  d = gst_buffer_add_qfuse_detections (to, m.width, m.height);
  if (!d)
    return FALSE;
  append_mapped (d->detections, s->detections, &m);
  d->action = s->action;
  d->action_id = s->action_id;
  d->action_score = s->action_score;
  d->serial = s->serial;
  d->carried = s->carried;
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
  Mapping m;

  if (!mapping_init (&m, s->width, s->height, to, from, type, data))
    return FALSE;
  t = gst_buffer_add_qfuse_truth (to, m.width, m.height);
  if (!t)
    return FALSE;
  append_mapped (t->boxes, s->boxes, &m);
  t->action = s->action;
  t->action_id = s->action_id;
  t->frame = s->frame;
  return TRUE;
}

/* A meta can be in the process already where a test links the plugin's inside.
 */
static const GstMetaInfo *
register_meta (const gchar *api, const gchar *name, gsize size,
    GstMetaInitFunction init, GstMetaFreeFunction clear,
    GstMetaTransformFunction transform)
{
  static const gchar *tags[] = { GST_META_TAG_VIDEO_STR,
    GST_META_TAG_VIDEO_SIZE_STR, GST_META_TAG_VIDEO_ORIENTATION_STR, NULL };
  const GstMetaInfo *info = gst_meta_get_info (name);

  if (info)
    return info;
  return gst_meta_register (gst_meta_api_type_register (api, tags), name, size,
      init, clear, transform);
}

static const GstMetaInfo *
detections_info (void)
{
  static const GstMetaInfo *info;

  if (g_once_init_enter (&info))
    g_once_init_leave (&info,
        register_meta ("QfuseDetectionsMetaAPI", "QfuseDetectionsMeta",
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
        register_meta ("QfuseTruthMetaAPI", "QfuseTruthMeta",
            sizeof (QfuseTruthMeta), truth_init, truth_free, truth_transform));
  return info;
}

void
gst_qf_metas_register (void)
{
  detections_info ();
  truth_info ();
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
