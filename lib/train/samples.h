/* libqfuse: training samples.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "train/frames.h"
#include "train/loss.h"

/** One picture with what is true of it. Either planes as the network sees them,
 * or a picture among frames of which they are made. */
typedef struct
{
  const guint8 *planes; /* [planes][height][width] in a store; NULL: a frame */
  int frame;            /* its number; −1: planes */
  QfBox *boxes;         /* pixels of the planes */
  int n_boxes;
  int action; /* label number, −1: none */
} QfSample;

/** @planes stay the caller's. */
QfSample *qf_sample_new (const guint8 *planes, int frame, const QfBox *boxes,
    int n_boxes, int action);
void qf_sample_free (QfSample *s);

/** A hash of @bytes at @data that goes on from @hash. */
guint64 qf_hash_bytes (gconstpointer data, gsize bytes, guint64 hash);

/** The same of all that is true of a sample. */
guint64 qf_sample_hash_truth (const QfSample *s, guint64 hash);
