/* libqfuse: ground truth as JSON: COCO's, and our JSON Lines.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * json-glib keeps no line of what it has read, so errors name the place in the
 * document (annotations[17].bbox), and the line where the syntax is wrong. */
#include <json-glib/json-glib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "vision/annotations-private.h"

static gboolean
wrong_at (GError **error, const char *where, const char *what)
{
  g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "%s: %s", where, what);
  return FALSE;
}

/* The number @name of @o; @missing where it has none. FALSE where it is
 * something else. */
static gboolean
get_number (JsonObject *o, const char *name, double missing, double *value)
{
  JsonNode *node = json_object_get_member (o, name);

  *value = missing;
  if (!node || JSON_NODE_HOLDS_NULL (node))
    return TRUE;
  if (!JSON_NODE_HOLDS_VALUE (node) ||
      json_node_get_value_type (node) == G_TYPE_STRING)
    return FALSE;
  *value = json_node_get_double (node);
  return isfinite (*value);
}

static gboolean
get_whole (JsonObject *o, const char *name, double missing, double *value)
{
  return get_number (o, name, missing, value) && *value == floor (*value) &&
      fabs (*value) <= 9e15;
}

static const char *
get_string (JsonObject *o, const char *name)
{
  JsonNode *node = json_object_get_member (o, name);

  return node && JSON_NODE_HOLDS_VALUE (node) &&
          json_node_get_value_type (node) == G_TYPE_STRING
      ? json_node_get_string (node)
      : NULL;
}

static gboolean
get_box (JsonObject *o, const char *name, QfBox *box)
{
  JsonNode *node = json_object_get_member (o, name);
  JsonArray *a =
      node && JSON_NODE_HOLDS_ARRAY (node) ? json_node_get_array (node) : NULL;
  double v[4];

  if (!a || json_array_get_length (a) != 4)
    return FALSE;
  for (guint i = 0; i < 4; i++) {
    JsonNode *e = json_array_get_element (a, i);

    if (!JSON_NODE_HOLDS_VALUE (e) ||
        json_node_get_value_type (e) == G_TYPE_STRING)
      return FALSE;
    v[i] = json_node_get_double (e);
    if (!isfinite (v[i]))
      return FALSE;
  }
  box->x = (float) v[0];
  box->y = (float) v[1];
  box->w = (float) v[2];
  box->h = (float) v[3];
  return TRUE;
}

/* The object that @text is. */
static JsonObject *
parse (JsonParser *parser, const char *text, gssize size, const char *path,
    guint line, GError **error)
{
  g_autoptr (GError) why = NULL;
  JsonNode *root;

  if (!json_parser_load_from_data (parser, text, size, &why)) {
    const char *what = why->message;
    guint found = 1;
    int skip = 0;

    /* "<data>:line:column: " stands before what is wrong. */
    if (sscanf (what, "<data>:%u:%*u: %n", &found, &skip) == 1)
      what += skip;
    qf_text_error (error, path, line ? line : found, "%s", what);
    return NULL;
  }
  root = json_parser_get_root (parser);
  if (root && JSON_NODE_HOLDS_OBJECT (root))
    return json_node_get_object (root);
  qf_text_error (error, path, MAX (line, 1), "this is no JSON object");
  return NULL;
}

/* JSON Lines --------------------------------------------------------------- */

static gboolean
add_detection (
    QfTruth *t, JsonNode *node, int frame, guint line, const char **wrong)
{
  QfTruthRow row = { .frame = frame, .line = line };
  JsonObject *o;
  const char *name;
  double id, number, score;

  *wrong = "a detection is no object";
  if (!JSON_NODE_HOLDS_OBJECT (node))
    return FALSE;
  o = json_node_get_object (node);
  *wrong = "a detection's box is not [left, top, width, height]";
  if (!get_box (o, "box", &row.box))
    return FALSE;
  *wrong =
      "a detection's label_id, id or score is not a number as it should be";
  if (!get_whole (o, "label_id", -1, &number) || fabs (number) > G_MAXINT ||
      !get_whole (o, "id", 0, &id) || id < 0 || id > G_MAXINT ||
      !get_number (o, "score", 1, &score) || score < 0 || score > 1)
    return FALSE;
  name = get_string (o, "label");
  row.box.label = name ? qf_truth_label (t, name) : MAX ((int) number, 0);
  row.box.id = (int) id;
  row.box.score = (float) score;
  return qf_truth_add (t, &row, wrong);
}

static gboolean
add_action (QfTruth *t, JsonNode *node, int frame, const char **wrong)
{
  JsonObject *o;
  const char *name;
  double score;

  *wrong = "\"action\" is no object";
  if (!JSON_NODE_HOLDS_OBJECT (node))
    return FALSE;
  o = json_node_get_object (node);
  name = get_string (o, "label");
  *wrong = "an action's label is not its name";
  if (!name || *name == '\0')
    return FALSE;
  *wrong = "an action's score is no number from 0 to 1";
  if (!get_number (o, "score", 1, &score) || score < 0 || score > 1)
    return FALSE;
  return qf_truth_act (t, frame, name, wrong);
}

static gboolean
read_line (QfTruth *t, JsonObject *o, guint line, GError **error)
{
  JsonNode *list = json_object_get_member (o, "detections");
  JsonNode *action = json_object_get_member (o, "action");
  double frame;
  const char *wrong;

  if (!get_whole (o, "frame", 0, &frame) || frame < 1 ||
      frame > QF_TRUTH_MAX_FRAME)
    return qf_text_error (error, t->path, line,
        "\"frame\" is no whole number from 1 to %d", QF_TRUTH_MAX_FRAME);
  if (action && !add_action (t, action, (int) frame, &wrong))
    return qf_text_error (error, t->path, line, "%s", wrong);
  if (!list)
    return TRUE;
  if (!JSON_NODE_HOLDS_ARRAY (list))
    return qf_text_error (error, t->path, line, "\"detections\" is no list");
  for (guint i = 0; i < json_array_get_length (json_node_get_array (list)); i++)
    if (!add_detection (t,
            json_array_get_element (json_node_get_array (list), i), (int) frame,
            line, &wrong))
      return qf_text_error (error, t->path, line, "%s", wrong);
  return TRUE;
}

gboolean
qf_truth_read_jsonl (QfTruth *t, GString *text, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  char *p = qf_text_start (text), *end = text->str + text->len;

  if (!qf_text_check (text, t->path, error))
    return FALSE;
  for (guint number = 1; p < end; number++) {
    char *line = g_strstrip (qf_text_line (&p, end));
    JsonObject *o;

    if (*line == '\0')
      continue;
    o = parse (parser, line, -1, t->path, number, error);
    if (!o || !read_line (t, o, number, error))
      return FALSE;
  }
  return TRUE;
}

/* COCO --------------------------------------------------------------------- */

typedef struct
{
  QfTruth *t;
  GHashTable *frames; /* image id (gint64) → frame */
  GHashTable *labels; /* category id (gint64) → label */
} Coco;

static JsonArray *
get_list (JsonObject *o, const char *name, const char *path, GError **error)
{
  JsonNode *node = json_object_get_member (o, name);

  if (node && JSON_NODE_HOLDS_ARRAY (node))
    return json_node_get_array (node);
  g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, "%s: \"%s\" %s", path, name,
      node ? "is no list" : "is missing: this is no COCO file");
  return NULL;
}

static JsonObject *
list_object (JsonArray *list, guint i)
{
  JsonNode *node = json_array_get_element (list, i);

  return JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
}

static gint64 *
key_of (double id)
{
  gint64 key = (gint64) id;

  return g_memdup2 (&key, sizeof key);
}

static gboolean
read_images (Coco *c, JsonArray *images, GError **error)
{
  guint n = json_array_get_length (images);
  g_autofree const char **names = g_new (const char *, n + 1);
  g_autofree int *frames = g_new (int, n + 1);

  for (guint i = 0; i < n; i++) {
    JsonObject *o = list_object (images, i);

    names[i] = o ? get_string (o, "file_name") : NULL;
    if (!names[i]) {
      g_autofree char *at = g_strdup_printf ("%s: images[%u]", c->t->path, i);

      return wrong_at (error, at, "has no \"file_name\"");
    }
  }
  qf_truth_frames (c->t, names, n, frames);
  for (guint i = 0; i < n; i++) {
    double id;

    if (!get_whole (list_object (images, i), "id", NAN, &id) ||
        !g_hash_table_insert (
            c->frames, key_of (id), GINT_TO_POINTER (frames[i]))) {
      g_autofree char *at = g_strdup_printf ("%s: images[%u]", c->t->path, i);

      return wrong_at (
          error, at, "its \"id\" is no whole number, or another's");
    }
  }
  return TRUE;
}

typedef struct
{
  gint64 id;
  const char *name;
} Category;

static int
compare_categories (const void *a, const void *b)
{
  const Category *p = a, *q = b;

  return p->id < q->id ? -1 : p->id > q->id;
}

static gboolean
read_categories (Coco *c, JsonArray *list, GError **error)
{
  guint n = json_array_get_length (list);
  g_autofree Category *sorted = g_new0 (Category, n + 1);

  for (guint i = 0; i < n; i++) {
    JsonObject *o = list_object (list, i);
    double id = 0;

    sorted[i].name = o ? get_string (o, "name") : NULL;
    if (!sorted[i].name || !get_whole (o, "id", NAN, &id)) {
      g_autofree char *at =
          g_strdup_printf ("%s: categories[%u]", c->t->path, i);

      return wrong_at (error, at, "needs an \"id\" and a \"name\"");
    }
    sorted[i].id = (gint64) id;
  }
  if (n)
    qsort (sorted, n, sizeof *sorted, compare_categories);
  for (guint i = 0; i < n; i++)
    g_hash_table_insert (c->labels, key_of ((double) sorted[i].id),
        GINT_TO_POINTER (qf_truth_label (c->t, sorted[i].name)));
  return TRUE;
}

static gboolean
add_annotation (Coco *c, JsonObject *o, guint line, const char **wrong)
{
  QfTruthRow row = { .line = line, .box = { .score = 1 } };
  double image, category, crowd, id;
  gpointer frame, label;
  gint64 key;

  *wrong = "is no object";
  if (!o)
    return FALSE;
  *wrong = "its \"bbox\" is not [left, top, width, height]";
  if (!get_box (o, "bbox", &row.box))
    return FALSE;
  *wrong = "its \"image_id\" is that of no image";
  if (!get_whole (o, "image_id", NAN, &image))
    return FALSE;
  key = (gint64) image;
  if (!g_hash_table_lookup_extended (c->frames, &key, NULL, &frame))
    return FALSE;
  *wrong = "its \"category_id\" is that of no category";
  if (!get_whole (o, "category_id", NAN, &category))
    return FALSE;
  key = (gint64) category;
  if (!g_hash_table_lookup_extended (c->labels, &key, NULL, &label))
    return FALSE;
  *wrong = "its \"iscrowd\" or \"track_id\" is no whole number";
  if (!get_whole (o, "iscrowd", 0, &crowd) ||
      !get_whole (o, "track_id", 0, &id) || id < -1 || id > G_MAXINT)
    return FALSE;
  row.frame = GPOINTER_TO_INT (frame);
  row.box.label = GPOINTER_TO_INT (label);
  row.box.ignore = crowd != 0;
  row.box.id = MAX ((int) id, 0);
  return qf_truth_add (c->t, &row, wrong);
}

gboolean
qf_truth_read_coco (QfTruth *t, GString *text, GError **error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GHashTable) frames =
      g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  g_autoptr (GHashTable) labels =
      g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);
  Coco c = { t, frames, labels };
  const char *start = qf_text_start (text);
  JsonArray *images, *categories, *list;
  JsonObject *o;

  if (!qf_text_check (text, t->path, error))
    return FALSE;
  o = parse (parser, start, text->str + text->len - start, t->path, 0, error);
  if (!o || !(images = get_list (o, "images", t->path, error)) ||
      !(categories = get_list (o, "categories", t->path, error)) ||
      !(list = get_list (o, "annotations", t->path, error)) ||
      !read_images (&c, images, error) ||
      !read_categories (&c, categories, error))
    return FALSE;
  for (guint i = 0; i < json_array_get_length (list); i++) {
    const char *wrong;

    if (!add_annotation (&c, list_object (list, i), i, &wrong)) {
      g_autofree char *at = g_strdup_printf ("%s: annotations[%u]", t->path, i);

      return wrong_at (error, at, wrong);
    }
  }
  return TRUE;
}
