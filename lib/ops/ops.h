/* libqfuse: the operators of ONNX on tensors of any rank.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * An operator is one row of the table in table.c: a name, the opsets in which
 * it means this, a function that infers what comes out and one that computes
 * it. Loading folds constants with the same functions that run later. */
#pragma once

#include "base/dtype.h"
#include "base/error.h"

G_BEGIN_DECLS

/** A dense tensor, row-major in ONNX's order of dimensions. */
typedef struct
{
  QfDType dtype;
  int rank;
  gint64 dims[QF_MAX_RANK];
  void *data;  /**< NULL: not known yet */
  void *bound; /**< a graph input's value that was given at load, or NULL; of an
                    open tensor what shapes are inferred with at load */
  gboolean open; /**< its shape or value hangs on how many elements an operator
                      chooses in a run (NonZero, NonMaxSuppression); until then
                      dims are the most that it may have */
} QfArray;

static inline gint64
qf_array_elements (const QfArray *a)
{
  gint64 n = 1;

  for (int i = 0; i < a->rank; i++)
    n *= a->dims[i];
  return n;
}

static inline gsize
qf_array_bytes (const QfArray *a)
{
  return (gsize) qf_array_elements (a) * qf_dtype_size (a->dtype);
}

typedef enum
{
  QF_ATTR_INT,
  QF_ATTR_FLOAT,
  QF_ATTR_TEXT,
  QF_ATTR_INTS,
  QF_ATTR_FLOATS,
  QF_ATTR_TENSOR
} QfAttrType;

typedef struct
{
  char *name;
  QfAttrType type;
  gint64 i;
  float f;
  char *text;
  int n; /**< of ints or floats */
  gint64 *ints;
  float *floats;
  QfArray tensor;
} QfAttr;

void qf_attr_free (gpointer attr);

typedef struct _QfOperator QfOperator;

#define QF_OP_MAX_IN 256
#define QF_OP_MAX_OUT 64

/** One use of an operator. */
typedef struct
{
  const QfOperator *op;
  int opset;
  const GPtrArray *attrs; /**< QfAttr * */
  int n_in, n_out;
  const QfArray **in; /**< NULL: absent */
  QfArray **out;      /**< NULL: not wanted */
  void *scratch;      /**< of op->scratch() bytes, 64-byte aligned */
  /* While shapes are inferred: */
  guint64 used_bound;      /**< inputs whose bound value decided a shape */
  gboolean wants_constant; /**< an input had to be constant and was not */
  const char *wrong_attr;  /**< an attribute of another type, or NULL */
} QfCall;

struct _QfOperator
{
  const char *domain; /**< "" is ONNX's own */
  const char *name;
  int since, until; /**< opsets */
  int n_min, n_max; /**< inputs; those from n_min on may be absent */
  int n_out;        /**< at most */
  /** Judges attributes and inputs and sets type and shape of the outputs;
   * after it, run() cannot fail. The error does not name the node. Where an
   * input is open, called anew in each run with its actual shape. */
  gboolean (*infer) (QfCall *c, GError **error);
  /** Computes the outputs; all inputs have data. */
  void (*run) (QfCall *c);
  /** Bytes that run() needs beside, or NULL: none. */
  gsize (*scratch) (QfCall *c);
  /** Multiply-accumulates, or NULL: none. */
  gint64 (*macs) (QfCall *c);
};

/** The operator of an opset, or NULL. @domain "ai.onnx" is "". */
const QfOperator *qf_operator_find (
    const char *domain, const char *name, int opset);

/** Checks the number of inputs and infers the outputs. */
gboolean qf_call_infer (QfCall *c, GError **error);

G_END_DECLS
