/* GStreamer qfuse: where the pixels of a frame went when it was transformed.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfmapping.h"

void
gst_qf_mapping_point (
    const GstQfMapping *m, gfloat x, gfloat y, gfloat *to_x, gfloat *to_y)
{
  *to_x = m->m[0][0] * x + m->m[0][1] * y + m->m[0][2];
  *to_y = m->m[1][0] * x + m->m[1][1] * y + m->m[1][2];
}

gboolean
gst_qf_mapping_box (
    const GstQfMapping *m, gfloat *x, gfloat *y, gfloat *w, gfloat *h)
{
  gfloat x0, y0, x1, y1, left, top;

  gst_qf_mapping_point (m, *x, *y, &x0, &y0);
  gst_qf_mapping_point (m, *x + *w, *y + *h, &x1, &y1);
  left = MAX (MIN (x0, x1), m->left);
  top = MAX (MIN (y0, y1), m->top);
  *w = MIN (MAX (x0, x1), m->right) - left;
  *h = MIN (MAX (y0, y1), m->bottom) - top;
  *x = left;
  *y = top;
  return *w > 0 && *h > 0;
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

void
gst_qf_mapping_init_same (GstQfMapping *m, guint width, guint height)
{
  *m = (GstQfMapping){ .m = { { 1, 0, 0 }, { 0, 1, 0 } },
    .width = width,
    .height = height,
    .right = (gfloat) width,
    .bottom = (gfloat) height };
}

static gboolean
mapping_init_scale (GstQfMapping *m, const GstVideoInfo *in,
    const GstVideoInfo *out, GstQfBorders borders)
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
mapping_init_matrix (GstQfMapping *m, const GstVideoMetaTransformMatrix *t)
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

gboolean
gst_qf_mapping_init (GstQfMapping *m, guint width, guint height,
    GstQfBorders borders, GstBuffer *to, GstBuffer *from, GQuark type,
    gpointer data)
{
  gst_qf_mapping_init_same (m, width, height);
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

const GstMetaInfo *
gst_qf_meta_register (const gchar *api, const gchar *name, gsize size,
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
