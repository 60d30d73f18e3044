/* Writes graphs as ONNX and reads them back.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model-nets.h"

#include <string.h>

static void
assert_same_graph (const QfGraph *a, const QfGraph *b)
{
  g_assert_cmpuint (a->nodes->len, ==, b->nodes->len);
  g_assert_cmpuint (a->inputs->len, ==, b->inputs->len);
  g_assert_cmpuint (a->outputs->len, ==, b->outputs->len);
  for (guint i = 0; i < a->nodes->len; i++) {
    const QfNode *m = qf_graph_node (a, (int) i);
    const QfNode *n = qf_graph_node (b, (int) i);

    g_assert_cmpstr (m->name, ==, n->name);
    g_assert_cmpint (m->op, ==, n->op);
    g_assert_cmpint (m->n_in, ==, n->n_in);
    g_assert_true (memcmp (&m->win, &n->win, sizeof m->win) == 0);
    g_assert_cmpint (m->axis, ==, n->axis);
    g_assert_cmpfloat (m->epsilon, ==, n->epsilon);
    g_assert_cmpfloat (m->lo, ==, n->lo);
    g_assert_cmpfloat (m->hi, ==, n->hi);
    g_assert_cmpint (m->scale_h, ==, n->scale_h);
    g_assert_cmpint (m->scale_w, ==, n->scale_w);
    for (int k = -1; k < m->n_in; k++) {
      const QfValue *u = qf_graph_value (a, k < 0 ? m->out : m->in[k]);
      const QfValue *v = qf_graph_value (b, k < 0 ? n->out : n->in[k]);

      g_assert_cmpstr (u->name, ==, v->name);
      g_assert_cmpint (u->dtype, ==, v->dtype);
      g_assert_cmpint (u->rank, ==, v->rank);
      for (int d = 0; d < u->rank; d++)
        g_assert_cmpint (u->dims[d], ==, v->dims[d]);
      g_assert_true (!u->data == !v->data);
      if (u->data)
        g_assert_cmpmem (u->data,
            (gsize) qf_value_elements (u) * qf_dtype_size (u->dtype), v->data,
            (gsize) qf_value_elements (v) * qf_dtype_size (v->dtype));
    }
  }
}

static QfModel *
round_trip (const QfModel *model)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = qf_model_to_bytes (model, &error);
  QfModel *back;

  g_assert_no_error (error);
  back = qf_model_load_bytes (bytes, "back", &error);
  g_assert_no_error (error);
  return back;
}

static void
test_float (void)
{
  g_autoptr (GError) error = NULL;
  QfGraph *g = net_float ();
  g_autoptr (QfModel) model = qf_model_new (g);
  g_autoptr (QfModel) back = NULL;

  qf_graph_validate (g, &error);
  g_assert_no_error (error);
  back = round_trip (model);
  assert_same_graph (g, back->graph);
}

/* Shapes that validation infers for every operator. */
static void
test_shapes (void)
{
  static const struct
  {
    const char *name;
    int rank;
    gint64 dims[4];
  } want[] = {
    { "conv1", 4, { 1, 8, 8, 8 } },
    { "bn1", 4, { 1, 8, 8, 8 } },
    { "relu1", 4, { 1, 8, 8, 8 } },
    { "conv2", 4, { 1, 8, 8, 8 } },
    { "clip2", 4, { 1, 8, 8, 8 } },
    { "add", 4, { 1, 8, 8, 8 } },
    { "pool", 4, { 1, 8, 4, 4 } },
    { "up", 4, { 1, 8, 8, 8 } },
    { "cat", 4, { 1, 16, 8, 8 } },
    { "conv3", 4, { 1, 4, 8, 8 } },
    { "map", 4, { 1, 4, 8, 8 } },
    { "mean", 4, { 1, 8, 1, 1 } },
    { "flat", 2, { 1, 8 } },
    { "score", 2, { 1, 5 } },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (QfGraph) g = net_float ();

  qf_graph_validate (g, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g->nodes->len, ==, G_N_ELEMENTS (want));
  for (guint i = 0; i < G_N_ELEMENTS (want); i++) {
    const QfNode *n = qf_graph_node (g, (int) i);
    const QfValue *v = qf_graph_value (g, n->out);

    g_assert_cmpstr (n->name, ==, want[i].name);
    g_assert_cmpint (v->dtype, ==, QF_F32);
    g_assert_cmpint (v->rank, ==, want[i].rank);
    for (int d = 0; d < v->rank; d++)
      g_assert_cmpint (v->dims[d], ==, want[i].dims[d]);
  }
  g_assert_cmpint (
      qf_graph_macs (g), ==, 8 * 64 * 27 + 8 * 64 * 9 + 4 * 64 * 16 + 40);
}

/* A graph may be changed and judged again; shapes follow. */
static void
test_again (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QfGraph) g = net_float ();

  g_assert_true (qf_graph_validate (g, NULL));
  qf_graph_value (g, 0)->dims[2] = 32;
  g_assert_true (qf_graph_validate (g, NULL));
  g_assert_cmpint (
      qf_graph_value (g, g_array_index (g->outputs, int, 0))->dims[2], ==, 16);
  qf_graph_node (g, 2)->in[0] = qf_graph_node (g, 5)->out; /* a later one */
  g_assert_false (qf_graph_validate (g, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, "node 'relu1' (Relu)"));
}

/* Uint8 in, weights as int8 for each channel, int32 bias, uint8 out. */
static void
test_quantized (void)
{
  static const gint8 w[6] = { 1, -127, 127, 0, 5, -5 }, z[3] = { 0 };
  static const float s[3] = { 0.5f, 1e-20f, 3 }, bs[3] = { 0.25f, 1, 2 };
  static const gint32 b[3] = { 1 << 30, -7, 0 };
  static const gint64 dims[4] = { 3, 2, 1, 1 };
  g_autoptr (GError) error = NULL;
  QfGraph *g = qf_graph_new ();
  g_autoptr (QfModel) model = qf_model_new (g), back = NULL;
  g_autoptr (GBytes) one = NULL, two = NULL;
  g_autoptr (QfGraph) copy = NULL;
  int in[3], x = net_input (g, QF_U8, 2, 4, 4);

  x = net_q (g, QF_OP_DEQUANTIZE, "dq", x, 0.5f, 128, QF_U8);
  in[0] = qf_graph_add_constant (g, "w", QF_I8, 4, dims, w);
  in[1] = qf_graph_add_constant (g, "ws", QF_F32, 1, dims, s);
  in[2] = qf_graph_add_constant (g, "wz", QF_I8, 1, dims, z);
  in[1] = qf_graph_add_node (g, QF_OP_DEQUANTIZE, "wd", 3, in)->out;
  in[0] = qf_graph_add_constant (g, "b", QF_I32, 1, dims, b);
  in[2] = qf_graph_add_constant (g, "bs", QF_F32, 1, dims, bs);
  {
    int bias[2] = { in[0], in[2] };

    in[2] = qf_graph_add_node (g, QF_OP_DEQUANTIZE, "bd", 2, bias)->out;
  }
  in[0] = x;
  x = qf_graph_add_node (g, QF_OP_CONV, "conv", 3, in)->out;
  net_output (g, net_q (g, QF_OP_QUANTIZE, "q", x, 0.25f, 3, QF_U8));
  qf_graph_validate (g, &error);
  g_assert_no_error (error);
  g_assert_cmpint (
      qf_graph_value (g, g_array_index (g->outputs, int, 0))->dtype, ==, QF_U8);
  back = round_trip (model);
  assert_same_graph (g, back->graph);
  one = qf_model_to_bytes (model, &error);
  two = qf_model_to_bytes (back, &error);
  g_assert_true (g_bytes_equal (one, two));
  copy = qf_graph_copy (g);
  assert_same_graph (g, copy);
}

static void
test_fused_refused (void)
{
  g_autoptr (GError) error = NULL;
  QfGraph *g = net_float ();
  g_autoptr (QfModel) model = qf_model_new (g);

  g_assert_true (qf_graph_validate (g, NULL));
  g_assert_true (qf_graph_fuse (g, NULL));
  g_assert_null (qf_model_to_bytes (model, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
}

/* Graphs that a program makes wrongly are errors as well. */
static void
test_made_wrongly (void)
{
  for (int i = 0; i < 6; i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (QfGraph) g = qf_graph_new ();
    int x = net_input (g, QF_F32, 2, 4, 4);
    QfNode *n = net_conv (g, "conv", x, 2, 4, 3, 1, 1);
    int out = i == 4 ? x : n->out;

    if (i == 0) /* the same name again */
      net_floats (g, "conv_w", 1, (gint64[]){ 1 }, 1);
    else if (i == 1)
      n->in[1] = 77;
    else if (i == 2)
      n->out = x;
    else if (i == 3)
      n->act = QF_ACT_CLIP;
    else if (i == 5)
      net_floats (g, "", 1, (gint64[]){ 1 }, 1);
    net_output (g, out);
    g_assert_false (qf_graph_validate (g, &error));
    g_assert_nonnull (error);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/onnx/float", test_float);
  g_test_add_func ("/model/onnx/shapes", test_shapes);
  g_test_add_func ("/model/onnx/again", test_again);
  g_test_add_func ("/model/onnx/quantized", test_quantized);
  g_test_add_func ("/model/onnx/fused-refused", test_fused_refused);
  g_test_add_func ("/model/onnx/made-wrongly", test_made_wrongly);
  return g_test_run ();
}
