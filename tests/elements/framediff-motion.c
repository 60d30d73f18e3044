/* GStreamer qfuse: tests: what framediff tells of motion.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>

#include "gstqfmeta-private.h"
#include "gstqfmotionmeta.h"
#include "testframes.h"

#define WIDTH 160
#define HEIGHT 120
#define SIZE 24
#define WARM 50 /* still frames from which on a background knows what it is */

/* The square at frame @n, or a still picture where @x < 0. */
static GstBuffer *
square (const GstVideoInfo *info, gint x, guint n)
{
  return test_stamp (test_square (info, x, 40, x < 0 ? 0 : SIZE), n);
}

static GstBuffer *
push (GstHarness *h, const GstVideoInfo *info, gint x, guint n)
{
  GstBuffer *out = gst_harness_push_and_pull (h, square (info, x, n));

  fail_unless (out != NULL);
  return out;
}

static void
push_only (GstHarness *h, const GstVideoInfo *info, gint x, guint n)
{
  gst_buffer_unref (push (h, info, x, n));
}

/* Frames 0 … WARM − 1, all still. */
static void
warm_up (GstHarness *h, const GstVideoInfo *info)
{
  for (guint n = 0; n < WARM; n++)
    gst_buffer_unref (push (h, info, -1, n));
}

/* One region, and it is on the square. */
static void
check_region (GstBuffer *buffer, gint x, gdouble slack)
{
  QfuseMotionMeta *m = qfuse_buffer_get_motion (buffer);
  const QfuseMotionRegion *r;

  fail_unless (m != NULL && m->analysed);
  fail_unless_equals_int (m->regions->len, 1);
  r = &g_array_index (m->regions, QfuseMotionRegion, 0);
  fail_unless (ABS (r->x - (gfloat) x) <= slack && ABS (r->y - 40) <= slack &&
          ABS (r->x + r->w - (gfloat) (x + SIZE)) <= slack &&
          ABS (r->y + r->h - (40 + SIZE)) <= slack,
      "%g %g %g %g, square at %d", r->x, r->y, r->w, r->h, x);
  fail_unless (r->area > 0 && r->area <= (SIZE + 4) * (SIZE + 4));
}

/* ---- the meta ------------------------------------------------------------ */

static void
check_meta (const gchar *line)
{
  GstVideoInfo info;
  GstHarness *h = test_harness (line, WIDTH, HEIGHT, &info);
  QfuseMotionMeta *m;
  GstBuffer *out;

  out = push (h, &info, -1, 0); /* there is nothing to compare with */
  fail_unless (qfuse_buffer_get_motion (out) == NULL);
  gst_buffer_unref (out);
  out = push (h, &info, -1, 1);
  m = qfuse_buffer_get_motion (out);
  fail_unless (m && m->analysed && !m->moving && m->share == 0);
  fail_unless_equals_int (m->regions->len, 0);
  gst_buffer_unref (out);
  for (guint n = 2; n < WARM; n++)
    push_only (h, &info, -1, n);
  for (gint n = 2; n < 6; n++) {
    out = push (h, &info, 8 * n, WARM + (guint) n);
    check_region (out, 8 * n, 3);
    m = qfuse_buffer_get_motion (out);
    fail_unless (m->moving);
    fail_unless_equals_int (m->width, WIDTH);
    fail_unless_equals_int (m->height, HEIGHT);
    fail_unless (ABS (m->share * WIDTH * HEIGHT - SIZE * SIZE) < 40, "%g",
        m->share * WIDTH * HEIGHT);
    fail_unless_equals_int (
        g_array_index (m->regions, QfuseMotionRegion, 0).roi_id, -1);
    gst_buffer_unref (out);
  }
  gst_harness_teardown (h);
}

GST_START_TEST (test_meta)
{
  check_meta ("framediff find-motion=true output=planes");
  check_meta ("framediff find-motion=true");
  check_meta ("framediff find-motion=true mode=absolute noise-adaptive=true");
  check_meta ("framediff mode=highlight");
  check_meta ("framediff post-messages=true output=planes");
  check_meta ("framediff attach-regions=true output=planes ! "
              "framediff find-motion=true output=planes");
  check_meta ("framediff find-motion=true output=planes ! framediff");
}
GST_END_TEST;

/* In every format; interlaced caps stay. */
GST_START_TEST (test_all_formats)
{
  for (guint f = 0; test_formats[f]; f++) {
    GstHarness *h =
        gst_harness_new_parse ("framediff output=planes find-motion=true");
    GstCaps *caps = test_caps (test_formats[f], 101, 76), *passed;
    GstVideoInfo info;
    GstBuffer *out;

    fail_unless (gst_video_info_from_caps (&info, caps));
    gst_caps_set_simple (
        caps, "interlace-mode", G_TYPE_STRING, "interleaved", NULL);
    gst_harness_set_src_caps (h, gst_caps_ref (caps));
    for (guint n = 0; n < 20; n++)
      push_only (h, &info, -1, n);
    out = push (h, &info, 40, 20);
    check_region (out, 40, 3);
    gst_buffer_unref (out);
    passed = gst_pad_get_current_caps (h->sinkpad);
    fail_unless (gst_caps_is_equal (caps, passed));
    gst_caps_unref (passed);
    gst_caps_unref (caps);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

/* Without an analysis an image tells the share that it shows. */
GST_START_TEST (test_meta_of_images)
{
  static const gchar *const lines[] = { "framediff",
    "framediff mode=absolute threshold=8", "framediff reference=background",
    "framediff reference=mean distance=2 threshold=4",
    "framediff noise-adaptive=true threshold=8" };

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++) {
    GstVideoInfo info;
    GstHarness *h = test_harness (lines[i], WIDTH, HEIGHT, &info);
    QfuseMotionMeta *m;
    GstBuffer *out = push (h, &info, -1, 0);

    fail_unless (qfuse_buffer_get_motion (out) == NULL);
    gst_buffer_unref (out);
    push_only (h, &info, -1, 1);
    out = push (h, &info, 16, 2);
    m = qfuse_buffer_get_motion (out);
    fail_unless (m && !m->analysed && !m->moving && m->regions->len == 0);
    fail_unless (ABS (m->share * WIDTH * HEIGHT - SIZE * SIZE) < 60, "%s: %g",
        lines[i], m->share * WIDTH * HEIGHT);
    gst_buffer_unref (out);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

/* Right or lost, never wrong: elements that move pixels. */
GST_START_TEST (test_meta_on_its_way)
{
  static const struct
  {
    const gchar *chain;
    gboolean kept;
    gdouble scale_x, scale_y, left, top;
  } cases[] = { { "identity", TRUE, 1, 1, 0, 0 },
    { "tee ! queue", TRUE, 1, 1, 0, 0 },
    { "videoconvert ! capsfilter caps=video/x-raw,format=RGB", TRUE, 1, 1, 0,
        0 },
    { "videoscale ! capsfilter caps=video/x-raw,width=80,height=60", TRUE, 0.5,
        0.5, 0, 0 },
    { "videoscale ! capsfilter caps="
      "video/x-raw,width=300,height=120,pixel-aspect-ratio=1/1",
        TRUE, 1, 1, 70, 0 },
    { "videoscale add-borders=false ! capsfilter caps="
      "video/x-raw,width=320,height=120,pixel-aspect-ratio=1/1",
        TRUE, 2, 1, 0, 0 },
    { "videocrop left=8 top=4", FALSE, 1, 1, 0, 0 },
    { "videoflip video-direction=180", FALSE, 1, 1, 0, 0 },
    { "jpegenc ! jpegdec", TRUE, 1, 1, 0, 0 } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    gchar *line = g_strdup_printf (
        "framediff output=planes attach-regions=true ! %s", cases[i].chain);
    GstVideoInfo info;
    GstHarness *h = test_harness (line, WIDTH, HEIGHT, &info);
    QfuseMotionMeta *m;
    GstBuffer *out;

    warm_up (h, &info);
    out = push (h, &info, 48, WARM);
    m = qfuse_buffer_get_motion (out);
    fail_unless ((m != NULL) == cases[i].kept, "%s", cases[i].chain);
    if (m) {
      const QfuseMotionRegion *r =
          &g_array_index (m->regions, QfuseMotionRegion, 0);
      GstVideoRegionOfInterestMeta *roi =
          gst_buffer_get_video_region_of_interest_meta_id (out, r->roi_id);

      fail_unless_equals_int (m->regions->len, 1);
      fail_unless (ABS (r->x - (48 * cases[i].scale_x + cases[i].left)) <= 3 &&
              ABS (r->y - (40 * cases[i].scale_y + cases[i].top)) <= 3 &&
              ABS (r->w - SIZE * cases[i].scale_x) <= 4 &&
              ABS (r->h - SIZE * cases[i].scale_y) <= 4,
          "%s: %g %g %g %g", cases[i].chain, r->x, r->y, r->w, r->h);
      fail_unless (roi != NULL);
      fail_unless (ABS ((gfloat) roi->x - r->x) <= 1 &&
          ABS ((gfloat) roi->w - r->w) <= 1.5f);
    }
    gst_buffer_unref (out);
    gst_harness_teardown (h);
    g_free (line);
  }
}
GST_END_TEST;

/* ---- messages ------------------------------------------------------------ */

typedef struct
{
  GstElement *element;
  GstBus *bus;
} Ear;

static void
listen (Ear *ear, GstHarness *h)
{
  ear->element = gst_harness_find_element (h, "framediff");
  ear->bus = gst_bus_new ();
  gst_element_set_bus (ear->element, ear->bus);
}

static void
ear_clear (Ear *ear)
{
  gst_element_set_bus (ear->element, NULL);
  gst_object_unref (ear->bus);
  gst_object_unref (ear->element);
}

static void
check_silence (Ear *ear)
{
  GstMessage *m = gst_bus_pop_filtered (ear->bus, GST_MESSAGE_ELEMENT);

  fail_unless (m == NULL, "%" GST_PTR_FORMAT, m);
}

/* The next message says @state with the times of frame @n. Returns how many
 * regions it holds. */
static guint
check_message (Ear *ear, const gchar *state, guint n)
{
  GstMessage *m = gst_bus_pop_filtered (ear->bus, GST_MESSAGE_ELEMENT);
  const GstClockTime expected = n * 40 * GST_MSECOND;
  const GValue *regions;
  const GstStructure *s;
  GstClockTime time;
  gdouble share;
  guint n_regions;

  fail_unless (m != NULL, "no %s at frame %u", state, n);
  s = gst_message_get_structure (m);
  fail_unless (gst_structure_has_name (s, "qfuse-motion"));
  fail_unless_equals_string (gst_structure_get_string (s, "state"), state);
  fail_unless (gst_structure_get_double (s, "share", &share));
  fail_unless (share >= 0 && share < 0.1);
  fail_unless (gst_structure_get_clock_time (s, "stream-time", &time));
  fail_unless_equals_uint64 (time, expected);
  fail_unless (gst_structure_get_clock_time (s, "running-time", &time));
  fail_unless_equals_uint64 (time, expected);
  fail_unless (gst_structure_get_clock_time (s, "timestamp", &time));
  fail_unless_equals_uint64 (time, expected);
  fail_unless (gst_structure_get_clock_time (s, "duration", &time));
  fail_unless_equals_uint64 (time, 40 * GST_MSECOND);
  regions = gst_structure_get_value (s, "regions");
  fail_unless (regions && GST_VALUE_HOLDS_LIST (regions));
  n_regions = gst_value_list_get_size (regions);
  for (guint i = 0; i < n_regions; i++) {
    const GstStructure *r =
        gst_value_get_structure (gst_value_list_get_value (regions, i));
    gint x, y, w, h, area;

    fail_unless (gst_structure_has_name (r, "region"));
    fail_unless (gst_structure_get (r, "x", G_TYPE_INT, &x, "y", G_TYPE_INT, &y,
        "w", G_TYPE_INT, &w, "h", G_TYPE_INT, &h, "area", G_TYPE_INT, &area,
        NULL));
    fail_unless (ABS (y - 40) <= 2 && ABS (w - SIZE) <= 4 && area > 0);
  }
  gst_message_unref (m);
  return n_regions;
}

/* Motion in frames WARM + 10 … WARM + 29, with the hysteresis in frames of 40
 * ms. */
static void
check_events (const gchar *line, guint start, guint stop)
{
  GstVideoInfo info;
  GstHarness *h = test_harness (line, WIDTH, HEIGHT, &info);
  Ear ear;

  listen (&ear, h);
  warm_up (h, &info);
  for (guint n = 0; n < 80; n++) {
    gboolean moves = n >= 10 && n < 30 && n != 20; /* a pause of one frame */

    push_only (h, &info, moves ? (gint) (4 * n) : -1, WARM + n);
    if (n == start) {
      fail_unless_equals_int (check_message (&ear, "start", WARM + n), 1);
    } else if (n == stop) {
      fail_unless_equals_int (check_message (&ear, "stop", WARM + n), 0);
    }
    check_silence (&ear);
  }
  ear_clear (&ear);
  gst_harness_teardown (h);
}

GST_START_TEST (test_messages)
{
  check_events ("framediff output=planes post-messages=true", 10, 29 + 25);
  check_events (
      "framediff post-messages=true start-time=0.2 stop-time=0.4", 15, 39);
  check_events (
      "framediff mode=highlight post-messages=true stop-time=0.12", 10, 32);
}
GST_END_TEST;

/* Each start is followed by a stop, with the times of the last frame. */
GST_START_TEST (test_stop_at_the_end)
{
  for (guint end = 0; end < 7; end++) {
    GstVideoInfo info;
    GstHarness *h = test_harness (
        "framediff output=planes post-messages=true", WIDTH, HEIGHT, &info);
    GstSegment segment;
    Ear ear;

    listen (&ear, h);
    warm_up (h, &info);
    push_only (h, &info, 20, WARM);
    check_message (&ear, "start", WARM);
    push_only (h, &info, 24, WARM + 1);
    check_silence (&ear);
    gst_segment_init (&segment, GST_FORMAT_TIME);
    switch (end) {
      case 0:
        gst_harness_push_event (h, gst_event_new_eos ());
        break;
      case 1:
        gst_harness_push_event (h, gst_event_new_flush_start ());
        gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
        break;
      case 2:
        segment.start = segment.time = segment.position = 60 * GST_SECOND;
        gst_harness_push_event (h, gst_event_new_segment (&segment));
        break;
      case 3:
        gst_harness_set_src_caps (h, test_caps ("I420", 80, 60));
        break;
      default:
        g_object_set (
            ear.element, "post-messages", TRUE, "find-motion", FALSE, NULL);
        gst_harness_push_event (h, gst_event_new_stream_start ("next"));
        break;
    }
    check_message (&ear, "stop", WARM + 1);
    check_silence (&ear);
    ear_clear (&ear);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

/* Messages that are asked for while something moves start then; those that are
 * not asked for any more end; the analysis that nobody asks for any more ends.
 */
GST_START_TEST (test_messages_while_playing)
{
  GstVideoInfo info;
  GstHarness *h = test_harness (
      "framediff output=planes find-motion=true", WIDTH, HEIGHT, &info);
  Ear ear;

  listen (&ear, h);
  warm_up (h, &info);
  push_only (h, &info, 20, WARM + 1);
  check_silence (&ear);
  g_object_set (ear.element, "post-messages", TRUE, NULL);
  push_only (h, &info, 24, WARM + 2);
  check_message (&ear, "start", WARM + 2);
  g_object_set (ear.element, "post-messages", FALSE, NULL);
  push_only (h, &info, 28, WARM + 3);
  g_object_set (ear.element, "find-motion", FALSE, NULL);
  push_only (h, &info, 32, WARM + 4);
  check_silence (&ear);
  g_object_set (ear.element, "post-messages", TRUE, NULL);
  push_only (h, &info, -1, WARM + 5); /* no past: it was not followed */
  push_only (h, &info, -1, WARM + 6);
  check_silence (&ear);
  push_only (h, &info, 80, WARM + 7);
  check_message (&ear, "start", WARM + 7);
  ear_clear (&ear);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* ---- regions ------------------------------------------------------------- */

static guint
n_regions (GstBuffer *buffer)
{
  gpointer state = NULL;
  guint n = 0;

  while (gst_buffer_iterate_meta_filtered (
      buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))
    n++;
  return n;
}

GST_START_TEST (test_regions)
{
  GstVideoInfo info;
  GstHarness *h = test_harness (
      "framediff output=planes attach-regions=true", WIDTH, HEIGHT, &info);
  GstVideoRegionOfInterestMeta *roi;
  QfuseMotionMeta *m;
  GstBuffer *in, *out;
  gint id;

  warm_up (h, &info);
  out = push (h, &info, -1, WARM);
  fail_unless_equals_int (n_regions (out), 0);
  gst_buffer_unref (out);
  in = square (&info, 30, WARM + 1);
  roi = gst_buffer_add_video_region_of_interest_meta (in, "thing", 1, 2, 3, 4);
  roi->id = 7;
  out = gst_harness_push_and_pull (h, in);
  fail_unless_equals_int (n_regions (out), 2);
  check_region (out, 30, 2);
  m = qfuse_buffer_get_motion (out);
  id = g_array_index (m->regions, QfuseMotionRegion, 0).roi_id;
  fail_unless (id >= 0 && id != 7);
  roi = gst_buffer_get_video_region_of_interest_meta_id (out, 7);
  fail_unless_equals_int (roi->x, 1);
  roi = gst_buffer_get_video_region_of_interest_meta_id (out, id);
  fail_unless_equals_string (g_quark_to_string (roi->roi_type), "motion");
  fail_unless (
      ABS ((gint) roi->x - 30) <= 2 && ABS ((gint) roi->w - SIZE) <= 4);
  fail_unless (
      gst_video_region_of_interest_meta_get_param (roi, "detection") != NULL);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Boxes drawn: pixels around the square are not those of the picture. */
GST_START_TEST (test_regions_are_drawn)
{
  GstVideoInfo info;
  GstHarness *h =
      test_harness ("framediff output=planes attach-regions=true ! "
                    "qfuseoverlay show-labels=false show-scores=false",
          WIDTH, HEIGHT, &info);
  GstBuffer *out;
  GstVideoFrame frame;
  guint drawn = 0, far = 0;

  warm_up (h, &info);
  out = push (h, &info, 60, WARM + 1);
  fail_unless (gst_video_frame_map (&frame, &info, out, GST_MAP_READ));
  for (gint y = 0; y < HEIGHT; y++)
    for (gint x = 0; x < WIDTH; x++) {
      guint v = test_sample (&frame, 0, x, y);
      gboolean in = x >= 60 && x < 60 + SIZE && y >= 40 && y < 40 + SIZE;

      if (ABS ((gint) v - (in ? 200 : 60)) > 8) {
        gboolean near = x >= 50 && x < 70 + SIZE && y >= 30 && y < 50 + SIZE;

        drawn += near;
        far += !near;
      }
    }
  gst_video_frame_unmap (&frame);
  fail_unless (drawn >= 4 * SIZE / 2, "%u", drawn);
  fail_unless_equals_int (far, 0);
  gst_buffer_unref (out);
  gst_harness_teardown (h);
}
GST_END_TEST;

GST_START_TEST (test_regions_are_written)
{
  g_autofree gchar *folder = g_dir_make_tmp ("motion-XXXXXX", NULL);
  g_autofree gchar *file = g_build_filename (folder, "moving.jsonl", NULL);
  g_autofree gchar *line = g_strdup_printf (
      "framediff output=planes attach-regions=true ! qfusewrite location=%s",
      file);
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;
  GstVideoInfo info;
  GstHarness *h = test_harness (line, WIDTH, HEIGHT, &info);

  warm_up (h, &info);
  push_only (h, &info, 60, WARM + 1);
  gst_harness_push_event (h, gst_event_new_eos ());
  gst_harness_teardown (h);
  fail_unless (g_file_get_contents (file, &text, NULL, NULL));
  lines = g_strsplit (text, "\n", -1);
  fail_unless (strstr (lines[0], "motion") == NULL);
  fail_unless (
      strstr (lines[WARM], "\"label\":\"motion\"") != NULL, "%s", text);
  g_remove (file);
  g_rmdir (folder);
}
GST_END_TEST;

/* ---- where nothing counts ------------------------------------------------ */

GST_START_TEST (test_ignore)
{
  GstVideoInfo info;
  GstHarness *h = test_harness (
      "framediff output=planes find-motion=true ignore=\"0,0 1,0 1,1 0,1\"",
      WIDTH, HEIGHT, &info);
  GstElement *e = gst_harness_find_element (h, "framediff");
  QfuseMotionMeta *m;
  GstBuffer *out;

  warm_up (h, &info);
  out = push (h, &info, 20, WARM + 1);
  m = qfuse_buffer_get_motion (out);
  fail_unless (m && !m->moving && m->share == 0 && m->regions->len == 0);
  gst_buffer_unref (out);
  /* the right half only */
  g_object_set (e, "ignore", "0.5,0 1,0 1,1 0.5,1", NULL);
  out = push (h, &info, 24, WARM + 2);
  check_region (out, 24, 2);
  gst_buffer_unref (out);
  out = push (h, &info, 100, WARM + 3);
  m = qfuse_buffer_get_motion (out);
  fail_unless_equals_int (m->regions->len, 0);
  gst_buffer_unref (out);
  g_object_set (e, "ignore", NULL, NULL);
  out = push (h, &info, 104, WARM + 4);
  check_region (out, 104, 2);
  gst_buffer_unref (out);
  gst_object_unref (e);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Unreadable polygons: an error at the start; while playing a warning, and
 * those before stay. */
GST_START_TEST (test_ignore_bad)
{
  GstElement *e = gst_element_factory_make ("framediff", NULL);
  GstVideoInfo info;
  GstHarness *h;
  GstMessage *m;
  GstBuffer *out;
  GError *error;
  Ear ear;

  ear.bus = gst_bus_new ();
  gst_element_set_bus (e, ear.bus);
  g_object_set (e, "ignore", "0,0 1", NULL);
  fail_unless_equals_int (
      gst_element_set_state (e, GST_STATE_PAUSED), GST_STATE_CHANGE_FAILURE);
  m = gst_bus_pop_filtered (ear.bus, GST_MESSAGE_ERROR);
  fail_unless (m != NULL);
  gst_message_parse_error (m, &error, NULL);
  fail_unless (
      g_error_matches (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS));
  fail_unless (strstr (error->message, "ignore") != NULL);
  g_error_free (error);
  gst_message_unref (m);
  gst_element_set_state (e, GST_STATE_NULL);
  gst_element_set_bus (e, NULL);
  gst_object_unref (ear.bus);
  gst_object_unref (e);

  h = test_harness ("framediff find-motion=true ignore=\"0,0 1,0 1,1 0,1\"",
      WIDTH, HEIGHT, &info);
  listen (&ear, h);
  warm_up (h, &info);
  g_object_set (ear.element, "ignore", "half of it", NULL);
  for (guint n = 1; n < 4; n++) {
    out = push (h, &info, 20, WARM + n);
    fail_unless_equals_int (qfuse_buffer_get_motion (out)->regions->len, 0);
    gst_buffer_unref (out);
  }
  m = gst_bus_pop_filtered (ear.bus, GST_MESSAGE_WARNING);
  fail_unless (m != NULL);
  gst_message_unref (m);
  fail_unless (gst_bus_pop_filtered (ear.bus, GST_MESSAGE_WARNING) == NULL);
  ear_clear (&ear);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* Blobs under min-area are none; what lasts becomes background. */
GST_START_TEST (test_options)
{
  GstVideoInfo info;
  GstHarness *h =
      test_harness ("framediff output=planes find-motion=true min-area=0.05",
          WIDTH, HEIGHT, &info);
  GstElement *e = gst_harness_find_element (h, "framediff");
  QfuseMotionMeta *m;
  GstBuffer *out;

  warm_up (h, &info);
  out = push (h, &info, 20, WARM + 1); /* 576 of 19200 pixels */
  m = qfuse_buffer_get_motion (out);
  fail_unless (m->share > 0.02 && m->regions->len == 0 && !m->moving);
  gst_buffer_unref (out);
  g_object_set (e, "min-area", 0.02, NULL);
  out = push (h, &info, 24, WARM + 2);
  check_region (out, 24, 2);
  gst_buffer_unref (out);
  g_object_set (e, "threshold", 150, NULL);
  out = push (h, &info, 28, WARM + 3);
  fail_unless (qfuse_buffer_get_motion (out)->share == 0);
  gst_buffer_unref (out);
  g_object_set (e, "threshold", -1, "learning-rate", 0.1, NULL);
  for (guint n = 4; n < 60; n++)
    push_only (h, &info, 28, WARM + n);
  out = push (h, &info, 28, WARM + 60);
  fail_unless_equals_int (qfuse_buffer_get_motion (out)->regions->len, 0);
  gst_buffer_unref (out);
  gst_object_unref (e);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A camera's exposure step, up and down again, is no motion; what moves in the
 * new light is. */
GST_START_TEST (test_exposure_step)
{
  GstVideoInfo info;
  GstHarness *h = test_harness (
      "framediff output=planes post-messages=true", WIDTH, HEIGHT, &info);
  Ear ear;

  listen (&ear, h);
  warm_up (h, &info);
  for (guint n = 0; n < 60; n++) {
    GstBuffer *in = square (&info, n >= 40 && n < 45 ? 30 : -1, WARM + n);

    if (n >= 10 && n < 50) {
      GstMapInfo map;

      fail_unless (gst_buffer_map (in, &map, GST_MAP_READWRITE));
      for (guint i = 0; i < WIDTH * HEIGHT; i++)
        map.data[i] = (guint8) MIN (map.data[i] * 5 / 4, 235);
      gst_buffer_unmap (in, &map);
    }
    gst_buffer_unref (gst_harness_push_and_pull (h, in));
    if (n == 40)
      check_message (&ear, "start", WARM + n);
    check_silence (&ear);
  }
  ear_clear (&ear);
  gst_harness_teardown (h);
}
GST_END_TEST;

static Suite *
framediff_motion_suite (void)
{
  Suite *s = suite_create ("framediff-motion");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_meta);
  tcase_add_test (tc, test_all_formats);
  tcase_add_test (tc, test_meta_of_images);
  tcase_add_test (tc, test_meta_on_its_way);
  tcase_add_test (tc, test_messages);
  tcase_add_test (tc, test_stop_at_the_end);
  tcase_add_test (tc, test_messages_while_playing);
  tcase_add_test (tc, test_regions);
  tcase_add_test (tc, test_regions_are_drawn);
  tcase_add_test (tc, test_regions_are_written);
  tcase_add_test (tc, test_ignore);
  tcase_add_test (tc, test_ignore_bad);
  tcase_add_test (tc, test_options);
  tcase_add_test (tc, test_exposure_step);
  return s;
}

GST_CHECK_MAIN (framediff_motion);
