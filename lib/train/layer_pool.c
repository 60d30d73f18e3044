/* libqfuse: pooling in the trainer: equations (11), (12).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/layers.h"

#include <math.h>

/* First element of the input row and column of tap (@ky, @kx), or FALSE in the
 * padding. */
static gboolean
tap (const QfJob *j, int oy, int ox, int ky, int kx, gsize *at)
{
  const QfBlob *x = j->x[0];
  const QfWindow *w = &j->l->node.win;
  int iy = oy * w->stride[0] - w->pad[0] + ky * w->dilation[0];
  int ix = ox * w->stride[1] - w->pad[1] + kx * w->dilation[1];

  if (iy < 0 || iy >= x->h || ix < 0 || ix >= x->w)
    return FALSE;
  *at = ((gsize) iy * x->w + ix) * x->c;
  return TRUE;
}

/* Max pool ------------------------------------------------------------------------ */

/* Index of the largest element of a window; the first of equals. */
static gsize
window_argmax (const QfJob *j, int image, int oy, int ox, int c)
{
  const QfBlob *x = j->x[0];
  const QfWindow *w = &j->l->node.win;
  gsize base = qf_job_image_size (x) * image, best = G_MAXSIZE, at;
  float top = -INFINITY;

  for (int ky = 0; ky < w->kernel[0]; ky++)
    for (int kx = 0; kx < w->kernel[1]; kx++) {
      float v;

      if (!tap (j, oy, ox, ky, kx, &at))
        continue;
      at += base + c;
      v = j->net->quantize ? (float) x->codes[at] : x->real[at];
      if (best == G_MAXSIZE || v > top) {
        top = v;
        best = at;
      }
    }
  return best;
}

static void
max_pass (QfJob *j, int image, gboolean backward)
{
  const QfBlob *y = j->y;
  gsize to = qf_job_image_size (y) * image;

  for (int oy = 0; oy < y->h; oy++)
    for (int ox = 0; ox < y->w; ox++)
      for (int c = 0; c < y->c; c++, to++) {
        gsize from = window_argmax (j, image, oy, ox, c);

        if (backward && from != G_MAXSIZE)
          j->x[0]->grad[from] += y->grad[to];
        else if (!backward && j->net->quantize)
          y->codes[to] = from != G_MAXSIZE ? j->x[0]->codes[from] : 0;
        else if (!backward)
          y->real[to] = from != G_MAXSIZE ? j->x[0]->real[from] : 0.0f;
      }
}

void
qf_layer_max_forward (gpointer job, int image, int worker)
{
  max_pass (job, image, FALSE);
}

void
qf_layer_max_backward (gpointer job, int image, int worker)
{
  QfJob *j = job;

  if (j->x[0]->grad)
    max_pass (j, image, TRUE);
}

/* Average pool, global or not -------------------------------------------------------- */

/* Σ (code − zero), exact, or the real sum, of each channel in a window; returns
 * by how many to divide. */
static int
window_sums (const QfJob *j, int image, int oy, int ox, double *sums)
{
  const QfBlob *x = j->x[0];
  const QfNode *n = &j->l->node;
  int inside = 0;
  gsize base = qf_job_image_size (x) * image, at;

  for (int c = 0; c < x->c; c++)
    sums[c] = 0;
  for (int ky = 0; ky < n->win.kernel[0]; ky++)
    for (int kx = 0; kx < n->win.kernel[1]; kx++) {
      if (!tap (j, oy, ox, ky, kx, &at))
        continue;
      at += base;
      inside++;
      for (int c = 0; c < x->c; c++)
        sums[c] += j->net->quantize
            ? (double) ((int) x->codes[at + c] - x->zero)
            : (double) x->real[at + c];
    }
  return n->include_pad ? n->win.kernel[0] * n->win.kernel[1] : inside;
}

void
qf_layer_average_measure (gpointer job, int image, int worker)
{
  QfJob *j = job;
  const QfBlob *x = j->x[0];
  g_autofree double *sums = g_new (double, x->c);

  qf_job_start_range (j, image);
  for (int oy = 0; oy < j->y->h; oy++)
    for (int ox = 0; ox < j->y->w; ox++) {
      int count = window_sums (j, image, oy, ox, sums);
      double unit = (j->net->quantize ? (double) x->scale : 1.0) / count;

      for (int c = 0; c < x->c; c++)
        qf_job_add_range (j, image, unit * sums[c]);
    }
}

void
qf_layer_average_forward (gpointer job, int image, int worker)
{
  QfJob *j = job;
  const QfBlob *x = j->x[0], *y = j->y;
  g_autofree double *sums = g_new (double, x->c);
  gsize to = qf_job_image_size (y) * image;

  for (int oy = 0; oy < y->h; oy++)
    for (int ox = 0; ox < y->w; ox++) {
      int count = window_sums (j, image, oy, ox, sums);
      float m = x->scale / (y->scale * (float) count);

      for (int c = 0; c < x->c; c++, to++) {
        float q = rintf ((float) sums[c] * m) + (float) y->zero;

        if (j->net->quantize)
          y->codes[to]
              = (guint8) CLAMP (q, (float) j->lo_code, (float) j->hi_code);
        else
          y->real[to] = qf_job_clip (j, (float) (sums[c] / count));
      }
    }
}

void
qf_layer_average_backward (gpointer job, int image, int worker)
{
  QfJob *j = job;
  QfBlob *x = j->x[0];
  const QfWindow *w = &j->l->node.win;
  g_autofree double *sums = g_new (double, x->c);
  gsize from = qf_job_image_size (j->y) * image, at;

  if (!x->grad)
    return;
  for (int oy = 0; oy < j->y->h; oy++)
    for (int ox = 0; ox < j->y->w; ox++, from += j->y->c) {
      float share = 1.0f / (float) window_sums (j, image, oy, ox, sums);

      for (int ky = 0; ky < w->kernel[0]; ky++)
        for (int kx = 0; kx < w->kernel[1]; kx++) {
          float *g;

          if (!tap (j, oy, ox, ky, kx, &at))
            continue;
          g = x->grad + qf_job_image_size (x) * image + at;
          for (int c = 0; c < x->c; c++)
            if (qf_job_passes (j, from + c))
              g[c] += share * j->y->grad[from + c];
        }
    }
}
