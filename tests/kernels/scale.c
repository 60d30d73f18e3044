/* Kernel tests: scaling of a plane.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

/* Sums at and beside the bounds of what 8, 15 and 16 bits hold. */
static const int sums[] = { 1, 2, 3, 6, 10, 63, 64, 127, 128, 129, 130, 200,
  256, 257, 258, 999, 4096, 8191, 32767, 32768, 65534 };

/* Weights of one pixel that sum to @sum: even, all in one tap, all in two
 * neighbours, or at random. */
static void
fill_weights (QfRng *rng, uint16_t *w, int taps, int sum, int kind)
{
  memset (w, 0, (size_t) taps * sizeof *w);
  if (kind == 0) {
    for (int t = 0; t < taps; t++)
      w[t] = (uint16_t) (sum / taps + (t < sum % taps));
  } else if (kind == 1) {
    w[check_int (rng, 0, taps - 1)] = (uint16_t) sum;
  } else if (kind == 2 && taps > 1) {
    int t = check_int (rng, 0, taps - 2);

    w[t] = (uint16_t) (sum / 2);
    w[t + 1] = (uint16_t) (sum - sum / 2);
  } else {
    for (int left = sum; left > 0;) {
      int part = check_int (rng, 1, left);

      w[check_int (rng, 0, taps - 1)] += (uint16_t) part;
      left -= part;
    }
  }
}

static void
make_axis (QfRng *rng, QfScaleAxis *a, int src, int dst, int sum)
{
  int most = check_int (rng, 0, 3) ? 12 : 60, kind = check_int (rng, 0, 3);
  uint16_t *first, *weight;

  a->src = src;
  a->dst = dst;
  a->sum = (uint32_t) sum;
  a->taps = check_int (rng, 1, src < most ? src : most);
  first = check_alloc (rng, (size_t) dst * sizeof *first);
  weight = check_alloc (rng, (size_t) dst * a->taps * sizeof *weight);
  for (int i = 0; i < dst; i++) {
    first[i] = (uint16_t) (i == dst - 1 ? src - a->taps
                                        : check_int (rng, 0, src - a->taps));
    fill_weights (rng, weight + (size_t) i * a->taps, a->taps, sum, kind);
  }
  a->first = first;
  a->weight = weight;
}

/* What sums of 1 both ways are: a copy. */
static void
make_copy (QfRng *rng, QfScaleAxis *a, int n)
{
  uint16_t *first = check_alloc (rng, (size_t) n * sizeof *first);
  uint16_t *weight = check_alloc (rng, (size_t) n * sizeof *weight);

  for (int i = 0; i < n; i++) {
    first[i] = (uint16_t) i;
    weight[i] = 1;
  }
  *a = (QfScaleAxis){ n, n, 1, 1, first, weight };
}

static int
free_axis (const QfScaleAxis *a)
{
  return check_free ((void *) a->first, "first") &
      check_free ((void *) a->weight, "weight");
}

static uint8_t
naive (const QfScale *s, const uint8_t *src, int stride, int x, int y)
{
  uint64_t total = 0, d = (uint64_t) s->x.sum * s->y.sum;

  for (int i = 0; i < s->y.taps; i++) {
    const uint8_t *p = src + (size_t) (s->y.first[y] + i) * stride;
    uint64_t row = 0;

    for (int t = 0; t < s->x.taps; t++)
      row += (uint64_t) s->x.weight[(size_t) x * s->x.taps + t] *
          p[s->x.first[x] + t];
    total += row * s->y.weight[(size_t) y * s->y.taps + i];
  }
  return (uint8_t) ((2 * total + d) / (2 * d));
}

static int
check_picture (const QfKernels *k, QfRng *rng, const QfScale *s, int data)
{
  int stride = s->x.src + check_int (rng, 0, 9);
  int dst_stride = s->x.dst + check_int (rng, 0, 9);
  size_t n = (size_t) stride * (s->y.src - 1) + s->x.src;
  size_t dst_n = (size_t) dst_stride * (s->y.dst - 1) + s->x.dst;
  uint8_t *src = check_alloc (rng, n), *dst = check_alloc (rng, dst_n);
  void *packed = check_alloc (rng, k->scale_packed_size (s));
  void *scratch = check_alloc (rng, k->scale_scratch_size (s));
  int cut = check_int (rng, 0, s->y.dst), ok = 1;

  if (data < 2)
    check_codes (rng, src, n, data);
  else
    memset (src, 255, n);
  memset (dst, 0x5a, dst_n);
  k->scale_pack (s, packed);
  if (cut > 0)
    k->scale_u8 (s, packed, src + (size_t) s->y.first[0] * stride, stride, dst,
        dst_stride, 0, cut, scratch);
  if (cut < s->y.dst)
    k->scale_u8 (s, packed, src + (size_t) s->y.first[cut] * stride, stride,
        dst + (size_t) cut * dst_stride, dst_stride, cut, s->y.dst, scratch);
  for (int y = 0; y < s->y.dst; y++)
    for (int x = 0; x < dst_stride; x++) {
      size_t at = (size_t) y * dst_stride + x;

      if (at < dst_n)
        ok &= dst[at] == (x < s->x.dst ? naive (s, src, stride, x, y) : 0x5a);
    }
  return ok & check_free (src, "src") & check_free (dst, "dst") &
      check_free (packed, "packed") & check_free (scratch, "scratch");
}

int
check_scale (const QfKernels *k, QfRng *rng)
{
  enum
  {
    N_SUMS = sizeof sums / sizeof sums[0],
    N_CASES = 6 * N_SUMS * N_SUMS
  };

  for (int i = 0, n_rounds = check_rounds (N_CASES); i < n_rounds; i++) {
    int at = (int) ((int64_t) i * N_CASES / n_rounds);
    int sum_x = sums[at % N_SUMS], sum_y = sums[at / N_SUMS % N_SUMS];
    QfScale s;
    int ok;

    if (sum_x == 1 && sum_y == 1) {
      make_copy (rng, &s.x, check_int (rng, 1, 150));
      make_copy (rng, &s.y, check_int (rng, 1, 5));
    } else {
      make_axis (
          rng, &s.x, check_int (rng, 1, 150), check_int (rng, 1, 40), sum_x);
      make_axis (
          rng, &s.y, check_int (rng, 1, 70), check_int (rng, 1, 5), sum_y);
    }
    ok = check_picture (k, rng, &s, i % 3);
    ok &= free_axis (&s.x) & free_axis (&s.y);
    if (!ok)
      return CHECK_FAIL ("%dx%d to %dx%d, taps %d %d, sums %d %d", s.x.src,
          s.y.src, s.x.dst, s.y.dst, s.x.taps, s.y.taps, sum_x, sum_y);
  }
  return 1;
}
