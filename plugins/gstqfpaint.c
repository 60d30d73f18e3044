/* GStreamer qfuse: filled rectangles and text masks in raw video of any format.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfpaint.h"

#include <math.h>

/* Pixels of the frame; x1, y1 exclusive. */
typedef struct
{
  gint x0, y0, x1, y1;
} Rect;

/* What is painted: @outer without @hole, or where the mask covers. */
typedef struct
{
  Rect outer, hole;
  const guint8 *mask; /* at outer's x0, y0; NULL: all */
  gint stride;
} Area;

void
gst_qf_canvas_init (
    GstQfCanvas *c, GstVideoFrame *frame, const GstVideoCropMeta *crop)
{
  const GstVideoInfo *info = &frame->info;
  GstVideoColorRange range = info->colorimetry.range;

  c->frame = frame;
  c->x = c->y = 0;
  c->width = info->width;
  c->height = info->height;
  if (crop) {
    c->x = MIN ((gint) crop->x, info->width);
    c->y = MIN ((gint) crop->y, info->height);
    c->width = MIN ((gint) crop->width, info->width - c->x);
    c->height = MIN ((gint) crop->height, info->height - c->y);
  }

  if (range == GST_VIDEO_COLOR_RANGE_UNKNOWN)
    range = GST_VIDEO_INFO_IS_RGB (info) ? GST_VIDEO_COLOR_RANGE_0_255
                                         : GST_VIDEO_COLOR_RANGE_16_235;
  gst_video_color_range_offsets (range, info->finfo, c->offset, c->scale);
  if (!gst_video_color_matrix_get_Kr_Kb (
          info->colorimetry.matrix, &c->kr, &c->kb)) {
    c->kr = 0.299; /* BT.601 */
    c->kb = 0.114;
  }
}

/* The colour's value in component @k of the frame's format. */
static gint
component (const GstQfCanvas *c, GstQfColour colour, guint k)
{
  const GstVideoFormatInfo *f = c->frame->info.finfo;
  gint max = (1 << GST_VIDEO_FORMAT_INFO_DEPTH (f, k)) - 1;
  gdouble r = colour.r / 255.0, g = colour.g / 255.0, b = colour.b / 255.0;
  gdouble y = c->kr * r + (1 - c->kr - c->kb) * g + c->kb * b, v;

  if (k == 3)
    return max; /* opaque */
  if (GST_VIDEO_FORMAT_INFO_IS_RGB (f))
    v = k == 0 ? r : k == 1 ? g : b;
  else if (k == 0)
    v = y;
  else
    v = k == 1 ? (b - y) / (2 * (1 - c->kb)) : (r - y) / (2 * (1 - c->kr));
  return CLAMP ((gint) rint (c->offset[k] + c->scale[k] * v), 0, max);
}

static Rect
meet (const Rect *a, const Rect *b)
{
  return (Rect){ MAX (a->x0, b->x0), MAX (a->y0, b->y0), MIN (a->x1, b->x1),
    MIN (a->y1, b->y1) };
}

static guint
pixels (const Rect *r)
{
  return r->x1 > r->x0 && r->y1 > r->y0
      ? (guint) (r->x1 - r->x0) * (guint) (r->y1 - r->y0)
      : 0;
}

/* How much of a sample is painted, 0 … 255: the mean over its pixels @cell. */
static guint
coverage (const Area *a, const Rect *cell)
{
  Rect on = meet (&a->outer, cell), off = meet (&a->hole, cell);
  guint n = pixels (cell), sum = 0;

  if (!a->mask)
    sum = 255 * (pixels (&on) - pixels (&off));
  else
    for (gint y = on.y0; y < on.y1; y++)
      for (gint x = on.x0; x < on.x1; x++)
        sum +=
            a->mask[(y - a->outer.y0) * (gssize) a->stride + x - a->outer.x0];
  return (sum + n / 2) / n;
}

static inline gint
mix (gint from, gint to, guint cover)
{
  gint d = (to - from) * (gint) cover;

  return from + (d + (d >= 0 ? 127 : -127)) / 255;
}

static void
paint_component (const GstQfCanvas *c, const Area *a, guint k, gint value)
{
  const GstVideoInfo *info = &c->frame->info;
  const GstVideoFormatInfo *f = info->finfo;
  const Rect *o = &a->outer;
  gint sx = GST_VIDEO_FORMAT_INFO_W_SUB (f, k);
  gint sy = GST_VIDEO_FORMAT_INFO_H_SUB (f, k);
  gint step = GST_VIDEO_FORMAT_INFO_PSTRIDE (f, k);
  gint shift = GST_VIDEO_FORMAT_INFO_SHIFT (f, k);
  gboolean wide = GST_VIDEO_FORMAT_INFO_DEPTH (f, k) > 8;
  /* GStreamer 1.22 gives P010's V the offset 1; samples of 2 bytes lie at 2 */
  gint offset = wide ? GST_ROUND_UP_2 (GST_VIDEO_FORMAT_INFO_POFFSET (f, k))
                     : GST_VIDEO_FORMAT_INFO_POFFSET (f, k);
  guint8 *data = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (
                     c->frame, GST_VIDEO_FORMAT_INFO_PLANE (f, k)) +
      offset;
  gssize stride = GST_VIDEO_FRAME_COMP_STRIDE (c->frame, k);

  for (gint y = o->y0 >> sy; y <= (o->y1 - 1) >> sy; y++) {
    Rect cell = { 0, y << sy, 0, MIN ((y + 1) << sy, info->height) };
    gboolean in_hole = cell.y0 >= a->hole.y0 && cell.y1 <= a->hole.y1;

    for (gint x = o->x0 >> sx; x <= (o->x1 - 1) >> sx; x++) {
      guint8 *p = data + y * stride + x * (gssize) step;
      guint cover;

      cell.x0 = x << sx;
      cell.x1 = MIN ((x + 1) << sx, info->width);
      if (in_hole && cell.x0 >= a->hole.x0 && cell.x1 <= a->hole.x1) {
        x = MAX (x, (a->hole.x1 >> sx) - 1); /* nothing to do up to there */
        continue;
      }
      cover = coverage (a, &cell);
      if (wide)
        GST_WRITE_UINT16_LE (
            p, mix (GST_READ_UINT16_LE (p) >> shift, value, cover) << shift);
      else
        *p = (guint8) mix (*p, value, cover);
    }
  }
}

/* Cuts to the visible picture and moves into the frame. */
static Rect
cut (const GstQfCanvas *c, gint x, gint y, gint w, gint h)
{
  gint x0 = CLAMP (x, 0, c->width), y0 = CLAMP (y, 0, c->height);
  gint x1 = (gint) CLAMP ((gint64) x + w, x0, c->width);
  gint y1 = (gint) CLAMP ((gint64) y + h, y0, c->height);

  return (Rect){ x0 + c->x, y0 + c->y, x1 + c->x, y1 + c->y };
}

static void
paint (GstQfCanvas *c, GstQfColour colour, const Area *a)
{
  for (guint k = 0; k < GST_VIDEO_FRAME_N_COMPONENTS (c->frame); k++)
    if (pixels (&a->outer) > 0)
      paint_component (c, a, k, component (c, colour, k));
}

void
gst_qf_paint_rect (
    GstQfCanvas *c, GstQfColour colour, gint x, gint y, gint w, gint h)
{
  Area a = { .outer = cut (c, x, y, w, h) };

  paint (c, colour, &a);
}

void
gst_qf_paint_outline (GstQfCanvas *c, GstQfColour colour, gint x, gint y,
    gint w, gint h, gint line)
{
  Area a = { .outer = cut (c, x, y, w, h) };

  if (w > 2 * line && h > 2 * line)
    a.hole = cut (c, x + line, y + line, w - 2 * line, h - 2 * line);
  paint (c, colour, &a);
}

void
gst_qf_paint_mask (GstQfCanvas *c, GstQfColour colour, const guint8 *mask,
    gint stride, gint x, gint y, gint w, gint h)
{
  Area a = { .outer = cut (c, x, y, w, h), .stride = stride };

  a.mask =
      mask + (a.outer.y0 - c->y - y) * (gssize) stride + a.outer.x0 - c->x - x;
  paint (c, colour, &a);
}
