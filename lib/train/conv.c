/* libqfuse: fused quantized training of one convolution.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * convolution → batch norm → fuse → quantize → requantize, with one convolution
 * (docs/numerics.md, "Training"). After US patent 11651192. */
#include "train/conv-private.h"

#include <math.h>
#include <string.h>

/* (T1): w_q = rne(n·((double) w / max|w|)), s_w = (float) (max|w| / n), n the
 * largest code: 127, or 7 of 4 bits. */
static void
quantize_channel (const float *w, int k, int n, gint8 *codes, float *scale)
{
  float top = 0.0f;

  for (int i = 0; i < k; i++)
    top = MAX (top, fabsf (w[i]));
  if (!(top > 0.0f) || !isfinite (top)) {
    for (int i = 0; i < k; i++)
      codes[i] = 0;
    *scale = 1.0f;
    return;
  }
  for (int i = 0; i < k; i++)
    codes[i] = (gint8) rint (n * ((double) w[i] / (double) top));
  *scale = (float) ((double) top / n);
}

/* [kh·kw][ic] → [ic][kh·kw] of each output channel, ONNX's order. */
static void
to_onnx_order (const QfConvShape *s, const gint8 *codes, gint8 *onnx)
{
  int taps = s->kernel_h * s->kernel_w, ic = s->in_c / s->groups;

  for (int o = 0; o < s->out_c; o++, codes += taps * ic, onnx += taps * ic)
    for (int t = 0; t < taps; t++)
      for (int c = 0; c < ic; c++)
        onnx[c * taps + t] = codes[t * ic + c];
}

/* [out_c][k] → a [k][out_c/groups] block a group, for the float forward pass. */
static void
transpose_weights (const QfConvShape *s, int k, const float *w, float *t)
{
  int oc = s->out_c / s->groups;

  for (int g = 0; g < s->groups; g++, w += oc * k, t += oc * k)
    for (int o = 0; o < oc; o++)
      for (int i = 0; i < k; i++)
        t[i * oc + o] = w[o * k + i];
}

void
qf_conv_prepare (QfNet *net, QfLayer *l)
{
  QfConvLayer *cv = l->conv;
  int oc = cv->shape.out_c, k = cv->k;

  if (!net->quantize) {
    memcpy (cv->real_weight, cv->weight, sizeof (float) * oc * k);
    transpose_weights (&cv->shape, k, cv->weight, cv->weight_t);
    return;
  }
  cv->abs_sum = 1;
  for (int o = 0; o < oc; o++) {
    gint8 *codes = cv->codes + (gsize) o * k;
    gint64 sum = 0;

    quantize_channel (cv->weight + (gsize) o * k, k, cv->top, codes,
        &cv->s_w[o]);
    for (int i = 0; i < k; i++) {
      cv->real_weight[(gsize) o * k + i] = cv->s_w[o] * codes[i];
      sum += ABS (codes[i]);
    }
    cv->abs_sum = MAX (cv->abs_sum, sum);
  }
  to_onnx_order (&cv->shape, cv->codes, cv->codes_onnx);
  net->kernels->conv_s8_pack (&cv->shape, cv->codes_onnx, cv->packed);
}

/* Statistics ---------------------------------------------------------------- */

enum
{
  CONVOLVE_BYTES = 256 * 1024 /* of results, on which statistics follow */
};

__extension__ typedef __int128 Int128;

typedef struct
{
  Int128 sum, sum2; /* |sum2| can pass 2^66 */
  gint32 min, max;
} Stat;

typedef struct
{
  QfNet *net;
  QfLayer *l;
  const QfBlob *x, *y;
  gboolean want_stats;
  Stat *stats; /* [images][out_c] */
} Forward;

static int
blocks_of (int n, int block)
{
  return (n + block - 1) / block;
}

/* What a task keeps while it goes through an image. */
typedef struct
{
  Stat *stats;           /* [out_c] */
  gint64 *sum, *sum2;    /* [out_c] */
  gint32 *min, *max;     /* [out_c] */
} Collect;

/* Adds the exact sums of @pixels results. An int64 holds at most ⌊2^62 /
 * (255·Σ|w_q|)²⌋ squares; beyond that they are merged into 128 bits. */
static void
collect_stats (const Forward *f, const gint32 *acc, int pixels,
    const Collect *k)
{
  const QfConvLayer *cv = f->l->conv;
  int oc = cv->shape.out_c;
  double top = 255.0 * (double) cv->abs_sum;
  int chunk = (int) MAX (1.0, MIN ((double) pixels, 0x1p62 / (top * top)));

  for (int p = 0; p < pixels; p += chunk) {
    memset (k->sum, 0, sizeof (gint64) * oc);
    memset (k->sum2, 0, sizeof (gint64) * oc);
    f->net->grad_kernels->stats_s32 (acc + (gsize) p * oc,
        MIN (chunk, pixels - p), oc, k->sum, k->sum2, k->min, k->max);
    for (int c = 0; c < oc; c++) {
      k->stats[c].sum += k->sum[c];
      k->stats[c].sum2 += k->sum2[c];
    }
  }
}

/* The convolution and its statistics, by rows that stay in the caches. */
static void
convolve_rows (const Forward *f, const guint8 *x, gint32 *acc, Collect *k,
    gpointer scratch)
{
  const QfConvLayer *cv = f->l->conv;
  const QfConvShape *s = &cv->shape;
  gsize row = (gsize) s->out_w * s->out_c;
  int step = (int) CLAMP (CONVOLVE_BYTES / (sizeof *acc * row), 1,
      (gsize) s->out_h);

  step = blocks_of (s->out_h, blocks_of (s->out_h, step));
  step = blocks_of (step, 4) * 4; /* Winograd's rows */
  for (int r = 0; r < s->out_h; r += step) {
    int n = MIN (step, s->out_h - r);

    f->net->kernels->conv_u8s8_s32 (s, x, f->x->zero, cv->packed,
        acc + r * row, r, r + n, scratch);
    if (k)
      collect_stats (f, acc + r * row, n * s->out_w, k);
  }
}

static void
convolve_image (gpointer data, int image, int worker)
{
  Forward *f = data;
  QfConvLayer *cv = f->l->conv;
  const QfConvShape *s = &cv->shape;
  gsize in = (gsize) s->in_h * s->in_w * s->in_c;
  gsize out = (gsize) s->out_h * s->out_w * s->out_c;
  g_autofree gint64 *sums = NULL;
  g_autofree gint32 *range = NULL;
  Collect k = { NULL };

  if (!f->net->quantize) {
    qf_conv_float_forward (f->net, f->l, f->x->real + in * image,
        cv->y + out * image, worker);
    return;
  }
  if (f->want_stats) {
    k.stats = f->stats + (gsize) image * s->out_c;
    k.sum = sums = g_new (gint64, 2 * s->out_c);
    k.sum2 = sums + s->out_c;
    k.min = range = g_new (gint32, 2 * s->out_c);
    k.max = range + s->out_c;
    for (int c = 0; c < s->out_c; c++) {
      k.stats[c] = (Stat){ 0, 0, 0, 0 };
      k.min[c] = G_MAXINT32;
      k.max[c] = G_MININT32;
    }
  }
  convolve_rows (f, f->x->codes + in * image, cv->acc + out * image,
      f->want_stats ? &k : NULL, f->net->scratch[worker]);
  for (int c = 0; f->want_stats && c < s->out_c; c++) {
    k.stats[c].min = k.min[c];
    k.stats[c].max = k.max[c];
  }
}

/* Batch statistics of y = s_x·s_w·a for one channel. */
static void
channel_statistics (QfConvLayer *cv, int c, float s_x, const Stat *st,
    gint64 count)
{
  double k = (double) s_x * (double) cv->s_w[c], n = (double) count;
  Int128 spread = (Int128) count * st->sum2 - st->sum * st->sum;
  double mean = k * ((double) st->sum / n);
  double var = k * k * ((double) spread / (n * n));

  qf_conv_take_statistics (cv, c, mean, var, count);
}

/** A batch's mean and variance: used in this step and averaged in. The running
 * averages' decay rises as n/(n+1) to 0.95. */
void
qf_conv_take_statistics (QfConvLayer *cv, int c, double mean, double var,
    gint64 count)
{
  double decay = MIN (0.95, (double) cv->run_n / (double) (cv->run_n + 1));
  double unbiased = count > 1 ? var * (double) count / (double) (count - 1)
                              : var;

  cv->mean[c] = (float) mean;
  cv->rstd[c] = (float) (1.0 / sqrt (var + (double) cv->epsilon));
  cv->run_mean[c] = (float) (decay * cv->run_mean[c] + (1 - decay) * mean);
  cv->run_var[c] = (float) (decay * cv->run_var[c] + (1 - decay) * unbiased);
  if (cv->adopt) {
    cv->gamma[c] = (float) sqrt (var + (double) cv->epsilon);
    cv->beta[c] += (float) mean;
  }
}

static void
use_running_statistics (QfConvLayer *cv)
{
  for (int c = 0; c < cv->shape.out_c; c++) {
    cv->mean[c] = cv->run_mean[c];
    cv->rstd[c]
        = (float) (1.0 / sqrt ((double) cv->run_var[c] + (double) cv->epsilon));
  }
}

/* Fusing ---------------------------------------------------------------------- */

/* (T4): g = γ·rstd and the bias β − g·μ, each step rounded to float32. */
static void
fuse (QfConvLayer *cv)
{
  for (int c = 0; c < cv->shape.out_c; c++) {
    if (!cv->has_bn) {
      cv->g[c] = 1.0f;
      cv->bias[c] = cv->beta[c];
      continue;
    }
    cv->g[c] = cv->gamma[c] * cv->rstd[c];
    float gm = cv->g[c] * cv->mean[c];
    cv->bias[c] = cv->beta[c] - gm;
  }
}

/* (T5): scales, signs and bias codes of the fused channel; s_y enters later. */
static void
quantize_fused (QfConvLayer *cv, float s_x)
{
  for (int c = 0; c < cv->shape.out_c; c++) {
    float s = fabsf (cv->g[c]) * cv->s_w[c];
    float k = s_x * s;

    cv->sign[c] = cv->g[c] < 0.0f ? -1 : 1;
    if (s < 1e-30f || !(fabs ((double) cv->bias[c]) <= 0x1p30 * (double) k)) {
      cv->sign[c] = 0;
      s = (float) MAX (fabs ((double) cv->bias[c]) / (0x1p30 * (double) s_x),
          1e-30);
      k = s_x * s;
    }
    cv->fused_scale[c] = s;
    /* Dividing by a rounded scale may give a little over 2^30. */
    cv->bias_code[c] = (gint32) CLAMP (rint ((double) cv->bias[c] / (double) k),
        -0x1p30, 0x1p30);
  }
}

/* The largest output that batch norm makes likely: β + 5|γ|. */
static double
relu_bound (const QfConvLayer *cv)
{
  double top = 0;

  for (int c = 0; c < cv->shape.out_c; c++)
    top = MAX (top, (double) cv->beta[c] + 5.0 * fabs ((double) cv->gamma[c]));
  return top;
}

/** Averages in the batch's range of the layer's real output, @lo … @hi before
 * its clip. */
void
qf_conv_move_range (QfNet *net, QfLayer *l, QfBlob *y, double lo, double hi)
{
  if (net->bound_relu && l->conv->has_bn && l->clip && l->clip_lo == 0.0f) {
    lo = 0;
    hi = relu_bound (l->conv);
  }
  if (qf_range_learns (net, l)) {
    qf_range_move (y, MIN (relu_bound (l->conv), (double) l->clip_hi));
    return;
  }
  if (l->clip) {
    lo = CLAMP (lo, (double) l->clip_lo, (double) l->clip_hi);
    hi = CLAMP (hi, (double) l->clip_lo, (double) l->clip_hi);
  }
  qf_blob_update_range (y, lo, hi);
}

static void
move_range_by_stats (QfNet *net, QfLayer *l, float s_x, const Stat *st,
    QfBlob *y)
{
  QfConvLayer *cv = l->conv;
  double lo = INFINITY, hi = -INFINITY;

  for (int c = 0; c < cv->shape.out_c; c++) {
    double k = (double) s_x * (double) cv->s_w[c] * (double) cv->g[c];
    double a = k * st[c].min + (double) cv->bias[c];
    double b = k * st[c].max + (double) cv->bias[c];

    lo = MIN (lo, MIN (a, b));
    hi = MAX (hi, MAX (a, b));
  }
  qf_conv_move_range (net, l, y, lo, hi);
}

/** Code of a real bound. */
static int
code_of (const QfBlob *b, float real)
{
  double q = rint ((double) (real / b->scale)) + b->zero;

  return (int) CLAMP (q, 0.0, (double) b->top);
}

/* (T6): m = k/s_y and the codes of the clamp. */
static void
set_requantization (QfLayer *l, const QfBlob *x, const QfBlob *y)
{
  QfConvLayer *cv = l->conv;

  for (int c = 0; c < cv->shape.out_c; c++) {
    float k = x->scale * cv->fused_scale[c];

    cv->mult[c] = k / y->scale;
  }
  cv->lo_code = l->clip ? code_of (y, l->clip_lo) : 0;
  cv->hi_code = l->clip ? code_of (y, l->clip_hi) : y->top;
}

static void
requantize_image (gpointer data, int image, int worker)
{
  Forward *f = data;
  QfConvLayer *cv = f->l->conv;
  int oc = cv->shape.out_c, pixels = cv->shape.out_h * cv->shape.out_w;
  g_autofree gint32 *bias = g_new (gint32, oc);
  g_autofree float *mult = g_new (float, oc);
  g_autofree gint32 *copy = NULL;
  gint32 *acc = cv->acc + (gsize) image * pixels * oc;
  gboolean dropped = FALSE;

  for (int c = 0; c < oc; c++) {
    /* (−a + B)·m and (a − B)·(−m) are the same float in every case. */
    bias[c] = cv->sign[c] < 0 ? -cv->bias_code[c] : cv->bias_code[c];
    mult[c] = cv->sign[c] < 0 ? -cv->mult[c] : cv->mult[c];
    dropped |= cv->sign[c] == 0;
  }
  if (dropped) {
    copy = g_memdup2 (acc, sizeof (gint32) * pixels * oc);
    for (int p = 0; p < pixels; p++)
      for (int c = 0; c < oc; c++)
        if (cv->sign[c] == 0)
          copy[(gsize) p * oc + c] = 0;
    acc = copy;
  }
  f->net->kernels->requant_s32_u8 (
      &(QfRequant){ bias, mult, f->y->zero, cv->lo_code, cv->hi_code, NULL },
      acc, f->y->codes + (gsize) image * pixels * oc, pixels, oc);
}

static void
merge_stats (Stat *stats, int images, int oc)
{
  for (int i = 1; i < images; i++)
    for (int c = 0; c < oc; c++) {
      const Stat *s = &stats[(gsize) i * oc + c];

      stats[c].sum += s->sum;
      stats[c].sum2 += s->sum2;
      stats[c].min = MIN (stats[c].min, s->min);
      stats[c].max = MAX (stats[c].max, s->max);
    }
}

void
qf_conv_forward (QfNet *net, QfLayer *l, int n, gboolean train)
{
  QfConvLayer *cv = l->conv;
  QfBlob *x = qf_net_blob (net, l->in[0]), *y = qf_net_blob (net, l->out);
  int oc = cv->shape.out_c;
  gint64 count = (gint64) n * cv->shape.out_h * cv->shape.out_w;
  gboolean moves = train && !net->frozen;
  Forward f = { net, l, x, y, moves, NULL };
  g_autofree Stat *stats = moves ? g_new (Stat, (gsize) n * oc) : NULL;

  f.stats = stats;
  qf_pool_run (net->pool, convolve_image, &f, n);
  if (!net->quantize) {
    qf_conv_float_finish (net, l, n, moves);
    return;
  }
  if (cv->has_bn && !moves)
    use_running_statistics (cv);
  if (moves) {
    merge_stats (stats, n, oc);
    for (int c = 0; cv->has_bn && c < oc; c++)
      channel_statistics (cv, c, x->scale, &stats[c], count);
    cv->run_n++;
    cv->adopt = FALSE;
  }
  fuse (cv);
  if (moves)
    move_range_by_stats (net, l, x->scale, stats, y);
  quantize_fused (cv, x->scale);
  set_requantization (l, x, y);
  qf_pool_run (net->pool, requantize_image, &f, n);
}

/** g and bias of a float net, from the statistics in mean and rstd. */
void
qf_conv_fuse_float (QfNet *net, QfLayer *l, gboolean moves)
{
  if (l->conv->has_bn && !moves)
    use_running_statistics (l->conv);
  fuse (l->conv);
}

void
qf_conv_use_running (QfNet *net, QfLayer *l)
{
  const QfBlob *x = qf_net_blob (net, l->in[0]);

  qf_conv_prepare (net, l);
  if (l->conv->has_bn)
    use_running_statistics (l->conv);
  fuse (l->conv);
  quantize_fused (l->conv, x->scale);
  set_requantization (l, x, qf_net_blob (net, l->out));
}
