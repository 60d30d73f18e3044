/* libqfuse: ground truth as MOTChallenge text.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "vision/annotations-private.h"

/* 6 fields are needed, 10 there may be (three of them in the world, which
 * nothing here reads). */
#define MIN_FIELDS 6
#define MAX_FIELDS 10

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
make_row (const double *f, int n, double origin, QfTruthRow *row,
    const char *path, GError **error)
{
  double confidence = n > 6 ? f[6] : 1, label = n > 7 ? f[7] : -1;

  if (!is_whole (f[0], 1, QF_TRUTH_MAX_FRAME))
    return qf_text_error (error, path, row->line,
        "frame %g is not a whole number from 1 to %d", f[0],
        QF_TRUTH_MAX_FRAME);
  if (!is_whole (f[1], -1, G_MAXINT))
    return qf_text_error (
        error, path, row->line, "id %g is not a whole number", f[1]);
  for (int i = 2; i < 6; i++)
    if (fabs (f[i]) > QF_TRUTH_MAX_PIXEL)
      return qf_text_error (
          error, path, row->line, "%g is no place in a picture", f[i]);
  if (f[4] < 0 || f[5] < 0)
    return qf_text_error (
        error, path, row->line, "the box has a negative size");
  if (confidence < 0 && confidence != -1)
    return qf_text_error (error, path, row->line,
        "confidence %g is below 0 (and not -1, not known)", confidence);
  if (label != -1 && !is_whole (label, 1, QF_TRUTH_MAX_LABEL))
    return qf_text_error (error, path, row->line,
        "class %g is not a whole number from 1 to %d (or -1, not known)", label,
        QF_TRUTH_MAX_LABEL);

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

static gboolean
read_mot (QfTruth *t, GString *text, double origin, GError **error)
{
  const char *path = t->path;
  char *p = qf_text_start (text), *end = text->str + text->len;

  if (!qf_text_check (text, path, error))
    return FALSE;
  for (guint number = 1; p < end; number++) {
    char *line = qf_text_line (&p, end);
    double fields[MAX_FIELDS];
    QfTruthRow row = { .line = number };
    int n;

    line = g_strstrip (line);
    if (*line == '\0' || *line == '#')
      continue;
    n = read_fields (line, fields);
    if (n < 0) {
      qf_text_error (error, path, number, "field %d is not a number", -n);
      return FALSE;
    }
    if (n < MIN_FIELDS || n > MAX_FIELDS) {
      qf_text_error (error, path, number,
          "%d fields, but frame,id,left,top,width,height[,confidence,class,"
          "visibility] has %d to %d",
          n, MIN_FIELDS, MAX_FIELDS);
      return FALSE;
    }
    if (!make_row (fields, n, origin, &row, path, error))
      return FALSE;
    g_array_append_val (t->rows, row);
  }
  return TRUE;
}

gboolean
qf_truth_read_mot (QfTruth *t, GString *text, GError **error)
{
  return read_mot (t, text, 1, error);
}

gboolean
qf_truth_read_mot0 (QfTruth *t, GString *text, GError **error)
{
  return read_mot (t, text, 0, error);
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
