/* libqfuse: products of matrices.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/matmul.h"

/* ---- Gemm --------------------------------------------------------------- */

typedef struct
{
  gint64 m, n, k;
  gboolean ta, tb;
} Gemm;

static gboolean
gemm_read (QfCall *c, Gemm *g, GError **error)
{
  const QfArray *a = c->in[0], *b = c->in[1];

  if (!qf_call_float_in (c, 0, 2, error) || !qf_call_float_in (c, 1, 2, error))
    return FALSE;
  g->ta = qf_call_int (c, "transA", 0) != 0;
  g->tb = qf_call_int (c, "transB", 0) != 0;
  g->m = a->dims[g->ta ? 1 : 0];
  g->k = a->dims[g->ta ? 0 : 1];
  g->n = b->dims[g->tb ? 0 : 1];
  if (b->dims[g->tb ? 1 : 0] != g->k)
    return QF_BAD ("its matrices do not go together");
  return TRUE;
}

gboolean
qf_infer_gemm (QfCall *c, GError **error)
{
  const QfArray *bias = qf_call_in (c, 2);
  Gemm g;

  qf_call_float (c, "alpha", 1);
  qf_call_float (c, "beta", 1);
  if (!gemm_read (c, &g, error))
    return FALSE;
  if (bias) {
    QfArray y = { QF_F32, 2, { g.m, g.n }, NULL, NULL };
    const QfArray *both[2] = { &y, bias };
    gint64 dims[QF_MAX_RANK];
    int rank;

    if (bias->dtype != QF_F32)
      return QF_BAD ("its input 3 is not float32");
    if (!qf_broadcast (both, 2, &rank, dims, error))
      return FALSE;
    if (rank != 2 || dims[0] != g.m || dims[1] != g.n)
      return QF_BAD ("its input 3 does not fit the result");
  }
  return qf_call_set (c, 0, QF_F32, 2, (gint64[]){ g.m, g.n }, error);
}

gint64
qf_macs_gemm (QfCall *c)
{
  Gemm g;

  return gemm_read (c, &g, NULL) ? g.m * g.n * g.k : 0;
}

static float
bias_at (const QfArray *b, gint64 i, gint64 j)
{
  gint64 rows = b->rank > 1 ? b->dims[0] : 1;
  gint64 cols = b->rank > 0 ? b->dims[b->rank - 1] : 1;

  return (
      (const float *) b->data)[(rows > 1 ? i : 0) * cols + (cols > 1 ? j : 0)];
}

void
qf_run_gemm (QfCall *c)
{
  const float *a = c->in[0]->data, *b = c->in[1]->data;
  float alpha = qf_call_float (c, "alpha", 1);
  float beta = qf_call_float (c, "beta", 1), *y = c->out[0]->data;
  const QfArray *bias = qf_call_in (c, 2);
  Gemm g;

  gemm_read (c, &g, NULL);
  for (gint64 i = 0; i < g.m; i++)
    for (gint64 j = 0; j < g.n; j++) {
      float sum = 0;

      for (gint64 k = 0; k < g.k; k++)
        sum += a[g.ta ? k * g.m + i : i * g.k + k] *
            b[g.tb ? j * g.k + k : k * g.n + j];
      y[i * g.n + j] = alpha * sum + (bias ? beta * bias_at (bias, i, j) : 0);
    }
}

/* ---- MatMul ------------------------------------------------------------- */

gboolean
qf_matmul_read (QfCall *c, int ia, int ib, QfMatmul *p, GError **error)
{
  QfArray a = *c->in[ia], b = *c->in[ib], ha, hb;
  const QfArray *both[2] = { &ha, &hb };

  if (a.rank < 1 || b.rank < 1)
    return QF_BAD ("its inputs are no matrices");
  p->row = a.rank == 1;
  p->column = b.rank == 1;
  p->m = p->row ? 1 : a.dims[a.rank - 2];
  p->k = a.dims[a.rank - 1];
  p->n = p->column ? 1 : b.dims[b.rank - 1];
  if (b.dims[p->column ? 0 : b.rank - 2] != p->k)
    return QF_BAD ("its matrices do not go together");
  ha = a;
  hb = b;
  ha.rank = MAX (a.rank - 2, 0);
  hb.rank = MAX (b.rank - 2, 0);
  if (!qf_broadcast (both, 2, &p->rank, p->dims, error))
    return FALSE;
  p->batch = 1;
  for (int i = 0; i < p->rank; i++)
    p->batch *= p->dims[i];
  for (int side = 0; side < 2; side++) {
    const QfArray *h = both[side];
    gint64 own[QF_MAX_RANK];

    qf_strides (h->rank, h->dims, own);
    for (int i = 0; i < p->rank; i++) {
      int j = i - (p->rank - h->rank);

      p->step[side][i] = j < 0 || h->dims[j] == 1 ? 0 : own[j];
    }
  }
  return TRUE;
}

gboolean
qf_matmul_set (QfCall *c, QfDType dtype, const QfMatmul *p, GError **error)
{
  gint64 dims[QF_MAX_RANK + 2];
  int rank = p->rank;

  memcpy (dims, p->dims, (gsize) rank * sizeof *dims);
  if (!p->row)
    dims[rank++] = p->m;
  if (!p->column)
    dims[rank++] = p->n;
  return qf_call_set (c, 0, dtype, rank, dims, error);
}

gint64
qf_matmul_matrix (const QfMatmul *p, int side, gint64 batch)
{
  gint64 at = 0;

  for (int i = p->rank - 1; i >= 0; i--) {
    at += batch % p->dims[i] * p->step[side][i];
    batch /= p->dims[i];
  }
  return at;
}

gboolean
qf_infer_matmul (QfCall *c, GError **error)
{
  QfMatmul p;

  for (int i = 0; i < 2; i++)
    if (c->in[i]->dtype != QF_F32 && c->in[i]->dtype != QF_I32 &&
        c->in[i]->dtype != QF_I64)
      return QF_UNSUPPORTED ("the type of its inputs is not supported");
  if (c->in[0]->dtype != c->in[1]->dtype)
    return QF_BAD ("its inputs are of different types");
  return qf_matmul_read (c, 0, 1, &p, error) &&
      qf_matmul_set (c, c->in[0]->dtype, &p, error);
}

gint64
qf_macs_matmul (QfCall *c)
{
  QfMatmul p;

  return qf_matmul_read (c, 0, 1, &p, NULL) ? p.batch * p.m * p.n * p.k : 0;
}

#define PRODUCT(T)                                                             \
  do {                                                                         \
    T *y = c->out[0]->data;                                                    \
    memset (y, 0, qf_array_bytes (c->out[0]));                                 \
    for (gint64 z = 0; z < p.batch; z++) {                                     \
      const T *a = (const T *) c->in[0]->data +                                \
          qf_matmul_matrix (&p, 0, z) * p.m * p.k;                             \
      const T *b = (const T *) c->in[1]->data +                                \
          qf_matmul_matrix (&p, 1, z) * p.k * p.n;                             \
      for (gint64 i = 0; i < p.m; i++, y += p.n)                               \
        for (gint64 k = 0; k < p.k; k++) {                                     \
          T v = a[i * p.k + k];                                                \
          for (gint64 j = 0; j < p.n; j++)                                     \
            y[j] += v * b[k * p.n + j];                                        \
        }                                                                      \
    }                                                                          \
  } while (0)

void
qf_run_matmul (QfCall *c)
{
  QfMatmul p;

  qf_matmul_read (c, 0, 1, &p, NULL);
  if (qf_array_bytes (c->out[0]) == 0)
    return;
  if (c->in[0]->dtype == QF_F32)
    PRODUCT (float);
  else if (c->in[0]->dtype == QF_I32)
    PRODUCT (guint32); /* wraps where signed would be undefined */
  else
    PRODUCT (guint64);
}
