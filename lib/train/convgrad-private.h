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
  gboolean wino; /* convgradwino.c does it */
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
  int tiles_h, tiles_w; /* of 2x2 pixels, with wino; band counts their rows */
  gsize scratch; /* floats that one worker needs, … */
  gsize packed;  /* … floats of the packed weights … */
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

/** What convgradwino.c needs of the plan, where it does the shape. */
void qf_conv_wino_plan (QfConvPlan *p);

void qf_conv_plan (QfConvPlan *p, const QfConvShape *s);

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

/** Output gradient of row @oy, zeros where there is none: [out_w][16] for each
 * output block, @plane apart. */
void qf_conv_dy_row (const QfConvBackward *bw, int image, int slice, int oy,
    float *to, ptrdiff_t plane);

/** Input row @iy, less its zero point, zeros where there is none, of input block
 * @block: [pad_left + in_w][x_block]. What is beside the image is not
 * written. */
void qf_conv_x_row (const QfConvBackward *bw, int image, int slice, int block,
    int iy, float *row);

/* convgradwino.c */
void qf_conv_wino_pack (QfConvBackward *bw);
void qf_conv_wino_image (gpointer data, int image, int worker);
/** 3x3 gradients from the sum @m of one input channel's transforms, [16] at
 * @step floats: [9][16]. */
void qf_conv_wino_weights (float m[16][QF_GRAD_LANES],
    float dw[9][QF_GRAD_LANES]);
