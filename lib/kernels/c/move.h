/* libqfuse: operators that only move elements.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"
#include "kernels/tier.h"

void QF_T (transpose) (const void *x, int rows, int cols, size_t size, void *y,
    int col0, int col1);
void QF_T (resize_nearest) (const void *x, int in_w, int c, size_t size,
    int scale_h, int scale_w, void *y, int row0, int row1);
