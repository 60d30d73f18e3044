/* libqfuse: Resize and Upsample.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Every mode is separable: a dimension's outputs are sums of up to `n` inputs
 * with weights, so that one dimension is resized after the other. */
#include "ops/ops-private.h"

#define MAX_TAPS 64

typedef struct
{
  gint64 out[QF_MAX_RANK];
  float scale[QF_MAX_RANK];
  float roi[2][QF_MAX_RANK]; /* start and end, 0 … 1 */
} Sizes;

typedef enum
{
  NEAREST,
  LINEAR,
  CUBIC
} Mode;

/* What the attributes say of all dimensions. */
typedef struct
{
  Mode mode;
  const char *coordinates, *nearest;
  gboolean antialias, exclude;
  float cubic;
} Style;

static gboolean
read_style (QfCall *c, Style *s, GError **error)
{
  const char *mode = qf_call_text (c, "mode", "nearest");
  gboolean old = c->opset < 11;

  s->coordinates = old
      ? "asymmetric"
      : qf_call_text (c, "coordinate_transformation_mode", "half_pixel");
  s->nearest =
      old ? "floor" : qf_call_text (c, "nearest_mode", "round_prefer_floor");
  s->antialias = qf_call_int (c, "antialias", 0) != 0;
  s->exclude = qf_call_int (c, "exclude_outside", 0) != 0;
  s->cubic = qf_call_float (c, "cubic_coeff_a", -0.75f);
  if (strcmp (mode, "nearest") == 0)
    s->mode = NEAREST;
  else if (strcmp (mode, "linear") == 0 || strcmp (mode, "bilinear") == 0)
    s->mode = LINEAR;
  else if (strcmp (mode, "cubic") == 0)
    s->mode = CUBIC;
  else
    return QF_UNSUPPORTED ("its mode is not known");
  return TRUE;
}

/* Sizes keep the proportions where that is asked for. */
static void
keep_aspect (QfCall *c, const gint64 *axes, int n, gint64 *sizes)
{
  const char *policy = qf_call_text (c, "keep_aspect_ratio_policy", "stretch");
  gboolean larger = strcmp (policy, "not_smaller") == 0;
  double scale = 0;

  if (strcmp (policy, "stretch") == 0 || n == 0)
    return;
  for (int i = 0; i < n; i++) {
    double own = (double) sizes[i] / (double) c->in[0]->dims[axes[i]];

    scale = i == 0 ? own : larger ? MAX (scale, own) : MIN (scale, own);
  }
  for (int i = 0; i < n; i++)
    sizes[i] = (gint64) floor (scale * (double) c->in[0]->dims[axes[i]] + 0.5);
}

static gboolean
read_roi (QfCall *c, const gint64 *axes, int n, Sizes *s, GError **error)
{
  float roi[2 * QF_MAX_RANK];
  int got;

  for (int i = 0; i < QF_MAX_RANK; i++) {
    s->roi[0][i] = 0;
    s->roi[1][i] = 1;
  }
  if (c->opset < 11 || !qf_call_in (c, 1) ||
      strcmp (qf_call_text (c, "coordinate_transformation_mode", ""),
          "tf_crop_and_resize") != 0)
    return TRUE;
  got = qf_call_constant_floats (c, 1, roi, 2 * QF_MAX_RANK, error);
  if (got < 0)
    return FALSE;
  if (got != 2 * n)
    return QF_BAD ("its roi does not fit its input");
  for (int i = 0; i < n; i++) {
    s->roi[0][axes[i]] = roi[i];
    s->roi[1][axes[i]] = roi[n + i];
  }
  return TRUE;
}

static gboolean
read_sizes (QfCall *c, Sizes *s, GError **error)
{
  const QfArray *x = c->in[0];
  int at = c->opset < 11 ? 1 : 2; /* of the scales */
  int n = x->rank, got;
  gint64 axes[QF_MAX_RANK], sizes[QF_MAX_RANK];
  float scales[QF_MAX_RANK];
  const QfArray *given = qf_call_in (c, at), *target = qf_call_in (c, 3);

  for (int i = 0; i < x->rank; i++) {
    axes[i] = i;
    s->out[i] = x->dims[i];
    s->scale[i] = 1;
  }
  if (c->opset >= 18 && (got = qf_call_ints (c, "axes", axes, n)) >= 0) {
    if (got > n)
      return QF_BAD ("it has too many axes");
    n = got;
    for (int i = 0; i < n; i++)
      if (!qf_axis (&axes[i], x->rank, error))
        return FALSE;
  }
  if (!read_roi (c, axes, n, s, error))
    return FALSE;
  if (given && (given->rank != 1 || given->dims[0] == 0))
    given = NULL;
  if (given) {
    got = qf_call_constant_floats (c, at, scales, QF_MAX_RANK, error);
  } else if (at == 2 && target) {
    got = qf_call_constant_ints (c, 3, sizes, QF_MAX_RANK, error);
  } else {
    return QF_BAD ("it has neither scales nor sizes");
  }
  if (got < 0)
    return FALSE;
  if (got != n)
    return QF_BAD ("its scales or sizes do not fit its input");
  for (int i = 0; i < n; i++)
    if (given ? !(scales[i] > 0 && scales[i] < 1e6f)
              : sizes[i] < 1 || sizes[i] > QF_MAX_ELEMENTS)
      return QF_BAD ("its scales or sizes are out of range");
  if (!given)
    keep_aspect (c, axes, n, sizes);
  for (int i = 0; i < n; i++) {
    gint64 a = axes[i], in = x->dims[a];
    float extent = s->roi[1][a] - s->roi[0][a], wanted;

    if (in < 1)
      return QF_BAD ("its input is empty");
    s->scale[a] = given ? scales[i] : (float) sizes[i] / (float) in;
    wanted = (float) in * extent * (given ? scales[i] : 1);
    if (!isfinite (extent) || (given && !(wanted >= 0 && wanted < 3e8f)))
      return QF_BAD ("its roi or scales are out of range");
    s->out[a] = given ? (gint64) floorf (wanted) : sizes[i];
  }
  return TRUE;
}

/* Elements of the largest tensor between two dimensions. */
static gsize
largest (QfCall *c, const Sizes *s)
{
  gsize most = 0;

  for (int d = c->in[0]->rank - 1; d >= 0; d--) {
    gsize n = 1;

    for (int i = 0; i < c->in[0]->rank; i++)
      n = MIN (n * (gsize) (i < d ? c->in[0]->dims[i] : s->out[i]),
          2 * (gsize) QF_MAX_ELEMENTS);
    most = MAX (most, n);
  }
  return most;
}

gboolean
qf_infer_resize (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  Style style;
  Sizes s;

  qf_call_float (c, "extrapolation_value", 0);
  if (!read_style (c, &style, error) || !read_sizes (c, &s, error))
    return FALSE;
  if (x->dtype != QF_F32 && (style.mode != NEAREST || x->dtype == QF_BOOL))
    return QF_UNSUPPORTED ("the type of its input is not supported");
  for (int i = 0; i < x->rank; i++)
    if (style.antialias && s.scale[i] * MAX_TAPS < 6)
      return QF_UNSUPPORTED ("it makes its input too much smaller");
  return qf_call_set (c, 0, x->dtype, x->rank, s.out, error) &&
      (largest (c, &s) <= (gsize) QF_MAX_ELEMENTS ||
          QF_BAD ("it needs too much memory between two dimensions"));
}

/* ---- one dimension ------------------------------------------------------ */

typedef struct
{
  gint64 index[MAX_TAPS];
  float weight[MAX_TAPS];
  int n;
  gboolean outside; /* takes the extrapolation value */
} Taps;

/* Where output @o lies in the input. */
static double
coordinate (const Style *style, const Sizes *s, int d, gint64 in, gint64 o)
{
  double scale = (double) s->scale[d], x = (double) o, w = (double) s->out[d];
  double start = (double) s->roi[0][d], end = (double) s->roi[1][d];
  const char *m = style->coordinates;

  if (strcmp (m, "asymmetric") == 0)
    return x / scale;
  if (strcmp (m, "align_corners") == 0)
    return w > 1 ? x * (double) (in - 1) / (w - 1) : 0;
  if (strcmp (m, "pytorch_half_pixel") == 0)
    return w > 1 ? (x + 0.5) / scale - 0.5 : 0;
  if (strcmp (m, "tf_half_pixel_for_nn") == 0)
    return (x + 0.5) / scale;
  if (strcmp (m, "tf_crop_and_resize") == 0)
    return w > 1 ? start * (double) (in - 1) +
            x * (end - start) * (double) (in - 1) / (w - 1)
                 : 0.5 * (start + end) * (double) (in - 1);
  if (strcmp (m, "half_pixel_symmetric") == 0) {
    double adjust = w / (scale * (double) in);

    return (double) in / 2 * (1 - adjust) + (x + 0.5) / scale - 0.5;
  }
  return (x + 0.5) / scale - 0.5;
}

static gint64
round_to (const char *mode, double x)
{
  return strcmp (mode, "round_prefer_ceil") == 0 ? (gint64) floor (x + 0.5)
      : strcmp (mode, "floor") == 0              ? (gint64) floor (x)
      : strcmp (mode, "ceil") == 0               ? (gint64) ceil (x)
                                                 : (gint64) ceil (x - 0.5);
}

static double
kernel (const Style *s, double x)
{
  double a = (double) s->cubic;

  x = fabs (x);
  if (s->mode == LINEAR)
    return MAX (0, 1 - x);
  return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1
      : x < 2   ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
                : 0;
}

static void
taps_of (
    const Style *style, const Sizes *s, int d, gint64 in, gint64 o, Taps *t)
{
  double x = coordinate (style, s, d, in, o), sum = 0, shrink = 1, reach;
  gint64 first;

  t->outside = strcmp (style->coordinates, "tf_crop_and_resize") == 0 &&
      (x < 0 || x > (double) (in - 1));
  if (style->mode == NEAREST) {
    t->n = 1;
    t->weight[0] = 1;
    t->index[0] = CLAMP (round_to (style->nearest, x), 0, in - 1);
    return;
  }
  if (style->antialias)
    shrink = MIN (1, (double) s->scale[d]);
  reach = (style->mode == LINEAR ? 1 : 2) / shrink;
  first = (gint64) floor (x - reach) + 1;
  t->n = 0;
  for (gint64 i = first; (double) i < x + reach && t->n < MAX_TAPS; i++) {
    double w = kernel (style, (x - (double) i) * shrink);

    if (style->exclude && (i < 0 || i >= in))
      continue;
    t->index[t->n] = CLAMP (i, 0, in - 1);
    t->weight[t->n++] = (float) w;
    sum += w;
  }
  for (int i = 0; i < t->n; i++)
    t->weight[i] = sum != 0 ? (float) ((double) t->weight[i] / sum) : 0;
}

/* Resizes dimension @d of @dims, and changes it there. */
static void
resize_dim (const Style *style, const Sizes *s, int d, int rank, gint64 *dims,
    const void *from, void *to, gsize size)
{
  gint64 outer = 1, inner = 1, in = dims[d], out = s->out[d];
  Taps t;

  for (int i = 0; i < d; i++)
    outer *= dims[i];
  for (int i = d + 1; i < rank; i++)
    inner *= dims[i];
  for (gint64 o = 0; o < out; o++) {
    taps_of (style, s, d, in, o, &t);
    for (gint64 k = 0; k < outer; k++) {
      gsize y = (gsize) ((k * out + o) * inner);
      float *sum = (float *) to + y;

      if (style->mode == NEAREST) {
        memcpy ((guint8 *) to + y * size,
            (const guint8 *) from +
                (gsize) ((k * in + t.index[0]) * inner) * size,
            (gsize) inner * size);
        continue;
      }
      memset (sum, 0, (gsize) inner * sizeof *sum);
      for (int i = 0; i < t.n; i++) {
        const float *x = (const float *) from + (k * in + t.index[i]) * inner;

        for (gint64 j = 0; j < inner; j++)
          sum[j] += t.weight[i] * x[j];
      }
    }
  }
  dims[d] = out;
}

/* ---- all of them ------------------------------------------------------- */

gsize
qf_scratch_resize (QfCall *c)
{
  Sizes s;

  if (!read_sizes (c, &s, NULL))
    return 0;
  return 2 * largest (c, &s) * qf_dtype_size (c->in[0]->dtype);
}

static void
extrapolate (QfCall *c, const Style *style, const Sizes *s)
{
  float value = qf_call_float (c, "extrapolation_value", 0);
  const QfArray *x = c->in[0], *y = c->out[0];
  gint64 stride[QF_MAX_RANK], total = qf_array_elements (y);
  Taps t;

  if (y->dtype != QF_F32)
    return;
  qf_strides (y->rank, y->dims, stride);
  for (int d = 0; d < y->rank; d++)
    for (gint64 o = 0; o < y->dims[d]; o++) {
      taps_of (style, s, d, x->dims[d], o, &t);
      for (gint64 i = 0; t.outside && i < total; i++)
        if (i / stride[d] % y->dims[d] == o)
          ((float *) y->data)[i] = value;
    }
}

void
qf_run_resize (QfCall *c)
{
  const QfArray *x = c->in[0], *y = c->out[0];
  gsize size = qf_dtype_size (x->dtype);
  gint64 dims[QF_MAX_RANK];
  const void *from = x->data;
  void *half[2];
  int k = 0;
  Style style;
  Sizes s;

  if (qf_array_elements (y) == 0)
    return;
  read_style (c, &style, NULL);
  read_sizes (c, &s, NULL);
  half[0] = c->scratch;
  half[1] = (guint8 *) c->scratch + largest (c, &s) * size;
  memcpy (dims, x->dims, sizeof dims);
  for (int d = x->rank - 1; d >= 0; d--) {
    gboolean same = s.out[d] == dims[d] && s.scale[d] == 1 &&
        s.roi[0][d] == 0 && s.roi[1][d] == 1;

    if (same)
      continue;
    resize_dim (&style, &s, d, x->rank, dims, from, half[k], size);
    from = half[k];
    k ^= 1;
  }
  memcpy (y->data, from, qf_array_bytes (y));
  if (strcmp (style.coordinates, "tf_crop_and_resize") == 0)
    extrapolate (c, &style, &s);
}
