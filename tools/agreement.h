/* qfuse: what two networks find in the same pictures.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qfuse.h"

G_BEGIN_DECLS

/** What a network finds in pictures. */
typedef struct
{
  GPtrArray *boxes; /**< GArray * of QfBox, of each picture, with those
                       nearly */
  float threshold;  /**< what makes others more than nearly */
  GArray *actions;  /**< int, of each picture; −1: none */
  double ms;        /**< of a run, the median */
} Findings;

/** Runs @model on @frames (guint8 *, as frames_read() gives them) with the
 * thresholds that it has; NULL: @error is set. */
Findings *findings_of (
    QfModel *model, const GPtrArray *frames, int threads, GError **error);
void findings_free (Findings *f);

/** Boxes of the same class with IoU ≥ 0.5 are the same. Scores near the
 * threshold fall on either side of it by less than a code's worth; so there are
 * two counts, of boxes that both give, and of those that one gives and the
 * other at least nearly: with a score AGREEMENT_NEAR below the threshold. */
typedef struct
{
  int pictures;
  int reference;    /**< boxes of the first; of a classifier pictures */
  int found, extra; /**< of these: boxes of the second; its other boxes */
  int nearly_found, nearly_extra;
} Agreement;

#define AGREEMENT_NEAR 0.1

/** Adds what @b has of @a to @sum. */
void findings_compare (const Findings *a, const Findings *b, Agreement *sum);

/** @n as a share of @a->reference; @none where that is 0. */
double agreement_share (const Agreement *a, int n, double none);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Findings, findings_free)

G_END_DECLS
