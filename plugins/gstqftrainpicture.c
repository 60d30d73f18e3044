/* GStreamer qfuse: a picture of samples with what is true and what is found.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqftrainpicture.h"

#include <cairo.h>
#include <string.h>

#include "train/trainer-private.h"

#define MAX_TILES 12
#define COLUMNS 4
#define LEAST_WIDTH 320 /* of a tile, pixels: smaller samples are enlarged */
#define CAPTION 18      /* height, pixels */
#define GAP 4

typedef struct
{
  const QfTrainer *trainer;
  gchar **labels;
  cairo_t *cairo;
  gint scale; /* of a sample's pixel */
} Picture;

/* Samples with boxes or, of actions, all. */
static GPtrArray *
choose (const QfTrainer *t)
{
  const GPtrArray *from = t->validation->len > 0 ? t->validation : t->train;
  gboolean actions = g_str_equal (t->o.head, "classify");
  g_autoptr (GPtrArray) shown = g_ptr_array_new ();
  GPtrArray *chosen = g_ptr_array_new ();
  guint n;

  for (guint i = 0; i < from->len; i++)
    if (actions || ((QfSample *) g_ptr_array_index (from, i))->n_boxes > 0)
      g_ptr_array_add (shown, g_ptr_array_index (from, i));
  n = MIN (shown->len, MAX_TILES);
  for (guint i = 0; i < n; i++)
    g_ptr_array_add (chosen, g_ptr_array_index (shown, i * shown->len / n));
  return chosen;
}

/* Which plane is shown as red, green and blue: those themselves, or luma, or
 * the first plane. */
static void
choose_planes (const QfPlanes *planes, gint shown[3])
{
  gint first = 0;

  for (gint i = planes->n; i-- > 0;)
    if (planes->plane[i].kind == 'Y')
      first = i;
  for (gint c = 0; c < 3; c++) {
    shown[c] = first;
    for (gint i = 0; i < planes->n; i++)
      if (planes->plane[first].kind != 'Y' && planes->plane[i].kind == "RGB"[c])
        shown[c] = i;
  }
}

static void
draw_codes (const Picture *p, const guint8 *codes)
{
  const QfTrainOptions *o = &p->trainer->o;
  cairo_surface_t *s =
      cairo_image_surface_create (CAIRO_FORMAT_RGB24, o->width, o->height);
  guint8 *data = cairo_image_surface_get_data (s);
  gint stride = cairo_image_surface_get_stride (s), shown[3];

  choose_planes (&o->planes, shown);
  cairo_surface_flush (s);
  for (gint y = 0; y < o->height; y++) {
    guint32 *row = (guint32 *) (gpointer) (data + (gsize) y * (gsize) stride);

    for (gint x = 0; x < o->width; x++, codes += o->planes.n)
      row[x] = (guint32) codes[shown[0]] << 16 |
          (guint32) codes[shown[1]] << 8 | codes[shown[2]];
  }
  cairo_surface_mark_dirty (s);
  cairo_save (p->cairo);
  cairo_scale (p->cairo, p->scale, p->scale);
  cairo_set_source_surface (p->cairo, s, 0, 0);
  cairo_pattern_set_filter (cairo_get_source (p->cairo), CAIRO_FILTER_NEAREST);
  cairo_paint (p->cairo);
  cairo_restore (p->cairo);
  cairo_surface_destroy (s);
}

static void
draw_text (cairo_t *c, gdouble x, gdouble y, const gchar *text)
{
  g_autofree gchar *valid = g_utf8_make_valid (text, -1);

  cairo_move_to (c, x, y);
  cairo_show_text (c, valid);
  cairo_new_path (c);
}

static void
draw_box (const Picture *p, const QfBox *b, gint line)
{
  cairo_set_line_width (p->cairo, line);
  cairo_rectangle (p->cairo, b->x * (gfloat) p->scale, b->y * (gfloat) p->scale,
      b->w * (gfloat) p->scale, b->h * (gfloat) p->scale);
  cairo_stroke (p->cairo);
}

static const gchar *
label_of (const Picture *p, gint label)
{
  return label >= 0 && label < (gint) g_strv_length (p->labels)
      ? p->labels[label]
      : "none";
}

/* Truth in green, what is to be ignored in grey; found in orange. */
static void
draw_boxes (const Picture *p, const QfSeen *seen)
{
  gboolean named = p->labels[0] && p->labels[1];
  cairo_t *c = p->cairo;
  gchar text[64];

  for (gint i = 0; i < seen->sample->n_boxes; i++) {
    const QfBox *b = &seen->sample->boxes[i];

    if (b->ignore)
      cairo_set_source_rgb (c, 0.6, 0.6, 0.6);
    else
      cairo_set_source_rgb (c, 0, 0.8, 0.2);
    draw_box (p, b, 3);
  }
  cairo_set_source_rgb (c, 1, 0.55, 0);
  for (guint i = 0; i < seen->boxes->len; i++) {
    const QfBox *b = &g_array_index (seen->boxes, QfBox, i);

    draw_box (p, b, 1);
    g_snprintf (text, sizeof (text), "%s%s%.2f",
        named ? label_of (p, b->label) : "", named ? " " : "",
        (gdouble) b->score);
    draw_text (c, b->x * (gfloat) p->scale, b->y * (gfloat) p->scale - 3, text);
  }
}

static void
draw_tile (const Picture *p, const QfSeen *seen, gint width, gint height)
{
  cairo_t *c = p->cairo;
  g_autofree gchar *text = NULL;

  cairo_save (c);
  cairo_rectangle (c, 0, 0, width, height + CAPTION);
  cairo_clip (c);
  draw_codes (p, seen->codes);
  if (g_str_equal (p->trainer->o.head, "classify")) {
    text = g_strdup_printf ("true: %s, found: %s %.2f",
        label_of (p, seen->sample->action), label_of (p, seen->action),
        (gdouble) seen->action_score);
  } else {
    draw_boxes (p, seen);
    text = g_strdup_printf (
        "true: %d, found: %u", seen->sample->n_boxes, seen->boxes->len);
  }
  cairo_set_source_rgb (c, 0.1, 0.1, 0.1);
  draw_text (c, 4, height + CAPTION - 5, text);
  cairo_restore (c);
}

static gboolean
draw_samples (Picture *p, QfTrainer *t, const GPtrArray *samples, gint width,
    gint height, GError **error)
{
  g_autofree guint8 *codes = g_malloc (qf_trainer_sample_bytes (t));
  g_autoptr (GArray) boxes = g_array_new (FALSE, FALSE, sizeof (QfBox));
  QfSeen seen = { NULL, codes, boxes, -1, 0 };

  for (guint i = 0; i < samples->len; i++) {
    if (!qf_trainer_look (t, g_ptr_array_index (samples, i), &seen, error))
      return FALSE;
    cairo_save (p->cairo);
    cairo_translate (p->cairo, (gint) (i % COLUMNS) * (width + GAP),
        (gint) (i / COLUMNS) * (height + CAPTION + GAP));
    draw_tile (p, &seen, width, height);
    cairo_restore (p->cairo);
  }
  return TRUE;
}

gboolean
gst_qf_train_picture_write (QfTrainer *t, const gchar *path, GError **error)
{
  g_autoptr (GPtrArray) samples = choose (t);
  g_auto (GStrv) labels = g_strsplit (t->o.labels, "\n", -1);
  gint scale = MAX (1, LEAST_WIDTH / t->o.width);
  gint width = t->o.width * scale, height = t->o.height * scale;
  gint columns = MAX (1, MIN ((gint) samples->len, COLUMNS));
  gint rows = MAX (1, ((gint) samples->len + COLUMNS - 1) / COLUMNS);
  cairo_surface_t *surface = cairo_image_surface_create (CAIRO_FORMAT_RGB24,
      columns * (width + GAP) - GAP, rows * (height + CAPTION + GAP) - GAP);
  Picture p = { t, labels, cairo_create (surface), scale };
  cairo_status_t status;
  gboolean ok;

  cairo_set_source_rgb (p.cairo, 1, 1, 1);
  cairo_paint (p.cairo);
  cairo_set_font_size (p.cairo, 12);
  ok = draw_samples (&p, t, samples, width, height, error);
  cairo_destroy (p.cairo);
  status =
      ok ? cairo_surface_write_to_png (surface, path) : CAIRO_STATUS_SUCCESS;
  cairo_surface_destroy (surface);
  if (status != CAIRO_STATUS_SUCCESS)
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s cannot be written: %s",
        path, cairo_status_to_string (status));
  return ok && status == CAIRO_STATUS_SUCCESS;
}
