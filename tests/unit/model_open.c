/* Graphs whose sizes hang on the data of a run: NonZero, NonMaxSuppression,
 * what follows them, and branches. SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine/engine.h"
#include "model-file.h"

static QfEngine *
start (File *f)
{
  g_autoptr (QfModel) m = file_load (f);
  g_autoptr (GError) error = NULL;
  QfEngine *e = qf_engine_new (m, 1, &error);

  g_assert_no_error (error);
  return e;
}

static void
run (QfEngine *e, const float *x, gsize n)
{
  memcpy (qf_engine_input (e, 0)->data, x, n * sizeof *x);
  qf_engine_run (e);
}

/* y: the positive ones of x [6]; with @shape as a matrix of it. */
static File
positive (const gint64 *shape)
{
  static const float zero = 0;
  File f = file_new (13);

  file_input (&f, "x", 1, "6");
  file_output (&f, "y");
  file_constant (&f, "zero", 1, "", &zero, 4);
  if (shape)
    file_constant (&f, "shape", 7, "2", shape, 16);
  file_add (&f, file_node ("Greater", "over", "x zero", "is"));
  file_add (&f, file_node ("NonZero", "find", "is", "at"));
  file_add (&f,
      node_ints (
          file_node ("Transpose", "turn", "at", "places"), "perm", "1,0"));
  file_add (
      &f, file_node ("GatherND", "take", "x places", shape ? "taken" : "y"));
  if (shape)
    file_add (&f, file_node ("Reshape", "matrix", "taken shape", "y"));
  return f;
}

static void
test_counted (void)
{
  static const float x[3][6] = { { 1, -1, 2, 0, 3, -4 },
    { -1, -1, -1, -1, -1, -1 }, { 6, 5, 4, 3, 2, 1 } };
  static const float want[3][6] = { { 1, 2, 3 }, { 0 }, { 6, 5, 4, 3, 2, 1 } };
  static const int n[3] = { 3, 0, 6 };
  File f = positive (NULL);
  g_autoptr (QfEngine) e = start (&f);
  gint64 dims[QF_MAX_RANK];

  for (int i = 0; i < 3; i++) {
    run (e, x[i], 6);
    g_assert_null (qf_engine_trouble (e));
    g_assert_cmpint (qf_engine_output_dims (e, 0, dims), ==, 1);
    g_assert_cmpint (dims[0], ==, n[i]);
    g_assert_cmpint (qf_engine_output (e, 0)->c, ==, n[i]);
    g_assert_cmpmem (qf_engine_output (e, 0)->data, (gsize) n[i] * 4, want[i],
        (gsize) n[i] * 4);
  }
}

/* A run whose data gives what cannot go on says so; the next one may. */
static void
test_trouble (void)
{
  static const gint64 shape[2] = { 2, 3 };
  static const float four[6] = { 1, 2, 3, 4, 0, 0 },
                     six[6] = { 1, 2, 3, 4, 5, 6 };
  File f = positive (shape);
  g_autoptr (QfEngine) e = start (&f);
  gint64 dims[QF_MAX_RANK];

  run (e, four, 6);
  g_assert_nonnull (qf_engine_trouble (e));
  g_assert_nonnull (strstr (qf_engine_trouble (e), "matrix"));
  qf_engine_output_dims (e, 0, dims);
  g_assert_cmpint (dims[0], ==, 0);
  run (e, six, 6);
  g_assert_null (qf_engine_trouble (e));
  g_assert_cmpint (qf_engine_output_dims (e, 0, dims), ==, 2);
  g_assert_cmpint (dims[0], ==, 2);
  g_assert_cmpint (dims[1], ==, 3);
  g_assert_cmpmem (qf_engine_output (e, 0)->data, 24, six, 24);
}

/* TopK takes as many as there are, at most two: Shape, Min and TopK follow. */
static void
test_best (void)
{
  static const gint64 zero = 0, two = 2;
  static const float x[2][6] = { { 0, -1, 7, 0, 0, 0 }, { 1, 9, 3, 5, 2, 4 } };
  File f = positive (NULL);
  g_autoptr (QfEngine) e = NULL;
  gint64 dims[QF_MAX_RANK];

  file_output (&f, "best");
  file_constant (&f, "first", 7, "1", &zero, 8);
  file_constant (&f, "two", 7, "1", &two, 8);
  file_add (&f, file_node ("Shape", "shape", "y", "s"));
  file_add (&f, file_node ("Gather", "length", "s first", "l"));
  file_add (&f, file_node ("Min", "most", "l two", "k"));
  file_add (&f, file_node ("TopK", "top", "y k", "best where"));
  e = start (&f);
  run (e, x[0], 6);
  g_assert_null (qf_engine_trouble (e));
  qf_engine_output_dims (e, 1, dims);
  g_assert_cmpint (dims[0], ==, 1);
  g_assert_cmpfloat (*(float *) qf_engine_output (e, 1)->data, ==, 7);
  run (e, x[1], 6);
  qf_engine_output_dims (e, 1, dims);
  g_assert_cmpint (dims[0], ==, 2);
  g_assert_cmpfloat (((float *) qf_engine_output (e, 1)->data)[0], ==, 9);
  g_assert_cmpfloat (((float *) qf_engine_output (e, 1)->data)[1], ==, 5);
}

/* ---- branches ----------------------------------------------------------- */

static Pb *
node_graph (Pb *n, const char *name, const Pb *graph)
{
  Pb *a = pb_new ();

  pb_text (a, 1, name);
  pb_bytes (a, 6, graph->data, graph->len);
  pb_int (a, 20, 5);
  pb_message (n, 5, a);
  return n;
}

/* x [4] → If its sum is over 0: its positive ones, else its exponential; both
 * branches use the same names. */
static File
branches (void)
{
  static const float zero = 0;
  File f = file_new (13), a = file_new (13), b = file_new (13);
  Pb *n = file_node ("If", "if", "is", "y");

  file_input (&f, "x", 1, "4");
  file_output (&f, "y");
  file_constant (&f, "zero", 1, "", &zero, 4);
  file_add (
      &f, node_int (file_node ("ReduceSum", "sum", "x", "s"), "keepdims", 0));
  file_add (&f, file_node ("Greater", "over", "s zero", "is"));
  file_output (&a, "r");
  file_add (&a, file_node ("Greater", "g", "x zero", "t"));
  file_add (&a, file_node ("Compress", "c", "x t", "r"));
  file_output (&b, "r");
  file_add (&b, file_node ("Exp", "e", "x", "t"));
  file_add (&b, file_node ("Identity", "i", "t", "r"));
  node_graph (n, "then_branch", a.graph);
  node_graph (n, "else_branch", b.graph);
  g_byte_array_unref (a.graph);
  g_byte_array_unref (b.graph);
  file_add (&f, n);
  return f;
}

static void
test_branches (void)
{
  static const float over[4] = { 5, -1, 3, -2 }, under[4] = { 0, 0, -1, 0 };
  File f = branches ();
  g_autoptr (QfEngine) e = start (&f);
  gint64 dims[QF_MAX_RANK];
  const float *y;

  for (int round = 0; round < 2; round++) {
    run (e, over, 4);
    g_assert_null (qf_engine_trouble (e));
    qf_engine_output_dims (e, 0, dims);
    g_assert_cmpint (dims[0], ==, 2);
    y = qf_engine_output (e, 0)->data;
    g_assert_cmpfloat (y[0], ==, 5);
    g_assert_cmpfloat (y[1], ==, 3);
    run (e, under, 4);
    qf_engine_output_dims (e, 0, dims);
    g_assert_cmpint (dims[0], ==, 4);
    y = qf_engine_output (e, 0)->data;
    g_assert_cmpfloat (y[0], ==, 1);
    g_assert_cmpfloat_with_epsilon (y[2], 0.36787944f, 1e-6f);
  }
}

/* Branches in branches end in an error, not in a deep stack. */
static void
test_deep (void)
{
  Pb *graph = pb_new ();
  File f;

  pb_message (graph, 1, file_node ("Exp", "e", "x", "y"));
  pb_message (graph, 12, file_value ("y", 1, ""));
  for (int i = 0; i < 2000; i++) {
    Pb *outer = pb_new (), *n = file_node ("If", "if", "is", "y");

    node_graph (n, "then_branch", graph);
    pb_message (outer, 1, n);
    if (i < 1999)
      pb_message (outer, 12, file_value ("y", 1, ""));
    g_byte_array_unref (graph);
    graph = outer;
  }
  f = (File){ 13, graph };
  file_input (&f, "x", 1, "4");
  file_input (&f, "is", 9, "1");
  file_output (&f, "y");
  file_refused (&f, QF_ERROR_UNSUPPORTED, "deep");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/open/counted", test_counted);
  g_test_add_func ("/model/open/trouble", test_trouble);
  g_test_add_func ("/model/open/best", test_best);
  g_test_add_func ("/model/open/branches", test_branches);
  g_test_add_func ("/model/open/deep", test_deep);
  return g_test_run ();
}
