/* qfuse tests: the one-convolution step equals the literal two-pass one, byte for
 * byte; what is trained is what is written.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine.h"
#include "model/model-private.h"
#include "train/optimizer.h"
#include "trainnet.h"

#include <math.h>
#include <string.h>

/* An independent integer convolution: @w is [oc][kh][kw][ic/groups]. */
static void
naive_conv (const QfConvShape *s, const guint8 *x, int zero, const gint8 *w,
    gint64 *acc)
{
  int icg = s->in_c / s->groups, ocg = s->out_c / s->groups;

  for (int oy = 0; oy < s->out_h; oy++)
    for (int ox = 0; ox < s->out_w; ox++)
      for (int o = 0; o < s->out_c; o++) {
        gint64 sum = 0;

        for (int ky = 0; ky < s->kernel_h; ky++)
          for (int kx = 0; kx < s->kernel_w; kx++)
            for (int c = 0; c < icg; c++) {
              int iy = oy * s->stride_h - s->pad_top + ky * s->dilation_h;
              int ix = ox * s->stride_w - s->pad_left + kx * s->dilation_w;
              int from = o / ocg * icg + c;

              if (iy < 0 || ix < 0 || iy >= s->in_h || ix >= s->in_w)
                continue;
              sum += (gint64) w[((o * s->kernel_h + ky) * s->kernel_w + kx)
                             * icg + c]
                  * (x[(iy * s->in_w + ix) * s->in_c + from] - zero);
            }
        acc[(oy * s->out_w + ox) * s->out_c + o] = sum;
      }
}

static void
literal_quantize (const double *w, int k, gint8 *codes, double *top)
{
  *top = 0;
  for (int i = 0; i < k; i++)
    *top = MAX (*top, fabs (w[i]));
  for (int i = 0; i < k; i++)
    codes[i] = *top > 0 ? (gint8) rint (127.0 * (w[i] / *top)) : 0;
}

/* One channel of pass 1: statistics of y = s_x·s_w·a over the batch. */
static void
literal_statistics (const gint64 *acc, gsize n, int oc, int c, double k,
    double *mean, double *var)
{
  double sum = 0, spread = 0;

  for (gsize i = 0; i < n; i++)
    sum += (double) acc[i * oc + c];
  sum /= (double) n;
  for (gsize i = 0; i < n; i++) {
    double d = (double) acc[i * oc + c] - sum;

    spread += d * d;
  }
  *mean = k * sum;
  *var = k * k * (spread / (double) n);
}

/* Convolves, normalizes, fuses, quantizes the fused weights anew, convolves with
 * them, requantizes; compares with what the trainer left. Returns wrong bytes. */
static int
check_layer (QfNet *net, QfLayer *l, int n, int *wrong_codes)
{
  QfConvLayer *cv = l->conv;
  const QfConvShape *s = &cv->shape;
  const QfBlob *x = qf_net_blob (net, l->in[0]), *y = qf_net_blob (net, l->out);
  gsize in = (gsize) s->in_h * s->in_w * s->in_c;
  gsize pixels = (gsize) s->out_h * s->out_w, out = pixels * s->out_c;
  int oc = s->out_c, k = cv->k, wrong = 0;
  g_autofree gint64 *acc = g_new (gint64, out * n);
  g_autofree gint8 *codes = g_new (gint8, (gsize) oc * k);
  g_autofree gint8 *fused = g_new (gint8, (gsize) oc * k);
  g_autofree double *w = g_new (double, k);
  g_autofree float *mult = g_new (float, oc);
  g_autofree gint32 *bias = g_new (gint32, oc);
  g_autofree float *s_w = g_new (float, oc);

  for (int o = 0; o < oc; o++) {
    double top;

    for (int i = 0; i < k; i++)
      w[i] = (double) cv->weight[o * k + i];
    literal_quantize (w, k, codes + o * k, &top);
    s_w[o] = top > 0 ? (float) (top / 127) : 1.0f;
  }
  for (int i = 0; i < n; i++)
    naive_conv (s, x->codes + in * i, x->zero, codes, acc + out * i);
  for (int o = 0; o < oc; o++) {
    double mean, var, top;
    float g = 1, b = cv->beta[o], scale, unit;

    if (cv->has_bn) {
      float rstd, gm;

      literal_statistics (acc, pixels * n, oc, o,
          (double) x->scale * (double) s_w[o], &mean, &var);
      g_assert_cmpfloat_with_epsilon (mean, (double) cv->mean[o],
          1e-5 * (fabs (mean) + 1e-3));
      rstd = (float) (1 / sqrt (var + (double) cv->epsilon));
      g_assert_cmpfloat_with_epsilon (rstd, cv->rstd[o], 1e-5f * rstd);
      /* From here on with the trainer's own float statistics: two ways of
       * summing doubles may differ in the last bit. */
      g = cv->gamma[o] * cv->rstd[o];
      gm = g * cv->mean[o];
      b = cv->beta[o] - gm;
    }
    for (int i = 0; i < k; i++)
      w[i] = (double) g * (double) cv->weight[o * k + i];
    literal_quantize (w, k, fused + o * k, &top);
    for (int i = 0; i < k; i++)
      *wrong_codes += fused[o * k + i] != (g < 0 ? -1 : 1) * codes[o * k + i];
    scale = fabsf (g) * s_w[o];
    unit = x->scale * scale;
    bias[o] = (gint32) rint ((double) b / (double) unit);
    mult[o] = unit / y->scale;
  }
  for (int i = 0; i < n; i++) {
    naive_conv (s, x->codes + in * i, x->zero, fused, acc + out * i);
    for (gsize j = 0; j < out; j++) {
      int c = (int) (j % (gsize) oc);
      gint32 sum = (gint32) (acc[out * i + j] + bias[c]);
      float q = rintf ((float) sum * mult[c]) + (float) y->zero;
      float lo = l->clip ? rintf (l->clip_lo / y->scale) + (float) y->zero : 0;
      float hi = l->clip && isfinite (l->clip_hi)
          ? rintf (l->clip_hi / y->scale) + (float) y->zero : 255;

      q = CLAMP (q, MAX (lo, 0), MIN (hi, 255));
      wrong += (guint8) q != y->codes[out * i + j];
    }
  }
  return wrong;
}

static void
test_one_convolution (void)
{
  QfRng rng = { test_seed () };
  g_autoptr (QfPool) pool = qf_pool_new (2);
  int n = 4, wrong = 0, wrong_codes = 0, layers = 0;

  for (int round = 0; round < 10; round++) {
    QfNet *net = test_net (n, TRUE, pool, &rng);

    net->bound_relu = round % 2;
    for (int step = 0; step < 3; step++) {
      test_fill_input (net, n, &rng);
      qf_net_forward (net, n, TRUE);
      for (guint i = 0; i < net->layers->len; i++) {
        QfLayer *l = qf_net_layer (net, (int) i);

        if (l->kind != QF_LAYER_CONV)
          continue;
        wrong += check_layer (net, l, n, &wrong_codes);
        layers++;
      }
    }
    qf_net_free (net);
  }
  g_test_message ("%d layers, %d wrong bytes, %d wrong weight codes", layers,
      wrong, wrong_codes);
  g_assert_cmpint (layers, ==, 180);
  g_assert_cmpint (wrong_codes, ==, 0);
  g_assert_cmpint (wrong, ==, 0);
}

/* γ = 0, a bias that dwarfs the scale: nothing overflows, and the output is
 * the bias. */
static void
test_dropped_channels (void)
{
  QfRng rng = { test_seed () };
  QfNet *net = test_net (2, TRUE, NULL, &rng);
  QfOptimizer *opt;
  QfLayer *l = qf_net_layer (net, 0);
  QfConvLayer *cv = l->conv;
  QfBlob *y = qf_net_blob (net, l->out);

  cv->gamma[0] = 0;
  cv->beta[0] = 1.5f;
  cv->gamma[1] = 1e-30f;
  cv->beta[1] = -2;
  for (int i = 0; i < cv->k; i++)
    cv->weight[2 * cv->k + i] = 0;
  qf_net_forward (net, 2, TRUE);
  for (int p = 0; p < 2 * y->h * y->w; p++) {
    float v0 = y->scale * (float) (y->codes[p * y->c] - y->zero);

    g_assert_cmpfloat_with_epsilon (v0, 1.5f, y->scale / 2 + 1e-4f);
    g_assert_cmpint (y->codes[p * y->c + 1], ==, y->zero);
  }
  for (guint i = 0; i < net->outputs->len; i++) {
    QfBlob *b = qf_net_blob (net, g_array_index (net->outputs, int, i));

    for (int j = 0; j < 2 * b->h * b->w * b->c; j++)
      b->grad[j] = 1;
  }
  qf_net_backward (net, 2);
  opt = qf_optimizer_new (net,
      &(QfOptimizerOptions){ QF_OPTIMIZER_SGD, 0.9, 0, 0, 0, 0 });
  qf_optimizer_step (opt, 0.01);
  qf_optimizer_free (opt);
  g_assert_true (qf_net_finite (net));
  qf_net_free (net);
}

/* Copies image 0 of the input to the engine's NCHW input. */
static void
copy_input (const QfNet *net, const QfEngine *engine)
{
  const QfBlob *x = qf_net_blob (net, net->input);
  const QfTensor *t = qf_engine_input (engine, 0);

  for (int c = 0; c < x->c; c++)
    for (int i = 0; i < x->h * x->w; i++)
      ((guint8 *) t->data)[c * x->h * x->w + i] = x->codes[i * x->c + c];
}

/* Trained a little, frozen, written, read: the engine gives the same bytes. */
static void
test_engine_runs_the_same (void)
{
  QfRng rng = { test_seed () };
  g_autoptr (QfPool) pool = qf_pool_new (2);
  QfNet *net = test_net (4, TRUE, pool, &rng);
  GError *error = NULL;
  g_autoptr (QfModel) model = NULL;
  g_autoptr (QfModel) read = NULL;
  g_autoptr (QfEngine) engine = NULL;
  g_autoptr (GBytes) bytes = NULL;
  int compared = 0;

  for (int step = 0; step < 5; step++) {
    test_fill_input (net, 4, &rng);
    qf_net_forward (net, 4, TRUE);
  }
  net->frozen = TRUE;
  {
    QfGraph *g = qf_net_export (net, &error);

    g_assert_no_error (error);
    model = qf_model_new (g);
  }
  bytes = qf_model_to_bytes (model, &error);
  g_assert_no_error (error);
  read = qf_model_load_bytes (bytes, "written", &error);
  g_assert_no_error (error);
  engine = qf_engine_new (read, 1, &error);
  g_assert_no_error (error);
  for (int round = 0; round < 50; round++) {
    test_fill_input (net, 1, &rng);
    copy_input (net, engine);
    qf_net_forward (net, 1, FALSE);
    qf_engine_run (engine);
    for (guint i = 0; i < net->outputs->len; i++) {
      const QfBlob *b = qf_net_blob (net, g_array_index (net->outputs, int, i));
      const QfTensor *t = qf_engine_output (engine, (int) i);
      gsize size = (gsize) b->h * b->w * b->c;

      g_assert_cmpint (t->dtype, ==, QF_U8);
      g_assert_cmpfloat (t->scale, ==, b->scale);
      g_assert_cmpmem (t->data, size, b->codes, size);
      compared += (int) size;
    }
  }
  g_assert_cmpint (compared, ==, 50 * (6 * 8 * 5 + 3));
  qf_net_free (net);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/train/equality/one-convolution", test_one_convolution);
  g_test_add_func ("/train/equality/dropped-channels", test_dropped_channels);
  g_test_add_func ("/train/equality/engine", test_engine_runs_the_same);
  return g_test_run ();
}
