/* qfuse tests: where samples are kept, and how they are changed.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "train/augment.h"
#include "train/trainer.h"
#include "trainnet.h"
#include "vision/differencer.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define W 48
#define H 40
#define SIZE (W * H)

/* The store
 * --------------------------------------------------------------------- */

static void
fill (guint8 *block, gsize n, int seed)
{
  QfRng rng = { (guint64) seed };

  for (gsize i = 0; i < n; i++)
    block[i] = (guint8) qf_rng_next (&rng);
}

static void
test_store (void)
{
  gsize size = 100 * 1000;
  g_autoptr (QfStore) s = qf_store_new (size, 20 << 20);
  g_autofree guint8 *block = g_malloc (size);
  const guint8 *at[600];
  GError *error = NULL;

  for (int i = 0; i < 600; i++) {
    fill (block, size, i);
    at[i] = qf_store_add (s, block, &error);
    g_assert_no_error (error);
  }
  g_assert_cmpuint (qf_store_n_blocks (s), ==, 600);
  g_assert_cmpuint (qf_store_mapped (s), >=, 38 << 20);
  g_assert_cmpuint (qf_store_mapped (s), <=, 52 << 20);
  for (int i = 0; i < 600; i++) {
    fill (block, size, i);
    g_assert_cmpmem (at[i], size, block, size);
  }
  qf_store_release (s, at[7]);
  fill (block, size, 1000);
  g_assert_true (qf_store_add (s, block, &error) == at[7]);
  g_assert_cmpmem (at[7], size, block, size);
}

/* A disk without room: an error, no signal; what is there stays. */
static void
test_store_full (void)
{
  gsize size = 1 << 20;
  g_autoptr (QfStore) s = qf_store_new (size, 1);
  g_autofree guint8 *block = g_malloc0 (size);
  g_autoptr (GError) error = NULL;
  struct rlimit old, low;
  int added = 0;

  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &old), ==, 0);
  low = old;
  low.rlim_cur = 20 << 20;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &low), ==, 0);
  while (added < 100 && qf_store_add (s, block, &error))
    added++;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &old), ==, 0);
  g_assert_error (error, QF_ERROR, QF_ERROR_FILE);
  g_assert_cmpint (added, ==, 16);
  g_assert_nonnull (strstr (error->message, "TMPDIR"));
}

/* Anonymous memory of this process, bytes. */
static gint64
anonymous_memory (void)
{
  g_autofree char *text = NULL;
  const char *at;

  g_assert_true (g_file_get_contents ("/proc/self/status", &text, NULL, NULL));
  at = strstr (text, "RssAnon:");
  g_assert_nonnull (at);
  return g_ascii_strtoll (at + strlen ("RssAnon:"), NULL, 10) * 1024;
}

static gboolean
watch_memory (QfTrainer *t, const QfTrainReport *report, gpointer data)
{
  gint64 *most = data;

  *most = MAX (*most, anonymous_memory ());
  return TRUE;
}

/* 20,000 samples of which a tenth may stay in memory proper, while they are
 * added and while they are learnt from. */
static void
test_many (void)
{
  QfTrainOptions o;
  g_autoptr (QfTrainer) t = NULL;
  g_autoptr (GError) error = NULL;
  guint8 picture[64 * 64];
  gint64 before, added, most = 0;

  qf_train_options_init (&o);
  g_assert_true (qf_planes_parse (&o.planes, "Y", NULL));
  o.width = o.height = 64;
  o.batch_size = 8;
  o.epochs = 1;
  o.memory_limit = 8 << 20;
  o.minutes = 1.0 / 60;
  t = qf_trainer_new (&o, NULL, &error);
  g_assert_no_error (error);
  before = anonymous_memory ();
  for (int i = 0; i < 20000; i++) {
    QfBox box = { (float) (i % 40), (float) (i / 500), 16, 16, 1, 0, 0, FALSE };

    memset (picture, i, sizeof picture);
    qf_trainer_add (t, picture, &box, 1, -1, FALSE);
  }
  added = anonymous_memory () - before;
  g_assert_cmpint (qf_trainer_n_samples (t, FALSE), ==, 20000);
  g_assert_cmpuint (qf_trainer_bytes (t), ==, 20000 * sizeof picture);
  g_assert_true (qf_trainer_run (t, watch_memory, &most, &error));
  g_assert_no_error (error);
  g_test_message (
      "%.0f MB of samples; %.1f MB of memory for them, %.1f MB with "
      "the training, %.1f MB before",
      (double) qf_trainer_bytes (t) / 1e6, (double) added / 1e6,
      (double) (most - before) / 1e6, (double) before / 1e6);
  if (g_getenv ("QFUSE_SANITIZE")) /* which takes memory of its own */
    return;
  /* 96 bytes a sample for what is true of it, a network of batch 8 */
  g_assert_cmpint (added, <, (gint64) o.memory_limit + 20000 * 160);
  g_assert_cmpint (
      most - before, <, (gint64) o.memory_limit + 20000 * 160 + (8 << 20));
}

/* Frames
 * -------------------------------------------------------------------------- */

#define N_FRAMES 24

/* A square that moves over noise that stands. */
static void
draw_frame (int i, guint8 *luma)
{
  int x = 2 * i % (W - 8), y = i % (H - 8);

  fill (luma, SIZE, 3);
  for (int r = y; r < y + 8; r++)
    memset (luma + r * W + x, 250 - i, 8);
}

typedef struct
{
  QfStore *store;
  QfFrames *frames;
  QfAugment a;
  GPtrArray *samples;
} Clip;

/* Samples of every @every-th frame, with a cut before frame 12. */
static void
clip_init (Clip *c, const char *planes, double speed, gboolean backwards,
    int every, int rate)
{
  guint8 luma[SIZE];
  g_autoptr (GError) error = NULL;

  *c = (Clip){ 0 };
  g_assert_true (qf_planes_parse (&c->a.planes, planes, NULL));
  qf_planes_base (&c->a.planes, &c->a.base);
  g_assert_cmpint (c->a.base.n, ==, 1);
  c->a.width = W;
  c->a.height = H;
  c->a.zoom_min = c->a.zoom_max = 1;
  c->a.speed = speed;
  c->a.backwards = backwards;
  c->store = qf_store_new (SIZE, 0);
  c->frames = qf_frames_new (&c->a.planes, rate, 1, speed, backwards, c->store);
  c->a.frames = c->frames;
  c->samples = g_ptr_array_new_with_free_func ((GDestroyNotify) qf_sample_free);
  for (int i = 0; i < N_FRAMES; i++) {
    draw_frame (i, luma);
    g_assert_cmpint (
        qf_frames_push (c->frames, luma,
            rate ? i * (G_GINT64_CONSTANT (1000000000) / rate) : -1, i == 12,
            &error),
        ==, i);
    if (i % every)
      continue;
    qf_frames_keep (c->frames);
    g_ptr_array_add (c->samples, qf_sample_new (NULL, i, NULL, 0, -1));
  }
}

static void
clip_clear (Clip *c)
{
  g_ptr_array_unref (c->samples);
  qf_frames_free (c->frames);
  qf_store_unref (c->store);
}

/* What the differencer gives for frame @frame of the clip in either direction,
 * interleaved as the network reads it. */
static void
reference (const QfPlanes *planes, int frame, gboolean backwards, int rate,
    guint8 *codes)
{
  QfDifferencer *d = qf_differencer_new (planes, W, H, rate, 1);
  g_autofree guint8 *out = g_malloc ((gsize) planes->n * SIZE);
  guint8 luma[SIZE];
  int first = frame < 12 ? 0 : 12, last = frame < 12 ? 11 : N_FRAMES - 1;
  int way = backwards ? -1 : 1;

  for (int i = backwards ? last : first;; i += way) {
    gint64 time = (backwards ? last - i : i) *
        (G_GINT64_CONSTANT (1000000000) / MAX (rate, 1));

    draw_frame (i, luma);
    qf_differencer_push (d, luma, NULL, rate ? time : -1, out);
    if (i == frame)
      break;
  }
  for (int p = 0; p < planes->n; p++)
    for (int i = 0; i < SIZE; i++)
      codes[i * planes->n + p] = out[p * SIZE + i];
  qf_differencer_free (d);
}

/* As they stand, frames give what the differencer gives. */
static void
test_frames_plain (void)
{
  const char *planes = "Y,D1,D3x2t8,M2t5,A4,A6t9";

  for (int rate = 0; rate <= 10; rate += 10) {
    Clip c;
    guint8 got[6 * SIZE], want[6 * SIZE];

    clip_init (&c, planes, 1, FALSE, 1, rate);
    for (int i = 0; i < N_FRAMES; i++) {
      qf_sample_plain (&c.a, g_ptr_array_index (c.samples, i), got);
      reference (&c.a.planes, i, FALSE, rate, want);
      g_assert_cmpmem (got, sizeof got, want, sizeof want);
    }
    clip_clear (&c);
  }
}

/* Played backwards: what the differencer gives for the clip from its end. */
static void
test_frames_backwards (void)
{
  Clip c;
  guint8 got[3 * SIZE], want[2][3 * SIZE];
  int seen[2] = { 0 };
  g_autoptr (GArray) boxes = g_array_new (FALSE, FALSE, sizeof (QfBox));

  clip_init (&c, "Y,D3x2t8,A4", 1, TRUE, 1, 0);
  for (int i = 0; i < N_FRAMES; i++) {
    for (int way = 0; way < 2; way++)
      reference (&c.a.planes, i, way, 0, want[way]);
    for (int draw = 0; draw < 8; draw++) {
      int is[2];

      qf_sample_augment (&c.a, c.samples, i,
          (QfRng){ test_seed () + (guint64) draw }, got, boxes);
      for (int way = 0; way < 2; way++)
        is[way] = memcmp (got, want[way], sizeof got) == 0;
      g_assert_true (is[0] || is[1]);
      seen[0] += is[0];
      seen[1] += is[1] && !is[0];
    }
  }
  g_assert_cmpint (seen[0], >, 40);
  g_assert_cmpint (seen[1], >, 40);
  clip_clear (&c);
}

/* At other speeds: the differences of other distances; and no more pictures are
 * kept than may be asked for. */
static void
test_frames_speed (void)
{
  Clip c;
  guint8 got[2 * SIZE], want[2 * SIZE];
  int seen[13] = { 0 }, far = 0, kept = 0;
  g_autoptr (GArray) boxes = g_array_new (FALSE, FALSE, sizeof (QfBox));

  clip_init (&c, "D2,D6t8", 2, FALSE, 1, 0);
  for (int draw = 0; draw < 60; draw++) {
    gboolean found = FALSE;

    qf_sample_augment (&c.a, c.samples, N_FRAMES - 1,
        (QfRng){ test_seed () + (guint64) draw }, got, boxes);
    for (int f = 3; f <= 11 && !found; f++)
      for (int n = 1; n <= 4 && !found; n++) {
        g_autofree char *text = g_strdup_printf ("D%d,D%dt8", n, f);
        QfPlanes planes;

        g_assert_true (qf_planes_parse (&planes, text, NULL));
        reference (&planes, N_FRAMES - 1, FALSE, 0, want);
        found = memcmp (got, want, sizeof got) == 0;
        far = f;
        if (found)
          g_assert_cmpint (ABS (f - 3 * n), <=, 2); /* one speed for both */
      }
    if (!found) { /* D12 has no past after the cut */
      g_assert_cmpint (seen[12]++, <, 20);
      continue;
    }
    seen[far]++;
  }
  for (int f = 4; f <= 10; f++)
    g_assert_cmpint (seen[f], >, 0);
  clip_clear (&c);

  /* Of a sample alone: what it may ask for, and the last 13 that samples to
   * come may; then these. */
  clip_init (&c, "D4", 2, TRUE, 1, 0); /* 2 to 8 pictures away */
  for (int i = 0; i < N_FRAMES; i++)
    if (i != 5)
      qf_frames_release (c.frames, i);
  for (int i = 0; i < N_FRAMES - 9; i++)
    g_assert_cmpint (qf_frames_get (c.frames, i) != NULL, ==,
        i < 12 && (i == 5 || ABS (i - 5) >= 2)); /* a cut before 12 */
  qf_frames_release (c.frames, 5);
  g_assert_cmpuint (qf_store_n_blocks (c.store), ==, 9);
  clip_clear (&c);

  clip_init (
      &c, "Y,D2", 1, FALSE, 6, 0); /* 0, 4, 6, 12, 16, 18 and the last 3 */
  for (int i = 0; i < N_FRAMES; i++)
    kept += qf_frames_get (c.frames, i) != NULL;
  g_assert_cmpint (kept, ==, 9);
  g_assert_cmpuint (qf_store_n_blocks (c.store), ==, 9);
  clip_clear (&c);
}

/* Boxes with pictures
 * ------------------------------------------------------------- */

/* Flat objects on a flat ground, of one code each; @moved: their place in the
 * second plane, a difference. */
static QfSample *
draw_sample (QfRng *rng, QfStore *store)
{
  guint8 planes[2 * SIZE];
  QfBox boxes[2];

  memset (planes, 100, SIZE);
  memset (planes + SIZE, 128, SIZE);
  for (int k = 0; k < 2; k++) {
    int x = k * W / 2 + (int) qf_rng_below (rng, 12);
    int y = (int) qf_rng_below (rng, H - 10);

    boxes[k] = (QfBox){ (float) x, (float) y, 10, 10, 1, k, 0, FALSE };
    for (int r = y; r < y + 10; r++) {
      memset (planes + r * W + x, k ? 250 : 200, 10);
      memset (planes + SIZE + r * W + x, k ? 250 : 200, 10);
    }
  }
  return qf_sample_new (qf_store_add (store, planes, NULL), -1, boxes, 2, -1);
}

/* Whatever is done to a picture is done to its boxes, and to both planes. */
static void
test_boxes (void)
{
  g_autoptr (QfStore) store = qf_store_new (2 * SIZE, 0);
  g_autoptr (GPtrArray) samples =
      g_ptr_array_new_with_free_func ((GDestroyNotify) qf_sample_free);
  g_autoptr (GArray) boxes = g_array_new (FALSE, FALSE, sizeof (QfBox));
  QfAugment a = { .width = W,
    .height = H,
    .zoom_min = 0.7,
    .zoom_max = 1.5,
    .shift = 0.1,
    .mosaic = 0.5,
    .paste = 0.5,
    .speed = 1,
    .flip = TRUE };
  QfRng rng = { test_seed () };
  guint8 codes[2 * SIZE];
  int centres = 0, more = 0, objects = 0, outside = 0;

  g_assert_true (qf_planes_parse (&a.planes, "Y,D1", NULL));
  for (int i = 0; i < 16; i++)
    g_ptr_array_add (samples, draw_sample (&rng, store));
  for (int draw = 0; draw < 400; draw++) {
    QfRng own = { qf_rng_next (&rng) };

    g_array_set_size (boxes, 0);
    qf_sample_augment (&a, samples, draw % 16, own, codes, boxes);
    more += boxes->len > 2;
    for (guint i = 0; i < boxes->len; i++) {
      const QfBox *b = &g_array_index (boxes, QfBox, i);
      int x = (int) (b->x + b->w / 2), y = (int) (b->y + b->h / 2);

      g_assert_true (b->x >= 0 && b->y >= 0 && b->x + b->w <= W &&
          b->y + b->h <= H && b->w > 0 && b->h > 0);
      if (b->ignore || b->w < 4 || b->h < 4)
        continue;
      centres++;
      objects += codes[2 * (y * W + x)] == (b->label ? 250 : 200);
      g_assert_true (
          codes[2 * (y * W + x)] < 180 || codes[2 * (y * W + x) + 1] > 180);
    }
    for (int p = 0; p < SIZE; p++) {
      gboolean inside = codes[2 * p] < 190;

      for (guint i = 0; i < boxes->len && !inside; i++) {
        const QfBox *b = &g_array_index (boxes, QfBox, i);

        inside = p % W + 1 > b->x - 1 && p % W < b->x + b->w + 1 &&
            p / W + 1 > b->y - 1 && p / W < b->y + b->h + 1;
      }
      outside += !inside;
    }
  }
  g_test_message ("%d boxes, %d with their object in the middle, %d pictures "
                  "with others' objects, %d object pixels outside of boxes",
      centres, objects, more, outside);
  g_assert_cmpint (centres, >, 500);
  g_assert_cmpint (objects, >=, centres * 95 / 100); /* some are covered */
  g_assert_cmpint (more, >, 100);
  g_assert_cmpint (outside, <, 400 * SIZE / 200);
}

/* Noise has about the width asked for, and none where a dead band holds it. */
static void
test_noise (void)
{
  g_autoptr (QfStore) store = qf_store_new (2 * SIZE, 0);
  g_autoptr (GPtrArray) samples =
      g_ptr_array_new_with_free_func ((GDestroyNotify) qf_sample_free);
  g_autoptr (GArray) boxes = g_array_new (FALSE, FALSE, sizeof (QfBox));
  QfAugment a = { .width = W,
    .height = H,
    .zoom_min = 1,
    .zoom_max = 1,
    .noise = 8,
    .speed = 1 };
  guint8 planes[2 * SIZE], codes[2 * SIZE];
  double sum = 0, squares = 0;

  g_assert_true (qf_planes_parse (&a.planes, "Y,D1t4", NULL));
  memset (planes, 128, sizeof planes);
  g_ptr_array_add (samples,
      qf_sample_new (qf_store_add (store, planes, NULL), -1, NULL, 0, -1));
  for (int draw = 0; draw < 200; draw++) {
    qf_sample_augment (&a, samples, 0,
        (QfRng){ test_seed () + 77 * (guint64) draw }, codes, boxes);
    for (int p = 0; p < SIZE; p++) {
      sum += codes[2 * p] - 128;
      squares += (codes[2 * p] - 128) * (codes[2 * p] - 128);
      g_assert_cmpint (codes[2 * p + 1], ==, 128);
    }
  }
  sum /= 200.0 * SIZE;
  squares /= 200.0 * SIZE;
  g_test_message ("mean %.3f, deviation %.2f", sum, sqrt (squares));
  g_assert_cmpfloat (fabs (sum), <, 0.1);
  /* of widths even in 0 … 8: 64/3, and 1/12 of rounding */
  g_assert_cmpfloat (sqrt (squares), >, 4.0);
  g_assert_cmpfloat (sqrt (squares), <, 5.2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/train/samples/store", test_store);
  g_test_add_func ("/train/samples/store-full", test_store_full);
  g_test_add_func ("/train/samples/many", test_many);
  g_test_add_func ("/train/samples/frames-plain", test_frames_plain);
  g_test_add_func ("/train/samples/frames-backwards", test_frames_backwards);
  g_test_add_func ("/train/samples/frames-speed", test_frames_speed);
  g_test_add_func ("/train/samples/boxes", test_boxes);
  g_test_add_func ("/train/samples/noise", test_noise);
  return g_test_run ();
}
