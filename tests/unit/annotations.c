/* Test of the readers of ground truth.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/annotations.h"

#include <glib/gstdio.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"

static char *folder;

static QfAnnotations *
load_bytes (const char *text, gssize size, const char *format, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "gt.txt", NULL);

  g_assert_true (g_file_set_contents (path, text, size, NULL));
  return qf_annotations_load (path, format, error);
}

static void
test_good (void)
{
  static const char text[] = "\xef\xbb\xbf# frame,id,left,top,width,height\r\n"
                             "3,7,11,21.5,30,40,1,2,0.25\r\n"
                             "\r\n"
                             " 1 , -1 , 1 , 1 , 5 , 6 \n"
                             "3,8,1,2,3,4,0,1,1\n"
                             "   # more\n"
                             "100000000,1,-5,-6,7,8,0.5,-1,-1,-1\n"
                             "3,9,1e1,2,0,4,-1,5";
  g_autoptr (GError) error = NULL;
  g_autoptr (QfAnnotations) a = load_bytes (text, -1, "auto", &error);
  const QfBox *b;
  int n;

  g_assert_no_error (error);
  b = qf_annotations_frame (a, 1, &n);
  g_assert_cmpint (n, ==, 1);
  g_assert_cmpfloat (b->x, ==, 0);
  g_assert_cmpfloat (b->h, ==, 6);
  g_assert_cmpfloat (b->score, ==, 1);
  g_assert_cmpint (b->label, ==, 0);
  g_assert_cmpint (b->id, ==, 0);
  g_assert_false (b->ignore);
  g_assert_null (qf_annotations_frame (a, 2, &n));
  g_assert_cmpint (n, ==, 0);
  b = qf_annotations_frame (a, 3, &n);
  g_assert_cmpint (n, ==, 3);
  g_assert_cmpfloat (b[0].x, ==, 10);
  g_assert_cmpfloat (b[0].y, ==, 20.5);
  g_assert_cmpfloat (b[0].w, ==, 30);
  g_assert_cmpint (b[0].label, ==, 1);
  g_assert_cmpint (b[0].id, ==, 7);
  g_assert_false (b[0].ignore);
  g_assert_true (b[1].ignore);
  g_assert_cmpfloat (b[1].score, ==, 1);
  g_assert_true (b[2].ignore); /* no width: nothing to find */
  g_assert_cmpfloat (b[2].x, ==, 9);
  g_assert_cmpint (b[2].label, ==, 4);
  b = qf_annotations_frame (a, 100000000, &n);
  g_assert_cmpint (n, ==, 1);
  g_assert_cmpfloat (b->x, ==, -6);
  g_assert_cmpfloat (b->score, ==, 0.5);
  g_assert_cmpint (b->label, ==, 0);
  g_assert_null (qf_annotations_frame (a, 0, &n));
  g_assert_null (qf_annotations_frame (a, G_MAXINT, &n));
  g_assert_cmpint (qf_annotations_last_frame (a), ==, 100000000);
  g_assert_cmpint (qf_annotations_n_labels (a), ==, 5);
}

static void
test_origin (void)
{
  g_autoptr (QfAnnotations) mot0 =
      load_bytes ("1,1,4,5,6,7\n", -1, "mot0", NULL);
  g_autoptr (QfAnnotations) mot = load_bytes ("1,1,4,5,6,7\n", -1, "mot", NULL);
  int n;

  g_assert_cmpfloat (qf_annotations_frame (mot0, 1, &n)->x, ==, 4);
  g_assert_cmpfloat (qf_annotations_frame (mot, 1, &n)->x, ==, 3);
  g_assert_cmpfloat (qf_annotations_frame (mot, 1, &n)->y, ==, 4);
}

static void
test_empty (void)
{
  static const char *const texts[] = { "", "\n", "# nothing\n", "\r\n\r\n" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (QfAnnotations) a = load_bytes (texts[i], -1, NULL, NULL);
    int n = 5;

    g_assert_nonnull (a);
    g_assert_null (qf_annotations_frame (a, 1, &n));
    g_assert_cmpint (n, ==, 0);
    g_assert_cmpint (qf_annotations_last_frame (a), ==, 0);
    g_assert_cmpint (qf_annotations_n_labels (a), ==, 0);
  }
}

/* Each is wrong in its third line. */
static void
test_wrong (void)
{
  static const char *const lines[] = { "1,1,2,3,4", "1",
    "1,1,2,3,4,5,1,1,1,1,1", "1,1,2,3,4,5,", "1,1,2,,4,5", "x,1,2,3,4,5",
    "1,1,nan,3,4,5", "1,1,2,NAN,4,5", "1,1,2,3,inf,5", "1,1,2,3,1e999,5",
    "1,1,2,3,-4,5", "1,1,2,3,4,-0.001", "0,1,2,3,4,5", "-1,1,2,3,4,5",
    "1.5,1,2,3,4,5", "100000001,1,2,3,4,5", "1,1.5,2,3,4,5", "1,-2,2,3,4,5",
    "1,1,2,3,4,5,-0.5", "1,1,2,3,4,5,1,0", "1,1,2,3,4,5,1,1.5",
    "1,1,2,3,4,5,1,1000000", "1,1,2,3,4,5,1,1,one", "1,1,2e9,3,4,5",
    "1,1,0x10,3,4,5", "1 1 2 3 4 5", "1;1;2;3;4;5", "1,1,2,3,4,5 # all",
    "frame,id,left,top,width,height" };

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++) {
    g_autofree char *text =
        g_strdup_printf ("1,1,2,3,4,5\n#\n%s\n1,1,2,3,4,5\n", lines[i]);
    g_autoptr (GError) error = NULL;

    if (load_bytes (text, -1, "mot", &error))
      g_error ("taken: %s", lines[i]);
    g_assert_error (error, QF_ERROR, QF_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, "gt.txt:3: "));
  }
  {
    g_autoptr (GError) error = NULL;

    g_assert_null (
        load_bytes ("1,1,2,3,4,5\n1,1,2\0003,4,5\n", 24, "mot", &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, "gt.txt:2: "));
  }
}

static void
test_files (void)
{
  g_autofree char *absent = g_build_filename (folder, "absent.txt", NULL);
  g_autofree char *fifo = g_build_filename (folder, "fifo", NULL);
  g_autofree char *large = g_build_filename (folder, "large.txt", NULL);
  const char *const paths[] = { absent, folder, fifo, "/dev/zero" };
  g_autoptr (GError) error = NULL;
  FILE *file;

  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++) {
    g_assert_null (qf_annotations_load (paths[i], "mot", &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_FILE);
    g_assert_nonnull (strstr (error->message, paths[i]));
    g_clear_error (&error);
    g_assert_null (qf_labels_load (paths[i], &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_FILE);
    g_clear_error (&error);
  }
  g_assert_null (qf_annotations_load (absent, "coco3d", &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
  g_clear_error (&error);

  /* A hole of 256 MiB + 1 byte costs no disk. */
  file = g_fopen (large, "wb");
  g_assert_nonnull (file);
  g_assert_cmpint (ftruncate (fileno (file), (256 << 20) + 1), ==, 0);
  fclose (file);
  g_assert_null (qf_annotations_load (large, "mot", &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_FORMAT);
  g_assert_nonnull (strstr (error->message, "256 MiB"));
  g_assert_cmpint (g_remove (large), ==, 0);
  g_assert_cmpint (g_remove (fifo), ==, 0);
}

/* What is written is read again. */
static void
test_round_trip (void)
{
  guint32 seed = g_test_rand_int_range (0, G_MAXINT32);
  QfRng rng = { seed };
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (QfAnnotations) a = NULL;
  QfBox boxes[200];

  g_test_message ("seed %u", seed);
  for (int i = 0; i < 200; i++) {
    boxes[i] = (QfBox){ .x = (float) (qf_rng_uniform (&rng) * 2000 - 5),
      .y = (float) (qf_rng_uniform (&rng) * 10 - 5),
      .w = (float) (1 + qf_rng_uniform (&rng) * 100),
      .h = (float) qf_rng_below (&rng, 100) + 1,
      .score = (float) qf_rng_uniform (&rng),
      .label = i % 7,
      .id = i / 2,
      .ignore = i % 11 == 0 };
    qf_mot_append (text, 300 - i, &boxes[i], 1);
  }
  a = load_bytes (text->str, -1, "mot", NULL);
  g_assert_nonnull (a);
  for (int i = 0; i < 200; i++) {
    int n;
    const QfBox *b = qf_annotations_frame (a, 300 - i, &n);

    g_assert_cmpint (n, ==, 1);
    g_assert_cmpfloat_with_epsilon (b->x, boxes[i].x, 2e-4);
    g_assert_cmpfloat_with_epsilon (b->y, boxes[i].y, 2e-4);
    g_assert_cmpfloat_with_epsilon (b->w, boxes[i].w, 2e-4);
    g_assert_cmpfloat_with_epsilon (b->h, boxes[i].h, 2e-4);
    if (!boxes[i].ignore)
      g_assert_cmpfloat_with_epsilon (b->score, boxes[i].score, 2e-6);
    g_assert_cmpint (b->label, ==, boxes[i].label);
    g_assert_cmpint (b->id, ==, boxes[i].id);
    g_assert_cmpint (b->ignore, ==, boxes[i].ignore);
  }
}

static void
test_mot_text (void)
{
  const QfBox boxes[] = { { .x = 9,
                              .y = 19.5f,
                              .w = 30,
                              .h = 100,
                              .score = 0.5f,
                              .label = 0,
                              .id = 3 },
    { .x = 0, .y = 0.25f, .w = 1, .h = 2, .score = 0, .label = -1 } };
  g_autoptr (GString) text = g_string_new (NULL);

  qf_mot_append (text, 12, boxes, 2);
  g_assert_cmpstr (text->str, ==,
      "12,3,10,20.5,30,100,0.5,1,1\n12,-1,1,1.25,1,2,0.000001,-1,1\n");
}

static void
test_labels (void)
{
  static const struct
  {
    const char *text, *joined;
  } rows[] = { { "person\n", "person" }, { "person", "person" },
    { "a\r\nb c\r\n\r\n\n", "a|b c" }, { "a\n\nb\n", "a||b" },
    { "\xef\xbb\xbfM\xc3\xbcll\n", "M\xc3\xbcll" } };
  static const char *const wrong[] = { "", "\n \n", "a\n\xff\n" };
  g_autofree char *path = g_build_filename (folder, "classes.txt", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_auto (GStrv) labels = NULL;
    g_autofree char *joined = NULL;
    g_autoptr (GError) error = NULL;

    g_assert_true (g_file_set_contents (path, rows[i].text, -1, NULL));
    labels = qf_labels_load (path, &error);
    g_assert_no_error (error);
    joined = g_strjoinv ("|", labels);
    g_assert_cmpstr (joined, ==, rows[i].joined);
  }
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_true (g_file_set_contents (path, wrong[i], -1, NULL));
    g_assert_null (qf_labels_load (path, &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_FORMAT);
    g_assert_nonnull (strstr (error->message, path));
  }
}

int
main (int argc, char **argv)
{
  g_autofree char *gt = NULL, *classes = NULL;
  int result;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("qfuse-annotations-XXXXXX", NULL);
  g_assert_nonnull (folder);
  g_test_add_func ("/annotations/good", test_good);
  g_test_add_func ("/annotations/origin", test_origin);
  g_test_add_func ("/annotations/empty", test_empty);
  g_test_add_func ("/annotations/wrong", test_wrong);
  g_test_add_func ("/annotations/files", test_files);
  g_test_add_func ("/annotations/round-trip", test_round_trip);
  g_test_add_func ("/annotations/mot-text", test_mot_text);
  g_test_add_func ("/annotations/labels", test_labels);
  result = g_test_run ();
  gt = g_build_filename (folder, "gt.txt", NULL);
  classes = g_build_filename (folder, "classes.txt", NULL);
  g_remove (gt);
  g_remove (classes);
  g_rmdir (folder);
  g_free (folder);
  return result;
}
