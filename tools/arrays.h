/* qfuse: files of arrays: NumPy's .npy and .npz, ONNX's .pb.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qfuse.h"

G_BEGIN_DECLS

/** Appends what @path holds (by its ending) to @arrays (QfNamedArray *). */
gboolean arrays_read (const char *path, GPtrArray *arrays, GError **error);

/** Writes all of @arrays: any number into .npz, one into .npy or .pb. */
gboolean arrays_write (
    const char *path, const GPtrArray *arrays, GError **error);

/** Whether @path ends as a file of arrays does. */
gboolean arrays_knows (const char *path);

/* npy.c ------------------------------------------------------------------- */

QfNamedArray *npy_read (
    const guint8 *data, gsize size, const char *name, GError **error);
GByteArray *npy_write (const QfNamedArray *array);

/* npz.c ------------------------------------------------------------------- */

gboolean npz_read (
    const guint8 *data, gsize size, GPtrArray *arrays, GError **error);
GByteArray *npz_write (const GPtrArray *arrays);

G_END_DECLS
