/* GStreamer qfuse: tests: framediff has none of the faults of videodiff: it
 * leaks no frame, reads no old frame at a new size, compares nothing across a
 * flush, and keeps the regions that others attached.
 * SPDX-License-Identifier: LGPL-2.1-or-later */
#include "testframes.h"

/* Every way of comparing, and everything that has a memory of frames. */
static const gchar *const settings[] = { "", "mode=absolute threshold=8",
  "reference=mean distance=3", "distance=80 distance-unit=time",
  "reference=background", "noise-adaptive=true", "mode=highlight",
  "post-messages=true attach-regions=true find-motion=true",
  "output=planes find-motion=true", NULL };

static GstHarness *
new_harness (const gchar *set)
{
  gchar *line = g_strdup_printf ("framediff %s", set);
  GstHarness *h = gst_harness_new_parse (line);

  g_free (line);
  fail_unless (h != NULL);
  return h;
}

static void
set_caps (GstHarness *h, GstVideoInfo *info, const gchar *format, gint width,
    gint height)
{
  GstCaps *caps = test_caps (format, width, height);

  fail_unless (gst_video_info_from_caps (info, caps));
  gst_harness_set_src_caps (h, caps);
}

/* A square that moves with @n over a grey picture. */
static GstBuffer *
new_frame (const GstVideoInfo *info, guint n)
{
  return test_stamp (
      test_square (info, (gint) (8 * n) % 32, (gint) (4 * n) % 16, 24), n);
}

static GstBuffer *
push (GstHarness *h, GstBuffer *in)
{
  GstBuffer *out = gst_harness_push_and_pull (h, in);

  fail_unless (out != NULL);
  return out;
}

/* ---- leaks ----------------------------------------------------------------
 */

typedef struct
{
  gpointer bytes;
  guint freed;
} Memory;

static void
on_memory_freed (gpointer data)
{
  Memory *memory = data;

  g_free (memory->bytes);
  memory->freed++;
}

static void
on_buffer_freed (gpointer data, GstMiniObject *object)
{
  ++*(guint *) data;
}

/* What @frame (owned) shows, in memory that tells when it is freed. */
static GstBuffer *
watched_frame (GstBuffer *frame, Memory *memory, guint *buffers)
{
  GstBuffer *watched = gst_buffer_new ();
  gsize size = gst_buffer_get_size (frame);

  memory->bytes = g_malloc (size);
  memory->freed = 0;
  gst_buffer_extract (frame, 0, memory->bytes, size);
  gst_buffer_append_memory (watched,
      gst_memory_new_wrapped (
          0, memory->bytes, size, 0, size, memory, on_memory_freed));
  gst_buffer_copy_into (watched, frame, GST_BUFFER_COPY_TIMESTAMPS, 0, -1);
  gst_buffer_unref (frame);
  gst_mini_object_weak_ref (
      GST_MINI_OBJECT (watched), on_buffer_freed, buffers);
  return watched;
}

/* Each frame is free as soon as downstream lets go of it, and after a stop
 * there is none, also where the caller goes on holding the element. */
static void
check_no_frame_held (const gchar *set, gboolean shared)
{
  GstHarness *h = new_harness (set);
  GstElement *e = gst_harness_find_element (h, "framediff");
  Memory memories[6];
  guint buffers = 0;
  GstVideoInfo info;

  set_caps (h, &info, "I420", 64, 48);
  for (guint n = 0; n < G_N_ELEMENTS (memories); n++) {
    GstBuffer *in =
                  watched_frame (new_frame (&info, n), &memories[n], &buffers),
              *out;

    if (shared)
      gst_buffer_ref (in);
    out = push (h, in);
    gst_buffer_unref (out);
    if (shared)
      gst_buffer_unref (in);
    fail_unless_equals_int (memories[n].freed, 1);
    fail_unless_equals_int (buffers, n + 1);
  }
  gst_element_set_state (e, GST_STATE_NULL);
  gst_object_unref (e);
  gst_harness_teardown (h);
}

GST_START_TEST (test_no_frame_leaks)
{
  for (guint i = 0; settings[i]; i++) {
    check_no_frame_held (settings[i], FALSE);
    check_no_frame_held (settings[i], TRUE);
  }
}
GST_END_TEST;

/* Frames that wait for motion are copies, and go with a stop too. */
GST_START_TEST (test_no_held_frame_leaks)
{
  GstHarness *h = new_harness ("drop-still=true pre-roll=2 output=planes");
  GstElement *e = gst_harness_find_element (h, "framediff");
  Memory memories[6];
  guint buffers = 0;
  GstVideoInfo info;

  set_caps (h, &info, "I420", 64, 48);
  for (guint n = 0; n < G_N_ELEMENTS (memories); n++) {
    GstBuffer *still = test_stamp (test_square (&info, 8, 8, 24), n);

    gst_harness_push (h, watched_frame (still, &memories[n], &buffers));
    fail_unless_equals_int (memories[n].freed, 1);
    fail_unless_equals_int (buffers, n + 1);
  }
  fail_unless_equals_int (gst_harness_buffers_received (h), 0);
  gst_element_set_state (e, GST_STATE_NULL);
  gst_object_unref (e);
  gst_harness_teardown (h);
}
GST_END_TEST;

/* A camera's pool of two goes on giving. */
GST_START_TEST (test_pool_of_two)
{
  GstBufferPoolAcquireParams params = {
    .flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT
  };

  for (guint i = 0; settings[i]; i++) {
    GstHarness *h = new_harness (settings[i]);
    GstBufferPool *pool = gst_buffer_pool_new ();
    GstStructure *config = gst_buffer_pool_get_config (pool);
    GstCaps *caps = test_caps ("I420", 64, 48);
    GstVideoInfo info;

    set_caps (h, &info, "I420", 64, 48);
    gst_buffer_pool_config_set_params (
        config, caps, (guint) GST_VIDEO_INFO_SIZE (&info), 2, 2);
    fail_unless (gst_buffer_pool_set_config (pool, config));
    fail_unless (gst_buffer_pool_set_active (pool, TRUE));
    for (guint n = 0; n < 12; n++) {
      GstBuffer *frame = new_frame (&info, n), *in = NULL;
      GstMapInfo map;

      fail_unless_equals_int (
          gst_buffer_pool_acquire_buffer (pool, &in, &params), GST_FLOW_OK);
      fail_unless (gst_buffer_map (frame, &map, GST_MAP_READ));
      gst_buffer_fill (in, 0, map.data, map.size);
      gst_buffer_unmap (frame, &map);
      gst_buffer_unref (frame);
      gst_buffer_unref (push (h, test_stamp (in, n)));
    }
    gst_buffer_pool_set_active (pool, FALSE);
    gst_object_unref (pool);
    gst_caps_unref (caps);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

/* ---- what is old ----------------------------------------------------------
 */

/* Frames @from … of @h are, byte for byte, what an element says that has seen
 * nothing before. */
static void
check_as_fresh (GstHarness *h, const gchar *set, const gchar *format,
    gint width, gint height, guint from)
{
  GstHarness *fresh = new_harness (set);
  GstVideoInfo info;

  set_caps (fresh, &info, format, width, height);
  for (guint n = from; n < from + 4; n++) {
    GstBuffer *a = push (h, new_frame (&info, n));
    GstBuffer *b = push (fresh, new_frame (&info, n));
    GstMapInfo x, y;

    fail_unless (gst_buffer_map (a, &x, GST_MAP_READ));
    fail_unless (gst_buffer_map (b, &y, GST_MAP_READ));
    fail_unless (x.size == y.size && memcmp (x.data, y.data, x.size) == 0,
        "%s, %s %dx%d: frame %u differs", set, format, width, height, n);
    gst_buffer_unmap (a, &x);
    gst_buffer_unmap (b, &y);
    fail_unless_equals_int (
        gst_buffer_get_n_meta (a, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE),
        gst_buffer_get_n_meta (b, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE));
    gst_buffer_unref (a);
    gst_buffer_unref (b);
  }
  gst_harness_teardown (fresh);
}

/* Larger, smaller, other formats, and back: also what valgrind looks at. */
GST_START_TEST (test_renegotiation)
{
  static const struct
  {
    const gchar *format;
    gint width, height;
  } steps[] = { { "I420", 64, 48 }, { "I420", 321, 143 }, { "I420", 48, 64 },
    { "GRAY8", 48, 64 }, { "BGRx", 48, 64 }, { "I420_10LE", 130, 96 },
    { "I420", 64, 48 } };

  for (guint i = 0; settings[i]; i++) {
    GstHarness *h = new_harness (settings[i]);

    for (guint k = 0; k < G_N_ELEMENTS (steps); k++) {
      GstVideoInfo info;

      set_caps (h, &info, steps[k].format, steps[k].width, steps[k].height);
      check_as_fresh (h, settings[i], steps[k].format, steps[k].width,
          steps[k].height, 4 * k);
    }
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

GST_START_TEST (test_flush)
{
  for (guint i = 0; settings[i]; i++) {
    GstHarness *h = new_harness (settings[i]);
    GstSegment segment;
    GstVideoInfo info;

    set_caps (h, &info, "I420", 64, 48);
    for (guint n = 0; n < 5; n++)
      gst_buffer_unref (push (h, new_frame (&info, n)));
    gst_harness_push_event (h, gst_event_new_flush_start ());
    gst_harness_push_event (h, gst_event_new_flush_stop (TRUE));
    gst_segment_init (&segment, GST_FORMAT_TIME);
    gst_harness_push_event (h, gst_event_new_segment (&segment));
    check_as_fresh (h, settings[i], "I420", 64, 48, 5);
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

/* ---- regions --------------------------------------------------------------
 */

static void
check_region (GstBuffer *out, const gchar *set)
{
  GstVideoRegionOfInterestMeta *roi =
      gst_buffer_get_video_region_of_interest_meta_id (out, 17);
  gdouble v = 0;

  fail_unless (roi != NULL, "%s: the region is lost", set);
  fail_unless_equals_string (g_quark_to_string (roi->roi_type), "thing");
  fail_unless_equals_int (roi->parent_id, 4);
  fail_unless_equals_int (roi->x, 1);
  fail_unless_equals_int (roi->y, 2);
  fail_unless_equals_int (roi->w, 30);
  fail_unless_equals_int (roi->h, 40);
  fail_unless (gst_structure_get_double (
      gst_video_region_of_interest_meta_get_param (roi, "detection"),
      "confidence", &v));
  fail_unless (v == 0.75);
  fail_unless (gst_buffer_get_video_crop_meta (out) != NULL);
  fail_unless (gst_buffer_get_meta (out, GST_VIDEO_META_API_TYPE) != NULL);
}

/* With their ids and parameters, once; also where the frame is copied because
 * somebody else holds it. */
GST_START_TEST (test_regions_stay)
{
  for (guint i = 0; settings[i]; i++) {
    GstHarness *h = new_harness (settings[i]);
    GstVideoInfo info;

    set_caps (h, &info, "I420", 64, 48);
    for (guint n = 0; n < 6; n++) {
      GstBuffer *in = test_frame_cropped (&info, new_frame (&info, n), 4, 6);
      GstVideoRegionOfInterestMeta *roi =
          gst_buffer_add_video_region_of_interest_meta (
              in, "thing", 1, 2, 30, 40);
      gboolean shared = n & 1;
      guint things = 0;
      gpointer state = NULL;
      GstMeta *meta;
      GstBuffer *out;

      roi->id = 17;
      roi->parent_id = 4;
      gst_video_region_of_interest_meta_add_param (roi,
          gst_structure_new (
              "detection", "confidence", G_TYPE_DOUBLE, 0.75, NULL));
      if (shared)
        gst_buffer_ref (in);
      out = push (h, in);
      check_region (out, settings[i]);
      while ((meta = gst_buffer_iterate_meta_filtered (
                  out, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)))
        things += ((GstVideoRegionOfInterestMeta *) meta)->roi_type ==
            g_quark_from_static_string ("thing");
      fail_unless_equals_int (things, 1);
      gst_buffer_unref (out);
      if (shared)
        gst_buffer_unref (in);
    }
    gst_harness_teardown (h);
  }
}
GST_END_TEST;

static Suite *
framediff_faults_suite (void)
{
  Suite *s = suite_create ("framediff-faults");
  TCase *tc = tcase_create ("general");

  suite_add_tcase (s, tc);
  tcase_add_test (tc, test_no_frame_leaks);
  tcase_add_test (tc, test_no_held_frame_leaks);
  tcase_add_test (tc, test_pool_of_two);
  tcase_add_test (tc, test_renegotiation);
  tcase_add_test (tc, test_flush);
  tcase_add_test (tc, test_regions_stay);
  return s;
}

GST_CHECK_MAIN (framediff_faults);
