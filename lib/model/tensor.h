/* libqfuse: a view of a tensor, as engines give them and heads read them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/dtype.h"

G_BEGIN_DECLS

/** Order of the elements in memory. Constants and the graph's inputs are NCHW
 * as in ONNX; what an engine computes is NHWC (channels last). */
typedef enum
{
  QF_NCHW,
  QF_NHWC
} QfLayout;

/** A view of a dense tensor of one image; owns nothing. A [N, C] result has
 * h = w = 1. For QF_U8, real value = scale · (code − zero). */
typedef struct
{
  const char *name; /**< the graph's name of the value */
  QfDType dtype;    /**< QF_U8 or QF_F32 */
  QfLayout layout;
  int n, c, h, w;
  float scale; /**< QF_U8 only, > 0 */
  int zero;    /**< QF_U8 only, 0 … 255 */
  void *data;  /**< n·c·h·w elements */
} QfTensor;

/** Index of element (@c, @y, @x) of image 0. */
static inline gsize
qf_tensor_index (const QfTensor *t, int c, int y, int x)
{
  return t->layout == QF_NHWC ? ((gsize) y * t->w + x) * t->c + c
                              : ((gsize) c * t->h + y) * t->w + x;
}

/** Real value of element (@c, @y, @x) of image 0. */
static inline float
qf_tensor_at (const QfTensor *t, int c, int y, int x)
{
  gsize i = qf_tensor_index (t, c, y, x);

  return t->dtype == QF_F32
      ? ((const float *) t->data)[i]
      : t->scale * (float) (((const guint8 *) t->data)[i] - t->zero);
}

G_END_DECLS
