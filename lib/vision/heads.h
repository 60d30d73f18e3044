/* libqfuse: heads: from a network's outputs to boxes or an action.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/model.h"
#include "vision/box.h"

G_BEGIN_DECLS

typedef struct _QfDecoder QfDecoder;

/** A key point, pixels. */
typedef struct
{
  float x, y, score;
} QfKeyPoint;

/** What a decoder found in one picture. */
typedef struct
{
  GArray *boxes;      /**< QfBox in pixels of the network's input */
  int action;         /**< label number of the action, −1: none */
  float action_score; /**< 0 … 1 */
  GArray *points;     /**< QfKeyPoint in pixels of the network's input, those of
                           candidates that went too: see QfBox.points; NULL:
                           not wanted */
  int n_points;       /**< of each box that has points */
} QfResult;

/** A decoder for the head that the model's `qfuse.head` names. Checks that the
 * model's outputs have the shapes which that head needs. */
QfDecoder *qf_decoder_new (const QfModel *model, GError **error);
void qf_decoder_free (QfDecoder *d);

/** Recognises the head of a foreign network by its outputs' names and shapes,
 * and sets `qfuse.head` and what that head needs. Returns its name; NULL where
 * none fits, with an error that tells the outputs. */
const char *qf_head_recognise (QfModel *model, GError **error);

/** TRUE where the head gives an action of the whole picture, not boxes. */
gboolean qf_decoder_is_classifier (const QfDecoder *d);

/** Decodes @outputs (the model's, in its order), non-maximum suppression
 * included; @result->boxes (made by the caller) and, where
 * there are, points are overwritten, sorted by
 * falling score. @max 0: no limit but that the 10,000 best candidates alone
 * reach suppression. */
void qf_decoder_run (QfDecoder *d, const QfTensor *outputs, int n_outputs,
    float threshold, float iou, int max, QfResult *result);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfDecoder, qf_decoder_free)

G_END_DECLS
