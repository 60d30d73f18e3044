/* libqfuse: float32 convolution.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/conv.h"
#include "kernels/c/columns.h"
#include "kernels/c/round.h"
#include "kernels/c/tile_f32.h"

QF_DEFINE_FILL (fill_row, float, float, ((void) zero, v))

/* What all rows of a call share. */
typedef struct
{
  const QfConvShape *s;
  QfColumns l;
  float lo, hi;
} Call;

static size_t
group_elements (const QfColumns *l)
{
  return ((size_t) l->oc + QF_TILE_OC - 1) / QF_TILE_OC * QF_TILE_OC * l->k;
}

size_t
QF_T (conv_f32_packed_size) (const QfConvShape *s)
{
  QfColumns l = qf_columns (s, sizeof (float));

  return (size_t) s->groups * group_elements (&l) * sizeof (float);
}

/* To [group][oc / 8][kx][ky][ic][8]. */
void
QF_T (conv_f32_pack) (const QfConvShape *s, const float *w, void *packed)
{
  QfColumns l = qf_columns (s, sizeof (float));
  float *p = packed;

  memset (packed, 0, QF_T (conv_f32_packed_size) (s));
  for (int o = 0; o < s->out_c; o++) {
    int in_group = o % l.oc;
    float *to = p + (size_t) (o / l.oc) * group_elements (&l) +
        (size_t) (in_group / QF_TILE_OC) * l.k * QF_TILE_OC +
        in_group % QF_TILE_OC;

    for (int c = 0; c < l.ic; c++)
      for (int ky = 0; ky < s->kernel_h; ky++)
        for (int kx = 0; kx < s->kernel_w; kx++)
          to[qf_columns_k (s, &l, c, ky, kx) * QF_TILE_OC] = *w++;
  }
}

size_t
QF_T (conv_f32_scratch_size) (const QfConvShape *s)
{
  return qf_columns (s, sizeof (float)).row * sizeof (float);
}

/* All of a group's channels of four windows at most. */
static void
pixels_block (const Call *call, const float *const *x, int n, const float *w,
    const float *bias, float *y)
{
  const QfColumns *l = &call->l;

  for (int o = 0; o < l->oc; o += QF_TILE_OC_MAX) {
    float sums[QF_TILE_PIXELS * QF_TILE_OC_MAX] = { 0 };
    int oc = l->oc - o < QF_TILE_OC_MAX ? l->oc - o : QF_TILE_OC_MAX;
    size_t second = QF_LANES == 4 ? 4 : oc > QF_TILE_OC ? l->k * QF_TILE_OC : 0;

    for (int i = 0; bias && i < QF_TILE_PIXELS; i++)
      memcpy (sums + i * QF_TILE_OC_MAX, bias + o, (size_t) oc * sizeof *sums);
    qf_tile_f32 (x, w + (size_t) o * l->k, second, l->k, sums);
    for (int i = 0; i < n; i++) {
      float *to = y + (size_t) i * call->s->out_c + o;

      for (int c = 0; c < oc; c++)
        to[c] = qf_clip (sums[i * QF_TILE_OC_MAX + c], call->lo, call->hi);
    }
  }
}

static void
row_block (const Call *call, const float *columns, const float *w,
    const float *bias, float *y)
{
  int n = call->s->out_w;

  for (int p = 0; p < n; p += QF_TILE_PIXELS) {
    int some = n - p < QF_TILE_PIXELS ? n - p : QF_TILE_PIXELS;
    const float *x[QF_TILE_PIXELS];

    for (int i = 0; i < QF_TILE_PIXELS; i++)
      x[i] = columns + (size_t) (p + (i < some ? i : 0)) * call->l.pixel;
    pixels_block (call, x, some, w, bias, y + (size_t) p * call->s->out_c);
  }
}

void
QF_T (conv_f32) (const QfConvShape *s, const float *x, const void *packed,
    const float *bias, float lo, float hi, float *y, int row0, int row1,
    void *scratch)
{
  Call call = { s, qf_columns (s, sizeof (float)), lo, hi };
  const QfColumns *l = &call.l;

  for (int r = row0; r < row1; r++)
    for (int g = 0; g < s->groups; g++) {
      size_t c = (size_t) g * l->oc;

      fill_row (s, l, x + (size_t) g * l->ic, 0, r, scratch);
      row_block (&call, scratch,
          (const float *) packed + g * group_elements (l),
          bias ? bias + c : NULL,
          y + (size_t) (r - row0) * s->out_w * s->out_c + c);
    }
}
