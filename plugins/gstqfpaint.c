/* GStreamer qfuse: filled rectangles and text masks in raw video of any format.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfpaint.h"

#include <math.h>
#include <string.h>

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
component_value (const GstQfCanvas *c, GstQfColour colour, guint k)
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
  Rect on = meet (&a->outer, cell), off;
  guint n = pixels (cell), sum = 0;

  if (!a->mask) {
    off = meet (&a->hole, cell);
    sum = 255 * (pixels (&on) - pixels (&off));
  } else
    for (gint y = on.y0; y < on.y1; y++) {
      const guint8 *row = a->mask + (y - a->outer.y0) * (gssize) a->stride;

      for (gint x = on.x0; x < on.x1; x++)
        sum += row[x - a->outer.x0];
    }
  return sum == 0 ? 0 : (sum + n / 2) / n;
}

/* The same for a whole cell of 2x1 or 2x2 pixels inside of a mask. */
static inline guint
mask_coverage (const Area *a, gint x, gint y, gboolean two_rows)
{
  const guint8 *p =
      a->mask + (y - a->outer.y0) * (gssize) a->stride + x - a->outer.x0;

  return two_rows ? (p[0] + p[1] + p[a->stride] + p[a->stride + 1] + 2u) >> 2
                  : (p[0] + p[1] + 1u) >> 1;
}

static inline gint
mix (gint from, gint to, guint cover)
{
  gint d = (to - from) * (gint) cover;

  return from + (d + (d >= 0 ? 127 : -127)) / 255;
}

/* One component of the frame, and the value that is painted. */
typedef struct
{
  guint8 *data;
  gssize stride;
  gint step, shift;   /* bytes from sample to sample; bits below a sample */
  gint sx, sy;        /* subsampling, powers of 2 */
  gboolean wide;      /* samples of 2 bytes */
  gint width, height; /* of the frame, pixels */
  gint value;
  gboolean on_ground; /* of a mask, which is painted there */
  guint16 mixed[256]; /* value over ground, by coverage */
} Component;

static void
component_init (Component *m, const GstQfCanvas *c, guint k, gint value)
{
  const GstVideoFormatInfo *f = c->frame->info.finfo;
  gint offset = GST_VIDEO_FORMAT_INFO_POFFSET (f, k);

  m->wide = GST_VIDEO_FORMAT_INFO_DEPTH (f, k) > 8;
  if (m->wide) /* GStreamer 1.22 gives P010's V the offset 1 */
    offset = GST_ROUND_UP_2 (offset);
  m->data = (guint8 *) GST_VIDEO_FRAME_PLANE_DATA (
                c->frame, GST_VIDEO_FORMAT_INFO_PLANE (f, k)) +
      offset;
  m->stride = GST_VIDEO_FRAME_COMP_STRIDE (c->frame, k);
  m->step = GST_VIDEO_FORMAT_INFO_PSTRIDE (f, k);
  m->shift = GST_VIDEO_FORMAT_INFO_SHIFT (f, k);
  m->sx = GST_VIDEO_FORMAT_INFO_W_SUB (f, k);
  m->sy = GST_VIDEO_FORMAT_INFO_H_SUB (f, k);
  m->width = c->frame->info.width;
  m->height = c->frame->info.height;
  m->value = value;
  m->on_ground = FALSE;
}

static void
set_ground (Component *m, gint ground)
{
  m->on_ground = TRUE;
  for (guint i = 0; i < 256; i++)
    m->mixed[i] = (guint16) mix (ground, m->value, i);
}

static inline void
put (const Component *m, guint8 *p, guint cover)
{
  if (m->wide) {
    gint was = GST_READ_UINT16_LE (p) >> m->shift;

    GST_WRITE_UINT16_LE (p, mix (was, m->value, cover) << m->shift);
  } else
    *p = cover == 255 ? (guint8) m->value : (guint8) mix (*p, m->value, cover);
}

/* The same where nothing but the ground of the mask is. */
static inline void
put_on_ground (const Component *m, guint8 *p, guint cover)
{
  if (m->wide)
    GST_WRITE_UINT16_LE (p, m->mixed[cover] << m->shift);
  else
    *p = (guint8) m->mixed[cover];
}

/* @n samples of a row that is not subsampled; @mask NULL: covered. */
static void
paint_span (const Component *m, gint x, gint y, gint n, const guint8 *mask)
{
  guint8 *p = m->data + y * m->stride + x * (gssize) m->step;

  if (!mask && !m->wide && m->step == 1)
    memset (p, m->value, (gsize) MAX (n, 0));
  else if (mask && m->on_ground)
    for (gint i = 0; i < n; i++, p += m->step)
      put_on_ground (m, p, mask[i]);
  else
    for (gint i = 0; i < n; i++, p += m->step)
      if (!mask || mask[i])
        put (m, p, mask ? mask[i] : 255);
}

static void
paint_rows (const Component *m, const Area *a)
{
  const Rect *o = &a->outer, *h = &a->hole;

  for (gint y = o->y0; y < o->y1; y++) {
    const guint8 *mask =
        a->mask ? a->mask + (y - o->y0) * (gssize) a->stride : NULL;

    if (y >= h->y0 && y < h->y1) {
      paint_span (m, o->x0, y, h->x0 - o->x0, NULL);
      paint_span (m, h->x1, y, o->x1 - h->x1, NULL);
    } else
      paint_span (m, o->x0, y, o->x1 - o->x0, mask);
  }
}

/* Samples @x0 to @x1 of row @y, at the rim of an area or beside its hole. */
static void
paint_rim (const Component *m, const Area *a, gint x0, gint x1, gint y)
{
  Rect cell = { 0, y << m->sy, 0, MIN ((y + 1) << m->sy, m->height) };

  for (gint x = x0; x < x1; x++) {
    guint cover;

    cell.x0 = x << m->sx;
    cell.x1 = MIN ((x + 1) << m->sx, m->width);
    cover = coverage (a, &cell);
    if (cover > 0)
      put (m, m->data + y * m->stride + x * (gssize) m->step, cover);
  }
}

/* Samples whose pixels lie all inside of the area and outside of its hole. */
static void
paint_inside (const Component *m, const Area *a, gint x0, gint x1, gint y)
{
  guint8 *p = m->data + y * m->stride + x0 * (gssize) m->step;

  if (x1 <= x0)
    return;
  if (!a->mask) {
    if (!m->wide && m->step == 1)
      memset (p, m->value, (gsize) (x1 - x0));
    else
      for (gint x = x0; x < x1; x++, p += m->step)
        put (m, p, 255);
    return;
  }
  for (gint x = x0; x < x1; x++, p += m->step) {
    guint cover = mask_coverage (a, x << m->sx, y << m->sy, m->sy == 1);

    if (m->on_ground)
      put_on_ground (m, p, cover);
    else if (cover > 0)
      put (m, p, cover);
  }
}

/* A row of samples, none of which a hole cuts. */
static void
paint_whole_row (const Component *m, const Area *a, gint y)
{
  const Rect *o = &a->outer;
  gint first = o->x0 >> m->sx, end = ((o->x1 - 1) >> m->sx) + 1;
  gint inside0 = (o->x0 + (1 << m->sx) - 1) >> m->sx, inside1 = o->x1 >> m->sx;
  gboolean in_rows = y << m->sy >= o->y0 && (y + 1) << m->sy <= o->y1 &&
      m->sx == 1 && m->sy <= 1;

  if (!in_rows || inside1 <= inside0) {
    paint_rim (m, a, first, end, y);
    return;
  }
  paint_rim (m, a, first, inside0, y);
  paint_inside (m, a, inside0, inside1, y);
  paint_rim (m, a, inside1, end, y);
}

static void
paint_cells (const Component *m, const Area *a)
{
  const Rect *o = &a->outer, *h = &a->hole;
  gint first = o->x0 >> m->sx, end = ((o->x1 - 1) >> m->sx) + 1;

  for (gint y = o->y0 >> m->sy; y <= (o->y1 - 1) >> m->sy; y++) {
    gint y0 = y << m->sy, y1 = (y + 1) << m->sy;

    if (h->x1 <= h->x0 || y1 <= h->y0 || y0 >= h->y1) {
      paint_whole_row (m, a, y);
    } else if (y0 >= h->y0 && y1 <= h->y1) {
      gint hole0 = (h->x0 + (1 << m->sx) - 1) >> m->sx, hole1 = h->x1 >> m->sx;

      paint_rim (m, a, first, MIN (hole0, end), y);
      paint_rim (m, a, MAX (hole1, MIN (hole0, end)), end, y);
    } else {
      paint_rim (m, a, first, end, y);
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

/* @ground: that a mask lies on, NULL: none, or anything. */
static void
paint (GstQfCanvas *c, GstQfColour colour, const GstQfColour *ground,
    const Area *a)
{
  if (pixels (&a->outer) == 0)
    return;
  for (guint k = 0; k < GST_VIDEO_FRAME_N_COMPONENTS (c->frame); k++) {
    Component m;

    component_init (&m, c, k, component_value (c, colour, k));
    if (ground)
      set_ground (&m, component_value (c, *ground, k));
    if (m.sx == 0 && m.sy == 0)
      paint_rows (&m, a);
    else
      paint_cells (&m, a);
  }
}

void
gst_qf_paint_rect (
    GstQfCanvas *c, GstQfColour colour, gint x, gint y, gint w, gint h)
{
  Area a = { .outer = cut (c, x, y, w, h) };

  paint (c, colour, NULL, &a);
}

void
gst_qf_paint_outline (GstQfCanvas *c, GstQfColour colour, gint x, gint y,
    gint w, gint h, gint line)
{
  Area a = { .outer = cut (c, x, y, w, h) };

  if (w > 2 * line && h > 2 * line)
    a.hole = cut (c, x + line, y + line, w - 2 * line, h - 2 * line);
  paint (c, colour, NULL, &a);
}

void
gst_qf_paint_mask (GstQfCanvas *c, GstQfColour colour,
    const GstQfColour *ground, const guint8 *mask, gint stride, gint x, gint y,
    gint w, gint h)
{
  Area a = { .outer = cut (c, x, y, w, h), .stride = stride };

  a.mask =
      mask + (a.outer.y0 - c->y - y) * (gssize) stride + a.outer.x0 - c->x - x;
  paint (c, colour, ground, &a);
}
