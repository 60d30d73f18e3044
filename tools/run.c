/* qfuse: runs a model on arrays.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run.h"

#include <string.h>

static QfModel *
load (const char *path, const GPtrArray *in, GError **error)
{
  g_autofree QfBinding *b = g_new0 (QfBinding, in->len + 1);

  for (guint i = 0; i < in->len; i++) {
    const QfNamedArray *a = g_ptr_array_index (in, i);

    b[i] = (QfBinding){ .name = a->name[0] ? a->name : NULL,
      .dtype = a->dtype,
      .rank = a->rank,
      .data = a->data };
    memcpy (b[i].dims, a->dims, sizeof b[i].dims);
  }
  return qf_model_load_bound (path, b, (int) in->len, error);
}

static const QfNamedArray *
find (const GPtrArray *in, const char *name, int position)
{
  for (guint i = 0; i < in->len; i++) {
    const QfNamedArray *a = g_ptr_array_index (in, i);

    if (a->name[0] ? strcmp (a->name, name) == 0 : (int) i == position)
      return a;
  }
  return NULL;
}

static gboolean
fill_inputs (
    const QfModel *model, QfEngine *e, const GPtrArray *in, GError **error)
{
  for (int i = 0; i < qf_model_n_inputs (model); i++) {
    gint64 dims[QF_MAX_RANK];
    QfDType dtype;
    int rank;
    const char *name = qf_model_input (model, i, &dtype, &rank, dims);
    const QfNamedArray *a = find (in, name, i);

    if (!a) {
      g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
          "nothing is given for input '%s'", name);
      return FALSE;
    }
    if (qf_named_array_elements (a))
      memcpy (qf_engine_input (e, i)->data, a->data,
          (gsize) qf_named_array_elements (a) * qf_dtype_size (a->dtype));
  }
  return TRUE;
}

/* Output @i in ONNX's order; codes that were dequantized last as numbers. */
static QfNamedArray *
take_output (const QfModel *model, const QfEngine *e, int i)
{
  QfNamedArray *a = g_new0 (QfNamedArray, 1);
  const QfTensor *t = qf_engine_output (e, i);
  gsize size = qf_dtype_size (t->dtype), at = 0, n;

  a->name = g_strdup (qf_model_output (model, i, &a->dtype, &a->rank, a->dims));
  a->rank = qf_engine_output_dims (e, i, a->dims);
  n = (gsize) qf_named_array_elements (a);
  a->data = g_malloc0 (MAX (n * qf_dtype_size (a->dtype), 8));
  if (t->layout == QF_NCHW && n)
    memcpy (a->data, t->data, n * size);
  for (int c = 0; t->layout == QF_NHWC && c < t->c; c++)
    for (int y = 0; y < t->h; y++)
      for (int x = 0; x < t->w; x++, at++)
        if (a->dtype == QF_F32 && t->dtype != QF_F32)
          ((float *) a->data)[at] = qf_tensor_at (t, c, y, x);
        else
          memcpy ((guint8 *) a->data + at * size,
              (const guint8 *) t->data + qf_tensor_index (t, c, y, x) * size,
              size);
  return a;
}

GPtrArray *
run_on_arrays (
    const char *model_path, const GPtrArray *in, int threads, GError **error)
{
  g_autoptr (QfModel) model = load (model_path, in, error);
  g_autoptr (QfEngine) e = NULL;
  GPtrArray *out;

  if (!model)
    return NULL;
  e = qf_engine_new (model, threads, error);
  if (!e || !fill_inputs (model, e, in, error))
    return NULL;
  qf_engine_run (e);
  if (qf_engine_trouble (e)) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED, "%s",
        qf_engine_trouble (e));
    return NULL;
  }
  out = g_ptr_array_new_with_free_func ((GDestroyNotify) qf_named_array_free);
  for (int i = 0; i < qf_model_n_outputs (model); i++)
    g_ptr_array_add (out, take_output (model, e, i));
  return out;
}
