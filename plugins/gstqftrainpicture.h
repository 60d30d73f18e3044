/* GStreamer qfuse: a picture of samples with what is true and what is found.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

#include "qfuse.h"

G_BEGIN_DECLS

/** Draws up to 12 validation samples of @trainer (without any: samples that are
 * learnt from), evenly spread over those that show something, as the network
 * sees them, with their boxes or action and what the net as it stands finds.
 * From within a QfTrainFunc. QF_ERROR_FILE where @path cannot be written. */
gboolean gst_qf_train_picture_write (
    QfTrainer *trainer, const gchar *path, GError **error);

G_END_DECLS
