/* libqfuse: finds lanes for the weights of 1x1 convolutions, AVX2.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernels/x86/point_lanes_avx2.h"

enum
{
  WRAPPED = 254, /* of P + N: 255, where a sum saturates, is in doubt */
  TRIES = 200    /* for the lanes of one group */
};

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

static inline QfPointLane
lane (int a, int b, int fb, int c, int fc, int d, int fd)
{
  return (QfPointLane){ { (uint8_t) a, (uint8_t) b, (uint8_t) c, (uint8_t) d },
    { 0, (uint8_t) fb, (uint8_t) fc, (uint8_t) fd }, QF_POINT_LANE, 0 };
}

static unsigned
channels_of (const QfPointLane *l, int n)
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
is_pair (const QfPointGroup *g, int a, int b, int *flip)
{
  for (*flip = 0; *flip < 2; ++*flip)
    if (!exceeds (
            _mm256_adds_epu8 (g->w[a][0], g->w[b][*flip]), QF_POINT_LIMIT))
      return 1;
  return 0;
}

/* Whether the channels @c may be a lane with any P and N, as long as P + N
 * fits. */
static int
is_wrapped_lane (const QfPointGroup *g, const int *c, QfPointLane *found)
{
  __m256i sum = _mm256_setzero_si256 ();
  int f, h;

  for (int i = 0; i < QF_POINT_LANE; i++) /* |w| */
    sum =
        _mm256_adds_epu8 (sum, _mm256_or_si256 (g->w[c[i]][0], g->w[c[i]][1]));
  if (exceeds (sum, WRAPPED))
    return 0;
  for (int i = 1; i < QF_POINT_LANE; i++) {
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
find_wrapped (
    const QfPointGroup *g, unsigned left, QfPointLane *found, int *tries)
{
  int c[QF_POINT_LANE];

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
gives_up (const QfPointGroup *g)
{
  return g->tries > (g->half ? TRIES : 4 * TRIES);
}

static void find_plain (QfPointGroup *g, unsigned left, int n);

/* Plain lanes of channel @i and three others of @left. */
static void
find_with (QfPointGroup *g, int i, unsigned left, int n)
{
  for (unsigned sj = left; sj; sj &= sj - 1)
    for (int j = (int) lowest (sj), fj = 0; fj < 2; fj++) {
      __m256i two = _mm256_adds_epu8 (g->w[i][0], g->w[j][fj]);

      g->tries++;
      if (exceeds (two, QF_POINT_LIMIT))
        continue;
      for (unsigned sk = sj & (sj - 1); sk; sk &= sk - 1)
        for (int k = (int) lowest (sk), fk = 0; fk < 2; fk++) {
          __m256i three = _mm256_adds_epu8 (two, g->w[k][fk]);

          g->tries++;
          if (exceeds (three, QF_POINT_LIMIT))
            continue;
          for (unsigned sl = sk & (sk - 1); sl; sl &= sl - 1)
            for (int l = (int) lowest (sl), fl = 0; fl < 2; fl++) {
              g->tries++;
              if (exceeds (
                      _mm256_adds_epu8 (three, g->w[l][fl]), QF_POINT_LIMIT))
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
find_plain (QfPointGroup *g, unsigned left, int n)
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
  while (__builtin_popcount (left) / QF_POINT_LANE + n > g->best &&
      !gives_up (g)) {
    int i = (int) lowest (left);

    left &= left - 1;
    find_with (g, i, left, n);
  }
}

/* Two of @left, or one. */
static void
find_less (const QfPointGroup *g, unsigned left, QfPointLane *found)
{
  int i = (int) lowest (left), flip;

  *found = (QfPointLane){ { (uint8_t) i }, { 0 }, 1, 0 };
  for (left &= left - 1; left; left &= left - 1) {
    int j = (int) lowest (left);

    if (is_pair (g, i, j, &flip)) {
      *found = (QfPointLane){ { (uint8_t) i, (uint8_t) j },
        { 0, (uint8_t) flip }, 2, 0 };
      return;
    }
  }
}

/* Orders the channels by Σ w², largest first: these find partners while there
 * is a choice. @channel: which one each of them is. */
static void
sort_group (QfPointGroup *g, uint8_t *channel)
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
void
qf_point_find_lanes (QfPointGroup *g)
{
  uint8_t channel[QF_POINT_K];
  unsigned left;
  int tries = TRIES;

  sort_group (g, channel);
  left = g->real;
  g->best = g->tries = g->half = 0;
  g->goal = __builtin_popcount (left) / QF_POINT_LANE;
  find_plain (g, left, 0);
  if (!g->half && g->best < g->goal && g->goal * QF_POINT_LANE == QF_POINT_K)
    g->half = find_wrapped (g, left, g->mixed, &tries);
  g->n = g->best;
  if (g->half && g->best < g->goal) {
    g->n = g->goal;
    memcpy (g->lanes, g->mixed, sizeof g->mixed);
  }
  left &= ~channels_of (g->lanes, g->n);
  while (left) {
    QfPointLane *l = &g->lanes[g->n++];

    find_less (g, left, l);
    left &= ~channels_of (l, 1);
  }
  for (int i = 0; i < g->n; i++)
    for (int j = 0; j < g->lanes[i].n; j++)
      g->lanes[i].channel[j] = channel[g->lanes[i].channel[j]];
}

void
qf_point_load_group (const QfConvShape *s, const int8_t *w, int o, int k,
    int k0, QfPointGroup *g)
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
