/* libqfuse: what products of matrices share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ops/ops-private.h"

G_BEGIN_DECLS

/** @batch products [m, k]·[k, n]. */
typedef struct
{
  gint64 batch, m, n, k;
  gboolean row, column;     /**< an input is a vector */
  int rank;                 /**< of the batch */
  gint64 dims[QF_MAX_RANK]; /**< of the batch */
  gint64 step[2][QF_MAX_RANK];
} QfMatmul;

/** Reads the product of inputs @ia and @ib as NumPy's matmul. */
gboolean qf_matmul_read (
    QfCall *c, int ia, int ib, QfMatmul *p, GError **error);
gboolean qf_matmul_set (
    QfCall *c, QfDType dtype, const QfMatmul *p, GError **error);

/** Number of the matrix of the first (@side 0) or second factor. */
gint64 qf_matmul_matrix (const QfMatmul *p, int side, gint64 batch);

G_END_DECLS
