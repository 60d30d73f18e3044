/* libqfuse: training's register tiles, for vectors of any width.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Included once an instruction set, behind VECTOR, LANES, LOAD, STORE, SPREAD (one
 * float to all lanes), FMA, ZERO and TILE: rows whose sums are held in registers,
 * QF_GRAD_LANES a row. Each sum takes its steps in the reference's order. */
#include "kernels/grad.h"

#include <string.h>

#define PARTS (QF_GRAD_LANES / LANES)
#define INLINE static inline __attribute__ ((always_inline))
#define UNROLL _Pragma ("GCC unroll 16")

/* What all tiles of a call share. */
typedef struct
{
  const QfGradTap *taps;
  int n_taps, depth;
  const float *w;
  ptrdiff_t c_step;
  int n, add;
} Dx;

/* @m is a constant wherever this is expanded. */
INLINE void
dx_tile (int m, const Dx *d, const float *a, float *c)
{
  VECTOR s[TILE][PARTS];

  UNROLL
  for (int i = 0; i < m; i++)
    UNROLL
    for (int v = 0; v < PARTS; v++)
      s[i][v] = d->add ? LOAD (c + i * d->c_step + v * LANES) : ZERO ();
  for (int t = 0; t < d->n_taps; t++) {
    const float *p = a + d->taps[t].a, *w = d->w + d->taps[t].w;

    for (int o = 0; o < d->depth; o++, w += QF_GRAD_LANES) {
      VECTOR wv[PARTS];

      UNROLL
      for (int v = 0; v < PARTS; v++)
        wv[v] = LOAD (w + v * LANES);
      UNROLL
      for (int i = 0; i < m; i++) {
        VECTOR x = SPREAD (p + i * QF_GRAD_LANES + o);

        UNROLL
        for (int v = 0; v < PARTS; v++)
          s[i][v] = FMA (x, wv[v], s[i][v]);
      }
    }
  }
  UNROLL
  for (int i = 0; i < m; i++)
    UNROLL
    for (int v = 0; v < PARTS; v++)
      STORE (c + i * d->c_step + v * LANES, s[i][v]);
}

#define ROWS_CASE(function, count, ...)                                        \
  case count:                                                                  \
    function (count, __VA_ARGS__);                                             \
    break;
/* Each number of rows is a constant. */
#if TILE == 6
#define ROWS(m, function, ...)                                                 \
  switch (m) {                                                                 \
    ROWS_CASE (function, 1, __VA_ARGS__)                                       \
    ROWS_CASE (function, 2, __VA_ARGS__)                                       \
    ROWS_CASE (function, 3, __VA_ARGS__)                                       \
    ROWS_CASE (function, 4, __VA_ARGS__)                                       \
    ROWS_CASE (function, 5, __VA_ARGS__)                                       \
    default:                                                                   \
      function (6, __VA_ARGS__);                                               \
  }
#else
#define ROWS(m, function, ...)                                                 \
  switch (m) {                                                                 \
    ROWS_CASE (function, 1, __VA_ARGS__)                                       \
    ROWS_CASE (function, 2, __VA_ARGS__)                                       \
    ROWS_CASE (function, 3, __VA_ARGS__)                                       \
    ROWS_CASE (function, 4, __VA_ARGS__)                                       \
    ROWS_CASE (function, 5, __VA_ARGS__)                                       \
    ROWS_CASE (function, 6, __VA_ARGS__)                                       \
    ROWS_CASE (function, 7, __VA_ARGS__)                                       \
    ROWS_CASE (function, 8, __VA_ARGS__)                                       \
    ROWS_CASE (function, 9, __VA_ARGS__)                                       \
    ROWS_CASE (function, 10, __VA_ARGS__)                                      \
    ROWS_CASE (function, 11, __VA_ARGS__)                                      \
    default:                                                                   \
      function (12, __VA_ARGS__);                                              \
  }
#endif

static void
dx_rows (int m, const Dx *d, const float *a, float *c)
{
  ROWS (m, dx_tile, d, a, c)
}

/* Fewer channels than lanes: by way of a full tile. */
static void
dx_narrow (int m, const Dx *d, const float *a, float *c)
{
  float full[TILE * QF_GRAD_LANES] = { 0 };
  Dx e = *d;

  e.c_step = QF_GRAD_LANES;
  for (int i = 0; d->add && i < m; i++)
    memcpy (full + i * QF_GRAD_LANES, c + i * d->c_step,
            sizeof (float) * (size_t)d->n);
  dx_rows (m, &e, a, full);
  for (int i = 0; i < m; i++)
    memcpy (c + i * d->c_step, full + i * QF_GRAD_LANES,
            sizeof (float) * (size_t)d->n);
}

/* Rows of the next tile where @m are left: tiles that differ by one at most, for
 * a short one has too few sums to hide an addition's latency. */
static int
next_rows (int m)
{
  int tiles = (m + TILE - 1) / TILE;

  return (m + tiles - 1) / tiles;
}

static void
conv_dx_f32 (int m, const QfGradTap *taps, int n_taps, int depth,
             const float *a, const float *w, float *c, ptrdiff_t c_step, int n,
             int add)
{
  Dx d = { taps, n_taps, depth, w, c_step, n, add };

  while (m > 0) {
    int rows = next_rows (m);

    (n < QF_GRAD_LANES ? dx_narrow : dx_rows) (rows, &d, a, c);
    a += rows * QF_GRAD_LANES;
    c += rows * c_step;
    m -= rows;
  }
}

INLINE void
dw_tile (int m, const ptrdiff_t *off, const float *a, const QfGradArea *area,
         const float *b, float *c)
{
  VECTOR s[TILE][PARTS];
  const float *p[TILE];
  ptrdiff_t step = area->a_col;

  UNROLL
  for (int i = 0; i < m; i++)
    UNROLL
    for (int v = 0; v < PARTS; v++)
      s[i][v] = LOAD (c + i * QF_GRAD_LANES + v * LANES);
  for (int y = 0; y < area->rows; y++) {
    const float *q = b + y * area->b_row;
    const float *end = q + (ptrdiff_t)area->cols * QF_GRAD_LANES;
    ptrdiff_t at = 0;

    UNROLL
    for (int i = 0; i < m; i++)
      p[i] = a + off[i] + y * area->a_row;
    for (; q < end; q += QF_GRAD_LANES, at += step) {
      VECTOR g[PARTS];

      UNROLL
      for (int v = 0; v < PARTS; v++)
        g[v] = LOAD (q + v * LANES);
      UNROLL
      for (int i = 0; i < m; i++) {
        VECTOR x = SPREAD (p[i] + at);

        UNROLL
        for (int v = 0; v < PARTS; v++)
          s[i][v] = FMA (x, g[v], s[i][v]);
      }
    }
  }
  UNROLL
  for (int i = 0; i < m; i++)
    UNROLL
    for (int v = 0; v < PARTS; v++)
      STORE (c + i * QF_GRAD_LANES + v * LANES, s[i][v]);
}

static void
conv_dw_f32 (int m, const ptrdiff_t *off, const float *a,
             const QfGradArea *area, const float *b, float *c)
{
  while (m > 0) {
    int rows = next_rows (m);

    ROWS (rows, dw_tile, off, a, area, b, c)
    off += rows;
    c += rows * QF_GRAD_LANES;
    m -= rows;
  }
}
