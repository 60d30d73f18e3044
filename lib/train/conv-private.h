/* libqfuse: what the files of the convolution layer share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "train/net.h"

/* netmake.c */

/** Fills @net's blobs, layers, input and outputs. */
gboolean qf_net_make_layers (QfNet *net, const QfGraph *g, GError **error);

/* net.c */

/** Allocates what is learned and the fused parameters; γ = 1, variance 1. */
void qf_conv_alloc (QfConvLayer *cv);

/* conv.c */
void qf_conv_take_statistics (QfConvLayer *cv, int c, double mean, double var,
    gint64 count);
void qf_conv_move_range (QfNet *net, QfLayer *l, QfBlob *y, double lo,
    double hi);
/* Makes the fused quantized parameters from the running statistics. */
void qf_conv_use_running (QfNet *net, QfLayer *l);
void qf_conv_fuse_float (QfNet *net, QfLayer *l, gboolean moves);

/* convfloat.c: the same layer without rounding */
void qf_conv_float_forward (QfNet *net, QfLayer *l, const float *x, float *y,
    int worker);
void qf_conv_float_finish (QfNet *net, QfLayer *l, int n, gboolean moves);

/* ranges.c */

#define QF_RANGE_WARM 64 /* batches before a bound is learned */

/** Whether the end of @l's output range is learned or follows a percentile. */
gboolean qf_range_learns (const QfNet *net, const QfLayer *l);

/** Moves the range of such an output, @hi while its bound is not learned yet. */
void qf_range_move (QfBlob *y, double hi);

/** The bound's gradient from the output's, or with percentile_ranges the bound
 * itself from the output; before qf_conv_backward(). */
void qf_range_backward (QfNet *net, QfLayer *l, int n);

/* convgrad.c */

/** Rows and columns of the zero-padded input that the window touches. */
int qf_conv_padded_h (const QfConvShape *s);
int qf_conv_padded_w (const QfConvShape *s);

/** Whether a float net's gradient passes the clamp of @l at the output @v. */
static inline gboolean
qf_conv_passes (const QfNet *net, const QfLayer *l, const QfBlob *y, float v)
{
  return !l->clip
      || (v > l->clip_lo && v < l->clip_hi
          && !(net->bound_relu && v >= (float) y->range.hi));
}

/** Depthwise: every group has one input and one output channel. */
static inline gboolean
qf_conv_is_depthwise (const QfConvShape *s)
{
  return s->groups > 1 && s->groups == s->in_c && s->in_c == s->out_c;
}
