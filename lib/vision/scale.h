/* libqfuse: scaling of one 8-bit plane in whole numbers.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/image.h"

G_BEGIN_DECLS

typedef struct _QfScaler QfScaler;

/** Area average where a direction shrinks, bilinear where it grows, each direction
 * for itself; the same bytes on every machine. Sizes 1 … 32767. Equations:
 * docs/numerics.md. */
QfScaler *qf_scaler_new (int src_w, int src_h, int dst_w, int dst_h);
void qf_scaler_free (QfScaler *s);

void qf_scaler_run (QfScaler *s, const guint8 *src, int src_stride,
    guint8 *dst, int dst_stride);

/** The luma of @image, which has the scaler's source size, scaled: what
 * qf_image_luma() of the whole and qf_scaler_run() give, by bands of a few rows.
 */
void qf_scaler_run_luma (
    QfScaler *s, const QfImage *image, guint8 *dst, int dst_stride);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfScaler, qf_scaler_free)

G_END_DECLS
