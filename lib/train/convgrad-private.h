/* libqfuse: what the files of the convolution's backward pass share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "train/conv-private.h"

/** How one layer is worked through. The output gradient and the input stand in
 * blocks of channels, [block][row][column][channel], a band of rows at a time.
 * A slice is a group of the convolution, or QF_GRAD_LANES channels of a
 * depthwise one. */
typedef struct
{
  const QfConvShape *s;
  gboolean depthwise;
  int slices, in_c, out_c; /* channels of a slice; the last may have less */
  int taps, k;             /* of the window; weights of an output channel */
  int out_blocks, in_blocks;
  int x_block, x_blocks; /* channels of an input block; blocks */
  int band;              /* output rows worked on at a time, … */
  int sub;               /* … and in the weight gradient */
  int halo;              /* rows of the last band that the input's needs */
  int left, dy_w;        /* zero columns before the first; all columns */
  int x_w, x_rows;
  ptrdiff_t dy_row, dy_plane, x_row, x_plane; /* elements */
  gsize packed;  /* floats of the packed weights … */
  gsize weights; /* … and of an image's weight gradient */
} QfConvPlan;

typedef struct
{
  QfNet *net;
  QfLayer *l;
  QfConvPlan plan;
  const QfBlob *y;
  QfBlob *x;
  int lo, hi;          /* codes between which a gradient passes */
  float *k, *b;        /* [out_c]: x̂ = a·k + b */
  float *dy_k;         /* [slice][block][3][16]: (T8) */
  double *sums;        /* [images][2][out_c] */
  ptrdiff_t *off;      /* [k]: of each weight's inputs */
  float *w;            /* [slice][in block][out block][tap][16 or 1][16] */
  float *weight_grads; /* [images][slice][out block][k][16] */
  gboolean want_input, add; /* input gradient: wanted, added to */
} QfConvBackward;

void qf_conv_plan (QfConvPlan *p, const QfConvShape *s);

/** Floats of scratch for qf_conv_grad_image. */
gsize qf_conv_plan_scratch (const QfConvPlan *p);

/** Channels of slice @slice, of @all in a full one. */
static inline int
qf_conv_plan_channels (const QfConvPlan *p, int slice, int all)
{
  return p->depthwise ? MIN (QF_GRAD_LANES, p->s->in_c - slice * all) : all;
}

/** Fills @off and @w. */
void qf_conv_pack_backward (QfConvBackward *bw);

/** A task: weight and input gradients of one image. */
void qf_conv_grad_image (gpointer data, int image, int worker);
