/* GStreamer qfuse: the properties of qfusetrain.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

#include "qfuse.h"

G_BEGIN_DECLS

typedef enum
{
  GST_QF_TRAIN_HEAD_AUTO,
  GST_QF_TRAIN_HEAD_FCOS,
  GST_QF_TRAIN_HEAD_CLASSIFY
} GstQfTrainHead;

/** What the user set. Strings are owned; NULL: not set. */
typedef struct
{
  gchar *model_file, *start_file, *checkpoint_file;
  gchar *planes, *frames, *validation, *labels, *network, *optimizer,
      *assignment, *ranges, *batches_file, *picture_file;
  gchar *weight_bits, *activation_bits;
  guint every, max_samples;
  guint64 seed;
  gint epochs, batch_size, threads, width, height;
  gint rate_n, rate_d;
  guint memory_limit; /* MB */
  gdouble checkpoint_interval, noise, mosaic, paste;
  gdouble learning_rate, weight_decay, clip_norm, average, minutes, zoom, shift,
      brightness, speed;
  gboolean backwards, flip, quantize, resume;
  QfFit fit;
  GstQfTrainHead head;
} GstQfTrainSettings;

void gst_qf_train_settings_init (GstQfTrainSettings *s);
void gst_qf_train_settings_clear (GstQfTrainSettings *s);

/** A deep copy into cleared memory. */
void gst_qf_train_settings_copy (
    GstQfTrainSettings *to, const GstQfTrainSettings *from);

/** Installs them from number 1 on; returns the first free number. */
guint gst_qf_train_settings_install (GObjectClass *klass);

/** FALSE where @id is none of them. */
gboolean gst_qf_train_settings_set (
    GstQfTrainSettings *s, guint id, const GValue *value);
gboolean gst_qf_train_settings_get (
    const GstQfTrainSettings *s, guint id, GValue *value);

G_END_DECLS
