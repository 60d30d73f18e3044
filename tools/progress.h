/* qfuse: a progress bar.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** Draws "@label  [#####     ] 45 %  @note" on the last line of stderr; nothing
 * where stderr is no terminal. @done: 0 … 1. */
void progress_show (const char *label, double done, const char *note);

/** Removes the bar, for a line of text in its place. */
void progress_clear (void);

G_END_DECLS
