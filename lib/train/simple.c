/* libqfuse: the layers without weights, forward and backward.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Forward works on codes with the engine's own equations (docs/numerics.md,
 * "Other operators"); in a float net on real values. Backward passes are
 * straight-through at each rounding and zero outside a clamp. */
#include "train/net.h"

#include <math.h>
#include <string.h>

typedef struct
{
  QfNet *net;
  QfLayer *l;
  QfBlob *y;
  QfBlob *x[QF_MAX_INPUTS];
  int n;
  guint8 table[QF_MAX_INPUTS][256];
  double *range; /* [images][2], where a pass measures it */
} Job;

static gsize
image_size (const QfBlob *b)
{
  return (gsize) b->h * b->w * b->c;
}

static float
real_of (const Job *j, const QfBlob *b, gsize i)
{
  return j->net->quantize ? b->scale * (float) ((int) b->codes[i] - b->zero)
                          : b->real[i];
}

/* clamp(rne(v / scale) + zero, 0, 255) */
static guint8
quantize (const Job *j, const QfBlob *b, float v)
{
  const QfQuantize q = { b->scale, b->zero, 0, 255 };
  guint8 code;

  j->net->kernels->quantize_f32_u8 (&q, &v, &code, 1);
  return code;
}

/* Add ---------------------------------------------------------------------------- */

static void
add_measure (gpointer data, int image, int worker)
{
  Job *j = data;
  gsize n = image_size (j->y), at = n * image;
  float lo = INFINITY, hi = -INFINITY;

  for (gsize i = at; i < at + n; i++) {
    float v = real_of (j, j->x[0], i) + real_of (j, j->x[1], i);

    lo = MIN (lo, v);
    hi = MAX (hi, v);
  }
  j->range[2 * image] = (double) lo;
  j->range[2 * image + 1] = (double) hi;
}

static void
add_image (gpointer data, int image, int worker)
{
  Job *j = data;
  const QfLayer *l = j->l;
  const QfBlob *a = j->x[0], *b = j->x[1], *y = j->y;
  gsize n = image_size (y), at = n * image;
  float lo = l->clip ? l->clip_lo : -INFINITY;
  float hi = l->clip ? l->clip_hi : INFINITY;

  if (j->net->quantize) {
    const QfAddU8 p = { a->scale, b->scale, y->scale, a->zero, b->zero,
      y->zero, l->clip ? quantize (j, y, lo) : 0,
      l->clip ? quantize (j, y, hi) : 255 };

    j->net->kernels->add_u8 (&p, a->codes + at, b->codes + at, y->codes + at,
        n);
  } else {
    j->net->kernels->add_f32 (a->real + at, b->real + at, lo, hi,
        y->real + at, n);
  }
}

static void
add_backward (gpointer data, int image, int worker)
{
  Job *j = data;
  const QfLayer *l = j->l;
  gsize n = image_size (j->y), at = n * image;

  for (gsize i = at; i < at + n; i++) {
    float v = real_of (j, j->y, i), g = j->y->grad[i];

    if (l->clip && (v <= l->clip_lo || v >= l->clip_hi))
      continue;
    for (int k = 0; k < 2; k++)
      if (j->x[k]->grad)
        j->x[k]->grad[i] += g;
  }
}

/* Concat over channels ------------------------------------------------------------- */

static void
concat_image (gpointer data, int image, int worker)
{
  Job *j = data;
  gsize pixels = (gsize) j->y->h * j->y->w;

  for (gsize p = pixels * image; p < pixels * (image + 1); p++) {
    gsize to = p * j->y->c;

    for (int k = 0; k < j->l->n_in; k++) {
      const QfBlob *x = j->x[k];

      for (int c = 0; c < x->c; c++, to++)
        if (j->net->quantize)
          j->y->codes[to] = j->table[k][x->codes[p * x->c + c]];
        else
          j->y->real[to] = x->real[p * x->c + c];
    }
  }
}

static void
concat_backward (gpointer data, int image, int worker)
{
  Job *j = data;
  gsize pixels = (gsize) j->y->h * j->y->w;

  for (gsize p = pixels * image; p < pixels * (image + 1); p++) {
    const float *g = j->y->grad + p * j->y->c;

    for (int k = 0; k < j->l->n_in; g += j->x[k++]->c) {
      QfBlob *x = j->x[k];

      for (int c = 0; x->grad && c < x->c; c++)
        x->grad[p * x->c + c] += g[c];
    }
  }
}

/* The output's range is the union of the inputs' ranges. */
static void
concat_prepare (Job *j)
{
  double lo = 0, hi = 0;

  for (int k = 0; k < j->l->n_in; k++) {
    const QfBlob *x = j->x[k];

    lo = MIN (lo, -(double) x->scale * x->zero);
    hi = MAX (hi, (double) x->scale * (255 - x->zero));
  }
  j->y->range = (QfRange){ lo, hi, 1 };
  qf_blob_set_scale (j->y);
  for (int k = 0; k < j->l->n_in; k++)
    for (int q = 0; q < 256; q++)
      j->table[k][q] = quantize (j, j->y,
          j->x[k]->scale * (float) (q - j->x[k]->zero));
}

/* Max pool ---------------------------------------------------------------------------- */

/* Index of the largest element of a window; the first of equals. */
static gsize
window_argmax (const Job *j, int image, int oy, int ox, int c)
{
  const QfBlob *x = j->x[0];
  const QfWindow *w = &j->l->win;
  gsize base = image_size (x) * image, best = G_MAXSIZE;
  float top = -INFINITY;

  for (int ky = 0; ky < w->kernel[0]; ky++)
    for (int kx = 0; kx < w->kernel[1]; kx++) {
      int iy = oy * w->stride[0] - w->pad[0] + ky * w->dilation[0];
      int ix = ox * w->stride[1] - w->pad[1] + kx * w->dilation[1];
      gsize at;
      float v;

      if (iy < 0 || iy >= x->h || ix < 0 || ix >= x->w)
        continue;
      at = base + ((gsize) iy * x->w + ix) * x->c + c;
      v = j->net->quantize ? (float) x->codes[at] : x->real[at];
      if (best == G_MAXSIZE || v > top) {
        top = v;
        best = at;
      }
    }
  return best;
}

static void
pool_pass (Job *j, int image, gboolean backward)
{
  const QfBlob *y = j->y;
  gsize to = image_size (y) * image;

  for (int oy = 0; oy < y->h; oy++)
    for (int ox = 0; ox < y->w; ox++)
      for (int c = 0; c < y->c; c++, to++) {
        gsize from = window_argmax (j, image, oy, ox, c);

        if (backward && from != G_MAXSIZE)
          j->x[0]->grad[from] += y->grad[to];
        else if (!backward && j->net->quantize)
          y->codes[to] = from != G_MAXSIZE ? j->x[0]->codes[from] : 0;
        else if (!backward)
          y->real[to] = from != G_MAXSIZE ? j->x[0]->real[from] : 0.0f;
      }
}

static void
pool_image (gpointer data, int image, int worker)
{
  pool_pass (data, image, FALSE);
}

static void
pool_backward (gpointer data, int image, int worker)
{
  Job *j = data;

  if (j->x[0]->grad)
    pool_pass (j, image, TRUE);
}

/* Global average ------------------------------------------------------------------------ */

/* Σ (code − zero), or the real sum. */
static void
average_sums (const Job *j, int image, double *sums)
{
  const QfBlob *x = j->x[0];
  gsize at = image_size (x) * image;

  for (int c = 0; c < x->c; c++)
    sums[c] = 0;
  for (int p = 0; p < x->h * x->w; p++)
    for (int c = 0; c < x->c; c++, at++)
      sums[c] += j->net->quantize ? (double) ((int) x->codes[at] - x->zero)
                                  : (double) x->real[at];
}

static void
average_measure (gpointer data, int image, int worker)
{
  Job *j = data;
  const QfBlob *x = j->x[0];
  g_autofree double *sums = g_new (double, x->c);
  double unit = (j->net->quantize ? (double) x->scale : 1.0) / (x->h * x->w);
  double lo = INFINITY, hi = -INFINITY;

  average_sums (j, image, sums);
  for (int c = 0; c < x->c; c++) {
    lo = MIN (lo, unit * sums[c]);
    hi = MAX (hi, unit * sums[c]);
  }
  j->range[2 * image] = lo;
  j->range[2 * image + 1] = hi;
}

static void
average_image (gpointer data, int image, int worker)
{
  Job *j = data;
  const QfBlob *x = j->x[0];
  g_autofree double *sums = g_new (double, x->c);
  float m = x->scale / ((float) (x->h * x->w) * j->y->scale);

  average_sums (j, image, sums);
  for (int c = 0; c < x->c; c++) {
    gsize to = (gsize) image * x->c + c;

    if (j->net->quantize) {
      float q = rintf ((float) sums[c] * m) + (float) j->y->zero;

      j->y->codes[to] = (guint8) CLAMP (q, 0.0f, 255.0f);
    } else {
      j->y->real[to] = (float) (sums[c] / (x->h * x->w));
    }
  }
}

static void
average_backward (gpointer data, int image, int worker)
{
  Job *j = data;
  QfBlob *x = j->x[0];
  gsize at = image_size (x) * image;
  float share = 1.0f / (float) (x->h * x->w);

  if (!x->grad)
    return;
  for (int p = 0; p < x->h * x->w; p++)
    for (int c = 0; c < x->c; c++, at++)
      x->grad[at] += share * j->y->grad[(gsize) image * x->c + c];
}

/* Nearest resize by whole factors ---------------------------------------------------------- */

static gsize
resize_source (const Job *j, int image, int oy, int ox)
{
  const QfBlob *x = j->x[0];

  return image_size (x) * image
      + ((gsize) (oy / j->l->factor_h) * x->w + ox / j->l->factor_w) * x->c;
}

static void
resize_image (gpointer data, int image, int worker)
{
  Job *j = data;
  const QfBlob *x = j->x[0], *y = j->y;
  gsize from = image_size (x) * image, to = image_size (y) * image;

  j->net->kernels->resize_nearest (
      j->net->quantize ? (gpointer) (x->codes + from)
                       : (gpointer) (x->real + from),
      x->w, x->c, j->net->quantize ? 1 : sizeof (float), j->l->factor_h,
      j->l->factor_w,
      j->net->quantize ? (gpointer) (y->codes + to)
                       : (gpointer) (y->real + to),
      0, y->h);
}

static void
resize_backward (gpointer data, int image, int worker)
{
  Job *j = data;
  const QfBlob *y = j->y;
  gsize to = image_size (y) * image;

  if (!j->x[0]->grad)
    return;
  for (int oy = 0; oy < y->h; oy++)
    for (int ox = 0; ox < y->w; ox++, to += y->c) {
      float *g = j->x[0]->grad + resize_source (j, image, oy, ox);

      for (int c = 0; c < y->c; c++)
        g[c] += y->grad[to + c];
    }
}

/* Sigmoid: a table ----------------------------------------------------------------------------- */

static void
sigmoid_prepare (Job *j)
{
  const QfBlob *x = j->x[0];

  j->y->range = (QfRange){ 0, 1, 1 };
  qf_blob_set_scale (j->y);
  for (int q = 0; q < 256; q++) {
    float v = x->scale * (float) (q - x->zero);

    j->table[0][q]
        = quantize (j, j->y, (float) (1.0 / (1.0 + exp (-(double) v))));
  }
}

static void
sigmoid_image (gpointer data, int image, int worker)
{
  Job *j = data;
  gsize n = image_size (j->y), at = n * image;

  for (gsize i = at; i < at + n; i++)
    if (j->net->quantize)
      j->y->codes[i] = j->table[0][j->x[0]->codes[i]];
    else
      j->y->real[i] = (float) (1.0 / (1.0 + exp (-(double) j->x[0]->real[i])));
}

static void
sigmoid_backward (gpointer data, int image, int worker)
{
  Job *j = data;
  gsize n = image_size (j->y), at = n * image;

  for (gsize i = at; j->x[0]->grad && i < at + n; i++) {
    double p = 1.0 / (1.0 + exp (-(double) real_of (j, j->x[0], i)));

    j->x[0]->grad[i] += (float) (p * (1 - p)) * j->y->grad[i];
  }
}

/* Dispatch ---------------------------------------------------------------------------------------- */

static const struct
{
  QfTask measure; /* the range of the output, or NULL */
  void (*prepare) (Job *j);
  QfTask forward, backward;
  gboolean keeps_scale; /* the output has the input's scale */
} layers[] = {
  [QF_LAYER_ADD] = { add_measure, NULL, add_image, add_backward, FALSE },
  [QF_LAYER_CONCAT]
  = { NULL, concat_prepare, concat_image, concat_backward, FALSE },
  [QF_LAYER_MAX_POOL] = { NULL, NULL, pool_image, pool_backward, TRUE },
  [QF_LAYER_GLOBAL_AVG]
  = { average_measure, NULL, average_image, average_backward, FALSE },
  [QF_LAYER_RESIZE] = { NULL, NULL, resize_image, resize_backward, TRUE },
  [QF_LAYER_SIGMOID]
  = { NULL, sigmoid_prepare, sigmoid_image, sigmoid_backward, FALSE },
};

static void
init_job (Job *j, QfNet *net, QfLayer *l, int n)
{
  *j = (Job){ net, l, qf_net_blob (net, l->out) };
  j->n = n;
  for (int i = 0; i < l->n_in; i++)
    j->x[i] = qf_net_blob (net, l->in[i]);
}

static void
move_range (Job *j)
{
  double lo = INFINITY, hi = -INFINITY;

  for (int i = 0; i < j->n; i++) {
    lo = MIN (lo, j->range[2 * i]);
    hi = MAX (hi, j->range[2 * i + 1]);
  }
  if (j->l->clip) {
    lo = CLAMP (lo, (double) j->l->clip_lo, (double) j->l->clip_hi);
    hi = CLAMP (hi, (double) j->l->clip_lo, (double) j->l->clip_hi);
  }
  qf_blob_update_range (j->y, lo, hi);
}

void
qf_simple_forward (QfNet *net, QfLayer *l, int n, gboolean train)
{
  Job j;
  g_autofree double *range = NULL;

  init_job (&j, net, l, n);
  if (layers[l->kind].measure && train && !net->frozen) {
    j.range = range = g_new (double, 2 * n);
    qf_pool_run (net->pool, layers[l->kind].measure, &j, n);
    move_range (&j);
  }
  if (layers[l->kind].prepare)
    layers[l->kind].prepare (&j);
  if (layers[l->kind].keeps_scale) {
    j.y->scale = j.x[0]->scale;
    j.y->zero = j.x[0]->zero;
  }
  qf_pool_run (net->pool, layers[l->kind].forward, &j, n);
}

void
qf_simple_backward (QfNet *net, QfLayer *l, int n)
{
  Job j;

  init_job (&j, net, l, n);
  qf_pool_run (net->pool, layers[l->kind].backward, &j, n);
}
