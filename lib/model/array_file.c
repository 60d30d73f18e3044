/* libqfuse: ONNX TensorProto files.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/array_file.h"
#include "model/onnx-private.h"

#include <string.h>

void
qf_named_array_free (QfNamedArray *a)
{
  if (!a)
    return;
  g_free (a->name);
  g_free (a->data);
  g_free (a);
}

gint64
qf_named_array_elements (const QfNamedArray *a)
{
  gint64 n = 1;

  for (int i = 0; i < a->rank; i++)
    n *= a->dims[i];
  return n;
}

QfNamedArray *
qf_named_array_from_pb (GBytes *bytes, GError **error)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  Onnx__TensorProto *t = onnx__tensor_proto__unpack (NULL, size, data);
  QfNamedArray *a = NULL;
  QfOnnxConstant k;

  if (!t) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "is no ONNX tensor");
    return NULL;
  }
  if (qf_onnx_tensor_read (t, &k, error)) {
    a = g_new0 (QfNamedArray, 1);
    a->name = g_strdup (
        t->name && g_utf8_validate (t->name, -1, NULL) ? t->name : "");
    a->dtype = k.dtype;
    a->rank = k.rank;
    memcpy (a->dims, k.dims, sizeof a->dims);
    a->data = k.data;
  }
  onnx__tensor_proto__free_unpacked (t, NULL);
  return a;
}

GBytes *
qf_named_array_to_pb (const QfNamedArray *a)
{
  Onnx__TensorProto t = ONNX__TENSOR_PROTO__INIT;
  gsize n = (gsize) qf_named_array_elements (a), size;
  gsize bytes = n * qf_dtype_size (a->dtype);
  g_autofree guint8 *data = g_memdup2 (a->data, bytes);
  guint8 *out;

  qf_onnx_swap (a->dtype, data, n);
  t.n_dims = (gsize) a->rank;
  t.dims = (gint64 *) a->dims;
  t.has_data_type = t.has_raw_data = TRUE;
  t.data_type = qf_onnx_data_type (a->dtype);
  t.name = a->name;
  t.raw_data.len = bytes;
  t.raw_data.data = data;
  size = onnx__tensor_proto__get_packed_size (&t);
  out = g_malloc (MAX (size, 1));
  onnx__tensor_proto__pack (&t, out);
  return g_bytes_new_take (out, size);
}
