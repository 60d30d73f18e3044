/* qfuse: files of arrays.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arrays.h"

#include <string.h>

#define MAX_FILE ((gsize) 1 << 30)

gboolean
arrays_knows (const char *path)
{
  return g_str_has_suffix (path, ".npy") || g_str_has_suffix (path, ".npz") ||
      g_str_has_suffix (path, ".pb");
}

static gboolean
read_bytes (const char *path, GBytes *bytes, GPtrArray *arrays, GError **error)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  QfNamedArray *a;

  if (g_str_has_suffix (path, ".npz"))
    return npz_read (data, size, arrays, error);
  a = g_str_has_suffix (path, ".pb") ? qf_named_array_from_pb (bytes, error)
                                     : npy_read (data, size, "", error);
  if (a)
    g_ptr_array_add (arrays, a);
  return a != NULL;
}

gboolean
arrays_read (const char *path, GPtrArray *arrays, GError **error)
{
  g_autoptr (GMappedFile) file = NULL;
  g_autoptr (GBytes) bytes = NULL;

  if (!arrays_knows (path)) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "%s: ends neither in .npy nor .npz nor .pb", path);
    return FALSE;
  }
  file = g_mapped_file_new (path, FALSE, error);
  if (!file)
    return FALSE;
  if (g_mapped_file_get_length (file) > MAX_FILE) {
    g_set_error (
        error, QF_ERROR, QF_ERROR_FILE, "%s: is larger than 1 GiB", path);
    return FALSE;
  }
  bytes = g_mapped_file_get_bytes (file);
  if (read_bytes (path, bytes, arrays, error))
    return TRUE;
  g_prefix_error (error, "%s: ", path);
  return FALSE;
}

gboolean
arrays_write (const char *path, const GPtrArray *arrays, GError **error)
{
  g_autoptr (GByteArray) data = NULL;
  g_autoptr (GBytes) bytes = NULL;

  if (!g_str_has_suffix (path, ".npz") && arrays->len != 1) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "%s: only .npz holds %u outputs", path, arrays->len);
    return FALSE;
  }
  if (g_str_has_suffix (path, ".npz"))
    data = npz_write (arrays);
  else if (g_str_has_suffix (path, ".npy"))
    data = npy_write (arrays->pdata[0]);
  else
    bytes = qf_named_array_to_pb (arrays->pdata[0]);
  if (data)
    bytes = g_byte_array_free_to_bytes (g_steal_pointer (&data));
  return g_file_set_contents (path, g_bytes_get_data (bytes, NULL),
      (gssize) g_bytes_get_size (bytes), error);
}
