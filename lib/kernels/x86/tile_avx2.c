/* libqfuse: tiles of dot products and their results, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/tile_avx2.h"

static __attribute__ ((noinline)) void
six (
    const int16_t *const *x, const int16_t *w, size_t pairs, const QfTileOut *t)
{
  QfTileOut all = *t;
  QfSumsAvx2 sums;

  all.n = QF_TILE_X;
  all.channels = QF_TILE_Y;
  qf_tile_avx2 (x, 1, 0, w, pairs, QF_TILE_X, 2, &sums);
  qf_tile_store (&all, &sums);
}

static __attribute__ ((noinline)) void
six_runs (const int16_t *const *x, int runs, size_t step, const int16_t *w,
    size_t pairs, const QfTileOut *t)
{
  QfTileOut all = *t;
  QfSumsAvx2 sums;

  all.n = QF_TILE_X;
  all.channels = QF_TILE_Y;
  qf_tile_avx2 (x, runs, step, w, pairs, QF_TILE_X, 2, &sums);
  qf_tile_store (&all, &sums);
}

static inline __attribute__ ((always_inline)) void
some (const int16_t *const *x, int runs, size_t step, const int16_t *w,
    size_t pairs, int nv, const QfTileOut *t)
{
  QfSumsAvx2 sums;

  switch (t->n) {
    case 1:
      qf_tile_avx2 (x, runs, step, w, pairs, 1, nv, &sums);
      break;
    case 2:
      qf_tile_avx2 (x, runs, step, w, pairs, 2, nv, &sums);
      break;
    case 3:
      qf_tile_avx2 (x, runs, step, w, pairs, 3, nv, &sums);
      break;
    case 4:
      qf_tile_avx2 (x, runs, step, w, pairs, 4, nv, &sums);
      break;
    case 5:
      qf_tile_avx2 (x, runs, step, w, pairs, 5, nv, &sums);
      break;
    default:
      qf_tile_avx2 (x, runs, step, w, pairs, 6, nv, &sums);
  }
  qf_tile_store (t, &sums);
}

void
qf_tile_run_avx2 (const int16_t *const *x, int runs, size_t step,
    const int16_t *w, size_t pairs, int wide, const QfTileOut *t)
{
  if (t->n == QF_TILE_X && t->channels == QF_TILE_Y && runs == 1)
    six (x, w, pairs, t);
  else if (t->n == QF_TILE_X && t->channels == QF_TILE_Y)
    six_runs (x, runs, step, w, pairs, t);
  else if (wide)
    some (x, runs, step, w, pairs, 2, t);
  else
    some (x, runs, step, w, pairs, 1, t);
}
