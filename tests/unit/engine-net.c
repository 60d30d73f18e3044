/* Test networks with the reference beside them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine-net.h"

#include <math.h>
#include <string.h>

void
net_init (Net *net, guint64 seed)
{
  net->graph = qf_graph_new ();
  net->rng = (QfRng){ seed };
  net->memory = g_ptr_array_new_with_free_func (g_free);
  net->n = 0;
}

void
net_clear (Net *net)
{
  qf_graph_free (net->graph);
  g_ptr_array_unref (net->memory);
}

int
net_int (Net *net, int lo, int hi)
{
  return lo + (int) qf_rng_below (&net->rng, (guint32) (hi - lo + 1));
}

static float
uniform (Net *net, double lo, double hi)
{
  return (float) (lo + (hi - lo) * qf_rng_uniform (&net->rng));
}

static gsize
elements (const Act *a)
{
  return (gsize) a->c * (gsize) a->h * (gsize) a->w;
}

static void
allocate (Net *net, Act *a)
{
  a->f = g_new0 (float, elements (a));
  g_ptr_array_add (net->memory, a->f);
  if (a->scale > 0) {
    a->u = g_new0 (guint8, elements (a));
    g_ptr_array_add (net->memory, a->u);
  }
}

static void
dequantize (Act *a)
{
  for (gsize i = 0; i < elements (a); i++)
    a->f[i] = a->scale * (float) (a->u[i] - a->zero);
}

static guint8
code (float v, float scale, int zero)
{
  float q = v / scale;

  return (guint8) CLAMP (nearbyint ((double) q) + zero, 0, 255);
}

static char *
name (Net *net, const char *what)
{
  char *s = g_strdup_printf ("%s%d", what, net->n++);

  g_ptr_array_add (net->memory, s);
  return s;
}

static int
constant (
    Net *net, QfDType type, int rank, const gint64 *dims, const void *data)
{
  return qf_graph_add_constant (
      net->graph, name (net, "k"), type, rank, dims, data);
}

static int
scalar (Net *net, QfDType type, const void *data)
{
  return constant (net, type, 0, NULL, data);
}

static QfNode *
node (Net *net, QfOp op, const char *what, int n_in, const int *in)
{
  return qf_graph_add_node (net->graph, op, name (net, what), n_in, in);
}

static int
out_of (Net *net)
{
  return qf_graph_node (net->graph, (int) net->graph->nodes->len - 1)->out;
}

static int
add_node (Net *net, QfOp op, const char *what, int n_in, const int *in)
{
  return node (net, op, what, n_in, in)->out;
}

/* QuantizeLinear and DequantizeLinear behind @value. */
static void
add_pair (Net *net, int value, Act *a)
{
  guint8 zero = (guint8) a->zero;
  int scale = scalar (net, QF_F32, &a->scale);
  int z = scalar (net, QF_U8, &zero), in[3] = { value, scale, z };

  a->codes_of = add_node (net, QF_OP_QUANTIZE, "q", 3, in);
  in[0] = a->codes_of;
  a->value = add_node (net, QF_OP_DEQUANTIZE, "dq", 3, in);
}

Act
net_input_u8 (Net *net, int c, int h, int w, float scale, int zero)
{
  Act a = { 0, 0, c, h, w, scale, zero, NULL, NULL };
  gint64 dims[4] = { 1, c, h, w };
  guint8 z = (guint8) zero;
  int in[3];

  allocate (net, &a);
  for (gsize i = 0; i < elements (&a); i++)
    a.u[i] = (guint8) qf_rng_next (&net->rng);
  dequantize (&a);
  a.codes_of =
      qf_graph_add_value (net->graph, name (net, "in"), QF_U8, 4, dims);
  g_array_append_val (net->graph->inputs, a.codes_of);
  in[0] = a.codes_of;
  in[1] = scalar (net, QF_F32, &scale);
  in[2] = scalar (net, QF_U8, &z);
  a.value = add_node (net, QF_OP_DEQUANTIZE, "dq", 3, in);
  return a;
}

Act
net_input_f32 (Net *net, int c, int h, int w)
{
  Act a = { 0, -1, c, h, w, 0, 0, NULL, NULL };
  gint64 dims[4] = { 1, c, h, w };

  allocate (net, &a);
  for (gsize i = 0; i < elements (&a); i++)
    a.f[i] = uniform (net, -1, 1);
  a.value = qf_graph_add_value (net->graph, name (net, "in"), QF_F32, 4, dims);
  g_array_append_val (net->graph->inputs, a.value);
  return a;
}

/* Convolution ------------------------------------------------------------- */

typedef struct
{
  gint8 *codes;
  float *scales, *real;
  gint32 *bias_codes;
  float *bias;
  gint64 dims[4];
} Weights;

static void
weights_init (Net *net, Weights *w, int oc, int ic, int kh, int kw,
    float x_scale, gboolean bias)
{
  gsize k = (gsize) ic * kh * kw, n = (gsize) oc * k;

  *w = (Weights){ g_new (gint8, n), g_new (float, oc), g_new (float, n),
    g_new0 (gint32, oc), g_new0 (float, oc), { oc, ic, kh, kw } };
  for (int o = 0; o < oc; o++) {
    w->scales[o] = uniform (net, 0.5, 1.5) / 127 / sqrtf ((float) k);
    for (gsize i = 0; i < k; i++) {
      w->codes[o * k + i] = (gint8) net_int (net, -127, 127);
      w->real[o * k + i] = w->scales[o] * (float) w->codes[o * k + i];
    }
    if (bias) {
      float step = x_scale > 0 ? x_scale * w->scales[o] : 1;

      w->bias_codes[o] = net_int (net, -3000, 3000);
      w->bias[o] =
          x_scale > 0 ? step * (float) w->bias_codes[o] : uniform (net, -1, 1);
    }
  }
}

static void
weights_clear (Weights *w)
{
  g_free (w->codes);
  g_free (w->scales);
  g_free (w->real);
  g_free (w->bias_codes);
  g_free (w->bias);
}

/* Dequantized weights, and bias where asked for. Fills inputs 1 and 2. */
static void
add_weights (Net *net, const Weights *w, int rank, float x_scale, gboolean bias,
    gboolean as_uint8, int *in)
{
  int oc = (int) w->dims[0];
  gsize n = (gsize) oc * w->dims[1] * w->dims[2] * w->dims[3];
  g_autofree guint8 *shifted = g_new (guint8, n);
  g_autofree guint8 *zeros = g_new (guint8, oc);
  g_autofree gint32 *bias_zeros = g_new0 (gint32, oc);
  g_autofree float *steps = g_new (float, oc);
  QfDType type = as_uint8 ? QF_U8 : QF_I8;
  int q[3];

  memset (zeros, as_uint8 ? 128 : 0, (gsize) oc);
  for (gsize i = 0; i < n; i++)
    shifted[i] = (guint8) (w->codes[i] + (as_uint8 ? 128 : 0));
  q[0] = constant (net, type, rank, w->dims, shifted);
  q[1] = constant (net, QF_F32, 1, w->dims, w->scales);
  q[2] = constant (net, type, 1, w->dims, zeros);
  node (net, QF_OP_DEQUANTIZE, "w", 3, q)->axis = 0;
  in[1] = out_of (net);
  in[2] = -1;
  if (!bias)
    return;
  for (int o = 0; o < oc; o++)
    steps[o] = x_scale * w->scales[o];
  q[0] = constant (net, QF_I32, 1, w->dims, w->bias_codes);
  q[1] = constant (net, QF_F32, 1, w->dims, steps);
  q[2] = constant (net, QF_I32, 1, w->dims, bias_zeros);
  node (net, QF_OP_DEQUANTIZE, "b", 3, q)->axis = 0;
  in[2] = out_of (net);
}

static void
set_window (QfNode *n, const ConvSpec *s)
{
  n->win = (QfWindow){ { s->kh, s->kw }, { s->stride, s->stride },
    { s->dilation, s->dilation },
    { s->pad[0], s->pad[1], s->pad[2], s->pad[3] }, s->groups };
}

static int
extent (int in, int before, int after, int kernel, const ConvSpec *s)
{
  return (in + before + after - (kernel - 1) * s->dilation - 1) / s->stride + 1;
}

/* Input element of tap (@ky, @kx) or −1 outside. */
static gssize
tap (const Act *x, const ConvSpec *s, int c, int oy, int ox, int ky, int kx)
{
  int iy = oy * s->stride - s->pad[0] + ky * s->dilation;
  int ix = ox * s->stride - s->pad[1] + kx * s->dilation;

  return iy < 0 || iy >= x->h || ix < 0 || ix >= x->w
      ? -1
      : ((gssize) c * x->h + iy) * x->w + ix;
}

static gint64
sum_codes (
    const Act *x, const ConvSpec *s, const Weights *w, int o, int oy, int ox)
{
  int ic = (int) w->dims[1], oc = s->oc / s->groups;
  const gint8 *wp = w->codes + (gsize) o * ic * s->kh * s->kw;
  gint64 sum = w->bias_codes[o];

  for (int c = 0; c < ic; c++)
    for (int ky = 0; ky < s->kh; ky++)
      for (int kx = 0; kx < s->kw; kx++, wp++) {
        gssize i = tap (x, s, o / oc * ic + c, oy, ox, ky, kx);

        if (i >= 0)
          sum += (x->u[i] - x->zero) * *wp;
      }
  return sum;
}

static double
sum_real (
    const Act *x, const ConvSpec *s, const Weights *w, int o, int oy, int ox)
{
  int ic = (int) w->dims[1], oc = s->oc / s->groups;
  const float *wp = w->real + (gsize) o * ic * s->kh * s->kw;
  double sum = w->bias[o];

  for (int c = 0; c < ic; c++)
    for (int ky = 0; ky < s->kh; ky++)
      for (int kx = 0; kx < s->kw; kx++, wp++) {
        gssize i = tap (x, s, o / oc * ic + c, oy, ox, ky, kx);

        if (i >= 0)
          sum += (double) x->f[i] * *wp;
      }
  return sum;
}

static int
add_activation (Net *net, int value, int act)
{
  QfNode *n;

  if (act == 0)
    return value;
  n = node (net,
      act == 1       ? QF_OP_RELU
          : act == 2 ? QF_OP_CLIP
                     : QF_OP_SIGMOID,
      "act", 1, &value);
  n->lo = 0;
  n->hi = 6;
  return n->out;
}

static void
code_bounds (const Act *y, int act, int *lo, int *hi)
{
  *lo = act ? y->zero : 0;
  *hi = act == 2 ? code (6, y->scale, y->zero) : 255;
}

static Act
conv_u8 (
    Net *net, const Act *x, const ConvSpec *s, QfOp op, float scale, int zero)
{
  Act y = { 0, 0, s->oc, extent (x->h, s->pad[0], s->pad[2], s->kh, s),
    extent (x->w, s->pad[1], s->pad[3], s->kw, s), scale, zero, NULL, NULL };
  int in[3] = { x->value, -1, -1 }, lo, hi;
  Weights w;
  QfNode *n;
  guint8 *to;

  allocate (net, &y);
  weights_init (
      net, &w, s->oc, x->c / s->groups, s->kh, s->kw, x->scale, s->bias);
  add_weights (net, &w, op == QF_OP_GEMM ? 2 : 4, x->scale, s->bias,
      s->uint8_weights, in);
  n = node (net, op, "conv", s->bias ? 3 : 2, in);
  if (op == QF_OP_CONV)
    set_window (n, s);
  add_pair (net, add_activation (net, n->out, s->act), &y);
  code_bounds (&y, s->act, &lo, &hi);
  to = y.u;
  for (int o = 0; o < y.c; o++) {
    float k = x->scale * w.scales[o], m = k / scale;

    for (int oy = 0; oy < y.h; oy++)
      for (int ox = 0; ox < y.w; ox++) {
        float v = (float) (gint32) sum_codes (x, s, &w, o, oy, ox) * m;

        *to++ = (guint8) CLAMP (nearbyint ((double) v) + zero, lo, hi);
      }
  }
  weights_clear (&w);
  dequantize (&y);
  return y;
}

Act
net_conv (Net *net, const Act *x, const ConvSpec *s, float scale, int zero)
{
  return conv_u8 (net, x, s, QF_OP_CONV, scale, zero);
}

Act
net_gemm (Net *net, const Act *x, int n, float scale, int zero)
{
  ConvSpec s = { n, 1, 1, 1, { 0 }, 1, 1, TRUE, 0, 0 };

  return conv_u8 (net, x, &s, QF_OP_GEMM, scale, zero);
}

static float
activate (float v, int act)
{
  return act == 0 ? v
      : act == 1  ? MAX (v, 0)
      : act == 2  ? CLAMP (v, 0, 6)
                  : 1 / (1 + expf (-v));
}

Act
net_conv_f32 (Net *net, const Act *x, const ConvSpec *s)
{
  Act y = { 0, -1, s->oc, extent (x->h, s->pad[0], s->pad[2], s->kh, s),
    extent (x->w, s->pad[1], s->pad[3], s->kw, s), 0, 0, NULL, NULL };
  int in[3] = { x->value, -1, -1 };
  Weights w;
  QfNode *n;
  float *to;

  allocate (net, &y);
  weights_init (net, &w, s->oc, x->c / s->groups, s->kh, s->kw, 0, s->bias);
  in[1] = constant (net, QF_F32, 4, w.dims, w.real);
  if (s->bias)
    in[2] = constant (net, QF_F32, 1, w.dims, w.bias);
  n = node (net, QF_OP_CONV, "conv", s->bias ? 3 : 2, in);
  set_window (n, s);
  y.value = add_activation (net, n->out, s->act);
  to = y.f;
  for (int o = 0; o < y.c; o++)
    for (int oy = 0; oy < y.h; oy++)
      for (int ox = 0; ox < y.w; ox++)
        *to++ = activate ((float) sum_real (x, s, &w, o, oy, ox), s->act);
  weights_clear (&w);
  return y;
}

/* Other operators --------------------------------------------------------- */

Act
net_add (Net *net, const Act *a, const Act *b, int act, float scale, int zero)
{
  Act y = { 0, -1, a->c, a->h, a->w, scale, zero, NULL, NULL };
  int in[2] = { a->value, b->value }, value, lo, hi;

  allocate (net, &y);
  value = add_activation (net, add_node (net, QF_OP_ADD, "add", 2, in), act);
  for (gsize i = 0; i < elements (&y); i++)
    y.f[i] = activate (a->f[i] + b->f[i], act);
  if (scale == 0) {
    y.value = value;
    return y;
  }
  add_pair (net, value, &y);
  code_bounds (&y, act, &lo, &hi);
  for (gsize i = 0; i < elements (&y); i++) {
    float sum = a->f[i] + b->f[i];

    y.u[i] = CLAMP (code (sum, scale, zero), lo, hi);
  }
  dequantize (&y);
  return y;
}

/* Requantizes the real values @y->f, where @y is quantized. */
static void
finish (Net *net, int value, Act *y)
{
  y->value = value;
  y->codes_of = -1;
  if (y->scale == 0)
    return;
  add_pair (net, value, y);
  for (gsize i = 0; i < elements (y); i++)
    y->u[i] = code (y->f[i], y->scale, y->zero);
  dequantize (y);
}

Act
net_concat (
    Net *net, const Act *const *x, int n, int axis, float scale, int zero)
{
  Act y = { 0, -1, x[0]->c, x[0]->h, x[0]->w, scale, zero, NULL, NULL };
  g_autofree int *in = g_new (int, n);
  int *along = axis == 1 ? &y.c : axis == 2 ? &y.h : &y.w;
  gsize at = 0, outer, inner;

  *along = 0;
  for (int i = 0; i < n; i++) {
    in[i] = x[i]->value;
    *along += axis == 1 ? x[i]->c : axis == 2 ? x[i]->h : x[i]->w;
  }
  allocate (net, &y);
  node (net, QF_OP_CONCAT, "cat", n, in)->axis = axis;
  outer = axis == 1 ? 1 : axis == 2 ? (gsize) y.c : (gsize) y.c * y.h;
  inner = elements (&y) / outer;
  for (int i = 0; i < n; i++) {
    gsize run = elements (x[i]) / outer;

    for (gsize o = 0; o < outer; o++)
      memcpy (y.f + o * inner + at, x[i]->f + o * run, run * sizeof (float));
    at += run;
  }
  finish (net, out_of (net), &y);
  return y;
}

Act
net_max_pool (Net *net, const Act *x, int kernel, int stride, int pad)
{
  ConvSpec s = { x->c, kernel, kernel, stride, { pad, pad, pad, pad }, 1, 1,
    FALSE, 0, 0 };
  Act y = { 0, -1, x->c, extent (x->h, pad, pad, kernel, &s),
    extent (x->w, pad, pad, kernel, &s), x->scale, x->zero, NULL, NULL };
  float *to;

  allocate (net, &y);
  set_window (node (net, QF_OP_MAX_POOL, "max", 1, &x->value), &s);
  to = y.f;
  for (int c = 0; c < y.c; c++)
    for (int oy = 0; oy < y.h; oy++)
      for (int ox = 0; ox < y.w; ox++, to++) {
        *to = -INFINITY;
        for (int ky = 0; ky < kernel; ky++)
          for (int kx = 0; kx < kernel; kx++) {
            gssize i = tap (x, &s, c, oy, ox, ky, kx);

            if (i >= 0)
              *to = MAX (*to, x->f[i]);
          }
      }
  finish (net, out_of (net), &y);
  return y;
}

Act
net_global_avg (Net *net, const Act *x, float scale, int zero)
{
  Act y = { 0, -1, x->c, 1, 1, scale, zero, NULL, NULL };
  int n = x->h * x->w, value;

  allocate (net, &y);
  value = add_node (net, QF_OP_GLOBAL_AVG_POOL, "avg", 1, &x->value);
  for (int c = 0; c < x->c; c++) {
    gint32 sum = 0;
    double real = 0;

    for (int i = 0; i < n; i++) {
      real += (double) x->f[c * n + i];
      sum += x->u ? x->u[c * n + i] - x->zero : 0;
    }
    y.f[c] = (float) (real / n);
    if (y.u) {
      float m = x->scale / (scale * (float) n), v = (float) sum * m;

      y.u[c] = (guint8) CLAMP (nearbyint ((double) v) + zero, 0, 255);
    }
  }
  y.value = value;
  if (y.u) {
    add_pair (net, value, &y);
    dequantize (&y);
  }
  return y;
}

Act
net_resize (Net *net, const Act *x, int sh, int sw)
{
  Act y = { 0, -1, x->c, x->h * sh, x->w * sw, x->scale, x->zero, NULL, NULL };
  QfNode *n = node (net, QF_OP_RESIZE_NEAREST, "up", 1, &x->value);
  gsize i = 0;

  allocate (net, &y);
  n->scale_h = sh;
  n->scale_w = sw;
  for (int c = 0; c < y.c; c++)
    for (int oy = 0; oy < y.h; oy++)
      for (int ox = 0; ox < y.w; ox++)
        y.f[i++] = x->f[((gsize) c * x->h + oy / sh) * x->w + ox / sw];
  finish (net, out_of (net), &y);
  return y;
}

Act
net_flatten (Net *net, const Act *x)
{
  Act y = { 0, -1, (int) elements (x), 1, 1, x->scale, x->zero, NULL, NULL };

  allocate (net, &y);
  node (net, QF_OP_FLATTEN, "flat", 1, &x->value)->axis = 1;
  memcpy (y.f, x->f, elements (x) * sizeof (float));
  finish (net, out_of (net), &y);
  return y;
}

Act
net_sigmoid (Net *net, const Act *x, float scale, int zero)
{
  Act y = { 0, -1, x->c, x->h, x->w, scale, zero, NULL, NULL };

  allocate (net, &y);
  add_node (net, QF_OP_SIGMOID, "sigmoid", 1, &x->value);
  for (gsize i = 0; i < elements (x); i++)
    y.f[i] = (float) (1 / (1 + exp (-(double) x->f[i])));
  finish (net, out_of (net), &y);
  return y;
}

Act
net_batch_norm_f32 (Net *net, const Act *x)
{
  Act y = { 0, -1, x->c, x->h, x->w, 0, 0, NULL, NULL };
  g_autofree float *p = g_new (float, 4 * x->c);
  gint64 dims[1] = { x->c };
  int in[5] = { x->value }, c = x->c, n = x->h * x->w;

  allocate (net, &y);
  for (int i = 0; i < 4 * c; i++)
    p[i] = uniform (net, i < 3 * c ? -1 : 0.5, 1.5);
  for (int i = 0; i < 4; i++)
    in[i + 1] = constant (net, QF_F32, 1, dims, p + i * c);
  node (net, QF_OP_BATCH_NORM, "bn", 5, in)->epsilon = 1e-3f;
  for (int i = 0; i < c * n; i++) {
    int k = i / n;

    y.f[i] = (float) (p[k] * ((double) x->f[i] - p[2 * c + k]) /
            sqrt ((double) p[3 * c + k] + 1e-3f) +
        p[c + k]);
  }
  y.value = out_of (net);
  return y;
}

Act
net_quantize (Net *net, const Act *x, float scale, int zero)
{
  Act y = { 0, -1, x->c, x->h, x->w, scale, zero, NULL, NULL };

  allocate (net, &y);
  memcpy (y.f, x->f, elements (x) * sizeof (float));
  finish (net, x->value, &y);
  return y;
}

/* Whole networks ---------------------------------------------------------- */

void
net_output (Net *net, const Act *x)
{
  int value = x->codes_of >= 0 ? x->codes_of : x->value;

  g_array_append_val (net->graph->outputs, value);
}

QfModel *
net_model (Net *net)
{
  g_autoptr (GError) error = NULL;
  QfModel *model;

  g_assert_true (qf_graph_validate (net->graph, &error));
  g_assert_no_error (error);
  model = qf_model_new (net->graph);
  net->graph = qf_graph_new ();
  return model;
}

void
net_fill (const Act *x, const QfTensor *input)
{
  g_assert_cmpint (input->layout, ==, QF_NCHW);
  g_assert_cmpint (input->c, ==, x->c);
  g_assert_cmpint (input->h, ==, x->h);
  g_assert_cmpint (input->w, ==, x->w);
  if (x->u)
    memcpy (input->data, x->u, elements (x));
  else
    memcpy (input->data, x->f, elements (x) * sizeof (float));
}

void
net_compare (const Act *want, const QfTensor *got)
{
  float largest = 0;
  gsize i = 0;

  g_assert_cmpint (got->c, ==, want->c);
  g_assert_cmpint (got->h, ==, want->h);
  g_assert_cmpint (got->w, ==, want->w);
  g_assert_cmpint (got->dtype, ==, want->u ? QF_U8 : QF_F32);
  g_assert_cmpint (got->layout, ==, QF_NHWC);
  for (gsize j = 0; j < elements (want); j++)
    largest = MAX (largest, fabsf (want->f[j]));
  for (int c = 0; c < want->c; c++)
    for (int y = 0; y < want->h; y++)
      for (int x = 0; x < want->w; x++, i++) {
        gsize at = qf_tensor_index (got, c, y, x);

        if (want->u)
          g_assert_cmpint (((guint8 *) got->data)[at], ==, want->u[i]);
        else
          g_assert_cmpfloat (fabsf (((float *) got->data)[at] - want->f[i]), <=,
              1e-5f * MAX (largest, 1));
      }
}
