/* qfuse: what the files of the annotator share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "annotator.h"
#include "cut.h"

typedef struct
{
  const AnnotateJob *job;
  GstElement *pipeline, *parsebin, *queue;
  GstElement *mux; /* NULL: no video is written */
  Cut *cut;        /* NULL: all stays */
  char *temporary; /* what the video is written to */
  char *temporary_detections;
  GMutex build_lock; /* what arrives first builds, the others wait */
  gboolean built;

  /* written by the streaming thread */
  GMutex lock;
  AnnotateResult result;
  GstClockTime position, duration;
  GstClockTime last;    /* that any stream of the input reached */
  GstClockTime encoded; /* time of the last encoded frame */
} Annotator;

/* annotator-streams.c */

/** Builds what stands behind parsebin, whose pads are all there. */
gboolean annotator_build_streams (Annotator *a, GError **error);
