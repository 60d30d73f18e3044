/* libqfuse: int8 convolution, AVX-VNNI.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/tables.h"
#include "kernels/x86/conv.h"

static const QfConvFamily families[] = {
#ifndef QF_PORTABLE
  { qf_conv_dw32_avx2_can, qf_conv_dw32_avx2_packed_size,
      qf_conv_dw32_avx2_pack, qf_conv_dw32_avx2_scratch_size,
      qf_conv_dw32_avx2_grain, qf_conv_dw32_avx2 },
  { qf_conv_dw_avx2_can, qf_conv_dw_avx2_packed_size, qf_conv_dw_avx2_pack,
      qf_conv_dw_avx2_scratch_size, qf_conv_dw_avx2_grain, qf_conv_dw_avx2 },
#endif
  { qf_conv_dense_avxvnni_can, qf_conv_dense_avxvnni_packed_size,
      qf_conv_dense_avxvnni_pack, qf_conv_dense_avxvnni_scratch_size,
      qf_conv_dense_avxvnni_grain, qf_conv_dense_avxvnni },
};

#define PARTS(run) NULL
#include "kernels/x86/conv_families.h"

void
qf_fill_table_x86_avxvnni (QfKernels *k)
{
  set_conv (k);
}
