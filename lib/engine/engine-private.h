/* libqfuse: the inside of an engine.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A plan is a list of steps over slots. A slot is a tensor somewhere in a
 * buffer; buffers share one arena where their lifetimes do not meet. */
#pragma once

#include "engine/dag.h"
#include "engine/engine.h"
#include "kernels/kernels.h"
#include "model/graph.h"

G_BEGIN_DECLS

/** A tensor of the plan: NHWC, but for the graph's inputs. */
typedef struct
{
  QfTensor t; /* data is set when the arena exists */
  int buffer;
} QfSlot;

/** A piece of memory and the steps between which it is in use. */
typedef struct
{
  gsize size;
  int first, last; /* step numbers; −1: before the run, G_MAXINT: after it */
  gsize offset;    /* in the arena */
  void *constant;  /* owned; then not in the arena */
} QfBuffer;

/** Weights of one layer as its kernels want them; a part of a QfShared. */
typedef struct
{
  const QfKernels *k;
  const QfValue *value; /* int8 or float32, in the fused graph */
  QfConvShape shape;
  void *packed; /* NULL before qf_shared_pack() */
  gsize size;   /* bytes that count */
  gsize mapped; /* bytes of pages, 0: from the heap */
} QfWeights;

typedef struct _QfShared QfShared;
typedef struct _QfStep QfStep;
typedef struct _QfSparse QfSparse;

/** Makes output rows @row0 … @row1 − 1 of a step on worker @worker. */
typedef void (*QfStepRows) (
    const QfEngine *e, const QfStep *s, int row0, int row1, int worker);

struct _QfStep
{
  QfEngineStep info;
  QfStepRows run;
  QfStepRows by_rows; /* NULL: run goes by rows of the output */
  int rows;           /* of the output, or whatever else is divided */
  int rows_per_task;
  int grain; /* channels of one "row" of a step that is divided by them */
  int n_in;
  int *in; /* slots; owned */
  int out; /* slot */

  QfConvShape shape;        /* convolutions and pooling */
  const void *w;            /* weights of a convolution as the graph has them */
  const QfWeights *weights; /* shared */
  const void *packed;       /* of weights, when the whole plan is made */
  float *mult;              /* by channel; owned */
  gint32 *bias;             /* by channel; owned */
  float *bias_f;            /* by channel; owned */
  QfRequant requant;
  QfAddU8 add;
  gboolean multiplies; /* Mul instead of Add */
  QfQuantize quantize;
  gboolean sigmoid;       /* after a float32 operator */
  const QfNode *function; /* a float32 function without a kernel, or NULL */
  float lo, hi;           /* after a float32 operator */
  gboolean clips;         /* lo or hi is finite */
  int scale_h, scale_w;
  int axis;             /* Concat, Slice: 1 channels, 2 rows, 3 columns */
  int begin;            /* Slice; Gather: of every second one, else −1 */
  int *select;          /* Gather: channels; owned */
  gboolean include_pad; /* AveragePool */
  guint8 **tables;      /* one an input; NULL where codes stay; owned */
};

struct _QfEngine
{
  QfModel *model;
  QfShared *shared;
  const QfGraph *graph; /* fused; of shared */
  QfPool *pool;
  const QfKernels *k;
  GArray *slots;    /* QfSlot */
  GArray *buffers;  /* QfBuffer */
  GPtrArray *steps; /* QfStep *, owned */
  int *value_slot;  /* slot of each graph value, −1: none */
  int *input_slot;  /* planar slot of each input */
  QfTensor *inputs, *outputs;
  int n_inputs, n_outputs;
  guint8 *arena;
  gsize arena_size;
  guint8 *scratch;
  gsize scratch_size; /* of one worker; a multiple of 64 */
  gsize packed_size;
  QfDagRun *dag;    /* runs instead of the steps, or NULL */
  QfSparse *sparse; /* NULL: every run computes everything */
};

static inline QfSlot *
qf_engine_slot (const QfEngine *e, int i)
{
  return &g_array_index (e->slots, QfSlot, i);
}

static inline const QfTensor *
qf_step_in (const QfEngine *e, const QfStep *s, int i)
{
  return &qf_engine_slot (e, s->in[i])->t;
}

static inline const QfTensor *
qf_step_out (const QfEngine *e, const QfStep *s)
{
  return &qf_engine_slot (e, s->out)->t;
}

static inline void *
qf_step_scratch (const QfEngine *e, int worker)
{
  return e->scratch + (gsize) worker * e->scratch_size;
}

static inline gsize
qf_tensor_elements (const QfTensor *t)
{
  return (gsize) t->c * (gsize) t->h * (gsize) t->w;
}

/** Elements of one row. */
static inline gsize
qf_tensor_row (const QfTensor *t)
{
  return (gsize) t->w * (gsize) t->c;
}

/* plan.c ------------------------------------------------------------------ */

/** A new slot with a buffer of its own; data and place come later. */
int qf_plan_slot (QfEngine *e, const QfTensor *like);

/** The slot of a node's input, constants brought to NHWC. −1: error is set. */
int qf_plan_operand (QfEngine *e, const QfNode *n, int i, GError **error);

/** The slot of a node's output, made from its value. −1: error is set. */
int qf_plan_result (QfEngine *e, const QfNode *n, GError **error);

/** Appends a step of @rows rows; takes no ownership of @in. */
QfStep *qf_plan_step (QfEngine *e, const QfNode *n, QfStepRows run,
    const char *kernel, int n_in, const int *in, int out, int rows);

/** Divides a step's rows into tasks, none with much less than @min_work of
 * @work, none with more rows than @max_rows. */
void qf_plan_tasks (
    const QfEngine *e, QfStep *s, gint64 work, gint64 min_work, int max_rows);

/** Each worker gets at least @bytes of scratch. */
void qf_plan_scratch (QfEngine *e, gsize bytes);

/** Allocates 64-byte-aligned memory that counts as weights; NULL: error is set.
 */
void *qf_plan_alloc (QfEngine *e, const QfNode *n, gsize bytes, GError **error);

/** What a fused activation makes of codes before a table: their quantization
 * and bounds, and a table of 256 (else the pointer is NULL). */
typedef struct
{
  float scale;
  int zero, lo, hi;
  guint8 *table; /* owned by the caller */
} QfPlanCodes;

gboolean qf_plan_codes (
    const QfNode *n, const QfTensor *out, QfPlanCodes *codes, GError **error);

/** Table from codes of @in to codes of @out through the activation of @n; NULL
 * where every code stays what it is. */
guint8 *qf_plan_table (
    const QfNode *n, const QfTensor *in, const QfTensor *out);

/** Sets the step's float32 activation. */
void qf_plan_activation_f32 (QfStep *s, const QfNode *n);

/** clamp(rne(v / scale) + zero) of one number, as in docs/numerics.md (1). */
int qf_plan_code (float v, float scale, int zero);

/** Sets QF_ERROR_UNSUPPORTED that names the node; returns FALSE. */
gboolean qf_plan_unsupported (const QfNode *n, const char *why, GError **error);

void qf_step_free (gpointer step);

/* run.c: applies lo, hi and sigmoid to @n floats. */
void qf_step_activate_f32 (
    const QfEngine *e, const QfStep *s, float *y, gsize n);

/** Plans input and output of an operator that moves elements, which must be of
 * one type; it ends with qf_step_finish() on what it made. NULL: error is set.
 */
QfStep *qf_plan_move (QfEngine *e, const QfNode *n, QfStepRows run,
    const char *kernel, GError **error);

void qf_step_finish (const QfEngine *e, const QfStep *s, void *y, gsize n);

/* One function an operator or family. ------------------------------------- */

gboolean qf_plan_conv (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_two (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_unary (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_batch_norm (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_quantize (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_dequantize (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_concat (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_slice (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_gather (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_average_pool (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_max_pool (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_global_avg (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_resize (QfEngine *e, const QfNode *n, GError **error);
gboolean qf_plan_flatten (QfEngine *e, const QfNode *n, GError **error);

/** Planar input @from to channels-last @to. */
void qf_plan_to_nhwc (QfEngine *e, int from, int to);

/* weights.c --------------------------------------------------------------- */

/** What the engines on @model share, with its graph fused: made for the first,
 * gone with the last, whichever thread they are on. NULL: error is set. */
QfShared *qf_shared_get (QfModel *model, GError **error);

/** The caller's model must outlive this. */
void qf_shared_drop (QfShared *s);

const QfGraph *qf_shared_graph (const QfShared *s);

/** The weights @value of the shared graph for a layer of @shape on kernels @k,
 * to be packed by qf_shared_pack(). */
QfWeights *qf_shared_weights (QfShared *s, const QfKernels *k,
    const QfValue *value, const QfConvShape *shape);

/** Packs on @pool what is not packed yet. */
gboolean qf_shared_pack (QfShared *s, QfPool *pool, GError **error);

/* arena.c ----------------------------------------------------------------- */

/** Places all buffers that are not constants; returns the bytes needed. */
gsize qf_arena_place (GArray *buffers);

/** Places them side by side, so that all keep their content. */
gsize qf_arena_spread (GArray *buffers);

/* plan.c: buffers that arena.c has placed come into a new arena. */
gboolean qf_plan_memory (QfEngine *e, GError **error);

/* run.c: every row of step @i. */
void qf_engine_run_whole (const QfEngine *e, int i);

/* sparse.c ---------------------------------------------------------------- */

void qf_sparse_run (QfEngine *e);

/** The memory of activations was written to by others. */
void qf_sparse_forget (QfEngine *e);

gsize qf_sparse_memory (const QfEngine *e);
void qf_sparse_free (QfEngine *e);

G_END_DECLS
