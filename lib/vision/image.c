/* libqfuse: luma of raw pictures (docs/numerics.md, V1 to V3).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/image.h"

#include <string.h>

/* 219/255 · (0.299, 0.587, 0.114) · 2^15, rounded; their sum is that of the
 * exact ones, so that grey v has the luma of full-range grey v. */
#define LUMA_R 8414
#define LUMA_G 16520
#define LUMA_B 3208
#define LUMA_OFFSET ((16 << 15) + (1 << 14))

static void
step_row (const guint8 *restrict p, int width, int step, guint8 *restrict luma)
{
  for (int x = 0; x < width; x++)
    luma[x] = p[(gsize) x * step];
}

/* Inlined with constants: @step bytes a pixel, @r @g @b their places in it. */
static inline void
rgb_row (const guint8 *restrict p, int width, int step, int r, int g, int b,
    guint8 *restrict luma)
{
  for (int x = 0; x < width; x++) {
    const guint8 *q = p + (gsize) x * step;

    luma[x] = (guint8) ((LUMA_R * q[r] + LUMA_G * q[g] + LUMA_B * q[b] +
                            LUMA_OFFSET) >>
        15);
  }
}

static void
ten_bit_row (const guint8 *restrict p, int width, guint8 *restrict luma)
{
  for (int x = 0; x < width; x++)
    luma[x] = (guint8) (p[2 * x] >> 2 | p[2 * x + 1] << 6);
}

static void
full_to_video_row (guint8 *luma, int width)
{
  for (int x = 0; x < width; x++)
    luma[x] =
        (guint8) (((LUMA_R + LUMA_G + LUMA_B) * luma[x] + LUMA_OFFSET) >> 15);
}

static gboolean
is_rgb (QfFormat format)
{
  return format >= QF_FORMAT_RGB && format <= QF_FORMAT_XBGR;
}

static void
luma_row (QfFormat format, const guint8 *p, int width, guint8 *luma)
{
  switch (format) {
    case QF_FORMAT_GRAY8:
    case QF_FORMAT_I420:
      memcpy (luma, p, (gsize) width);
      break;
    case QF_FORMAT_YUY2:
      step_row (p, width, 2, luma);
      break;
    case QF_FORMAT_UYVY:
    case QF_FORMAT_P010_10LE: /* the high byte is the 10 bits shifted to 8 */
      step_row (p + 1, width, 2, luma);
      break;
    case QF_FORMAT_RGB:
      rgb_row (p, width, 3, 0, 1, 2, luma);
      break;
    case QF_FORMAT_BGR:
      rgb_row (p, width, 3, 2, 1, 0, luma);
      break;
    case QF_FORMAT_RGBX:
      rgb_row (p, width, 4, 0, 1, 2, luma);
      break;
    case QF_FORMAT_BGRX:
      rgb_row (p, width, 4, 2, 1, 0, luma);
      break;
    case QF_FORMAT_XRGB:
      rgb_row (p, width, 4, 1, 2, 3, luma);
      break;
    case QF_FORMAT_XBGR:
      rgb_row (p, width, 4, 3, 2, 1, luma);
      break;
    case QF_FORMAT_I420_10LE:
      ten_bit_row (p, width, luma);
      break;
  }
}

void
qf_image_luma (
    const QfImage *image, int row0, int rows, guint8 *luma, int luma_stride)
{
  gboolean map = image->full_range && !is_rgb (image->format);

  for (int y = row0; y < row0 + rows; y++) {
    luma_row (image->format, image->data + (gssize) y * image->stride,
        image->width, luma);
    if (map)
      full_to_video_row (luma, image->width);
    luma += luma_stride;
  }
}
