/* libqfuse: chooses training's float32 kernels.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/grad.h"
#include "kernels/cpu.h"
#include "kernels/x86/grad.h"

#include <pthread.h>
#include <string.h>

extern const QfGradKernels qfk_grad_kernels_c;
#ifdef QF_HAVE_TIER_AVX2
extern const QfGradKernels qfk_grad_kernels_avx2;
#endif
#ifdef QF_HAVE_TIER_AVX512VNNI
extern const QfGradKernels qfk_grad_kernels_avx512vnni;
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static QfGradKernels tables[QF_N_CPU];

/* The plain C sources of the tier, and over them what is written by hand. */
static void
fill (void)
{
  for (int i = 0; i < QF_N_CPU; i++) {
    tables[i] = qfk_grad_kernels_c;
#ifdef QF_HAVE_TIER_AVX2
    if (i >= QF_CPU_AVX2) {
      tables[i] = qfk_grad_kernels_avx2;
      qf_grad_set_avx2 (&tables[i]);
    }
#endif
#ifdef QF_HAVE_TIER_AVX512VNNI
    if (i == QF_CPU_AVX512VNNI) {
      tables[i] = qfk_grad_kernels_avx512vnni;
      qf_grad_set_avx512vnni (&tables[i]);
    }
#endif
  }
}

static const QfGradKernels *
table (QfCpuLevel level)
{
  pthread_once (&once, fill);
  return &tables[level];
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
    if (qf_cpu_has ((QfCpuLevel)i)
        && strcmp (qf_cpu_level_name ((QfCpuLevel)i), name) == 0)
      return table ((QfCpuLevel)i);
  return NULL;
}
