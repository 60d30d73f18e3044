/* qfuse: clips and what is known of them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct
{
  char *video;         /* or a folder of pictures */
  GPtrArray *pictures; /* Picture of this folder, or NULL */
  char *truth;         /* label file with boxes, or NULL */
  char *action;        /* name of what the whole clip shows, or NULL */
  gboolean validation; /* it measures and is not learnt from */
} Clip;

/** Options that eval and train share: how clips are tagged. */
typedef struct
{
  char *truth;             /* label file of the one clip */
  char *format;            /* of label files, as qfusetag knows them */
  char *action;            /* of all clips */
  gboolean folder_actions; /* the folder's name is the action */
} ClipOptions;

/** Option entries for @o, to be freed by the caller. */
GOptionEntry *clip_entries (ClipOptions *o);

/** For the examples of --help: how clips are found. */
#define CLIPS_HELP                                                             \
  "A CLIP is a video with its label file beside it (clip.mp4, clip.txt or "    \
  "clip.jsonl), a folder of\nsuch, or @LIST, a text file with a clip a line "  \
  "(relative to the list), if need be followed by a tab\nand the action it "   \
  "shows. Without that, frames show the actions that JSON Lines name.\nA "      \
  "folder of pictures is a clip, too: with COCO's JSON beside it (val/, val.json) or "   \
  "in "                                                                        \
  "it, with VOC's\nor YOLO's files in it, or with --truth. Pictures that are " \
  "not named there are passed over.\n"

/** QF_ERROR_ARGUMENT where @planes are differences and a clip is a folder of
 * pictures, which have no past. */
gboolean clips_check_planes (
    const GPtrArray *clips, const char *planes, GError **error);

/** Whether one of them is a folder of pictures. */
gboolean clips_have_pictures (const GPtrArray *clips);

/** The clips that @arguments (NULL-terminated) name, each with boxes or an
 * action. Returns a list of Clip, or NULL with QF_ERROR_ARGUMENT for wrong
 * usage. */
GPtrArray *clips_find (char **arguments, const ClipOptions *o, GError **error);

/** A bin with one source pad "src": the decoded video of @clip, tagged.
 * @labels: names of classes for qfusetag, or NULL. */
GstElement *clip_source (
    const Clip *clip, const ClipOptions *o, const char *labels, GError **error);

G_END_DECLS
