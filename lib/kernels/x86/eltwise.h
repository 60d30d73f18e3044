/* libqfuse: operators on single elements and pooling, x86.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"

void qf_add_u8_avx2 (
    const QfAddU8 *p, const uint8_t *a, const uint8_t *b, uint8_t *y, size_t n);
void qf_quantize_f32_u8_avx2 (
    const QfQuantize *q, const float *x, uint8_t *y, size_t n);
void qf_lookup_u8_avx2 (
    const uint8_t *x, const uint8_t *table, uint8_t *y, size_t n);
void qf_max_pool_u8_avx2 (
    const QfConvShape *s, const uint8_t *x, uint8_t *y, int row0, int row1);
