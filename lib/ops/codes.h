/* libqfuse: codes and their scales.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ops/ops-private.h"

G_BEGIN_DECLS

/* Code of an int8 or uint8 tensor, or int32. */
static inline gint32
code_at (const QfArray *a, gint64 i)
{
  return a->dtype == QF_U8 ? ((const guint8 *) a->data)[i]
      : a->dtype == QF_I8  ? ((const gint8 *) a->data)[i]
                           : ((const gint32 *) a->data)[i];
}

static inline void
put_code (QfArray *a, gint64 i, float v, gint32 zero)
{
  double lo = a->dtype == QF_U8 ? 0 : -128, hi = a->dtype == QF_U8 ? 255 : 127;
  double q = isnan (v) ? 0 : CLAMP (rint ((double) v) + zero, lo, hi);

  if (a->dtype == QF_U8)
    ((guint8 *) a->data)[i] = (guint8) q;
  else
    ((gint8 *) a->data)[i] = (gint8) q;
}

/* Zero point @i of a list that may be absent or a single one. */
static inline gint32
zero_at (const QfArray *zero, gint64 i)
{
  return zero ? code_at (zero, qf_array_elements (zero) > 1 ? i : 0) : 0;
}

static inline float
scale_at (const QfArray *scale, gint64 i)
{
  const float *s = scale->data;

  return s[qf_array_elements (scale) > 1 ? i : 0];
}

static inline gboolean
is_code (const QfArray *a)
{
  return a && (a->dtype == QF_U8 || a->dtype == QF_I8);
}

G_END_DECLS
