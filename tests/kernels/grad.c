/* qfuse tests: training's kernels, each tier against a naive evaluation.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/rng.h"
#include "kernels/grad.h"

#include <glib.h>
#include <string.h>

static const char *const tiers[] = { "c", "avx2", "avx512vnni" };

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
    int pixels = 1 + (int) qf_rng_below (rng, 30);
    int ch = 1 + (int) qf_rng_below (rng, 40), n = pixels * ch;
    g_autofree guint8 *codes = g_malloc (n);
    g_autofree gint32 *a = g_new (gint32, n);
    g_autofree float *grad = random_floats (rng, n);
    g_autofree float *k = random_floats (rng, 5 * ch);
    g_autofree float *dz = random_floats (rng, n);
    g_autofree float *xhat = random_floats (rng, n);
    g_autofree float *sums = g_new0 (float, 2 * ch);
    g_autofree float *want = g_new0 (float, 2 * ch);

    for (int i = 0; i < n; i++) {
      codes[i] = (guint8) qf_rng_below (rng, 256);
      a[i] = (gint32) qf_rng_below (rng, 2000000) - 1000000;
    }
    kern->dz_xhat_u8 (codes, 20, 200, grad, a, k, k + ch, dz, xhat, pixels, ch);
    for (int i = 0; i < n; i++) {
      volatile float product = (float) a[i] * k[i % ch];
      volatile float x = product + k[ch + i % ch];
      float d = codes[i] > 20 && codes[i] < 200 ? grad[i] : 0;

      g_assert_cmpfloat (dz[i], ==, d);
      g_assert_cmpfloat (xhat[i], ==, x);
      product = d * x;
      want[i % ch] += d;
      want[ch + i % ch] += product;
    }
    kern->bn_sums_f32 (dz, xhat, pixels, ch, sums, sums + ch);
    g_assert_cmpmem (
        sums, sizeof (float) * 2 * ch, want, sizeof (float) * 2 * ch);
    kern->bn_dy_f32 (dz, xhat, k + 2 * ch, k + 3 * ch, k + 4 * ch, pixels, ch);
    for (int i = 0; i < n; i++) {
      int c = i % ch;
      float d = codes[i] > 20 && codes[i] < 200 ? grad[i] : 0;
      volatile float product = xhat[i] * k[4 * ch + c];
      volatile float inner = d - k[3 * ch + c];

      inner = inner - product;
      g_assert_cmpfloat (dz[i], ==, k[2 * ch + c] * inner);
    }
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
