/* libqfuse: packs weights of 1x1 convolutions into lanes of 16 bits, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/point_lanes_avx2.h"

enum
{
  ALIGN = 32, /* of the parts of a block */
  FEW = 8,    /* groups */
  /* times, in hundredths of a plain step's */
  COST_WRAPPED = 115,
  COST_ROW = 16,  /* permuting 16 bytes */
  COST_WIDE = 150 /* 16-bit operands, 8 input channels */
};

/* Where the parts of a block of so many rows and steps are. */
typedef struct
{
  size_t steps, from, order, flip, w, end;
} Parts;

static size_t
align (size_t n)
{
  return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static Parts
parts (int rows, int plain, int wrapped)
{
  Parts p;

  p.steps = align (offsetof (QfPointBlock, steps));
  p.from = align (p.steps + (size_t) (plain + wrapped) * sizeof (int32_t));
  p.order = align (p.from + (size_t) rows * sizeof (int32_t));
  p.flip = align (p.order + (size_t) rows * QF_POINT_K);
  p.w = align (p.flip + (size_t) rows * QF_POINT_K);
  p.end =
      p.w + (size_t) plain * QF_POINT_STEP + (size_t) wrapped * QF_POINT_STEP_C;
  return p;
}

const uint8_t *
qf_point_block_bytes (const void *packed, int i)
{
  const uint8_t *p = packed;
  uint32_t at;

  memcpy (&at, p + (size_t) i * sizeof at, sizeof at);
  return p + at;
}

QfPointBlock
qf_point_block (const void *packed, int i)
{
  const uint8_t *p = qf_point_block_bytes (packed, i);
  QfPointBlock b;
  Parts q;

  memcpy (&b, p, offsetof (QfPointBlock, steps));
  q = parts (b.rows, b.plain, b.wrapped);
  b.steps = (const int32_t *) (p + q.steps);
  b.from = (const int32_t *) (p + q.from);
  b.order = p + q.order;
  b.flip = p + q.flip;
  b.w = (const int8_t *) (p + q.w);
  return b;
}

/* The lanes of all groups, while a block is planned. */
typedef struct
{
  int8_t code[QF_POINT_K][QF_POINT_Y];
  QfPointLane lanes[QF_POINT_K];
  int n;
} Plan;

static size_t
groups_of (const QfConvShape *s)
{
  return ((size_t) s->in_c + QF_POINT_K - 1) / QF_POINT_K;
}

static size_t
blocks_of (const QfConvShape *s)
{
  return ((size_t) s->out_c + QF_POINT_Y - 1) / QF_POINT_Y;
}

static size_t
table_size (const QfConvShape *s)
{
  return align (blocks_of (s) * sizeof (uint32_t));
}

/* Blocks as large as they can be where 16-bit operands are not as good (of many
 * groups none is that large), and one plan. */
size_t
qf_point_packed_size (const QfConvShape *s)
{
  int groups = (int) groups_of (s), few = groups <= FEW;
  Parts p = parts (
      groups * QF_POINT_MOST, few ? 0 : 2 * groups, few ? 3 * groups : groups);

  return table_size (s) + blocks_of (s) * p.end + groups * sizeof (Plan);
}

/* First input channel of row @g: the last row overlaps the one before. */
static int
row_from (const QfConvShape *s, int g)
{
  int from = g * QF_POINT_K;

  return from + QF_POINT_K > s->in_c ? s->in_c - QF_POINT_K : from;
}

static int
is_wrapped (const Plan *p, int step)
{
  return p->lanes[2 * step].wrapped ||
      (2 * step + 1 < p->n && p->lanes[2 * step + 1].wrapped);
}

typedef struct
{
  uint8_t *order, *flip; /* 8 bytes each */
  int8_t *w;             /* of the step */
  int16_t *c;            /* NULL: plain */
} Step;

/* Sums of a group in 16 bits: of at most 16 codes. */
typedef struct
{
  __m256i sums, flipped; /* of all weights, and of those complemented */
} Sums;

/* @n 16-bit numbers, times @by, are added to @to[16]. */
static inline void
add_to (int32_t *to, __m256i n, int by)
{
  __m256i m = _mm256_set1_epi32 (by);
  __m256i *p = (__m256i *) to;
  __m256i lo = _mm256_cvtepi16_epi32 (_mm256_castsi256_si128 (n));
  __m256i hi = _mm256_cvtepi16_epi32 (_mm256_extracti128_si256 (n, 1));

  _mm256_storeu_si256 (
      p, _mm256_add_epi32 (_mm256_loadu_si256 (p), _mm256_mullo_epi32 (lo, m)));
  _mm256_storeu_si256 (p + 1,
      _mm256_add_epi32 (
          _mm256_loadu_si256 (p + 1), _mm256_mullo_epi32 (hi, m)));
}

/* c of a lane with sums @p and @n: what brings it into 16 bits, 0 where it is
 * there. All but the end results may wrap. */
static inline __m256i
lane_c (__m256i p, __m256i n)
{
  const __m256i limit = _mm256_set1_epi16 (QF_POINT_LIMIT);
  const __m256i most = _mm256_set1_epi16 (255);
  __m256i above = _mm256_sub_epi16 (
      _mm256_mullo_epi16 (p, most), _mm256_set1_epi16 (INT16_MAX));
  __m256i below = _mm256_sub_epi16 (
      _mm256_set1_epi16 (INT16_MIN), _mm256_mullo_epi16 (n, most));

  return _mm256_blendv_epi8 (
      _mm256_and_si256 (below, _mm256_cmpgt_epi16 (n, limit)), above,
      _mm256_cmpgt_epi16 (p, limit));
}

/* QfPointLanes @l and @l + 1 to a step; the second where there is one. */
static void
put_step (const Step *to, const Plan *p, int first, Sums *sums, int32_t *fixed)
{
  const __m256i zero = _mm256_setzero_si256 ();
  __m128i row[2][QF_POINT_LANE], c[2][2];

  memset (row, 0, sizeof row);
  memset (c, 0, sizeof c);
  for (int half = 0; half < 2 && first + half < p->n; half++) {
    const QfPointLane *l = &p->lanes[first + half];
    __m256i up = zero, down = zero, both;

    for (int q = 0; q < l->n; q++) {
      int at = q / 2 * 4 + half * 2 + q % 2;
      __m128i v;
      __m256i w;

      if (l->channel[q] == QF_POINT_NONE)
        continue;
      v = _mm_loadu_si128 ((const __m128i *) p->code[l->channel[q]]);
      w = _mm256_cvtepi8_epi16 (v);
      to->order[at] = l->channel[q];
      to->flip[at] = l->flip[q] ? 255 : 0;
      sums->sums = _mm256_add_epi16 (sums->sums, w);
      if (l->flip[q]) {
        sums->flipped = _mm256_add_epi16 (sums->flipped, w);
        v = _mm_sub_epi8 (_mm256_castsi256_si128 (zero), v);
        w = _mm256_sub_epi16 (zero, w);
      }
      row[half][q] = v;
      up = _mm256_add_epi16 (up, _mm256_max_epi16 (w, zero));
      down = _mm256_sub_epi16 (down, _mm256_min_epi16 (w, zero));
    }
    if (!to->c)
      continue;
    both = lane_c (up, down);
    add_to (fixed, both, 1);
    both = _mm256_sub_epi16 (zero, both);
    c[half][0] = _mm256_castsi256_si128 (both);
    c[half][1] = _mm256_extracti128_si256 (both, 1);
  }
  for (int i = 0; i < 2; i++) { /* bytes 2i and 2i + 1 of both lanes */
    __m128i a0 = _mm_unpacklo_epi8 (row[0][2 * i], row[0][2 * i + 1]);
    __m128i a1 = _mm_unpackhi_epi8 (row[0][2 * i], row[0][2 * i + 1]);
    __m128i b0 = _mm_unpacklo_epi8 (row[1][2 * i], row[1][2 * i + 1]);
    __m128i b1 = _mm_unpackhi_epi8 (row[1][2 * i], row[1][2 * i + 1]);
    __m128i *w = (__m128i *) (to->w + i * 64);

    _mm_storeu_si128 (w, _mm_unpacklo_epi16 (a0, b0));
    _mm_storeu_si128 (w + 1, _mm_unpackhi_epi16 (a0, b0));
    _mm_storeu_si128 (w + 2, _mm_unpacklo_epi16 (a1, b1));
    _mm_storeu_si128 (w + 3, _mm_unpackhi_epi16 (a1, b1));
  }
  for (int i = 0; to->c && i < 2; i++) {
    __m128i *to_c = (__m128i *) to->c + 2 * i;

    _mm_storeu_si128 (to_c, _mm_unpacklo_epi16 (c[0][i], c[1][i]));
    _mm_storeu_si128 (to_c + 1, _mm_unpackhi_epi16 (c[0][i], c[1][i]));
  }
}

/* Writes a block, planned in @plans, to @to. */
static void
put_block (
    const QfConvShape *s, const Plan *plans, QfPointBlock *b, uint8_t *to)
{
  Parts q = parts (b->rows, b->plain, b->wrapped);
  int groups = (int) groups_of (s), more = groups, plain = 0, wrapped = 0;
  int32_t *steps = (int32_t *) (to + q.steps);
  int32_t *from = (int32_t *) (to + q.from);

  memset (to, 0, q.w); /* weights are written whole */
  memset (to + q.order, 0x80, q.flip - q.order);
  for (int g = 0; g < groups; g++) {
    const Plan *p = &plans[g];
    Sums sums = { _mm256_setzero_si256 (), _mm256_setzero_si256 () };

    for (int i = 0, row = g; i < (p->n + 1) / 2; i++) {
      int is = is_wrapped (p, i);
      int slot = is ? b->plain + wrapped : plain;
      int8_t *ws = (int8_t *) to + q.w +
          (is ? (size_t) b->plain * QF_POINT_STEP +
                      (size_t) wrapped * QF_POINT_STEP_C
              : (size_t) plain * QF_POINT_STEP);
      Step step;

      if (i > 0 && i % 2 == 0)
        row = more++;
      step = (Step){ to + q.order + row * QF_POINT_K + i % 2 * 8,
        to + q.flip + row * QF_POINT_K + i % 2 * 8, ws,
        is ? (int16_t *) (ws + QF_POINT_STEP) : NULL };
      from[row] = row_from (s, g);
      steps[slot] = qf_point_row (row) + i % 2 * 8;
      put_step (&step, p, 2 * i, &sums, b->fixed);
      plain += !is;
      wrapped += is;
    }
    add_to (b->sums, sums.sums, 1);
    add_to (b->fixed, sums.flipped, 255);
  }
  memcpy (to, b, offsetof (QfPointBlock, steps));
}

int
qf_point_pack (const QfConvShape *s, const int8_t *w, void *packed)
{
  size_t size = qf_point_packed_size (s), at = table_size (s);
  int groups = (int) groups_of (s), blocks = (int) blocks_of (s);
  Plan *plans = (Plan *) ((uint8_t *) packed + size - groups * sizeof *plans);
  int64_t cost = 0, wide = (int64_t) s->in_c * COST_WIDE / 8 * blocks;
  /* what a block costs at least: every step plain, no rows but the input's */
  int64_t least = (int64_t) groups * (QF_POINT_K / 8 * 100 + COST_ROW);

  if (memchr (w, -128, (size_t) s->out_c * s->in_c))
    return 0; /* cannot be negated */
  if (least * blocks > wide)
    return 0;
  for (int o = 0; o < blocks; o++) {
    QfPointBlock b = { .rows = groups, .pairs = s->in_c / QF_POINT_K / 2 };

    for (int g = 0; g < groups; g++) {
      QfPointGroup group;

      qf_point_load_group (
          s, w, o * QF_POINT_Y, row_from (s, g), g * QF_POINT_K, &group);
      qf_point_find_lanes (&group);
      plans[g].n = group.n;
      memcpy (plans[g].lanes, group.lanes, sizeof group.lanes);
      memcpy (plans[g].code, group.code, sizeof group.code);
      b.rows += ((group.n + 1) / 2 + 1) / 2 - 1;
      for (int i = 0; i < (group.n + 1) / 2; i++)
        if (is_wrapped (&plans[g], i))
          b.wrapped++;
        else
          b.plain++;
    }
    cost += b.plain * 100 + b.wrapped * COST_WRAPPED + b.rows * COST_ROW;
    if (cost + least * (blocks - 1 - o) > wide ||
        b.rows > groups * QF_POINT_MOST ||
        at + parts (b.rows, b.plain, b.wrapped).end >
            size - groups * sizeof *plans)
      return 0;
    memcpy ((uint8_t *) packed + (size_t) o * sizeof (uint32_t),
        &(uint32_t){ (uint32_t) at }, sizeof (uint32_t));
    put_block (s, plans, &b, (uint8_t *) packed + at);
    at += align (parts (b.rows, b.plain, b.wrapped).end);
  }
  return 1;
}

size_t
qf_point_used (const QfConvShape *s, const void *packed)
{
  const uint8_t *p = packed;
  int last = (int) blocks_of (s) - 1;
  QfPointBlock b = qf_point_block (packed, last);
  uint32_t at;

  memcpy (&at, p + (size_t) last * sizeof at, sizeof at);
  return at + parts (b.rows, b.plain, b.wrapped).end;
}
