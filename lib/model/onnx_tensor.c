/* libqfuse: constants of an ONNX file.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/onnx-private.h"

#include <math.h>
#include <string.h>

gboolean
qf_onnx_dtype (int data_type, QfDType *dtype)
{
  switch (data_type) {
    case QF_ONNX_FLOAT:
      *dtype = QF_F32;
      return TRUE;
    case QF_ONNX_UINT8:
      *dtype = QF_U8;
      return TRUE;
    case QF_ONNX_INT8:
      *dtype = QF_I8;
      return TRUE;
    case QF_ONNX_INT32:
      *dtype = QF_I32;
      return TRUE;
    case QF_ONNX_INT64:
      *dtype = QF_I64;
      return TRUE;
    case QF_ONNX_BOOL:
      *dtype = QF_BOOL;
      return TRUE;
    default:
      return FALSE;
  }
}

gboolean
qf_onnx_constant_dtype (int data_type, QfDType *dtype, int *bits)
{
  *bits = data_type == QF_ONNX_INT4 || data_type == QF_ONNX_UINT4 ? 4 : 0;
  if (*bits == 0)
    return qf_onnx_dtype (data_type, dtype);
  *dtype = data_type == QF_ONNX_INT4 ? QF_I8 : QF_U8;
  return TRUE;
}

int
qf_onnx_data_type (QfDType dtype)
{
  static const int types[] = {
    [QF_F32] = QF_ONNX_FLOAT,
    [QF_U8] = QF_ONNX_UINT8,
    [QF_I8] = QF_ONNX_INT8,
    [QF_I32] = QF_ONNX_INT32,
    [QF_I64] = QF_ONNX_INT64,
    [QF_BOOL] = QF_ONNX_BOOL,
  };

  return types[dtype];
}

void
qf_onnx_swap (QfDType dtype, void *data, gsize n)
{
#if G_BYTE_ORDER == G_BIG_ENDIAN
  if (qf_dtype_size (dtype) == 4)
    for (gsize i = 0; i < n; i++)
      ((guint32 *) data)[i] = GUINT32_SWAP_LE_BE (((guint32 *) data)[i]);
  if (qf_dtype_size (dtype) == 8)
    for (gsize i = 0; i < n; i++)
      ((guint64 *) data)[i] = GUINT64_SWAP_LE_BE (((guint64 *) data)[i]);
#endif
}

static gboolean
bad_tensor (const Onnx__TensorProto *t, const char *what, GError **error)
{
  g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "constant '%s' %s",
      t->name ? t->name : "", what);
  return FALSE;
}

/* Elements that the typed fields hold for @dtype. */
static gsize
typed_elements (const Onnx__TensorProto *t, QfDType dtype)
{
  switch (dtype) {
    case QF_F32:
      return t->n_float_data;
    case QF_I64:
      return t->n_int64_data;
    default:
      return t->n_int32_data;
  }
}

/* Number of elements, or −1 where the dims are not allowed. */
static gint64
count_elements (const Onnx__TensorProto *t)
{
  gint64 n = 1;

  if (t->n_dims > QF_MAX_RANK)
    return -1;
  for (gsize i = 0; i < t->n_dims; i++) {
    if (t->dims[i] < 0 || t->dims[i] > QF_MAX_DIM)
      return -1;
    n *= t->dims[i];
    if (n > QF_MAX_ELEMENTS)
      return -1;
  }
  return n;
}

gboolean
qf_onnx_tensor_check (const Onnx__TensorProto *t, GError **error)
{
  gint64 n = count_elements (t);
  QfDType dtype;
  gsize stored, bytes; /* in the typed fields, in raw_data */
  int bits;

  if (n < 0)
    return bad_tensor (t, "has dimensions that are not allowed", error);
  if (t->has_data_location && t->data_location == 1) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "constant '%s' is kept in another file; save the model as one file",
        t->name ? t->name : "");
    return FALSE;
  }
  if (!qf_onnx_constant_dtype (t->data_type, &dtype, &bits))
    return TRUE;
  stored = bits ? ((gsize) n + 1) / 2 : (gsize) n;
  bytes = stored * qf_dtype_size (dtype);
  if (t->has_raw_data ? t->raw_data.len != bytes
                      : typed_elements (t, dtype) != stored)
    return bad_tensor (
        t, "does not have the length that its shape asks for", error);
  return TRUE;
}

/* Elements of the narrow types from int32_data. */
static gboolean
narrow (const Onnx__TensorProto *t, QfDType dtype, guint8 *out, GError **error)
{
  int lo = dtype == QF_I8 ? -128 : 0;
  int hi = dtype == QF_I8 ? 127 : dtype == QF_BOOL ? 1 : 255;

  for (gsize i = 0; i < t->n_int32_data; i++) {
    if (t->int32_data[i] < lo || t->int32_data[i] > hi)
      return bad_tensor (t, "holds a number outside its type", error);
    out[i] = (guint8) t->int32_data[i];
  }
  return TRUE;
}

/* Two elements a byte, from raw_data or int32_data. */
static gboolean
unpack (const Onnx__TensorProto *t, gint64 n, QfDType dtype, guint8 *out,
    GError **error)
{
  for (gint64 i = 0; i < n; i++) {
    gint32 byte =
        t->has_raw_data ? t->raw_data.data[i / 2] : t->int32_data[i / 2];
    int code;

    if (byte < -128 || byte > 255)
      return bad_tensor (t, "holds a number outside its type", error);
    code = (i % 2 ? byte >> 4 : byte) & 15;
    out[i] = (guint8) (dtype == QF_I8 && code > 7 ? code - 16 : code);
  }
  return TRUE;
}

/* All but the elements. */
static gboolean
read_head (const Onnx__TensorProto *t, QfOnnxConstant *out, GError **error)
{
  if (!qf_onnx_constant_dtype (t->data_type, &out->dtype, &out->bits)) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "constant '%s' has an element type (%d) that is not supported",
        t->name ? t->name : "", t->data_type);
    return FALSE;
  }
  if (!qf_onnx_tensor_check (t, error))
    return FALSE;
  out->rank = (int) t->n_dims;
  for (int i = 0; i < out->rank; i++)
    out->dims[i] = t->dims[i];
  out->n = count_elements (t);
  return TRUE;
}

/* Numbers of 64 bits are taken as float32: exporters write plain constants so.
 */
static gboolean
read_double (const Onnx__TensorProto *t, QfOnnxConstant *out, GError **error)
{
  gint64 n = count_elements (t);
  float *to;

  if (n < 0)
    return bad_tensor (t, "has dimensions that are not allowed", error);
  if (!t->has_raw_data || t->raw_data.len != (gsize) n * 8)
    return bad_tensor (
        t, "does not have the length that its shape asks for", error);
  *out = (QfOnnxConstant){ .dtype = QF_F32, .rank = (int) t->n_dims, .n = n };
  for (int i = 0; i < out->rank; i++)
    out->dims[i] = t->dims[i];
  out->data = to = g_new0 (float, MAX (n, 1));
  for (gint64 i = 0; i < n; i++) {
    guint64 bits;
    double v;

    memcpy (&bits, t->raw_data.data + 8 * i, 8);
    bits = GUINT64_FROM_LE (bits);
    memcpy (&v, &bits, 8);
    /* beyond float32's range C leaves it open */
    to[i] = v > G_MAXFLOAT ? INFINITY : v < -G_MAXFLOAT ? -INFINITY : (float) v;
  }
  return TRUE;
}

gboolean
qf_onnx_tensor_take (Onnx__TensorProto *t, QfOnnxConstant *out, GError **error)
{
  if (!t->has_raw_data || t->raw_data.len == 0 ||
      t->data_type == QF_ONNX_DOUBLE || t->data_type == QF_ONNX_INT4 ||
      t->data_type == QF_ONNX_UINT4)
    return qf_onnx_tensor_read (t, out, error);
  if (!read_head (t, out, error))
    return FALSE;
  out->data = g_steal_pointer (&t->raw_data.data);
  t->raw_data.len = 0;
  qf_onnx_swap (out->dtype, out->data, (gsize) out->n);
  return TRUE;
}

gboolean
qf_onnx_tensor_read (
    const Onnx__TensorProto *t, QfOnnxConstant *out, GError **error)
{
  gsize bytes;

  if (t->data_type == QF_ONNX_DOUBLE)
    return read_double (t, out, error);
  if (!read_head (t, out, error))
    return FALSE;
  bytes = (gsize) out->n * qf_dtype_size (out->dtype);
  out->data = g_malloc0 (MAX (bytes, 1));
  if (bytes == 0)
    return TRUE;
  if (out->bits) {
    if (!unpack (t, out->n, out->dtype, out->data, error)) {
      g_clear_pointer (&out->data, g_free);
      return FALSE;
    }
  } else if (t->has_raw_data) {
    memcpy (out->data, t->raw_data.data, bytes);
    qf_onnx_swap (out->dtype, out->data, (gsize) out->n);
  } else if (out->dtype == QF_F32) {
    memcpy (out->data, t->float_data, bytes);
  } else if (out->dtype == QF_I64) {
    memcpy (out->data, t->int64_data, bytes);
  } else if (out->dtype == QF_I32) {
    memcpy (out->data, t->int32_data, bytes);
  } else if (!narrow (t, out->dtype, out->data, error)) {
    g_clear_pointer (&out->data, g_free);
    return FALSE;
  }
  return TRUE;
}

gboolean
qf_onnx_attribute_read (
    const Onnx__AttributeProto *a, QfOnnxConstant *out, GError **error)
{
  const void *data = NULL;

  if (a->t)
    return qf_onnx_tensor_read (a->t, out, error);
  out->rank = 0;
  out->bits = 0;
  out->n = 1;
  if (g_strcmp0 (a->name, "value_float") == 0) {
    out->dtype = QF_F32;
    data = &a->f;
  } else if (g_strcmp0 (a->name, "value_int") == 0) {
    out->dtype = QF_I64;
    data = &a->i;
  } else if (g_strcmp0 (a->name, "value_floats") == 0) {
    out->dtype = QF_F32;
    out->rank = 1;
    out->n = (gint64) a->n_floats;
    data = a->floats;
  } else if (g_strcmp0 (a->name, "value_ints") == 0) {
    out->dtype = QF_I64;
    out->rank = 1;
    out->n = (gint64) a->n_ints;
    data = a->ints;
  } else {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "a Constant node holds '%s', which is not supported",
        a->name ? a->name : "");
    return FALSE;
  }
  if (out->n > QF_MAX_DIM) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "a Constant node has more than %d elements", QF_MAX_DIM);
    return FALSE;
  }
  out->dims[0] = out->n;
  out->data = g_malloc0 (MAX ((gsize) out->n * qf_dtype_size (out->dtype), 1));
  if (out->n)
    memcpy (out->data, data, (gsize) out->n * qf_dtype_size (out->dtype));
  return TRUE;
}
