/* qfuse: what two networks find in the same pictures.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qfuse.h"

G_BEGIN_DECLS

/** What a network finds in pictures. */
typedef struct
{
  GPtrArray *boxes; /**< GArray * of QfBox, of each picture */
  GArray *actions;  /**< int, of each picture; −1: none */
  double ms;        /**< of a run, the median */
} Findings;

/** Runs @model on @frames (guint8 *, as frames_read() gives them) with the
 * thresholds that it has; NULL: @error is set. */
Findings *findings_of (
    QfModel *model, const GPtrArray *frames, int threads, GError **error);
void findings_free (Findings *f);

typedef struct
{
  int pictures;
  int reference; /**< boxes of the first; of a classifier pictures */
  int found;     /**< of these: a box of the second, IoU ≥ 0.5, same class */
  int extra;     /**< boxes of the second that belong to none of the first */
} Agreement;

/** Adds what @b has of @a to @sum. */
void findings_compare (const Findings *a, const Findings *b, Agreement *sum);

/** Shares of @a->reference, 1 and 0 where there is none. */
double agreement_found (const Agreement *a);
double agreement_extra (const Agreement *a);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Findings, findings_free)

G_END_DECLS
