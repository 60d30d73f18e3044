/* The engine against naive evaluations.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine-net.h"
#include "engine/engine-private.h"

#include <string.h>

static const ConvSpec c1x1 = { 8, 1, 1, 1, { 0 }, 1, 1, TRUE, 0, 0 };
static const ConvSpec c3x3 = { 8, 3, 3, 1, { 1, 1, 1, 1 }, 1, 1, TRUE, 1, 0 };

/* Makes a model of @net, runs it on @threads and compares all @n outputs. */
static void
run_and_compare (
    Net *net, const Act *in, const Act *const *out, int n, int threads)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) model = NULL;
  g_autoptr (QfEngine) engine = NULL;

  for (int i = 0; i < n; i++)
    net_output (net, out[i]);
  model = net_model (net);
  engine = qf_engine_new (model, threads, &error);
  g_assert_no_error (error);
  g_assert_cmpint (qf_engine_n_inputs (engine), ==, 1);
  g_assert_cmpint (qf_engine_n_outputs (engine), ==, n);
  for (int round = 0; round < 2; round++) {
    net_fill (in, qf_engine_input (engine, 0));
    qf_engine_run (engine);
    for (int i = 0; i < n; i++)
      net_compare (out[i], qf_engine_output (engine, i));
  }
}

static ConvSpec
random_spec (Net *net, int ic)
{
  ConvSpec s = { net_int (net, 1, 20), net_int (net, 1, 5), 1,
    net_int (net, 1, 3), { 0 }, 1, 1, net_int (net, 0, 1), net_int (net, 0, 2),
    net_int (net, 0, 1) };

  s.kw = net_int (net, 0, 2) ? s.kh : net_int (net, 1, 5);
  s.dilation = net_int (net, 0, 2) ? 1 : 2;
  for (int i = 0; i < 4; i++)
    s.pad[i] = net_int (net, 0, (i & 1 ? s.kw : s.kh) - 1);
  if (net_int (net, 0, 3) == 0) {
    s.groups = ic;
    s.oc = ic * net_int (net, 1, 2);
  } else if (ic % 2 == 0 && net_int (net, 0, 3) == 0) {
    s.groups = 2;
    s.oc = 2 * net_int (net, 1, 9);
  }
  return s;
}

static void
test_conv (void)
{
  for (guint64 seed = 1; seed <= 60; seed++) {
    Net net;
    Act x, y, z;
    ConvSpec s1, s2 = c3x3;

    net_init (&net, seed);
    x = net_input_u8 (&net, net_int (&net, 1, 8), net_int (&net, 10, 24),
        net_int (&net, 10, 24), 1 / 64.f, net_int (&net, 0, 255));
    s1 = random_spec (&net, x.c);
    y = net_conv (&net, &x, &s1, 0.02f, net_int (&net, 0, 255));
    s2.act = net_int (&net, 0, 2);
    z = net_conv (&net, &y, &s2, 0.05f, net_int (&net, 0, 128));
    run_and_compare (
        &net, &x, (const Act *[]){ &y, &z }, 2, net_int (&net, 1, 4));
    net_clear (&net);
  }
}

static void
test_codes (void)
{
  for (guint64 seed = 1; seed <= 10; seed++) {
    Net net;
    Act x, a, b, sum, relu, cat, pooled, up, avg, gate, flat, fc;
    int act = (int) seed % 3;

    net_init (&net, seed);
    x = net_input_u8 (&net, 3, 12, 16, 1 / 64.f, 128);
    a = net_conv (&net, &x, &c3x3, 0.02f, 3);
    b = net_conv (&net, &a, &c1x1, 0.03f, 140);
    sum = net_add (&net, &a, &b, act, 0.041f, 100);
    relu = net_add (&net, &sum, &b, 0, 0.05f, 128);
    pooled = net_max_pool (&net, &relu, 3, 2, 1);
    up = net_resize (&net, &pooled, 2, 2);
    cat =
        net_concat (&net, (const Act *[]){ &up, &a, &sum }, 3, 1, 0.045f, 120);
    avg = net_global_avg (&net, &cat, 0.02f, 90);
    gate = net_sigmoid (&net, &b, 1 / 255.f, 0);
    flat = net_flatten (&net, &pooled);
    fc = net_gemm (&net, &flat, 10, 0.05f, 128);
    run_and_compare (&net, &x,
        (const Act *[]){ &sum, &relu, &cat, &avg, &gate, &flat, &fc }, 7,
        1 + (int) seed % 3);
    net_clear (&net);
  }
}

/* Joined along rows and columns; scales that differ and scales that do not. */
static void
test_concat_axes (void)
{
  for (int axis = 1; axis <= 3; axis++)
    for (int same = 0; same < 2; same++) {
      Net net;
      Act x, a, b, y;

      net_init (&net, 7);
      x = net_input_u8 (&net, 3, 9, 11, 1 / 64.f, 128);
      a = net_conv (&net, &x, &c3x3, 0.02f, 3);
      b = net_conv (&net, &x, &c1x1, same ? 0.02f : 0.03f, same ? 3 : 140);
      y = net_concat (&net, (const Act *[]){ &a, &b, &a }, 3, axis, 0.02f, 3);
      run_and_compare (&net, &x, (const Act *[]){ &y }, 1, 2);
      net_clear (&net);
    }
}

static void
test_float (void)
{
  for (guint64 seed = 1; seed <= 20; seed++) {
    Net net;
    Act x, a, n, b, sum, cat, pooled, up, avg, flat, gate;
    ConvSpec s = c3x3, random;

    net_init (&net, seed);
    x = net_input_f32 (&net, net_int (&net, 1, 6), 12, 16);
    s.act = 0;
    a = net_conv_f32 (&net, &x, &s);
    n = net_batch_norm_f32 (&net, &a);
    random = random_spec (&net, n.c);
    random.act = net_int (&net, 0, 3);
    b = net_conv_f32 (&net, &n, &random);
    sum = net_add (&net, &a, &n, (int) seed % 4, 0, 0);
    pooled = net_max_pool (&net, &sum, 3, 2, 1);
    up = net_resize (&net, &pooled, 2, 2);
    cat = net_concat (
        &net, (const Act *[]){ &up, &a }, 2, 1 + (int) seed % 2, 0, 0);
    avg = net_global_avg (&net, &cat, 0, 0);
    flat = net_flatten (&net, &pooled);
    gate = net_sigmoid (&net, &b, 0, 0);
    run_and_compare (&net, &x,
        (const Act *[]){ &b, &sum, &cat, &avg, &flat, &gate }, 6,
        net_int (&net, 1, 3));
    net_clear (&net);
  }
}

/* Floats, then codes, then floats again. */
static void
test_mixed (void)
{
  Net net;
  Act x, q, a, b, c, d;
  ConvSpec s = c3x3;

  net_init (&net, 3);
  x = net_input_f32 (&net, 5, 10, 12);
  a = net_conv_f32 (&net, &x, &s);
  q = net_quantize (&net, &a, 0.02f, 10);
  b = net_conv (&net, &q, &s, 0.03f, 0);
  s.act = 3;
  c = net_conv_f32 (&net, &b, &s);
  d = net_batch_norm_f32 (&net, &b);
  /* codes behind a float32 sum may differ at a tie, so compare floats */
  b.u = NULL;
  run_and_compare (&net, &x, (const Act *[]){ &c, &d }, 2, 2);
  net_clear (&net);
}

static gsize
output_bytes (const QfEngine *e, int i, guint8 *to)
{
  const QfTensor *t = qf_engine_output (e, i);
  gsize n = (gsize) t->c * t->h * t->w * qf_dtype_size (t->dtype);

  memcpy (to, t->data, n);
  return n;
}

static void
test_threads (void)
{
  g_autofree guint8 *first = g_malloc0 (1 << 20), *other = g_malloc0 (1 << 20);
  Net net;
  Act x, a, b, f;
  ConvSpec wide = c3x3;
  g_autoptr (QfModel) model = NULL;

  net_init (&net, 5);
  x = net_input_u8 (&net, 3, 61, 83, 1 / 64.f, 128);
  wide.oc = 33;
  a = net_conv (&net, &x, &wide, 0.02f, 3);
  b = net_conv (&net, &a, &wide, 0.02f, 3);
  f = net_conv_f32 (&net, &b, &c1x1);
  net_output (&net, &b);
  net_output (&net, &f);
  model = net_model (&net);
  for (int threads = 1; threads <= 8; threads *= 2) {
    g_autoptr (QfEngine) e = qf_engine_new (model, threads, NULL);
    guint8 *to = threads == 1 ? first : other;

    net_fill (&x, qf_engine_input (e, 0));
    qf_engine_run (e);
    to += output_bytes (e, 0, to);
    output_bytes (e, 1, to);
    if (threads > 1)
      g_assert_cmpmem (first, 1 << 20, other, 1 << 20);
  }
  net_clear (&net);
}

/* Twenty layers take the memory of a few. */
static void
test_memory (void)
{
  Net net;
  Act x, y;
  gsize one = 8 * 40 * 40;
  g_autoptr (QfModel) model = NULL;
  g_autoptr (QfEngine) e = NULL;
  QfEngineStep step;

  net_init (&net, 6);
  x = net_input_u8 (&net, 8, 40, 40, 1 / 64.f, 128);
  y = x;
  for (int i = 0; i < 20; i++)
    y = net_conv (&net, &y, &c3x3, 0.02f, 3);
  net_output (&net, &y);
  model = net_model (&net);
  e = qf_engine_new (model, 1, NULL);
  g_assert_nonnull (e);
  g_assert_cmpuint (e->arena_size, <=, 4 * one);
  g_assert_cmpuint (qf_engine_memory (e), >, e->arena_size);
  g_assert_cmpint (qf_engine_n_steps (e), ==, 21);
  qf_engine_step (e, 20, &step);
  g_assert_cmpstr (step.op, ==, "Conv");
  g_assert_cmpint (step.macs, ==, 40 * 40 * 8 * 8 * 9);
  g_assert_true (step.quantized);
  net_clear (&net);
}

static int
conv_is_quantized (const QfEngine *e)
{
  for (int i = 0; i < qf_engine_n_steps (e); i++) {
    QfEngineStep step;

    qf_engine_step (e, i, &step);
    if (strcmp (step.op, "Conv") == 0)
      return step.quantized;
  }
  return -1;
}

/* 70000·255·127 is over 2^31, so this runs in float32; the same channels with
 * smaller weights fit. */
static void
test_overflow (void)
{
  for (int large = 0; large < 2; large++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (QfModel) model = NULL;
    g_autoptr (QfEngine) e = NULL;
    enum
    {
      IC = 70000
    };
    Net net;
    Act x;
    gint64 w_dims[4] = { 1, IC, 1, 1 };
    g_autofree gint8 *w = g_malloc (IC);
    float scale = 1;
    gint8 zero = 0;
    guint8 y_zero = 0;
    int in[3], out;

    memset (w, large ? 127 : 100, IC);
    net_init (&net, 1);
    x = net_input_u8 (&net, IC, 1, 1, 1, 0);
    in[0] = qf_graph_add_constant (net.graph, "w", QF_I8, 4, w_dims, w);
    in[1] = qf_graph_add_constant (net.graph, "s", QF_F32, 0, NULL, &scale);
    in[2] = qf_graph_add_constant (net.graph, "z", QF_I8, 0, NULL, &zero);
    in[1] = qf_graph_add_node (net.graph, QF_OP_DEQUANTIZE, "wd", 3, in)->out;
    in[0] = x.value;
    in[0] = qf_graph_add_node (net.graph, QF_OP_CONV, "broad", 2, in)->out;
    in[1] = qf_graph_add_constant (net.graph, "ys", QF_F32, 0, NULL, &scale);
    in[2] = qf_graph_add_constant (net.graph, "yz", QF_U8, 0, NULL, &y_zero);
    out = qf_graph_add_node (net.graph, QF_OP_QUANTIZE, "y", 3, in)->out;
    g_array_append_val (net.graph->outputs, out);
    model = net_model (&net);
    e = qf_engine_new (model, 1, &error);
    g_assert_no_error (error);
    g_assert_cmpint (conv_is_quantized (e), ==, !large);
    net_clear (&net);
  }
}

static void
test_arena (void)
{
  QfRng rng = { 11 };

  for (int round = 0; round < 50; round++) {
    g_autoptr (GArray) buffers = g_array_new (FALSE, TRUE, sizeof (QfBuffer));
    gsize size, sum = 0;

    for (int i = 0; i < 40; i++) {
      int first = (int) qf_rng_below (&rng, 60);
      QfBuffer b = { 1 + qf_rng_below (&rng, 5000), first,
        first + (int) qf_rng_below (&rng, 5), 0, NULL };

      g_array_append_val (buffers, b);
    }
    size = qf_arena_place (buffers);
    for (guint i = 0; i < buffers->len; i++) {
      QfBuffer *a = &g_array_index (buffers, QfBuffer, i);

      sum += a->size;
      g_assert_cmpuint (a->offset + a->size, <=, size);
      g_assert_cmpuint (a->offset % 64, ==, 0);
      for (guint j = 0; j < i; j++) {
        QfBuffer *b = &g_array_index (buffers, QfBuffer, j);

        if (a->first <= b->last && b->first <= a->last)
          g_assert_true (a->offset + a->size <= b->offset ||
              b->offset + b->size <= a->offset);
      }
    }
    g_assert_cmpuint (size, <, sum / 3);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/engine/conv", test_conv);
  g_test_add_func ("/engine/codes", test_codes);
  g_test_add_func ("/engine/concat-axes", test_concat_axes);
  g_test_add_func ("/engine/float", test_float);
  g_test_add_func ("/engine/mixed", test_mixed);
  g_test_add_func ("/engine/threads", test_threads);
  g_test_add_func ("/engine/memory", test_memory);
  g_test_add_func ("/engine/overflow", test_overflow);
  g_test_add_func ("/engine/arena", test_arena);
  return g_test_run ();
}
