/* libqfuse: scaling of one 8-bit plane in whole numbers.
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Each direction gives a pixel as a weighted sum of source pixels with whole
 * weights that sum to D (docs/numerics.md, V4 to V6). The loops are in
 * lib/kernels. */
#include "vision/scale.h"

#include "kernels/kernels.h"

#define MAX_SIZE 32767

/* Luma of one band: it stays in the second cache beside the picture's rows. */
#define BAND_BYTES (96 * 1024)

struct _QfScaler
{
  QfScale shape;
  const QfKernels *kernels;
  void *packed, *scratch;
  guint8 *band; /* luma of band_rows source rows, NULL before it is needed */
  int band_rows;
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
shrink_weights (QfScaleAxis *a, int m, int n)
{
  guint16 *starts = g_new0 (guint16, (gsize) a->dst), *weights;

  a->sum = (guint32) m;
  /* The start is a multiple of 1/n in a pixel, (n − 1)/n at most. */
  a->taps = MIN ((m + n - 1 + n - 1) / n, a->src);
  weights = g_new0 (guint16, (gsize) a->dst * a->taps);
  a->first = starts;
  a->weight = weights;
  for (int i = 0; i < a->dst; i++) {
    gint64 from = (gint64) i * m, to = from + m;
    int first = MIN ((int) (from / n), a->src - a->taps);

    starts[i] = (guint16) first;
    for (int t = 0; t < a->taps; t++) {
      gint64 lo = MAX (from, (gint64) (first + t) * n);
      gint64 hi = MIN (to, (gint64) (first + t + 1) * n);

      weights[(gsize) i * a->taps + t] = (guint16) MAX (hi - lo, 0);
    }
  }
}

/* The centre of pixel i lies at ((2i + 1)·m − n) / 2n source pixels. */
static void
grow_weights (QfScaleAxis *a, int m, int n)
{
  guint16 *starts = g_new0 (guint16, (gsize) a->dst), *w;

  a->sum = 2 * (guint32) n;
  a->taps = MIN (2, a->src);
  w = g_new0 (guint16, (gsize) a->dst * a->taps);
  a->first = starts;
  a->weight = w;
  for (int i = 0; i < a->dst; i++, w += a->taps) {
    gint64 at = (2 * (gint64) i + 1) * m - n;

    /* Beyond the outer pixels' centres the outer pixel is repeated. */
    at = CLAMP (at, 0, (gint64) (a->src - 1) * 2 * n);
    starts[i] = (guint16) MIN (at / (2 * n), a->src - a->taps);
    at -= (gint64) starts[i] * 2 * n;
    w[0] = (guint16) (2 * n - at);
    if (a->taps == 2)
      w[1] = (guint16) at;
  }
}

static void
axis_init (QfScaleAxis *a, int src, int dst)
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
axis_clear (QfScaleAxis *a)
{
  g_free ((gpointer) a->first);
  g_free ((gpointer) a->weight);
}

QfScaler *
qf_scaler_new (int src_w, int src_h, int dst_w, int dst_h)
{
  QfScaler *s;

  g_return_val_if_fail (src_w > 0 && src_w <= MAX_SIZE, NULL);
  g_return_val_if_fail (src_h > 0 && src_h <= MAX_SIZE, NULL);
  g_return_val_if_fail (dst_w > 0 && dst_w <= MAX_SIZE, NULL);
  g_return_val_if_fail (dst_h > 0 && dst_h <= MAX_SIZE, NULL);

  s = g_new0 (QfScaler, 1);
  s->kernels = qf_kernels ();
  axis_init (&s->shape.x, src_w, dst_w);
  axis_init (&s->shape.y, src_h, dst_h);
  s->packed = g_malloc (s->kernels->scale_packed_size (&s->shape));
  s->kernels->scale_pack (&s->shape, s->packed);
  s->scratch = g_malloc (s->kernels->scale_scratch_size (&s->shape));
  return s;
}

void
qf_scaler_free (QfScaler *s)
{
  if (!s)
    return;
  axis_clear (&s->shape.x);
  axis_clear (&s->shape.y);
  g_free (s->packed);
  g_free (s->scratch);
  g_free (s->band);
  g_free (s);
}

void
qf_scaler_run (
    QfScaler *s, const guint8 *src, int src_stride, guint8 *dst, int dst_stride)
{
  src += (gssize) s->shape.y.first[0] * src_stride;
  s->kernels->scale_u8 (&s->shape, s->packed, src, src_stride, dst, dst_stride,
      0, s->shape.y.dst, s->scratch);
}

void
qf_scaler_run_luma (
    QfScaler *s, const QfImage *image, guint8 *dst, int dst_stride)
{
  const QfScaleAxis *y = &s->shape.y;
  const int width = s->shape.x.src;

  if (qf_image_is_luma (image)) {
    qf_scaler_run (s, image->data, image->stride, dst, dst_stride);
    return;
  }
  if (!s->band) {
    s->band_rows = MAX (BAND_BYTES / width, y->taps);
    s->band = g_malloc ((gsize) s->band_rows * width);
  }
  for (int row0 = 0, row1; row0 < y->dst; row0 = row1) {
    int first = y->first[row0], end = first + y->taps;

    for (row1 = row0 + 1; row1 < y->dst; row1++) {
      if (y->first[row1] + y->taps - first > s->band_rows)
        break;
      end = y->first[row1] + y->taps;
    }
    qf_image_luma (image, first, end - first, s->band, width);
    s->kernels->scale_u8 (&s->shape, s->packed, s->band, width,
        dst + (gssize) row0 * dst_stride, dst_stride, row0, row1, s->scratch);
  }
}
