/* GStreamer qfuse: text files that appear whole or not at all.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** Writes to a file beside @path that takes its name when it is published. What
 * is no regular file (a pipe, /dev/stdout; "-" is standard output) is written
 * to as it stands. */
typedef struct _GstQfOutput GstQfOutput;

/** Makes the file beside @path; fails where @path cannot be written later. */
GstQfOutput *gst_qf_output_open (const gchar *path, GError **error);

/** Appends. After publishing, text goes on into the published file. */
gboolean gst_qf_output_write (
    GstQfOutput *o, const gchar *text, gsize size, GError **error);

/** Gives the file its name. Further calls only flush. */
gboolean gst_qf_output_publish (GstQfOutput *o, GError **error);

/** Closes; what was not published is removed. */
void gst_qf_output_free (GstQfOutput *o);

/** Whether a file could be written to @path: what is there stays as it is. */
gboolean gst_qf_output_check (const gchar *path, GError **error);

G_END_DECLS
