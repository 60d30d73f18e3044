/* libqfuse: int8 dense convolution, AVX-VNNI.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/avxvnni.h"

#define QF_DENSE(name) qf_conv_dense_avxvnni_##name
#define QF_DENSE_RUN qf_conv_dense_avxvnni
#include "kernels/x86/conv_dense_vnni.h"
