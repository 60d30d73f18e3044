/* GStreamer qfuse: short texts as masks, rendered once.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqftext.h"

#include <pango/pangocairo.h>

/* A hundred scores, names, and the numbers of objects, which may go on and on.
 */
#define MAX_TEXTS 2000
#define MAX_WIDTH 4096

struct _GstQfTexts
{
  PangoFontMap *map; /* of its own: Pango's default belongs to a thread */
  PangoContext *context;
  PangoFontDescription *font;
  gint margin;
  GHashTable *texts; /* gchar * → GstQfText * */
};

static void
text_free (gpointer data)
{
  GstQfText *t = data;

  g_free (t->data);
  g_free (t);
}

GstQfTexts *
gst_qf_texts_new (const gchar *font, gdouble size)
{
  GstQfTexts *t = g_new0 (GstQfTexts, 1);

  t->map = pango_cairo_font_map_new ();
  t->context = pango_font_map_create_context (t->map);
  t->font = pango_font_description_from_string (font ? font : "");
  if (pango_font_description_get_size (t->font) == 0)
    pango_font_description_set_absolute_size (t->font, size * PANGO_SCALE);
  t->margin = MAX (2, (gint) (size / 6));
  t->texts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, text_free);
  return t;
}

void
gst_qf_texts_free (GstQfTexts *t)
{
  if (!t)
    return;
  g_hash_table_unref (t->texts);
  pango_font_description_free (t->font);
  g_object_unref (t->context);
  g_object_unref (t->map);
  g_free (t);
}

static GstQfText *
render (GstQfTexts *t, const gchar *string)
{
  GstQfText *text = g_new0 (GstQfText, 1);
  PangoLayout *layout = pango_layout_new (t->context);
  cairo_surface_t *surface;
  cairo_t *cr;
  gint w, h;

  pango_layout_set_font_description (layout, t->font);
  pango_layout_set_single_paragraph_mode (layout, TRUE);
  pango_layout_set_text (layout, string, -1);
  pango_layout_get_pixel_size (layout, &w, &h);

  text->width = CLAMP (w + 2 * t->margin, 1, MAX_WIDTH);
  text->height = CLAMP (h + t->margin, 1, MAX_WIDTH);
  text->stride = cairo_format_stride_for_width (CAIRO_FORMAT_A8, text->width);
  text->data = g_malloc0 ((gsize) text->stride * (gsize) text->height);
  text->baseline =
      t->margin / 2 + pango_layout_get_baseline (layout) / PANGO_SCALE;
  surface = cairo_image_surface_create_for_data (
      text->data, CAIRO_FORMAT_A8, text->width, text->height, text->stride);
  cr = cairo_create (surface);
  cairo_move_to (cr, t->margin, t->margin / 2);
  pango_cairo_show_layout (cr, layout);
  cairo_destroy (cr);
  cairo_surface_finish (surface);
  cairo_surface_destroy (surface);
  g_object_unref (layout);
  return text;
}

const GstQfText *
gst_qf_texts_get (GstQfTexts *t, const gchar *string)
{
  GstQfText *text = g_hash_table_lookup (t->texts, string);

  if (text)
    return text;
  text = render (t, string);
  g_hash_table_insert (t->texts, g_strdup (string), text);
  return text;
}

void
gst_qf_texts_trim (GstQfTexts *t)
{
  if (g_hash_table_size (t->texts) >= MAX_TEXTS)
    g_hash_table_remove_all (t->texts);
}
