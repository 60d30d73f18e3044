/* libqfuse: int8 3x3 convolution by Winograd's F(4x4, 3x3), exact, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * 4x4 outputs are made of 6x6 inputs with 36 products instead of 144 (Lavin and
 * Gray, "Fast algorithms for convolutional neural networks", 2015; points 0,
 * ±1, ±2, ∞), in whole numbers: the transformed input fits 16 bits as it is,
 * the weights' transform is scaled so that it has no fractions, and the
 * results are multiples of 9 times a power of two, by which they are divided
 * modulo 2^32. Ranges: docs/numerics.md (16). */
#include "kernels/x86/tile_avx2.h"
#include "kernels/x86/wino_avx2.h"

#include <stdlib.h>

enum
{
  OUT = 4,
  IN = 6,
  AREA = IN * IN,
  CHUNK_BYTES = 300 * 1024, /* of what is between the steps: L2 has 512 KiB */
  CHUNK_MOST = CHUNK_BYTES / (AREA * (2 * 16 + 4 * QF_TILE_Y)), /* tiles */
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
  int tile = AREA * (2 * s->in_c + 4 * QF_TILE_Y); /* bytes */
  int most = CHUNK_BYTES / tile / QF_TILE_X * QF_TILE_X, all;

  z.across = (s->out_w + OUT - 1) / OUT;
  all = z.across * ((s->out_h + OUT - 1) / OUT);
  all = (all + QF_TILE_X - 1) / QF_TILE_X * QF_TILE_X;
  z.chunk = most < QF_TILE_X ? QF_TILE_X : most < all ? most : all;
  z.v_step = (size_t) z.chunk * s->in_c + PAD / sizeof (int16_t);
  z.m_step = (size_t) z.chunk * QF_TILE_Y + PAD / sizeof (int32_t);
  return z;
}

/* Whatever the size of the output, so that a part of it can be made by itself
 * with the same weights. */
int
qf_conv_wino_avx2_can (const QfConvShape *s)
{
  return s->groups == 1 && s->kernel_h == 3 && s->kernel_w == 3 &&
      s->stride_h == 1 && s->stride_w == 1 && s->dilation_h == 1 &&
      s->dilation_w == 1 && s->in_c % 16 == 0 && s->in_c >= 16 &&
      s->in_c <= 1024 && s->out_c >= QF_TILE_Y;
}

/* Where it saves a third of the products of @rows rows, what sticks out of the
 * output counted. */
static int
is_worth_it (const QfConvShape *s, int rows)
{
  int64_t tiles =
      ((int64_t) s->out_w + OUT - 1) / OUT * (((int64_t) rows + OUT - 1) / OUT);
  int64_t oc = (s->out_c + QF_TILE_Y - 1) / QF_TILE_Y * QF_TILE_Y;

  return 3 * tiles * AREA * oc < 2 * 9 * (int64_t) s->out_w * rows * s->out_c;
}

static size_t
weights_size (const QfConvShape *s)
{
  size_t oc = ((size_t) s->out_c + QF_TILE_Y - 1) / QF_TILE_Y * QF_TILE_Y;

  return oc * AREA * (size_t) s->in_c * sizeof (int16_t);
}

/* Where the transformed weights begin, behind those of the direct kernel. */
static size_t
weights_at (const QfConvShape *s)
{
  return HEADER + (qf_conv_dense_avx2_packed_size (s) + 63) / 64 * 64;
}

size_t
qf_conv_wino_avx2_packed_size (const QfConvShape *s)
{
  return weights_at (s) + weights_size (s);
}

/* Transformed input, 36 products of a chunk, a border pixel. */
size_t
qf_conv_wino_avx2_scratch_size (const QfConvShape *s)
{
  Sizes z = sizes_of (s);
  size_t dense = qf_conv_dense_avx2_scratch_size (s);
  size_t own = AREA * (z.v_step * sizeof (int16_t) + z.m_step * 4) + s->in_c;

  return own > dense ? own : dense;
}

void
qf_conv_wino_avx2_grain (const QfConvShape *s, int *rows, int *channels)
{
  (void) s;
  *rows = OUT;
  *channels = QF_TILE_Y;
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
  PACK = 2 * QF_TILE_Y /* weights transformed at a time: those of one input pair */
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
qf_conv_wino_avx2_pack (const QfConvShape *s, const int8_t *w, void *packed)
{
  uint8_t *bytes = packed;
  int16_t *p = (int16_t *) (bytes + weights_at (s));
  size_t plane = (size_t) s->in_c * QF_TILE_Y;
  int32_t flag = fits (s, w);

  memset (packed, 0, weights_at (s));
  memcpy (packed, &flag, sizeof flag);
  qf_conv_dense_avx2_pack (s, w, bytes + HEADER);
  if (!flag) {
    memset (p, 0, weights_size (s));
    return;
  }
  for (int o = 0; o < s->out_c; o += QF_TILE_Y)
    for (int c = 0; c < s->in_c; c += 2)
      pack_pair (s, w, o, c,
          p + (size_t) (o / QF_TILE_Y) * AREA * plane + (size_t) c * QF_TILE_Y,
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
  QfCodesAvx2 codes;
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
  qf_wino_input_avx2 (
      pixel, s->in_c, j->x_zero, j->v + (size_t) i * s->in_c, j->z.v_step);
}

/* Functions of their own, whose every register is the tile's. */
static __attribute__ ((noinline)) void
multiply_sixes (
    const int16_t *v, size_t ic, const int16_t *w, int n, int32_t *m)
{
  for (int i = 0; i + QF_TILE_X <= n; i += QF_TILE_X)
    qf_wino_multiply_avx2 (
        v + (size_t) i * ic, ic, w, QF_TILE_X, m + (size_t) i * QF_TILE_Y);
}

static __attribute__ ((noinline)) void
multiply_rest (const int16_t *v, size_t ic, const int16_t *w, int n, int32_t *m)
{
  qf_wino_multiply_avx2 (v, ic, w, n, m);
}

/* Products of the chunk with one block of weights: all 36, one by one. */
static void
multiply (const Job *j, const int16_t *w)
{
  size_t ic = (size_t) j->s->in_c;
  int rest = j->n % QF_TILE_X, sixes = j->n - rest;

  for (int a = 0; a < AREA; a++, w += ic * QF_TILE_Y) {
    const int16_t *v = j->v + (size_t) a * j->z.v_step;
    int32_t *m = j->m + (size_t) a * j->z.m_step;

    multiply_sixes (v, ic, w, sixes, m);
    if (rest > 0)
      multiply_rest (
          v + (size_t) sixes * ic, ic, w, rest, m + (size_t) sixes * QF_TILE_Y);
  }
}

/* Channels @o … of tile @i of the chunk. */
static void
transform_output (
    const Job *j, int i, int o, const float *mult, const int32_t *start)
{
  const QfConvShape *s = j->s;
  const Tile *t = &j->tiles[i];

  for (int h = 0; h < QF_TILE_Y && o + h < s->out_c; h += 8) {
    __m256i sums[OUT * OUT];
    size_t at = t->at + (size_t) (o + h);
    int channels = s->out_c - o - h < 8 ? s->out_c - o - h : 8;

    qf_wino_output_avx2 (j->m + (size_t) i * QF_TILE_Y + h, j->z.m_step, sums);
    for (int y = 0; y < t->rows; y++, at += t->row)
      if (j->out.acc)
        for (int x = 0; x < t->columns; x++)
          memcpy (j->out.acc + at + (size_t) x * s->out_c, &sums[OUT * y + x],
              (size_t) channels * sizeof (int32_t));
      else
        qf_wino_store_avx2 (&j->codes, sums + OUT * y, mult + h, start + h,
            j->out.y + at, (size_t) s->out_c, t->columns, channels);
  }
}

static void
block (const Job *j, int o)
{
  float mult[QF_TILE_Y] = { 0 };
  int32_t start[QF_TILE_Y] = { 0 };

  for (int i = 0; j->out.r && i < QF_TILE_Y && o + i < j->s->out_c; i++) {
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
  for (int o = j->out.c0; o < j->out.c1; o += QF_TILE_Y)
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
    j.codes = qf_codes_avx2_new (out.r);
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
qf_conv_wino_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, QfConvOut out, int row0, int row1, void *scratch)
{
  size_t pixel = (size_t) s->out_c, row = (size_t) s->out_w * pixel;
  Tile tiles[CHUNK_MOST];
  int all, each;
  Job j;

  if (is_direct (packed) || !is_worth_it (s, row1 - row0)) {
    qf_conv_dense_avx2 (s, x, x_zero, (const uint8_t *) packed + HEADER, out,
        row0, row1, scratch);
    return;
  }
  j = job (s, x, x_zero, packed, out, tiles, scratch);
  all = (row1 - row0 + OUT - 1) / OUT * j.z.across;
  /* equal chunks: a short one costs as much reading of weights as a long one */
  each = (all + j.z.chunk - 1) / j.z.chunk;
  each = (all + each - 1) / each;
  each = (each + QF_TILE_X - 1) / QF_TILE_X * QF_TILE_X;
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

size_t
qf_conv_wino_parts_avx2_scratch_size (const QfConvShape *s)
{
  size_t own = qf_conv_wino_avx2_scratch_size (s);
  size_t dense = qf_conv_dense_parts_avx2_scratch_size (s);

  return own > dense ? own : dense;
}

/* Tiles of all parts, chunk by chunk. */
void
qf_conv_wino_parts_avx2 (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, const QfPart *parts, int n,
    uint8_t *y, void *scratch)
{
  QfConvOut out = { .r = r, .y = y, .c1 = s->out_c };
  Tile tiles[CHUNK_MOST];
  size_t at = 0;
  int pixels = 0;
  Job j;

  for (int i = 0; i < n && pixels < QF_WINO_PIXELS; i++)
    pixels += parts[i].h * parts[i].w;
  if (is_direct (packed) || pixels < QF_WINO_PIXELS) {
    qf_conv_dense_parts_avx2 (s, x, x_zero, (const uint8_t *) packed + HEADER,
        r, parts, n, y, scratch);
    return;
  }
  j = job (s, x, x_zero, packed, out, tiles, scratch);
  for (int i = 0; i < n; i++) {
    const QfPart *p = &parts[i];
    size_t row = (size_t) p->w * s->out_c;

    for (int ty = 0; ty < p->h; ty += OUT)
      for (int tx = 0; tx < p->w; tx += OUT) {
        if (j.n == j.z.chunk) {
          chunk (&j);
          j.n = 0;
        }
        tiles[j.n++] = tile (p->y + ty, p->x + tx, p->y + p->h, p->x + p->w,
            at + (size_t) ty * row + (size_t) tx * s->out_c, row);
      }
    at += (size_t) p->h * row;
  }
  if (j.n > 0)
    chunk (&j);
}
