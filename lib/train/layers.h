/* libqfuse: the layers without weights, for lib/train/layer*.c only.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Forward works on codes with the engine's own equations (docs/numerics.md,
 * "Other operators"); in a float net on real values. Backward passes are
 * straight-through at each rounding and zero outside a clamp. */
#pragma once

#include "train/net.h"

/** One layer and one batch at work. */
typedef struct
{
  QfNet *net;
  QfLayer *l;
  QfBlob *y;
  QfBlob *x[QF_MAX_INPUTS];
  int n; /* images */
  guint8 table[QF_MAX_INPUTS][256];
  int lo_code, hi_code; /* the output's clamp */
  double *range;        /* [images][2], where a pass measures it */
} QfJob;

/** One operator: a row of the table in simple.c. The tasks are images. */
typedef struct
{
  QfOp op;        /* in a graph */
  QfTask measure; /* the range of the output, or NULL */
  void (*prepare) (QfJob *j); /* once a batch, or NULL */
  QfTask forward;
  QfTask backward;      /* adds to the inputs' grad */
  gboolean keeps_scale; /* the output has the input's scale */
} QfLayerOps;

static inline gsize
qf_job_image_size (const QfBlob *b)
{
  return (gsize) b->h * b->w * b->c;
}

/** Real value of element @i of the whole batch. */
static inline float
qf_job_real (const QfJob *j, const QfBlob *b, gsize i)
{
  return j->net->quantize ? b->scale * (float) ((int) b->codes[i] - b->zero)
                          : b->real[i];
}

/** Whether the output's element @i lies inside its clamp. */
static inline gboolean
qf_job_passes (const QfJob *j, gsize i)
{
  float v;

  if (!j->l->clip)
    return TRUE;
  v = qf_job_real (j, j->y, i);
  return v > j->l->clip_lo && v < j->l->clip_hi;
}

/** clamp(rne(v / scale) + zero, 0, the blob's largest code). */
guint8 qf_job_quantize (const QfJob *j, const QfBlob *b, float v);

/** @v within the layer's clip. */
float qf_job_clip (const QfJob *j, float v);

/** Takes the least and largest of @v into the range of @image. */
void qf_job_start_range (QfJob *j, int image);
static inline void
qf_job_add_range (QfJob *j, int image, double v)
{
  j->range[2 * image] = MIN (j->range[2 * image], v);
  j->range[2 * image + 1] = MAX (j->range[2 * image + 1], v);
}

/* layer_two.c */
void qf_layer_two_measure (gpointer job, int image, int worker);
void qf_layer_two_forward (gpointer job, int image, int worker);
void qf_layer_two_backward (gpointer job, int image, int worker);

/* layer_move.c */
void qf_layer_concat_prepare (QfJob *j);
void qf_layer_concat_forward (gpointer job, int image, int worker);
void qf_layer_concat_backward (gpointer job, int image, int worker);
void qf_layer_slice_forward (gpointer job, int image, int worker);
void qf_layer_slice_backward (gpointer job, int image, int worker);
void qf_layer_resize_forward (gpointer job, int image, int worker);
void qf_layer_resize_backward (gpointer job, int image, int worker);

/* layer_pool.c */
void qf_layer_max_forward (gpointer job, int image, int worker);
void qf_layer_max_backward (gpointer job, int image, int worker);
void qf_layer_average_measure (gpointer job, int image, int worker);
void qf_layer_average_forward (gpointer job, int image, int worker);
void qf_layer_average_backward (gpointer job, int image, int worker);

/* layer_function.c */
void qf_layer_function_prepare (QfJob *j);
void qf_layer_function_forward (gpointer job, int image, int worker);
void qf_layer_function_backward (gpointer job, int image, int worker);
