/* libqfuse: what the processor can do.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[QF_N_CPU] = { "c", "avx2" };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static QfCpuLevel level_max, level;

/* __builtin_cpu_supports looks at CPUID and, for AVX, at XGETBV. */
static QfCpuLevel
detect (void)
{
#ifdef QF_HAVE_TIER_AVX2
  __builtin_cpu_init ();
  if (__builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("bmi2"))
    return QF_CPU_AVX2;
#endif
  return QF_CPU_C;
}

static void
look_up (void)
{
  const char *wish = getenv ("QF_CPU");

  level_max = level = detect ();
  if (wish && *wish) {
    QfCpuLevel named = QF_CPU_C;

    for (int i = 0; i < QF_N_CPU; i++)
      if (strcmp (wish, names[i]) == 0)
        named = (QfCpuLevel) i;
    if (named < level)
      level = named;
  }
}

QfCpuLevel
qf_cpu_level (void)
{
  pthread_once (&once, look_up);
  return level;
}

QfCpuLevel
qf_cpu_level_max (void)
{
  pthread_once (&once, look_up);
  return level_max;
}

const char *
qf_cpu_level_name (QfCpuLevel l)
{
  return (int) l >= 0 && l < QF_N_CPU ? names[l] : NULL;
}
