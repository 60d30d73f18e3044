/* Says that the emulated processor does what it claims: which tier the library
 * chooses, and what VPDPBUSD makes of sums that 16 bits do not hold.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Usage: emulator-check TIER, the tier that must be chosen. An invalid
 * instruction ends it where there is no AVX-512 VNNI. */
#include "kernels/cpu.h"

#include <immintrin.h>
#include <stdio.h>
#include <string.h>

__attribute__ ((target ("avx512f,avx512vnni"))) static void
dot (const unsigned char *x, const signed char *w, int *sums)
{
  __m512i acc = _mm512_loadu_si512 (sums);

  acc =
      _mm512_dpbusd_epi32 (acc, _mm512_loadu_si512 (x), _mm512_loadu_si512 (w));
  _mm512_storeu_si512 (sums, acc);
}

int
main (int argc, char **argv)
{
  const char *chosen = qf_cpu_level_name (qf_cpu_level ());
  unsigned char x[64];
  signed char w[64];
  int sums[16], want[16], ok = 1;

  printf ("# the library chooses %s\n", chosen);
  fflush (stdout);
  if (argc != 2 || strcmp (chosen, argv[1]) != 0)
    return 1;
  /* 4·255·±127 = ±129540 is beyond 16 bits, also in pairs. */
  for (int i = 0; i < 16; i++) {
    want[i] = sums[i] = i * 1000003 - 7000000;
    for (int j = 0; j < 4; j++) {
      x[4 * i + j] = (unsigned char) (255 - i * j);
      w[4 * i + j] = (signed char) (i % 3 == 0 ? 127 : i % 3 == 1 ? -127 : j);
      want[i] += x[4 * i + j] * w[4 * i + j];
    }
  }
  dot (x, w, sums);
  for (int i = 0; i < 16; i++) {
    ok &= sums[i] == want[i];
    printf ("%d%s", sums[i], i < 15 ? " " : "\n");
  }
  printf ("%sok - vpdpbusd\n", ok ? "" : "not ");
  return !ok;
}
