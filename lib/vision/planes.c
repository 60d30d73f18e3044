/* libqfuse: the grammar of input planes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/planes.h"

#include <string.h>

#define GRAMMAR                                                                \
  "planes are Y, R, G, B, D<k>, M<k> and A<n> (k, n: 1 to 250), the "          \
  "last three with x<gain 1 to 255> and t<dead band 0 to 255> as in "          \
  "\"Y,D1x2t8\""

/* Reads a decimal number at *s; FALSE where there is none or it lies outside.
 */
static gboolean
read_number (const char **s, int lo, int hi, int *value)
{
  const char *p = *s;
  int v = 0;

  if (!g_ascii_isdigit (*p))
    return FALSE;
  for (; g_ascii_isdigit (*p); p++) {
    v = v * 10 + (*p - '0');
    if (v > hi)
      return FALSE;
  }
  *s = p;
  *value = v;
  return v >= lo;
}

static gboolean
read_plane (QfPlane *plane, const char *s)
{
  *plane = (QfPlane){ .kind = *s };
  if (*s == '\0' || !strchr ("YRGBDMA", *s))
    return FALSE;
  s++;
  if (strchr ("YRGB", plane->kind))
    return *s == '\0';

  plane->gain = 1;
  if (!read_number (&s, 1, QF_MAX_DISTANCE, &plane->k))
    return FALSE;
  if (*s == 'x' && (s++, !read_number (&s, 1, 255, &plane->gain)))
    return FALSE;
  if (*s == 't' && (s++, !read_number (&s, 0, 255, &plane->threshold)))
    return FALSE;
  return *s == '\0';
}

gboolean
qf_planes_parse (QfPlanes *planes, const char *text, GError **error)
{
  g_auto (GStrv) parts = NULL;

  *planes = (QfPlanes){ 0 };
  if (!text || !g_utf8_validate (text, -1, NULL)) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "planes are not readable text; " GRAMMAR);
    return FALSE;
  }
  /* One more than may be, so that a long list costs nothing. */
  parts = g_strsplit (text, ",", QF_MAX_PLANES + 1);
  if (g_strv_length (parts) > QF_MAX_PLANES) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "more than %d planes in \"%.200s\"", QF_MAX_PLANES, text);
    return FALSE;
  }
  for (int i = 0; parts[0] && parts[i]; i++) {
    if (!read_plane (&planes->plane[i], g_strstrip (parts[i]))) {
      g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
          "\"%.200s\" in the planes \"%.200s\" is not a plane; " GRAMMAR,
          parts[i], text);
      *planes = (QfPlanes){ 0 };
      return FALSE;
    }
    planes->n++;
  }
  if (planes->n == 0) {
    g_set_error (
        error, QF_ERROR, QF_ERROR_ARGUMENT, "no planes are given; " GRAMMAR);
    return FALSE;
  }
  return TRUE;
}

char *
qf_planes_to_string (const QfPlanes *planes)
{
  GString *text = g_string_new (NULL);

  for (int i = 0; i < planes->n; i++) {
    const QfPlane *p = &planes->plane[i];

    g_string_append_printf (text, "%s%c", i ? "," : "", p->kind);
    if (p->k)
      g_string_append_printf (text, "%d", p->k);
    if (p->k && p->gain != 1)
      g_string_append_printf (text, "x%d", p->gain);
    if (p->k && p->threshold != 0)
      g_string_append_printf (text, "t%d", p->threshold);
  }
  return g_string_free (text, FALSE);
}

gboolean
qf_planes_equal (const QfPlanes *a, const QfPlanes *b)
{
  if (a->n != b->n)
    return FALSE;
  for (int i = 0; i < a->n; i++) {
    const QfPlane *p = &a->plane[i], *q = &b->plane[i];

    if (p->kind != q->kind || p->k != q->k || p->gain != q->gain ||
        p->threshold != q->threshold)
      return FALSE;
  }
  return TRUE;
}

gboolean
qf_planes_need_colour (const QfPlanes *planes)
{
  for (int i = 0; i < planes->n; i++)
    if (strchr ("RGB", planes->plane[i].kind))
      return TRUE;
  return FALSE;
}

int
qf_planes_history (const QfPlanes *planes)
{
  int k = 0;

  for (int i = 0; i < planes->n; i++)
    k = MAX (k, planes->plane[i].k);
  return k;
}

guint8
qf_plane_rest (const QfPlane *plane)
{
  return plane->kind == 'M' ? 0 : 128;
}

gboolean
qf_planes_at_rest (const QfPlanes *planes, guint8 codes[QF_MAX_PLANES])
{
  for (int i = 0; i < planes->n; i++) {
    if (planes->plane[i].k == 0 || planes->plane[i].threshold == 0)
      return FALSE;
    codes[i] = qf_plane_rest (&planes->plane[i]);
  }
  return planes->n > 0;
}
