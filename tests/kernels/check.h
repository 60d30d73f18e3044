/* Kernel tests: what the families share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/rng.h"
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** One test of one kernel of the tier @k; prints what differs. */
typedef int (*CheckFunc) (const QfKernels *k, QfRng *rng);

/** Memory with random guard bytes before and behind. */
void *check_alloc (QfRng *rng, size_t size);

/** 0 where a guard was overwritten (printed). Frees. */
int check_free (void *p, const char *what);

/** How many of @n random cases to try: at least 1, fewer under an emulator. */
int check_rounds (int n);

/** In @lo … @hi. */
int check_int (QfRng *rng, int lo, int hi);

/** Fills with bytes: random, or the extremes only, by @worst. */
void check_codes (QfRng *rng, uint8_t *p, size_t n, int worst);
void check_weights (QfRng *rng, int8_t *p, size_t n, int worst);

#define CHECK_FAIL(...) (printf ("# " __VA_ARGS__), printf ("\n"), 0)

/** Shapes of a convolution: @kind 0 dense, 1 of 1x1, 2 depthwise, 3 grouped,
 * 4 dense 3x3 of stride 1. */
QfConvShape check_shape_random (QfRng *rng, int kind);
void check_print_shape (const QfConvShape *s);

/** Times convolutions of one tier, those with @part in their names, and prints a
 * table. */
void bench (const QfKernels *k, QfRng *rng, const char *part);

/** The same of what is no convolution, beside the tier "c" and a copy. */
void bench_bytes (const QfKernels *k, QfRng *rng, const char *part);

int check_conv (const QfKernels *k, QfRng *rng);
int check_requant (const QfKernels *k, QfRng *rng);
int check_add_u8 (const QfKernels *k, QfRng *rng);
int check_mul_u8 (const QfKernels *k, QfRng *rng);
int check_lookup_u8 (const QfKernels *k, QfRng *rng);
int check_quantize_f32_u8 (const QfKernels *k, QfRng *rng);
int check_dequantize_u8_f32 (const QfKernels *k, QfRng *rng);
int check_sum_u8_s32 (const QfKernels *k, QfRng *rng);
int check_max_pool_u8 (const QfKernels *k, QfRng *rng);
int check_conv_f32 (const QfKernels *k, QfRng *rng);
int check_add_f32 (const QfKernels *k, QfRng *rng);
int check_affine_f32 (const QfKernels *k, QfRng *rng);
int check_sigmoid_f32 (const QfKernels *k, QfRng *rng);
int check_max_pool_f32 (const QfKernels *k, QfRng *rng);
int check_mean_f32 (const QfKernels *k, QfRng *rng);
int check_transpose (const QfKernels *k, QfRng *rng);
int check_resize_nearest (const QfKernels *k, QfRng *rng);
int check_scale (const QfKernels *k, QfRng *rng);
int check_luma_rgb_u8 (const QfKernels *k, QfRng *rng);
int check_luma_bytes (const QfKernels *k, QfRng *rng);
int check_difference (const QfKernels *k, QfRng *rng);
int check_mean (const QfKernels *k, QfRng *rng);
