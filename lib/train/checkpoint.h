/* libqfuse: a training's whole state in a file.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * "QFCKPT1\n", then records (name's length: 4 bytes, name, data's length: 8
 * bytes, data; numbers as this machine holds them), then the SHA-256 of all
 * that. The first record is a digest of what the training is made of: options
 * that change results, samples, the network as it was built. */
#pragma once

#include "train/trainer-private.h"

/** Digest of options, samples and the network as it stands: to be taken before
 * the first step. Owned by the caller. */
char *qf_checkpoint_digest (QfTrainer *t);

/** Writes @t's state at its place between two batches; see qf_file_replace().
 */
gboolean qf_checkpoint_save (QfTrainer *t, const char *path, GError **error);

/** Reads it back. QF_ERROR_FILE where the file cannot be read, QF_ERROR_FORMAT
 * where it is damaged, QF_ERROR_ARGUMENT where it is of another training; @t is
 * untouched by all of these. */
gboolean qf_checkpoint_load (QfTrainer *t, const char *path, GError **error);
