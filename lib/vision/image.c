/* libqfuse: luma of raw pictures (docs/numerics.md, V1 to V3).
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vision/image.h"

#include "kernels/kernels.h"

#include <string.h>

static gboolean
is_rgb (QfFormat format)
{
  return format >= QF_FORMAT_RGB && format <= QF_FORMAT_XBGR;
}

/* Luma stands in a plane of bytes. */
static gboolean
is_plain (QfFormat format)
{
  return format == QF_FORMAT_GRAY8 || format == QF_FORMAT_I420;
}

gboolean
qf_image_is_luma (const QfImage *image)
{
  return is_plain (image->format) && !image->full_range;
}

static void
luma_row (const QfKernels *k, QfFormat format, const guint8 *p, gsize width,
    guint8 *luma)
{
  switch (format) {
    case QF_FORMAT_GRAY8:
    case QF_FORMAT_I420:
      memcpy (luma, p, width);
      break;
    case QF_FORMAT_YUY2:
      k->even_u8 (p, luma, width);
      break;
    case QF_FORMAT_UYVY:
    case QF_FORMAT_P010_10LE: /* the high byte is the 10 bits shifted to 8 */
      k->even_u8 (p + 1, luma, width);
      break;
    case QF_FORMAT_RGB:
      k->luma_rgb_u8 (p, 3, 0, 1, 2, luma, width);
      break;
    case QF_FORMAT_BGR:
      k->luma_rgb_u8 (p, 3, 2, 1, 0, luma, width);
      break;
    case QF_FORMAT_RGBX:
      k->luma_rgb_u8 (p, 4, 0, 1, 2, luma, width);
      break;
    case QF_FORMAT_BGRX:
      k->luma_rgb_u8 (p, 4, 2, 1, 0, luma, width);
      break;
    case QF_FORMAT_XRGB:
      k->luma_rgb_u8 (p, 4, 1, 2, 3, luma, width);
      break;
    case QF_FORMAT_XBGR:
      k->luma_rgb_u8 (p, 4, 3, 2, 1, luma, width);
      break;
    case QF_FORMAT_I420_10LE:
      k->ten_bits_u8 (p, luma, width);
      break;
  }
}

void
qf_image_luma (
    const QfImage *image, int row0, int rows, guint8 *luma, int luma_stride)
{
  const QfKernels *k = qf_kernels ();
  gsize width = (gsize) image->width;
  gboolean map = image->full_range && !is_rgb (image->format);

  for (int y = row0; y < row0 + rows; y++) {
    const guint8 *p = image->data + (gssize) y * image->stride;

    if (map && is_plain (image->format)) {
      k->luma_full_u8 (p, luma, width);
    } else {
      luma_row (k, image->format, p, width, luma);
      if (map)
        k->luma_full_u8 (luma, luma, width);
    }
    luma += luma_stride;
  }
}
