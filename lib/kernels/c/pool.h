/* libqfuse: max and average pooling.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"
#include "kernels/tier.h"

void QF_T (max_pool_u8) (
    const QfConvShape *s, const uint8_t *x, uint8_t *y, int row0, int row1);
void QF_T (max_pool_f32) (
    const QfConvShape *s, const float *x, float *y, int row0, int row1);
void QF_T (sum_u8_s32) (
    const uint8_t *x, int x_zero, int32_t *sums, int pixels, int channels);
void QF_T (mean_f32) (const float *x, float *y, int pixels, int channels);
