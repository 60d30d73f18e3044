/* libqfuse: what the files of the trainer share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/model-private.h"
#include "train/optimizer.h"
#include "train/samples.h"
#include "train/trainer.h"
#include "vision/metrics.h"

struct _QfTrainer
{
  QfTrainOptions o;
  char *head, *network, *labels, *optimizer_name; /* owned copies of o's */
  int n_labels;
  QfAugment augment;
  GPtrArray *train, *validation; /* QfSample */
  QfPool *pool;
  QfGraph *graph; /* what the net is built from */
  gboolean fresh; /* weights are to be drawn */
  QfNet *net;
  QfOptimizer *optimizer;
  const QfLossKind *loss;
  gint64 step, total; /* of this run */
  gint64 start_time;  /* monotonic, µs */
  double threshold;   /* stored as qfuse.threshold */
  GArray **batch_boxes; /* [batch] QfBox */
  int *order;         /* shuffled sample numbers */
  int epoch;
};

/** Bytes of one sample's planes. */
static inline gsize
qf_trainer_sample_bytes (const QfTrainer *t)
{
  return (gsize) t->o.planes.n * t->o.width * t->o.height;
}

/** Which samples become the images of a batch. */
typedef struct
{
  QfTrainer *t;
  GPtrArray *samples;
  const int *order; /* augmented; NULL: every @every-th in turn, as it stands */
  int first, every;
} QfBatch;

/** A QfTask: puts sample @image of a batch into the net's input. */
void qf_batch_load (gpointer batch, int image, int worker);

/** Frozen forward passes over every @every-th of @samples; fills @scores. */
gboolean qf_trainer_measure (QfTrainer *t, GPtrArray *samples, int every,
    QfScores *scores, GError **error);

/** Sets the threshold at which F1 is best on validation samples or, where there
 * are none, on some of those that were learned. */
gboolean qf_trainer_choose_threshold (QfTrainer *t, GError **error);

/** A model of @graph (taken) with the metadata of this training. */
QfModel *qf_trainer_model_of (QfTrainer *t, QfGraph *graph);
