/* libqfuse: how gradients change what is learned.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "train/net.h"

typedef enum
{
  QF_OPTIMIZER_SGD,  /* Nesterov's momentum */
  QF_OPTIMIZER_ADAMW /* decoupled weight decay */
} QfOptimizerKind;

typedef struct
{
  QfOptimizerKind kind;
  double momentum; /* of the gradient, 0 … 1; AdamW's β1 */
  double square;   /* AdamW's β2 */
  double decay;    /* of convolution weights alone */
  double clip;     /* the gradient's longest norm; 0: no limit */
  double average;  /* decay of the weights' average, 0 … 1; 0: none */
} QfOptimizerOptions;

/** One array of a net that is learned. */
typedef struct
{
  float *value, *grad; /* the net's */
  gsize n;
  gboolean decays;
  float *first, *second, *average; /* the optimizer's; NULL: not kept */
} QfParam;

typedef struct
{
  QfOptimizerOptions o;
  GArray *params; /* QfParam, in the layers' order */
  float *memory;  /* of first, second, average of all of them */
  gsize floats;   /* in memory */
  gint64 step;    /* steps made */
  double norm;    /* of the last step's gradient, before clipping */
} QfOptimizer;

/** The optimizer named "sgd" or "adamw"; FALSE with QF_ERROR_ARGUMENT. */
gboolean qf_optimizer_kind (const char *name, QfOptimizerKind *kind,
    GError **error);

/** Keeps pointers into @net, which must outlive it. */
QfOptimizer *qf_optimizer_new (QfNet *net, const QfOptimizerOptions *o);
void qf_optimizer_free (QfOptimizer *opt);

/** One step at @rate with the gradients that stand in the net. Sums run in the
 * order of the layers, one rounding a step: no thread changes a bit. */
void qf_optimizer_step (QfOptimizer *opt, double rate);

/** Exchanges what is learned with its average; twice is nothing. */
void qf_optimizer_swap_average (QfOptimizer *opt);

/** One piece of state: @bytes at @data, to be saved or written over. */
typedef void (*QfStateFunc) (const char *name, gpointer data, gsize bytes,
    gpointer user_data);

/** Calls @fn for all that @net and @opt (NULL: none) carry from one step to the
 * next, always in one order: learned values, running statistics, ranges, whether
 * frozen, momenta, average, step count. A net of the same graph into which these
 * are copied goes on to the same bytes. */
void qf_net_each_state (QfNet *net, QfOptimizer *opt, QfStateFunc fn,
    gpointer user_data);
