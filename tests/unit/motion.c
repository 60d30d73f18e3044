/* Test of motion analysis: the definitions taken literally, time, options.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>

#include "motiontest.h"

/* --- by definition ---------------------------------------------------------
 */

/* |now − then| > t, opened by a square of two by two. */
static void
naive_mask (
    const guint8 *now, const guint8 *then, int w, int h, int t, guint8 *mask)
{
  memset (mask, 0, (gsize) w * h);
  for (int y = 0; y + 1 < h; y++)
    for (int x = 0; x + 1 < w; x++) {
      const int at[4] = { y * w + x, y * w + x + 1, (y + 1) * w + x,
        (y + 1) * w + x + 1 };
      gboolean all = TRUE;

      for (int k = 0; k < 4; k++)
        all &= ABS (now[at[k]] - then[at[k]]) > t;
      for (int k = 0; k < 4 && all; k++)
        mask[at[k]] = 255;
    }
}

typedef struct
{
  int cols, rows, size;
  int *count, *label;
} Cells;

static void
flood (Cells *c, const guint8 *in, int x, int y, int label)
{
  if (x < 0 || y < 0 || x >= c->cols || y >= c->rows || !in[y * c->cols + x] ||
      c->label[y * c->cols + x])
    return;
  c->label[y * c->cols + x] = label;
  for (int dy = -1; dy <= 1; dy++)
    for (int dx = -1; dx <= 1; dx++)
      flood (c, in, x + dx, y + dy, label);
}

static int
cell_label (const Cells *c, int x, int y)
{
  static const int dx[9] = { 0, 0, 0, -1, 1, -1, 1, -1, 1 };
  static const int dy[9] = { 0, -1, 1, 0, 0, -1, -1, 1, 1 };

  for (int k = 0; k < 9; k++) {
    int nx = x + dx[k], ny = y + dy[k];

    if (nx >= 0 && ny >= 0 && nx < c->cols && ny < c->rows &&
        c->label[ny * c->cols + nx])
      return c->label[ny * c->cols + nx];
  }
  return 0;
}

static gint
compare_blobs (gconstpointer p, gconstpointer q)
{
  const QfMotionBlob *a = p, *b = q;

  if (a->area != b->area)
    return b->area - a->area;
  return a->y != b->y ? a->y - b->y : a->x - b->x;
}

/* Without splitting: regions of cells by flood filling. */
static GArray *
naive_blobs (const guint8 *mask, int w, int h, int size, int join, int min_area)
{
  Cells c = {
    .cols = (w + size - 1) / size, .rows = (h + size - 1) / size, .size = size
  };
  int n = c.cols * c.rows, core = CLAMP (min_area / 4, 1, size * size / 2);
  int gap = join / size, labels = 0;
  g_autofree guint8 *in = g_new0 (guint8, n);
  GArray *out = g_array_new (FALSE, TRUE, sizeof (QfMotionBlob));

  c.count = g_new0 (int, n);
  c.label = g_new0 (int, n);
  for (int i = 0; i < w * h; i++)
    c.count[i / w / size * c.cols + i % w / size] += mask[i] != 0;
  for (int i = 0; i < n; i++)
    for (int dy = -(gap / 2); dy <= gap - gap / 2; dy++)
      for (int dx = -(gap / 2); dx <= gap - gap / 2; dx++) {
        int x = i % c.cols + dx, y = i / c.cols + dy;

        if (c.count[i] >= core && x >= 0 && y >= 0 && x < c.cols && y < c.rows)
          in[y * c.cols + x] = 1;
      }
  for (int i = 0; i < n; i++)
    if (in[i] && !c.label[i])
      flood (&c, in, i % c.cols, i / c.cols, ++labels);
  for (int l = 1; l <= labels; l++) {
    int x0 = w, y0 = h, x1 = -1, y1 = -1, area = 0;

    for (int i = 0; i < w * h; i++)
      if (mask[i] && cell_label (&c, i % w / size, i / w / size) == l) {
        area++;
        x0 = MIN (x0, i % w), x1 = MAX (x1, i % w);
        y0 = MIN (y0, i / w), y1 = MAX (y1, i / w);
      }
    if (area > 0 && area >= min_area) {
      QfMotionBlob b = { x0, y0, x1 - x0 + 1, y1 - y0 + 1, area };

      g_array_append_val (out, b);
    }
  }
  g_array_sort (out, compare_blobs);
  g_free (c.count);
  g_free (c.label);
  return out;
}

static void
assert_result (const QfMotionResult *r, const guint8 *now, const guint8 *then,
    int w, int h, const QfMotionOptions *o)
{
  g_autofree guint8 *mask = g_malloc ((gsize) w * h);
  g_autoptr (GArray) blobs = NULL;
  gsize changed = 0;

  naive_mask (now, then, w, h, o->threshold, mask);
  g_assert_cmpmem (mask, (gsize) w * h, r->mask, (gsize) w * h);
  for (int i = 0; i < w * h; i++)
    changed += mask[i] != 0;
  g_assert_cmpuint (r->changed, ==, changed);
  blobs = naive_blobs (mask, w, h,
      w <= 480       ? 2
          : w <= 960 ? 4
                     : 8,
      o->join, o->min_area);
  g_assert_cmpint (r->n_blobs, ==, MIN (blobs->len, QF_MOTION_MAX_BLOBS));
  for (int i = 0; i < r->n_blobs; i++) {
    const QfMotionBlob *b = &g_array_index (blobs, QfMotionBlob, i);

    g_assert_cmpint (r->blobs[i].area, ==, b->area);
    assert_box (&r->blobs[i], b->x, b->y, b->w, b->h);
  }
}

/* Patches that come and go, so that there are blobs of many shapes. */
static void
draw_patches (guint8 *p, int w, int h, QfRng *rng)
{
  for (int i = 0; i < 6; i++) {
    int x0 = (int) qf_rng_below (rng, (guint32) w);
    int y0 = (int) qf_rng_below (rng, (guint32) h);
    int size = 1 + (int) qf_rng_below (rng, 14);

    draw_square (p, w, h, x0, y0, size, (guint8) qf_rng_below (rng, 256));
  }
  for (int i = 0; i < w * h / 40; i++)
    p[qf_rng_below (rng, (guint32) (w * h))] = (guint8) qf_rng_below (rng, 256);
}

static void
check_definition (const QfMotionOptions *o, int w, int h, guint32 seed)
{
  enum
  {
    N = 14
  };
  int stride = w + 5;
  gsize size = (gsize) w * h;
  g_autoptr (QfMotion) m = make (o, w, h);
  g_autofree guint8 *all = g_malloc (N * size);
  g_autofree guint8 *then = g_malloc (size);
  QfRng rng = { seed };

  for (int f = 0; f < N; f++) {
    guint8 *now = all + (gsize) f * size;
    /* no pixel past the last row: a reader of more is caught */
    g_autofree guint8 *strided = g_malloc ((gsize) stride * (h - 1) + w);
    QfMotionResult r;

    draw_scene (now, w, h);
    draw_patches (now, w, h, &rng);
    for (int y = 0; y < h; y++)
      memcpy (strided + (gsize) y * stride, now + (gsize) y * w, (gsize) w);
    qf_motion_push (m, strided, stride, f * 40 * MS, &r);
    g_assert_cmpint (r.known, ==, f >= o->distance);
    if (!r.known) {
      g_assert_cmpuint (r.changed, ==, 0);
      g_assert_cmpint (r.n_blobs, ==, 0);
      continue;
    }
    for (gsize i = 0; i < size; i++) {
      int sum = 0, n = o->distance;

      for (int k = 1; k <= n; k++)
        sum += now[i - (gsize) k * size];
      then[i] = o->reference == QF_MOTION_MEAN ? (guint8) ((sum + n / 2) / n)
                                               : now[i - (gsize) n * size];
    }
    if (o->want_then)
      g_assert_cmpmem (r.then, size, then, size);
    else
      g_assert_null (r.then);
    assert_result (&r, now, then, w, h, o);
  }
}

static void
test_definition (void)
{
  static const int sizes[][2] = { { 1, 1 }, { 1, 9 }, { 9, 1 }, { 2, 2 },
    { 3, 5 }, { 16, 16 }, { 33, 17 }, { 97, 61 }, { 160, 120 }, { 487, 35 },
    { 963, 19 } };
  guint32 seed = 20250101;

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
    for (int k = 1; k <= 7; k += 3)
      for (int mean = 0; mean < 2; mean++) {
        QfMotionOptions o =
            plain (mean ? QF_MOTION_MEAN : QF_MOTION_PREVIOUS, k);

        o.threshold = k == 1 ? 0 : 12;
        o.min_area = k == 4 ? 20 : 1;
        o.join = (int) s % 4 * 3;
        o.want_then = k == 4;
        check_definition (&o, sizes[s][0], sizes[s][1], seed++);
      }
}

/* --- time --------------------------------------------------------------------
 */

/* Pictures of a square that is there (and elsewhere each time) or not. */
static void
push_square (QfMotion *m, int f, gboolean there, gint64 time, QfMotionResult *r)
{
  guint8 p[W * H];

  memset (p, 100, sizeof p);
  if (there)
    draw_square (p, W, H, 10 + f * 11 % 100, 20 + f * 7 % 60, 20, 220);
  qf_motion_push (m, p, W, time, r);
}

static void
test_events (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = NULL;
  QfMotionResult r;

  o.start_time = 80 * MS;
  o.stop_time = 200 * MS;
  for (int timed = 0; timed < 2; timed++) {
    m = make (&o, W, H);
    for (int f = 0; f < 40; f++) {
      /* one alone at 3; from 10 with holes at 14 and 16; the last at 20 */
      gboolean there = f == 3 || (f >= 10 && f <= 20 && f != 14 && f != 16);

      push_square (m, f, there, timed ? f * 40 * MS : -1, &r);
      g_assert_cmpint (r.n_blobs, ==, there);
      g_assert_cmpint (r.started, ==, f == 12);
      g_assert_cmpint (r.stopped, ==, f == 25);
      g_assert_cmpint (r.moving, ==, f >= 12 && f < 25);
      g_assert_cmpint (qf_motion_is_moving (m), ==, r.moving);
      if (r.moving || r.stopped)
        g_assert_cmpint (r.since, ==, 400 * MS);
      else
        g_assert_cmpint (r.since, ==, -1);
    }
    g_clear_pointer (&m, qf_motion_free);
  }

  /* min_share */
  o.min_share = 0.03; /* the square is 0.0208 */
  o.start_time = 0;
  m = make (&o, W, H);
  for (int f = 0; f < 20; f++) {
    push_square (m, f, f > 2, f * 40 * MS, &r);
    g_assert_false (r.moving);
  }
}

static void
test_gaps (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = NULL;
  QfMotionResult r;

  o.reference = QF_MOTION_PREVIOUS;
  m = make (&o, W, H);
  push_square (m, 0, TRUE, 0, &r);
  push_square (m, 1, TRUE, 40 * MS, &r);
  g_assert_true (r.known && r.started);
  push_square (m, 2, TRUE, 1040 * MS, &r); /* a second: not over the limit */
  g_assert_true (r.known && r.moving);
  push_square (m, 3, TRUE, 6000 * MS, &r); /* over 4 intervals of 1 s */
  g_assert_false (r.known);
  g_assert_true (r.stopped && !r.moving);
  g_assert_cmpint (r.since, ==, 40 * MS);
  push_square (m, 4, TRUE, 6040 * MS, &r);
  g_assert_true (r.known && r.started);
  push_square (m, 5, TRUE, 5000 * MS, &r); /* back */
  g_assert_false (r.known);
  g_assert_true (r.stopped);
  push_square (m, 6, TRUE, 5040 * MS, &r);
  g_assert_true (r.known);
  push_square (m, 7, TRUE, -1, &r);
  g_assert_false (r.known);
  push_square (m, 8, TRUE, -1, &r);
  g_assert_true (r.known);
  qf_motion_reset (m);
  g_assert_false (qf_motion_is_moving (m));
  push_square (m, 9, TRUE, -1, &r);
  g_assert_false (r.known || r.stopped);
}

/* The picture nearest to the distance ago, at any and at a changing rate. */
static void
test_distance_time (void)
{
  static const int intervals[] = { 40, 20, 100, 33, 5 };

  for (guint k = 0; k <= G_N_ELEMENTS (intervals); k++) {
    QfMotionOptions o = plain (QF_MOTION_PREVIOUS, 1);
    g_autoptr (QfMotion) m = NULL;
    gint64 times[120], time = 0;
    QfRng rng = { 9 };

    o.distance_time = 200 * MS;
    o.want_then = TRUE;
    m = make (&o, 8, 8);
    for (int f = 0; f < 120; f++) {
      guint8 p[64];
      QfMotionResult r;
      gint64 best = G_MAXINT64, error;

      times[f] = time;
      memset (p, f, sizeof p);
      qf_motion_push (m, p, 8, time, &r);
      for (int i = 0; i < f; i++)
        best = MIN (best, ABS (times[i] - (time - o.distance_time)));
      if (r.known) {
        error = ABS (times[r.then[0]] - (time - o.distance_time));
        /* held pictures lie up to 1/32 apart */
        g_assert_cmpint (error, <=, best + o.distance_time / 32);
        g_assert_cmpint (r.then[0], <, f);
      } else {
        g_assert_cmpint (time, <, o.distance_time);
      }
      time +=
          (k < G_N_ELEMENTS (intervals) ? intervals[k]
                                        : 1 + (int) qf_rng_below (&rng, 90)) *
          MS;
    }
  }
}

/* --- options -----------------------------------------------------------------
 */

static void
test_options (void)
{
  const QfMotionOptions good = QF_MOTION_OPTIONS_INIT;
  const struct
  {
    gsize at;
    gboolean is_double;
    double value;
    const char *word;
  } bad[] = {
    { G_STRUCT_OFFSET (QfMotionOptions, reference), FALSE, 7, "reference" },
    { G_STRUCT_OFFSET (QfMotionOptions, distance), FALSE, 0, "distance" },
    { G_STRUCT_OFFSET (QfMotionOptions, distance), FALSE, 251, "distance" },
    { G_STRUCT_OFFSET (QfMotionOptions, threshold), FALSE, 256, "threshold" },
    { G_STRUCT_OFFSET (QfMotionOptions, min_area), FALSE, -1, "min-area" },
    { G_STRUCT_OFFSET (QfMotionOptions, join), FALSE, -1, "join" },
    { G_STRUCT_OFFSET (QfMotionOptions, margin), FALSE, -1, "margin" },
    { G_STRUCT_OFFSET (QfMotionOptions, learning_rate), TRUE, 0.6,
        "learning rate" },
    { G_STRUCT_OFFSET (QfMotionOptions, learning_rate), TRUE, NAN,
        "learning rate" },
    { G_STRUCT_OFFSET (QfMotionOptions, noise_factor), TRUE, 0.5, "noise" },
    { G_STRUCT_OFFSET (QfMotionOptions, shadow), TRUE, 1, "shadow" },
    { G_STRUCT_OFFSET (QfMotionOptions, max_share), TRUE, -0.1, "max-share" },
    { G_STRUCT_OFFSET (QfMotionOptions, min_share), TRUE, NAN, "min-share" },
  };
  g_autoptr (QfMotion) m = make (&good, W, H);

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    QfMotionOptions o = good;

    if (bad[i].is_double)
      G_STRUCT_MEMBER (double, &o, bad[i].at) = bad[i].value;
    else
      G_STRUCT_MEMBER (int, &o, bad[i].at) = (int) bad[i].value;
    g_assert_null (qf_motion_new (&o, &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
    g_assert_nonnull (strstr (error->message, bad[i].word));
    g_clear_error (&error);
    g_assert_false (qf_motion_set_options (m, &o, &error));
    g_assert_error (error, QF_ERROR, QF_ERROR_ARGUMENT);
    qf_motion_get_options (m, &o);
    g_assert_cmpmem (&o, sizeof o, &good, sizeof good);
  }
}

/* Options and sizes that change from picture to picture; under sanitizers. */
static void
test_changes (void)
{
  g_autoptr (QfMotion) m = NULL;
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  QfRng rng = { 11 };
  g_autoptr (QfPolygons) ignore =
      qf_polygons_parse ("0.1,0.1 0.9,0.2 0.3,0.9", NULL);

  m = make (&o, W, H);
  for (int f = 0; f < 500; f++) {
    int w = 1 + (int) qf_rng_below (&rng, f % 50 == 0 ? 1200 : 60);
    int h = 1 + (int) qf_rng_below (&rng, 50);
    g_autofree guint8 *p = g_malloc ((gsize) w * h);
    QfMotionResult r;

    if (f % 7 == 0) {
      o.reference = (QfMotionReference) qf_rng_below (&rng, 3);
      o.distance = 1 + (int) qf_rng_below (&rng, 5);
      o.distance_time = qf_rng_below (&rng, 2) ? 100 * MS : 0;
      o.learning_rate = qf_rng_below (&rng, 100) / 200.0;
      o.threshold = (int) qf_rng_below (&rng, 256);
      o.noise_adaptive = (int) qf_rng_below (&rng, 2);
      o.lighting = (int) qf_rng_below (&rng, 2);
      o.camera = (int) qf_rng_below (&rng, 2);
      o.split = (int) qf_rng_below (&rng, 2);
      o.join = (int) qf_rng_below (&rng, 40);
      o.margin = (int) qf_rng_below (&rng, 40);
      o.min_area = (int) qf_rng_below (&rng, 30);
      o.want_then = (int) qf_rng_below (&rng, 2);
      g_assert_true (qf_motion_set_options (m, &o, NULL));
      qf_motion_set_ignore (m, qf_rng_below (&rng, 2) ? ignore : NULL);
    }
    for (int k = 0; k < 6; k++) {
      qf_motion_set_size (m, w, h);
      draw_scene (p, w, h);
      draw_patches (p, w, h, &rng);
      qf_motion_push (
          m, p, w, qf_rng_below (&rng, 9) ? (f * 6 + k) * 40 * MS : -1, &r);
      g_assert_cmpfloat (r.share, <=, 1);
      for (int i = 0; i < r.n_blobs; i++) {
        const QfMotionBlob *b = &r.blobs[i];

        g_assert_true (b->x >= 0 && b->y >= 0 && b->w > 0 && b->h > 0 &&
            b->x + b->w <= w && b->y + b->h <= h);
        g_assert_cmpint (b->area, >=, qf_motion_min_area (m));
        g_assert_cmpint (b->area, <=, b->w * b->h);
      }
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/motion/definition", test_definition);
  g_test_add_func ("/motion/events", test_events);
  g_test_add_func ("/motion/gaps", test_gaps);
  g_test_add_func ("/motion/distance-time", test_distance_time);
  g_test_add_func ("/motion/options", test_options);
  g_test_add_func ("/motion/changes", test_changes);
  return g_test_run ();
}
