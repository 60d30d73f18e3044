/* libqfuse: 1x1 convolution on 8-bit operands: what is packed.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Two vpmaddubsw are added in 16 bits before vpmaddwd widens the sum, so a lane
 * of 16 bits holds up to four products. That is exact where a lane can hold
 * them whatever the input: docs/numerics.md (18). For every block of 16 output
 * channels and every 16 input channels, packing looks for lanes that can: it
 * permutes the channels and complements some (x becomes 255 − x, w becomes −w).
 */
#pragma once

#include "kernels/x86/avx2.h"
#include "kernels/x86/conv.h"

enum
{
  QF_POINT_X = 4,  /* pixels of a tile */
  QF_POINT_Y = 16, /* output channels of a block */
  QF_POINT_K = 16, /* input channels that are permuted among themselves */
  QF_POINT_STEP = 4 * 32,   /* bytes of a plain step's weights */
  QF_POINT_STEP_C = 6 * 32, /* with c */
  QF_POINT_MOST = 2 /* rows at most, as a multiple of those there must be */
};

/** One block, of 16 output channels. A row is 16 bytes of input, permuted and
 * complemented: first what every 16 input channels give, then additional ones.
 * A step is 8 bytes of a row: two lanes, of the bytes 0, 1, 4, 5 and 2, 3, 6, 7
 * ; plain or with a constant c that is subtracted before the sum is widened. */
typedef struct
{
  int32_t rows, plain, wrapped; /* plain: steps without c, first */
  int32_t pairs;                /* times two rows whose input is in a row */
  int32_t fixed[QF_POINT_Y];    /* part of every sum */
  int32_t sums[QF_POINT_Y];     /* of the weights */

  const int32_t *steps; /* [plain + wrapped] bytes into a tile's rows */
  const int32_t *from;  /* [rows] first input channel */
  const uint8_t *order; /* [rows][16] for vpshufb */
  const uint8_t *flip;  /* [rows][16] 255: complement */
  const int8_t *w; /* [steps][2 halves of 4 bytes][16 channels][4], then, of
                      wrapped ones, −c, 16-bit [16 channels][2 lanes] */
} QfPointBlock;

/** The longest that all rows of a pixel can be, in bytes. */
static inline size_t
qf_point_pitch (const QfConvShape *s)
{
  size_t rows = ((size_t) s->in_c + QF_POINT_K - 1) / QF_POINT_K;

  return (rows * QF_POINT_MOST + 1) / 2 * 2 * QF_POINT_K;
}

/** Where row @r of a tile's first pixel is, in bytes; the next pixels' are 2 ·
 * QF_POINT_K bytes further each. */
static inline int
qf_point_row (int r)
{
  return r / 2 * 2 * QF_POINT_K * QF_POINT_X + r % 2 * QF_POINT_K;
}

/** Bytes that qf_point_pack() may need. */
size_t qf_point_packed_size (const QfConvShape *s);

/** Packs @w [out_c][in_c] if that makes the layer faster than 16-bit operands:
 * else returns 0. */
int qf_point_pack (const QfConvShape *s, const int8_t *w, void *packed);

/** Bytes that it used. */
size_t qf_point_used (const QfConvShape *s, const void *packed);

/** Block @i of what qf_point_pack() packed. */
QfPointBlock qf_point_block (const void *packed, int i);

/** Where its bytes begin; those of the next one follow. */
const uint8_t *qf_point_block_bytes (const void *packed, int i);
