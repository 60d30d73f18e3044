/* Foreign networks with an input of ours before theirs: what they see of codes,
 * in every form of input; what they may not have; that they can be written.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <math.h>

#include "engine/engine.h"
#include "model-file.h"

#define H 4
#define W 5

static gboolean takes_codes; /* the file of the next import() */

/* qf_model_import() of a file that has the bytes of @f, which is used up. */
static QfModel *
import (File *f, const QfImport *how, GError **error)
{
  g_autoptr (GBytes) bytes = file_end (f);
  g_autofree char *path = NULL;
  QfModel *m;
  gboolean codes;
  gsize size;
  gconstpointer data = g_bytes_get_data (bytes, &size);
  int fd = g_file_open_tmp ("import-XXXXXX.onnx", &path, NULL);

  g_assert_cmpint (fd, >=, 0);
  g_close (fd, NULL);
  g_assert_true (g_file_set_contents (path, data, (gssize) size, NULL));
  m = qf_model_import (path, how, &codes, error);
  if (m)
    g_assert_cmpint (codes, ==, takes_codes);
  if (!m && error)
    g_assert_nonnull (strstr ((*error)->message, path));
  g_unlink (path);
  return m;
}

/* y = −x. With @dims "…,3" x is NHWC and y its transpose. */
static File
simple (int opset, int type, const char *dims)
{
  File f = file_new (opset);

  file_input (&f, "x", type, dims);
  file_output (&f, "y");
  if (g_str_has_suffix (dims, ",3"))
    file_add (&f,
        node_ints (file_node ("Transpose", "t", "x", "y"), "perm", "0,3,1,2"));
  else
    file_add (&f, file_node ("Neg", "qfuse_planes", "x", "y"));
  return f;
}

/* The model makes @sign·(code − mean)·scale of each code. */
static void
check_values (QfModel *m, const QfImport *how, float sign)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QfEngine) e = qf_engine_new (m, 1, &error);
  const QfTensor *in, *out;
  guint8 codes[3 * H * W];

  g_assert_no_error (error);
  g_assert_cmpint (qf_engine_n_inputs (e), ==, 1);
  in = qf_engine_input (e, 0);
  g_assert_cmpint (in->dtype, ==, QF_U8);
  g_assert_cmpint (in->c, ==, 3);
  g_assert_cmpint (in->h, ==, H);
  g_assert_cmpint (in->w, ==, W);
  for (int i = 0; i < 3 * H * W; i++)
    codes[i] = (guint8) (i * 89 % 256);
  memcpy (in->data, codes, sizeof codes);
  qf_engine_run (e);
  out = qf_engine_output (e, 0);
  for (int c = 0; c < 3; c++)
    for (int i = 0; i < H * W; i++) {
      float mean = how->n ? how->mean[how->n > 1 ? c : 0] : 0;
      float scale = how->n ? how->scale[how->n > 1 ? c : 0] : 1;
      float want = sign * ((float) codes[c * H * W + i] - mean) * scale;
      float got = qf_tensor_at (out, c, i / W, i % W);

      g_assert_cmpfloat (
          fabsf (got - want), <=, 1e-6f * fmaxf (1, fabsf (want)));
    }
}

static const QfImport hows[] = {
  { 0 },
  { .n = 1, .mean = { 128 }, .scale = { 1 / 64.0f } },
  { .n = 3,
      .mean = { 0, 0, 0 },
      .scale = { 1 / 255.0f, 1 / 255.0f, 1 / 255.0f } },
  { .n = 1, .mean = { 127.5f }, .scale = { 0.0078125f } },
  { .n = 3,
      .mean = { 103.53f, 116.28f, 123.675f },
      .scale = { 1 / 57.375f, 1 / 57.12f, 1 / 58.395f } },
  { .n = 3, .mean = { 1, 2, 3 }, .scale = { 1, 1, 1 } },
  { .n = 1, .mean = { -20 }, .scale = { -2 } },
};

static void
test_values (void)
{
  static const int opsets[] = { 9, 11, 13, 21 };

  for (gsize i = 0; i < G_N_ELEMENTS (hows); i++)
    for (gsize k = 0; k < G_N_ELEMENTS (opsets); k++) {
      g_autoptr (GError) error = NULL;
      File f = simple (opsets[k], 1, "1,3,4,5");
      g_autoptr (QfModel) m = import (&f, &hows[i], &error);
      g_autoptr (QfModel) again = NULL;
      g_autoptr (GBytes) bytes = NULL;

      g_assert_no_error (error);
      check_values (m, &hows[i], -1);
      qf_model_set (m, "qfuse.planes", "B,G,R");
      bytes = qf_model_to_bytes (m, &error);
      g_assert_no_error (error);
      again = qf_model_load_bytes (bytes, "again", &error);
      g_assert_no_error (error);
      g_assert_cmpstr (qf_model_get (again, "qfuse.planes"), ==, "B,G,R");
      check_values (again, &hows[i], -1);
    }
}

/* Sizes that are open or changed, pictures with their channels last. */
static void
test_shapes (void)
{
  static const char *const dims[] = { "n,3,h,w", "1,3,64,64", "n,h,w,3",
    "1,64,64,3", "1,c,4,5" };

  for (gsize i = 0; i < G_N_ELEMENTS (dims); i++) {
    QfImport how = hows[4];
    g_autoptr (GError) error = NULL;
    File f = simple (13, 1, dims[i]);
    g_autoptr (QfModel) m = NULL;

    how.width = W;
    how.height = H;
    m = import (&f, &how, &error);
    g_assert_no_error (error);
    check_values (m, &how, g_str_has_suffix (dims[i], ",3") ? 1 : -1);
  }
}

/* A file that takes codes keeps its nodes. */
static void
test_codes (void)
{
  static const char *const dims[] = { "1,3,4,5", "1,4,5,3" };

  for (int i = 0; i < 2; i++) {
    g_autoptr (GError) error = NULL;
    const float one = 1;
    File f = file_new (13);
    g_autoptr (QfModel) m = NULL;

    file_input (&f, "x", 2, dims[i]);
    file_output (&f, "y");
    file_constant (&f, "one", 1, "", &one, 4);
    file_add (&f, file_node ("DequantizeLinear", "d", "x one", "f"));
    if (i == 1)
      file_add (&f,
          node_ints (
              file_node ("Transpose", "t", "f", "y"), "perm", "0,3,1,2"));
    else
      file_add (&f, file_node ("Relu", "r", "f", "y"));
    takes_codes = TRUE;
    m = import (&f, &hows[0], &error);
    takes_codes = FALSE;
    g_assert_no_error (error);
    check_values (m, &hows[0], 1);
  }
}

static void
refused (File f, const QfImport *how, int code, const char *part)
{
  g_autoptr (GError) error = NULL;
  QfModel *m = import (&f, how, &error);

  g_assert_null (m);
  g_assert_error (error, QF_ERROR, code);
  g_assert_nonnull (strstr (error->message, part));
}

static void
test_errors (void)
{
  QfImport two = { .n = 2, .scale = { 1, 1 } };
  File f = simple (13, 1, "1,3,4,5");

  file_input (&f, "z", 1, "1,3,4,5");
  refused (f, &hows[0], QF_ERROR_UNSUPPORTED, "2 inputs");
  refused (file_new (13), &hows[0], QF_ERROR_UNSUPPORTED, "0 inputs");
  refused (simple (13, 1, "1,3,4"), &hows[0], QF_ERROR_UNSUPPORTED, "four");
  refused (
      simple (13, 1, "2,3,4,5"), &hows[0], QF_ERROR_UNSUPPORTED, "2 pictures");
  refused (simple (13, 10, "1,3,4,5"), &hows[0], QF_ERROR_UNSUPPORTED,
      "neither float32 nor uint8");
  refused (simple (13, 1, "1,40,4,5"), &hows[0], QF_ERROR_UNSUPPORTED,
      "is no picture");
  refused (
      simple (13, 1, "1,3,h,w"), &hows[0], QF_ERROR_ARGUMENT, "no fixed size");
  refused (simple (13, 1, "1,3,4,5"), &two, QF_ERROR_ARGUMENT, "3 channels");
  refused (
      simple (13, 2, "1,3,4,5"), &hows[1], QF_ERROR_ARGUMENT, "codes already");
  f = simple (13, 1, "1,3,4,5");
  file_add (&f, file_node ("NoSuch", "n", "y", "z"));
  refused (f, &hows[1], QF_ERROR_UNSUPPORTED, "NoSuch");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model-import/values", test_values);
  g_test_add_func ("/model-import/shapes", test_shapes);
  g_test_add_func ("/model-import/codes", test_codes);
  g_test_add_func ("/model-import/errors", test_errors);
  return g_test_run ();
}
