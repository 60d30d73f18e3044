/* libqfuse: samples as a training sees them: never twice the same.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/rng.h"
#include "train/samples.h"

typedef struct
{
  QfPlanes planes;
  int width, height;
  double zoom_min, zoom_max, shift, brightness;
  double noise;  /* largest standard deviation, codes */
  double mosaic; /* share of samples that become four in one */
  double paste;  /* share of samples into which objects of others are pasted */
  double speed;  /* of frames: 1/speed … speed */
  gboolean backwards; /* of frames: one half of them */
  gboolean flip;

  /* Where samples are frames: */
  const QfFrames *frames;
  QfPlanes base; /* of these */
} QfAugment;

/** Writes a sample as it stands to @codes [height][width][planes]: what the
 * engine is given. */
void qf_sample_plain (const QfAugment *a, const QfSample *s, guint8 *codes);

/** Writes sample @number of @samples (QfSample) as @rng decides: zoomed,
 * shifted, flipped, lit, with noise, in another order of time, and with others
 * beside or in it. Appends its boxes (QfBox), moved alike, to @boxes: one of
 * which under a quarter is left, or that is covered by a third, is to be
 * ignored; one that is covered by two thirds is gone. */
void qf_sample_augment (const QfAugment *a, const GPtrArray *samples,
    int number, QfRng rng, guint8 *codes, GArray *boxes);
