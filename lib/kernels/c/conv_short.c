/* libqfuse: int8 convolution with short windows.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A dot product of few elements spends more on adding up a vector's lanes than
 * on multiplying. Below 2^24 float32 is exact for whole numbers, so short
 * windows are summed in float32, vectorized over output channels:
 * docs/numerics.md (5). */
#include "kernels/c/conv.h"
#include "kernels/c/columns.h"
#include "kernels/c/tile_f32.h"

enum
{
  K_EXACT = 518, /* 518·255·127 < 2^24 */
/* longest windows for which this is the faster way: measured on Zen 3 */
#ifdef __AVX__
  K_SHORT = 112,
#else
  K_SHORT = 24,
#endif
  K_SHORTEST = 32 /* faster even where half of a tile's channels are unused */
};
_Static_assert(K_SHORT <= K_EXACT, "sums in float32 must be exact");

QF_DEFINE_FILL (fill_row, uint8_t, float, (float) (v - zero))

int
QF_T (conv_is_short) (const QfConvShape *s)
{
  size_t k = (size_t) s->in_c / s->groups * s->kernel_h * s->kernel_w;
  int oc = s->out_c / s->groups;
  int tiles = (oc + QF_TILE_OC_MAX - 1) / QF_TILE_OC_MAX;

  return k <= K_SHORT && oc > 4 &&
      (k <= K_SHORTEST || 3 * tiles * QF_TILE_OC_MAX <= 4 * oc);
}

void
QF_T (conv_short_pack) (const QfConvShape *s, const int8_t *w, void *packed)
{
  QfColumns l = qf_columns (s, sizeof (float));
  float *p = packed;
  size_t blocks = ((size_t) l.oc + QF_TILE_OC - 1) / QF_TILE_OC;

  memset (packed, 0, QF_T (conv_f32_packed_size) (s));
  for (int o = 0; o < s->out_c; o++) {
    int in_group = o % l.oc;
    float *to = p +
        ((size_t) (o / l.oc) * blocks + in_group / QF_TILE_OC) * l.k *
            QF_TILE_OC +
        in_group % QF_TILE_OC;

    for (int c = 0; c < l.ic; c++)
      for (int ky = 0; ky < s->kernel_h; ky++)
        for (int kx = 0; kx < s->kernel_w; kx++)
          to[qf_columns_k (s, &l, c, ky, kx) * QF_TILE_OC] = *w++;
  }
}

/* Channels @o … of four windows at most. */
static inline void
pixels_block (const QfColumns *l, const float *const *x, int n, const float *w,
    int o, int32_t *acc, size_t acc_stride)
{
  float sums[QF_TILE_PIXELS * QF_TILE_OC_MAX] = { 0 };
  int oc = l->oc - o < QF_TILE_OC_MAX ? l->oc - o : QF_TILE_OC_MAX;
  size_t second = QF_LANES == 4 ? 4 : oc > QF_TILE_OC ? l->k * QF_TILE_OC : 0;

  qf_tile_f32 (x, w + (size_t) o * l->k, second, l->k, sums);
  for (int i = 0; i < n; i++) {
    const float *from = sums + i * QF_TILE_OC_MAX;
    int32_t *to = acc + (size_t) i * acc_stride;

    if (oc == QF_TILE_OC_MAX)
      for (int c = 0; c < QF_TILE_OC_MAX; c++)
        to[c] = (int32_t) from[c];
    else
      for (int c = 0; c < oc; c++)
        to[c] = (int32_t) from[c];
  }
}

static void
row_block (const QfColumns *l, const float *columns, int n, const float *w,
    int32_t *acc, size_t acc_stride)
{
  for (int p = 0; p < n; p += QF_TILE_PIXELS) {
    int some = n - p < QF_TILE_PIXELS ? n - p : QF_TILE_PIXELS;
    const float *x[QF_TILE_PIXELS];

    for (int i = 0; i < QF_TILE_PIXELS; i++)
      x[i] = columns + (size_t) (p + (i < some ? i : 0)) * l->pixel;
    for (int o = 0; o < l->oc; o += QF_TILE_OC_MAX)
      pixels_block (
          l, x, some, w, o, acc + (size_t) p * acc_stride + o, acc_stride);
  }
}

void
QF_T (conv_short) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, int32_t *acc, int row0, int row1, void *scratch)
{
  QfColumns l = qf_columns (s, sizeof (float));
  size_t group =
      ((size_t) l.oc + QF_TILE_OC - 1) / QF_TILE_OC * QF_TILE_OC * l.k;

  for (int r = row0; r < row1; r++)
    for (int g = 0; g < s->groups; g++) {
      fill_row (s, &l, x + (size_t) g * l.ic, x_zero, r, scratch);
      row_block (&l, scratch, s->out_w, (const float *) packed + g * group,
          acc + (size_t) (r - row0) * s->out_w * s->out_c + (size_t) g * l.oc,
          (size_t) s->out_c);
    }
}
