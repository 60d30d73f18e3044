/* qfuse tests: the training loop on drawn pictures.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/engine.h"
#include "trainnet.h"
#include "train/trainer.h"
#include "vision/heads.h"

#include <math.h>
#include <string.h>

#define SIZE 64

/* A bright ring on noise; @box gets where. */
static void
draw (QfRng *rng, guint8 *to, QfBox *box)
{
  int side = 10 + (int) qf_rng_below (rng, 12);
  int x = (int) qf_rng_below (rng, (guint32) (SIZE - side));
  int y = (int) qf_rng_below (rng, (guint32) (SIZE - side));

  for (int i = 0; i < SIZE * SIZE; i++)
    to[i] = (guint8) (60 + qf_rng_below (rng, 60));
  for (int r = 0; r < side; r++)
    for (int c = 0; c < side; c++)
      if (r < 3 || c < 3 || r >= side - 3 || c >= side - 3)
        to[(y + r) * SIZE + x + c] = (guint8) (180 + qf_rng_below (rng, 40));
  *box = (QfBox){ (float) x, (float) y, (float) side, (float) side, 1, 0, 0,
    FALSE };
}

static void
options (QfTrainOptions *o)
{
  g_autoptr (GError) error = NULL;

  qf_train_options_init (o);
  g_assert_true (qf_planes_parse (&o->planes, "Y", &error));
  o->width = o->height = SIZE;
  o->labels = "ring";
  o->epochs = 6;
  o->batch_size = 8;
  o->zoom_min = 0.8;
  o->zoom_max = 1.25;
}

static QfTrainer *
trainer (const QfTrainOptions *o, QfModel *start, int train, int validation)
{
  GError *error = NULL;
  QfTrainer *t = qf_trainer_new (o, start, &error);
  QfRng rng = { 11 };
  guint8 picture[SIZE * SIZE];
  QfBox box;

  g_assert_no_error (error);
  for (int i = 0; i < train + validation; i++) {
    draw (&rng, picture, &box);
    qf_trainer_add (t, picture, &box, 1, -1, i >= train);
  }
  g_assert_cmpint (qf_trainer_n_samples (t, FALSE), ==, train);
  g_assert_cmpuint (
      qf_trainer_bytes (t), ==, (gsize) (train + validation) * SIZE * SIZE);
  return t;
}

static gboolean
keep (QfTrainer *t, const QfTrainReport *r, gpointer user_data)
{
  if (r->batch < 0)
    *(QfTrainReport *) user_data = *r;
  return TRUE;
}

static GBytes *
train_to_bytes (const QfTrainOptions *o, QfModel *start, QfTrainReport *last)
{
  g_autoptr (QfTrainer) t = trainer (o, start, 64, 32);
  g_autoptr (QfModel) m = NULL;
  GError *error = NULL;
  GBytes *bytes;

  qf_trainer_run (t, keep, last, &error);
  g_assert_no_error (error);
  m = qf_trainer_export (t, &error);
  g_assert_no_error (error);
  bytes = qf_model_to_bytes (m, &error);
  g_assert_no_error (error);
  return bytes;
}

static void
test_learns (void)
{
  QfTrainOptions o;
  QfTrainReport last = { 0 };
  g_autoptr (GBytes) bytes = NULL;

  options (&o);
  o.epochs = 20;
  bytes = train_to_bytes (&o, NULL, &last);
  g_test_message (
      "AP50 %.3f, F1 %.3f, loss %.3f", last.ap50, last.best_f1, last.loss);
  g_assert_cmpint (last.epoch, ==, 20);
  g_assert_true (last.frozen);
  g_assert_cmpfloat (last.ap50, >=, 0.9);
  g_assert_cmpuint (g_bytes_get_size (bytes), <, 250000);
}

static void
test_threads (void)
{
  QfTrainOptions o;
  QfTrainReport last;
  g_autoptr (GBytes) one = NULL;

  options (&o);
  o.epochs = 2;
  o.threads = 1;
  one = train_to_bytes (&o, NULL, &last);
  for (int threads = 2; threads <= 4; threads++) {
    g_autoptr (GBytes) more = NULL;

    o.threads = threads;
    more = train_to_bytes (&o, NULL, &last);
    g_assert_true (g_bytes_equal (one, more));
  }
  {
    g_autoptr (GBytes) other = NULL;

    o.seed++;
    other = train_to_bytes (&o, NULL, &last);
    g_assert_false (g_bytes_equal (one, other));
  }
}

/* The average is measured and written, and training goes on as if it had not been:
 * the same losses, the same file on any number of threads. */
static void
test_average (void)
{
  QfTrainOptions o;
  QfTrainReport plain, averaged;
  g_autoptr (GBytes) without = NULL, with = NULL;

  options (&o);
  o.epochs = 12;
  o.threads = 1;
  without = train_to_bytes (&o, NULL, &plain);
  o.average = 0.95;
  with = train_to_bytes (&o, NULL, &averaged);
  g_test_message ("AP50 %.3f, of the average %.3f", plain.ap50, averaged.ap50);
  g_assert_cmpfloat (plain.loss, ==, averaged.loss);
  g_assert_cmpfloat (averaged.ap50, >=, plain.ap50 - 0.05);
  g_assert_false (g_bytes_equal (without, with));
  for (int threads = 2; threads <= 4; threads += 2) {
    g_autoptr (GBytes) more = NULL;

    o.threads = threads;
    more = train_to_bytes (&o, NULL, &averaged);
    g_assert_true (g_bytes_equal (with, more));
  }
}

/* Every assignment and optimizer learns it. */
static void
test_methods (void)
{
  static const char *const methods[][3] = { { "fixed", "adamw", "bound" },
    { "tal", "sgd", "minmax" }, { "simota", "sgd", "learned" },
    { "tal", "adamw", "learned" }, { "fixed", "sgd", "percentile" } };

  for (gsize i = 0; i < G_N_ELEMENTS (methods); i++) {
    QfTrainOptions o;
    QfTrainReport last;
    g_autoptr (GBytes) bytes = NULL;

    options (&o);
    o.epochs = 20;
    o.assign = methods[i][0];
    o.optimizer = methods[i][1];
    o.ranges = methods[i][2];
    o.clip_norm = 10;
    bytes = train_to_bytes (&o, NULL, &last);
    g_test_message ("%s, %s, %s: AP50 %.3f, F1 %.3f, loss %.3f", o.assign,
        o.optimizer, o.ranges, last.ap50, last.best_f1, last.loss);
    g_assert_cmpfloat (last.ap50, >=, 0.8);
  }
}

/* A written model goes on: with a rate of almost nothing it stays as good. */
static void
test_start_model (void)
{
  QfTrainOptions o;
  QfTrainReport first, again;
  g_autoptr (GBytes) bytes = NULL, next = NULL;
  g_autoptr (QfModel) m = NULL;
  GError *error = NULL;

  options (&o);
  o.epochs = 20;
  bytes = train_to_bytes (&o, NULL, &first);
  m = qf_model_load_bytes (bytes, "first", &error);
  g_assert_no_error (error);
  o.epochs = 2;
  o.learning_rate = 1e-4;
  next = train_to_bytes (&o, m, &again);
  g_test_message ("AP50 %.3f, then %.3f", first.ap50, again.ap50);
  g_assert_cmpfloat (again.ap50, >=, first.ap50 - 0.03);
}

static void
test_start_model_must_fit (void)
{
  QfTrainOptions o;
  QfTrainReport last;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (QfModel) m = NULL;
  g_autoptr (QfTrainer) t = NULL;
  GError *error = NULL;

  options (&o);
  o.epochs = 1;
  bytes = train_to_bytes (&o, NULL, &last);
  m = qf_model_load_bytes (bytes, "first", &error);
  g_assert_no_error (error);
  g_assert_true (qf_planes_parse (&o.planes, "D1", NULL));
  t = qf_trainer_new (&o, m, &error);
  g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "D1"));
  g_clear_error (&error);
}

static void
test_nothing_to_learn (void)
{
  QfTrainOptions o;
  g_autoptr (QfTrainer) t = NULL;
  g_autoptr (QfTrainer) blank = NULL;
  guint8 picture[SIZE * SIZE] = { 0 };
  GError *error = NULL;

  options (&o);
  t = trainer (&o, NULL, 0, 0);
  g_assert_false (qf_trainer_run (t, NULL, NULL, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
  g_clear_error (&error);
  blank = qf_trainer_new (&o, NULL, &error);
  qf_trainer_add (blank, picture, NULL, 0, -1, FALSE);
  g_assert_false (qf_trainer_run (blank, NULL, NULL, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
  g_clear_error (&error);
}

static void
test_divergence (void)
{
  QfTrainOptions o;
  g_autoptr (QfTrainer) t = NULL;
  GError *error = NULL;

  options (&o);
  o.learning_rate = 1e30;
  t = trainer (&o, NULL, 32, 0);
  g_assert_false (qf_trainer_run (t, NULL, NULL, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "learning rate"));
  g_clear_error (&error);
}

static gboolean
stop_at_third (QfTrainer *t, const QfTrainReport *r, gpointer user_data)
{
  return ++*(int *) user_data < 3;
}

static void
test_cancel (void)
{
  QfTrainOptions o;
  g_autoptr (QfTrainer) t = NULL;
  GError *error = NULL;
  int calls = 0;

  options (&o);
  t = trainer (&o, NULL, 64, 0);
  g_assert_false (qf_trainer_run (t, stop_at_third, &calls, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_CANCELLED);
  g_assert_cmpint (calls, ==, 3);
  g_clear_error (&error);
}

static gboolean
first_rate (QfTrainer *t, const QfTrainReport *r, gpointer user_data)
{
  *(double *) user_data = r->learning_rate;
  return FALSE;
}

/* The first step is the same however little time there is, so that the clock
 * changes nothing where time suffices. */
static void
test_clock (void)
{
  double untimed = 0;

  for (int i = 0; i < 4; i++) {
    QfTrainOptions o;
    g_autoptr (QfTrainer) t = NULL;
    GError *error = NULL;
    double rate = -1;

    options (&o);
    o.minutes = i == 0 ? 0 : 1e-4;
    t = trainer (&o, NULL, 64, 0);
    g_assert_false (qf_trainer_run (t, first_rate, &rate, &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_CANCELLED);
    g_clear_error (&error);
    if (i == 0)
      untimed = rate;
    g_assert_cmpfloat (rate, >, 0);
    g_assert_cmpfloat (rate, ==, untimed);
  }
}

static void
test_bad_options (void)
{
  static const struct
  {
    int epochs, batch, width;
    double rate;
    const char *head, *network, *labels;
  } bad[] = {
    { 0, 8, 64, 0.01, "fcos", "nano", "a" },
    { 1, 0, 64, 0.01, "fcos", "nano", "a" },
    { 1, 8, 65, 0.01, "fcos", "nano", "a" },
    { 1, 8, 64, -1, "fcos", "nano", "a" },
    { 1, 8, 64, NAN, "fcos", "nano", "a" },
    { 1, 8, 64, 0.01, "nothing", "nano", "a" },
    { 1, 8, 64, 0.01, "fcos", "giant", "a" },
    { 1, 8, 64, 0.01, "fcos", "nano", "" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++) {
    QfTrainOptions o;
    GError *error = NULL;

    options (&o);
    o.epochs = bad[i].epochs;
    o.batch_size = bad[i].batch;
    o.width = bad[i].width;
    o.learning_rate = bad[i].rate;
    o.head = bad[i].head;
    o.network = bad[i].network;
    o.labels = bad[i].labels;
    g_assert_null (qf_trainer_new (&o, NULL, &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
    g_clear_error (&error);
  }
}

/* Boxes that cannot be: dropped, and what is left is learned. */
static void
test_bad_boxes (void)
{
  QfTrainOptions o;
  g_autoptr (QfTrainer) t = NULL;
  guint8 picture[SIZE * SIZE];
  QfRng rng = { 3 };
  QfBox boxes[7];
  GError *error = NULL;

  options (&o);
  o.epochs = 1;
  t = qf_trainer_new (&o, NULL, &error);
  for (int i = 0; i < 16; i++) {
    draw (&rng, picture, &boxes[0]);
    for (int k = 1; k < 7; k++)
      boxes[k] = boxes[0];
    boxes[1].w = 0;
    boxes[2].h = -4;
    boxes[3].x = NAN;
    boxes[4].y = INFINITY;
    boxes[5].label = 9;
    boxes[6].x = -4000;
    qf_trainer_add (t, picture, boxes, 7, -1, FALSE);
  }
  g_assert_true (qf_trainer_run (t, NULL, NULL, &error));
  g_assert_no_error (error);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/train/trainer/learns", test_learns);
  g_test_add_func ("/train/trainer/threads", test_threads);
  g_test_add_func ("/train/trainer/average", test_average);
  g_test_add_func ("/train/trainer/methods", test_methods);
  g_test_add_func ("/train/trainer/start-model", test_start_model);
  g_test_add_func (
      "/train/trainer/start-model-must-fit", test_start_model_must_fit);
  g_test_add_func ("/train/trainer/nothing-to-learn", test_nothing_to_learn);
  g_test_add_func ("/train/trainer/divergence", test_divergence);
  g_test_add_func ("/train/trainer/cancel", test_cancel);
  g_test_add_func ("/train/trainer/clock", test_clock);
  g_test_add_func ("/train/trainer/bad-options", test_bad_options);
  g_test_add_func ("/train/trainer/bad-boxes", test_bad_boxes);
  return g_test_run ();
}
