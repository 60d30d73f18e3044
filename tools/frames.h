/* qfuse: pictures of a clip as a network sees them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qfuse.h"

G_BEGIN_DECLS

/** Appends to @frames (of guint8 *, to be freed by g_free()) the planes
 * [planes][height][width] that @model wants of at most @max pictures of the
 * video @path, spread evenly over it. FALSE: @error is set. */
gboolean frames_read (const QfModel *model, const char *path, int max,
    GPtrArray *frames, GError **error);

/** Gives @planes to the first input of @engine, which is uint8 or float32. */
void frames_give (const QfEngine *engine, const guint8 *planes);

G_END_DECLS
