/* ONNX's own node tests, through the code of `qfuse run`.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Tests of element types that we do not have are left out, too.
 *
 * Usage: node-tests FOLDER LEFT-OUT [TEST…]. FOLDER holds test_NAME/model.onnx
 * and test_data_set_N; LEFT-OUT has lines "PATTERN reason", those of tests that
 * are not run though their operators are known. All that run must pass. */
#include "arrays.h"
#include "model/onnx.pb-c.h"
#include "ops/ops.h"
#include "run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RELATIVE 1e-3 /* as ONNX's own runner has it */
#define ABSOLUTE 1e-5

typedef struct
{
  int ran, passed, unknown, left_out;
  GPtrArray *patterns, *reasons;
} Suite;

/* ---- which tests -------------------------------------------------------- */

static void
read_left_out (Suite *s, const char *path)
{
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;

  s->patterns = g_ptr_array_new_with_free_func (g_free);
  s->reasons = g_ptr_array_new_with_free_func (g_free);
  if (!g_file_get_contents (path, &text, NULL, NULL)) {
    fprintf (stderr, "%s cannot be read\n", path);
    exit (2);
  }
  lines = g_strsplit (text, "\n", -1);
  for (char **l = lines; *l; l++) {
    char *blank = strchr (*l, ' ');

    if (**l == '#' || !blank)
      continue;
    g_ptr_array_add (s->patterns, g_strndup (*l, (gsize) (blank - *l)));
    g_ptr_array_add (s->reasons, g_strdup (g_strstrip (blank)));
  }
}

static const char *
reason_of (const Suite *s, const char *name)
{
  for (guint i = 0; i < s->patterns->len; i++)
    if (g_pattern_match_simple (s->patterns->pdata[i], name))
      return s->reasons->pdata[i];
  return NULL;
}

/* Whether every operator of the model is one of ours. */
static gboolean
operators_known (const char *path)
{
  g_autofree char *data = NULL;
  Onnx__ModelProto *m;
  gboolean known = TRUE;
  int opset = 0;
  gsize size;

  if (!g_file_get_contents (path, &data, &size, NULL) ||
      !(m = onnx__model_proto__unpack (NULL, size, (guint8 *) data)))
    return FALSE;
  for (gsize i = 0; i < m->n_opset_import; i++)
    if (!m->opset_import[i]->domain || !m->opset_import[i]->domain[0])
      opset = (int) m->opset_import[i]->version;
  for (gsize i = 0; i < m->graph->n_node; i++) {
    const Onnx__NodeProto *n = m->graph->node[i];

    known &=
        opset >= 9 && qf_operator_find (n->domain, n->op_type, opset) != NULL;
  }
  onnx__model_proto__free_unpacked (m, NULL);
  return known;
}

/* Whether all tensors of the test's data sets are of types that we have. */
static gboolean
types_known (const char *root, const char *name)
{
  static const char *const stems[] = { "input", "output" };

  for (int i = 0; i < 2; i++)
    for (int k = 0; k < 16; k++) {
      g_autofree char *path = g_strdup_printf (
          "%s/%s/test_data_set_0/%s_%d.pb", root, name, stems[i], k);
      g_autofree char *data = NULL;
      Onnx__TensorProto *t;
      gboolean known;
      gsize size;

      if (!g_file_get_contents (path, &data, &size, NULL))
        break;
      t = onnx__tensor_proto__unpack (NULL, size, (guint8 *) data);
      known = t && t->data_type > 0 && t->data_type < 10 &&
          strchr ("\1\2\3\6\7\11", t->data_type);
      if (t)
        onnx__tensor_proto__free_unpacked (t, NULL);
      if (!known)
        return FALSE;
    }
  return TRUE;
}

/* ---- one test ----------------------------------------------------------- */

static double
number_at (const QfNamedArray *a, gint64 i)
{
  switch (a->dtype) {
    case QF_F32:
      return (double) ((const float *) a->data)[i];
    case QF_I64:
      return (double) ((const gint64 *) a->data)[i];
    case QF_I32:
      return ((const gint32 *) a->data)[i];
    case QF_I8:
      return ((const gint8 *) a->data)[i];
    default:
      return ((const guint8 *) a->data)[i];
  }
}

static gboolean
same (const QfNamedArray *got, const QfNamedArray *want, char **why)
{
  gint64 n = qf_named_array_elements (want);

  if (got->dtype != want->dtype || got->rank != want->rank ||
      memcmp (got->dims, want->dims, (gsize) want->rank * sizeof *want->dims) !=
          0) {
    *why = g_strdup ("another type or shape");
    return FALSE;
  }
  for (gint64 i = 0; i < n; i++) {
    double a = number_at (got, i), b = number_at (want, i);
    double room = want->dtype == QF_F32 ? ABSOLUTE + RELATIVE * fabs (b) : 0;

    if (!(fabs (a - b) <= room) && !(isnan (a) && isnan (b)) && !(a == b)) {
      *why = g_strdup_printf (
          "element %" G_GINT64_FORMAT " is %g, not %g", i, a, b);
      return FALSE;
    }
  }
  return TRUE;
}

/* Files input_0.pb … or output_0.pb … of a data set, without names: by
 * position. */
static GPtrArray *
read_set (const char *folder, const char *stem, char **why)
{
  g_autoptr (GPtrArray) a =
      g_ptr_array_new_with_free_func ((GDestroyNotify) qf_named_array_free);

  for (int i = 0;; i++) {
    g_autofree char *path = g_strdup_printf ("%s/%s_%d.pb", folder, stem, i);
    g_autoptr (GError) error = NULL;

    if (!g_file_test (path, G_FILE_TEST_EXISTS))
      return g_steal_pointer (&a);
    if (!arrays_read (path, a, &error)) {
      *why = g_strdup (error->message);
      return NULL;
    }
    ((QfNamedArray *) g_ptr_array_index (a, i))->name[0] = '\0';
  }
}

static gboolean
run_set (const char *model, const char *folder, char **why)
{
  g_autoptr (GPtrArray) in = read_set (folder, "input", why);
  g_autoptr (GPtrArray) want = in ? read_set (folder, "output", why) : NULL;
  g_autoptr (GPtrArray) got = NULL;
  g_autoptr (GError) error = NULL;

  if (!want)
    return FALSE;
  got = run_on_arrays (model, in, 1, &error);
  if (!got) {
    *why = g_strdup (error->message);
    return FALSE;
  }
  if (got->len < want->len || want->len == 0) {
    *why = g_strdup ("another number of outputs");
    return FALSE;
  }
  for (guint i = 0; i < want->len; i++)
    if (!same (got->pdata[i], want->pdata[i], why))
      return FALSE;
  return TRUE;
}

static void
run_test (Suite *s, const char *root, const char *name)
{
  g_autofree char *model = g_build_filename (root, name, "model.onnx", NULL);
  g_autofree char *why = NULL;
  const char *reason = reason_of (s, name);
  gboolean ok = TRUE;

  if (!operators_known (model)) {
    s->unknown++;
    return;
  }
  if (!reason && !types_known (root, name))
    reason = "its element type";
  if (reason) {
    s->left_out++;
    printf ("left out %s: %s\n", name, reason);
    return;
  }
  s->ran++;
  for (int i = 0; ok; i++) {
    g_autofree char *set =
        g_strdup_printf ("%s/%s/test_data_set_%d", root, name, i);

    if (i > 0 && !g_file_test (set, G_FILE_TEST_IS_DIR))
      break;
    ok = run_set (model, set, &why);
  }
  s->passed += ok;
  if (!ok)
    printf ("FAILED %s: %s\n", name, why ? why : "");
}

static int
by_name (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

int
main (int argc, char **argv)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  Suite s = { 0 };
  GDir *dir;

  if (argc < 3) {
    fprintf (stderr, "usage: %s FOLDER LEFT-OUT [TEST…]\n", argv[0]);
    return 2;
  }
  dir = g_dir_open (argv[1], 0, NULL);
  if (!dir) {
    printf ("%s is not there; install libonnx-testdata\n", argv[1]);
    return 77; /* skipped */
  }
  read_left_out (&s, argv[2]);
  for (const char *n; (n = g_dir_read_name (dir));)
    if (g_str_has_prefix (n, "test_"))
      g_ptr_array_add (names, g_strdup (n));
  g_dir_close (dir);
  g_ptr_array_sort (names, by_name);
  for (guint i = 0; i < names->len; i++)
    if (argc == 3 ||
        g_strv_contains ((const char *const *) argv + 3, names->pdata[i]))
      run_test (&s, argv[1], names->pdata[i]);
  printf ("%u tests: %d ran, %d passed; %d left out with a reason, %d have "
          "operators that are not in the list\n",
      names->len, s.ran, s.passed, s.left_out, s.unknown);
  g_ptr_array_unref (s.patterns);
  g_ptr_array_unref (s.reasons);
  return s.ran == 0 || s.passed != s.ran;
}
