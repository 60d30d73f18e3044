/* libqfuse: Winograd's transforms for training.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/grad.h"
#include "kernels/tier.h"

void QF_T (wino_dy_f32) (const float *dy, ptrdiff_t row, int tiles, float *t,
                         ptrdiff_t plane);
void QF_T (wino_x_f32) (const float *x, ptrdiff_t row, int tiles, float *t,
                        ptrdiff_t plane);
void QF_T (wino_dx_f32) (const float *t, ptrdiff_t plane, int tiles, float *dx,
                         ptrdiff_t row);
