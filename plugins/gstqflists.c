/* GStreamer qfuse: lists as users type them: frame numbers, names.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqflists.h"

#include <string.h>

#include "qfuse.h"

/* A whole number from 1 at *@text, which moves behind it. */
static gboolean
parse_number (const gchar **text, gint *n)
{
  gchar *end;
  guint64 v;

  if (!g_ascii_isdigit (**text))
    return FALSE;
  v = g_ascii_strtoull (*text, &end, 10);
  *text = end;
  *n = (gint) v;
  return v >= 1 && v <= G_MAXINT;
}

static gboolean
parse_range (const gchar *text, GstQfRange *r)
{
  if (!parse_number (&text, &r->first))
    return FALSE;
  r->last = r->first;
  if (*text == '-') {
    text++;
    if (*text == '\0')
      r->last = G_MAXINT;
    else if (!parse_number (&text, &r->last))
      return FALSE;
  }
  return *text == '\0' && r->last >= r->first;
}

GArray *
gst_qf_ranges_parse (const gchar *text, GError **error)
{
  GArray *ranges = g_array_new (FALSE, FALSE, sizeof (GstQfRange));
  g_auto (GStrv) parts = g_strsplit (text ? text : "", ",", -1);

  for (guint i = 0; parts[i]; i++) {
    GstQfRange r;

    if (!parse_range (g_strstrip (parts[i]), &r)) {
      g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
          "\"%s\" is no range of frames such as 1-500 or 600- (frames count "
          "from 1).",
          parts[i]);
      g_array_unref (ranges);
      return NULL;
    }
    g_array_append_val (ranges, r);
  }
  return ranges;
}

gboolean
gst_qf_ranges_hold (const GArray *ranges, gint n)
{
  for (guint i = 0; i < ranges->len; i++) {
    const GstQfRange *r = &g_array_index (ranges, GstQfRange, i);

    if (n >= r->first && n <= r->last)
      return TRUE;
  }
  return FALSE;
}

gchar **
gst_qf_names_parse (const gchar *text, GError **error)
{
  gboolean named = FALSE;
  gchar **names;

  if (strchr (text, G_DIR_SEPARATOR) ||
      g_file_test (text, G_FILE_TEST_IS_REGULAR))
    return qf_labels_load (text, error);

  names = g_strsplit (text, ",", -1);
  for (guint i = 0; names[i]; i++)
    named |= *g_strstrip (names[i]) != '\0';
  if (!named) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "\"%s\" names no label; give names with commas between them, or a file "
        "with one name a line.",
        text);
    g_clear_pointer (&names, g_strfreev);
  }
  return names;
}
