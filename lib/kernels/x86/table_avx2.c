/* libqfuse: what AVX2 has beyond the plain C sources.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/tables.h"
#include "kernels/x86/conv.h"
#include "kernels/x86/move.h"

void
qf_fill_table_x86_avx2 (QfKernels *k)
{
  k->conv_s8_packed_size = qf_conv_s8_packed_size_avx2;
  k->conv_s8_pack = qf_conv_s8_pack_avx2;
  k->conv_u8s8_scratch_size = qf_conv_u8s8_scratch_size_avx2;
  k->conv_u8s8_s32 = qf_conv_u8s8_s32_avx2;
  k->conv_u8s8_grain = qf_conv_u8s8_grain_avx2;
  k->conv_u8s8_u8 = qf_conv_u8s8_u8_avx2;
  k->transpose = qf_transpose_avx2;
}
