/* libqfuse: what the processor can do.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/** Tiers of kernels, each containing the ones before. */
typedef enum
{
  QF_CPU_C,
  QF_CPU_AVX2, /* AVX2 and BMI2, and the system saves the registers */
  QF_N_CPU
} QfCpuLevel;

/** The highest tier that this processor, this build and QF_CPU allow. Looked up
 * once. QF_CPU names a tier and only lowers; an unknown name counts as "c". */
QfCpuLevel qf_cpu_level (void);

/** The highest tier of this processor and build, whatever QF_CPU says. */
QfCpuLevel qf_cpu_level_max (void);

/** "c", "avx2"; NULL outside the range. */
const char *qf_cpu_level_name (QfCpuLevel level);
