/* A quantized network of every operator, against ONNX Runtime's bytes.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Usage: golden-operators [TIER]. The files come from
 * tests/conformance/make_golden.py. */
#include "engine/engine.h"

#include <string.h>

static char *
load (const char *ending, gsize *size)
{
  g_autofree char *name = g_strconcat ("operators.", ending, NULL);
  g_autofree char *path = g_build_filename (
      g_getenv ("QFUSE_SOURCE"), "tests", "golden", name, NULL);
  g_autoptr (GError) error = NULL;
  char *data;

  g_file_get_contents (path, &data, size, &error);
  g_assert_no_error (error);
  return data;
}

/* Compares NHWC with ONNX's NCHW; returns the bytes compared. */
static gsize
compare (const QfTensor *t, const char *want)
{
  gsize i = 0;

  g_assert_cmpint (t->dtype, ==, QF_U8);
  for (int c = 0; c < t->c; c++)
    for (int y = 0; y < t->h; y++)
      for (int x = 0; x < t->w; x++, i++)
        g_assert_cmpint (((guint8 *) t->data)[qf_tensor_index (t, c, y, x)], ==,
            (guint8) want[i]);
  return i;
}

static void
test_operators (gconstpointer threads)
{
  gsize model_size, in_size, out_size, at = 0;
  char *bytes = load ("onnx", &model_size);
  g_autofree char *in = load ("in", &in_size), *out = load ("out", &out_size);
  g_autoptr (GBytes) file = g_bytes_new_take (bytes, model_size);
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) model = NULL;
  g_autoptr (QfEngine) e = NULL;

  model = qf_model_load_bytes (file, "operators.onnx", &error);
  g_assert_no_error (error);
  e = qf_engine_new (model, GPOINTER_TO_INT (threads), &error);
  g_assert_no_error (error);
  for (int i = 0; i < qf_engine_n_steps (e); i++) {
    QfEngineStep s;

    qf_engine_step (e, i, &s);
    g_assert_true (s.quantized); /* nothing fell back to float32 */
  }
  memcpy (qf_engine_input (e, 0)->data, in, in_size);
  qf_engine_run (e);
  g_assert_cmpint (qf_engine_n_outputs (e), ==, 4);
  for (int i = 0; i < 4; i++)
    at += compare (qf_engine_output (e, i), out + at);
  g_assert_cmpuint (at, ==, out_size);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_setenv ("QF_CPU", argc > 1 ? argv[1] : "", TRUE);
  g_test_message ("%s kernels", qf_engine_isa ());
  /* QF_CPU lowers, and where it cannot the processor has less */
  if (argc > 1 && strcmp (argv[1], qf_engine_isa ()) != 0) {
    g_assert_cmpstr (argv[1], !=, "c");
    g_print ("1..0 # SKIP this processor or build has no tier %s\n", argv[1]);
    return 0;
  }
  g_test_add_data_func (
      "/golden/operators/1-thread", GINT_TO_POINTER (1), test_operators);
  g_test_add_data_func (
      "/golden/operators/3-threads", GINT_TO_POINTER (3), test_operators);
  return g_test_run ();
}
