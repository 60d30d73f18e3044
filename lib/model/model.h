/* libqfuse: a model: a graph and what GStreamer needs beside it.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "model/tensor.h"

G_BEGIN_DECLS

typedef struct _QfModel QfModel;

/** Reads an ONNX file of at most 1 GiB. Anything wrong with it is one error
 * that names the file. The file's content is validated before it decides any
 * size. */
QfModel *qf_model_load (const char *path, GError **error);

/** What an input of a graph is to be, given at load. */
typedef struct
{
  const char *name; /**< of the input; NULL: by its position in the list */
  QfDType dtype;
  int rank;
  gint64 dims[QF_MAX_RANK];
  const void *data; /**< its value where that decides shapes; or NULL */
} QfBinding;

/** qf_model_load() with sizes that the file leaves open. Inputs whose value
 * decides a shape become constant: what is given to them later is ignored. */
QfModel *qf_model_load_bound (const char *path, const QfBinding *bindings,
    int n_bindings, GError **error);

/** The same from memory; @name is used in messages. */
QfModel *qf_model_load_bytes (GBytes *bytes, const char *name, GError **error);

#define QF_IMPORT_CHANNELS 16

/** How a foreign network is to see codes 0 … 255: (code − mean)·scale, of each
 * channel. */
typedef struct
{
  int width, height;               /**< of its input; 0: as the file has it */
  int n;                           /**< channels in these; 1: of all, 0: codes */
  float mean[QF_IMPORT_CHANNELS];  /**< finite */
  float scale[QF_IMPORT_CHANNELS]; /**< finite */
} QfImport;

/** Reads a foreign network with one picture (float32 or uint8, NCHW or NHWC) as
 * its input, and puts nodes before it so that it takes uint8 codes [1, C, H,
 * W]: DequantizeLinear, and Sub and Mul where that cannot say it. *@codes (or
 * NULL): it took codes already, and @how has no means. QF_ERROR_UNSUPPORTED
 * where it has another input; QF_ERROR_ARGUMENT where @how does not fit it. */
QfModel *qf_model_import (const char *path, const QfImport *how,
    gboolean *codes, GError **error);

/** Writes the file atomically (written beside, synced, renamed). */
gboolean qf_model_save (const QfModel *model, const char *path, GError **error);

/** The same into memory. */
GBytes *qf_model_to_bytes (const QfModel *model, GError **error);

QfModel *qf_model_ref (QfModel *model);
void qf_model_unref (QfModel *model);

/** Value of a metadata key such as "qfuse.planes", or NULL. Owned by the model.
 */
const char *qf_model_get (const QfModel *model, const char *key);

/** Metadata as a number; @fallback where it is absent or no finite number. */
double qf_model_get_double (
    const QfModel *model, const char *key, double fallback);

/** Sets a key (NULL removes it). Only before the model is shared. */
void qf_model_set (QfModel *model, const char *key, const char *value);

/** All keys, sorted; free the list's container only. */
GList *qf_model_keys (const QfModel *model);

/** Number of labels in `qfuse.labels`. */
int qf_model_n_labels (const QfModel *model);

/** Name of label @i, or NULL where it has none. Owned by the model. */
const char *qf_model_label (const QfModel *model, int i);

/** Number of @label, or −1. */
int qf_model_find_label (const QfModel *model, const char *label);

/** Shape of the graph's first input: channels, rows, columns. */
void qf_model_input_shape (const QfModel *model, int *c, int *h, int *w);

/** Inputs and outputs as the file has them: NCHW or any other order, as float32
 * also where the engine gives codes. */
int qf_model_n_inputs (const QfModel *model);
int qf_model_n_outputs (const QfModel *model);

/** Name (owned by the model), type and shape. @dims has room for QF_MAX_RANK. */
const char *qf_model_input (const QfModel *model, int i, QfDType *dtype,
    int *rank, gint64 *dims);
const char *qf_model_output (const QfModel *model, int i, QfDType *dtype,
    int *rank, gint64 *dims);

/** Multiply-accumulates of one run. */
gint64 qf_model_macs (const QfModel *model);

/** A Conv or Gemm with constant weights, with one scale an output channel or
 * one in all where they are quantized. Strings are the model's. */
typedef struct
{
  const char *name, *op;
  int bits;         /**< of a weight in the file: 4, 8 or 32 */
  gint64 channels;  /**< output channels */
  gint64 n_weights; /**< without bias */
} QfModelLayer;

/** Such layers, in the order of the file; 0 in a model that has operators
 * beyond those which run in int8. @i: 0 … their number − 1. */
int qf_model_n_layers (const QfModel *model);
void qf_model_layer (const QfModel *model, int i, QfModelLayer *layer);

/** A copy of @model (metadata included) with the weights of layer @i rounded to
 * @bits, 2 … 8: codes of −top … top, top = 2^(bits − 1) − 1, and one scale an
 * output channel, its largest size by top. int8 codes are rounded as they are,
 * the bias follows the new scale. What has that form already stays the same
 * bytes; *@changed tells. QF_ERROR_UNSUPPORTED where there are no layers. */
QfModel *qf_model_round_layer (const QfModel *model, int i, int bits,
    gboolean *changed, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfModel, qf_model_unref)

G_END_DECLS
