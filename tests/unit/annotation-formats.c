/* Test of the readers of ground truth in other programs' formats.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <string.h>

#include "base/rng.h"
#include "vision/annotations.h"

static char *folder;

/* Writes @text as @name, in a folder of its own where the name has a slash. */
static char *
put (const char *name, const char *text)
{
  char *path = g_build_filename (folder, name, NULL);
  g_autofree char *parent = g_path_get_dirname (path);

  g_assert_cmpint (g_mkdir_with_parents (parent, 0700), ==, 0);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  return path;
}

static void
remove_tree (const char *path)
{
  GDir *dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *inner = g_build_filename (path, name, NULL);

    remove_tree (inner);
  }
  if (dir)
    g_dir_close (dir);
  g_remove (path);
}

static void
check_box (const QfAnnotations *a, int frame, int i, int n, const QfBox *want)
{
  int found;
  const QfBox *b = qf_annotations_frame (a, frame, &found);

  g_assert_cmpint (found, ==, n);
  g_assert_cmpfloat_with_epsilon (b[i].x, want->x, 1e-3);
  g_assert_cmpfloat_with_epsilon (b[i].y, want->y, 1e-3);
  g_assert_cmpfloat_with_epsilon (b[i].w, want->w, 1e-3);
  g_assert_cmpfloat_with_epsilon (b[i].h, want->h, 1e-3);
  g_assert_cmpfloat_with_epsilon (b[i].score, want->score, 1e-5);
  g_assert_cmpint (b[i].label, ==, want->label);
  g_assert_cmpint (b[i].id, ==, want->id);
  g_assert_cmpint (b[i].ignore, ==, want->ignore);
}

static QfAnnotations *
load (const char *path, const char *format)
{
  g_autoptr (GError) error = NULL;
  QfAnnotations *a = qf_annotations_load (path, format, &error);

  g_assert_no_error (error);
  g_assert_nonnull (a);
  return a;
}

/* Loads in vain; the error names @place and is a sentence about @what. */
static void
check_wrong (
    const char *path, const char *format, const char *place, const char *what)
{
  g_autoptr (GError) error = NULL;

  if (qf_annotations_load (path, format, &error))
    g_error ("%s was taken (%s)", path, what);
  g_assert_error (error, QF_ERROR, QF_ERROR_FORMAT);
  if (!strstr (error->message, place) || !strstr (error->message, what))
    g_error ("\"%s\" does not name %s and %s", error->message, place, what);
}

static const char coco[] =
    "{\"info\": {}, \"images\": [\n"
    " {\"id\": 12, \"file_name\": \"d/frame_000000.png\", \"width\": 64},\n"
    " {\"id\": 7, \"file_name\": \"d/frame_000002.png\"}],\n"
    "\"categories\": [{\"id\": 9, \"name\": \"car\"},"
    " {\"id\": 3, \"name\": \"person\"}],\n"
    "\"annotations\": [\n"
    " {\"id\": 1, \"image_id\": 7, \"category_id\": 9,"
    " \"bbox\": [1.5, 2, 30, 40], \"iscrowd\": 0, \"track_id\": 5},\n"
    " {\"id\": 2, \"image_id\": 7, \"category_id\": 3, \"bbox\": [0,0,2,2],"
    " \"iscrowd\": 1},\n"
    " {\"id\": 3, \"image_id\": 12, \"category_id\": 3, \"bbox\": [5,6,0,8]}]}";

static void
test_coco (void)
{
  g_autofree char *path = put ("coco.json", coco);
  const char *const names[] = { "lorry", "car", "person", NULL };
  const char *const few[] = { "car", NULL };
  const char *formats[] = { "auto", "coco" };
  g_autoptr (GError) error = NULL;

  for (int f = 0; f < 2; f++) {
    g_autoptr (QfAnnotations) a = load (path, formats[f]);

    /* frame_000000 is frame 1 */
    g_assert_cmpint (
        qf_annotations_picture (a, "/else/where/frame_000000.jpg"), ==, 1);
    g_assert_cmpint (qf_annotations_picture (a, "frame_000002"), ==, 3);
    g_assert_cmpint (qf_annotations_picture (a, "frame_2.png"), ==, 0);
    check_box (a, 3, 0, 2, &(QfBox){ 1.5f, 2, 30, 40, 1, 1, 5, FALSE });
    check_box (a, 3, 1, 2, &(QfBox){ 0, 0, 2, 2, 1, 0, 0, TRUE });
    check_box (a, 1, 0, 1, &(QfBox){ 5, 6, 0, 8, 1, 0, 0, TRUE });
    g_assert_cmpint (qf_annotations_n_labels (a), ==, 2);
    g_assert_cmpstr (qf_annotations_labels (a)[0], ==, "person");
    g_assert_cmpstr (qf_annotations_labels (a)[1], ==, "car");
    g_assert_false (qf_annotations_relabel (a, few, &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
    g_assert_nonnull (strstr (error->message, "\"person\""));
    g_clear_error (&error);
    check_box (a, 3, 0, 2, &(QfBox){ 1.5f, 2, 30, 40, 1, 1, 5, FALSE });
    g_assert_true (qf_annotations_relabel (a, names, &error));
    check_box (a, 3, 1, 2, &(QfBox){ 0, 0, 2, 2, 1, 2, 0, TRUE });
    g_assert_cmpint (qf_annotations_n_labels (a), ==, 3);
    qf_annotations_set_size (a, 10, 10); /* pixels stay */
    check_box (a, 1, 0, 1, &(QfBox){ 5, 6, 0, 8, 1, 2, 0, TRUE });
  }
}

/* @text with the first @from in it replaced by @to. */
static char *
replaced (const char *text, const char *from, const char *to)
{
  const char *at = strstr (text, from);

  g_assert_nonnull (at);
  return g_strdup_printf (
      "%.*s%s%s", (int) (at - text), text, to, at + strlen (from));
}

static void
test_coco_wrong (void)
{
  static const char *const cases[][4] = {
    { "\"images\"", "\"pictures\"", "coco.json", "\"images\" is missing" },
    { "\"image_id\": 12", "\"image_id\": 1", "annotations[2]", "image_id" },
    { "\"image_id\": 12", "\"image_id\": \"12\"", "annotations[2]",
        "image_id" },
    { "\"category_id\": 9", "\"category_id\": 8", "annotations[0]",
        "category_id" },
    { "[1.5, 2, 30, 40]", "[1.5, 2, 30]", "annotations[0]", "bbox" },
    { "[1.5, 2, 30, 40]", "[1.5, 2, -30, 40]", "annotations[0]", "negative" },
    { "[1.5, 2, 30, 40]", "[1e30, 2, 30, 40]", "annotations[0]", "picture" },
    { "[1.5, 2, 30, 40]", "{}", "annotations[0]", "bbox" },
    { "\"id\": 7", "\"id\": 12", "images[1]", "another" },
    { "\"file_name\": \"d/frame_000002.png\"", "\"x\": 1", "images[1]",
        "file_name" },
    { "\"name\": \"car\"", "\"name\": 4", "categories[0]", "name" },
    { "[0,0,2,2],", "[0,0,2,2] \"", "coco.json:7", "" },
    { "\"annotations\": [", "\"annotations\": 3, \"x\": [", "coco.json",
        "is no list" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *text = replaced (coco, cases[i][0], cases[i][1]);
    g_autofree char *path = put ("coco.json", text);

    check_wrong (path, "coco", cases[i][2], cases[i][3]);
  }
}

static void
test_jsonl (void)
{
  static const char text[] =
      "{\"frame\":4,\"pts\":1,\"width\":64,\"height\":48,\"detections\":["
      "{\"label\":\"person\",\"label_id\":3,\"score\":0.5,"
      "\"box\":[1,2,3,4.5],\"id\":6}]}\r\n\n"
      "{\"frame\":2,\"detections\":[{\"label_id\":1,\"score\":1,"
      "\"box\":[0,0,1,1]}]}\n{\"frame\":9}\n"
      "{\"frame\":11,\"action\":{\"label\":\"a \\\"b\\\"\","
      "\"score\":0.25}}\n"
      "{\"frame\":4,\"detections\":[],\"action\":{\"label\":\"fall\"}}\n"
      "{\"frame\":11,\"action\":{\"label\":\"a \\\"b\\\"\"}}\n";
  static const char *const wrong[] = { "{\"frame\":0}", "{}", "[]",
    "{\"frame\":1.5}", "{\"frame\":1,\"detections\":{}}",
    "{\"frame\":1,\"detections\":[4]}",
    "{\"frame\":1,\"detections\":[{\"box\":[1,2,3]}]}",
    "{\"frame\":1,\"detections\":[{\"box\":[1,2,3,4],\"score\":2}]}", "{",
    "{\"frame\":1} x", "{\"frame\":1,\"action\":\"fall\"}",
    "{\"frame\":1,\"action\":null}", "{\"frame\":1,\"action\":{\"score\":0.5}}",
    "{\"frame\":1,\"action\":{\"label\":7}}",
    "{\"frame\":1,\"action\":{\"label\":\"\"}}",
    "{\"frame\":1,\"action\":{\"label\":\"a\",\"score\":1.5}}",
    "{\"frame\":1,\"action\":{\"label\":\"a\",\"score\":\"1\"}}",
    "{\"frame\":8,\"action\":{\"label\":\"other\"}}" };
  g_autofree char *path = put ("found.jsonl", text);
  g_autoptr (QfAnnotations) a = load (path, NULL);

  check_box (a, 4, 0, 1, &(QfBox){ 1, 2, 3, 4.5f, 0.5f, 0, 6, FALSE });
  check_box (a, 2, 0, 1, &(QfBox){ 0, 0, 1, 1, 1, 1, 0, FALSE });
  g_assert_cmpstr (qf_annotations_labels (a)[0], ==, "person");
  g_assert_cmpint (qf_annotations_n_labels (a), ==, 2); /* of boxes alone */
  g_assert_null (qf_annotations_action (a, 2));
  g_assert_null (qf_annotations_action (a, 9));
  g_assert_cmpstr (qf_annotations_action (a, 4), ==, "fall");
  g_assert_cmpstr (qf_annotations_action (a, 11), ==, "a \"b\"");
  g_assert_cmpint (qf_annotations_last_frame (a), ==, 11);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autofree char *all =
        g_strdup_printf ("{\"frame\":8,\"action\":{\"label\":\"walk\"}}\n\n%s\n"
                         "{\"frame\":2}\n",
            wrong[i]);
    g_autofree char *other = put ("wrong.jsonl", all);

    check_wrong (other, "jsonl", "wrong.jsonl:3: ", "");
  }
}

static const char cvat[] =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<annotations>\n"
    "<version>1.1</version><meta><task><labels><label><name>x</name></label>"
    "</labels></task></meta>\n"
    "<track id=\"0\" label=\"car\" source=\"manual\">\n"
    "<box frame=\"0\" outside=\"0\" occluded=\"0\" keyframe=\"1\" xtl=\"10.0\""
    " ytl=\"20.0\" xbr=\"30\" ybr=\"50\"></box>\n"
    "<box frame=\"2\" outside=\"0\" xtl=\"14.0\" ytl=\"20.0\" xbr=\"36\""
    " ybr=\"50\"/>\n"
    "<box frame=\"3\" outside=\"1\" xtl=\"14\" ytl=\"20\" xbr=\"36\""
    " ybr=\"50\"/>\n"
    "<box frame=\"9\" outside=\"0\" xtl=\"1\" ytl=\"2\" xbr=\"3\" ybr=\"4\"/>\n"
    "</track>\n<track id=\"4\" label=\"man &amp; dog\"><box frame=\"2\""
    " xtl=\"1\" ytl=\"2\" xbr=\"3\" ybr=\"4\"><attribute name=\"a\">b"
    "</attribute></box></track>\n</annotations>\n";

static void
test_cvat (void)
{
  g_autofree char *path = put ("cvat.xml", cvat);
  g_autofree char *images = put ("images.xml",
      "<annotations><image id=\"3\" name=\"a.png\" width=\"9\" height=\"9\">"
      "<box label=\"cat\" occluded=\"0\" xtl=\"1\" ytl=\"2\" xbr=\"4\""
      " ybr=\"6\"/><polygon label=\"cat\" points=\"1,2\"/></image>"
      "</annotations>");
  g_autoptr (QfAnnotations) a = load (path, "auto");
  g_autoptr (QfAnnotations) b = load (images, "auto");
  int n;

  check_box (a, 1, 0, 1, &(QfBox){ 10, 20, 20, 30, 1, 0, 1, FALSE });
  /* between two keyframes */
  check_box (a, 2, 0, 1, &(QfBox){ 12, 20, 21, 30, 1, 0, 1, FALSE });
  check_box (a, 3, 0, 2, &(QfBox){ 14, 20, 22, 30, 1, 0, 1, FALSE });
  check_box (a, 3, 1, 2, &(QfBox){ 1, 2, 2, 2, 1, 1, 5, FALSE });
  g_assert_null (qf_annotations_frame (a, 4, &n)); /* outside */
  g_assert_null (qf_annotations_frame (a, 7, &n));
  check_box (a, 10, 0, 1, &(QfBox){ 1, 2, 2, 2, 1, 0, 1, FALSE });
  g_assert_cmpstr (qf_annotations_labels (a)[1], ==, "man & dog");
  check_box (b, 4, 0, 1, &(QfBox){ 1, 2, 3, 4, 1, 0, 0, FALSE });
}

static void
test_cvat_wrong (void)
{
  static const char *const cases[][4] = {
    { "xtl=\"14.0\"", "", "cvat.xml:6: ", "xtl" },
    { "xtl=\"14.0\"", "xtl=\"nan\"", "cvat.xml:6: ", "xtl" },
    { "xbr=\"36\"", "xbr=\"3\"", "cvat.xml:6: ", "negative" },
    { "frame=\"2\"", "frame=\"0\"", "cvat.xml:6: ", "rise" },
    { "frame=\"2\"", "frame=\"-1\"", "cvat.xml:6: ", "from 0" },
    { "frame=\"2\"", "frame=\"9999999\"", "cvat.xml:6: ", "apart" },
    { "label=\"car\"", "", "cvat.xml:4: ", "label" },
    { "</track>", "</trick>", "cvat.xml:9: ", "" },
    { "<annotations>", "<html>", "cvat.xml:2: ", "root" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *text = replaced (cvat, cases[i][0], cases[i][1]);
    g_autofree char *path = put ("cvat.xml", text);

    check_wrong (path, "cvat", cases[i][2], cases[i][3]);
  }
}

static void
test_voc (void)
{
  static const char text[] =
      "<annotation><filename>x.jpg</filename>\n<object><name> cat </name>"
      "<difficult>1</difficult><bndbox><xmin>1</xmin><ymin>2</ymin>"
      "<xmax>10</xmax><ymax>12</ymax></bndbox>\n<part><name>head</name>"
      "<bndbox><xmin>7</xmin></bndbox></part></object></annotation>";
  g_autofree char *first = put ("voc/000005.xml", text);
  g_autofree char *path = g_build_filename (folder, "voc", NULL);
  g_autoptr (QfAnnotations) a = NULL;
  g_autoptr (QfAnnotations) one = load (first, "auto");
  g_autofree char *bad = replaced (text, "<xmax>10</xmax>", "");
  g_autofree char *worse = replaced (text, "<ymin>2", "<ymin>two");

  g_free (put ("voc/000007.xml", "<annotation/>"));
  a = load (path, "auto");
  check_box (a, 5, 0, 1, &(QfBox){ 0, 1, 10, 11, 1, 0, 0, TRUE });
  g_assert_cmpint (qf_annotations_last_frame (a), ==, 5);
  g_assert_cmpstr (qf_annotations_labels (a)[0], ==, "cat");
  check_box (one, 1, 0, 1, &(QfBox){ 0, 1, 10, 11, 1, 0, 0, TRUE });
  g_free (put ("voc/000007.xml", bad));
  check_wrong (path, "voc", "000007.xml:3: ", "four sides");
  g_free (put ("voc/000007.xml", worse));
  check_wrong (path, "voc", "000007.xml:2: ", "no number");
  g_free (put ("voc/000007.xml", "<annotations/>"));
  check_wrong (path, "voc", "000007.xml:1: ", "root");
}

static void
test_yolo (void)
{
  static const char *const wrong[][2] = { { "0 0.5 0.5 0.1", "5 fields" },
    { "0 0.5 0.5 0.1 0.1 1 1", "5 fields" }, { "0 320 240 10 10", "pixels" },
    { "7 .5 .5 .1 .1", "class" }, { "-1 .5 .5 .1 .1", "class" },
    { "0 .5 x .1 .1", "field 3" }, { "0 .5 .5 -.1 .1", "negative" } };
  g_autofree char *path = g_build_filename (folder, "yolo", NULL);
  g_autoptr (QfAnnotations) a = NULL;

  g_free (put ("yolo/classes.txt", "person\ncar\n"));
  g_free (put ("yolo/clip_1.txt", "# c\n1 .5 .5 .25 .5\n"));
  g_free (put ("yolo/clip_10.txt", "0 0.1 0.1 0.2 0.2 0.9"));
  a = load (path, "auto");
  for (int scale = 1; scale <= 2; scale++) {
    float s = (float) scale;

    qf_annotations_set_size (a, 64 * scale, 48 * scale);
    check_box (
        a, 1, 0, 1, &(QfBox){ 24 * s, 12 * s, 16 * s, 24 * s, 1, 1, 0, FALSE });
    check_box (
        a, 10, 0, 1, &(QfBox){ 0, 0, 12.8f * s, 9.6f * s, 1, 0, 0, FALSE });
  }
  g_assert_cmpint (qf_annotations_n_labels (a), ==, 2);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autofree char *text =
        g_strdup_printf ("1 .5 .5 .25 .5\n%s\n", wrong[i][0]);

    g_free (put ("yolo/clip_10.txt", text));
    check_wrong (path, "yolo", "clip_10.txt:2: ", wrong[i][1]);
  }
}

/* Folders that hold nothing to read, or too much. */
static void
test_folders (void)
{
  g_autofree char *empty = g_build_filename (folder, "empty", NULL);
  g_autofree char *both = g_build_filename (folder, "both", NULL);
  g_autoptr (QfAnnotations) a = NULL;
  static const char *const formats[] = { "auto", "voc", "yolo" };

  g_free (put ("both/a.xml", "<annotation/>"));
  g_free (put ("both/a.txt", ""));
  g_assert_cmpint (g_mkdir (empty, 0700), ==, 0);
  for (int i = 0; i < 3; i++)
    check_wrong (empty, formats[i], "empty", "holds no");
  check_wrong (both, "auto", "both", "say whether");
  a = load (both, "yolo");
  g_assert_cmpint (qf_annotations_last_frame (a), ==, 0);
}

/* Names without numbers, or with the same: places in the alphabet. */
static void
test_frames (void)
{
  static const char *const files[][4] = { { "b.txt", "a.txt", "2", "1" },
    { "x_1.txt", "y_1.txt", "1", "2" }, { "c0.txt", "c7.txt", "1", "8" },
    { "c99999999999999999999.txt", "d1.txt", "1", "2" } };

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *name = g_strdup_printf ("f%u", i);
    g_autofree char *path = g_build_filename (folder, name, NULL);
    g_autoptr (QfAnnotations) a = NULL;

    for (int k = 0; k < 2; k++) {
      g_autofree char *file = g_build_filename (name, files[i][k], NULL);
      g_autofree char *text = g_strdup_printf ("%d .5 .5 .5 .5", k);

      g_free (put (file, text));
    }
    a = load (path, "yolo");
    for (int k = 0; k < 2; k++) {
      int n;
      const QfBox *b = qf_annotations_frame (a, atoi (files[i][2 + k]), &n);

      g_assert_cmpint (n, ==, 1);
      g_assert_cmpint (b->label, ==, k);
    }
  }
}

/* Whatever the bytes: an error or boxes, and nothing else. */
static void
test_damaged (void)
{
  guint32 seed = g_test_rand_int_range (0, G_MAXINT32);
  QfRng rng = { seed };
  const char *const texts[] = { coco, cvat };
  static const char *const formats[] = { "coco", "cvat", "voc", "jsonl", "yolo",
    "auto" };

  g_test_message ("seed %u", seed);
  for (int i = 0; i < 600; i++) {
    g_autofree char *text = g_strdup (texts[i % 2]);
    g_autofree char *path = NULL;
    gsize size = strlen (text);
    g_autoptr (GError) error = NULL;
    QfAnnotations *a;

    for (guint k = 0, n = 1 + qf_rng_below (&rng, 8); k < n; k++)
      text[qf_rng_below (&rng, (guint32) size)] =
          (char) (1 + qf_rng_below (&rng, 255));
    if (i % 5 == 0)
      text[qf_rng_below (&rng, (guint32) size)] = '\0';
    path = put ("damaged", text);
    a = qf_annotations_load (path, formats[i % 6], &error);
    g_assert_true (!a == !!error);
    qf_annotations_free (a);
  }
}

int
main (int argc, char **argv)
{
  int result;

  g_test_init (&argc, &argv, NULL);
  folder = g_dir_make_tmp ("qfuse-annotations-XXXXXX", NULL);
  g_assert_nonnull (folder);
  g_test_add_func ("/annotations/coco", test_coco);
  g_test_add_func ("/annotations/coco-wrong", test_coco_wrong);
  g_test_add_func ("/annotations/jsonl", test_jsonl);
  g_test_add_func ("/annotations/cvat", test_cvat);
  g_test_add_func ("/annotations/cvat-wrong", test_cvat_wrong);
  g_test_add_func ("/annotations/voc", test_voc);
  g_test_add_func ("/annotations/yolo", test_yolo);
  g_test_add_func ("/annotations/folders", test_folders);
  g_test_add_func ("/annotations/frames", test_frames);
  g_test_add_func ("/annotations/damaged", test_damaged);
  result = g_test_run ();
  remove_tree (folder);
  g_free (folder);
  return result;
}
