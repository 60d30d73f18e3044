/* libqfuse: what the readers of ground truth fill in.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/annotations.h"
#include "vision/textfile.h"

#define QF_TRUTH_MAX_FRAME 100000000
#define QF_TRUTH_MAX_LABEL 100000
#define QF_TRUTH_MAX_PIXEL 1e6
#define QF_TRUTH_MAX_FILE (256u << 20) /* bytes */

typedef struct
{
  int frame;  /* from 1 */
  guint line; /* keeps the file's order within a frame */
  QfBox box;
} QfTruthRow;

/* A file on its way into QfAnnotations. */
typedef struct
{
  const char *path;
  GArray *rows;         /* QfTruthRow, in any order */
  GPtrArray *names;     /* char *: names of the labels, none where numbers do */
  GHashTable *pictures; /* char *, see qf_truth_stem() → frame (int) */
  gboolean relative;    /* boxes in shares of the picture, not in pixels */
  GHashTable *actions;  /* frame (int) → char *: what it shows */
} QfTruth;

typedef gboolean (*QfTruthReader) (QfTruth *t, GString *text, GError **error);

gboolean qf_truth_read_mot (QfTruth *t, GString *text, GError **error);
gboolean qf_truth_read_mot0 (QfTruth *t, GString *text, GError **error);
gboolean qf_truth_read_coco (QfTruth *t, GString *text, GError **error);
gboolean qf_truth_read_jsonl (QfTruth *t, GString *text, GError **error);
gboolean qf_truth_read_cvat (QfTruth *t, GString *text, GError **error);

/* VOC and YOLO: one file a picture; t->path is a folder or one of its files. */
gboolean qf_truth_read_voc (QfTruth *t, GError **error);
gboolean qf_truth_read_yolo (QfTruth *t, GError **error);

/* The number of the label @name, which joins the names where it is new. */
int qf_truth_label (QfTruth *t, const char *name);

/* Checks a box and appends it. FALSE and what is wrong with it otherwise. */
gboolean qf_truth_add (QfTruth *t, QfTruthRow *row, const char **wrong);

/* Notes that frame @frame shows @action. FALSE and what is wrong otherwise:
 * it shows another one already. */
gboolean qf_truth_act (
    QfTruth *t, int frame, const char *action, const char **wrong);

/* Frames of pictures by their file @names [n]: the last number in a name, plus
 * 1 where one of them is 0; where a name has none or two have the same, their
 * places in alphabetical order. Joins t->pictures. */
void qf_truth_frames (
    QfTruth *t, const char *const *names, guint n, int *frames);

/* A file's name without its folder and what stands behind the last dot. */
char *qf_truth_stem (const char *name);
