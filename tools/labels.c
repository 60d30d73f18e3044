/* qfuse: names of classes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "labels.h"

#include <string.h>

const char labels_coco[] =
    "person\nbicycle\ncar\nmotorcycle\nairplane\nbus\ntrain\ntruck\nboat\n"
    "traffic light\nfire hydrant\nstop sign\nparking meter\nbench\nbird\ncat\n"
    "dog\nhorse\nsheep\ncow\nelephant\nbear\nzebra\ngiraffe\nbackpack\n"
    "umbrella\nhandbag\ntie\nsuitcase\nfrisbee\nskis\nsnowboard\n"
    "sports ball\nkite\nbaseball bat\nbaseball glove\nskateboard\nsurfboard\n"
    "tennis racket\nbottle\nwine glass\ncup\nfork\nknife\nspoon\nbowl\n"
    "banana\napple\nsandwich\norange\nbroccoli\ncarrot\nhot dog\npizza\n"
    "donut\ncake\nchair\ncouch\npotted plant\nbed\ndining table\ntoilet\ntv\n"
    "laptop\nmouse\nremote\nkeyboard\ncell phone\nmicrowave\noven\ntoaster\n"
    "sink\nrefrigerator\nbook\nclock\nvase\nscissors\nteddy bear\n"
    "hair drier\ntoothbrush\n";

/* Names of @n list entries as lines; @from tells where they stand. */
static char *
as_lines (char **names, const char *from, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  GString *lines = g_string_new (NULL);
  guint n = g_strv_length (names);

  while (n > 1 && !*g_strstrip (names[n - 1])) /* a file ends in a line feed */
    n--;
  for (guint i = 0; i < n; i++) {
    char *name = g_strstrip (names[i]);

    if (*name && g_utf8_validate (name, -1, NULL) &&
        g_hash_table_add (seen, name)) {
      g_string_append_printf (lines, "%s\n", name);
      continue;
    }
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "labels %s: name %u is empty, unreadable or there twice", from, i + 1);
    g_string_free (lines, TRUE);
    return NULL;
  }
  return g_string_free (lines, FALSE);
}

char *
labels_read (const char *text, GError **error)
{
  g_autofree char *content = NULL;
  g_auto (GStrv) names = NULL;
  g_autoptr (GError) reason = NULL;

  if (!g_file_test (text, G_FILE_TEST_EXISTS)) {
    names = g_strsplit (text, ",", -1);
  } else if (g_file_get_contents (text, &content, NULL, &reason)) {
    names = g_strsplit (content, "\n", -1);
  } else {
    g_set_error (error, QF_ERROR, QF_ERROR_FILE, "cannot read labels: %s",
        reason->message);
    return NULL;
  }
  return as_lines (names, text, error);
}

/* The text between the quotes at @p, which is moved behind them; the exporter
 * takes double quotes where the name has a single one. */
static char *
quoted (const char **p)
{
  char mark = **p;
  const char *end = mark == '\'' || mark == '"' ? strchr (*p + 1, mark) : NULL;
  char *name = end ? g_strndup (*p + 1, (gsize) (end - *p - 1)) : NULL;

  if (end)
    *p = end + 1;
  return name;
}

char *
labels_from_names (const char *text)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *p = text;

  if (!p || *p++ != '{')
    return NULL;
  while (*p && *p != '}') {
    char *end, *name;
    guint64 number = g_ascii_strtoull (p, &end, 10);

    if (end == p || number != names->len || *end != ':')
      return NULL;
    p = end + 1 + strspn (end + 1, " ");
    if (!(name = quoted (&p)))
      return NULL;
    g_ptr_array_add (names, name);
    p += strspn (p, ", ");
  }
  if (names->len == 0)
    return NULL;
  g_ptr_array_add (names, NULL);
  return as_lines ((char **) names->pdata, "in the file", NULL);
}
