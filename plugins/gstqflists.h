/* GStreamer qfuse: lists as users type them: frame numbers, names.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** First and last number, from 1, last included. */
typedef struct
{
  gint first, last;
} GstQfRange;

/** Reads numbers and ranges with commas between them; "600-" has no end. NULL
 * and
 * @error (which shows the part that is wrong) where it is none of that. Empty
 * text gives no range. */
GArray *gst_qf_ranges_parse (const gchar *text, GError **error);

/** Whether one of them holds @n. */
gboolean gst_qf_ranges_hold (const GArray *ranges, gint n);

/** Names of classes in the order of their numbers, blanks around them cut off:
 * one a line of a file (@text holds a slash or names a file that exists), or
 * with commas between them. NULL and @error where a file cannot be read or
 * nothing is named. */
gchar **gst_qf_names_parse (const gchar *text, GError **error);

G_END_DECLS
