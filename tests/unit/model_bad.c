/* Files that are no models: one clear error, never a crash, never long.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine.h"
#include "model-file.h"
#include "model-nets.h"

#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include <glib/gstdio.h>

/* Loads @bytes, fuses and copies what comes out, saves it and loads it again.
 */
static gboolean
try_bytes (const guint8 *bytes, gsize size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) b = g_bytes_new (bytes, size), again = NULL;
  g_autoptr (QfModel) m = qf_model_load_bytes (b, "bad.onnx", &error),
                      back = NULL;
  g_autoptr (QfGraph) g = NULL;
  g_autoptr (QfEngine) e = NULL;

  g_assert_true ((m == NULL) == (error != NULL));
  if (!m) {
    g_assert_true (error->domain == QF_ERROR);
    g_assert_true (g_str_has_prefix (error->message, "bad.onnx: "));
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
    return FALSE;
  }
  again = qf_model_to_bytes (m, &error);
  g_assert_no_error (error);
  back = qf_model_load_bytes (again, "again", &error);
  g_assert_no_error (error);
  if (m->dag) { /* what a flipped bit has made of it must run as well */
    e = qf_engine_new (m, 1, &error);
    if (e)
      qf_engine_run (e);
    return TRUE;
  }
  g = qf_graph_copy (m->graph);
  if (!qf_graph_fuse (g, &error))
    g_assert_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED);
  return TRUE;
}

/* A quantized net with most operators, as a file. */
static GBytes *
small_file (void)
{
  g_autoptr (GError) error = NULL;
  QfGraph *g = qf_graph_new ();
  g_autoptr (QfModel) m = NULL;
  int x = net_input (g, QF_U8, 2, 4, 4), in[3], cat[2], y;
  static const gint8 w[12] = { 1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, 127 };
  static const float s[3] = { 0.5f, 0.25f, 0.125f }, b[3] = { 1, 2, 3 };
  static const gint8 z[3] = { 0 };
  gint64 dims[4] = { 3, 2, 1, 2 };
  GBytes *bytes;
  QfNode *n;

  x = net_q (g, QF_OP_DEQUANTIZE, "dq", x, 0.5f, 128, QF_U8);
  in[0] = qf_graph_add_constant (g, "w", QF_I8, 4, dims, w);
  in[1] = qf_graph_add_constant (g, "ws", QF_F32, 1, dims, s);
  in[2] = qf_graph_add_constant (g, "wz", QF_I8, 1, dims, z);
  n = qf_graph_add_node (g, QF_OP_DEQUANTIZE, "wd", 3, in);
  in[0] = x;
  in[1] = n->out;
  in[2] = qf_graph_add_constant (g, "b", QF_F32, 1, dims, b);
  n = qf_graph_add_node (g, QF_OP_CONV, "conv", 3, in);
  n->win.pad[1] = 1;
  n = net_unary (g, QF_OP_CLIP, "clip", n->out);
  n->hi = 6;
  y = net_q (g, QF_OP_QUANTIZE, "q", n->out, 0.25f, 3, QF_U8);
  y = net_q (g, QF_OP_DEQUANTIZE, "d", y, 0.25f, 3, QF_U8);
  n = net_unary (g, QF_OP_MAX_POOL, "pool", y);
  n->win.kernel[0] = n->win.kernel[1] = 2;
  n->win.stride[0] = n->win.stride[1] = 2;
  cat[0] = n->out;
  n = net_unary (g, QF_OP_RESIZE_NEAREST, "up", n->out);
  n->scale_h = n->scale_w = 2;
  cat[0] = n->out;
  cat[1] = y;
  n = qf_graph_add_node (g, QF_OP_ADD, "add", 2, cat);
  cat[1] = n->out;
  n = qf_graph_add_node (g, QF_OP_CONCAT, "cat", 2, cat);
  n = net_unary (g, QF_OP_GLOBAL_AVG_POOL, "mean", n->out);
  n = net_unary (g, QF_OP_FLATTEN, "flat", n->out);
  n = net_unary (g, QF_OP_SIGMOID, "score", n->out);
  net_output (g, n->out);
  qf_graph_validate (g, &error);
  g_assert_no_error (error);
  m = qf_model_new (g);
  qf_model_set (m, "qfuse.labels", "person\ncar");
  bytes = qf_model_to_bytes (m, &error);
  g_assert_no_error (error);
  return bytes;
}

static void
test_truncated (void)
{
  g_autoptr (GBytes) bytes = small_file ();
  gsize size, good = 0;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  g_assert_true (try_bytes (data, size));
  for (gsize n = 0; n < size; n++)
    good += try_bytes (data, n);
  /* only where the graph is whole and metadata is cut off */
  g_assert_cmpuint (good, <=, 2);
}

static void
test_flipped (void)
{
  g_autoptr (GBytes) bytes = small_file ();
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  guint64 seed = (guint64) g_test_rand_int ();
  QfRng rng = { seed };
  int n = g_test_thorough () ? 2000000 : 20000, good = 0;

  g_test_message ("seed %" G_GUINT64_FORMAT, seed);
  for (int i = 0; i < n; i++) {
    g_autofree guint8 *copy = g_memdup2 (data, size);
    int flips = 1 + (int) qf_rng_below (&rng, 4);

    while (flips-- > 0) {
      guint32 at = qf_rng_below (&rng, (guint32) size);

      if (qf_rng_below (&rng, 3) == 0)
        copy[at] = (guint8) qf_rng_below (&rng, 256);
      else
        copy[at] ^= (guint8) (1 << qf_rng_below (&rng, 8));
    }
    good += try_bytes (copy, size);
  }
  g_test_message ("%d of %d still were models", good, n);
}

/* Pieces of the file moved to other places. */
static void
test_shuffled (void)
{
  g_autoptr (GBytes) bytes = small_file ();
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  guint64 seed = (guint64) g_test_rand_int ();
  QfRng rng = { seed };

  g_test_message ("seed %" G_GUINT64_FORMAT, seed);
  for (int i = 0; i < 5000; i++) {
    g_autofree guint8 *copy = g_memdup2 (data, size);
    gsize n = 1 + qf_rng_below (&rng, 40);
    gsize from = qf_rng_below (&rng, (guint32) (size - n));
    gsize to = qf_rng_below (&rng, (guint32) (size - n));

    memmove (copy + to, data + from, n);
    try_bytes (copy, size);
  }
}

/* ---- claims ------------------------------------------------------------- */

static void
test_claims (void)
{
  static const char *const dims[] = { "1099511627776", "-1", "1048577",
    "1048576,1048576", "65536,65536,65536,65536", "1,1,1,1,1,1,1,1,1",
    "9223372036854775807,3" };
  File f;

  for (gsize i = 0; i < G_N_ELEMENTS (dims); i++) {
    f = file_simple (13);
    file_constant (&f, "w", 1, dims[i], "abcd", 4);
    file_add (&f, file_node ("Conv", "conv", "x w", "y"));
    file_refused (&f, QF_ERROR_FORMAT, "constant 'w'");
  }
  f = file_simple (13); /* the wrong length */
  file_constant (&f, "w", 1, "3,3,1,1", "abcdefghi", 9);
  file_add (&f, file_node ("Conv", "conv", "x w", "y"));
  file_refused (&f, QF_ERROR_FORMAT, "constant 'w' does not have the length");
  f = file_simple (13);
  file_constant (&f, "w", 1, "3,3,1,1", NULL, 0);
  file_add (&f, file_node ("Conv", "conv", "x w", "y"));
  file_refused (&f, QF_ERROR_FORMAT, "constant 'w' does not have the length");
  f = file_simple (13); /* shapes that nothing could hold */
  file_add (&f,
      node_ints (node_ints (file_node ("MaxPool", "pool", "x", "y"),
                     "kernel_shape", "2000000000,2"),
          "dilations", "2000000000,1"));
  file_refused (&f, QF_ERROR_FORMAT, "node 'pool' (MaxPool)");
  f = file_new (13);
  file_input (&f, "x", 1, "1,1048576,1048576,2");
  file_refused (&f, QF_ERROR_FORMAT, "input 'x'");
  f = file_new (13);
  file_input (&f, "x", 1, "1,1000000,100,2");
  file_output (&f, "y");
  for (int i = 0; i < 12; i++) {
    g_autofree char *a = i ? g_strdup_printf ("c%d", i - 1) : g_strdup ("x");
    g_autofree char *b = i == 11 ? g_strdup ("y") : g_strdup_printf ("c%d", i);
    g_autofree char *two = g_strdup_printf ("%s %s", a, a);

    file_add (&f, node_int (file_node ("Concat", NULL, two, b), "axis", 2));
  }
  file_refused (&f, QF_ERROR_FORMAT, "node 'c0' (Concat): its result");
}

/* A message of two bytes can ask for a structure of a hundred: that has a
 * limit, and so has the length of a field. */
static void
test_swollen (void)
{
  gsize size = 24 << 20;
  g_autofree guint8 *bytes = g_malloc (size);
  GTimer *timer = g_timer_new ();
  Pb *p = pb_new ();

  pb_raw_varint (p, 7 << 3 | 2); /* graph */
  pb_raw_varint (p, size - 6);
  g_assert_cmpuint (p->len, <=, 6);
  memcpy (bytes, p->data, p->len);
  for (gsize i = p->len; i + 1 < size; i += 2) {
    bytes[i] = 1 << 3 | 2; /* an empty node */
    bytes[i + 1] = 0;
  }
  g_assert_false (try_bytes (bytes, size));
  memset (bytes, 0xff, size);
  bytes[0] = 7 << 3 | 2;
  g_assert_false (try_bytes (bytes, size));
  memset (bytes, 0, size);
  g_assert_false (try_bytes (bytes, size));
  bytes[0] = 8;
  g_assert_false (try_bytes (bytes, size));
  g_assert_cmpfloat (g_timer_elapsed (timer, NULL), <, 5); /* with sanitizers */
  g_timer_destroy (timer);
  g_byte_array_unref (p);
}

/* ---- graphs ------------------------------------------------------------- */

static void
test_graphs (void)
{
  File f = file_simple (13);

  file_add (&f, file_node ("Relu", "a", "c", "b"));
  file_add (&f, file_node ("Relu", "b", "b", "c"));
  file_add (&f, file_node ("Add", "add", "x c", "y"));
  file_refused (&f, QF_ERROR_FORMAT, "cycle through node 'b' (Relu)");
  f = file_simple (13);
  file_add (&f, file_node ("Add", "self", "x y", "y"));
  file_refused (&f, QF_ERROR_FORMAT, "cycle through node 'self' (Add)");
  f = file_simple (13);
  file_add (&f, file_node ("Relu", "a", "nowhere", "y"));
  file_refused (&f, QF_ERROR_FORMAT,
      "node 'a' (Relu): it reads 'nowhere', which nothing makes");
  f = file_simple (13);
  file_add (&f, file_node ("Relu", "a", "x", "y"));
  file_add (&f, file_node ("Sigmoid", "b", "x", "y"));
  file_refused (&f, QF_ERROR_FORMAT,
      "'y' is made twice, the second time by node 'b' (Sigmoid)");
  f = file_simple (13);
  file_add (&f, file_node ("Relu", "a", "x", "x"));
  file_refused (&f, QF_ERROR_FORMAT, "'x' is made twice");
  f = file_simple (13);
  file_weights (&f, "w", "1");
  file_weights (&f, "w", "2");
  file_refused (&f, QF_ERROR_FORMAT, "constant 'w' is there twice");
  f = file_simple (13);
  file_add (&f, file_node ("Relu", "a", "x", "z"));
  file_refused (&f, QF_ERROR_FORMAT, "output 'y' is made by no node");
  f = file_simple (13);
  file_add (&f, file_node ("Identity", "a", "x", "y"));
  file_unplanned (&f, "output 'x' is an input at once");
  f = file_new (13);
  file_refused (&f, QF_ERROR_FORMAT, "no input");
  f = file_new (13);
  file_input (&f, "x", 1, "1,1,2,2");
  file_refused (&f, QF_ERROR_FORMAT, "no output");
  f = file_new (13);
  file_input (&f, "x", 7, "1,1,2,2");
  file_unplanned (&f, "input 'x' is neither");
  f = file_simple (13);
  file_add (&f, file_node ("Relu", "\xff", "x", "y"));
  file_refused (&f, QF_ERROR_FORMAT, "not UTF-8");
}

static void
test_unknown_operator (void)
{
  File f = file_simple (13);
  Pb *n = file_node ("QLinearConcat", "other", "x x", "y");

  file_add (&f, file_node ("GridSample", "warp", "x", "y"));
  file_refused (
      &f, QF_ERROR_UNSUPPORTED, "node 'warp' is of operator GridSample");
  f = file_simple (13);
  file_add (&f, file_node ("LSTM", NULL, "x", "y"));
  file_refused (&f, QF_ERROR_UNSUPPORTED, "node 'y' is of operator LSTM");
  f = file_simple (13);
  pb_text (n, 7, "com.microsoft");
  file_add (&f, n);
  file_refused (&f, QF_ERROR_UNSUPPORTED,
      "node 'other' is of operator com.microsoft.QLinearConcat");
  f = file_simple (8);
  file_refused (&f, QF_ERROR_UNSUPPORTED, "opset 8; 9 to 28");
  f = file_simple (29);
  file_refused (&f, QF_ERROR_UNSUPPORTED, "opset 29; 9 to 28");
}

/* @op "DequantizeLinear" of int8 weights or "QuantizeLinear" of x. */
static void
refuse_scale (const char *op, const char *dims, const float *scale,
    gsize n_scales, const char *zero_dims, int zero_type, gsize n_zeros,
    int code, const char *part)
{
  static const guint8 data[64] = { 0 };
  File f = file_simple (13);
  gboolean quantize = op[0] == 'Q';

  file_constant (&f, "w", 3, "3,3,1,1", data, 9);
  file_constant (&f, "s", 1, dims, scale, n_scales * 4);
  file_constant (
      &f, "z", zero_type, zero_dims, data, n_zeros * (zero_type == 6 ? 4 : 1));
  file_add (&f,
      node_int (
          file_node (op, "q", quantize ? "x s z" : "w s z", "m"), "axis", 0));
  if (!quantize)
    file_add (&f, file_node ("Conv", "conv", "x m", "y"));
  if (code == QF_ERROR_UNSUPPORTED)
    file_unplanned (&f, part);
  else
    file_refused (&f, code, part);
}

static void
test_scales (void)
{
  static const float bad[] = { NAN, INFINITY, -INFINITY, 0, -1, -0.f };
  float scales[3] = { 1, 1, 1 };

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++) {
    scales[0] = bad[i];
    refuse_scale (
        "QuantizeLinear", "", scales, 1, "", 2, 1, QF_ERROR_FORMAT, "'s'");
    scales[0] = 1;
    scales[2] = bad[i];
    refuse_scale (
        "DequantizeLinear", "3", scales, 3, "3", 3, 3, QF_ERROR_FORMAT, "'s'");
    scales[2] = 1;
  }
  refuse_scale ("DequantizeLinear", "3", scales, 3, "2", 3, 2, QF_ERROR_FORMAT,
      "zero point 'z' does not fit");
  refuse_scale ("DequantizeLinear", "2", scales, 2, "2", 3, 2, QF_ERROR_FORMAT,
      "scale 's' has 2 elements");
  refuse_scale ("DequantizeLinear", "3", scales, 3, "3", 2, 3, QF_ERROR_FORMAT,
      "zero point's type");
  refuse_scale ("QuantizeLinear", "3", scales, 3, "3", 2, 3,
      QF_ERROR_UNSUPPORTED, "a scale for each channel");
  refuse_scale ("QuantizeLinear", "", scales, 1, "", 6, 1, QF_ERROR_UNSUPPORTED,
      "neither uint8 nor int8");
}

static void
test_nan_weights (void)
{
  float w[9] = { 1, 2, 3, NAN };
  File f = file_simple (13);

  file_constant (&f, "w", 1, "3,3,1,1", w, sizeof w);
  file_add (&f, file_node ("Conv", "conv", "x w", "y"));
  file_refused (&f, QF_ERROR_FORMAT, "constant 'w' holds NaN");
}

/* Attributes and inputs that do not fit. */
static const struct
{
  const char *op, *inputs, *ints, *values, *number;
  int n;
  int code;
  const char *part;
} bad_nodes[] = {
  { "Conv", "x w1", "strides", "0,1", NULL, 0, QF_ERROR_FORMAT, "strides" },
  { "Conv", "x w1", "strides", "1,-1", NULL, 0, QF_ERROR_FORMAT, "strides" },
  { "Conv", "x w1", "strides", "1,40000", NULL, 0, QF_ERROR_FORMAT, "strides" },
  { "Conv", "x w1", "pads", "0,0,-1,0", NULL, 0, QF_ERROR_FORMAT, "pads" },
  { "Conv", "x w1", "pads", "0,0", NULL, 0, QF_ERROR_UNSUPPORTED, "pads" },
  { "Conv", "x w1", "kernel_shape", "3,3", NULL, 0, QF_ERROR_FORMAT,
      "kernel_shape" },
  { "Conv", "x w1", "strides", "99999999999,1", NULL, 0, QF_ERROR_FORMAT,
      "out of range" },
  { "Conv", "x w9", NULL, NULL, NULL, 0, QF_ERROR_FORMAT, "larger" },
  { "Conv", "x w1", NULL, NULL, "group", 2, QF_ERROR_FORMAT, "groups" },
  { "Conv", "x w1", NULL, NULL, "group", 0, QF_ERROR_FORMAT, "groups" },
  { "Conv", "x w1", NULL, NULL, "strides", 2, QF_ERROR_FORMAT, "wrong type" },
  { "Conv", "x wide", NULL, NULL, NULL, 0, QF_ERROR_FORMAT, "'wide'" },
  { "Conv", "x x", NULL, NULL, NULL, 0, QF_ERROR_UNSUPPORTED, "computed" },
  { "Conv", "w1 w1", NULL, NULL, NULL, 0, QF_ERROR_UNSUPPORTED, "constant" },
  { "Conv", "x vec", NULL, NULL, NULL, 0, QF_ERROR_UNSUPPORTED, "dimensions" },
  { "Conv", "x w1 vec", NULL, NULL, NULL, 0, QF_ERROR_FORMAT, "bias" },
  { "Conv", "x", NULL, NULL, NULL, 0, QF_ERROR_FORMAT, "inputs" },
  { "Conv", "- w1", NULL, NULL, NULL, 0, QF_ERROR_FORMAT, "input 1" },
  { "Relu", "", NULL, NULL, NULL, 0, QF_ERROR_FORMAT, "inputs" },
  { "Add", "x w1", NULL, NULL, NULL, 0, QF_ERROR_UNSUPPORTED, "constant" },
  { "Add", "x", NULL, NULL, NULL, 0, QF_ERROR_FORMAT, "inputs" },
  { "Concat", "x x", NULL, NULL, NULL, 0, QF_ERROR_FORMAT, "axis" },
  { "Gemm", "x w1", NULL, NULL, NULL, 0, QF_ERROR_UNSUPPORTED, "dimensions" },
  { "MaxPool", "x", NULL, NULL, NULL, 0, QF_ERROR_FORMAT, "kernel_shape" },
  { "MaxPool", "x", "kernel_shape", "2", NULL, 0, QF_ERROR_UNSUPPORTED,
      "kernel_shape" },
  { "MaxPool", "x", "kernel_shape", "9,9", NULL, 0, QF_ERROR_FORMAT, "larger" },
  { "MaxPool", "x", "kernel_shape", "0,1", NULL, 0, QF_ERROR_FORMAT,
      "kernel_shape" },
  { "BatchNormalization", "x vec vec vec vec", NULL, NULL, NULL, 0,
      QF_ERROR_FORMAT, "one element a channel" },
  { "BatchNormalization", "x neg neg neg neg", NULL, NULL, NULL, 0,
      QF_ERROR_FORMAT, "not positive" },
  { "BatchNormalization", "x neg neg neg neg", NULL, NULL, "training_mode", 1,
      QF_ERROR_UNSUPPORTED, "training_mode" },
  { "Clip", "x x", NULL, NULL, NULL, 0, QF_ERROR_UNSUPPORTED, "no constant" },
  { "Clip", "x one neg1", NULL, NULL, NULL, 0, QF_ERROR_FORMAT, "wrong order" },
  { "Clip", "x nan", NULL, NULL, NULL, 0, QF_ERROR_FORMAT, "wrong order" },
  { "DequantizeLinear", "x one", NULL, NULL, NULL, 0, QF_ERROR_UNSUPPORTED,
      "type" },
  { "QuantizeLinear", "x x", NULL, NULL, NULL, 0, QF_ERROR_UNSUPPORTED,
      "scale" },
  { "QuantizeLinear", "x", NULL, NULL, NULL, 0, QF_ERROR_FORMAT, "inputs" },
  { "Flatten", "half", NULL, NULL, NULL, 0, QF_ERROR_UNSUPPORTED,
      "element type" },
};

/* Each is named with its node. */
static void
test_nodes (void)
{
  static const float neg[3] = { -1, -2, -3 }, nan = NAN, one = 1;

  for (gsize i = 0; i < G_N_ELEMENTS (bad_nodes); i++) {
    File f = file_simple (13);
    Pb *n = file_node (bad_nodes[i].op, "node", bad_nodes[i].inputs, "y");
    g_autofree char *part =
        g_strdup_printf ("node 'node' (%s): ", bad_nodes[i].op);

    file_weights (&f, "w1", "3,3,1,1");
    file_weights (&f, "w9", "3,3,9,1");
    file_weights (&f, "wide", "3,4,1,1");
    file_weights (&f, "vec", "4");
    file_constant (&f, "neg", 1, "3", neg, 12);
    file_constant (&f, "neg1", 1, "", neg, 4);
    file_constant (&f, "one", 1, "", &one, 4);
    file_constant (&f, "nan", 1, "", &nan, 4);
    file_constant (&f, "half", 10, "2", "abcd", 4);
    if (bad_nodes[i].ints)
      node_ints (n, bad_nodes[i].ints, bad_nodes[i].values);
    if (bad_nodes[i].number)
      node_int (n, bad_nodes[i].number, bad_nodes[i].n);
    file_add (&f, n);
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GBytes) bytes = file_end (&f);
      g_autoptr (QfModel) any = qf_model_load_bytes (bytes, "test.onnx", NULL);
      QfModel *m = qf_onnx_read (g_bytes_ref (bytes), &error);

      g_assert_null (m);
      g_assert_true (!any || bad_nodes[i].code == QF_ERROR_UNSUPPORTED);
      if (error->code != bad_nodes[i].code || !strstr (error->message, part) ||
          !strstr (error->message, bad_nodes[i].part))
        g_error ("case %d: wanted code %d with '%s…%s', got %d: %s", (int) i,
            bad_nodes[i].code, part, bad_nodes[i].part, error->code,
            error->message);
    }
  }
}

/* A long chain, and names that look alike, take no time to speak of. */
static void
test_large_graphs (void)
{
  GTimer *timer = g_timer_new ();

  for (int n = QF_MAX_NODES; n <= QF_MAX_NODES + 1; n++) {
    File f = file_simple (13);

    file_weights (&f, "lo", "");
    for (int i = n - 1; i >= 0; i--) { /* last node first: the deepest sort */
      g_autofree char *in = i ? g_strdup_printf ("v%d", i - 1) : g_strdup ("x");
      g_autofree char *out =
          i == n - 1 ? g_strdup ("y") : g_strdup_printf ("v%d", i);

      if (i % 3) { /* all of one name */
        g_autofree char *clip = g_strconcat (in, " lo", NULL);

        file_add (&f, file_node ("Clip", "same", clip, out));
      } else {
        file_add (&f, file_node ("Sigmoid", NULL, in, out));
      }
    }
    if (n == QF_MAX_NODES) {
      g_autoptr (GBytes) bytes = file_end (&f);
      gsize size;
      const guint8 *data = g_bytes_get_data (bytes, &size);

      g_assert_true (try_bytes (data, size));
    } else {
      file_refused (&f, QF_ERROR_FORMAT, "at most 20000");
    }
  }
  g_assert_cmpfloat (g_timer_elapsed (timer, NULL), <, 5); /* with sanitizers */
  g_timer_destroy (timer);
}

/* ---- files -------------------------------------------------------------- */

static void
refuse_path (const char *path, int code, const char *part)
{
  g_autoptr (GError) error = NULL;
  GTimer *timer = g_timer_new ();

  g_assert_null (qf_model_load (path, &error));
  g_assert_error (error, QF_ERROR, code);
  g_assert_true (g_str_has_prefix (error->message, path));
  g_assert_nonnull (strstr (error->message, part));
  g_assert_cmpfloat (g_timer_elapsed (timer, NULL), <, 1);
  g_timer_destroy (timer);
}

static void
test_paths (void)
{
  g_autofree char *dir = g_dir_make_tmp ("qfuse-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (dir, "m.onnx", NULL);
  int fd;

  refuse_path (path, QF_ERROR_FILE, "cannot be opened");
  refuse_path (dir, QF_ERROR_FILE, "not a regular file");
  refuse_path ("/dev/zero", QF_ERROR_FILE, "not a regular file");
  g_assert_true (g_file_set_contents (path, "", 0, NULL));
  refuse_path (path, QF_ERROR_FORMAT, "is empty");
  g_assert_true (g_file_set_contents (path, "GIF89a, no model", -1, NULL));
  refuse_path (path, QF_ERROR_FORMAT, "not an ONNX file");
  g_assert_true (g_file_set_contents (path, "\x08\x07 no model", -1, NULL));
  refuse_path (path, QF_ERROR_FORMAT, "is not an ONNX file, or it is damaged");
  g_assert_true (g_file_set_contents (path, "\x08\x07", 2, NULL));
  refuse_path (path, QF_ERROR_FORMAT, "no graph");
  fd = g_open (path, O_RDWR, 0600); /* holes: no room on the disk */
  g_assert_cmpint (ftruncate (fd, ((off_t) 1 << 30) + 1), ==, 0);
  refuse_path (path, QF_ERROR_FORMAT, "larger than 1 GiB");
  g_assert_cmpint (ftruncate (fd, 0), ==, 0);
  g_assert_cmpint (ftruncate (fd, (off_t) 1 << 30), ==, 0);
  refuse_path (path, QF_ERROR_FORMAT, "is not an ONNX file");
  /* a graph that would reach past the end */
  g_assert_cmpint (pwrite (fd, "\x3a\xff\xff\xff\xff\x07", 6, 0), ==, 6);
  refuse_path (path, QF_ERROR_FORMAT, "is damaged");
  g_assert_cmpint (pwrite (fd, "\x3a\xf0\xff\xff\xff\x03", 6, 0), ==, 6);
  refuse_path (path, QF_ERROR_FORMAT, "is damaged");
  close (fd);
  g_unlink (path);
  g_rmdir (dir);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/bad/truncated", test_truncated);
  g_test_add_func ("/model/bad/flipped", test_flipped);
  g_test_add_func ("/model/bad/shuffled", test_shuffled);
  g_test_add_func ("/model/bad/claims", test_claims);
  g_test_add_func ("/model/bad/swollen", test_swollen);
  g_test_add_func ("/model/bad/graphs", test_graphs);
  g_test_add_func ("/model/bad/unknown-operator", test_unknown_operator);
  g_test_add_func ("/model/bad/scales", test_scales);
  g_test_add_func ("/model/bad/nan-weights", test_nan_weights);
  g_test_add_func ("/model/bad/nodes", test_nodes);
  g_test_add_func ("/model/bad/large-graphs", test_large_graphs);
  g_test_add_func ("/model/bad/paths", test_paths);
  return g_test_run ();
}
