/* libqfuse: what this processor's multipliers can do.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/** Measures on the calling thread, within about a millisecond, how many
 * multiply-accumulates of codes and weights a second (in units of 1e9) the
 * multiply instruction of tier @name does, if nothing else is to do: twelve of
 * them that do not wait for each other, the least time of several runs.
 * @instruction (may be NULL): its name. 0 and NULL where the tier is not of
 * this processor, or the processor not an x86-64. Algorithms that need fewer
 * products than the plain sum (docs/numerics.md (16), (18), (19)) can pass it.
 */
double qf_kernels_peak (const char *name, const char **instruction);
