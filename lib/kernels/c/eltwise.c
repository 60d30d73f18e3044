/* libqfuse: operators on single elements.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/c/eltwise.h"
#include "kernels/c/round.h"

#include <math.h>

void
QF_T (add_u8) (
    const QfAddU8 *p, const uint8_t *a, const uint8_t *b, uint8_t *y, size_t n)
{
  float lo = (float) (p->lo - p->zero_y), hi = (float) (p->hi - p->zero_y);
  float sa = p->scale_a, sb = p->scale_b, sy = p->scale_y;
  int za = p->zero_a, zb = p->zero_b, zy = p->zero_y;

  for (size_t i = 0; i < n; i++) {
    float v = sa * (float) (a[i] - za) + sb * (float) (b[i] - zb);

    y[i] = qf_to_code (v / sy, lo, hi, zy);
  }
}

void
QF_T (mul_u8) (
    const QfAddU8 *p, const uint8_t *a, const uint8_t *b, uint8_t *y, size_t n)
{
  float lo = (float) (p->lo - p->zero_y), hi = (float) (p->hi - p->zero_y);
  float sa = p->scale_a, sb = p->scale_b, sy = p->scale_y;
  int za = p->zero_a, zb = p->zero_b, zy = p->zero_y;

  for (size_t i = 0; i < n; i++) {
    float v = (sa * (float) (a[i] - za)) * (sb * (float) (b[i] - zb));

    y[i] = qf_to_code (v / sy, lo, hi, zy);
  }
}

void
QF_T (lookup_u8) (const uint8_t *x, const uint8_t *table, uint8_t *y, size_t n)
{
  for (size_t i = 0; i < n; i++)
    y[i] = table[x[i]];
}

void
QF_T (quantize_f32_u8) (
    const QfQuantize *q, const float *x, uint8_t *y, size_t n)
{
  float lo = (float) (q->lo - q->zero), hi = (float) (q->hi - q->zero);
  float scale = q->scale;
  int zero = q->zero;

  for (size_t i = 0; i < n; i++)
    y[i] = qf_to_code (x[i] / scale, lo, hi, zero);
}

void
QF_T (dequantize_u8_f32) (
    const uint8_t *x, float scale, int zero, float *y, size_t n)
{
  for (size_t i = 0; i < n; i++)
    y[i] = scale * (float) (x[i] - zero);
}

void
QF_T (add_f32) (
    const float *a, const float *b, float lo, float hi, float *y, size_t n)
{
  for (size_t i = 0; i < n; i++)
    y[i] = qf_clip (a[i] + b[i], lo, hi);
}

void
QF_T (affine_f32) (const float *x, const float *mult, const float *add,
    float lo, float hi, float *y, int pixels, int channels)
{
  for (int p = 0; p < pixels; p++)
    for (int c = 0; c < channels; c++) {
      size_t i = (size_t) p * channels + c;
      float v = mult ? x[i] * mult[c] : x[i];

      y[i] = qf_clip (add ? v + add[c] : v, lo, hi);
    }
}

void
QF_T (sigmoid_f32) (const float *x, float *y, size_t n)
{
  for (size_t i = 0; i < n; i++)
    y[i] = 1.0f / (1.0f + expf (-x[i]));
}
