/* libqfuse: the arithmetic of difference planes, for lib/vision only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"
#include "vision/planes.h"

G_BEGIN_DECLS

/** @then = (@sum + n/2) / n. @sum ≤ 255·n, n ≤ QF_MAX_DISTANCE. */
void qf_mean (const guint16 *sum, int n, gsize size, guint8 *then);

/** @sum += @times · @picture, modulo 2^16. */
void qf_sum_add (guint16 *sum, const guint8 *picture, int times, gsize size);

G_END_DECLS
