/* libqfuse: int8 convolution by families of shapes.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Included once an instruction set, behind its static const QfConvFamily
 * families[], the first that can do a shape does it, and PARTS (run), the same
 * on parts or NULL. What none of them can do, the plain C sources of QF_TIER
 * do.
 */
#include "kernels/c/conv.h"
#include "kernels/c/eltwise.h"
#include "kernels/x86/eltwise.h"

#ifdef QF_PORTABLE /* the processor need not have AVX2 */
#define LOOK_UP QF_T (lookup_u8)
#else
#define LOOK_UP qf_lookup_u8_avx2
#endif

/* Whether the hand-written ways to codes give what the reference gives: with
 * every |m| < 1 no product reaches 2^31, and biases within ±2^29 can be doubled
 * with their sums. docs/numerics.md (14), (19) */
static int
codes_can (const QfRequant *r, int channels)
{
  int ok = 1;

  for (int c = 0; c < channels; c++)
    ok &= (r->mult[c] < 1.0f) & (r->mult[c] > -1.0f);
  if (r->bias)
    for (int c = 0; c < channels; c++)
      ok &= (r->bias[c] < 1 << 29) & (r->bias[c] > -(1 << 29));
  return ok;
}

static const QfConvFamily *
family (const QfConvShape *s)
{
  for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
    if (families[i].can (s))
      return &families[i];
  return NULL;
}

static size_t
packed_size (const QfConvShape *s)
{
  const QfConvFamily *f = family (s);

  return f ? f->packed_size (s) : QF_T (conv_s8_packed_size) (s);
}

static void
pack (const QfConvShape *s, const int8_t *w, void *packed)
{
  const QfConvFamily *f = family (s);

  if (f)
    f->pack (s, w, packed);
  else
    QF_T (conv_s8_pack) (s, w, packed);
}

static size_t
packed_used (const QfConvShape *s, const void *packed)
{
  const QfConvFamily *f = family (s);

  return f && f->packed_used ? f->packed_used (s, packed) : packed_size (s);
}

/* Sums for conv_by_sums() first. */
static size_t
scratch_size (const QfConvShape *s)
{
  const QfConvFamily *f = family (s);

  return f ? QF_T (conv_sums_size) (s) + f->scratch_size (s)
           : QF_T (conv_u8s8_scratch_size) (s);
}

static void
conv_s32 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, int32_t *acc, int row0, int row1, void *scratch)
{
  const QfConvFamily *f = family (s);

  if (f && row0 < row1)
    f->run (s, x, x_zero, packed, (QfConvOut){ .acc = acc, .c1 = s->out_c },
        row0, row1, scratch);
  else
    QF_T (conv_u8s8_s32) (s, x, x_zero, packed, acc, row0, row1, scratch);
}

static void
grain (const QfConvShape *s, const QfRequant *r, int *rows, int *channels)
{
  const QfConvFamily *f = family (s);

  if (f && codes_can (r, s->out_c))
    f->grain (s, rows, channels);
  else
    QF_T (conv_u8s8_grain) (s, r, rows, channels);
}

/* The table on @pixels' channels @c0 … @c1 − 1 of @c. */
static void
look_up (const uint8_t *table, uint8_t *y, size_t pixels, int c, int c0, int c1)
{
  if (c0 == 0 && c1 == c) {
    LOOK_UP (y, table, y, pixels * (size_t) c);
    return;
  }
  for (size_t i = 0; i < pixels; i++, y += c)
    LOOK_UP (y + c0, table, y + c0, (size_t) (c1 - c0));
}

static void
conv_u8 (const QfConvShape *s, const uint8_t *x, int x_zero, const void *packed,
    const QfRequant *r, uint8_t *y, int row0, int row1, int c0, int c1,
    void *scratch)
{
  const QfConvFamily *f = family (s);

  if (!f || row0 >= row1 || !codes_can (r, s->out_c)) {
    QF_T (conv_by_sums)
    (s, x, x_zero, packed, r, y, row0, row1, scratch, conv_s32);
    return;
  }
  f->run (s, x, x_zero, packed,
      (QfConvOut){ .r = r, .y = y, .c0 = c0, .c1 = c1 }, row0, row1, scratch);
  if (r->table)
    look_up (r->table, y, (size_t) (row1 - row0) * s->out_w, s->out_c, c0, c1);
}

/* NULL: by patches. */
static const QfConvParts *
parts_of (const QfConvShape *s, const QfRequant *r)
{
  const QfConvFamily *f = family (s);

  return f && (!r || codes_can (r, s->out_c)) ? PARTS (f->run) : NULL;
}

static int
parts_unit (const QfConvShape *s, const QfRequant *r, int pixels)
{
  const QfConvParts *p = parts_of (s, r);

  if (!p)
    return QF_T (conv_u8s8_parts_unit) (s, r, pixels);
  return pixels < p->many ? 1 : p->unit;
}

static size_t
parts_scratch_size (const QfConvShape *s)
{
  const QfConvParts *p = parts_of (s, NULL);
  size_t own = p ? p->scratch_size (s) : 0;
  size_t patches = QF_T (conv_patches_size) (s, scratch_size);

  return own > patches ? own : patches;
}

static void
conv_parts (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, const QfPart *parts, int n,
    uint8_t *y, void *scratch)
{
  const QfConvParts *p = parts_of (s, r);
  size_t pixels = 0;

  if (!p) {
    QF_T (conv_by_patches)
    (s, x, x_zero, packed, r, parts, n, y, scratch, conv_u8);
    return;
  }
  p->parts (s, x, x_zero, packed, r, parts, n, y, scratch);
  for (int i = 0; r->table && i < n; i++)
    pixels += (size_t) parts[i].h * parts[i].w;
  if (r->table)
    look_up (r->table, y, pixels, s->out_c, 0, s->out_c);
}

static void
set_conv (QfKernels *k)
{
  k->conv_s8_packed_size = packed_size;
  k->conv_s8_pack = pack;
  k->conv_s8_packed_used = packed_used;
  k->conv_u8s8_scratch_size = scratch_size;
  k->conv_u8s8_s32 = conv_s32;
  k->conv_u8s8_grain = grain;
  k->conv_u8s8_u8 = conv_u8;
  k->conv_u8s8_parts_unit = parts_unit;
  k->conv_u8s8_parts_scratch_size = parts_scratch_size;
  k->conv_u8s8_u8_parts = conv_parts;
}
