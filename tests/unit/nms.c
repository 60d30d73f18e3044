/* Test of overlap and non-maximum suppression.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "vision/box.h"

static void
test_iou (void)
{
  const QfBox a = { .x = 0, .y = 0, .w = 10, .h = 10 };
  const struct
  {
    QfBox box;
    float iou;
  } rows[] = {
    { { .x = 0, .y = 0, .w = 10, .h = 10 }, 1 },
    { { .x = 5, .y = 0, .w = 10, .h = 10 }, 1.0f / 3 },
    { { .x = 5, .y = 5, .w = 10, .h = 10 }, 1.0f / 7 },
    { { .x = 2, .y = 2, .w = 5, .h = 4 }, 0.2f },
    { { .x = 10, .y = 0, .w = 10, .h = 10 }, 0 },
    { { .x = 40, .y = 0, .w = 10, .h = 10 }, 0 },
    { { .x = 2, .y = 2, .w = 0, .h = 4 }, 0 },
    { { .x = 2, .y = 2, .w = -3, .h = -4 }, 0 },
    { { .x = NAN, .y = 2, .w = 5, .h = 4 }, 0 },
    { { .x = 2, .y = 2, .w = 5, .h = NAN }, 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_assert_cmpfloat (qf_box_iou (&a, &rows[i].box), ==, rows[i].iou);
    g_assert_cmpfloat (qf_box_iou (&rows[i].box, &a), ==, rows[i].iou);
  }
}

/* By the words of the definition: strike out, one by one. */
static GArray *
naive_nms (const GArray *boxes, float iou, int max)
{
  GArray *out = g_array_new (FALSE, FALSE, sizeof (QfBox));
  g_autofree gboolean *gone = g_new0 (gboolean, boxes->len + 1);

  for (;;) {
    int best = -1;
    QfBox b;

    for (guint i = 0; i < boxes->len; i++)
      if (!gone[i] &&
          (best < 0 ||
              g_array_index (boxes, QfBox, i).score >
                  g_array_index (boxes, QfBox, best).score))
        best = (int) i;
    if (best < 0 || (max > 0 && out->len == (guint) max))
      return out;
    b = g_array_index (boxes, QfBox, best);
    g_array_append_val (out, b);
    gone[best] = TRUE;
    for (guint i = 0; i < boxes->len; i++) {
      const QfBox *o = &g_array_index (boxes, QfBox, i);

      if (o->label == b.label && qf_box_iou (o, &b) > iou)
        gone[i] = TRUE;
    }
  }
}

static void
test_random (void)
{
  guint32 seed = g_test_rand_int_range (0, G_MAXINT32);
  QfRng rng = { seed };

  g_test_message ("seed %u", seed);
  for (int round = 0; round < 500; round++) {
    int n = (int) qf_rng_below (&rng, 60), max = (int) qf_rng_below (&rng, 20);
    float iou = (float) qf_rng_below (&rng, 11) / 10;
    g_autoptr (GArray) boxes = g_array_new (FALSE, TRUE, sizeof (QfBox));
    g_autoptr (GArray) expected = NULL;

    for (int i = 0; i < n; i++) {
      QfBox box = { .x = (float) qf_rng_below (&rng, 20),
        .y = (float) qf_rng_below (&rng, 20),
        .w = (float) qf_rng_below (&rng, 20),
        .h = (float) qf_rng_below (&rng, 20),
        .score = (float) qf_rng_below (&rng, 8) / 8, /* many are equal */
        .label = (int) qf_rng_below (&rng, 3),
        .id = i };

      g_array_append_val (boxes, box);
    }
    expected = naive_nms (boxes, iou, max);
    qf_nms (boxes, iou, max);
    g_assert_cmpmem (boxes->data, boxes->len * sizeof (QfBox), expected->data,
        expected->len * sizeof (QfBox));
  }
}

static int
by_score (const void *a, const void *b)
{
  const QfBox *p = a, *q = b;

  if (p->score != q->score)
    return p->score > q->score ? -1 : 1;
  return p->id < q->id ? -1 : p->id > q->id;
}

/* Each box against all that are kept. @boxes have their place as id. */
static GArray *
plain_nms (const GArray *boxes, float iou, int max)
{
  GArray *out = g_array_new (FALSE, FALSE, sizeof (QfBox));
  g_autofree QfBox *in = g_memdup2 (boxes->data, boxes->len * sizeof (QfBox));

  qsort (in, boxes->len, sizeof *in, by_score);
  for (guint i = 0; i < boxes->len && (max == 0 || out->len < (guint) max);
       i++) {
    gboolean keep = TRUE;

    for (guint j = 0; j < out->len && keep; j++) {
      const QfBox *o = &g_array_index (out, QfBox, j);

      keep = o->label != in[i].label || !(qf_box_iou (o, &in[i]) > iou);
    }
    if (keep)
      g_array_append_val (out, in[i]);
  }
  return out;
}

typedef enum
{
  SMALL,   /* all of about one size, over a large picture */
  MIXED,   /* from a pixel to the picture, thin ones too */
  CORNERS, /* many equal corners, edges that only touch */
  BROKEN,  /* MIXED with what is not finite, empty or far away */
  N_KINDS
} Kind;

static float
any_of (QfRng *rng, float size)
{
  return (float) qf_rng_uniform (rng) * size;
}

static QfBox
random_box (QfRng *rng, Kind kind)
{
  static const float broken[] = { NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 0,
    -5, 1e-30f };
  QfBox b = { .score = (float) qf_rng_below (rng, 1000) / 1000,
    .label = (int) qf_rng_below (rng, 3) };

  if (kind == SMALL) {
    b.w = 10 + any_of (rng, 10);
    b.h = 10 + any_of (rng, 10);
  } else if (kind == CORNERS) {
    b.w = (float) (8 * (1 + qf_rng_below (rng, 4)));
    b.h = (float) (8 * (1 + qf_rng_below (rng, 4)));
  } else {
    b.w = expf (any_of (rng, 7));
    b.h = expf (any_of (rng, 7));
  }
  b.x = any_of (rng, 1920) - b.w / 2;
  b.y = any_of (rng, 1080) - b.h / 2;
  if (kind == CORNERS) {
    b.x = 8 * roundf (b.x / 8);
    b.y = 8 * roundf (b.y / 8);
  }
  if (kind == BROKEN && qf_rng_below (rng, 4) == 0) {
    float *v[] = { &b.x, &b.y, &b.w, &b.h };

    *v[qf_rng_below (rng, 4)] =
        broken[qf_rng_below (rng, G_N_ELEMENTS (broken))];
  }
  return b;
}

/* Many boxes: the same bytes as by comparing all with all. */
static void
test_many (void)
{
  guint32 seed = g_test_rand_int_range (0, G_MAXINT32);
  QfRng rng = { seed };
  static const float ious[] = { 0, 0.3f, 0.6f, 0.95f, -0.5f, 1, NAN };

  g_test_message ("seed %u", seed);
  for (int kind = 0; kind < N_KINDS; kind++)
    for (guint i = 0; i < G_N_ELEMENTS (ious); i++) {
      int n = i == 1 && kind < CORNERS ? 20000
                                       : 1 + (int) qf_rng_below (&rng, 1000);
      int max = (int) qf_rng_below (&rng, 2) * n / 2;
      g_autoptr (GArray) boxes = g_array_new (FALSE, TRUE, sizeof (QfBox));
      g_autoptr (GArray) expected = NULL;

      for (int j = 0; j < n; j++) {
        QfBox box = random_box (&rng, kind);

        box.id = j;
        g_array_append_val (boxes, box);
      }
      expected = plain_nms (boxes, ious[i], max);
      qf_nms (boxes, ious[i], max);
      g_assert_cmpmem (boxes->data, boxes->len * sizeof (QfBox), expected->data,
          expected->len * sizeof (QfBox));
    }
}

/* 10,000 boxes that hardly overlap are all kept; compared with each other they
 * would be 50 million pairs. */
static void
test_time (void)
{
  QfRng rng = { 1 };
  g_autoptr (GArray) boxes = g_array_new (FALSE, TRUE, sizeof (QfBox));
  double plain, fast;
  g_autoptr (GArray) expected = NULL;

  for (int j = 0; j < 10000; j++) {
    QfBox box = random_box (&rng, SMALL);

    box.label = 0;
    box.id = j;
    g_array_append_val (boxes, box);
  }
  g_test_timer_start ();
  expected = plain_nms (boxes, 0.9f, 0);
  plain = g_test_timer_elapsed ();
  g_test_timer_start ();
  qf_nms (boxes, 0.9f, 0);
  fast = g_test_timer_elapsed ();
  g_test_message ("%u of 10000 kept in %.2f ms, all with all %.2f ms",
      boxes->len, fast * 1e3, plain * 1e3);
  g_assert_cmpint (boxes->len, ==, expected->len);
  g_assert_cmpfloat (fast, <, plain / 4);
}

static void
test_edges (void)
{
  g_autoptr (GArray) boxes = g_array_new (FALSE, TRUE, sizeof (QfBox));
  QfBox box = { .w = 1, .h = 1, .score = NAN };

  qf_nms (boxes, 0.5f, 0);
  g_assert_cmpint (boxes->len, ==, 0);
  g_array_append_val (boxes, box);
  box.score = 0.1f;
  box.x = 5;
  g_array_append_val (boxes, box);
  qf_nms (boxes, 0.5f, 0);
  g_assert_cmpint (boxes->len, ==, 2);
  g_assert_cmpfloat (g_array_index (boxes, QfBox, 0).score, ==, 0.1f);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/nms/iou", test_iou);
  g_test_add_func ("/nms/random", test_random);
  g_test_add_func ("/nms/many", test_many);
  g_test_add_func ("/nms/time", test_time);
  g_test_add_func ("/nms/edges", test_edges);
  return g_test_run ();
}
