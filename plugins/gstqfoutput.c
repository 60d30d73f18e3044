/* GStreamer qfuse: text files that appear whole or not at all.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfoutput.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

struct _GstQfOutput
{
  gchar *path, *beside; /* beside NULL: published, or written to as it stands */
  FILE *file;
  gboolean direct; /* a pipe or device: flushed after each write */
};

static gboolean
fail (GError **error, const gchar *what, const gchar *path, int number)
{
  g_set_error (error, QF_ERROR, QF_ERROR_FILE, "Cannot %s %s: %s.", what, path,
      g_strerror (number));
  return FALSE;
}

/* A link is followed, so that the file that it names is replaced, not the link.
 */
static gchar *
follow (const gchar *path)
{
  char *real = realpath (path, NULL);
  gchar *copy = g_strdup (real ? real : path);

  free (real);
  return copy;
}

static gboolean
open_beside (GstQfOutput *o, GError **error)
{
  int fd;

  o->beside = g_strdup_printf ("%s.XXXXXX.part", o->path);
  fd = g_mkstemp_full (o->beside, O_RDWR | O_CLOEXEC, 0666);
  if (fd >= 0)
    o->file = fdopen (fd, "wb");
  if (o->file)
    return TRUE;
  fail (error, "write", o->path, errno);
  if (fd >= 0) {
    close (fd);
    g_unlink (o->beside);
  }
  g_clear_pointer (&o->beside, g_free);
  return FALSE;
}

GstQfOutput *
gst_qf_output_open (const gchar *path, GError **error)
{
  GstQfOutput *o = g_new0 (GstQfOutput, 1);
  struct stat st;
  gboolean there;

  if (g_str_equal (path, "-"))
    path = "/dev/stdout";
  there = stat (path, &st) == 0;
  o->direct = there && !S_ISREG (st.st_mode);
  o->path = o->direct ? g_strdup (path) : follow (path);

  if (there && S_ISDIR (st.st_mode))
    fail (error, "write", path, EISDIR);
  else if (there && access (path, W_OK) != 0)
    fail (error, "write", path, errno);
  else if (!o->direct)
    open_beside (o, error);
  else if (!(o->file = fopen (path, "wbe")))
    fail (error, "write", path, errno);

  if (!o->file) {
    gst_qf_output_free (o);
    return NULL;
  }
  return o;
}

gboolean
gst_qf_output_write (
    GstQfOutput *o, const gchar *text, gsize size, GError **error)
{
  gboolean at_once = o->direct || !o->beside;

  if (fwrite (text, 1, size, o->file) == size &&
      (!at_once || fflush (o->file) == 0))
    return TRUE;
  return fail (error, "write", o->path, errno);
}

gboolean
gst_qf_output_publish (GstQfOutput *o, GError **error)
{
  if (fflush (o->file) != 0)
    return fail (error, "write", o->path, errno);
  if (!o->beside)
    return TRUE;
  if (fsync (fileno (o->file)) != 0 || g_rename (o->beside, o->path) != 0)
    return fail (error, "write", o->path, errno);
  g_clear_pointer (&o->beside, g_free);
  return TRUE;
}

void
gst_qf_output_free (GstQfOutput *o)
{
  if (!o)
    return;
  if (o->file)
    fclose (o->file);
  if (o->beside)
    g_unlink (o->beside);
  g_free (o->beside);
  g_free (o->path);
  g_free (o);
}

gboolean
gst_qf_output_check (const gchar *path, GError **error)
{
  GstQfOutput *o = gst_qf_output_open (path, error);

  gst_qf_output_free (o);
  return o != NULL;
}
