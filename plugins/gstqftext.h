/* GStreamer qfuse: short texts as masks, rendered once.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** A text's coverage, 0 … 255, [height][stride], with a margin around; the
 * baseline is @baseline rows below the top. */
typedef struct
{
  gint width, height, stride, baseline;
  guint8 *data;
} GstQfText;

/** Texts in one font, kept for the next frame. Not thread-safe. */
typedef struct _GstQfTexts GstQfTexts;

/** @font: a Pango font description; @size: height of its letters in pixels
 * where it names none. */
GstQfTexts *gst_qf_texts_new (const gchar *font, gdouble size);
void gst_qf_texts_free (GstQfTexts *t);

/** The mask of @text (UTF-8); valid until gst_qf_texts_trim(). */
const GstQfText *gst_qf_texts_get (GstQfTexts *t, const gchar *text);

/** Forgets all where there are too many: call between frames. */
void gst_qf_texts_trim (GstQfTexts *t);

G_END_DECLS
