/* qfuse: which layers have to stay in float.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "quantize-search.h"

#include "agreement.h"
#include "frames.h"
#include "progress.h"

#define FEW 8 /* pictures that a layer's error is measured on */

typedef struct
{
  int layer;
  double error; /* of the outputs */
} Rank;

/* ---- errors of outputs -------------------------------------------------- */

/* All outputs of @model on some pictures, one behind the other. */
static GArray *
outputs_of (
    QfModel *model, const GPtrArray *frames, int threads, GError **error)
{
  QfEngine *engine = qf_engine_new (model, threads, error);
  GArray *all;
  guint step = MAX (frames->len / FEW, 1);

  if (!engine)
    return NULL;
  all = g_array_new (FALSE, FALSE, sizeof (float));
  for (guint f = 0; f < frames->len; f += step) {
    frames_give (engine, g_ptr_array_index (frames, f));
    qf_engine_run (engine);
    for (int i = 0; i < qf_engine_n_outputs (engine); i++) {
      const QfTensor *t = qf_engine_output (engine, i);

      for (int c = 0; c < t->c; c++)
        for (int y = 0; y < t->h; y++)
          for (int x = 0; x < t->w; x++) {
            float v = qf_tensor_at (t, c, y, x);

            g_array_append_val (all, v);
          }
    }
  }
  qf_engine_free (engine);
  return all;
}

static double
square_distance (const GArray *a, const GArray *b)
{
  double sum = 0;

  for (guint i = 0; i < MIN (a->len, b->len); i++) {
    double d = (double) g_array_index (a, float, i) -
        (double) g_array_index (b, float, i);

    sum += d * d;
  }
  return sum;
}

/* ---- the search --------------------------------------------------------- */

static int
compare_ranks (gconstpointer a, gconstpointer b)
{
  const Rank *p = a, *q = b;

  return p->error > q->error ? -1
      : p->error < q->error  ? 1
                             : p->layer - q->layer;
}

/* Layers that may be quantized, by the error that each of them makes alone; the
 * quantizer is then as it was. */
static GArray *
rank_layers (QfQuantizer *q, QfModel *model, const GPtrArray *frames,
    const SearchOptions *o, GError **error)
{
  g_autoptr (GArray) ranks = g_array_new (FALSE, FALSE, sizeof (Rank));
  g_autoptr (GArray) truth = outputs_of (model, frames, o->threads, error);
  int n = qf_quantizer_n_layers (q);
  gboolean ok = truth != NULL;

  for (int i = 0; i < n; i++) {
    QfQuantizerLayer layer;
    Rank rank = { i, 0 };

    qf_quantizer_layer (q, i, &layer);
    if (!layer.kept)
      g_array_append_val (ranks, rank);
    qf_quantizer_keep_float (q, i, TRUE);
  }
  for (guint i = 0; ok && i < ranks->len; i++) {
    Rank *rank = &g_array_index (ranks, Rank, i);
    g_autoptr (QfModel) one = NULL;
    g_autoptr (GArray) got = NULL;

    progress_show ("comparing layers", (double) i / ranks->len, "");
    qf_quantizer_keep_float (q, rank->layer, FALSE);
    one = qf_quantizer_model (q, o->how, error);
    got = one ? outputs_of (one, frames, o->threads, error) : NULL;
    ok = got != NULL;
    if (ok)
      rank->error = square_distance (truth, got);
    qf_quantizer_keep_float (q, rank->layer, TRUE);
  }
  progress_clear ();
  for (guint i = 0; i < ranks->len; i++)
    qf_quantizer_keep_float (q, g_array_index (ranks, Rank, i).layer, FALSE);
  g_array_sort (ranks, compare_ranks);
  return ok ? g_steal_pointer (&ranks) : NULL;
}

/* The model as @q is now; *@enough: it finds what is asked. */
static QfModel *
try_model (QfQuantizer *q, const Findings *truth, const GPtrArray *frames,
    const SearchOptions *o, gboolean *enough, GError **error)
{
  g_autoptr (QfModel) model = qf_quantizer_model (q, o->how, error);
  g_autoptr (Findings) got =
      model ? findings_of (model, frames, o->threads, error) : NULL;
  Agreement a = { 0 };

  if (!got)
    return NULL;
  findings_compare (truth, got, &a);
  *enough = agreement_share (&a, a.found, 1) >= 1 - o->max_drop &&
      agreement_share (&a, a.extra, 0) <= o->max_drop;
  return g_steal_pointer (&model);
}

QfModel *
search_layers (QfQuantizer *q, QfModel *model, const GPtrArray *frames,
    const SearchOptions *options, GError **error)
{
  g_autoptr (Findings) truth =
      findings_of (model, frames, options->threads, error);
  g_autoptr (GArray) ranks = NULL;
  gboolean enough = FALSE;
  QfModel *made;

  if (!truth ||
      !(made = try_model (q, truth, frames, options, &enough, error)) || enough)
    return truth ? made : NULL;
  qf_model_unref (made);
  ranks = rank_layers (q, model, frames, options, error);
  if (!ranks)
    return NULL;
  for (guint i = 0; i < ranks->len; i++) {
    qf_quantizer_keep_float (q, g_array_index (ranks, Rank, i).layer, TRUE);
    made = try_model (q, truth, frames, options, &enough, error);
    if (!made || enough)
      return made;
    qf_model_unref (made);
  }
  return qf_quantizer_model (q, options->how, error);
}
