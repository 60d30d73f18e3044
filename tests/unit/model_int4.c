/* qfuse tests: constants of 4 bits, and Slice, Split and averages of a file.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model-file.h"

enum
{
  UINT4 = 21,
  INT4 = 22
};

/* x (uint8, 1x1x4x4) dequantized, convolved with @weights [odd: 1x1x3x3] under
 * DequantizeLinear; nothing but w is missing. */
static File
file_weights_of (int opset)
{
  static const float scale = 0.5f;
  static const guint8 zero8 = 7, zero4 = 0;
  File f = file_new (opset);

  file_input (&f, "q", 2, "1,1,4,4");
  file_output (&f, "y");
  file_constant (&f, "s", 1, "", &scale, 4);
  file_constant (&f, "z", 2, "", &zero8, 1);
  file_constant (&f, "z4", INT4, "", &zero4, 1);
  file_add (&f, file_node ("DequantizeLinear", "dq", "q s z", "x"));
  file_add (&f, file_node ("DequantizeLinear", "dqw", "w s z4", "wf"));
  file_add (&f, file_node ("Conv", "conv", "x wf", "c"));
  file_add (&f, file_node ("QuantizeLinear", "ql", "c s z", "cq"));
  file_add (&f, file_node ("DequantizeLinear", "dql", "cq s z", "y"));
  return f;
}

static const QfValue *
find (const QfGraph *g, const char *name)
{
  for (guint i = 0; i < g->values->len; i++)
    if (strcmp (qf_graph_value (g, (int) i)->name, name) == 0)
      return qf_graph_value (g, (int) i);
  return NULL;
}

/* An odd number of codes; what is written is read again, packed as before. */
static void
test_read_and_write (void)
{
  /* −8 … 0: the first of two in the low half */
  static const guint8 packed[5] = { 0x98, 0xba, 0xdc, 0xfe, 0x00 };
  File f = file_weights_of (21);
  g_autoptr (QfModel) m = NULL;
  g_autoptr (GError) error = NULL;

  file_constant (&f, "w", INT4, "1,1,3,3", packed, 5);
  m = file_load (&f);
  for (int round = 0; round < 2; round++) {
    const QfValue *w = find (m->graph, "w");
    g_autoptr (GBytes) bytes = qf_model_to_bytes (m, &error);
    g_autoptr (QfGraph) fused = qf_graph_copy (m->graph);
    const QfNode *conv;

    g_assert_no_error (error);
    g_assert_cmpint (w->bits, ==, 4);
    g_assert_cmpint (w->dtype, ==, QF_I8);
    for (int i = 0; i < 9; i++)
      g_assert_cmpint (((const gint8 *) w->data)[i], ==, i - 8);
    g_assert_true (qf_graph_fuse (fused, &error));
    conv = qf_graph_node (fused, 0);
    g_assert_cmpint (conv->op, ==, QF_OP_CONV);
    g_assert_cmpint (qf_graph_value (fused, conv->out)->dtype, ==, QF_U8);
    g_assert_cmpint (qf_graph_value (fused, conv->in[1])->bits, ==, 4);
    g_assert_nonnull (memmem (g_bytes_get_data (bytes, NULL),
        g_bytes_get_size (bytes), packed, sizeof packed));
    qf_model_unref (m);
    m = qf_model_load_bytes (bytes, "again", &error);
    g_assert_no_error (error);
  }
}

/* uint4 with zero point 8 is the same in another coat. */
static void
test_unsigned (void)
{
  static const guint8 packed[5] = { 0x10, 0x32, 0x54, 0x76, 0x08 };
  static const float scale = 0.5f;
  File f = file_new (21);
  g_autoptr (QfModel) m = NULL;
  g_autoptr (GError) error = NULL;
  const QfValue *w;

  file_input (&f, "q", 2, "1,1,4,4");
  file_output (&f, "y");
  file_constant (&f, "s", 1, "", &scale, 4);
  file_constant (&f, "z", 2, "", "\x07", 1);
  file_constant (&f, "z4", UINT4, "", "\x08", 1);
  file_constant (&f, "w", UINT4, "1,1,3,3", packed, 5);
  file_add (&f, file_node ("DequantizeLinear", "dq", "q s z", "x"));
  file_add (&f, file_node ("DequantizeLinear", "dqw", "w s z4", "wf"));
  file_add (&f, file_node ("Conv", "conv", "x wf", "c"));
  file_add (&f, file_node ("QuantizeLinear", "ql", "c s z", "y"));
  m = file_load (&f);
  g_assert_true (qf_graph_fuse (m->graph, &error));
  w = qf_graph_value (m->graph, qf_graph_node (m->graph, 0)->in[1]);
  g_assert_cmpint (w->dtype, ==, QF_I8);
  for (int i = 0; i < 9; i++)
    g_assert_cmpint (((const gint8 *) w->data)[i], ==, i == 8 ? 0 : i - 8);
}

/* Wrong sizes of raw data, numbers that no byte holds, wrong places. */
static void
test_hostile (void)
{
  static const guint8 bytes[16] = { 0 };
  File f;
  Pb *t, *numbers;

  for (gsize size = 0; size <= 9; size++) {
    if (size == 5)
      continue;
    f = file_weights_of (21);
    file_constant (&f, "w", INT4, "1,1,3,3", bytes, size);
    file_refused (&f, QF_ERROR_FORMAT,
        "constant 'w' does not have the length that its shape asks for");
  }
  for (int k = 0; k < 3; k++) {
    static const int wrong[] = { 256, -129, 1 << 20 };

    f = file_weights_of (21);
    t = pb_new ();
    numbers = pb_new ();
    for (int i = 0; i < 2; i++)
      pb_int (t, 1, 1);
    for (int i = 0; i < 2; i++)
      pb_int (t, 1, 3);
    pb_int (t, 2, INT4);
    for (int i = 0; i < 5; i++)
      pb_raw_varint (numbers, i == 4 ? (guint64) (gint64) wrong[k] : 17);
    pb_message (t, 5, numbers);
    pb_text (t, 8, "w");
    pb_message (f.graph, 5, t);
    file_refused (
        &f, QF_ERROR_FORMAT, "constant 'w' holds a number outside its type");
  }
  f = file_weights_of (21); /* int8 weights, int4 zero point */
  file_constant (&f, "w", 3, "1,1,3,3", bytes, 9);
  file_refused (&f, QF_ERROR_FORMAT,
      "node 'dqw' (DequantizeLinear): the zero point's type");
  f = file_new (21);
  file_input (&f, "x", 1, "1,1,4,4");
  file_output (&f, "y");
  file_weights (&f, "s", "");
  file_constant (&f, "z4", INT4, "", bytes, 1);
  file_add (&f, file_node ("QuantizeLinear", "ql", "x s z4", "y"));
  file_refused (&f, QF_ERROR_FORMAT,
      "node 'ql' (QuantizeLinear): it quantizes to 4 bits");
  f = file_new (21);
  file_input (&f, "x", INT4, "1,1,4,4");
  file_refused (&f, QF_ERROR_UNSUPPORTED, "input 'x'");
}

/* Slice and Split: what they take; what they cannot. */
static void
test_slices (void)
{
  static const gint64 begin = -5, end = G_MAXINT64, axis = -1, split[2] = { 2, 4 };
  static const gint64 wrong[2] = { 2, 5 };
  File f = file_new (13);
  g_autoptr (QfModel) m = NULL;

  file_input (&f, "x", 1, "1,6,4,8");
  file_output (&f, "a");
  file_output (&f, "c");
  file_constant (&f, "begin", 7, "1", &begin, 8);
  file_constant (&f, "end", 7, "1", &end, 8);
  file_constant (&f, "axis", 7, "1", &axis, 8);
  file_constant (&f, "split", 7, "2", split, 16);
  file_add (&f, file_node ("Slice", "slice", "x begin end axis", "a"));
  file_add (&f, node_int (file_node ("Split", "split", "x split", "b c"),
      "axis", 1));
  m = file_load (&f);
  g_assert_cmpint (find (m->graph, "a")->dims[3], ==, 5);
  g_assert_cmpint (find (m->graph, "b")->dims[1], ==, 2);
  g_assert_cmpint (find (m->graph, "c")->dims[1], ==, 4);
  for (guint i = 0; i < m->graph->nodes->len; i++) {
    const QfNode *n = qf_graph_node (m->graph, (int) i);

    if (strcmp (n->name, "slice") == 0)
      g_assert_cmpint (n->begin, ==, 3);
  }
  f = file_new (13);
  file_input (&f, "x", 1, "1,6,4,8");
  file_constant (&f, "split", 7, "2", wrong, 16);
  file_add (&f, node_int (file_node ("Split", "split", "x split", "b c"),
      "axis", 1));
  file_refused (&f, QF_ERROR_FORMAT, "node 'split' (Split): its parts");
  f = file_new (13);
  file_input (&f, "x", 1, "1,6,4,8");
  file_constant (&f, "begin", 7, "1", &end, 8);
  file_constant (&f, "end", 7, "1", &end, 8);
  file_constant (&f, "axis", 7, "1", &axis, 8);
  file_add (&f, file_node ("Slice", "slice", "x begin end axis", "a"));
  file_refused (&f, QF_ERROR_FORMAT, "node 'slice' (Slice): it takes");
}

/* SiLU is joined where nothing else reads the Sigmoid, and written as two. */
static void
test_silu (void)
{
  for (int read = 0; read < 2; read++) {
    File f = file_new (13);
    g_autoptr (QfModel) m = NULL;
    g_autoptr (GError) error = NULL;

    file_input (&f, "x", 1, "1,6,4,8");
    file_output (&f, "y");
    if (read)
      file_output (&f, "s");
    file_add (&f, file_node ("Sigmoid", "sigmoid", "x", "s"));
    file_add (&f, file_node ("Mul", "mul", "s x", "y"));
    m = file_load (&f);
    for (int round = 0; round < 2; round++) {
      g_autoptr (GBytes) bytes = NULL;

      qf_graph_join (m->graph);
      g_assert_cmpuint (m->graph->nodes->len, ==, 1u + (guint) read);
      g_assert_cmpint (qf_graph_node (m->graph, read)->op, ==,
          read ? QF_OP_MUL : QF_OP_SILU);
      bytes = qf_model_to_bytes (m, &error);
      g_assert_no_error (error);
      qf_model_unref (m);
      m = qf_model_load_bytes (bytes, "again", &error);
      g_assert_no_error (error);
      g_assert_cmpuint (m->graph->nodes->len, ==, 2);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/int4/read-and-write", test_read_and_write);
  g_test_add_func ("/model/int4/unsigned", test_unsigned);
  g_test_add_func ("/model/int4/hostile", test_hostile);
  g_test_add_func ("/model/slices", test_slices);
  g_test_add_func ("/model/silu", test_silu);
  return g_test_run ();
}
