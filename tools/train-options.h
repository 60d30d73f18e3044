/* qfuse train: its options.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/** As given; strings: NULL where not. */
typedef struct
{
  char *start, *output, *planes, *frames, *validation, *size, *labels;
  char *fit, *head, *network, *optimizer, *assignment, *ranges;
  char *weight_bits, *activation_bits;
  char *checkpoint, *batches, *metrics, *curves, *picture;
  char **validation_clips;
  int every, epochs, batch_size, threads, max_samples, memory_limit;
  double minutes, learning_rate, checkpoint_interval, weight_decay, clip_norm,
      average;
  double zoom, shift, brightness, speed, noise, mosaic, paste;
  gint64 seed;
  gboolean json, no_flip, resume, backwards;
} TrainOptions;

/** None is given. */
void train_options_init (TrainOptions *o);

/** Option entries for @o, to be freed by the caller. */
GOptionEntry *train_entries (TrainOptions *o);

/** Sets the properties of @train, a qfusetrain. QF_ERROR_ARGUMENT for wrong
 * usage. */
gboolean train_options_set (
    const TrainOptions *o, GstElement *train, GError **error);

G_END_DECLS
