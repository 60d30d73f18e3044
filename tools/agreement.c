/* qfuse: what two networks find in the same pictures.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agreement.h"

#include "frames.h"

#define SAME_IOU 0.5f

void
findings_free (Findings *f)
{
  if (!f)
    return;
  g_ptr_array_unref (f->boxes);
  g_array_unref (f->actions);
  g_free (f);
}

static int
compare_times (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return x < y ? -1 : x > y;
}

static void
look (QfEngine *engine, QfDecoder *decoder, const QfModel *model,
    const guint8 *planes, Findings *f, GArray *times)
{
  QfResult result = { g_array_new (FALSE, FALSE, sizeof (QfBox)), -1, 0, NULL,
    0 };
  gint64 from;
  int n;

  frames_give (engine, planes);
  from = g_get_monotonic_time ();
  qf_engine_run (engine);
  from = g_get_monotonic_time () - from;
  g_array_append_val (times, from);
  qf_decoder_run (decoder, qf_engine_outputs (engine, &n),
      qf_engine_n_outputs (engine), f->threshold - (float) AGREEMENT_NEAR,
      (float) qf_model_get_double (model, "qfuse.iou", 0.5), 0, &result);
  g_ptr_array_add (f->boxes, result.boxes);
  g_array_append_val (f->actions, result.action);
}

Findings *
findings_of (
    QfModel *model, const GPtrArray *frames, int threads, GError **error)
{
  g_autoptr (QfDecoder) decoder = qf_decoder_new (model, error);
  QfEngine *engine = decoder ? qf_engine_new (model, threads, error) : NULL;
  g_autoptr (GArray) times = g_array_new (FALSE, FALSE, sizeof (gint64));
  Findings *f;

  if (!engine)
    return NULL;
  f = g_new0 (Findings, 1);
  f->boxes = g_ptr_array_new_with_free_func ((GDestroyNotify) g_array_unref);
  f->actions = g_array_new (FALSE, FALSE, sizeof (int));
  f->threshold = (float) qf_model_get_double (model, "qfuse.threshold", 0.5);
  for (guint i = 0; i < frames->len; i++)
    look (engine, decoder, model, g_ptr_array_index (frames, i), f, times);
  g_array_sort (times, compare_times);
  if (times->len)
    f->ms = (double) g_array_index (times, gint64, times->len / 2) * 1e-3;
  qf_engine_free (engine);
  return f;
}

/* The best box of @boxes that is not taken and has at least this score, or −1.
 */
static int
find_box (
    const GArray *boxes, const gboolean *taken, const QfBox *like, float score)
{
  float best = SAME_IOU;
  int at = -1;

  for (guint i = 0; i < boxes->len; i++) {
    const QfBox *b = &g_array_index (boxes, QfBox, i);
    float iou = qf_box_iou (b, like);

    if (!taken[i] && b->label == like->label && b->score >= score &&
        iou >= best) {
      best = iou;
      at = (int) i;
    }
  }
  return at;
}

/* How many of the boxes of @a with at least @score are in @b with at least
 * @other; *@n: of how many. */
static int
count_found (const GArray *a, const GArray *b, float score, float other, int *n)
{
  g_autofree gboolean *taken = g_new0 (gboolean, b->len + 1);
  int found = 0;

  *n = 0;
  for (guint i = 0; i < a->len; i++) {
    const QfBox *box = &g_array_index (a, QfBox, i);
    int at = box->score >= score ? find_box (b, taken, box, other) : -1;

    *n += box->score >= score;
    found += at >= 0;
    if (at >= 0)
      taken[at] = TRUE;
  }
  return found;
}

static void
compare_picture (
    const Findings *f, const GArray *a, const GArray *b, Agreement *sum)
{
  float t = f->threshold, near = t - (float) AGREEMENT_NEAR;
  int n_a, n_b;

  sum->nearly_found += count_found (a, b, t, near, &n_a);
  sum->nearly_extra -= count_found (b, a, t, near, &n_b);
  sum->nearly_extra += n_b;
  sum->reference += n_a;
  n_a = count_found (a, b, t, t, &n_a);
  sum->found += n_a;
  sum->extra += n_b - n_a;
}

void
findings_compare (const Findings *a, const Findings *b, Agreement *sum)
{
  for (guint i = 0; i < a->boxes->len; i++) {
    int action = g_array_index (a->actions, int, i);

    compare_picture (a, g_ptr_array_index (a->boxes, i),
        g_ptr_array_index (b->boxes, i), sum);
    if (action >= 0) {
      gboolean same = g_array_index (b->actions, int, i) == action;

      sum->reference++;
      sum->found += same;
      sum->nearly_found += same;
      sum->extra += !same;
      sum->nearly_extra += !same;
    }
  }
  sum->pictures += (int) a->boxes->len;
}

double
agreement_share (const Agreement *a, int n, double none)
{
  return a->reference ? (double) n / a->reference : none;
}
