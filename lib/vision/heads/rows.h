/* libqfuse: what heads of dense outputs share: a matrix of anchors by values,
 * the grid that the anchors lie on, candidates.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <math.h>

#include "vision/heads-private.h"

#define QF_MAX_LEVELS 8
#define QF_MAX_STRIDE 1024

/** An output as a matrix: a row an anchor, a column a value. */
typedef struct
{
  const void *data;
  gboolean codes; /* uint8: real = scale·(code − zero) */
  float scale;
  int zero;
  gsize row, col; /* distance of neighbours, elements */
} QfRows;

/** [1, rows, columns] */
QfRows qf_rows_listed (const QfTensor *t);

/** [1, columns, H, W] or [1, columns, rows]; row y·W + x. */
QfRows qf_rows_gridded (const QfTensor *t);

static inline float
qf_rows_at (const QfRows *r, int row, int col)
{
  gsize i = (gsize) row * r->row + (gsize) col * r->col;

  return r->codes ? r->scale * (float) (((const guint8 *) r->data)[i] - r->zero)
                  : ((const float *) r->data)[i];
}

/** The largest of @n ≥ 1 values of a row from column @first on, and its number
 * from 0; ties: the first; not a number where there is one among them. */
float qf_rows_best (const QfRows *r, int row, int first, int n, int *number);

/** A level: its cells follow each other row by row, levels by rising number. */
typedef struct
{
  int stride, w, h;
  int first; /* number of its first cell */
} QfLevel;

typedef struct
{
  int n, cells;
  QfLevel level[QF_MAX_LEVELS];
} QfLevels;

/** Reads strides such as "8,16,32" from `qfuse.head.strides` (or @fallback) and
 * lays them over the model's input, rounded up. */
gboolean qf_levels_init (QfLevels *levels, const QfModel *model,
    const char *fallback, GError **error);

/** How the numbers in a score output become scores, `qfuse.head.score`. */
typedef enum
{
  QF_SCORE_NONE, /* they are scores */
  QF_SCORE_SIGMOID,
  QF_SCORE_SOFTMAX
} QfScore;

/** @allowed: bits 1 << QfScore. */
gboolean qf_score_init (QfScore *score, const QfModel *model, QfScore fallback,
    guint allowed, GError **error);

static inline float
qf_sigmoid (float v)
{
  return (float) (1 / (1 + exp (-(double) v)));
}

/** Value to score with NONE and SIGMOID. */
static inline float
qf_score_of (QfScore score, float v)
{
  return score == QF_SCORE_SIGMOID ? qf_sigmoid (v) : v;
}

/** Appends a candidate by its centre and size, pixels; what is no number is
 * left out and FALSE. */
gboolean qf_result_add (QfResult *result, float cx, float cy, float w, float h,
    float score, int label);

/** Appends @n points to the last candidate, to be filled by the caller; NULL
 * where nobody asks for points. */
QfKeyPoint *qf_result_add_points (QfResult *result, int n);

/** Sets @error: "head NAME: WHAT", and what the outputs are. Always FALSE. */
gboolean qf_head_misfit (const char *name, const QfTensor *shapes,
    int n_outputs, GError **error, const char *what);

/** The output called @name, or NULL. */
const QfTensor *qf_find_output (
    const QfTensor *shapes, int n_outputs, const char *name);

/** A model's labels, where it names none @fallback. */
int qf_head_labels (const QfModel *model, int fallback);
