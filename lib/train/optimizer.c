/* libqfuse: how gradients change what is learned.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/optimizer.h"

#include "base/error.h"

#include <math.h>

#define ADAM_EPSILON 1e-8f

gboolean
qf_optimizer_kind (const char *name, QfOptimizerKind *kind, GError **error)
{
  if (g_str_equal (name, "sgd"))
    *kind = QF_OPTIMIZER_SGD;
  else if (g_str_equal (name, "adamw"))
    *kind = QF_OPTIMIZER_ADAMW;
  else {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "There is no optimizer \"%s\"; sgd and adamw exist", name);
    return FALSE;
  }
  return TRUE;
}

static void
add_param (QfOptimizer *opt, float *value, float *grad, gsize n,
    gboolean decays)
{
  QfParam p = { value, grad, n, decays, NULL, NULL, NULL };

  g_array_append_val (opt->params, p);
}

QfOptimizer *
qf_optimizer_new (QfNet *net, const QfOptimizerOptions *o)
{
  QfOptimizer *opt = g_new0 (QfOptimizer, 1);
  gboolean second = o->kind == QF_OPTIMIZER_ADAMW, average = o->average > 0;
  gsize total = 0;
  float *at;

  opt->o = *o;
  opt->params = g_array_new (FALSE, FALSE, sizeof (QfParam));
  for (guint i = 0; i < net->layers->len; i++) {
    QfConvLayer *cv = qf_net_layer (net, (int) i)->conv;
    gsize oc;

    if (!cv)
      continue;
    oc = (gsize) cv->shape.out_c;
    add_param (opt, cv->weight, cv->weight_grad, oc * cv->k, TRUE);
    add_param (opt, cv->beta, cv->beta_grad, oc, FALSE);
    if (cv->has_bn)
      add_param (opt, cv->gamma, cv->gamma_grad, oc, FALSE);
    if (net->learn_ranges && cv->has_bn) {
      QfBlob *y = qf_net_blob (net, qf_net_layer (net, (int) i)->out);

      add_param (opt, &y->bound, &y->bound_grad, 1, FALSE);
    }
  }
  for (guint i = 0; i < opt->params->len; i++)
    total += g_array_index (opt->params, QfParam, i).n;
  opt->floats = total * (1 + second + average);
  at = opt->memory = g_new0 (float, opt->floats);
  for (guint i = 0; i < opt->params->len; i++) {
    QfParam *p = &g_array_index (opt->params, QfParam, i);

    p->first = at;
    at += p->n;
    if (second) {
      p->second = at;
      at += p->n;
    }
    if (average) {
      p->average = at;
      at += p->n;
    }
  }
  return opt;
}

void
qf_optimizer_free (QfOptimizer *opt)
{
  if (!opt)
    return;
  g_array_unref (opt->params);
  g_free (opt->memory);
  g_free (opt);
}

/* Nesterov's momentum as in Sutskever et al., On the importance of
 * initialization and momentum in deep learning, 2013. */
static void
sgd (const QfParam *p, float scale, float rate, float momentum, float decay)
{
  for (gsize i = 0; i < p->n; i++) {
    float g = scale * p->grad[i] + decay * p->value[i];

    p->first[i] = momentum * p->first[i] + g;
    p->value[i] -= rate * (g + momentum * p->first[i]);
  }
}

/* Loshchilov, Hutter, Decoupled weight decay regularization, 2019. @fix1 and
 * @fix2 undo that both averages start at 0. */
static void
adamw (const QfParam *p, const QfOptimizerOptions *o, float scale, float rate,
    float fix1, float fix2)
{
  const float b1 = (float) o->momentum, b2 = (float) o->square;
  const float shrink = p->decays ? rate * (float) o->decay : 0.0f;

  for (gsize i = 0; i < p->n; i++) {
    float g = scale * p->grad[i];
    float m = p->first[i] = b1 * p->first[i] + (1.0f - b1) * g;
    float v = p->second[i] = b2 * p->second[i] + (1.0f - b2) * g * g;
    float step = fix1 * m / (sqrtf (fix2 * v) + ADAM_EPSILON);

    p->value[i] -= shrink * p->value[i] + rate * step;
  }
}

/* The averages' decay rises as (1 + t)/(10 + t), so that they forget the random
 * start. */
static void
average (const QfOptimizer *opt)
{
  double t = (double) opt->step;
  float share = (float) (1 - MIN (opt->o.average, (1 + t) / (10 + t)));

  for (guint i = 0; i < opt->params->len; i++) {
    const QfParam *p = &g_array_index (opt->params, QfParam, i);

    for (gsize j = 0; j < p->n; j++)
      p->average[j] += share * (p->value[j] - p->average[j]);
  }
}

static double
gradient_norm (const QfOptimizer *opt)
{
  double sum = 0;

  for (guint i = 0; i < opt->params->len; i++) {
    const QfParam *p = &g_array_index (opt->params, QfParam, i);

    for (gsize j = 0; j < p->n; j++)
      sum += (double) p->grad[j] * (double) p->grad[j];
  }
  return sqrt (sum);
}

void
qf_optimizer_step (QfOptimizer *opt, double rate)
{
  const QfOptimizerOptions *o = &opt->o;
  float scale = 1.0f, fix1, fix2;

  opt->step++;
  if (o->clip > 0) {
    opt->norm = gradient_norm (opt);
    if (opt->norm > o->clip)
      scale = (float) (o->clip / opt->norm);
  }
  fix1 = (float) (1 / (1 - pow (o->momentum, (double) opt->step)));
  fix2 = (float) (1 / (1 - pow (o->square, (double) opt->step)));
  for (guint i = 0; i < opt->params->len; i++) {
    const QfParam *p = &g_array_index (opt->params, QfParam, i);

    if (o->kind == QF_OPTIMIZER_ADAMW)
      adamw (p, o, scale, (float) rate, fix1, fix2);
    else
      sgd (p, scale, (float) rate, (float) o->momentum,
          p->decays ? (float) o->decay : 0.0f);
  }
  if (o->average > 0)
    average (opt);
}

void
qf_optimizer_swap_average (QfOptimizer *opt)
{
  for (guint i = 0; i < opt->params->len; i++) {
    const QfParam *p = &g_array_index (opt->params, QfParam, i);

    for (gsize j = 0; p->average && j < p->n; j++) {
      float swap = p->value[j];

      p->value[j] = p->average[j];
      p->average[j] = swap;
    }
  }
}

/* State ------------------------------------------------------------------------ */

typedef struct
{
  QfStateFunc fn;
  gpointer user_data;
} Visit;

static void
visit (const Visit *v, const char *stem, const char *what, gpointer data,
    gsize bytes)
{
  g_autofree char *name = g_strconcat (stem, ".", what, NULL);

  v->fn (name, data, bytes, v->user_data);
}

static void
visit_conv (const Visit *v, const char *stem, QfConvLayer *cv)
{
  gsize channels = sizeof (float) * (gsize) cv->shape.out_c;

  visit (v, stem, "weight", cv->weight, channels * (gsize) cv->k);
  visit (v, stem, "beta", cv->beta, channels);
  visit (v, stem, "adopt", &cv->adopt, sizeof cv->adopt);
  visit (v, stem, "batches", &cv->run_n, sizeof cv->run_n);
  if (!cv->has_bn)
    return;
  visit (v, stem, "gamma", cv->gamma, channels);
  visit (v, stem, "mean", cv->run_mean, channels);
  visit (v, stem, "variance", cv->run_var, channels);
}

void
qf_net_each_state (QfNet *net, QfOptimizer *opt, QfStateFunc fn,
    gpointer user_data)
{
  const Visit v = { fn, user_data };

  for (guint i = 0; i < net->layers->len; i++) {
    QfLayer *l = qf_net_layer (net, (int) i);

    if (l->conv)
      visit_conv (&v, l->name, l->conv);
  }
  for (guint i = 0; i < net->blobs->len; i++) {
    QfBlob *b = qf_net_blob (net, (int) i);

    visit (&v, b->name, "range", &b->range, sizeof b->range);
    visit (&v, b->name, "bound", &b->bound, sizeof b->bound);
    visit (&v, b->name, "scale", &b->scale, sizeof b->scale);
    visit (&v, b->name, "zero", &b->zero, sizeof b->zero);
  }
  visit (&v, "net", "frozen", &net->frozen, sizeof net->frozen);
  if (!opt)
    return;
  visit (&v, "optimizer", "step", &opt->step, sizeof opt->step);
  visit (&v, "optimizer", "memory", opt->memory, sizeof (float) * opt->floats);
}
