/* libqfuse: ground truth in folders, one file a picture.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/annotations-private.h"

typedef gboolean (*QfTruthFileReader) (
    QfTruth *t, const char *path, int frame, GString *text, GError **error);

/* Reads every file of the folder t->path whose name ends with @suffix, in the
 * order of their names, those in @but (NULL-terminated, or NULL) not; or the
 * file t->path alone. */
gboolean qf_truth_read_files (QfTruth *t, const char *suffix,
    const char *const *but, QfTruthFileReader read, GError **error);
