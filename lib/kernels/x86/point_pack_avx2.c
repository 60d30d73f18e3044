/* libqfuse: packs weights of 1x1 convolutions into lanes of 16 bits, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Bounds: docs/numerics.md (18). P and N are the sums of a lane's positive and
 * negative weights; both ≤ 128: the lane is plain. Complementing a channel
 * exchanges its part of P and N. */
#include "kernels/x86/point_avx2.h"

#include <limits.h>

enum
{
  LANE = 4,      /* channels of a lane */
  LIMIT = 128,   /* of P and N */
  WRAPPED = 254, /* of P + N: 255, where a sum saturates, is in doubt */
  TRIES = 200,   /* for the lanes of one group */
  ALIGN = 32,    /* of the parts of a block */
  /* times, in hundredths of a plain step's */
  COST_WRAPPED = 115,
  COST_ROW = 16,  /* permuting 16 bytes */
  COST_WIDE = 135 /* 16-bit operands, 8 input channels */
};

typedef struct
{
  uint8_t channel[LANE], flip[LANE], n, wrapped;
} Lane;

/* The channels of a group, times one block of outputs. Bytes 0 … 15: positive
 * weights, 16 … 31: negative ones; [1]: the other way round. */
typedef struct
{
  __m256i w[QF_POINT_K][2];
  int8_t code[QF_POINT_K][QF_POINT_Y];
  unsigned real; /* channels that count here */

  Lane lanes[QF_POINT_K], found[LANE];
  int n, best, goal, tries;
  Lane mixed[LANE]; /* four of any kind, plain ones first */
  int half;         /* mixed was found */
} Group;

static inline int
exceeds (__m256i v, int limit)
{
  __m256i over = _mm256_subs_epu8 (v, _mm256_set1_epi8 ((char) limit));

  return !_mm256_testz_si256 (over, over);
}

static unsigned
lowest (unsigned set)
{
  return (unsigned) __builtin_ctz (set);
}

static inline Lane
lane (int a, int b, int fb, int c, int fc, int d, int fd)
{
  return (Lane){ { (uint8_t) a, (uint8_t) b, (uint8_t) c, (uint8_t) d },
    { 0, (uint8_t) fb, (uint8_t) fc, (uint8_t) fd }, LANE, 0 };
}

static unsigned
channels_of (const Lane *l, int n)
{
  unsigned set = 0;

  for (int i = 0; i < n; i++)
    for (int j = 0; j < l[i].n; j++)
      set |= 1u << l[i].channel[j];
  return set;
}

/* Whether @a and @b may be the operands of one vpmaddubsw; how @b is then
 * complemented. */
static int
is_pair (const Group *g, int a, int b, int *flip)
{
  for (*flip = 0; *flip < 2; ++*flip)
    if (!exceeds (_mm256_adds_epu8 (g->w[a][0], g->w[b][*flip]), LIMIT))
      return 1;
  return 0;
}

/* Whether the channels @c may be a lane with any P and N, as long as P + N
 * fits. */
static int
is_wrapped_lane (const Group *g, const int *c, Lane *found)
{
  __m256i sum = _mm256_setzero_si256 ();
  int f, h;

  for (int i = 0; i < LANE; i++) /* |w| */
    sum =
        _mm256_adds_epu8 (sum, _mm256_or_si256 (g->w[c[i]][0], g->w[c[i]][1]));
  if (exceeds (sum, WRAPPED))
    return 0;
  for (int i = 1; i < LANE; i++) {
    int j = i == 1 ? 2 : 1, k = i == 3 ? 2 : 3;

    if (is_pair (g, c[0], c[i], &f) && is_pair (g, c[j], c[k], &h)) {
      *found = lane (c[0], c[i], f, c[j], 0, c[k], h);
      found->wrapped = 1;
      return 1;
    }
  }
  return 0;
}

/* Splits channels @left into lanes @found of four with any P and N, in at most
 * about @tries attempts. */
static int
find_wrapped (const Group *g, unsigned left, Lane *found, int *tries)
{
  int c[LANE];

  if (left == 0)
    return 1;
  c[0] = (int) lowest (left);
  left &= left - 1;
  for (unsigned sj = left; sj; sj &= sj - 1)
    for (unsigned sk = sj & (sj - 1); sk; sk &= sk - 1)
      for (unsigned sl = sk & (sk - 1); sl; sl &= sl - 1) {
        c[1] = (int) lowest (sj);
        c[2] = (int) lowest (sk);
        c[3] = (int) lowest (sl);
        if (is_wrapped_lane (g, c, found) &&
            find_wrapped (g, left & ~(1u << c[1] | 1u << c[2] | 1u << c[3]),
                found + 1, tries))
          return 1;
        if (--*tries < 0)
          return 0;
      }
  return 0;
}

static int
gives_up (const Group *g)
{
  return g->tries > (g->half ? TRIES : 4 * TRIES);
}

static void find_plain (Group *g, unsigned left, int n);

/* Plain lanes of channel @i and three others of @left. */
static void
find_with (Group *g, int i, unsigned left, int n)
{
  for (unsigned sj = left; sj; sj &= sj - 1)
    for (int j = (int) lowest (sj), fj = 0; fj < 2; fj++) {
      __m256i two = _mm256_adds_epu8 (g->w[i][0], g->w[j][fj]);

      g->tries++;
      if (exceeds (two, LIMIT))
        continue;
      for (unsigned sk = sj & (sj - 1); sk; sk &= sk - 1)
        for (int k = (int) lowest (sk), fk = 0; fk < 2; fk++) {
          __m256i three = _mm256_adds_epu8 (two, g->w[k][fk]);

          g->tries++;
          if (exceeds (three, LIMIT))
            continue;
          for (unsigned sl = sk & (sk - 1); sl; sl &= sl - 1)
            for (int l = (int) lowest (sl), fl = 0; fl < 2; fl++) {
              g->tries++;
              if (exceeds (_mm256_adds_epu8 (three, g->w[l][fl]), LIMIT))
                continue;
              g->found[n] = lane (i, j, fj, k, fk, l, fl);
              find_plain (g, left & ~(1u << j | 1u << k | 1u << l), n + 1);
              if (g->best == g->goal || gives_up (g))
                return;
              fl = 2; /* how it is complemented changes nothing */
            }
          if (gives_up (g))
            return;
        }
    }
}

/* As many plain lanes of four of the channels @left as @TRIES find, beside the
 * @n there are. */
static void
find_plain (Group *g, unsigned left, int n)
{
  if (n > g->best) {
    g->best = n;
    memcpy (g->lanes, g->found, (size_t) n * sizeof *g->lanes);
  }
  if (n == g->goal - 2 && !g->half) {
    unsigned rest = g->real & ~channels_of (g->found, n);
    int tries = TRIES;

    if (find_wrapped (g, rest, g->mixed + n, &tries)) {
      g->half = 1;
      memcpy (g->mixed, g->found, (size_t) n * sizeof *g->mixed);
    }
  }
  while (__builtin_popcount (left) / LANE + n > g->best && !gives_up (g)) {
    int i = (int) lowest (left);

    left &= left - 1;
    find_with (g, i, left, n);
  }
}

/* Two of @left, or one. */
static void
find_less (const Group *g, unsigned left, Lane *found)
{
  int i = (int) lowest (left), flip;

  *found = (Lane){ { (uint8_t) i }, { 0 }, 1, 0 };
  for (left &= left - 1; left; left &= left - 1) {
    int j = (int) lowest (left);

    if (is_pair (g, i, j, &flip)) {
      *found =
          (Lane){ { (uint8_t) i, (uint8_t) j }, { 0, (uint8_t) flip }, 2, 0 };
      return;
    }
  }
}

/* Orders the channels by Σ w², largest first: these find partners while there
 * is a choice. @channel: which one each of them is. */
static void
sort_group (Group *g, uint8_t *channel)
{
  __m256i w[QF_POINT_K][2];
  int size[QF_POINT_K];
  unsigned real = 0;

  memcpy (w, g->w, sizeof w);
  for (int c = 0; c < QF_POINT_K; c++) {
    int at = c;

    size[c] = -1;
    if (g->real >> c & 1) {
      __m256i v =
          _mm256_cvtepi8_epi16 (_mm_loadu_si128 ((const __m128i *) g->code[c]));
      __m128i sum;

      v = _mm256_madd_epi16 (v, v);
      sum = _mm_add_epi32 (
          _mm256_castsi256_si128 (v), _mm256_extracti128_si256 (v, 1));
      sum = _mm_add_epi32 (sum, _mm_unpackhi_epi64 (sum, sum));
      size[c] = _mm_cvtsi128_si32 (sum) + _mm_extract_epi32 (sum, 1);
    }
    for (int s = size[c]; at > 0 && size[at - 1] < s; at--) {
      size[at] = size[at - 1];
      channel[at] = channel[at - 1];
      size[at - 1] = s;
    }
    channel[at] = (uint8_t) c;
  }
  for (int c = 0; c < QF_POINT_K; c++) {
    memcpy (g->w[c], w[channel[c]], sizeof w[c]);
    real |= (unsigned) (size[c] >= 0) << c;
  }
  g->real = real;
}

/* All plain, or all but two (a step holds two lanes), or none, or what there
 * is. Plain lanes come first. */
static void
plan (Group *g)
{
  uint8_t channel[QF_POINT_K];
  unsigned left;
  int tries = TRIES;

  sort_group (g, channel);
  left = g->real;
  g->best = g->tries = g->half = 0;
  g->goal = __builtin_popcount (left) / LANE;
  find_plain (g, left, 0);
  if (!g->half && g->best < g->goal && g->goal * LANE == QF_POINT_K)
    g->half = find_wrapped (g, left, g->mixed, &tries);
  g->n = g->best;
  if (g->half && g->best < g->goal) {
    g->n = g->goal;
    memcpy (g->lanes, g->mixed, sizeof g->mixed);
  }
  left &= ~channels_of (g->lanes, g->n);
  while (left) {
    Lane *l = &g->lanes[g->n++];

    find_less (g, left, l);
    left &= ~channels_of (l, 1);
  }
  for (int i = 0; i < g->n; i++)
    for (int j = 0; j < g->lanes[i].n; j++)
      g->lanes[i].channel[j] = channel[g->lanes[i].channel[j]];
}

/* Input channels @k … @k + 15 of block @o; those before @k0 do not count. */
static void
load_group (
    const QfConvShape *s, const int8_t *w, int o, int k, int k0, Group *g)
{
  int outputs = s->out_c - o < QF_POINT_Y ? s->out_c - o : QF_POINT_Y;

  g->real = 0;
  memset (g->code, 0, sizeof g->code);
  for (int c = 0; c < QF_POINT_K && k + c < s->in_c; c++) {
    __m128i v, zero = _mm_setzero_si128 ();
    __m128i up, down;

    for (int i = 0; i < outputs; i++)
      g->code[c][i] = w[(size_t) (o + i) * s->in_c + k + c];
    v = _mm_loadu_si128 ((const __m128i *) g->code[c]);
    up = _mm_max_epi8 (v, zero);
    down = _mm_max_epi8 (_mm_sub_epi8 (zero, v), zero);
    g->w[c][0] = _mm256_set_m128i (down, up);
    g->w[c][1] = _mm256_set_m128i (up, down);
    if (k + c >= k0)
      g->real |= 1u << c;
  }
}

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
  Lane lanes[QF_POINT_K];
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

/* Lane @l of group @g to lane @half of a step. */
static void
put_lane (const Step *to, const Group *g, const Lane *l, int half)
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
    if (p > LIMIT)
      c = 255 * p - INT16_MAX;
    else if (n > LIMIT)
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
    Group codes;

    load_group (s, w, o, row_from (s, g), g * QF_POINT_K, &codes);
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
      steps[slot] = row * QF_POINT_K + i % 2 * 8;
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

  if (memchr (w, -128, (size_t) s->out_c * s->in_c))
    return 0; /* cannot be negated */
  memset (packed, 0, size);
  for (int o = 0; o < blocks; o++) {
    QfPointBlock b = { .rows = groups, .pairs = s->in_c / QF_POINT_K / 2 };

    for (int g = 0; g < groups; g++) {
      Group group;

      load_group (
          s, w, o * QF_POINT_Y, row_from (s, g), g * QF_POINT_K, &group);
      plan (&group);
      plans[g].n = group.n;
      memcpy (plans[g].lanes, group.lanes, sizeof group.lanes);
      b.rows += ((group.n + 1) / 2 + 1) / 2 - 1;
      for (int i = 0; i < (group.n + 1) / 2; i++)
        if (is_wrapped (&plans[g], i))
          b.wrapped++;
        else
          b.plain++;
    }
    cost += b.plain * 100 + b.wrapped * COST_WRAPPED + b.rows * COST_ROW;
    if (cost > wide || b.rows > groups * QF_POINT_MOST ||
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
