/* libqfuse: reading text that people and programs write.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

G_BEGIN_DECLS

/** The whole of the regular file @path, of at most @limit bytes; a zero byte
 * follows it. NULL with an error that names the file. */
GString *qf_text_read (const char *path, gsize limit, GError **error);

/** Where @text starts behind a byte order mark. */
char *qf_text_start (GString *text);

/** Cuts the next line off *@text, which ends at @end, and returns it without
 * its end (LF or CRLF). */
char *qf_text_line (char **text, char *end);

/** Sets QF_ERROR_FORMAT, "path:line: what". Returns FALSE. */
gboolean qf_text_error (GError **error, const char *path, guint line,
    const char *format, ...) G_GNUC_PRINTF (4, 5);

/** FALSE and an error where a zero byte stands in @text. */
gboolean qf_text_check (GString *text, const char *path, GError **error);

G_END_DECLS
