/* libqfuse: convolutions of one to three dimensions.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Plain loops that add one weight times one row at a time. Two-dimensional
 * convolutions with constant weights run on lib/kernels instead (lib/engine).
 */
#include "ops/conv.h"

gboolean
qf_conv_read (QfCall *c, int w_in, QfConvCall *k, GError **error)
{
  const QfArray *x = c->in[0], *w = c->in[w_in];
  int rank = x->rank;
  gint64 dims[QF_MAX_RANK];

  if (rank < 3 || rank > 5 || w->rank != rank)
    return QF_UNSUPPORTED (
        "inputs of %d and %d dimensions are not supported", rank, w->rank);
  k->groups = qf_call_int (c, "group", 1);
  if (!qf_slide_read (c, w->dims + 2, &k->s, error))
    return FALSE;
  if (k->groups < 1 || x->dims[1] % k->groups || w->dims[0] % k->groups ||
      w->dims[1] != x->dims[1] / k->groups)
    return QF_BAD ("%" G_GINT64_FORMAT " input channels in %" G_GINT64_FORMAT
                   " groups do not fit weights of %" G_GINT64_FORMAT
                   " times %" G_GINT64_FORMAT " channels",
        x->dims[1], k->groups, w->dims[0], w->dims[1]);
  k->ic = w->dims[1];
  k->oc = w->dims[0] / k->groups;
  k->batch = x->dims[0];
  dims[0] = x->dims[0];
  dims[1] = w->dims[0];
  for (int i = 0; i < k->s.n; i++)
    dims[2 + i] = k->s.out[3 - k->s.n + i];
  k->rank = rank;
  memcpy (k->dims, dims, sizeof dims);
  return TRUE;
}

gint64
qf_conv_macs (const QfConvCall *k)
{
  const QfSlide *s = &k->s;

  return k->batch * k->groups * k->oc * s->out[0] * s->out[1] * s->out[2] *
      k->ic * s->kernel[0] * s->kernel[1] * s->kernel[2];
}

static gboolean
check_bias (QfCall *c, gint64 channels, GError **error)
{
  const QfArray *b = qf_call_in (c, 2);

  if (!b)
    return TRUE;
  if (b->dtype != QF_F32 || b->rank != 1 || b->dims[0] != channels)
    return QF_BAD ("its bias does not have one float32 number a channel");
  return TRUE;
}

gboolean
qf_infer_conv (QfCall *c, GError **error)
{
  QfConvCall k;

  return qf_call_float_in (c, 0, -1, error) &&
      qf_call_float_in (c, 1, -1, error) && qf_conv_read (c, 1, &k, error) &&
      check_bias (c, c->in[1]->dims[0], error) &&
      qf_call_set (c, 0, QF_F32, k.rank, k.dims, error);
}

gint64
qf_macs_conv (QfCall *c)
{
  QfConvCall k;

  return qf_conv_read (c, 1, &k, NULL) ? qf_conv_macs (&k) : 0;
}

#define T float
#define NAME qf_conv_sums_f32
#include "ops/conv_tmpl.h"
#undef T
#undef NAME
#define T guint32
#define NAME qf_conv_sums_i32
#include "ops/conv_tmpl.h"

void
qf_run_conv (QfCall *c)
{
  const QfArray *b = qf_call_in (c, 2);
  float *y = c->out[0]->data;
  gint64 plane;
  QfConvCall k;

  qf_conv_read (c, 1, &k, NULL);
  plane = k.s.out[0] * k.s.out[1] * k.s.out[2];
  for (gint64 i = 0; i < k.batch * k.groups * k.oc; i++)
    for (gint64 j = 0; j < plane; j++)
      y[i * plane + j] =
          b ? ((const float *) b->data)[i % (k.groups * k.oc)] : 0;
  qf_conv_sums_f32 (&k, c->in[0]->data, c->in[1]->data, y);
}

/* ---- ConvTranspose ------------------------------------------------------ */

/* As the convolution whose gradient it is: s.in is our output. */
static gboolean
transpose_read (QfCall *c, QfConvCall *k, GError **error)
{
  const QfArray *x = c->in[0], *w = c->in[1];
  QfSlide *s = &k->s;
  gint64 extra[3] = { 0 }, shape[3] = { 0 };
  const char *mode = qf_call_text (c, "auto_pad", "NOTSET");
  int skip, n_extra, n_shape;

  if (x->rank < 3 || x->rank > 5 || w->rank != x->rank)
    return QF_UNSUPPORTED (
        "inputs of %d and %d dimensions are not supported", x->rank, w->rank);
  k->groups = qf_call_int (c, "group", 1);
  if (k->groups < 1 || x->dims[1] != w->dims[0] || x->dims[1] % k->groups)
    return QF_BAD ("its weights do not fit its input");
  for (int i = 2; i < x->rank; i++) /* any size: the window is ours to fit */
    if (x->dims[i] < 1 || w->dims[i] < 1)
      return QF_BAD ("its input or kernel is empty");
  k->rank = x->rank;
  k->batch = x->dims[0];
  k->ic = x->dims[1] / k->groups;
  k->oc = w->dims[1];
  if (!qf_slide_steps (c, w->dims + 2, s, error))
    return FALSE;
  skip = 3 - s->n;
  n_extra = qf_call_ints (c, "output_padding", extra, s->n);
  n_shape = qf_call_ints (c, "output_shape", shape, s->n);
  if ((n_extra >= 0 && n_extra != s->n) || (n_shape >= 0 && n_shape != s->n))
    return QF_BAD ("its output_padding or output_shape is of another length");
  k->dims[0] = k->batch;
  k->dims[1] = k->oc * k->groups;
  for (int i = 0; i < s->n; i++) {
    int d = skip + i;
    gint64 in = x->dims[2 + i];
    gint64 full = (in - 1) * s->stride[d] + extra[i] +
        (s->kernel[d] - 1) * s->dilation[d] + 1;
    gint64 out = full - s->pad[d] - s->pad_end[d], all;

    if (extra[i] < 0 || extra[i] > 1 << 15 || shape[i] < 0 ||
        shape[i] > QF_MAX_ELEMENTS)
      return QF_BAD ("its output_padding or output_shape is out of range");
    if (g_str_has_prefix (mode, "SAME"))
      out = in * s->stride[d];
    if (n_shape >= 0)
      out = shape[i];
    if (n_shape >= 0 || g_str_has_prefix (mode, "SAME")) {
      all = MAX (0, full - out);
      s->pad[d] = strcmp (mode, "SAME_UPPER") == 0 ? all / 2 : all - all / 2;
    }
    if (out < 1)
      return QF_BAD ("its padding leaves nothing");
    s->in[d] = k->dims[2 + i] = out;
    s->out[d] = in;
  }
  return TRUE;
}

gboolean
qf_infer_conv_transpose (QfCall *c, GError **error)
{
  QfConvCall k;

  return qf_call_float_in (c, 0, -1, error) &&
      qf_call_float_in (c, 1, -1, error) && transpose_read (c, &k, error) &&
      check_bias (c, k.dims[1], error) &&
      qf_call_set (c, 0, QF_F32, k.rank, k.dims, error);
}

gint64
qf_macs_conv_transpose (QfCall *c)
{
  QfConvCall k;

  return transpose_read (c, &k, NULL) ? qf_conv_macs (&k) : 0;
}

/* Adds @w times a row of x to a row of y, spread by the stride. */
static void
spread_plane (
    const QfSlide *s, const float *x, const gint64 *at, float w, float *y)
{
  gint64 lo[3], hi[3], offset[3];

  for (int i = 0; i < 3; i++) {
    offset[i] = at[i] * s->dilation[i] - s->pad[i];
    qf_slide_range (
        offset[i], s->stride[i], s->in[i], s->out[i], &lo[i], &hi[i]);
  }
  for (gint64 d = lo[0]; d < hi[0]; d++)
    for (gint64 r = lo[1]; r < hi[1]; r++) {
      const float *from = x + (d * s->out[1] + r) * s->out[2];
      float *to = y +
          ((d * s->stride[0] + offset[0]) * s->in[1] + r * s->stride[1] +
              offset[1]) *
              s->in[2] +
          offset[2];

      for (gint64 i = lo[2]; i < hi[2]; i++)
        to[i * s->stride[2]] += w * from[i];
    }
}

static void
spread (const QfConvCall *k, const float *x, const float *w, float *y)
{
  const QfSlide *s = &k->s;
  gint64 in = s->out[0] * s->out[1] * s->out[2];
  gint64 out = s->in[0] * s->in[1] * s->in[2], at[3];

  for (gint64 n = 0; n < k->batch; n++)
    for (gint64 g = 0; g < k->groups; g++)
      for (gint64 i = 0; i < k->ic; i++) {
        const float *p = w +
            (g * k->ic + i) * k->oc * s->kernel[0] * s->kernel[1] *
                s->kernel[2];

        for (gint64 o = 0; o < k->oc; o++)
          for (at[0] = 0; at[0] < s->kernel[0]; at[0]++)
            for (at[1] = 0; at[1] < s->kernel[1]; at[1]++)
              for (at[2] = 0; at[2] < s->kernel[2]; at[2]++)
                spread_plane (s, x + ((n * k->groups + g) * k->ic + i) * in, at,
                    *p++, y + ((n * k->groups + g) * k->oc + o) * out);
      }
}

void
qf_run_conv_transpose (QfCall *c)
{
  const QfArray *b = qf_call_in (c, 2);
  float *y = c->out[0]->data;
  gint64 plane;
  QfConvCall k;

  transpose_read (c, &k, NULL);
  plane = k.s.in[0] * k.s.in[1] * k.s.in[2];
  for (gint64 i = 0; i < k.batch * k.dims[1]; i++)
    for (gint64 j = 0; j < plane; j++)
      y[i * plane + j] = b ? ((const float *) b->data)[i % k.dims[1]] : 0;
  spread (&k, c->in[0]->data, c->in[1]->data, y);
}
