/* GStreamer qfuse: what moves, painted over the dimmed picture.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstframediff-image.h"

#include <string.h>

/* The paint: R 255, G 96, B 0 (video-range BT.601 Y 130, Cb 62, Cr 205); white
 * for grey formats. Luma is mixed with it half and half, so that what moves can
 * still be recognized. */
static const guint8 paint_rgb[3] = { 255, 96, 0 };
static const guint8 paint_yuv[3] = { 130, 62, 205 };

/* One component of one row: v becomes (v + to) / 2, 8-bit codes at @step bytes
 * or, with @deep, 10 bits shifted by @shift. */
typedef struct
{
  guint still, moving; /* codes to mix with */
  gboolean cover;      /* moving: the paint alone */
  gint step, shift;
} Mix;

static void
mix_row (guint8 *p, const guint8 *mask, gint width, const Mix *m)
{
  if (m->step == 1) {
    qf_rows_mix (p, width, mask, (gint) m->still, (gint) m->moving, m->cover);
    return;
  }
  for (gint x = 0; x < width; x++, p += m->step) {
    guint to = mask[x] ? m->moving : m->still;

    *p = (guint8) (mask[x] && m->cover ? to : (*p + to + 1) >> 1);
  }
}

static void
mix_deep_row (guint8 *p, const guint8 *mask, gint width, const Mix *m)
{
  for (gint x = 0; x < width; x++, p += m->step) {
    guint to = mask[x] ? m->moving : m->still;
    guint v = (guint) (p[0] | p[1] << 8) >> m->shift;

    v = (mask[x] && m->cover ? to : (v + to + 1) >> 1) << m->shift;
    p[0] = (guint8) v;
    p[1] = (guint8) (v >> 8);
  }
}

/* to[i]: any of the pixels that a sample with number (@first + i) stands for
 * moves. @y, @y_end: rows of the picture. @to: memory for three rows. */
static void
shrink_mask (const guint8 *mask, const GstVideoRectangle *r, gint w_sub, gint y,
    gint y_end, gint first, gint n, guint8 *to)
{
  memset (to, 0, (gsize) n);
  for (; mask && y < y_end; y++) {
    const guint8 *row = mask + (gsize) y * r->w;

    if (w_sub == 0 || (w_sub == 1 && r->x % 2 == 0 && (guintptr) row % 2 == 0))
      qf_rows_or (to, row, r->w, w_sub == 1, to + n);
    else
      for (gint x = 0; x < r->w; x++)
        to[((r->x + x) >> w_sub) - first] |= row[x];
  }
}

static void
paint_component (GstVideoFrame *frame, guint c, const GstVideoRectangle *r,
    const guint8 *mask, guint8 *row)
{
  const GstVideoFormatInfo *f = frame->info.finfo;
  gboolean full = frame->info.colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
  gint w_sub = (gint) GST_VIDEO_FORMAT_INFO_W_SUB (f, c);
  gint h_sub = (gint) GST_VIDEO_FORMAT_INFO_H_SUB (f, c);
  gint x0 = r->x >> w_sub, n = ((r->x + r->w - 1) >> w_sub) - x0 + 1;
  gint y0 = r->y >> h_sub, y1 = (r->y + r->h - 1) >> h_sub;
  gint deep = (gint) GST_VIDEO_FORMAT_INFO_DEPTH (f, c) - 8;
  gint offset = GST_VIDEO_FORMAT_INFO_POFFSET (f, c);
  gint stride = GST_VIDEO_FRAME_COMP_STRIDE (frame, c);
  guint plane = (guint) GST_VIDEO_FRAME_COMP_PLANE (frame, c);
  guint black = c > 0 ? 128 : full ? 0 : 16;
  guint paint = GST_VIDEO_INFO_IS_YUV (&frame->info) ? paint_yuv[c] : 255;
  Mix m = { .still = black << deep,
    .moving = paint << deep,
    .cover = c > 0,
    .step = GST_VIDEO_FORMAT_INFO_PSTRIDE (f, c),
    .shift = (gint) GST_VIDEO_FORMAT_INFO_SHIFT (f, c) };

  if (deep && offset == 1) /* GStreamer 1.22 of P010's V: 1 for 2 bytes */
    offset = 2;
  for (gint y = y0; y <= y1; y++) {
    guint8 *p = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (frame, plane) +
        (gssize) y * stride + (gssize) x0 * m.step + offset;

    shrink_mask (mask, r, w_sub, MAX ((y << h_sub) - r->y, 0),
        MIN (((y + 1) << h_sub) - r->y, r->h), x0, n, row);
    if (deep)
      mix_deep_row (p, row, n, &m);
    else
      mix_row (p, row, n, &m);
  }
}

/* Still: (c + grey) / 4; moving: grey and paint half and half. */
static void
paint_rgb_row (
    guint8 *p, const guint8 *mask, gint width, gint step, const gint at[3])
{
  for (gint x = 0; x < width; x++, p += step) {
    guint grey = (77u * p[at[0]] + 151u * p[at[1]] + 28u * p[at[2]]) >> 8;

    for (guint i = 0; i < 3; i++)
      p[at[i]] = (guint8) (mask[x] ? (grey + paint_rgb[i] + 1) >> 1
                                   : (p[at[i]] + grey) >> 2);
  }
}

static void
paint_rgb_frame (GstVideoFrame *frame, const GstVideoRectangle *r,
    const guint8 *mask, guint8 *row)
{
  const GstVideoFormatInfo *f = frame->info.finfo;
  gint step = GST_VIDEO_FORMAT_INFO_PSTRIDE (f, 0);
  const gint at[3] = { GST_VIDEO_FORMAT_INFO_POFFSET (f, 0),
    GST_VIDEO_FORMAT_INFO_POFFSET (f, 1),
    GST_VIDEO_FORMAT_INFO_POFFSET (f, 2) };

  for (gint y = 0; y < r->h; y++) {
    guint8 *p = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (frame, 0) +
        (gssize) (r->y + y) * GST_VIDEO_FRAME_PLANE_STRIDE (frame, 0) +
        (gssize) r->x * step;

    shrink_mask (mask, r, 0, y, y + 1, r->x, r->w, row);
    paint_rgb_row (p, row, r->w, step, at);
  }
}

void
gst_frame_diff_image_highlight (
    GstFrameDiffImage *d, GstVideoFrame *frame, const guint8 *mask)
{
  g_autofree guint8 *row = NULL;
  GstVideoRectangle r;
  QfImage image;

  gst_qf_frame_image (frame, &image, &r);
  row = g_malloc (3 * ((gsize) r.w + 1));
  if (GST_VIDEO_INFO_IS_RGB (&frame->info)) {
    paint_rgb_frame (frame, &r, mask, row);
    return;
  }
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS (frame); c++)
    paint_component (frame, c, &r, mask, row);
}
