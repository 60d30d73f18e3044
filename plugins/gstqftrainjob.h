/* GStreamer qfuse: the thread that trains for qfusetrain.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstqftrainplan.h"
#include "gstqftrainset.h"

G_BEGIN_DECLS

typedef struct _GstQfTrainJob GstQfTrainJob;

/** Called once in the training thread, with no lock held, when it is over: @ok
 * where a model is written; otherwise it was stopped or an error was posted. */
typedef void (*GstQfTrainDone) (gpointer user_data, gboolean ok);

/** Trains on @set (taken over) in a thread, posting messages of @element:
 * PROGRESS, an element message `qfuse-epoch` each epoch, and ERROR.
 * @rate_n/@rate_d: what is stored as the model's rate, @rate_n 0: none. @plan
 * must live longer. NULL where no thread can be made. */
GstQfTrainJob *gst_qf_train_job_new (GstElement *element,
    const GstQfTrainPlan *plan, GstQfTrainSet *set, gint rate_n, gint rate_d,
    GstQfTrainDone done, gpointer user_data);

/** Ends it within a batch; returns at once. */
void gst_qf_train_job_stop (GstQfTrainJob *job);

/** Waits before the next batch until it is to go on. */
void gst_qf_train_job_pause (GstQfTrainJob *job, gboolean pause);

/** What was last reported; FALSE before the first batch. */
gboolean gst_qf_train_job_report (GstQfTrainJob *job, QfTrainReport *report);

/** Stops, and waits for its end. NULL is allowed. */
void gst_qf_train_job_free (GstQfTrainJob *job);

G_END_DECLS
