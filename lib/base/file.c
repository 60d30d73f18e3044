/* libqfuse: files that are whole or absent.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

static gboolean
write_all (int fd, const char *data, gsize size)
{
  while (size > 0) {
    gssize n = write (fd, data, MIN (size, (gsize) 1 << 30));

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return FALSE;
    data += n;
    size -= (gsize) n;
  }
  return TRUE;
}

static gboolean
write_part (const char *part, gconstpointer data, gsize size)
{
  int fd = g_open (part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  gboolean done;
  int why;

  if (fd < 0)
    return FALSE;
  done = write_all (fd, data, size) && fsync (fd) == 0;
  why = errno;
  if (close (fd) != 0 && done) {
    done = FALSE;
    why = errno;
  }
  errno = why;
  return done;
}

/* The new name is on the disk only when its folder is. A file system that
 * cannot sync folders has no say in it. */
static void
sync_folder (const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path);
  int fd = g_open (folder, O_RDONLY | O_CLOEXEC, 0);

  if (fd < 0)
    return;
  fsync (fd);
  close (fd);
}

gboolean
qf_file_replace (
    const char *path, gconstpointer data, gsize size, GError **error)
{
  g_autofree char *part = g_strconcat (path, ".part", NULL);

  if (!write_part (part, data, size) || g_rename (part, path) != 0) {
    int why = errno;

    g_unlink (part);
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s: cannot be written: %s",
        path, g_strerror (why));
    return FALSE;
  }
  sync_folder (path);
  return TRUE;
}
