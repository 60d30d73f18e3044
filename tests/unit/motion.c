/* Test of motion analysis: drawn pictures, and the definitions taken literally.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "vision/motion.h"

#define MS G_GINT64_CONSTANT (1000000)
#define W 160
#define H 120

/* A scene with structure: levels 40 … 199. */
static guint8
scene (int x, int y)
{
  return (guint8) (40 + (x * 7 + y * 3 + (x / 9) * (y / 7) * 5) % 160);
}

static void
draw_scene (guint8 *p, int w, int h)
{
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++)
      p[y * w + x] = scene (x, y);
}

static void
draw_square (guint8 *p, int w, int h, int x0, int y0, int size, guint8 level)
{
  for (int y = MAX (y0, 0); y < MIN (y0 + size, h); y++)
    for (int x = MAX (x0, 0); x < MIN (x0 + size, w); x++)
      p[y * w + x] = level;
}

/* Normal noise, from twelve even ones. */
static void
add_noise (guint8 *p, int n, double sigma, QfRng *rng)
{
  for (int i = 0; i < n; i++) {
    double v = -6;

    for (int k = 0; k < 12; k++)
      v += qf_rng_below (rng, 65536) / 65536.0;
    p[i] = (guint8) CLAMP (p[i] + sigma * v + 0.5, 0, 255);
  }
}

static QfMotionOptions
plain (QfMotionReference reference, int distance)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;

  o.reference = reference;
  o.distance = distance;
  o.noise_adaptive = o.lighting = o.split = FALSE;
  o.shadow = 0;
  o.min_area = 1;
  return o;
}

static QfMotion *
make (const QfMotionOptions *o, int w, int h)
{
  g_autoptr (GError) error = NULL;
  QfMotion *m = qf_motion_new (o, &error);

  g_assert_no_error (error);
  qf_motion_set_size (m, w, h);
  return m;
}

static void
assert_box (const QfMotionBlob *b, int x, int y, int w, int h)
{
  g_assert_cmpint (b->x, ==, x);
  g_assert_cmpint (b->y, ==, y);
  g_assert_cmpint (b->w, ==, w);
  g_assert_cmpint (b->h, ==, h);
}

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

/* --- what is found ----------------------------------------------------------
 */

static void
test_still (void)
{
  guint8 p[W * H];

  draw_scene (p, W, H);
  for (int kind = QF_MOTION_PREVIOUS; kind <= QF_MOTION_BACKGROUND; kind++) {
    QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
    g_autoptr (QfMotion) m = NULL;

    o.reference = (QfMotionReference) kind;
    m = make (&o, W, H);
    for (int f = 0; f < 60; f++) {
      QfMotionResult r;

      qf_motion_push (m, p, W, f * 40 * MS, &r);
      g_assert_cmpint (r.known, ==, f > 0);
      g_assert_cmpfloat (r.share, ==, 0);
      g_assert_cmpint (r.n_blobs, ==, 0);
      g_assert_false (r.moving || r.started || r.stopped || r.lighting);
      for (int i = 0; i < W * H; i++)
        g_assert_cmpint (r.mask[i], ==, 0);
    }
  }
}

/* A square that goes over the background: its own box in each picture, nothing
 * where it was. */
static void
test_square (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = make (&o, W, H);

  for (int f = 0; f < 100; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    memset (p, 100, sizeof p);
    if (f >= 50)
      draw_square (p, W, H, f, 30 + f / 4, 20, 200);
    qf_motion_push (m, p, W, f * 40 * MS, &r);
    if (f < 50) {
      g_assert_cmpint (r.n_blobs, ==, 0);
      continue;
    }
    g_assert_cmpint (r.n_blobs, ==, 1);
    assert_box (r.blobs, f, 30 + f / 4, 20, 20);
    g_assert_cmpint (r.blobs[0].area, ==, 400);
    g_assert_cmpuint (r.changed, ==, 400);
    g_assert_cmpfloat (r.share, ==, 400.0 / (W * H));
  }
}

static void
test_margin_and_size (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = NULL;
  guint8 p[W * H];
  QfMotionResult r;

  o.min_area = 50;
  o.margin = 6;
  m = make (&o, W, H);
  memset (p, 100, sizeof p);
  qf_motion_push (m, p, W, 0, &r);
  draw_square (p, W, H, 3, 50, 10, 200);
  draw_square (p, W, H, 100, 50, 7, 200); /* 49 pixels */
  draw_square (p, W, H, 100, 112, 8, 200);
  qf_motion_push (m, p, W, 40 * MS, &r);
  g_assert_cmpuint (r.changed, ==, 100 + 49 + 64);
  g_assert_cmpint (r.n_blobs, ==, 2);
  assert_box (&r.blobs[0], 0, 44, 19, 22);
  assert_box (&r.blobs[1], 94, 106, 20, 14);
  g_assert_cmpint (r.blobs[1].area, ==, 64);

  qf_motion_get_options (m, &o);
  o.min_area = 0;
  g_assert_true (qf_motion_set_options (m, &o, NULL));
  g_assert_cmpint (qf_motion_min_area (m), ==, 4); /* specks */
}

/* Wide pictures are analysed smaller; what is told is in whole pixels. */
static void
test_reduced (void)
{
  static const int sizes[][2] = { { 1441, 501 }, { 2563, 725 },
    { 3841, 963 } }; /* a half, a third, a fourth */

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    int w = sizes[i][0], h = sizes[i][1], k = (int) i + 2;
    gsize size = (gsize) w * h, changed = 0;
    QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
    g_autofree guint8 *p = g_malloc (size);
    g_autoptr (QfMotion) m = make (&o, w, h);
    QfMotionResult r;

    memset (p, 100, size);
    qf_motion_push (m, p, w, 0, &r);
    draw_square (p, w, h, 24 * k, 12 * k, 60 * k, 200);
    draw_square (p, w, h, w - 96, h - 96, 96, 200);
    qf_motion_push (m, p, w, 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, 2);
    assert_box (&r.blobs[0], 24 * k, 12 * k, 60 * k, 60 * k);
    g_assert_cmpint (r.blobs[0].area, ==, 3600 * k * k);
    g_assert_cmpint (r.blobs[1].x + r.blobs[1].w, ==, w);
    g_assert_cmpint (r.blobs[1].y + r.blobs[1].h, ==, h);
    g_assert_cmpint (ABS (r.blobs[1].w - 96), <, 2 * k);
    for (gsize j = 0; j < size; j++)
      changed += r.mask[j] == (p[j] == 200 ? 255 : 0);
    g_assert_cmpuint (changed, >=, size - 4 * 96 * (gsize) k);
    g_assert_cmpint (qf_motion_min_area (m), ==, 4 * k * k);

    o.min_area = 3601 * k * k;
    g_assert_true (qf_motion_set_options (m, &o, NULL));
    qf_motion_push (m, p, w, 80 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, 0);

    /* the reference asked for: as it is */
    o.want_then = TRUE;
    o.min_area = 1;
    g_assert_true (qf_motion_set_options (m, &o, NULL));
    qf_motion_push (m, p, w, 120 * MS, &r);
    g_assert_false (r.known);
    draw_square (p, w, h, 500, 200, 33, 20);
    qf_motion_push (m, p, w, 160 * MS, &r);
    g_assert_cmpint (r.then[200 * w + 500], ==, 100);
    g_assert_cmpint (r.n_blobs, ==, 1);
    assert_box (r.blobs, 500, 200, 33, 33);
  }
}

/* Two squares that touch by a corner are two; a square with a thin limb is one.
 */
static void
test_split (void)
{
  for (int split = 0; split < 2; split++)
    for (int limb = 0; limb < 2; limb++) {
      QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
      g_autoptr (QfMotion) m = NULL;
      guint8 p[W * H];
      QfMotionResult r;

      o.split = split;
      m = make (&o, W, H);
      memset (p, 100, sizeof p);
      qf_motion_push (m, p, W, 0, &r);
      draw_square (p, W, H, 40, 40, 20, 200);
      draw_square (p, W, H, 60, 50, limb ? 6 : 20, 200);
      qf_motion_push (m, p, W, 40 * MS, &r);
      draw_square (p, W, H, 40, 40, 20, 200);
      if (limb) {
        g_assert_cmpint (r.n_blobs, ==, 1);
        assert_box (r.blobs, 40, 40, 26, 20);
      } else {
        /* they share an edge of ten pixels: no neck */
        g_assert_cmpint (r.n_blobs, ==, 1);
        assert_box (r.blobs, 40, 40, 40, 30);
      }
      qf_motion_reset (m);
      memset (p, 100, sizeof p);
      qf_motion_push (m, p, W, 80 * MS, &r);
      draw_square (p, W, H, 40, 40, 20, 200);
      draw_square (p, W, H, 60, 58, 20, 200); /* two pixels of an edge */
      qf_motion_push (m, p, W, 120 * MS, &r);
      g_assert_cmpint (r.n_blobs, ==, split ? 2 : 1);
      if (split)
        for (int i = 0; i < 2; i++) {
          g_assert_cmpint (r.blobs[i].w, >=, 18);
          g_assert_cmpint (r.blobs[i].w, <=, 22);
        }
    }
}

/* What stands becomes background, and leaves no ghost when it goes. */
static void
test_background (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = NULL;
  guint8 empty[W * H], taken[W * H];
  int f = 0, seen = 0;
  QfMotionResult r;

  o.learning_rate = 0.01; /* 50 pictures */
  m = make (&o, W, H);
  memset (empty, 100, sizeof empty);
  memcpy (taken, empty, sizeof empty);
  draw_square (taken, W, H, 50, 50, 20, 180);
  for (; f < 100; f++) {
    qf_motion_push (m, empty, W, f * 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, 0);
  }
  do {
    qf_motion_push (m, taken, W, f++ * 40 * MS, &r);
    seen += r.n_blobs;
  } while (r.n_blobs > 0);
  g_assert_cmpint (seen, >=, 30);
  g_assert_cmpint (seen, <=, 60);
  for (int i = 0; i < 60; i++) {
    qf_motion_push (m, taken, W, f++ * 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, 0);
  }
  for (int i = 0; i < 60; i++) {
    qf_motion_push (m, empty, W, f++ * 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, 0);
  }

  /* rate 0: the first picture stays */
  o.learning_rate = 0;
  g_assert_true (qf_motion_set_options (m, &o, NULL));
  qf_motion_reset (m);
  for (int i = 0; i < 300; i++) {
    qf_motion_push (m, i == 0 ? empty : taken, W, f++ * 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, i > 0);
  }
}

/* Somebody who is in the first picture and goes: soon forgotten. */
static void
test_first_picture (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = make (&o, W, H);
  int ghost = 0;

  for (int f = 0; f < 60; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    memset (p, 100, sizeof p);
    if (f < 10)
      draw_square (p, W, H, 50, 50, 20, 180);
    qf_motion_push (m, p, W, f * 40 * MS, &r);
    ghost += r.n_blobs;
  }
  g_assert_cmpint (ghost, <=, 10);
}

static void
test_shadow (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;

  for (int kind = QF_MOTION_PREVIOUS; kind <= QF_MOTION_BACKGROUND; kind++)
    for (int i = 0; i < 4; i++) {
      static const guint8 levels[4] = { 116, 114, 200, 150 };
      static const gboolean moves[4] = { FALSE, TRUE, TRUE, FALSE };
      g_autoptr (QfMotion) m = NULL;
      guint8 p[W * H];
      QfMotionResult r;

      o.reference = (QfMotionReference) kind;
      m = make (&o, W, H);
      memset (p, 153, sizeof p); /* a quarter is 38 */
      qf_motion_push (m, p, W, 0, &r);
      draw_square (p, W, H, 50, 50, 20, levels[i]);
      qf_motion_push (m, p, W, 40 * MS, &r);
      g_assert_cmpint (r.n_blobs, ==, moves[i]);
    }
}

static gboolean
holds (const QfMotionBlob *b, int x, int y)
{
  return x >= b->x && x < b->x + b->w && y >= b->y && y < b->y + b->h;
}

/* Fifteen pixels before a noisy sky, brighter or (less than a shadow) darker:
 * found nearly all the way, and nothing else. */
static void
test_speck (void)
{
  static const int levels[] = { 140, 97, 97 };

  for (guint k = 0; k < G_N_ELEMENTS (levels); k++) {
    QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
    g_autoptr (QfMotion) m = NULL;
    QfRng rng = { 8 };
    int found = 0;

    if (k == 2) /* told that this is a shadow */
      o.shadow = 0.25;
    m = make (&o, W, H);

    for (int f = 0; f < 100; f++) {
      guint8 p[W * H];
      int x = 10 + (f - 40) * 2, y = 60 - (f - 40) / 2;
      QfMotionResult r;

      memset (p, 120, sizeof p);
      if (f >= 40) {
        draw_square (p, W, H, x, y, 4, (guint8) levels[k]);
        p[y * W + x] = 120;
      }
      add_noise (p, W * H, 1.5, &rng);
      qf_motion_push (m, p, W, f * 40 * MS, &r);
      for (int i = 0; i < r.n_blobs; i++) {
        g_assert_true (holds (&r.blobs[i], x + 2, y + 2));
        g_assert_cmpint (r.blobs[i].area, <=, 24);
        g_assert_cmpint (r.mask[(y + 2) * W + x + 2], ==, 255);
      }
      found += r.n_blobs;
    }
    g_assert_cmpint (found, >=, k < 2 ? 55 : 0);
    g_assert_cmpint (found, <=, k < 2 ? 60 : 0);
  }
}

/* Dots that blink at places of their own do not move. */
static void
test_flicker_in_place (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = make (&o, W, H);
  QfRng rng = { 4 };

  for (int f = 0; f < 150; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    memset (p, 120, sizeof p);
    for (int k = 0; k < 12 && f > 30; k++)
      if (qf_rng_below (&rng, 3) == 0)
        draw_square (p, W, H, 10 + k % 4 * 40, 20 + k / 4 * 40, 4, 160);
    qf_motion_push (m, p, W, f * 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, 0);
  }
}

/* Somebody walks; the shadow on the ground beside is no part and nothing of its
 * own, not even where a gap parts it. */
static void
test_shadow_of_somebody (void)
{
  for (int gap = 0; gap < 6; gap += 3) {
    QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
    g_autoptr (QfMotion) m = make (&o, W, H);
    QfRng rng = { 6 };

    for (int f = 0; f < 180; f++) {
      guint8 p[W * H];
      int x0 = (f - 120) * 2;
      QfMotionResult r;

      memset (p, 150, sizeof p);
      if (f >= 120) {
        draw_square (p, W, H, x0, 30, 16, 60);
        draw_square (p, W, H, x0, 46, 16, 60);
        draw_square (p, W, H, x0 + 16 + gap, 56, 6, 125); /* a small shadow */
        draw_square (p, W, H, x0 + 22 + gap, 54, 8, 125);
      }
      add_noise (p, W * H, 1.5, &rng);
      qf_motion_push (m, p, W, f * 40 * MS, &r);
      g_assert_cmpint (r.n_blobs, ==, f >= 120);
      if (f >= 120)
        assert_box (r.blobs, x0, 30, 16, 32);
    }
  }
}

/* A window of a larger scene of patches, @x and @y in quarters of a pixel. */
static void
draw_window (guint8 *p, const guint8 *big, int pitch, int x, int y)
{
  const int fx = x & 3, fy = y & 3;
  const guint8 *b = big + (y >> 2) * pitch + (x >> 2);

  for (int i = 0; i < H; i++)
    for (int k = 0; k < W; k++) {
      const guint8 *q = b + i * pitch + k;
      int v = (4 - fy) * ((4 - fx) * q[0] + fx * q[1]) +
          fy * ((4 - fx) * q[pitch] + fx * q[pitch + 1]);

      p[i * W + k] = (guint8) (v / 16);
    }
}

/* The camera turns, or trembles: the scene does not move, something bright
 * does. */
static void
test_camera (void)
{
  enum
  {
    PITCH = W + 260
  };
  g_autofree guint8 *big = g_malloc (PITCH * (H + 40));
  QfRng rng = { 21 };

  for (int y = 0; y < H + 40; y += 5)
    for (int x = 0; x < PITCH; x += 5) {
      guint8 v = (guint8) (40 + qf_rng_below (&rng, 120));

      for (int k = 0; k < 25; k++)
        if (x + k % 5 < PITCH)
          big[(y + k / 5) * PITCH + x + k % 5] = v;
    }
  for (int tremble = 0; tremble < 2; tremble++) {
    QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
    g_autoptr (QfMotion) m = make (&o, W, H);
    int wrong = 0, found = 0;

    for (int f = 0; f < 100; f++) {
      guint8 p[W * H];
      int x = tremble ? 40 + (int) qf_rng_below (&rng, 4) : f * 5, y0 = 30;
      QfMotionResult r;

      draw_window (p, big, PITCH, x, tremble ? 30 + f % 3 : 60 - f / 4);
      if (f >= 50)
        draw_square (p, W, H, 20 + (f - 50) * 2, y0, 12, 230);
      qf_motion_push (m, p, W, f * 40 * MS, &r);
      for (int i = 0; i < r.n_blobs; i++)
        if (f >= 50 && holds (&r.blobs[i], 26 + (f - 50) * 2, y0 + 6))
          found++;
        else
          wrong++;
    }
    g_test_message ("tremble %d: %d wrong, %d found", tremble, wrong, found);
    g_assert_cmpint (wrong, <=, tremble ? 25 : 5);
    g_assert_cmpint (found, >=, tremble ? 38 : 48);
  }
}

/* Something that fills a fifth of a plain picture is no cut and no camera. */
static void
test_something_huge (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = make (&o, W, H);
  QfRng rng = { 2 };

  for (int f = 0; f < 160; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    memset (p, 100, sizeof p);
    if (f >= 120)
      draw_square (p, W, H, f - 120, 20, 64, 180);
    add_noise (p, W * H, 1.5, &rng);
    qf_motion_push (m, p, W, f * 40 * MS, &r);
    g_assert_cmpint (r.n_blobs, ==, f >= 120);
    if (f >= 120)
      assert_box (r.blobs, f - 120, 20, 64, 64);
  }
}

/* One setting from day to night: nothing found in noise, the estimate right, a
 * square seen above it. */
static void
test_noise (void)
{
  static const double sigmas[] = { 0.5, 1, 2, 4, 8, 14 };

  for (int kind = QF_MOTION_PREVIOUS; kind <= QF_MOTION_BACKGROUND; kind++)
    for (guint s = 0; s < G_N_ELEMENTS (sigmas); s++) {
      QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
      g_autoptr (QfMotion) m = NULL;
      QfRng rng = { 77 + s };
      int contrast = (int) (20 + 8 * sigmas[s]), found = 0;

      o.reference = (QfMotionReference) kind;
      m = make (&o, W, H);
      for (int f = 0; f < 160; f++) {
        guint8 p[W * H];
        QfMotionResult r;

        memset (p, 90, sizeof p);
        if (f >= 150)
          draw_square (
              p, W, H, 10 + (f - 150) * 12, 40, 24, (guint8) (90 + contrast));
        add_noise (p, W * H, sigmas[s], &rng);
        qf_motion_push (m, p, W, f * 40 * MS, &r);
        if (f >= 150) {
          found += r.n_blobs > 0;
          continue;
        }
        if (f < 20)
          continue;
        g_assert_cmpint (r.n_blobs, ==, 0);
        g_assert_cmpfloat (r.noise, >, 0.75 * sigmas[s]);
        g_assert_cmpfloat (r.noise, <, 1.25 * sigmas[s] + 0.2);
        g_assert_false (r.moving);
      }
      g_assert_cmpint (found, ==, 10);
    }
}

static void
draw_lit (guint8 *p, double gain, double offset, int square)
{
  draw_scene (p, W, H);
  if (square >= 0)
    draw_square (p, W, H, square, 40, 16, 20);
  for (int i = 0; i < W * H; i++)
    p[i] = (guint8) CLAMP (p[i] * gain + offset + 0.5, 0, 255);
}

/* Exposure jumps while a square moves: only the square is found. */
static void
test_exposure (void)
{
  static const double steps[][2] = { { 1.25, 0 }, { 0.7, 0 }, { 1, 25 },
    { 1, -25 }, { 1.15, 12 }, { 0.8, 30 } };

  for (int kind = QF_MOTION_PREVIOUS; kind <= QF_MOTION_BACKGROUND; kind++)
    for (guint s = 0; s < G_N_ELEMENTS (steps); s++)
      for (int square = 0; square < 2; square++) {
        QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
        g_autoptr (QfMotion) m = NULL;

        o.reference = (QfMotionReference) kind;
        m = make (&o, W, H);
        for (int f = 0; f < 55; f++) {
          guint8 p[W * H];
          QfMotionResult r;

          draw_lit (p, f < 30 ? 1 : steps[s][0], f < 30 ? 0 : steps[s][1],
              square && f >= 20 ? (f - 20) * 4 : -1);
          qf_motion_push (m, p, W, f * 40 * MS, &r);
          if (f == 30) {
            g_assert_true (r.lighting);
            g_assert_cmpfloat (r.gain, >, steps[s][0] - 0.03);
            g_assert_cmpfloat (r.gain, <, steps[s][0] + 0.03);
          }
          if (!square)
            g_assert_cmpint (r.n_blobs, ==, 0);
          else if (kind == QF_MOTION_BACKGROUND && f >= 20) {
            g_assert_cmpint (r.n_blobs, ==, 1);
            assert_box (r.blobs, (f - 20) * 4, 40, 16, 16);
          }
        }
      }
}

/* Dusk: 60 levels in 600 pictures; mains flicker of ±5 levels. */
static void
test_drift_and_flicker (void)
{
  for (int kind = QF_MOTION_PREVIOUS; kind <= QF_MOTION_BACKGROUND; kind++)
    for (int flicker = 0; flicker < 2; flicker++) {
      QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
      g_autoptr (QfMotion) m = NULL;
      QfRng rng = { 5 };

      o.reference = (QfMotionReference) kind;
      m = make (&o, W, H);
      for (int f = 0; f < 600; f++) {
        guint8 p[W * H];
        QfMotionResult r;

        draw_lit (
            p, flicker ? 1 : 1 - f * 0.0008, flicker ? (f % 3 - 1) * 5 : 0, -1);
        add_noise (p, W * H, 1.5, &rng);
        qf_motion_push (m, p, W, f * 40 * MS, &r);
        g_assert_cmpint (r.n_blobs, ==, 0);
        g_assert_false (r.moving);
      }
    }
}

/* A cut is no motion, and what follows is compared with the new scene. */
static void
test_cut (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = make (&o, W, H);
  QfRng rng = { 3 };
  int motion = 0;

  for (int f = 0; f < 40; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    draw_scene (p, W, H);
    for (int i = 0; i < W * H && f >= 20; i++)
      p[i] = (guint8) (255 - p[i] + (i % W > 80 ? 0 : 20) * (i % 3));
    if (f >= 30)
      draw_square (p, W, H, 40 + f, 40, 16, 3);
    qf_motion_push (m, p, W, f * 40 * MS, &r);
    g_assert_cmpint (r.lighting, ==, f == 20);
    g_assert_cmpint (r.n_blobs, ==, f >= 30);
  }
  /* a picture that never comes to rest is motion after two seconds */
  for (int f = 40; f < 140; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    for (int i = 0; i < W * H; i++)
      p[i] = (guint8) (i % W % 4 ? p[i - 1]
              : i / W % 4        ? p[i - W]
                                 : qf_rng_below (&rng, 256));
    qf_motion_push (m, p, W, f * 40 * MS, &r);
    motion += r.moving;
    if (f < 85)
      g_assert_true (r.lighting || f == 40);
  }
  g_assert_cmpint (motion, >=, 20);
}

static void
test_ignore (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = make (&o, W, H);
  g_autoptr (QfPolygons) left = qf_polygons_parse ("0,0 0.5,0 0.5,1 0,1", NULL);

  g_assert_nonnull (left);
  for (int round = 0; round < 2; round++) {
    qf_motion_set_ignore (m, round ? NULL : left);
    qf_motion_reset (m);
    for (int f = 0; f < 30; f++) {
      guint8 p[W * H];
      QfMotionResult r;

      memset (p, 100, sizeof p);
      draw_square (p, W, H, 5 + f * 5 % 50, 20, 20, 220);
      if (f >= 10)
        draw_square (p, W, H, 70, 60 + f, 20, 220); /* half of it inside */
      qf_motion_push (m, p, W, f * 40 * MS, &r);
      if (round == 0 && f < 10) {
        g_assert_cmpuint (r.changed, ==, 0);
      } else if (round == 0 && f < 12) {
        g_assert_cmpint (r.n_blobs, ==, 1);
        assert_box (r.blobs, 80, 60 + f, 10, 20);
        g_assert_cmpfloat (r.share, ==, 200.0 / (80 * H));
      } else if (f > 0 && round == 1) {
        g_assert_cmpint (r.n_blobs, >=, 1);
      }
    }
  }
}

static void
test_everything_ignored (void)
{
  QfMotionOptions o = QF_MOTION_OPTIONS_INIT;
  g_autoptr (QfMotion) m = qf_motion_new (&o, NULL);
  g_autoptr (QfPolygons) all = qf_polygons_parse ("0,0 1,0 1,1 0,1", NULL);

  qf_motion_set_ignore (m, all);
  qf_motion_set_size (m, W, H);
  for (int f = 0; f < 10; f++) {
    guint8 p[W * H];
    QfMotionResult r;

    memset (p, f * 20, sizeof p);
    draw_square (p, W, H, f * 9, 20, 20, 220);
    qf_motion_push (m, p, W, -1, &r);
    g_assert_cmpfloat (r.share, ==, 0);
    g_assert_cmpint (r.n_blobs, ==, 0);
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
  g_test_add_func ("/motion/still", test_still);
  g_test_add_func ("/motion/square", test_square);
  g_test_add_func ("/motion/margin-and-size", test_margin_and_size);
  g_test_add_func ("/motion/reduced", test_reduced);
  g_test_add_func ("/motion/split", test_split);
  g_test_add_func ("/motion/background", test_background);
  g_test_add_func ("/motion/first-picture", test_first_picture);
  g_test_add_func ("/motion/shadow", test_shadow);
  g_test_add_func ("/motion/speck", test_speck);
  g_test_add_func ("/motion/flicker-in-place", test_flicker_in_place);
  g_test_add_func ("/motion/shadow-of-somebody", test_shadow_of_somebody);
  g_test_add_func ("/motion/camera", test_camera);
  g_test_add_func ("/motion/something-huge", test_something_huge);
  g_test_add_func ("/motion/noise", test_noise);
  g_test_add_func ("/motion/exposure", test_exposure);
  g_test_add_func ("/motion/drift-and-flicker", test_drift_and_flicker);
  g_test_add_func ("/motion/cut", test_cut);
  g_test_add_func ("/motion/ignore", test_ignore);
  g_test_add_func ("/motion/everything-ignored", test_everything_ignored);
  g_test_add_func ("/motion/events", test_events);
  g_test_add_func ("/motion/gaps", test_gaps);
  g_test_add_func ("/motion/distance-time", test_distance_time);
  g_test_add_func ("/motion/options", test_options);
  g_test_add_func ("/motion/changes", test_changes);
  return g_test_run ();
}
