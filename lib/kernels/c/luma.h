/* libqfuse: luma of pixels.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"
#include "kernels/tier.h"

/** 219/255 · (0.299, 0.587, 0.114) · 2^15, rounded; their sum is that of the
 * exact ones, so that grey v has the luma of full-range grey v. */
#define QF_LUMA_R 8414
#define QF_LUMA_G 16520
#define QF_LUMA_B 3208
#define QF_LUMA_OFFSET ((16 << 15) + (1 << 14))

void QF_T (luma_rgb_u8) (
    const uint8_t *p, int step, int r, int g, int b, uint8_t *luma, size_t n);
void QF_T (luma_full_u8) (const uint8_t *y, uint8_t *luma, size_t n);
void QF_T (even_u8) (const uint8_t *p, uint8_t *y, size_t n);
void QF_T (ten_bits_u8) (const uint8_t *p, uint8_t *y, size_t n);
