/* libqfuse: what the files of the int8 convolution share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"
#include "kernels/tier.h"

size_t QF_T (conv_s8_packed_size) (const QfConvShape *s);
void QF_T (conv_s8_pack) (const QfConvShape *s, const int8_t *w, void *packed);
size_t QF_T (conv_s8_packed_used) (const QfConvShape *s, const void *packed);
size_t QF_T (conv_u8s8_scratch_size) (const QfConvShape *s);
void QF_T (conv_u8s8_s32) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, int32_t *acc, int row0, int row1, void *scratch);

void QF_T (conv_u8s8_grain) (
    const QfConvShape *s, const QfRequant *r, int *rows, int *channels);
void QF_T (conv_u8s8_u8) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, uint8_t *y, int row0, int row1,
    int c0, int c1, void *scratch);

/** Bytes of sums of as many rows as qf_conv_by_sums() takes together. */
size_t QF_T (conv_sums_size) (const QfConvShape *s);

/** conv_u8s8_u8 through sums of some rows at a time, which are the first
 * conv_sums_size() bytes of @scratch. */
void QF_T (conv_by_sums) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, uint8_t *y, int row0, int row1,
    void *scratch,
    void (*conv) (const QfConvShape *s, const uint8_t *x, int x_zero,
        const void *packed, int32_t *acc, int row0, int row1, void *scratch));

int QF_T (conv_u8s8_parts_unit) (
    const QfConvShape *s, const QfRequant *r, int pixels);
size_t QF_T (conv_u8s8_parts_scratch_size) (const QfConvShape *s);
void QF_T (conv_u8s8_u8_parts) (const QfConvShape *s, const uint8_t *x,
    int x_zero, const void *packed, const QfRequant *r, const QfPart *parts,
    int n, uint8_t *y, void *scratch);

/** conv_u8s8_u8 of any tier. */
typedef void (*QfConvU8) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, uint8_t *y, int row0, int row1,
    int c0, int c1, void *scratch);

/** Parts, each by a call of @conv on a patch of the input; what @conv needs of
 * scratch is told by @scratch_size. */
size_t QF_T (conv_patches_size) (
    const QfConvShape *s, size_t (*scratch_size) (const QfConvShape *s));
void QF_T (conv_by_patches) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, const QfPart *parts, int n,
    uint8_t *y, void *scratch, QfConvU8 conv);

/* The same for groups == in_c == out_c. */
size_t QF_T (conv_dw_packed_size) (const QfConvShape *s);
void QF_T (conv_dw_pack) (const QfConvShape *s, const int8_t *w, void *packed);
size_t QF_T (conv_dw_scratch_size) (const QfConvShape *s);
void QF_T (conv_dw_u8s8_s32) (const QfConvShape *s, const uint8_t *x,
    int x_zero, const void *packed, int32_t *acc, int row0, int row1,
    void *scratch);

/* The same for short windows; sizes are those of conv_f32. */
int QF_T (conv_is_short) (const QfConvShape *s);
void QF_T (conv_short_pack) (
    const QfConvShape *s, const int8_t *w, void *packed);
void QF_T (conv_short) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, int32_t *acc, int row0, int row1, void *scratch);

size_t QF_T (conv_f32_packed_size) (const QfConvShape *s);
void QF_T (conv_f32_pack) (const QfConvShape *s, const float *w, void *packed);
size_t QF_T (conv_f32_scratch_size) (const QfConvShape *s);
void QF_T (conv_f32) (const QfConvShape *s, const float *x, const void *packed,
    const float *bias, float lo, float hi, float *y, int row0, int row1,
    void *scratch);
