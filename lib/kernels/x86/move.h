/* libqfuse: kernels of x86 that only move elements.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

void qf_transpose_avx2 (const void *x, int rows, int cols, size_t size, void *y,
    int col0, int col1);
