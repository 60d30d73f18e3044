/* libqfuse: scaling on x86.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"

size_t qf_scale_u8_avx2_packed_size (const QfScale *s);
void qf_scale_u8_avx2_pack (const QfScale *s, void *packed);
size_t qf_scale_u8_avx2_scratch_size (const QfScale *s);
void qf_scale_u8_avx2 (const QfScale *s, const void *packed, const uint8_t *src,
    ptrdiff_t src_stride, uint8_t *dst, ptrdiff_t dst_stride, int row0,
    int row1, void *scratch);
