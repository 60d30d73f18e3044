/* libqfuse: chooses training's float32 kernels.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/grad.h"
#include "kernels/cpu.h"

#include <string.h>

extern const QfGradKernels qfk_grad_kernels_c;
#ifdef QF_HAVE_TIER_AVX2
extern const QfGradKernels qfk_grad_kernels_avx2;
#endif
#ifdef QF_HAVE_TIER_AVX512VNNI
extern const QfGradKernels qfk_grad_kernels_avx512vnni;
#endif

static const QfGradKernels *
table (QfCpuLevel level)
{
#ifdef QF_HAVE_TIER_AVX512VNNI
  if (level == QF_CPU_AVX512VNNI)
    return &qfk_grad_kernels_avx512vnni;
#endif
#ifdef QF_HAVE_TIER_AVX2
  if (level >= QF_CPU_AVX2)
    return &qfk_grad_kernels_avx2;
#endif
  return &qfk_grad_kernels_c;
}

const QfGradKernels *
qf_grad_kernels (void)
{
  return table (qf_cpu_level ());
}

const QfGradKernels *
qf_grad_kernels_tier (const char *name)
{
  for (int i = 0; i < QF_N_CPU; i++)
    if (qf_cpu_has ((QfCpuLevel) i) &&
        strcmp (qf_cpu_level_name ((QfCpuLevel) i), name) == 0)
      return table ((QfCpuLevel) i);
  return NULL;
}
