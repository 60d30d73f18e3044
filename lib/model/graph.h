/* libqfuse: the graph of a network in memory.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A graph is values (tensors with a name) and nodes (operators) in an order in
 * which every node comes after what it reads. onnx_*.c makes it from a file and
 * writes it, passes.c rewrites it, the engine plans from it, the trainer builds
 * its layers from it. */
#pragma once

#include "base/error.h"
#include "model/tensor.h"

G_BEGIN_DECLS

/* Limits that validation enforces before anything is allocated. */
#define QF_MAX_NODES 20000
#define QF_MAX_ENDS 1000 /* graph inputs, and graph outputs */
#define QF_MAX_DIM (1 << 20)
#define QF_MAX_WEIGHTS (G_GINT64_CONSTANT (1) << 29)  /* of all layers */
#define QF_MAX_STEP (1 << 15) /* of a window's stride, dilation, padding */

typedef enum
{
  QF_OP_CONV,       /* in: x, w [oc, ic/groups, kh, kw], bias or −1 */
  QF_OP_BATCH_NORM, /* in: x, γ, β, mean, variance; `epsilon` */
  QF_OP_RELU,
  QF_OP_CLIP, /* `lo`, `hi` (inputs of ONNX are folded into them) */
  QF_OP_SIGMOID,
  QF_OP_LEAKY_RELU, /* `alpha` */
  QF_OP_HARD_SWISH, /* x·min(max(x/6 + ½, 0), 1) */
  QF_OP_SILU,       /* x·sigmoid(x): Sigmoid and Mul in a file */
  QF_OP_ADD,
  QF_OP_MUL, /* Add and Mul: two of one shape, or one [1, C, 1, 1] */
  QF_OP_CONCAT,       /* `axis` */
  QF_OP_SLICE,        /* `axis`, `begin`, `end`; Split is several of them */
  QF_OP_GATHER, /* `select`: channels, as shuffles put them in order */
  QF_OP_MAX_POOL,     /* `win` */
  QF_OP_AVERAGE_POOL, /* `win`, `include_pad` */
  QF_OP_GLOBAL_AVG_POOL,
  QF_OP_RESIZE_NEAREST, /* `scale_h`, `scale_w`: whole numbers ≥ 1,
                           asymmetric coordinates, floor */
  QF_OP_GEMM,           /* y = x·wᵀ + b after normalization: w [out, in] */
  QF_OP_FLATTEN,        /* `axis` */
  QF_OP_QUANTIZE,       /* in: x, scale, zero (constants) */
  QF_OP_DEQUANTIZE,     /* in: x, scale, zero (constants); `axis` */
  QF_N_OPS
} QfOp;

/** What is applied to a node's result before it is stored; set by fusing. */
typedef enum
{
  QF_ACT_NONE,
  QF_ACT_CLIP,   /* real bounds act_lo … act_hi (Relu: 0 … +inf) */
  QF_ACT_FUNCTION /* a function of one number, `act_op`: a table after
                     requantization; in float32 QF_OP_SIGMOID only */
} QfActivation;

/** A sliding window, of Conv, MaxPool and AveragePool. Rows come first. */
typedef struct
{
  int kernel[2], stride[2], dilation[2];
  int pad[4]; /* top, left, bottom, right */
  int groups;
} QfWindow;

typedef struct
{
  char *name;
  QfDType dtype;
  int rank;                 /* −1: not known yet */
  gint64 dims[QF_MAX_RANK]; /* −1: not known yet */

  const void *data; /* a constant's elements, NCHW order; NULL: computed */
  GBytes *owner;    /* of data; copies of the value share it */

  int bits; /* 4: an int8 or uint8 constant of −8 … 7 or 0 … 15, which stands
               in a file as INT4 or UINT4; else 0 */

  /* Quantization, after qf_graph_fuse(): */
  float scale;   /* activation (QF_U8): one scale, > 0; 0: not quantized */
  int zero;      /* activation: 0 … 255 */
  float *scales; /* int8 weights: one an output channel, owned, or NULL */
} QfValue;

typedef struct
{
  QfOp op;
  char *name; /* never NULL: made up from the output where missing */
  int n_in;
  int *in;              /* value numbers; −1: absent optional input */
  int out;              /* the one value it makes */
  QfWindow win;         /* Conv, MaxPool, AveragePool */
  int axis;             /* Concat, Slice, Flatten, DequantizeLinear */
  int begin, end;       /* Slice: elements begin … end − 1 along the axis */
  int *select, n_select; /* Gather: channels of the input; owned */
  gboolean include_pad; /* AveragePool: padding counts as zeros */
  float alpha;          /* LeakyRelu */
  float epsilon;        /* BatchNormalization */
  float lo, hi;         /* Clip; ±INFINITY where open */
  int scale_h, scale_w; /* Resize */
  QfActivation act;     /* fused */
  float act_lo, act_hi; /* fused, in real values, after `act_op` */
  QfOp act_op;          /* QF_ACT_FUNCTION */
  float act_alpha;      /* LeakyRelu as `act_op` */
  float act_scale; /* QF_ACT_FUNCTION on codes: quantization of the result */
  int act_zero;    /* before the table, from its own QuantizeLinear */
} QfNode;

typedef struct
{
  GPtrArray *values; /* QfValue *, owned */
  GPtrArray *nodes;  /* QfNode *, owned, in topological order */
  GArray *inputs;    /* int: values that the caller gives (constants not) */
  GArray *outputs;   /* int: values that the caller gets */
} QfGraph;

static inline QfValue *
qf_graph_value (const QfGraph *g, int i)
{
  return (QfValue *) g_ptr_array_index (g->values, (guint) i);
}

static inline QfNode *
qf_graph_node (const QfGraph *g, int i)
{
  return (QfNode *) g_ptr_array_index (g->nodes, (guint) i);
}

/** Elements of a value whose dims are known. */
static inline gint64
qf_value_elements (const QfValue *v)
{
  gint64 n = 1;

  for (int i = 0; i < v->rank; i++)
    n *= v->dims[i];
  return n;
}

QfGraph *qf_graph_new (void);
void qf_graph_free (QfGraph *g);
QfGraph *qf_graph_copy (const QfGraph *g);

/** Adds a value. @name is copied; @rank −1: not known. Returns its number. */
int qf_graph_add_value (
    QfGraph *g, const char *name, QfDType dtype, int rank, const gint64 *dims);

/** Adds a constant; @data is copied. */
int qf_graph_add_constant (QfGraph *g, const char *name, QfDType dtype,
    int rank, const gint64 *dims, const void *data);

/** Makes @v a constant of @data, which is taken (g_free()). */
void qf_value_take (QfValue *v, void *data);

/** Makes @v a constant that shares the elements of @from: of one dtype and as
 * many. */
void qf_value_share (QfValue *v, const QfValue *from);

/** Appends a node with one new output value (named @out_name, float32, shape
 * not known) and returns the node, so that the caller can set its attributes;
 * its window starts as 1x1, stride 1, no padding, one group. Node and output
 * carry the same name. */
QfNode *qf_graph_add_node (
    QfGraph *g, QfOp op, const char *out_name, int n_in, const int *in);

/** ONNX's name of an operator, "Conv". */
const char *qf_op_name (QfOp op);

/** Whether @op is a function of one number, computed element by element: Relu,
 * Clip, Sigmoid, LeakyRelu, HardSwish, SiLU. */
gboolean qf_op_is_function (QfOp op);

/** The function of @n (by its op) or of its fused QF_ACT_FUNCTION, of @x: in
 * double, rounded once. */
float qf_node_apply (const QfNode *n, float x);
float qf_node_apply_act (const QfNode *n, float x);

/** Joins what files spread over several operators: Mul(x, Sigmoid(x)) becomes
 * QF_OP_SILU wherever nothing else reads the Sigmoid. @g must be valid. Part of
 * qf_graph_fuse(). */
void qf_graph_join (QfGraph *g);

/** Checks everything that later code relies on (arity, attribute ranges, one
 * producer a value, topological order, constants where needed, finite scales
 * > 0, zero points in range) and infers dtypes and shapes of all values. The
 * one place where a file's content is judged. */
gboolean qf_graph_validate (QfGraph *g, GError **error);

/** Rewrites for running; @g must be valid. Graph inputs and outputs keep
 * number, order and names; a float output that is dequantized last becomes the
 * uint8 value itself, as an input is that is uint8 and followed by
 * DequantizeLinear. Dead nodes and values are dropped. What stays:
 *
 * - QF_OP_CONV, QF_OP_GEMM: all in float32 with constant weights and bias; or x
 *   and result uint8, weights int8 (codes −127 … 127, `scales` one a channel)
 * and the bias, if any, int32 at scale s_x·s_w. 255·Σ|w| + |bias| < 2^31.
 * - QF_OP_ADD, QF_OP_MUL, QF_OP_AVERAGE_POOL, QF_OP_GLOBAL_AVG_POOL: all
 * float32 or all uint8.
 * - QF_OP_CONCAT, QF_OP_SLICE, QF_OP_GATHER, QF_OP_MAX_POOL,
 * QF_OP_RESIZE_NEAREST, QF_OP_FLATTEN: all
 *   float32, or all uint8 with one scale and zero.
 * - Functions (qf_op_is_function()): float32, or uint8 to uint8 by a
 * table (Clip with open bounds: from one scale to another).
 * - QF_OP_QUANTIZE float32 → uint8, QF_OP_DEQUANTIZE uint8 → float32 of
 *   activations only; their constants agree with the uint8 value's `scale`,
 * `zero`.
 * - QF_OP_BATCH_NORM only in float32 on [1, C] that no Gemm makes.
 *
 * `act` QF_ACT_CLIP stands on Conv, Gemm, Add, Mul, the averages and functions
 * (after these); QF_ACT_FUNCTION on Conv and
 * Gemm. Every uint8 activation has `scale` > 0. Where a group cannot be exact
 * in int32 or its weights are of another kind, it stays float32. */
gboolean qf_graph_fuse (QfGraph *g, GError **error);

/** Σ |w| of @n codes. */
gint64 qf_sum_of_sizes (const gint8 *w, gint64 n);

/** Multiply-accumulates of one run (Conv and Gemm). */
gint64 qf_graph_macs (const QfGraph *g);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (QfGraph, qf_graph_free)

G_END_DECLS
