/* libqfuse: polygons in relative coordinates, to leave out parts of a picture.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/polygons.h"

#include <math.h>
#include <string.h>

#define GRAMMAR                                                                \
  "polygons are points \"x,y\" with 0 to 1 for the left or top and the right " \
  "or bottom edge, blanks between points, semicolons between polygons, as in " \
  "\"0,0 0.5,0 0.5,0.2; 0.8,0.8 1,0.8 1,1\""

/* The next coordinate at *s; FALSE where none from 0 to 1 is there. */
static gboolean
read_coordinate (const char **s, double *v)
{
  char *end;

  /* no sign, "inf", "nan" or hexadecimal number */
  if (!g_ascii_isdigit (**s) && **s != '.')
    return FALSE;
  if ((*s)[0] == '0' && ((*s)[1] == 'x' || (*s)[1] == 'X'))
    return FALSE;
  *v = g_ascii_strtod (*s, &end);
  if (end == *s || !(*v >= 0 && *v <= 1))
    return FALSE;
  *s = end;
  return TRUE;
}

static void
skip_blanks (const char **s)
{
  while (g_ascii_isspace (**s))
    (*s)++;
}

static gboolean
read_point (const char **s, QfPoint *p)
{
  if (!read_coordinate (s, &p->x))
    return FALSE;
  skip_blanks (s);
  if (**s != ',')
    return FALSE;
  (*s)++;
  skip_blanks (s);
  return read_coordinate (s, &p->y) &&
      (**s == '\0' || **s == ';' || g_ascii_isspace (**s));
}

/* The points of one polygon, up to a semicolon or the end. */
static gboolean
read_polygon (const char **s, GArray *points, int number, GError **error)
{
  guint first = points->len;

  for (skip_blanks (s); **s && **s != ';'; skip_blanks (s)) {
    const char *at = *s;
    QfPoint p;

    if (!read_point (s, &p)) {
      g_autofree char *begin =
          g_utf8_substring (at, 0, MIN (g_utf8_strlen (at, -1), 40));

      g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
          "\"%s\" in polygon %d does not start with a point; " GRAMMAR, begin,
          number);
      return FALSE;
    }
    if (points->len == QF_MAX_POLYGON_POINTS) {
      g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
          "more than %d points in the polygons", QF_MAX_POLYGON_POINTS);
      return FALSE;
    }
    g_array_append_val (points, p);
  }
  if (points->len - first < 3) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "polygon %d has %u points instead of three or more; " GRAMMAR, number,
        points->len - first);
    return FALSE;
  }
  return TRUE;
}

QfPolygons *
qf_polygons_parse (const char *text, GError **error)
{
  g_autoptr (GArray) points = NULL;
  g_autoptr (GArray) ends = NULL;
  const char *s = text;
  QfPolygons *p;

  if (!text)
    return NULL;
  if (!g_utf8_validate (text, -1, NULL)) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "polygons are not readable text; " GRAMMAR);
    return NULL;
  }
  skip_blanks (&s);
  if (*s == '\0')
    return NULL;

  points = g_array_new (FALSE, FALSE, sizeof (QfPoint));
  ends = g_array_new (FALSE, FALSE, sizeof (int));
  while (*s) {
    int end;

    if (!read_polygon (&s, points, (int) ends->len + 1, error))
      return NULL;
    end = (int) points->len;
    g_array_append_val (ends, end);
    if (*s == ';')
      s++;
    skip_blanks (&s);
  }
  p = g_new0 (QfPolygons, 1);
  p->n_polygons = (int) ends->len;
  p->ends = (int *) g_array_free (g_steal_pointer (&ends), FALSE);
  p->points = (QfPoint *) g_array_free (g_steal_pointer (&points), FALSE);
  return p;
}

QfPolygons *
qf_polygons_copy (const QfPolygons *p)
{
  QfPolygons *copy;

  if (!p)
    return NULL;
  copy = g_new0 (QfPolygons, 1);
  copy->n_polygons = p->n_polygons;
  copy->ends = g_memdup2 (p->ends, (gsize) p->n_polygons * sizeof (int));
  copy->points = g_memdup2 (
      p->points, (gsize) p->ends[p->n_polygons - 1] * sizeof (QfPoint));
  return copy;
}

void
qf_polygons_free (QfPolygons *p)
{
  if (!p)
    return;
  g_free (p->ends);
  g_free (p->points);
  g_free (p);
}

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

/* Where the edges of points @first … @end cross the line @y, from left to
 * right, in pixels. An edge holds its upper end, not its lower one. */
static int
crossings (const QfPolygons *p, int first, int end, double y, int width,
    int height, double at[QF_MAX_POLYGON_POINTS])
{
  int n = 0;

  for (int i = first; i < end; i++) {
    const QfPoint *a = &p->points[i];
    const QfPoint *b = &p->points[i + 1 < end ? i + 1 : first];
    double ya = a->y * height, yb = b->y * height;

    if ((ya <= y) != (yb <= y))
      at[n++] = width * (a->x + (b->x - a->x) * ((y - ya) / (yb - ya)));
  }
  qsort (at, (size_t) n, sizeof (double), compare_doubles);
  return n;
}

void
qf_polygons_fill (
    const QfPolygons *p, guint8 *mask, int width, int height, guint8 value)
{
  double at[QF_MAX_POLYGON_POINTS];

  for (int i = 0, first = 0; i < p->n_polygons; first = p->ends[i++])
    for (int y = 0; y < height; y++) {
      guint8 *row = mask + (gsize) y * width;
      int n = crossings (p, first, p->ends[i], y + 0.5, width, height, at);

      for (int k = 0; k + 1 < n; k += 2) {
        /* centres x + 0.5 in [at[k], at[k + 1]) */
        int from = MAX ((int) ceil (at[k] - 0.5), 0);
        int to = MIN ((int) ceil (at[k + 1] - 0.5), width);

        if (to > from)
          memset (row + from, value, (size_t) (to - from));
      }
    }
}
