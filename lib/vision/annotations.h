/* libqfuse: files with ground truth.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "vision/box.h"

G_BEGIN_DECLS

typedef struct _QfAnnotations QfAnnotations;

/** Reads ground truth. @format is one of
 * - "mot": MOTChallenge text: frame,id,left,top,width,height,confidence,class,
 *   visibility; frames, pixels and classes count from 1; a confidence of 0
 * marks a box to be ignored. Six fields are enough, ten are taken; class −1 or
 * none is label 0; empty lines and lines that start with # are passed over;
 * - "mot0": the same with pixels that count from 0;
 * - "coco": COCO JSON (bbox of annotations, iscrowd is ignored as truth);
 * - "jsonl": JSON Lines as qfusewrite writes them, boxes and actions;
 * - "cvat": CVAT's XML for video (frames from 0, keyframes interpolated) or for
 *   images;
 * - "voc": a folder of Pascal VOC XML, one file a picture, or one such file
 *   (pixels count from 1, the last one is inside; difficult boxes are ignored);
 * - "yolo": a folder of YOLO text, one file a picture: class, centre x, centre
 *   y, width, height in shares of the picture; classes count from 0, and
 *   classes.txt or obj.names beside them names them;
 * - "auto" or NULL: found out (not mot0).
 * A picture's frame is the last number in its file's name, plus 1 where one of
 * them is 0; where a name has no number or two have the same, its place in the
 * alphabet. A box without width or height is ignored. At most 256 MiB a file.
 * The error names the file, and the line or the place in the document. */
QfAnnotations *qf_annotations_load (
    const char *path, const char *format, GError **error);
void qf_annotations_free (QfAnnotations *a);

/** Boxes (QfBox, pixels from 0) of frame @frame (from 1); NULL where there are
 * none. *@n is set. */
const QfBox *qf_annotations_frame (const QfAnnotations *a, int frame, int *n);

/** The frame of the picture whose file is called @name: folders and what stands
 * behind the last dot do not count. 0: the file knows no such picture, or (MOT,
 * JSON Lines, CVAT) names none. */
int qf_annotations_picture (const QfAnnotations *a, const char *name);

/** The action that frame @frame (from 1) shows, NULL: none. Owned by @a. Only
 * JSON Lines name actions. */
const char *qf_annotations_action (const QfAnnotations *a, int frame);

/** The last frame that has a box or an action, 0 where there is none. */
int qf_annotations_last_frame (const QfAnnotations *a);

/** The largest label number + 1. */
int qf_annotations_n_labels (const QfAnnotations *a);

/** Makes shares of the picture pixels (YOLO); nothing else is changed. To be
 * called before boxes are asked for, and again where pictures change size. */
void qf_annotations_set_size (QfAnnotations *a, int width, int height);

/** The names that the file gives its labels, in the order of their numbers, or
 * NULL where it has numbers only. COCO: by category id; otherwise in the order
 * of appearance. Owned by @a. */
const char *const *qf_annotations_labels (const QfAnnotations *a);

/** Numbers the labels as @labels (NULL-terminated) does, by name; nothing is
 * changed where the file has no names. An error names a class that is not
 * among them. */
gboolean qf_annotations_relabel (
    QfAnnotations *a, const char *const *labels, GError **error);

/** Writes MOTChallenge text of (frame, boxes) pairs: appends one line a box. */
void qf_mot_append (GString *text, int frame, const QfBox *boxes, int n);

/** Reads names, one a line; blank lines at the end are dropped. */
char **qf_labels_load (const char *path, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfAnnotations, qf_annotations_free)

G_END_DECLS
