/* libqfuse: gradients of dense 3x3 convolutions of stride 1 by Winograd's way.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * F(2x2, 3x3) transposed, 16 products a tile in place of 36: docs/numerics.md
 * (T10). The tiles' output gradients are transformed once for both gradients; the
 * 16 products of matrices run on a band of rows of tiles. The weight gradients
 * stay transformed until the images are summed. */
#include "train/convgrad-private.h"

#include <string.h>

enum
{
  LANES = QF_GRAD_LANES,
  PARTS = 16,                   /* of a transform */
  LEAST_PIXELS = 64,            /* less do not pay for the transforms */
  MOST_FLOATS = 1 << 20,        /* of a band's transforms: 4 MiB */
};

static gboolean
can (const QfConvPlan *p)
{
  const QfConvShape *s = p->s;

  return s->groups == 1 && s->kernel_h == 3 && s->kernel_w == 3
      && s->stride_h == 1 && s->stride_w == 1 && s->dilation_h == 1
      && s->dilation_w == 1 && s->in_c >= LANES && s->out_c >= LANES
      && s->out_h * s->out_w >= LEAST_PIXELS
      && s->pad_top + s->in_h <= s->out_h + 2
      && s->pad_left + s->in_w <= s->out_w + 2;
}

/* Floats of each buffer in the scratch memory. */
typedef struct
{
  gsize dy_rows, x_rows, dx_rows, dy, x, dx;
} Sizes;

static Sizes
sizes_of (const QfConvPlan *p)
{
  gsize tiles = (gsize) p->band * p->tiles_w;

  return (Sizes){ 2 * (gsize) p->dy_row * p->out_blocks, 4 * (gsize) p->x_row,
    (gsize) p->in_blocks * 4 * p->x_row,
    PARTS * LANES * tiles * p->out_blocks, PARTS * LANES * tiles * p->in_blocks,
    PARTS * LANES * tiles * p->in_blocks };
}

/* As many tiles that their transforms are as much memory as the weights, which
 * are read once and whose gradients are read and written once a band. */
void
qf_conv_wino_plan (QfConvPlan *p)
{
  gsize a_tile = PARTS * LANES * (gsize) (p->out_blocks + 2 * p->in_blocks);
  gsize weights = 3 * (gsize) PARTS * p->s->in_c * p->s->out_c;
  gsize band;
  Sizes z;

  if (!can (p))
    return;
  p->wino = TRUE;
  p->tiles_h = (p->s->out_h + 1) / 2;
  p->tiles_w = (p->s->out_w + 1) / 2;
  band = MIN (weights, (gsize) MOST_FLOATS) / a_tile / p->tiles_w;
  p->band = (int) CLAMP (band, 1, (gsize) p->tiles_h);
  p->dy_row = (ptrdiff_t) p->tiles_w * 2 * LANES;
  p->x_row = (ptrdiff_t) (p->tiles_w * 2 + 2) * LANES;
  p->packed = (gsize) PARTS * p->in_blocks * p->out_blocks * LANES * LANES;
  p->weights = (gsize) PARTS * p->out_blocks * p->in_c * LANES;
  z = sizes_of (p);
  p->scratch = z.dy_rows + z.x_rows + z.dx_rows + z.dy + z.x + z.dx;
}

/* G g of one row or column. */
static inline void
transform3 (const float *g, int step, float *to, int to_step)
{
  float sum = g[0] + g[2 * step];

  to[0] = g[0];
  to[to_step] = 0.5f * (sum + g[step]);
  to[2 * to_step] = 0.5f * (sum - g[step]);
  to[3 * to_step] = g[2 * step];
}

/* A task: G w Gᵀ of one output channel to [16][in block][out block][16 out]
 * [16 in]. */
static void
pack_channel (gpointer data, int o, int worker)
{
  QfConvBackward *bw = data;
  const QfConvPlan *p = &bw->plan;
  const float *w = bw->l->conv->real_weight + (gsize) o * p->k;
  gsize plane = p->packed / PARTS;

  for (int i = 0; i < p->in_c; i++) {
    float half[4][3], all[4][4];
    float *to = bw->w
        + (((gsize) (i / LANES) * p->out_blocks + o / LANES) * LANES
              + o % LANES) * LANES
        + i % LANES;

    for (int x = 0; x < 3; x++)
      transform3 (w + i + x * p->in_c, 3 * p->in_c, &half[0][x], 3);
    for (int y = 0; y < 4; y++) {
      transform3 (half[y], 1, all[y], 1);
      for (int x = 0; x < 4; x++)
        to[(4 * y + x) * plane] = all[y][x];
    }
  }
}

void
qf_conv_wino_pack (QfConvBackward *bw)
{
  const QfConvPlan *p = &bw->plan;
  ptrdiff_t plane = (ptrdiff_t) p->band * p->tiles_w * LANES;

  for (int c = 0; c < p->in_c; c++)
    bw->off[c] = c / LANES * plane + c % LANES;
  if (bw->want_input)
    qf_pool_run (bw->net->pool, pack_channel, bw, p->out_c);
}

/* Gᵀ m of one row or column. */
static inline void
weights3 (const float *m, int step, float *to, int to_step)
{
  float sum = 0.5f * (m[step] + m[2 * step]);

  to[0] = m[0] + sum;
  to[to_step] = 0.5f * (m[step] - m[2 * step]);
  to[2 * to_step] = sum + m[3 * step];
}

void
qf_conv_wino_weights (float m[16][QF_GRAD_LANES], float dw[9][QF_GRAD_LANES])
{
  for (int j = 0; j < LANES; j++) {
    float half[3][4];

    for (int x = 0; x < 4; x++)
      weights3 (&m[x][j], 4 * LANES, &half[0][x], 4);
    for (int y = 0; y < 3; y++)
      weights3 (half[y], 1, &dw[3 * y][j], LANES);
  }
}

/* An image, and its band of rows of tiles @t0 … @t1 − 1. */
typedef struct
{
  const QfConvBackward *bw;
  int image, t0, t1;
  ptrdiff_t plane;  /* of one block and part: [tile][16] */
  float *dy_rows;   /* [out block][2][dy_w][16] */
  float *x_rows;    /* [4][x_w][16] */
  float *dx_rows;   /* [in block][4][x_w][16]: sums that are not complete */
  float *dy;        /* [16][out block][tile][16] */
  float *x, *dx;    /* [16][in block][tile][16] */
} Band;

static float *
tile_row (const Band *b, float *t, int block, int ty)
{
  const QfConvPlan *p = &b->bw->plan;

  return t + block * b->plane + (ptrdiff_t) (ty - b->t0) * p->tiles_w * LANES;
}

static void
transform_row (const Band *b, int ty)
{
  const QfConvPlan *p = &b->bw->plan;
  const QfGradKernels *kern = b->bw->net->grad_kernels;

  for (int r = 0; r < 2; r++)
    qf_conv_dy_row (b->bw, b->image, 0, 2 * ty + r, b->dy_rows + r * p->dy_row,
        2 * p->dy_row);
  for (int o = 0; o < p->out_blocks; o++)
    kern->wino_dy_f32 (b->dy_rows + o * 2 * p->dy_row, p->dy_row, p->tiles_w,
        tile_row (b, b->dy, o, ty), b->plane * p->out_blocks);
  for (int i = 0; i < p->in_blocks; i++) {
    for (int r = 0; r < 4; r++)
      qf_conv_x_row (b->bw, b->image, 0, i, 2 * ty - p->s->pad_top + r,
          b->x_rows + r * p->x_row);
    kern->wino_x_f32 (b->x_rows, p->x_row, p->tiles_w,
        tile_row (b, b->x, i, ty), b->plane * p->in_blocks);
  }
}

/* The 16 products of both gradients. */
static void
products (const Band *b, QfGradTap *taps)
{
  const QfConvBackward *bw = b->bw;
  const QfConvPlan *p = &bw->plan;
  const QfGradKernels *kern = bw->net->grad_kernels;
  int tiles = (b->t1 - b->t0) * p->tiles_w;
  const QfGradArea area = { 1, tiles, 0, LANES, 0 };
  gsize panel = (gsize) p->out_blocks * LANES * LANES;
  float *dw = bw->weight_grads + (gsize) b->image * p->weights;

  for (int o = 0; o < p->out_blocks; o++)
    taps[o] = (QfGradTap){ o * b->plane, o * LANES * LANES };
  for (int part = 0; part < PARTS; part++) {
    const float *dy = b->dy + part * p->out_blocks * b->plane;
    ptrdiff_t at = part * p->in_blocks * b->plane;

    for (int o = 0; o < p->out_blocks; o++, dw += (gsize) p->in_c * LANES)
      kern->conv_dw_f32 (p->in_c, bw->off, b->x + at, &area, dy + o * b->plane,
          dw);
    for (int i = 0; bw->want_input && i < p->in_blocks; i++)
      kern->conv_dx_f32 (tiles, taps, p->out_blocks, LANES, dy,
          bw->w + ((gsize) part * p->in_blocks + i) * panel,
          b->dx + at + i * b->plane, LANES, LANES, 0);
  }
}

/* Input row @iy of block @block is complete. */
static void
put_row (const Band *b, int block, int iy, const float *row)
{
  const QfConvBackward *bw = b->bw;
  const QfConvShape *s = bw->plan.s;
  int n = MIN (LANES, s->in_c - block * LANES);
  float *to = bw->x->grad + ((gsize) b->image * s->in_h + iy) * s->in_w * s->in_c
      + block * LANES;

  if (iy < 0 || iy >= s->in_h)
    return;
  row += s->pad_left * LANES;
  for (int x = 0; x < s->in_w; x++, row += LANES, to += s->in_c)
    if (bw->add)
      for (int j = 0; j < n; j++)
        to[j] += row[j];
    else
      memcpy (to, row, sizeof (float) * n);
}

/* The tiles of a row, to the four input rows that they meet. */
static void
add_row (const Band *b, int ty)
{
  const QfConvPlan *p = &b->bw->plan;
  int iy = 2 * ty - p->s->pad_top;
  gsize two = 2 * (gsize) p->x_row;

  for (int i = 0; i < p->in_blocks; i++) {
    float *rows = b->dx_rows + (gsize) i * 2 * two;

    b->bw->net->grad_kernels->wino_dx_f32 (tile_row (b, b->dx, i, ty),
        b->plane * p->in_blocks, p->tiles_w, rows, p->x_row);
    for (int r = 0; r < (ty + 1 == p->tiles_h ? 4 : 2); r++)
      put_row (b, i, iy + r, rows + r * p->x_row);
    memcpy (rows, rows + two, sizeof (float) * two);
    memset (rows + two, 0, sizeof (float) * two);
  }
}

void
qf_conv_wino_image (gpointer data, int image, int worker)
{
  const QfConvBackward *bw = data;
  const QfConvPlan *p = &bw->plan;
  Sizes z = sizes_of (p);
  Band b = { bw, image };
  g_autofree QfGradTap *taps = g_new (QfGradTap, p->out_blocks);

  b.plane = (ptrdiff_t) p->band * p->tiles_w * LANES;
  b.dy_rows = bw->net->scratch[worker];
  b.x_rows = b.dy_rows + z.dy_rows;
  b.dx_rows = b.x_rows + z.x_rows;
  b.dy = b.dx_rows + z.dx_rows;
  b.x = b.dy + z.dy;
  b.dx = b.x + z.x;
  memset (b.dy_rows, 0, sizeof (float) * (z.dy_rows + z.x_rows + z.dx_rows));
  memset (bw->weight_grads + (gsize) image * p->weights, 0,
      sizeof (float) * p->weights);
  for (b.t0 = 0; b.t0 < p->tiles_h; b.t0 += p->band) {
    b.t1 = MIN (b.t0 + p->band, p->tiles_h);
    for (int ty = b.t0; ty < b.t1; ty++)
      transform_row (&b, ty);
    products (&b, taps);
    for (int ty = b.t0; bw->want_input && ty < b.t1; ty++)
      add_row (&b, ty);
  }
}
