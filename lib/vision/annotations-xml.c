/* libqfuse: ground truth as XML: CVAT's and Pascal VOC's.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "vision/annotations-files.h"
#include "vision/annotations-private.h"

/* Frames of a track between two keyframes that are further apart than this
 * hold no boxes: a wrong number must not fill the memory. */
#define MAX_GAP 100000

/* A document on its way: where the parser is, and what the element at hand has
 * brought so far. */
typedef struct
{
  QfTruth *t;
  const char *path; /* of the file */
  GMarkupParseContext *context;
  GString *place; /* names of the open elements, each after a slash */
  QfTruthRow row;

  /* VOC */
  double side[4]; /* xmin, ymin, xmax, ymax; NAN: none yet */
  gboolean named;

  /* CVAT */
  QfTruthRow last; /* of the track; frame 0: none, or outside */
  gboolean in_track;
} Document;

static gboolean
wrong (Document *d, GError **error, const char *what)
{
  int line = 0, column = 0;

  g_markup_parse_context_get_position (d->context, &line, &column);
  /* At the end of a line GLib counts the next one already. */
  if (column == 1)
    line--;
  return qf_text_error (error, d->path, (guint) MAX (line, 1), "%s", what);
}

static gboolean
parse_number (const char *text, double *value)
{
  char *end;

  if (!text)
    return FALSE;
  *value = g_ascii_strtod (text, &end);
  while (g_ascii_isspace (*end))
    end++;
  return end != text && *end == '\0' && isfinite (*value) &&
      !strpbrk (text, "xXnN");
}

static gboolean
add (Document *d, QfTruthRow row, GError **error)
{
  const char *what;

  return qf_truth_add (d->t, &row, &what) || wrong (d, error, what);
}

static void
enter (Document *d, const char *element)
{
  g_string_append_c (d->place, '/');
  g_string_append (d->place, element);
}

static void
leave (Document *d)
{
  char *slash = strrchr (d->place->str, '/');

  g_string_truncate (d->place, (gsize) (slash - d->place->str));
}

static gboolean
is_at (const Document *d, const char *place)
{
  return strcmp (d->place->str, place) == 0;
}

static gboolean
parse_document (QfTruth *t, const char *path, const GMarkupParser *parser,
    const char *text, gsize size, Document *d, GError **error)
{
  g_autoptr (GError) why = NULL;
  gboolean good;

  d->t = t;
  d->path = path;
  d->place = g_string_new (NULL);
  d->context = g_markup_parse_context_new (parser, 0, d, NULL);
  good = g_markup_parse_context_parse (d->context, text, (gssize) size, &why) &&
      g_markup_parse_context_end_parse (d->context, &why);
  if (!good && why->domain == QF_ERROR)
    g_propagate_error (error, g_steal_pointer (&why));
  else if (!good)
    wrong (d, error, why->message);
  g_markup_parse_context_free (d->context);
  g_string_free (d->place, TRUE);
  return good;
}

/* CVAT --------------------------------------------------------------------- */

static const char *
attribute (const char **names, const char **values, const char *name)
{
  for (int i = 0; names[i]; i++)
    if (strcmp (names[i], name) == 0)
      return values[i];
  return NULL;
}

static gboolean
frame_number (const char *text, int *frame)
{
  double v;

  if (!parse_number (text, &v) || v != floor (v) || v < 0 ||
      v >= QF_TRUTH_MAX_FRAME)
    return FALSE;
  *frame = (int) v + 1;
  return TRUE;
}

/* A track's boxes between two keyframes lie on the line between them. */
static gboolean
fill_gap (Document *d, const QfTruthRow *to, GError **error)
{
  const QfTruthRow *from = &d->last;
  int steps = to->frame - from->frame;

  if (steps > MAX_GAP)
    return wrong (d, error, "the keyframes of the track lie too far apart");
  for (int i = 1; i < steps; i++) {
    float share = (float) i / (float) steps;
    QfTruthRow row = *from;

    row.frame += i;
    row.box.x += (to->box.x - row.box.x) * share;
    row.box.y += (to->box.y - row.box.y) * share;
    row.box.w += (to->box.w - row.box.w) * share;
    row.box.h += (to->box.h - row.box.h) * share;
    if (!add (d, row, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
cvat_box (Document *d, const char **names, const char **values, GError **error)
{
  static const char *const sides[] = { "xtl", "ytl", "xbr", "ybr" };
  const char *label = attribute (names, values, "label");
  const char *outside = attribute (names, values, "outside");
  double v[4];

  for (int i = 0; i < 4; i++)
    if (!parse_number (attribute (names, values, sides[i]), &v[i]))
      return wrong (d, error, "a box needs numbers xtl, ytl, xbr and ybr");
  d->row.box.x = (float) v[0];
  d->row.box.y = (float) v[1];
  d->row.box.w = (float) (v[2] - v[0]);
  d->row.box.h = (float) (v[3] - v[1]);
  d->row.line++;
  if (!d->in_track) {
    if (!label)
      return wrong (d, error, "a box without a label");
    d->row.box.label = qf_truth_label (d->t, label);
    return add (d, d->row, error);
  }
  if (!frame_number (attribute (names, values, "frame"), &d->row.frame))
    return wrong (d, error, "a box's frame is no whole number from 0");
  if (d->last.frame) {
    if (d->row.frame <= d->last.frame)
      return wrong (d, error, "the frames of a track must rise");
    if (!fill_gap (d, &d->row, error))
      return FALSE;
  }
  d->last.frame = 0;
  if (outside && strcmp (outside, "1") == 0)
    return TRUE;
  d->last = d->row;
  return add (d, d->row, error);
}

static gboolean
cvat_track (
    Document *d, const char **names, const char **values, GError **error)
{
  const char *label = attribute (names, values, "label");
  double id;

  if (!label)
    return wrong (d, error, "a track without a label");
  d->row.box.id = 0;
  if (parse_number (attribute (names, values, "id"), &id) && id >= 0 &&
      id < G_MAXINT && id == floor (id))
    d->row.box.id = (int) id + 1;
  d->row.box.label = qf_truth_label (d->t, label);
  d->last.frame = 0;
  d->in_track = TRUE;
  return TRUE;
}

static void
cvat_start (GMarkupParseContext *context, const char *element,
    const char **names, const char **values, gpointer data, GError **error)
{
  Document *d = data;

  enter (d, element);
  if (d->place->str[1] != 'a' ||
      !g_str_has_prefix (d->place->str, "/annotations"))
    wrong (d, error, "this is no file of CVAT: its root is not <annotations>");
  else if (is_at (d, "/annotations/track"))
    cvat_track (d, names, values, error);
  else if (is_at (d, "/annotations/image")) {
    d->in_track = FALSE;
    d->row.box.id = 0;
    if (!frame_number (attribute (names, values, "id"), &d->row.frame))
      wrong (d, error, "an image's id is no whole number from 0");
  } else if (is_at (d, "/annotations/track/box") ||
      is_at (d, "/annotations/image/box"))
    cvat_box (d, names, values, error);
}

static void
document_end (GMarkupParseContext *context, const char *element, gpointer data,
    GError **error)
{
  leave (data);
}

gboolean
qf_truth_read_cvat (QfTruth *t, GString *text, GError **error)
{
  static const GMarkupParser parser = { cvat_start, document_end, NULL, NULL,
    NULL };
  Document d = { .row = { .box = { .score = 1 } } };
  const char *start = qf_text_start (text);

  return parse_document (t, t->path, &parser, start,
      (gsize) (text->str + text->len - start), &d, error);
}

/* VOC ---------------------------------------------------------------------- */

static void
voc_start (GMarkupParseContext *context, const char *element,
    const char **names, const char **values, gpointer data, GError **error)
{
  Document *d = data;

  enter (d, element);
  if (!g_str_has_prefix (d->place->str, "/annotation") ||
      is_at (d, "/annotations"))
    wrong (d, error, "this is no file of VOC: its root is not <annotation>");
  if (!is_at (d, "/annotation/object"))
    return;
  d->row.box = (QfBox){ .score = 1 };
  d->row.line++;
  d->named = FALSE;
  for (int i = 0; i < 4; i++)
    d->side[i] = NAN;
}

static void
voc_text (GMarkupParseContext *context, const char *text, gsize size,
    gpointer data, GError **error)
{
  static const char *const sides[] = { "/annotation/object/bndbox/xmin",
    "/annotation/object/bndbox/ymin", "/annotation/object/bndbox/xmax",
    "/annotation/object/bndbox/ymax" };
  g_autofree char *copy = g_strstrip (g_strndup (text, size));
  Document *d = data;

  if (is_at (d, "/annotation/object/name") && *copy) {
    d->row.box.label = qf_truth_label (d->t, copy);
    d->named = TRUE;
  }
  if (is_at (d, "/annotation/object/difficult"))
    d->row.box.ignore = strcmp (copy, "1") == 0;
  for (int i = 0; i < 4; i++)
    if (is_at (d, sides[i]) && !parse_number (copy, &d->side[i]))
      wrong (d, error, "a side of the box is no number");
}

static void
voc_end (GMarkupParseContext *context, const char *element, gpointer data,
    GError **error)
{
  Document *d = data;
  gboolean object = is_at (d, "/annotation/object");

  leave (d);
  if (!object)
    return;
  for (int i = 0; i < 4; i++)
    if (isnan (d->side[i]) || !d->named) {
      wrong (d, error, "an object needs a name and a bndbox with four sides");
      return;
    }
  d->row.box.x = (float) (d->side[0] - 1);
  d->row.box.y = (float) (d->side[1] - 1);
  d->row.box.w = (float) (d->side[2] - d->side[0] + 1);
  d->row.box.h = (float) (d->side[3] - d->side[1] + 1);
  add (d, d->row, error);
}

static gboolean
read_voc (
    QfTruth *t, const char *path, int frame, GString *text, GError **error)
{
  static const GMarkupParser parser = { voc_start, voc_end, voc_text, NULL,
    NULL };
  Document d = { .row = { .frame = frame } };
  const char *start = qf_text_start (text);

  return parse_document (t, path, &parser, start,
      (gsize) (text->str + text->len - start), &d, error);
}

gboolean
qf_truth_read_voc (QfTruth *t, GError **error)
{
  return qf_truth_read_files (t, ".xml", NULL, read_voc, error);
}
