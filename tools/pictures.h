/* qfuse: folders of pictures as clips.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** A picture of a folder. */
typedef struct
{
  char *path;
  int frame; /* its number in the label file, from 1 */
} Picture;

/** Whether the folder @path holds a picture. */
gboolean pictures_in (const char *path);

/** The label file of the folder @path: FOLDER.json beside it, the one .json in
 * it, or the folder itself where it holds .xml or .txt files; NULL: none. */
char *pictures_truth (const char *path);

/** Pictures (Picture) of the folder @path that the label file @truth knows, by
 * number. @format: of @truth, or NULL. QF_ERROR_FILE where there are none. */
GPtrArray *pictures_find (
    const char *path, const char *truth, const char *format, GError **error);

/** An element that plays @pictures, which stay the caller's: the decoded
 * picture of number n is n − 1 seconds after the start, each in its own size.
 */
GstElement *pictures_source (const GPtrArray *pictures);

G_END_DECLS
