/* libqfuse: packs weights of 1x1 convolutions into lanes of 16 bits, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/point_lanes_avx2.h"

enum
{
  ALIGN = 32, /* of the parts of a block */
  /* times, in hundredths of a plain step's */
  COST_WRAPPED = 115,
  COST_ROW = 16,   /* permuting 16 bytes */
  COST_TILE = 200, /* more than a tile of 16-bit operands has besides */
  COST_WIDE = 135  /* 16-bit operands, 8 input channels */
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

QfPointBlock
qf_point_block (const void *packed, int i)
{
  const uint8_t *p = packed;
  QfPointBlock b;
  uint32_t at;
  Parts q;

  memcpy (&at, p + (size_t) i * sizeof at, sizeof at);
  p += at;
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

/* Blocks of the size from which 16-bit operands are as good, and one plan. */
size_t
qf_point_packed_size (const QfConvShape *s)
{
  int groups = (int) groups_of (s);
  Parts p = parts (groups * QF_POINT_MOST, 2 * groups, groups);

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
  QfPointBlock *block;
} Step;

/* QfPointLane @l of group @g to lane @half of a step. */
static void
put_lane (const Step *to, const QfPointGroup *g, const QfPointLane *l, int half)
{
  for (int q = 0; q < l->n; q++) {
    int c = l->channel[q], at = q / 2 * 4 + half * 2 + q % 2;

    to->order[at] = (uint8_t) c;
    to->flip[at] = l->flip[q] ? 255 : 0;
    for (int i = 0; i < QF_POINT_Y; i++) {
      int w = g->code[c][i];

      to->w[at / 4 * 64 + i * 4 + at % 4] = (int8_t) (l->flip[q] ? -w : w);
      to->block->sums[i] += w;
      to->block->fixed[i] += l->flip[q] ? 255 * w : 0;
    }
  }
  for (int i = 0; to->c && i < QF_POINT_Y; i++) {
    int p = 0, n = 0, c = 0;

    for (int q = 0; q < l->n; q++) {
      int w =
          l->flip[q] ? -g->code[l->channel[q]][i] : g->code[l->channel[q]][i];

      p += w > 0 ? w : 0;
      n += w < 0 ? -w : 0;
    }
    if (p > QF_POINT_LIMIT)
      c = 255 * p - INT16_MAX;
    else if (n > QF_POINT_LIMIT)
      c = -INT16_MIN - 255 * n;
    to->c[i * 2 + half] = (int16_t) -c;
    to->block->fixed[i] += c;
  }
}

/* Writes block @o, planned in @plans, to @to. */
static void
put_block (const QfConvShape *s, const int8_t *w, int o, const Plan *plans,
    QfPointBlock *b, uint8_t *to)
{
  Parts q = parts (b->rows, b->plain, b->wrapped);
  int groups = (int) groups_of (s), more = groups, plain = 0, wrapped = 0;
  int32_t *steps = (int32_t *) (to + q.steps);
  int32_t *from = (int32_t *) (to + q.from);

  memset (to, 0, q.end);
  memset (to + q.order, 0x80, q.flip - q.order);
  for (int g = 0; g < groups; g++) {
    const Plan *p = &plans[g];
    QfPointGroup codes;

    qf_point_load_group (s, w, o, row_from (s, g), g * QF_POINT_K, &codes);
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
        is ? (int16_t *) (ws + QF_POINT_STEP) : NULL, b };
      from[row] = row_from (s, g);
      steps[slot] = qf_point_row (row) + i % 2 * 8;
      for (int l = 2 * i; l < 2 * i + 2 && l < p->n; l++)
        put_lane (&step, &codes, &p->lanes[l], l % 2);
      plain += !is;
      wrapped += is;
    }
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
  int64_t least =
      (int64_t) groups * (QF_POINT_K / 8 * 100 + COST_ROW) + COST_TILE;

  if (memchr (w, -128, (size_t) s->out_c * s->in_c))
    return 0; /* cannot be negated */
  if (least * blocks > wide)
    return 0;
  memset (packed, 0, size);
  for (int o = 0; o < blocks; o++) {
    QfPointBlock b = { .rows = groups, .pairs = s->in_c / QF_POINT_K / 2 };

    for (int g = 0; g < groups; g++) {
      QfPointGroup group;

      qf_point_load_group (
          s, w, o * QF_POINT_Y, row_from (s, g), g * QF_POINT_K, &group);
      qf_point_find_lanes (&group);
      plans[g].n = group.n;
      memcpy (plans[g].lanes, group.lanes, sizeof group.lanes);
      b.rows += ((group.n + 1) / 2 + 1) / 2 - 1;
      for (int i = 0; i < (group.n + 1) / 2; i++)
        if (is_wrapped (&plans[g], i))
          b.wrapped++;
        else
          b.plain++;
    }
    cost += b.plain * 100 + b.wrapped * COST_WRAPPED + b.rows * COST_ROW +
        COST_TILE;
    if (cost + least * (blocks - 1 - o) > wide || b.rows > groups * QF_POINT_MOST ||
        at + parts (b.rows, b.plain, b.wrapped).end >
            size - groups * sizeof *plans)
      return 0;
    memcpy ((uint8_t *) packed + (size_t) o * sizeof (uint32_t),
        &(uint32_t){ (uint32_t) at }, sizeof (uint32_t));
    put_block (s, w, o * QF_POINT_Y, plans, &b, (uint8_t *) packed + at);
    at += align (parts (b.rows, b.plain, b.wrapped).end);
  }
  memset (plans, 0, groups * sizeof *plans);
  return 1;
}
