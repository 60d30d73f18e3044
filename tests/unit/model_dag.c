/* Graphs of any operators: islands, bound sizes, and files that ask for too
 * much.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine.h"
#include "model-file.h"

#include <sys/resource.h>

static QfModel *
load (GBytes *bytes, GError **error)
{
  return qf_model_load_bytes (bytes, "dag.onnx", error);
}

/* x [1, 4, 3, 5] → Conv a 1x1 → Transpose of rows and columns → Conv b 1x1 → y.
 * Weights are those of file_weights(). */
static File
two_islands (void)
{
  File f = file_new (13);

  file_input (&f, "x", 1, "1,4,3,5");
  file_output (&f, "y");
  file_weights (&f, "wa", "2,4,1,1");
  file_weights (&f, "wb", "3,2,1,1");
  file_add (&f, file_node ("Conv", "a", "x wa", "ya"));
  file_add (&f,
      node_ints (
          file_node ("Transpose", "turn", "ya", "yt"), "perm", "0,1,3,2"));
  file_add (&f, file_node ("Conv", "b", "yt wb", "y"));
  return f;
}

static float
expected (const float *x, int o, int y, int col)
{
  float sum = 0;

  for (int m = 0; m < 2; m++)
    for (int i = 0; i < 4; i++) /* row col, column y of x */
      sum += (float) (o * 2 + m + 1) * (float) (m * 4 + i + 1) *
          x[(i * 3 + col) * 5 + y];
  return sum;
}

static void
test_islands (void)
{
  File f = two_islands ();
  g_autoptr (GBytes) bytes = file_end (&f);
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) m = load (bytes, &error);
  g_autoptr (QfEngine) e = NULL;
  const QfTensor *t;
  float x[60];

  g_assert_no_error (error);
  g_assert_nonnull (m->dag);
  g_assert_cmpuint (m->dag->islands->len, ==, 2);
  g_assert_cmpint (qf_model_macs (m), ==, 15 * (2 * 4 + 3 * 2));
  e = qf_engine_new (m, 2, &error);
  g_assert_no_error (error);
  for (int run = 0; run < 2; run++) {
    for (int i = 0; i < 60; i++)
      x[i] = (float) ((i * 7 + run) % 11) - 5;
    memcpy (qf_engine_input (e, 0)->data, x, sizeof x);
    qf_engine_run (e);
    t = qf_engine_output (e, 0);
    g_assert_cmpint (t->c, ==, 3);
    g_assert_cmpint (t->h, ==, 5);
    g_assert_cmpint (t->w, ==, 3);
    for (int o = 0; o < 3; o++)
      for (int y = 0; y < 5; y++)
        for (int c = 0; c < 3; c++) /* whole numbers: exact */
          g_assert_cmpfloat (
              qf_tensor_at (t, o, y, c), ==, expected (x, o, y, c));
  }
}

/* Shape, Gather, Unsqueeze, Concat and Reshape of a known input fold away: the
 * planner takes what is left. */
static void
test_folded (void)
{
  static const gint64 zero = 0, all = -1;
  File f = file_new (13);
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) m = NULL;
  gint64 dims[QF_MAX_RANK];
  QfDType dtype;
  int rank;

  file_input (&f, "x", 1, "1,4,3,5");
  file_output (&f, "y");
  file_constant (&f, "zero", 7, "1", &zero, 8);
  file_constant (&f, "all", 7, "1", &all, 8);
  file_weights (&f, "w", "2,4,1,1");
  file_add (&f, file_node ("Conv", "conv", "x w", "c"));
  file_add (&f, file_node ("Shape", "shape", "c", "s"));
  file_add (&f, file_node ("Gather", "batch", "s zero", "n"));
  file_add (
      &f, node_int (file_node ("Concat", "cat", "n all", "flat"), "axis", 0));
  file_add (&f, file_node ("Reshape", "reshape", "c flat", "y"));
  bytes = file_end (&f);
  m = load (bytes, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (qf_model_output (m, 0, &dtype, &rank, dims), ==, "y");
  g_assert_cmpint (rank, ==, 2);
  g_assert_cmpint (dims[0], ==, 1);
  g_assert_cmpint (dims[1], ==, 30);
  g_assert_true (!m->dag || m->dag->nodes->len <= 2);
}

/* ---- too much ----------------------------------------------------------- */

static long
peak (void)
{
  struct rusage u;

  getrusage (RUSAGE_SELF, &u);
  return u.ru_maxrss;
}

/* One node on x [1, 1, 4, 4] with the int64 list "k", the float list "s". */
static File
one_node (const char *op, const char *inputs, const gint64 *k, int n, float s)
{
  File f = file_simple (13);
  float scales[4] = { 1, 1, s, s };
  g_autofree char *dims = g_strdup_printf ("%d", n);
  gint64 zero = 0, one = 1;

  file_constant (&f, "k", 7, dims, k, (gsize) n * 8);
  file_constant (&f, "s", 1, "4", scales, sizeof scales);
  file_constant (&f, "big", 7, "", k, 8);
  file_constant (&f, "zero", 7, "", &zero, 8);
  file_constant (&f, "one", 7, "", &one, 8);
  file_add (&f, file_node (op, "node", inputs, "y"));
  return f;
}

static void
test_huge (void)
{
  static const gint64 wide[4] = { 1 << 20, 1 << 20, 1, 1 };
  static const gint64 long_one[4] = { G_MAXINT64, 1, 1, 1 };
  static const gint64 pads[8] = { 0, 0, G_MAXINT32, 0, 0, 0, G_MAXINT64, 0 };
  static const struct
  {
    const char *op, *inputs;
    const gint64 *k;
    int n;
    float s;
  } cases[] = {
    { "ConstantOfShape", "k", wide, 4, 1 },
    { "ConstantOfShape", "k", long_one, 4, 1 },
    { "Expand", "x k", wide, 4, 1 },
    { "Tile", "x k", wide, 4, 1 },
    { "Tile", "x k", long_one, 4, 1 },
    { "Reshape", "x k", wide, 4, 1 },
    { "Reshape", "x k", long_one, 4, 1 },
    { "Pad", "x k", pads, 8, 1 },
    { "Range", "zero big one", wide + 0, 4, 1 },
    { "Range", "zero big one", long_one, 4, 1 },
    { "Range", "zero big zero", long_one, 4, 1 },
    { "Resize", "x - s", wide, 4, 1e5f },
    { "Resize", "x - s", wide, 4, 1e30f },
    { "Resize", "x - s", wide, 4, -1 },
    { "Resize", "x - - k", wide, 4, 1 },
    { "Slice", "x k k k k", long_one, 4, 1 },
    { "Squeeze", "x k", long_one, 4, 1 },
  };
  long before = peak ();

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    File f = one_node (
        cases[i].op, cases[i].inputs, cases[i].k, cases[i].n, cases[i].s);
    g_autoptr (GBytes) bytes = file_end (&f);
    g_autoptr (GError) error = NULL;
    g_autoptr (QfModel) m = NULL;
    gint64 start = g_get_monotonic_time ();

    m = load (bytes, &error);
    if (m && strcmp (cases[i].op, "Range") == 0)
      continue; /* a million numbers are allowed */
    g_assert_null (m);
    if (!strstr (error->message, "node 'node'"))
      g_error ("%s: %s", cases[i].op, error->message);
    g_assert_cmpint (g_get_monotonic_time () - start, <, 1000000);
  }
  g_assert_cmpint (peak () - before, <, 100 << 10); /* kB */
}

/* Many constants that grow from little: folding has a limit, and what is left
 * does not fit into memory. */
static void
test_swelling (void)
{
  static const gint64 shape[2] = { 1 << 14, 1 << 14 };
  File f = file_new (13);
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) m = NULL;
  g_autoptr (QfEngine) e = NULL;
  GString *all = g_string_new ("x");
  long before = peak ();
  gint64 start = g_get_monotonic_time ();

  file_input (&f, "x", 1, "1,1");
  file_output (&f, "y");
  file_constant (&f, "shape", 7, "2", shape, sizeof shape);
  for (int i = 0; i < 40; i++) {
    g_autofree char *out = g_strdup_printf ("v%d", i);

    file_add (&f, file_node ("ConstantOfShape", NULL, "shape", out));
    g_string_append_printf (all, " %s", out);
  }
  file_add (&f, file_node ("Max", "max", all->str, "y"));
  g_string_free (all, TRUE);
  bytes = file_end (&f);
  m = load (bytes, &error);
  g_assert_no_error (error);
  e = qf_engine_new (m, 1, &error);
  g_assert_null (e);
  g_assert_nonnull (strstr (error->message, "memory"));
  g_assert_cmpint (g_get_monotonic_time () - start, <, 1000000);
  g_assert_cmpint (peak () - before, <, 100 << 10);
}

/* A file with flipped bits is refused or runs. */
static void
test_flipped (void)
{
  File f = two_islands ();
  g_autoptr (GBytes) bytes = file_end (&f);
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  for (gsize i = 0; i < size * 8; i++) {
    g_autofree guint8 *copy = g_memdup2 (data, size);
    g_autoptr (GBytes) bad = NULL;
    g_autoptr (QfModel) m = NULL;
    g_autoptr (QfEngine) e = NULL;
    g_autoptr (GError) error = NULL;

    copy[i / 8] ^= (guint8) (1 << i % 8);
    bad = g_bytes_new (copy, size);
    m = load (bad, &error);
    g_assert_true ((m == NULL) == (error != NULL));
    if (m && qf_model_macs (m) < 1000000)
      e = qf_engine_new (m, 1, NULL);
    if (e)
      qf_engine_run (e);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/dag/huge", test_huge);
  g_test_add_func ("/model/dag/swelling", test_swelling);
  g_test_add_func ("/model/dag/islands", test_islands);
  g_test_add_func ("/model/dag/folded", test_folded);
  g_test_add_func ("/model/dag/flipped", test_flipped);
  return g_test_run ();
}
