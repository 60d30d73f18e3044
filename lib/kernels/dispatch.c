/* libqfuse: chooses the kernels.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/cpu.h"
#include "kernels/kernel-list.h"
#include "kernels/tables.h"

#include <pthread.h>
#include <string.h>

/* A kernel in the table that is not in the list cannot be. */
#define COUNT(name) +1
_Static_assert(sizeof (QfKernels) ==
        sizeof (const char *) +
            (0 QF_KERNEL_LIST (COUNT)) * sizeof (void (*) (void)),
    "kernel-list.h does not have every kernel of kernels.h");

static pthread_once_t once = PTHREAD_ONCE_INIT;
static QfKernels tables[QF_N_CPU];

/* Each tier starts as one below and overwrites what it has; both of VNNI start
 * as AVX2. What was written by hand for AVX2 goes before C for AVX-512. */
static void
fill (QfKernels *k, QfCpuLevel level)
{
  k->name = qf_cpu_level_name (level);
  qfk_fill_table_c (k);
  if (level < QF_CPU_AVX2)
    return;
#ifdef QF_HAVE_TIER_AVX2
  qfk_fill_table_avx2 (k);
#ifdef QF_HAVE_TIER_AVX512VNNI
  if (level == QF_CPU_AVX512VNNI)
    qfk_fill_table_avx512vnni (k);
#endif
  qf_fill_table_x86_avx2 (k);
#ifdef QF_HAVE_TIER_AVXVNNI
  if (level == QF_CPU_AVXVNNI)
    qf_fill_table_x86_avxvnni (k);
#endif
#ifdef QF_HAVE_TIER_AVX512VNNI
  if (level == QF_CPU_AVX512VNNI)
    qf_fill_table_x86_avx512vnni (k);
#endif
#endif
}

static void
fill_all (void)
{
  for (int i = 0; i < QF_N_CPU; i++)
    if (qf_cpu_has ((QfCpuLevel) i))
      fill (&tables[i], (QfCpuLevel) i);
}

const QfKernels *
qf_kernels (void)
{
  pthread_once (&once, fill_all);
  return &tables[qf_cpu_level ()];
}

const QfKernels *
qf_kernels_tier (const char *name)
{
  pthread_once (&once, fill_all);
  for (int i = 0; i < QF_N_CPU; i++)
    if (tables[i].name && strcmp (tables[i].name, name) == 0)
      return &tables[i];
  return NULL;
}
