/* libqfuse: many pictures of one size, in memory or beyond.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

G_BEGIN_DECLS

/** Blocks of equal size. What passes the limit lies in a mapped temporary file
 * without a name, in $TMPDIR or /var/tmp: the system keeps in memory what it
 * has room for, and nothing is left behind however the process ends. Blocks
 * never move. Adding is not thread-safe, reading is. */
typedef struct _QfStore QfStore;

/** @block: bytes of one block. @limit: most bytes in memory proper; 0: no
 * limit. */
QfStore *qf_store_new (gsize block, guint64 limit);
QfStore *qf_store_ref (QfStore *s);
void qf_store_unref (QfStore *s);

/** Copies @data into a free block; it is valid as long as @s. NULL with
 * QF_ERROR_FILE where the disk has no room for it. */
const guint8 *qf_store_add (QfStore *s, const guint8 *data, GError **error);

/** Gives a block back for another qf_store_add(). */
void qf_store_release (QfStore *s, const guint8 *block);

/** Blocks in use, and bytes that are in the file. */
gsize qf_store_n_blocks (const QfStore *s);
guint64 qf_store_mapped (const QfStore *s);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfStore, qf_store_unref)

G_END_DECLS
