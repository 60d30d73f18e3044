/* Files of arrays: NumPy's .npy and .npz, ONNX's .pb.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "arrays.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

static QfNamedArray *
make (const char *name, QfDType dtype, int rank, const gint64 *dims)
{
  QfNamedArray *a = g_new0 (QfNamedArray, 1);
  gsize bytes;

  a->name = g_strdup (name);
  a->dtype = dtype;
  a->rank = rank;
  memcpy (a->dims, dims, (gsize) rank * sizeof *dims);
  bytes = (gsize) qf_named_array_elements (a) * qf_dtype_size (dtype);
  a->data = g_malloc0 (MAX (bytes, 1));
  for (gsize i = 0; i < bytes; i++)
    ((guint8 *) a->data)[i] = dtype == QF_BOOL ? i & 1 : (guint8) (i * 7 + 3);
  return a;
}

static GPtrArray *
new_list (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) qf_named_array_free);
}

static void
assert_same (const QfNamedArray *a, const QfNamedArray *b)
{
  g_assert_cmpint (a->dtype, ==, b->dtype);
  g_assert_cmpint (a->rank, ==, b->rank);
  for (int i = 0; i < a->rank; i++)
    g_assert_cmpint (a->dims[i], ==, b->dims[i]);
  g_assert_cmpmem (a->data,
      (gsize) qf_named_array_elements (a) * qf_dtype_size (a->dtype), b->data,
      (gsize) qf_named_array_elements (b) * qf_dtype_size (b->dtype));
}

static GPtrArray *
all_types (void)
{
  static const gint64 dims[4] = { 2, 3, 1, 5 }, none[2] = { 0, 4 };
  GPtrArray *list = new_list ();

  g_ptr_array_add (list, make ("f32", QF_F32, 4, dims));
  g_ptr_array_add (list, make ("u8", QF_U8, 3, dims));
  g_ptr_array_add (list, make ("i8", QF_I8, 1, dims));
  g_ptr_array_add (list, make ("i32", QF_I32, 2, dims));
  g_ptr_array_add (list, make ("i64", QF_I64, 0, dims));
  g_ptr_array_add (list, make ("bool", QF_BOOL, 2, dims));
  g_ptr_array_add (list, make ("none", QF_F32, 2, none));
  return list;
}

static void
test_round_trip (void)
{
  static const char *const endings[] = { "npy", "pb" };
  g_autofree char *dir = g_dir_make_tmp ("qfuse-XXXXXX", NULL);
  g_autoptr (GPtrArray) all = all_types (), back = new_list ();
  g_autofree char *npz = g_build_filename (dir, "a.npz", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (arrays_write (npz, all, &error));
  g_assert_true (arrays_read (npz, back, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (back->len, ==, all->len);
  for (guint i = 0; i < all->len; i++) {
    const QfNamedArray *a = all->pdata[i], *b = back->pdata[i];

    g_assert_cmpstr (a->name, ==, b->name);
    assert_same (a, b);
  }
  for (guint i = 0; i < all->len; i++)
    for (gsize k = 0; k < G_N_ELEMENTS (endings); k++) {
      g_autofree char *path = g_strdup_printf ("%s/a.%s", dir, endings[k]);
      g_autoptr (GPtrArray) one = g_ptr_array_new (), again = new_list ();

      g_ptr_array_add (one, all->pdata[i]);
      g_assert_true (arrays_write (path, one, &error));
      g_assert_true (arrays_read (path, again, &error));
      g_assert_cmpuint (again->len, ==, 1);
      assert_same (all->pdata[i], again->pdata[0]);
      g_assert_cmpint (g_remove (path), ==, 0);
    }
  g_assert_false (arrays_write ("/x.npy", all, &error)); /* one only */
  g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
  g_remove (npz);
  g_rmdir (dir);
}

/* As numpy.savez_compressed writes: an entry deflated by zlib. */
static GByteArray *
deflated (void)
{
  static const gint64 dims[2] = { 40, 25 };
  g_autoptr (QfNamedArray) a = make ("x", QF_F32, 2, dims);
  g_autoptr (GByteArray) npy = npy_write (a);
  g_autoptr (GZlibCompressor) z =
      g_zlib_compressor_new (G_ZLIB_COMPRESSOR_FORMAT_RAW, 6);
  g_autofree guint8 *packed = g_malloc (2 * npy->len + 100);
  GByteArray *out = g_byte_array_new ();
  guint8 local[30] = { 'P', 'K', 3, 4, 20, 0, 0, 0, 8 };
  guint8 entry[46] = { 'P', 'K', 1, 2, 20, 0, 20, 0, 0, 0, 8 };
  guint8 end[22] = { 'P', 'K', 5, 6, 0, 0, 0, 0, 1, 0, 1 };
  gsize read, n;
  guint32 v;

  g_assert_cmpint (
      g_converter_convert (G_CONVERTER (z), npy->data, npy->len, packed,
          2 * npy->len + 100, G_CONVERTER_INPUT_AT_END, &read, &n, NULL),
      ==, G_CONVERTER_FINISHED);
  local[26] = entry[28] = 5;
  v = GUINT32_TO_LE ((guint32) n);
  memcpy (entry + 20, &v, 4);
  v = GUINT32_TO_LE (npy->len);
  memcpy (entry + 24, &v, 4);
  g_byte_array_append (out, local, 30);
  g_byte_array_append (out, (const guint8 *) "x.npy", 5);
  g_byte_array_append (out, packed, (guint) n);
  v = GUINT32_TO_LE (out->len);
  memcpy (end + 16, &v, 4);
  g_byte_array_append (out, entry, 46);
  g_byte_array_append (out, (const guint8 *) "x.npy", 5);
  g_byte_array_append (out, end, 22);
  return out;
}

static void
test_deflated (void)
{
  static const gint64 dims[2] = { 40, 25 };
  g_autoptr (QfNamedArray) want = make ("x", QF_F32, 2, dims);
  g_autoptr (GByteArray) zip = deflated ();
  g_autoptr (GPtrArray) list = new_list ();
  g_autoptr (GError) error = NULL;

  g_assert_true (npz_read (zip->data, zip->len, list, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (list->len, ==, 1);
  assert_same (want, list->pdata[0]);
}

/* Cut off anywhere or with any byte changed: read or refused. */
static void
test_damaged (void)
{
  g_autoptr (GByteArray) zip = deflated ();

  for (guint i = 0; i < zip->len; i++) {
    g_autofree guint8 *copy = g_memdup2 (zip->data, zip->len);
    g_autofree guint8 *cut = g_memdup2 (zip->data, i);
    g_autoptr (GPtrArray) list = new_list ();
    g_autoptr (GError) error = NULL, cut_error = NULL;

    copy[i] ^= 0xa5;
    g_assert_true (npz_read (copy, zip->len, list, &error) == (error == NULL));
    g_assert_false (npz_read (cut, i, list, &cut_error));
    g_assert_error (cut_error, QF_ERROR, QF_ERROR_FORMAT);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/arrays/round-trip", test_round_trip);
  g_test_add_func ("/arrays/deflated", test_deflated);
  g_test_add_func ("/arrays/damaged", test_damaged);
  return g_test_run ();
}
