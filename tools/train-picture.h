/* qfuse: the curves of a training as a picture.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** One epoch; NAN: not measured. */
typedef struct
{
  double loss, ap50, best_f1, accuracy;
} TrainRow;

/** Draws @rows (TrainRow, at least one) as a PNG file: the loss from 0 to its
 * largest value, what was measured from 0 to 1, over the epochs, the first of
 * which has number @first. */
gboolean train_picture_write (
    const GArray *rows, int first, const char *path, GError **error);

G_END_DECLS
