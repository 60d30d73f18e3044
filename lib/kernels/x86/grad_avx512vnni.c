/* libqfuse: training's matrix products, AVX-512.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/grad.h"

#include <immintrin.h>

#define TILE 12
#define VECTOR __m512
#define LANES 16
#define LOAD _mm512_loadu_ps
#define STORE _mm512_storeu_ps
#define SPREAD(p) _mm512_set1_ps (*(p))
#define FMA _mm512_fmadd_ps
#define ZERO _mm512_setzero_ps
#include "kernels/x86/grad_tile.h"

void
qf_grad_set_avx512vnni (QfGradKernels *k)
{
  k->conv_dx_f32 = conv_dx_f32;
  k->conv_dw_f32 = conv_dw_f32;
}
