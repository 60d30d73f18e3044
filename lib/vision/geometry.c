/* libqfuse: how a picture lies in the network's input, and back.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/geometry.h"

/* round(a·b·c / (d·e)), at least 1 and at most @limit. Sizes are below 2^15 and
 * aspect numbers below 2^31, so that a·b·c < 2^61. */
static int
scaled (gint64 a, gint64 b, gint64 c, gint64 d, gint64 e, int limit)
{
  gint64 divisor = d * e, v = (2 * a * b * c + divisor) / (2 * divisor);

  return (int) CLAMP (v, 1, limit);
}

void
qf_geometry_init (QfGeometry *g, QfFit fit, int src_w, int src_h, int par_n,
    int par_d, int dst_w, int dst_h)
{
  g_return_if_fail (src_w > 0 && src_h > 0 && dst_w > 0 && dst_h > 0);
  g_return_if_fail (src_w < 1 << 15 && src_h < 1 << 15);
  g_return_if_fail (dst_w < 1 << 15 && dst_h < 1 << 15);

  *g = (QfGeometry){ .src_w = src_w,
    .src_h = src_h,
    .dst_w = dst_w,
    .dst_h = dst_h,
    .w = dst_w,
    .h = dst_h };
  if (fit == QF_FIT_STRETCH)
    return;
  if (par_n <= 0 || par_d <= 0)
    par_n = par_d = 1;

  /* Seen aspect src_w·par_n : src_h·par_d against that of the input. */
  if ((gint64) src_w * par_n * dst_h >= (gint64) src_h * par_d * dst_w)
    g->h = scaled (dst_w, src_h, par_d, src_w, par_n, dst_h);
  else
    g->w = scaled (dst_h, src_w, par_n, src_h, par_d, dst_w);
  g->x = (dst_w - g->w) / 2;
  g->y = (dst_h - g->h) / 2;
}

/* One direction: clips [at, at + size) to [0, limit). The size is taken from
 * the rounded start, so that at + size does not pass the limit. */
static gboolean
clip (double at, double size, int limit, float *out_at, float *out_size)
{
  double end = at + size;

  if (!(end > at) || !(end > 0) || !(at < limit)) /* NaN too */
    return FALSE;
  at = MAX (at, 0);
  end = MIN (end, limit);
  *out_at = (float) at;
  *out_size = (float) (end - (double) *out_at);
  return *out_size > 0;
}

gboolean
qf_geometry_to_source (const QfGeometry *g, QfBox *box)
{
  double sx = (double) g->src_w / g->w, sy = (double) g->src_h / g->h;

  return clip (((double) box->x - g->x) * sx, box->w * sx, g->src_w, &box->x,
             &box->w) &&
      clip (((double) box->y - g->y) * sy, box->h * sy, g->src_h, &box->y,
          &box->h);
}

void
qf_geometry_point_to_source (const QfGeometry *g, float *x, float *y)
{
  *x = (float) (((double) *x - g->x) * g->src_w / g->w);
  *y = (float) (((double) *y - g->y) * g->src_h / g->h);
}

void
qf_geometry_to_input (const QfGeometry *g, QfBox *box)
{
  double sx = (double) g->w / g->src_w, sy = (double) g->h / g->src_h;

  box->x = (float) (box->x * sx + g->x);
  box->y = (float) (box->y * sy + g->y);
  box->w = (float) (box->w * sx);
  box->h = (float) (box->h * sy);
}

gboolean
qf_fit_parse (const char *text, QfFit *fit)
{
  if (g_strcmp0 (text, "letterbox") == 0)
    *fit = QF_FIT_LETTERBOX;
  else if (g_strcmp0 (text, "stretch") == 0)
    *fit = QF_FIT_STRETCH;
  else
    return FALSE;
  return TRUE;
}

const char *
qf_fit_to_string (QfFit fit)
{
  return fit == QF_FIT_STRETCH ? "stretch" : "letterbox";
}
