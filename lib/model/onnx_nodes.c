/* libqfuse: the operators of an ONNX file.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/onnx-private.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- inputs ------------------------------------------------------------- */

QfNode *
qf_onnx_add_node (QfOnnxReader *r, const Onnx__NodeProto *node, QfOp op,
    gsize n, GError **error)
{
  g_autofree int *in = NULL;
  QfNode *made;

  n = MIN (n, node->n_input);
  while (n > 0 && !qf_onnx_input_name (node, n - 1))
    n--;
  in = g_new (int, n + 1);
  for (gsize i = 0; i < n; i++) {
    const char *name = qf_onnx_input_name (node, i);

    in[i] = name ? qf_onnx_value (r, name, error) : -1;
    if (name && in[i] < 0)
      return NULL;
  }
  made = qf_graph_add_node (r->graph, op, node->output[0], (int) n, in);
  g_free (made->name);
  made->name = g_strdup (qf_onnx_node_name (node));
  return made;
}

static const QfValue *
input_value (const QfOnnxReader *r, const QfNode *n, int i)
{
  return i < n->n_in && n->in[i] >= 0 ? qf_graph_value (r->graph, n->in[i])
                                      : NULL;
}

/* ---- windows ------------------------------------------------------------ */

static gboolean
auto_pad (
    const Onnx__NodeProto *node, const QfValue *x, QfWindow *w, GError **error)
{
  gboolean lower;
  char mode[32];

  if (!qf_onnx_get_text (node, "auto_pad", "NOTSET", mode, error))
    return FALSE;
  if (strcmp (mode, "NOTSET") == 0 || mode[0] == '\0')
    return TRUE;
  memset (w->pad, 0, sizeof w->pad);
  if (strcmp (mode, "VALID") == 0)
    return TRUE;
  lower = strcmp (mode, "SAME_LOWER") == 0;
  if (!lower && strcmp (mode, "SAME_UPPER") != 0)
    return FAIL (QF_ERROR_UNSUPPORTED, "auto_pad %s is not supported", mode);
  for (int i = 0; x && x->rank == 4 && i < 2; i++) {
    gint64 out, total;

    if (w->stride[i] < 1 || w->kernel[i] < 1 || w->dilation[i] < 1)
      return TRUE; /* judged later */
    out = (x->dims[2 + i] + w->stride[i] - 1) / w->stride[i];
    total = (out - 1) * w->stride[i] +
        (gint64) (w->kernel[i] - 1) * w->dilation[i] + 1 - x->dims[2 + i];
    total = CLAMP (total, 0, G_MAXINT);
    w->pad[i] = (int) (lower ? total - total / 2 : total / 2);
    w->pad[i + 2] = (int) total - w->pad[i];
  }
  return TRUE;
}

/* kernel_shape must be set in @w where the attribute may be absent. */
static gboolean
read_window (
    const Onnx__NodeProto *node, const QfValue *x, QfWindow *w, GError **error)
{
  return qf_onnx_get_ints (node, "kernel_shape", 2, w->kernel, error) &&
      qf_onnx_get_ints (node, "strides", 2, w->stride, error) &&
      qf_onnx_get_ints (node, "dilations", 2, w->dilation, error) &&
      qf_onnx_get_ints (node, "pads", 4, w->pad, error) &&
      auto_pad (node, x, w, error);
}

static gboolean
read_conv (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  QfNode *n = *out = qf_onnx_add_node (r, node, QF_OP_CONV, 3, error);
  const QfValue *w;
  int kernel[2] = { 1, 1 };

  if (!n)
    return FALSE;
  w = input_value (r, n, 1);
  if (w && w->rank == 4)
    for (int i = 0; i < 2; i++)
      kernel[i] = n->win.kernel[i] = (int) w->dims[2 + i];
  if (!qf_onnx_get_int (node, "group", &n->win.groups, error) ||
      !read_window (node, input_value (r, n, 0), &n->win, error))
    return FALSE;
  if (w && w->rank == 4 &&
      (n->win.kernel[0] != kernel[0] || n->win.kernel[1] != kernel[1]))
    return FAIL (QF_ERROR_FORMAT, "kernel_shape is not that of its weights");
  return TRUE;
}

/* ceil_mode lets a last window hang over the end: the same as more padding. */
static void
ceil_pads (const QfValue *x, QfWindow *w)
{
  for (int i = 0; i < 2; i++) {
    gint64 extent = (gint64) (w->kernel[i] - 1) * w->dilation[i] + 1;
    gint64 begin = w->pad[i], in = x->dims[2 + i], out, end;

    if (w->stride[i] < 1 || in + begin + w->pad[i + 2] < extent)
      continue; /* judged later */
    out = (in + begin + w->pad[i + 2] - extent + w->stride[i] - 1) /
            w->stride[i] +
        1;
    if ((out - 1) * w->stride[i] >= in + begin)
      out--; /* it would hold nothing but padding */
    end = (out - 1) * w->stride[i] + extent - in - begin;
    w->pad[i + 2] = (int) CLAMP (end, w->pad[i + 2], G_MAXINT);
  }
}

static gboolean
read_max_pool (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  QfNode *n = *out = qf_onnx_add_node (r, node, QF_OP_MAX_POOL, 1, error);
  const QfValue *x;
  int ceil_mode = 0;

  if (!n)
    return FALSE;
  if (!qf_onnx_find_attribute (node, "kernel_shape"))
    return FAIL (QF_ERROR_FORMAT, "it has no kernel_shape");
  x = input_value (r, n, 0);
  if (!read_window (node, x, &n->win, error) ||
      !qf_onnx_get_int (node, "ceil_mode", &ceil_mode, error) ||
      !qf_onnx_must_be (node, "storage_order", 0, error))
    return FALSE;
  if (ceil_mode && x && x->rank == 4)
    ceil_pads (x, &n->win);
  return TRUE;
}

/* Windows that ceil_mode lets hang over count less than the padding does. */
static gboolean
read_average_pool (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  QfNode *n;
  int include = 0, pad[2];

  if (!read_max_pool (r, node, out, error) ||
      !qf_onnx_get_int (node, "count_include_pad", &include, error))
    return FALSE;
  n = *out;
  n->op = QF_OP_AVERAGE_POOL;
  n->include_pad = include != 0;
  if (include && qf_onnx_find_attribute (node, "ceil_mode")) {
    int all[4] = { 0 };

    if (!qf_onnx_get_ints (node, "pads", 4, all, error))
      return FALSE;
    pad[0] = all[2];
    pad[1] = all[3];
    if (!qf_onnx_find_attribute (node, "auto_pad") &&
        (n->win.pad[2] != pad[0] || n->win.pad[3] != pad[1]))
      return FAIL (QF_ERROR_UNSUPPORTED,
          "ceil_mode with count_include_pad is not supported where a window "
          "hangs over");
  }
  return TRUE;
}

/* ---- pointwise ---------------------------------------------------------- */

static gboolean
read_leaky_relu (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  QfNode *n = *out = qf_onnx_add_node (r, node, QF_OP_LEAKY_RELU, 1, error);

  if (!n)
    return FALSE;
  n->alpha = 0.01f;
  return qf_onnx_get_float (node, "alpha", &n->alpha, error);
}

static gboolean
read_hard_swish (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  *out = qf_onnx_add_node (r, node, QF_OP_HARD_SWISH, 1, error);
  return *out != NULL;
}

static gboolean
read_relu (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  *out = qf_onnx_add_node (r, node, QF_OP_RELU, 1, error);
  return *out != NULL;
}

static gboolean
read_sigmoid (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  *out = qf_onnx_add_node (r, node, QF_OP_SIGMOID, 1, error);
  return *out != NULL;
}

/* A float constant of one element; @x stays where the input is absent. */
static gboolean
get_scalar_input (const QfOnnxReader *r, const Onnx__NodeProto *node, gsize i,
    float *x, GError **error)
{
  const char *name = qf_onnx_input_name (node, i);
  QfOnnxConstant k;
  gboolean ok;

  if (!name)
    return TRUE;
  if (!qf_onnx_is_constant (r, name))
    return FAIL (QF_ERROR_UNSUPPORTED, "'%s' is no constant", name);
  if (!qf_onnx_constant (r, name, &k, error))
    return FALSE;
  ok = k.dtype == QF_F32 && k.n == 1;
  if (ok)
    *x = *(const float *) k.data;
  g_free (k.data);
  return ok || FAIL (QF_ERROR_UNSUPPORTED, "'%s' is no single float32", name);
}

static gboolean
read_clip (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  QfNode *n = *out = qf_onnx_add_node (r, node, QF_OP_CLIP, 1, error);
  gboolean ok;

  if (!n)
    return FALSE;
  if (r->opset < 11)
    ok = qf_onnx_get_float (node, "min", &n->lo, error) &&
        qf_onnx_get_float (node, "max", &n->hi, error);
  else
    ok = get_scalar_input (r, node, 1, &n->lo, error) &&
        get_scalar_input (r, node, 2, &n->hi, error);
  if (n->lo <= -FLT_MAX)
    n->lo = -INFINITY;
  if (n->hi >= FLT_MAX)
    n->hi = INFINITY;
  return ok;
}

static gboolean
read_batch_norm (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  QfNode *n = *out = qf_onnx_add_node (r, node, QF_OP_BATCH_NORM, 5, error);

  return n && qf_onnx_must_be (node, "training_mode", 0, error) &&
      qf_onnx_must_be (node, "spatial", 1, error) &&
      qf_onnx_get_float (node, "epsilon", &n->epsilon, error);
}

/* ---- several inputs, shapes --------------------------------------------- */

static gboolean
read_add (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  *out = qf_onnx_add_node (r, node, QF_OP_ADD, 2, error);
  return *out != NULL;
}

static gboolean
read_mul (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  *out = qf_onnx_add_node (r, node, QF_OP_MUL, 2, error);
  return *out != NULL;
}

static gboolean
read_concat (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  QfNode *n = *out = qf_onnx_add_node (r, node, QF_OP_CONCAT, node->n_input, error);

  if (!n)
    return FALSE;
  if (!qf_onnx_find_attribute (node, "axis"))
    return FAIL (QF_ERROR_FORMAT, "it has no axis");
  return qf_onnx_get_int (node, "axis", &n->axis, error);
}

static gboolean
read_average (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  *out = qf_onnx_add_node (r, node, QF_OP_GLOBAL_AVG_POOL, 1, error);
  return *out != NULL;
}

static gboolean
read_flatten (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  QfNode *n = *out = qf_onnx_add_node (r, node, QF_OP_FLATTEN, 1, error);

  return n && qf_onnx_get_int (node, "axis", &n->axis, error);
}

/* Reshape to [N, everything else], which is Flatten. */
static gboolean
read_reshape (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  QfNode *n = *out = qf_onnx_add_node (r, node, QF_OP_FLATTEN, 1, error);
  const char *name = qf_onnx_input_name (node, 1);
  const QfValue *x = n ? input_value (r, n, 0) : NULL;
  gint64 rest = 1, shape[2] = { 0 };
  gboolean flat;
  QfOnnxConstant k;

  if (!n)
    return FALSE;
  if (!x || !name || !qf_onnx_is_constant (r, name))
    return FAIL (QF_ERROR_UNSUPPORTED, "its shape is no constant");
  if (!qf_onnx_constant (r, name, &k, error))
    return FALSE;
  flat = k.dtype == QF_I64 && k.n == 2;
  if (flat)
    memcpy (shape, k.data, sizeof shape);
  g_free (k.data);
  for (int i = 1; i < x->rank; i++)
    rest *= x->dims[i];
  if (!flat || (shape[0] == -1 && shape[1] == -1) ||
      (shape[0] != -1 && shape[0] != 0 && shape[0] != 1) ||
      (shape[1] != -1 && shape[1] != rest))
    return FAIL (QF_ERROR_UNSUPPORTED,
        "only a shape of [batch, everything else] is supported");
  return TRUE;
}

/* ---- resize ------------------------------------------------------------- */

/* Whole-number factors of rows and columns from scales or sizes, of which the
 * last @n concern @x (4, or 2 with `axes`). */
static gboolean
whole_factors (
    const QfOnnxConstant *k, const QfValue *x, gboolean sizes, int *factor)
{
  gint64 first = 4 - k->n;

  if ((k->n != 4 && k->n != 2) || x->rank != 4 ||
      k->dtype != (sizes ? QF_I64 : QF_F32))
    return FALSE;
  for (gint64 i = 0; i < k->n; i++) {
    gint64 dim = x->dims[first + i];
    double f = sizes ? (double) ((const gint64 *) k->data)[i] / (double) dim
                     : (double) ((const float *) k->data)[i];

    if (!(f >= 1 && f <= QF_MAX_DIM) || f != floor (f) ||
        (first + i < 2 && f != 1))
      return FALSE;
    if (first + i >= 2)
      factor[first + i - 2] = (int) f;
  }
  return TRUE;
}

/* For whole factors the half-pixel modes with rounding, and asymmetric with
 * floor, all repeat each element: x = f·i + j maps to i + (j + ½)/f − ½, less
 * than ½ away from i, or to i + j/f. */
static gboolean
repeats_elements (const Onnx__NodeProto *node, int opset, const int *factor,
    gboolean *repeats, GError **error)
{
  char mode[32], where[32], rounding[32], policy[32];
  gboolean old = opset < 11;
  gboolean half, whole;

  if (!qf_onnx_get_text (node, "mode", "nearest", mode, error) ||
      !qf_onnx_get_text (node, "coordinate_transformation_mode",
          old ? "asymmetric" : "half_pixel", where, error) ||
      !qf_onnx_get_text (node, "nearest_mode",
          old ? "floor" : "round_prefer_floor", rounding, error) ||
      !qf_onnx_get_text (
          node, "keep_aspect_ratio_policy", "stretch", policy, error))
    return FALSE;
  half = strcmp (where, "half_pixel") == 0 ||
      strcmp (where, "half_pixel_symmetric") == 0;
  whole = strcmp (where, "asymmetric") == 0;
  *repeats = strcmp (mode, "nearest") == 0 && strcmp (policy, "stretch") == 0 &&
      ((half && g_str_has_prefix (rounding, "round_prefer_")) ||
          (whole && strcmp (rounding, "floor") == 0) ||
          (whole && strcmp (rounding, "round_prefer_floor") == 0 &&
              factor[0] <= 2 && factor[1] <= 2));
  return TRUE;
}

/* Resize of opset 10 and Upsample have (x, scales), later ones (x, roi, scales,
 * sizes). */
static gboolean
read_resize (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  QfNode *n = *out = qf_onnx_add_node (r, node, QF_OP_RESIZE_NEAREST, 1, error);
  gsize at = strcmp (node->op_type, "Upsample") == 0 || r->opset < 11 ? 1 : 2;
  const char *scales = qf_onnx_input_name (node, at);
  const char *sizes = at == 2 ? qf_onnx_input_name (node, 3) : NULL;
  int factor[2] = { 1, 1 }, axes[2] = { 2, 3 };
  gboolean ok, repeats;
  QfOnnxConstant k = { 0 };

  if (!n)
    return FALSE;
  if (scales && qf_onnx_is_constant (r, scales) &&
      !qf_onnx_constant (r, scales, &k, error))
    return FALSE;
  if (k.n == 0 && sizes) { /* empty scales stand for none */
    g_clear_pointer (&k.data, g_free);
    scales = NULL;
    if (qf_onnx_is_constant (r, sizes) &&
        !qf_onnx_constant (r, sizes, &k, error))
      return FALSE;
  }
  ok = k.data && input_value (r, n, 0) &&
      whole_factors (&k, input_value (r, n, 0), !scales, factor);
  g_free (k.data);
  if (!repeats_elements (node, r->opset, factor, &repeats, error) ||
      (qf_onnx_find_attribute (node, "axes") &&
          !qf_onnx_get_ints (node, "axes", 2, axes, error)))
    return FALSE;
  if (!ok || !repeats || axes[0] != 2 || axes[1] != 3 ||
      (k.n == 2 && !qf_onnx_find_attribute (node, "axes")))
    return FAIL (QF_ERROR_UNSUPPORTED,
        "only nearest-neighbour enlarging of "
        "rows and columns by constant whole factors is supported");
  n->scale_h = factor[0];
  n->scale_w = factor[1];
  return TRUE;
}

/* ---- quantization ------------------------------------------------------- */

static gboolean
read_quantization (QfOnnxReader *r, const Onnx__NodeProto *node, QfOp op,
    QfNode **out, GError **error)
{
  QfNode *n = *out = qf_onnx_add_node (r, node, op, 3, error);

  if (!n)
    return FALSE;
  n->axis = 1;
  return qf_onnx_get_int (node, "axis", &n->axis, error) &&
      qf_onnx_must_be (node, "block_size", 0, error) &&
      (op == QF_OP_DEQUANTIZE || (n->n_in > 2 && n->in[2] >= 0) ||
          !qf_onnx_find_attribute (node, "output_dtype") ||
          qf_onnx_must_be (node, "output_dtype", QF_ONNX_UINT8, error));
}

static gboolean
read_quantize (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  return read_quantization (r, node, QF_OP_QUANTIZE, out, error);
}

static gboolean
read_dequantize (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error)
{
  return read_quantization (r, node, QF_OP_DEQUANTIZE, out, error);
}

/* ---- all ---------------------------------------------------------------- */

typedef gboolean (*ReadNode) (
    QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out, GError **error);

static const struct
{
  const char *type;
  ReadNode read;
} readers[] = {
  { "Conv", read_conv },
  { "BatchNormalization", read_batch_norm },
  { "Relu", read_relu },
  { "Clip", read_clip },
  { "Sigmoid", read_sigmoid },
  { "LeakyRelu", read_leaky_relu },
  { "HardSwish", read_hard_swish },
  { "Add", read_add },
  { "Mul", read_mul },
  { "Concat", read_concat },
  { "Slice", qf_onnx_read_slice },
  { "Gather", qf_onnx_read_gather },
  { "MaxPool", read_max_pool },
  { "AveragePool", read_average_pool },
  { "GlobalAveragePool", read_average },
  { "Resize", read_resize },
  { "Upsample", read_resize },
  { "Gemm", qf_onnx_read_gemm },
  { "Flatten", read_flatten },
  { "Reshape", read_reshape },
  { "QuantizeLinear", read_quantize },
  { "DequantizeLinear", read_dequantize },
};

/* Identity, and Dropout when a network is only run: another name. */
static gboolean
read_alias (QfOnnxReader *r, const Onnx__NodeProto *node, GError **error)
{
  const char *name = qf_onnx_input_name (node, 0);
  int v;

  if (!name)
    return FAIL (QF_ERROR_FORMAT, "input 1 is missing");
  v = qf_onnx_value (r, name, error);
  if (v < 0)
    return FALSE;
  g_hash_table_insert (r->values, node->output[0], GINT_TO_POINTER (v + 1));
  if (g_hash_table_contains (r->tensors, name))
    g_hash_table_insert (
        r->tensors, node->output[0], g_hash_table_lookup (r->tensors, name));
  if (g_hash_table_contains (r->attributes, name))
    g_hash_table_insert (r->attributes, node->output[0],
        g_hash_table_lookup (r->attributes, name));
  return TRUE;
}

gboolean
qf_onnx_read_node (QfOnnxReader *r, const Onnx__NodeProto *node, GError **error)
{
  gboolean own = !node->domain || !node->domain[0] ||
      strcmp (node->domain, "ai.onnx") == 0;
  g_autoptr (GError) err = NULL;
  QfNode *n = NULL;

  if (own &&
      (strcmp (node->op_type, "Identity") == 0 ||
          strcmp (node->op_type, "Dropout") == 0)) {
    if (read_alias (r, node, &err))
      return TRUE;
  } else if (own && strcmp (node->op_type, "Split") == 0) {
    if (qf_onnx_read_split (r, node, &err))
      return TRUE;
  } else {
    gsize i = 0;

    while (i < G_N_ELEMENTS (readers) &&
        strcmp (node->op_type, readers[i].type) != 0)
      i++;
    if (!own || i == G_N_ELEMENTS (readers)) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
          "node '%s' is of operator %s%s%s, which is not supported",
          qf_onnx_node_name (node), own ? "" : node->domain, own ? "" : ".",
          node->op_type);
      return FALSE;
    }
    if (readers[i].read (r, node, &n, &err)) {
      if (!qf_check_node (&r->check, n, error))
        return FALSE;
      g_hash_table_insert (r->values, qf_graph_value (r->graph, n->out)->name,
          GINT_TO_POINTER (n->out + 1));
      return TRUE;
    }
  }
  return qf_node_error (error, err->code, qf_onnx_node_name (node),
      node->op_type, "%s", err->message);
}
