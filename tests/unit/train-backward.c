/* qfuse tests: the convolution's backward pass, layer by layer: against the
 * equations in double, and the same bytes from every tier and number of threads.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/net.h"
#include "trainnet.h"

#include <math.h>
#include <string.h>

#define BATCH 3

/* Every way that lib/train knows, with odd sizes and channels that fill no block:
 * few inputs, Winograd, strides, depthwise, groups, dilation, large windows,
 * single rows. */
static const struct
{
  int ic, oc, kernel_h, kernel_w, stride_h, stride_w, pad, dilation, groups;
} chain[] = {
  { 3, 16, 3, 3, 1, 1, 1, 1, 1 },
  { 16, 40, 3, 3, 1, 1, 1, 1, 1 },  /* Winograd */
  { 40, 21, 3, 3, 1, 1, 0, 1, 1 },  /* Winograd, no padding */
  { 21, 37, 3, 3, 1, 1, 1, 1, 1 },  /* Winograd, channels that fill no block */
  { 37, 37, 3, 3, 1, 1, 1, 1, 37 }, /* depthwise */
  { 37, 20, 1, 1, 1, 1, 0, 1, 1 },
  { 20, 24, 5, 3, 2, 1, 2, 1, 2 },  /* groups */
  { 24, 18, 3, 3, 1, 1, 2, 2, 1 },  /* dilated */
  { 18, 33, 3, 3, 2, 2, 1, 1, 1 },
  { 33, 33, 5, 5, 2, 3, 3, 1, 33 }, /* depthwise, strided */
  { 33, 9, 1, 1, 2, 2, 0, 1, 1 },   /* pixels that no tap meets */
};

static int
constant (QfGraph *g, int layer, const char *what, int rank, const gint64 *dims)
{
  g_autofree char *name = g_strdup_printf ("%s%d", what, layer);
  g_autofree float *data = NULL;
  gsize n = 1;

  for (int i = 0; i < rank; i++)
    n *= (gsize) dims[i];
  data = g_new (float, n);
  for (gsize i = 0; i < n; i++)
    data[i] = 1;
  return qf_graph_add_constant (g, name, QF_F32, rank, dims, data);
}

static QfGraph *
make_graph (void)
{
  QfGraph *g = qf_graph_new ();
  GError *error = NULL;
  gint64 dims[4] = { 1, 3, 25, 31 };
  const float scale = 1.0f / 64;
  const guint8 zero = 128;
  int x = qf_graph_add_value (g, "planes", QF_U8, 4, dims);
  int dq[3] = { x,
    qf_graph_add_constant (g, "in.scale", QF_F32, 0, NULL, &scale),
    qf_graph_add_constant (g, "in.zero", QF_U8, 0, NULL, &zero) };

  g_array_append_val (g->inputs, x);
  x = qf_graph_add_node (g, QF_OP_DEQUANTIZE, "in.dq", 3, dq)->out;
  for (int i = 0; i < (int) G_N_ELEMENTS (chain); i++) {
    gint64 w[4] = { chain[i].oc, chain[i].ic / chain[i].groups,
      chain[i].kernel_h, chain[i].kernel_w };
    gint64 oc[1] = { chain[i].oc };
    int in[5] = { x, constant (g, i, "w", 4, w) };
    g_autofree char *name = g_strdup_printf ("conv%d", i);
    g_autofree char *bn = g_strdup_printf ("bn%d", i);
    g_autofree char *relu = g_strdup_printf ("relu%d", i);
    QfNode *n = qf_graph_add_node (g, QF_OP_CONV, name, 2, in);
    int pad = chain[i].pad;

    n->win = (QfWindow){ { chain[i].kernel_h, chain[i].kernel_w },
      { chain[i].stride_h, chain[i].stride_w },
      { chain[i].dilation, chain[i].dilation }, { pad, pad, pad, pad },
      chain[i].groups };
    in[0] = n->out;
    for (int j = 0; j < 4; j++)
      in[1 + j] = constant (g, i, (const char *[]){ "g", "b", "m", "v" }[j], 1,
          oc);
    n = qf_graph_add_node (g, QF_OP_BATCH_NORM, bn, 5, in);
    n->epsilon = 1e-3f;
    x = qf_graph_add_node (g, QF_OP_RELU, relu, 1, &n->out)->out;
  }
  g_array_append_val (g->outputs, x);
  if (!qf_graph_validate (g, &error))
    g_error ("%s", error->message);
  return g;
}

/* A layer's gradients in double ---------------------------------------------- */

static gsize
elements (const QfBlob *b)
{
  return (gsize) BATCH * b->h * b->w * b->c;
}

/* dLoss/d(convolution's result), (T8). */
static double *
make_dy (const QfNet *net, const QfLayer *l)
{
  const QfConvLayer *cv = l->conv;
  const QfBlob *x = qf_net_blob (net, l->in[0]);
  const QfBlob *y = qf_net_blob (net, l->out);
  gsize n = elements (y);
  int oc = y->c;
  double *dy = g_new (double, n), count = (double) (n / oc);
  g_autofree double *sums = g_new0 (double, 2 * oc);

#define XHAT(i, c)                                                             \
  (((net->quantize ? (double) x->scale * (double) cv->s_w[c] * cv->acc[i]      \
                   : (double) cv->y[i])                                        \
       - (double) cv->mean[c]) * (double) cv->rstd[c])
  for (gsize i = 0; i < n; i++) {
    gboolean in = net->quantize
        ? y->codes[i] > cv->lo_code && y->codes[i] < cv->hi_code
        : y->real[i] > 0 && y->real[i] < (float) y->range.hi;

    dy[i] = in ? (double) y->grad[i] : 0;
    sums[i % oc] += dy[i];
    sums[oc + i % oc] += dy[i] * XHAT (i, i % oc);
  }
  for (gsize i = 0; i < n; i++) {
    int c = (int) (i % oc);

    dy[i] = (double) cv->g[c]
        * (dy[i] - sums[c] / count - XHAT (i, c) * sums[oc + c] / count);
  }
  return dy;
}

/* Adds (T9) to @dw and @dx. */
static void
add_gradients (const QfNet *net, const QfLayer *l, const double *dy,
    double *dw, double *dx)
{
  const QfConvLayer *cv = l->conv;
  const QfConvShape *s = &cv->shape;
  const QfBlob *x = qf_net_blob (net, l->in[0]);
  int icg = s->in_c / s->groups, ocg = s->out_c / s->groups;

  for (gsize k = 0; k < elements (qf_net_blob (net, l->out)); k++) {
    int o = (int) (k % s->out_c), ox = (int) (k / s->out_c % s->out_w);
    int oy = (int) (k / s->out_c / s->out_w % s->out_h);
    int image = (int) (k / s->out_c / s->out_w / s->out_h);

    for (int j = 0; j < cv->k; j++) {
      int tap = j / icg, c = o / ocg * icg + j % icg;
      int iy = oy * s->stride_h - s->pad_top
          + tap / s->kernel_w * s->dilation_h;
      int ix = ox * s->stride_w - s->pad_left
          + tap % s->kernel_w * s->dilation_w;
      gsize at = (((gsize) image * s->in_h + iy) * s->in_w + ix) * s->in_c + c;

      if (iy < 0 || ix < 0 || iy >= s->in_h || ix >= s->in_w)
        continue;
      dw[o * cv->k + j] += dy[k]
          * (net->quantize ? (double) x->scale * (x->codes[at] - x->zero)
                           : (double) x->real[at]);
      dx[at] += dy[k] * (double) cv->real_weight[o * cv->k + j];
    }
  }
}

static void
assert_close (const char *what, const char *layer, const float *got,
    const double *want, gsize n)
{
  double error = 0, size = 0;

  for (gsize i = 0; i < n; i++) {
    double d = (double) got[i] - want[i];

    error += d * d;
    size += want[i] * want[i];
  }
  if (!(error <= 1e-10 * size))
    g_error ("%s of %s: relative error %g", what, layer, sqrt (error / size));
}

static void
check_layer (QfNet *net, QfLayer *l, QfRng *rng)
{
  QfBlob *x = qf_net_blob (net, l->in[0]), *y = qf_net_blob (net, l->out);
  gsize weights = (gsize) l->conv->k * l->conv->shape.out_c;
  g_autofree double *dy = NULL;
  g_autofree double *dw = g_new0 (double, weights);
  g_autofree double *dx = g_new0 (double, elements (x));

  for (gsize i = 0; i < elements (y); i++)
    y->grad[i] = (float) (qf_rng_uniform (rng) - 0.5);
  for (int live = 0; live < 2; live++) {
    x->grad_live = live;
    for (gsize i = 0; x->grad && i < elements (x); i++) {
      x->grad[i] = (float) (qf_rng_uniform (rng) - 0.5);
      dx[i] = live ? (double) x->grad[i] : 0;
    }
    memset (dw, 0, sizeof (double) * weights);
    g_free (dy);
    dy = make_dy (net, l);
    add_gradients (net, l, dy, dw, dx);
    qf_conv_backward (net, l, BATCH);
    assert_close ("weight gradient", l->name, l->conv->weight_grad, dw,
        weights);
    if (x->grad)
      assert_close ("input gradient", l->name, x->grad, dx, elements (x));
  }
}

static QfNet *
make_net (gboolean quantize, QfPool *pool, QfRng *rng)
{
  g_autoptr (QfGraph) g = make_graph ();
  GError *error = NULL;
  QfNet *net = qf_net_new (g, BATCH, quantize, pool, &error);

  if (!net)
    g_error ("%s", error->message);
  qf_net_init (net, rng);
  test_fill_input (net, BATCH, rng);
  qf_net_forward (net, BATCH, TRUE);
  return net;
}

static void
test_equations (gconstpointer quantize)
{
  QfRng rng = { test_seed () };
  QfNet *net = make_net (GPOINTER_TO_INT (quantize), NULL, &rng);

  for (guint i = 0; i < net->layers->len; i++)
    check_layer (net, qf_net_layer (net, (int) i), &rng);
  qf_net_free (net);
}

/* All gradients of one backward pass. */
static GByteArray *
run (const char *tier, int threads)
{
  QfRng rng = { test_seed () };
  QfPool *pool = qf_pool_new (threads);
  QfNet *net = make_net (TRUE, pool, &rng);
  GByteArray *all = g_byte_array_new ();
  QfBlob *y = qf_net_blob (net, g_array_index (net->outputs, int, 0));

  net->grad_kernels = qf_grad_kernels_tier (tier);
  for (gsize i = 0; i < elements (y); i++)
    y->grad[i] = (float) (qf_rng_uniform (&rng) - 0.5);
  qf_net_backward (net, BATCH);
  for (guint i = 0; i < net->layers->len; i++) {
    QfConvLayer *cv = qf_net_layer (net, (int) i)->conv;
    guint oc = (guint) cv->shape.out_c;

    g_byte_array_append (all, (guint8 *) cv->weight_grad,
        (guint) sizeof (float) * oc * cv->k);
    g_byte_array_append (all, (guint8 *) cv->gamma_grad,
        (guint) sizeof (float) * oc);
    g_byte_array_append (all, (guint8 *) cv->beta_grad,
        (guint) sizeof (float) * oc);
  }
  qf_net_free (net);
  qf_pool_free (pool);
  return all;
}

static void
test_same_bytes (void)
{
  static const char *const tiers[] = { "c", "avx2", "avxvnni", "avx512vnni" };
  g_autoptr (GByteArray) want = run ("c", 1);

  for (gsize i = 0; i < G_N_ELEMENTS (tiers); i++)
    for (int threads = 1; threads <= 4; threads *= 2) {
      g_autoptr (GByteArray) got = NULL;

      if (!qf_grad_kernels_tier (tiers[i])) {
        g_test_message ("no tier %s here", tiers[i]);
        break;
      }
      got = run (tiers[i], threads);
      g_assert_cmpmem (got->data, got->len, want->data, want->len);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/train/backward/quantized", GINT_TO_POINTER (TRUE),
      test_equations);
  g_test_add_data_func ("/train/backward/float", GINT_TO_POINTER (FALSE),
      test_equations);
  g_test_add_func ("/train/backward/same-bytes", test_same_bytes);
  return g_test_run ();
}
