/* libqfuse: difference planes on x86.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"

size_t qf_difference_u8_avx2_scratch_size (int width);
void qf_difference_u8_avx2 (const QfDifference *d, const uint8_t *now,
    const uint8_t *then, void *scratch);
