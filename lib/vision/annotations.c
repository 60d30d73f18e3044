/* libqfuse: files with ground truth.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/annotations.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE_SIZE (256u << 20)
#define MAX_LABELS_SIZE (1u << 20)
#define MAX_FRAME 100000000
#define MAX_LABEL 100000
#define MAX_PIXEL 1e6

/* MOTChallenge: 6 fields are needed, 10 there may be (three of them in the
 * world, which nothing here reads). */
#define MIN_FIELDS 6
#define MAX_FIELDS 10

typedef struct
{
  int frame;
  guint line; /* keeps the file's order within a frame */
  QfBox box;
} Row;

/* The boxes of one frame: boxes[first … first + n). */
typedef struct
{
  int frame;
  guint first, n;
} Frame;

struct _QfAnnotations
{
  QfBox *boxes;
  GArray *frames; /* Frame, sorted */
  int n_labels;
};

/* Opens a regular file of at most @limit bytes. O_NONBLOCK: a pipe without a
 * writer must not hold us up before it is refused. */
static FILE *
open_file (const char *path, gsize limit, GError **error)
{
  int fd = g_open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
  struct stat status;

  if (fd < 0 || fstat (fd, &status) != 0)
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s: cannot be opened: %s",
        path, g_strerror (errno));
  else if (!S_ISREG (status.st_mode))
    g_set_error (
        error, QF_ERROR, QF_ERROR_FILE, "%s: is not a regular file", path);
  else if ((guint64) status.st_size > limit)
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "%s: is larger than %" G_GSIZE_FORMAT " MiB", path, limit >> 20);
  else
    return fdopen (fd, "rb");
  if (fd >= 0)
    close (fd);
  return NULL;
}

/* The whole of @path, NUL-terminated. */
static GString *
read_file (const char *path, gsize limit, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);
  FILE *file = open_file (path, limit, error);
  char chunk[65536];
  gsize n;
  int failed;

  if (!file)
    return NULL;
  /* A file that grows meanwhile is cut at the limit. */
  while (text->len <= limit && (n = fread (chunk, 1, sizeof chunk, file)) > 0)
    g_string_append_len (text, chunk, (gssize) n);
  failed = ferror (file) ? errno : 0;
  fclose (file);
  if (failed) {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "%s: cannot be read: %s", path,
        g_strerror (failed));
    return NULL;
  }
  return g_steal_pointer (&text);
}

/* Cuts the next line off *@text, without its end (LF or CRLF). */
static char *
next_line (char **text, char *end)
{
  char *line = *text, *stop = memchr (line, '\n', (gsize) (end - line));

  *text = stop ? stop + 1 : end;
  if (!stop)
    stop = end;
  if (stop > line && stop[-1] == '\r')
    stop--;
  *stop = '\0';
  return line;
}

static char *
skip_mark (GString *text)
{
  return g_str_has_prefix (text->str, "\xef\xbb\xbf") ? text->str + 3
                                                      : text->str;
}

static gboolean line_error (GError **error, const char *path, guint line,
    const char *format, ...) G_GNUC_PRINTF (4, 5);

static gboolean
line_error (
    GError **error, const char *path, guint line, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "%s:%u: %s", path, line, what);
  return FALSE;
}

/* Splits @line at commas into numbers; blanks around them are allowed. Returns
 * how many, or −1 − i where field i is no finite number. */
static int
read_fields (char *line, double *fields)
{
  int n = 0;

  for (char *p = line;; n++) {
    char *comma = strchr (p, ','), *end;

    if (comma)
      *comma = '\0';
    if (n < MAX_FIELDS) {
      p = g_strstrip (p);
      /* Also reads hexadecimal and "nan", "inf", which no file of ours has. */
      fields[n] = g_ascii_strtod (p, &end);
      if (end == p || *end != '\0' || !isfinite (fields[n]) ||
          strpbrk (p, "xXnN"))
        return -1 - n;
    }
    if (!comma)
      return n + 1;
    p = comma + 1;
  }
}

static gboolean
is_whole (double v, double lo, double hi)
{
  return v == floor (v) && v >= lo && v <= hi;
}

/* Checks the numbers of a line and makes a row of them. */
static gboolean
make_row (const double *f, int n, double origin, Row *row, const char *path,
    GError **error)
{
  double confidence = n > 6 ? f[6] : 1, label = n > 7 ? f[7] : -1;

  if (!is_whole (f[0], 1, MAX_FRAME))
    return line_error (error, path, row->line,
        "frame %g is not a whole number from 1 to %d", f[0], MAX_FRAME);
  if (!is_whole (f[1], -1, G_MAXINT))
    return line_error (
        error, path, row->line, "id %g is not a whole number", f[1]);
  for (int i = 2; i < 6; i++)
    if (fabs (f[i]) > MAX_PIXEL)
      return line_error (
          error, path, row->line, "%g is no place in a picture", f[i]);
  if (f[4] < 0 || f[5] < 0)
    return line_error (error, path, row->line, "the box has a negative size");
  if (confidence < 0 && confidence != -1)
    return line_error (error, path, row->line,
        "confidence %g is below 0 (and not -1, not known)", confidence);
  if (label != -1 && !is_whole (label, 1, MAX_LABEL))
    return line_error (error, path, row->line,
        "class %g is not a whole number from 1 to %d (or -1, not known)", label,
        MAX_LABEL);

  row->frame = (int) f[0];
  row->box = (QfBox){ .x = (float) (f[2] - origin),
    .y = (float) (f[3] - origin),
    .w = (float) f[4],
    .h = (float) f[5],
    .score = 1,
    .label = label < 1 ? 0 : (int) label - 1,
    .id = (int) MAX (f[1], 0) };
  if (confidence > 0)
    row->box.score = (float) MIN (confidence, 1);
  row->box.ignore = confidence == 0 || !(row->box.w > 0) || !(row->box.h > 0);
  return TRUE;
}

static GArray *
read_mot (GString *text, double origin, const char *path, GError **error)
{
  g_autoptr (GArray) rows = g_array_new (FALSE, FALSE, sizeof (Row));
  char *p = skip_mark (text), *end = text->str + text->len;
  const char *zero = memchr (p, '\0', (gsize) (end - p));

  if (zero) {
    guint number = 1;

    for (const char *q = p; q < zero; q++)
      number += *q == '\n';
    line_error (error, path, number, "a zero byte: this is not text");
    return NULL;
  }
  for (guint number = 1; p < end; number++) {
    char *line = next_line (&p, end);
    double fields[MAX_FIELDS];
    Row row = { .line = number };
    int n;

    line = g_strstrip (line);
    if (*line == '\0' || *line == '#')
      continue;
    n = read_fields (line, fields);
    if (n < 0) {
      line_error (error, path, number, "field %d is not a number", -n);
      return NULL;
    }
    if (n < MIN_FIELDS || n > MAX_FIELDS) {
      line_error (error, path, number,
          "%d fields, but frame,id,left,top,width,height[,confidence,class,"
          "visibility] has %d to %d",
          n, MIN_FIELDS, MAX_FIELDS);
      return NULL;
    }
    if (!make_row (fields, n, origin, &row, path, error))
      return NULL;
    g_array_append_val (rows, row);
  }
  return g_steal_pointer (&rows);
}

static int
compare_rows (const void *a, const void *b)
{
  const Row *p = a, *q = b;

  if (p->frame != q->frame)
    return p->frame < q->frame ? -1 : 1;
  return p->line < q->line ? -1 : p->line > q->line;
}

static QfAnnotations *
sort_rows (GArray *rows)
{
  QfAnnotations *a = g_new0 (QfAnnotations, 1);

  if (rows->len)
    qsort (rows->data, rows->len, sizeof (Row), compare_rows);
  a->boxes = g_new (QfBox, rows->len);
  a->frames = g_array_new (FALSE, FALSE, sizeof (Frame));
  for (guint i = 0; i < rows->len; i++) {
    const Row *row = &g_array_index (rows, Row, i);

    if (a->frames->len == 0 || row->frame != row[-1].frame) {
      Frame frame = { row->frame, i, 0 };

      g_array_append_val (a->frames, frame);
    }
    g_array_index (a->frames, Frame, a->frames->len - 1).n++;
    a->boxes[i] = row->box;
    a->n_labels = MAX (a->n_labels, row->box.label + 1);
  }
  return a;
}

QfAnnotations *
qf_annotations_load (const char *path, const char *format, GError **error)
{
  g_autoptr (GString) text = NULL;
  g_autoptr (GArray) rows = NULL;
  gboolean mot0 = g_strcmp0 (format, "mot0") == 0;

  if (!mot0 && format && strcmp (format, "auto") != 0 &&
      strcmp (format, "mot") != 0) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "label format \"%.100s\" is not known; known are auto, mot, mot0",
        format);
    return NULL;
  }
  text = read_file (path, MAX_FILE_SIZE, error);
  if (!text)
    return NULL;
  rows = read_mot (text, mot0 ? 0 : 1, path, error);
  return rows ? sort_rows (rows) : NULL;
}

void
qf_annotations_free (QfAnnotations *a)
{
  if (!a)
    return;
  g_free (a->boxes);
  g_array_unref (a->frames);
  g_free (a);
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
qf_annotations_last_frame (const QfAnnotations *a)
{
  guint n = a->frames->len;

  return n ? g_array_index (a->frames, Frame, n - 1).frame : 0;
}

int
qf_annotations_n_labels (const QfAnnotations *a)
{
  return a->n_labels;
}

/* A number with a point whatever the locale, without zeros at its end. */
static void
append_number (GString *text, double v, const char *format)
{
  char number[G_ASCII_DTOSTR_BUF_SIZE];
  gsize n;

  g_string_append_c (text, ',');
  g_ascii_formatd (number, sizeof number, format, v);
  n = strlen (number);
  while (n > 1 && number[n - 1] == '0')
    n--;
  if (number[n - 1] == '.')
    n--;
  g_string_append_len (text, number, (gssize) n);
}

void
qf_mot_append (GString *text, int frame, const QfBox *boxes, int n)
{
  for (int i = 0; i < n; i++) {
    const QfBox *b = &boxes[i];

    g_string_append_printf (text, "%d,%d", frame, b->id > 0 ? b->id : -1);
    append_number (text, (double) b->x + 1, "%.4f");
    append_number (text, (double) b->y + 1, "%.4f");
    append_number (text, b->w, "%.4f");
    append_number (text, b->h, "%.4f");
    /* 0 would mean that the box is to be ignored. */
    append_number (text, b->ignore ? 0 : MAX (b->score, 1e-6f), "%.6f");
    g_string_append_printf (text, ",%d,%s\n", b->label < 0 ? -1 : b->label + 1,
        b->ignore ? "0" : "1");
  }
}

char **
qf_labels_load (const char *path, GError **error)
{
  g_autoptr (GString) text = read_file (path, MAX_LABELS_SIZE, error);
  g_autoptr (GPtrArray) labels = NULL;
  char *p, *end;
  guint used = 0;

  if (!text)
    return NULL;
  labels = g_ptr_array_new_with_free_func (g_free);
  p = skip_mark (text);
  end = text->str + text->len;
  if (!g_utf8_validate (p, end - p, NULL)) {
    g_set_error (
        error, QF_ERROR, QF_ERROR_FORMAT, "%s: is no UTF-8 text", path);
    return NULL;
  }
  while (p < end) {
    char *line = g_strstrip (next_line (&p, end));

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
