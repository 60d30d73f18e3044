/* qfuse tests: copies of a model with one layer's weights at fewer bits.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model-file.h"

#include <math.h>

#include "engine/engine.h"

#define TAPS 9

/* x (uint8, 1x1x6x6) convolved twice: by two channels of int8 codes with scales
 * and bias, in int8, and by the float weights @w. */
static QfModel *
model_of (const gint8 codes[2 * TAPS], const float w[2 * TAPS])
{
  static const float scale = 0.5f, scales[2] = { 0.25f, 0.125f };
  static const float bias_scales[2] = { 0.125f, 0.0625f };
  static const guint8 zero = 7;
  static const gint32 bias[2] = { 100, -40 };
  File f = file_new (13);

  file_input (&f, "q", 2, "1,1,6,6");
  file_output (&f, "y");
  file_constant (&f, "s", 1, "", &scale, 4);
  file_constant (&f, "z", 2, "", &zero, 1);
  file_constant (&f, "w", 3, "2,1,3,3", codes, 2 * TAPS);
  file_constant (&f, "ws", 1, "2", scales, sizeof scales);
  file_constant (&f, "b", 6, "2", bias, sizeof bias);
  file_constant (&f, "bs", 1, "2", bias_scales, sizeof bias_scales);
  file_constant (&f, "v", 1, "1,2,3,3", w, 2 * TAPS * sizeof (float));
  file_add (&f, file_node ("DequantizeLinear", "dq", "q s z", "x"));
  file_add (&f,
      node_int (
          file_node ("DequantizeLinear", "dqw", "w ws", "wf"), "axis", 0));
  file_add (&f,
      node_int (
          file_node ("DequantizeLinear", "dqb", "b bs", "bf"), "axis", 0));
  file_add (&f, file_node ("Conv", "first", "x wf bf", "c"));
  file_add (&f, file_node ("QuantizeLinear", "ql", "c s z", "cq"));
  file_add (&f, file_node ("DequantizeLinear", "dql", "cq s z", "d"));
  file_add (&f, file_node ("Conv", "second", "d v", "y"));
  return file_load (&f);
}

/* What @m makes of a fixed picture. */
static void
run (QfModel *m, float y[4])
{
  GError *error = NULL;
  g_autoptr (QfEngine) e = qf_engine_new (m, 1, &error);
  QfEngineStep step;

  g_assert_no_error (error);
  for (int i = 0; i < qf_engine_n_steps (e); i++) {
    qf_engine_step (e, i, &step);
    if (strcmp (step.name, "first") == 0)
      g_assert_true (step.quantized);
  }
  for (int i = 0; i < 36; i++)
    ((guint8 *) qf_engine_input (e, 0)->data)[i] = (guint8) (i * 37 % 29);
  qf_engine_run (e);
  memcpy (y, qf_engine_output (e, 0)->data, 4 * sizeof (float));
}

/* Every code and its scale as the equation has them; floats alike. */
static const gint8 wide[2 * TAPS] = { 127, -90, 3, 0, 9, 10, -127, 64, 1, 35,
  -20, 14, 3, 2, 1, 0, -35, 7 };

static void
test_rounds (void)
{
  float w[2 * TAPS], y[4], rounded_y[4], again_y[4];
  g_autoptr (QfModel) m = NULL;
  g_autoptr (GBytes) before = NULL, after = NULL;
  g_autoptr (GError) error = NULL;

  for (int i = 0; i < 2 * TAPS; i++)
    w[i] = 0.01f * (float) wide[i];
  m = model_of (wide, w);
  qf_model_set (m, "qfuse.labels", "a\nb");
  before = qf_model_to_bytes (m, NULL);
  run (m, y);
  g_assert_cmpint (qf_model_n_layers (m), ==, 2);
  for (int i = 0; i < 2; i++) {
    QfModelLayer l;
    gboolean changed;
    g_autoptr (QfModel) r = NULL;
    g_autoptr (QfModel) twice = NULL;

    qf_model_layer (m, i, &l);
    g_assert_cmpstr (l.name, ==, i ? "second" : "first");
    g_assert_cmpint (l.bits, ==, i ? 32 : 8);
    g_assert_cmpint (l.channels, ==, i ? 1 : 2);
    g_assert_cmpint (l.n_weights, ==, 2 * TAPS);
    r = qf_model_round_layer (m, i, 4, &changed, &error);
    g_assert_no_error (error);
    g_assert_true (changed);
    g_assert_cmpstr (qf_model_label (r, 1), ==, "b");
    run (r, rounded_y);
    g_assert_cmpint (memcmp (y, rounded_y, sizeof y), !=, 0);
    /* what is rounded has that form */
    twice = qf_model_round_layer (r, i, 4, &changed, &error);
    g_assert_false (changed);
    run (twice, again_y);
    g_assert_cmpmem (rounded_y, sizeof y, again_y, sizeof y);
    for (guint k = 0; k < r->graph->values->len; k++) {
      const QfValue *v = qf_graph_value (r->graph, (int) k);

      for (int c = 0; strstr (v->name, "_coarse_codes") && c < 2 * TAPS; c++)
        g_assert_cmpint (((const gint8 *) v->data)[c], ==,
            (int) rint (wide[c] * 7.0 / (c < TAPS ? 127 : 35)));
      for (int c = 0; strstr (v->name, "second_coarse") && c < 2 * TAPS; c++)
        g_assert_cmpfloat_with_epsilon (((const float *) v->data)[c],
            (float) (rint (wide[c] * 7.0 / 127) * 1.27 / 7), 1e-6f);
    }
  }
  after = qf_model_to_bytes (m, NULL);
  g_assert_true (g_bytes_equal (before, after));
  run (m, again_y);
  g_assert_cmpmem (y, sizeof y, again_y, sizeof y);
}

/* Codes within 7 and multiples of others, zeros, and floats in such steps: the
 * same bytes come out. */
static void
test_keeps (void)
{
  static const gint8 narrow[2 * TAPS] = { 5, -4, 3, 0, 0, 1, 2, -5, 1, 126, -18,
    36, 0, 54, 72, 90, 108, -126 };
  float w[2 * TAPS], y[4], kept_y[4];
  g_autoptr (QfModel) m = NULL;

  for (int i = 0; i < 2 * TAPS; i++)
    w[i] = 0.013f * (float) (i % 15 - 7);
  m = model_of (narrow, w);
  run (m, y);
  for (int i = 0; i < 2; i++) {
    gboolean changed = TRUE;
    g_autoptr (QfModel) r = qf_model_round_layer (m, i, 4, &changed, NULL);

    g_assert_false (changed);
    run (r, kept_y);
    g_assert_cmpmem (y, sizeof y, kept_y, sizeof y);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/round/rounds", test_rounds);
  g_test_add_func ("/model/round/keeps", test_keeps);
  return g_test_run ();
}
