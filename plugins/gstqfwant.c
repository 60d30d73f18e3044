/* GStreamer qfuse: what a model wants to see.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "gstqfplanes.h"

static gboolean
parse_rate (const gchar *text, gint *n, gint *d)
{
  gchar *end;
  gint64 num = g_ascii_strtoll (text, &end, 10), den = 1;

  if (end == text)
    return FALSE;
  if (*end == '/') {
    text = end + 1;
    den = g_ascii_strtoll (text, &end, 10);
    if (end == text)
      return FALSE;
  }
  if (*end || num < 1 || den < 1 || num > G_MAXINT || den > G_MAXINT)
    return FALSE;
  *n = (gint) num;
  *d = (gint) den;
  return TRUE;
}

gboolean
gst_qf_want_from_model (GstQfWant *want, const QfModel *model, GError **error)
{
  const char *planes = qf_model_get (model, "qfuse.planes");
  const char *fit = qf_model_get (model, "qfuse.fit");
  const char *rate = qf_model_get (model, "qfuse.rate");
  int c, h, w;

  memset (want, 0, sizeof (*want));
  want->rate_d = 1;
  qf_model_input_shape (model, &c, &h, &w);
  if (c < 1 || h < 1 || w < 1 || h > 32767 || w > 32767) {
    g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "the network's input of %d×%d×%d is no picture", c, h, w);
    return FALSE;
  }
  want->width = w;
  want->height = h;

  if (!planes)
    planes = c == 1 ? "Y" : c == 3 ? "R,G,B" : NULL;
  if (!planes) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "the model's metadata has no qfuse.planes, and its %d input channels "
        "do not tell what they are",
        c);
    return FALSE;
  }
  if (!qf_planes_parse (&want->planes, planes, error)) {
    g_prefix_error (error, "qfuse.planes: ");
    return FALSE;
  }
  if (want->planes.n != c) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "qfuse.planes “%s” are %d planes, the network's input has %d channels",
        planes, want->planes.n, c);
    return FALSE;
  }
  if (fit && !qf_fit_parse (fit, &want->fit)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "qfuse.fit “%s” is neither “letterbox” nor “stretch”", fit);
    return FALSE;
  }
  if (rate && *rate && !parse_rate (rate, &want->rate_n, &want->rate_d)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FORMAT,
        "qfuse.rate “%s” is no rate such as “25/1”", rate);
    return FALSE;
  }
  return TRUE;
}
