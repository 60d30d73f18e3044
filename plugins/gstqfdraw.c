/* GStreamer qfuse: boxes, captions and actions on a frame.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfdraw.h"

#include <math.h>

#define MAX_PARTS 4

typedef struct
{
  GstQfCanvas *canvas;
  const GstQfDrawSettings *settings;
  GstQfTexts *texts;
  gint line; /* pixels */
} Drawing;

/* A line of text in parts, so that a name, a number and a score are rendered
 * once each, not once in each combination. */
typedef struct
{
  const GstQfText *part[MAX_PARTS];
  gint n, width, above, below; /* of the baseline */
} Caption;

/* Neighbours differ in hue and lightness; none is close to skin, road or sky.
 */
static const GstQfColour palette[] = {
  { 0x35, 0xf0, 0x5a },
  { 0xff, 0x3b, 0x30 },
  { 0x1e, 0xc8, 0xff },
  { 0xff, 0xd6, 0x0a },
  { 0xe0, 0x40, 0xfb },
  { 0xff, 0x8c, 0x1a },
  { 0x2a, 0x5c, 0xff },
  { 0xb6, 0xff, 0x2e },
  { 0xff, 0x4f, 0xa3 },
  { 0x14, 0xb8, 0xa6 },
  { 0x8b, 0x3d, 0xff },
  { 0xff, 0xee, 0x9c },
  { 0xb9, 0x1c, 0x3c },
  { 0x9b, 0xe8, 0xff },
  { 0x3f, 0x8f, 0x1f },
  { 0xff, 0xb3, 0xd9 },
};
static const GstQfColour grey = { 0x9a, 0x9a, 0x9a };
static const GstQfColour black = { 0, 0, 0 }, white = { 255, 255, 255 };

static GstQfColour
pick (guint n)
{
  return palette[n % G_N_ELEMENTS (palette)];
}

static GstQfColour
colour_of (const Drawing *d, const QfuseDetection *o)
{
  switch (d->settings->colour_by) {
    case GST_QF_COLOUR_BY_ID:
      if (o->id > 0)
        return pick ((guint) o->id - 1);
      /* fall through */
    case GST_QF_COLOUR_BY_LABEL:
      if (o->label_id >= 0)
        return pick ((guint) o->label_id);
      return pick (o->label ? g_str_hash (g_quark_to_string (o->label)) : 0);
    default:
      return palette[0];
  }
}

/* Black or white, whichever differs more in luma. */
static GstQfColour
contrast (GstQfColour c)
{
  return 299 * c.r + 587 * c.g + 114 * c.b > 128000 ? black : white;
}

static void
caption_add (const Drawing *d, Caption *c, const gchar *text)
{
  const GstQfText *t = gst_qf_texts_get (d->texts, text);

  g_assert (c->n < MAX_PARTS);
  c->part[c->n++] = t;
  c->width += t->width;
  c->above = MAX (c->above, t->baseline);
  c->below = MAX (c->below, t->height - t->baseline);
}

static void
caption_add_name (const Drawing *d, Caption *c, GQuark label, gint label_id)
{
  gchar number[32];

  if (label) {
    g_autofree gchar *valid = g_utf8_make_valid (g_quark_to_string (label), -1);

    caption_add (d, c, valid);
  } else if (label_id >= 0) {
    g_snprintf (number, sizeof (number), "class %d", label_id);
    caption_add (d, c, number);
  }
}

static void
caption_add_id (const Drawing *d, Caption *c, gint id)
{
  gchar number[32];

  if (id <= 0)
    return;
  g_snprintf (number, sizeof (number), "#%d", id);
  caption_add (d, c, number);
}

static void
caption_add_score (const Drawing *d, Caption *c, gfloat score)
{
  gchar number[G_ASCII_DTOSTR_BUF_SIZE];

  caption_add (d, c, g_ascii_formatd (number, sizeof (number), "%.2f", score));
}

static gint
caption_height (const Caption *c)
{
  return c->above + c->below;
}

/* On a ground of @ground with its left top corner at x, y, moved into the
 * picture where it would stand out. */
static void
draw_caption (Drawing *d, const Caption *c, GstQfColour ground, gint x, gint y)
{
  gint height = caption_height (c);

  x = MAX (0, MIN (x, d->canvas->width - c->width));
  y = MAX (0, MIN (y, d->canvas->height - height));
  gst_qf_paint_rect (d->canvas, ground, x, y, c->width, height);
  for (gint i = 0; i < c->n; i++) {
    const GstQfText *t = c->part[i];

    gst_qf_paint_mask (d->canvas, contrast (ground), &ground, t->data,
        t->stride, x, y + c->above - t->baseline, t->width, t->height);
    x += t->width;
  }
}

static void
draw_dashes (Drawing *d, GstQfColour colour, gint x, gint y, gint w, gint h)
{
  gint dash = 3 * d->line;

  for (gint at = 0; at < MAX (w, h); at += 2 * dash)
    if (w > h)
      gst_qf_paint_rect (d->canvas, colour, x + at, y, MIN (dash, w - at), h);
    else
      gst_qf_paint_rect (d->canvas, colour, x, y + at, w, MIN (dash, h - at));
}

static void
draw_dashed_box (Drawing *d, GstQfColour colour, gint x, gint y, gint w, gint h)
{
  gint line = MIN (d->line, MIN ((w + 1) / 2, (h + 1) / 2));

  draw_dashes (d, colour, x, y, w, line);
  draw_dashes (d, colour, x, y + h - line, w, line);
  draw_dashes (d, colour, x, y + line, line, h - 2 * line);
  draw_dashes (d, colour, x + w - line, y + line, line, h - 2 * line);
}

/* To the nearest pixel edge, cut to just outside of the picture so that sums
 * stay small; not-a-number becomes @size. */
static gint
to_pixel (gfloat v, gint size)
{
  return (gint) rintf (fmaxf (-GST_QF_MAX_LINE_WIDTH,
      fminf (v, (gfloat) size + GST_QF_MAX_LINE_WIDTH)));
}

static gboolean
to_pixels (const Drawing *d, const QfuseDetection *o, gint *x, gint *y, gint *w,
    gint *h)
{
  *x = to_pixel (o->x, d->canvas->width);
  *y = to_pixel (o->y, d->canvas->height);
  *w = to_pixel (o->x + o->w, d->canvas->width) - *x;
  *h = to_pixel (o->y + o->h, d->canvas->height) - *y;
  return *w > 0 && *h > 0;
}

/* Points that the network is not sure of are left out. */
#define LEAST_POINT_SCORE 0.3f

static void
draw_points (Drawing *d, GstQfColour colour, const QfuseDetection *o)
{
  /* five on a small face must not hide it */
  gint reach = (gint) CLAMP (MIN (o->w, o->h) / 16, 0, (gfloat) d->line);
  gint size = 2 * reach + 1;

  for (guint i = 0; i < o->n_points; i++) {
    const QfuseKeyPoint *p = &o->points[i];

    if (p->score >= LEAST_POINT_SCORE && p->x >= 0 && p->y >= 0 &&
        p->x < (gfloat) d->canvas->width && p->y < (gfloat) d->canvas->height)
      gst_qf_paint_rect (d->canvas, colour, (gint) p->x - reach,
          (gint) p->y - reach, size, size);
  }
}

static void
draw_detection (Drawing *d, const QfuseDetection *o)
{
  GstQfColour colour = colour_of (d, o);
  Caption c = { .n = 0 };
  gint x, y, w, h;

  if (!to_pixels (d, o, &x, &y, &w, &h))
    return;
  if (d->settings->boxes)
    gst_qf_paint_outline (d->canvas, colour, x, y, w, h, d->line);
  if (d->settings->points)
    draw_points (d, colour, o);
  if (d->settings->labels) {
    caption_add_name (d, &c, o->label, o->label_id);
    caption_add_id (d, &c, o->id);
  }
  if (d->settings->scores && o->score < 1) /* 1: a region, no one's guess */
    caption_add_score (d, &c, o->score);
  if (c.n > 0) { /* above the box, else inside of it */
    gint height = caption_height (&c);

    draw_caption (d, &c, colour, x, y >= height ? y - height : y);
  }
}

static void
draw_truth (Drawing *d, const QfuseDetection *o)
{
  GstQfColour colour = o->score > 0 ? colour_of (d, o) : grey;
  Caption c = { .n = 0 };
  gint x, y, w, h;

  if (!to_pixels (d, o, &x, &y, &w, &h))
    return;
  draw_dashed_box (d, colour, x, y, w, h);
  if (d->settings->labels)
    caption_add_name (d, &c, o->label, o->label_id);
  if (c.n > 0)
    draw_caption (d, &c, colour, x, y + h);
}

/* Its height with the gap below. */
static gint
draw_action (Drawing *d, const gchar *prefix, GQuark action, gint id,
    const gfloat *score, gint y)
{
  Caption c = { .n = 0 };

  if (prefix)
    caption_add (d, &c, prefix);
  caption_add_name (d, &c, action, id);
  if (score && d->settings->scores)
    caption_add_score (d, &c, *score);
  draw_caption (d, &c, pick ((guint) MAX (id, 0)), d->line, y);
  return caption_height (&c) + d->line;
}

void
gst_qf_draw (GstQfCanvas *canvas, const GstQfDrawSettings *settings,
    GstQfTexts *texts, const GstQfFound *found, const QfuseTruthMeta *truth)
{
  Drawing d = { canvas, settings, texts, settings->line_width };
  gint y;

  if (d.line == 0)
    d.line = MAX (1, (canvas->height + 144) / 288);
  for (guint i = 0; truth && i < truth->boxes->len; i++)
    draw_truth (&d, &g_array_index (truth->boxes, QfuseDetection, i));
  /* the surest last, on top */
  for (guint i = found->detections->len; i-- > 0;)
    draw_detection (&d, &g_array_index (found->detections, QfuseDetection, i));
  y = d.line;
  if (found->action && settings->actions)
    y += draw_action (
        &d, NULL, found->action, found->action_id, &found->action_score, y);
  if (truth && truth->action)
    draw_action (&d, "truth", truth->action, truth->action_id, NULL, y);
}
