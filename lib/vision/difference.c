/* libqfuse: the arithmetic of difference planes (docs/numerics.md, V7 to V9).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/difference-private.h"

#include <string.h>

void
qf_difference_scratch_init (QfDifferenceScratch *s, int width)
{
  gsize row = (gsize) width + 16;

  s->memory = g_malloc0 (6 * row);
  for (int i = 0; i < 2; i++) {
    s->moving[i] = s->memory + i * row;
    s->block[i] = s->memory + (2 + i) * row;
  }
  s->magnitude = s->memory + 4 * row;
  s->negative = s->memory + 5 * row;
}

void
qf_difference_scratch_clear (QfDifferenceScratch *s)
{
  g_clear_pointer (&s->memory, g_free);
}

static void
magnitude_row (const guint8 *restrict now, const guint8 *restrict then,
    int width, guint8 *restrict magnitude, guint8 *restrict negative)
{
  for (int x = 0; x < width; x++) {
    guint8 hi = MAX (now[x], then[x]), lo = MIN (now[x], then[x]);

    magnitude[x] = (guint8) (hi - lo);
    negative[x] = now[x] < then[x] ? 0xff : 0;
  }
}

static void
moving_row (const guint8 *restrict now, const guint8 *restrict then, int width,
    guint8 threshold, guint8 *restrict moving)
{
  for (int x = 0; x < width; x++) {
    guint8 hi = MAX (now[x], then[x]), lo = MIN (now[x], then[x]);

    moving[x] = (guint8) (hi - lo) > threshold ? 0xff : 0;
  }
}

/* block[x + 1]: all four pixels of the 2x2 block with left top corner (x, y)
 * move. block[0] and block[width] stay 0: no block leaves the picture. */
static void
block_row (const guint8 *restrict above, const guint8 *restrict below,
    int width, guint8 *restrict block)
{
  for (int x = 0; x < width - 1; x++)
    block[x + 1] = above[x] & above[x + 1] & below[x] & below[x + 1];
}

static void
keep_row (const guint8 *restrict above, const guint8 *restrict below, int width,
    guint8 *restrict magnitude)
{
  for (int x = 0; x < width; x++)
    magnitude[x] &= above[x] | above[x + 1] | below[x] | below[x + 1];
}

/* v = clamp(128 + gain·d/2). gain·|d| ≤ 65025 fits 16 bits, its half plus 128
 * fits 15. */
static void
signed_row (const guint8 *restrict magnitude, const guint8 *restrict negative,
    int width, int gain, guint8 *restrict out)
{
  guint16 g = (guint16) gain;

  for (int x = 0; x < width; x++) {
    guint16 product = (guint16) (g * magnitude[x]);
    gint16 half = (gint16) (product >> 1);
    gint16 sign = (gint16) (gint8) negative[x];
    gint16 v = (gint16) (128 + ((half ^ sign) - sign));

    out[x] = (guint8) (v < 0 ? 0 : v > 255 ? 255 : v);
  }
}

/* v = clamp(gain·|d|) */
static void
absolute_row (
    const guint8 *restrict magnitude, int width, int gain, guint8 *restrict out)
{
  guint16 g = (guint16) gain;

  for (int x = 0; x < width; x++) {
    guint16 product = (guint16) (g * magnitude[x]);

    out[x] = (guint8) (product > 255 ? 255 : product);
  }
}

void
qf_difference (const guint8 *now, const guint8 *then, int width, int height,
    int threshold, QfDifferenceScratch *s, const QfDifferenceOut *outs, int n)
{
  if (threshold > 0) {
    moving_row (now, then, width, (guint8) threshold, s->moving[0]);
    memset (s->block[1], 0, (gsize) width + 1); /* row −1 */
    s->block[0][0] = s->block[0][width] = 0;
  }
  for (int y = 0; y < height; y++) {
    gsize at = (gsize) y * width;

    magnitude_row (now + at, then + at, width, s->magnitude, s->negative);
    if (threshold > 0) {
      guint8 *here = s->moving[y & 1], *next = s->moving[(y + 1) & 1];
      guint8 *block = s->block[y & 1], *last = s->block[(y + 1) & 1];

      if (y + 1 < height) {
        moving_row (now + at + width, then + at + width, width,
            (guint8) threshold, next);
        block_row (here, next, width, block);
      } else {
        memset (block, 0, (gsize) width + 1);
      }
      keep_row (last, block, width, s->magnitude);
    }
    for (int i = 0; i < n; i++) {
      if (outs[i].kind == 'M')
        absolute_row (s->magnitude, width, outs[i].gain, outs[i].out + at);
      else
        signed_row (
            s->magnitude, s->negative, width, outs[i].gain, outs[i].out + at);
    }
  }
}

void
qf_mean (const guint16 *restrict sum, int n, gsize size, guint8 *restrict then)
{
  /* s = sum + n/2 ≤ 255·250 + 125 < 2^16. With m = floor(2^16/n), n ≥ 2,
   * q = s·m >> 16 is floor(s/n) or one less: s/n − s·m/2^16 < s/2^16 < 1. */
  guint16 m = n > 1 ? (guint16) (65536 / n) : 0;
  guint16 half = (guint16) (n / 2), divisor = (guint16) n;

  if (n == 1) {
    for (gsize i = 0; i < size; i++)
      then[i] = (guint8) sum[i];
    return;
  }
  for (gsize i = 0; i < size; i++) {
    guint16 s = (guint16) (sum[i] + half);
    guint16 q = (guint16) (((guint32) s * m) >> 16);
    gint16 left = (gint16) (guint16) (s - q * divisor);

    then[i] = (guint8) (q + (left >= (gint16) divisor ? 1 : 0));
  }
}

void
qf_sum_add (guint16 *restrict sum, const guint8 *restrict picture, int times,
    gsize size)
{
  guint16 t = (guint16) times;

  for (gsize i = 0; i < size; i++)
    sum[i] = (guint16) (sum[i] + t * picture[i]);
}
