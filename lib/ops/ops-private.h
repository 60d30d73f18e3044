/* libqfuse: what the operators share.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <math.h>
#include <string.h>

#include "ops/ops.h"

G_BEGIN_DECLS

/** Sets @error and is FALSE. */
#define QF_BAD(...)                                                            \
  (g_set_error (error, QF_ERROR, QF_ERROR_FORMAT, __VA_ARGS__), FALSE)
#define QF_UNSUPPORTED(...)                                                    \
  (g_set_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED, __VA_ARGS__), FALSE)

/* common.c: attributes; the fallback where they are absent. */
gint64 qf_call_int (QfCall *c, const char *name, gint64 fallback);
float qf_call_float (QfCall *c, const char *name, float fallback);
const char *qf_call_text (QfCall *c, const char *name, const char *fallback);
/** −1 where absent; else how many there are, of which @max are copied. */
int qf_call_ints (QfCall *c, const char *name, gint64 *v, int max);
const QfAttr *qf_call_attr (QfCall *c, const char *name, QfAttrType type);

static inline const QfArray *
qf_call_in (const QfCall *c, int i)
{
  return i < c->n_in ? c->in[i] : NULL;
}

/** Data of an input that has to be constant; NULL with @error. */
const void *qf_call_constant (QfCall *c, int i, GError **error);

/** Constant int32 or int64 input @i, of at most @max numbers; their number,
 * −1 with @error. */
int qf_call_constant_ints (
    QfCall *c, int i, gint64 *v, int max, GError **error);

/** Constant float input @i likewise. */
int qf_call_constant_floats (
    QfCall *c, int i, float *v, int max, GError **error);

/** Element @i of an int32 or int64 tensor. */
gint64 qf_array_int (const QfArray *a, gint64 i);

/** An index of @n elements, counted from the end where negative, and held
 * inside. */
static inline gint64
qf_inside (gint64 i, gint64 n)
{
  return CLAMP (i < 0 ? i + n : i, 0, n - 1);
}

/** Sets type and shape of output @k. */
gboolean qf_call_set (QfCall *c, int k, QfDType dtype, int rank,
    const gint64 *dims, GError **error);

/** The same of an open output: @dims are the most, run() sets the actual ones.
 */
gboolean qf_call_set_open (QfCall *c, int k, QfDType dtype, int rank,
    const gint64 *dims, GError **error);

/** The same type and shape as input 0. */
gboolean qf_infer_same (QfCall *c, GError **error);

/** As @axis of @rank dimensions, 0 … rank − 1; FALSE where it is none. */
gboolean qf_axis (gint64 *axis, int rank, GError **error);

/** Checks that input @i is float32 (and has @rank dimensions, −1: any). */
gboolean qf_call_float_in (QfCall *c, int i, int rank, GError **error);

/** Shape that @n shapes broadcast to. */
gboolean qf_broadcast (
    const QfArray *const *in, int n, int *rank, gint64 *dims, GError **error);

/** Element strides of a dense tensor. */
void qf_strides (int rank, const gint64 *dims, gint64 *strides);

/** A row of an elementwise operator: @n elements from output element @to;
 * input k starts at element at[k] and goes on by step[k] (0 or 1). */
typedef void (*QfRow) (
    QfCall *c, gsize to, gsize n, const gint64 *at, const gint64 *step);

/** Walks over output 0, to which the inputs are broadcast. */
void qf_walk (QfCall *c, QfRow row);

/** Copies @dims elements of @size bytes; strides in elements, source strides
 * may be negative or 0. */
void qf_copy (void *to, const gint64 *to_strides, const void *from,
    const gint64 *from_strides, const gint64 *dims, int rank, gsize size);

/* ---- sliding windows of one to three dimensions (window.c) --------------- */

typedef struct
{
  int n; /* spatial dimensions; those missing in front are 1 */
  gint64 in[3], out[3], kernel[3], stride[3], dilation[3], pad[3], pad_end[3];
  gboolean ceil;
} QfSlide;

/** Reads kernel_shape, strides, dilations, pads, auto_pad of input 0 [N, C,
 * …]. @kernel: given by weights, or NULL. Sets out. */
gboolean qf_slide_read (
    QfCall *c, const gint64 *kernel, QfSlide *s, GError **error);

/** The same without paddings of auto_pad and without out. */
gboolean qf_slide_steps (
    QfCall *c, const gint64 *kernel, QfSlide *s, GError **error);

/** Range of output positions o in [*lo, *hi) with 0 ≤ o·stride + offset < in.
 */
static inline void
qf_slide_range (
    gint64 offset, gint64 stride, gint64 in, gint64 out, gint64 *lo, gint64 *hi)
{
  *lo = offset < 0 ? (-offset + stride - 1) / stride : 0;
  *hi = offset < in ? (in - 1 - offset) / stride + 1 : 0;
  *hi = MIN (*hi, out);
  *lo = MIN (*lo, *hi);
}

/* ---- one declaration an operator ------------------------------------------
 */

#define QF_OP(domain, name, since, until, n_min, n_max, n_out, infer, run,     \
    scratch, macs)                                                             \
  gboolean qf_infer_##infer (QfCall *c, GError **error);                       \
  void qf_run_##run (QfCall *c);
#include "ops/list.h"
#undef QF_OP

gint64 qf_macs_conv (QfCall *c);
gint64 qf_macs_conv_transpose (QfCall *c);
gint64 qf_macs_gemm (QfCall *c);
gint64 qf_macs_matmul (QfCall *c);
gint64 qf_macs_qlinear_conv (QfCall *c);
gint64 qf_macs_qlinear_matmul (QfCall *c);
gsize qf_scratch_conv_integer (QfCall *c);
gsize qf_scratch_qlinear_conv (QfCall *c);
gsize qf_scratch_nms (QfCall *c);
gsize qf_scratch_resize (QfCall *c);
gsize qf_scratch_top_k (QfCall *c);

G_END_DECLS
