/* libqfuse: many pictures of one size, in memory or beyond.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/store.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK ((gsize) 8 << 20) /* bytes that are asked for at once */

struct _QfStore
{
  gatomicrefcount refs;
  gsize block, chunk; /* bytes */
  guint64 limit, in_memory, in_file;
  GPtrArray *chunks; /* mapped */
  GPtrArray *spare;  /* blocks that are free */
  gsize used;
  int fd; /* −1: none yet */
};

QfStore *
qf_store_new (gsize block, guint64 limit)
{
  QfStore *s = g_new0 (QfStore, 1);
  gsize page = (gsize) sysconf (_SC_PAGESIZE);

  g_atomic_ref_count_init (&s->refs);
  s->block = block;
  s->chunk = MAX (CHUNK / block, 1) * block;
  s->chunk = (s->chunk + page - 1) / page * page; /* offsets in the file */
  s->limit = limit;
  s->chunks = g_ptr_array_new ();
  s->spare = g_ptr_array_new ();
  s->fd = -1;
  return s;
}

QfStore *
qf_store_ref (QfStore *s)
{
  g_atomic_ref_count_inc (&s->refs);
  return s;
}

void
qf_store_unref (QfStore *s)
{
  if (!s || !g_atomic_ref_count_dec (&s->refs))
    return;
  for (guint i = 0; i < s->chunks->len; i++)
    munmap (g_ptr_array_index (s->chunks, i), s->chunk);
  g_ptr_array_unref (s->chunks);
  g_ptr_array_unref (s->spare);
  if (s->fd >= 0)
    close (s->fd);
  g_free (s);
}

/* /tmp is often memory, which is what there is too little of. */
static int
open_file (char **folder)
{
  const char *named = g_getenv ("TMPDIR");
  g_autofree char *path = NULL;
  int fd;

  *folder = g_strdup (named && *named        ? named
          : g_access ("/var/tmp", W_OK) == 0 ? "/var/tmp"
                                             : g_get_tmp_dir ());
  path = g_build_filename (*folder, "qfuse-XXXXXX", NULL);
  fd = g_mkstemp_full (path, O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0)
    unlink (path);
  return fd;
}

/* Room that the disk has promised: a mapping of a file with holes would end in
 * SIGBUS when the disk is full. */
static gpointer
map_file (QfStore *s, GError **error)
{
  g_autofree char *folder = NULL;
  gpointer chunk = MAP_FAILED;
  int why = 0;

  if (s->fd < 0)
    s->fd = open_file (&folder);
  if (s->fd < 0)
    why = errno;
  else
    why = posix_fallocate (s->fd, (off_t) s->in_file, (off_t) s->chunk);
  if (why == 0) {
    chunk = mmap (NULL, s->chunk, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd,
        (off_t) s->in_file);
    why = errno;
  }
  if (chunk == MAP_FAILED) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE,
        "Samples past %" G_GUINT64_FORMAT
        " MB of memory cannot be written to a "
        "temporary file: %s; make room, set TMPDIR to a larger folder, or use "
        "fewer samples",
        s->limit >> 20, g_strerror (why));
    return NULL;
  }
  s->in_file += s->chunk;
  return chunk;
}

static gboolean
grow (QfStore *s, GError **error)
{
  gpointer chunk;

  if (s->limit == 0 || s->in_memory + s->chunk <= s->limit) {
    chunk = mmap (NULL, s->chunk, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (chunk == MAP_FAILED) {
      g_set_error (error, QF_ERROR, QF_ERROR_FAILED,
          "There is no memory for more samples; set a memory limit");
      return FALSE;
    }
    s->in_memory += s->chunk;
  } else if (!(chunk = map_file (s, error))) {
    return FALSE;
  }
  g_ptr_array_add (s->chunks, chunk);
  for (gsize i = s->chunk / s->block; i-- > 0;)
    g_ptr_array_add (s->spare, (guint8 *) chunk + i * s->block);
  return TRUE;
}

const guint8 *
qf_store_add (QfStore *s, const guint8 *data, GError **error)
{
  guint8 *block;

  if (s->spare->len == 0 && !grow (s, error))
    return NULL;
  block = g_ptr_array_steal_index (s->spare, s->spare->len - 1);
  memcpy (block, data, s->block);
  s->used++;
  return block;
}

void
qf_store_release (QfStore *s, const guint8 *block)
{
  g_ptr_array_add (s->spare, (guint8 *) block);
  s->used--;
}

gsize
qf_store_n_blocks (const QfStore *s)
{
  return s->used;
}

guint64
qf_store_mapped (const QfStore *s)
{
  return s->in_file;
}
