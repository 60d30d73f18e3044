/* libqfuse: the kernel table: arithmetic on plain pointers.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * No GLib, no allocation, no threads in here: callers split rows over workers
 * and bring the scratch memory. Activations are NHWC (channels last), one image
 * a call. Equations and range proofs: docs/numerics.md. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** A convolution's shape. Channels are split into `groups` equal groups. */
typedef struct
{
  int in_h, in_w, in_c;
  int out_h, out_w, out_c;
  int kernel_h, kernel_w;
  int stride_h, stride_w;
  int pad_top, pad_left;
  int dilation_h, dilation_w;
  int groups;
} QfConvShape;

/** A rectangle of an output, at most QF_PART_H × QF_PART_W pixels. */
typedef struct
{
  int y, x, h, w;
} QfPart;

enum
{
  QF_PART_H = 16,
  QF_PART_W = 32
};

/** Requantization of int32 sums to uint8, by output channel:
 * y = clamp(rne((float)(acc + bias[c]) · mult[c]) + zero, lo, hi). */
typedef struct
{
  const int32_t *bias;  /* [channels] or NULL */
  const float *mult;    /* [channels], s_x·s_w / s_y in float32 */
  int zero;             /* 0 … 255 */
  int lo, hi;           /* codes, 0 ≤ lo ≤ hi ≤ 255 */
  const uint8_t *table; /* 256 entries applied last, or NULL */
} QfRequant;

/** Addition or multiplication of codes. */
typedef struct
{
  float scale_a, scale_b, scale_y;
  int zero_a, zero_b, zero_y;
  int lo, hi; /* codes, as in QfRequant */
} QfAddU8;

/** float32 to codes. */
typedef struct
{
  float scale;
  int zero;
  int lo, hi; /* codes, as in QfRequant */
} QfQuantize;

/** One direction of scaling: pixel i is Σ weight[i·taps + t]·src[first[i] + t]
 * over t < taps, divided by sum. */
typedef struct
{
  int src, dst;           /* pixels, 1 … 32767 */
  int taps;               /* first[i] + taps ≤ src */
  uint32_t sum;           /* of the weights of every pixel, ≤ 65534 */
  const uint16_t *first;  /* [dst] */
  const uint16_t *weight; /* [dst][taps] */
} QfScaleAxis;

/** Sums of 1 in both directions: a copy, taps 1 and first[i] = i. */
typedef struct
{
  QfScaleAxis x, y;
} QfScale;

/** A difference plane to be written. */
typedef struct
{
  int magnitude; /* 0: signed */
  int gain;      /* 1 … 255 */
  uint8_t *out;  /* [height][width] */
} QfDifferencePlane;

typedef struct
{
  int width, height;
  int threshold; /* dead band, 0 … 255 */
  int n;
  const QfDifferencePlane *planes; /* [n] */
} QfDifference;

typedef struct
{
  const char *name; /* "c", "avx2" … */

  /* int8 convolution ------------------------------------------------------ */

  /** Bytes that packed weights of @s take at most. */
  size_t (*conv_s8_packed_size) (const QfConvShape *s);

  /** Packs weights @w [out_c][in_c/groups][kernel_h][kernel_w] (ONNX order,
   * codes −127 … 127) for conv_u8s8_s32 and _u8. How does not depend on the
   * sizes of the input and the output, nor on the padding. */
  void (*conv_s8_pack) (const QfConvShape *s, const int8_t *w, void *packed);

  /** How many of these bytes conv_s8_pack has used: only the first ones of
   * @packed need to be kept. */
  size_t (*conv_s8_packed_used) (const QfConvShape *s, const void *packed);

  /** Bytes of scratch that one worker needs for conv_u8s8_s32 or _u8. */
  size_t (*conv_u8s8_scratch_size) (const QfConvShape *s);

  /** Output rows @row0 … @row1 − 1 of acc = Σ w·(x − x_zero), exact, padding
   * counting as x = x_zero. @x: the whole input [in_h][in_w][in_c]; @acc:
   * points at row @row0, [row1 − row0][out_w][out_c]. */
  void (*conv_u8s8_s32) (const QfConvShape *s, const uint8_t *x, int x_zero,
                         const void *packed, int32_t *acc, int row0, int row1,
                         void *scratch);

  /** How conv_u8s8_u8 of @s and @r may be divided: into multiples of *rows
   * rows, which is a matter of speed; and, where *channels is not 0, into
   * multiples of *channels output channels. */
  void (*conv_u8s8_grain) (const QfConvShape *s, const QfRequant *r, int *rows,
                           int *channels);

  /** conv_u8s8_s32, then requant_s32_u8, of output channels @c0 … @c1 − 1,
   * which are all of them or as conv_u8s8_grain has it: @y points at channel 0
   * of row @row0. */
  void (*conv_u8s8_u8) (const QfConvShape *s, const uint8_t *x, int x_zero,
                        const void *packed, const QfRequant *r, uint8_t *y,
                        int row0, int row1, int c0, int c1, void *scratch);

  /** Pixels a side of the squares of which parts of conv_u8s8_u8_parts are best
   * made where @pixels of the output are wanted, 1, 2 or 4: a matter of speed.
   */
  int (*conv_u8s8_parts_unit) (const QfConvShape *s, const QfRequant *r,
                               int pixels);

  /** Bytes of scratch for conv_u8s8_u8_parts. */
  size_t (*conv_u8s8_parts_scratch_size) (const QfConvShape *s);

  /** What conv_u8s8_u8 makes of @n parts of the output, one after another: the
   * first of @y's codes are part 0's, [h][w][out_c]. */
  void (*conv_u8s8_u8_parts) (const QfConvShape *s, const uint8_t *x,
                              int x_zero, const void *packed,
                              const QfRequant *r, const QfPart *parts, int n,
                              uint8_t *y, void *scratch);

  /** @pixels × @channels sums to codes. */
  void (*requant_s32_u8) (const QfRequant *r, const int32_t *acc, uint8_t *y,
                          int pixels, int channels);

  /* operators on codes ----------------------------------------------------- */

  /** @n codes: y = clamp(rne((s_a·(a − z_a) + s_b·(b − z_b)) / s_y) + z_y). */
  void (*add_u8) (const QfAddU8 *p, const uint8_t *a, const uint8_t *b,
                  uint8_t *y, size_t n);

  /** @n codes: y = clamp(rne((s_a·(a − z_a) · s_b·(b − z_b)) / s_y) + z_y). */
  void (*mul_u8) (const QfAddU8 *p, const uint8_t *a, const uint8_t *b,
                  uint8_t *y, size_t n);

  /** y[i] = table[x[i]], 256 entries; @x may be @y. */
  void (*lookup_u8) (const uint8_t *x, const uint8_t *table, uint8_t *y,
                     size_t n);

  /** y = clamp(rne(x / scale) + zero), lo … hi; NaN counts as −inf. */
  void (*quantize_f32_u8) (const QfQuantize *q, const float *x, uint8_t *y,
                           size_t n);

  /** y = scale · (float)(x − zero). */
  void (*dequantize_u8_f32) (const uint8_t *x, float scale, int zero, float *y,
                             size_t n);

  /** Sums of @pixels × @channels codes: sums[c] = Σ (x − x_zero), exact for
   * @pixels ≤ 2^23. */
  void (*sum_u8_s32) (const uint8_t *x, int x_zero, int32_t *sums, int pixels,
                      int channels);

  /** Output rows @row0 … @row1 − 1 of max pooling; @y points at row @row0.
   * Borders do not count; every window must hold at least one element. */
  void (*max_pool_u8) (const QfConvShape *s, const uint8_t *x, uint8_t *y,
                       int row0, int row1);

  /* float32 ---------------------------------------------------------------- */

  size_t (*conv_f32_packed_size) (const QfConvShape *s);
  void (*conv_f32_pack) (const QfConvShape *s, const float *w, void *packed);
  size_t (*conv_f32_scratch_size) (const QfConvShape *s);

  /** As conv_u8s8_s32, with 0 as padding: y = clip(bias[c] + Σ w·x, lo, hi),
   * the sum in the order kx, ky, channel. @bias may be NULL; @y points at row
   * @row0. */
  void (*conv_f32) (const QfConvShape *s, const float *x, const void *packed,
                    const float *bias, float lo, float hi, float *y, int row0,
                    int row1, void *scratch);

  /** y = clip(a + b, lo, hi). */
  void (*add_f32) (const float *a, const float *b, float lo, float hi, float *y,
                   size_t n);

  /** y = clip(x·mult[c] + add[c], lo, hi); @mult NULL: 1, @add NULL: 0. */
  void (*affine_f32) (const float *x, const float *mult, const float *add,
                      float lo, float hi, float *y, int pixels, int channels);

  /** y = 1 / (1 + e^−x). */
  void (*sigmoid_f32) (const float *x, float *y, size_t n);

  void (*max_pool_f32) (const QfConvShape *s, const float *x, float *y,
                        int row0, int row1);

  /** y[c] = (Σ x) / @pixels, the sum in the order of the pixels. */
  void (*mean_f32) (const float *x, float *y, int pixels, int channels);

  /* moving elements of @size 1 or 4 bytes ---------------------------------- */

  /** [rows][cols] to [cols][rows]: columns @col0 … @col1 − 1 of @x; @y points
   * at its row @col0. NCHW to NHWC: rows are channels, columns pixels. */
  void (*transpose) (const void *x, int rows, int cols, size_t size, void *y,
                     int col0, int col1);

  /** Nearest neighbour by whole factors: output rows @row0 … @row1 − 1 of
   * y[oy][ox] = x[oy / scale_h][ox / scale_w], @c channels; @y points at row
   * @row0. */
  void (*resize_nearest) (const void *x, int in_w, int c, size_t size,
                          int scale_h, int scale_w, void *y, int row0,
                          int row1);

  /* pictures: docs/numerics.md, "Luma, scaling, differences" ---------------- */

  /** Bytes that scale_u8 wants prepared of @s, 0: none. */
  size_t (*scale_packed_size) (const QfScale *s);
  void (*scale_pack) (const QfScale *s, void *packed);

  /** Bytes of scratch for scale_u8. */
  size_t (*scale_scratch_size) (const QfScale *s);

  /** Output rows @row0 … @row1 − 1 of a plane of bytes, (V4) to (V6), @row0 <
   * @row1. @src points at source row y.first[row0]; only rows that those rows
   * take are read. @dst points at row @row0. Strides in bytes. */
  void (*scale_u8) (const QfScale *s, const void *packed, const uint8_t *src,
                    ptrdiff_t src_stride, uint8_t *dst, ptrdiff_t dst_stride,
                    int row0, int row1, void *scratch);

  /** @n pixels of @step 3 or 4 bytes, R, G and B at the places @r, @g, @b in
   * them, to luma (V1): RGB, BGR, RGBx, BGRx, xRGB or xBGR. */
  void (*luma_rgb_u8) (const uint8_t *p, int step, int r, int g, int b,
                       uint8_t *luma, size_t n);

  /** @n full-range Y to video range (V2); @luma may be @y. */
  void (*luma_full_u8) (const uint8_t *y, uint8_t *luma, size_t n);

  /** y[i] = p[2i], i < n. Nothing behind p[2n − 2] is read. */
  void (*even_u8) (const uint8_t *p, uint8_t *y, size_t n);

  /** @n words of 16 bits, little-endian, of which 10 are used: y = word / 4. */
  void (*ten_bits_u8) (const uint8_t *p, uint8_t *y, size_t n);

  /** Bytes of scratch for difference_u8 of pictures @width wide. */
  size_t (*difference_scratch_size) (int width);

  /** d = @now − @then, [height][width] both, with dead band and opening, mapped
   * into the planes of @d: (V8), (V9). */
  void (*difference_u8) (const QfDifference *d, const uint8_t *now,
                         const uint8_t *then, void *scratch);

  /** then = (sum + divisor / 2) / divisor; sum ≤ 255·divisor, @divisor ≤ 250. */
  void (*mean_u16_u8) (const uint16_t *sum, int divisor, uint8_t *then,
                       size_t n);

  /** sum += times · p, modulo 2^16. */
  void (*add_times_u16) (uint16_t *sum, const uint8_t *p, int times, size_t n);
} QfKernels;

/** The table for this processor, chosen once; the environment variable QF_CPU
 * ("c", "avx2" …) only lowers the choice. */
const QfKernels *qf_kernels (void);

/** The table of one tier by name, NULL where the processor lacks it or it does
 * not exist; for tests and benchmarks. "c" always exists. */
const QfKernels *qf_kernels_tier (const char *name);
