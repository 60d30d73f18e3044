/* libqfuse: lanes of 16 bits for the weights of 1x1 convolutions, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Bounds: docs/numerics.md (18). P and N are the sums of a lane's positive and
 * negative weights; both ≤ 128: the lane is plain. Complementing a channel
 * exchanges its part of P and N. */
#pragma once

#include "kernels/x86/point_avx2.h"

enum
{
  QF_POINT_LANE = 4,    /* channels of a lane */
  QF_POINT_NONE = 0xff, /* none in this place */
  QF_POINT_LIMIT = 128  /* of P and N */
};

/** Channels of a group in the first @n places, of which two each are operands
 * of one vpmaddubsw; those with @flip are complemented. */
typedef struct
{
  uint8_t channel[QF_POINT_LANE], flip[QF_POINT_LANE], n, wrapped;
} QfPointLane;

/** The channels of a group, times one block of outputs. */
typedef struct
{
  int8_t code[QF_POINT_K][QF_POINT_Y];

  /* In the order in which they are tried. Bytes 0 … 15: positive weights,
   * 16 … 31: negative ones; [1]: the other way round. */
  __m256i w[QF_POINT_K][2];
  uint8_t channel[QF_POINT_K]; /* which one each is */
  unsigned real;               /* those that count here, the first ones */

  QfPointLane lanes[QF_POINT_K]; /* what was found, plain ones first */
  int n;                         /* lanes */

  /* while looking for them */
  QfPointLane found[QF_POINT_LANE];
  int best, goal, tries;
  QfPointLane mixed[QF_POINT_LANE]; /* four of any kind, plain ones first */
  int half;                         /* mixed was found */
} QfPointGroup;

/** Input channels @k … @k + 15 of the block of outputs @o, all of which there
 * are; those before @k0 do not count. @w: [out_c][in_c]. */
void qf_point_load_group (const QfConvShape *s, const int8_t *w, int o, int k,
    int k0, QfPointGroup *g);

/** Finds lanes for all channels of @g: all of four and plain, or all of four,
 * or with lanes of less; where possible an even number of each kind, as a step
 * holds two. */
void qf_point_find_lanes (QfPointGroup *g);
