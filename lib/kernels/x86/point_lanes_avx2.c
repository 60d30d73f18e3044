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
      if (l[i].channel[j] != QF_POINT_NONE)
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

static __m256i
magnitudes (const QfPointGroup *g, int c)
{
  return _mm256_or_si256 (g->w[c][0], g->w[c][1]);
}

/* Beside the first two places of @l, whose magnitudes are @sum, two of @left,
 * or one. Returns how many. */
static int
find_beside (const QfPointGroup *g, __m256i sum, unsigned left, QfPointLane *l)
{
  int n = 0, flip;

  for (; left; left &= left - 1) {
    int c = (int) lowest (left);
    __m256i three = _mm256_adds_epu8 (sum, magnitudes (g, c));

    if (exceeds (three, WRAPPED))
      continue;
    if (n == 0) {
      l->channel[2] = (uint8_t) c;
      l->n = 3;
      l->wrapped = 1;
      n = 1;
    }
    for (unsigned more = left & (left - 1); more; more &= more - 1) {
      int d = (int) lowest (more);

      if (exceeds (_mm256_adds_epu8 (three, magnitudes (g, d)), WRAPPED) ||
          !is_pair (g, c, d, &flip))
        continue;
      l->channel[2] = (uint8_t) c;
      l->channel[3] = (uint8_t) d;
      l->flip[3] = (uint8_t) flip;
      l->n = 4;
      return 2;
    }
  }
  return n;
}

/* The first of @left and up to three others. Two always go together, each in a
 * vpmaddubsw of its own. */
static void
find_less (const QfPointGroup *g, unsigned left, QfPointLane *found)
{
  int i = (int) lowest (left), flip, most;
  unsigned rest = left & (left - 1);

  *found = (QfPointLane){ { (uint8_t) i, QF_POINT_NONE }, { 0 }, 1, 0 };
  most = 1 + find_beside (g, magnitudes (g, i), rest, found);
  for (unsigned s = rest; s && most < QF_POINT_LANE; s &= s - 1) {
    int j = (int) lowest (s), n;
    QfPointLane l = { { (uint8_t) i, (uint8_t) j }, { 0 }, 2, 0 };

    if (!is_pair (g, i, j, &flip))
      continue;
    l.flip[1] = (uint8_t) flip;
    n = 2 +
        find_beside (g, _mm256_adds_epu8 (magnitudes (g, i), magnitudes (g, j)),
            rest & ~(1u << j), &l);
    if (n > most || (n == most && !l.wrapped && found->wrapped)) {
      most = n;
      *found = l;
    }
  }
}

/* A step holds two lanes: plain ones together. */
static void
plain_first (QfPointLane *l, int n)
{
  for (int i = 0, plain = 0; i < n; i++)
    if (!l[i].wrapped) {
      QfPointLane t = l[plain];

      l[plain++] = l[i];
      l[i] = t;
    }
}

/* Channels by Σ w², largest first: these find partners while there is a choice.
 * @key: Σ w² · 16, or less than 0 for those that do not count. */
static void
sort_group (const __m256i key[2], uint8_t *channel)
{
  /* no two are alike: of equal ones the first is larger */
  const __m256i low = _mm256_setr_epi32 (15, 14, 13, 12, 11, 10, 9, 8);
  __m256i k[2] = { _mm256_or_si256 (key[0], low),
    _mm256_or_si256 (key[1], _mm256_sub_epi32 (low, _mm256_set1_epi32 (8))) };
  __m256i place[2] = { _mm256_setzero_si256 (), _mm256_setzero_si256 () };
  int32_t keys[QF_POINT_K], places[QF_POINT_K];

  _mm256_storeu_si256 ((__m256i *) keys, k[0]);
  _mm256_storeu_si256 ((__m256i *) (keys + 8), k[1]);
  for (int c = 0; c < QF_POINT_K; c++) {
    __m256i v = _mm256_set1_epi32 (keys[c]);

    for (int i = 0; i < 2; i++)
      place[i] = _mm256_sub_epi32 (place[i], _mm256_cmpgt_epi32 (v, k[i]));
  }
  _mm256_storeu_si256 ((__m256i *) places, place[0]);
  _mm256_storeu_si256 ((__m256i *) (places + 8), place[1]);
  for (int c = 0; c < QF_POINT_K; c++)
    channel[places[c]] = (uint8_t) c;
}

/* All plain, or all but two (a step holds two lanes), or none, or what there
 * is. Plain lanes come first. */
void
qf_point_find_lanes (QfPointGroup *g)
{
  const uint8_t *channel = g->channel;
  unsigned left = g->real;
  int tries = TRIES;

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
  plain_first (g->lanes, g->n);
  for (int i = 0; i < g->n; i++)
    for (int j = 0; j < g->lanes[i].n; j++)
      if (g->lanes[i].channel[j] != QF_POINT_NONE)
        g->lanes[i].channel[j] = channel[g->lanes[i].channel[j]];
}

/* 16 rows of 16 bytes to 16 columns: four times, rows i and i + 8 interleaved
 * become rows 2i and 2i + 1. */
static void
transpose (__m128i *v)
{
  __m128i t[16];

  for (int round = 0; round < 4; round++) {
    memcpy (t, v, sizeof t);
    for (int i = 0; i < 8; i++) {
      v[2 * i] = _mm_unpacklo_epi8 (t[i], t[i + 8]);
      v[2 * i + 1] = _mm_unpackhi_epi8 (t[i], t[i + 8]);
    }
  }
}

/* Σ w² of 16 columns of 16 rows, times 16, to @key in order. */
static void
add_squares (const __m128i *rows, __m256i key[2])
{
  __m256i a = _mm256_setzero_si256 (), b = a;

  for (int i = 0; i < 16; i += 2) {
    __m256i p = _mm256_cvtepi8_epi16 (rows[i]);
    __m256i q = _mm256_cvtepi8_epi16 (rows[i + 1]);
    __m256i lo = _mm256_unpacklo_epi16 (p, q);
    __m256i hi = _mm256_unpackhi_epi16 (p, q);

    a = _mm256_add_epi32 (a, _mm256_madd_epi16 (lo, lo));
    b = _mm256_add_epi32 (b, _mm256_madd_epi16 (hi, hi));
  }
  a = _mm256_slli_epi32 (a, 4);
  b = _mm256_slli_epi32 (b, 4);
  key[0] = _mm256_permute2x128_si256 (a, b, 0x20);
  key[1] = _mm256_permute2x128_si256 (a, b, 0x31);
}

void
qf_point_load_group (const QfConvShape *s, const int8_t *w, int o, int k,
    int k0, QfPointGroup *g)
{
  const __m128i zero = _mm_setzero_si128 ();
  const __m256i number = _mm256_setr_epi32 (0, 1, 2, 3, 4, 5, 6, 7);
  __m128i v[QF_POINT_K];
  __m256i key[2];
  int outputs = s->out_c - o < QF_POINT_Y ? s->out_c - o : QF_POINT_Y;

  for (int i = 0; i < QF_POINT_Y; i++)
    v[i] = i < outputs
        ? _mm_loadu_si128 (
              (const __m128i *) (w + (size_t) (o + i) * s->in_c + k))
        : zero;
  add_squares (v, key);
  for (int i = 0; i < 2; i++) /* channels before k0: all bits but the lowest */
    key[i] = _mm256_or_si256 (key[i],
        _mm256_andnot_si256 (_mm256_set1_epi32 (15),
            _mm256_cmpgt_epi32 (_mm256_set1_epi32 (k0 - k - 8 * i), number)));
  sort_group (key, g->channel);
  transpose (v);
  g->real = (1u << (QF_POINT_K - (k0 - k))) - 1;
  for (int c = 0; c < QF_POINT_K; c++) {
    __m128i u, up, down;

    _mm_storeu_si128 ((__m128i *) g->code[c], v[c]);
    u = v[g->channel[c]];
    up = _mm_max_epi8 (u, zero);
    down = _mm_max_epi8 (_mm_sub_epi8 (zero, u), zero);
    g->w[c][0] = _mm256_set_m128i (down, up);
    g->w[c][1] = _mm256_set_m128i (up, down);
  }
}
