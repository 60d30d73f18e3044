/* libqfuse: what the files of the trainer share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/model-private.h"
#include "train/optimizer.h"
#include "train/augment.h"
#include "train/trainer.h"
#include "vision/metrics.h"

struct _QfTrainer
{
  QfTrainOptions o;
  /* owned copies of o's */
  char *head, *network, *labels, *optimizer_name, *ranges, *weight_bits;
  char *activation_bits;
  int n_labels;
  QfAugment augment;
  GPtrArray *train, *validation; /* QfSample */
  QfStore *store;                /* their planes; NULL: none yet */
  QfFrames *frames;              /* or the frames that they are; NULL: none */
  GError *store_error;
  int left_out; /* boxes */
  QfPool *pool;
  QfGraph *graph; /* what the net is built from */
  gboolean fresh; /* weights are to be drawn */
  QfNet *net;
  QfOptimizer *optimizer;
  const QfLossKind *loss;
  QfAssign assign;
  gint64 step, total; /* of this run */
  gint64 start_time;  /* monotonic, µs */
  double threshold;   /* stored as qfuse.threshold */
  int *order;         /* shuffled sample numbers */
  GByteArray *kept;   /* the net's state while its average stands in it */
  struct _QfPrefetch *prefetch;

  /* Where the run stands; in checkpoints. */
  int epoch, batch; /* from 1; of the epoch, the next one to be done */
  double best;      /* score of the best model, −1: none yet */
  QfLoss sum;       /* over the epoch's batches */
  double first_loss; /* of the batches that others are compared with: sum */
  int high;          /* batches whose loss was far above it, less the others */
  double seconds;   /* since the start, when the checkpoint was made */

  char *checkpoint;       /* owned copy of o's */
  char *digest;           /* of what is trained: see checkpoint.h */
  guint64 samples_hash;   /* of all samples */
  gint64 checkpoint_time; /* monotonic, µs, of the last one */
  GBytes *best_model;     /* NULL: none */
};

/** Bytes of one sample's planes. */
static inline gsize
qf_trainer_sample_bytes (const QfTrainer *t)
{
  return (gsize) t->o.planes.n * t->o.width * t->o.height;
}

/* options.c */

/** QF_ERROR_ARGUMENT where one is outside of what trainer.h says. */
gboolean qf_train_options_check (const QfTrainOptions *o, GError **error);

/** Sets what is left to the optimizer. */
void qf_train_options_fill (QfTrainOptions *o);

/** Names in @labels, one a line. */
int qf_train_count_labels (const char *labels);

/** Samples to come have their planes in @store (kept). Before the first. */
void qf_trainer_set_store (QfTrainer *t, QfStore *store);

/** Samples to come are frames of @frames (taken over). Before the first. */
void qf_trainer_set_frames (QfTrainer *t, QfFrames *frames);

/** As qf_trainer_add() with @planes in the trainer's store, or with @planes NULL
 * and the number of a frame that is kept. */
void qf_trainer_add_stored (QfTrainer *t, const guint8 *planes, int frame,
    const QfBox *boxes, int n_boxes, int action, gboolean validation);

/** Which samples become the images of a batch. */
typedef struct
{
  QfTrainer *t;
  GPtrArray *samples;
  int first, every; /* every @every-th in turn from number @first of these on */
} QfBatch;

/** A QfTask: puts sample @image of a batch into the net's input, as it stands. */
void qf_batch_load (gpointer batch, int image, int worker);

/** Puts @codes [height][width][planes] into the net's input as image @image. */
void qf_batch_put (const QfTrainer *t, int image, const guint8 *codes);

/** Frozen forward passes over every @every-th of @samples; fills @scores. */
gboolean qf_trainer_measure (QfTrainer *t, GPtrArray *samples, int every,
    QfScores *scores, GError **error);

/** What a sample looks like and what is found on it. */
typedef struct
{
  const QfSample *sample;
  guint8 *codes; /* [height][width][planes] */
  GArray *boxes; /* QfBox, from the threshold on, by falling score */
  int action;    /* −1: none */
  float action_score;
} QfSeen;

/** Fills @seen for @sample by the net as it stands, frozen. Its codes and boxes
 * are the caller's and overwritten. */
gboolean qf_trainer_look (
    QfTrainer *t, const QfSample *sample, QfSeen *seen, GError **error);

/** Puts the weights' average in the net's place, with statistics and ranges made
 * anew and frozen, until the end. Nothing where no average is kept. */
void qf_trainer_begin_average (QfTrainer *t);
void qf_trainer_end_average (QfTrainer *t);

/** Makes net, optimizer and prefetch for a run from the start. */
gboolean qf_trainer_prepare (QfTrainer *t, GError **error);

/** The order of epoch t->epoch, which depends on nothing but its number. */
void qf_trainer_shuffle (QfTrainer *t);

/** Sets the threshold at which F1 is best on validation samples or, where there
 * are none, on some of those that were learned. */
gboolean qf_trainer_choose_threshold (QfTrainer *t, GError **error);

/** A model of @graph (taken) with the metadata of this training. */
QfModel *qf_trainer_model_of (QfTrainer *t, QfGraph *graph);
