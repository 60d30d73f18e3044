/* libqfuse: int8 convolution.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Chooses one of three ways, all exact, so all the same sums: depthwise
 * (conv_dw.c); short windows in float32 (conv_short.c); dot products of 16-bit
 * operands, here: gcc makes the loop of dot_2x4() into pmaddwd. */
#include "kernels/c/conv.h"
#include "kernels/c/columns.h"
#include "kernels/c/requant.h"

enum
{
  K_STEP = 16,           /* 16-bit elements that a window is rounded up to */
  OC_STEP = 4,           /* output channels of one block */
  SUMS_BYTES = 64 * 1024 /* to stay in the nearer caches */
};

QF_DEFINE_FILL (fill_row, uint8_t, int16_t, (int16_t) (v - zero))

static size_t
k_padded (const QfColumns *l)
{
  return (l->k + K_STEP - 1) / K_STEP * K_STEP;
}

static size_t
oc_padded (const QfColumns *l)
{
  return ((size_t) l->oc + OC_STEP - 1) / OC_STEP * OC_STEP;
}

static int
is_depthwise (const QfConvShape *s)
{
  return s->groups > 1 && s->groups == s->in_c && s->groups == s->out_c;
}

size_t
QF_T (conv_s8_packed_size) (const QfConvShape *s)
{
  QfColumns l = qf_columns (s, sizeof (int16_t));

  if (is_depthwise (s))
    return QF_T (conv_dw_packed_size) (s);
  if (QF_T (conv_is_short) (s))
    return QF_T (conv_f32_packed_size) (s);
  return (size_t) s->groups * oc_padded (&l) * k_padded (&l) * sizeof (int16_t);
}

size_t
QF_T (conv_s8_packed_used) (const QfConvShape *s, const void *packed)
{
  (void) packed;
  return QF_T (conv_s8_packed_size) (s);
}

/* To [group][out_c rounded up][kx][ky][ic], zeros where rounded up. */
void
QF_T (conv_s8_pack) (const QfConvShape *s, const int8_t *w, void *packed)
{
  QfColumns l = qf_columns (s, sizeof (int16_t));
  int16_t *p = packed;

  if (is_depthwise (s)) {
    QF_T (conv_dw_pack) (s, w, packed);
    return;
  }
  if (QF_T (conv_is_short) (s)) {
    QF_T (conv_short_pack) (s, w, packed);
    return;
  }
  memset (packed, 0, QF_T (conv_s8_packed_size) (s));
  for (int o = 0; o < s->out_c; o++) {
    size_t slot = (size_t) (o / l.oc) * oc_padded (&l) + (size_t) (o % l.oc);
    int16_t *to = p + slot * k_padded (&l);

    for (int c = 0; c < l.ic; c++)
      for (int ky = 0; ky < s->kernel_h; ky++)
        for (int kx = 0; kx < s->kernel_w; kx++)
          to[qf_columns_k (s, &l, c, ky, kx)] = *w++;
  }
}

static size_t
scratch_size (const QfConvShape *s)
{
  QfColumns l = qf_columns (s, sizeof (int16_t));

  if (is_depthwise (s))
    return QF_T (conv_dw_scratch_size) (s);
  if (QF_T (conv_is_short) (s))
    return QF_T (conv_f32_scratch_size) (s);
  return ((size_t) l.rows * l.row + K_STEP) * sizeof (int16_t);
}

size_t
QF_T (conv_u8s8_scratch_size) (const QfConvShape *s)
{
  return QF_T (conv_sums_size) (s) + scratch_size (s);
}

/* Products are within ±255·127 and two of them within 2^16: exact in 32 bits,
 * docs/numerics.md (4). */
static inline void
dot_2x4 (const int16_t *restrict x0, const int16_t *restrict x1,
    const int16_t *restrict w, size_t n, int32_t *restrict sums)
{
  const int16_t *w0 = w, *w1 = w + n, *w2 = w + 2 * n, *w3 = w + 3 * n;
  int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;

  for (size_t k = 0; k < n / K_STEP * K_STEP; k++) {
    int32_t a = x0[k], b = x1[k];

    a0 += a * w0[k];
    a1 += a * w1[k];
    a2 += a * w2[k];
    a3 += a * w3[k];
    b0 += b * w0[k];
    b1 += b * w1[k];
    b2 += b * w2[k];
    b3 += b * w3[k];
  }
  sums[0] = a0;
  sums[1] = a1;
  sums[2] = a2;
  sums[3] = a3;
  sums[4] = b0;
  sums[5] = b1;
  sums[6] = b2;
  sums[7] = b3;
}

/* @n windows of one row times one block of channels (@oc ≤ 4 are real). */
static void
row_block (const QfColumns *l, const int16_t *x, int n, const int16_t *w,
    int oc, int32_t *acc, size_t acc_stride)
{
  int32_t sums[2 * OC_STEP];
  size_t k = k_padded (l);

  for (int p = 0; p < n; p += 2) {
    int last = p + 1 == n; /* then its window is counted twice */
    const int16_t *x0 = x + (size_t) p * l->pixel;
    int32_t *to = acc + (size_t) p * acc_stride;

    dot_2x4 (x0, last ? x0 : x0 + l->pixel, w, k, sums);
    for (int i = 0; i < 2 - last; i++, to += acc_stride)
      if (oc == OC_STEP)
        memcpy (to, sums + i * OC_STEP, OC_STEP * sizeof *sums);
      else
        memcpy (to, sums + i * OC_STEP, (size_t) oc * sizeof *sums);
  }
}

/* @rows rows of columns times one group's weights. */
static void
tile (const QfConvShape *s, const QfColumns *l, const int16_t *columns,
    int rows, const int16_t *w, int32_t *acc)
{
  for (int p = 0; p < s->out_w; p += l->pixels) {
    int n = s->out_w - p < l->pixels ? s->out_w - p : l->pixels;

    for (int o = 0; o < l->oc; o += OC_STEP)
      for (int r = 0; r < rows; r++)
        row_block (l, columns + (size_t) r * l->row + (size_t) p * l->pixel, n,
            w + (size_t) o * k_padded (l),
            l->oc - o < OC_STEP ? l->oc - o : OC_STEP,
            acc + ((size_t) r * s->out_w + p) * s->out_c + o,
            (size_t) s->out_c);
  }
}

void
QF_T (conv_u8s8_s32) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, int32_t *acc, int row0, int row1, void *scratch)
{
  QfColumns l = qf_columns (s, sizeof (int16_t));
  int16_t *columns = scratch;

  if (is_depthwise (s)) {
    QF_T (conv_dw_u8s8_s32) (s, x, x_zero, packed, acc, row0, row1, scratch);
    return;
  }
  if (QF_T (conv_is_short) (s)) {
    QF_T (conv_short) (s, x, x_zero, packed, acc, row0, row1, scratch);
    return;
  }
  for (int r = row0; r < row1; r += l.rows) {
    int rows = row1 - r < l.rows ? row1 - r : l.rows;

    /* read behind the last window, times zero weights */
    memset (columns + (size_t) rows * l.row, 0, K_STEP * sizeof *columns);
    for (int g = 0; g < s->groups; g++) {
      const int16_t *w = packed;

      for (int i = 0; i < rows; i++)
        fill_row (s, &l, x + (size_t) g * l.ic, x_zero, r + i,
            columns + (size_t) i * l.row);
      tile (s, &l, columns, rows,
          w + (size_t) g * oc_padded (&l) * k_padded (&l),
          acc + (size_t) (r - row0) * s->out_w * s->out_c + (size_t) g * l.oc);
    }
  }
}

static int
sums_rows (const QfConvShape *s)
{
  size_t rows =
      SUMS_BYTES / ((size_t) s->out_w * (size_t) s->out_c * sizeof (int32_t));

  return rows < 1 ? 1 : rows < (size_t) s->out_h ? (int) rows : s->out_h;
}

size_t
QF_T (conv_sums_size) (const QfConvShape *s)
{
  size_t row = (size_t) s->out_w * (size_t) s->out_c * sizeof (int32_t);

  return ((size_t) sums_rows (s) * row + 63) / 64 * 64;
}

void
QF_T (conv_by_sums) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, uint8_t *y, int row0, int row1,
    void *scratch,
    void (*conv) (const QfConvShape *s, const uint8_t *x, int x_zero,
        const void *packed, int32_t *acc, int row0, int row1, void *scratch))
{
  int32_t *acc = scratch;
  uint8_t *rest = (uint8_t *) scratch + QF_T (conv_sums_size) (s);
  int step = sums_rows (s);

  for (int row = row0; row < row1; row += step) {
    int n = row1 - row < step ? row1 - row : step;

    conv (s, x, x_zero, packed, acc, row, row + n, rest);
    QF_T (requant_s32_u8)
    (r, acc, y + (size_t) (row - row0) * s->out_w * s->out_c, n * s->out_w,
        s->out_c);
  }
}

void
QF_T (conv_u8s8_grain) (
    const QfConvShape *s, const QfRequant *r, int *rows, int *channels)
{
  (void) s;
  (void) r;
  *rows = 1;
  *channels = 0;
}

/* Always all channels. */
void
QF_T (conv_u8s8_u8) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, uint8_t *y, int row0, int row1,
    int c0, int c1, void *scratch)
{
  (void) c0;
  (void) c1;
  QF_T (conv_by_sums)
  (s, x, x_zero, packed, r, y, row0, row1, scratch, QF_T (conv_u8s8_s32));
}
