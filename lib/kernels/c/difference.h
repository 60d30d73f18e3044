/* libqfuse: the arithmetic of difference planes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"
#include "kernels/tier.h"

size_t QF_T (difference_scratch_size) (int width);
void QF_T (difference_u8) (const QfDifference *d, const uint8_t *now,
    const uint8_t *then, void *scratch);
void QF_T (mean_u16_u8) (
    const uint16_t *sum, int divisor, uint8_t *then, size_t n);
void QF_T (add_times_u16) (
    uint16_t *sum, const uint8_t *p, int times, size_t n);
