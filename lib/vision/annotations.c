/* libqfuse: files with ground truth.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vision/annotations-private.h"

#define MAX_LABELS_SIZE (1u << 20)

/* The boxes of one frame: boxes[first … first + n). */
typedef struct
{
  int frame;
  guint first, n;
} Frame;

struct _QfAnnotations
{
  char *path;
  QfBox *boxes;
  QfBox *shares; /* the boxes in shares of the picture, or NULL */
  guint n_boxes;
  GArray *frames; /* Frame, sorted */
  char **names;   /* of labels, or NULL */
  int n_labels;
  GHashTable *pictures; /* as QfTruth has them */
  GHashTable *actions;  /* likewise */
  int last_frame;       /* that has a box or an action */
};

static const struct
{
  const char *name;
  QfTruthReader read;                             /* one file, or */
  gboolean (*read_folder) (QfTruth *, GError **); /* one a picture */
} formats[] = {
  { "mot", qf_truth_read_mot, NULL },
  { "mot0", qf_truth_read_mot0, NULL },
  { "coco", qf_truth_read_coco, NULL },
  { "jsonl", qf_truth_read_jsonl, NULL },
  { "cvat", qf_truth_read_cvat, NULL },
  { "voc", NULL, qf_truth_read_voc },
  { "yolo", NULL, qf_truth_read_yolo },
};

int
qf_truth_label (QfTruth *t, const char *name)
{
  for (guint i = 0; i < t->names->len; i++)
    if (strcmp (t->names->pdata[i], name) == 0)
      return (int) i;
  g_ptr_array_add (t->names, g_strdup (name));
  return (int) t->names->len - 1;
}

gboolean
qf_truth_add (QfTruth *t, QfTruthRow *row, const char **wrong)
{
  QfBox *b = &row->box;
  double sides[] = { b->x, b->y, b->w, b->h };

  *wrong = NULL;
  for (int i = 0; i < 4; i++)
    if (!(fabs (sides[i]) <= QF_TRUTH_MAX_PIXEL))
      *wrong = "a side of the box is no place in a picture";
  if (!*wrong && (b->w < 0 || b->h < 0))
    *wrong = "the box has a negative size";
  if (row->frame < 1 || row->frame > QF_TRUTH_MAX_FRAME)
    *wrong = "the frame's number is out of range";
  if (b->label < -1 || b->label >= QF_TRUTH_MAX_LABEL)
    *wrong = "the class's number is out of range";
  if (*wrong)
    return FALSE;
  b->ignore = b->ignore || !(b->w > 0) || !(b->h > 0);
  g_array_append_vals (t->rows, row, 1);
  return TRUE;
}

gboolean
qf_truth_act (QfTruth *t, int frame, const char *action, const char **wrong)
{
  const char *has = g_hash_table_lookup (t->actions, GINT_TO_POINTER (frame));

  if (!has)
    g_hash_table_insert (
        t->actions, GINT_TO_POINTER (frame), g_strdup (action));
  *wrong = !has || strcmp (has, action) == 0
      ? NULL
      : "the frame shows another action already";
  return !*wrong;
}

static int
last_number (const char *name)
{
  const char *base = strrchr (name, '/'), *dot, *p;
  gint64 number = 0, scale = 1;

  base = base ? base + 1 : name;
  dot = strrchr (base, '.');
  p = dot ? dot : base + strlen (base);
  while (p > base && !g_ascii_isdigit (p[-1]))
    p--;
  if (p == base)
    return -1;
  for (; p > base && g_ascii_isdigit (p[-1]); p--) {
    if (p[-1] != '0' && scale > QF_TRUTH_MAX_FRAME)
      return -1;
    number += (p[-1] - '0') * scale;
    scale = MIN (scale * 10, (gint64) QF_TRUTH_MAX_FRAME * 10);
  }
  return number < QF_TRUTH_MAX_FRAME ? (int) number : -1;
}

static int
compare_names (const void *a, const void *b)
{
  return strcmp (
      **(const char *const *const *) a, **(const char *const *const *) b);
}

char *
qf_truth_stem (const char *name)
{
  g_autofree char *base = g_path_get_basename (name);
  const char *dot = strrchr (base, '.');

  return g_strndup (
      base, dot && dot > base ? (gsize) (dot - base) : strlen (base));
}

static void
number_pictures (const char *const *names, guint n, int *frames)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (NULL, NULL);
  g_autofree const char *const **sorted = NULL;
  gboolean good = TRUE, zero = FALSE;

  for (guint i = 0; i < n && good; i++) {
    frames[i] = last_number (names[i]);
    zero = zero || frames[i] == 0;
    good = frames[i] >= 0 &&
        g_hash_table_add (seen, GINT_TO_POINTER (frames[i] + 1));
  }
  if (good) {
    for (guint i = 0; i < n; i++)
      frames[i] += zero;
    return;
  }
  sorted = g_new (const char *const *, n);
  for (guint i = 0; i < n; i++)
    sorted[i] = &names[i];
  qsort (sorted, n, sizeof *sorted, compare_names);
  for (guint i = 0; i < n; i++)
    frames[sorted[i] - names] = (int) i + 1;
}

void
qf_truth_frames (QfTruth *t, const char *const *names, guint n, int *frames)
{
  number_pictures (names, n, frames);
  for (guint i = 0; i < n; i++)
    g_hash_table_insert (
        t->pictures, qf_truth_stem (names[i]), GINT_TO_POINTER (frames[i]));
}

static int
compare_rows (const void *a, const void *b)
{
  const QfTruthRow *p = a, *q = b;

  if (p->frame != q->frame)
    return p->frame < q->frame ? -1 : 1;
  return p->line < q->line ? -1 : p->line > q->line;
}

static int
last_frame (const QfTruth *t, const GArray *frames)
{
  int last =
      frames->len ? g_array_index (frames, Frame, frames->len - 1).frame : 0;
  GHashTableIter i;
  gpointer frame;

  g_hash_table_iter_init (&i, t->actions);
  while (g_hash_table_iter_next (&i, &frame, NULL))
    last = MAX (last, GPOINTER_TO_INT (frame));
  return last;
}

static QfAnnotations *
sort_rows (QfTruth *t)
{
  QfAnnotations *a = g_new0 (QfAnnotations, 1);
  GArray *rows = t->rows;

  if (rows->len)
    qsort (rows->data, rows->len, sizeof (QfTruthRow), compare_rows);
  a->path = g_strdup (t->path);
  a->pictures = g_hash_table_ref (t->pictures);
  a->actions = g_hash_table_ref (t->actions);
  a->n_boxes = rows->len;
  a->boxes = g_new (QfBox, rows->len);
  a->frames = g_array_new (FALSE, FALSE, sizeof (Frame));
  for (guint i = 0; i < rows->len; i++) {
    const QfTruthRow *row = &g_array_index (rows, QfTruthRow, i);

    if (a->frames->len == 0 || row->frame != row[-1].frame) {
      Frame frame = { row->frame, i, 0 };

      g_array_append_val (a->frames, frame);
    }
    g_array_index (a->frames, Frame, a->frames->len - 1).n++;
    a->boxes[i] = row->box;
    a->n_labels = MAX (a->n_labels, row->box.label + 1);
  }
  a->last_frame = last_frame (t, a->frames);
  if (t->relative)
    a->shares = g_memdup2 (a->boxes, sizeof (QfBox) * a->n_boxes);
  if (t->names->len) {
    a->n_labels = MAX (a->n_labels, (int) t->names->len);
    g_ptr_array_add (t->names, NULL);
    a->names = g_strdupv ((char **) t->names->pdata);
    g_ptr_array_set_size (t->names, (int) t->names->len - 1);
  }
  return a;
}

/* What a folder holds: files of one picture each, of VOC or of YOLO. */
static const char *
guess_folder (const char *path, GError **error)
{
  GDir *dir = g_dir_open (path, 0, error);
  gboolean xml = FALSE, txt = FALSE;
  const char *name;

  if (!dir)
    return NULL;
  while ((name = g_dir_read_name (dir))) {
    xml = xml || g_str_has_suffix (name, ".xml");
    txt = txt || g_str_has_suffix (name, ".txt");
  }
  g_dir_close (dir);
  if (xml != txt)
    return xml ? "voc" : "yolo";
  g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "%s: %s", path,
      xml ? "holds .xml and .txt files: say whether the format is voc or yolo"
          : "holds no label file (.xml of VOC or .txt of YOLO)");
  return NULL;
}

static const char *
guess_file (GString *text)
{
  const char *p = qf_text_start (text), *end, *frame;

  while (g_ascii_isspace (*p))
    p++;
  if (*p == '<')
    return strstr (p, "<annotations") ? "cvat" : "voc";
  if (*p != '{')
    return "mot";
  /* a line of its own that names a frame is one of ours */
  end = strchr (p, '\n');
  frame = strstr (p, "\"frame\"");
  return frame && (!end || frame < end) && !strstr (p, "\"images\"") ? "jsonl"
                                                                     : "coco";
}

static int
find_format (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    if (g_strcmp0 (formats[i].name, name) == 0)
      return (int) i;
  return -1;
}

static gboolean
read_truth (QfTruth *t, const char *format, GError **error)
{
  g_autoptr (GString) text = NULL;
  gboolean guess = !format || strcmp (format, "auto") == 0;
  int f = guess ? -1 : find_format (format);

  if (f < 0 && !guess) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "label format \"%.100s\" is not known; known are auto, mot, mot0, "
        "coco, jsonl, cvat, voc, yolo",
        format);
    return FALSE;
  }
  if (guess && g_file_test (t->path, G_FILE_TEST_IS_DIR)) {
    format = guess_folder (t->path, error);
    if (!format)
      return FALSE;
    f = find_format (format);
  }
  if (f >= 0 && formats[f].read_folder)
    return formats[f].read_folder (t, error);
  text = qf_text_read (t->path, QF_TRUTH_MAX_FILE, error);
  if (!text)
    return FALSE;
  if (f < 0)
    f = find_format (guess_file (text));
  return formats[f].read_folder ? formats[f].read_folder (t, error)
                                : formats[f].read (t, text, error);
}

QfAnnotations *
qf_annotations_load (const char *path, const char *format, GError **error)
{
  g_autoptr (GArray) rows = g_array_new (FALSE, FALSE, sizeof (QfTruthRow));
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GHashTable) pictures =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) actions =
      g_hash_table_new_full (NULL, NULL, NULL, g_free);
  QfTruth t = { path, rows, names, pictures, FALSE, actions };

  return read_truth (&t, format, error) ? sort_rows (&t) : NULL;
}

void
qf_annotations_free (QfAnnotations *a)
{
  if (!a)
    return;
  g_free (a->path);
  g_free (a->boxes);
  g_free (a->shares);
  g_strfreev (a->names);
  g_array_unref (a->frames);
  g_hash_table_unref (a->pictures);
  g_hash_table_unref (a->actions);
  g_free (a);
}

void
qf_annotations_set_size (QfAnnotations *a, int width, int height)
{
  float w = (float) width, h = (float) height;

  for (guint i = 0; a->shares && i < a->n_boxes; i++) {
    const QfBox *s = &a->shares[i];
    QfBox *b = &a->boxes[i];

    b->x = s->x * w;
    b->y = s->y * h;
    b->w = s->w * w;
    b->h = s->h * h;
  }
}

const char *const *
qf_annotations_labels (const QfAnnotations *a)
{
  return (const char *const *) a->names;
}

gboolean
qf_annotations_relabel (
    QfAnnotations *a, const char *const *labels, GError **error)
{
  g_autofree int *to = NULL;
  guint n = a->names ? g_strv_length (a->names) : 0;
  int n_labels = (int) g_strv_length ((char **) labels);

  to = g_new (int, n + 1);
  for (guint i = 0; i < n; i++) {
    to[i] = 0;
    while (labels[to[i]] && strcmp (labels[to[i]], a->names[i]) != 0)
      to[i]++;
    if (to[i] == n_labels) {
      g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
          "%s: the class \"%s\" is not among the %d labels given", a->path,
          a->names[i], n_labels);
      return FALSE;
    }
  }
  for (guint i = 0; i < a->n_boxes; i++) {
    int label = a->boxes[i].label;

    if (label >= 0 && (guint) label < n)
      a->boxes[i].label = to[label];
  }
  if (n) {
    g_strfreev (a->names);
    a->names = g_strdupv ((char **) labels);
    a->n_labels = n_labels;
  }
  return TRUE;
}

const QfBox *
qf_annotations_frame (const QfAnnotations *a, int frame, int *n)
{
  guint lo = 0, hi = a->frames->len;

  while (lo < hi) {
    guint mid = lo + (hi - lo) / 2;
    const Frame *f = &g_array_index (a->frames, Frame, mid);

    if (f->frame == frame) {
      *n = (int) f->n;
      return a->boxes + f->first;
    }
    if (f->frame < frame)
      lo = mid + 1;
    else
      hi = mid;
  }
  *n = 0;
  return NULL;
}

int
qf_annotations_picture (const QfAnnotations *a, const char *name)
{
  g_autofree char *stem = qf_truth_stem (name);

  return GPOINTER_TO_INT (g_hash_table_lookup (a->pictures, stem));
}

int
qf_annotations_last_frame (const QfAnnotations *a)
{
  return a->last_frame;
}

const char *
qf_annotations_action (const QfAnnotations *a, int frame)
{
  return g_hash_table_lookup (a->actions, GINT_TO_POINTER (frame));
}

int
qf_annotations_n_labels (const QfAnnotations *a)
{
  return a->n_labels;
}

char **
qf_labels_load (const char *path, GError **error)
{
  g_autoptr (GString) text = qf_text_read (path, MAX_LABELS_SIZE, error);
  g_autoptr (GPtrArray) labels = NULL;
  char *p, *end;
  guint used = 0;

  if (!text)
    return NULL;
  labels = g_ptr_array_new_with_free_func (g_free);
  p = qf_text_start (text);
  end = text->str + text->len;
  if (!g_utf8_validate (p, end - p, NULL)) {
    g_set_error (
        error, QF_ERROR, QF_ERROR_FORMAT, "%s: is no UTF-8 text", path);
    return NULL;
  }
  while (p < end) {
    char *line = g_strstrip (qf_text_line (&p, end));

    g_ptr_array_add (labels, g_strdup (line));
    if (*line)
      used = labels->len;
  }
  if (used == 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "%s: names no label", path);
    return NULL;
  }
  g_ptr_array_set_size (labels, (int) used);
  g_ptr_array_add (labels, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&labels), FALSE);
}
