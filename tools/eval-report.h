/* qfuse eval: what was measured, as text, as JSON and as a picture.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

#include "qfuse.h"

G_BEGIN_DECLS

typedef struct
{
  const char *model_path;
  const QfModel *model; /**< for the names of the labels */
  const QfMetrics *metrics;
  int n_labels, n_clips;
  gboolean actions;              /**< of a classifier, else boxes */
  const GPtrArray *clip_metrics; /**< QfMetrics * of each clip … */
  const char *const *clip_names; /**< … and its path */
} EvalReport;

/** Name of label @i: the model's, or its number, which is put into @buffer. */
const char *eval_label_name (const EvalReport *r, int i, char buffer[16]);

/** What a class of actions was said to be: its pictures, the share of them that
 * was said right, the share of right ones where it was said (NAN: none), and
 * the harmonic mean of both. */
typedef struct
{
  int n_pictures;
  double recall, precision, f1;
} EvalAction;

EvalAction eval_action (const EvalReport *r, int label);

/** Mean of the recalls of classes that have pictures; NAN without any. */
double eval_mean_recall (const EvalReport *r);

/** Share of the clips of which what was said most often, picture by picture, is
 * what they mostly show; NAN without any. */
double eval_clip_accuracy (const EvalReport *r);

/** A row for each clip, and the same as the member "per_clip". */
void eval_print_clips (const EvalReport *r);
void eval_add_clips (const EvalReport *r, JsonBuilder *b);

void eval_print_text (const EvalReport *r);
void eval_print_json (const EvalReport *r);

/** Writes a PNG to @path: precision over recall at IoU 0.5 for each class, or
 * for actions the confusion matrix. FALSE with QF_ERROR_FILE when it cannot. */
gboolean eval_draw (const EvalReport *r, const char *path, GError **error);

G_END_DECLS
