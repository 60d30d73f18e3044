/* libqfuse: the operators of an ONNX file.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/onnx-private.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define FAIL(code, ...)                                                        \
  (g_set_error (error, QF_ERROR, code, __VA_ARGS__), FALSE)

const char *
qf_onnx_node_name (const Onnx__NodeProto *node)
{
  if (node->name && node->name[0])
    return node->name;
  return node->n_output ? node->output[0] : "";
}

/* ---- attributes --------------------------------------------------------- */

static const Onnx__AttributeProto *
find_attribute (const Onnx__NodeProto *node, const char *name)
{
  for (gsize i = 0; i < node->n_attribute; i++)
    if (g_strcmp0 (node->attribute[i]->name, name) == 0)
      return node->attribute[i];
  return NULL;
}

/* Sets @a to NULL where the node has no such attribute. */
static gboolean
get_attribute (const Onnx__NodeProto *node, const char *name, int type,
               const Onnx__AttributeProto **a, GError **error)
{
  *a = find_attribute (node, name);
  if (*a && (*a)->has_type && (*a)->type != type)
    return FAIL (QF_ERROR_FORMAT, "its attribute '%s' has the wrong type",
                 name);
  return TRUE;
}

/* The value stays as it is where the node has no such attribute. */
static gboolean
get_int (const Onnx__NodeProto *node, const char *name, int *value,
         GError **error)
{
  const Onnx__AttributeProto *a;

  if (!get_attribute (node, name, QF_ONNX_ATTR_INT, &a, error))
    return FALSE;
  if (a && (a->i < G_MININT || a->i > G_MAXINT))
    return FAIL (QF_ERROR_FORMAT, "its attribute '%s' is out of range", name);
  if (a)
    *value = (int)a->i;
  return TRUE;
}

static gboolean
get_float (const Onnx__NodeProto *node, const char *name, float *value,
           GError **error)
{
  const Onnx__AttributeProto *a;

  if (!get_attribute (node, name, QF_ONNX_ATTR_FLOAT, &a, error))
    return FALSE;
  if (a)
    *value = a->f;
  return TRUE;
}

static gboolean
get_ints (const Onnx__NodeProto *node, const char *name, int n, int *values,
          GError **error)
{
  const Onnx__AttributeProto *a;

  if (!get_attribute (node, name, QF_ONNX_ATTR_INTS, &a, error))
    return FALSE;
  if (!a)
    return TRUE;
  if (a->n_ints != (gsize)n)
    return FAIL (QF_ERROR_UNSUPPORTED,
                 "its attribute '%s' has %" G_GSIZE_FORMAT
                 " numbers, only %d are "
                 "supported",
                 name, a->n_ints, n);
  for (int i = 0; i < n; i++) {
    if (a->ints[i] < G_MININT || a->ints[i] > G_MAXINT)
      return FAIL (QF_ERROR_FORMAT, "its attribute '%s' is out of range", name);
    values[i] = (int)a->ints[i];
  }
  return TRUE;
}

/* Copies a text, @fallback where it is absent, into @text[32]. */
static gboolean
get_text (const Onnx__NodeProto *node, const char *name, const char *fallback,
          char *text, GError **error)
{
  const Onnx__AttributeProto *a;

  if (!get_attribute (node, name, QF_ONNX_ATTR_STRING, &a, error))
    return FALSE;
  if (!a) {
    g_strlcpy (text, fallback, 32);
    return TRUE;
  }
  if (a->s.len > 31)
    return FAIL (QF_ERROR_UNSUPPORTED, "its attribute '%s' is not known", name);
  memset (text, 0, 32);
  if (a->s.len)
    memcpy (text, a->s.data, a->s.len);
  for (char *c = text; *c; c++)
    if (!g_ascii_isprint (*c))
      *c = '?';
  return TRUE;
}

/* A switch that must be off. */
static gboolean
must_be (const Onnx__NodeProto *node, const char *name, int wanted,
         GError **error)
{
  int value = wanted;

  if (!get_int (node, name, &value, error))
    return FALSE;
  return value == wanted
         || FAIL (QF_ERROR_UNSUPPORTED, "%s = %d is not supported", name,
                  value);
}

/* ---- inputs ------------------------------------------------------------- */

static const char *
input_name (const Onnx__NodeProto *node, gsize i)
{
  return i < node->n_input && node->input[i][0] ? node->input[i] : NULL;
}

/* Adds a node that reads the first @n inputs of the file's; those that are
 * absent become −1, and missing ones at the end are left out. */
static QfNode *
add_node (QfOnnxReader *r, const Onnx__NodeProto *node, QfOp op, gsize n,
          GError **error)
{
  g_autofree int *in = NULL;
  QfNode *made;

  n = MIN (n, node->n_input);
  while (n > 0 && !input_name (node, n - 1))
    n--;
  in = g_new (int, n + 1);
  for (gsize i = 0; i < n; i++) {
    const char *name = input_name (node, i);

    in[i] = name ? qf_onnx_value (r, name, error) : -1;
    if (name && in[i] < 0)
      return NULL;
  }
  made = qf_graph_add_node (r->graph, op, node->output[0], (int)n, in);
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
auto_pad (const Onnx__NodeProto *node, const QfValue *x, QfWindow *w,
          GError **error)
{
  gboolean lower;
  char mode[32];

  if (!get_text (node, "auto_pad", "NOTSET", mode, error))
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
    total = (out - 1) * w->stride[i]
            + (gint64)(w->kernel[i] - 1) * w->dilation[i] + 1 - x->dims[2 + i];
    total = CLAMP (total, 0, G_MAXINT);
    w->pad[i] = (int)(lower ? total - total / 2 : total / 2);
    w->pad[i + 2] = (int)total - w->pad[i];
  }
  return TRUE;
}

/* kernel_shape must be set in @w where the attribute may be absent. */
static gboolean
read_window (const Onnx__NodeProto *node, const QfValue *x, QfWindow *w,
             GError **error)
{
  return get_ints (node, "kernel_shape", 2, w->kernel, error)
         && get_ints (node, "strides", 2, w->stride, error)
         && get_ints (node, "dilations", 2, w->dilation, error)
         && get_ints (node, "pads", 4, w->pad, error)
         && auto_pad (node, x, w, error);
}

static gboolean
read_conv (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
           GError **error)
{
  QfNode *n = *out = add_node (r, node, QF_OP_CONV, 3, error);
  const QfValue *w;
  int kernel[2] = { 1, 1 };

  if (!n)
    return FALSE;
  w = input_value (r, n, 1);
  if (w && w->rank == 4)
    for (int i = 0; i < 2; i++)
      kernel[i] = n->win.kernel[i] = (int)w->dims[2 + i];
  if (!get_int (node, "group", &n->win.groups, error)
      || !read_window (node, input_value (r, n, 0), &n->win, error))
    return FALSE;
  if (w && w->rank == 4
      && (n->win.kernel[0] != kernel[0] || n->win.kernel[1] != kernel[1]))
    return FAIL (QF_ERROR_FORMAT, "kernel_shape is not that of its weights");
  return TRUE;
}

/* ceil_mode lets a last window hang over the end: the same as more padding. */
static void
ceil_pads (const QfValue *x, QfWindow *w)
{
  for (int i = 0; i < 2; i++) {
    gint64 extent = (gint64)(w->kernel[i] - 1) * w->dilation[i] + 1;
    gint64 begin = w->pad[i], in = x->dims[2 + i], out, end;

    if (w->stride[i] < 1 || in + begin + w->pad[i + 2] < extent)
      continue; /* judged later */
    out = (in + begin + w->pad[i + 2] - extent + w->stride[i] - 1)
              / w->stride[i]
          + 1;
    if ((out - 1) * w->stride[i] >= in + begin)
      out--; /* it would hold nothing but padding */
    end = (out - 1) * w->stride[i] + extent - in - begin;
    w->pad[i + 2] = (int)CLAMP (end, w->pad[i + 2], G_MAXINT);
  }
}

static gboolean
read_max_pool (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
               GError **error)
{
  QfNode *n = *out = add_node (r, node, QF_OP_MAX_POOL, 1, error);
  const QfValue *x;
  int ceil_mode = 0;

  if (!n)
    return FALSE;
  if (!find_attribute (node, "kernel_shape"))
    return FAIL (QF_ERROR_FORMAT, "it has no kernel_shape");
  x = input_value (r, n, 0);
  if (!read_window (node, x, &n->win, error)
      || !get_int (node, "ceil_mode", &ceil_mode, error)
      || !must_be (node, "storage_order", 0, error))
    return FALSE;
  if (ceil_mode && x && x->rank == 4)
    ceil_pads (x, &n->win);
  return TRUE;
}

/* ---- pointwise ---------------------------------------------------------- */

static gboolean
read_relu (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
           GError **error)
{
  *out = add_node (r, node, QF_OP_RELU, 1, error);
  return *out != NULL;
}

static gboolean
read_sigmoid (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
              GError **error)
{
  *out = add_node (r, node, QF_OP_SIGMOID, 1, error);
  return *out != NULL;
}

/* A float constant of one element; @x stays where the input is absent. */
static gboolean
get_scalar_input (const QfOnnxReader *r, const Onnx__NodeProto *node, gsize i,
                  float *x, GError **error)
{
  const char *name = input_name (node, i);
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
    *x = *(const float *)k.data;
  g_free (k.data);
  return ok || FAIL (QF_ERROR_UNSUPPORTED, "'%s' is no single float32", name);
}

static gboolean
read_clip (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
           GError **error)
{
  QfNode *n = *out = add_node (r, node, QF_OP_CLIP, 1, error);
  gboolean ok;

  if (!n)
    return FALSE;
  if (r->opset < 11)
    ok = get_float (node, "min", &n->lo, error)
         && get_float (node, "max", &n->hi, error);
  else
    ok = get_scalar_input (r, node, 1, &n->lo, error)
         && get_scalar_input (r, node, 2, &n->hi, error);
  if (n->lo <= -FLT_MAX)
    n->lo = -INFINITY;
  if (n->hi >= FLT_MAX)
    n->hi = INFINITY;
  return ok;
}

static gboolean
read_batch_norm (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
                 GError **error)
{
  QfNode *n = *out = add_node (r, node, QF_OP_BATCH_NORM, 5, error);

  return n && must_be (node, "training_mode", 0, error)
         && must_be (node, "spatial", 1, error)
         && get_float (node, "epsilon", &n->epsilon, error);
}

/* ---- several inputs, shapes --------------------------------------------- */

static gboolean
read_add (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
          GError **error)
{
  *out = add_node (r, node, QF_OP_ADD, 2, error);
  return *out != NULL;
}

static gboolean
read_concat (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
             GError **error)
{
  QfNode *n = *out = add_node (r, node, QF_OP_CONCAT, node->n_input, error);

  if (!n)
    return FALSE;
  if (!find_attribute (node, "axis"))
    return FAIL (QF_ERROR_FORMAT, "it has no axis");
  return get_int (node, "axis", &n->axis, error);
}

static gboolean
read_average (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
              GError **error)
{
  *out = add_node (r, node, QF_OP_GLOBAL_AVG_POOL, 1, error);
  return *out != NULL;
}

static gboolean
read_flatten (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
              GError **error)
{
  QfNode *n = *out = add_node (r, node, QF_OP_FLATTEN, 1, error);

  return n && get_int (node, "axis", &n->axis, error);
}

/* Reshape to [N, everything else], which is Flatten. */
static gboolean
read_reshape (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
              GError **error)
{
  QfNode *n = *out = add_node (r, node, QF_OP_FLATTEN, 1, error);
  const char *name = input_name (node, 1);
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
  if (!flat || (shape[0] == -1 && shape[1] == -1)
      || (shape[0] != -1 && shape[0] != 0 && shape[0] != 1)
      || (shape[1] != -1 && shape[1] != rest))
    return FAIL (QF_ERROR_UNSUPPORTED,
                 "only a shape of [batch, everything else] is supported");
  return TRUE;
}

/* ---- resize ------------------------------------------------------------- */

/* Whole-number factors of rows and columns from scales or sizes, of which the
 * last @n concern @x (4, or 2 with `axes`). */
static gboolean
whole_factors (const QfOnnxConstant *k, const QfValue *x, gboolean sizes,
               int *factor)
{
  gint64 first = 4 - k->n;

  if ((k->n != 4 && k->n != 2) || x->rank != 4
      || k->dtype != (sizes ? QF_I64 : QF_F32))
    return FALSE;
  for (gint64 i = 0; i < k->n; i++) {
    gint64 dim = x->dims[first + i];
    double f = sizes ? (double)((const gint64 *)k->data)[i] / (double)dim
                     : (double)((const float *)k->data)[i];

    if (!(f >= 1 && f <= QF_MAX_DIM) || f != floor (f)
        || (first + i < 2 && f != 1))
      return FALSE;
    if (first + i >= 2)
      factor[first + i - 2] = (int)f;
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

  if (!get_text (node, "mode", "nearest", mode, error)
      || !get_text (node, "coordinate_transformation_mode",
                    old ? "asymmetric" : "half_pixel", where, error)
      || !get_text (node, "nearest_mode", old ? "floor" : "round_prefer_floor",
                    rounding, error)
      || !get_text (node, "keep_aspect_ratio_policy", "stretch", policy, error))
    return FALSE;
  half = strcmp (where, "half_pixel") == 0
         || strcmp (where, "half_pixel_symmetric") == 0;
  whole = strcmp (where, "asymmetric") == 0;
  *repeats = strcmp (mode, "nearest") == 0 && strcmp (policy, "stretch") == 0
             && ((half && g_str_has_prefix (rounding, "round_prefer_"))
                 || (whole && strcmp (rounding, "floor") == 0)
                 || (whole && strcmp (rounding, "round_prefer_floor") == 0
                     && factor[0] <= 2 && factor[1] <= 2));
  return TRUE;
}

/* Resize of opset 10 and Upsample have (x, scales), later ones (x, roi, scales,
 * sizes). */
static gboolean
read_resize (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
             GError **error)
{
  QfNode *n = *out = add_node (r, node, QF_OP_RESIZE_NEAREST, 1, error);
  gsize at = strcmp (node->op_type, "Upsample") == 0 || r->opset < 11 ? 1 : 2;
  const char *scales = input_name (node, at);
  const char *sizes = at == 2 ? input_name (node, 3) : NULL;
  int factor[2] = { 1, 1 }, axes[2] = { 2, 3 };
  gboolean ok, repeats;
  QfOnnxConstant k = { 0 };

  if (!n)
    return FALSE;
  if (scales && qf_onnx_is_constant (r, scales)
      && !qf_onnx_constant (r, scales, &k, error))
    return FALSE;
  if (k.n == 0 && sizes) { /* empty scales stand for none */
    g_clear_pointer (&k.data, g_free);
    scales = NULL;
    if (qf_onnx_is_constant (r, sizes)
        && !qf_onnx_constant (r, sizes, &k, error))
      return FALSE;
  }
  ok = k.data && input_value (r, n, 0)
       && whole_factors (&k, input_value (r, n, 0), !scales, factor);
  g_free (k.data);
  if (!repeats_elements (node, r->opset, factor, &repeats, error)
      || (find_attribute (node, "axes")
          && !get_ints (node, "axes", 2, axes, error)))
    return FALSE;
  if (!ok || !repeats || axes[0] != 2 || axes[1] != 3
      || (k.n == 2 && !find_attribute (node, "axes")))
    return FAIL (QF_ERROR_UNSUPPORTED,
                 "only nearest-neighbour enlarging of "
                 "rows and columns by constant whole factors is supported");
  n->scale_h = factor[0];
  n->scale_w = factor[1];
  return TRUE;
}

/* ---- Gemm --------------------------------------------------------------- */

/* The constant @value [k, n] as [n, k]; @factor is multiplied in (float32). */
static int
turn_constant (QfOnnxReader *r, int value, gboolean turn, float factor,
               GError **error)
{
  const QfValue *v = qf_graph_value (r->graph, value);
  gsize size = qf_dtype_size (v->dtype), rows, cols;
  QfOnnxConstant k = { .dtype = v->dtype, .rank = 2 };
  int made;

  k.n = qf_value_elements (v);
  k.dims[0] = v->dims[turn ? 1 : 0];
  k.dims[1] = v->dims[turn ? 0 : 1];
  k.data = g_memdup2 (v->data, (gsize)k.n * size);
  rows = (gsize)v->dims[0];
  cols = (gsize)v->dims[1];
  for (gsize i = 0; turn && i < rows; i++)
    for (gsize j = 0; j < cols; j++)
      memcpy ((char *)k.data + (j * rows + i) * size,
              (const char *)v->data + (i * cols + j) * size, size);
  for (gint64 i = 0; factor != 1 && i < k.n; i++)
    ((float *)k.data)[i] *= factor;
  made = qf_onnx_add_constant (r, v->name, "_T", &k, error);
  g_free (k.data);
  return made;
}

static QfNode *
find_maker (const QfGraph *g, int value)
{
  for (int i = (int)g->nodes->len - 1; i >= 0; i--)
    if (qf_graph_node (g, i)->out == value)
      return qf_graph_node (g, i);
  return NULL;
}

/* Weights as [outputs, inputs]: the constant is turned round, or that under a
 * DequantizeLinear. −1 with @error where neither can be done. */
static int
turn_weights (QfOnnxReader *r, int value, gboolean turn, float alpha,
              GError **error)
{
  gpointer known = g_hash_table_lookup (r->turned, GINT_TO_POINTER (value));
  const QfValue *v = qf_graph_value (r->graph, value);
  g_autofree char *name = NULL;
  QfNode *dq = NULL, *made;
  int result, in[3];

  if ((!turn && alpha == 1) || v->rank != 2)
    return value; /* another rank is judged later */
  if (known && alpha == 1)
    return GPOINTER_TO_INT (known) - 1;
  if (v->data && v->dtype == QF_F32) {
    result = turn_constant (r, value, turn, alpha, error);
  } else {
    dq = find_maker (r->graph, value);
    if (!dq || dq->op != QF_OP_DEQUANTIZE || alpha != 1
        || !qf_graph_value (r->graph, dq->in[0])->data) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
                   "its weights '%s' are no constant", v->name);
      return -1;
    }
    in[0] = turn_constant (r, dq->in[0], TRUE, 1, error);
    if (in[0] < 0)
      return -1;
    in[1] = dq->in[1];
    in[2] = dq->n_in > 2 ? dq->in[2] : -1;
    name = qf_onnx_unique_name (r, v->name, "_T");
    made = qf_graph_add_node (r->graph, QF_OP_DEQUANTIZE, name, 3, in);
    made->axis = dq->axis == 1 ? 0 : 1;
    g_hash_table_insert (r->values, qf_graph_value (r->graph, made->out)->name,
                         GINT_TO_POINTER (made->out + 1));
    if (!qf_check_node (&r->check, made, error))
      return -1;
    result = made->out;
  }
  if (alpha == 1 && result >= 0)
    g_hash_table_insert (r->turned, GINT_TO_POINTER (value),
                         GINT_TO_POINTER (result + 1));
  return result;
}

/* The bias as [outputs], from a scalar, [n] or [1, n]. */
static int
shape_bias (QfOnnxReader *r, int value, gint64 outputs, float beta,
            GError **error)
{
  const QfValue *v = qf_graph_value (r->graph, value);
  gint64 n = v->rank >= 0 ? qf_value_elements (v) : 0;
  QfOnnxConstant k = { .dtype = QF_F32, .rank = 1 };
  g_autofree float *data = NULL;

  if (v->rank == 1 && n == outputs && beta == 1)
    return value;
  if (!v->data || v->dtype != QF_F32 || (n != outputs && n != 1)
      || (n > 1 && v->dims[v->rank - 1] != outputs)) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
                 "the shape of its bias '%s' is not supported", v->name);
    return -1;
  }
  data = g_new (float, outputs);
  for (gint64 i = 0; i < outputs; i++)
    data[i] = beta * ((const float *)v->data)[n == 1 ? 0 : i];
  k.n = k.dims[0] = outputs;
  k.data = data;
  return qf_onnx_add_constant (r, v->name, "_bias", &k, error);
}

static gboolean
read_gemm (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
           GError **error)
{
  float alpha = 1, beta = 1;
  int transposed = 0, in[3] = { -1, -1, -1 };
  gsize n_in = MIN (node->n_input, 3);
  const QfValue *w;

  if (!must_be (node, "transA", 0, error)
      || !get_int (node, "transB", &transposed, error)
      || !get_float (node, "alpha", &alpha, error)
      || !get_float (node, "beta", &beta, error))
    return FALSE;
  if (!isfinite (alpha) || !isfinite (beta) || n_in < 2)
    return FAIL (QF_ERROR_FORMAT, "alpha, beta or its inputs are wrong");
  for (gsize i = 0; i < n_in; i++) {
    const char *name = input_name (node, i);

    if (!name && i < 2)
      return FAIL (QF_ERROR_FORMAT, "input %d is missing", (int)i + 1);
    if (name && (in[i] = qf_onnx_value (r, name, error)) < 0)
      return FALSE;
  }
  in[1] = turn_weights (r, in[1], !transposed, alpha, error);
  if (in[1] < 0)
    return FALSE;
  w = qf_graph_value (r->graph, in[1]);
  if (beta == 0)
    in[2] = -1;
  if (in[2] >= 0 && w->rank == 2
      && (in[2] = shape_bias (r, in[2], w->dims[0], beta, error)) < 0)
    return FALSE;
  *out = qf_graph_add_node (r->graph, QF_OP_GEMM, node->output[0],
                            in[2] >= 0 ? 3 : 2, in);
  g_free ((*out)->name);
  (*out)->name = g_strdup (qf_onnx_node_name (node));
  return TRUE;
}

/* ---- quantization ------------------------------------------------------- */

static gboolean
read_quantization (QfOnnxReader *r, const Onnx__NodeProto *node, QfOp op,
                   QfNode **out, GError **error)
{
  QfNode *n = *out = add_node (r, node, op, 3, error);

  if (!n)
    return FALSE;
  n->axis = 1;
  return get_int (node, "axis", &n->axis, error)
         && must_be (node, "block_size", 0, error)
         && (op == QF_OP_DEQUANTIZE || (n->n_in > 2 && n->in[2] >= 0)
             || !find_attribute (node, "output_dtype")
             || must_be (node, "output_dtype", QF_ONNX_UINT8, error));
}

static gboolean
read_quantize (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
               GError **error)
{
  return read_quantization (r, node, QF_OP_QUANTIZE, out, error);
}

static gboolean
read_dequantize (QfOnnxReader *r, const Onnx__NodeProto *node, QfNode **out,
                 GError **error)
{
  return read_quantization (r, node, QF_OP_DEQUANTIZE, out, error);
}

/* ---- all ---------------------------------------------------------------- */

typedef gboolean (*ReadNode) (QfOnnxReader *r, const Onnx__NodeProto *node,
                              QfNode **out, GError **error);

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
  { "Add", read_add },
  { "Concat", read_concat },
  { "MaxPool", read_max_pool },
  { "GlobalAveragePool", read_average },
  { "Resize", read_resize },
  { "Upsample", read_resize },
  { "Gemm", read_gemm },
  { "Flatten", read_flatten },
  { "Reshape", read_reshape },
  { "QuantizeLinear", read_quantize },
  { "DequantizeLinear", read_dequantize },
};

/* Identity, and Dropout when a network is only run: another name. */
static gboolean
read_alias (QfOnnxReader *r, const Onnx__NodeProto *node, GError **error)
{
  const char *name = input_name (node, 0);
  int v;

  if (!name)
    return FAIL (QF_ERROR_FORMAT, "input 1 is missing");
  v = qf_onnx_value (r, name, error);
  if (v < 0)
    return FALSE;
  g_hash_table_insert (r->values, node->output[0], GINT_TO_POINTER (v + 1));
  if (g_hash_table_contains (r->tensors, name))
    g_hash_table_insert (r->tensors, node->output[0],
                         g_hash_table_lookup (r->tensors, name));
  if (g_hash_table_contains (r->attributes, name))
    g_hash_table_insert (r->attributes, node->output[0],
                         g_hash_table_lookup (r->attributes, name));
  return TRUE;
}

gboolean
qf_onnx_read_node (QfOnnxReader *r, const Onnx__NodeProto *node, GError **error)
{
  gboolean own = !node->domain || !node->domain[0]
                 || strcmp (node->domain, "ai.onnx") == 0;
  g_autoptr (GError) err = NULL;
  QfNode *n = NULL;

  if (own
      && (strcmp (node->op_type, "Identity") == 0
          || strcmp (node->op_type, "Dropout") == 0)) {
    if (read_alias (r, node, &err))
      return TRUE;
  } else {
    gsize i = 0;

    while (i < G_N_ELEMENTS (readers)
           && strcmp (node->op_type, readers[i].type) != 0)
      i++;
    if (!own || i == G_N_ELEMENTS (readers)) {
      g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
                   "node '%s' is of operator %s%s%s, which is not supported",
                   qf_onnx_node_name (node), own ? "" : node->domain,
                   own ? "" : ".", node->op_type);
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
