/* Test of overlap and non-maximum suppression.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
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
  g_test_add_func ("/nms/edges", test_edges);
  return g_test_run ();
}
