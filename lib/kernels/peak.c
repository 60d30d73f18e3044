/* libqfuse: what this processor's multipliers can do.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/peak.h"
#include "kernels/kernels.h"

#include <string.h>
#include <time.h>

#if defined(__x86_64__)
enum
{
  RUNS = 24,
  ROUNDS = 5000, /* of twelve: 30,000 cycles at two a cycle */
  STREAMS = 12
};

static double
seconds (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

/* Seconds that one of the instruction takes, at best. */
#define LEAST(name, isa, op, v)                                                \
  __attribute__ ((target (isa))) static double name (void)                     \
  {                                                                            \
    double best = 1e9;                                                         \
                                                                               \
    for (int run = 0; run < RUNS; run++) {                                     \
      double t = seconds ();                                                   \
                                                                               \
      for (int r = 0; r < ROUNDS; r++)                                         \
        __asm__ volatile(                                                      \
            ".irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12\n\t" op " %%" v     \
            "0, %%" v "0, %%" v "\\n\n\t"                                      \
            ".endr" ::                                                         \
                : "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",      \
            "xmm8", "xmm9", "xmm10", "xmm11", "xmm12");                        \
      t = seconds () - t;                                                      \
      best = t < best ? t : best;                                              \
    }                                                                          \
    return best / ((double) ROUNDS * STREAMS);                                 \
  }

/* SSE2 has two operands: each waits for its own last result, which twelve hide.
 */
__attribute__ ((noinline)) static double
least_c (void)
{
  double best = 1e9;

  for (int run = 0; run < RUNS; run++) {
    double t = seconds ();

    for (int r = 0; r < ROUNDS; r++)
      __asm__ volatile(".irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12\n\t"
                       "pmaddwd %%xmm0, %%xmm\\n\n\t"
                       ".endr" ::
                           : "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                       "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12");
    t = seconds () - t;
    best = t < best ? t : best;
  }
  return best / ((double) ROUNDS * STREAMS);
}

#ifdef QF_HAVE_TIER_AVX2
LEAST (least_avx2, "avx2", "vpmaddwd", "ymm")
#endif
#ifdef QF_HAVE_TIER_AVXVNNI
LEAST (least_avxvnni, "avx2", "%{vex%} vpdpbusd", "ymm")
#endif
#ifdef QF_HAVE_TIER_AVX512VNNI
LEAST (least_avx512vnni, "avx512f", "vpdpbusd", "zmm")
#endif

static const struct
{
  const char *tier, *instruction;
  double (*least) (void);
  int products;
} peaks[] = {
  { "c", "pmaddwd xmm", least_c, 8 },
#ifdef QF_HAVE_TIER_AVX2
  { "avx2", "vpmaddwd ymm", least_avx2, 16 },
#endif
#ifdef QF_HAVE_TIER_AVXVNNI
  { "avxvnni", "vpdpbusd ymm", least_avxvnni, 32 },
#endif
#ifdef QF_HAVE_TIER_AVX512VNNI
  { "avx512vnni", "vpdpbusd zmm", least_avx512vnni, 64 },
#endif
};
#endif

double
qf_kernels_peak (const char *name, const char **instruction)
{
  if (instruction)
    *instruction = NULL;
#if defined(__x86_64__)
  for (unsigned i = 0; i < sizeof peaks / sizeof peaks[0]; i++)
    if (strcmp (peaks[i].tier, name) == 0 && qf_kernels_tier (name)) {
      if (instruction)
        *instruction = peaks[i].instruction;
      return peaks[i].products / peaks[i].least () * 1e-9;
    }
#else
  (void) name;
#endif
  return 0;
}
