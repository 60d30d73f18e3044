/* libqfuse: luma of pixels on x86.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"

void qf_luma_rgb_u8_avx2 (
    const uint8_t *p, int step, int r, int g, int b, uint8_t *luma, size_t n);
void qf_luma_full_u8_avx2 (const uint8_t *y, uint8_t *luma, size_t n);
void qf_even_u8_avx2 (const uint8_t *p, uint8_t *y, size_t n);
void qf_ten_bits_u8_avx2 (const uint8_t *p, uint8_t *y, size_t n);
