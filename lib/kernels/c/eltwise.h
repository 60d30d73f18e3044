/* libqfuse: operators on single elements.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"
#include "kernels/tier.h"

void QF_T (add_u8) (
    const QfAddU8 *p, const uint8_t *a, const uint8_t *b, uint8_t *y, size_t n);
void QF_T (mul_u8) (
    const QfAddU8 *p, const uint8_t *a, const uint8_t *b, uint8_t *y, size_t n);
void QF_T (lookup_u8) (
    const uint8_t *x, const uint8_t *table, uint8_t *y, size_t n);
void QF_T (quantize_f32_u8) (
    const QfQuantize *q, const float *x, uint8_t *y, size_t n);
void QF_T (dequantize_u8_f32) (
    const uint8_t *x, float scale, int zero, float *y, size_t n);
void QF_T (add_f32) (
    const float *a, const float *b, float lo, float hi, float *y, size_t n);
void QF_T (affine_f32) (const float *x, const float *mult, const float *add,
    float lo, float hi, float *y, int pixels, int channels);
void QF_T (sigmoid_f32) (const float *x, float *y, size_t n);
