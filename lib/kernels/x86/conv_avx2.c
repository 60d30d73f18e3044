/* libqfuse: int8 convolution, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Chooses a family by shape; what none of them can do, the plain C sources do.
 */
#include "kernels/c/conv.h"
#include "kernels/c/move.h"
#include "kernels/c/eltwise.h"
#include "kernels/x86/avx2.h"
#include "kernels/x86/conv.h"

typedef struct
{
  int (*can) (const QfConvShape *s);
  size_t (*packed_size) (const QfConvShape *s);
  void (*pack) (const QfConvShape *s, const int8_t *w, void *packed);
  size_t (*scratch_size) (const QfConvShape *s);
  void (*grain) (const QfConvShape *s, int *rows, int *channels);
  void (*run) (const QfConvShape *s, const uint8_t *x, int x_zero,
      const void *packed, QfConvOut out, int row0, int row1, void *scratch);
} Family;

static const Family families[] = {
  { qf_conv_dw_avx2_can, qf_conv_dw_avx2_packed_size, qf_conv_dw_avx2_pack,
      qf_conv_dw_avx2_scratch_size, qf_conv_dw_avx2_grain, qf_conv_dw_avx2 },
  { qf_conv_few_avx2_can, qf_conv_few_avx2_packed_size, qf_conv_few_avx2_pack,
      qf_conv_few_avx2_scratch_size, qf_conv_few_avx2_grain, qf_conv_few_avx2 },
  { qf_conv_wino_avx2_can, qf_conv_wino_avx2_packed_size,
      qf_conv_wino_avx2_pack, qf_conv_wino_avx2_scratch_size,
      qf_conv_wino_avx2_grain, qf_conv_wino_avx2 },
  { qf_conv_dense_avx2_can, qf_conv_dense_avx2_packed_size,
      qf_conv_dense_avx2_pack, qf_conv_dense_avx2_scratch_size,
      qf_conv_dense_avx2_grain, qf_conv_dense_avx2 },
};

static const Family *
family (const QfConvShape *s)
{
  for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
    if (families[i].can (s))
      return &families[i];
  return NULL;
}

size_t
qf_conv_s8_packed_size_avx2 (const QfConvShape *s)
{
  const Family *f = family (s);

  return f ? f->packed_size (s) : QF_T (conv_s8_packed_size) (s);
}

void
qf_conv_s8_pack_avx2 (const QfConvShape *s, const int8_t *w, void *packed)
{
  const Family *f = family (s);

  if (f)
    f->pack (s, w, packed);
  else
    QF_T (conv_s8_pack) (s, w, packed);
}

/* Sums for conv_by_sums() first. */
size_t
qf_conv_u8s8_scratch_size_avx2 (const QfConvShape *s)
{
  const Family *f = family (s);

  return f ? QF_T (conv_sums_size) (s) + f->scratch_size (s)
           : QF_T (conv_u8s8_scratch_size) (s);
}

void
qf_conv_u8s8_s32_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, int32_t *acc, int row0, int row1, void *scratch)
{
  const Family *f = family (s);

  if (f && row0 < row1)
    f->run (s, x, x_zero, packed, (QfConvOut){ .acc = acc, .c1 = s->out_c },
        row0, row1, scratch);
  else
    QF_T (conv_u8s8_s32) (s, x, x_zero, packed, acc, row0, row1, scratch);
}

void
qf_conv_u8s8_grain_avx2 (
    const QfConvShape *s, const QfRequant *r, int *rows, int *channels)
{
  const Family *f = family (s);

  if (f && qf_codes_avx2_can (r, s->out_c))
    f->grain (s, rows, channels);
  else
    QF_T (conv_u8s8_grain) (s, r, rows, channels);
}

/* The table on @pixels' channels @c0 … @c1 − 1 of @c. */
static void
look_up (const uint8_t *table, uint8_t *y, size_t pixels, int c, int c0, int c1)
{
  if (c0 == 0 && c1 == c) {
    QF_T (lookup_u8) (y, table, y, pixels * (size_t) c);
    return;
  }
  for (size_t i = 0; i < pixels; i++, y += c)
    QF_T (lookup_u8) (y + c0, table, y + c0, (size_t) (c1 - c0));
}

void
qf_conv_u8s8_u8_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, uint8_t *y, int row0, int row1,
    int c0, int c1, void *scratch)
{
  const Family *f = family (s);

  if (!f || row0 >= row1 || !qf_codes_avx2_can (r, s->out_c)) {
    QF_T (conv_by_sums)
    (s, x, x_zero, packed, r, y, row0, row1, scratch, qf_conv_u8s8_s32_avx2);
    return;
  }
  f->run (s, x, x_zero, packed,
      (QfConvOut){ .r = r, .y = y, .c0 = c0, .c1 = c1 }, row0, row1, scratch);
  if (r->table)
    look_up (r->table, y, (size_t) (row1 - row0) * s->out_w, s->out_c, c0, c1);
}
