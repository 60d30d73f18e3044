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

typedef struct
{
  const char *name; /* "c", "avx2" … */

  /* int8 convolution ------------------------------------------------------ */

  /** Bytes that packed weights of @s take. */
  size_t (*conv_s8_packed_size) (const QfConvShape *s);

  /** Packs weights @w [out_c][in_c/groups][kernel_h][kernel_w] (ONNX order,
   * codes −127 … 127) for conv_u8s8_s32. */
  void (*conv_s8_pack) (const QfConvShape *s, const int8_t *w, void *packed);

  /** Bytes of scratch that one worker needs for conv_u8s8_s32. */
  size_t (*conv_u8s8_scratch_size) (const QfConvShape *s);

  /** Output rows @row0 … @row1 − 1 of acc = Σ w·(x − x_zero), exact, padding
   * counting as x = x_zero. @x: the whole input [in_h][in_w][in_c]; @acc:
   * points at row @row0, [row1 − row0][out_w][out_c]. */
  void (*conv_u8s8_s32) (const QfConvShape *s, const uint8_t *x, int x_zero,
                         const void *packed, int32_t *acc, int row0, int row1,
                         void *scratch);

  /** @pixels × @channels sums to codes. */
  void (*requant_s32_u8) (const QfRequant *r, const int32_t *acc, uint8_t *y,
                          int pixels, int channels);

  /* further operators of the engine follow here */
} QfKernels;

/** The table for this processor, chosen once; the environment variable QF_CPU
 * ("c", "avx2" …) only lowers the choice. */
const QfKernels *qf_kernels (void);

/** The table of one tier by name, NULL where the processor lacks it or it does
 * not exist; for tests and benchmarks. "c" always exists. */
const QfKernels *qf_kernels_tier (const char *name);
