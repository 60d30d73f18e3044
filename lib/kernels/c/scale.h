/* libqfuse: scaling of one plane of bytes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"
#include "kernels/tier.h"

size_t QF_T (scale_packed_size) (const QfScale *s);
void QF_T (scale_pack) (const QfScale *s, void *packed);
size_t QF_T (scale_scratch_size) (const QfScale *s);
void QF_T (scale_u8) (const QfScale *s, const void *packed, const uint8_t *src,
    ptrdiff_t src_stride, uint8_t *dst, ptrdiff_t dst_stride, int row0,
    int row1, void *scratch);
