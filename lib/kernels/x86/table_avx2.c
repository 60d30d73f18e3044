/* libqfuse: what AVX2 has beyond the plain C sources.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/tables.h"
#include "kernels/x86/conv.h"
#include "kernels/x86/difference.h"
#include "kernels/x86/eltwise.h"
#include "kernels/x86/luma.h"
#include "kernels/x86/move.h"
#include "kernels/x86/scale.h"

void
qf_fill_table_x86_avx2 (QfKernels *k)
{
  qf_conv_set_avx2 (k);
  k->add_u8 = qf_add_u8_avx2;
  k->lookup_u8 = qf_lookup_u8_avx2;
  k->quantize_f32_u8 = qf_quantize_f32_u8_avx2;
  k->max_pool_u8 = qf_max_pool_u8_avx2;
  k->transpose = qf_transpose_avx2;
  k->scale_packed_size = qf_scale_u8_avx2_packed_size;
  k->scale_pack = qf_scale_u8_avx2_pack;
  k->scale_scratch_size = qf_scale_u8_avx2_scratch_size;
  k->scale_u8 = qf_scale_u8_avx2;
  k->difference_scratch_size = qf_difference_u8_avx2_scratch_size;
  k->difference_u8 = qf_difference_u8_avx2;
  k->luma_rgb_u8 = qf_luma_rgb_u8_avx2;
  k->luma_full_u8 = qf_luma_full_u8_avx2;
  k->even_u8 = qf_even_u8_avx2;
  k->ten_bits_u8 = qf_ten_bits_u8_avx2;
}
