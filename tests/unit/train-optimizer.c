/* qfuse tests: SGD, AdamW, clipping, averaging, state.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/optimizer.h"
#include "trainnet.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

/* A net whose first weight is @w with gradient @g; all other gradients are 0. */
static QfNet *
one_gradient (float w, float g)
{
  QfRng rng = { test_seed () };
  QfNet *net = test_net (1, TRUE, NULL, &rng);
  QfConvLayer *cv = qf_net_layer (net, 0)->conv;

  cv->weight[0] = w;
  cv->weight_grad[0] = g;
  return net;
}

static float *
first_weight (QfNet *net)
{
  return &qf_net_layer (net, 0)->conv->weight[0];
}

static void
test_sgd (void)
{
  QfNet *net = one_gradient (1.0f, 0.5f);
  QfOptimizer *opt = qf_optimizer_new (net,
      &(QfOptimizerOptions){ QF_OPTIMIZER_SGD, 0.9, 0, 0.1, 0, 0 });
  float second = qf_net_layer (net, 0)->conv->weight[1];

  /* g = 0.5 + 0.1·1 = 0.6; v = 0.6; w = 1 − 0.1·(0.6 + 0.9·0.6) */
  qf_optimizer_step (opt, 0.1);
  g_assert_cmpfloat_with_epsilon (*first_weight (net), 0.886f, 1e-6f);
  /* g = 0.5886; v = 0.54 + 0.5886; w −= 0.1·(0.5886 + 0.9·1.1286) */
  qf_optimizer_step (opt, 0.1);
  g_assert_cmpfloat_with_epsilon (*first_weight (net), 0.725566f, 1e-6f);
  /* Without a gradient only the decay acts: v = g = 0.1·w. */
  g_assert_cmpfloat (fabsf (qf_net_layer (net, 0)->conv->weight[1]), <,
      fabsf (second));
  qf_optimizer_free (opt);
  qf_net_free (net);
}

static void
test_adamw (void)
{
  QfNet *net = one_gradient (1.0f, -3.0f);
  float beta = qf_net_layer (net, 0)->conv->beta[0];
  QfOptimizer *opt = qf_optimizer_new (net,
      &(QfOptimizerOptions){ QF_OPTIMIZER_ADAMW, 0.9, 0.999, 0.5, 0, 0 });

  /* The first step has length 1 whatever the gradient: 1 − 0.01·(0.5·1 − 1) */
  qf_optimizer_step (opt, 0.01);
  g_assert_cmpfloat_with_epsilon (*first_weight (net), 1.005f, 1e-6f);
  /* m̂ = (0.9·−0.3 + 0.1·1)/0.19, v̂ = (0.999·0.009 + 0.001)/0.001999 */
  qf_net_layer (net, 0)->conv->weight_grad[0] = 1.0f;
  qf_optimizer_step (opt, 0.01);
  {
    double m = (0.9 * -0.3 + 0.1) / 0.19;
    double v = (0.999 * 0.009 + 0.001) / 0.001999;
    double w = 1.005 - 0.01 * (0.5 * 1.005 + m / sqrt (v));

    g_assert_cmpfloat_with_epsilon (*first_weight (net), (float) w, 1e-5f);
  }
  /* Biases have no decay, and a gradient of 0 moves nothing. */
  g_assert_cmpfloat (qf_net_layer (net, 0)->conv->beta[0], ==, beta);
  qf_optimizer_free (opt);
  qf_net_free (net);
}

static void
test_clip (void)
{
  QfNet *net = one_gradient (1.0f, 3.0f);
  QfOptimizer *opt;

  qf_net_layer (net, 0)->conv->beta_grad[1] = 4.0f;
  opt = qf_optimizer_new (net,
      &(QfOptimizerOptions){ QF_OPTIMIZER_SGD, 0, 0, 0, 2.5, 0 });
  qf_optimizer_step (opt, 1);
  g_assert_cmpfloat_with_epsilon (opt->norm, 5.0, 1e-9);
  g_assert_cmpfloat_with_epsilon (*first_weight (net), -0.5f, 1e-6f);
  /* A short gradient stays as it is. */
  qf_net_layer (net, 0)->conv->weight_grad[0] = 0.5f;
  qf_net_layer (net, 0)->conv->beta_grad[1] = 0.0f;
  qf_optimizer_step (opt, 1);
  g_assert_cmpfloat_with_epsilon (*first_weight (net), -1.0f, 1e-6f);
  qf_optimizer_free (opt);
  qf_net_free (net);
}

static void
test_average (void)
{
  QfNet *net = one_gradient (0.0f, -1.0f);
  QfOptimizer *opt = qf_optimizer_new (net,
      &(QfOptimizerOptions){ QF_OPTIMIZER_SGD, 0, 0, 0, 0, 0.5 });
  double average = 0;

  for (int t = 1; t <= 20; t++) {
    double decay = MIN (0.5, (1.0 + t) / (10.0 + t));

    qf_optimizer_step (opt, 1);
    g_assert_cmpfloat (*first_weight (net), ==, (float) t);
    average += (1 - decay) * (t - average);
  }
  qf_optimizer_swap_average (opt);
  g_assert_cmpfloat_with_epsilon (*first_weight (net), (float) average, 1e-4f);
  qf_optimizer_swap_average (opt);
  g_assert_cmpfloat (*first_weight (net), ==, 20.0f);
  qf_optimizer_free (opt);
  qf_net_free (net);
}

static void
test_kind (void)
{
  QfOptimizerKind kind;
  GError *error = NULL;

  g_assert_true (qf_optimizer_kind ("adamw", &kind, &error));
  g_assert_cmpint (kind, ==, QF_OPTIMIZER_ADAMW);
  g_assert_false (qf_optimizer_kind ("adam", &kind, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
  g_error_free (error);
}

/* State -------------------------------------------------------------------------- */

static void
save (const char *name, gpointer data, gsize bytes, gpointer user_data)
{
  GHashTable *pieces = user_data;

  g_assert_true (g_hash_table_insert (pieces, g_strdup (name),
      g_bytes_new (data, bytes)));
}

static void
restore (const char *name, gpointer data, gsize bytes, gpointer user_data)
{
  GBytes *piece = g_hash_table_lookup (user_data, name);

  g_assert_nonnull (piece);
  g_assert_cmpuint (g_bytes_get_size (piece), ==, bytes);
  memcpy (data, g_bytes_get_data (piece, NULL), bytes);
}

static void
compare (const char *name, gpointer data, gsize bytes, gpointer user_data)
{
  GBytes *piece = g_hash_table_lookup (user_data, name);

  g_assert_nonnull (piece);
  g_assert_cmpmem (data, bytes, g_bytes_get_data (piece, NULL),
      g_bytes_get_size (piece));
}

static GHashTable *
state_of (QfNet *net, QfOptimizer *opt)
{
  GHashTable *pieces = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      (GDestroyNotify) g_bytes_unref);

  qf_net_each_state (net, opt, save, pieces);
  return pieces;
}

/* A step on an input and output gradients that @rng draws. */
static void
step (QfNet *net, QfOptimizer *opt, guint64 seed)
{
  QfRng rng = { seed };

  test_fill_input (net, 2, &rng);
  qf_net_forward (net, 2, TRUE);
  for (guint i = 0; i < net->outputs->len; i++) {
    QfBlob *b = qf_net_blob (net, g_array_index (net->outputs, int, i));

    for (int j = 0; j < 2 * b->h * b->w * b->c; j++)
      b->grad[j] = (float) (qf_rng_uniform (&rng) - 0.5);
  }
  qf_net_backward (net, 2);
  qf_optimizer_step (opt, 0.01);
}

/* The bound of a Relu's output moves against the gradient of what it clips, on any
 * number of threads alike. */
static void
test_learned_range (void)
{
  float bound[3];

  for (int t = 0; t < 3; t++) {
    g_autoptr (QfPool) pool = qf_pool_new (1 << t);
    QfRng rng = { 5 };
    QfNet *net = test_net (2, TRUE, pool, &rng);
    QfBlob *y = qf_net_blob (net, qf_net_layer (net, 0)->out);
    QfOptimizer *opt;
    double sum = 0;
    int clipped = 0, n = 2 * y->h * y->w * y->c;

    net->learn_ranges = TRUE;
    opt = qf_optimizer_new (net,
        &(QfOptimizerOptions){ QF_OPTIMIZER_SGD, 0, 0, 0, 0, 0 });
    for (int i = 0; i < 70; i++)
      qf_net_forward (net, 2, TRUE);
    g_assert_cmpfloat (y->bound, >, 0);
    y->bound /= 8; /* so that much is clipped */
    bound[t] = y->bound;
    step (net, opt, 3);
    for (int i = 0; i < n; i++)
      if (y->codes[i] == 255) {
        sum += (double) y->grad[i];
        clipped++;
      }
    g_assert_cmpint (clipped, >, 10);
    g_assert_cmpfloat_with_epsilon (y->bound_grad, (float) (sum / sqrt (n)),
        1e-6f);
    g_assert_cmpfloat_with_epsilon (y->bound,
        bound[t] - 0.01f * y->bound_grad, 1e-6f);
    bound[t] = y->bound;
    g_assert_cmpfloat (bound[t], ==, bound[0]);
    qf_optimizer_free (opt);
    qf_net_free (net);
  }
}

/* The bound of a Relu's output follows what clips one output in 10,000, from
 * either side, on any number of threads alike. */
static void
test_percentile_range (void)
{
  for (int way = 0; way < 2; way++) {
    float bound[2];

    for (int t = 0; t < 2; t++) {
      g_autoptr (QfPool) pool = qf_pool_new (1 + 2 * t);
      QfRng rng = { 5 };
      QfNet *net = test_net (2, TRUE, pool, &rng);
      QfBlob *y = qf_net_blob (net, qf_net_layer (net, 0)->out);
      int clipped = 0, near = 0, n = y->h * y->w * y->c, may = n / 10000;
      float from;

      net->percentile_ranges = TRUE;
      test_fill_input (net, 2, &rng);
      for (int i = 0; i < 70; i++)
        qf_net_forward (net, 2, TRUE);
      y->bound *= way ? 1 : 0.25f;
      from = y->bound;
      for (int i = 0; i < 300; i++) {
        qf_net_forward (net, 2, TRUE);
        qf_net_backward (net, 2);
      }
      qf_net_forward (net, 2, TRUE);
      for (int i = 0; i < n; i++) { /* the first image is looked at */
        clipped += y->codes[i] == 255;
        near += y->codes[i] > 235;
      }
      g_test_message ("bound %.3f, then %.3f: %d of %d clipped", (double) from,
          (double) y->bound, clipped, n);
      g_assert_true (way ? y->bound < from : y->bound > from);
      g_assert_cmpint (clipped, <=, may + 3);
      g_assert_cmpint (near, >, 0);
      bound[t] = y->bound;
      g_assert_cmpfloat (bound[t], ==, bound[0]);
      qf_net_free (net);
    }
  }
}

/* What the state is copied into goes on to the same bytes. */
static void
test_state (void)
{
  for (int threads = 1; threads <= 4; threads *= 2)
    for (int kind = 0; kind < 2; kind++) {
      const QfOptimizerOptions o = { (QfOptimizerKind) kind, 0.9, 0.999, 0.01,
        1, 0.99 };
      QfRng rng = { test_seed () }, other = { 99 };
      g_autoptr (QfPool) pool = qf_pool_new (threads);
      QfNet *a = test_net (2, TRUE, NULL, &rng);
      QfNet *b = test_net (2, TRUE, pool, &other);
      QfOptimizer *of_a = qf_optimizer_new (a, &o);
      QfOptimizer *of_b = qf_optimizer_new (b, &o);
      g_autoptr (GHashTable) half = NULL, whole = NULL;

      for (int i = 0; i < 3; i++)
        step (a, of_a, (guint64) i);
      half = state_of (a, of_a);
      qf_net_each_state (b, of_b, restore, half);
      for (int i = 3; i < 6; i++) {
        step (a, of_a, (guint64) i);
        step (b, of_b, (guint64) i);
      }
      whole = state_of (a, of_a);
      qf_net_each_state (b, of_b, compare, whole);
      qf_optimizer_free (of_a);
      qf_optimizer_free (of_b);
      qf_net_free (a);
      qf_net_free (b);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/optimizer/sgd", test_sgd);
  g_test_add_func ("/optimizer/adamw", test_adamw);
  g_test_add_func ("/optimizer/clip", test_clip);
  g_test_add_func ("/optimizer/average", test_average);
  g_test_add_func ("/optimizer/kind", test_kind);
  g_test_add_func ("/optimizer/learned-range", test_learned_range);
  g_test_add_func ("/optimizer/percentile-range", test_percentile_range);
  g_test_add_func ("/optimizer/state", test_state);
  return g_test_run ();
}
