/* qfuse tests: which cells learn which box, and the same bits on all threads.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/build.h"
#include "train/loss.h"
#include "trainnet.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

#define SIDE 64 /* of the input */
#define CELLS 8 /* a row, at stride 8 */
#define IMAGES 3
#define LABELS 2

typedef struct
{
  QfNet *net;
  QfBlob *cls, *box;
} Head;

static const char *const names[] = { "fixed", "tal", "simota" };

/* A float net's outputs: logits @logit, boxes of 16x16 round each centre. */
static Head
head_new (QfPool *pool, float logit)
{
  const QfBuild b = { 1, SIDE, SIDE, LABELS, "fcos" };
  GError *error = NULL;
  g_autoptr (QfGraph) g = qf_build_network ("nano", &b, &error);
  Head h;

  g_assert_no_error (error);
  h.net = qf_net_new (g, IMAGES, FALSE, pool, &error);
  g_assert_no_error (error);
  h.cls = qf_net_blob (h.net, g_array_index (h.net->outputs, int, 0));
  h.box = qf_net_blob (h.net, g_array_index (h.net->outputs, int, 1));
  g_assert_cmpstr (h.cls->name, ==, "cls_8");
  for (int i = 0; i < IMAGES * CELLS * CELLS * LABELS; i++)
    h.cls->real[i] = logit;
  for (int i = 0; i < IMAGES * CELLS * CELLS * 4; i++)
    h.box->real[i] = 0;
  return h;
}

/* Makes cell (@x, @y) of image 0 predict the edges of @b, each moved by @off.
 */
static void
predict (Head *h, int x, int y, const QfBox *b, float off)
{
  float cx = ((float) x + 0.5f) * 8, cy = ((float) y + 0.5f) * 8;
  float d[4] = { cx - b->x, cy - b->y, b->x + b->w - cx, b->y + b->h - cy };

  for (int i = 0; i < 4; i++)
    h->box->real[(y * CELLS + x) * 4 + i] = logf ((d[i] + off) / 8);
}

static float
class_grad (const Head *h, int x, int y, int label)
{
  return h->cls->grad[(y * CELLS + x) * LABELS + label];
}

static gboolean
learns_box (const Head *h, int x, int y)
{
  const float *g = h->box->grad + (y * CELLS + x) * 4;

  return g[0] != 0 || g[1] != 0 || g[2] != 0 || g[3] != 0;
}

static int
count_owned (const Head *h)
{
  int n = 0;

  for (int y = 0; y < CELLS; y++)
    for (int x = 0; x < CELLS; x++)
      n += learns_box (h, x, y);
  return n;
}

static void
run (Head *h, QfAssign assign, const QfBox *boxes, int n)
{
  QfTarget t[IMAGES] = { { boxes, n, -1 } };
  QfLoss loss;

  qf_loss_fcos (h->net, assign, t, IMAGES, &loss);
  g_assert_true (isfinite (loss.total));
  g_assert_cmpfloat (loss.total, >, 0);
}

static void
test_parse (void)
{
  GError *error = NULL;
  QfAssign a;

  for (int i = 0; i < 3; i++) {
    g_assert_true (qf_assign_parse (names[i], &a, &error));
    g_assert_cmpint (a, ==, i);
  }
  g_assert_false (qf_assign_parse ("best", &a, &error));
  g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
  g_error_free (error);
}

/* A 20x20 box in the middle of the picture: the four cells round its centre are
 * those whose centre is within 10 pixels. */
static void
test_fixed (void)
{
  const QfBox b = { 22, 22, 20, 20, 1, 1 };
  Head h = head_new (NULL, -4);

  run (&h, QF_ASSIGN_FIXED, &b, 1);
  g_assert_cmpint (count_owned (&h), ==, 4);
  for (int i = 0; i < 4; i++) {
    g_assert_cmpfloat (class_grad (&h, 3 + i % 2, 3 + i / 2, 1), <, 0);
    g_assert_cmpfloat (class_grad (&h, 3 + i % 2, 3 + i / 2, 0), >, 0);
  }
  qf_net_free (h.net);
}

/* One cell predicts the box almost exactly, three more not at all: the IoUs sum
 * up to less than 2, so it alone learns it. */
static void
test_simota (void)
{
  const QfBox b = { 22, 22, 20, 20, 1 };
  Head h = head_new (NULL, -1);

  for (int i = 0; i < 4; i++)
    predict (&h, 3 + i % 2, 3 + i / 2, &b, i == 2 ? 0.5f : 200.0f);
  run (&h, QF_ASSIGN_SIMOTA, &b, 1);
  g_assert_cmpint (count_owned (&h), ==, 1);
  g_assert_true (learns_box (&h, 3, 4));
  g_assert_cmpfloat (class_grad (&h, 3, 4, 0), <, 0);
  g_assert_cmpfloat (class_grad (&h, 4, 4, 0), >, 0);
  /* All four do: the sum is over 3. */
  for (int i = 0; i < 4; i++)
    predict (&h, 3 + i % 2, 3 + i / 2, &b, 0.5f);
  run (&h, QF_ASSIGN_SIMOTA, &b, 1);
  g_assert_cmpint (count_owned (&h), ==, 3);
  qf_net_free (h.net);
}

/* All candidates learn the box, but only the best is to score. */
static void
test_tal (void)
{
  const QfBox b = { 22, 22, 20, 20, 1 };
  Head h = head_new (NULL, 0); /* p = 0.5 */

  predict (&h, 3, 3, &b, 0.5f); /* IoU 400/441 */
  predict (&h, 4, 3, &b, 3.0f); /* IoU 400/676: target under 0.1 */
  predict (&h, 3, 4, &b, 3.0f);
  predict (&h, 4, 4, &b, 3.0f);
  run (&h, QF_ASSIGN_TAL, &b, 1);
  g_assert_cmpint (count_owned (&h), ==, 4);
  g_assert_cmpfloat (class_grad (&h, 3, 3, 0), <, 0);
  g_assert_cmpfloat (class_grad (&h, 4, 3, 0), >, 0);
  g_assert_cmpfloat (class_grad (&h, 3, 3, 1), >, 0);
  qf_net_free (h.net);
}

/* 3 pixels between four cells, and in a corner of the picture. */
static void
test_tiny (void)
{
  const QfBox boxes[] = { { 30.5f, 30.5f, 3, 3, 1 }, { 0, 0, 2, 2, 1 } };

  for (int a = 0; a < 3; a++) {
    Head h = head_new (NULL, -6);

    run (&h, (QfAssign) a, boxes, 2);
    g_assert_true (learns_box (&h, 0, 0));
    g_assert_true (learns_box (&h, 3, 3) || learns_box (&h, 4, 4) ||
        learns_box (&h, 3, 4) || learns_box (&h, 4, 3));
    qf_net_free (h.net);
  }
}

/* Two boxes of one place: the cell goes to the one that it predicts. */
static void
test_conflict (void)
{
  const QfBox boxes[] = { { 24, 24, 8, 8, 1 },
    { 20, 20, 16, 16, 1, 1, 0, 0, FALSE } };

  for (int a = 1; a < 3; a++)
    for (int which = 0; which < 2; which++) {
      Head h = head_new (NULL, 0);

      predict (&h, 3, 3, &boxes[which], 0.1f);
      run (&h, (QfAssign) a, boxes, 2);
      g_assert_cmpfloat (class_grad (&h, 3, 3, which), <, 0);
      g_assert_cmpfloat (class_grad (&h, 3, 3, 1 - which), >, 0);
      qf_net_free (h.net);
    }
}

/* Cells of an ignored box learn nothing. */
static void
test_ignored (void)
{
  const QfBox b = {
    .x = 16, .y = 16, .w = 24, .h = 24, .score = 1, .ignore = TRUE
  };

  for (int a = 0; a < 3; a++) {
    Head h = head_new (NULL, 1);

    run (&h, (QfAssign) a, &b, 1);
    g_assert_cmpint (count_owned (&h), ==, 0);
    g_assert_cmpfloat (class_grad (&h, 3, 3, 0), ==, 0);
    g_assert_cmpfloat (class_grad (&h, 0, 0, 0), >, 0);
    qf_net_free (h.net);
  }
}

/* Random boxes and outputs: the same gradients on 1, 2 and 4 threads. */
static void
test_threads (void)
{
  QfRng rng = { test_seed () };
  QfBox boxes[IMAGES][5];
  QfTarget t[IMAGES];

  for (int i = 0; i < IMAGES; i++) {
    for (int k = 0; k < 5; k++) {
      float side = 2 + (float) qf_rng_uniform (&rng) * 30;

      boxes[i][k] = (QfBox){ (float) qf_rng_uniform (&rng) * (SIDE - side),
        (float) qf_rng_uniform (&rng) * (SIDE - side), side, side, 1,
        (int) qf_rng_below (&rng, LABELS) };
    }
    t[i] = (QfTarget){ boxes[i], 5, -1 };
  }
  for (int a = 0; a < 3; a++) {
    g_autofree float *first = NULL;
    gsize bytes = sizeof (float) * IMAGES * CELLS * CELLS * 4;

    for (int threads = 1; threads <= 4; threads *= 2) {
      g_autoptr (QfPool) pool = qf_pool_new (threads);
      QfRng same = { 7 };
      Head h = head_new (pool, -2);
      QfLoss loss;

      for (int i = 0; i < IMAGES * CELLS * CELLS * 4; i++)
        h.box->real[i] = (float) qf_rng_uniform (&same) * 3 - 1;
      qf_loss_fcos (h.net, (QfAssign) a, t, IMAGES, &loss);
      if (first)
        g_assert_cmpmem (h.box->grad, bytes, first, bytes);
      else
        first = g_memdup2 (h.box->grad, bytes);
      qf_net_free (h.net);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/loss/parse", test_parse);
  g_test_add_func ("/loss/fixed", test_fixed);
  g_test_add_func ("/loss/simota", test_simota);
  g_test_add_func ("/loss/tal", test_tal);
  g_test_add_func ("/loss/tiny", test_tiny);
  g_test_add_func ("/loss/conflict", test_conflict);
  g_test_add_func ("/loss/ignored", test_ignored);
  g_test_add_func ("/loss/threads", test_threads);
  return g_test_run ();
}
