/* Test of the metrics: figures of COCO's own tools, and cases worked by hand.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void
assert_close (double got, double expected)
{
  if (isnan (expected))
    g_assert_true (isnan (got));
  else
    g_assert_cmpfloat_with_epsilon (got, expected, 1e-9);
}

static void
assert_fields (char **f, const double *expected, int n)
{
  for (int i = 0; i < n; i++)
    assert_close (g_ascii_strtod (f[i], NULL), expected[i]);
}

static void
check_curve (const QfMetrics *m, char **f)
{
  double precision[QF_N_RECALLS], score[QF_N_RECALLS];

  g_assert_cmpuint (g_strv_length (f), ==, 3 + 2 * 11);
  g_assert_true (
      qf_metrics_get_curve (m, atoi (f[1]), atoi (f[2]), precision, score));
  for (int i = 0; i < 11; i++) {
    assert_close (precision[i * 10], g_ascii_strtod (f[3 + i], NULL));
    assert_close (score[i * 10], g_ascii_strtod (f[14 + i], NULL));
  }
}

/* A line of what is expected; its form is in tests/golden/metrics.py. */
static void
check_line (const QfMetrics *m, char **f)
{
  gboolean all = strcmp (f[0], "all") == 0 || strcmp (f[1], "all") == 0;
  guint n = g_strv_length (f);
  QfScores s;

  if (strcmp (f[0], "curve") == 0) {
    check_curve (m, f);
    return;
  }
  if (all)
    qf_metrics_get (m, &s);
  else
    qf_metrics_get_label (m, atoi (f[1]), &s);
  if (strcmp (f[0], "size") == 0) {
    const QfSizeScores *z = &s.size[atoi (f[2])];

    g_assert_cmpuint (n, ==, 8);
    assert_fields (
        f + 3, (double[]){ z->n_truth, z->ap50, z->ap75, z->ap, z->ar }, 5);
    return;
  }
  g_assert_cmpuint (n, ==, strcmp (f[0], "all") ? 8 : 9);
  assert_fields (f + (strcmp (f[0], "all") ? 2 : 1),
      (double[]){ s.ap50, s.ap75, s.ap, s.ar1, s.ar10, s.ar, s.best_f1,
          s.best_f1_score },
      strcmp (f[0], "all") ? 6 : 8);
}

static void
append_box (GArray *boxes, char **f, gboolean is_truth)
{
  double last = g_ascii_strtod (f[6], NULL);
  QfBox box = { .x = (float) g_ascii_strtod (f[2], NULL),
    .y = (float) g_ascii_strtod (f[3], NULL),
    .w = (float) g_ascii_strtod (f[4], NULL),
    .h = (float) g_ascii_strtod (f[5], NULL),
    .score = is_truth ? 1 : (float) last,
    .label = atoi (f[1]),
    .ignore = is_truth && last != 0 };

  g_array_append_val (boxes, box);
}

/* tests/golden/metrics.txt, made by metrics.py there. */
static void
test_golden (void)
{
  g_autofree char *path = g_build_filename (
      g_getenv ("QFUSE_SOURCE"), "tests", "golden", "metrics.txt", NULL);
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_autoptr (GArray) truth = g_array_new (FALSE, TRUE, sizeof (QfBox));
  g_autoptr (GArray) found = g_array_new (FALSE, TRUE, sizeof (QfBox));
  g_autoptr (QfMetrics) m = NULL;
  gboolean open = FALSE;
  int checked = 0;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  lines = g_strsplit (text, "\n", -1);
  for (int i = 0; lines[i]; i++) {
    g_auto (GStrv) f = g_strsplit (lines[i], " ", -1);

    if (!f[0])
      continue;
    if (strcmp (f[0], "t") == 0 || strcmp (f[0], "d") == 0) {
      append_box (*f[0] == 't' ? truth : found, f, *f[0] == 't');
      continue;
    }
    if (open)
      qf_metrics_add (m, (const QfBox *) (gpointer) found->data,
          (int) found->len, (const QfBox *) (gpointer) truth->data,
          (int) truth->len);
    g_array_set_size (truth, 0);
    g_array_set_size (found, 0);
    open = strcmp (f[0], "picture") == 0;
    if (strcmp (f[0], "case") == 0) {
      g_clear_pointer (&m, qf_metrics_free);
      m = qf_metrics_new (atoi (f[1]));
    } else if (!open) {
      check_line (m, f);
      checked++;
    }
  }
  g_assert_cmpint (checked, ==, 80);
}

/* Three right, one wrong between them, one missed: worked by hand. */
static void
test_by_hand (void)
{
  const QfBox truth[] = { { 0, 0, 10, 10, 1, 0, 0, FALSE },
    { 20, 0, 10, 10, 1, 0, 0, FALSE }, { 40, 0, 10, 10, 1, 0, 0, FALSE },
    { 60, 0, 10, 10, 1, 0, 0, FALSE } };
  const QfBox found[] = { { 0, 0, 10, 10, 0.9f, 0, 0, FALSE },
    { 90, 0, 10, 10, 0.8f, 0, 0, FALSE }, { 20, 0, 10, 10, 0.7f, 0, 0, FALSE },
    { 40, 0, 10, 10, 0.5f, 0, 0, FALSE } };
  g_autoptr (QfMetrics) m = qf_metrics_new (1);
  QfScores s;

  qf_metrics_add (m, found, 4, truth, 4);
  qf_metrics_get (m, &s);
  /* Recall 0.25 at precision 1 (26 points), 0.50 and 0.75 at 3/4 (50). */
  g_assert_cmpfloat_with_epsilon (s.ap50, (26 + 50 * 0.75) / 101, 1e-12);
  g_assert_cmpfloat_with_epsilon (s.ap, s.ap50, 1e-12);
  g_assert_cmpfloat_with_epsilon (s.best_f1, 6.0 / 8, 1e-12);
  g_assert_cmpfloat (s.best_f1_score, ==, 0.5f);
  g_assert_cmpfloat_with_epsilon (s.best_f1_precision, 3.0 / 4, 1e-12);
  g_assert_cmpfloat_with_epsilon (s.best_f1_recall, 3.0 / 4, 1e-12);
  g_assert_cmpfloat_with_epsilon (s.ar, 3.0 / 4, 1e-12);
  g_assert_cmpfloat_with_epsilon (s.ar1, 1.0 / 4, 1e-12);
  g_assert_cmpint (s.n_pictures, ==, 1);
  g_assert_cmpint (s.n_truth, ==, 4);
  g_assert_cmpint (s.n_detections, ==, 4);
  g_assert_true (isnan (s.accuracy));
}

/* Nothing there, nothing found, numbers that are none. */
static void
test_edges (void)
{
  const QfBox box = { 0, 0, 10, 10, 0.5f, 0, 0, FALSE };
  const QfBox strange[] = { { NAN, 0, 10, 10, 0.5f, 0, 0, FALSE },
    { 0, 0, 10, 10, NAN, 0, 0, FALSE }, { 0, 0, 10, 10, 0.4f, 9, 0, FALSE },
    { 0, 0, 0, 0, 0.3f, 0, 0, FALSE } };
  g_autoptr (QfMetrics) m = qf_metrics_new (2);
  g_autoptr (QfMetrics) one = qf_metrics_new (1);
  QfBox ignored = box, unknown = box;
  QfScores s;

  ignored.ignore = TRUE;
  unknown.label = -1;
  qf_metrics_get (m, &s);
  g_assert_true (isnan (s.ap50) && isnan (s.ap) && isnan (s.best_f1));
  qf_metrics_add (m, NULL, 0, NULL, 0);
  qf_metrics_add (m, &box, 1, NULL, 0);
  qf_metrics_add (m, &box, 1, &ignored, 1);
  qf_metrics_get (m, &s);
  g_assert_true (isnan (s.ap50));
  g_assert_cmpint (s.n_pictures, ==, 3);
  g_assert_cmpint (s.n_truth, ==, 0);
  qf_metrics_add (m, strange, G_N_ELEMENTS (strange), &box, 1);
  qf_metrics_get (m, &s);
  g_assert_cmpfloat (s.ap50, ==, 0);
  g_assert_cmpfloat (s.best_f1, ==, 0);
  qf_metrics_get_label (m, 1, &s);
  g_assert_true (isnan (s.ap50));

  /* With one label, a label that is not known is that one. */
  qf_metrics_add (one, &unknown, 1, &box, 1);
  qf_metrics_get (one, &s);
  g_assert_cmpfloat_with_epsilon (s.ap50, 1, 1e-12);
}

/* Several detections on one ignored box are all forgiven; a counted box goes
 * first where both would fit. */
static void
test_ignored (void)
{
  const QfBox truth[] = { { 0, 0, 10, 10, 1, 0, 0, TRUE },
    { 1, 0, 10, 10, 1, 0, 0, FALSE } };
  const QfBox found[] = { { 0, 0, 10, 10, 0.9f, 0, 0, FALSE },
    { 0, 0, 10, 10, 0.8f, 0, 0, FALSE }, { 0, 0, 10, 10, 0.7f, 0, 0, FALSE } };
  g_autoptr (QfMetrics) m = qf_metrics_new (1);
  QfScores s;

  qf_metrics_add (m, found, 3, truth, 2);
  qf_metrics_get (m, &s);
  g_assert_cmpfloat_with_epsilon (s.ap50, 1, 1e-12);
  g_assert_cmpfloat_with_epsilon (s.best_f1, 1, 1e-12);
  g_assert_cmpint (s.n_truth, ==, 1);
}

/* A small detection inside a large region to be ignored is forgiven, though
 * their intersection over union is small; one that is mostly outside is not. */
static void
test_region (void)
{
  const QfBox truth[] = { { 0, 0, 100, 100, 1, 0, 0, TRUE },
    { 200, 0, 10, 10, 1, 0, 0, FALSE } };
  const QfBox found[] = { { 40, 40, 10, 10, 0.9f, 0, 0, FALSE },
    { 96, 0, 10, 10, 0.8f, 0, 0, FALSE },
    { 200, 0, 10, 10, 0.7f, 0, 0, FALSE } };
  g_autoptr (QfMetrics) m = qf_metrics_new (1);
  QfScores s;

  qf_metrics_add (m, found, 3, truth, 2);
  qf_metrics_get (m, &s);
  g_assert_cmpfloat_with_epsilon (s.ap50, 0.5, 1e-12);
  g_assert_cmpfloat_with_epsilon (s.best_f1, 2.0 / 3, 1e-12);
}

/* The mean over labels that have truth, and none where there is none. */
static void
test_curve (void)
{
  const QfBox truth[] = { { 0, 0, 10, 10, 1, 0, 0, FALSE },
    { 0, 0, 10, 10, 1, 1, 0, FALSE }, { 50, 0, 10, 10, 1, 1, 0, FALSE } };
  const QfBox found[] = { { 0, 0, 10, 10, 0.75f, 0, 0, FALSE },
    { 0, 0, 10, 10, 0.5f, 1, 0, FALSE } };
  g_autoptr (QfMetrics) m = qf_metrics_new (3);
  double precision[QF_N_RECALLS], score[QF_N_RECALLS];

  g_assert_false (qf_metrics_get_curve (m, -1, 0, precision, score));
  qf_metrics_add (m, found, 2, truth, 3);
  g_assert_false (qf_metrics_get_curve (m, 2, 0, precision, score));
  g_assert_true (qf_metrics_get_curve (m, 1, 9, precision, score));
  assert_close (precision[50], 1);
  assert_close (score[50], 0.5);
  assert_close (precision[51], 0);
  assert_close (score[51], 0);
  g_assert_true (qf_metrics_get_curve (m, -1, 0, precision, score));
  assert_close (precision[50], 1);
  assert_close (precision[51], 0.5);
  assert_close (score[0], NAN);
  g_assert_true (qf_metrics_get_curve (m, 0, 0, precision, NULL));
  assert_close (precision[100], 1);
}

static void
test_actions (void)
{
  g_autoptr (QfMetrics) m = qf_metrics_new (3);
  QfScores s;

  qf_metrics_add_action (m, 0, 0);
  qf_metrics_add_action (m, 1, 0);
  qf_metrics_add_action (m, 2, 2);
  qf_metrics_add_action (m, -1, 2);
  qf_metrics_add_action (m, 2, 2);
  qf_metrics_add_action (m, 1, -1);
  qf_metrics_add_action (m, 1, 3);
  qf_metrics_get (m, &s);
  g_assert_cmpfloat_with_epsilon (s.accuracy, 3.0 / 5, 1e-12);
  g_assert_cmpint (s.n_pictures, ==, 5);
  qf_metrics_get_label (m, 2, &s);
  g_assert_cmpfloat_with_epsilon (s.accuracy, 2.0 / 3, 1e-12);
  qf_metrics_get_label (m, 1, &s);
  g_assert_true (isnan (s.accuracy));
  g_assert_cmpint (qf_metrics_confusion (m, 0, 1), ==, 1);
  g_assert_cmpint (qf_metrics_confusion (m, 2, 2), ==, 2);
  g_assert_cmpint (qf_metrics_confusion (m, 2, -1), ==, 1);
  g_assert_cmpint (qf_metrics_confusion (m, 1, 1), ==, 0);
  g_assert_cmpint (qf_metrics_confusion (m, 7, 1), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/metrics/golden", test_golden);
  g_test_add_func ("/metrics/by-hand", test_by_hand);
  g_test_add_func ("/metrics/edges", test_edges);
  g_test_add_func ("/metrics/ignored", test_ignored);
  g_test_add_func ("/metrics/region", test_region);
  g_test_add_func ("/metrics/curve", test_curve);
  g_test_add_func ("/metrics/actions", test_actions);
  return g_test_run ();
}
