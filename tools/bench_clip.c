/* qfuse: times a network on a clip's planes.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench_clip.h"

#include <string.h>

#include "frames.h"

typedef struct
{
  QfEngine *all, *sparse;
  GstQfWant want;
  guint8 *rest; /* planes where nothing moves */
  BenchClip *result;
} Bench;

static double
timed_run (QfEngine *engine, const guint8 *planes)
{
  gint64 from;

  frames_give (engine, planes);
  from = g_get_monotonic_time ();
  qf_engine_run (engine);
  return (double) (g_get_monotonic_time () - from) * 1e-3;
}

static guint64
count_differing (const QfEngine *a, const QfEngine *b)
{
  guint64 sum = 0;

  for (int i = 0; i < qf_engine_n_outputs (a); i++) {
    const QfTensor *t = qf_engine_output (a, i), *u = qf_engine_output (b, i);
    gsize n = (gsize) t->c * (gsize) t->h * (gsize) t->w *
        (t->dtype == QF_F32 ? sizeof (float) : 1);

    for (gsize k = 0; k < n; k++)
      sum += ((guint8 *) t->data)[k] != ((guint8 *) u->data)[k];
  }
  return sum;
}

static void
run_picture (const guint8 *planes, gpointer data)
{
  Bench *b = data;
  gsize n = gst_qf_want_size (&b->want);
  BenchClip *r = b->result;
  double ms[2];

  /* the first in turn: caches favour the second */
  for (int i = 0; i < 2; i++) {
    int sparse = (r->pictures + i) & 1;

    ms[sparse] = timed_run (sparse ? b->sparse : b->all, planes);
  }
  r->differ += count_differing (b->all, b->sparse);
  r->all_ms += ms[0];
  r->sparse_ms += ms[1];
  r->pictures++;
  if (memcmp (planes, b->rest, n) == 0) {
    r->still++;
    r->still_all_ms += ms[0];
    r->still_sparse_ms += ms[1];
  }
}

/* Both engines. */
static gboolean
prepare (Bench *b, QfModel *model, int threads, GError **error)
{
  guint8 rest[QF_MAX_PLANES];
  gsize plane;

  if (!gst_qf_want_from_model (&b->want, model, error))
    return FALSE;
  if (!qf_planes_at_rest (&b->want.planes, rest)) {
    g_set_error_literal (error, QF_ERROR, QF_ERROR_UNSUPPORTED,
        "the network's planes are not all differences with a dead band, so "
        "that everything is computed on every picture");
    return FALSE;
  }
  if (!(b->all = qf_engine_new (model, threads, error)) ||
      !(b->sparse = qf_engine_new (model, threads, error)) ||
      !qf_engine_set_sparse (
          b->sparse, QF_SPARSE_AUTO, rest, b->want.planes.n, error))
    return FALSE;
  b->rest = g_malloc (gst_qf_want_size (&b->want));
  plane = (gsize) b->want.width * (gsize) b->want.height;
  for (int i = 0; i < b->want.planes.n; i++)
    memset (b->rest + (gsize) i * plane, rest[i], plane);
  return TRUE;
}

gboolean
bench_clip (QfModel *model, int threads, const char *path, BenchClip *result,
    GError **error)
{
  Bench b = { .result = result };
  QfSparseStats stats;
  gboolean done;

  *result = (BenchClip){ 0 };
  done = prepare (&b, model, threads, error) &&
      frames_each (&b.want, path, "measuring", run_picture, &b, error);
  if (done) {
    qf_engine_sparse_stats (b.sparse, &stats);
    result->macs =
        stats.all_macs ? (double) stats.macs / (double) stats.all_macs : 0;
  }
  qf_engine_free (b.all);
  qf_engine_free (b.sparse);
  g_free (b.rest);
  return done;
}
