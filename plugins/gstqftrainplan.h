/* GStreamer qfuse: what qfusetrain is to do, checked before the first frame.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstqfplanes.h"
#include "gstqftrainsettings.h"

G_BEGIN_DECLS

/** Not changed once it is made, so that threads may read it. */
typedef struct
{
  GstQfTrainSettings settings;
  QfModel *start; /* NULL: a new network */
  GstQfWant want;
  GstQfWant seen;       /* of each picture: want, or the base planes of it */
  gboolean keep_frames; /* samples are pictures among others */
  gchar *labels;        /* one a line; NULL: what frames are tagged with */
  GArray *frames;       /* GstQfRange; empty: all */
  GArray *validation_frames; /* likewise; empty: none */
  gdouble validation_share;  /* 0 … 0.9 */
} GstQfTrainPlan;

/** Checks all that can be checked: whether the model can be written, too. */
GstQfTrainPlan *gst_qf_train_plan_new (
    const GstQfTrainSettings *settings, GError **error);
void gst_qf_train_plan_free (GstQfTrainPlan *plan);

typedef enum
{
  GST_QF_TRAIN_SKIP,
  GST_QF_TRAIN_LEARN,
  GST_QF_TRAIN_VALIDATE
} GstQfTrainUse;

/** What frame @n (from 1, 0: not known) is for. @validation: it is tagged as
 * one that measures. */
GstQfTrainUse gst_qf_train_plan_use (
    const GstQfTrainPlan *plan, gint n, gboolean validation);

/** Whether it is sure before the stream has ended that actions are learned:
 * frames without one are no samples then. */
gboolean gst_qf_train_plan_actions (const GstQfTrainPlan *plan);

/** The trainer's options; strings stay the plan's or the caller's. */
void gst_qf_train_plan_options (const GstQfTrainPlan *plan, const gchar *head,
    const gchar *labels, QfTrainOptions *options);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstQfTrainPlan, gst_qf_train_plan_free)

G_END_DECLS
