/* qfuse tests: random networks of all operators that train: what is trained is
 * what is written and run, on any number of threads; and again from the file.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine.h"
#include "model/model-private.h"
#include "train/optimizer.h"
#include "trainnet.h"

#include <math.h>
#include <string.h>

enum
{
  IMAGES = 3
};

static void
train (QfNet *net, int steps, QfRng *rng)
{
  const QfOptimizerOptions o = { QF_OPTIMIZER_SGD, 0.9, 0.999, 1e-4, 1, 0 };
  QfOptimizer *opt = qf_optimizer_new (net, &o);

  for (int step = 0; step < steps; step++) {
    test_fill_input (net, IMAGES, rng);
    qf_net_forward (net, IMAGES, TRUE);
    for (guint i = 0; i < net->outputs->len; i++) {
      QfBlob *b = qf_net_blob (net, g_array_index (net->outputs, int, i));

      for (int k = 0; k < IMAGES * b->h * b->w * b->c; k++)
        b->grad[k] = (float) (2 * qf_rng_uniform (rng) - 1);
    }
    qf_net_backward (net, IMAGES);
    qf_optimizer_step (opt, 0.01);
  }
  qf_optimizer_free (opt);
  net->frozen = TRUE;
  g_assert_true (qf_net_finite (net));
}

static QfModel *
written (QfNet *net, GBytes **bytes)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) model = NULL;
  QfGraph *g = qf_net_export (net, &error);

  g_assert_no_error (error);
  model = qf_model_new (g);
  *bytes = qf_model_to_bytes (model, &error);
  g_assert_no_error (error);
  if (g_getenv ("QFUSE_TEST_KEEP")) { /* for tests/conformance/ort_compare.py */
    static int number;
    g_autofree char *path = g_strdup_printf ("%s/net%d.onnx",
        g_getenv ("QFUSE_TEST_KEEP"), number++);

    qf_model_save (model, path, &error);
    g_assert_no_error (error);
  }
  {
    QfModel *read = qf_model_load_bytes (*bytes, "written", &error);

    g_assert_no_error (error);
    return read;
  }
}

/* Compares frozen forward passes with runs of the engine; returns bytes. */
static gsize
compare (QfNet *net, QfModel *model, int threads, QfRng *rng)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QfEngine) engine = qf_engine_new (model, threads, &error);
  const QfBlob *x = qf_net_blob (net, net->input);
  gsize compared = 0;

  g_assert_no_error (error);
  for (int round = 0; round < 10; round++) {
    const QfTensor *in = qf_engine_input (engine, 0);

    test_fill_input (net, 1, rng);
    for (int c = 0; c < x->c; c++)
      for (int i = 0; i < x->h * x->w; i++)
        ((guint8 *) in->data)[c * x->h * x->w + i] = x->codes[i * x->c + c];
    qf_net_forward (net, 1, FALSE);
    qf_engine_run (engine);
    for (guint i = 0; i < net->outputs->len; i++) {
      const QfBlob *b = qf_net_blob (net, g_array_index (net->outputs, int, i));
      const QfTensor *t = qf_engine_output (engine, (int) i);
      gsize size = (gsize) b->h * b->w * b->c;

      g_assert_cmpint (t->dtype, ==, QF_U8);
      g_assert_cmpfloat (t->scale, ==, b->scale);
      g_assert_cmpint (t->zero, ==, b->zero);
      g_assert_cmpmem (t->data, size, b->codes, size);
      compared += size;
    }
  }
  for (int i = 0; i < qf_engine_n_steps (engine); i++) {
    QfEngineStep s;

    qf_engine_step (engine, i, &s);
    if (!s.quantized)
      g_error ("%s (%s) runs in float", s.name, s.op);
  }
  return compared;
}

static QfNet *
net_of (const QfGraph *g, QfPool *pool)
{
  g_autoptr (GError) error = NULL;
  QfNet *net = qf_net_new (g, IMAGES, TRUE, pool, &error);

  g_assert_no_error (error);
  return net;
}

/* 8/8, 4/8, 4/4, 8/4, or one layer of another width than the rest. */
static void
set_bits (QfNet *net, guint64 seed)
{
  static const char *const widths[][2] = { { NULL, NULL }, { "4", NULL },
    { "4", "4" }, { NULL, "4" }, { "4", "4" }, { "8", "8" } };
  g_autoptr (GError) error = NULL;
  g_autofree char *mixed = NULL;
  guint kind = (guint) (seed % G_N_ELEMENTS (widths));

  qf_net_set_bits (net, widths[kind][0], widths[kind][1], &error);
  g_assert_no_error (error);
  if (kind < 4)
    return;
  for (guint i = 0; i < net->layers->len; i++) {
    const QfLayer *l = qf_net_layer (net, (int) i);

    if (l->conv && (seed >> 2 ^ i) % 3 == 0) {
      g_free (mixed);
      mixed = g_strdup_printf ("%s=%d", l->name, kind == 4 ? 8 : 4);
      qf_net_set_bits (net, mixed, mixed, &error);
      g_assert_no_error (error);
    }
  }
}

/* One network: trained with 1, 2 and 4 threads, then once more from its file. */
static void
check_network (guint64 seed)
{
  g_autoptr (GBytes) first = NULL;

  for (int threads = 1; threads <= 4; threads *= 2) {
    QfRng rng = { seed };
    g_autoptr (QfGraph) g = test_graph_random (&rng, seed % 2);
    g_autoptr (QfPool) pool = qf_pool_new (threads);
    g_autoptr (GBytes) bytes = NULL;
    g_autoptr (GBytes) again = NULL;
    g_autoptr (QfModel) model = NULL;
    g_autoptr (QfModel) model2 = NULL;
    g_autoptr (GError) error = NULL;
    QfNet *net, *net2;

    qf_graph_join (g);
    net = net_of (g, pool);
    set_bits (net, seed / 2);
    train (net, 4, &rng);
    model = written (net, &bytes);
    g_assert_cmpuint (compare (net, model, threads, &rng), >, 0);
    if (!first)
      first = g_bytes_ref (bytes);
    g_assert_true (g_bytes_equal (first, bytes));

    { /* fine-tuning what was written */
      g_autoptr (QfGraph) fused = qf_graph_copy (model->graph);

      qf_graph_fuse (fused, &error);
      g_assert_no_error (error);
      net2 = net_of (fused, pool);
      train (net2, 2, &rng);
      model2 = written (net2, &again);
      compare (net2, model2, threads, &rng);
      qf_net_free (net2);
    }
    qf_net_free (net);
  }
}

static void
test_random_networks (void)
{
  guint64 seed = test_seed ();
  int n = g_test_slow () ? 200 : 20;

  for (int i = 0; i < n; i++) {
    g_test_message ("network %" G_GUINT64_FORMAT, seed + (guint64) i);
    check_network (seed + (guint64) i);
  }
}

/* Names that no layer has, widths that do not exist. */
static void
test_wrong_bits (void)
{
  QfRng rng = { 1 };
  g_autoptr (QfGraph) g = test_graph_random (&rng, TRUE);
  QfNet *net;

  qf_graph_join (g);
  net = net_of (g, NULL);
  for (int i = 0; i < 5; i++) {
    static const char *const wrong[] = { "5", "none=4", "4,", "x", "4,=4" };
    g_autoptr (GError) error = NULL;
    gboolean ok = qf_net_set_bits (net, wrong[i], NULL, &error);

    g_assert_cmpint (ok, ==, i == 2); /* an empty item is none */
    if (!ok)
      g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
  }
  qf_net_free (net);
}

/* What has no gradient is named. */
static void
test_unsupported (void)
{
  QfRng rng = { 1 };
  g_autoptr (QfGraph) g = test_graph_random (&rng, TRUE);
  g_autoptr (GError) error = NULL;
  QfNode *n = NULL;

  for (guint i = 0; i < g->nodes->len; i++)
    if (qf_graph_node (g, (int) i)->op == QF_OP_CONCAT)
      n = qf_graph_node (g, (int) i);
  n->axis = 2;
  g_assert_null (qf_net_new (g, 1, TRUE, NULL, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, n->name));
  g_assert_nonnull (strstr (error->message, "Concat"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/train/operators/random", test_random_networks);
  g_test_add_func ("/train/operators/wrong-bits", test_wrong_bits);
  g_test_add_func ("/train/operators/unsupported", test_unsupported);
  return g_test_run ();
}
