/* libqfuse: an adaptive background of two levels a pixel.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each pixel has two levels with a weight each. A level that the picture
 * matches (within the dead band) gains weight and follows the picture as a
 * running average does; one it does not match loses weight, and slower. What
 * matches a level of enough weight is background. So what passes leaves no
 * trail, what stands still long enough becomes background, and when it goes,
 * the level behind it is still known. All state is bytes: a level is rounded at
 * random (the same for a whole picture), so that its mean moves by
 * learning_rate·d. */
#include "vision/motion-private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONFIRM 32 /* weight of background, at most */
#define MOST 247   /* largest weight, but for a last step */
#define HURRY 3    /* what weights change by while the camera moves */
#define DECAY 2    /* a weight falls at half the pace at which it grows */

void
qf_motion_background_init (QfMotionBackground *b, int width, int height)
{
  gsize size = (gsize) width * height;

  *b = (QfMotionBackground){ .width = width, .height = height };
  b->rows = g_malloc0 (5 * (gsize) width);
  for (int i = 0; i < 2; i++) {
    b->level[i] = g_malloc0 (size);
    b->weight[i] = g_malloc0 (size);
  }
}

void
qf_motion_background_clear (QfMotionBackground *b)
{
  for (int i = 0; i < 2; i++) {
    g_clear_pointer (&b->level[i], g_free);
    g_clear_pointer (&b->weight[i], g_free);
  }
  g_clear_pointer (&b->rows, g_free);
}

void
qf_motion_background_reset (QfMotionBackground *b)
{
  b->learned = 0;
}

void
qf_motion_background_set_rate (QfMotionBackground *b, double learning_rate)
{
  b->rate = learning_rate;
  b->absorb = (int) MIN (0.5 / MAX (learning_rate, 1e-6), 500000);
}

int
qf_motion_background_pictures (const QfMotionBackground *b)
{
  return CLAMP (MIN (b->learned, b->absorb), 1, 255);
}

gboolean
qf_motion_background_begin (QfMotionBackground *b)
{
  int n = b->learned;

  b->confirm = 1;
  if (b->rate > 0)
    b->confirm = (guint8) CLAMP (MIN (n / 3, b->absorb), 1, CONFIRM);
  b->tick =
      b->rate > 0 && (n < b->absorb || n % MAX (b->absorb / CONFIRM, 1) == 0);
  b->decay = b->tick && b->ticks % DECAY == 0;
  if (b->hurry && b->rate > 0)
    b->tick = b->decay = HURRY;
  /* |d| over a threshold drawn evenly from 0 to 1/rate moves the level by one:
   * with probability |d|·rate */
  b->step = 255;
  if (b->rate > 0) {
    double u = (double) (((guint32) n * 40503u) & 0xffff) / 65536;
    b->step = (guint8) MIN (floor (u / MAX (b->rate, 1.0 / (n + 1))), 255);
  }
  return n > 0;
}

static void
moving_row (const guint8 *restrict now, const guint8 *restrict band,
    const guint8 *restrict l0, const guint8 *restrict l1,
    const guint8 *restrict w0, const guint8 *restrict w1, int width,
    guint8 confirm, guint8 *restrict moving)
{
  for (int x = 0; x < width; x++) {
    guint8 d0 = MAX (now[x], l0[x]) - MIN (now[x], l0[x]);
    guint8 d1 = MAX (now[x], l1[x]) - MIN (now[x], l1[x]);
    guint8 off0 = (d0 > band[x] ? 0xff : 0) | (w0[x] < confirm ? 0xff : 0);
    guint8 off1 = (d1 > band[x] ? 0xff : 0) | (w1[x] < confirm ? 0xff : 0);

    moving[x] = off0 & off1;
  }
}

/* What is darker than a level of background by a shadow at most is still. */
static void
shadow_row (const guint8 *restrict now, const guint8 *restrict level,
    const guint8 *restrict weight, int width, guint8 confirm, guint16 shadow,
    guint8 *restrict moving)
{
  for (int x = 0; x < width; x++) {
    guint8 least = (guint8) (level[x] - (guint8) ((level[x] * shadow) >> 8));

    moving[x] &= (now[x] > level[x] ? 0xff : 0) | (now[x] < least ? 0xff : 0) |
        (weight[x] < confirm ? 0xff : 0);
  }
}

/* Least and largest of the levels in three rows. */
static void
range_row (const guint8 *above, const guint8 *here, const guint8 *below,
    int width, guint8 *restrict lo, guint8 *restrict hi)
{
  for (int x = 0; x < width; x++) {
    guint8 l = MIN (above[x], here[x]), h = MAX (above[x], here[x]);

    lo[x] = MIN (l, below[x]);
    hi[x] = MAX (h, below[x]);
  }
}

/* What lies between the levels around does not move. */
static void
between_row (const guint8 *restrict now, const guint8 *restrict band,
    const guint8 *restrict lo, const guint8 *restrict hi, int width,
    guint8 *restrict moving)
{
  for (int x = 1; x < width - 1; x++) {
    guint8 l = MIN (lo[x - 1], lo[x]), h = MAX (hi[x - 1], hi[x]);
    guint8 over, under;

    l = MIN (l, lo[x + 1]);
    h = MAX (h, hi[x + 1]);
    over = MAX (now[x], h) - h;
    under = l - MIN (now[x], l);
    moving[x] &= (over > band[x] ? 0xff : 0) | (under > band[x] ? 0xff : 0);
  }
}

static void
between (const QfMotionBackground *b, int y, const guint8 *now,
    const guint8 *band, guint8 *moving)
{
  gsize width = (gsize) b->width;
  guint8 *row[3], *lo = b->rows + 3 * width, *hi = lo + width;

  for (int i = 0; i < 3; i++)
    row[i] = b->rows + (gsize) ((y + i) % 3) * width;
  if (y == 0)
    qf_motion_background_row (b, 0, row[1]);
  if (y + 1 < b->height)
    qf_motion_background_row (b, y + 1, row[2]);
  range_row (y > 0 ? row[0] : row[1], row[1],
      y + 1 < b->height ? row[2] : row[1], b->width, lo, hi);
  between_row (now, band, lo, hi, b->width, moving);
}

void
qf_motion_background_moving (const QfMotionBackground *b, int y,
    const guint8 *now, const guint8 *band, int shadow, gboolean parts,
    guint8 *off, guint8 *moving)
{
  gsize at = (gsize) y * b->width;

  moving_row (now, band, b->level[0] + at, b->level[1] + at, b->weight[0] + at,
      b->weight[1] + at, b->width, b->confirm, off);
  memcpy (moving, off, (gsize) b->width);
  for (int i = 0; i < 2 && shadow > 0; i++)
    shadow_row (now, b->level[i] + at, b->weight[i] + at, b->width, b->confirm,
        (guint16) shadow, moving);
  if (!parts)
    memcpy (off, moving, (gsize) b->width);
  if (b->hurry)
    between (b, y, now, band, moving);
}

static inline int
level_at (const QfMotionBackground *b, int x, int y)
{
  gsize i = (gsize) CLAMP (y, 0, b->height - 1) * b->width +
      CLAMP (x, 0, b->width - 1);

  return b->level[b->weight[1][i] > b->weight[0][i]][i];
}

int
qf_motion_background_excess (
    const QfMotionBackground *b, int x, int y, int level)
{
  int lo = 255, hi = 0;

  for (int dy = -1; dy <= 1; dy++)
    for (int dx = -1; dx <= 1; dx++) {
      int l = level_at (b, x + dx, y + dy);

      lo = MIN (lo, l);
      hi = MAX (hi, l);
    }
  return MAX (level - hi, lo - level);
}

/* Levels that match follow. */
static void
follow_row (const guint8 *restrict now, const guint8 *restrict band,
    guint8 *restrict level, int width, guint8 step)
{
  for (int x = 0; x < width; x++) {
    guint8 up = now[x] > level[x] ? 1 : 0;
    guint8 d = MAX (now[x], level[x]) - MIN (now[x], level[x]);
    guint8 move = (d <= band[x] ? 0xff : 0) & (d > step ? 0xff : 0);
    guint8 change = up ? 1 : 0xff;

    level[x] = (guint8) (level[x] + (change & move));
  }
}

/* Weights, and a new level in the place of one without weight. */
static void
weigh_row (const guint8 *restrict now, const guint8 *restrict band,
    guint8 *restrict l0, guint8 *restrict l1, guint8 *restrict w0,
    guint8 *restrict w1, int width, guint8 tick, guint8 decay)
{
  for (int x = 0; x < width; x++) {
    guint8 d0 = MAX (now[x], l0[x]) - MIN (now[x], l0[x]);
    guint8 d1 = MAX (now[x], l1[x]) - MIN (now[x], l1[x]);
    guint8 in0 = d0 <= band[x] ? 0xff : 0;
    guint8 in1 = (guint8) ((d1 <= band[x] ? 0xff : 0) & ~in0);
    guint8 a = w0[x], c = w1[x];
    guint8 up0 = in0 & (a < MOST ? tick : 0), up1 = in1 & (c < MOST ? tick : 0);
    guint8 down0 = (guint8) (~in0 & MIN (a, decay));
    guint8 down1 = (guint8) (~in1 & MIN (c, decay));
    guint8 none = (guint8) ~(in0 | in1);
    guint8 take0 = none & (a == 0 ? 0xff : 0);
    guint8 take1 = (guint8) (none & ~take0 & (c == 0 ? 0xff : 0));

    w0[x] = (guint8) (a + up0 - down0 + (take0 & 1));
    w1[x] = (guint8) (c + up1 - down1 + (take1 & 1));
    l0[x] = (guint8) ((l0[x] & ~take0) | (now[x] & take0));
    l1[x] = (guint8) ((l1[x] & ~take1) | (now[x] & take1));
  }
}

void
qf_motion_background_learn (
    QfMotionBackground *b, int y, const guint8 *now, const guint8 *band)
{
  gsize at = (gsize) y * b->width, width = (gsize) b->width;

  if (b->learned == 0) {
    for (int i = 0; i < 2; i++) {
      memcpy (b->level[i] + at, now, width);
      memset (b->weight[i] + at, i == 0, width);
    }
    return;
  }
  if (b->step < 255)
    for (int i = 0; i < 2; i++)
      follow_row (now, band, b->level[i] + at, b->width, b->step);
  if (b->tick)
    weigh_row (now, band, b->level[0] + at, b->level[1] + at, b->weight[0] + at,
        b->weight[1] + at, b->width, b->tick, b->decay);
}

void
qf_motion_background_end (QfMotionBackground *b)
{
  b->ticks = b->learned == 0 ? 0 : b->ticks + b->tick;
  b->learned += b->learned < G_MAXINT32;
}

static void
then_row (const guint8 *restrict l0, const guint8 *restrict l1,
    const guint8 *restrict w0, const guint8 *restrict w1, int width,
    guint8 *restrict row)
{
  for (int x = 0; x < width; x++)
    row[x] = w1[x] > w0[x] ? l1[x] : l0[x];
}

void
qf_motion_background_row (const QfMotionBackground *b, int y, guint8 *row)
{
  gsize at = (gsize) y * b->width;

  then_row (b->level[0] + at, b->level[1] + at, b->weight[0] + at,
      b->weight[1] + at, b->width, row);
}

void
qf_motion_background_relight (QfMotionBackground *b, const guint8 light[256])
{
  gsize size = (gsize) b->width * b->height;

  for (int i = 0; i < 2; i++)
    for (gsize k = 0; k < size; k++)
      b->level[i][k] = light[b->level[i][k]];
}

static void
shift_plane (guint8 *plane, int width, int height, int dx, int dy)
{
  gsize n = (gsize) (width - abs (dx));

  for (int i = 0; i < height - abs (dy); i++) {
    int y = dy >= 0 ? i : height - 1 - i;

    memmove (plane + (gsize) y * width + MAX (-dx, 0),
        plane + (gsize) (y + dy) * width + MAX (dx, 0), n);
  }
}

/* Pixels @x0 … @x1 − 1 are background as they are. */
static void
fill_row (QfMotionBackground *b, int y, int x0, int x1, const guint8 *now)
{
  gsize at = (gsize) y * b->width + x0;

  if (x0 >= x1)
    return;
  memcpy (b->level[0] + at, now + x0, (gsize) (x1 - x0));
  memset (b->weight[0] + at, b->confirm, (gsize) (x1 - x0));
  memset (b->weight[1] + at, 0, (gsize) (x1 - x0));
}

void
qf_motion_background_shift (
    QfMotionBackground *b, int dx, int dy, const guint8 *luma, gssize stride)
{
  int x0 = MAX (-dx, 0), x1 = MIN (b->width, b->width - dx);
  int y0 = MAX (-dy, 0), y1 = MIN (b->height, b->height - dy);

  for (int i = 0; i < 2; i++) {
    shift_plane (b->level[i], b->width, b->height, dx, dy);
    shift_plane (b->weight[i], b->width, b->height, dx, dy);
  }
  for (int y = 0; y < b->height; y++) {
    gboolean whole = y < y0 || y >= y1;

    fill_row (b, y, whole || x0 > 0 ? 0 : x1, whole || x0 == 0 ? b->width : x0,
        luma + (gssize) y * stride);
  }
}
