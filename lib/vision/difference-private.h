/* libqfuse: the arithmetic of difference planes, for lib/vision only.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/planes.h"

G_BEGIN_DECLS

/** Rows that qf_difference() needs. */
typedef struct
{
  guint8 *moving[2], *block[2], *magnitude, *negative;
  guint8 *memory;
} QfDifferenceScratch;

void qf_difference_scratch_init (QfDifferenceScratch *s, int width);
void qf_difference_scratch_clear (QfDifferenceScratch *s);

/** One plane to be written. */
typedef struct
{
  char kind; /* 'D', 'A' or 'M' */
  int gain;
  guint8 *out; /* [height][width] */
} QfDifferenceOut;

/** d = @now − @then with dead band and opening, mapped into @n planes. */
void qf_difference (const guint8 *now, const guint8 *then, int width,
                    int height, int threshold, QfDifferenceScratch *s,
                    const QfDifferenceOut *outs, int n);

/** @then = (@sum + n/2) / n. @sum ≤ 255·n, n ≤ QF_MAX_DISTANCE. */
void qf_mean (const guint16 *sum, int n, gsize size, guint8 *then);

/** @sum += @times · @picture, modulo 2^16. */
void qf_sum_add (guint16 *sum, const guint8 *picture, int times, gsize size);

G_END_DECLS
