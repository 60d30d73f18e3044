/* libqfuse: the functions that fill a tier's table of training's kernels.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/grad.h"

void qf_grad_set_avx2 (QfGradKernels *k);
void qf_grad_set_avx512vnni (QfGradKernels *k);
