/* libqfuse: training's matrix products, AVX2 and FMA.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/grad.h"

#include <immintrin.h>

/* 12 sums of 8 lanes, 2 of weights and a spread one: 15 registers of 16. */
#define TILE 6
#define VECTOR __m256
#define LANES 8
#define LOAD _mm256_loadu_ps
#define STORE _mm256_storeu_ps
#define SPREAD _mm256_broadcast_ss
#define FMA _mm256_fmadd_ps
#define ZERO _mm256_setzero_ps
#include "kernels/x86/grad_tile.h"

void
qf_grad_set_avx2 (QfGradKernels *k)
{
  k->conv_dx_f32 = conv_dx_f32;
  k->conv_dw_f32 = conv_dw_f32;
}
