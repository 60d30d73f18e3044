/* libqfuse: a network as the trainer holds it.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Blobs (activations of a whole batch) and layers in running order. Each layer
 * has a forward and a backward function; conv.c is fused quantized training
 * (docs/numerics.md, "Training"), simple.c the table of the layers without
 * weights, layer_*.c what they do. */
#pragma once

#include "base/pool.h"
#include "base/rng.h"
#include "kernels/grad.h"
#include "kernels/kernels.h"
#include "model/graph.h"

#define QF_MAX_INPUTS 8

/** Running average of a range over batches: decay min(0.99, n/(n+1)). */
typedef struct
{
  double lo, hi;
  gint64 n; /* batches averaged */
} QfRange;

/** An activation: @batch images, NHWC. */
typedef struct
{
  char *name;
  int h, w, c;
  float scale; /* real = scale·(code − zero) */
  int zero;
  int top;       /* largest code: 255, or 15 of 4 bits */
  guint8 *codes; /* [batch][h][w][c]; quantized nets */
  float *real;   /* the same in float nets */
  float *grad;   /* dLoss/dreal; NULL for the input */
  float bound, bound_grad; /* learned end of a Relu's range; 0: not yet */
  gboolean grad_live; /* holds something that is to be added to */
  QfRange range; /* of real values; moves until frozen */
} QfBlob;

typedef enum
{
  QF_LAYER_CONV,
  QF_LAYER_ADD,
  QF_LAYER_MUL,
  QF_LAYER_CONCAT,
  QF_LAYER_SLICE,
  QF_LAYER_MAX_POOL,
  QF_LAYER_AVERAGE_POOL,
  QF_LAYER_GLOBAL_AVG,
  QF_LAYER_RESIZE,
  QF_LAYER_FUNCTION /* of one number, by a table */
} QfLayerKind;

/** A convolution with what is learned and what a step leaves behind. Weights are
 * [out_c][kernel_h][kernel_w][in_c/groups]. */
typedef struct
{
  QfConvShape shape;
  int k;            /* kernel_h·kernel_w·in_c/groups */
  int top;          /* largest weight code: 127, or 7 of 4 bits */
  gboolean has_bn;
  gboolean adopt;   /* γ, β are to be made from the first batch, so that the
                       normalized output equals conv + bias */
  float epsilon;

  /* Learned: master values and their gradients. */
  float *weight, *weight_grad; /* [out_c][k] */
  float *gamma, *gamma_grad;   /* [out_c], with has_bn */
  float *beta, *beta_grad;     /* [out_c]; the bias without bn */
  float *run_mean, *run_var;   /* [out_c], of y in real units */
  gint64 run_n;

  /* Quantized weights of this step: codes before fusing, ONNX order too. */
  gint8 *codes;      /* [out_c][k] */
  gint8 *codes_onnx; /* [out_c][in_c/groups][kh][kw] */
  float *s_w;        /* [out_c] */
  float *real_weight; /* s_w·codes (or the master in float nets) */
  gint64 abs_sum;      /* the largest Σ|code| of a channel */
  void *packed;
  float *weight_t;   /* [k][out_c/groups] a group: float nets' forward */

  /* Fused parameters of this step (numerics: fuse). */
  float *mean, *rstd;  /* [out_c]: batch's, or running when frozen */
  float *fused_scale;  /* s_w' */
  gint8 *sign;         /* sign(g); 0: codes are dropped */
  gint32 *bias_code;
  float *mult;         /* s_x·s_w'/s_y */
  float *g, *bias;     /* γ·rstd, β − g·μ */

  int lo_code, hi_code; /* the output's clamp of this step */
  gint32 *acc; /* [batch][out_h][out_w][out_c]; Σ w_q(x − z_x) */
  float *y;    /* the same in float nets, real units */
} QfConvLayer;

typedef struct _QfLayer QfLayer;

struct _QfLayer
{
  QfLayerKind kind;
  char *name;
  int n_in;
  int in[QF_MAX_INPUTS]; /* blob numbers */
  int out;
  gboolean clip;          /* output bounded to clip_lo … clip_hi (real) */
  float clip_lo, clip_hi; /* Relu: 0 … +inf */
  QfNode node;            /* the operator's attributes; no name, no values */
  QfConvLayer *conv;
};

typedef struct
{
  GPtrArray *blobs;  /* QfBlob */
  GPtrArray *layers; /* QfLayer */
  int input;         /* blob */
  GArray *outputs;   /* int: blobs */
  int batch;         /* images that buffers have room for */
  gboolean quantize;
  gboolean learn_ranges; /* after QF_RANGE_WARM batches, from that bound on */
  gboolean percentile_ranges; /* likewise, but so that few outputs are clipped */
  gboolean bound_relu; /* Relu's range from β + 5|γ| instead of min–max */
  gboolean frozen;     /* statistics and ranges no longer move */
  QfPool *pool;        /* not owned */
  const QfKernels *kernels;
  const QfGradKernels *grad_kernels;
  float **scratch;     /* one a worker */
  gsize scratch_floats;
} QfNet;

static inline QfBlob *
qf_net_blob (const QfNet *net, int i)
{
  return (QfBlob *) g_ptr_array_index (net->blobs, (guint) i);
}

static inline QfLayer *
qf_net_layer (const QfNet *net, int i)
{
  return (QfLayer *) g_ptr_array_index (net->layers, (guint) i);
}

/** Builds the layers from a graph: float (Conv, BatchNormalization, Relu …, as a
 * builder or an export makes it, after qf_graph_join()) or quantized as a
 * written file is, after qf_graph_fuse(). A float input stands for codes / 255.
 * @batch: images a step. */
QfNet *qf_net_new (const QfGraph *graph, int batch, gboolean quantize,
    QfPool *pool, GError **error);
void qf_net_free (QfNet *net);

/** Sets how many bits, 4 or 8, weights and activations have; NULL: as they are.
 * A text of items with commas between: "4" for all layers but those that read
 * the input or make an output, "NAME=8" for one. Of activations those are meant
 * that a layer computes anew; codes that are only moved or joined stay. Weights
 * that have 4 bits in the graph start with 4. QF_ERROR_ARGUMENT: which item. */
gboolean qf_net_set_bits (QfNet *net, const char *weights,
    const char *activations, GError **error);

/** Whether @blob is one of the outputs. */
gboolean qf_net_is_output (const QfNet *net, int blob);

/** Gives random weights (He's normal), γ = 1, β = 0. */
void qf_net_init (QfNet *net, QfRng *rng);

/** Runs @n ≤ batch images that stand in the input blob. @train: batch statistics,
 * ranges and running averages move (unless frozen). */
void qf_net_forward (QfNet *net, int n, gboolean train);

/** From the outputs' grad (filled by a loss) to the weights' gradients. Uses what
 * the forward pass of the same @n images left. */
void qf_net_backward (QfNet *net, int n);

/** The graph in QuantizeLinear/DequantizeLinear form, fused and quantized by the
 * running statistics. */
QfGraph *qf_net_export (QfNet *net, GError **error);

/** Whether every learned number is finite. */
gboolean qf_net_finite (const QfNet *net);

/* Layers ------------------------------------------------------------------ */

void qf_conv_prepare (QfNet *net, QfLayer *l);
void qf_conv_forward (QfNet *net, QfLayer *l, int n, gboolean train);
void qf_conv_backward (QfNet *net, QfLayer *l, int n);

/** The kind of a layer without weights that does @op; FALSE where none does. */
gboolean qf_simple_kind (QfOp op, QfLayerKind *kind);

/** Whether such a layer's output has its input's scale and codes. */
gboolean qf_simple_keeps_scale (QfLayerKind kind);

void qf_simple_forward (QfNet *net, QfLayer *l, int n, gboolean train);
void qf_simple_backward (QfNet *net, QfLayer *l, int n);

/** Averages a batch's range in and sets the blob's scale and zero point. */
void qf_blob_update_range (QfBlob *b, double lo, double hi);

/** Scale and zero point from the averaged range. */
void qf_blob_set_scale (QfBlob *b);
