/* libqfuse: the training loop.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/trainer.h"
#include "model/model-private.h"
#include "train/build.h"
#include "train/samples.h"
#include "vision/heads.h"
#include "vision/metrics.h"

#include <math.h>
#include <string.h>

struct _QfTrainer
{
  QfTrainOptions o;
  char *head, *network, *labels; /* owned copies of o's */
  int n_labels;
  QfAugment augment;
  GPtrArray *train, *validation; /* QfSample */
  QfPool *pool;
  QfGraph *graph; /* what the net is built from */
  gboolean fresh; /* weights are to be drawn */
  QfNet *net;
  const QfLossKind *loss;
  gint64 step, total; /* of this run */
  gint64 start_time;  /* monotonic, µs */
  double threshold;   /* stored as qfuse.threshold */
  GArray **batch_boxes; /* [batch] QfBox */
  int *order;         /* shuffled sample numbers */
  int epoch;
};

void
qf_train_options_init (QfTrainOptions *o)
{
  *o = (QfTrainOptions){ 0 };
  o->width = 320;
  o->height = 240;
  o->fit = QF_FIT_LETTERBOX;
  o->head = "fcos";
  o->network = "nano";
  o->labels = "object";
  o->epochs = 12;
  o->batch_size = 16;
  o->learning_rate = 0.02;
  o->momentum = 0.9;
  o->weight_decay = 5e-4;
  o->zoom_min = 0.5;
  o->zoom_max = 2.0;
  o->shift = 0.1;
  o->brightness = 0.2;
  o->flip = TRUE;
  o->seed = 1;
  o->quantize = TRUE;
}

static int
count_labels (const char *labels)
{
  g_auto (GStrv) names = g_strsplit (labels, "\n", -1);
  int n = 0;

  for (int i = 0; names[i]; i++)
    n += names[i][0] != 0;
  return n;
}

static gboolean
check_options (const QfTrainOptions *o, GError **error)
{
  const char *wrong = NULL;

  if (o->planes.n < 1)
    wrong = "no input planes are named";
  else if (o->epochs < 1 || o->epochs > 100000)
    wrong = "epochs must be from 1 to 100000";
  else if (o->batch_size < 1 || o->batch_size > 256)
    wrong = "the batch must have 1 to 256 samples";
  else if (!(o->learning_rate > 0) || !isfinite (o->learning_rate))
    wrong = "the learning rate must be above 0";
  else if (!(o->zoom_min > 0) || !(o->zoom_max >= o->zoom_min)
      || o->zoom_max > 16 || o->zoom_min < 1.0 / 16)
    wrong = "zoom must be from 1/16 to 16, the lesser first";
  else if (!qf_loss_find (o->head))
    wrong = "this head cannot be trained; fcos and classify can";
  else if (count_labels (o->labels) < 1)
    wrong = "no label is named";
  if (wrong)
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT, "Cannot train: %s",
        wrong);
  return !wrong;
}

/* The start model's graph, in the form that qf_net_new() reads. */
static QfGraph *
start_graph (const QfTrainOptions *o, QfModel *start, GError **error)
{
  g_autoptr (QfGraph) g = qf_graph_copy (start->graph);
  g_autofree char *planes = qf_planes_to_string (&o->planes);
  const char *has = qf_model_get (start, "qfuse.planes");
  int c, h, w;

  qf_model_input_shape (start, &c, &h, &w);
  if (c != o->planes.n || h != o->height || w != o->width
      || (has && !g_str_equal (has, planes))) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "The start model sees %s at %dx%d, not %s at %dx%d; train with its "
        "planes and size", has ? has : "other planes", w, h, planes, o->width,
        o->height);
    return NULL;
  }
  if (!qf_graph_fuse (g, error))
    return NULL;
  for (guint i = 0; i < g->outputs->len; i++) {
    QfValue *v = qf_graph_value (g, g_array_index (g->outputs, int, i));
    const QfValue *was = qf_graph_value (start->graph,
        g_array_index (start->graph->outputs, int, i));

    g_free (v->name);
    v->name = g_strdup (was->name);
  }
  return g_steal_pointer (&g);
}

QfTrainer *
qf_trainer_new (const QfTrainOptions *options, QfModel *start, GError **error)
{
  g_autoptr (QfTrainer) t = NULL;

  if (!check_options (options, error))
    return NULL;
  t = g_new0 (QfTrainer, 1);
  t->o = *options;
  t->o.head = t->head = g_strdup (options->head);
  t->o.network = t->network = g_strdup (options->network);
  t->o.labels = t->labels = g_strdup (options->labels);
  t->n_labels = count_labels (t->labels);
  t->augment = (QfAugment){ options->planes, options->width, options->height,
    options->zoom_min, options->zoom_max, options->shift, options->brightness,
    options->flip };
  t->train = g_ptr_array_new_with_free_func ((GDestroyNotify) qf_sample_free);
  t->validation
      = g_ptr_array_new_with_free_func ((GDestroyNotify) qf_sample_free);
  t->loss = qf_loss_find (t->head);
  t->pool = qf_pool_new (options->threads);
  t->threshold = 0.3;
  if (start) {
    t->graph = start_graph (&t->o, start, error);
  } else {
    QfBuild b = { options->planes.n, options->width, options->height,
      t->n_labels, t->head };

    t->graph = qf_build_network (t->network, &b, error);
    t->fresh = TRUE;
  }
  if (!t->graph)
    return NULL;
  return g_steal_pointer (&t);
}

static void
free_run (QfTrainer *t)
{
  for (int i = 0; t->batch_boxes && i < t->net->batch; i++)
    g_array_unref (t->batch_boxes[i]);
  g_clear_pointer (&t->batch_boxes, g_free);
  g_clear_pointer (&t->order, g_free);
  g_clear_pointer (&t->net, qf_net_free);
}

void
qf_trainer_free (QfTrainer *t)
{
  if (!t)
    return;
  free_run (t);
  g_clear_pointer (&t->graph, qf_graph_free);
  g_ptr_array_unref (t->train);
  g_ptr_array_unref (t->validation);
  qf_pool_free (t->pool);
  g_free (t->head);
  g_free (t->network);
  g_free (t->labels);
  g_free (t);
}

static gsize
sample_bytes (const QfTrainer *t)
{
  return (gsize) t->o.planes.n * t->o.width * t->o.height;
}

void
qf_trainer_add (QfTrainer *t, const guint8 *planes, const QfBox *boxes,
    int n_boxes, int action, gboolean validation)
{
  QfSample *s
      = qf_sample_new (planes, sample_bytes (t), boxes, n_boxes, action);
  int kept = 0;

  for (int i = 0; i < n_boxes; i++) {
    const QfBox *b = &s->boxes[i];

    if (b->label >= 0 && b->label < t->n_labels && isfinite (b->x) && isfinite (b->y)
        && isfinite (b->w) && isfinite (b->h) && b->w > 0 && b->h > 0)
      s->boxes[kept++] = *b;
  }
  s->n_boxes = kept;
  g_ptr_array_add (validation ? t->validation : t->train, s);
}

int
qf_trainer_n_samples (const QfTrainer *t, gboolean validation)
{
  return (int) (validation ? t->validation : t->train)->len;
}

gsize
qf_trainer_bytes (const QfTrainer *t)
{
  return sample_bytes (t) * (t->train->len + t->validation->len);
}

/* One step -------------------------------------------------------------------------- */

typedef struct
{
  QfTrainer *t;
  GPtrArray *samples;
  const int *order; /* NULL: every @every-th in turn, as it stands */
  int first, every;
} Batch;

static guint8 *
image_codes (const QfTrainer *t, int image)
{
  return qf_net_blob (t->net, t->net->input)->codes
      + sample_bytes (t) * image;
}

/* In a float net the input is dequantized, too. */
static void
fill_real (const QfTrainer *t, int image, const guint8 *codes)
{
  QfBlob *x = qf_net_blob (t->net, t->net->input);

  t->net->kernels->dequantize_u8_f32 (codes, x->scale, x->zero,
      x->real + sample_bytes (t) * image, sample_bytes (t));
}

static void
load_image (gpointer data, int image, int worker)
{
  Batch *b = data;
  QfTrainer *t = b->t;
  int number = b->order ? b->order[b->first + image]
                        : (b->first + image) * b->every;
  const QfSample *s = g_ptr_array_index (b->samples, (guint) number);
  g_autofree guint8 *own
      = t->net->quantize ? NULL : g_malloc (sample_bytes (t));
  guint8 *codes = own ? own : image_codes (t, image);

  if (b->order) {
    /* A stream of its own for each picture of each epoch. */
    QfRng rng = { t->o.seed * UINT64_C (0x9e3779b97f4a7c15)
      + (guint64) t->epoch * UINT64_C (0xd1342543de82ef95)
      + (guint64) number };

    qf_rng_next (&rng);
    g_array_set_size (t->batch_boxes[image], 0);
    qf_sample_augment (&t->augment, s, rng, codes, t->batch_boxes[image]);
  } else {
    qf_sample_plain (&t->augment, s, codes);
  }
  if (own)
    fill_real (t, image, own);
}

static void
train_step (QfTrainer *t, int first, int n, double rate, QfLoss *loss)
{
  Batch b = { t, t->train, t->order, first, 1 };
  g_autofree QfTarget *targets = g_new0 (QfTarget, n);

  qf_pool_run (t->pool, load_image, &b, n);
  for (int i = 0; i < n; i++) {
    const QfSample *s
        = g_ptr_array_index (t->train, (guint) t->order[first + i]);
    GArray *boxes = t->batch_boxes[i];

    targets[i]
        = (QfTarget){ (QfBox *) boxes->data, (int) boxes->len, s->action };
  }
  qf_net_forward (t->net, n, TRUE);
  t->loss->run (t->net, targets, n, loss);
  qf_net_backward (t->net, n);
  qf_net_sgd (t->net, rate, t->o.momentum, t->o.weight_decay);
}

/* Share of the training that is over, by steps or by time. */
static double
progress (const QfTrainer *t)
{
  double p = (double) t->step / (double) t->total;

  if (t->o.minutes > 0)
    p = MAX (p, (double) (g_get_monotonic_time () - t->start_time)
        / (t->o.minutes * 60e6));
  return MIN (p, 1.0);
}

/* Linear warm-up over the first 4 %, then a half cosine down to 1 % of the
 * peak (Loshchilov, Hutter, SGDR, 2017). */
static double
rate_at (const QfTrainer *t, double p)
{
  const double warm = 0.04;

  if (p < warm)
    return t->o.learning_rate * (p + 1.0 / (double) t->total) / warm;
  return t->o.learning_rate
      * (0.01 + 0.99 * 0.5 * (1 + cos (G_PI * (p - warm) / (1 - warm))));
}

/* Measuring ---------------------------------------------------------------------------- */

static QfTensor
output_view (const QfNet *net, int i, int image)
{
  QfBlob *b = qf_net_blob (net, g_array_index (net->outputs, int, i));
  gsize at = (gsize) image * b->h * b->w * b->c;

  return (QfTensor){ b->name, b->codes ? QF_U8 : QF_F32, QF_NHWC, 1, b->c,
    b->h, b->w, b->scale, b->zero,
    b->codes ? (gpointer) (b->codes + at) : (gpointer) (b->real + at) };
}

static QfModel *model_of (QfTrainer *t, QfGraph *graph);

/* A decoder needs the outputs' shapes and the metadata alone. */
static QfDecoder *
make_decoder (QfTrainer *t, GError **error)
{
  g_autoptr (QfModel) m = model_of (t, qf_graph_copy (t->graph));

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
  QfResult r = { m->boxes, -1, 0 };

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
static gboolean
measure (QfTrainer *t, GPtrArray *samples, int every, QfScores *scores,
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
    Batch b = { t, samples, NULL, first, every };

    qf_pool_run (t->pool, load_image, &b, n);
    qf_net_forward (t->net, n, FALSE);
    for (int i = 0; i < n; i++)
      measure_image (t, &m,
          g_ptr_array_index (samples, (guint) ((first + i) * every)), i);
  }
  qf_metrics_get (metrics, scores);
  return TRUE;
}

/* Where there are no validation samples, training samples give the threshold
 * at which F1 is best. */
static gboolean
choose_threshold (QfTrainer *t, GError **error)
{
  gboolean own = t->validation->len > 0;
  GPtrArray *samples = own ? t->validation : t->train;
  QfScores s;

  if (g_str_equal (t->head, "classify"))
    return TRUE;
  if (!measure (t, samples, MAX (1, (int) samples->len / 128), &s, error))
    return FALSE;
  if (isfinite (s.best_f1_score))
    t->threshold = CLAMP (s.best_f1_score, 0.05, 0.95);
  return TRUE;
}

/* The run -------------------------------------------------------------------------------- */

static void
shuffle (int *order, int n, QfRng *rng)
{
  for (int i = n - 1; i > 0; i--) {
    int j = (int) qf_rng_below (rng, (guint32) i + 1), swap = order[i];

    order[i] = order[j];
    order[j] = swap;
  }
}

static gboolean
prepare_run (QfTrainer *t, GError **error)
{
  int n = (int) t->train->len, boxes = 0, actions = 0;
  QfRng rng = { t->o.seed };

  for (int i = 0; i < n; i++) {
    const QfSample *s = g_ptr_array_index (t->train, (guint) i);

    boxes += s->n_boxes;
    actions += s->action >= 0 && s->action < t->n_labels;
  }
  if (n == 0 || (g_str_equal (t->head, "classify") ? actions < n : !boxes)) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT, n == 0
            ? "There is nothing to learn from: no tagged frame arrived"
            : "There is nothing to learn from: the %d frames have no %s", n,
        g_str_equal (t->head, "classify") ? "action each" : "box");
    return FALSE;
  }
  free_run (t);
  t->net = qf_net_new (t->graph, MIN (t->o.batch_size, n), t->o.quantize,
      t->pool, error);
  if (!t->net)
    return FALSE;
  if (t->fresh)
    qf_net_init (t->net, &rng);
  t->order = g_new (int, n);
  for (int i = 0; i < n; i++)
    t->order[i] = i;
  t->batch_boxes = g_new0 (GArray *, t->net->batch);
  for (int i = 0; i < t->net->batch; i++)
    t->batch_boxes[i] = g_array_new (FALSE, FALSE, sizeof (QfBox));
  t->step = 0;
  t->total = (gint64) t->o.epochs * (n / t->net->batch);
  t->start_time = g_get_monotonic_time ();
  return TRUE;
}

static gboolean
cancelled (GError **error)
{
  g_set_error (error, QF_ERROR, QF_ERROR_CANCELLED, "Training was stopped");
  return FALSE;
}

static gboolean
run_batch (QfTrainer *t, int batch, QfTrainReport *r, QfLoss *sum,
    QfTrainFunc func, gpointer user_data, GError **error)
{
  double p = progress (t);
  QfLoss loss;

  /* Statistics and ranges stand still for the last fifth. */
  if (p >= 0.8)
    t->net->frozen = TRUE;
  r->learning_rate = rate_at (t, p);
  train_step (t, batch * t->net->batch, t->net->batch, r->learning_rate,
      &loss);
  t->step++;
  sum->total += loss.total;
  sum->klass += loss.klass;
  sum->box += loss.box;
  r->batch = batch;
  r->loss = loss.total;
  r->loss_class = loss.klass;
  r->loss_box = loss.box;
  r->frozen = t->net->frozen;
  r->seconds = (double) (g_get_monotonic_time () - t->start_time) * 1e-6;
  if (!isfinite (loss.total) || !qf_net_finite (t->net)) {
    g_set_error (error, QF_ERROR, QF_ERROR_FAILED,
        "Training diverged in epoch %d (the loss is no finite number); lower "
        "the learning rate of %g", r->epoch, t->o.learning_rate);
    return FALSE;
  }
  if (func && !func (t, r, user_data))
    return cancelled (error);
  return TRUE;
}

/* Whether this epoch's model is the best so far. Without validation samples the
 * newest is. */
static gboolean
judge (QfTrainer *t, QfTrainReport *r, double *best, GError **error)
{
  QfScores s = { NAN, NAN, NAN };
  double score;

  r->ap50 = r->best_f1 = r->accuracy = NAN;
  r->best = TRUE;
  if (t->validation->len == 0)
    return TRUE;
  if (!measure (t, t->validation, 1, &s, error))
    return FALSE;
  r->ap50 = s.ap50;
  r->best_f1 = s.best_f1;
  r->accuracy = s.accuracy;
  score = isfinite (s.ap50) ? s.ap50 : s.accuracy;
  r->best = !(score < *best);
  if (r->best && isfinite (score))
    *best = score;
  return TRUE;
}

gboolean
qf_trainer_run (QfTrainer *t, QfTrainFunc func, gpointer user_data,
    GError **error)
{
  QfRng rng = { t->o.seed ^ UINT64_C (0x5bd1e995) };
  double best = -1;
  int batches;

  if (!prepare_run (t, error))
    return FALSE;
  batches = (int) t->train->len / t->net->batch;
  for (t->epoch = 1; t->epoch <= t->o.epochs; t->epoch++) {
    QfTrainReport r = { t->epoch, t->o.epochs, 0, batches };
    QfLoss sum = { 0 };
    gboolean last;

    r.ap50 = r.best_f1 = r.accuracy = NAN;
    shuffle (t->order, (int) t->train->len, &rng);
    for (int i = 0; i < batches && progress (t) < 1; i++)
      if (!run_batch (t, i, &r, &sum, func, user_data, error))
        return FALSE;
    last = t->epoch == t->o.epochs || progress (t) >= 1;
    if ((last || t->validation->len > 0) && !choose_threshold (t, error))
      return FALSE;
    if (!judge (t, &r, &best, error))
      return FALSE;
    r.batch = -1;
    r.loss = sum.total / batches;
    r.loss_class = sum.klass / batches;
    r.loss_box = sum.box / batches;
    r.seconds = (double) (g_get_monotonic_time () - t->start_time) * 1e-6;
    if (func && !func (t, &r, user_data))
      return cancelled (error);
    if (last)
      break;
  }
  return TRUE;
}

/* Writing -------------------------------------------------------------------------------------- */

static char *
recipe_of (const QfTrainer *t)
{
  const QfTrainOptions *o = &t->o;
  char lr[G_ASCII_DTOSTR_BUF_SIZE];

  return g_strdup_printf ("network=%s epochs=%d batch=%d lr=%s seed=%"
      G_GUINT64_FORMAT " samples=%u step=%" G_GINT64_FORMAT "/%"
      G_GINT64_FORMAT, o->network, o->epochs, o->batch_size,
      g_ascii_formatd (lr, sizeof lr, "%g", o->learning_rate), o->seed,
      t->train->len, t->step, t->total);
}

/* FNV-1a, 64 bits: names the training and the step. */
static guint64
serial_of (const char *planes, const char *recipe)
{
  guint64 h = UINT64_C (0xcbf29ce484222325);

  for (const char *p = planes; *p; p++)
    h = (h ^ (guint8) *p) * UINT64_C (0x100000001b3);
  for (const char *p = recipe; *p; p++)
    h = (h ^ (guint8) *p) * UINT64_C (0x100000001b3);
  return h;
}

static void
set_double (QfModel *m, const char *key, double v)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  qf_model_set (m, key, g_ascii_formatd (text, sizeof text, "%.4g", v));
}

/* A model of @graph (taken) with the metadata of this training. */
static QfModel *
model_of (QfTrainer *t, QfGraph *graph)
{
  QfModel *m = qf_model_new (graph);
  g_autofree char *planes = qf_planes_to_string (&t->o.planes);
  g_autofree char *recipe = recipe_of (t);
  g_autofree char *serial
      = g_strdup_printf ("%" G_GUINT64_FORMAT, serial_of (planes, recipe));
  g_autofree char *rate = g_strdup_printf ("%d/%d", t->o.rate_n, t->o.rate_d);

  qf_model_set (m, "qfuse.version", "1");
  qf_model_set (m, "qfuse.planes", planes);
  if (t->o.rate_n > 0)
    qf_model_set (m, "qfuse.rate", rate);
  qf_model_set (m, "qfuse.fit", qf_fit_to_string (t->o.fit));
  qf_model_set (m, "qfuse.head", t->head);
  qf_model_set (m, "qfuse.labels", t->labels);
  qf_model_set (m, "qfuse.recipe", recipe);
  qf_model_set (m, "qfuse.serial", serial);
  set_double (m, "qfuse.threshold", t->threshold);
  set_double (m, "qfuse.iou", 0.5);
  return m;
}

QfModel *
qf_trainer_export (QfTrainer *t, GError **error)
{
  QfGraph *g;

  if (!t->net) {
    g_set_error (error, QF_ERROR, QF_ERROR_ARGUMENT,
        "There is no model yet: train first");
    return NULL;
  }
  g = qf_net_export (t->net, error);
  return g ? model_of (t, g) : NULL;
}
