/* libqfuse: by how many pixels the camera has turned.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Blocks on a lattice are laid over the reference at shifts of whole pixels.
 * Each block's sum of |d| counts in units of its own least one, so that one
 * with strong texture counts no more than others; the shift of the least total
 * holds if clearly more blocks fit better with it than without. What moves
 * before the camera fills fewer blocks than the scene does. As the reference
 * is not the picture before, a slow turn adds up until it is a pixel. */
#include "vision/motion-private.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 16
#define REACH QF_MOTION_CAMERA_REACH
#define SIDE (2 * REACH + 1)
#define PITCH (BLOCK + 2 * REACH)
#define MAX_BLOCKS 96
#define LOST 0.85 /* misfit of something else */
#define TEXTURE 0.5
#define LEAST_FIT 0.85 /* misfit of a shift, at most */
#define LEAST_BLOCKS 4 /* that have to tell of a shift */

typedef struct
{
  int x, y;
  guint32 sad[SIDE * SIDE];
  guint32 least;
  guint32 texture; /* |d| of the reference to itself a pixel beside */
} Block;

static guint32
block_distance (const guint8 *a, gssize a_stride, const guint8 *b)
{
  guint32 sum = 0;

  for (int y = 0; y < BLOCK; y++)
    for (int x = 0; x < BLOCK; x++)
      sum += (guint32) abs (a[(gssize) y * a_stride + x] - b[y * PITCH + x]);
  return sum;
}

/* The mean of the four |d| of a block of @ref to itself a pixel beside. */
static guint32
own_distance (const guint8 *ref)
{
  const guint8 *p = ref + REACH * PITCH + REACH;

  return (block_distance (p, PITCH, p - 1) + block_distance (p, PITCH, p + 1) +
             block_distance (p, PITCH, p - PITCH) +
             block_distance (p, PITCH, p + PITCH)) /
      4;
}

/* Sums of |d| at all shifts up to @reach. */
static void
measure_block (Block *b, const QfMotionPast *past, const guint8 *luma,
    gssize stride, int reach)
{
  guint8 ref[PITCH * PITCH];

  for (int y = REACH - reach; y < PITCH - REACH + reach; y++)
    for (int x = REACH - reach; x < PITCH - REACH + reach; x++)
      ref[y * PITCH + x] =
          qf_motion_past_at (past, b->x + x - REACH, b->y + y - REACH);
  b->texture = own_distance (ref);
  b->least = G_MAXUINT32;
  for (int sy = -reach; sy <= reach; sy++)
    for (int sx = -reach; sx <= reach; sx++) {
      guint32 d = block_distance (luma + (gssize) b->y * stride + b->x, stride,
          ref + (sy + REACH) * PITCH + sx + REACH);

      b->sad[(sy + REACH) * SIDE + sx + REACH] = d;
      b->least = MIN (b->least, d);
    }
}

static int
place_blocks (Block *blocks, const QfMotionPast *past, const guint8 *counts)
{
  int cols = CLAMP ((past->width - 2 * REACH) / (2 * BLOCK), 0, 12);
  int rows = CLAMP ((past->height - 2 * REACH) / (2 * BLOCK), 0, 8), n = 0;

  for (int r = 0; r < rows; r++)
    for (int c = 0; c < cols; c++) {
      int x = REACH + (past->width - 2 * REACH - BLOCK) * c / MAX (cols - 1, 1);
      int y =
          REACH + (past->height - 2 * REACH - BLOCK) * r / MAX (rows - 1, 1);

      if (counts && !counts[(gsize) (y + BLOCK / 2) * past->width + x + 8])
        continue;
      blocks[n].x = x;
      blocks[n++].y = y;
    }
  return n;
}

/* The shift of the least total up to @reach. */
static int
best_shift (const Block *blocks, int n, int reach, guint32 floor)
{
  int best = REACH * SIDE + REACH;
  double least = G_MAXDOUBLE;

  for (int sy = -reach; sy <= reach; sy++)
    for (int sx = -reach; sx <= reach; sx++) {
      int i = (sy + REACH) * SIDE + sx + REACH;
      double total = 0.001 * (abs (sx) + abs (sy));

      for (int k = 0; k < n; k++)
        total += MIN (
            (double) (blocks[k].sad[i] + floor) / (blocks[k].least + floor), 4);
      if (total < least) {
        least = total;
        best = i;
      }
    }
  return best;
}

static int
compare_doubles (const void *p, const void *q)
{
  const double *a = p, *b = q;

  return (*a > *b) - (*a < *b);
}

/* Over blocks that tell of a shift: their |d| at the one @at in units of that
 * one pixel beside. Well below a half: the reference fits; 1: it is of
 * something else. @n: those that have to tell, else 0. @texture: of the
 * reference, at least; what moves before something plain tells nothing of the
 * camera. */
static double
median_misfit (const Block *blocks, int n_blocks, int at, double texture,
    double noise, int n)
{
  const double beside_least = BLOCK * BLOCK * 4 * MAX (noise, 1);
  double share[MAX_BLOCKS];
  int k = 0;

  for (int i = 0; i < n_blocks; i++) {
    const guint32 *d = blocks[i].sad + at;
    double beside = (d[-1] + d[1] + d[-SIDE] + d[SIDE]) / 4.0;

    if (beside > beside_least && blocks[i].texture > texture * beside_least)
      share[k++] = d[0] / beside;
  }
  if (k < MAX (n, LEAST_BLOCKS))
    return 0;
  qsort (share, (size_t) k, sizeof (double), compare_doubles);
  return share[k / 2];
}

gboolean
qf_motion_camera (const QfMotionPast *past, const guint8 *luma, gssize stride,
    const guint8 *counts, double noise, QfMotionTurn *t)
{
  guint32 floor = (guint32) (BLOCK * BLOCK * MAX (noise, 1) * 0.5);
  const int none = REACH * SIDE + REACH;
  int n, best = none, better = 0, worse = 0;
  Block blocks[MAX_BLOCKS];

  *t = (QfMotionTurn){ 0 };
  n = place_blocks (blocks, past, counts);
  for (int reach = 1; reach <= REACH; reach += REACH - 1) {
    for (int i = 0; i < n; i++)
      measure_block (&blocks[i], past, luma, stride, reach);
    best = best_shift (blocks, n, reach, floor);
    if (reach == 1) {
      t->misfit = median_misfit (blocks, n, none, TEXTURE, noise, n / 8);
      t->lost = t->misfit > LOST ||
          median_misfit (blocks, n, none, 0, noise, n / 2) > LOST;
    }
    if (best == none)
      return FALSE;
  }
  /* a cut fits nowhere; beyond the reach it may fit better */
  if (abs (best % SIDE - REACH) == REACH ||
      abs (best / SIDE - REACH) == REACH ||
      median_misfit (blocks, n, best, TEXTURE, noise, 0) > LEAST_FIT)
    return FALSE;
  for (int i = 0; i < n; i++) {
    guint32 with = blocks[i].sad[best] + floor;
    guint32 without = blocks[i].sad[none] + floor;

    better += with + with / 4 < without;
    worse += without + without / 4 < with;
  }
  if (better < LEAST_BLOCKS || better < 2 * worse)
    return FALSE;
  t->dx = best % SIDE - REACH;
  t->dy = best / SIDE - REACH;
  return TRUE;
}
