/* libqfuse: raw pictures and their luma.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** Raw formats, named as GStreamer names them. */
typedef enum
{
  QF_FORMAT_GRAY8,
  QF_FORMAT_I420, /* YV12, Y42B, Y444, NV12, NV21: their luma is the same plane */
  QF_FORMAT_YUY2,
  QF_FORMAT_UYVY,
  QF_FORMAT_RGB,
  QF_FORMAT_BGR,
  QF_FORMAT_RGBX, /* RGBA too */
  QF_FORMAT_BGRX,
  QF_FORMAT_XRGB,
  QF_FORMAT_XBGR,
  QF_FORMAT_I420_10LE, /* 10 bits in the low bits of 16 */
  QF_FORMAT_P010_10LE  /* 10 bits in the high bits of 16 */
} QfFormat;

typedef struct
{
  QfFormat format;
  int width, height;
  const guint8 *data; /**< first byte of the plane that holds luma (or RGB) */
  int stride;         /**< bytes a row of that plane */
  gboolean full_range; /**< YUV and grey whose Y spans 0 … 255 */
} QfImage;

/** Video-range BT.601 luma of @rows rows from @row0 on: the Y plane as it stands
 * (full range mapped to 16 … 235, 10 bits shifted to 8), RGB by an integer
 * matrix. Equations: docs/numerics.md. */
void qf_image_luma (const QfImage *image, int row0, int rows, guint8 *luma,
    int luma_stride);

/** Whether luma is a plane of @image as it stands. */
gboolean qf_image_is_luma (const QfImage *image);

G_END_DECLS
