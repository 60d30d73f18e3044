/* libqfuse: int8 convolution of parts of an output.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A part's input, borders included, is copied to a patch, of which all of the
 * output is wanted. 1x1 windows of many parts become one row. */
#include "kernels/c/conv.h"

#include <string.h>

enum
{
  UNIT = 2,                       /* less computes less, but in more calls */
  POINTS = QF_PART_H * QF_PART_W, /* of a row of 1x1 windows */
  ALIGN = 64
};

static int
is_point (const QfConvShape *s)
{
  return s->kernel_h == 1 && s->kernel_w == 1;
}

static int
inputs (int outputs, int stride, int kernel, int dilation)
{
  return (outputs - 1) * stride + (kernel - 1) * dilation + 1;
}

/* The shape by which @h × @w outputs are made of a patch. */
static QfConvShape
patch_shape (const QfConvShape *s, int h, int w)
{
  QfConvShape p = *s;

  p.out_h = h;
  p.out_w = w;
  p.in_h = inputs (h, s->stride_h, s->kernel_h, s->dilation_h);
  p.in_w = inputs (w, s->stride_w, s->kernel_w, s->dilation_w);
  p.pad_top = p.pad_left = 0;
  return p;
}

static size_t
patch_size (const QfConvShape *s)
{
  QfConvShape p = is_point (s) ? patch_shape (s, 1, POINTS)
                               : patch_shape (s, QF_PART_H, QF_PART_W);

  return ((size_t) p.in_h * p.in_w * p.in_c + ALIGN - 1) / ALIGN * ALIGN;
}

size_t
QF_T (conv_patches_size) (
    const QfConvShape *s, size_t (*scratch_size) (const QfConvShape *s))
{
  int rows = is_point (s) ? 1 : QF_PART_H;
  int columns = is_point (s) ? POINTS : QF_PART_W;
  size_t most = 0;

  for (int h = 1; h <= rows; h++)
    for (int w = 1; w <= columns; w++) {
      QfConvShape p = patch_shape (s, h, w);
      size_t size = scratch_size (&p);

      most = size > most ? size : most;
    }
  return patch_size (s) + most;
}

/* @n pixels of input row @iy from column @ix on, @step columns apart both here
 * and there; x_zero where there are none. */
static void
copy_pixels (const QfConvShape *s, const uint8_t *x, int x_zero, int iy, int ix,
    int step, int n, uint8_t *to)
{
  size_t c = (size_t) s->in_c;
  const uint8_t *row = x + (size_t) (iy < 0 ? 0 : iy) * s->in_w * c;
  int all = iy >= 0 && iy < s->in_h && ix >= 0 &&
      ix + (int64_t) (n - 1) * step < s->in_w;

  if (all && step == 1) {
    memcpy (to, row + (size_t) ix * c, (size_t) n * c);
    return;
  }
  for (int i = 0; i < n; i++, ix += step, to += (size_t) step * c)
    if (iy < 0 || iy >= s->in_h || ix < 0 || ix >= s->in_w)
      memset (to, x_zero, c);
    else
      memcpy (to, row + (size_t) ix * c, c);
}

/* As many windows as fit a row at a time. */
static void
by_points (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, const QfPart *parts, int n,
    uint8_t *y, void *scratch, QfConvU8 conv)
{
  size_t pixel = (size_t) s->stride_w * s->in_c;
  uint8_t *patch = scratch, *rest = patch + patch_size (s);
  QfConvShape p;
  int have = 0;

  for (int i = 0; i < n; i++)
    for (int oy = parts[i].y; oy < parts[i].y + parts[i].h; oy++) {
      if (have + parts[i].w > POINTS) {
        p = patch_shape (s, 1, have);
        conv (&p, patch, x_zero, packed, r, y, 0, 1, 0, s->out_c, rest);
        y += (size_t) have * s->out_c;
        have = 0;
      }
      copy_pixels (s, x, x_zero, oy * s->stride_h - s->pad_top,
          parts[i].x * s->stride_w - s->pad_left, s->stride_w, parts[i].w,
          patch + (size_t) have * pixel);
      have += parts[i].w;
    }
  p = patch_shape (s, 1, have);
  if (have > 0)
    conv (&p, patch, x_zero, packed, r, y, 0, 1, 0, s->out_c, rest);
}

void
QF_T (conv_by_patches) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, const QfPart *parts, int n,
    uint8_t *y, void *scratch, QfConvU8 conv)
{
  uint8_t *patch = scratch, *rest = patch + patch_size (s);

  if (is_point (s)) {
    by_points (s, x, x_zero, packed, r, parts, n, y, scratch, conv);
    return;
  }
  for (int i = 0; i < n; i++) {
    QfConvShape p = patch_shape (s, parts[i].h, parts[i].w);
    int iy = parts[i].y * s->stride_h - s->pad_top;
    int ix = parts[i].x * s->stride_w - s->pad_left;

    for (int row = 0; row < p.in_h; row++)
      copy_pixels (s, x, x_zero, iy + row, ix, 1, p.in_w,
          patch + (size_t) row * p.in_w * s->in_c);
    conv (&p, patch, x_zero, packed, r, y, 0, p.out_h, 0, s->out_c, rest);
    y += (size_t) parts[i].h * parts[i].w * s->out_c;
  }
}

int
QF_T (conv_u8s8_parts_unit) (
    const QfConvShape *s, const QfRequant *r, int pixels)
{
  (void) r;
  (void) pixels;
  return is_point (s) ? 1 : UNIT;
}

size_t
QF_T (conv_u8s8_parts_scratch_size) (const QfConvShape *s)
{
  return QF_T (conv_patches_size) (s, QF_T (conv_u8s8_scratch_size));
}

void
QF_T (conv_u8s8_u8_parts) (const QfConvShape *s, const uint8_t *x, int x_zero,
    const void *packed, const QfRequant *r, const QfPart *parts, int n,
    uint8_t *y, void *scratch)
{
  QF_T (conv_by_patches)
  (s, x, x_zero, packed, r, parts, n, y, scratch, QF_T (conv_u8s8_u8));
}
