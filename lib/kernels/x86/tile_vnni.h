/* libqfuse: dot products of bytes in tiles of registers, VNNI.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Included behind avx512vnni.h or avxvnni.h. A tile is up to QF_TILE_X windows,
 * @pixel bytes apart, times one or two vectors of output channels; four bytes
 * of each window are broadcast from memory against four weights a lane.
 *
 * What gcc 12 makes of the loop of a full tile, sixteen bytes a window at a
 * time (objdump; nothing of it on the stack; tests/bench/vnni_counts.py):
 *
 *                        vpdpbusd  loads  all  registers
 *   AVX-512, 12 x 2            96     56  160         27 of 32
 *   AVX-VNNI, 6 x 2            48     32   88         16 of 16
 *
 * Of a server since Ice Lake 96 vpdpbusd take 48 cycles (two a cycle), the
 * loads 28 (two a cycle), all instructions 32 (five a cycle), so the
 * multipliers set the pace; so they do on a core of Alder Lake, with 24 cycles,
 * 11 and 15, and on Zen 4 (measured: one vpdpbusd of 512 bits, one load of them
 * or two broadcasts a cycle), with 96 and 32. Each vector of sums then costs 5
 * instructions of the same ports: with K bytes a window, multipliers are at most
 * K / (K + 20) of the time at work, 0.92 from K = 230 on, 0.97 at 3x3x64.
 * Weights of 32 channels (K · 32 bytes) and 24 KiB of input are in the nearest
 * cache up to K = 768; beyond, 128 bytes of weights in twelve cycles come from
 * the next one. */
#pragma once

#include "kernels/x86/conv.h"

/** What a tile works on. */
typedef struct
{
  const uint8_t *const *runs; /* of window 0: n_runs runs of 4·groups bytes */
  int n_runs;
  size_t groups;
  size_t pixel;    /* bytes from window to window */
  const int8_t *w; /* [n_runs][groups][vectors · QF_LANES][4] */
  const int32_t *start;
  const float *mult;
  const QfCodes *codes; /* or NULL: sums, to acc */
  int32_t *acc;         /* the first channel of window 0 */
  uint8_t *y;
  size_t step;  /* elements from window to window */
  int channels; /* that are real */
} QfTile;

typedef struct
{
  QfVec v[12][2];
} QfSums;

#ifndef QF_TILE_DOT
#define QF_TILE_DOT qf_dot
#endif

#define WINDOW(i, x)                                                           \
  if (n > i) {                                                                 \
    QfVec four = qf_four ((x) + (i) % 3 * pixel + 4 * j);                      \
                                                                               \
    a##i = QF_TILE_DOT (a##i, four, wa);                                       \
    if (nv > 1)                                                                \
      b##i = QF_TILE_DOT (b##i, four, wb);                                     \
  }

/* Four bytes of each window. */
#define GROUP(J)                                                               \
  {                                                                            \
    const size_t j = J;                                                        \
    QfVec wa = qf_load (w + j * 4 * QF_LANES * nv);                            \
    QfVec wb = nv > 1 ? qf_load (w + (2 * j + 1) * 4 * QF_LANES) : wa;         \
                                                                               \
    WINDOW (0, x0)                                                             \
    WINDOW (1, x0)                                                             \
    WINDOW (2, x0)                                                             \
    WINDOW (3, x3)                                                             \
    WINDOW (4, x3)                                                             \
    WINDOW (5, x3)                                                             \
    WINDOW (6, x6)                                                             \
    WINDOW (7, x6)                                                             \
    WINDOW (8, x6)                                                             \
    WINDOW (9, x9)                                                             \
    WINDOW (10, x9)                                                            \
    WINDOW (11, x9)                                                            \
  }

#define NEXT(groups)                                                           \
  w += (size_t) (groups) *4 * QF_LANES * nv;                                   \
  x0 += 4 * (groups);                                                          \
  x3 += 4 * (groups);                                                          \
  x6 += 4 * (groups);                                                          \
  x9 += 4 * (groups);

/* Sums of @n windows times @nv vectors, which are constants where it is
 * inlined. */
static inline __attribute__ ((always_inline)) QfSums
qf_tile_sums (const QfTile *t, int n, int nv)
{
  const size_t pixel = t->pixel;
  const int8_t *w = t->w;
  QfVec a0 = qf_load (t->start);
  QfVec b0 = nv > 1 ? qf_load (t->start + QF_LANES) : a0;
  QfVec a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0;
  QfVec a7 = a0, a8 = a0, a9 = a0, a10 = a0, a11 = a0;
  QfVec b1 = b0, b2 = b0, b3 = b0, b4 = b0, b5 = b0, b6 = b0;
  QfVec b7 = b0, b8 = b0, b9 = b0, b10 = b0, b11 = b0;

  for (int r = 0; r < t->n_runs; r++) {
    const uint8_t *x0 = t->runs[r], *x3 = x0 + 3 * pixel;
    const uint8_t *x6 = x3 + 3 * pixel, *x9 = x6 + 3 * pixel;
    size_t left = t->groups;

    for (; left >= 4; left -= 4) {
      GROUP (0)
      GROUP (1)
      GROUP (2)
      GROUP (3)
      NEXT (4)
    }
    for (; left > 0; left--) {
      GROUP (0)
      NEXT (1)
    }
  }
  return (QfSums){ { { a0, b0 }, { a1, b1 }, { a2, b2 }, { a3, b3 }, { a4, b4 },
      { a5, b5 }, { a6, b6 }, { a7, b7 }, { a8, b8 }, { a9, b9 }, { a10, b10 },
      { a11, b11 } } };
}
#undef WINDOW
#undef GROUP
#undef NEXT

/* @n windows' sums to where the tile's results go. */
static inline __attribute__ ((always_inline)) void
qf_tile_put (const QfTile *t, const QfSums *sums, int n, int nv)
{
  const int each = 4 / nv; /* windows that fill a vector of codes */
  QfVec v[4];

  if (!t->codes) {
#pragma GCC unroll 12
    for (int i = 0; i < n; i++)
      for (int j = 0; j < nv; j++)
        qf_store_lanes (t->acc + (size_t) i * t->step + j * QF_LANES,
            sums->v[i][j], t->channels - j * QF_LANES);
    return;
  }
#pragma GCC unroll 12
  for (int i = 0; i < n; i += each) {
    uint8_t *y = t->y + (size_t) i * t->step;

#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      int window = i + j / nv < n ? i + j / nv : n - 1;

      v[j] = qf_scale (sums->v[window][j % nv],
          QF_LOAD_FLOATS (t->mult + j % nv * QF_LANES));
    }
    v[0] = qf_codes (t->codes, v[0], v[1], v[2], v[3]);
    if (nv > 1)
      qf_store_codes_2 (y, t->step, v[0], n - i, t->channels);
    else
      qf_store_codes_4 (y, t->step, v[0], n - i < 4 ? n - i : 4, t->channels);
  }
}

#define TILE(n, nv)                                                            \
  static __attribute__ ((noinline)) void tile_##n##_##nv (const QfTile *t)     \
  {                                                                            \
    QfSums sums = qf_tile_sums (t, n, nv);                                     \
                                                                               \
    qf_tile_put (t, &sums, n, nv);                                             \
  }
#define TILES(n) TILE (n, 1) TILE (n, 2)

TILES (1)
TILES (2)
TILES (3)
TILES (4)
TILES (5)
TILES (6)
#if QF_VECTOR_BITS == 512
TILES (7)
TILES (8)
TILES (9)
TILES (10)
TILES (11)
TILES (12)
#endif
#undef TILES
#undef TILE

#define BOTH(n) { tile_##n##_1, tile_##n##_2 },
static void (*const qf_tiles[QF_TILE_X][2]) (const QfTile *t) = {
  BOTH (1) BOTH (2) BOTH (3) BOTH (4) BOTH (5) BOTH (6)
#if QF_VECTOR_BITS == 512
      BOTH (7) BOTH (8) BOTH (9) BOTH (10) BOTH (11) BOTH (12)
#endif
};
#undef BOTH

/* @n windows from @t's on, in tiles that are as equal as can be. */
static void
qf_tiles_run (QfTile *t, const uint8_t **runs, int n, int vectors)
{
  int tiles = (n + QF_TILE_X - 1) / QF_TILE_X;

  t->runs = runs;
  for (; tiles > 0; tiles--) {
    int some = (n + tiles - 1) / tiles;

    qf_tiles[some - 1][vectors - 1](t);
    n -= some;
    for (int r = 0; r < t->n_runs; r++)
      runs[r] += (size_t) some * t->pixel;
    if (t->codes)
      t->y += (size_t) some * t->step;
    else
      t->acc += (size_t) some * t->step;
  }
}
