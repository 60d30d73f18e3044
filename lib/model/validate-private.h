/* libqfuse: what the files that judge graphs share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/model-private.h"

/** From now on @value comes from @origin. */
void qf_check_set_origin (QfCheck *c, int value, QfOrigin origin);

/** Dims of 1 … QF_MAX_DIM, at most QF_MAX_ELEMENTS together. */
gboolean qf_dims_allowed (int rank, const gint64 *dims);

/** "[1, 3, 4]", to be freed. */
char *qf_dims_text (int rank, const gint64 *dims);
