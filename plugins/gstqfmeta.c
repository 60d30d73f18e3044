/* GStreamer qfuse: detections and ground truth as metas: types and transforms.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfmeta-private.h"

/* How points of the old frame lie in the new one: x' = m[0]·(x, y, 1), y' =
 * m[1]·(x, y, 1). Axes stay axes, though they may be swapped or turned round.
 */
typedef struct
{
  gfloat m[2][3];
  guint width, height;             /* of the new frame */
  gfloat left, top, right, bottom; /* what of it the old frame fills */
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
map_point (const Mapping *m, gfloat x, gfloat y, gfloat *to_x, gfloat *to_y)
{
  *to_x = m->m[0][0] * x + m->m[0][1] * y + m->m[0][2];
  *to_y = m->m[1][0] * x + m->m[1][1] * y + m->m[1][2];
}

/* FALSE: the box lies outside the new frame. */
static gboolean
map_detection (const Mapping *m, QfuseDetection *d)
{
  gfloat x0, y0, x1, y1, left, top;

  map_point (m, d->x, d->y, &x0, &y0);
  map_point (m, d->x + d->w, d->y + d->h, &x1, &y1);
  left = MAX (MIN (x0, x1), m->left);
  top = MAX (MIN (y0, y1), m->top);
  d->w = MIN (MAX (x0, x1), m->right) - left;
  d->h = MIN (MAX (y0, y1), m->bottom) - top;
  d->x = left;
  d->y = top;
  for (guint k = 0; k < d->n_points; k++)
    map_point (
        m, d->points[k].x, d->points[k].y, &d->points[k].x, &d->points[k].y);
  return d->w > 0 && d->h > 0;
}

static void
append_mapped (GArray *to, const GArray *from, const Mapping *m)
{
  gst_qf_detections_array_append (
      to, (const QfuseDetection *) from->data, from->len);
  for (guint i = to->len; i-- > 0;)
    if (!map_detection (m, &g_array_index (to, QfuseDetection, i)))
      g_array_remove_index (to, i);
}

/* The size at which the picture lies in the new frame, in its middle; with
 * borders as gst_video_convert_scale_set_info() reckons them. FALSE: not known.
 */
static gboolean
scaled_size (const GstVideoInfo *in, const GstVideoInfo *out,
    GstQfBorders borders, gint *w, gint *h)
{
  gint from_n, from_d, to_n, to_d, n, d;

  *w = out->width;
  *h = out->height;
  if (!gst_util_fraction_multiply (
          in->width, in->height, in->par_n, in->par_d, &from_n, &from_d) ||
      !gst_util_fraction_multiply (
          out->width, out->height, out->par_n, out->par_d, &to_n, &to_d))
    return FALSE;
  if ((from_n == to_n && from_d == to_d) || borders == GST_QF_BORDERS_NONE)
    return TRUE;
  if (borders == GST_QF_BORDERS_UNKNOWN ||
      !gst_util_fraction_multiply (
          from_n, from_d, out->par_d, out->par_n, &n, &d))
    return FALSE;

  *h = (gint) gst_util_uint64_scale_int (out->width, d, n);
  if (*h > out->height) {
    *h = out->height;
    *w = (gint) gst_util_uint64_scale_int (out->height, n, d);
  }
  return *w > 0 && *h > 0;
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

static void
mapping_init_same (Mapping *m, guint width, guint height)
{
  *m = (Mapping){ .m = { { 1, 0, 0 }, { 0, 1, 0 } },
    .width = width,
    .height = height,
    .right = (gfloat) width,
    .bottom = (gfloat) height };
}

static gboolean
mapping_init_scale (Mapping *m, const GstVideoInfo *in, const GstVideoInfo *out,
    GstQfBorders borders)
{
  gint w, h;

  if (!scaled_size (in, out, borders, &w, &h))
    return FALSE;
  m->width = (guint) out->width;
  m->height = (guint) out->height;
  m->left = (gfloat) ((out->width - w) / 2);
  m->top = (gfloat) ((out->height - h) / 2);
  m->right = m->left + (gfloat) w;
  m->bottom = m->top + (gfloat) h;
  m->m[0][0] = (gfloat) w / (gfloat) in->width;
  m->m[1][1] = (gfloat) h / (gfloat) in->height;
  m->m[0][2] = m->left;
  m->m[1][2] = m->top;
  return TRUE;
}

#if GST_CHECK_VERSION(1, 28, 0)
static gboolean
mapping_init_matrix (Mapping *m, const GstVideoMetaTransformMatrix *t)
{
  const GstVideoRectangle *in = &t->in_rectangle, *out = &t->out_rectangle;
  const gfloat (*a)[3] = t->matrix;

  if (a[2][0] != 0 || a[2][1] != 0 || a[2][2] != 1 ||
      ((a[0][0] != 0 || a[1][1] != 0) && (a[0][1] != 0 || a[1][0] != 0)))
    return FALSE; /* boxes would not stay boxes */
  for (gint i = 0; i < 2; i++) {
    m->m[i][0] = a[i][0];
    m->m[i][1] = a[i][1];
    m->m[i][2] = a[i][2] - a[i][0] * (gfloat) in->x - a[i][1] * (gfloat) in->y;
  }
  m->m[0][2] += (gfloat) out->x;
  m->m[1][2] += (gfloat) out->y;
  m->width = (guint) t->out_info->width;
  m->height = (guint) t->out_info->height;
  m->left = (gfloat) out->x;
  m->top = (gfloat) out->y;
  m->right = (gfloat) (out->x + out->w);
  m->bottom = (gfloat) (out->y + out->h);
  return TRUE;
}
#endif

static gboolean
is_size (const GstVideoInfo *info, guint width, guint height)
{
  return (guint) info->width == width && (guint) info->height == height;
}

/* FALSE: nobody knows where the pixels went, the meta is lost. Boxes for
 * another frame than the one that is transformed cannot be placed. */
static gboolean
mapping_init (Mapping *m, guint width, guint height, GstQfBorders borders,
    GstBuffer *to, GstBuffer *from, GQuark type, gpointer data)
{
  mapping_init_same (m, width, height);
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

    return is_size (t->in_info, width, height) &&
        mapping_init_scale (m, t->in_info, t->out_info, borders);
  }
#if GST_CHECK_VERSION(1, 28, 0)
  if (GST_VIDEO_META_TRANSFORM_IS_MATRIX (type)) {
    const GstVideoMetaTransformMatrix *t = data;

    return is_size (t->in_info, width, height) && mapping_init_matrix (m, t);
  }
#endif
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
  Mapping m;

  if (!mapping_init (&m, s->width, s->height, (GstQfBorders) s->borders, to,
          from, type, data)) {
    if (GST_META_TRANSFORM_IS_COPY (type))
      return FALSE;
    /* the regions are scaled all the same: wrongly, so they are disowned */
    mapping_init_same (&m, 0, 0);
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

  if (!mapping_init (&m, s->width, s->height, (GstQfBorders) s->borders, to,
          from, type, data))
    return FALSE;
  t = gst_buffer_add_qfuse_truth (to, m.width, m.height);
  if (!t)
    return FALSE;
  append_mapped (t->boxes, s->boxes, &m);
  t->action = s->action;
  t->action_id = s->action_id;
  t->frame = s->frame;
  t->borders = s->borders;
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
