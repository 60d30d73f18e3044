/* libqfuse: large pictures are analysed smaller.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each pixel is the mean of a square of k by k; up to k − 1 columns and rows at
 * the right and lower edge are left out, what touches there reaches the edge.
 */
#include "vision/motion-private.h"

#include <string.h>

#define MOST_WIDTH 1280
#define LEAST_HEIGHT 240 /* of a picture that is reduced */

int
qf_motion_reduction (int width, int height, gboolean reduce)
{
  int k = (width + MOST_WIDTH - 1) / MOST_WIDTH;

  return reduce && height >= LEAST_HEIGHT * k ? k : 1;
}

void
qf_motion_reduce_init (
    QfMotionReduce *r, int width, int height, gboolean reduce)
{
  int k = qf_motion_reduction (width, height, reduce);

  *r = (QfMotionReduce){ .k = k,
    .width = width,
    .height = height,
    .to_width = width / k,
    .to_height = height / k };
  if (k == 1)
    return;
  r->sums = g_new (guint16, width);
  r->luma = g_malloc ((gsize) r->to_width * r->to_height);
  r->mask = g_malloc0 ((gsize) width * height);
}

void
qf_motion_reduce_clear (QfMotionReduce *r)
{
  g_clear_pointer (&r->sums, g_free);
  g_clear_pointer (&r->luma, g_free);
  g_clear_pointer (&r->mask, g_free);
}

static void
halve_row (const guint8 *restrict a, const guint8 *restrict b, int width,
    guint8 *restrict to)
{
  for (int x = 0; x < width; x++)
    to[x] =
        (guint8) ((a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1] + 2) >> 2);
}

static void
add_row (const guint8 *restrict row, int width, guint16 *restrict sums)
{
  for (int x = 0; x < width; x++)
    sums[x] = (guint16) (sums[x] + row[x]);
}

/* Sums of k ≤ 26 rows to means of k columns. */
static void
mean_row (const guint16 *sums, int k, int width, guint8 *to)
{
  const guint32 half = (guint32) (k * k / 2);
  const guint32 factor = (1u << 24) / (guint32) (k * k);

  for (int x = 0; x < width; x++) {
    guint32 sum = half;

    for (int i = 0; i < k; i++)
      sum += sums[x * k + i];
    to[x] = (guint8) MIN (((guint64) sum * (factor + 1)) >> 24, 255);
  }
}

const guint8 *
qf_motion_reduce (QfMotionReduce *r, const guint8 *luma, gssize stride)
{
  const int k = r->k;

  for (int y = 0; y < r->to_height; y++) {
    const guint8 *from = luma + (gssize) y * k * stride;
    guint8 *to = r->luma + (gsize) y * r->to_width;

    if (k == 2) {
      halve_row (from, from + stride, r->to_width, to);
      continue;
    }
    memset (r->sums, 0, (gsize) r->width * sizeof (guint16));
    for (int i = 0; i < k; i++)
      add_row (from + i * stride, r->width, r->sums);
    mean_row (r->sums, k, r->to_width, to);
  }
  return r->luma;
}

const guint8 *
qf_motion_reduce_mask (QfMotionReduce *r, const guint8 *mask, gboolean any)
{
  const int k = r->k;

  if (!any) {
    if (r->any)
      memset (r->mask, 0, (gsize) r->width * r->height);
    r->any = FALSE;
    return r->mask;
  }
  r->any = TRUE;
  for (int y = 0; y < r->height; y++) {
    const guint8 *from = mask + (gsize) (y / k) * r->to_width;
    guint8 *to = r->mask + (gsize) y * r->width;

    if (y / k >= r->to_height)
      from -= r->to_width;
    if (y % k > 0 && y > 0) {
      memcpy (to, to - r->width, (gsize) r->width);
      continue;
    }
    for (int x = 0; x < r->to_width; x++)
      for (int i = 0; i < k; i++)
        to[x * k + i] = from[x];
    for (int x = r->to_width * k; x < r->width; x++)
      to[x] = from[r->to_width - 1];
  }
  return r->mask;
}

void
qf_motion_reduce_blob (const QfMotionReduce *r, QfMotionBlob *b)
{
  gboolean right = b->x + b->w == r->to_width;
  gboolean low = b->y + b->h == r->to_height;

  *b = (QfMotionBlob){ .x = b->x * r->k,
    .y = b->y * r->k,
    .w = b->w * r->k,
    .h = b->h * r->k,
    .area = b->area * r->k * r->k };
  if (right)
    b->w = r->width - b->x;
  if (low)
    b->h = r->height - b->y;
}
