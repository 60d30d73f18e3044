/* libqfuse: requantization.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"
#include "kernels/tier.h"

void QF_T (requant_s32_u8) (const QfRequant *r, const int32_t *acc, uint8_t *y,
    int pixels, int channels);
