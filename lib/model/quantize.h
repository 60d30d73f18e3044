/* libqfuse: a trained float network becomes one on codes.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A quantizer takes a float model apart once. The caller runs the float model
 * that it gives on pictures and lets it observe what comes out, twice; then it
 * makes quantized models, as many as are asked for:
 *
 *     q = qf_quantizer_new (model, &error);
 *     do {
 *       m = qf_quantizer_float_model (q, &error);
 *       … run m on each picture: qf_quantizer_observe (q, outputs, n);
 *     } while (qf_quantizer_next_pass (q));
 *     quantized = qf_quantizer_model (q, &options, &error);
 */
#pragma once

#include "model/model.h"

G_BEGIN_DECLS

typedef struct _QfQuantizer QfQuantizer;

/** How the range of an activation follows from what was observed. */
typedef enum
{
  QF_RANGES_MIN_MAX,
  QF_RANGES_PERCENTILE, /**< all but 1 of 20,000 at each end */
  QF_RANGES_MSE,        /**< least mean square error of the codes */
  QF_RANGES_ENTROPY     /**< least divergence of the codes' distribution
                             (Migacz, 8-bit Inference with TensorRT, 2017) */
} QfRanges;

typedef struct
{
  QfRanges ranges;
  gboolean
      correct_bias; /**< of each channel by the mean error of its weights'
                       codes (Nagel et al., Data-Free Quantization, 2019) */
} QfQuantizeOptions;

/** Takes @model apart: folds batch normalization and zero padding into
 * convolutions, shuffles of channels into Gather, brings it to opset 13.
 * @equalize: a first pass of observations serves to scale channels so that they
 * fill the range of their tensor (cross-layer equalization, the same paper).
 * QF_ERROR_UNSUPPORTED where nothing in it can be quantized, or where it is
 * quantized already. */
QfQuantizer *qf_quantizer_new (
    const QfModel *model, gboolean equalize, GError **error);
void qf_quantizer_free (QfQuantizer *q);

/** The float model as it is now. Its outputs are those of the model, then what
 * is observed. Not for others. */
QfModel *qf_quantizer_float_model (const QfQuantizer *q, GError **error);

/** What it computed on a picture: all outputs. */
void qf_quantizer_observe (
    QfQuantizer *q, const QfTensor *outputs, int n_outputs);

/** Ends a pass. TRUE: the float model is needed on the same pictures again, and
 * may have changed. */
gboolean qf_quantizer_next_pass (QfQuantizer *q);

/** A convolution or matrix product with constant weights. */
typedef struct
{
  const char *name, *op; /**< the quantizer's */
  gint64 n_weights;
  gboolean kept; /**< in float by qf_quantizer_keep_float() */
} QfQuantizerLayer;

int qf_quantizer_n_layers (const QfQuantizer *q);
void qf_quantizer_layer (const QfQuantizer *q, int i, QfQuantizerLayer *layer);
void qf_quantizer_keep_float (QfQuantizer *q, int i, gboolean keep);

/** The quantized model, in QuantizeLinear/DequantizeLinear form, with the
 * metadata of the first; after all passes. */
QfModel *qf_quantizer_model (
    const QfQuantizer *q, const QfQuantizeOptions *options, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfQuantizer, qf_quantizer_free)

G_END_DECLS
