/* QfModel: metadata, labels, files.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model-nets.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

static QfModel *
make_model (void)
{
  QfGraph *g = net_float ();

  g_assert_true (qf_graph_validate (g, NULL));
  return qf_model_new (g);
}

static void
test_metadata (void)
{
  g_autoptr (QfModel) m = make_model (), back = NULL;
  g_autoptr (GBytes) bytes = NULL;
  GList *keys;

  g_assert_null (qf_model_get (m, "qfuse.head"));
  qf_model_set (m, "qfuse.threshold", " 0.25 ");
  qf_model_set (m, "qfuse.iou", "0.5x");
  qf_model_set (m, "qfuse.head", "fcos");
  qf_model_set (m, "name", "öäü\n€");
  qf_model_set (m, "empty", "");
  qf_model_set (m, "gone", "1");
  qf_model_set (m, "gone", NULL);
  qf_model_set (m, "inf", "inf");
  bytes = qf_model_to_bytes (m, NULL);
  back = qf_model_load_bytes (bytes, "m", NULL);
  g_assert_nonnull (back);
  g_assert_cmpstr (qf_model_get (back, "qfuse.head"), ==, "fcos");
  g_assert_cmpstr (qf_model_get (back, "name"), ==, "öäü\n€");
  g_assert_cmpstr (qf_model_get (back, "empty"), ==, "");
  g_assert_null (qf_model_get (back, "gone"));
  g_assert_cmpfloat (
      qf_model_get_double (back, "qfuse.threshold", 9), ==, 0.25);
  g_assert_cmpfloat (qf_model_get_double (back, "qfuse.iou", 9), ==, 9);
  g_assert_cmpfloat (qf_model_get_double (back, "empty", 9), ==, 9);
  g_assert_cmpfloat (qf_model_get_double (back, "inf", 9), ==, 9);
  g_assert_cmpfloat (qf_model_get_double (back, "none", 9), ==, 9);
  keys = qf_model_keys (back);
  g_assert_cmpuint (g_list_length (keys), ==, 6);
  g_assert_cmpstr (keys->data, ==, "empty");
  g_assert_cmpstr (g_list_last (keys)->data, ==, "qfuse.threshold");
  g_list_free (keys);
}

static void
test_labels (void)
{
  g_autoptr (QfModel) m = make_model ();

  g_assert_cmpint (qf_model_n_labels (m), ==, 0);
  g_assert_null (qf_model_label (m, 0));
  qf_model_set (m, "qfuse.labels", "person\r\n\nsmall car\n");
  g_assert_cmpint (qf_model_n_labels (m), ==, 3);
  g_assert_cmpstr (qf_model_label (m, 0), ==, "person");
  g_assert_null (qf_model_label (m, 1));
  g_assert_cmpstr (qf_model_label (m, 2), ==, "small car");
  g_assert_null (qf_model_label (m, 3));
  g_assert_null (qf_model_label (m, -1));
  g_assert_cmpint (qf_model_find_label (m, "small car"), ==, 2);
  g_assert_cmpint (qf_model_find_label (m, "car"), ==, -1);
  g_assert_cmpint (qf_model_find_label (m, ""), ==, -1);
  qf_model_set (m, "qfuse.labels", NULL);
  g_assert_cmpint (qf_model_n_labels (m), ==, 0);
}

static void
test_shape (void)
{
  g_autoptr (QfModel) m = make_model ();
  QfModel *same = qf_model_ref (m);
  int c, h, w;

  qf_model_input_shape (m, &c, &h, &w);
  g_assert_cmpint (c, ==, 3);
  g_assert_cmpint (h, ==, 16);
  g_assert_cmpint (w, ==, 16);
  g_assert_cmpint (qf_model_macs (m), ==, 22568);
  g_assert_true (same == m);
  qf_model_unref (same);
  qf_model_unref (NULL);
}

/* Files in @dir, hidden ones too. */
static int
count_files (const char *dir)
{
  g_autoptr (GDir) d = g_dir_open (dir, 0, NULL);
  int n = 0;

  while (g_dir_read_name (d))
    n++;
  return n;
}

static void
test_save (void)
{
  g_autofree char *dir = g_dir_make_tmp ("qfuse-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (dir, "m.onnx", NULL);
  g_autofree char *nowhere = g_build_filename (dir, "no", "m.onnx", NULL);
  g_autoptr (QfModel) m = make_model (), back = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_false (qf_model_save (m, nowhere, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_FILE);
  g_assert_true (g_str_has_prefix (error->message, nowhere));
  g_clear_error (&error);
  g_assert_cmpint (count_files (dir), ==, 0);
  g_assert_true (g_file_set_contents (path, "something older", -1, NULL));
  qf_model_save (m, path, &error);
  g_assert_no_error (error);
  g_assert_cmpint (count_files (dir), ==, 1); /* nothing left beside it */
  back = qf_model_load (path, &error);
  g_assert_no_error (error);
  g_assert_cmpint (qf_model_macs (back), ==, qf_model_macs (m));
  g_unlink (path);
  g_rmdir (dir);
}

/* A directory is in the way: the old state stays, nothing is half-written. */
static void
test_save_refused (void)
{
  g_autofree char *dir = g_dir_make_tmp ("qfuse-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (dir, "m.onnx", NULL);
  g_autoptr (QfModel) m = make_model ();
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir (path, 0700), ==, 0);
  g_assert_false (qf_model_save (m, path, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_FILE);
  g_assert_true (g_str_has_prefix (error->message, path));
  g_assert_cmpint (count_files (dir), ==, 1);
  g_rmdir (path);
  g_rmdir (dir);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/model/api/metadata", test_metadata);
  g_test_add_func ("/model/api/labels", test_labels);
  g_test_add_func ("/model/api/shape", test_shape);
  g_test_add_func ("/model/api/save", test_save);
  g_test_add_func ("/model/api/save-refused", test_save_refused);
  return g_test_run ();
}
