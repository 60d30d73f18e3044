/* Reads ONNX files that others could have written.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model-file.h"

#include <math.h>

static QfNode *
last_node (const QfModel *m)
{
  return qf_graph_node (m->graph, (int) m->graph->nodes->len - 1);
}

static const QfValue *
output (const QfModel *m)
{
  return qf_graph_value (m->graph, g_array_index (m->graph->outputs, int, 0));
}

static void
assert_dims (const QfModel *m, int c, int h, int w)
{
  const QfValue *y = output (m);

  g_assert_cmpint (y->dims[0], ==, 1);
  g_assert_cmpint (y->dims[1], ==, c);
  if (y->rank > 2) {
    g_assert_cmpint (y->dims[2], ==, h);
    g_assert_cmpint (y->dims[3], ==, w);
  }
}

/* ---- Conv and MaxPool --------------------------------------------------- */

static void
check_conv (const char *auto_pad, const char *strides, const char *dilations,
    const int *pads, int h, int w)
{
  File f = file_simple (13);
  g_autoptr (QfModel) m = NULL;
  Pb *n = file_node ("Conv", "conv", "x w", "y");

  file_weights (&f, "w", "4,3,3,2");
  node_text (n, "auto_pad", auto_pad);
  node_ints (n, "strides", strides);
  node_ints (n, "dilations", dilations);
  file_add (&f, n);
  m = file_load (&f);
  for (int i = 0; i < 4; i++)
    g_assert_cmpint (last_node (m)->win.pad[i], ==, pads[i]);
  g_assert_cmpint (last_node (m)->win.kernel[0], ==, 3);
  g_assert_cmpint (last_node (m)->win.kernel[1], ==, 2);
  assert_dims (m, 4, h, w);
}

static void
test_auto_pad (void)
{
  check_conv ("SAME_UPPER", "1,1", "1,1", (int[]){ 1, 0, 1, 1 }, 8, 8);
  check_conv ("SAME_LOWER", "1,1", "1,1", (int[]){ 1, 1, 1, 0 }, 8, 8);
  check_conv ("SAME_UPPER", "2,3", "1,1", (int[]){ 0, 0, 1, 0 }, 4, 3);
  check_conv ("SAME_LOWER", "2,3", "1,1", (int[]){ 1, 0, 0, 0 }, 4, 3);
  check_conv ("SAME_UPPER", "1,1", "2,3", (int[]){ 2, 1, 2, 2 }, 8, 8);
  check_conv ("VALID", "1,2", "1,1", (int[]){ 0, 0, 0, 0 }, 6, 4);
  check_conv ("NOTSET", "1,1", "2,1", (int[]){ 0, 0, 0, 0 }, 4, 7);
}

static void
test_conv (void)
{
  File f = file_simple (9);
  g_autoptr (QfModel) m = NULL;
  Pb *n = file_node ("Conv", NULL, "x w b", "y");
  const QfNode *conv;

  file_weights (&f, "w", "6,1,3,3");
  file_weights (&f, "b", "6");
  node_int (n, "group", 3);
  node_ints (n, "kernel_shape", "3,3");
  node_ints (n, "pads", "1,2,3,4");
  node_ints (n, "strides", "2,3");
  file_add (&f, n);
  m = file_load (&f);
  conv = last_node (m);
  g_assert_cmpstr (conv->name, ==, "y"); /* made up */
  g_assert_cmpint (conv->win.groups, ==, 3);
  g_assert_cmpint (conv->win.stride[1], ==, 3);
  g_assert_cmpint (conv->win.pad[3], ==, 4);
  assert_dims (m, 6, 5, 4);
  g_assert_cmpint (qf_model_macs (m), ==, 6 * 5 * 4 * 9);
}

static void
check_pool (int ceil_mode, const char *kernel, const char *strides,
    const char *pads, int h, int w)
{
  File f = file_simple (13);
  g_autoptr (QfModel) m = NULL;
  Pb *n = file_node ("MaxPool", "pool", "x", "y");

  node_ints (n, "kernel_shape", kernel);
  node_ints (n, "strides", strides);
  node_ints (n, "pads", pads);
  node_int (n, "ceil_mode", ceil_mode);
  file_add (&f, n);
  m = file_load (&f);
  assert_dims (m, 3, h, w);
}

static void
test_pool (void)
{
  check_pool (0, "2,2", "2,2", "0,0,0,0", 4, 4);
  check_pool (0, "3,3", "2,2", "0,0,0,0", 3, 3);
  check_pool (1, "3,3", "2,2", "0,0,0,0", 4, 4);
  check_pool (1, "3,3", "2,2", "1,1,1,1", 5, 5);
  check_pool (0, "3,3", "2,2", "1,1,1,1", 4, 4);
  check_pool (1, "1,1", "4,3", "0,0,0,0", 2, 3);
  check_pool (1, "2,2", "3,3", "1,1,0,0", 3, 3);
}

/* ---- Clip, Resize ------------------------------------------------------- */

static void
check_clip (int opset, const char *inputs, float lo, float hi)
{
  static const float bounds[2] = { -0.5f, 6 };
  File f = file_simple (opset);
  g_autoptr (QfModel) m = NULL;
  Pb *n = file_node ("Clip", "clip", inputs, "y");

  file_constant (&f, "lo", 1, "", &bounds[0], 4);
  file_constant (&f, "hi", 1, "", &bounds[1], 4);
  if (opset < 11 && lo > -10)
    node_float (n, "min", lo);
  if (opset < 11 && hi < 10)
    node_float (n, "max", hi);
  file_add (&f, n);
  m = file_load (&f);
  g_assert_cmpfloat (last_node (m)->lo, ==, lo);
  g_assert_cmpfloat (last_node (m)->hi, ==, hi);
  g_assert_cmpint (last_node (m)->n_in, ==, 1);
  assert_dims (m, 3, 8, 8);
}

static void
test_clip (void)
{
  check_clip (13, "x lo hi", -0.5f, 6);
  check_clip (11, "x - hi", -INFINITY, 6);
  check_clip (12, "x lo", -0.5f, INFINITY);
  check_clip (13, "x", -INFINITY, INFINITY);
  check_clip (10, "x", -0.5f, 6);
  check_clip (10, "x", -INFINITY, 6);
}

/* @where, @rounding NULL: attribute absent. */
static File
resize_file (int opset, const char *op, const char *inputs, const float *scales,
    const gint64 *sizes, const char *where, const char *rounding)
{
  File f = file_simple (opset);
  Pb *n = file_node (op, "up", inputs, "y");

  file_constant (&f, "none", 1, "0", NULL, 0);
  if (scales)
    file_constant (&f, "scales", 1, "4", scales, 16);
  if (sizes)
    file_constant (&f, "sizes", 7, "4", sizes, 32);
  if (where)
    node_text (n, "coordinate_transformation_mode", where);
  if (rounding)
    node_text (n, "nearest_mode", rounding);
  file_add (&f, n);
  return f;
}

static void
test_resize (void)
{
  static const float s[4] = { 1, 1, 2, 3 };
  static const gint64 sizes[4] = { 1, 3, 16, 24 };
  static const struct
  {
    int opset;
    const char *op, *inputs, *where, *rounding;
  } good[] = {
    { 9, "Upsample", "x scales", NULL, NULL },
    { 10, "Resize", "x scales", NULL, NULL },
    { 11, "Resize", "x none scales", "asymmetric", "floor" },
    { 13, "Resize", "x - scales", "half_pixel", "round_prefer_floor" },
    { 13, "Resize", "x - scales", NULL, NULL },
    { 13, "Resize", "x - scales", "half_pixel", "round_prefer_ceil" },
    { 13, "Resize", "x - - sizes", "asymmetric", "floor" },
    { 11, "Resize", "x none none sizes", NULL, NULL },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (good); i++) {
    File f = resize_file (good[i].opset, good[i].op, good[i].inputs, s, sizes,
        good[i].where, good[i].rounding);
    g_autoptr (QfModel) m = file_load (&f);

    g_assert_cmpint (last_node (m)->scale_h, ==, 2);
    g_assert_cmpint (last_node (m)->scale_w, ==, 3);
    assert_dims (m, 3, 16, 24);
  }
}

static void
test_resize_refused (void)
{
  static const float whole[4] = { 1, 1, 3, 3 }, part[4] = { 1, 1, 1.5f, 2 };
  static const float less[4] = { 1, 1, 0.5f, 0.5f };
  static const float channels[4] = { 1, 2, 2, 2 }, nan[4] = { 1, 1, NAN, 2 };
  static const gint64 sizes[4] = { 1, 3, 12, 16 };
  const float *scales[] = { part, less, channels, nan };
  File f;

  for (gsize i = 0; i < G_N_ELEMENTS (scales); i++) {
    f = resize_file (
        13, "Resize", "x - scales", scales[i], NULL, "asymmetric", "floor");
    file_unplanned (&f, "node 'up' (Resize): only nearest");
  }
  f = resize_file (
      13, "Resize", "x - - sizes", NULL, sizes, "asymmetric", "floor");
  file_unplanned (&f, "'up' (Resize)");
  f = resize_file (
      13, "Resize", "x - scales", whole, NULL, "align_corners", "floor");
  file_unplanned (&f, "'up' (Resize)");
  f = resize_file (
      13, "Resize", "x - scales", whole, NULL, "asymmetric", "ceil");
  file_unplanned (&f, "'up' (Resize)");
  f = resize_file (13, "Resize", "x - scales", whole, NULL, "asymmetric",
      "round_prefer_floor");
  file_unplanned (&f, "'up' (Resize)");
  f = resize_file (13, "Resize", "x", whole, NULL, NULL, NULL);
  file_unplanned (&f, "'up' (Resize)");
  f = resize_file (13, "Resize", "x - x", whole, NULL, NULL, NULL);
  file_unplanned (&f, "'up' (Resize)");
}

/* ---- Gemm --------------------------------------------------------------- */

static File
gemm_file (int transposed, float alpha, float beta, const char *bias)
{
  File f = file_new (13);
  Pb *n = file_node ("Gemm", "fc", "x w b", "y");

  file_input (&f, "x", 1, "n,2");
  file_output (&f, "y");
  file_weights (&f, "w", transposed ? "3,2" : "2,3");
  file_weights (&f, "b", bias);
  node_int (n, "transB", transposed);
  node_float (n, "alpha", alpha);
  node_float (n, "beta", beta);
  file_add (&f, n);
  return f;
}

static void
assert_floats (const QfModel *m, int i, int n, const float *want)
{
  const QfValue *v = qf_graph_value (m->graph, last_node (m)->in[i]);

  g_assert_cmpint (qf_value_elements (v), ==, n);
  for (int k = 0; k < n; k++)
    g_assert_cmpfloat (((const float *) v->data)[k], ==, want[k]);
}

static void
test_gemm (void)
{
  File f = gemm_file (0, 1, 1, "3");
  g_autoptr (QfModel) m = file_load (&f);

  assert_dims (m, 3, 1, 1);
  assert_floats (m, 1, 6, (float[]){ 1, 4, 2, 5, 3, 6 });
  assert_floats (m, 2, 3, (float[]){ 1, 2, 3 });
  qf_model_unref (m);
  f = gemm_file (1, 0.5f, 2, "1,3");
  m = file_load (&f);
  assert_floats (m, 1, 6, (float[]){ 0.5f, 1, 1.5f, 2, 2.5f, 3 });
  assert_floats (m, 2, 3, (float[]){ 2, 4, 6 });
  qf_model_unref (m);
  f = gemm_file (1, 1, 1, "1");
  m = file_load (&f);
  assert_floats (m, 2, 3, (float[]){ 1, 1, 1 });
  qf_model_unref (m);
  f = gemm_file (1, 1, 0, "1,3");
  m = file_load (&f);
  g_assert_cmpint (last_node (m)->n_in, ==, 2);
  f = gemm_file (1, 1, 1, "3,1");
  file_unplanned (&f, "node 'fc' (Gemm)");
  f = gemm_file (1, 1, 1, "2");
  file_unplanned (&f, "node 'fc' (Gemm)");
}

/* Quantized weights [k, n] with a scale for each of n are turned as codes; two
 * nodes that share them share the result. */
static void
test_gemm_quantized (void)
{
  static const gint8 codes[6] = { 1, 2, 3, 4, 5, 6 }, zeros[3] = { 0 };
  static const float scales[3] = { 1, 2, 4 };
  File f = file_new (13);
  g_autoptr (QfModel) m = NULL;
  const QfNode *dq;
  const QfValue *v;

  file_input (&f, "x", 1, "1,2");
  file_output (&f, "y");
  file_output (&f, "z");
  file_constant (&f, "w", 3, "2,3", codes, 6);
  file_constant (&f, "s", 1, "3", scales, 12);
  file_constant (&f, "o", 3, "3", zeros, 3);
  file_add (&f,
      node_int (
          file_node ("DequantizeLinear", "dq", "w s o", "wf"), "axis", 1));
  file_add (&f, file_node ("Gemm", "a", "x wf", "y"));
  file_add (&f, file_node ("Gemm", "b", "x wf", "z"));
  m = file_load (&f);
  g_assert_cmpuint (m->graph->nodes->len, ==, 4);
  dq = qf_graph_node (m->graph, 1);
  g_assert_cmpint (dq->op, ==, QF_OP_DEQUANTIZE);
  g_assert_cmpint (dq->axis, ==, 0);
  g_assert_cmpint (last_node (m)->in[1], ==, dq->out);
  g_assert_cmpint (qf_graph_node (m->graph, 2)->in[1], ==, dq->out);
  v = qf_graph_value (m->graph, dq->in[0]);
  g_assert_cmpmem (v->data, 6, ((gint8[]){ 1, 4, 2, 5, 3, 6 }), 6);
}

/* ---- shapes ------------------------------------------------------------- */

static void
test_flatten (void)
{
  static const gint64 all[2] = { 0, -1 }, batch[2] = { 1, -1 };
  static const gint64 rest[2] = { -1, 192 }, wrong[2] = { -1, 96 };
  static const gint64 other[3] = { 1, -1, 8 };
  const gint64 *shapes[] = { all, batch, rest, wrong };
  File f;

  for (int axis = -4; axis <= 4; axis++) {
    f = file_simple (13);
    file_add (
        &f, node_int (file_node ("Flatten", "flat", "x", "y"), "axis", axis));
    if (axis == 1 || axis == 0 || axis <= -3) {
      g_autoptr (QfModel) m = file_load (&f);

      assert_dims (m, 192, 1, 1);
      g_assert_cmpint (output (m)->rank, ==, 2);
      g_assert_cmpint (last_node (m)->axis, ==, 1);
    } else {
      file_unplanned (&f, "node 'flat' (Flatten)");
    }
  }
  for (int i = 0; i < 5; i++) {
    f = file_simple (13);
    if (i < 4)
      file_constant (&f, "shape", 7, "2", shapes[i], 16);
    else
      file_constant (&f, "shape", 7, "3", other, 24);
    file_add (&f, file_node ("Reshape", "flat", "x shape", "y"));
    if (i < 3) {
      g_autoptr (QfModel) m = file_load (&f);

      assert_dims (m, 192, 1, 1);
      g_assert_cmpint (last_node (m)->op, ==, QF_OP_FLATTEN);
    } else {
      file_unplanned (&f, "node 'flat' (Reshape)");
    }
  }
}

static void
test_concat (void)
{
  for (int axis = -4; axis <= 4; axis++) {
    File f = file_simple (13);

    file_add (
        &f, node_int (file_node ("Concat", "cat", "x x", "y"), "axis", axis));
    if (axis != 4 && axis != 0 && axis != -4) {
      g_autoptr (QfModel) m = file_load (&f);
      int a = axis < 0 ? axis + 4 : axis;

      g_assert_cmpint (last_node (m)->axis, ==, a);
      assert_dims (m, a == 1 ? 6 : 3, a == 2 ? 16 : 8, a == 3 ? 16 : 8);
    } else {
      file_unplanned (&f, "node 'cat' (Concat)");
    }
  }
}

/* ---- the file as a whole ------------------------------------------------ */

static void
test_dynamic (void)
{
  File f = file_new (13);
  g_autoptr (QfModel) m = NULL;
  int c, h, w;

  file_input (&f, "x", 1, "batch,3,8,4");
  file_output (&f, "y");
  file_add (&f, file_node ("Relu", "relu", "x", "y"));
  m = file_load (&f);
  qf_model_input_shape (m, &c, &h, &w);
  g_assert_cmpint (c, ==, 3);
  g_assert_cmpint (h, ==, 8);
  g_assert_cmpint (w, ==, 4);
  f = file_new (13);
  file_input (&f, "x", 1, "batch,3,height,4");
  file_unplanned (&f, "input 'x' has no fixed size in dimension 3 ('height')");
  f = file_new (13);
  file_input (&f, "x", 1, "1,3,8,-1");
  file_unplanned (&f, "input 'x' has no fixed size in dimension 4;");
  f = file_new (13);
  file_input (&f, "x", 1, "8,3,8,8");
  file_unplanned (&f, "input 'x' holds 8 images");
}

/* Nodes in any order, initializers that are inputs as well, Identity and
 * Dropout inside and at the end. */
static void
test_order (void)
{
  File f = file_simple (9);
  g_autoptr (QfModel) m = NULL;

  file_input (&f, "w", 1, "3,3,1,1");
  file_add (&f, file_node ("Identity", "last", "d", "y"));
  file_add (&f, file_node ("Dropout", "drop", "c", "d mask"));
  file_add (&f, file_node ("Add", "add", "b a", "c"));
  file_add (&f, file_node ("Relu", "relu", "a2", "b"));
  file_add (&f, file_node ("Identity", "same", "a", "a2"));
  file_add (&f, file_node ("Conv", "conv", "x w2", "a"));
  file_add (&f, file_node ("Identity", "wsame", "w", "w2"));
  file_weights (&f, "w", "3,3,1,1");
  m = file_load (&f);
  g_assert_cmpuint (m->graph->inputs->len, ==, 1);
  g_assert_cmpuint (m->graph->nodes->len, ==, 3);
  g_assert_cmpint (qf_graph_node (m->graph, 0)->op, ==, QF_OP_CONV);
  g_assert_cmpint (qf_graph_node (m->graph, 1)->op, ==, QF_OP_RELU);
  g_assert_cmpint (qf_graph_node (m->graph, 2)->op, ==, QF_OP_ADD);
  g_assert_cmpstr (output (m)->name, ==, "y");
}

/* Typed fields instead of raw data, packed or not; Constant nodes. */
static void
test_typed_data (void)
{
  static const float zero = 0;
  File f = file_simple (13);
  g_autoptr (QfModel) m = NULL;
  Pb *t = pb_new (), *packed = pb_new ();
  const QfValue *v;

  pb_int (t, 1, 3); /* uint8 in int32_data, packed */
  pb_int (t, 1, 3);
  pb_int (t, 1, 1);
  pb_int (t, 1, 1);
  pb_int (t, 2, 2);
  for (int i = 0; i < 9; i++)
    pb_raw_varint (packed, (guint64) (i * 30));
  pb_message (t, 5, packed);
  pb_text (t, 8, "w");
  pb_message (f.graph, 5, t);
  t = pb_new (); /* a scalar in float_data, not packed */
  pb_int (t, 2, 1);
  pb_float (t, 4, 0.25f);
  file_add (
      &f, node_tensor (file_node ("Constant", NULL, "", "s"), "value", t));
  file_add (&f,
      node_tensor (file_node ("Constant", NULL, "", "z"), "value",
          file_tensor ("", 2, "", "\x80", 1)));
  file_add (&f,
      node_float (file_node ("Constant", NULL, "", "six"), "value_float", 6));
  file_constant (&f, "zero", 1, "", &zero, 4);
  file_add (&f, file_node ("DequantizeLinear", "dq", "w s z", "wf"));
  file_add (&f, file_node ("Conv", "conv", "x wf", "c"));
  file_add (&f, file_node ("Clip", "clip", "c zero six", "y"));
  m = file_load (&f);
  g_assert_cmpfloat (last_node (m)->hi, ==, 6);
  v = qf_graph_value (m->graph, qf_graph_node (m->graph, 0)->in[0]);
  g_assert_cmpint (v->dtype, ==, QF_U8);
  for (int i = 0; i < 9; i++)
    g_assert_cmpint (((const guint8 *) v->data)[i], ==, i * 30);
  v = qf_graph_value (m->graph, qf_graph_node (m->graph, 0)->in[1]);
  g_assert_cmpint (v->rank, ==, 0);
  g_assert_cmpfloat (*(const float *) v->data, ==, 0.25f);
}

static void
test_batch_norm (void)
{
  File f = file_simple (13);
  g_autoptr (QfModel) m = NULL;

  for (int i = 0; i < 4; i++)
    file_weights (&f, (const char *[]){ "g", "b", "m", "v" }[i], "3");
  file_add (&f,
      node_float (file_node ("BatchNormalization", "bn", "x g b m v", "y"),
          "epsilon", 0.25f));
  m = file_load (&f);
  g_assert_cmpfloat (last_node (m)->epsilon, ==, 0.25f);
  assert_dims (m, 3, 8, 8);
}

/* Models that others made, where they lie beside the source. */
static void
test_foreign (void)
{
  static const char *const names[] = { "conv1x1", "conv3x3", "depthwise3x3",
    "n1", "n2" };
  static const guint fused[] = { 1, 1, 1, 29, 18 };
  g_autofree char *dir = g_build_filename (
      g_getenv ("QFUSE_SOURCE") ? g_getenv ("QFUSE_SOURCE") : ".", "..",
      "shared", "models", "bench", NULL);

  if (!g_file_test (dir, G_FILE_TEST_IS_DIR)) {
    g_test_skip ("no ../shared/models/bench beside the source");
    return;
  }
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree char *path = g_strdup_printf ("%s/%s_int8.onnx", dir, names[i]);
    g_autoptr (GError) error = NULL;
    g_autoptr (QfModel) m = qf_model_load (path, &error);
    g_autoptr (QfGraph) g = NULL;

    g_assert_no_error (error);
    g = qf_graph_copy (m->graph);
    qf_graph_fuse (g, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (g->nodes->len, ==, fused[i]);
    for (guint k = 0; k < g->nodes->len; k++)
      g_assert_cmpint (
          qf_graph_value (g, qf_graph_node (g, (int) k)->out)->dtype, ==,
          QF_U8);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/files/auto-pad", test_auto_pad);
  g_test_add_func ("/model/files/conv", test_conv);
  g_test_add_func ("/model/files/pool", test_pool);
  g_test_add_func ("/model/files/clip", test_clip);
  g_test_add_func ("/model/files/resize", test_resize);
  g_test_add_func ("/model/files/resize-refused", test_resize_refused);
  g_test_add_func ("/model/files/gemm", test_gemm);
  g_test_add_func ("/model/files/gemm-quantized", test_gemm_quantized);
  g_test_add_func ("/model/files/flatten", test_flatten);
  g_test_add_func ("/model/files/concat", test_concat);
  g_test_add_func ("/model/files/dynamic", test_dynamic);
  g_test_add_func ("/model/files/order", test_order);
  g_test_add_func ("/model/files/typed-data", test_typed_data);
  g_test_add_func ("/model/files/batch-norm", test_batch_norm);
  g_test_add_func ("/model/files/foreign", test_foreign);
  return g_test_run ();
}
