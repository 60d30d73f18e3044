/* libqfuse: files that are whole or absent.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

G_BEGIN_DECLS

/** Writes @size bytes so that @path holds, at any moment and after a crash,
 * either what it held or all of @data: beside it as @path.part, synced,
 * renamed, the folder synced. A process that is killed leaves at most the one
 * .part, which the next call overwrites. QF_ERROR_FILE where that fails; then
 * @path is as it was and no .part is left. */
gboolean qf_file_replace (
    const char *path, gconstpointer data, gsize size, GError **error);

G_END_DECLS
