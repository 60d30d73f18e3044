/* libqfuse: what the files of the int8 convolution share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"
#include "kernels/tier.h"

size_t QF_T (conv_s8_packed_size) (const QfConvShape *s);
void QF_T (conv_s8_pack) (const QfConvShape *s, const int8_t *w, void *packed);
size_t QF_T (conv_u8s8_scratch_size) (const QfConvShape *s);
void QF_T (conv_u8s8_s32) (const QfConvShape *s, const uint8_t *x, int x_zero,
                           const void *packed, int32_t *acc, int row0, int row1,
                           void *scratch);

/* The same for groups == in_c == out_c. */
size_t QF_T (conv_dw_packed_size) (const QfConvShape *s);
void QF_T (conv_dw_pack) (const QfConvShape *s, const int8_t *w, void *packed);
size_t QF_T (conv_dw_scratch_size) (const QfConvShape *s);
void QF_T (conv_dw_u8s8_s32) (const QfConvShape *s, const uint8_t *x,
                              int x_zero, const void *packed, int32_t *acc,
                              int row0, int row1, void *scratch);
