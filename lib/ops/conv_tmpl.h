/* libqfuse: sums of a convolution over elements of type T, as function NAME.
 * SPDX-License-Identifier: LGPL-2.1-or-later */

#define PLANE G_PASTE (NAME, _plane)

/* Adds @w times what the window's element @at sees to a plane. */
static void
PLANE (const QfSlide *s, const T *x, const gint64 *at, T w, T *y)
{
  gint64 lo[3], hi[3], offset[3];

  for (int i = 0; i < 3; i++) {
    offset[i] = at[i] * s->dilation[i] - s->pad[i];
    qf_slide_range (
        offset[i], s->stride[i], s->in[i], s->out[i], &lo[i], &hi[i]);
  }
  for (gint64 d = lo[0]; d < hi[0]; d++)
    for (gint64 r = lo[1]; r < hi[1]; r++) {
      gint64 row = (d * s->stride[0] + offset[0]) * s->in[1] +
          r * s->stride[1] + offset[1];
      gint64 from = row * s->in[2] + offset[2];
      T *to = y + (d * s->out[1] + r) * s->out[2];

      if (s->stride[2] == 1)
        for (gint64 i = lo[2]; i < hi[2]; i++)
          to[i] += w * x[from + i];
      else
        for (gint64 i = lo[2]; i < hi[2]; i++)
          to[i] += w * x[from + i * s->stride[2]];
    }
}

void
NAME (const QfConvCall *k, const T *x, const T *w, T *y)
{
  const QfSlide *s = &k->s;
  gint64 in = s->in[0] * s->in[1] * s->in[2], at[3];
  gint64 out = s->out[0] * s->out[1] * s->out[2];

  for (gint64 n = 0; n < k->batch; n++)
    for (gint64 o = 0; o < k->groups * k->oc; o++) {
      const T *p = w + o * k->ic * s->kernel[0] * s->kernel[1] * s->kernel[2];
      const T *group = x + (n * k->groups + o / k->oc) * k->ic * in;

      for (gint64 i = 0; i < k->ic; i++)
        for (at[0] = 0; at[0] < s->kernel[0]; at[0]++)
          for (at[1] = 0; at[1] < s->kernel[1]; at[1]++)
            for (at[2] = 0; at[2] < s->kernel[2]; at[2]++)
              PLANE (s, group + i * in, at, *p++,
                  y + (n * k->groups * k->oc + o) * out);
    }
}

#undef PLANE
