/* libqfuse: operators on codes.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The equations are those of docs/numerics.md; these are plain loops. What the
 * int8 engine can run it runs instead. */
#include "ops/codes.h"
#include "ops/conv.h"
#include "ops/matmul.h"

/* ---- scale and zero point as inputs ------------------------------------- */

/* Inputs @i and @i + 1 are a scale and a zero point of @type, one, or one of
 * each of @channels. */
static gboolean
check_scale (QfCall *c, int i, QfDType type, gint64 channels, GError **error)
{
  const QfArray *zero = qf_call_in (c, i + 1);

  if (!qf_call_float_in (c, i, -1, error))
    return FALSE;
  for (int k = i; k <= i + 1; k++) {
    gint64 n = qf_call_in (c, k) ? qf_array_elements (c->in[k]) : 1;

    if (n != 1 && n != channels)
      return QF_UNSUPPORTED (
          "the shape of its input %d is not supported", k + 1);
  }
  if (zero && zero->dtype != type)
    return QF_BAD ("its input %d is not of the right type", i + 2);
  return TRUE;
}

/* ---- ConvInteger and QLinearConv ---------------------------------------- */

/* Codes minus zero point, @inner of one zero point each. */
static void
center (const QfArray *a, const QfArray *zero, gint64 inner, guint32 *to)
{
  gint64 n = qf_array_elements (a);

  for (gint64 i = 0; i < n; i++)
    to[i] = (guint32) (code_at (a, i) - zero_at (zero, i / inner));
}

static gint64
inner_of (const QfArray *w)
{
  return w->dims[0] ? MAX (qf_array_elements (w) / w->dims[0], 1) : 1;
}

gboolean
qf_infer_conv_integer (QfCall *c, GError **error)
{
  QfConvCall k;

  if (!is_code (c->in[0]) || !is_code (c->in[1]))
    return QF_BAD ("its inputs are no 8-bit codes");
  for (int i = 2; i < 4; i++)
    if (qf_call_in (c, i) &&
        (c->in[i]->dtype != c->in[i - 2]->dtype ||
            (qf_array_elements (c->in[i]) != 1 &&
                (i == 2 || qf_array_elements (c->in[i]) != c->in[1]->dims[0]))))
      return QF_BAD ("its input %d is no zero point that fits", i + 1);
  return qf_conv_read (c, 1, &k, error) &&
      qf_call_set (c, 0, QF_I32, k.rank, k.dims, error);
}

gsize
qf_scratch_conv_integer (QfCall *c)
{
  return 4 *
      (gsize) (qf_array_elements (c->in[0]) + qf_array_elements (c->in[1]));
}

void
qf_run_conv_integer (QfCall *c)
{
  guint32 *x = c->scratch, *w = x + qf_array_elements (c->in[0]);
  QfConvCall k;

  qf_conv_read (c, 1, &k, NULL);
  center (c->in[0], qf_call_in (c, 2), G_MAXINT64, x);
  center (c->in[1], qf_call_in (c, 3), inner_of (c->in[1]), w);
  memset (c->out[0]->data, 0, qf_array_bytes (c->out[0]));
  qf_conv_sums_i32 (&k, x, w, c->out[0]->data);
}

gboolean
qf_infer_qlinear_conv (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0], *w = c->in[3], *zero = c->in[7];
  const QfArray *bias = qf_call_in (c, 8);
  QfConvCall k;

  if (!is_code (x) || !is_code (w) || !is_code (zero))
    return QF_BAD ("its inputs are no 8-bit codes");
  if (!qf_conv_read (c, 3, &k, error) ||
      !check_scale (c, 1, x->dtype, 1, error) ||
      !check_scale (c, 4, w->dtype, k.dims[1], error) ||
      !check_scale (c, 6, zero->dtype, 1, error))
    return FALSE;
  if (bias && (bias->dtype != QF_I32 || qf_array_elements (bias) != k.dims[1]))
    return QF_BAD ("its bias does not have one int32 number a channel");
  return qf_call_set (c, 0, zero->dtype, k.rank, k.dims, error);
}

gint64
qf_macs_qlinear_conv (QfCall *c)
{
  QfConvCall k;

  return qf_conv_read (c, c->op->n_max == 9 ? 3 : 1, &k, NULL)
      ? qf_conv_macs (&k)
      : 0;
}

gsize
qf_scratch_qlinear_conv (QfCall *c)
{
  return 4 *
      (gsize) (qf_array_elements (c->in[0]) + qf_array_elements (c->in[3]) +
          qf_array_elements (c->out[0]));
}

void
qf_run_qlinear_conv (QfCall *c)
{
  guint32 *x = c->scratch, *w = x + qf_array_elements (c->in[0]);
  guint32 *sums = w + qf_array_elements (c->in[3]);
  const QfArray *bias = qf_call_in (c, 8);
  gint64 n = qf_array_elements (c->out[0]), plane;
  QfConvCall k;

  qf_conv_read (c, 3, &k, NULL);
  plane = k.s.out[0] * k.s.out[1] * k.s.out[2];
  center (c->in[0], c->in[2], G_MAXINT64, x);
  center (c->in[3], c->in[5], inner_of (c->in[3]), w);
  for (gint64 i = 0; i < n; i++)
    sums[i] = bias
        ? (guint32) ((const gint32 *) bias->data)[i / plane % k.dims[1]]
        : 0;
  qf_conv_sums_i32 (&k, x, w, sums);
  for (gint64 i = 0; i < n; i++) {
    gint64 o = i / plane % k.dims[1];
    float m = scale_at (c->in[1], 0) * scale_at (c->in[4], o) /
        scale_at (c->in[6], 0);

    put_code (
        c->out[0], i, (float) (gint32) sums[i] * m, zero_at (c->in[7], 0));
  }
}

/* ---- MatMulInteger and QLinearMatMul ------------------------------------ */

/* Sum of a row of @a and a column of @b. */
static gint32
dot (const QfMatmul *p, const QfArray *a, gint64 a0, gint32 za,
    const QfArray *b, gint64 b0, gint32 zb)
{
  guint32 sum = 0;

  for (gint64 k = 0; k < p->k; k++)
    sum += (guint32) (code_at (a, a0 + k) - za) *
        (guint32) (code_at (b, b0 + k * p->n) - zb);
  return (gint32) sum;
}

static gboolean
check_codes (QfCall *c, int a, int b, QfMatmul *p, GError **error)
{
  if (!is_code (c->in[a]) || !is_code (c->in[b]))
    return QF_BAD ("its inputs are no 8-bit codes");
  return qf_matmul_read (c, a, b, p, error);
}

gboolean
qf_infer_matmul_integer (QfCall *c, GError **error)
{
  QfMatmul p;

  if (!check_codes (c, 0, 1, &p, error))
    return FALSE;
  for (int i = 2; i < 4; i++) {
    const QfArray *z = qf_call_in (c, i);
    gint64 most = i == 2 ? p.m : p.n;

    if (z &&
        (z->dtype != c->in[i - 2]->dtype ||
            (qf_array_elements (z) != 1 && qf_array_elements (z) != most)))
      return QF_UNSUPPORTED (
          "the shape of its input %d is not supported", i + 1);
  }
  return qf_matmul_set (c, QF_I32, &p, error);
}

void
qf_run_matmul_integer (QfCall *c)
{
  const QfArray *a = c->in[0], *b = c->in[1];
  gint32 *y = c->out[0]->data;
  QfMatmul p;

  qf_matmul_read (c, 0, 1, &p, NULL);
  for (gint64 z = 0; z < p.batch; z++)
    for (gint64 i = 0; i < p.m; i++)
      for (gint64 j = 0; j < p.n; j++)
        *y++ = dot (&p, a, (qf_matmul_matrix (&p, 0, z) * p.m + i) * p.k,
            zero_at (qf_call_in (c, 2), i), b,
            qf_matmul_matrix (&p, 1, z) * p.k * p.n + j,
            zero_at (qf_call_in (c, 3), j));
}

gboolean
qf_infer_qlinear_matmul (QfCall *c, GError **error)
{
  QfMatmul p;

  if (!is_code (c->in[7]))
    return QF_BAD ("its result's zero point is no 8-bit code");
  return check_codes (c, 0, 3, &p, error) &&
      check_scale (c, 1, c->in[0]->dtype, p.m, error) &&
      check_scale (c, 4, c->in[3]->dtype, p.n, error) &&
      check_scale (c, 6, c->in[7]->dtype, 1, error) &&
      qf_matmul_set (c, c->in[7]->dtype, &p, error);
}

gint64
qf_macs_qlinear_matmul (QfCall *c)
{
  QfMatmul p;

  return qf_matmul_read (c, 0, c->op->n_max == 8 ? 3 : 1, &p, NULL)
      ? p.batch * p.m * p.n * p.k
      : 0;
}

void
qf_run_qlinear_matmul (QfCall *c)
{
  gint64 at = 0;
  QfMatmul p;

  qf_matmul_read (c, 0, 3, &p, NULL);
  for (gint64 z = 0; z < p.batch; z++)
    for (gint64 i = 0; i < p.m; i++)
      for (gint64 j = 0; j < p.n; j++) {
        gint32 sum = dot (&p, c->in[0],
            (qf_matmul_matrix (&p, 0, z) * p.m + i) * p.k,
            zero_at (c->in[2], i), c->in[3],
            qf_matmul_matrix (&p, 1, z) * p.k * p.n + j, zero_at (c->in[5], j));
        float m = scale_at (c->in[1], i) * scale_at (c->in[4], j) /
            scale_at (c->in[6], 0);

        put_code (c->out[0], at++, (float) sum * m, zero_at (c->in[7], 0));
      }
}

/* ---- com.microsoft ------------------------------------------------------ */

gboolean
qf_infer_qlinear_add (QfCall *c, GError **error)
{
  const QfArray *both[2] = { c->in[0], c->in[3] };
  gint64 dims[QF_MAX_RANK];
  int rank;

  if (!is_code (c->in[0]) || !is_code (c->in[3]) ||
      c->in[0]->dtype != c->in[3]->dtype)
    return QF_BAD ("its inputs are no 8-bit codes of one type");
  return check_scale (c, 1, c->in[0]->dtype, 1, error) &&
      check_scale (c, 4, c->in[0]->dtype, 1, error) &&
      check_scale (c, 6, c->in[0]->dtype, 1, error) &&
      qf_broadcast (both, 2, &rank, dims, error) &&
      qf_call_set (c, 0, c->in[0]->dtype, rank, dims, error);
}

static void
qlinear_add_row (
    QfCall *c, gsize to, gsize n, const gint64 *at, const gint64 *step)
{
  float sa = scale_at (c->in[1], 0), sb = scale_at (c->in[4], 0);
  gint32 za = zero_at (c->in[2], 0), zb = zero_at (c->in[5], 0);
  gint32 zero = zero_at (qf_call_in (c, 7), 0);

  for (gsize i = 0; i < n; i++) {
    gint32 a = code_at (c->in[0], at[0] + (gint64) i * step[0]) - za;
    gint32 b = code_at (c->in[3], at[3] + (gint64) i * step[3]) - zb;

    put_code (c->out[0], (gint64) (to + i),
        (sa * (float) a + sb * (float) b) / scale_at (c->in[6], 0), zero);
  }
}

void
qf_run_qlinear_add (QfCall *c)
{
  qf_walk (c, qlinear_add_row);
}

gboolean
qf_infer_qlinear_average (QfCall *c, GError **error)
{
  const QfArray *x = c->in[0];
  gboolean last = qf_call_int (c, "channels_last", 0) != 0;
  gint64 dims[QF_MAX_RANK];

  if (!is_code (x) || x->rank < 3)
    return QF_BAD ("its input is no image of 8-bit codes");
  for (int i = 0; i < x->rank; i++)
    dims[i] = i == 0 || i == (last ? x->rank - 1 : 1) ? x->dims[i] : 1;
  return check_scale (c, 1, x->dtype, 1, error) &&
      check_scale (c, 3, x->dtype, 1, error) &&
      qf_call_set (c, 0, x->dtype, x->rank, dims, error);
}

void
qf_run_qlinear_average (QfCall *c)
{
  const QfArray *x = c->in[0];
  gboolean last = qf_call_int (c, "channels_last", 0) != 0;
  gint64 channels = x->dims[last ? x->rank - 1 : 1], plane = 1;
  gint32 zero = zero_at (c->in[2], 0);

  for (int i = last ? 1 : 2; i < x->rank - (last ? 1 : 0); i++)
    plane *= x->dims[i];
  for (gint64 o = 0; o < x->dims[0] * channels; o++) {
    gint64 from =
        last ? o / channels * plane * channels + o % channels : o * plane;
    gint64 sum = 0;
    float mean;

    for (gint64 i = 0; i < plane; i++)
      sum += code_at (x, from + i * (last ? channels : 1)) - zero;
    mean = plane ? (float) sum * (scale_at (c->in[1], 0) / (float) plane) : 0;
    put_code (c->out[0], o, mean / scale_at (c->in[3], 0),
        zero_at (qf_call_in (c, 4), 0));
  }
}
