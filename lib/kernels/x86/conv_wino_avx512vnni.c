/* libqfuse: int8 3x3 convolution by Winograd's F(4x4, 3x3), exact, AVX-512
 * VNNI. SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * vpdpwssd makes half as many products an instruction as vpdpbusd does for the
 * direct kernel, of a quarter as many. */
#include "kernels/x86/wino_avx512vnni.h"

#define QF_WINO_X QF_TILE_X
#define QF_WINO_Y (2 * QF_LANES)
#define QF_WINO_LANES QF_LANES
#define QF_WINO_IN (2 * QF_LANES)
#define QF_WINO_BYTES (600 * 1024) /* L2 has 1 MiB or more */
#define QF_WINO_WORTH (1.0 / 3)
#define QF_WINO(name) qf_conv_wino_avx512vnni_##name
#define QF_WINO_RUN qf_conv_wino_avx512vnni
#define QF_WINO_DENSE(name) qf_conv_dense_avx512vnni_##name
#define QF_WINO_DENSE_RUN qf_conv_dense_avx512vnni
#include "kernels/x86/conv_wino.h"
