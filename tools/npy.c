/* qfuse: NumPy's .npy.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Format: numpy/lib/format.py. Little endian, C order. float64 becomes float32.
 */
#include "arrays.h"

#include <stdio.h>
#include <string.h>

static QfNamedArray *
bad (GError **error, const char *what)
{
  g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "%s", what);
  return NULL;
}

/* The value of @key in a header such as {'descr': '<f4', …}. */
static const char *
value_of (const char *header, const char *key)
{
  const char *p = strstr (header, key);

  p = p ? strchr (p, ':') : NULL;
  if (!p)
    return NULL;
  for (p++; *p == ' '; p++)
    ;
  return p;
}

static gboolean
read_shape (const char *p, QfNamedArray *a)
{
  gint64 n = 1;

  if (!p || *p++ != '(')
    return FALSE;
  for (;;) {
    char *end;

    while (*p == ' ' || *p == ',')
      p++;
    if (*p == ')')
      return TRUE;
    if (!g_ascii_isdigit (*p) || a->rank == QF_MAX_RANK)
      return FALSE;
    a->dims[a->rank] = g_ascii_strtoll (p, &end, 10);
    if (a->dims[a->rank] > QF_MAX_ELEMENTS ||
        (n *= MAX (a->dims[a->rank], 1)) > QF_MAX_ELEMENTS)
      return FALSE;
    a->rank++;
    p = end;
  }
}

static gboolean
read_type (const char *p, QfDType *dtype, gboolean *is_double)
{
  static const struct
  {
    const char *code;
    QfDType dtype;
  } types[] = { { "f4", QF_F32 }, { "f8", QF_F32 }, { "u1", QF_U8 },
    { "i1", QF_I8 }, { "i4", QF_I32 }, { "i8", QF_I64 }, { "b1", QF_BOOL } };

  if (!p || (*p != '\'' && *p != '"') || !strchr ("<|=", p[1]))
    return FALSE;
  *is_double = strncmp (p + 2, "f8", 2) == 0;
  for (gsize i = 0; i < G_N_ELEMENTS (types); i++)
    if (strncmp (p + 2, types[i].code, 2) == 0) {
      *dtype = types[i].dtype;
      return TRUE;
    }
  return FALSE;
}

QfNamedArray *
npy_read (const guint8 *data, gsize size, const char *name, GError **error)
{
  g_autoptr (QfNamedArray) a = g_new0 (QfNamedArray, 1);
  g_autofree char *header = NULL;
  gboolean is_double;
  gsize start, length, n, bytes;
  const char *order;

  if (size < 12 || memcmp (data, "\x93NUMPY", 6) != 0)
    return bad (error, "is no .npy file");
  start = data[6] == 1 ? 10 : 12;
  length = data[8] | (gsize) data[9] << 8;
  if (data[6] > 1)
    length |= (gsize) data[10] << 16 | (gsize) data[11] << 24;
  if (length > size - start)
    return bad (error, "its header is cut off");
  header = g_strndup ((const char *) data + start, length);
  order = value_of (header, "fortran_order");
  a->name = g_strdup (name);
  if (!order || g_str_has_prefix (order, "True"))
    return bad (
        error, "is not in C order; save numpy.ascontiguousarray() of it");
  if (!read_type (value_of (header, "descr"), &a->dtype, &is_double))
    return bad (error,
        "is of a type that is not supported; float32, float64, "
        "uint8, int8, int32, int64 and bool are");
  if (!read_shape (value_of (header, "shape"), a))
    return bad (error, "has a shape that is not supported");
  n = (gsize) qf_named_array_elements (a);
  bytes = n * (is_double ? 8 : qf_dtype_size (a->dtype));
  if (bytes > size - start - length)
    return bad (error, "is cut off");
  data += start + length;
  a->data = g_malloc0 (MAX (n * qf_dtype_size (a->dtype), 8));
  for (gsize i = 0; is_double && i < n; i++) {
    double v;

    memcpy (&v, data + 8 * i, 8);
    ((float *) a->data)[i] = (float) v;
  }
  if (!is_double && bytes)
    memcpy (a->data, data, bytes);
  return g_steal_pointer (&a);
}

GByteArray *
npy_write (const QfNamedArray *a)
{
  static const char *const types[] = { [QF_F32] = "<f4",
    [QF_U8] = "|u1",
    [QF_I8] = "|i1",
    [QF_I32] = "<i4",
    [QF_I64] = "<i8",
    [QF_BOOL] = "|b1" };
  g_autoptr (GString) h = g_string_new (NULL);
  GByteArray *out = g_byte_array_new ();
  guint8 head[10] = "\x93NUMPY\x01";

  g_string_printf (
      h, "{'descr': '%s', 'fortran_order': False, 'shape': (", types[a->dtype]);
  for (int i = 0; i < a->rank; i++)
    g_string_append_printf (
        h, "%" G_GINT64_FORMAT ",%s", a->dims[i], i + 1 < a->rank ? " " : "");
  g_string_append (h, "), }");
  while ((10 + h->len + 1) % 64)
    g_string_append_c (h, ' ');
  g_string_append_c (h, '\n');
  head[8] = (guint8) h->len;
  head[9] = (guint8) (h->len >> 8);
  g_byte_array_append (out, head, sizeof head);
  g_byte_array_append (out, (const guint8 *) h->str, (guint) h->len);
  if (qf_named_array_elements (a))
    g_byte_array_append (out, a->data,
        (guint) ((gsize) qf_named_array_elements (a) *
            qf_dtype_size (a->dtype)));
  return out;
}
