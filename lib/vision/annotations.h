/* libqfuse: files with ground truth.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "vision/box.h"

G_BEGIN_DECLS

typedef struct _QfAnnotations QfAnnotations;

/** Reads a label file. @format: "auto", "mot" (MOTChallenge text:
 * frame,id,left,top,width,height,confidence,class,visibility; frames and pixels
 * count from 1, classes from 1; a confidence of 0 marks a box to be ignored)
 * or "mot0" (the same with pixels that count from 0). Six fields are enough, ten
 * are taken; class −1 or none is label 0; a box without width or height is
 * ignored; empty lines and lines that start with # are passed over. At most
 * 256 MiB. The error names file and line. */
QfAnnotations *qf_annotations_load (const char *path, const char *format,
    GError **error);
void qf_annotations_free (QfAnnotations *a);

/** Boxes (QfBox, pixels from 0) of frame @frame (from 1); NULL where there are
 * none. *@n is set. */
const QfBox *qf_annotations_frame (const QfAnnotations *a, int frame, int *n);

/** The last frame that has a box, 0 where there is none. */
int qf_annotations_last_frame (const QfAnnotations *a);

/** The largest label number + 1. */
int qf_annotations_n_labels (const QfAnnotations *a);

/** Writes MOTChallenge text of (frame, boxes) pairs: appends one line a box. */
void qf_mot_append (GString *text, int frame, const QfBox *boxes, int n);

/** Reads names, one a line; blank lines at the end are dropped. */
char **qf_labels_load (const char *path, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfAnnotations, qf_annotations_free)

G_END_DECLS
