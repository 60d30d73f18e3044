/* libqfuse: the table of heads, for lib/vision/heads only. A new head is one
 * file that defines a QfHead, and one row in heads.c.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "vision/heads.h"

G_BEGIN_DECLS

typedef struct
{
  int input_w, input_h; /* pixels */
  int n_labels;
  int n_outputs;
} QfHeadInfo;

typedef struct
{
  const char *name; /* as in qfuse.head */
  gboolean classifier;
  /* Reads the head's own parameters from the metadata into a state of its own
   * and checks the outputs' shapes (tensors without data). NULL is an error. */
  gpointer (*open) (const QfModel *model, const QfTensor *shapes, int n_outputs,
      GError **error);
  void (*close) (gpointer state);
  /* Appends candidates with score ≥ threshold to result->boxes (before NMS), or
   * sets result->action. */
  void (*decode) (gpointer state, const QfHeadInfo *info,
      const QfTensor *outputs, float threshold, QfResult *result);
  /* Whether outputs of a foreign network look like this head's, by names and
   * shapes; may set metadata that open() then needs. NULL: not to be guessed.
   */
  gboolean (*fits) (QfModel *model, const QfTensor *shapes, int n_outputs);
} QfHead;

extern const QfHead qf_head_fcos, qf_head_classify, qf_head_yunet,
    qf_head_fastestdet, qf_head_yolox, qf_head_yolov5, qf_head_yolov8,
    qf_head_nanodet, qf_head_boxes, qf_head_ssd;

G_END_DECLS
