/* libqfuse: what the processor can do.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/** Tiers of kernels, the faster ones behind. Those of x86 contain AVX2; a
 * processor may have the last without the one before it. */
typedef enum
{
  QF_CPU_C,
  QF_CPU_AVX2,       /* AVX2 and BMI2, and the system saves the registers */
  QF_CPU_AVXVNNI,    /* and AVX-VNNI */
  QF_CPU_AVX512VNNI, /* and AVX-512 F, BW, DQ, VL, VNNI, with their registers */
  QF_N_CPU
} QfCpuLevel;

/** The highest tier that this processor, this build and QF_CPU allow. Looked up
 * once. QF_CPU names a tier and only lowers; an unknown name counts as "c". */
QfCpuLevel qf_cpu_level (void);

/** The highest tier of this processor and build, whatever QF_CPU says. */
QfCpuLevel qf_cpu_level_max (void);

/** Whether this processor and this build have tier @level. */
int qf_cpu_has (QfCpuLevel level);

/** "c", "avx2", "avxvnni", "avx512vnni"; NULL outside the range. */
const char *qf_cpu_level_name (QfCpuLevel level);
