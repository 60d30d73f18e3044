/* libqfuse: the sensor's noise, and dead bands that follow it.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * In every cell of the grid some rows are compared with the picture before.
 * The mean of |d| there follows its own median over time in small steps
 * (sigma-delta), so what passes through now and then does not raise it. */
#include "vision/motion-private.h"

#include <string.h>

#define FRACTION 8    /* bits of a level's fraction */
#define MAX_LEVEL 64  /* grey levels: noise beyond is none */
#define SAMPLE_STEP 4 /* every fourth row, the third of each four */
#define LEAST_SHIFT 2 /* so that every cell has a sampled row */

void
qf_motion_grid_init (QfMotionGrid *g, int width, int height, int least_shift)
{
  /* 120 to 240 cells a row from 240 to 3840 pixels */
  int shift = width <= 480 ? 1 : width <= 960 ? 2 : width <= 1920 ? 3 : 4;

  shift = MAX (shift, least_shift);
  *g = (QfMotionGrid){ .width = width,
    .height = height,
    .shift = shift,
    .size = 1 << shift,
    .cols = (width + (1 << shift) - 1) >> shift,
    .rows = (height + (1 << shift) - 1) >> shift };
}

void
qf_motion_grid_add (
    const guint8 *restrict row, int cols, int shift, guint16 *restrict sums)
{
  switch (shift) { /* loops of a constant length */
    case 1:
      for (int c = 0; c < cols; c++)
        sums[c] = (guint16) (sums[c] + row[2 * c] + row[2 * c + 1]);
      break;
    case 2:
      for (int c = 0; c < cols; c++)
        for (int k = 0; k < 4; k++)
          sums[c] = (guint16) (sums[c] + row[4 * c + k]);
      break;
    case 3:
      for (int c = 0; c < cols; c++)
        for (int k = 0; k < 8; k++)
          sums[c] = (guint16) (sums[c] + row[8 * c + k]);
      break;
    default:
      for (int c = 0; c < cols; c++)
        for (int k = 0; k < 16; k++)
          sums[c] = (guint16) (sums[c] + row[16 * c + k]);
  }
}

static inline int
sampled_rows (const QfMotionGrid *g)
{
  return (g->height + SAMPLE_STEP - 3) / SAMPLE_STEP;
}

void
qf_motion_noise_init (QfMotionNoise *n, int width, int height)
{
  QfMotionGrid g;
  gsize cells;

  qf_motion_grid_init (&g, width, height, LEAST_SHIFT);
  cells = (gsize) g.cols * g.rows;
  *n = (QfMotionNoise){ .grid = g,
    .last = g_malloc0 (MAX ((gsize) width * sampled_rows (&g), 1)),
    .row = g_malloc0 ((gsize) g.cols << g.shift),
    .sums = g_new (guint16, g.cols),
    .level = g_new0 (guint16, cells),
    .band = g_malloc0 (cells) };
}

void
qf_motion_noise_clear (QfMotionNoise *n)
{
  g_clear_pointer (&n->last, g_free);
  g_clear_pointer (&n->row, g_free);
  g_clear_pointer (&n->sums, g_free);
  g_clear_pointer (&n->level, g_free);
  g_clear_pointer (&n->band, g_free);
}

void
qf_motion_noise_reset (QfMotionNoise *n)
{
  n->known = FALSE;
}

static void
distance_row (const guint8 *restrict a, const guint8 *restrict b, int width,
    guint8 *restrict d)
{
  for (int x = 0; x < width; x++)
    d[x] = MAX (a[x], b[x]) - MIN (a[x], b[x]);
}

/* Sums of |now − before| over the sampled pixels of a row of cells (≤ 4 rows of
 * 16 pixels). Returns how many rows were sampled. */
static int
measure_cells (QfMotionNoise *n, const guint8 *luma, gssize stride, int row)
{
  const QfMotionGrid *g = &n->grid;
  int sampled = 0;

  memset (n->sums, 0, (gsize) g->cols * sizeof (guint16));
  for (int y = (row << g->shift) + 2;
       y < MIN ((row + 1) << g->shift, g->height); y += SAMPLE_STEP) {
    distance_row (luma + (gssize) y * stride,
        n->last + (gsize) (y / SAMPLE_STEP) * g->width, g->width, n->row);
    qf_motion_grid_add (n->row, g->cols, g->shift, n->sums);
    sampled++;
  }
  return sampled;
}

static guint16
median_of (const guint16 *v, gsize n)
{
  guint32 bins[(MAX_LEVEL << FRACTION) / 16 + 1] = { 0 }, seen = 0;
  guint i;

  for (gsize k = 0; k < n; k++)
    bins[v[k] / 16]++;
  for (i = 0; i < G_N_ELEMENTS (bins) - 1; i++) {
    seen += bins[i];
    if (2 * seen >= n)
      break;
  }
  return (guint16) (i * 16);
}

static inline guint16
follow (guint16 level, int measured)
{
  int step = 8 + (level >> 5);

  if (measured > level)
    return (guint16) MIN (level + step, measured);
  return (guint16) MAX (level - step, measured);
}

static void
measure (QfMotionNoise *n, const guint8 *luma, gssize stride)
{
  const QfMotionGrid *g = &n->grid;
  gsize cells = (gsize) g->cols * g->rows;

  for (int row = 0; row < g->rows; row++) {
    int sampled = measure_cells (n, luma, stride, row);
    guint16 *level = n->level + (gsize) row * g->cols;

    for (int col = 0; col < g->cols; col++) {
      int w = MIN (g->size, g->width - (col << g->shift));
      int a = sampled > 0 ? (n->sums[col] << FRACTION) / (sampled * w)
                          : n->median; /* a rest of two rows at most */

      a = MIN (a, MAX_LEVEL << FRACTION);
      level[col] = n->measured ? follow (level[col], a) : (guint16) a;
    }
  }
  n->median = median_of (n->level, cells);
  if (!n->measured) /* what moves in the first picture is no noise */
    for (gsize i = 0; i < cells; i++)
      n->level[i] = n->median;
  n->measured = TRUE;
}

void
qf_motion_noise_push (
    QfMotionNoise *n, const guint8 *luma, gssize stride, gboolean learn)
{
  const QfMotionGrid *g = &n->grid;
  gboolean same = TRUE;

  for (int y = 2; y < g->height && same; y += SAMPLE_STEP)
    same = memcmp (n->last + (gsize) (y / SAMPLE_STEP) * g->width,
               luma + (gssize) y * stride, (size_t) g->width) == 0;
  if (n->known && same) /* a repeated picture says nothing */
    return;
  if (n->known && learn)
    measure (n, luma, stride);
  for (int y = 2; y < g->height; y += SAMPLE_STEP)
    memcpy (n->last + (gsize) (y / SAMPLE_STEP) * g->width,
        luma + (gssize) y * stride, (size_t) g->width);
  n->known = TRUE;
}

double
qf_motion_noise_sigma (const QfMotionNoise *n)
{
  /* mean |d| of normal noise is 2/√π standard deviations of one picture */
  return n->median / (double) (1 << FRACTION) * 0.886227;
}

void
qf_motion_noise_bands (QfMotionNoise *n, double factor, int least)
{
  /* standard deviation of a difference = √(π/2) · mean |d| */
  const guint32 f = (guint32) (factor * 1.253314 * 256);
  gsize cells = (gsize) n->grid.cols * n->grid.rows;
  guint32 bins[256] = { 0 }, seen = 0;
  guint i;

  for (gsize k = 0; k < cells; k++) {
    guint32 level = MAX (n->level[k], n->median / 2);
    guint32 t = (level * f) >> (8 + FRACTION);

    n->band[k] = (guint8) CLAMP (t, (guint32) least, 255);
    bins[n->band[k]]++;
  }
  for (i = 0; i < 255; i++) {
    seen += bins[i];
    if (2 * seen >= cells)
      break;
  }
  n->median_band = (int) i;
}
