/* libqfuse: int8 3x3 convolution by Winograd's F(4x4, 3x3), exact.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * 4x4 outputs are made of 6x6 inputs with 36 products instead of 144 (Lavin and
 * Gray, "Fast algorithms for convolutional neural networks", 2015; points 0,
 * ±1, ±2, ∞), in whole numbers: the transformed input fits 16 bits as it is,
 * the weights' transform is scaled so that it has no fractions, and the
 * results are multiples of 9 times a power of two, by which they are divided
 * modulo 2^32. Ranges: docs/numerics.md (16).
 *
 * Included once an instruction set, behind the steps: qf_wino_input(),
 * qf_wino_multiply(), qf_wino_output() and qf_wino_store(), on QfWinoVec,
 * vectors of QF_WINO_LANES sums, and QfWinoCodes. QF_WINO_X: tiles multiplied
 * together, QF_WINO_Y: output channels of a block, QF_WINO_IN: in_c is a
 * multiple of it, QF_WINO_BYTES: of what is between the steps, QF_WINO_WORTH:
 * is_worth_it(). */
#include "kernels/x86/conv.h"

#include <stdlib.h>
#include <string.h>

enum
{
  OUT = 4,
  IN = 6,
  AREA = IN * IN,
  CHUNK_MOST = QF_WINO_BYTES / (AREA * (2 * QF_WINO_IN + 4 * QF_WINO_Y)),
  PAD = 64,    /* bytes, so that the 36 are not in the same sets */
  HEADER = 64, /* of packed weights */
  WEIGHTS_MAX = (1 << 25) / 255 /* Σ|w|: every sum is within ±2^25 */
};

typedef struct
{
  int across, chunk;     /* tiles: in a row of them, taken together */
  size_t v_step, m_step; /* elements from one of the 36 to the next */
} Sizes;

static Sizes
sizes_of (const QfConvShape *s)
{
  Sizes z;
  int tile = AREA * (2 * s->in_c + 4 * QF_WINO_Y); /* bytes */
  int most = QF_WINO_BYTES / tile / QF_WINO_X * QF_WINO_X, all;

  z.across = (s->out_w + OUT - 1) / OUT;
  all = z.across * ((s->out_h + OUT - 1) / OUT);
  all = (all + QF_WINO_X - 1) / QF_WINO_X * QF_WINO_X;
  z.chunk = most < QF_WINO_X ? QF_WINO_X : most < all ? most : all;
  z.v_step = (size_t) z.chunk * s->in_c + PAD / sizeof (int16_t);
  z.m_step = (size_t) z.chunk * QF_WINO_Y + PAD / sizeof (int32_t);
  return z;
}

/* Whatever the size of the output, so that a part of it can be made by itself
 * with the same weights. */
int
QF_WINO (can) (const QfConvShape *s)
{
  return s->groups == 1 && s->kernel_h == 3 && s->kernel_w == 3 &&
      s->stride_h == 1 && s->stride_w == 1 && s->dilation_h == 1 &&
      s->dilation_w == 1 && s->in_c % QF_WINO_IN == 0 &&
      s->in_c >= QF_WINO_IN && s->in_c <= 1024 && s->out_c >= QF_WINO_Y;
}

/* Where the products of @rows rows, what sticks out of the output counted, are
 * less than that share of the direct kernel's. */
static int
is_worth_it (const QfConvShape *s, int rows)
{
  int64_t tiles =
      ((int64_t) s->out_w + OUT - 1) / OUT * (((int64_t) rows + OUT - 1) / OUT);
  int64_t oc = (s->out_c + QF_WINO_Y - 1) / QF_WINO_Y * QF_WINO_Y;

  return (double) (tiles * AREA * oc) <
      QF_WINO_WORTH * (double) (9 * (int64_t) s->out_w * rows * s->out_c);
}

static size_t
weights_size (const QfConvShape *s)
{
  size_t oc = ((size_t) s->out_c + QF_WINO_Y - 1) / QF_WINO_Y * QF_WINO_Y;

  return oc * AREA * (size_t) s->in_c * sizeof (int16_t);
}

/* Where the transformed weights begin, behind those of the direct kernel. */
static size_t
weights_at (const QfConvShape *s)
{
  return HEADER + (QF_WINO_DENSE (packed_size) (s) + 63) / 64 * 64;
}

size_t
QF_WINO (packed_size) (const QfConvShape *s)
{
  return weights_at (s) + weights_size (s);
}

/* Transformed input, 36 products of a chunk, a border pixel. */
size_t
QF_WINO (scratch_size) (const QfConvShape *s)
{
  Sizes z = sizes_of (s);
  size_t dense = QF_WINO_DENSE (scratch_size) (s);
  size_t own = AREA * (z.v_step * sizeof (int16_t) + z.m_step * 4) + s->in_c;

  return own > dense ? own : dense;
}

void
QF_WINO (grain) (const QfConvShape *s, int *rows, int *channels)
{
  (void) s;
  *rows = OUT;
  *channels = QF_WINO_Y;
}

static int
fits (const QfConvShape *s, const int8_t *w)
{
  for (int o = 0; o < s->out_c; o++) {
    int32_t sum = 0; /* at most 9·1024·127 */

    for (int i = 0; i < 9 * s->in_c; i++)
      sum += abs (*w++);
    if (sum > WEIGHTS_MAX)
      return 0;
  }
  return 1;
}

enum
{
  PACK =
      2 * QF_WINO_Y /* weights transformed at a time: those of one input pair */
};

/* The rows of 24·G but for factors that output_1d() has; of PACK weights each.
 * Twice in a row they stay within 49·127 < 2^15. */
static void
weights_1d (const int16_t (*restrict g)[PACK], int step,
    int16_t (*restrict u)[PACK], int u_step)
{
  for (int i = 0; i < PACK; i++) {
    int16_t a = g[0][i], b = g[step][i], c = g[2 * step][i];

    u[0][i] = (int16_t) (6 * a);
    u[u_step][i] = (int16_t) (a + b + c);
    u[2 * u_step][i] = (int16_t) (a - b + c);
    u[3 * u_step][i] = (int16_t) (a + 2 * b + 4 * c);
    u[4 * u_step][i] = (int16_t) (a - 2 * b + 4 * c);
    u[5 * u_step][i] = (int16_t) (6 * c);
  }
}

/* Inputs @c and @c + 1 of outputs @o and on: [36][16 channels][2], @plane
 * elements apart. */
static void
pack_pair (const QfConvShape *s, const int8_t *w, int o, int c, int16_t *to,
    size_t plane)
{
  int16_t g[9][PACK] = { { 0 } }, half[IN * 3][PACK], u[AREA][PACK];

  for (int i = 0; i < PACK; i++) {
    int out = o + i / 2, in = c + i % 2;
    const int8_t *from = w + ((size_t) out * s->in_c + in) * 9;

    for (int k = 0; k < 9 && out < s->out_c && in < s->in_c; k++)
      g[k][i] = from[k];
  }
  for (int x = 0; x < 3; x++)
    weights_1d ((const int16_t (*)[PACK]) (g + x), 3, half + x, 3);
  for (int y = 0; y < IN; y++)
    weights_1d ((const int16_t (*)[PACK]) (half + 3 * y), 1, u + IN * y, 1);
  for (int i = 0; i < AREA; i++)
    memcpy (to + (size_t) i * plane, u[i], sizeof u[i]);
}

/* A flag whether the weights fit, those of the direct kernel, then
 * [block][36][pairs][16 channels][2]. */
void
QF_WINO (pack) (const QfConvShape *s, const int8_t *w, void *packed)
{
  uint8_t *bytes = packed;
  int16_t *p = (int16_t *) (bytes + weights_at (s));
  size_t plane = (size_t) s->in_c * QF_WINO_Y;
  int32_t flag = fits (s, w);

  memset (packed, 0, weights_at (s));
  memcpy (packed, &flag, sizeof flag);
  QF_WINO_DENSE (pack) (s, w, bytes + HEADER);
  if (!flag) {
    memset (p, 0, weights_size (s));
    return;
  }
  for (int o = 0; o < s->out_c; o += QF_WINO_Y)
    for (int c = 0; c < s->in_c; c += 2)
      pack_pair (s, w, o, c,
          p + (size_t) (o / QF_WINO_Y) * AREA * plane + (size_t) c * QF_WINO_Y,
          plane);
}

/* 4x4 outputs or what there is of them. */
typedef struct
{
  int y, x, rows, columns;
  size_t at, row; /* elements of what is made: the first, from row to row */
} Tile;

/* What one call works on. */
typedef struct
{
  const QfConvShape *s;
  Sizes z;
  const uint8_t *x, *border;
  int x_zero;
  const int16_t *w;
  QfConvOut out;
  QfWinoCodes codes;
  int16_t *v;
  int32_t *m;
  Tile *tiles; /* of the chunk */
  int n;
} Job;

/* Tile @i of the chunk. */
static void
transform_input (const Job *j, int i)
{
  const QfConvShape *s = j->s;
  int iy = j->tiles[i].y - s->pad_top, ix = j->tiles[i].x - s->pad_left;
  const uint8_t *pixel[AREA];

  for (int y = 0; y < IN; y++)
    for (int x = 0; x < IN; x++)
      pixel[y * IN + x] =
          iy + y < 0 || iy + y >= s->in_h || ix + x < 0 || ix + x >= s->in_w
          ? j->border
          : j->x + ((size_t) (iy + y) * s->in_w + (size_t) (ix + x)) * s->in_c;
  qf_wino_input (
      pixel, s->in_c, j->x_zero, j->v + (size_t) i * s->in_c, j->z.v_step);
}

/* Products of the chunk with one block of weights: all 36, one by one. */
static void
multiply (const Job *j, const int16_t *w)
{
  size_t ic = (size_t) j->s->in_c;

  for (int a = 0; a < AREA; a++, w += ic * QF_WINO_Y)
    qf_wino_multiply (j->v + (size_t) a * j->z.v_step, ic, w, j->n,
        j->m + (size_t) a * j->z.m_step);
}

/* Channels @o … of tile @i of the chunk. */
static void
transform_output (
    const Job *j, int i, int o, const float *mult, const int32_t *start)
{
  const QfConvShape *s = j->s;
  const Tile *t = &j->tiles[i];

  for (int h = 0; h < QF_WINO_Y && o + h < s->out_c; h += QF_WINO_LANES) {
    QfWinoVec sums[OUT * OUT];
    size_t at = t->at + (size_t) (o + h);
    int left = s->out_c - o - h;
    int channels = left < QF_WINO_LANES ? left : QF_WINO_LANES;

    qf_wino_output (j->m + (size_t) i * QF_WINO_Y + h, j->z.m_step, sums);
    for (int y = 0; y < t->rows; y++, at += t->row)
      if (j->out.acc)
        for (int x = 0; x < t->columns; x++)
          memcpy (j->out.acc + at + (size_t) x * s->out_c, &sums[OUT * y + x],
              (size_t) channels * sizeof (int32_t));
      else
        qf_wino_store (&j->codes, sums + OUT * y, mult + h, start + h,
            j->out.y + at, (size_t) s->out_c, t->columns, channels);
  }
}

static void
block (const Job *j, int o)
{
  float mult[QF_WINO_Y] = { 0 };
  int32_t start[QF_WINO_Y] = { 0 };

  for (int i = 0; j->out.r && i < QF_WINO_Y && o + i < j->s->out_c; i++) {
    mult[i] = j->out.r->mult[o + i];
    start[i] = j->out.r->bias ? j->out.r->bias[o + i] : 0;
  }
  multiply (j, j->w + (size_t) o * AREA * j->s->in_c);
  for (int i = 0; i < j->n; i++)
    transform_output (j, i, o, mult, start);
}

static void
chunk (const Job *j)
{
  for (int i = 0; i < j->n; i++)
    transform_input (j, i);
  for (int o = j->out.c0; o < j->out.c1; o += QF_WINO_Y)
    block (j, o);
}

/* @tiles: room for a chunk of them. */
static Job
job (const QfConvShape *s, const uint8_t *x, int x_zero, const void *packed,
    QfConvOut out, Tile *tiles, void *scratch)
{
  const uint8_t *bytes = packed;
  Job j = { .s = s,
    .z = sizes_of (s),
    .x = x,
    .x_zero = x_zero,
    .w = (const int16_t *) (bytes + weights_at (s)),
    .out = out,
    .tiles = tiles };

  if (out.r)
    j.codes = qf_codes_new (out.r);
  j.m = scratch;
  j.v = (int16_t *) (j.m + AREA * j.z.m_step);
  j.border = memset (j.v + AREA * j.z.v_step, x_zero, (size_t) s->in_c);
  return j;
}

/* The tile at @y, @x of an area that ends at @y1, @x1; its results are element
 * @at on. */
static Tile
tile (int y, int x, int y1, int x1, size_t at, size_t row)
{
  return (Tile){ y, x, y1 - y < OUT ? y1 - y : OUT, x1 - x < OUT ? x1 - x : OUT,
    at, row };
}

static int
is_direct (const void *packed)
{
  int32_t flag;

  memcpy (&flag, packed, sizeof flag);
  return !flag;
}

void
QF_WINO_RUN (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch)
{
  size_t pixel = (size_t) s->out_c, row = (size_t) s->out_w * pixel;
  Tile tiles[CHUNK_MOST];
  int all, each;
  Job j;

  if (is_direct (packed) || !is_worth_it (s, row1 - row0)) {
    QF_WINO_DENSE_RUN (s, x, x_zero, (const uint8_t *) packed + HEADER, out,
        row0, row1, scratch);
    return;
  }
  j = job (s, x, x_zero, packed, out, tiles, scratch);
  all = (row1 - row0 + OUT - 1) / OUT * j.z.across;
  /* equal chunks: a short one costs as much reading of weights as a long one */
  each = (all + j.z.chunk - 1) / j.z.chunk;
  each = (all + each - 1) / each;
  each = (each + QF_WINO_X - 1) / QF_WINO_X * QF_WINO_X;
  for (int t = 0; t < all; t += each) {
    j.n = all - t < each ? all - t : each;
    for (int i = 0; i < j.n; i++) {
      int oy = (t + i) / j.z.across * OUT, ox = (t + i) % j.z.across * OUT;

      tiles[i] = tile (row0 + oy, ox, row1, s->out_w,
          (size_t) oy * row + (size_t) ox * pixel, row);
    }
    chunk (&j);
  }
}
