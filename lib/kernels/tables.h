/* libqfuse: the functions that fill a tier's table.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "kernels/kernels.h"

void qfk_fill_table_c (QfKernels *k);
void qfk_fill_table_avx2 (QfKernels *k);
void qf_fill_table_x86_avx2 (QfKernels *k);
void qfk_fill_table_avx512vnni (QfKernels *k);
void qf_fill_table_x86_avxvnni (QfKernels *k);
void qf_fill_table_x86_avx512vnni (QfKernels *k);
