/* libqfuse: what the processor can do.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#ifdef QF_HAVE_TIER_AVX2
#include <cpuid.h>
#endif

static const char *const names[QF_N_CPU] = { "c", "avx2", "avxvnni",
  "avx512vnni" };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int has[QF_N_CPU] = { 1 };
static QfCpuLevel level_max, level;

#ifdef QF_HAVE_TIER_AVX2
/* Intel's manual, volume 2, CPUID: bits of the leaves 1 and 7. */
enum
{
  ECX1_FMA = 1 << 12,
  ECX1_OSXSAVE = 1 << 27,
  EBX7_AVX2 = 1 << 5,
  EBX7_BMI2 = 1 << 8,
  EBX7_AVX512F = 1 << 16,
  EBX7_AVX512DQ = 1 << 17,
  EBX7_AVX512BW = 1 << 30,
  ECX7_AVX512VNNI = 1 << 11,
  EAX71_AVXVNNI = 1 << 4,
  XCR0_YMM = 0x06, /* xmm and ymm registers are saved */
  XCR0_ZMM = 0xe0  /* so are k0–k7, zmm0–15's upper halves, zmm16–31 */
};
#define EBX7_AVX512VL (1u << 31)

static unsigned
all (unsigned have, unsigned wanted)
{
  return (have & wanted) == wanted;
}

static void
detect (void)
{
  unsigned a, b, c, d, xcr0, high;

  if (!__get_cpuid (1, &a, &b, &c, &d) || !all (c, ECX1_OSXSAVE | ECX1_FMA))
    return;
  __asm__("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
  if (!all (xcr0, XCR0_YMM) || !__get_cpuid_count (7, 0, &a, &b, &c, &d) ||
      !all (b, EBX7_AVX2 | EBX7_BMI2))
    return;
  has[QF_CPU_AVX2] = 1;
#ifdef QF_HAVE_TIER_AVX512VNNI
  has[QF_CPU_AVX512VNNI] = all (xcr0, XCR0_ZMM) &&
      all (b, EBX7_AVX512F | EBX7_AVX512DQ | EBX7_AVX512BW | EBX7_AVX512VL) &&
      all (c, ECX7_AVX512VNNI);
#endif
#ifdef QF_HAVE_TIER_AVXVNNI
  if (a >= 1 && __get_cpuid_count (7, 1, &a, &b, &c, &d))
    has[QF_CPU_AVXVNNI] = all (a, EAX71_AVXVNNI);
#endif
}
#else
static void
detect (void)
{
}
#endif

/* The highest tier there is up to @most. */
static QfCpuLevel
highest (QfCpuLevel most)
{
  int i = (int) most;

  while (!has[i])
    i--;
  return (QfCpuLevel) i;
}

static void
look_up (void)
{
  const char *wish = getenv ("QF_CPU");
  QfCpuLevel most = QF_N_CPU - 1;

  detect ();
  level_max = highest (most);
  if (wish && *wish) {
    most = QF_CPU_C;
    for (int i = 0; i < QF_N_CPU; i++)
      if (strcmp (wish, names[i]) == 0)
        most = (QfCpuLevel) i;
  }
  level = highest (most);
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

int
qf_cpu_has (QfCpuLevel l)
{
  pthread_once (&once, look_up);
  return (int) l >= 0 && l < QF_N_CPU && has[l];
}

const char *
qf_cpu_level_name (QfCpuLevel l)
{
  return (int) l >= 0 && l < QF_N_CPU ? names[l] : NULL;
}
