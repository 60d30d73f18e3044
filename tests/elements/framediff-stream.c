/* GStreamer qfuse: tests: what framediff remembers, repeats and forgets.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstqfmotionmeta.h"
#include "testframes.h"

#define WIDTH 96
#define HEIGHT 64
#define SIZE 24
#define WARM 50 /* still frames from which on a background knows what it is */
#define FRAME (40 * GST_MSECOND)

typedef struct
{
  GstHarness *h;
  GstElement *e;
  GstBus *bus;
  GstVideoInfo info;
} Bench;

static void
bench_init (Bench *b, const gchar *line)
{
  GstCaps *caps = test_caps ("I420", WIDTH, HEIGHT);

  b->h = gst_harness_new_parse (line);
  fail_unless (gst_video_info_from_caps (&b->info, caps));
  gst_harness_set_src_caps (b->h, caps);
  b->e = gst_harness_find_element (b->h, "framediff");
  b->bus = gst_bus_new ();
  gst_element_set_bus (b->e, b->bus);
}

static void
bench_clear (Bench *b)
{
  gst_element_set_bus (b->e, NULL);
  gst_object_unref (b->bus);
  gst_object_unref (b->e);
  gst_harness_teardown (b->h);
}

/* A square at @x, none where @x < 0. */
static GstBuffer *
frame (Bench *b, gint x, guint n)
{
  return test_stamp (test_square (&b->info, x, 16, x < 0 ? 0 : SIZE), n);
}

static GstBuffer *
pass (Bench *b, GstBuffer *in)
{
  GstBuffer *out = gst_harness_push_and_pull (b->h, in);

  fail_unless (out != NULL);
  return out;
}

static gint
grey_of (GstBuffer *buffer, const GstVideoInfo *info, gint x, gint y)
{
  GstVideoFrame f;
  guint v;

  fail_unless (gst_video_frame_map (&f, info, buffer, GST_MAP_READ));
  v = test_sample (&f, 0, x, y);
  gst_video_frame_unmap (&f);
  return (gint) v;
}

/* Grey at (@at, 20) of the picture made of the frame; −1 in @x: still. */
static gint
picture (Bench *b, gint x, guint n, gint at)
{
  GstBuffer *out = pass (b, frame (b, x, n));
  gint v = grey_of (out, &b->info, at, 20);

  gst_buffer_unref (out);
  return v;
}

static void
warm_up (Bench *b, guint from)
{
  for (guint n = from; n < from + WARM; n++)
    gst_buffer_unref (pass (b, frame (b, -1, n)));
}

/* Number of regions, −1: not known. */
static gint
regions (GstBuffer *buffer)
{
  QfuseMotionMeta *m = qfuse_buffer_get_motion (buffer);

  return m && m->analysed ? (gint) m->regions->len : -1;
}

static gint
regions_of (Bench *b, GstBuffer *in)
{
  GstBuffer *out = pass (b, in);
  gint n = regions (out);

  gst_buffer_unref (out);
  return n;
}

/* ---- references ---------------------------------------------------------- */

/* To the background a square stays a difference, and where it was is none. */
GST_START_TEST (test_background)
{
  Bench b;

  bench_init (&b, "framediff reference=background");
  warm_up (&b, 0);
  for (guint n = WARM; n < WARM + 5; n++)
    fail_unless (ABS (picture (&b, 20, n, 30) - (128 + 70)) <= 1);
  for (guint n = WARM + 5; n < WARM + 10; n++)
    fail_unless (ABS (picture (&b, 60, n, 70) - (128 + 70)) <= 1);
  fail_unless (ABS (picture (&b, 60, WARM + 10, 30) - 128) <= 2);
  g_object_set (b.e, "gain", 2, NULL);
  gst_util_set_object_arg (G_OBJECT (b.e), "mode", "absolute");
  fail_unless (picture (&b, 60, WARM + 11, 70) >= 234); /* white is 235 */
  fail_unless (picture (&b, 60, WARM + 12, 5) <= 18);
  g_object_set (b.e, "threshold", 145, NULL);
  fail_unless_equals_int (picture (&b, 60, WARM + 13, 70), 16);
  bench_clear (&b);
}
GST_END_TEST;

/* A dead band that follows the noise leaves a noisy picture still, and shows
 * what moves in it. */
GST_START_TEST (test_noise_adaptive)
{
  GRand *rand = g_rand_new_with_seed (7);
  guint loud = 0, quiet = 0, seen = 0;
  Bench b;

  bench_init (&b, "framediff name=d");
  for (guint n = 0; n < 90; n++) {
    GstBuffer *in = frame (&b, n == 89 ? 40 : -1, n), *out;
    GstMapInfo map;

    fail_unless (gst_buffer_map (in, &map, GST_MAP_READWRITE));
    for (guint i = 0; i < WIDTH * HEIGHT; i++)
      map.data[i] = (guint8) (map.data[i] + g_rand_int_range (rand, -6, 7));
    gst_buffer_unmap (in, &map);
    if (n == 45)
      g_object_set (b.e, "noise-adaptive", TRUE, NULL);
    out = pass (&b, in);
    fail_unless (gst_buffer_map (out, &map, GST_MAP_READ));
    for (guint i = 0; i < WIDTH * HEIGHT; i++) {
      guint x = i % WIDTH, y = i / WIDTH;
      gboolean in_square = x >= 40 && x < 64 && y >= 16 && y < 40;

      if (n == 44)
        loud += map.data[i] != 128;
      if (n >= 86 && !(n == 89 && in_square))
        quiet += map.data[i] != 128;
      if (n == 89 && in_square)
        seen += map.data[i] > 180;
    }
    gst_buffer_unmap (out, &map);
    gst_buffer_unref (out);
  }
  fail_unless (loud > WIDTH * HEIGHT / 2, "%u", loud);
  fail_unless (quiet < WIDTH * HEIGHT / 50, "%u", quiet);
  fail_unless (seen > SIZE * SIZE * 9 / 10, "%u", seen);
  g_rand_free (rand);
  bench_clear (&b);
}
GST_END_TEST;

/* 120 ms are three frames of 40 ms, and one of 120. */
GST_START_TEST (test_distance_in_time)
{
  Bench b;

  bench_init (&b, "framediff distance=120 distance-unit=time");
  for (guint n = 0; n < 10; n++)
    picture (&b, -1, n, 30);
  fail_unless_equals_int (picture (&b, 20, 10, 30), 128 + 70);
  fail_unless_equals_int (picture (&b, 20, 11, 30), 128 + 70);
  fail_unless_equals_int (picture (&b, 20, 12, 30), 128 + 70);
  fail_unless_equals_int (picture (&b, 20, 13, 30), 128);
  fail_unless_equals_int (picture (&b, -1, 16, 30), 58);
  fail_unless_equals_int (picture (&b, -1, 19, 30), 128);
  fail_unless (gst_bus_pop_filtered (b.bus, GST_MESSAGE_WARNING) == NULL);
  bench_clear (&b);
}
GST_END_TEST;

/* Frames above 250 are 250, and one warning says so. */
GST_START_TEST (test_distance_too_far)
{
  GstMessage *m;
  Bench b;

  bench_init (&b, "framediff distance=60000");
  for (guint n = 0; n < 3; n++)
    picture (&b, -1, n, 30);
  m = gst_bus_pop_filtered (b.bus, GST_MESSAGE_WARNING);
  fail_unless (m != NULL);
  gst_message_unref (m);
  fail_unless (gst_bus_pop_filtered (b.bus, GST_MESSAGE_WARNING) == NULL);
  bench_clear (&b);
}
GST_END_TEST;

/* What moves is painted, what is still is dimmed. */
GST_START_TEST (test_highlight)
{
  Bench b;
  GstBuffer *out;

  bench_init (&b, "framediff mode=highlight");
  warm_up (&b, 0);
  out = pass (&b, frame (&b, 40, WARM));
  fail_unless_equals_int (regions (out), 1);
  fail_unless (grey_of (out, &b.info, 5, 5) < 60);
  fail_unless (grey_of (out, &b.info, 50, 25) > 100);
  gst_buffer_unref (out);
  bench_clear (&b);
}
GST_END_TEST;

/* ---- repeats ------------------------------------------------------------- */

/* A frame flagged GAP stands for the last, whatever it holds. */
GST_START_TEST (test_gap)
{
  static const gchar *const lines[] = { "framediff", "framediff mode=highlight",
    "framediff reference=background",
    "framediff output=planes find-motion=true",
    "framediff noise-adaptive=true reference=previous" };

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++) {
    GstBuffer *in, *out;
    gint last, at;
    Bench b;

    bench_init (&b, lines[i]);
    warm_up (&b, 0);
    out = pass (&b, frame (&b, 20, WARM));
    last = grey_of (out, &b.info, 30, 20);
    at = regions (out);
    gst_buffer_unref (out);
    in = frame (&b, -1, WARM + 1);
    gst_buffer_memset (in, 0, 16, WIDTH * HEIGHT);
    GST_BUFFER_FLAG_SET (in, GST_BUFFER_FLAG_GAP);
    out = pass (&b, in);
    fail_unless (GST_BUFFER_FLAG_IS_SET (out, GST_BUFFER_FLAG_GAP));
    fail_unless_equals_uint64 (GST_BUFFER_PTS (out), (WARM + 1) * FRAME);
    fail_unless_equals_int (regions (out), at);
    if (i == 0 || i == 4) { /* it does not differ from the last */
      fail_unless_equals_int (grey_of (out, &b.info, 30, 20), 128);
      fail_unless_equals_int (grey_of (out, &b.info, 3, 3), 128);
    } else if (i == 2) { /* it differs from the background as the last does */
      fail_unless_equals_int (grey_of (out, &b.info, 30, 20), last);
      fail_unless_equals_int (grey_of (out, &b.info, 3, 3), 128);
    }
    gst_buffer_unref (out);
    /* the past is that of the frame before */
    out = pass (&b, frame (&b, 20, WARM + 2));
    fail_unless_equals_int (regions (out), at);
    if (i == 0)
      fail_unless_equals_int (grey_of (out, &b.info, 30, 20), 128);
    gst_buffer_unref (out);
    bench_clear (&b);
  }
}
GST_END_TEST;

static gboolean
said (Bench *b, const gchar *state)
{
  GstMessage *m = gst_bus_pop_filtered (b->bus, GST_MESSAGE_ELEMENT);
  gboolean same = m != NULL &&
      g_strcmp0 (
          gst_structure_get_string (gst_message_get_structure (m), "state"),
          state) == 0;

  if (m)
    gst_message_unref (m);
  return same;
}

/* Each picture twice, as from 12.5 to 25 a second: compared with the one
 * before, each second frame would be still. */
GST_START_TEST (test_repeats)
{
  Bench b;

  bench_init (&b,
      "framediff output=planes reference=previous "
      "post-messages=true stop-time=0 start-time=0.1");
  for (guint n = 0; n < 10; n++)
    regions_of (&b, frame (&b, -1, n));
  for (guint n = 10; n < 40; n++)
    fail_unless (regions_of (&b, frame (&b, (gint) (n / 2 * 4) % 60, n)) > 0,
        "frame %u", n);
  fail_unless (said (&b, "start"));
  fail_unless (gst_bus_pop_filtered (b.bus, GST_MESSAGE_ELEMENT) == NULL);
  bench_clear (&b);
}
GST_END_TEST;

/* A source that hangs in the middle of motion: its picture moves for a second,
 * then it does not. */
GST_START_TEST (test_hanging_source)
{
  Bench b;
  guint n;

  bench_init (&b,
      "framediff output=planes reference=previous "
      "post-messages=true stop-time=0");
  for (n = 0; n < 10; n++)
    regions_of (&b, frame (&b, -1, n));
  regions_of (&b, frame (&b, 20, n++));
  fail_unless (said (&b, "start"));
  for (; n < 35; n++)
    fail_unless (regions_of (&b, frame (&b, 20, n)) > 0, "frame %u", n);
  fail_unless_equals_int (regions_of (&b, frame (&b, 20, n)), 0);
  fail_unless (said (&b, "stop"));
  bench_clear (&b);
}
GST_END_TEST;

/* ---- what forgets -------------------------------------------------------- */

typedef enum
{
  FLUSH,
  STREAM_START,
  SEGMENT,       /* that does not continue */
  SAME,          /* segment again: nothing is forgotten */
  TIME_BACK,     /* */
  TIME_LEAP,     /* a gap of a minute */
  CAPS,          /* other size */
  DISCONT,       /* with timestamps: nothing is forgotten */
  BLIND_DISCONT, /* without */
  N_BREAKS
} Break;

static guint
do_break (Bench *b, Break k, guint n)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  switch (k) {
    case FLUSH:
      gst_harness_push_event (b->h, gst_event_new_flush_start ());
      gst_harness_push_event (b->h, gst_event_new_flush_stop (TRUE));
      gst_harness_push_event (b->h, gst_event_new_segment (&segment));
      return n;
    case STREAM_START:
      gst_harness_push_event (b->h, gst_event_new_stream_start ("next"));
      gst_harness_push_event (b->h, gst_event_new_segment (&segment));
      return n;
    case SEGMENT:
      segment.base = 60 * GST_SECOND;
      segment.time = 90 * GST_SECOND;
      gst_harness_push_event (b->h, gst_event_new_segment (&segment));
      return n;
    case SAME:
      gst_harness_push_event (b->h, gst_event_new_segment (&segment));
      return n;
    case TIME_BACK:
      return 0;
    case TIME_LEAP:
      return n + 25 * 3600;
    case CAPS:
      gst_harness_set_src_caps (b->h, test_caps ("I420", 128, 96));
      gst_video_info_set_format (&b->info, GST_VIDEO_FORMAT_I420, 128, 96);
      return n;
    default:
      return n;
  }
}

/* A square stands there from the frame after the break on: it moved in only
 * where the past is known. */
GST_START_TEST (test_breaks)
{
  static const gchar *const lines[] = { "framediff",
    "framediff reference=mean distance=3", "framediff reference=background",
    "framediff noise-adaptive=true", "framediff output=planes find-motion=true",
    "framediff output=planes find-motion=true reference=previous",
    "framediff mode=highlight" };

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++)
    for (Break k = FLUSH; k < N_BREAKS; k++) {
      const gboolean kept = k == SAME || k == DISCONT;
      GstBuffer *in, *out;
      gboolean moved;
      guint n = WARM;
      Bench b;

      bench_init (&b, lines[i]);
      for (guint f = 0; f < WARM; f++) {
        in = frame (&b, -1, f);
        if (k == BLIND_DISCONT)
          GST_BUFFER_PTS (in) = GST_CLOCK_TIME_NONE;
        gst_buffer_unref (pass (&b, in));
      }
      n = do_break (&b, k, n);
      in = frame (&b, 20, n);
      if (k == DISCONT || k == BLIND_DISCONT)
        GST_BUFFER_FLAG_SET (in, GST_BUFFER_FLAG_DISCONT);
      if (k == BLIND_DISCONT)
        GST_BUFFER_PTS (in) = GST_CLOCK_TIME_NONE;
      out = pass (&b, in);
      if (i < 4)
        moved = grey_of (out, &b.info, 30, 20) != 128;
      else
        moved = regions (out) > 0;
      fail_unless (moved == kept, "%s, break %d: %d", lines[i], k, moved);
      gst_buffer_unref (out);
      bench_clear (&b);
    }
}
GST_END_TEST;

/* What was not computed for a while has no past when it is asked for again. */
GST_START_TEST (test_changed_properties)
{
  Bench b;

  bench_init (&b, "framediff");
  for (guint n = 0; n < 5; n++)
    picture (&b, -1, n, 30);
  gst_util_set_object_arg (G_OBJECT (b.e), "reference", "background");
  fail_unless_equals_int (picture (&b, 20, 5, 30), 128);
  gst_util_set_object_arg (G_OBJECT (b.e), "reference", "previous");
  fail_unless_equals_int (picture (&b, 50, 6, 60), 128);
  fail_unless_equals_int (picture (&b, -1, 7, 60), 58);
  gst_util_set_object_arg (G_OBJECT (b.e), "output", "planes");
  fail_unless (ABS (picture (&b, 20, 8, 30) - 200) <= 1);
  gst_util_set_object_arg (G_OBJECT (b.e), "output", "image");
  fail_unless_equals_int (picture (&b, 50, 9, 60), 128);
  /* within a way the past stays */
  g_object_set (b.e, "gain", 1, "threshold", 20, NULL);
  fail_unless_equals_int (picture (&b, -1, 10, 60), 58);
  bench_clear (&b);
}
GST_END_TEST;

static gpointer
set_properties (gpointer element)
{
  static const gchar *const masks[] = { NULL, "0,0 1,0 1,1", "0,0 1", "" };

  for (guint i = 0; i < 600; i++) {
    g_object_set (element, "threshold", (gint) (i % 20) - 1, "gain", 1 + i % 5,
        "distance", 1 + i % 300, "distance-unit", i & 1, "mode", i % 3,
        "reference", (i / 2) % 4, "output", (i / 50) & 1, "noise-adaptive",
        (i / 7) & 1, "learning-rate", 0.01 * (i % 20), "ignore", masks[i % 4],
        "post-messages", (i / 3) & 1, "attach-regions", (i / 5) & 1,
        "drop-still", (i / 40) & 1, "find-motion", (i / 11) & 1, "pre-roll",
        0.1 * (i % 3), "post-roll", 0.1 * (i % 5), "max-bytes",
        (guint64) (i % 9) * 10000, "start-time", 0.01 * (i % 3), "stop-time",
        0.1 * (i % 4), "min-area", 0.01 * (i % 3), "shadow",
        0.1 * (i % 9) - (i % 9 == 0), NULL);
    if (i % 4 == 0)
      g_usleep (100);
  }
  return NULL;
}

GST_START_TEST (test_properties_from_two_threads)
{
  GThread *threads[2];
  Bench b;

  bench_init (&b, "framediff");
  gst_harness_set_drop_buffers (b.h, TRUE);
  for (guint i = 0; i < 2; i++)
    threads[i] = g_thread_new ("properties", set_properties, b.e);
  for (guint n = 0; n < 1000; n++) {
    fail_unless_equals_int (
        gst_harness_push (b.h, frame (&b, n % 3 ? (gint) n % 60 : -1, n)),
        GST_FLOW_OK);
    gst_bus_set_flushing (b.bus, TRUE);
    gst_bus_set_flushing (b.bus, FALSE);
  }
  for (guint i = 0; i < 2; i++)
    g_thread_join (threads[i]);
  bench_clear (&b);
}
GST_END_TEST;

static Suite *
framediff_stream_suite (void)
{
  Suite *s = suite_create ("framediff-stream");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_set_timeout (tc, 60);
  tcase_add_test (tc, test_background);
  tcase_add_test (tc, test_noise_adaptive);
  tcase_add_test (tc, test_distance_in_time);
  tcase_add_test (tc, test_distance_too_far);
  tcase_add_test (tc, test_highlight);
  tcase_add_test (tc, test_gap);
  tcase_add_test (tc, test_repeats);
  tcase_add_test (tc, test_hanging_source);
  tcase_add_test (tc, test_breaks);
  tcase_add_test (tc, test_changed_properties);
  tcase_add_test (tc, test_properties_from_two_threads);
  return s;
}

GST_CHECK_MAIN (framediff_stream);
