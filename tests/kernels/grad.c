/* qfuse tests: training's kernels, each tier against a naive evaluation.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/rng.h"
#include "kernels/grad.h"

#include <glib.h>
#include <math.h>
#include <string.h>

static const char *const tiers[] = { "c", "avx2", "avxvnni", "avx512vnni" };

static guint64
seed (void)
{
  const char *text = g_getenv ("QFUSE_TEST_SEED");
  guint64 s = text ? g_ascii_strtoull (text, NULL, 10) : 7;

  g_test_message ("QFUSE_TEST_SEED=%" G_GUINT64_FORMAT, s);
  return s;
}

static float *
random_floats (QfRng *rng, gsize n)
{
  float *v = g_new (float, n);

  for (gsize i = 0; i < n; i++)
    v[i] = (float) (2 * qf_rng_uniform (rng) - 1);
  return v;
}

/* The definition: one sum in rising order, no contraction. */
static void
naive_gemm (int m, int n, int k, const float *a, ptrdiff_t ar, ptrdiff_t ac,
    const float *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc)
{
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++) {
      volatile float s = c[i * ldc + j];

      for (int p = 0; p < k; p++) {
        volatile float product = a[i * ar + p * ac] * b[p * ldb + j];

        s = s + product;
      }
      c[i * ldc + j] = s;
    }
}

static void
check_gemm (const QfGradKernels *kern, QfRng *rng)
{
  for (int round = 0; round < 300; round++) {
    int m = 1 + (int) qf_rng_below (rng, 13), k = (int) qf_rng_below (rng, 40);
    int n = 1 + (int) qf_rng_below (rng, 70);
    int ldb = n + (int) qf_rng_below (rng, 5);
    int ldc = n + (int) qf_rng_below (rng, 5);
    gboolean turned = qf_rng_below (rng, 2);
    ptrdiff_t ar = turned ? 1 : k + 1, ac = turned ? m + 2 : 1;
    g_autofree float *a = random_floats (rng, (gsize) (m + 2) * (k + 2));
    g_autofree float *b = random_floats (rng, (gsize) ldb * (k + 1));
    g_autofree float *c = random_floats (rng, (gsize) ldc * m);
    g_autofree float *want = g_memdup2 (c, sizeof (float) * ldc * m);

    kern->gemm_f32 (m, n, k, a, ar, ac, b, ldb, c, ldc);
    naive_gemm (m, n, k, a, ar, ac, b, ldb, want, ldc);
    /* Columns past n are guards. */
    g_assert_cmpmem (
        c, sizeof (float) * ldc * m, want, sizeof (float) * ldc * m);
  }
}

static void
check_stats (const QfGradKernels *kern, QfRng *rng)
{
  for (int round = 0; round < 100; round++) {
    int pixels = 1 + (int) qf_rng_below (rng, 50);
    int ch = 1 + (int) qf_rng_below (rng, 40);
    g_autofree gint32 *a = g_new (gint32, pixels * ch);
    g_autofree gint64 *sum = g_new0 (gint64, 2 * ch);
    g_autofree gint32 *lim = g_new0 (gint32, 2 * ch);

    for (int i = 0; i < pixels * ch; i++)
      a[i] = (gint32) (qf_rng_next (rng) >> 35) - (1 << 28); /* 50·2^56 < 2^63 */
    kern->stats_s32 (a, pixels, ch, sum, sum + ch, lim, lim + ch);
    for (int c = 0; c < ch; c++) {
      gint64 s = 0, s2 = 0;
      gint32 lo = 0, hi = 0;

      for (int p = 0; p < pixels; p++) {
        gint32 v = a[p * ch + c];

        s += v;
        s2 += (gint64) v * v;
        lo = MIN (lo, v);
        hi = MAX (hi, v);
      }
      g_assert_cmpint (sum[c], ==, s);
      g_assert_cmpint (sum[ch + c], ==, s2);
      g_assert_cmpint (lim[c], ==, lo);
      g_assert_cmpint (lim[ch + c], ==, hi);
    }
  }
}

static void
check_batch_norm (const QfGradKernels *kern, QfRng *rng)
{
  for (int round = 0; round < 100; round++) {
    int pixels = 1 + (int) qf_rng_below (rng, 70);
    int ch = 1 + (int) qf_rng_below (rng, 40), all = pixels * ch;
    int first = (int) qf_rng_below (rng, (guint32) ch), n = ch - first;
    int blocks = (n + QF_GRAD_LANES - 1) / QF_GRAD_LANES;
    int plane = (pixels + (int) qf_rng_below (rng, 3)) * QF_GRAD_LANES;
    int floats = (blocks * plane + QF_GRAD_LANES);
    g_autofree guint8 *codes = g_malloc (all);
    g_autofree gint32 *a = g_new (gint32, all);
    g_autofree float *grad = random_floats (rng, all);
    g_autofree float *k = random_floats (rng, 2 * ch + 3 * QF_GRAD_LANES * blocks);
    g_autofree float *dy = random_floats (rng, floats);
    g_autofree float *dy_want
        = g_memdup2 (dy, sizeof (float) * floats);
    g_autofree float *sums = random_floats (rng, 2 * ch + 1);
    g_autofree float *want = g_memdup2 (sums, sizeof (float) * (2 * ch + 1));
    const float *kd = k + 2 * ch;

    for (int i = 0; i < all; i++) {
      codes[i] = (guint8) qf_rng_below (rng, 256);
      a[i] = (gint32) qf_rng_below (rng, 200000000) - 100000000;
    }
    for (int i = 0; i < all; i++) {
      int c = i % ch, lane = c - first, p = i / ch;
      float dz = codes[i] > 20 && codes[i] < 200 ? grad[i] : 0;

      want[c] += dz;
      want[ch + c]
          = fmaf (dz, fmaf ((float) a[i], k[c], k[ch + c]), want[ch + c]);
      if (lane >= 0) {
        const float *kl = kd + lane / 16 * 48 + lane % 16;

        dy_want[lane / 16 * plane + p * 16 + lane % 16]
            = fmaf ((float) a[i], kl[32], fmaf (dz, kl[0], kl[16]));
      }
    }
    for (int p = 0; p < pixels; p++)
      for (int c = n; c < blocks * QF_GRAD_LANES; c++)
        dy_want[c / 16 * plane + p * 16 + c % 16] = 0;
    kern->bn_sums_s32 (codes, 20, 200, grad, a, k, k + ch, pixels, ch, sums,
        sums + ch);
    g_assert_cmpmem (sums, sizeof (float) * (2 * ch + 1), want,
        sizeof (float) * (2 * ch + 1));
    kern->bn_dy_s32 (codes + first, 20, 200, grad + first, a + first, ch, kd,
        dy, plane, pixels, n);
    g_assert_cmpmem (dy, sizeof (float) * floats, dy_want,
        sizeof (float) * floats);
  }
}

static void
check_offset (const QfGradKernels *kern, QfRng *rng)
{
  for (int round = 0; round < 100; round++) {
    int pixels = 1 + (int) qf_rng_below (rng, 20);
    int n = 1 + (int) qf_rng_below (rng, QF_GRAD_LANES);
    int block = n + (int) qf_rng_below (rng, 3);
    int step = qf_rng_below (rng, 3) ? n + (int) qf_rng_below (rng, 20) : n;
    int zero = (int) qf_rng_below (rng, 256), floats = pixels * block + 3;
    g_autofree guint8 *x = g_malloc (pixels * step);
    g_autofree float *y = random_floats (rng, floats);
    g_autofree float *want = g_memdup2 (y, sizeof (float) * floats);

    for (int i = 0; i < pixels * step; i++)
      x[i] = (guint8) qf_rng_below (rng, 256);
    for (int p = 0; p < pixels; p++)
      for (int i = 0; i < n; i++)
        want[p * block + i] = (float) (x[p * step + i] - zero);
    kern->offset_u8_f32 (x, step, zero, y, block, pixels, n);
    g_assert_cmpmem (y, sizeof (float) * floats, want, sizeof (float) * floats);
  }
}

/* The definitions of both input gradients; columns past @n are guards. */
static void
check_dx (const QfGradKernels *kern, QfRng *rng, gboolean depthwise)
{
  for (int round = 0; round < 300; round++) {
    int m = 1 + (int) qf_rng_below (rng, 40);
    int n_taps = (int) qf_rng_below (rng, 10);
    int depth = 1 + (int) qf_rng_below (rng, QF_GRAD_LANES);
    int n = qf_rng_below (rng, 2) ? QF_GRAD_LANES
                                  : 1 + (int) qf_rng_below (rng, QF_GRAD_LANES);
    int step = n + (int) qf_rng_below (rng, 20), area = 600, weights = 4096;
    int add = (int) qf_rng_below (rng, 2);
    gsize bytes = sizeof (float) * ((gsize) m * step + 4);
    g_autofree float *a = random_floats (rng, area + m * QF_GRAD_LANES);
    g_autofree float *w = random_floats (rng, weights);
    g_autofree float *c = random_floats (rng, bytes / sizeof (float));
    g_autofree float *want = g_memdup2 (c, bytes);
    QfGradTap taps[10];

    for (int t = 0; t < n_taps; t++) {
      taps[t].a = (ptrdiff_t) qf_rng_below (rng, area - QF_GRAD_LANES);
      taps[t].w = (ptrdiff_t) qf_rng_below (rng, weights - 256);
    }
    for (int i = 0; i < m; i++)
      for (int j = 0; j < n; j++) {
        float s = add ? want[i * step + j] : 0;

        for (int t = 0; t < n_taps; t++) {
          const float *p = a + taps[t].a + i * QF_GRAD_LANES;

          for (int o = 0; !depthwise && o < depth; o++)
            s = fmaf (p[o], w[taps[t].w + o * QF_GRAD_LANES + j], s);
          if (depthwise)
            s = fmaf (p[j], w[taps[t].w + j], s);
        }
        want[i * step + j] = s;
      }
    if (depthwise)
      kern->dwconv_dx_f32 (m, taps, n_taps, a, w, c, step, n, add);
    else
      kern->conv_dx_f32 (m, taps, n_taps, depth, a, w, c, step, n, add);
    g_assert_cmpmem (c, bytes, want, bytes);
  }
}

/* The same for weights. */
static void
check_dw (const QfGradKernels *kern, QfRng *rng, gboolean depthwise)
{
  for (int round = 0; round < 300; round++) {
    int m = 1 + (int) qf_rng_below (rng, 30);
    QfGradArea e = { 1 + (int) qf_rng_below (rng, 4),
      1 + (int) qf_rng_below (rng, 20), (ptrdiff_t) qf_rng_below (rng, 400),
      (ptrdiff_t) qf_rng_below (rng, 40), 0 };
    gsize bytes = sizeof (float) * ((gsize) m * QF_GRAD_LANES + 4);
    ptrdiff_t off[30];
    g_autofree float *a = NULL, *b = NULL;
    g_autofree float *c = random_floats (rng, bytes / sizeof (float));
    g_autofree float *want = g_memdup2 (c, bytes);

    e.b_row = e.cols * QF_GRAD_LANES + (ptrdiff_t) qf_rng_below (rng, 40);
    a = random_floats (rng, 200 + QF_GRAD_LANES
            + (gsize) (e.rows * e.a_row + e.cols * e.a_col));
    b = random_floats (rng, (gsize) (e.rows * e.b_row));
    for (int r = 0; r < m; r++)
      off[r] = (ptrdiff_t) qf_rng_below (rng, 200);
    for (int r = 0; r < m; r++)
      for (int j = 0; j < QF_GRAD_LANES; j++)
        for (int y = 0; y < e.rows; y++)
          for (int x = 0; x < e.cols; x++)
            want[r * QF_GRAD_LANES + j] = fmaf (
                a[off[r] + y * e.a_row + x * e.a_col + (depthwise ? j : 0)],
                b[y * e.b_row + x * QF_GRAD_LANES + j],
                want[r * QF_GRAD_LANES + j]);
    (depthwise ? kern->dwconv_dw_f32 : kern->conv_dw_f32) (m, off, a, &e, b, c);
    g_assert_cmpmem (c, bytes, want, bytes);
  }
}

/* (T10)'s matrices. */
static const float mat_a[4][2] = { { 1, 0 }, { 1, 1 }, { 1, -1 }, { 0, -1 } };
static const float mat_bt[4][4] = { { 1, 0, -1, 0 }, { 0, 1, 1, 0 },
  { 0, -1, 1, 0 }, { 0, 1, 0, -1 } };

/* Entry (@i, @j) of M x Mᵀ, M [4][@n] (or its transpose), x at @row, 16 apart. */
static float
sandwich (const float *m, int n, gboolean turned, int i, int j, const float *x,
    ptrdiff_t row, ptrdiff_t column)
{
  float sum = 0;

#define M(r, c) (turned ? m[(c) * 4 + (r)] : m[(r) * n + (c)])
  for (int r = 0; r < n; r++)
    for (int c = 0; c < n; c++)
      sum += M (i, r) * M (j, c) * x[r * row + c * column];
  return sum;
}

/* Whole numbers, so that no order of sums matters here: bytes of real data are
 * compared among the tiers by unit-train-backward. */
static void
check_wino (const QfGradKernels *kern, QfRng *rng)
{
  enum { L = QF_GRAD_LANES };

  for (int round = 0; round < 50; round++) {
    int tiles = 1 + (int) qf_rng_below (rng, 9), columns = 2 * tiles + 2;
    ptrdiff_t plane = tiles * L + 8, row = columns * L + 8;
    gsize n = 16 * plane, pixels = 4 * row;
    g_autofree float *x = random_floats (rng, pixels);
    g_autofree float *t = random_floats (rng, n), *got = NULL;
    g_autofree float *want = g_memdup2 (t, sizeof (float) * n);

    for (gsize i = 0; i < pixels; i++)
      x[i] = rintf (x[i] * 1000);
    for (int k = 0; k < 2; k++) {
      for (int i = 0; i < 16; i++)
        for (int p = 0; p < tiles * L; p++)
          want[i * plane + p] = sandwich (k ? mat_bt[0] : mat_a[0], k ? 4 : 2,
              FALSE, i / 4, i % 4, x + p / L * 2 * L + p % L, row, L);
      if (k)
        kern->wino_x_f32 (x, row, tiles, t, plane);
      else
        kern->wino_dy_f32 (x, row, tiles, t, plane);
      for (gsize i = 0; i < n; i++)
        g_assert_true (t[i] == want[i]);
    }
    got = g_memdup2 (x, sizeof (float) * pixels);
    for (int p = 0; p < tiles * L; p++)
      for (int i = 0; i < 16; i++)
        x[i / 4 * row + (p / L * 2 + i % 4) * L + p % L] += sandwich (
            mat_bt[0], 4, TRUE, i / 4, i % 4, t + p, 4 * plane, plane);
    kern->wino_dx_f32 (t, plane, tiles, got, row);
    g_assert_cmpmem (got, sizeof (float) * pixels, x, sizeof (float) * pixels);
  }
}

static void
test_tier (gconstpointer data)
{
  const QfGradKernels *kern = qf_grad_kernels_tier (data);
  QfRng rng = { seed () };

  if (!kern) {
    g_test_skip ("this processor or build lacks the tier");
    return;
  }
  check_gemm (kern, &rng);
  check_stats (kern, &rng);
  check_batch_norm (kern, &rng);
  check_offset (kern, &rng);
  check_wino (kern, &rng);
  for (int depthwise = 0; depthwise < 2; depthwise++) {
    check_dx (kern, &rng, depthwise);
    check_dw (kern, &rng, depthwise);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (tiers); i++) {
    g_autofree char *path = g_strdup_printf ("/kernels/grad/%s", tiers[i]);

    g_test_add_data_func (path, tiers[i], test_tier);
  }
  return g_test_run ();
}
