/* Engines on one model share what does not change.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine-net.h"
#include "engine/engine-private.h"

#include <stdio.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

enum
{
  ENGINES = 12,
  THREADS = 4,
  ROUNDS = 8
};

/* A model, its input and what must come out. */
typedef struct
{
  Net net;
  QfModel *model;
  Act in, out;
} Case;

/* 1x1 layers of @c channels between two small ones, in uint8 or float32; int8
 * weights are shared with the file's, uint8 ones are recoded. */
static void
case_init (Case *k, int c, gboolean codes, gboolean uint8_weights)
{
  const ConvSpec first = { c, 3, 3, 2, { 1, 1, 1, 1 }, 1, 1, TRUE, 1,
    uint8_weights };
  const ConvSpec point = { c, 1, 1, 1, { 0 }, 1, 1, TRUE, 1, uint8_weights };
  Net *net = &k->net;
  Act x;

  net_init (net, 7);
  if (codes) {
    k->in = net_input_u8 (net, 3, 9, 11, 1 / 64.0f, 128);
    x = net_conv (net, &k->in, &first, 1 / 16.0f, 100);
    for (int i = 0; i < 2; i++)
      x = net_conv (net, &x, &point, 1 / 8.0f, 110);
  } else {
    k->in = net_input_f32 (net, 3, 9, 11);
    x = net_conv_f32 (net, &k->in, &first);
    for (int i = 0; i < 2; i++)
      x = net_conv_f32 (net, &x, &point);
  }
  k->out = x;
  net_output (net, &k->out);
  k->model = net_model (net);
}

static void
case_clear (Case *k)
{
  g_clear_pointer (&k->model, qf_model_unref);
  net_clear (&k->net);
}

static QfEngine *
engine_of (const Case *k, int threads)
{
  g_autoptr (GError) error = NULL;
  QfEngine *e = qf_engine_new (k->model, threads, &error);

  g_assert_no_error (error);
  return e;
}

static void
run (const Case *k, QfEngine *e)
{
  net_fill (&k->in, qf_engine_input (e, 0));
  qf_engine_run (e);
  net_compare (&k->out, qf_engine_output (e, 0));
}

static const void *
packed_of (const QfEngine *e, guint i)
{
  return ((const QfStep *) g_ptr_array_index (e->steps, i))->packed;
}

/* All have the same weights, also when the one that packed them is gone. */
static void
test_same (void)
{
  for (int kind = 0; kind < 3; kind++) {
    Case k;
    QfEngine *a, *b, *c;
    guint packed = 0;

    case_init (&k, 48, kind > 0, kind == 2);
    a = engine_of (&k, 1);
    b = engine_of (&k, 2);
    g_assert_true (a->graph == b->graph);
    g_assert_cmpuint (a->steps->len, ==, b->steps->len);
    for (guint i = 0; i < a->steps->len; i++) {
      g_assert_true (packed_of (a, i) == packed_of (b, i));
      packed += packed_of (a, i) != NULL;
    }
    g_assert_cmpuint (packed, ==, 3);
    run (&k, a);
    run (&k, b);
    qf_engine_free (a);
    c = engine_of (&k, 1);
    for (guint i = 0; i < b->steps->len; i++)
      g_assert_true (packed_of (b, i) == packed_of (c, i));
    /* the model is gone before them */
    g_clear_pointer (&k.model, qf_model_unref);
    run (&k, b);
    qf_engine_free (b);
    run (&k, c);
    qf_engine_free (c);
    case_clear (&k);
  }
}

/* What is packed goes with the last engine; the next one packs anew. */
static void
test_anew (void)
{
  Case k;

  case_init (&k, 48, TRUE, FALSE);
  for (int i = 0; i < 3; i++) {
    QfEngine *e = engine_of (&k, 1);

    g_assert_nonnull (k.model->shared);
    run (&k, e);
    qf_engine_free (e);
    g_assert_null (k.model->shared);
  }
  case_clear (&k);
}

/* Resident bytes, 0: not known. */
static double
resident (void)
{
  g_autofree char *text = NULL;
  long pages = 0;

#ifndef SANITIZED
  if (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL))
    sscanf (text, "%*d %ld", &pages);
#endif
  return (double) pages * (double) sysconf (_SC_PAGESIZE);
}

static void
test_memory (void)
{
  QfEngine *e[ENGINES];
  double before, own, grown;
  Case k;

  case_init (&k, 1000, TRUE, TRUE);
  e[0] = engine_of (&k, 1);
  run (&k, e[0]);
  own = (double) (qf_engine_memory (e[0]) - e[0]->packed_size);
  g_assert_cmpfloat ((double) e[0]->packed_size, >=, 2e6);
  before = resident ();
  for (int i = 1; i < ENGINES; i++)
    run (&k, e[i] = engine_of (&k, 1));
  grown = (resident () - before) / (ENGINES - 1);
  g_test_message ("%.0f bytes each, %.0f of them activations", grown, own);
  if (before > 0) /* planning's own tables and what the allocator keeps */
    g_assert_cmpfloat (grown, <, own + 300e3);
  for (int i = 0; i < ENGINES; i++)
    qf_engine_free (e[i]);
  case_clear (&k);
}

static gpointer
make_and_run (gpointer data)
{
  const Case *k = data;

  for (int i = 0; i < ROUNDS; i++) {
    g_autoptr (QfEngine) e = engine_of (k, 1 + i % 2);

    run (k, e);
    run (k, e);
  }
  return NULL;
}

/* Engines are made, run and freed on several threads; now and then the last one
 * goes while another thread makes the first. */
static void
test_threads (void)
{
  for (int kind = 0; kind < 2; kind++) {
    GThread *threads[THREADS];
    Case k;

    case_init (&k, 64, kind > 0, FALSE);
    for (int i = 0; i < THREADS; i++)
      threads[i] = g_thread_new ("engines", make_and_run, &k);
    for (int i = 0; i < THREADS; i++)
      g_thread_join (threads[i]);
    g_assert_null (k.model->shared);
    case_clear (&k);
  }
}

/* A model that cannot be planned leaves nothing behind. */
static void
test_error (void)
{
  const ConvSpec spec = { 4, 1, 1, 1, { 0 }, 1, 1, TRUE, 0, 0 };
  g_autoptr (QfModel) model = NULL;
  Net net;
  Act x, y;

  net_init (&net, 3);
  x = net_input_u8 (&net, 2, 3, 3, 1, 0);
  y = net_conv (&net, &x, &spec, 1, 0);
  net_output (&net, &y);
  model = net_model (&net);
  /* as no reader would let it pass */
  qf_graph_value (model->graph, x.codes_of)->dims[0] = 2;
  for (int i = 0; i < 2; i++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (qf_engine_new (model, 1, &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_UNSUPPORTED);
    g_assert_null (model->shared);
  }
  net_clear (&net);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/engine-shared/same", test_same);
  g_test_add_func ("/engine-shared/anew", test_anew);
  g_test_add_func ("/engine-shared/memory", test_memory);
  g_test_add_func ("/engine-shared/threads", test_threads);
  g_test_add_func ("/engine-shared/error", test_error);
  return g_test_run ();
}
