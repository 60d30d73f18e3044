/* Runs only where something moves against runs of everything.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine-net.h"
#include "engine/engine-private.h"

#include <string.h>

enum
{
  MOST_PLANES = 4
};

/* Pictures of one sequence: blobs of noise on rest. */
typedef struct
{
  QfRng rng;
  int c, h, w;
  guint8 rest[MOST_PLANES];
  gsize size;
  guint8 *codes; /* [c][h][w] */
} Scene;

static void
scene_init (Scene *s, guint64 seed, int c, int h, int w)
{
  *s = (Scene){ .rng = { seed }, .c = c, .h = h, .w = w };
  s->size = (gsize) c * (gsize) h * (gsize) w;
  s->codes = g_malloc (s->size);
  for (int i = 0; i < c; i++)
    s->rest[i] = seed % 3 == 0 ? 0 : 128;
}

static void
scene_still (Scene *s)
{
  gsize plane = (gsize) s->h * (gsize) s->w;

  for (int i = 0; i < s->c; i++)
    memset (s->codes + (gsize) i * plane, s->rest[i], plane);
}

static void
scene_blob (Scene *s, int y0, int x0, int h, int w)
{
  for (int c = 0; c < s->c; c++)
    for (int y = MAX (y0, 0); y < MIN (y0 + h, s->h); y++)
      for (int x = MAX (x0, 0); x < MIN (x0 + w, s->w); x++)
        s->codes[((gsize) c * (gsize) s->h + (gsize) y) * (gsize) s->w +
            (gsize) x] = (guint8) qf_rng_next (&s->rng);
}

static int
below (Scene *s, int n)
{
  return (int) qf_rng_below (&s->rng, (guint32) n);
}

/* Picture @i of a sequence that has everything: nothing, one pixel, a blob that
 * walks, stands and stops, blobs at all borders, everything, nothing. */
static void
scene_picture (Scene *s, int i)
{
  scene_still (s);
  switch (i) {
    case 0:
    case 8:
    case 9:
      break;
    case 1:
      scene_blob (s, below (s, s->h), below (s, s->w), 1, 1);
      break;
    case 2:
    case 3:
    case 4:
      scene_blob (s, s->h / 3 + i, s->w / 4 + 3 * i, 5, 4);
      break;
    case 5:
      scene_blob (s, -2, -2, 4, 4);
      scene_blob (s, s->h - 1, s->w - 1, 1, 1);
      break;
    case 6:
      scene_blob (s, s->h / 2, s->w - 3, 2, 3);
      scene_blob (s, s->h - 2, s->w / 3, 2, 2);
      break;
    case 7:
      scene_blob (s, 0, 0, s->h, s->w);
      break;
    default:
      scene_blob (s, below (s, s->h + 8) - 8, below (s, s->w + 8) - 8,
          1 + below (s, 12), 1 + below (s, 12));
  }
}

static void
feed (QfEngine *e, const Scene *s)
{
  const QfTensor *in = qf_engine_input (e, 0);

  if (in->dtype == QF_U8)
    memcpy (in->data, s->codes, s->size);
  else
    for (gsize i = 0; i < s->size; i++)
      ((float *) in->data)[i] = s->codes[i];
}

static void
assert_equal_outputs (QfEngine *a, QfEngine *b, int picture)
{
  for (int i = 0; i < qf_engine_n_outputs (a); i++) {
    const QfTensor *p = qf_engine_output (a, i), *q = qf_engine_output (b, i);
    gsize n = qf_tensor_elements (p) * qf_dtype_size (p->dtype);

    if (memcmp (p->data, q->data, n) != 0)
      g_error (
          "picture %d: output %d differs from that of a whole run", picture, i);
  }
}

/* The outputs are all of @out; sequences of 14 pictures. */
static void
check_net (Net *net, const Act *in, const Act *const *out, int n, guint64 seed)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) model = NULL;
  g_autoptr (QfEngine) sparse = NULL, dense = NULL;
  QfSparseStats stats;
  Scene scene;

  for (int i = 0; i < n; i++)
    net_output (net, out[i]);
  model = net_model (net);
  dense = qf_engine_new (model, 1, &error);
  g_assert_no_error (error);
  sparse = qf_engine_new (model, 1 + (int) (seed % 3), &error);
  g_assert_no_error (error);
  scene_init (&scene, seed, in->c, in->h, in->w);
  qf_engine_set_sparse (sparse, QF_SPARSE_VERIFY, scene.rest, scene.c, &error);
  g_assert_no_error (error);
  for (int i = 0; i < 14; i++) {
    scene_picture (&scene, i);
    feed (dense, &scene);
    feed (sparse, &scene);
    qf_engine_run (dense);
    qf_engine_run (sparse);
    if (qf_engine_sparse_differs (sparse))
      g_error ("seed %" G_GUINT64_FORMAT ", picture %d: node '%s' differs",
          seed, i, qf_engine_sparse_differs (sparse));
    assert_equal_outputs (sparse, dense, i);
    qf_engine_sparse_stats (sparse, &stats);
    g_assert_cmpfloat (stats.last_share, <=, 1);
    if (i == 0 || i == 8 || i == 9)
      g_assert_cmpfloat (stats.last_share, ==, 0);
  }
  g_assert_cmpuint (stats.runs, ==, 14);
  g_assert_cmpuint (stats.still, >=, 3);
  g_free (scene.codes);
}

static ConvSpec
random_spec (Net *net, int ic)
{
  ConvSpec s = { net_int (net, 1, 20), net_int (net, 1, 5), 1,
    net_int (net, 1, 3), { 0 }, 1, 1, net_int (net, 0, 1), net_int (net, 0, 2),
    0 };

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
    ConvSpec s1, s2;

    net_init (&net, seed);
    x = net_input_u8 (&net, net_int (&net, 1, MOST_PLANES),
        net_int (&net, 20, 50), net_int (&net, 20, 50), 1 / 64.f,
        net_int (&net, 0, 255));
    s1 = random_spec (&net, x.c);
    y = net_conv (&net, &x, &s1, 0.02f, net_int (&net, 0, 255));
    s2 = random_spec (&net, y.c);
    s2.stride = 1;
    s2.dilation = 1;
    s2.kh = s2.kw = MIN (MIN (s2.kh, y.h), MIN (s2.kw, y.w));
    for (int i = 0; i < 4; i++)
      s2.pad[i] = s2.kh / 2;
    z = net_conv (&net, &y, &s2, 0.05f, net_int (&net, 0, 128));
    check_net (&net, &x, (const Act *[]){ &y, &z }, 2, seed);
    net_clear (&net);
  }
}

/* Shapes that fast kernels are made for: 3x3 over 32 and more channels,
 * depthwise, wide 1x1. */
static void
test_wide (void)
{
  static const ConvSpec first = { 32, 3, 3, 2, { 1, 1, 1, 1 }, 1, 1, TRUE, 1,
    0 };
  static const ConvSpec dense = { 48, 3, 3, 1, { 1, 1, 1, 1 }, 1, 1, TRUE, 2,
    0 };
  static const ConvSpec depth = { 48, 3, 3, 1, { 1, 1, 1, 1 }, 1, 48, TRUE, 1,
    0 };
  static const ConvSpec half = { 48, 3, 3, 2, { 1, 1, 0, 0 }, 1, 48, TRUE, 1,
    0 };
  static const ConvSpec one = { 64, 1, 1, 1, { 0 }, 1, 1, TRUE, 1, 0 };

  for (guint64 seed = 1; seed <= 3; seed++) {
    Net net;
    Act x, a, b, c, d, y;

    net_init (&net, seed);
    x = net_input_u8 (&net, 2, 70 + (int) seed, 90, 1 / 64.f, 128);
    a = net_conv (&net, &x, &first, 0.02f, 0);
    b = net_conv (&net, &a, &dense, 0.03f, 0);
    c = net_conv (&net, &b, &depth, 0.03f, 0);
    d = net_conv (&net, &c, &half, 0.03f, 0);
    y = net_conv (&net, &d, &one, 0.04f, 100);
    check_net (&net, &x, (const Act *[]){ &b, &y }, 2, seed);
    net_clear (&net);
  }
}

/* Every other operator on codes. */
static void
test_codes (void)
{
  static const ConvSpec c3x3 = { 8, 3, 3, 1, { 1, 1, 1, 1 }, 1, 1, TRUE, 1, 0 };
  static const ConvSpec c1x1 = { 8, 1, 1, 1, { 0 }, 1, 1, TRUE, 0, 0 };

  for (guint64 seed = 1; seed <= 12; seed++) {
    Net net;
    Act x, a, b, sum, relu, cat, rows, columns, pooled, up, up3, avg, gate,
        flat, fc;

    net_init (&net, seed);
    x = net_input_u8 (&net, 3, 28 + 2 * (int) (seed % 4), 36, 1 / 64.f, 128);
    a = net_conv (&net, &x, &c3x3, 0.02f, 3);
    b = net_conv (&net, &a, &c1x1, 0.03f, 140);
    sum = net_add (&net, &a, &b, (int) seed % 3, 0.041f, 100);
    relu = net_add (&net, &sum, &b, 0, 0.05f, 128);
    pooled = net_max_pool (&net, &relu, seed % 2 ? 3 : 2, 2, seed % 2 ? 1 : 0);
    up = net_resize (&net, &pooled, 2, 2);
    up3 = net_resize (&net, &pooled, 3, 1);
    cat =
        net_concat (&net, (const Act *[]){ &up, &a, &sum }, 3, 1, 0.045f, 120);
    rows = net_concat (&net, (const Act *[]){ &a, &b }, 2, 2, 0.045f, 120);
    columns = net_concat (&net, (const Act *[]){ &a, &b }, 2, 3, 0.045f, 120);
    avg = net_global_avg (&net, &cat, 0.02f, 90);
    gate = net_sigmoid (&net, &b, 1 / 255.f, 0);
    flat = net_global_avg (&net, &pooled, 0.02f, 90);
    flat = net_flatten (&net, &flat);
    fc = net_gemm (&net, &flat, 10, 0.05f, 128);
    check_net (&net, &x,
        (const Act *[]){
            &sum, &relu, &cat, &rows, &columns, &up3, &avg, &gate, &flat, &fc },
        10, seed);
    net_clear (&net);
  }
}

/* Specks all over, ever more of them: many small parts in one call, up to where
 * a layer and then everything runs whole. On 1, 2 and 3 threads. */
static void
test_specks (void)
{
  static const ConvSpec first = { 24, 3, 3, 2, { 1, 1, 1, 1 }, 1, 1, TRUE, 1,
    0 };
  static const ConvSpec wide = { 32, 3, 3, 1, { 1, 1, 1, 1 }, 1, 1, TRUE, 1,
    0 };
  static const ConvSpec apart = { 32, 3, 3, 1, { 2, 2, 2, 2 }, 2, 1, TRUE, 1,
    0 };
  static const ConvSpec depth = { 32, 3, 3, 1, { 1, 1, 1, 1 }, 1, 32, TRUE, 1,
    0 };
  static const ConvSpec one = { 40, 1, 1, 1, { 0 }, 1, 1, TRUE, 0, 0 };

  for (guint64 seed = 1; seed <= 3; seed++) {
    g_autoptr (QfModel) model = NULL;
    g_autoptr (QfEngine) sparse = NULL, dense = NULL;
    Scene scene;
    Net net;
    Act x, y;

    net_init (&net, seed);
    x = net_input_u8 (&net, 1, 131 + (int) seed, 149, 1 / 64.f, 128);
    y = net_conv (&net, &x, &first, 0.02f, 0);
    y = net_conv (&net, &y, &wide, 0.03f, 0);
    y = net_conv (&net, &y, &apart, 0.03f, 0);
    y = net_conv (&net, &y, &depth, 0.03f, 0);
    y = net_conv (&net, &y, &one, 0.04f, 100);
    net_output (&net, &y);
    model = net_model (&net);
    dense = qf_engine_new (model, 1, NULL);
    sparse = qf_engine_new (model, (int) seed, NULL);
    scene_init (&scene, seed, x.c, x.h, x.w);
    g_assert_true (qf_engine_set_sparse (
        sparse, QF_SPARSE_VERIFY, scene.rest, scene.c, NULL));
    for (int n = 1; n < 4000; n += n / 2 + 1) {
      scene_still (&scene);
      for (int i = 0; i < n; i++)
        scene_blob (&scene, below (&scene, x.h), below (&scene, x.w),
            1 + below (&scene, 3), 1 + below (&scene, 3));
      feed (dense, &scene);
      feed (sparse, &scene);
      qf_engine_run (dense);
      qf_engine_run (sparse);
      g_assert_cmpstr (qf_engine_sparse_differs (sparse), ==, NULL);
      assert_equal_outputs (sparse, dense, n);
    }
    g_free (scene.codes);
    net_clear (&net);
  }
}

/* One more layer on the last of @a, of which there are @n. */
static Act
random_layer (Net *net, const Act *a, int n)
{
  const Act *x = &a[n - 1], *other = &a[net_int (net, 0, n - 1)];
  ConvSpec s = { net_int (net, 4, 24), 3, 3, 1, { 1, 1, 1, 1 }, 1, 1, TRUE, 1,
    0 };
  int zero = net_int (net, 0, 128);
  gboolean same = other->h == x->h && other->w == x->w;

  switch (net_int (net, 0, 7)) {
    case 0:
      s.stride = 2;
      break;
    case 1:
      s.groups = s.oc = x->c;
      break;
    case 2:
      s.kh = s.kw = 1;
      memset (s.pad, 0, sizeof s.pad);
      break;
    case 3:
      s.dilation = 2;
      for (int i = 0; i < 4; i++)
        s.pad[i] = 2;
      break;
    case 4:
      if (same && other->c == x->c)
        return net_add (net, x, other, net_int (net, 0, 2), 0.04f, zero);
      break;
    case 5:
      if (same)
        return net_concat (
            net, (const Act *[]){ x, other }, 2, 1, 0.045f, zero);
      break;
    case 6:
      if (x->h >= 8)
        return net_max_pool (net, x, 3, 2, 1);
      break;
    case 7:
      if (x->h <= 20)
        return net_resize (net, x, 2, 2);
      break;
    default:
      break;
  }
  return net_conv (net, x, &s, 0.03f, zero);
}

static void
test_random (void)
{
  enum
  {
    LAYERS = 9
  };

  for (guint64 seed = 1; seed <= 25; seed++) {
    Act a[LAYERS];
    Net net;

    net_init (&net, 1000 + seed);
    a[0] = net_input_u8 (&net, net_int (&net, 1, MOST_PLANES),
        net_int (&net, 24, 48), net_int (&net, 24, 64), 1 / 64.f, 128);
    for (int i = 1; i < LAYERS; i++)
      a[i] = random_layer (&net, a, i);
    check_net (&net, &a[0], (const Act *[]){ &a[LAYERS - 1] }, 1, seed);
    net_clear (&net);
  }
}

/* float32 layers, and a float32 input in front of codes: the same bits. */
static void
test_float (void)
{
  static const ConvSpec c3x3 = { 8, 3, 3, 1, { 1, 1, 1, 1 }, 1, 1, TRUE, 1, 0 };
  static const ConvSpec half = { 9, 3, 3, 2, { 1, 0, 1, 0 }, 1, 1, TRUE, 3, 0 };

  for (guint64 seed = 1; seed <= 6; seed++) {
    Net net;
    Act x, a, b, sum, norm, pooled, codes, y;

    net_init (&net, seed);
    x = net_input_f32 (&net, 2, 24, 30 + (int) seed);
    a = net_conv_f32 (&net, &x, &c3x3);
    b = net_conv_f32 (&net, &a, &c3x3);
    sum = net_add (&net, &a, &b, 1, 0, 0);
    norm = net_batch_norm_f32 (&net, &sum);
    pooled = net_max_pool (&net, &norm, 3, 1, 1);
    b = net_conv_f32 (&net, &pooled, &half);
    codes = net_quantize (&net, &norm, 4.f, 100);
    y = net_conv (&net, &codes, &c3x3, 30.f, 128);
    check_net (&net, &x, (const Act *[]){ &b, &y }, 2, seed);
    net_clear (&net);
  }
}

/* Switched on, run step by step, off and on again: each run is right. */
static void
test_modes (void)
{
  static const ConvSpec c3x3 = { 16, 3, 3, 1, { 1, 1, 1, 1 }, 1, 1, TRUE, 1,
    0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (QfModel) model = NULL;
  g_autoptr (QfEngine) engine = NULL, dense = NULL;
  QfSparseStats stats;
  Scene scene;
  Net net;
  Act x, y;
  gsize memory;

  net_init (&net, 1);
  x = net_input_u8 (&net, 2, 40, 50, 1 / 64.f, 128);
  y = net_conv (&net, &x, &c3x3, 0.02f, 3);
  y = net_conv (&net, &y, &c3x3, 0.02f, 3);
  net_output (&net, &y);
  model = net_model (&net);
  engine = qf_engine_new (model, 2, NULL);
  dense = qf_engine_new (model, 1, NULL);
  memory = qf_engine_memory (engine);
  scene_init (&scene, 1, 2, 40, 50);
  g_assert_false (
      qf_engine_set_sparse (engine, QF_SPARSE_AUTO, scene.rest, 3, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED);
  for (int i = 0; i < 12; i++) {
    QfSparseMode mode = i % 4 == 3 ? QF_SPARSE_OFF : QF_SPARSE_AUTO;

    g_assert_true (
        qf_engine_set_sparse (engine, mode, scene.rest, scene.c, NULL));
    g_assert_true ((qf_engine_memory (engine) > memory) == (mode > 0));
    for (int k = 1; k < 6; k++) {
      scene_picture (&scene, k);
      feed (engine, &scene);
      feed (dense, &scene);
      qf_engine_run (engine);
      qf_engine_run (dense);
      assert_equal_outputs (engine, dense, k);
      if (k == 3)
        for (int s = 0; s < qf_engine_n_steps (engine); s++)
          qf_engine_run_step (engine, s);
    }
    qf_engine_sparse_stats (engine, &stats);
    g_assert_cmpuint (stats.runs, ==, mode ? 5 : 0);
    g_assert_true (mode ? stats.macs < stats.all_macs : stats.last_share == 1);
  }
  g_free (scene.codes);
  net_clear (&net);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/engine-sparse/conv", test_conv);
  g_test_add_func ("/engine-sparse/wide", test_wide);
  g_test_add_func ("/engine-sparse/specks", test_specks);
  g_test_add_func ("/engine-sparse/codes", test_codes);
  g_test_add_func ("/engine-sparse/random", test_random);
  g_test_add_func ("/engine-sparse/float", test_float);
  g_test_add_func ("/engine-sparse/modes", test_modes);
  return g_test_run ();
}
