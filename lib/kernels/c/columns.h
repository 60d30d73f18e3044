/* libqfuse: how convolutions lay out their input.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An output row's input is copied to columns [x][ky][channel] of one group, so
 * that a window is one contiguous run of kernel_w columns and, where windows
 * overlap, neighbours share their columns. Otherwise each window has its own.
 */
#pragma once

#include "kernels/kernels.h"

#include <string.h>

enum
{
  QF_TILE_BYTES = 48 * 1024 /* of columns: measured on Zen 3 (32 + 512 KiB) */
};

typedef struct
{
  int ic, oc;    /* channels of one group */
  int shared;    /* windows share columns */
  int n_columns; /* of one output row */
  size_t column; /* elements of a column: kernel_h · ic */
  size_t pixel;  /* elements from one window to the next */
  size_t row;    /* elements of one output row's columns */
  size_t k;      /* elements of a window */
  int rows;      /* output rows of one tile */
  int pixels;    /* windows of one row that are taken together */
} QfColumns;

static inline QfColumns
qf_columns (const QfConvShape *s, size_t element)
{
  QfColumns l;
  size_t rows, pixels;

  l.ic = s->in_c / s->groups;
  l.oc = s->out_c / s->groups;
  l.column = (size_t) s->kernel_h * (size_t) l.ic;
  l.shared = s->dilation_w == 1 && s->stride_w <= s->kernel_w;
  l.n_columns = l.shared ? (s->out_w - 1) * s->stride_w + s->kernel_w
                         : s->out_w * s->kernel_w;
  l.pixel = (size_t) (l.shared ? s->stride_w : s->kernel_w) * l.column;
  l.row = (size_t) l.n_columns * l.column;
  l.k = (size_t) s->kernel_w * l.column;
  rows = QF_TILE_BYTES / (l.row * element);
  l.rows = rows < 1 ? 1 : rows < (size_t) s->out_h ? (int) rows : s->out_h;
  pixels = QF_TILE_BYTES / (l.pixel * element) & ~(size_t) 3;
  l.pixels = pixels < 4            ? 4
      : pixels < (size_t) s->out_w ? (int) pixels
                                   : s->out_w;
  return l;
}

/* Position in a window of weight (@c, @ky, @kx). */
static inline size_t
qf_columns_k (const QfConvShape *s, const QfColumns *l, int c, int ky, int kx)
{
  return ((size_t) kx * s->kernel_h + ky) * l->ic + c;
}

/* @n columns' share of one input row, @ic elements each, converted by CONVERT
 * (from an element v, with `zero`). The short loops are what first layers need.
 */
#define QF_DEFINE_FILL(NAME, FROM, TO, CONVERT)                                \
  static inline void NAME##_fixed (const FROM *restrict from,                  \
      size_t from_step, TO *restrict to, size_t to_step, int n, int ic,        \
      int zero)                                                                \
  {                                                                            \
    for (int i = 0; i < n; i++, from += from_step, to += to_step)              \
      for (int c = 0; c < ic; c++) {                                           \
        FROM v = from[c];                                                      \
                                                                               \
        to[c] = CONVERT;                                                       \
      }                                                                        \
  }                                                                            \
                                                                               \
  static void NAME##_span (const FROM *from, size_t from_step, TO *to,         \
      size_t to_step, int n, int ic, int zero)                                 \
  {                                                                            \
    if (ic == 1)                                                               \
      NAME##_fixed (from, from_step, to, to_step, n, 1, zero);                 \
    else if (ic == 2)                                                          \
      NAME##_fixed (from, from_step, to, to_step, n, 2, zero);                 \
    else if (ic == 3)                                                          \
      NAME##_fixed (from, from_step, to, to_step, n, 3, zero);                 \
    else if (from_step == (size_t) ic && to_step == (size_t) ic)               \
      NAME##_fixed (from, 0, to, 0, 1, n *ic, zero);                           \
    else                                                                       \
      NAME##_fixed (from, from_step, to, to_step, n, ic, zero);                \
  }                                                                            \
                                                                               \
  /* Columns of output row @oy; @x points at the group's first channel. */     \
  static void NAME (const QfConvShape *s, const QfColumns *l, const FROM *x,   \
      int zero, int oy, TO *to)                                                \
  {                                                                            \
    int phases = l->shared ? 1 : s->kernel_w;                                  \
    int n = l->n_columns / phases, step = l->shared ? 1 : s->stride_w;         \
    size_t to_step = (size_t) phases * l->column;                              \
                                                                               \
    for (int p = 0; p < phases; p++)                                           \
      for (int ky = 0; ky < s->kernel_h; ky++) {                               \
        int iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;           \
        int ix = p * s->dilation_w - s->pad_left;                              \
        TO *at = to + (size_t) p * l->column + (size_t) ky * l->ic;            \
        int i0 = ix < 0 ? (-ix + step - 1) / step : 0;                         \
        int i1 = s->in_w > ix ? (s->in_w - ix + step - 1) / step : 0;          \
                                                                               \
        if (iy < 0 || iy >= s->in_h)                                           \
          i1 = 0;                                                              \
        i1 = i1 < n ? i1 : n;                                                  \
        i0 = i0 < i1 ? i0 : i1;                                                \
        for (int i = 0; i < i0; i++)                                           \
          memset (at + (size_t) i * to_step, 0, (size_t) l->ic * sizeof *to);  \
        for (int i = i1; i < n; i++)                                           \
          memset (at + (size_t) i * to_step, 0, (size_t) l->ic * sizeof *to);  \
        if (i0 < i1)                                                           \
          NAME##_span (                                                        \
              x + ((size_t) iy * s->in_w + (ix + i0 * step)) * s->in_c,        \
              (size_t) step * s->in_c, at + (size_t) i0 * to_step, to_step,    \
              i1 - i0, l->ic, zero);                                           \
      }                                                                        \
  }
