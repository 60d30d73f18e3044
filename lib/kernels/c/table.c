/* libqfuse: the table of one tier made from the plain C sources.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/kernel-list.h"
#include "kernels/tables.h"
#include "kernels/c/conv.h"
#include "kernels/c/difference.h"
#include "kernels/c/eltwise.h"
#include "kernels/c/luma.h"
#include "kernels/c/move.h"
#include "kernels/c/pool.h"
#include "kernels/c/requant.h"
#include "kernels/c/scale.h"

void
QF_T (fill_table) (QfKernels *k)
{
#define SET(name) k->name = QF_T (name);
  QF_KERNEL_LIST (SET)
#undef SET
}
