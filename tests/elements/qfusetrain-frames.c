/* GStreamer qfuse: tests: what qfusetrain learns from where it holds pictures:
 * other speeds and directions, and clips that are held back.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>

#include <cairo.h>
#include <glib/gstdio.h>

#include "gstqfmeta-private.h"
#include "qfuse.h"

#define W 64
#define H 48
#define SIZE (W * H)
#define N_FRAMES 24
#define SIDE 16
/* video range: luma as it stands */
#define CAPS                                                                   \
  "video/x-raw,format=GRAY8,width=64,height=48,framerate=25/"                  \
  "1,colorimetry=bt601"
#define PLAIN                                                                  \
  "width=64 height=48 threads=1 batch-size=4 validation=0 zoom=1 shift=0 "     \
  "brightness=0 flip=false "

static gchar *folder, *model, *batches;

static void
setup (void)
{
  folder = g_dir_make_tmp ("qfusetrain-XXXXXX", NULL);
  model = g_build_filename (folder, "model.onnx", NULL);
  batches = g_build_filename (folder, "batches", NULL);
}

static void
teardown (void)
{
  g_unlink (model);
  g_unlink (batches);
  fail_unless (g_rmdir (folder) == 0, "something is left in %s", folder);
  g_free (folder);
  g_free (model);
  g_free (batches);
}

static QfBox
square (gint n)
{
  return (QfBox){ .x = (gfloat) (4 + n * 7 % 40),
    .y = (gfloat) (2 + n * 5 % 28),
    .w = SIDE,
    .h = SIDE };
}

/* A square that leaps over a ramp. */
static void
draw (gint n, guint8 *luma)
{
  QfBox b = square (n);

  for (gint i = 0; i < SIZE; i++)
    luma[i] = (guint8) (40 + i % W);
  for (gint y = (gint) b.y; y < (gint) b.y + SIDE; y++)
    memset (luma + y * W + (gint) b.x, 210 - n, SIDE);
}

static GstBuffer *
tagged (gint n, gint clip)
{
  GstBuffer *b = gst_buffer_new_allocate (NULL, SIZE, NULL);
  QfuseTruthMeta *t;
  QfBox box = square (n);
  QfuseDetection d = { box.x, box.y, box.w, box.h, 1, 0,
    g_quark_from_string ("square"), 0, -1, 0, NULL };
  GstMapInfo m;

  gst_buffer_map (b, &m, GST_MAP_WRITE);
  draw (n, m.data);
  gst_buffer_unmap (b, &m);
  GST_BUFFER_PTS (b) = (GstClockTime) (clip * N_FRAMES + n) * 40 * GST_MSECOND;
  if (n == 0)
    GST_BUFFER_FLAG_SET (b, GST_BUFFER_FLAG_DISCONT);
  t = gst_buffer_add_qfuse_truth (b, W, H);
  t->frame = n + 1;
  g_array_append_val (t->boxes, d);
  return b;
}

/* Writes the batches of @epochs of @clips clips of N_FRAMES, cut by a new
 * segment, with more @settings. */
static void
write_batches (const gchar *settings, gint clips)
{
  g_autofree gchar *line = g_strdup_printf (
      "qfusetrain name=t model-file=%s batches-file=%s " PLAIN "%s", model,
      batches, settings);
  GstElement *e = gst_parse_launch (line, NULL);
  GstHarness *h;

  fail_unless (e != NULL, "%s", line);
  gst_object_ref_sink (e);
  h = gst_harness_new_with_element (e, "sink", NULL);
  gst_harness_set_src_caps_str (h, CAPS);
  for (gint clip = 0; clip < clips; clip++) {
    if (clip > 0)
      gst_harness_push_event (h, gst_event_new_stream_start ("another"));
    if (clip > 0)
      gst_harness_set_src_caps_str (h, CAPS);
    for (gint n = 0; n < N_FRAMES; n++)
      fail_unless_equals_int (
          gst_harness_push (h, tagged (n, clip)), GST_FLOW_OK);
  }
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  gst_harness_teardown (h);
  gst_object_unref (e);
}

/* What the differencer gives for frame @n of a clip of which every @pace-th
 * picture is played, in either direction: [height][width][planes], three of
 * them. */
static guint8 *
play (const gchar *planes, gint n, gint pace, gboolean backwards)
{
  guint8 *codes = g_malloc (3 * SIZE), luma[SIZE], out[3 * SIZE];
  gint way = backwards ? -pace : pace, i = n;
  QfDifferencer *d;
  QfPlanes parsed;

  fail_unless (qf_planes_parse (&parsed, planes, NULL));
  d = qf_differencer_new (&parsed, W, H, 0, 1);
  while (i - way >= 0 && i - way < N_FRAMES)
    i -= way;
  for (;; i += way) {
    draw (i, luma);
    qf_differencer_push (d, luma, NULL, -1, out);
    if (i == n)
      break;
  }
  for (gint p = 0; p < 3; p++)
    for (gint k = 0; k < SIZE; k++)
      codes[k * 3 + p] = out[p * SIZE + k];
  qf_differencer_free (d);
  return codes;
}

/* Whether @codes are what play() gives. */
static gboolean
is_played (GHashTable *known, const guint8 *codes, const gchar *planes, gint n,
    gint pace, gboolean backwards)
{
  g_autofree gchar *key =
      g_strdup_printf ("%s %d %d %d", planes, n, pace, backwards);
  const guint8 *want = g_hash_table_lookup (known, key);

  if (!want) {
    guint8 *made = play (planes, n, pace, backwards);

    g_hash_table_insert (known, g_steal_pointer (&key), made);
    want = made;
  }
  return memcmp (codes, want, 3 * SIZE) == 0;
}

/* Frame whose luma is plane 0 of @codes. */
static gint
find_frame (const guint8 *codes, gint n_planes)
{
  guint8 luma[SIZE];

  for (gint n = 0; n < N_FRAMES; n++) {
    gint same = 0;

    draw (n, luma);
    while (same < SIZE && luma[same] == codes[same * n_planes])
      same++;
    if (same == SIZE)
      return n;
  }
  fail ("the luma is that of no frame");
  return -1;
}

/* Whether the planes D2, D3x2t8 of @codes are those of some speed from 1/2 to
 * 2 in either direction. */
static gboolean
of_some_speed (
    GHashTable *known, const guint8 *codes, gint n, gboolean backwards)
{
  for (gint near = 1; near <= 4; near++)
    for (gint far = MAX (1, near * 3 / 2 - 1); far <= near * 3 / 2 + 1; far++) {
      g_autofree gchar *text = g_strdup_printf ("Y,D%d,D%dx2t8", near, far);

      if (is_played (known, codes, text, n, 1, backwards))
        return TRUE;
    }
  return FALSE;
}

typedef struct
{
  gint images;
  gint pace[2][3]; /* [backwards][pace]: so many equal, and equal no other */
} Seen;

static void
check_image (Seen *seen, GHashTable *known, const guint8 *codes)
{
  gint equal = 0, way = 0, which = 0, n = find_frame (codes, 3);

  seen->images++;
  for (gint b = 0; b < 2; b++)
    for (gint pace = 1; pace <= 2; pace++) {
      if (!is_played (known, codes, "Y,D2,D3x2t8", n, pace, b))
        continue;
      equal++;
      way = b;
      which = pace;
    }
  if (equal == 1)
    seen->pace[way][which]++;
  fail_unless (equal > 0 || of_some_speed (known, codes, n, FALSE) ||
          of_some_speed (known, codes, n, TRUE),
      "frame %d: differences of no speed", n);
}

/* @codes: of batches of 4; then each image's one box is where the frame has
 * it. */
static void
check_boxes (const guint8 *codes, const guint8 *at, gint n_planes)
{
  for (gint i = 0; i < 4; i++) {
    gint32 head[2];
    gfloat v[6];
    QfBox b =
        square (find_frame (codes + (gsize) i * n_planes * SIZE, n_planes));

    memcpy (head, at, sizeof (head));
    memcpy (v, at + sizeof (head), sizeof (v));
    at += sizeof (head) + sizeof (v);
    fail_unless (head[0] == 1 && head[1] == -1);
    fail_unless (v[0] == b.x && v[1] == b.y && v[2] == b.w && v[3] == b.h &&
        v[4] == 0 && v[5] == 0);
  }
}

static Seen
read_batches (void)
{
  gsize size, at = 40, codes = 3 * SIZE, boxes = 4 * 32;
  g_autofree gchar *data = NULL;
  g_autoptr (GHashTable) known =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  Seen seen = { 0 };

  fail_unless (g_file_get_contents (batches, &data, &size, NULL));
  fail_unless (memcmp (data, "QFBATCH1", 8) == 0);
  for (; at < size; at += 4 * codes + boxes) {
    const guint8 *batch = (const guint8 *) data + at;

    fail_unless (at + 4 * codes + boxes <= size);
    for (gint i = 0; i < 4; i++)
      check_image (&seen, known, batch + (gsize) i * codes);
    check_boxes (batch, batch + 4 * codes, 3);
  }
  GST_INFO ("%d images", seen.images);
  return seen;
}

/* With speed=2 some samples are, byte for byte, what framediff gives for every
 * second picture, and all are differences of one speed from 1/2 to 2; with
 * backwards, of the clip from its end. Boxes stay with their pictures, and no
 * difference reaches into another clip. */
GST_START_TEST (test_speed)
{
  Seen seen;

  write_batches ("planes=Y,D2,D3x2t8 epochs=20 speed=2", 1);
  seen = read_batches ();
  fail_unless_equals_int (seen.images, 20 * N_FRAMES);
  fail_unless (seen.pace[0][2] > 10, "%d of speed 2", seen.pace[0][2]);
  fail_unless (seen.pace[0][1] > 50, "%d of speed 1", seen.pace[0][1]);
  fail_unless_equals_int (seen.pace[1][1] + seen.pace[1][2], 0);

  write_batches ("planes=Y,D2,D3x2t8 epochs=10 speed=2 backwards=true", 2);
  seen = read_batches ();
  fail_unless_equals_int (seen.images, 20 * N_FRAMES);
  for (gint b = 0; b < 2; b++)
    for (gint pace = 1; pace <= 2; pace++)
      fail_unless (seen.pace[b][pace] > 5, "%d: %d of speed %d", b,
          seen.pace[b][pace], pace);

  write_batches ("planes=Y,D2,D3x2t8 epochs=10 backwards=true", 1);
  seen = read_batches ();
  fail_unless (seen.pace[0][1] > 60);
  fail_unless (seen.pace[1][1] > 60);
  fail_unless_equals_int (seen.pace[0][2] + seen.pace[1][2], 0);
}
GST_END_TEST;

/* Of samples that are chosen by chance the pictures around them stay. */
GST_START_TEST (test_max_samples)
{
  Seen seen;

  write_batches (
      "planes=Y,D2,D3x2t8 epochs=40 speed=2 backwards=true max-samples=8", 2);
  seen = read_batches ();
  fail_unless_equals_int (seen.images, 40 * 8);
  fail_unless (seen.pace[0][1] + seen.pace[0][2] > 10);
  fail_unless (seen.pace[1][1] + seen.pace[1][2] > 10);
}
GST_END_TEST;

/* Green where the boxes of validation samples are, and only there. */
GST_START_TEST (test_picture)
{
  g_autofree gchar *line = NULL, *path = NULL;
  cairo_surface_t *s;
  GstElement *e;
  GstHarness *h;
  gint green = 0;

  path = g_build_filename (folder, "seen.png", NULL);
  line = g_strdup_printf (
      "qfusetrain model-file=%s picture-file=%s epochs=1 " PLAIN "planes=D1,Y",
      model, path);
  e = gst_parse_launch (line, NULL);
  gst_object_ref_sink (e);
  h = gst_harness_new_with_element (e, "sink", NULL);
  gst_harness_set_src_caps_str (h, CAPS);
  for (gint n = 0; n < N_FRAMES; n++) {
    GstBuffer *b = tagged (n, 0);

    qfuse_buffer_get_truth (b)->validation = n == 5 || n == 9;
    fail_unless_equals_int (gst_harness_push (h, b), GST_FLOW_OK);
  }
  fail_unless (gst_harness_push_event (h, gst_event_new_eos ()));
  gst_harness_teardown (h);
  gst_object_unref (e);

  /* two tiles of 64x48, five times as large, 4 between them, 18 below */
  s = cairo_image_surface_create_from_png (path);
  fail_unless_equals_int (cairo_surface_status (s), CAIRO_STATUS_SUCCESS);
  fail_unless_equals_int (cairo_image_surface_get_width (s), 2 * 5 * W + 4);
  fail_unless_equals_int (cairo_image_surface_get_height (s), 5 * H + 18);
  for (gint y = 0; y < 5 * H; y++) {
    const guint32 *row =
        (const guint32 *) (gpointer) (cairo_image_surface_get_data (s) +
            y * cairo_image_surface_get_stride (s));

    for (gint x = 0; x < 2 * 5 * W + 4; x++) {
      gint tile = x >= 5 * W + 4, r = row[x] >> 16 & 255, g = row[x] >> 8 & 255;
      QfBox b = square (tile ? 9 : 5);
      gfloat left = (gfloat) (x - tile * (5 * W + 4)) - 5 * b.x;
      gfloat top = (gfloat) y - 5 * b.y;

      if (g < r + 60 || g < 150)
        continue;
      green++;
      fail_unless (
          left >= -3 && top >= -3 && left < 5 * SIDE + 3 && top < 5 * SIDE + 3);
      fail_unless (
          left < 3 || top < 3 || left >= 5 * SIDE - 3 || top >= 5 * SIDE - 3);
    }
  }
  /* two outlines of 80x80, 3 wide, of which found boxes may cover some */
  fail_unless (green > 1000 && green < 2 * 4 * 5 * SIDE * 4, "%d", green);
  cairo_surface_destroy (s);
  g_unlink (path);
}
GST_END_TEST;

static Suite *
qfusetrain_frames_suite (void)
{
  Suite *s = suite_create ("qfusetrain-frames");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_set_timeout (tc, 60);
  tcase_add_checked_fixture (tc, setup, teardown);
  tcase_add_test (tc, test_speed);
  tcase_add_test (tc, test_max_samples);
  tcase_add_test (tc, test_picture);
  return s;
}

GST_CHECK_MAIN (qfusetrain_frames);
