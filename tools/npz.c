/* qfuse: NumPy's .npz: a zip archive of .npy files.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Format: PKWARE's APPNOTE. Entries are stored or deflated; those of more than
 * 4 GiB are not supported. */
#include "arrays.h"

#include <gio/gio.h>
#include <string.h>

#define MAX_ENTRIES 1000
#define MAX_ENTRY ((gsize) 1 << 30)

static guint32
get (const guint8 *p, int bytes)
{
  guint32 v = 0;

  for (int i = 0; i < bytes; i++)
    v |= (guint32) p[i] << (8 * i);
  return v;
}

static gboolean
bad (GError **error, const char *what)
{
  g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "%s", what);
  return FALSE;
}

/* Deflated data into exactly @size bytes. */
static guint8 *
inflate (const guint8 *from, gsize n, gsize size, GError **error)
{
  g_autoptr (GZlibDecompressor) z =
      g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_RAW);
  g_autofree guint8 *out = g_try_malloc (size + 1);
  gsize done = 0, in = 0;

  if (!out) {
    bad (error, "is too large for memory");
    return NULL;
  }
  for (;;) {
    gsize read = 0, written = 0;
    GConverterResult r =
        g_converter_convert (G_CONVERTER (z), from + in, n - in, out + done,
            size + 1 - done, G_CONVERTER_INPUT_AT_END, &read, &written, NULL);

    in += read;
    done += written;
    if (r == G_CONVERTER_FINISHED)
      break;
    if (r != G_CONVERTER_CONVERTED || done > size) {
      bad (error, "is a damaged .npz file");
      return NULL;
    }
  }
  if (done != size) {
    bad (error, "is a damaged .npz file");
    return NULL;
  }
  return g_steal_pointer (&out);
}

/* One entry of the directory at @p, whose name has @length bytes. */
static gboolean
read_entry (const guint8 *data, gsize size, const guint8 *p, gsize length,
    GPtrArray *arrays, GError **error)
{
  gsize packed = get (p + 20, 4), full = get (p + 24, 4);
  gsize at = get (p + 42, 4);
  guint32 method = get (p + 10, 2);
  g_autofree char *name = g_strndup ((const char *) p + 46, length);
  g_autofree guint8 *out = NULL;
  QfNamedArray *a;

  if (at > size || size - at < 30 || get (data + at, 4) != 0x04034b50)
    return bad (error, "is a damaged .npz file");
  at += 30 + get (data + at + 26, 2) + get (data + at + 28, 2);
  if (at > size || packed > size - at || full > MAX_ENTRY ||
      !g_utf8_validate (name, -1, NULL))
    return bad (error, "is a damaged .npz file");
  if (method != 0 && method != 8)
    return bad (error, "holds an entry that is neither stored nor deflated");
  if (method == 0 && packed != full)
    return bad (error, "is a damaged .npz file");
  if (method == 8 && !(out = inflate (data + at, packed, full, error)))
    return FALSE;
  if (g_str_has_suffix (name, ".npy"))
    name[strlen (name) - 4] = '\0';
  a = npy_read (out ? out : data + at, full, name, error);
  if (!a) {
    g_prefix_error (error, "'%s' ", name);
    return FALSE;
  }
  g_ptr_array_add (arrays, a);
  return TRUE;
}

gboolean
npz_read (const guint8 *data, gsize size, GPtrArray *arrays, GError **error)
{
  gsize end = size < 22 ? 0 : size - 22, at;
  guint32 n;

  if (size < 22)
    return bad (error, "is no .npz file");
  while (end > 0 && size - end < 65557 && get (data + end, 4) != 0x06054b50)
    end--;
  if (get (data + end, 4) != 0x06054b50)
    return bad (error, "is no .npz file");
  n = get (data + end + 10, 2);
  at = get (data + end + 16, 4);
  if (n > MAX_ENTRIES)
    return bad (error, "holds too many arrays");
  for (guint32 i = 0; i < n; i++) {
    gsize length;

    if (at > size || size - at < 46 || get (data + at, 4) != 0x02014b50)
      return bad (error, "is a damaged .npz file");
    length = get (data + at + 28, 2);
    if (length > size - at - 46)
      return bad (error, "is a damaged .npz file");
    if (!read_entry (data, size, data + at, length, arrays, error))
      return FALSE;
    at += 46 + length + get (data + at + 30, 2) + get (data + at + 32, 2);
  }
  return TRUE;
}

/* ---- writing ------------------------------------------------------------ */

static guint32
crc32_of (const guint8 *p, gsize n)
{
  guint32 crc = 0xffffffff;

  for (gsize i = 0; i < n; i++) {
    crc ^= p[i];
    for (int k = 0; k < 8; k++)
      crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

static void
put (GByteArray *out, guint32 v, int bytes)
{
  for (int i = 0; i < bytes; i++) {
    guint8 b = (guint8) (v >> (8 * i));

    g_byte_array_append (out, &b, 1);
  }
}

/* What local header and directory have in common, from the version needed on.
 */
static void
put_common (GByteArray *out, guint32 crc, guint size, guint name)
{
  put (out, 20, 2);
  put (out, 0, 4);          /* flags, stored */
  put (out, 0, 2);          /* time */
  put (out, 1 << 5 | 1, 2); /* 1 January 1980 */
  put (out, crc, 4);
  put (out, size, 4);
  put (out, size, 4);
  put (out, name, 2);
  put (out, 0, 2);
}

GByteArray *
npz_write (const GPtrArray *arrays)
{
  GByteArray *out = g_byte_array_new ();
  g_autoptr (GByteArray) directory = g_byte_array_new ();
  guint start;

  for (guint i = 0; i < arrays->len; i++) {
    const QfNamedArray *a = g_ptr_array_index (arrays, i);
    g_autoptr (GByteArray) npy = npy_write (a);
    g_autofree char *name = g_strconcat (a->name, ".npy", NULL);
    guint length = (guint) strlen (name), at = out->len;
    guint32 crc = crc32_of (npy->data, npy->len);

    put (out, 0x04034b50, 4);
    put_common (out, crc, npy->len, length);
    g_byte_array_append (out, (const guint8 *) name, length);
    g_byte_array_append (out, npy->data, npy->len);
    put (directory, 0x02014b50, 4);
    put (directory, 20, 2);
    put_common (directory, crc, npy->len, length);
    put (directory, 0, 2); /* comment */
    put (directory, 0, 4); /* disk, attributes */
    put (directory, 0, 4);
    put (directory, at, 4);
    g_byte_array_append (directory, (const guint8 *) name, length);
  }
  start = out->len;
  g_byte_array_append (out, directory->data, directory->len);
  put (out, 0x06054b50, 4);
  put (out, 0, 4);
  put (out, arrays->len, 2);
  put (out, arrays->len, 2);
  put (out, directory->len, 4);
  put (out, start, 4);
  put (out, 0, 2);
  return out;
}
