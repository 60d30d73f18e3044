/* qfuse: one video through the network into another video.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

typedef struct
{
  const char *input, *output; /**< output NULL: none, detections only */
  const char *detections;     /**< file for them, or NULL */
  const char *model;
  double threshold; /**< < 0: the model's */
  int interval;     /**< run the network on every … frame, ≥ 1 */
  int threads;      /**< of the network; 0: half of the processors */
  gboolean overlay;
  gboolean only_moving; /**< leave out the stretches where nothing moves */
} AnnotateJob;

typedef struct
{
  guint64 frames, detections; /**< that were written */
  guint64 read;               /**< frames of the input */
  double seconds;
} AnnotateResult;

/** Does the job. Both files are written beside their names and renamed at the
 * end, so that a failure leaves nothing behind. Where nothing moves there is no
 * stretch to keep, and no video: frames is 0. */
gboolean annotate (
    const AnnotateJob *job, AnnotateResult *result, GError **error);

G_END_DECLS
