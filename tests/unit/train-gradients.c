/* qfuse tests: with rounding off, outputs and gradients equal plain convolution
 * and batch norm: an independent evaluation in double with finite differences,
 * and figures from PyTorch (golden/torch-net.bin, made by golden/torch_net.py).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/loss.h"
#include "trainnet.h"

#include <math.h>
#include <string.h>

/* The network in double ------------------------------------------------------- */

typedef struct
{
  const QfNet *net;
  int n;
  double **value; /* a blob's values */
} Reference;

static gsize
blob_size (const Reference *r, int blob)
{
  const QfBlob *b = qf_net_blob (r->net, blob);

  return (gsize) r->n * b->h * b->w * b->c;
}

static double
at (const Reference *r, int blob, int i, int y, int x, int c)
{
  const QfBlob *b = qf_net_blob (r->net, blob);

  return r->value[blob][(((gsize) i * b->h + y) * b->w + x) * b->c + c];
}

/* @weight replaces the layer's weights, @gamma and @beta likewise. */
static void
ref_conv (Reference *r, const QfLayer *l, const double *weight,
    const double *gamma, const double *beta)
{
  const QfConvLayer *cv = l->conv;
  const QfConvShape *s = &cv->shape;
  int icg = s->in_c / s->groups, ocg = s->out_c / s->groups, oc = s->out_c;
  gsize total = blob_size (r, l->out), per = total / (gsize) oc;
  double *y = r->value[l->out];

  for (gsize k = 0; k < total; k++) {
    int c = (int) (k % (gsize) oc), ox = (int) (k / oc % s->out_w);
    int oy = (int) (k / oc / s->out_w % s->out_h);
    int i = (int) (k / oc / s->out_w / s->out_h);
    double sum = 0;

    for (int ky = 0; ky < s->kernel_h; ky++)
      for (int kx = 0; kx < s->kernel_w; kx++) {
        int iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
        int ix = ox * s->stride_w - s->pad_left + kx * s->dilation_w;

        if (iy < 0 || ix < 0 || iy >= s->in_h || ix >= s->in_w)
          continue;
        for (int j = 0; j < icg; j++)
          sum += weight[((c * s->kernel_h + ky) * s->kernel_w + kx) * icg + j]
              * at (r, l->in[0], i, iy, ix, c / ocg * icg + j);
      }
    y[k] = sum;
  }
  for (int c = 0; c < oc; c++) {
    double mean = 0, var = 0, g = 1, b = beta[c];

    if (cv->has_bn) {
      for (gsize p = 0; p < per; p++)
        mean += y[p * oc + c] / (double) per;
      for (gsize p = 0; p < per; p++)
        var += (y[p * oc + c] - mean) * (y[p * oc + c] - mean) / (double) per;
      g = gamma[c] / sqrt (var + (double) cv->epsilon);
      b -= g * mean;
    }
    for (gsize p = 0; p < per; p++) {
      double v = g * y[p * oc + c] + b;

      y[p * oc + c] = l->clip
          ? CLAMP (v, (double) l->clip_lo, (double) l->clip_hi) : v;
    }
  }
}

/* Functions of one number, in double. */
static double
ref_function (const QfNode *n, double v)
{
  switch (n->op) {
    case QF_OP_RELU:
      return MAX (v, 0);
    case QF_OP_CLIP:
      return CLAMP (v, (double) n->lo, (double) n->hi);
    case QF_OP_SIGMOID:
      return 1 / (1 + exp (-v));
    case QF_OP_LEAKY_RELU:
      return v < 0 ? (double) n->alpha * v : v;
    case QF_OP_HARD_SWISH:
      return v * CLAMP (v + 3, 0, 6) / 6;
    case QF_OP_SILU:
      return v / (1 + exp (-v));
    default:
      g_assert_not_reached ();
  }
}

/* A window's largest or mean number. */
static double
ref_pool (const Reference *r, const QfLayer *l, int i, int oy, int ox, int c)
{
  const QfBlob *x = qf_net_blob (r->net, l->in[0]);
  const QfWindow *w = &l->node.win;
  double max = -INFINITY, sum = 0;
  int n = 0;

  for (int ky = 0; ky < w->kernel[0]; ky++)
    for (int kx = 0; kx < w->kernel[1]; kx++) {
      int iy = oy * w->stride[0] - w->pad[0] + ky * w->dilation[0];
      int ix = ox * w->stride[1] - w->pad[1] + kx * w->dilation[1];
      double v;

      if (iy < 0 || ix < 0 || iy >= x->h || ix >= x->w)
        continue;
      v = at (r, l->in[0], i, iy, ix, c);
      max = MAX (max, v);
      sum += v;
      n++;
    }
  if (l->kind == QF_LAYER_MAX_POOL)
    return max;
  return sum / (l->node.include_pad ? w->kernel[0] * w->kernel[1] : n);
}

static double
ref_element (const Reference *r, const QfLayer *l, int i, int oy, int ox, int c)
{
  const QfNode *n = &l->node;
  const QfBlob *b = qf_net_blob (r->net, l->in[l->n_in > 1]);
  double first, second;
  int part = 0;

  switch (l->kind) {
    case QF_LAYER_ADD:
    case QF_LAYER_MUL:
      first = at (r, l->in[0], i, oy, ox, c);
      second = at (r, l->in[1], i, b->h > 1 ? oy : 0, b->w > 1 ? ox : 0, c);
      return l->kind == QF_LAYER_ADD ? first + second : first * second;
    case QF_LAYER_CONCAT:
      while (c >= qf_net_blob (r->net, l->in[part])->c)
        c -= qf_net_blob (r->net, l->in[part++])->c;
      return at (r, l->in[part], i, oy, ox, c);
    case QF_LAYER_SLICE:
      return at (r, l->in[0], i, oy + (n->axis == 2 ? n->begin : 0),
          ox + (n->axis == 3 ? n->begin : 0),
          c + (n->axis == 1 ? n->begin : 0));
    case QF_LAYER_MAX_POOL:
    case QF_LAYER_AVERAGE_POOL:
    case QF_LAYER_GLOBAL_AVG:
      return ref_pool (r, l, i, oy, ox, c);
    case QF_LAYER_RESIZE:
      return at (r, l->in[0], i, oy / n->scale_h, ox / n->scale_w, c);
    case QF_LAYER_FUNCTION:
      return ref_function (n, at (r, l->in[0], i, oy, ox, c));
    default:
      g_assert_not_reached ();
  }
}

static void
ref_simple (Reference *r, const QfLayer *l)
{
  const QfBlob *y = qf_net_blob (r->net, l->out);
  gsize total = blob_size (r, l->out);

  for (gsize k = 0; k < total; k++) {
    int c = (int) (k % (gsize) y->c), ox = (int) (k / y->c % y->w);
    int oy = (int) (k / y->c / y->w % y->h), i = (int) (k / y->c / y->w / y->h);
    double v = ref_element (r, l, i, oy, ox, c);

    if (l->clip)
      v = CLAMP (v, (double) l->clip_lo, (double) l->clip_hi);
    r->value[l->out][k] = v;
  }
}

static double *
widen (const float *v, gsize n)
{
  double *d = g_new (double, n);

  for (gsize i = 0; i < n; i++)
    d[i] = (double) v[i];
  return d;
}

/* Runs all layers, with element @index of @which (a layer's weight, γ or β)
 * moved by @step; returns Σ dir·output. */
static double
ref_run (Reference *r, const QfLayer *moved, const float *which, gsize index,
    double step, double *const *dir)
{
  double sum = 0;

  for (guint i = 0; i < r->net->layers->len; i++) {
    QfLayer *l = qf_net_layer (r->net, (int) i);
    QfConvLayer *cv = l->conv;

    if (!cv) {
      ref_simple (r, l);
      continue;
    }
    {
      gsize oc = (gsize) cv->shape.out_c;
      g_autofree double *w = widen (cv->weight, oc * cv->k);
      g_autofree double *g = widen (cv->gamma, oc);
      g_autofree double *b = widen (cv->beta, oc);

      if (l == moved)
        (which == cv->weight ? w : which == cv->gamma ? g : b)[index] += step;
      ref_conv (r, l, w, g, b);
    }
  }
  for (guint o = 0; o < r->net->outputs->len; o++) {
    int blob = g_array_index (r->net->outputs, int, o);

    for (gsize k = 0; k < blob_size (r, blob); k++)
      sum += dir[o][k] * r->value[blob][k];
  }
  return sum;
}

/* Compares one parameter array's gradient; tolerance 1e-4 of its root mean
 * square or of the element, whichever is more. */
static void
check_gradient (Reference *r, const QfLayer *l, const float *param,
    const float *grad, gsize n, double *const *dir, const char *what)
{
  g_autofree double *fd = g_new (double, n);
  double rms = 0;

  for (gsize i = 0; i < n; i++) {
    double h = 1e-5;

    fd[i] = (ref_run (r, l, param, i, h, dir)
                - ref_run (r, l, param, i, -h, dir)) / (2 * h);
    rms += fd[i] * fd[i] / (double) n;
  }
  rms = sqrt (rms);
  for (gsize i = 0; i < n; i++)
    if (!(fabs (fd[i] - (double) grad[i]) <= 1e-4 * MAX (rms, fabs (fd[i])))) {
      g_test_message ("%s %s[%" G_GSIZE_FORMAT "]: %.9g, finite difference "
          "%.9g, rms %.9g", l->name, what, i, (double) grad[i], fd[i], rms);
      g_test_fail ();
      return;
    }
}

static void
check_outputs (const Reference *r)
{
  for (guint i = 0; i < r->net->blobs->len; i++) {
    const QfBlob *b = qf_net_blob (r->net, (int) i);
    double rms = 0;
    gsize n = blob_size (r, (int) i);

    for (gsize k = 0; k < n; k++)
      rms += r->value[i][k] * r->value[i][k] / (double) n;
    for (gsize k = 0; k < n; k++)
      g_assert_cmpfloat_with_epsilon ((double) b->real[k], r->value[i][k],
          1e-4 * sqrt (rms));
  }
}

/* Frees @net. */
static void
check_net (QfNet *net, QfRng *rng)
{
  Reference r = { net, 3, g_new0 (double *, net->blobs->len) };
  guint n_out = net->outputs->len;
  g_autofree double **dir = g_new (double *, n_out);

  net->bound_relu = FALSE;
  for (guint i = 0; i < net->blobs->len; i++)
    r.value[i] = g_new0 (double, blob_size (&r, (int) i));
  for (gsize k = 0; k < blob_size (&r, net->input); k++)
    r.value[net->input][k] = (double) qf_net_blob (net, net->input)->real[k];
  qf_net_forward (net, 3, TRUE);
  for (guint o = 0; o < n_out; o++) {
    int blob = g_array_index (net->outputs, int, o);

    dir[o] = g_new (double, blob_size (&r, blob));
    for (gsize k = 0; k < blob_size (&r, blob); k++) {
      dir[o][k] = 2 * qf_rng_uniform (rng) - 1;
      qf_net_blob (net, blob)->grad[k] = (float) dir[o][k];
    }
  }
  qf_net_backward (net, 3);
  ref_run (&r, NULL, NULL, 0, 0, dir);
  check_outputs (&r);
  for (guint i = 0; i < net->layers->len; i++) {
    QfLayer *l = qf_net_layer (net, (int) i);
    QfConvLayer *cv = l->conv;
    gsize oc = cv ? (gsize) cv->shape.out_c : 0;

    if (!cv)
      continue;
    if (cv->k > 1 || !cv->has_bn)
      check_gradient (&r, l, cv->weight, cv->weight_grad, oc * cv->k, dir,
          "weight");
    /* else batch norm takes out all but ε of its size: large terms cancel, and
     * what is left is rounding */
    check_gradient (&r, l, cv->beta, cv->beta_grad, oc, dir, "beta");
    if (cv->has_bn)
      check_gradient (&r, l, cv->gamma, cv->gamma_grad, oc, dir, "gamma");
  }
  for (guint i = 0; i < net->blobs->len; i++)
    g_free (r.value[i]);
  g_free (r.value);
  for (guint o = 0; o < n_out; o++)
    g_free (dir[o]);
  qf_net_free (net);
}

static void
test_finite_differences (void)
{
  QfRng rng = { test_seed () };
  g_autoptr (QfPool) pool = qf_pool_new (2);

  check_net (test_net (3, FALSE, pool, &rng), &rng);
}

/* All operators that train. */
static void
test_random_networks (void)
{
  guint64 seed = test_seed ();
  g_autoptr (QfPool) pool = qf_pool_new (2);

  for (int i = 0; i < 2; i++) {
    QfRng rng = { seed + (guint64) i };
    g_autoptr (QfGraph) g = test_graph_random (&rng, i % 2);
    GError *error = NULL;
    QfNet *net;

    g_test_message ("network %" G_GUINT64_FORMAT, seed + (guint64) i);
    qf_graph_join (g);
    net = qf_net_new (g, 3, FALSE, pool, &error);
    g_assert_no_error (error);
    test_fill_input (net, 3, &rng);
    check_net (net, &rng);
  }
}

/* PyTorch ------------------------------------------------------------------- */

typedef struct
{
  const float *at, *end;
} Reader;

static const float *
take (Reader *r, gsize n)
{
  const float *p = r->at;

  g_assert_cmpuint ((gsize) (r->end - r->at), >=, n);
  r->at += n;
  return p;
}

/* ONNX order [o][c][t] to the trainer's [o][t][c]. */
static void
reorder (const QfConvLayer *cv, const float *from, float *to)
{
  int taps = cv->shape.kernel_h * cv->shape.kernel_w;
  int ic = cv->shape.in_c / cv->shape.groups;

  for (int o = 0; o < cv->shape.out_c; o++)
    for (int c = 0; c < ic; c++)
      for (int t = 0; t < taps; t++)
        to[(o * taps + t) * ic + c] = *from++;
}

/* [n][c][h][w] to [n][h][w][c]. */
static void
to_nhwc (const QfBlob *b, int n, const float *from, float *to)
{
  for (int i = 0; i < n; i++)
    for (int c = 0; c < b->c; c++)
      for (int p = 0; p < b->h * b->w; p++)
        to[((gsize) i * b->h * b->w + p) * b->c + c] = *from++;
}

/* Within 1e-4 of the element or of the root mean square. */
static void
compare (const char *what, const float *ours, const float *theirs, gsize n)
{
  double rms = 0;

  for (gsize i = 0; i < n; i++)
    rms += (double) theirs[i] * (double) theirs[i] / (double) n;
  rms = sqrt (rms);
  for (gsize i = 0; i < n; i++)
    if (!(fabs ((double) (ours[i] - theirs[i]))
            <= 1e-4 * MAX (rms, fabs ((double) theirs[i])))) {
      g_test_message ("%s[%" G_GSIZE_FORMAT "]: %.9g, PyTorch %.9g", what, i,
          (double) ours[i], (double) theirs[i]);
      g_test_fail ();
      return;
    }
}

static void
load_parameters (QfNet *net, Reader *r)
{
  for (guint i = 0; i < net->layers->len; i++) {
    QfConvLayer *cv = qf_net_layer (net, (int) i)->conv;
    gsize oc = cv ? (gsize) cv->shape.out_c : 0;

    if (!cv)
      continue;
    reorder (cv, take (r, oc * cv->k), cv->weight);
    if (cv->has_bn)
      memcpy (cv->gamma, take (r, oc), sizeof (float) * oc);
    memcpy (cv->beta, take (r, oc), sizeof (float) * oc);
  }
}

static void
compare_gradients (const QfNet *net, Reader *r)
{
  for (guint i = 0; i < net->layers->len; i++) {
    const QfLayer *l = qf_net_layer (net, (int) i);
    const QfConvLayer *cv = l->conv;
    gsize oc = cv ? (gsize) cv->shape.out_c : 0;
    g_autofree float *w = NULL;

    if (!cv)
      continue;
    w = g_new (float, oc * cv->k);
    reorder (cv, take (r, oc * cv->k), w);
    compare (l->name, cv->weight_grad, w, oc * cv->k);
    if (cv->has_bn)
      compare (l->name, cv->gamma_grad, take (r, oc), oc);
    compare (l->name, cv->beta_grad, take (r, oc), oc);
  }
}

static void
test_pytorch (void)
{
  QfRng rng = { 1 };
  QfNet *net = test_net (3, FALSE, NULL, &rng);
  g_autofree char *path = g_build_filename (g_getenv ("QFUSE_SOURCE"), "tests",
      "golden", "torch-net.bin", NULL);
  g_autofree char *bytes = NULL;
  gsize size;
  GError *error = NULL;
  Reader r;
  QfBlob *x = qf_net_blob (net, net->input), *out[2];
  const float *theirs[2];

  net->bound_relu = FALSE;
  g_file_get_contents (path, &bytes, &size, &error);
  g_assert_no_error (error);
  r = (Reader){ (const float *) bytes, (const float *) (bytes + size) };
  to_nhwc (x, 3, take (&r, 3 * 3 * 12 * 16), x->real);
  for (int i = 0; i < 3 * 3 * 12 * 16; i++)
    x->real[i] = (x->real[i] - 128) / 64;
  load_parameters (net, &r);
  qf_net_forward (net, 3, TRUE);
  for (int o = 0; o < 2; o++) {
    out[o] = qf_net_blob (net, g_array_index (net->outputs, int, o));
    theirs[o] = take (&r, (gsize) 3 * out[o]->c * out[o]->h * out[o]->w);
  }
  for (int o = 0; o < 2; o++) {
    gsize n = (gsize) 3 * out[o]->c * out[o]->h * out[o]->w;
    g_autofree float *nhwc = g_new (float, n);

    to_nhwc (out[o], 3, theirs[o], nhwc);
    compare (out[o]->name, out[o]->real, nhwc, n);
    to_nhwc (out[o], 3, take (&r, n), out[o]->grad);
  }
  qf_net_backward (net, 3);
  compare_gradients (net, &r);
  g_assert_true (r.at == r.end);
  qf_net_free (net);
}

static void
test_giou (void)
{
  QfRng rng = { test_seed () };

  for (int round = 0; round < 20000; round++) {
    double p[4], t[4], grad[4], unused[4], iou;

    for (int i = 0; i < 2; i++) {
      p[i] = qf_rng_uniform (&rng) * 10;
      p[i + 2] = p[i] + 0.5 + qf_rng_uniform (&rng) * 10;
      t[i] = qf_rng_uniform (&rng) * 10;
      t[i + 2] = t[i] + 0.5 + qf_rng_uniform (&rng) * 10;
    }
    qf_giou_loss (p, t, grad, &iou);
    g_assert_true (iou >= 0 && iou <= 1);
    for (int i = 0; i < 2; i++) {
      double h = 1e-6, was = p[i], up, down;

      if (fabs (p[i] - t[i]) < 1e-4 || fabs (p[i] - t[(i + 2) % 4]) < 1e-4)
        continue; /* a kink */
      p[i] = was + h;
      up = qf_giou_loss (p, t, unused, &iou);
      p[i] = was - h;
      down = qf_giou_loss (p, t, unused, &iou);
      p[i] = was;
      g_assert_cmpfloat_with_epsilon (grad[i], (up - down) / (2 * h), 1e-6);
    }
  }
}

/* The same box: no loss. Disjoint: over 1. */
static void
test_giou_values (void)
{
  double a[4] = { 0, 0, 2, 2 }, b[4] = { 2, 0, 4, 2 }, grad[4], iou;

  g_assert_cmpfloat_with_epsilon (qf_giou_loss (a, a, grad, &iou), 0, 1e-12);
  g_assert_cmpfloat_with_epsilon (iou, 1, 1e-12);
  g_assert_cmpfloat_with_epsilon (qf_giou_loss (a, b, grad, &iou), 1, 1e-12);
  g_assert_cmpfloat (iou, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/train/gradients/finite-differences",
      test_finite_differences);
  g_test_add_func ("/train/gradients/random", test_random_networks);
  g_test_add_func ("/train/gradients/pytorch", test_pytorch);
  g_test_add_func ("/train/gradients/giou", test_giou);
  g_test_add_func ("/train/gradients/giou-values", test_giou_values);
  return g_test_run ();
}
