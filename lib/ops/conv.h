/* libqfuse: what convolutions share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ops/ops-private.h"

G_BEGIN_DECLS

typedef struct
{
  QfSlide s;
  gint64 batch, groups, ic, oc; /**< channels of one group */
  int rank;
  gint64 dims[QF_MAX_RANK]; /**< of the result */
} QfConvCall;

/** Reads a convolution of input 0 with weights in input @w_in. */
gboolean qf_conv_read (QfCall *c, int w_in, QfConvCall *k, GError **error);

gint64 qf_conv_macs (const QfConvCall *k);

/** Adds the convolution to @y; padding is 0. */
void qf_conv_sums_f32 (
    const QfConvCall *k, const float *x, const float *w, float *y);
/** The same in int32, modulo 2^32. */
void qf_conv_sums_i32 (
    const QfConvCall *k, const guint32 *x, const guint32 *w, guint32 *y);

G_END_DECLS
