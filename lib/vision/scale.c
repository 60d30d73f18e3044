/* libqfuse: scaling of one 8-bit plane in whole numbers.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each direction gives a pixel as a weighted sum of source pixels with whole
 * weights that sum to D; both together: floor(sum / (Dx·Dy) + 1/2), rounded
 * once (docs/numerics.md, V4 to V6). Rows are summed first, over whole source
 * rows, then columns. */
#include "vision/scale.h"

#include <string.h>

#define MAX_SIZE 32767

/* The weights of one direction: pixel i is Σ weight[i·taps + t]·src[first[i] +
 * t] over t < taps, divided by sum. All first[i] + taps ≤ src. */
typedef struct
{
  int src, dst;
  int taps;
  guint32 sum; /* D ≤ 65534: src when shrinking, 2·dst when growing, reduced */
  guint16 *first, *weight;
} Axis;

struct _QfScaler
{
  Axis x, y;
  gboolean narrow; /* 255·Dy fits 16 bits */
  gboolean wide;   /* 255·Dx·Dy + half does not fit 32 bits */
  guint32 *row;    /* [src_w] column sums, of 16 bits where narrow */
};

static int
gcd (int a, int b)
{
  while (b) {
    int t = a % b;

    a = b;
    b = t;
  }
  return a;
}

/* Pixel i covers [i·m, (i + 1)·m) where a source pixel j covers [j·n, (j +
 * 1)·n) (m, n: sizes divided by their common divisor); weights are the
 * overlaps. */
static void
shrink_weights (Axis *a, int m, int n)
{
  a->sum = (guint32) m;
  /* The start is a multiple of 1/n in a pixel, (n − 1)/n at most. */
  a->taps = MIN ((m + n - 1 + n - 1) / n, a->src);
  a->first = g_new0 (guint16, (gsize) a->dst);
  a->weight = g_new0 (guint16, (gsize) a->dst * a->taps);
  for (int i = 0; i < a->dst; i++) {
    gint64 from = (gint64) i * m, to = from + m;
    int first = MIN ((int) (from / n), a->src - a->taps);

    a->first[i] = (guint16) first;
    for (int t = 0; t < a->taps; t++) {
      gint64 lo = MAX (from, (gint64) (first + t) * n);
      gint64 hi = MIN (to, (gint64) (first + t + 1) * n);

      a->weight[(gsize) i * a->taps + t] = (guint16) MAX (hi - lo, 0);
    }
  }
}

/* The centre of pixel i lies at ((2i + 1)·m − n) / 2n source pixels. */
static void
grow_weights (Axis *a, int m, int n)
{
  a->sum = 2 * (guint32) n;
  a->taps = MIN (2, a->src);
  a->first = g_new0 (guint16, (gsize) a->dst);
  a->weight = g_new0 (guint16, (gsize) a->dst * a->taps);
  for (int i = 0; i < a->dst; i++) {
    gint64 at = (2 * (gint64) i + 1) * m - n;
    guint16 *w = a->weight + (gsize) i * a->taps;

    /* Beyond the outer pixels' centres the outer pixel is repeated. */
    at = CLAMP (at, 0, (gint64) (a->src - 1) * 2 * n);
    a->first[i] = (guint16) MIN (at / (2 * n), a->src - a->taps);
    at -= (gint64) a->first[i] * 2 * n;
    w[0] = (guint16) (2 * n - at);
    if (a->taps == 2)
      w[1] = (guint16) at;
  }
}

static void
axis_init (Axis *a, int src, int dst)
{
  int divisor = gcd (src, dst);

  a->src = src;
  a->dst = dst;
  if (dst <= src)
    shrink_weights (a, src / divisor, dst / divisor);
  else
    grow_weights (a, src / divisor, dst / divisor);
}

static void
axis_clear (Axis *a)
{
  g_free (a->first);
  g_free (a->weight);
}

QfScaler *
qf_scaler_new (int src_w, int src_h, int dst_w, int dst_h)
{
  QfScaler *s;
  guint64 divisor;

  g_return_val_if_fail (src_w > 0 && src_w <= MAX_SIZE, NULL);
  g_return_val_if_fail (src_h > 0 && src_h <= MAX_SIZE, NULL);
  g_return_val_if_fail (dst_w > 0 && dst_w <= MAX_SIZE, NULL);
  g_return_val_if_fail (dst_h > 0 && dst_h <= MAX_SIZE, NULL);

  s = g_new0 (QfScaler, 1);
  axis_init (&s->x, src_w, dst_w);
  axis_init (&s->y, src_h, dst_h);
  divisor = (guint64) s->x.sum * s->y.sum;
  s->narrow = 255 * s->y.sum <= G_MAXUINT16;
  s->wide = 255 * divisor + divisor / 2 > G_MAXUINT32;
  s->row = g_new (guint32, (gsize) src_w);
  return s;
}

void
qf_scaler_free (QfScaler *s)
{
  if (!s)
    return;
  axis_clear (&s->x);
  axis_clear (&s->y);
  g_free (s->row);
  g_free (s);
}

/* Weighted sums of source rows: row[x] = Σ w[t]·src[t][x] ≤ 255·Dy. Two rows at
 * a time halve the traffic of the sums. */
#define SUM_ROWS(name, type)                                                   \
  static void name (const guint8 *restrict src, int stride, const guint16 *w,  \
      int taps, int width, type *restrict row)                                 \
  {                                                                            \
    int t = 0;                                                                 \
                                                                               \
    if (taps & 1) {                                                            \
      type w0 = w[0];                                                          \
                                                                               \
      for (int x = 0; x < width; x++)                                          \
        row[x] = (type) (w0 * src[x]);                                         \
      t = 1;                                                                   \
    } else {                                                                   \
      memset (row, 0, (gsize) width * sizeof *row);                            \
    }                                                                          \
    for (; t < taps; t += 2) {                                                 \
      const guint8 *a = src + (gssize) t * stride, *b = a + stride;            \
      type wa = w[t], wb = w[t + 1];                                           \
                                                                               \
      for (int x = 0; x < width; x++)                                          \
        row[x] = (type) (row[x] + (type) (wa * a[x]) + (type) (wb * b[x]));    \
    }                                                                          \
  }

SUM_ROWS (sum_rows_16, guint16)
SUM_ROWS (sum_rows_32, guint32)

/* floor(sum/D + 1/2) for sum ≤ 255·D as a product: sum + half + 1/2 is exact in
 * double, its quotient by D < 2^32 at least 2^-33 away from any whole number,
 * and the product is off by less than 2^-43. */
static inline guint8
divide (guint64 sum, guint64 half, double inverse)
{
  return (guint8) (gint32) (((double) (gint64) (sum + half) + 0.5) * inverse);
}

/* Weighted sums of columns, divided. Inlined with a constant number of taps. */
#define SUM_COLUMNS(name, row_type, sum_type)                                  \
  static inline __attribute__ ((always_inline)) void name##_taps (             \
      const row_type *restrict row, const Axis *a, int taps, guint64 half,     \
      double inverse, guint8 *restrict dst)                                    \
  {                                                                            \
    const guint16 *w = a->weight;                                              \
                                                                               \
    for (int i = 0; i < a->dst; i++, w += taps) {                              \
      const row_type *p = row + a->first[i];                                   \
      sum_type sum = 0;                                                        \
                                                                               \
      for (int t = 0; t < taps; t++)                                           \
        sum += (sum_type) w[t] * p[t];                                         \
      dst[i] = divide (sum, half, inverse);                                    \
    }                                                                          \
  }                                                                            \
                                                                               \
  static void name (const row_type *restrict row, const Axis *a, guint64 half, \
      double inverse, guint8 *restrict dst)                                    \
  {                                                                            \
    switch (a->taps) {                                                         \
      case 1:                                                                  \
        name##_taps (row, a, 1, half, inverse, dst);                           \
        break;                                                                 \
      case 2:                                                                  \
        name##_taps (row, a, 2, half, inverse, dst);                           \
        break;                                                                 \
      case 3:                                                                  \
        name##_taps (row, a, 3, half, inverse, dst);                           \
        break;                                                                 \
      case 4:                                                                  \
        name##_taps (row, a, 4, half, inverse, dst);                           \
        break;                                                                 \
      default:                                                                 \
        name##_taps (row, a, a->taps, half, inverse, dst);                     \
    }                                                                          \
  }

SUM_COLUMNS (sum_columns_16, guint16, guint32)
SUM_COLUMNS (sum_columns_32, guint32, guint32)
SUM_COLUMNS (sum_columns_wide, guint32, guint64)

void
qf_scaler_run (
    QfScaler *s, const guint8 *src, int src_stride, guint8 *dst, int dst_stride)
{
  const Axis *x = &s->x, *y = &s->y;
  guint64 divisor = (guint64) x->sum * y->sum;
  double inverse = 1.0 / (double) divisor;

  for (int i = 0; i < y->dst; i++) {
    const guint8 *from = src + (gssize) y->first[i] * src_stride;
    const guint16 *w = y->weight + (gsize) i * y->taps;
    guint8 *to = dst + (gssize) i * dst_stride;

    if (divisor == 1) {
      memcpy (to, from, (gsize) x->dst);
    } else if (s->narrow && !s->wide) {
      guint16 *row = (guint16 *) s->row;

      sum_rows_16 (from, src_stride, w, y->taps, x->src, row);
      sum_columns_16 (row, x, divisor / 2, inverse, to);
    } else {
      sum_rows_32 (from, src_stride, w, y->taps, x->src, s->row);
      if (s->wide)
        sum_columns_wide (s->row, x, divisor / 2, inverse, to);
      else
        sum_columns_32 (s->row, x, divisor / 2, inverse, to);
    }
  }
}
