/* libqfuse: Add and Mul in the trainer: equations (10).
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The first operand has the output's shape, the second the same or one value a
 * channel. */
#include "train/layers.h"

#include <math.h>
#include <string.h>

static gboolean
by_channel (const QfJob *j)
{
  return qf_job_image_size (j->x[1]) != qf_job_image_size (j->y);
}

/* Where the second operand of element @i of the batch stands. */
static gsize
second (const QfJob *j, int image, gsize i)
{
  gsize c = (gsize) j->y->c;

  return by_channel (j) ? (gsize) image * c + i % c : i;
}

static float
combine (const QfJob *j, gsize i, gsize k)
{
  float a = qf_job_real (j, j->x[0], i), b = qf_job_real (j, j->x[1], k);

  return j->l->kind == QF_LAYER_MUL ? a * b : a + b;
}

void
qf_layer_two_measure (gpointer job, int image, int worker)
{
  QfJob *j = job;
  gsize n = qf_job_image_size (j->y), at = n * image;

  qf_job_start_range (j, image);
  for (gsize i = at; i < at + n; i++)
    qf_job_add_range (j, image, (double) combine (j, i, second (j, image, i)));
}

void
qf_layer_two_forward (gpointer job, int image, int worker)
{
  QfJob *j = job;
  const QfKernels *k = j->net->kernels;
  const QfBlob *a = j->x[0], *b = j->x[1], *y = j->y;
  gsize n = qf_job_image_size (y), at = n * image, c = (gsize) y->c;
  gsize step = by_channel (j) ? c : n;
  const QfAddU8 p = { a->scale, b->scale, y->scale, a->zero, b->zero, y->zero,
    j->lo_code, j->hi_code };

  for (gsize i = at; i < at + n; i += step) {
    if (j->net->quantize)
      (j->l->kind == QF_LAYER_MUL ? k->mul_u8 : k->add_u8) (&p, a->codes + i,
          b->codes + second (j, image, i), y->codes + i, step);
    else
      for (gsize m = i; m < i + step; m++)
        y->real[m] = qf_job_clip (j, combine (j, m, second (j, image, m)));
  }
}

void
qf_layer_two_backward (gpointer job, int image, int worker)
{
  QfJob *j = job;
  gboolean mul = j->l->kind == QF_LAYER_MUL;
  QfBlob *a = j->x[0], *b = j->x[1];
  gsize n = qf_job_image_size (j->y), at = n * image;

  for (gsize i = at; i < at + n; i++) {
    gsize k = second (j, image, i);
    float g = j->y->grad[i];

    if (!qf_job_passes (j, i))
      continue;
    if (a->grad)
      a->grad[i] += mul ? g * qf_job_real (j, b, k) : g;
    if (b->grad)
      b->grad[k] += mul ? g * qf_job_real (j, a, i) : g;
  }
}
