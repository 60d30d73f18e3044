/* Quantizing a trained float network: what it computes stays, all of its layers
 * run on codes, those that are told stay in float, a shuffle is one operator.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "engine/engine.h"
#include "model-file.h"
#include "model-nets.h"
#include "model/onnx.pb-c.h"
#include "model/quantize.h"

#define N_PICTURES 4

/* The @k-th picture of @engine's float input; others are given others. */
static void
give_picture (const QfEngine *engine, int k)
{
  const QfTensor *t = qf_engine_input (engine, 0);
  guint32 seed = (guint32) k * 77 + 5;

  g_assert_cmpint (t->dtype, ==, QF_F32);
  for (int i = 0; i < t->c * t->h * t->w; i++) {
    seed = seed * 1664525u + 1013904223u;
    ((float *) t->data)[i] = (float) (seed >> 8) / (1 << 24);
  }
}

static QfQuantizer *
observed (QfModel *model, gboolean equalize)
{
  g_autoptr (GError) error = NULL;
  QfQuantizer *q = qf_quantizer_new (model, equalize, &error);

  g_assert_no_error (error);
  do {
    g_autoptr (QfModel) m = qf_quantizer_float_model (q, &error);
    QfEngine *e;
    int n;

    g_assert_no_error (error);
    e = qf_engine_new (m, 1, &error);
    g_assert_no_error (error);
    for (int k = 0; k < N_PICTURES; k++) {
      const QfTensor *outputs;

      give_picture (e, k);
      qf_engine_run (e);
      outputs = qf_engine_outputs (e, &n);
      qf_quantizer_observe (q, outputs, n);
    }
    qf_engine_free (e);
  } while (qf_quantizer_next_pass (q));
  return q;
}

/* Mean square of what @b's outputs differ from @a's, as a share of theirs. */
static double
distance (QfModel *a, QfModel *b)
{
  g_autoptr (QfEngine) e = qf_engine_new (a, 1, NULL);
  g_autoptr (QfEngine) f = qf_engine_new (b, 1, NULL);
  double sum = 0, all = 0;

  g_assert_nonnull (e);
  g_assert_nonnull (f);
  for (int k = 0; k < N_PICTURES; k++) {
    give_picture (e, k + N_PICTURES);
    give_picture (f, k + N_PICTURES);
    qf_engine_run (e);
    qf_engine_run (f);
    for (int i = 0; i < qf_engine_n_outputs (e); i++) {
      const QfTensor *t = qf_engine_output (e, i), *u = qf_engine_output (f, i);

      for (int c = 0; c < t->c; c++)
        for (int y = 0; y < t->h; y++)
          for (int x = 0; x < t->w; x++) {
            double v = (double) qf_tensor_at (t, c, y, x);
            double d = (double) qf_tensor_at (u, c, y, x) - v;

            sum += d * d;
            all += v * v;
          }
    }
  }
  return sum / all;
}

/* Convolutions and matrix products that run on codes, and in float. */
static void
count_layers (QfModel *m, int *codes, int *floats)
{
  g_autoptr (QfEngine) e = qf_engine_new (m, 1, NULL);

  *codes = *floats = 0;
  for (int i = 0; i < qf_engine_n_steps (e); i++) {
    QfEngineStep step;

    qf_engine_step (e, i, &step);
    if (strcmp (step.op, "Conv") != 0 && strcmp (step.op, "Gemm") != 0)
      continue;
    *(step.quantized ? codes : floats) += 1;
  }
}

static QfModel *
float_model (void)
{
  QfGraph *g = net_float ();

  g_assert_true (qf_graph_validate (g, NULL));
  return qf_model_new (g);
}

/* Other runtimes want a name of its own for each node. */
static void
check_names (QfModel *m)
{
  g_autoptr (GBytes) bytes = qf_model_to_bytes (m, NULL);
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  Onnx__ModelProto *p = onnx__model_proto__unpack (NULL, size, data);

  g_assert_nonnull (p);
  for (gsize i = 0; i < p->graph->n_node; i++)
    g_assert_true (g_hash_table_add (names, p->graph->node[i]->name));
  onnx__model_proto__free_unpacked (p, NULL);
}

/* Every way to choose ranges, with channels equalized and not. */
static void
test_close (void)
{
  g_autoptr (QfModel) model = float_model ();

  qf_model_set (model, "qfuse.planes", "R,G,B");
  for (int equalize = 0; equalize < 2; equalize++) {
    g_autoptr (QfQuantizer) q = observed (model, equalize);
    g_autoptr (QfModel) same = qf_quantizer_float_model (q, NULL);

    g_assert_cmpfloat (distance (model, same), <, 1e-9);
    for (int how = QF_RANGES_MIN_MAX; how <= QF_RANGES_ENTROPY; how++) {
      QfQuantizeOptions options = { (QfRanges) how, TRUE };
      g_autoptr (GError) error = NULL;
      g_autoptr (QfModel) m = qf_quantizer_model (q, &options, &error);
      int codes, floats;

      g_assert_no_error (error);
      count_layers (m, &codes, &floats);
      g_assert_cmpint (codes, ==, qf_quantizer_n_layers (q));
      g_assert_cmpint (floats, ==, 0);
      g_assert_cmpfloat (distance (model, m), <, how ? 0.02 : 0.001);
      g_assert_cmpfloat (distance (model, m), >, 0);
      g_assert_cmpstr (qf_model_get (m, "qfuse.planes"), ==, "R,G,B");
    }
  }
}

static void
test_kept (void)
{
  g_autoptr (QfModel) model = float_model (), m = NULL;
  g_autoptr (QfQuantizer) q = observed (model, TRUE);
  QfQuantizeOptions options = { QF_RANGES_MIN_MAX, FALSE };
  int n = qf_quantizer_n_layers (q), codes, floats;
  QfQuantizerLayer layer;

  for (int kept = 0; kept < n; kept++) {
    g_autoptr (QfModel) one = NULL;

    qf_quantizer_keep_float (q, kept, TRUE);
    qf_quantizer_layer (q, kept, &layer);
    g_assert_true (layer.kept);
    one = qf_quantizer_model (q, &options, NULL);
    count_layers (one, &codes, &floats);
    g_assert_cmpint (codes, ==, n - 1);
    g_assert_cmpint (floats, ==, 1);
    g_assert_cmpfloat (distance (model, one), <, 0.001);
    qf_quantizer_keep_float (q, kept, FALSE);
  }
  for (int kept = 0; kept < n; kept++)
    qf_quantizer_keep_float (q, kept, TRUE);
  m = qf_quantizer_model (q, &options, NULL);
  count_layers (m, &codes, &floats);
  g_assert_cmpint (codes, ==, 0);
  g_assert_cmpfloat (distance (model, m), <, 1e-9);
}

/* Channels of two groups in turn, as exporters write it at opset 11; then the
 * two halves. */
static QfModel *
shuffle_model (void)
{
  File f = file_new (11);
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  QfModel *m;

  file_input (&f, "x", 1, "1,8,4,5");
  file_weights (&f, "w", "8,8,1,1");
  file_weights (&f, "v", "8,4,3,3");
  file_constant (&f, "apart", 7, "5", (gint64[]){ 1, 2, 4, 4, 5 },
      5 * sizeof (gint64));
  file_constant (&f, "together", 7, "4", (gint64[]){ 1, -1, 4, 5 },
      4 * sizeof (gint64));
  file_add (&f, file_node ("Conv", "a", "x w", "a"));
  file_add (&f, file_node ("Reshape", "b", "a apart", "b"));
  file_add (&f,
      node_ints (file_node ("Transpose", "c", "b", "c"), "perm", "0,2,1,3,4"));
  file_add (&f, file_node ("Reshape", "d", "c together", "d"));
  file_add (
      &f, node_int (file_node ("Split", "e", "d", "left right"), "axis", 1));
  file_add (&f, file_node ("Conv", "g", "left v", "y"));
  file_add (&f, file_node ("Conv", "h", "right v", "z"));
  file_output (&f, "y");
  file_output (&f, "z");
  bytes = file_end (&f);
  m = qf_model_load_bytes (bytes, "shuffle.onnx", &error);
  g_assert_no_error (error);
  return m;
}

static void
test_shuffle (void)
{
  g_autoptr (QfModel) model = shuffle_model ();
  g_autoptr (QfQuantizer) q = observed (model, TRUE);
  QfQuantizeOptions options = { QF_RANGES_MIN_MAX, TRUE };
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) m = qf_quantizer_model (q, &options, &error);
  g_autoptr (QfEngine) e = NULL;
  int gathers = 0;

  g_assert_no_error (error);
  e = qf_engine_new (m, 1, &error);
  g_assert_no_error (error);
  for (int i = 0; i < qf_engine_n_steps (e); i++) {
    QfEngineStep step;

    qf_engine_step (e, i, &step);
    g_assert_cmpstr (step.op, !=, "Reshape");
    g_assert_cmpstr (step.op, !=, "Transpose");
    g_assert_cmpstr (step.kernel, !=, "plain");
    gathers += strcmp (step.op, "Gather") == 0;
  }
  g_assert_cmpint (gathers, ==, 1);
  check_names (m);
  g_assert_cmpfloat (distance (model, m), <, 0.001);
}

static void
test_refused (void)
{
  g_autoptr (QfModel) model = float_model (), m = NULL;
  g_autoptr (QfQuantizer) q = observed (model, FALSE);
  QfQuantizeOptions options = { QF_RANGES_MIN_MAX, FALSE };
  g_autoptr (GError) error = NULL;
  QfGraph *g = qf_graph_new ();
  g_autoptr (QfModel) empty = NULL;

  m = qf_quantizer_model (q, &options, NULL);
  g_assert_null (qf_quantizer_new (m, FALSE, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED);
  g_assert_nonnull (strstr (error->message, "already"));
  g_clear_error (&error);
  net_output (
      g, net_unary (g, QF_OP_RELU, "r", net_input (g, QF_F32, 1, 2, 2))->out);
  g_assert_true (qf_graph_validate (g, NULL));
  empty = qf_model_new (g);
  g_assert_null (qf_quantizer_new (empty, FALSE, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/quantize/close", test_close);
  g_test_add_func ("/quantize/kept", test_kept);
  g_test_add_func ("/quantize/shuffle", test_shuffle);
  g_test_add_func ("/quantize/refused", test_refused);
  return g_test_run ();
}
