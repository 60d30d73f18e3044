/* libqfuse: batches of samples, and how good the network is on them.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/trainer-private.h"
#include "vision/heads.h"
#include "vision/metrics.h"

#include <math.h>
#include <string.h>

static guint8 *
image_codes (const QfTrainer *t, int image)
{
  return qf_net_blob (t->net, t->net->input)->codes
      + qf_trainer_sample_bytes (t) * image;
}

/* In a float net the input is dequantized, too. */
static void
fill_real (const QfTrainer *t, int image, const guint8 *codes)
{
  QfBlob *x = qf_net_blob (t->net, t->net->input);

  t->net->kernels->dequantize_u8_f32 (codes, x->scale, x->zero,
      x->real + qf_trainer_sample_bytes (t) * image, qf_trainer_sample_bytes (t));
}

void
qf_batch_put (const QfTrainer *t, int image, const guint8 *codes)
{
  if (t->net->quantize)
    memcpy (image_codes (t, image), codes, qf_trainer_sample_bytes (t));
  else
    fill_real (t, image, codes);
}

void
qf_batch_load (gpointer data, int image, int worker)
{
  QfBatch *b = data;
  QfTrainer *t = b->t;
  int number = (b->first + image) * b->every;
  const QfSample *s = g_ptr_array_index (b->samples, (guint) number);
  g_autofree guint8 *codes = g_malloc (qf_trainer_sample_bytes (t));

  qf_sample_plain (&t->augment, s, codes);
  qf_batch_put (t, image, codes);
}

static QfTensor
output_view (const QfNet *net, int i, int image)
{
  QfBlob *b = qf_net_blob (net, g_array_index (net->outputs, int, i));
  gsize at = (gsize) image * b->h * b->w * b->c;

  return (QfTensor){ b->name, b->codes ? QF_U8 : QF_F32, QF_NHWC, 1, b->c,
    b->h, b->w, b->scale, b->zero,
    b->codes ? (gpointer) (b->codes + at) : (gpointer) (b->real + at) };
}

/* A decoder needs the outputs' shapes and the metadata alone. */
static QfDecoder *
make_decoder (QfTrainer *t, GError **error)
{
  g_autoptr (QfModel) m = qf_trainer_model_of (t, qf_graph_copy (t->graph));

  return qf_decoder_new (m, error);
}

typedef struct
{
  QfDecoder *decoder;
  QfMetrics *metrics;
  GArray *boxes;
  QfTensor *views;
} Measure;

static void
measure_image (QfTrainer *t, Measure *m, const QfSample *s, int image)
{
  int n = (int) t->net->outputs->len;
  QfResult r = { m->boxes, -1, 0, NULL, 0 };

  for (int k = 0; k < n; k++)
    m->views[k] = output_view (t->net, k, image);
  /* An action is always told; boxes from 1 % on. */
  qf_decoder_run (m->decoder, m->views, n,
      qf_decoder_is_classifier (m->decoder) ? 0.0f : 0.01f, 0.5f, 100, &r);
  if (qf_decoder_is_classifier (m->decoder))
    qf_metrics_add_action (m->metrics, r.action, s->action);
  else
    qf_metrics_add (m->metrics, (QfBox *) m->boxes->data, (int) m->boxes->len,
        s->boxes, s->n_boxes);
}

/* Frozen forward passes over every @every-th of @samples; fills @scores. */
gboolean
qf_trainer_measure (QfTrainer *t, GPtrArray *samples, int every, QfScores *scores,
    GError **error)
{
  g_autoptr (QfDecoder) decoder = make_decoder (t, error);
  g_autoptr (QfMetrics) metrics = qf_metrics_new (t->n_labels);
  g_autoptr (GArray) boxes = g_array_new (FALSE, FALSE, sizeof (QfBox));
  g_autofree QfTensor *views = g_new (QfTensor, t->net->outputs->len);
  Measure m = { decoder, metrics, boxes, views };
  int total = ((int) samples->len + every - 1) / every;

  if (!decoder)
    return FALSE;
  for (int first = 0; first < total; first += t->net->batch) {
    int n = MIN (t->net->batch, total - first);
    QfBatch b = { t, samples, first, every };

    qf_pool_run (t->pool, qf_batch_load, &b, n);
    qf_net_forward (t->net, n, FALSE);
    for (int i = 0; i < n; i++)
      measure_image (t, &m,
          g_ptr_array_index (samples, (guint) ((first + i) * every)), i);
  }
  qf_metrics_get (metrics, scores);
  return TRUE;
}

gboolean
qf_trainer_look (
    QfTrainer *t, const QfSample *sample, QfSeen *seen, GError **error)
{
  g_autoptr (QfDecoder) decoder = make_decoder (t, error);
  int n = (int) t->net->outputs->len;
  g_autofree QfTensor *views = g_new (QfTensor, n);
  QfResult r = { seen->boxes, -1, 0, NULL, 0 };

  if (!decoder)
    return FALSE;
  qf_sample_plain (&t->augment, sample, seen->codes);
  qf_batch_put (t, 0, seen->codes);
  qf_net_forward (t->net, 1, FALSE);
  for (int k = 0; k < n; k++)
    views[k] = output_view (t->net, k, 0);
  qf_decoder_run (decoder, views, n,
      qf_decoder_is_classifier (decoder) ? 0.0f : (float) t->threshold, 0.5f,
      100, &r);
  seen->sample = sample;
  seen->action = r.action;
  seen->action_score = r.action_score;
  return TRUE;
}

/* Where there are no validation samples, training samples give the threshold
 * at which F1 is best. */
gboolean
qf_trainer_choose_threshold (QfTrainer *t, GError **error)
{
  gboolean own = t->validation->len > 0;
  GPtrArray *samples = own ? t->validation : t->train;
  QfScores s;

  if (g_str_equal (t->head, "classify"))
    return TRUE;
  if (!qf_trainer_measure (t, samples, MAX (1, (int) samples->len / 128), &s,
          error))
    return FALSE;
  if (isfinite (s.best_f1_score))
    /* Scores on learned pictures run higher: on vtest.avi F1 was best at 0.43
     * on frames 1-400, learned, and at 0.35 on 401-500, held back. */
    t->threshold = CLAMP (own ? s.best_f1_score : 0.8 * s.best_f1_score, 0.05,
        0.95);
  return TRUE;
}
