/* libqfuse: Concat, Slice and Resize in the trainer: equations (12).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/layers.h"

#include <string.h>

/* Concat over channels -------------------------------------------------------- */

enum
{
  CONCAT_BYTES = 8192 /* codes that are looked up at a time */
};

/* Input @k of @pixels pixels from the batch's pixel @p on, to channel @c of the
 * output's. */
static void
concat_codes (const QfJob *j, int k, gsize p, gsize pixels, int c)
{
  const QfBlob *x = j->x[k], *y = j->y;
  guint8 codes[CONCAT_BYTES];
  gsize step = MAX (1, CONCAT_BYTES / x->c), end = p + pixels;

  for (; p < end; p += step)
    for (int from = 0; from < x->c; from += CONCAT_BYTES) {
      gsize n = MIN (step, end - p);
      gsize c_n = MIN (CONCAT_BYTES, x->c - from);

      j->net->kernels->lookup_u8 (x->codes + p * x->c + from, j->table[k],
          codes, n * c_n);
      for (gsize i = 0; i < n; i++)
        memcpy (y->codes + (p + i) * y->c + c + from, codes + i * c_n, c_n);
    }
}

void
qf_layer_concat_forward (gpointer job, int image, int worker)
{
  QfJob *j = job;
  gsize pixels = (gsize) j->y->h * j->y->w, first = pixels * image;
  int at = 0;

  for (int k = 0; k < j->l->n_in; at += j->x[k++]->c) {
    const QfBlob *x = j->x[k];

    if (j->net->quantize)
      concat_codes (j, k, first, pixels, at);
    else
      for (gsize p = first; p < first + pixels; p++)
        memcpy (j->y->real + p * j->y->c + at, x->real + p * x->c,
            sizeof (float) * x->c);
  }
}

void
qf_layer_concat_backward (gpointer job, int image, int worker)
{
  QfJob *j = job;
  gsize pixels = (gsize) j->y->h * j->y->w;

  for (gsize p = pixels * image; p < pixels * (image + 1); p++) {
    const float *g = j->y->grad + p * j->y->c;

    for (int k = 0; k < j->l->n_in; g += j->x[k++]->c) {
      QfBlob *x = j->x[k];

      for (int c = 0; x->grad && c < x->c; c++)
        x->grad[p * x->c + c] += g[c];
    }
  }
}

/* The output's range is the union of the inputs' ranges. */
void
qf_layer_concat_prepare (QfJob *j)
{
  double lo = 0, hi = 0;

  if (!j->net->quantize)
    return;
  for (int k = 0; k < j->l->n_in; k++) {
    const QfBlob *x = j->x[k];

    lo = MIN (lo, -(double) x->scale * x->zero);
    hi = MAX (hi, (double) x->scale * (x->top - x->zero));
  }
  j->y->range = (QfRange){ lo, hi, 1 };
  qf_blob_set_scale (j->y);
  for (int k = 0; k < j->l->n_in; k++)
    for (int q = 0; q < 256; q++)
      j->table[k][q] = qf_job_quantize (j, j->y,
          j->x[k]->scale * (float) (q - j->x[k]->zero));
}

/* Slice -------------------------------------------------------------------------- */

/* Where pixel (@oy, @ox) of the output starts in the input. */
static gsize
slice_source (const QfJob *j, int image, int oy, int ox)
{
  const QfNode *n = &j->l->node;
  const QfBlob *x = j->x[0];
  int down = n->axis == 2 ? n->begin : 0, across = n->axis == 3 ? n->begin : 0;

  return qf_job_image_size (x) * image
      + ((gsize) (oy + down) * x->w + ox + across) * x->c
      + (n->axis == 1 ? n->begin : 0);
}

void
qf_layer_slice_forward (gpointer job, int image, int worker)
{
  QfJob *j = job;
  const QfBlob *y = j->y;
  gsize to = qf_job_image_size (y) * image;

  for (int oy = 0; oy < y->h; oy++)
    for (int ox = 0; ox < y->w; ox++, to += y->c) {
      gsize from = slice_source (j, image, oy, ox);

      if (j->net->quantize)
        memcpy (y->codes + to, j->x[0]->codes + from, y->c);
      else
        memcpy (y->real + to, j->x[0]->real + from, sizeof (float) * y->c);
    }
}

void
qf_layer_slice_backward (gpointer job, int image, int worker)
{
  QfJob *j = job;
  const QfBlob *y = j->y;
  gsize to = qf_job_image_size (y) * image;

  if (!j->x[0]->grad)
    return;
  for (int oy = 0; oy < y->h; oy++)
    for (int ox = 0; ox < y->w; ox++, to += y->c) {
      float *g = j->x[0]->grad + slice_source (j, image, oy, ox);

      for (int c = 0; c < y->c; c++)
        g[c] += y->grad[to + c];
    }
}

/* Nearest resize by whole factors ------------------------------------------------- */

void
qf_layer_resize_forward (gpointer job, int image, int worker)
{
  QfJob *j = job;
  const QfBlob *x = j->x[0], *y = j->y;
  gsize from = qf_job_image_size (x) * image, to = qf_job_image_size (y) * image;
  gboolean codes = j->net->quantize;

  j->net->kernels->resize_nearest (
      codes ? (gpointer) (x->codes + from) : (gpointer) (x->real + from), x->w,
      x->c, codes ? 1 : sizeof (float), j->l->node.scale_h, j->l->node.scale_w,
      codes ? (gpointer) (y->codes + to) : (gpointer) (y->real + to), 0, y->h);
}

void
qf_layer_resize_backward (gpointer job, int image, int worker)
{
  QfJob *j = job;
  const QfBlob *x = j->x[0], *y = j->y;
  gsize to = qf_job_image_size (y) * image;

  if (!x->grad)
    return;
  for (int oy = 0; oy < y->h; oy++)
    for (int ox = 0; ox < y->w; ox++, to += y->c) {
      float *g = x->grad + qf_job_image_size (x) * image
          + ((gsize) (oy / j->l->node.scale_h) * x->w
                + ox / j->l->node.scale_w) * x->c;

      for (int c = 0; c < y->c; c++)
        g[c] += y->grad[to + c];
    }
}
