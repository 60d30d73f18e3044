/* libqfuse: reading text that people and programs write.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens a regular file of at most @limit bytes. O_NONBLOCK: a pipe without a
 * writer must not hold us up before it is refused. */
static FILE *
open_file (const char *path, gsize limit, GError **error)
{
  int fd = g_open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
  struct stat status;

  if (fd < 0 || fstat (fd, &status) != 0)
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s: cannot be opened: %s",
        path, g_strerror (errno));
  else if (!S_ISREG (status.st_mode))
    g_set_error (
        error, QF_ERROR, QF_ERROR_FILE, "%s: is not a regular file", path);
  else if ((guint64) status.st_size > limit)
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "%s: is larger than %" G_GSIZE_FORMAT " MiB", path, limit >> 20);
  else
    return fdopen (fd, "rb");
  if (fd >= 0)
    close (fd);
  return NULL;
}

GString *
qf_text_read (const char *path, gsize limit, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);
  FILE *file = open_file (path, limit, error);
  char chunk[65536];
  gsize n;
  int failed;

  if (!file)
    return NULL;
  /* A file that grows meanwhile is cut at the limit. */
  while (text->len <= limit && (n = fread (chunk, 1, sizeof chunk, file)) > 0)
    g_string_append_len (text, chunk, (gssize) n);
  failed = ferror (file) ? errno : 0;
  fclose (file);
  if (failed) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s: cannot be read: %s", path,
        g_strerror (failed));
    return NULL;
  }
  return g_steal_pointer (&text);
}

char *
qf_text_line (char **text, char *end)
{
  char *line = *text, *stop = memchr (line, '\n', (gsize) (end - line));

  *text = stop ? stop + 1 : end;
  if (!stop)
    stop = end;
  if (stop > line && stop[-1] == '\r')
    stop--;
  *stop = '\0';
  return line;
}

char *
qf_text_start (GString *text)
{
  return g_str_has_prefix (text->str, "\xef\xbb\xbf") ? text->str + 3
                                                      : text->str;
}

gboolean
qf_text_error (
    GError **error, const char *path, guint line, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "%s:%u: %s", path, line, what);
  return FALSE;
}

gboolean
qf_text_check (GString *text, const char *path, GError **error)
{
  const char *zero = memchr (text->str, '\0', text->len);
  guint line = 1;

  if (!zero)
    return TRUE;
  for (const char *p = text->str; p < zero; p++)
    line += *p == '\n';
  return qf_text_error (error, path, line, "a zero byte: this is not text");
}
