/* libqfuse: the arithmetic of difference planes (docs/numerics.md, V7 to V9).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/difference.h"

#include <string.h>

/* Rows of scratch: two of moving pixels, two of blocks, magnitude, sign. */
size_t
QF_T (difference_scratch_size) (int width)
{
  return 6 * ((size_t) width + 16);
}

static void
magnitude_row (const uint8_t *restrict now, const uint8_t *restrict then,
    int width, uint8_t *restrict magnitude, uint8_t *restrict negative)
{
  for (int x = 0; x < width; x++) {
    uint8_t hi = now[x] > then[x] ? now[x] : then[x],
            lo = now[x] < then[x] ? now[x] : then[x];

    magnitude[x] = (uint8_t) (hi - lo);
    negative[x] = now[x] < then[x] ? 0xff : 0;
  }
}

static void
moving_row (const uint8_t *restrict now, const uint8_t *restrict then,
    int width, uint8_t threshold, uint8_t *restrict moving)
{
  for (int x = 0; x < width; x++) {
    uint8_t hi = now[x] > then[x] ? now[x] : then[x],
            lo = now[x] < then[x] ? now[x] : then[x];

    moving[x] = (uint8_t) (hi - lo) > threshold ? 0xff : 0;
  }
}

/* block[x + 1]: all four pixels of the 2x2 block with left top corner (x, y)
 * move. block[0] and block[width] stay 0: no block leaves the picture. */
static void
block_row (const uint8_t *restrict above, const uint8_t *restrict below,
    int width, uint8_t *restrict block)
{
  for (int x = 0; x < width - 1; x++)
    block[x + 1] = above[x] & above[x + 1] & below[x] & below[x + 1];
}

static void
keep_row (const uint8_t *restrict above, const uint8_t *restrict below,
    int width, uint8_t *restrict magnitude)
{
  for (int x = 0; x < width; x++)
    magnitude[x] &= above[x] | above[x + 1] | below[x] | below[x + 1];
}

/* v = clamp(128 + gain·d/2). gain·|d| ≤ 65025 fits 16 bits, its half plus 128
 * fits 15. */
static void
signed_row (const uint8_t *restrict magnitude, const uint8_t *restrict negative,
    int width, int gain, uint8_t *restrict out)
{
  uint16_t g = (uint16_t) gain;

  for (int x = 0; x < width; x++) {
    uint16_t product = (uint16_t) (g * magnitude[x]);
    int16_t half = (int16_t) (product >> 1);
    int16_t sign = (int16_t) (int8_t) negative[x];
    int16_t v = (int16_t) (128 + ((half ^ sign) - sign));

    out[x] = (uint8_t) (v < 0 ? 0 : v > 255 ? 255 : v);
  }
}

/* v = clamp(gain·|d|) */
static void
absolute_row (const uint8_t *restrict magnitude, int width, int gain,
    uint8_t *restrict out)
{
  uint16_t g = (uint16_t) gain;

  for (int x = 0; x < width; x++) {
    uint16_t product = (uint16_t) (g * magnitude[x]);

    out[x] = (uint8_t) (product > 255 ? 255 : product);
  }
}

void
QF_T (difference_u8) (const QfDifference *d, const uint8_t *now,
    const uint8_t *then, void *scratch)
{
  int width = d->width;
  size_t row = (size_t) width + 16;
  uint8_t *rows = scratch, *moving[2] = { rows, rows + row };
  uint8_t *blocks[2] = { rows + 2 * row, rows + 3 * row };
  uint8_t *magnitude = rows + 4 * row, *negative = rows + 5 * row;
  uint8_t threshold = (uint8_t) d->threshold;

  memset (scratch, 0, 6 * row);
  if (threshold > 0)
    moving_row (now, then, width, threshold, moving[0]);
  for (int y = 0; y < d->height; y++) {
    size_t at = (size_t) y * width;

    magnitude_row (now + at, then + at, width, magnitude, negative);
    if (threshold > 0) {
      uint8_t *here = moving[y & 1], *next = moving[(y + 1) & 1];
      uint8_t *block = blocks[y & 1], *last = blocks[(y + 1) & 1];

      if (y + 1 < d->height) {
        moving_row (
            now + at + width, then + at + width, width, threshold, next);
        block_row (here, next, width, block);
      } else {
        memset (block, 0, (size_t) width + 1);
      }
      keep_row (last, block, width, magnitude);
    }
    for (int i = 0; i < d->n; i++) {
      const QfDifferencePlane *p = &d->planes[i];

      if (p->magnitude)
        absolute_row (magnitude, width, p->gain, p->out + at);
      else
        signed_row (magnitude, negative, width, p->gain, p->out + at);
    }
  }
}

void
QF_T (mean_u16_u8) (
    const uint16_t *restrict sum, int n, uint8_t *restrict then, size_t size)
{
  /* s = sum + n/2 ≤ 255·250 + 125 < 2^16. With m = floor(2^16/n), n ≥ 2,
   * q = s·m >> 16 is floor(s/n) or one less: s/n − s·m/2^16 < s/2^16 < 1. */
  uint16_t m = n > 1 ? (uint16_t) (65536 / n) : 0;
  uint16_t half = (uint16_t) (n / 2), divisor = (uint16_t) n;

  if (n == 1) {
    for (size_t i = 0; i < size; i++)
      then[i] = (uint8_t) sum[i];
    return;
  }
  for (size_t i = 0; i < size; i++) {
    uint16_t s = (uint16_t) (sum[i] + half);
    uint16_t q = (uint16_t) (((uint32_t) s * m) >> 16);
    int16_t left = (int16_t) (uint16_t) (s - q * divisor);

    then[i] = (uint8_t) (q + (left >= (int16_t) divisor ? 1 : 0));
  }
}

void
QF_T (add_times_u16) (uint16_t *restrict sum, const uint8_t *restrict picture,
    int times, size_t size)
{
  uint16_t t = (uint16_t) times;

  for (size_t i = 0; i < size; i++)
    sum[i] = (uint16_t) (sum[i] + t * picture[i]);
}
