/* libqfuse: ground truth in folders, one file a picture; YOLO's text.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/annotations-files.h"

#include <math.h>
#include <string.h>

#define MAX_FILES 1000000
#define MAX_PICTURE_FILE (16u << 20) /* bytes */

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* The names of the files, sorted, without the folder. */
static GPtrArray *
list_files (const char *path, const char *suffix, const char *const *but,
    GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) why = NULL;
  GDir *dir;
  const char *name;

  if (!g_file_test (path, G_FILE_TEST_IS_DIR)) {
    g_ptr_array_add (names, g_path_get_basename (path));
    return g_steal_pointer (&names);
  }
  dir = g_dir_open (path, 0, &why);
  if (!dir) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s: %s", path, why->message);
    return NULL;
  }
  while ((name = g_dir_read_name (dir)) && names->len <= MAX_FILES)
    if (g_str_has_suffix (name, suffix) && *name != '.' &&
        !(but && g_strv_contains (but, name)))
      g_ptr_array_add (names, g_strdup (name));
  g_dir_close (dir);
  if (names->len == 0 || names->len > MAX_FILES) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "%s: holds %s %s files",
        path, names->len ? "too many" : "no", suffix);
    return NULL;
  }
  g_ptr_array_sort (names, compare_strings);
  return g_steal_pointer (&names);
}

gboolean
qf_truth_read_files (QfTruth *t, const char *suffix, const char *const *but,
    QfTruthFileReader read, GError **error)
{
  g_autoptr (GPtrArray) names = list_files (t->path, suffix, but, error);
  gboolean folder = g_file_test (t->path, G_FILE_TEST_IS_DIR);
  g_autofree int *frames = NULL;

  if (!names)
    return FALSE;
  frames = g_new (int, names->len);
  qf_truth_frames (t, (const char *const *) names->pdata, names->len, frames);
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *path = folder
        ? g_build_filename (t->path, names->pdata[i], NULL)
        : g_strdup (t->path);
    g_autoptr (GString) text = qf_text_read (path, MAX_PICTURE_FILE, error);
    const char *zero;

    if (!text)
      return FALSE;
    zero = memchr (text->str, '\0', text->len);
    if (zero)
      return qf_text_check (text, path, error);
    if (!read (t, path, folder ? frames[i] : 1, text, error))
      return FALSE;
  }
  return TRUE;
}

/* YOLO --------------------------------------------------------------------- */

/* Names of the classes lie beside the pictures' files or one folder up. */
static gboolean
read_class_names (QfTruth *t, GError **error)
{
  static const char *const files[] = { "classes.txt", "obj.names",
    "../classes.txt", "../obj.names" };
  gboolean folder = g_file_test (t->path, G_FILE_TEST_IS_DIR);
  g_autofree char *base =
      folder ? g_strdup (t->path) : g_path_get_dirname (t->path);

  for (guint i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree char *path = g_build_filename (base, files[i], NULL);
    g_auto (GStrv) names = NULL;

    if (!g_file_test (path, G_FILE_TEST_EXISTS))
      continue;
    names = qf_labels_load (path, error);
    if (!names)
      return FALSE;
    for (guint k = 0; names[k]; k++)
      g_ptr_array_add (t->names, g_strdup (names[k]));
    return TRUE;
  }
  return TRUE;
}

/* Fields of @line into @v: class, centre, size, and perhaps a score. */
static int
split (char *line, double *v)
{
  int n = 0;

  for (char *p = strtok_r (line, " \t", &line); p;
       p = strtok_r (NULL, " \t", &line), n++) {
    char *end;

    if (n == 6)
      return 7;
    v[n] = g_ascii_strtod (p, &end);
    if (end == p || *end != '\0' || !isfinite (v[n]) || strpbrk (p, "xXnN"))
      return -1 - n;
  }
  return n;
}

static gboolean
read_yolo (
    QfTruth *t, const char *path, int frame, GString *text, GError **error)
{
  char *p = qf_text_start (text), *end = text->str + text->len;

  for (guint number = 1; p < end; number++) {
    char *line = g_strstrip (qf_text_line (&p, end));
    QfTruthRow row = { frame, number, { .score = 1 } };
    double v[6];
    const char *wrong;
    int n;

    if (*line == '\0' || *line == '#')
      continue;
    n = split (line, v);
    if (n < 0)
      return qf_text_error (
          error, path, number, "field %d is not a number", -n);
    if (n < 5 || n > 6)
      return qf_text_error (error, path, number,
          "not 5 fields: class, centre x, centre y, width, height");
    if (v[0] != floor (v[0]) || v[0] < 0 || v[0] >= QF_TRUTH_MAX_LABEL ||
        (t->names->len && v[0] >= t->names->len))
      return qf_text_error (error, path, number,
          "class %g is no whole number from 0, or has no name", v[0]);
    for (int i = 1; i < 5; i++)
      if (fabs (v[i]) > 2)
        return qf_text_error (error, path, number,
            "%g is no share of a picture: are these pixels?", v[i]);
    row.box.label = (int) v[0];
    row.box.x = (float) (v[1] - v[3] / 2);
    row.box.y = (float) (v[2] - v[4] / 2);
    row.box.w = (float) v[3];
    row.box.h = (float) v[4];
    if (!qf_truth_add (t, &row, &wrong))
      return qf_text_error (error, path, number, "%s", wrong);
  }
  return TRUE;
}

gboolean
qf_truth_read_yolo (QfTruth *t, GError **error)
{
  static const char *const but[] = { "classes.txt", "train.txt", "test.txt",
    "valid.txt", "README.txt", NULL };

  t->relative = TRUE;
  return read_class_names (t, error) &&
      qf_truth_read_files (t, ".txt", but, read_yolo, error);
}
