/* libqfuse: the arithmetic of difference planes: loops in lib/kernels.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/difference-private.h"

void
qf_mean (const guint16 *sum, int n, gsize size, guint8 *then)
{
  qf_kernels ()->mean_u16_u8 (sum, n, then, size);
}

void
qf_sum_add (guint16 *sum, const guint8 *picture, int times, gsize size)
{
  qf_kernels ()->add_times_u16 (sum, picture, times, size);
}
