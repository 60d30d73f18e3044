/* libqfuse: pooling.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/ops-private.h"

static gboolean
set_pooled (QfCall *c, int k, QfDType dtype, const QfSlide *s, GError **error)
{
  const QfArray *x = c->in[0];
  gint64 dims[QF_MAX_RANK] = { x->dims[0], x->dims[1] };

  for (int i = 0; i < s->n; i++)
    dims[2 + i] = s->out[3 - s->n + i];
  return qf_call_set (c, k, dtype, x->rank, dims, error);
}

/* The window of output @o in one dimension: input positions from + j·dilation
 * for j in [*lo, *hi) that lie in the input. */
static gint64
window (const QfSlide *s, int i, gint64 o, gint64 *lo, gint64 *hi)
{
  gint64 from = o * s->stride[i] - s->pad[i];

  qf_slide_range (from, s->dilation[i], s->in[i], s->kernel[i], lo, hi);
  return from;
}

/* ---- MaxPool ------------------------------------------------------------ */

gboolean
qf_infer_max_pool (QfCall *c, GError **error)
{
  QfDType t = c->in[0]->dtype;
  QfSlide s;

  qf_call_int (c, "storage_order", 0);
  if (t != QF_F32 && t != QF_U8 && t != QF_I8)
    return QF_UNSUPPORTED ("the type of its input is not supported");
  return qf_slide_read (c, NULL, &s, error) &&
      set_pooled (c, 0, t, &s, error) && set_pooled (c, 1, QF_I64, &s, error);
}

#define BEST(T, lowest)                                                        \
  do {                                                                         \
    const T *x = (const T *) c->in[0]->data + plane * in;                      \
    T best = lowest;                                                           \
    for (gint64 a = lo[0]; a < hi[0]; a++)                                     \
      for (gint64 b = lo[1]; b < hi[1]; b++)                                   \
        for (gint64 e = lo[2]; e < hi[2]; e++) {                               \
          gint64 p = ((from[0] + a * s->dilation[0]) * s->in[1] + from[1] +    \
                         b * s->dilation[1]) *                                 \
                  s->in[2] +                                                   \
              from[2] + e * s->dilation[2];                                    \
          if (where < 0 || x[p] > best) {                                      \
            best = x[p];                                                       \
            where = p;                                                         \
          }                                                                    \
        }                                                                      \
    ((T *) c->out[0]->data)[at] = best;                                        \
  } while (0)

/* The largest of one window; returns where it stands in its plane. */
static gint64
best_of (QfCall *c, const QfSlide *s, gint64 plane, const gint64 *o, gint64 at)
{
  gint64 lo[3], hi[3], from[3], where = -1;
  gint64 in = s->in[0] * s->in[1] * s->in[2];

  for (int i = 0; i < 3; i++)
    from[i] = window (s, i, o[i], &lo[i], &hi[i]);
  if (c->in[0]->dtype == QF_F32)
    BEST (float, -INFINITY);
  else if (c->in[0]->dtype == QF_U8)
    BEST (guint8, 0);
  else
    BEST (gint8, -128);
  return MAX (where, 0);
}

void
qf_run_max_pool (QfCall *c)
{
  gint64 planes = c->in[0]->dims[0] * c->in[0]->dims[1], o[3], at = 0;
  gint64 *indices = c->n_out > 1 && c->out[1] ? c->out[1]->data : NULL;
  gboolean by_columns = qf_call_int (c, "storage_order", 0) == 1;
  QfSlide s;

  qf_slide_read (c, NULL, &s, NULL);
  for (gint64 p = 0; p < planes; p++)
    for (o[0] = 0; o[0] < s.out[0]; o[0]++)
      for (o[1] = 0; o[1] < s.out[1]; o[1]++)
        for (o[2] = 0; o[2] < s.out[2]; o[2]++, at++) {
          gint64 best = best_of (c, &s, p, o, at), plane;

          if (!indices)
            continue;
          plane = s.in[0] * s.in[1] * s.in[2];
          if (by_columns) { /* rows and columns change places */
            gint64 row = best / s.in[2] % s.in[1];

            best = best / (s.in[1] * s.in[2]) + /* depth runs fastest */
                (best % s.in[2] * s.in[1] + row) * s.in[0];
          }
          indices[at] = p * plane + best;
        }
}

/* ---- AveragePool -------------------------------------------------------- */

gboolean
qf_infer_average_pool (QfCall *c, GError **error)
{
  QfSlide s;

  qf_call_int (c, "count_include_pad", 0);
  return qf_call_float_in (c, 0, -1, error) &&
      qf_slide_read (c, NULL, &s, error) &&
      set_pooled (c, 0, QF_F32, &s, error);
}

static float
average_of (const QfSlide *s, const float *x, const gint64 *o, gboolean padding)
{
  gint64 lo[3], hi[3], from[3], count = 1;
  double sum = 0;

  for (int i = 0; i < 3; i++) {
    gint64 first, last;

    from[i] = window (s, i, o[i], &lo[i], &hi[i]);
    /* counted with padding: up to its end, but not beyond */
    qf_slide_range (o[i] * s->stride[i], s->dilation[i],
        s->in[i] + s->pad[i] + s->pad_end[i], s->kernel[i], &first, &last);
    count *= padding ? last - first : hi[i] - lo[i];
  }
  for (gint64 a = lo[0]; a < hi[0]; a++)
    for (gint64 b = lo[1]; b < hi[1]; b++) {
      gint64 row = (from[0] + a * s->dilation[0]) * s->in[1] + from[1] +
          b * s->dilation[1];

      for (gint64 e = lo[2]; e < hi[2]; e++)
        sum += (double) x[row * s->in[2] + from[2] + e * s->dilation[2]];
    }
  return count ? (float) (sum / (double) count) : 0;
}

void
qf_run_average_pool (QfCall *c)
{
  gint64 planes = c->in[0]->dims[0] * c->in[0]->dims[1], o[3];
  gboolean padding = qf_call_int (c, "count_include_pad", 0) != 0;
  const float *x = c->in[0]->data;
  float *y = c->out[0]->data;
  QfSlide s;

  qf_slide_read (c, NULL, &s, NULL);
  for (gint64 p = 0; p < planes; p++, x += s.in[0] * s.in[1] * s.in[2])
    for (o[0] = 0; o[0] < s.out[0]; o[0]++)
      for (o[1] = 0; o[1] < s.out[1]; o[1]++)
        for (o[2] = 0; o[2] < s.out[2]; o[2]++)
          *y++ = average_of (&s, x, o, padding);
}

/* ---- over everything ---------------------------------------------------- */

gboolean
qf_infer_global_pool (QfCall *c, GError **error)
{
  gint64 dims[QF_MAX_RANK] = { 1, 1, 1, 1, 1, 1 };

  if (!qf_call_float_in (c, 0, -1, error))
    return FALSE;
  if (c->in[0]->rank < 2)
    return QF_BAD ("its input has no channels");
  dims[0] = c->in[0]->dims[0];
  dims[1] = c->in[0]->dims[1];
  return qf_call_set (c, 0, QF_F32, c->in[0]->rank, dims, error);
}

static gint64
plane_of (const QfArray *x)
{
  gint64 n = 1;

  for (int i = 2; i < x->rank; i++)
    n *= x->dims[i];
  return n;
}

void
qf_run_global_average_pool (QfCall *c)
{
  gint64 planes = c->in[0]->dims[0] * c->in[0]->dims[1];
  gint64 n = plane_of (c->in[0]);
  const float *x = c->in[0]->data;
  float *y = c->out[0]->data;

  for (gint64 p = 0; p < planes; p++, x += n) {
    double sum = 0;

    for (gint64 i = 0; i < n; i++)
      sum += (double) x[i];
    y[p] = n ? (float) (sum / (double) n) : 0;
  }
}

void
qf_run_global_max_pool (QfCall *c)
{
  gint64 planes = c->in[0]->dims[0] * c->in[0]->dims[1];
  gint64 n = plane_of (c->in[0]);
  const float *x = c->in[0]->data;
  float *y = c->out[0]->data;

  for (gint64 p = 0; p < planes; p++, x += n) {
    y[p] = -INFINITY;
    for (gint64 i = 0; i < n; i++)
      y[p] = MAX (y[p], x[i]);
  }
}
