/* libqfuse: what AVX2 has beyond the plain C sources.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/tables.h"
#include "kernels/x86/conv.h"
#include "kernels/x86/move.h"

void
qf_fill_table_x86_avx2 (QfKernels *k)
{
  qf_conv_set_avx2 (k);
  k->transpose = qf_transpose_avx2;
}
