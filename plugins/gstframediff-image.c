/* GStreamer qfuse: the difference as a picture in its frame's own format.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Luma planes are read and written in place, in their own depth; other formats
 * go through a row of luma. */
#include "gstframediff-image.h"

#include <string.h>

struct _GstFrameDiffImage
{
  gint width, height;
  QfSamples samples;
  QfImageDiff *diff;
};

/* A frame whose rows are on their way. */
typedef struct
{
  GstVideoFrame *frame;
  GstVideoRectangle r;
  QfImage image;
  guint8 *data; /* of the picture's first pixel */
  gssize stride;
  gint step;
  gboolean in_place;
  gint colour[3];      /* where R, G, B are in a pixel */
  guint32 colour_mask; /* of four bytes, as memory holds them; 0: not in use */
} Rows;

GstFrameDiffImage *
gst_frame_diff_image_new (void)
{
  return g_new0 (GstFrameDiffImage, 1);
}

void
gst_frame_diff_image_free (GstFrameDiffImage *d)
{
  if (!d)
    return;
  g_clear_pointer (&d->diff, qf_image_diff_free);
  g_free (d);
}

void
gst_frame_diff_image_forget (GstFrameDiffImage *d)
{
  if (d->diff)
    qf_image_diff_reset (d->diff);
}

/* At any address. */
static inline void
write_16 (guint8 *p, guint v)
{
  p[0] = (guint8) v;
  p[1] = (guint8) (v >> 8);
}

static gboolean
is_deep (const GstVideoFrame *frame)
{
  return GST_VIDEO_FORMAT_INFO_DEPTH (frame->info.finfo, 0) > 8;
}

static void
rows_init (Rows *rows, GstVideoFrame *frame)
{
  const GstVideoFormatInfo *f = frame->info.finfo;

  *rows = (Rows){ .frame = frame };
  gst_qf_frame_image (frame, &rows->image, &rows->r);
  rows->data = (guint8 *) rows->image.data;
  rows->stride = rows->image.stride;
  rows->step = GST_VIDEO_FRAME_COMP_PSTRIDE (frame, 0);
  if (GST_VIDEO_FORMAT_INFO_IS_RGB (f)) {
    guint8 bytes[4] = { 0 };

    for (guint c = 0; c < 3; c++) {
      rows->colour[c] = GST_VIDEO_FORMAT_INFO_POFFSET (f, c);
      bytes[rows->colour[c]] = 0xff;
    }
    if (rows->step == 4 && (guintptr) rows->data % 4 == 0 &&
        rows->stride % 4 == 0)
      memcpy (&rows->colour_mask, bytes, 4);
  } else if (is_deep (frame)) {
    rows->in_place = G_BYTE_ORDER == G_LITTLE_ENDIAN &&
        (guintptr) rows->data % 2 == 0 && rows->stride % 2 == 0;
  } else {
    rows->in_place = rows->step == 1;
  }
}

static QfSamples
samples_of (const GstVideoFrame *frame)
{
  return !is_deep (frame)           ? QF_SAMPLES_8
      : frame->info.finfo->shift[0] ? QF_SAMPLES_10_HIGH
                                    : QF_SAMPLES_10_LOW;
}

static guint8 *
row_in_place (gpointer user, gint y, guint8 *scratch)
{
  const Rows *rows = user;

  return rows->data + y * rows->stride;
}

/* Luma of packed formats; 10 bits that are not as the machine has them. */
static guint8 *
gather_row (gpointer user, gint y, guint8 *scratch)
{
  const Rows *rows = user;
  const guint8 *p = rows->data + y * rows->stride;

  if (is_deep (rows->frame))
    for (gint x = 0; x < rows->r.w; x++)
      ((guint16 *) scratch)[x] = (guint16) (p[2 * x] | p[2 * x + 1] << 8);
  else if (GST_VIDEO_INFO_IS_RGB (&rows->frame->info))
    qf_image_luma (&rows->image, y, 1, scratch, rows->r.w);
  else
    qf_rows_take_422 (p, rows->r.w,
        GST_VIDEO_FORMAT_INFO_POFFSET (rows->frame->info.finfo, 0), scratch);
  return scratch;
}

static void
write_rgb_row (const Rows *rows, guint8 *to, const guint8 *grey)
{
  if (rows->colour_mask) {
    qf_rows_put_grey (to, rows->r.w, rows->colour_mask, grey);
    return;
  }
  for (gint x = 0; x < rows->r.w; x++, to += rows->step)
    to[rows->colour[0]] = to[rows->colour[1]] = to[rows->colour[2]] = grey[x];
}

/* The other way. */
static void
scatter_row (gpointer user, gint y, guint8 *row)
{
  const Rows *rows = user;
  guint8 *to = rows->data + y * rows->stride;

  if (is_deep (rows->frame))
    for (gint x = 0; x < rows->r.w; x++)
      write_16 (to + 2 * x, ((guint16 *) row)[x]);
  else if (GST_VIDEO_INFO_IS_RGB (&rows->frame->info))
    write_rgb_row (rows, to, row);
  else
    qf_rows_put_422 (to, rows->r.w,
        GST_VIDEO_FORMAT_INFO_POFFSET (rows->frame->info.finfo, 0), row);
}

/* Chroma between the luma of YUY2 and UYVY: where the rows did not write it, as
 * the picture is not the whole frame or the last V has no luma of its own. */
static void
write_packed_chroma (const Rows *rows, guint c)
{
  GstVideoFrame *frame = rows->frame;
  gint step = GST_VIDEO_FRAME_COMP_PSTRIDE (frame, c);

  if (rows->r.w == GST_VIDEO_FRAME_WIDTH (frame) &&
      rows->r.h == GST_VIDEO_FRAME_HEIGHT (frame) && rows->r.w % 2 == 0)
    return;
  for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (frame, c); y++) {
    guint8 *to = (guint8 *) GST_VIDEO_FRAME_COMP_DATA (frame, c) +
        (gssize) y * GST_VIDEO_FRAME_COMP_STRIDE (frame, c);

    for (gint x = 0; x < GST_VIDEO_FRAME_COMP_WIDTH (frame, c); x++)
      to[(gssize) x * step] = 128;
  }
}

/* A plane that holds nothing but chroma, of component @c and, interleaved,
 * maybe another. (GStreamer 1.22 tells a wrong offset of P010's V.) */
static void
write_chroma_plane (GstVideoFrame *frame, guint c)
{
  guint plane = (guint) GST_VIDEO_FRAME_COMP_PLANE (frame, c);
  gint row = GST_VIDEO_FRAME_COMP_WIDTH (frame, c) *
      GST_VIDEO_FRAME_COMP_PSTRIDE (frame, c);
  guint depth = (guint) GST_VIDEO_FRAME_COMP_DEPTH (frame, c);
  guint neutral =
      1u << (depth - 1 + GST_VIDEO_FORMAT_INFO_SHIFT (frame->info.finfo, c));

  for (gint y = 0; y < GST_VIDEO_FRAME_COMP_HEIGHT (frame, c); y++) {
    guint8 *to = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (frame, plane) +
        (gssize) y * GST_VIDEO_FRAME_PLANE_STRIDE (frame, plane);

    if (depth == 8)
      memset (to, (gint) neutral, (gsize) row);
    else
      for (gint x = 0; x < row; x += 2)
        write_16 (to + x, neutral);
  }
}

/* Neutral chroma of the whole frame. */
static void
write_chroma (const Rows *rows)
{
  GstVideoFrame *frame = rows->frame;
  guint n = GST_VIDEO_FRAME_N_COMPONENTS (frame);

  if (!GST_VIDEO_INFO_IS_YUV (&frame->info))
    return;
  for (guint c = 1; c < n; c++) {
    if (GST_VIDEO_FRAME_COMP_PLANE (frame, c) == 0)
      write_packed_chroma (rows, c);
    else if (c == 1 ||
        GST_VIDEO_FRAME_COMP_PLANE (frame, c) !=
            GST_VIDEO_FRAME_COMP_PLANE (frame, 1))
      write_chroma_plane (frame, c);
  }
}

static gboolean
video_range (const Rows *rows)
{
  return !GST_VIDEO_INFO_IS_RGB (&rows->frame->info) && !rows->image.full_range;
}

gdouble
gst_frame_diff_image_apply (GstFrameDiffImage *d, GstVideoFrame *frame,
    GstClockTime time, const QfImageDiffOptions *options)
{
  QfSamples samples = samples_of (frame);
  QfImageDiffOptions o = *options;
  Rows rows;
  QfImageRows access = { .user = &rows };
  gsize changed;

  rows_init (&rows, frame);
  if (!d->diff || d->width != rows.r.w || d->height != rows.r.h ||
      d->samples != samples) {
    g_clear_pointer (&d->diff, qf_image_diff_free);
    d->diff = qf_image_diff_new (rows.r.w, rows.r.h, samples);
    d->width = rows.r.w;
    d->height = rows.r.h;
    d->samples = samples;
  }
  o.video_range = video_range (&rows);
  access.row = rows.in_place ? row_in_place : gather_row;
  access.done = rows.in_place ? NULL : scatter_row;
  changed = qf_image_diff_run (d->diff, &access,
      GST_CLOCK_TIME_IS_VALID (time) ? (gint64) time : -1, &o);
  write_chroma (&rows);
  return (gdouble) changed / ((gdouble) rows.r.w * rows.r.h);
}

void
gst_frame_diff_image_motion (GstFrameDiffImage *d, GstVideoFrame *frame,
    const guint8 *luma, gssize stride, const guint8 *then, const guint8 *mask,
    const QfImageDiffOptions *options)
{
  QfImageDiffOptions o = *options;
  g_autofree guint8 *memory = NULL;
  guint8 *codes, *scratch;
  Rows rows;

  rows_init (&rows, frame);
  o.video_range = video_range (&rows);
  memory = g_malloc (4 * (gsize) rows.r.w);
  codes = memory + 2 * (gsize) rows.r.w;
  scratch = memory + 3 * (gsize) rows.r.w;
  for (gint y = 0; y < rows.r.h; y++) {
    gsize at = (gsize) y * (gsize) rows.r.w;

    if (luma)
      memcpy (codes, luma + y * stride, (gsize) rows.r.w);
    else
      memset (codes, 0, (gsize) rows.r.w);
    qf_image_diff_row (&o, rows.r.w, codes, then ? then + at : NULL,
        mask ? mask + at : NULL, scratch);
    if (is_deep (frame)) {
      qf_rows_deepen (codes, rows.r.w,
          2 + (gint) GST_VIDEO_FORMAT_INFO_SHIFT (frame->info.finfo, 0),
          (guint16 *) memory);
      scatter_row (&rows, y, memory);
    } else if (rows.in_place) {
      memcpy (rows.data + y * rows.stride, codes, (gsize) rows.r.w);
    } else {
      scatter_row (&rows, y, codes);
    }
  }
  write_chroma (&rows);
}
