/* libqfuse: int8 convolution, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/conv.h"

static const QfConvFamily families[] = {
  { qf_conv_dw32_avx2_can, qf_conv_dw32_avx2_packed_size,
      qf_conv_dw32_avx2_pack, qf_conv_dw32_avx2_scratch_size,
      qf_conv_dw32_avx2_grain, qf_conv_dw32_avx2 },
  { qf_conv_dw_avx2_can, qf_conv_dw_avx2_packed_size, qf_conv_dw_avx2_pack,
      qf_conv_dw_avx2_scratch_size, qf_conv_dw_avx2_grain, qf_conv_dw_avx2 },
  { qf_conv_few_avx2_can, qf_conv_few_avx2_packed_size, qf_conv_few_avx2_pack,
      qf_conv_few_avx2_scratch_size, qf_conv_few_avx2_grain, qf_conv_few_avx2 },
  { qf_conv_wino_avx2_can, qf_conv_wino_avx2_packed_size,
      qf_conv_wino_avx2_pack, qf_conv_wino_avx2_scratch_size,
      qf_conv_wino_avx2_grain, qf_conv_wino_avx2 },
  { qf_conv_point_avx2_can, qf_conv_point_avx2_packed_size,
      qf_conv_point_avx2_pack, qf_conv_point_avx2_scratch_size,
      qf_conv_point_avx2_grain, qf_conv_point_avx2,
      qf_conv_point_avx2_packed_used },
  { qf_conv_dense_avx2_can, qf_conv_dense_avx2_packed_size,
      qf_conv_dense_avx2_pack, qf_conv_dense_avx2_scratch_size,
      qf_conv_dense_avx2_grain, qf_conv_dense_avx2 },
};

#define PARTS(run) qf_conv_parts_avx2 (run)
#include "kernels/x86/conv_families.h"

void
qf_conv_set_avx2 (QfKernels *k)
{
  set_conv (k);
}
