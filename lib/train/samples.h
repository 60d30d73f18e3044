/* libqfuse: training samples and their augmentation.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/rng.h"
#include "train/loss.h"
#include "vision/planes.h"

/** One picture's planes with what is true of it. */
typedef struct
{
  guint8 *planes; /* [planes][height][width] */
  QfBox *boxes;   /* pixels of the planes */
  int n_boxes;
  int action; /* label number, −1: none */
} QfSample;

typedef struct
{
  QfPlanes planes;
  int width, height;
  double zoom_min, zoom_max, shift, brightness;
  gboolean flip;
} QfAugment;

QfSample *qf_sample_new (const guint8 *planes, gsize bytes, const QfBox *boxes,
    int n_boxes, int action);
void qf_sample_free (QfSample *s);

/** A hash of @bytes of planes and of what is true of them, that goes on from
 * @hash. */
guint64 qf_sample_hash (const QfSample *s, gsize bytes, guint64 hash);

/** Writes a sample as it stands to @codes [height][width][planes]. */
void qf_sample_plain (const QfAugment *a, const QfSample *s, guint8 *codes);

/** Writes the sample zoomed, shifted, flipped and lit as @rng decides; appends
 * its boxes (QfBox), moved alike, to @boxes: a box of which under a quarter is
 * left becomes one to be ignored. */
void qf_sample_augment (const QfAugment *a, const QfSample *s, QfRng rng,
    guint8 *codes, GArray *boxes);
