/* qfuse tests: motion alone. A textured square goes left, right, up or down over a
 * textured background: one picture cannot tell where, two differences can.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trainnet.h"
#include "train/trainer.h"
#include "vision/differencer.h"

#include <string.h>

#define SIZE 64
#define SQUARE 20
#define TRAIN 800
#define TEST 400

/* Smooth noise: random codes on a coarse grid, bilinear between. */
static void
draw_texture (QfRng *rng, int cell, guint8 *to, int w, int h)
{
  int gw = w / cell + 2, gh = h / cell + 2;
  g_autofree guint8 *grid = g_malloc (gw * gh);

  for (int i = 0; i < gw * gh; i++)
    grid[i] = (guint8) (40 + qf_rng_below (rng, 176));
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++) {
      const guint8 *g = grid + y / cell * gw + x / cell;
      int fx = x % cell, fy = y % cell;
      int top = g[0] * (cell - fx) + g[1] * fx;
      int low = g[gw] * (cell - fx) + g[gw + 1] * fx;

      to[y * w + x]
          = (guint8) ((top * (cell - fy) + low * fy) / (cell * cell));
    }
}

/* The last of four pictures of one scene, as planes. @label: 0 left, 1 right, 2
 * up, 3 down; two pixels a picture. */
static void
draw_sample (QfRng *rng, QfDifferencer *d, int label, guint8 *planes)
{
  static const int dx[] = { -2, 2, 0, 0 }, dy[] = { 0, 0, -2, 2 };
  guint8 ground[SIZE * SIZE], square[SQUARE * SQUARE], picture[SIZE * SIZE];
  int x = 6 + (int) qf_rng_below (rng, SIZE - SQUARE - 12);
  int y = 6 + (int) qf_rng_below (rng, SIZE - SQUARE - 12);

  draw_texture (rng, 6, ground, SIZE, SIZE);
  draw_texture (rng, 4, square, SQUARE, SQUARE);
  qf_differencer_reset (d);
  for (int step = -3; step <= 0; step++) {
    memcpy (picture, ground, sizeof picture);
    for (int r = 0; r < SQUARE; r++)
      memcpy (picture + (y + step * dy[label] + r) * SIZE + x
              + step * dx[label], square + r * SQUARE, SQUARE);
    qf_differencer_push (d, picture, NULL, -1, planes);
  }
}

static gboolean
keep_last (QfTrainer *t, const QfTrainReport *r, gpointer user_data)
{
  if (r->batch < 0)
    *(double *) user_data = r->accuracy;
  return TRUE;
}

/* Accuracy on scenes that were not learned. */
static double
train_on (const char *planes, int epochs)
{
  QfTrainOptions o;
  g_autoptr (GError) error = NULL;
  g_autoptr (QfTrainer) t = NULL;
  g_autoptr (QfDifferencer) d = NULL;
  g_autofree guint8 *out = NULL;
  QfRng rng = { test_seed () };
  double accuracy = -1;

  qf_train_options_init (&o);
  g_assert_true (qf_planes_parse (&o.planes, planes, &error));
  o.width = o.height = SIZE;
  o.head = "classify";
  o.labels = "left\nright\nup\ndown";
  o.epochs = epochs;
  o.batch_size = 16;
  o.flip = FALSE; /* a mirror turns left into right */
  o.zoom_min = o.zoom_max = 1;
  o.shift = 0;
  t = qf_trainer_new (&o, NULL, &error);
  g_assert_no_error (error);
  d = qf_differencer_new (&o.planes, SIZE, SIZE, 0, 1);
  out = g_malloc ((gsize) o.planes.n * SIZE * SIZE);
  for (int i = 0; i < TRAIN + TEST; i++) {
    draw_sample (&rng, d, i % 4, out);
    qf_trainer_add (t, out, NULL, 0, i % 4, i >= TRAIN);
  }
  g_assert_true (qf_trainer_run (t, keep_last, &accuracy, &error));
  g_test_message ("%s: %.1f %%", planes, 100 * accuracy);
  return accuracy;
}

static void
test_differences_tell (void)
{
  g_assert_cmpfloat (train_on ("D1,D3", 20), >=, 0.99);
}

/* Chance is 25 %; three standard deviations of 400 coin tosses are 6.5 points. */
static void
test_picture_does_not (void)
{
  g_assert_cmpfloat (train_on ("Y", 20), <=, 0.25 + 0.065);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/train/motion/differences", test_differences_tell);
  g_test_add_func ("/train/motion/picture", test_picture_does_not);
  return g_test_run ();
}
