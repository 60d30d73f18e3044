/* libqfuse: int8 dense convolution, AVX-512 VNNI.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/avx512vnni.h"

#define QF_DENSE(name) qf_conv_dense_avx512vnni_##name
#define QF_DENSE_RUN qf_conv_dense_avx512vnni
#include "kernels/x86/conv_dense_vnni.h"
