/* libqfuse: int8 convolution, AVX-512 VNNI.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/tables.h"
#include "kernels/x86/conv.h"

static const QfConvFamily families[] = {
  { qf_conv_dw_avx512vnni_can, qf_conv_dw_avx512vnni_packed_size,
      qf_conv_dw_avx512vnni_pack, qf_conv_dw_avx512vnni_scratch_size,
      qf_conv_dw_avx512vnni_grain, qf_conv_dw_avx512vnni },
#ifndef QF_PORTABLE
  { qf_conv_dw_avx2_can, qf_conv_dw_avx2_packed_size, qf_conv_dw_avx2_pack,
      qf_conv_dw_avx2_scratch_size, qf_conv_dw_avx2_grain, qf_conv_dw_avx2 },
#endif
  { qf_conv_wino_avx512vnni_can, qf_conv_wino_avx512vnni_packed_size,
      qf_conv_wino_avx512vnni_pack, qf_conv_wino_avx512vnni_scratch_size,
      qf_conv_wino_avx512vnni_grain, qf_conv_wino_avx512vnni },
  { qf_conv_dense_avx512vnni_can, qf_conv_dense_avx512vnni_packed_size,
      qf_conv_dense_avx512vnni_pack, qf_conv_dense_avx512vnni_scratch_size,
      qf_conv_dense_avx512vnni_grain, qf_conv_dense_avx512vnni },
};

#define PARTS(run) NULL
#include "kernels/x86/conv_families.h"

void
qf_fill_table_x86_avx512vnni (QfKernels *k)
{
  set_conv (k);
}
