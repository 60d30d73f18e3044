/* libqfuse: judges nodes and infers their outputs' shapes, a rule an operator.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/validate-private.h"

#include <math.h>
#include <stdarg.h>

gboolean
qf_node_error (GError **error, QfErrorCode code, const char *name,
    const char *op, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, QF_ERROR, code, "node '%s' (%s): %s", name, op, text);
  return FALSE;
}

#define BAD(n, ...)                                                            \
  qf_node_error (                                                              \
      error, QF_ERROR_FORMAT, (n)->name, qf_op_name ((n)->op), __VA_ARGS__)
#define UNSUPPORTED(n, ...)                                                    \
  qf_node_error (error, QF_ERROR_UNSUPPORTED, (n)->name, qf_op_name ((n)->op), \
      __VA_ARGS__)

static gboolean
set_shape (QfCheck *c, const QfNode *n, QfDType dtype, int rank,
    const gint64 *dims, GError **error)
{
  QfValue *out = qf_graph_value (c->graph, n->out);

  if (!qf_dims_allowed (rank, dims)) {
    g_autofree char *text = qf_dims_text (rank, dims);

    return BAD (
        n, "its result would have the shape %s, which is not allowed", text);
  }
  out->dtype = dtype;
  out->rank = rank;
  for (int i = 0; i < QF_MAX_RANK; i++)
    out->dims[i] = i < rank ? dims[i] : -1;
  return TRUE;
}

/* Input @i as a computed value of @rank dimensions (0: any). */
static const QfValue *
computed (QfCheck *c, const QfNode *n, int i, int rank, gboolean codes_too,
    GError **error)
{
  const QfValue *v = qf_graph_value (c->graph, n->in[i]);

  if (qf_check_origin (c, n->in[i]) != QF_FROM_COMPUTATION) {
    UNSUPPORTED (n,
        "'%s' is a constant where only a computed value is "
        "supported",
        v->name);
    return NULL;
  }
  if (v->dtype != QF_F32 &&
      !(codes_too && (v->dtype == QF_U8 || v->dtype == QF_I8))) {
    UNSUPPORTED (n, "the type of '%s' is not supported here", v->name);
    return NULL;
  }
  if (rank && v->rank != rank) {
    UNSUPPORTED (n, "'%s' has %d dimensions, only %d are supported", v->name,
        v->rank, rank);
    return NULL;
  }
  return v;
}

/* Input @i as weights of @rank dimensions: a float constant, or a dequantized
 * one. */
static const QfValue *
weights (QfCheck *c, const QfNode *n, int i, int rank, GError **error)
{
  const QfValue *v = qf_graph_value (c->graph, n->in[i]);

  if (qf_check_origin (c, n->in[i]) == QF_FROM_COMPUTATION) {
    UNSUPPORTED (
        n, "'%s' is computed where only a constant is supported", v->name);
    return NULL;
  }
  if (v->dtype != QF_F32) {
    BAD (n, "'%s' is not float32", v->name);
    return NULL;
  }
  if (v->rank != rank) {
    UNSUPPORTED (n, "'%s' has %d dimensions, only %d are supported", v->name,
        v->rank, rank);
    return NULL;
  }
  return v;
}

static gboolean
check_bias (QfCheck *c, const QfNode *n, gint64 channels, GError **error)
{
  const QfValue *b;

  if (n->n_in < 3 || n->in[2] < 0)
    return TRUE;
  b = weights (c, n, 2, 1, error);
  if (!b)
    return FALSE;
  if (b->dims[0] != channels)
    return BAD (n,
        "the bias '%s' has %" G_GINT64_FORMAT " elements instead "
        "of %" G_GINT64_FORMAT,
        b->name, b->dims[0], channels);
  return TRUE;
}

static gboolean
count_weights (QfCheck *c, const QfNode *n, const QfValue *w, GError **error)
{
  c->weights += qf_value_elements (w);
  if (c->weights > QF_MAX_WEIGHTS)
    return BAD (n,
        "the weights up to here have more than %" G_GINT64_FORMAT " elements",
        QF_MAX_WEIGHTS);
  return TRUE;
}

/* Rows and columns that a window leaves of @in. */
static gboolean
slide_window (const QfNode *n, const gint64 *in, gint64 *out, GError **error)
{
  const QfWindow *w = &n->win;

  for (int i = 0; i < 2; i++) {
    gint64 extent, room;

    if (w->kernel[i] < 1 || w->kernel[i] > QF_MAX_DIM || w->stride[i] < 1 ||
        w->stride[i] > QF_MAX_STEP || w->dilation[i] < 1 ||
        w->dilation[i] > QF_MAX_STEP || w->pad[i] < 0 ||
        w->pad[i] > QF_MAX_STEP || w->pad[i + 2] < 0 ||
        w->pad[i + 2] > QF_MAX_STEP)
      return BAD (
          n, "kernel_shape, strides, dilations or pads is out of range");
    extent = (gint64) (w->kernel[i] - 1) * w->dilation[i] + 1;
    if (n->op != QF_OP_CONV && (w->pad[i] >= extent || w->pad[i + 2] >= extent))
      return BAD (n, "pads must be smaller than the kernel");
    room = in[i] + w->pad[i] + w->pad[i + 2] - extent;
    if (room < 0)
      return BAD (n, "its kernel is larger than its input");
    out[i] = room / w->stride[i] + 1;
  }
  return TRUE;
}

static gboolean
check_conv (QfCheck *c, QfNode *n, GError **error)
{
  const QfValue *x = computed (c, n, 0, 4, FALSE, error);
  const QfValue *w = x ? weights (c, n, 1, 4, error) : NULL;
  gint64 dims[4] = { 1 };

  if (!w)
    return FALSE;
  if (n->win.groups < 1 || x->dims[1] % n->win.groups ||
      w->dims[0] % n->win.groups || w->dims[1] != x->dims[1] / n->win.groups)
    return BAD (n,
        "%" G_GINT64_FORMAT " input channels in %d groups do not "
        "fit weights '%s' of %" G_GINT64_FORMAT " times %" G_GINT64_FORMAT
        " channels",
        x->dims[1], n->win.groups, w->name, w->dims[0], w->dims[1]);
  n->win.kernel[0] = (int) w->dims[2];
  n->win.kernel[1] = (int) w->dims[3];
  dims[1] = w->dims[0];
  return slide_window (n, x->dims + 2, dims + 2, error) &&
      check_bias (c, n, w->dims[0], error) && count_weights (c, n, w, error) &&
      set_shape (c, n, QF_F32, 4, dims, error);
}

static gboolean
check_gemm (QfCheck *c, QfNode *n, GError **error)
{
  const QfValue *x = computed (c, n, 0, 2, FALSE, error);
  const QfValue *w = x ? weights (c, n, 1, 2, error) : NULL;
  gint64 dims[2] = { 1 };

  if (!w)
    return FALSE;
  if (w->dims[1] != x->dims[1])
    return BAD (n,
        "an input of %" G_GINT64_FORMAT " elements does not fit "
        "weights '%s' of %" G_GINT64_FORMAT,
        x->dims[1], w->name, w->dims[1]);
  dims[1] = w->dims[0];
  return check_bias (c, n, w->dims[0], error) &&
      count_weights (c, n, w, error) &&
      set_shape (c, n, QF_F32, 2, dims, error);
}

static gboolean
check_batch_norm (QfCheck *c, QfNode *n, GError **error)
{
  const QfValue *x = computed (c, n, 0, 0, FALSE, error);
  const float *variance;

  if (!x)
    return FALSE;
  for (int i = 1; i < 5; i++) {
    const QfValue *p = qf_graph_value (c->graph, n->in[i]);

    if (qf_check_origin (c, n->in[i]) != QF_FROM_CONSTANT || p->dtype != QF_F32)
      return UNSUPPORTED (n, "'%s' is no float32 constant", p->name);
    if (p->rank != 1 || p->dims[0] != x->dims[1])
      return BAD (n, "'%s' does not have one element a channel", p->name);
  }
  for (int i = 1; i < 5; i++) /* fusing may copy them for each node */
    if (!count_weights (c, n, qf_graph_value (c->graph, n->in[i]), error))
      return FALSE;
  variance = qf_graph_value (c->graph, n->in[4])->data;
  for (gint64 i = 0; i < x->dims[1]; i++)
    if (!isfinite (n->epsilon) || n->epsilon < 0 || variance[i] < 0 ||
        variance[i] + n->epsilon <= 0)
      return BAD (n, "variance + epsilon is not positive");
  return set_shape (c, n, QF_F32, x->rank, x->dims, error);
}

static gboolean
check_pointwise (QfCheck *c, QfNode *n, GError **error)
{
  const QfValue *x = computed (c, n, 0, 0, FALSE, error);

  if (!x)
    return FALSE;
  if (n->op == QF_OP_CLIP && !(n->lo <= n->hi)) /* NaN as well */
    return BAD (n, "its bounds %g and %g are in the wrong order",
        (double) n->lo, (double) n->hi);
  if (!isfinite (n->alpha))
    return BAD (n, "alpha is no number");
  return set_shape (c, n, QF_F32, x->rank, x->dims, error);
}

/* One value a channel: [N, C, 1, 1]. */
static gboolean
is_per_channel (const QfValue *v, const QfValue *of)
{
  return v->rank == 4 && v->dims[1] == of->dims[1] && v->dims[2] == 1 &&
      v->dims[3] == 1;
}

static gboolean
check_two (QfCheck *c, QfNode *n, GError **error)
{
  const QfValue *a = computed (c, n, 0, 0, FALSE, error);
  const QfValue *b = a ? computed (c, n, 1, a->rank, FALSE, error) : NULL;

  if (!b)
    return FALSE;
  if (is_per_channel (a, b))
    return set_shape (c, n, QF_F32, b->rank, b->dims, error);
  for (int i = 0; i < a->rank && !is_per_channel (b, a); i++)
    if (a->dims[i] != b->dims[i])
      return UNSUPPORTED (n,
          "'%s' and '%s' have different shapes, and neither is one value a "
          "channel",
          a->name, b->name);
  return set_shape (c, n, QF_F32, a->rank, a->dims, error);
}

static gboolean
check_slice (QfCheck *c, QfNode *n, GError **error)
{
  const QfValue *x = computed (c, n, 0, 0, TRUE, error);
  gint64 dims[QF_MAX_RANK];

  if (!x)
    return FALSE;
  if (n->axis < 0)
    n->axis += x->rank;
  if (n->axis < 1 || n->axis >= x->rank)
    return UNSUPPORTED (n, "axis %d is not supported", n->axis);
  if (n->begin < 0 || n->begin >= n->end || n->end > x->dims[n->axis])
    return BAD (n, "it takes elements %d to %d of %" G_GINT64_FORMAT, n->begin,
        n->end, x->dims[n->axis]);
  for (int i = 0; i < x->rank; i++)
    dims[i] = i == n->axis ? n->end - n->begin : x->dims[i];
  return set_shape (c, n, x->dtype, x->rank, dims, error);
}

static gboolean
check_gather (QfCheck *c, QfNode *n, GError **error)
{
  const QfValue *x = computed (c, n, 0, 4, TRUE, error);
  gint64 dims[4];

  if (!x)
    return FALSE;
  for (int i = 0; i < n->n_select; i++)
    if (n->select[i] < 0 || n->select[i] >= x->dims[1])
      return BAD (n, "it takes channel %d of %" G_GINT64_FORMAT, n->select[i],
          x->dims[1]);
  memcpy (dims, x->dims, sizeof dims);
  dims[1] = n->n_select;
  return set_shape (c, n, x->dtype, 4, dims, error);
}

static gboolean
check_concat (QfCheck *c, QfNode *n, GError **error)
{
  const QfValue *first = computed (c, n, 0, 0, TRUE, error);
  gint64 dims[QF_MAX_RANK];

  if (!first)
    return FALSE;
  if (n->axis < 0)
    n->axis += first->rank;
  if (n->axis < 1 || n->axis >= first->rank)
    return UNSUPPORTED (n, "axis %d is not supported", n->axis);
  for (int i = 0; i < first->rank; i++)
    dims[i] = first->dims[i];
  dims[n->axis] = 0;
  for (int k = 0; k < n->n_in; k++) {
    const QfValue *v = computed (c, n, k, first->rank, TRUE, error);

    if (!v)
      return FALSE;
    for (int i = 0; i < v->rank; i++)
      if (v->dtype != first->dtype || (i != n->axis && v->dims[i] != dims[i]))
        return BAD (n, "'%s' does not fit '%s'", v->name, first->name);
    dims[n->axis] += v->dims[n->axis];
    if (dims[n->axis] > QF_MAX_DIM)
      break;
  }
  return set_shape (c, n, first->dtype, first->rank, dims, error);
}

static gboolean
check_spatial (QfCheck *c, QfNode *n, GError **error)
{
  gboolean average =
      n->op == QF_OP_GLOBAL_AVG_POOL || n->op == QF_OP_AVERAGE_POOL;
  const QfValue *x = computed (c, n, 0, 4, !average, error);
  gint64 dims[4] = { 1 };

  if (!x)
    return FALSE;
  dims[1] = x->dims[1];
  if (n->op == QF_OP_GLOBAL_AVG_POOL) {
    dims[2] = dims[3] = 1;
  } else if (n->op == QF_OP_RESIZE_NEAREST) {
    if (n->scale_h < 1 || n->scale_w < 1 || n->scale_h > QF_MAX_DIM ||
        n->scale_w > QF_MAX_DIM)
      return BAD (n, "its scales are out of range");
    dims[2] = x->dims[2] * n->scale_h;
    dims[3] = x->dims[3] * n->scale_w;
  } else if (!slide_window (n, x->dims + 2, dims + 2, error)) {
    return FALSE;
  }
  return set_shape (c, n, x->dtype, 4, dims, error);
}

static gboolean
check_flatten (QfCheck *c, QfNode *n, GError **error)
{
  const QfValue *x = computed (c, n, 0, 0, TRUE, error);
  gint64 dims[2] = { 1, 1 };

  if (!x)
    return FALSE;
  if (n->axis < 0)
    n->axis += x->rank;
  if (n->axis != 1 && n->axis != 0)
    return UNSUPPORTED (n, "axis %d is not supported", n->axis);
  n->axis = 1; /* the batch is 1 */
  for (int i = 1; i < x->rank; i++)
    dims[1] *= x->dims[i];
  return set_shape (c, n, x->dtype, 2, dims, error);
}

/* Scale and zero point of QuantizeLinear and DequantizeLinear: constants, one
 * of each or one of each per channel. */
static gboolean
check_scale (
    QfCheck *c, QfNode *n, const QfValue *x, gboolean computed, GError **error)
{
  const QfValue *s = qf_graph_value (c->graph, n->in[1]);
  gint64 n_scales = qf_value_elements (s);

  if (qf_check_origin (c, n->in[1]) != QF_FROM_CONSTANT || s->dtype != QF_F32)
    return UNSUPPORTED (n, "the scale '%s' is no float32 constant", s->name);
  for (gint64 i = 0; i < n_scales; i++)
    if (!(((const float *) s->data)[i] > 0))
      return BAD (n, "the scale '%s' holds %g, scales are greater than 0",
          s->name, (double) ((const float *) s->data)[i]);
  if (n_scales == 1) {
    n->axis = 0; /* no matter */
  } else {
    if (n->axis < 0)
      n->axis += x->rank;
    if (computed)
      return UNSUPPORTED (n,
          "activations with a scale for each channel are "
          "not supported");
    if (s->rank != 1 || n->axis < 0 || n->axis >= x->rank ||
        n_scales != x->dims[n->axis])
      return BAD (n,
          "the scale '%s' has %" G_GINT64_FORMAT " elements, which "
          "does not fit '%s'",
          s->name, n_scales, x->name);
  }
  if (n->n_in > 2 && n->in[2] >= 0) {
    const QfValue *z = qf_graph_value (c->graph, n->in[2]);

    if (qf_check_origin (c, n->in[2]) != QF_FROM_CONSTANT ||
        qf_value_elements (z) != n_scales)
      return BAD (n, "the zero point '%s' does not fit the scale '%s'", z->name,
          s->name);
  }
  return TRUE;
}

static gboolean
check_quantization (QfCheck *c, QfNode *n, GError **error)
{
  const QfValue *x = qf_graph_value (c->graph, n->in[0]);
  gboolean from_weights = qf_check_origin (c, n->in[0]) != QF_FROM_COMPUTATION;
  gboolean has_zero = n->n_in > 2 && n->in[2] >= 0;
  QfDType zero = has_zero ? qf_graph_value (c->graph, n->in[2])->dtype : QF_U8;
  int zero_bits = has_zero ? qf_graph_value (c->graph, n->in[2])->bits : 0;

  if (!check_scale (c, n, x, !from_weights, error))
    return FALSE;
  if (n->op == QF_OP_QUANTIZE) {
    if (x->dtype != QF_F32)
      return BAD (n, "'%s' is not float32", x->name);
    if (zero != QF_U8 && zero != QF_I8)
      return UNSUPPORTED (n, "the zero point is neither uint8 nor int8");
    if (zero_bits)
      return BAD (n, "it quantizes to 4 bits, which is not supported");
    return set_shape (c, n, zero, x->rank, x->dims, error);
  }
  if (x->dtype != QF_U8 && x->dtype != QF_I8 &&
      !(x->dtype == QF_I32 && from_weights))
    return UNSUPPORTED (n, "the type of '%s' is not supported here", x->name);
  if (has_zero && (zero != x->dtype || zero_bits != x->bits))
    return BAD (n, "the zero point's type is not that of '%s'", x->name);
  return set_shape (c, n, QF_F32, x->rank, x->dims, error);
}

/* ---- a node ------------------------------------------------------------- */

typedef struct
{
  int n_min, n_max; /* inputs; those from n_min on may be −1 */
  gboolean (*check) (QfCheck *c, QfNode *n, GError **error);
} OpRule;

static const OpRule rules[QF_N_OPS] = {
  [QF_OP_CONV] = { 2, 3, check_conv },
  [QF_OP_BATCH_NORM] = { 5, 5, check_batch_norm },
  [QF_OP_RELU] = { 1, 1, check_pointwise },
  [QF_OP_CLIP] = { 1, 1, check_pointwise },
  [QF_OP_SIGMOID] = { 1, 1, check_pointwise },
  [QF_OP_LEAKY_RELU] = { 1, 1, check_pointwise },
  [QF_OP_HARD_SWISH] = { 1, 1, check_pointwise },
  [QF_OP_SILU] = { 1, 1, check_pointwise },
  [QF_OP_ADD] = { 2, 2, check_two },
  [QF_OP_MUL] = { 2, 2, check_two },
  [QF_OP_SLICE] = { 1, 1, check_slice },
  [QF_OP_GATHER] = { 1, 1, check_gather },
  [QF_OP_AVERAGE_POOL] = { 1, 1, check_spatial },
  [QF_OP_CONCAT] = { 1, G_MAXINT, check_concat },
  [QF_OP_MAX_POOL] = { 1, 1, check_spatial },
  [QF_OP_GLOBAL_AVG_POOL] = { 1, 1, check_spatial },
  [QF_OP_RESIZE_NEAREST] = { 1, 1, check_spatial },
  [QF_OP_GEMM] = { 2, 3, check_gemm },
  [QF_OP_FLATTEN] = { 1, 1, check_flatten },
  [QF_OP_QUANTIZE] = { 2, 3, check_quantization },
  [QF_OP_DEQUANTIZE] = { 2, 3, check_quantization },
};

gboolean
qf_check_node (QfCheck *c, QfNode *n, GError **error)
{
  const OpRule *rule;
  QfOrigin from = QF_FROM_COMPUTATION;

  if ((unsigned) n->op >= QF_N_OPS || n->act != QF_ACT_NONE) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "node '%s' is of no operator that a file can hold", n->name);
    return FALSE;
  }
  rule = &rules[n->op];
  if (n->n_in < rule->n_min || n->n_in > rule->n_max)
    return BAD (n, "it has %d inputs", n->n_in);
  for (int i = 0; i < n->n_in; i++) {
    if (n->in[i] < 0) {
      if (i < rule->n_min || n->op == QF_OP_CONCAT)
        return BAD (n, "input %d is missing", i + 1);
      continue;
    }
    if (n->in[i] >= (int) c->graph->values->len ||
        qf_check_origin (c, n->in[i]) == QF_FROM_NOTHING)
      return BAD (n, "it reads '%s', which nothing before it makes",
          n->in[i] < (int) c->graph->values->len
              ? qf_graph_value (c->graph, n->in[i])->name
              : "?");
  }
  if (n->out < 0 || n->out >= (int) c->graph->values->len ||
      qf_graph_value (c->graph, n->out)->data ||
      qf_check_origin (c, n->out) != QF_FROM_NOTHING)
    return BAD (n, "its output is made twice");
  if (!rule->check (c, n, error))
    return FALSE;
  if ((n->op == QF_OP_QUANTIZE || n->op == QF_OP_DEQUANTIZE) &&
      qf_check_origin (c, n->in[0]) != QF_FROM_COMPUTATION)
    from = QF_FROM_WEIGHTS;
  qf_check_set_origin (c, n->out, from);
  return TRUE;
}

gboolean
qf_node_quantization (
    const QfGraph *g, const QfNode *n, float *scale, int *zero)
{
  const QfValue *s = qf_graph_value (g, n->in[1]);
  const QfValue *z =
      n->n_in > 2 && n->in[2] >= 0 ? qf_graph_value (g, n->in[2]) : NULL;

  if (qf_value_elements (s) != 1)
    return FALSE;
  *scale = *(const float *) s->data;
  *zero = !z              ? 0
      : z->dtype == QF_U8 ? *(const guint8 *) z->data
      : z->dtype == QF_I8 ? *(const gint8 *) z->data
                          : *(const gint32 *) z->data;
  return TRUE;
}
