/* libqfuse: fused quantized training.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/model.h"
#include "vision/box.h"
#include "vision/geometry.h"
#include "vision/planes.h"

G_BEGIN_DECLS

typedef struct _QfTrainer QfTrainer;

/** What to train and how. Start from qf_train_options_init(). */
typedef struct
{
  QfPlanes planes;
  int width, height;   /**< network input, pixels; multiples of 16 */
  QfFit fit;
  int rate_n, rate_d;  /**< stored as qfuse.rate; rate_n 0: none */
  const char *head;    /**< "fcos" or "classify" */
  const char *network; /**< "nano", "small" or "base": at most 60, 200, 600
                            million multiplications of 3 planes of 320x256 */
  const char *labels;  /**< one name a line */
  int epochs;          /**< ≥ 1 */
  int batch_size;      /**< 1 … 256 */
  double learning_rate; /**< peak, for the batch as a whole; 0: as suits the
                             optimizer */
  const char *assign;    /**< which cells learn a box: "fixed" (round its
                              centre), "tal" or "simota" (those that do best) */
  const char *ranges;    /**< of Relu outputs: "bound" (largest β + 5|γ|),
                              "minmax", "learned" (from that bound on) or
                              "percentile" (from it on, so that 1 output in
                              10,000 is clipped) */
  const char *optimizer; /**< "sgd" (Nesterov's momentum) or "adamw" */
  double momentum;       /**< decay of the averaged gradient, 0 … 1 */
  double weight_decay;   /**< of convolution weights; −1: as suits the
                              optimizer */
  double average;        /**< decay of the weights' average, which is measured
                              and written in their place, 0 … 0.99999; 0: none */
  double clip_norm;      /**< the gradient's longest norm; 0: no limit */
  double zoom_min, zoom_max; /**< augmentation, factors about 1 */
  double shift;              /**< augmentation, share of the picture */
  double brightness;         /**< augmentation, 0 … 1; 0: off */
  double noise;              /**< augmentation, largest standard deviation,
                                  codes; 0: off */
  double mosaic; /**< share of samples that become four in one; boxes only */
  double paste;  /**< share of samples into which 1 to 3 objects of others are
                      pasted, with what they leave in differences */
  double speed;  /**< samples of frames play at 1/speed … speed; 1: as they are */
  gboolean backwards; /**< one half of the samples of frames plays backwards;
                           boxes only */
  gboolean flip;             /**< mirrored left to right in one half */
  gboolean flip_labels;      /**< FALSE: labels stay as they are under a flip */
  double minutes;            /**< stop in time for this many; 0: no limit */
  guint64 seed;
  int threads;               /**< 0: as many as the affinity mask allows */
  gboolean quantize;         /**< FALSE: the same in float (for comparison) */
  const char *weight_bits;     /**< NULL: 8; "4", "4,NAME=8" … (net.h) */
  const char *activation_bits; /**< likewise */

  guint64 memory_limit; /**< bytes of samples in memory; what is beyond lies in a
                             mapped temporary file; 0: no limit */

  /* A new option that changes what is learned belongs into the digest of
   * checkpoint.c, too. */
  const char *checkpoint; /**< file that holds the whole state, replaced as a
                             whole now and then; NULL: none */
  double checkpoint_seconds; /**< how often within an epoch; each epoch's end
                                makes one in any case */
  gboolean resume; /**< go on from that file, where it exists, to the same bytes
                      as without a stop */
} QfTrainOptions;

void qf_train_options_init (QfTrainOptions *o);

/** The network that a training with @options and no start model starts from, in
 * float32 (Conv, BatchNormalization, Relu) with drawn weights and metadata: to be
 * looked at, trained by others, or given as a start. *@parameters (NULL: not
 * wanted) gets how many numbers are learned. */
QfModel *qf_train_new_model (const QfTrainOptions *options,
    gint64 *parameters, GError **error);

/** What qf_trainer_run() tells after each epoch (and, with batch ≥ 0, after
 * batches now and then). */
typedef struct
{
  int epoch, epochs; /**< from 1 */
  int batch, batches; /**< −1: the epoch is over */
  double loss, loss_class, loss_box;
  double learning_rate;
  double ap50;     /**< on validation samples, NAN where not measured */
  double best_f1;  /**< likewise */
  double accuracy; /**< likewise, for actions */
  double seconds;  /**< since the start */
  gboolean best;   /**< the best so far: worth writing */
  gboolean frozen; /**< statistics and ranges are frozen */
  gboolean resumed; /**< goes on from a checkpoint */
  double waited;   /**< seconds of this process that the training waited for
                      samples */
} QfTrainReport;

/** Called in the thread that runs. Return FALSE to stop. In a report with `best` qf_trainer_export() gives that model. */
typedef gboolean (*QfTrainFunc) (QfTrainer *t, const QfTrainReport *report,
    gpointer user_data);

/** @start NULL: a new network by the builder that the options name; else its
 * graph and weights go on. */
QfTrainer *qf_trainer_new (const QfTrainOptions *options, QfModel *start,
    GError **error);
void qf_trainer_free (QfTrainer *t);

/** Copies a sample: @planes [planes][height][width] of the options' size, @boxes
 * in pixels of that input, @action a label number or −1. Boxes that cannot be
 * learned (not finite, empty, outside, of unknown label) are left out and
 * counted. What goes wrong with the memory limit's file is told by
 * qf_trainer_run(). */
void qf_trainer_add (QfTrainer *t, const guint8 *planes, const QfBox *boxes,
    int n_boxes, int action, gboolean validation);

/** Boxes that were left out. */
int qf_trainer_n_left_out (const QfTrainer *t);

/** Samples held, and their bytes. */
int qf_trainer_n_samples (const QfTrainer *t, gboolean validation);
gsize qf_trainer_bytes (const QfTrainer *t);

/** Trains. FALSE with QF_ERROR_CANCELLED where @func said so, with
 * QF_ERROR_ARGUMENT without usable samples or where the checkpoint is of another
 * training, QF_ERROR_FAILED where it diverged (numbers that are not finite, or for
 * an epoch a loss ten times that of the start; then the checkpoint is of a step
 * before), QF_ERROR_FILE or QF_ERROR_FORMAT for a checkpoint that cannot be
 * written or read. */
gboolean qf_trainer_run (QfTrainer *t, QfTrainFunc func, gpointer user_data,
    GError **error);

/** The best model so far as a file holds it; also that of a training which went
 * on from a checkpoint and found no better one. NULL: none. Owned by @t. Kept
 * with a checkpoint only. */
GBytes *qf_trainer_best (const QfTrainer *t);

/** Trains nothing: writes the batches that qf_trainer_run() would learn from,
 * augmented and in order, to @path, which may be a pipe. The file holds "QFBATCH1";
 * int32 batch size, planes, height, width, epochs, batches an epoch, labels, 0;
 * then, batch by batch, uint8 [batch][height][width][planes] and, image by image,
 * int32 number of boxes, action (−1: none) and float32 x, y, width, height, label,
 * ignore (0 or 1) of each box, in pixels. Numbers are in the machine's order. */
gboolean qf_trainer_write_batches (QfTrainer *t, const char *path,
    GError **error);

/** The model as it stands: fused, quantized, with metadata. */
QfModel *qf_trainer_export (QfTrainer *t, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfTrainer, qf_trainer_free)

G_END_DECLS
