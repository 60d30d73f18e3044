/* libqfuse: the trainer's network: memory, running, improving.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/net.h"
#include "train/convgrad-private.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>

/* Memory ---------------------------------------------------------------------- */

void
qf_conv_alloc (QfConvLayer *cv)
{
  int oc = cv->shape.out_c;
  gsize w = (gsize) oc * cv->k;

  cv->weight = g_new0 (float, w);
  cv->weight_grad = g_new0 (float, w);
  cv->real_weight = g_new0 (float, w);
  cv->weight_t = g_new0 (float, w);
  cv->codes = g_new0 (gint8, w);
  cv->codes_onnx = g_new0 (gint8, w);
  float **per_channel[] = { &cv->gamma, &cv->gamma_grad, &cv->beta,
    &cv->beta_grad, &cv->run_mean, &cv->run_var, &cv->s_w, &cv->mean,
    &cv->rstd, &cv->fused_scale, &cv->mult, &cv->g, &cv->bias };
  for (gsize i = 0; i < G_N_ELEMENTS (per_channel); i++)
    *per_channel[i] = g_new0 (float, oc);
  cv->sign = g_new0 (gint8, oc);
  cv->bias_code = g_new0 (gint32, oc);
  for (int c = 0; c < oc; c++) {
    cv->gamma[c] = 1.0f;
    cv->run_var[c] = 1.0f;
  }
}

static void
free_conv (QfConvLayer *cv)
{
  if (!cv)
    return;
  gpointer all[] = { cv->weight, cv->weight_grad, cv->real_weight,
    cv->weight_t, cv->codes, cv->codes_onnx, cv->gamma, cv->gamma_grad,
    cv->beta, cv->beta_grad,
    cv->run_mean, cv->run_var, cv->s_w, cv->mean, cv->rstd, cv->fused_scale,
    cv->mult, cv->g, cv->bias, cv->sign, cv->bias_code, cv->y };
  for (gsize i = 0; i < G_N_ELEMENTS (all); i++)
    g_free (all[i]);
  g_aligned_free (cv->acc);
  g_aligned_free (cv->packed);
  g_free (cv);
}

static gsize
conv_scratch (const QfNet *net, const QfConvLayer *cv)
{
  const QfConvShape *s = &cv->shape;
  gsize padded = (gsize) qf_conv_padded_h (s) * qf_conv_padded_w (s) * s->in_c;
  gsize fwd = net->quantize
      ? net->kernels->conv_u8s8_scratch_size (s) / sizeof (float) + 1
      : padded;
  gsize sums = (gsize) 2 * s->out_c;
  QfConvPlan plan; /* of the backward pass */

  qf_conv_plan (&plan, s);
  return MAX (MAX (plan.scratch, sums), fwd);
}

/* Zeros for a whole batch, to be freed by g_aligned_free(). On huge pages where
 * the system has them: a step is 3 to 8 % faster. */
static gpointer
alloc_large (gsize bytes)
{
  gsize huge = 1 << 21;
  gpointer p = g_aligned_alloc (1, MAX (bytes, 1), bytes < huge ? 64 : huge);

#ifdef MADV_HUGEPAGE
  if (bytes >= huge)
    madvise (p, bytes / huge * huge, MADV_HUGEPAGE);
#endif
  memset (p, 0, bytes);
  return p;
}

static void
alloc_buffers (QfNet *net)
{
  int workers = qf_pool_threads (net->pool);

  for (guint i = 0; i < net->blobs->len; i++) {
    QfBlob *b = qf_net_blob (net, (int) i);
    gsize n = (gsize) net->batch * b->h * b->w * b->c;

    if (net->quantize)
      b->codes = alloc_large (n);
    else
      b->real = g_new0 (float, n);
    if ((int) i != net->input)
      b->grad = alloc_large (sizeof (float) * n);
  }
  net->scratch_floats = 1;
  for (guint i = 0; i < net->layers->len; i++) {
    QfConvLayer *cv = qf_net_layer (net, (int) i)->conv;
    gsize n;

    if (!cv)
      continue;
    n = (gsize) net->batch * cv->shape.out_h * cv->shape.out_w
        * cv->shape.out_c;
    if (net->quantize) {
      cv->acc = alloc_large (sizeof (gint32) * n);
      cv->packed = g_aligned_alloc0 (1,
          net->kernels->conv_s8_packed_size (&cv->shape), 64);
    } else {
      cv->y = g_new0 (float, n);
    }
    net->scratch_floats = MAX (net->scratch_floats, conv_scratch (net, cv));
  }
  net->scratch = g_new0 (float *, workers);
  for (int i = 0; i < workers; i++)
    net->scratch[i] = g_aligned_alloc0 (net->scratch_floats, sizeof (float),
        64);
}

static void
free_blob (gpointer data)
{
  QfBlob *b = data;

  g_free (b->name);
  g_aligned_free (b->codes);
  g_free (b->real);
  g_aligned_free (b->grad);
  g_free (b);
}

static void
free_layer (gpointer data)
{
  QfLayer *l = data;

  g_free (l->name);
  free_conv (l->conv);
  g_free (l);
}

QfNet *
qf_net_new (const QfGraph *graph, int batch, gboolean quantize, QfPool *pool,
    GError **error)
{
  QfNet *net = g_new0 (QfNet, 1);

  net->blobs = g_ptr_array_new_with_free_func (free_blob);
  net->layers = g_ptr_array_new_with_free_func (free_layer);
  net->outputs = g_array_new (FALSE, FALSE, sizeof (int));
  net->batch = batch;
  net->quantize = quantize;
  net->bound_relu = TRUE;
  net->pool = pool;
  net->kernels = qf_kernels ();
  net->grad_kernels = qf_grad_kernels ();
  if (!qf_net_make_layers (net, graph, error)) {
    qf_net_free (net);
    return NULL;
  }
  alloc_buffers (net);
  return net;
}

void
qf_net_free (QfNet *net)
{
  if (!net)
    return;
  for (int i = 0; net->scratch && i < qf_pool_threads (net->pool); i++)
    g_aligned_free (net->scratch[i]);
  g_free (net->scratch);
  g_ptr_array_unref (net->blobs);
  g_ptr_array_unref (net->layers);
  g_array_unref (net->outputs);
  g_free (net);
}

/* Running ------------------------------------------------------------------------ */

/* Standard normal, by the polar method. */
static double
normal (QfRng *rng)
{
  for (;;) {
    double u = 2 * qf_rng_uniform (rng) - 1, v = 2 * qf_rng_uniform (rng) - 1;
    double s = u * u + v * v;

    if (s > 0 && s < 1)
      return u * sqrt (-2 * log (s) / s);
  }
}

void
qf_net_init (QfNet *net, QfRng *rng)
{
  for (guint i = 0; i < net->layers->len; i++) {
    QfConvLayer *cv = qf_net_layer (net, (int) i)->conv;
    double sigma;

    if (!cv)
      continue;
    /* He et al., Delving deep into rectifiers, 2015; small for the outputs. */
    sigma = cv->has_bn ? sqrt (2.0 / cv->k) : 0.01;
    for (gsize j = 0; j < (gsize) cv->shape.out_c * cv->k; j++)
      cv->weight[j] = (float) (sigma * normal (rng));
  }
}

void
qf_blob_set_scale (QfBlob *b)
{
  double lo = MIN (b->range.lo, 0.0), hi = MAX (b->range.hi, 0.0);

  /* An all-zero blob still needs a scale; 2^-20 is far under any real one. */
  b->scale = (float) MAX ((hi - lo) / b->top, 0x1p-20);
  b->zero = (int) CLAMP (rint (-lo / (double) b->scale), 0.0, (double) b->top);
}

void
qf_blob_update_range (QfBlob *b, double lo, double hi)
{
  double decay = MIN (0.99, (double) b->range.n / (double) (b->range.n + 1));

  b->range.lo = decay * b->range.lo + (1 - decay) * lo;
  b->range.hi = decay * b->range.hi + (1 - decay) * hi;
  b->range.n++;
  qf_blob_set_scale (b);
}

void
qf_net_forward (QfNet *net, int n, gboolean train)
{
  for (guint i = 0; i < net->layers->len; i++) {
    QfLayer *l = qf_net_layer (net, (int) i);

    if (l->kind == QF_LAYER_CONV) {
      qf_conv_prepare (net, l);
      qf_conv_forward (net, l, n, train);
    } else {
      qf_simple_forward (net, l, n, train);
    }
  }
}

gboolean
qf_net_is_output (const QfNet *net, int blob)
{
  for (guint i = 0; i < net->outputs->len; i++)
    if (g_array_index (net->outputs, int, i) == blob)
      return TRUE;
  return FALSE;
}

/* Zeros, where nothing has been added yet. */
static void
start_grad (QfBlob *b, int n)
{
  if (b->grad && !b->grad_live)
    memset (b->grad, 0, sizeof (float) * n * b->h * b->w * b->c);
  b->grad_live = TRUE;
}

void
qf_net_backward (QfNet *net, int n)
{
  for (guint i = 0; i < net->blobs->len; i++)
    qf_net_blob (net, (int) i)->grad_live = qf_net_is_output (net, (int) i);
  for (int i = (int) net->layers->len - 1; i >= 0; i--) {
    QfLayer *l = qf_net_layer (net, i);

    start_grad (qf_net_blob (net, l->out), n);
    if (qf_range_learns (net, l))
      qf_range_backward (net, l, n);
    if (l->kind == QF_LAYER_CONV) {
      qf_conv_backward (net, l, n);
      continue;
    }
    for (int j = 0; j < l->n_in; j++)
      start_grad (qf_net_blob (net, l->in[j]), n);
    qf_simple_backward (net, l, n);
  }
}

static gboolean
all_finite (const float *v, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (!isfinite (v[i]))
      return FALSE;
  return TRUE;
}

gboolean
qf_net_finite (const QfNet *net)
{
  for (guint i = 0; i < net->layers->len; i++) {
    const QfConvLayer *cv = qf_net_layer (net, (int) i)->conv;

    if (cv
        && (!all_finite (cv->weight, (gsize) cv->shape.out_c * cv->k)
            || !all_finite (cv->gamma, (gsize) cv->shape.out_c)
            || !all_finite (cv->beta, (gsize) cv->shape.out_c)
            || !all_finite (cv->run_mean, (gsize) cv->shape.out_c)
            || !all_finite (cv->run_var, (gsize) cv->shape.out_c)))
      return FALSE;
  }
  return TRUE;
}
